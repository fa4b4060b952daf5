"""Prox-Newton steps on a growing set of columns, each solved to the end by an active-set method on its Gram matrix.

A pass over the data at w gives the gradient, the duality gap and the columns whose optimality conditions are violated
most. These join the working set W; on W the loss is replaced by its quadratic model, whose Hessian X_W' D X_W is small
and dense, and the model with the penalty is minimised in C to a tolerance that falls with the square of the violation.
Least squares is its own model: its Gram matrix is kept, and grows by the new columns alone. The gap also tells of
columns that they are zero at the optimum (Gap Safe screening): those are not looked at again.

After the working sets of celer (Massias, Gramfort, Salmon, 2018, arXiv 1802.07481), the screening of Ndiaye, Fercoq,
Gramfort and Salmon (2017), arXiv 1611.05780, and the second-order block updates of Nutini, Laradji and Schmidt (2022),
arXiv 1712.08859. Differs in:
1. The problem on W is not swept to convergence: see quadratic.c.
2. As many columns join as have a Gram matrix that costs about what was spent before; few are all taken at once.
3. The model's gradient comes from the data at each step, so that its error does not stay in the answer.
4. A Hessian is used again where the samples' curvatures changed so little that its error will not be seen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.method import Method, register
from .._base.options import option
from .._base.result import Status
from .._base.state import replace
from . import _by_samples, _kernels
from ._design import FEWEST, Panel
from ._gram import GramCache
from ._problem import Certificate, GlmProblem, GlmResult

Array = npt.NDArray[Any]

#: Phases of the active-set method in one model; Newton steps between two passes over all columns.
PHASES, NEWTON_STEPS = 10_000, 3

#: The same without an l1 part, where all columns are worked on and a Hessian serves several steps.
SMOOTH_STEPS = 10

#: What the Gram matrix of the first columns may cost, in passes over the data.
FIRST_PASSES = 2.0

#: Sufficient decrease, and halvings of a step.
ARMIJO, HALVINGS = 1e-4, 60

#: A share of a step that tells of a bad model.
SHORT = 0.05

#: Rounding of the objective, relative to it or to that at zero.
NOISE = 1e-15

TINY = 1e-300

#: A coefficient beyond which there seems to be no minimum.
LARGEST = 1e8

#: Passes look at the columns that screening left, where these are less than this share.
FEW_LEFT = 0.3

#: What rounding may take off the bounds of screening.
SCREENING_MARGIN = 1e-9


@dataclass(frozen=True, eq=False)
class WorkingSetState:
    """Where the fit is."""

    w: Array
    #: X w, and the gradient of the loss there (0 in columns that were not looked at).
    z: Array
    g: Array
    #: The columns that are worked on, rising, and those that may be nonzero at the optimum.
    columns: Array
    alive: Array
    #: How many those are.
    left: int
    primal: float
    #: The best lower bound so far.
    dual: float
    kkt: float
    nit: int
    measure: float
    #: Steps in a row that brought nothing.
    idle: int
    newtons: int
    hessians: int

    #: Fields whose shape is free.
    varying = ("columns",)


@dataclass(frozen=True)
class WorkingSet:
    """Working sets and prox-Newton steps."""

    first: int = option(0, "columns that join the working set at first; 0: by their costs", low=0)
    screening: str = option("gap-safe", "what drops columns that are zero at the optimum", choices=("gap-safe", "none"))

    def init(self, problem: GlmProblem) -> WorkingSetState:
        design = problem.design
        columns = np.arange(design.width)
        room = self.first or max(FEWEST, design.affordable(columns, FIRST_PASSES))
        if design.width > room and problem.kind.largest_l1 > 0:
            used = problem.w0 != 0 if problem.guess is None else problem.guess | (problem.w0 != 0)
            used[design.d :] = True
            columns = used.nonzero()[0]
        alive = np.ones(design.width, bool)
        return self._evaluated(problem, problem.w0, columns, alive, design.width, -np.inf)

    def step(self, problem: GlmProblem, state: WorkingSetState) -> WorkingSetState:
        columns = self._grown(problem, state)
        w, newtons, hessians = _minimised(problem, state, columns)
        new = self._evaluated(problem, w, columns, state.alive, state.left, state.dual)
        gained = state.primal - new.primal > NOISE * abs(state.primal) or new.measure < 0.5 * state.measure
        idle = not gained and len(columns) == len(state.columns)
        return replace(
            new, nit=state.nit + 1, newtons=state.newtons + newtons, hessians=state.hessians + hessians,
            idle=state.idle + 1 if idle else 0,
        )  # fmt: skip

    def _grown(self, problem: GlmProblem, state: WorkingSetState) -> Array:
        """The working set with the columns that violate their conditions most, less those that were screened."""
        design = problem.design
        if len(state.columns) == design.width:
            return state.columns
        columns = state.columns if state.left == design.width else state.columns[state.alive[state.columns]]
        violation = problem.terms.violations(state.w, state.g) / np.maximum(design.norms, TINY)
        violation[columns] = 0
        if state.left < design.width:
            violation *= state.alive
        candidates = violation.nonzero()[0]
        candidates = candidates[np.argsort(-violation[candidates], kind="stable")]
        # The costs of a step may be a few times those of all before; as many as are in use are a guess of what lacks.
        room = self.first
        if not (room and state.nit == 0):
            both = np.concatenate([columns, candidates])
            affordable = design.affordable(both, FIRST_PASSES * 3.0**state.nit) - len(columns)
            room = max(FEWEST, affordable, int(np.count_nonzero(state.w)))
        return np.sort(np.concatenate([columns, candidates[:room]]))

    def _evaluated(
        self, problem: GlmProblem, w: Array, columns: Array, alive: Array, left: int, dual: float
    ) -> WorkingSetState:
        """The state at w, its certificate computed from w, and the columns that are left."""
        design, seen = problem.design, None
        if design.by_columns and left < FEW_LEFT * design.d:
            seen = alive[: design.d].nonzero()[0].astype(np.int32)
        if problem.warm is not None and problem.warm.w is w:
            known = problem.certificate_again(problem.warm)
        else:
            known = problem.certificate(w, design.product(w), not problem.loss.quadratic, seen)
        problem.remember(known)
        if self.screening == "gap-safe" and len(columns) < design.width:
            alive = alive & _may_be_nonzero(problem, known)
            left = int(np.count_nonzero(alive))
        dual = max(dual, known.dual)
        return WorkingSetState(
            w, known.z, known.g, columns, alive, left, known.primal, dual, known.kkt, 0, problem.measure(known, dual),
            0, 0, 0,
        )  # fmt: skip

    def done(self, problem: GlmProblem, state: WorkingSetState) -> Status | None:
        if state.measure <= problem.tol:
            return Status.CONVERGED
        if not np.isfinite(state.primal):
            return Status.NONFINITE
        if not problem.has_dual and np.abs(state.w).max(initial=0) > LARGEST:
            return Status.DIVERGED
        return Status.STAGNATION if state.idle >= 3 else None

    def finish(self, problem: GlmProblem, state: WorkingSetState) -> GlmResult:
        stats = {
            "newton_steps": state.newtons, "hessians": state.hessians,
            "working_set": len(state.columns), "screened": len(state.w) - state.left,
        }  # fmt: skip
        return problem.certified(
            state.w, state.dual, stats, success=False, status=Status.MAX_ITER, message="", nit=state.nit
        )


def _may_be_nonzero(problem: GlmProblem, known: Certificate) -> Array:
    """Columns of which the gap does not show that they are zero at the optimum.

    The dual objective is strongly concave: with curvatures of at most c s_i, the optimal dual point is within
    ``sqrt(2 c gap)`` of a known one in the norm ``sum v_i^2 / s_i``, and so are its products with a column of norm
    ``sum s_i x_i^2``.
    """
    loss, penalty = problem.loss, problem.penalty
    if loss.curvature is None or not np.isfinite(known.dual):
        return np.full(problem.design.width, True)
    radius = np.sqrt(2 * loss.curvature * max(known.primal - known.dual, 0.0) * loss.s.max())
    most = abs(known.share) * np.abs(known.g) + radius * problem.design.norms
    if known.slack is not None:
        most[: problem.design.d] += abs(known.share) * known.slack
        most[problem.design.d :] = np.inf
    return (most >= (1 - SCREENING_MARGIN) * penalty.l1) | (known.w != 0)  # type: ignore[no-any-return]


def _minimised(problem: GlmProblem, state: WorkingSetState, columns: Array) -> tuple[Array, int, int]:
    """w, the Newton steps taken and the Hessians made: the objective minimised over the columns, as far as it pays."""
    penalty = problem.penalty
    if _by_samples.serves(problem):
        return _steps_by_samples(problem, state)
    if len(columns) == problem.design.width:
        part, w, g = penalty, state.w, state.g
    else:
        part, w, g = penalty.part(columns), state.w[columns], state.g[columns]
    if problem.loss.quadratic:
        tol = _model_tol(problem, state, state.kkt)
        target = _model_minimum(_kept_gram(problem).of(columns), part, w, g, tol, problem.kind.has_l2)
        assert target is not None  # the gradient lies in the range of the Gram matrix
        return _spread(target, columns, problem.design.width), 1, 0
    w, steps, hessians = _newton_steps(problem, state, columns, part)
    return _spread(w, columns, problem.design.width), steps, hessians


def _model_tol(problem: GlmProblem, state: WorkingSetState, violation: float) -> float:
    """To what violation a model is solved: its square, in units of the largest gradient, but not below rounding."""
    size = max(float(np.abs(state.g).max(initial=0.0)), problem.kind.largest_l1)
    return max(1e-3 * violation * min(1e-2, violation / size), 1e-16 * size) if size > 0 else 0.0


def _model_minimum(H: Array, penalty: Any, w: Array, g: Array, tol: float, ridge: bool) -> Array | None:
    """Where ``g'(v - w) + (v - w)'H (v - w) / 2`` and the penalty of v are least; None where they have no minimum."""
    target, gradient = w.copy(), g
    if ridge:
        H, gradient = H + np.diag(penalty.l2), g + penalty.l2 * w
    model = _kernels.Quadratic(H, penalty.l1, penalty.low, penalty.high, target, gradient.copy())
    return None if np.isinf(model.minimise(tol, PHASES)) else target


def _spread(values: Array, columns: Array, width: int) -> Array:
    if len(columns) == width:
        return values
    full = np.zeros(width)
    full[columns] = values
    return full


def _kept_gram(problem: GlmProblem) -> GramCache:
    """The Gram matrix that a quadratic loss keeps."""
    memory = problem._memory
    if "gram" not in memory:
        memory["gram"] = GramCache(problem.design, None if problem.loss.uniform else problem.loss.s)
    return memory["gram"]  # type: ignore[no-any-return]


@dataclass(eq=False)
class _Hessian:
    """X_W' D X_W, kept while it is good enough."""

    panel: Panel
    D: Array | None = None
    H: Array = field(default_factory=lambda: np.empty((0, 0)))
    #: How often it was made, and whether the last step with it brought little.
    made: int = 0
    slow: bool = False

    def at(self, D: Array, enough: float) -> bool:
        """Makes it anew for the curvatures D, unless these differ by no more than a share `enough`; whether it did."""
        if self.D is not None and not self.slow and np.abs(D - self.D).sum() <= enough * self.D.sum():
            return False
        self.D, self.H, self.made, self.slow = D, self.panel.gram(D), self.made + 1, False
        return True


