"""Quadratic programs first: what they solve, what they cost, and where the interior point takes over."""

import numpy as np
import pytest
from scipy.optimize import Bounds, LinearConstraint, NonlinearConstraint

from solvers import minimize
from solvers._base.result import Status
from solvers.optimize import _gala

from .programs import exp, log, program
from .test_active import INEQUALITIES, inequalities
from .test_equalities import solved

INTERIOR = {"inequality": "interior"}


@pytest.mark.parametrize("name", INEQUALITIES)
def test_answers_are_those_of_the_interior_point(name):
    first, interior = solved(inequalities(name)), solved(inequalities(name), **INTERIOR)
    assert first.success
    assert first.fun == pytest.approx(INEQUALITIES[name][-1], rel=1e-6)
    np.testing.assert_allclose(first.x, interior.x, atol=1e-5)
    np.testing.assert_allclose(first.multipliers, interior.multipliers, atol=1e-4)
    np.testing.assert_allclose(first.bound_multipliers, interior.bound_multipliers, atol=1e-4)
    assert first.nfev <= interior.nfev + 1


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
@pytest.mark.parametrize("convex", [True, False])
def test_a_quadratic_program_takes_one_step(convex, scale, seed):
    """Whatever the units: f and the rows at x0 and at the answer."""
    rng = np.random.default_rng(seed)
    n, m = 6, 3
    H = rng.standard_normal((n, n))
    H = H @ H.T if convex else H + H.T
    g, A = rng.standard_normal(n), rng.standard_normal((m, n))
    result = minimize(
        lambda x: scale * (g @ x + x @ H @ x / 2), rng.standard_normal(n), jac=lambda x: scale * (g + H @ x),
        hess=lambda x: scale * H, constraints=LinearConstraint(A, -1, 1), bounds=[(-2, 2)] * n,
        tol=1e-8 * max(scale, 1),
    )  # fmt: skip
    assert result.success
    assert (np.abs(A @ result.x) <= 1 + 1e-8).all()
    if convex:
        assert result.nit == 1
        assert result.nfev == 2


@pytest.mark.parametrize("every", [False, True])
def test_steps_and_resuming_give_the_same_bits(every):
    whole = solved(inequalities("HS43"))
    single = solved(inequalities("HS43"), every=every)
    assert whole.x.tobytes() == single.x.tobytes()
    assert whole.nit == single.nit


def hard():
    """A start from which the rows' linear models contradict one another."""
    return program(
        [0.0, 0.1],
        lambda x: (x[0] - 1) ** 2 + x[1] ** 2,
        [lambda x: x[0] ** 2 + x[1] ** 2 - 4, lambda x: 0 - x[0] ** 2 - 0.01 * x[1] ** 2 + 1],
        row_lower=[0, -np.inf],
        row_upper=[np.inf, 0],
    )


def test_the_interior_point_takes_over(monkeypatch):
    result = solved(hard())
    assert result.success
    assert (result.x[0] ** 2 + result.x[1] ** 2) >= 4 - 1e-7
    monkeypatch.setattr(_gala.Gala, "_sequential", lambda self, nlp: False)
    without = solved(hard())
    assert without.success
    assert without.fun == pytest.approx(result.fun, rel=1e-6)


def test_states_of_both_go_on_to_the_same_bits():
    kwargs = {
        "jac": lambda x: np.array([2 * (x[0] - 1), 2 * x[1]]), "hess": lambda x: 2 * np.eye(2),
        "constraints": NonlinearConstraint(
            lambda x: [x[0] ** 2 + x[1] ** 2 - 4, -(x[0] ** 2) - 0.01 * x[1] ** 2 + 1], [0, -np.inf], [np.inf, 0],
            jac=lambda x: [[2 * x[0], 2 * x[1]], [-2 * x[0], -0.02 * x[1]]],
            hess=lambda x, v: np.diag([2 * v[0] - 2 * v[1], 2 * v[0] - 0.02 * v[1]]),
        ),
    }  # fmt: skip
    whole = minimize(lambda x: (x[0] - 1) ** 2 + x[1] ** 2, [0.0, 0.1], **kwargs)
    for steps in range(1, whole.nit):
        part = minimize(lambda x: (x[0] - 1) ** 2 + x[1] ** 2, [0.0, 0.1], **kwargs, max_iter=steps)
        rest = minimize(lambda x: (x[0] - 1) ** 2 + x[1] ** 2, [0.0, 0.1], **kwargs, resume=part.state)
        assert rest.x.tobytes() == whole.x.tobytes()
        assert rest.nit == whole.nit


def test_a_start_on_a_side_where_there_is_no_value():
    """log(0): the start is moved inside, as that of the interior point."""
    with np.errstate(divide="ignore"):
        result = minimize(
            lambda x: x[0] - np.log(x[0]) + x[1] ** 2, [0.0, 1.0],
            jac=lambda x: np.array([1 - 1 / x[0], 2 * x[1]]), hess=lambda x: np.diag([1 / x[0] ** 2, 2.0]),
            bounds=Bounds([0, -5], [9, 5]),
        )  # fmt: skip
    assert result.success
    np.testing.assert_allclose(result.x, [1, 0], atol=1e-6)


def test_values_that_end_on_the_way():
    """Steps to where the logarithm has no value are shortened."""
    result = solved(
        program(
            [0.1, 2.0], lambda x: x[0] + x[1] - log(x[0] * x[1]) + exp(x[0] - x[1]), [lambda x: x[0] - x[1] ** 2],
            lower=[1e-9, 1e-9], upper=[50, 50], row_lower=-9, row_upper=3,
        )
    )  # fmt: skip
    assert result.success


def test_nothing_is_feasible():
    problem = program([1.0, 1.0], lambda x: x[0], [lambda x: x[0] ** 2 + x[1] ** 2], row_lower=-2, row_upper=-1)
    result = solved(problem)
    assert result.status is Status.LOCALLY_INFEASIBLE


def test_there_is_no_minimum():
    result = solved(program([1.0, 1.0], lambda x: x[0] ** 3 - x[1], [lambda x: x[0]], row_lower=-np.inf, row_upper=2))
    assert not result.success


def test_sides_whose_gradients_depend_on_one_another():
    """Multipliers without a bound are none that success may rest on."""
    rows = [lambda x: (1 - x[0]) ** 3 - x[1], lambda x: x[1]]
    result = solved(
        program([-2.0, -2.0], lambda x: (x[0] - 2) ** 2 + x[1] ** 2, rows, row_lower=0, row_upper=np.inf), tol=1e-8
    )
    assert not result.success or result.measure <= 1e-8


def test_large_programs_go_to_the_interior_point():
    n = 210
    calls = []
    result = minimize(
        lambda x: (calls.append(1), float(x @ x / 2 - x.sum()))[1], np.zeros(n), jac=lambda x: x - 1,
        hess=lambda x: np.eye(n), bounds=[(None, 0.5)] * n,
    )  # fmt: skip
    assert result.success
    assert len(calls) > 2
    np.testing.assert_allclose(result.x, 0.5, atol=1e-7)
