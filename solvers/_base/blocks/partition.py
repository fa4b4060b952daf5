"""Partitions of the coordinates into blocks, and the classes of a sparse matrix's graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..validate import integer
from . import _kernels

Array = npt.NDArray[Any]

#: Rules that need nothing but the coordinates' constants.
CHUNKS = ("order", "sort", "avg")
#: Rules that need the pattern of a sparse matrix.
COLOURINGS = ("red_black", "forest")
#: Rules without fixed blocks.
VARIABLE = ("variable", "variable_forest")


def chunks(rule: str, count: int, size: int, constants: Array | None) -> list[Array]:
    """Blocks of `size` coordinates (the last may be smaller), in their order, sorted by constant, or of like sums."""
    order = np.arange(count)
    if rule != "order":
        if constants is None:
            raise ValueError(f"partition {rule!r} needs the coordinates' constants: pass bound=")
        order = np.argsort(-constants, kind="stable")
    if rule == "avg":  # the largest, the smallest, the second largest, ...
        mixed = np.empty_like(order)
        mixed[::2], mixed[1::2] = order[: (count + 1) // 2], order[(count + 1) // 2 :][::-1]
        order = mixed
    return [order[k : k + size] for k in range(0, count, size)]


def coloured(rule: str, rows: _kernels.Rows, constants: Array) -> list[Array]:
    """Colours, or forests, of a matrix's graph: greedily, nodes by decreasing constant."""
    order = np.argsort(-constants, kind="stable").astype(np.int32)
    class_of, count = rows.classes(order, rule == "forest")
    by_class = np.argsort(class_of, kind="stable")
    return np.split(by_class, np.cumsum(np.bincount(class_of, minlength=count))[:-1])


def comb(shape: tuple[int, int], keep: npt.ArrayLike | None = None) -> list[Array]:
    """Two forests that cover a lattice: combs that hang from the first row and stand on the last one.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns of the lattice, whose nodes are numbered row by row.
    keep : array_like of bool, shape (rows * columns,), optional
        The nodes that are unknowns, numbered anew in their order; all where not given.

    Returns
    -------
    list of ndarray
        The two blocks, for ``blocks=`` of `solvers.learning.quadratic`.

    Examples
    --------
    >>> import solvers
    >>> [block.tolist() for block in solvers.learning.comb((3, 3))]
    [[0, 1, 2, 3, 5], [4, 6, 7, 8]]
    """
    row, column = np.divmod(np.arange(shape[0] * shape[1]), shape[1])
    hanging = (row == 0) | ((column % 2 == 0) & (row < shape[0] - 1))
    if keep is not None:
        hanging = hanging[np.asarray(keep, bool).ravel()]
    return [block for block in (np.flatnonzero(hanging), np.flatnonzero(~hanging)) if len(block)]


def grouping(blocks: Any, count: int) -> tuple[list[Array] | None, int | None]:
    """The user's blocks, or how many coordinates a block has where `blocks` is a number."""
    if blocks is None:
        return None, None
    if isinstance(blocks, int | np.integer):
        return None, integer(blocks, "blocks", 1)
    if not np.iterable(blocks):
        raise ValueError(f"blocks must be a list of blocks or how many coordinates each has, not {blocks!r}")
    return checked(list(blocks), count), None


def checked(blocks: Sequence[npt.ArrayLike], count: int) -> list[Array]:
    """The user's blocks; ValueError unless each coordinate is in exactly one."""
    found = [np.asarray(block) for block in blocks]
    for k, block in enumerate(found):
        if block.ndim != 1 or block.size == 0 or block.dtype.kind not in "iu":
            raise ValueError(f"blocks[{k}] must be a list of coordinates that is not empty, not {blocks[k]!r}")
        if block.min() < 0 or block.max() >= count:
            raise ValueError(f"blocks[{k}] must hold coordinates from 0 to {count - 1}, not {block.tolist()}")
    if not found:
        raise ValueError("blocks must not be empty")
    times = np.bincount(np.concatenate(found), minlength=count)
    if (times != 1).any():
        first = int(np.argmax(times != 1))
        raise ValueError(f"blocks must hold each coordinate once; coordinate {first} is in {times[first]} of them")
    return [(block if (np.diff(block) > 0).all() else np.sort(block)).astype(np.intp) for block in found]
