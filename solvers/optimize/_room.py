"""A last start for a program whose sides may leave no room between them: its equations may be missed by a part of tol.

Where an equation holds variables at their bounds (x1 + x2 = 0 with x >= 0, say) no point is inside of all sides, and an
interior point has nothing to go by. What is found with that room is judged by the sides as they are.
"""

from __future__ import annotations

from ._kernels import Sides
from ._problem import NonlinearProblem

#: By which part of the tolerance an equation may be missed.
PART = 0.5


def worthwhile(problem: NonlinearProblem) -> bool:
    """Whether there are equations beside inequalities or bounds."""
    program = problem.program
    return not program.equalities and bool((program.row_lower == program.row_upper).any())


def sides(problem: NonlinearProblem) -> Sides:
    """Those of the program, with that room."""
    program = problem.program
    room = PART * problem.tol * (program.row_lower == program.row_upper)
    return Sides(program.lower, program.upper, program.row_lower - room, program.row_upper + room)
