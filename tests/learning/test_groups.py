"""Penalties on groups: closed forms, optimality conditions written down once more, SciPy, and the duality gap."""

import importlib.util
import itertools

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse
from hypothesis import example, given, settings
from hypothesis import strategies as st

from solvers import Status
from solvers.learning import _kernels, _secular, glm

LOSSES = ("squared", "logistic", "huber", "squared_hinge", "poisson")


def problem(seed, n=80, d=30, loss="squared", density=None):
    """A random matrix, correlated within runs, and targets that fit the loss."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * rng.uniform(0.3, 2, d) + 0.5 * rng.normal(size=(n, 1))
    if density is not None:
        X *= rng.random((n, d)) < density
    z = X[:, :4] @ np.array([1.0, -0.5, 0.3, 0.2]) + rng.normal(size=n) + 0.4
    if loss in ("logistic", "squared_hinge"):
        return X, np.where(z > 0, 1.0, -1.0)
    return X, rng.poisson(np.exp(np.clip(z, -3, 2))).astype(float) if loss == "poisson" else z


def slope_of(loss, z, y):
    """Derivatives of the terms, written down once more."""
    return {
        "squared": lambda: z - y, "logistic": lambda: -y / (1 + np.exp(y * z)), "huber": lambda: np.clip(z - y, -1, 1),
        "squared_hinge": lambda: -y * np.maximum(0, 1 - y * z), "poisson": lambda: np.exp(z) - y,
    }[loss]()  # fmt: skip


def runs(d, size):
    return [np.arange(k, min(k + size, d)) for k in range(0, d, size)]


def strongest(X, y, loss, groups, weights):
    """The penalty from which all coefficients are zero."""
    g = X.T @ slope_of(loss, np.zeros(len(y)), y)
    return max(np.linalg.norm(g[k]) / p for k, p in zip(groups, weights, strict=True))


def violation(w, g, groups, norms, l1=0.0, positive=False):
    """The largest violation of an optimality condition; g is the gradient of the loss."""
    worst = 0.0
    for k, norm in zip(groups, norms, strict=True):
        size = np.linalg.norm(w[k])
        slope = g[k] + (norm / size * w[k] if size else 0)
        pull = np.sign(-slope) * np.maximum(np.abs(slope) - l1, 0)
        pull = np.maximum(pull, 0) if positive else pull
        if size == 0:
            worst = max(worst, np.linalg.norm(pull) - norm)
        else:
            worst = max(worst, np.abs(np.where(w[k] == 0, pull, slope + l1 * np.sign(w[k]))).max())
    return worst


# ---- closed forms ---------------------------------------------------------------------------------


def test_orthogonal_columns_shrink_as_a_group(seed):
    rng = np.random.default_rng(seed)
    X = np.linalg.qr(rng.normal(size=(50, 20)))[0]
    y = rng.normal(size=50)
    c, groups = X.T @ y, runs(20, 3)
    result = glm(X, y, penalty="group", groups=groups, lam=0.3, tol=1e-14)
    expected = np.concatenate([max(0, 1 - 0.3 / np.linalg.norm(c[k])) * c[k] for k in groups])
    np.testing.assert_allclose(result.coef, expected, atol=1e-13)
    result = glm(X, y, penalty="sparse-group", groups=groups, lam=0.3, l1_ratio=0.4, tol=1e-14)
    soft = np.sign(c) * np.maximum(np.abs(c) - 0.12, 0)
    expected = np.concatenate([max(0, 1 - 0.18 / max(np.linalg.norm(soft[k]), 1e-300)) * soft[k] for k in groups])
    np.testing.assert_allclose(result.coef, expected, atol=1e-13)
    result = glm(X, y, penalty="group", groups=groups, lam=0.3, bounds=(0, np.inf), tol=1e-14)
    up = np.maximum(c, 0)
    expected = np.concatenate([max(0, 1 - 0.3 / max(np.linalg.norm(up[k]), 1e-300)) * up[k] for k in groups])
    np.testing.assert_allclose(result.coef, expected, atol=1e-13)


@pytest.mark.parametrize("loss", [*LOSSES, "multinomial"])
@pytest.mark.parametrize("n", [40, 200])
def test_groups_of_one_are_the_lasso(seed, loss, n):
    X, y = problem(seed, n, 90, "squared" if loss == "multinomial" else loss)
    if loss == "multinomial":
        y = np.digitize(y, [-1, 1])
    kind = {"loss": loss, "lam": 0.05 * np.abs(X).sum(0).max() / 4, "fit_intercept": True, "tol": 1e-12}
    if loss == "multinomial":  # a group has the coefficients of all classes: only the sparse part is the lasso
        ours = glm(X, y, penalty="sparse-group", l1_ratio=1.0, **kind)
    else:
        ours = glm(X, y, penalty="group", groups=1, **kind)
    lasso = glm(X, y, penalty="l1", **kind)
    assert ours.success
    assert ours.fun == pytest.approx(lasso.fun, rel=1e-10)
    np.testing.assert_allclose(ours.coef, lasso.coef, atol=1e-4 * np.abs(lasso.coef).max())


def test_groups_of_one_with_terms_of_their_own_end():
    """Three samples, columns of sizes from 0.01 to 100: two kinks in one place were left at a crawl."""
    rng = np.random.default_rng(100000)
    X, y = rng.normal(size=(3, 45)) * 10.0 ** rng.integers(-2, 3, 45), rng.normal(size=3)
    lam = np.abs(X.T @ y).max() / 124.40625
    fit = {"lam": lam, "tol": 1e-9}
    result = glm(X, y, penalty="sparse-group", l1_ratio=0.3, groups=1, **fit)
    assert result.success
    assert result.fun == pytest.approx(glm(X, y, **fit).fun, rel=1e-8)


def test_one_group_of_ridge_like_norm(seed):
    """One group: SciPy minimises the same smooth objective away from zero."""
    X, y = problem(seed, 60, 6, "logistic")
    result = glm(X, y, loss="logistic", penalty="group", groups=6, lam=2.0, tol=1e-14)

    def objective(w):
        return np.logaddexp(0, -y * (X @ w)).sum() + 2 * np.linalg.norm(w)

    least = scipy.optimize.minimize(objective, np.ones(6), method="BFGS", options={"gtol": 1e-9})
    assert result.fun == pytest.approx(least.fun, rel=1e-9)
    np.testing.assert_allclose(result.coef, least.x, atol=1e-4)


def by_blocks(X, y, lam, groups, sweeps=3000):
    """Steps of the proximal gradient, one group after another."""
    w, r = np.zeros(X.shape[1]), y.copy()
    sizes = [np.linalg.norm(X[:, k], 2) ** 2 for k in groups]
    for _ in range(sweeps):
        for k, size in zip(groups, sizes, strict=True):
            u = w[k] + X[:, k].T @ r / size
            new = max(0.0, 1 - lam / (size * max(np.linalg.norm(u), 1e-300))) * u
            r -= X[:, k] @ (new - w[k])
            w[k] = new
    return w


@pytest.mark.parametrize(("n", "d"), [(80, 24), (30, 60)])
def test_group_lasso_as_others_fit_it(seed, n, d):
    X, y = problem(seed, n, d)
    groups = runs(d, 4)
    lam = max(np.linalg.norm(X[:, k].T @ y) for k in groups) / 10
    ours = glm(X, y, penalty="group", groups=groups, lam=lam, tol=1e-13)

    def objective(w):
        return 0.5 * np.sum((y - X @ w) ** 2) + lam * sum(np.linalg.norm(w[k]) for k in groups)

    others = [by_blocks(X, y, lam, groups)]
    if importlib.util.find_spec("celer"):  # where the peers of the benchmarks are installed
        import celer

        fit = {"fit_intercept": False, "tol": 1e-13, "max_iter": 1000, "max_epochs": 10**6}
        others.append(celer.GroupLasso(groups=4, alpha=lam / n, **fit).fit(X, y).coef_)
    for theirs in others:
        assert objective(ours.coef) == pytest.approx(objective(theirs), rel=1e-10)
        np.testing.assert_allclose(ours.coef, theirs, atol=1e-5)
        np.testing.assert_array_equal(ours.support, np.flatnonzero(np.abs(theirs) > 1e-7))


# ---- optimality of every kind ---------------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("kind", ["group", "sparse-group", "non-negative"])
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("shape", [(120, 40, None), (120, 450, 0.1), (50, 120, None)])
def test_conditions_hold_at_the_answer(loss, kind, intercept, shape):
    n, d, density = shape
    X, y = problem(11, n, d, loss, density)
    rng = np.random.default_rng(7)
    s, groups = rng.uniform(0.5, 2, n), runs(d, 7)
    weights = rng.uniform(0.5, 2, len(groups))
    lam = strongest(X, y, loss, groups, weights) / 20
    options = {
        "group": {"penalty": "group"}, "sparse-group": {"penalty": "sparse-group", "l1_ratio": 0.3},
        "non-negative": {"penalty": "group", "bounds": (0, np.inf)},
    }[kind]  # fmt: skip
    result = glm(
        scipy.sparse.csc_matrix(X) if density else X, y, loss=loss, lam=lam, groups=groups, weights=weights,
        fit_intercept=intercept, sample_weight=s, tol=1e-12, **options,
    )  # fmt: skip
    assert result.success, result.message
    share = 0.3 if kind == "sparse-group" else 0.0
    v = s * slope_of(loss, X @ result.coef + result.intercept, y)
    worst = violation(result.coef, X.T @ v, groups, (1 - share) * lam * weights, share * lam, kind == "non-negative")
    assert worst <= 1e-4 * lam
    assert result.kkt >= worst - 1e-9 * lam
    assert not intercept or abs(v.sum()) <= 1e-5 * np.abs(v).sum()
    assert kind != "non-negative" or result.coef.min() >= 0


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("kind", [{"penalty": "group"}, {"penalty": "sparse-group", "l1_ratio": 0.2},
                                  {"penalty": "group", "bounds": (0, np.inf)}])  # fmt: skip
def test_the_gap_bounds_the_distance_on_the_way(seed, loss, kind):
    """At every iterate, objective - gap <= least objective, and the objective never rises."""
    X, y = problem(seed, 30, 160, loss)
    groups = runs(160, 8)
    lam = strongest(X, y, loss, groups, np.ones(len(groups))) / 30
    fit = {"loss": loss, "lam": lam, "groups": groups, "fit_intercept": True, **kind}
    results = [glm(X, y, tol=1e-300, max_iter=k, **fit) for k in range(5)]
    least = glm(X, y, tol=1e-13, **fit).fun
    slack = 1e-12 * abs(results[0].fun)
    assert all(result.fun - result.gap <= least + slack for result in results)
    assert all(later.fun <= earlier.fun + slack for earlier, later in itertools.pairwise(results))


@settings(max_examples=40, deadline=None)
@example(seed=262143, n=8, d=56, size=2, ratio=19.0, share=0.0, positive=True, copies=True)  # 1,500 phases in its model
@given(
    seed=st.integers(0, 10**6), n=st.integers(2, 40), d=st.integers(1, 60), size=st.integers(1, 9),
    ratio=st.floats(1.5, 3000), share=st.sampled_from([0.0, 0.3, 1.0]), positive=st.booleans(),
    copies=st.booleans(),
)  # fmt: skip
def test_any_shape_is_solved(seed, n, d, size, ratio, share, positive, copies):
    """Also with duplicate and zero columns, where solutions are many."""
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(n, d)) * 10.0 ** rng.integers(-2, 3, d), rng.normal(size=n)
    if copies:
        X = X[:, rng.integers(0, d, d)]
        X[:, rng.integers(0, d)] = 0
    groups = runs(d, size)
    lam = np.abs(X.T @ y).max() / ratio
    if lam == 0:
        return
    result = glm(
        X, y, penalty="sparse-group", l1_ratio=share, groups=groups, lam=lam, tol=1e-9,
        bounds=(0, np.inf) if positive else None,
    )  # fmt: skip
    assert result.success, (result.message, result.measure)
    terms = 0.5 * np.sum((X @ result.coef - y) ** 2) + lam * share * np.abs(result.coef).sum()
    terms += lam * (1 - share) * sum(np.linalg.norm(result.coef[k]) for k in groups)
    assert result.fun == pytest.approx(terms, rel=1e-10)


# ---- the two ways to the minimum of a model -------------------------------------------------------


def test_both_ways_meet(seed):
    """Secular equations and block steps with Newton's method, on one model."""
    rng = np.random.default_rng(seed)
    R, r = rng.normal(size=(30, 60)), rng.normal(size=30)
    start, norm = np.arange(0, 61, 5), np.full(12, 0.4)
    by_samples = _secular.minimise(R, r, start, norm, np.zeros(60), 1e-12)
    H, w, g = R.T @ R, np.zeros(60), -R.T @ r
    eigen = [np.linalg.eigh(H[a:b, a:b]) for a, b in itertools.pairwise(start)]
    values, vectors = (np.concatenate([np.ravel(pair[k]) for pair in eigen]) for k in (0, 1))
    free = np.full(60, np.inf)
    left, stuck = _kernels.minimise_groups(
        H, start.astype(np.int32), norm, np.zeros(60), -free, free, values, vectors, w, g, 1e-12, 1000
    )

    def objective(w):
        return 0.5 * np.sum((R @ w - r) ** 2) + 0.4 * np.linalg.norm(w.reshape(12, 5), axis=1).sum()

    assert violation(by_samples, R.T @ (R @ by_samples - r), runs(60, 5), norm) <= 1e-11
    assert objective(w) <= objective(np.zeros(60))
    assert stuck or left <= 1e-12
    np.testing.assert_allclose(g, R.T @ (R @ w - r), atol=1e-11)
    assert stuck or objective(w) == pytest.approx(objective(by_samples), rel=1e-12)


