"""The default solver: annealed truncated Newton on the semi-dual, with a kernel-domain path for easy problems.

With the row potentials eliminated (each row of the plan sums to a_i) the dual is a concave function S of the column
potentials alone, of gradient b - c and Hessian -(diag(c) - P' diag(1/a) P) / reg, where c are the column sums. One
pass over the cost, a sweep, gives the row potentials, c and the large entries of P: all that a Newton step needs.

1. *Easy problems* (costs spanning at most EASY_SPAN times reg): the plan is stored, after a few sweeps in the log
   domain or, up to GENTLE_SPAN, at once; then only its rows and columns are scaled, at a third of a sweep's cost an
   iteration. Where the rate seen says that Sinkhorn's iteration would need long, Newton steps on the scalings follow,
   solved with the stored plan.
2. *All others*: the regularisation falls by stages from the span of the costs, each stage solved roughly from the
   potentials of the one before, the last to the tolerance. A stage takes a few sweeps and then Newton steps on the
   thinned plan: entries too small to matter leave the matrix, but stay in its diagonal, so that it remains diagonally
   dominant and what was dropped only damps the step. Conjugate gradients solve the system, with the diagonal as
   preconditioner while that suffices, else with an approximate Cholesky factor (see _ext/ot/elimination.c).
3. A step is damped by a multiple of the weights, which rises when a full step is refused or would move exponents by
   more than LARGEST_MOVE, and falls otherwise. Where the whole step is taken and the slope has hardly fallen, it is
   lengthened: parts of the plan that have lost touch must travel far before they meet again.

Related: Tang et al. (2024), arXiv 2401.12253 (thinned Newton matrices); Cuturi and Peyre (2016), arXiv 1503.02533
(the semi-dual); Schmitzer (2019), arXiv 1610.06519 (annealing, absorption); Kyng and Sachdeva (2016), arXiv 1605.02353.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from .._base.method import Method, register
from .._base.options import option
from .._base.result import Status
from .._base.state import replace
from . import _kernels
from ._problem import LN2, LargeEntries, TransportProblem, TransportResult

Array = npt.NDArray[Any]

NONE = np.empty(0)

#: What the result counts.
COUNTS = ("sinkhorn", "newton", "cg", "scalings", "passes")

#: Costs that span at most so many times reg are tried without annealing.
EASY_SPAN = 400.0
#: Costs that span at most so many times reg are stored without a sweep before: neither the entries of exp(-C / reg)
#: nor their products with scalings come near the end of float64.
GENTLE_SPAN = 138.0
#: The first stage: the costs span so many times its regularisation.
FIRST_SPAN = 20.0
#: Iterations on a stored plan before their rate is judged again.
RATE_SWEEPS = 8
#: As many sweeps cost less than to store the plan and to scale it.
CHEAPER_SWEEPS = 3
#: Iterations of a rate that promises no end.
NEVER = 10**9
#: An easy problem goes on with Sinkhorn's iteration if its rate promises the tolerance within so many.
PATIENCE = 25
#: Share of the entries from which on a stored plan is faster than its large entries.
WIDE = 0.12
#: Scalings beyond this power of two are absorbed into the potentials.
ABSORBED = 30.0
#: Entries that a stored plan may have.
MOST_STORED = 1 << 25

#: A start whose plan has an l1 marginal error of at most this share of the mass needs no annealing; the error that its
#: plan is thinned for, before it is known.
WARM_ERROR, WARM_EXPECTED = 0.5, 0.01

#: Sufficient ascent in the line search, how a step shrinks, and how often.
ARMIJO, SHRINK, TRIALS = 1e-4, 0.3, 8
#: A step is lengthened, by so much each time, while the slope is at least this share of the first.
LENGTHEN, SLOPE_LEFT = 3.0, 0.5
#: Powers of two by which a direction may move an exponent.
LARGEST_MOVE = 40.0
#: Damping: as a step begins a stage, and its least and largest.
DAMPING, LEAST_DAMPING, LARGEST_DAMPING = 1e-2, 1e-6, 1e2
#: Conjugate gradients with the diagonal before the factor is made.
PATIENT_CG, MOST_CG = 60, 500
#: Of a row the entries below this multiple of the marginal error are left out, as if there were m of them.
NEGLIGIBLE = 10.0
#: Entries kept in all, and in a row of a stage before the last.
MOST_KEPT, ROW_KEPT = 1 << 23, 128


@dataclass(frozen=True, eq=False)
class NewtonState:
    """Potentials in base 2 of the final regularisation, with the rows met, and the column sums of the present stage."""

    u: Array
    v: Array
    column_sums: Array
    nit: int
    #: The marginal error at the present stage.
    measure: float
    #: Before the last iteration.
    previous: float
    best: float
    best_nit: int
    #: Regularisation of the present stage over the final one, and sweeps still to do before its Newton steps.
    stage: float
    sweeps_left: int
    damping: float
    #: Whether the factor is worth making at once.
    hard: bool
    sinkhorn: int
    newton: int
    cg: int
    #: Reads of a stored plan, and passes over the cost.
    scalings: int
    passes: int
    #: The large entries of the plan, in compressed rows; empty where they are not known.
    kept_starts: Array
    kept_columns: Array
    kept_values: Array
    #: Scalings x, y of the plan at (stored_u, stored_v), which the problem keeps in memory; empty in the log domain.
    x: Array
    y: Array
    stored_u: Array
    stored_v: Array

    #: These have no fixed shape.
    varying: ClassVar = ("kept_starts", "kept_columns", "kept_values", "x", "y", "stored_u", "stored_v")

    @property
    def scaled(self) -> bool:
        """Whether the state is one of scalings of a stored plan."""
        return len(self.x) > 0

    def in_log_domain(self) -> NewtonState:
        """The same state without a stored plan."""
        return replace(self, x=NONE, y=NONE, stored_u=NONE, stored_v=NONE)

    def keeping(self, entries: LargeEntries | None) -> NewtonState:
        """The same state in the log domain with these large entries of its plan."""
        starts, columns, values = (NONE, NONE, NONE) if entries is None else entries
        return replace(self.in_log_domain(), kept_starts=starts, kept_columns=columns, kept_values=values)


@dataclass(frozen=True)
class Newton:
    """Annealed semi-dual Newton; see the module's text."""

    decay: float = option(4.0, "factor by which reg falls from stage to stage", low=1.5, high=100.0)
    stage_tol: float = option(0.03, "l1 marginal error that ends a stage, as a share of the mass", low=1e-9, high=1.0)
    stage_sweeps: int = option(2, "Sinkhorn sweeps at most before a stage's first Newton step", low=1, unit="sweeps")

    def init(self, problem: TransportProblem) -> NewtonState:
        easy = _easy(problem)
        cold = not problem.v0.any()
        start = NewtonState(
            problem.u0, problem.v0, np.zeros_like(problem.b), nit=0, measure=np.inf, previous=np.inf, best=np.inf,
            best_nit=0, stage=1.0, sweeps_left=0 if easy else self.stage_sweeps, damping=DAMPING, hard=False,
            sinkhorn=0, newton=0, cg=0, scalings=0, passes=0, kept_starts=NONE, kept_columns=NONE, kept_values=NONE,
            x=NONE, y=NONE, stored_u=NONE, stored_v=NONE,
        )  # fmt: skip
        if cold and _gentle(problem) and _storable(problem, start):
            return _stored_start(problem, start)
        if not cold:  # a warm start, which may be good enough for the last stage, and for Newton steps at once
            warm = _swept(problem, replace(start, sweeps_left=0), problem.v0, keep=not easy, error=WARM_EXPECTED)
            if _relative_error(problem, warm.column_sums) <= WARM_ERROR:
                return warm
        return _swept(
            problem, start if easy else replace(start, stage=max(1.0, problem.ratio / FIRST_SPAN)), problem.v0
        )

    def step(self, problem: TransportProblem, state: NewtonState) -> NewtonState:
        following = replace(self._step(problem, state), nit=state.nit + 1)
        if not np.isfinite(following.measure):
            return replace(state, nit=following.nit, measure=following.measure)
        if following.stage == 1 and (following.measure < state.best or state.stage > 1):
            return replace(following, best=following.measure, best_nit=following.nit)
        return following

    def _step(self, problem: TransportProblem, state: NewtonState) -> NewtonState:
        mass = float(problem.a.sum())
        if state.stage > 1 and state.measure <= self.stage_tol * mass:
            stage = state.stage / self.decay
            stage = stage if stage >= 1.5 else 1.0
            state = replace(state, stage=stage, sweeps_left=self.stage_sweeps, damping=max(state.damping, DAMPING))
            return _swept(problem, state, state.v)
        if state.scaled:
            return _scaled_step(problem, state)
        if state.sweeps_left > 0:
            state = replace(state, sweeps_left=state.sweeps_left - 1)
            return _swept(problem, state, _best_v(problem, state), keep=state.sweeps_left == 0 and not _easy(problem))
        if _easy(problem) and not state.hard:
            more = _iterations_left(problem, state)
            if more <= CHEAPER_SWEEPS:
                return _swept(problem, state, _best_v(problem, state))
            if _storable(problem, state):
                return _stored(problem, state, more if more <= PATIENCE else RATE_SWEEPS)
        if _wide(problem, state) and not state.hard and _storable(problem, state):
            return _stored(problem, state, 0)
        return _newton_step(problem, state)

    def done(self, problem: TransportProblem, state: NewtonState) -> Status | None:
        if state.stage > 1:
            return None if np.isfinite(state.measure) else Status.NONFINITE
        return problem.stop(state.measure, state.nit - state.best_nit)

    def finish(self, problem: TransportProblem, state: NewtonState) -> TransportResult:
        if state.stage > 1:  # stopped on the way: the rows are met at the final regularisation all the same
            state = replace(state, u=problem.sweep(state.u, state.v)[0])
        problem.forget()
        return problem.certify(state, {name: getattr(state, name) for name in COUNTS})


