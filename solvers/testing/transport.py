"""Judge transport results: recompute everything from the user's data, and refuse what is claimed but not so.

Nothing of the solvers is used, only NumPy: P_ij = exp((f_i + g_j - C_ij) / reg) is formed from the returned potentials,
and the returned plan is taken as the matrix it gives.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .claims import holds

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = npt.NDArray[Any]

#: What a marginal error may differ by for the order of summation alone, in parts of the mass.
SUMMATION = 2.0**-46


@dataclass(frozen=True)
class TransportReport:
    """What a transport result is worth.

    Attributes
    ----------
    marginal_error : float
        The norm of both violations of the returned plan.
    potential_error : float
        The same of the plan made from the returned potentials.
    rounding : float
        What the rounding of the potentials as returned may do to `potential_error` (l1).
    value, value_linear : float
        ``<C, P> + reg * KL(P | a b')`` and ``<C, P>`` of the returned plan.
    value_dual : float
        The dual objective of `value` at the potentials.
    gap : float
        `value` of the plan rounded to exact marginals (Altschuler, Weed and Rigollet 2017), minus `value_dual`: an
        upper bound of how far the rounded plan is from the optimum, >= 0 up to rounding.
    lp_bounds : (float, float)
        Lower and upper bound of the unregularised optimum.
    """

    marginal_error: float
    potential_error: float
    rounding: float
    value: float
    value_linear: float
    value_dual: float
    gap: float
    lp_bounds: tuple[float, float]

    def __str__(self) -> str:
        return "\n".join(f"{field.name:>15}: {getattr(self, field.name)}" for field in fields(self))


def check_transport(
    result: Any,
    C: npt.ArrayLike,
    a: npt.ArrayLike | None = None,
    b: npt.ArrayLike | None = None,
    *,
    reg: float,
    tol: float = 1e-9,
    norm: str = "l1",
    dtype: npt.DTypeLike = np.float64,
) -> TransportReport:
    """Recompute a transport result from the data, and raise where it claims what is not so.

    Parameters
    ----------
    result : TransportResult
        From `solvers.ot.solve` or `solve_sample`, or anything with ``plan, f, g, success, marginal_error, value`` and
        ``value_linear``.
    C, a, b, reg, tol, norm
        As the solve was asked. For points C is the matrix of their costs. An infinite cost forbids an arc; the plan
        rounded to the marginals does not know that, so that the gap may be infinite there.
    dtype : dtype, default float64
        What to compute in; ``numpy.longdouble`` for a judgement with digits to spare.

    Returns
    -------
    TransportReport

    Raises
    ------
    AssertionError
        Where the result says success and the error is above the tolerance; where the plan is not finite, not >= 0, not
        zero at zero weights and on forbidden arcs, or not the one of the potentials; where a reported number is not the
        recomputed one.

    Notes
    -----
    Holds some five matrices of the size of C.

    Examples
    --------
    >>> import numpy as np, solvers
    >>> C = np.random.default_rng(7).random((20, 30))
    >>> report = solvers.testing.check_transport(solvers.ot.solve(C, reg=0.05), C, reg=0.05)
    >>> report.marginal_error <= 1e-9, report.lp_bounds[0] <= report.value_linear
    (True, True)
    """
    data = _Data(C, a, b, reg, norm, dtype)
    plan = np.asarray(result.plan.dense() if hasattr(result.plan, "dense") else result.plan).astype(data.dtype)
    made, rounding = data.plan_of(np.asarray(result.f), np.asarray(result.g))
    _check_shape_of(plan, data)
    error, potential_error = data.error(plan), data.error(made)
    value, linear = data.values(plan)
    dual = data.dual(np.asarray(result.f), np.asarray(result.g), made)
    rounded = data.rounded(plan)
    report = TransportReport(
        error, potential_error, rounding, value, linear, dual, data.values(rounded)[0] - dual,
        (data.lp_lower_bound(np.asarray(result.f)), data.values(rounded)[1]),
    )  # fmt: skip
    _check_claims(result, report, float(np.abs(plan - made).sum()), data, tol)
    return report


def check_transport_batch(
    result: Sequence[Any],
    C: npt.ArrayLike,
    A: npt.ArrayLike | None = None,
    B: npt.ArrayLike | None = None,
    *,
    reg: npt.ArrayLike,
    tol: float = 1e-9,
    norm: str = "l1",
    dtype: npt.DTypeLike = np.float64,
) -> list[TransportReport]:
    """`check_transport` on every problem of a batch.

    Parameters
    ----------
    result : TransportBatchResult
        From `solvers.ot.solve_batch`.
    C, A, B, reg, tol, norm
        As the solve was asked.
    dtype : dtype, default float64
        As in `check_transport`.

    Returns
    -------
    list of TransportReport

    Raises
    ------
    AssertionError
        As `check_transport`, naming the problem.

    Examples
    --------
    >>> import numpy as np, solvers
    >>> C = np.random.default_rng(7).random((5, 20, 30))
    >>> reports = solvers.testing.check_transport_batch(solvers.ot.solve_batch(C, reg=0.05), C, reg=0.05)
    >>> max(report.marginal_error for report in reports) <= 1e-9
    True
    """
    reports = []
    own = ((C, 3), (A, 2), (B, 2), (reg, 1))
    for k, one in enumerate(result):
        cost, a, b, strength = (x if x is None or np.ndim(x) < ndim else np.asarray(x)[k] for x, ndim in own)
        try:
            reports.append(
                check_transport(one, cost, a, b, reg=float(strength), tol=tol, norm=norm, dtype=dtype)  # type: ignore[arg-type]
            )
        except AssertionError as error:
            raise AssertionError(f"problem {k}: {error}") from None
    return reports


class _Data:
    """The user's data in the precision of the judgement, and what follows from them alone."""

    def __init__(
        self,
        C: npt.ArrayLike,
        a: npt.ArrayLike | None,
        b: npt.ArrayLike | None,
        reg: float,
        norm: str,
        dtype: npt.DTypeLike,
    ) -> None:
        self.dtype, self.norm = np.dtype(dtype), norm
        self.reg: Any = np.asarray(reg).astype(dtype)[()]
        self.C = np.asarray(C).astype(self.dtype)
        n, m = self.C.shape
        self.a = np.full(n, 1.0 / n).astype(dtype) if a is None else np.asarray(a).astype(dtype)
        self.b = np.full(m, 1.0 / m).astype(dtype) if b is None else np.asarray(b).astype(dtype)
        self.mass = self.a.sum()
        self.kept = np.ix_(self.a > 0, self.b > 0)
        #: What float64 weights may be off the equality of masses that the solvers accept.
        self.imbalance = float(abs(self.mass - self.b.sum()))

    def plan_of(self, f: Array, g: Array) -> tuple[Array, float]:
        """exp((f + g - C) / reg), and by how much (l1) the rounding of f, g and the exponents may have changed it.

        To return f_i takes up to three roundings (its unit, its constant, an offset), g_j as many, and an exponent
        three more (a sum, an offset, a product), each of 2^-53 of a number that is at most |f_i| + |g_j| + |C_ij| and
        the minima that a solver takes out of row i and column j first. Half of them at once are allowed for here, all
        of them where plan and potentials are compared (2 * rounding). What exponentials and sums take is in the second
        term.
        """
        f, g = f.astype(self.dtype), g.astype(self.dtype)
        plan = np.zeros_like(self.C)
        f, g = f[self.a > 0][:, None], g[self.b > 0][None]
        with np.errstate(all="ignore"):
            cost = self.C[self.kept]
            plan[self.kept] = np.exp((f - cost + g) / self.reg)
            rows = cost.min(axis=1, keepdims=True)
            columns = (cost - rows).min(axis=0)
            size = sum(map(np.abs, (f, g, cost, rows, columns))) / self.reg
            moved = plan[self.kept]
            # a potential is -inf where a weight is too small to count: nothing moves there, and nothing is rounded
            size = np.where(moved > 0, size, 0)
            rounding = float((moved * size).sum()) * 2.0**-51 + 2.0**-45 * float(self.mass)
        return plan, rounding

    def error(self, plan: Array) -> float:
        """The norm of the violations of both marginals."""
        gaps = np.concatenate([plan.sum(axis=1) - self.a, plan.sum(axis=0) - self.b])
        if self.norm == "l1":
            return float(np.abs(gaps).sum())
        largest = np.abs(gaps).max()
        if self.norm == "linf" or not 0 < largest < np.inf:
            return float(largest)
        return float(largest * np.sqrt(((gaps / largest) ** 2).sum()))  # squares of small gaps would underflow

    def values(self, plan: Array) -> tuple[float, float]:
        """<C, P> + reg KL(P | a b'), and <C, P>."""
        with np.errstate(invalid="ignore"):  # an infinite cost forbids an arc: without a plan there it costs nothing
            linear = np.where(plan != 0, self.C * plan, 0).sum()
        part, log_a, log_b = plan[self.kept], np.log(self.a[self.a > 0]), np.log(self.b[self.b > 0])
        with np.errstate(divide="ignore", invalid="ignore"):  # a b may underflow, its logarithm does not
            terms = np.where(part > 0, part * (np.log(part) - log_a[:, None] - log_b), 0)
        return float(linear + self.reg * terms.sum()), float(linear)

    def dual(self, f: Array, g: Array, made: Array) -> float:
        """<a, f - reg log a> + <b, g - reg log b> - reg (sum P - mass), over the positive weights."""
        total = -self.reg * (made.sum() - self.mass)
        for weights, potential in ((self.a, f), (self.b, g)):
            kept = weights > 0
            total += (weights[kept] * (potential.astype(self.dtype)[kept] - self.reg * np.log(weights[kept]))).sum()
        return float(total)

    def rounded(self, plan: Array) -> Array:
        """The plan brought to the exact marginals: rows, then columns scaled down, and a product of what is missing."""
        with np.errstate(divide="ignore", invalid="ignore"):
            plan = plan * np.nan_to_num(np.minimum(1, self.a / plan.sum(axis=1)))[:, None]
            plan = plan * np.nan_to_num(np.minimum(1, self.b / plan.sum(axis=0)))
        rows, columns = (np.maximum(self.a - plan.sum(axis=1), 0), np.maximum(self.b - plan.sum(axis=0), 0))
        missing = rows.sum()
        return plan + np.multiply.outer(rows, columns / missing) if missing > 0 else plan

    def lp_lower_bound(self, f: Array) -> float:
        """<a, f'> + <b, g'> for the best g' against f and then the best f'."""
        cost = self.C[self.kept]
        g = (cost - f.astype(self.dtype)[self.a > 0][:, None]).min(axis=0)
        return float(self.a[self.a > 0] @ (cost - g).min(axis=1) + self.b[self.b > 0] @ g)


def _check_shape_of(plan: Array, data: _Data) -> None:
    """Of the right shape, finite, >= 0, and zero where a weight is."""
    holds(plan.shape == data.C.shape, f"the plan has shape {plan.shape}, the cost {data.C.shape}")
    holds(np.isfinite(plan).all(), "the plan is not finite")
    holds((plan >= 0).all(), f"the plan has a negative entry: {plan.min()}")
    outside = np.ones(plan.shape, bool)
    outside[data.kept] = False
    holds(not plan[outside].any(), "the plan moves mass from or to a point of zero weight")
    holds(not plan[np.isposinf(data.C)].any(), "the plan moves mass along a forbidden arc")


def _check_claims(result: Any, report: TransportReport, difference: float, data: _Data, tol: float) -> None:
    """Every number that the result states, against its recomputed one; `difference`: of the plan and that of (f, g)."""
    rounding = report.rounding
    mass, stated = float(data.mass), float(result.marginal_error)
    summation = SUMMATION * mass + data.imbalance
    if result.success:
        holds(stated <= tol, f"success, though the stated marginal error {stated:.3g} is above the tolerance {tol:.3g}")
        errors = {"plan": (report.marginal_error, summation), "potentials": (report.potential_error, rounding)}
        for name, (error, slack) in errors.items():
            holds(
                error <= tol + slack + summation,
                f"success, though the {data.norm} marginal error of the returned {name} is {error:.6g}, above the "
                f"tolerance {tol:.3g} (rounding explains {slack:.3g})",
            )
    holds(
        abs(report.marginal_error - stated) <= 1e-9 * stated + summation,
        f"the marginal error is stated as {stated:.6g}, recomputed {report.marginal_error:.6g}",
    )
    holds(
        difference <= 2 * rounding,
        f"the plan is not the one of the potentials: they differ by {difference:.3g} in sum, rounding is "
        f"{rounding:.3g}",
    )
    scale = float(np.abs(data.C).max(where=np.isfinite(data.C), initial=0) + data.reg) * (mass + stated)
    for name in ("value", "value_linear"):
        said, found = float(getattr(result, name)), getattr(report, name)
        slack = scale * (1e-12 + rounding / mass)
        holds(abs(said - found) <= slack, f"{name} is stated as {said!r}, recomputed {found!r}")
    slack = scale * (1e-12 + (rounding + data.imbalance) / mass)
    holds(report.gap >= -slack, f"the dual value is above the primal one by {-report.gap:.3g}: one of them is wrong")
    holds(report.lp_bounds[0] <= report.lp_bounds[1] + slack, f"the bounds {report.lp_bounds} cross")
