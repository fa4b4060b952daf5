"""The kernel that makes many updates a call, against the same rules step by step in Python."""

import dataclasses

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from problems import quadratic

import solvers
from solvers._base.blocks import BlockCoordinateDescent, BlockProblem, _kernels
from solvers._base.blocks.partition import checked
from solvers._base.blocks.penalty import make
from solvers._base.blocks.selection import largest
from solvers._base.blocks.smooth import Quadratic

PENALTIES = {
    "none": (None, None), "l1": ({"l1": 0.3}, None), "box": (None, [(-0.05, 0.1)] * 60),
    "nonneg": ({"l1": 0.1, "nonneg": True}, None), "below": ({"l1": 0.1}, [(None, 0.0)] * 60),
}  # fmt: skip


def descent(Q, c, penalty="none", size=5, every=False, blocks=None, tol=1e-300, max_iter=10**6, seed=1, **rules):
    """(solver, problem) of a descent on a quadratic."""
    asked, bounds = PENALTIES[penalty]
    problem = BlockProblem(
        Quadratic(Q, c), make(asked, bounds, len(c), None), np.zeros(len(c)), tol=tol, scale=1.0,
        blocks=None if blocks is None else checked(blocks, len(c)), size=size, seed=seed, max_iter=max_iter,
        every=every, threads=1, capability="quadratic",
    )  # fmt: skip
    return BlockCoordinateDescent(**{"accel": "none", **rules}), problem


def run(solver, problem, updates, compiled=True):
    state = solver.init(problem)
    plan = solver.plan(problem)
    if not compiled:
        plan.compiled = None
    while state.nit < updates and state.outcome == 0 and state.measure > problem.tol:
        state = solver.step(problem, state)
    return state, plan


def matrices(seed):
    Q, c = quadratic(seed, 60)
    yield Q, c
    pattern = np.random.default_rng(seed).random((60, 60)) < 0.1
    sparse = np.where(pattern | pattern.T, Q, 0)
    yield scipy.sparse.csr_array(sparse + np.diag(abs(sparse).sum(axis=1))), c


@pytest.mark.parametrize("seed", [17])
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("update", ["lb", "diag", "matrix", "exact"])
@pytest.mark.parametrize("rule", ["cyclic", "perm", "random", "lipschitz", "gs", "gsl", "gsd", "gsq"])
@pytest.mark.parametrize("partition", ["sort", "variable"])
def test_its_iterates_are_those_of_the_single_steps(seed, penalty, update, rule, partition):
    if (rule == "gsq" or update == "matrix") and penalty != "none":
        return  # the kernel has those without a penalty alone
    size = 7  # of 60 coordinates: the last block is smaller
    for Q, c in matrices(seed):
        rules = {"partition": partition, "selection": rule, "update": update, "size": size, "penalty": penalty}
        ours, plan = run(*descent(Q, c, every=True, **rules), 60)
        theirs, _ = run(*descent(Q, c, every=True, **rules), 60, compiled=False)
        if update == "diag" and (partition == "sort" or rule in ("cyclic", "perm", "random", "lipschitz")):
            assert plan.compiled is None  # blocks of several sizes
        else:
            assert plan.compiled is not None
        np.testing.assert_allclose(ours.x, theirs.x, rtol=0, atol=1e-10 * np.abs(theirs.x).max())
        np.testing.assert_allclose(ours.aux, theirs.aux, rtol=0, atol=1e-10 * np.abs(c).max())
        for name in ("f", "fun", "measure", "best", "low"):
            assert getattr(ours, name) == pytest.approx(getattr(theirs, name), rel=1e-8, abs=1e-11)
        assert (ours.nit, ours.outcome) == (theirs.nit, theirs.outcome)
        if theirs.measure > 1e-9 * np.abs(c).max():  # not yet at what is rounding
            assert ours.quiet == theirs.quiet


@pytest.mark.parametrize("rule", ["perm", "gsl"])
@pytest.mark.parametrize("partition", ["sort", "variable"])
def test_one_call_or_many_are_the_same_bits(seed, rule, partition):
    Q, c = quadratic(seed, 60)
    rules = {"partition": partition, "selection": rule, "update": "lb", "penalty": "l1", "refresh": 37}
    long, _ = run(*descent(Q, c, max_iter=100, **rules), 100)
    short, _ = run(*descent(Q, c, every=True, **rules), 100)
    assert long.nit == short.nit == 100
    for field in dataclasses.fields(long):
        np.testing.assert_array_equal(getattr(long, field.name), getattr(short, field.name))


