"""Generalised linear models, against scikit-learn, SciPy and their own optimality conditions."""

import functools
import itertools
import warnings

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse
from scipy.special import xlogy
from sklearn import linear_model, svm
from sklearn.exceptions import ConvergenceWarning

from solvers import CopyWarning, Status, learning
from solvers.learning import _by_samples, _design

#: Small matrices go to coordinate descent, whose tests are in test_coordinate_descent.py.
glm = functools.partial(learning.glm, method="working-set")

LOSSES = ("squared", "logistic", "huber", "squared_hinge", "poisson")


def problem(seed, n=80, d=30, loss="squared", density=None):
    """A random matrix and targets that fit the loss."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * rng.uniform(0.3, 2, d)
    if density is not None:
        X *= rng.random((n, d)) < density
    z = X[:, :4] @ np.array([1.0, -0.5, 0.3, 0.2]) + rng.normal(size=n) + 0.4
    if loss in ("logistic", "squared_hinge"):
        return X, np.where(z > 0, 1.0, -1.0)
    return X, rng.poisson(np.exp(np.clip(z, -3, 2))).astype(float) if loss == "poisson" else z


def loss_terms(loss, z, y):
    """Terms and derivatives, written down once more."""
    if loss == "squared":
        return 0.5 * (z - y) ** 2, z - y
    if loss == "logistic":
        return np.logaddexp(0, -y * z), -y / (1 + np.exp(y * z))
    if loss == "huber":
        r = np.abs(z - y)
        return np.where(r <= 1, r**2 / 2, r - 0.5), np.clip(z - y, -1, 1)
    if loss == "squared_hinge":
        short = np.maximum(0, 1 - y * z)
        return short**2 / 2, -y * short
    return np.exp(z) - y * z, np.exp(z) - y


def objective(result, X, y, loss, l1, l2=0.0, s=1.0):
    w = result.coef
    terms = loss_terms(loss, X @ w + result.intercept, y)[0]
    return float(np.sum(s * terms) + np.sum(l1 * np.abs(w)) + np.sum(l2 * w * w) / 2)


def strongest(X, y, loss):
    """The l1 penalty from which all coefficients are zero."""
    return np.abs(X.T @ loss_terms(loss, np.zeros(len(y)), y)[1]).max()


# ---- against others -------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "d"), [(80, 30), (40, 100), (30, 700)])
@pytest.mark.parametrize("intercept", [False, True])
def test_lasso_as_scikit_learn_fits_it(seed, n, d, intercept):
    X, y = problem(seed, n, d)
    lam = strongest(X, y, "squared") / 20
    ours = glm(X, y, lam=lam, tol=1e-13, fit_intercept=intercept)
    theirs = linear_model.Lasso(lam / n, fit_intercept=intercept, tol=1e-14, max_iter=100_000).fit(X, y)
    assert ours.success
    np.testing.assert_allclose(ours.coef, theirs.coef_, atol=1e-7)
    assert ours.intercept == pytest.approx(theirs.intercept_, abs=1e-7)
    np.testing.assert_array_equal(ours.support, np.flatnonzero(np.abs(theirs.coef_) > 1e-7))


def test_elastic_net_as_scikit_learn_fits_it(seed):
    X, y = problem(seed, 60, 120)
    ours = glm(X, y, lam=6.0, penalty="elastic-net", l1_ratio=0.7, tol=1e-13)
    theirs = linear_model.ElasticNet(0.1, l1_ratio=0.7, fit_intercept=False, tol=1e-14, max_iter=100_000).fit(X, y)
    assert ours.success
    np.testing.assert_allclose(ours.coef, theirs.coef_, atol=1e-7)


def test_sparse_logistic_as_liblinear_fits_it(seed):
    X, y = problem(seed, loss="logistic")
    lam = strongest(X, y, "logistic") / 10
    ours = glm(X, y, loss="logistic", lam=lam, tol=1e-13)
    theirs = linear_model.LogisticRegression(
        l1_ratio=1, C=1 / lam, solver="liblinear", fit_intercept=False, tol=1e-10, max_iter=10_000
    ).fit(X, y)
    assert ours.success
    np.testing.assert_allclose(ours.coef, theirs.coef_[0], atol=1e-5)


def test_ridge_logistic_with_intercept_and_weights(seed):
    X, y = problem(seed, loss="logistic")
    s = np.random.default_rng(seed).integers(0, 4, len(y)) / 2.0
    ours = glm(X, y, loss="logistic", penalty="l2", lam=2.0, fit_intercept=True, sample_weight=s, tol=1e-14)
    theirs = linear_model.LogisticRegression(C=0.5, tol=1e-12, solver="newton-cholesky").fit(X, y, s)
    assert ours.success
    np.testing.assert_allclose(ours.coef, theirs.coef_[0], atol=1e-6)
    assert ours.intercept == pytest.approx(theirs.intercept_[0], abs=1e-6)


def test_poisson_as_scikit_learn_fits_it(seed):
    X, y = problem(seed, loss="poisson")
    ours = glm(X, y, loss="poisson", penalty="l2", lam=8.0, fit_intercept=True, tol=1e-13)
    theirs = linear_model.PoissonRegressor(alpha=0.1, tol=1e-10, solver="newton-cholesky").fit(X, y)
    assert ours.success
    np.testing.assert_allclose(ours.coef, theirs.coef_, atol=1e-6)


def test_squared_hinge_as_liblinear_fits_it(seed):
    X, y = problem(seed, loss="squared_hinge")
    ours = glm(X, y, loss="squared_hinge", penalty="l2", lam=1.0, tol=1e-13)
    theirs = svm.LinearSVC(C=0.5, fit_intercept=False, tol=1e-10, max_iter=100_000, dual=False).fit(X, y)
    assert ours.success
    np.testing.assert_allclose(ours.coef, theirs.coef_[0], atol=1e-5)


def test_non_negative_and_bounded_least_squares_as_scipy_solves_them(seed):
    X, y = problem(seed)
    ours = glm(X, y, penalty="none", lam=0.0, bounds=(0, np.inf), tol=1e-12)
    np.testing.assert_allclose(ours.coef, scipy.optimize.nnls(X, y)[0], atol=1e-9)
    ours = glm(X, y, penalty="none", lam=0.0, bounds=(-0.1, 0.2), tol=1e-12)
    assert ours.success
    np.testing.assert_allclose(ours.coef, scipy.optimize.lsq_linear(X, y, (-0.1, 0.2), tol=1e-14).x, atol=1e-7)


# ---- optimality of every kind ---------------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("penalty", ["l1", "l2", "elastic-net"])
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("sparse", [False, True])
def test_conditions_hold_at_the_answer(loss, penalty, intercept, sparse):
    X, y = problem(11, 120, 450 if sparse else 40, loss, 0.1 if sparse else None)
    s = np.random.default_rng(7).uniform(0.5, 2, 120)
    lam = strongest(X, y, loss) / 8
    given = scipy.sparse.csc_matrix(X) if sparse else X
    result = glm(given, y, loss=loss, penalty=penalty, lam=lam, fit_intercept=intercept, sample_weight=s, tol=1e-13)
    assert result.success, result.message
    share = {"l1": 1.0, "l2": 0.0, "elastic-net": 0.5}[penalty]
    w, l1, l2 = result.coef, share * lam, (1 - share) * lam
    v = s * loss_terms(loss, X @ w + result.intercept, y)[1]
    g = X.T @ v + l2 * w
    violation = np.where(w == 0, np.maximum(np.abs(g) - l1, 0), np.abs(g + l1 * np.sign(w)))
    assert violation.max() <= 1e-5 * lam
    assert not intercept or abs(v.sum()) <= 1e-6 * np.abs(v).sum()
    assert result.fun == pytest.approx(objective(result, X, y, loss, l1, l2, s), rel=1e-12)
    assert result.kkt == pytest.approx(
        max(violation.max(), abs(v.sum()) if intercept else 0), rel=1e-3, abs=1e-10 * lam
    )


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("method", ["coordinate-descent", "working-set", "newton-gram"])
def test_what_is_reported_is_of_the_coefficients_alone(seed, method, loss, intercept):
    """A fit that begins and ends at them knows no more: no bound of an earlier pass is left in the gap."""
    X, y = problem(seed, 60, 90, loss)
    given = {"loss": loss, "lam": strongest(X, y, loss) / 30, "fit_intercept": intercept, "method": method}
    unit = learning.glm(X, y, **given, max_iter=0).fun
    for first, steps in itertools.product((2, 9, 17), range(1, 9)):
        options = {} if method == "newton-gram" else {"first": first}
        found = learning.glm(X, y, **given, tol=1e-9, max_iter=steps, options=options)
        start = np.append(found.coef, found.intercept) if intercept else found.coef
        again = learning.glm(X, y, **given, x0=start, tol=1e-9, max_iter=0)
        assert found.gap == pytest.approx(again.gap, rel=1e-6, abs=1e-13 * unit)
        assert found.success == (again.gap <= 1e-9 * max(unit, -again.fun)) == (found.measure <= 1e-9)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("intercept", [False, True])
def test_the_gap_bounds_the_distance_on_the_way(seed, loss, intercept):
    """At every iterate, objective - gap <= least objective, and the objective never rises."""
    X, y = problem(seed, 60, 500, loss)
    lam = strongest(X, y, loss) / 30
    results = [glm(X, y, loss=loss, lam=lam, fit_intercept=intercept, tol=1e-300, max_iter=k) for k in range(6)]
    least = glm(X, y, loss=loss, lam=lam, fit_intercept=intercept, tol=1e-14).fun
    slack = 1e-12 * abs(results[0].fun)
    assert all(result.fun - result.gap <= least + slack for result in results)
    assert all(later.fun <= earlier.fun + slack for earlier, later in itertools.pairwise(results))


def test_samples_without_curvature_cost_no_phases(seed):
    """Most samples lie in Huber's linear part, where a second-order model has no minimum: it is not looked for."""
    X, y = problem(seed, 60, 500, "huber")
    result = glm(X, 10 * y, loss="huber", lam=strongest(X, 10 * y, "huber") / 30, tol=1e-12)
    assert result.success
    assert result.stats["newton_steps"] < 40


