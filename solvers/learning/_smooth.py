"""Newton steps for objectives without kinks and bounds, by preconditioned conjugate gradients.

A product with the Hessian X' D X + L, L the penalty's diagonal, takes two passes over X, its Gram matrix many more. How
many products a step takes is not known beforehand, so that steps begin with the curvatures of the columns as
preconditioner, and form the Gram matrix once the products have cost as much as that: it solves this step, and stays as
preconditioner of those that follow, until their products have cost as much again.

Dense matrices of some size are copied to single precision in blocks of rows that fit into the cache: there a product
reads X once, and half as many bytes. A step needs three digits at most; gradients and line searches keep all of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse
from scipy.linalg import lapack

from ._models import BY_CUBE, BY_SQUARE, LARGEST_GRAM, TINY
from ._problem import GlmProblem

Array = npt.NDArray[Any]

#: The Gram matrix is formed once products have cost this share of it, and at once where it costs no more than so many.
SHARE, AT_ONCE = 1.0, 2.0

#: Products of a step at most, and its least residual: single precision has not much more.
PRODUCTS, FINEST = 1000, 1e-4

#: Entries of a dense matrix from which on it is copied to single precision; those of a block of rows; nanoseconds that
#: a product takes an entry there.
FEWEST_ENTRIES, BLOCK, SINGLE_NS = 200_000, 500_000, 0.52

#: Rows that make a Gram matrix to precondition with, by columns; nanoseconds of an entry in it, by
#: columns; and how many times its costs products may have taken before it is made anew.
SAMPLE, SAMPLE_NS, RENEWED = 8, 0.02, 3

#: What single precision may have to hold of X.
LARGEST_SINGLE = 1e18

#: A direction of less curvature, beside the preconditioner's, has none.
FLAT = 1e-15

#: What makes a matrix definite along directions that cost nothing, relative to its diagonal: in double precision; and
#: in single, whose rounding would lead far along these.
RIDGE, ROUGH_RIDGE = 1e-12, 1e-6


def serves(problem: GlmProblem) -> bool:
    """Whether the objective is smooth, and not quadratic."""
    penalty, loss = problem.penalty, problem.loss
    if loss.quadratic or loss.coupled or problem.kind.largest_l1 > 0:
        return False
    return bool(np.isinf(penalty.low).all() and np.isinf(penalty.high).all())


class Newton:
    """Newton steps one after another, from points that are near one another."""

    def __init__(self, problem: GlmProblem) -> None:
        self.problem, design = problem, problem.design
        self.every = np.arange(design.width)
        gram, sweep = design.costs(self.every)
        p = float(design.width)
        fits = 8 * p * p <= LARGEST_GRAM
        self.gram_costs = gram + p * p * (BY_SQUARE + BY_CUBE * p) if fits else np.inf
        self.single = _single(problem)
        self.product_costs = 2 * sweep if self.single is None else SINGLE_NS * design.X.size
        self.factor: Array | None = None
        #: Whether that is of all rows; products since it was; and since there was any.
        self.whole, self.since, self.recent = False, 0, 0
        rows = SAMPLE * p if self.single is not None and 2 * SAMPLE * p <= design.n else 0
        self.sampled, self.sample_costs = int(rows), SAMPLE_NS * rows * p * p + BY_CUBE * p**3

    def step(self, w: Array, g: Array, D: Array, goal: float) -> tuple[Array, Array, int]:
        """The step at w, where the loss has the gradient g and the curvatures D of the samples, up to `goal` of the
        residual; X times it; and how many Gram matrices were formed."""
        step, formed = self._solved(g + self.problem.penalty.l2 * w, D, max(goal, FINEST))
        return step, self.problem.design.product(step), formed

    def _solved(self, gradient: Array, D: Array, goal: float) -> tuple[Array, int]:
        """-H^-1 gradient, and the Gram matrices that were formed."""
        if self.gram_costs <= AT_ONCE * self.product_costs:
            return -self._factored(D, gradient), 1
        product, solve = self._products(D), self._preconditioner(D)
        x, r = np.zeros_like(gradient), -gradient
        y = solve(r)
        p, down = y, float(r @ y)
        first, count = down, 0
        while count < PRODUCTS and down > goal**2 * first:
            if self.since * self.product_costs > SHARE * self.gram_costs:
                return -self._factored(D, gradient), 1
            q = product(p)
            count += 1
            self.since += 1
            self.recent += 1
            bend = float(p @ q)
            if not bend > FLAT * down:
                break
            x, r = x + (down / bend) * p, r - (down / bend) * q
            y = solve(r)
            before, down = down, float(r @ y)
            p = y + (down / before) * p
        return (x if x.any() else y), 0

    def _factored(self, D: Array, gradient: Array) -> Array:
        """H^-1 gradient by the Gram matrix, whose factor is kept."""
        design, l2 = self.problem.design, self.problem.penalty.l2
        memory = self.problem._memory
        if "all columns" not in memory:
            memory["all columns"] = design.panel(self.every)
        factor = _cholesky(memory["all columns"].gram(D), l2)
        self.since = self.recent = 0
        if factor is None:
            return self._preconditioner(D)(gradient)  # type: ignore[no-any-return]
        self.factor, self.whole = factor, True
        return lapack.dpotrs(factor, gradient, lower=1)[0]  # type: ignore[no-any-return]

    def _preconditioner(self, D: Array) -> Any:
        """The kept factor's solves, or the curvatures of the columns."""
        old = self.factor is None or self.recent * self.product_costs > RENEWED * self.sample_costs
        if self.single is not None and self.sampled and not self.whole and old:
            H = self.single.gram(D, self.sampled)
            H[np.diag_indices_from(H)] *= 1 + ROUGH_RIDGE
            self.factor = _cholesky(H, self.problem.penalty.l2)
            self.recent = 0
        if self.factor is not None:
            factor = self.factor
            return lambda r: lapack.dpotrs(factor, r, lower=1)[0]
        norms, l2 = self.problem.norms, self.problem.penalty.l2
        mean = max(float(D.mean()), TINY) if len(D) else TINY
        diagonal = l2 + mean * np.maximum(norms, 1e-10 * float(norms.max(initial=0.0))) ** 2
        diagonal = np.where(diagonal > 0, diagonal, 1.0)
        return lambda r: r / diagonal

    def _products(self, D: Array) -> Any:
        """The Hessian as a function."""
        design, l2, single = self.problem.design, self.problem.penalty.l2, self.single
        if single is None:
            return lambda v: design.transposed(D * design.product(v)) + l2 * v
        largest = max(float(D.max(initial=0.0)), TINY)
        weights = (D / largest).astype(np.float32)
        return lambda v: largest * single.product(v, weights) + l2 * v


