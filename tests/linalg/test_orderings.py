"""Every ordering against dense formulas and the natural order: sweeps, products, triangular solves, Eisenstat's."""

import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

from solvers.linalg import _kernels, plan, solve

sys.path.insert(0, str(Path(__file__).parent))
from matrices import STRUCTURED, laplacian, random

ORDERINGS = ["natural", "wavefront", "multicolor"]
TOL = {"rtol": 1e-13, "atol": 1e-13}


def in_levels(made):
    """The wavefront operand, also where levels are so short that the plan would not choose it."""
    starts, columns = made.matrix.indptr, made.matrix.indices
    operand = _kernels.Sell(starts, columns, *_kernels.levels(starts, columns))
    diagonal = made.matrix.diagonal().astype(np.float64)
    operand.update(made.matrix.data, diagonal, 1 / diagonal)
    return operand


def operand_of(A, ordering):
    made = plan(A)
    return in_levels(made) if ordering == "wavefront" else made.operand(ordering)


def order_of(operand, n):
    """The user's number of each of the operand's unknowns, in the operand's order."""
    return np.argsort(operand.unpack(np.arange(operand.size, dtype=float)))[:n]


def converted(A, values, indices):
    A = A.astype(values)
    A.indptr, A.indices = A.indptr.astype(indices), A.indices.astype(indices)
    return A


class Dense:
    """An operand's kernels by dense formulas, in the order that the operand keeps."""

    def __init__(self, A, order, omega):
        self.order = order
        self.A = A.toarray().astype(np.float64)[np.ix_(order, order)]
        self.D = np.diag(self.A)
        self.lower = np.tril(self.A, -1) + np.diag(self.D / omega)
        self.upper = np.triu(self.A, 1) + np.diag(self.D / omega)

    def half(self, backward):
        return self.upper if backward else self.lower


class Vectors:
    """Vectors of the operand's order from those of the dense formulas' order, and back."""

    def __init__(self, operand, order):
        self.operand, self.order = operand, order

    def pack(self, v):
        given = np.empty_like(v)
        given[self.order] = v
        return self.operand.pack(given)

    def equal(self, packed, expected):
        np.testing.assert_allclose(self.operand.unpack(packed)[self.order], expected, **TOL)
        padding = np.ones(self.operand.size, bool)
        place = self.operand.unpack(np.arange(self.operand.size, dtype=float)).astype(int)
        padding[place] = False
        assert not packed[padding].any()


def check_all_kernels(A, operand, omega, seed):
    n = A.shape[0]
    order = order_of(operand, n)
    dense, vectors = Dense(A, order, omega), Vectors(operand, order)
    pack, equal = vectors.pack, vectors.equal
    x, b, other = np.random.default_rng(seed).normal(size=(3, n))
    r = b - dense.A @ x
    out = pack(other)
    assert np.isclose(operand.multiply(pack(x), out), x @ dense.A @ x, rtol=1e-12, atol=1e-12)
    equal(out, dense.A @ x)
    assert np.isclose(operand.residual(pack(b), pack(x), out), r @ r, rtol=1e-12)
    equal(out, r)
    out = pack(other)
    assert np.isclose(operand.jacobi(0.7, 0.3, pack(b), pack(x), out), r @ r, rtol=1e-12)
    equal(out, x + 0.3 * (x - other) + 0.7 * r / dense.D)
    for backward in (False, True):
        change = np.linalg.solve(dense.half(backward), r)
        swept, measured, d = pack(x), pack(x), pack(other)
        operand.sweep(omega, backward, pack(b), swept)
        equal(swept, x + change)
        assert np.isclose(operand.measured_sweep(omega, backward, pack(b), measured, d), r @ r, rtol=1e-12)
        equal(measured, x + change)
        equal(d, change)
        in_place = pack(b)
        operand.triangular_solve(omega, backward, in_place, in_place)
        equal(in_place, np.linalg.solve(dense.half(backward), b))
    q = x + np.linalg.solve(dense.lower, b - (2 / omega - 1) * dense.D * x)
    assert np.isclose(operand.eisenstat(omega, pack(b), pack(x), out), b @ q, rtol=1e-11, atol=1e-12)
    equal(out, q)
    product = dense.lower @ x
    assert np.isclose(operand.lower_product(omega, pack(x), out), product @ product, rtol=1e-12)
    equal(out, product)


