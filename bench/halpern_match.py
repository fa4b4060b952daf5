"""Brings solvers of games and linear programs to a goal that the judge sees, and times what just reaches it.

Each method climbs a ladder of tolerances until the judge's error of its answer meets the goal, or its time is up. The
cheapest rung that suffices then runs in turns with those of the others. Every solver has a process of its own: two of
the peers cannot even be imported into one.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from .halpern_peers import PEERS
from .halpern_problems import Program, Source
from .harness import Timing
from .process import Process, one_thread

#: Decimal digits of a ladder's last tolerance, and between its rungs.
LAST, RUNG = 13, 2

Key = tuple[str, str]


@dataclass(frozen=True)
class Effort:
    """How much time a cell may take."""

    rounds: int
    #: A peer's method gets so many times our own time, between `least` and `most` seconds.
    patience: float
    least: float
    most: float
    #: Seconds for us.
    ours: float = 60.0


FULL = Effort(rounds=5, patience=60.0, least=2.0, most=30.0)
QUICK = Effort(rounds=2, patience=3.0, least=2.0, most=3.0, ours=5.0)


@dataclass
class Entry:
    """A method of a solver on a problem: the tolerance that suffices, or how near it came."""

    solver: str
    method: str
    tolerance: float = 0.0
    error: float = float("inf")
    seconds: list[float] = field(default_factory=list)
    failure: str = ""

    def reached(self, goal: float) -> bool:
        return self.error <= goal

    @property
    def timing(self) -> Timing:
        """Of the runs that count; infinite where there is none."""
        return Timing(tuple(self.seconds or (float("inf"),)))

    @property
    def name(self) -> str:
        return f"{self.solver} {self.method}".strip()


@dataclass(frozen=True)
class Outcome:
    """All methods on a problem at a goal."""

    source: str
    shape: tuple[int, int]
    goal: float
    ours: Entry
    peers: list[Entry]
    cap: float

    @property
    def best(self) -> Entry | None:
        """The fastest peer that arrived."""
        there = [entry for entry in self.peers if entry.reached(self.goal)]
        return min(there, key=lambda entry: entry.timing.median, default=None)

    def ratio(self, entry: Entry) -> float:
        """Its time over ours; where it did not arrive, the time that it was given at least."""
        seconds = entry.timing.median if entry.reached(self.goal) else self.cap
        return seconds / self.ours.timing.median


def save(problem: Any, path: Path) -> None:
    """A game or a program as a file."""
    if isinstance(problem, Program):
        rows = scipy.sparse.csr_array(problem.A)
        parts = {name: getattr(problem, name) for name in Program._fields if name != "A"}
        np.savez(path, data=rows.data, indices=rows.indices, indptr=rows.indptr, shape=rows.shape, **parts)
    else:
        np.savez(path, game=problem)


def load(path: str) -> Any:
    """What `save` wrote."""
    with np.load(path) as file:
        if "game" in file:
            return file["game"]
        A = scipy.sparse.csr_array((file["data"], file["indices"], file["indptr"]), shape=tuple(file["shape"]))
        return Program(A=A, **{name: file[name] for name in Program._fields if name != "A"})


class Field:
    """The processes of all solvers, and a folder for the problems; both gone at the end of a `with`."""

    def __init__(self, names: list[str]) -> None:
        # what lies on PYTHONPATH here is the peers', so that it is theirs too
        environment = one_thread(PYTHONPATH=os.environ.get("PYTHONPATH", ""))
        self.workers = {name: Process("halpern_serve.py", name, environment=environment) for name in names}
        self.folder = tempfile.TemporaryDirectory()
        self.count = 0

    def __enter__(self) -> Field:
        return self

    def __exit__(self, *about: object) -> None:
        for worker in self.workers.values():
            worker.stop()
        self.folder.cleanup()

    def measure(self, source: Source, goal: float, effort: Effort, left_out: tuple[Key, ...] = ()) -> Outcome:
        """All solvers on a problem, but methods that are known to be hopeless on its kind."""
        problem = source.make()
        self.count += 1  # a file of its own: the processes know a problem by its path
        save(problem, path := Path(self.folder.name, f"{self.count}.npz"))
        shape = problem.A.shape if isinstance(problem, Program) else problem.shape
        ours = self._climb(Entry("ours", ""), path, goal, effort.ours)
        own = ours.seconds[0] if ours.seconds else effort.ours
        cap = float(np.clip(effort.patience * own, effort.least, effort.most))
        entries = [
            self._climb(Entry(name, method), path, goal, cap)
            for name in self.workers if name != "ours"
            for method in PEERS[name]().methods if (name, method) not in left_out
        ]  # fmt: skip
        rivals = [entry for entry in (ours, *entries) if entry.reached(goal)]
        for _ in range(effort.rounds - 1):
            for entry in rivals:
                if len(entry.seconds) < effort.rounds and sum(entry.seconds) < effort.most:
                    self._again(entry, path, cap)
        path.unlink()
        return Outcome(source.name, shape, goal, ours, entries, cap)

    def _climb(self, entry: Entry, path: Path, goal: float, cap: float) -> Entry:
        """The loosest tolerance of the ladder that leads to the goal."""
        digits = max(int(np.floor(-np.log10(goal))) - RUNG, RUNG)
        while digits <= LAST:
            answer = self._ask(entry, path, 10.0**-digits, cap)
            if "error" not in answer:
                entry.failure = answer["failure"]
                break
            if answer["error"] < entry.error:
                entry.tolerance, entry.error = 10.0**-digits, answer["error"]
                entry.seconds = [answer["seconds"]]
            if entry.reached(goal):
                break
            digits += RUNG
        return entry

    def _again(self, entry: Entry, path: Path, cap: float) -> None:
        answer = self._ask(entry, path, entry.tolerance, 3 * cap)
        if "seconds" in answer:
            entry.seconds.append(answer["seconds"])

    def _ask(self, entry: Entry, path: Path, tolerance: float, cap: float) -> Mapping[str, Any]:
        request = {"data": str(path), "method": entry.method, "tolerance": tolerance}
        return self.workers[entry.solver].ask(request, cap) or {"failure": f"killed after {cap:.3g} s"}
