"""Plain fits of small data take one call of the kernels: the same bits as the way of all fits, or that way."""

import itertools
import pickle

import numpy as np
import pytest
import scipy.sparse
from test_glm import LOSSES, problem, strongest

from solvers.learning import _small, glm

NUMBERS = ("intercept", "fun", "gap", "kkt", "measure", "status", "success", "message", "nit", "method", "options")


def both(monkeypatch, X, y, **keywords):
    """The result, and that of the way of all fits."""
    taken = []
    fitted = _small.fitted
    monkeypatch.setattr("solvers.learning._glm.fitted", lambda *given: taken.append(fitted(*given)) or taken[-1])
    result = glm(X, y, **keywords)
    monkeypatch.setattr("solvers.learning._glm.fitted", lambda *given: None)
    assert taken[0] is result, "it went the long way"
    return result, glm(X, y, **keywords)


#: Where there may be no minimum the long way looks for what shows that.
FITS = [
    (loss, penalty, bounds)
    for loss, penalty, bounds in itertools.product(
        LOSSES, ["l1", "l2", "elastic-net", "none"], [None, (0, np.inf), (-0.1, 0.2)]
    )
    if not (penalty == "none" and loss in ("logistic", "poisson") and bounds != (-0.1, 0.2))
]


@pytest.mark.parametrize(("loss", "penalty", "bounds"), FITS)
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("form", [np.asfortranarray, np.ascontiguousarray, scipy.sparse.csc_array])
def test_it_is_the_same_fit(monkeypatch, loss, penalty, intercept, form, bounds):
    X, y = problem(5, 40, 12, loss, 0.6)
    lam = 0 if penalty == "none" else strongest(X, y, loss) / 10
    keywords = {"loss": loss, "penalty": penalty, "lam": lam, "fit_intercept": intercept, "bounds": bounds}
    result, long_way = both(monkeypatch, form(X), y, tol=1e-10, l1_ratio=0.25, **keywords)
    np.testing.assert_array_equal(result.coef, long_way.coef)
    np.testing.assert_array_equal(result.support, long_way.support)
    for name in NUMBERS:
        np.testing.assert_equal(result[name], long_way[name], name)
    assert list(result) == list(long_way)
    assert {k: v for k, v in result.stats.items() if k != "seconds"} == {
        k: v for k, v in long_way.stats.items() if k != "seconds"
    }
    for name in ("nit", "measure"):
        np.testing.assert_array_equal(result.history[name], long_way.history[name])
    assert result.history["nit"].dtype == long_way.history["nit"].dtype
    for name, value in vars(long_way.state).items():
        np.testing.assert_array_equal(getattr(result.state, name), value, name)


def test_the_certificate_is_of_all_columns_where_some_were_screened(monkeypatch):
    X, y = problem(5, 60, 300)
    result, long_way = both(monkeypatch, X, y, lam=strongest(X, y, "squared") / 3, tol=1e-12)
    assert result.stats["screened"] > 0
    assert (result.gap, result.kkt, result.fun) == (long_way.gap, long_way.kkt, long_way.fun)


def test_it_ends_where_the_steps_end(monkeypatch):
    X, y = problem(5, 60, 300, "logistic")
    result, long_way = both(monkeypatch, X, y, loss="logistic", lam=0.1, tol=1e-12, max_iter=1)
    assert result.status == long_way.status
    assert not result.success
    resumed = glm(X, y, loss="logistic", lam=0.1, tol=1e-12, resume=result.state)
    assert resumed.success


