"""Iterations of multilevel-cg and of its peers on the families of grid problems, size after size."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse.linalg

from solvers.linalg import GridOperator, multilevel, solve
from solvers.testing import GRID_FAMILIES, GridProblem, grid_problem

from . import check, harness
from .report import Report, Row, Target
from .sor_peers import Peers

TOLERANCES = (1e-4, 1e-6)
SEEDS = (0, 1, 2)

SIZES = {2: (64, 128, 256, 512, 1024), 3: (32, 64, 128, 256)}
QUICK = {2: (16,), 3: (8,)}

#: Grids of more cells have one seed: making the problem takes longer than solving it.
ONE_SEED_FROM = 2**22

#: Families in space; the others are in the plane.
SPACE = ("uniform", "dirichlet", "smoke")

#: Peers iterate on systems of at most so many unknowns here.
PEERS_MOST = 70_000

#: The published counts of this hierarchy to 1e-6, one more allowed.
ANCHORS = {
    (2, "uniform"): 7, (2, "dirichlet"): 10, (2, "neumann"): 9, (2, "lognormal"): 12, (2, "jumps"): 22,
    (2, "anisotropic"): 17, (3, "uniform"): 8, (3, "dirichlet"): 8, (3, "smoke"): 9,
}  # fmt: skip


def add(result: Report, peers: Peers, quick: bool) -> None:
    """A table for the plane and one for space."""
    for axes, sizes in (QUICK if quick else SIZES).items():
        table = result.table(
            f"Iterations to {' / '.join(f'{tol:g}' for tol in TOLERANCES)}, {axes}-D: the range over "
            f"{1 if quick else len(SEEDS)} seeds (one above {ONE_SEED_FROM:,} cells)"
        )
        families = [name for name in GRID_FAMILIES if (axes == 2 and name != "smoke") or (axes == 3 and name in SPACE)]
        for family in harness.progress(families, f"grid, counts in {axes}-D"):
            for n in sizes:
                seeds = SEEDS[:1] if quick or n**axes > ONE_SEED_FROM else SEEDS
                row = _row(family, (n,) * axes, seeds, peers)
                table.rows.append(row)
                if (axes, family) in ANCHORS and n == sizes[-1]:
                    bound = ANCHORS[axes, family] + 1
                    figure = f"iterations to 1e-6, {axes}-D {family}, n = {n}, the most of the seeds"
                    result.targets.append(Target(figure, "<=", bound, float(row["most"]), ""))
    result.notes.append(
        "Counts: right-hand sides of white noise; each answer of ours is judged by its own residual, formed anew in "
        "long double (by the solver above 2^18 unknowns); one that did not reach it reads NOT REACHED. pyamg's and "
        "SciPy's counts are to 1e-6 for the first seed."
    )


def _row(family: str, shape: tuple[int, ...], seeds: tuple[int, ...], peers: Peers) -> Row:
    counts: dict[float, list[int]] = {tol: [] for tol in TOLERANCES}
    reached = True
    for seed in seeds:
        problem = grid_problem(family, shape, seed)
        grid = GridOperator(**problem.arguments)
        hierarchy, b = multilevel(grid), problem.right()
        for tol in TOLERANCES:
            answer = solve(grid, b, M=hierarchy, rtol=tol)
            counts[tol].append(answer.nit)
            reached &= (
                check.residual(grid.to_csr(), b, answer.x) <= tol * (1 + 1e-6)
                if grid.size <= 2**18
                else (answer.success)
            )
    ranges = [f"{min(found)}-{max(found)}" for found in counts.values()]
    row: Row = {
        "family": family, "n": shape[0], "multilevel-cg": " / ".join(ranges) + ("" if reached else " NOT REACHED"),
        "most": max(counts[TOLERANCES[-1]]), "pyamg SA + cg": None, "pyamg RS + cg": None, "scipy cg": None,
    }  # fmt: skip
    if np.prod(shape) <= PEERS_MOST:
        row |= _peer_counts(grid_problem(family, shape, seeds[0]), peers)
    return row


def _peer_counts(problem: GridProblem, peers: Peers) -> Row:
    A, b = active_system(problem)
    counts: dict[str, list[Any]] = {"scipy cg": []}
    scipy.sparse.linalg.cg(A, b, rtol=1e-6, callback=counts["scipy cg"].append)
    if peers.pyamg is not None:
        for name, make in makers(peers).items():
            residuals: list[float] = []
            make(A).solve(b, tol=1e-6, accel="cg", residuals=residuals, maxiter=500)
            counts[name] = residuals[1:]
    return {name: len(found) for name, found in counts.items()}


def makers(peers: Peers) -> dict[str, Any]:
    """pyamg's two hierarchies for such systems."""
    pyamg = peers.pyamg
    if pyamg is None:
        return {}
    return {
        "pyamg SA + cg": pyamg.smoothed_aggregation_solver,
        "pyamg RS + cg": pyamg.ruge_stuben_solver,
    }


def active_system(problem: GridProblem) -> tuple[Any, Any]:
    """The matrix and right-hand side of the cells that take part: peers need not work on the others."""
    matrix, b = GridOperator(**problem.arguments).to_csr(), problem.right()
    if problem.mask is None:
        return scipy.sparse.csr_matrix(matrix), b
    there = np.flatnonzero(problem.mask.ravel())
    return scipy.sparse.csr_matrix(matrix[there][:, there]), b[there]
