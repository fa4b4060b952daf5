"""Fits of one generalised linear model at many strengths of the penalty, each started from its neighbour's answer."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from .._base import threads as _threads
from .._base.iterate import Control
from .._base.method import lookup
from .._base.options import as_mapping
from .._base.progress import with_bar
from .._base.validate import check_finite, flag, integer, nonnegative, positive, real_array, word
from ._glm import PENALTIES, USUAL, checked_data, penalty_terms
from ._gram import GramCache
from ._gram_path import GramPath, pays
from ._groups import Grouped
from ._multinomial import MultinomialProblem
from ._penalty import Separable
from ._problem import Certificate, GlmProblem, GlmResult
from ._solve import solved

Array = npt.NDArray[Any]

#: Bytes of Gram matrices that are kept.
MEMORY = 512 * 2**20

#: Why the usual method of a path is that.
WHY = "for a path"

Penalty = Separable | Grouped


@dataclass(frozen=True, eq=False)
class GlmPath:
    """The fits of a path, in the order of the strengths that were given.

    Attributes
    ----------
    lams : ndarray, shape (k,)
        Strengths of the penalty; fewer than asked for where the path was stopped early.
    coefs : ndarray, shape (k, d), of classes (k, K, d)
    intercepts : ndarray, shape (k,), of classes (k, K)
    gaps : ndarray, shape (k,)
        Bounds of how far each objective is from its least value.
    results : list of GlmResult
        The results, without their states. One that did not succeed says so in its own `status`.
    """

    lams: Array
    coefs: Array
    intercepts: Array
    gaps: Array
    results: list[GlmResult]

    @property
    def success(self) -> bool:
        """Whether all fits succeeded."""
        return all(result.success for result in self.results)


#: Strengths of a path.
MOST = 10**6

#: What fits at other strengths may use again: Gram matrices of least squares, and copies of X.
SHARED = ("gram", "panel", "all columns", "single")


def glm_path(
    X: Any,
    y: npt.ArrayLike,
    *,
    lams: npt.ArrayLike | None = None,
    n_lams: int = 100,
    eps: float = 1e-3,
    loss: str = "squared",
    penalty: str = "l1",
    l1_ratio: float = 0.5,
    groups: Any = None,
    weights: npt.ArrayLike | None = None,
    bounds: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    sample_weight: npt.ArrayLike | None = None,
    fit_intercept: bool = False,
    tol: float = 1e-6,
    method: str | None = None,
    options: Mapping[str, Any] | None = None,
    max_iter: int = 200,
    max_support: int | None = None,
    early_stop_deviance: float | None = None,
    memory: float = MEMORY,
    threads: int | None = None,
    progress: bool = False,
) -> GlmPath:
    """Fit a penalised generalised linear model at several strengths of the penalty.

    The fits run from the largest strength to the smallest, whatever the order they are given in. Each starts from the
    answer of the one before, with the columns which the sequential strong rule keeps; norms, checks and the Gram matrix
    of least squares are shared. Each result is as certified as one of `glm`.

    Parameters
    ----------
    X, y, loss, penalty, l1_ratio, groups, weights, bounds, sample_weight, fit_intercept
        As in `glm`.
    tol, method, options, max_iter, threads
        As in `glm`, for each fit.
    lams : array_like, shape (k,), optional
        Strengths, >= 0; where not given `n_lams` of them in geometric progression from the least one that leaves all
        penalised coefficients at zero down to `eps` times that.
    n_lams : int, default 100
        How many strengths, >= 1, where they are not given.
    eps : float, default 1e-3
        The last strength over the first, between 0 and 1.
    max_support : int, optional
        The path ends with the first fit that has more nonzero coefficients.
    early_stop_deviance : float, optional
        The path ends with the first fit that explains this share of the deviance: one minus its loss, over that of no
        penalised coefficients.
    memory : float, default 512 MiB
        Bytes of Gram matrix to keep at most. What does not fit is formed anew at each step.
    progress : bool, default False
        Show a progress bar, if tqdm can be imported.

    Returns
    -------
    GlmPath
        With `lams`, `coefs`, `intercepts`, `gaps` and the `results`. A fit that did not succeed says so in its own
        `status`; the next one starts from what it had reached.

    Raises
    ------
    ValueError, TypeError, MethodError, OptionError
        As from `glm`; also where `lams` is empty, negative or not one-dimensional, or must be given since the penalty
        has no kink at zero, and where the penalty is "none".

    Notes
    -----
    The first fits cost a pass over the data each, the later ones two or three.

    References
    ----------
    Tibshirani, Bien, Friedman, Hastie, Simon, Taylor, Tibshirani (2012), Strong rules for discarding predictors in
    lasso-type problems, JRSS B 74.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers.learning import glm_path
    >>> rng = np.random.default_rng(7)
    >>> X = rng.normal(size=(50, 200))
    >>> path = glm_path(X, X[:, 3] - 2 * X[:, 8], n_lams=5, eps=0.1)
    >>> path.success, path.coefs.shape, [len(result.support) for result in path.results[:3]]
    (True, (5, 200), [0, 1, 2])
    """
    if word(penalty, "penalty", PENALTIES) == "none":
        raise ValueError("penalty must be one with a strength that a path can follow, not 'none'")
    fit_intercept, max_iter = flag(fit_intercept, "fit_intercept"), integer(max_iter, "max_iter")
    max_support = None if max_support is None else integer(max_support, "max_support")
    if early_stop_deviance is not None:
        early_stop_deviance = nonnegative(early_stop_deviance, "early_stop_deviance")
    if method is not None:
        lookup("learning", method)
    options = as_mapping(options)
    data = checked_data(X, y, loss, sample_weight, fit_intercept)
    terms: Any = penalty_terms(
        1.0, penalty, l1_ratio, weights, bounds, data.features, fit_intercept, groups, data.classes
    )
    kind: type[GlmProblem] = MultinomialProblem if loss == "multinomial" else GlmProblem
    one = kind(
        design=data.design, loss=data.loss, penalty=terms, w0=np.zeros(data.design.width), tol=positive(tol, "tol"),
        max_iter=max_iter, copies=data.copies, threads=_threads.resolve(threads),
    )  # fmt: skip
    null = _null(one, method, options)
    strengths = _strengths(lams, n_lams, eps, terms, null)
    shared: dict[str, Any] = {}
    if data.loss.quadratic:
        weighted = None if data.loss.uniform else data.loss.s
        shared["gram"] = GramCache(data.design, weighted, positive(memory, "memory"))
    fits, points = _Fits(one, method, options, shared, null), None
    usual = _usual(one)
    if method in (None, usual) and not options and max_iter > 0 and pays(one, len(strengths), memory):
        record, why = lookup("learning", usual, one.needs), "" if method is not None else f"Chose {usual}, {WHY}."
        points = GramPath(dataclasses.replace(one, _memory=shared), record, why)
        points.start(null.w)
    found: dict[int, GlmResult] = {}
    before = float(strengths.max())
    for k in with_bar(np.argsort(-strengths, kind="stable").tolist(), progress, "glm_path", "lam"):
        lam = float(strengths[k])
        scaled = terms.scaled(lam)
        point = points.at(scaled) if points is not None else None
        if point is None:
            fits.start(points)
            point = fits.at(scaled, lam / before if before > 0 else 0.0)
            if points is not None:
                points.start(fits.last.w)
        found[k], rest = point
        before = lam
        if max_support is not None and len(found[k].support) > max_support:
            break
        if early_stop_deviance is not None and _explained(rest, null) >= early_stop_deviance:
            break
    done = sorted(found)
    results = [found[k] for k in done]
    return GlmPath(
        strengths[done], np.array([r.coef for r in results]), np.array([r.intercept for r in results]),
        np.array([r.gap for r in results]), results,
    )  # fmt: skip


class _Fits:
    """Points by fits, each from the answer of the one before and with the columns that the strong rule keeps."""

    def __init__(
        self, one: GlmProblem, method: str | None, options: Any, shared: dict[str, Any], null: Certificate
    ) -> None:
        self.one, self.method, self.options, self.shared, self.last = one, method, options, shared, null

    def start(self, points: GramPath | None) -> None:
        """From where another way has come."""
        if points is not None:
            w = points.w.copy()
            self.last = self.one.certificate(w, self.one.design.product(w))

    def at(self, penalty: Penalty, ratio: float) -> tuple[GlmResult, float]:
        """The fit under a penalty, which fell to `ratio` of the one before, and the loss there."""
        guess = _strong(penalty, self.last.g, ratio)
        problem = dataclasses.replace(
            self.one, penalty=penalty, w0=self.last.w, guess=guess, warm=self.last, _memory=dict(self.shared)
        )
        control = Control(self.one.max_iter)
        result = cast(GlmResult, solved(problem, self.method, _usual(problem), WHY, control, self.options))
        self.last = _certificate(problem, result)
        self.shared = {name: value for name, value in problem._memory.items() if name in SHARED}
        return result.changed(state=None), self.last.sums.value


def _usual(problem: GlmProblem) -> str:
    """The usual method of the points of a path."""
    (kind,) = problem.needs
    return USUAL[kind][0]


def _explained(loss: float, null: Certificate) -> float:
    """The share of the deviance that is explained."""
    return 1 - loss / null.sums.value if null.sums.value > 0 else 1.0


def _certificate(problem: GlmProblem, result: GlmResult) -> Certificate:
    """The full certificate of the result."""
    known = problem.known(result.state.w)
    assert known is not None  # it was recomputed for the result
    return known


def _null(problem: GlmProblem, method: str | None, options: Mapping[str, Any] | None) -> Certificate:
    """The fit without penalised coefficients."""
    terms = problem.penalty
    none, free = np.zeros(problem.design.width), ~_penalised(terms)
    if not free.any():
        return problem.certificate(problem.w0, np.zeros(problem.predictors), not problem.loss.quadratic)
    held = Separable(none, none, np.where(free, terms.low, 0), np.where(free, terms.high, 0))
    alone = dataclasses.replace(problem, penalty=held, tol=min(problem.tol, 1e-10), _memory={})
    own = method is not None and held.kind == terms.kind
    result = solved(
        alone, method if own else None, _usual(alone), WHY, Control(problem.max_iter), options if own else None
    )
    return problem.certificate(result.state.w, alone.design.product(result.state.w), not problem.loss.quadratic)


def _penalised(terms: Penalty) -> npt.NDArray[np.bool_]:
    """The coordinates with a penalty."""
    if isinstance(terms, Grouped):
        return np.asarray((terms.l1 > 0) | (terms.norms > 0)[terms.group_of])
    return np.asarray((terms.l1 > 0) | (terms.l2 > 0))


def _strengths(lams: Any, n_lams: Any, eps: Any, terms: Penalty, null: Certificate) -> Array:
    """The strengths, checked, or in geometric progression."""
    if lams is not None:
        given = real_array(lams, "lams", ndim=1)
        check_finite(given, "lams")
        if given.size == 0:
            raise ValueError("lams is empty")
        if given.min() < 0:
            index = int(given.argmin())
            raise ValueError(f"lams must be >= 0; lams[{index}] is {given[index]}")
        return given
    n_lams = integer(n_lams, "n_lams", 1, MOST)
    if not 0 < (ratio := positive(eps, "eps")) < 1:
        raise ValueError(f"eps must be between 0 and 1, not {eps!r}")
    largest = _largest(terms, null.g)
    if largest == 0:  # all strengths leave zero
        largest = 1.0
    return largest * np.geomspace(1, ratio, n_lams)


def _largest(terms: Penalty, g: Array) -> float:
    """The least strength that leaves all penalised coefficients at zero, where the loss has the gradient g."""
    if isinstance(terms, Grouped):  # 1 / t for the largest t g that the penalty's dual norm lets be
        held = _penalised(terms)
        if not held.any():
            raise ValueError("lams must be given where the penalty has no norms")
        return 1.0 / terms.kernel.limit(np.where(held, g, 0.0))
    bent = terms.l1 > 0
    if not bent.any():
        raise ValueError("lams must be given where the penalty has no l1 part")
    downhill = np.maximum(np.where(terms.high > 0, -g, 0), np.where(terms.low < 0, g, 0))
    return float(np.max(downhill[bent] / terms.l1[bent], initial=0.0))


def _strong(penalty: Penalty, g: Array, ratio: float) -> Array | None:
    """Columns that come into use if their gradients change as fast as the penalty, which fell to `ratio` of itself."""
    if ratio < 0.6:  # the rule keeps nearly all of them
        return None
    before = penalty.scaled(2 - 1 / ratio)
    return np.asarray(_penalised(penalty) & before.may_be_nonzero(-g, np.zeros_like(g)))
