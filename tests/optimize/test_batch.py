"""Batches of programs: each answer is that of a solve by itself, to the bit."""

import ctypes
import types

import numpy as np
import pytest
from scipy import LowLevelCallable
from scipy.optimize import Bounds, LinearConstraint, NonlinearConstraint

from solvers import Status
from solvers.optimize import MinimizeResult, minimize, minimize_batch

DOUBLES = ctypes.POINTER(ctypes.c_double)


def compiled(result, *arguments):
    """Makes a function of these arguments and the numbers that its user_data points at one that C can call."""
    signature = ctypes.CFUNCTYPE(result, *arguments, ctypes.c_void_p)

    def made(function):
        return LowLevelCallable(signature(lambda *given: function(*given[:-1], ctypes.cast(given[-1], DOUBLES))))

    return made


@compiled(ctypes.c_double, ctypes.c_int, DOUBLES)
def fun(n, x, at):
    """The sum of (x_i - at_i)^4 / 4 + (x_i - at_i)^2 / 2."""
    return sum((x[i] - at[i]) ** 4 / 4 + (x[i] - at[i]) ** 2 / 2 for i in range(n))


@compiled(None, ctypes.c_int, DOUBLES, DOUBLES)
def jac(n, x, g, at):
    for i in range(n):
        g[i] = (x[i] - at[i]) ** 3 + x[i] - at[i]


@compiled(None, ctypes.c_int, DOUBLES, DOUBLES)
def hess(n, x, H, at):
    for i in range(n):
        H[i * n + i] = 3 * (x[i] - at[i]) ** 2 + 1


@compiled(None, ctypes.c_int, ctypes.c_int, DOUBLES, DOUBLES)
def squares(n, m, x, c, at):
    c[0] = sum(x[i] * x[i] for i in range(n))


@compiled(None, ctypes.c_int, ctypes.c_int, DOUBLES, DOUBLES)
def squares_jac(n, m, x, J, at):
    for i in range(n):
        J[i] = 2 * x[i]


@compiled(None, ctypes.c_int, ctypes.c_int, DOUBLES, DOUBLES, DOUBLES)
def squares_hess(n, m, x, y, H, at):
    for i in range(n):
        H[i * n + i] = 2 * y[0]


@compiled(ctypes.c_double, ctypes.c_int, DOUBLES)
def logarithm(n, x, at):
    return float(np.log(x[0])) if x[0] > 0 else float("nan")


N, PROGRAMS = 3, 7
rng = np.random.default_rng(5)
STARTS, CENTRES = rng.normal(size=(PROGRAMS, N)), 2 * rng.normal(size=(PROGRAMS, N))
OBJECTIVE = {"jac": jac, "hess": hess}


def ball(low, high, functions=(squares, squares_jac, squares_hess)):
    constraint = NonlinearConstraint(len, low, high)
    constraint.fun, constraint.jac, constraint.hess = functions
    return constraint


def told(function, k):
    """The function with row k of the centres."""
    return LowLevelCallable(function.function, ctypes.c_void_p(CENTRES[k].ctypes.data))


def alone(k, bounds=None, low=None, high=None, linear=()):
    rows = [ball(low, high, [told(f, k) for f in (squares, squares_jac, squares_hess)])] if low is not None else []
    return minimize(
        told(fun, k), STARTS[k], jac=told(jac, k), hess=told(hess, k), bounds=bounds, constraints=[*rows, *linear]
    )


