"""The checked exact transport problem, its result, and the certificate of an answer.

minimise  <C, P>  over  P >= 0,  P 1 = a,  P' 1 = b
maximise  <a, f> + <b, g>  over  f_i + g_j <= C_ij
"""

from __future__ import annotations

import math
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
UNITS = 1 / _kernels.FLOW_UNIT

#: What `costs_of` can check.
METRICS = ("sqeuclidean", "euclidean", "cityblock")

#: Reduced costs above minus this share of the potentials' size are rounding.
ROUNDING = 4e-15

#: Pivots of a round at most, a node: a callback, a limit of time or an interrupt need not wait longer.
PIVOTS = 20

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
        unit = self.mass / UNITS
        a, b = (np.maximum(np.rint(weights / unit), 1.0) for weights in (self.a, self.b))
        missing = int(a.sum() - b.sum())
        short, exact = (b, self.b / unit) if missing > 0 else (a, self.a / unit)
        each, rest = divmod(abs(missing), len(short))
        short += each
        if rest:
            short[np.argsort(short - exact, kind="stable")[:rest]] += 1
        return a, b

    @cached_property
    def shares(self) -> tuple[Array, Array]:
        """The units as shares of their sum, exactly: no product with a cost overflows."""
        a, b = self.units
        return a * _kernels.FLOW_UNIT, b * _kernels.FLOW_UNIT

    @cached_property
    def mass(self) -> float:
        """Of each side."""
        return float(self.a.sum())

    @cached_property
    def matrix(self) -> Array:
        """The costs as the simplex on all of them reads them."""
        if self.cost.matrix is not None:
            return np.ascontiguousarray(self.cost.matrix, np.float64)
        assert self.cost.points is not None
        x, y, metric = self.cost.points
        total = np.zeros(self.cost.shape)
        for p, q in zip(x.T, y, strict=True):
            difference = np.subtract.outer(p, q)
            total += np.abs(difference) if metric == "cityblock" else difference * difference
        return np.sqrt(total) if metric == "euclidean" else total

    def least(self, g: Array) -> Array:
        """min_j C_ij - g_j of the kept rows."""
        return row_least(self.cost, g, self.threads)

    def price(self, g: Array, limit: Array | float, most: int) -> tuple[Array, tuple[Array, Array, Array]]:
        """As `price`, for the kept rows and columns."""
        return price(self.cost, g, limit, most, self.threads)

    def costs(self, rows: Array, columns: Array) -> Array:
        """Of some arcs."""
        return costs_of(self.cost, rows, columns)

    def dual(self, f: Array, g: Array) -> float:
        """The dual value."""
        return float(self.a @ f + self.b @ g)

    def measure(self, state: Any, f: Array, g: Array) -> float:
        """The gap between the plan of a state, and feasible potentials, relative to value or potentials."""
        a, b = self.shares
        value, dual, size, spread = state.network(self).gap(state.arc, state.flow, a, b, f, g)
        unit = self.mass / float(a.sum())
        return self.relative(unit * (value - dual), unit * min(abs(value), spread), unit * size)

    def ended(self, measure: float, optimal: bool) -> Status | None:
        """How the rounds end with this measure, `optimal` telling that no arc is too cheap; None where they go on."""
        if measure <= self.tol:
            return Status.CONVERGED
        if not np.isfinite(measure):
            return Status.NONFINITE
        return Status.STAGNATION if optimal else None

    def relative(self, gap: float, value: float, size: float) -> float:
        """The gap beyond what rounding makes of the costs, and of products with potentials of this size in all."""
        rounding = EPSILON * (self.mass * self.cost.span + size)
        if not math.isfinite(rounding):
            return math.inf  # nothing is known of a gap beyond the numbers
        return max(abs(gap) - rounding, 0.0) / max(abs(value), rounding, TINY)

    def answer(self, state: Any) -> sparse.csr_array:
        """The plan of a state."""
        n, m = self.whole.shape
        used = ((state.flow[:-1] > 0) & (state.arc[:-1] >= 0)).nonzero()[0]
        flow = np.empty_like(state.flow)
        state.network(self).flows(state.parent.copy(), state.arc.copy(), self.a, self.b, flow)
        rows, columns = state.ends(self, state.arc[used])
        rows, columns = self.kept_rows[rows], self.kept_columns[columns]
        order = (rows * m + columns).argsort()
        starts = np.zeros(n + 1, np.intc)
        np.bincount(rows, minlength=n).cumsum(out=starts[1:])
        entries = np.maximum(flow[used[order]], 0.0), columns[order].astype(np.intc), starts
        return sparse.csr_array(entries, shape=(n, m))

    def certify(self, state: Any, stats: dict[str, Any]) -> ExactTransportResult:
        """The result of a state, its claims recomputed from the plan and the potentials that are returned."""
        plan = self.answer(state)
        rows = np.repeat(np.arange(plan.shape[0]), np.diff(plan.indptr))
        sides = (rows, self.kept_rows, self.a), (plan.indices, self.kept_columns, self.b)
        error = 0.0
        for (places, kept, weights), size in zip(sides, plan.shape, strict=True):
            missing = -np.bincount(places, plan.data, size)
            missing[kept] += weights
            error += float(np.abs(missing).sum())
        f, g = self._potentials(state.g)
        kept_f, kept_g = f[self.kept_rows], g[self.kept_columns]
        value = float(plan.data @ costs_of(self.whole, rows, plan.indices))
        gap = value - self.dual(kept_f, kept_g)
        size = float(self.a @ np.abs(kept_f) + self.b @ np.abs(kept_g))
        measure = max(self.relative(gap, value, size), error / self.mass)
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
        f = row_least(self.whole, whole_g, self.threads)
        if len(self.kept_columns) < m:
            others = np.setdiff1d(np.arange(m), self.kept_columns, assume_unique=True)
            whole_g[others] = self._column_least(f, others)
        return f, whole_g

    def _column_least(self, f: Array, columns: Array) -> Array:
        """min_i C_ij - f_i of some columns."""
        if self.whole.points is not None:
            x, y, metric = self.whole.points
            swapped = Cost(points=(np.ascontiguousarray(y[:, columns].T), np.ascontiguousarray(x.T), metric))
            return row_least(swapped, f, self.threads)
        assert self.whole.matrix is not None
        least = np.full(len(columns), np.inf)
        size = max(1, BLOCK_ENTRIES // len(columns))
        for first in range(0, len(f), size):
            block = self.whole.matrix[first : first + size, columns] - f[first : first + size, None]
            np.minimum(least, block.min(axis=0), out=least)
        return least


def row_least(cost: Cost, g: Array, threads: int) -> Array:
    """min_j C_ij - g_j of each row."""
    assert isinstance(cost.kernel, _kernels.Cost)
    least = np.empty(cost.shape[0])
    _kernels.row_least(cost.kernel, g, least, threads)
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