def _panel(problem: GlmProblem, columns: Array) -> Panel:
    """The columns for Hessians, kept from step to step where they are the same."""
    kept: tuple[Array, Panel] | None = problem._memory.get("panel")
    if kept is None or not np.array_equal(kept[0], columns):
        problem._memory["panel"] = kept = columns, problem.design.panel(columns)
    return kept[1]


def _newton_steps(problem: GlmProblem, state: WorkingSetState, columns: Array, penalty: Any) -> tuple[Array, int, int]:
    """Newton steps on the columns, each with a line search along the cached predictors."""
    loss, width = problem.loss, problem.design.width
    w, z, g = state.w[columns], state.z, state.g[columns]
    known = problem.known(state.w)
    D = known.D if known is not None and known.D is not None else loss.second(z)
    value, steps = state.primal - problem.penalty.value(state.w), 0
    kept = _Hessian(_panel(problem, columns))
    noise = NOISE * max(abs(problem.at_zero), abs(state.primal))
    terms = _kernels.SeparableTerms(penalty.l1, penalty.l2, penalty.low, penalty.high)
    tol = _model_tol(problem, state, state.kkt)
    # A Hessian of p columns takes p / 50 times as long as a step without it, which a share of a half makes worth it.
    cheap = 0.0 if problem.kind.largest_l1 > 0 else 0.5 * max(0.0, 1 - 50 / max(len(columns), 1))
    whole, bounded, violation = len(columns) == width, False, state.kkt
    while True:
        # The gap falls with the square of the violation. A Hessian with an error of a share e leaves about e^2 of it.
        gap = max(state.measure * (violation / max(state.kkt, TINY)) ** 2, problem.tol) if problem.has_dual else np.inf
        enough = max(0.3 * np.sqrt(problem.tol / gap), cheap)
        new = kept.at(np.maximum(D, 1e-15), enough)
        target = _model_minimum(kept.H, penalty, w, g, tol, problem.kind.has_l2)
        steps += 1
        if target is None:  # there are samples without curvature, along which the model falls for ever
            above = loss.above(z)
            if bounded or above is None:
                break
            kept.slow, D, bounded = True, above, True
            continue
        way = kept.panel.product(target - w)
        found = _line_search(problem, penalty, w, target, z, way, g, value, noise)
        kept.slow = short = found is None or found[0] < SHORT
        if found is not None:
            share, z, v, D, value = found
        if short and (above := loss.above(z)) is not None:  # next time with a model that lies above the objective
            if found is None and bounded:
                break
            D, bounded = above, True
        elif found is None:
            break
        if found is None:
            continue
        bounded &= short
        w = target if share == 1 else w + share * (target - w)
        g, before = kept.panel.transposed(v), violation
        violation = terms.measure(w, g)[1]
        kept.slow |= not new and violation > 0.5 * before
        if steps == (NEWTON_STEPS if problem.kind.largest_l1 > 0 else SMOOTH_STEPS):
            break
        aim = 0.1 * np.sqrt(problem.tol / max(state.measure, problem.tol)) if problem.has_dual else 1e-2
        if violation <= (aim if whole else 0.1) * state.kkt:
            break
        tol = _model_tol(problem, state, violation)
    return w, steps, kept.made


