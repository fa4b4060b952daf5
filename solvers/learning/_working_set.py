"""Prox-Newton steps on a growing set of columns, each solved to the end by an active-set method on its Gram matrix.

A pass over the data at w gives the gradient, the duality gap and the columns whose optimality conditions are violated
most. These join the working set W; on W the loss is replaced by its quadratic model, whose Hessian X_W' D X_W is small
and dense, and the model with the penalty is minimised in C to a tolerance that falls with the square of the violation.
Least squares is its own model: its Gram matrix is kept, and grows by the new columns alone.

After the working sets of celer (Massias, Gramfort, Salmon, 2018, arXiv 1802.07481) and the second-order block updates
of Nutini, Laradji and Schmidt (2022), arXiv 1712.08859. Differs in:
1. The problem on W is not swept to convergence: see quadratic.c.
2. Up to 400 columns are all taken at once.
3. The model's gradient comes from the data at each step, so that its error does not stay in the answer.
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
from ._problem import GlmProblem, GlmResult

Array = npt.NDArray[Any]

#: Columns that are all taken at once; and how many join at first.
ALL_AT_ONCE, FIRST = 400, 100

#: Phases of the active-set method in one model; Newton steps between two passes over all columns.
PHASES, NEWTON_STEPS = 10_000, 3

#: Sufficient decrease, and halvings of a step.
ARMIJO, HALVINGS = 1e-4, 60

#: Rounding of the objective, relative to it.
NOISE = 1e-15

#: A coefficient beyond which there seems to be no minimum.
LARGEST = 1e8


@dataclass(frozen=True, eq=False)
class WorkingSetState:
    """Where the fit is."""

    w: Array
    #: X w, the gradient of the loss there, and which columns are worked on.
    z: Array
    g: Array
    working: Array
    primal: float
    #: The best lower bound so far.
    dual: float
    kkt: float
    nit: int
    measure: float
    #: Steps in a row that brought nothing.
    idle: int
    newtons: int


@dataclass(frozen=True)
class WorkingSet:
    """Working sets and prox-Newton steps."""

    first: int = option(FIRST, "columns that join the working set at first", low=1)

    def init(self, problem: GlmProblem) -> WorkingSetState:
        design = problem.design
        z = design.product(problem.w0)
        working = np.full(design.width, design.width <= ALL_AT_ONCE)
        working |= problem.w0 != 0
        if design.ones:
            working[-1] = True
        return _evaluated(problem, problem.w0, z, working, -np.inf, 0, 0)

    def step(self, problem: GlmProblem, state: WorkingSetState) -> WorkingSetState:
        working = self._grown(problem, state)
        columns = np.flatnonzero(working)
        w, z, newtons = _minimised(problem, state, columns)
        new = _evaluated(problem, w, z, working, state.dual, state.nit + 1, state.newtons + newtons)
        gained = state.primal - new.primal > NOISE * abs(state.primal) or new.measure < 0.5 * state.measure
        idle = not gained and bool((working == state.working).all())
        return replace(new, idle=state.idle + 1 if idle else 0)

    def _grown(self, problem: GlmProblem, state: WorkingSetState) -> Array:
        """The working set with the columns that violate their conditions most."""
        if state.working.all():
            return state.working
        violation = problem.penalty.residual(state.w, state.g) / np.maximum(problem.design.norms, 1e-300)
        violation[state.working] = 0
        candidates = np.flatnonzero(violation > 0)
        room = max(self.first, 2 * int(np.count_nonzero(state.w)))
        if len(candidates) > room:
            candidates = candidates[np.argpartition(violation[candidates], -room)[-room:]]
        grown = state.working.copy()
        grown[candidates] = True
        return grown

    def done(self, problem: GlmProblem, state: WorkingSetState) -> Status | None:
        if state.measure <= problem.tol:
            return Status.CONVERGED
        if not np.isfinite(state.primal):
            return Status.NONFINITE
        if np.abs(state.w).max(initial=0) > LARGEST and not problem.has_dual:
            return Status.DIVERGED
        return Status.STAGNATION if state.idle >= 3 else None

    def finish(self, problem: GlmProblem, state: WorkingSetState) -> GlmResult:
        stats = {"newton_steps": state.newtons, "working_set": int(state.working.sum())}
        return problem.certified(
            state.w, state.dual, stats, success=False, status=Status.MAX_ITER, message="", nit=state.nit
        )


def _evaluated(
    problem: GlmProblem, w: Array, z: Array, working: Array, dual: float, nit: int, newtons: int
) -> WorkingSetState:
    """The state at w, its certificate recomputed."""
    known = problem.certificate(w, z)
    dual = max(dual, known.dual)
    return WorkingSetState(
        w, z, known.g, working, known.primal, dual, known.kkt, nit, problem.measure(known, dual), 0, newtons
    )


def _minimised(problem: GlmProblem, state: WorkingSetState, columns: Array) -> tuple[Array, Array, int]:
    """w, X w and the Newton steps taken: the objective minimised over the columns, as far as it pays."""
    design, loss, penalty = problem.design, problem.loss, problem.penalty.part(columns)
    w, z, g = state.w[columns], state.z, state.g[columns]
    # The square of the present violation, in units of the largest gradient: superlinear, and not below rounding.
    size = max(float(np.abs(state.g).max(initial=0.0)), float(problem.penalty.l1.max(initial=0.0)))
    tol = max(1e-3 * state.kkt * min(1e-2, state.kkt / size), 1e-16 * size) if size > 0 else 0.0
    steps = 0
    for _ in range(1 if loss.quadratic else NEWTON_STEPS):
        H = _hessian(problem, columns, z)
        target, gradient = w.copy(), g + penalty.l2 * w
        model = _kernels.Quadratic(H, penalty.l1, penalty.low, penalty.high, target, gradient)
        model.minimise(tol, PHASES)
        steps += 1
        full = np.zeros(design.width)
        full[columns] = target - w
        way = design.product(full)
        if loss.quadratic:
            w, z = target, design.product(_spread(target, columns, design.width))
            break
        share = _line_search(problem, penalty, w, target, z, way, g)
        if share == 0:
            break
        w = target if share == 1 else w + share * (target - w)
        z = z + share * way
        if len(columns) == design.width:
            break
        g = design.part(loss.derivative(z), columns)
        if penalty.residual(w, g).max(initial=0.0) <= 0.1 * state.kkt:
            break
    return _spread(w, columns, design.width), z, steps


def _spread(values: Array, columns: Array, width: int) -> Array:
    full = np.zeros(width)
    full[columns] = values
    return full


def _hessian(problem: GlmProblem, columns: Array, z: Array) -> Array:
    """X_W' D X_W, and the l2 terms on its diagonal; that of a quadratic loss is kept and grows."""
    if problem.loss.quadratic:
        H = _kept_gram(problem, columns)
    else:
        H = problem.design.gram(columns, np.maximum(problem.loss.second(z), 1e-15))
    ridge = problem.penalty.l2[columns]
    if np.any(ridge):
        H = H + np.diag(ridge)
    return H


