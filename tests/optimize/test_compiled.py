"""Users' compiled functions of nonlinear programs: blocks of rows, linear rows, what is missing."""

import ctypes
import sys

import numpy as np
import pytest
from scipy import LowLevelCallable
from scipy.optimize import LinearConstraint, NonlinearConstraint

from solvers.optimize import _gala, _plain, minimize
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


def by_numba():
    """The same functions as `OBJECTIVE` and `COMPILED_ROWS`, without Python in them."""
    import numba

    integer, pointer, void = numba.types.intc, numba.types.CPointer(numba.types.double), numba.types.voidptr

    def compiled(function, *types, out=numba.types.void):
        return numba.cfunc(out(*types, void))(function)

    def values(n, m, x, c, data):
        c[0], c[1] = x[0] * x[1], x[1] * x[2]

    def slopes(n, m, x, J, data):
        J[0], J[1], J[4], J[5] = x[1], x[0], x[2], x[1]

    def curvature(n, m, x, y, H, data):
        H[3], H[7] = y[0], y[1]

    def sum_of_powers(n, x, data):
        return x[0] ** 4 + x[1] ** 4 + x[2] ** 4

    def gradient(n, x, g, data):
        g[0], g[1], g[2] = 4 * x[0] ** 3, 4 * x[1] ** 3, 4 * x[2] ** 3

    def diagonal(n, x, H, data):
        H[0], H[4], H[8] = 12 * x[0] ** 2, 12 * x[1] ** 2, 12 * x[2] ** 2

    objective = {
        "fun": compiled(sum_of_powers, integer, pointer, out=numba.types.double),
        "jac": compiled(gradient, integer, pointer, pointer), "hess": compiled(diagonal, integer, pointer, pointer),
    }  # fmt: skip
    rows = {name: compiled(function, integer, integer, pointer, pointer)
            for name, function in (("fun", values), ("jac", slopes))}  # fmt: skip
    return objective, rows | {"hess": compiled(curvature, integer, integer, pointer, pointer, pointer)}


def calls_of_python(**keywords):
    """How many functions Python calls in a solve."""
    calls = []

    def note(frame, event, arg):
        # ctypes' functions, which stand for compiled ones in this file, are Python's themselves
        if event in ("call", "c_call") and frame.f_code.co_filename != __file__:
            calls.append(frame.f_code.co_name)

    sys.setprofile(note)
    try:
        minimize(**keywords)
    finally:
        sys.setprofile(None)
    return len(calls)


@pytest.mark.numba
@pytest.mark.parametrize("source", ["LowLevelCallable", "numba"])
def test_no_python_in_the_loop(source):
    """What Python calls does not depend on the number of iterations."""
    objective, rows = (OBJECTIVE, COMPILED_ROWS) if source == "LowLevelCallable" else by_numba()
    sides = np.array([1.0, 2.0])
    for upper in (sides, np.array([5.0, np.inf])):
        given = {**objective, "x0": START + 4, "constraints": NonlinearConstraint(**rows, lb=sides, ub=upper)}
        for options in (None, {}):
            whole = minimize(**given, options=options)
            assert whole.success
            assert whole.nit >= 5
            first, last = (calls_of_python(**given, max_iter=k, options=options) for k in (1, whole.nit - 1))
            assert first == last > 0


# ---- the short way of plain programs -------------------------------------------------------------


def the_same(mine, other):
    """Whether two values of results say the same, to the bit; clocks aside."""
    if isinstance(mine, np.ndarray):
        return mine.dtype == other.dtype and mine.shape == other.shape and mine.tobytes() == other.tobytes()
    if isinstance(mine, dict):
        clock = {"seconds"}
        return list(mine) == list(other) and all(the_same(mine[k], other[k]) for k in mine.keys() - clock)
    if isinstance(mine, list):
        return len(mine) == len(other) and all(map(the_same, mine, other))
    return type(mine) is type(other) and mine == other


