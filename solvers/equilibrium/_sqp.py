"""Sequential quadratic programming for the worst mixture of few groups over few features.

At w the losses f and their gradients, the rows of J, come from one pass over all rows. The step solves

    min_u max_q q'(f + J u) + l2 (w'u + |u|^2 / 2) + u'H u / 2,

H the hessian of the losses mixed by the last q: through its dual, a quadratic program over the simplex with as many
variables as there are groups. The minimising u leads to the next w, the maximising q is the next mixture.

Differs from the papers in: 1. H is that of a sample of every eighth row where there are many: the curvature of a
mean needs fewer rows than the mean itself. The residual then falls by a constant factor a step, about the relative
error of H. Where that factor is a poor one, all rows are taken. H is kept from step to step as long as it is good.
2. The first step solves the problem on every 64th row, and from there on every 8th, before any pass over all rows.
3. A step is accepted if the largest loss falls, or the natural residual halves; else it is halved. 4. Both quadratics
are damped by the distance from the last point, which moves no solution and makes singular matrices harmless.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg

from .._base.method import Method, register
from .._base.options import option
from .._base.result import Status
from .._base.state import replace
from . import _kernels
from ._dro_problem import GroupDro, GroupDroResult
from ._group_sum import Samples

Array = npt.NDArray[Any]

#: Below so many rows all of them make the hessian, and the first step is like the others.
FEW_ROWS = 20_000
#: The coarsest problem has one of so many rows of the next one; every group has so many rows in both, or all it has.
COARSER, LEAST_ROWS = 8, 64
#: H is kept where the residual fell to less than KEPT of the last one, and taken of all rows above POOR.
KEPT, POOR = 0.12, 0.4
#: Damping, relative to the mean diagonal.
DAMPING = 1e-11
#: What the merit must fall by, relative to what the model promises, and how often a step is halved for that.
SUFFICIENT, HALVINGS = 1e-4, 30


@dataclass(frozen=True, eq=False)
class Newton:
    """The state: the point, losses and gradients there, the hessian in use."""

    best: Array
    f: Array
    J: Array
    H: Array
    measure: float
    #: The residual over that of the last step.
    ratio: float = math.inf
    nit: int = 0
    #: Whether H is from all rows, and whether no step made anything better.
    exact: bool = False
    stuck: bool = False


@dataclass(frozen=True)
class SequentialQuadratic:
    """Newton's method for the largest of few losses."""

    stride: int = option(
        8, "of 20,000 rows and more, every so many make the hessian, an eighth of those the first steps; 1: all rows",
        low=1, high=1000,
    )  # fmt: skip

    def init(self, problem: GroupDro) -> Newton:
        """The start."""
        f, J, H = _at(problem, problem.z0)
        return Newton(problem.z0, f, J, H, _natural(problem, problem.z0, f, J))

    def step(self, problem: GroupDro, state: Newton) -> Newton:
        """One quadratic program and a pass over all rows; the first one: also the coarse problems."""
        samples = _coarse(problem, self.stride) if self.stride > 1 and len(problem.y) >= FEW_ROWS else []
        if state.nit == 0 and samples and np.array_equal(state.best, problem.z0):
            z = state.best
            for sample in samples:
                z = _solved_coarsely(problem, sample, z)
            state = _best_of(problem, state, z)
        exact = not samples or state.exact or POOR < state.ratio < math.inf
        if exact or state.ratio > KEPT:
            w, q = problem.split(state.best)
            H = _hessian(problem, problem.samples if exact else samples[-1], w, q)
        else:
            H = state.H
        return _searched(problem, replace(state, H=H, exact=exact, nit=state.nit + 1))

    def done(self, problem: GroupDro, state: Newton) -> Status | None:
        """Whether to stop."""
        if state.measure <= problem.tol:
            return Status.CONVERGED
        if problem.epochs >= problem.max_epochs:
            return Status.MAX_EVAL
        return Status.STAGNATION if state.stuck else None

    def finish(self, problem: GroupDro, state: Newton) -> GroupDroResult:
        """The point, and everything about it anew."""
        return problem.result(state.best, 1.0, {"exact_hessian": state.exact})


def simplex_quadratic(A: Array, c: Array, q: Array) -> Array:
    """The q in the simplex that maximises c'q - q'A q / 2, A positive definite; by active sets from a feasible q.

    A set of positive entries grows by the one with the largest gradient and shrinks on the way to its own maximum
    (Lawson and Hanson's scheme); each step costs a dense solve of its size.
    """
    q, active = q.copy(), q > 0
    for _ in range(20 * len(c) + 50):
        face = np.flatnonzero(active)
        bordered = np.ones((len(face) + 1, len(face) + 1))
        bordered[:-1, :-1], bordered[-1, -1] = A[np.ix_(face, face)], 0.0
        answer = np.linalg.solve(bordered, np.append(c[face], 1.0))
        wanted, level = answer[:-1], answer[-1]
        outside = wanted <= 0
        if outside.any():
            here = q[face]
            way = np.where(outside, here / np.maximum(here - wanted, 1e-300), 1.0)
            share = way.min()
            q[face] = np.maximum(here + share * (wanted - here), 0.0)
            left = face[outside & (way <= share)]
            q[left], active[left] = 0.0, False
            continue
        q[:], q[face] = 0.0, wanted
        slope = c - A @ q - level
        slope[face] = -math.inf
        best = int(slope.argmax())
        if slope[best] <= 1e-14 * float(np.abs(c).max()):
            break
        active[best] = True
    return np.asarray(q / q.sum())


