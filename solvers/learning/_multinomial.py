"""The multinomial loss: a predictor for each class, W of shape (K, d), and the softmax of the predictors.

Coefficients are one vector, class after class as scikit-learn's `coef_` has them, then the K intercepts; predictors z
are those of the first sample for all classes, then those of the second.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse
from scipy.special import xlogy

from .._base.reducer import SERIAL
from .._base.validate import real_array
from . import _kernels
from ._design import CHEAP, Design
from ._groups import Grouped
from ._losses import Adding, Loss, Sums
from ._panels import Panel
from ._problem import GlmProblem

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Multinomial(Loss):
    """log(sum_k exp(z_k)) - z_y, y = 0, ..., K - 1."""

    coupled = True
    curvature = 0.5  # the largest eigenvalue of diag(p) - p p' is no more
    attained = by_sums = False

    @cached_property
    def classes(self) -> int:
        return int(self.y.max()) + 1

    @cached_property
    def own(self) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """The place of each sample's own class in (n, K)."""
        return np.arange(len(self.y)), self.y.astype(np.intp)

    def by_class(self, z: Array) -> Array:
        return z.reshape(-1, self.classes)

    @cached_property
    def terms(self) -> Any:
        """What the kernels give of a loss with one predictor a sample, of this one."""
        return _Terms(self)

    def probabilities(self, z: Array) -> Array:
        """Shape (n, K)."""
        return _kernels.softmax(self.by_class(z))

    def margins(self, z: Array) -> Array:
        """How far each sample's own class is above each of the others; at its own place, above the last of them."""
        Z = self.by_class(z)
        apart = Z[self.own][:, None] - Z
        apart[self.own] = -np.inf
        apart[self.own] = apart.max(axis=1)
        return np.asarray(apart.ravel())

    def doubt(self, v: Array, share: float) -> Array:
        """Weights of the classes of each sample: 0 where one's probability, not its own, is down to this share."""
        P = self._shares(v) > share
        P[self.own] = True
        return np.asarray(P.astype(np.float64).ravel())

    def _shares(self, v: Array) -> Array:
        """The p of the derivative v = s (p - e_y)."""
        P = self.by_class(v) / self.s[:, None]
        P[self.own] += 1
        return np.maximum(P, 0)

    def conjugate(self, v: Array, share: float, square: float, cross: float) -> float:
        P = self._shares(share * v)
        return float(self.s @ xlogy(P, P).sum(1))

    def balanced(self, v: Array, added: Adding = SERIAL.sum) -> Array:
        """The p mixed with one and the same distribution, as little as makes the classes' sums those of the labels."""
        P = self._shares(v)
        counts = np.bincount(self.own[1], self.s, self.classes)
        lacking = counts - self.s @ P
        odds = float(np.max(np.where(counts > 0, -lacking, 0) / np.maximum(counts, np.finfo(float).tiny)))
        share = odds / (1 + odds)
        if share <= 0:
            return v
        common = np.maximum(share * counts + (1 - share) * lacking, 0) / (share * self.s.sum())
        P = (1 - share) * P + share * common
        P[self.own] -= 1
        return np.asarray(self.s[:, None] * P).ravel()


class _Terms:
    """The sums of a multinomial loss, and its derivatives."""

    def __init__(self, loss: Multinomial) -> None:
        self.loss: Multinomial = weakref.proxy(loss)  # whose part this is

    def evaluate(
        self,
        z: Array,
        derivative: Array | None = None,
        second: Array | None = None,
        way: Array | None = None,
        share: float = 0.0,
        trial: Array | None = None,
    ) -> tuple[float, float, float, float]:
        """As of `LossTerms`; the second derivative is s p, since the Hessian of a sample is s (diag(p) - p p')."""
        loss = self.loss
        if way is not None and trial is not None:
            np.multiply(way, share, out=trial)
            trial += z
            z = trial
        if derivative is not None or second is not None:
            P = loss.probabilities(z)
            if second is not None:
                second[:] = (loss.s[:, None] * P).ravel()
            if derivative is not None:
                P[loss.own] -= 1
                derivative[:] = (loss.s[:, None] * P).ravel()
        return -float(loss.s @ _kernels.log_softmax(loss.by_class(z))[loss.own]), 0.0, 0.0, 0.0


class ByClassPanel(Panel):
    """Chosen coefficients of the classes."""

    def __init__(self, design: ByClass, columns: npt.NDArray[Any]) -> None:
        super().__init__(design.n * design.classes, len(columns), False)
        self._design, self._chosen = design, columns

    def _combine(self, w: Array, z: Array) -> None:
        full = np.zeros(self._design.width)
        full[self._chosen] = w
        z[:] = self._design.product(full)

    def _dots(self, v: Array, out: Array) -> None:
        out[:] = self._design.transposed(v)[self._chosen]

    def _gram(self, weights: Array | None, scale: Array | None) -> Array:
        return self._design.hessian(self._chosen, weights)


