"""The multinomial loss, against scikit-learn, its own optimality conditions and finite differences."""

import itertools

import numpy as np
import pytest
import scipy.sparse
from scipy.special import logsumexp, softmax, xlogy
from sklearn import linear_model

from solvers import Status
from solvers.learning import glm
from solvers.learning._design import design
from solvers.learning._multinomial import ByClass, Multinomial


def problem(seed, n=90, d=12, classes=4, density=None):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * rng.uniform(0.3, 2, d)
    if density is not None:
        X *= rng.random((n, d)) < density
    Z = X[:, :5] @ rng.normal(size=(5, classes)) + rng.gumbel(size=(n, classes)) + rng.normal(size=classes)
    y = Z.argmax(axis=1)
    y[:classes] = np.arange(classes)
    return X, y


def probabilities(result, X):
    return softmax(X @ result.coef.T + result.intercept, axis=1)


def gradient(result, X, y, s=1.0):
    """Of the loss, in the coefficients and the intercepts."""
    V = probabilities(result, X) - np.eye(result.coef.shape[0])[y]
    V *= np.broadcast_to(s, len(y))[:, None]
    return V.T @ X, V.sum(axis=0)


def loss_value(result, X, y, s=1.0):
    Z = X @ result.coef.T + result.intercept
    return float(np.sum(s * (logsumexp(Z, axis=1) - Z[np.arange(len(y)), y])))


def fitted(X, y, **keywords):
    return glm(X, y, loss="multinomial", **{"lam": 1.0, "tol": 1e-13, **keywords})


