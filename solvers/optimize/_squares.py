"""Half a sum of squares as the objective: the user's function returns residuals, their Jacobian makes the Hessian."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from .._base.compiled import address_of
from ._curvature import Curvature, is_sparse, real
from ._differences import Differences
from ._pieces import Objective, Remembered

Array = npt.NDArray[Any]

#: What `hess` is where fun returns residuals.
GAUSS_NEWTON = "gauss-newton"


class Squares(Objective):
    """``|r(x)|^2 / 2`` of residuals r: gradient J'r, and J'J for the Hessian, which leaves the curvature of r out."""

    approximated = True

    def __init__(self, fun: Callable[..., Any], args: tuple[Any, ...], jac: Any, n: int) -> None:
        super().__init__(fun, args, jac, n)
        self.jacobians = Remembered()
        self.count = -1
        # the function must not hold the piece, which holds it
        own = weakref.proxy(self)
        self.curvature = Curvature(lambda x, w: w * (own.jacobian(x).T @ own.jacobian(x)), self, "hess")

    def residuals(self, x: Array) -> Array:
        """At x, remembered."""
        return np.asarray(self.values(self._residuals, x))

    def _residuals(self, x: Array) -> Array:
        self.calls.nfev += 1
        complex_step = x.dtype.kind == "c"
        given = np.asarray(self.fun(x.copy() if complex_step else self.within(x), *self.args))
        if given.dtype.kind not in ("biufc" if complex_step else "biuf"):
            raise TypeError(f"fun must return real residuals with hess={GAUSS_NEWTON!r}, not {given.dtype}")
        r = np.array(given, x.dtype).ravel()
        if self.count < 0:
            self.count = len(r)
        if len(r) != self.count:
            raise ValueError(f"fun must return {self.count} residuals as at x0, not {len(r)}")
        return r

    def jacobian(self, x: Array) -> Any:
        """That of the residuals at x, remembered."""
        return self.jacobians(self._jacobian, x)

    def _jacobian(self, x: Array) -> Any:
        if isinstance(self.jac, Differences):
            x = self.within(x)
            return self.jac(self._residuals, x, self.residuals(x))
        self.calls.njev += 1
        J = real(self.jac(self.within(x), *self.args), "jac")
        # copies: the user may go on with the old one
        sparse = is_sparse(J)
        J = scipy.sparse.csr_array(J, dtype=np.float64, copy=True) if sparse else np.array(J, np.float64, ndmin=2)
        shape = len(self.residuals(x)), self.n
        if J.shape != shape:
            raise ValueError(f"jac must return the residuals' Jacobian, of shape {shape}, not {J.shape}")
        return J

    def value(self, x: Array) -> float:
        r = self.residuals(x)
        return float(r @ r) / 2

    def derivative(self, x: Array) -> Array:
        return np.asarray(self.jacobian(x).T @ self.residuals(x))

    def slopes(self, x: Array) -> Array:
        return self.derivative(x)


def squares(fun: Any, args: tuple[Any, ...], jac: Any, n: int) -> Squares:
    """The objective of residuals; ValueError for what cannot return them."""
    if address_of(fun) is not None or not callable(fun):
        raise ValueError(f"fun must be a Python function that returns residuals with hess={GAUSS_NEWTON!r}")
    if jac is True:
        raise ValueError(f"jac must be a function or a scheme of differences with hess={GAUSS_NEWTON!r}, not True")
    return Squares(fun, args, jac, n)
