"""The parts of the working-set method: kernels against NumPy, designs against dense products, screening."""

import functools
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse
from test_glm import LOSSES, loss_terms, problem, strongest

from solvers import learning
from solvers.learning import _kernels, _models, _working_set
from solvers.learning._design import design
from solvers.learning._gram import GramCache
from solvers.learning._losses import LOSSES as KINDS

glm = functools.partial(learning.glm, method="working-set")

# ---- losses ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("n", [1, 7, 8, 9, 600, 1025])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_loss_and_its_derivatives(seed, loss, n, weighted):
    rng = np.random.default_rng(seed)
    z = 3 * rng.normal(size=n)
    y = rng.choice([-1.0, 1.0], n) if loss in ("logistic", "squared_hinge") else rng.poisson(2, n).astype(float)
    s = rng.uniform(0.5, 2, n) if weighted else np.ones(n)
    kernel = KINDS[loss](y, s)
    v, D = np.empty(n), np.empty(n)
    sums = kernel.evaluate(z, v, D)
    values, slopes = loss_terms(loss, z, y)
    np.testing.assert_allclose(v, s * slopes, rtol=1e-13, atol=1e-15)
    step = 1e-6
    numeric = (loss_terms(loss, z + step, y)[1] - loss_terms(loss, z - step, y)[1]) / (2 * step)
    smooth = np.abs(numeric - D / s) < 1e-4  # all but a kink within the step
    assert np.count_nonzero(~smooth) <= 1
    assert sums.value == pytest.approx(np.sum(s * values), rel=1e-13)
    assert sums.square == pytest.approx(np.sum(v * v / s), rel=1e-12)
    assert sums.cross == pytest.approx(v @ y, rel=1e-11, abs=1e-12)
    assert sums.total == pytest.approx(v.sum(), rel=1e-11, abs=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_trial_is_the_loss_there(seed, loss):
    rng = np.random.default_rng(seed)
    z, way, y = rng.normal(size=100), rng.normal(size=100), np.sign(rng.normal(size=100))
    kernel = KINDS[loss](np.abs(y) if loss == "poisson" else y, np.ones(100))
    trial, v, expected = np.empty(100), np.empty(100), np.empty(100)
    value = kernel.terms.evaluate(z, v, None, way, 0.25, trial)[0]
    np.testing.assert_allclose(trial, z + 0.25 * way, rtol=1e-15, atol=1e-16)
    assert value == kernel.evaluate(trial, expected).value
    np.testing.assert_array_equal(v, expected)


@pytest.mark.parametrize("loss", LOSSES)
def test_fenchel_and_young(seed, loss):
    """value(z) + conjugate(v) = v @ z at v = derivative(z), and no less elsewhere."""
    rng = np.random.default_rng(seed)
    y = rng.choice([-1.0, 1.0], 50) if loss in ("logistic", "squared_hinge") else rng.poisson(2, 50).astype(float)
    kernel = KINDS[loss](y, rng.uniform(0.5, 2, 50))
    z, v = rng.normal(size=50), np.empty(50)
    sums = kernel.evaluate(z, v)
    for share in (0.3, 1.0):
        conjugate = kernel.conjugate(v, share, sums.square, sums.cross)
        excess = sums.value + conjugate - share * float(v @ z)
        assert excess >= -1e-12
        assert share < 1 or excess <= 1e-12 * max(abs(sums.value), 1)


def test_logistic_terms_far_out():
    z = np.array([-1e300, -800.0, -40.0, 0.0, 40.0, 800.0, 1e300])
    kernel = KINDS["logistic"](np.ones(7), np.ones(7))
    v, D = np.empty(7), np.empty(7)
    for k in range(7):
        one = KINDS["logistic"](np.ones(1), np.ones(1))
        assert one.value(z[k : k + 1]) == pytest.approx(np.logaddexp(0, -z[k]), rel=1e-13, abs=1e-300)
    kernel.evaluate(z, v, D)
    assert np.isfinite(v).all()
    assert np.isfinite(D).all()
    np.testing.assert_allclose(v[1:6], -1 / (1 + np.exp(np.minimum(z[1:6], 700))), rtol=1e-13, atol=1e-300)


# ---- designs --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["C", "F", "csc", "csr", "csc-dense"])
@pytest.mark.parametrize("ones", [False, True])
@pytest.mark.parametrize("n", [1, 37, 700])
def test_products_of_a_design(seed, kind, ones, n):
    rng = np.random.default_rng(seed)
    d = 60
    X = rng.normal(size=(n, d))
    if kind in ("csc", "csr", "csc-dense"):
        X *= rng.random((n, d)) < (0.6 if kind == "csc-dense" else 0.1)
    make = {"C": np.ascontiguousarray, "F": np.asfortranarray, "csr": scipy.sparse.csr_array}
    matrix = design(make.get(kind, scipy.sparse.csc_array)(X), ones)
    full = np.column_stack([X, np.ones(n)]) if ones else X
    v, s = rng.normal(size=n), rng.uniform(0.5, 2, n)
    w = np.where(rng.random(d + ones) < 0.2, rng.normal(size=d + ones), 0)
    close = {"rtol": 1e-12, "atol": 1e-12}
    np.testing.assert_allclose(matrix.product(w), full @ w, **close)
    np.testing.assert_allclose(matrix.transposed(v), full.T @ v, **close)
    np.testing.assert_allclose(matrix.norms, np.linalg.norm(full, axis=0), **close)
    few = np.array([3, 17, 40], np.int32)
    if matrix.by_columns:
        np.testing.assert_allclose(matrix.transposed(v, few)[few], full.T[few] @ v, **close)
    for size in (2, 9, 30, 58, d):
        columns = np.sort(rng.choice(d, size, replace=False))
        columns = np.append(columns, d) if ones else columns
        part = full[:, columns]
        panel = matrix.panel(columns)
        u = rng.normal(size=len(columns))
        np.testing.assert_allclose(panel.product(u), part @ u, **close)
        np.testing.assert_allclose(panel.transposed(v), part.T @ v, **close)
        for weights in (None, s):
            expected = part.T @ (part if weights is None else s[:, None] * part)
            np.testing.assert_allclose(panel.gram(weights), expected, **close)
            np.testing.assert_allclose(matrix.gram(columns, weights), expected, **close)
            features = columns[columns < d]
            right = rng.permutation(features)
            np.testing.assert_allclose(
                matrix.cross(features[:5], right, weights),
                full[:, features[:5]].T @ (full[:, right] if weights is None else s[:, None] * full[:, right]),
                **close,
            )
            rows = matrix.border(features[:5], features[5:], weights)
            np.testing.assert_allclose(rows, expected[: len(features), : len(features)][:5], **close)


@pytest.mark.parametrize("shape", [(600, 300), (1037, 41), (3, 20)])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_border_of_many_columns(shape, weighted):
    """Several blocks of rows; panels of columns, the last of which is not full."""
    rng = np.random.default_rng(shape[0])
    X, order = np.asfortranarray(rng.normal(size=shape)), rng.permutation(shape[1])
    weights = rng.random(shape[0]) if weighted else None
    new, old = order[: shape[1] // 2 + 3], order[shape[1] // 2 + 3 :]
    rows = design(X, False).border(new, old, weights)
    scaled = X if weights is None else weights[:, None] * X
    np.testing.assert_allclose(rows, X[:, new].T @ scaled[:, order], atol=1e-11)


@pytest.mark.parametrize("ones", [False, True])
@pytest.mark.parametrize("limit", [np.inf, 2000.0])
def test_a_growing_gram_matrix(seed, ones, limit):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(30, 40))
    full = np.column_stack([X, np.ones(30)]) if ones else X
    cache = GramCache(design(np.asfortranarray(X), ones), None, limit)
    for size in (3, 4, 6, 20, 5, 21, 40, 8):
        columns = np.sort(rng.choice(40, size, replace=False))
        columns = np.append(columns, 40) if ones else columns
        np.testing.assert_allclose(cache.of(columns), full[:, columns].T @ full[:, columns], atol=1e-12)


@pytest.mark.parametrize("make", [scipy.sparse.csc_matrix, scipy.sparse.csr_matrix])
def test_sparse_matrices_in_disorder(seed, make):
    X, y = problem(seed, density=0.3)
    expected = glm(X, y, lam=2.0, tol=1e-12).coef
    given = make(X)
    order = [given.indptr[j] + k for j in range(len(given.indptr) - 1)
             for k in reversed(range(given.indptr[j + 1] - given.indptr[j]))]  # fmt: skip
    mixed = make((given.data[order], given.indices[order], given.indptr), shape=X.shape)
    np.testing.assert_allclose(glm(mixed, y, lam=2.0, tol=1e-12).coef, expected, atol=1e-10)
    bad = make(X)
    bad.indices[-1] = 10_000
    with pytest.raises(ValueError, match="indices must be"):
        glm(bad, y, lam=2.0)


def test_kernels_refuse_what_does_not_fit():
    X = np.asfortranarray(np.ones((4, 3)))
    with pytest.raises(ValueError, match="a column that X does not have"):
        _kernels.Columns(X, np.array([3], np.int32))
    with pytest.raises(ValueError, match="derivative has length 2"):
        _kernels.LossTerms(0, np.ones(3)).evaluate(np.ones(3), np.ones(2))
    with pytest.raises(ValueError, match="do not fit"):
        _kernels.Compressed(np.array([0, 5], np.int32), np.zeros(2, np.int32), np.ones(2), 3)
    with pytest.raises(ValueError, match="do not fit"):
        _kernels.Compressed(np.array([0, 9, 2], np.int32), np.zeros(2, np.int32), np.ones(2), 3)


# ---- screening ------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("kind", ["F", "csc", "C"])
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("penalty", ["l1", "elastic-net"])
def test_screening_drops_no_coordinate_of_the_support(seed, loss, kind, intercept, penalty):
    X, y = problem(seed, 60, 500, loss, 0.3 if kind == "csc" else None)
    s = np.random.default_rng(seed).uniform(0.2, 3, 60)
    lam = strongest(X, y, loss) / 4
    given = {"F": np.asfortranarray, "csc": scipy.sparse.csc_matrix, "C": np.ascontiguousarray}[kind](X)
    keywords = {
        "loss": loss, "lam": lam, "fit_intercept": intercept, "sample_weight": s, "tol": 1e-12, "penalty": penalty,
        "l1_ratio": 0.8,
    }  # fmt: skip
    result = glm(given, y, options={"first": 5}, **keywords)
    without = glm(given, y, options={"first": 5, "screening": "none"}, **keywords)
    assert result.success
    assert without.success
    assert without.stats["screened"] == 0
    assert result.stats["screened"] > 0 or loss == "poisson"
    alive = result.state.alive
    assert alive[:500][np.abs(without.coef) > 1e-8].all()
    np.testing.assert_allclose(result.coef, without.coef, atol=1e-5)


def test_a_model_with_little_curvature_is_replaced():
    """Huber's loss with most residuals on its slopes: a Newton step alone goes nowhere."""
    X, y = problem(3, 60, 300, "huber")
    result = glm(X, y, loss="huber", lam=strongest(X, y, "huber") * 0.05 ** (3 / 7), tol=1e-12)
    assert result.success, result.message


@pytest.mark.parametrize("penalty", ["l1", "l2"])
@pytest.mark.parametrize("method", ["working-set", "coordinate-descent"])
def test_models_of_a_hinge_keep_some_curvature(seed, penalty, method):
    """Most samples have none, and columns differ in size: else steps become short and stay so."""
    rng = np.random.default_rng(seed)
    for _ in range(5):
        n, d = rng.integers(15, 60, 2)
        X = rng.normal(size=(n, d)) * 10.0 ** rng.integers(-2, 3, d)
        z = X @ rng.normal(size=d) / np.sqrt(d) / np.abs(X).max()
        y = np.where(rng.random(n) < 1 / (1 + np.exp(-z)), 1.0, -1.0)
        result = glm(X, y, loss="squared_hinge", penalty=penalty, lam=1e-4, tol=1e-9, method=method)
        assert result.success, result.message
        assert 0 <= result.state.floor <= 1


def test_flat_models_are_not_solved_for_ever(monkeypatch):
    """Each by no more phases than such a model is worth: the next one is another."""
    asked = []

    class Counted(_models._kernels.Quadratic):
        def minimise(self, tol, phases):
            asked.append(phases)
            return super().minimise(tol, phases)

    monkeypatch.setattr(_models._kernels, "Quadratic", Counted)
    X, y = problem(3, 60, 300, "huber")
    assert glm(X, y, loss="huber", lam=0.05, tol=1e-10, method="working-set").success
    assert set(asked) == {_models.MODEL_PHASES}


@pytest.mark.parametrize("method", ["working-set", "coordinate-descent"])
def test_samples_beyond_the_hinge_are_brought_back(seed, method):
    """From where none has a loss or a curvature, though smaller coefficients would do: models are all but flat."""
    rng = np.random.default_rng(seed)
    X, y = 100 * rng.normal(size=(4, 30)), np.array([1.0, -1.0, 1.0, -1.0])
    start = np.linalg.lstsq(X, 1.0005 * y)[0]
    result = glm(X, y, loss="squared_hinge", lam=0.03, x0=start, tol=1e-9, method=method)
    assert result.success
    assert result.fun < 0.9 * 0.03 * np.abs(start).sum()


@pytest.mark.parametrize("form", [np.asfortranarray, scipy.sparse.csc_array])
@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_coefficients_of_empty_columns_start_at_zero(seed, form, loss):
    """No step moves them, but their penalty counts."""
    X, y = problem(seed, 40, 30, loss)
    X[:, ::3] = 0
    result = glm(form(X), y, loss=loss, lam=0.1, x0=np.ones(30), tol=1e-10, method="working-set")
    assert result.success
    assert not result.coef[::3].any()


def test_wide_non_negative_squares_are_swept_where_any_of_many_answers_will_do():
    """An active-set method ends with no more columns than samples, each of which takes the square of them."""
    rng = np.random.default_rng(0)
    X = np.asfortranarray(rng.standard_normal((300, 2000)))
    y = X @ (rng.random(2000) * (rng.random(2000) < 0.5)) + rng.standard_normal(300)
    result = glm(X, y, lam=0, penalty="none", bounds=(0, np.inf), tol=1e-8, method="working-set")
    assert result.success
    assert result.coef.min() >= 0
    assert result.fun <= 1e-8 * 0.5 * (y @ y)
    assert len(result.support) > 300


@pytest.mark.parametrize("penalty", ["l1", "l2"])
def test_a_start_beyond_the_bounds_is_moved_to_them(penalty, seed):
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(40, 6)), rng.normal(size=40)
    for start, end in ((-1.0, 0.0), (5.0, 2.0)):
        result = glm(X, y, lam=1.0, penalty=penalty, bounds=(0, 2.0), x0=np.full(6, start), max_iter=0)
        np.testing.assert_array_equal(result.coef, np.full(6, end))


