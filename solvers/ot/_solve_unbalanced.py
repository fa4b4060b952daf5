"""The entries for unequal masses."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.iterate import Callback, Control
from .._base.rng import RNG, check_rng
from ._blocks import BlockFunction
from ._cost import Cost
from ._solve import (
    assembled,
    checked_weights,
    equal_mass,
    forbidden_cost,
    matrix_cost,
    places_of_weight,
    points_cost,
    run_method,
)
from ._support import unreachable
from ._unbalanced import UnbalancedProblem, UnbalancedResult

Array = npt.NDArray[Any]


def solve_unbalanced(
    C: npt.ArrayLike,
    a: npt.ArrayLike | None = None,
    b: npt.ArrayLike | None = None,
    *,
    reg: float,
    reg_m: float | tuple[float, float],
    method: str | None = None,
    options: Mapping[str, Any] | None = None,
    tol: float = 1e-9,
    norm: str = "l1",
    warm_start: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    allow_inf: bool = False,
    max_iter: int = 10_000,
    time_limit: float | None = None,
    callback: Callback | None = None,
    verbose: int = 0,
    resume: Any = None,
    rng: RNG = None,
    threads: int | None = None,
) -> UnbalancedResult:
    """Entropic transport whose marginals may differ from a and b, at a price, given the cost matrix.

    Minimises ``<C, P> + reg * KL(P | a b') + rho1 * KL(P 1 | a) + rho2 * KL(P' 1 | b)`` over plans P >= 0, with
    ``KL(p | q) = sum(p * log(p / q) - p + q)``. The masses of a and b may differ, and mass may be created or destroyed.

    Parameters
    ----------
    C : array_like, shape (n, m)
        Cost, as in `solve`.
    a, b : array_like, shapes (n,) and (m,), optional
        Weights >= 0 of any total mass; uniform with mass 1 where not given. Zero weights are allowed.
    reg : float
        Strength of the entropy, > 0, in units of the cost.
    reg_m : float or (float, float)
        The penalties rho1 and rho2 on the rows' and the columns' marginals, > 0, in units of the cost; one number
        serves both. ``inf`` makes a side hard: its marginal is met (one side: semi-relaxed transport; both: as
        `solve`, and then the masses must agree).
    method : str, optional
        ``"unbalanced-sinkhorn"`` or ``"unbalanced-newton"``. By default chosen by the rule in Notes.
    tol : float, default 1e-9
        Bound on the error of the returned plan, relative to its mass: the norm of
        ``(P 1 - a exp(-f / rho1), P' 1 - b exp(-g / rho2)) / sum(P)``, which is zero at the optimum alone.
    norm : {"l1", "l2", "linf"}, default "l1"
        The norm of that error.
    warm_start : (f, g), optional
        Potentials to start from, as a result of this function has them.
    allow_inf : bool, default False
        Whether a cost of +inf is allowed and forbids its arc (C is then copied). What no allowed arc serves stays where
        it is, at the price of its side; where that side is hard the status is INFEASIBLE, and ``result.stats`` has
        `unreachable_rows` and `unreachable_columns`.
    options, max_iter, time_limit, callback, verbose, resume, rng, threads
        As in `solve`.

    Returns
    -------
    UnbalancedResult
        With `plan`, `f`, `g`, `value`, `value_dual`, `gap`, `mass`, `marginal_error`, `status`, `success` and more.
        ``success`` means that the error, recomputed from the returned plan and potentials, is at most `tol`.

    Raises
    ------
    ValueError
        NaN or infinity, negative weights, shapes that do not fit, reg or reg_m not positive, an empty problem,
        both sides hard with different masses, no allowed arc at all.
    TypeError
        Data that is not real.
    MethodError, OptionError
        An unknown method or option, or an option out of range.

    Notes
    -----
    The rule for ``method=None``: the scaling iteration where the costs span at most 500 times reg or the smaller
    rho is at most 10 reg, since it converges fast there; else Newton, which lets reg fall in stages where the costs
    span thousands of it. An iteration of either reads C once and takes one exponential an entry.

    The reference measure of the entropy is ``a b'`` (POT: ``reg_type="kl"``). The problem with the reference 1
    (POT: ``reg_type="entropy"``) is this one with the cost ``C + reg * log(a b')``.

    References
    ----------
    Chizat, Peyre, Schmitzer, Vialard (2018), arXiv 1607.05816; Sejourne, Vialard, Peyre (2022), arXiv 2201.00730.

    Examples
    --------
    >>> import numpy as np, solvers
    >>> a, b = np.array([1.0, 1.0]), np.array([1.0, 2.0])
    >>> result = solvers.ot.solve_unbalanced([[0.0, 1.0], [1.0, 0.0]], a, b, reg=0.1, reg_m=1.0)
    >>> result.success
    True
    >>> bool(np.allclose(result.plan.dense().sum(1), a * np.exp(-result.f / 1.0)))
    True
    """
    cost, copies = matrix_cost(C, forbidden_cost(reg) if allow_inf else None)
    check_rng(rng)
    problem = _problem(cost, a, b, reg, reg_m, tol, norm, warm_start, copies, threads)
    control = Control(max_iter, time_limit, callback, verbose, resume)
    result: UnbalancedResult = run_method(problem, method, _choose, options, control)
    return result


def solve_unbalanced_sample(
    X: npt.ArrayLike,
    Y: npt.ArrayLike,
    a: npt.ArrayLike | None = None,
    b: npt.ArrayLike | None = None,
    *,
    reg: float,
    reg_m: float | tuple[float, float],
    metric: str | BlockFunction = "sqeuclidean",
    p: float | None = None,
    method: str | None = None,
    options: Mapping[str, Any] | None = None,
    tol: float = 1e-9,
    norm: str = "l1",
    warm_start: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    allow_inf: bool = False,
    max_iter: int = 10_000,
    time_limit: float | None = None,
    callback: Callback | None = None,
    verbose: int = 0,
    resume: Any = None,
    rng: RNG = None,
    threads: int | None = None,
) -> UnbalancedResult:
    """Unbalanced entropic transport between two point clouds, the cost made on the fly: O(n + m) memory.

    Parameters
    ----------
    X, Y : array_like, shapes (n, d) and (m, d)
        The points; computed on in float64.
    metric : str or callable, default "sqeuclidean"
        The cost between two points, as in `solve_sample`.
    p : float, optional
        Exponent > 0 of "minkowski", 2 by default; inf is "chebyshev".
    a, b, reg, reg_m, method, options, tol, norm, warm_start
        As in `solve_unbalanced`.
    allow_inf : bool, default False
        Whether a function given as metric may return +inf for arcs that are forbidden, see `solve_unbalanced`.
    max_iter, time_limit, callback, verbose, resume, rng, threads
        As in `solve_unbalanced`.

    Returns
    -------
    UnbalancedResult
        As from `solve_unbalanced`.

    Raises
    ------
    ValueError, TypeError, MethodError, OptionError
        As in `solve_unbalanced`; also where X and Y differ in dimension, or the metric is unknown.

    Examples
    --------
    >>> import numpy as np, solvers
    >>> rng = np.random.default_rng(7)
    >>> X, Y = rng.random((50, 3)), rng.random((60, 3))
    >>> Y[0] += 100  # an outlier, too far to be worth its transport
    >>> result = solvers.ot.solve_unbalanced_sample(X, Y, reg=0.05, reg_m=1.0)
    >>> result.success, bool(result.plan.marginals()[1][0] < 1e-30)
    (True, True)
    """
    cost = points_cost(X, Y, metric, p, forbidden_cost(reg) if allow_inf else None)
    check_rng(rng)
    problem = _problem(cost, a, b, reg, reg_m, tol, norm, warm_start, 0, threads)
    control = Control(max_iter, time_limit, callback, verbose, resume)
    result: UnbalancedResult = run_method(problem, method, _choose, options, control)
    return result


#: Up to this ratio of the costs' span to reg, or of rho to reg, the scaling iteration converges fast.
EASY_SPAN, EASY_RHO = 500.0, 10.0


def _choose(problem: UnbalancedProblem) -> tuple[str, dict[str, Any], str]:
    """The method for ``method=None``, its options, and why."""
    span, rho = problem.cost.span / problem.reg, min(problem.rho) / problem.reg
    method = "unbalanced-sinkhorn" if span <= EASY_SPAN or rho <= EASY_RHO else "unbalanced-newton"
    return method, {}, f"Chose {method}: the costs span {span:.3g} reg and the smaller rho is {rho:.3g} reg."


def _problem(
    cost: Cost,
    a: npt.ArrayLike | None,
    b: npt.ArrayLike | None,
    reg: float,
    reg_m: float | tuple[float, float],
    tol: float,
    norm: str,
    warm_start: tuple[npt.ArrayLike, npt.ArrayLike] | None,
    copies: int,
    threads: int | None,
) -> UnbalancedProblem:
    rho = _penalties(reg_m)
    weights_a, weights_b = checked_weights(cost, a, b)
    if rho == (np.inf, np.inf):
        weights_b = equal_mass(weights_a, weights_b)
    served_a, served_b = _served(cost, weights_a, weights_b, rho)
    unserved = float((weights_a - served_a).sum()), float((weights_b - served_b).sum())
    kind = functools.partial(UnbalancedProblem, rho=rho, unserved=unserved)
    problem = assembled(
        kind, cost, served_a, served_b, reg, tol, norm, warm_start, copies, threads,
        missed=functools.partial(_missed, rho),
    )  # fmt: skip
    if not np.isfinite(max(problem.kappa)):
        raise ValueError(f"reg_m is too small for reg = {reg:g}: their ratio overflows at {min(rho):g}")
    return problem


def _served(cost: Cost, a: Array, b: Array, rho: tuple[float, float]) -> tuple[Array, Array]:
    """The weights, 0 on a soft side where no allowed arc leads to positive weight: nothing moves there."""
    if cost.forbidden is None:
        return a, b
    kept = places_of_weight(a), places_of_weight(b)
    empty = cost.restricted(*kept).unreachable()
    if len(empty[0]) == len(kept[0]) and max(rho) < np.inf:
        raise ValueError("every arc between positive weights is forbidden: the only plan is 0")
    served = [np.zeros_like(a), np.zeros_like(b)]
    for weights, places, without, penalty, some in zip(served, kept, empty, rho, (a, b), strict=True):
        left = np.delete(places, without) if penalty < np.inf and len(without) < len(places) else places
        weights[left] = some[left]
    return served[0], served[1]


def _missed(rho: tuple[float, float], cost: Cost, a: Array, b: Array) -> tuple[Array, Array] | None:
    """Who of a hard side cannot be served on the allowed arcs; None if nobody is found."""
    if min(rho) == np.inf:
        return unreachable(cost, a, b)
    rows, columns = (at if side == np.inf else at[:0] for at, side in zip(cost.unreachable(), rho, strict=True))
    return (rows, columns) if len(rows) or len(columns) else None


def _penalties(reg_m: float | tuple[float, float]) -> tuple[float, float]:
    """rho1 and rho2, checked."""
    pair: Any = (reg_m, reg_m) if np.ndim(reg_m) == 0 else reg_m
    try:
        rho1, rho2 = (float(rho) for rho in pair)
    except (TypeError, ValueError):
        raise TypeError(f"reg_m must be a number or a pair of numbers, not {reg_m!r}") from None
    if not (rho1 > 0 and rho2 > 0):
        raise ValueError(f"reg_m must be positive (inf for a hard side), not {reg_m!r}")
    return rho1, rho2