class ByClass(Design):
    """The matrix that takes the coefficients of all classes to the predictors of all classes."""

    by_columns = small = False

    def __init__(self, inner: Design, classes: int) -> None:
        self.inner, self.classes = inner, classes
        self.X, self.n, self.ones = inner.X, inner.n, inner.ones
        self.d, self.width = inner.d * classes, inner.width * classes

    def split(self, w: Array) -> tuple[Array, Array]:
        """Coefficients (K, d) and intercepts (K,), zeros where there are none."""
        return w[: self.d].reshape(self.classes, -1), w[self.d :] if self.ones else np.zeros(self.classes)

    @cached_property
    def norms(self) -> Array:
        own = self.inner.norms
        return np.concatenate(
            [np.tile(own[: self.inner.d], self.classes), np.repeat(own[self.inner.d :], self.classes)]
        )

    def affordable(self, columns: npt.NDArray[Any], passes: float, single: bool = False) -> int:
        # As for one class; the products of p columns with one another are made over all samples.
        return int(np.sqrt(max(12.5 * passes * self.n * self.d, CHEAP) / (self.n + 300)))

    def product(self, w: Array) -> Array:
        W, intercepts = self.split(w)
        used = np.flatnonzero(W.any(axis=0))
        X, W = (self.X, W) if 4 * len(used) > self.inner.d else (self.X[:, used], W[:, used])
        return (X @ W.T + intercepts).ravel()  # type: ignore[no-any-return]

    def transposed(self, v: Array, columns: npt.NDArray[Any] | None = None) -> Array:
        V = v.reshape(-1, self.classes)
        g = np.asarray((self.X.T @ V).T).ravel()
        return np.concatenate([g, V.sum(axis=0)]) if self.ones else g

    def panel(self, columns: npt.NDArray[Any], swept: bool = False) -> Panel:
        return ByClassPanel(self, columns)

    def _places(self, columns: Array) -> tuple[Array, Array]:
        """The class and the feature of each coefficient; feature d is the intercept."""
        inner = self.inner.d
        intercept = columns >= self.d
        return (
            np.where(intercept, columns - self.d, columns // max(inner, 1)),
            np.where(intercept, inner, columns % max(inner, 1)),
        )

    def hessian(self, columns: npt.NDArray[Any], weights: Array | None) -> Array:
        """The Hessian's block of these coefficients, for the weights s p of the loss."""
        assert weights is not None
        P = weights.reshape(-1, self.classes)
        of_class, feature = self._places(columns)
        panel = self._features(feature)
        shared = _scaled(panel, P[:, of_class] / np.sqrt(P.sum(axis=1))[:, None])
        H = -_dense(shared.T @ shared)
        for k in np.unique(of_class):
            at = np.flatnonzero(of_class == k)
            own = panel[:, at]
            H[np.ix_(at, at)] += _dense(own.T @ _scaled(own, P[:, k, None]))
        intercepts = np.flatnonzero(columns >= self.d)
        if len(intercepts) == self.classes:
            # A shift of them all changes nothing; this keeps them from it, and the matrix definite.
            H[np.ix_(intercepts, intercepts)] += float(P.sum()) / self.classes**2
        return H

    def cross(self, left: Array, right: Array, weights: Array | None) -> Array:
        columns = np.union1d(left, right)
        H = self.hessian(columns, weights)
        return H[np.ix_(np.searchsorted(columns, left), np.searchsorted(columns, right))]

    def _features(self, features: npt.NDArray[Any]) -> Any:
        """Columns of X by feature, with ones for the intercept's."""
        inner = self.inner.d
        if not self.ones:
            return self.X[:, features]
        if scipy.sparse.issparse(self.X):
            ones = scipy.sparse.csr_array(np.ones((self.n, 1)))
            return scipy.sparse.hstack([self.X, ones], format="csr")[:, features]
        panel = np.ones((self.n, len(features)), order="F")
        panel[:, features < inner] = self.X[:, features[features < inner]]
        return panel


def _scaled(panel: Any, factors: Array) -> Any:
    return panel.multiply(factors).tocsr() if scipy.sparse.issparse(panel) else panel * factors


def _dense(product: Any) -> Array:
    return product.toarray(order="C") if scipy.sparse.issparse(product) else product  # type: ignore[no-any-return]


@dataclass(frozen=True, eq=False, repr=False)
class MultinomialProblem(GlmProblem):
    """A penalised multinomial model."""

    design: ByClass
    loss: Multinomial

    @property
    def needs(self) -> frozenset[str]:
        p, d = self.penalty, self.design.d
        if isinstance(p, Grouped):
            return self.shared | {p.kind}
        free = np.isinf(p.low[:d]) & np.isinf(p.high[:d])
        smooth = not p.l1.any() and bool((free | ~self.moves[:d]).all())
        return self.shared | {"smooth-multinomial" if smooth else "multinomial"}

    @cached_property
    def moves(self) -> npt.NDArray[np.bool_]:
        """Coordinates that an infinite weight does not keep at zero."""
        return self.penalty.low < self.penalty.high

    @property
    def predictors(self) -> int:
        return int(self.design.n * self.design.classes)

    def split(self, w: Array) -> tuple[Array, Any]:
        coef, intercepts = self.design.split(w)
        return coef.copy(), intercepts.copy()

    def answer(self, state: Any) -> Array:
        return self.design.split(state.w)[0]

    def _balanced(self, v: Array, g: Array, sums: Sums, alive: Any) -> tuple[Array, Sums, Array, Array]:
        """Multiplied out: the slack of products that are not would be of first order."""
        balanced = self.loss.balanced(v, self.across.sum)
        return balanced, sums, self.design.transposed(balanced), np.zeros(self.design.d)


def flat_start(x0: Any, classes: int, d: int, ones: bool) -> Array | None:
    """x0 of shape (K, d), or (K, d + 1) with the intercepts last, as one vector."""
    if x0 is None:
        return None
    start = real_array(x0, "x0", ndim=2)
    widths = (d, d + 1) if ones else (d,)
    if start.shape[0] != classes or start.shape[1] not in widths:
        raise ValueError(f"x0 must have shape ({classes}, {d}){f' or ({classes}, {d + 1})' * ones}, not {start.shape}")
    return np.concatenate([start[:, :d].ravel(), start[:, d:].ravel()])
