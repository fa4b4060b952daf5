"""Group lasso and its kin: prox-Newton steps on a growing set of groups, each solved to the end.

As the working sets of columns (_working_set.py), with whole groups in place of columns. The quadratic model on the
working set with the norms of its groups is minimised by

1. exact steps on one group after another, in its eigenvectors, and Newton's method on all groups that are not zero,
   where the norms are smooth (group_quadratic.c); or
2. Newton's method on the secular equations of all groups at once (_secular.py): where there are more columns than
   samples, or where the former gets stuck because many groups would have to become zero at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import scipy.linalg
import scipy.sparse
from scipy.linalg import lapack

from .._base.method import Method, register
from .._base.options import option
from .._base.result import Status
from .._base.state import replace
from . import _kernels, _secular
from ._design import FEWEST
from ._groups import Grouped
from ._models import kept_gram
from ._problem import FitState, GlmProblem, GlmResult
from ._working_set import _line_search, look, may_be_nonzero, passes

Array = npt.NDArray[Any]

#: Columns whose groups are all taken at once; sweeps and Newton steps in one model; Newton steps between two passes.
ALL_AT_ONCE, PHASES, NEWTON_STEPS = 400, 1000, 3
#: A working set is full where more than this share of it is in use.
FULL = 0.9
#: Sweeps and Newton steps in a model of a loss that is not quadratic. A Huber loss has models that fall without end.
MODEL_PHASES = 20
#: A model with signs or l1 terms that gets stuck is gone on with: one call for so many of its phases.
PHASES_A_CALL = 20

#: Entries of a panel of samples that is made at once.
LARGEST_PANEL = 30_000_000

#: Rounding of the objective, relative to it; what makes a Gram matrix definite, relative to its largest entry; the
#: least curvature of a sample.
NOISE, JITTER, LEAST = 1e-15, 1e-14, 1e-15

#: The violation that the last model is solved to, in units of the largest gradient.
FINAL = 1e-12

#: Or, of least squares, the gap in units of what is allowed, where that is well above rounding.
GAP_SHARE, LEAST_TOL = 0.3, 1e-13

#: Where a step is shorter than this the curvatures of the samples are kept above a share of the largest: at first this
#: one, later more; a tenth of it after a full step.
SHORT, FIRST_FLOOR = 0.05, 1e-4


@dataclass(frozen=True, eq=False, kw_only=True)
class GroupState(FitState):
    """Where the fit is."""

    #: Whether each column is worked on, and whether it may be nonzero at the optimum.
    working: Array
    alive: Array
    newtons: int
    #: The least curvature of a sample in the model, as a share of the largest that its loss can have.
    floor: float


@dataclass(frozen=True)
class GroupWorkingSet:
    """Working sets of groups and prox-Newton steps."""

    first: int = option(0, "columns whose groups join the working set at first; 0: by their costs", low=0)
    screening: str = option("gap-safe", "what drops groups that are zero at the optimum", choices=("gap-safe", "none"))

    def init(self, problem: GlmProblem) -> GroupState:
        design, penalty = problem.design, _penalty(problem)
        # Models of more columns than samples are flat along many of them, but for least squares made once.
        few = design.width <= (ALL_AT_ONCE if problem.loss.quadratic else min(ALL_AT_ONCE, design.n))
        working = np.full(design.width, few) & (penalty.low < penalty.high)
        working |= penalty.used(problem.w0)
        if problem.guess is not None:
            working |= problem.guess
        working[design.d :] = True
        return self._evaluated(problem, problem.w0, working, np.ones(design.width, bool), 0, 0, 0.0)

    def step(self, problem: GlmProblem, state: GroupState) -> GroupState:
        working = self._grown(problem, state)
        solve = _least_squares if problem.loss.quadratic else _minimised
        w, newtons, floor = solve(problem, state, working)
        so_far = state.alive, state.nit + 1, state.newtons + newtons, floor
        new = self._evaluated(problem, w, working, *so_far)
        if not new.primal <= state.primal + _noise(problem, state):
            new = self._evaluated(problem, _shortened(problem, state, w), working, *so_far)
        gained = state.primal - new.primal > NOISE * abs(state.primal) or new.measure < 0.5 * state.measure
        idle = not gained and floor <= state.floor and bool((working == state.working).all())
        return replace(new, idle=state.idle + 1 if idle else 0)

    def _grown(self, problem: GlmProblem, state: GroupState) -> Array:
        """The working set with the groups that violate their conditions most, less those that were screened."""
        kept = state.working & state.alive
        if (kept == state.alive).all():
            return kept
        if np.count_nonzero(state.w) > FULL * np.count_nonzero(state.working) and _serves_all(problem):
            return np.asarray(kept | (state.alive & (_penalty(problem).low < _penalty(problem).high)))
        design, penalty = problem.design, _penalty(problem)
        violation = penalty.kernel.violations(state.w, state.g) / np.maximum(penalty.sizes(design.norms), 1e-300)
        violation[penalty.group_of[state.working | ~state.alive]] = 0
        candidates = np.flatnonzero(violation > 0)
        candidates = candidates[np.argsort(-violation[candidates], kind="stable")]
        counts = np.cumsum(np.bincount(penalty.group_of)[candidates])
        room = self.first if self.first and state.nit == 0 else self._room(problem, state, candidates)
        joins = np.zeros(len(violation), bool)
        joins[candidates[: 1 + int(np.searchsorted(counts, room))]] = True
        return np.asarray(kept | joins[penalty.group_of])

    def _room(self, problem: GlmProblem, state: GroupState, candidates: Array) -> int:
        """How many columns may join, of these groups in this order: a step may cost a few times those before it."""
        design, penalty = problem.design, _penalty(problem)
        rank = np.full(len(penalty.norms), -1)
        rank[candidates] = np.arange(len(candidates))
        of_group = rank[penalty.group_of]
        new = np.flatnonzero((of_group >= 0) & ~state.working)
        both = np.concatenate([np.flatnonzero(state.working), new[np.argsort(of_group[new], kind="stable")]])
        affordable = design.affordable(both, passes(state.nit)) - int(np.count_nonzero(state.working))
        # Twice as many as are in use are a guess of what lacks.
        return max(FEWEST, affordable, 2 * int(np.count_nonzero(state.w)))

    def _evaluated(
        self, problem: GlmProblem, w: Array, working: Array, alive: Array, nit: int, newtons: int, floor: float,
    ) -> GroupState:  # fmt: skip
        """The state at w, its certificate computed from w, and the columns that are left."""
        known = look(problem, w, alive, int(np.count_nonzero(alive)))
        if self.screening == "gap-safe" and not working.all():
            alive = alive & may_be_nonzero(problem, known)
        measure = problem.measure(known)
        return GroupState(
            w=w, z=known.z, g=known.g, working=working, alive=alive, primal=known.primal, dual=known.dual,
            kkt=known.kkt, nit=nit, measure=measure, newtons=newtons, floor=floor,
        )  # fmt: skip

    def done(self, problem: GlmProblem, state: GroupState) -> Status | None:
        return problem.status(state)

    def finish(self, problem: GlmProblem, state: GroupState) -> GlmResult:
        stats = {
            "newton_steps": state.newtons, "working_set": int(state.working.sum()),
            "screened": len(state.w) - int(np.count_nonzero(state.alive)),
        }  # fmt: skip
        return problem.certified(state.w, state.nit, stats)


def _penalty(problem: GlmProblem) -> Grouped:
    return cast(Grouped, problem.penalty)


def _serves_all(problem: GlmProblem) -> bool:
    """Whether all groups can be worked on at once: few columns, or by the samples, where zero groups cost little."""
    design, penalty = problem.design, _penalty(problem)
    plain = not penalty.kinked[penalty.low < penalty.high].any() and not problem.loss.coupled
    return design.width <= design.n or (plain and design.n * design.d <= LARGEST_PANEL)


@dataclass(frozen=True, eq=False)
class _Groups:
    """The working columns, group by group."""

    columns: Array
    start: npt.NDArray[np.int32]
    norm: Array
    penalty: Grouped

    @property
    def plain(self) -> bool:
        """Whether norms alone are the penalty."""
        return not self.penalty.kinked.any()


def _working_groups(problem: GlmProblem, working: Array) -> _Groups:
    penalty = _penalty(problem)
    columns = np.flatnonzero(working)
    columns = columns[np.argsort(penalty.group_of[columns], kind="stable")]
    labels = penalty.group_of[columns]
    start = np.flatnonzero(np.diff(labels, prepend=-1))
    norm = penalty.norms[labels[start]]
    return _Groups(columns, np.append(start, len(columns)).astype(np.int32), norm, penalty.part(columns))


def _noise(problem: GlmProblem, state: GroupState) -> float:
    """By how much rounding may let the objective rise."""
    return NOISE * max(abs(problem.at_zero), abs(state.primal))


def _tolerances(state: GroupState, groups: _Groups) -> tuple[float, float]:
    """What a model is solved to on the way, and at the end.

    On the way: the square of the present violation, in units of the largest gradient: superlinear, not below rounding.
    """
    size = max(float(np.abs(state.g).max(initial=0.0)), float(groups.norm.max(initial=0.0)))
    return max(1e-3 * state.kkt * min(1e-2, state.kkt / size), 1e-16 * size) if size > 0 else 0.0, FINAL * size


def _least_squares(problem: GlmProblem, state: GroupState, working: Array) -> tuple[Array, int, float]:
    """As `_minimised`, where the model is the loss itself."""
    groups = _working_groups(problem, working)
    columns, width = groups.columns, problem.design.width
    tol, last = _tolerances(state, groups)
    whole = bool((working >= state.alive).all())
    if whole or len(columns) <= problem.design.n:  # no group is left out, or they cost next to nothing
        tol = min(tol, last)
    w, g = state.w[columns], state.g[columns]
    target = _model_minimum(problem, groups, w, state.z, g, state.floor, tol, state.idle > 0)
    return _placed(target, columns, width), 1, state.floor


def _shortened(problem: GlmProblem, state: GroupState, target: Array) -> Array:
    """The part of the step to the target that lowers the objective: w itself, where rounding leaves none."""
    penalty, way, noise = problem.penalty, problem.design.product(target - state.w), _noise(problem, state)
    value = state.primal - penalty.value(state.w)
    found = _line_search(problem, penalty, state.w, target, state.z, way, state.g, value, noise)
    return state.w if found is None else state.w + found[0] * (target - state.w)


def _minimised(problem: GlmProblem, state: GroupState, working: Array) -> tuple[Array, int, float]:
    """w, the Newton steps taken and the next floor: the working set solved as far as it pays."""
    design, groups = problem.design, _working_groups(problem, working)
    columns, floor = groups.columns, state.floor
    w, z, g = state.w[columns], state.z, state.g[columns]
    tol, noise = _tolerances(state, groups)[0], _noise(problem, state)
    value, steps = state.primal - problem.penalty.value(state.w), 0
    while steps < NEWTON_STEPS:
        target = _model_minimum(problem, groups, w, z, g, floor, tol, state.idle > 0)
        steps += 1
        way = design.product(_placed(target - w, columns, design.width))
        found = _line_search(problem, groups.penalty, w, target, z, way, g, value, noise)
        share = 0.0 if found is None else found[0]
        floor = 0.1 * floor if share == 1 else floor
        if share < SHORT:
            floor = min(max(100 * floor, FIRST_FLOOR), 1.0)
        if found is None:
            break
        w = target if share == 1 else w + share * (target - w)
        _, z, v, _, value = found
        g = design.transposed(v)[columns]
        if groups.penalty.kernel.measure(w, g)[1] <= 0.1 * state.kkt:
            break
    return _placed(w, columns, design.width), steps, floor


def _placed(values: Array, columns: Array, width: int) -> Array:
    """The values at their columns, which need not rise."""
    full = np.zeros(width)
    full[columns] = values
    return full


def _curvatures(problem: GlmProblem, z: Array, floor: float) -> Array:
    """The second derivatives at the samples, not below the floor: a Huber loss has none far out."""
    loss = problem.loss
    second = loss.second(z)
    if loss.coupled:
        return np.maximum(second, LEAST)
    largest = loss.s * loss.curvature if loss.curvature is not None else second.max(initial=0.0)
    return np.maximum(second, np.maximum(floor * largest, LEAST))


def _model_minimum(
    problem: GlmProblem, groups: _Groups, w: Array, z: Array, g: Array, floor: float, tol: float, thorough: bool
) -> Array:
    """Where the quadratic model at w with the penalty is least; `thorough` where the secular way brought nothing."""
    if groups.plain and not thorough and not problem.loss.coupled and len(w) > len(z):
        return _by_samples(problem, groups, w, z, _curvatures(problem, z, floor), tol, _goal(problem))
    kept = problem._memory.get("model") if problem.loss.quadratic else None
    if kept is None or not np.array_equal(kept[0], groups.columns):
        H = _hessian(problem, groups.columns, z, floor)
        kept = groups.columns, H, _kernels.group_eigen(H, groups.start)
        if problem.loss.quadratic:
            problem._memory["model"] = kept
    most = PHASES if problem.loss.quadratic else MODEL_PHASES
    return _by_columns(kept[1], kept[2], groups, w, g, tol, most)


def _hessian(problem: GlmProblem, columns: Array, z: Array, floor: float) -> Array:
    """X_W' D X_W in the order of the groups; that of a quadratic loss grows by its new columns."""
    order = np.argsort(columns, kind="stable")
    if problem.loss.quadratic:
        H = kept_gram(problem).of(columns[order])
    else:
        H = problem.design.gram(columns[order], _curvatures(problem, z, floor))
    if np.any(np.diff(order) != 1):
        back = np.argsort(order)
        H = H[np.ix_(back, back)]
    return H