def _at(problem: GroupDro, z: Array) -> tuple[Array, Array, Array]:
    """Losses and gradients at z by a counted pass, and no hessian yet."""
    w, _ = problem.split(z)
    problem.operator.nfev += 1
    f, J, _ = problem.samples.losses(np.ascontiguousarray(w))
    return f, J, np.zeros((len(w), len(w)))


def _natural(problem: GroupDro, z: Array, f: Array, J: Array) -> float:
    w, q = problem.split(z)
    return problem.measure(z, problem.operator_of(w, q, f, J), 1.0)


def _direction(problem: GroupDro, z: Array, f: Array, J: Array, H: Array) -> tuple[Array, float]:
    """The step in (w, q), and u'H u, which the merit falls by at least twice as fast in the model."""
    w, q = problem.split(z)
    M = H + problem.l2 * np.eye(len(w))
    M[np.diag_indices_from(M)] += DAMPING * (np.trace(M) / len(w) or 1.0)
    factor = scipy.linalg.cho_factor(M, lower=True, check_finite=False)
    solved = scipy.linalg.cho_solve(factor, np.column_stack([J.T, problem.l2 * w]), check_finite=False)
    A, c = J @ solved[:, :-1], f - J @ solved[:, -1]
    damping = DAMPING * (np.trace(A) / len(q) or 1.0)
    A[np.diag_indices_from(A)] += damping
    mixture = simplex_quadratic((A + A.T) / 2, c + damping * q, q)
    u = -(solved[:, :-1] @ mixture + solved[:, -1])
    return np.concatenate([u, mixture - q]), float(u @ M @ u)


def _searched(problem: GroupDro, state: Newton) -> Newton:
    """The state after a step along the direction, short enough to be accepted."""
    try:
        move, promise = _direction(problem, state.best, state.f, state.J, state.H)
    except np.linalg.LinAlgError:
        return replace(state, stuck=True)
    merit, share = _merit(problem, state.best, state.f), 1.0
    for _ in range(HALVINGS):
        z = state.best + share * move
        f, J, _ = _at(problem, z)
        measure = _natural(problem, z, f, J)
        fall = merit - _merit(problem, z, f)
        wanted = SUFFICIENT * share * promise
        if measure <= state.measure / 2 or fall >= max(wanted, 1e-14 * abs(merit)):
            return replace(state, best=z, f=f, J=J, measure=measure, ratio=measure / state.measure)
        if measure < state.measure and share == 1.0:
            return replace(state, best=z, f=f, J=J, measure=measure, ratio=1.0)
        share /= 2
    return replace(state, stuck=state.exact, exact=True, ratio=1.0)


def _merit(problem: GroupDro, z: Array, f: Array) -> float:
    w, _ = problem.split(z)
    value = float(f.max()) + problem.l2 / 2 * float(w @ w)
    return value if math.isfinite(value) else math.inf


# ---- samples of the rows -------------------------------------------------------------------------


def _coarse(problem: GroupDro, stride: int) -> list[Samples]:
    """The problem on every 64th and every 8th row, a random one of each stretch, and enough of every group."""
    for level, each in enumerate((COARSER * stride, stride)):
        if each not in problem.coarse:
            problem.coarse[each] = _sample(problem, level, each)
    return [problem.coarse[COARSER * stride], problem.coarse[stride]]


def _sample(problem: GroupDro, level: int, stride: int) -> Samples:
    count = len(problem.y) // stride
    chosen = np.arange(count) * stride + _kernels.uniform_indices(stride, problem.seed, 2 + level, 0, count)
    found = np.bincount(problem.group[chosen], minlength=len(problem.labels))
    for g in np.flatnonzero(found < LEAST_ROWS):
        chosen = np.concatenate([chosen[problem.group[chosen] != g], np.flatnonzero(problem.group == g)[:LEAST_ROWS]])
    return Samples(
        np.take(problem.X, chosen, axis=0), problem.y[chosen], problem.group[chosen], problem.kind, problem.threads
    )


def _solved_coarsely(problem: GroupDro, sample: Samples, z: Array) -> Array:
    """A point of the coarse problem, as near to its solution as that is to the whole one's."""
    enough = 0.1 / math.sqrt(sample.n)
    for _ in range(8):
        w, q = problem.split(z)
        f, J, H = sample.losses(np.ascontiguousarray(w), q)
        problem.ncomp += sample.n
        if _natural(problem, z, f, J) <= enough:
            break
        try:
            z = z + _direction(problem, z, f, J, H)[0]  # type: ignore[arg-type]
        except np.linalg.LinAlgError:
            break
    return z


def _best_of(problem: GroupDro, state: Newton, z: Array) -> Newton:
    """The better one of the state and another point, by a pass over all rows."""
    if not np.isfinite(z).all():
        return state
    f, J, H = _at(problem, z)
    measure = _natural(problem, z, f, J)
    return replace(state, best=z, f=f, J=J, H=H, measure=measure) if measure < state.measure else state


def _hessian(problem: GroupDro, sample: Samples, w: Array, q: Array) -> Array:
    if sample is problem.samples:
        problem.operator.nfev += 1
    else:
        problem.ncomp += sample.n
    return sample.losses(np.ascontiguousarray(w), q)[2]  # type: ignore[return-value]


METHOD = register(
    Method(
        name="sqp",
        family="equilibrium",
        summary="Newton steps for the worst mixture of few groups, with hessians from samples of the rows",
        reference="Han (1981), Variable metric methods for minimizing a class of nondifferentiable functions; "
        "Roosta-Khorasani, Mahoney (2019), Sub-sampled Newton methods, arXiv 1601.04737",
        solver=SequentialQuadratic,
        capabilities=frozenset({"group-dro"}),
    )
)
