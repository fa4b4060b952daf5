"""Sketch and project, sketch and precondition: against the algebra that defines them, and NumPy."""

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st

from solvers import MethodError, OptionError, Status
from solvers.optimize import _kernels, sketch_solve
from solvers.optimize._sketch import KINDS, RULES, TURNS, looks_like_kkt, ruiz_scale

KINDS_OF_SKETCH = list(KINDS)
STEP = {"projections": 1, "scaling": "rows"}


def system(rng, rows, cols, sparse=False):
    A = rng.standard_normal((rows, cols))
    if sparse:
        A[rng.random((rows, cols)) < 0.6] = 0
        A[np.arange(rows), rng.integers(0, cols, rows)] = 1  # no row of zeros
    x = rng.standard_normal(cols)
    return (scipy.sparse.csr_array(A) if sparse else A), A, A @ x, x


def kernel(A, b, sketch, *, size=1, sampling="uniform", carry=0, momentum=0.0, nesterov=(0.0, 0.0, 0.0), seed=5):
    rule = RULES[sampling] if sketch == "rk" else TURNS
    parts = (None, (A.indptr, A.indices, A.data, A.shape[1])) if scipy.sparse.issparse(A) else (A, None)
    nonzeros = min(size, 8)
    return _kernels.Sketch(
        *parts, b, KINDS[sketch], rule, carry, size, 4, nonzeros, True, 1.0, momentum, nesterov, seed
    )


# ---- projections ---------------------------------------------------------------------------------


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("sketch", KINDS_OF_SKETCH)
def test_a_step_is_an_orthogonal_projection(sketch, sparse, seed):
    """The error is orthogonal to the step; it never grows; the sketched residual is 0 afterwards."""
    matrix, _, b, solution = system(np.random.default_rng(seed), 37, 23, sparse)
    before = np.zeros(23)
    for k in range(1, 12):
        # steps one by one, as the run that ends there
        after = sketch_solve(matrix, b, sketch=sketch, options=STEP, max_iter=k, tol=1e-14, rng=seed).state.x
        step, error = after - before, solution - after
        assert abs(step @ error) <= 1e-10 * max(1.0, solution @ solution)
        assert np.linalg.norm(error) <= np.linalg.norm(solution - before) * (1 + 1e-12)
        before = after
    assert np.linalg.norm(error) < np.linalg.norm(solution)


@pytest.mark.parametrize("sketch", ["gaussian", "countsketch", "sparse-sign"])
def test_the_sketched_residual_is_zero(sketch, seed):
    matrix, _, b, _ = system(np.random.default_rng(seed), 41, 29)
    loop = kernel(matrix, b, sketch, size=7, seed=seed)
    loop.run(3, 1)
    W, t = loop.formed(3)
    np.testing.assert_allclose(W @ loop.x, t, atol=1e-10)


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("carry", [0, 1, 2], ids=["plain", "momentum", "nesterov"])
@given(rows=st.integers(1, 30), cols=st.integers(1, 40), seed=st.integers(0, 2**32))
def test_rows_against_numpy(sparse, carry, rows, cols, seed):
    """Cyclic Kaczmarz with what it carries, at every tail length."""
    matrix, A, b, _ = system(np.random.default_rng(seed), rows, cols, sparse)
    beta, mix, pull, memory = 0.4, 0.3, 1.5, 0.8
    loop = kernel(matrix, b, "rk", sampling="cyclic", carry=carry, momentum=beta, nesterov=(mix, pull, memory))
    loop.run(0, rows)
    x, v = np.zeros(cols), np.zeros(cols)
    for a, right in zip(A, b, strict=True):
        y = mix * v + (1 - mix) * x if carry == 2 else x
        g = (a @ y - right) / (a @ a) * a
        if carry == 1:
            v = beta * v - g
            x = x + v
        elif carry == 2:
            x, v = y - g, memory * v + (1 - memory) * y - pull * g
        else:
            x = x - g
    np.testing.assert_allclose(loop.x, x, rtol=1e-9, atol=1e-9 * max(1.0, np.abs(x).max()))
    assert loop.residual() == pytest.approx(np.linalg.norm(A @ loop.x - b), rel=1e-9, abs=1e-9)


