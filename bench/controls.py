"""The memory's own times: a read, copies and triads of arrays in C, timed beside the solvers in the same rounds."""

from __future__ import annotations

import ctypes
import functools
import os
import subprocess
import sys
import timeit
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from .problems import Array

HERE = Path(__file__).resolve().parent

MEMORY = READ, STREAM, MEMCPY, COPY = "control read", "control NT copy", "control memcpy", "control copy"
PANELS = "control copy by panels"
TRIAD, STREAM_TRIAD, UPDATE = "control triad", "control NT triad", "control update in place"
ARITHMETIC = "control arithmetic"

#: Multiply-adds of a vector in one call of `ARITHMETIC`.
MULTIPLY_ADDS = 12 * 25_000

#: Bytes of a cache line.
LINE = 64

#: Bytes of a row in a panel: two panels of 1024 rows take half of a second cache of 1 MB.
PANEL_BYTES = 256

#: Bytes that a triad counts an element.
TRIAD_BYTES = 24


@functools.cache
def library() -> ctypes.CDLL | None:
    """controls.c, built for this processor; None, and a printed reason, where that fails."""
    built = HERE.parent / "build" / "bench" / f"controls-{os.getpid()}.so"
    command = [os.environ.get("CC", "cc"), "-O3", "-march=native", "-shared", "-fPIC", "-o", str(built)]
    built.parent.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run([*command, str(HERE / "controls.c")], check=True, capture_output=True, text=True)
        found = ctypes.CDLL(str(built))
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"controls.c was not built ({getattr(error, 'stderr', None) or error}): no limits", file=sys.stderr)
        return None
    finally:
        built.unlink(missing_ok=True)  # once loaded it needs no name
    for name in ("stream", "memcpy", "copy"):
        function = getattr(found, f"control_{name}")
        function.argtypes, function.restype = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t], None
    found.control_panels.argtypes = [ctypes.c_void_p] * 2 + [ctypes.c_size_t] * 3 + [ctypes.c_void_p]
    found.control_panels.restype = None
    for name in ("triad", "stream_triad", "update"):
        function = getattr(found, f"control_{name}")
        function.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_double, ctypes.c_size_t]
        function.restype = None
    found.control_arithmetic.argtypes, found.control_arithmetic.restype = [ctypes.c_size_t], ctypes.c_float
    found.control_read.argtypes, found.control_read.restype = [ctypes.c_void_p, ctypes.c_size_t], ctypes.c_int64
    return found


def calls(x: Array, y: Array) -> dict[str, Callable[[], Any]]:
    """The controls as callables: x read, and copied to y (all contiguous, of one size)."""
    built = library()
    if built is None:
        return {}
    source, target, size = x.ctypes.data, y.ctypes.data, x.nbytes
    return {
        READ: lambda: built.control_read(source, size),
        STREAM: lambda: built.control_stream(target, source, size),
        MEMCPY: lambda: built.control_memcpy(target, source, size),
        COPY: lambda: built.control_copy(target, source, size),
    }


def panels(x: Array, y: Array) -> dict[str, Callable[[], Any]]:
    """A copy of the matrix x to y (contiguous, rows of whole cache lines) that reads x once, by panels of columns."""
    built = library()
    if built is None:
        return {}
    rows, row_bytes = x.shape[0], x.strides[0]
    room = np.zeros(2 * rows * PANEL_BYTES + 64, np.uint8)
    start = room.ctypes.data + -room.ctypes.data % 64
    source, target = x.ctypes.data, y.ctypes.data
    return {PANELS: lambda room=room: built.control_panels(target, source, rows, row_bytes, PANEL_BYTES, start)}


def arithmetic() -> dict[str, Callable[[], Any]]:
    """`MULTIPLY_ADDS` of vectors, in registers: tells a core that others slow down from one that has all its pipes."""
    built = library()
    return {} if built is None else {ARITHMETIC: lambda: built.control_arithmetic(MULTIPLY_ADDS // 12)}


def gain(threads: int = 2, rounds: int = 40) -> float | None:
    """How many times the arithmetic of one thread `threads` do, which wait for nothing; None without a compiler.

    It is `threads` where each has a core to itself. Under a hypervisor, whose cores may be halves of one, it may be 1,
    and change from minute to minute.
    """
    built = library()
    if built is None:
        return None
    with ThreadPoolExecutor(threads) as pool:

        def seconds(count: int) -> float:
            """Of as many calls at once, in the middle of all rounds."""
            work = [2 * MULTIPLY_ADDS] * count
            taken = timeit.repeat(lambda: list(pool.map(built.control_arithmetic, work)), number=1, repeat=rounds)
            return float(np.median(taken))

        return threads * seconds(1) / seconds(threads)


def multiply_adds() -> int:
    """Of single numbers, in one call of `ARITHMETIC`."""
    built = library()
    return 0 if built is None else MULTIPLY_ADDS * int(built.control_lanes())


def triads(a: Array, b: Array, c: Array, threads: int = 1) -> dict[str, Callable[[], Any]]:
    """a = b + 3 c on doubles (all contiguous, of one size), by ordinary stores and past the cache."""
    built = library()
    if built is None:
        return {}
    kernels = {TRIAD: built.control_triad, STREAM_TRIAD: built.control_stream_triad}
    if threads == 1:
        return {name: functools.partial(_triad, kernel, a, b, c) for name, kernel in kernels.items()}
    parts = list(zip(*[np.array_split(vector, threads) for vector in (a, b, c)], strict=True))
    pool = ThreadPoolExecutor(threads)
    return {
        name: lambda kernel=kernel: list(pool.map(lambda part: _triad(kernel, *part), parts))
        for name, kernel in kernels.items()
    }


def update(a: Array, b: Array) -> dict[str, Callable[[], Any]]:
    """a = b + a / 3 in place, of the same kind."""
    built = library()
    return {} if built is None else {UPDATE: functools.partial(_triad, built.control_update, a, b, b)}


def _triad(kernel: Any, a: Array, b: Array, c: Array) -> None:
    kernel(a.ctypes.data, b.ctypes.data, c.ctypes.data, 3.0, a.size)
