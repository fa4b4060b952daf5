"""Chosen columns of the matrix of samples and features, for repeated Hessians, products and sweeps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _kernels

Array = npt.NDArray[Any]

#: In place of the largest of no numbers, or of zeros.
TINY = 1e-150


class Panel(ABC):
    """Chosen columns W of the matrix, in a form for repeated Hessians; `ones` tells whether the last one is of ones."""

    def __init__(self, n: int, p: int, ones: bool) -> None:
        self.n, self.p, self.ones = n, p, ones

    @abstractmethod
    def _combine(self, w: Array, z: Array) -> None: ...
    @abstractmethod
    def _dots(self, v: Array, out: Array) -> None: ...
    @abstractmethod
    def _gram(self, weights: Array | None, scale: Array | None) -> Array:
        """The Gram matrix, shape (p, p), of the stored columns; what belongs to the ones is still missing."""

    def product(self, w: Array) -> Array:
        """X_W w."""
        z = np.empty(self.n)
        self._combine(w, z)
        if self.ones:
            z += w[-1]
        return z

    def transposed(self, v: Array) -> Array:
        """X_W' v."""
        out = np.empty(self.p)
        self._dots(v, out)
        if self.ones:
            out[-1] = v.sum()
        return out

    def sweeps(self, weights: Array | None, terms: tuple[Array, ...], w: Array, q: Array) -> _kernels.Sweeps:
        """Sweeps over the columns: see there. A panel of `Design.panel` has them where that was asked for."""
        raise NotImplementedError

    def gram(self, weights: Array | None, scale: Array | None = None) -> Array:
        """X_W' D X_W; D of ones where `weights` is None.

        With a `scale`, one over the columns' norms, it may be wrong by 1e-7 in units of these.
        """
        H = self._gram(weights, scale)
        if self.ones:
            H[-1] = H[:, -1] = self.transposed(np.ones(self.n) if weights is None else weights)
        return H


class DensePanel(Panel):
    """Columns of a dense matrix in Fortran order, read in place; `columns` None: all."""

    def __init__(self, X: Array, columns: Array | None, ones: bool) -> None:
        count = X.shape[1] if columns is None else len(columns)
        super().__init__(X.shape[0], count + ones, ones)
        self._columns = _kernels.Columns(X, columns)

    def sweeps(self, weights: Array | None, terms: tuple[Array, ...], w: Array, q: Array) -> _kernels.Sweeps:
        return _kernels.Sweeps(self._columns, None, self.ones, weights, terms, w, q)

    def _combine(self, w: Array, z: Array) -> None:
        self._columns.combine(w, z)

    def _dots(self, v: Array, out: Array) -> None:
        self._columns.dots(v, out)

    def _gram(self, weights: Array | None, scale: Array | None) -> Array:
        if scale is None:
            H = self._columns.gram(None if weights is None else np.sqrt(weights))
        elif weights is None:
            H = self._columns.gram_in_single(None, scale)
        else:
            roots = np.sqrt(weights)
            largest = roots.max(initial=TINY)
            H = self._columns.gram_in_single(roots / largest, scale)
            H *= largest**2
        if not self.ones:
            return H
        bordered = np.empty((self.p, self.p))
        bordered[:-1, :-1] = H
        return bordered


class SparsePanel(Panel):
    """The rows of the matrix, with the chosen columns alone."""

    def __init__(self, rows: _kernels.Compressed, ones: bool) -> None:
        super().__init__(rows.count, rows.width + ones, ones)
        self._rows = rows

    def _combine(self, w: Array, z: Array) -> None:
        self._rows.gather(w, z)

    def _dots(self, v: Array, out: Array) -> None:
        out[:] = 0
        self._rows.scatter(v, out)

    def _gram(self, weights: Array | None, scale: Array | None) -> Array:
        H = np.zeros((self.p, self.p))
        self._rows.gram(H, weights)
        return H


class SegmentPanel(Panel):
    """Columns of a CSC matrix, read in place."""

    def __init__(self, matrix: _kernels.Compressed, columns: Array, ones: bool) -> None:
        super().__init__(matrix.width, len(columns) + ones, ones)
        self._matrix, self._chosen = matrix, columns

    def sweeps(self, weights: Array | None, terms: tuple[Array, ...], w: Array, q: Array) -> _kernels.Sweeps:
        return _kernels.Sweeps(self._matrix, self._chosen, self.ones, weights, terms, w, q)

    def _combine(self, w: Array, z: Array) -> None:
        z[:] = 0
        self._matrix.scatter(w, z, self._chosen)

    def _dots(self, v: Array, out: Array) -> None:
        self._matrix.gather(v, out, self._chosen)

    def _gram(self, weights: Array | None, scale: Array | None) -> Array:
        H = self._matrix.cross(self._chosen, None, weights)
        if not self.ones:
            return H
        bordered = np.empty((self.p, self.p))
        bordered[:-1, :-1] = H
        return bordered
