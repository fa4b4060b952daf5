"""X in single precision: read in place, all arithmetic in double precision, the same answers as of X in double."""

import tracemalloc

import numpy as np
import pytest
import scipy.sparse
from test_glm import problem

from solvers.learning import Lasso, LogisticRegression, _kernels, glm, glm_path

FORMS = {
    "F": np.asfortranarray, "C": np.ascontiguousarray, "csc": scipy.sparse.csc_matrix, "csr": scipy.sparse.csr_matrix,
}  # fmt: skip


def single(seed, n, d, loss="squared", density=None):
    """A matrix whose entries fit into single precision, and targets."""
    X, y = problem(seed, n, d, loss, density)
    return X.astype(np.float32), y


def spread(X):
    return X.toarray() if scipy.sparse.issparse(X) else X


@pytest.mark.parametrize("n", [1, 7, 64, 1031])
@pytest.mark.parametrize("chosen", [False, True])
def test_dense_columns(seed, n, chosen):
    rng = np.random.default_rng(seed)
    X = np.asfortranarray(rng.normal(size=(n, 9)).astype(np.float32))
    some = np.array([0, 2, 3, 7, 8], np.int32) if chosen else None
    wide = X.astype(float) if some is None else X[:, some].astype(float)
    columns, v, w = _kernels.Columns(X, some), rng.normal(size=n), rng.normal(size=wide.shape[1])
    out, z = np.empty(wide.shape[1]), np.empty(n)
    columns.dots(v, out)
    columns.combine(w, z)
    np.testing.assert_allclose(out, wide.T @ v, atol=1e-12 * n)
    np.testing.assert_allclose(z, wide @ w, atol=1e-12)
    np.testing.assert_allclose(_kernels.Columns(X).squares(), (X.astype(float) ** 2).sum(axis=0), rtol=1e-13)
    roots = rng.uniform(0, 2, n)
    np.testing.assert_allclose(columns.gram(), wide.T @ wide, atol=1e-12 * n)
    np.testing.assert_allclose(columns.gram(roots), (wide.T * roots**2) @ wide, atol=1e-11 * n)


def test_sparse_segments(seed):
    rng = np.random.default_rng(seed)
    X = scipy.sparse.random(83, 40, 0.3, "csc", np.float32, rng=rng)
    both = [_kernels.Compressed(X.indptr, X.indices, X.data.astype(t), 83) for t in (np.float32, np.float64)]
    some, v, w = np.array([1, 4, 5, 30], np.int32), rng.normal(size=83), rng.normal(size=40)
    found = []
    for matrix in both:
        out, z, H = np.empty(40), np.zeros(83), np.zeros((4, 4))
        matrix.gather(v, out)
        matrix.scatter(w, z)
        rows = matrix.columns_as_rows(some)
        rows.gram(H, v**2)
        found.append([out, z, H, matrix.squares(False), matrix.squares(True), matrix.cross(some, None, v**2)])
        found[-1] += [matrix.spread(some), matrix.cross(some, np.arange(40, dtype=np.int32))]
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)
    as_rows = scipy.sparse.csr_matrix(X)
    rows = _kernels.Compressed(as_rows.indptr, as_rows.indices, as_rows.data, 40)
    H = np.zeros((40, 40))
    rows.gram(H)
    wide = X.toarray().astype(float)
    np.testing.assert_allclose(H, wide.T @ wide, atol=1e-12)
    np.testing.assert_allclose(rows.rows_of_columns(some).squares(True), (wide[:, some] ** 2).sum(axis=0), rtol=1e-13)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_sweeps(seed, sparse, weighted):
    rng = np.random.default_rng(seed)
    X, p = scipy.sparse.random(90, 30, 0.4, "csc", np.float32, rng=rng), 31
    every, none = np.arange(30, dtype=np.int32), np.full(p, np.inf)
    terms = np.append(np.full(30, 0.3), 0.0), np.full(p, 0.1), -none, none
    weights, v, found = rng.uniform(0.5, 2, 90) if weighted else None, rng.normal(size=90), []
    for dtype in (np.float32, np.float64):
        if sparse:
            given = _kernels.Compressed(X.indptr, X.indices, X.data.astype(dtype), 90), every
        else:
            given = _kernels.Columns(np.asfortranarray(X.toarray(), dtype)), None
        w, q = np.zeros(p), v.copy()
        assert _kernels.Sweeps(*given, True, weights, terms, w, q).minimise(1e-12, 1e8) <= 1e-12
        found.append(w)
    assert np.count_nonzero(found[0]) > 3
    np.testing.assert_allclose(found[0], found[1], atol=1e-10)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("loss", ["squared", "logistic", "huber", "squared_hinge", "poisson", "multinomial"])
