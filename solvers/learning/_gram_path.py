"""A path of least squares on few columns: one Gram matrix of all, and one factor that lives from point to point.

From one strength to the next a handful of coordinates come or go. The quadratic of all columns is kept with the factor
on its face (quadratic.c), so that a point costs what these changes do, |S|^2 each, and the two products with X that its
certificate is made of. The gradient that a point starts from is that of the certificate before: the rounding of one
point does not reach the next.
"""

from __future__ import annotations

import time
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from .._base import threads
from .._base.iterate import Row
from .._base.method import Method
from .._base.result import Status
from . import _kernels
from ._design import Matrix
from ._models import PHASES, kept_gram, tolerance
from ._penalty import Separable
from ._problem import GlmProblem, GlmResult, Kind

Array = npt.NDArray[Any]

#: Columns at most: the matrix and its factor stay in the caches that a core has of its own, or near it.
MOST_COLUMNS = 1000

#: Rounds of a point, each with the gradient computed from the data anew.
ROUNDS = 3


def pays(problem: GlmProblem, points: int, memory: float) -> bool:
    """Whether the Gram matrix of all columns costs less than the passes over the data that the points take anyway."""
    design, width = problem.design, problem.design.width
    serves = problem.penalty.kind == "glm" and problem.loss.quadratic and design.X.dtype == np.float64
    if not serves or not 0 < width <= MOST_COLUMNS or 8.0 * width * width > memory:
        return False
    entries = float(design.X.nnz) if hasattr(design.X, "nnz") else float(design.X.size)
    return bool(design.costs(np.arange(width))[0] <= points * entries)


class GramPath:
    """The points of a path, one after the other, after a `start`; `why` tells why the method was chosen."""

    def __init__(self, problem: GlmProblem, method: Method, why: str) -> None:
        design = cast(Matrix, problem.design)
        self.problem, self.why, self.name = problem, why, method.name
        self.H = kept_gram(problem).of(np.arange(design.width))
        columns, norms = design.columns_and_norms
        terms, loss = problem.terms, problem.loss
        self.passes = _kernels.Descent(
            columns, design.ones, loss.terms, terms, norms, problem.tol, 0, False, problem.threads
        )
        self.w, self.g = np.zeros(design.width), np.zeros(design.width)
        self.z, self.v = np.empty(design.n), np.empty(design.n)
        self._fresh = True
        self.options = {option.name: option.default for option in method.options}
        self.stats: dict[str, Any] = {"hessians": 0, "working_set": design.width, "screened": 0}
        self.stats |= {**problem.stats, "isa": threads.build_info()["isa"]}
        self._kept: _kernels.Quadratic | None = None

    def start(self, w: Array) -> None:
        """The next point starts from w, which may be its answer already."""
        self._fresh = True
        self.w[:] = w
        self.passes.bound(self.w, self.z, self.v, self.g)

    def at(self, penalty: Separable) -> tuple[GlmResult, float] | None:
        """The fit under a penalty, and the loss there; None, and where it started, if it needs more than this has."""
        begun, before, terms = time.perf_counter(), self.w.copy(), penalty.terms()
        begins, self._fresh = int(not self._fresh), False  # the number of the first step: there may be none to take
        kind = Kind(*terms.kind(self.problem.design.d))
        self.passes.penalise(terms)
        kkt = terms.measure(self.w, self.g)[1]
        rows: list[Row] = []
        # At the first strength nothing needs to be done: zero stays zero to the last bit.
        while len(rows) <= ROUNDS and (not (rows or begins) or self._minimised(penalty, kind, kkt)):
            sums, (primal, dual, kkt, _) = self.passes.bound(self.w, self.z, self.v, self.g)
            rows.append((len(rows) + begins, self.passes.measure(primal, dual), time.perf_counter() - begun))
            if rows[-1][1] <= self.problem.tol:
                return self._result(primal, primal - dual, kkt, rows), sums[0]
        self.start(before)
        return None

    def _minimised(self, penalty: Separable, kind: Kind, kkt: float) -> bool:
        """self.w = the minimiser by the Gram matrix, from the gradient at hand; whether there is one."""
        tol = tolerance(kind, self.g, kkt)
        if kind.has_l2:  # which change the matrix from point to point
            self.g += penalty.l2 * self.w
            H = self.H + np.diag(penalty.l2)
            model = _kernels.Quadratic(H, penalty.l1, penalty.low, penalty.high, self.w, self.g)
        elif self._kept is None:
            model = _kernels.Quadratic(self.H, penalty.l1, penalty.low, penalty.high, self.w, self.g)
            self._kept = model
        else:
            model = self._kept
            model.weigh(penalty.l1)
        return model.minimise(tol, PHASES) < np.inf

    def _result(self, fun: float, gap: float, kkt: float, rows: list[Row]) -> GlmResult:
        coef, intercept = self.problem.split(self.w)
        nit, measure, seconds = (np.array(column) for column in zip(*rows, strict=True))
        status = Status.CONVERGED
        return GlmResult(
            x=coef, coef=coef, intercept=intercept, fun=fun, gap=max(gap, 0.0), kkt=kkt, support=coef.nonzero()[0],
            measure=rows[-1][1], success=True, status=status, message=f"{status.sentence} {self.why}".strip(),
            nit=rows[-1][0], method=self.name, options=self.options,
            stats={"newton_steps": rows[-1][0], **self.stats, "seconds": rows[-1][2]},
            history={"nit": nit, "measure": measure, "seconds": seconds},
        )  # fmt: skip
