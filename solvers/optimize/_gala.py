"""Newton's method on the conditions of a nonlinear program; inequalities by a primal-dual interior point.

The loop is in C (`_ext/optimize/gala.h` tells it), the linear algebra of its systems that of `_routes.py`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from .._base.iterate import Row
from .._base.method import Method, register
from .._base.options import option
from .._base.result import Status
from . import _elsewhere, _kernels, _room
from ._problem import NonlinearProblem
from ._result import MinimizeResult, of_numbers
from ._routes import ROUTES, route

Array = npt.NDArray[np.float64]

#: The verdicts of the loop, by their numbers.
ENDS = {int(status): status for status in Status}
#: A step of the loop takes iterations for so long, in seconds, unless each is asked for.
SLICE = 0.05
#: The first route gives way to that on active sets when it stagnates, finds no feasible point, or after so many. Where
#: both stagnate they are taken once more, from the best point so far.
FIRST, LAST_ROUTE, LATER_MU = _kernels.FIRST, _kernels.ROUTES - 1, _kernels.LATER_MU
#: What a first route has before it.
NOTHING = np.zeros(0, np.uint8)
NOTHING.flags.writeable = False


@dataclass(eq=False)  # not frozen, which takes as long to make as some iterations of the loop
class GalaState:
    """The point with the least measure so far, and all that the loop carries, as bytes."""

    varying: ClassVar = ("before",)
    nit: int
    #: Of the current point, in the user's units.
    measure: float
    x: Array
    core: npt.NDArray[np.uint8]
    #: The number of a `Status`; -1 while it runs.
    status: int = -1
    #: Iterations of the routes before this one, and what the best of them carried at its end; empty: this is the first.
    spent: int = 0
    before: npt.NDArray[np.uint8] = field(default_factory=lambda: NOTHING)
    #: 0: the first, 1: on active sets, 2 and 3: the same from the best point, 4: with room about the equations.
    route: int = 0
    #: Further starts so far on the rows alone; beyond `_elsewhere.STARTS`: one of them met the rows, or none is left.
    starts: int = 0


@dataclass(frozen=True)
class Gala:
    """Primal-dual interior point with a filter line search and shifts by inertia."""

    inner: str = option("auto", "linear algebra of the KKT systems", choices=ROUTES)
    precond: object | None = option(
        None, "an approximate inverse of the KKT matrix: an operator, or a function of (H, J, dx, dc) that returns one"
    )
    mu: float = option(0.1, "barrier parameter of the start", low=1e-12, high=1e10)
    push: float = option(1e-2, "how far x0 is moved inside its bounds, relative to them", low=1e-12, high=0.5)
    merit: str = option(
        "auto",
        "eal: exact augmented Lagrangian where all are equalities (auto: and H is no approximation)",
        choices=("auto", "eal", "filter"),
    )
    inequality: str = option(
        "auto",
        "auto: quadratic programs where all is small, dense and exact, then the interior point, then active sets; "
        "interior: that alone, inside the sides; active-set: those first, for starts near the answer",
        choices=("auto", "interior", "active-set"),
    )
    merit_form: str = option(
        "gradient", "what M penalises: grad L, or its projection J grad L", choices=("gradient", "projected")
    )
    window: int = option(5, "values of M that a new one is compared with; 1 for a monotone search", low=1, high=5)
    monotone: bool = option(False, "mu falls when its problem is solved, instead of by the step's own prediction")

    @property
    def _exact(self) -> int:
        """Whether the exact augmented Lagrangian serves: 1 where all are equalities, 2 on active sets, too."""
        return (2 if self.inequality == "active-set" else 1) if self.merit != "filter" else 0

    def init(self, problem: NonlinearProblem) -> GalaState:
        """The start: x0 moved inside its bounds, scales, multipliers of least squares."""
        return self._begun(problem, 0)[1]

    def _begun(self, problem: NonlinearProblem, iterations: int) -> tuple[float, GalaState]:
        """The measure of the start, and the state so many iterations on, or a slice of time."""
        if problem.begun is not None:
            return problem.begun
        nlp, _ = self._served(problem)
        # the gradient of M takes a product with the Hessian itself: an approximation's would be no derivative
        exact = 0 if nlp.carried and self.merit == "auto" and self._exact == 1 else self._exact
        begun = self._started(nlp, problem, problem.program.x0, exact, problem.multipliers, iterations)
        if begun is None:
            raise ValueError("cannot start: fun or a constraint is not finite at x0")
        measure, (core, nit, status, now, x) = begun
        return measure, GalaState(nit, now, x, core, status)

    def _started(
        self,
        nlp: _kernels.NLP,
        problem: NonlinearProblem,
        x0: Array,
        exact: int,
        offered: Any = None,
        iterations: int = 0,
        onward: bool = False,
        room: bool = False,
    ) -> tuple[float, tuple[npt.NDArray[np.uint8], int, int, float, Array]] | None:
        settings = self.settings(problem.tol, exact, self._sequential(nlp) and not room, onward)
        sides = _room.sides(problem) if room else problem.program.sides
        return _kernels.gala_init(nlp, x0, sides, settings, offered, iterations, SLICE)

    def settings(self, tol: float, exact: int, sequential: bool, onward: bool = False) -> dict[str, Any]:
        """What the loop is told (`sv_gala_options`)."""
        later = exact == 2 and self.inequality == "auto"  # on active sets after a route that failed
        mu, push = self.mu * LATER_MU if later else self.mu, 0.0 if exact == 2 else self.push
        return {
            "tol": tol, "mu": mu, "max_shift": 1e40, "push": push,
            "monotone": self.monotone, "exact": exact, "projected": self.merit_form == "projected",
            "window": self.window, "sequential": sequential, "onward": onward,
        }  # fmt: skip

    def _sequential(self, nlp: _kernels.NLP) -> bool:
        """Whether quadratic programs come first: dense ones, with Hessians that are exact."""
        return self.inequality == "auto" and isinstance(nlp, _kernels.DenseNLP) and not nlp.carried

    def all_steps(self, problem: NonlinearProblem, max_iter: int, start: float) -> tuple[GalaState, list[Row]]:
        """As `init` and the loop of steps, but that the first goes along with the start."""
        elapsed, changes = perf_counter() - start, self._may_change_route(problem)
        most = min(FIRST, max_iter) if changes else max_iter
        measure, state = self._begun(problem, 0 if problem.every else most)
        rows = [(0, measure, elapsed)] if state.nit else []
        state = self._onward(problem, self._rerouted(problem, state) if changes else state)
        while state.status == -1 and state.nit < max_iter:
            rows.append((state.nit, state.measure, perf_counter() - start))
            state = self.step(problem, state)
        return state, rows

    def step(self, problem: NonlinearProblem, state: GalaState) -> GalaState:
        """Some iterations: one where each is asked for, else as many as a slice of time allows."""
        if 0 < state.starts <= _elsewhere.STARTS:
            return self._started_elsewhere(problem, state)
        changes = self._may_change_route(problem) and not state.starts
        most = min(state.spent + self._most(state), problem.max_iter) if changes else problem.max_iter
        state = self._run(problem, state, 1 if problem.every else max(1, most - state.nit))
        return self._onward(problem, self._rerouted(problem, state) if changes else state)

    def _onward(self, problem: NonlinearProblem, state: GalaState) -> GalaState:
        """The state; running, where its rows cannot be met near x0 and other starts are to be tried on them."""
        ended = state.status == Status.LOCALLY_INFEASIBLE and not state.starts
        if not ended or state.nit >= problem.max_iter or not _elsewhere.worthwhile(problem):
            return state
        return replace(state, status=-1, starts=1, core=self._best(problem, state), before=NOTHING, spent=state.nit)

    def _started_elsewhere(self, problem: NonlinearProblem, state: GalaState) -> GalaState:
        """The next start on the rows alone: where it meets them, a solve begins there; none left: the old verdict."""
        nlp = self._served(problem)[0]
        most = _elsewhere.limit(state.spent, problem.max_iter)
        x0, steps = _elsewhere.sought(problem, nlp, state.starts, most - state.nit)
        nit = state.nit + steps
        if x0 is not None and nit < problem.max_iter:
            exact = 0 if nlp.carried and self.merit == "auto" and self._exact == 1 else self._exact
            begun = self._started(nlp, problem, x0, exact)
            if begun is not None:
                core, _, status, measure, x = begun[1]
                starts = _elsewhere.STARTS + 1
                return GalaState(nit, measure, x, core, status, nit, NOTHING, LAST_ROUTE, starts)
        over = state.starts == _elsewhere.STARTS or nit >= most
        status = int(Status.LOCALLY_INFEASIBLE) if over else -1
        return replace(state, nit=nit, status=status, starts=state.starts + 1)

    @staticmethod
    def _most(state: GalaState) -> int:
        """Iterations of a route that another one follows if it takes more."""
        return sys.maxsize if state.route % 2 else FIRST

    def _rerouted(self, problem: NonlinearProblem, state: GalaState) -> GalaState:
        """The state of a route, or the start of the next one where this is to give way."""
        nlp = self._served(problem)[0]
        if state.route > LAST_ROUTE:
            return self._without_room(problem, state)
        if not _kernels.gala_gives_up(nlp, state.core, self._most(state), problem.max_iter - state.spent):
            return state
        if state.route == 1:
            first = _kernels.gala_best(nlp, state.before)[1]
            if Status.LOCALLY_INFEASIBLE in (first, state.status):
                return replace(state, status=int(Status.LOCALLY_INFEASIBLE))
        best = self._best(problem, state)
        if state.route == LAST_ROUTE:
            return self._with_room(problem, replace(state, core=best, before=NOTHING))
        x0 = _kernels.gala_answer(nlp, best, problem.program.sides)[0][0] if state.route else problem.program.x0
        exact = self._exact if state.route == 1 else 2
        begun = self._started(nlp, problem, x0, exact, onward=state.route + 1 == LAST_ROUTE)
        if begun is None:
            return state
        core, _, status, measure, x = begun[1]
        return GalaState(state.nit, measure, x, core, status, state.nit, best, state.route + 1)

    def _with_room(self, problem: NonlinearProblem, state: GalaState) -> GalaState:
        """The last start of all, where there is one: from x0, with equations that may be missed by a part of tol."""
        nlp = self._served(problem)[0]
        if state.status != Status.STAGNATION or state.nit >= problem.max_iter or not _room.worthwhile(problem):
            return state
        begun = self._started(nlp, problem, problem.program.x0, self._exact, room=True)
        if begun is None:
            return state
        core, _, status, measure, x = begun[1]
        return GalaState(state.nit, measure, x, core, status, state.nit, state.core, LAST_ROUTE + 1)

    def _without_room(self, problem: NonlinearProblem, state: GalaState) -> GalaState:
        """The state; at its end that of the point by the sides as they are, or what was best before."""
        nlp, program = self._served(problem)[0], problem.program
        if state.status == -1 and state.nit - state.spent < FIRST:
            return state
        if state.status == Status.CONVERGED:
            x, y, z = _kernels.gala_answer(nlp, state.core, program.sides)[0]
            begun = self._started(nlp, problem, x, self._exact, (y, z), onward=True)
            if begun is not None and begun[1][2] == Status.CONVERGED:
                core, _, status, measure, x = begun[1]
                return GalaState(state.nit, measure, x, core, status, state.nit, NOTHING, state.route)
        return replace(state, core=state.before, before=NOTHING, status=int(Status.STAGNATION))

    def _best(self, problem: NonlinearProblem, state: GalaState) -> npt.NDArray[np.uint8]:
        """What the route with the best point so far carries."""
        nlp = self._served(problem)[0]
        if state.before is NOTHING:
            return state.core
        if len(state.before) and _kernels.gala_best(nlp, state.before)[0] < _kernels.gala_best(nlp, state.core)[0]:
            return state.before
        return state.core

    def _may_change_route(self, problem: NonlinearProblem) -> bool:
        if self.inequality != "auto" or self.merit == "filter" or problem.program.equalities:
            return False
        return not self._served(problem)[0].carried

    def done(self, problem: NonlinearProblem, state: GalaState) -> Status | None:
        """The loop's own verdict."""
        return ENDS.get(state.status)

    def finish(self, problem: NonlinearProblem, state: GalaState) -> MinimizeResult:
        """The point with the least measure, measured anew."""
        nlp, inner = self._served(problem)
        core = self._best(problem, state)
        result = of_numbers(problem, *_kernels.gala_answer(nlp, core, problem.program.sides), inner)
        result.stats.update(nlp.counts)
        return result

    def _run(self, problem: NonlinearProblem, state: GalaState, iterations: int) -> GalaState:
        nlp = self._served(problem)[0]
        core, nit, status, measure, x = _kernels.gala_run(nlp, state.core, iterations, SLICE)
        nit += state.spent
        return GalaState(nit, measure, x, core, status, state.spent, state.before, state.route, state.starts)

    def _served(self, problem: NonlinearProblem) -> tuple[_kernels.NLP, str]:
        """The problem's linear algebra: made once."""
        found = problem.served.get(self.inner)
        if found is None:
            found = problem.served[self.inner] = route(problem.program, self.inner, self.precond)
        return found


METHOD = register(
    Method(
        name="gala",
        family="optimize",
        summary="Newton's method for constrained programs: exact augmented Lagrangian, interior point for inequalities",
        reference="Hong, Na, Mahoney, Kolar (2023), Constrained optimization via exact augmented Lagrangian and "
        "randomized iterative sketching, ICML, arXiv 2305.18379; Waechter, Biegler (2006), On the implementation of an "
        "interior-point filter line-search algorithm for large-scale nonlinear programming, Math. Program. 106",
        solver=Gala,
        capabilities=frozenset({"equality-program", "nonlinear-program"}),
    )
)
