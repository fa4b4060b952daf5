"""Gradients of the value of a transport problem in all its data.

The value is the maximum of the dual over the potentials, so its gradient is the dual's partial gradient at
the potentials found (Danskin); the plan's own dependence on the data adds nothing. With the potentials of
P_ij = a_i b_j exp((f_i + g_j - C_ij) / reg) the dual is

    -rho1 <a, e^(-f/rho1) - 1> - rho2 <b, e^(-g/rho2) - 1> - reg (sum P - sum(a) sum(b)),

its first term being <a, f> for rho1 = inf. Hence d/dC_ij = P_ij, and

    d/da_i = rho1 (1 - e^(-f_i/rho1)) - reg e^(-f_i/rho1) + reg sum(b)

where the plan's row sums are what they should be. At the potentials of an approximate solution the errors of these
gradients are of the size of its marginal error.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ._elsewhere import potentials_elsewhere
from ._plan import Plan
from ._problem import LN2, TransportResult
from ._unbalanced import UnbalancedResult

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Gradients:
    """Gradients of ``result.value``, each computed when it is first asked for."""

    result: TransportResult | UnbalancedResult

    def __repr__(self) -> str:
        return f"<gradients of the value of {self.result.problem.title}>"

    @property
    def C(self) -> Plan:  # noqa: N802
        """In the cost matrix: the plan, of shape (n, m), made on demand."""
        return self.result.plan

    @property
    def a(self) -> Array:
        """In the row weights, (n,); see `gradients` for the constant in it."""
        return self._weights[0]

    @property
    def b(self) -> Array:
        """In the column weights, (m,)."""
        return self._weights[1]

    @property
    def X(self) -> Array:  # noqa: N802
        """In the points of the rows, (n, d). AttributeError for a cost matrix, and for metrics without a gradient."""
        return self._points[0]

    @property
    def Y(self) -> Array:  # noqa: N802
        """In the points of the columns, (m, d)."""
        return self._points[1]

    @cached_property
    def _weights(self) -> tuple[Array, Array]:
        result, reg = self.result, self.result.problem.reg
        if isinstance(result, UnbalancedResult) and result.rho != (np.inf, np.inf):
            masses = result.problem.masses
            sides = zip((result.f, result.g), result.rho, masses[::-1], strict=True)
            first, second = (_priced(f, rho, reg) + reg * other for f, rho, other in sides)
            return first, second
        f, g = (result.f, result.g) if isinstance(result, UnbalancedResult) else own_potentials(result)
        return f - f.mean(), g - g.mean()

    @cached_property
    def _points(self) -> tuple[Array, Array]:
        points = self.result.problem.whole.points
        if points is None:
            raise AttributeError("the problem is one of a cost matrix: there are no points to differentiate in")
        x, y, metric = points
        asked = self.result.problem.whole.asked or metric
        if not (isinstance(asked, str) and asked in _POINT_GRADIENTS):
            names = ", ".join(_POINT_GRADIENTS)
            raise AttributeError(f"gradients in the points exist for the metrics {names}, not for {asked!r}")
        return _POINT_GRADIENTS[asked](self.result.plan, x, y.T)


def gradients(result: TransportResult | UnbalancedResult) -> Gradients:
    """Gradients of ``result.value`` in the costs or points and in the weights.

    Parameters
    ----------
    result : TransportResult or UnbalancedResult
        Of `solve`, `solve_sample`, `solve_unbalanced` or `solve_unbalanced_sample`; the gradients are as
        accurate as its marginal error is small.

    Returns
    -------
    Gradients
        With `C` (the plan, lazy), `a`, `b`, and for problems of points `X` and `Y`; each is computed when it is
        first asked for.

    Notes
    -----
    What is differentiated is ``<C, P> + reg * KL(P | a b')`` at the optimal plan, plus the penalties where
    the problem is unbalanced.

    Weights: where both marginals are hard the value exists for equal masses alone, so that a gradient is
    determined up to a constant in `a` and one in `b`. They are centred, ``a.sum() == 0 == b.sum()``: the
    derivative along ``da`` with ``da.sum() == 0`` is ``gradients(result).a @ da``, and `a` is the gradient in the plane
    of the simplex. It has entries at zero weights too, the one-sided derivatives. Unbalanced problems with a side
    that is not hard have an ordinary gradient, with no constant left open.

    Points: products with the plan for ``"sqeuclidean"``, one pass over blocks of its rows for ``"euclidean"`` and
    ``"cityblock"``; O(n + m) memory. Other metrics have no gradient here. Where two points coincide, or coordinates
    do for ``"cityblock"``, the subgradient 0 of that distance is taken.

    Examples
    --------
    >>> import numpy as np, solvers
    >>> X, Y = np.array([[0.0], [1.0]]), np.array([[0.5], [2.0]])
    >>> slope = solvers.ot.gradients(solvers.ot.solve_sample(X, Y, reg=0.5)).X
    >>> h = 1e-6
    >>> ahead, behind = (solvers.ot.solve_sample(X + [[s], [0]], Y, reg=0.5).value for s in (h, -h))
    >>> bool(np.isclose(slope[0, 0], (ahead - behind) / (2 * h)))
    True
    """
    if not isinstance(result, TransportResult | UnbalancedResult):
        raise TypeError(
            f"gradients takes the result of a transport solve, not {type(result).__name__}; a divergence has its own, "
            "result.gradients"
        )
    return Gradients(result)


def own_potentials(result: TransportResult) -> tuple[Array, Array]:
    """The potentials of P_ij = a_i b_j exp((f_i + g_j - C_ij) / reg), also where the weights are zero."""
    problem, plan = result.problem, result.plan
    rows, columns = problem.lifted
    at = _At(plan.u, plan.v, plan.u - np.log2(problem.a) + rows, plan.v - np.log2(problem.b) + columns)
    f, g = potentials_elsewhere(problem, at, (0.0, 0.0))
    return LN2 * problem.reg * f, LN2 * problem.reg * g


@dataclass(frozen=True, eq=False)
class _At:
    u: Array
    v: Array
    phi: Array
    psi: Array
    gauge: float = 0.0


def _priced(f: Array, rho: float, reg: float) -> Array:
    """rho (1 - e^(-f/rho)) - reg e^(-f/rho)."""
    return f - reg if rho == np.inf else -rho * np.expm1(-f / rho) - reg * np.exp(-f / rho)


def _sqeuclidean(plan: Plan, x: Array, y: Array) -> tuple[Array, Array]:
    row_sums, column_sums = plan.marginals()
    x, y = _near_zero(x, y)
    return (
        2 * (row_sums[:, None] * x - plan.matvec(y)),
        2 * (column_sums[:, None] * y - plan.rmatvec(x)),
    )


def _euclidean(plan: Plan, x: Array, y: Array) -> tuple[Array, Array]:
    """Sum of P_ij (x_i - y_j) / |x_i - y_j| over each side."""
    in_x, in_y = np.zeros_like(x), np.zeros_like(y)
    rows, columns = plan.kept()
    near_x, near_y = _near_zero(x[rows], y[columns])
    for where, block in plan.blocks():
        distance = np.sqrt(sum((x[rows[where], k, None] - y[columns, k]) ** 2 for k in range(x.shape[1])))
        share = np.divide(block, distance, out=np.zeros_like(block), where=distance > 0)
        in_x[rows[where]] = share.sum(1)[:, None] * near_x[where] - share @ near_y
        in_y[columns] += share.sum(0)[:, None] * near_y - share.T @ near_x[where]
    return in_x, in_y


def _cityblock(plan: Plan, x: Array, y: Array) -> tuple[Array, Array]:
    """Sum of P_ij sign(x_i - y_j) over each side, coordinate by coordinate."""
    in_x, in_y = np.zeros_like(x), np.zeros_like(y)
    rows, columns = plan.kept()
    for where, block in plan.blocks():
        for k in range(x.shape[1]):
            signed = np.sign(x[rows[where], k, None] - y[columns, k]) * block
            in_x[rows[where], k] = signed.sum(1)
            in_y[columns, k] -= signed.sum(0)
    return in_x, in_y


def _near_zero(x: Array, y: Array) -> tuple[Array, Array]:
    """Both clouds moved to where their differences lose least digits."""
    origin = y.mean(axis=0)
    return x - origin, y - origin


_POINT_GRADIENTS = {"sqeuclidean": _sqeuclidean, "euclidean": _euclidean, "cityblock": _cityblock}
