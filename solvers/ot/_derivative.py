"""How plan and potentials follow the data: implicit differentiation of the optimality conditions.

With P_ij = a_i b_j exp((f_i + g_j - C_ij) / reg) and the conditions P 1 = a exp(-f / rho1), P' 1 = b exp(-g / rho2)
(or = a, = b), a change (dC, da, db) of the data changes f and g by the solution of

    [D1  P; P'  D2] (df; dg) = ((P o dC) 1 - reg P (db / b);  (P o dC)' 1 - reg P' (da / a)),

D1 = diag(P 1 + (reg / rho1) a exp(-f / rho1)) and D2 likewise. f is eliminated: conjugate gradients on the Schur
complement D2 - P' D1^-1 P, with its diagonal as preconditioner. With both sides hard the system is singular along
(1, -1) and its right-hand side orthogonal to that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .._base.validate import check_finite, positive, real_array
from ._plan import Array, Plan
from ._problem import TransportResult
from ._unbalanced import UnbalancedResult

#: A plan of at most so many bytes is made once; a larger one anew for each product.
STORED_BYTES = 1 << 27
#: The preconditioner is at least this share of the diagonal of D2.
SMALLEST_SHARE = 1e-3


@dataclass(frozen=True, eq=False)
class Derivative:
    """The derivative of a transport solution along a change of its data.

    Attributes
    ----------
    f, g : ndarray, shapes (n,) and (m,)
        Of the potentials as the result has them; 0 at zero weights.
    success : bool
        Whether the residual of the linear system, recomputed, is at most `tol` relative to its right-hand side.
    measure : float
        That relative residual, in the 2-norm.
    nit : int
        Conjugate-gradient iterations.
    """

    f: Array
    g: Array
    success: bool
    measure: float
    nit: int
    _result: TransportResult | UnbalancedResult
    #: The plan's relative change is rows_i + columns_j - dC_ij / reg.
    _rows: Array
    _columns: Array
    _cost: Array | None

    def __repr__(self) -> str:
        return f"<derivative of {self._result.problem.title}, residual {self.measure:.2g}>"

    def dense(self) -> Array:
        """The derivative of the plan as an (n, m) float64 array."""
        change = self._rows[:, None] + self._columns
        if self._cost is not None:
            change -= self._cost / self._result.problem.reg
        change *= self._result.plan.dense()
        return change


def derivative(
    result: TransportResult | UnbalancedResult,
    *,
    dC: npt.ArrayLike | None = None,
    da: npt.ArrayLike | None = None,
    db: npt.ArrayLike | None = None,
    tol: float = 1e-10,
    max_iter: int = 10_000,
) -> Derivative:
    """How the plan and the potentials of a solution change with its data, to first order.

    Parameters
    ----------
    result : TransportResult or UnbalancedResult
        The solution, of `solve`, `solve_sample`, `solve_unbalanced` or `solve_unbalanced_sample`. Solve with a small
        `tol`: the derivative is that of an exact solution.
    dC : array_like, shape (n, m), optional
        The change of the cost matrix; zero where not given.
    da, db : array_like, shapes (n,) and (m,), optional
        The changes of the weights: 0 at zero weights, and of equal sums where both marginals are hard.
    tol : float, default 1e-10
        Bound on the residual of the linear system relative to its right-hand side.
    max_iter : int, default 10000
        Iterations of conjugate gradients at most.

    Returns
    -------
    Derivative
        With `f`, `g`, `success`, and ``dense()`` for the plan. With `gradients` these are second derivatives of
        the value: that of the value in C along dC is ``derivative(result, dC=dC).dense()``.

    Raises
    ------
    ValueError
        Shapes that do not fit, NaN or infinity, changes of zero weights or of the masses' equality.

    Notes
    -----
    An iteration takes two products with the plan. Plans up to 128 MiB are made once; larger ones are made anew for each
    product, in O(n + m) memory.

    Examples
    --------
    >>> import numpy as np, solvers
    >>> C, dC = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([[0.0, 1.0], [0.0, 0.0]])
    >>> change = solvers.ot.derivative(solvers.ot.solve(C, reg=0.5, tol=1e-12), dC=dC)
    >>> p = 0.5 / (1 + np.exp(-2))
    >>> bool(np.isclose(change.dense()[0, 0], p * (0.5 - p) / 0.5))
    True
    """
    problem, (n, m) = result.problem, result.plan.shape
    tol = positive(tol, "tol")
    cost = None if dC is None else _change(dC, "dC", (n, m))
    change_a, change_b = _change(da, "da", (n,)), _change(db, "db", (m,))
    share_a = _relative(change_a, "da", problem.a, problem.kept_rows)
    share_b = _relative(change_b, "db", problem.b, problem.kept_columns)
    both_hard = not isinstance(result, UnbalancedResult) or result.rho == (np.inf, np.inf)
    if both_hard and abs(change_a.sum() - change_b.sum()) > 1e-9 * (np.abs(change_a).sum() + np.abs(change_b).sum()):
        raise ValueError(f"da and db must have the same sum, not {change_a.sum()} and {change_b.sum()}")

    system = _System.of(result, both_hard)
    row_part, column_part = _weighted_sums(result.plan, cost)
    p, q = row_part - problem.reg * system.apply(share_b), column_part - problem.reg * system.apply_transposed(share_a)
    f, g, nit = system.solve(p, q, tol, max_iter)
    measure = system.residual(f, g, p, q)
    rows, columns = share_a + f / problem.reg, share_b + g / problem.reg
    if not isinstance(result, UnbalancedResult):  # its potentials have the weights in them
        f, g = f + problem.reg * share_a, g + problem.reg * share_b
    if both_hard:  # sum(b g) stays 0
        kept = result.plan.kept()[1]
        shift = float(problem.b @ g[kept] + change_b[kept] @ result.g[kept]) / float(problem.b.sum())
        f, g = np.where(system.live_rows, f + shift, 0.0), np.where(system.live_columns, g - shift, 0.0)
    return Derivative(f, g, measure <= tol, measure, nit, result, rows, columns, cost)


@dataclass(frozen=True, eq=False)
class _System:
    """[D1 P; P' D2] over all places, with 1 on the diagonal of those of zero weight."""

    plan: Plan
    stored: Array | None
    rows: Array
    columns: Array
    live_rows: Array
    live_columns: Array
    singular: bool

    @classmethod
    def of(cls, result: TransportResult | UnbalancedResult, singular: bool) -> _System:
        plan = result.plan
        stored = plan.dense() if 8 * plan.shape[0] * plan.shape[1] <= STORED_BYTES else None
        kappa = result.problem.kappa if isinstance(result, UnbalancedResult) else (0.0, 0.0)
        row_sums, column_sums = plan.marginals()
        live = row_sums > 0, column_sums > 0
        rows, columns = (
            np.where(alive, sums * (1 + k), 1.0)
            for alive, sums, k in zip(live, (row_sums, column_sums), kappa, strict=True)
        )
        return cls(plan, stored, rows, columns, *live, singular)

    def apply(self, x: Array) -> Array:
        """P x."""
        return self.plan.matvec(x) if self.stored is None else self.stored @ x

    def apply_transposed(self, x: Array) -> Array:
        """P' x."""
        return self.plan.rmatvec(x) if self.stored is None else x @ self.stored

    def solve(self, p: Array, q: Array, tol: float, max_iter: int) -> tuple[Array, Array, int]:
        """(f; g) for the right-hand side (p; q), and the iterations taken."""
        goal = 0.1 * tol * float(np.sqrt(p @ p + q @ q))
        g = np.zeros_like(q)
        residual = self._range(q - self.apply_transposed(p / self.rows))
        diagonal = self._schur_diagonal()
        scaled = residual / diagonal
        direction, rho, nit = scaled, float(residual @ scaled), 0
        while nit < max_iter and np.sqrt(residual @ residual) > goal:
            product = self.columns * direction - self.apply_transposed(self.apply(direction) / self.rows)
            curvature = float(direction @ product)
            if not curvature > 0:  # along the null vector, up to rounding
                break
            g = g + rho / curvature * direction
            residual = self._range(residual - rho / curvature * product)
            scaled = residual / diagonal
            following = float(residual @ scaled)
            direction, rho, nit = scaled + following / rho * direction, following, nit + 1
        return (p - self.apply(g)) / self.rows, g, nit

    def residual(self, f: Array, g: Array, p: Array, q: Array) -> float:
        """The 2-norm of what is left of (p; q), relative to it."""
        left_p = p - self.rows * f - self.apply(g)
        left_q = q - self.columns * g - self.apply_transposed(f)
        size = float(np.sqrt(p @ p + q @ q))
        return float(np.sqrt(left_p @ left_p + left_q @ left_q)) / size if size > 0 else 0.0

    def _range(self, values: Array) -> Array:
        """The part orthogonal to the null vector."""
        if not self.singular:
            return values
        return np.where(self.live_columns, values - values.sum() / self.live_columns.sum(), 0.0)

    def _schur_diagonal(self) -> Array:
        diagonal = self.columns.copy()
        rows, columns = self.plan.kept()
        for where, block in self.plan.blocks():
            diagonal[columns] -= (1 / self.rows[rows[where]]) @ (block * block)
        floor: Array = np.maximum(diagonal, SMALLEST_SHARE * self.columns)
        return floor


def _weighted_sums(plan: Plan, cost: Array | None) -> tuple[Array, Array]:
    """Row sums and column sums of P o dC."""
    row_sums, column_sums = np.zeros(plan.shape[0]), np.zeros(plan.shape[1])
    if cost is None:
        return row_sums, column_sums
    rows, columns = plan.kept()
    for where, block in plan.blocks():
        block *= cost[np.ix_(rows[where], columns)]
        row_sums[rows[where]] = block.sum(1)
        column_sums[columns] += block.sum(0)
    return row_sums, column_sums


def _change(value: npt.ArrayLike | None, name: str, shape: tuple[int, ...]) -> Array:
    if value is None:
        return np.zeros(shape)
    array = real_array(value, name, ndim=len(shape))
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, not {shape}")
    check_finite(array, name)
    return array


def _relative(change: Array, name: str, weights: Array, kept: Array | None) -> Array:
    """The change relative to the weights, 0 where both are."""
    if kept is None:
        return change / weights
    share = np.zeros_like(change)
    share[kept] = change[kept] / weights
    if np.any(np.delete(change, kept)):
        index = int(np.flatnonzero((change != 0) & ~np.isin(np.arange(len(change)), kept))[0])
        raise ValueError(f"{name}[{index}] changes a weight that is 0: only one-sided derivatives exist there")
    return share
