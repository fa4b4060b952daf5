"""The entries of the family: from the user's data to a checked problem to a method."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base import threads as _threads
from .._base.iterate import Callback, Control, run
from .._base.method import lookup
from .._base.rng import RNG, as_generator
from .._base.validate import check_finite, positive, real_array
from . import _kernels
from ._cost import Cost
from ._problem import LN2, NORMS, TransportProblem, TransportResult

Array = npt.NDArray[Any]

#: Total masses may differ by this much, relatively: silently (b is rescaled), or with a warning.
MASS_SILENT, MASS_WARNED = 1e-12, 1e-6


def solve(
    C: npt.ArrayLike,
    a: npt.ArrayLike | None = None,
    b: npt.ArrayLike | None = None,
    *,
    reg: float,
    method: str | None = None,
    options: Mapping[str, Any] | None = None,
    tol: float = 1e-9,
    norm: str = "l1",
    warm_start: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    max_iter: int = 10_000,
    time_limit: float | None = None,
    callback: Callback | None = None,
    verbose: int = 0,
    resume: Any = None,
    rng: RNG = None,
    threads: int | None = None,
) -> TransportResult:
    """Entropic optimal transport between two weighted sets, given the cost matrix.

    Solves ``min <C, P> + reg * KL(P | a b')`` over plans P >= 0 with row sums a and column sums b.

    Parameters
    ----------
    C : array_like, shape (n, m)
        Cost, of any finite sign. float64 and float32 with contiguous rows are read in place (float32 is
        computed on in float64); everything else is converted once, and ``result.stats["copies"]`` counts it.
    a, b : array_like, shapes (n,) and (m,), optional
        Weights >= 0 of equal total mass; uniform with mass 1 where not given. Zero weights are allowed.
    reg : float
        Strength of the entropy, > 0, in units of the cost.
    method : str, optional
        ``"sinkhorn"`` or ``"sns"``. By default chosen by the rule in Notes.
    options : mapping, optional
        Options of the method; ``python -m solvers methods`` lists them.
    tol : float, default 1e-9
        Bound on the marginal error of the returned plan.
    norm : {"l1", "l2", "linf"}, default "l1"
        Norm of the marginal error ``(P 1 - a, P' 1 - b)``.
    warm_start : (f, g), optional
        Potentials to start from, as a result has them.
    max_iter : int, default 10000
        Steps at most.
    time_limit : float, optional
        Seconds at most.
    callback : callable, optional
        Called after each step with a `SolveResult` whose `x` is the current plan; returning True, or raising
        StopIteration, stops the solve.
    verbose : {0, 1, 2}, default 0
        1 prints a table with at most ten rows a second, 2 every step.
    resume : optional
        The ``state`` of an earlier result on the same problem: goes on from there, to the same bits.
    rng : None, int, Generator or SeedSequence
        Checked like everywhere in the library; the methods of this family draw no random numbers.
    threads : int, optional
        Threads for this call. The bits do not depend on it.

    Returns
    -------
    TransportResult
        With `plan`, `f`, `g`, `value`, `value_linear`, `marginal_error`, `status`, `success` and more.
        ``success`` means that the marginal error, recomputed from the returned plan, is at most `tol`.

    Raises
    ------
    ValueError
        NaN or infinity, negative weights, shapes that do not fit, masses that differ by more than 1e-6
        (below that b is rescaled, above 1e-12 with a warning), reg <= 0, an empty problem.
    TypeError
        Data that is not real.
    MethodError, OptionError
        An unknown method or option, or an option out of range.

    Notes
    -----
    The rule for ``method=None``: Sinkhorn where the costs span at most 200 times reg, since it converges fast
    there; else Sinkhorn-Newton-Sparse. An iteration of either reads C once and takes one exponential an entry.

    References
    ----------
    Cuturi (2013), arXiv 1306.0895; Tang et al. (2024), arXiv 2401.12253.

    Examples
    --------
    >>> import numpy as np, solvers
    >>> result = solvers.ot.solve([[0.0, 1.0], [1.0, 0.0]], reg=0.5)
    >>> result.success
    True
    >>> bool(np.isclose(result.plan.dense()[0, 0], 0.5 / (1 + np.exp(-2))))
    True
    """
    matrix = real_array(C, "C", ndim=2, keep_float32=True)
    copied = matrix is not C
    if matrix.size and (matrix.strides[1] != matrix.itemsize or matrix.strides[0] % matrix.itemsize):
        matrix, copied = np.ascontiguousarray(matrix), True
    _check_not_empty(matrix.shape, "C")
    check_finite(matrix, "C")
    as_generator(rng)
    problem = _problem(Cost(matrix=matrix), a, b, reg, tol, norm, warm_start, int(copied), threads)
    control = Control(max_iter, time_limit, callback, verbose, resume)
    return _run(problem, method, options, control)


def solve_sample(
    X: npt.ArrayLike,
    Y: npt.ArrayLike,
    a: npt.ArrayLike | None = None,
    b: npt.ArrayLike | None = None,
    *,
    reg: float,
    metric: str = "sqeuclidean",
    method: str | None = None,
    options: Mapping[str, Any] | None = None,
    tol: float = 1e-9,
    norm: str = "l1",
    warm_start: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    max_iter: int = 10_000,
    time_limit: float | None = None,
    callback: Callback | None = None,
    verbose: int = 0,
    resume: Any = None,
    rng: RNG = None,
    threads: int | None = None,
) -> TransportResult:
    """Entropic optimal transport between two point clouds, the cost made on the fly: O(n + m) memory.

    Parameters
    ----------
    X, Y : array_like, shapes (n, d) and (m, d)
        The points; computed on in float64.
    metric : {"sqeuclidean", "euclidean", "cityblock"}, default "sqeuclidean"
        The cost between two points.
    a, b, reg, method, options, tol, norm, warm_start, max_iter, time_limit, callback, verbose, resume, rng, threads
        As in `solve`.

    Returns
    -------
    TransportResult
        As from `solve`.

    Raises
    ------
    ValueError, TypeError, MethodError, OptionError
        As in `solve`; also where X and Y differ in dimension, or the metric is unknown.

    Notes
    -----
    A step costs about n * m * (d + 8) multiply-adds and reads next to no memory.

    Examples
    --------
    >>> import numpy as np, solvers
    >>> rng = np.random.default_rng(7)
    >>> X, Y = rng.random((50, 3)), rng.random((60, 3)) + 1
    >>> result = solvers.ot.solve_sample(X, Y, reg=0.1)
    >>> moved = result.plan.barycentric(Y)
    >>> result.success, moved.shape
    (True, (50, 3))
    """
    x, y = real_array(X, "X", ndim=2), real_array(Y, "Y", ndim=2)
    if metric not in _kernels.METRICS:
        raise ValueError(f"metric must be one of {', '.join(_kernels.METRICS)}, not {metric!r}")
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"X and Y differ in dimension: shapes {x.shape} and {y.shape}")
    _check_not_empty(x.shape, "X")
    _check_not_empty(y.shape, "Y")
    check_finite(x, "X")
    check_finite(y, "Y")
    as_generator(rng)
    cost = Cost(points=(np.ascontiguousarray(x), np.ascontiguousarray(y.T), metric))
    problem = _problem(cost, a, b, reg, tol, norm, warm_start, 0, threads)
    control = Control(max_iter, time_limit, callback, verbose, resume)
    return _run(problem, method, options, control)


def _run(
    problem: TransportProblem, method: str | None, options: Mapping[str, Any] | None, control: Control
) -> TransportResult:
    why = ""
    if method is None:
        method, why = _choose(problem)
    result = run(lookup("ot", method, problem.needs), problem, control, options, why)
    assert isinstance(result, TransportResult)
    return result


#: Above this ratio of the costs' span to reg Sinkhorn needs too many iterations.
EASY_SPAN = 200.0


def _choose(problem: TransportProblem) -> tuple[str, str]:
    """The method for ``method=None``, and why."""
    ratio = problem.cost.span / problem.reg
    if ratio <= EASY_SPAN:
        return "sinkhorn", f"Chose sinkhorn: the costs span {ratio:.3g} reg, at most {EASY_SPAN:g}."
    return "sns", f"Chose sns: the costs span {ratio:.3g} reg, more than {EASY_SPAN:g}."


def _problem(
    cost: Cost,
    a: npt.ArrayLike | None,
    b: npt.ArrayLike | None,
    reg: float,
    tol: float,
    norm: str,
    warm_start: tuple[npt.ArrayLike, npt.ArrayLike] | None,
    copies: int,
    threads: int | None,
) -> TransportProblem:
    n, m = cost.shape
    reg, tol = positive(reg, "reg"), positive(tol, "tol")
    if norm not in NORMS:
        raise ValueError(f"norm must be one of {', '.join(NORMS)}, not {norm!r}")
    weights_a, weights_b = _weights(a, "a", n, cost.shape), _weights(b, "b", m, cost.shape)
    weights_b = _equal_mass(weights_a, weights_b)
    f, g = _start(warm_start, n, m)
    kept_rows, kept_columns = _positive_places(weights_a), _positive_places(weights_b)
    if kept_rows is not None or kept_columns is not None:
        rows = np.arange(n) if kept_rows is None else kept_rows
        columns = np.arange(m) if kept_columns is None else kept_columns
        cost, copies = cost.restricted(rows, columns), copies + 1
        weights_a, weights_b, f, g = weights_a[rows], weights_b[columns], f[rows], g[columns]
    scale = 1.0 / (reg * LN2)
    if not np.isfinite(scale * cost.span):
        raise ValueError(f"the costs overflow in units of reg: they span up to {cost.span:g}, reg is {reg:g}")
    cost = cost.with_offset(scale)
    return TransportProblem(
        cost=cost, a=weights_a, b=weights_b, reg=reg, tol=tol, norm=norm, threads=_threads.resolve(threads),
        u0=(f if cost.offset is None or warm_start is None else f - cost.offset) * scale, v0=g * scale,
        kept_rows=kept_rows, kept_columns=kept_columns, shape=(n, m), copies=copies,
    )  # fmt: skip


def _check_not_empty(shape: tuple[int, ...], name: str) -> None:
    if 0 in shape:
        raise ValueError(f"{name} is empty: shape {shape}")


def _weights(weights: npt.ArrayLike | None, name: str, size: int, shape: tuple[int, int]) -> Array:
    if weights is None:
        return np.full(size, 1.0 / size)
    array = np.ascontiguousarray(real_array(weights, name, ndim=1))
    if array.shape != (size,):
        raise ValueError(f"{name} has shape {array.shape}, which does not fit the cost's shape {shape}")
    check_finite(array, name)
    if array.min() < 0:
        index = int(array.argmin())
        raise ValueError(f"{name} must be >= 0; {name}[{index}] is {array[index]}")
    if not array.sum() > 0:
        raise ValueError(f"{name} has no mass: its sum is {array.sum()}")
    return array


def _equal_mass(a: Array, b: Array) -> Array:
    """b, rescaled to the mass of a where they differ slightly."""
    mass_a, mass_b = float(a.sum()), float(b.sum())
    difference = abs(mass_a - mass_b) / max(mass_a, mass_b)
    if difference > MASS_WARNED:
        raise ValueError(f"a and b must have the same mass: a sums to {mass_a!r}, b to {mass_b!r}")
    if difference > MASS_SILENT:
        warnings.warn(f"b is rescaled: a sums to {mass_a!r}, b to {mass_b!r}", RuntimeWarning, stacklevel=4)
    return b if difference == 0 else b * (mass_a / mass_b)


def _positive_places(weights: Array) -> Array | None:
    return None if weights.min() > 0 else np.flatnonzero(weights)


def _start(warm_start: tuple[npt.ArrayLike, npt.ArrayLike] | None, n: int, m: int) -> tuple[Array, Array]:
    if warm_start is None:
        return np.zeros(n), np.zeros(m)
    try:
        f, g = warm_start
    except (TypeError, ValueError):
        raise ValueError("warm_start must be a pair (f, g) of potentials") from None
    potentials = []
    for values, name, size in ((f, "warm_start f", n), (g, "warm_start g", m)):
        array = real_array(values, name, ndim=1)
        if array.shape != (size,):
            raise ValueError(f"{name} has shape {array.shape}, not ({size},)")
        array = np.where(array == -np.inf, 0.0, array)  # a result has -inf at zero weights
        check_finite(array, name)
        potentials.append(array)
    return potentials[0], potentials[1]
