"""Coordinate descent wholly in C: optimality of its answers, against the other method and scikit-learn."""

import itertools
import os

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import datasets, linear_model
from test_glm import LOSSES, loss_terms, objective, problem, strongest

from solvers.datasets import load_libsvm
from solvers.learning import glm, glm_path

NAME = "coordinate-descent"


def violation(result, X, y, loss, l1, l2, s, low, high):
    """The largest violation of an optimality condition, written down once more."""
    w = result.coef
    v = s * loss_terms(loss, X @ w + result.intercept, y)[1]
    g = X.T @ v + l2 * w
    right = np.where(w < 0, l1 - g, -g - l1) * (w < high)
    left = np.where(w > 0, g + l1, g - l1) * (w > low)
    return np.maximum(np.maximum(right, left), 0).max(initial=0), v.sum()


@st.composite
def fits(draw):
    loss = draw(st.sampled_from(LOSSES))
    n, d = draw(st.integers(6, 40)), draw(st.integers(1, 60))
    seed = draw(st.integers(0, 2**32 - 1))
    X, y = problem(seed, n, max(d, 4), loss, draw(st.sampled_from([None, 0.3])))
    X = X[:, :d]
    rng = np.random.default_rng(seed)
    if loss in ("logistic", "squared_hinge"):
        y[:2] = -1, 1
    low, high = draw(st.sampled_from([(-np.inf, np.inf), (0.0, np.inf), (-0.2, 0.1)]))
    keywords = {
        "loss": loss,
        "lam": max(strongest(X, y, loss), 1e-2) * draw(st.sampled_from([0.5, 0.1, 0.02])),
        "l1_ratio": draw(st.sampled_from([1.0, 0.5, 0.0])),
        "weights": rng.uniform(0.5, 2, d),
        "bounds": (low, high),
        "sample_weight": rng.uniform(0.5, 2, n) if draw(st.booleans()) else np.ones(n),
        "fit_intercept": draw(st.booleans()),
    }
    return X, y, keywords, draw(st.sampled_from([np.asfortranarray, np.ascontiguousarray, scipy.sparse.csr_array]))


@given(fits())
@settings(max_examples=120, deadline=None, derandomize=True)
def test_conditions_hold_at_every_answer(fit):
    X, y, keywords, form = fit
    result = glm(form(X), y, penalty="elastic-net", tol=1e-12, method=NAME, **keywords)
    assert result.success, result.message
    lam, ratio, weights = keywords["lam"], keywords["l1_ratio"], keywords["weights"]
    l1, l2 = lam * ratio * weights, lam * (1 - ratio) * weights
    most, total = violation(result, X, y, keywords["loss"], l1, l2, keywords["sample_weight"], *keywords["bounds"])
    size = np.abs(X).sum()
    assert most <= 1e-5 * size
    assert not keywords["fit_intercept"] or abs(total) <= 1e-5 * size
    assert result.fun == pytest.approx(
        objective(result, X, y, keywords["loss"], l1, l2, keywords["sample_weight"]), rel=1e-11
    )
    assert result.kkt == pytest.approx(max(most, abs(total) * keywords["fit_intercept"]), rel=1e-3, abs=1e-9 * size)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("penalty", ["l1", "l2", "elastic-net"])
@pytest.mark.parametrize("form", [np.ascontiguousarray, scipy.sparse.csc_array])
def test_the_other_method_agrees(loss, penalty, form):
    X, y = problem(11, 120, 450, loss, 0.5)
    keywords = {"loss": loss, "penalty": penalty, "lam": strongest(X, y, loss) / 20, "fit_intercept": True}
    ours, other = (glm(form(X), y, tol=1e-12, method=name, **keywords) for name in (NAME, "working-set"))
    assert ours.success
    assert other.success
    assert ours.fun == pytest.approx(other.fun, rel=1e-11)
    np.testing.assert_allclose(ours.coef, other.coef, atol=2e-5)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("intercept", [False, True])
def test_the_gap_bounds_the_distance_on_the_way(loss, intercept):
    """At every iterate, objective - gap <= least objective, and the objective never rises."""
    X, y = problem(23, 60, 500, loss)
    keywords = {"loss": loss, "lam": strongest(X, y, loss) / 30, "fit_intercept": intercept, "method": NAME}
    results = [glm(X, y, tol=1e-300, max_iter=k, options={"first": 10}, **keywords) for k in range(8)]
    least = glm(X, y, tol=1e-14, **keywords).fun
    slack = 1e-12 * abs(results[0].fun)
    assert all(result.fun - result.gap <= least + slack for result in results)
    assert all(later.fun <= earlier.fun + slack for earlier, later in itertools.pairwise(results))


