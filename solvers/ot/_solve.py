"""The entries of the family: from the user's data to a checked problem to a method."""

from __future__ import annotations

import dataclasses
import functools
import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from .._base import threads as _threads
from .._base.iterate import Callback, Control, run
from .._base.method import lookup
from .._base.reducer import SERIAL, Reducer, agreed, as_reducer, rows_of_all
from .._base.rng import RNG, check_rng
from .._base.validate import check_finite, positive, real_array
from . import _kernels
from ._blocks import BlockFunction, checked_costs
from ._cost import Cost, sample_cost
from ._histograms import solve_histograms
from ._newton import EASY_SPAN, MOST_STORED
from ._problem import LN2, MASS_SILENT, MASS_WARNED, NORMS, TransportProblem, TransportResult
from ._sharded import SharedRows, shared
from ._support import unreachable

Array = npt.NDArray[Any]
Kind = TypeVar("Kind", bound=TransportProblem)

#: Steps from which Sinkhorn's iteration is extrapolated where it is chosen.
MEMORY = 8

#: Weights up to this share of the mass count as zero: what belongs to them would underflow.
NEGLIGIBLE_WEIGHT = 1e-200


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
    certify: bool = True,
    allow_inf: bool = False,
    max_iter: int = 10_000,
    time_limit: float | None = None,
    callback: Callback | None = None,
    verbose: int = 0,
    resume: Any = None,
    rng: RNG = None,
    threads: int | None = None,
    comm: Any = None,
) -> TransportResult:
    """Entropic optimal transport between two weighted sets, given the cost matrix.

    Solves ``min <C, P> + reg * KL(P | a b')`` over plans P >= 0 with row sums a and column sums b.

    Parameters
    ----------
    C : array_like, shape (n, m)
        Cost, of any finite sign. float64 and float32 with contiguous rows are read in place (float32 is
        computed on in float64); other layouts are copied once, other real types (integers, booleans, float16,
        longdouble) converted to float64, and ``result.stats["copies"]`` counts it.
    a, b : array_like, shapes (n,) and (m,), optional
        Weights >= 0 of equal total mass; uniform with mass 1 where not given. Zero weights are allowed (as are those
        below 1e-200 of the mass, which count as zero). b of shape (m, k) holds k targets in its columns.
    reg : float
        Strength of the entropy, > 0, in units of the cost.
    method : str, optional
        ``"newton"`` (the default; Notes have an exception), ``"sinkhorn"``, ``"sns"`` or ``"ssns"``.
    options : mapping, optional
        Options of the method; ``python -m solvers methods`` lists them.
    tol : float, default 1e-9
        Bound on the marginal error of the returned plan.
    norm : {"l1", "l2", "linf"}, default "l1"
        Norm of the marginal error ``(P 1 - a, P' 1 - b)``.
    warm_start : (f, g), optional
        Potentials to start from, as a result has them.
    certify : bool, default True
        Whether the result gets `rounded`, `gap` and `lp_bounds`, for the time of a Sinkhorn iteration or two.
    allow_inf : bool, default False
        Whether a cost of +inf is allowed and forbids its arc (C is then copied). Where no plan exists on the others the
        status is INFEASIBLE, and ``result.stats`` has `unreachable_rows` and `unreachable_columns`.
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
    comm : optional
        The ranks that share the rows: an MPI communicator of mpi4py, or any `Reducer`. Each rank gives its own rows of
        C, with their part of `a` (and of the f of `warm_start`), and all give the same b and everything else. `plan`,
        `f` and `rounded` are then of the rank's rows, and all other results of the whole, the same on all ranks: f, g
        and the plan are those of one process to the bit (docs/distributed.md has the exceptions).

    Returns
    -------
    TransportResult
        With `plan`, `f`, `g`, `value`, `value_linear`, `marginal_error`, `gap`, `status`, `success` and more.
        ``success`` means that the marginal error, recomputed from the returned plan, is at most `tol`.
        For b of shape (m, k) a list of k such results: from `solve_batch`'s one compiled call where no method, start,
        callback, verbosity or time limit is asked for and C has at most 2^22 entries, else from k solves.

    Raises
    ------
    ValueError
        NaN or infinity, negative weights, shapes that do not fit, masses that differ by more than 1e-6
        (below that b is rescaled, above 1e-12 with a warning), reg <= 0, an empty problem.
    TypeError
        Data that is not real, or masked or sparse.
    MethodError, OptionError
        An unknown method or option, or an option out of range.

    Notes
    -----
    Where the costs span at most 400 times reg, Newton's method stores the plan (n * m float64 numbers) and scales
    it, as Sinkhorn's iteration in the kernel domain does. Elsewhere it works in passes that read C once and take one
    exponential an entry. Such problems of more than 2**25 entries are left to Sinkhorn's iteration, extrapolated.

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
    check_rng(rng)
    if comm is not None:
        return _solved_together(
            as_reducer(comm), lambda: matrix_cost(C), a, b, reg, tol, norm, warm_start, certify,
            threads, method, options, lambda: Control(max_iter, time_limit, callback, verbose, resume), allow_inf,
        )  # fmt: skip
    cost, copies = matrix_cost(C, forbidden_cost(reg) if allow_inf else None)
    if np.ndim(b) == 2:  # type: ignore[arg-type]
        if resume is not None:
            raise ValueError("resume is for a solve with one target: b has two dimensions")
        single = functools.partial(
            solve, C, a, reg=reg, method=method, options=options, tol=tol, norm=norm, warm_start=warm_start,
            certify=certify, allow_inf=allow_inf, max_iter=max_iter, time_limit=time_limit, callback=callback,
            verbose=verbose, threads=threads,
        )  # fmt: skip
        asked = (method, options, warm_start, time_limit, callback)
        plain = verbose == 0 and cost.forbidden is None and all(x is None for x in asked)
        assert cost.matrix is not None
        return solve_histograms(  # type: ignore[return-value]
            cost.matrix, a, real_array(b, "b"), single, plain=plain, reg=reg, tol=tol, norm=norm, max_iter=max_iter,
            threads=threads,
        )  # fmt: skip
    problem = checked_by_reg(cost, a, b, tol, norm, certify, copies, threads)(reg, warm_start)
    control = Control(max_iter, time_limit, callback, verbose, resume)
    result: TransportResult = run_method(problem, method, choose, options, control)
    return result


def solve_sample(
    X: npt.ArrayLike,
    Y: npt.ArrayLike,
    a: npt.ArrayLike | None = None,
    b: npt.ArrayLike | None = None,
    *,
    reg: float,
    metric: str | BlockFunction = "sqeuclidean",
    p: float | None = None,
    method: str | None = None,
    options: Mapping[str, Any] | None = None,
    tol: float = 1e-9,
    norm: str = "l1",
    warm_start: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    certify: bool = True,
    allow_inf: bool = False,
    max_iter: int = 10_000,
    time_limit: float | None = None,
    callback: Callback | None = None,
    verbose: int = 0,
    resume: Any = None,
    rng: RNG = None,
    threads: int | None = None,
    comm: Any = None,
) -> TransportResult:
    """Entropic optimal transport between two point clouds, the cost made on the fly: O(n + m) memory.

    Parameters
    ----------
    X, Y : array_like, shapes (n, d) and (m, d)
        The points; computed on in float64.
    metric : str or callable, default "sqeuclidean"
        The cost between two points: "sqeuclidean", "euclidean", "cityblock", "chebyshev", "cosine" or
        "minkowski", as in `scipy.spatial.distance.cdist`. Or a function of blocks: ``metric(X[rows], Y)`` returns
        the (rows, m) costs of some rows; it is called once a block and pass, and memory is that of one block (4 MB).
    p : float, optional
        Exponent > 0 of "minkowski", 2 by default; inf is "chebyshev".
    a, b, reg, method, options, tol, norm, warm_start, certify : optional
        As in `solve`.
    allow_inf : bool, default False
        Whether a function given as metric may return +inf for arcs that are forbidden, see `solve`.
    max_iter, time_limit, callback, verbose, resume, rng, threads : optional
        As in `solve`.
    comm : optional
        As in `solve`: each rank gives its own points X with their part of `a`, and all the same Y and b.

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
    check_rng(rng)
    if comm is not None:
        return _solved_together(
            as_reducer(comm), lambda: (points_cost(X, Y, metric, p), 0), a, b, reg, tol, norm, warm_start, certify,
            threads, method, options, lambda: Control(max_iter, time_limit, callback, verbose, resume), allow_inf,
        )  # fmt: skip
    cost = points_cost(X, Y, metric, p, forbidden_cost(reg) if allow_inf else None)
    problem = checked_by_reg(cost, a, b, tol, norm, certify, 0, threads)(reg, warm_start)
    control = Control(max_iter, time_limit, callback, verbose, resume)
    result: TransportResult = run_method(problem, method, choose, options, control)
    return result


