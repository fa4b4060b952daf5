"""Krylov methods for F(z) = M z + q without G: the equation M z = -q by GMRES, or LSMR where that stalls.

A step is a cycle of GMRES, the first of `cycle` products, each later one of twice as many as long as its basis fits in
memory: restarts cost little then, however slow the equation is. Where a cycle takes less than a tenth off the residual
the next is four times as long; where that cannot be, and there are products with M', cycles of LSMR follow (M singular,
or its spectrum around the origin, as for some bilinear saddle points).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse.linalg import LinearOperator, lsmr

from .._base.method import Method, register
from .._base.options import option
from .._base.result import Status
from .._base.state import replace
from ._guard import check_start
from ._operators import Affine, Bilinear
from ._problem import EquilibriumResult, Inclusion
from ._sets import length

Array = npt.NDArray[Any]

#: Numbers that a basis may take, and the share of the residual that a cycle must leave to be called stalled.
BASIS, STALLED = 40_000_000, 0.9


@dataclass(frozen=True, eq=False)
class Solved:
    """The state: the best point, F there, and how the next cycle is made."""

    best: Array
    F: Array
    measure: float
    natural: float
    cycle: int
    #: Whether LSMR took over, and how many cycles in a row took next to nothing off the residual.
    least_squares: bool = False
    stalls: int = 0
    nit: int = 0


@dataclass(frozen=True)
class Krylov:
    """GMRES and LSMR in growing cycles."""

    cycle: int = option(20, "products of the first cycle", low=1, unit="products")

    def init(self, problem: Inclusion) -> Solved:
        """The start."""
        z = problem.z0
        F = problem.evaluate(z)
        check_start(F)
        natural = length(F)
        return Solved(z, F, problem.measure(z, F, 1.0, natural), natural, self.cycle)

    def step(self, problem: Inclusion, state: Solved) -> Solved:
        """One cycle on the equation of the correction, M d = -F(z)."""
        M = _counted(problem)
        longest = max(1, min(len(state.F), BASIS // len(state.F)))
        if state.least_squares:
            found = lsmr(M, -state.F, atol=0.0, btol=1e-16, conlim=0.0, maxiter=state.cycle)[0]
        else:
            size = min(state.cycle, longest)
            goal = min(0.5 * problem.tol / max(state.natural, 1e-300), 1.0)
            found = gmres_cycle(M, -state.F, size, goal)
        z = state.best + found
        F = problem.evaluate(z)
        natural = length(F)
        new: dict[str, Any] = {"nit": state.nit + 1, "cycle": 2 * state.cycle}
        if natural < state.natural:
            new |= {"best": z, "F": F, "natural": natural, "measure": problem.measure(z, F, 1.0, natural)}
        stalled = not natural <= STALLED * state.natural
        if stalled and not state.least_squares:
            if state.cycle < longest:
                return replace(state, **{**new, "cycle": 4 * state.cycle})
            if _has_adjoint(problem):
                return replace(state, **new, least_squares=True)
        return replace(state, **new, stalls=state.stalls + 1 if stalled else 0)

    def done(self, problem: Inclusion, state: Solved) -> Status | None:
        """Three cycles without progress end it: the equation has no solution, or rounding rules."""
        if state.measure <= problem.tol:
            return Status.CONVERGED
        if problem.epochs >= problem.max_epochs:
            return Status.MAX_EVAL
        if state.stalls < 3:
            return None
        small = 1e-9 * (length(state.best) + length(_equation(problem)[1]) + 1)
        return Status.STAGNATION if state.natural <= small else Status.BREAKDOWN

    def finish(self, problem: Inclusion, state: Solved) -> EquilibriumResult:
        """The best point."""
        return problem.result(state.best, 1.0, {"least_squares": float(state.least_squares)})


def gmres_cycle(M: Any, b: Array, size: int, goal: float) -> Array:
    """The d in the Krylov space of at most `size` products with the least ``|M d - b|``.

    Ends early where that is at most `goal` of |b|, which is looked at after every fifth more products. The basis is
    orthogonalised by two matrix-vector products twice, ten times as fast in NumPy as one vector after the other.
    """
    norm = length(b)
    V, H = np.empty((size + 1, len(b))), np.zeros((size + 1, size))
    V[0] = b / norm
    look = 5
    for j in range(size):
        w = M.matvec(V[j])
        basis, column = V[: j + 1], np.zeros(j + 1)
        for _ in range(2):
            part = basis @ w
            w -= part @ basis
            column += part
        H[: j + 1, j], H[j + 1, j] = column, length(w)
        closed = not H[j + 1, j] > 1e-14 * length(column)
        if closed or j + 1 in (look, size):
            rows = j + 1 if closed else j + 2
            first = np.zeros(rows)
            first[0] = norm
            weights = np.linalg.lstsq(H[:rows, : j + 1], first, rcond=None)[0]
            if closed or j + 1 == size or length(H[:rows, : j + 1] @ weights - first) <= goal * norm:
                break
            look = max(look + 5, look * 6 // 5)
        V[j + 1] = w / H[j + 1, j]
    return np.asarray(weights @ V[: j + 1])


def _equation(problem: Inclusion) -> tuple[Any, Array]:
    """M as a LinearOperator, and q."""
    F: Affine | Bilinear = problem.operator.function
    if isinstance(F, Affine):
        return F.M, F.q
    n, K, Kt = F.n, F.K, F.Kt
    size = n + F.m

    def product(z: Array) -> Array:
        return np.concatenate((Kt @ z[n:], -(K @ z[:n])))

    operator = LinearOperator((size, size), matvec=product, rmatvec=lambda z: -product(z), dtype=float)
    return operator, np.concatenate((F.c, F.b))


def _has_adjoint(problem: Inclusion) -> bool:
    """Whether there are products with M'."""
    M = _equation(problem)[0]
    if not isinstance(M, LinearOperator):
        return True
    try:
        M.rmatvec(np.zeros(M.shape[0]))
    except NotImplementedError:
        return False
    return True


def _counted(problem: Inclusion) -> LinearOperator:
    """M with its products counted as evaluations of F."""
    M, _ = _equation(problem)
    is_operator = isinstance(M, LinearOperator)

    def product(v: Array) -> Array:
        problem.operator.nfev += 1
        return np.asarray(M @ v)

    def adjoint(v: Array) -> Array:
        problem.operator.nfev += 1
        return np.asarray(M.rmatvec(v) if is_operator else M.T @ v)

    return LinearOperator(M.shape, matvec=product, rmatvec=adjoint, dtype=float)


METHOD = register(
    Method(
        name="krylov",
        family="equilibrium",
        summary="GMRES, or LSMR where that stalls, for affine operators without constraints",
        reference="Saad, Schultz (1986), GMRES; Fong, Saunders (2011), LSMR, SIAM J. Sci. Comput. 33",
        solver=Krylov,
        capabilities=frozenset({"affine"}),
    )
)
