"""The demo's screening test: its derivatives, its judge, and the row."""

import numpy as np
import pytest
import scipy.optimize

from solvers.demo.progress import Progress
from solvers.demo.rows import screening


def test_the_derivatives(seed):
    problem, held_out = screening.problems()
    assert len(problem.healthy.rows) + len(held_out.healthy.rows) == 357
    rng = np.random.default_rng(seed)
    w, d = rng.normal(size=31) / 5, rng.normal(size=31)
    for value, gradient, hessian in (
        (problem.fun, problem.jac, problem.hess),
        (problem.tumours.value, problem.tumours.gradient, problem.tumours.hessian),
    ):
        assert scipy.optimize.check_grad(value, gradient, w) <= 1e-5
        difference = (gradient(w + 1e-5 * d) - gradient(w - 1e-5 * d)) / 2e-5
        np.testing.assert_allclose(hessian(w) @ d, difference, atol=1e-7)


def test_the_judge_and_all_solvers():
    problem, _ = screening.problems()
    assert problem.left(np.zeros(31), 0.1) >= np.log(2) - 0.1
    for solve in (
        lambda: screening.solve_ours(problem, 0.1, np.zeros(31), 1),
        lambda: screening.solve_peer(problem, 0.1, np.zeros(31), "SLSQP"),
        lambda: screening.solve_peer(problem, 0.1, np.zeros(31), "trust-constr"),
    ):
        w = solve()
        assert problem.left(w, 0.1) <= 1e-6
        assert problem.left(w + 1e-3, 0.1) > 1e-5


@pytest.mark.parametrize("spoilt", [False, True])
def test_the_row(monkeypatch, spoilt):
    monkeypatch.setattr(screening, "BOUNDS", np.array([0.2, 0.1]))
    monkeypatch.setattr(screening, "REPEATS", 1)
    if spoilt:
        solver = screening.solve_ours
        monkeypatch.setattr(screening, "solve_ours", lambda *given, **named: solver(*given, **named) + 1e-3)
    made = screening.run(Progress(1), 1)
    assert (made.status == "ok") == (not spoilt)
    assert made.size == "2 fits of 31 weights"
    assert [picture.name for picture in made.pictures] == ["errors", "price"]
    assert len(made.curves) == 3
