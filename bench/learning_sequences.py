"""Sequences of linear systems on which learners are tried, and how many iterations each omega takes on each system.

The experiments are those of Khodak et al. (2024), arXiv 2310.02246: B1, SOR on Laplacians with a random shift; B2, the
heat equation with a diffusion that changes over time, solved by SSOR-CG; B3 is B1 in an order that is not that of
chance. The counts are made once, by plain C loops of our own (learning_counts.c), and kept under build/bench.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .problems import Array

HERE = Path(__file__).resolve().parent
KEPT = HERE.parent / "build" / "bench"

#: The paper's omegas, tolerance and cap.
OMEGAS = np.linspace(1, 1.95, 20)
TOL, CAP = 1e-8, 10_000

#: Parameters of the Beta distribution of B1's shifts.
SHIFTS = {"high": (0.5, 1.5), "low": (2.0, 6.0)}
SHIFT_RANGE = (-0.15, 0.65)


@dataclass(frozen=True)
class Sequence:
    """Iterations that each arm takes on each system, and what is known before each solve."""

    name: str
    #: (systems, omegas)
    counts: Array
    contexts: Array
    #: The range that the contextual learners are told.
    context: tuple[float, float]
    #: Iterations of what is no arm, system by system: Young's omega in B1, plain conjugate gradients in B2.
    beside: dict[str, Array]

    @property
    def best_fixed(self) -> int:
        return int(self.counts.sum(0).min())

    @property
    def best_each(self) -> int:
        return int(self.counts.min(1).sum())

    def fixed(self, omega: float) -> int:
        """The total of the arm nearest to omega."""
        return int(self.counts[:, np.argmin(np.abs(OMEGAS - omega))].sum())

    def reordered(self, name: str, order: Array) -> Sequence:
        beside = {key: values[order] for key, values in self.beside.items()}
        return Sequence(name, self.counts[order], self.contexts[order], self.context, beside)


@functools.cache
def program() -> ctypes.CDLL:
    """learning_counts.c, built for this processor."""
    built = KEPT / f"learning-{os.getpid()}.so"
    built.parent.mkdir(parents=True, exist_ok=True)
    command = [os.environ.get("CC", "cc"), "-O3", "-march=native", "-shared", "-fPIC", "-o", str(built)]
    subprocess.run([*command, str(HERE / "learning_counts.c")], check=True)
    found = ctypes.CDLL(str(built))
    built.unlink()  # once loaded it needs no name
    pointer, number, real, count = ctypes.c_void_p, ctypes.c_long, ctypes.c_double, ctypes.c_int
    found.learning_sor.argtypes = [number, number, number, *[pointer] * 3, real, count, pointer, pointer]
    found.learning_sor.restype = None
    found.learning_cg.argtypes = [number, real, real, pointer, pointer, real, real, count, pointer, pointer]
    found.learning_cg.restype = count
    return found


def kept(name: str, make: Callable[[], dict[str, Array]], keep: bool = True) -> dict[str, Array]:
    """What `make` returns, from build/bench where an earlier run left it and the program has not changed."""
    source = b"".join((HERE / part).read_bytes() for part in ("learning_counts.c", "learning_sequences.py"))
    path = KEPT / f"learning-{name}-{hashlib.sha256(source).hexdigest()[:12]}.npz"
    if path.exists():
        with np.load(path) as found:
            return dict(found)
    made = make()
    if keep:
        np.savez_compressed(path, **made)
    return made


def shifted(kind: str, systems: int = 5000, seed: int = 0, side: int = 10) -> Sequence:
    """B1: the five-point Laplacian plus c_t times the identity, c_t independent of one another."""

    def make() -> dict[str, Array]:
        shifts, right = shifts_and_sides(kind, systems, seed, side)
        grids = np.zeros((systems, side + 2, side + 2))
        grids[:, 1:-1, 1:-1] = right.reshape(systems, side, side)
        radius = 4 * np.cos(np.pi / (side + 1)) / (4 + shifts)
        young = 2 / (1 + np.sqrt(1 - radius**2))
        omegas = np.column_stack([np.tile(OMEGAS, (systems, 1)), young])
        counts, work = np.empty(omegas.shape, np.int32), np.empty(2 * (side + 2) ** 2)
        diagonals = 4 + shifts
        given = (array.ctypes.data for array in (diagonals, grids, omegas))
        room = (counts.ctypes.data, work.ctypes.data)
        program().learning_sor(side, systems, omegas.shape[1], *given, TOL, CAP, *room)
        return {"counts": counts, "contexts": shifts}

    found = kept(f"{kind}-{systems}-{seed}", make, systems >= 1000)
    name = f"B1 {kind}" + (f", seed {seed}" if seed else "")
    return Sequence(name, found["counts"][:, :-1], found["contexts"], SHIFT_RANGE, {"Young": found["counts"][:, -1]})


def shifts_and_sides(kind: str, systems: int, seed: int, side: int = 10) -> tuple[Array, Array]:
    """The shifts of B1, and right-hand sides: normal, drawn again until their norm is at most sqrt(n)."""
    rng, n = np.random.default_rng(seed), side**2
    shifts = SHIFT_RANGE[0] + 0.6 * rng.beta(*SHIFTS[kind], systems)
    right = np.empty((systems, n))
    for t in range(systems):
        right[t] = rng.standard_normal(n)
        while np.linalg.norm(right[t]) > np.sqrt(n):
            right[t] = rng.standard_normal(n)
    return shifts, right


def diffusion(t: float) -> float:
    """B2's, a number that swings between 0.1 and 10."""
    return float(max(0.1 * np.sin(2 * np.pi * t), -10 * np.sin(2 * np.pi * t)))


