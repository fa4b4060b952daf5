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
4. A Hessian is used again where the samples' curvatures changed so little that its error will not be seen, or that a
   step with it is worth its price.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._base.method import Method, register
from .._base.options import option
from .._base.result import Status
from .._base.state import replace
from . import _by_samples, _kernels, _smooth
from ._design import FEWEST
from ._losses import Loss
from ._models import (
    LEAST,
    NO_HESSIAN,
    TINY,
    GramModel,
    Hessian,
    Model,
    by_samples_pays,
    may_be_single,
    model_of,
    swept_model,
)
from ._problem import Certificate, FitState, GlmProblem, GlmResult

Array = npt.NDArray[Any]

#: Newton steps between two passes over all columns.
NEWTON_STEPS = 3

#: Steps in which columns that rest at zero leave the working set.
LEAVING = 10

#: Where this share of the columns that are worked on are in use, many more are likely to be: as many join as a step
#: later, where Gram matrices of least squares are in single precision.
MOSTLY = 0.7

#: Steps in which Hessians may be in single precision, unless one gains nothing: a fit that takes more may have columns
#: so alike that these mislead it.
IN_SINGLE = 10

#: Columns of a pass that is not over all: a share of these, or some times as many as are worked on.
NEAR, TIMES = 0.1, 3

#: How many of those come before the next one over all, unless one finds nothing to do; where more are worked on, one.
NEAR_STEPS = 3

#: The same without an l1 part, where all columns are worked on and a Hessian serves several steps.
SMOOTH_STEPS = 20

#: What the Gram matrix of the first columns may cost, in passes over the data.
FIRST_PASSES = 2.0

#: Sufficient decrease, and halvings of a step.
ARMIJO, HALVINGS = 1e-4, 60

#: A share of a step that tells of a bad model.
SHORT = 0.05

#: The share of the largest curvature that all samples have in the models after a short step, by how much it grows with
#: the next one, falls with a whole step, and where it is given up.
FIRST_FLOOR, STEEPER, FLATTER, LEAST_FLOOR = 1e-4, 100.0, 10.0, 1e-8

#: Rounding of the objective, relative to it or to that at zero.
NOISE = 1e-15

#: Passes look at the columns that screening left, where these are less than this share.
FEW_LEFT = 0.3

#: What rounding may take off the bounds of screening.
SCREENING_MARGIN = 1e-9


@dataclass(frozen=True, eq=False, kw_only=True)
class WorkingSetState(FitState):
    """Where the fit is."""

    #: The columns that are worked on, rising, and those that may be nonzero at the optimum.
    columns: Array
    alive: Array
    #: How many those are.
    left: int
    newtons: int = 0
    hessians: int = 0
    #: The least curvature of a sample in a model, as a share of the largest.
    floor: float = 0.0
    #: Whether sweeps may serve: so far they did what was asked for.
    may_sweep: bool = True
    #: Whether Hessians are made in double precision from now on.
    exact: bool = False
    #: The last Hessian of a model: its columns, the samples' curvatures, the matrix.
    modelled: Array = field(default_factory=lambda: NO_HESSIAN.columns)
    curvatures: Array = field(default_factory=lambda: NO_HESSIAN.D)
    H: Array = field(default_factory=lambda: NO_HESSIAN.H)

    #: Fields whose shape is free.
    varying = ("columns", "modelled", "curvatures", "H")


