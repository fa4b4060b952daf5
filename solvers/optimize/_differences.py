"""Derivatives by differences: dense ones a column at a time, sparse ones many columns at once.

Columns that share no row of the pattern are moved together: a banded Jacobian costs its bandwidth in calls, whatever
its size (Curtis, Powell, Reid (1974), On the estimation of sparse Jacobian matrices, IMA J. Appl. Math. 13).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

Array = npt.NDArray[Any]

_EPS = float(np.finfo(float).eps)
#: Steps, relative to max(1, |x_i|). The complex one has no cancellation to balance: only its own square to keep small.
STEPS = {"2-point": _EPS ** (1 / 2), "3-point": _EPS ** (1 / 3), "cs": 1e-10}


def is_scheme(value: Any) -> bool:
    """Whether this names a scheme."""
    return isinstance(value, str) and value in STEPS


@dataclass(frozen=True, eq=False)
class Differences:
    """How a derivative is taken by differences, with no step outside the bounds.

    A variable that its bounds fix is not moved: the derivative by it is set to 0.
    """

    scheme: str
    lower: Array
    upper: Array
    #: Steps relative to |x_i|, in place of the scheme's own; or absolute ones.
    relative: Any = None
    absolute: Any = None
    #: The pattern of the derivative, and the colours of its columns.
    pattern: scipy.sparse.csr_array | None = None
    colours: Array | None = None

    @cached_property
    def free(self) -> bool:
        """Whether there are no bounds to heed."""
        return bool((self.lower == -np.inf).all() and (self.upper == np.inf).all())

    def __call__(self, fun: Callable[[Array], Any], x: Array, at: Any) -> Any:
        """The derivative at x of `fun`, whose value there is `at`: shape (n,) of numbers, (m, n) of arrays, or CSR."""
        h, one_sided = self._steps(x)
        groups = self._groups(len(x))
        shape = (len(groups), *np.shape(at))
        near, far = np.zeros(shape), np.zeros(shape) if self.scheme == "3-point" else None
        for k, group in enumerate(groups):
            step = h[group]
            if not (step if self.colours is None else step.any()):
                continue
            if self.scheme == "cs":
                near[k] = np.imag(fun(_moved(x.astype(complex), group, 1j * step)))
            elif far is None:
                near[k] = fun(_moved(x, group, step))
            else:
                aside = one_sided[group]
                near[k] = fun(_moved(x, group, np.where(aside, step, -step)))
                far[k] = fun(_moved(x, group, np.where(aside, 2 * step, step)))
        if self.pattern is None:
            return self._dense(near, far, at, h, one_sided)
        return self._sparse(near, far, at, h, one_sided)

    def _dense(self, near: Array, far: Array | None, at: Any, h: Array, one_sided: Array) -> Array:
        if near.ndim == 2:
            h, one_sided = h[:, None], one_sided[:, None]
        return np.ascontiguousarray(self._quotients(near, far, np.asarray(at), h, one_sided).T)

    def _sparse(self, near: Array, far: Array | None, at: Array, h: Array, one_sided: Array) -> scipy.sparse.csr_array:
        pattern = self.pattern
        assert pattern is not None
        assert self.colours is not None
        rows, columns = np.repeat(np.arange(pattern.shape[0]), np.diff(pattern.indptr)), pattern.indices
        entry = self.colours[columns], rows
        data = self._quotients(
            near[entry], None if far is None else far[entry], at[rows], h[columns], one_sided[columns]
        )
        return scipy.sparse.csr_array((data, columns.copy(), pattern.indptr.copy()), shape=pattern.shape)

    def _quotients(self, near: Array, far: Array | None, at: Array, h: Array, one_sided: Array) -> Array:
        if self.free and far is None:
            return np.asarray((near if self.scheme == "cs" else near - at) / h)
        if self.scheme == "cs":
            top, bottom = near, h
        elif far is None:
            top, bottom = near - at, h
        else:
            top, bottom = np.where(one_sided, 4 * near - 3 * at - far, far - near), 2 * h
        fixed = bottom == 0
        return np.where(fixed, 0.0, top / np.where(fixed, 1.0, bottom))

    def _groups(self, n: int) -> Sequence[Any]:
        if self.colours is None:
            return range(n)
        order = np.argsort(self.colours, kind="stable")
        return np.split(order, np.flatnonzero(np.diff(self.colours[order])) + 1) if n else []

    def _steps(self, x: Array) -> tuple[Array, Array]:
        """Steps that stay within the bounds, and whether both points of three lie on the same side."""
        size = STEPS[self.scheme] * np.maximum(1.0, np.abs(x))
        if self.absolute is not None:
            size = np.broadcast_to(np.abs(np.asarray(self.absolute, np.float64)), x.shape).copy()
        elif self.relative is not None:
            asked = np.abs(np.asarray(self.relative, np.float64)) * np.abs(x)
            size = np.where(x + asked == x, size, asked)
        one_sided = np.zeros(len(x), bool)
        if self.free:
            # a step that does not change the sign of x, as x + h has it after rounding
            return (x + np.copysign(size, x)) - x, one_sided
        if self.scheme == "cs":
            return np.where(self.lower == self.upper, 0.0, size), one_sided
        above, below = np.maximum(self.upper - x, 0.0), np.maximum(x - self.lower, 0.0)
        room = np.maximum(above, below)
        if self.scheme == "2-point":
            away = np.copysign(size, x)
            fits = np.where(away > 0, above, below) >= size
            h = np.where(fits, away, np.where(above >= below, 1.0, -1.0) * np.minimum(size, room))
        else:
            one_sided = np.minimum(above, below) < size
            aside = np.where(above >= below, 1.0, -1.0) * np.minimum(size, room / 2)
            h = np.where(one_sided, aside, size)
        return (x + h) - x, one_sided


def _moved(x: Array, group: Any, step: Any) -> Array:
    there = x.copy()
    there[group] += step
    return there


def coloured(pattern: Any, shape: tuple[int, int], name: str) -> tuple[scipy.sparse.csr_array, Array]:
    """The pattern as CSR of ones, and colours such that no row has two columns of the same."""
    given = scipy.sparse.csr_array(pattern if scipy.sparse.issparse(pattern) else np.atleast_2d(np.asarray(pattern)))
    if given.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, not {given.shape}")
    given = given.astype(bool)
    given.sum_duplicates()
    given.eliminate_zeros()
    return given.astype(np.float64), _colours(scipy.sparse.csc_array(given))


def _colours(pattern: scipy.sparse.csc_array) -> Array:
    """Greedy, the fullest columns first; the colours that a row has seen are the bits of an integer."""
    m, n = pattern.shape
    colours, seen = np.zeros(n, np.intp), [0] * m
    rows, start = pattern.indices.tolist(), pattern.indptr.tolist()
    for j in np.argsort(-np.diff(pattern.indptr), kind="stable").tolist():
        own = rows[start[j] : start[j + 1]]
        taken = 0
        for i in own:
            taken |= seen[i]
        free = ~taken & (taken + 1)  # the lowest bit that is not set
        colours[j] = free.bit_length() - 1
        for i in own:
            seen[i] |= free
    return colours
