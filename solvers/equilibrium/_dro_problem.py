"""The worst mixture of groups as an inclusion: the checked data, its operator and derivatives, and its bounds.

min over w, max over q in the simplex, of  sum_g q_g f_g(w) + l2/2 |w|^2,  f_g the mean loss of group g's rows. With
z = (w, q) the operator is F(z) = (sum_g q_g f_g'(w) + l2 w, -f(w)), and G the normal cone of all w times the simplex.
"""

from __future__ import annotations

import math
import weakref
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.result import Status
from .._base.validate import check_finite, nonnegative, real_array
from ._group_sum import GroupSum, Samples
from ._operators import Operator
from ._problem import Certificate, EquilibriumResult, Inclusion
from ._sets import as_prox, length

Array = npt.NDArray[Any]

#: The losses by name; the numbers are those of loss_kinds.h.
LOSSES = {"squared": 0, "logistic": 1, "huber": 2, "squared_hinge": 3, "poisson": 4}
#: Those of labels, +1 and -1.
_OF_LABELS = ("logistic", "squared_hinge")


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class GroupDroResult(EquilibriumResult):
    """Result of `group_dro`: an `EquilibriumResult` whose x is ``(coef, weights)``, with the following.

    Attributes
    ----------
    coef : ndarray, shape (d,)
        The w whose worst group fares best.
    weights : ndarray, shape (groups,)
        The worst mixture q, in the order of `group_labels`.
    group_labels : ndarray
        The distinct groups, sorted.
    group_losses : ndarray, shape (groups,)
        The mean loss of each at coef.
    value : float
        The largest of them, with the penalty.
    value_bounds : tuple of float
        What the least possible value lies between; the lower bound is -inf where l2 is 0.
    gap : float
        The difference of the two.
    """

    coef: Array
    weights: Array
    group_labels: Array
    group_losses: Array
    value: float
    value_bounds: tuple[float, float]


@dataclass(eq=False, repr=False)
class GroupDro(Inclusion):
    """The checked problem. The fields with defaults are all given by `group_dro_problem`."""

    X: Array = None  # type: ignore[assignment]
    y: Array = None  # type: ignore[assignment]
    group: Array = None  # type: ignore[assignment]
    labels: Array = None  # type: ignore[assignment]
    kind: int = 1
    l2: float = 0.0
    #: Samples of the rows by their stride.
    coarse: dict[int, Samples] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """For logs."""
        return f"{len(self.y)} samples of {self.X.shape[1]} features in {len(self.labels)} groups"

    @property
    def kinds(self) -> tuple[str, ...]:
        """The capabilities that each serve this problem, the most special first."""
        return ("group-dro", "inclusion")

    @property
    def epochs(self) -> float:
        """Passes over the rows."""
        return self.operator.nfev + self.ncomp / len(self.y)

    @cached_property
    def samples(self) -> Samples:
        """All rows, in the user's order."""
        return Samples(self.X, self.y, self.group, self.kind, self.threads)

    @cached_property
    def sums(self) -> GroupSum:
        """All rows by group, for variance-reduced steps."""
        return GroupSum(self)

    def split(self, z: Array) -> tuple[Array, Array]:
        """w and q of z."""
        return z[: self.X.shape[1]], z[self.X.shape[1] :]

    def operator_of(self, w: Array, q: Array, f: Array, J: Array) -> Array:
        """F at (w, q), given the losses and their gradients."""
        return np.concatenate([q @ J + self.l2 * w, -f])

    def whole(self, z: Array) -> Array:
        """F(z), by one pass over the rows."""
        w, q = self.split(z)
        f, J, _ = self.samples.losses(np.ascontiguousarray(w))
        return self.operator_of(w, q, f, J)

    # ---- how far a point is ----------------------------------------------------------------------

    def bounds(self, z: Array, Fz: Array) -> tuple[float, float]:
        """Bounds of the value: above by the worst group, below by a mixture and the strong convexity in w."""
        w, q = self.split(z)
        slope, losses = self.split(Fz)
        penalty = self.l2 / 2 * float(w @ w)
        above = float(-losses.min()) + penalty
        mixed = float(-losses @ q) + penalty
        return (mixed - float(slope @ slope) / (2 * self.l2) if self.l2 > 0 else -math.inf), above

    def gap(self, z: Array, Fz: Array) -> float:
        """The distance of the bounds, not below 0 by rounding."""
        below, above = self.bounds(z, Fz)
        return max(above - below, 0.0)

    def certificate(self, z: Array, Fz: Array, step: float) -> Certificate:
        """The shortest element of the inclusion at z itself: what q does not use may have any smaller loss."""
        v = Fz.copy()
        losses, used = self.split(v)[1], self.split(z)[1] > 0
        losses -= losses[used].mean()
        losses[~used] = np.minimum(losses[~used], 0.0)
        return Certificate(z, v, length(v), float(np.abs(v).max(initial=0.0)), step)

    def result(self, z: Array, step: float, stats: dict[str, Any]) -> GroupDroResult:
        """The result with z as the answer, everything about it recomputed by one pass; `run` fills in the rest."""
        z = z.copy()
        Fz = self.evaluate(z)
        w, q = self.split(z)
        below, above = self.bounds(z, Fz)
        return GroupDroResult(
            x=z, success=False, status=Status.MAX_ITER, message="", nit=0, measure=self.measure(z, Fz, step),
            stats=stats, residual=self.natural(z, Fz), residual_kind=str(self.criterion), gap=self.gap(z, Fz),
            certificate=self.certificate(z, Fz, step), nfev=self.operator.nfev, ncomp=self.ncomp, epochs=self.epochs,
            coef=w, weights=q, group_labels=self.labels, group_losses=-self.split(Fz)[1], value=above,
            value_bounds=(below, above),
        )  # fmt: skip


