"""A process that is asked by lines of JSON (bench/serving.py) and killed when it takes too long."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent

#: Seconds for what is not timed.
LONG = 120.0


class Process:
    """A script of this folder with its arguments, started when it is first needed and again after it was killed."""

    def __init__(self, script: str, *arguments: str, environment: Mapping[str, str]) -> None:
        self.command = [sys.executable, "-P", str(HERE / script), *arguments]
        self.environment = {**os.environ, **environment}
        self.process: subprocess.Popen[bytes] | None = None
        self.unread = b""

    def ask(self, request: dict[str, Any], seconds: float) -> dict[str, Any] | None:
        """Its answer; None where it was killed: the solve took more than that much processor time."""
        if self.process is None:
            self._start()
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()
        answer = self._first(LONG, seconds, LONG)  # the problem is made; solved; judged
        if answer is None:
            self.stop()
        return answer

    def _first(self, *allowed: float) -> dict[str, Any] | None:
        """The first line that says something; each may take so many seconds."""
        for seconds in allowed:
            answer = self._line(seconds)
            if answer is None or answer:
                return answer
        raise AssertionError

    def _line(self, seconds: float) -> dict[str, Any] | None:
        """The next line of the process; None if it has not come when so much processor time is used."""
        assert self.process is not None
        assert self.process.stdout is not None
        start = self._used()
        while b"\n" not in self.unread:
            if select.select([self.process.stdout], [], [], 0.02)[0]:
                part = os.read(self.process.stdout.fileno(), 1 << 16)
                if not part:
                    return None
                self.unread += part
            elif self._used() - start > seconds:
                return None
        text, _, self.unread = self.unread.partition(b"\n")
        answer: dict[str, Any] = json.loads(text)
        return answer

    def _used(self) -> float:
        """Processor time of the process so far; the clock's where the system does not tell."""
        assert self.process is not None
        try:
            return time.clock_gettime((~self.process.pid << 3) | 2)  # as clock_getcpuclockid makes it on Linux
        except (AttributeError, OSError):
            return time.perf_counter()

    def _start(self) -> None:
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self.environment
        )
        self.unread = b""
        if self._line(LONG) is None:
            raise RuntimeError(f"{self.command} did not start")

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None


def one_thread(**more: str) -> dict[str, str]:
    """Environment of a process with one thread, whatever it loads."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "SOLVERS_NUM_THREADS", "NUMBA_NUM_THREADS")
    return {**dict.fromkeys(names, "1"), **more}
