"""The single-valued part F of an inclusion: the user's function, a compiled one, or one with known structure."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse
from scipy.sparse.linalg import LinearOperator

from .._base.compiled import address_of
from .._base.sparse import canonical_csr
from .._base.validate import check_finite, real_array, vector

Array = npt.NDArray[Any]

_COMPILED = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)


class Affine:
    """The operator ``F(z) = M z + q``, whose structure ``solve`` makes use of.

    Parameters
    ----------
    M : array_like, sparse array or LinearOperator, shape (d, d)
    q : array_like, shape (d,), optional
        0 by default.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers.equilibrium import Affine, solve
    >>> result = solve(Affine([[0.0, 1.0], [-1.0, 0.0]], [1.0, 2.0]), np.zeros(2))
    >>> result.method, result.x.round(5).tolist()
    ('krylov', [2.0, -1.0])
    """

    def __init__(self, M: Any, q: npt.ArrayLike | None = None):
        self.M = matrix_of(M, "M")
        rows, columns = self.M.shape
        if rows != columns:
            raise ValueError(f"M must be square, not of shape {self.M.shape}")
        self.size: int = columns
        self.q = vector_of(q, columns, "q")

    def __call__(self, z: Array) -> Array:
        value: Array = self.M @ z
        value += self.q
        return value


class Bilinear:
    """The saddle operator of ``c'x + y'K x - b'y``, least in x and largest in y: ``F(x, y) = (c + K'y, b - K x)``.

    Parameters
    ----------
    K : array_like, sparse array or LinearOperator, shape (m, n)
        A LinearOperator needs `rmatvec`.
    c : array_like, shape (n,), optional
    b : array_like, shape (m,), optional
        0 by default.

    Examples
    --------
    Rock, paper, scissors:

    >>> import numpy as np
    >>> from solvers.equilibrium import Bilinear, solve
    >>> game = Bilinear([[0, 1, -1], [-1, 0, 1], [1, -1, 0]])
    >>> start = np.array([1.0, 0, 0])
    >>> result = solve(game, (start, start), prox=("simplex", "simplex"), criterion="gap", tol=1e-9)
    >>> result.method, result.x.round(6).tolist()[:3]
    ('pdhg', [0.333333, 0.333333, 0.333333])
    """

    def __init__(self, K: Any, c: npt.ArrayLike | None = None, b: npt.ArrayLike | None = None):
        self.K = matrix_of(K, "K")
        #: K' by rows, too, where K is sparse: products with it are then as fast as those with K.
        self.Kt = self.K.T.tocsr() if scipy.sparse.issparse(self.K) else self.K.T
        self.m, self.n = self.K.shape
        self.size: int = self.m + self.n
        self.c, self.b = vector_of(c, self.n, "c"), vector_of(b, self.m, "b")

    def __call__(self, z: Array) -> Array:
        value = np.empty(self.size)
        np.add(self.Kt @ z[self.n :], self.c, out=value[: self.n])
        np.subtract(self.b, self.K @ z[: self.n], out=value[self.n :])
        return value


class Operator:
    """F as the methods call it: into a given array, with its calls counted and its shape checked."""

    def __init__(self, function: Any, size: int):
        self.function = function
        self.size = size
        self.nfev = 0
        found = address_of(function)
        self._compiled: Any = None if found is None else _COMPILED(found[0])
        self._data: Any = None if found is None else found[1]
        if found is None and not callable(function):
            raise TypeError(f"F must be callable, a LowLevelCallable or a cfunc, not {type(function).__name__}")

    def __call__(self, z: Array, out: Array) -> None:
        """Write F(z) to out."""
        self.nfev += 1
        if self._compiled is not None:
            self._compiled(self.size, z.ctypes.data, out.ctypes.data, self._data)
            return
        value = self._value(z)
        if np.shape(value) != out.shape:
            raise ValueError(f"F must return shape {out.shape}, not {np.shape(value)}")
        out[:] = value

    def _value(self, z: Array) -> Array:
        value: Array = self.function(z)
        return value


def matrix_of(value: Any, name: str) -> Any:
    """A dense float64 array, a CSR array without duplicates, or a LinearOperator."""
    if isinstance(value, LinearOperator):
        if np.dtype(value.dtype or float).kind not in "biuf":
            raise TypeError(f"{name} must be real, not {value.dtype}")
        return value
    if scipy.sparse.issparse(value):
        matrix = canonical_csr(value, name)
        check_finite(matrix.data, name)
    else:
        matrix = real_array(value, name, ndim=2)
        check_finite(matrix, name)
    if 0 in matrix.shape:
        raise ValueError(f"{name} is empty: shape {matrix.shape}")
    return matrix


def vector_of(value: npt.ArrayLike | None, size: int, name: str, check: bool = True) -> Array:
    """A vector of that length, looked through for NaN and infinity; None: zeros."""
    if value is None:
        return np.zeros(size)
    array = vector(value, name, size)
    if check:
        check_finite(array, name)
    return array
