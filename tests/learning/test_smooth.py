"""Newton steps for objectives without kinks: all their ways lead to one answer."""

import numpy as np
import pytest
import scipy.sparse
from scipy.special import expit

from solvers.learning import _smooth, glm

LOSSES = ["logistic", "huber", "squared_hinge", "poisson"]


def data(seed, n, d, loss):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * rng.uniform(0.2, 2, d)
    z = X @ rng.normal(size=d) / np.sqrt(d)
    targets = {"huber": z + rng.standard_t(2, n), "poisson": rng.poisson(np.exp(np.clip(z, -3, 3))).astype(float)}
    return X, targets.get(loss, np.where(z + rng.normal(size=n) > 0, 1.0, -1.0))


def slopes(loss, z, y):
    return {
        "logistic": lambda: -y * expit(-y * z), "huber": lambda: np.clip(z - y, -1, 1),
        "squared_hinge": lambda: -y * np.maximum(0, 1 - y * z), "poisson": lambda: np.exp(z) - y,
    }[loss]()  # fmt: skip


#: What of the module is set, so that the named way is taken.
WAYS = {
    "gram": {"AT_ONCE": np.inf},
    "products": {"AT_ONCE": 0.0, "SHARE": np.inf, "FEWEST_ENTRIES": np.inf},
    "single": {"AT_ONCE": 0.0, "SHARE": np.inf, "FEWEST_ENTRIES": 0, "BLOCK": 300, "SAMPLE": np.inf},
    "sample": {"AT_ONCE": 0.0, "SHARE": np.inf, "FEWEST_ENTRIES": 0, "BLOCK": 300, "SAMPLE": 2},
    "both": {"AT_ONCE": 0.0, "SHARE": 0.05, "FEWEST_ENTRIES": 0, "BLOCK": 300},
}


FORMS = [np.asarray, np.asfortranarray, scipy.sparse.csr_array, scipy.sparse.csc_array]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("loss", LOSSES)
def test_equations_hold(way, loss, seed, monkeypatch):
    for name, value in WAYS[way].items():
        monkeypatch.setattr(_smooth, name, value)
    X, y = data(seed, 120, 15, loss)
    form, intercept = FORMS[(seed // 4 + LOSSES.index(loss) + list(WAYS).index(way)) % 4], seed % 8 < 4
    weights, s = np.random.default_rng(seed).uniform(0.2, 3, 15), np.random.default_rng(seed + 1).uniform(0.2, 3, 120)
    result = glm(
        form(X), y, loss=loss, penalty="l2", lam=0.3, weights=weights, sample_weight=s, fit_intercept=intercept,
        tol=1e-12, method="working-set",
    )  # fmt: skip
    assert result.success, result.message
    v = s * slopes(loss, X @ result.coef + result.intercept, y)
    np.testing.assert_allclose(X.T @ v + 0.3 * weights * result.coef, 0, atol=1e-3)
    assert not intercept or abs(v.sum()) < 1e-3
    other = glm(
        form(X), y, loss=loss, penalty="l2", lam=0.3, weights=weights, sample_weight=s, fit_intercept=intercept,
        tol=1e-13, method="coordinate-descent",
    )  # fmt: skip
    assert abs(result.fun - other.fun) <= 2e-12 * abs(other.fun) + result.gap + other.gap


@pytest.mark.parametrize("ones", [False, True])
@pytest.mark.parametrize("order", ["C", "F"])
def test_products_in_single_precision(seed, ones, order, monkeypatch):
    monkeypatch.setattr(_smooth, "BLOCK", 70)
    rng = np.random.default_rng(seed)
    X, D = np.asarray(rng.normal(size=(53, 6)), order=order), rng.uniform(0.1, 1, 53)
    whole = np.column_stack([X, np.ones(53)]) if ones else X
    H, single = whole.T @ (D[:, None] * whole), _smooth.Single(X, ones)
    v = 1e-60 * rng.normal(size=whole.shape[1])
    np.testing.assert_allclose(single.product(v, D.astype(np.float32)), H @ v, rtol=1e-4, atol=1e-65)
    np.testing.assert_allclose(single.gram(D, 53), H, rtol=1e-4, atol=1e-4)
    assert single.gram(D, 20).shape == H.shape


@pytest.mark.parametrize("loss", LOSSES)
def test_columns_that_repeat_or_vanish(seed, loss, monkeypatch):
    """Without a penalty the Hessian is singular."""
    X, y = data(seed, 80, 5, loss)
    X = np.column_stack([X, X[:, 0], np.zeros(80)])
    for way in WAYS.values():
        for name, value in way.items():
            monkeypatch.setattr(_smooth, name, value)
        result = glm(X, y, loss=loss, penalty="none", lam=0.0, tol=1e-6, method="working-set")
        assert result.success, result.message
        monkeypatch.undo()


def test_entries_beyond_single_precision(seed, monkeypatch):
    monkeypatch.setattr(_smooth, "FEWEST_ENTRIES", 0)
    X, y = data(seed, 60, 5, "logistic")
    result = glm(1e20 * X, y, loss="logistic", penalty="l2", lam=1e40, tol=1e-10, method="working-set")
    assert result.success, result.message
    expected = glm(X, y, loss="logistic", penalty="l2", lam=1.0, tol=1e-10, method="working-set")
    np.testing.assert_allclose(1e20 * result.coef, expected.coef, atol=1e-4)
