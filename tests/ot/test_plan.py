"""The lazy plan against the dense one."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from solvers.ot import solve, solve_sample
from solvers.ot._kernels import Cost


@pytest.fixture(params=["matrix", "points", "zero weights", "one row", "one column"])
def plan(request, seed):
    rng = np.random.default_rng(seed)
    n, m = {"one row": (1, 41), "one column": (53, 1)}.get(request.param, (83, 61))
    a, b = rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m))
    if request.param == "zero weights":
        a[[3, 7, 20]], b[[0, 60]] = 0, 0
        a, b = a / a.sum(), b / b.sum()
    if request.param == "points":
        return solve_sample(rng.random((n, 2)), rng.random((m, 2)), a, b, reg=0.02, tol=1e-6).plan
    return solve(rng.random((n, m)), a, b, reg=0.02, tol=1e-6).plan


@pytest.mark.parametrize("k", [None, 0, 1, 2, 4, 5, 9])
def test_products(plan, k, seed):
    rng = np.random.default_rng(seed)
    dense, (n, m) = plan.dense(), plan.shape
    shape = () if k is None else (k,)
    x, z = rng.normal(size=(m, *shape)), rng.normal(size=(n, *shape))
    np.testing.assert_allclose(plan.matvec(x), dense @ x, rtol=1e-12, atol=1e-16)
    np.testing.assert_allclose(plan.rmatvec(z), dense.T @ z, rtol=1e-12, atol=1e-16)
    np.testing.assert_array_equal(plan.matvec(np.asfortranarray(x)), plan.matvec(x))
    assert plan.matvec(x).shape == (n, *shape)
    assert plan.rmatvec(z).shape == (m, *shape)


def test_csr(plan):
    dense = plan.dense()
    for threshold in (1e-300, 1e-4, 1e-2, 1.0):
        sparse = plan.csr(threshold)
        assert isinstance(sparse, csr_array)
        assert sparse.has_sorted_indices
        np.testing.assert_array_equal(sparse.toarray(), np.where(dense >= threshold, dense, 0))
    for threshold in (0, -1, np.nan):
        with pytest.raises(ValueError, match="threshold must be positive"):
            plan.csr(threshold)


def test_argmax(plan):
    dense, (rows, columns) = plan.dense(), (np.flatnonzero(p) for p in plan.marginals())
    for axis, kept in ((1, rows), (0, columns), (-1, rows), (-2, columns)):
        expected = np.full(plan.shape[1 - axis % 2], -1)
        expected[kept] = dense.argmax(axis)[kept]
        np.testing.assert_array_equal(plan.argmax(axis=axis), expected)
    with pytest.raises(ValueError, match="axis must be 0 or 1"):
        plan.argmax(axis=2)


def test_several_blocks_of_rows(monkeypatch, plan):
    whole = plan.csr(1e-5).toarray(), plan.argmax(0), plan.argmax(1)
    x = np.arange(6.0 * plan.shape[1]).reshape(-1, 6)
    product = plan.matvec(x)
    monkeypatch.setattr("solvers.ot._plan.BLOCK_BYTES", 8 * 61 * 10)
    for ours, theirs in zip((plan.csr(1e-5).toarray(), plan.argmax(0), plan.argmax(1)), whole, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_allclose(plan.matvec(x), product, rtol=1e-13)


def test_the_bits_do_not_depend_on_threads(seed):
    rng = np.random.default_rng(seed)
    C, x = rng.random((400, 300)), rng.random((300, 3))
    one, two = (solve(C, reg=0.02, tol=1e-3, threads=threads).plan for threads in (1, 2))
    np.testing.assert_array_equal(one.matvec(x), two.matvec(x))
    np.testing.assert_array_equal(one.rmatvec(C[:, :2]), two.rmatvec(C[:, :2]))
    np.testing.assert_array_equal(one.barycentric(x), two.barycentric(x))
    np.testing.assert_array_equal(one.csr(1e-6).toarray(), two.csr(1e-6).toarray())


@pytest.mark.parametrize("m", [*range(1, 18), 64, 129])
def test_passes(m, seed):
    rng = np.random.default_rng(seed)
    n, k, cost = 5, 3, Cost(matrix=rng.random((5, m)))
    u, v, plan = rng.normal(size=n), rng.normal(size=m), np.empty((n, m))
    cost.plan_rows(3.0, u, v, 0, n, plan, 1)
    x, z, right, left = rng.normal(size=(k, m)), rng.normal(size=(n, k)), np.empty((n, k)), np.empty((k, m))
    cost.apply(3.0, u, v, x, right, 1)
    cost.apply_transposed(3.0, u, v, z, left, 1)
    np.testing.assert_allclose(right, plan @ x.T, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(left, z.T @ plan, rtol=1e-12, atol=1e-14)
    for bad in (np.ones((0, m)), np.ones((9, m)), np.ones((k, m + 1))):
        with pytest.raises(ValueError, match="do not fit"):
            cost.apply(3.0, u, v, bad, right, 1)
    with pytest.raises(ValueError, match="do not fit"):
        cost.apply_transposed(3.0, u, v, np.ones((n, 9)), left, 1)


def test_operands_that_are_no_real_numbers(plan):
    n, m = plan.shape
    with pytest.raises(TypeError, match="operand must be real numbers"):
        plan.matvec(np.ones(m) * 1j)
    with pytest.raises(TypeError, match="operand is a masked array"):
        plan.rmatvec(np.ma.masked_array(np.ones(n), np.arange(n) == 0))