def matrix_cost(C: npt.ArrayLike, forbidden: float | None = None) -> tuple[Cost, int]:
    """The checked cost matrix, `forbidden` for its infinite entries, and how many copies of it were made."""
    matrix = real_array(C, "C", ndim=2, keep_float32=True)
    copied = matrix is not C
    in_rows = not matrix.size or (matrix.strides[1] == matrix.itemsize and not matrix.strides[0] % matrix.itemsize)
    if not (in_rows and matrix.flags.aligned):
        matrix, copied = matrix.copy("C"), True
    _check_not_empty(matrix.shape, "C")
    cost = Cost(matrix=matrix)
    if cost.finite:
        return cost, int(copied)
    return Cost(matrix=checked_costs(matrix, "C", forbidden), forbidden=forbidden), 1


def points_cost(
    X: npt.ArrayLike,
    Y: npt.ArrayLike,
    metric: str | BlockFunction,
    p: float | None = None,
    forbidden: float | None = None,
) -> Cost:
    """The checked cost between points."""
    x, y = real_array(X, "X", ndim=2), real_array(Y, "Y", ndim=2)
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"X and Y differ in dimension: shapes {x.shape} and {y.shape}")
    _check_not_empty(x.shape, "X")
    _check_not_empty(y.shape, "Y")
    check_finite(x, "X")
    check_finite(y, "Y")
    return sample_cost(x, y, metric, p, forbidden)


