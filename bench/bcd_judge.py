"""The judge of penalised models, outside all solvers: it knows the problem and the coefficients alone.

Objectives are sums over samples, without an intercept:

    lasso           |y - Xw|^2 / 2 + lam |w|_1
    elastic net     |y - Xw|^2 / 2 + lam (|w|_1 + |w|^2 / 2) / 2
    nnls            |y - Xw|^2 / 2, w >= 0
    group lasso     |y - Xw|^2 / 2 + lam sum over groups |w_g|
    l1-logistic     sum log(1 + exp(-y x'w)) + lam |w|_1
    l2-logistic     sum log(1 + exp(-y x'w)) + lam |w|^2 / 2
    multinomial     sum (logsumexp(x'W) - x'W_y) + lam |W|^2 / 2
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse
import scipy.special

Array = npt.NDArray[Any]

#: Coefficients in a group, the last of which may have fewer.
GROUP = 10

#: The gap over F(0) below which, and the entries of the columns in use up to which a dual point is fitted to these; by
#: how much their products stay below lam.
NEAR, LARGEST_FIT, ROUNDING = 1e-9, 1e6, 1e-14

SQUARED = ("lasso", "elastic net", "nnls", "group lasso", "path")
KINDS = (*SQUARED, "l1-logistic", "l2-logistic", "multinomial")


@dataclass(frozen=True, eq=False)
class Model:
    """One problem. `share` is lam over the strength from which on all coefficients are zero; none for nnls.

    A path has `steps` strengths from that one to `share` times it, and one row of coefficients for each.
    """

    kind: str
    X: Any
    y: Array
    share: float = 1.0
    steps: int = 1

    @cached_property
    def lam_max(self) -> float:
        """Of the l2 penalties: that of the l1 penalty, to have a scale."""
        if self.kind == "multinomial":
            share = self.residual(np.zeros((self.X.shape[1], self.classes)))
        elif self.kind in SQUARED:
            share = self.y
        else:
            share = self.y / 2
        g = np.abs(self.X.T @ share)
        if self.kind == "group lasso":
            return float(np.sqrt(np.add.reduceat(g**2, self.starts)).max())
        return float(g.max()) * (2.0 if self.kind == "elastic net" else 1.0)

    @property
    def lam(self) -> float:
        """Strength of the penalty, that at the end of a path."""
        return 0.0 if self.kind == "nnls" else self.share * self.lam_max

    @property
    def lams(self) -> Array:
        """Of a path, the largest first."""
        return self.lam_max * np.geomspace(1, self.share, self.steps)

    @property
    def starts(self) -> Array:
        """First column of each group."""
        return np.arange(0, self.X.shape[1], GROUP)

    @cached_property
    def classes(self) -> int:
        return len(np.unique(self.y))

    def objectives(self, w: Array) -> list[float]:
        """F(w), of each point of a path; infinite for what is no answer."""
        w = np.asarray(w, np.float64)
        width = (self.X.shape[1],)
        shape = {"multinomial": (*width, self.classes), "path": (self.steps, *width)}.get(self.kind, width)
        if w.shape != shape or not np.isfinite(w).all() or (self.kind == "nnls" and w.min(initial=0) < 0):
            return [float("inf")] * self.steps
        if self.kind == "path":
            return [self._loss(row) + lam * float(np.abs(row).sum()) for row, lam in zip(w, self.lams, strict=True)]
        return [self._loss(w) + self._penalty(w)]

    def at_zero(self) -> float:
        """F(0)."""
        shape = (self.X.shape[1], self.classes) if self.kind == "multinomial" else self.X.shape[1]
        return self._loss(np.zeros(shape))

    def gap(self, w: Array) -> float:
        """A bound of F(w) - min F: a duality gap, or by the gradient where F is strongly convex; NaN: none known."""
        w = np.asarray(w, np.float64)
        if self.kind in ("l2-logistic", "multinomial"):
            g = self.X.T @ self.residual(w) - self.lam * w
            return float((g**2).sum()) / (2 * self.lam)
        if self.kind == "l1-logistic":
            v = self.residual(w)
            dual = self._logistic_dual(v)
            if self.objectives(w)[0] - dual < NEAR * self.at_zero():
                dual = max(dual, self._logistic_dual(self._fitted_to(w, v)))
        elif self.kind in ("lasso", "group lasso"):
            r = self.residual(w)
            g = np.abs(self.X.T @ r)
            top = g.max() if self.kind == "lasso" else np.sqrt(np.add.reduceat(g**2, self.starts)).max()
            bound = min(1.0, self.lam / float(top))
            s = float(np.clip(r @ self.y / (r @ r), -bound, bound))
            dual = float(s * (r @ self.y) - s * s * (r @ r) / 2)
        else:
            return float("nan")
        return max(self.objectives(w)[0] - dual, 0.0)

    def _logistic_dual(self, v: Array) -> float:
        """A lower bound of the l1-logistic objective, by a multiple of v."""
        u = np.clip(self.y * v, 0.0, 1.0)
        u *= min(1.0, self.lam / float(np.abs(self.X.T @ (self.y * u)).max()))
        return float((scipy.special.entr(u) + scipy.special.entr(1 - u)).sum())

    def _fitted_to(self, w: Array, v: Array) -> Array:
        """The nearest point to v, in the norm of the Hessian's inverse, whose products with the columns in use are lam.

        Where columns are long, what rounding of X w makes of the products would cost a multiple of v far more.
        """
        g = self.X.T @ v
        used = np.flatnonzero((w != 0) | (np.abs(g) > self.lam))
        if used.size == 0 or used.size * len(v) > LARGEST_FIT:
            return v
        columns = self.X[:, used]
        columns = columns.toarray() if scipy.sparse.issparse(columns) else columns
        roots = np.sqrt(np.abs(v) * (1 - np.abs(v)))
        lacking = np.sign(g[used]) * self.lam * (1 - ROUNDING) - g[used]
        step = np.linalg.lstsq((roots[:, None] * columns).T, lacking, rcond=None)[0]
        return np.asarray(v + roots * step)

    def residual(self, w: Array) -> Array:
        """Minus the derivative of the loss by the predictors."""
        z = np.asarray(self.X @ w)
        if self.kind in SQUARED:
            return self.y - z
        if self.kind == "multinomial":
            return (self.y[:, None] == np.arange(self.classes)) - scipy.special.softmax(z, axis=1)
        return self.y * scipy.special.expit(-self.y * z)  # type: ignore[no-any-return]

    def _loss(self, w: Array) -> float:
        z = np.asarray(self.X @ w)
        if self.kind in SQUARED:
            return float(((self.y - z) ** 2).sum()) / 2
        if self.kind == "multinomial":
            own = np.take_along_axis(z, self.y.astype(int)[:, None], axis=1)[:, 0]
            return float((scipy.special.logsumexp(z, axis=1) - own).sum())
        return float(np.logaddexp(0, -self.y * z).sum())

    def _penalty(self, w: Array) -> float:
        l1, l2 = float(np.abs(w).sum()), float((w**2).sum()) / 2
        size = {"elastic net": (l1 + l2) / 2, "l2-logistic": l2, "multinomial": l2, "nnls": 0.0}.get(self.kind, l1)
        if self.kind == "group lasso":
            size = float(np.sqrt(np.add.reduceat(w**2, self.starts)).sum())
        return self.lam * size