def heat(nx: int, steps: int = 5000, dt: float = 1e-3) -> Sequence:
    """B2: Crank and Nicolson's steps of the heat equation on the unit square, each solve from the last solution."""
    made = kept(f"heat-{nx}-{steps}", lambda: _heat_counts(nx, steps, dt), steps >= 1000)
    contexts = made["contexts"]
    context = (float(contexts.min()), float(contexts.max()))
    return Sequence(f"B2 nx={nx}", made["counts"][:, :-1], contexts, context, {"CG": made["counts"][:, -1]})


def _heat_counts(nx: int, steps: int, dt: float) -> dict[str, Array]:
    grid = np.arange(nx + 1) / nx
    x, y = np.meshgrid(grid, grid)
    inside = np.zeros_like(x)
    inside[1:-1, 1:-1] = 1
    u = _bump(x, y, (0.5, 0.5), 0.25) * inside
    counts, contexts = np.zeros((steps, len(OMEGAS) + 1), np.int32), np.empty(steps)
    work, solution, kept_solution = np.empty(4 * u.size), np.empty_like(u), u
    for step in range(steps):
        half = step * dt + dt / 2
        contexts[step] = diffusion(step * dt)
        number = dt / 2 * diffusion(half) * nx**2
        laplacian = np.zeros_like(u)
        laplacian[1:-1, 1:-1] = u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] - 4 * u[1:-1, 1:-1]
        centre = (0.5 + np.cos(16 * np.pi * half) / 4, 0.5 + np.sin(16 * np.pi * half) / 4)
        b = np.ascontiguousarray(u + number * laplacian + dt * 32 * _bump(x, y, centre, 0.125) * inside)
        for arm, omega in enumerate([*OMEGAS, 0.0]):
            counts[step, arm] = program().learning_cg(
                nx - 1, 1 + 4 * number, number, b.ctypes.data, u.ctypes.data, omega, TOL, CAP, solution.ctypes.data,
                work.ctypes.data,
            )  # fmt: skip
            if arm == len(OMEGAS) // 2:  # all solve to the tolerance: one of them goes on
                kept_solution = solution.copy()
        u = kept_solution
    return {"counts": counts, "contexts": contexts}


def _bump(x: Array, y: Array, centre: tuple[float, float], radius: float) -> Any:
    square = np.minimum(1, ((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / radius**2)
    with np.errstate(divide="ignore"):
        return np.where(square < 1, np.exp(1 - 1 / (1 - square)), 0)


def in_blocks(sequence: Sequence, blocks: int = 5) -> tuple[Sequence, list[Array]]:
    """B3: five blocks of growing shift, each in the order of chance; and the steps of each block."""
    rising = np.argsort(sequence.contexts, kind="stable")
    order = np.concatenate([np.sort(part) for part in np.array_split(rising, blocks)])
    parts = np.array_split(np.arange(len(order)), blocks)
    return sequence.reordered("B3 blocks", order), parts


def alternating(sequence: Sequence, every: int = 250) -> tuple[Sequence, list[Array]]:
    """B3: small and large shifts in turns, `every` steps each; and the steps of either regime."""
    systems = len(sequence.contexts)
    rank = np.argsort(np.argsort(sequence.contexts, kind="stable"), kind="stable")
    low, high = (np.flatnonzero(side) for side in (rank < systems // 2, rank >= systems // 2))
    order, small = [], []
    for start in range(0, systems // 2, every):
        for part, is_low in ((low, True), (high, False)):
            order.append(part[start : start + every])
            small.append(np.full(len(order[-1]), is_low))
    regime = np.concatenate(small)
    parts = [np.flatnonzero(regime), np.flatnonzero(~regime)]
    return sequence.reordered("B3 alternating", np.concatenate(order)), parts
