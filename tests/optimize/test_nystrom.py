"""Randomised preconditioners: against the matrices that they stand for."""

import numpy as np
import pytest
import scipy.sparse
from scipy.optimize import LinearConstraint, NonlinearConstraint
from scipy.sparse.linalg import LinearOperator, aslinearoperator

import solvers
from solvers.optimize import kkt_preconditioner, nystrom, sampled_inverse, weighted_gram


def decaying(rng, n, eigenvalues):
    Q = np.linalg.qr(rng.standard_normal((n, n)))[0]
    return (Q * eigenvalues) @ Q.T


class Products:
    """A matrix that knows products with vectors alone."""

    def __init__(self, H):
        self.H, self.shape = H, H.shape

    def __matmul__(self, v):
        assert v.ndim == 1
        return self.H @ v


@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_array, aslinearoperator, Products])
def test_low_rank_is_exact(form, seed):
    rng = np.random.default_rng(seed)
    n = 40
    H = decaying(rng, n, np.where(np.arange(n) < 6, 10.0 ** np.arange(n), 0.0).clip(0, 1e6))
    M = nystrom(form(H), shift=0.5, rank=8, rng=seed)
    np.testing.assert_allclose(M @ ((H + 0.5 * np.eye(n)) @ np.eye(n)), np.eye(n), atol=1e-6)
    assert M.shape == (n, n)
    np.testing.assert_allclose(M.T @ np.eye(n), M @ np.eye(n), atol=1e-12)


def test_the_rank_adapts(seed):
    """It doubles until what is left is of the shift's size, and the condition number is small then."""
    rng = np.random.default_rng(seed)
    n = 300
    H = decaying(rng, n, 1e4 * 0.9 ** np.arange(n))
    ranks = []
    for shift in (1e3, 1.0, 1e-2):
        M = nystrom(H, shift=shift, rng=seed, max_rank=n)
        ranks.append(len(M.eigenvalues))
        values = np.linalg.eigvals(M @ (H + shift * np.eye(n))).real
        assert values.min() > 0
        assert values.max() / values.min() < 40
    assert ranks == sorted(ranks)
    assert ranks[0] < ranks[2]
    assert len(nystrom(H, shift=1e-9, max_rank=50).eigenvalues) == 50


@pytest.mark.parametrize("size", [1e-200, 1e160, 1e300])
def test_numbers_whose_squares_are_none(size):
    H = np.diag([1e6, 10.0, 1, 0, 0])
    np.testing.assert_allclose(nystrom(H * size, shift=size) @ np.ones(5) * size, 1 / (H.diagonal() + 1), rtol=1e-8)


def test_nothing_to_approximate():
    M = nystrom(np.zeros((5, 5)), shift=2.0)
    np.testing.assert_allclose(M @ np.ones(5), 0.5)


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
def test_sampled_rows(sparse, seed):
    rng = np.random.default_rng(seed)
    X, w = rng.standard_normal((600, 12)) * (rng.random((600, 12)) < 0.5), rng.random(600)
    given = scipy.sparse.csr_array(X) if sparse else X
    H = X.T @ (w[:, None] * X) + 0.3 * np.eye(12)
    np.testing.assert_allclose(weighted_gram(given, w), H - 0.3 * np.eye(12), atol=1e-11)
    whole = sampled_inverse(given, w, shift=0.3, rows=600)
    np.testing.assert_allclose(whole @ H, np.eye(12), atol=1e-10)
    part = sampled_inverse(given, w, shift=0.3, rows=240, rng=seed)
    assert np.linalg.cond(part @ H) < 4
    few = sampled_inverse(given, w, rows=3)  # singular without what is added
    assert np.all(np.isfinite(few @ np.ones(12)))


def test_the_constraint_preconditioner_is_the_inverse_for_exact_parts(seed):
    rng = np.random.default_rng(seed)
    H, J = decaying(rng, 20, rng.random(20) + 1), rng.standard_normal((4, 20))
    dx, dc = rng.random(20), rng.random(4) * 0.1
    make = kkt_preconditioner(lambda H, dx: np.linalg.inv(H + np.diag(dx)))
    K = np.block([[H + np.diag(dx), J.T], [J, -np.diag(dc)]])
    for rows in (J, scipy.sparse.csr_array(J)):
        np.testing.assert_allclose(make(H, rows, dx, dc) @ K, np.eye(24), atol=1e-9)
    low_rank = decaying(rng, 20, np.where(np.arange(20) < 3, 50.0, 0.0))
    flat = np.full(20, 0.7)
    z = kkt_preconditioner()(low_rank, J, flat, dc) @ np.concatenate([np.ones(20), np.zeros(4)])
    np.testing.assert_allclose(J @ z[:20], dc * z[20:], atol=1e-9)


