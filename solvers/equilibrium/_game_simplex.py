"""The simplex method on a growing part of the game: double oracle with a warm basis.

McMahan, Gordon, Blum (2003): the game on the strategies known so far is solved exactly, those that gain most against
its solution are added, until none does. Each solve begins at the basis of the last; see `_game_exact`.
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


@dataclass(frozen=True)
class GameSimplexState:
    """The strategies known so far."""

    #: Those whose length changes.
    varying: ClassVar[tuple[str, ...]] = ("rows", "columns", "basic_rows", "basic_columns")

    nit: int
    measure: float
    #: The best pair [x | y] so far; `measure` is its gap.
    answer: Array
    #: The strategies that are known, and those of them in the basis.
    rows: Array
    columns: Array
    basic_rows: Array
    basic_columns: Array
    #: Whether rounding allows no more.
    settled: bool
    pivots: int


@dataclass(frozen=True)
class GameSimplex:
    """The method; its fields are the options."""

    whole: int = option(64, "a player with at most so many strategies has all of them known at first", low=1)
    entering: int = option(
        4, "strategies of each player that enter a round at first; later a quarter of the known", low=1
    )

    def init(self, problem: GameProblem) -> GameSimplexState:
        """The strategies played at the start, or the best pure pair."""
        m, n = problem.shape
        pair, gap = problem.first()
        if problem.start is not None:
            rows, columns = np.flatnonzero(pair[n:]), np.flatnonzero(pair[:n])
            basic = _game_exact.supports(problem, pair)
        else:
            above, below = problem.limits
            rows, columns = np.array([below.argmax()]), np.array([above.argmin()])
            basic = rows, columns
        rows = np.arange(m) if m <= self.whole else rows
        columns = np.arange(n) if n <= self.whole else columns
        return GameSimplexState(0, gap, pair, rows, columns, *basic, settled=False, pivots=0)

    def step(self, problem: GameProblem, state: GameSimplexState) -> GameSimplexState:
        """A round: the known game solved, all strategies priced."""
        known = state.rows, state.columns
        later = replace(state, nit=state.nit + 1)
        restricted = _game_exact.solve_restricted(problem, *known, state.basic_rows, state.basic_columns)
        if restricted is None:
            return replace(later, settled=True)
        pair, rows, columns, pivots = restricted
        solved, more = _game_exact.priced(problem, pair, *known, self.entering)
        after = _game_exact.taken(problem, later, replace(solved, pivots=pivots))
        return replace(
            after, settled=solved.final and after.measure > problem.tol,
            rows=_game_exact.union(known[0], more[0]), columns=_game_exact.union(known[1], more[1]),
            basic_rows=rows, basic_columns=columns,
        )  # fmt: skip

    def done(self, problem: GameProblem, state: GameSimplexState) -> Status | None:
        """By the gap of the best pair."""
        return _game_exact.done(problem, state)

    def finish(self, problem: GameProblem, state: GameSimplexState) -> GameResult:
        """The best pair, certified."""
        return problem.result(state, {"pivots": state.pivots, "known": (len(state.rows), len(state.columns))})


METHOD = register(
    Method(
        name="game-simplex",
        family="equilibrium",
        summary="parametric simplex method on the strategies that have gained so far, with exact prices of all others",
        reference="McMahan, Gordon, Blum (2003), Planning in the presence of cost functions controlled by an adversary",
        solver=GameSimplex,
        capabilities=frozenset({"matrix-game", "sparse-game"}),
    )
)
