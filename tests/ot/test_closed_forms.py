"""Answers that are known exactly."""

import numpy as np
import pytest

from solvers.ot import solve, solve_sample

METHODS = ("newton", "sinkhorn", "sns", "ssns")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("reg", [5.0, 0.7, 0.05, 0.002])
def test_two_by_two(method, reg):
    result = solve([[0, 1], [1, 0]], reg=reg, method=method, tol=1e-13)
    right = 1 / (2 * (1 + np.exp(-1 / reg)))
    np.testing.assert_allclose(
        result.plan.dense(), [[right, 0.5 - right], [0.5 - right, right]], rtol=1e-12, atol=1e-16
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (5, 5)])
def test_constant_cost_gives_the_product(method, shape, seed):
    rng = np.random.default_rng(seed)
    a, b = rng.random(shape[0]) + 0.1, rng.random(shape[1]) + 0.1
    b *= a.sum() / b.sum()
    result = solve(np.full(shape, 3.5), a, b, reg=0.1, method=method, tol=1e-12)
    np.testing.assert_allclose(result.plan.dense(), np.outer(a, b) / a.sum(), rtol=1e-12)
    assert result.value_linear == pytest.approx(3.5 * a.sum(), rel=1e-12)


def test_large_reg_gives_the_product(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.dirichlet(np.ones(7)), rng.dirichlet(np.ones(5))
    plan = solve(rng.random((7, 5)), a, b, reg=1e9, tol=1e-13).plan.dense()
    np.testing.assert_allclose(plan, np.outer(a, b), rtol=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_small_reg_finds_the_permutation(method, seed):
    order = np.random.default_rng(seed).permutation(12)
    C = np.ones((12, 12))
    C[np.arange(12), order] = 0
    plan = solve(C, reg=0.02, method=method, tol=1e-12).plan.dense()
    np.testing.assert_array_equal(plan.argmax(1), order)
    np.testing.assert_allclose(plan.max(1), 1 / 12, rtol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_permutations_with_ties_and_whole_costs(method, seed):
    """Costs 0 on two permutations that differ by a swap, 1 elsewhere: the swapped pair shares, the others do not."""
    order = np.random.default_rng(seed).permutation(12)
    C = np.ones((12, 12), np.int64)
    C[np.arange(12), order] = C[0, order[1]] = C[1, order[0]] = 0
    plan = solve(C, reg=0.02, method=method, tol=1e-12).plan.dense()
    np.testing.assert_allclose(plan[:2][:, order[:2]], 1 / 24, rtol=1e-11)
    np.testing.assert_allclose(plan[np.arange(2, 12), order[2:]], 1 / 12, rtol=1e-11)


@pytest.mark.parametrize("method", METHODS)
def test_equal_clouds_stay_where_they_are(method, seed):
    rng = np.random.default_rng(seed)
    X, a = np.linspace(0, 1, 15)[rng.permutation(15)], rng.dirichlet(np.ones(15)) + 0.01
    plan = solve(np.abs(X[:, None] - X), a, a, reg=1e-3, method=method, tol=1e-11, max_iter=100_000).plan.dense()
    np.testing.assert_allclose(plan, np.diag(a), atol=1e-11)


@pytest.mark.parametrize("method", METHODS)
def test_parts_that_hardly_touch(method, seed):
    """Two groups of equal mass, 60 reg from one another: each is served as if it were alone."""
    rng = np.random.default_rng(seed)
    C = rng.random((24, 20)) * 0.5
    C[:12, 10:] += 3
    C[12:, :10] += 3
    whole = solve(C, reg=0.05, method=method, tol=1e-12, max_iter=100_000)
    assert whole.success
    for rows, columns in ((slice(12), slice(10)), (slice(12, 24), slice(10, 20))):
        part = solve(C[rows, columns], np.full(12, 1 / 24), np.full(10, 1 / 20), reg=0.05, tol=1e-12)
        np.testing.assert_allclose(whole.plan.dense()[rows, columns], part.plan.dense(), atol=1e-11)


def _gaussian_value(mean, sd_a, sd_b, reg):
    """Entropic cost between two Gaussians on the line (Janati, Muzellec, Peyre, Cuturi, 2020)."""
    s = reg / 2
    d = np.sqrt(4 * sd_a**2 * sd_b**2 + s**2)
    return mean**2 + sd_a**2 + sd_b**2 - d + s * (1 - np.log(2 * s)) + s * np.log(d + s)


def test_gaussians():
    x = np.linspace(-9, 10, 1504)
    a, b = np.exp(-((x / 0.8) ** 2) / 2), np.exp(-(((x - 0.7) / 1.1) ** 2) / 2)
    a[a < 1e-14 * a.max()] = 0
    a, b = a / a.sum(), b / b.sum()
    expected = _gaussian_value(0.7, 0.8, 1.1, 0.1)
    assert expected == pytest.approx(0.7741051246191852, rel=1e-15)
    for result in (
        solve((x[:, None] - x) ** 2, a, b, reg=0.1, tol=1e-13, max_iter=5000),
        solve_sample(x[:, None], x[:, None], a, b, reg=0.1, tol=1e-13, max_iter=5000),
    ):
        assert result.success
        assert result.value == pytest.approx(expected, rel=1e-12)
        np.testing.assert_array_equal(result.plan.dense()[a == 0], 0)


@pytest.mark.parametrize(("method", "tol", "accuracy"), [("sns", 1e-10, 1e-10), ("sinkhorn", 1e-6, 2e-6)])
def test_known_value_of_a_random_assignment(method, tol, accuracy):
    """default_rng(0).random((500, 500)) at reg = 1/1200: two independent solvers agree on this to 1e-12."""
    C = np.random.default_rng(0).random((500, 500))
    result = solve(C, reg=1 / 1200, method=method, tol=tol, max_iter=20_000)
    assert result.success
    assert result.value_linear == pytest.approx(0.0034504128667, rel=accuracy)


def test_zero_weights_are_exact_zeros(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.dirichlet(np.ones(8)), rng.dirichlet(np.ones(6))
    a[[1, 5]], b[[0]] = 0, 0
    a, b = a / a.sum(), b / b.sum()
    C = rng.random((8, 6))
    result = solve(C, a, b, reg=0.1, tol=1e-12)
    plan = result.plan.dense()
    assert not plan[[1, 5]].any()
    assert not plan[:, 0].any()
    np.testing.assert_allclose(plan.sum(1), a, atol=1e-12)
    np.testing.assert_allclose(plan.sum(0), b, atol=1e-12)
    assert (result.f[[1, 5]] == -np.inf).all()
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(np.exp((result.f[:, None] + result.g - C) / 0.1), plan, atol=1e-13)
    np.testing.assert_allclose(result.plan.matvec(b), plan @ b)
    np.testing.assert_allclose(result.plan.rmatvec(a), plan.T @ a)
    moved = result.plan.barycentric(np.arange(6.0))
    assert np.isnan(moved[[1, 5]]).all()
    again = solve(C, a, b, reg=0.1, tol=1e-10, warm_start=(result.f, result.g))
    assert again.nit == 0
