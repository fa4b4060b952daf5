"""The user's functions, one piece for the objective and one for each constraint: checked, counted, called once a
point."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from .._base.validate import FLOAT64
from ._curvature import Curvature, canonical, is_operator, is_sparse, real
from ._differences import Differences
from ._kernels import sound_sides
from ._nlp import Calls

Array = npt.NDArray[Any]


class Remembered:
    """What a function of a point has returned at the last two."""

    __slots__ = ("kept",)

    def __init__(self) -> None:
        #: The points' bytes, which are compared: to hash those of a long point takes ten times as long.
        self.kept: list[tuple[bytes, Any]] = []

    def __call__(self, function: Callable[[Array], Any], x: Array) -> Any:
        key = x.tobytes()
        for known, value in self.kept:
            if known == key:
                return value
        value = function(x)
        self.kept = [*self.kept[-1:], (key, value)]
        return value


class Objective:
    """f: `value(x)` and its `derivative(x)`, remembered."""

    #: Whether the curvature is meant to be another one than f's.
    approximated = False

    def __init__(self, fun: Callable[..., Any], args: tuple[Any, ...], jac: Any, n: int) -> None:
        self.fun, self.args, self.jac, self.n = fun, args, jac, n
        self.calls = Calls()
        #: The functions as they were given, where some of them are compiled.
        self.raw: tuple[Any, Any, Any] = (None, None, None)
        #: A new array, within the bounds: a method may step past them by a hair, where there may be no value.
        self.within: Callable[[Array], Array] = np.ndarray.copy
        self.curvature: Curvature | None = None
        #: What approximates the Hessian of a dense program of which no part is known.
        self.updates = "bfgs"
        self.values, self.derivatives = Remembered(), Remembered()

    def value(self, x: Array) -> float:
        if self.jac is True:
            return float(self.values(self._both, x)[0])
        return self.values(self._value, x)  # type: ignore[no-any-return]

    def derivative(self, x: Array) -> Array:
        if self.jac is True:
            return self.values(self._both, x)[1]  # type: ignore[no-any-return]
        return self.derivatives(self.slopes, x)  # type: ignore[no-any-return]

    def _value(self, x: Array) -> float:
        self.calls.nfev += 1
        f = self.fun(self.within(x), *self.args)
        return float(f) if isinstance(f, float) else scalar(f)

    def _complex(self, x: Array) -> complex:
        self.calls.nfev += 1
        return complex(np.asarray(self.fun(x.copy(), *self.args)).item())

    def _both(self, x: Array) -> tuple[float, Array]:
        self.calls.nfev += 1
        self.calls.njev += 1
        out = self.fun(self.within(x), *self.args)
        if not isinstance(out, tuple | list) or len(out) != 2:
            raise ValueError("with jac=True fun must return a pair: its value and its gradient")
        value = out[0] if x.dtype.kind == "c" else scalar(out[0])
        return value, vector(out[1], self.n, "jac=True: the gradient that fun returns", x.dtype)

    def slopes(self, x: Array) -> Array:
        """The gradient at any point, not remembered."""
        if self.jac is True:
            return self._both(x)[1]
        if isinstance(self.jac, Differences):
            x = self.within(x)
            plain: Any = self._complex if self.jac.scheme == "cs" else self._value
            return np.asarray(self.jac(plain, x, self.value(x)))
        self.calls.njev += 1
        return vector(self.jac(self.within(x), *self.args), self.n, "jac", x.dtype)

    def pull(self, derivative: Array, w: float) -> Array:
        return w * derivative


class Rows:
    """A constraint ``lower <= c(x) <= upper``: `value(x)` and its `derivative(x)`, remembered.

    Rows without a finite side are left out; `places` says which of the user's there are.
    """

    approximated = False

    def __init__(self, fun: Callable[[Array], Any], jac: Any, n: int, name: str) -> None:
        self.fun, self.jac, self.n, self.name = fun, jac, n, name
        self.total, self.m = -1, 0
        self.places: Array | None = None
        self.lower = self.upper = np.zeros(0)
        self.keep = np.zeros(0, bool)
        #: Whether Jacobians are CSR; None: as they come.
        self.sparse: bool | None = None
        self.linear = False
        self.curvature: Curvature | None = None
        self.calls = Calls()
        #: The functions as they were given, where some of them are compiled.
        self.raw: tuple[Any, Any, Any] = (None, None, None)
        #: A new array, within the bounds: a method may step past them by a hair, where there may be no value.
        self.within: Callable[[Array], Array] = np.ndarray.copy
        self.values, self.derivatives = Remembered(), Remembered()

    def value(self, x: Array) -> Array:
        return self.values(self._value, x)  # type: ignore[no-any-return]

    def derivative(self, x: Array) -> Any:
        return self.derivatives(self.slopes, x)

    def limit(self, lower: Any, upper: Any, keep: Any, x0: Array) -> None:
        """Take the sides of the rows, which are counted at x0."""
        first = np.array(real(self.fun(x0.copy()), f"{self.name}.fun"), np.float64, ndmin=1).ravel()
        self.calls.nfev += 1
        self.total = self.m = len(first)
        self.lower, self.upper, held = sides(lower, upper, self.total, self.name)
        self.keep = broadcast(keep, self.total, f"{self.name}.keep_feasible", bool)
        if self.keep.any():
            self.keep &= self.lower != self.upper
        if not held:
            self.places = np.flatnonzero((self.lower > -np.inf) | (self.upper < np.inf))
            self.m = len(self.places)
            self.lower, self.upper, self.keep = (v[self.places] for v in (self.lower, self.upper, self.keep))
        self.values.kept = [(x0.tobytes(), self._held(first))]

    def _held(self, values: Any) -> Any:
        return values if self.places is None else values[self.places]

    def _value(self, x: Array) -> Array:
        self.calls.nfev += 1
        return np.asarray(self._held(vector(self.fun(self.within(x)), self.total, f"{self.name}.fun")))

    def _complex(self, x: Array) -> Array:
        self.calls.nfev += 1
        return np.asarray(self._held(np.asarray(self.fun(x.copy())).ravel()))

    def slopes(self, x: Array) -> Any:
        """The Jacobian at any point, not remembered."""
        if isinstance(self.jac, Differences):
            x = self.within(x)
            plain = self._complex if self.jac.scheme == "cs" else self._value
            return self.shaped(self.jac(plain, x, self.value(x)))
        self.calls.njev += 1
        return self.shaped(self._held(self._checked(self.jac(self.within(x)), x.dtype)))

    def _checked(self, J: Any, dtype: Any) -> Any:
        if is_operator(J):
            J = J @ np.eye(self.n)
        J = real(J, f"{self.name}.jac", dtype)
        if is_sparse(J):
            J = scipy.sparse.csr_array(J, dtype=dtype, copy=True)  # the user may go on with the old one
            J.sum_duplicates()
        else:
            J = np.array(J, dtype, ndmin=2)
        if J.shape != (self.total, self.n):
            raise ValueError(f"{self.name}.jac must return shape {(self.total, self.n)}, not {J.shape}")
        return J

    def take(self, sparse: bool) -> None:
        """From now on Jacobians are CSR, or arrays."""
        self.sparse = sparse
        self.derivatives.kept = [(key, self.shaped(J)) for key, J in self.derivatives.kept]

    def feasible(self, x: Array) -> bool:
        """Whether the rows that are to be kept feasible are, up to rounding."""
        c, keep = self.value(x), self.keep
        low, high = self.lower[keep], self.upper[keep]
        slack = np.minimum(c[keep] - low, high - c[keep])
        size = np.maximum(1.0, np.minimum(np.abs(low), np.abs(high)))
        return bool((slack >= -1e-12 * size).all())

    def shaped(self, J: Any) -> Any:
        """As the program wants its matrices."""
        if self.sparse is None or is_sparse(J) == self.sparse:
            return J
        return scipy.sparse.csr_array(J) if self.sparse else J.toarray()

    def pull(self, derivative: Any, w: Array) -> Array:
        return np.asarray(derivative.T @ w)


class LinearRows(Rows):
    """``lower <= A x <= upper``: no calls, and no curvature."""

    def __init__(self, A: Any, n: int, name: str) -> None:
        sparse = is_sparse(A)
        A = canonical(scipy.sparse.csr_array(A, dtype=np.float64)) if sparse else np.array(A, np.float64, ndmin=2)
        if A.ndim != 2 or A.shape[1] != n:
            raise ValueError(f"{name}.A must have {n} columns, not shape {np.shape(A)}")
        if not np.isfinite(A.data if sparse else A).all():
            raise ValueError(f"{name}.A must be finite")
        super().__init__(lambda x: A @ x, None, n, name)
        self.A, self.linear = A, True

    def limit(self, lower: Any, upper: Any, keep: Any, x0: Array) -> None:
        super().limit(lower, upper, keep, x0)
        self.A, self.calls = self._held(self.A), Calls()

    def take(self, sparse: bool) -> None:
        self.sparse = sparse
        self.A = self.shaped(self.A)

    def value(self, x: Array) -> Array:
        return np.asarray(self.A @ x)

    def derivative(self, x: Array) -> Any:
        return self.A


# ---- what functions return -----------------------------------------------------------------------


def scalar(f: Any) -> float:
    """The number that a user's objective has returned."""
    value = np.asarray(f)
    if value.dtype.kind not in "biuf":
        raise TypeError(f"fun must return a real number, not {f!r:.60}")
    if value.size != 1:
        raise ValueError(f"fun must return one number, not shape {value.shape}")
    return float(value.item())


