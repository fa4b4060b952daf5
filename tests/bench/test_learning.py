"""The sequences that learners are measured on are the published ones, and their counts agree with the library's."""

import importlib
import itertools

import numpy as np
import pytest
import scipy.sparse

import solvers


@pytest.fixture(scope="module")
def sequences(command):
    return importlib.import_module("bench.learning_sequences")


def laplacian(side):
    line = scipy.sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(side, side))
    return scipy.sparse.kronsum(line, line, format="csr")


def test_the_counts_of_sor_are_the_library_s(sequences):
    found = sequences.shifted("high", 6, seed=2)
    shifts, right = sequences.shifts_and_sides("high", 6, 2)
    np.testing.assert_array_equal(found.contexts, shifts)
    assert (np.linalg.norm(right, axis=1) <= 10).all()
    for t in range(6):
        A = scipy.sparse.csr_array(laplacian(10) + shifts[t] * scipy.sparse.eye_array(100))
        for arm in (0, 10, 17, 19):
            omega = {"omega": float(sequences.OMEGAS[arm])}
            result = solvers.linalg.solve(A, right[t], method="sor", options=omega)
            assert abs(result.nit - found.counts[t, arm]) <= 1
    assert (np.abs(found.beside["Young"] - found.counts.min(1)) <= 0.3 * found.counts.min(1) + 3).all()


def test_the_counts_of_cg_are_the_library_s(sequences):
    """The first steps of the heat equation, put together anew from sparse matrices."""
    nx, steps, dt = 12, 4, 1e-3
    found = sequences.heat(nx, steps)
    lap = -laplacian(nx - 1) * nx**2
    grid = np.arange(1, nx) / nx
    x, y = np.meshgrid(grid, grid)

    def bump(cx, cy, radius):
        inside = (square := ((x - cx) ** 2 + (y - cy) ** 2) / radius**2) < 1
        return np.where(inside, np.exp(1 - 1 / (1 - np.where(inside, square, 0))), 0).ravel()

    u, one = bump(0.5, 0.5, 0.25), scipy.sparse.eye_array((nx - 1) ** 2)
    for step in range(steps):
        half = (step + 0.5) * dt
        kappa = max(0.1 * np.sin(2 * np.pi * half), -10 * np.sin(2 * np.pi * half))
        f = 32 * bump(0.5 + np.cos(16 * np.pi * half) / 4, 0.5 + np.sin(16 * np.pi * half) / 4, 0.125)
        A, b = scipy.sparse.csr_array(one - dt / 2 * kappa * lap), (one + dt / 2 * kappa * lap) @ u + dt * f
        result = solvers.linalg.solve(A, b, x0=u, method="cg")
        assert abs(result.nit - found.beside["CG"][step]) <= 1
        u = solvers.linalg.solve(A, b, x0=u, method="cg", rtol=1e-12).x


def test_reordering_keeps_every_system_once(sequences):
    base = sequences.shifted("high", 100, seed=3)
    for make in (sequences.in_blocks, lambda s: sequences.alternating(s, 10)):
        other, parts = make(base)
        assert sorted(np.concatenate(parts).tolist()) == list(range(100))
        assert other.best_each == base.best_each
        np.testing.assert_array_equal(np.sort(other.contexts), np.sort(base.contexts))
    blocks, parts = sequences.in_blocks(base)
    assert all(blocks.contexts[a].max() <= blocks.contexts[b].min() for a, b in itertools.pairwise(parts))