def test_a_block_without_a_factor_is_left_to_python():
    """Equal columns in one block: the factor has no rank, and the step is that of the pseudo-inverse."""
    X = np.random.default_rng(5).standard_normal((40, 12))
    X[:, 1] = X[:, 0]
    Q, c = X.T @ X, X.T @ np.ones(40)
    for rules in ({"partition": "order", "selection": "cyclic"}, {"partition": "variable", "selection": "gs"}):
        state, plan = run(*descent(Q, c, size=3, tol=1e-10, update="matrix", **rules), 5000)
        assert plan.compiled is not None
        assert state.measure <= 1e-10
        np.testing.assert_allclose(Q @ state.x, c, atol=1e-9)


@pytest.mark.parametrize("update", ["lb", "exact", "matrix"])
def test_the_last_good_point_is_kept(update):
    Q, c = quadratic(13, 12)
    Q[5] *= -1
    Q[:, 5] *= -1
    Q[5, 5] = -abs(Q[5, 5])
    result = solvers.learning.quadratic(Q, c, blocks=3, options={"update": update, "selection": "cyclic",
                                                                 "partition": "order"})  # fmt: skip
    assert result.status is solvers.Status.NOT_SPD
    np.testing.assert_array_equal(result.jac, Q @ result.x - c)
    flat = solvers.learning.quadratic(np.diag([1.0, 0.0, 2.0]), np.ones(3), blocks=1, options={"update": update})
    assert flat.status is solvers.Status.DIVERGED


@given(
    st.lists(
        st.sampled_from([0.0, 1.0, 2.0, 1e-310, 1e-300, 1e300, np.inf]) | st.floats(0, 1e12), min_size=1, max_size=80
    ),
    st.integers(1, 80),
)
def test_the_largest_are_those_of_a_sort(scores, count):
    scores, count = np.array(scores), min(count, len(scores))
    expected = np.sort(np.argsort(-scores, kind="stable")[:count])
    np.testing.assert_array_equal(_kernels.largest(scores, count), expected)
    np.testing.assert_array_equal(largest(scores, count), expected)


def test_what_is_no_number_is_survived():
    scores = np.full(20, np.nan)
    assert _kernels.largest(scores, 7).tolist() == list(range(7))
    Q, c = np.eye(6), np.ones(6)
    Q[2, 2] = np.nan
    result = solvers.learning.quadratic(Q, c, check_finite=False, max_iter=50, options={"selection": "gs"})
    assert not result.success


def test_the_binding_checks_what_it_is_given():
    Q, one = np.eye(4), np.ones(4)
    given_ = {
        "Q": Q, "l1": 0 * one, "lower": -one, "upper": one, "plain": False, "rule": 2, "update": 0, "blocks": 2,
        "constants": one, "scored": one, "stepped": None, "whole": 0.0, "inverses": None, "factors": None, "scale": 1.0,
        "tol": 1e-9, "patience": 10,
    }  # fmt: skip
    pairs = [np.array([0, 1]), np.array([2, 3])]
    _kernels.Descent(*given_.values())
    for changes, message in (
        ({"Q": np.ones((4, 3))}, "size"), ({"l1": one[:3]}, "l1"), ({"rule": 9}, "known"), ({"blocks": 5}, "1 to n"),
        ({"scored": None}, "constants"), ({"blocks": [pairs[0]], "stepped": one[:1]}, "once"),
        ({"blocks": pairs, "stepped": one[:1]}, "stepped"), ({"update": 1}, "constants"),
        ({"blocks": pairs, "update": 2, "plain": True, "factors": [np.eye(2), np.eye(3)]}, "of its size"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            _kernels.Descent(*{**given_, **changes}.values())
    kernel = _kernels.Descent(*{**given_, "rule": 0, "blocks": pairs, "stepped": one[:2]}.values())
    zeros, numbers = np.zeros(4), (0.0, 0.0, 1.0, 1.0, 0.0)
    for order, steps in (([0, 7], 2), ([0, 1], 3), ([], 0)):
        with pytest.raises(ValueError, match="order"):
            kernel.advance(zeros, zeros.copy(), numbers, (0, 0), np.array(order, np.int64), 0, steps)
    with pytest.raises(ValueError, match="x and g"):
        kernel.advance(zeros[:2].copy(), zeros.copy(), numbers, (0, 0), np.array([0, 1]), 0, 2)
