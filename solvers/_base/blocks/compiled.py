"""The common rules on quadratics as one call of a kernel for many updates; the rest goes step by step in descent.py."""

from __future__ import annotations

import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import _kernels
from .curvature import LARGE, NegativeCurvatureError
from .penalty import Separable
from .problem import BlockState
from .smooth import Quadratic

if TYPE_CHECKING:
    from .descent import Plan

Array = npt.NDArray[Any]

#: As descent.h counts them.
RULES = {"cyclic": 0, "perm": 0, "random": 0, "lipschitz": 0, "gs": 1, "gsl": 2, "gsd": 3, "gsq": 4}
UPDATES = {"lb": 0, "diag": 1, "matrix": 2, "exact": 3}

#: Numbers that a call reads or writes, about: the loop looks at the clock between two calls.
WORK = 20_000_000
#: Bytes of the factors or inverses that are kept of all fixed blocks.
STORED = 1 << 28


class Compiled:
    """The kernel for a plan, where there is one: see `of`."""

    def __init__(self, plan: Plan, smooth: Quadratic, penalty: Separable) -> None:
        curvature, blocks, plain = plan.curvature, plan.blocks, penalty.none
        L = curvature.coordinates
        inverses = factors = stepped = None
        whole = 0.0
        if plan.selection == "gsq" and blocks is None:
            whole = curvature.whole
        elif plan.selection == "gsq":
            assert blocks is not None
            inverses = [curvature.factor(b, k).solve(np.eye(len(b))) for k, b in enumerate(blocks)]
        if plan.update == "diag":
            stepped = curvature.diagonal(plan.size)
        elif plan.update == "lb" and blocks is not None:
            stepped = curvature.block_constants
        elif plan.update in ("matrix", "exact") and plain and blocks is not None:
            found = [curvature.factor(b, k).cholesky for k, b in enumerate(blocks)]
            factors = [None if each is None else np.ascontiguousarray(each[0].T) for each in found]
        self.plan: Plan = weakref.proxy(plan)  # whose part this is
        self.per_update = smooth.size + plan.size * (smooth.Q.nnz // smooth.size + 1 if smooth.sparse else smooth.size)
        self.kernel = _kernels.Descent(
            smooth.rows if smooth.sparse else smooth.Q, penalty.l1, penalty.lower, penalty.upper, plain,
            RULES[plan.selection], UPDATES[plan.update], plan.size if blocks is None else blocks, L,
            self._scored(L), stepped, whole, inverses, factors, plan.problem.scale, plan.problem.tol, plan.patience,
        )  # fmt: skip

    def _scored(self, L: Array) -> Array | None:
        """The curvatures that scores go by, as selection.py has them."""
        plan, curvature = self.plan, self.plan.curvature
        blocks = plan.blocks
        if plan.selection == "gsq" and blocks is None:
            return curvature.diagonal(plan.size)
        if plan.selection not in ("gs", "gsl", "gsd") or (plan.selection == "gs" and plan.problem.penalty.none):
            return None
        if blocks is None:
            return {"gs": np.full_like(L, L.max()), "gsl": L}.get(plan.selection, curvature.diagonal(plan.size))
        scored = np.empty_like(L)
        for k, b in enumerate(blocks):
            if plan.selection == "gsd":
                scored[b] = curvature.diagonal(len(b))[b]
            else:
                scored[b] = curvature.block_constants[k if plan.selection == "gsl" else slice(None)].max()
        return scored

    @classmethod
    def of(cls, plan: Plan) -> Compiled | None:
        """The kernel for a plan; None where its rules are none of the kernel's."""
        smooth, penalty, blocks = plan.problem.smooth, plan.problem.penalty, plan.blocks
        if not (isinstance(smooth, Quadratic) and isinstance(penalty, Separable)):
            return None
        if plan.selection not in RULES or plan.update not in UPDATES or plan.partition == "variable_forest":
            return None
        if plan.forests is not None or plan.parallel or plan.size > LARGE or np.isinf(penalty.l1).any():
            return None
        if plan.selection == "gsq" and not penalty.none:
            return None
        kept = sum(len(b) ** 2 for b in blocks or ()) * 8
        if kept > STORED and (plan.selection == "gsq" or plan.update in ("matrix", "exact")):
            return None
        drawn = RULES[plan.selection] == 0
        if plan.update == "diag" and (drawn if blocks is None else len({len(b) for b in blocks}) > 1):
            return None  # the bound goes by the size of each block
        try:
            return cls(plan, smooth, penalty)
        except NegativeCurvatureError:  # the step that meets it tells
            return None

    def advance(self, state: BlockState) -> BlockState | None:
        """The state after some updates; None where the next one is not for the kernel."""
        plan, problem = self.plan, self.plan.problem
        steps = 1 if problem.every else min(max(WORK // self.per_update, 1), problem.max_iter - state.nit)
        steps = min(steps, plan.refresh - state.nit % plan.refresh)
        order, epoch = np.zeros(0, np.int64), 0
        if self.kernel.drawn:
            order, epoch, steps = self._orders(state.nit, steps)
        x, g = state.x.copy(), state.aux.copy()
        numbers, counts, outcome = self.kernel.advance(
            x,
            g,
            (state.f, state.fun, state.measure, state.best, state.low),
            (state.nit, state.quiet),
            order,
            epoch,
            steps,
        )
        if outcome < 0 and counts[0] == state.nit:
            return None
        f, fun, measure, best, low = numbers
        nit, quiet = counts
        outcome = max(outcome, 0)
        if outcome or (nit % plan.refresh == 0 and nit > state.nit):
            f, g = problem.smooth.start(x)
            fun = f + problem.penalty.value(x)
        return replace(
            state, x=x, aux=g, g=g, f=f, fun=fun, measure=measure, best=best, low=low, nit=nit, quiet=quiet,
            outcome=outcome,
        )  # fmt: skip

    def _orders(self, nit: int, steps: int) -> tuple[Array, int, int]:
        """What is drawn for the epochs of so many updates, the first of those epochs, and how far they reach."""
        plan = self.plan
        epoch = nit // plan.count
        last = max((nit + steps - 1) // plan.count, epoch)
        last = min(last, epoch + max(1_000_000 // self.kernel.drawn, 1) - 1)
        orders = np.concatenate([plan.order_of(k) for k in range(epoch, last + 1)])
        return orders.astype(np.int64), epoch, min(steps, (last + 1) * plan.count - nit)