def test_labels_of_any_two_numbers(monkeypatch):
    X, y = problem(5, 40, 12, "logistic")
    plain = glm(X, y, loss="logistic", lam=1.0)
    for labels in (np.where(y > 0, 4, 2), np.where(y > 0, 4.0, 2.0), np.repeat(np.where(y > 0, 4, 2), 2)[::2]):
        result, _ = both(monkeypatch, X, labels, loss="logistic", lam=1.0)
        np.testing.assert_array_equal(result.coef, plain.coef)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": np.nan}, r"X must be finite; X\[\(3, 1\)\] is nan"),
        ({"X": np.inf}, r"X must be finite; X\[\(3, 1\)\] is inf"),
        ({"y": np.nan}, r"y must be finite; y\[3\] is nan"),
        ({"y": np.inf, "loss": "poisson"}, r"y must be finite"),
        ({"y": -1.0, "loss": "poisson"}, "y must be >= 0"),
        ({"y": 7.0, "loss": "logistic"}, "labels of two classes"),
        ({"y": np.nan, "loss": "logistic"}, "y must be finite"),
        ({"lam": -1.0}, "lam must be finite and >= 0"),
        ({"lam": np.nan}, "lam must be finite and >= 0"),
        ({"tol": 0.0}, "tol must be positive"),
        ({"l1_ratio": 2}, "l1_ratio must be between 0 and 1"),
        ({"bounds": (1, 2)}, "bounds must include 0"),
        ({"bounds": (np.nan, 2)}, "without NaN"),
        ({"penalty": "none"}, "lam must be 0"),
        ({"max_iter": -1}, "max_iter must be"),
        ({"threads": 0}, "threads must be"),
    ],
)
def test_what_is_wrong_is_said_as_elsewhere(change, message):
    keywords = {"loss": "squared", "lam": 1.0, **change}
    X, y = problem(5, 40, 12, keywords["loss"])
    if "X" in change:
        X[3, 1] = keywords.pop("X")
    if "y" in change:
        y[3] = keywords.pop("y")
    with pytest.raises(ValueError, match=message):
        glm(X, y, **keywords)


@pytest.mark.parametrize(
    "change",
    [
        {"lam": 10**400}, {"lam": "1"}, {"l1_ratio": 10**400}, {"bounds": (-(10**400), 0)}, {"bounds": (0, 10**400)},
        {"bounds": [0, 1]}, {"max_iter": 10**30}, {"max_iter": 5.0}, {"tol": 1}, {"ones": 1}, {"loss": ["squared"]},
        {"penalty": ["l1"]}, {"penalty": "group"}, {"y": np.ones((40, 1))}, {"y": [1.0] * 40}, {"X": np.ones(40)},
    ],
)  # fmt: skip
def test_what_is_not_plain_is_looked_at_elsewhere(change):
    X, y = problem(5, 40, 12)
    plain = {
        "X": X, "y": y, "loss": "squared", "penalty": "l1", "lam": 1.0, "l1_ratio": 0.5, "bounds": None, "ones": False,
        "tol": 1e-6, "max_iter": 200, "threads": 1, "why": "",
    }  # fmt: skip
    assert _small.fitted(*plain.values()).success
    assert _small.fitted(*{**plain, **change}.values()) is None


def test_no_success_is_told_where_squares_overflow():
    """Norms beyond all numbers must not screen their columns."""
    X, y = problem(5, 40, 12)
    large = glm(X * 1e200, y, lam=1e200, tol=1e-10)
    assert not large.success
    assert large.gap > 0.1 * large.fun


@pytest.mark.parametrize("entry", [np.nan, np.inf])
def test_entries_of_sparse_columns_are_looked_at(entry):
    X, y = problem(5, 40, 12, "squared", 0.5)
    X = scipy.sparse.csc_array(X)
    X.data[7] = entry
    with pytest.raises(ValueError, match="X must be finite"):
        glm(X, y, lam=1.0)


def test_disorderly_sparse_columns_are_put_in_order():
    X, y = problem(5, 40, 12, "squared", 0.5)
    columns = scipy.sparse.csc_array(X)
    back = np.concatenate([np.arange(*ends)[::-1] for ends in itertools.pairwise(columns.indptr)])
    data, index = columns.data[back], columns.indices[back]
    disorderly = scipy.sparse.csc_array((data, index, columns.indptr), shape=X.shape)
    result = glm(disorderly, y, lam=1.0, tol=1e-10)
    np.testing.assert_allclose(result.coef, glm(X, y, lam=1.0, tol=1e-10).coef, atol=1e-9)


def test_what_is_made_when_it_is_asked_for_survives_copies():
    X, y = problem(5, 40, 12)
    result = glm(X, y, lam=1.0, tol=1e-10)
    for copy in (pickle.loads(pickle.dumps(result)), result.changed(message="")):
        np.testing.assert_array_equal(copy.state.w, result.state.w)
        np.testing.assert_array_equal(copy.history["measure"], result.history["measure"])
        assert copy.stats == result.stats
        assert copy.options == result.options
        assert copy["nit"] == copy.nit == result.nit
    assert glm(X, y, lam=1.0, tol=1e-12, resume=result.state).success


