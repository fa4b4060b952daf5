"""Linear programs by restarted reflected Halpern steps of the primal-dual hybrid gradient method.

Lu & Yang (2024, arXiv 2407.16144), with the restarts and the controller of the primal weight of Lu et al. (2025,
arXiv 2507.14051), which are in `_restart`. A step of the method is a block of iterations, each of which reads the
matrix once, and a look at what they reached; all of it is compiled (lp_pdhg.c), as the C interface has it. Differs from
the papers in:

1. Rows with one entry, fixed columns and the like are taken out first.
2. The norm of the scaled matrix is at most one, whatever the program is (Pock & Chambolle 2011); a power iteration
   finds how much longer steps may be, and where an iterate shows that they are too long they are shortened.
3. The weight takes half the step, in its logarithm, that the controller asks for: whole steps may swing, by a
   factor of thirty on one random sparse program.
4. The looks are at the user's program, not at the scaled one; rays are taken for what the check of them says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .._base.method import Method, register
from .._base.options import option
from .._base.result import Status
from .._base.state import replace
from ._kernels import lp_pdhg_done
from ._lp_problem import UNJUDGED, LpProblem, LpResult
from ._program import Array


@dataclass(frozen=True)
class State:
    """The iteration on the scaled program, its anchor and weight, and the best pair of the user's program so far."""

    x: Array
    y: Array
    kty: Array
    anchor_x: Array
    anchor_y: Array
    #: Iterations since the anchor, and in all; the residuals at its first and at the last look.
    count: int
    total: int
    first: float
    last: float
    norm: float
    weight: float
    summed: float
    best_weight: float
    distance: float
    best_x: Array
    best_y: Array
    ray_x: Array
    ray_y: Array
    verdict: int
    stale: int
    restarts: int
    nit: int
    measure: float


#: The state's fields as the compiled code has them.
VECTORS = ("x", "y", "kty", "anchor_x", "anchor_y", "best_x", "best_y", "ray_x", "ray_y")
NUMBERS = (
    "count", "total", "first", "last", "norm", "weight", "summed", "best_weight", "distance", "verdict", "stale",
    "restarts", "nit", "measure",
)  # fmt: skip


@dataclass(frozen=True)
class HalpernPdhg:
    """The method's solver."""

    block: int = option(40, "iterations between two looks", low=2, high=10_000, unit="iterations")

    def init(self, problem: LpProblem) -> State:
        """At the user's start."""
        vectors, numbers = problem.prepared.init(problem.x0, problem.y0)
        parts: dict[str, Any] = dict(zip(VECTORS + NUMBERS, (*vectors, *numbers), strict=True))
        return State(**parts)

    def step(self, problem: LpProblem, state: State) -> State:
        """A block of iterations, a look, and a restart where it is wanted."""
        vectors = [getattr(state, name).copy() for name in VECTORS]
        numbers = problem.prepared.step(vectors, [getattr(state, name) for name in NUMBERS], self.block)
        return replace(state, **dict(zip(VECTORS + NUMBERS, (*vectors, *numbers), strict=True)))

    def done(self, problem: LpProblem, state: State) -> Status | None:
        """Optimal, a verified ray, or no more progress."""
        status = lp_pdhg_done(problem.tol, state.measure, state.verdict, state.stale, state.nit)
        return None if status < 0 else Status(status)  # type: ignore[call-arg]

    def finish(self, problem: LpProblem, state: State) -> LpResult:
        """The best pair."""
        ray = (None, state.ray_y, state.ray_x)[state.verdict]
        stats = {"iterations": state.total, "restarts": state.restarts, "weight": state.weight, "norm": state.norm}
        return problem.result(state.best_x, state.best_y, ray, stats=stats, **UNJUDGED)


METHOD = register(
    Method(
        name="lp-pdhg",
        family="equilibrium",
        summary="restarted reflected Halpern steps of the primal-dual hybrid gradient method, one sweep an iteration",
        reference="Lu & Yang (2024), Restarted Halpern PDHG for linear programming, arXiv 2407.16144",
        solver=HalpernPdhg,
        capabilities=frozenset({"linear-program"}),
    )
)
