"""Masks, temperatures and logsumexp along columns, which the kernels of columns take as they lie."""

import numpy as np
import pytest

from solvers.special import log_softmax, logsumexp, softmax

ALL = [softmax, log_softmax, logsumexp]
INF, NAN = np.inf, np.nan


def matrix(shape, dtype, seed=7411):
    return (np.random.default_rng(seed).standard_normal(shape) * 5).astype(dtype)


def mask_of(shape, seed=3023):
    return np.random.default_rng(seed).random(shape) < 0.6


def expected_of(function, x, where, dtype):
    """A column at a time, of the elements that count alone."""
    found = np.full(x.shape, 0 if function is softmax else -INF, dtype)
    sums = np.full(x.shape[1], -INF, dtype)
    for c in range(x.shape[1]):
        shown = where[:, c]
        if shown.any():
            value = function(x[shown, c].copy())
            if function is logsumexp:
                sums[c] = value
            else:
                found[shown, c] = value
    return sums if function is logsumexp else found


@pytest.mark.parametrize("function", ALL)
@pytest.mark.parametrize("shape", [(1, 8), (7, 9), (8, 40), (33, 17), (300, 64), (131, 1029)])
def test_masked_columns(shape, function, dtype):
    x, where = matrix(shape, dtype), mask_of(shape)
    x[~where] = [NAN, INF, -INF, 1e30][shape[0] % 4]
    where[:, 3], where[:, 5] = False, True
    x[:, 5] = matrix(shape[:1], dtype, 5)
    x[shape[0] // 2, 5] = INF if shape[1] % 2 else NAN
    eps = np.finfo(dtype).eps
    expected = expected_of(function, x, where, dtype)
    got = function(x, 0, where=where)
    np.testing.assert_allclose(got, expected, rtol=4 * eps, atol=eps * (function is logsumexp))
    for turned in (np.asfortranarray(where), np.repeat(where, 2, axis=1)[:, ::2], where[::-1].copy()[::-1]):
        np.testing.assert_array_equal(function(x, 0, where=turned), got)
    np.testing.assert_array_equal(function(x, 0, where=where, threads=2), got)


@pytest.mark.parametrize("function", ALL)
@pytest.mark.parametrize("shape", [(6, 40), (64, 100), (257, 33), (700, 200)])
def test_a_full_mask_and_a_temperature_of_1_change_no_bit_of_columns(shape, function, dtype):
    x = matrix(shape, dtype)
    plain = function(x, 0)
    np.testing.assert_array_equal(function(x, 0, where=True), plain)
    np.testing.assert_array_equal(function(x, 0, where=np.ones(shape, bool)), plain)
    np.testing.assert_array_equal(function(x, 0, temperature=np.ones((1, shape[1]), dtype)), plain)
    by_column = np.random.default_rng(71).uniform(0.3, 4, (1, shape[1])).astype(dtype)
    np.testing.assert_array_equal(function(x, 0, temperature=by_column), function(x / by_column, 0))
    where = np.ones(shape, bool)
    where[:, ::2] = mask_of((shape[0], (shape[1] + 1) // 2))
    np.testing.assert_array_equal(function(x, 0, where=where)[..., 1::2], plain[..., 1::2])


@pytest.mark.parametrize("function", ALL)
@pytest.mark.parametrize("length", [3, 8, 65, 300])
def test_neighbours_change_no_bit_of_a_column(length, function, dtype):
    x = matrix((length, 70), dtype)
    x[:, 7] *= 40
    x[length // 2, 9] = NAN
    x[:, 11] = 1e30
    alone = function(x, 0)
    for columns in (slice(1, 70), slice(3, 30), slice(20, 69)):
        np.testing.assert_array_equal(function(x[:, columns].copy(), 0), alone[..., columns])
        np.testing.assert_array_equal(function(x[:, columns], 0), alone[..., columns])


@pytest.mark.parametrize("axis", [0, 1])
def test_masks_and_temperatures_between_axes(axis, dtype):
    x = matrix((5, 6, 19), dtype)
    for where in (mask_of((5, 6, 19)), mask_of((6, 1)), mask_of((5, 1, 19))):
        for function in ALL:
            full = np.broadcast_to(where, x.shape)
            moved, shown = (np.moveaxis(a, axis, 0).reshape(x.shape[axis], -1) for a in (x, full))
            expected = expected_of(function, moved, shown, dtype)
            got = function(x, axis, where=where)
            if function is not logsumexp:
                got = np.moveaxis(got, axis, 0).reshape(moved.shape)
            eps = np.finfo(dtype).eps
            np.testing.assert_allclose(got.ravel(), expected.ravel(), rtol=4 * eps, atol=eps * (function is logsumexp))


@pytest.mark.parametrize("function", ALL)
def test_a_temperature_for_each_line_of_a_block(function, dtype):
    x = matrix((3, 4, 5, 9), dtype)
    for shape in ((3, 1, 1, 9), (1, 4, 1, 1), (3, 4, 1, 9), (9,), ()):
        temperature = np.random.default_rng(29).uniform(0.5, 3, shape).astype(dtype)
        np.testing.assert_array_equal(function(x, 2, temperature=temperature), function(x / temperature, 2))


@pytest.mark.parametrize("length", [1, 2, 9, 64, 100, 1001])
@pytest.mark.parametrize("width", [8, 17, 130, 5000])
def test_logsumexp_of_columns(length, width, dtype):
    x = matrix((length, width), dtype)
    x[: length // 2, 1] = -INF
    x[:, 2], x[length - 1, 3], x[0, 4] = -INF, INF, NAN
    x[:, 5] = 3e30
    x[:, 6] = 3 * np.arange(length)
    value, sign = logsumexp(x, 0, return_sign=True)
    columns = [*range(8), width - 1]
    eps = np.finfo(dtype).eps
    for c in columns:
        expected, expected_sign = logsumexp(x[:, c].copy(), return_sign=True)
        np.testing.assert_allclose(value[c], expected, rtol=2 * eps, atol=eps)
        np.testing.assert_array_equal(sign[c], expected_sign)
    np.testing.assert_array_equal(logsumexp(x, 0, threads=3), logsumexp(x, 0, threads=1))
    np.testing.assert_array_equal(logsumexp(np.asfortranarray(x.T), 1), value)


@pytest.mark.parametrize("function", [logsumexp, log_softmax])
def test_one_element_is_itself(function, dtype):
    x = matrix((1, 500), dtype)
    for got in (function(x, 0), function(x.T.copy(), 1)):
        np.testing.assert_array_equal(got.ravel(), x.ravel() if function is logsumexp else 0)