START = np.array([1.0, 2.0, 3.0])
ROWS_OF = {
    "no rows": None,
    "equations": (np.array([1.0, 2.0]), np.array([1.0, 2.0])),
    "inequalities": (np.array([1.0, 2.0]), np.array([1.5, np.inf])),
    "no solution": (np.array([1.0, 2.0]), np.array([np.inf, np.inf])),
    "a row without sides": (np.array([1.0, -np.inf]), np.array([1.0, np.inf])),
    "lists": ([1.0, 2.0], [1.0, np.inf]),
}


LIMITS = [{}, {"max_iter": 1}, {"max_iter": 0}, {"tol": 1e-30, "max_iter": 60}, {"method": "gala"}]


@pytest.mark.parametrize("bounds", [None, [(0.5, None), (None, 1.2), (None, None)], [(0, 0.5), (0, 0.5), (0, 9)]])
@pytest.mark.parametrize("rows", ROWS_OF)
@pytest.mark.parametrize("more", LIMITS)
def test_the_short_way_and_the_long_way_are_one(bounds, rows, more, monkeypatch):
    """A plain program is read and reported apart, whatever it ends in; options={} takes the long way."""
    for module in (_gala, _plain):  # each slice of time may ask for a Hessian anew
        monkeypatch.setattr(module, "SLICE", np.inf)
    constraints = () if ROWS_OF[rows] is None else NonlinearConstraint(**COMPILED_ROWS, lb=0, ub=0)
    if constraints:
        constraints.lb, constraints.ub = ROWS_OF[rows]
    arguments = {**OBJECTIVE, "x0": START, "bounds": bounds, "constraints": constraints, **more}
    short, long = minimize(**arguments), minimize(**arguments, options={})
    assert list(short) == list(long)
    for name in set(short) - {"state", "history"}:
        assert the_same(short[name], long[name]), name
    for name in ("nit", "measure"):  # between them it is the clock that tells which rows there are
        assert short.history[name][[0, -1]].tolist() == long.history[name][[0, -1]].tolist()
        assert short.history[name].dtype == long.history[name].dtype
    assert the_same(short.state.x, long.state.x)
    assert vars(short.state).keys() == vars(long.state).keys()
    assert START.tolist() == [1, 2, 3]


def test_what_is_wrong_with_a_plain_program_is_said():
    row = NonlinearConstraint(**COMPILED_ROWS, lb=np.array([1.0, 3.0]), ub=np.array([1.0, 2.0]))
    factor = ctypes.c_double(np.inf)
    without_end = LowLevelCallable(fun, ctypes.cast(ctypes.pointer(factor), ctypes.c_void_p))
    for changes, words in (
        ({"x0": np.array([1.0, np.nan, 0.0])}, "x0 must be finite"), ({"x0": np.zeros(0)}, "at least one entry"),
        ({"fun": without_end}, "cannot start"), ({"constraints": row}, "above the upper side"),
        ({"tol": -1.0}, "tol must be positive"), ({"max_iter": -1}, "max_iter must be an integer"),
        ({"bounds": [(1, 0)] * 3}, "above the upper side"), ({"threads": 0}, "threads must be"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            minimize(**{**OBJECTIVE, "x0": START, **changes})


def test_sides_that_change_later_do_not_matter():
    row = NonlinearConstraint(**COMPILED_ROWS, lb=np.array([1.0, 2.0]), ub=np.array([1.0, 2.0]))
    result = minimize(**OBJECTIVE, x0=START, constraints=row)
    row.lb[:] = row.ub[:] = 7
    again = minimize(**OBJECTIVE, x0=START, constraints=row)
    np.testing.assert_allclose(result.x[:2] * result.x[1:], [1, 2], atol=1e-7)
    np.testing.assert_allclose(again.x[:2] * again.x[1:], [7, 7], atol=1e-7)
    assert result.options is not again.options
