"""Counts of iterations on 5-point Laplacians, and a textbook's system."""

import numpy as np
import pytest
import scipy.sparse

from solvers.linalg import plan, solve, ssor


def laplacian(m):
    """The 5-point Laplacian on m x m interior points, diagonal 4."""
    line = scipy.sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(m, m))
    one = scipy.sparse.eye_array(m)
    return scipy.sparse.csr_array(scipy.sparse.kron(line, one) + scipy.sparse.kron(one, line))


COUNTS = [
    (10, 1.0, 223), (10, 1.5, 62), (10, 1.5603879, 41), (10, 1.95, 383),
    (40, 1.0, 3104), (40, 1.5, 1025), (40, 1.8577877, 155), (40, 1.95, 407),
]  # fmt: skip


@pytest.mark.parametrize(("m", "omega", "count"), COUNTS)
def test_sor(m, omega, count):
    A, b = laplacian(m), np.ones(m * m)
    result = solve(A, b, method="sor", options={"omega": omega})
    assert result.success
    assert abs(result.nit - count) <= 1


@pytest.mark.parametrize(("m", "count"), [(10, 15), (40, 74)])
def test_cg(m, count):
    result = solve(laplacian(m), np.ones(m * m), method="cg")
    assert result.success
    assert abs(result.nit - count) <= 1


SSOR_COUNTS = [
    (10, 1.0, 13), (10, 1.5, 13), (10, 1.7, 14), (10, 1.9, 16),
    (40, 1.0, 40), (40, 1.5, 27), (40, 1.7, 25), (40, 1.9, 29),
]  # fmt: skip


@pytest.mark.parametrize("ordering", ["natural", "wavefront", "auto"])
@pytest.mark.parametrize(("m", "omega", "count"), SSOR_COUNTS)
def test_ssor_cg(m, omega, count, ordering):
    result = solve(laplacian(m), np.ones(m * m), method="ssor-cg", options={"omega": omega, "ordering": ordering})
    assert result.success
    assert abs(result.nit - count) <= 1


@pytest.mark.parametrize("omega", [0.8, 1.0, 1.3, 1.6, 1.9])
def test_eisenstats_form_takes_the_iterations_of_the_plain_one(omega):
    A, b = laplacian(23), np.random.default_rng(7).normal(size=23 * 23)
    eisenstat = solve(A, b, method="ssor-cg", options={"omega": omega})
    plain = solve(A, b, method="cg", M=ssor(A, omega))
    assert eisenstat.success
    assert abs(eisenstat.nit - plain.nit) <= 1
    np.testing.assert_allclose(eisenstat.x, plain.x, rtol=1e-5, atol=1e-6)


def test_young_finds_the_best_omega():
    for m, best, count in ((10, 1.5603879, 41), (40, 1.8577877, 155)):
        result = solve(laplacian(m), np.ones(m * m), method="sor", options={"omega": "young"})
        assert result.success
        assert abs(result.stats["omega"] - best) < 0.01
        assert result.nit <= 1.15 * count


def test_adaptive_omega_comes_near_the_best():
    for m, count in ((10, 41), (40, 155), (80, 311)):
        result = solve(laplacian(m), np.ones(m * m), method="sor", options={"omega": "adaptive"})
        assert result.success
        assert result.nit <= 1.3 * count  # omega = 1 takes 223, 3104 and more than 10000
        best = 2 / (1 + np.sin(np.pi / (m + 1)))
        assert result.stats["omega"] <= best + 0.4 * (2 - best)


def test_a_textbook_sweep():
    A = np.array([[4.0, -1, -6, 0], [-5, -4, 10, 8], [0, 9, 4, -2], [1, 0, -7, 5]])
    b = np.array([2.0, 21, -12, -6])
    once = solve(A, b, method="sor", options={"omega": 0.5}, max_iter=1)
    np.testing.assert_allclose(once.x, [0.25, -2.78125, 1.6289062, 0.5152344], atol=1e-7)
    many = solve(A, b, method="sor", options={"omega": 0.5}, rtol=1e-12)
    assert many.success
    np.testing.assert_allclose(many.x, [3, -2, 2, 1], rtol=1e-10)


def test_kernels_against_dense_formulas():
    rng = np.random.default_rng(23)
    n, omega = 60, 1.3
    A = scipy.sparse.random_array((n, n), density=0.1, rng=rng, format="csr") + 4 * scipy.sparse.eye_array(n)
    A = scipy.sparse.csr_array(A + A.T)
    dense, operand = A.toarray(), plan(A).operand("natural")
    D, L, U = np.diag(np.diag(dense)), np.tril(dense, -1), np.triu(dense, 1)
    K = D / omega
    b, x = rng.normal(size=(2, n))
    r, out, work = np.empty(n), x.copy(), np.empty(n)
    assert np.isclose(operand.residual(b, x, r), np.sum((b - dense @ x) ** 2), rtol=1e-13)
    assert np.isclose(operand.multiply(x, out), x @ dense @ x, rtol=1e-13)
    for backward, half in ((False, L), (True, U)):
        swept, expected = x.copy(), x + np.linalg.solve(K + half, b - dense @ x)
        operand.sweep(omega, backward, b, swept)
        np.testing.assert_allclose(swept, expected, rtol=1e-13, atol=1e-13)
        swept = x.copy()
        assert np.isclose(operand.measured_sweep(omega, backward, b, swept, work), r @ r, rtol=1e-12)
        np.testing.assert_allclose(swept, expected, rtol=1e-13, atol=1e-13)
        operand.triangular_solve(omega, backward, b, out)
        np.testing.assert_allclose(out, np.linalg.solve(K + half, b), rtol=1e-13, atol=1e-13)
    out = b.copy()
    operand.jacobi(0.7, 0.3, b, x, out)
    np.testing.assert_allclose(out, x + 0.3 * (x - b) + 0.7 * r / np.diag(dense), rtol=1e-13, atol=1e-13)
    t = np.linalg.solve(K + U, b)
    q = np.linalg.solve(K + L, dense @ t)
    assert np.isclose(operand.eisenstat(omega, b, t, out), b @ q, rtol=1e-12)
    np.testing.assert_allclose(out, q, rtol=1e-12, atol=1e-13)
    operand.lower_product(omega, b, out)
    np.testing.assert_allclose(out, (K + L) @ b, rtol=1e-13, atol=1e-13)
