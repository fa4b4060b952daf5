"""The checked exact transport problem, its result, and the certificate of an answer.

minimise  <C, P>  over  P >= 0,  P 1 = a,  P' 1 = b
maximise  <a, f> + <b, g>  over  f_i + g_j <= C_ij
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from .._base.result import SolveResult, Status
from . import _kernels
from ._cost import Cost

Array = npt.NDArray[Any]

#: Flows are counted in this share of the mass: exact in float64, and as fine as float64 sums of the weights.
UNITS = 2.0**52

#: What `costs_of` can check.
METRICS = ("sqeuclidean", "euclidean", "cityblock")

EPSILON, TINY = 2.0**-52, 2.0**-1022

#: Rows of a block, where a stored matrix is gone through in NumPy.
BLOCK_ENTRIES = 1 << 19


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ExactTransportResult(SolveResult):
    """Result of an exact transport solve: a `SolveResult` with the following.

    Attributes
    ----------
    x, plan : scipy.sparse.csr_array, shape (n, m)
        The transport plan, with at most n + m - 1 entries.
    f, g : ndarray, shapes (n,) and (m,)
        Dual potentials: ``f_i + g_j <= C_ij`` for all arcs up to rounding, with equality where the plan is positive;
        shifted so that ``sum(b * g) = 0``. In units of the cost.
    value : float
        ``<C, P>`` of the returned plan.
    gap : float
        ``value - (<a, f> + <b, g>)``: the plan is at most this far from the optimum, up to rounding.
    marginal_error : float
        The l1 norm of both marginal violations of the returned plan, recomputed.

    Notes
    -----
    `measure` is the larger of the relative gap and the relative marginal error. A gap is counted from what rounding
    alone makes: 2^-52 of the mass times what the costs span within a row, and of ``<a, |f|> + <b, |g|>``. Else no
    plan of value 0 would ever be good enough. The rounds go on until the gap is small against what the potentials
    vary, too, so that a common offset of the costs does not end them early; `history` has that measure.
    """

    f: Array
    g: Array
    value: float
    gap: float
    marginal_error: float

    @property
    def plan(self) -> sparse.csr_array:
        """The transport plan; the same object as `x`."""
        return self.x


@dataclass(frozen=True, eq=False)
class ExactProblem:
    """An exact transport problem with positive weights, ready for the method."""

    cost: Cost
    a: Array
    b: Array
    tol: float
    threads: int
    #: Column potentials to start from; None: to be found.
    g0: Array | None
    kept_rows: Array
    kept_columns: Array
    #: The cost with the rows and columns of zero weight.
    whole: Cost
    copies: int

    @property
    def needs(self) -> frozenset[str]:
        """The capability that a method must have."""
        return frozenset({"dense-cost" if self.cost.matrix is not None else "point-cloud"})

    @property
    def stats(self) -> dict[str, Any]:
        """What the result says of the problem."""
        return {"threads": self.threads, "copies": self.copies}

    @property
    def title(self) -> str:
        """One line for the log."""
        n, m = self.whole.shape
        kind = "matrix" if self.cost.matrix is not None else "points"
        return f"{n} x {m} exact transport ({kind}), tol {self.tol:g}"

    @cached_property
    def units(self) -> tuple[Array, Array]:
        """The weights in whole units, at least one each and of equal sum. Equal weights stay equal where they can."""
        unit = float(self.a.sum()) / UNITS
        a, b = (np.maximum(np.rint(weights / unit), 1.0) for weights in (self.a, self.b))
        missing = int(a.sum() - b.sum())
        short, exact = (b, self.b / unit) if missing > 0 else (a, self.a / unit)
        each, rest = divmod(abs(missing), len(short))
        short += each
        short[np.argsort(short - exact, kind="stable")[:rest]] += 1
        return a, b

    def price(self, g: Array, limit: Array | float, most: int) -> tuple[Array, tuple[Array, Array, Array]]:
        """As `price`, for the kept rows and columns."""
        return price(self.cost, g, limit, most, self.threads)

    def costs(self, rows: Array, columns: Array) -> Array:
        """Of some arcs."""
        return costs_of(self.cost, rows, columns)

    def dual(self, f: Array, g: Array) -> float:
        """The dual value."""
        return float(self.a @ f + self.b @ g)

    def relative(self, gap: float, value: float, f: Array, g: Array) -> float:
        """The gap beyond what rounding makes of costs and potentials of this size, relative to the value."""
        size = float(self.a.sum()) * self.cost.span + float(self.a @ np.abs(f) + self.b @ np.abs(g))
        rounding = EPSILON * size
        if not np.isfinite(rounding):
            return np.inf  # nothing is known of a gap beyond the numbers
        return max(abs(gap) - rounding, 0.0) / max(abs(value), rounding, TINY)

    def spread(self, f: Array, g: Array) -> float:
        """What the potentials differ from their means."""
        mass = float(self.a.sum())
        mean_f, mean_g = float(self.a @ f) / mass, float(self.b @ g) / mass
        return float(self.a @ np.abs(f - mean_f) + self.b @ np.abs(g - mean_g))

    def answer(self, state: Any) -> sparse.csr_array:
        """The plan of a state."""
        n, m = self.whole.shape
        used = np.flatnonzero((state.flow[:-1] > 0) & (state.arc[:-1] >= 0))
        flow = np.empty_like(state.flow)
        network = state.network(self.cost.shape)
        network.flows(state.parent.copy(), state.arc.copy(), self.a, self.b, flow)
        arcs = state.arc[used]
        rows, columns = self.kept_rows[state.rows[arcs]], self.kept_columns[state.columns[arcs]]
        return sparse.csr_array((np.maximum(flow[used], 0.0), (rows, columns)), shape=(n, m))

    def certify(self, state: Any, stats: dict[str, Any]) -> ExactTransportResult:
        """The result of a state, its claims recomputed from the plan and the potentials that are returned."""
        plan = self.answer(state)
        entries = plan.tocoo()
        sides = (entries.row, self.kept_rows, self.a), (entries.col, self.kept_columns, self.b)
        error = 0.0
        for (places, kept, weights), size in zip(sides, plan.shape, strict=True):
            missing = -np.bincount(places, entries.data, size)
            missing[kept] += weights
            error += float(np.abs(missing).sum())
        f, g = self._potentials(state.g)
        kept_f, kept_g = f[self.kept_rows], g[self.kept_columns]
        value = float(entries.data @ costs_of(self.whole, entries.row, entries.col))
        gap = value - self.dual(kept_f, kept_g)
        measure = max(self.relative(gap, value, kept_f, kept_g), error / float(self.a.sum()))
        return ExactTransportResult(
            x=plan, f=f, g=g, value=value, gap=gap, marginal_error=error, measure=measure, stats=stats,
            # the loop fills these in
            success=False, status=Status.MAX_ITER, message="", nit=state.nit,
        )  # fmt: skip

    def _potentials(self, g: Array) -> tuple[Array, Array]:
        """Feasible potentials of all rows and columns, from those of the kept columns: f, then the g of the others."""
        m = self.whole.shape[1]
        g = g - float(self.b @ g) / float(self.b.sum())
        whole_g = np.full(m, -np.inf)
        whole_g[self.kept_columns] = g
        f = price(self.whole, whole_g, -np.inf, 1, self.threads)[0]
        if len(self.kept_columns) < m:
            others = np.setdiff1d(np.arange(m), self.kept_columns, assume_unique=True)
            whole_g[others] = self._column_least(f, others)
        return f, whole_g

    def _column_least(self, f: Array, columns: Array) -> Array:
        """min_i C_ij - f_i of some columns."""
        if self.whole.points is not None:
            x, y, metric = self.whole.points
            swapped = Cost(points=(np.ascontiguousarray(y[:, columns].T), np.ascontiguousarray(x.T), metric))
            return price(swapped, f, -np.inf, 1, self.threads)[0]
        assert self.whole.matrix is not None
        least = np.full(len(columns), np.inf)
        size = max(1, BLOCK_ENTRIES // len(columns))
        for first in range(0, len(f), size):
            block = self.whole.matrix[first : first + size, columns] - f[first : first + size, None]
            np.minimum(least, block.min(axis=0), out=least)
        return least


def price(
    cost: Cost, g: Array, limit: Array | float, most: int, threads: int
) -> tuple[Array, tuple[Array, Array, Array]]:
    """min_j C_ij - g_j of each row; and its `most` least arcs below `limit`: rows, columns, costs."""
    assert isinstance(cost.kernel, _kernels.Cost)
    n = cost.shape[0]
    least, counts = np.empty(n), np.empty(n, np.intc)
    columns, costs = np.empty((n, most), np.intc), np.empty((n, most))
    _kernels.price(cost.kernel, g, np.full(n, limit), least, counts, columns, costs, threads)
    found = np.arange(most) < counts[:, None]
    rows = np.repeat(np.arange(n, dtype=np.intc), counts)
    return least, (rows, columns[found], costs[found])


def costs_of(cost: Cost, rows: Array, columns: Array) -> Array:
    """The costs of some arcs, in float64, without the kernels."""
    if cost.matrix is not None:
        return cost.matrix[rows, columns].astype(np.float64)
    assert cost.points is not None
    x, y, metric = cost.points
    difference = x[rows] - y.T[columns]
    if metric == "cityblock":
        distances: Array = np.abs(difference).sum(axis=1)
        return distances
    squared: Array = np.einsum("kd,kd->k", difference, difference)
    return squared if metric == "sqeuclidean" else np.sqrt(squared)
