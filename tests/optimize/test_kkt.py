"""KKT systems: sparse factors, Krylov methods and `kkt_solve`, against NumPy's eigenvalues and solutions."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from scipy.fft import dstn
from scipy.sparse.linalg import LinearOperator

import solvers
from solvers._base.errors import OptionError
from solvers.optimize import kkt_solve
from solvers.optimize._kernels import Multifrontal
from solvers.optimize._krylov import KrylovKKT
from solvers.optimize._routes import route
from solvers.optimize._sparse import SparseKKT, SparseNLP
from tests.optimize.programs import equalities
from tests.optimize.twin import DenseTwin

METHODS = ("dense", "sparse", "minres", "projected-cg")


def whole(H, J, dx=0.0, dc=0.0):
    H, J = (A.toarray() if sp.issparse(A) else A for A in (H, J))
    m, n = J.shape
    return np.block([[H + dx * np.eye(n), J.T], [J, -dc * np.eye(m)]])


def poisson_control(N):
    """Hessian and Jacobian of 1/2 |w - wt|^2 + 0.05 |z|^2 with the 5-point Laplacian of w plus z = 0."""
    T = sp.diags_array([np.ones(N - 1), -2 * np.ones(N), np.ones(N - 1)], offsets=[-1, 0, 1]) * ((N + 1) / 2) ** 2
    one = sp.eye_array(N)
    n = N * N
    H = sp.diags_array(np.repeat([1.0, 0.1], n)).tocsr()
    return H, sp.hstack([sp.kron(T, one) + sp.kron(one, T), sp.eye_array(n)]).tocsr()


def random_kkt(rng, n, m, density, convex):
    H = sp.random_array((n, n), density=density, rng=rng, data_sampler=rng.standard_normal)
    H = (H @ H.T + sp.eye_array(n)) if convex else H + H.T
    J = sp.random_array((m, n), density=max(density, 0.1), rng=rng, data_sampler=rng.standard_normal)
    return sp.csr_array(H), sp.csr_array(J + sp.eye_array(m, n))


@pytest.mark.parametrize(("n", "m"), [(1, 0), (1, 1), (7, 0), (9, 4), (30, 30), (80, 25), (300, 120)])
@pytest.mark.parametrize("convex", [True, False])
def test_inertia_and_solutions_of_sparse_factors(n, m, convex, seed):
    rng = np.random.default_rng(seed)
    H, J = random_kkt(rng, n, m, min(1, 3 / n), convex)
    dx, dc = rng.uniform(0, 1, n), rng.uniform(0, 1, m) * (seed % 2)
    K = whole(H, J) + np.diag(np.concatenate([dx, -dc]))
    kkt = SparseKKT(n, m)
    negative, zero = kkt.factor(H, J, dx, dc)
    signs = np.linalg.eigvalsh(K)
    assert (negative, zero) == ((signs < 0).sum(), 0)
    z0 = rng.standard_normal(n + m)
    np.testing.assert_allclose(kkt.solve(K @ z0, 1e-14), z0, rtol=0, atol=1e-9 * np.linalg.cond(K) ** 0.5)


@given(st.integers(2, 40), st.integers(1, 10), st.integers(0, 2**32 - 1))
def test_rows_that_repeat_are_zeros(n, m, number):
    """A Jacobian with every row twice: as many zeros as rows, and a solution where there is one."""
    rng = np.random.default_rng(number)
    m = min(m, n // 2)
    H, J = random_kkt(rng, n, m, 0.2, True)
    J = sp.csr_array(sp.vstack([J, J]))
    kkt = SparseKKT(n, 2 * m)
    assert kkt.factor(H, J, np.zeros(n), np.zeros(2 * m)) == (m, m)
    K = whole(H, J)
    rhs = K @ rng.standard_normal(n + 2 * m)
    z = kkt.solve(rhs, 1e-10)
    assert np.linalg.norm(K @ z - rhs) <= 1e-8 * np.linalg.norm(rhs)
    if m:
        wrong = rhs.copy()
        wrong[n] += np.linalg.norm(rhs) + 1
        assert kkt.solve(wrong, 1e-10) is None


def test_huge_diagonals_fix_variables_and_free_rows(seed):
    rng = np.random.default_rng(seed)
    H, J = random_kkt(rng, 20, 8, 0.2, False)
    dx, dc = np.zeros(20), np.zeros(8)
    dx[3], dc[2] = 1e20, 1e20
    kkt = SparseKKT(20, 8)
    negative, zero = kkt.factor(H, J, dx, dc)
    free = np.delete(np.arange(28), [3, 22])
    K = whole(H, J)[np.ix_(free, free)]
    assert (negative, zero) == ((np.linalg.eigvalsh(K) < 0).sum() + 1, 0)
    rhs = rng.standard_normal(28)
    z = kkt.solve(rhs, 1e-12)
    np.testing.assert_allclose(z[free], np.linalg.solve(K, rhs[free]), rtol=1e-6, atol=1e-8)
    assert np.abs(z[[3, 22]]).max() < 1e-15


def test_the_analysis_is_kept_for_new_values():
    H, J = poisson_control(8)
    kkt = SparseKKT(128, 64)
    kkt.factor(H, J, np.zeros(128), np.zeros(64))
    factors, rhs = kkt.factors, np.arange(192.0)
    for hessian, shift in ((2 * H, 0.5), (None, 1.0)):
        dx = np.full(128, shift)
        assert kkt.factor(hessian, J, dx, np.zeros(64)) == (64, 0)
        assert kkt.factors is factors
        K = whole(0 * H if hessian is None else hessian, J, shift)
        np.testing.assert_allclose(kkt.solve(rhs, 1e-14), np.linalg.solve(K, rhs), rtol=1e-8)
    kkt.factor(H + sp.csr_array(([1.0, 1.0], ([0, 9], [9, 0])), (128, 128)), J, np.zeros(128), np.zeros(64))
    assert kkt.factors is not factors


def test_fill_is_that_of_a_good_order():
    """Of the KKT matrix of a plane grid: at most 12 entries of L a row times log2 of the order."""
    H, J = poisson_control(48)
    kkt = SparseKKT(2 * 48**2, 48**2)
    assert kkt.factor(H, J, np.zeros(2 * 48**2), np.zeros(48**2)) == (48**2, 0)
    assert kkt.factors.entries <= 12 * 3 * 48**2 * np.log2(3 * 48**2)
    assert kkt.factors.delayed == 0


def test_a_pivot_that_is_put_off_comes_later(seed):
    """No diagonal at all: [[0, B'], [B, 0]]; and a dense row and column."""
    rng = np.random.default_rng(seed)
    N = 151
    B = sp.random_array((75, 75), density=0.03, rng=rng, data_sampler=rng.standard_normal) + 3 * sp.eye_array(75)
    K = sp.block_array([[None, B.T, None], [B, None, None], [None, None, [[1.0]]]]).tolil()
    K[N - 1, :] = K[:, N - 1] = rng.standard_normal((1, N))
    K = sp.csc_array(K)
    factors = Multifrontal(K.indptr.astype(np.int32), K.indices.astype(np.int32))
    negative, zero = factors.factor(K.data, 1e-2, 1e-13)
    assert (negative, zero) == ((np.linalg.eigvalsh(K.toarray()) < 0).sum(), 0)
    assert factors.delayed > 0
    rhs = rng.standard_normal(N)
    np.testing.assert_allclose(K @ factors.solve(rhs), rhs, atol=1e-9)


@pytest.mark.parametrize(
    ("starts", "index"), [([0, 1, 1], [0, 1]), ([0, 2, 1], [0]), ([0, 1, 2], [0, 2]), ([0], []), ([0, 1, 2], [0, -1])]
)
def test_patterns_that_are_none(starts, index):
    with pytest.raises(ValueError, match=r"starts|index"):
        Multifrontal(np.array(starts, np.int32), np.array(index, np.int32))


def test_what_is_not_finite_is_no_solution():
    H, J = poisson_control(4)
    kkt = SparseKKT(32, 16)
    dx = np.zeros(32)
    dx[5] = np.nan
    kkt.factor(H, J, dx, np.zeros(16))
    assert kkt.solve(np.ones(48), 1e-8) is None


@pytest.mark.parametrize("name", ["HS7", "HS39", "HS61"])
def test_the_sparse_backend_is_its_twin(name):
    program = equalities(name)
    ours, twin = SparseNLP(program), DenseTwin(program)
    n, m = program.n, program.m
    x, y = program.x0 + 0.1, np.linspace(-1, 1, m)
    for backend in (ours, twin):
        backend.values(x)
        backend.slopes(x)
        backend.curvature(x, 1.0, y)
    dx, dc = np.full(n, 0.3), np.full(m, 1e-3)
    for with_hessian in (False, True):
        assert ours.factor(with_hessian, dx, dc) == twin.factor(with_hessian, dx, dc)
        rhs = np.arange(1.0, n + m + 1)
        np.testing.assert_allclose(ours.solve(rhs, 1e-12), twin.solve(rhs, 1e-12), rtol=1e-7)


@pytest.mark.parametrize("method", METHODS)
def test_methods_agree(method, seed):
    rng = np.random.default_rng(seed)
    H, J = random_kkt(rng, 60, 20, 0.1, True)
    b = rng.standard_normal(80)
    for hessian, jacobian in ((H, J), (H.toarray(), J.toarray())):
        result = kkt_solve(hessian, jacobian, b, method, dc=1e-3)
        assert result.success
        assert result.method == method
        np.testing.assert_allclose(result.x, np.linalg.solve(whole(H, J, dc=1e-3), b), rtol=0, atol=1e-6)
        assert result.residual_norm <= 1e-10 * np.linalg.norm(b)
        assert result.inertia == ((60, 20, 0) if method in ("dense", "sparse") else None)


@pytest.mark.parametrize("method", ["minres", "projected-cg"])
def test_negative_curvature_is_no_solution(method):
    H, J = sp.diags_array([1.0, -2.0, 3.0, 4.0]).tocsr(), sp.csr_array([[1.0, 0, 0, 1.0]])
    result = kkt_solve(H, J, [0.0, 1, 0, 0, 0], method)
    assert not result.success
    assert result.status == solvers.Status.BREAKDOWN
    assert kkt_solve(H, J, [0.0, 1, 0, 0, 0], method, dx=3.0).success


def fast_poisson(N):
    """An inverse of (I, 0.1 I, A A' + 10 I) by sine transforms."""
    lam = -((N + 1) ** 2) * np.sin(np.pi * np.arange(1, N + 1) / (2 * N + 2)) ** 2
    schur = (lam[:, None] + lam) ** 2 + 10
    n = N * N

    def apply(r):
        r = r.ravel()
        y = dstn(dstn(r[2 * n :].reshape(N, N), type=1) / schur, type=1) / (2 * (N + 1)) ** 2
        return np.concatenate([r[:n], 10 * r[n : 2 * n], y.ravel()])

    return LinearOperator((3 * n, 3 * n), matvec=apply, dtype=float)


@pytest.mark.parametrize("factory", [True, False])
def test_a_users_preconditioner(factory):
    H, J = poisson_control(12)
    M, seen = fast_poisson(12), []

    def made(H, J, dx, dc):
        seen.append((H.shape, J.shape, dx.shape, dc.shape))
        return M

    b = np.linspace(-1, 1, 432)
    result = kkt_solve(H, J, b, precond=made if factory else M)
    assert result.success
    assert result.method == "minres"
    assert "preconditioner" in result.message
    assert result.nit <= 30
    assert seen == ([((288, 288), (144, 288), (288,), (144,))] if factory else [])


def test_operators_go_to_the_methods_of_products():
    H, J = poisson_control(6)
    b = np.ones(108)
    operator = LinearOperator(H.shape, matvec=lambda v: H @ v, dtype=float)
    result = kkt_solve(operator, J, b)
    assert result.success
    assert result.method == "projected-cg"
    assert "products" in result.message
    jacobian = LinearOperator(J.shape, matvec=lambda v: J @ v, rmatvec=lambda y: J.T @ y, dtype=float)
    small = kkt_solve(operator, jacobian, b, rtol=1e-6)
    assert small.method == "minres"
    assert np.linalg.norm(whole(H, J) @ small.x - b) == pytest.approx(small.residual_norm, rel=1e-3)
    for method in ("dense", "sparse"):
        with pytest.raises(TypeError, match=method):
            kkt_solve(operator, J, b, method)


def test_the_choice_between_factors():
    H, J = poisson_control(6)
    assert kkt_solve(H, J, np.ones(108)).method == "dense"
    H, J = poisson_control(12)
    assert kkt_solve(H, J, np.ones(432)).method == "sparse"
    assert kkt_solve(H.toarray(), J.toarray(), np.ones(432)).method == "dense"
    result = kkt_solve(np.eye(3), np.zeros((0, 3)), np.zeros(3))
    assert result.success
    assert result.x.tolist() == [0, 0, 0]


def test_singular_systems_are_never_a_false_success():
    H, J = np.eye(3), np.array([[1.0, 1, 0], [1, 1, 0]])
    for method in METHODS:
        assert not kkt_solve(H, J, [0.0, 0, 0, 1, 2], method).success
    for method in ("dense", "sparse"):
        result = kkt_solve(H, J, [0.0, 0, 0, 1, 1], method)
        assert result.success
        assert result.inertia == (3, 1, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"H": np.ones((2, 3))}, "H must be square"),
        ({"H": np.array([[1.0, 2], [0, 1]])}, "H must be symmetric"),
        ({"H": np.array([[1.0, np.nan], [0, 1]])}, "H must be finite"),
        ({"J": np.ones((1, 3))}, "J must have 2 columns"),
        ({"b": np.ones(4)}, "b must have length 3"),
        ({"b": [1.0, np.inf, 0]}, "b must be finite"),
        ({"dx": np.ones(3)}, "dx must be a number or have shape"),
        ({"dc": -1.0}, "dc must be at least 0"),
        ({"rtol": 0.0}, "rtol must be positive"),
        ({"method": "cg"}, "method must be one of"),
        ({"method": "dense", "precond": np.eye(3)}, "precond is for products"),
        ({"precond": np.eye(2)}, r"precond must have shape \(3, 3\), not \(2, 2\)"),
        ({"max_iter": 0}, "max_iter must be an integer >= 1"),
    ],
)
def test_bad_input(change, message):
    given = {"H": np.eye(2), "J": np.ones((1, 2)), "b": np.ones(3), "method": "auto"} | change
    rest = {name: given[name] for name in given if name not in ("H", "J", "b", "method")}
    with pytest.raises(ValueError, match=message):
        kkt_solve(given["H"], given["J"], given["b"], given["method"], **rest)


