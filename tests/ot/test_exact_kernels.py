"""The kernels of exact transport: pricing against NumPy, and what the simplex promises of its trees."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from solvers.ot import _kernels
from solvers.ot._cost import Cost
from solvers.ot._exact import price


def priced(cost, C, g, limit, most):
    """`price`, checked against a sort; costs that are equal may come in any order."""
    least, (rows, columns, costs) = price(cost, g, limit, most, 2)
    reduced = C - g
    np.testing.assert_allclose(least, reduced.min(1), rtol=0, atol=1e-13)
    for i in range(len(C)):
        mine = np.sort(C[i, columns[rows == i]] - g[columns[rows == i]])
        expected = np.sort(reduced[i])[:most]
        np.testing.assert_allclose(mine, expected[expected < np.broadcast_to(limit, len(C))[i]], rtol=0, atol=1e-13)
        assert len(set(columns[rows == i])) == len(mine)
    np.testing.assert_allclose(costs, C[rows, columns], rtol=1e-14)


@pytest.mark.parametrize("m", [1, 2, 7, 8, 17, 63, 64, 65, 129, 300])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_price_of_a_matrix(m, dtype):
    rng = np.random.default_rng(m)
    C, g = rng.normal(size=(23, m)).astype(dtype), rng.normal(size=m)
    cost = Cost(matrix=C)
    for limit in (np.inf, -np.inf, np.quantile(C.astype(float) - g, rng.random(23))):
        for most in (1, 5, 64):
            priced(cost, C.astype(float), g, limit, most)


@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean", "cityblock"])
@pytest.mark.parametrize("d", [1, 2, 3, 5])
def test_price_of_points(metric, d):
    rng = np.random.default_rng(d)
    X, Y, g = rng.normal(size=(31, d)), rng.normal(size=(150, d)), rng.normal(size=150)
    cost = Cost(points=(X, np.ascontiguousarray(Y.T), metric))
    priced(cost, cdist(X, Y, metric), g, np.inf, 7)


def test_rows_keep_different_columns_of_a_tie():
    _, (_, columns, _) = price(Cost(matrix=np.ones((40, 640))), np.zeros(640), np.inf, 4, 1)
    assert len(np.unique(columns)) == 40


def first_tree(n, m, rows, columns, costs, a, b, order):
    network = _kernels.Network(n, m, rows, columns, costs, np.zeros(n))
    shipped = np.zeros(len(rows))
    network.ship(order, a.copy(), b.copy(), shipped)
    tree = [np.empty(n + m + 1, np.intc) for _ in range(2)] + [np.empty(n + m + 1) for _ in range(2)]
    network.start(shipped, *tree)
    return network, tree


def filled_tree(n, m, costs, a, b, g):
    network = _kernels.Network(n, m, None, None, costs, np.zeros(n))
    tree = [np.empty(n + m + 1, np.intc) for _ in range(2)] + [np.empty(n + m + 1) for _ in range(2)]
    network.fill(a.copy(), b.copy(), g, *tree)
    return network, tree


@pytest.mark.parametrize("listed", [True, False])
def test_trees_stay_strongly_feasible(seed, listed):
    """After any number of pivots: a spanning tree, the weights met, and flow on every arc to a sink."""
    rng = np.random.default_rng(seed)
    n, m = 17, 23
    a, b = rng.multinomial(60, np.ones(n) / n) + 1.0, rng.multinomial(54, np.ones(m) / m) + 1.0
    rows, columns = (places.ravel().astype(np.intc) for places in np.indices((n, m)))
    costs = rng.integers(0, 4, n * m).astype(float)
    for most in [*range(40), 10**6]:
        first = (
            first_tree(n, m, rows, columns, costs, a, b, rng.permutation(n * m))
            if listed
            else filled_tree(n, m, costs, a, b, rng.normal(size=m))
        )
        network, (parent, arc, flow, height) = first
        pivots = network.simplex(parent, arc, flow, height, 1e-12, most)
        assert pivots <= most
        assert (flow[:n] >= 0).all()
        assert (flow[n:-1] > 0).all()
        above = np.arange(n + m)
        for _ in range(n + m):
            above = np.where(above == n + m, n + m, parent[above])
        assert (above == n + m).all()  # every node reaches the root
        carried, used = np.zeros((n, m)), arc[:-1] >= 0
        carried[rows[arc[:-1][used]], columns[arc[:-1][used]]] = flow[:-1][used]
        np.testing.assert_array_equal(carried.sum(1), a)
        np.testing.assert_array_equal(carried.sum(0), b)
        again = np.empty(n + m + 1)
        network.flows(parent, arc, a, b, again)
        np.testing.assert_array_equal(again[:-1], flow[:-1])
    assert (costs - height[rows] + height[n + columns]).min() >= -1e-12


def test_shapes_and_indices_are_checked():
    good = {"rows": np.zeros(1, np.intc), "columns": np.zeros(1, np.intc), "costs": np.zeros(1), "base": np.zeros(2)}
    _kernels.Network(2, 3, *good.values())
    for name, bad in [("rows", np.full(1, 2, np.intc)), ("columns", np.full(1, -1, np.intc)),
                      ("costs", np.zeros(2)), ("base", np.zeros(1)), ("columns", np.zeros(2, np.intc))]:  # fmt: skip
        with pytest.raises(ValueError, match=r"rows|arc|costs|base"):
            _kernels.Network(2, 3, *{**good, name: bad}.values())
    network = _kernels.Network(2, 3, *good.values())
    with pytest.raises(ValueError, match="order"):
        network.ship(np.array([1]), np.ones(2), np.ones(3), np.zeros(1))
    tree = [np.zeros(6, np.intc), np.zeros(6, np.intc), np.zeros(6), np.zeros(6)]
    for k, bad in [(0, np.full(6, 7, np.intc)), (1, np.full(6, 1, np.intc)), (2, np.zeros(5)), (3, np.zeros(7))]:
        with pytest.raises(ValueError, match=r"tree|flow|height"):
            network.simplex(*tree[:k], bad, *tree[k + 1 :], 0.0, 1)
    with pytest.raises(ValueError, match="no tree"):
        network.simplex(*tree, 0.0, 1)
    with pytest.raises(ValueError, match="no tree"):
        network.flows(tree[0], tree[1], np.ones(2), np.ones(3), tree[2])
    with pytest.raises(ValueError, match="only all arcs"):
        network.fill(np.ones(2), np.ones(3), np.zeros(3), *tree)
    everything = _kernels.Network(2, 3, None, None, np.zeros(6), np.zeros(2))
    with pytest.raises(ValueError, match="only a list"):
        everything.ship(np.zeros(1, np.intp), np.ones(2), np.ones(3), np.zeros(6))
    with pytest.raises(ValueError, match="only a list"):
        everything.start(np.zeros(6), *tree)
    with pytest.raises(ValueError, match="costs"):
        _kernels.Network(2, 3, None, None, np.zeros(5), np.zeros(2))
    with pytest.raises(ValueError, match="an arc that is none"):
        everything.gap(np.full(6, 6, np.intc), tree[2], np.ones(2), np.ones(3), np.zeros(2), np.zeros(3))
    cost = Cost(matrix=np.zeros((2, 3)))
    with pytest.raises(ValueError, match="at most 64"):
        price(cost, np.zeros(3), np.inf, 65, 1)
    with pytest.raises(ValueError, match="g has length"):
        price(cost, np.zeros(2), np.inf, 1, 1)


@pytest.mark.parametrize("m", [1, 2, 7, 8, 9, 17, 64, 130])
def test_pivots_on_all_arcs_see_every_column(m):
    """The optimum lies in each column in turn: a scan of rows by vectors must not pass over any."""
    a, b = np.full(3, float(m)), np.full(m, 3.0)
    for j in range(m):
        costs = np.ones((3, m))
        costs[2, j] = -1.0
        network, (parent, arc, flow, height) = filled_tree(3, m, costs.ravel(), a, b, np.zeros(m))
        network.simplex(parent, arc, flow, height, 1e-12, 10**6)
        used = arc[:-1] >= 0
        assert flow[:-1][used] @ costs.ravel()[arc[:-1][used]] == 3 * m - 2 * min(3, m)
