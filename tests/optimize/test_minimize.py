"""minimize with method bcd: the user's functions, compiled ones, penalties, and what may go wrong."""

import ctypes

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse
from scipy import LowLevelCallable
from scipy.optimize import rosen, rosen_der, rosen_hess

import solvers
from solvers import Status, minimize

RNG = np.random.default_rng(12)
A = RNG.standard_normal((9, 6))
Q, C = A.T @ A + np.eye(6), RNG.standard_normal(6)


def bowl(x):
    return x @ (Q @ x / 2 - C)


def slope(x):
    return Q @ x - C


@pytest.mark.parametrize("update", ["la", "newton", "lb"])
@pytest.mark.parametrize("rule", ["perm", "cyclic", "gs"])
def test_a_bowl(update, rule):
    given = {"bound": Q.diagonal()} if update == "lb" else {}
    result = minimize(
        bowl, np.ones(6), jac=slope, blocks=2, tol=1e-8, options={"update": update, "selection": rule}, **given
    )
    assert result.success
    np.testing.assert_allclose(result.x, np.linalg.solve(Q, C), atol=1e-7)
    assert result.fun == bowl(result.x)
    np.testing.assert_array_equal(result.jac, slope(result.x))
    assert result.nfev > 0
    assert result.njev > 0


def test_counts_are_calls():
    calls = {"fun": 0, "jac": 0, "hess": 0}

    def counted(name, function):
        def call(*arguments):
            calls[name] += 1
            return function(*arguments)

        return call

    result = minimize(
        counted("fun", rosen), np.zeros(6), jac=counted("jac", rosen_der), blocks=3, max_iter=40,
        block_hess=counted("hess", lambda x, b: rosen_hess(x)[np.ix_(b, b)]), options={"update": "newton"},
    )  # fmt: skip
    assert (result.nfev, result.njev, result.nhev) == (calls["fun"], calls["jac"], calls["hess"])


def test_not_convex():
    x0 = np.array([-1.2, 1.0, 0.5, 2.0, -0.3, 1.0])
    seen = []
    result = minimize(rosen, x0, jac=rosen_der, blocks=6, tol=1e-9, options={"update": "newton"},
                      callback=lambda r: seen.append(rosen(r.x)))  # fmt: skip
    assert result.success
    assert (np.diff([rosen(x0), *seen]) <= 1e-12).all()
    assert np.abs(rosen_der(result.x)).max() <= 1e-9


@pytest.mark.parametrize("block_only", [False, True])
def test_block_gradients_and_differences(block_only):
    def partial(x, b):
        assert not block_only or len(b) in (2, 6)
        return slope(x)[b]

    given = {"block_grad": partial} if block_only else {}
    result = minimize(bowl, np.ones(6), blocks=2, tol=1e-5, **given)
    assert result.success
    np.testing.assert_allclose(result.x, np.linalg.solve(Q, C), atol=1e-4)
    if not block_only:
        assert result.njev == 0


@pytest.mark.parametrize("penalty", [{"l1": 0.4}, {"nonneg": True}, {"l1": [0, 0.1, 0.2, 0.3, 0.4, 9.0]}])
@pytest.mark.parametrize("update", ["la", "two_metric"])
def test_penalties_against_the_quadratic_solver(penalty, update):
    expected = solvers.learning.quadratic(Q, C, penalty=penalty, tol=1e-12)
    result = minimize(bowl, np.zeros(6), jac=slope, penalty=penalty, blocks=3, tol=1e-8, options={"update": update})
    assert result.success
    np.testing.assert_allclose(result.x, expected.x, atol=1e-7)
    assert result.support.tolist() == expected.support.tolist()


def test_bounds_against_scipy():
    bounds = [(None, 0.1), (0, None), (-0.1, 0.1), (None, None), (0.2, 0.2), (-1, 1)]
    expected = scipy.optimize.minimize(bowl, np.zeros(6), jac=slope, bounds=bounds, method="L-BFGS-B", tol=1e-14)
    result = minimize(bowl, np.zeros(6), jac=slope, bounds=bounds, blocks=2, tol=1e-9)
    assert result.success
    np.testing.assert_allclose(result.x, expected.x, atol=1e-5)
    assert result.x[4] == 0.2


def test_a_prox_of_ones_own():
    class L1:
        def prox(self, v, step, b):
            return np.sign(v) * np.maximum(np.abs(v) - 0.4 * step, 0)

        def value(self, x):
            return 0.4 * np.abs(x).sum()

    expected = minimize(bowl, np.zeros(6), jac=slope, penalty={"l1": 0.4}, blocks=2, tol=1e-9)
    for given in (L1(), L1().prox):
        result = minimize(bowl, np.zeros(6), jac=slope, penalty=given, blocks=2, tol=1e-9)
        assert result.success
        np.testing.assert_allclose(result.x, expected.x, atol=1e-7)


