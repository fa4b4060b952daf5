"""Where labels are separated and nothing is penalised no coefficients are the best, however small the gradient is."""

import warnings

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning

from solvers import Status
from solvers.learning import LogisticRegression, glm, glm_path

FORMS = [np.asarray, np.asfortranarray, np.float32, scipy.sparse.csr_array, scipy.sparse.csc_array]
METHODS = ["working-set", "coordinate-descent", "newton-gram"]


def fitted(X, y, loss="logistic", **keywords):
    return glm(X, y, **{"loss": loss, "penalty": "none", "lam": 0.0, "fit_intercept": True, **keywords})


def has_no_minimum(result):
    assert np.isfinite(result.x).all()
    assert (result.status, result.success) == (Status.DIVERGED, False)
    assert "no least value" in result.message
    assert result.measure > 1
    return True


def is_separated(X, y):
    """By a linear program (Konis, 2007): whether a direction lowers some terms and raises none."""
    A = np.where(y > 0, 1.0, -1.0)[:, None] * np.column_stack([X, np.ones(len(y))])
    found = scipy.optimize.linprog(-A.sum(axis=0), -A, np.zeros(len(y)), bounds=(-1, 1))
    return -found.fun > 1e-6


def apart(seed, n=60, d=4, gap=0.2):
    """Labels that a plane separates, all samples away from it."""
    rng = np.random.default_rng(seed)
    X, w = rng.normal(size=(n, d)) * 10.0 ** rng.integers(-2, 3, d), rng.normal(size=d)
    z = (X / np.abs(X).max(axis=0)) @ w - 0.1
    return X[np.abs(z) > gap], np.where(z > 0, 1.0, -1.0)[np.abs(z) > gap]


