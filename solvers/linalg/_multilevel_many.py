"""Several right-hand sides on one grid: groups of them go through the multilevel cycle together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _kernels
from ._grid import GridOperator
from ._multilevel import own
from ._multilevel_cg import check_hierarchy, serves
from ._problem import Matrix

Array = npt.NDArray[Any]

#: With fewer right-hand sides than this a group takes longer than they do one by one.
LEAST = 9
#: Axes -> cells of the largest grid whose groups gain. From there on a group's vectors, some 45 bytes a cell and
#: right-hand side, wait for the memory, where those of one right-hand side lie in a cache.
MOST_CELLS = {1: 20_000, 2: 20_000, 3: 40_000}


@dataclass(frozen=True, eq=False)
class Known:
    """What is known of a column beforehand: where to start, the norm of the residual there, formed anew."""

    x: Array
    measure: float
    nit: int
    #: The norm of the right-hand side.
    size: float


def together(
    A: Matrix,
    b: Array,
    x0: Array | None,
    *,
    M: Any,
    rtol: float,
    atol: float,
    nullspace: str | None,
    max_iter: int,
    threads: int,
) -> list[Known]:
    """The first columns of b, as many as make groups; none where columns are to be solved one by one.

    What is found is the columns' start: whoever is not at its goal goes on alone.
    """
    count = b.shape[1] - (b.shape[1] % _kernels.MULTILEVEL_MANY if b.shape[1] % _kernels.MULTILEVEL_MANY < LEAST else 0)
    if count == 0 or not isinstance(A, GridOperator) or A.size > MOST_CELLS[len(A.grid_shape)]:
        return []
    if serves(A, M, nullspace):
        return []
    hierarchy = check_hierarchy(own(A, nullspace, threads) if M is None else M, A)
    outside = None if A.mask is None else ~A.mask.ravel()
    rights = np.ascontiguousarray(b[:, :count], np.float64)
    if (
        hierarchy.null
        or not hierarchy.single
        or hierarchy.kernel.general
        or (outside is not None and rights[outside].any())
    ):
        return []
    sizes = np.sqrt(np.einsum("ik,ik->k", rights, rights))
    if not np.isfinite(sizes).all():
        return []
    x = np.zeros(rights.shape) if x0 is None else np.array(x0[:, :count], np.float64)
    x[:, sizes == 0] = 0
    if outside is not None:
        x[outside] = 0
    goals = np.maximum(rtol * sizes, atol)
    with hierarchy.lock:
        measures, counts = _kernels.solve_many(hierarchy.stencil, hierarchy.kernel, rights, x, goals, max_iter, threads)
    return [Known(x[:, k], float(measures[k]), int(counts[k]), float(sizes[k])) for k in range(count)]