def test_alternating_minimisation():
    """Rank one: given one factor the best other is known."""
    M = np.outer([1.0, 2.0, 3.0], [2.0, -1.0]) + 0.01

    def fun(x):
        return ((M - np.outer(x[:3], x[3:])) ** 2).sum() / 2

    def jac(x):
        R = np.outer(x[:3], x[3:]) - M
        return np.concatenate([R @ x[3:], R.T @ x[:3]])

    def best(x, b):
        u, v = x[:3], x[3:]
        return M @ v / (v @ v) if b[0] == 0 else M.T @ u / (u @ u)

    blocks = [[0, 1, 2], [3, 4]]
    result = minimize(fun, np.ones(5), jac=jac, block_min=best, blocks=blocks, tol=1e-9)
    assert result.success
    assert result.fun == pytest.approx(np.linalg.svd(M)[1][1] ** 2 / 2, rel=1e-6)
    worse = minimize(fun, np.ones(5), jac=jac, block_min=lambda x, b: x[b] + 5, blocks=blocks)
    assert worse.status is Status.BREAKDOWN
    np.testing.assert_array_equal(worse.x, np.ones(5))


def test_factors_of_a_matrix_that_are_not_negative():
    """HALS: given the others the best row or column is known in closed form."""
    rng = np.random.default_rng(4)
    M = rng.random((7, 5))

    def parts(x):
        return x[:14].reshape(2, 7).T, x[14:].reshape(2, 5)

    def fun(x):
        U, V = parts(x)
        return ((M - U @ V) ** 2).sum() / 2

    def jac(x):
        U, V = parts(x)
        R = U @ V - M
        return np.concatenate([(R @ V.T).T.ravel(), (U.T @ R).ravel()])

    def best(x, b):
        U, V = parts(x)
        k, side = (b[0] // 7, 0) if b[0] < 14 else ((b[0] - 14) // 5, 1)
        R = M - U @ V + np.outer(U[:, k], V[k])
        other = V[k] if side == 0 else U[:, k]
        return np.maximum((R @ other if side == 0 else R.T @ other) / max(other @ other, 1e-300), 0)

    blocks = [np.arange(7), np.arange(7, 14), np.arange(14, 19), np.arange(19, 24)]
    values = []
    result = minimize(fun, rng.random(24), jac=jac, block_min=best, blocks=blocks, penalty={"nonneg": True}, tol=1e-6,
                      callback=lambda r: values.append(fun(r.x)))  # fmt: skip
    assert result.success
    assert (result.x >= 0).all()
    assert (np.diff(values) <= 1e-14).all()
    assert result.fun < np.linalg.norm(M) ** 2 / 20


# ---- fewer gradients ---------------------------------------------------------------------------------


def test_one_gradient_for_all_blocks():
    values = []
    result = minimize(bowl, np.ones(6), jac=slope, blocks=2, tol=1e-8, options={"parallel": "jacobi"},
                      callback=lambda r: values.append(bowl(r.x)))  # fmt: skip
    assert result.success
    np.testing.assert_allclose(result.x, np.linalg.solve(Q, C), atol=1e-7)
    assert (np.diff([bowl(np.ones(6)), *values]) <= 1e-12).all()
    assert result.njev == result.nit + 2  # at x0, after each sweep, and for the answer


def test_differences_of_a_block_cost_its_size_and_one():
    calls = []
    result = minimize(lambda x: (calls.append(1), bowl(x))[1], np.ones(6), blocks=2, max_iter=1, tol=1e-12,
                      options={"update": "la", "selection": "cyclic"})  # fmt: skip
    assert result.nfev == len(calls)
    again = minimize(bowl, np.ones(6), blocks=2, max_iter=2, tol=1e-12,
                     options={"update": "la", "selection": "cyclic"})  # fmt: skip
    tried = again.nfev - result.nfev - 3
    assert 1 <= tried <= 40  # 3 for the gradient of the block, the rest for its step


# ---- hessians with a graph ---------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["path", "ring"])
def test_newton_steps_on_smooth_pairwise_costs(shape):
    """sum of sqrt(1 + (x_i - x_j)^2) along a graph: its Hessian has that graph, a path is eliminated."""
    size = 30
    i = np.arange(size if shape == "ring" else size - 1)
    j = (i + 1) % size
    y = np.random.default_rng(2).standard_normal(size)

    def fun(x):
        return np.sqrt(1 + (x[i] - x[j]) ** 2).sum() + 0.5 * ((x - y) ** 2).sum()

    def jac(x):
        g, t = x - y, (x[i] - x[j]) / np.sqrt(1 + (x[i] - x[j]) ** 2)
        np.add.at(g, i, t)
        np.subtract.at(g, j, t)
        return g

    def hess(x, b):
        w = (1 + (x[i] - x[j]) ** 2) ** -1.5
        half = scipy.sparse.coo_array((-w, (i, j)), shape=(size, size))
        off = half + half.T
        return scipy.sparse.csr_array(off - scipy.sparse.diags_array(off.sum(axis=1) - 1))[b][:, b]

    result = minimize(fun, np.zeros(size), jac=jac, block_hess=hess, blocks=[np.arange(size)], tol=1e-11,
                      options={"update": "newton"})  # fmt: skip
    dense = minimize(fun, np.zeros(size), jac=jac, block_hess=lambda x, b: hess(x, b).toarray(),
                     blocks=[np.arange(size)], tol=1e-11, options={"update": "newton"})  # fmt: skip
    assert result.success
    assert result.nit == dense.nit < 12
    np.testing.assert_allclose(result.x, dense.x, atol=1e-10)


# ---- compiled functions ------------------------------------------------------------------------------


@ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_int, ctypes.POINTER(ctypes.c_double), ctypes.c_void_p)
def compiled_value(n, x, data):
    scale = ctypes.cast(data, ctypes.POINTER(ctypes.c_double))[0] if data else 1.0
    return scale * sum((x[i] - i) ** 2 for i in range(n))


@ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.POINTER(ctypes.c_double), ctypes.POINTER(ctypes.c_double), ctypes.c_void_p)
def compiled_gradient(n, x, g, data):
    scale = ctypes.cast(data, ctypes.POINTER(ctypes.c_double))[0] if data else 1.0
    for i in range(n):
        g[i] = scale * 2 * (x[i] - i)


@pytest.mark.parametrize("scale", [None, 3.0])
def test_low_level_callables(scale):
    data = None if scale is None else ctypes.cast(ctypes.pointer(ctypes.c_double(scale)), ctypes.c_void_p)
    fun, jac = (LowLevelCallable(f, data) for f in (compiled_value, compiled_gradient))
    result = minimize(fun, np.zeros(4), jac=jac, blocks=2, tol=1e-9)
    assert result.success
    np.testing.assert_allclose(result.x, np.arange(4), atol=1e-8)
    assert minimize(fun, np.full(4, 2.0), max_iter=0).fun == (scale or 1.0) * 6


@pytest.mark.numba
def test_numba():
    import numba
    from numba import types

    pointer = types.CPointer(types.double)

    @numba.cfunc(types.double(types.intc, pointer, types.voidptr))
    def value(n, x, data):
        total = 0.0
        for i in range(n):
            total += (x[i] - i) ** 2
        return total

    @numba.cfunc(types.void(types.intc, pointer, pointer, types.voidptr))
    def gradient(n, x, g, data):
        for i in range(n):
            g[i] = 2 * (x[i] - i)

    for given, tol in (({}, 1e-5), ({"jac": gradient}, 1e-10)):
        result = minimize(value, np.zeros(4), blocks=2, tol=tol, **given)
        assert result.success
        np.testing.assert_allclose(result.x, np.arange(4), atol=tol)


# ---- what may go wrong -------------------------------------------------------------------------------


def test_nan_in_a_line_search_is_stepped_back_from():
    def fun(x):
        return np.nan if (x > 2).any() else -np.log(2 - x).sum() - 10 * x.sum()

    def jac(x):
        return 1 / (2 - x) - 10

    for update in ("newton", "la"):
        result = minimize(fun, np.zeros(2), jac=jac, tol=1e-8, blocks=1, options={"update": update})
        assert result.success
        np.testing.assert_allclose(result.x, 1.9, atol=1e-8)
    with pytest.raises(ValueError, match="fun must be finite at x0"):
        minimize(fun, np.full(2, 3.0), jac=jac, method="bcd")


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"fun": 3}, TypeError, "fun must be callable"),
        ({"jac": 3}, TypeError, "jac must be callable"),
        ({"block_grad": 3}, TypeError, "block_grad must be callable"),
        ({"x0": [np.nan] * 6}, ValueError, "x0 must be finite"),
        ({"x0": np.zeros(6, complex)}, TypeError, "x0 must be real"),
        ({"jac": lambda x: x[:2]}, ValueError, "jac must return 6 entries"),
        ({"bound": [1.0]}, ValueError, "bound"),
        ({"bound": -1.0}, ValueError, "bound"),
        ({"blocks": [[0, 1], [1, 2]]}, ValueError, "blocks"),
        ({"options": {"selection": "gsl"}}, ValueError, "bound="),
        ({"options": {"update": "exact"}}, ValueError, "'exact' needs a quadratic"),
        ({"tol": 0.0}, ValueError, "tol"),
        ({"method": "bfgs"}, ValueError, "bfgs"),
    ],
)
def test_bad_input(changes, error, message):
    given = {"fun": bowl, "x0": np.zeros(6), "jac": slope, "method": "bcd", **changes}
    with pytest.raises(error, match=message):
        minimize(given.pop("fun"), given.pop("x0"), **given)


def test_no_coordinates():
    assert minimize(lambda x: 0.0, [], method="bcd").success
    with pytest.raises(ValueError, match="x0 must have at least one entry"):
        minimize(lambda x: 0.0, [])