LINEAR = LinearConstraint([[1.0, 1.0, 1.0]], -0.5, 0.5)
LINEAR_FAR = LinearConstraint([[1.0, 1.0, 1.0], [0, 1, 0]], -50, 50)
CASES = {
    "free": (None, None, []),
    "bounds": (Bounds([-1, -1, 0], [1, 0.5, 0]), None, []),
    "equation": (None, (1.0, 1.0), []),
    "ball": (None, (-np.inf, 1.0), []),
    "shell, bounds, rows": (Bounds(-0.9, 0.9), (0.5, 1.0), [LINEAR]),
}


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("case", CASES)
def test_answers_are_those_of_single_solves(case, threads):
    bounds, sides, linear = CASES[case]
    rows = [ball(*sides)] if sides else []
    result = minimize_batch(
        fun, STARTS, CENTRES, **OBJECTIVE, bounds=bounds, constraints=[*rows, *linear], threads=threads
    )
    assert result.all_success
    assert len(result) == PROGRAMS
    for k, one in enumerate(result):
        by_itself = alone(k, bounds, *(sides or (None, None)), linear)
        for name in ("x", "jac", "multipliers", "bound_multipliers"):
            assert np.array_equal(one[name], by_itself[name]), name
        for name in ("fun", "nit", "measure", "optimality", "nfev", "njev", "nhev", "status", "success"):
            assert one[name] == by_itself[name], name
        assert len(one.v) == len(by_itself.v)
        assert all(np.array_equal(mine, its) for mine, its in zip(one.v, by_itself.v, strict=True))


def test_sides_of_their_own():
    radii = np.linspace(0.5, 2, PROGRAMS)
    bounds = types.SimpleNamespace(lb=np.full((PROGRAMS, 1), -3.0), ub=3 * radii[:, None] * np.ones(N))
    result = minimize_batch(
        fun, STARTS, CENTRES, **OBJECTIVE, bounds=bounds, constraints=ball(radii[:, None] ** 2, radii[:, None] ** 2)
    )
    assert result.all_success
    assert np.allclose(np.linalg.norm(result.x, axis=1), radii, atol=1e-8)
    one = alone(2, Bounds(-3, 3 * radii[2]), radii[2] ** 2, radii[2] ** 2)
    assert np.array_equal(one.x, result.x[2])


def test_without_hessians():
    result = minimize_batch(fun, STARTS, CENTRES, jac=jac, constraints=ball(-np.inf, 1.0, (squares, squares_jac, None)))
    exact = minimize_batch(fun, STARTS, CENTRES, **OBJECTIVE, constraints=ball(-np.inf, 1.0))
    assert result.all_success
    assert np.allclose(result.x, exact.x, atol=1e-6)
    assert not result.nhev.any()
    assert result.nit.max() > exact.nit.max()


def test_programs_that_have_no_answer():
    lows = np.ones((PROGRAMS, 1))
    lows[3] = 40.0  # beyond the bounds
    result = minimize_batch(
        fun, STARTS, CENTRES, **OBJECTIVE, bounds=[(-2, 2)] * N, constraints=ball(lows, np.full((PROGRAMS, 1), 50.0))
    )
    assert result.status[3] == Status.LOCALLY_INFEASIBLE
    assert not result.success[3]
    assert not result.all_success
    assert result.success.sum() == PROGRAMS - 1
    assert repr(result) == "<7 programs of 3 variables and 1 rows, 6 solved>"


def test_start_where_nothing_is_finite():
    result = minimize_batch(logarithm, [[-1.0], [-2.0]], [[0.0], [1.0]], **OBJECTIVE)
    assert (result.status == Status.NONFINITE).all()
    assert np.isinf(result.measure).all()
    assert result.x.tolist() == [[-1.0], [-2.0]]
    assert not result.success.any()


def test_limit_of_iterations():
    result = minimize_batch(fun, STARTS, CENTRES, **OBJECTIVE, max_iter=1, constraints=ball(1.0, 1.0))
    assert (result.nit <= 1).all()
    assert (result.status[~result.success] == Status.MAX_ITER).all()


def test_a_sequence_of_results():
    result = minimize_batch(fun, STARTS, CENTRES, **OBJECTIVE, bounds=[(-1, 1)] * N, constraints=[LINEAR, ball(0, 2)])
    one = result[-1]
    assert isinstance(one, MinimizeResult)
    assert one.method == "gala"
    assert one.inner == "dense"
    assert [v.shape for v in one.v] == [(1,), (1,), (N,)]
    assert [r.fun for r in result[2:4]] == result.fun[2:4].tolist()
    with pytest.raises(IndexError):
        result[PROGRAMS]


