"""Lines gathered in panels, with small scratches too, so that short lines are cut; and what memory that takes."""

import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers.special import _kernels, _panels, log_softmax, logsumexp, softmax, softmax_jvp

steady = settings(max_examples=120, derandomize=True, deadline=None, database=None)
MAPS = [softmax, log_softmax]


@pytest.fixture(params=[64, 1000, 1 << 14])
def scratch(request, monkeypatch):
    """Bytes of the scratch: from one cache line on."""
    monkeypatch.setattr(_panels, "SCRATCH_BYTES", request.param)


def block(dtype, shape, seed=8009):
    return (np.random.default_rng(seed).standard_normal(shape) * 20).astype(dtype)


def near(got, expected, of_one=0):
    """Both within 2 ULP (logarithms: 4 u) of the same; logsumexp: or so many ULP of 1."""
    dtype = expected.dtype
    eps, tiny = float(np.finfo(dtype).eps), float(np.finfo(dtype).smallest_subnormal)
    np.testing.assert_allclose(got, expected, rtol=4 * eps, atol=of_one * eps + 2 * tiny)
    assert np.asarray(got).dtype == dtype


# ---- layouts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1, 2, (0, 1), (0, 2), (1, 2), None])
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("function", [*MAPS, logsumexp])
@pytest.mark.usefixtures("scratch")
def test_any_axes_of_any_order(function, order, axis, dtype):
    plain = block(dtype, (5, 18, 7))
    x = plain.transpose(order).copy().transpose(np.argsort(order))
    before = x.copy()
    flat = np.ascontiguousarray(np.moveaxis(plain, axis, range(-np.size(axis), 0)) if axis is not None else plain)
    last = None if axis is None else tuple(range(-np.size(axis), 0))
    expected = function(flat, last)
    if function is not logsumexp and axis is not None:
        expected = np.moveaxis(expected, last, axis)
    near(function(x, axis), expected, of_one=2 if function is logsumexp else 0)
    np.testing.assert_array_equal(x, before)


