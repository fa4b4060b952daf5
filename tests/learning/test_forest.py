"""Forests in a graph, elimination on them, and conjugate gradients over them, against NumPy and SciPy."""

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.csgraph
import scipy.sparse.linalg

import solvers
from solvers._base.blocks import _kernels, partition


def forest(rng, size, trees):
    """A random forest as a matrix in rows, symmetric positive definite, in a random order."""
    parent = np.array([-1 if i < trees else rng.integers(max(0, i - rng.integers(1, 9)), i) for i in range(size)])
    child = np.flatnonzero(parent >= 0)
    weight = rng.standard_normal(len(child)) * 10 ** rng.uniform(-2, 2, len(child))
    half = scipy.sparse.coo_array((weight, (child, parent[child])), shape=(size, size))
    off = half + half.T
    diagonal = np.asarray(abs(off).sum(axis=1)).ravel() * (1 + 10 ** rng.uniform(-7, 0)) + 1e-3
    order = rng.permutation(size)
    return scipy.sparse.csr_array((off + scipy.sparse.diags_array(diagonal)).tocsr()[order][:, order])


def graph(rng, size, edges):
    """A Laplacian plus a diagonal of a random graph."""
    i, j = rng.integers(size, size=(2, edges))
    keep = i != j
    W = scipy.sparse.csr_array((rng.random(keep.sum()) + 0.1, (i[keep], j[keep])), shape=(size, size))
    W = W + W.T
    return scipy.sparse.csr_array(scipy.sparse.diags_array(np.asarray(W.sum(axis=1)).ravel() + 0.05) - W)


def lattice(side):
    line = scipy.sparse.diags_array([1.0, 1.0], offsets=[-1, 1], shape=(side, side))
    one = scipy.sparse.eye_array(side)
    W = scipy.sparse.kron(line, one) + scipy.sparse.kron(one, line)
    return scipy.sparse.csr_array(scipy.sparse.diags_array(np.full(side * side, 4.5)) - W)


@pytest.mark.parametrize("seed", range(10))
def test_elimination_is_exact(seed):
    rng = np.random.default_rng(seed)
    for _ in range(100):
        size = int(rng.integers(1, 500) if rng.random() < 0.1 else rng.integers(1, 40))
        A = forest(rng, size, int(rng.integers(1, 5)))
        b = rng.standard_normal(size)
        forests = _kernels.Forests(_kernels.Rows(A), np.zeros(size, np.int32), 1)
        y = b[forests.nodes]
        forests.solve(0, y)
        x = np.empty(size)
        x[forests.nodes] = y
        expected = np.linalg.solve(A.toarray(), b)
        np.testing.assert_allclose(x, expected, rtol=0, atol=1e-10 * max(np.abs(expected).max(), 1e-300))


def test_a_cycle_is_refused():
    ring = scipy.sparse.csr_array(3 * np.eye(5) - np.roll(np.eye(5), 1, 0) - np.roll(np.eye(5), -1, 0))
    with pytest.raises(ValueError, match="cycle"):
        _kernels.Forests(_kernels.Rows(ring), np.zeros(5, np.int32), 1)
    with pytest.raises(ValueError, match="cycle"):
        solvers.learning.quadratic(ring, np.ones(5), blocks=[[0, 1, 2, 3, 4]], options={"accel": "cg"})
    two = solvers.learning.quadratic(ring, np.ones(5), blocks=[[0, 1], [2, 3, 4]], options={"accel": "cg"})
    assert two.success
    np.testing.assert_allclose(ring @ two.x, 1, atol=1e-7)


def test_a_singular_forest_is_told():
    path = scipy.sparse.csr_array(np.array([[1.0, -1.0], [-1.0, 1.0]]))
    with pytest.raises(np.linalg.LinAlgError, match="singular"):
        solvers.learning.quadratic(path, [1.0, -1.0], options={"accel": "cg"})
    # nothing asked for: other rules solve what is consistent, and tell what is not
    assert solvers.learning.quadratic(path, [1.0, -1.0]).success
    assert solvers.learning.quadratic(path, [1.0, 1.0]).status is solvers.Status.DIVERGED


