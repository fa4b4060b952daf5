"""Whether any plan exists on the allowed arcs, and if not, where it fails."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ._cost import Cost

Array = npt.NDArray[Any]

#: With more arcs than this the flow that decides would take longer than many solves; then only empty rows and columns
#: are found beforehand, and an infeasible problem ends by its iteration limit.
MAX_ARCS = 4_000_000
#: Weights are counted in units of the mass over this (flows are of 32-bit integers).
UNITS = 2**30


def unreachable(cost: Cost, a: Array, b: Array) -> tuple[Array, Array] | None:
    """Sources that cannot send all that they have and targets that cannot get all that they want; None if not found.

    By Hall's condition a plan exists unless some sources weigh more than all the targets that they reach. A maximal
    flow finds them: a flow of whole units, sources rounded down and targets up, so that what is reported is certain,
    while a lack of less than (n + m) / 2^30 of the mass may be missed.
    """
    if cost.forbidden is None:
        return None
    rows, columns = cost.unreachable()
    if len(rows) or len(columns):
        return rows, columns
    if cost.matrix is None or cost.matrix.size > MAX_ARCS:
        return None
    allowed = cost.matrix < cost.forbidden
    return None if allowed.all() else _overloaded(allowed, a, b)


def _overloaded(allowed: Array, a: Array, b: Array) -> tuple[Array, Array] | None:
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import maximum_flow

    n, m = allowed.shape
    supply = np.floor(a / a.sum() * UNITS).astype(np.int32)
    demand = np.ceil(b / b.sum() * UNITS).astype(np.int32)
    i, j = np.nonzero(allowed)
    source, sink = 0, 1 + n + m
    tails = np.concatenate([np.zeros(n, np.intp), 1 + i, 1 + n + np.arange(m)])
    heads = np.concatenate([1 + np.arange(n), 1 + n + j, np.full(m, sink)])
    capacities = np.concatenate([supply, np.minimum(supply[i], demand[j]), demand])
    result = maximum_flow(csr_matrix((capacities, (tails, heads)), shape=(sink + 1, sink + 1)), source, sink)
    if result.flow_value >= supply.sum():
        return None
    flow = result.flow[1 : 1 + n, 1 + n : sink].toarray()
    # What the sources left over could still reach: along allowed arcs, and back along those with flow.
    rows = flow.sum(axis=1) < supply
    while True:
        columns = allowed[rows].any(axis=0)
        grown = rows | (flow[:, columns] > 0).any(axis=1)
        if (grown == rows).all():
            return np.flatnonzero(rows), np.flatnonzero(~columns)
        rows = grown
