"""Dense programs in C: LDL' against eigenvalues, the backend against its twin, and how often functions are called."""

import ctypes
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import LowLevelCallable
from scipy.optimize import NonlinearConstraint

from solvers._base.iterate import Control, run
from solvers.optimize import minimize
from solvers.optimize._gala import METHOD, Gala
from solvers.optimize._kernels import LDL, Compiled, DenseNLP, PythonNLP
from solvers.optimize._problem import NonlinearProblem

from .programs import EQUALITIES, equalities, program
from .twin import DenseTwin

EPS = np.finfo(float).eps


def saddle(rng, n, kind):
    """A symmetric matrix of order n, entries of size 1: whole, of low rank, a KKT matrix, or with a hollow diagonal."""
    K = rng.standard_normal((n, n))
    K = K + K.T
    if kind == "rank":
        B = rng.standard_normal((n, rng.integers(0, n + 1)))
        K = (B * rng.choice([-1.0, 1.0], B.shape[1])) @ B.T
    elif kind == "kkt":
        m = n // 3
        K[n - m :, n - m :] = 0
        if m > 1 and n % 2:  # two rows of the Jacobian are parallel
            K[-1], K[:, -1] = 2 * K[-2], 2 * K[:, -2]
    elif kind == "hollow":
        np.fill_diagonal(K, 0)
    return K / max(np.abs(K).max(initial=0), 1e-300)


@pytest.mark.parametrize("kind", ["whole", "rank", "kkt", "hollow"])
def test_inertia_and_solutions(kind, seed):
    rng = np.random.default_rng(seed)
    for n in [*range(1, 61), *range(1, 61), 80, 97, 120, 130, 150]:
        K = saddle(rng, n, kind)
        values = np.linalg.eigvalsh(K)
        zero = np.abs(values) <= 1e-12
        factor = LDL(K, 4 * n * EPS, lapack=False)
        assert (factor.negative, factor.zero) == ((values[~zero] < 0).sum(), zero.sum()), n
        z = factor.solve(K @ rng.standard_normal(n))  # a right-hand side that has a solution
        b = K @ z
        np.testing.assert_allclose(K @ factor.solve(b), b, rtol=0, atol=1e-13 * n * max(1, np.abs(z).max()))


@pytest.mark.parametrize("kind", ["whole", "rank", "kkt"])
def test_lapack_says_the_same(kind, seed):
    K = saddle(np.random.default_rng(seed), 270, kind)
    own, other = (LDL(K, 4 * 270 * EPS, lapack=lapack) for lapack in (False, True))
    # of what is zero the order of sums decides whether it is rounding
    spread = 3 if kind == "rank" else 0
    assert abs(own.negative - other.negative) <= spread
    assert abs(own.zero - other.zero) <= spread
    b = K @ np.ones(270)
    np.testing.assert_allclose(K @ other.solve(b), b, rtol=0, atol=1e-10)


@given(st.integers(1, 9), st.integers(-30, 30), st.integers(0, 2**31))
@settings(max_examples=50, deadline=None)
def test_signs_do_not_depend_on_the_order(n, exponent, seed):
    """Sylvester: K, PKP' and 2^k K have the same inertia."""
    rng = np.random.default_rng(seed)
    K = rng.integers(-2, 3, (n, n)).astype(float)
    K = K + K.T
    order, scale = rng.permutation(n), 2.0**exponent
    one, other = LDL(K, 1e-13 * 4), LDL(scale * K[np.ix_(order, order)], scale * 1e-13 * 4)
    assert (one.negative, one.zero) == (other.negative, other.zero)


def random_program(rng, n, m):
    """Quadratic f and c, so that all derivatives are plain."""
    Q = rng.standard_normal((m + 1, n, n))
    Q = Q + Q.transpose(0, 2, 1)
    a = rng.standard_normal((m + 1, n))

    def both(x):
        return Q @ x @ x / 2 + a @ x

    plain = program(np.zeros(n), lambda x: 0.0, [None] * m)
    return replace(
        plain,
        fun=lambda x: both(x)[0],
        gradient=lambda x: Q[0] @ x + a[0],
        constraints=lambda x: both(x)[1:],
        jacobian=lambda x: Q[1:] @ x + a[1:],
        hessian=lambda x, sigma, y: sigma * Q[0] + np.tensordot(y, Q[1:], 1),
    )


