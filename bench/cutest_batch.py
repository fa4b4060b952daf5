"""Compiled programs by processor time: a call of `minimize_batch` beside a loop of calls of `minimize`; one iteration.

The programs of a batch are a CUTEst problem from starts that lie around its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from . import harness
from .report import Row

#: Equations, inequalities, bounds; from one iteration to some twenty.
PROBLEMS = ("MARATOS", "BT12", "HS79", "HS21", "HS76", "HS71", "HS43", "HS100", "HS41", "HS112")
PROGRAMS, SPREAD, ROUNDS = 200, 0.3, 7
#: Whose iterations are timed: up to 10 variables and rows, and up to 50, with functions that cost little.
STEPPED = ("HS6", "BT12", "HS77", "HS71", "GENHS28", "HIMMELBK", "HS118", "GOULDQP1")
CALLS = 100


def rows(quick: bool = False) -> list[Row]:
    """Microseconds a program, and how many times as long the loop takes."""
    return [_row(name, 2 if quick else ROUNDS) for name in harness.progress(PROBLEMS[: 2 if quick else None], "batch")]


def _row(name: str, rounds: int) -> Row:
    import solvers
    from solvers.optimize import minimize_batch

    from .cutest_compiled import CompiledProblem

    arguments = CompiledProblem(name).arguments("compiled")
    fun, x0 = arguments.pop("fun"), arguments.pop("x0")
    starts = x0 + SPREAD * np.random.default_rng(0).normal(size=(PROGRAMS, len(x0)))

    def loop() -> Any:
        return [solvers.minimize(fun, start, **arguments) for start in starts]

    def batch() -> Any:
        return minimize_batch(fun, starts, **arguments, threads=1)

    single, several = loop(), batch()
    if not all(np.array_equal(one.x, x) for one, x in zip(single, several.x, strict=True)):
        raise AssertionError(f"{name}: the batch's answers are not those of single solves")
    seconds = np.array([(_seconds(loop), _seconds(batch)) for _ in range(rounds)]) / PROGRAMS
    one, each = np.median(seconds, axis=0)
    iterations = float(np.median(several.nit))
    return {"problem": name, "variables": len(x0), "rows": several.multipliers.shape[1], "iterations": iterations,
            "solved": int(several.success.sum()), "minimize, us": 1e6 * one, "in a batch, us": 1e6 * each,
            "ratio": one / each}  # fmt: skip


def iterations(quick: bool = False) -> list[Row]:
    """Microseconds that an iteration adds to a call of `minimize`, the functions included."""
    import solvers

    from .cutest_compiled import CompiledProblem

    found = []
    for name in harness.progress(STEPPED[: 2 if quick else None], "iterations"):
        arguments = CompiledProblem(name).arguments("compiled") | {"options": {"inequality": "interior"}}
        whole = solvers.minimize(**arguments)

        def calls(most: int, arguments: dict[str, Any] = arguments) -> None:
            for _ in range(2 if quick else CALLS):
                solvers.minimize(**arguments, max_iter=most)

        first = min(1, whole.nit - 1)
        seconds = [_seconds(partial(calls, whole.nit)) - _seconds(partial(calls, first)) for _ in range(ROUNDS)]
        each = 1e6 * float(np.median(seconds)) / (2 if quick else CALLS) / (whole.nit - first)
        order = len(whole.x) + len(whole.multipliers)
        found.append({"problem": name, "variables and rows": order, "iterations": whole.nit, "us": each})
    return found


def _seconds(call: Callable[[], Any]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start
