"""The orders in which the kernels may take the rows of a matrix, and the operands that keep them so.

- natural: row after row, as the user numbers them.
- wavefront: level sets of the triangles. A row's level is above those of all earlier rows that it shares an entry with,
  so the rows of a level are independent, and the results are those of the natural order up to rounding.
- multicolor: colours of a colouring of the graph. Rows of a colour are independent, and colours are few; but a sweep is
  that of the matrix with its rows permuted, and converges otherwise.
- redblack: two colours, where the graph is bipartite.
- blocks: between the two. Blocks of rows that stand together, 16 of them where they have 1024 rows at least, get
  colours such that blocks of one colour share no entry; inside a block the order is the natural one, in level sets.
  Threads take a block each, and wait for one another once a colour instead of once a level.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from . import _kernels

Array = npt.NDArray[Any]

#: The orderings of a sparse matrix.
ORDERINGS = ("natural", "wavefront", "multicolor", "redblack", "blocks")

#: Levels that pad to more than this times the rows, or the entries, are too short for eight rows at a time.
PADDING = 2.0


def in_groups(starts: Array, columns: Array, ordering: str) -> _kernels.Sell | None:
    """The operand of a pattern in that ordering, still without values; None where levels are too short.

    O(z), and some ten times what a sweep takes.
    """
    if ordering in ("wavefront", "blocks"):
        return _short_levels_apart(starts, columns, ordering == "blocks")
    group, count = _colors(starts, columns, ordering)
    return _kernels.Sell(starts, columns, group, count)


def _short_levels_apart(starts: Array, columns: Array, in_blocks: bool) -> _kernels.Sell | None:
    blocks = _kernels.Blocks(starts, columns) if in_blocks else None
    level, count = _kernels.levels(starts, columns) if blocks is None else (blocks.group, blocks.groups)
    # at least a chunk of 8 rows a level: the cheap test, before rows are laid out
    if 8 * count > PADDING * len(level) + 64:
        return None
    operand = _kernels.Sell(starts, columns, level, count, blocks=blocks)
    return None if operand.stored > PADDING * len(columns) + 512 else operand


def _colors(starts: Array, columns: Array, ordering: str) -> tuple[Array, int]:
    """The colour of each row, and their number."""
    if not _kernels.symmetric_pattern(starts, columns):
        starts, columns = _symmetrized(starts, columns)
    color, count = _kernels.colors(starts, columns, True)
    if count:
        return color, count
    if ordering == "redblack":
        raise ValueError(
            "ordering 'redblack' takes a matrix whose graph has no cycle of odd length; "
            "this one has: ordering 'multicolor' takes any"
        )
    return _kernels.colors(starts, columns, False)


def _symmetrized(starts: Array, columns: Array) -> tuple[Array, Array]:
    """The pattern of A + A'."""
    size = len(starts) - 1
    ones = scipy.sparse.csr_array((np.ones(len(columns), np.int8), columns, starts), shape=(size, size))
    both = scipy.sparse.csr_array(ones + ones.T)
    both.sort_indices()
    return both.indptr, both.indices
