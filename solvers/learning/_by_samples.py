"""Newton steps for l2 penalties on more columns than samples, by matrices of the samples' size.

With the penalty's diagonal L the Newton equations are

    L s + X' D (X s + 1 t) = -r,    1' D (X s + 1 t) = -r0,

t the step of an intercept, if there is one. In q = D (X s + 1 t), with K = X L^-1 X' and c = X L^-1 r,

    (D^-1 + K) q = 1 t - c,    1' q = -r0,    s = -L^-1 (r + X' q),

whose matrix has a row a sample. K is formed once, n^2 d operations; a step takes n^3 / 3 and three passes over X.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse
from scipy.linalg import lapack

from .._base.sparse import diagonal_matrix
from ._problem import GlmProblem

Array = npt.NDArray[Any]

#: The least curvature of a sample.
LEAST = 1e-15

#: Entries of columns that are scaled at once.
BLOCK = 4_000_000


def serves(problem: GlmProblem) -> bool:
    """Whether the penalty is l2 alone, on every feature, and there are more of those than samples."""
    penalty, d = problem.penalty, problem.design.d
    if d <= problem.design.n or problem.kind.largest_l1 > 0 or problem.loss.coupled:
        return False
    free = np.isinf(penalty.low[:d]).all() and np.isinf(penalty.high[:d]).all()
    return bool(free and (penalty.l2[:d] > 0).all())


class Newton:
    """Newton steps one after another."""

    def __init__(self, problem: GlmProblem) -> None:
        self.problem, self.l2 = problem, problem.penalty.l2[: problem.design.d]
        memory = problem._memory
        if "kernel" not in memory:
            memory["kernel"] = _kernel(problem.design.X, self.l2)
        self.K = memory["kernel"]

    def step(self, w: Array, g: Array, D: Array, goal: float) -> tuple[Array, Array, int]:
        """The step at w, where the loss has the gradient g and the curvatures D of the samples; X times it; and 1, the
        matrices that were formed. It is exact, whatever the goal."""
        design, l2 = self.problem.design, self.l2
        d = design.d
        root, ones = np.sqrt(np.maximum(D, LEAST)), np.ones(design.n)
        r = g + self.problem.penalty.l2 * w
        c = design.product(np.append(r[:d] / l2, np.zeros(design.width - d)))
        A = self.K * root * root[:, None]
        A[np.diag_indices_from(A)] += 1
        factor = lapack.dpotrf(A, lower=1, overwrite_a=1)[0]

        def solved(b: Array) -> Array:
            return root * lapack.dpotrs(factor, root * b, lower=1)[0]  # type: ignore[no-any-return]

        t, q = 0.0, -solved(c)
        if design.ones:
            of_ones = solved(ones)
            t = (-r[-1] - q.sum()) / of_ones.sum()
            q = q + t * of_ones
        back = design.transposed(q)
        step = -(r[:d] + back[:d]) / l2
        return (np.append(step, t) if design.ones else step), t - c - self.K @ q, 1


def _kernel(X: Any, l2: Array) -> Array:
    """X diag(1 / l2) X', in double precision; of dense columns, some at a time."""
    if scipy.sparse.issparse(X):
        scaled = X @ diagonal_matrix(1 / np.sqrt(l2))
        return (scaled @ scaled.T).toarray()  # type: ignore[no-any-return]
    K, some = np.zeros((len(X), len(X))), max(BLOCK // max(len(X), 1), 64)
    for k in range(0, X.shape[1], some):
        scaled = X[:, k : k + some] / np.sqrt(l2[k : k + some])
        K += scaled @ scaled.T
    return K
