"""The checked problem of a penalised generalised linear model, its certificate, and the result.

    minimise  F(w) = loss(X w) + penalty(w)

Where there is an intercept it is the last coordinate of w, with a column of ones and no penalty.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.result import SolveResult
from ._design import Design
from ._groups import Grouped
from ._losses import Loss
from ._penalty import Separable

Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class GlmResult(SolveResult):
    """Result of a fit: a `SolveResult` with the following.

    Attributes
    ----------
    x, coef : ndarray, shape (d,)
        The coefficients; of the loss "multinomial" of shape (K, d), a row for each class.
    intercept : float, or ndarray of shape (K,)
        0 without one.
    fun : float
        The objective: the loss summed over the samples, and the penalty.
    gap : float
        An upper bound, >= 0, of how far `fun` is from its least value, recomputed from the returned coefficients. NaN
        where coefficients other than the intercept have neither penalty nor bounds.
    kkt : float
        The largest violation of an optimality condition, in units of the gradient of the loss.
    support : ndarray of int
        Features with a coefficient that is not zero.
    """

    coef: Array
    intercept: float | Array
    fun: float
    gap: float
    kkt: float
    support: Array


@dataclass(frozen=True)
class Certificate:
    """What is known of a w from one pass over the data."""

    #: The gradient of the loss in w.
    g: Array
    primal: float
    #: A lower bound of the least objective; -inf where none is known.
    dual: float
    kkt: float


@dataclass(frozen=True, eq=False, repr=False)
class GlmProblem:
    """A penalised generalised linear model, ready for the methods."""

    design: Design
    loss: Loss
    penalty: Separable | Grouped
    w0: Array
    #: What the gap, in units of the objective at zero, must come down to.
    tol: float
    max_iter: int
    copies: int
    threads: int
    _memory: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<{self.title}>"

    @property
    def title(self) -> str:
        """For logs."""
        name = type(self.loss).__name__.lower()
        return f"{name} loss, {self.design.n} samples x {self.design.d} features"

    @property
    def needs(self) -> frozenset[str]:
        """The capabilities that a method must have."""
        return frozenset({self.penalty.kind})

    @property
    def stats(self) -> dict[str, Any]:
        return {"copies": self.copies, "threads": self.threads}

    def answer(self, state: Any) -> Array:
        """The coefficients of a state."""
        return state.w[: self.design.d]  # type: ignore[no-any-return]

    def split(self, w: Array) -> tuple[Array, Any]:
        """Coefficients and intercept."""
        return w[: self.design.d].copy(), float(w[-1]) if self.design.ones else 0.0

    @property
    def has_dual(self) -> bool:
        """Whether every coordinate but the intercept has a penalty or bounds, so that there is a dual bound."""
        return bool(np.all(self.penalty.is_coercive[: self.design.d]))

    @property
    def predictors(self) -> int:
        """The length of X w."""
        return int(self.design.n)

    @property
    def at_zero(self) -> float:
        """The objective at w = 0."""
        if "at_zero" not in self._memory:
            self._memory["at_zero"] = self.loss.value(np.zeros(self.predictors))
        return self._memory["at_zero"]  # type: ignore[no-any-return]

    def certificate(self, w: Array, z: Array) -> Certificate:
        """The objective, a dual bound and the violation at w, where z = X w."""
        v = self.loss.derivative(z)
        g = self.design.transposed(v)
        primal = self.loss.value(z) + self.penalty.value(w)
        kkt = float(self.penalty.residual(w, g).max(initial=0.0))
        return Certificate(g, primal, self._dual(v, g) if self.has_dual else -np.inf, kkt)

    def _dual(self, v: Array, g: Array) -> float:
        """The dual objective at the best multiple of the derivative v, whose products with the columns are g."""
        d, slack = self.design.d, np.zeros(1)
        if self.design.ones:
            balanced = self.loss.balanced(v)
            slack = self.design.norms[:d] * np.linalg.norm(balanced - v)
            v = balanced
        return self._dual_at(v, g, slack)

    def _dual_at(self, v: Array, g: Array, slack: Array) -> float:
        """The dual objective at the best multiple of v, which the intercept's sums allow; g is known to `slack`."""
        d = self.design.d
        features = self.penalty.part(np.arange(d))
        low, high = features.limits(-g[:d], slack)
        # Where the penalty's conjugate is 0 or infinite, the best multiple is that of the loss alone.
        scale = min(max(self.loss.scale(v) if features.is_gauge else 1.0, low), high)
        return -self.loss.conjugate(scale * v) - features.conjugate(-scale * g[:d], abs(scale) * slack)

    def measure(self, certificate: Certificate, dual: float) -> float:
        """The gap in units of the objective at zero; without a dual, the violation in units of that at zero."""
        if not self.has_dual:
            return certificate.kkt / max(self.kkt_at_zero, np.finfo(float).tiny)
        if self.at_zero == 0:
            return 0.0 if certificate.primal <= 0 else np.inf
        return max(certificate.primal - dual, 0.0) / abs(self.at_zero)

    @property
    def kkt_at_zero(self) -> float:
        """The violation at w = 0."""
        if "kkt_at_zero" not in self._memory:
            zero = np.zeros(self.design.width)
            self._memory["kkt_at_zero"] = self.certificate(zero, np.zeros(self.predictors)).kkt
        return self._memory["kkt_at_zero"]  # type: ignore[no-any-return]

    def certified(self, w: Array, best_dual: float, stats: dict[str, Any], **common: Any) -> GlmResult:
        """The result at w, all of it recomputed from w and the data."""
        certificate = self.certificate(w, self.design.product(w))
        dual = max(certificate.dual, best_dual)
        coef, intercept = self.split(w)
        return GlmResult(
            x=coef, coef=coef, intercept=intercept, fun=certificate.primal,
            gap=max(certificate.primal - dual, 0.0) if self.has_dual else np.nan, kkt=certificate.kkt,
            support=np.flatnonzero(np.atleast_2d(coef).any(axis=0)), measure=self.measure(certificate, dual),
            stats=stats, **common,
        )  # fmt: skip
