"""The pressure of a simulation: smoke that rises past a ball, forty steps, the system of every tenth."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse
import scipy.sparse.linalg

from solvers.demo.plume import Plume
from solvers.linalg import GridOperator, multilevel, solve

from . import check, harness
from .grid_counts import makers
from .harness import ratio
from .report import Report, speed
from .sor_peers import Peers

Array = npt.NDArray[Any]

STEPS, EVERY = 40, 10
RTOL = 1e-6
#: Axes -> cells across; the box is half as high again.
SIZES = {2: 256, 3: 48}
QUICK = {2: 16, 3: 8}
OURS = "ours multilevel-cg"


def add(result: Report, peers: Peers, quick: bool) -> None:
    """A table for the plane and one for space."""
    for axes, n in harness.progress(list((QUICK if quick else SIZES).items()), "grid, smoke that rises"):
        _one(result, peers, Plume(n, axes), 2 if quick else 5)


def _one(result: Report, peers: Peers, plume: Plume, rounds: int) -> None:
    grid, M, systems = plume.operator, multilevel(plume.operator), []

    def pressure(operator: GridOperator, b: Array) -> Array:
        systems.append(b)
        return np.asarray(solve(operator, b, M=M, rtol=RTOL).x)

    for _ in range(STEPS):
        plume.step(pressure)
    there = np.flatnonzero(plume.mask.ravel())
    A = scipy.sparse.csr_matrix(grid.to_csr()[there][:, there])
    hierarchies = {name: make(A) for name, make in makers(peers).items()}
    shape = " x ".join(map(str, plume.mask.shape))
    table = result.table(f"Pressures of rising smoke past a ball, {shape}, to {RTOL:g}, hierarchies made once")
    for number in range(EVERY - 1, STEPS, EVERY):
        b, counts = systems[number], dict[str, int]()

        def ours(b: Array = b, counts: dict[str, int] = counts) -> Array:
            answer = solve(grid, b, M=M, rtol=RTOL)
            counts[OURS] = answer.nit
            return np.asarray(answer.x)[there]

        calls = {OURS: ours} | {
            name: lambda name=name, b=b, counts=counts: _peer(hierarchies.get(name), A, b[there], name, counts)
            for name in (*hierarchies, "scipy cg")
        }
        times = harness.interleave(calls, rounds)
        for name, call in calls.items():
            left = check.residual(A, b[there], call())
            table.rows.append({
                "step": number + 1, "method": name, "time": times[name], "iterations": counts[name],
                "residual": f"{left:.1e}" + ("" if left <= RTOL * 1.001 else " NOT REACHED"),
                "this / ours": None if name == OURS else speed(ratio(times[name], times[OURS])),
            })  # fmt: skip


def _peer(hierarchy: Any, A: Any, b: Array, name: str, counts: dict[str, int]) -> Array:
    """pyamg's cg around its hierarchy, or SciPy's without one."""
    if hierarchy is None:
        found: list[int] = []
        x, _ = scipy.sparse.linalg.cg(A, b, rtol=RTOL, callback=lambda _: found.append(1))
        counts[name] = len(found)
        return np.asarray(x)
    residuals: list[float] = []
    x = hierarchy.solve(b, tol=RTOL, accel="cg", residuals=residuals, maxiter=500)
    counts[name] = len(residuals) - 1
    return np.asarray(x)
