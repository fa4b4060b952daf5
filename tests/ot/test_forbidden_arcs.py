"""Infinite costs: no mass goes there, and where none can go elsewhere the status says so."""

import numpy as np
import ot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers import SolveError, Status
from solvers.ot import gradients, solve, solve_sample, solve_unbalanced, solve_unbalanced_sample

METHODS = ("newton", "sinkhorn", "sns", "ssns")
INF = np.inf


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_forbidden_arcs_stay_empty(method, dtype, seed):
    """Against costs so large that nothing goes there."""
    rng = np.random.default_rng(seed)
    C = rng.random((30, 25)).astype(dtype)
    forbidden = rng.random((30, 25)) < 0.4
    infinite = np.where(forbidden, dtype(INF), C)
    result = solve(infinite, reg=0.1, method=method, allow_inf=True, tol=1e-10)
    assert result.success
    plan = result.plan.dense()
    assert not plan[forbidden].any()
    np.testing.assert_allclose(plan, solve(np.where(forbidden, 1e3, C), reg=0.1, tol=1e-10).plan.dense(), atol=1e-10)
    assert np.isinf(infinite[forbidden]).all()  # the input is left alone
    assert np.isfinite(result.value)
    assert result.value_linear == pytest.approx((np.where(forbidden, 0, C) * plan).sum(), rel=1e-9)
    lower, upper = result.lp_bounds
    assert lower <= ot.emd2([], [], np.where(forbidden, 1e3, C.astype(float))) <= upper
    np.testing.assert_allclose(np.exp((result.f[:, None] + result.g - infinite) / 0.1), plan, rtol=1e-9, atol=1e-300)


def test_without_infinite_costs_nothing_changes(seed):
    C = np.random.default_rng(seed).random((9, 8))
    result = solve(C, reg=0.1, allow_inf=True)
    assert result.stats["copies"] == 0
    np.testing.assert_array_equal(result.plan.dense(), solve(C, reg=0.1).plan.dense())
    assert result.gap < 1e-8


def test_points_with_a_reach(seed):
    """A function of blocks that forbids long ways."""
    rng = np.random.default_rng(seed)
    X, Y = rng.random((60, 1)), rng.random((60, 1))

    def metric(x, y):
        distance = np.abs(x - y.T)
        return np.where(distance < 0.6, distance, INF)

    ours = solve_sample(X, Y, reg=0.05, metric=metric, allow_inf=True, tol=1e-9)
    theirs = solve(metric(X, Y), reg=0.05, allow_inf=True, tol=1e-9)
    assert ours.success
    np.testing.assert_allclose(ours.plan.dense(), theirs.plan.dense(), atol=1e-12)
    alone = solve_sample(X + 7 * (np.arange(60) == 5)[:, None], Y, reg=0.05, metric=metric, allow_inf=True)
    assert alone.status is Status.INFEASIBLE
    np.testing.assert_array_equal(alone.stats["unreachable_rows"], [5])


@pytest.mark.parametrize("method", [None, *METHODS])
@pytest.mark.parametrize(
    ("C", "rows", "columns"),
    [
        ([[0, INF], [1, INF]], [], [1]),
        ([[INF, INF], [1, 2]], [0], []),
        ([[0, INF, INF], [1, INF, INF], [1, 2, 3]], [0, 1], [1, 2]),
        ([[INF]], [0], [0]),
    ],
)
def test_infeasible(C, rows, columns, method):
    result = solve(C, reg=1, method=method, allow_inf=True)
    assert result.status is Status.INFEASIBLE
    assert result.status == 23
    assert not result.success
    np.testing.assert_array_equal(result.stats["unreachable_rows"], rows)
    np.testing.assert_array_equal(result.stats["unreachable_columns"], columns)
    assert not result.plan.dense().any()
    assert result.measure == pytest.approx(2)
    assert result.value == INF
    for who, indices in (("sources", rows), ("targets", columns)):
        assert (f"{who} {indices}" in result.message) == bool(indices)
    with pytest.raises(SolveError, match="No point satisfies"):
        result.raise_for_status()


