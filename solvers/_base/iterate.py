"""The one loop that runs every method.

A solver is an immutable object of four functions over a problem and a state; the loop adds what is the
same for all: the limits, the callback, the log, the history, resuming. A simulation code that wants its
own loop calls the four functions itself and gets the same bits.
"""

from __future__ import annotations

import dataclasses
import numbers
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from . import threads
from ._runtime import columns
from .errors import OptionError
from .log import Log
from .method import Method
from .options import build
from .reducer import SERIAL, Reducer, guarded, stops
from .result import SolveResult, Status
from .validate import integer

Callback = Callable[[SolveResult], Any]


class State(Protocol):
    """Arrays and scalars alone, in a dataclass: it can be saved and resumed to the same bits."""

    nit: int
    measure: float


class Problem(Protocol):
    """Checked problem data. `needs` names the capabilities that a method must have to serve it."""

    @property
    def tol(self) -> float: ...
    @property
    def needs(self) -> frozenset[str]: ...
    @property
    def stats(self) -> Mapping[str, Any]: ...
    @property
    def title(self) -> str: ...

    def answer(self, state: Any) -> Any:
        """What a user sees of a state, as a cheap view: the `x` of the callback's argument."""


class Solver(Protocol):
    """What a method's solver class provides; its dataclass fields are the method's options."""

    def init(self, problem: Any) -> Any:
        """The state before the first step, its measure evaluated."""

    def step(self, problem: Any, state: Any) -> Any:
        """One natural unit of work. Returns a new state and leaves the old one as it was."""

    def done(self, problem: Any, state: Any) -> Status | None:
        """CONVERGED where the running measure meets the tolerance, another status to give up, else None."""

    def finish(self, problem: Any, state: Any) -> SolveResult:
        """The answer, with its measure recomputed in full from what is returned."""


#: Steps so far, the running measure, and the seconds since the start.
Row = tuple[int, float, float]


#: What a compiled solver may have beside, as `all_steps`: the first state and the steps that the loop would take where
#: nobody looks at them, in one call. From (problem, max_iter, start of the clock) to the last state, and a row for each
#: before.
AllSteps = Callable[[Any, int, float], tuple[Any, list[Row]]]


@dataclass(eq=False)  # not frozen, which takes longer to make
class Control:
    """The common keywords of all solves, checked."""

    max_iter: int
    time_limit: float | None = None
    callback: Callback | None = None
    verbose: int = 0
    resume: Any = None

    @property
    def watched(self) -> bool:
        """Whether somebody looks at the steps from the first on, or may stop them."""
        looks = self.callback is not None or self.verbose > 0
        return looks or self.time_limit is not None or self.resume is not None

    def __post_init__(self) -> None:
        integer(self.max_iter, "max_iter")
        if self.time_limit is not None and not (isinstance(self.time_limit, numbers.Real) and self.time_limit >= 0):
            raise OptionError(f"time_limit must be >= 0 seconds or None, not {self.time_limit!r}")
        if self.callback is not None and not callable(self.callback):
            raise OptionError(f"callback must be callable, not {self.callback!r}")
        if self.verbose not in (0, 1, 2):
            raise OptionError(f"verbose must be 0, 1 or 2, not {self.verbose!r}")


def run(
    method: Method,
    problem: Problem,
    control: Control,
    options: Mapping[str, Any] | None = None,
    why: str = "",
    start: float | None = None,
) -> SolveResult:
    """Run a method on a problem; `why` tells in the message why it was chosen, `start` when work on it has begun.

    A problem whose rows are shared has the ranks as `across`: they stop together, and fail together.
    """
    solver: Solver = build(method.solver, method.name, options)
    across: Reducer = getattr(problem, "across", SERIAL)
    start = time.perf_counter() if start is None else start
    all_steps: AllSteps | None = getattr(solver, "all_steps", None)
    if all_steps is not None and across is SERIAL and not control.watched:
        # Where a whole solve takes some microseconds, so does what the loop does around it.
        state, history = all_steps(problem, control.max_iter, start)
        history.append((state.nit, state.measure, time.perf_counter() - start))
        reached = solver.done(problem, state)
        status = Status.MAX_ITER if reached is None else reached
        result = solver.finish(problem, state)
    else:
        status, state, result, history = _looped(method, solver, problem, across, control, start)
    status = verified(status, result.measure, problem.tol)
    nit, measure, seconds = columns(history)
    return result.changed(
        status=status,
        success=status is Status.CONVERGED,
        message=f"{status.sentence} {why}".strip(),
        nit=state.nit,
        method=method.name,
        options=_options(method, solver),
        state=state,
        history={"nit": nit, "measure": measure, "seconds": seconds},
        stats={
            **problem.stats, **result.stats, "isa": threads.build_info()["isa"],
            "seconds": time.perf_counter() - start,
        },
    )  # fmt: skip


