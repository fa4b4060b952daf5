"""Exact transport by column generation: a network simplex on few arcs, and exact pricing of all of them.

1. Sinkhorn sweeps at decreasing reg give potentials near the optimal ones; early levels sweep a sample of the rows.
2. The cheapest arcs of each row against them are the first candidates. Filled in the order of their reduced cost,
   and completed by the cheapest arcs between what is left, they carry a plan that is feasible from the start.
3. A round is a network simplex on the candidates, which yields an optimal plan and potentials for them; then one pass
   over all n x m arcs, which yields the dual value and, for each row, the arcs that the potentials leave too cheap.
   They become candidates. When there are none the plan is optimal.

A basis of the simplex never comes back (see network_simplex.c), so the rounds end, whichever candidates are dropped.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.method import Method
from .._base.options import option
from .._base.result import Status
from . import _kernels
from ._exact import PIVOTS, ROUNDING, ExactProblem, ExactTransportResult, price
from ._warm_duals import warm_duals

Array = npt.NDArray[Any]
#: Rows, columns and costs of some arcs.
Arcs = tuple[Array, Array, Array]

#: Room for candidates, a node. Those of largest reduced cost are dropped when it is full.
ROOM = 64

#: The greedy plan is completed by so many passes over what is left, of at most so many arcs a row.
PASSES, COMPLETION = 8, 64


@dataclass(frozen=True, eq=False, repr=False)
class Basis:
    """The candidates, a spanning tree of them with its flows in whole units, and potentials."""

    #: The first `arcs` entries are candidates.
    rows: Array
    columns: Array
    costs: Array
    arcs: int
    #: Costs of the arcs to the root, by rows.
    base: Array
    #: n + m + 1 nodes: sources, sinks, root.
    parent: Array
    arc: Array
    flow: Array
    #: Of the columns; those of the rows follow by pricing.
    g: Array
    nit: int
    measure: float
    #: Whether all arcs are priced and none is too cheap, beyond rounding.
    optimal: bool
    pivots: int

    def network(self, problem: ExactProblem) -> _kernels.Network:
        """The kernels' handle on the candidates."""
        k = self.arcs
        return _kernels.Network(*problem.cost.shape, self.rows[:k], self.columns[:k], self.costs[:k], self.base)

    def ends(self, problem: ExactProblem, arcs: Array) -> tuple[Array, Array]:
        """Rows and columns of some candidates."""
        return self.rows[arcs], self.columns[arcs]


@dataclass(frozen=True)
class ColumnGeneration:
    """Network simplex on candidate arcs; all arcs are priced in each round."""

    candidates: int = option(24, "arcs of each row to start with", low=1, high=_kernels.PRICE_MOST, unit="arcs")
    additions: int = option(24, "arcs of a row that a round adds at most", low=1, high=_kernels.PRICE_MOST, unit="arcs")

    def init(self, problem: ExactProblem) -> Basis:
        n, m = problem.cost.shape
        g = problem.g0
        if g is None:
            g = warm_duals(problem.cost, problem.a, problem.b, problem.threads)
        f, arcs = problem.price(g, np.inf, min(self.candidates, m))
        arcs, shipped = _feasible(problem, arcs, f, g)
        room = max(ROOM * (n + m), len(shipped), 2 * self.additions * n)
        basis = Basis(
            *_in_room(arcs, room), arcs=len(shipped), base=f, parent=np.empty(n + m + 1, np.intc),
            arc=np.empty(n + m + 1, np.intc), flow=np.empty(n + m + 1), g=g, nit=0, measure=np.inf, optimal=False,
            pivots=0,
        )  # fmt: skip
        height = np.empty(n + m + 1)
        basis.network(problem).start(shipped, basis.parent, basis.arc, basis.flow, height)
        return replace(basis, measure=problem.measure(basis, f, g))

    def step(self, problem: ExactProblem, state: Basis) -> Basis:
        n, m = problem.cost.shape
        parent, arc, flow, height = state.parent.copy(), state.arc.copy(), state.flow.copy(), np.empty(n + m + 1)
        tolerance = ROUNDING * max(np.abs(state.base).max(), np.abs(state.g).max())
        most = PIVOTS * (n + m)
        pivots = state.network(problem).simplex(parent, arc, flow, height, tolerance, most)
        f, g = height[:n], -height[n:-1]
        least, found = problem.price(g, f - tolerance, self.additions)
        # Where the arcs of the last round brought no pivot, the same would come again: only rounding told them apart.
        settled = len(found[0]) == 0 or (pivots == 0 and state.nit > 0)
        state = replace(
            state, parent=parent, arc=arc, flow=flow, g=g, nit=state.nit + 1, pivots=state.pivots + pivots,
            optimal=settled and pivots < most,
        )  # fmt: skip
        return _with_candidates(replace(state, measure=problem.measure(state, least, g)), found, height)

    def done(self, problem: ExactProblem, state: Basis) -> Status | None:
        return problem.ended(state.measure, state.optimal)

    def finish(self, problem: ExactProblem, state: Basis) -> ExactTransportResult:
        return problem.certify(state, {"rounds": state.nit, "pivots": state.pivots, "arcs": state.arcs})


