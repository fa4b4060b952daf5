"""Sketch and precondition: tall least squares by LSQR on A R^-1, with R from the QR factors of a sketch S'A.

A sparse sign sketch of three rows an unknown makes the condition number of A R^-1 about 4 whatever that of A is, so
that some thirty iterations reach rounding. Where R is singular to rounding the singular vectors of S'A take its place.

Differs from Blendenpik (Avron, Maymounkov, Toledo 2010) and LSRN (Meng, Saunders, Mahoney 2014) in:
1. The residual is recomputed at the end of a round, and another round starts from there: refinement that brings the
   normal residual down to rounding, which a single run of LSQR does not for ill-conditioned A.
2. The sketch is sparse: each row of A goes into a few of the sums, one pass over A.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg
import scipy.sparse

from .._base.method import Method, register
from .._base.options import option
from .._base.result import Status
from .._base.state import replace
from . import _kernels
from ._systems import OUTCOMES, STAGNATED, System, SystemResult

Array = npt.NDArray[Any]

#: Iterations of a round at most, and the estimated measure below which nothing is left but rounding.
ROUND, ROUNDING = 60, 1e-16


@dataclass(frozen=True, eq=False)
class LsqrState:
    """Golub and Kahan's vectors, and the rotations of LSQR, in a round that began at `base`."""

    #: Where the round began: the best point whose measure was recomputed, and that measure.
    base: Array
    least: float
    #: The current point.
    x: Array
    #: In the variables R x: the sum of the round, its direction, the right vector.
    y: Array
    w: Array
    v: Array
    u: Array
    alpha: float
    rho: float
    phi: float
    length: int
    outcome: int
    nit: int
    measure: float


@dataclass(frozen=True)
class SketchAndPrecondition:
    """Least squares by LSQR with a randomised preconditioner."""

    oversampling: float = option(3.0, "Rows of the sketch, times the number of unknowns", low=1.5, high=20)
    nonzeros: int = option(8, "Sums that each row goes into", low=1, high=64)

    def init(self, problem: System) -> LsqrState:
        return begun(problem, self._factor(problem), problem.x0, problem.measure(*problem.norms(problem.x0)), 0)

    def step(self, problem: System, state: LsqrState) -> LsqrState:
        """One iteration of LSQR; at the end of a round the next one is begun."""
        factor = self._factor(problem)
        state = iterated(problem, factor, state)
        if state.measure > max(problem.tol, ROUNDING) and state.length < ROUND:
            return state
        measure = problem.measure(*problem.norms(state.x))
        base, least = (state.x, measure) if measure < state.least else (state.base, state.least)
        stuck = least > problem.tol and not measure < state.least / 2
        return replace(begun(problem, factor, base, least, state.nit), outcome=STAGNATED if stuck else 0)

    def done(self, problem: System, state: LsqrState) -> Status | None:
        if state.length == 0 and state.least <= problem.tol:
            return Status.CONVERGED
        return OUTCOMES[state.outcome] if state.outcome else None

    def finish(self, problem: System, state: LsqrState) -> SystemResult:
        return problem.certify(state.x, state.nit, {"sketch_rows": self._rows(problem)})

    def _rows(self, problem: System) -> int:
        return min(problem.rows, math.ceil(self.oversampling * problem.cols))

    def _factor(self, problem: System) -> Factor:
        def make() -> Factor:
            rows = self._rows(problem)
            if rows == problem.rows:  # random sums of as many rows would be worse than the rows
                return Factor(problem.A.toarray() if scipy.sparse.issparse(problem.A) else problem.A)
            nonzeros = min(self.nonzeros, rows)
            return Factor(_kernels.sketched(*problem.parts, problem.b, rows, nonzeros, problem.seed)[0])

        factor: Factor = problem.remember("factor", make)
        return factor


class Factor:
    """R of the QR factors of a sketch; or diag(s) V' of its singular values where R is singular to rounding."""

    def __init__(self, sketch: Array) -> None:
        self.R = np.asfortranarray(scipy.linalg.qr(sketch, mode="r", check_finite=False)[0][: sketch.shape[1]])
        diagonal = np.abs(np.diag(self.R))
        self.s, self.V = np.ones(0), np.zeros((0, 0))
        self.triangular = len(diagonal) == sketch.shape[1] and bool(diagonal.min() > 1e-13 * diagonal.max())
        if not self.triangular:
            _, s, Vt = scipy.linalg.svd(self.R, full_matrices=False, check_finite=False)
            rank = int((s > 1e-13 * s[0]).sum()) if s[0] else 0
            self.s, self.V = s[:rank], np.ascontiguousarray(Vt[:rank].T)

    @property
    def size(self) -> int:
        return len(self.R) if self.triangular else len(self.s)

    def back(self, y: Array) -> Array:
        """x with R x = y."""
        if self.triangular:
            return np.asarray(scipy.linalg.solve_triangular(self.R, y, check_finite=False))
        return np.asarray(self.V @ (y / self.s))

    def transposed_back(self, x: Array) -> Array:
        """y with R'y = x."""
        if self.triangular:
            return np.asarray(scipy.linalg.solve_triangular(self.R, x, trans=1, check_finite=False))
        return np.asarray((x @ self.V) / self.s)

    def transposed(self, y: Array) -> Array:
        """R'y."""
        return np.asarray(y @ self.R if self.triangular else self.V @ (self.s * y))


def begun(problem: System, factor: Factor, base: Array, measure: float, nit: int) -> LsqrState:
    """The first vectors of a round of LSQR from there."""
    u = problem.b - problem.A @ base
    phi = float(np.linalg.norm(u))
    u = u / (phi or 1.0)
    v = factor.transposed_back(problem.A.T @ u)
    alpha = float(np.linalg.norm(v))
    v = v / (alpha or 1.0)
    y = np.zeros(factor.size)
    return LsqrState(base, measure, base, y, v, v, u, alpha, alpha, phi, 0, 0, nit, measure)


def iterated(problem: System, factor: Factor, s: LsqrState) -> LsqrState:
    """One iteration (Paige and Saunders 1982), with the measure that the rotations tell."""
    u = problem.A @ factor.back(s.v) - s.alpha * s.u
    beta = float(np.linalg.norm(u))
    u = u / (beta or 1.0)
    v = factor.transposed_back(problem.A.T @ u) - beta * s.v
    alpha = float(np.linalg.norm(v))
    v = v / (alpha or 1.0)
    rho = math.hypot(s.rho, beta) or 1.0
    c, sine = s.rho / rho, beta / rho
    y, w = s.y + (c * s.phi / rho) * s.w, v - (sine * alpha / rho) * s.w
    phi = sine * s.phi
    normal = phi * alpha * abs(c) * float(np.linalg.norm(factor.transposed(v)))
    return LsqrState(
        s.base, s.least, s.base + factor.back(y), y, w, v, u, alpha, -c * alpha, phi, s.length + 1, 0, s.nit + 1,
        problem.measure(phi, normal),
    )  # fmt: skip


METHOD = register(
    Method(
        name="sketch-precond",
        family="optimize",
        summary="least squares of tall matrices by LSQR, preconditioned by a random sketch",
        reference="Avron, Maymounkov, Toledo (2010), Blendenpik: supercharging LAPACK's least-squares solver, "
        "SIAM J. Sci. Comput. 32(3)",
        solver=SketchAndPrecondition,
        capabilities=frozenset({"least-squares"}),
    )
)
