"""Systems with a GridOperator through `solve`: the counts of the same sparse matrix, in every ordering."""

import dataclasses
import pickle

import numpy as np
import pytest
from test_grid import made

from solvers.linalg import GridOperator, _kernels, plan, solve


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


@pytest.mark.parametrize("shape", [(1,), (7,), (8,), (33,), (1, 9), (5, 16), (12, 17), (3, 4, 8), (4, 3, 23)])
def test_one_number_on_the_diagonal_is_no_other_operator(shape, seed):
    rng, spacing = np.random.default_rng(seed), [0.5, 0.8, 1.1][: len(shape)]
    uniform = GridOperator(shape, 1.7, 0.05, spacing)
    varying = GridOperator(shape, np.full(shape, 1.7), np.full(shape, 0.05), spacing)
    b, x = rng.normal(size=(2, uniform.size))
    one, other = uniform.operand("natural"), varying.operand("natural")
    for upper in (False, True):
        images = []
        for operand in (one, other):
            operand.triangular_solve(1.6, upper, operand.pack(b), out := operand.zeros())
            images.append(operand.unpack(out))
        np.testing.assert_allclose(*images, rtol=1e-12, atol=1e-13)
    sums = []
    for operand in (one, other):
        sums.append(operand.eisenstat(1.6, operand.pack(b), operand.pack(x), out := operand.zeros()))
        sums.append(operand.unpack(out))
    np.testing.assert_allclose(sums[0], sums[2], rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(sums[1], sums[3], rtol=1e-11, atol=1e-12)
    found = [solve(grid, b, x0=x, method="ssor-cg", options={"omega": 1.6}) for grid in (uniform, varying)]
    assert found[0].success
    assert abs(found[0].nit - found[1].nit) <= 1
    np.testing.assert_allclose(found[0].x, found[1].x, rtol=1e-6, atol=1e-7)
    # t of a step that is the first is that of one that goes on
    stepped = solve(uniform, b, x0=x, method="ssor-cg", options={"omega": 1.6}, callback=lambda result: None)
    np.testing.assert_array_equal(stepped.x, found[0].x)


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


@pytest.mark.parametrize("kind", ["constant", "cells", "faces"])
@pytest.mark.parametrize(
    ("shape", "bc"),
    [((1, 1), ["dirichlet"] * 2), ((2, 3), ["neumann"] * 2), ((17,), ["periodic"]), ((17, 1), ["dirichlet", "neumann"]),
     ((5, 64), ["neumann", "periodic"]), ((64, 17), ["periodic", ("neumann", "dirichlet")]),
     ((3, 2, 17), ["neumann", "dirichlet", "neumann"]), ((4, 5, 9), ["periodic", "dirichlet", "periodic"])],
)  # fmt: skip
def test_iterations_of_ssor_cg_are_those_of_the_matrix(shape, bc, kind, seed):
    """An iteration on a grid is two passes, on a matrix four: the iterates are the same."""
    rng = np.random.default_rng(seed)
    grid = made(rng, shape, kind, bc)
    b, x0 = rng.normal(size=(2, grid.size))
    matrix = plan(grid.to_csr())
    for omega, most in ((1.3, 1), (1.7, 3), (0.7, 7)):
        keywords = {"x0": x0, "method": "ssor-cg", "max_iter": most, "options": {"omega": omega, "ordering": "natural"}}
        of_grid, of_matrix = solve(grid, b, **keywords), solve(matrix, b, **keywords)
        assert of_grid.nit == of_matrix.nit
        size = np.linalg.norm(of_matrix.x)
        assert np.linalg.norm(of_grid.x - of_matrix.x) <= 1e-8 * size


def test_ssor_cg_goes_on_to_the_same_bits(seed):
    rng = np.random.default_rng(seed)
    grid = GridOperator((23, 31), np.exp(rng.normal(size=(23, 31))), 0.01, bc=["neumann", "periodic"])
    b = rng.normal(size=grid.size)
    whole = solve(grid, b, method="ssor-cg", rtol=1e-11)
    each = solve(grid, b, method="ssor-cg", rtol=1e-11, callback=lambda result: None)
    first = solve(grid, b, method="ssor-cg", rtol=1e-11, max_iter=9)
    rest = solve(grid, b, method="ssor-cg", rtol=1e-11, resume=first.state)
    assert whole.success
    assert whole.nit == each.nit == rest.nit
    np.testing.assert_array_equal(each.x, whole.x)
    np.testing.assert_array_equal(rest.x, whole.x)


@pytest.mark.parametrize("method", ["sor", "ssor-cg", "cg", "chebyshev", "jacobi"])
@pytest.mark.parametrize("saved", [False, True])
def test_a_last_state_has_all_its_vectors_in_the_users_order(method, saved, seed, monkeypatch):
    """They stay as the kernels left them until somebody looks; then they are what they would have been at once."""
    grid, b = GridOperator((13, 11), mass=2.0), np.random.default_rng(seed).normal(size=143)
    state = solve(grid, b, method=method).state
    assert "kept" not in state.__dict__
    monkeypatch.setattr(_kernels, "Grid", ())  # no operand is one: nothing is put off
    at_once = solve(grid, b, method=method).state
    assert "kept" in at_once.__dict__
    state = pickle.loads(pickle.dumps(state)) if saved else state
    for field in dataclasses.fields(state):
        found, expected = getattr(state, field.name), getattr(at_once, field.name)
        np.testing.assert_array_equal(found, expected, field.name)
    with pytest.raises(AttributeError, match="nothing"):
        state.nothing  # noqa: B018
