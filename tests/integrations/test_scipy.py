"""gala as a custom method of scipy.optimize.minimize."""

import numpy as np
import pytest
from scipy.optimize import (
    Bounds,
    LinearConstraint,
    NonlinearConstraint,
    OptimizeResult,
    OptimizeWarning,
    minimize,
    rosen,
    rosen_der,
    rosen_hess,
)

import solvers
from solvers.integrations.scipy import gala


def weighted(x, w, c):
    return w * (x[0] - 1) ** 2 + (x[1] - c) ** 2


ROW = LinearConstraint([[1, 2]], -np.inf, 1)
DISC = NonlinearConstraint(lambda x: x @ x, -np.inf, 2, jac=lambda x: 2 * x, hess=lambda x, v: 2 * v[0] * np.eye(2))


def test_result():
    result = minimize(rosen, [-1.0, -0.5], jac=rosen_der, hess=rosen_hess, constraints=ROW, method=gala)
    ours = solvers.minimize(rosen, [-1.0, -0.5], jac=rosen_der, hess=rosen_hess, constraints=ROW)
    assert isinstance(result, OptimizeResult)
    assert (result.success, result.status, type(result.status)) == (True, 0, int)
    np.testing.assert_array_equal(result.x, ours.x)
    np.testing.assert_array_equal(result.v[0], ours.v[0])
    assert (result.fun, result.nit, result.nfev, result.njev) == (ours.fun, ours.nit, ours.nfev, ours.njev)
    assert result.maxcv == ours.constr_violation <= 1e-8
    assert result.inner == ours.inner == "dense"


@pytest.mark.parametrize("given", [{}, {"hess": rosen_hess}, {"hessp": lambda x, p: rosen_hess(x) @ p}])
@pytest.mark.parametrize("constraints", [(), ROW, [ROW, DISC], {"type": "ineq", "fun": lambda x: 1 - x[0] - 2 * x[1]}])
def test_forms(given, constraints):
    result = minimize(
        rosen, [-1, -0.5], jac=rosen_der, constraints=constraints, bounds=Bounds(-2, 2), method=gala, **given
    )
    assert result.success
    expected = [0.502202, 0.248899] if constraints else [1, 1]
    np.testing.assert_allclose(result.x, expected, atol=1e-5)


def test_args_and_a_pair():
    result = minimize(lambda x, w, c: (weighted(x, w, c), np.array([2 * w * (x[0] - 1), 2 * (x[1] - c)])), [0, 0],
                      args=(3, 2), jac=True, method=gala)  # fmt: skip
    np.testing.assert_allclose(result.x, [1, 2], atol=1e-7)
    assert minimize(weighted, [0, 0], (3, 2), method=gala).success


def test_options():
    result = minimize(rosen, [-1.0, 1], jac=rosen_der, hess=rosen_hess, method=gala, options={"maxiter": 2})
    assert (result.success, result.nit) == (False, 2)
    loose = minimize(rosen, [-1.0, 1], jac=rosen_der, hess=rosen_hess, method=gala, tol=1e-2)
    assert loose.success
    assert loose.nit < 60
    with pytest.warns(OptimizeWarning, match="Unknown solver options: nonsense"):
        assert minimize(rosen, [0, 0], jac=rosen_der, method=gala, options={"nonsense": 1, "mu": 0.2}).success


def test_callbacks():
    seen = []

    def named(intermediate_result):
        seen.append(intermediate_result)

    result = minimize(rosen, [0.0, 0], jac=rosen_der, hess=rosen_hess, method=gala, callback=named)
    assert len(seen) == result.nit
    assert all(isinstance(r, OptimizeResult) and r.fun == rosen(r.x) for r in seen)
    points = []

    def stopping(xk):
        points.append(xk)
        if len(points) == 3:
            raise StopIteration

    result = minimize(rosen, [0.0, 0], jac=rosen_der, hess=rosen_hess, method=gala, callback=stopping)
    assert (result.success, result.nit) == (False, 3)
    np.testing.assert_array_equal(points[-1], seen[2].x)
