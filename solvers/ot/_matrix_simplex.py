"""Exact transport by a network simplex on all arcs of a matrix, for costs that stay in cache.

1. The cheapest cost of each column is its first potential; each row is then filled in turn by its cheapest arcs to the
   columns that have room. That plan is feasible, a forest, and the first basis.
2. A pivot enters the least reduced cost of some whole rows, which vectors find at a tenth of a nanosecond an arc. All
   arcs being there, nothing is left to choose beforehand and nothing to add: one call is mostly the whole solve.

Column generation (`_column_generation.py`) looks at fewer arcs a pivot, which pays where the matrix leaves the cache.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from .._base.iterate import Row
from .._base.method import Method
from .._base.result import Status
from . import _kernels
from ._exact import PIVOTS, ROUNDING, ExactProblem, ExactTransportResult

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intc]

#: Entries of the costs, 8 MB, up to which this is faster than column generation.
MOST_ENTRIES = 1 << 20

#: Rows at most, each of which looks for itself; and columns, each of which is filled after a look at a whole row.
MOST_ROWS, MOST_COLUMNS = 1500, 3000

#: Pairs of points up to which their costs are stored: not much beside what column generation would take.
MOST_PAIRS = 1 << 18


@dataclass(frozen=True, eq=False, repr=False)
class Tree:
    """A spanning tree of arcs with its flows in whole units, and potentials. Nodes: n sources, m sinks, a root."""

    parent: Indices
    #: Places in the matrix; -1 for the arcs to the root.
    arc: Indices
    flow: Array
    #: Costs of the arcs to the root, by rows.
    base: Array
    #: Of the columns; those of the rows follow by pricing.
    g: Array
    nit: int
    measure: float
    #: Whether no arc was too cheap, beyond the rounding of this tree's potentials.
    optimal: bool
    pivots: int

    def network(self, problem: ExactProblem) -> _kernels.Network:
        """The kernels' handle on all arcs."""
        return _kernels.Network(*problem.cost.shape, None, None, problem.matrix.reshape(-1), self.base)

    def ends(self, problem: ExactProblem, arcs: Indices) -> tuple[Indices, Indices]:
        """Rows and columns of some arcs."""
        rows, columns = np.divmod(arcs, problem.cost.shape[1])
        return rows, columns


@dataclass(frozen=True)
class MatrixSimplex:
    """Network simplex; all arcs of a matrix are there."""

    def init(self, problem: ExactProblem) -> Tree:
        n, m = problem.cost.shape
        g = problem.matrix.min(axis=0) if problem.g0 is None else problem.g0
        f = problem.least(g)
        tree = Tree(
            parent=np.empty(n + m + 1, np.intc), arc=np.empty(n + m + 1, np.intc), flow=np.empty(n + m + 1), base=f,
            g=g, nit=0, measure=np.inf, optimal=False, pivots=0,
        )  # fmt: skip
        a, b = (weights.copy() for weights in problem.units)
        tree.network(problem).fill(a, b, g, tree.parent, tree.arc, tree.flow, np.empty(n + m + 1))
        return replace(tree, measure=problem.measure(tree, f, g))

    def all_steps(self, problem: ExactProblem, max_iter: int, start: float) -> tuple[Tree, list[Row]]:
        """The first state and all steps: the loop for everybody takes longer than a small solve."""
        state, rows = self.init(problem), []
        while self.done(problem, state) is None and state.nit < max_iter:
            rows.append((state.nit, state.measure, time.perf_counter() - start))
            state = self.step(problem, state)
        return state, rows

    def step(self, problem: ExactProblem, state: Tree) -> Tree:
        n, m = problem.cost.shape
        parent, arc, flow, height = state.parent.copy(), state.arc.copy(), state.flow.copy(), np.empty(n + m + 1)
        network = state.network(problem)
        network.simplex(parent, arc, flow, height, 0.0, 0)  # the tree's own potentials: those at first may be all 0
        pivots = network.simplex(parent, arc, flow, height, ROUNDING * np.abs(height).max(), PIVOTS * (n + m))
        g = -height[n:-1]
        state = Tree(parent, arc, flow, state.base, g, state.nit + 1, np.inf, pivots == 0, state.pivots + pivots)
        return replace(state, measure=problem.measure(state, problem.least(g), g))

    def done(self, problem: ExactProblem, state: Tree) -> Status | None:
        return problem.ended(state.measure, state.optimal)

    def finish(self, problem: ExactProblem, state: Tree) -> ExactTransportResult:
        arcs = problem.matrix.size
        return problem.certify(state, {"rounds": state.nit, "pivots": state.pivots, "arcs": arcs})


def suits(problem: ExactProblem) -> bool:
    """Whether all arcs at once are the faster way."""
    n, m = problem.cost.shape
    most = MOST_PAIRS if problem.cost.matrix is None else MOST_ENTRIES
    return n <= MOST_ROWS and m <= MOST_COLUMNS and n * m <= most


#: Not registered: the family's entry for other methods, `solve`, serves the entropic problem.
METHOD = Method(
    name="network-simplex",
    family="ot",
    summary="exact transport by a network simplex on all arcs of a small matrix",
    reference="Cunningham (1976), A network simplex method",
    solver=MatrixSimplex,
    capabilities=frozenset({"dense-cost", "point-cloud"}),
)
