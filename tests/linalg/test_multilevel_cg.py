"""The method multilevel-cg: counts, accuracy, singular systems, odd geometries, bad input."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.sparse.linalg

import solvers
from solvers import Status
from solvers.linalg import GridOperator, _kernels, multilevel, solve
from solvers.testing import check_linear, grid_problem

#: Iterations to 1e-4 and 1e-6 from white noise, one more than the published anchors of this hierarchy.
COUNTS = {
    "uniform": (6, 8), "dirichlet": (8, 11), "neumann": (7, 10), "lognormal": (11, 13), "jumps": (12, 17),
    "anisotropic": (13, 18), "strongly-anisotropic": (8, 11),
}  # fmt: skip


@pytest.mark.parametrize("family", COUNTS)
@pytest.mark.parametrize("n", [64, 160, 256])
def test_counts_in_the_plane(family, n):
    for seed in (0, 2, 3, 5):
        problem = grid_problem(family, n, seed)
        grid = GridOperator(**problem.arguments)
        M = multilevel(grid)
        for rtol, most in zip((1e-4, 1e-6), COUNTS[family], strict=True):
            result = solve(grid, problem.right(), M=M, rtol=rtol, method="multilevel-cg")
            check_linear(grid, problem.right(), result, rtol=rtol)
            assert result.success
            assert result.nit <= most, (seed, rtol)


@pytest.mark.parametrize("n", [32, 48])
def test_counts_in_space(n):
    for family, few, more, most in (("uniform", 6, 9, 12), ("smoke", 7, 10, 13)):
        problem = grid_problem(family, (n, n, n), 1)
        grid = GridOperator(**problem.arguments)
        counts = [solve(grid, problem.right(), rtol=rtol).nit for rtol in (1e-4, 1e-6, 1e-8)]
        assert all(count <= bound for count, bound in zip(counts, (few, more, most), strict=True)), counts


def test_random_problems():
    """Whatever the shape, mask, coefficients, reaction and ends: the solution of a direct solver."""
    rng = np.random.default_rng(17)
    kinds = ["dirichlet", "neumann", "periodic", ("dirichlet", "neumann")]
    for number in range(200):
        axes = 1 + number % 3
        shape = tuple(int(n) for n in rng.integers(3, (98, 98, 24)[axes - 1], axes))
        bc = [kinds[rng.integers(4)] for _ in shape]
        mask = rng.random(shape) < rng.choice([0.6, 0.95, 1.0])
        coeff = 1.0 if rng.random() < 0.5 else np.exp(rng.normal(size=shape))
        grid = GridOperator(
            shape, coeff, 0.02 if rng.random() < 0.5 else 0.05 * rng.random(shape), rng.uniform(0.7, 1.4, axes), bc,
            mask=mask, obstacle=str(rng.choice(["neumann", "dirichlet"])), unknowns=str(rng.choice(["nodes", "cells"])),
        )  # fmt: skip
        b = np.where(mask, rng.normal(size=shape), 0).ravel()
        result = solve(grid, b, method="multilevel-cg", rtol=1e-10)
        assert result.success, (number, shape)
        exact = scipy.sparse.linalg.spsolve(grid.to_csr().tocsc(), b)
        assert np.linalg.norm(result.x - exact) <= 1e-8 * max(np.linalg.norm(exact), 1e-300), (number, shape)


# ---- odd geometries ------------------------------------------------------------------------------


def walls_of_one_cell(n):
    mask = np.ones((n, n), bool)
    mask[n // 3, : n - 1] = mask[2 * n // 3, 1:] = False
    return mask


def checkerboard(n):
    return np.indices((n, n)).sum(axis=0) % 2 == 0


def one_cell(n):
    mask = np.zeros((n, n), bool)
    mask[n // 2, n // 3] = True
    return mask


def channel(n):
    """A spiral-like path, one cell wide."""
    mask = np.zeros((n, n), bool)
    mask[::2] = True
    mask[1::4, -1] = mask[3::4, 0] = True
    return mask


@pytest.mark.parametrize("make", [walls_of_one_cell, checkerboard, one_cell, channel])
@pytest.mark.parametrize("obstacle", ["neumann", "dirichlet"])
def test_geometries(make, obstacle):
    for n in (17, 40):
        mask = make(n)
        b = np.where(mask, np.random.default_rng(n).normal(size=mask.shape), 0).ravel()
        grid = GridOperator((n, n), 1.0, 1e-3, mask=mask, obstacle=obstacle, unknowns="cells")
        result = solve(grid, b, rtol=1e-8, method="multilevel-cg", max_iter=400)
        assert result.success, (n, result.nit)
        check_linear(grid, b, result, rtol=1e-8)


def test_an_empty_mask():
    grid = GridOperator((6, 5), mask=np.zeros((6, 5), bool))
    result = solve(grid, np.zeros(30), method="multilevel-cg")
    assert (result.success, result.nit) == (True, 0)
    assert not result.x.any()


@pytest.mark.parametrize("contrast", [1e4, 1e8])
def test_checkerboards_end_in_the_truth(contrast):
    """A true residual of 1e-6, or a status that says that there is none."""
    board = np.where(np.indices((48, 48)).sum(axis=0) % 2, contrast, 1.0)
    grid = GridOperator((48, 48), board, unknowns="cells")
    b = np.random.default_rng(2).normal(size=grid.size)
    result = solve(grid, b, rtol=1e-6, method="multilevel-cg", max_iter=2000)
    assert result.status in (Status.CONVERGED, Status.STAGNATION)
    left = np.linalg.norm(b - grid.to_csr() @ result.x)
    assert result.success == (left <= 1e-6 * np.linalg.norm(b))


# ---- singular systems ----------------------------------------------------------------------------


def test_constants_are_the_null_space(seed):
    rng = np.random.default_rng(seed)
    for shape, bc in (
        ((40, 28), "neumann"),
        ((16, 32), "periodic"),
        ((12, 16, 20), ["periodic", "neumann", "neumann"]),
    ):
        grid = GridOperator(shape, bc=bc)
        b = rng.normal(size=grid.size)
        with pytest.raises(ValueError, match="singular"):
            solve(grid, b, method="multilevel-cg")
        result = solve(grid, b, method="multilevel-cg", rtol=1e-10, nullspace="constant")
        assert result.success
        assert result.nit <= 16
        assert abs(result.x.mean()) <= 1e-12 * np.abs(result.x).max()
        assert np.linalg.norm(b - b.mean() - grid.to_csr() @ result.x) <= 1.01e-10 * np.linalg.norm(b)
        assert (result.stats["projected"] > 0) == (abs(b.mean()) > 1e-12)
        assert "was left out" in result.message
        assert result.stats["setup_seconds"] > 0


def test_components_are_null_spaces(seed):
    rng = np.random.default_rng(seed)
    mask = np.ones((33, 40), bool)
    mask[:, 19] = mask[12, 20:] = False
    grid = GridOperator((33, 40), rng.uniform(0.5, 2, (33, 40)), bc=["neumann", ("dirichlet", "neumann")], mask=mask)
    b = np.where(mask, rng.normal(size=mask.shape), 0)
    with pytest.raises(ValueError, match="2 of 3 components"):
        solve(grid, b.ravel(), method="multilevel-cg")
    with pytest.raises(ValueError, match="components"):
        multilevel(grid, nullspace="constant")
    for part in (np.s_[:12, 20:], np.s_[13:, 20:]):
        b[part] -= b[part].mean()
    result = solve(grid, b.ravel(), method="multilevel-cg", nullspace="components")
    assert result.success
    check_linear(grid, b.ravel(), result)
    x = result.x.reshape(mask.shape)
    assert abs(x[:12, 20:].mean()) <= 1e-12
    assert abs(x[13:, 20:].mean()) <= 1e-12


def test_the_default_of_a_singular_grid():
    """The null space is found where b lies in the range; else nothing gives b, which is said at once."""
    grid = GridOperator((20, 20), bc="neumann")
    b = np.random.default_rng(5).normal(size=400)
    result = solve(grid, b - b.mean())
    assert (result.method, result.success) == ("multilevel-cg", True)
    assert abs(result.x.mean()) <= 1e-12
    both = solve(grid, np.column_stack([b - b.mean(), np.zeros(400)]))
    np.testing.assert_array_equal(both.x[:, 0], result.x)
    with pytest.raises(ValueError, match=r"1 of 1 components.*no x gives b"):
        solve(grid, b)
    result = solve(grid, b, nullspace="constant")
    assert (result.method, result.success) == ("multilevel-cg", True)
    assert abs(result.x.mean()) <= 1e-12
    other = solve(grid, b, nullspace="constant", method="ssor-cg", rtol=1e-10)
    np.testing.assert_allclose(result.x, other.x, atol=1e-6 * np.abs(other.x).max())
    with pytest.raises(ValueError, match="multilevel-cg"):
        solve(grid, b, nullspace="components", method="ssor-cg")


@pytest.mark.parametrize("method", ["cg", "ssor-cg", "chebyshev"])
def test_what_no_x_gives_is_said(method):
    grid = GridOperator((20, 20), bc="neumann")
    b = np.random.default_rng(7).normal(size=400)
    result = solve(grid, b, method=method, max_iter=500)
    assert not result.success
    assert 'see nullspace="constant"' in result.message
    result = solve(grid, b, method=method, nullspace="constant")
    assert result.success
    np.testing.assert_allclose(result.stats["projected"], 20 * abs(b.mean()), rtol=1e-10)
    assert "was left out" in result.message
    assert "left out" not in solve(grid, b - b.mean(), method=method, nullspace="constant").message
    assert "nullspace" not in solve(grid, b - b.mean(), method=method, max_iter=1).message


# ---- how it is called ----------------------------------------------------------------------------


def test_it_is_the_default_of_a_grid():
    grid = GridOperator((30, 31), np.exp(np.random.default_rng(0).normal(size=(30, 31))))
    result = solve(grid, np.ones(930))
    assert (result.method, result.success) == ("multilevel-cg", True)
    assert solve(grid, np.ones(930), M="ssor").method == "cg"
    assert solve(GridOperator((7, 9), mass=1.0, bc="periodic"), np.ones(63)).method == "multilevel-cg"


def test_threads_give_the_same_bits(seed):
    problem = grid_problem("smoke", (33, 40, 36), seed)
    grid = GridOperator(**problem.arguments)
    results = [solve(grid, problem.right(), threads=threads, rtol=1e-9) for threads in (1, 2, 3)]
    assert len({result.nit for result in results}) == 1
    np.testing.assert_array_equal(results[0].x, results[1].x)
    np.testing.assert_array_equal(results[0].x, results[2].x)


def test_iterations_in_pieces_are_those_of_a_whole():
    """To the bit, also from vectors of before, and after a residual was measured."""
    problem = grid_problem("smoke", (20, 16, 12), 1)
    grid = GridOperator(**problem.arguments)
    M = multilevel(grid)

    def begun():
        loop, numbers = _kernels.MultilevelCg(M.stencil, M.kernel), np.zeros(_kernels.MULTILEVEL_NUMBERS)
        loop.take(problem.right())
        numbers[:2] = left = loop.start(np.zeros(grid.size), numbers)
        return loop, numbers, left

    whole, numbers, left = begun()
    whole.iterate(numbers, 0.0, 0.0, left, 0, 6)
    loop, numbers, left = begun()
    for nit in range(6):
        _, left, _ = loop.iterate(numbers, 0.0, 0.0, left, nit, 1)
        if nit == 2:
            vectors, kept, then = [loop.vector(name) for name in "xrp"], numbers.copy(), left
    np.testing.assert_array_equal(loop.vector("x"), whole.vector("x"))
    for _ in range(2):
        loop.load(*vectors)
        loop.iterate(kept.copy(), 0.0, 0.0, then, 3, 3)
        np.testing.assert_array_equal(loop.vector("x"), whole.vector("x"))
        loop.measured(vectors[0])


def test_the_bytes_of_an_iteration():
    """A cell of a box: vectors alone, and a seventh for coarse levels; with variable coefficients the fields too."""
    n, rng = 64, np.random.default_rng(0)
    b = rng.normal(size=n**3)
    cells = {}
    for name, arguments in (
        ("constant", {}),
        ("double", {"dtype": "float64"}),
        ("variable", {"coeff": np.exp(rng.normal(size=(n, n, n)))}),
        ("step by step", {"cycle": "W"}),
    ):
        grid = GridOperator((n, n, n), arguments.pop("coeff", 1.0), unknowns="cells")
        moved = solve(grid, b, M=multilevel(grid, **arguments), rtol=1e-4).stats["bytes_per_iteration"]
        cells[name] = moved and moved / n**3
    below = 1 / 7
    assert cells["step by step"] is None
    assert 88 + below * (20 + 24) <= cells["constant"] <= 88 + below * (20 + 24) + 6
    assert 88 + 32 + below * (40 + 48) <= cells["double"] <= 88 + 32 + below * (40 + 48) + 10
    # twice four bytes for three couplings, three shares, the inverse and the scale; outside couplings and a diagonal
    assert cells["variable"] == pytest.approx(88 + 2 * 32 + 32 + below * (20 + 2 * 32), rel=0.02)


def test_a_hierarchy_may_be_shared(seed):
    """Solves at the same time, with one hierarchy: the bits of solves one after another."""
    problem = grid_problem("neumann", (150, 140), seed)
    grid = GridOperator(**problem.arguments)
    M, rights = multilevel(grid), [problem.right(seed=k) for k in range(8)]
    alone = [solve(grid, b, M=M, rtol=1e-9).x for b in rights]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda b: solve(grid, b, M=M, rtol=1e-9, threads=1 + len(b) % 2).x, rights))
    np.testing.assert_array_equal(alone, together)


def test_several_right_hand_sides(seed):
    problem = grid_problem("neumann", (37, 44), seed)
    grid = GridOperator(**problem.arguments)
    B = np.stack([problem.right(seed=k) for k in range(3)] + [np.zeros(grid.size)], axis=1)
    result = solve(grid, B)
    assert result.success
    assert result.columns[3].nit == 0
    exact = scipy.sparse.linalg.spsolve(grid.to_csr().tocsc(), B)
    np.testing.assert_allclose(result.x, exact, atol=1e-6 * np.abs(exact).max())


def test_a_moving_obstacle():
    """The hierarchy is set up anew in place; each step's answer is that of a fresh one, to the bit."""
    n = 40
    y, x = np.indices((n, n))
    grid = GridOperator((n, n), bc=["neumann", ("neumann", "dirichlet")], unknowns="cells")
    M = multilevel(grid)
    for step in range(5):
        mask = (y - 20) ** 2 + (x - 8 - 3 * step) ** 2 > 25
        M.update(mask=mask)
        b = np.where(mask, np.sin(x / 5 + y / 3), 0).ravel()
        result = solve(grid, b, M=M)
        fresh = GridOperator((n, n), bc=grid.bc, unknowns="cells", mask=mask)
        assert result.success
        np.testing.assert_array_equal(result.x, solve(fresh, b, method="multilevel-cg").x)


