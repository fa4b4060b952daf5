"""Every kind of bad input ends in an error that names the argument, or in an honest status."""

import signal

import numpy as np
import pytest
from scipy.sparse import csr_array

from solvers import OptionError, Status
from solvers.ot import solve, solve_batch, solve_sample, solve_unbalanced

C = np.arange(12.0).reshape(3, 4)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_finite(bad):
    matrix = C.copy()
    matrix[1, 2] = bad
    with pytest.raises(ValueError, match=r"C must be finite; C\[\(1, 2\)\]"):
        solve(matrix, reg=1)
    with pytest.raises(ValueError, match=r"C must be finite; C\[\(1, 2\)\]"):
        solve(matrix.astype(np.float32), reg=1)
    with pytest.raises(ValueError, match=r"a must be finite; a\[1\]"):
        solve(C, [0.5, bad, 0.5], reg=1)
    with pytest.raises(ValueError, match=r"b must be finite; b\[0\]"):
        solve(C, None, [bad, 1, 1, 1], reg=1)
    with pytest.raises(ValueError, match=r"X must be finite; X\[\(0, 1\)\]"):
        solve_sample([[0, bad]], [[0, 1]], reg=1)
    with pytest.raises(ValueError, match=r"Y must be finite"):
        solve_sample([[0, 1]], [[0, bad]], reg=1)
    with pytest.raises(ValueError, match=r"warm_start g must be finite"):
        solve(C, reg=1, warm_start=(np.zeros(3), [0, 0, abs(bad), 0]))


def test_weights():
    with pytest.raises(ValueError, match=r"a must be >= 0; a\[2\] is -0.5"):
        solve(C, [1, 0.5, -0.5], reg=1)
    with pytest.raises(ValueError, match="b has no mass"):
        solve(C, None, np.zeros(4), reg=1)
    with pytest.raises(ValueError, match=r"a sums to 1.5, b to 1.0"):
        solve(C, [0.5, 0.5, 0.5], reg=1)
    with pytest.raises(ValueError, match=r"a has shape \(4,\), which does not fit the cost's shape \(3, 4\)"):
        solve(C, np.ones(4) / 4, reg=1)
    with pytest.raises(ValueError, match=r"b has shape \(2, 2\), which does not fit"):
        solve(C, None, np.ones((2, 2)), reg=1)


def test_slightly_different_masses():
    a, b = np.full(3, 1 / 3), np.full(4, 0.25)
    with pytest.warns(RuntimeWarning, match="b is rescaled"):
        result = solve(C, a, b * (1 + 1e-8), reg=1)
    assert result.success
    assert solve(C, a, b * (1 + 1e-14), reg=1).success  # silently: warnings are errors here


def test_masses_beyond_the_numbers():
    with pytest.raises(ValueError, match="a has infinite mass: its sum is inf"):
        solve(C, np.full(3, 1e308), reg=1)
    with pytest.raises(ValueError, match="a has no mass"):
        solve(C, -np.zeros(3), reg=1)


@pytest.mark.parametrize("mass", [1e-250, 1e-200, 1e200])
def test_any_mass(mass, seed):
    rng = np.random.default_rng(seed)
    C, a, b = rng.random((6, 7)), rng.dirichlet(np.ones(6)), rng.dirichlet(np.ones(7))
    result, one = (solve(C, a * k, b * k, reg=0.1, tol=1e-11 * k) for k in (mass, 1.0))
    assert result.success
    np.testing.assert_allclose(result.plan.dense() / mass, one.plan.dense(), rtol=1e-7)
    np.testing.assert_allclose(np.divide(result.lp_bounds, mass), one.lp_bounds, rtol=1e-7)


@pytest.mark.parametrize("method", ["newton", "sinkhorn", "sns", "ssns"])
@pytest.mark.parametrize("tiny", [0.0, 1e-12, 1e-100, 5e-324])
def test_tiny_weights(method, tiny, seed):
    rng = np.random.default_rng(seed)
    C, a, b = rng.random((9, 8)), np.full(9, 1 / 9), np.full(8, 0.125)
    a[[0, 4]], b[7] = tiny, tiny
    a, b = a / a.sum(), b / b.sum()
    result = solve(C, a, b, reg=0.1, method=method, tol=1e-11)
    assert result.success
    assert np.isfinite([result.value, result.value_dual, result.gap, *result.lp_bounds]).all()
    rounded = result.rounded.dense()
    np.testing.assert_allclose(rounded.sum(1), a, rtol=1e-13, atol=1e-16)
    np.testing.assert_allclose(rounded.sum(0), b, rtol=1e-13, atol=1e-16)


