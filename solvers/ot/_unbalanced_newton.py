"""Newton steps on the dual of unbalanced transport, with the plan thinned to its large entries.

The dual's second derivative in (f, g) is that of the balanced problem with more on its diagonal,

    1/reg [diag(P 1 + kappa1 target1)  P; P'  diag(P' 1 + kappa2 target2)],

target1 = a exp(-f / rho1), target2 = b exp(-g / rho2), kappa = reg / rho. The method is Sinkhorn-Newton-Sparse (Tang et
al. 2024, arXiv 2401.12253) for this system. Differs from it in:

1. Every point of the line search is followed by the rows' best answer and the best shift, which raise the dual
   further and cost no more than its value: one read of C does both. So the rows are always at their targets.
2. The system is solved by preconditioned conjugate gradients to a residual that shrinks with the error.
3. Where the line search finds no ascent, a number of scaling iterations follows, which always ascend: 10 the first
   time, then 20, 40, ...
4. Where the costs that are worth paying span more than 2000 reg, reg falls in stages as in `_newton.py`, each begun at
   the potentials of the last: from nothing Newton's steps would be cut short hundreds of times.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.method import Method, register
from .._base.options import option
from .._base.result import Status
from .._base.state import replace
from . import _kernels
from ._problem import LN2, UNDERFLOW
from ._sns import _largest_entries
from ._unbalanced import UnbalancedProblem, UnbalancedResult, UnbalancedState

Array = npt.NDArray[Any]

ARMIJO = 1e-4
SHORTEST_STEP = 2.0**-10
LARGEST_MOVE = 64.0
GAIN_SEEN = 1e-12
NEGLIGIBLE = 1e-30
FIRST_PAUSE = 10

#: reg falls in stages where the costs that matter span more than so many of it; in the first they span so many.
ANNEALED_SPAN, FIRST_SPAN = 2000.0, 20.0
#: The last stage begins below this multiple of reg.
LAST_STAGE = 1.5
#: A start of at most this error needs no stages.
WARM_ERROR = 0.5
#: A stage before the last ends after so many steps without progress, too.
IDLE_STEPS = 30


@dataclass(frozen=True, eq=False)
class UnbalancedNewtonState(UnbalancedState):
    """The state of the scaling iteration, and counts."""

    #: reg of the present stage over the final one; potentials and measure are those of the stage.
    stage: float = 1.0
    #: No Newton step is tried before this step.
    newton_from: int = 0
    failures: int = 0
    #: Smallest entry kept by the last thinning: where the next one starts to look.
    threshold: float = 0.0
    newton: int = 0
    cg: int = 0


@dataclass(frozen=True)
class UnbalancedNewton:
    """Scaling iterations, then Newton steps guarded by a line search, with scaling iterations to fall back on."""

    warmup: int = option(5, "scaling iterations before a stage's first Newton step", low=0, unit="steps")
    decay: float = option(4.0, "factor by which reg falls from stage to stage", low=1.5, high=100.0)
    stage_tol: float = option(0.01, "error, relative to the mass, that ends a stage", low=1e-12, high=0.5)
    density: float | None = option(
        None, "share of the plan's entries kept in the Newton matrix; None: 100 / max(n, m)", low=0.0, high=1.0
    )
    cg_max_iter: int = option(1000, "conjugate-gradient iterations of one Newton step at most", low=1, unit="steps")

    def init(self, problem: UnbalancedProblem) -> UnbalancedNewtonState:
        stage, start = _first_stage(problem), None
        if stage == 1 or problem.u0.any() or problem.v0.any():
            start = problem.start()
            stage = 1.0 if start.measure <= WARM_ERROR else stage
        if start is None or stage > 1:
            start = _at(problem, stage).start()
        return UnbalancedNewtonState(**vars(start), stage=stage, newton_from=self.warmup)

    def step(self, problem: UnbalancedProblem, state: UnbalancedNewtonState) -> UnbalancedNewtonState:
        at = _at(problem, state.stage)
        if state.stage > 1 and (state.measure <= self.stage_tol or state.nit - state.best_nit > IDLE_STEPS):
            return self._next_stage(problem, at, state)
        following = state
        if state.nit >= state.newton_from:
            following = self._newton_step(at, _without_lost_columns(at, state))
        if following.newton == state.newton:
            following = at.scaling_step(following)
        return at.advance(state, following)

    def done(self, problem: UnbalancedProblem, state: UnbalancedNewtonState) -> Status | None:
        if state.stage > 1:
            return None if np.isfinite(state.measure) else Status.NONFINITE
        return problem.stop(state.measure, state.nit - state.best_nit)

    def finish(self, problem: UnbalancedProblem, state: UnbalancedNewtonState) -> UnbalancedResult:
        if state.stage > 1:
            state = _moved_to(problem, _at(problem, state.stage), state, 1.0)
        return problem.certify(state, {"scaling": state.nit - state.newton, "newton": state.newton, "cg": state.cg})

    def _next_stage(
        self, problem: UnbalancedProblem, at: UnbalancedProblem, state: UnbalancedNewtonState
    ) -> UnbalancedNewtonState:
        stage = state.stage / self.decay
        following = _moved_to(problem, at, state, stage if stage >= LAST_STAGE else 1.0)
        following = replace(following, newton_from=state.nit + 1 + self.warmup, failures=0, threshold=0.0)
        return problem.advance(replace(state, best=np.inf), following)

    def _newton_step(self, problem: UnbalancedProblem, state: UnbalancedNewtonState) -> UnbalancedNewtonState:
        """The step along the thinned Newton direction; where it does not ascend, a state that pauses Newton."""
        n, m = problem.cost.shape
        row_targets, column_targets = problem.targets(state)
        mass = float(column_targets.sum())
        density = min(1.0, 100.0 / max(n, m)) if self.density is None else self.density
        count = max(1, int(np.ceil(density * n * m)))
        starts, columns, values, threshold = _largest_entries(
            problem.answer(state), count, state.threshold, NEGLIGIBLE * mass
        )
        gradient, du, dv = column_targets - state.column_sums, np.empty(n), np.empty(m)
        diagonal = state.column_sums + problem.kappa[1] * column_targets
        diagonal[diagonal <= UNDERFLOW] = 1.0  # nothing is there, and nothing should be
        taken = _kernels.newton_cg(
            starts, columns, values, row_targets * (1 + problem.kappa[0]),
            diagonal, np.zeros(n), gradient, du, dv,
            float(np.clip(state.measure, 1e-8, 1e-2)), self.cg_max_iter,
        )  # fmt: skip
        state = replace(state, threshold=threshold, cg=state.cg + taken)
        moved = _line_search(problem, state, dv / LN2, float(gradient @ dv) / LN2, mass)
        if moved is not None:
            return moved
        pause = FIRST_PAUSE * 2**state.failures
        return replace(state, failures=state.failures + 1, newton_from=state.nit + pause)


def _first_stage(problem: UnbalancedProblem) -> float:
    """reg of the first stage over the final one. A pair farther apart than rho1 + rho2 is not worth its transport."""
    span = min(problem.cost.span, sum(problem.rho)) / problem.reg
    return span / FIRST_SPAN if span > ANNEALED_SPAN else 1.0


def _at(problem: UnbalancedProblem, stage: float) -> UnbalancedProblem:
    """The problem at a stage's regularisation."""
    if stage == 1:
        return problem
    return dataclasses.replace(problem, reg=problem.reg * stage, u0=problem.u0 / stage, v0=problem.v0 / stage)


