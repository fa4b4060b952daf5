"""Derivatives against finite differences and closed forms."""

import numpy as np
import pytest

from solvers.ot import (
    derivative,
    gradients,
    solve,
    solve_sample,
    solve_unbalanced,
    solve_unbalanced_sample,
)

INF = np.inf
TIGHT = {"tol": 1e-13, "max_iter": 100_000}
RHOS = [0.7, (INF, 0.4), (2.0, INF), (0.01, 30.0)]


@pytest.fixture
def data(seed):
    rng = np.random.default_rng(seed)
    return rng.random((9, 7)), rng.dirichlet(np.ones(9)) + 0.01, rng.dirichlet(np.ones(7)) + 0.01


def _normal(*weights):
    return tuple(w / w.sum() for w in weights)


def slope(value, h=1e-5):
    """The derivative at 0 of a function of a number, to fourth order in h."""
    return (8 * (value(h) - value(-h)) - (value(2 * h) - value(-2 * h))) / (12 * h)


def solver(rho, reg=0.1):
    """solve(C, a, b), balanced where rho is None."""
    if rho is None:
        return lambda C, a, b: solve(C, a, b, reg=reg, certify=False, **TIGHT)
    return lambda C, a, b: solve_unbalanced(C, a, b, reg=reg, reg_m=rho, **TIGHT)