@pytest.mark.parametrize("precond", [3, lambda *parts: None])
def test_what_is_no_preconditioner(precond):
    with pytest.raises(TypeError, match="precond must be, or return, an operator"):
        kkt_solve(np.eye(2), np.ones((1, 2)), np.ones(3), precond=precond)


def test_krylov_curvature_along_the_step():
    """MINRES converges on an indefinite reduced Hessian; the step tells."""
    H = np.diag([1.0, -1.0, 2.0])
    kkt = KrylovKKT(3, 0, "minres")
    kkt.factor(H, np.zeros((0, 3)), np.zeros(3), np.zeros(0))
    assert kkt.solve(np.array([0.0, 1, 0]), 1e-8) is None


def test_routes():
    program = equalities("HS7")
    assert route(program, "auto")[1] == "dense"
    program.kind = "operator"
    assert route(program, "auto")[1] == "projected-cg"
    assert route(program, "auto", np.eye(program.n + program.m))[1] == "minres"
    with pytest.raises(ValueError, match="inner 'sparse' needs"):
        route(program, "sparse")
    program.kind = "sparse"
    with pytest.raises(ValueError, match="precond"):
        route(program, "sparse", np.eye(3))
    program.hessian = "bfgs"
    with pytest.raises(OptionError, match="inner 'sparse' needs hess"):
        route(program, "sparse")