def _moved_to(
    problem: UnbalancedProblem, at: UnbalancedProblem, state: UnbalancedNewtonState, stage: float
) -> UnbalancedNewtonState:
    """The state with the same column potentials (in units of the cost) at another stage, and the rows' answer there."""
    factor, log_a = state.stage / stage, problem.log_weights[0]
    rescaled = replace(
        state, stage=stage, u=factor * (state.u - log_a) + log_a, phi=factor * state.phi, gauge=factor * state.gauge
    )
    return _at(problem, stage).moved(rescaled, factor * at.column_place(state))


def _without_lost_columns(problem: UnbalancedProblem, state: UnbalancedNewtonState) -> UnbalancedNewtonState:
    """The state where columns whose sum underflows, of which Newton's model knows nothing, have their best answer."""
    lost = state.column_sums <= UNDERFLOW
    if not lost.any():
        return state
    found = problem.moved(state, np.where(lost, problem.column_answer(state), problem.column_place(state)))
    return found if np.isfinite(found.measure) else state


def _line_search(
    problem: UnbalancedProblem, state: UnbalancedNewtonState, dv: Array, slope: float, mass: float
) -> UnbalancedNewtonState | None:
    """Halve the step until the dual ascends by a share of what its slope promises (Armijo); None if it does not."""
    largest = float(np.abs(dv).max()) * max(1.0, problem.kappa[1])
    if not (np.isfinite(largest) and slope > 0):
        return None
    step = min(1.0, LARGEST_MOVE / largest)
    shortest = SHORTEST_STEP * step
    while step >= shortest:
        moved = problem.moved(state, problem.column_place(state) + step * dv)
        # Close to the solution rounding hides the gain; the error still shows.
        hidden = slope < GAIN_SEEN * mass
        if moved.measure < state.measure if hidden else problem.gain(state, moved) >= ARMIJO * step * slope:
            return replace(moved, newton=state.newton + 1)
        step /= 2
    return None


METHOD = register(
    Method(
        name="unbalanced-newton",
        family="ot",
        summary="Newton steps on the dual of unbalanced transport with the plan thinned to its large entries",
        reference="Tang, Shavlovsky, Rahmanian, Tardini, Thekumparampil, Xiao, Ying (2024), Accelerating Sinkhorn "
        "algorithm with sparse Newton iterations, arXiv 2401.12253, carried over to unbalanced transport",
        solver=UnbalancedNewton,
        capabilities=frozenset({"unbalanced-cost", "unbalanced-points"}),
    )
)
