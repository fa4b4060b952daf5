"""Masks, temperatures, and `out` of logsumexp."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers.special import log_softmax, logsumexp, softmax

MAPS = [softmax, log_softmax]
ALL = [*MAPS, logsumexp]
INF, NAN = np.inf, np.nan
steady = settings(max_examples=80, derandomize=True, deadline=None, database=None)


def block(dtype, shape=(6, 40), seed=9203):
    return (np.random.default_rng(seed).standard_normal(shape) * 5).astype(dtype)


def mask(shape=(6, 40), seed=1109):
    return np.random.default_rng(seed).random(shape) < 0.6


# ---- where -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("garbage", [NAN, INF, -INF, 1e30])
def test_only_true_entries_count(garbage, dtype):
    x, where = block(dtype), mask()
    x[~where] = garbage
    before = x.copy()
    p, log_p, value = softmax(x, 1, where=where), log_softmax(x, 1, where=where), logsumexp(x, 1, where=where)
    assert (p[~where] == 0).all()
    assert (log_p[~where] == -INF).all()
    eps = np.finfo(dtype).eps
    for row in range(len(x)):
        shown = where[row]
        np.testing.assert_allclose(p[row, shown], softmax(x[row, shown]), rtol=4 * eps)
        np.testing.assert_allclose(log_p[row, shown], log_softmax(x[row, shown]), rtol=4 * eps)
        np.testing.assert_allclose(value[row], logsumexp(x[row, shown]), rtol=2 * eps)
    np.testing.assert_array_equal(x, before)
    assert p.dtype == log_p.dtype == value.dtype == dtype


@pytest.mark.parametrize("value", [0, NAN, INF, -INF])
def test_a_row_without_any_true(value, dtype):
    x = np.full((3, 20), value, dtype)
    x[1] = 1
    where = np.zeros((3, 20), bool)
    where[1] = True
    assert (softmax(x, 1, where=where)[[0, 2]] == 0).all()
    assert (log_softmax(x, 1, where=where)[[0, 2]] == -INF).all()
    total, sign = logsumexp(x, 1, where=where, return_sign=True)
    np.testing.assert_array_equal(total[[0, 2]], -INF)
    np.testing.assert_array_equal(sign, [0, 1, 0])
    assert softmax(dtype(value), where=False) == 0


def test_masked_entries_stay_0_beside_infinities(dtype):
    x = np.array([[1, INF, 2], [NAN, 1, 2], [-INF, -INF, 1]], dtype)
    where = np.array([True, True, False])
    np.testing.assert_array_equal(softmax(x, 1, where=where), [[NAN, NAN, 0], [NAN, NAN, 0], [NAN, NAN, 0]])
    np.testing.assert_array_equal(
        log_softmax(x, 1, where=where), [[-INF, NAN, -INF], [NAN, NAN, -INF], [NAN, NAN, -INF]]
    )
    np.testing.assert_array_equal(logsumexp(x, 1, where=where), [INF, NAN, -INF])


@given(data=st.data())
@steady
def test_masks_broadcast(data):
    shape = (3, 4, 5)
    where = mask(tuple(data.draw(st.sampled_from([n, 1])) for n in shape)[data.draw(st.integers(0, 3)) :])
    axis = data.draw(st.sampled_from([None, 0, 1, 2, (0, 2), ()]))
    x = block(np.float64, shape)
    full = np.broadcast_to(where, shape)
    for function in ALL:
        np.testing.assert_array_equal(function(x, axis, where=where), function(x, axis, where=full.copy()))
    expected = np.exp(log_softmax(np.where(full, x, -INF), axis))
    np.testing.assert_allclose(softmax(x, axis, where=where), np.nan_to_num(expected), rtol=1e-12)


def test_a_full_mask_changes_nothing(dtype):
    x = block(dtype)
    for function in ALL:
        for axis in (0, 1, None):
            np.testing.assert_array_equal(function(x, axis, where=True), function(x, axis))


@pytest.mark.parametrize("axis", [0, 1, None])
def test_masks_with_weights(axis, dtype):
    x, b, where = block(dtype), block(dtype, seed=31), mask()
    expected = logsumexp(x, axis, b=np.where(where, b, 0).astype(dtype), return_sign=True)
    b[~where] = NAN
    x[~where] = INF
    np.testing.assert_array_equal(logsumexp(x, axis, b=b, where=where, return_sign=True), expected)


@pytest.mark.parametrize("function", ALL)
def test_bad_masks(function, dtype):
    x = block(dtype)
    for bad in (1, mask().astype(int), mask().astype(float), "yes", [0, 1]):
        with pytest.raises(TypeError, match=r"^where must be boolean"):
            function(x, 1, where=bad)
    for shape in ((39,), (2, 6, 40), (6, 1, 40)):
        with pytest.raises(ValueError, match=r"^where has shape"):
            function(x, 1, where=np.ones(shape, bool))


# ---- temperature -----------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.5, 2, 3.7, 1e-3, 1e10, INF, np.float32(0.3)])
@pytest.mark.parametrize("function", ALL)
def test_temperature_divides(function, temperature, dtype):
    x = block(dtype)
    for axis in (0, 1, None):
        np.testing.assert_array_equal(
            function(x, axis, temperature=temperature), function(x / dtype(temperature), axis)
        )
    assert function(x, 1, temperature=temperature).dtype == dtype


@pytest.mark.parametrize("function", ALL)
def test_a_temperature_for_each_line(function, dtype):
    x = block(dtype)
    for shape, axis in (((6, 1), 1), ((40,), 0), ((1, 40), 0), ((), None), ((1, 1), None), ((6, 40), ())):
        temperature = np.random.default_rng(17).uniform(0.5, 3, shape).astype(dtype)
        np.testing.assert_array_equal(function(x, axis, temperature=temperature), function(x / temperature, axis))


def test_temperature_of_integers_and_with_weights(dtype):
    np.testing.assert_array_equal(softmax([1, 2, 4], temperature=2), softmax([0.5, 1, 2]))
    x, b = block(dtype), block(dtype, seed=31)
    np.testing.assert_array_equal(logsumexp(x, 1, b=b, temperature=2.0), logsumexp(x / 2, 1, b=b))
    np.testing.assert_array_equal(softmax(x, 1, where=mask(), temperature=2.0), softmax(x / 2, 1, where=mask()))


@pytest.mark.parametrize("function", ALL)
def test_bad_temperatures(function, dtype):
    x = block(dtype)
    for bad in (0, 0.0, -1, NAN, -INF, [[1.0], [2], [0], [1], [1], [1]], 1e-60 if dtype is np.float32 else 0.0):
        with pytest.raises(ValueError, match=r"^temperature must be > 0"):
            function(x, 1, temperature=bad)
    for bad in (1j, "1", None, [None]):
        with pytest.raises(TypeError, match=r"^temperature must be real"):
            function(x, 1, temperature=bad)
    for bad in (np.ones(40), np.ones((6, 40)), np.ones((1, 40))):
        with pytest.raises(ValueError, match=r"^temperature of shape .* varies along"):
            function(x, 1, temperature=bad)
    for bad in (np.ones((5, 1)), np.ones((2, 6, 1))):
        with pytest.raises(ValueError, match=r"^temperature has shape"):
            function(x, 1, temperature=bad)


# ---- out -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [0, 1, (0, 2), None, ()])
def test_out_of_logsumexp(axis, keepdims, dtype):
    x = block(dtype, (3, 4, 5))
    expected, sign = logsumexp(x, axis, keepdims=keepdims, return_sign=True)
    for out in (np.empty(np.shape(expected), dtype), np.empty(np.shape(expected)[::-1], dtype).T):
        assert logsumexp(x, axis, keepdims=keepdims, out=out) is out
        np.testing.assert_array_equal(out, expected)
        got, got_sign = logsumexp(x, axis, keepdims=keepdims, return_sign=True, out=out)
        assert got is out
        np.testing.assert_array_equal(got_sign, sign)


def test_out_of_logsumexp_inside_the_input(dtype):
    x = block(dtype)
    expected = logsumexp(x, 1)
    logsumexp(x, 1, out=x[:, 0])
    np.testing.assert_array_equal(x[:, 0], expected)


def test_out_over_the_mask_and_the_temperature(dtype):
    x, where = block(dtype, (40, 8)), mask((40, 8))
    room = np.zeros((40, 8), dtype)
    shown = room.view(bool)[:, :8]
    shown[...] = where
    expected = softmax(x, 0, where=where)
    np.testing.assert_array_equal(softmax(x, 0, where=shown, out=room), expected)
    room[...] = 2
    np.testing.assert_array_equal(softmax(x, 1, temperature=room[:, :1], out=room), softmax(x / 2, 1))


def test_wrong_out_of_logsumexp_is_refused_before_anything_is_written(dtype):
    x = block(dtype)
    other = np.float32 if dtype is np.float64 else np.float64
    fixed = np.full(6, 9, dtype)
    fixed.flags.writeable = False
    wrong = [(TypeError, np.full(6, 9, other)), (ValueError, np.full((6, 1), 9, dtype)), (ValueError, fixed)]
    for error, out in wrong:
        with pytest.raises(error, match="out"):
            logsumexp(x, 1, out=out)
        assert (out == 9).all()


@pytest.mark.parametrize("function", MAPS)
def test_bad_options_write_nothing(function, dtype):
    x, out = block(dtype), np.full((6, 40), 9, dtype)
    for options in ({"temperature": 0}, {"where": 1}, {"where": np.ones(3, bool)}, {"temperature": "x"}):
        with pytest.raises((TypeError, ValueError)):
            function(x, 1, out=out, **options)
    assert (out == 9).all()