def group_dro_problem(X: Any, y: Any, groups: Any, loss: str, l2: Any, check: bool, x0: Any, **common: Any) -> GroupDro:
    """The problem from the user's data."""
    if loss not in LOSSES:
        raise ValueError(f"loss must be one of {', '.join(LOSSES)}, not {loss!r}")
    design = np.ascontiguousarray(real_array(X, "X", ndim=2))
    target = np.ascontiguousarray(real_array(y, "y", ndim=1))
    if 0 in design.shape:
        raise ValueError(f"X is empty: shape {design.shape}")
    if len(target) != len(design):
        raise ValueError(f"y must have length {len(design)}, that of X, not {len(target)}")
    copies = sum(isinstance(given, np.ndarray) and not np.shares_memory(given, own)
                 for given, own in ((X, design), (y, target)))  # fmt: skip
    if check:
        check_finite(design, "X")
        check_finite(target, "y")
    l2 = nonnegative(l2, "l2")
    labels, group = _groups(groups, len(target))
    sizes = (design.shape[1], len(labels))
    problem = GroupDro(
        operator=Operator(lambda z: own.whole(z), sum(sizes)), prox=as_prox(("free", "simplex"), sizes),
        z0=_start(x0, *sizes), X=design, y=_targets(target, loss), group=group, labels=labels,
        kind=LOSSES[loss], l2=float(l2), copies=copies, sizes=sizes, **common,
    )  # fmt: skip
    own: GroupDro = weakref.proxy(problem)  # which holds the operator
    return problem


def _targets(y: Array, loss: str) -> Array:
    if loss == "poisson" and y.min() < 0:
        raise ValueError(f"y must be counts >= 0 for the poisson loss, not {y.min()}")
    if loss not in _OF_LABELS:
        return y
    if (np.abs(y) == 1).all():
        return y
    if not ((y == 0) | (y == 1)).all():
        raise ValueError(f"y must be labels for the {loss} loss: -1 and 1, or 0 and 1")
    return 2 * y - 1


def _groups(groups: Any, n: int) -> tuple[Array, Array]:
    """The distinct labels, sorted, and the index of each row's."""
    given = np.asarray(groups)
    if given.shape != (n,):
        raise ValueError(f"groups must have shape ({n},), one label a row, not {given.shape}")
    if given.dtype.kind in "iu" and int(given.max()) - int(given.min()) < 4 * n:  # no sorting
        low = int(given.min())
        if given.dtype.kind == "u":
            shifted = (given - given.min()).astype(np.int64)
        else:  # narrow integers would wrap around
            shifted = given.astype(np.int64) - low if low else given
        counts = np.bincount(shifted)
        if counts.all():
            return np.arange(low, low + len(counts)), shifted.astype(np.int32, copy=False)
    if given.dtype.kind == "f":
        check_finite(given, "groups")
    labels, index = np.unique(given, return_inverse=True)
    return labels, index.astype(np.int32)


def _start(x0: Any, d: int, groups: int) -> Array:
    if x0 is None:
        return np.concatenate([np.zeros(d), np.full(groups, 1 / groups)])
    point = np.concatenate([real_array(part, "x0", ndim=1) for part in (x0 if isinstance(x0, tuple) else (x0,))])
    if len(point) == d:
        point = np.concatenate([point, np.full(groups, 1 / groups)])
    if len(point) != d + groups:
        raise ValueError(f"x0 must have {d} entries, or {d + groups} with the weights, not {len(point)}")
    check_finite(point, "x0")
    return point