def test_the_model_is_refused_where_arrays_do_not_fit():
    one, free = np.ones(2), np.full(2, np.inf)
    arguments = [np.eye(2), np.array([0, 2], np.int32), np.ones(1), 0 * one, -free, free, one, np.ones(4), one, one]
    for place, wrong in ((0, np.eye(3)), (1, np.array([0, 1], np.int32)), (1, np.array([0, 0, 2], np.int32)),
                         (3, np.zeros(3)), (7, np.ones(3))):  # fmt: skip
        changed = arguments.copy()
        changed[place] = wrong
        with pytest.raises(ValueError, match=r"must rise|H is|has length"):
            _kernels.minimise_groups(*changed, 1e-9, 10)


def test_few_columns_in_use_are_solved_by_their_gram_matrix(seed):
    """The same steps as by the rows, also where groups come and go and more are met than the matrix may have."""
    rng = np.random.default_rng(seed)
    R, r = rng.normal(size=(60, 240)), rng.normal(size=60)
    R[:, 5:10] = R[:, :5]
    start, norm = np.arange(0, 241, 5), np.full(48, 3.0)
    samples = _secular.Samples(R, r, start, norm)
    for _ in range(8):
        scales = np.zeros(48)
        scales[rng.permutation(46)[:6] + 2] = rng.uniform(0.1, 2, 6)
        scales[:2] = 1.0
        by_gram, few = _secular.Secular(samples, scales), np.flatnonzero(scales)
        assert not by_gram.by_rows
        S = np.eye(60) + (R * np.repeat(scales, 5)) @ R.T
        v = np.linalg.solve(S, r)
        np.testing.assert_allclose(by_gram.u, R.T @ v, atol=1e-11)
        Q = np.column_stack([R[:, 5 * k : 5 * k + 5] @ by_gram.u[5 * k : 5 * k + 5] for k in few])
        np.testing.assert_allclose(by_gram.hessian(few), Q.T @ np.linalg.solve(S, Q), atol=1e-9 * np.sum(Q * Q))
    assert _secular.Secular(samples, np.ones(48)).by_rows