# ---- closed forms and invariants ------------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
def test_a_strong_penalty_leaves_zero_without_a_step(seed, loss):
    X, y = problem(seed, loss=loss)
    result = glm(X, y, loss=loss, lam=strongest(X, y, loss) * (1 + 1e-12), tol=1e-10)
    assert (result.success, result.nit, len(result.support)) == (True, 0, 0)
    assert result.fun == pytest.approx(loss_terms(loss, np.zeros(len(y)), y)[0].sum(), rel=1e-14)


def test_orthogonal_columns_are_soft_thresholded(seed):
    rng = np.random.default_rng(seed)
    X = np.linalg.qr(rng.normal(size=(50, 20)))[0]
    y = rng.normal(size=50)
    c = X.T @ y
    result = glm(X, y, lam=0.1, tol=1e-14)
    np.testing.assert_allclose(result.coef, np.sign(c) * np.maximum(np.abs(c) - 0.1, 0), atol=1e-14)


def test_scaling(seed):
    X, y = problem(seed)
    w = glm(X, y, lam=5.0, tol=1e-14).coef
    np.testing.assert_allclose(glm(8 * X, 8 * y, lam=64 * 5.0, tol=1e-14).coef, w, atol=1e-12)
    scales = 2.0 ** np.arange(-5, 25)[:30].clip(-5, 5)
    weighted = glm(X * scales, y, lam=5.0, weights=scales, tol=1e-14).coef
    np.testing.assert_allclose(weighted * scales, w, atol=1e-10)


