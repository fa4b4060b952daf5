"""The judge of accuracy, outside all solvers: it knows only the problem and the answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .problems import Transport

Array = npt.NDArray[Any]

#: Double differences of log P + C / reg may be this far from 0.
FORM_TOLERANCE = 1e-6

#: Entries of a plan below this are not judged, nor are those whose exp(-C / reg) is.
SAFE = 1e-130

#: Random quadruples of entries, or cycles of them, that must be left to judge a plan's form.
FEWEST = 20


def plan_error(plan: Array, problem: Transport, reg: float) -> float:
    """The l1 error of both marginals of a dense plan; inf if it is no entropic plan at all.

    The marginals alone would pass any coupling, a b' for one. The solution is the coupling of the form
    P_ij = exp((f_i + g_j - C_ij) / reg), which is checked on random quadruples of entries; where the plan is too
    sparse for those, on the cycles of its entries.
    """
    plan = np.asarray(plan, np.float64)
    if plan.shape != problem.cost.shape or not np.isfinite(plan).all() or plan.min() < 0:
        return float("inf")
    off = form_error(plan, problem.cost, reg)
    if (cycle_error(plan, problem.cost, reg) if np.isinf(off) else off) > FORM_TOLERANCE:
        return float("inf")
    return float(np.abs(plan.sum(axis=1) - problem.a).sum() + np.abs(plan.sum(axis=0) - problem.b).sum())


def form_error(plan: Array, cost: Array, reg: float, samples: int = 200_000) -> float:
    """The largest |r_ij - r_il - r_kj + r_kl| of r = log P + C / reg over random i, j, k, l: 0 for f_i + g_j.

    Only entries count that no way of computing them takes near the smallest normal number, where digits are lost.
    inf where too few are left to judge by, as in the sparse plan of the unregularised problem.
    """
    rng = np.random.default_rng(5)
    rows = rng.integers(cost.shape[0], size=(2, samples))
    columns = rng.integers(cost.shape[1], size=(2, samples))
    total, usable = np.zeros(samples), np.ones(samples, bool)
    for i, j, sign in ((0, 0, 1), (0, 1, -1), (1, 0, -1), (1, 1, 1)):
        entries, costs = plan[rows[i], columns[j]], cost[rows[i], columns[j]] / reg
        usable &= (entries > SAFE) & (np.abs(costs) < -np.log(SAFE))
        with np.errstate(divide="ignore", invalid="ignore"):
            total += sign * (np.log(entries) + costs)
    return float(np.abs(total[usable]).max()) if usable.sum() >= FEWEST else float("inf")


def cycle_error(plan: Array, cost: Array, reg: float) -> float:
    """The largest |r_ij - f_i - g_j| of r = log P + C / reg over all entries above SAFE: 0 for an entropic plan.

    f and g are read off along a spanning forest of the bipartite graph of those entries; each further entry closes a
    cycle and is a test. inf where there are too few.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import breadth_first_order, connected_components

    rows, columns = np.nonzero(plan > SAFE)
    r = np.log(plan[rows, columns]) + cost[rows, columns] / reg
    n, size = plan.shape[0], sum(plan.shape)
    graph = coo_array((np.ones(len(rows)), (rows, n + columns)), (size, size)).tocsr()
    count, parts = connected_components(graph, directed=False)
    if len(rows) - (size - count) < FEWEST:
        return float("inf")
    value = np.zeros(size)  # f and g
    at = coo_array((np.arange(1, len(rows) + 1), (rows, n + columns)), (size, size)).tocsr()
    for root in np.unique(parts, return_index=True)[1]:
        order, before = breadth_first_order(graph, root, directed=False)
        children = order[1:]
        if len(children) == 0:  # a row or column without entries; `at` of no places is no array
            continue
        parents = before[children]
        edges = np.asarray(at[np.minimum(children, parents), np.maximum(children, parents)]).ravel() - 1
        for child, parent, edge in zip(children, parents, edges, strict=True):
            value[child] = r[edge] - value[parent]
    return float(np.abs(r - value[rows] - value[n + columns]).max())


