"""The user's functions, Python's or compiled ones, as block descent asks for them."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from .._base.compiled import address_of

Array = npt.NDArray[Any]

#: Steps of differences, relative to 1 + |x_i|.
DIFFERENCE = float(np.sqrt(np.finfo(float).eps))

_VALUE = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
_GRADIENT = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
_ROWS = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
_CURVED_ROWS = ctypes.CFUNCTYPE(
    None, ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p
)


# ---- compiled functions --------------------------------------------------------------------------


def value_function(fun: Any) -> Callable[..., Any]:
    """fun(x) of a Python function, or of ``double fun(int n, double *x, void *user_data)``."""
    found = address_of(fun)
    if found is None:
        if not callable(fun):
            raise TypeError(f"fun must be callable, a LowLevelCallable or a cfunc, not {type(fun).__name__}")
        return fun  # type: ignore[no-any-return]
    compiled, data = _VALUE(found[0]), found[1]
    return lambda x: compiled(len(x), x.ctypes.data, data)


def gradient_function(jac: Any) -> Callable[..., Any]:
    """jac(x) of a Python function, or of ``void jac(int n, double *x, double *g, void *user_data)``."""
    found = address_of(jac)
    if found is None:
        if not callable(jac):
            raise TypeError(f"jac must be callable, a LowLevelCallable or a cfunc, not {type(jac).__name__}")
        return jac  # type: ignore[no-any-return]
    compiled, data = _GRADIENT(found[0]), found[1]

    def call(x: Array) -> Array:
        g = np.zeros_like(x)
        compiled(len(x), x.ctypes.data, g.ctypes.data, data)
        return g

    return call


def hessian_function(hess: Any) -> Callable[..., Any]:
    """hess(x) of a Python function, or of ``void hess(int n, double *x, double *H, void *user_data)``: a lower half."""
    found = address_of(hess)
    if found is None:
        return hess  # type: ignore[no-any-return]
    compiled, data = _GRADIENT(found[0]), found[1]

    def call(x: Array) -> Array:
        H = np.zeros((len(x), len(x)))
        compiled(len(x), x.ctypes.data, H.ctypes.data, data)
        return _of_lower(H)

    return call


def rows_functions(con: Any, con_jac: Any, con_hess: Any, count: int) -> tuple[Any, Any, Any]:
    """Those of `count` rows, as functions of Python's: each as it is where it is one, or a compiled one.

    ``void con(int n, int m, double *x, double *c, void *user_data)``, its Jacobian likewise, and
    ``void con_hess(int n, int m, double *x, double *y, double *H, void *user_data)``: the lower triangle of y'c's.
    """
    value, slopes, curved = address_of(con), address_of(con_jac), address_of(con_hess)

    def by(found: tuple[int, int | None], *shape: Any) -> Callable[[Array], Array]:
        compiled, data = _ROWS(found[0]), found[1]

        def call(x: Array) -> Array:
            out = np.zeros((count, *(len(x) for _ in shape)))
            compiled(len(x), count, x.ctypes.data, out.ctypes.data, data)
            return out

        return call

    def curvature(x: Array, y: Array) -> Array:
        assert curved is not None
        H = np.zeros((len(x), len(x)))
        _CURVED_ROWS(curved[0])(len(x), count, x.ctypes.data, y.ctypes.data, H.ctypes.data, curved[1])
        return _of_lower(H)

    return (
        con if value is None else by(value),
        con_jac if slopes is None else by(slopes, "n"),
        con_hess if curved is None else curvature,
    )


def _of_lower(H: Array) -> Array:
    return np.tril(H) + np.tril(H, -1).T


# ---- as a smooth function ------------------------------------------------------------------------


@dataclass(eq=False)
class Function:
    """A function of the user's, by its value and whatever derivatives there are; differences for the others."""

    size: int
    fun: Callable[..., Any]
    args: tuple[Any, ...] = ()
    jac: Callable[..., Any] | None = None
    block_grad: Callable[..., Any] | None = None
    block_hess: Callable[..., Any] | None = None
    limits: Any = None
    nfev: int = field(default=0, init=False)
    njev: int = field(default=0, init=False)
    nhev: int = field(default=0, init=False)
    constant = False

    @property
    def counts(self) -> dict[str, int]:
        return {"nfev": self.nfev, "njev": self.njev, "nhev": self.nhev}

    def value(self, x: Array) -> float:
        self.nfev += 1
        return float(np.asarray(self.fun(x.copy(), *self.args)).item())

    def start(self, x: Array) -> tuple[float, Array]:
        return self.value(x), np.zeros(0)

    def move(self, x: Array, aux: Array, f: float, b: Array, s: Array) -> tuple[float, Array]:
        moved = x.copy()
        moved[b] += s
        return self.value(moved), aux

    def gradient(self, x: Array, aux: Array) -> Array:
        if self.jac is None:
            return self.block_gradient(x, aux, np.arange(self.size))
        self.njev += 1
        return self._vector(self.jac(x.copy(), *self.args), self.size, "jac")

    def block_gradient(self, x: Array, aux: Array, b: Array) -> Array:
        if self.block_grad is not None:
            self.njev += 1
            return self._vector(self.block_grad(x.copy(), b.copy(), *self.args), len(b), "block_grad")
        if self.jac is not None:
            return self.gradient(x, aux)[b]
        return self._differences(x, b)

    def _differences(self, x: Array, b: Array) -> Array:
        """Forward differences: so many calls of fun as b has coordinates, and one."""
        at, out, moved = self.value(x), np.empty(len(b)), x.copy()
        for k, i in enumerate(b):
            moved[i] = x[i] + DIFFERENCE * (1 + abs(x[i]))
            out[k] = (self.value(moved) - at) / (moved[i] - x[i])
            moved[i] = x[i]
        return out

    def hessian(self, x: Array, aux: Array, b: Array) -> Any:
        """By the user's function, dense or sparse, else by differences of the gradient."""
        if self.block_hess is not None:
            self.nhev += 1
            H = self.block_hess(x.copy(), b.copy(), *self.args)
            H = scipy.sparse.csr_array(H).astype(np.float64) if scipy.sparse.issparse(H) else np.asarray(H, np.float64)
            if H.shape != (len(b), len(b)):
                raise ValueError(f"block_hess must return shape {(len(b), len(b))}, not {H.shape}")
            return H
        if self.jac is None and self.block_grad is None:
            raise ValueError("this update needs block_hess, jac or block_grad")
        at, moved, columns = self.block_gradient(x, aux, b), x.copy(), []
        for i in b:
            moved[i] = x[i] + DIFFERENCE * (1 + abs(x[i]))
            columns.append((self.block_gradient(moved, aux, b) - at) / (moved[i] - x[i]))
            moved[i] = x[i]
        H = np.array(columns)
        return np.asarray((H + H.T) / 2)

    def constants(self) -> Array | None:
        if self.limits is None:
            return None
        if not callable(self.limits):
            return np.array(self.limits)
        return np.array([float(np.max(self.limits(np.array([i])))) for i in range(self.size)])

    def bound(self, b: Array) -> Array:
        """Of limits of single coordinates: their sum times the identity bounds the block."""
        if self.limits is None:
            raise ValueError("this rule needs bounds of the curvature: pass bound=")
        if callable(self.limits):
            H = np.asarray(self.limits(b.copy()), np.float64)
            if H.shape not in ((), (len(b), len(b))):
                raise ValueError(f"bound must return a number or shape {(len(b), len(b))}, not {H.shape}")
            return H * np.eye(len(b)) if H.ndim == 0 else H
        return np.eye(len(b)) * float(self.limits[b].sum())

    def product(self, b: Array, s: Array) -> Array:
        raise ValueError("selection 'gsq' with variable blocks needs a quadratic function")

    def row_sums(self) -> Array:
        raise ValueError("separable 'rows' needs a quadratic function")

    def overlap(self, blocks: list[Array]) -> int:
        """All of them: what depends on what is not known."""
        return len(blocks)

    @staticmethod
    def _vector(value: Any, count: int, name: str) -> Array:
        g = np.array(value, np.float64).ravel()
        if len(g) != count:
            raise ValueError(f"{name} must return {count} entries, not {len(g)}")
        return g
