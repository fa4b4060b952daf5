"""Half precision, other types, and arrays of other libraries."""

import sys

import array_api_strict as strict
import ml_dtypes
import numpy as np
import pytest
import scipy.special

from solvers.special import LogSumExpAccumulator, _kernels, log_softmax, logsumexp, softmax, softmax_jvp

MAPS = [softmax, log_softmax]
ALL = [*MAPS, logsumexp]
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
HALVES = pytest.mark.parametrize("half", [np.dtype(np.float16), BFLOAT16], ids=str)


def block(shape=(6, 50), scale=5, seed=6353):
    return np.random.default_rng(seed).standard_normal(shape) * scale


# ---- half precision --------------------------------------------------------------------------------


@HALVES
@pytest.mark.parametrize("axis", [0, 1, None])
@pytest.mark.parametrize("function", ALL)
def test_half_precision_is_float32_rounded_once(function, axis, half):
    for x in (block().astype(half), block((50, 6)).astype(half).T, block((6, 100)).astype(half)[:, ::-2]):
        y = function(x, axis)
        assert y.dtype == half
        with np.errstate(all="ignore"):
            expected = np.asarray(function(x.astype(np.float32), axis)).astype(half)
        np.testing.assert_array_equal(np.asarray(y), expected)


@HALVES
def test_half_precision_within_half_a_ulp(half):
    x = block((20, 300)).astype(half)
    exact = scipy.special.softmax(x.astype(np.float64), axis=1)
    spacing = (
        np.spacing(exact.astype(np.float16)).astype(float) if half != BFLOAT16 else 2.0 ** (np.frexp(exact)[1] - 8)
    )
    error = np.abs(softmax(x, 1).astype(np.float64) - exact) / np.maximum(spacing, 2.0**-133)
    assert error.max() <= 0.51


@HALVES
@pytest.mark.parametrize("function", ALL)
def test_special_values_of_half_precision(function, half):
    rows = [[np.inf, 1], [np.nan, 1], [-np.inf, -np.inf], [-np.inf, 1], [6e4, 6e4], [-6e4, 6e4], [0, -17]]
    x = np.array(rows).astype(half)
    with np.errstate(all="ignore"):
        expected = np.asarray(function(x.astype(np.float32), 1)).astype(half)
    np.testing.assert_array_equal(function(x, 1).astype(float), expected.astype(float))


def test_every_bfloat16_goes_in_and_out():
    """All 65536 of them; rounding to even against ml_dtypes."""
    x = np.arange(1 << 16, dtype=np.uint16).view(BFLOAT16)
    with np.errstate(all="ignore"):
        expected = logsumexp(x.astype(np.float32), axis=()).astype(BFLOAT16)
    np.testing.assert_array_equal(logsumexp(x, axis=()).astype(np.float32), expected.astype(np.float32))
    shifted = log_softmax(np.stack([x, x[::-1]]), 0)
    with np.errstate(all="ignore"):
        expected = log_softmax(np.stack([x, x[::-1]]).astype(np.float32), 0).astype(BFLOAT16)
    np.testing.assert_array_equal(shifted.astype(np.float32), expected.astype(np.float32))


def test_float16_to_float32_and_back():
    """All numbers in; out, what lies on, between and beside them, against NumPy."""
    halves = np.arange(1 << 16, dtype=np.uint16)
    numbers = np.empty(1 << 16, np.float32)
    _kernels.half_to_float(halves, numbers)
    np.testing.assert_array_equal(numbers, halves.view(np.float16).astype(np.float32))
    np.testing.assert_array_equal(np.signbit(numbers), np.signbit(halves.view(np.float16)))
    finite = np.sort(numbers[np.isfinite(numbers)])
    middle = (finite[1:] + finite[:-1]) / 2
    beside = [np.nextafter(x, end, dtype=np.float32) for x in (finite, middle) for end in (-np.inf, np.inf)]
    edges = np.array([65504, 65519.99, 65520, 65536, 3e38, np.inf, np.nan, 1e-45, 2e-8, 3e-8, 0, -0.0], np.float32)
    for x in (numbers, middle, *beside, edges, -edges):
        got = np.empty(x.shape, np.uint16)
        _kernels.float_to_half(x, got)
        with np.errstate(all="ignore"):
            expected = x.astype(np.float16)
        np.testing.assert_array_equal(got.view(np.float16), expected)
        np.testing.assert_array_equal(np.signbit(got.view(np.float16)), np.signbit(expected))
    for call in (_kernels.half_to_float, lambda bits, numbers: _kernels.float_to_half(numbers, bits)):
        with pytest.raises(ValueError):
            call(halves, numbers[:5])
        call(halves[:0], numbers[:0])