def _easy(problem: TransportProblem) -> bool:
    return problem.ratio <= EASY_SPAN


def _gentle(problem: TransportProblem) -> bool:
    """Whether exp(-C / reg) may be stored; costs made by a function have no known least value."""
    return problem.ratio <= GENTLE_SPAN and problem.cost.capability != "block-cost"


# ---- the log domain --------------------------------------------------------------------------------


def _swept(
    problem: TransportProblem, state: NewtonState, v: Array, keep: bool = False, error: float | None = None
) -> NewtonState:
    """The state after a sweep at the column potentials v."""
    state = _evaluated(problem, state, state.u, v, keep, error)
    return replace(state, sinkhorn=state.sinkhorn + 1)


def _evaluated(
    problem: TransportProblem, state: NewtonState, u: Array, v: Array, keep: bool, error: float | None = None
) -> NewtonState:
    """The state at the column potentials v, from the reference u: one pass over the cost.

    With `keep` also the large entries of its plan, by the error before where none is given.
    """
    thinning = None
    if keep:
        thinning = _thinning(problem, state, _relative_error(problem, state.column_sums) if error is None else error)
    u, column_sums, kept = problem.sweep_at(state.stage, u, v, thinning)
    measure = _error(problem, column_sums, state.stage)
    state = replace(
        state, u=u, v=v, column_sums=column_sums, passes=state.passes + 1, measure=measure, previous=state.measure
    )  # fmt: skip
    return state.keeping(kept)


