"""Complex matrices: the sweeps against dense formulas, solves, what is refused."""

import numpy as np
import pytest
import scipy.sparse
from pyamg.relaxation import relaxation
from systems import laplacian

from solvers.linalg import ComplexPlan, SequenceSolver, ic0, plan, solve, ssor, surrogate_sor
from solvers.testing import check_linear


def dominant(n, seed, values=np.complex128, indices=np.int32):
    """Random complex entries on a grid's pattern and beyond it; the diagonal dominates, at random angles."""
    rng = np.random.default_rng(seed)
    off = scipy.sparse.random_array((n, n), density=min(1, 4 / n), rng=rng) + scipy.sparse.eye_array(n, k=-1)
    off = scipy.sparse.csr_array(off + scipy.sparse.eye_array(n, k=1))
    off.data = off.data * np.exp(2j * np.pi * rng.random(off.nnz))
    off.setdiag(0)
    off.eliminate_zeros()
    turned = np.exp(2j * np.pi * rng.random(n)) * (abs(off).sum(axis=1) + 0.5)
    A = scipy.sparse.csr_array(off + scipy.sparse.diags_array(turned)).astype(values)
    A.sort_indices()
    A.indptr, A.indices = A.indptr.astype(indices), A.indices.astype(indices)
    return A


def vectors(n, count, seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, n)) + 1j * rng.normal(size=(count, n))


def dense_sweep(A, x, b, omega, backward):
    A = A.toarray().astype(complex)
    triangle = np.triu(A, 1) if backward else np.tril(A, -1)
    return x + np.linalg.solve(np.diag(np.diag(A)) / omega + triangle, b - A @ x)


@pytest.mark.parametrize("indices", [np.int32, np.int64])
@pytest.mark.parametrize("values", [np.complex128, np.complex64])
@pytest.mark.parametrize("n", [1, 2, 3, 61])
def test_kernels(n, values, indices):
    A = dominant(n, n, values, indices)
    b, x = vectors(n, 2, 1)
    dense = A.toarray().astype(complex)
    operand = plan(A).parts.operand("natural")
    near = {"rtol": 1e-12, "atol": 1e-12}
    product = np.empty(n, complex)
    assert np.isclose(operand.multiply(x.view(float), product.view(float)), np.vdot(x, dense @ x).real)
    np.testing.assert_allclose(product, dense @ x, **near)
    square = operand.residual(b.view(float), x.view(float), product.view(float))
    np.testing.assert_allclose(product, b - dense @ x, **near)
    assert np.isclose(square, np.linalg.norm(b - dense @ x) ** 2)
    for backward in (False, True):
        expected, moved, change = dense_sweep(A, x, b, 1.2, backward), x.copy(), np.empty(n, complex)
        operand.sweep(1.2, backward, b.view(float), moved.view(float))
        np.testing.assert_allclose(moved, expected, **near)
        moved = x.copy()
        measured = operand.measured_sweep(1.2, backward, b.view(float), moved.view(float), change.view(float))
        np.testing.assert_allclose(moved, expected, **near)
        np.testing.assert_allclose(change, expected - x, **near)
        assert np.isclose(measured, square, rtol=1e-11)
    old = vectors(n, 1, 2)[0]
    expected = x + 0.3 * (x - old) + 0.7 * (b - dense @ x) / np.diag(dense)
    operand.jacobi(0.7, 0.3, b.view(float), x.view(float), old.view(float))
    np.testing.assert_allclose(old, expected, **near)


@pytest.mark.parametrize("method", [None, "sor", "gauss-seidel", "jacobi"])
@pytest.mark.parametrize("seed", range(3))
def test_solves(method, seed):
    A = dominant(200, seed)
    b, x0 = vectors(200, 2, seed)
    for start in (None, x0):
        result = solve(A, b, x0=start, method=method)
        assert result.success
        assert result.x.dtype == np.complex128
        check_linear(A, b, result)
        np.testing.assert_allclose(result.x, np.linalg.solve(A.toarray(), b), rtol=1e-6, atol=1e-6)
    assert solve(A, b.real, method=method).success  # a real right-hand side
    assert solve(A.astype(np.complex64), b, method=method).success
    assert solve(A.toarray(), b, method=method).success


