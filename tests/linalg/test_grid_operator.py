"""GridOperator as a linear operator: SciPy's solvers, updates, singular systems, bad input."""

import pickle

import numpy as np
import pytest
import scipy.sparse.linalg

from solvers.linalg import GridOperator


def test_scipy_takes_it(seed):
    rng = np.random.default_rng(seed)
    grid = GridOperator((12, 15), rng.uniform(0.1, 3, (12, 15)), bc="neumann", mass=0.1)
    b = rng.normal(size=grid.size)
    x, info = scipy.sparse.linalg.cg(grid, b, rtol=1e-12)
    assert info == 0
    np.testing.assert_allclose(x, scipy.sparse.linalg.spsolve(grid.to_csr().tocsc(), b), rtol=1e-9, atol=1e-10)
    X = rng.normal(size=(grid.size, 3))
    np.testing.assert_allclose(grid @ X, grid.to_csr() @ X, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(grid.T @ b, grid @ b)
    np.testing.assert_allclose(grid.residual(b, x), b - grid.to_csr() @ x, atol=1e-12)
    assert grid.residual(b.reshape(12, 15), x.reshape(12, 15)).shape == (12, 15)


def test_a_singular_consistent_system(seed):
    rng = np.random.default_rng(seed)
    for bc in ("neumann", "periodic", ["neumann", "periodic"]):
        grid = GridOperator((10, 14), bc=bc)
        b = rng.normal(size=grid.size)
        b -= b.mean()
        x, info = scipy.sparse.linalg.cg(grid, b, rtol=1e-10)
        assert info == 0
        assert np.linalg.norm(grid.residual(b, x)) <= 1e-9 * np.linalg.norm(b)
        x = np.zeros(grid.size)
        grid.sweep(x, b, omega=1.6, sweeps=300)
        assert np.linalg.norm(grid.residual(b, x)) <= 1e-6 * np.linalg.norm(b)


def test_eigenvalues_of_the_laplacian():
    """sin(pi i / (n + 1)) and its like are eigenvectors."""
    shape, h = (9, 13, 5), (0.5, 1.0, 2.0)
    grid = GridOperator(shape, 2.0, 0.25, h)
    waves = [np.sin(np.pi * np.arange(1, n + 1) / (n + 1)) for n in shape]
    x = np.einsum("i,j,k->ijk", *waves).ravel()
    value = 0.25 + sum(8 / s**2 * np.sin(np.pi / (2 * n + 2)) ** 2 for n, s in zip(shape, h, strict=True))
    np.testing.assert_allclose(grid @ x, value * x, rtol=1e-12)


def test_a_coefficient_that_is_the_same_everywhere(seed):
    """Cells and faces of one value are the constant operator, for all kinds of ends."""
    rng = np.random.default_rng(seed)
    for bc in ("dirichlet", "neumann", "periodic"):
        x = rng.normal(size=60)
        grids = [
            GridOperator((6, 10), 3.0, 0.5, 0.3, bc),
            GridOperator((6, 10), np.full((6, 10), 3.0), 0.5, 0.3, bc),
            GridOperator((6, 10), (np.full((7, 10), 3.0), np.full((6, 11), 3.0)), np.full((6, 10), 0.5), 0.3, bc),
        ]
        assert [grid.constant for grid in grids] == [True, False, False]
        for grid in grids[1:]:
            np.testing.assert_allclose(grid @ x, grids[0] @ x, rtol=1e-12, atol=1e-12)


def test_nested_lists_are_values_at_the_cells():
    rows = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
    assert (GridOperator((2, 3), rows).to_csr() != GridOperator((2, 3), np.array(rows)).to_csr()).nnz == 0
    assert (GridOperator((2, 3), tuple(rows)).to_csr() != GridOperator((2, 3), np.array(rows)).to_csr()).nnz == 0


def test_harmonic_means():
    grid = GridOperator(3, [1.0, 3.0, 0.0], mass=1.0)
    np.testing.assert_allclose(grid.to_csr().toarray(), [[3.5, -1.5, 0], [-1.5, 2.5, 0], [0, 0, 1]])


def test_update():
    grid = GridOperator((5, 6), 1.0, 1.0)
    before, x = grid.operand("natural"), np.arange(30.0)
    was = grid @ x
    grid.update(coeff=0.25)
    np.testing.assert_allclose(grid @ x, GridOperator((5, 6), 0.25, 1.0) @ x)
    grid.update(mass=2.0)
    np.testing.assert_allclose(grid @ x, GridOperator((5, 6), 0.25, 2.0) @ x)
    grid.update(coeff=np.ones((5, 6)), mass=1.0)
    np.testing.assert_allclose(grid @ x, was)
    out = np.empty(before.size)
    before.multiply(before.pack(x), out)
    np.testing.assert_allclose(before.unpack(out), was)


def test_the_users_arrays_stay_theirs():
    coeff, mass = np.ones((4, 5)), np.ones((4, 5))
    grid, x = GridOperator((4, 5), coeff, mass), np.arange(20.0)
    before = grid @ x
    coeff[:], mass[:] = 7, 7
    grid.update(mass=1.0)
    np.testing.assert_allclose(grid @ x, before)
    assert np.array_equal(x, np.arange(20.0))


def test_pickled(seed):
    """Whatever it was made of: the same operator, which may be updated."""
    rng = np.random.default_rng(seed)
    faces = [rng.uniform(1, 2, (6, 6)), rng.uniform(1, 2, (5, 7))]
    for coeff, mask in ((2.0, None), (rng.uniform(1, 2, (5, 6)), rng.random((5, 6)) < 0.8), (faces, None)):
        given = {"spacing": (0.5, 1.0), "bc": ["neumann", "dirichlet"], "obstacle": "dirichlet", "unknowns": "cells"}
        grid = GridOperator((5, 6), coeff, 0.25, mask=mask, **given)
        again = pickle.loads(pickle.dumps(grid))
        assert (again.to_csr() != grid.to_csr()).nnz == 0
        for one in (grid, again):
            one.update(mask=np.arange(30).reshape(5, 6) % 7 > 0)
        assert (again.to_csr() != grid.to_csr()).nnz == 0


BAD = [
    ({"shape": ()}, "shape must be"),
    ({"shape": (3, 0)}, "shape must be"),
    ({"shape": (2, 2, 2, 2)}, "shape must be"),
    ({"shape": (2.5,)}, "shape must be"),
    ({"shape": (3, 3), "coeff": -1.0}, "coeff must be >= 0"),
    ({"shape": (3, 3), "coeff": np.nan}, "coeff must be finite"),
    ({"shape": (3, 3), "coeff": np.ones(4)}, "coeff must be a number or"),
    ({"shape": (3, 3), "coeff": [np.ones((4, 3)), np.ones((3, 3))]}, r"coeff\[1\], faces along axis 1"),
    ({"shape": (3, 3), "coeff": [-np.ones((4, 3)), np.ones((3, 4))]}, r"coeff\[0\] must be >= 0"),
    ({"shape": 2, "coeff": [np.array([1.0, 2, 3])], "bc": "periodic"}, "same first and last faces"),
    ({"shape": (3, 3), "mass": np.inf}, "mass must be finite"),
    ({"shape": (3, 3), "mass": -9.0}, "diagonal positive"),
    ({"shape": (3, 3), "coeff": 0.0}, "diagonal positive"),
    ({"shape": 1, "bc": "neumann"}, "diagonal positive"),
    ({"shape": (3, 3), "spacing": 0.0}, "spacing must be"),
    ({"shape": (3, 3), "spacing": (1.0, 1.0, 1.0)}, "spacing must be"),
    ({"shape": (3, 3), "spacing": 1e-200}, "spacing must be"),
    ({"shape": (3, 3), "spacing": 1e-100, "coeff": 1e150}, "diagonal positive and finite"),
    ({"shape": (3, 3), "spacing": 1e-100, "coeff": np.full((3, 3), 1e150)}, "diagonal positive and finite"),
    ({"shape": (3, 3), "bc": "robin"}, "bc must be of"),
    ({"shape": (3, 3), "bc": None}, "bc must be of"),
    ({"shape": (3, 3), "bc": ["neumann", 3]}, "bc must be of"),
    ({"shape": (3, 3), "bc": ["neumann"]}, "bc must be one kind"),
    ({"shape": (3, 3), "bc": [("periodic", "neumann"), "neumann"]}, "periodic at both ends"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        GridOperator(**arguments)


def test_a_failed_update_changes_nothing():
    grid = GridOperator((3, 4), 2.0, 1.0)
    before = grid.diagonal()
    for bad in ({"coeff": -1.0}, {"mass": -100.0}, {"mass": np.nan}):
        with pytest.raises(ValueError):
            grid.update(**bad)
    assert np.array_equal(grid.diagonal(), before)


@pytest.mark.parametrize(
    "spacing", ["1", ["1", "2"], b"1", np.array("2"), 1j, None, np.ma.masked_array([1.0, 2.0], [0, 1])]
)
def test_a_spacing_that_is_no_number_is_refused_by_name(spacing):
    with pytest.raises(TypeError, match="spacing"):
        GridOperator((3, 4), spacing=spacing)