def _options(method: Method, solver: Solver) -> dict[str, Any]:
    """The options as used."""
    held, declared = vars(solver), method.options
    return dict(held) if len(held) == len(declared) else {o.name: held[o.name] for o in declared}


def _looped(
    method: Method, solver: Solver, problem: Problem, across: Reducer, control: Control, start: float
) -> tuple[Status, Any, SolveResult, list[Row]]:
    """How the loop ended, the last state, its answer, and a row a state."""
    with guarded(across):
        limited = _any_limited(across, control)
        state = _initial_state(solver, problem, control.resume)
        history: list[Row] = []
        verbose = control.verbose if across.rank == 0 else 0
        title = problem.title if verbose or across is not SERIAL else ""  # all ranks have a part in it
        with Log(verbose, method.name, title) as log:
            while True:
                elapsed = time.perf_counter() - start
                history.append((state.nit, state.measure, elapsed))
                log.row(*history[-1])
                status = solver.done(problem, state)
                # The first state is none of the callback's: nothing has been done yet.
                called = len(history) > 1 and _wants_stop(control.callback, method, problem, state, elapsed)
                late = control.time_limit is not None and elapsed >= control.time_limit
                if limited:
                    called, late = stops(across, [called, late])
                if called:
                    status = Status.CALLBACK_STOP if status is None else status
                if status is None and state.nit >= control.max_iter:
                    status = Status.MAX_ITER
                if status is None and late:
                    status = Status.TIME_LIMIT
                if status is not None:
                    break
                state = solver.step(problem, state)
            result = solver.finish(problem, state)
            log.close(verified(status, result.measure, problem.tol), result.measure)
    return status, state, result, history


def _any_limited(across: Reducer, control: Control) -> bool:
    """Whether callbacks or clocks may stop some of several ranks, so that all have to agree after each step."""
    if across.size == 1:
        return False
    return stops(across, [control.callback is not None or control.time_limit is not None])[0]


def verified(status: Status, measure: float, tol: float) -> Status:
    """The status that the recomputed measure bears out: it alone decides on success."""
    if measure <= tol:
        return Status.CALLBACK_STOP if status is Status.CALLBACK_STOP else Status.CONVERGED
    if not np.isfinite(measure):
        return Status.NONFINITE
    return Status.STAGNATION if status is Status.CONVERGED else status


def _initial_state(solver: Solver, problem: Problem, resume: Any) -> Any:
    fresh = solver.init(problem)
    if resume is None:
        return fresh
    if type(resume) is not type(fresh) or _shapes(resume) != _shapes(fresh):
        raise OptionError("resume must be the state of a result of the same method on a problem of the same size")
    return resume


def _shapes(state: Any) -> list[tuple[int, ...]]:
    varying = getattr(state, "varying", ())  # names of the arrays that have no fixed shape
    return [np.shape(getattr(state, f.name)) for f in dataclasses.fields(state) if f.name not in varying]


def _wants_stop(callback: Callback | None, method: Method, problem: Problem, state: Any, elapsed: float) -> bool:
    if callback is None:
        return False
    intermediate = SolveResult(
        x=problem.answer(state), success=False, status=Status.MAX_ITER, message="intermediate", nit=state.nit,
        measure=state.measure, method=method.name, stats={"seconds": elapsed},
    )  # fmt: skip
    try:
        answer = callback(intermediate)
        return isinstance(answer, (bool, np.bool_)) and bool(answer)  # a comparison of NumPy's numbers is the latter
    except StopIteration:
        return True
