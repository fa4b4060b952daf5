"""Brings solvers of penalised models to a distance from the minimum, and times what just reaches it.

Solvers mean different things by a tolerance, so each method climbs a ladder of them, tighter from rung to rung, until
the judge finds its answer close enough or its time is up. The least objective that any solver found on the way is the
minimum that all are judged by. None of this is timed against anyone; the cheapest rung that suffices then runs in turns
with those of the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from . import bcd_data
from .bcd_cells import Cell
from .bcd_judge import Model
from .bcd_peers import EXACT, PEERS
from .bcd_worker import Run, Worker
from .harness import Timing

#: Decimal digits of the first tolerance, and of the last.
FIRST, LAST = 2, 16

#: Rungs without progress after which a method is given up.
IDLE = 4

#: Later methods of a peer are given up when they take this much longer than its best so far.
SLACK = 1.3

#: Shares of the cap for the methods of a peer, in the order of promise; and peers that no promise names.
SHARES = (1.0, 0.5, 0.25)
MINOR = ("cyanure", "scipy")

#: What a method that is timed in milliseconds does once before the clock starts.
SHORT = 0.05

#: Our own tolerance for the minimum, and the seconds that it may take.
TIGHTEST, PATIENT = 1e-15, 20.0


@dataclass(frozen=True)
class Effort:
    """How much time the cells may take."""

    #: Rounds of a solver that takes less than half a second; slower ones get fewer.
    rounds: int
    #: A peer's method gets this many times our own time, but between `least` and `most` seconds.
    patience: float
    least: float
    most: float

    def cap(self, peer: str, ours: float) -> float:
        """Seconds for a peer's first method; less for those that no promise names."""
        return float(np.clip(self.patience * ours, self.least, self.most)) * (0.3 if peer in MINOR else 1.0)


FULL = Effort(rounds=5, patience=60.0, least=0.25, most=3.0)
QUICK = Effort(rounds=2, patience=5.0, least=0.05, most=0.2)


@dataclass
class Ladder:
    """A method of a solver on a cell, at tighter and tighter tolerances."""

    worker: Worker
    cell: Cell
    path: Path
    method: str
    cap: float
    runs: list[Run] = field(default_factory=list)
    digits: int = FIRST
    over: bool = False

    def climb(self, goal: float, least: list[float]) -> None:
        """Until the goal is reached, or there is no hope."""
        while not self.over and self.cheapest(goal, least) is None:
            self.step(least)

    def step(self, least: list[float]) -> None:
        """A rung."""
        run = self.worker.run(self.cell, self.path, self.method, 10.0**-self.digits, self.cap + self.worker.grace)
        self.runs.append(run)
        self.digits += 1 if run.seconds < self.cap / 8 else 2
        self.over = bool(run.failure) or run.seconds > self.cap or self._hopeless(least)

    def _hopeless(self, least: list[float]) -> bool:
        errors = [run.error(least) for run in self.runs]
        stuck = len(errors) > IDLE and min(errors[-IDLE:]) > 0.5 * min(errors[:-IDLE])
        return stuck or self.digits > LAST or self.method in EXACT

    def cheapest(self, goal: float, least: list[float]) -> Run | None:
        """The least time that led to the goal."""
        good = [run for run in self.runs if run.error(least) <= goal and run.seconds <= self.cap]
        return min(good, key=lambda run: run.seconds, default=None)


#: A solver, its method and tolerance.
Key = tuple[str, str, float]


@dataclass(frozen=True)
class Entry:
    """A solver at a target: its cheapest run that suffices and the rounds of it, or how far it came."""

    solver: str
    run: Run
    error: float
    timing: Timing | None = None

    @property
    def key(self) -> Key:
        return self.solver, self.run.method, self.run.tolerance

    @property
    def reached(self) -> bool:
        return self.timing is not None

    @property
    def seconds(self) -> float:
        return self.timing.median if self.timing is not None else float("inf")


@dataclass(frozen=True)
class Outcome:
    """All solvers at a target of a cell."""

    cell: Cell
    shape: tuple[int, int]
    target: float
    entries: Mapping[str, Entry]
    #: Seconds that each peer's first method was allowed.
    caps: Mapping[str, float]
    #: What is proven of our tightest answer: its distance from the minimum over F(0).
    proven: float
    #: Solver, method -> seconds of its cheapest run that suffices, before the rounds.
    tried: Mapping[tuple[str, str], float]

    @property
    def ours(self) -> Entry:
        return self.entries["ours"]

    @property
    def peers(self) -> dict[str, Entry]:
        return {name: entry for name, entry in self.entries.items() if name != "ours"}

    @property
    def best(self) -> Entry | None:
        """The fastest peer that arrived."""
        return min((e for e in self.peers.values() if e.reached), key=lambda e: e.seconds, default=None)

    def ratio(self, peer: str) -> float:
        """How many times as long the peer takes; where it did not arrive, its cap is what it took at least."""
        entry = self.peers[peer]
        return (entry.seconds if entry.reached else self.caps[peer]) / self.ours.seconds


