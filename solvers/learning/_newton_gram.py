"""Prox-Newton steps on all the columns at once, for many more samples than features, whose rows may lie on many ranks.

A pass over the samples at w gives the loss, its gradient, and the Hessian X' D X of its quadratic model. Of the
samples nothing else is needed: where these are shared by ranks, one reduction a pass adds up what each has found, and
the model with the penalty, which is small, is minimised by every rank for itself, in C and to the end (quadratic.c).

1. Up to `whole` coefficients the Hessian of all is formed in the pass, and its lower triangle summed with the rest.
2. With more, and penalties that hold coefficients at zero, it is that of a working set: the coefficients in use and
   those that violate their conditions most. This takes a second reduction a step.
3. With more and a smooth objective conjugate gradients solve the Newton equations: a reduction a product.

After the proximal Newton method of Lee, Sun and Saunders (2014), arXiv 1206.1623. Differs in: 1. The model is solved to
rounding rather than to a share of its gradient, since that costs no pass. 2. A ridge, where the model has no minimum.
3. Huber's loss is flat beyond 1, so that the model may go many times too far: after such a step the next one has the
slope of the loss over the residual as curvature, and lies above the objective (reweighted least squares).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.method import Method, register
from .._base.options import option
from .._base.result import Status
from .._base.state import replace
from ._models import LARGEST_GRAM, LEAST, RIDGE, TINY, least, least_with_ridge
from ._panels import Panel
from ._problem import FitState, GlmProblem, GlmResult
from ._working_set import ARMIJO, HALVINGS, NOISE, SHORT

Array = npt.NDArray[Any]

#: Columns that join a working set at least.
FEWEST = 64
#: Conjugate gradients: products in a step at most, the least residual, and that which is always enough.
PRODUCTS, FINEST, ENOUGH = 500, 1e-8, 0.1


@dataclass(frozen=True, eq=False, kw_only=True)
class NewtonGramState(FitState):
    """Where the fit is."""

    #: The columns of the last model, and the lower triangle of the Hessian at w where it is that of all columns.
    columns: Array
    H: Array
    passes: int = 1
    products: int = 0
    #: Trials that a line search refused.
    refused: int = 0
    #: Whether the model lies above the objective, after a step of which little was taken.
    above: bool = False

    #: Fields whose shape is free.
    varying = ("columns", "H")


@dataclass(frozen=True)
class NewtonGram:
    """Prox-Newton steps by Gram matrices; see the module's text."""

    whole: int = option(1000, "coefficients up to which the Hessian of all is formed in each pass", low=0)

    def init(self, problem: GlmProblem) -> NewtonGramState:
        every = np.arange(problem.design.width)
        columns = every if len(every) <= self.whole or not problem.selects else np.flatnonzero(problem.w0)
        return self._evaluated(problem, problem.w0, None, columns=columns, nit=0)

    def step(self, problem: GlmProblem, state: NewtonGramState) -> NewtonGramState:
        target, columns, products = self._target(problem, state)
        way = target - state.w
        here, there = problem.penalty.value(state.w), problem.penalty.value(target)
        slope = min(float(state.g @ way) + there - here, 0.0)
        noise = NOISE * max(abs(problem.at_zero), abs(state.primal))
        has_above = problem.loss.has_above
        new = self._evaluated(
            problem, target, state, columns=columns, nit=state.nit + 1,
            above=has_above and not way.any(),
        )  # fmt: skip
        refused = 0
        if not new.primal <= state.primal + ARMIJO * slope + noise:
            share, refused = _shortened(problem, state, way, slope, noise)
            new = self._evaluated(
                problem, state.w + share * way, state, columns=columns, nit=state.nit + 1,
                above=has_above and share < SHORT,
            )  # fmt: skip
        gained = state.primal - new.primal > NOISE * abs(state.primal) or new.measure < 0.5 * state.measure
        idle = not gained and np.array_equal(columns, state.columns)
        return replace(
            new, idle=state.idle + 1 if idle else 0, passes=state.passes + 1 + (refused > 0),
            products=state.products + products, refused=state.refused + refused,
        )  # fmt: skip

    def _target(self, problem: GlmProblem, state: NewtonGramState) -> tuple[Array, Array, int]:
        """Where the model at w is least, the columns that may change in it, and the products that it took."""
        if problem.design.width <= self.whole:
            return _minimum(problem, state, _square(state.H, len(state.w))), state.columns, 0
        D = None if problem.loss.quadratic and problem.loss.uniform else problem.loss.second(state.z)
        if state.above:
            D = problem.loss.above(state.z)
        if _is_smooth(problem):
            target, products = _by_products(problem, state, D)
            return target, state.columns, products
        columns = _grown(problem, state) if problem.selects else state.columns
        triangle = problem.across.sum(_triangle(_panel(problem, columns).gram(D)))
        return _minimum(problem, replace(state, columns=columns), _square(triangle, len(columns))), columns, 0

    def _evaluated(
        self,
        problem: GlmProblem,
        w: Array,
        last: NewtonGramState | None,
        *,
        columns: Array,
        nit: int,
        above: bool = False,
    ) -> NewtonGramState:
        """The state at w by a pass over the samples, and one reduction; `above`: see the state."""
        design, loss, H = problem.design, problem.loss, np.empty(0)
        z = design.product(w)
        v, D = np.empty(len(z)), np.empty(len(z))
        sums = loss.evaluate(z, v, D)
        if design.width <= self.whole and loss.quadratic and last is not None:
            H = last.H  # it does not change
        elif design.width <= self.whole:
            bend = loss.above(z) if above else D
            H = _triangle(_panel(problem, columns).gram(None if loss.quadratic and loss.uniform else bend))
        kept = last is not None and H is last.H
        sums, g, more = problem.summed(sums, design.transposed(v), None if kept else H)
        known = problem.bounded(w, z, v, D, g, sums)
        problem.remember(known)
        return NewtonGramState(
            w=w, z=z, g=g, primal=known.primal, dual=known.dual, kkt=known.kkt, nit=nit,
            measure=problem.measure(known), columns=columns, H=H if more is None else more.copy(), above=above,
        )  # fmt: skip

    def done(self, problem: GlmProblem, state: NewtonGramState) -> Status | None:
        return problem.status(state)

    def finish(self, problem: GlmProblem, state: NewtonGramState) -> GlmResult:
        stats = {"passes": state.passes, "hessian_products": state.products, "refused": state.refused}
        return problem.certified(state.w, state.nit, stats)


