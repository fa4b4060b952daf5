"""Solves of dask arrays on the workers where they lie, for those who have a Dask cluster and no MPI.

Each worker that holds chunks of the rows becomes a rank and runs the same solve as a rank under MPI does, on its own
chunks, which stay there. What the ranks exchange goes through an actor on one of the workers: some milliseconds an
exchange, where MPI takes microseconds. So this is for problems whose passes take longer than that; docs/distributed.md
has figures.
"""

from __future__ import annotations

import asyncio
import contextlib
import traceback
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from distributed import Client, futures_of, get_client, wait

from .. import learning, ot
from .._base.result import SolveResult

Array = npt.NDArray[Any]

__all__ = ["ActorReducer", "glm", "solve_sample"]

#: Seconds that ranks wait for one another.
PATIENCE = 3600.0
#: Seconds from one look at whether all workers are there to the next.
LOOK = 2.0


class Exchange:
    """The actor: gathers what the ranks bring to each exchange, and hands all of it to each of them."""

    def __init__(self, size: int, patience: float) -> None:
        self.size, self.patience = size, patience
        self._brought: dict[int, dict[int, Any]] = {}
        self._taken: dict[int, int] = {}
        self._complete: dict[int, asyncio.Event] = {}
        self._failure = ""

    async def gather(self, rank: int, number: int, value: Any) -> list[Any]:
        """The values of all ranks in the exchange of that number; RuntimeError where a rank has failed."""
        brought = self._brought.setdefault(number, {})
        complete = self._complete.setdefault(number, asyncio.Event())
        brought[rank] = value
        if len(brought) == self.size or self._failure:
            complete.set()
        await asyncio.wait_for(complete.wait(), self.patience)
        if self._failure:
            raise RuntimeError(self._failure)
        values = [brought[k] for k in range(self.size)]
        self._taken[number] = self._taken.get(number, 0) + 1
        if self._taken[number] == self.size:
            del self._brought[number], self._complete[number], self._taken[number]
        return values

    async def fail(self, message: str) -> None:
        """Ends the ranks that wait, and those that will."""
        self._failure = self._failure or message
        for complete in self._complete.values():
            complete.set()


class ActorReducer:
    """The ranks of a solve on Dask workers; a `solvers` reducer."""

    def __init__(self, exchange: Any, rank: int, size: int) -> None:
        self._exchange, self.rank, self.size = exchange, rank, size
        self._number = 0

    def gather(self, value: Any) -> list[Any]:
        self._number += 1
        return list(self._exchange.gather(self.rank, self._number, value).result())

    def sum(self, array: Array) -> Array:
        parts = self.gather(np.array(array))
        found: Array = np.array(parts[0])
        for part in parts[1:]:
            found += part
        return found

    def max(self, array: Array) -> Array:
        return np.asarray(np.max(self.gather(np.array(array)), axis=0))

    def abort(self, message: str) -> None:
        self._exchange.fail(f"rank {self.rank} of {self.size} ended all: {message}").result()


def glm(X: Any, y: Any, *, client: Client | None = None, patience: float = PATIENCE, **keywords: Any) -> Any:
    """`solvers.learning.glm` of dask arrays: rows of X stay on the workers that have them.

    Parameters
    ----------
    X : dask.array.Array, shape (n, d)
        In chunks of rows.
    y : dask.array.Array, shape (n,)
    client : distributed.Client, optional
        By default the one in use.
    patience : float, default 3600
        Seconds for which ranks wait for one another before they give up. A worker that is lost is noticed in seconds.
    **keywords
        As of `solvers.learning.glm`; `sample_weight` as a dask array, too.

    Returns
    -------
    GlmResult
        As from there, without `state`.
    """
    weight = keywords.pop("sample_weight", None)
    rows = {"X": X, "y": y} if weight is None else {"X": X, "y": y, "sample_weight": weight}
    found = _on_workers(learning.glm, rows, keywords, client, patience)
    return found[0][1]


