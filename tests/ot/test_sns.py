"""What is particular to Sinkhorn-Newton-Sparse."""

import numpy as np
import pytest

from solvers.ot import solve
from solvers.ot._cost import Cost
from solvers.ot._plan import Plan
from solvers.ot._sns import _largest_entries


def test_iterations_of_the_paper():
    """Table 1 of the paper: 20 Sinkhorn and 9 Newton steps to machine accuracy on a random assignment of 500."""
    C = np.random.default_rng(3).random((500, 500))
    result = solve(C, reg=1 / 1200, method="sns", tol=1e-13, options={"density": 4 / 500})
    assert result.success
    assert result.stats["sinkhorn"] <= 30
    assert result.stats["newton"] <= 18


def test_newton_ends_superlinearly(seed):
    C = np.random.default_rng(seed).random((200, 200))
    measure = solve(C, reg=1 / 300, method="sns", tol=1e-13).history["measure"]
    assert measure[-1] < 1e-3 * measure[-2]


def test_every_step_ascends_the_dual(seed):
    """Newton steps by their line search, Sinkhorn steps by being exact in one block of variables."""
    rng = np.random.default_rng(seed)
    C, reg = rng.random((80, 60)), 1 / 200
    a, b = rng.dirichlet(np.ones(80)), rng.dirichlet(np.ones(60))
    duals = []

    def dual(result):
        u, v = result.x.u / result.x.scale, result.x.v / result.x.scale
        f = u + C.min(axis=1)
        duals.append(a @ f + b @ v - reg * np.asarray(result.x).sum())

    result = solve(C, a, b, reg=reg, method="sns", tol=1e-12, callback=dual)
    assert result.stats["newton"] > 0
    assert (np.diff(duals) >= -1e-14).all()


@pytest.mark.parametrize("density", [0.0, 1e-3, 0.02, 1.0])
def test_any_density_converges(density, seed):
    C = np.random.default_rng(seed).random((60, 50))
    assert solve(C, reg=0.02, method="sns", options={"density": density}).success


def test_hard_costs_do_not_break_it():
    """Grid costs with many ties, where the Newton direction often fails: the pauses keep it converging."""
    x = np.arange(64) / 63
    C = np.abs(x[:, None] - x)
    a, b = np.exp(-((x - 0.2) ** 2) * 40) + 0.01, np.exp(-((x - 0.8) ** 2) * 40) + 0.01
    result = solve(C, a / a.sum(), b / b.sum(), reg=1 / 800, method="sns", max_iter=50_000)
    assert result.success


@pytest.mark.parametrize("count", [1, 7, 300, 3999, 4000])
@pytest.mark.parametrize("guess", [0.0, 0.3, 1e9])
def test_largest_entries(count, guess, seed, monkeypatch):
    monkeypatch.setattr("solvers.ot._plan.BLOCK_BYTES", 8 * 40 * 7)  # blocks of 7 rows
    rng = np.random.default_rng(seed)
    cost = Cost(matrix=rng.random((100, 40)))
    plan = Plan(cost, 4.0, rng.normal(size=100), rng.normal(size=40), None, None, (100, 40), 1)
    starts, columns, values, threshold = _largest_entries(plan, count, guess, 0.0)
    dense = plan.dense()
    expected = np.sort(dense.ravel())[::-1][:count]
    np.testing.assert_array_equal(np.sort(values)[::-1], expected)
    assert threshold == expected[-1]
    rows = np.repeat(np.arange(100), np.diff(starts))
    np.testing.assert_array_equal(dense[rows, columns], values)


def test_negligible_entries_are_left_out():
    cost = Cost(matrix=np.array([[0.0, 2000.0, 1.0], [5.0, 0.0, 2000.0]]))
    plan = Plan(cost, 1.0, np.zeros(2), np.zeros(3), None, None, (2, 3), 1)
    starts, columns, values, threshold = _largest_entries(plan, 6, 0.0, 1e-30)
    assert (starts.tolist(), columns.tolist(), values.tolist()) == ([0, 2, 4], [0, 2, 0, 1], [1.0, 0.5, 2.0**-5, 1.0])
    assert threshold == 2.0**-5
