"""The sweep over a program's rows, and the order of elimination, against their twins in NumPy."""

import numpy as np
import pytest
import scipy.sparse

from solvers.equilibrium._kernels import CompiledProgram, elimination

INF = np.inf


def program(seed, m, n, density=0.4):
    rng = np.random.default_rng(seed)
    A = scipy.sparse.csr_array(rng.normal(size=(m, n)) * (rng.random((m, n)) < density))
    l, lb = (
        np.where(rng.random(m) < 0.6, rng.normal(size=m), -INF),
        np.where(rng.random(n) < 0.6, rng.normal(size=n), -INF),
    )
    u, ub = (
        np.where(rng.random(m) < 0.5, INF, np.maximum(l, 0)),
        np.where(rng.random(n) < 0.5, INF, np.maximum(lb, 0.5)),
    )
    return A, rng.normal(size=n), l, u, lb, ub


def steps(A, *rest):
    return CompiledProgram(A.indptr.astype(np.int32), A.indices.astype(np.int32), A.data, *rest)


@pytest.mark.parametrize(("m", "n"), [(1, 1), (7, 5), (3, 17), (16, 64), (29, 31), (0, 9), (5, 40)])
def test_steps(m, n, seed):
    A, c, l, u, lb, ub = program(seed, m, n)
    kernel, rng = steps(A, c, l, u, lb, ub), np.random.default_rng(seed)
    x, y, x0, y0 = rng.normal(size=n), rng.normal(size=m), rng.normal(size=n), rng.normal(size=m)
    tau, sigma, after, count = 0.13, 0.21, 3, 5
    z, w, kty = x.copy(), y.copy(), A.T @ y
    out = [np.empty(n), np.empty(m), np.empty(n), np.empty(m)]
    kernel.run(z, w, kty, x0, y0, tau, sigma, after, count, *out)
    for k in range(after, after + count):
        a = (k + 1) / (k + 2)
        p = np.clip(x - tau * (c - A.T @ y), lb, ub)
        d = A @ (2 * p - x)
        q = y - sigma * (d - np.clip(d - y / sigma, l, u))
        moved = x - p, y - q
        x, y = a * (2 * p - x) + (1 - a) * x0, a * (2 * q - y) + (1 - a) * y0
    for found, expected in zip((z, w, kty, *out), (x, y, A.T @ y, p, q, *moved), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_products(seed):
    A, *rest = program(seed, 23, 37)
    kernel, rng = steps(A, *rest), np.random.default_rng(seed)
    x, y, Ax, Aty = rng.normal(size=37), rng.normal(size=23), np.empty(23), np.empty(37)
    kernel.product(x, Ax)
    kernel.transposed(y, Aty)
    np.testing.assert_allclose(Ax, A @ x, atol=1e-13)
    np.testing.assert_allclose(Aty, A.T @ y, atol=1e-13)


def test_shapes_are_checked():
    A, c, l, u, lb, ub = program(1, 4, 6)
    with pytest.raises(ValueError, match="length 5 instead of 6"):
        steps(A, c, l, u, lb[:5], ub)
    with pytest.raises(ValueError, match="outside"):
        CompiledProgram(A.indptr.astype(np.int32), A.indices.astype(np.int32) + 6, A.data, c, l, u, lb, ub)
    with pytest.raises(ValueError, match="length 3 instead of 4"):
        steps(A, c, l, u, lb, ub).product(c, np.empty(3))
    with pytest.raises(ValueError, match="outside"):
        elimination(np.array([0, 1], np.int32), np.array([2], np.int32), 1e9)


def eliminated(pattern, order):
    """The sum of the squares of the degrees, and whether each pivot had the least degree."""
    graph = {i: set(np.flatnonzero(row)) - {i} for i, row in enumerate(pattern)}
    cost, least = 0, True
    for pivot in order:
        neighbours = graph.pop(pivot)
        least &= all(len(neighbours) <= len(others) for others in graph.values())
        cost += len(neighbours) ** 2
        for i in neighbours:
            graph[i] = (graph[i] | neighbours) - {i, pivot}
    return cost, least


@pytest.mark.parametrize("n", [1, 2, 63, 64, 65, 130])
def test_elimination_is_of_least_degree(n, seed):
    rng = np.random.default_rng(seed)
    half = rng.random((n, n)) < 3 / n
    S = scipy.sparse.csr_array((half | half.T).astype(float))
    order, cost = elimination(S.indptr.astype(np.int32), S.indices.astype(np.int32), 1e12)
    assert sorted(order.tolist()) == list(range(n))
    assert (cost, True) == eliminated(S.toarray() != 0, order.tolist())


def test_elimination_stops_at_its_budget():
    S = scipy.sparse.csr_array(np.ones((40, 40)))
    assert elimination(S.indptr.astype(np.int32), S.indices.astype(np.int32), 100.0)[1] > 100
