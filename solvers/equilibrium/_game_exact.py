"""The exact end of a matrix game: a simplex method on the strategies that matter, and prices of all others.

A pair of strategies of moderate accuracy names a basis, those that it plays, and the few others that might be. On
these a dictionary of the linear program is formed at once by LAPACK, and the parametric self-dual simplex method mends
what is wrong with it: few pivots, each one pass over a matrix of the size of the supports. Then all of A is priced;
strategies that would gain enter, until there are none. The pair returned comes from a fresh factorisation of the last
basis, refined once, and its gap is that on the whole of A.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from .._base.result import Status
from .._base.state import replace
from ._game import Array, GameProblem
from ._kernels import Tableau

Index = npt.NDArray[np.intp]

#: Negative values of basic variables, in the scaled game, that count as zero.
FEASIBLE = 1e-13
#: Entries of an inverse, and pivots, beyond which a basis counts as dependent.
LARGEST, LEAST = 1e10, 1e-7
#: Strategies of x times those of y, beyond which their dictionary is too large.
MOST_ENTRIES = 2**26
#: Gaps, scaled, that are rounding, and that may be.
EXACT, NEARLY = 1e-14, 1e-11
#: Rounds of pricing, and of mending a basis after a fresh factorisation.
ROUNDS, REFRESHES = 60, 4


@dataclass(frozen=True)
class Solved:
    """A pair, its gap on the whole of A, whether no strategy gains more than rounding, and the pivots made."""

    pair: Array
    gap: float
    final: bool
    pivots: int


class GameState(Protocol):
    """What the states of all methods for games have."""

    @property
    def measure(self) -> float: ...
    @property
    def settled(self) -> bool: ...
    @property
    def pivots(self) -> int: ...


T = TypeVar("T", bound=GameState)


def most(values: Array, count: int) -> Index:
    """Where the `count` largest of the values are, rising."""
    if count >= len(values):
        return np.arange(len(values))
    return np.sort(np.argpartition(-values, count)[:count])


def union(a: Index, b: Index) -> Index:
    """Rising, without repetition."""
    return np.union1d(a, b).astype(np.intp)


def supports(problem: GameProblem, pair: Array) -> tuple[Index, Index]:
    """The strategies that a pair plays most, as many of y (rows) as of x (columns)."""
    n = problem.shape[1]
    x, y = pair[:n], pair[n:]
    size = int(min(np.count_nonzero(x > 0), np.count_nonzero(y > 0)))
    return most(y, size), most(x, size)


def promising(problem: GameProblem, played: Array, before: Array, nit: int) -> bool:
    """Whether the supports changed so little since `before` that mending them costs less than the iterations so far."""
    m, n = problem.shape
    by_x, by_y = int(played[:n].sum()), int(played[n:].sum())
    changes, size = int(np.count_nonzero(played != before)), min(by_x, by_y)
    if by_x * by_y > MOST_ENTRIES:
        return False
    # A pivot reads and writes some (5/4 size)^2 doubles; LAPACK takes eight operations in the time of one entry. An
    # iteration reads the strategies played, of a sparse matrix what is stored of them.
    exact = changes * 3 * size**2 + size**3 / 8
    return exact <= nit * (by_x * m + by_y * n) * problem.density / 2


def next_try(nit: int, look: int) -> int:
    """When an exact end is considered again: half as many iterations later, at a look."""
    return max(nit + look, nit * 3 // 2 // look * look)


def finish(problem: GameProblem, pair: Array, products: Array) -> Solved | None:
    """The game solved from a pair and its [G | H] in any scale; None where rounding gets in the way."""
    n = problem.shape[1]
    played_rows, played_columns = supports(problem, pair)
    reserve = len(played_rows) * 5 // 4 + 16
    rows, columns = (
        union(union(played, np.flatnonzero(weights > 0)), most(gains, reserve))
        for played, weights, gains in (
            (played_rows, pair[n:], products[n:]),
            (played_columns, pair[:n], -products[:n]),
        )
    )
    return solve(problem, rows, columns, played_rows, played_columns)


def solve(problem: GameProblem, rows: Index, columns: Index, basic_rows: Index, basic_columns: Index) -> Solved | None:
    """The game from a basis: rows and columns that are priced at first, and those of them that are played."""
    best, pivots = None, 0
    for _ in range(ROUNDS):
        restricted = solve_restricted(problem, rows, columns, basic_rows, basic_columns)
        if restricted is None:
            break
        pair, basic_rows, basic_columns, made = restricted
        pivots += made
        solved, (more_rows, more_columns) = priced(problem, pair, rows, columns, 16)
        if best is None or solved.gap < best.gap:
            best = solved
        best = replace(best, final=solved.final, pivots=pivots)
        if solved.gap <= problem.tol or solved.final:
            break
        rows, columns = union(rows, more_rows), union(columns, more_columns)
    return best


def priced(
    problem: GameProblem, pair: Array, rows: Index, columns: Index, least: int
) -> tuple[Solved, tuple[Index, Index]]:
    """A pair, its gap on all of A, and the strategies that gain against it more than those known: the best of them,
    `least` or a quarter as many as are known."""
    G, H = problem.against(*problem.strategies(pair))
    more = gaining(H, rows, least), gaining(-G, columns, least)
    final = len(more[0]) == len(more[1]) == 0
    return Solved(pair, max(float(H.max() - G.min()), 0.0), final, 0), more


def gaining(gains: Array, known: Index, least: int) -> Index:
    """Strategies that gain more than all known ones, the best of them where there are many."""
    bar = float(gains[known].max())
    better = np.flatnonzero(gains > bar + 4 * np.finfo(float).eps * max(abs(bar), abs(float(gains.min()))))
    return better[most(gains[better], len(known) // 4 + least)]


def taken(problem: GameProblem, state: T, solved: Solved) -> T:
    """A state with that pair as its answer, where it is better; settled where nothing but rounding is left of its gap,
    or hardly more and another exact end has not helped."""
    rounding = NEARLY if state.measure < 2 * solved.gap else EXACT
    settled = solved.final and problem.tol < solved.gap <= rounding * problem.scale
    changes: dict[str, Any] = {"measure": solved.gap, "answer": solved.pair} if solved.gap < state.measure else {}
    return replace(state, settled=settled, pivots=state.pivots + solved.pivots, **changes)


def done(problem: GameProblem, state: GameState) -> Status | None:
    """By the gap of the best pair."""
    if state.measure <= problem.tol:
        return Status.CONVERGED
    if not np.isfinite(state.measure):
        return Status.NONFINITE
    return Status.STAGNATION if state.settled else None


def solve_restricted(
    problem: GameProblem, rows: Index, columns: Index, basic_rows: Index, basic_columns: Index
) -> tuple[Array, Index, Index, int] | None:
    """The pair that is best on these rows and columns, its basis, and the pivots made."""
    m, n = problem.shape
    block = problem.block(rows, columns)
    enough = max(EXACT, problem.tol / problem.scale / 2)
    sy, sx = np.searchsorted(rows, basic_rows), np.searchsorted(columns, basic_columns)
    found, least, pivots = None, np.inf, 0
    for attempt in range(REFRESHES):
        parts = dictionary(block, sy, sx) or grown(block, sy, sx)
        if parts is None:
            break
        D, b, c, row_label, column_label = parts
        rng = np.random.default_rng(attempt)
        b, c = np.stack((b, moving(b, row_label < 0, rng))), np.stack((c, moving(c, column_label < 0, rng)))
        _, made = Tableau(D, b, c, row_label, column_label).minimise(FEASIBLE, 3 * sum(D.shape) + 500)
        pivots += made
        sx, sy = np.sort(row_label[row_label >= 0]), np.sort(~column_label[column_label < 0])
        strategies = refined(block, sy, sx)
        if strategies is None:
            continue
        x, y = np.zeros(len(columns)), np.zeros(len(rows))
        x[sx], y[sy] = strategies
        gap = float((block @ x).max() - (y @ block).min())
        if gap < least:
            pair = np.zeros(n + m)
            pair[columns], pair[n + rows] = x, y
            found, least = (pair, rows[sy], columns[sx], pivots), gap
        if gap <= enough:
            break
    return found


def moving(fixed: Array, slack: Array, rng: np.random.Generator) -> Array:
    """Positive random numbers of the size of each kind of variable."""
    out = 0.5 + rng.random(len(fixed))
    for kind in (slack, ~slack):
        if kind.any():
            out[kind] *= max(float(np.abs(fixed[kind]).mean()), 1e-6)
    return out


Dictionary = tuple[Array, Array, Array, Array, Array]


def bordered(block: Array, sy: Index, sx: Index) -> Array:
    """[A_SS, -1; 1, 0]"""
    size = len(sx)
    B = np.empty((size + 1, size + 1))
    B[:size, :size] = block[np.ix_(sy, sx)]
    B[:size, size], B[size, :size], B[size, size] = -1, 1, 0
    return B


def dictionary(block: Array, sy: Index, sx: Index) -> Dictionary | None:
    """The dictionary of a basis, with x of the columns sx positive and the slacks of the rows sy zero: D, b, c, and
    labels, the column of an x or ~row of a slack. None where the basis is dependent."""
    from scipy.linalg.lapack import dgetrf, dgetri

    size, (r, c) = len(sx), block.shape
    factors, places, info = dgetrf(bordered(block, sy, sx), overwrite_a=True)
    if info != 0:
        return None
    inverse, info = dgetri(factors, places, overwrite_lu=True)
    if info != 0 or not np.abs(inverse).max() < LARGEST:
        return None
    others_y, others_x = np.delete(np.arange(r), sy), np.delete(np.arange(c), sx)
    reach = np.empty((size + 1, c))
    reach[:, :size] = inverse[:, :size]
    np.matmul(inverse[:, :size], block[np.ix_(sy, others_x)], out=reach[:, size:])
    reach[:, size:] += inverse[:, size:]
    D = np.empty((r, c))
    np.negative(reach[:size], out=D[:size])
    cost, x, value = -reach[size], inverse[:size, size], inverse[size, size]
    crossing = block[others_y]
    np.matmul(crossing[:, sx], reach[:size], out=D[size:])
    D[size:] += cost
    D[size:, size:] -= crossing[:, others_x]
    b = np.concatenate((x, value - crossing[:, sx] @ x))
    return (
        D,
        b,
        cost,
        np.concatenate((sx, ~others_y)).astype(np.int64),
        np.concatenate((~sy, others_x)).astype(np.int64),
    )


def grown(block: Array, sy: Index, sx: Index) -> Dictionary | None:
    """The dictionary of a basis grown from one pair of strategies, within dependent ones, largest pivots first."""
    part = np.abs(block[np.ix_(sy, sx)] - block[np.ix_(sy, sx)].mean())
    i, j = np.unravel_index(part.argmax(), part.shape)
    parts = dictionary(block, sy[[i]], sx[[j]])
    if parts is None:
        return None
    D, b, c, row_label, column_label = parts
    both_b, both_c = np.stack((b, np.zeros_like(b))), np.stack((c, np.zeros_like(c)))
    tableau = Tableau(D, both_b, both_c, row_label, column_label)
    rows, columns = np.isin(~row_label, sy), np.isin(column_label, sx)
    tableau.enter(rows.astype(np.uint8), columns.astype(np.uint8), LEAST)
    return D, both_b[0], both_c[0], row_label, column_label


def refined(block: Array, sy: Index, sx: Index) -> tuple[Array, Array] | None:
    """x on sx and y on sy by a fresh factorisation, with a step of refinement."""
    from scipy.linalg.lapack import dgetrf, dgetrs

    size, B = len(sx), bordered(block, sy, sx)
    factors, places, info = dgetrf(B)
    if info != 0:
        return None
    strategies = []
    for matrix, transposed in ((B, 0), (B.T, 1)):
        right = np.zeros(size + 1)
        right[size] = 1
        solution, _ = dgetrs(factors, places, right, trans=transposed)
        correction, _ = dgetrs(factors, places, right - matrix @ solution, trans=transposed)
        solution = np.maximum((solution + correction)[:size] * (-1 if transposed else 1), 0)
        total = float(solution.sum())
        if not (np.isfinite(total) and total > 0):
            return None
        strategies.append(solution / total)
    return strategies[0], strategies[1]
