"""The active-set method for dense quadratics with l1 weights and bounds, against its optimality conditions."""

import numpy as np
import pytest
import scipy.optimize
from hypothesis import example, given
from hypothesis import strategies as st

from solvers.learning import _kernels


def minimised(H, c, weight, low, high, w=None, tol=0.0, phases=1000):
    """The minimiser of 1/2 w'Hw - c'w + sum weight |w| within the bounds, and the gradient of the quadratic there."""
    w = np.zeros(len(c)) if w is None else w.copy()
    g = H @ w - c
    model = _kernels.Quadratic(*map(np.ascontiguousarray, (H, weight, low, high, w, g)))
    violation = model.minimise(tol, phases)
    return w, g, violation, model.counts


def free(p):
    return np.full(p, -np.inf), np.full(p, np.inf)


def objective(H, c, weight, w):
    return 0.5 * w @ H @ w - c @ w + weight @ np.abs(w)


def violation(H, c, weight, low, high, w):
    """How far w is from a fixed point of the proximal gradient step of length 1."""
    z = w - (H @ w - c)
    return np.abs(np.clip(np.sign(z) * np.maximum(np.abs(z) - weight, 0), low, high) - w).max(initial=0)


def gram(rng, n, p):
    X = rng.normal(size=(n, p)) * rng.lognormal(size=p)
    return X.T @ X, X.T @ rng.normal(size=n)


@pytest.mark.parametrize("p", [1, 2, 7, 8, 9, 31, 64, 130])
@pytest.mark.parametrize("share", [0.9, 0.1, 1e-3, 0.0])
def test_the_optimality_conditions_hold_to_rounding(seed, p, share):
    H, c = gram(np.random.default_rng(seed), 3 * p, p)
    weight = np.full(p, share * np.abs(c).max())
    w, g, reached, _ = minimised(H, c, weight, *free(p))
    size = np.abs(c).max() + np.abs(H).max() * np.abs(w).max()
    assert violation(H, c, weight, *free(p), w) <= 1e-12 * size
    assert reached <= 1e-12 * size
    np.testing.assert_allclose(g, H @ w - c, rtol=0, atol=1e-12 * size)


def test_without_weights_it_solves_the_equations(seed):
    H, c = gram(np.random.default_rng(seed), 90, 40)
    w = minimised(H, c, np.zeros(40), *free(40))[0]
    np.testing.assert_allclose(w, np.linalg.solve(H, c), rtol=1e-9)


def test_bounds_as_scipy_finds_them(seed):
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(60, 25)), rng.normal(size=60)
    low, high = -rng.uniform(0, 0.1, 25), rng.uniform(0, 0.1, 25)
    w = minimised(X.T @ X, X.T @ y, np.zeros(25), low, high)[0]
    expected = scipy.optimize.lsq_linear(X, y, (low, high), tol=1e-14)
    np.testing.assert_allclose(w, expected.x, atol=1e-8)
    assert np.all((low <= w) & (w <= high))


def test_more_coordinates_than_rank(seed):
    """Dependent coordinates are exchanged: the support stays independent, and the equations are met."""
    rng = np.random.default_rng(seed)
    H, c = gram(rng, 20, 70)
    weight = np.full(70, 1e-3 * np.abs(c).max())
    w, _, _, counts = minimised(H, c, weight, *free(70))
    assert violation(H, c, weight, *free(70), w) <= 1e-10 * np.abs(H).max()
    assert np.count_nonzero(w) <= 20 + counts["updates"]


@pytest.mark.parametrize("copies", [2, 5])
def test_equal_columns(seed, copies):
    rng = np.random.default_rng(seed)
    X = np.repeat(rng.normal(size=(40, 6)), copies, axis=1)
    y = rng.normal(size=40)
    weight = np.full(6 * copies, 0.5)
    w = minimised(X.T @ X, X.T @ y, weight, *free(6 * copies))[0]
    one = minimised(X[:, ::copies].T @ X[:, ::copies], X[:, ::copies].T @ y, weight[::copies], *free(6))[0]
    np.testing.assert_allclose(w.reshape(6, copies).sum(1), one, atol=1e-10)