def _error(problem: TransportProblem, column_sums: Array, stage: float) -> float:
    """In the norm of the tolerance at the end, in l1 before."""
    return problem.error(None, column_sums) if stage == 1 else float(np.abs(column_sums - problem.b).sum())


def _relative_error(problem: TransportProblem, column_sums: Array) -> float:
    """The l1 error of the columns as a share of the mass, at most 1."""
    return min(1.0, float(np.abs(column_sums - problem.b).sum()) / float(problem.a.sum()))


def _thinning(problem: TransportProblem, state: NewtonState, error: float) -> tuple[float, int]:
    """What to keep of the plan at this error: (share of the row, most in a row)."""
    n, m = problem.cost.shape
    most = MOST_KEPT // n if state.stage == 1 else ROW_KEPT
    return NEGLIGIBLE * max(error, 1e-9) / m, max(8, min(m, most))


def _best_v(problem: TransportProblem, state: NewtonState) -> Array:
    return problem.best_v(state.u, state.v, state.column_sums, state.stage)


def _newton_step(problem: TransportProblem, state: NewtonState) -> NewtonState:
    """A damped Newton step on the thinned plan, with its line search; a sweep after one that was cut short."""
    if not len(state.kept_starts):
        return _evaluated(problem, state, state.u, state.v, keep=True)
    state, direction, clipped = _direction(problem, state)
    moved, full = _line_search(problem, state, direction)
    if full and not clipped:
        return replace(moved, damping=max(state.damping / 4, LEAST_DAMPING))
    moved = replace(moved, damping=min(state.damping * 8, LARGEST_DAMPING))
    return _swept(problem, moved, _best_v(problem, moved), keep=True)


