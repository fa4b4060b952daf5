"""What certifies an answer: an exactly feasible plan near it, and bounds of how far it is from optimal.

The sums are compiled (`_ext/ot/answer.c`): one pass over the cost with an exponential an entry and one without, or two
of each where the method does not know the plan's column sums. There is no rounded plan, and the bounds from above are
infinite, where the plan's sums are not finite or the rank-one term would use forbidden arcs.

With P the plan of the potentials (f, g), a and b the weights, M their mass:

    F = diag(x) P diag(y)              scaled so that no marginal is exceeded
    R = F + W,  W = p q' / sum(p)      p = a - F 1,  q = b - F' 1: the missing mass as a rank-one term

R is feasible (Altschuler, Weed, Rigollet, 2017, arXiv 1705.09634, algorithm 2; here the columns are scaled before the
rows, since then one pass over C does both: see `_ext/ot/certificate.c`). Where the method has met the rows to rounding,
x is one number for all: what the fullest row or column has too much.

The entropic gap is that of R against the dual value of (f, g). With log P_ij = (f_i + g_j - C_ij) / reg it is

    reg * KL(R | P),    KL(R | P) = sum R log(R / P) - R + P >= 0,

a formula in which nothing large cancels. The logarithm of a sum is avoided by convexity: with t = sum(p) / M,

    KL(R | P) <= (1 - t) KL(F / (1 - t) | P) + t KL(W / t | P),

whose terms are known from the sums of F and <C, F>, and W' C. So `gap` is an upper bound: what is certified holds.

The transport problem without entropy is bounded from above by <C, R> and from below by the c-transforms
g_j = min_i C_ij - f_i, f_i = min_j C_ij - g_j, which satisfy f_i + g_j <= C_ij.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ._plan import Plan

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class RoundedPlan:
    """A plan with the given marginals, ``diag(row_scale) P diag(column_scale) + outer(row_rest, column_rest)``.

    Row and column sums are those asked for up to the rounding of sums (some 1e-16 of the mass), whatever the marginal
    error of the plan P. Nothing of size n x m is stored.
    """

    plan: Plan
    row_scale: Array
    column_scale: Array
    row_rest: Array
    column_rest: Array

    def __repr__(self) -> str:
        return f"<feasible transport plan of shape {self.shape}, made on demand>"

    @property
    def shape(self) -> tuple[int, int]:
        """(n, m)."""
        return self.plan.shape

    def dense(self) -> Array:
        """The plan as an (n, m) float64 array."""
        plan = self.plan.dense()
        plan *= self.column_scale
        plan *= self.row_scale[:, None]
        plan += np.outer(self.row_rest, self.column_rest)
        return plan

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:
        if copy is False:
            raise ValueError("the plan is made on demand: it cannot be viewed without a copy")
        return self.dense().astype(dtype or np.float64, copy=False)

    def matvec(self, x: npt.ArrayLike) -> Array:
        """``R @ x`` for x of shape (m,) or (m, k)."""
        x = Plan.operand(x, self.shape[1])
        out = _scaled(self.row_scale, self.plan.matvec(_scaled(self.column_scale, x)))
        out += np.multiply.outer(self.row_rest, self.column_rest @ x)
        return out

    def rmatvec(self, x: npt.ArrayLike) -> Array:
        """``R.T @ x`` for x of shape (n,) or (n, k)."""
        x = Plan.operand(x, self.shape[0])
        out = _scaled(self.column_scale, self.plan.rmatvec(_scaled(self.row_scale, x)))
        out += np.multiply.outer(self.column_rest, self.row_rest @ x)
        return out

    def marginals(self) -> tuple[Array, Array]:
        """Row sums (n,) and column sums (m,), computed from the entries."""
        n, m = self.shape
        return self.matvec(np.ones(m)), self.rmatvec(np.ones(n))


def rounded_plan(plan: Plan, row_scale: Array, column_scale: Array, row_rest: Array, column_rest: Array) -> RoundedPlan:
    """The rounded plan of these parts, which are those of the rows and columns of positive weight."""
    rows, columns = plan.spread_rows, plan.spread_columns
    return RoundedPlan(plan, rows(row_scale), columns(column_scale), rows(row_rest), columns(column_rest))


def _scaled(factors: Array, x: Array) -> Array:
    """diag(factors) @ x."""
    scaled: Array = (factors * x.T).T
    return scaled
