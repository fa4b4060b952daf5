"""Sinkhorn-Newton-Sparse: Newton steps on the dual with the plan thinned to its large entries.

Follows Tang, Shavlovsky, Rahmanian, Tardini, Thekumparampil, Xiao and Ying (2024), arXiv 2401.12253,
algorithm 2. Differs from it in:

1. The Newton system is solved by preconditioned conjugate gradients to a residual that shrinks with the
   marginal error, not to a fixed one: early steps need no more.
2. Where the line search finds no ascent, a number of Sinkhorn sweeps follows, which always ascend: 10 the
   first time, then 20, 40, ... The paper proves no convergence of its Newton stage; this makes it safe.
3. A step moves no exponent by more than 2^64 before the line search, so that no sum overflows.
4. The potentials are those of exp((f + g - C) / reg), without the paper's -1: the same plans.
5. The default density is 100 entries a row, which serves wider plans too. The paper tunes its lambda for each
   experiment, 2/n and 15/n. Read as a share of the 2n x 2n Hessian, in which each entry of the plan stands twice,
   that is 4/n and 30/n of the plan; with these its iteration counts come out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.method import Method, register
from .._base.options import option
from .._base.result import Status
from .._base.state import replace
from . import _kernels
from ._plan import Plan
from ._problem import LN2, TransportProblem, TransportResult

Array = npt.NDArray[Any]

ARMIJO = 1e-4
SHORTEST_STEP = 2.0**-10
LARGEST_MOVE = 64.0
GAIN_SEEN = 1e-12
NEGLIGIBLE = 1e-30
FIRST_PAUSE = 10
#: Room for entries, over those to keep. Whenever it is full the least are dropped: more would be quicker.
ROOM = 1.25
#: Entries are selected in pieces of so many, by their bits without so many trailing ones.
PIECE, TRAILING = 1 << 16, 48


@dataclass(frozen=True, eq=False)
class SNSState:
    """Potentials in base 2, the sums of the plan there, and counts."""

    u: Array
    v: Array
    row_sums: Array
    column_sums: Array
    nit: int
    measure: float
    #: The smallest measure so far, and the step that had it.
    best: float
    best_nit: int
    #: No Newton step is tried before this step.
    newton_from: int
    failures: int
    #: Smallest entry kept by the last thinning: where the next one starts to look.
    threshold: float
    sinkhorn: int
    newton: int
    cg: int


@dataclass(frozen=True)
class SinkhornNewtonSparse:
    """The published method, with its N1 and lambda as options (its N2 is max_iter - N1)."""

    warmup: int = option(20, "Sinkhorn iterations before the first Newton step (the paper's N1)", low=0, unit="steps")
    density: float | None = option(
        None, "share of the plan's entries kept in the Newton matrix (twice the paper's lambda); None: 100 / max(n, m)",
        low=0.0, high=1.0,
    )  # fmt: skip
    cg_max_iter: int = option(1000, "conjugate-gradient iterations of one Newton step at most", low=1, unit="steps")

    def init(self, problem: TransportProblem) -> SNSState:
        u, column_sums = problem.sweep(problem.u0, problem.v0)
        measure = problem.error(None, column_sums)
        return SNSState(
            u, problem.v0, problem.a, column_sums, nit=0, measure=measure, best=measure, best_nit=0,
            newton_from=self.warmup, failures=0, threshold=0.0, sinkhorn=0, newton=0, cg=0,
        )  # fmt: skip

    def step(self, problem: TransportProblem, state: SNSState) -> SNSState:
        following = self._newton_step(problem, state) if state.nit >= state.newton_from else state
        if following.newton == state.newton:
            following = _sinkhorn_step(problem, following)
        if not np.isfinite(following.measure):
            return replace(state, nit=following.nit, measure=following.measure)
        if following.measure < state.best:
            return replace(following, best=following.measure, best_nit=following.nit)
        return following

    def done(self, problem: TransportProblem, state: SNSState) -> Status | None:
        return problem.stop(state.measure, state.nit - state.best_nit)

    def finish(self, problem: TransportProblem, state: SNSState) -> TransportResult:
        return problem.certify(state, {"sinkhorn": state.sinkhorn, "newton": state.newton, "cg": state.cg})

    def _newton_step(self, problem: TransportProblem, state: SNSState) -> SNSState:
        """The step along the thinned Newton direction; where it does not ascend, a state that pauses Newton."""
        n, m = problem.cost.shape
        density = min(1.0, 100.0 / max(n, m)) if self.density is None else self.density
        count = max(1, int(np.ceil(density * n * m)))
        floor = NEGLIGIBLE * float(problem.a.sum())
        starts, columns, values, threshold = _largest_entries(problem.answer(state), count, state.threshold, floor)
        gradient_u, gradient_v = problem.a - state.row_sums, problem.b - state.column_sums
        du, dv = np.empty(n), np.empty(m)
        taken = _kernels.newton_cg(
            starts, columns, values, state.row_sums, state.column_sums, gradient_u, gradient_v, du, dv,
            float(np.clip(state.measure, 1e-8, 1e-2)), self.cg_max_iter,
        )  # fmt: skip
        state = replace(state, threshold=threshold, cg=state.cg + taken)
        moved = _line_search(problem, state, du, dv, gradient_u, gradient_v)
        if moved is not None:
            return moved
        pause = FIRST_PAUSE * 2**state.failures
        return replace(state, failures=state.failures + 1, newton_from=state.nit + pause)


def _line_search(
    problem: TransportProblem, state: SNSState, du: Array, dv: Array, gradient_u: Array, gradient_v: Array
) -> SNSState | None:
    """Halve the step until the dual ascends by a share of what its slope promises (Armijo); None if it does not."""
    with np.errstate(over="ignore", invalid="ignore"):  # of a system that rounding made singular
        du, dv = du / LN2, dv / LN2
        slope = float(gradient_u @ du + gradient_v @ dv)
    largest = max(np.abs(du).max(), np.abs(dv).max())
    if not (np.isfinite(largest) and slope > 0):
        return None
    step = min(1.0, LARGEST_MOVE / largest)
    shortest, mass = SHORTEST_STEP * step, float(problem.a.sum())
    while step >= shortest:
        u, v = state.u + step * du, state.v + step * dv
        row_sums, column_sums = problem.sums(u, v)
        # The dual in units of reg ln2 is <a, u> + <b, v> - sum P / ln2. Its gain is formed from differences:
        # the dual itself would drown it in rounding.
        gain = step * float(problem.a @ du + problem.b @ dv) - float((row_sums - state.row_sums).sum()) / LN2
        measure = problem.error(row_sums, column_sums)
        # Close to the solution rounding hides the gain; the marginal error still shows.
        hidden = slope < GAIN_SEEN * mass
        if measure < state.measure if hidden else gain >= ARMIJO * step * slope:
            return replace(
                state, u=u, v=v, row_sums=row_sums, column_sums=column_sums, nit=state.nit + 1, measure=measure,
                newton=state.newton + 1,
            )  # fmt: skip
        step /= 2
    return None


def _sinkhorn_step(problem: TransportProblem, state: SNSState) -> SNSState:
    v = problem.best_v(state.u, state.v, state.column_sums)
    u, column_sums = problem.sweep(state.u, v)
    measure = problem.error(None, column_sums)
    return replace(
        state, u=u, v=v, row_sums=problem.a, column_sums=column_sums, nit=state.nit + 1, measure=measure,
        sinkhorn=state.sinkhorn + 1,
    )  # fmt: skip


def _largest_entries(plan: Plan, count: int, guess: float, floor: float) -> tuple[Array, Array, Array, float]:
    """The `count` largest entries of a plan, those above the floor, in compressed rows; and the smallest of them.

    One pass over the plan, keeping what reaches the threshold; whenever too much is kept the threshold rises. The
    guess (from an earlier plan) only saves time: if it was too high the pass is repeated without.
    """
    n, m = plan.cost.shape
    threshold, size, blocks = max(0.5 * guess, floor), 0, list(plan.row_blocks())
    values, columns = _room(min(n * m, int(ROOM * count) + 1))
    found_values, found_columns = _room(blocks[0].stop * m)  # the first block is the largest
    counts = np.zeros(n, np.intp)
    for rows in blocks:
        here = counts[rows]
        plan.cost.kernel.large_entries(
            plan.scale, plan.u, plan.v, rows.start, rows.stop, threshold, found_values, found_columns, here,
            plan.threads,
        )  # fmt: skip
        found = int(here.sum())
        if size + found > len(values):
            threshold, equal = _smallest([values[:size], found_values[:found]], count)
            size, equal = _keep(values, columns, counts[: rows.start], size, threshold, equal)
            found, _ = _keep(found_values, found_columns, here, found, threshold, equal)
        values[size : size + found], columns[size : size + found] = found_values[:found], found_columns[:found]
        size += found
    if size < count and 0.5 * guess > floor:
        return _largest_entries(plan, count, 0.0, floor)
    if size > count:
        threshold, equal = _smallest([values[:size]], count)
        size, _ = _keep(values, columns, counts, size, threshold, equal)
    values, columns = values[:size], columns[:size]
    return np.concatenate([[0], np.cumsum(counts)]), columns, values, float(values.min()) if size else 0.0


def _room(entries: int) -> tuple[Array, Array]:
    """Arrays for values and columns."""
    return np.empty(entries), np.empty(entries, np.intc)


def _smallest(parts: list[Array], count: int) -> tuple[float, int]:
    """The smallest of the `count` largest values of all parts, and how many equal to it are among them.

    By the leading bits, which are ordered as the values are, none being negative, it is found among a few, so that
    no copy of all is made.
    """
    if sum(map(len, parts)) <= count:
        return 0.0, 0
    pieces = [piece for some in parts for piece in _pieces(some.view(np.int64))]
    low, high = (int(end) >> TRAILING for end in (min(p.min() for p in pieces), max(p.max() for p in pieces)))
    counts = np.zeros(high - low + 1, np.intp)
    for piece in pieces:
        counts += np.bincount((piece >> TRAILING) - low, minlength=len(counts))
    ends = np.cumsum(counts[::-1])
    place = int(np.searchsorted(ends, count))
    left = count - (int(ends[place - 1]) if place else 0)
    few = np.concatenate([piece[piece >> TRAILING == high - place] for piece in pieces])
    few.partition(len(few) - left)
    smallest = few[len(few) - left]
    return float(smallest.view(np.float64)), left - int((few > smallest).sum())


def _keep(values: Array, columns: Array, counts: Array, size: int, threshold: float, equal: int) -> tuple[int, int]:
    """Of `size` entries those above the threshold and the first `equal` at it, in place; how many, and what is left."""
    ends, kept = np.cumsum(counts), 0
    ends_kept = np.zeros_like(ends)
    for first in range(0, size, PIECE):
        here = slice(first, min(first + PIECE, size))
        large = values[here] > threshold
        ties = np.flatnonzero(values[here] == threshold)[:equal]
        large[ties] = True
        equal -= len(ties)
        rows = slice(*np.searchsorted(ends, [first, here.stop], side="right"))
        so_far = np.cumsum(large)
        ends_kept[rows] = kept + so_far[ends[rows] - first - 1]
        taken = slice(kept, kept + int(so_far[-1]))  # never ahead of what is read
        values[taken], columns[taken] = values[here][large], columns[here][large]
        kept = taken.stop
    counts[:] = np.diff(ends_kept, prepend=0)
    return kept, equal


def _pieces(values: Array) -> Iterator[Array]:
    return (values[first : first + PIECE] for first in range(0, len(values), PIECE))


METHOD = register(
    Method(
        name="sns",
        family="ot",
        summary="Sinkhorn-Newton-Sparse: Newton steps on the dual with the plan thinned to its large entries",
        reference="Tang, Shavlovsky, Rahmanian, Tardini, Thekumparampil, Xiao, Ying (2024), Accelerating Sinkhorn "
        "algorithm with sparse Newton iterations, arXiv 2401.12253",
        solver=SinkhornNewtonSparse,
        capabilities=frozenset({"dense-cost", "point-cloud", "block-cost"}),
    )
)