def run_method(
    problem: Kind,
    method: str | None,
    choose: Callable[[Kind], tuple[str, dict[str, Any], str]],
    options: Mapping[str, Any] | None,
    control: Control,
) -> Any:
    """Run the method of that name, or the one that the rule chooses, with its options where none are given."""
    why = ""
    if method is None:
        method, chosen, why = choose(problem)
        options = chosen if options is None else options
    record = lookup("ot", method, problem.needs)
    if problem.unreachable is not None:
        return problem.infeasible(record.name)
    return run(record, problem, control, options, why)


def choose(problem: TransportProblem) -> tuple[str, dict[str, Any], str]:
    """The method for ``method=None``, its options, and why."""
    span = f"the costs span {problem.ratio:.3g} reg"
    if problem.ratio > EASY_SPAN:
        return "newton", {}, f"Chose newton, the default: annealed, since {span}."
    if math.prod(problem.cost.shape) <= MOST_STORED:
        return "newton", {}, f"Chose newton, the default: on a stored plan, since {span}."
    return "sinkhorn", {"memory": MEMORY}, f"Chose sinkhorn: {span}, and the plan is too large to store."


def choose_shared(problem: SharedRows) -> tuple[str, dict[str, Any], str]:
    """The method for `comm`: that for one process."""
    method, options, why = choose(problem)
    return method, options, f"{why} Its passes are over the rows of {problem.across.size} ranks."


