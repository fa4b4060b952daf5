"""Sweeps against a kept residual: the kernel by its optimality conditions, fits against those by Gram matrices."""

import functools

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from test_glm import LOSSES, problem, strongest

from solvers import learning
from solvers.learning import _kernels, _models, _working_set

glm = functools.partial(learning.glm, method="working-set")

PENALTIES = ("l1", "both", "box", "nonneg", "none")


class Quadratic:
    """v'X s + s'X'DX s / 2 with a penalty of w + s, in NumPy."""

    def __init__(self, seed, n=40, d=30, sparse=False, ones=False, weighted=False, penalty="l1"):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(n, d)) * rng.uniform(0.3, 3, d)
        if sparse:
            X *= rng.random((n, d)) < 0.2
        self.columns = np.sort(rng.choice(d, d // 2, replace=False)).astype(np.int32)
        self.full = np.column_stack([X[:, self.columns], np.ones(n)]) if ones else X[:, self.columns]
        p = self.full.shape[1]
        self.D = rng.uniform(0.1, 2, n) if weighted else None
        self.v, self.w = rng.normal(size=n), np.zeros(p)
        l1, l2 = np.zeros(p), np.zeros(p)
        low, high = np.full(p, -np.inf), np.full(p, np.inf)
        if penalty in ("l1", "both"):
            l1[:] = 0.2 * np.abs(self.full.T @ self.v).max()
        if penalty == "both":
            l2[:] = 1.5
        if penalty in ("box", "nonneg"):
            low[:], high[:] = 0, 0.05 if penalty == "box" else np.inf
        if ones:
            l1[-1] = l2[-1] = 0
            low[-1], high[-1] = -np.inf, np.inf
        self.terms = l1, l2, low, high
        if sparse:
            X = scipy.sparse.csc_array(X)
            self.matrix = _kernels.Compressed(X.indptr.astype(np.int32), X.indices.astype(np.int32), X.data, n)
        else:
            self.matrix = _kernels.Columns(np.asfortranarray(X), self.columns)
        self.ones = ones

    def minimised(self, tol=1e-11, most=1e9):
        """u, its q, and the kernel."""
        u, q = self.w.copy(), self.v.copy()
        kernel = _kernels.Sweeps(self.matrix, self.columns, self.ones, self.D, self.terms, u, q)
        return u, q, kernel.minimise(tol, most), kernel

    def residual(self, u):
        """v + D X (u - w)."""
        return self.v + (1 if self.D is None else self.D) * (self.full @ (u - self.w))

    def objective(self, u):
        s, (l1, l2, *_) = u - self.w, self.terms
        bend = self.full @ s
        D = 1 if self.D is None else self.D
        return self.v @ bend + bend @ (D * bend) / 2 + l1 @ np.abs(u) + (l2 * u) @ u / 2

    def violation(self, u):
        """By a step of the proximal gradient."""
        l1, l2, low, high = self.terms
        z = u - self.full.T @ self.residual(u) - l2 * u
        return np.abs(np.clip(np.sign(z) * np.maximum(np.abs(z) - l1, 0), low, high) - u).max()


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("ones", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_sweeps_end_at_the_minimum(seed, penalty, sparse, ones, weighted):
    one = Quadratic(seed, sparse=sparse, ones=ones, weighted=weighted, penalty=penalty)
    u, q, violation, _ = one.minimised()
    assert violation <= 1e-11
    np.testing.assert_allclose(q, one.residual(u), atol=1e-10)
    assert one.violation(u) <= 1e-9
    assert np.all(u >= one.terms[2])
    assert np.all(u <= one.terms[3])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(PENALTIES), st.booleans(), st.booleans())
def test_the_objective_never_rises(seed, penalty, sparse, weighted):
    one = Quadratic(seed, 12, 40, sparse, weighted=weighted, penalty=penalty)  # more columns than rank
    u, q, _, kernel = one.minimised(1e-9, 1)
    least = one.objective(one.w)
    for most in range(100, 2000, 100):
        now = one.objective(u)
        assert now <= least + 1e-12 * max(1, abs(least))
        least = now
        kernel.minimise(1e-9, most)
    np.testing.assert_allclose(q, one.residual(u), atol=1e-9)


def test_conjugate_gradients_end_what_sweeps_cannot(seed):
    """Columns that nearly agree: sweeps alone take a million."""
    rng = np.random.default_rng(seed)
    one = Quadratic(seed, penalty="none")
    X = rng.normal(size=(40, 1)) + 1e-3 * rng.normal(size=(40, 15))
    one.full, one.matrix = X, _kernels.Columns(np.asfortranarray(X), None)
    u, _, violation, kernel = one.minimised(1e-7, 1e7)
    assert violation <= 1e-7
    expected = one.objective(np.linalg.lstsq(X, -one.v, rcond=None)[0])
    assert one.objective(u) == pytest.approx(expected, rel=1e-6)
    assert kernel.counts["products"] > 0


def test_a_budget_is_kept(seed):
    one = Quadratic(seed, 200, 300, penalty="nonneg")
    _, _, violation, kernel = one.minimised(0.0, 1.0)
    assert kernel.counts["sweeps"] == 1
    assert violation > 0
    assert one.full.size <= kernel.counts["entries"] <= 2 * one.full.size


def test_bad_sweeps():
    X, empty = np.asfortranarray(np.ones((4, 3))), np.zeros(0)
    terms = tuple(np.zeros(3) for _ in range(4))
    matrix = _kernels.Columns(X, None)
    with pytest.raises(ValueError, match="q has length 5, not 4"):
        _kernels.Sweeps(matrix, None, False, None, terms, np.zeros(3), np.zeros(5))
    with pytest.raises(ValueError, match="must have length 4"):
        _kernels.Sweeps(matrix, None, True, None, terms, np.zeros(3), np.zeros(4))
    with pytest.raises(ValueError, match="weights has length 2, not 4"):
        _kernels.Sweeps(matrix, None, False, np.ones(2), terms, np.zeros(3), np.zeros(4))
    csc = _kernels.Compressed(np.array([0, 1], np.int32), np.zeros(1, np.int32), np.ones(1), 4)
    with pytest.raises(ValueError, match="a segment that the matrix does not have"):
        _kernels.Sweeps(csc, np.array([1], np.int32), False, None, (np.zeros(1),) * 4, np.zeros(1), np.zeros(4))
    none = _kernels.Sweeps(csc, np.array([], np.int32), False, None, (empty,) * 4, empty, np.zeros(4))
    assert none.minimise(0.0, 1e9) == 0


# ---- fits -----------------------------------------------------------------------------------------


def _forced(monkeypatch):
    monkeypatch.setattr(_models, "SWEEPS", 1e-9)
    monkeypatch.setattr(_models, "FEWER_SWEEPS", 1e-9)
    monkeypatch.setattr(_models, "FEW", 0)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("kind", ["C", "F", "csc", "csr"])
@pytest.mark.parametrize("intercept", [False, True])
def test_a_fit_by_sweeps_is_that_by_gram_matrices(monkeypatch, loss, kind, intercept):
    X, y = problem(5, 60, 200, loss, None if kind in "CF" else 0.3)
    lam = strongest(X, y, loss) / 4
    make = {"F": np.asfortranarray, "C": np.ascontiguousarray, "csr": scipy.sparse.csr_matrix}
    given = make.get(kind, scipy.sparse.csc_matrix)(X)
    s = np.random.default_rng(5).uniform(0.2, 3, 60)
    keywords = {
        "loss": loss, "lam": lam, "fit_intercept": intercept, "sample_weight": s, "tol": 1e-12,
        "penalty": "elastic-net", "l1_ratio": 0.9,
    }  # fmt: skip
    plain = glm(given, y, **keywords)
    _forced(monkeypatch)
    met = []
    minimum = _models.SweepModel.minimum
    monkeypatch.setattr(_models.SweepModel, "minimum", lambda self, *a: met.append(1) or minimum(self, *a))
    result = glm(given, y, **keywords)
    assert met
    assert result.success
    np.testing.assert_allclose(result.coef, plain.coef, atol=1e-6)
    assert result.fun == pytest.approx(plain.fun, rel=1e-11)


def test_sweeps_that_take_too_long_are_given_up(monkeypatch, seed):
    rng = np.random.default_rng(seed)
    X = np.asfortranarray(rng.normal(size=(300, 1)) + 1e-4 * rng.normal(size=(300, 60)))
    y = X[:, 0] + 1e-2 * rng.normal(size=300)
    lam = 1e-7 * np.abs(X.T @ y).max()
    _forced(monkeypatch)
    result = glm(X, y, lam=lam, tol=1e-13)
    assert result.success
    assert not result.state.may_sweep


def test_where_sweeps_cost_less_they_are_taken(seed):
    """Sparse columns, thousands of which are in use."""
    rng = np.random.default_rng(seed)
    X = scipy.sparse.random_array((4000, 6000), density=3 / 4000, format="csc", rng=rng)
    y = X @ rng.normal(size=6000) + 0.1 * rng.normal(size=4000)
    result = glm(X, y, lam=0.02 * np.abs(X.T @ y).max(), tol=1e-8)
    assert result.success
    assert result.state.may_sweep
    assert result.stats["working_set"] > 2000


@pytest.mark.parametrize("sparse", [False, True])
def test_ridge_fits_by_conjugate_gradients_alone(monkeypatch, seed, sparse):
    X, y = problem(seed, 60, 150, "squared", 0.4 if sparse else None)
    given = scipy.sparse.csc_matrix(X) if sparse else np.asfortranarray(X)
    keywords = {"loss": "squared", "penalty": "l2", "lam": 3.0, "fit_intercept": True, "tol": 1e-11}
    plain = glm(given, y, **keywords)
    _forced(monkeypatch)
    monkeypatch.setattr(_working_set, "by_samples_pays", lambda problem: False)
    counts = []
    kernel = _kernels.Sweeps.minimise

    class Counting(_kernels.Sweeps):
        def minimise(self, tol, most):
            violation = kernel(self, tol, most)
            counts.append(self.counts)
            return violation

    monkeypatch.setattr(_kernels, "Sweeps", Counting)
    result = glm(given, y, **keywords)
    assert result.success
    np.testing.assert_allclose(result.coef, plain.coef, atol=1e-5)
    assert sum(c["products"] for c in counts) > 0
    assert sum(c["sweeps"] for c in counts) == 0


# ---- non-negative least squares -------------------------------------------------------------------


def test_wide_non_negative_least_squares_as_scipy_fits_them(seed):
    rng = np.random.default_rng(seed)
    X, y = np.abs(rng.normal(size=(40, 900))), rng.normal(size=40)
    result = glm(np.asfortranarray(X), y, penalty="none", lam=0, bounds=(0, np.inf), tol=1e-9)
    w, norm = scipy.optimize.nnls(X, y)
    assert result.success
    assert result.fun == pytest.approx(norm**2 / 2, rel=1e-9)
    np.testing.assert_allclose(result.coef, w, atol=1e-7)
    assert result.stats["working_set"] < 200


def test_a_model_that_rises_is_none(seed):
    """A factor of a matrix that is none of these gradients': what comes out is no minimum."""
    X, y = problem(seed, 30, 60)
    made = glm(np.asfortranarray(X), y, lam=5.0, tol=1e-3).state

    class Rising:
        def __init__(self, H, weight, low, high, w, g):
            w += 100.0
            g += 100.0 * H.sum(axis=0)

        def minimise(self, tol, most):
            return 0.0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_kernels, "Quadratic", Rising)
        result = glm(np.asfortranarray(X), y, lam=5.0, tol=1e-10)
    assert result.success
    assert result.fun <= made.primal * (1 + 1e-3)
