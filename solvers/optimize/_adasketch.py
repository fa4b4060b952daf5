"""AdaSketch-Newton-GALA as published: Newton's method for equality constraints, its systems by sketch and project.

Each step of Newton's method on grad L = 0, c = 0 is solved to an accuracy that adapts until the step is one of descent
for the exact augmented Lagrangian M = L + eta1/2 |c|^2 + eta2/2 |grad L|^2; then M is searched along it. It is here for
study: method "gala" solves the same problems, and others, with factorisations.

Differs from the published algorithm and its code in:
1. The gradient of M has the Hessian of the Lagrangian, not that of the objective, where constraints curve.
2. The residual of the inner system is looked at after as many projections as it has rows; no residual is updated.
3. The line search gives up after 60 halvings, grants M a slack of rounding, and halves where a function is not finite.
4. Multipliers start from those of least squares, where no others are asked for.
5. A solve ends where the residual of the conditions has not fallen by 1 % for 30 iterations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg
import scipy.sparse

from .._base.method import Method, register
from .._base.options import option
from .._base.result import Status
from . import _kernels
from ._nlp import Scaled
from ._problem import NonlinearProblem
from ._result import MinimizeResult, measured
from ._sketch import KINDS, RULES, TURNS

Array = npt.NDArray[Any]

#: Of the published code, where no others are given.
TOL, MAX_ITER = 1e-4, 10_000
#: Of the published algorithm: how penalties grow, the Armijo factor, the shift of B, the least delta.
NU, BETA, SHIFT, LEAST_DELTA = 1.5, 0.1, 0.1, 1e-6
#: Penalties beyond which the step is taken as it is; the least eigenvalue of J J' that is allowed.
ETA1_LIMIT, ETA2_LIMIT, SINGULAR = 1e8, 1e-8, 1e-2
HALVINGS, PATIENCE = 60, 30

ENDS = {1: Status.BREAKDOWN, 2: Status.STAGNATION, 3: Status.NONFINITE}
SINGULAR_ROWS, STUCK, BLIND = ENDS


@dataclass(frozen=True, eq=False)
class AdaSketchState:
    """A point with its multipliers, and what adapts."""

    x: Array
    y: Array
    eta1: float
    eta2: float
    delta: float
    #: Of the last step: grad M's product with it, and its length.
    slope: float
    alpha: float
    projections: int
    #: The least measure, and when it last fell.
    least: float
    fell: int
    outcome: int
    nit: int
    #: |(grad L, c)|, in the 2-norm.
    measure: float


@dataclass(frozen=True)
class Point:
    """A point with multipliers, and all that is known there."""

    x: Array
    y: Array
    f: float
    c: Array
    gl: Array
    J: Array

    @property
    def residual(self) -> Array:
        return np.concatenate([self.gl, self.c])

    def merit(self, eta1: float, eta2: float) -> float:
        lagrangian = self.f + self.y @ self.c
        return float(lagrangian + eta1 / 2 * (self.c @ self.c) + eta2 / 2 * (self.gl @ self.gl))

    def gradient(self, H: Array, eta1: float, eta2: float) -> Array:
        """Of the merit function; H is the Hessian of the Lagrangian."""
        return np.concatenate(
            [self.gl + eta2 * (H @ self.gl) + eta1 * (self.J.T @ self.c), self.c + eta2 * (self.J @ self.gl)]
        )


@dataclass(frozen=True)
class AdaSketchNewton:
    """The published algorithm with its published numbers."""

    sketch: str = option(
        "rk", "What the rows of the Newton system are combined into", choices=("rk", "gaussian", "block", "countsketch")
    )
    size: int = option(1, "Rows of a sketch; 1 for rk", low=1)
    theta: str = option("one", "Accuracy of inner solves: fixed, or with the residual", choices=("one", "superlinear"))
    eta1: float = option(1.0, "Penalty of |c|^2 / 2 at the start", low=0, open=True)
    eta2: float = option(0.1, "Penalty of |grad L|^2 / 2 at the start", low=0, open=True)
    delta: float = option(0.1, "Factor of the inner accuracy at the start", low=0, high=1, open=True)
    curvature: float = option(1e-6, "H is shifted where its curvature along the constraints is less", low=0)
    inner_cap: int = option(100_000, "Projections at most in an inner solve", low=1)
    multipliers: str = option("least-squares", "Those of the start", choices=("least-squares", "zeros", "ones"))

    def init(self, problem: NonlinearProblem) -> AdaSketchState:
        x, functions = problem.program.x0, self._functions(problem)
        y = np.full(problem.program.m, 1.0 if self.multipliers == "ones" else 0.0)
        at = evaluated(functions, x, y)
        if self.multipliers == "least-squares" and np.all(np.isfinite(at.gl)):
            y = np.linalg.lstsq(at.J.T, -at.gl, rcond=None)[0]
            at = evaluated(functions, x, y)
        measure = float(np.linalg.norm(at.residual))
        if not np.isfinite(measure):
            raise ValueError("cannot start: fun or a constraint is not finite at x0")
        return AdaSketchState(
            x, y, self.eta1, self.eta2, self.delta, 0.0, 0.0, 0, measure, 0, 0, 0, measure
        )  # fmt: skip

    def step(self, problem: NonlinearProblem, state: AdaSketchState) -> AdaSketchState:
        """One iteration: an inner solve, the penalties, a line search."""
        functions = self._functions(problem)
        at = evaluated(functions, state.x, state.y)
        if not functions.curvature(state.x, 1.0, state.y):
            return ended(state, BLIND)
        H = dense(functions.H)
        least = smallest_square(at.J)
        if least < SINGULAR:
            return ended(state, SINGULAR_ROWS)
        system = Newton(self, at, H, least, problem.seed)
        z, eta1, eta2, delta, slope = system.solve(state)
        taken, alpha = searched(functions, at, z, eta1, eta2, slope)
        if taken is None:
            return ended(state, STUCK)
        measure, nit = float(np.linalg.norm(taken.residual)), state.nit + 1
        best, fell = (measure, nit) if measure < 0.99 * state.least else (state.least, state.fell)
        return AdaSketchState(
            taken.x, taken.y, eta1, eta2, delta, slope, alpha, state.projections + system.projections, best, fell,
            STUCK if nit - fell >= PATIENCE else 0, nit, measure,
        )  # fmt: skip

    def done(self, problem: NonlinearProblem, state: AdaSketchState) -> Status | None:
        if state.measure <= problem.tol:
            return Status.CONVERGED
        return ENDS[state.outcome] if state.outcome else None

    def finish(self, problem: NonlinearProblem, state: AdaSketchState) -> MinimizeResult:
        program, x, y = problem.program, state.x.copy(), state.y.copy()
        product = np.asarray(program.jacobian(x).T @ y) if program.m else np.zeros(program.n)
        values = program.fun(x), np.asarray(program.gradient(x)), np.asarray(program.constraints(x)), product
        result = measured(problem, (x, y, np.zeros(len(x))), values, f"sketch: {self.sketch}")
        result.stats.update(projections=state.projections, eta1=state.eta1, eta2=state.eta2)
        return result

    def _functions(self, problem: NonlinearProblem) -> Scaled:
        if problem.program.kind == "operator":
            raise ValueError("method 'adasketch-newton' needs the Hessian as a matrix, not as products")
        functions: Scaled = problem.scratch.setdefault("functions", Scaled(problem.program))
        return functions


class Newton:
    """The Newton system at a point, solved until its step is one of descent."""

    def __init__(self, options: AdaSketchNewton, at: Point, H: Array, least: float, seed: int) -> None:
        self.options, self.at, self.H, self.projections, self.seed = options, at, H, 0, seed
        n, m = len(at.x), len(at.y)
        B = H
        if m < n and least_curvature(at.J, H) < options.curvature:
            B = H + (SHIFT + np.linalg.norm(H)) * np.eye(n)
        self.K = np.block([[B, at.J.T], [at.J, np.zeros((m, m))]])
        self.psi = 20 * max(float(np.linalg.norm(B)) ** 2, 1.0) / (min(least, 1.0) * SHIFT)
        self.bound = max(float(np.linalg.norm(at.J)), float(np.linalg.norm(H)), 1.0)

    def delta(self, eta1: float, eta2: float) -> float:
        """What the theory asks for."""
        return (0.5 - BETA) * eta2 / ((1 + eta1 + eta2) * self.bound**2 * self.psi**2)

    def solve(self, state: AdaSketchState) -> tuple[Array, float, float, float, float]:
        """The step, the penalties and the accuracy for which it is one of descent, and grad M's product with it."""
        options, residual = self.options, self.at.residual
        size = float(np.linalg.norm(residual))
        eta1, eta2 = state.eta1, state.eta2
        delta = max(min(state.delta, self.delta(eta1, eta2)), LEAST_DELTA)
        theta = min(1.0, size) if options.theta == "superlinear" else 1.0
        scale = theta * size / (float(np.linalg.norm(self.K)) * self.psi)
        rows = 1 if options.sketch == "rk" else min(options.size, len(residual))
        rule = TURNS if options.sketch == "block" else RULES["uniform"]
        inner = _kernels.Sketch(
            self.K,
            None,
            -residual,
            KINDS[options.sketch],
            rule,
            0,
            rows,
            1,
            1,
            False,
            1.0,
            0.0,
            (0.0, 0.0, 0.0),
            self.seed,
        )
        while True:
            # the numbers of the draws go on from solve to solve
            made, _ = inner.until(
                state.projections + self.projections, options.inner_cap, -(-len(residual) // rows), delta * scale
            )
            self.projections += made
            slope = float(self.at.gradient(self.H, eta1, eta2) @ inner.x)
            if eta1 > ETA1_LIMIT or eta2 < ETA2_LIMIT or slope <= -eta2 / 2 * size**2:
                return inner.x, eta1, eta2, delta, slope
            eta1, eta2 = eta1 * NU**2, eta2 / NU
            delta = max(min(delta / NU**4, self.delta(eta1, eta2)), LEAST_DELTA)


def evaluated(functions: Scaled, x: Array, y: Array) -> Point:
    """All that is known at a point; not finite where a function is not."""
    f, c = functions.values(x)
    target = functions.program.row_lower
    if not (math.isfinite(f) and np.all(np.isfinite(c))):
        nothing = np.full(len(x), np.nan)
        return Point(x, y, math.nan, c - target, nothing, np.zeros((len(y), len(x))))
    g = functions.slopes(x)
    J = dense(functions.J)
    return Point(x, y, f, c - target, g + J.T @ y, J)


def searched(
    functions: Scaled, at: Point, z: Array, eta1: float, eta2: float, slope: float
) -> tuple[Point | None, float]:
    """The first of 1, 1/2, 1/4, ... of the step that brings enough, and that part."""
    n, alpha, value = len(at.x), 1.0, at.merit(eta1, eta2)
    slack = 10 * np.finfo(float).eps * max(1.0, abs(value))
    for _ in range(HALVINGS):
        trial = evaluated(functions, at.x + alpha * z[:n], at.y + alpha * z[n:])
        if trial.merit(eta1, eta2) <= value + alpha * BETA * slope + slack:
            return trial, alpha
        alpha /= 2
    return None, 0.0


def ended(state: AdaSketchState, outcome: int) -> AdaSketchState:
    """The same point, with the verdict; an iteration was made."""
    fields = dict(state.__dict__, outcome=outcome, nit=state.nit + 1)
    return AdaSketchState(**fields)


def dense(matrix: Any) -> Array:
    return np.asarray(matrix.toarray() if scipy.sparse.issparse(matrix) else matrix, np.float64)


def smallest_square(J: Array) -> float:
    """The least eigenvalue of J J'; infinite without rows."""
    if not len(J):
        return math.inf
    return float(np.linalg.svd(J, compute_uv=False)[-1] ** 2) if len(J) <= J.shape[1] else 0.0


def least_curvature(J: Array, H: Array) -> float:
    """The least eigenvalue of Z'H Z for an orthonormal basis Z of the kernel of J."""
    if not len(J):
        return float(np.linalg.eigvalsh(H)[0])
    Z = scipy.linalg.qr(J.T)[0][:, len(J) :]
    return float(np.linalg.eigvalsh(Z.T @ H @ Z)[0])


METHOD = register(
    Method(
        name="adasketch-newton",
        family="optimize",
        summary="Newton's method for equality constraints by randomised sketching, as published; for study",
        reference="Hong, Na, Mahoney, Kolar (2023), Constrained optimization via exact augmented Lagrangian and "
        "randomized iterative sketching, ICML, arXiv 2305.18379",
        solver=AdaSketchNewton,
        capabilities=frozenset({"equality-program"}),
    )
)
