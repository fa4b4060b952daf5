"""The problem forms of scipy.optimize.minimize: what is called, how often, what comes back, and what is refused."""

import copy
import ctypes

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse
from scipy import LowLevelCallable
from scipy.optimize import (
    BFGS,
    SR1,
    Bounds,
    LinearConstraint,
    NonlinearConstraint,
    OptimizeWarning,
    rosen,
    rosen_der,
    rosen_hess,
)
from scipy.sparse.linalg import aslinearoperator

import solvers
from solvers import Status, minimize

INF = np.inf


def disc(**changes):
    """x'x <= 2."""
    given = {"jac": lambda x: 2 * x, "hess": lambda x, v: 2 * v[0] * np.eye(len(x)), **changes}
    return NonlinearConstraint(lambda x: x @ x, -INF, 2, **given)


ROW = LinearConstraint([[1, 2]], -INF, 1)


class Counted:
    """A function, and where it was called."""

    def __init__(self, function):
        self.function, self.points = function, []

    def __call__(self, x, *rest):
        self.points.append(x.tobytes())
        return self.function(x, *rest)


# ---- calls -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("bounds", [None, Bounds(-1.5, 1.5)])
def test_functions_are_called_once_a_point_and_counted(bounds):
    fun, jac, hess, row = Counted(rosen), Counted(rosen_der), Counted(rosen_hess), Counted(lambda x: x @ x)
    con = NonlinearConstraint(row, -INF, 2, jac=Counted(lambda x: 2 * x), hess=lambda x, v: 2 * v[0] * np.eye(2))
    result = minimize(fun, [-1.2, 1], jac=jac, hess=hess, constraints=con, bounds=bounds)
    assert result.success
    for function in (fun, jac, row, con.jac):
        assert len(function.points) == len(set(function.points))
    assert (result.nfev, result.njev, result.nhev) == tuple(len(f.points) for f in (fun, jac, hess))
    assert result.stats["constr_nfev"] == [len(row.points)]
    assert result.stats["constr_njev"] == [len(con.jac.points)]


def test_a_pair_is_called_once_a_point():
    fun = Counted(lambda x, shift: (rosen(x - shift), rosen_der(x - shift)))
    result = minimize(fun, [0, 0], 0.5, jac=True)
    assert result.success
    np.testing.assert_allclose(result.x, 1.5, atol=1e-6)
    assert len(fun.points) == len(set(fun.points)) == result.nfev == result.njev


def test_differences_are_counted():
    fun = Counted(rosen)
    result = minimize(fun, [0, 0])
    assert (result.nfev, result.njev, result.nhev) == (len(fun.points), 0, 0)


def test_nothing_is_mutated():
    """Neither by us nor, through us, by functions that write into what they are given and keep what they return."""
    x0, A, lb = np.zeros(2), np.array([[1.0, 2.0]]), np.array([-INF])
    row, strategy, kept = {"type": "ineq", "fun": lambda x: 5 - x.sum()}, BFGS(), np.zeros(2)
    given = {"bounds": Bounds([-2, -2], [2, 2]), "constraints": [LinearConstraint(A, lb, 1), row, disc(hess=SR1())],
             "options": {"maxiter": 200}}  # fmt: skip
    before = copy.deepcopy((x0, A, lb, vars(given["bounds"]), vars(strategy), given["options"]))

    def spoiling(x):
        kept[:] = rosen_der(x)
        x[:] = np.nan
        return kept

    expected = minimize(rosen, x0, jac=rosen_der, hess=copy.deepcopy(strategy), **given)
    result = minimize(rosen, x0, jac=spoiling, hess=strategy, **given)
    assert result.success
    np.testing.assert_array_equal(result.x, expected.x)
    after = (x0, A, lb, vars(given["bounds"]), vars(strategy), given["options"])
    for one, other in zip(before, after, strict=True):
        np.testing.assert_equal(one, other)
    assert set(row) == {"type", "fun"}


def ladder(n):
    """A sparse program's objective, and a Hessian in a pattern of one's own: columns fall, and some are given twice."""
    t, i = np.cos(np.arange(n)), np.arange(n)
    columns = np.stack([np.minimum(i + 1, n - 1), i, np.maximum(i - 1, 0), i], axis=1).ravel()
    H = scipy.sparse.csr_array((np.zeros(4 * n), columns, np.arange(0, 4 * n + 1, 4)), shape=(n, n))

    def hess(x):
        after, before = np.where(i < n - 1, -0.5, 0), np.where(i > 0, -0.5, 0)
        H.data[:] = np.stack([after, 12 * (x - t) ** 2, before, np.full(n, 2.0)], axis=1).ravel()
        return H

    def jac(x):
        g = 4 * (x - t) ** 3 + 2 * x
        g[:-1] -= 0.5 * x[1:]
        g[1:] -= 0.5 * x[:-1]
        return g

    return lambda x: ((x - t) ** 4).sum() + x @ x - 0.5 * (x[:-1] @ x[1:]), jac, hess, H


