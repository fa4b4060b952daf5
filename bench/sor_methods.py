"""Ways to solve the systems of a heat equation, ours and others': what each makes beforehand, and what it does a step.

A method's `make(heat, before)` prepares what the row calls reused, from the systems before those that are timed, the
last of them most often; what it returns solves a system, and all that this does is timed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse.linalg

from solvers import linalg

from .linear_problems import Heat, System
from .sor_peers import Peers

Array = npt.NDArray[Any]

#: What norm(b - A x) / norm(b) must come down to.
RTOL = 1e-8

OMEGAS = (1.0, 1.5, 1.75, 1.9, 1.95)


@dataclass(frozen=True)
class Answer:
    """A solution, and the iterations where they were counted."""

    x: Any
    iterations: int | None = None


#: Solves a system; told whether it may take time to count iterations.
Solver = Callable[[System, bool], Answer]


@dataclass(frozen=True)
class Method:
    """A row of the table."""

    name: str
    package: str
    make: Callable[[Heat, Sequence[System]], Solver]

    @property
    def ours(self) -> bool:
        return self.package == "solvers"


def methods(heat: Heat, peers: Peers) -> list[Method]:
    """All that fit the problem."""
    found = [*_ours(heat), *_scipy(heat)]
    if peers.pyamg is not None:
        found += _pyamg(peers.pyamg)
    if peers.cholmod is not None:
        found += _cholmod(peers.cholmod)
    if peers.ilupp is not None:
        found += _ilupp(peers.ilupp)
    return found


# ---- ours ------------------------------------------------------------------------------------------


def _ours(heat: Heat) -> Iterator[Method]:
    yield Method("ours cg, CSR", "solvers", lambda _, __: _analysed("cg", {}))
    yield Method("ours IC(0)-cg, CSR", "solvers", lambda _, __: _factored)
    yield Method("ours ssor-cg, CSR", "solvers", lambda _, __: _analysed("ssor-cg", {}))
    for omega in ("auto", *OMEGAS):
        options = {"omega": omega}
        name = f"ours ssor-cg, omega {omega}"
        yield Method(f"{name}, CSR, plan reused", "solvers", partial(_planned, "ssor-cg", options))
        yield Method(f"{name}, grid", "solvers", partial(_on_grid, "ssor-cg", options))
    yield Method("ours cg, grid", "solvers", partial(_on_grid, "cg", {}))
    yield Method("ours arms auto, CSR", "solvers", partial(_learnt, lambda _, system: system.A))
    yield Method("ours arms auto, grid", "solvers", partial(_learnt, _grid))


def _analysed(method: str, options: Mapping[str, Any]) -> Solver:
    """One call, the matrix analysed in it."""
    return lambda system, _: _solve(system.A, system, method, options)


def _planned(method: str, options: Mapping[str, Any], _: Heat, before: Sequence[System]) -> Solver:
    """On a plan, which gets the step's values."""
    plan = linalg.plan(before[-1].A)

    def solve(system: System, _: bool) -> Answer:
        plan.update(system.A.data)
        return _solve(plan, system, method, options)

    return solve


def _on_grid(method: str, options: Mapping[str, Any], heat: Heat, _: Sequence[System]) -> Solver:
    """On a stencil, made anew for the step."""

    return lambda system, _: _solve(_grid(heat, system), system, method, options)


def _grid(heat: Heat, system: System) -> linalg.GridOperator:
    if heat.seed is None:
        return linalg.GridOperator(heat.shape, system.factor, 1.0, 1 / heat.nx)
    return linalg.GridOperator(heat.shape, [system.factor * face for face in heat.faces], 1.0)


def _learnt(form: Callable[[Heat, System], Any], heat: Heat, before: Sequence[System]) -> Solver:
    """A sequence that has learnt from the steps before, and goes on learning."""
    sequence = linalg.SequenceSolver(arms="auto", rtol=RTOL)
    for system in before:
        sequence.solve(form(heat, system), system.b, system.x0)

    def solve(system: System, _: bool) -> Answer:
        result = sequence.solve(form(heat, system), system.b, system.x0)
        return Answer(result.x, result.nit)

    return solve


def _factored(system: System, _: bool) -> Answer:
    plan = linalg.plan(system.A)
    return _solve(plan, system, "cg", {}, M=linalg.ic0(plan))


def _solve(A: Any, system: System, method: str, options: Mapping[str, Any], **more: Any) -> Answer:
    result = linalg.solve(A, system.b, x0=system.x0, rtol=RTOL, method=method, options=options, **more)
    return Answer(result.x, result.nit)


# ---- scipy -----------------------------------------------------------------------------------------


def scipy_cg(system: System, counted: bool, M: Any = None) -> Answer:
    """SciPy's cg with a preconditioner."""
    count = [0]

    def callback(_: Array) -> None:
        count[0] += 1

    x, _ = scipy.sparse.linalg.cg(
        system.A, system.b, x0=system.x0, rtol=RTOL, maxiter=3000, M=M, callback=callback if counted else None
    )
    return Answer(x, count[0] if counted else None)


