"""`linprog`: SciPy's form of a linear program, and of its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse

from .._base.iterate import Callback, Control
from .._base.rng import RNG
from .._base.validate import check_finite, real_array
from ._lp import solve_program
from ._lp_problem import LpResult
from ._program import Array, LinearProgram


class Limit(NamedTuple):
    """What a kind of constraint leaves: the distance to it, and the change of `fun` for a unit more of its side."""

    residual: Array
    marginals: Array


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class LinprogResult(LpResult):
    """Result of `linprog`: an `LpResult`, whose rows are those of A_ub and then those of A_eq, with SciPy's attributes.

    Attributes
    ----------
    slack, con : ndarray
        ``b_ub - A_ub @ x`` and ``b_eq - A_eq @ x``.
    ineqlin, eqlin, lower, upper : Limit
        With `residual` and `marginals`: of the rows of A_ub (marginals <= 0), of those of A_eq, of the lower bounds
        (>= 0) and of the upper ones (<= 0).
    """

    slack: Array
    con: Array
    ineqlin: Limit
    eqlin: Limit
    lower: Limit
    upper: Limit


def linprog(
    c: npt.ArrayLike,
    A_ub: Any = None,
    b_ub: npt.ArrayLike | None = None,
    A_eq: Any = None,
    b_eq: npt.ArrayLike | None = None,
    bounds: Any = (0, None),
    *,
    method: str | None = None,
    options: Mapping[str, Any] | None = None,
    tol: float = 1e-6,
    x0: npt.ArrayLike | None = None,
    y0: npt.ArrayLike | None = None,
    max_iter: int = 100_000,
    time_limit: float | None = None,
    callback: Callback | None = None,
    verbose: int = 0,
    resume: Any = None,
    rng: RNG = None,
    threads: int | None = None,
) -> LinprogResult:
    """Solve ``min c @ x``, ``A_ub @ x <= b_ub``, ``A_eq @ x == b_eq`` and bounds, called as `scipy.optimize.linprog`.

    Parameters
    ----------
    c : array_like, shape (n,)
        The objective.
    A_ub, A_eq : array_like or sparse matrix, shapes (m, n) and (k, n), optional
        The rows.
    b_ub, b_eq : array_like, shapes (m,) and (k,), optional
        Their right-hand sides.
    bounds : (low, high), or a sequence of n such pairs, or an array of shape (n, 2), default (0, None)
        None stands for no bound, as does an infinity, or 1e20 and more; so it does in b_ub.
    x0, y0 : array_like, shapes (n,) and (m + k,), optional
        A first guess of the point, and of the rows' multipliers.
    tol : float, default 1e-6
        As in `solvers.equilibrium.lp`.
    method : {"lp-ipm", "lp-pdhg"}, optional
        By default the one that promises to be faster; the message tells.
    options, max_iter, time_limit, callback, verbose, resume, rng, threads
        As in `solvers.equilibrium.lp`.

    Returns
    -------
    LinprogResult
        With `x`, `fun`, `slack`, `con`, `ineqlin`, `eqlin`, `lower`, `upper`, `ray` and what `lp` returns. `status` is
        a `solvers.Status`: INFEASIBLE and UNBOUNDED stand for SciPy's 2 and 3.

    Raises
    ------
    ValueError
        NaN, infinite entries where none may be, shapes that do not fit; names the argument.
    MethodError, OptionError
        An unknown method or option, or an option out of range.

    Examples
    --------
    >>> from solvers.equilibrium import linprog
    >>> result = linprog([-1.0, 4.0], A_ub=[[-3.0, 1.0], [1.0, 2.0]], b_ub=[6, 4], bounds=[(None, None), (-3, None)])
    >>> result.x.round(4), round(result.fun, 4), result.ineqlin.marginals.round(4) + 0.0
    (array([10., -3.]), -22.0, array([ 0., -1.]))
    """
    cost = real_array(c, "c", ndim=1)
    above, high = _rows(A_ub, b_ub, len(cost), "ub")
    equal, sides = _rows(A_eq, b_eq, len(cost), "eq")
    lb, ub = _bounds(bounds, len(cost))
    A = scipy.sparse.vstack([above, equal], format="csr")
    low = np.concatenate([np.full(len(high), -np.inf), sides])
    program = LinearProgram(cost, A, low, np.concatenate([high, sides]), lb, ub)
    result = solve_program(
        program, 0, x0, y0, tol, method, options, Control(max_iter, time_limit, callback, verbose, resume), rng, threads
    )
    return _like_scipy(result, program, len(high))


def _like_scipy(result: LpResult, program: LinearProgram, m: int) -> LinprogResult:
    """The result with SciPy's attributes."""
    left, z = program.u - result.activity, result.reduced_costs
    return LinprogResult(
        **dict(result), slack=left[:m], con=left[m:],
        ineqlin=Limit(left[:m], result.y[:m]), eqlin=Limit(left[m:], result.y[m:]),
        lower=Limit(result.x - program.lb, np.where(np.isfinite(program.lb), np.maximum(z, 0.0), 0.0)),
        upper=Limit(program.ub - result.x, np.where(np.isfinite(program.ub), np.minimum(z, 0.0), 0.0)),
    )  # fmt: skip