def mixed(seed, n=120, d=4):
    """Labels that no plane separates, but for those of samples where a last column is 1, which are all alike."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    y = np.where(rng.random(n) < 1 / (1 + np.exp(-2 * X[:, 0])), 1.0, -1.0)
    flag = (rng.random(n) < 0.2) & (y > 0)
    return np.column_stack([X, flag]), y


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("intercept", [False, True])
def test_a_plane_between_the_labels(seed, method, form, intercept):
    X, y = apart(seed)
    X = X if intercept else np.column_stack([X, np.ones(len(y))])
    result = fitted(form(X), y, method=method, fit_intercept=intercept)
    assert has_no_minimum(result)
    assert (y * (X @ result.coef + result.intercept) > 0).all()
    assert result.nit < 40


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("form", FORMS)
def test_a_column_that_tells_a_label(seed, method, form):
    X, y = mixed(seed)
    assert is_separated(X, y)
    assert has_no_minimum(fitted(form(X), y, method=method))
    assert fitted(form(X[:, :-1]), y, method=method).success


@pytest.mark.parametrize("method", METHODS)
def test_samples_on_the_plane(method):
    X = np.array([-2.0, -1, 0, 0, 1, 2])[:, None]
    assert has_no_minimum(fitted(X, [0, 0, 0, 1, 1, 1], method=method))
    assert fitted(X, [0, 0, 1, 0, 1, 0], method=method).success


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("tiny", [1e-3, 1e-5])
def test_one_sample_a_little_beyond_the_plane_is_a_minimum(method, tiny):
    """A gradient of the same size as without it; but the coefficients are finite."""
    X = np.array([-2.0, -1, -0.5, tiny, 0.5, 1, 2, -tiny])[:, None]
    result = fitted(X, [0, 0, 0, 0, 1, 1, 1, 1], method=method)
    assert result.success, result.message


def test_as_a_linear_program_says(seed):
    """On small samples, of which about half are separated."""
    rng = np.random.default_rng(seed)
    found = set()
    for _ in range(40):
        d = int(rng.integers(1, 5))
        X = rng.integers(-2, 3, (int(rng.integers(6, 30)), d)).astype(float)
        y = np.where(rng.random(len(X)) < 1 / (1 + np.exp(-2 * X[:, 0])), 1, 0)
        if len(set(y)) < 2:
            continue
        result, expected = fitted(X, y, tol=1e-8), is_separated(X, y)
        found.add(expected)
        assert result.success != expected, (X, y, result)
        assert not expected or has_no_minimum(result)
    assert found == {False, True}


def test_columns_that_repeat_are_no_separation(seed):
    X, y = mixed(seed)
    X = np.column_stack([X[:, :-1], X[:, :2], np.zeros(len(y))])
    for method in METHODS:
        assert fitted(X, y, method=method).success


def test_bounds_and_penalties_that_end_the_way(seed):
    X, y = mixed(seed)
    assert has_no_minimum(fitted(X, y, bounds=(0, np.inf)))
    assert fitted(X, y, bounds=(np.full(5, -np.inf), np.append(np.full(4, np.inf), 9.0))).success
    assert fitted(-X, y, bounds=(0, np.inf)).success
    weights = np.zeros(5)
    assert has_no_minimum(fitted(X, y, penalty="l1", lam=1.0, weights=weights))
    weights[:4] = 1.0  # what is penalised moves, and the way out is along the rest
    assert has_no_minimum(fitted(X, y, penalty="l1", lam=1.0, weights=weights))
    weights[:] = [0, 0, 0, 0, 1]
    assert fitted(X, y, penalty="l1", lam=1e-3, weights=weights).success
    assert fitted(X, y, penalty="l2", lam=1e-6).success
    groups = [[0, 1, 2, 3], [4]]
    assert has_no_minimum(fitted(X, y, penalty="group", groups=groups, lam=1.0, weights=[1.0, 0.0]))
    assert fitted(X, y, penalty="group", groups=groups, lam=1e-2, weights=[0.0, 1.0]).success


def test_losses_with_a_least_value(seed):
    X, y = apart(seed)
    for loss in ("squared_hinge", "huber", "squared"):
        assert fitted(X, y, loss).success


@pytest.mark.parametrize("method", METHODS)
def test_counts_that_are_zero_wherever_a_column_is_not(seed, method):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(80, 3))
    y = rng.poisson(np.exp(0.3 * X[:, 0] + 0.5)).astype(float)
    flag = (rng.random(80) < 0.5) & (y == 0)
    flag[np.flatnonzero(y == 0)[:1]] = True
    assert fitted(X, y, "poisson", method=method).success
    assert has_no_minimum(fitted(np.column_stack([X, flag]), y, "poisson", method=method))
    flag[np.flatnonzero(y > 0)[0]] = True
    assert fitted(np.column_stack([X, flag]), y, "poisson", method=method).success


@pytest.mark.parametrize("whole", [0, 1000])
def test_many_classes(whole):
    X, y = load_iris(return_X_y=True)
    options = {"whole": whole}
    assert has_no_minimum(fitted(X, y, "multinomial", options=options))  # one of three is apart from the others
    assert has_no_minimum(fitted(X[y != 1], y[y != 1], "multinomial", options=options))
    assert fitted(X[y != 0], y[y != 0], "multinomial", options=options).success
    assert fitted(X, y, "multinomial", penalty="l2", lam=1e-3, options=options).success
    rng = np.random.default_rng(3)
    X = rng.normal(size=(30, 40))
    result = fitted(X, np.arange(30) % 3, "multinomial", tol=1e-14, options=options)
    assert has_no_minimum(result)
    assert result.nit < 20


def test_the_estimator_warns():
    X, y = load_iris(return_X_y=True)
    with pytest.warns(ConvergenceWarning, match="separates the labels"):
        model = LogisticRegression("none").fit(X[:100], y[:100])
    assert model.score(X[:100], y[:100]) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LogisticRegression("none").fit(X[50:], y[50:])


def test_points_of_a_path():
    X, y = mixed(5)
    weights = np.append(np.ones(4), 0.0)
    path = glm_path(X, y, loss="logistic", lams=[3.0, 1.0], weights=weights, fit_intercept=True)
    assert not path.success
    assert all(has_no_minimum(result) for result in path.results)
