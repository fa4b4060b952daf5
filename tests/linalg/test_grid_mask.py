"""GridOperator with masks, obstacles, and walls at cells: against a matrix that is assembled cell by cell."""

import itertools

import numpy as np
import pytest
import scipy.sparse

from solvers.linalg import GridOperator, solve


def harmonic(a, b):
    return 2 * a * b / (a + b) if a + b > 0 else 0.0


def assembled(shape, k, mass, h, bc, mask, obstacle, unknowns):
    """The matrix of the definition, entry by entry."""
    size = int(np.prod(shape))
    dense, number = np.zeros((size, size)), np.arange(size).reshape(shape)
    for at in itertools.product(*map(range, shape)):
        row = number[at]
        if not mask[at]:
            dense[row, row] = 1
            continue
        dense[row, row] += mass[at]
        for axis, step in itertools.product(range(len(shape)), (-1, 1)):
            to = list(at)
            to[axis] += step
            wall = (2 if unknowns == "cells" else 1) * k[at] / h[axis] ** 2
            if not 0 <= to[axis] < shape[axis]:
                kind = bc[axis][step > 0]
                if kind == "dirichlet":
                    dense[row, row] += wall
                if kind != "periodic" or shape[axis] == 1:
                    continue
                to[axis] %= shape[axis]
            if mask[tuple(to)]:
                c = harmonic(k[at], k[tuple(to)]) / h[axis] ** 2
                dense[row, row] += c
                dense[row, number[tuple(to)]] -= c
            elif obstacle == "dirichlet":
                dense[row, row] += wall
    return dense


def random_case(seed, shape):
    rng = np.random.default_rng(seed)
    kinds = [("dirichlet", "neumann"), ("periodic", "periodic"), ("dirichlet", "dirichlet"), ("neumann", "neumann")]
    bc = [kinds[rng.integers(4)] for _ in shape]
    h = rng.uniform(0.5, 2, len(shape))
    return bc, h, rng.uniform(0.1, 3, shape), rng.uniform(0.1, 1, shape), rng.random(shape) < 0.7


@pytest.mark.parametrize("unknowns", ["nodes", "cells"])
@pytest.mark.parametrize("obstacle", ["neumann", "dirichlet"])
@pytest.mark.parametrize("shape", [(7,), (5, 6), (4, 3), (1, 6), (3, 4, 5), (4, 1, 2)])
def test_the_matrix_is_the_definition(shape, obstacle, unknowns, seed):
    bc, h, k, mass, mask = random_case(seed, shape)
    for coeff, of_mask in ((k, mask), (k, None), (2.0, mask), (2.0, None)):
        grid = GridOperator(shape, coeff, mass, h, bc, mask=of_mask, obstacle=obstacle, unknowns=unknowns)
        cells = np.broadcast_to(coeff, shape)
        there = np.ones(shape, bool) if of_mask is None else of_mask
        reference = assembled(shape, cells, mass, h, bc, there, obstacle, unknowns)
        np.testing.assert_allclose(grid.to_csr().toarray(), reference, rtol=1e-13, atol=1e-13)
        x = np.random.default_rng(seed).normal(size=grid.size)
        np.testing.assert_allclose(grid @ x, reference @ x, rtol=1e-11, atol=1e-11)
        for _ in range(2):  # it is kept, and given as a copy
            np.testing.assert_allclose(diagonal := grid.diagonal(), np.diag(reference), rtol=1e-13)
            diagonal.fill(0)


@pytest.mark.parametrize("shape", [(9,), (6, 7), (5, 4, 6)])
def test_from_csr(shape, seed):
    bc, h, k, mass, mask = random_case(seed, shape)
    for of_mask in (None, mask):
        for unknowns, obstacle in (("cells", "dirichlet"), ("nodes", "neumann")):
            grid = GridOperator(shape, k, mass, h, bc, mask=of_mask, obstacle=obstacle, unknowns=unknowns)
            matrix = grid.to_csr()
            again = GridOperator.from_csr(matrix, shape, of_mask)
            np.testing.assert_allclose(again.to_csr().toarray(), matrix.toarray(), rtol=1e-11, atol=1e-12)
            assert np.min(again.mass) >= 0


