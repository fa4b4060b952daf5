"""Least squares under constraints: residuals and their Jacobian in place of a function and its Hessian."""

import ctypes

import numpy as np
import pytest
import scipy.sparse
from scipy import LowLevelCallable
from scipy.optimize import LinearConstraint, NonlinearConstraint, least_squares

from solvers import minimize

T = np.linspace(0, 3, 25)


def decay(x, y):
    return x[0] * np.exp(-x[1] * T) + x[2] - y


def slopes(x, y):
    e = np.exp(-x[1] * T)
    return np.stack([e, -x[0] * T * e, np.ones_like(T)], axis=1)


def data(seed):
    return decay([2.0, 1.3, 0.5], 0) + 0.05 * np.random.default_rng(seed).standard_normal(len(T))


@pytest.mark.parametrize("jac", [slopes, "2-point", "3-point", "cs", None])
def test_as_least_squares(jac, seed):
    y = data(seed)
    bounds = [(0, 1.9), (0, 5), (None, None)]
    result = minimize(decay, [1.0, 1.0, 0.0], (y,), jac=jac, hess="gauss-newton", bounds=bounds)
    known = least_squares(decay, [1.0, 1.0, 0.0], slopes, ([0, 0, -np.inf], [1.9, 5, np.inf]), args=(y,), xtol=1e-12)
    assert result.success
    np.testing.assert_allclose(result.x, known.x, atol=1e-4)
    assert result.fun == pytest.approx(known.cost, rel=1e-6)
    np.testing.assert_allclose(result.jac, slopes(result.x, y).T @ decay(result.x, y), atol=1e-4)


@pytest.mark.parametrize("sparse", [False, True])
def test_constraints(sparse, seed):
    """A linear model: one step, whatever else there is."""
    rng = np.random.default_rng(seed)
    n = 250 if sparse else 6
    A, b = (
        rng.standard_normal((2 * n, n)) * (rng.random((2 * n, n)) < (0.02 if sparse else 1)),
        rng.standard_normal(2 * n),
    )
    J = scipy.sparse.csr_array(A) if sparse else A
    rows = LinearConstraint(scipy.sparse.csr_array(np.ones((1, n))) if sparse else np.ones((1, n)), 1, 1)
    result = minimize(
        lambda x: J @ x - b, np.zeros(n), jac=lambda x: J, hess="gauss-newton", constraints=rows, bounds=[(-2, 2)] * n
    )
    assert result.success
    gradient = A.T @ (A @ result.x - b) + result.multipliers[0] + result.bound_multipliers
    assert np.abs(gradient).max() <= 1e-7
    assert result.x.sum() == pytest.approx(1, abs=1e-7)


def test_curved_rows_keep_their_own_hessian(seed):
    y = data(seed)
    disc = NonlinearConstraint(
        lambda x: x @ x, -np.inf, 4.0, jac=lambda x: 2 * x, hess=lambda x, v: 2 * v[0] * np.eye(3)
    )
    result = minimize(
        decay, [1.0, 1.0, 0.0], (y,), jac=slopes, hess="gauss-newton", constraints=disc, check_derivatives=True
    )
    assert result.success
    assert result.x @ result.x <= 4 + 1e-7
    gradient = slopes(result.x, y).T @ decay(result.x, y) + 2 * result.x * result.v[0]
    assert np.abs(gradient).max() <= 1e-7


def test_calls():
    """Residuals and Jacobian once a point."""
    points = {"fun": [], "jac": []}

    def noted(name, function):
        return lambda x, y: (points[name].append(x.tobytes()), function(x, y))[1]

    result = minimize(
        noted("fun", decay), [1.0, 1.0, 0.0], (data(3),), jac=noted("jac", slopes), hess="gauss-newton",
        bounds=[(0, 9)] * 3,
    )  # fmt: skip
    assert result.success
    assert result.nfev == len(points["fun"]) == len(set(points["fun"]))
    assert result.njev == len(points["jac"]) == len(set(points["jac"]))


def test_a_sparse_jacobian_that_is_used_again():
    """The user writes each Jacobian into the same matrix: what is remembered of a point must not change with it."""
    y = data(3)
    J = scipy.sparse.csr_array(np.ones((len(y), 3)))

    def again(x, y):
        J.data[:] = slopes(x, y).ravel()
        return J

    given = {"hess": "gauss-newton", "bounds": [(0, 9)] * 3}
    expected = minimize(decay, [1.0, 1.0, 0.0], (y,), jac=slopes, **given)
    result = minimize(decay, [1.0, 1.0, 0.0], (y,), jac=again, **given)
    assert result.nit == expected.nit
    np.testing.assert_allclose(result.x, expected.x, rtol=1e-9)


def test_bad_input():
    y = data(3)
    with pytest.raises(ValueError, match="hessp"):
        minimize(decay, np.ones(3), (y,), jac=slopes, hess="gauss-newton", hessp=lambda x, p: p)
    with pytest.raises(ValueError, match="jac must be a function"):
        minimize(decay, np.ones(3), (y,), jac=True, hess="gauss-newton")
    with pytest.raises(ValueError, match="shape"):
        minimize(decay, np.ones(3), (y,), jac=lambda x, y: slopes(x, y)[1:], hess="gauss-newton")
    with pytest.raises(TypeError, match="real residuals"):
        minimize(lambda x: x + 1j, np.ones(3), jac=lambda x: np.eye(3), hess="gauss-newton")
    with pytest.raises(ValueError, match="residuals"):
        minimize(lambda x: np.ones(2 + int(x[0] < 1)) * x[0], np.ones(1), jac="2-point", hess="gauss-newton")
    compiled = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_int, ctypes.POINTER(ctypes.c_double), ctypes.c_void_p)
    with pytest.raises(ValueError, match="Python function"):
        minimize(LowLevelCallable(compiled(lambda n, x, d: 0.0)), np.ones(3), jac=slopes, hess="gauss-newton")
