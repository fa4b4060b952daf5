"""The paper's list of problems by the exact augmented Lagrangian alone."""

import numpy as np
import pytest

from bench.cutest_sets import PAPER
from solvers.optimize._nlp import Program
from solvers.testing import cutest

from ..optimize.test_merit import newton, residual


@pytest.mark.cutest
@pytest.mark.parametrize("name", PAPER)
def test_penalties_stay_bounded(name):
    given = cutest(name)
    side, zero, free = given.row_lower, np.zeros(given.m), np.full(given.n, np.inf)
    assert (given.row_upper == side).all()
    points, steps = newton(
        Program(
            x0=given.x0, lower=-free, upper=free, row_lower=zero, row_upper=zero, linear=np.zeros(given.m, bool),
            fun=given.fun, gradient=given.gradient, constraints=lambda x: given.constraints(x) - side,
            jacobian=given.jacobian, hessian=given.hessian,
        )
    )  # fmt: skip
    assert residual(points[-1]) <= 1e-8
    assert max(step["eta1"] for step in steps) <= 100
    assert min(step["eta2"] for step in steps) >= 1e-3
