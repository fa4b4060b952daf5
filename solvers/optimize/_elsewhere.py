"""Further starts for a program at whose first ones the rows cannot be met: the rows alone, without the objective.

A violation that is least near one point may vanish near another. Points about x0 are drawn, the same every time, ever
farther in turn, and each goes down the violation (`_ext/optimize/restoration.h`) until it meets the rows.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from . import _kernels
from ._problem import NonlinearProblem

Array = npt.NDArray[np.float64]

#: How many starts, and how many steps each may take: on what is small enough that this is soon over.
STARTS, STEPS, SIZE = 12, 40, 150
#: Steps of all starts where the verdict took fewer iterations than that, else as many as it took: they cost less.
LEAST = 50
#: The standard deviations of the draws, relative to x0, in turn.
SPREADS = 0.3, 1.0, 3.0


def worthwhile(problem: NonlinearProblem) -> bool:
    """Whether another start may meet the rows: not where they are all linear, whose violation is convex."""
    program = problem.program
    return 0 < program.m <= SIZE - program.n and not program.linear.all()


def limit(spent: int, max_iter: int) -> int:
    """The iterations and steps in all, of a verdict that took so many."""
    return min(max_iter, spent + max(LEAST, spent))


def sought(problem: NonlinearProblem, nlp: _kernels.NLP, start: int, most: int) -> tuple[Array | None, int]:
    """The point at which this start, of so many steps at most, meets the rows, or None; and the steps it took."""
    program = problem.program
    draw = np.random.default_rng(start).standard_normal(program.n)
    away = SPREADS[start % len(SPREADS)] * np.maximum(1, np.abs(program.x0)) * draw
    nlp.scale(1.0, np.ones(program.m))
    x, outcome, told = _kernels.restore(
        nlp, program.sides, program.x0 + away, problem.tol / 10, 1e-9, min(STEPS, most), curved=not nlp.carried
    )
    return (x if outcome == "restored" else None), int(told["steps"])
