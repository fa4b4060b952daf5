"""Users' compiled functions of nonlinear programs: blocks of rows, linear rows, what is missing."""

import ctypes

import numpy as np
import pytest
from scipy import LowLevelCallable
from scipy.optimize import LinearConstraint, NonlinearConstraint

from solvers.optimize import minimize
from solvers.optimize._kernels import Compiled

DOUBLES = ctypes.POINTER(ctypes.c_double)
FUN = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_int, DOUBLES, ctypes.c_void_p)
VECTOR = ctypes.CFUNCTYPE(None, ctypes.c_int, DOUBLES, DOUBLES, ctypes.c_void_p)
ROWS = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_int, DOUBLES, DOUBLES, ctypes.c_void_p)
CURVATURE = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_int, DOUBLES, DOUBLES, DOUBLES, ctypes.c_void_p)


@FUN
def fun(n, x, data):
    """sum of x_i^4, times the number that data points at, where there is one."""
    return (ctypes.cast(data, DOUBLES)[0] if data else 1.0) * sum(x[i] ** 4 for i in range(n))


@VECTOR
def jac(n, x, g, data):
    for i in range(n):
        g[i] = 4 * x[i] ** 3


@VECTOR
def hess(n, x, H, data):
    for i in range(n):
        H[i * n + i] = 12 * x[i] ** 2


@ROWS
def products(n, m, x, c, data):
    for i in range(m):
        c[i] = x[i] * x[i + 1]


@ROWS
def products_jac(n, m, x, J, data):
    for i in range(m):
        J[i * n + i], J[i * n + i + 1] = x[i + 1], x[i]


@CURVATURE
def products_hess(n, m, x, y, H, data):
    for i in range(m):
        H[(i + 1) * n + i] = y[i]


PRODUCTS = (2, *map(LowLevelCallable, (products, products_jac, products_hess)))
A = np.array([[1.0, 2.0, 3.0], [0.0, -1.0, 0.5]])
x = np.array([1.0, -2.0, 3.0])
y = np.array([5.0, 7.0, 11.0, 13.0, 17.0, 19.0])


def test_blocks_of_rows_one_after_the_other():
    functions = Compiled(3, *map(LowLevelCallable, (fun, jac, hess)), constraints=[PRODUCTS, A, PRODUCTS])
    assert functions.m == 6
    assert functions.fun(x) == np.sum(x**4)
    assert functions.gradient(x).tolist() == (4 * x**3).tolist()
    curved, slopes = x[:2] * x[1:], [[-2.0, 1.0, 0.0], [0.0, 3.0, -2.0]]
    assert functions.constraints(x).tolist() == [*curved, *(A @ x), *curved]
    assert functions.jacobian(x).tolist() == [*slopes, *A.tolist(), *slopes]
    H = 0.5 * np.diag(12 * x**2) + np.diag([y[0] + y[4], y[1] + y[5]], -1) + np.diag([y[0] + y[4], y[1] + y[5]], 1)
    assert functions.hessian(x, 0.5, y).tolist() == H.tolist()


def test_the_users_data_reaches_the_function():
    factor = ctypes.c_double(3.0)
    functions = Compiled(3, LowLevelCallable(fun, ctypes.cast(ctypes.pointer(factor), ctypes.c_void_p)))
    assert functions.fun(x) == 3 * np.sum(x**4)


def test_functions_of_python_are_left_to_python():
    functions = Compiled(3, LowLevelCallable(fun), lambda x: x, None, [PRODUCTS, A, (1, None, None, None)])
    assert functions.has_fun
    assert not functions.has_gradient
    assert not functions.has_hessian
    assert not functions.has_constraints
    assert not functions.has_jacobian
    assert Compiled(3, constraints=[A]).has_jacobian
    with pytest.raises(ValueError, match="not compiled"):
        functions.gradient(x)


def test_shapes_are_checked():
    functions = Compiled(3, LowLevelCallable(fun))
    with pytest.raises(ValueError, match="3 entries, not 2"):
        functions.fun(x[:2])
    with pytest.raises(ValueError, match="must have 4 columns, not 3"):
        Compiled(4, constraints=[A])


@pytest.mark.numba
def test_functions_of_numba():
    import numba

    types = numba.types
    pointer = types.CPointer(types.double)

    @numba.cfunc(types.double(types.intc, pointer, types.voidptr))
    def square(n, x, data):
        return x[0] * x[0]

    assert Compiled(1, square).fun(np.array([3.0])) == 9.0


# ---- through minimize ----------------------------------------------------------------------------

OBJECTIVE = dict(zip(("fun", "jac", "hess"), map(LowLevelCallable, (fun, jac, hess)), strict=True))
PYTHON = {
    "fun": lambda x: np.sum(x**4),
    "jac": lambda x: 4 * x**3,
    "hess": lambda x: np.diag(12 * x**2),
}
CURVED = {
    "fun": lambda x: x[:2] * x[1:],
    "jac": lambda x: np.array([[x[1], x[0], 0], [0, x[2], x[1]]]),
    "hess": lambda x, y: np.diag(y, 1) + np.diag(y, -1),
}
COMPILED_ROWS = dict(zip(CURVED, PRODUCTS[1:], strict=True))
SIDES = ([1.0, 2.0], [1.0, np.inf])


@pytest.mark.parametrize("case", ["direct", "linear rows beside", "keep_feasible", "a row without sides", "bounds"])
def test_compiled_functions_through_minimize(case):
    """The same point as by Python's functions, whether or not the whole problem is compiled."""
    start, more, lower, upper = np.array([1.0, 2.0, 3.0]), {}, *SIDES
    linear = []
    if case == "linear rows beside":
        linear = [LinearConstraint(A[:1], -np.inf, 8.0)]
    elif case == "a row without sides":
        lower, upper = [1.0, -np.inf], [1.0, np.inf]
    elif case == "bounds":
        more["bounds"] = [(0.5, None), (None, 1.2), (None, None)]
    keep = case == "keep_feasible"
    if keep:
        start = np.array([1.0, 1.0, 4.0])
    ours, theirs = (
        minimize(
            x0=start,
            constraints=[NonlinearConstraint(**rows, lb=lower, ub=upper, keep_feasible=keep), *linear],
            tol=1e-8,
            **objective,
            **more,
        )
        for objective, rows in ((OBJECTIVE, COMPILED_ROWS), (PYTHON, CURVED))
    )
    assert ours.success
    assert theirs.success
    np.testing.assert_allclose(ours.x, theirs.x, rtol=0, atol=1e-7)
    for v, w in zip(ours.v, theirs.v, strict=True):
        np.testing.assert_allclose(v, w, rtol=0, atol=1e-6)
    # linear rows are no calls
    assert ours.stats["constr_nfev"][1:] == [0] * len(linear)
    for name in ("constr_nfev", "constr_njev", "constr_nhev"):
        assert 0 < ours.stats[name][0] <= (1 + keep) * theirs.stats[name][0] + 2  # looked at once more for feasibility


def test_no_constraints_and_no_python():
    result = minimize(x0=[3.0, -1.0], tol=1e-8, **OBJECTIVE)
    assert result.success
    assert result.nfev > 0
    assert result.nhev > 0
