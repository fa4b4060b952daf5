"""Potentials near those of exact transport, from Sinkhorn sweeps at decreasing reg."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ._cost import Cost
from ._problem import LN2, TransportProblem

Array = npt.NDArray[Any]

#: reg is the span of the costs over 8, 32, 128, ..., each time with a larger sample of the rows.
FIRST_RATIO, RATIO_STEP, SAMPLE = 8.0, 4.0, 250

#: The last reg is the span over this, or over a quarter of the rows where that is more.
LAST_RATIO = 400.0

#: Below this reg exponents overflow: costs of so small a span get no warm start.
LEAST_REG = 1e-307

#: Sweeps over all rows, and as many over each sample at the last reg; earlier ones get three times as many. More rows
#: lie closer to one another, for which the potentials must be nearer to the optimal ones: that many for 4000 rows, and
#: in proportion to the square root beyond.
SWEEPS, SWEEPS_ROWS = 4, 4000.0


def warm_duals(cost: Cost, a: Array, b: Array, threads: int) -> Array:
    """Column potentials g (m,) near the optimal ones of exact transport; those of the rows follow by pricing.

    A level of large reg wants only the rough shape of g: a sample of the rows, drawn by their weights, serves it. The
    sample doubles from level to level; all rows have the last word. Costs about 10 passes of Sinkhorn.
    """
    span = cost.span
    levels = list(_levels(cost.shape[0]))
    if not span / levels[-1][0] > LEAST_REG:
        return np.zeros(cost.shape[1])
    rng = np.random.default_rng(7)
    g = np.zeros(cost.shape[1])
    for ratio, rows, sweeps in levels:
        sample, weights = (cost, a) if rows >= cost.shape[0] else _sampled(cost, a, rows, rng)
        g = _swept(sample, weights, b, span / ratio, g, sweeps, threads)
    return g


def _levels(n: int) -> Iterator[tuple[float, int, int]]:
    """Ratio of span to reg, rows, and sweeps of each level."""
    last, ratio, rows = max(LAST_RATIO, n / 4), FIRST_RATIO, SAMPLE
    sweeps = round(SWEEPS * max(1.0, (n / SWEEPS_ROWS) ** 0.5))
    while ratio < last:
        yield ratio, rows, sweeps if rows >= n else 3 * sweeps
        rows = rows if ratio == FIRST_RATIO else 2 * rows
        ratio *= RATIO_STEP
    while rows < n:
        yield last, rows, sweeps
        rows *= 2
    yield last, n, sweeps


def _sampled(cost: Cost, a: Array, rows: int, rng: np.random.Generator) -> tuple[Cost, Array]:
    """Rows at even distances along the weights in random order, each with the share that it was hit."""
    order = rng.permutation(len(a))
    ends = np.cumsum(a[order])
    hit = np.searchsorted(ends, (np.arange(rows) + 0.5) * (ends[-1] / rows))
    chosen, hits = np.unique(order[hit], return_counts=True)
    weights = hits * (a.sum() / rows)
    if cost.matrix is not None:
        return Cost(matrix=cost.matrix[chosen]), weights
    return cost.restricted(chosen, np.arange(cost.shape[1])), weights


def _swept(cost: Cost, a: Array, b: Array, reg: float, g: Array, sweeps: int, threads: int) -> Array:
    """The potentials g after some Sinkhorn iterations."""
    problem = TransportProblem(
        cost=cost.with_offset(1.0 / (LN2 * reg)), whole=cost, a=a, b=b, reg=reg, tol=1.0, norm="l1", threads=threads,
        u0=np.zeros(len(a)), v0=g, kept_rows=None, kept_columns=None, shape=cost.shape, copies=0,
    )  # fmt: skip
    base = 0.0 if problem.cost.column_offset is None else problem.cost.column_offset  # no part of the kernels' g
    u, v = problem.u0, (g - base) * problem.scale
    for _ in range(sweeps):
        u, column_sums = problem.sweep(u, v)
        v = problem.best_v(u, v, column_sums)
    return base + v / problem.scale
