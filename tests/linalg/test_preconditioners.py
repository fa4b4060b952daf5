"""SSOR and incomplete Cholesky as operators, and what conjugate gradients take as M."""

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg
from scipy.sparse.linalg import aslinearoperator
from systems import laplacian, random_spd

from solvers.linalg import ic0, plan, solve, ssor


def dense_ssor(A, omega):
    """The inverse of (D + omega L) D^-1 (D + omega U) / (omega (2 - omega))."""
    dense = A.toarray()
    D, L, U = np.diag(np.diag(dense)), np.tril(dense, -1), np.triu(dense, 1)
    M = (D + omega * L) @ np.linalg.inv(D) @ (D + omega * U) / (omega * (2 - omega))
    return np.linalg.inv(M)


@pytest.mark.parametrize("ordering", ["natural", "wavefront"])
@pytest.mark.parametrize("omega", [0.7, 1.0, 1.6])
def test_ssor_is_the_dense_formula(omega, ordering, seed):
    A = random_spd(57, seed)
    expected = dense_ssor(A, omega)
    operator = ssor(A, omega, ordering=ordering)
    applied = operator @ np.eye(57)
    np.testing.assert_allclose(applied, expected, rtol=1e-12, atol=1e-13 * np.abs(expected).max())
    assert operator.dtype == np.float64
    np.testing.assert_array_equal(operator.T @ applied[:, 3], operator @ applied[:, 3])


@pytest.mark.parametrize("ordering", ["natural", "wavefront", "multicolor", "blocks"])
@pytest.mark.parametrize("sweeps", [1, 3])
def test_ssor_is_symmetric_positive_definite(ordering, sweeps, seed):
    operator = ssor(random_spd(64, seed), 1.4, ordering=ordering, sweeps=sweeps)
    matrix = operator @ np.eye(64)
    assert np.abs(matrix - matrix.T).max() < 1e-13 * np.abs(matrix).max()
    assert np.linalg.eigvalsh(matrix).min() > 0


@pytest.mark.parametrize("ordering", ["natural", "wavefront", "multicolor", "blocks"])
def test_ssor_sees_the_values_that_its_plan_gets(ordering):
    A, r = laplacian(9), np.random.default_rng(4).normal(size=81)
    made = plan(A)
    operator = ssor(made, 1.3, ordering=ordering)
    made.update(3 * A.data)
    np.testing.assert_array_equal(operator @ r, ssor(3 * A, 1.3, ordering=ordering) @ r)


def test_several_sweeps_are_symmetric_sweeps_from_zero():
    A, r = random_spd(40, 11), np.random.default_rng(3).normal(size=40)
    three = ssor(A, 1.2, sweeps=3) @ r
    x = np.zeros(40)
    for _ in range(3):
        x += dense_ssor(A, 1.2) @ (r - A @ x)
    np.testing.assert_allclose(three, x, rtol=1e-11, atol=1e-13)


def test_ssor_in_scipy(seed):
    A, b = laplacian(19), np.random.default_rng(seed).normal(size=361)
    counts = {}
    for name, M in (("none", None), ("ssor", ssor(A, 1.6)), ("dense", aslinearoperator(dense_ssor(A, 1.6)))):
        steps = []
        x, info = scipy.sparse.linalg.cg(A, b, rtol=1e-9, M=M, callback=steps.append)
        assert info == 0
        assert np.linalg.norm(b - A @ x) <= 1e-8 * np.linalg.norm(b)
        counts[name] = len(steps)
    assert counts["ssor"] == counts["dense"]
    assert counts["ssor"] < counts["none"] / 2
    x, info = scipy.sparse.linalg.gmres(A, b, rtol=1e-9, M=ssor(A, 1.6))
    assert info == 0


def test_the_adjoint_of_what_is_not_symmetric(seed):
    rng = np.random.default_rng(seed)
    A = scipy.sparse.random_array((30, 30), density=0.2, rng=rng, format="csr") + 4 * scipy.sparse.eye_array(30)
    M, x, y = ssor(A, 1.3), rng.normal(size=30), rng.normal(size=30)
    for adjoint in (M.rmatvec, lambda z: M.T @ z):
        with pytest.raises(NotImplementedError, match="not symmetric"):
            adjoint(x)
    assert ssor(A.T.tocsr(), 1.3) @ x @ y == pytest.approx(x @ (M @ y), rel=1e-12)


def test_ssor_changes_omega_and_values():
    A = random_spd(30, 23)
    operator = ssor(A, 1.0)
    operator.set_omega(1.5)
    np.testing.assert_allclose(operator @ np.eye(30), dense_ssor(A, 1.5), rtol=1e-11, atol=1e-13)
    for omega in (0, 2, -1, np.nan):
        with pytest.raises(ValueError, match="omega"):
            operator.set_omega(omega)
        with pytest.raises(ValueError, match="omega"):
            ssor(A, omega)
    with pytest.raises(ValueError, match="ordering"):
        ssor(A, ordering="alphabetic")
    with pytest.raises(ValueError, match="sweeps"):
        ssor(A, sweeps=0)


