"""Scaling of linear programs: rows and columns of like size, sides and objective of size one.

Ruiz' passes divide rows and columns by the square roots of their largest entries; a pass of Pock and Chambolle (2011)
then by the square roots of their sums of absolute entries. All that is promised of a solution is
measured on the user's data.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ._program import Array, LinearProgram, finite

RUIZ_PASSES = 10


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

    def scaled(self, x: Array, y: Array) -> tuple[Array, Array]:
        """A user's pair, scaled."""
        return x * self.sides / self.columns, y * self.cost / self.rows


def scale(program: LinearProgram, sums: bool) -> Scaled:
    """Ruiz' passes, then with `sums` that of Pock and Chambolle."""
    A = program.A.copy()
    m, n = A.shape
    R, C = np.ones(m), np.ones(n)
    row_of = np.repeat(np.arange(m), np.diff(A.indptr))
    for k in range(RUIZ_PASSES + sums):
        by_row, by_column = (_sums if k == RUIZ_PASSES else _largest)(np.abs(A.data), row_of, A.indices, m, n)
        r, c = (1 / np.sqrt(np.where(v > 0, v, 1.0)) for v in (by_row, by_column))
        A.data *= r[row_of] * c[A.indices]
        R *= r
        C *= c
    c_scaled, l, u = program.cost * C, program.l * R, program.u * R
    lb, ub = program.lb / C, program.ub / C
    sides = 1 / (1 + float(np.linalg.norm(np.maximum(finite(np.abs(l)), finite(np.abs(u))))))
    cost = 1 / (1 + float(np.linalg.norm(c_scaled)))
    small = LinearProgram(c_scaled * cost, A, l * sides, u * sides, lb * sides, ub * sides)
    return Scaled(small, R, C, sides, cost)


def _largest(values: Array, rows: Array, columns: Array, m: int, n: int) -> tuple[Array, Array]:
    by_row, by_column = np.zeros(m), np.zeros(n)
    np.maximum.at(by_row, rows, values)
    np.maximum.at(by_column, columns, values)
    return by_row, by_column


def _sums(values: Array, rows: Array, columns: Array, m: int, n: int) -> tuple[Array, Array]:
    return np.bincount(rows, values, m), np.bincount(columns, values, n)
