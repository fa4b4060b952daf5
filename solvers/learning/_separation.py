"""Fits without a penalty whose objective has no least value: a plane separates the labels.

Let d be a direction that no penalty and no bound ends, along which no term of the loss rises and some fall for ever:
no coefficients are best then, since those further along d are better. A small gradient does not tell this case from one
with a minimum, so both ends of a fit are looked at for such a direction. The coefficients themselves are one where
all terms fall along them; where some samples lie on the plane, the part of the coefficients that moves none of
the samples which are still in doubt may be one. Those that it moves to the wrong side are held as well, until none is.
Either is checked on all samples, to rounding.

After Albert and Anderson (1984), On the existence of maximum likelihood estimates in logistic regression models,
Biometrika 71; for counts Correia, Guimaraes and Zylkin (2019), arXiv 1903.01633.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from .._base.result import Status

if TYPE_CHECKING:
    from ._problem import GlmProblem, GlmResult

Array = npt.NDArray[Any]

#: What is told of such a fit.
SENTENCE = (
    "The objective has no least value: coefficients without a penalty grow without end, as where a plane separates the "
    "labels. Those reached are returned; penalise them, or leave out the columns that separate."
)

#: The measure of an answer where there is none: finite, since nothing was wrong with the arithmetic.
ENDLESS = float(np.finfo(float).max)

#: A margin that no rounding of X w makes.
APART = 1.0

#: The slope, as a share of the largest, below which a sample is not in doubt.
SETTLED = 1e-2

#: How often samples that a direction would move to the wrong side are held, and another one looked for.
ROUNDS = 10

#: Columns up to which a matrix of their size is formed and decomposed to look for a direction.
MOST_COLUMNS = 1000

#: The least eigenvalue, relative to the largest, that is none of rounding.
RANK = 1e-12

#: Products of a sample with a direction that are zero, and that are not, in units of the lengths of both.
NOUGHT, SURE = 1e-9, 1e-6


def judged(problem: GlmProblem, result: GlmResult) -> GlmResult:
    """The result, which is no success where the objective has no least value."""
    ends = (Status.CONVERGED, Status.STAGNATION, Status.MAX_ITER, Status.DIVERGED)
    if not problem.may_fall_for_ever or result.status not in ends:
        return result
    w, z = result.state.w, result.state.z
    if not (result.status is Status.DIVERGED or separates(problem, w, z) or has_way_out(problem, w, z)):
        return result
    message = result.message.replace(result.status.sentence, SENTENCE)
    return result.changed(status=Status.DIVERGED, success=False, measure=ENDLESS, message=message)


def separates(problem: GlmProblem, w: Array, z: Array) -> bool:
    """Whether all terms of the loss fall for ever along w itself, z = X w."""
    return not _counted(problem, ~(problem.loss.margins(z) >= APART)) and _is_free(problem, w, 0.0)


def has_way_out(problem: GlmProblem, w: Array, z: Array) -> bool:
    """Whether terms of the loss fall for ever along a part of w, and none rises."""
    free = ~problem.penalty.is_coercive & (w != 0)
    free[problem.design.d :] = True
    columns, held = np.flatnonzero(free), problem.loss.doubt(problem.loss.derivative(z), SETTLED)
    if not 0 < len(columns) <= MOST_COLUMNS or not _counted(problem, held == 0):
        return False
    lengths = np.repeat(_lengths(problem), len(z) // problem.design.n)
    for _ in range(ROUNDS):
        d = _still(problem, w, columns, held)
        if not d.any():
            return False
        length = float(np.linalg.norm(problem.norms * d))
        margins = problem.loss.margins(problem.design.product(d))
        rising = margins < -NOUGHT * length * lengths
        if not _counted(problem, rising):
            nought = NOUGHT * length / np.maximum(problem.norms, np.finfo(float).tiny)
            return bool(_counted(problem, margins > SURE * length * lengths)) and _is_free(problem, d, nought)
        held[rising] = 1
    return False


def _still(problem: GlmProblem, w: Array, columns: Array, held: Array) -> Array:
    """The part of w in these columns that moves no sample that is held: zeros where there is none."""
    norms = np.maximum(problem.norms[columns], np.finfo(float).tiny)
    H = problem.across.sum(problem.design.gram(columns, held).ravel()).reshape(len(columns), -1)
    values, vectors = np.linalg.eigh(H / norms / norms[:, None])
    still, d = vectors[:, values <= RANK * values[-1]], np.zeros(len(w))
    d[columns] = still @ (still.T @ (norms * w[columns])) / norms
    return d


def _counted(problem: GlmProblem, marks: Array) -> int:
    """How many there are, on all ranks."""
    return int(problem.across.sum(np.array([float(np.count_nonzero(marks))]))[0])


def _lengths(problem: GlmProblem) -> Array:
    """The lengths of the samples, their features in units of the columns' norms."""
    X, norms = problem.design.X, problem.norms
    units = np.zeros(X.shape[1])
    np.divide(1.0, norms[: len(units)], out=units, where=norms[: len(units)] > 0)
    if scipy.sparse.issparse(X):
        squares = X.multiply(X).astype(np.float64) @ units**2
    else:
        squares = np.einsum("ij,ij,j->i", X, X, units**2, dtype=np.float64)
    return np.asarray(np.sqrt(squares + problem.design.ones / problem.samples))


def _is_free(problem: GlmProblem, d: Array, nought: Array | float) -> bool:
    """Whether no penalty and no bound ends the way along d; entries within `nought` count as zero."""
    penalty = problem.penalty
    open_ended = np.isinf(np.where(d > 0, penalty.high, penalty.low))
    return bool(((~penalty.is_coercive & open_ended) | (np.abs(d) <= nought)).all())