def test_hermitian_positive_definite():
    """Converges for every omega between 0 and 2; a unitary change of signs makes it the real Laplacian."""
    real = laplacian(10)
    turn = scipy.sparse.diags_array(np.exp(2j * np.pi * np.random.default_rng(0).random(100)))
    A = scipy.sparse.csr_array(turn @ real @ turn.conj())
    b = turn @ np.ones(100)
    for omega in (0.5, 1.0, 1.5603879, 1.9):
        options = {"omega": omega}
        expected = solve(real, np.ones(100), method="sor", options=options, reference="r0")
        result = solve(A, b, method="sor", options=options, reference="r0")
        assert result.success
        assert abs(result.nit - expected.nit) <= 1
        np.testing.assert_allclose(result.x, turn @ expected.x, rtol=1e-8)
    adaptive = solve(A, b, method="sor", options={"omega": "adaptive"})
    assert adaptive.success
    assert adaptive.stats["omega"] > 1.3


def test_columns_and_their_layouts():
    A = dominant(50, 4)
    b = vectors(50, 3, 5).T
    one_by_one = np.stack([solve(A, b[:, k]).x for k in range(3)], axis=1)
    for right in (b, np.ascontiguousarray(b), np.asfortranarray(b)):
        result = solve(A, right, x0=np.zeros_like(b))
        assert np.array_equal(result.x, one_by_one)
        assert all(np.array_equal(column.x, one_by_one[:, k]) for k, column in enumerate(result.columns))
        check_linear(A, right, result)
    assert solve(A, b[:, :0]).x.shape == (50, 0)
    assert solve(A[:0, :0], b[:0, 0]).x.shape == (0,)


def test_sweeps_of_a_plan():
    A = dominant(80, 6)
    b, x = vectors(80, 2, 7)
    ours = plan(A).sweep(x.copy(), b, omega=1.1, direction="symmetric", sweeps=2)
    theirs = x.copy()
    for _ in range(2):
        relaxation.sor(A, theirs, b, 1.1, sweep="forward")
        relaxation.sor(A, theirs, b, 1.1, sweep="backward")
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    assert plan(A).sweep(x, b) is x
    both = np.stack([x, 2 * x], axis=1)
    np.testing.assert_array_equal(plan(A).sweep(both.copy(), both)[:, 0], plan(A).sweep(x.copy(), x))


