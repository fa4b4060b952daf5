"""For programs of many ranks under MPI: who has which rows, and an end to all ranks where one fails.

The solves themselves take ``comm=MPI.COMM_WORLD``: see docs/distributed.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.reducer import Communicator, Reducer, agreed, as_reducer, guarded

Array = npt.NDArray[Any]

__all__ = ["Communicator", "Reducer", "agreed", "ends_all", "gathered", "own_rows"]


@contextmanager
def ends_all(comm: Any) -> Iterator[None]:
    """An exception within ends all ranks, with its traceback, instead of leaving the others to wait for this one.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
        The ranks, as in ``with ends_all(MPI.COMM_WORLD): main()``. With one rank exceptions pass as they are.

    Notes
    -----
    A solve with `comm` does that by itself; this is for what a program does around it. Input that one rank's checks
    refuse is another matter: the solve raises the same error on all ranks, and nobody is ended.
    """
    with guarded(as_reducer(comm)):
        yield


def own_rows(n: int, comm: Any) -> slice:
    """The rows of this rank where n rows are shared evenly.

    Parameters
    ----------
    n : int
        Rows in all, >= 0.
    comm : mpi4py.MPI.Comm

    Returns
    -------
    slice
        The ranks' rows follow one another, and no two ranks' differ by more than one row.
    """
    across = as_reducer(comm)
    return slice(n * across.rank // across.size, n * (across.rank + 1) // across.size)


def gathered(rows: npt.ArrayLike, comm: Any) -> Array:
    """The rows of all ranks, one after the other, on each of them: of potentials f, say, not of large matrices."""
    return np.concatenate(as_reducer(comm).gather(np.asarray(rows)))