def test_weights_of_zero_and_infinity(seed):
    X, y = problem(seed)
    weights = np.ones(30)
    weights[3], weights[0] = 0, np.inf
    result = glm(X, y, lam=30.0, weights=weights, tol=1e-9)
    assert result.success
    assert result.gap <= 1e-9 * 0.5 * (y @ y)
    assert result.coef[0] == 0
    assert result.coef[3] != 0
    others = np.delete(X, 0, 1)
    again = glm(others, y, lam=30.0, weights=np.delete(weights, 0), tol=1e-9)
    np.testing.assert_allclose(np.delete(result.coef, 0), again.coef, atol=1e-8)


def test_weights_of_samples_are_repetitions(seed):
    X, y = problem(seed, loss="logistic")
    s = np.random.default_rng(seed).integers(0, 4, len(y))
    weighted = glm(X, y, loss="logistic", lam=2.0, sample_weight=s, fit_intercept=True, tol=1e-14)
    repeated = glm(np.repeat(X, s, 0), np.repeat(y, s), loss="logistic", lam=2.0, fit_intercept=True, tol=1e-14)
    np.testing.assert_allclose(weighted.coef, repeated.coef, atol=1e-8)


@pytest.mark.parametrize("kind", ["F", "float32", "int", "csr", "csc", "coo", "array"])
def test_layouts_and_types(kind):
    rng = np.random.default_rng(23)
    X = rng.integers(-2, 3, (50, 20)) * (rng.random((50, 20)) < 0.15)
    y = rng.normal(size=50)
    given = {
        "F": lambda: np.asfortranarray(X, float), "float32": lambda: X.astype(np.float32), "int": lambda: X,
        "csr": lambda: scipy.sparse.csr_matrix(X), "csc": lambda: scipy.sparse.csc_matrix(X.astype(float)),
        "coo": lambda: scipy.sparse.coo_array(X), "array": lambda: scipy.sparse.csr_array(X.astype(np.float32)),
    }[kind]()  # fmt: skip
    before = given.copy()
    expected = glm(X.astype(float), y, lam=1.0, fit_intercept=True, tol=1e-14)
    result = glm(given, y, lam=1.0, fit_intercept=True, tol=1e-14)
    np.testing.assert_allclose(result.coef, expected.coef, atol=1e-12)
    assert result.intercept == pytest.approx(expected.intercept, abs=1e-12)
    assert abs(before - given).sum() == 0