def _steps_by_samples(problem: GlmProblem, state: WorkingSetState) -> tuple[Array, int, int]:
    """Newton steps on all columns, with a line search each."""
    loss, penalty = problem.loss, problem.penalty
    w, z, g, violation = state.w, state.z, state.g, state.kkt
    value = state.primal - penalty.value(w)
    noise = NOISE * max(abs(problem.at_zero), abs(state.primal))
    # Curvatures whose model lies above the objective.
    above = loss.above(z)
    D, bounded, steps = loss.second(z), False, 0
    while steps < SMOOTH_STEPS:
        steps += 1
        step, way = _by_samples.newton_step(problem, w, g, D)
        found = _line_search(problem, penalty, w, w + step, z, way, g, value, noise)
        if found is None:
            if bounded or above is None:
                break
            D, bounded = above, True
            continue
        share, z, v, D, value = found
        above = loss.above(z)
        if share < SHORT and above is not None:
            D = above
        w = w + share * step
        g = problem.design.transposed(v)
        violation = problem.terms.measure(w, g)[1]
        if loss.quadratic or violation <= 0.1 * np.sqrt(problem.tol / max(state.measure, problem.tol)) * state.kkt:
            break
    return w, steps, steps


def _line_search(
    problem: GlmProblem,
    penalty: Any,
    w: Array,
    target: Array,
    z: Array,
    way: Array,
    g: Array,
    value: float,
    noise: float,
) -> tuple[float, Array, Array, Array, float] | None:
    """How much of the step from w to the target is taken, and z, v, D and the loss there; None where nothing helps.

    Enough decrease, without a pass over the data.
    """
    here, there = penalty.value(w), penalty.value(target)
    slope = min(float(g @ (target - w)) + there - here, 0.0)
    trial, v, D = np.empty(len(z)), np.empty(len(z)), np.empty(len(z))
    share = 1.0
    for _ in range(HALVINGS):
        loss = problem.loss.terms.evaluate(z, v, D, way, share, trial)[0]
        if share < 1:
            there = penalty.value(w + share * (target - w))
        if loss + there <= value + here + ARMIJO * share * slope + noise:
            return share, trial, v, D, loss
        share /= 2
    return None


METHOD = register(
    Method(
        name="working-set",
        family="learning",
        summary="prox-Newton steps on working sets of columns, each solved by an active-set method on its Gram matrix",
        reference="Nutini, Laradji, Schmidt (2022), Let's Make Block Coordinate Descent Converge Faster, "
        "arXiv 1712.08859",
        solver=WorkingSet,
        capabilities=frozenset({"glm", "multinomial"}),
    )
)
