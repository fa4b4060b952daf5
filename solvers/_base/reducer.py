"""Sums over the ranks that share a problem, through one small protocol: a method is written once, for one rank or many.

Where the rows of a problem are shared, each rank passes over its own and the numbers of all columns are added up. All
ranks then know the same numbers, to the last bit, and take the same decisions; nothing else is exchanged.
"""

from __future__ import annotations

import hashlib
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

#: Numbers on all ranks together up to which every rank receives all of them and adds them up itself.
SHORT = 1 << 13

#: What an MPI communicator has, and is known by.
MPI_CALLS = ("Get_rank", "Get_size", "Allgather", "Alltoall", "allgather", "Abort")


@runtime_checkable
class Reducer(Protocol):
    """What the methods ask of the ranks. Every rank makes the same calls in the same order."""

    rank: int
    size: int

    def sum(self, array: Array) -> Array:
        """The sum of all ranks' arrays, added in the order of the ranks, the same bits on each; in place if it can."""

    def max(self, array: Array) -> Array:
        """The largest entries of all ranks' arrays; NaN where a rank has one."""

    def gather(self, value: Any) -> list[Any]:
        """The values of all ranks, small and picklable, in their order."""

    def abort(self, message: str) -> None:
        """Ends the other ranks, which wait for this one, with its message."""


class Serial:
    """One rank, that has all there is."""

    rank, size = 0, 1

    def sum(self, array: Array) -> Array:
        return array

    def max(self, array: Array) -> Array:
        return array

    def gather(self, value: Any) -> list[Any]:
        return [value]

    def abort(self, message: str) -> None:
        """Nobody waits."""


#: The reducer where none is given.
SERIAL = Serial()