@pytest.mark.parametrize("preconditioner", ["nystrom", "sampled"])
def test_regression_on_a_sphere(preconditioner):
    """Through the door: the Hessian by products, the answer that of matrices, and few products."""
    rng = np.random.default_rng(4)
    X = rng.standard_normal((2000, 30)) * np.geomspace(3, 0.1, 30)
    y = np.sign(X @ rng.standard_normal(30) + 0.5 * rng.standard_normal(2000))
    Z, A, products, last = X * y[:, None], rng.standard_normal((3, 30)), [0], {}

    def weights(x):
        p = 1 / (1 + np.exp(Z @ x))
        return p * (1 - p) / len(Z)

    def operator(x):
        last["w"] = w = weights(x)

        def product(v):
            products[0] += 1
            return Z.T @ (w * (Z @ v.ravel()))

        return LinearOperator((30, 30), matvec=product, dtype=float)

    def curved(x, v):
        last["shift"] = 2 * v[0]
        return 2 * v[0] * np.eye(30)

    sampled = lambda H, dx: sampled_inverse(Z, last["w"], shift=last["shift"] + dx.min(), rows=500)  # noqa: E731
    sphere = NonlinearConstraint(lambda x: x @ x, 1, 1, jac=lambda x: 2 * x, hess=curved)
    problem = {
        "fun": lambda x: np.logaddexp(0, -Z @ x).mean(), "x0": np.ones(30) / 5,
        "jac": lambda x: -Z.T @ (1 / (1 + np.exp(Z @ x))) / len(Z),
        "constraints": [LinearConstraint(A, 0.1, 0.1), sphere], "tol": 1e-9,
    }  # fmt: skip
    options = {"inner": "projected-cg", "precond": kkt_preconditioner(None if preconditioner == "nystrom" else sampled)}
    found = solvers.minimize(**problem, hess=operator, options=options)
    exact = solvers.minimize(**problem, hess=lambda x: Z.T @ (weights(x)[:, None] * Z))
    assert found.success
    assert exact.success
    assert found.fun == pytest.approx(exact.fun, abs=1e-9)
    assert products[0] <= 60 * found.nit


@pytest.mark.parametrize("form", ["operator", "products"])
def test_a_preconditioner_for_a_hessian_of_products_is_given_it(form, seed):
    """In the user's units: more variables than are written out, and an objective that is scaled."""
    rng = np.random.default_rng(seed)
    n, seen = 230, []
    H = 1e6 * decaying(rng, n, np.where(np.arange(n) < 5, 10.0, 0.0)) + np.eye(n)
    b, A = rng.standard_normal(n), rng.standard_normal((3, n))
    given = {"hess": lambda x: aslinearoperator(H)} if form == "operator" else {"hessp": lambda x, p: H @ p}

    def low_rank(known, dx):
        v = rng.standard_normal(n)
        seen.append(np.abs(known @ v - H @ v).max() / np.abs(H @ v).max())
        return nystrom(known, shift=1.0 + dx.min(), rank=8)

    result = solvers.minimize(
        lambda x: x @ H @ x / 2 + b @ x, np.ones(n), jac=lambda x: H @ x + b, constraints=LinearConstraint(A, 1, 1),
        options={"inner": "projected-cg", "precond": kkt_preconditioner(low_rank)}, **given,
    )  # fmt: skip
    assert result.success
    assert result.inner == "projected-cg"
    assert max(seen) < 1e-12
    z = np.linalg.solve(np.block([[H, A.T], [A, np.zeros((3, 3))]]), np.r_[-b, np.ones(3)])
    np.testing.assert_allclose(result.x, z[:n], atol=1e-5)


def test_bad_input():
    for call, match in (
        (lambda: nystrom(np.ones((2, 3))), "square"),
        (lambda: nystrom(np.eye(3), shift=-1.0), "shift"),
        (lambda: nystrom(np.eye(3), rank=4), "rank"),
        (lambda: nystrom(np.eye(3), rank=1.5), "rank must be an integer"),
        (lambda: nystrom(np.diag([1, np.nan]), shift=1.0), "must be finite"),
        (lambda: sampled_inverse(np.eye(2), [1, np.inf]), "weights"),
        (lambda: sampled_inverse(np.eye(3), np.ones(2)), "weights"),
        (lambda: sampled_inverse(np.eye(3), [1, 1, -1]), "weights"),
        (lambda: sampled_inverse(np.ones((0, 3)), []), "weights"),
        (lambda: sampled_inverse(np.diag([1, np.nan]), np.ones(2)), "must be finite"),
        (lambda: sampled_inverse(np.eye(2), np.ones(2), shift=np.nan), "shift"),
        (lambda: sampled_inverse(np.eye(2), np.ones(2), rows=0), "rows"),
        (lambda: weighted_gram(scipy.sparse.csr_array(np.eye(3)), np.ones(4)), "weights"),
        (lambda: weighted_gram(np.ones(3), np.ones(3)), "X must have 2 dimensions"),
    ):
        with pytest.raises(ValueError, match=match):
            call()
    for X in (1j * np.eye(2), scipy.sparse.csr_array(1j * np.eye(2))):
        with pytest.raises(TypeError, match="X must be real"):
            weighted_gram(X, np.ones(2))
    with pytest.raises(TypeError, match="H must be real"):
        nystrom(1j * np.eye(2))
    np.testing.assert_allclose(nystrom([[2.0]], shift=2.0) @ np.ones(1), 0.25)
