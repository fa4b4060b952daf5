"""What the ranks of a communicator agree on, and how they end together."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
from petsc4py import PETSc

from .memory import LIBRARY, Pointer

Array = npt.NDArray[Any]

#: Of a message that goes to all ranks.
MESSAGE = 1000


class DisagreementError(RuntimeError):
    """The ranks were told different things where they must be told the same."""


def gathered(comm: Any, values: Any) -> Array:
    """What each rank gives, as many numbers each, one after another on every rank: shape (ranks, numbers)."""
    mine = np.asarray(values, np.float64).ravel()
    if comm.size == 1:
        return mine[None]
    vector = PETSc.Vec().createMPI((len(mine), PETSc.DECIDE), comm=comm)
    vector.setArray(mine)
    scatter, whole = PETSc.Scatter.toAll(vector)
    scatter.scatter(vector, whole)
    return np.array(whole.getArray(readonly=True)).reshape(comm.size, len(mine))


def agreed(comm: Any, value: float, what: str) -> float:
    """The value, which must be that of all ranks.

    Raises
    ------
    DisagreementError
        On every rank, where it is not.
    """
    values = gathered(comm, value)
    if not (values == values[0]).all():
        raise DisagreementError(f"the ranks differ in {what}: {values.ravel().tolist()}")
    return value


@contextmanager
def together(comm: Any) -> Iterator[None]:
    """What is done inside, without any exchange, fails on all ranks if it fails on one.

    Raises
    ------
    Exception
        On the ranks that failed what they raised; on the others a RuntimeError with the words of the first that did.
    """
    error: Exception | None = None
    try:
        yield
    except Exception as caught:
        error = caught
    if comm.size > 1:
        failed = gathered(comm, error is not None).ravel()
        if failed.any() and error is None:
            words = _said(comm, "")
            raise RuntimeError(f"rank {int(np.argmax(failed))}: {words[int(np.argmax(failed))]}")
        if error is not None:
            _said(comm, f"{type(error).__name__}: {error}")
    if error is not None:
        raise error


def _said(comm: Any, words: str) -> list[str]:
    mine = np.zeros(MESSAGE)
    letters = np.frombuffer(words.encode()[:MESSAGE], np.uint8)
    mine[: len(letters)] = letters
    return [row.astype(np.uint8).tobytes().rstrip(b"\0").decode(errors="replace") for row in gathered(comm, mine)]


def end_together() -> None:
    """From now on an exception that nobody catches ends the program on all ranks, after its message.

    Without this a rank that has raised waits at the program's end for the others, which wait for it elsewhere. To be
    called once, at the beginning of a program that runs under mpiexec.
    """
    shown = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if PETSc.COMM_WORLD.size > 1:
            print(f"rank {PETSc.COMM_WORLD.rank} failed:", file=sys.stderr)
        shown(kind, error, trace)
        sys.stderr.flush()
        if PETSc.COMM_WORLD.size > 1:
            LIBRARY.MPI_Abort(Pointer.in_dll(LIBRARY, "PETSC_COMM_WORLD"), 1)

    sys.excepthook = hook
