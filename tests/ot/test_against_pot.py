"""Against an independent solver."""

import numpy as np
import ot
import pytest
import regot

from solvers.ot import solve, solve_sample


@pytest.fixture
def data(seed):
    rng = np.random.default_rng(seed)
    n, m = 60, 45
    return rng.random((n, m)), rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m))


@pytest.mark.parametrize("method", ["newton", "sinkhorn", "sns", "ssns"])
@pytest.mark.parametrize("reg", [1.0, 0.1, 0.02])
def test_plan(data, method, reg):
    C, a, b = data
    theirs = ot.sinkhorn(a, b, C, reg, method="sinkhorn_log", numItermax=100_000, stopThr=1e-13)
    result = solve(C, a, b, reg=reg, method=method, tol=1e-12, max_iter=100_000)
    np.testing.assert_allclose(result.plan.dense(), theirs, atol=1e-10)


def test_plan_of_another_newton_method(seed):
    """regot's SSNS by its authors, at a reg that POT's methods need thousands of iterations for."""
    rng = np.random.default_rng(seed)
    C, a = rng.random((80, 80)), np.full(80, 1 / 80)
    theirs = regot.sinkhorn_ssns(np.asfortranarray(C), a, a, C.max() / 1200, tol=1e-11, max_iter=1000)
    for method in ("newton", "ssns"):
        result = solve(C, a, a, reg=C.max() / 1200, method=method, tol=1e-11)
        assert result.success
        np.testing.assert_allclose(result.plan.dense(), theirs.plan, atol=1e-9)


def test_values(data):
    C, a, b = data
    theirs = ot.solve(C, a, b, reg=0.1, reg_type="KL", max_iter=100_000, tol=1e-13)
    result = solve(C, a, b, reg=0.1, tol=1e-12)
    assert result.value == pytest.approx(theirs.value, rel=1e-9)
    assert result.value_linear == pytest.approx(theirs.value_linear, rel=1e-9)
    plan = result.plan.dense()
    kl = (plan * np.log(plan / np.outer(a, b))).sum()
    assert result.value == pytest.approx((C * plan).sum() + 0.1 * kl, rel=1e-13)


def test_never_below_the_exact_optimum(data):
    C, a, b = data
    exact = ot.emd2(a, b, C)
    costs = [solve(C, a, b, reg=reg, tol=1e-10, max_iter=100_000).value_linear for reg in (1.0, 0.1, 0.03, 0.01)]
    assert costs == sorted(costs, reverse=True)
    assert exact - 1e-9 <= costs[-1] <= exact + 0.05


@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean", "cityblock"])
@pytest.mark.parametrize("d", [1, 2, 3, 5])
def test_points(metric, d, seed):
    rng = np.random.default_rng(seed)
    X, Y = rng.random((40, d)), rng.random((33, d)) + 0.2
    C = ot.dist(X, Y, metric=metric)
    result = solve_sample(X, Y, reg=0.05, metric=metric, tol=1e-11, max_iter=50_000)
    np.testing.assert_allclose(
        result.plan.dense(), solve(C, reg=0.05, tol=1e-11, max_iter=50_000).plan.dense(), atol=1e-11
    )
    moved = result.plan.barycentric(Y)
    np.testing.assert_allclose(moved, result.plan.dense() @ Y * 40, atol=1e-9)
