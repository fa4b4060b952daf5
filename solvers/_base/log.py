"""The log of a solve: a fixed-width table that an expert reads at a glance."""

from __future__ import annotations

import time
from types import TracebackType

from .result import Status

SECONDS_BETWEEN_ROWS = 0.1


class Log:
    """verbose = 0 prints nothing, 1 at most ten rows a second, 2 every step."""

    def __init__(self, verbose: int, method: str, title: str):
        self.verbose = verbose
        self.printed_at = -SECONDS_BETWEEN_ROWS
        self.last: tuple[int, float, float] | None = None
        if verbose:
            self._print(f"{method}: {title}\n{'step':>8}  {'measure':>10}  {'seconds':>8}")

    def __enter__(self) -> Log:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._print(f"  stopped by {kind.__name__}")

    def row(self, nit: int, measure: float, seconds: float) -> None:
        """One step."""
        if not self.verbose:
            return
        self.last = (nit, measure, seconds)
        if self.verbose == 2 or time.perf_counter() - self.printed_at >= SECONDS_BETWEEN_ROWS:
            self._print_row()

    def close(self, status: Status, measure: float) -> None:
        """The last step, if it is not yet shown, and how it ended."""
        if self.last is not None:
            self._print_row()
        if self.verbose:
            self._print(f"  {status.name}: recomputed measure {measure:.3e}")

    def _print_row(self) -> None:
        assert self.last is not None
        self.printed_at = time.perf_counter()
        self._print("{:8d}  {:10.3e}  {:8.3f}".format(*self.last))
        self.last = None

    def _print(self, text: str) -> None:
        if self.verbose:
            print(text, flush=True)