# ---- what the kernels tell of the penalty ---------------------------------------------------------


@pytest.mark.parametrize("l1", [0.0, 0.3])
@pytest.mark.parametrize("positive", [False, True])
def test_measures_written_down_once_more(seed, l1, positive):
    rng = np.random.default_rng(seed)
    labels, norms = rng.integers(0, 5, 23), np.array([0.5, 0.0, 1.0, 2.0, 0.7, 1.0])  # the last one has no coordinates
    groups = [np.flatnonzero(labels == k) for k in range(6)]
    w, g = rng.normal(size=(2, 23))
    w[labels == 3], w[::4] = 0, 0
    w = np.abs(w) if positive else w
    low = np.full(23, 0.0 if positive else -np.inf)
    terms = _kernels.GroupTerms(labels, norms, np.full(23, l1), low, np.full(23, np.inf))
    value, worst, above = terms.measure(w, g)
    sizes = np.array([np.linalg.norm(w[k]) for k in groups])
    assert value == pytest.approx(l1 * np.abs(w).sum() + norms @ sizes)
    assert value == pytest.approx(terms.value(w))
    assert worst == pytest.approx(violation_over(w, g, groups, norms, l1, positive))

    def excess(t):  # the dual norm, less what it may be
        pull = np.maximum(-g, 0) if positive else np.abs(g)
        left = np.maximum(t * pull - l1, 0)
        return max(np.linalg.norm(left[k]) - n for n, k in zip(norms, groups, strict=True))

    assert above == pytest.approx(terms.limit(g))
    assert (above == 0 and l1 == 0) or excess(above * (1 - 1e-9)) <= 1e-12 < excess(above * (1 + 1e-6))
    assert terms.limit(g, np.full(23, 0.1)) <= above
    wide = terms.violations(w, g)
    assert wide[5] == 0
    assert all(wide[k] == pytest.approx(violation_over(w, g, groups, norms, l1, positive, k, 2)) for k in range(5))
    assert np.isnan(terms.measure(np.full(23, np.nan), g)[1])