def _direction(problem: TransportProblem, state: NewtonState) -> tuple[NewtonState, Array, bool]:
    """The Newton direction in base 2 of the stage, and whether it had to be clipped."""
    unit = _power_of_two(1 / float(problem.a.sum()))  # products of tiny masses would underflow
    a, b, c, values = (array * unit for array in (problem.a, problem.b, state.column_sums, state.kept_values))
    gradient = b - c
    error = min(1.0, float(np.abs(gradient).sum()))
    diagonal = c + state.damping * error * b
    system = _kernels.Thinned(state.kept_starts, state.kept_columns, values, a, diagonal)
    # Where a column has too little, the change of its logarithm is the better model.
    wanted = np.where(c < b, c * np.log(b / np.maximum(c, 1e-300)), gradient)
    goal = float(np.clip(error, 1e-6, 0.1)) * float(np.linalg.norm(wanted))
    x, taken, residual, hard = np.zeros_like(b), 0, np.inf, state.hard
    if not hard:
        taken, residual = system.solve(wanted, x, goal, PATIENT_CG)
        hard = residual > goal
    if hard and residual > goal and system.factorise():
        more, residual = system.solve(wanted, x, goal, MOST_CG)
        taken += more
    with np.errstate(over="ignore", invalid="ignore"):  # weights of 1e-40 and less may take x out of the numbers
        direction = (x - x @ b / b.sum()) / LN2
        ascends = bool(gradient @ direction > 0)
    if not ascends:
        direction = np.log2(b / np.maximum(c, 1e-300))
        direction -= direction @ b / b.sum()
    largest = float(np.abs(direction).max())
    clipped = largest > LARGEST_MOVE
    if clipped:
        direction *= LARGEST_MOVE / largest
    return replace(state, cg=state.cg + taken, hard=hard), direction, clipped


def _power_of_two(x: float) -> float:
    """The nearest power of two below: a factor that rounds nothing."""
    return float(np.ldexp(1.0, int(np.floor(np.log2(x)))))


def _line_search(problem: TransportProblem, state: NewtonState, direction: Array) -> tuple[NewtonState, bool]:
    """The state along the direction, and whether the full step was taken."""
    slope = float((problem.b - state.column_sums) @ direction)
    step, trial = 1.0, state
    for _ in range(TRIALS):
        trial = _evaluated(problem, state, state.u, state.v + step * state.stage * direction, keep=True)
        state = replace(state, passes=trial.passes)
        if _gain(problem, state, trial) >= ARMIJO * step * slope - _rounding(problem, state):
            break
        step *= SHRINK
    trial = replace(trial, newton=state.newton + 1)
    if step < 1:
        return trial, False
    while (problem.b - trial.column_sums) @ direction > SLOPE_LEFT * slope:
        step *= LENGTHEN
        further = _evaluated(problem, trial, trial.u, state.v + step * state.stage * direction, keep=True)
        trial = replace(trial, passes=further.passes)
        if not _gain(problem, trial, further) > 0:
            break
        trial = further
    return trial, True


def _gain(problem: TransportProblem, old: NewtonState, new: NewtonState) -> float:
    """By how much the dual rose, in base 2 of the stage: from differences, since the dual itself would drown it."""
    return float(problem.a @ (new.u - old.u) + problem.b @ (new.v - old.v)) / old.stage


def _rounding(problem: TransportProblem, state: NewtonState) -> float:
    """What rounding may take from a gain."""
    return 1e-15 * float(problem.a @ np.abs(state.u) + problem.b @ np.abs(state.v)) / state.stage


# ---- the kernel domain -----------------------------------------------------------------------------


def _iterations_left(problem: TransportProblem, state: NewtonState, done: int = 1) -> int:
    """How many more Sinkhorn iterations the tolerance needs, by the rate of the last `done` ones."""
    rate = (state.measure / state.previous) ** (1 / max(done, 1)) if 0 < state.previous < np.inf else 0.0
    if not 0 < rate < 1:
        return NEVER
    return min(NEVER, int(np.ceil(np.log(problem.tol / state.measure) / np.log(rate))))


def _storable(problem: TransportProblem, state: NewtonState) -> bool:
    """Whether the plan may be stored, and its scalings are still far from their own rounding."""
    n, m = problem.cost.shape
    ordinary = 1e-100 < float(problem.a.sum()) < 1e100  # squares of sums must neither underflow nor overflow
    return ordinary and n * m <= MOST_STORED and state.measure > 1e3 * problem.roundoff


def _wide(problem: TransportProblem, state: NewtonState) -> bool:
    """Whether the plan has so many large entries that products with all of it cost less than with these."""
    n, m = problem.cost.shape
    return state.stage == 1 and len(state.kept_values) > WIDE * n * m