def test_indices_are_those_of_the_user():
    """Zero weights are left out first; what only they reach does not matter."""
    C = np.zeros((4, 4))
    C[1] = C[:, 2] = INF
    C[3, [0, 1]] = INF
    assert solve(C, [0.5, 0, 0.5, 0], [0.5, 0.5, 0, 0], reg=1, allow_inf=True).success
    result = solve(C, [0.2, 0, 0.2, 0.6], [0.5, 0.3, 0, 0.2], reg=1, allow_inf=True)
    assert result.status is Status.INFEASIBLE
    np.testing.assert_array_equal(result.stats["unreachable_rows"], [3])
    np.testing.assert_array_equal(result.stats["unreachable_columns"], [0, 1])


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.integers(2, 8), st.integers(2, 8), st.integers(0, 2**32 - 1), st.floats(0.1, 0.8))
def test_verdict_agrees_with_the_exact_solver(n, m, seed, share):
    rng = np.random.default_rng(seed)
    forbidden = rng.random((n, m)) < share
    a, b = rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m))
    feasible = ot.emd2(a, b, forbidden.astype(float)) < 1e-7
    result = solve(np.where(forbidden, INF, 0.0), a, b, reg=1, allow_inf=True, max_iter=10)
    assert (result.status is Status.INFEASIBLE) == (not feasible)
    if not feasible:
        rows, columns = result.stats["unreachable_rows"], result.stats["unreachable_columns"]
        reached = np.setdiff1d(np.arange(m), columns)
        if len(rows) and len(columns):
            assert forbidden[np.ix_(rows, columns)].all()
            assert a[rows].sum() > b[reached].sum() or not (~forbidden[rows]).any(1).all()


def test_bad_input():
    with pytest.raises(ValueError, match=r"C must be finite; C\[\(0, 1\)\] is -inf"):
        solve([[INF, -INF]], reg=1, allow_inf=True)
    with pytest.raises(ValueError, match=r"C must be finite; C\[\(0, 1\)\] is nan"):
        solve([[INF, np.nan]], reg=1, allow_inf=True)
    with pytest.raises(ValueError, match=r"C must be finite; C\[\(0, 0\)\] is inf"):
        solve([[INF, 1]], reg=1)
    with pytest.raises(ValueError, match="C is too large beside infinite costs"):
        solve([[INF, 1e299], [0, 1]], reg=1, allow_inf=True)


UNBALANCED = ("unbalanced-sinkhorn", "unbalanced-newton")


@pytest.mark.parametrize(("method", "reg"), [(UNBALANCED[0], 0.1), (UNBALANCED[1], 0.1), (UNBALANCED[1], 1e-3)])
@pytest.mark.parametrize("rho", [1.0, 0.05, (INF, 0.5), (0.3, INF), (INF, INF)], ids=str)
def test_unequal_masses(method, rho, reg, seed):
    """Against costs so large that nothing goes there."""
    rng = np.random.default_rng(seed)
    C, forbidden = rng.random((30, 25)), rng.random((30, 25)) < 0.4
    a, b = rng.dirichlet(np.ones(30)), rng.dirichlet(np.ones(25)) * (1.0 if rho == (INF, INF) else 1.3)
    asked = {"reg": reg, "reg_m": rho, "method": method, "tol": 1e-10}
    result = solve_unbalanced(np.where(forbidden, INF, C), a, b, **asked, allow_inf=True)
    assert result.success
    plan = result.plan.dense()
    assert not plan[forbidden].any()
    closed = solve_unbalanced(np.where(forbidden, 1e3, C), a, b, **asked)
    np.testing.assert_allclose(plan, closed.plan.dense(), atol=1e-9)
    assert result.value == pytest.approx(closed.value, rel=1e-8)
    assert result.value_dual == pytest.approx(closed.value_dual, rel=1e-8)
    np.testing.assert_allclose(
        np.outer(a, b) * np.exp((result.f[:, None] + result.g - np.where(forbidden, INF, C)) / reg), plan, rtol=1e-8,
        atol=1e-300,
    )  # fmt: skip


