"""What certifies an answer: an exactly feasible plan near it, and bounds of how far it is from optimal.

The sums are compiled (`_ext/ot/answer.c`): one pass over the cost with an exponential an entry and two without. There
is no rounded plan, and the bounds from above are infinite, where the plan's sums are not finite or the rank-one term
would use forbidden arcs.

With P the plan of the potentials (f, g), a and b the weights, M their mass:

    F = diag(x) P diag(y)              scaled so that no marginal is exceeded
    R = F + W,  W = p q' / sum(p)      p = a - F 1,  q = b - F' 1: the missing mass as a rank-one term

R is feasible (Altschuler, Weed, Rigollet, 2017, arXiv 1705.09634, algorithm 2; here the columns are scaled before the
rows, since then one pass over C does both: see `_ext/ot/certificate.c`).

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

from .._base.reducer import SERIAL, Reducer, total
from ._plan import Plan

Array = npt.NDArray[Any]


LN2 = float(np.log(2.0))
#: The bounds are widened by so many roundings of the sums of which they are made.
ROUNDINGS = 8 * 2.0**-52
#: Costs of this size in units of reg are those of forbidden arcs.
FORBIDDEN_EXPONENT = 1e100


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


@dataclass(frozen=True, eq=False)
class Certificate:
    """The rounded plan, the entropic gap, and bounds without entropy.

    No rounded plan, and infinite bounds from above, where the plan's sums are not finite or the rank-one term would use
    forbidden arcs.
    """

    rounded: RoundedPlan | None
    gap: float
    lp_bounds: tuple[float, float]


NO_CERTIFICATE = Certificate(None, float("nan"), (float("nan"), float("nan")))


def certify(
    plan: Plan, a: Array, b: Array, row_sums: Array, column_sums: Array, across: Reducer = SERIAL
) -> Certificate:
    """The certificate of a plan, given its sums and the weights of its kept rows and columns.

    One pass over the cost with an exponential an entry and two without. The rows are those of one of several ranks,
    with the column sums of all; where one process has all rows, it is `_ext/ot/answer.c` that certifies.
    """
    lower_v = -across.max(_column_max(plan))
    if not (np.isfinite(row_sums).all() and np.isfinite(column_sums).all()):
        lower = _bounds(plan, a, b, lower_v, np.zeros_like(b), across)[0]
        return Certificate(None, float("inf"), (lower, float("inf")))
    y = b / np.maximum(column_sums, b)
    x, rows, columns = np.empty_like(a), np.empty_like(a), np.empty_like(b)
    paid = plan.cost.kernel.scale_below(plan.scale, a, plan.u, plan.v, y, x, rows, columns, plan.threads)
    missing_rows = np.maximum(a - rows, 0.0)
    columns, paid, missing = _joined(across, columns, paid, float(missing_rows.sum()))
    missing_columns = np.maximum(b - columns, 0.0)
    missing = max(missing, float(missing_columns.sum()))
    share = missing_columns / missing if missing > 0 else missing_columns
    lower, product = _bounds(plan, a, b, lower_v, share, across)
    with np.errstate(over="ignore", invalid="ignore"):
        extra, mass, mass_of_rows, scaled, entropy, moved = total(
            across, float(missing_rows @ product), float(a.sum()), float(row_sums.sum()), rows @ np.log(x),
            _entropy(missing_rows), missing_rows @ plan.u,
        )  # fmt: skip
    if plan.cost.forbidden is not None and not plan.scale * extra < FORBIDDEN_EXPONENT:
        return Certificate(None, float("inf"), (lower, float("inf")))
    rest = plan.cost.offset_part(a, b, across)
    upper = paid + extra + rest + ROUNDINGS * (abs(paid) + abs(extra) + abs(rest))
    # The terms of KL(R | P), see above; all sums are over R, F or W, none over P but the mass.
    kl = mass_of_rows - mass + float(scaled + columns @ np.log(y))
    if missing > 0:
        kl -= (mass - missing) * float(np.log1p(-missing / mass)) if missing < mass else 0.0
        kl += entropy + _entropy(missing_columns) - missing * float(np.log(missing))
        kl -= missing * float(np.log(missing / mass))
        kl += LN2 * (plan.scale * extra - float(moved + missing_columns @ plan.v))
    gap = max(0.0, kl) / (plan.scale * LN2)
    rounded = RoundedPlan(
        plan, plan.spread_rows(x), plan.spread_columns(y), plan.spread_rows(missing_rows), plan.spread_columns(share)
    )
    return Certificate(rounded, gap, (lower, upper))


def _joined(across: Reducer, columns: Array, *numbers: float) -> tuple[Array, float, float]:
    """Column sums and two numbers, summed over the ranks at once."""
    if across.size == 1:
        return columns, *numbers  # type: ignore[return-value]
    both = across.sum(np.concatenate([columns, numbers]))
    return both[: len(columns)], float(both[-2]), float(both[-1])


def _column_max(plan: Plan) -> Array:
    out = np.empty_like(plan.v)
    plan.cost.kernel.column_max(plan.scale, plan.u, out, plan.threads)
    return out


def _bounds(plan: Plan, a: Array, b: Array, v: Array, w: Array, across: Reducer = SERIAL) -> tuple[float, Array]:
    """The value of the feasible potentials (c-transform of v, v) in the problem without entropy, and C w."""
    u, product = np.empty_like(a), np.empty_like(a)
    plan.cost.kernel.row_max(plan.scale, v, w, u, product, plan.threads)
    paid, size = total(across, a @ u, a @ np.abs(u))
    value = -float(paid - b @ v) / plan.scale
    rest = plan.cost.offset_part(a, b, across)
    size = float(size + b @ np.abs(v)) / plan.scale + abs(rest)
    return value + rest - ROUNDINGS * size, product


def _entropy(weights: Array) -> float:
    """sum w log w."""
    positive = weights[weights > 0]
    return float(positive @ np.log(positive))


def _scaled(factors: Array, x: Array) -> Array:
    """diag(factors) @ x."""
    scaled: Array = (factors * x.T).T
    return scaled