def test_rate_of_kaczmarz():
    """The mean over 200 seeds of the squared error stays below (1 - smin^2 / |A|_F^2)^t."""
    rng = np.random.default_rng(0)
    Q, P = (np.linalg.qr(rng.standard_normal((50, 50)))[0] for _ in range(2))
    sigma = np.linspace(0.3, 1, 50)
    A, x = np.ascontiguousarray(Q * sigma @ P), rng.standard_normal(50)
    b = A @ x
    factor = 1 - sigma[0] ** 2 / (sigma @ sigma)
    errors = np.zeros(5)
    for seed in range(200):
        loop = kernel(A, b, "rk", sampling="norm-squared", seed=seed)
        for k in range(5):
            loop.run(100 * k, 100)
            errors[k] += ((loop.x - x) ** 2).sum() / 200
    assert np.all(errors <= 1.1 * (x @ x) * factor ** (100 * np.arange(1, 6)))
    assert errors[4] < 0.5 * errors[0]


@pytest.mark.parametrize("sampling", list(RULES))
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
def test_samplings(sampling, sparse, seed):
    matrix, _, b, x = system(np.random.default_rng(seed), 60, 12, sparse)
    result = sketch_solve(matrix, b, sketch="rk", options={"sampling": sampling}, tol=1e-10, rng=seed)
    assert result.success
    np.testing.assert_allclose(result.x, x, atol=1e-7)


def test_a_block_of_all_rows_is_a_solve(seed):
    matrix, _, b, x = system(np.random.default_rng(seed), 30, 30)
    loop = kernel(matrix + 12 * np.eye(30), b + 12 * x, "block", size=30, seed=seed)
    loop.run(0, 1)
    np.testing.assert_allclose(loop.x, x, atol=1e-12)


@pytest.mark.parametrize(("rows", "size"), [(113, 40), (300, 256)])
def test_a_last_block_of_fewer_rows(rows, size):
    """Its Gram matrix takes more columns at a time than the others', in the same room."""
    rng = np.random.default_rng(7)
    matrix = rng.standard_normal((rows, 3000))
    b = matrix @ rng.standard_normal(3000)
    result = sketch_solve(matrix, b, sketch="block", options={"size": size})
    assert result.success
    assert np.linalg.norm(matrix @ result.x - b) <= 1e-6 * np.linalg.norm(b)


def test_every_row_is_in_one_block(seed):
    """One pass over the partition of an orthogonal matrix solves it."""
    rng = np.random.default_rng(seed)
    Q = np.linalg.qr(rng.standard_normal((37, 37)))[0]
    x = rng.standard_normal(37)
    loop = kernel(np.ascontiguousarray(Q), Q @ x, "block", size=5, seed=seed)
    loop.run(16, 8)  # the third pass
    np.testing.assert_allclose(loop.x, x, atol=1e-12)


# ---- sketches ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sketch", "size"), [("countsketch", 4), ("sparse-sign", 12), ("gaussian", 3)])
def test_sketches_are_unbiased(sketch, size):
    """E[S S'] = I: W = S' of the identity."""
    n, draws = 6, 4000
    loop = kernel(np.eye(n), np.ones(n), sketch, size=min(size, n))
    mean = np.zeros((n, n))
    for k in range(draws):
        S, right = loop.formed(k)
        np.testing.assert_allclose(S.sum(1), right, atol=1e-12)
        mean += S.T @ S / draws
    np.testing.assert_allclose(mean, np.eye(n), atol=0.1)


def test_hadamard(seed):
    rng = np.random.default_rng(seed)
    for rows, cols in ((1, 3), (2, 1), (16, 71), (128, 9)):
        X = rng.standard_normal((rows, cols))
        expected = scipy.linalg.hadamard(rows) @ X
        _kernels.hadamard(X)
        np.testing.assert_allclose(X, expected, atol=1e-12 * rows)
    with pytest.raises(ValueError, match="power of 2"):
        _kernels.hadamard(np.zeros((3, 2)))


# ---- solves --------------------------------------------------------------------------------------


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("shape", [(40, 40), (70, 20), (15, 33)])
@pytest.mark.parametrize("sketch", KINDS_OF_SKETCH)
def test_solutions(sketch, shape, sparse):
    """Of wide systems the solution nearest to x0."""
    rng = np.random.default_rng(2)
    matrix, A, b, x = system(rng, *shape, sparse)
    if shape[0] == shape[1]:
        matrix, b = matrix + 9 * scipy.sparse.eye_array(40).tocsr() if sparse else matrix + 9 * np.eye(40), b + 9 * x
    x0 = rng.standard_normal(shape[1])
    nearest = x if shape[0] >= shape[1] else x0 + np.linalg.pinv(A) @ (b - A @ x0)
    result = sketch_solve(matrix, b, x0=x0, sketch=sketch, tol=1e-9)
    assert result.success
    np.testing.assert_allclose(result.x, nearest, atol=1e-5)
    assert result.residual_norm == pytest.approx(np.linalg.norm(b - matrix @ result.x), rel=1e-6)