@given(data=st.data())
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["f32", "f64"])
@steady
def test_any_strides(data, dtype):
    """Slices with steps of any sign, turned axes, repeated axes, any scratch; into an `out` of another layout."""
    ndim = data.draw(st.integers(1, 4))
    shape = tuple(data.draw(st.lists(st.integers(0, 6), min_size=ndim, max_size=ndim)))
    x = block(dtype, tuple(3 * n for n in shape), data.draw(st.integers(0, 9)))
    x = x[
        tuple(
            slice(None, None, step)
            for step in data.draw(st.lists(st.sampled_from([-3, 3]), min_size=ndim, max_size=ndim))
        )
    ]
    x = x.transpose(data.draw(st.permutations(range(ndim))))
    if x.size and data.draw(st.booleans()):
        x = np.broadcast_to(x[..., :1], x.shape)
    axis = tuple(data.draw(st.sets(st.integers(0, ndim - 1))))
    room = np.full(x.shape[::-1], 7, dtype)
    function = data.draw(st.sampled_from(MAPS))
    plain = np.ascontiguousarray(x.transpose([*(k for k in range(ndim) if k not in axis), *sorted(axis)]))
    expected = function(plain, tuple(range(ndim - len(axis), ndim)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_panels, "SCRATCH_BYTES", data.draw(st.sampled_from([8, 64, 500, 1 << 18])))
        function(x, axis, out=room.T)
        near(room.T.transpose([*(k for k in range(ndim) if k not in axis), *sorted(axis)]), expected)
        near(logsumexp(x, axis), np.asarray(logsumexp(plain, tuple(range(ndim - len(axis), ndim)))), of_one=2)


@pytest.mark.parametrize("function", MAPS)
@pytest.mark.usefixtures("scratch")
def test_in_place_and_overlapping(function, dtype):
    for axis in (0, 1):
        for turn in (lambda x: x, lambda x: x.T, lambda x: x[::-1], lambda x: x[::-1, ::-1]):
            x = block(dtype, (40, 40))[:, ::-1]
            expected = function(x.copy(), axis)
            function(x, axis, out=turn(x))
            near(turn(x), expected)


@pytest.mark.parametrize("value", [1e8, -1e8, 1e30, -1e30, 0])
@pytest.mark.usefixtures("scratch")
def test_special_values_in_chunks(value, dtype):
    columns = [
        [np.inf] + [0] * 299, [0] * 150 + [np.nan] + [np.inf] * 149, [-np.inf] * 300, [-np.inf] * 299 + [3],
        [value] * 300, [value] + [0] * 299, [0] * 299 + [value], [-np.inf] * 200 + [value] * 100,
        list(np.arange(300) + value), [40] + [0] * 299,
    ]  # fmt: skip
    x = np.array(columns, dtype)
    for function in MAPS:
        near(function(np.asfortranarray(x), 1), function(x, 1))
    near(logsumexp(np.asfortranarray(x), 1), logsumexp(x, 1), of_one=2)
    for got, expected in zip(
        logsumexp(np.asfortranarray(x), 1, return_sign=True), logsumexp(x, 1, return_sign=True), strict=True
    ):
        near(got, expected, of_one=2)


@pytest.mark.usefixtures("scratch")
def test_weights_in_panels(dtype):
    a, b = block(dtype, (30, 50)), block(dtype, (30, 50), 4211)
    b[3, 4], b[:, 6] = 0, 0
    a[3, 4], a[2, 6] = np.nan, np.inf
    for axis in (0, 1, None):
        expected = logsumexp(np.ascontiguousarray(a), axis, b=np.ascontiguousarray(b), return_sign=True)
        got = logsumexp(np.asfortranarray(a), axis, b=b[::-1].copy()[::-1], return_sign=True)
        np.testing.assert_allclose(got, expected, rtol=1e-5 if dtype is np.float32 else 1e-13)


# ---- how panels are cut ----------------------------------------------------------------------------


@given(shape=st.lists(st.integers(0, 9), max_size=4).map(tuple), size=st.integers(1, 200))
@steady
def test_blocks_cover_each_element_once(shape, size):
    seen = np.zeros(shape, int)
    for piece in _panels.blocks(shape, size):
        seen[(*piece, ...)] += 1
        assert seen[(*piece, ...)].size <= size
    assert (seen == 1).all()


def test_neighbouring_lines_come_together():
    for shape, strided in (((1000, 300), 0), ((100_000, 300), 0)):
        cut = _panels.Cut(np.empty(shape), (strided,), 8)
        lines = [piece[0].stop - piece[0].start for piece in cut.lines]
        assert min(lines[:-1]) >= _panels.NEIGHBOURS


@pytest.mark.memory
@pytest.mark.parametrize("function", [softmax, log_softmax, logsumexp, softmax_jvp])
def test_no_layout_is_copied_whole(function):
    for x, axis in ((np.ones((3000, 1001)), 0), (np.ones(6_000_000)[::2], 0), (np.ones((3000, 1001), ">f8"), 1)):
        out = None if function is logsumexp else np.empty(x.shape)
        arguments = (x, x) if function is softmax_jvp else (x,)
        function(*arguments, axis=axis, out=out)
        tracemalloc.start()
        function(*arguments, axis=axis, out=out)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 4 * _panels.SCRATCH_BYTES


# ---- the copy --------------------------------------------------------------------------------------


@given(data=st.data())
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["f32", "f64"])
@steady
def test_copy_is_numpys_copy(data, dtype):
    ndim = data.draw(st.integers(0, 4))
    shape = tuple(data.draw(st.lists(st.integers(0, 20), min_size=ndim, max_size=ndim)))
    order = data.draw(st.permutations(range(ndim)))
    step = data.draw(st.sampled_from([-2, 2]))
    source = block(dtype, tuple(2 * n for n in shape))
    source = np.asarray(source)[(*(slice(None, None, step),) * ndim, ...)]
    room = np.full([2 * shape[k] for k in order], 5, dtype)
    expected = room.copy()
    back = np.argsort(order)
    part = (*(slice(1, None, 2),) * ndim, ...)
    _kernels.copy(room[part].transpose(back), source)
    np.copyto(expected[part].transpose(back), source)
    np.testing.assert_array_equal(room, expected)


def test_copy_refuses_what_would_read_foreign_memory(dtype):
    x = block(dtype, (4, 5))
    for bad in (x.T, x[0], x.astype(np.int64), x.astype(x.dtype.newbyteorder()), np.empty((4, 6), dtype)):
        with pytest.raises(ValueError):
            _kernels.copy(np.empty((4, 5), dtype), bad)