@pytest.mark.parametrize("loss", ["squared", "huber", "logistic", "squared_hinge", "poisson", "multinomial"])
@pytest.mark.parametrize("penalty", ["l1", "l2", "group"])
def test_targets_may_be_a_column_of_a_table(loss, penalty):
    X, y = problem(13, loss="logistic" if loss in ("logistic", "squared_hinge", "multinomial") else "squared")
    table = np.stack([np.abs(y) if loss == "poisson" else y] * 3, axis=1)
    groups = np.arange(X.shape[1]) // 2 if penalty == "group" else None
    how = {"loss": loss, "penalty": penalty, "groups": groups, "lam": 2.0, "tol": 1e-10}
    copied = learning.glm(X, table[:, 1].copy(), **how)
    np.testing.assert_array_equal(learning.glm(X, table[:, 1], **how).coef, copied.coef)


def test_a_copy_of_some_size_is_told(monkeypatch):
    monkeypatch.setattr(_design, "LARGE_COPY", 1000)
    X, y = problem(3)
    for method in ("coordinate-descent", "working-set"):
        with pytest.warns(CopyWarning, match="copied by columns"):
            learning.glm(X, y, lam=1.0, method=method)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            learning.glm(np.asfortranarray(X), y, lam=1.0, method=method)


@pytest.mark.parametrize("truth", [1, 2, np.True_])
def test_an_intercept_is_one_however_it_is_asked_for(truth):
    X, y = problem(3)
    for fit in (glm, learning.glm):
        asked, expected = (fit(X, y, lam=1.0, fit_intercept=given) for given in (truth, True))
        np.testing.assert_array_equal(asked.coef, expected.coef)
        assert asked.intercept == expected.intercept != 0


def test_degenerate_sizes():
    one = glm([[2.0]], [3.0], lam=1.0, tol=1e-15)
    assert one.coef.tolist() == [1.25]  # 2 (2 w - 3) + 1 = 0
    assert glm(np.ones((3, 0)), [1.0, 2.0, 3.0], lam=1.0).coef.shape == (0,)
    assert glm(np.ones((3, 0)), [1.0, 2.0, 3.0], lam=1.0, fit_intercept=True).intercept == pytest.approx(2.0)
    assert glm(np.zeros((3, 2)), [1.0, 2.0, 3.0], lam=1.0).coef.tolist() == [0.0, 0.0]
    assert glm(np.ones((3, 2)), np.zeros(3), lam=1.0).success


def test_warm_starts_and_resuming(seed):
    X, y = problem(seed, 60, 500, "logistic")
    lam = strongest(X, y, "logistic") / 50
    cold = glm(X, y, loss="logistic", lam=lam, tol=1e-12)
    warm = glm(X, y, loss="logistic", lam=lam, tol=1e-12, x0=cold.coef)
    assert warm.nit == 0
    first = glm(X, y, loss="logistic", lam=lam, tol=1e-12, max_iter=2)
    assert first.status is Status.MAX_ITER
    on = glm(X, y, loss="logistic", lam=lam, tol=1e-12, resume=first.state)
    np.testing.assert_array_equal(on.coef, cold.coef)