def dense_ic0(A):
    """The textbook's loop over all entries, zeros of the pattern left out."""
    L, n = A.toarray(), A.shape[0]
    pattern = L != 0
    for k in range(n):
        L[k, k] = np.sqrt(L[k, k])
        L[k + 1 :, k] /= L[k, k]
        for j in range(k + 1, n):
            L[j:, j] -= L[j:, k] * L[j, k] * pattern[j:, j]
    return np.tril(L * pattern)


@pytest.mark.parametrize("wide", [False, True])
def test_ic0_is_the_textbooks(wide, seed):
    A = random_spd(48, seed)
    if wide:
        A.indptr, A.indices = A.indptr.astype(np.int64), A.indices.astype(np.int64)
    L = dense_ic0(A)
    operator = ic0(A)
    assert operator.shift == 0
    np.testing.assert_allclose(operator @ np.eye(48), np.linalg.inv(L @ L.T), rtol=1e-10, atol=1e-13)


def test_ic0_without_fill_is_exact():
    A = scipy.sparse.diags_array([-1.0, 2.5, -1.0], offsets=[-1, 0, 1], shape=(200, 200), format="csr")
    result = solve(A, np.ones(200), method="cg", M=ic0(A))
    assert (result.success, result.nit) == (True, 1)


def test_ic0_that_breaks_down_is_shifted():
    """A matrix of Kershaw's (1978): positive definite, without an incomplete factorisation."""
    A = scipy.sparse.csr_array(np.array([[3.0, -2, 0, 2], [-2, 3, -2, 0], [0, -2, 3, -2], [2, 0, -2, 3]]))
    assert np.linalg.eigvalsh(A.toarray()).min() > 0
    operator = ic0(A)
    assert operator.shift > 0
    assert np.linalg.eigvalsh(operator @ np.eye(4)).min() > 0
    assert solve(A, [1.0, 2, 3, 4], method="cg", M=operator).success


def test_ic0_refuses():
    A = laplacian(5)
    A.data[1] += 1
    with pytest.raises(ValueError, match="symmetric"):
        ic0(A)
    with pytest.raises(ValueError, match="positive diagonal"):
        ic0(-laplacian(5))


@pytest.mark.parametrize("ordering", ["natural", "wavefront"])
def test_every_kind_of_preconditioner(ordering, seed):
    A = laplacian(17)
    weights = np.random.default_rng(seed).uniform(0.1, 10, 289)
    A = scipy.sparse.csr_array(scipy.sparse.diags_array(weights) @ A @ scipy.sparse.diags_array(weights))
    b = np.random.default_rng(seed + 1).normal(size=289)
    plain = solve(A, b, method="cg", rtol=1e-9)
    diagonal = scipy.sparse.diags_array(1 / A.diagonal())
    kinds = {
        "jacobi": "jacobi", "array": 1 / A.diagonal(), "sparse": diagonal, "operator": aslinearoperator(diagonal),
        "ssor": "ssor", "own ssor": ssor(A, 1.0, ordering=ordering), "ic0": "ic0", "own ic0": ic0(A),
        "dense ssor": dense_ssor(A, 1.0),
    }  # fmt: skip
    results = {name: solve(plan(A), b, method="cg", M=M, rtol=1e-9) for name, M in kinds.items()}
    for name, result in results.items():
        assert result.success, name
        assert result.nit < plain.nit, name
    assert len({results[name].nit for name in ("jacobi", "array", "sparse", "operator")}) == 1
    assert len({results[name].nit for name in ("ssor", "own ssor", "dense ssor")}) == 1
    assert results["ic0"].nit == results["own ic0"].nit


def test_bad_preconditioners():
    A, b = laplacian(6), np.ones(36)

    class MineError(Exception):
        pass

    def raises(r):
        raise MineError("mine")

    for M, word in (("ilu", "M must be one of"), (-np.ones(36), "M as an array"), (np.ones(35), "M as an array"),
                    (np.full(36, np.nan), "M must be finite"), (np.eye(7), "shape of A")):  # fmt: skip
        with pytest.raises(ValueError, match=word):
            solve(A, b, method="cg", M=M)
    with pytest.raises(MineError, match="mine"):
        solve(A, b, method="cg", M=scipy.sparse.linalg.LinearOperator((36, 36), raises, dtype=float))
    with pytest.raises(ValueError, match="preconditioner"):
        solve(A, b, method="sor", M="jacobi")
    result = solve(A, b, method="cg", M=-scipy.sparse.eye_array(36))
    assert result.status.name == "NOT_SPD"
    assert solve(A, b, M="ic0").method == "cg"
