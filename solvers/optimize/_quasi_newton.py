"""Approximations of a Hessian from the slopes at the points that were visited.

They stand in for whatever part of the Lagrangian's Hessian the user gives no way to compute, as one matrix: what is
known is left out of the secant condition, and of the approximation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

#: Changes of a slope below this share of it are rounding.
NOISE = 1e-12


class Damped:
    """BFGS, damped so that it stays positive definite (Powell (1978); Nocedal and Wright, procedure 18.2)."""

    def __init__(self, n: int) -> None:
        self.n, self.B, self.fresh = n, np.eye(n), True

    def restart(self, scale: float) -> None:
        """A multiple of the identity."""
        self.B, self.fresh = scale * np.eye(self.n), True

    def update(self, s: Array, d: Array) -> None:
        """Learn that the slope changes by d along s."""
        sd, ss = float(s @ d), float(s @ s)
        if self.fresh and sd > 0:
            self.B = min(max(sd / ss, 1e-8), 1e8) * np.eye(self.n)
        self.fresh = False
        Bs = self.B @ s
        sBs = float(s @ Bs)
        theta = 1.0 if sd >= 0.2 * sBs else 0.8 * sBs / (sBs - sd)
        r = theta * d + (1 - theta) * Bs
        sr = float(s @ r)
        if sr > 1e-16 * ss and np.isfinite(r).all():
            self.B += np.outer(r, r / sr) - np.outer(Bs, Bs / sBs)

    def matrix(self) -> Array:
        return self.B.copy()


class SymmetricRankOne:
    """SR1 from zero: for what is added to a known part, of any sign (Nocedal and Wright, section 6.2)."""

    def __init__(self, n: int) -> None:
        self.n, self.B = n, np.zeros((n, n))

    def restart(self, scale: float) -> None:
        """Nothing is known."""
        self.B = np.zeros((self.n, self.n))

    def update(self, s: Array, d: Array) -> None:
        """Learn that the slope changes by d along s."""
        r = d - self.B @ s
        sr = float(s @ r)
        if abs(sr) > 1e-8 * float(np.linalg.norm(s) * np.linalg.norm(r)) and np.isfinite(r).all():
            self.B += np.outer(r, r / sr)

    def matrix(self) -> Array:
        return self.B.copy()


class LimitedMemory:
    """L-BFGS from the last pairs, damped: ``B = gamma I - W M^-1 W'`` (Byrd, Nocedal, Schnabel (1994), theorem 2.3)."""

    def __init__(self, n: int, pairs: int = 10) -> None:
        self.n, self.pairs, self.gamma = n, pairs, 1.0
        self.S: list[Array] = []
        self.D: list[Array] = []

    def restart(self, scale: float) -> None:
        """A multiple of the identity."""
        self.gamma, self.S, self.D = scale, [], []

    def update(self, s: Array, d: Array) -> None:
        """Learn that the slope changes by d along s."""
        Bs = self.matrix() @ s
        sd, sBs = float(s @ d), float(s @ Bs)
        theta = 1.0 if sd >= 0.2 * sBs else 0.8 * sBs / (sBs - sd)
        r = theta * d + (1 - theta) * Bs
        if not float(s @ r) > 1e-16 * float(s @ s):
            return
        self.S, self.D = [*self.S[1 - self.pairs :], s], [*self.D[1 - self.pairs :], r]
        self.gamma = min(max(float(r @ r) / float(s @ r), 1e-8), 1e8)

    def matrix(self) -> LowRank:
        """B now, whatever is learnt later."""
        if not self.S:
            return LowRank(self.gamma, np.zeros((self.n, 0)), np.zeros((0, 0)))
        S, D = np.array(self.S).T, np.array(self.D).T
        SD = S.T @ D
        lower = np.tril(SD, -1)
        M = np.block([[self.gamma * (S.T @ S), lower], [lower.T, -np.diag(np.diag(SD))]])
        return LowRank(self.gamma, np.hstack((self.gamma * S, D)), -np.linalg.inv(M))


class LowRank:
    """``gamma I + U M U'`` with a thin U: what products and Woodbury's formula need."""

    def __init__(self, gamma: float, U: Array, M: Array) -> None:
        self.gamma, self.U, self.M, self.shape = gamma, U, M, (len(U), len(U))

    def __matmul__(self, v: Array) -> Array:
        return np.asarray(self.gamma * v + self.U @ (self.M @ (self.U.T @ v)))


class Secant:
    """The approximation of the parts of ``sigma f + y'c`` whose curvature is not known."""

    def __init__(self, rule: Damped | SymmetricRankOne | LimitedMemory) -> None:
        self.rule = rule
        self.sigma = np.nan
        self.before: tuple[Array, Any] | None = None

    def __call__(self, x: Array, sigma: float, derivatives: Any, pull: Callable[[Any], Array]) -> Any:
        """The matrix at x; `pull` makes the slope from the derivatives of the parts, with the multipliers of now."""
        here = pull(derivatives)
        if self.before is None or sigma != self.sigma:
            self.rule.restart(max(1.0, float(np.linalg.norm(here)) / max(1.0, float(np.linalg.norm(x)))))
        else:
            step, change = x - self.before[0], here - pull(self.before[1])
            if np.linalg.norm(change) > NOISE * np.linalg.norm(here) and step.any():
                self.rule.update(step, change)
        self.before, self.sigma = (x.copy(), derivatives), sigma
        return self.rule.matrix()
