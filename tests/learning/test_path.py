"""Regularisation paths: the same as fits one by one."""

import sys

import numpy as np
import pytest
import scipy.sparse
from sklearn import linear_model
from test_glm import problem, strongest

from solvers.learning import LassoCV, _gram_path, glm, glm_path


@pytest.mark.parametrize("loss", ["squared", "logistic", "huber", "squared_hinge", "poisson"])
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("sparse", [False, True])
def test_each_fit_is_that_of_glm(seed, loss, intercept, sparse):
    X, y = problem(seed, 60, 300, loss, 0.2 if sparse else None)
    given = scipy.sparse.csc_matrix(X) if sparse else X
    path = glm_path(given, y, loss=loss, n_lams=8, eps=0.05, fit_intercept=intercept, tol=1e-12)
    assert path.success
    assert path.coefs.shape == (8, 300)
    for k, lam in enumerate(path.lams):
        alone = glm(given, y, loss=loss, lam=lam, fit_intercept=intercept, tol=1e-12)
        result = path.results[k]
        assert abs(alone.fun - result.fun) <= result.gap + alone.gap + 1e-12 * abs(alone.fun)
        np.testing.assert_allclose(path.coefs[k], alone.coef, atol=1e-4)
        assert path.intercepts[k] == pytest.approx(alone.intercept, abs=1e-4)
        assert path.gaps[k] == result.gap


@pytest.mark.parametrize("loss", ["squared", "logistic", "huber", "poisson", "multinomial"])
@pytest.mark.parametrize("penalty", ["group", "sparse-group"])
@pytest.mark.parametrize("free", [False, True])
def test_each_fit_on_groups_is_that_of_glm(seed, loss, penalty, free):
    sparse = seed % 2 == 1
    X, y = problem(seed, 60, 90, "squared" if loss == "multinomial" else loss, 0.3 if sparse else None)
    y = np.digitize(y, np.quantile(y, [0.3, 0.6])) if loss == "multinomial" else y
    weights = np.linspace(0.5, 2, 18)
    if free:
        weights[[1, 5]] = 0, np.inf
    keywords = {
        "loss": loss, "penalty": penalty, "groups": 5, "weights": weights, "l1_ratio": 0.3, "fit_intercept": free,
        "bounds": (0, np.inf) if free and seed % 2 else None, "tol": 1e-11,
    }  # fmt: skip
    given = scipy.sparse.csc_matrix(X) if sparse else X
    path = glm_path(given, y, n_lams=5, eps=0.1, **keywords)
    assert path.success
    held = path.coefs[0] if loss != "multinomial" else np.abs(path.coefs[0]).max(axis=0)
    assert not held[np.r_[:5, 10:90]].any()
    assert path.coefs[1].any()
    for lam, result in zip(path.lams, path.results, strict=True):
        alone = glm(given, y, lam=lam, **keywords)
        assert abs(alone.fun - result.fun) <= result.gap + alone.gap + 1e-11 * abs(alone.fun)
    # a little less than the first strength brings a group in
    below = glm(given, y, lam=0.98 * path.lams[0], **keywords)
    assert len(below.support) > len(path.results[0].support)


@pytest.mark.parametrize("penalty", ["l1", "elastic-net", "l2"])
def test_classes_along_a_path(seed, penalty):
    X, y = problem(seed, 60, 12, "squared")
    y = np.digitize(y, np.quantile(y, [0.3, 0.6]))
    keywords = {"loss": "multinomial", "penalty": penalty, "fit_intercept": True, "tol": 1e-10}
    path = glm_path(X, y, lams=[5.0, 2.0, 0.5], **keywords)
    assert path.success
    assert path.coefs.shape == (3, 3, 12)
    assert path.intercepts.shape == (3, 3)
    for lam, result in zip(path.lams, path.results, strict=True):
        assert result.fun == pytest.approx(glm(X, y, lam=lam, **keywords).fun, rel=1e-9)


def test_the_first_strength_is_the_least_that_leaves_zero(seed):
    X, y = problem(seed, 50, 40)
    path = glm_path(X, y, n_lams=3)
    assert path.lams[0] == pytest.approx(strongest(X, y, "squared"))
    np.testing.assert_allclose(path.lams, path.lams[0] * np.array([1, 10**-1.5, 1e-3]))
    assert not path.coefs[0].any()
    assert path.coefs[1].any()
    # an intercept takes its share first; bounds leave one side
    path = glm_path(X, y, n_lams=2, fit_intercept=True, bounds=(0, np.inf))
    assert path.lams[0] == pytest.approx(max(X.T @ (y - y.mean())))


def test_strengths_in_any_order(seed):
    X, y = problem(seed, 50, 80)
    lams = np.array([3.0, 30.0, 1.0])
    path = glm_path(X, y, lams=lams, tol=1e-12)
    np.testing.assert_array_equal(path.lams, lams)
    for k, lam in enumerate(lams):
        np.testing.assert_allclose(path.coefs[k], glm(X, y, lam=lam, tol=1e-12).coef, atol=1e-6)


def test_little_memory_changes_nothing(seed):
    X, y = problem(seed, 50, 400)
    path, other = (glm_path(X, y, n_lams=10, tol=1e-12, memory=memory) for memory in (2.0**29, 1e4))
    np.testing.assert_allclose(other.coefs, path.coefs, atol=1e-6)


