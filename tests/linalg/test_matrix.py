"""Plans: what they accept, refuse, keep and update."""

import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

from solvers.linalg import Plan, plan, solve

sys.path.insert(0, str(Path(__file__).parent))
from matrices import laplacian, random

ORDERINGS = ["natural", "wavefront", "multicolor", "blocks"]


def swept(made, ordering, seed=3):
    b, x = np.random.default_rng(seed).normal(size=(2, made.size))
    return made.sweep(x, b, omega=1.4, ordering=ordering, sweeps=2)


@pytest.mark.parametrize("values", [np.float64, np.float32])
@pytest.mark.parametrize("indices", [np.int32, np.int64])
def test_arrays_are_read_in_place(values, indices):
    A = laplacian(5, 6).astype(values)
    A.indptr, A.indices = A.indptr.astype(indices), A.indices.astype(indices)
    made = plan(A)
    assert made.copies == 0
    assert np.shares_memory(made.matrix.data, A.data)
    assert np.shares_memory(made.matrix.indices, A.indices)
    assert made.matrix.indices.dtype == made.matrix.indptr.dtype == indices
    assert made.matrix.dtype == values
    assert (made.size, made.entries, made.capability) == (30, A.nnz, "sparse-matrix")
    assert made.operand("natural") is made.operand("natural")


@pytest.mark.parametrize("make", [scipy.sparse.coo_array, scipy.sparse.csc_matrix, scipy.sparse.bsr_array, np.asarray])
def test_all_formats_are_one_matrix(make):
    A = laplacian(6, 6)
    other = plan(make(A.toarray()))
    assert other.copies == 1
    assert np.array_equal(swept(other, "natural"), swept(plan(A), "natural"))
    assert plan(other) is other


def test_integers_become_float64():
    made = plan(scipy.sparse.csr_array(np.array([[2, -1], [-1, 2]])))
    assert made.matrix.dtype == np.float64
    assert np.allclose(solve(made, [1.0, 1.0]).x, 1)


@pytest.mark.parametrize("ordering", ORDERINGS)
def test_update_is_a_new_plan(ordering, seed):
    A = random(90, 4, seed)
    made = plan(A)
    before = swept(made, ordering)
    new = A.data * np.random.default_rng(seed).uniform(0.9, 1.1, A.nnz)
    made.update(new)
    B = scipy.sparse.csr_array((new, A.indices, A.indptr), shape=A.shape)
    assert np.array_equal(swept(made, ordering), swept(plan(B), ordering))
    made.update(A)
    assert np.array_equal(swept(made, ordering), before)
    made.update(new.astype(np.float32))
    assert made.matrix.dtype == np.float32
    assert np.array_equal(swept(made, ordering), swept(plan(B.astype(np.float32)), ordering))
    made.update(scipy.sparse.csc_array(B))
    assert np.array_equal(swept(made, ordering), swept(plan(B), ordering))


@pytest.mark.parametrize("ordering", ORDERINGS)
def test_unsorted_rows_and_duplicates(ordering, seed):
    rng = np.random.default_rng(seed)
    A = random(40, 3, seed)
    rows = np.repeat(np.arange(40), np.diff(A.indptr))
    twice = rng.permutation(np.repeat(np.arange(A.nnz), 2))
    order = twice[np.argsort(rows[twice], kind="stable")]
    messy = scipy.sparse.csr_array((A.data[order] / 2, A.indices[order], 2 * A.indptr), shape=A.shape)
    given = messy.data.copy(), messy.indices.copy()
    with pytest.warns(UserWarning, match="sorted and summed"):
        made = plan(messy)
    assert made.copies == 1
    assert np.array_equal(messy.data, given[0])
    assert np.array_equal(messy.indices, given[1])
    np.testing.assert_allclose(made.matrix.toarray(), A.toarray(), rtol=1e-15)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first = swept(made, ordering)
        made.update(2 * messy.data)
        made.update(messy)
    assert np.array_equal(swept(made, ordering), first)


def broken(A, row, value):
    A = A.copy()
    A.data[np.flatnonzero(A.indices[A.indptr[row] : A.indptr[row + 1]] == row)[0] + A.indptr[row]] = value
    return A


@pytest.mark.parametrize(("value", "what"), [(0.0, "0.0"), (5e-310, "subnormal"), (np.nan, "nan"), (-np.inf, "-inf")])
@pytest.mark.parametrize("check", [True, False])
def test_the_diagonal_is_named(value, what, check):
    A = laplacian(4, 4)
    with pytest.raises(ValueError, match=rf"A\[7, 7\] is .*{what}"):
        plan(broken(A, 7, value), check_finite=check)
    made = plan(A, check_finite=check)
    first = swept(made, "natural")
    with pytest.raises(ValueError, match=rf"A\[7, 7\] is .*{what}"):
        made.update(broken(A, 7, value).data)
    assert np.array_equal(swept(made, "natural"), first)


def test_a_subnormal_float32():
    with pytest.raises(ValueError, match=r"A\[2, 2\] is .*subnormal"):
        plan(broken(laplacian(4, 4), 2, 1e-40).astype(np.float32))