def _feasible(problem: ExactProblem, arcs: Arcs, f: Array, g: Array) -> tuple[Arcs, Array]:
    """Candidates that carry a plan, and what they carry: these arcs, filled in order of reduced cost, and more."""
    shape = problem.cost.shape
    a, b = (weights.copy() for weights in problem.units)
    carried = [_ship(shape, arcs, _by_reduced_cost(arcs, f, g), a, b)]
    parts = [arcs]
    while a.any():
        rows, columns = np.flatnonzero(a), np.flatnonzero(b)
        if len(parts) <= PASSES:
            arcs = _between(problem, rows, columns, g)
            order = _by_reduced_cost(arcs, f, g)
        else:  # little is left, or ties: as it comes
            arcs = _staircase(problem, rows, columns, a, b)
            order = np.arange(len(arcs[0]))
        shipped = _ship(shape, arcs, order, a, b)
        used = shipped > 0
        parts.append((arcs[0][used], arcs[1][used], arcs[2][used]))
        carried.append(shipped[used])
    rows, columns, costs = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return (rows, columns, costs), np.concatenate(carried)


def _ship(shape: tuple[int, int], arcs: Arcs, order: Array, a: Array, b: Array) -> Array:
    """What each arc carries when they are filled in this order; it is taken from a and b."""
    shipped = np.zeros(len(arcs[0]))
    _kernels.Network(*shape, *arcs, np.zeros(shape[0])).ship(order, a, b, shipped)
    return shipped


def _by_reduced_cost(arcs: Arcs, f: Array, g: Array) -> Array:
    rows, columns, costs = arcs
    return np.argsort(costs - f[rows] - g[columns], kind="stable")


def _between(problem: ExactProblem, rows: Array, columns: Array, g: Array) -> Arcs:
    """The cheapest arcs of some rows to some columns."""
    part = problem.cost.restricted(rows, columns)
    _, (i, j, costs) = price(part, g[columns], np.inf, min(COMPLETION, len(columns)), problem.threads)
    return rows[i].astype(np.intc), columns[j].astype(np.intc), costs


def _staircase(problem: ExactProblem, rows: Array, columns: Array, a: Array, b: Array) -> Arcs:
    """Arcs that carry all of a[rows] to b[columns] when they are filled one after the other."""
    ends = np.union1d(np.cumsum(a[rows]), np.cumsum(b[columns]))
    i = np.searchsorted(np.cumsum(a[rows]), ends)
    j = np.searchsorted(np.cumsum(b[columns]), ends)
    return rows[i].astype(np.intc), columns[j].astype(np.intc), problem.costs(rows[i], columns[j])


def _in_room(arcs: Arcs, room: int) -> Arcs:
    """The arcs at the beginning of longer arrays."""
    longer = []
    for values in arcs:
        longer.append(np.zeros(room, values.dtype))
        longer[-1][: len(values)] = values
    return longer[0], longer[1], longer[2]


def _with_candidates(state: Basis, found: Arcs, height: Array) -> Basis:
    """The state with more candidates; where there is no room, those of largest reduced cost make it."""
    count, room = state.arcs, len(state.rows)
    arcs, arc = (state.rows[:count], state.columns[:count], state.costs[:count]), state.arc
    if count + len(found[0]) > room:
        n = len(state.base)
        reduced = arcs[2] - height[arcs[0]] + height[n + arcs[1]]
        reduced[arc[arc >= 0]] = -np.inf
        kept = np.sort(np.argpartition(reduced, room // 2)[: room // 2])
        arcs = arcs[0][kept], arcs[1][kept], arcs[2][kept]
        arc = np.where(arc >= 0, np.searchsorted(kept, arc), -1).astype(np.intc)
    joined = [np.concatenate(pair) for pair in zip(arcs, found, strict=True)]
    rows, columns, costs = _in_room((joined[0], joined[1], joined[2]), room)
    return replace(state, rows=rows, columns=columns, costs=costs, arc=arc, arcs=len(joined[0]))


#: Not registered: the family's entry for other methods, `solve`, serves the entropic problem.
METHOD = Method(
    name="column-generation",
    family="ot",
    summary="exact transport by a network simplex on candidate arcs; all arcs are priced in each round",
    reference="Cunningham (1976), A network simplex method; Schmitzer (2016), A sparse multiscale algorithm for dense "
    "optimal transport, arXiv 1510.05466",
    solver=ColumnGeneration,
    capabilities=frozenset({"dense-cost", "point-cloud"}),
)
