"""solvers.minimize(method="gala") against SLSQP, trust-constr, COBYQA, IPOPT, Uno and pounce on CUTEst problems.

Every answer is judged by `solvers.testing.kkt`, which knows the problem alone. The equality-constrained lists have
compiled functions; the general set has S2MPJ's Python ones, whose time is taken off: processor time on one thread.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from . import cutest_batch, cutest_match, cutest_peers, cutest_sets, cutest_small, harness
from .cutest_match import Run
from .cutest_small import geometric_mean
from .report import Bars, Lines, Report, Row, Target

LEVELS = (1e-4, 1e-8)

Runs = Mapping[str, Mapping[str, Run]]


def report(
    quick: bool = False, problems: Sequence[str] = (), solvers: Sequence[str] = (), fresh: bool = False
) -> Report:
    """All cells, or those of some problems, lists or solvers; `fresh` runs peers again whose results are kept."""
    result = Report("cutest", "solvers.minimize on CUTEst problems: one thread, judged by solvers.testing.kkt")
    peers = cutest_match.peers(solvers)
    lists = {name: tuple(make()) for name, make in cutest_sets.SETS.items()}
    if problems:
        lists = {
            name: tuple(p for p in names if p in problems or name in problems) for name, names in lists.items()
        }  # fmt: skip
    elif quick:
        lists = {name: names[:2] for name, names in lists.items()}
    equality = lists["paper"] + lists["harder"]
    small = cutest_small.run(equality, [p for p in cutest_small.PEERS if p in peers], 2 if quick else 7)
    # what the C compiler could not serve is solved with functions in Python, by ours alone
    missing = [problem for problem, made in small.get("ours", {}).items() if made.failure]
    small.get("ours", {}).update(cutest_match.run(["ours"], missing, 1)["ours"] if missing else {})
    for name in ("paper", "harder"):
        _equality(result, name, {peer: {p: runs[p] for p in lists[name]} for peer, runs in small.items()})
    general = cutest_match.run(peers, lists["general"], 1 if quick else 3, fresh)
    _general(result, general)
    if not problems:
        table = result.table(f"Batches of {cutest_batch.PROGRAMS} programs with compiled functions")
        table.rows = cutest_batch.rows(quick)
        table = result.table("An iteration with compiled functions (interior point, and equations)")
        table.rows = cutest_batch.iterations(quick)
        for order, bound in ((10, 5), (50, 20)):
            worst = max((row["us"] for row in table.rows if row["variables and rows"] <= order), default=None)
            figure = f"an iteration, up to {order} variables and rows, functions included, slowest"
            result.targets.append(Target(figure, "<=", bound, worst, "us"))
    _targets(result, small, general)
    _notes(result, peers)
    packages = sorted({cutest_peers.release(cutest_peers.PEERS[peer]) for peer in peers})
    result.header = [*harness.versions(), ", ".join(packages)]
    return result


# ---- the equality-constrained lists --------------------------------------------------------------


def _equality(result: Report, name: str, runs: Runs) -> None:
    if not runs or not next(iter(runs.values())):
        return
    title = {"paper": "Equality constraints, the paper's list", "harder": "Equality constraints, harder"}[name]
    table = result.table(f"{title}: with compiled functions")
    for peer, made in runs.items():
        own = [run for run in made.values() if run.solved(1e-8)]
        row: Row = _solved(peer, made)
        row |= {
            "median iterations": _median([run.nit for run in own]),
            "median evaluations": _median([run.evaluations for run in own]),
            "geometric mean ms": (mean := geometric_mean([run.time for run in own])) and 1e3 * mean,
        }
        if "ours" in runs:
            row["times ours, where both solve"] = geometric_mean(cutest_small.ratios(runs["ours"], made, 1e-8))
            whole = cutest_small.ratios(runs["ours"], made, 1e-8, whole=True)
            row["with their calls of the functions"] = geometric_mean(whole)
        table.rows.append(row)
    cells = result.table(f"{title}: every problem (ms, iterations; what is missing to 1e-8)")
    for problem in next(iter(runs.values())):
        cells.rows.append({"problem": problem} | {peer: _cell(made[problem]) for peer, made in runs.items()})


def _solved(peer: str, made: Mapping[str, Run]) -> Row:
    row: Row = {"solver": peer, "problems": len(made)}
    row |= {f"solved at {level:.0e}": sum(run.solved(level) for run in made.values()) for level in LEVELS}
    row["claims success"] = sum(run.success for run in made.values())
    row["of these not at 1e-4"] = sum(run.success and not run.solved(1e-4) for run in made.values())
    return row


def _cell(run: Run) -> str:
    if run.failure:
        return run.failure[:40]
    text = f"{1e3 * run.time:.3g}, {run.nit}"
    if not run.solved(1e-8):
        missing = f"r {run.stationarity:.0e}, v {run.violation:.0e}"
        text += f" ({missing if run.time <= cutest_match.LIMIT else 'too long'})"
    return text


def _median(values: Sequence[float]) -> float | None:
    return float(sorted(values)[len(values) // 2]) if values else None


# ---- the general set -----------------------------------------------------------------------------


def _general(result: Report, runs: Runs) -> None:
    names = list(next(iter(runs.values())))
    if not names:
        return
    table = result.table("Inequalities and bounds: the general set")
    for peer, made in runs.items():
        own = [run for run in made.values() if run.solved(1e-4)]
        table.rows.append(_solved(peer, made) | {
            "best objective": sum(_reaches(runs, peer, problem) for problem in names),
            "fewest evaluations": sum(_fewest(runs, peer, problem) for problem in names),
            "median iterations": _median([run.nit for run in own]),
            "median evaluations": _median([run.evaluations for run in own]),
            "geometric mean ms": (mean := geometric_mean([run.time for run in own])) and 1e3 * mean,
            "profile at 2, evaluations": _profile(_ratios(runs, "evaluations", 1e-4)[peer], 2.0),
            "profile at 2, time": _profile(_ratios(runs, "time", 1e-4)[peer], 2.0),
        })  # fmt: skip
    cells = result.table("General set: every problem (ms, iterations; what is missing to 1e-8)")
    for problem in names:
        cells.rows.append({"problem": problem} | {peer: _cell(made[problem]) for peer, made in runs.items()})
    for measure, axis in (("evaluations", "evaluations"), ("time", "time outside the functions")):
        picture = Lines(
            f"profile-{measure}", f"Performance profiles: {axis}", (f"{axis} / the best solver's", "share of problems"),
            linear=True,
        )  # fmt: skip
        for level in LEVELS:
            for peer, found in _ratios(runs, measure, level).items():
                for ratio in _grid(64.0):
                    picture.add(f"solved at {level:.0e}", peer, ratio, _profile(found, ratio))
        result.curves.append(picture)
    data = Lines("data-profile", "Data profiles", ("evaluations / (n + 1)", "share of problems"), linear=True)
    from solvers.testing import cutest_table

    size = {row["problem_name"]: int(row["dim"]) for row in cutest_table()}
    for level in LEVELS:
        for peer, made in runs.items():
            spent = [run.evaluations / (size[p] + 1) if run.solved(level) else math.inf for p, run in made.items()]
            for budget in _grid(256.0, 0.25):
                data.add(f"solved at {level:.0e}", peer, budget, _profile(spent, budget))
    result.curves.append(data)
    result.picture = Bars("problems of the general set solved at 1e-8, ours / the peer's (log scale)")
    for peer, made in runs.items():
        if peer != "ours" and "ours" in runs and (theirs := sum(run.solved(1e-8) for run in made.values())):
            result.picture.add(peer, sum(run.solved(1e-8) for run in runs["ours"].values()) / theirs)


def _grid(last: float, first: float = 1.0) -> list[float]:
    """Four points an octave."""
    return [first * 2.0 ** (k / 4) for k in range(round(4 * math.log2(last / first)) + 1)]


def _ratios(runs: Runs, measure: str, level: float) -> dict[str, list[float]]:
    """Of each problem: what a solver needed over the least that any needed; infinite where it did not solve it."""
    found: dict[str, list[float]] = {peer: [] for peer in runs}
    for problem in next(iter(runs.values())):
        needed = {
            peer: max(getattr(made[problem], measure), 1e-9) if made[problem].solved(level) else math.inf
            for peer, made in runs.items()
        }
        least = min(needed.values())
        for peer, own in needed.items():
            found[peer].append(own / least if math.isfinite(own) else math.inf)
    return found


def _profile(ratios: Sequence[float], at: float) -> float:
    return sum(ratio <= at for ratio in ratios) / len(ratios)


def _fewest(runs: Runs, peer: str, problem: str) -> bool:
    """Whether it solved the problem, and nobody who did with fewer evaluations."""
    solving = [made[problem].evaluations for made in runs.values() if made[problem].solved(1e-4)]
    own = runs[peer][problem]
    return own.solved(1e-4) and own.evaluations <= min(solving)


def _reaches(runs: Runs, peer: str, problem: str) -> bool:
    """Whether it is feasible to 1e-6 and its objective the best of all such, to 1e-5."""
    best = min((made[problem].fun for made in runs.values() if made[problem].violation <= 1e-6), default=math.nan)
    own = runs[peer][problem]
    return own.violation <= 1e-6 and own.fun <= best + 1e-5 * max(1.0, abs(best))


# ---- what was promised ---------------------------------------------------------------------------


def _targets(result: Report, small: Runs, general: Runs) -> None:
    equations, others = small.get("ours", {}), general.get("ours", {})
    if equations:
        all_of, solved = len(equations), sum(run.solved(1e-8) for run in equations.values())
        result.targets += [
            Target(f"equality lists: of {all_of} problems solved at 1e-8", ">=", all_of, float(solved), ""),
            Target("equality lists: median iterations", "<=", 6, _median([run.nit for run in equations.values()]), ""),
        ]
        for peer, bound in (("SLSQP", 7), ("Uno SQP", 4), ("IPOPT", 15), ("trust-constr", 25)):
            ratio = geometric_mean(cutest_small.ratios(equations, small[peer], 1e-8)) if peer in small else None
            result.targets.append(Target(f"equality lists: time, {peer} / ours, geometric mean", ">=", bound, ratio))
    if others:
        _general_targets(result, general)
    if equations or others:
        false = sum(run.success and not run.solved(1e-4) for made in (equations, others) for run in made.values())
        result.targets.append(Target("success that the judge denies at 1e-4", "<=", 0, float(false), "problems"))


def _general_targets(result: Report, general: Runs) -> None:
    count = len(general["ours"])
    for level, points in ((1e-4, 2), (1e-8, 10)):
        shares = {peer: 100 * sum(run.solved(level) for run in made.values()) / count for peer, made in general.items()}
        best = max((share for peer, share in shares.items() if peer != "ours"), default=None)
        ahead = None if best is None else shares["ours"] - best
        figure = f"general set: share solved at {level:.0e}, above the best peer"
        result.targets.append(Target(figure, ">=", points, ahead, "points"))
    fewest = 100 * sum(_fewest(general, "ours", problem) for problem in general["ours"]) / count
    profile = _profile(_ratios(general, "time", 1e-4)["ours"], 2.0)
    result.targets += [
        Target("general set: fewest evaluations", ">=", 50, fewest, "%"),
        Target("general set: time profile at ratio 2", ">=", 0.85, profile, ""),
    ]


def _notes(result: Report, peers: Sequence[str]) -> None:
    missing = [name for name in cutest_peers.PEERS if not cutest_peers.installed(cutest_peers.PEERS[name])]
    result.notes += [f"{name} is not installed: its columns are missing." for name in missing]
    result.notes += [
        "Solved at e: stationarity r <= e with the best multipliers of the sides whose slack is at most 1e-5 times "
        "max(1, |side|), and violation v <= e, within 1000 iterations and 10 s outside the functions.",
        "A success that the judge denies may meet the solver's own measure: a multiplier whose side is further off.",
        "Evaluations: of f or of the rows, whichever are more, at points that differ from the one before.",
        "Equality lists: a peer's calls times the cost of a call from Python are taken off its time; ours calls C.",
        "Runs of peers are kept under build/bench/cutest until their package or their options change (--fresh).",
    ]
