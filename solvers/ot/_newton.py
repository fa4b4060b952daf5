"""The default solver: annealed truncated Newton on the semi-dual, with a kernel-domain path for easy problems.

With the row potentials eliminated (each row of the plan sums to a_i) the dual is a concave function S of the column
potentials alone, of gradient b - c and Hessian -(diag(c) - P' diag(1/a) P) / reg, where c are the column sums. One
pass over the cost, a sweep, gives the row potentials, c and the large entries of P: all that a Newton step needs.

1. *Easy problems* (costs spanning at most EASY_SPAN times reg): the plan is stored, after a few sweeps in the log
   domain or, up to GENTLE_SPAN, at once; then only its rows and columns are scaled, at a third of a sweep's cost an
   iteration. The iterations are extrapolated from the last ones; where their rate says that they would need long,
   Newton steps on the scalings follow, solved with the stored plan.
2. *All others*: the regularisation falls by stages from the span of the costs, each stage solved roughly from the
   potentials of the one before, the last to the tolerance. A stage takes a few sweeps and then Newton steps on the
   thinned plan: entries too small to matter leave the matrix, but stay in its diagonal, so that it remains diagonally
   dominant and what was dropped only damps the step. Conjugate gradients solve the system, with the diagonal as
   preconditioner while that suffices, else with an approximate Cholesky factor (see _ext/ot/elimination.c).
3. A step is damped by a multiple of the weights, which rises when a full step is refused or would move exponents by
   more than LARGEST_MOVE, and falls otherwise. Where the whole step is taken and the slope has hardly fallen, it is
   lengthened: parts of the plan that have lost touch must travel far before they meet again.
4. From a warm start near the answer the first sweep keeps all entries that count for the tolerance; Newton steps go on
   these alone, with a bound of what the others may do meanwhile (see _ext/ot/newton_large.c).

Related: Tang et al. (2024), arXiv 2401.12253 (thinned Newton matrices); Cuturi and Peyre (2016), arXiv 1503.02533
(the semi-dual); Schmitzer (2019), arXiv 1610.06519 (annealing, absorption); Kyng and Sachdeva (2016), arXiv 1605.02353.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy.typing as npt

from .._base.iterate import Row
from .._base.method import Method, register
from .._base.options import option
from .._base.result import Status
from .._base.state import replace
from . import _kernels
from ._problem import TransportProblem, TransportResult

Array = npt.NDArray[Any]

#: What the result counts.
COUNTS = ("sinkhorn", "newton", "cg", "scalings", "passes")

#: Costs that span at most so many times reg are tried without annealing.
EASY_SPAN = _kernels.EASY_SPAN
#: Entries that a stored plan may have.
MOST_STORED = _kernels.MOST_STORED
#: As many steps as no solve takes.
NO_END = 2**62
#: Scalings beyond this power of two are absorbed into the potentials.
ABSORBED = _kernels.ABSORBED


@dataclass(frozen=True, eq=False)
class NewtonState:
    """Potentials in base 2 of the final regularisation, with the rows met, and the column sums of the present stage."""

    u: Array
    v: Array
    column_sums: Array
    nit: int
    #: The marginal error at the present stage.
    measure: float
    #: Before the last iteration.
    previous: float
    best: float
    best_nit: int
    #: Regularisation of the present stage over the final one, and sweeps still to do before its Newton steps.
    stage: float
    sweeps_left: int
    damping: float
    #: Whether the factor is worth making at once.
    hard: bool
    sinkhorn: int
    newton: int
    cg: int
    #: Reads of a stored plan, and passes over the cost.
    scalings: int
    passes: int
    #: The large entries of the plan, in compressed rows; empty where they are not known.
    kept_starts: Array
    kept_columns: Array
    kept_values: Array
    #: Scalings x, y of the plan at (stored_u, stored_v), which the problem keeps in memory; empty in the log domain.
    x: Array
    y: Array
    stored_u: Array
    stored_v: Array

    #: These have no fixed shape.
    varying: ClassVar = ("kept_starts", "kept_columns", "kept_values", "x", "y", "stored_u", "stored_v")


@dataclass(frozen=True)
class Newton:
    """Annealed semi-dual Newton; see the module's text. Its driver is compiled: _ext/ot/newton.c."""

    decay: float = option(4.0, "factor by which reg falls from stage to stage", low=1.5, high=100.0)
    stage_tol: float = option(0.03, "l1 marginal error that ends a stage, as a share of the mass", low=1e-9, high=1.0)
    stage_sweeps: int = option(2, "Sinkhorn sweeps at most before a stage's first Newton step", low=1, unit="sweeps")

    def init(self, problem: TransportProblem) -> NewtonState:
        driver = self._driver(problem)
        state = NewtonState(**driver.start(problem.u0, problem.v0))
        problem.keep(self, driver)
        return state

    def all_steps(self, problem: TransportProblem, max_iter: int, start: float) -> tuple[NewtonState, list[Row]]:
        """The first state and all steps, in one call: no state between is copied."""
        fields, rows = self._driver(problem).advance(problem.u0, problem.v0, min(max_iter, NO_END), start)
        return NewtonState(**fields), rows

    def step(self, problem: TransportProblem, state: NewtonState) -> NewtonState:
        # Taken out of the problem for the step: no two threads use one driver.
        driver = problem.kept(self) or self._driver(problem)
        following = NewtonState(**driver.step(state))
        problem.keep(self, driver)
        return following

    def done(self, problem: TransportProblem, state: NewtonState) -> Status | None:
        code = problem.compiled.done(state.stage, state.measure, state.nit - state.best_nit)
        return None if code < 0 else Status(code)  # type: ignore[call-arg]

    def finish(self, problem: TransportProblem, state: NewtonState) -> TransportResult:
        if state.stage > 1:  # stopped on the way: the rows are met at the final regularisation all the same
            u, column_sums = problem.sweep(state.u, state.v)
            state = replace(state, u=u, column_sums=column_sums)
        problem.forget()
        return problem.certify(state, {name: getattr(state, name) for name in COUNTS})

    def _driver(self, problem: TransportProblem) -> _kernels.Newton:
        """A driver of this solve: it remembers the stored plan from step to step, and nothing else."""
        cost = problem.cost
        return _kernels.Newton(
            problem.compiled, decay=self.decay, stage_tol=self.stage_tol, stage_sweeps=self.stage_sweeps,
            most_stored=MOST_STORED, absorbed=ABSORBED,
            gentle=cost.capability != "block-cost",  # costs made by a function have no known least value
            least=cost.row_minima() if cost.capability == "dense-cost" and cost.offset is None else None,
        )  # fmt: skip


METHOD = register(
    Method(
        name="newton",
        family="ot",
        summary="annealed truncated Newton on the semi-dual with the plan thinned; Sinkhorn on a stored plan if easy",
        reference="after Tang et al. (2024), arXiv 2401.12253; Schmitzer (2019), arXiv 1610.06519; Kyng and Sachdeva "
        "(2016), arXiv 1605.02353",
        solver=Newton,
        capabilities=frozenset({"dense-cost", "point-cloud", "block-cost", "sharded"}),
    )
)