@pytest.mark.parametrize("seed", [1, 9, 40])
def test_classes_are_what_they_are_called(seed):
    rng = np.random.default_rng(seed)
    for A in (graph(rng, 60, 150), graph(rng, 200, 220), lattice(9)):
        rows, diagonal = _kernels.Rows(A), A.diagonal()
        for rule in ("red_black", "forest"):
            blocks = partition.coloured(rule, rows, diagonal)
            assert sorted(np.concatenate(blocks)) == list(range(A.shape[0]))
            for block in blocks:
                inside = A[block][:, block]
                edges = (inside.nnz - len(block)) // 2
                trees, _ = scipy.sparse.csgraph.connected_components(inside, directed=False)
                assert edges == (0 if rule == "red_black" else len(block) - trees)
    assert len(partition.coloured("red_black", _kernels.Rows(lattice(8)), np.ones(64))) == 2
    assert len(partition.coloured("forest", _kernels.Rows(lattice(8)), np.ones(64))) <= 3


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (5, 1), (2, 2), (4, 7), (7, 4)])
def test_combs_are_forests(shape):
    rows, columns = shape
    A = scipy.sparse.lil_array((rows * columns, rows * columns))
    for i in range(rows):
        for j in range(columns):
            for other in ((i + 1, j), (i, j + 1)):
                if other[0] < rows and other[1] < columns:
                    at = i * columns + j, other[0] * columns + other[1]
                    A[at], A[at[::-1]] = -1, -1
    A.setdiag(4.5)
    A = scipy.sparse.csr_array(A)
    result = solvers.learning.quadratic(A, np.ones(rows * columns), blocks=solvers.learning.comb(shape), tol=1e-12,
                                        options={"accel": "cg"})  # fmt: skip
    assert result.success
    np.testing.assert_allclose(A @ result.x, 1, atol=1e-10)


@pytest.mark.parametrize("seed", [1, 9, 40])
@pytest.mark.parametrize("make", ["lattice", "few", "many"])
def test_conjugate_gradients_over_forests(seed, make):
    rng = np.random.default_rng(seed)
    A = lattice(20) if make == "lattice" else graph(rng, *{"few": (300, 400), "many": (200, 1500)}[make])
    c = rng.standard_normal(A.shape[0])
    expected = scipy.sparse.linalg.spsolve(A.tocsc(), c)
    result = solvers.learning.quadratic(A, c, tol=1e-11, options={"accel": "cg"})
    assert result.success
    assert result.options["accel"] == "cg"
    np.testing.assert_allclose(result.x, expected, rtol=0, atol=1e-8 * np.abs(expected).max())
    steps = solvers.linalg.solve(A, c, method="cg", M="jacobi", rtol=1e-11).nit
    assert result.nit < (1.3 if make == "many" else 1) * steps  # a tree has little of a dense graph


@pytest.mark.parametrize("rule", ["forest", "red_black", "variable_forest"])
def test_alternation_over_classes_converges(rule):
    A, c = lattice(12), np.random.default_rng(7).standard_normal(144)
    selection = "gs" if rule == "variable_forest" else "cyclic"
    result = solvers.learning.quadratic(A, c, tol=1e-9, options={
        "partition": rule, "selection": selection, "update": "exact", "accel": "none"})  # fmt: skip
    assert result.success
    np.testing.assert_allclose(A @ result.x, c, atol=1e-8 * np.abs(c).max())


