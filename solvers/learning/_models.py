"""The quadratic model of a loss on a working set of columns, and how it is minimised together with the penalty.

There are two ways. The Gram matrix X_W' D X_W, formed once, takes an active-set method to rounding however bad the
conditioning is (quadratic.c); it costs about n p^2 operations, and its factor |S|^3 / 3. Where p is in the thousands,
sweeps over the columns against a kept residual, and conjugate gradients (sweeps.c), are mostly there for a fraction of
that. How many they take is not known beforehand: they are tried where a good many cost less than the Gram matrix does,
and given up once they have cost as much.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from . import _kernels
from ._gram import GramCache
from ._panels import Panel
from ._problem import GlmProblem, Kind

Array = npt.NDArray[Any]

#: Phases of the active-set method in one model.
PHASES = 10_000

#: The same of a loss that is not quadratic, whose next model is another one: where samples have next to no curvature,
#: as with Huber's loss, and there are more columns than samples, ten thousand phases may take a minute.
MODEL_PHASES = 200

#: Sweeps are tried where so many of them cost less than the Gram matrix and what follows: for least squares, and for
#: one Newton step of many.
SWEEPS, FEWER_SWEEPS = 40, 15

#: Sweeps are given up when they have cost the Gram matrix and what follows; for least squares, which keep that matrix,
#: this share of it, and for one Newton step, of which there are few more, so many times.
GIVEN, GIVEN_ANEW = 0.5, 4.0

#: Columns whose Gram matrix is formed in any case.
FEW = 50

#: Sweeps at most where there is no other way.
MOST_SWEEPS = 5000

#: Nanoseconds of the active-set method: by the square of the columns, and by the cube of those in use, say half.
BY_SQUARE, BY_CUBE = 12.0, 0.03 / 8

#: Without a penalty, where there are more columns than this share of the samples, many come and go, each at the square
#: of those in use: nanoseconds.
CLOSE, BY_EXCHANGES = 0.75, 0.2

#: A pass over the columns, as a share of a sweep.
A_PASS = 0.3

#: Nanoseconds of an entry that is read in sweeps.
NS_AN_ENTRY = 1.0

#: Bytes that no Gram matrix may have where there is another way.
LARGEST_GRAM = 2.0**31

#: The least curvature of a sample in a model, and of a coefficient, relative to the largest.
LEAST = 1e-15

#: The ridge that is tried where a model has no minimum, relative to its diagonal, and by how much it grows.
RIDGE, STEEPER, LARGEST_RIDGE = 1e-14, 10.0, 1e4

#: The norm that shorter columns count with in single precision.
SMALLEST = 1e-290

TINY = 1e-300


class Model(ABC):
    """The model on the columns W, `penalty` their share of it."""

    #: Whether it is minimised by sweeps.
    swept: ClassVar[bool]

    def __init__(self, problem: GlmProblem, columns: Array, penalty: Any) -> None:
        self.problem, self.columns, self.penalty = problem, columns, penalty
        #: The curvatures of the samples in it, how often these were renewed, and whether they should be.
        self.D: Array | None = None
        self.made, self.slow = 0, False
        #: Whether it brought all that was asked for.
        self.sufficed = True
        #: What later steps may use again.
        self.hessian = NO_HESSIAN

    @cached_property
    def panel(self) -> Panel:
        """The columns, kept from model to model where they are the same."""
        kept: tuple[Array, bool, Panel] | None = self.problem._memory.get("panel")
        if kept is None or kept[1] != self.swept or not np.array_equal(kept[0], self.columns):
            kept = self.columns, self.swept, self.problem.design.panel(self.columns, self.swept)
            self.problem._memory["panel"] = kept
        return kept[2]

    def renewed(self, D: Array, enough: float) -> bool:
        """Takes the curvatures D, unless its own differ by no more than a share `enough`; whether it did."""
        if self.D is not None and not self.slow and np.abs(D - self.D).sum() <= enough * self.D.sum():
            return False
        self.D, self.made, self.slow = D, self.made + 1, False
        return True

    @abstractmethod
    def minimum(self, w: Array, v: Array, g: Array, violation: float, share: float) -> Array | None:
        """Where the model at w is least with the penalty, the loss having the derivative v and the gradient g there.

        As exactly as the violation in w makes sensible, for sweeps a share of it. None where there is no minimum.
        """


class Hessian(NamedTuple):
    """That of a loss which is not quadratic, at the curvatures D of the samples, in some columns, rising."""

    columns: Array
    D: Array
    H: Array

    def part(self, columns: Array) -> Hessian | None:
        """The same in some of its columns; None where others are among them."""
        if len(columns) > len(self.columns) or not np.isin(columns, self.columns, assume_unique=True).all():
            return None
        if len(columns) == len(self.columns):
            return self
        places = np.searchsorted(self.columns, columns)
        return Hessian(columns, self.D, np.ascontiguousarray(self.H[np.ix_(places, places)]))


#: Of no columns.
NO_HESSIAN = Hessian(np.empty(0, np.intp), np.empty(0), np.empty((0, 0)))


class GramModel(Model):
    """By the Gram matrix; `kept`: one of a step before, which may serve again.

    `single`: in single precision where that takes less time, which is enough for a step unless the columns all but
    depend on one another.
    """

    swept = False

    def __init__(
        self, problem: GlmProblem, columns: Array, penalty: Any, kept: Hessian = NO_HESSIAN, single: bool = False
    ) -> None:
        super().__init__(problem, columns, penalty)
        self.scale = scale_of(problem)[columns] if single else None
        part = kept.part(columns)
        if part is not None and len(columns):
            self.hessian, self.D = part, part.D

    def _hessian(self) -> Array:
        if self.problem.loss.quadratic:
            return kept_gram(self.problem, self.scale is not None).of(self.columns)
        if self.hessian.D is not self.D:
            assert self.D is not None
            self.hessian = Hessian(self.columns, self.D, self.panel.gram(self.D, self.scale))
        return self.hessian.H

    def minimum(self, w: Array, v: Array, g: Array, violation: float, share: float) -> Array | None:
        given = self.problem, self._hessian(), self.penalty, w, g, violation
        found, loss = least(*given), self.problem.loss
        if found is None and self.scale is not None:
            self.scale, self.hessian = None, NO_HESSIAN
            return self.minimum(w, v, g, violation, share)
        if found is None and (loss.coupled or loss.curvature is None):  # of the others samples are given more curvature
            return least_with_ridge(*given)
        return found


def least(problem: GlmProblem, H: Array, penalty: Any, w: Array, g: Array, violation: float) -> Array | None:
    """Where the model of Hessian H and gradient g at w is least with the penalty; None where there is no minimum."""
    target, gradient = w.copy(), g.copy()
    if problem.kind.has_l2:
        H, gradient = H + np.diag(penalty.l2), g + penalty.l2 * w
    tol = tolerance(problem.kind, g, violation)
    before, model = gradient.copy(), _kernels.Quadratic(H, penalty.l1, penalty.low, penalty.high, target, gradient)
    endless = np.isinf(model.minimise(tol, PHASES if problem.loss.quadratic else MODEL_PHASES))
    # What rounding makes of a matrix that is all but singular may lie above w, or next to infinitely far away.
    with np.errstate(over="ignore", invalid="ignore"):
        smooth, bent = 0.5 * (before + gradient) * (target - w), penalty.l1 * (np.abs(target) - np.abs(w))
        rise, sizes = float((smooth + bent).sum()), float((np.abs(smooth) + np.abs(bent)).sum())
    return None if endless or not rise <= 1e-13 * sizes < np.inf else target


def least_with_ridge(problem: GlmProblem, H: Array, penalty: Any, w: Array, g: Array, violation: float) -> Array | None:
    """The same with the least ridge with which there is a minimum; a step to it goes downhill."""
    ridge, found = RIDGE, None
    diagonal = H.diagonal() + penalty.l2
    diagonal = np.maximum(diagonal, LEAST * float(diagonal.max(initial=1.0)))
    while found is None and ridge < LARGEST_RIDGE:
        found, ridge = least(problem, H + np.diag(ridge * diagonal), penalty, w, g, violation), ridge * STEEPER
    return found


def tolerance(kind: Kind, g: Array, violation: float) -> float:
    """What a model is solved to: the square of the violation, in units of the largest gradient, not below rounding."""
    size = max(float(np.abs(g).max(initial=0.0)), kind.largest_l1, violation)
    return max(1e-3 * violation * min(1e-2, violation / size), 1e-16 * size) if size > 0 else 0.0


class SweepModel(Model):
    """By sweeps over the columns; `most`: nanoseconds after which they are given up."""

    swept = True

    def __init__(self, problem: GlmProblem, columns: Array, penalty: Any, most: float) -> None:
        super().__init__(problem, columns, penalty)
        self.most = most

    def renewed(self, D: Array, enough: float) -> bool:
        """Always: it costs nothing."""
        return super().renewed(D, -1.0)

    def minimum(self, w: Array, v: Array, g: Array, violation: float, share: float) -> Array:
        target, penalty, loss = w.copy(), self.penalty, self.problem.loss
        weights = self.D if not loss.quadratic else None if loss.uniform else loss.s
        terms = penalty.l1, penalty.l2, penalty.low, penalty.high
        sweeps = self.panel.sweeps(weights, terms, target, v.copy())
        tol = share * violation
        self.sufficed = sweeps.minimise(tol, self.most / NS_AN_ENTRY) <= tol
        return target


def model_of(
    problem: GlmProblem, columns: Array, penalty: Any, may_sweep: bool, kept: Hessian = NO_HESSIAN, single: bool = False
) -> Model:
    """The model that promises to be minimised soonest; `kept`: the Hessian of a step before; `single`: see there."""
    if problem.loss.quadratic:
        single = single and single_pays(problem, columns)
    if len(columns) <= FEW:
        return GramModel(problem, columns, penalty, kept, single)
    gram, sweep = problem.design.costs(columns, single)
    p = float(len(columns))
    if problem.loss.quadratic and p:
        gram *= kept_gram(problem, single).lacking(columns) / p
    gram += p * p * (BY_SQUARE + BY_CUBE * p)
    if not problem.has_dual and p > CLOSE * problem.design.n:
        gram += BY_EXCHANGES * p * min(p, problem.design.n) ** 2
    if 8 * p * p > LARGEST_GRAM and np.isfinite(sweep):
        return SweepModel(problem, columns, penalty, MOST_SWEEPS * sweep)
    quadratic = problem.loss.quadratic
    # Of least squares with many more columns than samples all depend on one another, and sweeps crawl; but where
    # nothing has a penalty any of the many answers will do.
    many = quadratic and p > 2 * problem.design.n and not problem.kind.has_l2 and problem.has_dual
    if may_sweep and not many and (SWEEPS if quadratic else FEWER_SWEEPS) * sweep < gram:
        return SweepModel(problem, columns, penalty, (GIVEN if quadratic else GIVEN_ANEW) * gram)
    return GramModel(problem, columns, penalty, kept, single)


def by_samples_pays(problem: GlmProblem) -> bool:
    """Whether a matrix of the samples' size, formed and factored, costs less than sweeps would."""
    n, d = float(problem.design.n), problem.design.d
    formed = problem.design.costs(np.arange(d))
    return 8 * n * n <= LARGEST_GRAM and n * n * (8 * BY_CUBE * n + 0.04 * d) <= FEWER_SWEEPS * formed[1]


