"""Block coordinate descent with every rule of Nutini, Laradji, Schmidt (2022), JMLR 23(131), arXiv 1712.08859.

A step of the loop is one block update, or some where the kernel makes them (with accel="cg" iterations of conjugate
gradients, with parallel="jacobi" an update of all blocks). Differs from the paper
in:

1. With a penalty the greedy rules compare what the penalised model could gain; see selection.py.
2. Steps that would leave the convex functions, or find no lower bound, end with a status and the last good point.
3. With blocks that are forests, conjugate gradients run on what is left when one of them is eliminated, with a forest
   of the rest as their preconditioner (with two blocks a sweep over both); see schur.h.
4. "la" keeps an estimate for each coordinate; a block starts from the largest of its own.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..options import option
from ..result import Status
from . import _kernels
from . import partition as _partition
from . import selection as _selection
from . import update as _update
from .compiled import Compiled
from .conjugate import ConjugateGradients
from .curvature import LARGE, Curvature, NegativeCurvatureError
from .penalty import GroupL2, Separable
from .problem import (
    INDEFINITE,
    NOT_FINITE,
    OUTCOMES,
    QUIET,
    UNBOUNDED,
    WORSE,
    BlockProblem,
    BlockResult,
    BlockState,
)  # fmt: skip
from .rules import blocks_of, chosen
from .smooth import Quadratic

Array = npt.NDArray[Any]

PARTITIONS = (*_partition.CHUNKS, "groups", *_partition.COLOURINGS, *_partition.VARIABLE)
UPDATES = ("lb", "la", "diag", "matrix", "newton", "two_metric", "exact", "callback")
#: Coordinates in a block where nothing is said.
DEFAULT_SIZE = 64
#: How far a step without curvature goes, to show that there is no end.
FAR = 1e12
ULP = float(np.finfo(float).eps)

#: Updates without a better measure, for each block and at least, after which a flat objective is blamed on rounding.
PATIENCE, LEAST_PATIENCE = 20, 1000


@dataclass(frozen=True)
class BlockCoordinateDescent:
    """Blocks of coordinates, one after the other, each to a lower objective.

    "auto" takes: for a sparse quadratic whose graph falls into eight forests or fewer, and no penalty, those forests
    with conjugate gradients; for other functions of up to 4096 coordinates with known curvature, variable blocks by gsd
    (quadratics: with exact or matrix steps); for the rest, random permutations of blocks, the constants estimated where
    they are not known.
    """

    partition: str = option("auto", "blocks of coordinates", choices=("auto", *PARTITIONS))
    selection: str = option(
        "auto", "which block is next", choices=("auto", *_selection.DRAWN, *_selection.GREEDY)
    )  # fmt: skip
    update: str = option("auto", "step on the block", choices=("auto", *UPDATES))
    block_size: int | None = option(None, "coordinates in a block; None: a rule", low=1)
    separable: str = option("size", "diagonal bound of gsd and diag: L_i times the size, or sums of rows",
                            choices=("size", "rows"))  # fmt: skip
    accel: str = option("auto", "conjugate gradients over forest blocks", choices=("auto", "none", "cg"))
    parallel: str = option(
        "none", "all blocks from one gradient, damped by how many of them meet", choices=("none", "jacobi")
    )
    refresh: int = option(10_000, "updates after which the gradient is computed anew", low=1, unit="updates")

    # ---- the four functions ----------------------------------------------------------------------

    def init(self, problem: BlockProblem) -> BlockState:
        plan = self.plan(problem)
        state = problem.begin()
        if plan.conjugate and state.measure > problem.tol:
            return replace(state, vectors=np.zeros(plan.over_forests().schur(True).carried, np.float32), base=state.x)
        return state

    def step(self, problem: BlockProblem, state: BlockState) -> BlockState:
        plan = self.plan(problem)
        try:
            return plan.over_forests().step(state) if plan.conjugate else plan.step(state)
        except NegativeCurvatureError:
            return replace(state, nit=state.nit + 1, outcome=INDEFINITE)

    def done(self, problem: BlockProblem, state: BlockState) -> Status | None:
        if state.measure <= problem.tol:
            return Status.CONVERGED
        return OUTCOMES.get(state.outcome)

    def finish(self, problem: BlockProblem, state: BlockState) -> BlockResult:
        plan = self.plan(problem)
        return problem.certify(state, {
            "partition": plan.partition, "selection": plan.selection, "update": plan.update, "accel": plan.accel,
            **({"overlap": plan.overlap} if plan.parallel else {}),
            "blocks": plan.count, "block_size": plan.size, "epochs": state.nit / max(plan.count, 1),
        })  # fmt: skip

    def plan(self, problem: BlockProblem) -> Plan:
        """The rules for this problem, with their blocks and constants."""
        return problem.remember(self, lambda: Plan.of(self, problem))  # type: ignore[no-any-return]


# ---- the rules of one solve ----------------------------------------------------------------------


@dataclass(eq=False)
class Plan:
    """What the options come to on a problem."""

    #: Which remembers the plan, and so is not held by it.
    problem: BlockProblem
    partition: str
    selection: str
    update: str
    accel: str
    size: int
    refresh: int
    parallel: bool
    blocks: list[Array] | None
    curvature: Curvature
    #: The elimination of blocks that are forests.
    forests: Any = None
    #: The kernel that makes many updates a call, where the rules are among its own.
    compiled: Compiled | None = None
    #: The number of an epoch, and its order.
    drawn: tuple[int, Array] = (-1, np.zeros(0))

    @classmethod
    def of(cls, options: BlockCoordinateDescent, problem: BlockProblem) -> Plan:
        smooth = problem.smooth
        rules = chosen(options, problem)
        size = min(options.block_size or problem.size or DEFAULT_SIZE, smooth.size)
        curvature: Curvature = problem.remember(
            ("curvature", rules["partition"], size, options.separable),
            lambda: Curvature(smooth, None, options.separable),
        )
        found = curvature.blocks = curvature.blocks or blocks_of(rules["partition"], problem, size, curvature)
        plan = cls(
            weakref.proxy(problem), **rules,
            size=max((len(b) for b in found), default=1) if found is not None else size,
            refresh=options.refresh, parallel=options.parallel == "jacobi", blocks=found, curvature=curvature,
        )  # fmt: skip
        plan.check(options)
        try:
            if plan.conjugate:
                plan.over_forests().schur(True)
            else:
                plan.forests = plan.elimination()
                plan.compiled = Compiled.of(plan)
        except np.linalg.LinAlgError:
            if options.accel != "auto" or not plan.conjugate:
                raise
            return cls.of(replace(options, accel="none"), problem)
        return plan

    def check(self, options: BlockCoordinateDescent) -> None:
        """ValueError where the rules do not go together."""
        smooth, penalty = self.problem.smooth, self.problem.penalty
        if self.update in ("matrix", "newton") and not penalty.none:
            raise ValueError(f"update {self.update!r} is for problems without a penalty; take 'exact' or 'two_metric'")
        if self.update == "two_metric" and not isinstance(penalty, Separable):
            raise ValueError("update 'two_metric' is for l1 and bounds")
        if self.update == "exact" and not (smooth.constant and isinstance(penalty, Separable | GroupL2)):
            raise ValueError("update 'exact' needs a quadratic function with l1, bounds or group_l2")
        if isinstance(penalty, GroupL2) and self.blocks is not penalty.groups:
            raise ValueError("penalty 'group_l2' needs partition 'groups'")
        if not penalty.separable and self.update == "diag" and not penalty.none:
            raise ValueError("update 'diag' is for separable penalties; take 'lb'")
        if (self.update == "callback") != (self.problem.block_min is not None):
            raise ValueError("update 'callback' and block_min= go together")
        if self.selection == "gsq" and not (penalty.none or (isinstance(penalty, Separable) and self.blocks)):
            raise ValueError("selection 'gsq' with a penalty needs fixed blocks and l1 or bounds")
        if self.parallel and (self.blocks is None or self.greedy or self.conjugate or self.update == "callback"):
            raise ValueError(
                "parallel 'jacobi' is for fixed blocks, all of which move: neither greedy rules nor accel 'cg'"
            )
        if self.variable and self.selection == "mi":
            _selection.all_blocks(None, smooth.size, self.size)
        sparse = isinstance(smooth, Quadratic) and smooth.sparse and self.partition in ("forest", "red_black", "groups")
        if self.accel == "cg" and not (sparse and penalty.none and self.update in ("matrix", "exact")):
            raise ValueError("accel 'cg' is for quadratics without a penalty and blocks that are forests")

    @property
    def variable(self) -> bool:
        return self.blocks is None

    @property
    def count(self) -> int:
        """Updates of an epoch."""
        if self.parallel:
            return 1
        return len(self.blocks) if self.blocks is not None else -(-self.problem.smooth.size // self.size)

    @property
    def patience(self) -> int:
        return max(PATIENCE * self.count, LEAST_PATIENCE)

    def elimination(self) -> Any:
        """The fixed blocks as forests, where exact steps on them may be eliminations; else None."""
        smooth, blocks = self.problem.smooth, self.blocks
        if not (isinstance(smooth, Quadratic) and smooth.rows is not None and blocks and self.problem.penalty.none):
            return None
        if self.update not in ("matrix", "exact"):
            return None
        if self.partition not in _partition.COLOURINGS and self.size <= LARGE:
            return None
        class_of = np.empty(smooth.size, np.int32)
        for k, block in enumerate(blocks):
            class_of[block] = k
        return _kernels.Forests(smooth.rows, class_of, len(blocks))

    @property
    def conjugate(self) -> bool:
        return self.accel == "cg"

    def over_forests(self) -> ConjugateGradients:
        """What steps where `conjugate`."""
        assert self.blocks is not None
        return ConjugateGradients(self.problem, self.blocks, self.partition)

    @property
    def greedy(self) -> bool:
        return self.selection in _selection.GREEDY

    # ---- one update ------------------------------------------------------------------------------

    def step(self, state: BlockState) -> BlockState:
        """The state after one block update, or after some where the kernel makes them."""
        after = self.compiled.advance(state) if self.compiled is not None else None
        return after or self._single_step(state)

    def _single_step(self, state: BlockState) -> BlockState:
        if self.parallel:
            return self._parallel_step(state)
        g = state.g
        b, k = self.next_block(state, g)
        g_b = g[b] if self.greedy else self.problem.smooth.block_gradient(state.x, state.aux, b)
        s, estimates = self.block_step(state, b, k, g_b)
        return self._moved(state, b, s, g_b, estimates)

    def _parallel_step(self, state: BlockState) -> BlockState:
        """All blocks from the same point. Each one's step alone decreases F, and so does their sum over the overlap."""
        assert self.blocks is not None
        s, estimates = np.zeros(len(state.x)), state.estimates.copy()
        for k, b in enumerate(self.blocks):
            s[b], found = self.block_step(state, b, k, state.g[b])
            estimates[b] = found[b]
        return self._moved(state, np.arange(len(s)), s / self.overlap, state.g, estimates)

    @property
    def overlap(self) -> int:
        """How many blocks depend on one another at most."""
        blocks, smooth = self.blocks, self.problem.smooth
        assert blocks is not None
        return self.problem.remember(("overlap", self.partition), lambda: smooth.overlap(blocks))  # type: ignore[no-any-return]

    def _moved(self, state: BlockState, b: Array, s: Array, g_b: Array, estimates: Array) -> BlockState:
        smooth, penalty = self.problem.smooth, self.problem.penalty
        nit = state.nit + 1
        state = replace(state, nit=nit, estimates=estimates)
        if s.any():
            f, aux = smooth.move(state.x, state.aux, state.f, b, s)
            x = state.x.copy()
            x[b] += s
            fun = f + penalty.value(x)
            if not (np.isfinite(fun) and np.isfinite(s).all()):
                return replace(state, outcome=NOT_FINITE)
            trouble = self._trouble(state, x, s, g_b, f, fun)
            if trouble:
                return replace(state, outcome=trouble)
            if smooth.constant and nit % self.refresh == 0:
                f, aux = smooth.start(x)
                fun = f + penalty.value(x)
            state = replace(state, x=x, aux=aux, f=f, fun=fun)
        return self._measured(state)

    def _trouble(self, state: BlockState, x: Array, s: Array, g_b: Array, f: float, fun: float) -> int:
        """What the step has shown: negative curvature, no lower bound, an objective that rises; or nothing (0)."""
        smooth = self.problem.smooth
        slope, slack = float(g_b @ s), 100 * ULP * max(abs(state.f), abs(state.fun), abs(fun))
        if smooth.constant:
            bend = f - state.f - slope  # half of s'Q s
            if bend < -1e-9 * abs(slope) - slack:
                return INDEFINITE
            if bend <= 1e-14 * abs(slope) and -slope > slack and np.abs(x).max() > 1e6 * (1 + np.abs(state.x).max()):
                return UNBOUNDED
        if np.abs(x).max() > 1e100:
            return UNBOUNDED
        return WORSE if self.update == "callback" and fun > state.fun + slack else 0

    def _measured(self, state: BlockState) -> BlockState:
        """The state with its measure anew, where the gradient is needed for the rule, or an epoch ends."""
        smooth = self.problem.smooth
        quiet = state.quiet + 1
        if not (self.greedy or self.parallel or state.nit % self.count == 0):
            return replace(state, quiet=quiet)
        g = smooth.gradient(state.x, state.aux)
        measure = self.problem.kkt(state.x, g) / self.problem.scale
        state = replace(state, g=g, measure=measure, quiet=quiet)
        if measure < 0.9 * state.best:
            return replace(state, quiet=0, best=measure, low=state.fun)
        if quiet > self.patience:
            # rounding, unless the objective still goes down
            flat = not state.low - state.fun > 4 * ULP * abs(state.fun)
            return replace(state, outcome=QUIET) if flat else replace(state, quiet=0, low=state.fun)
        return state

    # ---- which block -----------------------------------------------------------------------------

    def next_block(self, state: BlockState, g: Array) -> tuple[Array, int]:
        """The coordinates, and the number of the block where it is a fixed one (else -1)."""
        if self.blocks is None:
            return self._variable_block(state, g), -1
        count = len(self.blocks)
        if self.selection == "mi":
            k = self._best_of(state, g, self.blocks)
        elif self.greedy:
            k = int(
                np.argmax(_selection.block_scores(self.selection, self.problem.penalty, self.curvature, state.x, g))
            )
        else:
            k = int(self.order_of(state.nit // count)[state.nit % count])
        return self.blocks[k], k

    def order_of(self, epoch: int) -> Array:
        """The blocks, or coordinates, in the order of an epoch."""
        if self.drawn[0] != epoch:
            fixed, curvature = self.blocks is not None, self.curvature
            self.drawn = epoch, _selection.drawn(
                self.selection, self.count if fixed else self.problem.smooth.size, epoch, self.problem.seed,
                lambda: curvature.block_constants if fixed else curvature.coordinates,
            )  # fmt: skip
        return self.drawn[1]

    def _variable_block(self, state: BlockState, g: Array) -> Array:
        count, size, penalty = len(g), self.size, self.problem.penalty
        if self.selection == "mi":
            choices = _selection.all_blocks(None, count, size)
            return choices[self._best_of(state, g, choices)]
        if self.selection == "gsq" and self.partition == "variable":
            return _selection.thresholded(size, self.curvature, g)
        if not self.greedy:
            at = size * (state.nit % self.count)
            return np.unique(self.order_of(state.nit // self.count)[at : at + size])
        rule = "gsd" if self.selection == "gsq" else self.selection
        scores = _selection.coordinate_scores(rule, size, penalty, self.curvature, state.x, g)
        if self.partition == "variable_forest":
            assert isinstance(self.problem.smooth, Quadratic)
            assert self.problem.smooth.rows is not None
            order = np.argsort(-scores, kind="stable").astype(np.int32)
            return np.flatnonzero(self.problem.smooth.rows.classes(order, True)[0] == 0)
        return _selection.largest(scores, size)

    def _best_of(self, state: BlockState, g: Array, blocks: list[Array]) -> int:
        """The number of the block whose step decreases the objective most."""
        reached = []
        for k, b in enumerate(blocks):
            s, _ = self.block_step(state, b, k if self.blocks is not None else -1, g[b])
            reached.append(self._objective_at(state, b)(s))
        return int(np.argmin(reached))

    # ---- the step on it --------------------------------------------------------------------------

    def _objective_at(self, state: BlockState, b: Array) -> Any:
        smooth, penalty = self.problem.smooth, self.problem.penalty
        rest = penalty.value(state.x) - penalty.value(state.x[b], b)

        def at(s: Array) -> float:
            with np.errstate(all="ignore"):
                f = smooth.move(state.x, state.aux, state.f, b, s)[0]
            F = f + rest + penalty.value(state.x[b] + s, b)
            return F if np.isfinite(F) else np.inf

        return at

    def block_step(self, state: BlockState, b: Array, k: int, g_b: Array) -> tuple[Array, Array]:
        """The step, and the curvatures that "la" knows after it."""
        penalty, curvature, x_b = self.problem.penalty, self.curvature, state.x[b]
        estimates = state.estimates
        match self.update:
            case "lb":
                s = _update.proximal(g_b, x_b, curvature.largest(b, k), penalty, b)
            case "diag":
                s = _update.proximal(g_b, x_b, curvature.diagonal(len(b))[b], penalty, b)
            case "la":
                s, L = self._line_searched(state, b, g_b)
                estimates = estimates.copy()
                estimates[b] = L
            case "matrix" | "exact":
                s = self._exact(x_b, b, k, g_b)
            case "newton":
                H = self.problem.smooth.hessian(state.x, state.aux, b)
                s = _update.newton_direction(H, g_b)
                s = _update.searched(s, float(g_b @ s), state.fun, self._objective_at(state, b))
            case "two_metric":
                assert isinstance(penalty, Separable)
                H = self.problem.smooth.hessian(state.x, state.aux, b)
                s = _update.two_metric(H, g_b, x_b, penalty, b, state.fun, self._objective_at(state, b))
            case _:
                assert self.problem.block_min is not None
                s = np.asarray(self.problem.block_min(state.x.copy(), b.copy()), np.float64) - x_b
        return s, estimates

    def _line_searched(self, state: BlockState, b: Array, g_b: Array) -> tuple[Array, float]:
        smooth = self.problem.smooth

        def smooth_at(s: Array) -> float:
            with np.errstate(all="ignore"):
                return smooth.move(state.x, state.aux, state.f, b, s)[0]

        start = float(state.estimates[b].max())
        return _update.backtracked(g_b, state.x[b], start, self.problem.penalty, b, state.f, smooth_at)

    def _exact(self, x_b: Array, b: Array, k: int, g_b: Array) -> Array:
        penalty, curvature = self.problem.penalty, self.curvature
        if penalty.none and (self.forests is not None or self.partition == "variable_forest"):
            return self._eliminated(b, k, g_b)
        if penalty.none:
            factor = curvature.factor(b, k)
            beyond = factor.outside(g_b)
            if beyond is not None and np.linalg.norm(beyond) > self.problem.tol * self.problem.scale:
                return -beyond * (FAR / float(curvature.coordinates.max()))  # downhill without end
            return -factor.solve(g_b)
        if isinstance(penalty, GroupL2):
            values, vectors = curvature._once(("eigh", k), lambda: np.linalg.eigh(curvature.matrix(b, k)))
            return _update.group_step(values, vectors, g_b, x_b, float(penalty.weights[k]))
        assert isinstance(penalty, Separable)
        return _update.minimise_block(curvature.matrix(b, k), g_b, x_b, penalty, b)

    def _eliminated(self, b: Array, k: int, g_b: Array) -> Array:
        """The exact step on a forest."""
        smooth = self.problem.smooth
        assert isinstance(smooth, Quadratic)
        forests, number = self.forests, k
        if forests is None:
            class_of = np.full(smooth.size, -1, np.int32)
            class_of[b] = 0
            assert smooth.rows is not None
            forests, number = _kernels.Forests(smooth.rows, class_of, 1), 0
        y = np.zeros(smooth.size)
        y[b] = -g_b
        packed = y[forests.nodes]
        forests.solve(number, packed)
        y[forests.nodes] = packed
        return y[b]
