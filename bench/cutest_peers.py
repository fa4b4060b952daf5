"""Solvers of nonlinear programs under one call, `solve(problem)`, all with exact first and second derivatives.

A problem is what `solvers.testing.cutest` returns. Each solver is asked for about 1e-8, by its own measure and in its
own way; some come twice, as they are and pressed harder. What it takes to bring the matrices into a solver's form is
counted with the functions: `problem.seconds`.
"""

from __future__ import annotations

import importlib
import importlib.util
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import scipy.optimize

#: Iterations that a solver may take; those that count function values alone take as many as they like.
MAX_ITER = 1000


@dataclass(frozen=True)
class Answer:
    """The point, whether the solver calls it a solution, and iterations."""

    x: Any
    success: bool
    nit: int
    #: Where the solver itself counts, and not the problem.
    calls: dict[str, int] | None = None


def _aside(problem: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, all of whose time counts as the problem's, where that is measured."""
    if not getattr(problem, "timed", True):
        return function

    def call(*arguments: Any) -> Any:
        start, before = time.process_time(), problem.seconds
        value = function(*arguments)
        problem.seconds = before + time.process_time() - start
        return value

    return call


class Ours:
    """This library."""

    package = "solvers-toolkit"
    sparse = False

    def solve(self, problem: Any) -> Answer:
        import solvers

        arguments = problem.arguments() if getattr(problem, "timed", True) else problem.arguments("compiled")
        found = solvers.minimize(**arguments, method="gala", tol=1e-8, max_iter=MAX_ITER)
        rows = {name: max(found.stats.get(f"constr_{name}", [0])) for name in ("nfev", "njev")}
        calls = {"fun": found.nfev, "gradient": found.njev, "constraints": rows["nfev"], "jacobian": rows["njev"]}
        return Answer(found.x, bool(found.success), int(found.nit), calls | {"hessian": found.nhev})


@dataclass(frozen=True)
class SciPy:
    """A method of scipy.optimize.minimize."""

    method: str
    options: dict[str, Any]
    form: str = "objects"
    package: str = "scipy"
    sparse: bool = False

    def solve(self, problem: Any) -> Answer:
        arguments = problem.arguments(self.form)
        if self.method == "COBYQA":
            arguments.pop("jac")
            arguments.pop("hess")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = scipy.optimize.minimize(**arguments, method=self.method, options=self.options)
        return Answer(found.x, bool(found.success), int(found.nit))


class Pattern:
    """Where the entries of a sparse problem's matrices are."""

    def __init__(self, problem: Any) -> None:
        y = np.ones(problem.m)
        rows, hessian = problem.jacobian(problem.x0).tocoo(), problem.hessian(problem.x0, 1.0, y).tocoo()
        self.J, lower = (rows.row, rows.col), hessian.row >= hessian.col
        self.H = hessian.row[lower], hessian.col[lower]
        self.jacobian = _aside(problem, lambda x: problem.jacobian(x).data)
        self.hessian = _aside(problem, lambda x, sigma, y: problem.hessian(x, sigma, y).data[lower])
        problem.reset()


def _pattern(problem: Any) -> Any:
    return getattr(problem, "pattern", None) or Pattern(problem)


@dataclass(frozen=True)
class Ipopt:
    """IPOPT by cyipopt, or pounce, its port to Rust, by the same interface."""

    package: str
    module: str
    options: dict[str, Any]
    sparse: bool = True

    def solve(self, problem: Any) -> Answer:
        start = time.process_time()
        pattern, asked = _pattern(problem), _Callbacks(problem)
        asked.jacobianstructure = lambda: pattern.J
        asked.hessianstructure = lambda: pattern.H
        asked.jacobian = pattern.jacobian
        asked.hessian = lambda x, y, sigma: pattern.hessian(x, sigma, y)
        problem.seconds += time.process_time() - start  # a user knows the pattern
        solver = importlib.import_module(self.module).Problem(
            n=problem.n, m=problem.m, problem_obj=asked, lb=problem.lower, ub=problem.upper, cl=problem.row_lower,
            cu=problem.row_upper,
        )  # fmt: skip
        for name, value in {"print_level": 0, "sb": "yes", "max_iter": MAX_ITER, **self.options}.items():
            solver.add_option(name, value)
        x, info = solver.solve(problem.x0)
        return Answer(x, info["status"] in (0, 1), asked.nit)


class _Callbacks:
    """What cyipopt calls."""

    jacobianstructure: Any
    hessianstructure: Any
    jacobian: Any
    hessian: Any

    def __init__(self, problem: Any) -> None:
        self.objective, self.gradient, self.constraints = problem.fun, problem.gradient, problem.constraints
        self.nit = 0

    def intermediate(self, algorithm: int, nit: int, *more: Any) -> bool:
        self.nit = nit
        return True


@dataclass(frozen=True)
class Uno:
    """Uno by unopy, with one of its presets."""

    preset: str
    tolerance: float
    package: str = "unopy"
    sparse: bool = True

    def solve(self, problem: Any) -> Answer:
        import unopy

        start = time.process_time()
        pattern = _pattern(problem)
        problem.seconds += time.process_time() - start
        model = unopy.Model(
            unopy.PROBLEM_NONLINEAR, problem.n, list(problem.lower), list(problem.upper), unopy.ZERO_BASED_INDEXING
        )
        model.set_objective(unopy.MINIMIZE, problem.fun, _into(problem, problem.gradient))
        if problem.m:
            model.set_constraints(
                problem.m, _into(problem, problem.constraints), list(problem.row_lower), list(problem.row_upper),
                len(pattern.J[0]), *map(list, pattern.J), _into(problem, pattern.jacobian),
            )  # fmt: skip
        model.set_lagrangian_hessian(
            len(pattern.H[0]), unopy.LOWER_TRIANGLE, *map(list, pattern.H), _into(problem, pattern.hessian)
        )
        model.set_lagrangian_sign_convention(unopy.MULTIPLIER_POSITIVE)
        model.set_initial_primal_iterate(list(problem.x0))
        solver = unopy.UnoSolver()
        solver.set_preset(self.preset)
        for name, value in (
            ("logger", "SILENT"), ("print_solution", False), ("max_iterations", MAX_ITER),
            ("primal_tolerance", self.tolerance), ("dual_tolerance", self.tolerance),
        ):  # fmt: skip
            solver.set_option(name, value)
        found = solver.optimize(model)
        solved = int(found.solution_status) in (unopy.FEASIBLE_KKT_POINT, unopy.FEASIBLE_FJ_POINT)
        return Answer(np.array(found.primal_solution), solved, int(found.number_iterations))


def _into(problem: Any, function: Callable[..., Any]) -> Callable[..., None]:
    """The function, its value written to the last argument."""

    def call(*arguments: Any) -> None:
        arguments[-1][:] = function(*arguments[:-1])

    return _aside(problem, call)


#: Their bounds are relaxed by 1e-8 by default, which shows at that level.
TIGHT = {"tol": 1e-10, "bound_relax_factor": 0.0, "constr_viol_tol": 1e-9, "dual_inf_tol": 1e-6}

PEERS: dict[str, Any] = {
    "ours": Ours(),
    "SLSQP": SciPy("SLSQP", {"ftol": 1e-12, "maxiter": MAX_ITER}, "dicts"),
    # with a gtol that can be met, it stops before its barrier is gone, and solves a third less
    "trust-constr": SciPy("trust-constr", {"gtol": 1e-14, "xtol": 1e-10, "barrier_tol": 1e-9, "maxiter": MAX_ITER}),
    "COBYQA": SciPy("COBYQA", {"final_tr_radius": 1e-8}),
    "IPOPT": Ipopt("cyipopt-wheels", "cyipopt", {"tol": 1e-8}),
    "IPOPT tight": Ipopt("cyipopt-wheels", "cyipopt", TIGHT),
    "Uno SQP": Uno("filtersqp", 1e-8),
    "Uno IPM": Uno("ipopt", 1e-8),
    "pounce": Ipopt("pounce-solver", "pounce", {"tol": 1e-8}),
    "pounce tight": Ipopt("pounce-solver", "pounce", TIGHT),
}


def installed(peer: Any) -> bool:
    """Whether its package is there; nothing is imported."""
    module = {
        "solvers-toolkit": "solvers", "cyipopt-wheels": "cyipopt", "pounce-solver": "pounce"
    }.get(peer.package, peer.package)  # fmt: skip
    return importlib.util.find_spec(module) is not None


def release(peer: Any) -> str:
    """Name and version of its package."""
    return f"{peer.package} {version(peer.package)}"