@pytest.mark.parametrize("reg", [0, -1, np.nan, np.inf])
def test_reg_out_of_range(reg):
    with pytest.raises(ValueError, match="reg must be positive and finite"):
        solve(C, reg=reg)


@pytest.mark.parametrize("reg", ["0.1", None, [1, 2]])
def test_reg_is_no_number(reg):
    with pytest.raises(TypeError, match="reg must be a number"):
        solve(C, reg=reg)


def test_shapes():
    with pytest.raises(ValueError, match=r"C must have 2 dimensions, not shape \(3,\)"):
        solve(np.ones(3), reg=1)
    with pytest.raises(ValueError, match=r"C is empty: shape \(0, 4\)"):
        solve(np.ones((0, 4)), reg=1)
    with pytest.raises(ValueError, match=r"Y is empty"):
        solve_sample(np.ones((2, 3)), np.ones((0, 3)), reg=1)
    with pytest.raises(ValueError, match=r"X is empty"):
        solve_sample(np.ones((2, 0)), np.ones((2, 0)), reg=1)
    with pytest.raises(ValueError, match=r"X and Y differ in dimension: shapes \(2, 3\) and \(2, 2\)"):
        solve_sample(np.ones((2, 3)), np.ones((2, 2)), reg=1)


@pytest.mark.parametrize("data", [C * 1j, C.astype(str), C.astype(object), [["x"]]])
def test_types(data):
    with pytest.raises(TypeError, match="C must be real"):
        solve(data, reg=1)


def test_arrays_that_are_more_than_numbers():
    with pytest.raises(TypeError, match="C is a masked array"):
        solve(np.ma.masked_array(C, C > 5), reg=1)
    with pytest.raises(TypeError, match=r"C is sparse; make it dense with C.toarray\(\)"):
        solve(csr_array(C), reg=1)
    with pytest.raises(TypeError, match="b is a masked array"):
        solve(C, None, np.ma.masked_array(np.ones(4), [0, 0, 0, 1]), reg=1)


def test_unaligned_and_locked_arrays():
    def shifted(array):
        raw = np.frombuffer(b"..." + array.tobytes(), np.uint8)[3:]
        return raw.view(array.dtype).reshape(array.shape)  # also read-only

    a = np.array([0.5, 0.25, 0.25])
    result = solve(shifted(C), shifted(a), reg=1)
    assert result.stats["copies"] == 1
    np.testing.assert_array_equal(result.plan.dense(), solve(C, a, reg=1).plan.dense())


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint64, np.float16, np.longdouble])
def test_converted_types(dtype):
    data = (C > 5 if dtype is bool else C).astype(dtype)
    result = solve(data, reg=1, tol=1e-12)
    assert result.stats["copies"] == 1
    np.testing.assert_array_equal(result.plan.dense(), solve(data.astype(float), reg=1, tol=1e-12).plan.dense())


def test_interrupt_comes_through():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores the signal
    try:
        with pytest.raises(KeyboardInterrupt):
            solve(C, reg=0.01, callback=lambda _: signal.raise_signal(signal.SIGINT))
    finally:
        signal.signal(signal.SIGINT, before)


def test_interrupt_comes_between_the_steps_of_one_call():
    """Without a callback the loop is compiled; a timer of the process's own time stands for the user's Ctrl-C.

    Left alone the solve takes a second and more: the time is counted in ticks, of which a busy machine misses many.
    """
    hard = np.random.default_rng(7).random((1500, 1500))
    before = signal.signal(signal.SIGVTALRM, signal.default_int_handler)
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.02)
        with pytest.raises(KeyboardInterrupt) as caught:
            solve(hard, reg=1e-6, tol=1e-12)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
    assert "all_steps" in [entry.name for entry in caught.traceback]


def test_words():
    with pytest.raises(ValueError, match="norm must be one of l1, l2, linf, not 'L1'"):
        solve(C, reg=1, norm="L1")
    with pytest.raises(ValueError, match="metric must be one of chebyshev, cityblock, cosine"):
        solve_sample(C, C, reg=1, metric="cosin")


@pytest.mark.parametrize("start", [3, (1, 2, 3), (np.zeros(4), np.zeros(4)), (np.zeros(3), np.zeros((4, 1)))])
def test_warm_start(start):
    with pytest.raises(ValueError, match="warm_start"):
        solve(C, reg=1, warm_start=start)


def test_state_of_another_size():
    state = solve(C[:2], reg=1).state
    with pytest.raises(OptionError, match="same size"):
        solve(C, reg=1, resume=state, method="sinkhorn")


