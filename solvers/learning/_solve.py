"""What the entries of the family share: a checked problem goes to the method that serves it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from .._base.iterate import Control, Problem, run
from .._base.method import lookup
from .._base.result import SolveResult
from ._problem import GlmProblem, GlmResult
from ._separation import judged


def solved(
    problem: Problem, method: str | None, usual: str, why: str, control: Control, options: Mapping[str, Any] | None
) -> SolveResult:
    """The problem solved by the method that was named, or by the usual one, and why it is that."""
    record = lookup("learning", usual if method is None else method, problem.needs)
    result = run(record, problem, control, options, "" if method is not None else f"Chose {usual}, {why}.")
    return judged(problem, cast(GlmResult, result)) if isinstance(problem, GlmProblem) else result