def _is_smooth(problem: GlmProblem) -> bool:
    penalty = problem.penalty
    return problem.kind.largest_l1 == 0 and bool(np.isinf(penalty.low).all() and np.isinf(penalty.high).all())


def _panel(problem: GlmProblem, columns: Array) -> Panel:
    """These columns of this rank's samples, kept from step to step where they are the same."""
    kept: tuple[Array, Panel] | None = problem._memory.get("columns")
    if kept is None or not np.array_equal(kept[0], columns):
        kept = problem._memory["columns"] = columns, problem.design.panel(columns)
    return kept[1]


def _triangle(H: Array) -> Array:
    return H[np.tril_indices(len(H))]


def _square(triangle: Array, size: int) -> Array:
    H = np.empty((size, size))
    rows, columns = np.tril_indices(size)
    H[rows, columns] = triangle
    H[columns, rows] = triangle
    return H


def _minimum(problem: GlmProblem, state: NewtonGramState, H: Array) -> Array:
    """The coefficients at which the model of Hessian H on the state's columns is least; with a ridge if need be."""
    whole = len(state.columns) == len(state.w)
    w, g = (state.w, state.g) if whole else (state.w[state.columns], state.g[state.columns])
    penalty = problem.penalty if whole else problem.penalty.part(state.columns)
    violation = penalty.terms().measure(w, g)[1]
    found = least(problem, H, penalty, w, g, violation)
    if found is None:
        found = least_with_ridge(problem, H, penalty, w, g, violation)
    target = state.w.copy()
    target[state.columns] = w if found is None else found
    return target


def _grown(problem: GlmProblem, state: NewtonGramState) -> Array:
    """The working set: what is in use or wants to be of the last one, and the columns that violate most."""
    violation = problem.terms.violations(state.w, state.g) / np.maximum(problem.norms, TINY)
    old = state.columns
    kept = old[(state.w[old] != 0) | (violation[old] > 0)]
    if problem.design.ones:
        kept = np.union1d(kept, [problem.design.d])
    violation[kept] = 0
    candidates = violation.nonzero()[0]
    candidates = candidates[np.argsort(-violation[candidates], kind="stable")]
    room = max(FEWEST, 2 * int(np.count_nonzero(state.w)), len(old))
    room = min(room, max(FEWEST, int(np.sqrt(LARGEST_GRAM / 8)) - len(kept)))
    return np.union1d(kept, candidates[:room]).astype(np.intp)


def _by_products(problem: GlmProblem, state: NewtonGramState, D: Array | None) -> tuple[Array, int]:
    """The Newton step by conjugate gradients, with the diagonal as preconditioner, and the products it took."""
    design, l2 = problem.design, problem.penalty.l2
    gradient = state.g + l2 * state.w
    mean = 1.0 if D is None else float(problem.across.sum(np.array([D.sum()]))[0]) / problem.samples
    diagonal = l2 + max(mean, LEAST) * np.maximum(problem.norms, RIDGE * float(problem.norms.max())) ** 2
    goal = min(ENOUGH, max(np.sqrt(float(np.abs(gradient).max()) / max(problem.kkt_at_zero, TINY)), FINEST))
    x, r = np.zeros_like(gradient), -gradient
    y = r / diagonal
    p, product = y, float(r @ y)
    first, products = product, 0
    while products < PRODUCTS and product > goal**2 * first:
        Xp = design.product(p)
        q = problem.across.sum(design.transposed(Xp if D is None else D * Xp)) + l2 * p
        products += 1
        bend = float(p @ q)
        if not bend > 0:
            break
        x, r = x + (product / bend) * p, r - (product / bend) * q
        y = r / diagonal
        before, product = product, float(r @ y)
        p = y + (product / before) * p
    return state.w + (x if x.any() else y), products


def _shortened(
    problem: GlmProblem, state: NewtonGramState, way: Array, slope: float, noise: float
) -> tuple[float, int]:
    """How much of the way lowers the objective enough, and the trials before; by the predictors, without a pass."""
    along, trial = problem.design.product(way), np.empty(len(state.z))
    share = 0.5
    for refused in range(1, HALVINGS):
        loss = np.array([problem.loss.terms.evaluate(state.z, None, None, along, share, trial)[0]])
        value = float(problem.across.sum(loss)[0]) + problem.penalty.value(state.w + share * way)
        if value <= state.primal + ARMIJO * share * slope + noise:
            return share, refused
        share /= 2
    return 0.0, HALVINGS


METHOD = register(
    Method(
        name="newton-gram",
        family="learning",
        summary="prox-Newton steps on all columns, a pass and one sum over the ranks each, for many more samples",
        reference="Lee, Sun, Saunders (2014), Proximal Newton-type methods for minimizing composite functions, "
        "arXiv 1206.1623",
        solver=NewtonGram,
        capabilities=frozenset({"glm", "sharded"}),
    )
)
