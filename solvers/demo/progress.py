"""What the demo shows while it works: a line a stage, with a bar while the stage runs."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

from solvers import SolveResult

#: Seconds between two looks of a running bar: its clock goes on while a solver is inside one long call.
HEARTBEAT = 0.5


class Stage:
    """One stage; may be told how far it is."""

    def __init__(self, bar: tqdm):
        self.bar = bar

    def at(self, fraction: float, note: str = "") -> None:
        """This share of the stage is done."""
        self.bar.n = min(max(fraction, 0.0), 1.0)
        self.bar.set_postfix_str(note, refresh=False)
        self.bar.update(0)

    def callback(self, tol: float) -> Callable[[SolveResult], None]:
        """For a solve: its progress is the digits gained of those asked for."""
        start = 0.0

        def show(result: SolveResult) -> None:
            nonlocal start
            start = start or result.measure
            if 0 < result.measure < math.inf and start > tol:
                self.at(math.log(start / result.measure) / math.log(start / tol), f"{result.nit} steps")

        return show


class Progress:
    """Stages on the standard error stream. On a terminal a bar runs; elsewhere only the finished lines show."""

    def __init__(self, rows: int):
        self.rows = rows
        self.row_number = 0
        self.live = sys.stderr.isatty()

    def row(self, title: str) -> None:
        """The next row begins."""
        self.row_number += 1
        self._line(f"[{self.row_number}/{self.rows}] {title}")

    @contextmanager
    def stage(self, text: str) -> Iterator[Stage]:
        """One stage of the row, timed."""
        start = time.perf_counter()
        layout = "    {desc:<44} |{bar:12}| {elapsed}{postfix}"
        with tqdm(desc=text, total=1.0, bar_format=layout, leave=False, disable=not self.live) as bar:
            over = threading.Event()
            if self.live:
                threading.Thread(target=_beat, args=(bar, over), daemon=True).start()
            try:
                yield Stage(bar)
            finally:
                over.set()
        self._line(f"    {text:<44} {time.perf_counter() - start:6.1f} s")

    def _line(self, text: str) -> None:
        tqdm.write(text, file=sys.stderr)
        sys.stderr.flush()


def _beat(bar: tqdm, over: threading.Event) -> None:
    while not over.wait(HEARTBEAT):
        bar.refresh()
