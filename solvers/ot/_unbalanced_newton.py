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


@dataclass(frozen=True, eq=False)
class UnbalancedNewtonState(UnbalancedState):
    """The state of the scaling iteration, and counts."""

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

    warmup: int = option(20, "scaling iterations before the first Newton step", low=0, unit="steps")
    density: float | None = option(
        None, "share of the plan's entries kept in the Newton matrix; None: 100 / max(n, m)", low=0.0, high=1.0
    )
    cg_max_iter: int = option(1000, "conjugate-gradient iterations of one Newton step at most", low=1, unit="steps")

    def init(self, problem: UnbalancedProblem) -> UnbalancedNewtonState:
        start = problem.start()
        return UnbalancedNewtonState(**vars(start), newton_from=self.warmup)

    def step(self, problem: UnbalancedProblem, state: UnbalancedNewtonState) -> UnbalancedNewtonState:
        following = state
        if state.nit >= state.newton_from and state.column_sums.min() > UNDERFLOW:
            following = self._newton_step(problem, state)
        if following.newton == state.newton:
            following = problem.scaling_step(following)
        return problem.advance(state, following)

    def done(self, problem: UnbalancedProblem, state: UnbalancedNewtonState) -> Status | None:
        return problem.stop(state.measure, state.nit - state.best_nit)

    def finish(self, problem: UnbalancedProblem, state: UnbalancedNewtonState) -> UnbalancedResult:
        return problem.certify(state, {"scaling": state.nit - state.newton, "newton": state.newton, "cg": state.cg})

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
        taken = _kernels.newton_cg(
            starts, columns, values, row_targets * (1 + problem.kappa[0]),
            state.column_sums + problem.kappa[1] * column_targets, np.zeros(n), gradient, du, dv,
            float(np.clip(state.measure, 1e-8, 1e-2)), self.cg_max_iter,
        )  # fmt: skip
        state = replace(state, threshold=threshold, cg=state.cg + taken)
        moved = _line_search(problem, state, dv / LN2, float(gradient @ dv) / LN2, mass)
        if moved is not None:
            return moved
        pause = FIRST_PAUSE * 2**state.failures
        return replace(state, failures=state.failures + 1, newton_from=state.nit + pause)


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