@pytest.mark.parametrize("options", [{"momentum": 0.4}, {"acceleration": 2e-3}, {"omega": 1.5}, {"omega": 0.5}])
@pytest.mark.parametrize("sketch", ["rk", "block", "countsketch"])
def test_what_is_carried_still_solves(sketch, options, seed):
    matrix, _, b, x = system(np.random.default_rng(seed), 60, 20)
    result = sketch_solve(matrix, b, sketch=sketch, options=options, tol=1e-10, rng=seed)
    assert result.success
    np.testing.assert_allclose(result.x, x, atol=1e-7)


def test_dependent_rows(seed):
    """Rows that repeat one another, and rows of zeros: blocks of them have no factor without pivots."""
    rng = np.random.default_rng(seed)
    _, A, _, x = system(rng, 20, 15)
    A = np.vstack([A, A, np.zeros((3, 15)), 1e6 * A[:5]])
    for sketch in KINDS_OF_SKETCH:
        result = sketch_solve(
            A, A @ x, sketch=sketch, tol=1e-8, options={"size": 10} if sketch != "rk" else {}, rng=seed
        )
        assert result.success, (sketch, result.status)


def test_inconsistent_systems_stagnate(seed):
    rng = np.random.default_rng(seed)
    A, b = rng.standard_normal((30, 10)), rng.standard_normal(30)
    for sketch in KINDS_OF_SKETCH:
        result = sketch_solve(A, b, sketch=sketch, rng=seed)
        assert (result.status, result.success) == (Status.STAGNATION, False), sketch
        assert result.nit < 1000
        assert result.measure < 1.5


def test_too_much_momentum_diverges():
    rng = np.random.default_rng(1)
    matrix, _, b, _ = system(rng, 30, 30)
    result = sketch_solve(matrix, b, sketch="block", options={"omega": 1.99, "momentum": 0.999, "size": 25})
    assert not result.success
    assert result.status in (Status.DIVERGED, Status.STAGNATION)
    assert np.isfinite(result.measure)


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
def test_ruiz_scaling_of_kkt_matrices(sparse, seed):
    """It is picked for them, makes their rows alike, and the answer is in the user's variables."""
    rng = np.random.default_rng(seed)
    H, G = np.diag(rng.random(24) + 1), 3 * np.linalg.qr(rng.standard_normal((24, 8)))[0].T
    scale = np.concatenate([np.ones(24), np.full(8, 8.0)])
    K = np.block([[H, G.T], [G, np.zeros((8, 8))]]) * scale * scale[:, None]
    d = ruiz_scale(K)
    largest = np.abs(d[:, None] * K * d).max(1)
    assert largest.max() / largest.min() < 16
    z = rng.standard_normal(32) / scale
    matrix = scipy.sparse.csr_array(K) if sparse else K
    result = sketch_solve(matrix, K @ z, sketch="rk", tol=1e-6, rng=seed)
    assert result.success
    np.testing.assert_allclose(d * (K @ result.x), d * (K @ z), atol=1e-4 * np.abs(d * (K @ z)).max())
    assert looks_like_kkt(matrix)
    assert not any(looks_like_kkt(other) for other in (H, G, K + np.triu(K, 1), np.ones((1, 1))))


# ---- least squares -------------------------------------------------------------------------------


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("condition", [1e1, 1e8])
def test_least_squares(condition, sparse, seed):
    """Ill-conditioned as well: a backward-stable answer, and few iterations."""
    rng = np.random.default_rng(seed)
    matrix, A, _, x = system(rng, 400, 20, sparse)
    scale = np.geomspace(1, 1 / condition, 20)
    A = A * scale
    matrix = matrix @ scipy.sparse.diags_array(scale) if sparse else A
    b = A @ (x / scale) + rng.standard_normal(400)
    result = sketch_solve(matrix, b, tol=1e-13, rng=seed)
    assert result.success
    assert result.method == "sketch-precond"
    assert result.nit < 120
    best = np.linalg.lstsq(A, b, rcond=None)[0]
    assert np.linalg.norm(A @ (result.x - best)) <= 1e-9 * np.linalg.norm(b)