def test_a_pattern_of_the_users_own_is_left_alone():
    """The user goes on to write numbers into it: to sort it would put them elsewhere."""
    n = 250
    fun, jac, hess, H = ladder(n)
    order = H.indices.copy()
    A = scipy.sparse.csr_array((np.array([1.0, 1.0, 2.0]), [n - 1, 0, 0], [0, 3]), shape=(1, n))
    held = copy.deepcopy((A.data, A.indices, A.indptr))
    result = minimize(fun, np.ones(n), jac=jac, hess=hess, constraints=LinearConstraint(A, 1, 1))
    assert result.success
    assert result.inner == "sparse"
    assert result.nit <= 10
    assert 3 * result.x[0] + result.x[-1] == pytest.approx(1, abs=1e-8)
    np.testing.assert_array_equal(H.indices, order)
    for mine, before in zip((A.data, A.indices, A.indptr), held, strict=True):
        np.testing.assert_array_equal(mine, before)


@pytest.mark.parametrize(
    "hess",
    [rosen_hess, lambda x: scipy.sparse.csc_matrix(rosen_hess(x)), lambda x: aslinearoperator(rosen_hess(x)),
     lambda x: rosen_hess(x).tolist(), "2-point", "3-point", "cs"],
)  # fmt: skip
def test_forms_of_hessians_are_one(hess):
    expected = minimize(rosen, np.zeros(3), jac=rosen_der, hess=rosen_hess, constraints=disc())
    result = minimize(rosen, np.zeros(3), jac=rosen_der, hess=hess, constraints=disc())
    assert result.success
    np.testing.assert_allclose(result.x, expected.x, atol=1e-7)
    np.testing.assert_allclose(result.v[0], expected.v[0], atol=1e-6)


@pytest.mark.parametrize("form", [lambda J: J[0], scipy.sparse.coo_array, aslinearoperator, list])
def test_forms_of_jacobians_are_one(form):
    given = {"jac": rosen_der, "hess": rosen_hess}
    expected = minimize(rosen, np.zeros(3), constraints=disc(), **given)
    result = minimize(rosen, np.zeros(3), constraints=disc(jac=lambda x: form(np.atleast_2d(2 * x))), **given)
    np.testing.assert_array_equal(result.x, expected.x)


def test_products_with_the_hessian():
    products = Counted(lambda x, p: rosen_hess(x) @ p)
    result = minimize(rosen, np.zeros(3), jac=rosen_der, hessp=products, constraints=disc())
    expected = minimize(rosen, np.zeros(3), jac=rosen_der, hess=rosen_hess, constraints=disc())
    np.testing.assert_allclose(result.x, expected.x, atol=1e-12)
    assert result.nhev == len(products.points) == 3 * expected.nhev


def test_products_with_the_hessian_of_more_variables():
    weights = 1 + np.arange(210) % 5
    given = {"jac": lambda x: weights * x + x**3, "constraints": LinearConstraint(np.ones((1, 210)), 99, 99)}

    def fun(x):
        return (weights * x**2 / 2 + x**4 / 4).sum()

    expected = minimize(fun, np.zeros(210), hess=lambda x: np.diag(weights + 3 * x**2), **given)
    result = minimize(fun, np.zeros(210), hessp=lambda x, p: (weights + 3 * x**2) * p, **given)
    assert result.success
    assert (result.inner, expected.inner) == ("projected-cg", "dense")
    np.testing.assert_allclose(result.fun, expected.fun, rtol=1e-9)


def test_there_is_no_difference_by_a_fixed_variable():
    found = minimize(
        lambda x: (x[0] - x[1]) ** 2 + x[2] ** 2, [3.0, 1.0, 2.0], bounds=[(None, None), (1, 1), (0, None)]
    )
    assert found.success
    np.testing.assert_allclose(found.x, [1, 1, 0], atol=1e-6)
    assert found.jac[1] == found.bound_multipliers[1] == 0


def test_complex_steps_are_exact():
    result = minimize(lambda x: np.sum(x**4 - 3 * x), np.full(3, 2.0), jac="cs")
    np.testing.assert_allclose(result.x, 0.75 ** (1 / 3), rtol=1e-9)
    assert result.options  # tol is that of exact derivatives
    assert result.measure <= 1e-8


# ---- results ---------------------------------------------------------------------------------------


def test_multipliers_have_the_sign_of_scipys():
    """One row of each kind, one without sides, and a bound."""

    def fun(x):
        return ((x - [1.0, 2.0, 3.0, 4.0]) ** 2).sum()

    constraints = [
        {"type": "eq", "fun": lambda x: x[0] - x[1] - 0.5, "jac": lambda x: [1, -1, 0, 0]},
        NonlinearConstraint(lambda x: [x[2], x[0] * x[1], x[3] ** 2], [-INF, -INF, 20], [2, INF, INF],
                            jac=lambda x: [[0, 0, 1, 0], [x[1], x[0], 0, 0], [0, 0, 0, 2 * x[3]]], hess=None),
        LinearConstraint(np.eye(4)[:2], [1.5, -INF], [INF, INF]),
        {"type": "ineq", "fun": lambda x: 3 - x[2], "jac": lambda x: np.array([0, 0, -1.0, 0])},
    ]  # fmt: skip
    bounds = [(None, None), (None, 1.2), (None, None), (None, None)]
    ours = minimize(fun, [1, 1, 1, 5], jac=lambda x: 2 * (x - [1, 2, 3, 4]), hess=lambda x: 2 * np.eye(4),
                    constraints=constraints, bounds=bounds)  # fmt: skip
    assert ours.success
    np.testing.assert_allclose(ours.x, [1.7, 1.2, 2, np.sqrt(20)], atol=1e-7)
    eq, mixed, linear, ineq, z = ours.v
    assert [len(v) for v in ours.v] == [1, 3, 2, 1, 4]
    np.testing.assert_allclose(eq, -1.4, atol=1e-6)
    np.testing.assert_allclose(mixed, [2, 0, 4 / np.sqrt(20) - 1], atol=1e-6)
    np.testing.assert_allclose([*linear, *ineq], 0, atol=1e-6)
    np.testing.assert_allclose(z, [0, 0.2, 0, 0], atol=1e-6)
    np.testing.assert_array_equal(z, ours.bound_multipliers)
    slope = (
        ours.jac
        + z
        + eq[0] * np.array([1, -1, 0, 0])
        + mixed[0] * np.eye(4)[2]
        + mixed[2] * 2 * ours.x[3] * np.eye(4)[3]
    )
    np.testing.assert_allclose(slope, 0, atol=1e-6)