class Communicator:
    """The ranks of an MPI communicator, which need not be mpi4py's: its calls are made with NumPy arrays.

    MPI leaves the order of Allreduce's additions to the library. Here it is that of the ranks: of short arrays every
    rank gets all and adds them; of long ones each adds a part and sends it round, which moves 2 m numbers a rank as the
    best algorithms do, however many ranks there are.
    """

    def __init__(self, comm: Any) -> None:
        self.comm = comm
        self.rank, self.size = int(comm.Get_rank()), int(comm.Get_size())
        self._room: dict[int, tuple[Array, Array]] = {}

    def sum(self, array: Array) -> Array:
        if self.size == 1:
            return array
        flat = np.ascontiguousarray(array, dtype=np.float64).reshape(-1)
        short = flat.size * self.size <= SHORT
        return (_in_order(self._gathered(flat)) if short else self._by_parts(flat)).reshape(array.shape)

    def max(self, array: Array) -> Array:
        flat = np.ascontiguousarray(array, dtype=np.float64).reshape(-1)
        return cast(Array, self._gathered(flat).max(axis=0)).reshape(array.shape)

    def joined(self, sums: Array, lost: Array, rows: Array, counts: Sequence[int]) -> tuple[Array, Array]:
        """See `joined`; in two messages, one where they are short."""
        m, room = len(sums), max(counts) * rows.shape[1]
        if (2 * m + room) * self.size <= SHORT:
            told = self._gathered(np.concatenate([sums, lost, _padded(rows, room)]))
            return _added(told[:, :m], told[:, m : 2 * m]), _of_ranks(told[:, 2 * m :], counts, rows.shape[1])
        part = -(-m // self.size)
        send, received = np.zeros((self.size, 2, part)), np.empty((self.size, 2, part))
        for rank in range(self.size):
            here = slice(rank * part, min((rank + 1) * part, m))
            send[rank, 0, : len(sums[here])], send[rank, 1, : len(sums[here])] = sums[here], lost[here]
        self.comm.Alltoall(send, received)
        told = self._gathered(np.concatenate([_added(received[:, 0], received[:, 1]), _padded(rows, room)]))
        return told[:, :part].reshape(-1)[:m].copy(), _of_ranks(told[:, part:], counts, rows.shape[1])

    def rows(self, rows: Array, counts: Sequence[int]) -> Array:
        """See `rows_of_all`."""
        width = rows.shape[1]
        told = np.empty((self.size, max(counts) * width), rows.dtype)
        self.comm.Allgather(_padded(rows, max(counts) * width), told)
        return _of_ranks(told, counts, width)

    def gather(self, value: Any) -> list[Any]:
        return cast("list[Any]", self.comm.allgather(value))

    def abort(self, message: str) -> None:
        print(f"rank {self.rank} of {self.size} ends all: {message}", file=sys.stderr, flush=True)
        self.comm.Abort(1)

    def _gathered(self, flat: Array) -> Array:
        """The arrays of all ranks, a row each."""
        rows = np.empty((self.size, flat.size))
        self.comm.Allgather(flat, rows)
        return rows

    def _by_parts(self, flat: Array) -> Array:
        part = -(-flat.size // self.size)
        if flat.size not in self._room:
            self._room[flat.size] = np.zeros(part * self.size), np.empty(part * self.size)
        send, received = self._room[flat.size]
        send[: flat.size] = flat
        self.comm.Alltoall(send, received)
        self.comm.Allgather(_in_order(received.reshape(self.size, part)), received)
        return received[: flat.size].copy()


def _padded(rows: Array, room: int) -> Array:
    flat = np.zeros(room, rows.dtype)
    flat[: rows.size] = rows.reshape(-1)
    return flat


def _of_ranks(told: Array, counts: Sequence[int], width: int) -> Array:
    """The rows of all ranks, of which each has told its own and padding."""
    return np.concatenate([own[: count * width] for own, count in zip(told, counts, strict=True)]).reshape(-1, width)


def _in_order(rows: Array) -> Array:
    found: Array = rows[0].copy()
    for row in rows[1:]:
        found += row
    return found


def as_reducer(comm: Any) -> Reducer:
    """The reducer of a call's `comm`: None, an MPI communicator, or a reducer."""
    if comm is None:
        return SERIAL
    if isinstance(comm, Reducer):
        return comm
    if all(callable(getattr(comm, name, None)) for name in MPI_CALLS):
        return Communicator(comm)
    raise TypeError(
        f"comm must be an MPI communicator like mpi4py's MPI.COMM_WORLD, or have the sum, max, gather, abort, rank and "
        f"size of a Reducer, not {type(comm).__name__}"
    )


def agreed(across: Reducer) -> AbstractContextManager[dict[str, Any]]:
    """Checks that one rank fails, or that come out differently, are failed by all ranks, with the same words.

    Within it nothing may be reduced. What is put into the dictionary must be the same everywhere: arrays are compared
    by their bits.
    """
    return nullcontext({}) if across.size == 1 else _agreed(across)


@contextmanager
def _agreed(across: Reducer) -> Iterator[dict[str, Any]]:
    same: dict[str, Any] = {}
    error: Exception | None = None
    try:
        yield same
    except Exception as raised:
        error = raised
    told = across.gather((None if error is None else (type(error), str(error)), _digests(same)))
    for rank, (failure, _) in enumerate(told):
        if failure is not None:
            raise _again(failure[0], f"rank {rank}: {failure[1]}") from error
    for rank, (_, seen) in enumerate(told):
        differing = [name for name, value in seen.items() if value != told[0][1].get(name)]
        if differing:
            raise ValueError(f"rank {rank}: {', '.join(differing)} must be the same on all ranks, and not as on rank 0")


def _digests(values: dict[str, Any]) -> dict[str, Any]:
    return {name: _digest(value) for name, value in values.items()}


def _digest(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.shape, hashlib.blake2b(np.ascontiguousarray(value).tobytes(), digest_size=16).hexdigest()
    return repr(value)


def _again(kind: type[Exception], words: str) -> Exception:
    """An exception of that kind, or one that can be made of words."""
    try:
        return kind(words)
    except Exception:
        return RuntimeError(words)


class guarded:  # noqa: N801 (used like a function)
    """An error that one rank runs into ends the others too, which would wait for it for ever."""

    __slots__ = ("across",)

    def __init__(self, across: Reducer) -> None:
        self.across = across

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *about: object) -> None:
        if kind is not None and self.across.size > 1:
            self.across.abort(traceback.format_exc())


def add_pair(sums: Array, lost: Array, more: Array, more_lost: Array | float) -> None:
    """sums += more; lost becomes what both have lost, and this addition (Knuth's two-sum)."""
    with np.errstate(invalid="ignore"):
        total = sums + more
        seen = total - sums
        lost += ((sums - (total - seen)) + (more - seen)) + more_lost
    sums[...] = total


def rounded_pair(sums: Array, lost: Array) -> Array:
    """Sums with what they have lost, rounded once; of an infinite sum nothing is known to be lost."""
    total: Array = sums + lost
    return np.where(np.isnan(total), sums, total)


def _added(sums: Array, lost: Array) -> Array:
    """The pairs of all ranks, a row each, added up."""
    total, rest = sums[0].copy(), lost[0].copy()
    for more, more_lost in zip(sums[1:], lost[1:], strict=True):
        add_pair(total, rest, more, more_lost)
    return rounded_pair(total, rest)


def joined(across: Reducer, sums: Array, lost: Array, rows: Array, counts: Sequence[int]) -> tuple[Array, Array]:
    """Sums over the ranks and the rows of all, at once.

    What a rank's sums (m,) have lost to rounding, lost (m,), comes with them, and the ranks' are rounded once: so they
    depend on how many ranks there are as good as never. rows (counts[rank], k) are those of this rank.
    """
    if across.size == 1:
        return rounded_pair(sums, lost), rows
    if isinstance(across, Communicator):
        return across.joined(sums, lost, rows, counts)
    told = across.gather((sums, lost, rows))
    pairs = [np.array([values[part] for values in told]) for part in (0, 1)]
    return _added(pairs[0], pairs[1]), np.concatenate([values[2] for values in told])


def rows_of_all(across: Reducer, rows: Array, counts: Sequence[int]) -> Array:
    """The rows (counts[rank], k) of all ranks, one after another, on each."""
    if across.size == 1 or not max(counts):
        return rows
    if isinstance(across, Communicator):
        return across.rows(rows, counts)
    return np.concatenate(across.gather(rows))


def stops(across: Reducer, flags: Sequence[bool]) -> list[bool]:
    """What holds on any rank."""
    return [bool(flag) for flag in across.max(np.array(flags, float))]


def largest(across: Reducer, number: float) -> float:
    """The largest of the ranks' numbers."""
    return number if across.size == 1 else float(across.max(np.array([number], float))[0])


def total(across: Reducer, *numbers: Any) -> list[float]:
    """The sums of the ranks' numbers."""
    return [float(x) for x in across.sum(np.array(numbers, float))]