def violation_over(w, g, groups, norms, l1, positive, which=None, order=np.inf):
    """The violations of a group, or of all, in the largest or another norm."""
    found = []
    for k, (members, norm) in enumerate(zip(groups, norms, strict=True)):
        if which not in (None, k):
            continue
        size = np.linalg.norm(w[members])
        slope = g[members] + (norm / size * w[members] if size else 0)
        pull = np.sign(-slope) * np.maximum(np.abs(slope) - l1, 0)
        pull = np.maximum(pull, 0) if positive else pull
        pulls = np.linalg.norm(pull)
        share = 1.0 if size else max(0.0, 1 - norm / pulls) if pulls else 0.0
        found.append(np.where(w[members] == 0, share * pull, slope + l1 * np.sign(w[members])))
    return np.linalg.norm(np.concatenate([*found, [0.0]]), order)


def test_eigenvalues_of_the_blocks(seed):
    rng = np.random.default_rng(seed)
    H = np.cov(rng.normal(size=(12, 40)))
    values, vectors = _kernels.group_eigen(H, np.array([0, 1, 5, 12], np.int32))
    at = 0
    for a, b in ((0, 1), (1, 5), (5, 12)):
        V = vectors[at : at + (b - a) ** 2].reshape(b - a, b - a)
        np.testing.assert_allclose(V * values[a:b] @ V.T, H[a:b, a:b], atol=1e-13)
        assert np.all(np.diff(values[a:b]) >= 0)
        at += (b - a) ** 2
    with pytest.raises(ValueError, match="do not fit"):
        _kernels.group_eigen(H, np.array([0, 13], np.int32))