def test_multipliers_against_trust_constr():
    given = {"jac": rosen_der, "hess": rosen_hess, "constraints": [ROW, disc()]}
    ours = minimize(rosen, [-1, -0.5], **given)
    theirs = scipy.optimize.minimize(rosen, [-1, -0.5], method="trust-constr", tol=1e-10, **given)
    for own, other in zip(ours.v, theirs.v, strict=True):
        np.testing.assert_allclose(own, other, atol=1e-5)


def test_a_start_with_multipliers():
    given = {
        "jac": rosen_der,
        "hess": rosen_hess,
        "bounds": Bounds(-2, [0.5, 2]),
        "constraints": [
            NonlinearConstraint(
                lambda x: [x[0], x @ x],
                [-INF, -INF],
                [INF, 0.25],
                jac=lambda x: [[1, 0], 2 * x],
                hess=lambda x, v: 2 * v[1] * np.eye(2),
            )
        ],
    }
    first = minimize(rosen, [-1, -0.5], **given)
    assert first.nit > 3
    again = minimize(rosen, first.x, multipliers=first.v, **given)
    assert (again.success, again.nit) == (True, 0)
    np.testing.assert_array_equal(again.x, first.x)
    for v, other in zip(again.v, first.v, strict=True):
        np.testing.assert_allclose(v, other, rtol=1e-14, atol=1e-300)
    near = minimize(rosen, first.x + 1e-3, multipliers=first.v[:1], **given)
    np.testing.assert_allclose(near.x, first.x, atol=1e-6)
    for wrong in ([], [np.zeros(3)], [*first.v, np.zeros(2)], [np.full(2, np.nan)]):
        with pytest.raises(ValueError, match="multipliers"):
            minimize(rosen, first.x, multipliers=wrong, **given)


# ---- matrices --------------------------------------------------------------------------------------


def band(size):
    """Neighbours that want to differ by 1: sparse derivatives."""
    pattern = scipy.sparse.diags_array([np.ones(size - 1)] * 2, offsets=[0, 1], shape=(size - 1, size)).tocsr()

    def row(x):
        return x[1:] + x[:-1] - x[1:] ** 2 / 10

    def jac(x):
        return scipy.sparse.diags_array([np.ones(size - 1), 1 - x[1:] / 5], offsets=[0, 1], shape=(size - 1, size))

    return row, jac, pattern


def test_differences_by_colours():
    size, (row, jac, pattern) = 20, band(20)
    counted = Counted(row)
    con = NonlinearConstraint(counted, 0.5, INF, jac="2-point", finite_diff_jac_sparsity=pattern)
    result = minimize(lambda x: x @ x, np.ones(size), jac=lambda x: 2 * x, hess=lambda x: 2 * np.eye(size),
                      constraints=con)  # fmt: skip
    exact = minimize(lambda x: x @ x, np.ones(size), jac=lambda x: 2 * x, hess=lambda x: 2 * np.eye(size),
                     constraints=NonlinearConstraint(row, 0.5, INF, jac=jac))  # fmt: skip
    assert result.success
    assert exact.success
    np.testing.assert_allclose(result.x, exact.x, atol=1e-4)
    assert len(counted.points) <= 3 * result.njev + 40


@pytest.mark.parametrize("scheme", ["2-point", "3-point", "cs"])
def test_coloured_differences_are_those_of_single_columns(scheme, seed):
    from solvers.optimize._differences import Differences, coloured

    rng = np.random.default_rng(seed)
    M = (rng.random((17, 23)) < 0.15) * rng.standard_normal((17, 23))
    x, free = rng.standard_normal(23), (np.full(23, -INF), np.full(23, INF))
    low = np.where(rng.random(23) < 0.2, x, x - rng.random(23) * 1e-2)
    box = (low, np.where((rng.random(23) < 0.5) | (low == x), x, INF))

    def fun(x):
        return M @ np.sin(x)

    J = M * np.cos(x)
    for lower, upper in (free, box):
        whole = Differences(scheme, lower, upper)
        pattern, colours = coloured(M, M.shape, "pattern")
        sparse = Differences(scheme, lower, upper, pattern=pattern, colours=colours)(fun, x, fun(x))
        np.testing.assert_allclose(sparse.toarray(), whole(fun, x, fun(x)), atol=1e-9)
        fixed = lower == upper
        if lower is free[0]:
            assert len(set(colours)) < 23
            np.testing.assert_allclose(sparse.toarray(), J, atol=1e-6 if scheme == "2-point" else 1e-9)
        assert (whole(fun, x, fun(x))[:, fixed] == 0).all()
    for i in range(17):  # no row has two columns of a colour
        own = colours[M[i] != 0]
        assert len(own) == len(set(own))