def measure(workers: Mapping[str, Worker], cell: Cell, path: Path, effort: Effort) -> list[Outcome]:
    """All solvers on a cell; an outcome a target."""
    data = bcd_data.load(path)
    model = Model(cell.kind, data.X, data.y, cell.share, cell.steps)
    ladders, caps, proven = _climbed(workers, cell, path, model, effort)
    least = _least(ladders)
    found = {
        target: {name: _found(name, own, target, least) for name, own in ladders.items()} for target in cell.targets
    }
    timings = _rounds(workers, cell, path, [entry for own in found.values() for entry in own.values()], effort)
    outcomes = []
    for target, entries in found.items():
        entries = {name: replace(entry, timing=timings.get(entry.key)) for name, entry in entries.items()}
        tried = {
            (name, ladder.method): run.seconds
            for name, own in ladders.items() for ladder in own if (run := ladder.cheapest(target, least)) is not None
        }  # fmt: skip
        outcomes.append(Outcome(cell, model.X.shape, target, entries, caps, proven, tried))
    return outcomes


def _climbed(
    workers: Mapping[str, Worker], cell: Cell, path: Path, model: Model, effort: Effort
) -> tuple[dict[str, list[Ladder]], dict[str, float], float]:
    """The ladders of all solvers, climbed; the peers' caps; what is proven of our tightest answer."""
    goal, ours = min(cell.targets), Ladder(workers["ours"], cell, path, "", PATIENT)
    tightest = workers["ours"].run(cell, path, "", TIGHTEST, PATIENT)
    ours.over = bool(tightest.failure)
    ours.climb(goal, tightest.objectives)
    ours.runs.append(tightest)
    ladders = {"ours": [ours]}
    least = _least(ladders)
    arrived = ours.cheapest(goal, least)
    seconds = np.inf if arrived is None else arrived.seconds
    names = [name for name in workers if name != "ours" and PEERS[name]().tries(model)]
    caps = {name: effort.cap(name, seconds) for name in names}

    def climb(name: str) -> list[Ladder]:
        found: list[Ladder] = []
        for number, method in enumerate(PEERS[name]().tries(model)):
            arrived = [run.seconds for ladder in found if (run := ladder.cheapest(goal, least)) is not None]
            allowed = caps[name] * SHARES[min(number, len(SHARES) - 1)]
            allowed = min(allowed, SLACK * min(arrived, default=np.inf) + 0.01)
            found.append(Ladder(workers[name], cell, path, method, allowed))
            found[-1].climb(goal, least)
        return found

    with ThreadPoolExecutor(2) as pool:  # the search is not timed, so that two may be at it
        ladders |= dict(zip(names, pool.map(climb, names), strict=True))
    proven = tightest.gap / tightest.zero
    if not proven <= goal / 10:  # the minimum is not certain
        for name in names:
            _beyond(ladders[name], goal, least)
    for ladder in (ladder for own_ones in ladders.values() for ladder in own_ones):
        ladder.climb(goal, _least(ladders))  # another may have found a lower objective meanwhile
    return ladders, caps, proven


def _beyond(ladders: list[Ladder], goal: float, least: list[float]) -> None:
    """A rung more of the fastest method that arrived: tighter by a factor of a hundred."""
    arrived = {ladder.method: run for ladder in ladders if (run := ladder.cheapest(goal, least)) is not None}
    if arrived:
        method = min(arrived, key=lambda name: arrived[name].seconds)
        ladder = next(ladder for ladder in ladders if ladder.method == method)
        ladder.digits += 1
        ladder.step(least)


def _least(ladders: Mapping[str, list[Ladder]]) -> list[float]:
    """The least objective of all runs; of a path, point by point."""
    found = [run.objectives for own in ladders.values() for ladder in own for run in ladder.runs if run.objectives]
    return [min(values) for values in zip(*found, strict=True)]


def _found(name: str, ladders: list[Ladder], target: float, least: list[float]) -> Entry:
    """The cheapest run that suffices; else the one that came closest."""
    good = [run for ladder in ladders if (run := ladder.cheapest(target, least)) is not None]
    runs = good or [run for ladder in ladders for run in ladder.runs]
    run = min(runs, key=lambda r: r.seconds if good else r.error(least))
    return Entry(name, run, run.error(least), Timing((run.seconds,)) if good else None)


def _rounds(
    workers: Mapping[str, Worker], cell: Cell, path: Path, entries: Sequence[Entry], effort: Effort
) -> dict[Key, Timing]:
    """Those that arrived, in turns; what takes long keeps the run by which it was found."""
    arrived = {entry.key: entry.run for entry in entries if entry.reached}
    wanted = {key: _wanted(run, effort) for key, run in arrived.items()}
    seconds: dict[Key, list[float]] = {key: [] for key in arrived}
    keys = list(arrived)
    for turn in range(max(wanted.values(), default=0)):
        start = turn % len(keys)
        for key in keys[start:] + keys[:start]:
            solver, method, tolerance = key
            took = arrived[key].seconds
            if turn < wanted[key]:
                run = workers[solver].run(cell, path, method, tolerance, 5 * took + 5, warm=took < SHORT)
                seconds[key].append(run.seconds)
    return {key: Timing(tuple(seconds[key]) or (run.seconds,)) for key, run in arrived.items()}


def _wanted(run: Run, effort: Effort) -> int:
    if run.seconds < 0.5:
        return effort.rounds
    return min(effort.rounds, 2) if run.seconds < 2 else 0
