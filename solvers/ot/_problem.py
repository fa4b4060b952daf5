"""The checked transport problem, the result of a solve, and the certificate of an answer.

    minimise  <C, P> + reg KL(P | a b')   over  P >= 0,  P 1 = a,  P' 1 = b

The solution is P_ij = exp((f_i + g_j - C_ij) / reg). The methods work in base 2, with
u = (f - offset) / (reg ln2), v = (g - column_offset) / (reg ln2) and scale = 1 / (reg ln2); rows and columns of zero
weight are left out and put back at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._base.result import SolveResult, Status
from . import _kernels
from ._cost import Cost
from ._plan import Plan
from ._rounding import RoundedPlan, rounded_plan

Array = npt.NDArray[Any]

LN2 = float(np.log(2.0))

NORMS = ("l1", "l2", "linf")

#: Total masses may differ by this much, relatively: silently (b is rescaled), or with a warning.
MASS_SILENT, MASS_WARNED = 1e-12, 1e-6

#: A column sum below this may have lost digits to underflow: the column is summed again by itself.
UNDERFLOW = 1e-280

#: An exponent (base 2) at which nothing is left, whatever is added to it.
FAR = 1e300


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class TransportResult(SolveResult):
    """Result of an entropic transport solve: a `SolveResult` with the following.

    Attributes
    ----------
    x, plan : Plan
        The transport plan, made on demand: ``plan.dense()``, ``plan.matvec(x)``, ``plan.barycentric(Y)``.
    f, g : ndarray, shapes (n,) and (m,)
        Potentials: ``P_ij = exp((f_i + g_j - C_ij) / reg)``, shifted so that ``sum(b * g) = 0``; -inf at
        zero weights. In units of the cost.
    value : float
        ``<C, P> + reg * KL(P | a b')``, as POT's `ot.solve` counts.
    value_linear : float
        ``<C, P>``.
    value_entropy : float
        ``<C, P> + reg * sum(P * log(P))``; differs from `value` by ``reg * (r @ log(a) + c @ log(b))``, r and c the
        sums of the plan.
    value_dual : float
        The dual objective at (f, g), in the convention of `value`: ``a @ f + b @ g - reg * (sum(P) - sum(a)
        + a @ log(a) + b @ log(b))``. Never above the least `value` of a feasible plan; equal to it at the optimum.
    marginal_error : float
        The norm of both marginal violations of the returned plan, recomputed; equal to `measure`.
    rounded : RoundedPlan or None
        A plan with the marginals a and b exactly (to the rounding of sums), close to `plan`. None without `certify`.
    gap : float
        An upper bound, >= 0, of the `value` of `rounded` minus `value_dual`, and so of how far either is from the
        optimum. NaN without `certify`.
    lp_bounds : (float, float)
        Certified bounds of the least cost ``<C, P>`` of any feasible plan, without entropy. The upper one is the cost
        of `rounded`. NaN without `certify`.
    """

    f: Array
    g: Array
    value: float
    value_linear: float
    value_entropy: float
    value_dual: float
    marginal_error: float
    rounded: RoundedPlan | None
    gap: float
    lp_bounds: tuple[float, float]
    #: What was solved, as the methods see it; `gradients` and `derivative` read it.
    problem: TransportProblem

    @property
    def plan(self) -> Plan:
        """The transport plan; the same object as `x`."""
        plan: Plan = self.x
        return plan


class LargeEntries(NamedTuple):
    """The large entries of a plan, in compressed rows."""

    row_starts: Array
    columns: Array
    values: Array


@dataclass(frozen=True, eq=False, repr=False)
class TransportProblem:
    """A transport problem with positive weights, ready for the methods."""

    cost: Cost
    #: The cost as given, with the rows and columns of zero weight.
    whole: Cost
    a: Array
    b: Array
    reg: float
    tol: float
    norm: str
    threads: int
    #: The start, in base 2.
    u0: Array
    v0: Array
    kept_rows: Array | None
    kept_columns: Array | None
    shape: tuple[int, int]
    copies: int
    _kept: list[Any] = field(default_factory=list, repr=False)
    #: Whether the result is to have a rounded plan and bounds.
    certified: bool = True
    #: Rows and columns that no plan on the allowed arcs can serve; None where none is known of.
    unreachable: tuple[Array, Array] | None = None

    def __repr__(self) -> str:
        return f"<{self.title}>"

    def __getstate__(self) -> dict[str, Any]:
        state = {**self.__dict__, "_kept": []}
        state.pop("compiled", None)
        return state

    def keep(self, owner: Any, thing: Any) -> None:
        """Keep something in memory between the steps of a solve."""
        self._kept[:] = [(owner, thing)]

    def kept(self, owner: Any) -> Any:
        """What this owner keeps, which it no longer does; None where there is nothing."""
        try:
            keeper, thing = self._kept.pop()
        except IndexError:
            return None
        return thing if keeper is owner else None

    def forget(self) -> None:
        """Give back what was kept in memory between the steps of a solve."""
        self._kept.clear()

    @cached_property
    def compiled(self) -> _kernels.Problem:
        """The problem as the compiled drivers see it."""
        cost = self.cost
        return _kernels.Problem(
            cost.kernel, self.a, self.b, cost.offset, cost.column_offset, reg=self.reg, scale=self.scale,
            span=cost.span, tol=self.tol, norm=self.norm, forbidden=cost.forbidden is not None, threads=self.threads,
        )  # fmt: skip

    @property
    def scale(self) -> float:
        """Exponents (base 2) per unit of cost."""
        return 1.0 / (self.reg * LN2)

    @property
    def ratio(self) -> float:
        """The span of the costs over reg: how hard the problem is."""
        return self.cost.span / self.reg

    @property
    def needs(self) -> frozenset[str]:
        """The capability that a method must have."""
        return frozenset({self.cost.capability})

    @property
    def stats(self) -> dict[str, Any]:
        """What the result says of the problem."""
        return {"threads": self.threads, "copies": self.copies}

    @property
    def title(self) -> str:
        """One line for the log."""
        n, m = self.shape
        kind = {"dense-cost": "matrix", "point-cloud": "points"}.get(self.cost.capability, "blocks by a function")
        return f"{n} x {m} transport ({kind}), reg {self.reg:g}, tol {self.tol:g} ({self.norm})"

    @cached_property
    def lifted(self) -> tuple[Array, Array]:
        """scale times the offsets of rows and columns, (n,) and (m,)."""
        offsets = zip((self.cost.offset, self.cost.column_offset), (self.a, self.b), strict=True)
        rows, columns = (np.zeros_like(w) if offset is None else offset * self.scale for offset, w in offsets)
        return rows, columns

    @property
    def roundoff(self) -> float:
        """About the smallest marginal error that float64 exponents of this size allow."""
        return self.compiled.roundoff

    def error(self, row_sums: Array | None, column_sums: Array) -> float:
        """The norm of the marginal violations; None means that the rows are met."""
        return self.compiled.error(row_sums, column_sums)

    def size(self, gaps: Sequence[Array]) -> float:
        """The norm of the gaps of one side or of both."""
        if self.norm == "l1":
            return float(sum(np.abs(gap).sum() for gap in gaps))
        largest = float(np.max([np.abs(gap).max() for gap in gaps]))  # NaN where one is
        if self.norm == "linf" or not 0 < largest < np.inf:
            return largest
        # in units of a power of two: squares of small masses would underflow, and no error be seen
        exponent = max(int(np.frexp(largest)[1]), -1020)
        scaled = (np.ldexp(gap, -exponent) for gap in gaps)
        return float(np.ldexp(np.sqrt(sum(gap @ gap for gap in scaled)), exponent))

    def sweep(self, u: Array, v: Array) -> tuple[Array, Array]:
        """The best u against v, from the reference u, and the column sums then. One read of C."""
        u, column_sums = u.copy(), np.empty_like(v)
        self.cost.kernel.sweep(self.scale, self.a, u, v, column_sums, self.threads)
        return u, column_sums

    def rise(self, old: Array, new: Array) -> float:
        """a @ (new - old), for row potentials: their part in a change of the dual."""
        return float(self.a @ (new - old))

    def weight(self, u: Array) -> float:
        """a @ |u|."""
        return float(self.a @ np.abs(u))

    def sums(self, u: Array, v: Array) -> tuple[Array, Array]:
        """Row sums and column sums of the plan."""
        row_sums, column_sums = np.empty_like(u), np.empty_like(v)
        self.cost.kernel.marginals(self.scale, u, v, row_sums, column_sums, self.threads)
        return row_sums, column_sums

    def best_v(self, u: Array, v: Array, column_sums: Array, stage: float = 1.0) -> Array:
        """The best v against u, from the column sums at (u, v), at `stage` times the regularisation.

        Where the potentials have drifted off against each other it comes with another constant, which a sweep answers.
        """
        return self.compiled.best_v(u, v, column_sums, stage)

    def drift(self, v: Array) -> float:
        """The mean of v, 0 where it is harmless."""
        return self.compiled.drift(v)

    @property
    def aim(self) -> float:
        """The running error at which to stop: the answer is measured again, by kernels that round otherwise."""
        return self.compiled.aim

    def stop(self, measure: float, steps_without_progress: int) -> Status | None:
        """When a method should end: converged, out of the numbers, or as far as rounding lets it come."""
        code = self.compiled.stop(measure, steps_without_progress)
        return None if code < 0 else Status(code)  # type: ignore[call-arg]

    def answer(self, state: Any) -> Plan:
        """The plan of a state."""
        return self.plan_at(state.u, state.v)

    def plan_at(self, u: Array, v: Array) -> Plan:
        """The plan of these potentials."""
        u, v = u.view(), v.view()
        u.flags.writeable = v.flags.writeable = False
        return Plan(self.cost, self.scale, u, v, self.kept_rows, self.kept_columns, self.shape, self.threads)

    def certify(self, state: Any, stats: dict[str, Any]) -> TransportResult:
        """The result of a state, its marginal error and values recomputed from the plan that is returned."""
        known = getattr(state, "column_sums", None)
        certificate = self.compiled.certify(state.u, state.v, self.certified, known)
        return self.result(self.answer(state), *certificate, stats, state.nit)

    def result(
        self, plan: Plan, numbers: dict[str, Any], f: Array, g: Array, parts: tuple[Array, ...] | None,
        stats: dict[str, Any], nit: int,
    ) -> TransportResult:  # fmt: skip
        """The result with this plan and its certificate, as the compiled `certify` gives it."""
        return TransportResult(
            x=plan, f=spread(f, self.kept_rows, self.shape[0]), g=spread(g, self.kept_columns, self.shape[1]),
            measure=numbers["marginal_error"], marginal_error=numbers["marginal_error"], stats=stats,
            value=numbers["value"], value_linear=numbers["value_linear"], value_entropy=numbers["value_entropy"],
            value_dual=numbers["value_dual"], rounded=None if parts is None else rounded_plan(plan, *parts),
            gap=numbers["gap"], lp_bounds=(numbers["lp_lower"], numbers["lp_upper"]), problem=self,
            # the loop fills these in
            success=False, status=Status.MAX_ITER, message="", nit=nit,
        )  # fmt: skip

    def infeasible(self, method: str) -> TransportResult:
        """The result where no plan exists: the zero plan, and who cannot be served."""
        error = self.error(np.zeros_like(self.a), np.zeros_like(self.b))
        inf = float("inf")
        return TransportResult(
            measure=error, marginal_error=error, value=inf, value_linear=inf, value_entropy=inf, value_dual=inf,
            rounded=None, gap=inf, lp_bounds=(inf, inf), problem=self, **self._of_nothing(method),
        )  # fmt: skip

    def _of_nothing(self, method: str) -> dict[str, Any]:
        """What a result of any kind has where no plan exists."""
        assert self.unreachable is not None
        u, v = np.full_like(self.a, -FAR), np.zeros_like(self.b)
        kept = self.kept_rows, self.kept_columns
        rows, columns = (at if all_ is None else all_[at] for at, all_ in zip(self.unreachable, kept, strict=True))
        missed = ((rows, "sources", "send"), (columns, "targets", "receive"))
        parts = [f"{who} {_some(at)} cannot {what} all of their weight" for at, who, what in missed if len(at)]
        return {
            "x": self.plan_at(u, v), "f": np.full(self.shape[0], -np.inf), "g": np.full(self.shape[1], -np.inf),
            "success": False, "status": Status.INFEASIBLE, "nit": 0, "method": method,
            "message": f"{Status.INFEASIBLE.sentence} On the allowed arcs {', '.join(parts)}.",
            "stats": {**self.stats, "unreachable_rows": rows, "unreachable_columns": columns},
        }  # fmt: skip


def _some(indices: Array) -> str:
    """A list of indices, not too long."""
    shown = ", ".join(map(str, indices[:10]))
    return f"[{shown}{', ...' if len(indices) > 10 else ''}]"


def spread(values: Array, kept: Array | None, size: int) -> Array:
    """Values at the kept places, -inf elsewhere."""
    if kept is None:
        return values
    full = np.full(size, -np.inf)
    full[kept] = values
    return full
