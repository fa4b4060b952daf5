"""What can be taken out of a linear program at once, and how a solution of the rest becomes one of the whole.

Rows without entries or sides, rows with one entry (they are bounds), and columns that bounds fix are removed until
none is left. A row whose bound contradicts the others stays, so that the proof of infeasibility is the solver's.
"""

from __future__ import annotations

from dataclasses import dataclass

import scipy.sparse

from ._kernels import ReducedProgram
from ._program import LinearProgram


@dataclass(frozen=True, eq=False)
class Reduced:
    """The rest of a program, and the way back: `kernel` has the points and the multipliers of the whole."""

    program: LinearProgram
    kernel: ReducedProgram


def presolve(program: LinearProgram) -> Reduced:
    """The program without rows and columns that decide nothing."""
    kernel = ReducedProgram(program.compiled)
    starts, index, value, c, l, u, lb, ub = kernel.parts()
    shape = len(l), len(c)
    if shape == program.A.shape:
        return Reduced(program, kernel)
    return Reduced(LinearProgram(c, scipy.sparse.csr_array((value, index, starts), shape), l, u, lb, ub), kernel)
