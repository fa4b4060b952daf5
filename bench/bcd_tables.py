"""What is told of the benchmark of penalised models: a table a kind of problem, means, promised figures, pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from .bcd_judge import GROUP, KINDS
from .bcd_match import MINOR, Effort, Entry, Outcome
from .harness import duration
from .report import Lines, Panels, Report, Row, Target, speed

BEST = "best peer"

#: The tighter target, at which most figures are promised; and what of it the tightest answer's gap may be.
TIGHT, LOOSE, PROVEN = 1e-10, 1e-6, 1e-13

Choice = Callable[[Outcome], bool]


def add(result: Report, outcomes: list[Outcome], effort: Effort) -> None:
    """Everything."""
    kinds = [kind for kind in KINDS if any(outcome.cell.kind == kind for outcome in outcomes)]
    for kind in kinds:
        table = result.table(f"Time to a distance from the minimum: {kind}")
        table.rows += [_row(outcome) for outcome in outcomes if outcome.cell.kind == kind]
    result.timings += [row for outcome in outcomes for row in _records(outcome)]
    _summary(result, outcomes, kinds)
    _pictures(result, outcomes, kinds)
    result.targets += targets(outcomes)
    result.notes += _notes(effort)


# ---- cells -------------------------------------------------------------------------------------------


def _row(outcome: Outcome) -> Row:
    n, d = outcome.shape
    best = outcome.best
    row: Row = {
        "cell": outcome.cell.name, "n x d": f"{n} x {d}", "target": f"{outcome.target:g}",
        "ours": outcome.ours.timing or "NOT REACHED", "error": _error(outcome.ours), "best peer": None,
        "over ours": None,
    }  # fmt: skip
    if best is not None:
        row["best peer"] = f"{best.solver}, {best.run.method}"
        row["over ours"] = speed(outcome.ratio(best.solver)) if outcome.ours.reached else "UNSOLVED BY US"
    for name, entry in outcome.peers.items():
        row[name] = _told(outcome, entry)
    return row


def _told(outcome: Outcome, entry: Entry) -> str:
    if entry.reached:
        times = "" if not outcome.ours.reached else f"{speed(outcome.ratio(entry.solver))}, "
        return f"{times}{duration(entry.seconds)} ({entry.run.method}, {entry.run.tolerance:.0e})"
    if entry.run.failure and entry.run.failure != "killed":
        return "failed"
    return f"> {duration(outcome.caps[entry.solver])}" if np.isinf(entry.error) else f"not reached: {_error(entry)}"


def _error(entry: Entry) -> str:
    return entry.run.failure or f"{max(entry.error, 0.0):.0e}"


def _records(outcome: Outcome) -> Iterable[Row]:
    """A row a solver, for other programs to read."""
    for name, entry in outcome.entries.items():
        low, high = entry.timing.quartiles if entry.timing is not None else (None, None)
        yield {
            "problem": outcome.cell.kind, "data": outcome.cell.source.name, "n": outcome.shape[0],
            "d": outcome.shape[1], "share": outcome.cell.share, "target": outcome.target, "solver": name,
            "method": entry.run.method, "tolerance": entry.run.tolerance, "reached": entry.reached,
            "median_ms": 1e3 * entry.seconds, "q1_ms": low and 1e3 * low, "q3_ms": high and 1e3 * high,
            "rounds": entry.timing.rounds if entry.timing is not None else 0, "error": entry.error,
            "failure": entry.run.failure, "cap_s": outcome.caps.get(name), "proven": outcome.proven,
        }  # fmt: skip


# ---- means -------------------------------------------------------------------------------------------


def ratios(outcomes: Iterable[Outcome], peer: str, choice: Choice = lambda outcome: True) -> dict[str, float]:
    """Cell -> the peer's time over ours, where we arrived; its cap counts where the peer did not."""
    found = {}
    for outcome in outcomes:
        if not outcome.ours.reached or not choice(outcome):
            continue
        name = f"{outcome.cell.name}@{outcome.target:g}"
        if peer == BEST:
            best = outcome.best
            seconds = min(outcome.caps.values(), default=np.nan) if best is None else best.seconds
            found[name] = seconds / outcome.ours.seconds
        elif peer in outcome.peers:
            found[name] = outcome.ratio(peer)
    return found


def mean(found: dict[str, float]) -> float | None:
    """Geometric."""
    return float(np.exp(np.mean(np.log(list(found.values()))))) if found else None


