"""Iterations of ours as PETSc's solvers, with norms and dot products reduced through PETSc."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from petsc4py import PETSc

from .omega import Relaxation
from .relaxation import OwnRows, Ssor, step

Reason = PETSc.KSP.ConvergedReason


class Iteration(ABC):
    """What the solvers share: PETSc's calls, its convergence test, and the tuner's questions and answers."""

    #: Options of it begin with the solver's prefix and this.
    kind = "ksp"

    def __init__(self, omega: float | str = "auto", *, tuner: Any = None, seed: int = 0) -> None:
        self.relaxation = Relaxation(omega, tuner=tuner, seed=seed)
        self._work: list[Any] = []

    def create(self, ksp: Any) -> None:
        # the residual's own norm is what all of them test
        ksp.setNormType(PETSc.KSP.NormType.UNPRECONDITIONED)
        ksp.setPCSide(PETSc.PC.Side.RIGHT)

    def setFromOptions(self, ksp: Any) -> None:  # noqa: N802
        self.relaxation.read(ksp.getOptionsPrefix(), self.kind)

    def setUp(self, ksp: Any) -> None:
        self.prepare(ksp.getOperators()[1])

    def prepare(self, mat: Any) -> None:  # noqa: B027  a hook that few need
        """The matrix is another, or has other values."""

    def reset(self, ksp: Any) -> None:
        self._work = []

    def view(self, ksp: Any, viewer: Any) -> None:
        viewer.printfASCII(
            f"  {type(self).__name__} of solvers: omega {self.relaxation.value:g} ({self.relaxation.rule})\n"
        )

    def solve(self, ksp: Any, b: Any, x: Any) -> None:
        if not ksp.getInitialGuessNonzero():
            x.zeroEntries()
        self.prepare_again(ksp.getOperators()[1])
        self.relaxation.begin(ksp.comm)
        self.iterate(ksp, b, x)
        self.relaxation.end(ksp)

    def prepare_again(self, mat: Any) -> None:  # noqa: B027
        """PETSc sets a solver up once: later values are seen when it solves."""

    @abstractmethod
    def iterate(self, ksp: Any, b: Any, x: Any) -> None:
        """Solve from x on, with a call of `goes_on` for each iteration's residual."""

    def vectors(self, like: Any, count: int) -> list[Any]:
        """Vectors to work in, kept for the next solve."""
        while len(self._work) < count:
            self._work.append(like.duplicate())
        return self._work[:count]


def goes_on(ksp: Any, nit: int, norm: float) -> bool:
    """Report the residual's norm after an iteration to PETSc; False where that is the end."""
    ksp.setIterationNumber(nit)
    ksp.setResidualNorm(norm)
    ksp.logConvergenceHistory(norm)
    ksp.monitor(nit, norm)
    reason = ksp.callConvergenceTest(nit, norm)
    if not reason and nit >= ksp.getTolerances()[3]:
        reason = Reason.DIVERGED_MAX_IT
    ksp.setConvergedReason(reason or Reason.CONVERGED_ITERATING)
    return not reason


class SorIteration(Iteration):
    """`KSPPYTHON`: successive over-relaxation, x <- x + (D / omega + L)^-1 (b - A x) with each rank's own D and L.

    Parameters
    ----------
    omega : float or {"auto", "young", "tuned"}, default "young"
        As of `Relaxation`; option `-ksp_solvers_omega`.
    tuner, seed
        As of `Relaxation`; option `-ksp_solvers_seed`.

    Notes
    -----
    On several ranks each diagonal entry is raised by the sizes of its row's entries in columns of other ranks: with it
    the iteration converges for every symmetric positive definite matrix and every omega in (0, 2), without it not. That
    takes a copy of the rank's values; one rank reads PETSc's own. The solver's preconditioner is not used.
    """

    def __init__(self, omega: float | str = "young", *, tuner: Any = None, seed: int = 0) -> None:
        super().__init__(omega, tuner=tuner, seed=seed)
        self.own = OwnRows()
        self._state = -1

    def prepare_again(self, mat: Any) -> None:
        if (state := mat.stateGet()) != self._state:
            self.own.take(mat, raised=True)
            self.relaxation.look(mat)
            self._state = state

    def reset(self, ksp: Any) -> None:
        super().reset(ksp)
        self.own.forget()
        self._state = -1

    def iterate(self, ksp: Any, b: Any, x: Any) -> None:
        mat, _ = ksp.getOperators()
        r, d = self.vectors(b, 2)
        nit = 0
        while True:
            mat.mult(x, r)
            r.aypx(-1.0, b)
            if not goes_on(ksp, nit, r.norm()):
                return
            step(self.own, self.relaxation.value, r, d)
            x.axpy(1.0, d)
            nit += 1


class SsorCg(Iteration):
    """`KSPPYTHON`: conjugate gradients preconditioned by SSOR of each rank's own rows, with its own or a tuned omega.

    Parameters
    ----------
    omega : float or {"auto", "young", "tuned"}, default "auto"
        As of `Relaxation`; option `-ksp_solvers_omega`.
    tuner, seed
        As of `Relaxation`; option `-ksp_solvers_seed`.

    Notes
    -----
    An iteration reads the matrix twice and makes two reductions; the second is that of two sums at once. The matrix
    is read in PETSc's memory. The solver's preconditioner is not used.
    """

    def __init__(self, omega: float | str = "auto", *, tuner: Any = None, seed: int = 0) -> None:
        super().__init__(omega, tuner=tuner, seed=seed)
        self.preconditioner = Ssor()
        self.preconditioner.relaxation = self.relaxation
        self._state = -1

    def prepare_again(self, mat: Any) -> None:
        if (state := mat.stateGet()) != self._state:
            self.preconditioner.own.take(mat)
            self.relaxation.look(mat)
            self._state = state

    def reset(self, ksp: Any) -> None:
        super().reset(ksp)
        self.preconditioner.reset(None)
        self._state = -1

    def iterate(self, ksp: Any, b: Any, x: Any) -> None:
        self.preconditioner.changed()
        mat, _ = ksp.getOperators()
        r, z, p, q = self.vectors(b, 4)
        mat.mult(x, r)
        r.aypx(-1.0, b)
        nit, before = 0, 0.0
        while True:
            self.preconditioner.apply(None, r, z)
            r.normBegin()
            r.dotBegin(z)
            norm, now = r.normEnd(), r.dotEnd(z)
            if not goes_on(ksp, nit, norm):
                return
            p.aypx(now / before if nit else 0.0, z)
            mat.mult(p, q)
            curvature = p.dot(q)
            if not curvature > 0:
                ksp.setConvergedReason(Reason.DIVERGED_INDEFINITE_MAT)
                return
            x.axpy(now / curvature, p)
            r.axpy(-now / curvature, q)
            nit, before = nit + 1, now