def test_sparse_sums_keep_one_pattern(seed):
    from solvers.optimize._program import SparseSum

    rng = np.random.default_rng(seed)
    total, patterns = SparseSum(9), []
    for _ in range(6):
        terms = [(k, scipy.sparse.random_array((9, 9), density=0.1 * k, rng=rng).tocsr()) for k in (1, 2)]
        H = total(terms)
        np.testing.assert_allclose(H.toarray(), (terms[0][1] + terms[1][1]).toarray())
        patterns.append(
            {(int(i), int(j)) for i, j in zip(*H.nonzero(), strict=True)} | (patterns[-1] if patterns else set())
        )
        assert H.nnz == len(patterns[-1])
    again = total([(1, None), terms[1]])
    assert again.nnz == H.nnz
    np.testing.assert_allclose(again.toarray(), terms[1][1].toarray())


def test_many_variables():
    """Sparse, by patterns, dense: one answer, by the linear algebra that fits."""
    n = 240
    row, slopes, pattern = band(n)
    t = np.sin(np.linspace(0, 6, n))
    D = scipy.sparse.diags_array([-np.ones(n - 1), np.ones(n - 1)], offsets=[0, 1], shape=(n - 1, n)).tocsr()

    def hess(x):
        return scipy.sparse.diags_array(12 * (x - t) ** 2) + 2 * (D.T @ D)

    def solve(jac=slopes, curvature=lambda x, v: scipy.sparse.diags_array(np.append(0, -v / 5)), **given):
        con = NonlinearConstraint(row, 0.5, INF, jac=jac, hess=curvature, finite_diff_jac_sparsity=pattern)
        result = minimize(lambda x: ((x - t) ** 4).sum() + ((D @ x) ** 2).sum(), np.ones(n), constraints=con,
                          jac=lambda x: 4 * (x - t) ** 3 + 2 * (D.T @ (D @ x)), **given)  # fmt: skip
        assert result.success
        return result

    expected = solve(hess=hess)
    assert expected.inner == "sparse"
    band_of_hessian = scipy.sparse.diags_array([np.ones(n - 1), np.ones(n)], offsets=[-1, 0])
    coloured = solve(curvature=None, hess_sparsity=band_of_hessian)
    assert coloured.inner == "sparse"
    assert coloured.nhev == 0
    assert coloured.njev <= 4 * coloured.nfev + 4  # three colours, and the gradient
    by_rows = solve(jac="2-point", hess=hess)
    assert by_rows.stats["constr_nfev"][0] <= 3 * by_rows.nfev + 3
    dense = solve(jac=lambda x: slopes(x).toarray(), hess=lambda x: hess(x).toarray(),
                  curvature=lambda x, v: np.diag(np.append(0, -v / 5)))  # fmt: skip
    assert dense.inner == "dense"
    for result, accuracy in ((coloured, 1e-6), (by_rows, 1e-3), (dense, 1e-6)):
        np.testing.assert_allclose(result.x, expected.x, atol=accuracy)


# ---- what must hold throughout ---------------------------------------------------------------------


def test_keep_feasible():
    """fun has no value outside of a row that is to hold at every call."""

    def fun(x):
        assert x[0] + x[1] >= 1 - 1e-11
        return -np.sqrt(max(x[0] + x[1] - 1, 0)) + x @ x

    def jac(x):
        return 2 * x - 0.5 / np.sqrt(max(x[0] + x[1] - 1, 1e-300))

    row = LinearConstraint([[1, 1]], 1, INF, keep_feasible=True)
    result = minimize(fun, [3, 2], jac=jac, constraints=row)
    assert result.success
    assert result.x[0] == pytest.approx(result.x[1], abs=1e-6)
    with pytest.raises(ValueError, match="constraints: x0 violates rows that keep_feasible"):
        minimize(fun, [0, 0], jac=jac, constraints=row)


@pytest.mark.parametrize("hess", [None, "2-point"])
def test_no_call_outside_of_bounds(hess):
    def inside(x):
        assert (abs(x) <= 1).all()
        return x

    def fun(x):
        a, b = inside(x)
        return np.exp(a) * (4 * a**2 + 2 * b**2 + 4 * a * b + 2 * b + 1)

    def jac(x):
        a, b = inside(x)
        return np.array([fun(x) + np.exp(a) * (8 * a + 4 * b), np.exp(a) * (4 * b + 4 * a + 2)])

    rows = [
        NonlinearConstraint(lambda x: inside(x)[0] * x[1], -10, INF),
        NonlinearConstraint(lambda x: inside(x)[0] ** 2 + x[1], 1, 1, jac=lambda x: [2 * inside(x)[0], 1]),
    ]
    for given in ({"jac": jac, "hess": hess}, {}):
        # there are several minimisers: a barrier that falls slowly leads all of these starts to the same one
        way = {"constraints": rows, "options": {"monotone": True}}
        result = minimize(fun, [0.99, -0.99], bounds=Bounds(-1, 1, keep_feasible=True), **way, **given)
        assert result.success
        np.testing.assert_allclose(result.fun, minimize(fun, [0.99, -0.99], bounds=Bounds(-1, 1), **way).fun, atol=1e-5)