@pytest.mark.parametrize("penalty", ["l1", "l2", "sparse-group"])
def test_answers_are_those_of_double_precision(loss, form, penalty):
    X, y = single(7, 60, 520, "squared" if loss == "multinomial" else loss, 0.3 if form.startswith("c") else None)
    y = np.digitize(y, np.quantile(y, [0.3, 0.6])) if loss == "multinomial" else y
    keywords = {
        "loss": loss, "lam": 20.0, "penalty": penalty, "fit_intercept": True, "tol": 1e-9,
        "sample_weight": np.linspace(0, 2, 60), "groups": 5 if penalty == "sparse-group" else None,
    }  # fmt: skip
    result = glm(FORMS[form](X), y, **keywords)
    double = glm(FORMS[form](X.astype(float)), y, **keywords)
    assert result.success
    assert result.coef.dtype == float
    assert abs(result.fun - double.fun) <= result.gap + double.gap + 1e-12 * abs(double.fun)


@pytest.mark.parametrize("form", ["F", "csc"])
@pytest.mark.parametrize("loss", ["squared", "logistic"])
@pytest.mark.parametrize("penalty", ["l1", "group"])
def test_x_is_not_copied_in_double_precision(loss, form, penalty):
    X, y = single(3, 1500, 1500, loss, 0.15)
    X = X[:, :400] if form == "F" else X
    given, groups = FORMS[form](X), 5 if penalty == "group" else None
    lam = 0.3 * glm_path(X, y, loss=loss, penalty=penalty, groups=groups, n_lams=1).lams[0]
    tracemalloc.start()
    result = glm(given, y, loss=loss, lam=lam, penalty=penalty, groups=groups, tol=1e-9)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result.success
    assert result.stats["copies"] == 0
    assert peak < 0.6 * 8 * (given.nnz if form == "csc" else given.size)


@pytest.mark.parametrize("form", FORMS)
def test_paths_and_methods(form):
    X, y = single(5, 60, 520)
    path, double = (glm_path(FORMS[form](given), y, n_lams=6, tol=1e-9) for given in (X, X.astype(float)))
    assert path.success
    for one, other in zip(path.results, double.results, strict=True):
        assert abs(one.fun - other.fun) <= one.gap + other.gap + 1e-12 * other.fun
    # a method that wants double precision gets it
    for method in ("coordinate-descent", "newton-gram"):
        result = glm(FORMS[form](X), y, lam=path.lams[3], method=method, tol=1e-9)
        assert result.success
        assert abs(result.fun - path.results[3].fun) <= result.gap + path.results[3].gap + 1e-12 * result.fun


def test_small_and_large_bad_entries_are_found():
    X, y = single(5, 60, 520)
    X[3, 4] = np.nan
    for form in FORMS.values():
        with pytest.raises(ValueError, match="X must be finite"):
            glm(form(X), y, lam=1.0)


def test_estimators_keep_it():
    X, y = single(5, 300, 520)
    double = X.astype(float)
    np.testing.assert_allclose(Lasso(alpha=0.1).fit(X, y).coef_, Lasso(alpha=0.1).fit(double, y).coef_, atol=1e-4)
    labels = y > 0
    one, other = (LogisticRegression(C=0.1).fit(given, labels) for given in (X, double))
    np.testing.assert_allclose(one.coef_, other.coef_, atol=1e-4)
    np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(double), atol=1e-4)
