"""Learned corrections of the multilevel hierarchy against the one made by hand: iterations, family by family.

The seeds are none of the training's or of its validation's; the cycle is the same compiled one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from solvers.linalg import GridOperator, multilevel, solve
from solvers.testing import GRID_FAMILIES, grid_problem

from . import harness
from .report import Report, Row, Target

#: By dimension: sizes, and families besides those of both.
SIZES = {2: (64, 128, 256), 3: (32, 48)}
QUICK = {2: (16,), 3: (8,)}
SEEDS = range(12)

RTOL = 1e-6
#: What may be a default: no family worse in the mean, no problem by more than this.
WORST = 1.15
#: What was hoped for, of these families.
HOPED = {"jumps": 0.85, "lognormal": 0.85}


def report(quick: bool = False) -> Report:
    """One table."""
    result = Report("grid-learned", "Learned corrections of multilevel-cg against the hierarchy made by hand")
    for axes, sizes in (QUICK if quick else SIZES).items():
        table = result.table(
            f"Iterations to {RTOL:g} over those of the hierarchy made by hand, {axes}-D, sizes "
            f"{', '.join(map(str, sizes))}"
        )
        families = [name for name in GRID_FAMILIES if axes == 3 or name != "smoke"]
        for family in harness.progress(families, f"grid-learned, {axes}-D"):
            row = _row(family, axes, sizes, SEEDS[:1] if quick else SEEDS)
            table.rows.append(row)
            name = f"{axes}-D {family}"
            result.targets.append(Target(f"mean ratio of iterations, {name}", "<=", 1.0, float(row["mean"]), ""))
            result.targets.append(
                Target(f"largest ratio with the trial, {name}", "<=", WORST, float(row["worst, tried"]), "")
            )
            if family in HOPED:
                result.targets.append(
                    Target(f"mean ratio of iterations, {name}", "<=", HOPED[family], float(row["mean"]), "")
                )
    result.notes.append(
        "mean: the geometric mean of the ratios; tried: with the trial of three steps that keeps the better hierarchy "
        "(`gate`). Right-hand sides of white noise, true residuals."
    )
    result.header = harness.versions()
    return result


def _row(family: str, axes: int, sizes: Sequence[int], seeds: Sequence[int]) -> Row:
    plain, tried, counts, used = [], [], [], 0
    for size in sizes:
        for seed in seeds:
            problem = grid_problem(family, (size,) * axes, seed)
            grid, b = GridOperator(**problem.arguments), problem.right()
            before, after, best = (
                solve(grid, b, M=multilevel(grid, weights=weights, gate=gate), rtol=RTOL)
                for weights, gate in ((None, False), ("shipped", False), ("shipped", True))
            )
            counts.append(before.nit)
            plain.append(after.nit / before.nit)
            tried.append(best.nit / before.nit)
            used += best.stats["used_correction"]
    return {
        "family": family, "problems": len(counts), "by hand": f"{min(counts)}-{max(counts)}",
        "mean": _mean(plain), "worst": max(plain), "mean, tried": _mean(tried), "worst, tried": max(tried),
        "kept by the trial": f"{used} of {len(counts)}",
    }  # fmt: skip


def _mean(ratios: list[float]) -> float:
    return math.exp(sum(map(math.log, ratios)) / len(ratios))
