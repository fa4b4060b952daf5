"""SciPy's own constrained test problems, through minimize."""

import warnings

import numpy as np
import pytest
import scipy.optimize
from scipy.optimize import BFGS, SR1
from scipy_problems import CONVERTED, INFEASIBLE, OTHERS, VARIED

from solvers import Status, minimize

NAMES = {"ids": lambda p: getattr(p, "name", None)}
EXACT = [p for p in VARIED if p.nonlinear]


def solved(problem, **changes):
    given = {"jac": problem.jac, "hess": problem.hess, "bounds": problem.bounds,
             "constraints": problem.constraints(), **changes}  # fmt: skip
    result = minimize(problem.fun, problem.x0, **given)
    assert result.success, result
    return result


def judge(problem, result, accuracy=1e-5):
    if problem.x is not None:
        np.testing.assert_allclose(result.x, problem.x, atol=accuracy)
    if problem.value is not None:
        assert result.fun == pytest.approx(problem.value, abs=accuracy)


@pytest.mark.parametrize("problem", VARIED, **NAMES)
@pytest.mark.parametrize("hess", ["exact", "3-point", SR1, lambda: BFGS(exception_strategy="damp_update"), BFGS, None])
def test_hessians(problem, hess):
    if hess != "exact":
        hess = hess() if callable(hess) else hess
        judge(problem, solved(problem, hess=hess))
    else:
        judge(problem, solved(problem))


@pytest.mark.parametrize("problem", VARIED, **NAMES)
@pytest.mark.parametrize("jac", [None, False, "2-point", "3-point"])
@pytest.mark.parametrize("hess", ["exact", SR1, None])
def test_gradients_by_differences(problem, jac, hess):
    hess = problem.hess if hess == "exact" else hess and hess()
    # where a solution has no multipliers the measure grows with the square of the distance
    judge(problem, solved(problem, jac=jac, hess=hess), 3e-4 if jac == "2-point" else 2e-5)


@pytest.mark.parametrize("problem", EXACT, **NAMES)
@pytest.mark.parametrize(
    "changes",
    [{"hess": "2-point"}, {"hess": SR1()}, {"jac": "2-point", "hess": SR1()}, {"jac": "3-point", "hess": BFGS()},
     {"hess": None}, {"jac": "cs"}],
    ids=["differences", "sr1", "jac-sr1", "jac-bfgs", "none", "complex"],
)  # fmt: skip
def test_constraints_by_differences(problem, changes):
    judge(problem, solved(problem, constraints=problem.constraints(**changes)))


@pytest.mark.parametrize("problem", OTHERS, **NAMES)
def test_others(problem):
    # an equality as two inequalities: its multipliers grow, and with them the errors of differences
    tol = 1e-5 if problem.name == "cobyla" else 1e-7
    # where rows are dependent at the solution the measure grows with the square of the distance
    judge(problem, solved(problem, tol=tol), 1e-3)


@pytest.mark.parametrize("problem", CONVERTED, **NAMES)
def test_forms_of_constraints_against_slsqp(problem):
    constraints = problem.constraints()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SciPy's, of mixed sides and of rows without any
        expected = scipy.optimize.minimize(
            problem.fun, problem.x0, constraints=constraints, method="SLSQP", options={"ftol": 1e-13}
        )
    np.testing.assert_allclose(solved(problem).x, expected.x, atol=2e-5)


@pytest.mark.parametrize("problem", INFEASIBLE, **NAMES)
def test_no_success_where_nothing_is_feasible(problem):
    result = minimize(problem.fun, problem.x0, bounds=problem.bounds, constraints=problem.constraints(), max_iter=200)
    assert not result.success
    assert result.constr_violation > 1e-3
    assert result.status is not Status.CONVERGED


def test_differences_stay_within_bounds():
    """Where steps of differences would leave the bounds, and where rows push x against them."""
    bounds = scipy.optimize.Bounds([0.0, 0.0], [1.0, 1.0], keep_feasible=True)

    def inside(x):
        assert (x >= 0).all()
        assert (x <= 1).all()
        return x

    row = scipy.optimize.NonlinearConstraint(lambda x: inside(x)[0] ** 0.5 + x[1], 0, 1.5)
    for scheme in ("2-point", "3-point"):
        result = minimize(
            lambda x: -(inside(x)[0] ** 2) + x[1] ** 2, [0.9, 0.5], jac=scheme, bounds=bounds, constraints=row
        )
        assert result.success
        assert result.fun == pytest.approx(-1, abs=3e-5)


def test_solves_within_a_solve():
    def inner(x):
        return (x[0] - 1) ** 2 + (x[1] - 1) ** 2

    def outer(x):
        assert minimize(inner, (3, 4)).success
        return (x**2).sum()

    np.testing.assert_allclose(minimize(outer, (5, 5, 5)).x, 0, atol=1e-5)