@pytest.mark.parametrize(("n", "m"), [(1, 0), (1, 1), (5, 2), (13, 6), (40, 11), (8, 12), (200, 90)])
def test_the_backend_is_its_twin(n, m, seed):
    rng = np.random.default_rng(seed)
    problem = random_program(rng, n, m)
    dense, twin = DenseNLP(problem), PythonNLP(DenseTwin(problem))
    x, v, y = rng.standard_normal(n), rng.standard_normal(n), rng.standard_normal(m)
    dx, dc = rng.random(n) * 10.0 ** rng.integers(-2, 4, n), rng.random(m) * 1e-2
    rhs, scales = rng.standard_normal(n + m), (0.5, rng.random(m))
    dense.values(x)
    for nlp in (dense, twin):
        nlp.scale(*scales)
    near = {"rtol": 1e-12, "atol": 1e-12 * n * n}
    for ours, theirs in zip(dense.values(x), twin.values(x), strict=True):
        np.testing.assert_allclose(ours, theirs, **near)
    np.testing.assert_allclose(dense.slopes(x), twin.slopes(x), **near)
    dense.curvature(x, 0.7, y)
    twin.curvature(x, 0.7, y)
    np.testing.assert_allclose(dense.rows(), twin.rows(), **near)
    np.testing.assert_allclose(dense.jacobian(v), twin.jacobian(v), **near)
    np.testing.assert_allclose(dense.adjoint(y), twin.adjoint(y), **near)
    np.testing.assert_allclose(dense.hessian(v), twin.hessian(v), **near)
    for with_hessian in (True, False):
        counts = dense.factor(with_hessian, dx, dc)
        assert counts == twin.factor(with_hessian, dx, dc)
        z = dense.solve(rhs, 1e-14)
        product = dx * z[:n] + twin.adjoint(z[n:]) + (twin.hessian(z[:n]) if with_hessian else 0)
        np.testing.assert_allclose(product, rhs[:n], rtol=0, atol=1e-9)
        np.testing.assert_allclose(twin.jacobian(z[:n]) - dc * z[n:], rhs[n:], rtol=0, atol=1e-9)


def test_rows_that_depend_on_one_another_are_zeros():
    problem = replace(random_program(np.random.default_rng(3), 6, 3), jacobian=lambda x: np.ones((3, 6)))
    dense = DenseNLP(problem)
    dense.slopes(np.zeros(6))
    assert dense.factor(False, np.ones(6), np.zeros(3)) == (1, 2)
    assert dense.factor(False, np.ones(6), np.full(3, 1e-8)) == (3, 0)


def test_huge_and_small_diagonals_keep_their_signs():
    """A variable that is held by 1e20 beside one that is free, and a row that is let go by 1e20."""
    problem = replace(random_program(np.random.default_rng(3), 3, 2), jacobian=lambda x: np.eye(3)[:2])
    dense = DenseNLP(problem)
    dense.slopes(np.zeros(3))
    for dx, dc in (([1e20, 1, 1e-9], [0, 0]), ([1e20, 1e20, 1e-12], [0, 1e20]), ([1e-9, 1, 1], [1e20, 1e-8])):
        assert dense.factor(False, np.array(dx, float), np.array(dc, float)) == (2, 0)
        z = dense.solve(np.ones(5), 1e-12)
        assert np.isfinite(z).all()
        assert z[2] == pytest.approx(1 / dx[2])


def test_what_is_not_finite_cannot_be_factored():
    problem = replace(random_program(np.random.default_rng(3), 3, 2), jacobian=lambda x: np.full((2, 3), np.nan))
    dense = DenseNLP(problem)
    dense.slopes(np.zeros(3))
    assert dense.factor(False, np.ones(3), np.zeros(2)) is None


