"""Newton's method with conjugate gradients for smooth objectives of many classes: l2 penalties, or none.

The Hessian of the multinomial loss, X' (diag(p) - p p') X over all pairs of classes, has (K d)^2 entries. A product
with it costs two passes over X and no more memory than the predictors; its diagonal blocks, one a class, precondition
the conjugate gradients, and are factored anew where a step took as many products as that costs. Small problems form
and factor the whole matrix instead.

A line search on the predictors follows, without another pass over X.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse
from scipy.linalg import lapack

from .._base.method import Method, register
from .._base.options import option
from .._base.result import Status
from .._base.state import replace
from ._design import Design
from ._multinomial import MultinomialProblem
from ._problem import FitState, GlmResult
from ._working_set import NOISE, _line_search

Array = npt.NDArray[Any]

#: Features whose blocks are factored; with more, their diagonal preconditions.
LARGEST_BLOCK = 3000
#: What makes a matrix definite along directions that cost nothing, relative to its diagonal's entries.
RIDGE = 1e-12
#: Entries of X up to which its products with vectors fit into single precision.
LARGEST_SINGLE = 1e18
#: The least residual of a step, relative to its right side.
FINEST = 1e-4


@dataclass(frozen=True, eq=False, kw_only=True)
class NewtonCGState(FitState):
    """Where the fit is."""

    #: The predictors at which the preconditioner is made.
    anchor: Array
    products: int


@dataclass(frozen=True)
class NewtonCG:
    """Newton steps by preconditioned conjugate gradients."""

    whole: int = option(100, "coefficients up to which the Hessian is formed and factored whole", low=0)
    max_products: int = option(500, "products with the Hessian in a Newton step at most", low=1)

    def init(self, problem: MultinomialProblem) -> NewtonCGState:
        z = problem.design.product(problem.w0)
        return _evaluated(problem, problem.w0, z, z, 0, 0)

    def step(self, problem: MultinomialProblem, state: NewtonCGState) -> NewtonCGState:
        gradient = np.where(problem.moves, state.g + problem.penalty.l2 * state.w, 0.0)
        anchor, products = state.anchor, 0
        if problem.design.width <= self.whole:
            way = _solved_whole(problem, state.z, gradient)
        else:
            way, products = self._solved(problem, state, gradient)
            # A new preconditioner costs as much as so many products.
            anchor = state.z if 4 * products > problem.design.inner.d else anchor
        steps = problem.design.product(way)
        target = state.w + way
        value = state.primal - problem.penalty.value(state.w)
        noise = NOISE * max(abs(problem.at_zero), abs(state.primal))
        found = _line_search(problem, problem.penalty, state.w, target, state.z, steps, state.g, value, noise)
        share, z = (0.0, state.z) if found is None else found[:2]
        w = state.w + share * way
        if state.nit % 10 == 9:
            z = problem.design.product(w)
        new = _evaluated(problem, w, z, anchor, state.nit + 1, state.products + products)
        gained = state.primal - new.primal > NOISE * abs(state.primal) or new.measure < 0.5 * state.measure
        return replace(new, idle=0 if gained else state.idle + 1)

    def _solved(self, problem: MultinomialProblem, state: NewtonCGState, gradient: Array) -> tuple[Array, int]:
        """-H^-1 gradient by conjugate gradients, and the products it took."""
        H, M = _Hessian(problem, state.z), _preconditioner(problem, state.anchor)
        goal, moves = _forcing(problem, state, gradient), problem.moves
        x, r = np.zeros_like(gradient), -gradient
        y = np.where(moves, M.solve(r), 0.0)
        p, product = y, float(r @ y)
        first, products = product, 0
        while products < self.max_products and product > goal**2 * first:
            q = H.product(p)
            products += 1
            bend = float(p @ q)
            if not bend > 0:
                break
            x, r = x + (product / bend) * p, r - (product / bend) * np.where(moves, q, 0.0)
            y = np.where(moves, M.solve(r), 0.0)
            before, product = product, float(r @ y)
            p = y + (product / before) * p
        return (x if x.any() else y), products

    def done(self, problem: MultinomialProblem, state: NewtonCGState) -> Status | None:
        return problem.status(state)

    def finish(self, problem: MultinomialProblem, state: NewtonCGState) -> GlmResult:
        stats = {"hessian_products": state.products}
        return problem.certified(state.w, state.nit, stats)


def _forcing(problem: MultinomialProblem, state: NewtonCGState, gradient: Array) -> float:
    """How small the residual of a Newton step must become: as its own error does, but not beyond what is asked for."""
    start = max(problem.kkt_at_zero, np.finfo(float).tiny)
    superlinear = np.sqrt(float(np.abs(gradient).max()) / start)
    enough = 0.2 * np.sqrt(problem.tol / state.measure) if problem.has_dual else 0.2 * problem.tol / state.measure
    return float(min(0.1, max(superlinear, enough, FINEST)))


def _evaluated(
    problem: MultinomialProblem, w: Array, z: Array, anchor: Array, nit: int, products: int
) -> NewtonCGState:
    """The state at w, its certificate recomputed."""
    known = problem.certificate(w, z)
    return NewtonCGState(
        w=w, z=z, g=known.g, anchor=anchor, primal=known.primal, dual=known.dual, kkt=known.kkt, nit=nit,
        measure=problem.measure(known), products=products,
    )  # fmt: skip


class _Hessian:
    """The Hessian at the predictors z as an operator, in single precision: a step needs four digits at most."""

    def __init__(self, problem: MultinomialProblem, z: Array) -> None:
        self.design, self.l2 = problem.design, problem.penalty.l2
        if "single" not in problem._memory:
            X = problem.design.X
            fits = abs(X).max() < LARGEST_SINGLE if min(X.shape) else True
            problem._memory["single"] = X.astype(np.float32) if fits else X
        self.X = problem._memory["single"]
        weighted = problem.loss.second(z).reshape(-1, problem.design.classes)
        self.P = (weighted / problem.loss.s[:, None]).astype(np.float32)
        self.weighted = weighted.astype(np.float32)

    def product(self, v: Array) -> Array:
        # Directions may be too short for single precision.
        size = float(np.abs(v).max()) or 1.0
        W, intercepts = self.design.split((v / size).astype(np.float32))
        Z = self.X @ W.T
        Z += intercepts
        Z -= np.einsum("ik,ik->i", self.P, Z)[:, None]
        Z *= self.weighted
        found = np.asarray(self.X.T @ Z).T.ravel().astype(np.float64)
        if self.design.ones:
            found = np.concatenate([found, Z.sum(axis=0, dtype=np.float64)])
        return size * found + self.l2 * v


def _preconditioner(problem: MultinomialProblem, anchor: Array) -> _Blocks:
    """That of these predictors, kept while they stay."""
    if problem._memory.get("anchor") is not anchor:
        problem._memory["blocks"] = _Blocks(problem, anchor)
        problem._memory["anchor"] = anchor
    return problem._memory["blocks"]  # type: ignore[no-any-return]


class _Blocks:
    """The Hessian's diagonal blocks, one a class, factored; or its diagonal."""

    def __init__(self, problem: MultinomialProblem, z: Array) -> None:
        design, inner = problem.design, problem.design.inner
        P = problem.loss.probabilities(z)
        curvature = problem.loss.s[:, None] * P * (1 - P)
        self.design, l2 = design, problem.penalty.l2
        self.diagonal, self.factors = np.empty(0), []
        if inner.width > LARGEST_BLOCK:
            X = inner.X
            diagonal = np.asarray((X.multiply(X) if hasattr(X, "multiply") else X * X).T @ curvature).T.ravel()
            diagonal = np.concatenate([diagonal, curvature.sum(axis=0)]) if design.ones else diagonal
            self.diagonal = np.maximum(diagonal + l2, RIDGE * float(diagonal.max(initial=0.0)))
            return
        ridge = np.append(l2[: inner.d], np.zeros(inner.width - inner.d))
        # At z = 0 all classes have the same block.
        count = 1 if np.all(curvature[:, 1:] == curvature[:, :1]) else design.classes
        for k in range(count):
            H = _weighted_gram(inner, np.ascontiguousarray(curvature[:, k]))
            diagonal = H.diagonal()
            sizes = np.where(diagonal > 0, diagonal, float(diagonal.max(initial=0.0)))
            H[np.diag_indices_from(H)] += ridge + RIDGE * sizes + 1e-300
            self.factors.append(lapack.dpotrf(H, lower=1, clean=0)[0])

    def solve(self, r: Array) -> Array:
        if not self.factors:
            return r / self.diagonal
        W, intercepts = self.design.split(r)
        of_class = np.column_stack([W, intercepts]) if self.design.ones else W
        if len(self.factors) == 1:
            found = lapack.dpotrs(self.factors[0], of_class.T, lower=1)[0].T
        else:
            found = np.array([lapack.dpotrs(L, b, lower=1)[0] for L, b in zip(self.factors, of_class, strict=True)])
        d = self.design.inner.d
        return np.concatenate([found[:, :d].ravel(), found[:, d:].ravel()])


