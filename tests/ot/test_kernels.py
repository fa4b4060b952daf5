"""The compiled passes against NumPy, at every tail length, and against each other across levels."""

import os
import subprocess
import sys

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.sparse.linalg import cg
from scipy.spatial.distance import cdist
from scipy.special import logsumexp

import solvers
from solvers.ot._kernels import Cost, newton_cg

LN2 = np.log(2)


def _potentials(rng, n, m):
    return rng.normal(size=n) * 3, rng.normal(size=m) * 3


@pytest.mark.parametrize("m", [*range(1, 18), 64, 129])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("of_columns", [False, True])
def test_passes_on_a_matrix(m, dtype, of_columns, seed):
    rng = np.random.default_rng(seed)
    n = 5
    C = rng.random((n, m)).astype(dtype)
    offset = C.min(axis=1).astype(float)
    column_offset = rng.random(m) if of_columns else None
    u, v = _potentials(rng, n, m)
    cost, scale = Cost(matrix=C, offset=offset, column_offset=column_offset), 7.0
    shifted = C.astype(float) - offset[:, None] - (column_offset if of_columns else 0)
    expected = np.exp2(u[:, None] + v - scale * shifted)

    plan = np.empty((n, m))
    cost.plan_rows(scale, u, v, 0, n, plan, 1)
    np.testing.assert_allclose(plan, expected, rtol=1e-14)
    row_sums, column_sums = np.empty(n), np.empty(m)
    paid = cost.marginals(scale, u, v, row_sums, column_sums, 1)
    np.testing.assert_allclose(row_sums, expected.sum(1), rtol=1e-14)
    np.testing.assert_allclose(column_sums, expected.sum(0), rtol=1e-14)
    assert paid == pytest.approx((shifted * expected).sum(), rel=1e-14, abs=1e-12)
    top = np.empty(m)
    cost.column_max(scale, u, top, 1)
    np.testing.assert_allclose(top, (u[:, None] - scale * shifted).max(0), rtol=1e-14, atol=1e-14)


def test_exponentials_on_the_grid_and_beside_it():
    at = np.arange(-1022 * 16, 16 * 1000, 7) / 16
    near = np.concatenate([at, np.nextafter(at, -np.inf), np.nextafter(at, np.inf), [-5e-324, -0.0, 1e-20, -1e-20]])
    near = near[near >= -1022]
    plan = np.empty((1, near.size))
    Cost(matrix=-near[None]).plan_rows(1.0, np.zeros(1), np.zeros(near.size), 0, 1, plan, 1)
    exact = np.exp2(near.astype(np.longdouble))
    assert (np.abs(plan[0] - exact) <= 2 * np.spacing(exact.astype(float))).all()

    u = np.zeros(1)  # a sweep's are rougher
    small = near[np.abs(near) < 60]
    sums = np.empty(small.size)
    Cost(matrix=-small[None]).sweep(1.0, np.ones(1), u, np.zeros(small.size), sums, 1)
    np.testing.assert_allclose(sums, np.exp2(small + u[0]), rtol=3e-14)


