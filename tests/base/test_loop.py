"""The loop's own promises, with solvers made for the purpose."""

from dataclasses import dataclass, field, fields

import numpy as np
import pytest

from solvers import Method, OptionError, SolveResult, Status
from solvers._base.iterate import Control, run


@dataclass(frozen=True)
class CountState:
    x: np.ndarray
    nit: int
    measure: float


@dataclass(frozen=True)
class Problem:
    """The measures that the solver believes, and what a recomputation gives."""

    running: list
    recomputed: float
    tol: float = 1e-6
    needs: frozenset = frozenset()
    stats: dict = field(default_factory=dict)
    title: str = "counting"

    def answer(self, state):
        return state.x


@dataclass(frozen=True)
class Counter:
    def init(self, problem):
        return CountState(np.zeros(2), 0, problem.running[0])

    def step(self, problem, state):
        return CountState(state.x + 1, state.nit + 1, problem.running[state.nit + 1])

    def done(self, problem, state):
        if not np.isfinite(state.measure):
            return Status.NONFINITE
        return Status.CONVERGED if state.measure <= problem.tol else None

    def finish(self, problem, state):
        return SolveResult(
            x=state.x, success=False, status=Status.MAX_ITER, message="", nit=state.nit, measure=problem.recomputed
        )


METHOD = Method(name="counter", family="test", summary="Counts", reference="Nobody", solver=Counter)


def result_of(running, recomputed, **control):
    return run(METHOD, Problem(running, recomputed), Control(**{"max_iter": 10, **control}))


def test_a_believed_success_that_does_not_hold_is_none():
    result = result_of([1, 1e-9], recomputed=1e-3)
    assert (result.success, result.status, result.measure) == (False, Status.STAGNATION, 1e-3)


def test_a_success_that_the_solver_did_not_see_is_one():
    result = result_of([1, 1, 1, 1], recomputed=1e-9, max_iter=3)
    assert (result.success, result.status, result.nit) == (True, Status.CONVERGED, 3)


def test_a_measure_equal_to_the_tolerance_meets_it():
    result = result_of([1, 1e-6], recomputed=1e-6)
    assert (result.success, result.status, result.nit) == (True, Status.CONVERGED, 1)


def test_a_callback_that_stops_where_the_solver_has_arrived():
    """What the solver says of a step comes first; else a stop is a stop, however good the answer."""
    assert result_of([1, 1e-9], 1e-9, callback=lambda r: True).status is Status.CONVERGED
    stopped = result_of([1, 1, 1], recomputed=1e-9, callback=lambda r: True)
    assert (stopped.success, stopped.status, stopped.nit) == (False, Status.CALLBACK_STOP, 1)


def test_a_state_of_another_size_is_not_resumed():
    with pytest.raises(OptionError, match="of the same size"):
        result_of([1, 1, 1], 1.0, resume=CountState(np.zeros(3), 1, 1.0))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_leaving_the_numbers(bad):
    result = result_of([1, bad], recomputed=1.0)
    assert (result.success, result.status) == (False, Status.NONFINITE)
    result = result_of([1, 1e-9], recomputed=bad)
    assert (result.success, result.status) == (False, Status.NONFINITE)


def test_limit_of_zero_steps_of_a_solved_problem():
    result = result_of([1e-9], recomputed=1e-9, max_iter=0)
    assert (result.success, result.nit) == (True, 0)


def test_why_is_told():
    result = run(METHOD, Problem([1e-9], 1e-9), Control(max_iter=1), why="Chose it for a test.")
    assert result.message == f"{Status.CONVERGED.sentence} Chose it for a test."


def test_a_log_of_few_rows_has_the_first_and_the_last(capsys):
    result_of([1.0] * 40 + [1e-9], 1e-9, max_iter=100, verbose=1)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) < 40
    assert lines[2].split()[:2] == ["0", "1.000e+00"]
    assert lines[-2].split()[:2] == ["40", "1.000e-09"]
    assert lines[-1].strip() == "CONVERGED: recomputed measure 1.000e-09"


def test_log_of_an_interrupted_solve(capsys):
    def callback(result):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        result_of([1, 1, 1], 1.0, callback=callback, verbose=1)
    assert capsys.readouterr().out.splitlines()[-1].strip() == "stopped by KeyboardInterrupt"


def test_a_result_is_a_mapping_of_its_fields():
    result = result_of([1, 1e-9], 1e-9).changed(x=np.arange(1000.0))
    assert list(result) == [f.name for f in fields(result)]
    with pytest.raises(KeyError):
        result["raise_for_status"]
    assert "array of shape (1000,), float64" in repr(result)


def test_status_numbers_are_stable():
    numbers = {"CONVERGED": 0, "CALLBACK_STOP": 2, "MAX_ITER": 10, "TIME_LIMIT": 12, "STAGNATION": 13, "NONFINITE": 22}
    numbers |= {"MAX_EVAL": 11, "DIVERGED": 14, "NOT_SPD": 20, "BREAKDOWN": 21, "INFEASIBLE": 23, "UNBOUNDED": 24}
    numbers |= {"NOT_CERTIFIED": 26, "LOCALLY_INFEASIBLE": 27}
    assert {s.name: int(s) for s in Status} == numbers
    assert all(s.sentence.endswith(".") for s in Status)
    assert Status(13) is Status.STAGNATION