def test_the_last_three_points_are_remembered():
    calls = []
    program = equalities("HS7")
    fun, program.fun = program.fun, lambda x: calls.append(x.tolist()) or fun(x)
    backend = SparseNLP(program)
    points = [np.array([k, 1.0]) for k in range(4)]
    for k in (0, 1, 2, 0, 1, 2):
        backend.values(points[k])
    assert len(calls) == 3
    for k in (3, 2, 1):
        backend.values(points[k])
    assert len(calls) == 4
    backend.values(points[0])
    assert calls[-1] == [0.0, 1.0]
    assert len(calls) == 5


@pytest.mark.parametrize("method", ["dense", "sparse", "minres"])
@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_right_hand_sides_whose_squares_are_no_numbers(method, size):
    """The same solution, times the size; and what has none is no success because its residual squared is 0."""
    H, J, rhs = np.diag([1.0, 2, 3]), np.ones((1, 3)), np.arange(4.0)
    plain, other = kkt_solve(H, J, rhs, method=method), kkt_solve(H, J, rhs * size, method=method)
    assert other.success
    np.testing.assert_allclose(other.x / size, plain.x, rtol=1e-9)
    np.testing.assert_allclose(other.residual_norm / size, np.linalg.norm(rhs) * other.measure, rtol=1e-9)
    none = kkt_solve(np.zeros((2, 2)), np.zeros((0, 2)), np.full(2, size), method=method)
    assert not none.success
    assert none.measure == 1


@pytest.mark.parametrize("method", ["dense", "sparse", "minres", "projected-cg"])
@pytest.mark.parametrize(("size", "of_b"), [(1e200, 1e-200), (1e-200, 1e200)])
def test_solutions_that_no_number_holds(method, size, of_b):
    """They would be returned as 0, or as infinity."""
    result = kkt_solve(np.diag([1.0, 2, 3]) * size, np.ones((1, 3)) * size, np.arange(4.0) * of_b, method=method)
    assert not result.success
    assert result.measure == 1
    assert result.x.tolist() == [0] * 4
