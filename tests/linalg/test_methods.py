"""How solves end: convergence, failures and their statuses, singular systems, several right-hand sides, tuners."""

import numpy as np
import pytest
import scipy.sparse
from systems import laplacian, neumann, random_spd

from solvers import Status, methods
from solvers.linalg import GridOperator, OmegaTuner, plan, solve

NAMES = [method.name for method in methods("linalg") if "sparse-matrix" in method.capabilities]
SPD_ONLY = ["cg", "chebyshev", "ssor-cg"]


@pytest.mark.parametrize("method", NAMES)
def test_the_dense_solution(method, seed):
    A, b = random_spd(70, seed), np.random.default_rng(seed + 1).normal(size=70)
    result = solve(A, b, method=method, rtol=1e-11)
    assert result.success
    np.testing.assert_allclose(result.x, np.linalg.solve(A.toarray(), b), rtol=1e-7, atol=1e-9)
    assert result.residual_norm == result.measure <= 1e-11 * np.linalg.norm(b)
    assert np.isclose(result.measure, np.linalg.norm(b - A @ result.x), rtol=1e-6)


@pytest.mark.parametrize("method", NAMES)
@pytest.mark.parametrize("every", [False, True])
def test_counts_do_not_depend_on_steps(method, every):
    """nit is the first iteration that meets the tolerance, stepped singly or not."""
    A, b = laplacian(9), np.arange(81.0)
    callback = (lambda result: None) if every else None
    result = solve(A, b, method=method, callback=callback)
    norms = [np.linalg.norm(b - A @ solve(A, b, method=method, max_iter=k).x) for k in range(result.nit)]
    assert result.success
    assert min(norms) > 1e-8 * np.linalg.norm(b)


@pytest.mark.parametrize("method", NAMES)
def test_few_iterations_are_counted_exactly(method):
    """An iteration that gains many digits at once."""
    A = scipy.sparse.csr_array(laplacian(8) + 1000 * scipy.sparse.eye_array(64))
    options = {"omega": 1.0} if method in ("sor", "jacobi", "ssor-cg") else None
    alone = solve(A, np.ones(64), method=method, options=options, callback=lambda result: None)
    together = solve(A, np.ones(64), method=method, options=options)
    assert together.success
    assert together.nit == alone.nit <= 8


@pytest.mark.parametrize("method", ["sor", "gauss-seidel", "jacobi"])
def test_divergence(method):
    A = np.array([[1.0, 3.0], [3.0, 1.0]])
    result = solve(A, [1.0, 2.0], method=method)
    assert (result.status, result.success) == (Status.DIVERGED, False)
    assert result.nit < 100
    assert result.measure <= np.linalg.norm([1.0, 2.0])  # the best point, not the last


def test_divergence_beyond_the_finite_numbers():
    A = np.array([[1e-12, 3.0], [3.0, 1e-12]])
    result = solve(A, [1.0, 2.0], method="gauss-seidel")
    assert result.status in (Status.DIVERGED, Status.NONFINITE)
    assert np.isfinite(result.x).all()
    assert result.measure <= np.linalg.norm([1.0, 2.0])


@pytest.mark.parametrize("method", SPD_ONLY[::2])
def test_indefinite(method):
    A = laplacian(10) - 0.5 * scipy.sparse.eye_array(100)
    result = solve(A, np.ones(100), method=method)
    assert (result.status, result.success) == (Status.NOT_SPD, False)
    assert result.measure <= 10 * (1 + 1e-12)


@pytest.mark.parametrize("method", NAMES)
def test_singular_consistent(method):
    A = neumann(12)
    b = np.random.default_rng(11).normal(size=144)
    b -= b.mean()
    result = solve(A, b, method=method, max_iter=100_000)
    assert result.success, result.message
    assert np.linalg.norm(b - A @ result.x) <= 1.01e-8 * np.linalg.norm(b)


@pytest.mark.parametrize("method", NAMES)
def test_singular_inconsistent(method):
    result = solve(neumann(12), np.arange(144.0), method=method, max_iter=50_000)
    assert not result.success
    assert result.status in (Status.STAGNATION, Status.DIVERGED, Status.NOT_SPD)
    assert np.isfinite(result.x).all()
    assert result.measure <= np.linalg.norm(np.arange(144.0)) * (1 + 1e-12)


@pytest.mark.parametrize("method", NAMES)
@pytest.mark.parametrize("n", [0, 1, 2])
def test_tiny(method, n):
    result = solve(3 * np.eye(n), np.ones(n), method=method)
    assert result.success
    np.testing.assert_allclose(result.x, np.ones(n) / 3, rtol=1e-7)
    assert n > 0 or result.nit == 0


@pytest.mark.parametrize("method", NAMES)
def test_the_looser_tolerance_counts(method):
    A, b = laplacian(9), np.ones(81)
    result = solve(A, b, method=method, rtol=0, atol=1e-3)
    assert result.success
    assert 1e-12 < result.residual_norm <= 1e-3
    assert solve(A, b, method=method, rtol=1e-3 / 9, atol=1e-9).nit == result.nit  # 9: the norm of b