@pytest.mark.parametrize("method", UNBALANCED)
def test_what_nothing_serves_stays_at_its_price(method, seed):
    """A source and two targets without arcs: left where they are, and their masses paid for."""
    rng = np.random.default_rng(seed)
    C, a, b = rng.random((8, 9)), rng.random(8), rng.random(9)
    C[3] = C[:, 5] = C[:, 0] = INF
    a[6], C[6, 1:5], C[7, :8], b[8] = 0.0, INF, INF, 0.0  # row 7 reaches the weightless target alone

    def solved(a, b):
        return solve_unbalanced(C, a, b, reg=0.1, reg_m=(2.0, 0.7), method=method, tol=1e-12, allow_inf=True)

    result = solved(a, b)
    assert result.success
    plan = result.plan.dense()
    rows, columns = np.ix_([0, 1, 2, 4, 5], [1, 2, 3, 4, 6, 7])
    part = solve_unbalanced(C[rows, columns], a[rows[:, 0]], b[columns[0]], reg=0.1, reg_m=(2.0, 0.7), tol=1e-12)
    np.testing.assert_allclose(plan[rows, columns], part.plan.dense(), rtol=1e-9)
    assert plan.sum() == pytest.approx(part.mass, rel=1e-12)
    masses = a.sum() * b.sum() - a[rows[:, 0]].sum() * b[columns[0]].sum()
    extra = 0.1 * masses + 2.0 * a[[3, 7]].sum() + 0.7 * b[[0, 5]].sum()
    assert result.value == pytest.approx(part.value + extra, rel=1e-10)
    assert result.value_dual == pytest.approx(part.value_dual + extra, rel=1e-10)
    np.testing.assert_allclose(plan.sum(1), a * np.exp(-result.f / 2.0), atol=1e-11)
    np.testing.assert_allclose(plan.sum(0), b * np.exp(-result.g / 0.7), atol=1e-11)
    slope, h = gradients(result), 1e-5
    for i in (0, 3, 7):
        step = h * (np.arange(8) == i)
        difference = (solved(a + step, b).value - solved(a - step, b).value) / (2 * h)
        assert slope.a[i] == pytest.approx(difference, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("method", [None, *UNBALANCED])
def test_a_hard_side_that_nothing_serves(method):
    C = [[0, INF, 1], [INF, INF, INF], [2, INF, 1]]
    result = solve_unbalanced(C, reg=1, reg_m=(INF, 1), method=method, allow_inf=True)
    assert result.status is Status.INFEASIBLE
    assert not result.success
    assert "sources [1] cannot send" in result.message
    assert not len(result.stats["unreachable_columns"])
    assert not result.plan.dense().any()
    assert result.value == INF
    assert solve_unbalanced(np.delete(C, 1, 0), reg=1, reg_m=(INF, 1), method=method, allow_inf=True).success
    both = solve_unbalanced([[0, INF], [1, INF]], reg=1, reg_m=INF, method=method, allow_inf=True)
    np.testing.assert_array_equal(both.stats["unreachable_columns"], [1])


def test_unequal_masses_between_points(seed):
    rng = np.random.default_rng(seed)
    X, Y = rng.random((60, 1)), rng.random((60, 1))
    X[5] += 7

    def metric(x, y):
        distance = np.abs(x - y.T)
        return np.where(distance < 0.6, distance, INF)

    ours = solve_unbalanced_sample(X, Y, reg=0.05, reg_m=1, metric=metric, allow_inf=True)
    theirs = solve_unbalanced(metric(X, Y), reg=0.05, reg_m=1, allow_inf=True)
    assert ours.success
    np.testing.assert_allclose(ours.plan.dense(), theirs.plan.dense(), atol=1e-12)
    assert not ours.plan.dense()[5].any()


def test_bad_input_of_unequal_masses():
    with pytest.raises(ValueError, match="every arc between positive weights is forbidden"):
        solve_unbalanced([[INF, 1], [INF, INF]], [1, 1], [1, 0], reg=1, reg_m=1, allow_inf=True)
    with pytest.raises(ValueError, match=r"C must be finite; C\[\(0, 1\)\] is -inf"):
        solve_unbalanced([[INF, -INF]], reg=1, reg_m=1, allow_inf=True)
    with pytest.raises(ValueError, match=r"C must be finite; C\[\(0, 0\)\] is inf"):
        solve_unbalanced([[INF, 1]], reg=1, reg_m=1)