def test_from_csr_tells_walls_from_reaction():
    """Walls add to the cells at the ends alone; what all cells have is reaction."""
    grid = GridOperator((8, 8), 1.0, 0.25, unknowns="cells")
    again = GridOperator.from_csr(grid.to_csr(), (8, 8))
    np.testing.assert_allclose(again.mass, 0.25, atol=1e-12)
    np.testing.assert_allclose(again.walls(), grid.walls(), atol=1e-12)


def test_from_csr_refuses(seed):
    good = GridOperator((4, 5), 1.0, 0.5).to_csr()

    def spoiled(row, column, value, both=True):
        matrix = scipy.sparse.lil_array(good)
        matrix[row, column] = value
        if both:
            matrix[column, row] = value
        return scipy.sparse.csr_array(matrix)

    for matrix, words in (
        (spoiled(0, 1, -2.0, both=False), "not symmetric"),
        (spoiled(0, 7, -0.1), "not neighbours"),
        (spoiled(0, 1, 0.5), "is positive"),
        (spoiled(3, 3, 0.1), "sums to"),
        (spoiled(3, 3, np.nan), "NaN|finite"),
    ):
        with pytest.raises(ValueError, match=words):
            GridOperator.from_csr(matrix, (4, 5))
    with pytest.raises(ValueError, match="shape"):
        GridOperator.from_csr(good, (5, 5))
    with pytest.raises(TypeError, match="sparse"):
        GridOperator.from_csr(good.toarray(), (4, 5))
    mask = np.ones((4, 5), bool)
    mask[1, 1] = False
    with pytest.raises(ValueError, match="belongs to a cell outside of the mask"):
        GridOperator.from_csr(good, (4, 5), mask)
    masked = scipy.sparse.csr_array(GridOperator((4, 5), 1.0, 0.5, mask=mask).to_csr() * 2)
    with pytest.raises(ValueError, match=r"row 6 of A, outside of the mask, is not that of the identity"):
        GridOperator.from_csr(masked, (4, 5), mask)


@pytest.mark.parametrize("method", ["ssor-cg", "cg", "sor", "chebyshev", "multilevel-cg"])
def test_every_method_takes_a_mask(method, seed):
    bc, h, k, mass, mask = random_case(seed, (8, 10))
    grid = GridOperator((8, 10), k, mass, h, bc, mask=mask, obstacle="dirichlet", unknowns="cells")
    b = np.where(mask, np.random.default_rng(seed).normal(size=mask.shape), 0).ravel()
    result = solve(grid, b, method=method)
    assert result.success
    assert np.linalg.norm(b - grid.to_csr() @ result.x) <= 1e-8 * np.linalg.norm(b)
    assert not result.x[~mask.ravel()].any()


def test_update_of_the_mask(seed):
    bc, h, k, mass, mask = random_case(seed, (6, 7))
    grid = GridOperator((6, 7), k, mass, h, bc)
    grid.update(mask=mask)
    fresh = GridOperator((6, 7), k, mass, h, bc, mask=mask)
    np.testing.assert_array_equal(grid.to_csr().toarray(), fresh.to_csr().toarray())
    mask[:] = True  # a copy was made
    np.testing.assert_array_equal(grid.to_csr().toarray(), fresh.to_csr().toarray())


def test_bad_arguments():
    with pytest.raises(TypeError, match="mask must be an array of bool"):
        GridOperator((3, 4), mask=np.ones((3, 4)))
    with pytest.raises(ValueError, match="mask must be of shape"):
        GridOperator((3, 4), mask=np.ones((4, 3), bool))
    with pytest.raises(ValueError, match="obstacle"):
        GridOperator((3, 4), obstacle="periodic")
    with pytest.raises(ValueError, match="unknowns"):
        GridOperator((3, 4), unknowns="faces")
    coeff = np.ones((3, 4))
    coeff[1, 2] = -1
    with pytest.raises(ValueError, match=r"coeff must be >= 0, not -1.0 at \(1, 2\)"):
        GridOperator((3, 4), coeff)
    alone = GridOperator((2, 2), bc="neumann", mask=np.eye(2, dtype=bool))
    with pytest.raises(ValueError, match="neither neighbours nor sinks"):
        alone @ np.ones(4)