@pytest.mark.parametrize("rho", [None, *RHOS, INF], ids=str)
def test_in_cost_and_weights(data, rho, seed):
    C, a, b = data
    hard = rho in (None, INF)
    if hard:
        a, b = _normal(a, b)
    rng = np.random.default_rng(seed)
    run = solver(rho)
    result = run(C, a, b)
    gradient = gradients(result)
    np.testing.assert_array_equal(gradient.C.dense(), result.plan.dense())
    dC, da, db = rng.normal(size=C.shape), rng.normal(size=9) * a, rng.normal(size=7) * b
    if hard:
        da, db = da - da.mean(), db - db.mean()
        assert abs(gradient.a.sum()) < 1e-12
        assert abs(gradient.b.sum()) < 1e-12
        da *= 0.1
        db *= 0.1
    expected = slope(lambda t: run(C + t * dC, a, b).value)
    assert (gradient.C.dense() * dC).sum() == pytest.approx(expected, rel=1e-7, abs=1e-9)
    assert gradient.a @ da == pytest.approx(slope(lambda t: run(C, a + t * da, b).value), rel=1e-7, abs=1e-9)
    assert gradient.b @ db == pytest.approx(slope(lambda t: run(C, a, b + t * db).value), rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("rho", [None, 0.7, (INF, 0.4)], ids=str)
def test_at_zero_weights(data, rho):
    """The one-sided derivative, which the result knows though the place takes no part in the solve."""
    C, a, b = data
    a[3] = b[2] = 0
    a, b = _normal(a, b)
    run = solver(rho)
    gradient = gradients(run(C, a, b))
    base = run(C, a, b).value
    for h in (1e-7, 1e-8):
        toward = np.eye(9)[3] - (a if rho is None else 0)
        assert gradient.a @ toward == pytest.approx((run(C, a + h * toward, b).value - base) / h, rel=1e-4)
        toward = np.eye(7)[2] - (b if rho is None else 0)
        assert gradient.b @ toward == pytest.approx((run(C, a, b + h * toward).value - base) / h, rel=1e-4)


@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean", "cityblock"])
@pytest.mark.parametrize("rho", [None, 0.7], ids=str)
@pytest.mark.parametrize("d", [1, 2, 4])
def test_in_points(metric, rho, d, seed):
    rng = np.random.default_rng(seed)
    X, Y = rng.normal(size=(8, d)) + 50, rng.normal(size=(6, d)) + 50
    a = rng.dirichlet(np.ones(8))
    a[1] = 0
    a /= a.sum()
    dX, dY = rng.normal(size=X.shape), rng.normal(size=Y.shape)

    def run(X, Y):
        if rho is None:
            return solve_sample(X, Y, a, reg=0.5, metric=metric, certify=False, **TIGHT)
        return solve_unbalanced_sample(X, Y, a, reg=0.5, reg_m=rho, metric=metric, **TIGHT)

    gradient = gradients(run(X, Y))
    close = {"rel": 1e-6, "abs": 1e-8}
    assert (gradient.X * dX).sum() == pytest.approx(slope(lambda t: run(X + t * dX, Y).value), **close)
    assert (gradient.Y * dY).sum() == pytest.approx(slope(lambda t: run(X, Y + t * dY).value), **close)
    assert not gradient.X[1].any()
    # moving both clouds together changes nothing
    np.testing.assert_allclose(gradient.X.sum(0) + gradient.Y.sum(0), 0, atol=1e-12)


def test_metrics_without_a_gradient(seed):
    X = np.random.default_rng(seed).normal(size=(5, 2))
    for metric in ("cosine", "chebyshev", lambda x, y: np.abs(x[:, None] - y).sum(2)):
        gradient = gradients(solve_sample(X, X + 1, reg=1, metric=metric))
        assert gradient.a.shape == (5,)
        with pytest.raises(AttributeError, match="metrics sqeuclidean, euclidean, cityblock, not for"):
            _ = gradient.Y


def test_offsets_of_rows_and_columns_do_not_matter(data, seed):
    """What is common to a row and a column moves into the potentials, and into the gradients in the weights."""
    C, a, b = data
    a[3] = 0
    a, b = _normal(a, b)
    C = np.rint(C * 1024) / 1024
    rng = np.random.default_rng(seed)
    rows, columns = rng.integers(0, 2**24, (9, 1)) * 1.0, rng.integers(0, 2**24, 7) * 1.0
    plain = solve(C, a, b, reg=0.01, tol=1e-11, max_iter=100_000)
    offset = solve(C + rows + columns, a, b, reg=0.01, tol=1e-11, max_iter=100_000)
    assert offset.success
    expected = gradients(plain).a + rows[:, 0] - rows.mean(), gradients(plain).b + columns - columns.mean()
    np.testing.assert_allclose(gradients(offset).a, expected[0], rtol=1e-12, atol=1e-7)
    np.testing.assert_allclose(gradients(offset).b, expected[1], rtol=1e-12, atol=1e-7)
    dC = rng.normal(size=C.shape)
    changes = [derivative(result, dC=dC).dense() for result in (plain, offset)]
    np.testing.assert_allclose(*changes, rtol=1e-5, atol=1e-7 * np.abs(changes[0]).max())


def test_points_that_coincide_take_the_subgradient_0(seed):
    X = np.random.default_rng(seed).normal(size=(5, 2))
    for metric in ("euclidean", "cityblock"):
        gradient = gradients(solve_sample(X, X, reg=1e-3, metric=metric, tol=1e-10, max_iter=100_000))
        assert np.isfinite(gradient.X).all()
        assert np.abs(gradient.X).max() < 1e-6  # all mass stays where it is


def test_closed_form_of_two_points():
    """C = [[0, c], [c, 0]]: P_11 = 1 / (2 (1 + e^(-c/reg)))."""
    c, reg = 0.8, 0.3
    result = solve([[0, c], [c, 0]], reg=reg, tol=1e-14)
    p = 0.5 / (1 + np.exp(-c / reg))
    np.testing.assert_allclose(gradients(result).C.dense(), [[p, 0.5 - p], [0.5 - p, p]], rtol=1e-13)
    np.testing.assert_allclose(gradients(result).a, 0, atol=1e-14)  # by symmetry
    change = derivative(result, dC=[[0, 1], [1, 0]], tol=1e-13)
    assert change.dense()[0, 0] == pytest.approx(2 * p * (0.5 - p) / reg, rel=1e-12)
    change = derivative(result, dC=[[1, 1], [1, 1]])
    np.testing.assert_allclose(change.dense(), 0, atol=1e-15)
    np.testing.assert_allclose(change.f.sum() + change.g.sum(), 2, rtol=1e-12)


def test_matrix_problems_have_no_points(data):
    gradient = gradients(solve(data[0], reg=1))
    with pytest.raises(AttributeError, match="cost matrix"):
        _ = gradient.X
    assert "gradients of the value of 9 x 7 transport" in repr(gradient)


@pytest.mark.parametrize("rho", [None, *RHOS, INF], ids=str)
@pytest.mark.parametrize("reg", [0.3, 0.02])
def test_derivative_of_plan_and_potentials(data, rho, reg, seed, monkeypatch):
    C, a, b = data
    a[3] = b[2] = 0
    rng = np.random.default_rng(seed)
    dC, da, db = rng.normal(size=C.shape), rng.normal(size=9) * a, rng.normal(size=7) * b
    if rho in (None, INF):
        a, b = _normal(a, b)
        da, db = da - da.sum() * a, db - db.sum() * b
    if seed % 2 == 0:
        monkeypatch.setattr("solvers.ot._derivative.STORED_BYTES", 0)
    run, h = solver(rho, reg), 1e-5
    change = derivative(run(C, a, b), dC=dC, da=da, db=db, tol=1e-11)
    assert change.success
    assert change.measure <= 1e-11
    results = {t: run(C + t * dC, a + t * da, b + t * db) for t in (h, -h, 2 * h, -2 * h)}
    plan = slope(lambda t: results[t].plan.dense(), h)
    np.testing.assert_allclose(change.dense(), plan, rtol=1e-5, atol=1e-6 * np.abs(plan).max())
    rows, columns = a > 0, b > 0
    for name, kept in (("f", rows), ("g", columns)):
        expected = slope(lambda t, name=name, kept=kept: getattr(results[t], name)[kept], h)
        np.testing.assert_allclose(getattr(change, name)[kept], expected, rtol=1e-5, atol=1e-5)
        assert not getattr(change, name)[~kept].any()
    # the plan's sums move with the weights of a hard side
    sums = change.dense().sum(1), change.dense().sum(0)
    for total, moved, penalty in zip(sums, (da, db), np.broadcast_to(INF if rho is None else rho, 2), strict=True):
        if penalty == INF:
            np.testing.assert_allclose(total, moved, atol=1e-9)


def test_plans_made_anew_give_the_same_derivative(data, monkeypatch):
    result = solve(data[0], reg=0.1, tol=1e-12)
    stored = derivative(result, dC=data[0])
    monkeypatch.setattr("solvers.ot._derivative.STORED_BYTES", 0)
    np.testing.assert_allclose(derivative(result, dC=data[0]).f, stored.f, atol=1e-10)


def test_derivative_is_honest(data):
    C, a, b = data
    a, b = _normal(a, b)
    result = solve(C, a, b, reg=0.05, tol=1e-12)
    short = derivative(result, dC=C * C, max_iter=1)
    assert (short.success, short.nit) == (False, 1)
    assert short.measure > 1e-10
    nothing = derivative(result)
    assert nothing.success
    assert not nothing.dense().any()
    with pytest.raises(ValueError, match=r"dC has shape \(7, 9\), not \(9, 7\)"):
        derivative(result, dC=C.T)
    with pytest.raises(ValueError, match="da and db must have the same sum"):
        derivative(result, da=a)
    with pytest.raises(ValueError, match=r"db must be finite; db\[0\]"):
        derivative(result, db=b * np.nan)
    a[4] = 0
    with pytest.raises(ValueError, match=r"da\[4\] changes a weight that is 0"):
        derivative(solve_unbalanced(C, a, b, reg=0.1, reg_m=1), da=np.ones(9))