def test_a_start_outside_bounds_is_moved_inside():
    def fun(x):
        assert (x >= 1).all()
        assert (x <= 2).all()
        return ((x - 1.5) ** 2).sum()

    assert minimize(fun, [5, -5], bounds=Bounds(1, 2)).success
    with pytest.warns(UserWarning, match=r"x0\[0\] = 5 is outside bounds") as warned:
        minimize(fun, [5, 1.2], bounds=Bounds(1, 2, keep_feasible=True))
    assert warned[0].filename == __file__  # the line that calls minimize, not its caller's


# ---- callbacks and options -------------------------------------------------------------------------


def test_callbacks_by_their_parameters():
    seen = {"x": [], "xk": [], "intermediate_result": [], "state": [], "pair": []}

    def by_x(x):
        seen["x"].append(x)

    def by_xk(xk):
        seen["xk"].append(xk)

    def by_name(intermediate_result):
        seen["intermediate_result"].append(intermediate_result.x)
        assert intermediate_result.fun == rosen(intermediate_result.x)

    def by_state(state):
        seen["state"].append(state.x)
        assert state.nit == len(seen["state"])

    def by_pair(x, state):
        seen["pair"].append(x)
        assert state.nit == len(seen["pair"])

    for callback in (by_x, by_xk, by_name, by_state, by_pair):
        result = minimize(rosen, [0, 0], jac=rosen_der, hess=rosen_hess, callback=callback)
        assert result.success
    for points in seen.values():
        assert len(points) == result.nit
        np.testing.assert_array_equal(points, seen["x"])


def test_options_of_scipys():
    given = {"jac": rosen_der, "hess": rosen_hess}
    assert minimize(rosen, [0, 0], options={"maxiter": 3}, **given).nit == 3
    assert minimize(rosen, [0, 0], options={"maxiter": 3}, max_iter=4, **given).nit == 4
    with pytest.raises(ValueError, match="tol must be positive"):
        minimize(rosen, [0, 0], options={"gtol": -1}, **given)
    with pytest.warns(OptimizeWarning, match="'ftol'"):
        assert minimize(rosen, [0, 0], options={"ftol": 1e-3}, **given).success
    with pytest.raises(solvers.OptionError, match=r"mux.*did you mean 'mu'"):
        minimize(rosen, [0, 0], options={"mux": 1}, **given)


def test_the_rule_for_the_method():
    assert "Chose gala, the method for smooth functions" in minimize(rosen, [0, 0], jac=rosen_der).message
    chosen = minimize(lambda x: x @ x, [1.0, 2], jac=lambda x: 2 * x, penalty={"l1": 1.0})
    assert (chosen.method, chosen.x.tolist()) == ("bcd", [0, 0])
    assert "Chose bcd, the method that takes penalty" in chosen.message
    assert "Chose" not in minimize(rosen, [0, 0], method="gala", jac=rosen_der).message
    same = minimize(lambda x: x @ x, [1.0, 2], jac=lambda x: 2 * x, blocks=1, bounds=Bounds(0.5, 2))
    np.testing.assert_allclose(same.x, 0.5)


def test_max_iter_zero():
    result = minimize(rosen, [-1.2, 1], jac=rosen_der, constraints=ROW, max_iter=0)
    assert (result.status, result.nit) == (Status.MAX_ITER, 0)
    assert np.isfinite([result.measure, result.optimality, result.constr_violation]).all()


# ---- compiled functions ----------------------------------------------------------------------------

DOUBLES = ctypes.POINTER(ctypes.c_double)


@ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_int, DOUBLES, ctypes.c_void_p)
def compiled_fun(n, x, data):
    return sum((x[i] - i) ** 4 + x[i] ** 2 for i in range(n))


@ctypes.CFUNCTYPE(None, ctypes.c_int, DOUBLES, DOUBLES, ctypes.c_void_p)
def compiled_jac(n, x, g, data):
    for i in range(n):
        g[i] = 4 * (x[i] - i) ** 3 + 2 * x[i]


@ctypes.CFUNCTYPE(None, ctypes.c_int, DOUBLES, DOUBLES, ctypes.c_void_p)
def compiled_hess(n, x, H, data):
    for i in range(n):
        H[i * n + i] = 12 * (x[i] - i) ** 2 + 2


ROWS = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_int, DOUBLES, DOUBLES, ctypes.c_void_p)


@ROWS
def compiled_rows(n, m, x, c, data):
    for j in range(m):
        c[j] = x[j] * x[j + 1]


@ROWS
def compiled_rows_jac(n, m, x, J, data):
    for j in range(m):
        J[j * n + j], J[j * n + j + 1] = x[j + 1], x[j]


@ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_int, DOUBLES, DOUBLES, DOUBLES, ctypes.c_void_p)
def compiled_rows_hess(n, m, x, y, H, data):
    for j in range(m):
        H[(j + 1) * n + j] = y[j]


