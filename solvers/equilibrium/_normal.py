"""The linear systems of interior points for linear programs.

    -T dx + M'dy = f        T diagonal, >= 0
     M dx        = r

Columns with few entries and T > 0 are eliminated: what is left is the normal matrix of these, bordered by the free and
the dense columns. It is quasidefinite once both diagonals have a small regularisation, so it has a factorisation with
any pivots in the diagonal (Vanderbei 1995); refinement with the system itself takes the regularisation out again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse
import scipy.sparse.linalg

from ._kernels import SparseRows, elimination
from ._program import Array
from ._standard import Standard

#: Regularisation of the bordered columns and of the rows, relative to a scaled program's entries.
PRIMAL, DUAL = 1e-8, 1e-8
REFINEMENTS = 3
#: Rows above which columns with many entries are bordered instead of eliminated, and how many that are.
MANY_ROWS, MANY_ENTRIES = 500, 10.0
#: Rows and bordered columns up to which the order of elimination is found here; above, it is left to SuperLU.
ORDERED = 8192
#: A dense factorisation is taken where its multiplications are no more than so many times those of a sparse one.
DENSE = 8.0
#: Seconds: a multiplication of a sparse factorisation, a pair of entries of a column, all work of a step on an entry of
#: the matrix or of a vector, and a step at least.
SPARSE, PAIR, PER_ENTRY, LEAST = 1e-9, 1e-8, 1e-7, 1e-3


@dataclass(frozen=True, eq=False)
class Assembly:
    """The entries of the systems in CSC, in the order of the pivots: ``weights @ (1 / T) + constant``."""

    indptr: Array
    indices: Array
    weights: SparseRows
    constant: Array
    #: Where the diagonal's entries are, of the rows and of the border.
    rows: Array
    border: Array


@dataclass
class Normal:
    """Factorisations for one program."""

    form: Standard
    #: Multiplications of a factorisation beyond which nobody wants to know the order of its pivots.
    most: float = np.inf

    def __post_init__(self) -> None:
        m = self.form.M.shape[0]
        count = np.diff(self.form.transposed.indptr)
        border = self.form.free | ((count > MANY_ENTRIES * np.sqrt(m)) & (m > MANY_ROWS))
        self.border, self.inner = np.flatnonzero(border), np.flatnonzero(~border)
        self.inner_transposed = self.form.transposed[self.inner]

    @cached_property
    def eliminated(self) -> SparseRows:
        """The columns that are eliminated, for products."""
        return self.form.rows if len(self.border) == 0 else SparseRows(self.inner_transposed.T.tocsr())

    @cached_property
    def eliminated_turned(self) -> SparseRows:
        """Their transpose, for products."""
        return SparseRows(self.inner_transposed)

    @cached_property
    def size(self) -> int:
        """The order of the systems."""
        return int(self.form.M.shape[0] + len(self.border))

    @cached_property
    def elimination(self) -> tuple[Array | None, float]:
        """The order of the pivots, and the multiplications of a sparse factorisation: nothing and infinity where there
        are too many rows to tell, or too many multiplications, or where it is about dense (and has no border)."""
        if self.size > ORDERED:
            return None, np.inf
        i, j = (np.concatenate(pair) for pair in zip(self._pairs[:2], self._bordered[:2], strict=True))
        pattern = scipy.sparse.csr_array((np.ones(len(i), np.int8), (i, j)), shape=(self.size, self.size))
        most = self.most if len(self.border) else min(self.dense_cost / DENSE, self.most)
        order, cost = elimination(pattern.indptr.astype(np.int32), pattern.indices.astype(np.int32), most)
        return (None, np.inf) if cost > most else (order, cost)

    @property
    def dense_cost(self) -> float:
        """The multiplications of a dense factorisation."""
        return self.size**3 / 6

    def takes_less(self, seconds: float) -> bool:
        """Whether a step with one factorisation should take less."""
        count = np.diff(self.inner_transposed.indptr).astype(float)
        entries = self.form.M.nnz + len(self.form.c)
        left = seconds - float(PAIR * (count @ count) + PER_ENTRY * entries + LEAST)
        if len(self.border) or self.dense_cost * SPARSE / DENSE > left:  # then only a sparse factorisation could
            self.most = max(left, 0.0) / SPARSE
        cost = self.elimination[1]
        return cost * SPARSE <= left or (self.is_dense and self.dense_cost * SPARSE / DENSE <= left)

    @cached_property
    def is_dense(self) -> bool:
        """Whether the systems are solved as dense ones."""
        return self.size <= ORDERED and not np.isfinite(self.elimination[1]) and len(self.border) == 0

    @cached_property
    def _pairs(self) -> tuple[Array, Array, Array, Array]:
        """What each pair of entries of an eliminated column adds: row, column and source of it, and the product."""
        T = self.inner_transposed
        count = np.diff(T.indptr)
        # every entry of a column beside each of the same column
        repeats = np.repeat(count, count)
        first = np.repeat(np.arange(T.nnz), repeats)
        start = np.repeat(np.repeat(T.indptr[:-1], count), repeats)
        second = start + np.arange(len(first)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
        owner = np.repeat(np.repeat(np.arange(len(count)), count), repeats)
        return T.indices[first], T.indices[second], owner, T.data[first] * T.data[second]

    @cached_property
    def _bordered(self) -> tuple[Array, Array, Array]:
        """Row, column and value of the border's entries on both sides."""
        m, side = self.form.M.shape[0], self.form.transposed[self.border].tocoo()
        rows = np.concatenate([side.row + m, side.col])
        return rows, np.concatenate([side.col, side.row + m]), np.tile(side.data, 2)

    @cached_property
    def assembly(self) -> Assembly:
        """How the systems are put together."""
        m, size = self.form.M.shape[0], self.size
        order = self.elimination[0]
        place = np.arange(size)
        if order is not None:
            place[order] = np.arange(size)
        i, j, owner, product = self._pairs
        bordered_rows, bordered_columns, values = self._bordered
        rows = np.concatenate([i, np.arange(size), bordered_rows])
        columns = np.concatenate([j, np.arange(size), bordered_columns])
        keys, where = np.unique(place[columns].astype(np.int64) * size + place[rows], return_inverse=True)
        sums = scipy.sparse.csr_array((product, (where[: len(i)], owner)), shape=(len(keys), len(self.inner)))
        constant = np.zeros(len(keys))
        constant[where[len(i) + size :]] = values
        diagonal = where[len(i) : len(i) + size]
        indptr = np.searchsorted(keys, np.arange(size + 1, dtype=np.int64) * size)
        starts, indices = indptr.astype(np.int32), (keys % size).astype(np.int32)
        return Assembly(starts, indices, SparseRows(sums), constant, diagonal[:m], diagonal[m:])

    def factorise(self, theta: Array) -> Factor:
        """The factors at T = theta."""
        made, size = self.assembly, self.size
        data = made.weights @ (1 / theta[self.inner]) + made.constant
        data[made.rows] += DUAL + 1e-14 * data[made.rows]
        data[made.border] = -(theta[self.border] + PRIMAL)
        S = scipy.sparse.csc_array((data, made.indices, made.indptr), shape=(size, size))
        if self.is_dense:
            factor = scipy.linalg.cho_factor(S.toarray(order="F"), lower=True, overwrite_a=True, check_finite=False)
            return Factor(self, theta, lambda v: scipy.linalg.cho_solve(factor, v, check_finite=False))
        order, pivots = self.elimination[0], {"diag_pivot_thresh": 0.0, "options": {"SymmetricMode": True}}
        if order is None:
            return Factor(self, theta, scipy.sparse.linalg.splu(S, permc_spec="MMD_AT_PLUS_A", **pivots).solve)
        lu = scipy.sparse.linalg.splu(S, permc_spec="NATURAL", **pivots)

        def inverse(v: Array) -> Array:
            solution = np.empty_like(v)
            solution[order] = lu.solve(v[order])
            return solution

        return Factor(self, theta, inverse)


