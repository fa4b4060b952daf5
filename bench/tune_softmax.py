"""Measures where the methods of softmax should change on this machine, and prints constants for softmax.c and shares.h.

    python -P bench/tune_softmax.py [--quick]

It only prints. Three crossings are sought: the row length from which two passes beat one exponential an element, for
each type and instruction set, in one row and in a batch whose results go past the cache; and the output size from which
streaming stores beat ordinary ones in a copy that is read at once, as results mostly are.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent

#: Half powers of two, so that a crossing is known within a factor of 1.4. Sizes are in bytes.
ROW_BYTES = [int(2 ** (k / 2)) // 64 * 64 for k in range(26, 55)]
OUTPUT_BYTES = [int(2 ** (k / 2)) // 64 * 64 for k in range(36, 57)]

QUICK_BYTES = [1 << 13, 1 << 15]

#: Of batches past the cache, and their longest rows: where one thread's terms still wait (2 * SEGMENT elements).
BATCH_BYTES, LONGEST_ROW = 16 << 20, 65535

#: Won at fewer sizes in a row than this, a victory may be noise.
SUSTAINED = 3


def crossing(sizes: Sequence[int], old: Sequence[float], new: Sequence[float]) -> int | None:
    """The smallest size from which `new` takes less time than `old` at all larger sizes, `SUSTAINED` at least."""
    wins = [b < a for a, b in zip(old, new, strict=True)]
    first = len(wins)
    while first and wins[first - 1]:
        first -= 1
    return sizes[first] if len(wins) - first >= min(SUSTAINED, len(wins)) else None


def row_crossing(dtype: str, level: str, sizes: Sequence[int], rounds: int, batch: int) -> int | None:
    """Bytes of a row from which "two-pass" beats "one-exponential"; in a batch of so many bytes where that is not 0."""
    import numpy as np

    from bench import levels

    itemsize = np.dtype(dtype).itemsize
    if batch:
        sizes = [size for size in sizes if size <= LONGEST_ROW * itemsize]
    lengths, methods = [size // itemsize for size in sizes], ["one-exponential", "two-pass"]
    elements, place = batch // itemsize, "row of a batch" if batch else "row"
    found = levels.measure("softmax_methods", level, lengths, rounds, 0.2 if batch else 0.1, dtype, methods, elements)
    one, two = ([float(np.median(times[name])) for times in found] for name in ("one-exponential", "two-pass"))
    for size, a, b in zip(sizes, one, two, strict=True):
        print(f"{level} {dtype} {place} of {size:>10} bytes: one exponential {a:.3f}, two passes {b:.3f} ns an element")
    return crossing(sizes, one, two)


def stream_crossing(sizes: Sequence[int], rounds: int) -> int | None:
    """Bytes of output from which a copy with streaming stores, and a read of it, beat one with ordinary stores."""
    import numpy as np

    from bench import controls, harness

    x, y = np.ones(max(sizes) // 8), np.ones(max(sizes) // 8)
    ordinary, streamed = [], []
    for size in sizes:
        source, target = x[: size // 8], y[: size // 8]
        copies, reads = controls.calls(source, target), controls.calls(target, source)
        if not copies:
            return None

        def copy_and_read(copy: Callable[[], Any], read: Callable[[], Any] = reads[controls.READ]) -> None:
            copy()
            read()

        calls = {name: partial(copy_and_read, copies[name]) for name in (controls.COPY, controls.STREAM)}
        times = harness.interleave(calls, rounds)
        ordinary.append(times[controls.COPY].median)
        streamed.append(times[controls.STREAM].median)
        print(f"output of {size:>10} bytes, copied and read: ordinary stores {size / ordinary[-1] / 1e9:.1f}, "
              f"streaming {size / streamed[-1] / 1e9:.1f} GB/s")  # fmt: skip
    return crossing(sizes, ordinary, streamed)


def main() -> None:
    from bench import levels

    parser = argparse.ArgumentParser(description="Constants of softmax for this machine.")
    parser.add_argument("--quick", action="store_true", help="two sizes, few rounds: only tries the code")
    quick = parser.parse_args().quick
    rows, outputs, rounds = (QUICK_BYTES, QUICK_BYTES, 3) if quick else (ROW_BYTES, OUTPUT_BYTES, 15)
    constants = []
    for level in levels.available():
        for dtype in ("float32", "float64"):
            crossings = [row_crossing(dtype, level, rows, rounds, batch) for batch in (0, BATCH_BYTES)]
            meaning = ", ".join(str(found or "SIZE_MAX /* never slower here */") for found in crossings)
            constants.append(f"one_exponential_max_bytes, alike for a row and a batch: {meaning} ({dtype}, {level})")
    found = stream_crossing(outputs, rounds)
    constants.append(f"STREAM_MIN_BYTES {found or 'SIZE_MAX /* never faster here */'}")
    print("\nFor _ext/special/softmax.c and shares.h:")
    print("\n".join(constants))


if __name__ == "__main__":
    sys.path.insert(0, str(HERE))
    from run import load_package

    del sys.path[0]
    load_package()
    main()