@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean", "cityblock", "chebyshev"])
@pytest.mark.parametrize("d", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("m", [1, 8, 13])
def test_passes_on_points(metric, d, m, seed):
    rng = np.random.default_rng(seed)
    X, Y = rng.normal(size=(6, d)), rng.normal(size=(m, d))
    u, v = _potentials(rng, 6, m)
    plan = np.empty((6, m))
    Cost(x=X, y=np.ascontiguousarray(Y.T), metric=metric).plan_rows(3.0, u, v, 0, 6, plan, 1)
    np.testing.assert_allclose(plan, np.exp2(u[:, None] + v - 3.0 * cdist(X, Y, metric)), rtol=1e-12)


@pytest.mark.parametrize("p", [0.05, 0.5, 1.0, 1.5, 2.0, 3.0, 7.25, 40.0])
@pytest.mark.parametrize("m", [1, 8, 13])
def test_minkowski(p, m, seed):
    rng = np.random.default_rng(seed)
    X, Y = rng.normal(size=(6, 3)) * 10.0 ** rng.integers(-9, 9, (6, 3)), rng.normal(size=(m, 3))
    X[0] = Y[0]  # distance 0
    X[1, 0] = Y[0, 0]
    largest = np.maximum(cdist(X, Y, "chebyshev"), 1e-300)
    differences = np.abs(X[:, None] - Y) / largest[..., None]  # SciPy's own powers overflow
    product, expected = np.empty(6), largest * (differences**p).sum(-1) ** (1 / p)
    np.testing.assert_allclose(expected[:1], cdist(X[:1], Y, "minkowski", p=p), rtol=1e-12, atol=1e-290)
    for j in range(m):
        cost = Cost(x=X, y=np.ascontiguousarray(Y.T), metric="minkowski", p=p)
        cost.row_max(1.0, np.zeros(m), np.eye(m)[j], np.empty(6), product, 1)
        np.testing.assert_allclose(product, expected[:, j], rtol=2e-15 * (20 + 30 * max(p, 1 / p)))
    with pytest.raises(ValueError, match="p is not positive"):
        Cost(x=X, y=np.ascontiguousarray(Y.T), metric="minkowski", p=np.nan)


@pytest.mark.parametrize("start", ["near", "zero", "far above", "far below"])
def test_sweep_is_a_row_logsumexp(start, seed):
    """Whatever the reference potential: a good one, none, or one that overflows or underflows."""
    rng = np.random.default_rng(seed)
    n, m, scale = 9, 70, 300.0
    C, a, v = rng.random((n, m)), rng.dirichlet(np.ones(n)), rng.normal(size=m) * 20
    exact = np.log2(a) - logsumexp((v - scale * C) * LN2, axis=1) / LN2
    u = {"near": exact + 1e-3, "zero": np.zeros(n), "far above": exact + 5000, "far below": exact - 5000}[start].copy()
    column_sums = np.empty(m)
    Cost(matrix=C).sweep(scale, a, u, v, column_sums, 1)
    np.testing.assert_allclose(u, exact, rtol=0, atol=2e-13)  # |exponents| up to 300: 300 * 2^-52 and a sum
    np.testing.assert_allclose(column_sums, np.exp2(exact[:, None] + v - scale * C).sum(0), rtol=1e-12)


@pytest.mark.parametrize("m", range(384, 402))
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_sweep_leaves_out_what_is_next_to_nothing(m, dtype, seed):
    """Where few terms of a row count the others are not made: an offset of zeros asks for all."""
    rng = np.random.default_rng(seed)
    n, scale = 70, 60_000.0
    C, a, v = rng.random((n, m)).astype(dtype), rng.dirichlet(np.ones(n)), rng.normal(size=m)
    lost = slice(m // 2 - 16, m // 2 + 16)
    C[:, lost] = 2
    C[:, lost] = C.min(axis=1, keepdims=True) + 0.006  # gets some 2^-360
    exact = np.log2(a) - logsumexp((v - scale * C.astype(float)) * LN2, axis=1) / LN2
    answers = []
    for offset in (None, np.zeros(n)):
        u, sums = exact + rng.normal(size=n), np.empty(m)
        values, columns, counts = np.empty(n * m + 16 * m), np.empty(n * m + 16 * m, np.intc), np.empty(n, np.intp)
        Cost(matrix=C, offset=offset).sweep_thinned(scale, a, u, v, sums, 1e-12, m, values, columns, counts, 1)
        np.testing.assert_allclose(u, exact, rtol=0, atol=2e-10)  # |exponents| up to 60,000: their rounding
        answers.append((u, sums, counts, columns[: counts.sum()], values[: counts.sum()]))
    few, all_ = answers
    np.testing.assert_allclose(few[1], all_[1], rtol=2e-10, atol=2.0**-112)
    assert all_[1][m // 2] > few[1][m // 2] == 0
    np.testing.assert_array_equal(few[2], all_[2])
    np.testing.assert_array_equal(few[3], all_[3])
    np.testing.assert_allclose(few[4], all_[4], rtol=2e-10)


@pytest.mark.parametrize("far", [1e-3, 0.075, 0.09, 0.11, 0.3])
@pytest.mark.parametrize("method", ["newton", "sinkhorn", "sns"])
def test_columns_that_a_sweep_leaves_out_are_met(method, far, seed):
    """Sums about 2^-100 of the mass: nearly, in part and wholly left out at the start."""
    rng = np.random.default_rng(seed)
    C, reg = rng.random((40, 60)) / 50, 1e-3
    C[:, 7] += far
    C[:, 8] += far * rng.random(40)
    b = np.full(60, 1 / 60)
    b[9] = 1e-40
    result = solvers.ot.solve(C, None, b / b.sum(), reg=reg, method=method, max_iter=100_000)
    assert result.success
    np.testing.assert_allclose(result.plan.dense().sum(0), b / b.sum(), rtol=0, atol=1e-9)


@pytest.mark.parametrize("start", [0.0, 5000.0, -5000.0])
@pytest.mark.parametrize("damping", [1.0, 0.3, 1e-6])
def test_damped_sweep(damping, start, seed):
    rng = np.random.default_rng(seed)
    n, m, scale = 9, 70, 300.0
    C, base, v = rng.random((n, m)), rng.normal(size=n), rng.normal(size=m) * 20
    exact = logsumexp((v - scale * C) * LN2, axis=1) / LN2
    u, q, column_sums = np.full(n, start), np.empty(n), np.empty(m)
    Cost(matrix=C).damped_sweep(scale, base, damping, u, v, q, column_sums, 1)
    np.testing.assert_allclose(q, exact, rtol=0, atol=2e-13)
    np.testing.assert_allclose(u, base - damping * exact, rtol=0, atol=2e-13)
    np.testing.assert_allclose(column_sums, np.exp2(u[:, None] + v - scale * C).sum(0), rtol=1e-12)


@pytest.mark.parametrize("method", ["sinkhorn", "sns"])
def test_columns_far_from_every_row_are_summed_by_themselves(method):
    """At first the last column's sum is 2^-14000, which underflows. The cost is separable: one step solves it."""
    C = np.array([[0.0, 1.0, 10.0], [2.0, 3.0, 12.0]])
    result = solvers.ot.solve(C, [0.5, 0.5], [0.2, 0.3, 0.5], reg=1e-3, tol=1e-12, method=method)
    assert result.nit == 1
    np.testing.assert_allclose(result.plan.dense(), np.outer([0.5, 0.5], [0.2, 0.3, 0.5]), rtol=1e-11)


def test_rows_of_a_larger_matrix_are_read_in_place(seed):
    big = np.random.default_rng(seed).random((20, 30))
    for view in (big[::2, :17], big[::-1, 3:12]):
        result = solvers.ot.solve(view, reg=0.1, tol=1e-11)
        assert result.stats["copies"] == 0
        np.testing.assert_array_equal(
            result.plan.dense(), solvers.ot.solve(view.copy(), reg=0.1, tol=1e-11).plan.dense()
        )


def test_newton_system(seed):
    rng = np.random.default_rng(seed)
    n, m = 40, 30
    plan = rng.random((n, m)) * (rng.random((n, m)) < 0.3)
    row_sums, column_sums = plan.sum(1) + 0.1, plan.sum(0) + 0.2
    sparse = csr_array(plan)
    p, q, x, y = rng.normal(size=n), rng.normal(size=m), np.empty(n), np.empty(m)
    taken = newton_cg(
        sparse.indptr.astype(np.intp), sparse.indices.astype(np.intc), sparse.data, row_sums, column_sums, p, q, x, y,
        1e-12, 500,
    )  # fmt: skip
    matrix = np.block([[np.diag(row_sums), plan], [plan.T, np.diag(column_sums)]])
    np.testing.assert_allclose(np.concatenate([x, y]), np.linalg.solve(matrix, np.concatenate([p, q])), rtol=1e-9)
    assert 0 < taken < 500
    theirs, info = cg(matrix, np.concatenate([p, q]), rtol=1e-12)
    assert info == 0
    np.testing.assert_allclose(np.concatenate([x, y]), theirs, rtol=1e-8, atol=1e-10)


def test_bindings_refuse_what_does_not_fit():
    cost = Cost(matrix=np.ones((3, 4)))
    three, four = np.ones(3), np.ones(4)
    with pytest.raises(ValueError, match="a has length 4, not 3"):
        cost.sweep(1.0, four, three, four, four.copy(), 1)
    with pytest.raises(ValueError, match="do not fit"):
        cost.plan_rows(1.0, three, four, 1, 5, np.empty((4, 4)), 1)
    with pytest.raises(ValueError, match="offset"):
        Cost(matrix=np.ones((3, 4)), offset=four)
    with pytest.raises(ValueError, match="column_offset"):
        Cost(matrix=np.ones((3, 4)), offset=three, column_offset=three)
    with pytest.raises(ValueError, match="without offset"):
        Cost(matrix=np.ones((3, 4)), column_offset=four)
    with pytest.raises(ValueError, match="not contiguous"):
        Cost(matrix=np.ones((3, 8))[:, ::2])
    with pytest.raises(ValueError, match="float32 or float64"):
        Cost(matrix=np.ones((3, 4), int))
    with pytest.raises(ValueError, match="empty"):
        Cost(matrix=np.ones((0, 4)))
    starts, columns, values = np.array([0, 1]), np.array([5], np.intc), np.ones(1)
    with pytest.raises(ValueError, match="out of range"):
        newton_cg(
            starts, columns, values, np.ones(1), np.ones(2), np.ones(1), np.ones(2), np.ones(1), np.ones(2), 1e-3, 9
        )
    with pytest.raises(ValueError, match="row_starts"):
        newton_cg(
            starts, columns[:0], values, np.ones(1), np.ones(2), np.ones(1), np.ones(2), np.ones(1), np.ones(2), 1, 9
        )


SCRIPT = """
import numpy as np, solvers
C = np.random.default_rng(13).random((83, 61))
result = solvers.ot.solve(C, reg=0.01, tol=1e-12, method="sinkhorn", max_iter=40)
assert solvers.show_config()["isa"] == "{isa}"
np.save("{path}", np.concatenate([result.f, result.g]))
"""


def test_levels_agree(tmp_path):
    """All levels of this machine give the same potentials to 1e-12."""
    levels = ["baseline", "avx2", "avx512"]
    levels = levels[: levels.index(solvers.show_config()["isa_available"]) + 1]
    potentials = []
    for isa in levels:
        path = tmp_path / f"{isa}.npy"
        script = SCRIPT.format(isa=isa, path=path)
        subprocess.run([sys.executable, "-P", "-c", script], check=True, env={**os.environ, "SOLVERS_ISA": isa})
        potentials.append(np.load(path))
    for other in potentials[1:]:
        np.testing.assert_allclose(other, potentials[0], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("m", [*range(1, 18), 64, 129])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_certificate_passes(m, dtype, seed):
    rng = np.random.default_rng(seed)
    n, scale = 5, 7.0
    C = rng.random((n, m)).astype(dtype)
    offset = C.min(axis=1).astype(float)
    u, v = _potentials(rng, n, m)
    cost, shifted = Cost(matrix=C, offset=offset), C.astype(float) - offset[:, None]
    y = rng.random(m)
    terms = np.exp2(u[:, None] + v - scale * shifted) * y
    a = terms.sum(1) * np.where(rng.random(n) < 0.5, 0.5, 2.0)

    x, row_sums, column_sums = np.empty(n), np.empty(n), np.empty(m)
    paid = cost.scale_below(scale, a, u, v, y, x, row_sums, column_sums, 1)
    scaled = np.minimum(1, a / terms.sum(1))[:, None] * terms
    np.testing.assert_allclose(x, scaled[:, 0] / terms[:, 0], rtol=1e-13)
    np.testing.assert_allclose(row_sums, scaled.sum(1), rtol=1e-13)
    np.testing.assert_allclose(column_sums, scaled.sum(0), rtol=1e-13)
    assert (row_sums <= a * (1 + 2**-52)).all()
    assert paid == pytest.approx((shifted * scaled).sum(), rel=1e-13)

    w, row_max, product = rng.normal(size=m), np.empty(n), np.empty(n)
    cost.row_max(scale, v, w, row_max, product, 1)
    np.testing.assert_allclose(row_max, (v - scale * shifted).max(1), rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(product, shifted @ w, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("m", [*range(1, 18), 64, 129])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_range_of_rows(m, dtype, seed):
    rng = np.random.default_rng(seed)
    C = rng.normal(size=(5, m)).astype(dtype)
    least, largest, finite = Cost(matrix=C).row_range()
    assert finite
    np.testing.assert_array_equal(least, C.min(1))
    np.testing.assert_array_equal(largest, C.max(1))
    for bad in (np.nan, np.inf, -np.inf):
        spoilt = C.copy()
        spoilt[rng.integers(5), rng.integers(m)] = bad
        assert not Cost(matrix=spoilt).row_range()[2]
