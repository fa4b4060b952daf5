"""Optimal control of elliptic equations on grids: KKT systems of up to 786,432 unknowns.

The paper's linear-quadratic problem (one step of Newton's method solves it), and a semilinear one with and without
bounds on the control. Every answer is judged by its reduced gradient: the adjoint equation, solved by SuperLU, gives
the multipliers that belong to the state, whatever a solver returns.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.optimize
import scipy.sparse as sp
from scipy.sparse.linalg import splu

import solvers
from solvers.demo.control import Control
from solvers.optimize import _krylov, _sparse
from solvers.optimize._sparse import SparseKKT

from . import harness
from .harness import ratio
from .report import Lines, Report, Target

Array = npt.NDArray[Any]

TOL = 1e-8
#: Objectives of the paper's problem by IPOPT (from 16 on) and SLSQP.
KNOWN = {8: 74.09302233, 12: 169.1240033, 16: 301.8003650, 32: 1177.821299, 64: 4067.773712, 128: 9538.720153}
GOALS = {"fast Poisson": 20.0, "auto": 3.0}
#: The largest grids that SciPy's methods are given.
LARGEST = {"trust-constr": 32, "SLSQP": 12}

MEMORY = """
import json, resource, sys, time
import solvers
from solvers.demo.control import Control
c = Control(int(sys.argv[1]))
options = {"inner": "projected-cg", "precond": c.fast_poisson} if sys.argv[2] == "fast Poisson" else {}
start = time.perf_counter()
r = solvers.minimize(c.fun, c.x0, **c.arguments(), tol=1e-8, options=options, threads=1)
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([seconds, peak * 1024, r.success, r.measure, r.fun]))
"""


def report(quick: bool = False) -> Report:
    """A row a grid and problem."""
    harness.keep_freed_memory()
    result = Report("pde-control", "Control of elliptic equations")
    curves = Lines("times", "Seconds to 1e-8", ("points a line", "seconds"))
    result.curves.append(curves)
    ipopt = harness.peer("cyipopt")
    with harness.threads(1):
        linear = _linear(result, curves, (3, 8, 16) if quick else (3, 12, 16, 32, 64, 128, 256), ipopt, quick)
        _semilinear(result, curves, (16,) if quick else (32, 64, 128, 256), ipopt, quick)
        _factors(result, Control(32 if quick else 256), 3 if quick else 7)
        _largest(result, 32 if quick else 512)
    for name, goal in GOALS.items():
        result.targets.insert(0, Target(f"IPOPT / ours ({name}), linear, N=256", ">=", goal, linear.get(name)))
    result.notes.append(
        "'fast Poisson' is inner='projected-cg' with `Control.fast_poisson` as options['precond'], 'auto' the linear "
        "algebra that is chosen by itself: sparse factors, and dense ones below N=9. A reduced gradient is that of the "
        "objective on the surface of the equation, projected onto the bounds of the control; violation is the largest "
        "residual of the equation."
    )
    result.header = harness.versions("cyipopt")
    return result


def _calls(problem: Control, ipopt: Any) -> dict[str, Callable[[], Any]]:
    calls: dict[str, Callable[[], Any]] = {"auto": partial(_ours, problem, {})}
    if not problem.semilinear:
        options = {"inner": "projected-cg", "precond": problem.fast_poisson}
        calls["fast Poisson"] = partial(_ours, problem, options)
    if ipopt is not None:
        calls["IPOPT"] = partial(_ipopt, ipopt, problem)
    for method, largest in LARGEST.items():
        if largest >= problem.N:
            calls[method] = partial(_scipy, problem, method)
    return calls


def _ours(problem: Control, options: dict[str, Any]) -> Array:
    found = solvers.minimize(
        problem.fun, problem.x0, **problem.arguments(), method="gala", tol=TOL, options=options, threads=1
    )
    assert found.success
    return np.asarray(found.x)


def _scipy(problem: Control, method: str) -> Array:
    arguments = problem.arguments()
    if method == "SLSQP":
        arguments.pop("hess")
        arguments["constraints"] = {
            "type": "eq", "fun": problem.equation, "jac": lambda x: problem.equation_jac(x).toarray(),
        }  # fmt: skip
        options = {"ftol": 1e-14, "maxiter": 200}
    else:
        options = {"gtol": TOL, "xtol": 1e-12, "maxiter": 300}
    found = scipy.optimize.minimize(problem.fun, problem.x0, method=method, options=options, **arguments)
    return np.asarray(found.x)


class Ipopt:
    """The problem as cyipopt takes it."""

    def __init__(self, problem: Control) -> None:
        self.problem = problem
        self.objective, self.gradient, self.constraints = problem.fun, problem.jac, problem.equation
        self.places = sp.coo_array(problem.equation_jac(problem.x0)).coords

    def jacobian(self, x: Array) -> Array:
        return np.asarray(self.problem.equation_jac(x).data)

    def jacobianstructure(self) -> Any:
        return self.places

    def hessianstructure(self) -> Any:
        every = np.arange(2 * self.problem.size)
        return every, every

    def hessian(self, x: Array, y: Array, factor: float) -> Array:
        curved = self.problem.equation_hess(x, y).diagonal()
        return np.asarray(factor * self.problem.weights + curved)


def _ipopt(cyipopt: Any, problem: Control) -> Array:
    n = problem.size
    bounds = problem.bounds
    low, high = (-np.inf, np.inf) if bounds is None else (bounds.lb, bounds.ub)
    solver = cyipopt.Problem(
        n=2 * n, m=n, problem_obj=Ipopt(problem), lb=np.broadcast_to(low, 2 * n), ub=np.broadcast_to(high, 2 * n),
        cl=np.zeros(n), cu=np.zeros(n),
    )  # fmt: skip
    for name, value in (("print_level", 0), ("sb", "yes"), ("tol", TOL)):
        solver.add_option(name, value)
    return np.asarray(solver.solve(problem.x0)[0])


class Counted:
    """Counts factorisations and solves of KKT systems while it is entered."""

    def __enter__(self) -> dict[str, int]:
        self.counts, self.kept = {"factors": 0, "solves": 0}, []
        for owner in (_sparse.SparseKKT, _krylov.KrylovKKT):
            for name, counter in (("factor", "factors"), ("solve", "solves")):
                self._count(owner, name, counter)
        return self.counts

    def _count(self, owner: type, name: str, counter: str) -> None:
        function = getattr(owner, name)

        def counted(*arguments: Any) -> Any:
            self.counts[counter] += 1
            return function(*arguments)

        self.kept.append((owner, name, function))
        setattr(owner, name, counted)

    def __exit__(self, *_: object) -> None:
        for owner, name, function in self.kept:
            setattr(owner, name, function)


def _cells(table: Any, curves: Lines, panel: str, problem: Control, ipopt: Any, quick: bool) -> dict[str, Any]:
    """One row a solver; returns their times."""
    calls, answers = _calls(problem, ipopt), {}
    with Counted() as counts:
        answers["auto"] = calls["auto"]()
    times = harness.interleave(
        calls, rounds=3 if quick else 7, budget=30.0, inspect=lambda name, x: answers.update({name: x})
    )
    for name, time in times.items():
        gradient, violation = problem.judged(answers[name])
        known = None if problem.semilinear else KNOWN.get(problem.N)
        table.rows.append({
            "N": problem.N, "solver": name, "time": time,
            "ratio": f"{ratio(time, times['auto']):.2f}" if name != "auto" else "",
            "objective": f"{problem.fun(answers[name]):.10g}",
            "known": "" if known is None else f"{known:.10g}",
            "reduced gradient": f"{gradient:.1e}", "violation": f"{violation:.1e}",
            "KKT factors": counts["factors"] if name == "auto" else "",
            "KKT solves": counts["solves"] if name == "auto" else "",
        })  # fmt: skip
        curves.add(panel, "ours, " + name if name in GOALS else name, problem.N, time.median)
    return times


def _linear(result: Report, curves: Lines, sizes: tuple[int, ...], ipopt: Any, quick: bool) -> dict[str, float]:
    table = result.table("The paper's linear problem")
    ratios: dict[str, float] = {}
    for N in harness.progress(sizes, "linear"):
        times = _cells(table, curves, "linear", Control(N), ipopt, quick)
        if N == 256 and "IPOPT" in times:
            ratios = {name: ratio(times["IPOPT"], times[name]) for name in GOALS}
    return ratios


def _semilinear(result: Report, curves: Lines, sizes: tuple[int, ...], ipopt: Any, quick: bool) -> None:
    for title, sides in (("Semilinear", (-np.inf, np.inf)), ("Semilinear, -60 <= z <= 60", (-60.0, 60.0))):
        table = result.table(title)
        for N in harness.progress(sizes, title):
            problem = Control(N, semilinear=True, low=sides[0], high=sides[1])
            _cells(table, curves, title.lower(), problem, ipopt, quick)


def _factors(result: Report, problem: Control, rounds: int) -> None:
    """One KKT matrix of the linear problem by libraries for sparse factors: the first of its pattern, and a further."""
    n = problem.size
    H, J = problem.hess(problem.x0), problem.linear
    # no pivots are sought by qdldl: it needs a matrix that is quasidefinite
    dx, dc = np.zeros(2 * n), np.full(n, 1e-8)
    K = sp.csc_array(sp.block_array([[H, J.T], [J, -sp.diags_array(dc)]]))
    b = np.random.default_rng(1).standard_normal(3 * n)
    known = SparseKKT(2 * n, n)
    known.factor(H, J, dx, dc)
    calls: dict[str, Callable[[], Any]] = {
        "ours": partial(_fresh, problem, H, J, dx, dc),
        "ours, pattern known": partial(_again, known, H, J, dx, dc),
        "SciPy's SuperLU": partial(splu, K, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True},
                                   diag_pivot_thresh=1e-6),
        "SciPy's SuperLU, as it comes": partial(splu, K),
    }  # fmt: skip
    if (qdldl := harness.peer("qdldl")) is not None:
        upper = sp.csc_matrix(sp.triu(K))
        kept = qdldl.Solver(upper, upper=True)
        result.notes.append(f"qdldl is its release {version('qdldl')}.")
        calls["qdldl"] = partial(qdldl.Solver, upper, upper=True)
        calls["qdldl, pattern known"] = lambda: kept.update(upper, upper=True) or kept
    solves: dict[str, Any] = {}
    times = harness.interleave(calls, rounds, 30.0, lambda name, made: solves.update({name: _solution(made, b)}))
    table = result.table(f"A KKT matrix of {3 * n:,} rows, {K.nnz:,} entries: its factors")
    for name, time in times.items():
        table.rows.append({
            "library": name, "time": time, "ratio": f"{ratio(time, times['ours, pattern known']):.2f}",
            "residual": f"{np.linalg.norm(b - K @ solves[name]) / np.linalg.norm(b):.0e}",
        })  # fmt: skip


def _fresh(problem: Control, *matrix: Any) -> SparseKKT:
    return _again(SparseKKT(2 * problem.size, problem.size), *matrix)


def _again(kkt: SparseKKT, *matrix: Any) -> SparseKKT:
    kkt.factor(*matrix)
    return kkt


def _solution(factors: Any, b: Array) -> Array:
    return np.asarray(factors.solve(b, 1e-12) if isinstance(factors, SparseKKT) else factors.solve(b))


def _largest(result: Report, N: int) -> None:
    """Time and peak memory of the largest problem, each in a process of its own."""
    table = result.table(f"N = {N}: {3 * N * N:,} unknowns and multipliers, in a process of its own")
    for name in GOALS:
        line = subprocess.run(
            [sys.executable, "-P", "-c", MEMORY, str(N), name], capture_output=True, text=True, check=True
        ).stdout
        seconds, peak, success, measure, fun = json.loads(line)
        table.rows.append({
            "ours": name, "seconds": f"{seconds:.2f}", "peak GiB": f"{peak / 2**30:.2f}", "objective": f"{fun:.10g}",
            "success": "yes" if success else "NO", "measure": f"{measure:.1e}",
        })  # fmt: skip
        if N == 512:
            result.targets.append(Target(f"seconds, N=512 ({name})", "<=", 5.0, seconds, "s"))
            result.targets.append(Target(f"peak memory, N=512 ({name})", "<=", 4.0, peak / 2**30, "GiB"))