# ---- invariants -----------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("share", [0.0, 0.4])
def test_a_strong_penalty_leaves_zero_without_a_step(seed, loss, share):
    X, y = problem(seed, loss=loss)
    groups = runs(30, 4)
    g = X.T @ slope_of(loss, np.zeros(len(y)), y)

    def excess(lam):  # the condition of zero: |soft(g, share lam)| <= (1 - share) lam in every group
        soft = np.maximum(np.abs(g) - share * lam, 0)
        return max(np.linalg.norm(soft[k]) for k in groups) - (1 - share) * lam

    lam = scipy.optimize.brentq(excess, 1e-9, 10 * np.linalg.norm(g), xtol=1e-15, rtol=1e-14)
    fit = {"loss": loss, "penalty": "sparse-group", "l1_ratio": share, "groups": groups, "tol": 1e-10}
    result = glm(X, y, lam=lam * (1 + 1e-12), **fit)
    assert (result.success, result.nit, len(result.support)) == (True, 0, 0)
    assert len(glm(X, y, lam=0.99 * lam, **fit).support) > 0


def test_weights_of_zero_and_infinity(seed):
    X, y = problem(seed)
    groups, weights = runs(30, 5), np.ones(6)
    weights[1], weights[0] = 0, np.inf
    lam = strongest(X, y, "squared", groups, np.ones(6)) / 3
    result = glm(X, y, penalty="group", groups=groups, lam=lam, weights=weights, tol=1e-9)
    assert result.success
    assert result.gap <= 1e-9 * 0.5 * (y @ y)
    assert not result.coef[:5].any()
    assert result.coef[5:10].all()
    again = glm(X[:, 5:], y, penalty="group", groups=5, lam=lam, weights=weights[1:], tol=1e-9)
    np.testing.assert_allclose(result.coef[5:], again.coef, atol=1e-8)
    assert violation(result.coef[5:], X[:, 5:].T @ (X @ result.coef - y), runs(25, 5), lam * weights[1:]) <= 1e-6 * lam


