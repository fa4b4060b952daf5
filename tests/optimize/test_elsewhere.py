"""Where the rows cannot be met near x0, other starts are tried on them alone."""

import numpy as np
import pytest
from scipy.optimize import NonlinearConstraint

from solvers import minimize
from solvers._base.result import Status
from solvers.optimize import _elsewhere


def wells(x0, side, calls=None, **more):
    """min x_0^2 + x_1^2 where a double well with a deeper left side, -0.3 near x_0 = -1 and 0.3 near 1, is side."""

    def fun(x):
        if calls is not None:
            calls.append(x)
        return x @ x

    rows = NonlinearConstraint(
        lambda x: [(x[0] ** 2 - 1) ** 2 + 0.3 * x[0] + x[1] ** 2], side, side,
        jac=lambda x: [[4 * x[0] * (x[0] ** 2 - 1) + 0.3, 2 * x[1]]],
        hess=lambda x, v: v[0] * np.array([[12 * x[0] ** 2 - 4, 0], [0, 2]]),
    )  # fmt: skip
    return minimize(fun, x0, jac=lambda x: 2 * x, hess=lambda x: 2 * np.eye(2), constraints=rows, **more)


def test_a_feasible_point_behind_a_hill_is_found(monkeypatch):
    result = wells([1.5, 0.2], -0.2)
    assert result.success
    assert -1.2 < result.x[0] < -0.8
    assert result.state.starts
    assert result.constr_violation <= 1e-8
    monkeypatch.setattr(_elsewhere, "worthwhile", lambda problem: False)
    assert wells([1.5, 0.2], -0.2).status is Status.LOCALLY_INFEASIBLE  # what it is good for


@pytest.mark.parametrize("more", [{}, {"verbose": 0, "time_limit": 100}, {"callback": lambda x: False}])
def test_where_no_point_is_feasible_the_verdict_stays(monkeypatch, more):
    calls = []
    result = wells([1.5, 0.2], -0.5, calls, **more)
    assert result.status is Status.LOCALLY_INFEASIBLE
    monkeypatch.setattr(_elsewhere, "worthwhile", lambda problem: False)
    before = []
    alone = wells([1.5, 0.2], -0.5, before, **more)
    assert alone.status is Status.LOCALLY_INFEASIBLE
    assert result.x.tobytes() == alone.x.tobytes()
    assert len(calls) == len(before)  # the objective has no part in it
    assert alone.nit < result.nit <= alone.nit + max(_elsewhere.LEAST, alone.nit)


def test_the_limit_of_iterations_holds(monkeypatch):
    monkeypatch.setattr(_elsewhere, "worthwhile", lambda problem: False)
    verdict = wells([1.5, 0.2], -0.5).nit
    monkeypatch.undo()
    for most in (verdict, verdict + 1, verdict + 5):
        result = wells([1.5, 0.2], -0.5, max_iter=most)
        assert result.nit <= most
        assert result.status is Status.LOCALLY_INFEASIBLE


def test_it_is_resumed_to_the_same_bits():
    whole = wells([1.5, 0.2], -0.2)
    for state in _states():
        rest = wells([1.5, 0.2], -0.2, resume=state)
        assert (rest.nit, rest.x.tobytes()) == (whole.nit, whole.x.tobytes())


def _states():
    """Those after which the search for another start had begun."""
    most, found = 1, []
    while not (result := wells([1.5, 0.2], -0.2, max_iter=most)).success:
        if result.state.starts and result.status is Status.MAX_ITER:
            found.append(result.state)
        most += 1
    assert found
    return found