@pytest.mark.parametrize("ordering", ORDERINGS)
@pytest.mark.parametrize("name", STRUCTURED)
def test_structured(name, ordering):
    check_all_kernels(STRUCTURED[name], operand_of(STRUCTURED[name], ordering), 1.3, 3)


@pytest.mark.parametrize("ordering", ORDERINGS)
@pytest.mark.parametrize("indices", [np.int32, np.int64])
@pytest.mark.parametrize("values", [np.float64, np.float32])
def test_random(values, indices, ordering, seed):
    A = converted(random(130, seed % 9, seed), values, indices)
    check_all_kernels(A, operand_of(A, ordering), 0.8, seed)


@pytest.mark.parametrize("name", STRUCTURED)
def test_level_sets_keep_the_triangles(name):
    """With each entry, the row that comes first in the user's order comes first in the operand's."""
    A = STRUCTURED[name]
    level, count = _kernels.levels(A.indptr, A.indices)
    rows, columns = A.tocoo().coords
    assert level.min() == 0
    assert level.max() == count - 1
    below = rows != columns
    assert np.all((level[rows] < level[columns])[below] == (rows < columns)[below])


@pytest.mark.parametrize("name", STRUCTURED)
def test_colors_differ_across_entries(name):
    A = STRUCTURED[name]
    operand = plan(A).operand("multicolor")
    place = operand.unpack(np.arange(operand.size, dtype=float))
    # rows of a colour in one chunk would have an entry inside it
    rows, columns = A.tocoo().coords
    off = rows != columns
    assert not np.any(place[rows[off]] // 8 == place[columns[off]] // 8)
    assert operand.groups <= 1 + np.diff(scipy.sparse.csr_array(A + A.T).indptr).max()


def test_red_and_black_are_two_colors():
    A = laplacian(16, 17)
    operand = plan(A).operand("redblack")
    assert operand.groups == 2
    place = operand.unpack(np.arange(operand.size, dtype=float)).reshape(16, 17)
    red = place < 136
    assert np.all(red[:, 1:] != red[:, :-1])
    assert np.all(red[1:] != red[:-1])
    with pytest.raises(ValueError, match="odd length"):
        plan(STRUCTURED["dense"]).operand("redblack")
    with pytest.raises(ValueError, match="ordering must be one of"):
        plan(A).operand("spiral")


def test_short_levels_are_left_in_the_natural_order():
    made = plan(laplacian(500))
    assert made.operand("wavefront") is made.operand("natural")
    made = plan(laplacian(40, 40))
    assert isinstance(made.operand("wavefront"), _kernels.Sell)
    assert made.operand("wavefront").size < 1.3 * made.size


def test_neighbours_on_a_grid_are_side_by_side():
    """Nearly no chunk of a box gathers: the layout finds the shifts."""
    for A in (laplacian(48, 50), laplacian(13, 14, 15)):
        for ordering in ("wavefront", "multicolor"):
            operand = plan(A).operand(ordering)
            assert operand.gathered < 0.05
            assert operand.stored < 1.5 * A.nnz


@pytest.mark.parametrize("ordering", ["natural", "wavefront", "multicolor", "blocks"])
def test_threads_change_no_bit(ordering):
    A = laplacian(*[10] * 5)  # groups large enough to be shared
    operand = plan(A).operand(ordering)
    b, x = (operand.pack(v) for v in np.random.default_rng(91).normal(size=(2, A.shape[0])))
    found = []
    for threads in (1, 2, 5):
        operand.threads = threads
        y, d, q = x.copy(), x.copy(), x.copy()
        sums = [operand.measured_sweep(1.4, False, b, y, d), operand.measured_sweep(1.4, True, b, y, d)]
        sums += [operand.eisenstat(1.4, b, x, q), operand.multiply(y, d), operand.residual(b, y, d)]
        found.append((sums, y.tobytes(), q.tobytes()))
    assert found[0] == found[1] == found[2]


def scattered(seed):
    """A grid of 70 x 61 with entries of both signs and some that join blocks far apart, or only one way."""
    rng = np.random.default_rng(seed)
    more = scipy.sparse.coo_array((rng.normal(size=20), rng.integers(0, 4270, (2, 20))), shape=(4270, 4270))
    A = laplacian(70, 61)
    A.data *= rng.uniform(0.5, 1.0, A.nnz)
    A = scipy.sparse.csr_array(A + more + 9 * scipy.sparse.eye_array(4270))
    A.sort_indices()
    return A


@pytest.mark.parametrize("values", [np.float64, np.float32])
def test_blocks_are_the_natural_order_of_the_permuted_matrix(values, seed):
    A = scattered(seed).astype(values)
    n = A.shape[0]
    operand = plan(A).operand("blocks")
    order = order_of(operand, n)
    permuted = scipy.sparse.csr_array(A[order][:, order])
    permuted.sort_indices()
    natural = plan(permuted).operand("natural")
    x, b, other = np.random.default_rng(seed).normal(size=(3, n))
    pack, near = operand.pack, {"rtol": 1e-12, "atol": 1e-12}
    for backward in (False, True):
        y, d, z, e = pack(x), pack(other), x[order], other[order]
        sums = (
            operand.measured_sweep(1.3, backward, pack(b), y, d),
            natural.measured_sweep(1.3, backward, b[order], z, e),
        )
        assert np.isclose(*sums, rtol=1e-12)
        np.testing.assert_allclose(operand.unpack(y)[order], z, **near)
        np.testing.assert_allclose(operand.unpack(d)[order], e, **near)
        operand.sweep(1.3, backward, pack(b), y)
        natural.sweep(1.3, backward, b[order], z)
        np.testing.assert_allclose(operand.unpack(y)[order], z, **near)
        operand.triangular_solve(1.3, backward, pack(b), y)
        natural.triangular_solve(1.3, backward, b[order], z)
        np.testing.assert_allclose(operand.unpack(y)[order], z, **near)
    q, p = pack(other), other[order]
    sums = operand.eisenstat(1.3, pack(b), pack(x), q), natural.eisenstat(1.3, b[order], x[order], p)
    assert np.isclose(*sums, rtol=1e-12)
    np.testing.assert_allclose(operand.unpack(q)[order], p, **near)


def test_blocks_of_a_colour_share_no_entry(seed):
    A = scattered(seed)
    made = _kernels.Blocks(A.indptr, A.indices)
    assert made.count == 5
    order = order_of(plan(A).operand("blocks"), A.shape[0])
    # the rows of a block stand together, in their natural order wherever they share an entry
    block = np.arange(A.shape[0]) // 1024
    blocks = [block[order][k] for k in np.flatnonzero(np.diff(block[order], prepend=-1))]
    assert sorted(blocks) == list(range(5))
    place = np.argsort(order)
    rows, columns = A.tocoo().coords
    inside = block[rows] == block[columns]
    assert np.all((place[rows] < place[columns])[inside] == (rows < columns)[inside])
    plain = _kernels.Blocks(*(getattr(laplacian(70, 61), name) for name in ("indptr", "indices")))
    assert (plain.count, plain.colors) == (5, 2)


def test_ssor_cg_in_blocks_takes_few_more_iterations():
    A = laplacian(100, 100)
    b = np.ones(10000)
    counts = {}
    for ordering in ("natural", "blocks", "multicolor"):
        result = solve(A, b, method="ssor-cg", options={"ordering": ordering, "omega": 1.5})
        assert result.success
        counts[ordering] = result.nit
    assert counts["natural"] < counts["blocks"] < 1.5 * counts["natural"]
    assert counts["blocks"] < 0.75 * counts["multicolor"]
    assert solve(A, b, method="ssor-cg", options={"ordering": "blocks"}).stats["omega"] == 1.65
    made = plan(laplacian(500))
    assert made.operand("blocks") is made.operand("natural")


def test_many_sweeps_in_wavefront_are_natural_sweeps(seed):
    A = laplacian(31, 33)
    A.data *= np.random.default_rng(seed).uniform(0.9, 1.0, A.nnz)
    natural, wavefront = (plan(A).operand(ordering) for ordering in ("natural", "wavefront"))
    b = np.random.default_rng(seed).normal(size=A.shape[0])
    x, y = np.zeros(A.shape[0]), wavefront.pack(np.zeros(A.shape[0]))
    for k in range(40):
        natural.sweep(1.7, k % 2 == 1, b, x)
        wavefront.sweep(1.7, k % 2 == 1, wavefront.pack(b), y)
    np.testing.assert_allclose(wavefront.unpack(y), x, rtol=1e-13, atol=1e-13 * np.abs(x).max())
