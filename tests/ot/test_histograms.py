"""Several targets in the columns of b."""

import numpy as np
import ot
import pytest

from solvers.ot import solve


@pytest.fixture
def data(seed):
    rng = np.random.default_rng(seed)
    return rng.random((20, 15)), rng.dirichlet(np.ones(20)), rng.dirichlet(np.ones(15), size=4).T


@pytest.mark.parametrize("keywords", [{}, {"method": "sinkhorn"}, {"time_limit": 60.0}])
def test_a_result_for_each_column(data, keywords):
    C, a, b = data
    b[3:6, 1] = 0
    b /= b.sum(0)
    results = solve(C, a, b, reg=0.05, tol=1e-11, max_iter=100_000, **keywords)
    assert len(results) == 4
    theirs = ot.sinkhorn(a, b, C, 0.05, stopThr=1e-13, numItermax=100_000)
    for k, result in enumerate(results):
        single = solve(C, a, b[:, k], reg=0.05, tol=1e-11, max_iter=100_000)
        plan = result.plan.dense()
        assert result.success
        assert np.abs(plan.sum(1) - a).sum() + np.abs(plan.sum(0) - b[:, k]).sum() <= 1.01e-11
        np.testing.assert_allclose(plan, single.plan.dense(), atol=1e-10)
        assert result.value_linear == pytest.approx(theirs[k], rel=1e-8)


def test_large_costs_go_one_by_one(data, monkeypatch):
    C, a, b = data
    together = solve(C, a, b, reg=0.1)
    monkeypatch.setattr("solvers.ot._histograms.BATCH_ENTRIES", 10)
    for one, other in zip(solve(C, a, b, reg=0.1), together, strict=True):
        np.testing.assert_allclose(one.plan.dense(), other.plan.dense(), atol=1e-8)
        assert one.method != other.method


def test_bad_input(data):
    C, a, b = data
    with pytest.raises(ValueError, match="does not fit"):
        solve(C, a, b.T, reg=0.1)
    with pytest.raises(ValueError, match="does not fit"):
        solve(C, a, b[:, :0], reg=0.1)
    with pytest.raises(ValueError, match=r"b\[1, 2\] is -1.0"):
        solve(C, a, np.where(b == b[2, 1], -1.0, b), reg=0.1)
    with pytest.raises(ValueError, match="same mass"):
        solve(C, a, 2 * b, reg=0.1)
    with pytest.raises(ValueError, match="resume"):
        solve(C, a, b, reg=0.1, resume=solve(C, a, b[:, 0], reg=0.1).state)
    with pytest.raises(ValueError, match="norm"):
        solve(C, a, b, reg=0.1, norm="l3")