@HALVES
def test_half_precision_in_place_and_with_options(half):
    x = block().astype(half)
    where = block() > 0
    wide = x.astype(np.float32)
    expected = softmax(wide, 1, where=where, temperature=1.5).astype(half)
    np.testing.assert_array_equal(softmax(x, 1, where=where, temperature=1.5), expected)
    assert logsumexp(x, 1, out=np.empty(6, half)).dtype == half
    y = softmax(x, 0)
    assert softmax(x, 0, out=x) is x
    np.testing.assert_array_equal(x, y)
    for bad in (np.empty(x.shape, np.float32), np.empty(x.shape, np.uint16)):
        with pytest.raises(TypeError, match="out must be an array of"):
            softmax(x, 0, out=bad)


@HALVES
def test_types_with_weights(half):
    x = np.arange(3).astype(half)
    for b, expected in (
        (2.5, half), (np.ones(3, half), half), (np.ones(3, bool), half), (np.ones(3, np.float32), np.float32),
        (np.ones(3), np.float64),
    ):  # fmt: skip
        assert logsumexp(x, b=b).dtype == expected
    mixed = logsumexp(np.arange(3, dtype=np.float16), b=np.ones(3, BFLOAT16))
    assert mixed.dtype == np.float32


def test_float16_as_in_scipy():
    x = block().astype(np.float16)
    for name in ("softmax", "log_softmax", "logsumexp"):
        ours, theirs = globals()[name](x, axis=1), getattr(scipy.special, name)(x, axis=1)
        assert ours.dtype == theirs.dtype == np.float16
        np.testing.assert_allclose(ours, theirs, rtol=5e-3, atol=5e-3)  # SciPy's are rounded more often


# ---- arrays of other libraries -----------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1, None])
def test_arrays_of_the_standard(axis, dtype):
    plain = block().astype(dtype)
    x = strict.asarray(plain.copy())
    for function in ALL:
        y = function(x, axis)
        assert type(y) is type(x)
        assert y.dtype == getattr(strict, dtype.__name__)
        np.testing.assert_array_equal(np.from_dlpack(y), function(plain, axis))
    np.testing.assert_array_equal(np.from_dlpack(x), plain)
    value, sign = logsumexp(x, axis, b=strict.asarray(np.sign(plain)), return_sign=True)
    assert type(value) is type(sign) is type(x)
    y = softmax_jvp(softmax(x, 1), x, 1)
    assert type(y) is type(x)
    np.testing.assert_array_equal(np.from_dlpack(y), softmax_jvp(softmax(plain, 1), plain, 1))


def test_arrays_of_the_standard_as_out_and_options():
    plain = block()
    x, where, temperature = strict.asarray(plain), strict.asarray(plain > 0), strict.asarray(np.full((6, 1), 2.0))
    expected = softmax(plain, 1, where=plain > 0, temperature=2.0)
    out = strict.empty_like(x)
    if np.from_dlpack(out).flags.writeable:  # the first NumPy with DLPack reads alone
        assert softmax(x, 1, where=where, temperature=temperature, out=out) is out
        np.testing.assert_array_equal(np.from_dlpack(out), expected)
    with pytest.raises(TypeError, match="out must be an array of float64"):
        softmax(x, 1, out=strict.empty((6, 50), dtype=strict.float32))
    with pytest.raises(TypeError, match=r"^x must be"):
        softmax(strict.asarray(1j))
    with pytest.raises(TypeError, match=r"^where must be boolean"):
        softmax(x, where=x)


class Elsewhere:
    """An array on a device of its own."""

    device = "gpu:0"

    def __dlpack_device__(self):
        return (2, 0)

    def __dlpack__(self, **kwargs):
        raise BufferError("not here")


class Broken(Elsewhere):
    def __dlpack_device__(self):
        return (1, 0)


def test_arrays_that_cannot_be_read():
    for function in ALL:
        name = "a" if function is logsumexp else "x"
        with pytest.raises(ValueError, match=rf"^{name} lies on gpu:0"):
            function(Elsewhere())
        with pytest.raises(TypeError, match=rf"^{name} cannot be read through DLPack: not here"):
            function(Broken())
    with pytest.raises(ValueError, match="out lies on"):
        softmax(np.ones(3), out=Elsewhere())


def test_blocks_of_an_accumulator():
    x = block()
    for plain in (x.astype(np.float16), x.astype(BFLOAT16), strict.asarray(x.astype(np.float32))):
        sums = LogSumExpAccumulator(6, np.float32)
        sums.update(plain, 1)
        wide = np.from_dlpack(plain) if not isinstance(plain, np.ndarray) else plain.astype(np.float32)
        np.testing.assert_allclose(sums.logsumexp(), logsumexp(wide, 1), rtol=1e-6)
        assert type(sums.softmax(plain, 1)) is type(plain)


def test_no_other_library_is_imported():
    """By the tests above perhaps, but not by the package."""
    assert all(module not in vars(sys.modules["solvers.special"]) for module in ("torch", "ml_dtypes"))