def test_steps_may_be_many(seed):
    """How many columns join grows with the steps, but not beyond all numbers."""
    X, y = problem(seed, 60, 300, "squared_hinge")
    fit = {"loss": "squared_hinge", "lam": 0.1, "tol": 1e-12}
    late = replace(glm(X, y, max_iter=1, **fit).state, nit=5000)
    assert glm(X, y, max_iter=5002, resume=late, **fit).nit > 5000


def test_a_hessian_is_used_again_by_fits_that_go_on(seed):
    """It belongs to the state: a fit that was stopped takes the same steps."""
    X, y = problem(seed, 900, 200, "logistic")
    fit = {"loss": "logistic", "lam": strongest(X, y, "logistic") / 30, "tol": 1e-13}
    whole = glm(X, y, **fit)
    assert whole.success
    assert whole.stats["hessians"] < whole.stats["newton_steps"]
    for steps in range(1, whole.nit):
        rest = glm(X, y, resume=glm(X, y, max_iter=steps, **fit).state, **fit)
        np.testing.assert_array_equal(rest.coef, whole.coef)
        assert rest.stats["hessians"] == whole.stats["hessians"]


def test_columns_at_rest_leave_where_hessians_are_made_anew(seed):
    X, y = problem(seed, 300, 600, "logistic")
    result = glm(X, y, loss="logistic", lam=strongest(X, y, "logistic") / 10, tol=1e-10, options={"screening": "none"})
    assert result.success
    assert result.stats["working_set"] < 1.3 * len(result.support)


