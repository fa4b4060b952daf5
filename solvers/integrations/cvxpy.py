"""CVXPY's linear programs, solved by `solvers.equilibrium.lp`.

    import cvxpy as cp
    from solvers.integrations.cvxpy import Solvers

    problem.solve(solver=Solvers())
    problem.solve(solver=Solvers(method="lp-pdhg", tol=1e-8), time_limit=60)

CVXPY gives ``A x + s = b`` with s zero in the first rows and not negative in the others, and bounds of variables as
they are. Keywords of `Solvers` and of `solve` are those of `lp`; CVXPY takes `method` for itself. Problems with other
cones, quadratic objectives or integer variables are refused by CVXPY before anything runs. Where the tolerance is not
met CVXPY reports "optimal_inaccurate"; the result is in ``problem.solver_stats.extra_stats``.
"""

from __future__ import annotations

from typing import Any

import cvxpy.settings as words
import numpy as np
from cvxpy.reductions.solution import Solution, failure_solution
from cvxpy.reductions.solvers import utilities
from cvxpy.reductions.solvers.conic_solvers.conic_solver import ConicSolver

from .._base.result import Status
from ..equilibrium import LpResult, lp

__all__ = ["Solvers"]

VERDICTS = {Status.CONVERGED: words.OPTIMAL, Status.INFEASIBLE: words.INFEASIBLE, Status.UNBOUNDED: words.UNBOUNDED}


class Solvers(ConicSolver):
    """A solver of linear programs for ``cvxpy.Problem.solve(solver=...)``."""

    BOUNDED_VARIABLES = True

    def __init__(self, **keywords: Any):
        super().__init__()
        self.keywords = keywords

    def name(self) -> str:
        """How CVXPY calls it."""
        return "SOLVERS"

    def import_solver(self) -> None:
        """It is there, since this module is."""

    def cite(self, data: Any) -> str:
        """The method's reference."""
        return "Lu & Yang (2024), Restarted Halpern PDHG for linear programming, arXiv 2407.16144"

    def solve_via_data(
        self,
        data: dict[str, Any],
        warm_start: bool,
        verbose: bool,
        solver_opts: dict[str, Any],
        solver_cache: Any = None,
    ) -> LpResult:
        """The result of the program that CVXPY has made."""
        high = np.asarray(data[words.B], dtype=np.float64).ravel()
        equal = np.arange(len(high)) < data[self.DIMS].zero
        low, bounds = np.where(equal, high, -np.inf), (data.get(words.LOWER_BOUNDS), data.get(words.UPPER_BOUNDS))
        lb, ub = (side if bound is None else bound for bound, side in zip(bounds, (-np.inf, np.inf), strict=True))
        return lp(
            data[words.C], data[words.A], low, high, lb, ub, verbose=int(verbose), **{**self.keywords, **solver_opts}
        )

    def invert(self, solution: LpResult, inverse_data: dict[str, Any]) -> Solution:
        """CVXPY's solution."""
        attributes = {words.NUM_ITERS: solution.nit, words.EXTRA_STATS: solution}
        attributes[words.SOLVE_TIME] = solution.stats["seconds"]
        verdict = VERDICTS.get(solution.status, words.OPTIMAL_INACCURATE)
        if verdict not in words.SOLUTION_PRESENT:
            return failure_solution(verdict, attributes)
        equal = inverse_data[self.DIMS].zero
        duals: dict[int, Any] = {}
        for y, constraints in ((solution.y[:equal], self.EQ_CONSTR), (solution.y[equal:], self.NEQ_CONSTR)):
            duals.update(utilities.get_dual_values(-y, utilities.extract_dual_value, inverse_data[constraints]))
        point = {inverse_data[self.VAR_ID]: solution.x}
        return Solution(verdict, solution.fun + inverse_data[words.OFFSET], point, duals, attributes)
