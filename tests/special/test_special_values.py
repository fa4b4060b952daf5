"""Infinities, NaN, masks, huge and empty rows: every row of the table in docs/special.md, and no warning.

All calls run with NumPy's floating-point errors raised, so a kernel that computed inf - inf in NumPy would show.
"""

import math

import numpy as np
import pytest

from solvers.special import log_softmax, logsumexp, softmax

LENGTHS = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 130, 1000]
INF, NAN = np.inf, np.nan


@pytest.fixture(autouse=True)
def _errors_raise():
    with np.errstate(all="raise"):
        yield


def positions(n):
    return sorted({0, 1 % n, n // 3, n // 2, n - 1})


def filled(n, dtype, seed=1009):
    return np.random.default_rng(seed + n).uniform(-3, 3, n).astype(dtype)


def near(got, expected, count=2):
    """Within so many spacings of the expected value, or of 1 where it is smaller."""
    return abs(float(got) - float(expected)) <= count * float(np.finfo(got.dtype).eps) * max(abs(float(expected)), 1)


def all_three(x):
    """The three functions on a row, checked to agree with the same row in a batch and with weights of one."""
    results = softmax(x), log_softmax(x), logsumexp(x)
    batch = np.stack([np.zeros_like(x), x])
    for single, double in zip(results, (softmax(batch, 1), log_softmax(batch, 1), logsumexp(batch, 1)), strict=True):
        np.testing.assert_array_equal(single, double[1])
        assert np.isfinite(double[0]).all()  # a neighbour is not touched
    weighted, sign = logsumexp(x, b=np.ones_like(x), return_sign=True)
    if np.isfinite(results[2]):
        assert sign == 1
        assert near(weighted, results[2])
    else:
        np.testing.assert_array_equal(weighted, results[2])
        np.testing.assert_array_equal(sign, {INF: 1, -INF: 0}.get(float(weighted), NAN))
    return results


@pytest.mark.parametrize("n", [n for n in LENGTHS if n > 1])
def test_minus_infinity_beside_finite(n, dtype):
    for where in positions(n):
        x = filled(n, dtype)
        x[where] = -INF
        rest = np.delete(x, where)
        p, log_p, total = all_three(x)
        assert p[where] == 0
        assert log_p[where] == -INF
        close = {"rtol": 4 * np.finfo(dtype).eps, "atol": 0}
        np.testing.assert_allclose(np.delete(p, where), softmax(rest), **close)
        np.testing.assert_allclose(np.delete(log_p, where), log_softmax(rest), **close)
        assert near(total, logsumexp(rest))


@pytest.mark.parametrize("n", LENGTHS)
def test_one_finite_element_among_minus_infinities(n, dtype):
    for where in positions(n):
        x = np.full(n, -INF, dtype)
        x[where] = 2.5
        p, log_p, total = all_three(x)
        np.testing.assert_array_equal(p, np.arange(n) == where)
        np.testing.assert_array_equal(log_p, np.where(np.arange(n) == where, 0, -INF))
        assert total == 2.5


@pytest.mark.parametrize("n", LENGTHS)
def test_all_minus_infinity(n, dtype):
    p, log_p, total = all_three(np.full(n, -INF, dtype))
    assert np.isnan(p).all()
    assert np.isnan(log_p).all()
    assert total == -INF


@pytest.mark.parametrize("other", [0, -INF, "max", "min"])
@pytest.mark.parametrize("n", LENGTHS)
def test_plus_infinity(n, other, dtype):
    other = getattr(np.finfo(dtype), other) if isinstance(other, str) else other
    for where in positions(n):
        x = np.full(n, other, dtype)
        x[where] = INF
        p, log_p, total = all_three(x)
        assert np.isnan(p).all()
        np.testing.assert_array_equal(log_p, np.where(np.arange(n) == where, NAN, -INF))
        assert total == INF


@pytest.mark.parametrize("n", LENGTHS)
def test_two_plus_infinities(n, dtype):
    x = filled(n, dtype)
    x[[0, -1]] = INF
    p, log_p, total = all_three(x)
    assert np.isnan(p).all()
    np.testing.assert_array_equal(log_p, np.where(np.isinf(x), NAN, -INF))
    assert total == INF


@pytest.mark.parametrize("other", [0, -INF, INF, "max", "min"])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("n", LENGTHS)
def test_nan_beats_everything(n, sign, other, dtype):
    other = getattr(np.finfo(dtype), other) if isinstance(other, str) else other
    for where in positions(n):
        x = np.full(n, other, dtype)
        x[where] = np.copysign(NAN, sign)
        p, log_p, total = all_three(x)
        assert np.isnan(p).all()
        assert np.isnan(log_p).all()
        assert np.isnan(total)


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_special_value_in_any_segment_of_a_long_row(value, dtype):
    """Long rows are cut into segments, whose sums and maxima are merged."""
    n = 2**17 + 9
    for where in (0, 32767, 32768, n // 2, n - 1):
        x = np.zeros(n, dtype)
        x[where] = value
        p, log_p, total = softmax(x), log_softmax(x), logsumexp(x)
        if value == -INF:
            assert (p[where], log_p[where]) == (0, -INF)
            assert near(total, math.log(n - 1))
        else:
            assert np.isnan(p).all()
            assert np.isnan(log_p[where])
            np.testing.assert_array_equal(total, value)


@pytest.mark.parametrize("axis", [0, 1])
def test_empty_axis(axis, dtype):
    x = np.empty((0, 3) if axis == 0 else (3, 0), dtype)
    assert softmax(x, axis).shape == log_softmax(x, axis).shape == x.shape
    value, sign = logsumexp(x, axis, return_sign=True)
    np.testing.assert_array_equal(value, [-INF] * 3)
    np.testing.assert_array_equal(sign, [0] * 3)
    assert value.dtype == sign.dtype == dtype


def test_no_rows_at_all(dtype):
    x = np.empty((0, 3), dtype)
    assert softmax(x, 1).shape == log_softmax(x, 1).shape == (0, 3)
    assert logsumexp(x, 1).shape == (0,)
    assert logsumexp(x) == -INF
    assert softmax(np.empty(0, dtype)).shape == (0,)


@pytest.mark.parametrize("value", [0, -0.0, 1, 88.8, 1e5, -1e5, 1e8, -1e30, "tiny", "smallest_subnormal", "max", "min"])
@pytest.mark.parametrize("n", LENGTHS)
def test_all_equal(n, value, dtype):
    value = dtype(getattr(np.finfo(dtype), value) if isinstance(value, str) else value)
    p, log_p, total = all_three(np.full(n, value))
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(p, np.full(n, 1 / n), rtol=2 * eps)
    np.testing.assert_allclose(log_p, np.full(n, -math.log(n)), rtol=2 * eps)
    assert near(total, min(float(value) + math.log(n), float(np.finfo(dtype).max)))


@pytest.mark.parametrize("value", [-1e9, -3e38, "min", -INF])
@pytest.mark.parametrize("n", [n for n in LENGTHS if n > 2])
def test_mask_constants_add_nothing(n, value, dtype):
    value = getattr(np.finfo(dtype), value) if isinstance(value, str) else value
    for hidden in (np.arange(n) % 2 == 1, np.arange(n) < n // 2, np.arange(n) == n - 1):
        x = filled(n, dtype)
        x[hidden] = value
        p, log_p, total = all_three(x)
        eps = np.finfo(dtype).eps
        assert (p[hidden] == 0).all()
        np.testing.assert_allclose(p[~hidden], softmax(x[~hidden]), rtol=4 * eps)
        np.testing.assert_allclose(log_p[~hidden], log_softmax(x[~hidden]), rtol=4 * eps)
        assert near(total, logsumexp(x[~hidden]))


@pytest.mark.parametrize("n", [n for n in LENGTHS if n > 1])
def test_from_one_end_of_the_range_to_the_other(n, dtype):
    largest = np.finfo(dtype).max
    x = np.full(n, -largest, dtype)
    x[n // 2] = largest
    p, log_p, total = all_three(x)
    np.testing.assert_array_equal(p, np.arange(n) == n // 2)
    np.testing.assert_array_equal(log_p, np.where(np.arange(n) == n // 2, 0, -INF))
    assert total == largest


@pytest.mark.parametrize("edge", [2.0**11, 2.0**18, 2.0**21, 2.0**45])
def test_around_the_edges_of_the_safe_range(edge, dtype):
    """Where the arithmetic changes to a shift by the maximum, nothing else may change."""
    gaps = np.array([0, -1, -3, -7, -12, -80], dtype)
    parts = np.array([-1.001, -0.999, -0.91, -0.86, -0.6, 0.59, 0.61, 0.999, 1.001])
    for top in (edge * math.log(2) * parts).astype(dtype):
        x = (top + gaps).astype(dtype)
        p, log_p, total = all_three(x)
        with np.errstate(under="ignore"):
            exact = softmax((x - top).astype(np.float64))  # the differences are exact
        np.testing.assert_allclose(p, exact, rtol=2 * np.finfo(dtype).eps)
        np.testing.assert_allclose(log_p, np.log(exact), rtol=2 * np.finfo(dtype).eps, atol=1e-300)
        assert near(total, float(top) - math.log(exact[0]))


def test_scalars(dtype):
    for x in (dtype(3.5), np.array(3.5, dtype)):
        for result, expected in ((softmax(x), 1), (log_softmax(x), 0), (logsumexp(x), 3.5)):
            assert result == expected
            assert np.ndim(result) == 0
            assert result.dtype == dtype
    assert (softmax(-1e300), log_softmax(-1e300), logsumexp(-1e300)) == (1, 0, -1e300)
    for x in (INF, -INF, NAN):
        assert np.isnan(softmax(x))
        assert np.isnan(log_softmax(x))
        np.testing.assert_array_equal(logsumexp(x), x)


# ---- weights ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "b", "value", "sign"),
    [
        ([0, 1], [INF, 1], INF, 1),
        ([0, 1], [-INF, 1], INF, -1),
        ([0, 1], [INF, -INF], NAN, NAN),
        ([0, 1], [NAN, 1], NAN, NAN),
        ([INF, 1], [2, -1], INF, 1),
        ([INF, 1], [-2, 1], INF, -1),
        ([INF, INF], [1, -1], NAN, NAN),
        ([INF, 1], [NAN, 1], NAN, NAN),
        ([INF, 1], [1, NAN], NAN, NAN),
        ([INF, NAN], [1, 1], NAN, NAN),
        ([-INF, 1], [INF, 1], NAN, NAN),
        ([INF, NAN, 1], [0, 0, 1], 1, 1),
        ([INF, NAN], [0, 0], -INF, 0),
        ([1, 1], [1, -1], -INF, 0),
        ([1e30, 1e30], [1, -1], -INF, 0),
        ([-INF, -INF], [1, -2], -INF, 0),
    ],
)
@pytest.mark.parametrize("padding", [0, 1, 6, 15, 40, 200])
def test_weights_and_infinities(x, b, value, sign, padding, dtype):
    x = np.array(x + [-INF] * padding, dtype)
    b = np.array(b + [1] * padding, dtype)
    for order in (1, -1):
        got = logsumexp(x[::order], b=b[::order], return_sign=True)
        np.testing.assert_array_equal(got, (dtype(value), dtype(sign)))
        unsigned = logsumexp(x[::order], b=b[::order])
        np.testing.assert_array_equal(unsigned, NAN if sign < 0 else dtype(value))


def test_sum_of_weights_beyond_the_largest_number(dtype):
    largest = float(np.finfo(dtype).max)
    for n in (2, 9, 500):
        value = logsumexp(np.zeros(n, dtype), b=np.full(n, largest, dtype))
        assert near(value, math.log(largest) + math.log(n))


def test_subnormal_weights(dtype):
    smallest = float(np.finfo(dtype).smallest_subnormal)
    for n in (2, 9, 500):
        value = logsumexp(np.zeros(n, dtype), b=np.full(n, smallest, dtype))
        assert near(value, math.log(smallest) + math.log(n))


@pytest.mark.parametrize("length", [5, 64, 200])
@pytest.mark.parametrize("place", [0, 15, 16, 49])
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 1e30, -1e30])
def test_logsumexp_of_many_rows_goes_on_behind_one_that_is_far_from_0(length, place, value, dtype):
    x = np.random.default_rng(length).standard_normal((50, length)).astype(dtype)
    x[place] = value
    expected = np.array([logsumexp(row) for row in x])
    got = logsumexp(x, axis=1)
    assert got.dtype == dtype
    assert got.shape == (50,)
    np.testing.assert_allclose(got, expected, rtol=2 * np.finfo(dtype).eps)
