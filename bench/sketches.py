"""Consistent dense systems by random sketches: methods by condition number, and a projection beside reading its row."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from solvers.optimize import sketch_solve

from . import harness
from .report import Report, Target

Array = npt.NDArray[Any]

ROWS, COLUMNS, TOL = 2000, 500, 1e-6
#: Singular values fall to their largest over this; None: those of normal numbers.
CONDITIONS = (None, 20, 100)
METHODS: dict[str, dict[str, Any]] = {
    "rk": {"sketch": "rk"}, "block": {"sketch": "block", "options": {"size": 256}},
    "block, momentum": {"sketch": "block", "options": {"size": 256, "momentum": 0.5}},
    "sketch-precond": {"method": "sketch-precond"},
}  # fmt: skip


def report(quick: bool = False) -> Report:
    """A row a condition number and method."""
    result = Report("sketches", f"Consistent systems, {ROWS} x {COLUMNS}, to {TOL:g}: sketches")
    rows, columns = (200, 50) if quick else (ROWS, COLUMNS)
    table = result.table("Times on one thread")
    with harness.threads(1):
        byte = _read_a_byte(2_000_000 if quick else 60_000_000)
        for condition in CONDITIONS:
            A, b = _system(rows, columns, condition)
            times, answers = _timed(A, b, 2 if quick else 7)
            for name, seconds in times.items():
                x = answers[name].x if name in METHODS else answers[name][0]
                table.rows.append({
                    "singular values": f"1 to 1/{condition}" if condition else "of normal numbers", "method": name,
                    "time": seconds, "rk's over it": f"{times['rk'].median / seconds.median:.2f}",
                    "residual": f"{np.linalg.norm(A @ x - b) / np.linalg.norm(b):.0e}",
                    "rows met": answers[name].stats.get("rows") if name in METHODS else None,
                })  # fmt: skip
            gain = times["rk"].median / min(times[name].median for name in ("block", "block, momentum"))
            figure = "normal numbers" if condition is None else f"singular values 1 to 1/{condition}"
            result.targets.append(Target(f"{figure}: rk / the better block", ">=", 5, gain))
            if condition is None:
                each = times["rk"].median / answers["rk"].stats["projections"] / (8 * columns * byte)
                figure = "a projection / reading its row as a matrix-vector product from memory does"
                result.targets.insert(0, Target(figure, "<=", 2, each))
    result.header = harness.versions()
    return result


def _timed(A: Array, b: Array, rounds: int) -> tuple[dict[str, harness.Timing], dict[str, Any]]:
    calls: dict[str, Callable[[], Any]] = {
        name: partial(sketch_solve, A, b, tol=TOL, **given) for name, given in METHODS.items()
    }
    calls["numpy.linalg.lstsq"] = partial(np.linalg.lstsq, A, b, rcond=None)
    answers: dict[str, Any] = {}
    times = harness.interleave(calls, rounds, 20.0, lambda name, x: answers.update({name: x}))
    return times, answers


def _system(rows: int, columns: int, condition: float | None) -> tuple[Array, Array]:
    rng = np.random.default_rng(1)
    A = rng.standard_normal((rows, columns))
    if condition is not None:
        U, _, V = np.linalg.svd(A, full_matrices=False)
        A = np.ascontiguousarray(U * np.geomspace(1, 1 / condition, columns) @ V)
    return A, A @ rng.standard_normal(columns)


def _read_a_byte(entries: int) -> float:
    """Seconds, by the product of a large matrix and a vector."""
    A, x = np.ones((entries // 1000, 1000)), np.ones(1000)
    seconds = []
    for _ in range(7):
        start = time.perf_counter()
        A @ x
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds)) / A.nbytes
