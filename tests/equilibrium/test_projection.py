"""The projection on the simplex, against sorting and its optimality conditions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from solvers.equilibrium._kernels import project_simplex

finite = st.floats(-1e6, 1e6)


def by_sorting(v, mass):
    """Held, Wolfe, Crowder (1974), in extended precision."""
    falling = np.sort(v.astype(np.longdouble))[::-1]
    thresholds = (np.cumsum(falling) - mass) / np.arange(1, len(v) + 1)
    t = thresholds[np.flatnonzero(falling >= thresholds)[-1]]
    return np.maximum(v - t, 0)


def projected(v, mass=1.0, guess=float("nan")):
    out = np.empty_like(v)
    return out, project_simplex(v, mass, out, guess)


@given(
    arrays(float, st.integers(1, 70), elements=finite), st.floats(1e-3, 1e3), st.one_of(st.just(float("nan")), finite)
)
def test_projection_is_that_by_sorting(v, mass, guess):
    x, t = projected(v, mass, guess)
    scale = max(np.abs(v).max(), mass)
    np.testing.assert_allclose(x, by_sorting(v, mass).astype(float), rtol=0, atol=1e-14 * scale)
    assert x.min() >= 0
    assert x.sum() == pytest.approx(mass, abs=4 * len(v) * np.spacing(min(scale, 1024 * mass)))
    np.testing.assert_allclose(x, np.maximum(v - t, 0), rtol=0, atol=2 * np.spacing(scale))


@pytest.mark.parametrize("far", [1e3, 1e10, 1e50, 1e300])
@pytest.mark.parametrize("sign", [1, -1])
def test_points_far_away(far, sign):
    v = sign * far * np.array([1.0, 0.25, 0.5, 1.0])
    x, _ = projected(v, 2.0)
    np.testing.assert_array_equal(x, [1, 0, 0, 1] if sign > 0 else [0, 2, 0, 0])


@given(arrays(float, st.integers(1, 70), elements=finite))
def test_projection_of_a_projection(v):
    x, _ = projected(v)
    again, _ = projected(x)
    np.testing.assert_allclose(again, x, rtol=0, atol=4e-16 * max(np.abs(v).max(), 1))


@given(arrays(float, (2, 33), elements=st.floats(-10, 10)))
def test_projection_is_firmly_nonexpansive(pair):
    (x, _), (y, _) = projected(pair[0].copy()), projected(pair[1].copy())
    assert (x - y) @ (x - y) <= (x - y) @ (pair[0] - pair[1]) + 1e-13


@pytest.mark.parametrize("n", [4096, 2049, 300_000])
def test_projection_of_many(n, seed):
    v = np.random.default_rng(seed).standard_normal(n)
    x, t = projected(v)
    expected = by_sorting(v, 1.0)
    np.testing.assert_allclose(x, expected.astype(float), rtol=0, atol=1e-15)
    assert abs(float(x.astype(np.longdouble).sum() - 1)) < 1e-13
    for guess in (t, t - 0.1, t + 0.01, v.max() + 1):
        assert projected(v, guess=guess)[1] == pytest.approx(t, abs=1e-15)
    project_simplex(v, 1.0, v)
    np.testing.assert_array_equal(v, x)


def test_lengths_are_checked():
    with pytest.raises(ValueError, match="length 3, out 2"):
        project_simplex(np.ones(3), 1.0, np.empty(2))
    with pytest.raises(ValueError, match="not zero"):
        project_simplex(np.empty(0), 1.0, np.empty(0))
