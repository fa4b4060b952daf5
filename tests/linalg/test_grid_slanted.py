"""The layout in which SSOR-CG takes a uniform grid: its kernels against the natural layout, and whole solves."""

import numpy as np
import pytest

from solvers.linalg import GridOperator, solve

#: Last strips with every number of rows, of 8, 4 or 2 lanes; rows of every length modulo 8, and the shortest; one layer
#: and several, with and without rows of zeros between them.
SHAPES = [
    *((n, 40) for n in (6, 7, 8, 11, 12, 13, 14, 15, 16, 17, 23, 31, 32)),
    *((8, n) for n in (29, 30, 31, 32, 33, 34, 35, 36, 99, 136)), (99, 99), (17, 300), (30, 512),
    (2, 8, 30), (3, 14, 33), (5, 23, 45), (1, 16, 64), (16, 24, 64),
]  # fmt: skip


def layouts(shape, mass=0.3):
    grid = GridOperator(shape, 0.7, mass, 0.3)
    return grid, grid.operand("slanted"), grid.operand("natural")


def close(found, expected, size=None):
    assert np.abs(found - expected).max() <= 1e-13 * (np.abs(expected).max() if size is None else size)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_kernels_have_the_natural_layouts_results(shape):
    grid, slanted, natural = layouts(shape)
    rng = np.random.default_rng(0)
    x, b = rng.standard_normal((2, grid.size))
    assert np.array_equal(slanted.unpack(slanted.pack(x)), x)

    def both(kernel):
        """The vector, which begins as NaN and has zeros where no cell is, and the number that a kernel gives."""
        out = slanted.room()
        out[:] = np.nan
        reference = natural.zeros()
        number, expected = kernel(slanted, out), kernel(natural, reference)
        cells, others = slanted.unpack(out), natural.unpack(reference)
        close(cells, others)
        assert np.count_nonzero(out) == np.count_nonzero(cells)
        if number is not None:
            assert abs(number - expected) <= 1e-12 * np.linalg.norm(others) * np.linalg.norm([b, x, others])
        return cells

    both(lambda operand, out: operand.residual(operand.pack(b), operand.pack(x), out))
    both(lambda operand, out: operand.multiply(operand.pack(x), out))
    for omega in (0.5, 1.0, 1.9):
        t = both(lambda operand, out, omega=omega: operand.triangular_solve(omega, True, operand.pack(x), out))
        both(lambda operand, out, omega=omega, t=t: operand.eisenstat(omega, operand.pack(b), operand.pack(t), out))
        both(lambda operand, out, omega=omega: operand.lower_product(omega, operand.pack(x), out))


@pytest.mark.parametrize("shape", [(60,), (99, 99), (30, 131), (11, 15, 40)], ids=str)
@pytest.mark.parametrize("omega", [1.0, 1.7, "auto"])
def test_solves_take_the_iterations_of_the_matrix(shape, omega):
    grid = GridOperator(shape, 0.7, 1e-3, 0.3)
    b, x0 = np.random.default_rng(1).standard_normal((2, grid.size))
    options = {"omega": omega}
    result = solve(grid, b, x0=x0, method="ssor-cg", options=options)
    of_matrix = solve(grid.to_csr(), b, x0=x0, method="ssor-cg", options=options)
    assert result.success
    assert abs(result.nit - of_matrix.nit) <= max(1, 0.03 * of_matrix.nit)
    close(result.x, of_matrix.x, 1e6 * np.abs(of_matrix.x).max())
    stepped = solve(grid, b, x0=x0, method="ssor-cg", options=options, callback=lambda _: None)
    assert stepped.nit == result.nit
    assert np.array_equal(stepped.x, result.x)


def test_coefficients_that_make_powers_vanish_cost_no_finiteness():
    """Powers of omega coupling / diagonal below the least float, and squares of residuals too."""
    for mass in (1e3, 1e30, 1e200):
        grid = GridOperator((8, 300), 1.0, mass)
        result = solve(grid, np.ones(grid.size), method="ssor-cg", options={"omega": 1.0})
        assert result.success
        assert np.abs(grid @ result.x - 1).max() <= 1e-8


OTHERS = [
    {"bc": "neumann", "mass": 1.0}, {"bc": "periodic", "mass": 1.0}, {"unknowns": "cells"}, {"mass": np.ones(320)},
]  # fmt: skip


@pytest.mark.parametrize("keywords", OTHERS, ids=str)
def test_other_grids_do_not_slant(keywords):
    does_not_slant(GridOperator((8, 40), **keywords))


@pytest.mark.skipif(GridOperator((1, 100)).slants, reason="one lane: any row is a strip")
@pytest.mark.parametrize("shape", [(1,), (1000,), (1, 100), (8, 5), (4, 1, 70), (6, 5000)], ids=str)
def test_shapes_that_fill_no_strips_do_not_slant(shape):
    does_not_slant(GridOperator(shape))


def does_not_slant(grid):
    assert not grid.slants
    with pytest.raises(ValueError, match="ordering must be one of natural, redblack"):
        grid.operand("slanted")
    assert solve(grid, np.ones(grid.size), method="ssor-cg").success


def test_sweeps_take_no_slanted_layout():
    grid = GridOperator((8, 40))
    with pytest.raises(ValueError, match="ordering must be one of natural, redblack"):
        grid.sweep(np.zeros(320), np.ones(320), ordering="slanted")
