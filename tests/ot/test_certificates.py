"""The rounded plan, the gap and the bounds: checked against the dense plan and against an exact solver."""

import pickle

import numpy as np
import ot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers.ot import RoundedPlan, solve, solve_sample

EXAMPLES = settings(max_examples=50, deadline=None, derandomize=True)


@st.composite
def unfinished(draw):
    """A problem, and a result that is near its optimum or far from it."""
    n, m = draw(st.integers(1, 24)), draw(st.integers(1, 24))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    a, b = rng.dirichlet(np.full(n, 0.5)) + 1e-12, rng.dirichlet(np.full(m, 0.5)) + 1e-12
    if n > 2 and m > 2 and draw(st.booleans()):
        a[1] = b[2] = 0
    a, b = 3 * a / a.sum(), 3 * b / b.sum()
    C = rng.normal(size=(n, m)) + draw(st.sampled_from([0.0, 50.0]))
    reg, method = draw(st.sampled_from([1.0, 0.1, 0.01])), draw(st.sampled_from(["sinkhorn", "sns"]))
    return C, a, b, reg, solve(C, a, b, reg=reg, method=method, max_iter=draw(st.sampled_from([0, 1, 5, 200])))


def _kl(p, q):
    """sum p log(p / q), with 0 log 0 = 0."""
    positive = p > 0
    return float((p[positive] * np.log(p[positive] / q[positive])).sum())


@EXAMPLES
@given(unfinished())
def test_rounded_plan_is_feasible(problem):
    _, a, b, _, result = problem
    plan, mass, size = result.rounded.dense(), a.sum(), len(a) + len(b)
    assert isinstance(result.rounded, RoundedPlan)
    assert (plan >= 0).all()
    for row_sums, column_sums in ((plan.sum(1), plan.sum(0)), result.rounded.marginals()):
        assert np.abs(row_sums - a).sum() <= 4e-16 * size * mass
        assert np.abs(column_sums - b).sum() <= 4e-16 * size * mass
    assert not plan[a == 0].any()
    assert not plan[:, b == 0].any()
    # no more is moved than the marginal error asks for
    before = result.plan.dense()
    error = np.abs(before.sum(1) - a).sum() + np.abs(before.sum(0) - b).sum()
    assert np.abs(plan - before).sum() <= 2 * error + 1e-14


@EXAMPLES
@given(unfinished())
def test_gap_bounds_what_the_rounded_plan_loses(problem):
    C, a, b, reg, result = problem
    rounded = result.rounded.dense()
    value = (C * rounded).sum() + reg * _kl(rounded, np.outer(a, b))
    loss = value - result.value_dual
    assert -1e-13 * (1 + abs(value)) <= loss <= result.gap + 1e-13 * (1 + abs(value))


@EXAMPLES
@given(unfinished())
def test_bounds_enclose_the_exact_optimum(problem):
    C, a, b, _, result = problem
    lower, upper = result.lp_bounds
    exact = ot.emd2(a / a.sum(), b / b.sum(), C) * a.sum()
    assert lower <= exact + 1e-12 * (1 + abs(exact))
    assert upper >= exact - 1e-12 * (1 + abs(exact))
    assert upper == pytest.approx((C * result.rounded.dense()).sum(), rel=1e-12, abs=1e-12)


@EXAMPLES
@given(unfinished())
def test_identities_between_the_values(problem):
    C, a, b, reg, result = problem
    plan = result.plan.dense()
    rows, columns = plan.sum(1), plan.sum(0)
    size = {"rel": 1e-11, "abs": 1e-11}
    log_a, log_b = np.log(np.where(a > 0, a, 1)), np.log(np.where(b > 0, b, 1))
    assert result.value_linear == pytest.approx((C * plan).sum(), **size)
    entropy = (plan[plan > 0] * np.log(plan[plan > 0])).sum()
    assert result.value_entropy == pytest.approx((C * plan).sum() + reg * entropy, **size)
    assert result.value == pytest.approx(result.value_entropy - reg * (rows @ log_a + columns @ log_b), **size)
    f, g = np.where(a > 0, result.f, 0), np.where(b > 0, result.g, 0)
    dual = a @ f + b @ g - reg * (plan.sum() - a.sum() + a @ log_a + b @ log_b)
    assert result.value_dual == pytest.approx(dual, **size)


@pytest.mark.parametrize("reg", [1.0, 0.1, 0.01])
def test_all_values_meet_at_the_optimum(reg, seed):
    rng = np.random.default_rng(seed)
    C, a, b = rng.random((60, 45)), rng.dirichlet(np.ones(60)), rng.dirichlet(np.ones(45))
    result = solve(C, a, b, reg=reg, tol=1e-12, max_iter=100_000)
    assert result.success
    assert 0 <= result.gap <= 1e-11
    assert result.value_dual == pytest.approx(result.value, abs=1e-11)
    lower, upper = result.lp_bounds
    assert lower <= ot.emd2(a, b, C) <= upper
    assert upper == pytest.approx(result.value_linear, rel=1e-10)
    assert upper - lower <= reg * np.log(60 * 45)


