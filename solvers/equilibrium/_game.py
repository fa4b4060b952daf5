"""The checked matrix game, its certificate, and the result.

    min over x in the simplex of n, max over y in the simplex of m, of  y'A x + linear_x'x + linear_y'y

With H = A x + linear_y + linear_x'x and G = A'y + linear_x + linear_y'y the value lies in [min G, max H] for any pair
of strategies; the length of that interval, the gap, is what the tolerance is compared with. Pairs are kept as one
vector [x | y], and what they are met with as [G | H].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from .._base.result import SolveResult, Status
from ._kernels import Game, game_against, game_copies, game_scale, game_strategy

Array = npt.NDArray[Any]

#: What storing entries in [-1, 1] as floats may change of a gap.
NARROW = 2.0**-23
#: What an entry of a sparse matrix costs, in entries of a dense one.
SCATTERED = 4
#: Rows that are converted at once where A is of floats; the share of the strategies, its inverse, below which those
#: played are gathered.
ROWS, FEW = 256, 16


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class GameResult(SolveResult):
    """Result of a matrix game: a `SolveResult` with the following.

    Attributes
    ----------
    x : ndarray, shape (n,)
        The strategy of the player who minimises, over the columns of A.
    y : ndarray, shape (m,)
        The strategy of the player who maximises, over the rows of A.
    value : float
        The middle of `value_bounds`.
    value_bounds : tuple of float
        The value of the game lies between these: what y guarantees, and what x does.
    gap : float
        The distance of the bounds, recomputed in float64 from the returned strategies and A; also `measure`.
    """

    y: Array
    value: float
    value_bounds: tuple[float, float]
    gap: float


def _times(A: Any, x: Array) -> Array:
    """A x, in float64 also where A is of float32."""
    if not scipy.sparse.issparse(A):
        played = np.flatnonzero(x)
        if len(played) * FEW < len(x):
            A, x = A[:, played], x[played]
        if A.dtype == np.float32:
            return np.concatenate([A[k : k + ROWS].astype(np.float64) @ x for k in range(0, len(A), ROWS)])
    product: Array = A @ x
    return product


@dataclass(frozen=True, eq=False, repr=False)
class GameProblem:
    """A matrix game, ready for the methods."""

    #: float64 or float32, or CSR of float64.
    A: Any
    #: The linear terms, both or none.
    linear: tuple[Array, Array] | None
    #: [x | y] to start at.
    start: Array | None
    tol: float
    max_iter: int = 100_000
    #: Whether each step is to be seen.
    every: bool = False
    #: Whether supports are handed over to an exact solve.
    polish: bool = True
    threads: int = 1
    copies: int = 0
    _games: dict[bool, Game] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int]:
        """(m, n)"""
        m, n = self.A.shape
        return m, n

    @property
    def sparse(self) -> bool:
        """Whether A is stored as such."""
        return bool(scipy.sparse.issparse(self.A))

    @property
    def density(self) -> float:
        """What it costs to read the matrix, in units of reading it where it is dense: an entry of a sparse one is read
        at a scattered place."""
        m, n = self.shape
        return float(SCATTERED * self.A.nnz / (m * n)) if self.sparse else 1.0

    @property
    def needs(self) -> frozenset[str]:
        """What a method must have."""
        return frozenset({"sparse-game" if self.sparse else "matrix-game"})

    @property
    def stats(self) -> Mapping[str, Any]:
        """Common to all methods."""
        return {"threads": self.threads, "copies": self.copies}

    @property
    def title(self) -> str:
        """Head of the log."""
        m, n = self.shape
        return f"matrix game of {m} x {n}"

    def strategies(self, pair: Array) -> tuple[Array, Array]:
        """x and y of a pair, to the last bit those of a result."""
        n = self.shape[1]
        return game_strategy(pair[:n]), game_strategy(pair[n:])

    def answer(self, state: Any) -> tuple[Array, Array]:
        """x and y."""
        return self.strategies(state.answer)

    # ---- certificates ------------------------------------------------------------------------------------------

    def against(self, x: Array, y: Array) -> tuple[Array, Array]:
        """(G, H) of a pair, from the user's own data."""
        if not self.sparse and self.A.dtype == np.float64:
            return game_against(self.A, x, y, *(self.linear or ()))
        G, H = _times(self.A.T, y), _times(self.A, x)
        if self.linear is not None:
            by_x, by_y = self.linear
            G, H = G + by_x + by_y @ y, H + by_y + by_x @ x
        return G, H

    def certified(self, pair: Array) -> float:
        """The gap of a pair."""
        G, H = self.against(*self.strategies(pair))
        return max(float(H.max() - G.min()), 0.0)

    # ---- the game that the methods see: shifted and scaled to entries in [-1, 1] -----------------------------------

    @cached_property
    def dense(self) -> Array:
        """A dense A with the linear terms, which on simplices are of rank one."""
        if self.linear is None:
            return np.asarray(self.A)
        return np.asarray(self.A + self.linear[0] + self.linear[1][:, None])

    @cached_property
    def limits(self) -> tuple[Array, Array]:
        """The largest entry of each column, and the least of each row."""
        if not self.sparse:
            return self.dense.max(axis=0), self.dense.min(axis=1)
        by_x, by_y = self.linear or (0.0, 0.0)
        # With linear terms bounds of these, which serve as well to scale.
        above, below = self.A.max(axis=0).toarray().ravel(), self.A.min(axis=1).toarray().ravel()
        return above + by_x + np.max(by_y), below + by_y + np.min(by_x)

    @cached_property
    def shift(self) -> float:
        """Taken off all entries: gaps and best strategies stay. A sparse matrix keeps its zeros."""
        if self.sparse:
            return 0.0
        above, below = self.limits
        return float(above.max()) / 2 + float(below.min()) / 2

    @cached_property
    def scale(self) -> float:
        """A power of two, so that dividing by it rounds nothing."""
        above, below = self.limits
        size = max(abs(float(above.max()) - self.shift), abs(float(below.min()) - self.shift))
        return game_scale(size)

    def game(self, narrow: bool) -> Game:
        """For the compiled methods; its entries are floats where it is narrow and dense."""
        narrow = narrow and not self.sparse
        if narrow not in self._games:
            m, n = self.shape
            if self.sparse:
                rows, by = self.A / self.scale, self.linear
                columns = rows.tocsc()
                terms = (None, None) if by is None else (by[0] / self.scale, by[1] / self.scale)
                self._games[narrow] = Game(m, n, *terms).sparse(rows, columns)
            else:
                self._games[narrow] = Game(m, n).dense(*game_copies(self.dense, self.shift, self.scale, narrow))
        return self._games[narrow]

    def slack(self, narrow: bool) -> float:
        """What the entries' storage may hide of a gap that the methods report."""
        return NARROW * self.scale if narrow and not self.sparse else 0.0

    def block(self, rows: Array, columns: Array) -> Array:
        """Entries of the shifted and scaled game, in float64."""
        if not self.sparse:
            taken: Array = self.dense[np.ix_(rows, columns)].astype(np.float64)
            taken -= self.shift
            taken /= self.scale
            return taken
        part: Array = self.A[rows][:, columns].toarray()
        if self.linear is not None:
            part = part + self.linear[0][columns] + self.linear[1][rows, None]
        return part / self.scale

    # ---- beginnings and ends -----------------------------------------------------------------------------------

    @cached_property
    def uniform(self) -> Array:
        """Where a first-order method begins without a start of the user's."""
        m, n = self.shape
        return np.concatenate((np.full(n, 1 / n), np.full(m, 1 / m)))

    def first(self) -> tuple[Array, float]:
        """The first answer and its gap: the user's start, else the best pure pair."""
        m, n = self.shape
        if self.start is not None:
            return self.start, self.certified(self.start)
        above, below = self.limits
        pure = np.zeros(n + m)
        pure[[above.argmin(), n + below.argmax()]] = 1
        if self.sparse and self.linear is not None:
            return pure, self.certified(pure)
        return pure, max(float(above.min()) - float(below.max()), 0.0)

    def epochs(self, reads: float) -> float:
        """Entries read by the iterations, in units of those of both products, A x and A'y."""
        m, n = self.shape
        return float(reads) / (2 * m * n)

    def result(self, state: Any, stats: Mapping[str, Any]) -> GameResult:
        """The result, its gap recomputed from the strategies that it returns."""
        x, y = self.answer(state)
        G, H = self.against(x, y)
        low, high = float(G.min()), float(H.max())
        gap = max(high - low, 0.0)
        low, high = min(low, high), max(low, high)  # rounding may have put them the wrong way round
        return GameResult(
            x=x, y=y, success=False, status=Status.MAX_ITER, message="", nit=state.nit, measure=gap, gap=gap,
            value=low / 2 + high / 2, value_bounds=(low, high), stats=dict(stats),
        )  # fmt: skip
