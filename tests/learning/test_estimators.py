"""The estimators: scikit-learn's own checks, and its answers."""

import numpy as np
import pytest
from sklearn import linear_model
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from solvers.learning import NNLS, ElasticNet, Lasso


@parametrize_with_checks([Lasso(), ElasticNet(), NNLS(), Lasso(0.1, positive=True)])
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


def test_a_warm_start_goes_on(seed):
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(50, 900)), rng.normal(size=50)
    model = Lasso(1e-3, tol=1e-10, warm_start=True).fit(X, y)
    assert model.n_iter_ > 1
    assert model.fit(X, y).n_iter_ == 1