def test_free_groups_among_more_columns_than_samples(seed):
    X, y = problem(seed, 30, 80)
    weights = np.ones(16)
    weights[2] = 0
    result = glm(X, y, penalty="group", groups=5, lam=4.0, weights=weights, fit_intercept=True, tol=1e-10)
    assert result.success
    r = X @ result.coef + result.intercept - y
    assert violation(result.coef, X.T @ r, runs(80, 5), 4.0 * weights) <= 1e-6
    assert abs(r.sum()) <= 1e-8


def test_the_ways_to_name_groups(seed):
    X, y = problem(seed, 60, 12)
    order = np.random.default_rng(seed).permutation(12)
    expected = glm(X, y, penalty="group", groups=3, lam=3.0, tol=1e-13)
    labels = np.array(list("aaabbbcccddd"))
    named = {"lists": [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]], "labels": labels, "list": runs(12, 3)}
    for groups in named.values():
        np.testing.assert_array_equal(glm(X, y, penalty="group", groups=groups, lam=3.0, tol=1e-13).coef, expected.coef)
    mixed = glm(X[:, order], y, penalty="group", groups=labels[order], lam=3.0, tol=1e-13)
    np.testing.assert_allclose(mixed.coef, expected.coef[order], atol=1e-8)


@pytest.mark.parametrize("kind", ["F", "float32", "int", "csr", "csc"])
@pytest.mark.parametrize("shape", [(50, 20), (20, 50)])
def test_layouts_and_types(kind, shape):
    rng = np.random.default_rng(23)
    X = rng.integers(-2, 3, shape) * (rng.random(shape) < 0.15)
    y = rng.normal(size=shape[0])
    given = {
        "F": lambda: np.asfortranarray(X, float), "float32": lambda: X.astype(np.float32), "int": lambda: X,
        "csr": lambda: scipy.sparse.csr_matrix(X), "csc": lambda: scipy.sparse.csc_matrix(X.astype(float)),
    }[kind]()  # fmt: skip
    before = given.copy()
    fit = {"penalty": "group", "groups": 4, "lam": 1.0, "fit_intercept": True, "tol": 1e-13}
    expected, result = glm(X.astype(float), y, **fit), glm(given, y, **fit)
    np.testing.assert_allclose(result.coef, expected.coef, atol=1e-8)
    assert abs(before - given).sum() == 0


def test_warm_starts_and_resuming(seed):
    X, y = problem(seed, 60, 500, "logistic")
    lam = strongest(X, y, "logistic", runs(500, 5), np.ones(100)) / 50
    fit = {"loss": "logistic", "penalty": "group", "groups": 5, "lam": lam, "tol": 1e-11}
    cold = glm(X, y, **fit)
    assert glm(X, y, x0=cold.coef, **fit).nit == 0
    first = glm(X, y, max_iter=1, **fit)
    assert first.status is Status.MAX_ITER
    np.testing.assert_array_equal(glm(X, y, resume=first.state, **fit).coef, cold.coef)


def test_small_penalties_are_as_quick(seed):
    """Down to a millionth of the strongest penalty; others need ever more passes."""
    X, y = problem(seed, 200, 60)
    top = strongest(X, y, "squared", runs(60, 10), np.ones(6))
    for ratio in (1e2, 1e4, 1e6):
        result = glm(X, y, penalty="group", groups=10, lam=top / ratio, tol=1e-12)
        assert result.success
        assert result.nit <= 5


