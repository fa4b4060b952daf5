"""Linear programs by restarted reflected Halpern steps of the primal-dual hybrid gradient method.

Lu & Yang (2024, arXiv 2407.16144), with the restarts and the controller of the primal weight of Lu et al. (2025,
arXiv 2507.14051), which are in `_restart`. A step of the method is a block of iterations in C, each of which reads the
matrix once, and a look at what they reached. Differs from the papers in:

1. Rows with one entry, fixed columns and the like are taken out first.
2. The norm of the scaled matrix is at most one, whatever the program is (Pock & Chambolle 2011); a power iteration
   finds how much longer steps may be, and where an iterate shows that they are too long they are shortened.
3. The weight takes half the step, in its logarithm, that the controller asks for: whole steps may swing, by a
   factor of thirty on one random sparse program.
4. The looks are at the user's program, not at the scaled one; rays are taken for what the check of them says.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .._base.method import Method, register
from .._base.options import option
from .._base.result import Status
from .._base.state import replace
from ._lp_problem import UNJUDGED, LpProblem, LpResult
from ._program import Array, infeasibility_ray, kkt, unboundedness_ray
from ._restart import Weight, wanted

#: What a step is of the longest one that is known to converge, and by how much an observed norm is exceeded.
SHARE, MARGIN = 0.998, 1.02
POWER_STEPS = 20
#: How far the weight may leave 1 in either direction.
REACH = 1e5
#: Blocks without a better measure that end the method: more of them, the more there have been. And fewer where the
#: measure is about that of rounding.
PATIENCE, LITTLE_PATIENCE, ROUNDING = 2000, 60, 1e-11
#: After so many blocks a look comes one block later, and at most so many blocks later.
SELDOM, FEWER = 100, 3
#: Blocks between two looks for rays.
RAYS = 8
#: Measures that a ray of an infeasible program has, at least: below, the program is about to be solved.
HOPELESS = 1e-5


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


@dataclass(frozen=True)
class HalpernPdhg:
    """The method's solver."""

    block: int = option(40, "iterations between two looks", low=2, high=10_000, unit="iterations")

    def init(self, problem: LpProblem) -> State:
        """At the user's start."""
        scaled, kernel = problem.prepared, problem.kernel
        m, n = scaled.program.A.shape
        pair = kkt(problem.program, problem.x0, problem.y0)
        x, y = scaled.scaled(pair.x[problem.reduced.columns], pair.y[problem.reduced.rows])
        x, kty = np.clip(x, scaled.program.lb, scaled.program.ub), np.empty(n)
        kernel.transposed(y, kty)
        return State(
            x=x, y=y, kty=kty, anchor_x=x, anchor_y=y, count=0, total=0, first=math.inf, last=math.inf,
            norm=_norm(problem, m, n), weight=1.0, summed=0.0, best_weight=math.nan, distance=math.inf,
            best_x=pair.x, best_y=pair.y, ray_x=np.zeros_like(pair.x), ray_y=np.zeros_like(pair.y),
            verdict=0, stale=0, restarts=0, nit=0, measure=pair.measure,
        )  # fmt: skip

    def step(self, problem: LpProblem, state: State) -> State:
        """A block of iterations, a look, and a restart where it is wanted."""
        walk = _Walk(problem, state)
        # looks are dear where the matrix is small, and late in a run little is lost by fewer of them
        block = self.block * (1 + min(state.total // (SELDOM * self.block), FEWER))
        if state.count == 0:
            walk.run(1)
            first = walk.residual()
            walk.run(block - 1)
        else:
            walk.run(block)
            first = state.first
        residual = walk.residual()
        if not math.isfinite(residual):
            # the steps are too long: half of them, from the anchor
            return _anchored(
                problem, replace(state, nit=state.nit + 1, norm=2 * state.norm), state.anchor_x, state.anchor_y
            )
        state = replace(
            state, x=walk.x, y=walk.y, kty=walk.kty, count=walk.count, total=state.total + block,
            first=first, nit=state.nit + 1,
        )  # fmt: skip
        balance, state = _judged(problem, state, walk)
        if walk.norm > state.norm:
            return _anchored(problem, replace(state, norm=MARGIN * walk.norm), walk.tx, walk.ty)
        if wanted(residual, state.last, state.first, state.count, state.total):
            moved = np.linalg.norm(walk.tx - state.anchor_x), np.linalg.norm(walk.ty - state.anchor_y)
            weight = _weight(state).after(float(moved[0]), float(moved[1]), balance)
            state = replace(
                state, weight=math.sqrt(weight.value * state.weight), summed=weight.summed, best_weight=weight.best,
                distance=weight.distance, restarts=state.restarts + 1,
            )  # fmt: skip
            return _anchored(problem, state, walk.tx, walk.ty)
        return replace(state, last=residual)

    def done(self, problem: LpProblem, state: State) -> Status | None:
        """Optimal, a verified ray, or no more progress."""
        if state.measure <= problem.tol:
            return Status.CONVERGED
        if state.verdict:
            return Status.INFEASIBLE if state.verdict == 1 else Status.UNBOUNDED
        patience = (LITTLE_PATIENCE if state.measure < ROUNDING else PATIENCE) + state.nit // 2
        return Status.STAGNATION if state.stale >= patience else None

    def finish(self, problem: LpProblem, state: State) -> LpResult:
        """The best pair."""
        ray = (None, state.ray_y, state.ray_x)[state.verdict]
        stats = {"iterations": state.total, "restarts": state.restarts, "weight": state.weight, "norm": state.norm}
        return problem.result(state.best_x, state.best_y, ray, stats=stats, **UNJUDGED)


def _weight(state: State) -> Weight:
    return Weight(state.weight, 1 / REACH, REACH, state.summed, state.best_weight, state.distance)


class _Walk:
    """Iterations from a state, which is left alone."""

    def __init__(self, problem: LpProblem, state: State):
        self.kernel, self.state, self.count = problem.kernel, state, state.count
        self.x, self.y, self.kty = state.x.copy(), state.y.copy(), state.kty.copy()
        self.tx, self.dx = np.empty_like(self.x), np.empty_like(self.x)
        self.ty, self.dy = np.empty_like(self.y), np.empty_like(self.y)
        self.eta = SHARE / state.norm
        #: The largest norm that a displacement has shown.
        self.norm = 0.0

    def run(self, count: int) -> None:
        """So many iterations more."""
        s, weight = self.state, self.state.weight
        self.kernel.run(
            self.x, self.y, self.kty, s.anchor_x, s.anchor_y, self.eta / weight, self.eta * weight, self.count, count,
            self.tx, self.ty, self.dx, self.dy,
        )  # fmt: skip
        self.count += count

    def residual(self) -> float:
        """|z - T(z)| in the metric of the steps, of the last iteration's z."""
        weight, product = self.state.weight, np.empty_like(self.dy)
        self.kernel.product(self.dx, product)
        xx, yy = float(self.dx @ self.dx), float(self.dy @ self.dy)
        if xx > 0:
            self.norm = max(self.norm, math.sqrt(float(product @ product) / xx))
        square = weight * xx + yy / weight + 2 * self.eta * float(self.dy @ product)
        return math.sqrt(max(square, 0.0)) if math.isfinite(square) else math.inf


def _anchored(problem: LpProblem, state: State, x: Array, y: Array) -> State:
    """The state at a new anchor."""
    kty = np.empty_like(x)
    problem.kernel.transposed(y, kty)
    return replace(
        state, x=x, y=y, kty=kty, anchor_x=x, anchor_y=y, count=0, first=math.inf, last=math.inf,
    )  # fmt: skip


def _judged(problem: LpProblem, state: State, walk: _Walk) -> tuple[float, State]:
    """The ratio of the relative residuals of T(z), and the state with what T(z) is worth on the user's program."""
    scaled, program = problem.prepared, problem.program
    pair = kkt(program, *problem.whole(walk.tx, walk.ty, scaled))
    primal, dual = pair.primal / (1 + program.side_norm), pair.dual / (1 + program.cost_norm)
    balance = primal / dual if dual > 0 else math.inf
    state = replace(state, stale=0 if pair.measure < 0.9 * state.measure else state.stale + 1)
    if pair.measure < state.measure:
        state = replace(state, best_x=pair.x, best_y=pair.y, measure=pair.measure)
    if state.nit % RAYS or state.measure < HOPELESS:
        return balance, state
    for x, y in ((walk.dx, walk.dy), (walk.tx - state.anchor_x, walk.ty - state.anchor_y), (walk.tx, walk.ty)):
        for direction in (x, -x):
            ray_x = unboundedness_ray(program, problem.whole_ray_x(direction, scaled))
            if ray_x is not None:
                return balance, replace(state, ray_x=ray_x, verdict=2)
        for multipliers in (y, -y):
            ray_y = infeasibility_ray(program, problem.whole_ray_y(multipliers, scaled))
            if ray_y is not None:
                return balance, replace(state, ray_y=ray_y, verdict=1)
    return balance, state


def _norm(problem: LpProblem, m: int, n: int) -> float:
    """The norm of the scaled matrix, by power steps from below; it is never more than 1."""
    if m == 0 or problem.prepared.program.A.nnz == 0:
        return 1.0
    v, u, norm = np.sin(np.arange(1.0, n + 1)), np.empty(m), 0.0
    for _ in range(POWER_STEPS):
        v /= np.linalg.norm(v)
        problem.kernel.product(v, u)
        norm = float(np.linalg.norm(u))
        problem.kernel.transposed(u, v)
    return min(1.0, MARGIN * norm) or 1.0


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