def _kept_gram(problem: GlmProblem, columns: Array) -> Array:
    """The Gram matrix of the columns, of which all but new ones are kept from the step before."""
    memory, design = problem._memory, problem.design
    s = problem.loss.s
    weights = None if np.all(s == 1) else s
    old, kept = memory.get("gram", (np.empty(0, np.intp), np.empty((0, 0))))
    if len(old) == len(columns) and np.array_equal(old, columns):
        return kept  # type: ignore[no-any-return]
    new = np.setdiff1d(columns, old)
    if len(old) == 0 or len(new) + len(old) != len(columns):
        H = design.gram(columns, weights)
    else:
        H = np.empty((len(columns), len(columns)))
        at_old, at_new = np.searchsorted(columns, old), np.searchsorted(columns, new)
        H[np.ix_(at_old, at_old)] = kept
        rows = design.cross(new, columns, weights)
        H[at_new] = rows
        H[:, at_new] = rows.T
    memory["gram"] = columns, H
    return H


def _line_search(problem: GlmProblem, penalty: Any, w: Array, target: Array, z: Array, way: Array, g: Array) -> float:
    """How much of the step from w to the target is taken: enough decrease, without a pass over the data."""
    loss = problem.loss
    here, there = penalty.value(w), penalty.value(target)
    value = loss.value(z) + here
    slope = min(float(g @ (target - w)) + there - here, 0.0)
    share = 1.0
    for _ in range(HALVINGS):
        trial = target if share == 1 else w + share * (target - w)
        if loss.value(z + share * way) + penalty.value(trial) <= value + ARMIJO * share * slope + NOISE * abs(value):
            return share
        share /= 2
    return 0.0


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
