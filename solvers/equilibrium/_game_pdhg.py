"""Restarted reflected Halpern PDHG for matrix games, with an exact end.

The iteration is that of Lu and Yang (2024) with the reflection and the controlled weight of Lu et al. (2025), on a
game. It departs from them in the following:

1. The step comes from the norm of the centred matrix, the only part that acts between points of simplices.
2. That norm is estimated from below by few power steps, and raised where an iteration's own moves show that it is
   larger.
3. Products run over the strategies that T(z) plays; those of z follow by recursion.
4. A dense matrix is kept in float32 at first, and in float64 from where that could be seen.
5. The weight stays within 1/4 and 4, or degenerate games stall.
6. Where the supports change little, `_game_exact` finishes the game from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._base.method import Method, register
from .._base.options import option
from .._base.result import Status
from .._base.state import replace
from . import _game_exact
from ._game import Array, GameProblem, GameResult
from ._kernels import game_spent, game_steps

#: Iterations between looks at restarts, as compiled, and the first at which an exact end is considered.
LOOK, FIRST_TRY = 16, 16


@dataclass(frozen=True)
class PdhgState:
    """Where the iteration is."""

    nit: int
    measure: float
    #: The best pair [x | y] so far; `measure` bounds its gap.
    answer: Array
    #: Rows: the pair, its products, the anchor, its products, the best pair of the scaled game.
    vectors: Array
    #: Norm, weight, two thresholds, the best gap of the scaled game, the residuals at the anchor and now, steps since
    #: the anchor, times that the norm was raised, entries of A read.
    numbers: Array
    #: Sum of the weight's errors, and the residual at the last look.
    summed: float
    last: float
    #: The strategies played when an exact end was last considered, and when it is next.
    played: Array
    next_try: int
    narrow: bool
    #: Whether rounding allows no more.
    settled: bool
    pivots: int
    restarts: int


@dataclass(frozen=True)
class GamePdhg:
    """The method; its fields are the options."""

    norm_steps: int = option(4, "power steps for the first estimate of the centred norm", low=1, unit="steps")

    def init(self, problem: GameProblem) -> PdhgState:
        """The start and its gap."""
        m, n = problem.shape
        pair, gap = problem.first()
        if gap <= problem.tol or problem.max_iter == 0:
            vectors, norm = np.tile(pair, (5, 1)), 1.0
        else:
            game = problem.game(True)
            # The best pure pair is an answer, but no place to start.
            begin = problem.uniform if problem.start is None else pair
            products = game.products(begin)
            vectors = np.stack((begin, products, begin, products, begin))
            norm = game.norm(self.norm_steps)
        numbers = np.array([norm, 1.0, np.nan, np.nan, np.inf, np.inf, np.inf, 0.0, 0.0, 0.0])
        return PdhgState(
            0, gap, pair, vectors, numbers, summed=0.0, last=np.inf, played=np.zeros(n + m, bool), next_try=FIRST_TRY,
            narrow=not problem.sparse, settled=False, pivots=0, restarts=0,
        )  # fmt: skip

    def step(self, problem: GameProblem, state: PdhgState) -> PdhgState:
        """Iterations up to the next look; at one, perhaps a restart, other storage, the exact end."""
        steps = game_steps(state.nit, problem.max_iter, problem.every)
        vectors, numbers = state.vectors.copy(), state.numbers.copy()
        course = state.summed, state.last, state.nit, state.restarts
        pair, products, course = problem.game(state.narrow).pdhg(vectors, numbers, course, steps)
        summed, last, nit, restarts = course
        after = replace(state, nit=nit, vectors=vectors, numbers=numbers, summed=summed, last=last, restarts=restarts)
        bound = float(numbers[4]) * problem.scale + problem.slack(state.narrow)
        if bound < after.measure:
            after = replace(after, measure=bound, answer=vectors[4].copy())
        if nit % LOOK:
            return after
        if after.measure > problem.tol and problem.polish and nit >= state.next_try:
            after = self._exact_end(problem, after, pair, products)
        if game_spent(numbers[4], state.narrow) and after.measure > problem.tol:
            after = self._widened(problem, after) if state.narrow else replace(after, settled=True)
        return after

    def _exact_end(self, problem: GameProblem, state: PdhgState, pair: Array, products: Array) -> PdhgState:
        """The game solved from the supports of T(z), where they have changed little enough for that to pay."""
        played = pair > 0
        later = replace(state, played=played, next_try=_game_exact.next_try(state.nit, LOOK))
        if not _game_exact.promising(problem, played, state.played, state.nit):
            return later
        solved = _game_exact.finish(problem, pair, products)
        return later if solved is None else _game_exact.taken(problem, later, solved)

    def _widened(self, problem: GameProblem, state: PdhgState) -> PdhgState:
        """The iteration goes on from its best pair on entries in float64."""
        vectors, numbers = state.vectors.copy(), state.numbers.copy()
        course = state.summed, state.last, state.nit, state.restarts
        _, _, (_, last, _, _) = problem.game(False).pdhg(vectors, numbers, course, 0)
        return replace(state, narrow=False, numbers=numbers, vectors=vectors, last=last)

    def done(self, problem: GameProblem, state: PdhgState) -> Status | None:
        """By the gap of the best pair."""
        return _game_exact.done(problem, state)

    def finish(self, problem: GameProblem, state: PdhgState) -> GameResult:
        """The best pair, certified."""
        stats: dict[str, Any] = {
            "restarts": state.restarts, "pivots": state.pivots, "norm": float(state.numbers[0]) * problem.scale,
            "norm_raises": int(state.numbers[8]), "epochs": problem.epochs(state.numbers[9]),
        }  # fmt: skip
        return problem.result(state, stats)


METHOD = register(
    Method(
        name="game-pdhg",
        family="equilibrium",
        summary="restarted reflected Halpern PDHG on supports, finished by a simplex method on the strategies played",
        reference="Lu, Yang (2024), Restarted Halpern PDHG for linear programming, arXiv 2407.16144; "
        "Lu et al. (2025), cuPDLPx, arXiv 2507.14051",
        solver=GamePdhg,
        capabilities=frozenset({"matrix-game", "sparse-game"}),
    )
)
