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

#: Steps that no fit takes, and the kernels can count.
ENDLESS = 2**62

#: The state's arrays and numbers as the kernels take them.
ARRAYS = ("w", "z", "v", "g", "alive", "working")
NUMBERS = (
    "primal", "dual", "kkt", "measure", "floor", "nit", "idle", "crawls", "newtons", "grams", "sweeps", "products",
    "ended",
)  # fmt: skip


@dataclass(frozen=True, eq=False, kw_only=True)
class DescentState(FitState):
    """Where the fit is."""

    #: The loss's derivative in X w.
    v: Array
    #: Whether coordinates may be nonzero at the optimum, and whether they are worked on.
    alive: Array
    working: Array
    #: The least curvature of a sample in a model, as a share of the largest.
    floor: float = 0.0
    #: Whether sweeps were given up for a Gram matrix; what was done.
    crawls: int = 0
    newtons: int = 0
    grams: int = 0
    sweeps: int = 0
    products: int = 0
    #: The number of the status that ends the fit here, -1 to go on.
    ended: int = -1


@dataclass(frozen=True)
class CoordinateDescent:
    """Coordinate descent on working sets."""

    first: int = option(0, "columns that join at first; 0: 128, of losses not quadratic 12", low=0, high=2**31 - 1)
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
        return state_of(*self._fit(problem).begin(problem.w0, _guess(problem)))

    def step(self, problem: GlmProblem, state: DescentState) -> DescentState:
        arrays = tuple([array.copy() for array in _arrays(state)])
        return state_of(arrays, self._fit(problem).step(arrays, _numbers(state)))

    def all_steps(self, problem: GlmProblem, max_iter: int, start: float) -> tuple[DescentState, list[Row]]:
        """The first state and all steps, in one call."""
        arrays, numbers, rows = self._fit(problem).advance(problem.w0, _guess(problem), min(max_iter, ENDLESS), start)
        return state_of(arrays, numbers), rows

    def done(self, problem: GlmProblem, state: DescentState) -> Status | None:
        return None if state.ended < 0 else Status(state.ended)  # type: ignore[call-arg]

    def finish(self, problem: GlmProblem, state: DescentState) -> GlmResult:
        fit, w = self._fit(problem), state.w
        z, v, g = np.empty(len(state.z)), np.empty(len(state.z)), np.empty(len(w))
        sums, (primal, dual, kkt, share) = fit.bound(w, z, v, g)
        problem.remember(
            made(
                Certificate, w=w, z=z, v=v, D=None, g=g, sums=Sums(*sums), primal=primal, dual=dual, kkt=kkt,
                share=share, slack=None, alive=None,
            )
        )  # fmt: skip
        working, alive = int(np.count_nonzero(state.working)), int(np.count_nonzero(state.alive))
        stats = counts_of(state, working, len(w) - alive)
        return problem.certified(w, state.nit, stats, fit.measure(primal, dual))


def _guess(problem: GlmProblem) -> Array | None:
    """Which columns are likely to be in use, as the kernels take it."""
    return None if problem.guess is None else problem.guess.astype(np.uint8)


def counts_of(state: DescentState, working: int, screened: int) -> dict[str, int]:
    """What was done, for the result's stats."""
    return {
        "newton_steps": state.newtons, "grams": state.grams, "sweeps": state.sweeps, "products": state.products,
        "working_set": working, "screened": screened,
    }  # fmt: skip


def state_of(arrays: tuple[Array, ...], numbers: tuple[float, ...]) -> DescentState:
    """Of what the kernels return."""
    state = object.__new__(DescentState)
    state.__dict__.update(zip(NAMES, arrays + numbers, strict=True))
    return state


NAMES = ARRAYS + NUMBERS
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
