"""Interior points for linear programs: the homogeneous self-dual embedding with a predictor and a corrector.

Andersen & Andersen (2000), The MOSEK interior point optimizer, after Xu, Hung & Ye (1996) and Mehrotra (1992). The
embedding has a solution whatever the program is: with tau > 0 it is an optimal pair, with kappa > 0 a ray that proves
that there is no feasible x, or that the objective falls without end where there is one. Differs from the paper in:

1. The program has upper bounds and free variables as they are; the latter border the normal equations (`_normal`).
2. Rows with one entry, fixed columns and the like are taken out first, and the rest is scaled.
3. An iterate counts by its measure on the user's program, and a ray by the check there: never by the embedding's own.
   A ray that nearly passes is mended first (`_ray`): rounding keeps free columns from vanishing in A'y by themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .._base.method import Method, register
from .._base.options import option
from .._base.result import Status
from .._base.state import replace
from ._lp_problem import UNJUDGED, LpProblem, LpResult
from ._normal import Factor
from ._program import Array, infeasibility_ray, kkt, unboundedness_ray
from ._ray import mended_direction, mended_multipliers
from ._standard import Standard

#: Steps without a better measure that end the method, and from where on a step is none.
PATIENCE, LEAST_STEP = 12, 1e-9
#: Complementarity below this is rounding.
LEAST_MU = 1e-20
#: The last steps gain digits at little cost, and residuals at the tolerance may still leave large multipliers' share
#: of the objective: the method goes on until the measure is this share of the tolerance.
FURTHER = 0.01
#: Corrections aim at steps longer by this factor and number, are not made where the step is nearly whole, and are kept
#: where they lengthen it; products further than this factor from the mean are corrected.
LONGER, LONGER_BY, ENOUGH, LEAST_GAIN, OUTLYING = 1.1, 0.2, 0.95, 0.02, 0.1
#: Rays are looked for once kappa has grown past this share of tau.
RAY_SHARE = 1e-2


@dataclass(frozen=True)
class State:
    """The embedding's iterate, and the best pair of the user's program so far."""

    x: Array
    z: Array
    v: Array
    w: Array
    y: Array
    tau: float
    kappa: float
    best_x: Array
    best_y: Array
    ray_x: Array
    ray_y: Array
    #: 0, or which ray has been verified: 1 infeasible, 2 unbounded.
    verdict: int
    stale: int
    mu: float
    step: float
    nit: int
    measure: float


class Direction(NamedTuple):
    """A step of all variables; those of absent ones are 0."""

    x: Array
    z: Array
    v: Array
    w: Array
    y: Array
    tau: float
    kappa: float


class Targets(NamedTuple):
    """What a step shall change: the share of the residuals, and the complementarity products."""

    share: float
    xz: Array
    vw: Array
    taukappa: float


@dataclass(frozen=True)
class InteriorPoint:
    """The method's solver."""

    correctors: int = option(3, "corrections of the centring at most", low=0, high=10)
    boundary: float = option(0.9995, "share of the way to the boundary that a step goes", low=0.5, high=0.999999)

    def init(self, problem: LpProblem) -> State:
        """All ones, and the user's start as the best pair."""
        form = problem.standard
        pair = kkt(problem.program, problem.x0, problem.y0)
        positive, bounded = np.where(form.free, 0.0, 1.0), np.where(form.bounded, 1.0, 0.0)
        return State(
            x=positive, z=positive.copy(), v=bounded, w=bounded.copy(), y=np.zeros(len(form.b)), tau=1.0, kappa=1.0,
            best_x=pair.x, best_y=pair.y, ray_x=np.zeros_like(pair.x), ray_y=np.zeros_like(pair.y),
            verdict=0, stale=0, mu=1.0, step=1.0, nit=0, measure=pair.measure,
        )  # fmt: skip

    def step(self, problem: LpProblem, state: State) -> State:
        """One factorisation, a predictor and a corrector."""
        form = problem.standard
        with np.errstate(all="ignore"):
            system = _System(form, problem, state)
            affine = system.direction(Targets(1.0, -state.x * state.z, -state.v * state.w, -state.tau * state.kappa))
            reach = _reach(form, state, affine)
            centring = (1 - reach) ** 2 * min(1.0, max(1 - reach, 0.1))
            mu = centring * system.mu
            to = Targets(
                1 - centring,
                np.where(form.free, 0.0, mu - state.x * state.z - affine.x * affine.z),
                np.where(form.bounded, mu - state.v * state.w - affine.v * affine.w, 0.0),
                mu - state.tau * state.kappa - affine.tau * affine.kappa,
            )
            full = system.direction(to)
            reach = _reach(form, state, full)
            for _ in range(self.correctors):
                if reach > ENOUGH:
                    break
                to = _centred(form, state, full, to, min(1.0, LONGER * reach + LONGER_BY), mu)
                corrected = system.direction(to)
                further = _reach(form, state, corrected)
                if further < reach + LEAST_GAIN:
                    break
                full, reach = corrected, further
            length = min(1.0, self.boundary * reach)
            moved = [getattr(state, name) + length * step for name, step in full._asdict().items()]
        if not (length > LEAST_STEP and all(np.all(np.isfinite(part)) for part in moved)):
            return replace(state, nit=state.nit + 1, stale=PATIENCE, step=0.0)
        return _judged(problem, replace(state, **dict(zip(Direction._fields, moved, strict=True)), step=length))

    def done(self, problem: LpProblem, state: State) -> Status | None:
        """Optimal, a verified ray, or no more progress."""
        if state.measure <= FURTHER * problem.tol:
            return Status.CONVERGED
        if state.verdict:
            return Status.INFEASIBLE if state.verdict == 1 else Status.UNBOUNDED
        return Status.STAGNATION if state.stale >= PATIENCE else None

    def finish(self, problem: LpProblem, state: State) -> LpResult:
        """The best pair."""
        ray = (None, state.ray_y, state.ray_x)[state.verdict]
        return problem.result(state.best_x, state.best_y, ray, stats={"factorisations": state.nit}, **UNJUDGED)