def test_a_dual_written_down_once_more(seed):
    """The gap of a group lasso, from the formula."""
    X, y = problem(seed, 60, 500)
    groups = runs(500, 10)
    lam = strongest(X, y, "squared", groups, np.ones(50)) / 30
    result = glm(X, y, penalty="group", groups=groups, lam=lam, tol=1e-300, max_iter=1)
    r = y - X @ result.coef
    t = min(1, lam / max(np.linalg.norm(X[:, k].T @ r) for k in groups))
    assert result.gap <= result.fun - (t * (r @ y) - t * t / 2 * (r @ r)) + 1e-9


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"groups": None}, ValueError, "groups must be given"),
        ({"groups": [[0], [1]]}, ValueError, "feature 2 is in none"),
        ({"groups": [[0, 1], [1, 2]]}, ValueError, "overlap; feature 1"),
        ({"groups": [[0, 1], [2, 3]]}, ValueError, r"groups\[1\] must hold features from 0 to 2"),
        ({"groups": [[0, 1], [-1]]}, ValueError, r"groups\[1\] must hold features"),
        ({"groups": [[0, 1, 2], []]}, ValueError, r"groups\[1\] must be a list of features"),
        ({"groups": [[0.5, 1.5, 2]]}, ValueError, r"groups\[0\] must be a list of features"),
        ({"groups": np.array([0, 1])}, ValueError, "a label for each of the 3 features"),
        ({"groups": 0}, ValueError, "size >= 1"),
        ({"groups": 2.5}, TypeError, "groups must be a list"),
        ({"penalty": "l1"}, ValueError, "groups go with the penalties"),
        ({"weights": [1.0, 1.0, 1.0]}, ValueError, r"weights must have shape \(2,\)"),
        ({"weights": [1.0, -1.0]}, ValueError, "weights must be >= 0"),
        ({"bounds": (0, 1)}, ValueError, "bounds must be 0 or infinite"),
        ({"penalty": "sparse-group", "l1_ratio": 2}, ValueError, "l1_ratio"),
        ({"method": "working-set"}, ValueError, "cannot serve"),
    ],
)
def test_bad_input_is_named(change, error, match):
    good = {"penalty": "group", "groups": [[0, 1], [2]], "lam": 1.0}
    with pytest.raises(error, match=match):
        glm(np.arange(12.0).reshape(4, 3) ** 0.5, [1.0, 2.0, 4.0, 3.0], **{**good, **change})


# ---- screening ------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["squared", "logistic", "huber", "squared_hinge"])
@pytest.mark.parametrize("form", [np.asfortranarray, np.ascontiguousarray, scipy.sparse.csc_matrix])
@pytest.mark.parametrize("penalty", ["group", "sparse-group"])
def test_screening_drops_no_group_of_the_support(seed, loss, form, penalty):
    intercept = form is np.asfortranarray
    X, y = problem(seed, 60, 500, loss, 0.3)
    groups, weights = runs(500, 7), np.random.default_rng(seed).uniform(0.7, 1.5, 72)
    lam = strongest(X, y, loss, groups, weights) / 4
    bounds = (0, np.inf) if seed % 2 else None
    keywords = {
        "loss": loss, "lam": lam, "fit_intercept": intercept, "penalty": penalty, "groups": groups, "weights": weights,
        "l1_ratio": 0.3, "tol": 1e-12, "bounds": bounds,
    }  # fmt: skip
    result = glm(form(X), y, **keywords)
    without = glm(form(X), y, options={"screening": "none"}, **keywords)
    assert result.success
    assert without.success
    assert without.stats["screened"] == 0
    assert result.stats["screened"] > 0
    alive = result.state.alive
    assert alive[:500][np.abs(without.coef) > 1e-7].all()
    assert all(len(set(alive[k])) == 1 for k in groups)
    np.testing.assert_allclose(result.coef, without.coef, atol=1e-4)


def test_groups_with_a_coefficient_are_not_screened():
    """Of a group whose other coefficients are zero, and where a start has one that will vanish."""
    X, y = problem(5, 60, 300)
    x0 = np.zeros(300)
    x0[250] = 3.0
    result = glm(X, y, lam=100.0, penalty="group", groups=5, x0=x0, tol=1e-12)
    assert result.success
    assert result.fun == pytest.approx(glm(X, y, lam=100.0, penalty="group", groups=5, tol=1e-12).fun, rel=1e-11)


def test_models_that_are_flat_along_most_columns():
    """Huber's loss on more columns than samples: working sets start small."""
    X, y = problem(3, 60, 300, "huber")
    result = glm(X, y, lam=20.0, loss="huber", penalty="sparse-group", groups=5, tol=1e-11)
    assert result.success
    assert 0 < result.stats["working_set"] < 300


@pytest.mark.parametrize("shape", [(2, 5), (60, 5)])
@pytest.mark.parametrize("loss", ["squared", "huber"])
def test_groups_that_are_all_free_or_out(seed, shape, loss):
    """No group has a norm that counts: what is left has no kinks."""
    n, d = shape
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(n, d)), rng.normal(size=n)
    keywords = {"penalty": "group", "groups": np.array([0, 0, 0, 1, 1]), "lam": 1.0, "weights": [0.0, np.inf]}
    for intercept in (False, True):
        result = glm(X, y, loss=loss, x0=np.ones(d), tol=1e-9, fit_intercept=intercept, **keywords)
        assert result.success
        assert not result.coef[3:].any()
        other = glm(X[:, :3], y, loss=loss, penalty="none", lam=0, tol=1e-9, fit_intercept=intercept)
        assert result.fun == pytest.approx(other.fun, abs=1e-9 * (y @ y))


