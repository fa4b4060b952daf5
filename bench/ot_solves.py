"""Whole solves at equal accuracy: ours against the best method of every peer, cell by cell."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from . import harness, ot_cells, ot_match
from .harness import Timing, duration
from .ot_cells import Cell
from .ot_match import Match
from .ot_worker import Worker
from .peers_ot import PEERS, UNLIMITED, installed
from .report import Lines, Report, Row, Target, speed

#: Geometric means and worst cell that are aimed at.
GOALS = {"regot": 15.0, "POT": 5.0}

#: The paper's instance: to machine accuracy, in no more iterations than the paper's.
PAPER_CELL, PAPER_ITERATIONS, PAPER_GOAL = "B1:random-n500-s0/1200@1e-13", 29, 20.0


@dataclass(frozen=True)
class Effort:
    """How much time the cells may take."""

    #: Rounds of a solver that takes less than a second; slower ones get fewer.
    rounds: int
    #: A peer's first method gets this many times our own time, but between `least` and `most` seconds.
    patience: float
    least: float
    most: float
    #: Peers that no target names get less.
    minor: float

    def cap(self, peer: str, ours: float) -> float:
        """Seconds for a peer's most promising method."""
        cap = float(np.clip(self.patience * ours, self.least, self.most))
        return cap if peer in GOALS else self.minor * cap


FULL = Effort(rounds=5, patience=20.0, least=0.4, most=6.0, minor=0.3)
QUICK = Effort(rounds=2, patience=5.0, least=0.1, most=0.2, minor=1.0)


@dataclass
class Entry:
    """A solver in a cell: its best method there, and the rounds of that."""

    match: Match
    timing: Timing

    @property
    def reached(self) -> bool:
        return self.match.reached


@dataclass(frozen=True)
class Outcome:
    """All solvers in a cell."""

    cell: Cell
    ours: Entry
    peers: Mapping[str, Entry]
    #: Every method of every peer that was tried.
    tried: tuple[Match, ...]
    #: The cap of each peer's first method.
    caps: Mapping[str, float]

    def ratio(self, peer: str) -> float:
        """How many times as long the peer takes; where it did not arrive, its cap is what it took at least."""
        entry = self.peers[peer]
        return (entry.timing.median if entry.reached else self.caps[peer]) / self.ours.timing.median


def add(result: Report, quick: bool) -> None:
    """The tables, the profile, the targets and the notes."""
    effort = QUICK if quick else FULL
    outcomes = list(run(ot_cells.quick() if quick else ot_cells.cells(), effort, "ot, solves"))
    _tables(result, outcomes)
    _profiles(result, outcomes)
    _summary(result, outcomes)
    result.notes += _notes(effort)


def run(cells: Sequence[Cell], effort: Effort, title: str, peers: Collection[str] = tuple(PEERS)) -> Iterator[Outcome]:
    """Ours and those of the peers that are installed, cell by cell, each in a process that ends with this."""
    names = [name for name in PEERS if name == "ours" or name in peers]
    workers = {name: Worker(name) for name in names if installed(PEERS[name])}
    try:
        for cell in harness.progress(cells, title):
            yield measure(workers, cell, effort)
    finally:
        for worker in workers.values():
            worker.stop()


# ---- one cell --------------------------------------------------------------------------------------


def measure(workers: Mapping[str, Worker], cell: Cell, effort: Effort) -> Outcome:
    """Ours once, every peer brought to the accuracy, then all in turns."""
    size = 2 * cell.make().size
    (method,) = PEERS["ours"].methods
    workers["ours"].run(cell.name, method.name, cell.level, 1, 60.0)  # loads what is loaded on first use
    run = workers["ours"].run(cell.name, method.name, cell.level, UNLIMITED, 60.0)
    ours = Match("ours", method.name, run, run.error <= cell.level, cell.level, cap=60.0)
    names = [name for name in workers if name != "ours"]
    caps = {name: effort.cap(name, run.seconds) for name in names}
    with ThreadPoolExecutor(2) as pool:  # the search is not timed, so that two may be at it
        tried = list(pool.map(lambda name: ot_match.all_methods(workers[name], cell, size, caps[name]), names))
    best = {"ours": ours} | {name: ot_match.best(matches) for name, matches in zip(names, tried, strict=True)}
    entries = _rounds(workers, cell, best, effort)
    everything = tuple(match for matches in tried for match in matches)
    return Outcome(cell, entries["ours"], {name: entries[name] for name in names}, everything, caps)