def test_no_minimum_is_told(seed):
    """A linear term outside of the range of H and steeper than the weights: a line without an end is met soon."""
    rng = np.random.default_rng(seed)
    H, c = gram(rng, 20, 50)
    w, _, violation, counts = minimised(H, c + rng.normal(size=50) * np.abs(c).max(), np.full(50, 0.1), *free(50))
    assert violation == np.inf
    assert np.isfinite(w).all()
    assert counts["newtons"] < 200


def test_many_that_end_at_once_share_a_step():
    """A Newton step goes on with the others where some come to zero; to stop at the first took 25 steps each."""
    steps = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(180, 60)) + 2 * rng.normal(size=(180, 1))
        H, c = X.T @ X, X.T @ rng.normal(size=180)
        weight = np.full(60, 1e-3 * np.abs(c).max())
        w, _, _, counts = minimised(H, c, weight, *free(60))
        assert violation(H, c, weight, *free(60), w) <= 1e-11 * np.abs(c).max()
        steps += counts["newtons"]
    assert steps <= 180


def test_zero_columns_stay():
    H = np.diag([1.0, 0.0, 4.0])
    w = minimised(H, np.array([2.0, 0.0, 2.0]), np.zeros(3), *free(3))[0]
    assert w.tolist() == [2.0, 0.0, 0.5]


def test_a_start_costs_nothing_where_it_is_the_answer(seed):
    H, c = gram(np.random.default_rng(seed), 90, 40)
    weight = np.full(40, 0.05 * np.abs(c).max())
    w = minimised(H, c, weight, *free(40))[0]
    again, _, _, counts = minimised(H, c, weight, *free(40), w, tol=1e-9 * np.abs(c).max())
    np.testing.assert_array_equal(again, w)
    assert counts["newtons"] == 0


@given(
    seed=st.integers(0, 2**32 - 1),
    p=st.integers(1, 24),
    rank=st.integers(1, 30),
    weights=st.sampled_from(["zero", "equal", "mixed"]),
    bounds=st.sampled_from(["none", "positive", "box", "mixed"]),
)
# A coordinate given up on a flat line, needed once the face shrinks; a slope of rounding alone; walks along flat lines.
@example(seed=100308208, p=8, rank=3, weights="zero", bounds="positive")
@example(seed=10991, p=22, rank=2, weights="zero", bounds="mixed")
@example(seed=91596, p=22, rank=7, weights="zero", bounds="positive")
def test_any_problem_ends_at_its_minimum(seed, p, rank, weights, bounds):
    rng = np.random.default_rng(seed)
    X = rng.integers(-3, 4, (rank, p)).astype(float)  # whole numbers: equal and dependent columns are common
    H, c = X.T @ X, X.T @ rng.integers(-9, 10, rank)
    weight = {"zero": np.zeros(p), "equal": np.ones(p), "mixed": rng.integers(0, 3, p) * 1.5}[weights]
    low, high = free(p)
    if bounds != "none":
        low = {"positive": np.zeros(p), "box": np.full(p, -0.5), "mixed": rng.choice([0, -0.25, -np.inf], p)}[bounds]
        high = high if bounds == "positive" else np.where(rng.random(p) < 0.7, 0.5, 0.0)
    w, _, reached, _ = minimised(H, c, weight, low, high)
    assert np.isfinite(reached)  # it has a minimum, whatever H's rank
    assert np.all((low <= w) & (w <= high))
    assert violation(H, c, weight, low, high, w) <= 1e-9 * (1 + np.abs(H).max() * np.abs(w).max())
    for _ in range(5):  # no other point is better
        other = np.clip(w + rng.normal(size=p) * rng.choice([1e-3, 1, 10]), low, high)
        assert objective(H, c, weight, w) <= objective(H, c, weight, other) + 1e-9 * (1 + abs(c) @ abs(w))


def test_shapes_are_checked():
    p = 4
    with pytest.raises(ValueError, match="H is 3 x 4"):
        _kernels.Quadratic(np.eye(4)[:3], np.ones(p), *free(p), np.zeros(p), np.zeros(p))
    with pytest.raises(ValueError, match="weight, low, high and g must all have length 4"):
        _kernels.Quadratic(np.eye(4), np.ones(3), *free(p), np.zeros(p), np.zeros(p))
