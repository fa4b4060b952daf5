"""Lines that share vectors with their neighbours: along a first or middle axis, and of many short rows."""

import numpy as np
import pytest

from solvers.special import log_softmax, logsumexp, softmax

WIDTHS = [8, 9, 15, 16, 17, 63, 64, 65, 127, 128, 129, 200]
LENGTHS = [1, 2, 3, 7, 64, 65, 130, 1000]


def matrix(shape, dtype, seed=6007, scale=5):
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype(dtype)


def by_rows(x, function=softmax):
    """Along axis 0, a line at a time."""
    return np.stack([function(line.copy()) for line in x.T], axis=-1)


def assert_close(got, expected):
    """Within 2 machine epsilons, and the same where not finite or 0."""
    np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))
    np.testing.assert_array_equal(got == 0, expected == 0)
    tiny = np.finfo(expected.dtype).tiny
    np.testing.assert_allclose(got, expected, rtol=2 * np.finfo(expected.dtype).eps, atol=2 * tiny * 1e-7)


both = pytest.mark.parametrize("function", [softmax, log_softmax])


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("length", LENGTHS)
def test_columns_are_as_rows(length, width, dtype):
    x = matrix((length, width), dtype)
    assert_close(softmax(x, axis=0), by_rows(x))


@pytest.mark.parametrize("width", WIDTHS[::3])
@pytest.mark.parametrize("length", LENGTHS)
def test_logarithms_of_columns_are_as_of_rows(length, width, dtype):
    x = matrix((length, width), dtype)
    x[length // 2, 1] += 60  # a probability nearly 1
    x[:, 2] = 3  # all the maximum
    x[0, 3] = x[-1, 3] = 40  # it occurs twice
    x[: length // 2, 4] = -np.inf
    np.testing.assert_allclose(log_softmax(x, axis=0), by_rows(x, log_softmax), rtol=4 * np.finfo(dtype).eps)


@both
@pytest.mark.parametrize("axis", [0, 1, 2, 3])
def test_an_axis_between_others(axis, function, dtype):
    x = matrix((3, 5, 7, 11), dtype)
    moved = np.moveaxis(x, axis, 0).reshape(x.shape[axis], -1)
    expected = np.moveaxis(by_rows(moved, function).reshape(np.moveaxis(x, axis, 0).shape), 0, axis)
    assert_close(function(x, axis=axis), expected)
    assert_close(function(np.asfortranarray(x), axis=axis), expected)


@both
def test_padded_and_reversed_rows(function, dtype):
    x = matrix((40, 30), dtype)
    expected = by_rows(x, function)
    padded, out = np.zeros((40, 50), dtype), np.full((80, 37), 7, dtype)
    padded[:, 9:39] = x
    function(padded[:, 9:39], axis=0, out=out[::2, 3:33])
    assert_close(out[::2, 3:33].copy(), expected)
    assert (out[1::2] == 7).all()
    assert (out[:, :3] == 7).all()
    assert (out[:, 33:] == 7).all()
    assert_close(function(x[::-1], axis=0)[::-1], expected)


@both
def test_in_place(function, dtype):
    x = matrix((300, 70), dtype)
    expected = by_rows(x, function)
    assert function(x, axis=0, out=x) is x
    assert_close(x, expected)


@both
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan, 1e30, -1e30])
@pytest.mark.parametrize("whole", [False, True], ids=["one entry", "a whole column"])
def test_a_column_that_needs_the_safe_path_leaves_the_others_alone(bad, whole, function, dtype):
    x = matrix((50, 40), dtype)
    x[slice(None) if whole else 17, [3, 33]] = bad
    assert_close(function(x, axis=0), by_rows(x, function))
    assert_close(function(x, axis=0, out=x.copy()), by_rows(x, function))


@both
@pytest.mark.parametrize("width", [24, 1000])
def test_any_number_of_threads_gives_the_same_bits(width, function, dtype):
    x = matrix((200, width), dtype)
    expected = function(x, axis=0, threads=1)
    for threads in (2, 3, 8):
        np.testing.assert_array_equal(function(x, axis=0, threads=threads), expected)


@pytest.mark.parametrize("rows", [1, 7, 8, 15, 16, 17, 33, 100])
@pytest.mark.parametrize("length", [2, 3, 8, 10, 16, 17, 31, 33, 64, 65, 127, 129])
def test_a_row_of_a_batch_is_as_the_row_alone(length, rows, dtype):
    x = matrix((rows, length), dtype)
    expected = np.stack([softmax(row.copy()) for row in x])
    assert_close(softmax(x, axis=1), expected)
    padded = np.zeros((rows, length + 3), dtype)
    padded[:, 1:-2] = x
    assert_close(softmax(padded[:, 1:-2], axis=1), expected)
    assert_close(softmax(x[::-1], axis=1)[::-1], expected)
    assert_close(softmax(x, axis=1, out=x), expected)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan, 1e30, -1e30])
