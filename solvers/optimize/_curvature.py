"""The Hessian of a piece of a program, by each of the ways that SciPy's users know."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import scipy.sparse

from ._differences import Differences

Array = npt.NDArray[Any]


class Piece(Protocol):
    """The objective, or a constraint: what its curvature is made from."""

    n: int
    within: Callable[[Array], Array]

    def derivative(self, x: Array) -> Any:
        """The derivative at a point, remembered."""

    def slopes(self, x: Array) -> Any:
        """The derivative at a point, computed anew."""

    def pull(self, derivative: Any, w: Any) -> Array:
        """The gradient of w'F from the derivative of F."""


class Curvature:
    """The Hessian of ``w'F`` for a piece F of the program, by one of the ways that SciPy's users know.

    `given` is a function ``(x, w) -> matrix or operator``, differences of the first derivative, or an object that
    updates an approximation (SciPy's BFGS, SR1).
    """

    def __init__(self, given: Any, piece: Piece, name: str) -> None:
        self.given, self.n, self.name = given, piece.n, name
        # the piece holds this: a solve leaves no circle of references behind, for they wait for the collector
        self.piece: Piece = weakref.proxy(piece)
        self.checked = False
        self.before: tuple[Array, Any] | None = None
        self.differs, self.updates = isinstance(given, Differences), is_strategy(given)
        if self.updates:
            self.given = copy.deepcopy(given)  # the user's own stays as it is
            self.given.initialize(self.n, "hess")

    def __call__(self, x: Array, w: Any) -> Any:
        x = self.piece.within(x)
        if self.differs:
            pull, slopes = self.piece.pull, self.piece.slopes
            H = self.given(lambda z: pull(slopes(z), w), x, pull(self.piece.derivative(x), w))
            return (H + H.T) / 2
        if self.updates:
            return self._updated(x, w)
        H = real(self.given(x, w), self.name)
        if is_operator(H):
            return H
        H = canonical(H) if is_sparse(H) else np.array(H, np.float64, ndmin=2)
        if not self.checked:
            self._check(H)
        return H

    def _check(self, H: Any) -> None:
        if H.shape != (self.n, self.n):
            raise ValueError(f"{self.name} must return shape {(self.n, self.n)}, not {H.shape}")
        if not _symmetric(H):
            difference = abs(H - H.T)
            i, j = (int(k) for k in np.unravel_index(int(difference.argmax()), H.shape))
            raise ValueError(
                f"{self.name} must return a symmetric matrix: entry ({i}, {j}) is {H[i, j]:.10g}, "
                f"entry ({j}, {i}) is {H[j, i]:.10g}"
            )
        self.checked = True

    def _updated(self, x: Array, w: Any) -> Array:
        """The matrix of the user's strategy, told of the step from where it was asked last."""
        here = self.piece.derivative(x)
        if self.before is not None:
            moved = x - self.before[0]
            change = self.piece.pull(here, w) - self.piece.pull(self.before[1], w)
            if moved.any() and change.any():  # SciPy's strategies warn of what does not change
                self.given.update(moved, change)
        self.before = x.copy(), here
        return np.asarray(self.given.get_matrix(), np.float64)


def _symmetric(H: Any) -> bool:
    """To rounding; what is not finite is none of this function's business."""
    T = H.T
    if is_sparse(H):
        T = T.tocsr()
        if np.array_equal(T.indptr, H.indptr) and np.array_equal(T.indices, H.indices):
            H, T = H.data, T.data  # the difference of sparse matrices takes five times as long
            if not len(H):
                return True
    with np.errstate(invalid="ignore"):
        return not abs(H - T).max() > 1e-8 * abs(H).max()


def real(values: Any, name: str, dtype: Any = np.float64) -> Any:
    """What a function has returned; complex numbers are refused, whose imaginary part NumPy would discard."""
    if getattr(getattr(values, "dtype", None), "kind", "") == "c" and np.dtype(dtype).kind != "c":
        raise TypeError(f"{name} must return real numbers, not {values.dtype}")
    return values


def is_sparse(M: Any) -> bool:
    """Whether this is a sparse matrix: of an array that is known at once, of others SciPy takes its time to tell."""
    return not isinstance(M, np.ndarray) and bool(scipy.sparse.issparse(M))


def canonical(M: Any) -> scipy.sparse.csr_array:
    """CSR with rising columns, each once. The user's own stays as it is: SciPy would sort and sum its very arrays."""
    A = M if isinstance(M, scipy.sparse.csr_array) else scipy.sparse.csr_array(M)
    if not A.has_canonical_format:
        A = A.copy()
        A.sum_duplicates()
    return A


def is_operator(H: Any) -> bool:
    """Whether this is known by its products alone."""
    return not isinstance(H, np.ndarray) and not scipy.sparse.issparse(H) and hasattr(H, "__matmul__")


def is_strategy(value: Any) -> bool:
    """Whether this is one of SciPy's HessianUpdateStrategy, or reads like one."""
    return all(callable(getattr(value, name, None)) for name in ("initialize", "update", "get_matrix"))
