"""SSNS, safe and sparse Newton steps on the dual: regularised by the gradient, the matrix thinned by an error bound.

Follows Tang and Qiu (2024), Safe and sparse Newton method for entropic-regularized optimal transport, NeurIPS 2024.
The dual in both potentials, the last column's fixed, so that n + m - 1 are unknown:

1. Of each column of the plan the smallest entries leave the Newton matrix while their sum is at most
   delta = thinning * ||gradient||; of a row that lost more than 2 delta by that, the largest return until it has not.
   The diagonal stays whole. This bounds the norm of the matrix's error by a multiple of the gradient.
2. The step solves (thinned Hessian + mu ||gradient||) d = -gradient by a sparse factorisation.
3. Of its multiples 1, 0.5, 0.25, 0.1 the first is tried that lowers the objective, else the best of them.
4. With rho, the decrease over what the quadratic model predicts, the step is accepted if rho > 0. Then mu is
   multiplied by 4 if rho < 1/4, halved, but not below 1e-3, if rho > 3/4.

Differs from it in:

1. The gradient's share in mu ||gradient|| and the Hessian depend on the units of costs and of masses. The shift is
   formed as for costs that span 1 and masses of sum 1, as in the paper's experiments; so the units do not matter.
2. The factorisation is SuperLU's, in its mode for symmetric matrices, since SciPy has no sparse LDL'. Where more than a
   few per cent of the entries stay, the fill would make it dense: there the longer side is eliminated at once, and the
   rest is solved as a dense matrix.
3. Where rounding hides the decrease, a step is accepted if it lowers the marginal error, with mu halved.
4. The start is the rows' best answer to the column potentials 0, or to those given.
5. The entries below delta / max(n, m) are not looked at: no order in which they leave makes a difference.
6. mu has an upper limit, so that it does not overflow where rounding lets no step succeed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .._base.method import Method, register
from .._base.options import option
from .._base.result import Status
from .._base.state import replace
from ._problem import LN2, LargeEntries, TransportProblem, TransportResult

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Array = npt.NDArray[Any]

STEPS = (1.0, 0.5, 0.25, 0.1)
#: What a poor and a good step are, by the decrease over the predicted one.
POOR, GOOD = 0.25, 0.75
LEAST_DAMPING, LARGEST_DAMPING = 1e-3, 1e12
#: A row may lose so many times what a column may.
ROW_LOSS = 2.0
#: Share of the entries from which on the system is solved as a dense one.
WIDE = 0.05
#: Shares of the mass: a decrease below is hidden by rounding, an entry below is none.
SEEN, NEGLIGIBLE = 1e-12, 1e-30


@dataclass(frozen=True, eq=False)
class SSNSState:
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
    #: The multiple mu of the gradient's norm that damps the next step.
    damping: float
    newton: int
    #: Steps that were not accepted.
    refused: int
    passes: int
    #: Entries of the plan in the last Newton matrix.
    kept: int


@dataclass(frozen=True)
class SafeSparseNewton:
    """The published method, with its constants delta and mu_0 as options."""

    thinning: float = option(
        0.01, "what a column of the Newton matrix may lose, as a share of the gradient's norm", low=0.0, high=1.0
    )
    damping: float = option(
        1.0, "multiple of the gradient's norm that damps the first step", low=LEAST_DAMPING, high=LARGEST_DAMPING
    )

    def init(self, problem: TransportProblem) -> SSNSState:
        fixed = problem.v0[-1]
        v = problem.v0 - fixed
        u, column_sums = problem.sweep(problem.u0 + fixed, v)
        measure = problem.error(None, column_sums)
        return SSNSState(
            u, v, problem.a, column_sums, nit=0, measure=measure, best=measure, best_nit=0, damping=self.damping,
            newton=0, refused=0, passes=1, kept=0,
        )  # fmt: skip

    def step(self, problem: TransportProblem, state: SSNSState) -> SSNSState:
        entries = _thinned(problem, state, self.thinning)
        state = replace(state, nit=state.nit + 1, kept=len(entries.values), passes=state.passes + 1)
        solved = _direction(problem, state, entries)
        if solved is None:
            return _refused(state)
        return _searched(problem, state, *solved)

    def done(self, problem: TransportProblem, state: SSNSState) -> Status | None:
        return problem.stop(state.measure, state.nit - state.best_nit)

    def finish(self, problem: TransportProblem, state: SSNSState) -> TransportResult:
        names = ("newton", "refused", "passes", "kept")
        return problem.certify(state, {name: getattr(state, name) for name in names})


def _gradient(problem: TransportProblem, state: SSNSState) -> tuple[Array, float]:
    """The gradient of the objective, (n + m - 1,), and its norm."""
    gradient = np.concatenate([state.row_sums - problem.a, (state.column_sums - problem.b)[:-1]])
    mass = float(problem.a.sum())
    return gradient, mass * float(np.linalg.norm(gradient / mass))  # squares of tiny masses would underflow


# ---- the thinned plan ------------------------------------------------------------------------------


def _thinned(problem: TransportProblem, state: SSNSState, thinning: float) -> LargeEntries:
    """The entries of the plan that stay in the Newton matrix, the last column's not among them."""
    n, m = problem.cost.shape
    bound = thinning * _gradient(problem, state)[1]
    threshold = max(bound / max(n, m), NEGLIGIBLE * float(problem.a.sum()))
    rows, columns, values = _entries_above(problem, state, threshold)
    lost = np.maximum(state.column_sums - np.bincount(columns, values, minlength=m), 0.0)
    leaving = _leaving(columns, values, lost, bound)
    lost = np.maximum(state.row_sums - np.bincount(rows, values, minlength=n), 0.0)
    leaving[leaving] = _leaving(rows[leaving], values[leaving], lost, ROW_LOSS * bound)
    stays = ~leaving & (columns < m - 1)
    row_starts = np.concatenate([[0], np.cumsum(np.bincount(rows[stays], minlength=n))])
    return LargeEntries(row_starts, columns[stays], values[stays])


