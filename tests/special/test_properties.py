"""What holds for every input, tried on inputs that hypothesis makes up (the same ones in every run)."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from solvers.special import log_softmax, logsumexp, softmax

steady = settings(max_examples=50, derandomize=True, deadline=None, database=None)
both = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["f32", "f64"])


def rows(dtype, low=-200.0, high=200.0, min_size=1, max_size=150):
    """Rows of any length around the widths of vectors, often with equal elements."""
    width = np.dtype(dtype).itemsize * 8
    elements = st.floats(low, high, width=width, allow_subnormal=False)
    return hnp.arrays(dtype, st.integers(min_size, max_size), elements=elements)


def any_rows(dtype):
    """Rows with any number at all."""
    width = np.dtype(dtype).itemsize * 8
    return hnp.arrays(dtype, st.integers(1, 70), elements=st.floats(width=width))


def eps(dtype):
    return float(np.finfo(dtype).eps)


def spacing(value, dtype):
    """Of the value, or of 1 where that is larger: see test_accuracy.check_logsumexp."""
    return eps(dtype) * max(abs(float(value)), 1)


def exact_shift(x, shift):
    """Whether x + shift is exact for every element."""
    moved = x + shift
    return (moved - shift == x).all() and (moved.astype(np.longdouble) - x == shift).all()


@both
@given(data=st.data())
@steady
def test_results_lie_between_0_and_1_and_add_up_to_1(data, dtype):
    y = softmax(data.draw(rows(dtype)))
    assert ((y >= 0) & (y <= 1)).all()
    assert abs(math.fsum(y.tolist()) - 1) <= 2 * eps(dtype) + y.size * float(np.finfo(dtype).smallest_subnormal)


@both
@given(data=st.data())
@steady
def test_larger_elements_get_no_less(data, dtype):
    x = data.draw(rows(dtype))
    order = np.argsort(x)
    for y in (softmax(x), log_softmax(x)):
        rises = np.diff(y[order].astype(float))
        # Two results within 2 ULP (log_softmax: 4 u) of theirs may change places by that much, no more.
        assert (rises >= -4 * eps(dtype) * np.abs(y[order][1:].astype(float))).all()
    equal = np.diff(x[order]) == 0
    assert (np.diff(softmax(x)[order])[equal] == 0).all()


@both
@given(data=st.data(), shift=st.integers(-1024, 1024).map(lambda k: 8.0 * k))
@steady
def test_an_exact_shift_changes_nothing_but_logsumexp(data, shift, dtype):
    x = np.round(data.draw(rows(dtype, -30, 30)) * 64) / 64  # short numbers: the shift is exact
    assert exact_shift(x, dtype(shift))
    moved = x + dtype(shift)
    np.testing.assert_allclose(softmax(moved), softmax(x), rtol=4 * eps(dtype))
    np.testing.assert_allclose(log_softmax(moved), log_softmax(x), rtol=4 * eps(dtype))
    expected = float(logsumexp(x.astype(np.float64))) + shift
    assert abs(float(logsumexp(moved)) - expected) <= spacing(expected, dtype) + spacing(expected, np.float64)


@both
@given(data=st.data(), exponent=st.integers(2, 40))
@steady
def test_a_shift_by_a_power_of_two_out_of_the_safe_range(data, exponent, dtype):
    """The same row, near 0 and where the sum is taken relative to the maximum."""
    shift = dtype(2.0) ** exponent * data.draw(st.sampled_from([-1, 1]))
    x = np.round(data.draw(rows(dtype, -30, 30)))
    if exact_shift(x, shift):
        np.testing.assert_allclose(softmax(x + shift), softmax(x), rtol=4 * eps(dtype))
        np.testing.assert_allclose(log_softmax(x + shift), log_softmax(x), rtol=4 * eps(dtype))


@both
@given(data=st.data(), seed=st.integers(3, 10**6))
@steady
def test_a_permutation_permutes(data, seed, dtype):
    x = data.draw(rows(dtype))
    order = np.random.default_rng(seed).permutation(x.size)
    tiny = float(np.finfo(dtype).smallest_subnormal)
    np.testing.assert_allclose(softmax(x[order]), softmax(x)[order], rtol=2 * eps(dtype), atol=tiny)
    np.testing.assert_allclose(log_softmax(x[order]), log_softmax(x)[order], rtol=4 * eps(dtype), atol=tiny)
    value = logsumexp(x)
    assert abs(float(logsumexp(x[order])) - float(value)) <= 2 * spacing(value, dtype)


@both
@given(data=st.data())
@steady
def test_logsumexp_lies_between_max_and_max_plus_log_n(data, dtype):
    x = data.draw(rows(dtype))
    top, value = float(x.max()), float(logsumexp(x))
    slack = spacing(value, dtype)
    assert top - slack <= value <= top + math.log(x.size) + slack


@both
@given(data=st.data())
@steady
def test_log_softmax_is_x_minus_logsumexp_and_the_log_of_softmax(data, dtype):
    x = data.draw(rows(dtype, -80, 80))
    y, p, value = log_softmax(x).astype(float), softmax(x).astype(float), float(logsumexp(x))
    slack = 2 * eps(dtype) * np.maximum(1, np.maximum(np.abs(x.astype(float)), abs(value)))
    assert (np.abs(x.astype(float) - value - y) <= slack + 2 * eps(dtype) * np.abs(y)).all()
    normal = p >= np.finfo(dtype).tiny
    assert (np.abs(np.log(p[normal]) - y[normal]) <= 2 * eps(dtype) * (1 + np.abs(y[normal]))).all()
    assert (y <= 0).all()


@both
@given(data=st.data())
@steady
def test_a_sum_of_parts_is_the_sum_of_all(data, dtype):
    x = data.draw(rows(dtype, min_size=2))
    cut = data.draw(st.integers(1, x.size - 1))
    whole = float(logsumexp(x))
    parts = np.array([logsumexp(x[:cut]), logsumexp(x[cut:])])
    assert abs(float(logsumexp(parts)) - whole) <= 3 * spacing(np.abs(x).max() + 6, dtype)


@both
@given(data=st.data(), power=st.integers(-30, 30))
@steady
def test_weights_of_a_power_of_two_add_its_logarithm(data, power, dtype):
    x = data.draw(rows(dtype, -80, 80))
    value = float(logsumexp(x)) + power * math.log(2)
    weighted, sign = logsumexp(x, b=np.full_like(x, 2.0**power), return_sign=True)
    assert sign == 1
    assert abs(float(weighted) - value) <= 4 * spacing(abs(value) + 60, dtype)


@both
@given(data=st.data())
@steady
def test_turned_weights_turn_the_sign(data, dtype):
    x = data.draw(rows(dtype))
    elements = st.floats(-1e6, 1e6, width=np.dtype(dtype).itemsize * 8, allow_subnormal=False)
    b = data.draw(hnp.arrays(dtype, x.size, elements=elements))
    value, sign = logsumexp(x, b=b, return_sign=True)
    turned, turned_sign = logsumexp(x, b=-b, return_sign=True)
    assert (turned, turned_sign) == (value, -sign)


@both
@given(data=st.data())
@steady
def test_a_row_beside_others_is_the_row_alone(data, dtype):
    x = data.draw(any_rows(dtype))
    batch = np.stack([np.zeros_like(x), x, -x])
    for function in (softmax, log_softmax, logsumexp):
        np.testing.assert_array_equal(function(batch, axis=1)[1], function(x))
        np.testing.assert_array_equal(function(batch.T, axis=0)[..., 1], function(x))


@both
@given(data=st.data())
@steady
def test_any_number_at_all(data, dtype):
    """Infinities, NaN, subnormal and huge numbers: NaN appears where the page says, and only there."""
    x = data.draw(any_rows(dtype))
    p, log_p, value = softmax(x), log_softmax(x), logsumexp(x)
    top = x.max()
    assert np.isnan(p).all() == (not np.isfinite(top))
    if np.isfinite(top):
        assert ((p >= 0) & (p <= 1)).all()
        assert (log_p <= 0).all()
        assert float(top) <= float(value) + spacing(value, dtype)
    else:
        np.testing.assert_array_equal(value, top)
        assert not (log_p > -np.inf).any()