@pytest.mark.parametrize("method", [None, *NAMES])
def test_nothing_to_do(method):
    A, x = laplacian(5), np.arange(25.0)
    for result, expected in (
        (solve(A, np.zeros(25), method=method), 0),
        (solve(A, np.zeros(25), x0=x, method=method), 0),
        (solve(A, A @ x, x0=x, method=method), x),
    ):
        assert (result.success, result.nit) == (True, 0)
        np.testing.assert_array_equal(result.x, np.zeros(25) + expected)


@pytest.mark.parametrize("method", [None, *NAMES])
def test_columns(method):
    A, B = laplacian(7), np.random.default_rng(3).normal(size=(49, 3))
    B[:, 1] = 0
    result = solve(A, B, method=method, rtol=1e-9)
    assert result.success
    assert result.x.shape == B.shape
    assert result.measure == max(column.measure for column in result.columns)
    assert result.columns[1].nit == 0
    for k in range(3):
        np.testing.assert_array_equal(result.x[:, k], solve(A, B[:, k], method=method, rtol=1e-9).x)


@pytest.mark.parametrize("count", [1, 5, 16, 39])
@pytest.mark.parametrize("order", ["C", "F"])
def test_columns_of_long_matrices(count, order, seed):
    """They are copied by blocks, on the way in and on the way out."""
    n = 5003  # no whole number of blocks
    A = scipy.sparse.diags_array(np.random.default_rng(seed).uniform(1, 2, n), format="csr")
    B, starts = (np.asarray(part, order=order) for part in np.random.default_rng(seed + 1).normal(size=(2, n, count)))
    for x0 in (None, starts):
        result = solve(A, B, method="jacobi", x0=x0, rtol=1e-9)
        assert result.success
        np.testing.assert_allclose(result.x, B / A.diagonal()[:, None], rtol=1e-6, atol=1e-6)
        for k, column in enumerate(result.columns):
            np.testing.assert_array_equal(result.x[:, k], column.x)


def test_columns_tell_the_worst():
    A, B = laplacian(7), np.zeros((49, 2))
    B[3, 1] = 1
    result = solve(A, B, max_iter=2)
    assert (result.status, result.success, result.nit) == (Status.MAX_ITER, False, 2)
    assert [column.success for column in result.columns] == [True, False]
    assert solve(A, np.empty((49, 0))).x.shape == (49, 0)
    with pytest.raises(ValueError, match="b must have 49 rows"):
        solve(A, np.ones((48, 2)))
    with pytest.raises(ValueError, match="x0"):
        solve(A, B, x0=np.ones(49))


def test_reference():
    A, b = laplacian(20), np.ones(400)
    near = solve(A, b, method="sor", options={"omega": 1.7}, rtol=1e-4).x
    start = np.linalg.norm(b - A @ near)
    relative = solve(A, b, x0=near, method="sor", options={"omega": 1.7}, rtol=1e-8, reference="r0")
    assert relative.success
    assert relative.measure <= 1e-8 * start
    assert relative.nit > solve(A, b, x0=near, method="sor", options={"omega": 1.7}, rtol=1e-8).nit


@pytest.mark.parametrize("sweep", ["forward", "backward", "symmetric"])
def test_sweeps_are_the_dense_formula(sweep):
    A, b = random_spd(30, 23), np.random.default_rng(5).normal(size=30)
    dense, omega = A.toarray(), 1.3
    K, L, U = np.diag(np.diag(dense)) / omega, np.tril(dense, -1), np.triu(dense, 1)
    x = np.zeros(30)
    for _ in range(4):
        for half in {"forward": [L], "backward": [U], "symmetric": [L, U]}[sweep]:
            x += np.linalg.solve(K + half, b - dense @ x)
    result = solve(A, b, method="sor", options={"omega": omega, "sweep": sweep}, max_iter=4, rtol=1e-14)
    np.testing.assert_allclose(result.x, x, rtol=1e-12, atol=1e-13)


def test_check_every():
    A, b = laplacian(10), np.ones(100)
    often = solve(A, b, method="gauss-seidel")
    rarely = solve(A, b, method="gauss-seidel", options={"check_every": 16})
    assert rarely.success
    assert often.nit <= rarely.nit <= often.nit + 16


def test_chebyshev_mends_its_bounds():
    A, b = laplacian(20), np.ones(400)
    for wrong in ({"low": 0.5}, {"high": 1.0}, {"low": 0.9, "high": 1.2}):
        result = solve(A, b, method="chebyshev", options=wrong)
        assert result.success
        assert result.stats["restarts"] >= 1
    given = solve(A, b, method="chebyshev", options={"low": 1 - np.cos(np.pi / 21), "high": 1 + np.cos(np.pi / 21)})
    assert given.stats["restarts"] == 0
    assert given.nit < 180


