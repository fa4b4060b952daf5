"""Timing of several callables against one another, fairly.

All in one process and in turns: a round calls each callable once, and each round in another order, so that a slow
minute of the machine, or a cache that the one before left warm, or full of its results, falls on all of them alike.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import os
import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")

Calls = Mapping[str, Callable[[], Any]]

ROUNDS = 7


@dataclass(frozen=True)
class Timing:
    """Seconds of each round."""

    seconds: tuple[float, ...]

    @property
    def rounds(self) -> int:
        return len(self.seconds)

    @property
    def median(self) -> float:
        return float(np.median(self.seconds))

    @property
    def minimum(self) -> float:
        return min(self.seconds)

    @property
    def quartiles(self) -> tuple[float, float]:
        """Ends of the interquartile range."""
        low, high = np.percentile(self.seconds, [25, 75])
        return float(low), float(high)

    def __str__(self) -> str:
        """Median, half the interquartile range in percent of it, and the rounds where they are few."""
        text = duration(self.median)
        if self.rounds > 1 and self.median:
            low, high = self.quartiles
            text += f" ±{50 * (high - low) / abs(self.median):.0f}%"
        return text if self.rounds >= ROUNDS else f"{text} ({self.rounds}x)"

    def __sub__(self, other: Timing) -> Timing:
        """Differences round by round."""
        return Timing(tuple(mine - its for mine, its in zip(self.seconds, other.seconds, strict=True)))

    def __truediv__(self, number: float) -> Timing:
        return Timing(tuple(s / number for s in self.seconds))


def duration(seconds: float) -> str:
    """Seconds with three digits and a unit."""
    for unit, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if abs(seconds) >= unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds / 1e-9:.3g} ns"


def ratio(peer: Timing | float, ours: Timing | float) -> float:
    """How many times as long the peer takes: above 1 we are faster."""
    return _seconds(peer) / _seconds(ours)


def _seconds(timing: Timing | float) -> float:
    return timing.median if isinstance(timing, Timing) else timing


def interleave(
    calls: Calls,
    rounds: int = ROUNDS,
    budget: float = np.inf,
    inspect: Callable[[str, Any], None] | None = None,
    known: Mapping[str, float] | None = None,
    fewest: int = 0,
) -> dict[str, Timing]:
    """Time callables in turns.

    Each is called once first, to warm up; `inspect(name, result)` sees what that call returned. `known` has the
    seconds of those that were called just before and need no warming up. A callable that would take longer than
    `budget` seconds in all its rounds gets fewer of them, but `fewest` at least; where even one call takes longer
    than that, the first call is its only sample (set-up costs that a warm-up hides are nothing beside it).
    """
    first = dict(known or {})
    for name, call in calls.items():
        if name not in first:
            first[name], result = _timed(call)
            if inspect is not None:
                inspect(name, result)
            del result
    wanted = {name: int(min(rounds, max(fewest, budget / max(first[name], 1e-9)))) for name in calls}
    samples: dict[str, list[float]] = {name: [] if wanted[name] else [first[name]] for name in calls}
    names, rng = list(calls), random.Random(7)
    for turn in range(max(wanted.values())):
        rng.shuffle(names)
        for name in names:
            if turn < wanted[name]:
                samples[name].append(_timed(calls[name])[0])
    return {name: Timing(tuple(values)) for name, values in samples.items()}


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of one call and its result, no garbage collection meanwhile."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        start = time.perf_counter()
        result = call()
        return time.perf_counter() - start, result
    finally:
        if enabled:
            gc.enable()


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Give every library in this process the same number of threads."""
    from threadpoolctl import threadpool_limits

    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else 0
    with threadpool_limits(count):
        if torch:
            torch.set_num_threads(count)
        try:
            yield
        finally:
            if torch:
                torch.set_num_threads(before)


def processors_used(call: Callable[[], Any], seconds: float) -> float:
    """How many processors a call keeps busy: the process's own time over the clock's, for that long."""
    call()
    clock, own = time.perf_counter(), time.process_time()
    while (passed := time.perf_counter() - clock) < seconds:
        call()
    return (time.process_time() - own) / passed


def keep_freed_memory() -> bool:
    """Let malloc keep freed blocks below 32 MB for the rest of this process, where it is glibc's.

    By default it gives them back to the system, and begins to keep them after some large block was freed: a peer
    that makes temporaries in every iteration then runs up to 2.5 times as fast as before, without page faults. Set
    for all, so that no figure hangs on what ran earlier, and no peer looks slow for a reason outside it.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    mmap_threshold, trim_threshold = -3, -1
    return bool(mallopt(mmap_threshold, 32 << 20) and mallopt(trim_threshold, 2**31 - 1))


def peer(name: str) -> ModuleType | None:
    """A peer's module; None, and a printed line, where it is not installed: its rows are then left out."""
    try:
        return importlib.import_module(name)
    except ImportError:
        print(f"{name} is not installed: its rows are left out", file=sys.stderr)
        return None


def progress(items: Iterable[T], title: str) -> Iterable[T]:
    """The items behind a progress bar, where tqdm is installed and someone watches."""
    try:
        from tqdm import tqdm
    except ImportError:
        return items
    bar: Iterable[T] = tqdm(items, desc=title, leave=False, disable=None)
    return bar


def versions(*peers: str) -> list[str]:
    """What ran: our version and instruction set, the peers' versions, the processor."""
    import solvers

    config = solvers.show_config()
    lines = [f"solvers {config['version']}, instruction set {config['isa']} (available: {config['isa_available']})"]
    if config["sanitizer"] != "none":
        lines.append(f"BUILT WITH SANITIZER {config['sanitizer']}: the times mean nothing")
    modules = [sys.modules[name] for name in ("numpy", "scipy", *peers) if name in sys.modules]
    named = [f"{'POT' if m.__name__ == 'ot' else m.__name__} {m.__version__}" for m in modules]
    lines.append(", ".join([f"Python {config['python']}", *named]))
    lines.append(f"{_processor()}, {os.cpu_count()} cores")
    return lines


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        import platform

        return platform.machine()
