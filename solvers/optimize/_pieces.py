"""The user's functions, one piece for the objective and one for each constraint: checked, counted, called once a
point."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import scipy.sparse

from ._differences import Differences
from ._nlp import Program

Array = npt.NDArray[Any]


class Calls:
    """How often functions of the user's were called; a `Program` counts in fields of the same names."""

    def __init__(self) -> None:
        self.nfev = self.njev = self.nhev = 0


class Remembered:
    """A function of a point, with what it returned at the last two."""

    __slots__ = ("function", "kept")

    def __init__(self, function: Callable[[Array], Any]) -> None:
        self.function = function
        self.kept: dict[bytes, Any] = {}

    def __call__(self, x: Array) -> Any:
        key = x.tobytes()
        kept = self.kept
        if key in kept:
            return kept[key]
        value = self.function(x)
        if len(kept) == 2:
            del kept[next(iter(kept))]
        kept[key] = value
        return value


class Piece(Protocol):
    """The objective, or a constraint: what its curvature is made from."""

    n: int
    #: The derivative at a point, remembered.
    derivative: Callable[[Array], Any]

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
        self.given, self.piece, self.n, self.name = given, piece, piece.n, name
        self.checked = False
        self.before: tuple[Array, Any] | None = None
        if is_strategy(given):
            self.given = copy.deepcopy(given)  # the user's own stays as it is
            self.given.initialize(self.n, "hess")

    def __call__(self, x: Array, w: Any) -> Any:
        if isinstance(self.given, Differences):
            pull, slopes = self.piece.pull, self.piece.slopes
            H = self.given(lambda z: pull(slopes(z), w), x, pull(self.piece.derivative(x), w))
            return (H + H.T) / 2
        if is_strategy(self.given):
            return self._updated(x, w)
        H = self.given(x, w)
        if is_operator(H):
            return H
        H = scipy.sparse.csr_array(H) if scipy.sparse.issparse(H) else np.array(H, np.float64, ndmin=2)
        if not self.checked:
            self._check(H)
        return H

    def _check(self, H: Any) -> None:
        if H.shape != (self.n, self.n):
            raise ValueError(f"{self.name} must return shape {(self.n, self.n)}, not {H.shape}")
        difference = abs(H - H.T)
        if difference.max() > 1e-8 * abs(H).max():
            i, j = (int(k) for k in np.unravel_index(int(difference.argmax()), H.shape))
            raise ValueError(
                f"{self.name} must return a symmetric matrix: entry ({i}, {j}) is {H[i, j]:.6g}, "
                f"entry ({j}, {i}) is {H[j, i]:.6g}"
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


def is_operator(H: Any) -> bool:
    """Whether this is known by its products alone."""
    return not scipy.sparse.issparse(H) and not isinstance(H, np.ndarray) and hasattr(H, "__matmul__")


def is_strategy(value: Any) -> bool:
    """Whether this is one of SciPy's HessianUpdateStrategy, or reads like one."""
    return all(callable(getattr(value, name, None)) for name in ("initialize", "update", "get_matrix"))


class Objective:
    """f: `value(x)` and its `derivative(x)`, remembered."""

    def __init__(self, fun: Callable[..., Any], args: tuple[Any, ...], jac: Any, n: int) -> None:
        self.fun, self.args, self.jac, self.n = fun, args, jac, n
        self.calls: Calls | Program = Calls()
        #: The functions as they were given, where some of them are compiled.
        self.raw: tuple[Any, Any, Any] = (None, None, None)
        self.curvature: Curvature | None = None
        if jac is True:
            self.both = Remembered(self._both)
            self.value: Callable[[Array], float] = lambda x: self.both(x)[0]
            self.derivative: Callable[[Array], Array] = lambda x: self.both(x)[1]
        else:
            self.value, self.derivative = Remembered(self._value), Remembered(self.slopes)

    def _value(self, x: Array) -> float:
        self.calls.nfev += 1
        f = self.fun(x.copy(), *self.args)
        return float(f) if isinstance(f, float) else scalar(f)

    def _complex(self, x: Array) -> complex:
        self.calls.nfev += 1
        return complex(np.asarray(self.fun(x.copy(), *self.args)).item())

    def _both(self, x: Array) -> tuple[float, Array]:
        self.calls.nfev += 1
        self.calls.njev += 1
        out = self.fun(x.copy(), *self.args)
        if not isinstance(out, tuple | list) or len(out) != 2:
            raise ValueError("with jac=True fun must return a pair: its value and its gradient")
        value = out[0] if x.dtype.kind == "c" else scalar(out[0])
        return value, vector(out[1], self.n, "jac=True: the gradient that fun returns", x.dtype)

    def slopes(self, x: Array) -> Array:
        """The gradient at any point, not remembered."""
        if self.jac is True:
            return self._both(x)[1]
        if isinstance(self.jac, Differences):
            plain: Any = self._complex if self.jac.scheme == "cs" else self._value
            return np.asarray(self.jac(plain, x, self.value(x)))
        self.calls.njev += 1
        return vector(self.jac(x.copy(), *self.args), self.n, "jac", x.dtype)

    def pull(self, derivative: Array, w: float) -> Array:
        return w * derivative


class Rows:
    """A constraint ``lower <= c(x) <= upper``: `value(x)` and its `derivative(x)`, remembered.

    Rows without a finite side are left out; `places` says which of the user's there are.
    """

    def __init__(self, fun: Callable[[Array], Any], jac: Any, n: int, name: str) -> None:
        self.fun, self.jac, self.n, self.name = fun, jac, n, name
        self.total, self.m = -1, 0
        self.places: Array | None = None
        self.lower = self.upper = np.zeros(0)
        self.keep = np.zeros(0, bool)
        self.sparse = False
        self.linear = False
        self.curvature: Curvature | None = None
        self.calls = Calls()
        #: The functions as they were given, where some of them are compiled.
        self.raw: tuple[Any, Any, Any] = (None, None, None)
        self.value: Callable[[Array], Array] = Remembered(self._value)
        self.derivative: Callable[[Array], Any] = Remembered(self.slopes)

    def limit(self, lower: Any, upper: Any, keep: Any, x0: Array) -> None:
        """Take the sides of the rows, which are counted at x0."""
        first = np.atleast_1d(np.asarray(self.fun(x0.copy()), np.float64)).ravel()
        self.calls.nfev += 1
        self.total = self.m = len(first)
        self.lower, self.upper = sides(lower, upper, self.total, self.name)
        self.keep = broadcast(keep, self.total, f"{self.name}.keep_feasible", bool) & (self.lower != self.upper)
        held = (self.lower > -np.inf) | (self.upper < np.inf)
        if not held.all():
            self.places = np.flatnonzero(held)
            self.m = len(self.places)
            self.lower, self.upper, self.keep = (v[self.places] for v in (self.lower, self.upper, self.keep))
        self.value.kept[x0.tobytes()] = self._held(first)  # type: ignore[attr-defined]

    def _held(self, values: Any) -> Any:
        return values if self.places is None else values[self.places]

    def _value(self, x: Array) -> Array:
        self.calls.nfev += 1
        return np.asarray(self._held(vector(self.fun(x.copy()), self.total, f"{self.name}.fun")))

    def _complex(self, x: Array) -> Array:
        self.calls.nfev += 1
        return np.asarray(self._held(np.asarray(self.fun(x.copy())).ravel()))

    def slopes(self, x: Array) -> Any:
        """The Jacobian at any point, not remembered: CSR where the program is sparse, else an array."""
        if isinstance(self.jac, Differences):
            plain = self._complex if self.jac.scheme == "cs" else self._value
            return self.shaped(self.jac(plain, x, self.value(x)))
        self.calls.njev += 1
        return self.shaped(self._held(self._checked(self.jac(x.copy()), x.dtype)))

    def _checked(self, J: Any, dtype: Any) -> Any:
        if scipy.sparse.issparse(J):
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
        kept = self.derivative.kept  # type: ignore[attr-defined]
        for key, J in kept.items():
            kept[key] = self.shaped(J)

    def feasible(self, x: Array) -> bool:
        """Whether the rows that are to be kept feasible are, up to rounding."""
        c, keep = self.value(x), self.keep
        low, high = self.lower[keep], self.upper[keep]
        slack = np.minimum(c[keep] - low, high - c[keep])
        size = np.maximum(1.0, np.minimum(np.abs(low), np.abs(high)))
        return bool((slack >= -1e-12 * size).all())

    def shaped(self, J: Any) -> Any:
        """As the program wants its matrices."""
        if scipy.sparse.issparse(J) == self.sparse:
            return J
        return scipy.sparse.csr_array(J) if self.sparse else J.toarray()

    def pull(self, derivative: Any, w: Array) -> Array:
        return np.asarray(derivative.T @ w)


class LinearRows(Rows):
    """``lower <= A x <= upper``: no calls, and no curvature."""

    def __init__(self, A: Any, n: int, name: str) -> None:
        super().__init__(self._product, None, n, name)
        if scipy.sparse.issparse(A):
            self.A = scipy.sparse.csr_array(A, dtype=np.float64)
        else:
            self.A = np.array(A, np.float64, ndmin=2)
        if self.A.ndim != 2 or self.A.shape[1] != n:
            raise ValueError(f"{name}.A must have {n} columns, not shape {np.shape(A)}")
        entries = self.A.data if scipy.sparse.issparse(self.A) else self.A
        if not np.isfinite(entries).all():
            raise ValueError(f"{name}.A must be finite")
        self.linear = True
        self.derivative = self._constant

    def limit(self, lower: Any, upper: Any, keep: Any, x0: Array) -> None:
        super().limit(lower, upper, keep, x0)
        self.A, self.value, self.calls = self._held(self.A), self._product, Calls()

    def take(self, sparse: bool) -> None:
        self.sparse = sparse
        self.A = self.shaped(self.A)

    def _product(self, x: Array) -> Array:
        return np.asarray(self.A @ x)

    def _constant(self, x: Array) -> Any:
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
    v = np.array(values.toarray() if scipy.sparse.issparse(values) else values, dtype, ndmin=1)
    if v.ndim != 1:
        v = v.ravel()
    if len(v) != count:
        raise ValueError(f"{name} must return {count} entries, not {len(v)}")
    return v


def broadcast(values: Any, count: int, name: str, dtype: Any = np.float64) -> Array:
    """The values as `count` entries; a single one serves for all."""
    given = np.asarray(values).astype(dtype)
    if given.ndim > 1 or (given.ndim == 1 and len(given) not in (1, count)):
        raise ValueError(f"{name} must be a number or have {count} entries, not shape {given.shape}")
    return np.array(np.broadcast_to(given, count))


def sides(lower: Any, upper: Any, count: int, name: str) -> tuple[Array, Array]:
    """Both sides of rows or of bounds, checked."""
    low, high = broadcast(lower, count, f"{name}.lb"), broadcast(upper, count, f"{name}.ub")
    for side, values in (("lb", low), ("ub", high)):
        if np.isnan(values).any():
            raise ValueError(f"{name}.{side}[{int(np.flatnonzero(np.isnan(values))[0])}] is NaN")
    crossed = np.flatnonzero((low > high) | (low == np.inf) | (high == -np.inf))
    if len(crossed):
        i = int(crossed[0])
        raise ValueError(f"{name}: the lower side {low[i]:g} is above the upper side {high[i]:g} at index {i}")
    return low, high