def solve_sample(
    X: Any, Y: npt.ArrayLike, a: Any = None, b: Any = None, *, client: Client | None = None, patience: float = PATIENCE,
    **keywords: Any,
) -> Any:  # fmt: skip
    """`solvers.ot.solve_sample` of a dask array X: its rows stay on the workers that have them, and all get Y.

    Parameters
    ----------
    X : dask.array.Array, shape (n, d)
        In chunks of rows.
    Y : array_like, shape (m, d)
    a : dask.array.Array, shape (n,), optional
    b : array_like, shape (m,), optional
    client, patience : optional
        As of `glm`.
    **keywords
        As of `solvers.ot.solve_sample`.

    Returns
    -------
    TransportResult
        As from there, with f of all rows, and None for `plan`, `rounded`, `problem` and `state`, which are each
        worker's own.
    """
    rows = {"X": X} if a is None else {"X": X, "a": a}
    found = _on_workers(ot.solve_sample, rows, {"Y": np.asarray(Y), "b": b, **keywords}, client, patience)
    potentials = {chunk: part for chunks, result in found for chunk, part in zip(chunks, _split(result), strict=True)}
    result = found[0][1]
    return result.changed(f=np.concatenate([potentials[k] for k in sorted(potentials)]))


def _split(result: Any) -> list[Array]:
    return cast("list[Array]", result.stats["f by chunks"])


def _on_workers(
    solve: Callable[..., Any], rows: dict[str, Any], common: dict[str, Any], client: Client | None, patience: float
) -> list[tuple[list[int], Any]]:
    """The results of the ranks, with the chunks that each has; a rank is a worker that has chunks of X."""
    client = client or get_client()
    X = rows["X"].rechunk({1: -1})
    lengths = X.chunks[0]
    arrays = client.persist([X, *(array.rechunk((lengths,)) for name, array in rows.items() if name != "X")])
    wait(arrays)
    parts = [_by_chunk(array) for array in arrays]
    places = client.who_has(parts[0])
    chunks: dict[str, list[int]] = {}
    for k, part in enumerate(parts[0]):
        chunks.setdefault(sorted(places[part.key])[0], []).append(k)
    exchange = client.submit(Exchange, len(chunks), patience, actor=True).result()
    tasks = [
        client.submit(
            _rank, solve, exchange, rank, len(chunks), list(rows), [[part[k] for k in mine] for part in parts], common,
            workers=[worker], allow_other_workers=False, pure=False,
        )
        for rank, (worker, mine) in enumerate(chunks.items())
    ]  # fmt: skip
    return list(zip(chunks.values(), _gathered(client, tasks, list(chunks), exchange), strict=True))


def _gathered(client: Client, tasks: list[Any], workers: list[str], exchange: Any) -> list[Any]:
    """The results of the ranks; RuntimeError soon after a worker is lost, for which the others would wait."""
    while not all(task.done() for task in tasks):
        with contextlib.suppress(TimeoutError):
            wait(tasks, timeout=LOOK)
        lost = sorted(set(workers) - set(client.nthreads()))
        if lost:
            message = f"worker {lost[0]} is lost, and with it a part of the rows"
            # The actor may have been there; the ranks then end by themselves.
            with contextlib.suppress(Exception):
                exchange.fail(message).result(timeout=LOOK)
            client.cancel(tasks)
            raise RuntimeError(message)
    return list(client.gather(tasks))


def _by_chunk(array: Any) -> list[Any]:
    """The futures of the chunks, in the order of the rows."""
    return sorted(futures_of(array), key=lambda future: future.key[1])


def _rank(
    solve: Callable[..., Any], exchange: Any, rank: int, size: int, names: list[str], parts: list[list[Array]],
    common: dict[str, Any],
) -> SolveResult:  # fmt: skip
    """What a worker does: the solve of its own rows."""
    across = ActorReducer(exchange, rank, size)
    try:
        mine = {name: np.concatenate(part) for name, part in zip(names, parts, strict=True)}
        result = solve(**mine, **common, comm=across)
    except BaseException:
        across.abort(traceback.format_exc())
        raise
    own: dict[str, Any] = {"state": None}
    if solve is ot.solve_sample:
        cuts = np.cumsum([len(part) for part in parts[0]])[:-1]
        stats = {**result.stats, "f by chunks": np.split(result.f, cuts)}
        own |= {"x": None, "rounded": None, "problem": None, "stats": stats}
    return cast(SolveResult, result.changed(**own))