@pytest.mark.parametrize(("omega", "sweeps"), [(1.0, 1), (1.4, 2), (0.7, 3)])
def test_ssor_is_the_textbook_operator(omega, sweeps):
    A = dominant(60, 20)
    M, (b,) = ssor(A, omega, sweeps=sweeps), vectors(60, 1, 21)
    dense = A.toarray()
    D, L, U = np.diag(np.diag(dense)), np.tril(dense, -1), np.triu(dense, 1)
    ssor_matrix = (D + omega * L) @ np.linalg.inv(D) @ (D + omega * U) / (omega * (2 - omega))
    expected = np.zeros(60, complex)
    for _ in range(sweeps):
        expected += np.linalg.solve(ssor_matrix, b - dense @ expected)
    np.testing.assert_allclose(M @ b, expected, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(M @ b[:, None], expected[:, None], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(M @ b.real, M @ b.real.astype(complex))
    M.update(2j * A.data)
    np.testing.assert_allclose(M @ b, expected / 2j, rtol=1e-12, atol=1e-13)


def test_ssor_preconditions_scipys_gmres():
    """A damped wave equation: complex symmetric, neither definite nor dominant."""
    A = scipy.sparse.csr_array(laplacian(30) - (0.1 - 0.3j) * scipy.sparse.eye_array(900))
    b, counts = np.ones(900, complex), []
    for M in (None, ssor(A, 1.2), ssor(plan(A), 1.2)):
        steps = []
        x, info = scipy.sparse.linalg.gmres(A, b, M=M, rtol=1e-10, restart=50, callback=steps.append,
                                            callback_type="pr_norm")  # fmt: skip
        assert info == 0
        assert np.linalg.norm(b - A @ x) <= 1e-8 * np.linalg.norm(b)
        counts.append(len(steps))
    assert counts[1] == counts[2] < 0.6 * counts[0]


def test_ssor_of_what_does_not_fit():
    A = dominant(20, 22)
    with pytest.raises(ValueError, match="omega must"):
        ssor(A, 2.0)
    with pytest.raises(ValueError, match="a complex one is swept in its natural order"):
        ssor(A, 1.0, ordering="multicolor")
    assert (ssor(A[:0, :0]) @ np.ones(0)).shape == (0,)


def test_plans():
    A = dominant(40, 8)
    b = vectors(40, 1, 9)[0]
    made = plan(A)
    assert isinstance(made, ComplexPlan)
    assert plan(made) is made
    assert made.copies == 0
    expected = solve(2j * A, b).x
    made.update((2j * A).data)
    np.testing.assert_array_equal(solve(made, b).x, expected)
    np.testing.assert_allclose(made.residual(b, expected), b - 2j * (A @ expected), atol=1e-12)
    made.update(abs(A).data)  # real values in a complex plan are complex numbers
    np.testing.assert_allclose(solve(made, b).x, np.linalg.solve(abs(A).toarray(), b), rtol=1e-6)
    for flaw, what in ((0, r"A\[7, 7\] is 0j"), (np.nan, r"A\[7, 7\] is .*nan"), (5e-324j, "subnormal")):
        data = A.data.copy()
        data[(A.indices == 7) & (np.repeat(np.arange(40), np.diff(A.indptr)) == 7)] = flaw
        with pytest.raises(ValueError, match=what):
            made.update(data)
    data = A.data.copy()
    data[np.flatnonzero(A.indices == A.indices[1])[0] if A.indices[1] != 0 else 0] = complex(1, np.inf)
    with pytest.raises(ValueError, match=r"must be finite|nonzero, finite"):
        made.update(data)
    with pytest.raises(ValueError, match="shape"):
        made.update(A.data[1:])
    with pytest.raises(ValueError, match="another pattern"):
        made.update(dominant(40, 80))
    made.update(dominant(40, 80), allow_replan=True)
    assert solve(made, b).success


def test_unsorted_rows_and_duplicates():
    A = dominant(30, 10)
    rng = np.random.default_rng(11)
    coo = A.tocoo()
    order = rng.permutation(2 * A.nnz)
    rows, columns = np.tile(coo.row, 2)[order], np.tile(coo.col, 2)[order]
    halves = np.tile(coo.data / 2, 2)[order]
    by_row = np.argsort(rows, kind="stable")
    starts = np.concatenate(([0], np.cumsum(np.bincount(rows, minlength=30))))
    given = scipy.sparse.csr_array((halves[by_row], columns[by_row], starts), shape=(30, 30))
    with pytest.warns(UserWarning, match="not sorted or have duplicates"):
        made = plan(given)
    np.testing.assert_allclose(made.matrix.toarray(), A.toarray(), rtol=1e-15)


def test_a_callback_sees_complex_numbers():
    A = dominant(30, 12)
    seen = []
    result = solve(A, np.ones(30), callback=lambda r: seen.append(r.x.copy()))
    assert len(seen) == result.nit
    np.testing.assert_array_equal(seen[-1], result.x)


@pytest.mark.parametrize("method", ["cg", "ssor-cg", "chebyshev", "multilevel-cg"])
def test_methods_for_real_matrices_say_so(method):
    with pytest.raises(ValueError, match="complex-matrix; methods that have it: gauss-seidel, jacobi, sor"):
        solve(dominant(20, 13), np.ones(20), method=method)


@pytest.mark.parametrize(
    ("keywords", "word"),
    [({"M": "jacobi"}, "A is complex"), ({"nullspace": "constant"}, "real"),
     ({"method": "sor", "options": {"omega": "young"}}, "A is complex"),
     ({"method": "sor", "options": {"ordering": "multicolor"}}, "natural order"),
     ({"method": "sor", "options": {"omega": 2.0}}, "omega"), ({"x0": np.ones(19)}, "x0 must have")],
)  # fmt: skip
def test_what_complex_matrices_do_not_take(keywords, word):
    with pytest.raises(ValueError, match=word):
        solve(dominant(20, 14), np.ones(20), **keywords)


def test_other_doors_take_real_matrices():
    A, b = dominant(20, 15), np.ones(20)
    doors = (ic0, lambda A: SequenceSolver().solve(A, b), lambda A: surrogate_sor(A, [1.0], 0.1))
    for door in doors:
        for given in (A, plan(A)):
            with pytest.raises(TypeError, match="real numbers, not complex128"):
                door(given)
    with pytest.raises(TypeError, match="real numbers, not complex128"):
        plan(abs(A)).update(A)
    with pytest.raises(TypeError, match=r"two columns, b\.real and b\.imag"):
        solve(abs(A), b * 1j)
    for right in (np.ones(19), np.ones((20, 1, 1)), 1.0):
        with pytest.raises(ValueError, match="b must have"):
            solve(A, right)
    with pytest.raises(ValueError, match=r"b must be finite; b\[3\]"):
        solve(A, np.where(np.arange(20) == 3, 1j * np.nan, 1))
    with pytest.raises(TypeError, match="b must be real numbers, not <U1"):
        solve(A, np.full(20, "a"))
    assert not solve(A, np.where(np.arange(20) == 3, np.nan, 1), check_finite=False).success


def test_divergence_is_told():
    A = dominant(40, 16)
    A.setdiag(0.01j)
    with np.errstate(all="ignore"):
        result = solve(A, np.ones(40, complex), method="sor", options={"omega": 1.9})
    assert not result.success
    assert np.isfinite(result.x).all()