def _entries_above(problem: TransportProblem, state: SSNSState, threshold: float) -> tuple[Array, Array, Array]:
    """Rows, columns and values of the entries of the plan that are at least the threshold."""
    plan = problem.answer(state)
    blocks = list(plan.row_blocks())
    room = blocks[0].stop * plan.cost.shape[1]  # the first block is the largest
    buffers = np.empty(room), np.empty(room, np.intc)
    found: list[tuple[Array, Array, Array]] = []
    for rows in blocks:
        counts = np.empty(rows.stop - rows.start, np.intp)
        plan.cost.kernel.large_entries(
            plan.scale, plan.u, plan.v, rows.start, rows.stop, threshold, *buffers, counts, plan.threads
        )
        size = int(counts.sum())
        found.append((counts, buffers[1][:size].copy(), buffers[0][:size].copy()))
    counts, columns, values = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return np.repeat(np.arange(len(counts)), counts), columns, values


def _leaving(groups: Array, values: Array, lost: Array, bound: float) -> Array:
    """Which entries leave: of each group the smallest, while what it loses, with what it has lost, is within bound."""
    small = np.flatnonzero(values <= bound)
    small = small[np.lexsort((values[small], groups[small]))]
    sums = np.cumsum(values[small])
    first = np.flatnonzero(np.diff(groups[small], prepend=-1))
    before = np.repeat(sums[first] - values[small[first]], np.diff(first, append=len(small)))
    leaving = np.zeros(len(values), bool)
    leaving[small] = lost[groups[small]] + (sums - before) <= bound
    return leaving


# ---- the step --------------------------------------------------------------------------------------


def _direction(problem: TransportProblem, state: SSNSState, entries: LargeEntries) -> tuple[Array, float, float] | None:
    """The direction d / reg of the potentials, its slope, and its curvature; None where there is no such direction.

    Slope and curvature are those of the objective over reg: the model is slope * t + curvature * t^2 / 2.
    """
    from scipy.sparse import csr_array

    n, m = problem.cost.shape
    gradient, norm = _gradient(problem, state)
    mass = float(problem.a.sum())  # of the system's unit, as squares of tiny masses would underflow
    shift = state.damping * norm / mass / max(problem.ratio, 1.0)
    block = csr_array((entries.values / mass, entries.columns, entries.row_starts.astype(np.intc)), shape=(n, m - 1))
    diagonal = np.concatenate([state.row_sums, state.column_sums[:-1]]) / mass + shift
    solve = _solved_densely if block.nnz > WIDE * n * (m - 1) else _solved
    direction = solve(block, diagonal, -gradient / mass)
    if direction is None:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        slope = float(gradient @ direction)
        curvature = -slope - mass * shift * float(direction @ direction)
    return (direction, slope, curvature) if slope < 0 and np.isfinite(curvature) else None