@dataclass
class Factor:
    """A factorisation, ready for right-hand sides."""

    normal: Normal
    theta: Array
    inverse: Any

    def solve(self, f: Array, r: Array) -> tuple[Array, Array]:
        """dx and dy."""
        form, theta = self.normal.form, self.theta
        dx, dy = self._once(f, r)
        size = np.abs(f).max(initial=0.0) + np.abs(r).max(initial=0.0)
        error = np.inf
        for _ in range(REFINEMENTS):
            res_f, res_r = f - (form.turned @ dy - theta * dx), r - form.rows @ dx
            new = max(np.abs(res_f).max(initial=0.0), np.abs(res_r).max(initial=0.0))
            if not new < 0.5 * error or new <= 1e-12 * size:
                break
            error = new
            more_x, more_y = self._once(res_f, res_r)
            dx, dy = dx + more_x, dy + more_y
        return dx, dy

    @cached_property
    def _inverse_theta(self) -> Array:
        return np.asarray(1 / self.theta[self.normal.inner])

    def _once(self, f: Array, r: Array) -> tuple[Array, Array]:
        normal, d = self.normal, self._inverse_theta
        m = len(r)
        if len(normal.border) == 0:
            dy = self.inverse(r + normal.eliminated @ (d * f))
            dx = normal.form.turned @ dy
            dx -= f
            dx *= d
            return dx, dy
        inner = f[normal.inner]
        solution = self.inverse(np.concatenate([r + normal.eliminated @ (d * inner), f[normal.border]]))
        dy, dx = solution[:m], np.empty(len(f))
        dx[normal.border] = solution[m:]
        dx[normal.inner] = d * (normal.eliminated_turned @ dy - inner)
        return dx, dy