@pytest.mark.parametrize("length", [5, 16, 40, 100])
def test_a_short_row_that_needs_the_safe_path_leaves_the_others_alone(length, bad, dtype):
    x = matrix((60, length), dtype)
    x[[5, 21, 59], length // 2] = bad
    x[40] = bad
    expected = np.stack([softmax(row.copy()) for row in x])
    assert_close(softmax(x, axis=1), expected)


@pytest.mark.parametrize("function", [log_softmax, logsumexp])
@pytest.mark.parametrize("rows", [7, 16, 33, 150])
@pytest.mark.parametrize("length", [2, 3, 8, 10, 16, 17, 31, 33, 64, 65, 100, 128, 129])
def test_logarithms_of_a_batch_are_as_of_the_row_alone(length, rows, function, dtype):
    x = matrix((rows, length), dtype)
    x[rows // 2, 0] += 60  # a probability nearly 1
    x[rows // 3] = 3  # all the maximum
    x[rows // 4, [0, -1]] = 40  # it occurs twice
    expected = np.stack([function(row.copy()) for row in x])
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(function(x, axis=1), expected, rtol=4 * eps, atol=eps * (function is logsumexp))
    padded = np.zeros((rows, length + 3), dtype)
    padded[:, 1:-2] = x
    np.testing.assert_allclose(function(padded[:, 1:-2], axis=1), expected, rtol=4 * eps, atol=eps)
    if function is log_softmax:
        p = np.exp(log_softmax(x, axis=1, out=x).astype(np.longdouble))
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=300 * eps)


@pytest.mark.parametrize("function", [log_softmax, logsumexp])
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan, 1e30, -1e30])
@pytest.mark.parametrize("length", [2, 16, 40])
def test_logarithms_of_a_batch_with_rows_that_need_the_safe_path(length, bad, function, dtype):
    """Also in groups of as many as a vector has lanes, whose logarithms must not take a NaN for a number."""
    x = matrix((60, length), dtype)
    x[[5, 21, 59], length // 2] = bad
    x[40] = bad
    expected = np.stack([function(row.copy()) for row in x])
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(function(x, axis=1), expected, rtol=4 * eps, atol=eps)


@pytest.mark.parametrize("length", [2, 10, 31, 64, 65, 128, 129, 1001, 1024, 10001])
@pytest.mark.parametrize("offset", [0, 1, 3])
def test_a_large_batch_is_written_past_the_cache(length, offset, dtype):
    """Whole cache lines, wherever the rows begin and end in them; nothing beside them."""
    rows = (9 << 20) // (length * np.dtype(dtype).itemsize) + 7
    x = matrix((rows, length), dtype)
    x[[rows // 3, rows // 2 + 1], 0] = np.inf  # rows apart interrupt the flow
    room = np.full(rows * length + 16, 7, dtype)
    out = room[offset : offset + rows * length].reshape(rows, length)
    softmax(x, axis=1, out=out)
    picked = np.r_[:40, rows // 3 - 2 : rows // 3 + 20, rows // 2 - 20 : rows // 2 + 20, rows - 40 : rows]
    assert_close(out[picked], np.stack([softmax(x[k].copy()) for k in picked]))
    finite = np.isfinite(x).all(axis=1)
    np.testing.assert_allclose(out[finite].sum(axis=1), 1, rtol=1e-5)
    assert np.isnan(out[~finite]).all()
    assert (room[:offset] == 7).all()
    assert (room[offset + rows * length :] == 7).all()
    two = np.empty_like(x)
    softmax(x, axis=1, out=two, threads=2)
    np.testing.assert_array_equal(two, out)
    log_softmax(x, axis=1, out=out)
    np.testing.assert_allclose(out[picked], np.stack([log_softmax(x[k].copy()) for k in picked]), rtol=1e-6)
    np.testing.assert_array_equal(log_softmax(x, axis=1, threads=2), out)
    assert (room[:offset] == 7).all()
    assert (room[offset + rows * length :] == 7).all()


@pytest.mark.parametrize("offset", [0, 3])
@pytest.mark.parametrize("length", [60, 64, 128])
def test_what_underflows_leaves_past_the_cache_with_the_same_bits(length, offset, dtype):
    """Some groups of rows have subnormal results, and those before and after them do not."""
    itemsize = np.dtype(dtype).itemsize
    rows = (10 << 20) // (length * itemsize) // 1024 * 1024  # each task has whole groups
    x = matrix((rows, length), dtype)
    x[5::100, 1:] -= 95 if dtype == np.float32 else 720
    room = np.zeros(rows * length + 64, dtype)
    start = -room.ctypes.data % 64 // itemsize + offset
    out = room[start : start + rows * length].reshape(rows, length)
    softmax(x, axis=1, out=out)
    expected = np.concatenate([softmax(x[k : k + 1024], axis=1) for k in range(0, rows, 1024)])
    np.testing.assert_array_equal(out, expected)
    assert ((expected[5] > 0) & (expected[5] < np.finfo(dtype).tiny)).any()


@pytest.mark.parametrize("length", [300, 1000, 5003])
def test_a_row_has_its_own_bits_whatever_leaves_beside_it(length, dtype):
    """Rows that span little, more, and so much that results are subnormal, in all orders, past the cache."""
    rows = (9 << 20) // (length * np.dtype(dtype).itemsize) + 7
    rng = np.random.default_rng(49979687)
    x = (rng.random((rows, length)) * rng.choice([0, 3, 8, 25, 40, 100, 900], (rows, 1))).astype(dtype)
    got = softmax(x, axis=1, method="one-exponential")
    for k in (*range(40), rows - 1):
        assert got[k].tobytes() == softmax(x[k], method="one-exponential").tobytes()


@pytest.mark.parametrize("length", [20_001, 32_768, 50_257])
@pytest.mark.parametrize("offset", [0, 1, 4])
def test_a_batch_of_long_rows_is_each_row_alone(length, offset, dtype):
    """The results of one row leave while the next one is summed, whatever either of them is."""
    rows = (9 << 20) // (length * np.dtype(dtype).itemsize) + 7
    x = matrix((rows, length), dtype)
    x[2, :2000] -= 300  # the first guess at its exponent is wrong
    x[3] += 1e30
    x[4, 7], x[5], x[6, -1] = np.nan, -np.inf, np.inf
    x[8] = np.linspace(-500, 500, length)  # with results that are subnormal
    room = np.full(rows * length + 16, 7, dtype)
    out = room[offset : offset + rows * length].reshape(rows, length)
    alone = np.stack([softmax(row, method="two-pass") for row in x])
    for threads in (1, 3):
        softmax(x, axis=1, out=out, method="two-pass", threads=threads)
        assert out.tobytes() == alone.tobytes()
    softmax(x, axis=1, out=out)  # perhaps by one exponential: a subnormal result may be the neighbour of that number
    eps, unit = np.finfo(dtype).eps, np.finfo(dtype).smallest_subnormal
    np.testing.assert_allclose(out, alone, rtol=2 * eps, atol=unit)
    assert (room[:offset] == 7).all()
    assert (room[offset + rows * length :] == 7).all()


@both
@pytest.mark.parametrize("length", [5, 8, 100, 301])
def test_columns_whose_largest_element_comes_late(length, function, dtype):
    x = matrix((length, 40), dtype)
    x[:, 1] = 3 * np.arange(length)  # the largest so far, again and again
    x[:, 2] = -3 * np.arange(length)
    x[: length // 2, 3] = -np.inf
    x[:-1, 4] = -1e9
    x[-1, 5] += 300  # the others vanish, or become subnormal
    x[-1, 6] += 85 if dtype == np.float32 else 700
    x[:, 37] = 100 * np.sin(np.arange(length))
    expected = by_rows(x, function)
    if function is softmax:
        tiny = np.finfo(dtype).smallest_subnormal
        np.testing.assert_allclose(softmax(x, axis=0), expected, rtol=4 * np.finfo(dtype).eps, atol=2 * tiny)
    else:
        np.testing.assert_allclose(log_softmax(x, axis=0), expected, rtol=4 * np.finfo(dtype).eps)


@both
@pytest.mark.parametrize("offset", [0, 1, 3])
@pytest.mark.parametrize("width", [17 << 10, (17 << 10) + 5])
def test_large_columns_are_written_past_the_cache(width, offset, function, dtype):
    """Whole cache lines where all rows of the output begin alike in them; nothing beside them."""
    length = (9 << 20) // (width * np.dtype(dtype).itemsize) + 1
    x = matrix((length, width), dtype)
    x[:, width // 3] = 20 * np.arange(length)
    x[0, width // 2] = np.inf
    room = np.full(x.size + 16, 7, dtype)
    out = room[offset : offset + x.size].reshape(x.shape)
    function(x, axis=0, out=out)
    picked = np.r_[:40, width // 3, width // 2 - 3 : width // 2 + 3, width - 40 : width]
    np.testing.assert_allclose(
        out[:, picked], by_rows(x[:, picked], function), rtol=4 * np.finfo(dtype).eps, atol=1e-300
    )
    np.testing.assert_array_equal(function(x, axis=0, threads=2), function(x, axis=0, threads=1))
    assert (room[:offset] == 7).all()
    assert (room[offset + x.size :] == 7).all()