@pytest.mark.parametrize(("n", "d", "p"), [(1, 1, 1), (5, 3, 2), (700, 61, 61), (2100, 40, 17)])
@pytest.mark.parametrize(("order", "single"), [("F", False), ("F", True)])
def test_gram_matrices_in_single_precision(seed, n, d, p, order, single):
    """Whatever the columns' and the weights' sizes are; columns of zeros too."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * 10.0 ** rng.integers(-14, 15, d)
    X[:, 0] = 0
    X = np.asarray(X, np.float32 if single else np.float64, order=order)
    columns = np.sort(rng.permutation(d)[:p])
    matrix = design(X, False)
    scale = 1 / np.maximum(matrix.norms[columns], _models.SMALLEST)
    for size in (0.0, 1.0, 1e-80, 1e80):
        weights = size * rng.uniform(0, 1, n) if size else None
        size = size or 1.0
        exact = matrix.panel(columns).gram(weights)
        found = matrix.panel(columns).gram(weights, scale)
        assert np.array_equal(found, found.T)
        scaled = np.abs(found - exact) * scale[:, None] * scale
        assert scaled.max() <= 1e-6 * size


@pytest.mark.parametrize("apart", [1.0, 1e-5, 0.0])
@pytest.mark.parametrize("intercept", [False, True])
def test_least_squares_by_a_gram_matrix_in_single_precision(seed, apart, intercept, monkeypatch):
    """Where columns are too much alike for it, the one in double precision follows, and the objective never rises."""
    rng = np.random.default_rng(seed)
    X = np.asfortranarray(rng.normal(size=(2000, 300)))
    X[:, 150:] = X[:, :150] + apart * X[:, 150:]
    y = X @ rng.normal(size=300) + rng.normal(size=2000)
    lam = 1e-3 * np.abs(X.T @ y).max()
    given = {"lam": lam, "tol": 1e-12, "fit_intercept": intercept}
    in_single, objectives, whole = [], [], GramCache._whole
    monkeypatch.setattr(
        GramCache, "_whole", lambda cache, columns: in_single.append(cache.scale is not None) or whole(cache, columns)
    )
    found = glm(
        X, y, callback=lambda at: objectives.append(((X @ at.x - y) ** 2).sum() / 2 + lam * np.abs(at.x).sum()), **given
    )
    assert found.success
    assert in_single[0]
    assert apart == 0 or all(in_single) == (apart == 1)
    assert intercept or (np.diff(objectives) <= 1e-13 * objectives[0]).all()
    monkeypatch.setattr(_working_set, "may_be_single", lambda *_: False)
    monkeypatch.setattr(_models, "may_be_single", lambda *_: False)
    assert found.fun == pytest.approx(glm(X, y, **given).fun, rel=1e-11)
    assert not in_single[-1]


@pytest.mark.parametrize("ones", [False, True])
def test_one_pass_makes_the_norms_and_the_gradient_at_zero(monkeypatch, seed, ones):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(9000, 37)) * (rng.random((9000, 37)) < 0.4)
    y = rng.normal(size=9000)
    for given in (np.asfortranarray(X), scipy.sparse.csc_matrix(X)):
        matrix = design(given, ones, y)
        np.testing.assert_array_equal(matrix.norms, design(given, ones).norms)
        with monkeypatch.context() as at_once:
            at_once.setattr(matrix, "_dots", None)  # no other pass
            np.testing.assert_array_equal(matrix.transposed(-y), design(given, ones).transposed(-y))
        np.testing.assert_array_equal(matrix.transposed(y), design(given, ones).transposed(y))
        assert matrix._begun is None
    assert design(X, ones, y)._begun is None
    twice = scipy.sparse.csc_matrix((np.ones(2), np.array([1, 0]), np.array([0, 2])), (2, 1))  # not in order
    assert design(twice, ones, np.ones(2))._begun is None


@pytest.mark.parametrize("shape", [(300, 3000), (3000, 400)])
@pytest.mark.parametrize("intercept", [False, True])
def test_passes_over_near_columns_change_no_answer(seed, shape, intercept, monkeypatch):
    rng = np.random.default_rng(seed)
    X = np.asfortranarray(rng.normal(size=shape) @ np.diag(rng.uniform(0.1, 10, shape[1])))
    y = np.where(X[:, :5].sum(axis=1) + rng.normal(size=shape[0]) > 0, 1.0, 0.0)
    given = {"lam": 0.1 * np.abs(X.T @ (y - y.mean())).max(), "loss": "logistic", "tol": 1e-10}
    sizes = []
    look = _working_set.look
    monkeypatch.setattr(_working_set, "look", lambda *a: sizes.append(a[3]) or look(*a))
    with_them = glm(X, y, fit_intercept=intercept, **given)
    assert min(sizes[: len(sizes) // 2 + 1]) < 0.3 * shape[1]  # there was such a pass
    monkeypatch.setattr(_working_set, "_near", lambda *_: None)
    without = glm(X, y, fit_intercept=intercept, **given)
    assert with_them.success
    assert without.success
    np.testing.assert_allclose(with_them.coef, without.coef, atol=1e-4 * np.abs(without.coef).max())
    assert abs(with_them.fun - without.fun) <= max(with_them.gap, without.gap) + 1e-13 * without.fun


def test_columns_too_alike_for_single_precision(seed):
    """They are told apart by a share of 1e-6 or 1e-4 of their size: the steps end in double precision."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(2000, 1))
    apart = rng.normal(size=(2000, 60))
    y = np.where(apart[:, 0] - apart[:, 1] + rng.normal(size=2000) > 0, 1, -1)
    for penalty, lam, size in (("l1", 1e-4, 1e-4), ("elastic-net", 1e-9, 1e-6)):
        X = np.asfortranarray(shared + size * apart)
        result = glm(X, y, loss="logistic", penalty=penalty, lam=lam, tol=1e-7)
        assert result.success


@pytest.mark.parametrize("n", [5, 513, 3000])
def test_logistic_sums_of_samples_that_are_apart(seed, n):
    """The logarithm of a product of many terms near 1 keeps what each adds."""
    rng = np.random.default_rng(seed)
    y = rng.choice([-1.0, 1.0], n)
    for margin in (1e-3, 1.0, 30.0, 300.0, 800.0):
        z = y * margin * rng.uniform(0.5, 1, n) * rng.choice([1.0, -1.0], n, p=[0.9, 0.1])
        found = KINDS["logistic"](y, np.ones(n)).value(z)
        assert found == pytest.approx(np.logaddexp(0, -y * z).sum(), rel=1e-14)
        z = np.abs(z) * y
        found = KINDS["logistic"](y, np.ones(n)).value(z)
        assert found == pytest.approx(
            np.exp(-np.abs(z)).sum() if margin > 100 else np.logaddexp(0, -y * z).sum(), rel=1e-13
        )
