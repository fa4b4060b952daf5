"""Plan.sweep against dense formulas, one column at a time, and pyamg."""

import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
from pyamg.relaxation import relaxation

from solvers.linalg import plan

sys.path.insert(0, str(Path(__file__).parent))
from matrices import STRUCTURED, laplacian, random, sorted_csr


def dense_sweep(A, x, b, omega, backward, m=1):
    """Node-block SOR by the formula x + (D / omega + L)^-1 (b - A x), D the blocks on the diagonal."""
    A = A.toarray().astype(np.float64)
    node = np.arange(len(A)) // m
    D = np.where(node[:, None] == node, A, 0)
    L = np.where(node[:, None] < node if backward else node[:, None] > node, A, 0)
    return x + np.linalg.solve(D / omega + L, b - A @ x)


def converted(A, values, indices):
    A = A.astype(values)
    A.indptr, A.indices = A.indptr.astype(indices), A.indices.astype(indices)
    return A


@pytest.mark.parametrize("direction", ["forward", "backward", "symmetric"])
@pytest.mark.parametrize("indices", [np.int32, np.int64])
@pytest.mark.parametrize("values", [np.float64, np.float32])
@pytest.mark.parametrize("m", [1, 2, 3, 4, 5, 6, 7, 8])
def test_nodes(m, values, indices, direction):
    A = converted(random(15 * m, 3, m), values, indices)
    b, x = np.random.default_rng(m).normal(size=(2, 15 * m))
    expected = x.copy()
    for backward in {"forward": (False,), "backward": (True,), "symmetric": (False, True)}[direction]:
        expected = dense_sweep(A, expected, b, 1.2, backward, m)
    found = plan(A).sweep(x, b, omega=1.2, direction=direction, block_size=m)
    assert found is x
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("block_size", [1, 4])
@pytest.mark.parametrize("ordering", ["natural", "wavefront", "multicolor", "blocks"])
@pytest.mark.parametrize("k", [1, 2, 3, 4, 7, 8, 13])
def test_columns_are_single_sweeps_to_the_same_bits(k, ordering, block_size):
    if block_size > 1 and ordering != "natural":
        return
    A = sorted_csr(laplacian(12, 12) + STRUCTURED_LONG)
    made = plan(A)
    b, x = np.random.default_rng(k).normal(size=(2, 144, k))
    options = {"omega": 1.3, "direction": "symmetric", "ordering": ordering, "sweeps": 2, "block_size": block_size}
    single = [made.sweep(x[:, j].copy(), b[:, j], **options) for j in range(k)]
    assert np.array_equal(made.sweep(x, b, **options), np.stack(single, axis=1))


#: Some rows longer than the kernels' loops take at a time.
STRUCTURED_LONG = scipy.sparse.coo_array(
    (np.full(60, -0.01), (np.repeat([3, 70, 143], 20), np.tile(np.arange(5, 125, 6), 3))), shape=(144, 144)
)


@pytest.mark.parametrize("name", STRUCTURED)
def test_wavefront_is_natural(name):
    made, n = plan(STRUCTURED[name]), STRUCTURED[name].shape[0]
    b, x = np.random.default_rng(7).normal(size=(2, n))
    one, other = (
        made.sweep(x.copy(), b, omega=1.1, direction="symmetric", sweeps=3, ordering=ordering)
        for ordering in ("natural", "wavefront")
    )
    np.testing.assert_allclose(one, other, rtol=1e-13, atol=1e-13)


def test_multicolor_is_natural_on_the_permuted_matrix(seed):
    A = random(150, 4, seed)
    made = plan(A)
    operand = made.operand("multicolor")
    order = np.argsort(operand.unpack(np.arange(operand.size, dtype=float)))
    permuted = plan(sorted_csr(A[order][:, order]))
    b, x = np.random.default_rng(seed).normal(size=(2, 150))
    expected = permuted.sweep(x[order], b[order], omega=0.9, sweeps=3)
    found = made.sweep(x, b, omega=0.9, sweeps=3, ordering="multicolor")
    np.testing.assert_allclose(found[order], expected, rtol=1e-13, atol=1e-13)