def test_nothing_is_evaluated_twice():
    calls = []

    def counted(name, function):
        def call(*args):
            calls.append(name)
            return function(*args)

        return call

    names = ("fun", "gradient", "constraints", "jacobian", "hessian")
    problem = random_program(np.random.default_rng(3), 4, 2)
    dense = DenseNLP(replace(problem, **{name: counted(name, getattr(problem, name)) for name in names}))
    start, refused, accepted, y = np.zeros(4), np.ones(4), np.full(4, 0.5), np.ones(2)
    dense.values(start)
    dense.slopes(start)
    dense.curvature(start, 1.0, y)
    dense.values(refused)
    dense.values(accepted)
    dense.slopes(accepted)
    dense.values(accepted)
    dense.values(start)
    dense.slopes(start)
    dense.slopes(accepted)
    dense.curvature(accepted, 1.0, y)
    dense.curvature(accepted, 1.0, y)
    assert {name: calls.count(name) for name in names} == dict(zip(names, (3, 2, 3, 2, 2), strict=True))


def test_what_a_function_raises_comes_out():
    def fails(x):
        raise KeyError("mine")

    problem = random_program(np.random.default_rng(3), 4, 2)
    with pytest.raises(KeyError, match="mine"):
        DenseNLP(replace(problem, constraints=fails)).values(np.zeros(4))
    with pytest.raises(ValueError, match="2 numbers were expected, not 3"):
        DenseNLP(replace(problem, constraints=lambda x: np.zeros(3))).values(np.zeros(4))
    with pytest.raises(ValueError, match=r"shape \(2, 4\) was expected, not \(4, 2\)"):
        DenseNLP(replace(problem, jacobian=lambda x: np.zeros((4, 2)))).slopes(np.zeros(4))


def test_compiled_functions_beside_pythons():
    """f, its gradient and c compiled, J and H of Python: the same numbers, and the compiled calls are counted."""
    doubles = ctypes.POINTER(ctypes.c_double)

    @ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_int, doubles, ctypes.c_void_p)
    def fun(n, x, data):
        return (1 - x[0]) ** 2

    @ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_int, doubles, doubles, ctypes.c_void_p)
    def con(n, m, x, c, data):
        c[0] = 10 * (x[1] - x[0] ** 2)

    problem = equalities("HS6")
    compiled = Compiled(2, LowLevelCallable(fun), constraints=[(1, LowLevelCallable(con), None, None)])
    mixed = replace(problem, compiled=compiled)
    one, other = DenseNLP(problem), DenseNLP(mixed)
    x = problem.x0
    assert one.values(x) == other.values(x)
    assert one.slopes(x).tolist() == other.slopes(x).tolist()
    assert (mixed.calls.nfev, mixed.calls.njev) == (1, 0)
    with pytest.raises(ValueError, match="2 variables and 1 rows do not fit"):
        DenseNLP(replace(mixed, row_lower=np.zeros(3), row_upper=np.zeros(3)))


def columns(nlp):
    return np.array([nlp.hessian(e) for e in np.eye(nlp.n)])


@pytest.mark.parametrize("kind", ["bfgs", "sr1", "lbfgs"])
def test_approximations_learn_a_quadratic(kind, seed):
    """With exact line searches on a convex quadratic: the secant equation, and its minimum after 3 n steps at most."""
    rng = np.random.default_rng(seed)
    n = 6
    Q = rng.standard_normal((n, n))
    Q = Q @ Q.T + np.eye(n)
    problem = program(np.zeros(n), lambda x: 0.0)
    nlp = DenseNLP(replace(problem, gradient=lambda x: Q @ x, hessian=kind))
    x, y = rng.standard_normal(n), np.zeros(0)
    first = np.linalg.norm(Q @ x)
    B = s = None
    for k in range(3 * n):
        g = nlp.slopes(x)
        nlp.curvature(x, 1.0, y)
        before, B = B, columns(nlp)
        if k > 1 and (kind == "sr1" or s @ Q @ s >= 0.2 * s @ before @ s):
            np.testing.assert_allclose(B @ s, Q @ s, rtol=0, atol=1e-9 * np.linalg.norm(B) * np.linalg.norm(s))
        if np.linalg.norm(g) <= 1e-9 * first:
            break
        nlp.factor(True, np.zeros(n), y)
        d = nlp.solve(-g, 1e-12)
        s = -(g @ d) / (d @ Q @ d) * d
        x = x + s
    assert np.linalg.norm(Q @ x) <= 1e-8 * first
    if kind == "sr1":
        np.testing.assert_allclose(B, Q, rtol=0, atol=1e-6 * np.linalg.norm(Q))