def _stored_start(problem: TransportProblem, state: NewtonState) -> NewtonState:
    """The first iteration, on exp(-C / reg) stored with the largest entry of a row about 1."""
    least = problem.cost.row_minima() if problem.cost.matrix is not None else np.zeros_like(state.u)
    u = problem.scale * (least if problem.cost.offset is None else np.zeros_like(least))
    x, y, c = np.empty_like(state.u), np.ones_like(state.v), np.empty_like(state.v)
    problem.stored_plan(u, state.v).update(x, y, c)
    state = replace(state, stored_u=u, stored_v=state.v, sinkhorn=1, passes=1, sweeps_left=RATE_SWEEPS)
    return _rescaled(problem, state, x, y, c, 1)


def _stored(problem: TransportProblem, state: NewtonState, sweeps: int) -> NewtonState:
    """The plan of the state in memory, scaled by 1, and the first step on it."""
    state = replace(
        state.keeping(None), x=np.ones_like(state.u), y=np.ones_like(state.v), stored_u=state.u, stored_v=state.v,
        passes=state.passes + 1, sweeps_left=sweeps,
    )  # fmt: skip
    return _scaled_step(problem, state)


def _scaled_step(problem: TransportProblem, state: NewtonState) -> NewtonState:
    """Iterations on the scalings, or a Newton step."""
    if not _storable(problem, state) or state.hard:
        return _swept(problem, state.in_log_domain(), _best_v(problem, state))
    if max(np.abs(state.u - state.stored_u).max(), np.abs(state.v - state.stored_v).max()) > ABSORBED:
        return _stored(problem, state, state.sweeps_left)
    return _scaled_sweeps(problem, state) if state.sweeps_left > 0 else _scaled_newton(problem, state)


def _scaled_sweeps(problem: TransportProblem, state: NewtonState) -> NewtonState:
    """Some of the sweeps that are due; then their rate says how many more are, or none if they would be too many."""
    x, y, c = state.x.copy(), state.y.copy(), state.column_sums.copy()
    plan = problem.stored_plan(state.stored_u, state.stored_v)
    done = plan.sweeps(problem.b, x, y, c, min(state.sweeps_left, RATE_SWEEPS), problem.aim)
    moved = _rescaled(problem, state, x, y, c, done)
    more = _iterations_left(problem, moved, done)
    return replace(moved, sinkhorn=state.sinkhorn + done, sweeps_left=more if more <= PATIENCE else 0)


def _scaled_newton(problem: TransportProblem, state: NewtonState) -> NewtonState:
    """A damped Newton step on the scalings, shortened until the dual rises."""
    a, b, c = problem.a, problem.b, state.column_sums
    gradient = b - c
    error = _relative_error(problem, c)
    goal = float(np.clip(error, 1e-6, 0.1)) * float(np.linalg.norm(gradient))
    z = np.empty_like(b)
    plan = problem.stored_plan(state.stored_u, state.stored_v)
    taken, residual = plan.newton_cg(state.x, state.y, c + state.damping * error * b, gradient, z, goal, MOST_CG)
    state = replace(state, cg=state.cg + taken, scalings=state.scalings + taken, hard=residual > goal)
    direction = (z - z @ b / b.sum()) / LN2
    direction *= min(1.0, ABSORBED / float(np.abs(direction).max()))
    slope, step, moved = float(gradient @ direction), 1.0, state
    for trials in range(TRIALS):
        x, y, sums = np.empty_like(a), state.y * np.exp2(step * direction), np.empty_like(b)
        plan.update(x, y, sums)
        moved = _rescaled(problem, state, x, y, sums, trials + 1)
        if _gain(problem, state, moved) >= ARMIJO * step * slope - _rounding(problem, state):
            break
        step *= SHRINK
    change = 8 if trials else 0.25
    return replace(
        moved, newton=state.newton + 1, damping=float(np.clip(state.damping * change, LEAST_DAMPING, LARGEST_DAMPING))
    )


def _rescaled(problem: TransportProblem, state: NewtonState, x: Array, y: Array, c: Array, reads: int) -> NewtonState:
    """The state at new scalings of its stored plan, of column sums c."""
    return replace(
        state, x=x, y=y, u=state.stored_u + np.log2(x), v=state.stored_v + np.log2(y), column_sums=c,
        measure=problem.error(None, c), previous=state.measure, scalings=state.scalings + reads,
    )  # fmt: skip


METHOD = register(
    Method(
        name="newton",
        family="ot",
        summary="annealed truncated Newton on the semi-dual with the plan thinned; Sinkhorn on a stored plan if easy",
        reference="after Tang et al. (2024), arXiv 2401.12253; Schmitzer (2019), arXiv 1610.06519; Kyng and Sachdeva "
        "(2016), arXiv 1605.02353",
        solver=Newton,
        capabilities=frozenset({"dense-cost", "point-cloud", "block-cost"}),
    )
)
