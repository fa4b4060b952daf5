"""Regret matching+ and its predictive form, with an exact end: no step size, and no norm.

Tammelin (2014) and Farina, Kroer, Sandholm (2021), with alternating updates: y answers the x of the same iteration.
The answer is the average, weighted by t for regret matching+ and by t^2 for the predictive form, or a pair as it was
played, whichever has the least gap. As in `_game_pdhg`, `_game_exact` finishes the game from the supports.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .._base.method import Method, register
from .._base.options import option
from .._base.result import Status
from .._base.state import replace
from . import _game_exact
from ._game import Array, GameProblem, GameResult
from ._kernels import game_spent, game_steps

#: Iterations between looks, as compiled, and the first at which an exact end is considered.
LOOK, FIRST_TRY = 16, 64


@dataclass(frozen=True)
class RegretState:
    """Where the iteration is."""

    nit: int
    measure: float
    #: The best pair [x | y] so far; `measure` is its gap.
    answer: Array
    #: Rows: the regrets, the pair, its products, the average pair, its products, the best pair.
    vectors: Array
    #: Sum of the average's weights, the gap of the best pair in the scaled game, iterations so far,
    #: entries of A read.
    numbers: Array
    #: The strategies played when an exact end was last considered, and when it is next.
    played: Array
    next_try: int
    #: Whether rounding allows no more.
    settled: bool
    pivots: int


@dataclass(frozen=True)
class RegretMatching:
    """Both methods; the fields are the options."""

    predictive: ClassVar[bool] = False

    share: float = option(0.05, "of the most played strategy: what counts as played", low=0.0, high=1.0)

    def init(self, problem: GameProblem) -> RegretState:
        """The start and its gap; without regrets the pair is played once."""
        m, n = problem.shape
        pair, gap = problem.first()
        begin = problem.uniform if problem.start is None else pair
        zeros = np.zeros(n + m)
        vectors = np.stack((zeros, begin, zeros, zeros, zeros, begin))
        return RegretState(
            0, gap, pair, vectors, np.array([0.0, np.inf, 0.0, 0.0]), played=np.zeros(n + m, bool), next_try=FIRST_TRY,
            settled=False, pivots=0,
        )  # fmt: skip

    def step(self, problem: GameProblem, state: RegretState) -> RegretState:
        """Iterations up to the next look, and perhaps the exact end."""
        steps = game_steps(state.nit, problem.max_iter, problem.every)
        vectors, numbers = state.vectors.copy(), state.numbers.copy()
        problem.game(False).regret(vectors, numbers, steps, self.predictive)
        after = replace(state, nit=state.nit + steps, vectors=vectors, numbers=numbers)
        gap = float(numbers[1]) * problem.scale
        if gap < after.measure:
            after = replace(after, measure=gap, answer=vectors[5].copy(), settled=game_spent(numbers[1], False))
        if after.measure > problem.tol and problem.polish and after.nit % LOOK == 0 and after.nit >= state.next_try:
            return self._exact_end(problem, after)
        return after

    def _exact_end(self, problem: GameProblem, state: RegretState) -> RegretState:
        """The game solved from what the average plays often, where that has changed little enough for it to pay."""
        n = problem.shape[1]
        pair = state.vectors[3].copy()
        for part in (pair[:n], pair[n:]):
            part[part < self.share * part.max()] = 0
        played = pair > 0
        later = replace(state, played=played, next_try=_game_exact.next_try(state.nit, LOOK))
        if not _game_exact.promising(problem, played, state.played, state.nit):
            return later
        solved = _game_exact.finish(problem, pair, state.vectors[4])
        return later if solved is None else _game_exact.taken(problem, later, solved)

    def done(self, problem: GameProblem, state: RegretState) -> Status | None:
        """By the gap of the best pair."""
        return _game_exact.done(problem, state)

    def finish(self, problem: GameProblem, state: RegretState) -> GameResult:
        """The best pair, certified."""
        return problem.result(state, {"pivots": state.pivots, "epochs": problem.epochs(state.numbers[3])})


@dataclass(frozen=True)
class PredictiveRegretMatching(RegretMatching):
    """Each player expects the losses met last to come again."""

    predictive: ClassVar[bool] = True


RM_PLUS = register(
    Method(
        name="rm-plus",
        family="equilibrium",
        summary="regret matching+, alternating, with linear averaging; finished by a simplex method",
        reference="Tammelin (2014), Solving large imperfect information games using CFR+, arXiv 1407.5042",
        solver=RegretMatching,
        capabilities=frozenset({"matrix-game", "sparse-game"}),
    )
)
PRM_PLUS = register(
    Method(
        name="prm-plus",
        family="equilibrium",
        summary="predictive regret matching+, alternating, with quadratic averaging; finished by a simplex method",
        reference="Farina, Kroer, Sandholm (2021), Faster game solving via predictive Blackwell approachability, "
        "arXiv 2007.14358",
        solver=PredictiveRegretMatching,
        capabilities=frozenset({"matrix-game", "sparse-game"}),
    )
)
