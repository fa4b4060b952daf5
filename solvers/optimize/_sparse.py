"""Sparse KKT matrices: their factors, with inertia, and the backend that serves a program by them.

The unknowns are scaled first, so that the largest entries of all rows are about 1 (Ruiz, 2001), and that matrix is
factored by fronts with 1 x 1 and 2 x 2 pivots (_ext/optimize/multifrontal.h). A pivot need be only 1e-6 of its column,
which keeps the fill of the order of least degree; refinement wins back what that costs in accuracy, and where it does
not, the matrix is factored again with larger pivots. The analysis of a pattern is kept for all matrices that have it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from ._kernels import Multifrontal, equilibrated, mates
from ._nlp import Program, Scaled

Array = npt.NDArray[Any]

#: The least share of its column that a pivot may be: at first, and where refinement failed.
THRESHOLDS = (1e-6, 1e-2)
#: A column of the scaled matrix that has come down to this counts as zero.
TINY = 1e-13
#: A residual above this share of the right-hand side is no solution, unless rounding explains it.
GOOD = 1e-8
#: What the backend refines to at least.
REFINED = 1e-12


def refined(K: Any, apply: Callable[[Array], Array], rhs: Array, rtol: float) -> tuple[Array, bool]:
    """A solution of ``K z = rhs`` by what `apply` makes of residuals, and whether it is one."""
    size = float(np.linalg.norm(rhs))
    z, best, r = np.zeros(len(rhs)), np.inf, rhs
    for _ in range(10):
        step = z + apply(r)
        left = rhs - K @ step
        norm = float(np.linalg.norm(left))
        if not norm < best:
            break
        gain, z, r, best = norm / best, step, left, norm
        if norm <= rtol * size or gain > 0.7:
            break
    return z, best <= max(rtol, GOOD) * size or (best < np.inf and _rounded(K, z, rhs, r))


def _rounded(K: Any, z: Array, rhs: Array, r: Array) -> bool:
    """Whether rounding explains the residual, row by row (Oettli and Prager's backward error)."""
    return bool(np.all(np.abs(r) <= 1e-10 * (abs(K) @ np.abs(z) + np.abs(rhs))))


class SparseKKT:
    """``K = [[H + diag(dx), J'], [J, -diag(dc)]]`` by its factors. H is symmetric, and stored whole.

    About 0.2 s for 200,000 unknowns of a problem on a plane grid, half as much again for the first of a pattern; 8
    bytes an entry of the factor, and about half of that for work.
    """

    def __init__(self, n: int, m: int) -> None:
        self.n, self.m, self.factored = n, m, 0
        self._patterns: tuple[Array, ...] = ()
        self._index: Array | None = None

    def factor(self, H: Any, J: Any, dx: Array, dc: Array) -> tuple[int, int]:
        """The counts of eigenvalues < 0 and = 0 of K. `H` None: zero."""
        self.K = self._assemble(H, sp.csr_array(J), dx, dc)
        self._s, self._scaled = equilibrated(self.K.indptr, self.K.indices, self.K.data)
        self.threshold = THRESHOLDS[0]
        return self._factored()

    def _factored(self) -> tuple[int, int]:
        self.factored += 1
        return self.factors.factor(self._scaled, self.threshold, TINY)

    def _assemble(self, H: Any, J: Any, dx: Array, dc: Array) -> Any:
        """K in CSC form: of each column those of H, the diagonal, those of J, wherever the pattern is."""
        if H is None and self._patterns and self._same(J, 2):
            h = np.zeros(len(self._patterns[1]))
        else:
            H = sp.csr_array((self.n, self.n)) if H is None else sp.csr_array(H)
            h = H.data
            if not (self._patterns and self._same(H, 0) and self._same(J, 2)):
                self._place(H, J)
                self._patterns = tuple(part.copy() for part in (H.indptr, H.indices, J.indptr, J.indices))
        assert self._index is not None
        data = np.empty(len(self._index))
        off, at_off, own, at_own, at_d, at_jt, at_j, transposed = self._places
        data[at_off], data[at_d[: self.n]], data[at_d[self.n :]] = h[off], dx, -dc
        data[at_jt], data[at_j] = J.data[transposed], J.data
        data[at_own] += h[own]
        N = self.n + self.m
        return sp.csc_array((data, self._index, self._starts), (N, N))

    def _same(self, matrix: Any, at: int) -> bool:
        indptr, indices = self._patterns[at : at + 2]
        return np.array_equal(indptr, matrix.indptr) and np.array_equal(indices, matrix.indices)

    def _place(self, H: Any, J: Any) -> None:
        """Where the entries of H and J come in K; its analysis, if its pattern is new. All of its diagonal is in it."""
        n, m = self.n, self.m
        numbered = sp.csr_array((np.arange(len(J.data)), J.indices, J.indptr), J.shape).tocsc()
        rows = np.repeat(np.arange(n), np.diff(H.indptr))
        own, off = np.flatnonzero(rows == H.indices), np.flatnonzero(rows != H.indices)
        h, jt, j = np.bincount(rows[off], minlength=n), np.diff(numbered.indptr), np.diff(J.indptr)
        starts = np.concatenate([[0], np.cumsum(np.concatenate([h + 1 + jt, j + 1]))])
        if starts[-1] > np.iinfo(np.int32).max:
            raise ValueError("the matrix has more entries than 32-bit indices serve")
        at_d = np.concatenate([starts[:n] + h, starts[n:-1] + j])
        at_off = np.repeat(starts[:n] - np.cumsum(h) + h, h) + np.arange(len(off))
        at_jt = np.repeat(at_d[:n] + 1 - numbered.indptr[:-1], jt) + np.arange(len(J.data))
        at_j = np.repeat(starts[n:-1] - J.indptr[:-1], j) + np.arange(len(J.data))
        index = np.empty(starts[-1], np.int32)
        index[at_off], index[at_d] = H.indices[off], np.arange(n + m)
        index[at_jt], index[at_j] = n + numbered.indices, J.indices
        self._places = off, at_off, own, at_d[rows[own]], at_d, at_jt, at_j, numbered.data
        known, self._index, self._starts = self._index, index, starts.astype(np.int32)
        if known is not None and np.array_equal(known, index):
            return
        # A row of J alone has no diagonal to speak of: it is eliminated with one of its variables.
        mate = mates(n, J.indptr.astype(np.int32, copy=False), J.indices.astype(np.int32, copy=False), J.data)
        alone = mate < 0
        group = np.concatenate([np.arange(n), np.where(alone, n - 1 + np.cumsum(alone), mate)])
        self.factors = Multifrontal(self._starts, index, group)

    def _apply(self, r: Array) -> Array:
        return self._s * self.factors.solve(self._s * r)

    def solve(self, rhs: Array, rtol: float) -> Array | None:
        """``K z = rhs`` until the residual is at most rtol of rhs, or rounding stops it; None where it stays wrong."""
        z, good = refined(self.K, self._apply, rhs, rtol)
        while not good and self.threshold < THRESHOLDS[-1]:
            self.threshold = min(t for t in THRESHOLDS if t > self.threshold)
            self._factored()
            z, good = refined(self.K, self._apply, rhs, rtol)
        return z if good else None


class SparseNLP(Scaled):
    """A backend by sparse factors, for programs whose functions return sparse matrices (dense ones are taken too)."""

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self._kkt = SparseKKT(self.n, self.m)

    @property
    def counts(self) -> dict[str, Any]:
        """How many matrices were factored."""
        return {"factorisations": self._kkt.factored}

    def factor(self, with_hessian: bool, dx: Array, dc: Array) -> tuple[int, int] | None:
        return self._kkt.factor(self.H if with_hessian else None, self.J, dx, dc)

    def solve(self, rhs: Array, rtol: float) -> Array | None:
        # a refinement costs less than another step of the method
        return self._kkt.solve(rhs, min(rtol, REFINED) if rtol <= 1e-9 else rtol)
