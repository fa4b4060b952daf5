"""Constrained logistic regression and the paper's experiments: their problems, their rows."""

import numpy as np
import pytest
import scipy.sparse


@pytest.fixture
def small(bench):
    rng = np.random.default_rng(5)
    X = rng.standard_normal((200, 40)) * (rng.random((200, 40)) < 0.5)
    return bench("logistic_problems").Logistic("small", X, np.sign(rng.standard_normal(200)))


def test_the_problem_and_its_derivatives(bench, small):
    rng = np.random.default_rng(6)
    x, d, h = rng.standard_normal(40), rng.standard_normal(40), 1e-6
    slope = (small.fun(x + h * d) - small.fun(x - h * d)) / (2 * h)
    assert small.gradient(x) @ d == pytest.approx(slope, rel=1e-6, abs=1e-9)
    bend = (small.gradient(x + h * d) - small.gradient(x - h * d)) / (2 * h)
    np.testing.assert_allclose(small.hessian(x) @ d, bend, rtol=1e-5, atol=1e-9)
    small.dense = None
    np.testing.assert_allclose(small.hessian(x) @ d, bend, rtol=1e-5, atol=1e-9)
    assert small.calls == {"fun": 2, "gradient": 3, "hessian": 2}
    made = bench("logistic_problems").made(50, 20, 0.1)
    assert made.X.shape == (50, 20)
    assert scipy.sparse.issparse(made.X)


def test_all_ways_have_one_answer(bench, small):
    logistic = bench("logistic_constrained")
    answers = [
        call(small) for call in (logistic.ours, logistic.with_kernel, logistic.with_sample, logistic.trust_constr)
    ]
    for x, _, success in answers:
        assert success
        assert small.measure(x) < 1e-7
        np.testing.assert_allclose(x, answers[0][0], atol=1e-5)
    rows = logistic._taken(small, {"ours": logistic.ours}, 2)
    assert rows[0]["time"].rounds == 2
    assert float(rows[0]["f"]) == pytest.approx(small.fun(answers[0][0]), abs=1e-9)


def test_the_control_problem(bench):
    """Solved in one iteration, as a convex quadratic program is; the published algorithm finds the same."""
    import solvers

    paper = bench("gala_paper")
    exact = solvers.minimize(**paper.control(8))
    assert exact.success
    assert exact.fun == pytest.approx(74.09302233, abs=1e-6)
    found = solvers.minimize(**paper.control(3), method="gala", tol=1e-4, options={**paper.REGRESSION, "sketch": "rk"})
    assert found.success
    assert found.nit <= paper.ARCHIVED_PDE["RK"]
