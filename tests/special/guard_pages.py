"""Run by test_layout.py in a process of its own: rows that begin or end at a page that must not be touched.

A read or write outside the arrays ends the process with a segmentation fault.
"""

import ctypes
import mmap
import sys

import numpy as np

from solvers.special import LogSumExpAccumulator, log_softmax, logsumexp, softmax, softmax_jvp

PROT_NONE = 0
PAGE = mmap.PAGESIZE
LENGTHS = [*range(1, 70), 127, 128, 129, 130, 255, 256, 257, 1000, 1023, 1025]

libc = ctypes.CDLL(None, use_errno=True)


def fenced(nbytes):
    """Bytes of whole pages between two pages without access."""
    pages = -(-nbytes // PAGE)
    block = mmap.mmap(-1, (pages + 2) * PAGE)
    whole = np.frombuffer(block, np.uint8)
    start = whole.ctypes.data
    for fence in (start, start + (pages + 1) * PAGE):
        if libc.mprotect(ctypes.c_void_p(fence), ctypes.c_size_t(PAGE), PROT_NONE):
            sys.exit(f"mprotect: errno {ctypes.get_errno()}")
    return whole[PAGE:-PAGE]


def at_both_ends(n, dtype):
    """An array right behind the first fence, and one right before the second."""
    size = n * np.dtype(dtype).itemsize
    yield fenced(size)[:size].view(dtype)
    room = fenced(size)
    yield room[len(room) - size :].view(dtype)


def try_length(n, dtype):
    values = np.random.default_rng(n).standard_normal(n).astype(dtype)
    for x in at_both_ends(n, dtype):
        x[:] = values
        assert logsumexp(x) == logsumexp(values)
        for b in at_both_ends(n, dtype):
            b[:] = values
            assert logsumexp(x, b=b, return_sign=True) == logsumexp(values, b=values, return_sign=True)
            assert np.array_equal(softmax_jvp(x, b), softmax_jvp(values, values))
            assert np.array_equal(softmax_jvp(x, b, out=b), softmax_jvp(values, values))
        try_sums(x, values)
        for function in (softmax, log_softmax):
            for y in at_both_ends(n, dtype):
                function(x, out=y)
                assert np.array_equal(y, function(values))
            function(x, out=x)
            assert np.array_equal(x, function(values))
            x[:] = values


def try_sums(x, values):
    """Sums over blocks, as they lie and gathered from every other place."""
    sums = LogSumExpAccumulator((), x.dtype)
    sums.update(x)
    for y in at_both_ends(len(x), x.dtype):
        assert np.array_equal(sums.softmax(x, out=y), sums.softmax(values))
        assert np.array_equal(sums.log_softmax(x, out=y), sums.log_softmax(values))
    # Long lines are seen in chunks, which may change their last bits.
    assert np.allclose(softmax(x[::-2]), softmax(values[::-2].copy()), rtol=1e-6, atol=0)
    matrix = x[: len(x) // 3 * 3].reshape(-1, 3)
    assert np.allclose(softmax(matrix, 0), softmax(np.asfortranarray(matrix), 0), rtol=1e-6, atol=0)


def try_batch(rows, n, dtype):
    """Short rows are read whole vectors at a time, and as columns."""
    values = np.random.default_rng(n).standard_normal((rows, n)).astype(dtype)
    for x in at_both_ends(rows * n, dtype):
        x = x.reshape(rows, n)
        x[:] = values
        for axis in (0, 1):
            for y in at_both_ends(rows * n, dtype):
                softmax(x, axis, out=y.reshape(rows, n))
                assert np.array_equal(y.reshape(rows, n), softmax(values, axis))


def main():
    for dtype in (np.float32, np.float64):
        for n in LENGTHS:
            try_length(n, dtype)
        for rows in (3, 8, 16, 40):
            for n in (2, 3, 5, 8, 9, 16, 17, 31, 33, 64, 65, 100, 130):
                try_batch(rows, n, dtype)
        # Long enough to be cut into segments and to be written past the cache.
        try_length((9 << 20) // np.dtype(dtype).itemsize + 3, dtype)


main()
