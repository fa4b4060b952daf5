"""What a call of the library costs from C, inside of Numba's compiled code, and from Python."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
import scipy.sparse

import solvers
from solvers.integrations.numba import Multilevel, System
from solvers.linalg import GridOperator, multilevel, plan, solve
from solvers.special import softmax

from . import harness
from .harness import Timing, ratio
from .report import Report, Target

HERE = Path(__file__).resolve().parent


def loops() -> ctypes.CDLL:
    """embedding_calls.c, linked with the library that Python runs."""
    built = HERE.parent / "build" / "bench" / f"embedding-{os.getpid()}.so"
    built.parent.mkdir(parents=True, exist_ok=True)
    folder = solvers.get_library_dir()
    subprocess.run(
        ["cc", "-O2", "-shared", "-fPIC", "-I", solvers.get_include(), str(HERE / "embedding_calls.c"), "-o", built,
         "-L", folder, "-lsolvers", f"-Wl,-rpath,{folder}"], check=True,
    )  # fmt: skip
    found = ctypes.CDLL(str(built))
    built.unlink()
    return found


@numba.njit  # type: ignore[untyped-decorator]
def softmax_inside(calls: int, x: Any, y: Any) -> None:
    for _ in range(calls):
        softmax(x, out=y)


@numba.njit  # type: ignore[untyped-decorator]
def sweeps_inside(calls: int, system: Any, b: Any, x: Any) -> None:
    for _ in range(calls):
        system.sweep(b, x, 1.5)


@numba.njit  # type: ignore[untyped-decorator]
def cycles_inside(calls: int, M: Any, r: Any, z: Any) -> None:
    for _ in range(calls):
        M.apply(r, z)


def report(quick: bool = False) -> Report:
    """A table of calls, of their overheads, and of whole solves."""
    result = Report("embedding", "Calls from C, Numba and Python", harness.versions("numba"))
    native, rounds = loops(), 3 if quick else 9
    _small(result, native, 200 if quick else 20_000, rounds)
    for shape in ((20, 20),) if quick else ((20, 20), (300, 300), (1000, 1000)):
        _grid(result, native, shape, rounds)
    return result


def _at(array: Any) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def _small(result: Report, native: ctypes.CDLL, calls: int, rounds: int) -> None:
    """Calls that do next to nothing."""
    table = result.table("One call on next to nothing")
    x, y, b = np.linspace(0.0, 1.0, 8), np.empty(8), np.ones(3)
    A = System(scipy.sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(3, 3)))
    many = ctypes.c_long(calls)
    u = np.zeros(3)
    cells = {
        ("softmax of 8", "C"): (lambda: native.loop_softmax(many, _at(x), _at(y), ctypes.c_size_t(8))),
        ("softmax of 8", "Numba"): (lambda: softmax_inside(calls, x, y)),
        ("softmax of 8", "Python"): (lambda: [softmax(x, out=y) for _ in range(calls)]),
        ("SOR sweep of 3 unknowns", "kernel"): (lambda: native.loop_kernel(many, A._handle, _at(b), _at(u))),
        ("SOR sweep of 3 unknowns", "C"): (lambda: native.loop_sweep(many, A._handle, _at(b), _at(u))),
        ("SOR sweep of 3 unknowns", "Numba"): (lambda: sweeps_inside(calls, A, b, u)),
    }
    times = {cell: timing / calls for cell, timing in harness.interleave(cells, rounds=rounds).items()}
    for (call, door), timing in times.items():
        table.rows.append({"call": call, "from": door, "time": timing})
    sweep = {door: timing.median for (call, door), timing in times.items() if call.startswith("SOR")}
    result.targets += [
        Target("a Numba loop's call of a SOR sweep, beyond the sweep", "<=", 100.0,
               1e9 * (sweep["Numba"] - sweep["kernel"]), "ns"),
        Target("a C loop's, the same", "<=", 100.0, 1e9 * (sweep["C"] - sweep["kernel"]), "ns"),
    ]  # fmt: skip


def _grid(result: Report, native: ctypes.CDLL, shape: tuple[int, int], rounds: int) -> None:
    """Calls that work: a C call takes as long as the kernel, whoever else calls it."""
    grid = GridOperator(shape)
    rows = grid.to_csr()
    A, n = System(plan(rows)), grid.size
    M, ours, ready = Multilevel(grid), multilevel(grid, threads=1), plan(rows)
    b, x, z = np.ones(n), np.zeros(n), np.empty(n)
    calls, solves = max(1, 20_000_000 // (10 * n)), max(1, 40_000 // n)
    many, some, once, size = ctypes.c_long(calls), ctypes.c_long(solves), ctypes.c_long(1), ctypes.c_size_t(n)
    wide = [part.astype(np.int64) for part in (rows.indptr, rows.indices)]

    def repeated(matrix: Any) -> Callable[[], None]:
        """One call alone would measure caches that the other cells have emptied."""

        def calls() -> None:
            for _ in range(solves):
                solve(matrix, b, method="ssor-cg", threads=1)

        return calls

    cells: dict[tuple[str, str], Callable[[], float]] = {
        ("SOR sweep", "kernel"): (lambda: native.loop_kernel(many, A._handle, _at(b), _at(x))),
        ("SOR sweep", "C"): (lambda: native.loop_sweep(many, A._handle, _at(b), _at(x))),
        ("SOR sweep", "Numba"): (lambda: sweeps_inside(calls, A, b, x)),
        ("multilevel cycle", "C"): (lambda: native.loop_apply(once, M._handle, _at(b), _at(z))),
        ("multilevel cycle", "Numba"): (lambda: cycles_inside(1, M, b, z)),
        ("multilevel cycle", "Python"): (lambda: ours @ b),
        ("SSOR-CG to 1e-8", "C"): (lambda: native.loop_solve(some, A._handle, _at(b), _at(x), size)),
        ("SSOR-CG to 1e-8", "Python"): repeated(ready),
        ("the same on new compressed rows", "C"): (
            lambda: native.loop_made(some, size, ctypes.c_size_t(rows.nnz), _at(wide[0]), _at(wide[1]), _at(rows.data),
                                     _at(b), _at(x))
        ),
        ("the same on new compressed rows", "Python"): repeated(rows),
        ("the same on a grid", "Python"): repeated(grid),
    }  # fmt: skip
    times = harness.interleave(cells, rounds=rounds)
    count = {"SOR sweep": calls, "multilevel cycle": 1}
    times = {cell: timing / count.get(cell[0], solves) for cell, timing in times.items()}
    table = result.table(f"A grid of {shape[0]} x {shape[1]}")
    for (call, door), timing in times.items():
        first: Timing = next(times[pair] for pair in times if pair[0] == call)
        table.rows.append(
            {"call": call, "from": door, "time": timing, "over the first": f"{ratio(timing, first):.3f}x"}
        )
    if n == 400:
        for call, kept in (("SSOR-CG to 1e-8", "a plan"), ("the same on new compressed rows", "a CSR matrix")):
            beyond = times[call, "Python"].median - times[call, "C"].median
            result.targets.append(Target(f"a solve of 400 unknowns with {kept} from Python, beyond C's", "<=", 60.0,
                                         1e6 * beyond, "us"))  # fmt: skip
    if shape[0] == 300:
        overhead = ratio(times["SOR sweep", "C"], times["SOR sweep", "kernel"])
        result.targets.append(Target(f"a C loop's SOR sweep of {n} unknowns / the kernel's", "<=", 1.02, overhead))
