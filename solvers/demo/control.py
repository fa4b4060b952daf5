"""Optimal control of an elliptic equation: a state w is steered to a target by a control z, on an N x N grid.

The paper's problem (Hong, Na, Mahoney and Kolar, 2023) is linear, h = 2 / (N + 1):

    min 1/2 |w - target|^2 + 0.05 |z|^2    with    Lap w + z = 0,

Lap the 5-point Laplacian, w = 0 on the edge. The semilinear one, on the unit square, h = 1 / (N + 1):

    min 1/2 |w - target|^2 + alpha / 2 |z|^2    with    -Lap w + w^3 - z = 0,    low <= z <= high.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.optimize import Bounds, LinearConstraint, NonlinearConstraint
from scipy.sparse.linalg import LinearOperator, splu

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Control:
    """A problem of 2 N^2 unknowns, (w, z), and N^2 equations, with what `scipy.optimize.minimize` takes of it."""

    N: int
    semilinear: bool = False
    alpha: float = 1e-5
    low: float = -np.inf
    high: float = np.inf

    @property
    def size(self) -> int:
        """Points of the grid."""
        return self.N**2

    @cached_property
    def x0(self) -> Array:
        return np.zeros(2 * self.size) if self.semilinear else np.ones(2 * self.size)

    @cached_property
    def target(self) -> Array:
        """Of the paper a wave, of the semilinear problem a plateau in the shape of a ring."""
        i = np.arange(1, self.N + 1)
        if not self.semilinear:
            along = 0.1 / np.sqrt(15) * (i - (self.N + 1) / 2)
            return np.asarray((np.sin(4 + along)[:, None] + np.cos(3 + along)).ravel())
        along = i / (self.N + 1) - 0.5
        radius = np.hypot(along[:, None], along)
        return np.asarray(0.5 * (np.tanh(40 * (radius - 0.15)) - np.tanh(40 * (radius - 0.35)))).ravel()

    @cached_property
    def weights(self) -> Array:
        """The objective's: it is ``weights @ (x - aim)**2 / 2``."""
        return np.repeat([1.0, self.alpha if self.semilinear else 0.1], self.size)

    @cached_property
    def aim(self) -> Array:
        return np.concatenate([self.target, np.zeros(self.size)])

    @cached_property
    def linear(self) -> Any:
        """The Jacobian at w = 0."""
        line = sp.diags_array([1.0, -2.0, 1.0], offsets=[-1, 0, 1], shape=(self.N, self.N))
        one = sp.eye_array(self.N)
        laplacian = sp.kron(line, one) + sp.kron(one, line)
        if self.semilinear:
            return sp.csr_array(sp.hstack([-laplacian * (self.N + 1) ** 2, -sp.eye_array(self.size)]))
        return sp.csr_array(sp.hstack([laplacian * ((self.N + 1) / 2) ** 2, sp.eye_array(self.size)]))

    @cached_property
    def _diagonal(self) -> Array:
        """Where the Jacobian has the diagonal of its first block."""
        rows = np.repeat(np.arange(self.size), np.diff(self.linear.indptr))
        return np.flatnonzero(rows == self.linear.indices)

    def fun(self, x: Array) -> float:
        away = x - self.aim
        return 0.5 * float(self.weights @ (away * away))

    def jac(self, x: Array) -> Array:
        return np.asarray(self.weights * (x - self.aim))

    def hess(self, x: Array) -> Any:
        return sp.diags_array(self.weights).tocsr()

    def equation(self, x: Array) -> Array:
        residual = self.linear @ x
        if self.semilinear:
            residual += x[: self.size] ** 3
        return np.asarray(residual)

    def equation_jac(self, x: Array) -> Any:
        if not self.semilinear:
            return self.linear
        data = self.linear.data.copy()
        data[self._diagonal] += 3 * x[: self.size] ** 2
        return sp.csr_array((data, self.linear.indices, self.linear.indptr), self.linear.shape)

    def equation_hess(self, x: Array, y: Array) -> Any:
        w = 6 * x[: self.size] * y if self.semilinear else np.zeros(self.size)
        return sp.diags_array(np.concatenate([w, np.zeros(self.size)])).tocsr()

    @property
    def bounds(self) -> Bounds | None:
        """On the control; None without any."""
        if np.isinf(self.low) and np.isinf(self.high):
            return None
        free = np.full(self.size, np.inf)
        low, high = np.full(self.size, self.low), np.full(self.size, self.high)
        return Bounds(np.concatenate([-free, low]), np.concatenate([free, high]))

    @property
    def constraint(self) -> LinearConstraint | NonlinearConstraint:
        if not self.semilinear:
            return LinearConstraint(self.linear, 0, 0)
        return NonlinearConstraint(self.equation, 0, 0, jac=self.equation_jac, hess=self.equation_hess)

    def arguments(self) -> dict[str, Any]:
        """What a call of ``minimize(fun, x0, **...)`` is told besides."""
        bounds = {} if self.bounds is None else {"bounds": self.bounds}
        return {"jac": self.jac, "hess": self.hess, "constraints": self.constraint, **bounds}

    def judged(self, x: Array) -> tuple[float, float]:
        """The largest entry of the reduced gradient, and of the equation's residual.

        The gradient is that of the objective on the surface of the equation, by the adjoint equation, whatever
        multipliers a solver has; a control moves along it, is put back between its bounds, and the way counts.
        """
        n = self.size
        J, g, z = self.equation_jac(x), self.jac(x), x[self.size :]
        y = splu(sp.csc_array(J[:, :n].T)).solve(-g[:n])
        step = z - np.clip(z - (g[n:] + J[:, n:].T @ y), self.low, self.high)
        return float(np.abs(step).max()), float(np.abs(self.equation(x)).max())

    def fast_poisson(self, H: Any, J: Any, dx: Array, dc: Array) -> LinearOperator:
        """The inverse of the linear problem's KKT matrix, by sine transforms: a preconditioner of two products.

        ``[[a I, 0, L'], [0, b I, I], [L, I, -c I]]`` is diagonal in the sines, with L's eigenvalues known; the
        transforms are products with their matrix, which for some hundred points a line take less time than fast ones.
        """
        n, N = self.size, self.N
        i = np.arange(1, N + 1)
        sines = np.sqrt(2 / (N + 1)) * np.sin(np.pi * np.outer(i, i) / (N + 1))
        values = -((N + 1) ** 2) * np.sin(np.pi * i / (2 * N + 2)) ** 2
        a, b, c = H.diagonal()[0] + dx[0], H.diagonal()[n] + dx[n], dc[0]
        inverse = 1 / ((values[:, None] + values) ** 2 / a + 1 / b + c)
        L = self._laplacian

        def apply(r: Array) -> Array:
            first, second, third = r[:n], r[n : 2 * n], r[2 * n :]
            right = L @ (first / a) + second / b - third
            y = (sines @ (inverse * (sines @ right.reshape(N, N) @ sines)) @ sines).ravel()
            return np.concatenate([(first - L @ y) / a, (second - y) / b, y])

        return LinearOperator((3 * n, 3 * n), matvec=apply, dtype=np.float64)

    @cached_property
    def _laplacian(self) -> Any:
        return self.linear[:, : self.size]
