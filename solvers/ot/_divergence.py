"""The Sinkhorn divergence: entropic transport without its bias."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy.typing as npt

from .._base.iterate import Control, run
from .._base.result import SolveResult, Status
from . import _symmetric
from ._blocks import BlockFunction
from ._cost import Cost
from ._gradients import Gradients
from ._problem import TransportResult
from ._solve import checked_by_reg, choose, matrix_cost, points_cost, run_method

Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class DivergenceResult(SolveResult):
    """Result of `sinkhorn_divergence`: a `SolveResult` with the following.

    Attributes
    ----------
    x, value : float
        ``OT(a, b) - OT(a, a) / 2 - OT(b, b) / 2``, OT being the value of `solve`, here from its dual, whose error is of
        second order. At least 0 up to `bounds`.
    bounds : (float, float)
        The exact divergence lies between these, by the gaps of the three solves.
    value_linear : float
        The same combination of the three ``<C, P>``, which POT's `empirical_sinkhorn_divergence` returns.
    measure : float
        The largest of the three marginal errors.
    cross, self_a, self_b : TransportResult
        The three solves.
    """

    value: float
    bounds: tuple[float, float]
    value_linear: float
    cross: TransportResult
    self_a: TransportResult
    self_b: TransportResult

    @cached_property
    def gradients(self) -> DivergenceGradients:
        """Gradients of the divergence, each computed when it is first asked for."""
        return DivergenceGradients(Gradients(self.cross), Gradients(self.self_a), Gradients(self.self_b))


@dataclass(frozen=True, eq=False)
class DivergenceGradients:
    """Gradients of a Sinkhorn divergence, each computed when it is first asked for; see `gradients` for conventions."""

    cross: Gradients
    self_a: Gradients
    self_b: Gradients

    @property
    def a(self) -> Array:
        """In the weights of the first set, (n,), centred: ``a.sum() == 0``."""
        return self.cross.a - (self.self_a.a + self.self_a.b) / 2

    @property
    def b(self) -> Array:
        """In the weights of the second set, (m,), centred."""
        return self.cross.b - (self.self_b.a + self.self_b.b) / 2

    @property
    def X(self) -> Array:  # noqa: N802
        """In the points of the first set, (n, d)."""
        return self.cross.X - (self.self_a.X + self.self_a.Y) / 2

    @property
    def Y(self) -> Array:  # noqa: N802
        """In the points of the second set, (m, d)."""
        return self.cross.Y - (self.self_b.X + self.self_b.Y) / 2


def sinkhorn_divergence(
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
    max_iter: int = 10_000,
    time_limit: float | None = None,
    verbose: int = 0,
    threads: int | None = None,
) -> DivergenceResult:
    """Sinkhorn divergence of two point clouds: ``OT(a, b) - OT(a, a) / 2 - OT(b, b) / 2``.

    It is 0 for equal sets and positive for others, which the value of entropic transport is not. Small reg: transport
    without entropy; large reg: a kernel distance. O(n + m) memory.

    Parameters
    ----------
    X, Y : array_like, shapes (n, d) and (m, d)
        The points.
    a, b : array_like, shapes (n,) and (m,), optional
        Weights >= 0 of equal total mass; uniform with mass 1 where not given.
    reg : float
        Strength of the entropy, > 0, in units of the cost.
    metric : str or callable, default "sqeuclidean"
        The cost between two points, as in `solve_sample`.
    p : float, optional
        Exponent > 0 of "minkowski", 2 by default; inf is "chebyshev".
    method, options
        For OT(a, b): as in `solve`. The self terms have one potential each and are solved by the averaged fixed
        point ``f = (f + T f) / 2``, in some 40 reads of the costs whatever reg.
    tol, norm
        Bound on the marginal error of each of the three plans, and its norm.
    max_iter, time_limit, verbose, threads
        Of each of the three solves: as in `solve`.

    Returns
    -------
    DivergenceResult
        With `value`, `bounds`, `gradients` (in X, Y, a and b), and the three solves. ``success`` means that all three
        succeeded.

    Raises
    ------
    ValueError, TypeError, MethodError, OptionError
        As in `solve_sample`.

    References
    ----------
    Feydy, Sejourne, Vialard, Amari, Trouve, Peyre (2019), arXiv 1810.08278; Genevay, Peyre, Cuturi (2018),
    arXiv 1706.00292.

    Examples
    --------
    >>> import numpy as np, solvers
    >>> rng = np.random.default_rng(7)
    >>> X, Y = rng.random((50, 2)), rng.random((60, 2)) + 1
    >>> result = solvers.ot.sinkhorn_divergence(X, Y, reg=0.1)
    >>> result.success, result.gradients.X.shape
    (True, (50, 2))
    >>> abs(solvers.ot.sinkhorn_divergence(X, X, reg=0.1).value) < 1e-12
    True
    """
    cross, self_a, self_b = (points_cost(x, y, metric, p) for x, y in ((X, Y), (X, X), (Y, Y)))
    costs = (cross, 0), (self_a, 0), (self_b, 0)
    control = Control(max_iter, time_limit, None, verbose, None)
    return _divergence(costs, a, b, reg, tol, norm, method, options, control, threads)


def sinkhorn_divergence_from_costs(
    C: npt.ArrayLike,
    C_a: npt.ArrayLike,
    C_b: npt.ArrayLike,
    a: npt.ArrayLike | None = None,
    b: npt.ArrayLike | None = None,
    *,
    reg: float,
    method: str | None = None,
    options: Mapping[str, Any] | None = None,
    tol: float = 1e-9,
    norm: str = "l1",
    max_iter: int = 10_000,
    time_limit: float | None = None,
    verbose: int = 0,
    threads: int | None = None,
) -> DivergenceResult:
    """Sinkhorn divergence of two weighted sets, given the costs between and within them.

    Parameters
    ----------
    C, C_a, C_b : array_like, shapes (n, m), (n, n) and (m, m)
        Costs between the sets and within each.
    a, b, reg, method, options, tol, norm, max_iter, time_limit, verbose, threads
        As in `sinkhorn_divergence`.

    Returns
    -------
    DivergenceResult
        As from `sinkhorn_divergence`; the gradients are those in the weights.

    Raises
    ------
    ValueError, TypeError, MethodError, OptionError
        As in `solve`; also where the shapes of the three costs do not fit.

    Notes
    -----
    The divergence is >= 0 where ``exp(-C / reg)`` over both sets together is a positive definite kernel. The averaged
    fixed point is fast then; where it is not, or a cost is not symmetric, the self terms are solved by the method
    for OT(a, b).

    Examples
    --------
    >>> import numpy as np, solvers
    >>> x = np.arange(4.0)
    >>> C = abs(x[:, None] - x)
    >>> result = solvers.ot.sinkhorn_divergence_from_costs(C, C, C, [0.7, 0.1, 0.1, 0.1], [0.1, 0.1, 0.1, 0.7], reg=1.0)
    >>> result.success, result.value > 0
    (True, True)
    """
    costs = matrix_cost(C), matrix_cost(C_a), matrix_cost(C_b)
    (n, m), within_a, within_b = (cost.shape for cost, _ in costs)
    if within_a != (n, n) or within_b != (m, m):
        raise ValueError(f"C of shape {(n, m)} needs C_a ({n}, {n}) and C_b ({m}, {m}), not {within_a} and {within_b}")
    control = Control(max_iter, time_limit, None, verbose, None)
    return _divergence(costs, a, b, reg, tol, norm, method, options, control, threads)


def _divergence(
    costs: tuple[tuple[Cost, int], ...],
    a: npt.ArrayLike | None,
    b: npt.ArrayLike | None,
    reg: float,
    tol: float,
    norm: str,
    method: str | None,
    options: Mapping[str, Any] | None,
    control: Control,
    threads: int | None,
) -> DivergenceResult:
    cost, copies = costs[0]
    problem = checked_by_reg(cost, a, b, tol, norm, True, copies, threads)(reg, None)
    cross: TransportResult = run_method(problem, method, choose, options, control)
    self_a, self_b = (
        _self_transport(within, weights, reg, tol, norm, method, options, control, threads)
        for within, weights in zip(costs[1:], (a, b), strict=True)
    )
    solves = (cross, self_a, self_b)
    value = _combined(r.value_dual for r in solves)
    bounds = value - (self_a.gap + self_b.gap) / 2, value + cross.gap
    failed = [r for r in solves if not r.success]
    worst = failed[0] if failed else cross
    return DivergenceResult(
        x=value, value=value, bounds=bounds, value_linear=_combined(r.value_linear for r in solves),
        cross=cross, self_a=self_a, self_b=self_b, success=not failed,
        status=worst.status if failed else Status.CONVERGED, message=worst.message,
        nit=sum(r.nit for r in solves), measure=max(r.measure for r in solves), method=cross.method,
        options=cross.options,
        stats={**cross.stats, "seconds": sum(r.stats["seconds"] for r in solves)}, history=cross.history,
    )  # fmt: skip


def _combined(values: Any) -> float:
    between, within_a, within_b = values
    return float(between - (within_a + within_b) / 2)


#: Steps after which the averaged fixed point must have converged: where it is fast it takes some 40.
SYMMETRIC_STEPS = 200


def _self_transport(
    cost: tuple[Cost, int],
    weights: npt.ArrayLike | None,
    reg: float,
    tol: float,
    norm: str,
    method: str | None,
    options: Mapping[str, Any] | None,
    control: Control,
    threads: int | None,
) -> TransportResult:
    """Transport of a set to itself: by the averaged fixed point, or else by the method for any costs."""
    problem = checked_by_reg(cost[0], weights, weights, tol, norm, True, cost[1], threads)(reg, None)
    short = Control(min(control.max_iter, SYMMETRIC_STEPS), control.time_limit, None, control.verbose, None)
    result = run(_symmetric.METHOD, problem, short)
    if not result.success:
        result = run_method(problem, method, choose, options, control)
    assert isinstance(result, TransportResult)
    return result