def _judged(problem: LpProblem, state: State) -> State:
    """The state after a step, with the pair and the rays that it gives the user's program."""
    form = problem.standard
    pair = kkt(problem.program, *problem.whole(form.x(state.x / state.tau), state.y / state.tau))
    better = pair.measure < state.measure
    mu = _complementarity(form, state)
    going = pair.measure < 0.9 * state.measure or LEAST_MU < mu < 0.9 * state.mu
    state = replace(state, nit=state.nit + 1, mu=mu, stale=0 if going else state.stale + 1)
    if better:
        state = replace(state, best_x=pair.x, best_y=pair.y, measure=pair.measure)
    if state.kappa > RAY_SHARE * state.tau and state.measure > problem.tol:
        program = problem.program
        y, x = problem.whole_ray_y(state.y), problem.whole_ray_x(form.direction(state.x))
        ray_y, ray_x = infeasibility_ray(program, y), unboundedness_ray(program, x)
        if ray_y is None and ray_x is None and state.kappa > state.tau:
            ray_y = infeasibility_ray(program, mended_multipliers(program, y))
            ray_x = unboundedness_ray(program, mended_direction(program, x))
        if ray_y is not None:
            return replace(state, ray_y=ray_y, verdict=1)
        if ray_x is not None:
            return replace(state, ray_x=ray_x, verdict=2)
    return state


def _centred(form: Standard, state: State, step: Direction, to: Targets, length: float, mu: float) -> Targets:
    """Targets that bring the products, as they are after a step of that length, nearer to mu (Gondzio 1996)."""

    def change(value: Array, other: Array, by: Array, other_by: Array) -> Array:
        product = (value + length * by) * (other + length * other_by)
        return np.asarray(np.maximum(np.clip(product, OUTLYING * mu, mu / OUTLYING) - product, -mu / OUTLYING))

    xz, vw = change(state.x, state.z, step.x, step.z), change(state.v, state.w, step.v, step.w)
    return to._replace(xz=to.xz + np.where(form.free, 0.0, xz), vw=to.vw + np.where(form.bounded, vw, 0.0))


def _reach(form: Standard, state: State, step: Direction) -> float:
    """How far the step may go until a variable is zero, at most 1."""
    reach = 1.0
    for value, change in (
        (np.where(form.free, 0.0, state.x), step.x),
        (state.z, step.z),
        (state.v, step.v),
        (state.w, step.w),
    ):
        falls = (change < 0) & (value > 0)  # what is absent is zero
        if falls.any():
            reach = min(reach, float(np.min(-value[falls] / change[falls])))
    for number, by in ((state.tau, step.tau), (state.kappa, step.kappa)):
        reach = min(reach, -number / by) if by < 0 else reach
    return reach


def _complementarity(form: Standard, state: State) -> float:
    """The mean of the complementarity products."""
    pairs = int(np.count_nonzero(~form.free) + np.count_nonzero(form.bounded)) + 1
    return (float(state.x @ state.z + state.v @ state.w) + state.tau * state.kappa) / pairs


class _System:
    """The embedding's Newton equations at an iterate."""

    def __init__(self, form: Standard, problem: LpProblem, state: State):
        self.form, self.state = form, state
        tau = state.tau
        self.p = form.b * tau - form.rows @ state.x
        self.d = form.c * tau - form.turned @ state.y - state.z + state.w
        self.u = np.where(form.bounded, form.u * tau - state.x - state.v, 0.0)
        self.g = float(state.kappa + form.c @ state.x - form.b @ state.y + form.u @ state.w)
        self.mu = _complementarity(form, state)
        one = np.ones(1)
        self.x = np.where(form.free, one, state.x)
        self.v = np.where(form.bounded, state.v, one)
        self.ratio = state.w / self.v
        self.factor: Factor = problem.normal.factorise(state.z / self.x + self.ratio)
        self.second = self.factor.solve(form.c - self.ratio * form.u, form.b)

    def direction(self, to: Targets) -> Direction:
        """The step that meets the targets."""
        form, state = self.form, self.state
        upper = (to.vw - to.share * state.w * self.u) / self.v
        f = to.share * self.d - to.xz / self.x + upper
        first_x, first_y = self.factor.solve(f, to.share * self.p)
        weights = form.c + self.ratio * form.u
        second_x, second_y = self.second
        slope = form.b @ second_y - weights @ second_x + form.u @ (self.ratio * form.u) + state.kappa / state.tau
        right = to.share * self.g + to.taukappa / state.tau + form.u @ upper + weights @ first_x - form.b @ first_y
        tau = float(right / slope)
        x, y = first_x + second_x * tau, first_y + second_y * tau
        z = np.where(form.free, 0.0, (to.xz - state.z * x) / self.x)
        v = np.where(form.bounded, to.share * self.u + form.u * tau - x, 0.0)
        w = np.where(form.bounded, (to.vw - state.w * v) / self.v, 0.0)
        return Direction(x, z, v, w, y, tau, (to.taukappa - state.kappa * tau) / state.tau)


METHOD = register(
    Method(
        name="lp-ipm",
        family="equilibrium",
        summary="interior points on the homogeneous self-dual embedding, by sparse factorisations",
        reference="Andersen & Andersen (2000), The MOSEK interior point optimizer for linear programming, "
        "doi:10.1007/978-1-4757-3216-0_8",
        solver=InteriorPoint,
        capabilities=frozenset({"linear-program"}),
    )
)
