"""Where the numbers lie: strides, byte order, alignment, `out`, overlap, the memory around; and bad input."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from solvers.special import LogSumExpAccumulator, log_softmax, logsumexp, softmax, softmax_jvp

MAPS = [softmax, log_softmax]
ALL = [softmax, log_softmax, logsumexp]


def matrix(dtype, rows=5, columns=37, seed=4507):
    return (np.random.default_rng(seed).standard_normal((rows, columns)) * 5).astype(dtype)


def at_offset(x, offset):
    """A copy of x that starts so many bytes past an aligned address."""
    room = np.zeros(x.nbytes + 64 + offset, np.uint8)
    start = -room.ctypes.data % 64 + offset
    copy = room[start : start + x.nbytes].view(x.dtype).reshape(x.shape)
    copy[...] = x
    return copy


def strided(x):
    room = np.zeros((x.shape[0] * 2, x.shape[1] * 3), x.dtype)
    room[::2, ::3] = x
    return room[::2, ::3]


def padded_rows(x):
    room = np.full((x.shape[0], x.shape[1] + 5), 99, x.dtype)
    room[:, 2:-3] = x
    return room[:, 2:-3]


def record_field(x):
    """Rows inside packed records, so neither the rows nor their strides are aligned."""
    records = np.zeros(len(x), np.dtype([("tag", "i1"), ("row", x.dtype, x.shape[1:])]))
    records["row"] = x
    return records["row"]


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


def assert_same(got, expected, bits):
    """The same bits, or within 2 ULP where only one of them came from the kernels of columns."""
    eps = np.finfo(expected.dtype).eps
    np.testing.assert_allclose(got, expected, rtol=0 if bits else 2 * eps, atol=0 if bits else eps)


LAYOUTS = {
    "fortran": np.asfortranarray,
    "strided": strided,
    "padded rows": padded_rows,
    "rows reversed": lambda x: x[::-1].copy()[::-1],
    "columns reversed": lambda x: x[:, ::-1].copy()[:, ::-1],
    "transposed": lambda x: x.T.copy().T,
    "byte-swapped": lambda x: x.astype(x.dtype.newbyteorder()),
    "byte-swapped strided": lambda x: strided(x.astype(x.dtype.newbyteorder())),
    "read-only": read_only,
    "record field": record_field,
    **{f"offset {k}": lambda x, k=k: at_offset(x, k) for k in (1, 2, 4, 12, 20, 60)},
}


#: Layouts whose last axis is not the dense one.
TURNED = ("fortran", "transposed")


@pytest.mark.parametrize("axis", [0, 1, None])
@pytest.mark.parametrize("function", ALL)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_gives_the_bits_of_contiguous_rows(layout, function, axis, dtype):
    plain = matrix(dtype)
    x = LAYOUTS[layout](plain)
    before = x.copy()
    by_rows = axis is None or (axis == 1 and layout not in TURNED)
    assert_same(function(x, axis), function(plain, axis), by_rows)
    np.testing.assert_array_equal(x, before)
    assert function(x, axis).dtype == dtype


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_of_weights(layout, dtype):
    plain, b = matrix(dtype), matrix(dtype, seed=6007)
    expected = logsumexp(plain, 1, b=b, return_sign=True)
    np.testing.assert_array_equal(logsumexp(plain, 1, b=LAYOUTS[layout](b), return_sign=True), expected)


@pytest.mark.parametrize("function", ALL)
@pytest.mark.parametrize("layout", ["strided", "offset 1", "offset 4", "columns reversed", "byte-swapped"])
def test_one_row_of_any_layout(layout, function, dtype):
    plain = matrix(dtype)
    np.testing.assert_array_equal(function(LAYOUTS[layout](plain)[3]), function(plain[3]))


@pytest.mark.parametrize("function", ALL)
def test_broadcast_with_zero_strides(function, dtype):
    row = matrix(dtype)[0]
    for x in (np.broadcast_to(row, (4, row.size)), np.broadcast_to(row[:, None], (row.size, 3))):
        for axis in (0, 1, None):
            assert_same(function(x, axis), function(x.copy(), axis), bits=axis is None)


@pytest.mark.parametrize("axis", [(0, 2), (2, 0), (1, 3), (0, 1, 3), (0, 1, 2, 3), 0, 1, 2, 3])
@pytest.mark.parametrize("function", ALL)
def test_axes_of_a_transposed_block(function, axis, dtype):
    x = matrix(dtype, 6, 70).reshape(3, 4, 5, 7).transpose(2, 0, 3, 1)
    assert_same(function(x, axis), function(x.copy(), axis), bits=isinstance(axis, tuple))


# ---- out -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1, None])
@pytest.mark.parametrize("layout", [name for name in LAYOUTS if "swapped" not in name and name != "read-only"])
@pytest.mark.parametrize("function", MAPS)
def test_out_of_any_layout(function, layout, axis, dtype):
    x = matrix(dtype)
    out = LAYOUTS[layout](np.full_like(x, -7))
    assert function(x, axis, out=out) is out
    assert_same(out, function(x, axis), bits=axis is None or (axis == 1 and layout not in TURNED))


@pytest.mark.parametrize("axis", [0, 1, None])
@pytest.mark.parametrize("layout", ["fortran", "strided", "padded rows", "record field", "offset 4", "transposed"])
@pytest.mark.parametrize("function", MAPS)
def test_in_place(function, layout, axis, dtype):
    x = LAYOUTS[layout](matrix(dtype))
    expected = function(x, axis)
    assert function(x, axis, out=x) is x
    assert_same(x, expected, bits=axis is None or (axis == 1 and layout not in TURNED))


@pytest.mark.parametrize("function", MAPS)
def test_out_touches_nothing_beside_it(function, dtype):
    x = matrix(dtype)
    for rows, columns in ((slice(1, -1), slice(3, -4)), (slice(None, None, 2), slice(1, None, 3))):
        room = np.full((x.shape[0], x.shape[1]), 99, dtype)
        part = x[rows, columns]
        function(part, 1, out=room[rows, columns])
        expected = np.full_like(room, 99)
        expected[rows, columns] = function(part, 1)
        np.testing.assert_array_equal(room, expected)


@pytest.mark.parametrize("n", [5, 64, 1000, 70_000])
@pytest.mark.parametrize("shift", [1, 3, 8, -1, -3, -8])
@pytest.mark.parametrize("function", MAPS)
def test_partly_overlapping_out(function, shift, n, dtype):
    room = np.random.default_rng(8161).standard_normal(n + 8).astype(dtype)
    at = max(0, -shift)
    x, out = room[at : at + n], room[at + shift : at + shift + n]
    expected = function(x)
    function(x, out=out)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("axis", [0, 1, None])
@pytest.mark.parametrize("function", MAPS)
def test_out_that_is_a_turned_view_of_the_input(function, axis, dtype):
    square = matrix(dtype, 9, 9)
    for turn in (lambda x: x.T, lambda x: x[::-1], lambda x: x[:, ::-1], lambda x: x[::-1, ::-1]):
        x = square.copy()
        expected = function(x, axis)
        function(x, axis, out=turn(x))
        assert_same(turn(x), expected, bits=axis is None)


@pytest.mark.parametrize("function", MAPS)
def test_interleaved_out(function, dtype):
    room = matrix(dtype, 2, 50).ravel()
    expected = function(room[::2])
    function(room[::2], out=room[1::2])
    np.testing.assert_array_equal(room[1::2], expected)


@pytest.mark.parametrize("function", MAPS)
def test_out_for_a_scalar(function, dtype):
    out = np.full((), 9, dtype)
    function(dtype(2), out=out)
    assert out == function(dtype(2))


@pytest.mark.parametrize("function", MAPS)
def test_wrong_out_is_refused_before_anything_is_written(function, dtype):
    x = matrix(dtype)
    other = np.float32 if dtype is np.float64 else np.float64
    wrong = [
        (TypeError, np.full(x.shape, 9, other)),
        (TypeError, np.full(x.shape, 9, np.dtype(dtype).newbyteorder())),
        (TypeError, np.full(x.shape, 9, np.int64)),
        (ValueError, np.full(x.shape[::-1], 9, dtype)),
        (ValueError, np.full((1, *x.shape), 9, dtype)),
        (ValueError, np.full(x.size, 9, dtype)),
        (ValueError, read_only(np.full(x.shape, 9, dtype))),
    ]
    for error, out in wrong:
        with pytest.raises(error, match="out"):
            function(x, 1, out=out)
        assert (out == 9).all()
    for out in (x.tolist(), memoryview(x), (np.empty_like(x),), 3.0):
        with pytest.raises(TypeError, match="out"):
            function(x, 1, out=out)


def test_wrong_axis_writes_nothing(dtype):
    x, out = matrix(dtype), np.full((5, 37), 9, dtype)
    for axis, error in ((2, np.exceptions.AxisError), ((0, 0), ValueError), ("x", TypeError)):
        with pytest.raises(error):
            softmax(x, axis, out=out)
    with pytest.raises(ValueError, match="threads"):
        softmax(x, 1, out=out, threads=0)
    assert (out == 9).all()


# ---- the memory around -----------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="no mprotect")
def test_nothing_outside_the_arrays_is_touched():
    script = Path(__file__).with_name("guard_pages.py")
    done = subprocess.run([sys.executable, "-P", str(script)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


# ---- bad input -------------------------------------------------------------------------------------

NOT_REAL = [
    1j,
    np.ones(3, np.complex64),
    np.ones(3, np.complex128),
    np.ones(3, np.longdouble),
    np.array([1.0, None]),
    np.array([object()]),
    "abc",
    ["1.0", "2.0"],
    b"abc",
    None,
    np.array(["2020-01-01"], "M8[D]"),
    np.ones(3, [("a", "f8")]),
]
NOT_REAL = [x for x in NOT_REAL if getattr(x, "dtype", None) != np.float64]  # where longdouble is float64


@pytest.mark.parametrize("bad", NOT_REAL, ids=lambda x: str(getattr(x, "dtype", type(x).__name__)))
def test_input_that_is_not_real_names_the_argument(bad):
    for function in MAPS:
        with pytest.raises(TypeError, match=r"^x must be"):
            function(bad)
    with pytest.raises(TypeError, match=r"^a must be"):
        logsumexp(bad)
    if bad is not None:
        with pytest.raises(TypeError, match=r"^b must be"):
            logsumexp(np.ones(3), b=bad)


def test_masked_arrays_are_refused(dtype):
    x = matrix(dtype)
    masked, out = np.ma.masked_greater(x, 0), np.full(x.shape, 9, dtype)
    for function in ALL:
        with pytest.raises(TypeError, match=f"^{'a' if function is logsumexp else 'x'} is a masked array"):
            function(masked, 1)
        for name in ("where", "temperature"):
            with pytest.raises(TypeError, match=f"^{name} is a masked array"):
                function(x, 1, out=out[:, 0] if function is logsumexp else out, **{name: masked > 0})
    for call in (
        lambda: softmax(x, 1, out=np.ma.array(out, mask=True)),
        lambda: logsumexp(x, 1, b=masked, out=out[:, 0]),
        lambda: softmax_jvp(x, masked, out=out),
        lambda: LogSumExpAccumulator(len(x), dtype).update(masked),
    ):
        with pytest.raises(TypeError, match="is a masked array: its mask would be lost"):
            call()
    assert (out == 9).all()


@pytest.mark.parametrize("axis", [2, -3, (0, 2), (0, -3), 10**20])
@pytest.mark.parametrize("function", ALL)
def test_axis_out_of_range(function, axis, dtype):
    with pytest.raises(np.exceptions.AxisError, match="out of bounds"):
        function(matrix(dtype), axis)


@pytest.mark.parametrize("function", ALL)
def test_axis_that_is_none(function, dtype):
    x = matrix(dtype)
    for axis in (0.0, 1.0, "0", [0, 1], (0, 1.5), np.array([0, 1])):
        for array in (x, x[0], x[0, 0]):
            with pytest.raises(TypeError):
                function(array, axis)
    for axis in ((0, 0), (1, -1)):
        with pytest.raises(ValueError, match="twice"):
            function(x, axis)
    np.testing.assert_array_equal(function(x, np.int64(1)), function(x, 1))


@pytest.mark.parametrize("threads", [0, -1, 1.5, True, "2"])
@pytest.mark.parametrize("function", ALL)
def test_bad_number_of_threads(function, threads, dtype):
    with pytest.raises(ValueError, match="threads"):
        function(matrix(dtype), threads=threads)


@pytest.mark.parametrize("function", ALL)
def test_arguments_after_the_star_are_named(function, dtype):
    with pytest.raises(TypeError, match="positional"):
        function(matrix(dtype), None, None, False, False, None, 2)