@pytest.mark.parametrize("columns", [1, 16])
def test_a_hierarchy_of_what_the_grid_was(columns):
    """It would solve the system of before the update, and call that a success."""
    grid = GridOperator((24, 20), unknowns="cells")
    M, b = multilevel(grid), np.random.default_rng(1).normal(size=(480, columns)).squeeze()
    grid.update(coeff=3.0)
    assert not M.current
    with pytest.raises(ValueError, match=r"updated since M was set up"):
        solve(grid, b, M=M)
    with pytest.raises(ValueError, match="for this very A"):
        solve(GridOperator((24, 20), unknowns="cells"), b, M=M)
    M.update()
    result = solve(grid, b, M=M)
    assert result.success
    assert np.linalg.norm(b - grid.to_csr() @ result.x) <= 1e-8 * np.linalg.norm(b)


def test_a_grid_without_a_hierarchy_is_looked_at_once(monkeypatch):
    """For many columns the search for parts without a sink would take longer than the solves."""
    from solvers.linalg import _multilevel

    calls, search = [], _multilevel.floating
    monkeypatch.setattr(_multilevel, "floating", lambda *given: calls.append(given[1]) or search(*given))
    b = np.random.default_rng(5).normal(size=(400, 20))
    assert solve(GridOperator((20, 20), bc="neumann"), b - b.mean(axis=0)).success
    assert calls == [None, "components"]


