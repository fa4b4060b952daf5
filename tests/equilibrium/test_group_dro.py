"""The worst mixture of groups: the kernels against NumPy, the answer against its conditions and another solver."""

import math

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st

import solvers
from solvers.equilibrium import _kernels as kernels
from solvers.equilibrium import group_dro
from solvers.equilibrium._dro_problem import LOSSES
from solvers.equilibrium._sqp import simplex_quadratic


def data(n, d, groups, seed, sort=True):
    rng = np.random.default_rng(seed)
    group = rng.choice(groups, n, p=np.arange(1, groups + 1) / (groups * (groups + 1) / 2)).astype(np.int32)
    group[:groups] = np.arange(groups)
    group = np.sort(group) if sort else group
    X = rng.standard_normal((n, d)) + rng.standard_normal((groups, d))[group] * 0.3
    w = rng.standard_normal((groups, d)) * 0.7 + rng.standard_normal(d) * 2
    y = np.where(rng.random(n) < 1 / (1 + np.exp(-np.einsum("ij,ij->i", X, w[group]) / math.sqrt(d))), 1.0, -1.0)
    return X / math.sqrt(d), y, group


def terms(loss, z, y):
    """Value, first and second derivative, in extended precision."""
    z, y = z.astype(np.longdouble), y.astype(np.longdouble)
    if loss == "logistic":
        share = 1 / (1 + np.exp(y * z))
        return np.log1p(np.exp(-y * z)), -y * share, share * (1 - share)
    if loss == "squared":
        return (z - y) ** 2 / 2, z - y, np.ones_like(z)
    if loss == "huber":
        c = np.clip(z - y, -1, 1)
        return c * (z - y - c / 2), c, (np.abs(z - y) < 1) * 1.0
    if loss == "squared_hinge":
        left = np.maximum(1 - y * z, 0)
        return left**2 / 2, -y * left, (left > 0) * 1.0
    return np.exp(z) - y * z, np.exp(z) - y, np.exp(z)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    ("n", "d", "sort"),
    [(1, 1, True), (131, 3, False), (257, 8, True), (300, 19, False), (300, 33, True), (8300, 2, False)],
)
def test_sums_are_those_of_numpy(loss, n, d, sort, seed):
    X, y, group = data(n, d, min(n, 5), seed, sort)
    groups = min(n, 5)
    w = np.random.default_rng(seed).standard_normal(d)
    share = np.random.default_rng(seed).random(groups)
    value, slope, bend = terms(loss, X.astype(np.longdouble) @ w, y)
    rows = kernels.GroupRows(X, y, group, LOSSES[loss])
    for threads in (1, 3):
        f, J, H, each = np.empty(groups), np.empty((groups, d)), np.empty((d, d)), np.empty((2, n))
        rows.sums(w, f, J, share, H, each, threads)
        np.testing.assert_allclose(f, [value[group == g].sum() for g in range(groups)], rtol=1e-13, atol=1e-13 * n)
        own = [X[group == g].T @ slope[group == g] for g in range(groups)]
        np.testing.assert_allclose(J, np.array(own, float), rtol=1e-12, atol=1e-14 * n)
        curvature = X.T @ ((share[group] * bend)[:, None] * X)
        np.testing.assert_allclose(np.tril(H), np.tril(curvature).astype(float), rtol=1e-12, atol=1e-14 * n)
        np.testing.assert_allclose(each, np.array([value, slope], float), rtol=1e-13, atol=1e-14)


@given(st.integers(1, 7), st.integers(0, 2**32))
@settings(max_examples=60)
def test_quadratic_over_the_simplex(n, seed):
    rng = np.random.default_rng(seed)
    B = rng.standard_normal((n, n))
    A, c = B @ B.T + 0.1 * np.eye(n), rng.standard_normal(n) * 3
    q = simplex_quadratic(A, c, np.full(n, 1 / n))
    slope = c - A @ q
    assert q.min() >= 0
    assert q.sum() == pytest.approx(1, abs=1e-13)
    assert slope.max() - slope[q > 0].min() < 1e-9


@pytest.mark.parametrize("loss", LOSSES)
def test_value_is_that_of_another_solver(loss):
    """SLSQP on the smallest t above every group's loss."""
    X, y, group = data(400, 4, 3, 5)
    y = np.abs(y) if loss == "poisson" else y

    def losses(w):
        value = terms(loss, X @ w, y)[0]
        return np.array([value[group == g].mean() for g in range(3)], float) + 0.05 * (w @ w)

    start = np.append(np.zeros(4), losses(np.zeros(4)).max())
    above = {"type": "ineq", "fun": lambda v: v[4] - losses(v[:4])}
    peer = scipy.optimize.minimize(
        lambda v: v[4], start, method="SLSQP", constraints=[above], options={"ftol": 1e-13, "maxiter": 300}
    )
    result = group_dro(X, y, group, loss=loss, l2=0.1, tol=1e-10)
    assert result.success
    assert result.value == pytest.approx(peer.fun, rel=1e-6)
    assert result.value_bounds[0] <= peer.fun * (1 + 1e-8)
    assert result.gap < 1e-9
    assert result.certificate.norm < 1e-9


