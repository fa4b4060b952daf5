"""What rows and columns of the cost have in common, however large, changes the plan by no more than C is rounded."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers.ot import solve, solve_sample
from solvers.testing import check_transport

METHODS = ("newton", "sinkhorn", "sns", "ssns")
BIG = 2.0**27
EXAMPLES = settings(max_examples=50, deadline=None, derandomize=True)


def _solved(C, reg=0.02, **keywords):
    result = solve(C, reg=reg, tol=1e-11, max_iter=100_000, **keywords)
    assert result.success, result.message
    return result


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", ["constant", "rows", "columns", "both"])
def test_large_common_parts(method, dtype, shape, seed):
    """Whole numbers times 2^-10 (2^10 in float32), exact also after the shift."""
    rng = np.random.default_rng(seed)
    unit, n, m = (2.0**-10 if dtype == np.float64 else 1.0), 40, 30
    C = rng.integers(0, 1000, (n, m)) * unit
    big = BIG if dtype == np.float64 else 2.0**14
    rows, columns = rng.integers(-9, 9, (n, 1)) * big, rng.integers(-9, 9, m) * big
    shift = {"constant": big, "rows": rows, "columns": columns, "both": rows + columns}[shape]
    plain, shifted = (_solved(c.astype(dtype), reg=20 * unit, method=method) for c in (C, C + shift))
    np.testing.assert_allclose(shifted.plan.dense(), plain.plan.dense(), atol=1e-11)
    sums = (shift * shifted.plan.dense()).sum()
    rounding = 2.0**-50 * 18 * big  # of numbers as large as the shift
    assert shifted.value_linear - sums == pytest.approx(plain.value_linear, abs=rounding + 1e-8 * unit)
    assert 0 <= shifted.gap <= 1e-8 * 1000 * unit
    lower, upper = np.array(shifted.lp_bounds) - (shift + np.zeros_like(C)).mean()
    assert lower <= plain.lp_bounds[1] + rounding
    assert upper >= plain.lp_bounds[0] - rounding
    assert upper - lower == pytest.approx(np.ptp(plain.lp_bounds), rel=1e-6, abs=2 * rounding)
    moved = shifted.f[:, None] + shifted.g - shift - (plain.f[:, None] + plain.g)
    np.testing.assert_allclose(moved, 0, atol=4 * rounding + 1e-6 * unit)


@EXAMPLES
@given(
    st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**32 - 1), st.sampled_from(METHODS),
    st.sampled_from([1e4, 1e8]), st.sampled_from([1e4, 1e8]),
)  # fmt: skip
def test_any_common_part(n, m, seed, method, of_rows, of_columns):
    rng = np.random.default_rng(seed)
    C = rng.random((n, m))
    shifted = C + of_rows * rng.random((n, 1)) + of_columns * rng.random(m)
    # C itself is rounded by 4 * 2^-53 * 2e8 at most, and the plan changes by that over reg
    plans = [_solved(c, reg=0.3, method=method).plan.dense() for c in (C, shifted)]
    np.testing.assert_allclose(*plans, atol=1e-6)


def test_start_and_state_of_a_shifted_problem(seed):
    rng = np.random.default_rng(seed)
    C = rng.integers(0, 1000, (40, 30)) / 1024 + BIG * rng.integers(0, 9, 30)
    result = _solved(C)
    again = solve(C, reg=0.02, tol=1e-4, warm_start=(result.f, result.g))
    assert again.nit == 0
    assert again.success
    np.testing.assert_array_equal(solve(C, reg=0.02, tol=1e-9, threads=2).g, solve(C, reg=0.02, tol=1e-9, threads=1).g)


@pytest.mark.parametrize("metric", ["euclidean", "cityblock", "sqeuclidean"])
def test_clouds_far_apart(metric, seed):
    """Distances of 1e6 that differ by 1: the same plan as from the differences."""
    rng = np.random.default_rng(seed)
    X, Y = rng.integers(0, 64, (30, 2)) / 64, rng.integers(0, 64, (25, 2)) / 64 + [2.0**20, 0]
    distances = {
        "cityblock": np.abs(X[:, None] - Y).sum(-1),
        "euclidean": np.hypot(*np.moveaxis(X[:, None] - Y, -1, 0)),
        "sqeuclidean": -2 * (X - 0.5) @ (Y - [2.0**20, 0] - 0.5).T,  # up to what rows and columns have in common
    }[metric]
    result = solve_sample(X, Y, reg=0.1, metric=metric, tol=1e-11, max_iter=100_000)
    assert result.success
    centred = distances - distances.mean(0) - distances.mean(1)[:, None]
    plan = _solved(centred, reg=0.1).plan.dense()
    np.testing.assert_allclose(result.plan.dense(), plan, atol=1e-6)


@pytest.mark.parametrize("method", ["newton", "sinkhorn", "sns"])
def test_potentials_that_drift_apart_cost_no_digits(method, seed):
    """Sinkhorn's first answers to costs that reach far add a constant to one side and take it from the other."""
    rng = np.random.default_rng(seed)
    for _ in range(30):
        n, m = rng.integers(2, 20, 2)
        C, a, b = rng.lognormal(0, 3, (n, m)), 10.0 ** rng.uniform(-40, 0, n), 10.0 ** rng.uniform(-40, 0, m)
        a, b, reg = a / a.sum(), b / b.sum(), 1e-6 * float(np.ptp(C))
        result = solve(C, a, b, reg=reg, method=method, tol=1e-6, max_iter=60)
        check_transport(result, C, a, b, reg=reg, tol=1e-6, dtype=np.longdouble)


@pytest.mark.parametrize("method", ["newton", "sinkhorn", "sns", "ssns"])
def test_constant_in_a_start_costs_no_digits(method, seed):
    rng = np.random.default_rng(seed)
    C = rng.random((12, 17))
    first = solve(C, reg=0.05, tol=1e-12)
    far = float(2**30)  # takes 30 bits of the start, and none of the answer
    again = solve(C, reg=0.05, tol=1e-12, method=method, warm_start=(first.f + far, first.g - far))
    assert again.success
    check_transport(again, C, reg=0.05, tol=1e-12, dtype=np.longdouble)
    np.testing.assert_allclose(again.plan.dense(), first.plan.dense(), atol=1e-12)
