"""The checked problem of a penalised generalised linear model, its certificate, and the result.

    minimise  F(w) = loss(X w) + penalty(w)

Where there is an intercept it is the last coordinate of w, with a column of ones and no penalty.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._base.reducer import SERIAL, Reducer
from .._base.result import SolveResult, Status
from ._design import Design
from ._groups import Grouped
from ._losses import Loss, Sums
from ._penalty import Separable
from ._separation import separates

Array = npt.NDArray[Any]

EPSILON = float(np.finfo(float).eps)

#: Where no bound holds of all coefficients: how much larger than what is at hand they may be; roundings of a slope.
REACH, ROUNDINGS = 1e4, 8 * EPSILON

#: A coefficient beyond which there seems to be no minimum.
LARGEST = 1e8


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
        An upper bound, >= 0, of how far `fun` is from its least value, recomputed from the returned coefficients. Where
        coefficients other than the intercept have neither penalty nor two bounds it is one from the least value of all
        coefficients w for which ``sum_j norm(x_j) |w_j|`` is up to 10^4 times what it is here, or
        ``sqrt(2 F(0))`` if that is more.
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


@dataclass(frozen=True, eq=False)
class Certificate:
    """What is known of a w from one pass over the data."""

    w: Array
    #: X w, the first and the second derivative of the loss there (None: not asked for), and its gradient in w.
    z: Array
    v: Array
    D: Array | None
    g: Array
    sums: Sums
    primal: float
    #: A lower bound of the least objective; where there is none of all coefficients, one of those within reach.
    dual: float
    kkt: float
    #: The dual point is this share of the derivative in z, and what its balance for an intercept may change of |g|.
    share: float
    slack: Array | None
    #: The coordinates that were looked at; None: all. The others are known to be zero at the optimum.
    alive: Array | None = None


class Kind(NamedTuple):
    """What holds of the penalty of the features."""

    largest_l1: float
    has_l2: bool
    #: Whether the penalty of t w is t times that of w for t >= 0, so that its conjugate is 0 or infinite.
    is_gauge: bool
    #: Whether every feature has a penalty or two bounds, so that there is a dual bound.
    has_dual: bool


@dataclass(frozen=True, eq=False, kw_only=True)
class FitState:
    """Where a fit is; the methods add what they need."""

    w: Array
    #: X w, and the gradient of the loss there (0 in columns that were not looked at).
    z: Array
    g: Array
    primal: float
    #: A lower bound of the least objective, from the pass over the data at w and no other: see `Certificate`.
    dual: float
    kkt: float
    nit: int
    measure: float
    #: Steps in a row that brought nothing.
    idle: int = 0


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
    #: Columns that are likely to be in use, beside those of w0; and a full certificate at w0 of another penalty.
    guess: Array | None = None
    warm: Certificate | None = None
    #: The ranks that share the samples. X w and all that has an entry a sample is of this rank's own; sums, gradients
    #: and what follows from them are of all.
    across: Reducer = SERIAL
    _memory: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<{self.title}>"

    @property
    def title(self) -> str:
        """For logs."""
        name = type(self.loss).__name__.lower()
        return f"{name} loss, {self.samples} samples x {self.design.d} features"

    @cached_property
    def samples(self) -> int:
        """Samples of all ranks."""
        return int(self.across.sum(np.array([float(self.design.n)]))[0])

    @property
    def needs(self) -> frozenset[str]:
        """The capabilities that a method must have."""
        return self.shared | {self.penalty.kind}

    @property
    def shared(self) -> frozenset[str]:
        """What shared samples ask of a method."""
        return frozenset() if self.across is SERIAL else frozenset({"sharded"})

    @property
    def stats(self) -> dict[str, Any]:
        ranks = {"ranks": self.across.size} if self.across is not SERIAL else {}
        return {"copies": self.copies, "threads": self.threads, **ranks}

    def answer(self, state: Any) -> Array:
        """The coefficients of a state."""
        return state.w[: self.design.d]  # type: ignore[no-any-return]

    @cached_property
    def terms(self) -> Any:
        """The penalty as the kernels want it."""
        return self.penalty.terms()

    @cached_property
    def kind(self) -> Kind:
        """What holds of the penalty at all."""
        return Kind(*self.terms.kind(self.design.d))

    @cached_property
    def selects(self) -> bool:
        """Whether coefficients may be held at zero, by an l1 term or a bound, so that few of them may be in use."""
        return self.kind.largest_l1 > 0 or bool(((self._features.low == 0) | (self._features.high == 0)).any())

    @property
    def has_dual(self) -> bool:
        """Whether there is a dual bound."""
        return self.kind.has_dual

    @cached_property
    def may_fall_for_ever(self) -> bool:
        """Whether the objective may have no least value."""
        return not (self.has_dual or self.loss.attained)

    def split(self, w: Array) -> tuple[Array, Any]:
        """Coefficients and intercept."""
        return w[: self.design.d].copy(), float(w[-1]) if self.design.ones else 0.0

    @property
    def predictors(self) -> int:
        """The length of X w."""
        return int(self.design.n)

    @cached_property
    def _features(self) -> Separable | Grouped:
        """The penalty without the intercept."""
        return self.penalty.part(np.arange(self.design.d)) if self.design.ones else self.penalty

    @cached_property
    def at_zero(self) -> float:
        """The objective at w = 0."""
        return float(self.across.sum(np.array([self.loss.value(np.zeros(self.predictors))]))[0])

    def certificate(self, w: Array, z: Array, second: bool = False, alive: Array | None = None) -> Certificate:
        """The objective, a dual bound and the violation at w, where z = X w.

        With `alive`, int32, the gradient in those coordinates alone: all is then of the problem without the others.
        """
        v, D = np.empty(len(z)), np.empty(len(z)) if second else None
        sums = self.loss.evaluate(z, v, D)
        g = self.design.transposed(v, alive)
        if self.across.size > 1:
            sums, g, _ = self.summed(sums, g)
        return self.bounded(w, z, v, D, g, sums, alive)

    def summed(self, sums: Sums, g: Array, more: Array | None = None) -> tuple[Sums, Array, Array | None]:
        """What this rank found in a pass, summed over all in one reduction; `more` is what else there is to sum."""
        parts = [np.array(sums), g] if more is None else [np.array(sums), g, more]
        total = self.across.sum(np.concatenate(parts))
        ends = len(sums), len(sums) + len(g)
        return Sums(*map(float, total[: ends[0]])), total[ends[0] : ends[1]], None if more is None else total[ends[1] :]

    @cached_property
    def norms(self) -> Array:
        """2-norms of the columns."""
        if self.across.size == 1:
            return self.design.norms
        return np.sqrt(self.across.sum(self.design.norms**2))

    def certificate_again(self, other: Certificate) -> Certificate:
        """The certificate at the same w of a problem that differs from this one in the penalty alone."""
        return self.bounded(other.w, other.z, other.v, other.D, other.g, other.sums, other.alive)

    def bounded(
        self, w: Array, z: Array, v: Array, D: Array | None, g: Array, sums: Sums, alive: Array | None = None
    ) -> Certificate:
        """What the penalty adds to a pass over the data."""
        value, kkt, low, high = self.terms.measure(w, g)
        primal = sums.value + value
        if not self.has_dual:
            bound = primal - self._gap_within_reach(w, g)
            if self.loss.nonnegative:
                bound = max(bound, 0.0)
            return Certificate(w, z, v, D, g, sums, primal, bound, kkt, 0.0, None, alive)
        point, at_point, at_columns, slack = v, sums, g, None
        if self.design.ones:
            point, at_point, at_columns, slack = self._balanced(v, g, sums, alive)
            low, high = self._features.limits(-at_columns[: self.design.d], slack)
        # Where the penalty's conjugate is 0 or infinite, the best multiple is that of the loss alone.
        best = self.loss.scale(at_point.square, at_point.cross) if self.kind.is_gauge else 1.0
        share = min(max(best, low), high)
        conjugate = self.loss.conjugate(point, share, at_point.square, at_point.cross)
        dual = -(conjugate if self.loss.by_sums else float(self.across.sum(np.array([conjugate]))[0]))
        if slack is not None:
            dual -= self._features.conjugate(-share * at_columns[: self.design.d], abs(share) * slack)
        elif not self.kind.is_gauge:
            dual -= self.terms.conjugate(g, share)
        return Certificate(w, z, v, D, g, sums, primal, dual, kkt, share, slack, alive)

    def _gap_within_reach(self, w: Array, g: Array) -> float:
        """How much lower than at w the objective may be at coefficients that are not much larger: by convexity no more
        than the slopes give. Those that rounding of X w makes lead no further than the size at hand."""
        size, unit = float(self.norms @ np.abs(w)), float(np.sqrt(2 * abs(self.at_zero) * self.heaviest))
        noise = ROUNDINGS * (self.heaviest * size + unit)
        if not np.isfinite(noise):
            return np.inf
        own, steepest = self.terms.slopes(self.norms, w, g)
        return float(own + (REACH if steepest > noise else 1.0) * max(size, unit / self.heaviest) * steepest)

    @cached_property
    def heaviest(self) -> float:
        """The largest weight of a sample."""
        return float(self.across.max(np.array([self.loss.s.max(initial=0.0)]))[0])

    def _balanced(self, v: Array, g: Array, sums: Sums, alive: Array | None) -> tuple[Array, Sums, Array, Array]:
        """A dual point that sums to zero, its sums, its products with the columns, and by how much these may differ."""
        balanced = self.loss.balanced(v, self.across.sum)
        apart, weighted = balanced - v, balanced / self.loss.s
        numbers = np.array([apart @ apart, weighted @ balanced, balanced @ self.loss.y])
        distance, square, cross = map(float, self.across.sum(numbers))
        slack = self.norms[: self.design.d] * np.sqrt(distance)
        if alive is not None:
            kept = np.zeros(len(slack))
            kept[alive] = slack[alive]
            slack = kept
        return balanced, Sums(sums.value, square, cross, 0.0), g, slack

    def measure(self, certificate: Certificate) -> float:
        """The gap in units of the objective at zero.

        It is of this certificate alone: what an earlier pass knew is not taken, though it may be a better bound, so
        that whoever has the coefficients can compute the same.
        Poisson's objective has no least value of its own: where it is far below zero, that is the unit. No gap is known
        to be smaller than the rounding of the objective, whatever the difference of the two numbers is.
        """
        if self.at_zero == 0:
            return 0.0 if certificate.primal <= 0 else np.inf
        gap = max(certificate.primal - certificate.dual, EPSILON * abs(certificate.primal))
        return gap / max(abs(self.at_zero), -certificate.primal)

    def status(self, state: FitState) -> Status | None:
        """Whether a fit is done, or can only be given up."""
        if self.may_fall_for_ever and separates(self, state.w, state.z):
            return Status.DIVERGED
        if state.measure <= self.tol:
            return Status.CONVERGED
        if not np.isfinite(state.primal):
            return Status.NONFINITE
        if self.may_fall_for_ever and np.abs(state.w).max(initial=0) > LARGEST:
            return Status.DIVERGED
        return Status.STAGNATION if state.idle >= 3 else None

    @cached_property
    def kkt_at_zero(self) -> float:
        """The violation at w = 0."""
        return self.certificate(np.zeros(self.design.width), np.zeros(self.predictors)).kkt

    def remember(self, certificate: Certificate) -> None:
        """Keeps the certificate of the last w, made from X w."""
        self._memory["certificate"] = certificate

    def known(self, w: Array) -> Certificate | None:
        """The certificate of this very array, where it was the last one that was remembered."""
        last: Certificate | None = self._memory.get("certificate")
        return last if last is not None and last.w is w else None

    def whole(self, w: Array) -> Certificate:
        """The certificate at w of all columns, computed from w unless it is known, and remembered."""
        known = self.known(w)
        if known is None or known.alive is not None:
            z = self.design.product(w) if known is None else known.z
            known = self.certificate(w, z, not self.loss.quadratic)
            self.remember(known)
        return known

    def certified(self, w: Array, nit: int, stats: dict[str, Any], measure: float | None = None) -> GlmResult:
        """The result at w, all of it computed from w and the data; its measure, where the method has it already."""
        certificate = self.whole(w)
        coef, intercept = self.split(w)
        return GlmResult.of(
            x=coef, coef=coef, intercept=intercept, fun=certificate.primal,
            gap=max(certificate.primal - certificate.dual, 0.0), kkt=certificate.kkt,
            support=coef.nonzero()[0] if coef.ndim == 1 else np.nonzero(coef.any(axis=0))[0],
            measure=self.measure(certificate) if measure is None else measure,
            success=False, status=Status.MAX_ITER, message="", nit=nit, stats=stats,
        )  # fmt: skip