def _scipy(heat: Heat) -> Iterator[Method]:
    linear = scipy.sparse.linalg

    def jacobi(system: System, counted: bool) -> Answer:
        diagonal = system.A.diagonal()
        preconditioner = linear.LinearOperator(system.A.shape, lambda r: r / diagonal, dtype=np.float64)
        return scipy_cg(system, counted, preconditioner)

    def spilu(system: System, _: bool) -> Answer:
        # its factors are not symmetric, at which CG stalls; rows and columns in one order, no pivoting; A.T is A
        factor = linear.spilu(
            system.A.T, drop_tol=1e-3, fill_factor=5, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0,
            options={"SymmetricMode": True},
        )  # fmt: skip
        M = linear.LinearOperator(system.A.shape, factor.solve, dtype=np.float64)
        return Answer(linear.bicgstab(system.A, system.b, x0=system.x0, rtol=RTOL, maxiter=1000, M=M)[0])

    def splu(system: System, _: bool) -> Answer:
        factor = linear.splu(
            system.A.T, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0, options={"SymmetricMode": True}
        )
        return Answer(factor.solve(system.b))

    yield Method("scipy cg", "scipy", lambda _, __: scipy_cg)
    yield Method("scipy cg + Jacobi", "scipy", lambda _, __: jacobi)
    yield Method("scipy bicgstab + spilu", "scipy", lambda _, __: spilu)
    yield Method("scipy spsolve", "scipy", lambda _, __: lambda system, _: Answer(linear.spsolve(system.A, system.b)))
    yield Method("scipy splu, symmetric mode", "scipy", lambda _, __: splu)
    if heat.seed is None:

        def sine(heat: Heat, _: Sequence[System]) -> Solver:
            values = heat.eigenvalues()
            return lambda system, _: Answer(heat.transform_solve(system.factor, system.b, values))

        yield Method("scipy.fft sine transform, eigenvalues reused", "scipy", sine)
        yield Method(
            "scipy.fft sine transform", "scipy",
            lambda heat, _: lambda system, _: Answer(heat.transform_solve(system.factor, system.b)),
        )  # fmt: skip


# ---- pyamg, scikit-sparse, ilupp -------------------------------------------------------------------


def _pyamg(pyamg: Any) -> Iterator[Method]:
    def hierarchy(system: System) -> Any:
        return pyamg.smoothed_aggregation_solver(system.A, symmetry="symmetric")

    def rebuilt(system: System, counted: bool) -> Answer:
        return scipy_cg(system, counted, hierarchy(system).aspreconditioner())

    def reused(_: Heat, before: Sequence[System]) -> Solver:
        preconditioner = hierarchy(before[-1]).aspreconditioner()
        return lambda system, counted: scipy_cg(system, counted, preconditioner)

    yield Method("pyamg SA + cg, rebuilt", "pyamg", lambda _, __: rebuilt)
    yield Method("pyamg SA + cg, hierarchy reused", "pyamg", reused)
    yield Method("pyamg Ruge-Stuben + cg, hierarchy reused", "pyamg", lambda _, before: _classical(pyamg, before))


def _classical(pyamg: Any, before: Sequence[System]) -> Solver:
    preconditioner = pyamg.ruge_stuben_solver(before[-1].A).aspreconditioner()
    return lambda system, counted: scipy_cg(system, counted, preconditioner)


def _cholmod(cholmod: Any) -> Iterator[Method]:
    def columns(system: System) -> Any:
        return scipy.sparse.csc_matrix(system.A.T)  # A, by columns, at no cost

    def fresh(system: System, _: bool) -> Answer:
        return Answer(cholmod.cholesky(columns(system))(system.b))

    def reused(ordering: str) -> Callable[[Heat, Sequence[System]], Solver]:
        def make(_: Heat, before: Sequence[System]) -> Solver:
            factor = cholmod.analyze(columns(before[-1]), ordering_method=ordering)

            def solve(system: System, _: bool) -> Answer:
                factor.cholesky_inplace(columns(system))
                return Answer(factor(system.b))

            return solve

        return make

    yield Method("CHOLMOD", "scikit-sparse", lambda _, __: fresh)
    yield Method("CHOLMOD, symbolic reused", "scikit-sparse", reused("default"))
    yield Method("CHOLMOD, symbolic reused, METIS", "scikit-sparse", reused("metis"))


def _ilupp(ilupp: Any) -> Iterator[Method]:
    def none(system: System, counted: bool) -> Answer:
        return scipy_cg(system, counted, ilupp.IChol0Preconditioner(scipy.sparse.csr_matrix(system.A)))

    def filled(system: System, counted: bool) -> Answer:
        matrix = scipy.sparse.csr_matrix(system.A)
        return scipy_cg(system, counted, ilupp.ICholTPreconditioner(matrix, add_fill_in=5, threshold=1e-3))

    def reused(_: Heat, before: Sequence[System]) -> Solver:
        preconditioner = ilupp.IChol0Preconditioner(scipy.sparse.csr_matrix(before[-1].A))
        return lambda system, counted: scipy_cg(system, counted, preconditioner)

    yield Method("ilupp IC(0) + scipy cg", "ilupp", lambda _, __: none)
    yield Method("ilupp IC(0) + scipy cg, factor reused", "ilupp", reused)
    yield Method("ilupp IC(threshold) + scipy cg", "ilupp", lambda _, __: filled)