def test_a_dual_written_down_once_more(seed):
    """The gap of the l1-logistic fit, from the formula."""
    X, y = problem(seed, loss="logistic")
    lam = strongest(X, y, "logistic") / 5
    result = glm(X, y, loss="logistic", lam=lam, tol=1e-300, max_iter=1)
    u = 1 / (1 + np.exp(y * (X @ result.coef)))
    u *= min(1, lam / np.abs(X.T @ (y * u)).max())
    dual = -np.sum(xlogy(u, u) + xlogy(1 - u, 1 - u))
    assert result.gap <= result.fun - dual + 1e-12


# ---- where there is no answer ---------------------------------------------------------------------


@pytest.mark.parametrize("form", [np.asarray, np.asfortranarray, scipy.sparse.csr_array, scipy.sparse.csc_array])
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
def test_l2_on_more_columns_than_samples(loss, intercept, form, seed, monkeypatch):
    """By matrices of the samples' size as by those of the columns'."""
    X, y = problem(seed, 30, 90, loss, 0.7)
    weights = np.random.default_rng(seed).uniform(0.2, 3, 90)
    s = np.random.default_rng(seed + 1).uniform(0.2, 3, 30)
    keywords = {
        "loss": loss, "lam": 2.0, "penalty": "l2", "weights": weights, "sample_weight": s,
        "fit_intercept": intercept, "tol": 1e-13,
    }  # fmt: skip
    result = glm(form(X), y, **keywords)
    assert result.success, result.message
    _, slope = loss_terms(loss, X @ result.coef + result.intercept, y)
    np.testing.assert_allclose(X.T @ (s * slope) + 2 * weights * result.coef, 0, atol=1e-5)
    assert not intercept or abs(s @ slope) < 1e-5
    monkeypatch.setattr(_by_samples, "serves", lambda problem: False)
    np.testing.assert_allclose(glm(form(X), y, **keywords).coef, result.coef, atol=1e-5)


def test_large_targets_of_poisson():
    X, y = problem(3, loss="poisson")
    result = glm(X, 1e6 * y, loss="poisson", lam=10.0, fit_intercept=True, tol=1e-10)
    assert result.success, result.message


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"X": [[1.0, np.nan]]}, ValueError, r"X must be finite; X\[\(0, 1\)\]"),
        ({"X": [[1j, 2.0]]}, TypeError, "X must be real"),
        ({"X": np.ones(3)}, ValueError, "X must have 2 dimensions"),
        ({"X": scipy.sparse.coo_array(np.ones(3))}, ValueError, "X must have 2 dimensions"),
        ({"X": scipy.sparse.coo_array(([1.0], ([0], [0])), shape=(3, 2**31))}, ValueError, r"2\^31 - 1 rows, columns"),
        ({"X": np.ones((0, 2)), "y": []}, ValueError, "X has no samples"),
        ({"y": [1.0, 2.0]}, ValueError, "y has length 2, but X has 3 rows"),
        ({"y": [1.0, 2.0, np.inf]}, ValueError, r"y must be finite; y\[2\]"),
        ({"loss": "logistic", "y": [1.0, 1.0, 1.0]}, ValueError, "two classes"),
        ({"loss": "logistic", "y": [1.0, 2.0, 3.0]}, ValueError, "two classes"),
        ({"loss": "poisson", "y": [1.0, 2.0, -1.0]}, ValueError, "y must be >= 0"),
        ({"loss": "hinge"}, ValueError, "loss must be one of"),
        ({"penalty": "l0"}, ValueError, "penalty must be one of"),
        ({"lam": -1.0}, ValueError, "lam must be finite and >= 0"),
        ({"lam": np.nan}, ValueError, "lam must be finite"),
        ({"lam": "much"}, TypeError, "lam must be a number"),
        ({"penalty": "none"}, ValueError, "lam must be 0"),
        ({"penalty": "elastic-net", "l1_ratio": 1.5}, ValueError, "l1_ratio"),
        ({"tol": -1.0}, ValueError, "tol must be positive"),
        ({"weights": [1.0]}, ValueError, r"weights must have shape \(2,\)"),
        ({"weights": [1.0, -1.0]}, ValueError, "weights must be >= 0"),
        ({"sample_weight": [1.0, np.inf, 1.0]}, ValueError, "sample_weight must be finite"),
        ({"sample_weight": [0.0, 0.0, 0.0]}, ValueError, "sample_weight is 0 for every sample"),
        ({"bounds": (0.5, 1.0)}, ValueError, "bounds must include 0"),
        ({"bounds": 3}, ValueError, "bounds must be a pair"),
        ({"x0": [1.0, 2.0, 3.0]}, ValueError, "x0 must have length 2"),
    ],
)
def test_bad_input_is_named(change, error, match):
    good = {"X": np.arange(6.0).reshape(3, 2), "y": [1.0, 2.0, 4.0], "lam": 1.0}
    with pytest.raises(error, match=match):
        glm(**{**good, **change})


