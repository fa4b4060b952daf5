"""The figure of the two-pass paper: each method on one row of every length, in and out of cache.

Dukhan and Ablavatski, "The Two-Pass Softmax Algorithm", 2020, arXiv 2001.04438. Theirs is C alone; ours are calls
from Python, whose own time shows in the shortest rows. Ours write large results past the cache, theirs did not.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from solvers import special

from . import harness, levels
from .problems import exponents
from .report import Lines, Report, Row, Table, speed

METHODS = ("three-pass-recompute", "three-pass-reload", "online", "two-pass", "one-exponential", "auto")

LENGTHS, QUICK_LENGTHS = tuple(2**k for k in range(10, 27)), (2**10, 2**12)

#: The paper's largest gain of two passes over the better three out of cache, on Skylake-X.
CLAIMS = {"avx2": 1.18, "avx512": 1.28}

#: Elements of one sample: short rows are repeated, so that the clock's own time does not count.
SAMPLE = 1 << 17


def measure(
    lengths: list[int],
    rounds: int,
    budget: float,
    dtype: str = "float32",
    methods: Sequence[str] = METHODS,
    batch: int = 0,
) -> list[dict[str, list[float]]]:
    """Nanoseconds an element in each round, by method, for each length; at the level of this process.

    Of one row of the paper's numbers, or of as many rows of normal ones as `batch` elements have.
    """
    x = exponents("normal" if batch else "uniform(-1000,1000)", (max(batch, *lengths),), dtype)
    y = np.full_like(x, 1.0)
    found = []
    for length in lengths:
        count = max(1, batch // length)
        rows, targets = (array[: count * length].reshape(count, length) for array in (x, y))
        repeats = max(1, SAMPLE // rows.size)

        def many(method: str, rows=rows, targets=targets, repeats=repeats) -> None:  # type: ignore[no-untyped-def]
            for _ in range(repeats):
                special.softmax(rows, 1, out=targets, threads=1, method=method)

        calls = {method: (lambda method=method, many=many: many(method)) for method in methods}
        times = harness.interleave(calls, rounds, budget, fewest=3)
        scale = 1e9 / (rows.size * repeats)
        found.append({method: [s * scale for s in timing.seconds] for method, timing in times.items()})
    return found


def add(result: Report, quick: bool) -> None:
    """The table, the curves and what the paper claims."""
    lengths, rounds = (QUICK_LENGTHS, 3) if quick else (LENGTHS, 20)
    table = result.table("Methods: one row of float32 uniform(-1000, 1000), one thread, ns an element")
    lines = Lines(
        "methods", "softmax of one float32 row, out= given, one thread", ("elements of the row", "ns an element")
    )
    result.curves.append(lines)
    claims = result.table("Two passes over the better of the three-pass methods, out of cache, beside the paper")
    for level in harness.progress(levels.available(), "softmax, methods"):
        best: tuple[float, int] | None = None
        for length, found in zip(lengths, levels.measure("softmax_methods", level, lengths, rounds, 0.5), strict=True):
            times = {method: harness.Timing(tuple(1e-9 * ns for ns in samples)) for method, samples in found.items()}
            gain = min(times[name].median for name in METHODS[:2]) / times["two-pass"].median
            table.rows.append(_row(level, length, times, gain))
            if 2 * 4 * length > cache_size():
                best = max(best or (0.0, 0), (gain, length))
            for method, timing in times.items():
                lines.add(level, method, length, 1e9 * timing.median)
                result.timings.append(_record(level, length, method, timing))
        claims.rows.append({
            "isa": level, "ours, largest": speed(best[0]) if best else None,
            "at": f"2^{best[1].bit_length() - 1}" if best else None, "the paper's largest (Skylake-X)": CLAIMS[level],
        })  # fmt: skip
    _without_level(result, claims)


def _without_level(result: Report, claims: Table) -> None:
    for level in set(levels.LEVELS) - set(levels.available()):
        result.notes.append(f"This processor has no {level}: its rows are left out.")
    if any(row["at"] is None for row in claims.rows):
        result.notes.append("No row here is longer than the cache: the paper's claims are not measured.")


def _row(level: str, length: int, times: dict[str, harness.Timing], gain: float) -> Row:
    fixed = {method: timing.median for method, timing in times.items() if method != "auto"}
    fastest = min(fixed, key=fixed.__getitem__)
    return {
        "isa": level, "length": f"2^{length.bit_length() - 1}",
        **{method: f"{1e9 * timing.median:.3g}" for method, timing in times.items()},
        "three-pass (better) / two-pass": speed(gain),
        "fastest": fastest, "fastest / auto": speed(fixed[fastest] / times["auto"].median),
    }  # fmt: skip


def _record(level: str, length: int, method: str, timing: harness.Timing) -> Row:
    return {
        "benchmark": "methods", "function": "softmax", "dtype": "float32", "shape": str(length), "axis": 0,
        "threads": 1, "isa": level, "method": method, "median_ns": 1e9 * length * timing.median,
        "min_ns": 1e9 * length * timing.minimum, "GB/s": 8e-9 / timing.median,
    }  # fmt: skip


def cache_size() -> int:
    """Bytes of the last level of cache; 32 MB where the system does not tell."""
    try:
        return os.sysconf("SC_LEVEL3_CACHE_SIZE") or 32 << 20
    except (ValueError, OSError):
        return 32 << 20
