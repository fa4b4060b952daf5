"""Nonlinear programs: the user's functions in one form, and what serves a method with their linear algebra."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from ._kernels import Compiled, Sides

Array = npt.NDArray[Any]


class Calls:
    """How often functions of the user's were called."""

    __slots__ = ("nfev", "nhev", "njev")

    def __init__(self) -> None:
        self.nfev = self.njev = self.nhev = 0


@dataclass(eq=False)
class Program:
    """``min f(x)`` with ``lower <= x <= upper`` and ``row_lower <= c(x) <= row_upper``: the user's own functions.

    Equalities are rows whose sides are equal; sides may be infinite. The functions take a fresh array of shape (n,) and
    count their calls in `calls`. Values may be infinite or NaN away from x0.
    """

    x0: Array
    lower: Array
    upper: Array
    row_lower: Array
    row_upper: Array
    #: Rows of c that are linear in x: their part of the Hessian is left out.
    linear: Array
    fun: Callable[[Array], float]
    gradient: Callable[[Array], Array]
    constraints: Callable[[Array], Array]
    #: A dense (m, n) array, or a CSR array with the same pattern at every x.
    jacobian: Callable[[Array], Any]
    #: The Hessian of ``sigma f + y'c``: a dense (n, n) array, a CSR array, or a LinearOperator.
    #: Or the name of an approximation from gradients, which the dense backend keeps: "bfgs" (damped), "sr1", "lbfgs".
    hessian: Callable[[Array, float, Array], Any] | str
    #: "dense", "sparse" or "operator": what kind of matrices the functions return.
    kind: str = "dense"
    #: Those of the functions above that can be called without the interpreter.
    compiled: Compiled | None = None
    #: Calls of the objective and of its derivatives, which the functions count.
    calls: Calls = field(default_factory=Calls)
    #: Those of each constraint's functions, where `compiled` may have them and nobody else counts.
    row_calls: Sequence[Calls] = ()
    #: All four sides, as the kernels take them.
    sides: Sides = field(init=False)

    def __post_init__(self) -> None:
        self.sides = Sides(self.lower, self.upper, self.row_lower, self.row_upper)

    @property
    def equalities(self) -> bool:
        """Whether there are no bounds, and all rows are equations."""
        return self.sides.equations and not self.sides.bounded

    @property
    def n(self) -> int:
        return len(self.x0)

    @property
    def m(self) -> int:
        return len(self.row_lower)


class Backend(Protocol):
    """What a method asks of a program: the functions of `sv_nlp` (_ext/optimize/nlp.h, which says what each does)."""

    n: int
    m: int

    def values(self, x: Array) -> tuple[float, Array]: ...
    def constraints(self, x: Array) -> Array:
        """The second of the values alone."""

    def slopes(self, x: Array) -> Array: ...
    def linearise(self, x: Array) -> None:
        """The Jacobian at x becomes the current one, as slopes() has it."""

    def curvature(self, x: Array, sigma: float, y: Array) -> bool:
        """Whether H is finite, as far as its entries are known."""

    def scale(self, f_scale: float, c_scale: Array) -> None: ...
    def rows(self) -> Array: ...
    def jacobian(self, v: Array) -> Array: ...
    def adjoint(self, y: Array) -> Array: ...
    def hessian(self, v: Array) -> Array: ...
    def factor(self, with_hessian: bool, dx: Array, dc: Array) -> tuple[int, int] | None:
        """Counts of eigenvalues < 0 (-1: not counted) and = 0 of K; None where K cannot be served."""

    def solve(self, rhs: Array, rtol: float) -> Array | None: ...

    @property
    def counts(self) -> dict[str, Any]:
        """What the linear algebra has counted so far, by name."""


class Scaled:
    """A program's functions times the scales, each point evaluated once: what all backends in Python share."""

    def __init__(self, program: Program) -> None:
        self.program, self.n, self.m = program, program.n, program.m
        #: Whether no row has a part in the Hessian.
        self.linear = bool(program.linear.all())
        self.f_scale, self.c_scale = 1.0, np.ones(program.m)
        #: Points, the last one that was asked for first, and what is known there.
        self._kept: list[tuple[Array, dict[str, Any]]] = []
        self.J: Any = None
        self.H: Any = None

    def scale(self, f_scale: float, c_scale: Array) -> None:
        if not np.array_equal(c_scale, self.c_scale):
            for _, point in self._kept:
                point.pop("scaled J", None)
        self.f_scale, self.c_scale = f_scale, c_scale

    def _at(self, x: Array, name: str, evaluate: Callable[[Array], Any]) -> Any:
        """What the user's function returned at x: the last three points are remembered."""
        point = self._point(x)
        if name not in point:
            point[name] = evaluate(x)
        return point[name]

    def _point(self, x: Array) -> dict[str, Any]:
        """What is known at x; it is compared bit for bit, since to hash a long one takes ten times as long."""
        bits = x.view(np.int64)
        for k, (known, point) in enumerate(self._kept):
            if np.array_equal(known, bits):
                if k:
                    self._kept.insert(0, self._kept.pop(k))
                return point
        point = {}
        self._kept = [(bits.copy(), point), *self._kept[:2]]
        return point

    def values(self, x: Array) -> tuple[float, Array]:
        f = self._at(x, "f", self.program.fun)
        return self.f_scale * f, self.constraints(x)

    def constraints(self, x: Array) -> Array:
        return self.c_scale * self._at(x, "c", self.program.constraints) if self.m else np.zeros(0)

    def slopes(self, x: Array) -> Array:
        self.linearise(x)
        return np.asarray(self.f_scale * self._at(x, "g", self.program.gradient))

    def linearise(self, x: Array) -> None:
        self.J = self._at(x, "scaled J", self._scaled_jacobian) if self.m else np.zeros((0, self.n))

    def _scaled_jacobian(self, x: Array) -> Any:
        J = self._at(x, "J", self.program.jacobian)
        if (self.c_scale == 1).all():
            return J
        if isinstance(J, np.ndarray):
            return J * self.c_scale[:, None]
        scaled = J.data * np.repeat(self.c_scale, np.diff(J.indptr))
        return sp.csr_array((scaled, J.indices, J.indptr), J.shape)

    def curvature(self, x: Array, sigma: float, y: Array) -> bool:
        assert callable(self.program.hessian)
        self.H = H = self.program.hessian(x, sigma * self.f_scale, y * self.c_scale)
        known = H.data if sp.issparse(H) else H
        return not isinstance(known, np.ndarray) or bool(np.isfinite(known).all())

    def rows(self) -> Array:
        J = self.J
        if isinstance(J, np.ndarray):
            return np.asarray(np.abs(J).max(axis=1, initial=0.0))
        largest, filled = np.zeros(self.m), np.diff(J.indptr) > 0
        largest[filled] = np.maximum.reduceat(np.abs(J.data), J.indptr[:-1][filled]) if J.nnz else 0.0
        return largest

    def jacobian(self, v: Array) -> Array:
        return np.asarray(self.J @ v)

    def adjoint(self, y: Array) -> Array:
        return np.asarray(self.J.T @ y)

    def hessian(self, v: Array) -> Array:
        return np.asarray(self.H @ v)

    @property
    def counts(self) -> dict[str, Any]:
        return {}