def _rows(A: Any, b: Any, n: int, name: str) -> tuple[Any, Array]:
    """Rows and right-hand sides, of no rows where neither is given."""
    if A is None or b is None:
        if A is not None or b is not None:
            missing, given = ("A", "b") if A is None else ("b", "A")
            raise ValueError(f"{missing}_{name} must be given beside {given}_{name}")
        return scipy.sparse.csr_array((0, n)), np.empty(0)
    sides = np.atleast_1d(real_array(b, f"b_{name}"))
    matrix = scipy.sparse.csr_array(A) if scipy.sparse.issparse(A) else np.atleast_2d(real_array(A, f"A_{name}"))
    if matrix.dtype.kind not in "biuf":
        raise TypeError(f"A_{name} must be real numbers, not {matrix.dtype}")
    if matrix.shape[1] != n or sides.shape != (matrix.shape[0],):
        shapes = f"{matrix.shape} and {sides.shape}"
        raise ValueError(f"A_{name} and b_{name} must have shapes (m, {n}) and (m,), not {shapes}")
    check_finite(np.asarray(matrix.data if scipy.sparse.issparse(matrix) else matrix), f"A_{name}")
    if name == "eq":
        check_finite(sides, "b_eq")
    return scipy.sparse.csr_array(matrix, dtype=np.float64), sides


def _bounds(bounds: Any, n: int) -> tuple[Array, Array]:
    """Lower and upper bounds."""
    if bounds is None:
        return np.zeros(n), np.full(n, np.inf)
    if hasattr(bounds, "lb") and hasattr(bounds, "ub"):  # scipy.optimize.Bounds
        low, high = (np.broadcast_to(real_array(bound, "bounds"), n).copy() for bound in (bounds.lb, bounds.ub))
        return low, high
    pairs = bounds if isinstance(bounds, np.ndarray) else list(bounds)
    if len(pairs) == 2 and not any(np.ndim(p) for p in pairs) and not isinstance(bounds, np.ndarray):
        pairs = [tuple(pairs)]
    if not isinstance(pairs, np.ndarray) or pairs.dtype == object:
        if any(np.ndim(pair) != 1 or len(pair) != 2 for pair in pairs):
            raise ValueError("bounds must be a pair, or a sequence of pairs")
        pairs = [(-np.inf if low is None else low, np.inf if high is None else high) for low, high in pairs]
    table = real_array(pairs, "bounds")
    if table.shape == (2,):
        table = table[None, :]
    if table.ndim != 2 or table.shape[1] != 2 or table.shape[0] not in (1, n):
        raise ValueError(f"bounds must be one pair or {n} pairs, not of shape {table.shape}")
    if np.isnan(table).any():
        raise ValueError("bounds must not hold NaN")
    low, high = np.broadcast_to(table, (n, 2)).T
    return low.copy(), high.copy()
