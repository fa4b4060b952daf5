"""Many small programs of one shape in one compiled call."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from .._base import threads as _threads
from .._base.compiled import address_of
from .._base.result import Status
from .._base.validate import check_finite, integer, positive, real_array
from . import _again, _kernels
from ._constraints import box
from ._curvature import is_strategy
from ._gala import Gala
from ._pieces import LinearRows, sides
from ._result import MinimizeResult

Array = npt.NDArray[Any]

#: The columns of what is counted for each program, and of the numbers of its answer.
STATUS, NIT, NFEV, NJEV, NHEV = range(5)
FUN, OPTIMALITY, VIOLATION, COMPLEMENTARITY = range(4)
#: Seconds between looks for Ctrl-C.
SLICE = 0.1


@dataclass(frozen=True, eq=False, repr=False)
class MinimizeBatchResult(Sequence[MinimizeResult]):
    """Results of a batch: arrays with an entry or a row for each program; ``result[k]`` is program k's own result.

    Attributes
    ----------
    x, bound_multipliers, jac : ndarray, shape (k, n)
        The answers, the multipliers of the bounds, the gradients.
    multipliers : ndarray, shape (k, m)
        Of all rows, in the order of the constraints.
    fun, optimality, constr_violation, complementarity : ndarray, shape (k,)
        As in a `MinimizeResult`.
    measure : ndarray, shape (k,)
        The largest of the last three, recomputed at the answers on the user's functions.
    success : ndarray of bool, shape (k,)
        Whether that is at most `tol`.
    status : ndarray of int, shape (k,)
        Numbers of `solvers.Status`; ``solvers.Status(result.status[k]).sentence`` says what happened.
    nit, nfev, njev, nhev : ndarray of int, shape (k,)
        Iterations, and calls of the objective, its gradient, its Hessian.
    all_success : bool
        Whether every program succeeded.
    stats : dict
        Seconds, threads, isa.
    """

    x: Array
    fun: Array
    jac: Array
    multipliers: Array
    bound_multipliers: Array
    optimality: Array
    constr_violation: Array
    complementarity: Array
    measure: Array
    success: Array
    status: Array
    nit: Array
    nfev: Array
    njev: Array
    nhev: Array
    tol: float
    stats: dict[str, Any]
    #: Rows of each constraint, and whether bounds were given.
    counts: tuple[int, ...]
    bounded: bool

    @property
    def all_success(self) -> bool:
        """Whether every program succeeded."""
        return bool(self.success.all())

    def __len__(self) -> int:
        return len(self.status)

    @overload
    def __getitem__(self, index: int) -> MinimizeResult: ...
    @overload
    def __getitem__(self, index: slice) -> list[MinimizeResult]: ...
    def __getitem__(self, index: int | slice) -> MinimizeResult | list[MinimizeResult]:
        if isinstance(index, slice):
            return [self._result(k) for k in range(len(self))[index]]
        return self._result(range(len(self))[index])

    def __repr__(self) -> str:
        rows = self.multipliers.shape[1]
        solved = int(self.success.sum())
        return f"<{len(self)} programs of {self.x.shape[1]} variables and {rows} rows, {solved} solved>"

    def _result(self, k: int) -> MinimizeResult:
        status = Status(int(self.status[k]))  # type: ignore[call-arg]
        v = np.split(self.multipliers[k], np.cumsum(self.counts)[:-1]) if self.counts else []
        return MinimizeResult(
            x=self.x[k], success=bool(self.success[k]), status=status, message=status.sentence, nit=int(self.nit[k]),
            measure=float(self.measure[k]), method="gala", stats=dict(self.stats), fun=float(self.fun[k]),
            jac=self.jac[k], multipliers=self.multipliers[k], bound_multipliers=self.bound_multipliers[k],
            v=[*v, self.bound_multipliers[k]] if self.bounded else v, optimality=float(self.optimality[k]),
            constr_violation=float(self.constr_violation[k]), complementarity=float(self.complementarity[k]),
            nfev=int(self.nfev[k]), njev=int(self.njev[k]), nhev=int(self.nhev[k]), inner="dense",
        )  # fmt: skip


def minimize_batch(
    fun: Any,
    x0: npt.ArrayLike,
    data: npt.ArrayLike | None = None,
    *,
    jac: Any,
    hess: Any = None,
    bounds: Any = None,
    constraints: Any = (),
    tol: float = 1e-8,
    max_iter: int = 3000,
    threads: int | None = None,
) -> MinimizeBatchResult:
    """Minimise many functions of one shape in one call: what `solvers.minimize` does to each, without Python between.

    For families of small programs, one a time step, a pixel, a scenario: the functions are compiled once, and what
    tells the programs apart is a row of numbers that reaches them as their ``user_data``, their start, and their sides.

    Parameters
    ----------
    fun : scipy.LowLevelCallable or numba cfunc
        ``double fun(int n, double *x, void *user_data)``. Functions of Python's belong to `solvers.minimize` in a loop.
    x0 : array_like, shape (k, n)
        Where each program starts, moved within its bounds.
    data : array_like, shape (k, p), optional
        Row i is the user_data of every function in program i, a ``const double *``. Without it they have their own.
    jac : compiled
        The gradient, ``void jac(int n, double *x, double *g, void *user_data)``.
    hess : compiled, optional
        The Hessian, ``void hess(int n, double *x, double *H, void *user_data)``, the lower triangle, into zeros.
        Without it, or where a constraint has none, damped BFGS updates stand for the Lagrangian's.
    bounds : Bounds or sequence of pairs, optional
        Of all programs; or `Bounds` whose sides have shape (k, n), a row for each.
    constraints : constraint or sequence of them
        `LinearConstraint`, with a matrix and sides for all programs, and `NonlinearConstraint` with compiled fun, jac
        and hess (signatures in `solvers.minimize`), whose sides tell the number of rows: shape (m,) for all, or (k, m).
    tol : float, default 1e-8
        As for `solvers.minimize`.
    max_iter : int, default 3000
        Iterations at most for each program.
    threads : int, optional
        Programs are shared out to so many; the functions are then called from several threads at once.

    Returns
    -------
    MinimizeBatchResult
        Arrays over programs, and a sequence of `MinimizeResult`. Answers are those of single solves to the bit,
        whatever the number of threads. A program that is not finite at its start has the status NONFINITE.

    Raises
    ------
    ValueError
        Shapes that do not fit, an x0 or data that is not finite, sides that cross.
    TypeError
        Functions that are not compiled.

    Notes
    -----
    Programs are not interleaved in the lanes of vectors: they take different steps from the second iteration on, and
    the functions take one point. What is saved is Python, 25 microseconds a program and more. A program with Hessians
    that ends where `minimize` has further starts is solved once more, by that.

    Examples
    --------
    The points of an ellipse next to given points:

    >>> import numpy as np, solvers
    >>> from numba import carray, cfunc, types
    >>> from scipy.optimize import NonlinearConstraint
    >>> double, real = types.CPointer(types.double), types.double
    >>> vector, rows = types.void(types.intc, double, double, double), types.void(types.intc, types.intc, *[double] * 3)
    >>> @cfunc(real(types.intc, double, double))
    ... def fun(n, x, point):
    ...     return (x[0] - point[0]) ** 2 + (x[1] - point[1]) ** 2
    >>> @cfunc(vector)
    ... def jac(n, x, g, point):
    ...     g[0], g[1] = 2 * (x[0] - point[0]), 2 * (x[1] - point[1])
    >>> @cfunc(rows)
    ... def ellipse(n, m, x, c, point):
    ...     c[0] = x[0] ** 2 / 4 + x[1] ** 2
    >>> @cfunc(rows)
    ... def ellipse_jac(n, m, x, J, point):
    ...     J[0], J[1] = x[0] / 2, 2 * x[1]
    >>> on_it = NonlinearConstraint(lambda x: 0, 1, 1)
    >>> on_it.fun, on_it.jac, on_it.hess = ellipse, ellipse_jac, None
    >>> points = np.array([[4.0, 0.5], [0.2, 3.0], [-1.0, -2.0]])
    >>> result = solvers.optimize.minimize_batch(fun, points, points, jac=jac, constraints=on_it)
    >>> result.all_success, bool(np.allclose(result.x[:, 0] ** 2 / 4 + result.x[:, 1] ** 2, 1))
    (True, True)
    """
    start = time.perf_counter()
    points = real_array(x0, "x0")
    if points.ndim != 2 or points.shape[1] == 0:
        raise ValueError(f"x0 must have a row for each program, shape (k, n), not {points.shape}")
    check_finite(points, "x0")
    programs, n = points.shape
    told = None if data is None else _told(data, programs)
    tol, max_iter, threads = positive(tol, "tol"), integer(max_iter, "max_iter"), _threads.resolve(threads)
    lower, upper = _bounds(bounds, programs, n)
    compiled, row_lower, row_upper, counts = _functions(fun, jac, hess, constraints, programs, n)
    learned = None if compiled.has_hessian else "bfgs"
    settings = Gala().settings(tol, exact=int(learned is None), sequential=learned is None)
    x, z, g, y, numbers, counted = _kernels.gala_batch(
        compiled, learned, np.minimum(np.maximum(points, lower), upper), told, (lower, upper, row_lower, row_upper),
        settings, max_iter, threads, SLICE,
    )  # fmt: skip
    # a sum carries NaN, which a maximum of C's may lose
    finite = np.isfinite(numbers.sum(axis=1))
    measure = np.where(finite, numbers[:, OPTIMALITY:].max(axis=1), np.inf)
    success, status = measure <= tol, counted[:, STATUS]
    status = np.where(success, Status.CONVERGED, np.where(np.isinf(measure), Status.NONFINITE, np.where(
        status == Status.CONVERGED, Status.STAGNATION, status)))  # fmt: skip
    stats = {"threads": threads, "isa": _threads.build_info()["isa"]}
    found = MinimizeBatchResult(
        x=x, fun=numbers[:, FUN], jac=g, multipliers=y, bound_multipliers=z, optimality=numbers[:, OPTIMALITY],
        constr_violation=numbers[:, VIOLATION], complementarity=numbers[:, COMPLEMENTARITY], measure=measure,
        success=success, status=status, nit=counted[:, NIT], nfev=counted[:, NFEV], njev=counted[:, NJEV],
        nhev=counted[:, NHEV], tol=tol, stats=stats, counts=counts, bounded=bounds is not None,
    )  # fmt: skip
    if learned is None and counts:
        given = list(zip(_several(constraints), counts, strict=True))
        for k in _again.left(status, all(hasattr(one, "A") for one, _ in given)):
            limits, rows = (
                (low[k % len(low)], high[k % len(high)]) for low, high in ((lower, upper), (row_lower, row_upper))
            )
            own = None if told is None else told[k]
            one = _again.alone((fun, jac, hess), points[k], own, limits, given, rows, tol=tol, max_iter=max_iter)
            _put(found, k, one)
    stats["seconds"] = time.perf_counter() - start
    return found


def _put(found: MinimizeBatchResult, k: int, one: MinimizeResult) -> None:
    """The result of program k becomes that of its solve alone."""
    for name in (
        "x", "fun", "jac", "multipliers", "bound_multipliers", "optimality", "constr_violation", "complementarity",
        "measure", "success", "status", "nit", "nfev", "njev", "nhev",
    ):  # fmt: skip
        getattr(found, name)[k] = getattr(one, name)


def _several(constraints: Any) -> list[Any]:
    return [constraints] if hasattr(constraints, "lb") else list(constraints or ())


def _told(data: npt.ArrayLike, programs: int) -> Array:
    told = real_array(data, "data")
    if told.ndim != 2 or len(told) != programs:
        raise ValueError(f"data must have a row for each of {programs} programs, not shape {told.shape}")
    check_finite(told, "data")
    return np.ascontiguousarray(told)


def _each(lower: Any, upper: Any, programs: int, count: int, name: str) -> tuple[Array, Array]:
    """Sides as (1 or programs, count), checked."""
    if np.ndim(lower) < 2 and np.ndim(upper) < 2:
        low, high, _ = sides(lower, upper, count, name)
        return low[None], high[None]
    shape = programs, count
    low, high = (_spread(values, shape, f"{name}.{side}") for values, side in ((lower, "lb"), (upper, "ub")))
    low, high, _ = sides(low, high, programs * count, name)
    return low.reshape(shape), high.reshape(shape)


def _spread(values: Any, shape: tuple[int, int], name: str) -> Array:
    """One side of all rows of all programs, flat."""
    given = np.asarray(values, np.float64)
    try:
        return np.ascontiguousarray(np.broadcast_to(given, shape)).ravel()
    except ValueError:
        raise ValueError(f"{name} must have shape {shape[1:]} or {shape}, not {given.shape}") from None


def _bounds(bounds: Any, programs: int, n: int) -> tuple[Array, Array]:
    if hasattr(bounds, "lb") and hasattr(bounds, "ub"):
        return _each(bounds.lb, bounds.ub, programs, n, "bounds")
    limits = box(bounds, n)
    return limits.lower[None], limits.upper[None]


def _functions(
    fun: Any, jac: Any, hess: Any, constraints: Any, programs: int, n: int
) -> tuple[_kernels.Compiled, Array, Array, tuple[int, ...]]:
    """All functions, the sides of all rows, and the rows of each constraint."""
    for given, name in ((fun, "fun"), (jac, "jac"), (hess, "hess")):
        _compiled(given, name, or_none=name == "hess")
    several = _several(constraints)
    blocks: list[Any] = []
    lows, highs = [np.zeros((1, 0))], [np.zeros((1, 0))]
    for k, one in enumerate(several):
        name = "constraints" if one is constraints else f"constraints[{k}]"
        block, count = _block(one, n, name)
        low, high = _each(one.lb, one.ub, programs, count, name)
        blocks.append(block)
        lows.append(low)
        highs.append(high)
    compiled = _kernels.Compiled(n, fun, jac, hess, blocks)
    row_lower, row_upper = _joined(lows), _joined(highs)
    return compiled, row_lower, row_upper, tuple(low.shape[1] for low in lows[1:])


def _joined(parts: list[Array]) -> Array:
    rows = max(len(part) for part in parts)
    return np.ascontiguousarray(np.hstack([np.broadcast_to(part, (rows, part.shape[1])) for part in parts]))


def _block(given: Any, n: int, name: str) -> tuple[Any, int]:
    """A block of `Compiled`, and its number of rows."""
    if hasattr(given, "A"):
        linear = LinearRows(given.A, n, name)
        A = linear.A.toarray() if hasattr(linear.A, "toarray") else np.asarray(linear.A)
        return A, len(A)
    functions = [getattr(given, part, None) for part in ("fun", "jac", "hess")]
    if is_strategy(functions[2]):  # what a NonlinearConstraint has where its user says nothing
        functions[2] = None
    for function, part in zip(functions, ("fun", "jac", "hess"), strict=True):
        _compiled(function, f"{name}.{part}", or_none=part == "hess")
    if np.any(getattr(given, "keep_feasible", False)):
        raise ValueError(f"{name}.keep_feasible: not in a batch; use minimize")
    count = max(np.shape(side)[-1] if np.ndim(side) else 1 for side in (given.lb, given.ub))
    return (count, *functions), count


def _compiled(given: Any, name: str, or_none: bool) -> None:
    if address_of(given) is None and not (or_none and given is None):
        kind = type(given).__name__
        raise TypeError(
            f"{name} must be a LowLevelCallable or a cfunc, not {kind}; functions of Python's: use minimize"
        )