def test_whole_numbers_are_converted_once(seed):
    X, y = problem(seed, 40, 12)
    X = np.round(10 * X)
    for method in ("coordinate-descent", "working-set"):
        fit = {"lam": 1.0, "tol": 1e-10, "method": method}
        np.testing.assert_array_equal(glm(X.astype(np.int32), y, **fit).coef, glm(X, y, **fit).coef)


def test_estimators_warn_where_steps_run_out(seed):
    X, y = problem(seed, 40, 12)
    for model in (learning.Lasso(alpha=1e-3, max_iter=0), learning.LogisticRegression(C=1e3, max_iter=1)):
        targets = y if isinstance(model, learning.Lasso) else y > 0
        with pytest.warns(ConvergenceWarning, match="max_iter steps did not reach the tolerance"):
            model.fit(X, targets)


@pytest.mark.parametrize("method", ["coordinate-descent", "working-set"])
def test_it_ends_in_two_passes_once_the_support_is_right(seed, method):
    """Least squares with an l1 penalty are solved exactly on the right face: no slow tail of small steps."""
    X, y = problem(seed, 200, 600)
    lam = strongest(X, y, "squared") / 20
    last = glm(X, y, lam=lam, tol=1e-15, method=method)
    passes = [glm(X, y, lam=lam, tol=1e-15, method=method, max_iter=k) for k in range(last.nit + 1)]
    right = next(k for k, at in enumerate(passes) if np.array_equal(np.sign(at.coef), np.sign(last.coef)))
    assert min(at.kkt for at in passes[right : right + 3]) <= 1e-13 * lam


@pytest.mark.parametrize("scale", [1.0, 1e6])
@pytest.mark.parametrize("method", ["coordinate-descent", "working-set", "newton-gram"])
def test_hubers_loss_in_a_box_far_from_all_targets(method, scale):
    """No sample has curvature there, and the model no minimum but the box's corners."""
    rng = np.random.default_rng(3)
    X = np.cumsum(rng.normal(size=(60, 20)), axis=1) * 10.0 ** rng.uniform(-3, 3, 20)
    y = scale * rng.normal(size=60)
    result = glm(X, y, loss="huber", penalty="none", lam=0, bounds=(0, 1e-3), tol=1e-10, method=method)
    assert result.success, result.message


def test_a_hinge_that_is_flat_at_most_samples(seed):
    """Columns of several sizes, and next to no penalty: samples without curvature let Newton steps go too far."""
    rng = np.random.default_rng(seed)
    for _ in range(8):
        n, d = rng.integers(20, 60, 2)
        X = rng.normal(size=(n, d)) * 10.0 ** rng.integers(-2, 3, d)
        z = X @ rng.normal(size=d) / np.sqrt(d) / np.abs(X).max()
        y = np.where(rng.random(n) < 1 / (1 + np.exp(-z)), 1.0, -1.0)
        result = learning.glm(X, y, loss="squared_hinge", penalty="l2", lam=1e-4, tol=1e-9)
        assert result.success, result.message
        assert result.method == "coordinate-descent"
        slope = -y * np.maximum(0, 1 - y * (X @ result.coef))
        assert np.abs(X.T @ slope + 1e-4 * result.coef).max() <= 1e-3 * np.abs(X.T @ y).max()
    short = learning.glm(X, y, loss="squared_hinge", penalty="l2", lam=1e-4, tol=1e-9, max_iter=3)
    assert short.nit <= 3