def test_least_squares_without_full_rank(seed):
    """The solution of least norm."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((200, 6)) @ rng.standard_normal((6, 10))
    b = rng.standard_normal(200)
    result = sketch_solve(A, b, tol=1e-12, rng=seed)
    assert result.success
    np.testing.assert_allclose(result.x, np.linalg.pinv(A) @ b, atol=1e-8)


# ---- calls ---------------------------------------------------------------------------------------


def test_the_choice_of_the_method():
    rng = np.random.default_rng(3)
    for shape, sketch, method in (((40, 10), None, "sketch-precond"), ((39, 10), None, "sketch-project"),
                                  ((40, 10), "rk", "sketch-project")):  # fmt: skip
        matrix, _, b, _ = system(rng, *shape)
        assert sketch_solve(matrix, b, sketch=sketch).method == method


@pytest.mark.parametrize("matrix", [np.zeros((3, 2)), scipy.sparse.csr_array((3, 2))])
def test_nothing_to_solve(matrix):
    result = sketch_solve(matrix, np.zeros(3), sketch="rk")
    assert result.success
    assert result.x.tolist() == [0, 0]
    stuck = sketch_solve(matrix, np.ones(3), sketch="rk")
    assert stuck.status is Status.STAGNATION


@pytest.mark.parametrize(
    ("A", "b", "keywords", "error", "match"),
    [
        (np.eye(2), np.ones(3), {}, ValueError, "b must have length 2"),
        (np.eye(2), np.ones(2), {"x0": np.ones(3)}, ValueError, "x0 must have length 2"),
        (np.array([[1, np.nan]]), np.ones(1), {}, ValueError, r"A\[\(0, 1\)\] is nan"),
        (np.eye(2), np.array([1, np.inf]), {}, ValueError, r"b\[1\] is inf"),
        (np.eye(2) * 1j, np.ones(2), {}, TypeError, "A must be real"),
        (scipy.sparse.csr_array(np.eye(2) * 1j), np.ones(2), {}, TypeError, "A must be real"),
        (scipy.sparse.linalg.aslinearoperator(np.eye(2)), np.ones(2), {}, TypeError, "rows are read"),
        (np.zeros((0, 2)), np.ones(0), {}, ValueError, "a row and a column"),
        (np.ones(3), np.ones(3), {}, ValueError, "A must have 2 dimensions"),
        (np.ones((3, 2)), np.ones(3), {"options": {"scaling": "ruiz"}, "sketch": "rk"}, ValueError, "square"),
        (np.eye(2), np.ones(2), {"sketch": "fourier"}, OptionError, "sketch"),
        (np.eye(2), np.ones(2), {"method": "sketch-precond", "sketch": "rk"}, OptionError, "sketch"),
        (np.eye(2), np.ones(2), {"method": "bcd"}, MethodError, "cannot serve"),
        (np.eye(2), np.ones(2), {"tol": 0}, ValueError, "tol"),
    ],
)  # fmt: skip
def test_bad_input(A, b, keywords, error, match):
    with pytest.raises(error, match=match):
        sketch_solve(A, b, **keywords)


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("sketch", [None, "rk", "block", "srht"])
@pytest.mark.parametrize(
    "sizes", [(1e-200, 1e-200), (1.0, 1e-200), (1e-200, 1.0), (1e200, 1e200), (1.0, 1e200), (1e300, 1e300), (1, 1e-300)]
)
def test_numbers_whose_squares_are_none(sketch, sizes, sparse):
    """The same solution, in other units: x = 0 does not solve a system whose squares vanish."""
    rng = np.random.default_rng(0)
    matrix, A, _, x = system(rng, 30, 5, sparse)
    b, x0 = A @ x, rng.normal(size=5)
    plain = sketch_solve(matrix, b, x0=x0, sketch=sketch, max_iter=500)
    seen = []
    other = sketch_solve(
        matrix * sizes[0], b * sizes[1], x0=x0 * (sizes[1] / sizes[0]), sketch=sketch, max_iter=500,
        callback=lambda result: seen.append(result.x),
    )  # fmt: skip
    assert plain.success
    assert other.success
    np.testing.assert_allclose(other.x * (sizes[0] / sizes[1]), x, rtol=1e-4)
    np.testing.assert_allclose(seen[-1], other.x)
    assert other.residual_norm <= 1e-6 * np.abs(b * sizes[1]).max() * np.sqrt(30) * 1.01


@pytest.mark.parametrize("sizes", [(1e200, 1e-200), (1e-200, 1e200)])
def test_solutions_that_no_number_holds(sizes):
    A = np.eye(5) + np.ones((5, 5))
    for how in ({"sketch": "rk"}, {"method": "sketch-precond"}):
        result = sketch_solve(A * sizes[0], A.sum(1) * sizes[1], **how)
        assert not result.success
        assert result.measure > 0.9
        assert result.x.tolist() == [0] * 5


@pytest.mark.parametrize("shape", [(6, 6), (4, 9), (7, 6), (12, 6)])
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
def test_few_rows_are_factored_as_they_are(shape, sparse, seed):
    matrix, _, b, _ = system(np.random.default_rng(seed), *shape, sparse)
    result = sketch_solve(matrix, b, method="sketch-precond", tol=1e-10, rng=seed)
    assert result.success
    assert result.nit <= 10