def _weighted_gram(inner: Design, weights: Array) -> Array:
    """X' D X with the intercept's row and column."""
    if scipy.sparse.issparse(inner.X):
        return inner.gram(np.arange(inner.width), weights)
    panel = inner.X * np.sqrt(weights)[:, None]
    H = np.empty((inner.width, inner.width))
    H[: inner.d, : inner.d] = panel.T @ panel
    if inner.ones:
        H[-1, :-1] = H[:-1, -1] = inner.X.T @ weights
        H[-1, -1] = weights.sum()
    return H


def _solved_whole(problem: MultinomialProblem, z: Array, gradient: Array) -> Array:
    """-H^-1 gradient by the whole Hessian; directions that cost nothing are left alone."""
    H, held = problem.design.gram(np.arange(problem.design.width), problem.loss.second(z)), ~problem.moves
    H[held] = H[:, held] = 0.0
    H[held, held] = 1.0
    diagonal, ridge = H.diagonal() + problem.penalty.l2, RIDGE
    largest = float(diagonal.max(initial=0.0))
    sizes = np.where(diagonal > 0, diagonal, largest)  # columns may be of very different scales
    while largest > 0 and ridge < 1:
        H[np.diag_indices_from(H)] = diagonal + ridge * sizes
        way, info = lapack.dposv(H, -gradient, lower=1)[1:]
        if info == 0 and np.isfinite(way).all():
            return way  # type: ignore[no-any-return]
        ridge *= 100
    return -gradient / max(largest, 1.0)


METHOD = register(
    Method(
        name="newton-cg",
        family="learning",
        summary="Newton's method for multinomial losses without kinks, by conjugate gradients preconditioned by class",
        reference="Nocedal, Wright (2006), Numerical Optimization, algorithm 7.1",
        solver=NewtonCG,
        capabilities=frozenset({"smooth-multinomial"}),
    )
)