@pytest.mark.parametrize("shape", [(60, 2100), (2100, 60)])
@pytest.mark.parametrize("form", [np.asfortranarray, np.ascontiguousarray])
def test_slim_matrices_are_small_where_coefficients_are_held_at_zero(monkeypatch, shape, form):
    X, y = problem(5, *shape)
    for terms in ({"lam": 5.0}, {"lam": 0, "penalty": "none", "bounds": (0, np.inf)}):
        result, long_way = both(monkeypatch, form(X), y, tol=1e-10, **terms)
        assert result.success
        np.testing.assert_array_equal(result.coef, long_way.coef)
        assert result.message == long_way.message
        assert (long_way.method, result.method) == ("coordinate-descent", "coordinate-descent")
    wide, y_wide = problem(5, 600, 500)
    result, _ = both(monkeypatch, form(wide), y_wide, lam=0, penalty="none", bounds=(0, np.inf), tol=1e-10)
    assert (result.success, result.method) == (True, "coordinate-descent")
    monkeypatch.undo()
    assert glm(form(wide), y_wide, lam=5.0).method == "working-set"
    assert glm(form(X), y, lam=5.0, penalty="l2").method == "working-set"
    assert glm(form(X).astype(np.float32), y, lam=5.0).method == "working-set"


def test_larger_matrices_of_levels_are_small(monkeypatch):
    """Columns of one value each, for least squares without weights; else the usual way."""
    rng = np.random.default_rng(5)
    X = scipy.sparse.csc_array((rng.random((9000, 30)) < 0.5) * rng.uniform(0.5, 2, 30))
    y = X @ rng.normal(size=30) + rng.normal(size=9000)
    result, long_way = both(monkeypatch, X, y, lam=50.0, tol=1e-10)
    np.testing.assert_array_equal(result.coef, long_way.coef)
    assert (result.method, long_way.method) == ("coordinate-descent", "coordinate-descent")
    monkeypatch.undo()
    assert glm(X, y, lam=50.0, sample_weight=rng.uniform(1, 2, 9000)).method == "working-set"
    assert glm(X, np.sign(y), loss="logistic", lam=50.0).method == "working-set"
    X.data[-1] *= 2
    assert glm(X, y, lam=50.0).method == "working-set"


def test_most_columns_of_levels_join_at_once(monkeypatch):
    """Their Gram matrix by bits is made once, of hundreds of columns that would have come in three steps."""
    rng = np.random.default_rng(7)
    X = scipy.sparse.csc_array((rng.random((20_000, 200)) < 0.05).astype(float))
    y = X @ rng.normal(size=200) + rng.normal(size=20_000)
    for share in (0.5, 0.01):
        lam = share * np.abs(X.T @ y).max()
        result, long_way = both(monkeypatch, X, y, lam=lam, tol=1e-10)
        np.testing.assert_array_equal(result.coef, long_way.coef)
        assert (result.method, long_way.method, result.nit) == ("coordinate-descent", "coordinate-descent", 1)
        wanted = glm(X, y, lam=lam, tol=1e-12, method="working-set")
        np.testing.assert_allclose(result.coef, wanted.coef, rtol=1e-6, atol=1e-9)
    monkeypatch.undo()
    nonnegative = {"lam": 0, "penalty": "none", "bounds": (0, np.inf), "tol": 1e-10}
    assert glm(X, y, **nonnegative).fun == pytest.approx(glm(X, y, method="working-set", **nonnegative).fun, rel=1e-9)
    thin = scipy.sparse.csc_array((rng.random((30_000, 500)) < 0.01).astype(float))
    assert glm(thin, rng.normal(size=30_000), lam=1.0).method == "working-set"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("n", [1, 7, 8, 17, 33])
def test_a_target_that_is_not_finite_is_seen_anywhere(bad, n):
    X = np.asfortranarray(np.random.default_rng(n).normal(size=(n, 2)))
    for i in range(n):
        y = np.ones(n)
        y[i] = bad
        for loss in ("squared", "huber"):
            with pytest.raises(ValueError, match="y"):
                glm(X, y, lam=0.1, loss=loss)
