"""Solvers of games and linear programs under one call, `solve(program, method, tolerance)`: x and multipliers of rows.

A game is given to the solvers of programs as `min v, A x - v <= 0, sum x = 1, x >= 0`: the multipliers of its first
rows are the other player's strategy.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.optimize
import scipy.sparse

import solvers

from .halpern_problems import Program

Array = npt.NDArray[Any]
Answer = tuple[Any, Any]


def as_program(A: Array) -> Program:
    """The program of the player that minimises."""
    m, n = A.shape
    body = scipy.sparse.hstack([scipy.sparse.csr_array(A), np.full((m, 1), -1.0)])
    rows = scipy.sparse.csr_array(scipy.sparse.vstack([body, np.append(np.ones(n), 0.0)[None]]))
    low, high = np.append(np.full(m, -np.inf), 1.0), np.append(np.zeros(m), 1.0)
    lower = np.append(np.zeros(n), -np.inf)
    return Program(np.append(np.zeros(n), 1.0), rows, low, high, lower, np.full(n + 1, np.inf))


class Ours:
    """This library. Methods: "" for the default."""

    package = "solvers-toolkit"
    methods = ("",)

    def solve(self, program: Program, method: str, tolerance: float) -> Answer:
        result = solvers.equilibrium.lp(
            program.c, program.A, program.low, program.high, program.lower, program.upper, tol=tolerance,
            method=method or None, threads=1,
        )  # fmt: skip
        return result.x, result.y

    def play(self, A: Array, method: str, tolerance: float) -> Answer:
        result = solvers.equilibrium.matrix_game(A, tol=tolerance, method=method or None, threads=1)
        return result.x, result.y


class Peer:
    """A solver of programs alone."""

    package = ""
    methods: tuple[str, ...] = ("",)

    def solve(self, program: Program, method: str, tolerance: float) -> Answer:
        raise NotImplementedError

    def play(self, A: Array, method: str, tolerance: float) -> Answer:
        x, y = self.solve(as_program(A), method, tolerance)
        return x[:-1], -np.asarray(y)[:-1]


class Highs(Peer):
    """HiGHS by highspy."""

    package = "highspy"
    methods = ("simplex", "ipm", "pdlp")

    def solve(self, program: Program, method: str, tolerance: float) -> Answer:
        import highspy

        model = highspy.HighsLp()
        columns = program.A.tocsc()
        model.num_row_, model.num_col_ = program.A.shape
        model.col_cost_, model.col_lower_, model.col_upper_ = program.c, program.lower, program.upper
        model.row_lower_, model.row_upper_ = program.low, program.high
        model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        model.a_matrix_.start_, model.a_matrix_.index_ = columns.indptr, columns.indices
        model.a_matrix_.value_ = columns.data
        highs = highspy.Highs()
        highs.setOptionValue("output_flag", False)
        highs.setOptionValue("threads", 1)
        highs.setOptionValue("solver", method)
        if method == "ipm":
            highs.setOptionValue("run_crossover", "off")
        for name in ("primal_feasibility_tolerance", "dual_feasibility_tolerance"):
            highs.setOptionValue(name, max(tolerance, 1e-10))
        highs.setOptionValue("ipm_optimality_tolerance", max(tolerance, 1e-12))
        highs.setOptionValue("pdlp_optimality_tolerance", max(tolerance, 1e-12))
        highs.passModel(model)
        highs.run()
        found = highs.getSolution()
        return np.array(found.col_value), np.array(found.row_dual)


class OrTools(Peer):
    """PDLP of OR-tools; "glop" lets its presolve go first."""

    package = "ortools"
    methods = ("", "glop")

    def solve(self, program: Program, method: str, tolerance: float) -> Answer:
        from ortools.pdlp import solvers_pb2
        from ortools.pdlp.python import pdlp

        model = pdlp.QuadraticProgram()
        model.resize_and_initialize(len(program.c), len(program.low))
        model.objective_vector = program.c
        model.constraint_matrix = program.A.tocsc()
        model.constraint_lower_bounds, model.constraint_upper_bounds = program.low, program.high
        model.variable_lower_bounds, model.variable_upper_bounds = program.lower, program.upper
        wanted = solvers_pb2.PrimalDualHybridGradientParams()
        stop = wanted.termination_criteria.simple_optimality_criteria
        stop.eps_optimal_relative, stop.eps_optimal_absolute = tolerance, tolerance
        wanted.num_threads, wanted.presolve_options.use_glop = 1, method == "glop"
        found = pdlp.primal_dual_hybrid_gradient(model, wanted)
        return found.primal_solution, found.dual_solution


class Scs(Peer):
    """SCS on its conic form: rows with two different bounds go in twice."""

    package = "scs"

    def solve(self, program: Program, method: str, tolerance: float) -> Answer:
        import scs

        n = len(program.c)
        rows = scipy.sparse.csr_array(scipy.sparse.vstack([program.A, scipy.sparse.eye_array(n)]))
        low, high = np.append(program.low, program.lower), np.append(program.high, program.upper)
        equal = low == high
        above, below = ~equal & np.isfinite(high), ~equal & np.isfinite(low)
        A = scipy.sparse.csc_array(scipy.sparse.vstack([rows[equal], rows[above], -rows[below]]))
        b = np.concatenate([high[equal], high[above], -low[below]])
        cone = {"z": int(equal.sum()), "l": int(above.sum() + below.sum())}
        solver = scs.SCS(
            {"A": scipy.sparse.csc_matrix(A), "b": b, "c": program.c}, cone, verbose=False, max_iters=10**7,
            eps_abs=tolerance, eps_rel=tolerance,
        )  # fmt: skip
        found = solver.solve()
        y = np.zeros(len(low))
        first, second = cone["z"], cone["z"] + int(above.sum())
        y[equal] = -found["y"][:first]
        y[above] -= found["y"][first:second]
        y[below] += found["y"][second:]
        return found["x"], y[: len(program.low)]


class SciPy(Peer):
    """scipy.optimize.linprog on rows of two kinds; HiGHS behind it."""

    package = "scipy"
    methods = ("highs-ds", "highs-ipm")

    def solve(self, program: Program, method: str, tolerance: float) -> Answer:
        equal = program.low == program.high
        above, below = ~equal & np.isfinite(program.high), ~equal & np.isfinite(program.low)
        found = scipy.optimize.linprog(
            program.c, scipy.sparse.vstack([program.A[above], -program.A[below]]),
            np.concatenate([program.high[above], -program.low[below]]), program.A[equal], program.high[equal],
            np.column_stack([program.lower, program.upper]), method=method,
            options={"primal_feasibility_tolerance": max(tolerance, 1e-10),
                     "dual_feasibility_tolerance": max(tolerance, 1e-10)},
        )  # fmt: skip
        y = np.zeros(len(program.low))
        y[equal] = found.eqlin.marginals
        y[above] = found.ineqlin.marginals[: above.sum()]
        y[below] -= found.ineqlin.marginals[above.sum() :]
        return found.x, y


PEERS: dict[str, Callable[[], Any]] = {
    "ours": Ours, "highspy": Highs, "ortools": OrTools, "scs": Scs, "scipy": SciPy,
}  # fmt: skip


def installed(peer: Callable[[], Any]) -> bool:
    """Whether its package is there; nothing is imported: some of them cannot live in one process."""
    name = {"solvers-toolkit": "solvers"}.get(peer().package, peer().package)
    return importlib.util.find_spec(name) is not None


def versions() -> list[str]:
    """Names and versions of the installed peers."""
    found = [peer().package for name, peer in PEERS.items() if name != "ours" and installed(peer)]
    return [f"{name} {version(name)}" for name in found]