@pytest.mark.parametrize("method", ["coordinate-descent", "working-set", "newton-gram"])
def test_an_exact_fit_needs_no_other_certificate(seed, method):
    """Huge coefficients that cancel: rounding keeps the conditions from being met to 1e-14, but nothing is left."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(30, 1)) + 1e-5 * rng.normal(size=(30, 20))
    y = X @ (1e5 * rng.normal(size=20))
    result = learning.glm(X, y, penalty="none", lam=0, tol=1e-14, method=method)
    assert result.success, result.message
    assert result.fun <= 1e-14 * 0.5 * (y @ y)
    assert result.gap <= result.fun


@pytest.mark.parametrize("method", ["coordinate-descent", "working-set", "newton-gram"])
def test_a_small_violation_is_no_success(method):
    """Without a penalty much of the objective may be left where the slopes are small: here half of it along a slope of
    2e-4, down which coefficients of 5e3 that cancel go to zero."""
    X, y = np.array([[1.0, 1.0, -1.0], [0.0, 2e-4, 0.0]]), np.ones(2)
    fit = {"penalty": "none", "lam": 0, "bounds": (0, np.inf), "x0": [1, 0, 0], "tol": 1e-3, "method": method}
    result = learning.glm(X, y, **fit)
    assert result.success, result.message
    assert result.fun <= 1e-3
    short = learning.glm(X, y, max_iter=0, **fit)
    assert not short.success
    assert short.gap == short.fun == 0.5


@pytest.mark.parametrize("loss", ["squared", "logistic", "huber", "squared_hinge", "poisson"])
@pytest.mark.parametrize("method", ["coordinate-descent", "working-set", "newton-gram"])
def test_the_gap_bounds_what_is_left_where_columns_are_free(seed, loss, method):
    X, y = problem(seed, 80, 12, loss)
    weights = np.where(np.arange(12) % 3, 1.0, 0.0)
    fit = {"loss": loss, "lam": 1.0, "weights": weights, "bounds": (-np.inf if seed % 2 else 0, np.inf)}
    fit |= {"method": method, "fit_intercept": seed % 3 == 0}
    least = learning.glm(X, y, tol=1e-13, **fit)
    assert least.success, least.message
    for tol in (1e-1, 1e-3, 1e-6):
        result = learning.glm(X, y, tol=tol, **fit)
        assert result.success
        assert -1e-13 * abs(least.fun) <= result.fun - least.fun <= result.gap + 1e-13 * abs(least.fun)
    short = learning.glm(X, y, tol=1e-13, max_iter=1, **fit)
    assert short.fun - least.fun <= short.gap + 1e-13 * abs(least.fun)


@pytest.mark.parametrize("rank", ["full", "repeated"])
def test_many_columns_fit_exactly(seed, rank):
    """Non-negative least squares whose answers leave nothing; rows that repeat have no factor."""
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(30, 240)), rng.normal(size=30)
    if rank == "repeated":
        X[7], y[7] = X[3], y[3]
    fit = {"lam": 0, "penalty": "none", "bounds": (0, np.inf), "tol": 1e-12}
    s = rng.uniform(0.5, 2, 30)
    for weights in (None, s):
        result = learning.glm(X, y, sample_weight=weights, **fit)
        assert (result.success, result.method) == (True, "coordinate-descent")
        assert result.coef.min() >= 0
        assert np.sum((X @ result.coef - y) ** 2) <= 1e-12 * np.sum(y**2) * 2
        assert rank == "repeated" or result.nit == 1


def test_many_columns_that_do_not_fit_exactly(seed):
    rng = np.random.default_rng(seed)
    X, y = np.abs(rng.normal(size=(30, 240))), rng.normal(size=30) + 0.3
    result = learning.glm(X, y, lam=0, penalty="none", bounds=(0, np.inf), tol=1e-12)
    assert result.success
    assert result.fun == pytest.approx(0.5 * scipy.optimize.nnls(X, y)[1] ** 2, rel=1e-10)
    assert result.fun > 0.01 * np.sum(y**2)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", ["squared", "logistic", "multinomial"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_entries_that_are_checked_with_the_norms(loss, weighted, bad):
    """Of matrices of some size in Fortran order one pass brings the norms, the gradient at zero and this."""
    rng = np.random.default_rng(3)
    X, y = np.asfortranarray(rng.normal(size=(5000, 530))), np.arange(5000.0) % 2
    s = np.where(np.arange(5000) == 4990, 0.0, 1.0) if weighted else None
    whole = glm(X, y, lam=500.0, loss=loss, sample_weight=s, max_iter=1)
    np.testing.assert_allclose(whole.coef, glm(X.copy("C"), y, lam=500.0, loss=loss, sample_weight=s, max_iter=1).coef)
    X[4990, 529] = bad
    with pytest.raises(ValueError, match="X"):
        glm(X, y, lam=500.0, loss=loss, sample_weight=s)