def vector(values: Any, count: int, name: str, dtype: Any = np.float64) -> Array:
    """A new array of `count` numbers."""
    values = real(values, name, dtype)
    v = np.array(values.toarray() if is_sparse(values) else values, dtype, ndmin=1)
    if v.ndim != 1:
        v = v.ravel()
    if len(v) != count:
        raise ValueError(f"{name} must return {count} entries, not {len(v)}")
    return v


def broadcast(values: Any, count: int, name: str, dtype: Any = np.float64) -> Array:
    """The values as `count` entries; a single one serves for all."""
    if isinstance(values, bool | float | int):
        return np.full(count, values, dtype)
    given = np.array(values).astype(dtype, copy=False)
    if given.shape == (count,):
        return given
    if given.ndim > 1 or (given.ndim == 1 and len(given) not in (1, count)):
        raise ValueError(f"{name} must be a number or have {count} entries, not shape {given.shape}")
    return np.array(np.broadcast_to(given, count))


def _is_plain(values: Any, count: int) -> bool:
    return type(values) is np.ndarray and values.dtype is FLOAT64 and values.shape == (count,)


def sides(lower: Any, upper: Any, count: int, name: str) -> tuple[Array, Array, bool]:
    """Both sides of rows or of bounds, checked and new, and whether each pair has a finite one."""
    low = lower if _is_plain(lower, count) else broadcast(lower, count, f"{name}.lb")
    high = upper if _is_plain(upper, count) else broadcast(upper, count, f"{name}.ub")
    sound = sound_sides(low, high)
    if sound is not None:
        return sound
    for side, values in (("lb", low), ("ub", high)):
        if np.isnan(values).any():
            raise ValueError(f"{name}.{side}[{int(np.flatnonzero(np.isnan(values))[0])}] is NaN")
    i = int(np.flatnonzero((low > high) | (low == np.inf) | (high == -np.inf))[0])
    raise ValueError(f"{name}: the lower side {low[i]:g} is above the upper side {high[i]:g} at index {i}")
