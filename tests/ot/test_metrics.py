"""Costs made on the fly: every metric, and functions of blocks, against the matrix of SciPy."""

import pickle

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from solvers.ot import solve, solve_sample

METHODS = ("newton", "sinkhorn", "sns")
METRICS = [
    ("sqeuclidean", {}), ("euclidean", {}), ("cityblock", {}), ("chebyshev", {}), ("cosine", {}),
    ("minkowski", {}), *(("minkowski", {"p": p}) for p in (0.5, 1, 1.5, 2, 3.0, 8, np.inf)),
]  # fmt: skip


def _clouds(seed, n=70, m=50, d=3):
    rng = np.random.default_rng(seed)
    a, b = rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m))
    a[3] = b[5] = 0
    return rng.random((n, d)) + 0.1, rng.random((m, d)) + 0.1, a / a.sum(), b / b.sum()


def _squares(X, Y):
    return cdist(X, Y, "sqeuclidean")


def _same(ours, theirs):
    assert ours.success
    np.testing.assert_allclose(ours.plan.dense(), theirs.plan.dense(), rtol=1e-8, atol=1e-11)
    np.testing.assert_allclose(ours.lp_bounds, theirs.lp_bounds, rtol=1e-9)
    np.testing.assert_allclose(ours.rounded.dense(), theirs.rounded.dense(), rtol=1e-8, atol=1e-11)
    assert ours.value == pytest.approx(theirs.value, rel=1e-9)
    x = np.arange(2.0 * ours.plan.shape[1]).reshape(-1, 2)
    np.testing.assert_allclose(ours.plan.matvec(x), theirs.plan.matvec(x), rtol=1e-8)
    z = np.arange(5.0 * ours.plan.shape[0]).reshape(-1, 5)
    np.testing.assert_allclose(ours.plan.rmatvec(z), theirs.plan.rmatvec(z), rtol=1e-8)
    np.testing.assert_array_equal(ours.plan.argmax(), theirs.plan.argmax())
    np.testing.assert_allclose(ours.plan.csr(1e-6).toarray(), theirs.plan.csr(1e-6).toarray(), rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("metric", "keywords"), METRICS)
def test_metrics_of_scipy(metric, keywords, method, seed):
    X, Y, a, b = _clouds(seed)
    C = cdist(X, Y, metric, **keywords)
    common = {"reg": 0.05 * C.max(), "tol": 1e-11, "method": method}
    _same(solve_sample(X, Y, a, b, metric=metric, **keywords, **common), solve(C, a, b, **common))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rows", [1, 7, 100])
def test_function_of_blocks(monkeypatch, method, rows, seed):
    monkeypatch.setattr("solvers.ot._blocks.BLOCK_BYTES", 8 * 49 * rows)
    monkeypatch.setattr("solvers.ot._plan.BLOCK_BYTES", 8 * 49 * 11)
    X, Y, a, b = _clouds(seed)
    sizes = []

    def metric(x, y):
        sizes.append(x.shape)
        assert y.shape == (49, 3)  # the target without weight is left out
        assert not x.flags.writeable
        assert not y.flags.writeable
        return _squares(x, y)

    common = {"reg": 0.05, "tol": 1e-11, "method": method}
    _same(solve_sample(X, Y, a, b, metric=metric, **common), solve(_squares(X, Y), a, b, **common))
    assert max(sizes) == ({1: 1, 7: 4, 100: 69}[rows], 3)  # that fit, and that leaves of 32 rows consist of


@pytest.mark.parametrize("kind", [np.float32, np.int64, np.asfortranarray, np.ndarray.tolist])
def test_what_a_function_may_return(kind, seed):
    rng = np.random.default_rng(seed)
    X, Y = rng.integers(0, 9, (20, 2)), rng.integers(0, 9, (15, 2))

    def metric(x, y):
        costs = _squares(x, y)
        return kind(costs) if kind in (np.asfortranarray, np.ndarray.tolist) else costs.astype(kind)

    ours = solve_sample(X, Y, reg=5, metric=metric, tol=1e-11)
    np.testing.assert_allclose(ours.plan.dense(), solve(_squares(X, Y), reg=5, tol=1e-11).plan.dense(), rtol=1e-9)


def test_bits_of_a_function_do_not_depend_on_threads(seed):
    X, Y, a, b = _clouds(seed, 300, 400)
    one, two = (solve_sample(X, Y, a, b, reg=0.05, metric=_squares, tol=1e-6, threads=k) for k in (1, 2))
    np.testing.assert_array_equal(one.g, two.g)
    assert one.gap == two.gap
    again = pickle.loads(pickle.dumps(one))
    np.testing.assert_array_equal(again.plan.dense(), two.plan.dense())


def test_large_common_part_from_a_function(seed):
    X, Y, a, b = _clouds(seed)
    for shift in (2.0**27, 2.0**27 * np.arange(49)):
        ours = solve_sample(X, Y, a, b, reg=0.05, metric=lambda x, y, s=shift: _squares(x, y) + s, tol=1e-11)
        theirs = solve(_squares(X, Y), a, b, reg=0.05, tol=1e-11)
        assert ours.success
        np.testing.assert_allclose(ours.plan.dense(), theirs.plan.dense(), atol=1e-6)


def test_close_directions_keep_their_digits(seed):
    """1 - cos of directions 1e-6 apart is 5e-13; formed from the cosine it would have three digits."""
    angle = 1e-6 * np.random.default_rng(seed).random(20)
    X = np.stack([np.cos(angle), np.sin(angle)], 1) * 3
    ours = solve_sample(X, X[:7] * 5, reg=1e-13, metric="cosine", tol=1e-11, max_iter=100_000)
    theirs = solve(2 * np.sin((angle[:, None] - angle[:7]) / 2) ** 2, reg=1e-13, tol=1e-11, max_iter=100_000)
    np.testing.assert_allclose(ours.plan.dense(), theirs.plan.dense(), atol=1e-8)


def test_bad_metrics():
    X = np.ones((3, 2))
    with pytest.raises(ValueError, match="metric must be one of chebyshev, cityblock, cosine"):
        solve_sample(X, X, reg=1, metric="cosinus")
    with pytest.raises(ValueError, match="p belongs to the metric 'minkowski', not to 'euclidean'"):
        solve_sample(X, X, reg=1, metric="euclidean", p=3)
    for p in (0, -1, np.nan):
        with pytest.raises(ValueError, match="p must be positive"):
            solve_sample(X, X, reg=1, metric="minkowski", p=p)
    with pytest.raises(TypeError, match="p must be a number"):
        solve_sample(X, X, reg=1, metric="minkowski", p="cubic")
    with pytest.raises(ValueError, match=r"cosine of a zero vector is not defined; Y\[1\] is zero"):
        solve_sample(X, [[1, 0], [0, 0]], reg=1, metric="cosine")
    with pytest.raises(ValueError, match=r"metric\(X\[0:3\], Y\) has shape \(2, 3\), not \(3, 3\)"):
        solve_sample(X, X, reg=1, metric=lambda x, y: _squares(x, y)[1:])
    with pytest.raises(ValueError, match=r"metric\(X\[0:3\], Y\) must be finite; .*\[\(0, 0\)\] is nan"):
        solve_sample(X, X, reg=1, metric=lambda x, y: _squares(x, y) + np.nan)
    with pytest.raises(TypeError, match=r"metric\(X\[0:3\], Y\) must be real"):
        solve_sample(X, X, reg=1, metric=lambda x, y: _squares(x, y) + 1j)

    def broken(x, y):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        solve_sample(X, X, reg=1, metric=broken)
