"""The Sinkhorn divergence: POT, closed forms, and what makes it a divergence."""

import warnings

import numpy as np
import ot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from solvers import MethodError, Status
from solvers.ot import gradients, sinkhorn_divergence, sinkhorn_divergence_from_costs, solve_sample

METRICS = ("sqeuclidean", "euclidean", "cityblock")
EXAMPLES = settings(max_examples=40, deadline=None, derandomize=True)


def clouds(seed, n=30, m=25, d=2):
    rng = np.random.default_rng(seed)
    X, Y = rng.random((n, d)), rng.random((m, d)) * 0.7 + 0.4
    return X, Y, rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("reg", [1.0, 0.1])
def test_pot(metric, reg, seed):
    """POT combines the three <C, P>: our value_linear. The value combines <C, P> + reg KL(P | ab')."""
    X, Y, a, b = clouds(seed)
    theirs = ot.bregman.empirical_sinkhorn_divergence(X, Y, reg, a, b, metric=metric, stopThr=1e-12, numIterMax=100_000)
    result = sinkhorn_divergence(X, Y, a, b, reg=reg, metric=metric, tol=1e-12, max_iter=100_000)
    assert result.success
    assert result.value_linear == pytest.approx(theirs, rel=1e-8, abs=1e-10)
    pairs = ((X, Y, a, b), (X, X, a, a), (Y, Y, b, b))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        between, within_a, within_b = (
            ot.solve(ot.dist(x, y, metric=metric), p, q, reg=reg, reg_type="KL", tol=1e-12, max_iter=20_000).value
            for x, y, p, q in pairs
        )
    assert result.value == pytest.approx(between - (within_a + within_b) / 2, rel=1e-8, abs=1e-10)


def test_closed_forms():
    """Single points: the cost between them. Two uniform pairs with costs [[p, q], [q, p]]: 2 x 2 plans by hand."""
    assert sinkhorn_divergence([[0.0]], [[3.0]], reg=0.5).value == pytest.approx(9, rel=1e-14)
    reg, between, within = 0.4, np.array([5.0, 6.0]), np.array([0.0, 1.0])

    def value(costs):
        keep = 0.5 / (1 + np.exp((costs[0] - costs[1]) / reg))
        plan = np.array([keep, 0.5 - keep])
        return 2 * (plan @ costs + reg * plan @ np.log(4 * plan))

    C, C_within = (np.array([[p, q], [q, p]]) for p, q in (between, within))
    result = sinkhorn_divergence_from_costs(C, C_within, C_within, reg=reg)
    assert result.value == pytest.approx(value(between) - value(within), rel=1e-12)


@EXAMPLES
@given(
    st.integers(1, 25), st.integers(1, 25), st.integers(1, 3), st.integers(0, 2**32 - 1),
    st.sampled_from(METRICS), st.sampled_from([10.0, 1.0, 0.2]),
)  # fmt: skip
def test_a_divergence(n, m, d, seed, metric, reg):
    X, Y, a, b = clouds(seed, n, m, d)
    keywords = {"reg": reg, "metric": metric, "tol": 1e-10, "max_iter": 100_000}
    result = sinkhorn_divergence(X, Y, a, b, **keywords)
    assert result.success, result.message
    low, high = result.bounds
    assert low <= result.value <= high
    assert high - low < 1e-8
    assert result.value >= -1e-12
    assert sinkhorn_divergence(Y, X, b, a, **keywords).value == pytest.approx(result.value, abs=1e-9)
    order = np.random.default_rng(seed).permutation(n)
    assert abs(sinkhorn_divergence(X, X[order], a, a[order], **keywords).value) < 1e-12
    assert sinkhorn_divergence(X + 3, Y + 3, a, b, **keywords).value == pytest.approx(result.value, abs=1e-9)


@pytest.mark.parametrize("metric", METRICS)
def test_self_terms_are_the_solves(metric, seed):
    X, Y, a, b = clouds(seed)
    result = sinkhorn_divergence(X, Y, a, b, reg=0.2, metric=metric, tol=1e-11)
    for ours, points, weights in ((result.self_a, X, a), (result.self_b, Y, b)):
        theirs = solve_sample(points, points, weights, weights, reg=0.2, metric=metric, tol=1e-12, max_iter=100_000)
        np.testing.assert_allclose(ours.plan.dense(), theirs.plan.dense(), atol=1e-10)
        assert ours.method == "symmetric-sinkhorn"
        assert ours.nit < 60
        np.testing.assert_allclose(ours.f - ours.g, ours.f[0] - ours.g[0], atol=1e-12)