# ---- against scikit-learn -------------------------------------------------------------------------


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("classes", [2, 3, 6])
def test_ridge_as_scikit_learn_fits_it(seed, classes, intercept):
    X, y = problem(seed, classes=classes)
    s = np.random.default_rng(seed).uniform(0.5, 2, len(y))
    ours = fitted(X, y, penalty="l2", lam=0.5, fit_intercept=intercept, sample_weight=s)
    assert ours.success
    if classes == 2:  # scikit-learn has a predictor for one of the classes alone
        other = glm(X, y, loss="logistic", penalty="l2", lam=0.25, fit_intercept=intercept, sample_weight=s, tol=1e-14)
        np.testing.assert_allclose(2 * ours.coef[1], other.coef, atol=1e-6)
        return
    theirs = linear_model.LogisticRegression(C=2.0, tol=1e-10, max_iter=1000, fit_intercept=intercept).fit(X, y, s)
    np.testing.assert_allclose(ours.coef, theirs.coef_, atol=1e-5)
    np.testing.assert_allclose(probabilities(ours, X), theirs.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_kinks_as_scikit_learn_fits_them(share):
    X, y = problem(7)
    ours = fitted(X, y, penalty="elastic-net", l1_ratio=share, lam=2.0, fit_intercept=True)
    theirs = linear_model.LogisticRegression(C=0.5, l1_ratio=share, solver="saga", tol=1e-10, max_iter=100_000).fit(
        X, y
    )
    assert ours.success
    np.testing.assert_allclose(probabilities(ours, X), theirs.predict_proba(X), atol=1e-6)
    if share < 1:  # with l1 terms alone a feature's coefficients may be shifted over the classes at no cost
        np.testing.assert_allclose(ours.coef, theirs.coef_, atol=1e-5)
        np.testing.assert_array_equal(ours.coef != 0, np.abs(theirs.coef_) > 1e-7)


# ---- conditions -----------------------------------------------------------------------------------


@pytest.mark.parametrize("penalty", ["l1", "l2", "elastic-net", "group", "sparse-group"])
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("shape", [(90, 12, None), (60, 150, None), (200, 160, 0.08)])
def test_conditions_hold_at_the_answer(penalty, intercept, shape):
    n, d, density = shape
    X, y = problem(11, n, d, density=density)
    s = np.random.default_rng(3).uniform(0.5, 2, n)
    given = scipy.sparse.csr_array(X) if density else X
    result = fitted(given, y, penalty=penalty, lam=2.0, fit_intercept=intercept, sample_weight=s, tol=1e-12)
    assert result.success, result.message
    assert result.coef.shape == (4, d)
    g, sums = gradient(result, X, y, s)
    l1 = 2.0 * {"l1": 1.0, "elastic-net": 0.5, "sparse-group": 0.5}.get(penalty, 0.0)
    l2 = 2.0 * {"l2": 1.0, "elastic-net": 0.5}.get(penalty, 0.0)
    norm = 2.0 * {"group": 1.0, "sparse-group": 0.5}.get(penalty, 0.0)
    sizes = np.linalg.norm(result.coef, axis=0)
    slope = g + l2 * result.coef + norm * result.coef / np.where(sizes > 0, sizes, 1)
    pull = np.sign(slope) * np.maximum(np.abs(slope) - l1, 0)
    zero_group = np.maximum(np.linalg.norm(pull, axis=0) - norm, 0)
    worst = np.where(result.coef == 0, np.abs(pull), np.abs(slope + l1 * np.sign(result.coef)))
    worst = np.where(sizes > 0, worst, zero_group) if norm else worst
    assert worst.max() <= 1e-4
    assert not intercept or np.abs(sums).max() <= 1e-5
    value = loss_value(result, X, y, s) + l1 * np.abs(result.coef).sum() + l2 / 2 * (result.coef**2).sum()
    assert result.fun == pytest.approx(value + norm * sizes.sum(), rel=1e-12)
    np.testing.assert_array_equal(result.support, np.flatnonzero(sizes))


@pytest.mark.parametrize("penalty", ["l1", "l2", "group"])
@pytest.mark.parametrize("intercept", [False, True])
def test_the_gap_bounds_the_distance_on_the_way(seed, penalty, intercept):
    X, y = problem(seed, 60, 40)
    fit = {"penalty": penalty, "lam": 0.5, "fit_intercept": intercept}
    results = [fitted(X, y, max_iter=k, tol=1e-300, **fit) for k in range(6)]
    least = fitted(X, y, **fit).fun
    slack = 1e-12 * abs(results[0].fun)
    assert all(result.fun - result.gap <= least + slack for result in results)
    assert all(later.fun <= earlier.fun + slack for earlier, later in itertools.pairwise(results))


def test_conjugate_gradients_and_the_whole_hessian_meet(seed):
    X, y = problem(seed, 150, 10)
    for penalty, lam in (("l2", 0.1), ("none", 0.0)):
        fit = {"penalty": penalty, "lam": lam, "fit_intercept": True, "tol": 1e-9}
        whole = fitted(X, y, options={"whole": 10_000}, **fit)
        by_products = fitted(X, y, options={"whole": 0}, **fit)
        assert whole.success
        assert by_products.success
        assert whole.stats["hessian_products"] == 0 < by_products.stats["hessian_products"]
        np.testing.assert_allclose(probabilities(whole, X), probabilities(by_products, X), atol=1e-4)


@pytest.mark.parametrize("whole", [0, 1000])
def test_columns_of_very_different_scales(seed, whole):
    """What makes the Hessian definite must not swamp the curvature of short columns."""
    X, y = problem(seed, 300, 6)
    fit = {"penalty": "none", "lam": 0.0, "fit_intercept": True, "tol": 1e-7, "options": {"whole": whole}}
    scales = 10.0 ** np.arange(-6, 6, 2)
    plain, scaled = fitted(X, y, **fit), fitted(X * scales, y, **fit)
    assert scaled.success
    assert scaled.nit <= plain.nit + 3
    np.testing.assert_allclose(probabilities(scaled, X * scales), probabilities(plain, X), atol=1e-3)


def test_many_features_are_preconditioned_by_the_diagonal(seed, monkeypatch):
    monkeypatch.setattr("solvers.learning._newton_cg.LARGEST_BLOCK", 5)
    for given in (lambda X: X, scipy.sparse.csr_array):
        X, y = problem(seed, 150, 60, density=0.15)
        result = fitted(given(X), y, penalty="l2", lam=0.5, fit_intercept=True, tol=1e-11)
        assert result.success
        g, sums = gradient(result, X, y)
        assert max(np.abs(g + 0.5 * result.coef).max(), np.abs(sums).max()) <= 1e-4


# ---- the loss and its matrix ----------------------------------------------------------------------


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("ones", [False, True])
def test_derivatives(seed, sparse, ones):
    rng = np.random.default_rng(seed)
    X, y = problem(seed, 30, 6, 3, density=0.15)
    matrix = ByClass(design(scipy.sparse.csr_array(X) if sparse else X, ones), 3)
    loss = Multinomial(y.astype(float), rng.uniform(0.5, 2, 30))
    w, h = rng.normal(size=matrix.width), 1e-5

    def slope(w):
        return matrix.transposed(loss.derivative(matrix.product(w)))

    g = slope(w)
    differences = [(loss.value(matrix.product(w + h * e)) - loss.value(matrix.product(w - h * e))) / (2 * h)
                   for e in np.eye(matrix.width)]  # fmt: skip
    np.testing.assert_allclose(g, differences, atol=1e-8)
    chosen = np.sort(rng.choice(matrix.d, 9, replace=False))
    H = matrix.gram(chosen, loss.second(matrix.product(w)))
    by_differences = np.array([(slope(w + h * e) - slope(w - h * e)) / (2 * h) for e in np.eye(matrix.width)[chosen]])
    np.testing.assert_allclose(H, by_differences[:, chosen], atol=1e-8)
    np.testing.assert_allclose(
        matrix.cross(chosen[:4], chosen[2:], loss.second(matrix.product(w))), H[:4, 2:], atol=1e-12
    )
    full = np.hstack([X, np.ones((30, 1))]) if ones else X
    np.testing.assert_allclose(matrix.norms[: matrix.d].reshape(3, -1), np.tile(np.linalg.norm(X, axis=0), (3, 1)))
    assert full.shape[1] * 3 == matrix.width


def test_a_shift_of_the_intercepts_stays_put(seed):
    X, y = problem(seed)
    for penalty in ("l1", "group", "l2"):
        result = fitted(X, y, penalty=penalty, fit_intercept=True)
        assert abs(result.intercept.sum()) <= 1e-6 * np.abs(result.intercept).sum()


def test_conjugate_and_balance(seed):
    y = problem(seed, 40, 5, 3)[1]
    loss = Multinomial(y.astype(float), np.random.default_rng(seed).uniform(0.5, 2, 40))
    z = np.random.default_rng(seed).normal(size=120)
    v = loss.derivative(z)
    assert loss.value(z) + loss.conjugate(v, 1.0, 0.0, 0.0) == pytest.approx(v @ z, rel=1e-12)  # Fenchel's equality
    assert loss.value(z) + loss.conjugate(v, 0.7, 0.0, 0.0) >= 0.7 * v @ z
    even = loss.balanced(v).reshape(-1, 3)
    np.testing.assert_allclose(even.sum(axis=0), 0, atol=1e-12)
    P = even / loss.s[:, None] + np.eye(3)[y]
    assert P.min() >= 0
    np.testing.assert_allclose(P.sum(axis=1), 1)
    assert loss.conjugate(even.ravel(), 1.0, 0.0, 0.0) == pytest.approx(float(loss.s @ xlogy(P, P).sum(1)))


# ---- ends -----------------------------------------------------------------------------------------


def test_a_strong_penalty_leaves_zero_without_a_step(seed):
    X, y = problem(seed)
    V = np.full((len(y), 4), 0.25) - np.eye(4)[y]
    for penalty, lam in (("l1", np.abs(V.T @ X).max()), ("group", np.linalg.norm(V.T @ X, axis=0).max())):
        result = fitted(X, y, penalty=penalty, lam=lam * (1 + 1e-12), tol=1e-10)
        assert (result.success, result.nit, len(result.support)) == (True, 0, 0)
        assert result.fun == pytest.approx(len(y) * np.log(4))
        assert len(fitted(X, y, penalty=penalty, lam=0.98 * lam, tol=1e-10).support) > 0


@pytest.mark.parametrize("penalty", ["l2", "none"])
@pytest.mark.parametrize("whole", [100, 0])
def test_features_held_at_zero_leave_the_rest_smooth(seed, penalty, whole):
    """An infinite weight is the same as no such column, by the same method."""
    X, y = problem(seed, 300)
    weights = np.ones(X.shape[1])
    weights[3] = np.inf
    keywords = {
        "loss": "multinomial", "penalty": penalty, "lam": 1.0 if penalty == "l2" else 0.0, "fit_intercept": True,
        "tol": 1e-7, "options": {"whole": whole}, "method": "newton-cg",
    }  # fmt: skip
    held, without = glm(X, y, weights=weights, **keywords), glm(np.delete(X, 3, axis=1), y, **keywords)
    assert held.success
    assert without.success
    assert not held.coef[:, 3].any()
    assert held.fun == pytest.approx(without.fun, rel=1e-5, abs=1e-5)
    assert glm(X, y, loss="multinomial", penalty=penalty, lam=keywords["lam"], weights=weights).method == "newton-cg"


def test_warm_starts_and_resuming(seed):
    X, y = problem(seed, 150, 30)
    for penalty in ("l1", "l2", "group"):
        cold = fitted(X, y, penalty=penalty, lam=0.3, tol=1e-11, fit_intercept=True)
        start = np.column_stack([cold.coef, cold.intercept])
        assert fitted(X, y, penalty=penalty, lam=0.3, tol=1e-10, fit_intercept=True, x0=start).nit == 0
        first = fitted(X, y, penalty=penalty, lam=0.3, tol=1e-11, fit_intercept=True, max_iter=2)
        assert first.status is Status.MAX_ITER
        again = fitted(X, y, penalty=penalty, lam=0.3, tol=1e-11, fit_intercept=True, resume=first.state)
        np.testing.assert_array_equal(again.coef, cold.coef)


def test_labels_and_groups_of_features(seed):
    X, y = problem(seed)
    names = np.array([-3.0, 0.5, 2.0, 7.0])
    np.testing.assert_array_equal(fitted(X, names[y]).coef, fitted(X, y).coef)
    some = fitted(X, y, fit_intercept=True, sample_weight=(y != 3).astype(float))
    np.testing.assert_allclose(some.coef, fitted(X[y != 3], y[y != 3], fit_intercept=True).coef, atol=1e-9)
    grouped = fitted(X, y, penalty="group", groups=3, lam=6.0)
    zero = (grouped.coef.reshape(4, 4, 3) == 0).all(axis=(0, 2))
    assert ((grouped.coef.reshape(4, 4, 3) != 0).any(axis=(0, 2)) == ~zero).all()
    bounded = fitted(X, y, bounds=(0, np.inf), lam=1.0)
    assert bounded.success
    assert bounded.coef.min() >= 0
    weights = np.ones(12)
    weights[2] = np.inf
    assert not fitted(X, y, penalty="l2", weights=weights).coef[:, 2].any()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"y": [1.0, 1.0, 1.0]}, "two classes at least"),
        ({"y": [1.0, np.nan, 2.0]}, "y must be finite"),
        ({"x0": np.zeros((2, 2))}, r"x0 must have shape \(3, 2\), not"),
        ({"x0": np.zeros((3, 4)), "fit_intercept": True}, r"x0 must have shape \(3, 2\) or \(3, 3\)"),
        ({"x0": np.zeros(6)}, "x0 must have 2 dimensions"),
        ({"penalty": "none"}, "lam must be 0"),
        ({"method": "newton-cg"}, "cannot serve"),
        ({"weights": np.ones(6)}, r"weights must have shape \(2,\)"),
    ],
)
def test_bad_input_is_named(change, match):
    good = {"X": np.arange(6.0).reshape(3, 2), "y": [1.0, 2.0, 4.0], "lam": 1.0, "penalty": "l1"}
    with pytest.raises(ValueError, match=match):
        glm(**{**good, **change}, loss="multinomial")


@pytest.mark.parametrize("intercept", [False, True])
def test_a_ridge_in_a_box_on_columns_of_very_different_scales(intercept):
    """The classes' coefficients of a large column may shift together at next to no cost."""
    rng = np.random.default_rng(9)
    X = rng.normal(size=(32, 19)) * 10.0 ** rng.uniform(-6, 6, 19)
    y = rng.integers(0, 3, 32)
    fit = {"loss": "multinomial", "penalty": "l2", "lam": 0.1, "bounds": (-1e-3, 1e-3), "fit_intercept": intercept}
    result = glm(X, y, tol=1e-9, **fit)
    assert result.success, result.message