@compiled(None, ctypes.c_int, ctypes.c_int, DOUBLES, DOUBLES)
def wells(n, m, x, c, at):
    """Two wells along the first axis, the deeper one at its left."""
    c[0] = (x[0] ** 2 - 1) ** 2 + 0.3 * x[0] + x[1] ** 2 + x[2] ** 2


@compiled(None, ctypes.c_int, ctypes.c_int, DOUBLES, DOUBLES)
def wells_jac(n, m, x, J, at):
    J[0], J[1], J[2] = 4 * x[0] * (x[0] ** 2 - 1) + 0.3, 2 * x[1], 2 * x[2]


@compiled(None, ctypes.c_int, ctypes.c_int, DOUBLES, DOUBLES, DOUBLES)
def wells_hess(n, m, x, y, H, at):
    H[0], H[n + 1], H[2 * n + 2] = y[0] * (12 * x[0] ** 2 - 4), 2 * y[0], 2 * y[0]


@pytest.mark.parametrize("threads", [1, 3])
def test_further_starts_are_those_of_single_solves(threads):
    """The left well alone reaches -0.2, and none -0.5; all start in the right one."""
    sides, functions = np.array([[0.5], [-0.2], [-0.5], [-0.2]]), (wells, wells_jac, wells_hess)
    starts, centres = np.tile([1.5, 0.2, 0.1], (4, 1)), CENTRES[:4]
    result = minimize_batch(
        fun, starts, centres, **OBJECTIVE, bounds=Bounds(-9, 9),
        constraints=[LINEAR_FAR, ball(sides, sides, functions)],
        threads=threads,
    )  # fmt: skip
    assert list(result.success) == [True, True, False, True]
    assert result.status[2] == Status.LOCALLY_INFEASIBLE
    for k, one in enumerate(result):
        rows = ball(sides[k], sides[k], [told(f, k) for f in functions])
        by_itself = minimize(
            told(fun, k), starts[k], jac=told(jac, k), hess=told(hess, k), bounds=Bounds(-9, 9),
            constraints=[LINEAR_FAR, rows],
        )  # fmt: skip
        for name in ("x", "multipliers", "bound_multipliers", "v"):
            assert np.array_equal(np.hstack(one[name]), np.hstack(by_itself[name])), name
        for name in ("fun", "nit", "measure", "status", "success", "nfev"):
            assert one[name] == by_itself[name], name


def test_no_programs():
    result = minimize_batch(fun, np.zeros((0, N)), **OBJECTIVE)
    assert len(result) == 0
    assert result.all_success
    assert result.x.shape == (0, N)


BAD = {
    "x0 of one program": ({"x0": STARTS[0]}, ValueError, "x0 must have a row"),
    "x0 not finite": ({"x0": STARTS * np.nan}, ValueError, "x0 must be finite"),
    "data of others": ({"data": CENTRES[1:]}, ValueError, "data must have a row"),
    "Python's fun": ({"fun": len}, TypeError, "fun must be a LowLevelCallable or a cfunc, not builtin"),
    "Python's hess": ({"hess": len}, TypeError, "hess must be"),
    "Python's rows": ({"constraints": ball(0, 1, (len, squares_jac, None))}, TypeError, "constraints.fun must be"),
    "a dict": ({"constraints": [{"type": "eq"}]}, TypeError, r"constraints\[0\]"),
    "bounds that cross": ({"bounds": [(1, 0)] * N}, ValueError, "above the upper side"),
    "shape of sides": ({"constraints": ball(np.zeros((2, 1)), 1)}, ValueError, r"constraints.lb must have shape"),
    "kept rows": ({"constraints": types.SimpleNamespace(
        fun=squares, jac=squares_jac, lb=0, ub=1, keep_feasible=True)}, ValueError, "keep_feasible"),
    "max_iter": ({"max_iter": 1.5}, ValueError, "max_iter"),
    "tol": ({"tol": 0}, ValueError, "tol"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case):
    changes, error, words = BAD[case]
    with pytest.raises(error, match=words):
        minimize_batch(**{"fun": fun, "x0": STARTS, "data": CENTRES, "jac": jac, **changes})