def test_compiled_functions_beside_those_of_python():
    """Each of them compiled or Python's: the same answer."""
    i = np.arange(4)
    plain = {
        "fun": lambda x: ((x - i) ** 4 + x**2).sum(),
        "jac": lambda x: 4 * (x - i) ** 3 + 2 * x,
        "hess": lambda x: np.diag(12 * (x - i) ** 2 + 2),
        "con": lambda x: x[:2] * x[1:3],
        "con_jac": lambda x: [[x[1], x[0], 0, 0], [0, x[2], x[1], 0]],
        "con_hess": lambda x, v: np.diag([v[0], v[1], 0.0], 1) + np.diag([v[0], v[1], 0.0], -1),
    }
    names = (compiled_fun, compiled_jac, compiled_hess, compiled_rows, compiled_rows_jac, compiled_rows_hess)
    compiled = {name: LowLevelCallable(f) for name, f in zip(plain, names, strict=True)}

    def solve(**functions):
        f = {**plain, **functions}
        con = NonlinearConstraint(f["con"], [0.5, 0.25], INF, jac=f["con_jac"], hess=f["con_hess"])
        return minimize(f["fun"], np.ones(4), jac=f["jac"], hess=f["hess"], constraints=con, bounds=Bounds(0, 3))

    expected = solve()
    assert expected.success
    choices = [compiled, *({name: f} for name, f in compiled.items()), {"hess": None}, {**compiled, "con_hess": None}]
    for given in choices:
        result = solve(**given)
        assert result.success
        np.testing.assert_allclose(result.x, expected.x, atol=1e-7)
        if None not in given.values():
            assert result.nit == expected.nit
            # what C has called is not remembered when the answer is measured
            assert 0 <= result.nfev - expected.nfev <= 1
            assert 0 <= result.njev - expected.njev <= 1
    with pytest.raises(ValueError, match="args: compiled functions take none"):
        minimize(compiled["fun"], np.ones(4), (1,))


# ---- what is refused -------------------------------------------------------------------------------


def _growing(x, calls=[]):  # noqa: B006
    calls.append(1)
    return np.ones(1 + (len(calls) > 2))


GIVEN = {"fun": rosen, "x0": [0.0, 0.0], "jac": rosen_der}
TWISTED = np.array([[1.0, 0.5], [0.0, 1.0]])


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"x0": []}, ValueError, "x0 must have at least one entry"),
        ({"x0": [[0.0, 0]]}, ValueError, "x0 must have 1 dimension"),
        ({"x0": [0, np.nan]}, ValueError, r"x0\[1\] is nan"),
        ({"x0": ["a", "b"]}, TypeError, "x0 must be real"),
        ({"x0": [1j, 0]}, TypeError, "x0 must be real"),
        (
            {"bounds": Bounds([0, 3], [1, 2])},
            ValueError,
            "bounds: the lower side 3 is above the upper side 2 at index 1",
        ),
        ({"bounds": [(0, 1), (2, 1)]}, ValueError, "bounds: .* index 1"),
        ({"bounds": [(0, 1)]}, ValueError, "bounds must have 2 pairs"),
        ({"bounds": Bounds([0, 0, 0], 1)}, ValueError, r"bounds.lb must be a number or have 2 entries"),
        ({"bounds": [(0, np.nan), (0, 1)]}, ValueError, r"bounds.ub\[0\] is NaN"),
        ({"bounds": [("a", 1), (0, 1)]}, ValueError, "bounds must be pairs of numbers"),
        ({"bounds": 3}, ValueError, "bounds must be a scipy.optimize.Bounds or"),
        ({"bounds": [(INF, INF), (0, 1)]}, ValueError, "bounds"),
        ({"fun": lambda x: np.nan}, ValueError, "cannot start: fun"),
        ({"fun": lambda x: INF}, ValueError, "cannot start: fun"),
        ({"fun": lambda x: x}, ValueError, "fun must return one number"),
        ({"fun": lambda x: None}, TypeError, "fun must return a real number"),
        ({"fun": 3}, TypeError, "fun must be callable"),
        ({"jac": lambda x: x[:1]}, ValueError, "jac must return 2 entries, not 1"),
        ({"jac": "4-point"}, ValueError, "jac must be .* did you mean '3-point'"),
        ({"jac": 3}, TypeError, "jac must be callable"),
        ({"jac": True}, ValueError, "fun must return a pair"),
        ({"hess": lambda x: np.eye(3)}, ValueError, r"hess must return shape \(2, 2\), not \(3, 3\)"),
        ({"hess": lambda x: TWISTED}, ValueError, r"hess must return a symmetric matrix: entry \(0, 1\) is 0.5"),
        ({"hess": lambda x: scipy.sparse.csr_array(TWISTED)}, ValueError, "hess must return a symmetric"),
        ({"hess": 3}, ValueError, "hess must be callable"),
        ({"jac": lambda x: 1j * x}, TypeError, "jac must return real numbers, not complex128"),
        ({"hess": lambda x: 1j * np.eye(2)}, TypeError, "hess must return real numbers"),
        ({"hessp": lambda x, p: 1j * p}, TypeError, "hessp must return real numbers"),
        ({"constraints": NonlinearConstraint(lambda x: 1j * x, 0, 1)}, TypeError, "constraints.fun must return real"),
        ({"constraints": disc(jac=lambda x: 2j * x)}, TypeError, "constraints.jac must return real numbers"),
        ({"constraints": disc(jac=lambda x: scipy.sparse.csr_array([2j * x]))}, TypeError, "constraints.jac must"),
        ({"constraints": disc(hess=lambda x, v: 2j * np.eye(2))}, TypeError, "constraints.hess must return real"),
        ({"multipliers": 3}, TypeError, "multipliers must be a list"),
        ({"hess": "2-point", "jac": None}, ValueError, "hess cannot be taken by differences"),
        ({"hessp": 3}, TypeError, "hessp must be callable"),
        ({"hessp": lambda x, p: p[:1]}, ValueError, "hessp must return 2 entries"),
        ({"constraints": 3}, TypeError, "constraints must be dicts or"),
        ({"constraints": [3]}, TypeError, r"constraints\[0\] must be a dict"),
        ({"constraints": {"fun": rosen}}, ValueError, r"constraints\['type'\]"),
        ({"constraints": {"type": "le", "fun": rosen}}, ValueError, r"constraints\['type'\] must be 'eq' or 'ineq'"),
        ({"constraints": [ROW, {"type": "eq"}]}, ValueError, r"constraints\[1\]\['fun'\] must be callable"),
        ({"constraints": LinearConstraint(np.eye(3), 0, 1)}, ValueError, "constraints.A must have 2 columns"),
        ({"constraints": LinearConstraint([[1, np.nan]], 0, 1)}, ValueError, "constraints.A must be finite"),
        ({"constraints": LinearConstraint([[1, 1]], 2, 1)}, ValueError, "constraints: the lower side 2 is above"),
        ({"constraints": [NonlinearConstraint(lambda x: x, [0, 1, 2], 5)]}, ValueError, r"constraints\[0\].lb"),
        (
            {"constraints": NonlinearConstraint(_growing, 0, 2)},
            ValueError,
            "constraints.fun must return 1 entries, not 2",
        ),
        ({"constraints": disc(jac=lambda x: np.eye(2))}, ValueError, r"constraints.jac must return shape \(1, 2\)"),
        ({"constraints": disc(jac="one-sided")}, ValueError, "constraints.jac must be callable or a scheme"),
        (
            {"constraints": disc(hess=lambda x, v: TWISTED), "hess": rosen_hess},
            ValueError,
            "constraints.hess must return",
        ),
        ({"constraints": disc(jac="2-point", hess="2-point")}, ValueError, "constraints.hess cannot be taken"),
        (
            {"constraints": disc(jac="2-point", finite_diff_jac_sparsity=np.eye(2))},
            ValueError,
            "finite_diff_jac_sparsity",
        ),
        ({"constraints": NonlinearConstraint(lambda x: np.nan, 0, 1)}, ValueError, "cannot start"),
        ({"constraints": ROW, "method": "bcd"}, ValueError, "constraints: method 'bcd' takes bounds alone"),
        ({"hess": rosen_hess, "method": "bcd"}, ValueError, "hess: method 'bcd'"),
        ({"blocks": 2, "method": "gala"}, ValueError, "blocks: only method 'bcd'"),
        ({"tol": -1}, ValueError, "tol must be positive"),
    ],
)
def test_bad_input(changes, error, message):
    given = {**GIVEN, **changes}
    with pytest.raises(error, match=message):
        minimize(given.pop("fun"), given.pop("x0"), **given)


