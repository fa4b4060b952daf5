"""Invariants of the problem, on random instances."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers.ot import solve, solve_sample

METHODS = ("newton", "sinkhorn", "sns", "ssns")
EXAMPLES = settings(max_examples=50, deadline=None, derandomize=True)


@st.composite
def problems(draw):
    n, m = draw(st.integers(1, 24)), draw(st.integers(1, 24))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    C = rng.normal(size=(n, m)) * draw(st.sampled_from([0.1, 1.0, 3.0]))
    return C, rng.dirichlet(np.ones(n)) + 1e-6, rng.dirichlet(np.ones(m)) + 1e-6, draw(st.sampled_from(METHODS))


def _plan(C, a, b, method, reg=0.3, **keywords):
    b = b * (a.sum() / b.sum())
    result = solve(C, a, b, reg=reg, method=method, tol=1e-11, max_iter=100_000, **keywords)
    assert result.success, result.message
    return result.plan.dense()


@EXAMPLES
@given(problems())
def test_plan_is_feasible_and_of_exponential_form(problem):
    C, a, b, method = problem
    b = b * (a.sum() / b.sum())
    result = solve(C, a, b, reg=0.3, method=method, tol=1e-11, max_iter=100_000)
    plan = result.plan.dense()
    assert (plan >= 0).all()
    assert np.abs(plan.sum(1) - a).sum() + np.abs(plan.sum(0) - b).sum() <= 1.01e-11
    np.testing.assert_allclose(plan, np.exp((result.f[:, None] + result.g - C) / 0.3), rtol=1e-11)
    assert abs(b @ result.g) < 1e-11


@EXAMPLES
@given(problems(), st.integers(0, 1000))
def test_separable_shifts_do_not_matter(problem, seed):
    C, a, b, method = problem
    rng = np.random.default_rng(seed)
    r, s = rng.normal(size=C.shape[0]), rng.normal(size=C.shape[1])
    b = b * (a.sum() / b.sum())
    plain, shifted = (
        solve(costs, a, b, reg=0.3, method=method, tol=1e-12, max_iter=100_000) for costs in (C, C + r[:, None] + s)
    )
    np.testing.assert_allclose(shifted.plan.dense(), plain.plan.dense(), atol=1e-10)
    mean = b @ s / b.sum()  # the potentials are returned with sum(b * g) = 0
    np.testing.assert_allclose(shifted.f - plain.f, r + mean, atol=1e-8)
    np.testing.assert_allclose(shifted.g - plain.g, s - mean, atol=1e-8)


@EXAMPLES
@given(problems())
def test_transpose(problem):
    C, a, b, method = problem
    np.testing.assert_allclose(_plan(C.T, b, a, method).T * (a.sum() / b.sum()), _plan(C, a, b, method), atol=1e-10)


@EXAMPLES
@given(problems(), st.integers(0, 1000))
def test_permutations(problem, seed):
    C, a, b, method = problem
    rng = np.random.default_rng(seed)
    rows, columns = rng.permutation(len(a)), rng.permutation(len(b))
    permuted = _plan(C[np.ix_(rows, columns)], a[rows], b[columns], method)
    np.testing.assert_allclose(permuted, _plan(C, a, b, method)[np.ix_(rows, columns)], atol=1e-10)


@EXAMPLES
@given(problems(), st.sampled_from([2.0**-20, 2.0**-3, 2.0**9, 2.0**200]))
def test_scaling_by_a_power_of_two_changes_nothing(problem, factor):
    C, a, b, method = problem
    np.testing.assert_array_equal(_plan(C * factor, a, b, method, reg=0.3 * factor), _plan(C, a, b, method))


@EXAMPLES
@given(problems())
def test_splitting_a_source_splits_its_row(problem):
    C, a, b, method = problem
    doubled = _plan(np.vstack([C[:1], C]), np.concatenate([a[:1] / 2, a[:1] / 2, a[1:]]), b, method)
    plan = _plan(C, a, b, method)
    np.testing.assert_allclose(doubled[0] + doubled[1], plan[0], atol=1e-10)
    np.testing.assert_allclose(doubled[2:], plan[1:], atol=1e-10)


@EXAMPLES
@given(problems())
def test_cost_falls_with_reg(problem):
    C, a, b, method = problem
    costs = [(C * _plan(C, a, b, method, reg=reg)).sum() for reg in (3.0, 1.0, 0.3)]
    assert costs[0] >= costs[1] - 1e-9
    assert costs[1] >= costs[2] - 1e-9


@EXAMPLES
@given(st.integers(2, 20), st.integers(0, 1000), st.sampled_from(["sqeuclidean", "euclidean", "cityblock"]))
def test_moving_both_clouds_changes_nothing(n, seed, metric):
    rng = np.random.default_rng(seed)
    X, Y = rng.random((n, 2)), rng.random((n, 2))
    plans = [solve_sample(X + s, Y + s, reg=0.2, metric=metric, tol=1e-11).plan.dense() for s in (0, 5.0)]
    np.testing.assert_allclose(*plans, atol=1e-10)


def test_a_common_offset_costs_no_digit(seed):
    """A constant 1e8 added to C may change the plan by the rounding of C alone."""
    rng = np.random.default_rng(seed)
    C = rng.integers(0, 1000, (50, 50)) / 1024  # exact also after the offset
    for method in METHODS:
        plain = solve(C, reg=0.01, method=method, tol=1e-11, max_iter=100_000)
        offset = solve(C + 2.0**27, reg=0.01, method=method, tol=1e-11, max_iter=100_000)
        assert offset.success
        np.testing.assert_allclose(offset.plan.dense(), plain.plan.dense(), atol=1e-11)
