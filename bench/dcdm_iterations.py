"""Iterations to a residual of 1e-4 against size, as in the paper (Kaneda et al., 2023), and what they take in time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse.linalg

import solvers
from solvers.linalg import GridOperator
from solvers.testing import grid_problem

from . import harness
from .report import Report, Row, Target

Array = npt.NDArray[Any]

RTOL = 1e-4
#: Vectors of the deflated method, as in the paper.
DEFLATED = 16
#: Rows of a matrix in 3-D above which those vectors are not computed: its factors fill up.
LARGEST_3D = 32**3

FAMILIES = {2: ("uniform", "dirichlet", "neumann"), 3: ("uniform", "dirichlet", "smoke")}
SIZES = {2: (64, 128, 256), 3: (32, 48, 64)}
QUICK = {2: (16,), 3: (8,)}
ROUNDS, BUDGET = 5, 10.0
SEED = 2031

Solved = tuple[Array, int]


def add(report: Report, quick: bool) -> None:
    """A table of iterations, a table of times."""
    counts = report.table("Iterations to 1e-4 of the right-hand side, white noise; obstacles the training has not seen")
    times = report.table("Time to the same, set-up included")
    worst = 0.0
    for dim, sizes in (QUICK if quick else SIZES).items():
        for family in FAMILIES[dim]:
            for size in harness.progress(sizes, f"dcdm {family}"):
                count, time = _row(family, (size,) * dim)
                counts.rows.append(count)
                times.rows.append(time)
                worst = max(worst, count["dcdm"] / count["cg"])
    report.targets.append(Target("iterations of dcdm over those of cg, worst row", "<=", 0.5, worst))
    report.notes.append(
        f"Deflated CG has the {DEFLATED} lowest eigenvectors, from shift-inverted Lanczos; left out above {LARGEST_3D} "
        "unknowns in 3-D. Its time includes them."
    )


def _row(family: str, shape: tuple[int, ...]) -> tuple[Row, Row]:
    problem = grid_problem(family, shape, SEED)
    grid, b = GridOperator(**problem.arguments), problem.right()
    A = grid.to_csr()
    found: dict[str, int] = {}

    def judged(name: str, answer: Solved) -> None:
        x, found[name] = answer
        left = np.linalg.norm(b - A @ x) / np.linalg.norm(b)
        assert left <= RTOL * (1 + 1e-6), f"{name} stops at a residual of {left:.2g}"

    timings = harness.interleave(_solvers(grid, A, b), ROUNDS, BUDGET, judged)
    about: Row = {"family": family, "cells": " x ".join(map(str, shape))}
    return {**about, **found}, {**about, **timings}


def _solvers(grid: GridOperator, A: Any, b: Array) -> dict[str, Callable[[], Solved]]:
    """Name -> a whole solve."""

    def ours(method: str, matrix: Any, **keywords: Any) -> Callable[[], Solved]:
        def run() -> Solved:
            result = solvers.linalg.solve(matrix, b, method=method, rtol=RTOL, **keywords)
            return result.x, result.nit

        return run

    calls = {
        "cg": ours("cg", grid), "ic-cg": ours("cg", A, M="ic0"), "ssor-cg": ours("ssor-cg", grid),
        "dcdm": ours("dcdm", grid), "multilevel-cg": ours("multilevel-cg", grid),
    }  # fmt: skip
    if len(grid.grid_shape) == 2 or grid.size <= LARGEST_3D:
        calls["deflated cg"] = lambda: deflated_cg(A, b)
    pyamg = harness.peer("pyamg")
    if pyamg is not None:
        calls["pyamg SA-CG"] = lambda: _multigrid(pyamg, A, b)
    return calls


def _multigrid(pyamg: Any, A: Any, b: Array) -> Solved:
    norms: list[float] = []
    indices = A.indices.astype(np.int32), A.indptr.astype(np.int32)
    levels = pyamg.smoothed_aggregation_solver(scipy.sparse.csr_matrix((A.data, *indices), shape=A.shape))
    x = levels.solve(b, tol=RTOL, accel="cg", maxiter=1000, residuals=norms)
    return x, len(norms) - 1


def deflated_cg(A: Any, b: Array) -> Solved:
    """Conjugate gradients with the lowest eigenvectors taken out (Saad, Yeung, Erhel, Guyomarc'h, 2000)."""
    _, W = scipy.sparse.linalg.eigsh(A.tocsc(), DEFLATED, sigma=0)
    AW = A @ W
    small = np.linalg.inv(W.T @ AW)
    x = W @ (small @ (W.T @ b))
    r = b - A @ x
    p = r - W @ (small @ (AW.T @ r))
    goal, square, count = RTOL * np.linalg.norm(b), r @ r, 0
    while np.sqrt(square) > goal:
        q = A @ p
        alpha = square / (p @ q)
        x, r = x + alpha * p, r - alpha * q
        before, square = square, r @ r
        p = r + square / before * p - W @ (small @ (AW.T @ r))
        count += 1
    return x, count