@pytest.mark.parametrize("kind", ["bfgs", "lbfgs"])
def test_damping_keeps_approximations_positive(kind, seed):
    """Whatever the steps are, and the curvature of the Lagrangian along them; the multipliers are those of the call."""
    rng = np.random.default_rng(seed)
    problem = replace(random_program(rng, 5, 2), hessian=kind)
    nlp = DenseNLP(problem)
    for _ in range(25):
        x, y = rng.standard_normal(5), rng.standard_normal(2)
        nlp.curvature(x, 1.0, y)
        values = np.linalg.eigvalsh(columns(nlp))
        assert values[0] > 1e-14 * values[-1]
    nlp.curvature(x, 0.0, y)
    assert not columns(nlp).any()


def test_approximations_see_the_constraints_curve():
    """f is linear: all the curvature is that of y'c."""
    problem = random_program(np.random.default_rng(3), 4, 1)
    H = problem.hessian(np.zeros(4), 0.0, np.ones(1))
    nlp = DenseNLP(replace(problem, gradient=lambda x: np.ones(4), hessian="sr1"))
    x, y = np.zeros(4), np.array([2.5])
    for e in np.vstack([np.zeros(4), np.eye(4), np.ones(4)]):
        x = x + e
        nlp.curvature(x, 1.0, y)
    np.testing.assert_allclose(columns(nlp), 2.5 * H, rtol=0, atol=1e-9)


def test_an_unknown_approximation():
    with pytest.raises(ValueError, match="hess must be one of bfgs, sr1, lbfgs, not 'dfp'"):
        DenseNLP(replace(equalities("HS6"), hessian="dfp"))


def solved(problem, every=False):
    return NonlinearProblem(problem, 1e-8, 200, every=every)


@pytest.mark.parametrize("kind", ["bfgs", "sr1", "lbfgs"])
@pytest.mark.parametrize("name", ["HS7", "HS39", "HS77", "BT12"])
def test_programs_without_hessians(name, kind):
    problem = replace(equalities(name), hessian=kind)
    result = run(METHOD, solved(problem), Control(200))
    assert result.success
    assert result.fun == pytest.approx(EQUALITIES[name][3], abs=1e-6)
    assert result.nhev == 0


@pytest.mark.parametrize("kind", ["bfgs", "sr1", "lbfgs"])
def test_what_is_learned_goes_on_to_the_same_bits(kind):
    """From a state that was saved, with a backend that has seen nothing."""
    problem, solver = replace(equalities("HS77"), hessian=kind), Gala()
    run_of = solved(problem, every=True)
    state = solver.init(run_of)
    for _ in range(8):
        state = solver.step(run_of, state)
    saved = replace(state, core=state.core.copy())
    fresh = solved(problem, every=True)
    for _ in range(4):
        state, saved = solver.step(run_of, state), solver.step(fresh, saved)
        assert state.core.tobytes() == saved.core.tobytes()


@pytest.mark.parametrize("kind", ["bfgs", "sr1", "lbfgs"])
def test_approximations_through_minimize(kind):
    problem = equalities("HS77")
    rows = NonlinearConstraint(problem.constraints, 0, 0, jac=problem.jacobian, hess=lambda x, v: 1 / 0)
    result = minimize(problem.fun, problem.x0, jac=problem.gradient, hess=kind, constraints=rows, tol=1e-8)
    assert result.success
    assert result.fun == pytest.approx(EQUALITIES["HS77"][3], abs=1e-6)
