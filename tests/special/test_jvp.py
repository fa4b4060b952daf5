"""The derivative of softmax."""

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers.special import _kernels, _panels, softmax, softmax_jvp

mp.mp.dps = 50
steady = settings(max_examples=60, derandomize=True, deadline=None, database=None)
LONG = 2**18 + 3


def pair(dtype, shape, seed=2621):
    rng = np.random.default_rng(seed)
    y = softmax(rng.standard_normal(shape).astype(dtype) * dtype(3), -1)
    return y, rng.standard_normal(shape).astype(dtype)


def exact(y, v):
    y, v = [mp.mpf(float(a)) for a in y], [mp.mpf(float(a)) for a in v]
    dot = mp.fdot(y, v)
    return [a * (b - dot) for a, b in zip(y, v, strict=True)], mp.fsum(abs(a * b) for a, b in zip(y, v, strict=True))


def check(got, y, v, dtype):
    """3 ULP; where the products are rounded, and where v_i - <y, v> cancels, what that rounding is."""
    values, size = exact(y, v)
    assert got.dtype == dtype
    rounding = mp.mpf(float(np.finfo(dtype).eps)) * size
    for g, e, a in zip(got, values, y, strict=True):
        spacing = mp.mpf(float(np.spacing(dtype(abs(float(e))))))
        assert abs(mp.mpf(float(g)) - e) <= 3 * spacing + abs(mp.mpf(float(a))) * rounding


@pytest.mark.parametrize("n", [1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 127, 129, 257, 1000])
def test_lengths_around_vectors(n, dtype):
    y, v = pair(dtype, n)
    check(softmax_jvp(y, v), y, v, dtype)


def test_a_direction_far_from_zero(dtype):
    """The dot product is as large as v, and their difference small: nothing of it may be lost."""
    y, v = pair(dtype, 300)
    v += dtype(1000)
    check(softmax_jvp(y, v), y, v, dtype)


def test_is_the_derivative():
    rng = np.random.default_rng(7723)
    x, v = rng.standard_normal((4, 30)), rng.standard_normal((4, 30))
    difference = (softmax(x + 1e-6 * v, 1) - softmax(x - 1e-6 * v, 1)) / 2e-6
    np.testing.assert_allclose(softmax_jvp(softmax(x, 1), v, 1), difference, atol=1e-9)
    assert abs(softmax_jvp(softmax(x, 1), v, 1).sum(axis=1)).max() < 1e-15
    assert (softmax_jvp(softmax(x, 1), np.ones((4, 30)), 1) < 1e-15).all()


@given(data=st.data())
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["f32", "f64"])
@steady
def test_any_layout(data, dtype):
    shape = tuple(data.draw(st.lists(st.integers(0, 7), min_size=3, max_size=3)))
    axis = tuple(data.draw(st.sets(st.integers(0, 2), min_size=1)))
    y, v = (np.random.default_rng(k).random(tuple(2 * n for n in shape)).astype(dtype) for k in (1, 2))
    y, v = y[::2, ::-2, 1::2], v[::-2, ::2, ::2]
    order = data.draw(st.permutations(range(3)))
    out = np.full([shape[k] for k in order], 3, dtype).transpose(np.argsort(order))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_panels, "SCRATCH_BYTES", data.draw(st.sampled_from([64, 300, 1 << 18])))
        assert softmax_jvp(y, v, axis, out=out) is out
    wide_y, wide_v = y.astype(np.longdouble), v.astype(np.longdouble)
    expected = wide_y * (wide_v - (wide_y * wide_v).sum(axis=axis, keepdims=True))
    np.testing.assert_allclose(out, expected.astype(dtype), rtol=1e-4, atol=40 * np.finfo(dtype).eps)


@pytest.mark.parametrize("shape", [(3, LONG), (70, 3001), (20_000, 5)], ids=str)
def test_any_number_of_threads(shape, dtype):
    y, v = pair(dtype, shape)
    alone = softmax_jvp(y, v, threads=1)
    for threads in (2, 3, 8):
        assert softmax_jvp(y, v, threads=threads).tobytes() == alone.tobytes()
    assert softmax_jvp(y[1], v[1]).tobytes() == alone[1].tobytes()


@pytest.mark.parametrize("axis", [0, 1, None])
def test_in_place_and_overlapping(axis, dtype):
    y, v = pair(dtype, (30, 30))
    expected = softmax_jvp(y, v, axis)
    for turn in (lambda x: x, lambda x: x.T, lambda x: x[::-1]):
        for k in (0, 1):
            arguments = [y.copy(), v.copy()]
            out = turn(arguments[k])
            softmax_jvp(*arguments, axis, out=out)
            np.testing.assert_array_equal(out, expected)


def test_types(dtype):
    y, v = pair(dtype, 20)
    assert softmax_jvp(y, v.astype(np.float64)).dtype == np.float64
    assert softmax_jvp(y.astype(np.float16), v.astype(np.float16)).dtype == np.float16
    assert softmax_jvp([1, 0], [3, 4]).dtype == np.float64
    assert softmax_jvp(dtype(1), dtype(5)) == 0
    assert softmax_jvp(np.empty((0, 3), dtype), np.empty((0, 3), dtype)).shape == (0, 3)
    assert softmax_jvp(np.empty((3, 0), dtype), np.empty((3, 0), dtype)).shape == (3, 0)


def test_infinite_directions(dtype):
    y = np.array([0.5, 0.5], dtype)
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(softmax_jvp(y, np.array([np.inf, 1], dtype)), [np.nan, -np.inf])
        assert np.isnan(softmax_jvp(y, np.array([np.nan, 1], dtype))).all()


def test_bad_input(dtype):
    y, v = pair(dtype, (4, 5))
    out = np.full((4, 5), 9, dtype)
    with pytest.raises(ValueError, match=r"^v has shape"):
        softmax_jvp(y, v[0], out=out)
    with pytest.raises(TypeError, match=r"^y must be"):
        softmax_jvp(y * 1j, v, out=out)
    with pytest.raises(TypeError, match=r"^v must be"):
        softmax_jvp(y, v.astype(object), out=out)
    with pytest.raises(np.exceptions.AxisError):
        softmax_jvp(y, v, 2, out=out)
    with pytest.raises(ValueError, match="threads"):
        softmax_jvp(y, v, out=out, threads=0)
    for error, bad in ((ValueError, np.empty((5, 4), dtype)), (TypeError, np.empty((4, 5), np.int64))):
        with pytest.raises(error, match="out"):
            softmax_jvp(y, v, out=bad)
    assert (out == 9).all()


def test_the_binding_refuses_wrong_shapes(dtype):
    y, v = pair(dtype, (4, 5))
    for bad in (v[:3], v[:, :4], v.astype(np.int64), np.asfortranarray(v)):
        for arguments in ((y, bad, y), (y, v, bad), (bad, y, v)):
            with pytest.raises(ValueError):
                _kernels.softmax_jvp(*arguments)
    for dots in (
        np.zeros((3, 2)),
        np.zeros((4, 3)),
        np.zeros(8),
        np.zeros((4, 2), np.float32),
        np.zeros((4, 4))[:, :2],
    ):
        with pytest.raises(ValueError):
            _kernels.add_to_dots(y, v, dots)
        with pytest.raises(ValueError):
            _kernels.jvp_by_dots(y, v, y, dots)