def test_what_is_changed_in_place_and_what_is_not():
    A, b = laplacian(9), np.ones(9)
    made = plan(A)
    expected = made.sweep(np.zeros(9), b)
    read_only, strided, whole = np.zeros(9), np.zeros(18)[::2], np.zeros(9, int)
    read_only.flags.writeable = False
    for x in (read_only, strided, whole, [0.0] * 9, np.zeros(9, np.float32)):
        found = made.sweep(x, b)
        assert found is not x
        assert not np.any(x)
        assert np.array_equal(found, expected)
    assert np.array_equal(made.sweep(np.zeros((9, 2), order="F"), np.ones((9, 2)))[:, 1], expected)
    both = np.ones(9)  # b is x: read as it was
    assert np.array_equal(made.sweep(both, both), made.sweep(np.ones(9), b))
    assert made.sweep(np.zeros((9, 0)), np.zeros((9, 0))).shape == (9, 0)
    assert np.array_equal(made.sweep(np.zeros(9), b, sweeps=0), np.zeros(9))


@pytest.mark.parametrize(("options", "what"), [
    ({"omega": 2.0}, "omega"), ({"omega": np.nan}, "omega"), ({"direction": "up"}, "direction"),
    ({"ordering": "spiral"}, "ordering"), ({"sweeps": -1}, "sweeps"), ({"sweeps": 1.5}, "sweeps"),
    ({"block_size": 9}, "block_size"), ({"block_size": 5}, "block_size must divide"),
    ({"block_size": 2, "ordering": "wavefront"}, "block_size 2"), ({"threads": 0}, "threads"),
])  # fmt: skip
def test_bad_options(options, what):
    with pytest.raises(ValueError, match=what):
        plan(laplacian(4, 3)).sweep(np.zeros(12), np.ones(12), **options)


def test_bad_vectors():
    made = plan(laplacian(4, 3))
    for x, b in ((np.zeros(11), np.zeros(11)), (np.zeros((12, 1, 1)), np.zeros((12, 1, 1))), (0.0, 0.0)):
        with pytest.raises(ValueError, match="x must have shape"):
            made.sweep(x, b)
    with pytest.raises(ValueError, match="b must have the shape"):
        made.sweep(np.zeros(12), np.zeros((12, 1)))
    with pytest.raises(TypeError, match="b must be real"):
        made.sweep(np.zeros(12), 1j * np.zeros(12))


def test_a_singular_block():
    A = np.eye(6) * 2
    A[2:4, 2:4] = 1
    with pytest.raises(ValueError, match="rows 2 to 3 is singular"):
        plan(A).sweep(np.zeros(6), np.ones(6), block_size=2)


def test_blocks_follow_an_update():
    A = random(24, 3, 1)
    made = plan(A)
    b = np.ones(24)
    made.sweep(np.zeros(24), b, block_size=3)
    made.update(2 * A.data)
    B = sorted_csr(2 * A)
    found, expected = (each.sweep(np.zeros(24), b, block_size=3) for each in (made, plan(B)))
    np.testing.assert_array_equal(found, expected)


def test_against_pyamg(seed):
    A = random(120, 4, seed)
    b, x = np.random.default_rng(seed).normal(size=(2, 120))
    made = plan(A)
    for direction in ("forward", "backward"):
        theirs = x.copy()
        relaxation.sor(scipy.sparse.csr_matrix(A), theirs, b, 1.3, iterations=3, sweep=direction)
        ours = made.sweep(x.copy(), b, omega=1.3, sweeps=3, direction=direction)
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)
    theirs = x.copy()
    blocks = scipy.sparse.bsr_matrix(A, blocksize=(4, 4))
    relaxation.block_gauss_seidel(blocks, theirs, b, blocksize=4, sweep="backward")
    ours = made.sweep(x.copy(), b, block_size=4, direction="backward")
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)
