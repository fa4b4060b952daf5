"""One cost, one source, several targets: a solve for each column of b."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ._batch import checked_batch, run_batch
from ._problem import TransportResult

Array = npt.NDArray[Any]

#: Costs with more entries than this are solved one target at a time, with the threads on each.
BATCH_ENTRIES = 1 << 22


def solve_histograms(
    costs: Array,
    a: npt.ArrayLike | None,
    b: Array,
    single: Callable[[Array], TransportResult],
    *,
    plain: bool,
    reg: float,
    tol: float,
    norm: str,
    max_iter: int,
    threads: int | None,
) -> list[TransportResult]:
    """A result for each column of b: in one compiled call if the solve is `plain` and the cost small, or one by one."""
    if b.shape[0] != costs.shape[1] or b.shape[1] == 0:
        raise ValueError(f"b has shape {b.shape}, which does not fit the cost's shape {costs.shape}")
    if not plain or costs.size > BATCH_ENTRIES:
        return [single(np.ascontiguousarray(column)) for column in b.T]
    batch = checked_batch(costs, a, b.T, reg, names=("a", "b"))
    return list(run_batch(batch, tol, norm, max_iter, threads))
