"""What bench/ranks.py runs under mpiexec: one solve of each kind with shared rows, and how long messages take.

    mpiexec -n 2 python -P ranks_run.py SETTINGS ANSWERS

SETTINGS is JSON: sizes, and what is wanted. Rank 0 writes ANSWERS, an .npz.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from mpi4py import MPI

for turn in range(MPI.COMM_WORLD.size):  # an editable install sees whether it must be built, which takes one at a time
    if turn == MPI.COMM_WORLD.rank:
        import solvers  # noqa: F401
    MPI.COMM_WORLD.Barrier()

from solvers._base.reducer import Communicator  # noqa: E402
from solvers.integrations.mpi import ends_all  # noqa: E402
from solvers.learning import glm  # noqa: E402
from solvers.ot import solve_sample  # noqa: E402

Array = npt.NDArray[Any]
COMM = MPI.COMM_WORLD
#: Rows that are drawn together, so that the data do not depend on the ranks.
BLOCK = 500


def own(n: int, width: int, seed: int, order: Any = "C") -> Array:
    """This rank's rows of a matrix of n, drawn in blocks."""
    count = n // BLOCK
    first, last = count * COMM.rank // COMM.size, count * (COMM.rank + 1) // COMM.size
    rows = np.empty(((last - first) * BLOCK, width), order=order)
    for k in range(first, last):
        drawn = np.random.default_rng([seed, k]).standard_normal((BLOCK, width))
        rows[(k - first) * BLOCK : (k - first + 1) * BLOCK] = drawn
    return rows


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    COMM.Barrier()
    start = time.perf_counter()
    found = call()
    COMM.Barrier()
    return time.perf_counter() - start, found


def transport(n: int, reg: float) -> dict[str, Any]:
    X = own(n, 3, 1)
    Y = np.concatenate([np.random.default_rng([2, k]).standard_normal((BLOCK, 3)) for k in range(n // BLOCK)]) + 0.3
    solve_sample(X[:BLOCK], Y[:BLOCK], reg=reg, comm=COMM, threads=1)
    seconds, result = timed(lambda: solve_sample(X, Y, reg=reg, tol=1e-9, comm=COMM, threads=1))
    assert result.success, result.message
    numbers = (3 * n + n) // 2  # half of what a rank sends a pass: pairs of column sums, their totals, and its rows
    steps = result.stats.get("passes", result.nit)
    return {"seconds": seconds, "answer": np.append(result.g, result.value), "steps": steps, "numbers": numbers}


def fit(n: int, d: int) -> dict[str, Any]:
    X = own(n, d, 3, "F")
    noise = own(n, 1, 4)[:, 0]
    y = np.where(0.3 * X[:, :8].sum(1) + noise > 0, 1.0, -1.0)
    keywords: dict[str, Any] = {"loss": "logistic", "penalty": "elastic-net", "lam": 100.0, "tol": 1e-9}
    glm(np.asfortranarray(X[:BLOCK]), y[:BLOCK], comm=COMM, threads=1, **keywords)
    seconds, result = timed(lambda: glm(X, y, comm=COMM, threads=1, **keywords))
    assert result.success, result.message
    numbers = 4 + d + d * (d + 1) // 2
    return {"seconds": seconds, "answer": result.coef, "steps": result.stats["passes"], "numbers": numbers}


def messages(size: int, repeats: int) -> dict[str, Any]:
    """Seconds of a message of one number, of one of `size`, and of sums: in order, and by Allreduce."""
    across, long = Communicator(COMM), np.ones(size)
    total = np.empty(size)
    found = {
        "sum": _median(lambda: across.sum(long), repeats),
        "sum of few": _median(lambda: across.sum(long[:4]), repeats),
        "Allreduce": _median(lambda: COMM.Allreduce(long, total), repeats),
    }
    if COMM.size > 1:
        found["message"] = _median(lambda: _there_and_back(long[:1]), repeats) / 2
        found["long message"] = _median(lambda: _there_and_back(long), repeats) / 2
    return found


def _there_and_back(numbers: Array) -> None:
    if COMM.rank == 0:
        COMM.Send(numbers, 1)
        COMM.Recv(numbers, 1)
    elif COMM.rank == 1:
        COMM.Recv(numbers, 0)
        COMM.Send(numbers, 0)


def _median(call: Callable[[], Any], repeats: int) -> float:
    call()
    return float(np.median([timed(call)[0] for _ in range(repeats)]))


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        wanted = json.load(file)
    kinds: dict[str, Callable[..., dict[str, Any]]] = {
        "transport": transport, "small reg": transport, "fit": fit, "messages": messages,
    }  # fmt: skip
    answers = {}
    for name, arguments in wanted.items():
        answers |= {f"{name} {key}": value for key, value in kinds[name](**arguments).items()}
    if COMM.rank == 0:
        np.savez(sys.argv[2], **answers)


if __name__ == "__main__":
    with ends_all(COMM):
        main()
