"""Solvers in processes of their own, one a peer (bench/ot_serve.py): a run that takes too long is killed."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .peers_ot import ONE_THREAD, PEERS

HERE = Path(__file__).resolve().parent

#: Seconds for what is not timed.
LONG = 120.0


@dataclass(frozen=True)
class Run:
    """One call of a solver. Seconds are processor time, which other work on the machine disturbs least."""

    seconds: float = float("inf")
    wall: float = float("inf")
    #: The judge's l1 error of the plan.
    error: float = float("inf")
    iterations: int = 0
    history: list[float] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    #: "killed", or the exception; empty where a plan came back.
    failure: str = ""


class Worker:
    """A peer's process, started when it is first needed and again after it had to be killed."""

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self.grace = PEERS[peer].grace
        self.process: subprocess.Popen[bytes] | None = None
        self.unread = b""

    def run(self, cell: str, method: str, tolerance: float, limit: int, seconds: float, judge: bool = True) -> Run:
        """One call; after that much processor time it is killed. Making the problem and judging the plan come extra."""
        if self.process is None:
            self._start()
        assert self.process is not None
        assert self.process.stdin is not None
        request = {"cell": cell, "method": method, "tolerance": tolerance, "limit": limit, "judge": judge}
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()
        for allowed in (LONG, seconds, LONG):  # the problem is made; solved; judged
            answer = self._line(allowed)
            if answer is None:
                self.stop()
                return Run(failure="killed")
            if answer:
                return Run(**answer)
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
        command = [sys.executable, "-P", str(HERE / "ot_serve.py"), self.peer]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **ONE_THREAD}
        )
        self.unread = b""
        if self._line(LONG) is None:
            raise RuntimeError(f"the process of {self.peer} did not start")

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None
