"""Answers and multipliers of the equality-constrained problems of Hock, Schittkowski, Boggs and Tolle, by IPOPT."""

import numpy as np
import pytest

from solvers.optimize import minimize
from solvers.testing import cutest

PROBLEMS = ("BT1", "BT3", "BT6", "BT9", "BT10", "BT11", "BT12", "HS6", "HS7", "HS28", "HS39", "HS40", "HS42", "HS48",
            "HS51", "HS52", "HS77", "HS78", "HS79", "MARATOS")  # fmt: skip


class Asked:
    """A problem as IPOPT asks for it, with dense matrices."""

    def __init__(self, problem):
        self.problem = problem
        self.objective, self.gradient, self.constraints = problem.fun, problem.gradient, problem.constraints
        self.lower = np.tril_indices(problem.n)

    def hessianstructure(self):
        return self.lower

    def jacobian(self, x):
        return np.ravel(self.problem.jacobian(x))

    def hessian(self, x, y, sigma):
        return self.problem.hessian(x, sigma, y)[self.lower]


def by_ipopt(problem):
    """The answer, its value, and the multipliers of the rows."""
    import cyipopt  # not there under the sanitizers

    solver = cyipopt.Problem(
        n=problem.n, m=problem.m, problem_obj=Asked(problem), lb=problem.lower, ub=problem.upper,
        cl=problem.row_lower, cu=problem.row_upper,
    )  # fmt: skip
    for name, value in {"print_level": 0, "sb": "yes", "tol": 1e-12}.items():
        solver.add_option(name, value)
    x, info = solver.solve(problem.x0)
    return x, info["obj_val"], info["mult_g"]


@pytest.mark.cutest
@pytest.mark.parametrize("name", PROBLEMS)
def test_equalities(name):
    ours = minimize(**cutest(name).arguments(), tol=1e-10)
    x, value, y = by_ipopt(cutest(name))
    assert ours.success
    assert ours.fun == pytest.approx(value, abs=1e-7, rel=1e-7)
    np.testing.assert_allclose(ours.x, x, atol=1e-6)
    np.testing.assert_allclose(ours.multipliers, y, atol=1e-6)