def _summary(result: Report, outcomes: list[Outcome], kinds: list[str]) -> None:
    table = result.table(
        "Summary: a peer's time over ours, geometric means (a peer that does not arrive counts its cap)"
    )
    for kind in kinds:
        own = [outcome for outcome in outcomes if outcome.cell.kind == kind]
        for target in sorted({outcome.target for outcome in own}, reverse=True):
            at = [outcome for outcome in own if outcome.target == target]
            for peer in [*dict.fromkeys(name for outcome in at for name in outcome.peers), BEST]:
                table.rows.append({"problem": kind, "target": f"{target:g}", "peer": peer, **_means(at, peer)})


def _means(outcomes: list[Outcome], peer: str) -> Row:
    found = ratios(outcomes, peer)
    arrived = {
        name: value for outcome in outcomes
        if (outcome.best if peer == BEST else outcome.peers.get(peer)) is not None
        and (peer == BEST or outcome.peers[peer].reached)
        for name, value in ratios([outcome], peer).items()
    }  # fmt: skip
    worst = min(arrived, key=lambda name: arrived[name], default=None)
    return {
        "cells": len(found), "unsolved by it": len(found) - len(arrived),
        "unsolved by us": sum(not outcome.ours.reached for outcome in outcomes),
        "geometric mean": mean(found), "both solve": mean(arrived),
        "worst": None if worst is None else speed(arrived[worst]), "at": worst,
        "cells where it is faster": sum(value < 1 for value in arrived.values()),
    }  # fmt: skip


# ---- promises ----------------------------------------------------------------------------------------


def targets(outcomes: list[Outcome]) -> list[Target]:
    """The promised figures."""

    def of(kind: str, target: float, peer: str, choice: Choice = lambda outcome: True) -> dict[str, float]:
        return ratios(
            outcomes, peer, lambda o: o.cell.kind == kind and o.target == target and choice(o)
        )  # fmt: skip

    def small(outcome: Outcome) -> bool:
        return outcome.shape[1] <= 500 and outcome.cell.share <= 1 / 99

    def dense(outcome: Outcome) -> bool:
        return outcome.cell.source.dense

    def sparse(outcome: Outcome) -> bool:
        return not outcome.cell.source.dense

    def tall(outcome: Outcome) -> bool:
        return outcome.shape[0] >= 10 * outcome.shape[1]

    def weak(outcome: Outcome) -> bool:
        return outcome.cell.share < 1 / 500

    worst, where = _worst(of("lasso", TIGHT, BEST))
    tall_worst, tall_where = _worst(_scikit_learns(outcomes, tall))
    all_worst, all_where = _worst(_scikit_learns(outcomes, lambda outcome: True))
    nnls_worst, nnls_where = _worst(of("nnls", TIGHT, BEST))
    proven = [o.proven for o in outcomes if o.cell.kind == "l1-logistic" and o.target == TIGHT]
    unsolved = [f"{o.cell.name}@{o.target:g}" for o in outcomes if not o.ours.reached]
    return [
        Target("lasso to 1e-10, celer / ours", ">=", 20, mean(of("lasso", TIGHT, "celer"))),
        Target("lasso to 1e-10, skglm / ours", ">=", 10, mean(of("lasso", TIGHT, "skglm"))),
        Target(f"lasso to 1e-10, best peer / ours, worst cell ({where})", ">=", 1, worst),
        Target("lasso to 1e-6, best peer / ours", ">=", 5, mean(of("lasso", LOOSE, BEST))),
        Target("lasso to 1e-10, d <= 500, lam <= lam_max / 100, celer / ours", ">=", 50,
               mean(of("lasso", TIGHT, "celer", small))),
        Target("the same, skglm / ours", ">=", 30, mean(of("lasso", TIGHT, "skglm", small))),
        Target("l1-logistic to 1e-10, dense, best of liblinear, skglm, celer / ours", ">=", 10,
               mean(_best_of(outcomes, dense))),
        Target("the same, sparse", ">=", 2, mean(_best_of(outcomes, sparse))),
        Target("l1-logistic, largest proven gap of our tightest answer", "<=", PROVEN, max(proven, default=None),
               "F(0)"),
        Target("l2-logistic to 1e-10, n >= 10 d, scikit-learn's newton-cholesky / ours", ">=", 5,
               mean(_newton_cholesky(outcomes, tall))),
        Target(f"the same, scikit-learn's best / ours, worst cell ({tall_where})", ">=", 1, tall_worst),
        Target(f"l2-logistic to 1e-10, all n, scikit-learn's best / ours, worst ({all_where})", ">=", 1, all_worst),
        Target(f"nnls to 1e-10, best peer / ours, worst cell ({nnls_where})", ">=", 1, nnls_worst),
        Target("path of 100 points to 1e-8, celer / ours", ">=", 5, mean(of("path", 1e-8, "celer"))),
        Target(f"group lasso (groups of {GROUP}) to 1e-10, lam_max / 1000, celer / ours", ">=", 10,
               mean(of("group lasso", TIGHT, "celer", weak))),
        Target("the same, skglm / ours", ">=", 10, mean(of("group lasso", TIGHT, "skglm", weak))),
        Target(f"cells unsolved by us ({', '.join(unsolved) or 'none'})", "<=", 0, len(unsolved), ""),
    ]  # fmt: skip


