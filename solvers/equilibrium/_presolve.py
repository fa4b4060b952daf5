"""What can be taken out of a linear program at once, and how a solution of the rest becomes one of the whole.

Rows without entries or sides, rows with one entry (they are bounds), and columns that bounds fix are removed until
none is left. A row whose bound contradicts the others stays, so that the proof of infeasibility is the solver's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ._program import Array, LinearProgram

#: Bounds that are nearer than this, relatively, are one.
EQUAL = 1e-13


@dataclass(frozen=True, eq=False)
class Reduced:
    """The rest of a program, and what was removed."""

    program: LinearProgram
    whole: LinearProgram
    #: Rows and columns of the whole that are left, and the values of the fixed columns.
    rows: Array
    columns: Array
    fixed: Array
    #: Rows that became bounds, in order: row, column, entry, and whether it set the lower, the upper bound.
    bounds: list[tuple[int, int, float, bool, bool]]

    def point(self, x: Array, fixed: bool = True) -> Array:
        """x of the whole; a direction has zeros at fixed columns."""
        whole = self.fixed.copy() if fixed else np.zeros(len(self.fixed))
        whole[self.columns] = x
        return whole

    def multipliers(self, y: Array, cost: Array) -> Array:
        """y of the whole, whose reduced costs are what the rows that became bounds do not take.

        These rows are met in reverse: the reduced cost of their column then has the parts of all later ones.
        """
        A = self.whole.A
        whole = np.zeros(A.shape[0])
        whole[self.rows] = y
        if not self.bounds:
            return whole
        reduced = cost - self.whole.transposed @ whole
        for i, j, entry, low, high in reversed(self.bounds):
            if (low and reduced[j] > 0) or (high and reduced[j] < 0):
                whole[i] = reduced[j] / entry
                part = slice(A.indptr[i], A.indptr[i + 1])
                reduced[A.indices[part]] -= whole[i] * A.data[part]
                reduced[j] = 0.0
        return whole


def presolve(program: LinearProgram) -> Reduced:
    """The program without rows and columns that decide nothing."""
    A, T = program.A, program.transposed
    l, u, lb, ub = (v.copy() for v in (program.l, program.u, program.lb, program.ub))
    rows = ~(np.isneginf(l) & np.isposinf(u))
    columns, fixed = np.ones(A.shape[1], bool), np.zeros(A.shape[1])
    count = np.diff(A.indptr)
    bounds: list[tuple[int, int, float, bool, bool]] = []
    shift, open_columns = np.zeros(A.shape[0]), np.flatnonzero(_is_fixed(lb, ub))
    while True:
        for j in open_columns.tolist():
            columns[j], fixed[j] = False, lb[j] if lb[j] == ub[j] else (lb[j] + ub[j]) / 2
            part = slice(T.indptr[j], T.indptr[j + 1])
            shift[T.indices[part]] += T.data[part] * fixed[j]
            count[T.indices[part]] -= 1
        empty = rows & (count == 0)
        room = 1e-9 * (1 + np.abs(shift))
        rows[empty & (l - shift <= room) & (shift - u <= room)] = False
        touched: list[int] = []
        for i in np.flatnonzero(rows & (count == 1)).tolist():
            part = slice(A.indptr[i], A.indptr[i + 1])
            k = int(np.argmax(columns[A.indices[part]]))
            j, entry = int(A.indices[part][k]), float(A.data[part][k])
            if not columns[j] or _bound(i, j, entry, (l[i] - shift[i], u[i] - shift[i]), lb, ub, bounds):
                rows[i] = False
                touched.append(j)
        open_columns = np.array([j for j in dict.fromkeys(touched) if columns[j] and _is_fixed(lb[j], ub[j])], int)
        if not len(open_columns):
            break
    kept, left = np.flatnonzero(rows), np.flatnonzero(columns)
    if len(left) == 0:  # nothing is left to solve, but a program has columns
        left = np.array([0])
    if len(kept) == A.shape[0] and len(left) == A.shape[1]:
        return Reduced(program, program, kept, left, fixed, bounds)
    taken = np.where(columns, 0.0, fixed)
    taken[left] = 0.0
    shift = A @ taken
    small = LinearProgram(
        program.cost[left], A[kept][:, left], l[kept] - shift[kept], u[kept] - shift[kept], lb[left], ub[left],
        offset=float(program.cost @ taken),
    )  # fmt: skip
    return Reduced(small, program, kept, left, fixed, bounds)


def _is_fixed(lb: Array, ub: Array) -> Array:
    with np.errstate(invalid="ignore"):
        return (lb <= ub) & (ub - lb <= EQUAL * (1 + np.abs(lb))) & np.isfinite(lb)


def _bound(
    i: int, j: int, entry: float, sides: tuple[float, float], lb: Array, ub: Array,
    bounds: list[tuple[int, int, float, bool, bool]],
) -> bool:  # fmt: skip
    """Whether the row became bounds of its only column; not where they would contradict the others."""
    low, high = sorted((sides[0] / entry, sides[1] / entry))
    new_low, new_high = max(low, lb[j]), min(high, ub[j])
    room = EQUAL * (1 + abs(new_low) + abs(new_high)) if np.isfinite(new_low) and np.isfinite(new_high) else 0.0
    if new_low > new_high + room:
        return False
    if new_low > new_high:
        new_low = new_high = ub[j] if high >= ub[j] else high
    bounds.append((i, j, entry, bool(new_low > lb[j]), bool(new_high < ub[j])))
    lb[j], ub[j] = new_low, new_high
    return True