def test_self_terms_are_fast_at_small_reg(seed):
    X, Y, _, _ = clouds(seed, 200, 150)
    result = sinkhorn_divergence(X, Y, reg=1e-3, tol=1e-8)
    assert result.success
    assert max(result.self_a.nit, result.self_b.nit) < 60


@pytest.mark.parametrize("metric", METRICS)
def test_gradients(metric, seed):
    X, Y, a, b = clouds(seed, 8, 6)
    a[2] = 0
    a /= a.sum()
    rng = np.random.default_rng(seed)
    dX, dY, da, db = (rng.normal(size=x.shape) for x in (X, Y, a, b))
    da, db = (da - da.mean()) * 1e-2 * (a > 0), (db - db.mean()) * 1e-2
    da[0] -= da.sum()
    keywords = {"reg": 0.3, "metric": metric, "tol": 1e-13, "max_iter": 100_000}
    slopes = sinkhorn_divergence(X, Y, a, b, **keywords).gradients
    cases = (
        ((slopes.X * dX).sum(), lambda t: (X + t * dX, Y, a, b)),
        ((slopes.Y * dY).sum(), lambda t: (X, Y + t * dY, a, b)),
        (slopes.a @ da, lambda t: (X, Y, a + t * da, b)),
        (slopes.b @ db, lambda t: (X, Y, a, b + t * db)),
    )
    for slope, data in cases:
        ahead, behind = (sinkhorn_divergence(*data(h), **keywords).value for h in (1e-5, -1e-5))
        assert slope == pytest.approx((ahead - behind) / 2e-5, rel=1e-5, abs=1e-8)


def test_gradient_vanishes_at_equal_clouds(seed):
    X, _, a, _ = clouds(seed)
    slopes = sinkhorn_divergence(X, X, a, a, reg=0.1, tol=1e-12, max_iter=100_000).gradients
    assert np.abs(slopes.X).max() < 1e-11
    assert np.abs(slopes.a).max() < 1e-10


@pytest.mark.parametrize("metric", [{"metric": "sqeuclidean"}, {"metric": "minkowski", "p": 1.5}], ids=str)
def test_costs_give_what_points_give(metric, seed):
    X, Y, a, b = clouds(seed)
    costs = [cdist(x, y, **metric) for x, y in ((X, Y), (X, X), (Y, Y))]
    ours = sinkhorn_divergence_from_costs(*costs, a, b, reg=0.2, tol=1e-11)
    assert ours.value == pytest.approx(sinkhorn_divergence(X, Y, a, b, reg=0.2, tol=1e-11, **metric).value, abs=1e-11)


def test_costs_for_which_the_averaged_fixed_point_fails(seed):
    """A cost that is not symmetric, or no metric at all: the self terms fall back to the method for any costs."""
    rng = np.random.default_rng(seed)
    C = rng.random((12, 12))
    result = sinkhorn_divergence_from_costs(C, C, C, reg=0.1, max_iter=100_000)
    assert result.success
    assert result.self_a.method in ("sinkhorn", "sns", "newton")
    assert result.value == 0


def test_success_needs_all_three():
    X, Y, a, b = clouds(3)
    result = sinkhorn_divergence(X, Y, a, b, reg=0.01, max_iter=3)
    assert not result.success
    assert result.status is Status.MAX_ITER
    assert result.measure > 1e-9
    assert "max_iter" in result.message


def test_bad_input():
    C = np.ones((3, 4))
    with pytest.raises(ValueError, match=r"needs C_a \(3, 3\) and C_b \(4, 4\), not \(3, 3\) and \(3, 4\)"):
        sinkhorn_divergence_from_costs(C, C[:, :3], C, reg=1)
    with pytest.raises(ValueError, match="X and Y differ in dimension"):
        sinkhorn_divergence(C, C[:, :2], reg=1)
    with pytest.raises(ValueError, match="p belongs to the metric 'minkowski'"):
        sinkhorn_divergence(C, C, reg=1, p=3)
    with pytest.raises(ValueError, match="a and b must have the same mass"):
        sinkhorn_divergence(C, C, np.ones(3), None, reg=1)
    with pytest.raises(TypeError, match=r"result\.gradients"):
        gradients(sinkhorn_divergence(C, C, reg=1))
    with pytest.raises(MethodError, match="no method 'sinkhron'"):
        sinkhorn_divergence(C, C, reg=1, method="sinkhron")
