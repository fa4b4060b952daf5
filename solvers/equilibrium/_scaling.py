"""Scaling of linear programs: rows and columns of like size, sides and objective of size one.

Ruiz' passes divide rows and columns by the square roots of their largest entries. All that is promised of a solution is
measured on the user's data.
"""

from __future__ import annotations

from dataclasses import dataclass

import scipy.sparse

from ._program import Array, LinearProgram


@dataclass(frozen=True, eq=False)
class Scaled:
    """The program ``R A C`` with sides times `sides` R, bounds times `sides` / C, and objective times `cost` C."""

    program: LinearProgram
    rows: Array
    columns: Array
    sides: float
    cost: float

    def x(self, x: Array) -> Array:
        """The user's x."""
        return self.columns * x / self.sides

    def y(self, y: Array) -> Array:
        """The user's y."""
        return self.rows * y / self.cost


def scale(program: LinearProgram) -> Scaled:
    """The program scaled for factorisations."""
    value, c, l, u, lb, ub, rows, columns, sides, cost = program.compiled.scaled(sums=False)
    A = scipy.sparse.csr_array((value, program.A.indices, program.A.indptr), program.A.shape)
    return Scaled(LinearProgram(c, A, l, u, lb, ub), rows, columns, sides, cost)