def _rounds(workers: Mapping[str, Worker], cell: Cell, best: Mapping[str, Match], effort: Effort) -> dict[str, Entry]:
    """All that arrived, timed in turns; what takes long keeps the run by which it was found."""
    wanted = {name: _wanted(match, effort) for name, match in best.items()}
    seconds: dict[str, list[float]] = {name: [] for name in best}
    names = list(best)
    for turn in range(max(wanted.values())):
        start = turn % len(names)
        for name in names[start:] + names[:start]:
            match = best[name]
            if turn < wanted[name]:
                allowed = 60.0 if name == "ours" else 3 * match.run.seconds + 1
                run = workers[name].run(cell.name, match.method, match.tolerance, match.limit, allowed, judge=False)
                seconds[name].append(run.seconds)
    return {name: Entry(match, Timing(tuple(seconds[name]) or (match.run.seconds,))) for name, match in best.items()}


def _wanted(match: Match, effort: Effort) -> int:
    if not match.reached:
        return 0
    few = min(effort.rounds, 2)
    most = effort.rounds if match.peer in ("ours", *GOALS) else few
    return most if match.run.seconds < 1 else few if match.run.seconds < 3 else 0


# ---- what is told ----------------------------------------------------------------------------------


def _tables(result: Report, outcomes: list[Outcome]) -> None:
    short = result.table("Whole solves: ours with method=None against the best method of each peer")
    short.rows += [_row(outcome) for outcome in outcomes]
    long = result.table("Whole solves: every method that was tried, before the timed rounds")
    for outcome in outcomes:
        for match in outcome.tried:
            long.rows.append({
                "cell": outcome.cell.name, "peer": match.peer, "method": match.method, "s": match.run.seconds,
                "iterations": match.run.iterations, "error": match.verdict, "tolerance": match.tolerance,
                "cap s": match.cap,
            })  # fmt: skip
    assert result.picture is not None
    for outcome in outcomes:
        for peer in (name for name in GOALS if name in outcome.peers):
            sign = "" if outcome.peers[peer].reached else " (at least)"
            result.picture.add(f"{outcome.cell.name} {peer}{sign}", outcome.ratio(peer))


def _row(outcome: Outcome) -> Row:
    run, cell = outcome.ours.match.run, outcome.cell
    details = run.details
    row: Row = {
        "cell": cell.name, "level": f"{cell.level:g}", "ours": outcome.ours.timing, "error": f"{run.error:.1e}",
        "method": details.get("method", "-"), "nit": run.iterations, "passes": details.get("passes"),
        "newton": details.get("newton"), "cg": details.get("cg"),
    }  # fmt: skip
    if not outcome.ours.reached:
        row["error"] += f" NOT REACHED ({details.get('status')})"
    for name, entry in outcome.peers.items():
        row[f"{name}: method"] = entry.match.method
        row[f"{name}: time"] = entry.timing if entry.reached else f"> {duration(outcome.caps[name])}"
        row[f"{name}: error"] = entry.match.verdict
        row[f"{name} / ours"] = speed(outcome.ratio(name), not entry.reached)
    return row


def _profiles(result: Report, outcomes: list[Outcome]) -> None:
    """The share of cells that a solver solves within a factor of the fastest (Dolan and More, 2002)."""
    lines = Lines(
        "profile", "Share of cells solved within a factor of the fastest solver's time",
        ("factor", "share of cells"), linear=True,
    )  # fmt: skip
    times = {"ours": [o.ours.timing.median if o.ours.reached else np.inf for o in outcomes]}
    for peer in outcomes[0].peers:
        times[peer] = [o.peers[peer].timing.median if o.peers[peer].reached else np.inf for o in outcomes]
    fastest = np.min(list(times.values()), axis=0)
    table = result.table("Performance profile: share of cells solved within a factor of the fastest")
    factors = [2.0**k for k in range(11)]
    for solver, seconds in times.items():
        with np.errstate(invalid="ignore"):
            behind = np.nan_to_num(np.array(seconds) / fastest, nan=np.inf)
        shares = {factor: float((behind <= factor).mean()) for factor in factors}
        table.rows.append({"solver": solver, **{f"{factor:g}x": f"{share:.2f}" for factor, share in shares.items()}})
        for factor, share in shares.items():
            lines.add("all cells", solver, factor, share)
    errors = result.table("Accuracy: the error that each solver reached over the cell's level, best method")
    for solver in times:
        entries = [o.ours if solver == "ours" else o.peers[solver] for o in outcomes]
        over = np.array([e.match.run.error / o.cell.level for e, o in zip(entries, outcomes, strict=True)])
        counts = {f"<= {bound:g}": int((over <= bound).sum()) for bound in (1, 10, 1e3, 1e6)}
        errors.rows.append({"solver": solver, **counts, "no plan": int((~np.isfinite(over)).sum())})
    result.curves.append(lines)


