"""Conjugate gradients over blocks that are forests, the largest of them eliminated for good: see schur.h."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _kernels
from .problem import INDEFINITE, NOT_FINITE, QUIET, BlockProblem, BlockState
from .smooth import Quadratic

Array = npt.NDArray[Any]

#: Iterations between two looks at the clock: so many unknowns moved.
MOST_WORK = 50_000_000
#: How far they go by float32 and float64 before the residual is computed anew.
SINGLE, DOUBLE = 1e-4, 1e-8
#: Iterations of a stage at most, and without a better measure, beside one for each unknown.
PATIENCE = 1000


@dataclass(frozen=True, eq=False)
class ConjugateGradients:
    """On the unknowns of all blocks but the largest, which has gone by elimination."""

    problem: BlockProblem
    blocks: list[Array]
    partition: str

    def schur(self, single: bool) -> _kernels.Schur:
        """The elimination, in float32 or in float64."""
        smooth, blocks = self.problem.smooth, self.blocks
        assert isinstance(smooth, Quadratic)
        assert smooth.rows is not None
        rows, largest = smooth.rows, int(np.argmax([len(b) for b in blocks]))

        def make() -> _kernels.Schur:
            class_of = np.zeros(smooth.size, np.int32)
            for k, block in enumerate(blocks):
                if k != largest:
                    class_of[block] = k + 1
            return _kernels.Schur(rows, class_of, single)

        return self.problem.remember(("schur", self.partition, single), make)  # type: ignore[no-any-return]

    def step(self, state: BlockState) -> BlockState:
        """Some iterations.

        They come in stages: from a residual computed in float64 until it has gone down so far by the recurrence, in
        float32 while that is of use. What follows from a stage does not depend on where it was interrupted.
        """
        problem, smooth = self.problem, self.problem.smooth
        vectors, goal, unit = state.vectors.copy(), problem.tol * problem.scale, 1 / problem.scale
        single = vectors.dtype == np.float32
        schur = self.schur(single)
        if not state.stage:
            schur.begin(-state.g, vectors, unit)
            state = replace(state, base=state.x, stage=state.measure, began=state.nit)
        wanted = max(goal, state.stage * problem.scale * (SINGLE if single else DOUBLE))
        left_over = PATIENCE + (0 if single else smooth.size) - (state.nit - state.began)
        most = 1 if problem.every else min(max(MOST_WORK // smooth.size, 50), problem.max_iter - state.nit)
        done, rho, left, outcome = schur.iterate(vectors, unit, state.rho, wanted, min(most, left_over))
        x = state.base.copy()
        schur.move(vectors, unit, x)
        f, g = smooth.start(x)
        after = replace(
            state, x=x, aux=g, g=g, f=f, fun=f, low=f, vectors=vectors, rho=rho, nit=state.nit + done,
            measure=problem.kkt(x, g) / problem.scale,
        )  # fmt: skip
        if left > wanted and done < left_over and not outcome:
            return after
        return self._stage_over(after, left <= wanted, {0: 0, 1: INDEFINITE, 2: NOT_FINITE}[outcome])

    def _stage_over(self, state: BlockState, arrived: bool, outcome: int) -> BlockState:
        """What the end of a stage has shown: `arrived` by the recurrence, but truly so?"""
        problem = self.problem
        state, stage, spent = replace(state, stage=0.0), state.stage, state.nit - state.began
        drifted = arrived and not state.measure <= max(problem.tol, 0.1 * stage)
        if not state.measure < stage:
            f, g = problem.smooth.start(state.base)
            state = replace(state, x=state.base, aux=g, g=g, f=f, fun=f, low=f, measure=stage)
        if state.vectors.dtype == np.float32:
            if outcome or drifted or state.measure > 0.1 * stage:
                return replace(state, vectors=np.zeros(len(state.vectors)), rho=0.0)
        elif drifted:
            state = replace(state, vectors=np.zeros_like(state.vectors), rho=0.0)  # from x anew
            outcome = outcome or (QUIET if state.measure > 0.5 * stage else 0)
        if state.measure < 0.9 * state.best:
            return replace(state, quiet=0, best=state.measure, outcome=outcome)
        quiet = state.quiet + spent
        return replace(state, quiet=quiet, outcome=outcome or (QUIET if quiet > PATIENCE + problem.smooth.size else 0))