def exact_rows(x: Array) -> dict[str, list[list[Any]]]:
    """softmax, log_softmax and logsumexp of the rows of x to 60 digits."""
    import mpmath

    answers: dict[str, list[list[Any]]] = {"softmax": [], "log_softmax": [], "logsumexp": []}
    with mpmath.workdps(60):
        for row in x.astype(np.float64):
            values = [mpmath.mpf(float(value)) for value in row]
            top = max(values)
            powers = [mpmath.exp(value - top) for value in values]
            total = mpmath.fsum(powers)
            # where one power is 1 and the rest tiny, log(total) would lose the rest
            log_total = mpmath.log1p(mpmath.fsum([*powers, -1]))
            answers["softmax"].append([power / total for power in powers])
            answers["log_softmax"].append([value - top - log_total for value in values])
            answers["logsumexp"].append([top + log_total])
    return answers


def ulp_exact(got: Array, exact: list[list[Any]]) -> float:
    """The largest error of `got` against rows of mpmath numbers, in spacings of its type at the exact value."""
    return float(errors_exact(got, exact).max())


def errors_exact(got: Array, exact: list[list[Any]]) -> Array:
    """All those errors, in one row; inf for a number that is not finite where the exact one is."""
    import mpmath

    errors = []
    with mpmath.workdps(60):
        for number, value in zip(np.ravel(got), (value for row in exact for value in row), strict=True):
            if not mpmath.isfinite(value):
                errors.append(0.0 if float(number) == float(value) else np.inf)
            elif not np.isfinite(number):
                errors.append(np.inf)
            else:
                spacing = float(np.spacing(np.abs(got.dtype.type(float(value)))))
                errors.append(float(abs(mpmath.mpf(float(number)) - value) / spacing))
    return np.array(errors)


class LongReference:
    """softmax and its kin of one row in long double, where the row is too long for mpmath; a part at a time."""

    BLOCK = 1 << 20

    def __init__(self, x: Array) -> None:
        self.x = x
        self.top = np.longdouble(x.max())
        blocks = (x[k : k + self.BLOCK].astype(np.longdouble) for k in range(0, len(x), self.BLOCK))
        self.total = np.sum([np.exp(block - self.top).sum() for block in blocks], dtype=np.longdouble)

    def exact(self, function: str, where: Array) -> Array:
        """The exact values at some places (at one, for logsumexp)."""
        shifted: Array = self.x[where].astype(np.longdouble) - self.top
        exact: Array = np.array([self.top + np.log(self.total)])
        if function == "softmax":
            exact = np.exp(shifted) / self.total
        elif function == "log_softmax":
            exact = shifted - np.log(self.total)
        return exact


def ulp(got: Array, exact: Array) -> float:
    """The largest error in spacings of the type of `got` at the exact value."""
    return float(errors(got, exact).max())


def errors(got: Array, exact: Array) -> Array:
    """All those errors; inf for a number that is not finite."""
    spacing = np.spacing(np.abs(exact.astype(got.dtype)))
    with np.errstate(invalid="ignore"):
        found: Array = (np.abs(got.astype(np.longdouble) - exact) / spacing).astype(np.float64)
    return np.where(np.isfinite(got), found, np.inf)


# ---- linear systems ----------------------------------------------------------------------------------


def residual(A: Any, b: Array, x: Any) -> float:
    """norm(b - A x) / norm(b) in long double, A in compressed rows; inf for what is no finite vector of b's shape."""
    got = np.asarray(x)
    if got.shape != b.shape or got.dtype.kind != "f" or not np.isfinite(got).all():
        return float("inf")
    products = A.data.astype(np.longdouble) * got.astype(np.longdouble)[A.indices]
    filled = np.diff(A.indptr) > 0  # reduceat would give an empty row the next row's first product
    sums = np.zeros(len(b), np.longdouble)
    sums[filled] = np.add.reduceat(products, A.indptr[:-1][filled])
    return float(np.sqrt(np.sum((b - sums) ** 2)) / np.sqrt(np.sum(b.astype(np.longdouble) ** 2)))


def distance(got: Array, reference: Array) -> float:
    """The largest difference over the reference's largest magnitude; inf where it is not finite."""
    found = float(np.max(np.abs(got - reference)) / np.max(np.abs(reference)))
    return found if np.isfinite(found) else float("inf")