def _by_columns(
    H: Array, eigen: tuple[Array, Array], groups: _Groups, w: Array, g: Array, tol: float, most: int
) -> Array:
    """The minimum by the model's matrix H."""
    target, slope, penalty = w.copy(), g.copy(), groups.penalty
    values, vectors = eigen
    rest = penalty.l1, penalty.low, penalty.high, values, vectors
    for _ in range(2 if groups.plain else most // PHASES_A_CALL):
        stuck = _kernels.minimise_groups(H, groups.start, groups.norm, *rest, target, slope, tol, most)[1]
        if not stuck:
            break
        if not groups.plain:  # slow steps are all there is
            continue
        found = _secular_by_columns(H, groups, target, slope, tol)
        slope += H @ (found - target)
        target = found
    return target


def _goal(problem: GlmProblem) -> float:
    """The gap at which least squares, their own model, need no further step; 0 where rounding would tell of it."""
    return GAP_SHARE * problem.tol * problem.at_zero if problem.loss.quadratic and problem.tol >= LEAST_TOL else 0.0


def _by_samples(
    problem: GlmProblem, groups: _Groups, w: Array, z: Array, curvatures: Array, tol: float, goal: float
) -> Array:
    """The minimum by the weighted samples R = D^1/2 X_W, r = R w - D^-1/2 loss'; free columns are projected out."""
    root = np.sqrt(curvatures)
    R = _panel(problem.design, groups.columns)
    if np.any(root != 1):
        R = R * root[:, None]
    r = R @ w - problem.loss.derivative(z) / root
    free = np.repeat(groups.norm == 0, np.diff(groups.start))
    if not free.any():
        return _secular.minimise(R, r, groups.start, groups.norm, w, tol, goal)
    basis = scipy.linalg.orth(R[:, free])
    outside, target = R[:, ~free] - basis @ (basis.T @ R[:, ~free]), np.empty_like(w)
    start, norm = _penalised(groups)
    target[~free] = _secular.minimise(outside, r - basis @ (basis.T @ r), start, norm, w[~free], tol, goal)
    target[free] = np.linalg.lstsq(R[:, free], r - R[:, ~free] @ target[~free], rcond=None)[0]
    return target


def _secular_by_columns(H: Array, groups: _Groups, w: Array, g: Array, tol: float) -> Array:
    """The minimum for the model's matrix H = R'R, with R its Cholesky factor."""
    free = np.repeat(groups.norm == 0, np.diff(groups.start))
    b, held, target = H @ w - g, ~free, w.copy()
    inner, c = H[np.ix_(held, held)], b[held]
    if free.any():  # the Schur complement
        across = scipy.linalg.lstsq(H[np.ix_(free, free)], np.column_stack([H[np.ix_(free, held)], b[free]]))[0]
        inner = inner - H[np.ix_(held, free)] @ across[:, :-1]
        c = c - H[np.ix_(held, free)] @ across[:, -1]
    jitter = JITTER * float(inner.diagonal().max(initial=0.0))
    if held.any():
        L, info = lapack.dpotrf(inner + jitter * np.eye(len(inner)), lower=1)
        if info != 0:
            return w
        r = lapack.dtrtrs(L, c, lower=1)[0]
        start, norm = _penalised(groups)
        target[held] = _secular.minimise(np.ascontiguousarray(L.T), r, start, norm, w[held], tol)
    if free.any():
        target[free] = across[:, -1] - across[:, :-1] @ target[held]
    return target


def _penalised(groups: _Groups) -> tuple[Array, Array]:
    """Starts and norms of the groups that have one."""
    some = groups.norm > 0
    return np.append(0, np.cumsum(np.diff(groups.start)[some])), groups.norm[some]


def _panel(design: Any, columns: Array) -> Array:
    """These columns of X, dense and in double precision."""
    features = columns[columns < design.d]
    panel = design.X if np.array_equal(features, np.arange(design.d)) else design.X[:, features]
    panel = (panel.toarray() if scipy.sparse.issparse(panel) else panel).astype(np.float64, copy=False)
    return panel if panel.shape[1] == len(columns) else np.column_stack([panel, np.ones(design.n)])


METHOD = register(
    Method(
        name="group-working-set",
        family="learning",
        summary="prox-Newton steps on working sets of groups, each solved by exact group steps and Newton's method",
        reference="Nutini, Laradji, Schmidt (2022), Let's Make Block Coordinate Descent Converge Faster, "
        "arXiv 1712.08859",
        solver=GroupWorkingSet,
        capabilities=frozenset({"groups"}),
    )
)
