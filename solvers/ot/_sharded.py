"""Transport problems whose rows are shared by ranks: each has rows of the cost and their weights, all have the columns.

The methods see the whole problem, see _shared_passes.py; what a rank is handed in the end is of its own rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.reducer import SERIAL, Reducer, rows_of_all
from ._plan import Plan
from ._problem import TransportProblem, TransportResult
from ._shared_passes import SharedCost, SharedPasses

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False, repr=False)
class SharedRows(TransportProblem):
    """A transport problem of all ranks' rows, of which this rank has those of the problem `own`.

    Places of zero weight have been left out of the vectors; `shape`, `kept_rows` and `whole` are of the rank's own.
    """

    own: TransportProblem = field(kw_only=True)
    across: Reducer = SERIAL

    @property
    def needs(self) -> frozenset[str]:
        return super().needs | {"sharded"}

    @property
    def stats(self) -> dict[str, Any]:
        return {**super().stats, "ranks": self.across.size}

    @property
    def title(self) -> str:
        return f"{super().title}, {self.cost.shape[0]} rows on {self.across.size} ranks"

    @property
    def mine(self) -> slice:
        """Where this rank's rows lie among all."""
        passes: Any = self.cost.kernel
        assert isinstance(passes, SharedPasses)
        return passes.mine

    def answer(self, state: Any) -> Plan:
        """This rank's rows of the plan."""
        return self.own.plan_at(state.u[self.mine], state.v)

    def certify(self, state: Any, stats: dict[str, Any]) -> TransportResult:
        """The result of a state: its plan and f are of this rank's rows, all else is of the whole plan."""
        numbers, f, g, parts = self.compiled.certify(state.u, state.v, self.certified)
        mine = self.mine
        if parts is not None:
            parts = (parts[0][mine], parts[1], parts[2][mine], parts[3])
        return self.own.result(self.answer(state), numbers, f[mine], g, parts, stats, state.nit)


def shared(own: TransportProblem, across: Reducer) -> SharedRows:
    """The problem of all ranks' rows, of which this one's are `own`."""
    counts = across.gather(len(own.a))
    offset = own.cost.offset
    rows = [own.a, own.u0] if offset is None else [own.a, own.u0, offset]
    a, u0, *offsets = np.ascontiguousarray(rows_of_all(across, np.column_stack(rows), counts).T)
    cost = SharedCost(
        offset=offsets[0] if offsets else None, column_offset=own.cost.column_offset, own=own.cost, across=across,
        whole_span=own.cost.span_of_all(across),
    )  # fmt: skip
    given = {f.name: getattr(own, f.name) for f in fields(TransportProblem) if f.name != "_kept"}
    return SharedRows(**{**given, "cost": cost, "a": a, "u0": u0}, own=own, across=across)
