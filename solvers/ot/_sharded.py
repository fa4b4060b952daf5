"""Transport problems whose rows are shared by ranks: each has rows of the cost and their weights, all have the columns.

The row potentials are those of a rank's own rows; the column potentials are the same on all. A pass over the cost goes
through each rank's rows, and one reduction adds up the m column sums, with the few numbers of the rows that decisions
need. A method that sees the problem through its passes alone thus serves shared rows as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.reducer import SERIAL, Reducer, largest, total
from .._base.result import Status
from . import _kernels
from ._problem import LN2, UNDERFLOW, TransportProblem, TransportResult, spread
from ._rounding import NO_CERTIFICATE, certify

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False, repr=False)
class SharedRows(TransportProblem):
    """A transport problem of whose rows this rank has some; a, u and row sums are theirs alone."""

    across: Reducer = SERIAL
    #: Rows of all ranks, and what the costs span on all.
    rows: int = 0
    span: float = 0.0
    #: Of the last sweeps: the row potentials after and before, a @ (their difference), a @ |the former|.
    _swept: list[tuple[Array, Array, float, float]] = field(default_factory=list, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_swept": [], "across": SERIAL}

    @property
    def ratio(self) -> float:
        return self.span / self.reg

    @property
    def needs(self) -> frozenset[str]:
        return super().needs | {"sharded"}

    @property
    def stats(self) -> dict[str, Any]:
        return {**super().stats, "ranks": self.across.size}

    @property
    def title(self) -> str:
        return f"{super().title}, {self.rows} rows on {self.across.size} ranks"

    @property
    def sizes(self) -> tuple[float, float]:
        return self.span, _kernels.total(self.b)

    def error(self, row_sums: Array | None, column_sums: Array) -> float:
        if row_sums is None:
            return super().error(None, column_sums)
        return self._error_of(row_sums, total(self.across, self._share_of_error(row_sums))[0], column_sums)

    def _share_of_error(self, row_sums: Array) -> float:
        """What this rank's rows add to the sum of which the marginal error is made."""
        gap = row_sums - self.a
        return float(gap @ gap) if self.norm == "l2" else float(np.abs(gap).sum())

    def _error_of(self, row_sums: Array, share: float, column_sums: Array) -> float:
        """The norm of both marginal violations, from the rows' share on all ranks."""
        gap = column_sums - self.b
        if self.norm == "linf":
            return max(largest(self.across, float(np.abs(row_sums - self.a).max())), float(np.abs(gap).max()))
        return float(np.sqrt(share + gap @ gap)) if self.norm == "l2" else share + float(np.abs(gap).sum())

    def sweep(self, u: Array, v: Array) -> tuple[Array, Array]:
        new, column_sums = super().sweep(u, v)
        numbers = np.array([self.a @ (new - u), self.a @ np.abs(new)])
        both = self.across.sum(np.concatenate([column_sums, numbers]))
        self._swept[:-1] = []  # the last one is kept beside this one
        self._swept.append((new, u, float(both[-2]), float(both[-1])))
        return new, both[:-2]

    def rise(self, old: Array, new: Array) -> float:
        for after, before, rise, _ in self._swept:
            if after is new and before is old:
                return rise
        return total(self.across, super().rise(old, new))[0]

    def weight(self, u: Array) -> float:
        for after, _, _, weight in self._swept:
            if after is u:
                return weight
        return total(self.across, super().weight(u))[0]

    def sums(self, u: Array, v: Array) -> tuple[Array, Array]:
        row_sums, column_sums = super().sums(u, v)
        return row_sums, self.across.sum(column_sums)

    def best_v(self, u: Array, v: Array, column_sums: Array, stage: float = 1.0) -> Array:
        if column_sums.min() > UNDERFLOW:
            return super().best_v(u, v, column_sums, stage)
        scale, u, top = self.scale / stage, u / stage, np.empty_like(v)
        self.cost.kernel.column_max(scale, u, top, self.threads)
        top, row_sums, sums = self.across.max(top), np.empty_like(u), np.empty_like(v)
        self.cost.kernel.marginals(scale, u, -top, row_sums, sums, self.threads)
        best: Array = stage * (np.log2(self.b / self.across.sum(sums)) - top)
        return best - self.drift(best)

    # ---- the answer ------------------------------------------------------------------------------

    def certify(self, state: Any, stats: dict[str, Any]) -> TransportResult:
        """The result of a state: its plan and f are of this rank's rows, all else is of the whole plan."""
        plan = self.answer(state)
        row_sums, own_sums, paid = plan.sums()
        log_a, offset = np.log(self.a), self._offset
        numbers = (
            paid, offset @ row_sums, plan.u @ row_sums, row_sums @ log_a, row_sums.sum(), offset @ self.a,
            self.a @ plan.u, self.a.sum(), self.a @ log_a, self._share_of_error(row_sums),
        )  # fmt: skip
        both = self.across.sum(np.concatenate([own_sums, np.array(numbers)]))
        c = both[: len(own_sums)]
        paid, offset_r, u_r, log_r, mass_r, offset_a, u_a, mass_a, log_aa, share = map(float, both[len(own_sums) :])
        log_b, columns = np.log(self.b), self._column_offset
        error = self._error_of(row_sums, share, c)
        linear = paid + offset_r + float(columns @ c)
        log_plan = LN2 * (u_r + float(plan.v @ c)) - paid / self.reg
        dual = (u_a + float(self.b @ plan.v)) / self.scale + offset_a + float(columns @ self.b)
        dual -= self.reg * (mass_r - mass_a + log_aa + float(self.b @ log_b))
        f, g = self.compiled.potentials(plan.u, plan.v)
        f, g = spread(f, self.kept_rows, self.shape[0]), spread(g, self.kept_columns, self.shape[1])
        certificate = certify(plan, self.a, self.b, row_sums, c, self.across) if self.certified else NO_CERTIFICATE
        return TransportResult(
            x=plan, f=f, g=g, measure=error, marginal_error=error, stats=stats,
            value=linear + self.reg * (log_plan - log_r - float(c @ log_b)), value_linear=linear,
            value_entropy=linear + self.reg * log_plan, value_dual=dual,
            rounded=certificate.rounded, gap=certificate.gap, lp_bounds=certificate.lp_bounds, problem=self,
            # the loop fills these in
            success=False, status=Status.MAX_ITER, message="", nit=state.nit,
        )  # fmt: skip

    @cached_property
    def _offset(self) -> Array:
        return np.zeros_like(self.a) if self.cost.offset is None else self.cost.offset

    @cached_property
    def _column_offset(self) -> Array:
        return np.zeros_like(self.b) if self.cost.column_offset is None else self.cost.column_offset