@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_array])
@pytest.mark.parametrize("given", ["hess", "constraints"])
def test_what_is_symmetric_is_so_to_eight_digits(form, given):
    def solve(apart):
        H = form(np.array([[2.0, 1.0], [1.0 + 2 * apart, 2.0]]))
        own = {"hess": lambda x: H} if given == "hess" else {"constraints": disc(hess=lambda x, v: H)}
        return minimize(
            lambda x: x @ x + x[0] * x[1], [1.0, 2], jac=lambda x: 2 * x + x[::-1], **{"hess": "2-point", **own}
        )

    assert solve(0.9e-8).success
    with pytest.raises(ValueError, match=r"entry \(0, 1\) is 1, entry \(1, 0\) is 1\.00000002"):
        solve(1.2e-8)


def test_a_row_that_is_redundant_or_empty_is_no_harm():
    twice = LinearConstraint([[1, 2], [1, 2], [2, 4]], -INF, [1, 1, 2])
    for constraints in (twice, [ROW, ROW], [ROW, LinearConstraint(np.zeros((0, 2)), 0, 0)]):
        result = minimize(rosen, [-1, -0.5], jac=rosen_der, hess=rosen_hess, constraints=constraints)
        assert result.success
        np.testing.assert_allclose(result.x, [0.502202, 0.248899], atol=1e-6)
    for empty in ([], (), None, {}, LinearConstraint(np.zeros((0, 2)), 0, 0)):
        assert minimize(rosen, [0, 0], jac=rosen_der, hess=rosen_hess, constraints=empty).success


def test_more_equations_than_variables():
    """Without a solution: the point of least violation, and no success."""
    A, b = np.array([[1.0, 0], [0, 1], [1, 1]]), np.array([1.0, 1, 3])
    result = minimize(lambda x: x @ x, [0.3, 0.1], jac=lambda x: 2 * x, constraints=LinearConstraint(A, b, b))
    assert result.status is Status.LOCALLY_INFEASIBLE
    np.testing.assert_allclose(result.x, np.linalg.lstsq(A, b)[0], atol=1e-5)
    consistent = LinearConstraint(A, A @ [1, 2], A @ [1, 2])
    np.testing.assert_allclose(minimize(rosen, [0, 0], jac=rosen_der, constraints=consistent).x, [1, 2], atol=1e-7)


