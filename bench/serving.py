"""The other end of bench/process.py: reads requests as lines of JSON, solves, and answers with the run's figures.

An answer is `{}` when the problem is made, `{}` again when the solver is done, and then the figures; or, in place of
the latter two, `{"failure": ...}`.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import harness

Request = dict[str, Any]


@dataclass(frozen=True)
class Solver:
    """What a process does with a request."""

    #: The problem of a request; before the clock starts.
    make: Callable[[Request], Any]
    #: The answer; timed.
    solve: Callable[[Any, Request], Any]
    #: Figures of an answer, beside the seconds.
    judge: Callable[[Any, Request, Any], dict[str, Any]]
    #: Processor time within an answer that does not count.
    aside: Callable[[Any], float] = lambda answer: 0.0


def serve(solver: Solver) -> None:
    """Answer until there is no request any more."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what peers print is no answer

    def say(answer: dict[str, Any]) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    harness.keep_freed_memory()
    say({})
    for line in sys.stdin:
        request = json.loads(line)
        problem = solver.make(request)
        say({})
        say(_run(solver, problem, request, say))


def _run(solver: Solver, problem: Any, request: Request, say: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    gc.collect(1)  # the whole heap of a process with many modules would take longer than most solves
    gc.disable()
    clock, own = time.perf_counter(), time.process_time()
    try:
        answer = solver.solve(problem, request)
        seconds, wall = time.process_time() - own, time.perf_counter() - clock
    except Exception as found:
        return {"failure": f"{type(found).__name__}: {found}"[:120]}
    finally:
        gc.enable()
    aside = solver.aside(answer)
    say({})
    return {"seconds": seconds - aside, "wall": wall - aside, **solver.judge(problem, request, answer)}
