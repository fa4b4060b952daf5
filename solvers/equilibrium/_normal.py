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

from ._kernels import elimination
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


@dataclass
class Normal:
    """Factorisations for one program."""

    form: Standard

    def __post_init__(self) -> None:
        m = self.form.M.shape[0]
        count = np.diff(self.form.transposed.indptr)
        border = self.form.free | ((count > MANY_ENTRIES * np.sqrt(m)) & (m > MANY_ROWS))
        self.border, self.inner = np.flatnonzero(border), np.flatnonzero(~border)
        self.M_inner, self.M_border = self.form.M[:, self.inner].tocsr(), self.form.M[:, self.border].tocsc()
        self.inner_transposed = self.M_inner.T.tocsr()

    @cached_property
    def size(self) -> int:
        """The order of the systems."""
        return int(self.form.M.shape[0] + len(self.border))

    @cached_property
    def elimination(self) -> tuple[Array | None, float]:
        """The order of the pivots, and the multiplications of a sparse factorisation: nothing and infinity where there
        are too many rows to tell, or where it is about dense."""
        if self.size > ORDERED:
            return None, np.inf
        pattern = self._system(np.ones(self.form.M.shape[1])).tocsr()
        order, cost = elimination(
            pattern.indptr.astype(np.int32), pattern.indices.astype(np.int32), self.dense_cost / DENSE
        )
        return (None, np.inf) if cost > self.dense_cost / DENSE else (order, cost)

    @property
    def dense_cost(self) -> float:
        """The multiplications of a dense factorisation."""
        return self.size**3 / 6

    @property
    def seconds(self) -> float:
        """About the time of a step with one factorisation."""
        count = np.diff(self.inner_transposed.indptr).astype(float)
        factor = self.elimination[1] * SPARSE if np.isfinite(self.elimination[1]) else self.dense_cost * DENSE * SPARSE
        if self.is_dense:
            factor = self.dense_cost * SPARSE / DENSE
        return float(factor + PAIR * (count @ count) + PER_ENTRY * (self.form.M.nnz + len(self.form.c)) + LEAST)

    @cached_property
    def is_dense(self) -> bool:
        """Whether the systems are solved as dense ones."""
        return self.size <= ORDERED and not np.isfinite(self.elimination[1]) and len(self.border) == 0

    def _system(self, theta: Array) -> Any:
        """The normal matrix with its border, regularised."""
        d = 1 / theta[self.inner]
        scaled = self.M_inner.copy()
        scaled.data *= d[scaled.indices]
        S = (scaled @ self.inner_transposed).tocsc()
        S = S + scipy.sparse.diags_array(DUAL + 1e-14 * S.diagonal(), format="csc")
        if len(self.border):
            last = scipy.sparse.diags_array(-(theta[self.border] + PRIMAL))
            blocks = [[S, self.M_border], [self.M_border.T, last]]
            S = scipy.sparse.block_array(blocks, format="csc")
        return S

    def factorise(self, theta: Array) -> Factor:
        """The factors at T = theta."""
        S = self._system(theta)
        if self.is_dense:
            factor = scipy.linalg.cho_factor(S.toarray(), lower=True, overwrite_a=True, check_finite=False)
            return Factor(self, theta, lambda v: scipy.linalg.cho_solve(factor, v, check_finite=False))
        order = self.elimination[0]
        pivots: dict[str, Any] = {"diag_pivot_thresh": 0.0, "options": {"SymmetricMode": True}}
        if order is None:
            return Factor(self, theta, scipy.sparse.linalg.splu(S, permc_spec="MMD_AT_PLUS_A", **pivots).solve)
        place = np.empty_like(order)
        place[order] = np.arange(len(order), dtype=order.dtype)
        S = S.tocoo()
        ordered = scipy.sparse.csc_array((S.data, (place[S.row], place[S.col])), shape=S.shape)
        lu = scipy.sparse.linalg.splu(ordered, permc_spec="NATURAL", **pivots)
        return Factor(self, theta, lambda v: lu.solve(v[order])[place])


@dataclass(frozen=True)
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
            res_f, res_r = f - (form.transposed @ dy - theta * dx), r - form.M @ dx
            new = max(np.abs(res_f).max(initial=0.0), np.abs(res_r).max(initial=0.0))
            if not new < 0.5 * error or new <= 1e-14 * size:
                break
            error = new
            more_x, more_y = self._once(res_f, res_r)
            dx, dy = dx + more_x, dy + more_y
        return dx, dy

    def _once(self, f: Array, r: Array) -> tuple[Array, Array]:
        normal, form = self.normal, self.normal.form
        m = form.M.shape[0]
        d = 1 / self.theta[normal.inner]
        right = np.concatenate([r + normal.M_inner @ (d * f[normal.inner]), f[normal.border]])
        solution = self.inverse(right)
        dy, dx = solution[:m], np.empty(form.M.shape[1])
        dx[normal.border] = solution[m:]
        dx[normal.inner] = d * ((form.transposed @ dy)[normal.inner] - f[normal.inner])
        return dx, dy
