"""The demo's own judge of a transport plan: it takes the numbers of a plan and believes no solver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist
from scipy.special import rel_entr

Array = npt.NDArray[Any]

#: Entries that are looked at together.
BLOCK = 1 << 20


@dataclass(frozen=True)
class Judgement:
    """What a plan is worth. Every number is infinite for a plan that is none."""

    #: sum |P 1 - a| + sum |P' 1 - b|
    marginal_error: float
    #: <C, P> + reg KL(P | a b'), which the right plan makes smallest
    objective: float
    #: How far the objective of a plan of this marginal error may be from the best one.
    slack: float


def judge(plan: Array, X: Array, Y: Array, a: Array, b: Array, reg: float) -> Judgement:
    """Judge a dense plan between the points X and Y under the squared-Euclidean cost."""
    if plan.shape != (len(a), len(b)) or not np.isfinite(plan).all() or (plan < 0).any():
        return Judgement(np.inf, np.inf, 0.0)
    error = float(np.abs(plan.sum(axis=1) - a).sum() + np.abs(plan.sum(axis=0) - b).sum())
    objective, largest = 0.0, 0.0
    size = max(1, BLOCK // len(b))
    for first in range(0, len(a), size):
        rows = slice(first, first + size)
        cost = cdist(X[rows], Y, "sqeuclidean")
        objective += float((cost * plan[rows]).sum() + reg * rel_entr(plan[rows], np.outer(a[rows], b)).sum())
        largest = max(largest, float(cost.max()))
    # The objective changes with the marginals as the potentials say, and these span about the largest cost.
    return Judgement(error, objective, 2 * largest * error + 1e-12)


def agree(one: Judgement, other: Judgement) -> bool:
    """Whether two plans can both be the solution: their objectives are as close as their errors allow."""
    return abs(one.objective - other.objective) <= one.slack + other.slack
