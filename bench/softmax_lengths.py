"""Every package on one row of every length, from 1 to 2^26 elements: where, if anywhere, we lose.

All are called from Python as users call them, so in short rows it is the calls that are compared.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import solvers

from . import harness, softmax_peers
from .harness import Timing, ratio
from .problems import exponents
from .report import Lines, Report, Row, Target, speed
from .softmax_peers import CALLS, Calls, Peers

LENGTHS, QUICK_LENGTHS = tuple(2**k for k in range(27)), (1, 2**10)

#: Elements of one sample, and calls at most: short rows are repeated, so that the clock's own time does not count.
SAMPLE, MOST_CALLS = 1 << 17, 256

ROUNDS, FEWEST, BUDGET = 20, 5, 0.4


def add(result: Report, peers: Peers, quick: bool) -> None:
    """The table, the curves, and the least ratio to each peer."""
    table = result.table("One row of float32 standard normal numbers, one thread: ns an element")
    lines = Lines("lengths", "softmax of one float32 row, one thread", ("elements of the row", "ns an element"))
    result.curves.append(lines)
    least: dict[str, tuple[float, int]] = {}
    for length in harness.progress(QUICK_LENGTHS if quick else LENGTHS, "softmax, lengths"):
        times = measure(length, peers, quick)
        table.rows.append(_row(length, times))
        for name, timing in times.items():
            lines.add(name.split()[1], name.split()[0], length, 1e9 * timing.median / length)
            result.timings.append(_record(length, name, timing))
        for name, gain in _gains(times).items():
            least[name] = min(least.get(name, (np.inf, 0)), (gain, length))
    for name in CALLS:
        gain, length = least.get(name, (None, 0))
        figure = f"softmax float32, one row of 2^0 .. 2^26: {name} / ours, smallest"
        where = f" (at 2^{length.bit_length() - 1})" if gain is not None else ""
        result.targets.append(Target(figure + where, ">=", 1.0, gain))


def measure(length: int, peers: Peers, quick: bool) -> dict[str, Timing]:
    """Seconds of a call, by name."""
    x = exponents("normal", (length,), "float32")
    calls: Calls = softmax_peers.calls("softmax", x, 0, np.full_like(x, 1.0), peers)
    repeats = min(max(1, SAMPLE // length), 4 if quick else MOST_CALLS)

    def many(call: Callable[[], Any]) -> Callable[[], None]:
        def run() -> None:
            for _ in range(repeats):
                call()

        return run

    rounds = 3 if quick else ROUNDS
    times = harness.interleave({name: many(call) for name, call in calls.items()}, rounds, BUDGET, fewest=FEWEST)
    return {name: timing / repeats for name, timing in times.items()}


def _gains(times: dict[str, Timing]) -> dict[str, float]:
    """Each peer's time over that of ours that does the same."""
    pairs = {name: f"ours {name.split()[1]}" for name in CALLS if name in times}
    return {theirs: ratio(times[theirs], times[mine]) for theirs, mine in pairs.items()}


def _row(length: int, times: dict[str, Timing]) -> Row:
    row: Row = {"length": f"2^{length.bit_length() - 1}"}
    for name in ("ours out", "ours fresh", *CALLS):
        row[name] = f"{1e9 * times[name].median / length:.3g}" if name in times else None
    for name, gain in _gains(times).items():
        row[f"{name} / ours"] = speed(gain)
    return row


def _record(length: int, name: str, timing: Timing) -> Row:
    return {
        "benchmark": "lengths", "function": "softmax", "dtype": "float32", "shape": str(length), "axis": 0,
        "threads": 1, "isa": solvers.show_config()["isa"], "method": name, "median_ns": 1e9 * timing.median,
        "min_ns": 1e9 * timing.minimum, "GB/s": 8 * length / timing.median / 1e9,
    }  # fmt: skip