def test_the_gap_of_scales_is_that_of_their_coefficients(seed):
    rng = np.random.default_rng(seed)
    R, r, start, norm = rng.normal(size=(12, 20)), rng.normal(size=12), np.arange(0, 21, 4), rng.uniform(1, 3, 5)
    here = _secular.Secular(_secular.Samples(R, r, start, norm), rng.uniform(0, 0.2, 5) * (rng.random(5) < 0.7))
    w, v = here.w, r - R @ here.w
    share = 1 / max(1, *(np.linalg.norm(R[:, k : k + 4].T @ v) / norm[k // 4] for k in range(0, 20, 4)))
    primal = 0.5 * v @ v + norm @ np.linalg.norm(w.reshape(5, 4), axis=1)
    assert here.gap == pytest.approx(primal - share * (r @ v) + 0.5 * share**2 * (v @ v), rel=1e-10)


def test_no_more_steps_than_the_tolerance_asks_for_and_the_last_ones_without_a_factor(monkeypatch):
    made = []

    def counted(kind):
        whole = kind.__init__

        def init(self, *given):
            whole(self, *given)
            made.append(kind if self.defined else None)

        monkeypatch.setattr(kind, "__init__", init)

    counted(_secular.Secular)
    counted(_secular.Near)
    rng = np.random.default_rng(5)
    X, y = rng.normal(size=(60, 600)), rng.normal(size=60)
    counts = []
    for tol in (1e-3, 1e-6, 1e-13):
        made.clear()
        assert glm(X, y, penalty="group", groups=10, lam=2.0, tol=tol).success
        counts.append((made.count(_secular.Secular) + made.count(_secular.Near), made.count(_secular.Secular)))
    assert counts[0][0] < counts[1][0] < counts[2][0]
    assert counts[2][1] < counts[2][0] - 1


@pytest.mark.parametrize("columns", [16, 60])
def test_an_old_factor_serves_nearby(seed, columns):
    """Whether the groups in use have fewer columns than there are rows, or more."""
    rng = np.random.default_rng(seed)
    R, r, start = rng.normal(size=(40, columns)), rng.normal(size=40), np.arange(0, columns + 1, 4)
    samples = _secular.Samples(R, r, start, rng.uniform(1, 3, columns // 4))
    scales = rng.uniform(0.05, 0.2, columns // 4) * (np.arange(columns // 4) != 1)
    base = _secular.Secular(samples, scales)
    near = _secular.Near(base, scales * rng.uniform(0.9, 1.1, columns // 4), base.v)
    exact = _secular.Secular(samples, near.scales)
    assert near.defined
    np.testing.assert_allclose(near.v, exact.v, atol=1e-4)
    assert near.value == pytest.approx(exact.value, abs=1e-8)
    assert near.violation == pytest.approx(exact.violation, abs=1e-3)
    same = _secular.Near(base, scales, base.v)
    np.testing.assert_allclose(same.v, base.v, atol=1e-13)
    assert not _secular.Near(base, 2 * scales, base.v).defined
    assert not _secular.Near(base, scales + 0.1 * (scales == 0), base.v).defined


@pytest.mark.parametrize("spread", [0, 6])
def test_a_factor_in_single_precision_changes_no_answer(monkeypatch, spread):
    """More columns in use than samples: columns that differ by orders of magnitude are more than it can serve."""
    rng = np.random.default_rng(19)
    X = rng.normal(size=(120, 400)) * 10.0 ** rng.uniform(-spread, spread, 400)
    y, groups = rng.normal(size=120), np.arange(400) // 4
    lam = max(np.linalg.norm((X.T @ y)[groups == k]) for k in range(100)) / 300
    answers, used = [], []
    by_single = _secular.Secular._by_single
    monkeypatch.setattr(_secular.Secular, "_by_single", lambda self: used.append(1) or by_single(self))
    for rows in (100, 10**9):
        monkeypatch.setattr(_secular, "SINGLE_ROWS", rows)
        answers.append(glm(X, y, penalty="group", groups=groups, lam=lam, tol=1e-12))
        assert answers[-1].success
        assert bool(used) == (rows == 100)
        used.clear()
    assert answers[0].fun == pytest.approx(answers[1].fun, rel=1e-11)
    np.testing.assert_allclose(X @ answers[0].coef, X @ answers[1].coef, atol=1e-5)
