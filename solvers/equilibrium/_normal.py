"""The linear systems of interior points for linear programs.

    -T dx + M'dy = f        T diagonal, >= 0
     M dx        = r

Columns with few entries and T > 0 are eliminated: what is left is the normal matrix of these, bordered by the free and
the dense columns. It is quasidefinite once both diagonals have a small regularisation, so it has a factorisation with
any pivots in the diagonal (Vanderbei 1995); refinement with the system itself takes the regularisation out again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse
import scipy.sparse.linalg

from ._program import Array
from ._standard import Standard

#: Regularisation of the bordered columns and of the rows, relative to a scaled program's entries.
PRIMAL, DUAL = 1e-8, 1e-8
REFINEMENTS = 3
#: Rows above which columns with many entries are bordered instead of eliminated, and how many that are.
MANY_ROWS, MANY_ENTRIES = 500, 10.0
#: Share of nonzeros above which the normal matrix is taken as dense.
DENSE = 0.25


@dataclass
class Normal:
    """Factorisations for one program."""

    form: Standard
    border: Array = field(init=False)
    inner: Array = field(init=False)
    is_dense: bool | None = None

    def __post_init__(self) -> None:
        m = self.form.M.shape[0]
        count = np.diff(self.form.transposed.indptr)
        border = self.form.free | ((count > MANY_ENTRIES * np.sqrt(m)) & (m > MANY_ROWS))
        self.border, self.inner = np.flatnonzero(border), np.flatnonzero(~border)
        self.M_inner, self.M_border = self.form.M[:, self.inner].tocsr(), self.form.M[:, self.border].tocsc()

    def factorise(self, theta: Array) -> Factor:
        """The factors at T = theta."""
        d = 1 / theta[self.inner]
        scaled = self.M_inner.copy()
        scaled.data *= d[scaled.indices]
        S = (scaled @ self.M_inner.T).tocsc()
        m, k = S.shape[0], len(self.border)
        S = S + scipy.sparse.diags_array(DUAL + 1e-14 * S.diagonal(), format="csc")
        if k:
            last = -(theta[self.border] + PRIMAL)
            blocks = [[S, self.M_border], [self.M_border.T, scipy.sparse.diags_array(last)]]
            S = scipy.sparse.block_array(blocks, format="csc")
        if self.is_dense is None:
            self.is_dense = S.nnz > DENSE * (m + k) ** 2 and k == 0
        if self.is_dense:
            factor = scipy.linalg.cho_factor(S.toarray(), lower=True, overwrite_a=True, check_finite=False)
            return Factor(self, theta, lambda v: scipy.linalg.cho_solve(factor, v, check_finite=False))
        pivots = {"permc_spec": "MMD_AT_PLUS_A", "diag_pivot_thresh": 0.0, "options": {"SymmetricMode": True}}
        lu = scipy.sparse.linalg.splu(S, **pivots)
        return Factor(self, theta, lu.solve)


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