def _solved(block: csr_array, diagonal: Array, wanted: Array) -> Array | None:
    """The solution of the system with this diagonal and off-diagonal block, by a sparse factorisation, or None."""
    from scipy.sparse import bmat, diags
    from scipy.sparse.linalg import splu

    system = (bmat([[None, block], [block.T, None]]) + diags(diagonal)).tocsc()
    try:
        factor = splu(system, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    except RuntimeError:  # singular in rounding
        return None
    solution: Array = factor.solve(wanted)
    return solution


def _solved_densely(block: csr_array, diagonal: Array, wanted: Array) -> Array | None:
    """The same by elimination of the longer side, whose part of the matrix is diagonal."""
    n, m = block.shape
    if n < m:
        swapped = _solved_densely(block.T, np.roll(diagonal, m), np.roll(wanted, m))
        return None if swapped is None else np.roll(swapped, n)
    entries = block.toarray()
    with np.errstate(all="ignore"):
        scaled = entries / diagonal[:n, None]
        schur = np.diag(diagonal[n:]) - entries.T @ scaled
        try:
            y = np.linalg.solve(schur, wanted[n:] - scaled.T @ wanted[:n])
        except np.linalg.LinAlgError:  # singular in rounding
            return None
        return np.concatenate([wanted[:n] / diagonal[:n] - scaled @ y, y])


def _searched(
    problem: TransportProblem, state: SSNSState, direction: Array, slope: float, curvature: float
) -> SSNSState:
    """The state at the first multiple of the direction that lowers the objective, or at the best, if it is accepted."""
    hidden = -slope < SEEN * float(problem.a.sum())
    trials = []
    for step in STEPS:
        trial = _moved(problem, state, step / LN2 * direction)
        state = replace(state, passes=trial.passes)
        decrease = state.measure - trial.measure if hidden else _decrease(problem, state, trial)
        trials.append((decrease if np.isfinite(decrease) else -np.inf, step, trial))
        if decrease > 0:
            break
    decrease, step, trial = max(trials, key=lambda tried: tried[0])
    if not decrease > 0:
        return _refused(state)
    predicted = -step * slope - step**2 / 2 * curvature
    share = 1.0 if hidden else decrease / predicted
    change = 4.0 if share < POOR else 0.5 if share > GOOD else 1.0
    damping = min(max(state.damping * change, LEAST_DAMPING), LARGEST_DAMPING)
    best, best_nit = (trial.measure, state.nit) if trial.measure < state.best else (state.best, state.best_nit)
    return replace(trial, passes=state.passes, newton=state.newton + 1, damping=damping, best=best, best_nit=best_nit)


def _refused(state: SSNSState) -> SSNSState:
    return replace(state, refused=state.refused + 1, damping=min(4.0 * state.damping, LARGEST_DAMPING))


def _moved(problem: TransportProblem, state: SSNSState, move: Array) -> SSNSState:
    """The state with the potentials moved, all but the last column's."""
    n = len(state.u)
    with np.errstate(over="ignore", invalid="ignore"):
        u, v = state.u + move[:n], state.v + np.append(move[n:], 0.0)
        row_sums, column_sums = problem.sums(u, v)
        measure = problem.error(row_sums, column_sums)
    return replace(
        state, u=u, v=v, row_sums=row_sums, column_sums=column_sums, measure=measure, passes=state.passes + 1
    )


def _decrease(problem: TransportProblem, old: SSNSState, new: SSNSState) -> float:
    """By how much the objective over reg falls, from differences: the objective itself would drown it in rounding."""
    with np.errstate(over="ignore", invalid="ignore"):
        rise = LN2 * float(problem.a @ (new.u - old.u) + problem.b @ (new.v - old.v))
        return rise - float((new.row_sums - old.row_sums).sum())


METHOD = register(
    Method(
        name="ssns",
        family="ot",
        summary="safe sparse Newton: gradient-regularised Newton steps on the dual, the plan thinned by an error bound",
        reference="Tang, Qiu (2024), Safe and sparse Newton method for entropic-regularized optimal transport, "
        "NeurIPS 2024",
        solver=SafeSparseNewton,
        capabilities=frozenset({"dense-cost", "point-cloud", "block-cost"}),
    )
)