def swept_model(model: Model) -> SweepModel:
    """The same model by sweeps, where its Gram matrix is of no use."""
    sweep = model.problem.design.costs(model.columns)[1]
    return SweepModel(model.problem, model.columns, model.penalty, 10 * SWEEPS * sweep)


def may_be_single(problem: GlmProblem, exact: bool) -> bool:
    """Whether there is a Gram matrix of least squares in single precision, and none in double, kept or to be shared."""
    has_single = problem.design.has_single and problem.has_dual and problem.loss.quadratic
    return has_single and not exact and "gram" not in problem._memory


def single_pays(problem: GlmProblem, columns: Array) -> bool:
    """Whether a Gram matrix of least squares in single precision saves more than another step costs.

    Another one it takes, since what is in error by 1e-7 is no exact model any more. Near as many columns as samples are
    too close to depend on one another for that.
    """
    design = problem.design
    if 2 * len(columns) > design.n or not may_be_single(problem, False):
        return False
    saved = design.costs(columns)[0] - design.costs(columns, True)[0]
    return saved > A_PASS * design.costs(np.arange(design.width))[1]


def scale_of(problem: GlmProblem) -> Array:
    """One over the norms of the columns, for Gram matrices in single precision."""
    memory = problem._memory
    if "scale" not in memory:
        memory["scale"] = 1 / np.maximum(problem.norms, SMALLEST)
    return memory["scale"]  # type: ignore[no-any-return]


def kept_gram(problem: GlmProblem, single: bool = False) -> GramCache:
    """The Gram matrix that a quadratic loss keeps; that in single precision is another one."""
    memory, name = problem._memory, "gram in single" if single else "gram"
    if name not in memory:
        weights, scale = None if problem.loss.uniform else problem.loss.s, scale_of(problem) if single else None
        memory[name] = GramCache(problem.design, weights, scale=scale)
    return memory[name]  # type: ignore[no-any-return]
