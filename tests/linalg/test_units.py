"""Right-hand sides of any size: squares that overflow or vanish neither feign success nor prevent it."""

import numpy as np
import pytest
import scipy.sparse
from systems import laplacian, neumann

from solvers import Status, methods
from solvers.linalg import GridOperator, SequenceSolver, solve
from solvers.testing import check_linear

NAMES = [method.name for method in methods("linalg") if "sparse-matrix" in method.capabilities]
POWERS = (-1030, -700, 700, 1000)


def system(seed, m=6):
    rng = np.random.default_rng(seed)
    return laplacian(m), rng.normal(size=m * m), rng.normal(size=m * m)


@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("method", NAMES)
def test_a_power_of_two_changes_no_bit(method, power, seed):
    A, b, x0 = system(seed)
    unit = 2.0**power
    for start in (None, x0):
        near = solve(A, b, x0=start, method=method)
        far = solve(A, unit * b, x0=None if start is None else unit * start, method=method)
        check_linear(A, unit * b, far)
        assert far.success
        if power > -1000:  # below, b itself is rounded
            np.testing.assert_array_equal(far.x, unit * near.x)
            assert (far.nit, far.measure) == (near.nit, unit * near.measure)
            np.testing.assert_array_equal(far.history["measure"], unit * near.history["measure"])


@pytest.mark.parametrize("power", POWERS)
def test_grids_columns_and_complex_numbers(power, seed):
    A, b, other = system(seed)
    unit, grid = 2.0**power, GridOperator((6, 6))
    for rights in (unit * b, np.stack([unit * b, other, 0 * b], axis=1), np.stack([unit * b] * 20, axis=1)):
        result = solve(grid, rights)
        assert result.success
        check_linear(grid, rights, result)
    hermitian = A + scipy.sparse.diags_array([0.1j, 1, -0.1j], offsets=[1, 0, -1], shape=A.shape)
    result = solve(hermitian, unit * (b + 1j * other), max_iter=20_000)
    assert result.success
    check_linear(hermitian, unit * (b + 1j * other), result)


def test_tolerances_starts_and_callbacks_are_the_users(seed):
    A, b, x0 = system(seed)
    unit = 2.0**-700
    seen = []
    result = solve(A, unit * b, method="cg", callback=lambda now: seen.append((now.x.copy(), now.measure)))
    np.testing.assert_array_equal(seen[-1][0], result.x)
    assert 0 < seen[-1][1] <= 1e-8 * unit * np.linalg.norm(b) * (1 + 1e-12)
    assert solve(A, unit * b, atol=2 * unit * np.linalg.norm(b)).nit == 0
    assert solve(A, unit * b, atol=1.0).nit == 0
    assert solve(A, unit * b, x0=result.x).nit == 0
    far = solve(A, unit * b, x0=1e300 * x0)  # no start at all
    assert far.success
    check_linear(A, unit * b, far)


def test_a_null_space_is_told_in_the_users_numbers():
    A, b, unit = neumann(6), np.ones(36), 2.0**-700
    b[0] = 3
    result = solve(A, unit * b, nullspace="constant")
    assert result.success
    left_out = unit * solve(A, b, nullspace="constant").stats["projected"]
    assert result.stats["projected"] == left_out
    assert f"norm {left_out:.3g}, which" in result.message
    assert f"(norm {left_out:.3g})" in solve(A, unit * b).message


def test_answers_that_no_float_holds():
    for scale, size in ((1e-200, 1e200), (1e200, 1e-200)):
        A, b = scipy.sparse.csr_array(scale * laplacian(4)), size * np.ones(16)
        for result in (solve(A, b), SequenceSolver().solve(A, b)):
            assert not result.success
            assert result.status is (Status.NONFINITE if size > 1 else Status.STAGNATION)


def test_what_is_no_number_stays_so():
    A, b, _ = system(3)
    b[3] = np.nan
    assert not solve(A, b, check_finite=False).success
    b[3] = np.inf
    assert not solve(A, b, check_finite=False).success


@pytest.mark.parametrize("power", POWERS)
def test_a_sequence(power, seed):
    A, b, x0 = system(seed)
    unit, sequence = 2.0**power, SequenceSolver()
    for right, start in ((b, None), (unit * b, None), (unit * b, x0), (b, x0), (unit * b, unit * x0), (b, None)):
        result = sequence.solve(A, right, start)
        assert result.success
        assert not result.stats["failures"]
        check_linear(A, right, result)
