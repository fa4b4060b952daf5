"""Linear programs in the standard form of interior points: ``min c'x, M x = b, x >= 0, x_U <= u, x_F free``.

A row with one side or two has its activity as one more column, ``A x - s = 0``; a variable with a finite lower bound is
counted from there, one that has an upper bound alone downwards from that.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse

from ._kernels import SparseRows
from ._program import Array, LinearProgram


@dataclass(frozen=True, eq=False)
class Standard:
    """The data, and the way back: variable = shift + sign x."""

    M: scipy.sparse.csr_array
    transposed: scipy.sparse.csr_array
    b: Array
    c: Array
    #: Upper bounds where `bounded`, 0 elsewhere.
    u: Array
    bounded: Array
    free: Array
    shift: Array
    sign: Array
    columns: int

    @cached_property
    def rows(self) -> SparseRows:
        """M, for products."""
        return SparseRows(self.M)

    @cached_property
    def turned(self) -> SparseRows:
        """M', for products."""
        return SparseRows(self.transposed)

    def x(self, x: Array) -> Array:
        """The program's x."""
        n = self.columns
        return np.asarray(self.shift[:n] + self.sign[:n] * x[:n])

    def direction(self, x: Array) -> Array:
        """The program's direction."""
        return np.asarray(self.sign[: self.columns] * x[: self.columns])


def standard(program: LinearProgram) -> Standard:
    """The standard form of a program."""
    A, n = program.A, program.A.shape[1]
    m = A.shape[0]
    sided = np.flatnonzero(program.l != program.u)
    slack = scipy.sparse.csr_array((-np.ones(len(sided)), (sided, np.arange(len(sided)))), shape=(m, len(sided)))
    lb, ub = np.concatenate([program.lb, program.l[sided]]), np.concatenate([program.ub, program.u[sided]])
    has_low, has_high = np.isfinite(lb), np.isfinite(ub)
    sign = np.where(~has_low & has_high, -1.0, 1.0)
    shift = np.where(has_low, lb, np.where(has_high, ub, 0.0))
    bounded = has_low & has_high
    M = scipy.sparse.hstack([A, slack], format="csr")
    b = np.where(program.l == program.u, np.where(np.isfinite(program.l), program.l, 0.0), 0.0) - M @ shift
    M.data *= sign[M.indices]
    c = np.concatenate([program.cost, np.zeros(len(sided))]) * sign
    u = np.where(bounded, np.where(bounded, ub, 0.0) - np.where(bounded, lb, 0.0), 0.0)
    return Standard(M, M.T.tocsr(), b, c, u, bounded, ~has_low & ~has_high, shift, sign, n)