@pytest.mark.parametrize("loss", LOSSES)
def test_screening_drops_no_column_that_is_in_use(seed, loss):
    X, y = problem(seed, 60, 500, loss)
    keywords = {"loss": loss, "lam": strongest(X, y, loss) / 5, "method": NAME, "tol": 1e-13, "fit_intercept": True}
    screened, whole = (glm(X, y, options={"screening": how}, **keywords) for how in ("gap-safe", "none"))
    assert screened.success
    assert screened.stats["screened"] > 0 or loss == "poisson"
    assert whole.stats["screened"] == 0
    assert not (np.abs(whole.coef) > 1e-6)[screened.state.alive[:-1] == 0].any()
    np.testing.assert_allclose(screened.coef, whole.coef, atol=1e-5)


def test_columns_that_repeat_or_vanish(seed):
    X, y = problem(seed, 40, 30)
    X = np.hstack([X, X, np.zeros((40, 3)), -X])
    result = glm(X, y, lam=1.0, tol=1e-13, method=NAME)
    assert result.success
    assert not result.coef[60:63].any()
    assert result.fun == pytest.approx(glm(X[:, :30], y, lam=1.0, tol=1e-13).fun, rel=1e-12)


def test_starts_that_are_no_good(seed):
    """From coefficients of empty columns, which no step moves, and from where e^z overflows."""
    X, y = problem(seed, 30, 60, "poisson")
    X[:, 5] = 0
    for size in (1.0, 1e3):
        x0 = size * np.random.default_rng(seed).normal(size=60)
        result = glm(X, y, loss="poisson", lam=1.0, x0=x0, tol=1e-11, method=NAME)
        assert result.success
        assert result.coef[5] == 0


@pytest.mark.parametrize("form", [np.asfortranarray, scipy.sparse.csc_array])
@pytest.mark.parametrize("intercept", [False, True])
def test_by_the_gram_matrix_as_by_sweeps(form, intercept):
    """Columns with a common part and nearly a line: sweeps crawl, and are given up for a factor."""
    rng = np.random.default_rng(7)
    X = rng.normal(size=(150, 6)) @ rng.normal(size=(6, 120)) + 1e-3 * rng.normal(size=(150, 120)) + 20
    X *= rng.random((150, 120)) < 0.9
    y = rng.normal(size=150)
    keywords = {"lam": strongest(X, y, "squared") / 1000, "tol": 1e-12, "fit_intercept": intercept}
    result = glm(form(X), y, method=NAME, **keywords)
    assert result.success
    assert result.stats["grams"] > 0
    assert result.fun == pytest.approx(glm(X, y, **keywords).fun, rel=1e-10)


def test_non_negative_and_unpenalised(seed):
    X, y = problem(seed)
    for bounds in ((0, np.inf), (-0.1, 0.2), None):
        ours, other = (
            glm(X, y, penalty="none", lam=0.0, bounds=bounds, tol=1e-10, method=name) for name in (NAME, "working-set")
        )
        assert ours.success
        np.testing.assert_allclose(ours.coef, other.coef, atol=1e-7)


def test_paths_take_it(seed):
    X, y = problem(seed, 50, 200)
    ours, other = (glm_path(X, y, n_lams=20, eps=0.01, tol=1e-10, method=name) for name in (NAME, "working-set"))
    assert ours.success
    np.testing.assert_allclose([r.fun for r in ours.results], [r.fun for r in other.results], rtol=1e-8)


@pytest.mark.skipif("SOLVERS_DATA" not in os.environ, reason="SOLVERS_DATA names no folder of data sets")
@pytest.mark.parametrize("name", ["colon-cancer", "german.numer_scale", "breast-cancer", "housing_scale"])
@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_libsvm_data(name, loss):
    """As they are: columns of sizes from 1 to 1e6, more of them than samples, an intercept."""
    X, y = load_libsvm(name)
    y = np.where(y > np.median(y), 1.0, -1.0) if name == "housing_scale" else np.where(y == y.max(), 1.0, -1.0)
    for share in (10, 1000):
        keywords = {"loss": loss, "lam": np.abs(X.T @ y).max() / share, "fit_intercept": True}
        ours, other = (glm(X, y, tol=1e-8, method=name, **keywords) for name in (NAME, "working-set"))
        assert ours.success
        assert ours.fun == pytest.approx(other.fun, abs=2e-8 * len(y))


@pytest.mark.parametrize("name", ["breast_cancer", "digits"])
@pytest.mark.parametrize("share", [10, 1000])
def test_real_data(name, share):
    """Columns of very different sizes that all but depend on one another: a relative gap of 1e-8."""
    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    y = np.where(y > np.median(y), 1.0, -1.0) if name == "digits" else 2.0 * y - 1
    for loss in ("squared", "logistic"):
        lam = strongest(X, y, loss) / share
        ours = glm(X, y, loss=loss, lam=lam, tol=1e-8, fit_intercept=True, method=NAME)
        assert ours.success, ours.message
        assert ours.fun == pytest.approx(glm(X, y, loss=loss, lam=lam, tol=1e-10, fit_intercept=True).fun, rel=1e-7)
    theirs = linear_model.Lasso(strongest(X, y, "squared") / 10 / len(y), tol=1e-10, max_iter=10**6).fit(X, y)
    ours = glm(X, y, lam=strongest(X, y, "squared") / 10, tol=1e-12, fit_intercept=True, method=NAME)
    np.testing.assert_allclose(X @ ours.coef + ours.intercept, theirs.predict(X), atol=1e-4)


