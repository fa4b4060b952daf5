"""Systems with a GridOperator through `solve`: the counts of the same sparse matrix, in every ordering."""

import numpy as np
import pytest

from solvers.linalg import GridOperator, solve


@pytest.mark.parametrize(("m", "omega", "count"), [(10, 1.5603879, 41), (40, 1.8577877, 155), (40, 1.5, 1025)])
def test_sor_counts(m, omega, count):
    grid, b = GridOperator((m, m)), np.ones(m * m)
    result = solve(grid, b, method="sor", options={"omega": omega})
    assert result.success
    assert abs(result.nit - count) <= 1
    rarely = solve(grid, b, method="sor", options={"omega": omega, "check_every": 8, "ordering": "redblack"})
    every = solve(grid, b, method="sor", options={"omega": omega, "ordering": "redblack"})
    assert rarely.success
    assert every.success
    assert every.nit <= rarely.nit <= every.nit + 16


@pytest.mark.parametrize("bc", ["dirichlet", "neumann", ["periodic", "dirichlet"]])
def test_ssor_cg_counts(bc, seed):
    rng = np.random.default_rng(seed)
    coeff, b = np.exp(rng.normal(size=(31, 24))), rng.normal(size=31 * 24)
    for grid in (GridOperator((31, 24), 2.0, 0.1, bc=bc), GridOperator((31, 24), coeff, 0.1, bc=bc)):
        for omega in (1.0, 1.6):
            of_matrix = solve(grid.to_csr(), b, method="ssor-cg", options={"omega": omega})
            of_grid = solve(grid, b, method="ssor-cg", options={"omega": omega})
            assert of_grid.success
            assert abs(of_grid.nit - of_matrix.nit) <= 1
            np.testing.assert_allclose(of_grid.x, of_matrix.x, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("method", ["sor", "ssor-cg", "cg", "chebyshev", "jacobi"])
def test_every_method(method):
    grid = GridOperator((9, 5, 12), mass=2.0, bc=["neumann", "dirichlet", "periodic"])
    b = np.random.default_rng(11).normal(size=grid.size)
    result = solve(grid, b, method=method)
    assert result.success
    assert np.linalg.norm(b - grid.to_csr() @ result.x) <= 1e-8 * np.linalg.norm(b)


def test_singular_systems():
    grid = GridOperator((20, 30), bc="neumann")
    b = np.random.default_rng(3).normal(size=grid.size)
    b -= b.mean()
    for method, options in (("cg", {}), ("ssor-cg", {"omega": 1.5}), ("sor", {"omega": 1.7, "ordering": "redblack"})):
        result = solve(grid, b, method=method, options=options)
        assert result.success
        assert np.linalg.norm(b - grid.to_csr() @ result.x) <= 1e-8 * np.linalg.norm(b)