def test_rows_in_any_order_and_any_labels(seed):
    X, y, group = data(3000, 5, 4, seed)
    sorted_ = group_dro(X, y, group, tol=1e-10)
    order = np.random.default_rng(seed).permutation(3000)
    named = group_dro(X[order], (y[order] + 1) / 2, np.array(["d", "a", "c", "b"])[group[order]], tol=1e-10)
    assert named.group_labels.tolist() == ["a", "b", "c", "d"]
    np.testing.assert_allclose(named.coef, sorted_.coef, atol=1e-8)
    np.testing.assert_allclose(named.weights, sorted_.weights[[1, 3, 2, 0]], atol=1e-8)


@pytest.mark.parametrize(
    ("dtype", "low"),
    [(np.int8, -3), (np.int8, 124), (np.uint64, 0), (np.uint64, 2**63 + 9), (np.int64, -(2**62)), (bool, 0)],
)
def test_groups_of_any_integers(dtype, low):
    X, y, group = data(200, 3, 2 if dtype is bool else 4, 7)
    own = np.array([low + int(g) for g in group], dtype)
    result = group_dro(X, y, own)
    np.testing.assert_array_equal(result.group_labels, np.unique(own))
    np.testing.assert_array_equal(result.coef, group_dro(X, y, group).coef)


def test_samples_of_many_rows_lead_to_the_same_answer(seed):
    """Also where a group has hardly any rows, in any order."""
    X, y, group = data(30_000, 6, 5, seed, sort=False)
    group[group == 0] = 1
    group[17] = group[29_000] = 0
    whole = group_dro(X, y, group, tol=1e-10, options={"stride": 1})
    sampled = group_dro(X, y, group, tol=1e-10, rng=seed)
    assert whole.success
    assert sampled.success
    np.testing.assert_allclose(sampled.coef, whole.coef, atol=1e-8)
    assert sampled.ncomp > 0 == whole.ncomp


@pytest.mark.parametrize("method", ["vr-eg", "ogda"])
def test_other_methods_find_the_same(method, seed):
    X, y, group = data(4000, 5, 4, seed, sort=False)
    wanted = group_dro(X, y, group, l2=0.05, tol=1e-11)
    result = group_dro(X, y, group, l2=0.05, tol=1e-9, method=method, rng=seed)
    assert result.success
    np.testing.assert_allclose(result.coef, wanted.coef, atol=1e-6)
    np.testing.assert_allclose(result.weights, wanted.weights, atol=1e-6)


def test_one_group_is_plain_regression(seed):
    X, y, _ = data(500, 6, 1, seed)
    result = group_dro(X, y, np.zeros(500), l2=0.1, tol=1e-12)
    peer = solvers.learning.glm(X, y, loss="logistic", penalty="l2", lam=0.1 * 500, tol=1e-14)
    assert result.weights.tolist() == [1.0]
    np.testing.assert_allclose(result.coef, peer.coef, atol=1e-7)


def test_without_penalty_there_is_no_lower_bound():
    X, y, group = data(800, 3, 2, 3)
    result = group_dro(X, y, group, l2=0, tol=1e-9)
    assert result.success
    assert result.value_bounds[0] == -math.inf
    assert result.gap == math.inf


@pytest.mark.parametrize("method", ["vr-eg", "eg", "ogda"])
def test_weights_stay_in_the_simplex(method):
    """Without a penalty steps may go so far that the losses are 1e50."""
    rng = np.random.default_rng(629)
    X, y = rng.normal(size=(48, 6)) * 10.0 ** rng.integers(-5, 3, size=6), rng.normal(size=48)
    result = group_dro(X, y, np.zeros(48, int), loss="squared", l2=0.0, method=method, max_iter=60, max_epochs=200)
    np.testing.assert_array_equal(result.weights, [1.0])
    assert not np.isnan(result.certificate.norm)


def test_gap_as_the_criterion():
    X, y, group = data(800, 3, 2, 3)
    result = group_dro(X, y, group, criterion="gap", tol=1e-9)
    assert result.success
    assert result.measure == result.gap <= 1e-9


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"X": np.full((6, 2), np.nan)}, ValueError, "X must be finite"),
        ({"X": np.zeros((6, 0))}, ValueError, "X is empty"),
        ({"X": np.ones((5, 2))}, ValueError, "y must have length 5"),
        ({"y": np.arange(6.0)}, ValueError, "labels"),
        ({"y": -np.ones(6), "loss": "poisson"}, ValueError, "counts"),
        ({"groups": np.zeros(4)}, ValueError, "groups must have shape"),
        ({"groups": [0, 1, np.nan, 1, 0, 1]}, ValueError, "groups must be finite"),
        ({"loss": "hinge"}, ValueError, "loss must be"),
        ({"l2": -1}, ValueError, "l2 must be"),
        ({"x0": np.zeros(3)}, ValueError, "x0 must have"),
        ({"criterion": "operator"}, ValueError, "criterion"),
        ({"method": "halpern-pdlp"}, solvers.MethodError, "no method"),
    ],
)
def test_bad_input(change, error, match):
    given = {"X": np.ones((6, 2)), "y": np.array([1.0, -1, 1, -1, 1, -1]), "groups": np.arange(6) % 2, **change}
    with pytest.raises(error, match=match):
        group_dro(given.pop("X"), given.pop("y"), given.pop("groups"), **given)