def _solved_together(
    across: Reducer,
    make: Callable[[], tuple[Cost, int]],
    a: npt.ArrayLike | None,
    b: npt.ArrayLike | None,
    reg: float,
    tol: float,
    norm: str,
    warm_start: tuple[npt.ArrayLike, npt.ArrayLike] | None,
    certify: bool,
    threads: int | None,
    method: str | None,
    options: Mapping[str, Any] | None,
    control: Callable[[], Control],
    allow_inf: bool,
) -> TransportResult:
    """The problem of all ranks' rows, of which this one has those of the cost that is made here."""
    with agreed(across) as same:
        cost, copies = make()
        limits = control()
        if allow_inf:
            raise ValueError("allow_inf does not go with comm: whether a plan exists takes all rows together")
        if np.ndim(b) == 2:  # type: ignore[arg-type]
            raise ValueError("b must have one dimension with comm")
        n, m = cost.shape
        weights_a = None if a is None else _weights(a, "a", n, cost.shape)
        weights_b = _weights(b, "b", m, cost.shape)
        _, g = _start(warm_start, n, m)
        same |= {"reg": positive(reg, "reg"), "tol": positive(tol, "tol"), "norm": norm, "certify": bool(certify)}
        same |= {"b": weights_b, "warm_start g": g, "method": method, "options": options}
        same |= {"whether a is given": a is not None, "max_iter": limits.max_iter}
        same |= {"whether it resumes": limits.resume is None, "the kind of cost": cost.capability}
        if cost.points is not None:
            same["Y"] = cost.points[1]
    counts = across.gather(n)
    if weights_a is None:
        weights_a = np.full(n, 1.0 / sum(counts))
    mass = _kernels.total(np.ascontiguousarray(rows_of_all(across, weights_a[:, None], counts)[:, 0]))
    weights_b = of_mass(weights_b, mass)
    kind = functools.partial(TransportProblem, certified=bool(certify))
    own = assembled(kind, cost, weights_a, weights_b, reg, tol, norm, warm_start, copies, threads, across, mass)
    problem = undrifted(shared(own, across))
    result: TransportResult = run_method(problem, method, choose_shared, options, limits)
    return result


def checked_by_reg(
    cost: Cost,
    a: npt.ArrayLike | None,
    b: npt.ArrayLike | None,
    tol: float,
    norm: str,
    certify: bool,
    copies: int,
    threads: int | None,
) -> Callable[[float, tuple[npt.ArrayLike, npt.ArrayLike] | None], TransportProblem]:
    """The problem as a function of reg and the start: what does not depend on them is looked at once."""
    weights_a, weights_b = checked_weights(cost, a, b)
    served = of_weight(cost, weights_a, equal_mass(weights_a, weights_b), copies)
    kind = functools.partial(TransportProblem, certified=bool(certify))
    return lambda reg, start: undrifted(at_strength(kind, served, reg, tol, norm, start, threads))


def undrifted(problem: Kind) -> Kind:
    """The problem with a start whose potentials have not drifted off against each other."""
    drift = problem.drift(problem.v0)
    return dataclasses.replace(problem, u0=problem.u0 + drift, v0=problem.v0 - drift) if drift else problem


def checked_weights(cost: Cost, a: npt.ArrayLike | None, b: npt.ArrayLike | None) -> tuple[Array, Array]:
    """The weights of both sides, uniform where not given."""
    n, m = cost.shape
    return _weights(a, "a", n, cost.shape), _weights(b, "b", m, cost.shape)


def assembled(
    kind: Callable[..., Kind],
    cost: Cost,
    weights_a: Array,
    weights_b: Array,
    reg: float,
    tol: float,
    norm: str,
    warm_start: tuple[npt.ArrayLike, npt.ArrayLike] | None,
    copies: int,
    threads: int | None,
    across: Reducer = SERIAL,
    mass: float | None = None,
    missed: Callable[[Cost, Array, Array], tuple[Array, Array] | None] = unreachable,
) -> Kind:
    """A problem of that kind, rows and columns of zero weight left out.

    Where ranks share the rows, `mass` is that of all. `missed` finds who cannot be served on the allowed arcs.
    """
    served = of_weight(cost, weights_a, weights_b, copies, mass, missed)
    return at_strength(kind, served, reg, tol, norm, warm_start, threads, across)


class Served(NamedTuple):
    """The cost between sources and targets of positive weight: a problem that lacks its reg."""

    #: The cost among these, and the one given.
    cost: Cost
    whole: Cost
    a: Array
    b: Array
    #: Their places; None: all.
    kept_rows: Array | None
    kept_columns: Array | None
    copies: int
    #: Rows and columns that no plan on the allowed arcs can serve; None where none is known of.
    unreachable: tuple[Array, Array] | None


