"""Ways to solve the systems of a heat equation, ours and others': what each makes beforehand, and what it does a step.

A method's `make(heat, before)` prepares what the row calls reused, from the system before those that are timed; what
it returns solves a system, and all that this does is timed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
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

OMEGAS = (1.0, 1.25, 1.5, 1.75, 1.9)


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
    make: Callable[[Heat, System], Solver]

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
    yield Method("ours cg, CSR", "solvers", lambda _, __: _solver("cg", {}))


def _solver(method: str, options: Mapping[str, Any]) -> Solver:
    """One call, the matrix analysed in it."""

    def solve(system: System, _: bool) -> Answer:
        result = linalg.solve(system.A, system.b, x0=system.x0, rtol=RTOL, method=method, options=options)
        return Answer(result.x, result.nit)

    return solve


# ---- scipy -----------------------------------------------------------------------------------------


def scipy_cg(system: System, counted: bool, M: Any = None) -> Answer:
    """SciPy's cg with a preconditioner."""
    count = [0]

    def callback(_: Array) -> None:
        count[0] += 1

    x, _ = scipy.sparse.linalg.cg(
        system.A, system.b, x0=system.x0, rtol=RTOL, maxiter=10_000, M=M, callback=callback if counted else None
    )
    return Answer(x, count[0] if counted else None)


def _scipy(heat: Heat) -> Iterator[Method]:
    linear = scipy.sparse.linalg

    def jacobi(system: System, counted: bool) -> Answer:
        diagonal = system.A.diagonal()
        preconditioner = linear.LinearOperator(system.A.shape, lambda r: r / diagonal, dtype=np.float64)
        return scipy_cg(system, counted, preconditioner)

    def spilu(system: System, counted: bool) -> Answer:
        # rows and columns in one order and no pivoting: as near to symmetric as it comes; A.T is A, by columns
        factor = linear.spilu(
            system.A.T, drop_tol=1e-3, fill_factor=5, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0,
            options={"SymmetricMode": True},
        )  # fmt: skip
        return scipy_cg(system, counted, linear.LinearOperator(system.A.shape, factor.solve, dtype=np.float64))

    def splu(system: System, _: bool) -> Answer:
        factor = linear.splu(
            system.A.T, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0, options={"SymmetricMode": True}
        )
        return Answer(factor.solve(system.b))

    yield Method("scipy cg", "scipy", lambda _, __: scipy_cg)
    yield Method("scipy cg + Jacobi", "scipy", lambda _, __: jacobi)
    yield Method("scipy cg + spilu", "scipy", lambda _, __: spilu)
    yield Method("scipy spsolve", "scipy", lambda _, __: lambda system, _: Answer(linear.spsolve(system.A, system.b)))
    yield Method("scipy splu, symmetric mode", "scipy", lambda _, __: splu)
    if heat.seed is None:

        def sine(heat: Heat, _: System) -> Solver:
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

    def reused(_: Heat, before: System) -> Solver:
        preconditioner = hierarchy(before).aspreconditioner()
        return lambda system, counted: scipy_cg(system, counted, preconditioner)

    yield Method("pyamg SA + cg, rebuilt", "pyamg", lambda _, __: rebuilt)
    yield Method("pyamg SA + cg, hierarchy reused", "pyamg", reused)
    yield Method("pyamg Ruge-Stuben + cg, hierarchy reused", "pyamg", lambda _, before: _classical(pyamg, before))


def _classical(pyamg: Any, before: System) -> Solver:
    preconditioner = pyamg.ruge_stuben_solver(before.A).aspreconditioner()
    return lambda system, counted: scipy_cg(system, counted, preconditioner)


def _cholmod(cholmod: Any) -> Iterator[Method]:
    def columns(system: System) -> Any:
        return scipy.sparse.csc_matrix(system.A.T)  # A, by columns, at no cost

    def fresh(system: System, _: bool) -> Answer:
        return Answer(cholmod.cholesky(columns(system))(system.b))

    def reused(ordering: str) -> Callable[[Heat, System], Solver]:
        def make(_: Heat, before: System) -> Solver:
            factor = cholmod.analyze(columns(before), ordering_method=ordering)

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

    def reused(_: Heat, before: System) -> Solver:
        preconditioner = ilupp.IChol0Preconditioner(scipy.sparse.csr_matrix(before.A))
        return lambda system, counted: scipy_cg(system, counted, preconditioner)

    yield Method("ilupp IC(0) + scipy cg", "ilupp", lambda _, __: none)
    yield Method("ilupp IC(0) + scipy cg, factor reused", "ilupp", reused)
    yield Method("ilupp IC(threshold) + scipy cg", "ilupp", lambda _, __: filled)