def _summary(result: Report, outcomes: list[Outcome]) -> None:
    table = result.table("Whole solves: summary")
    unsolved = [o.cell.name for o in outcomes if not o.ours.reached]
    worst: list[tuple[float, str]] = []
    means: dict[str, float] = {}
    for peer in outcomes[0].peers:
        ratios = {o.cell.name: o.ratio(peer) for o in outcomes}
        solved = {o.cell.name: o.ratio(peer) for o in outcomes if o.peers[peer].reached}
        table.rows.append({
            "peer": peer, "cells": len(outcomes), "unsolved by it": len(outcomes) - len(solved),
            "geometric mean, all": _mean(ratios), "geometric mean, both solve": _mean(solved),
            "worst": min(solved.values(), default=np.nan), "at": min(solved, key=lambda k: solved[k], default="-"),
            "cells where it is faster": sum(value < 1 for value in solved.values()),
        })  # fmt: skip
        worst += [(value, f"{name}, {peer}") for name, value in solved.items()]
        means[peer] = _mean(ratios)
    for peer, goal in GOALS.items():
        figure = f"whole solves: geometric mean of the time of {peer}'s best method / ours, {len(outcomes)} cells"
        result.targets.append(Target(figure, ">=", goal, means.get(peer)))
    slowest, where = min(worst, default=(np.nan, "-"))
    result.targets += [
        Target(f"whole solves: worst cell ({where}), time of the peer / ours", ">=", 1.0, slowest),
        Target(f"whole solves: cells unsolved by us ({', '.join(unsolved) or 'none'})", "<=", 0, len(unsolved), ""),
    ]
    paper = next((o for o in outcomes if o.cell.name == PAPER_CELL), None)
    if paper is not None and "regot" in paper.peers:
        _paper(result, paper)


def _paper(result: Report, outcome: Outcome) -> None:
    nit = outcome.ours.match.run.iterations if outcome.ours.reached else np.inf
    ssns = next(match for match in outcome.tried if (match.peer, match.method) == ("regot", "ssns"))
    same = outcome.peers["regot"].match.method == "ssns"
    seconds = outcome.peers["regot"].timing.median if same else ssns.run.seconds if ssns.reached else ssns.cap
    over = seconds / outcome.ours.timing.median
    sign = "" if ssns.reached else " (at least: it did not arrive)"
    result.targets += [
        Target("the paper's instance, to 1e-13: our iterations", "<=", PAPER_ITERATIONS, nit, ""),
        Target(f"the paper's instance, to 1e-13: time of regot's ssns / ours{sign}", ">=", PAPER_GOAL, over),
    ]


def _mean(ratios: Mapping[str, float]) -> float:
    return float(np.exp(np.mean(np.log(list(ratios.values()))))) if ratios else np.nan


def _notes(effort: Effort) -> list[str]:
    return [
        "Whole solves: every solver has a process of its own, with one thread, and they run in turns. Times are "
        "processor times of whole calls, set-up and dense plan included; what XLA takes to compile is not. The error "
        "is the l1 norm of both marginals of the plan returned, recomputed by bench/check.py, which also refuses "
        "plans that are not of the entropic form.",
        "Each peer's tolerance is found beforehand, for free, so that its plan just passes; regot is stopped at the "
        "first iteration that suffices. POT sees its error every 10 iterations (20 in sinkhorn_stabilized), ott every "
        "10. mdot's front end cannot be asked for an accuracy: the exponent of its core is set.",
        f"A peer's most promising method gets {effort.patience:g} times our time, between {effort.least:g} and "
        f"{effort.most:g} s (ott and mdot {effort.minor:g} of that), the second {ot_match.SHARES[1]:g} of that and the "
        f"others {ot_match.SHARES[2]:g}; once one has arrived, the others are given up at {ot_match.SLACK:g} times its "
        "time. A cell that a peer does not solve counts with its cap in 'geometric mean, all', a lower bound.",
        f"Rounds: {effort.rounds} where a solve takes less than 1 s (ott and mdot: 2), 2 below 3 s; longer ones were "
        "timed once.",
        "POT's methods: sinkhorn, sinkhorn_stabilized, sinkhorn_epsilon_scaling (from the largest cost). regot's: "
        "ssns, newton, bcd, splr. ott's: kernel, log-sum-exp, and that with adaptive momentum. Tried only where none "
        "of these arrives, since at these sizes they took longer or failed: POT's sinkhorn_log (the same iterates), "
        "regot's lbfgs_dual, sparse_newton and apdagd.",
    ]