def of_weight(
    cost: Cost,
    a: Array,
    b: Array,
    copies: int,
    mass: float | None = None,
    missed: Callable[[Cost, Array, Array], tuple[Array, Array] | None] = unreachable,
) -> Served:
    """What is left without the rows and columns of zero weight."""
    whole, (n, m) = cost, cost.shape
    rows, columns = places_of_weight(a, mass), places_of_weight(b)
    kept_rows, kept_columns = (None if len(at) == size else at for at, size in ((rows, n), (columns, m)))
    if kept_rows is not None or kept_columns is not None:
        cost, a, b, copies = cost.restricted(rows, columns), a[rows], b[columns], copies + 1
    return Served(cost, whole, a, b, kept_rows, kept_columns, copies, missed(cost, a, b))


def at_strength(
    kind: Callable[..., Kind],
    served: Served,
    reg: float,
    tol: float,
    norm: str,
    warm_start: tuple[npt.ArrayLike, npt.ArrayLike] | None,
    threads: int | None,
    across: Reducer = SERIAL,
) -> Kind:
    """The problem of that kind with this reg."""
    reg, tol = positive(reg, "reg"), positive(tol, "tol")
    if norm not in NORMS:
        raise ValueError(f"norm must be one of {', '.join(NORMS)}, not {norm!r}")
    f, g = _start(warm_start, *served.whole.shape)
    f = f if served.kept_rows is None else f[served.kept_rows]
    g = g if served.kept_columns is None else g[served.kept_columns]
    scale = 1.0 / (reg * LN2)
    span = served.cost.span_of_all(across)
    if not np.isfinite(scale * span):
        raise ValueError(f"the costs overflow in units of reg: they span up to {span:g}, reg is {reg:g}")
    cost = served.cost.with_offset(scale, across)
    return kind(
        cost=cost, whole=served.whole, a=served.a, b=served.b, reg=reg, tol=tol, norm=str(norm),
        threads=_threads.resolve(threads),
        u0=(f if cost.offset is None or warm_start is None else f - cost.offset) * scale,
        v0=(g if cost.column_offset is None or warm_start is None else g - cost.column_offset) * scale,
        kept_rows=served.kept_rows, kept_columns=served.kept_columns, shape=served.whole.shape, copies=served.copies,
        unreachable=served.unreachable,
    )  # fmt: skip


def forbidden_cost(reg: float) -> float:
    """What stands for an infinite cost: finite also in units of reg."""
    return 1e290 * min(1.0, positive(reg, "reg"))


def _check_not_empty(shape: tuple[int, ...], name: str) -> None:
    if 0 in shape:
        raise ValueError(f"{name} is empty: shape {shape}")


def _weights(weights: npt.ArrayLike | None, name: str, size: int, shape: tuple[int, int]) -> Array:
    if weights is None:
        return np.full(size, 1.0 / size)
    array = np.require(real_array(weights, name, ndim=1), requirements=["C", "ALIGNED"])
    if array.shape != (size,):
        raise ValueError(f"{name} has shape {array.shape}, which does not fit the cost's shape {shape}")
    check_finite(array, name)
    if array.min() < 0:
        index = int(array.argmin())
        raise ValueError(f"{name} must be >= 0; {name}[{index}] is {array[index]}")
    mass = _kernels.total(array)
    if not 0 < mass < np.inf:
        raise ValueError(f"{name} has {'no' if mass == 0 else 'infinite'} mass: its sum is {mass}")
    return array


def equal_mass(a: Array, b: Array) -> Array:
    """b, rescaled to the mass of a where they differ slightly."""
    return of_mass(b, _kernels.total(a))


def of_mass(b: Array, mass_a: float) -> Array:
    """b, rescaled to the mass of a where they differ slightly."""
    mass_b = _kernels.total(b)
    difference = abs(mass_a - mass_b) / max(mass_a, mass_b)
    if difference > MASS_WARNED:
        raise ValueError(f"a and b must have the same mass: a sums to {mass_a!r}, b to {mass_b!r}")
    if difference > MASS_SILENT:
        warnings.warn(f"b is rescaled: a sums to {mass_a!r}, b to {mass_b!r}", RuntimeWarning, stacklevel=5)
    return b if difference == 0 else b * (mass_a / mass_b)


def places_of_weight(weights: Array, mass: float | None = None) -> Array:
    """Where the weights count, beside their mass or the one given."""
    least = NEGLIGIBLE_WEIGHT * (_kernels.total(weights) if mass is None else mass)
    return np.flatnonzero(weights > least)


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
