"""The estimators: scikit-learn's own checks, and its answers."""

import numpy as np
import pytest
import scipy.sparse
from sklearn import linear_model
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from solvers.learning import NNLS, ElasticNet, GroupLasso, Lasso, LassoCV, LogisticRegression


@parametrize_with_checks(
    [
        Lasso(), ElasticNet(), NNLS(), Lasso(0.1, positive=True), LassoCV(alphas=5, cv=2), GroupLasso(),
        GroupLasso(0.1, groups=2, l1_ratio=0.3, positive=True), LogisticRegression(), LogisticRegression("l1"),
        LogisticRegression("elastic-net"),
    ]
)  # fmt: skip
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("positive", [False, True])
def test_scikit_learns_answers(seed, weighted, positive):
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(70, 20)), rng.normal(size=70)
    s = rng.integers(0, 4, 70).astype(float) if weighted else None
    for ours, theirs in (
        (Lasso(0.05, positive=positive), linear_model.Lasso(0.05, positive=positive)),
        (ElasticNet(0.05, positive=positive), linear_model.ElasticNet(0.05, positive=positive)),
    ):
        ours.set_params(tol=1e-13).fit(X, y, s)
        theirs.set_params(tol=1e-13, max_iter=100_000).fit(X, y, s)
        np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-7)
        assert ours.intercept_ == pytest.approx(theirs.intercept_, abs=1e-7)
        np.testing.assert_allclose(ours.predict(X), theirs.predict(X), atol=1e-6)


def test_in_a_pipeline_and_a_search(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(60, 8))
    y = 3 * X[:, 0] + 0.1 * rng.normal(size=60)
    search = GridSearchCV(make_pipeline(StandardScaler(), Lasso()), {"lasso__alpha": [0.01, 10.0]}).fit(X, y)
    assert search.best_params_ == {"lasso__alpha": 0.01}
    assert search.best_score_ > 0.95


def test_too_few_passes_warn():
    rng = np.random.default_rng(7)
    X, y = rng.normal(size=(50, 900)), rng.normal(size=50)
    with pytest.warns(UserWarning, match="max_iter"):
        Lasso(1e-3, max_iter=1, tol=1e-12).fit(X, y)
    with pytest.warns(UserWarning, match="max_iter") as told:
        LassoCV(alphas=[1e-3], cv=2, max_iter=1, tol=1e-12).fit(X, y)
    assert any("In fold 1: max_iter" in str(warning.message) for warning in told)


def test_a_warm_start_goes_on(seed):
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(50, 900)), rng.normal(size=50)
    model = Lasso(1e-3, tol=1e-10, warm_start=True).fit(X, y)
    assert model.n_iter_ > 1
    assert model.fit(X, y).n_iter_ == 1


# ---- groups and classes -----------------------------------------------------------------------------


def test_group_lasso_keeps_groups_together(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(80, 12))
    y = X[:, 3:6] @ [2.0, -1.0, 0.1] + 0.1 * rng.normal(size=80)
    for given in (X, scipy.sparse.csr_array(X)):
        fit = GroupLasso(0.5, groups=3, weights=np.full(4, 3**0.5), tol=1e-12).fit(given, y)
        assert fit.coef_.reshape(4, 3).any(axis=1).tolist() == [False, True, False, False]
    search = GridSearchCV(make_pipeline(StandardScaler(), GroupLasso(groups=3)), {"grouplasso__alpha": [0.01, 10.0]})
    assert search.fit(X, y).best_params_ == {"grouplasso__alpha": 0.01}
    assert GroupLasso(0.01, groups=3, positive=True).fit(X, y).coef_.min() >= 0


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("intercept", [False, True])
def test_logistic_regression_as_scikit_learns(seed, classes, weighted, intercept):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(120, 6))
    y = np.array(list("dbac"))[(X @ rng.normal(size=(6, classes)) + rng.gumbel(size=(120, classes))).argmax(axis=1)]
    keywords = {"C": 0.7, "fit_intercept": intercept, "class_weight": "balanced" if weighted else None}
    ours = LogisticRegression(tol=1e-12, **keywords).fit(X, y)
    theirs = linear_model.LogisticRegression(tol=1e-10, max_iter=10_000, **keywords).fit(X, y)
    assert ours.coef_.shape == theirs.coef_.shape
    assert ours.intercept_.shape == theirs.intercept_.shape
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-5)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-5)
    np.testing.assert_allclose(ours.predict_log_proba(X), theirs.predict_log_proba(X), atol=1e-4)
    np.testing.assert_allclose(ours.decision_function(X), theirs.decision_function(X), atol=1e-4)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    sparse = LogisticRegression(tol=1e-12, **keywords).fit(scipy.sparse.csr_array(X), y)
    np.testing.assert_allclose(sparse.coef_, ours.coef_, atol=1e-8)


def test_logistic_regression_starts_warm(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(120, 6))
    for classes in (2, 3):
        y = (X @ rng.normal(size=(6, classes)) + rng.gumbel(size=(120, classes))).argmax(axis=1)
        for penalty in ("l1", "l2"):
            model = LogisticRegression(penalty, warm_start=True, tol=1e-10).fit(X, y)
            cold = model.n_iter_[0]
            assert model.fit(X, y).n_iter_[0] <= cold
            assert model.n_iter_[0] == 1
    assert LogisticRegression().fit(X, y, (y > 0).astype(float)).classes_.tolist() == [1, 2]
    model = LogisticRegression("none", tol=1e-6).fit(X, y)
    assert model.dual_gap_ <= 1e-6 * len(y) * np.log(3)
    with pytest.raises(ValueError, match="C must be positive"):
        LogisticRegression(C=0.0).fit(X, y)
    with pytest.raises(ValueError, match="penalty must be one of"):
        LogisticRegression("l0").fit(X, y)


def test_logistic_regression_in_a_search():
    X, y = load_digits(return_X_y=True)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression(tol=1e-4)), {"logisticregression__C": [1e-4, 0.1]}, cv=3
    ).fit(X[:500], y[:500])
    assert search.best_params_ == {"logisticregression__C": 0.1}
    assert search.best_score_ > 0.85