def test_points_have_the_certificate_of_their_matrix(seed):
    rng = np.random.default_rng(seed)
    X, Y = rng.random((70, 3)), rng.random((90, 3))
    ours, theirs = solve_sample(X, Y, reg=0.05, tol=1e-4), solve(ot.dist(X, Y), reg=0.05, tol=1e-4)
    np.testing.assert_allclose(ours.lp_bounds, theirs.lp_bounds, rtol=1e-11)
    assert ours.gap == pytest.approx(theirs.gap, rel=1e-6)
    np.testing.assert_allclose(ours.rounded.dense(), theirs.rounded.dense(), atol=1e-13)


def test_the_bits_do_not_depend_on_threads(seed):
    C = np.random.default_rng(seed).random((400, 300))
    one, two = (solve(C, reg=0.02, tol=1e-3, threads=threads) for threads in (1, 2))
    assert one.gap == two.gap
    assert one.lp_bounds == two.lp_bounds
    np.testing.assert_array_equal(one.rounded.dense(), two.rounded.dense())


def test_products_of_the_rounded_plan(seed):
    rng = np.random.default_rng(seed)
    rounded = solve(rng.random((30, 20)), reg=0.05, tol=1e-2).rounded
    dense = rounded.dense()
    for shape in ((20,), (20, 3)):
        x = rng.normal(size=shape)
        np.testing.assert_allclose(rounded.matvec(x), dense @ x, rtol=1e-12, atol=1e-15)
    for shape in ((30,), (30, 3)):
        x = rng.normal(size=shape)
        np.testing.assert_allclose(rounded.rmatvec(x), dense.T @ x, rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(np.asarray(rounded), dense)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(rounded)).dense(), dense)
    assert "(30, 20)" in repr(rounded)
    with pytest.raises(ValueError, match=r"expected shape \(20,\)"):
        rounded.matvec(np.ones(30))
    with pytest.raises(ValueError, match="without a copy"):
        np.array(rounded, copy=False)


@pytest.mark.parametrize("kind", ["right", "near", "ones", "zeros", "huge", "nan"])
@pytest.mark.parametrize("points", [False, True])
def test_column_sums_that_the_method_hands_over_decide_on_time_alone(kind, points, seed):
    rng = np.random.default_rng(seed)
    n, m = int(rng.integers(1, 80)), int(rng.integers(1, 80))
    X, Y, a, b = rng.random((n, 3)), rng.random((m, 3)), rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m))
    result = solve_sample(X, Y, a, b, reg=0.05, tol=1e-7) if points else solve(X @ Y.T, a, b, reg=0.05, tol=1e-7)
    u, v, problem = result.plan.u, result.plan.v, result.problem
    right = problem.sums(u, v)[1]
    known = {
        "right": right, "near": right * (1 + 1e-3 * rng.normal(size=m)), "ones": np.ones(m), "zeros": np.zeros(m),
        "huge": np.full(m, np.inf), "nan": np.full(m, np.nan),
    }[kind]  # fmt: skip
    with_, without = (problem.compiled.certify(u, v, True, sums) for sums in (known, None))
    for name in ("marginal_error", "value", "value_linear", "value_entropy", "value_dual", "lp_lower"):
        assert with_[0][name] == without[0][name]
    assert with_[0]["gap"] == pytest.approx(without[0]["gap"], rel=1e-6, abs=1e-14)
    assert with_[0]["lp_upper"] == pytest.approx(without[0]["lp_upper"], rel=1e-12)
    P = result.plan.dense()
    x, y, p, q = with_[3]
    R = P * np.outer(x, y) + np.outer(p, q)
    np.testing.assert_allclose(R.sum(1), a, rtol=0, atol=4e-16 * (n + m))
    np.testing.assert_allclose(R.sum(0), b, rtol=0, atol=4e-16 * (n + m))


def test_without_a_certificate(seed):
    C = np.random.default_rng(seed).random((9, 8))
    with_, without = solve(C, reg=0.1), solve(C, reg=0.1, certify=False)
    assert without.rounded is None
    assert np.isnan(without.gap)
    assert np.isnan(without.lp_bounds).all()
    assert without.value_dual == with_.value_dual
    np.testing.assert_array_equal(without.plan.dense(), with_.plan.dense())


def test_costs_far_beyond_reg_have_honest_bounds(seed):
    """Exponents of 1e17: the plan means nothing, but the bounds hold."""
    C = np.random.default_rng(seed).random((20, 20))
    result = solve(C, reg=1e-17, max_iter=50)
    lower, upper = result.lp_bounds
    assert lower <= ot.emd2(np.full(20, 0.05), np.full(20, 0.05), C) <= upper
    assert result.gap >= 0
