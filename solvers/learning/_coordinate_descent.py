"""Coordinate descent on working sets, wholly in C and without BLAS: the same steps as `sv_glm_fit` of the C interface.

The method and what it departs from: _ext/learning/coordinate_descent.c. Here is no arithmetic: a step copies the
state's arrays and lets C change the copies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from .._base.iterate import Row
from .._base.method import Method, register
from .._base.options import option
from .._base.result import Status
from .._base.state import made
from . import _kernels
from ._design import Matrix
from ._losses import Sums
from ._problem import Certificate, FitState, GlmProblem, GlmResult

Array = npt.NDArray[Any]

#: The state's arrays and numbers as the kernels take them.
ARRAYS = ("w", "z", "v", "g", "alive", "working")
NUMBERS = (
    "primal", "dual", "kkt", "measure", "nit", "idle", "crawls", "newtons", "grams", "sweeps", "products",
)  # fmt: skip


@dataclass(frozen=True, eq=False, kw_only=True)
class DescentState(FitState):
    """Where the fit is."""

    #: The loss's derivative in X w.
    v: Array
    #: Whether coordinates may be nonzero at the optimum, and whether they are worked on.
    alive: Array
    working: Array
    #: Whether sweeps were given up for a Gram matrix; what was done.
    crawls: int = 0
    newtons: int = 0
    grams: int = 0
    sweeps: int = 0
    products: int = 0


@dataclass(frozen=True)
class CoordinateDescent:
    """Coordinate descent on working sets."""

    first: int = option(0, "columns that join the working set at first; 0: a hundred", low=0, high=2**31 - 1)
    screening: str = option("gap-safe", "what drops columns that are zero at the optimum", choices=("gap-safe", "none"))

    def _fit(self, problem: GlmProblem) -> _kernels.Descent:
        """The kernels' view of the problem, made once."""
        memory, key = problem._memory, f"coordinate-descent {self.first} {self.screening}"
        if key not in memory:
            design = cast(Matrix, problem.design)
            columns, norms = design.columns_and_norms
            memory[key] = _kernels.Descent(
                columns, design.ones, problem.loss.terms, problem.terms, norms, problem.tol, self.first,
                self.screening == "gap-safe", problem.threads,
            )  # fmt: skip
        return cast(_kernels.Descent, memory[key])

    def init(self, problem: GlmProblem) -> DescentState:
        width, n = problem.design.width, problem.design.n
        arrays = (
            problem.w0.copy(), np.empty(n), np.empty(n), np.empty(width), np.empty(width, np.uint8),
            np.empty(width, np.uint8),
        )  # fmt: skip
        guess = None if problem.guess is None else problem.guess.astype(np.uint8)
        return _state(arrays, self._fit(problem).begin(arrays, guess))

    def step(self, problem: GlmProblem, state: DescentState) -> DescentState:
        arrays = _copies(state)
        return _state(arrays, self._fit(problem).step(arrays, _numbers(state)))

    def all_steps(
        self, problem: GlmProblem, state: DescentState, max_iter: int, start: float
    ) -> tuple[DescentState, list[Row]]:
        """All steps in one call."""
        arrays = _copies(state)
        numbers, rows = self._fit(problem).advance(arrays, _numbers(state), max_iter, start)
        return _state(arrays, numbers), rows

    def done(self, problem: GlmProblem, state: DescentState) -> Status | None:
        reached = self._fit(problem).reached(_arrays(state), _numbers(state))
        return None if reached < 0 else Status(reached)  # type: ignore[call-arg]

    def finish(self, problem: GlmProblem, state: DescentState) -> GlmResult:
        fit, w = self._fit(problem), state.w
        z, v, g = np.empty_like(state.z), np.empty_like(state.v), np.empty_like(state.g)
        sums, (primal, dual, kkt, share) = fit.bound(w, z, v, g)
        problem.remember(Certificate(w, z, v, None, g, Sums(*sums), primal, dual, kkt, share, None))
        stats = {
            "newton_steps": state.newtons, "grams": state.grams, "sweeps": state.sweeps, "products": state.products,
            "working_set": int(np.count_nonzero(state.working)),
            "screened": len(w) - int(np.count_nonzero(state.alive)),
        }  # fmt: skip
        return problem.certified(
            w, state.dual, stats, fit.measure(primal, max(dual, state.dual), kkt), success=False,
            status=Status.MAX_ITER, message="", nit=state.nit,
        )  # fmt: skip


def _state(arrays: tuple[Array, ...], numbers: tuple[float, ...]) -> DescentState:
    return made(DescentState, **dict(zip(ARRAYS, arrays, strict=True)), **dict(zip(NUMBERS, numbers, strict=True)))


def _copies(state: DescentState) -> tuple[Array, ...]:
    return tuple([array.copy() for array in _arrays(state)])


_arrays: Callable[[DescentState], tuple[Array, ...]] = attrgetter(*ARRAYS)
_numbers: Callable[[DescentState], tuple[float, ...]] = attrgetter(*NUMBERS)


METHOD = register(
    Method(
        name="coordinate-descent",
        family="learning",
        summary="coordinate descent and conjugate gradients on working sets, wholly in C, without BLAS",
        reference="Massias, Gramfort, Salmon (2018), Celer: a fast solver for the lasso with dual extrapolation, "
        "arXiv 1802.07481",
        solver=CoordinateDescent,
        capabilities=frozenset({"glm"}),
    )
)