def test_bad_input():
    mask = np.ones((6, 7), bool)
    mask[2, 3] = False
    grid = GridOperator((6, 7), mask=mask, unknowns="cells")
    b = np.ones(42)
    with pytest.raises(ValueError, match=r"b must be 0 outside of the mask, not 1.0 in row 17"):
        solve(grid, b, method="multilevel-cg")
    result = solve(grid, b, method="multilevel-cg", options={"outside": "ignore"})
    assert result.success
    assert result.x[17] == 0
    b[17] = 0
    for bad, error in ((np.full(42, np.nan), ValueError), (np.ones(41), ValueError), (b * 1j, TypeError)):
        with pytest.raises(error, match="b must"):
            solve(grid, bad, method="multilevel-cg")
    with pytest.raises(solvers.MethodError, match="cannot serve"):
        solve(grid, b, M="jacobi", method="multilevel-cg")
    with pytest.raises(ValueError, match="M must come from multilevel"):
        solve(grid, b, M=multilevel(GridOperator((6, 7))), method="multilevel-cg")
    with pytest.raises(solvers.MethodError, match="cannot serve"):
        solve(grid.to_csr(), b, method="multilevel-cg")
    assert solve(grid, b.astype(int), method="multilevel-cg").success
    exact = solve(grid, b, rtol=1e-12).x
    assert solve(grid, b, x0=exact).nit == 0
    unreachable = solve(grid, b, rtol=1e-18, method="multilevel-cg")
    assert (unreachable.success, unreachable.status) == (False, Status.STAGNATION)
    assert np.linalg.norm(b - grid.to_csr() @ unreachable.x) <= 1e-13 * np.linalg.norm(b)
