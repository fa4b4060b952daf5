"""Cycles that go step by step: lines relaxed at once, levels visited twice, periodic axes that are odd."""

import numpy as np
import pytest

from solvers.linalg import GridOperator, multilevel, solve
from solvers.testing import check_linear, grid_problem

KINDS = [{"smoother": "line-0"}, {"smoother": "line-1"}, {"cycle": "W"}, {"smoother": "line-1", "cycle": "W"}]
ODD = [(7, 9), (33, 30), (65, 20), (61,), (9, 15, 11), (126, 6)]


def rough(shape, seed, bc="neumann"):
    """A mask and coefficients, random."""
    rng = np.random.default_rng(seed)
    coeff, mask = np.exp(rng.normal(size=shape)), rng.random(shape) < 0.85
    return GridOperator(shape, coeff, 1e-3, rng.uniform(0.7, 1.4, len(shape)), bc, mask=mask, unknowns="cells")


def check(grid, seed, slack, **kind):
    """Symmetric, positive definite, zero outside of the mask."""
    rng = np.random.default_rng(seed)
    M = multilevel(grid, **kind)
    assert M.kernel.general
    there = np.ones(grid.size) if grid.mask is None else grid.mask.ravel()
    a, b = rng.normal(size=(2, grid.size)) * there
    assert abs((M @ a) @ b - a @ (M @ b)) <= slack * np.linalg.norm(a) * np.linalg.norm(M @ b)
    assert all(v @ (M @ v) > 0 for v in rng.normal(size=(10, grid.size)) * there)
    assert not (M @ (1.0 - there)).any()
    return M


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(24, 31), (9, 12, 10)])
def test_symmetric_positive_definite(shape, kind, seed):
    for dtype, slack in (("float64", 1e-12), ("float32", 1e-5)):
        check(rough(shape, seed), seed, slack, dtype=dtype, **kind)
        check(GridOperator(shape, 2.0, 0.01, unknowns="cells"), seed, slack, dtype=dtype, **kind)


@pytest.mark.parametrize("shape", ODD)
def test_odd_periodic_axes(shape, seed):
    """Red would touch red around them: their last cells have colours of their own."""
    for grid in (rough(shape, seed, "periodic"), GridOperator(shape, 2.0, 1e-3, bc="periodic")):
        M = check(grid, seed, 1e-12, dtype="float64")
        for dtype in ("float64", "float32"):
            M = multilevel(grid, dtype=dtype)
            b = np.random.default_rng(seed).normal(size=grid.size) * (1 if grid.mask is None else grid.mask.ravel())
            result = solve(grid, b, M=M, rtol=1e-8)
            check_linear(grid, b, result, rtol=1e-8)
            assert result.success


def test_odd_periodic_axes_take_the_counts_of_even_ones():
    for n in (33, 63, 65, 129):
        grid = GridOperator((n, n), bc="periodic")
        b = np.random.default_rng(n).normal(size=grid.size)
        result = solve(grid, b, nullspace="constant", rtol=1e-6)
        assert (result.method, result.success) == ("multilevel-cg", True)
        assert result.nit <= 9
    odd = multilevel(GridOperator((12, 9), mass=1.0, bc=["neumann", "periodic"]))
    even = multilevel(GridOperator((12, 8), mass=1.0, bc=["neumann", "periodic"]))
    assert (odd.kernel.general, even.kernel.general) == (True, False)


def test_lines_are_solved_exactly():
    """Where nothing joins the lines a sweep is the solution."""
    shape, rng = (20, 17), np.random.default_rng(3)
    faces = [np.exp(rng.normal(size=(21, 17))), np.zeros((20, 18))]
    grid, b = GridOperator(shape, faces, 0.1), rng.normal(size=340)
    np.testing.assert_allclose(grid @ (multilevel(grid, smoother="line-0", dtype="float64") @ b), b, rtol=1e-9)


def test_lines_serve_an_axis_that_is_the_stronger_one_here_and_there():
    """By factors of up to 1e4 that change from place to place: no choice of the axes that are halved serves that."""
    n, rng = 64, np.random.default_rng(5)
    strong = np.exp(rng.uniform(0, np.log(1e4), (8, 8))).repeat(8, 0).repeat(8, 1)
    faces = [np.pad(strong, ((0, 1), (0, 0)), mode="edge"), np.ones((n, n + 1))]
    grid, b = GridOperator((n, n), faces, unknowns="cells"), rng.normal(size=n * n)
    counts = [solve(grid, b, M=multilevel(grid, smoother=name), rtol=1e-6).nit for name in ("rb", "line-0")]
    assert counts[1] <= 8
    assert counts[1] < counts[0]
    strongly = GridOperator(**grid_problem("strongly-anisotropic", 64, 1).arguments)
    right = grid_problem("strongly-anisotropic", 64, 1).right()
    assert solve(strongly, right, M=multilevel(strongly, smoother="line-0"), rtol=1e-6).nit <= 4


@pytest.mark.parametrize(("family", "shape"), [("neumann", (64, 64)), ("lognormal", (48, 48)), ("smoke", (20, 20, 20))])
def test_two_visits_do_not_take_more(family, shape):
    problem = grid_problem(family, shape, 2)
    grid, b = GridOperator(**problem.arguments), problem.right()
    counts = [solve(grid, b, M=multilevel(grid, cycle=cycle), rtol=1e-8).nit for cycle in "VW"]
    assert counts[1] <= counts[0]


def test_levels_are_visited_twice_where_that_is_definite():
    """Behind jumps of the coefficient eigenvalues of a level's map may lie above 2."""
    uniform = multilevel(GridOperator((64, 64), unknowns="cells"), cycle="W")
    assert uniform.kernel.visits == [1, 2, 2, 2, 1]
    for seed in range(8):
        problem = grid_problem("jumps", 96, seed)
        grid, b = GridOperator(**problem.arguments), problem.right()
        assert solve(grid, b, M=multilevel(grid, cycle="W"), rtol=1e-6).nit <= 20


def test_many_right_hand_sides_go_one_by_one():
    grid = GridOperator((21, 20), mass=0.1, bc="periodic")
    B = np.random.default_rng(1).normal(size=(420, 12))
    result = solve(grid, B)
    assert result.success
    assert not any(column.stats["together"] for column in result.columns)
