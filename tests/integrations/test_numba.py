"""Our kernels inside of compiled functions: the bits that they have outside."""

import subprocess
import sys

import numba
import numpy as np
import pytest
from numba.core.errors import TypingError

from solvers.special import log_softmax, logsumexp, softmax

pytestmark = pytest.mark.numba


def inside(function):
    """The function called by compiled code, along an axis and of all entries."""
    return numba.njit(lambda x, axis: (function(x, axis), function(x)))


@pytest.mark.parametrize("function", [softmax, log_softmax, logsumexp])
def test_as_outside(function):
    """The same bits along the last axis and of all entries; others are put last, which rounds otherwise."""
    chosen = {
        softmax: lambda x: (x, x.T.astype(np.int64)),
        log_softmax: lambda x: (x.astype(np.float32),),
        logsumexp: lambda x: (x, x[0, 0]),
    }
    both = inside(function)
    for seed in (3, 11, 91):
        x = 20 * np.random.default_rng(seed).standard_normal((3, 4, 5))
        for given in chosen[function](x):
            for axis in range(-given.ndim, given.ndim):
                along, whole = both(given, axis)
                expected = function(given, axis, threads=1)
                assert np.asarray(along).dtype == expected.dtype
                rtol = 0 if axis % given.ndim == given.ndim - 1 else 4 * np.finfo(expected.dtype).eps
                np.testing.assert_allclose(along, expected, rtol=rtol)
                np.testing.assert_array_equal(whole, function(given, threads=1))


def test_out_and_bad_input():
    into = numba.njit(lambda x, y: softmax(x, axis=-1, out=y))
    x = np.arange(6.0).reshape(2, 3)
    y = np.empty((2, 3))
    into(x, y)
    np.testing.assert_array_equal(y, softmax(x, axis=-1))
    with pytest.raises(ValueError, match="out must have the shape of x"):
        into(x, np.empty((3, 2)))
    with pytest.raises(TypingError, match="out must be a C-contiguous array of float64"):
        into(x, np.empty((3, 2)).T)
    both = inside(softmax)
    with pytest.raises(ValueError, match="axis is out of bounds"):
        both(x, 2)
    with pytest.raises(TypingError, match="x must be of float32"):
        both(x + 1j, 0)
    with pytest.raises(TypingError, match="axis must be None or an integer"):
        both(x, 0.5)


SCRIPT = """
import sys
import numba, numpy as np
from solvers.special import softmax
@numba.njit(cache=True)
def f(x):
    return softmax(x)
print(f(np.zeros(4)).tolist(), sum(f.stats.cache_hits.values()))
"""


def test_found_by_entry_point_and_kept_on_disk(tmp_path):
    """In a process that imports nothing of the integrations; then in one that compiles nothing."""
    (tmp_path / "script.py").write_text(SCRIPT)
    for hits in (0, 1):
        run = subprocess.run(
            [sys.executable, "-P", "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert run.stdout == f"[0.25, 0.25, 0.25, 0.25] {hits}\n", run.stderr
