"""Brings a peer to an accuracy: which of its methods, with which tolerance, just reaches it, and how fast.

Peers measure their errors differently, so a method is run with a tolerance, its plan is judged, and the tolerance is
tightened or loosened by what the judge saw. The best method of a peer that reports its error after every iteration is
then stopped at the first iteration whose plan the judge passes. None of this is timed against it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .ot_cells import Cell
from .ot_worker import Run, Worker
from .peers_ot import PEERS, UNLIMITED, Method

#: Iterations from which a paced method's time is foretold.
PROBE = 21

#: Runs of a method at most before its setting is taken as it is.
TRIES = 5

#: A plan this much better than asked for is worth a looser tolerance.
OVERSHOOT = 0.4

#: Shares of the cap for the methods of a peer, in the order of promise.
SHARES = (1.0, 0.5, 0.2)

#: Later methods of a peer are given up when they take this much longer than its best so far.
SLACK = 1.3


@dataclass(frozen=True)
class Match:
    """A method of a peer in a cell: the setting that just reaches the accuracy, or how far it came."""

    peer: str
    method: str
    run: Run
    reached: bool
    tolerance: float = 0.0
    limit: int = UNLIMITED
    #: Seconds that it was allowed.
    cap: float = 0.0

    @property
    def verdict(self) -> str:
        """In words, for a table: the error, or why there is none at the level."""
        if self.reached:
            return f"{self.run.error:.1e}"
        if self.run.failure or self.run.seconds > self.cap:
            return f"> {self.cap:.3g} s" if self.run.failure in ("", "killed") else "failed"
        if not np.isfinite(self.run.error):
            return "no entropic plan"
        return f"NOT REACHED: {self.run.error:.1e}"


def all_methods(worker: Worker, cell: Cell, size: int, cap: float) -> list[Match]:
    """Every method of a peer; `cap` seconds for the first, less for the others and once one has arrived."""
    found: list[Match] = []
    for number, method in enumerate(PEERS[worker.peer].ordered(cell.reg)):
        arrived = [match.run.seconds for match in found if match.reached]
        if arrived and method.fallback:
            continue
        allowed = cap * SHARES[min(number, len(SHARES) - 1)]
        found.append(one_method(worker, cell, method, size, min(allowed, SLACK * min(arrived, default=np.inf) + 0.01)))
    winner = best(found)
    if winner.reached and winner.run.history:
        found[found.index(winner)] = first_iteration(worker, cell, winner)
    return found


def best(matches: list[Match]) -> Match:
    """The fastest that arrived; else the one that came closest, or was tried first."""
    arrived = [match for match in matches if match.reached]
    if arrived:
        return min(arrived, key=lambda match: match.run.seconds)
    return min(matches, key=lambda match: np.nan_to_num(match.run.error, nan=np.inf))


def one_method(worker: Worker, cell: Cell, method: Method, size: int, cap: float) -> Match:
    """A method's tolerance for the cell's accuracy."""
    limit = UNLIMITED
    if method.paced:
        probe = worker.run(cell.name, method.name, 0.0, PROBE, cap + worker.grace, judge=False)
        if probe.failure or probe.seconds > cap:
            return Match(worker.peer, method.name, probe, False, cap=cap)
        limit = int(max(PROBE, cap * probe.iterations / probe.seconds))
    return _tightened(worker, cell, method, method.start(cell.level, size), limit, cap)


def _tightened(worker: Worker, cell: Cell, method: Method, tolerance: float, limit: int, cap: float) -> Match:
    """The loosest tolerance that a few runs find; else the run that came closest."""
    good = closest = None
    misjudged = method.paced
    for _ in range(TRIES):
        run = worker.run(cell.name, method.name, tolerance, limit, cap + worker.grace)
        reached = run.error <= cell.level and run.seconds <= cap
        match = Match(worker.peer, method.name, run, reached, tolerance, limit, cap)
        closest = match if closest is None or run.error < closest.run.error else closest
        if match.reached:
            stays = good is not None and run.iterations >= good.run.iterations
            good = good if stays else match
            if stays or run.history or run.error > OVERSHOOT * cell.level or not run.error:
                break
            tolerance *= 0.9 * cell.level / run.error
        elif misjudged and run.iterations >= limit / 2 and run.seconds < cap / 2:  # the pace was
            limit, misjudged = int(limit * 0.9 * cap / run.seconds), False
        elif good is not None or run.failure or run.iterations >= limit / 2 or not np.isfinite(run.error):
            break
        else:
            tolerance *= 0.8 * min(1.0, cell.level / run.error)
    assert closest is not None
    return good or closest


def first_iteration(worker: Worker, cell: Cell, found: Match) -> Match:
    """The same method, stopped at the first iteration that suffices."""
    errors = np.array(found.run.history)
    last = found.run.iterations
    # the judge's l1 norm is no smaller than the l2 norm that the peer reports
    low = int(np.argmax(errors <= cell.level)) if (errors <= cell.level).any() else last
    scale = found.run.error / errors[-1] if errors[-1] else np.inf
    guess = int(np.argmax(errors * scale <= cell.level)) if (errors * scale <= cell.level).any() else last
    for _ in range(TRIES):
        if low >= last:
            break
        middle = guess if low <= guess < last else (low + last) // 2
        guess = -1
        run = worker.run(cell.name, found.method, 0.0, middle, found.cap + worker.grace)
        if run.error <= cell.level:
            found = Match(found.peer, found.method, run, True, 0.0, middle, found.cap)
            last = middle
        else:
            low = middle + 1
    return found
