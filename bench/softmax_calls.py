"""What a call costs beside its arithmetic, and what a second thread gives."""

from __future__ import annotations

from functools import partial
from timeit import Timer

import numpy as np
import scipy.special

import solvers
from solvers import special

from . import harness
from .harness import Timing, ratio
from .problems import exponents
from .report import Report, Row, Target, speed
from .softmax_peers import Calls, Peers

#: A batch that stays in the private caches, one that does not, and a long row.
SHAPES, QUICK_SHAPES = ((512, 1000), (4096, 1000), (2**25,)), ((512, 100), (2**16,))


def add_overhead(result: Report, peers: Peers, quick: bool) -> None:
    """One call on 10 numbers."""
    table = result.table("One call on 10 float64 numbers, microseconds")
    x = np.linspace(-1.0, 1.0, 10)
    y = np.empty_like(x)
    calls: Calls = {
        "ours softmax": lambda: special.softmax(x),
        "ours softmax out": lambda: special.softmax(x, out=y),
        "ours logsumexp": lambda: special.logsumexp(x),
        "scipy softmax": lambda: scipy.special.softmax(x),
        "scipy logsumexp": lambda: scipy.special.logsumexp(x),
    }
    if peers.torch is not None:
        torch, tensor = peers.torch, peers.torch.from_numpy(x)
        calls |= {
            "torch softmax": lambda: torch.softmax(tensor, 0),
            "torch logsumexp": lambda: torch.logsumexp(tensor, 0),
        }
    loops = 20 if quick else 2000
    timers = {name: partial(Timer(call).timeit, loops) for name, call in calls.items()}
    times = {n: t / loops for n, t in harness.interleave(timers, 3 if quick else 20, 2.0, fewest=3).items()}
    for name, timing in times.items():
        ours = times[f"ours {name.split()[1]}"]
        row: Row = {"call": name, "time": timing, "us": f"{1e6 * timing.median:.3g}"}
        row["time / ours"] = None if name.startswith("ours") else speed(ratio(timing, ours))
        table.rows.append(row)
        result.timings.append(_record("calls", name.split()[1], "float64", (10,), 1, name, timing))
    for name in ("softmax", "logsumexp"):
        figure = f"{name} of 10 numbers: one call"
        result.targets.append(Target(figure, "<=", 1.5, 1e6 * times[f"ours {name}"].median, "us"))


def add_threads(result: Report, quick: bool) -> None:
    """One thread against two."""
    table = result.table("softmax float32, out= given, one thread and two")
    gains: list[float] = []
    for shape in QUICK_SHAPES if quick else SHAPES:
        x = exponents("normal", shape, "float32")
        y = np.full_like(x, 1.0)
        repeats = max(1, (1 << 20) // x.size)  # a sample long enough for the clock

        def many(threads: int, x=x, y=y, repeats=repeats) -> None:  # type: ignore[no-untyped-def]
            for _ in range(repeats):
                special.softmax(x, -1, out=y, threads=threads)

        calls = {str(n): partial(many, n) for n in (1, 2)}
        with harness.threads(2):
            found = harness.interleave(calls, 3 if quick else 20, 2.0, fewest=3)
        times = {int(n): t / repeats for n, t in found.items()}
        gains.append(ratio(times[1], times[2]))
        name = "x".join(str(n) for n in shape)
        table.rows.append({"shape": name, "1 thread": times[1], "2 threads": times[2], "gain": speed(gains[-1])})
        for count, timing in times.items():
            result.timings.append(_record("threads", "softmax", "float32", shape, count, "ours out", timing))
    result.targets.append(Target("softmax in cache: one thread / two threads", ">=", 1.6, gains[0]))
    result.targets.append(Target("softmax, smallest: one thread / two threads", ">=", 1.0, min(gains)))


def _record(
    benchmark: str, function: str, dtype: str, shape: tuple[int, ...], threads: int, method: str, timing: Timing
) -> Row:
    return {
        "benchmark": benchmark, "function": function, "dtype": dtype, "shape": "x".join(str(n) for n in shape),
        "axis": len(shape) - 1, "threads": threads, "isa": solvers.show_config()["isa"], "method": method,
        "median_ns": 1e9 * timing.median, "min_ns": 1e9 * timing.minimum,
    }  # fmt: skip
