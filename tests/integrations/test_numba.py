"""Our kernels inside of compiled functions: the bits that they have outside."""

import subprocess
import sys

import numba
import numpy as np
import pytest
import scipy.sparse
from numba.core.errors import TypingError

from solvers.integrations.numba import FORWARD, SYMMETRIC, Multilevel, System
from solvers.linalg import GridOperator, multilevel
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


@numba.njit
def swept(system, b, x, omega, sweeps, direction):
    system.sweep(b, x, omega, sweeps, direction)
    return x


@numba.njit
def preconditioned(M, r):
    z = np.empty_like(r)
    M.precondition(r, z, 1.2)
    return z


@numba.njit
def cycled(M, r):
    z = np.empty_like(r)
    M.apply(r, z)
    return z


def gauss_seidel(A, b, x, omega):
    """A forward sweep, from the textbook."""
    lower = scipy.sparse.tril(A, -1) + scipy.sparse.diags_array(A.diagonal() / omega)
    return x + scipy.sparse.linalg.spsolve_triangular(lower.tocsr(), b - A @ x)


def test_sweeps(seed):
    rng = np.random.default_rng(seed)
    grid = GridOperator((9, 7), coeff=rng.uniform(1, 2, (9, 7)))
    A = grid.to_csr()
    b, x = rng.standard_normal((2, 63))
    expected = gauss_seidel(A, b, gauss_seidel(A, b, x, 1.4), 1.4)
    for system in (System(A), System(grid), System(A, ordering="wavefront")):
        inside = swept(system, b, x.copy(), 1.4, 2, FORWARD)
        np.testing.assert_allclose(inside, expected, rtol=1e-11, atol=1e-12)
        outside = x.copy()
        system.sweep(b, outside, 1.4, 2)
        np.testing.assert_array_equal(inside, outside)
    lower = scipy.sparse.tril(A, -1) + scipy.sparse.diags_array(A.diagonal() / 1.2)
    half = scipy.sparse.linalg.spsolve_triangular(lower.tocsr(), b)
    z = preconditioned(System(A), b)
    np.testing.assert_allclose(z, swept(System(A), b, np.zeros(63), 1.2, 1, SYMMETRIC), rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(lower.T @ z, A.diagonal() * half * (2 - 1.2) / 1.2, rtol=1e-9, atol=1e-11)


def test_cycle(seed):
    mask = np.ones((12, 16), bool)
    mask[3:6, 4:9] = False
    grid = GridOperator((12, 16), mask=mask)
    r = np.where(mask, np.random.default_rng(seed).standard_normal((12, 16)), 0.0).ravel()
    np.testing.assert_array_equal(cycled(Multilevel(grid), r), multilevel(grid, threads=1) @ r)


def test_handles_refuse():
    system, b = System(scipy.sparse.eye_array(5, format="csr")), np.ones(5)
    for call in (swept, swept.py_func):
        with pytest.raises(ValueError, match=r"omega|refused"):
            call(system, b, np.zeros(5), 2.5, 1, FORWARD)
        with pytest.raises(ValueError, match=r"entries|contiguous arrays of 5"):
            call(system, b, np.zeros(4), 1.0, 1, FORWARD)
    with pytest.raises(TypingError, match="contiguous arrays of float64"):
        swept(system, b, np.zeros(5, np.float32), 1.0, 1, FORWARD)
    with pytest.raises(TypingError, match="has no apply"):
        cycled(system, b)
    with pytest.raises(ValueError, match="ordering must be one of"):
        System(np.eye(3), ordering="best")
    with pytest.raises(ValueError, match="diagonal"):
        System(scipy.sparse.csr_array((3, 3)))
    with pytest.raises(TypeError, match="GridOperator"):
        Multilevel(np.eye(3))