def test_a_missing_diagonal():
    A = laplacian(3, 3)
    A = broken(A, 5, 0.0)
    A.eliminate_zeros()
    with pytest.raises(ValueError, match=r"A\[5, 5\] is missing"):
        plan(A)
    with pytest.raises(ValueError, match="missing"):
        plan(scipy.sparse.csr_array((3, 3)))


def test_the_finite_check():
    A = laplacian(4, 4)
    A.data[1] = np.nan  # of row 0, off the diagonal
    with pytest.raises(ValueError, match=r"A.data must be finite"):
        plan(A)
    made = plan(A, check_finite=False)
    with pytest.raises(ValueError, match=r"A.data must be finite"):
        plan(laplacian(4, 4)).update(A.data)
    made.update(A.data)


def test_what_is_no_square_real_matrix():
    with pytest.raises(ValueError, match="square"):
        plan(np.ones((2, 3)))
    with pytest.raises(TypeError, match="real"):
        Plan(1j * np.eye(3))


def test_no_rows():
    made = plan(scipy.sparse.csr_array((0, 0)))
    assert (made.size, made.entries) == (0, 0)
    assert made.residual(np.zeros(0), np.zeros(0)).shape == (0,)


@pytest.mark.parametrize(("array", "at", "value", "what"), [
    ("indices", 3, 99, "row 1"), ("indices", 3, -1, "row 1"), ("indptr", 2, 50, "ascend"),
    ("indptr", 0, 1, "begin with 0"), ("indptr", -1, 3, "end|ascend"),
])  # fmt: skip
def test_index_arrays_of_no_matrix(array, at, value, what):
    """They would have the kernels read foreign memory."""
    A = laplacian(3, 3)
    getattr(A, array)[at] = value
    with pytest.raises(ValueError, match=what):
        plan(A)


def test_update_refuses_what_does_not_fit():
    A = laplacian(5, 5)
    made = plan(A)
    first = swept(made, "wavefront")
    for bad in (A.data[:-1], np.ones((A.nnz, 1)), np.ones(A.nnz + 1)):
        with pytest.raises(ValueError, match="data must have shape"):
            made.update(bad)
    with pytest.raises(TypeError, match="data must be real"):
        made.update(1j * A.data)
    other = laplacian(25)
    with pytest.raises(ValueError, match="another pattern"):
        made.update(other)
    assert np.array_equal(swept(made, "wavefront"), first)
    made.update(other, allow_replan=True)
    assert np.array_equal(swept(made, "wavefront"), swept(plan(other), "wavefront"))


def test_symmetry_is_looked_at_anew_after_an_update():
    A = laplacian(5, 5)
    made, b = plan(A), np.ones(25)
    assert solve(made, b, method="cg").success
    lopsided = A.data.copy()
    lopsided[1] *= 2
    made.update(lopsided)
    with pytest.raises(ValueError, match="not symmetric"):
        solve(made, b, method="cg")
    made.update(A.data)
    assert solve(made, b, method="cg").success
    one_sided = scipy.sparse.csr_array(A + scipy.sparse.csr_array(([-0.5], ([0], [24])), shape=A.shape))
    made.update(one_sided, allow_replan=True)
    with pytest.raises(ValueError, match="not symmetric"):
        solve(made, b, method="cg")


def test_a_sequence_of_solves_with_one_plan():
    A = laplacian(12, 12)
    made = plan(A)
    for shift in (0.0, 1.0, 3.0):
        B = scipy.sparse.csr_array(A + shift * scipy.sparse.eye_array(144))
        made.update(B.data)
        result = solve(made, np.ones(144), rtol=1e-10)
        assert result.success
        np.testing.assert_allclose(B @ result.x, 1, rtol=1e-8)


@pytest.mark.parametrize("values", [np.float64, np.float32])
def test_what_an_assembly_cancels_is_no_asymmetry(values):
    """Entries that should be zero are rounding, which has no mirror image."""
    noise = np.finfo(values).eps
    A = laplacian(6, 6).tolil()
    A[0, 7], A[7, 0], A[20, 3] = 3 * noise, -2 * noise, noise
    A = scipy.sparse.csr_array(A).astype(values)
    made = plan(A)
    assert made.symmetric
    made.update(np.ldexp(A.data, 100))  # the second values of a pattern, of another size
    assert made.symmetric
    far = A.copy()
    far[20, 3] = 1e-3
    assert not plan(far).symmetric
    made.update(far.data)
    assert not made.symmetric


@pytest.mark.parametrize("seed", range(8))
def test_symmetry_against_its_definition(seed):
    """Of random patterns and values, with single entries changed or left out."""
    rng = np.random.default_rng(seed)
    dense = (rng.random((12, 12)) < 0.3) * rng.normal(size=(12, 12))
    dense = dense + dense.T
    np.fill_diagonal(dense, rng.uniform(1, 100, 12))
    assert plan(dense).symmetric
    for i, j in zip(*np.nonzero(dense), strict=True):
        if i != j:
            for value in (0.0, dense[i, j] + 1e-6, -dense[i, j]):
                spoiled = dense.copy()
                spoiled[i, j] = value
                assert not plan(spoiled).symmetric, (i, j, value)