def test_small_problems_take_it():
    X, y = problem(3, 30, 8, "squared", None)
    small, large = glm(X, y, lam=1.0), glm(np.tile(X, (5000, 1)), np.tile(y, 5000), lam=1.0)
    assert small.method == NAME
    assert "small" in small.message
    assert large.method == "working-set"
    assert glm(X, y, lam=1.0, penalty="group", groups=2).method == "group-working-set"


@pytest.mark.parametrize("loss", LOSSES)
def test_one_call_takes_the_steps_of_the_loop(loss):
    """Where nobody looks at the steps they are taken in C; the bits, the history and what is resumed are the same."""
    X, y = problem(5, 60, 20, loss, None)
    keywords = {"loss": loss, "lam": 0.05 * strongest(X, y, loss), "tol": 1e-12, "method": NAME}
    alone = glm(X, y, **keywords)
    watched = glm(X, y, callback=lambda _: None, **keywords)
    assert alone.success
    assert np.array_equal(alone.coef, watched.coef)
    assert np.array_equal(alone.history["nit"], watched.history["nit"])
    assert np.array_equal(alone.history["measure"], watched.history["measure"])
    assert np.all(np.diff(alone.history["seconds"]) >= 0)
    first = glm(X, y, max_iter=1, **keywords)
    kept = first.state.w.copy()
    assert np.array_equal(glm(X, y, resume=first.state, **keywords).coef, alone.coef)
    assert np.array_equal(first.state.w, kept)


@pytest.mark.parametrize("method", [NAME, "working-set"])
@pytest.mark.parametrize("loss", ["squared", "huber"])
@pytest.mark.parametrize("d", [1, 8, 120])
def test_bounds_that_are_close_beside_the_targets(method, loss, d):
    """A short step to a bound may gain more than the tolerance."""
    rng = np.random.default_rng(d)
    X, y = rng.standard_normal((5, d)), 3e5 * rng.standard_normal(5)
    result = glm(X, y, lam=0, penalty="none", loss=loss, bounds=(-0.5, 0.25), tol=1e-9, method=method)
    assert result.success, result.message
    slope = X.T @ loss_terms(loss, X @ result.coef, y)[1]
    assert np.array_equal(result.coef, np.where(slope > 0, -0.5, 0.25))


def test_a_number_and_an_array_are_bounds():
    X, y = problem(7, 30, 6, "squared", None)
    high = np.array([np.inf, 0.1, np.inf, 0, 1, np.inf])
    result = glm(X, y, lam=0.1, bounds=(0, high), tol=1e-10)
    assert result.success
    assert np.all((result.coef >= 0) & (result.coef <= high))


@pytest.mark.parametrize("loss", ["squared", "logistic"])
@pytest.mark.parametrize("d", [4, 6, 17, 110])
@pytest.mark.parametrize("density", [None, 0.5, 0.05])
def test_gram_matrices_of_many_rows(seed, loss, d, density):
    """More rows than a block has, and columns that leave no tile whole; sparse ones by dots, and row by row."""
    X, y = problem(seed, 1100, d, loss, density)
    if density != 0.05 and d == 110:
        X[:, 10:] = X[:, :100] + 1e-3 * X[:, 10:]  # or sweeps would do
    X = X if density is None else scipy.sparse.csc_array(X)
    s = np.linspace(0.5, 2, 1100)
    for more in ({}, {"fit_intercept": True, "sample_weight": s}):
        ours, other = (glm(X, y, lam=3.0, loss=loss, tol=1e-13, method=name, **more) for name in (NAME, "working-set"))
        assert ours.success
        assert ours.stats["grams"] > 0
        np.testing.assert_allclose(ours.coef, other.coef, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("n", [1, 64, 65, 700, 9000])
@pytest.mark.parametrize("d", [1, 3, 40])
@pytest.mark.parametrize("density", [0.3, 0.9])
@pytest.mark.parametrize("intercept", [False, True])
def test_columns_of_one_value_each(seed, n, d, density, intercept):
    """Their Gram matrix comes from bits, of more rows than a buffer holds, too; an empty column among them."""
    rng = np.random.default_rng(seed)
    X = (rng.random((n, d)) < density) * rng.normal(size=d)
    X[:, d // 2] *= d < 3
    y = X @ rng.normal(size=d) + rng.normal(size=n)
    keywords = {"lam": strongest(X, y, "squared") / 100, "tol": 1e-13, "fit_intercept": intercept}
    ours, other = glm(scipy.sparse.csc_array(X), y, **keywords), glm(X, y, method="working-set", **keywords)
    assert ours.success
    assert (ours.method, ours.stats["grams"] > 0) == (NAME, ours.nit > 0)
    np.testing.assert_allclose(ours.coef, other.coef, rtol=1e-8, atol=1e-10)