def _cholesky(H: Array, l2: Array) -> Array | None:
    """The factor of H + L, with a ridge if need be; H is overwritten."""
    diagonal = H.diagonal() + l2
    largest, ridge = float(diagonal.max(initial=0.0)), 0.0 if (l2 > 0).all() else RIDGE
    while largest > 0 and ridge < 1:
        H[np.diag_indices_from(H)] = diagonal + ridge * largest
        factor, info = lapack.dpotrf(H, lower=1, clean=0)
        if info == 0:
            return factor  # type: ignore[no-any-return]
        ridge = max(100 * ridge, RIDGE)
    return None


def _single(problem: GlmProblem) -> Single | None:
    """X in single precision, where products are worth a copy."""
    design, memory = problem.design, problem._memory
    if scipy.sparse.issparse(design.X) or not FEWEST_ENTRIES <= design.X.size <= LARGEST_GRAM / 4:
        return None
    if "single" not in memory:
        fits = problem.norms.max() < LARGEST_SINGLE
        memory["single"] = Single(design.X, design.ones) if fits else None
    return memory["single"]  # type: ignore[no-any-return]


class Single:
    """X in single precision, in blocks of rows that stay in the cache between the two products."""

    def __init__(self, X: Array, ones: bool) -> None:
        rows = max(BLOCK // max(X.shape[1], 1), 16)
        self.ones, self.width = ones, X.shape[1] + ones
        self.blocks = [
            (slice(k, k + rows), X[k : k + rows].astype(np.float32, order="K")) for k in range(0, len(X), rows)
        ]

    def product(self, v: Array, weights: Array) -> Array:
        """X' D X v."""
        size = float(np.abs(v).max(initial=0.0)) or 1.0  # directions may be too short for single precision
        p = (v / size).astype(np.float32)
        features, one = (p[:-1], p[-1]) if self.ones else (p, np.float32(0))
        out = np.zeros(self.width)
        for rows, block in self.blocks:
            t = block @ features
            if self.ones:
                t += one
            t *= weights[rows]
            out[: len(features)] += block.T @ t
            if self.ones:
                out[-1] += t.sum(dtype=np.float64)
        return size * out

    def gram(self, D: Array, rows: int) -> Array:
        """About X' D X, by the first ones of each block, `rows` in all."""
        whole = self.blocks[-1][0].start + len(self.blocks[-1][1])
        parts, weights = [], []
        for place, block in self.blocks:
            some = -(-rows * len(block) // whole)
            parts.append(block[:some])
            weights.append(D[place][:some])
        d = np.concatenate(weights)
        root = np.sqrt(d * (D.sum() / max(float(d.sum()), TINY)))
        A = np.empty((len(d), self.width), np.float32, order="F")
        A[:, self.width - 1] = 1
        np.concatenate(parts, out=A[:, : self.width - self.ones])
        A *= root.astype(np.float32)[:, None]
        return (A.T @ A).astype(np.float64)