def test_restarts_reach_what_rounding_allows():
    """Where the recurrence of the residual has drifted off the residual, a restart makes up for it."""
    A = laplacian(40)
    b = A @ (1e6 + np.random.default_rng(7).normal(size=1600))
    for method in ("cg", "ssor-cg"):
        result = solve(A, b, method=method, rtol=1e-15)
        assert result.stats["restarts"] >= 1
        assert result.measure <= 2e-15 * np.linalg.norm(b)
        beyond = solve(A, b, method=method, rtol=1e-17)
        assert beyond.status is Status.STAGNATION
        assert beyond.measure <= 2e-15 * np.linalg.norm(b)


def test_choice():
    A = laplacian(6)
    assert "Chose ssor-cg" in solve(A, np.ones(36)).message
    tilted = scipy.sparse.csr_array(A + scipy.sparse.diags_array([0.5], offsets=[1], shape=(36, 36)))
    result = solve(tilted, np.ones(36))
    assert result.success
    assert "Chose gauss-seidel, which may not converge: A is not symmetric" in result.message
    assert solve(tilted, np.ones(36), assume_symmetric=True).method == "ssor-cg"
    negative = solve(-A, np.ones(36))
    assert negative.method == "gauss-seidel"
    assert negative.success


class Recorder:
    """A tuner of fixed answers."""

    def __init__(self, values):
        self.values, self.told = list(values), []

    def ask(self, context=None):
        value = self.values[len(self.told)]
        return type("Question", (), {"arm": len(self.told), "value": value})()

    def tell(self, question, cost):
        self.told.append((question.arm, question.value, cost))


def test_tuner():
    A, b = laplacian(12), np.ones(144)
    tuner = Recorder([1.0, 1.5, 1.7])
    prepared = plan(A)
    first = solve(prepared, b, method="ssor-cg", options={"omega": tuner})
    assert (first.stats["arm"], first.options["omega"]) == (0, 1.0)
    solve(prepared, b, method="sor", options={"omega": tuner}, max_iter=3)
    solve(prepared, b, method="ssor-cg", options={"omega": tuner}, callback=lambda result: True)
    solve(prepared, b, x0=first.x, method="ssor-cg", options={"omega": tuner})
    assert tuner.told == [(0, 1.0, first.nit), (1, 1.5, 6.0), (2, 1.7, 1.0)]


def test_a_tuner_with_a_context():
    A, b = laplacian(12), np.ones(144)
    tuner = OmegaTuner([1.0, 1.6, 1.9], learner="binned", context=(0.0, 1.0), rng=5)
    for step in range(80):
        context = step % 2
        shifted = scipy.sparse.csr_array(A + 100.0 * context * scipy.sparse.eye_array(144))
        result = solve(shifted, b, method="sor", options={"omega": tuner.at(context)})
        assert result.success
        assert result.options["omega"] == tuner.values[result.stats["arm"]]
    assert tuner.report()["told"] == 80
    assert (tuner.best(0.0), tuner.best(1.0)) == (1.6, 1.0)
    with pytest.raises(ValueError, match="context must be given"):
        solve(A, b, method="sor", options={"omega": tuner})
    apart = OmegaTuner([1.0, 1.5], rng=5)
    solve(A, b, method="sor", options={"omega": apart.at(key="pressure")})
    assert apart.report("pressure")["told"] == 1
    assert apart.report()["told"] == 0


@pytest.mark.parametrize("method", ["cg", "ssor-cg", "sor", None])
@pytest.mark.parametrize("matrix", ["sparse", "grid"])
def test_a_null_space_left_out(method, matrix, seed):
    rng = np.random.default_rng(seed)
    A = neumann(12) if matrix == "sparse" else GridOperator((12, 12), bc="neumann")
    dense = neumann(12).toarray()
    b = rng.normal(size=(144, 2)) + 3  # in no way consistent
    expected = np.linalg.lstsq(dense, b, rcond=None)[0]
    kept = b.copy()
    for right, solution in ((b[:, 0], expected[:, 0]), (b, expected)):
        result = solve(A, right, method=method, nullspace="constant", rtol=1e-11)
        assert result.success
        np.testing.assert_allclose(result.x, solution, atol=1e-7)
        assert abs(result.x.mean(axis=0)).max() <= 1e-12
    np.testing.assert_array_equal(b, kept)
    if (matrix, method) == ("grid", None):
        with pytest.raises(ValueError, match="no x gives b"):
            solve(A, b[:, 0])
    else:
        assert not solve(A, b[:, 0], method=method, max_iter=3000).success
    few = solve(A, b[:, 0], method=method, nullspace="constant", max_iter=1)
    assert few.status is Status.MAX_ITER
    left = np.linalg.norm(b[:, 0] - b[:, 0].mean() - dense @ few.x)
    np.testing.assert_allclose(few.residual_norm, left, rtol=1e-10)