@pytest.mark.parametrize(
    "form", [np.asfortranarray, np.ascontiguousarray, scipy.sparse.csc_matrix, scipy.sparse.csr_matrix]
)
@pytest.mark.parametrize("more", [{}, {"penalty": "elastic-net"}, {"bounds": (0, 1.0)}, {"fit_intercept": True}])
def test_one_gram_matrix_serves_a_path_of_few_columns(seed, form, more):
    X, y = problem(seed, 80, 30, density=0.5)
    s = np.linspace(0.5, 2, 80)
    one, many = (
        glm_path(form(X), y, n_lams=25, tol=1e-11, sample_weight=s, memory=memory, **more) for memory in (2.0**29, 1.0)
    )
    assert one.success
    assert many.success
    assert all(result.stats["working_set"] == 30 + ("fit_intercept" in more) for result in one.results)
    assert [result.method for result in one.results] == ["working-set"] * 25
    assert all(result.stats["newton_steps"] == result.nit for result in one.results)
    np.testing.assert_allclose(one.coefs, many.coefs, atol=1e-5)
    np.testing.assert_allclose(one.intercepts, many.intercepts, atol=1e-5)
    for k, result in enumerate(one.results):
        assert 0 <= result.gap <= 1e-11 * 0.5 * (s @ y**2) * 1.001
        assert abs(result.fun - many.results[k].fun) <= result.gap + many.results[k].gap + 1e-12 * result.fun


def test_columns_that_depend_on_others_do_not_stop_a_path(seed):
    X, y = problem(seed, 40, 20)
    X = np.column_stack([X, X[:, :10], X @ np.linspace(-1, 1, 20), np.zeros(40)])
    path = glm_path(X, y, n_lams=30, eps=1e-4, tol=1e-10)
    assert path.success
    for lam, result in zip(path.lams[::6], path.results[::6], strict=True):
        assert result.fun <= glm(X, y, lam=lam, tol=1e-10).fun + 1.001e-10 * 0.5 * (y @ y)


def test_a_point_that_the_gram_matrix_does_not_reach_is_a_fit(seed, monkeypatch):
    X, y = problem(seed, 40, 20)
    wanted = glm_path(X, y, n_lams=10, tol=1e-10)
    calls = []
    minimised = _gram_path.GramPath._minimised
    monkeypatch.setattr(
        _gram_path.GramPath, "_minimised", lambda *args: calls.append(1) or (len(calls) % 3 and minimised(*args))
    )
    path = glm_path(X, y, n_lams=10, tol=1e-10)
    assert path.success
    np.testing.assert_allclose(path.coefs, wanted.coefs, atol=1e-5)


def test_early_ends(seed):
    X, y = problem(seed, 50, 400)
    full = glm_path(X, y, n_lams=20)
    sizes = [len(result.support) for result in full.results]
    path = glm_path(X, y, n_lams=20, max_support=6)
    count = len(path.lams)
    assert sizes[count - 1] > 6
    assert max(sizes[: count - 1]) <= 6
    path = glm_path(X, y, n_lams=20, early_stop_deviance=0.5)
    explained = [1 - np.sum((y - X @ w) ** 2) / np.sum(y**2) for w in path.coefs]
    assert explained[-1] >= 0.5
    assert max(explained[:-1]) < 0.5


def test_weights_of_zero_are_in_the_null_fit(seed):
    X, y = problem(seed, 50, 20)
    weights = np.ones(20)
    weights[0] = 0
    path = glm_path(X, y, n_lams=3, weights=weights, tol=1e-9)
    assert path.coefs[0, 0] == pytest.approx(X[:, 0] @ y / (X[:, 0] @ X[:, 0]), rel=1e-6)
    assert not path.coefs[0, 1:].any()


def test_progress_bar(capsys, monkeypatch):
    X, y = problem(7)
    glm_path(X, y, n_lams=3, progress=True)
    assert "glm_path" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "tqdm", None)  # as if it were not installed
    assert glm_path(X, y, n_lams=3, progress=True).success


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"lams": []}, "lams is empty"),
        ({"lams": [1.0, -1.0]}, r"lams must be >= 0; lams\[1\]"),
        ({"lams": [np.nan]}, "lams must be finite"),
        ({"n_lams": 0}, "n_lams must be"),
        ({"eps": 1.5}, "eps must be between"),
        ({"penalty": "l2"}, "lams must be given"),
        ({"penalty": "none", "lams": [1.0]}, "a strength that a path can follow"),
        ({"memory": -1}, "memory must be positive"),
    ],
)
def test_bad_input_is_named(change, match):
    X, y = problem(3)
    with pytest.raises(ValueError, match=match):
        glm_path(X, y, **change)


# ---- cross-validation -----------------------------------------------------------------------------


@pytest.mark.parametrize("sparse", [False, True])
def test_cross_validation_as_scikit_learns(seed, sparse):
    X, y = problem(seed, 90, 30, density=0.5 if sparse else None)
    given = scipy.sparse.csr_matrix(X) if sparse else X
    ours = LassoCV(alphas=30, tol=1e-12).fit(given, y)
    theirs = linear_model.LassoCV(alphas=ours.alphas_, tol=1e-12, max_iter=100_000).fit(X, y)
    assert ours.alpha_ == pytest.approx(theirs.alpha_)
    np.testing.assert_allclose(ours.mse_path_, theirs.mse_path_, rtol=1e-6)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-6)
    assert ours.alphas_[0] == pytest.approx(np.abs(X.T @ (y - y.mean())).max() / 90)
