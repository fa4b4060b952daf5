"""CVXPY's linear programs: values, duals and verdicts are those of CVXPY's own solvers."""

import cvxpy as cp
import numpy as np
import pytest

from solvers.integrations.cvxpy import Solvers


def problem(seed):
    rng = np.random.default_rng(seed)
    A, B = rng.normal(size=(9, 12)), rng.normal(size=(3, 12))
    x, t = cp.Variable(12, bounds=[-1, 4]), cp.Variable()
    constraints = [A @ x <= rng.random(9), B @ x == B @ (rng.random(12) / 9), cp.abs(x[0]) <= t, x[1] >= 0]
    return cp.Problem(cp.Minimize(rng.normal(size=12) @ x + t + 3), constraints), x


def test_values_and_duals(seed):
    ours, x = problem(seed)
    ours.solve(solver=Solvers(), tol=1e-9)
    found, duals = x.value, [c.dual_value for c in ours.constraints]
    value = ours.value
    ours.solve(solver=cp.CLARABEL)
    assert value == pytest.approx(ours.value, rel=1e-6)
    np.testing.assert_allclose(found, x.value, atol=1e-5)
    for mine, theirs in zip(duals, (c.dual_value for c in ours.constraints), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)


def test_keywords_and_verdicts():
    x = cp.Variable(2)
    free = cp.Problem(cp.Maximize(x[0] + 2 * x[1]), [x[0] + x[1] <= 4, x <= 3])
    free.solve(solver=Solvers(method="lp-pdhg"))
    assert (free.status, free.solver_stats.extra_stats.method) == ("optimal", "lp-pdhg")
    assert free.value == pytest.approx(7, rel=1e-5)
    assert free.solver_stats.solver_name == "SOLVERS"
    cut_short = cp.Problem(cp.Maximize(x[0] + 2 * x[1]), [x[0] + x[1] <= 4, x <= 3])
    with pytest.warns(UserWarning, match="inaccurate"):
        cut_short.solve(solver=Solvers(method="lp-pdhg", options={"block": 2}), max_iter=1)
    assert cut_short.status == "optimal_inaccurate"
    for constraints, status in (([x >= 1, x <= 0], "infeasible"), ([x >= 1], "unbounded")):
        wrong = cp.Problem(cp.Minimize(-x[0]), constraints)
        wrong.solve(solver=Solvers())
        assert wrong.status == status


def test_other_cones_are_refused():
    x = cp.Variable(2)
    with pytest.raises(cp.SolverError):
        cp.Problem(cp.Minimize(cp.norm(x - 1)), [x >= 2]).solve(solver=Solvers())