def _worst(found: dict[str, float]) -> tuple[float | None, str]:
    where = min(found, key=lambda name: found[name], default="-")
    return found.get(where), where


def _tight(outcomes: list[Outcome], kind: str, choice: Choice) -> list[Outcome]:
    return [o for o in outcomes if o.cell.kind == kind and o.target == TIGHT and o.ours.reached and choice(o)]


def _best_of(outcomes: list[Outcome], choice: Choice) -> dict[str, float]:
    """Of the three that the promise names."""
    found = {}
    for outcome in _tight(outcomes, "l1-logistic", choice):
        named = [outcome.ratio(name) for name in ("liblinear", "skglm", "celer") if name in outcome.peers]
        if named:
            found[outcome.cell.name] = min(named)
    return found


def _scikit_learns(outcomes: list[Outcome], choice: Choice) -> dict[str, float]:
    return ratios(_tight(outcomes, "l2-logistic", choice), "scikit-learn")


def _newton_cholesky(outcomes: list[Outcome], choice: Choice) -> dict[str, float]:
    """By its run before the rounds; its cap where it did not arrive."""
    method = "scikit-learn", "newton-cholesky"
    return {
        outcome.cell.name: outcome.tried.get(method, outcome.caps[method[0]]) / outcome.ours.seconds
        for outcome in _tight(outcomes, "l2-logistic", choice) if "scikit-learn" in outcome.peers
    }  # fmt: skip


# ---- pictures ----------------------------------------------------------------------------------------


def _pictures(result: Report, outcomes: list[Outcome], kinds: list[str]) -> None:
    bars = Panels("means", "A peer's time over ours, geometric means", "ratio (log scale)", line=1.0, log=True)
    for kind in kinds:
        for target in (LOOSE, TIGHT):
            at = [outcome for outcome in outcomes if outcome.cell.kind == kind and outcome.target == target]
            for peer in [*dict.fromkeys(name for outcome in at for name in outcome.peers), BEST]:
                value = mean(ratios(at, peer))
                if value is not None:
                    bars.add(f"{kind} to {target:g}", peer, value)
    if bars.panels:
        result.panels.append(bars)
    profile = Lines(
        "profile", "Share of cells solved within a factor of the fastest solver's time",
        ("factor", "share of cells"), linear=True,
    )  # fmt: skip
    for kind in kinds:
        at = [outcome for outcome in outcomes if outcome.cell.kind == kind]
        fastest = [min(entry.seconds for entry in outcome.entries.values()) for outcome in at]
        for solver in dict.fromkeys(name for outcome in at for name in outcome.entries):
            times = [o.entries[solver].seconds if solver in o.entries else np.inf for o in at]
            for factor in (2.0**k for k in range(9)):
                within = [np.isfinite(t) and t <= factor * f for t, f in zip(times, fastest, strict=True)]
                profile.add(kind, solver, factor, float(np.mean(within)))
    result.curves.append(profile)


def _notes(effort: Effort) -> list[str]:
    return [
        "Every solver has a process of its own, with one thread, and they run in turns. Times are processor times of "
        "whole calls; data are handed over in the form that the package likes best, and what is compiled or loaded at "
        "the first problem of a form is compiled before.",
        "The distance is (F(w) - F*) / F(0): F recomputed in float64 by bench/bcd_judge.py, F* the least of all "
        "answers of all solvers, ours at a tolerance of 1e-15 among them. None fits an intercept.",
        "Each method of each solver, ours included, climbs a ladder of tolerances, 1e-2, 1e-3, ..., until its answer "
        "is close enough; the cheapest rung that suffices is then timed. In brackets: the method and its tolerance.",
        f"A peer's first method gets {effort.patience:g} times our time, between {effort.least:g} and {effort.most:g} "
        f"s ({' and '.join(MINOR)} less), the second half of that and the others a quarter; once one has arrived, the "
        "others get 1.3 times its time at most. A cell that a peer does not solve counts with its cap in 'geometric "
        "mean', a lower bound.",
        f"Rounds: {effort.rounds} below 0.5 s, 2 below 2 s; longer ones were timed once. What takes less than 50 ms is "
        "called once before the clock starts.",
        "lam is a share of the least strength at which all coefficients are zero (for l2: of l1's); groups are "
        f"{GROUP} neighbouring columns; the elastic net has half of each penalty; a path goes from lam_max to "
        "lam_max / 1000.",
    ]
