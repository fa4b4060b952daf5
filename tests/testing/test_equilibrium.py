"""The checker of games, programs and inclusions believes nothing."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse

from solvers import Status
from solvers.equilibrium import LinearProgram, lp, matrix_game, variational_inequality
from solvers.testing import verify

INF = np.inf


def refused(result, problem, word, **keywords):
    with pytest.raises(AssertionError, match=word):
        verify(result, problem, **keywords)


# ---- games ---------------------------------------------------------------------------------------


def test_a_game(seed):
    A = np.random.default_rng(seed).normal(size=(40, 30))
    result = matrix_game(A, tol=1e-9)
    report = verify(result, A, tol=1e-9)
    assert (report.kind, report.measure) == ("game", pytest.approx(result.gap, abs=1e-13))
    assert verify(result, A, tol=1e-9, extended=True).measure == pytest.approx(report.measure, abs=1e-13)
    assert verify(result, scipy.sparse.csr_array(A), tol=1e-9).measure == pytest.approx(report.measure, abs=1e-13)
    off = result.x + 0.01 * (np.arange(30) == 3)
    for wrong, word in (
        (replace(result, x=off), "sum to 1"),
        (replace(result, x=off / off.sum()), "bound"),
        (replace(result, x=result.x - 0.1), "negative"),
        (replace(result, y=result.y[1:]), "shape"),
        (replace(result, value=result.value + 1), "outside"),
        (replace(result, gap=result.gap / 2 + 1e-3), "gap"),
        (replace(result, x=result.x * np.nan), "finite"),
    ):
        refused(wrong, A, word, tol=1e-9)
    even = replace(result, x=np.full(30, 1 / 30), y=np.full(40, 1 / 40))
    low, high = (A.T @ even.y).min(), (A @ even.x).max()
    even = replace(even, value_bounds=(low, high), gap=high - low, value=(low + high) / 2)
    refused(even, A, "success is claimed")
    assert verify(replace(even, success=False), A).measure == pytest.approx(high - low)


# ---- programs ------------------------------------------------------------------------------------


@pytest.fixture
def program(seed):
    rng = np.random.default_rng(seed)
    A, x = rng.normal(size=(12, 20)), rng.random(20)
    return LinearProgram(rng.normal(size=20), A, A @ x - 0.1, A @ x, 0.0, rng.random(20) + 1, offset=3.0)


def test_a_program(program):
    result = lp(program)
    assert verify(result, program).kind == "program"
    assert verify(result, program, extended=True).numbers["objective"] == pytest.approx(result.fun)
    for wrong, word in (
        (replace(result, x=result.x - 1e-3), "bounds|success|measure"),
        (replace(result, x=np.clip(result.x + 1e-2, program.lb, program.ub)), "success is claimed"),
        (replace(result, y=result.y + 1e-2), "success is claimed"),
        (replace(result, fun=result.fun - 3), "fun"),
        (replace(result, measure=result.measure + 1e-3), "measure"),
        (replace(result, y=result.y[:-1]), "shape"),
        (replace(result, status=Status.INFEASIBLE, ray=result.y), "proves nothing|infinite"),
    ):
        refused(wrong, program, word)
    upward = replace(program, c=-program.c, maximize=True, offset=-3.0)
    assert verify(lp(upward), upward).numbers["objective"] == pytest.approx(-result.fun, rel=1e-5)


def test_a_program_of_terms_that_cancel():
    """What the two sums of a program's products differ by is rounding of these, not of its sides: both are believed."""
    third = LinearProgram([1.0, 0.1, 0.3], np.array([[0.1, -0.3, 0.7], [0.7, -0.1, -0.3]]), 0.0, 0.0, 1e6 / 3, 1e7 / 3)
    result = lp(third, tol=1e-8)
    assert result.success
    for extended in (False, True):
        assert verify(result, third, tol=1e-8, extended=extended).measure == pytest.approx(result.measure, abs=1e-8)
    refused(replace(result, x=result.x + 1e-6 * np.eye(3)[0]), third, "success is claimed|measure", tol=1e-8)


def test_verdicts_need_rays():
    empty = LinearProgram([1.0, 1.0], [[1.0, 1.0]], 3.0, INF, 0.0, 1.0)
    result = lp(empty)
    assert verify(result, empty).kind == "infeasible program"
    refused(replace(result, ray=-result.ray), empty, "proves nothing|infinite")
    endless = LinearProgram([-1.0, 1.0], [[1.0, -1.0]], -1.0, INF, 0.0, INF)
    result = lp(endless)
    assert verify(result, endless).kind == "unbounded program"
    refused(replace(result, ray=-result.ray), endless, "does not fall")
    refused(replace(result, ray=np.array([0.0, -1.0])), endless, "leaves")
    # x + y >= 3 has points enough where nothing is bounded above
    feasible = LinearProgram([1.0, 1.0], [[1.0, 1.0]], 3.0, INF, 0.0, INF)
    lie = replace(lp(feasible), status=Status.INFEASIBLE, success=False, ray=np.array([1.0]))
    refused(lie, feasible, "leans on infinite bounds")


def test_a_point_beyond_its_bounds_is_none_whatever_is_claimed():
    bounded = LinearProgram([1.0, 1.0], [[1.0, 1.0]], 3.0, INF, 0.0, 2.0)
    result = replace(lp(bounded), success=False, status=Status.MAX_ITER)
    for x in ([-0.5, 3.5], [2.5, 0.5]):
        refused(replace(result, x=np.array(x)), bounded, "x leaves its bounds")


# ---- inclusions ----------------------------------------------------------------------------------


def test_an_inclusion(seed):
    rng = np.random.default_rng(seed)
    half, q = rng.normal(size=(9, 9)), rng.normal(size=9)
    M = half @ half.T + half - half.T + np.eye(9)

    def projection(z, step, out):
        np.maximum(z, 0, out=out)

    result = variational_inequality(lambda z: M @ z + q, np.zeros(9), projection="nonneg", tol=1e-4)
    report = verify(result, (lambda z: M @ z + q, projection), tol=1e-4)
    assert (report.kind, report.measure) == ("inclusion", pytest.approx(result.residual, rel=1e-6))
    refused(result, lambda z: M @ z + q, "residual")
    refused(result, (lambda z: M @ z + q + 0.1, projection), "residual")
    refused(replace(result, x=result.x + np.inf), (lambda z: M @ z + q, projection), "finite")
    moved = result.x + 0.01
    residual = np.linalg.norm(moved - np.maximum(moved - (M @ moved + q), 0))
    refused(replace(result, x=moved, residual=residual), (lambda z: M @ z + q, projection), "success is claimed")
