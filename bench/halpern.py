"""Matrix games and linear programs against HiGHS, OR-tools, SCS and SciPy, at an error that our own judge sees.

On one thread, by processor time; norm estimates, scaling, polishing and the copy of the data into a solver's own form
all count. Every solver runs in a process of its own. `--problems` chooses among the cells by how their names begin, or
by "games", "large", "programs", "poker" and "files".
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import numpy as np

from . import halpern_match, halpern_peers, halpern_poker, halpern_problems, harness
from .halpern_match import Effort, Entry, Field, Key, Outcome
from .halpern_problems import Source
from .report import Bars, Report, Target

#: The certified gap of a game, in its own units; the relative error of a program.
GAP, ERROR = 1e-12, 1e-6
#: Methods that were seen not to reach a gap of 1e-12 in a hundred times our time on any game.
NOT_FOR_GAMES: tuple[Key, ...] = (("highspy", "pdlp"), ("ortools", ""), ("ortools", "glop"), ("scs", ""))
SIZES = (500, 1000, 2000)
#: Of a game on which they take minutes: one run of the two methods that matter, until they have had 25 times our time.
LARGE = Effort(rounds=1, patience=25.0, least=60.0, most=400.0)
NOT_FOR_LARGE: tuple[Key, ...] = (*NOT_FOR_GAMES, ("scipy", "highs-ds"), ("scipy", "highs-ipm"))


def report(quick: bool = False, problems: Sequence[str] = ()) -> Report:
    """All cells, or those of some problems."""
    result = Report("halpern", "solvers.equilibrium against other packages: time to a certified error, one thread")
    result.picture = Bars("best peer's processor time / ours (log scale)")
    effort = halpern_match.QUICK if quick else halpern_match.FULL
    names = [name for name, peer in halpern_peers.PEERS.items() if halpern_peers.installed(peer)]
    cells = {kind: _chosen(kind, sources, problems) for kind, sources in _sources(quick).items()}
    with Field(names) as field:
        games = _cells(field, cells["games"], GAP, effort, NOT_FOR_GAMES)
        games += _cells(field, cells["large"], 1e-6, LARGE, NOT_FOR_LARGE)
        programs = _cells(field, cells["programs"], ERROR, effort, ())
        poker = _cells(field, cells["poker"], ERROR, effort, ())
        files = _cells(field, cells["files"], ERROR, effort, ())
    for title, outcomes in (
        ("Games", games),
        ("Linear programs by formula", programs),
        ("Poker in sequence form", poker),
        ("Netlib", files),
    ):
        _add(result, title, outcomes)
    _targets(result, games, programs, files)
    result.notes += [
        f"{name} is not installed: its columns are missing." for name in halpern_peers.PEERS if name not in names
    ]
    if "SOLVERS_DATA" not in os.environ:
        result.notes.append("SOLVERS_DATA is not set: the files of Netlib are left out.")
    result.notes.append("A peer that did not arrive counts with the time that it was given: a lower bound.")
    result.header = [*harness.versions(), ", ".join(halpern_peers.versions())]
    return result


def _sources(quick: bool) -> dict[str, list[Source]]:
    """All problems, by their kinds; "large" is to be solved to a looser gap."""
    return {
        "games": halpern_problems.games((40,) if quick else SIZES, not quick),
        "large": [] if quick else halpern_problems.games((4000,), False)[:1],
        "programs": halpern_problems.programs(quick),
        "poker": halpern_poker.games()[: 1 if quick else None], "files": _solvable(quick),
    }  # fmt: skip


def _chosen(kind: str, sources: list[Source], problems: Sequence[str]) -> list[Source]:
    return [s for s in sources if not problems or kind in problems or s.name.startswith(tuple(problems))]


def _solvable(quick: bool) -> list[Source]:
    """The files that have an optimum."""
    infeasible = {"bgetam", "box1", "ex72a", "galenet", "gas11", "refinery", "woodinfe"}
    files = [source for source in halpern_problems.netlib() if source.name not in infeasible]
    return files[:2] if quick else files


def _cells(
    field: Field, sources: list[Source], goal: float, effort: Effort, left_out: tuple[Key, ...]
) -> list[Outcome]:
    found = []
    for source in harness.progress(sources, "halpern"):
        found.append(field.measure(source, goal, effort, left_out))
        _tell(found[-1])
    return found


def _tell(outcome: Outcome) -> None:
    """A line for those who wait, where no progress bar is shown."""
    if not sys.stderr.isatty():
        best = outcome.best
        told = "no peer arrived" if best is None else f"{outcome.ratio(best):.2f}x, {best.name}"
        print(f"{outcome.source}: ours {outcome.ours.error:.1e}, {told}", file=sys.stderr, flush=True)


def _add(result: Report, title: str, outcomes: list[Outcome]) -> None:
    """A table of all solvers; bars of the best."""
    if not outcomes:
        return
    table = result.table(f"{title}: times to the goal, and what a peer's is of ours")
    assert result.picture is not None
    for outcome in outcomes:
        row = {"problem": outcome.source, "size": "{} x {}".format(*outcome.shape), "goal": f"{outcome.goal:.0e}"}
        row |= {"ours": _shown(outcome, outcome.ours)}
        row |= {entry.name: _shown(outcome, entry) for entry in outcome.peers}
        table.rows.append(row)
        if outcome.ours.reached(outcome.goal):
            ratios = [outcome.ratio(entry) for entry in outcome.peers]
            result.picture.add(outcome.source, min(ratios, default=float("nan")))


def _shown(outcome: Outcome, entry: Entry) -> str:
    if entry.reached(outcome.goal):
        times = "" if entry is outcome.ours else f", {outcome.ratio(entry):.2g}x"
        return f"{entry.timing}{times}"
    return f"{entry.error:.0e} ({entry.failure})" if entry.failure else f"{entry.error:.0e}"


def _mean(ratios: list[float]) -> float | None:
    return float(np.exp(np.mean(np.log(ratios)))) if ratios else None


def _best(outcomes: list[Outcome], *peers: str, word: str = "") -> list[float]:
    """The best of these peers over us, cell by cell; 0 where we did not arrive."""
    found = []
    for outcome in outcomes:
        if not outcome.ours.reached(outcome.goal):
            found.append(1e-3)
            continue
        ratios = [outcome.ratio(e) for e in outcome.peers if (not peers or e.solver in peers) and word in e.method]
        found += [min(ratios)] if ratios else []
    return found


def _targets(result: Report, games: list[Outcome], programs: list[Outcome], files: list[Outcome]) -> None:
    def named(*words: str) -> list[Outcome]:
        return [outcome for outcome in games if any(outcome.source.startswith(word) for word in words)]

    random = [outcome for outcome in named("uniform", "Gaussian") if outcome.goal == GAP]
    simplex = _best(named("nem2", "policeman, columns"), "highspy", word="simplex")
    large = [outcome for outcome in games if outcome.goal != GAP]
    police = [outcome for outcome in games if outcome.source == "policeman, rows 1000"]
    pdlp = [min(pair) for pair in zip(_best(programs, "ortools"), _best(programs, "highspy", word="pdlp"), strict=True)]
    result.targets += [
        Target("uniform, Gaussian: best HiGHS / ours, worst", ">=", 8, min(_best(random, "highspy"), default=None)),
        Target("row policeman n=1000: best HiGHS / ours", ">=", 20, min(_best(police, "highspy"), default=None)),
        Target("nem2, column policeman: HiGHS simplex / ours, worst", ">=", 1, min(simplex, default=None)),
        Target("all games: best peer / ours, geometric mean", ">=", 20, _mean(_best(games))),
        Target("uniform n=4000 to 1e-6: best HiGHS / ours", ">=", 20, min(_best(large, "highspy"), default=None)),
        Target("programs: best PDLP / ours, geometric mean", ">=", 3, _mean(pdlp)),
    ]
    if files:
        solved = float(sum(outcome.ours.reached(outcome.goal) for outcome in files))
        result.targets.append(Target("Netlib files solved", ">=", len(files), solved, "files"))