def test_no_end():
    result = minimize(lambda x: -x[0] + x[1] ** 2, [0, 1], jac=lambda x: np.array([-1, 2 * x[1]]),
                      hess=lambda x: np.diag([0, 2.0]), constraints=LinearConstraint([[1, 0]], 0, INF))  # fmt: skip
    assert result.status is Status.DIVERGED
    assert not result.success


def test_no_value_beyond_an_edge():
    def fun(x):
        return np.nan if (x >= 2).any() else -np.log(2 - x).sum() - 10 * x.sum()

    for given in ({"hess": lambda x: np.diag(1 / (2 - x) ** 2)}, {}, {"bounds": Bounds(0, 2)}):
        result = minimize(fun, np.zeros(2), jac=lambda x: 1 / (2 - x) - 10, **given)
        assert result.success
        np.testing.assert_allclose(result.x, 1.9, atol=1e-7)


@pytest.mark.parametrize("given", [{}, {"bounds": Bounds(-5, 5)}, {"options": {"merit": "filter"}},
                                   {"bounds": Bounds(-5, 5), "options": {"inequality": "interior"}}])  # fmt: skip
def test_a_step_to_where_there_is_no_gradient_is_shortened(given):
    """Newton's first step goes from 1 to -0.8, with a lower value."""

    def jac(x):
        return np.where(x < -0.5, np.nan, np.tanh(x))

    def hess(x):
        return np.diag(np.where(x < -0.5, np.nan, 1 / np.cosh(x) ** 2))

    result = minimize(lambda x: np.log(np.cosh(x)).sum(), np.ones(2), jac=jac, hess=hess, **given)
    assert result.success
    np.testing.assert_allclose(result.x, 0, atol=1e-7)


@pytest.mark.parametrize(
    "given",
    [
        {}, {"bounds": Bounds(-5, 5)}, {"constraints": ROW}, {"constraints": LinearConstraint([[1, 1]], 0, 0)},
        {"options": {"preset": "paper"}}, {"options": {"inner": "sparse"}}, {"options": {"inequality": "active-set"}},
        {"hess": lambda x: scipy.sparse.csr_array(np.full((2, 2), np.inf)), "options": {"inner": "sparse"}},
    ],
)  # fmt: skip
def test_a_hessian_that_is_not_finite_is_told(given):
    keywords = {"jac": rosen_der, "hess": lambda x: np.full((2, 2), np.nan), **given}
    result = minimize(rosen, [0.5, -0.5], **keywords)
    assert result.status is Status.NONFINITE
    assert not result.success


def test_a_hessian_that_is_infinite_on_a_bound_alone():
    """x^1.5 has no curvature at 0, where the solve is asked to start."""
    result = minimize(
        lambda x: (x**1.5 - x).sum(), np.zeros(3), jac=lambda x: 1.5 * np.sqrt(x) - 1,
        hess=lambda x: np.diag([0.75 / np.sqrt(v) if v > 0 else INF for v in x]), bounds=Bounds(0, 5),
    )  # fmt: skip
    assert result.success
    np.testing.assert_allclose(result.x, 4 / 9, atol=1e-7)


def test_exceptions_of_the_users_propagate():
    class MineError(Exception):
        pass

    def late(x, calls=[]):  # noqa: B006
        calls.append(1)
        if len(calls) > 5:
            raise MineError
        return rosen(x)

    with pytest.raises(MineError):
        minimize(late, [0, 0], jac=rosen_der)


# ---- the check of derivatives ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"jac": lambda x: rosen_der(x) + np.array([0, 0.1, 0])}, r"jac is not the derivative at x0: entry \[1\]"),
        ({"hess": lambda x: rosen_hess(x) + np.diag([0, 0, 7.0])}, r"hess is not .* entry \[2, 2\]"),
        ({"hessp": lambda x, p: 2 * (rosen_hess(x) @ p)}, "hessp? is not the derivative"),
        ({"constraints": [ROW3 := LinearConstraint(np.eye(3), -5, 5), disc(jac=lambda x: 2 * x + [0, 0, 1])]},
         r"constraints\[1\].jac is not .* entry \[0, 2\]"),
        ({"constraints": disc(hess=lambda x, v: v[0] * np.eye(3))}, r"constraints.hess is not .* entry \[0, 0\]"),
    ],
)  # fmt: skip
def test_check_derivatives(changes, message):
    given = {"jac": rosen_der, "constraints": disc(), **changes}
    with pytest.raises(ValueError, match=message):
        minimize(rosen, [0.3, -0.2, 0.4], check_derivatives=True, **given)
    with pytest.raises(ValueError, match=message):
        minimize(rosen, [0.3, -0.2, 0.4], options={"check_derivatives": True}, **given)


def test_derivatives_that_pass_the_check():
    given = {"jac": rosen_der, "hess": rosen_hess, "constraints": [ROW3, disc()], "bounds": Bounds(-1, [1, 2, 0.4])}
    assert minimize(rosen, [0.3, -0.2, 0.4], check_derivatives=True, **given).success