@pytest.mark.parametrize("method", ["newton", "sinkhorn", "sns", "ssns"])
def test_unreachable_tolerance_is_said(method, seed):
    matrix = np.random.default_rng(seed).random((30, 30))
    result = solve(matrix, reg=0.05, tol=1e-18, method=method, max_iter=100_000)
    assert result.status is Status.STAGNATION
    assert not result.success
    assert "looser tol" in result.message
    assert result.measure < 1e-13


@pytest.mark.parametrize("method", ["newton", "sinkhorn", "sns", "ssns"])
def test_reg_far_below_the_costs(method, seed):
    """Exponents of 1e17: nothing to be had, and said so; no NaN leaves."""
    matrix = np.random.default_rng(seed).random((20, 20))
    result = solve(matrix, reg=1e-17, method=method, max_iter=200)
    assert not result.success
    assert result.status is not Status.CONVERGED
    assert not np.isnan(result.plan.dense()).any()


def test_costs_that_overflow():
    with pytest.raises(ValueError, match="the costs overflow in units of reg"):
        solve([[0.0, 1e300], [1e300, 0.0]], reg=1e-10)
    with pytest.raises(ValueError, match="the costs overflow in units of reg"):
        solve([[-1e308, 1e308]], reg=1)
    with pytest.raises(ValueError, match="the costs overflow in units of reg"):
        solve_sample([[1e200]], [[0.0]], reg=1)
    with pytest.raises(ValueError, match="the costs overflow in units of reg"):
        solve(C, reg=1e-310)


@pytest.mark.parametrize("scale", [2.0**996, 2.0**-996])
def test_extreme_units_of_cost(scale, seed):
    matrix = np.random.default_rng(seed).random((10, 12))
    expected = solve(matrix, reg=0.125, tol=1e-11).plan.dense()
    np.testing.assert_array_equal(solve(matrix * scale, reg=0.125 * scale, tol=1e-11).plan.dense(), expected)


@pytest.mark.parametrize("method", ["newton", "sinkhorn", "sns", "ssns"])
def test_the_last_state_is_returned_where_iterations_run_out(method, seed):
    rng = np.random.default_rng(seed)
    matrix, a, b = rng.random((30, 20)), rng.dirichlet(np.ones(30)), rng.dirichlet(np.ones(20))
    result = solve(matrix, a, b, reg=1e-3, method=method, max_iter=2)
    assert (result.status, result.success, result.nit) == (Status.MAX_ITER, False, 2)
    plan = result.plan.dense()
    assert result.marginal_error == pytest.approx(np.abs(plan.sum(1) - a).sum() + np.abs(plan.sum(0) - b).sum())
    assert result.marginal_error > 1e-9
    np.testing.assert_allclose(result.rounded.dense().sum(1), a, rtol=1e-13)


@pytest.mark.parametrize("tiny", [5e-324, 1e-310, -0.0])
def test_costs_that_are_hardly_numbers(tiny, seed):
    """Subnormal costs and negative zeros are costs as any other."""
    rng = np.random.default_rng(seed)
    whole = rng.integers(0, 3, (7, 17))
    given = np.where(whole == 0, tiny, whole)
    plans = [solve(matrix, reg=0.25, tol=1e-12).plan.dense() for matrix in (given, whole)]
    np.testing.assert_allclose(*plans, rtol=1e-14)


@pytest.mark.parametrize("layout", ["transposed", "strided", "reversed", "fortran"])
def test_any_layout(layout, seed):
    matrix = np.random.default_rng(seed).random((14, 11))
    given = {
        "transposed": lambda: matrix.T.copy().T,
        "strided": lambda: np.repeat(np.repeat(matrix, 2, 0), 3, 1)[::2, ::3],
        "reversed": lambda: matrix[::-1, ::-1].copy()[::-1, ::-1],
        "fortran": lambda: np.asfortranarray(matrix),
    }[layout]()
    given.flags.writeable = False
    np.testing.assert_array_equal(solve(given, reg=0.1).plan.dense(), solve(matrix, reg=0.1).plan.dense())


@pytest.mark.parametrize("norm", ["l1", "l2", "linf"])
def test_names_may_be_numpy_strings(norm):
    theirs = np.str_(norm)
    assert solve(C, reg=1, norm=theirs).marginal_error == solve(C, reg=1, norm=norm).marginal_error
    assert solve_unbalanced(C, reg=1, reg_m=1, norm=theirs).success
    assert solve_batch(C[None], reg=1, norm=theirs).success.all()


def test_operands_of_the_plan():
    plan = solve(C, reg=1).plan
    with pytest.raises(ValueError, match=r"expected shape \(4,\) or \(4, k\)"):
        plan.matvec(np.ones(3))
    with pytest.raises(ValueError, match="without a copy"):
        np.array(plan, copy=False)
    assert np.asarray(plan, dtype=np.float32).dtype == np.float32