def test_kernels_refuse_what_does_not_fit():
    A = lattice(3)
    rows = _kernels.Rows(A)
    with pytest.raises(ValueError, match="permutation"):
        rows.classes(np.zeros(9, np.int32), True)
    with pytest.raises(ValueError, match="class"):
        _kernels.Forests(rows, np.zeros(8, np.int32), 1)
    with pytest.raises(ValueError, match="outside"):
        _kernels.Forests(rows, np.full(9, 3, np.int32), 2)
    with pytest.raises(ValueError, match="outside"):
        rows.add_columns(np.array([9]), np.ones(1), np.zeros(9))
    with pytest.raises(ValueError, match="outside"):
        rows.block(np.array([9]))
    np.testing.assert_array_equal(rows.block(np.array([4, 1, 8])), A.toarray()[np.ix_([4, 1, 8], [4, 1, 8])])
    with pytest.raises(ValueError, match="lengths"):
        rows.add_columns(np.array([1]), np.ones(2), np.zeros(9))
    with pytest.raises(ValueError, match="square"):
        _kernels.block_sweeps(np.zeros((2, 3)), *(np.zeros(2) for _ in range(3)), 1, np.zeros(2), np.zeros(2))
    with pytest.raises(ValueError, match="length"):
        _kernels.block_sweeps(np.eye(2), *(np.zeros(2) for _ in range(3)), 1, np.zeros(2), np.zeros(3))


@pytest.mark.parametrize("seed", [1, 9, 40])
def test_float32_gives_way_where_it_does_not_suffice(seed):
    """Weights over eight orders of magnitude: float32 stands still, and float64 goes on."""
    rng = np.random.default_rng(seed)
    W = abs(lattice(14) - scipy.sparse.diags_array(np.full(196, 4.5)))
    W = scipy.sparse.triu(W).tocoo()
    W.data = 10.0 ** rng.uniform(-4, 4, W.nnz)
    W = W + W.T
    A = scipy.sparse.csr_array(scipy.sparse.diags_array(np.asarray(W.sum(axis=1)).ravel() + 1e-3) - W)
    c = rng.standard_normal(196)
    result = solvers.learning.quadratic(A, c, tol=1e-7, options={"accel": "cg"})
    assert result.success
    assert np.abs(A @ result.x - c).max() <= 1e-7 * np.abs(c).max() * (1 + 1e-9)
    assert result.state.vectors.dtype == np.float64


def test_a_callback_and_a_limit_change_no_bit():
    A, c = lattice(15), np.random.default_rng(11).standard_normal(225)
    whole = solvers.learning.quadratic(A, c, tol=1e-11, options={"accel": "cg"})
    seen = []
    watched = solvers.learning.quadratic(A, c, tol=1e-11, options={"accel": "cg"},
                                         callback=lambda r: seen.append(r.nit))  # fmt: skip
    np.testing.assert_array_equal(whole.x, watched.x)
    assert sorted(set(seen)) == list(range(1, whole.nit + 1))
    part = solvers.learning.quadratic(A, c, tol=1e-11, options={"accel": "cg"}, max_iter=7)
    rest = solvers.learning.quadratic(A, c, tol=1e-11, options={"accel": "cg"}, resume=part.state)
    np.testing.assert_array_equal(whole.x, rest.x)


def test_kernels_of_conjugate_gradients_refuse_what_does_not_fit():
    rows = _kernels.Rows(lattice(3))
    schur = _kernels.Schur(rows, np.array([0, 1] * 4 + [0], np.int32), False)
    vectors = np.zeros(schur.carried)
    with pytest.raises(ValueError, match="vectors"):
        schur.begin(np.zeros(9), vectors.astype(np.float32), 1.0)
    with pytest.raises(ValueError, match="vectors"):
        schur.iterate(vectors[1:], 1.0, 0.0, 1.0, 1)
    with pytest.raises(ValueError, match="residual"):
        schur.begin(np.zeros(8), vectors, 1.0)
    with pytest.raises(ValueError, match="x must"):
        schur.move(vectors, 1.0, np.zeros(8))
    with pytest.raises(ValueError, match="class"):
        _kernels.Schur(rows, np.full(9, -1, np.int32), True)
