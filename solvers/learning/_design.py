"""The matrix of samples and features, dense or sparse, and a column of ones for the intercept as its last.

Column `d` is the intercept's wherever columns are named.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from . import _kernels

Array = npt.NDArray[np.float64]

#: A sparse matrix with more than this share of entries is worked on as a dense one.
DENSE_ENOUGH = 0.2


class Design(ABC):
    """What the methods ask of the matrix; `ones` tells whether there is an intercept."""

    def __init__(self, X: Any, ones: bool) -> None:
        self.X = X
        self.n, self.d = X.shape
        self.ones = ones
        #: Columns, that of the intercept included.
        self.width = self.d + ones

    @cached_property
    @abstractmethod
    def norms(self) -> Array:
        """2-norms of the columns."""

    @abstractmethod
    def product(self, w: Array) -> Array:
        """X w, w of length `width`."""

    @abstractmethod
    def transposed(self, v: Array) -> Array:
        """X' v, of length `width`."""

    def part(self, v: Array, columns: Array) -> Array:
        """X_W' v."""
        return self.transposed(v)[columns]  # type: ignore[no-any-return]

    @abstractmethod
    def gram(self, columns: Array, weights: Array | None) -> Array:
        """X_W' D X_W of the columns W, in rising order; D of ones where `weights` is None."""

    @abstractmethod
    def cross(self, left: Array, right: Array, weights: Array | None) -> Array:
        """X_left' D X_right."""


class Dense(Design):
    @cached_property
    def norms(self) -> Array:
        squares = np.einsum("ij,ij->j", self.X, self.X)
        return np.sqrt(np.append(squares, self.n) if self.ones else squares)  # type: ignore[no-any-return]

    def product(self, w: Array) -> Array:
        used = np.flatnonzero(w[: self.d])
        z = self.X @ w[: self.d] if 4 * len(used) > self.d else self.X[:, used] @ w[used]
        return z + w[self.d] if self.ones else z  # type: ignore[no-any-return]

    def transposed(self, v: Array) -> Array:
        g = self.X.T @ v
        return np.append(g, v.sum()) if self.ones else g

    def _panel(self, columns: Array) -> Array:
        """These columns; the matrix itself, without a copy, where they are all."""
        features = columns[columns < self.d]
        panel = self.X if len(features) == self.d else self.X[:, features]
        return panel if len(features) == len(columns) else np.column_stack([panel, np.ones(self.n)])

    def part(self, v: Array, columns: Array) -> Array:
        return self._panel(columns).T @ v

    def gram(self, columns: Array, weights: Array | None) -> Array:
        panel = self._panel(columns)
        if weights is not None:
            panel = panel * np.sqrt(weights)[:, None]
        return np.ascontiguousarray(panel.T @ panel)

    def cross(self, left: Array, right: Array, weights: Array | None) -> Array:
        panel = self._panel(left)
        if weights is not None:
            panel = panel * weights[:, None]
        return panel.T @ self._panel(right)


class Sparse(Design):
    """CSR; a column of ones is not stored."""

    @cached_property
    def norms(self) -> Array:
        squares = np.bincount(self.X.indices, self.X.data**2, self.d)
        return np.sqrt(np.append(squares, self.n) if self.ones else squares)

    def product(self, w: Array) -> Array:
        z = self.X @ w[: self.d]
        return z + w[self.d] if self.ones else z  # type: ignore[no-any-return]

    def transposed(self, v: Array) -> Array:
        g = self.X.T @ v
        return np.append(g, v.sum()) if self.ones else g

    def gram(self, columns: Array, weights: Array | None) -> Array:
        features = columns[columns < self.d]
        where = np.full(self.d, -1, np.int32)
        where[features] = np.arange(len(features), dtype=np.int32)
        H = np.zeros((len(columns), len(columns)))
        _kernels.csr_gram(self.X.indptr, self.X.indices, self.X.data, where, H, len(features), weights)
        if len(features) < len(columns):
            sums = self.X.T @ (np.ones(self.n) if weights is None else weights)
            H[-1, :-1] = H[:-1, -1] = sums[features]
            H[-1, -1] = self.n if weights is None else weights.sum()
        return H

    def cross(self, left: Array, right: Array, weights: Array | None) -> Array:
        """By the Gram matrix of both: the rows must be read in any case."""
        columns = np.union1d(left, right)
        H = self.gram(columns, weights)
        return H[np.ix_(np.searchsorted(columns, left), np.searchsorted(columns, right))]


def design(X: Any, ones: bool) -> Design:
    """The matrix as the methods want it."""
    if not scipy.sparse.issparse(X):
        return Dense(X, ones)
    if X.nnz > DENSE_ENOUGH * X.shape[0] * X.shape[1]:
        return Dense(X.toarray(order="F"), ones)
    X = X.tocsr()
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    return Sparse(X, ones)
