"""softmax(method=): our own methods, and the textbook's for comparison."""

import numpy as np
import pytest

from solvers.special import softmax
from solvers.special._softmax import METHODS

OURS = ["two-pass", "one-exponential"]
TEXTBOOK = ["three-pass-recompute", "three-pass-reload", "online"]


def row(length, dtype, seed=7013):
    return (np.random.default_rng(seed).standard_normal(length) * 6).astype(dtype)


def test_the_names():
    assert ("auto", *OURS, *TEXTBOOK) == METHODS


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("length", [1, 2, 5, 16, 17, 63, 64, 130, 1000, 40_000, 200_003])
def test_all_methods_agree(method, length, dtype):
    x = row(length, dtype)
    tolerance = (2 if method not in TEXTBOOK else 200) * np.finfo(dtype).eps
    np.testing.assert_allclose(softmax(x, method=method), softmax(x), rtol=2 * tolerance, atol=0)
    x3 = np.stack([x, x[::-1], x + 1])
    expected = softmax(x3, axis=1)
    np.testing.assert_allclose(softmax(x3, axis=1, method=method), expected, rtol=2 * tolerance, atol=0)
    np.testing.assert_allclose(softmax(x3, axis=1, method=method, out=x3), expected, rtol=2 * tolerance, atol=0)


@pytest.mark.parametrize("method", OURS)
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan, 1e30, -1e30])
def test_our_methods_are_safe(method, bad, dtype):
    x = row(100, dtype)
    x[[3, 50]] = bad
    np.testing.assert_allclose(softmax(x, method=method), softmax(x), rtol=1e-6)


def test_methods_are_not_the_same_kernel(dtype):
    """Each has its own roundings, but that the three passes form the same numbers: one under another's name shows."""
    x = row(5000, dtype)
    bits = {method: softmax(x, method=method).tobytes() for method in METHODS}
    assert bits["three-pass-recompute"] == bits["three-pass-reload"]
    assert len({bits[method] for method in ("auto", *TEXTBOOK[1:])}) == 3


def test_masks_and_strides_go_through_panels(dtype):
    x = row(300, dtype)
    for method in METHODS:
        np.testing.assert_allclose(softmax(x[::2], method=method), softmax(x[::2]), rtol=1e-4)


def test_a_long_strided_line_needs_auto(dtype):
    x = row(300_000, dtype)
    with pytest.raises(ValueError, match="method"):
        softmax(x[::2], method="online")


@pytest.mark.parametrize(
    ("method", "hint"), [("two pass", "two-pass"), ("onlin", "online"), ("fast", "one of"), (None, "one of")]
)
def test_an_unknown_method_is_named_with_the_nearest(method, hint):
    with pytest.raises(ValueError, match=f"method {method!r} is unknown.*{hint}"):
        softmax([1.0, 2.0], method=method)
