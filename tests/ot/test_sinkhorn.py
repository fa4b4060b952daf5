"""What is particular to Sinkhorn's iteration: its extrapolation."""

import numpy as np
import pytest

from solvers.ot import solve, solve_sample
from solvers.ot._anderson import extrapolated, remembered


@pytest.fixture
def cloud(seed):
    rng = np.random.default_rng(seed)
    X, Y = rng.random((150, 2)), 0.3 * rng.normal(size=(120, 2)) + 0.5
    a, b = rng.dirichlet(np.full(150, 5.0)), rng.dirichlet(np.full(120, 5.0))
    return X, Y, a, b


def sinkhorn(cloud, memory, **keywords):
    keywords = {"tol": 1e-10, "max_iter": 30_000, **keywords}
    return solve_sample(*cloud, reg=0.01, method="sinkhorn", options={"memory": memory}, **keywords)


@pytest.mark.parametrize("memory", [1, 5, 50])
def test_extrapolation_takes_fewer_steps_to_the_same_answer(cloud, memory):
    plain, fast = sinkhorn(cloud, 0), sinkhorn(cloud, memory)
    assert plain.success
    assert fast.success
    assert fast.nit < plain.nit / (3 if memory > 1 else 1)
    np.testing.assert_allclose(fast.plan.dense(), plain.plan.dense(), rtol=0, atol=1e-9)


def test_memory_0_is_the_default_and_never_extrapolates(cloud, monkeypatch):
    monkeypatch.setattr("solvers.ot._sinkhorn.extrapolated", None)
    whole = sinkhorn(cloud, 0, max_iter=20)
    default = solve_sample(*cloud, reg=0.01, method="sinkhorn", max_iter=20)
    np.testing.assert_array_equal(whole.f, default.f)
    assert whole.state.moves.size == 0


def test_every_step_ascends_the_dual(cloud):
    duals = []
    # Of a plan with its rows met the mass is fixed, and <a, u> + <b, v> is the dual.
    sinkhorn(cloud, 8, tol=1e-13, callback=lambda result: duals.append(cloud[2] @ result.x.u + cloud[3] @ result.x.v))
    assert len(duals) > 10
    assert (np.diff(duals) >= -1e-14 * abs(duals[-1])).all()


def test_a_refused_extrapolation_is_a_plain_step(cloud, monkeypatch):
    plain = sinkhorn(cloud, 0, max_iter=6)
    for bad in (30 * np.sin(np.arange(120)), np.full(120, np.nan)):
        monkeypatch.setattr(
            "solvers.ot._sinkhorn.extrapolated", lambda answers, moves, weights, bad=bad: answers[0] + bad
        )
        refused = sinkhorn(cloud, 8, max_iter=6)
        assert refused.stats["refused"] == 5  # the first step has nothing to extrapolate from
        np.testing.assert_array_equal(refused.f, plain.f)


def test_resume_gives_the_same_bits(cloud):
    whole = sinkhorn(cloud, 6)
    for interrupted_at in (1, 5, whole.nit - 1):
        resumed = sinkhorn(cloud, 6, resume=sinkhorn(cloud, 6, max_iter=interrupted_at).state)
        assert resumed.nit == whole.nit
        np.testing.assert_array_equal(resumed.g, whole.g)


def test_hard_costs(seed):
    """Costs of 800 times reg: most extrapolations lead astray at first, and none may harm."""
    C = np.random.default_rng(seed).random((40, 30))
    result = solve(C, reg=1 / 800, method="sinkhorn", tol=1e-9, max_iter=100_000, options={"memory": 10})
    assert result.success


def test_extrapolation_solves_a_linear_map(seed):
    """For an affine map of m dimensions m + 1 steps determine the fixed point."""
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(4, 4))
    A *= 0.9 / np.abs(np.linalg.eigvals(A)).max()
    shift, x = rng.normal(size=4), np.zeros(4)
    answers, moves = np.zeros((5, 4)), np.zeros((5, 4))
    for _ in range(5):
        answer = A @ x + shift
        answers, moves = remembered(answers, moves, answer, answer - x)
        x = answer
    best = extrapolated(answers, moves, rng.random(4))
    np.testing.assert_allclose(best, np.linalg.solve(np.eye(4) - A, shift), rtol=1e-6, atol=1e-6)