@dataclass(frozen=True)
class WorkingSet:
    """Working sets and prox-Newton steps."""

    first: int = option(0, "columns that join the working set at first; 0: by their costs", low=0)
    screening: str = option("gap-safe", "what drops columns that are zero at the optimum", choices=("gap-safe", "none"))

    def init(self, problem: GlmProblem) -> WorkingSetState:
        design, w0 = problem.design, _without_empty(problem)
        columns = np.arange(design.width)
        room = self.first or max(FEWEST, design.affordable(columns, passes(0)))
        if design.width > room and problem.selects:
            used = w0 != 0 if problem.guess is None else problem.guess | (w0 != 0)
            used[design.d :] = True
            columns = used.nonzero()[0]
        alive = np.ones(design.width, bool)
        return self._evaluated(problem, w0, columns, alive, design.width)

    def step(self, problem: GlmProblem, state: WorkingSetState) -> WorkingSetState:
        columns = self._grown(problem, state)
        found = _minimised(problem, state, columns)
        near = _near(problem, state, columns)
        for k in range(NEAR_STEPS):
            if near is None or (
                k > 0 and TIMES * len(columns) > NEAR * problem.design.d
            ):  # steps cost more than they tell
                break
            further = self._once_more(problem, state, columns, found, near)
            if further is None:
                break
            columns, found = further
        new = self._evaluated(problem, found.w, columns, state.alive, state.left)
        gained = state.primal - new.primal > NOISE * abs(state.primal) or new.measure < 0.5 * state.measure
        if found.rough and new.primal - state.primal > NOISE * abs(state.primal):
            return replace(state, nit=state.nit + 1, newtons=state.newtons + found.newtons, exact=True)
        exact = state.exact or not gained or state.nit + 1 >= IN_SINGLE
        same = exact == state.exact and len(columns) == len(state.columns)
        idle = not gained and same and found.floor <= state.floor
        kept = found.hessian if exact == state.exact else NO_HESSIAN
        return replace(
            new, nit=state.nit + 1, newtons=state.newtons + found.newtons, hessians=state.hessians + found.hessians,
            idle=state.idle + 1 if idle else 0, may_sweep=found.may_sweep, floor=found.floor, exact=exact,
            modelled=kept.columns, curvatures=kept.D, H=kept.H,
        )  # fmt: skip

    def _once_more(
        self, problem: GlmProblem, state: WorkingSetState, columns: Array, found: _Minimised, near: Array
    ) -> tuple[Array, _Minimised] | None:
        """The working set grown from where a step has come, by a pass over the columns `near` alone, and the next step.

        What that pass tells of the gap is of these columns, and goes no further; None where it is small enough.
        """
        among = self._evaluated(problem, found.w, columns, near, int(np.count_nonzero(near)))
        if among.measure <= problem.tol:
            return None
        among = replace(
            among, nit=state.nit, may_sweep=found.may_sweep, floor=found.floor, exact=state.exact,
            modelled=found.hessian.columns, curvatures=found.hessian.D, H=found.hessian.H,
        )  # fmt: skip
        columns = self._grown(problem, among)
        next_ = _minimised(problem, among, columns)
        newtons, hessians = found.newtons + next_.newtons, found.hessians + next_.hessians
        return columns, next_._replace(newtons=newtons, hessians=hessians)

    def _grown(self, problem: GlmProblem, state: WorkingSetState) -> Array:
        """The working set with the columns that violate their conditions most, less those that were screened."""
        design = problem.design
        if len(state.columns) == design.width:
            return state.columns
        columns = state.columns if state.left == design.width else state.columns[state.alive[state.columns]]
        violation = problem.terms.violations(state.w, state.g) / np.maximum(design.norms, TINY)
        # Columns that rest at zero leave where nothing is screened, and where Hessians are made anew: there they cost
        # more than a pass that brings them back; in the first steps only, so that none comes and goes for ever.
        if not problem.has_dual or (not problem.loss.quadratic and state.nit < LEAVING):
            columns = columns[(state.w[columns] != 0) | (violation[columns] > 0) | (columns >= design.d)]
        violation[columns] = 0
        if state.left < design.width:
            violation *= state.alive
        candidates = violation.nonzero()[0]
        candidates = candidates[np.argsort(-violation[candidates], kind="stable")]
        # The costs of a step may be a few times those of all before; as many as are in use are a guess of what lacks.
        room = self.first
        single = may_be_single(problem, state.exact)
        if not (room and state.nit == 0):
            both = np.concatenate([columns, candidates])
            steps = state.nit + int(single and np.count_nonzero(state.w) > MOSTLY * len(columns))
            affordable = design.affordable(both, passes(steps), single) - len(columns)
            # No more than n are needed, but what is between two answers may have more.
            room = max(FEWEST, affordable, min(int(np.count_nonzero(state.w)), design.n))
        if not problem.has_dual:
            room = max(FEWEST, min(room, design.n // 4))
        return np.sort(np.concatenate([columns, candidates[:room]]))

    def _evaluated(self, problem: GlmProblem, w: Array, columns: Array, alive: Array, left: int) -> WorkingSetState:
        """The state at w, its certificate computed from w, and the columns that are left."""
        known = look(problem, w, alive, left)
        if self.screening == "gap-safe" and len(columns) < problem.design.width:
            alive = alive & may_be_nonzero(problem, known)
            left = int(np.count_nonzero(alive))
        return WorkingSetState(
            w=w, z=known.z, g=known.g, columns=columns, alive=alive, left=left, primal=known.primal, dual=known.dual,
            kkt=known.kkt, nit=0, measure=problem.measure(known),
        )  # fmt: skip

    def done(self, problem: GlmProblem, state: WorkingSetState) -> Status | None:
        return problem.status(state)

    def finish(self, problem: GlmProblem, state: WorkingSetState) -> GlmResult:
        stats = {
            "newton_steps": state.newtons, "hessians": state.hessians,
            "working_set": len(state.columns), "screened": len(state.w) - state.left,
        }  # fmt: skip
        return problem.certified(state.w, state.nit, stats)


def _without_empty(problem: GlmProblem) -> Array:
    """The start, with zero as the coefficients of empty columns: no model has a curvature that a step could go by."""
    empty = problem.design.norms == 0
    if not problem.w0[empty].any():
        return problem.w0  # the very array, whose certificate may be known
    return np.where(empty, 0.0, problem.w0)


def _near(problem: GlmProblem, state: WorkingSetState, columns: Array) -> Array | None:
    """Where a pass costs less over these than over all that are left: the columns that are worked on, and those that
    were closest to joining at the last pass, some times as many."""
    design, loss = problem.design, problem.loss
    count = max(int(NEAR * design.d), TIMES * len(columns))
    if count >= FEW_LEFT * design.d or state.left < FEW_LEFT * design.d or not (design.by_columns and problem.has_dual):
        return None
    if loss.quadratic or loss.coupled or not problem.selects:
        return None
    lacking = (problem.penalty.l1 - np.abs(state.g)) / np.maximum(design.norms, TINY)
    lacking[~state.alive] = np.inf
    near = np.zeros(design.width, bool)
    near[np.argpartition(lacking, count)[:count]] = True
    near &= state.alive
    near[columns] = True
    return near if np.count_nonzero(near) < FEW_LEFT * design.d else None


def look(problem: GlmProblem, w: Array, alive: Array, left: int) -> Certificate:
    """The certificate at w, remembered; where few columns are left, of the problem without the others.

    Where that one would do it is of all columns: those that are zero at the optimum may bound the dual point here.
    """
    known = problem.known(w)
    if known is not None and known.alive is None:
        return known
    design, seen = problem.design, None
    if design.by_columns and left < FEW_LEFT * design.d:
        seen = alive[: design.d].nonzero()[0].astype(np.int32)
    if problem.warm is not None and problem.warm.w is w:
        known = problem.certificate_again(problem.warm)
    else:
        known = problem.certificate(w, design.product(w), not problem.loss.quadratic, seen)
    problem.remember(known)
    return problem.whole(w) if seen is not None and problem.measure(known) <= problem.tol else known


def passes(nit: int) -> float:
    """What the Gram matrix of the columns may cost after so many steps, in passes over the data."""
    return FIRST_PASSES * 3.0 ** min(nit, 30)


def may_be_nonzero(problem: GlmProblem, known: Certificate) -> Array:
    """Columns of which the gap does not show that they are zero at the optimum.

    The dual objective is strongly concave: with curvatures of at most c s_i, the optimal dual point is within
    ``sqrt(2 c gap)`` of a known one in the norm ``sum v_i^2 / s_i``, and so are its products with a column of norm
    ``sum s_i x_i^2``.
    """
    loss, penalty, d = problem.loss, problem.penalty, problem.design.d
    if loss.curvature is None or not problem.has_dual or not np.isfinite(known.dual):
        return np.full(problem.design.width, True)
    radius = np.sqrt(2 * loss.curvature * max(known.primal - known.dual, 0.0) * loss.s.max())
    slack = radius * problem.design.norms
    if known.slack is not None:
        slack[:d] += abs(known.share) * known.slack
    may = penalty.may_be_nonzero(-known.share * known.g, slack, SCREENING_MARGIN) | penalty.used(known.w)
    may[d:] = True
    return may


def _minimised(problem: GlmProblem, state: WorkingSetState, columns: Array) -> _Minimised:
    """The objective minimised over the columns, as far as it pays."""
    penalty, width = problem.penalty, problem.design.width
    if _by_samples.serves(problem) and by_samples_pays(problem):
        return _smooth_steps(problem, state, _by_samples.Newton(problem))
    if _smooth.serves(problem):
        return _smooth_steps(problem, state, _smooth.Newton(problem))
    part = penalty if len(columns) == width else penalty.part(columns)
    kept = Hessian(state.modelled, state.curvatures, state.H)
    single = not (state.exact or problem.loss.coupled)
    model = model_of(problem, columns, part, state.may_sweep, kept, single)
    walk = _Walk(problem, state, model)
    w = walk.quadratic() if problem.loss.quadratic else walk.newton()
    may_sweep = state.may_sweep and model.sufficed
    rough = problem.loss.quadratic and isinstance(model, GramModel) and model.scale is not None
    w = _spread(w, columns, width)
    return _Minimised(w, walk.steps, model.made, may_sweep, walk.lift.floor, model.hessian, rough)


class _Minimised(NamedTuple):
    w: Array
    #: Newton steps, and how often curvatures were renewed for them.
    newtons: int
    hessians: int
    may_sweep: bool
    floor: float
    hessian: Hessian = NO_HESSIAN
    #: Whether least squares were taken for a matrix in single precision, whose minimum may lie above the start.
    rough: bool = False


class _Lift:
    """What curvatures the models have beside those of the samples, after steps of which little was taken.

    Of Huber's loss the slope over the distance, with which the next model lies above the objective. Of the others a
    share of the largest that there is, which stays until whole steps are taken: a squared hinge has none at many
    samples, and a model of the others goes too far.
    """

    def __init__(self, loss: Loss, floor: float) -> None:
        self.loss, self.floor = loss, floor
        #: Whether the present model lies above the objective.
        self.above = False
        self._largest = loss.s * loss.curvature if loss.curvature is not None and not loss.coupled else None

    def curvatures(self, D: Array) -> Array:
        """Those of the next model."""
        return D if self.floor == 0 or self._largest is None else np.maximum(D, self.floor * self._largest)

    def taken(self, share: float) -> None:
        """Of a step."""
        if share == 1:
            self.floor = self.floor / FLATTER if self.floor > LEAST_FLOOR else 0.0

    def after(self, share: float, z: Array, D: Array) -> Array | None:
        """The samples' curvatures for the model after a short step, which led to z; None where there are no others."""
        if self._largest is None:
            return None
        if self.loss.has_above:
            if self.above and share == 0:
                return None
            self.above = True
            return self.loss.above(z)
        if self.floor == 1:
            return None
        self.floor = min(max(STEEPER * self.floor, FIRST_FLOOR), 1.0)
        return D


def _spread(values: Array, columns: Array, width: int) -> Array:
    if len(columns) == width:
        return values
    full = np.zeros(width)
    full[columns] = values
    return full


class _Walk:
    """Newton steps on the columns of a model, each with a line search along the cached predictors."""

    def __init__(self, problem: GlmProblem, state: WorkingSetState, model: Model) -> None:
        self.problem, self.state, self.model = problem, state, model
        columns = model.columns
        self.whole = len(columns) == problem.design.width
        self.w, self.g = (state.w, state.g) if self.whole else (state.w[columns], state.g[columns])
        self.z = state.z
        known = problem.known(state.w)
        if known is None:  # of a fit that goes on
            known = problem.certificate(state.w, state.z, not problem.loss.quadratic)
        self.v, self.curvatures = known.v, known.D
        self.violation, self.steps, self.lift = state.kkt, 0, _Lift(problem.loss, state.floor)

    def quadratic(self) -> Array:
        """Least squares are their own model."""
        self.steps = 1
        target = self.model.minimum(self.w, self.v, self.g, self.violation, self._share() if self.model.swept else 0.0)
        if target is None:  # by rounding: the gradient lies in the range of a Gram matrix that is singular
            target = swept_model(self.model).minimum(self.w, self.v, self.g, self.violation, self._share())
        return target

    def _share(self) -> float:
        """The share of the violation at which sweeps may stop: more is of use where other columns have theirs."""
        old = self.problem.terms.violations(self.state.w, self.state.g)[self.state.columns]
        complete = old.max(initial=0.0) >= 0.5 * self.state.kkt
        return min(max(self._needed(), 0.01 if complete else 0.1), 0.1)

    def _needed(self) -> float:
        """The share of the violation that the tolerance asks for: the gap falls with it."""
        return 0.3 * self.problem.tol / max(self.state.measure, TINY)

    def _newton_share(self) -> float:
        """The same of a Newton step, whose own error falls with the square of the violation."""
        size = max(float(np.abs(self.g).max(initial=0.0)), self.problem.kind.largest_l1, TINY)
        return min(max(self._needed(), self.violation / size), 0.1 if self.problem.selects else 0.3)

    def newton(self) -> Array:
        """Until the steps are enough for a pass over the data."""
        problem, model, state = self.problem, self.model, self.state
        penalty, D = model.penalty, self.curvatures
        self.D: Array = problem.loss.second(self.z) if D is None else D
        self.terms = _kernels.SeparableTerms(penalty.l1, penalty.l2, penalty.low, penalty.high)
        self.value = state.primal - problem.penalty.value(state.w)
        self.noise = NOISE * max(abs(problem.at_zero), abs(state.primal))
        while self._step():
            if self.taken and self._enough():
                break
        return self.w

    def _error(self) -> float:
        """By what share curvatures may be wrong: an error of a share e of them leaves about e^2 of the gap."""
        problem, state = self.problem, self.state
        gap = np.inf
        if problem.has_dual:  # which falls with the square of the violation
            gap = max(state.measure * (self.violation / max(state.kkt, TINY)) ** 2, problem.tol)
        # A Hessian of p columns takes p / 50 times as long as a step without it: a share of a half makes that worth it.
        return max(0.3 * float(np.sqrt(problem.tol / gap)), 0.5 * max(0.0, 1 - 50 / max(len(self.w), 1)))

    def _enough(self) -> bool:
        problem, state = self.problem, self.state
        if self.steps >= (NEWTON_STEPS if problem.kind.largest_l1 > 0 else SMOOTH_STEPS):
            return True
        aim = 0.1 * np.sqrt(problem.tol / max(state.measure, problem.tol)) if problem.has_dual else 1e-2
        return bool(self.violation <= (aim if self.whole else 0.1) * state.kkt)

    def _step(self) -> bool:
        """A Newton step; whether there is more to hope for."""
        problem, model, before = self.problem, self.model, self.violation
        new = model.renewed(np.maximum(self.lift.curvatures(self.D), LEAST), self._error())
        target = model.minimum(self.w, self.v, self.g, self.violation, self._newton_share())
        self.steps += 1
        found = None
        if target is not None:  # else there are samples without curvature, along which the model falls for ever
            way = model.panel.product(target - self.w)
            found = _line_search(problem, model.penalty, self.w, target, self.z, way, self.g, self.value, self.noise)
        if target is not None and found is not None:
            self._take(target, *found)
        share = 0.0 if found is None else found[0]
        self.taken, short = share > 0, share < SHORT
        model.slow = short or (not new and self.violation > 0.5 * before)
        self.lift.taken(share)
        D = self.lift.after(share, self.z, self.D) if short else None
        if D is None:
            self.lift.above = False
            return self.taken
        self.D = D
        return True

    def _take(self, target: Array, share: float, z: Array, v: Array, D: Array, value: float) -> None:
        """The step as far as the line search takes it, and the gradient there."""
        self.z, self.v, self.D, self.value = z, v, D, value
        self.w = target if share == 1 else self.w + share * (target - self.w)
        self.g = self.model.panel.transposed(v)
        self.violation = self.terms.measure(self.w, self.g)[1]


def _smooth_steps(problem: GlmProblem, state: WorkingSetState, newton: Any) -> _Minimised:
    """Newton steps on all columns, with a line search each."""
    loss, penalty = problem.loss, problem.penalty
    w, z, g, violation = state.w, state.z, state.g, state.kkt
    value = state.primal - penalty.value(w)
    noise = NOISE * max(abs(problem.at_zero), abs(state.primal))
    # The gap falls with the square of the violation.
    left = problem.tol / max(state.measure, problem.tol)
    aim = 0.3 * (np.sqrt(left) if problem.has_dual else left) * state.kkt
    lift, D, steps, made = _Lift(loss, state.floor), loss.second(z), 0, 0
    share = 0.1
    while steps < SMOOTH_STEPS:
        steps += 1
        # What the model leaves of the violation falls as the last step did, at best with its square.
        goal = max(min(share, 0.2), 0.5 * aim / max(violation, TINY))
        step, way, formed = newton.step(w, g, lift.curvatures(D), goal)
        made += formed
        found = _line_search(problem, penalty, w, w + step, z, way, g, value, noise)
        length = 0.0 if found is None else found[0]
        if found is not None:
            length, z, v, D, value = found
        lift.taken(length)
        other = lift.after(length, z, D) if length < SHORT else None
        D = D if other is None else other
        if found is None:
            if other is None:
                break
            continue
        lift.above = other is not None
        w = w + length * step
        g = problem.design.transposed(v)
        before, violation = violation, problem.terms.measure(w, g)[1]
        share = (violation / max(before, TINY)) ** 2
        if loss.quadratic or violation <= aim:
            break
    return _Minimised(w, steps, made, state.may_sweep, lift.floor)


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
