"""KKT systems by products alone: MINRES with a positive definite preconditioner, and projected conjugate gradients.

    K z = r,    K = [[H + diag(dx), J'], [J, -diag(dc)]]

Without a user's preconditioner the diagonal D of H + diag(dx) stands for it, and sparse factors of
``[[D, J'], [J, -diag(dc)]]`` serve both: as they are, projected CG (Gould, Hribar and Nocedal, 2001; with dc > 0:
Dollar, Gould, Schilders and Wathen, 2006), whose residuals then stay zero in the rows of J; and MINRES (Paige and
Saunders, 1975) as the block diagonal ``(D, J D^-1 J' + diag(dc))``, whose second block their solutions with right-hand
sides (0, y) invert.

Inertia is not known here. A direction of negative curvature, or a step of which the curvature is not positive (Chiang
and Zavala, 2016), ends the solve: the matrix is to be shifted.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.sparse.linalg import LinearOperator, aslinearoperator, minres

from .._base.sparse import relative
from ._nlp import Program, Scaled
from ._sparse import REFINED, SparseKKT

Array = npt.NDArray[Any]
Precondition = Any  # a LinearOperator, or a function of (H, J, dx, dc) that returns one

#: Curvature at most this times the square of the direction's length counts as negative.
FLAT = 1e-12
#: A residual above this share of the right-hand side is no solution.
GOOD = 1e-2
SOLVERS = ("minres", "projected-cg")


class KrylovKKT:
    """K by its products. H: anything with ``@`` (None: zero); J: a sparse or dense matrix, or an operator.

    Parameters
    ----------
    solver : {"minres", "projected-cg"}
    precond : LinearOperator or callable, optional
        An approximate inverse of K, of order n + m: for MINRES symmetric positive definite, for projected CG one that
        maps (r, 0) to some (p, y) with ``J p = dc y``. A function is called with (H, J, dx, dc) for each new matrix.
    """

    def __init__(self, n: int, m: int, solver: str, precond: Precondition = None, max_iter: int = 1000) -> None:
        self.n, self.m, self.solver, self.precond, self.max_iter = n, m, solver, precond, max_iter
        self._middle = SparseKKT(n, m)
        self.products = self.steps = 0

    def factor(self, H: Any, J: Any, dx: Array, dc: Array) -> tuple[int, int]:
        """Prepares the preconditioner. Counts of eigenvalues are not known: (-1, 0)."""
        self.H, self.J, self.dx, self.dc = H, J, dx, dc
        self._Jt = J.T if hasattr(J, "T") else aslinearoperator(J).T
        if self.precond is not None:
            given = self.precond(H, J, dx, dc) if _is_factory(self.precond) else self.precond
            self._approximate: Callable[[Array], Array] = _operator(given, self.n + self.m).matvec
            return -1, 0
        if isinstance(J, LinearOperator):
            scale = 1 / np.concatenate([self._diagonal(), np.maximum(dc, 1.0)])
            self._approximate = lambda r: scale * r
            return -1, 0
        diagonal = self._diagonal()
        self._middle.factor(None, sp.csr_array(J), diagonal, dc)
        self._approximate = self._blocks(diagonal) if self.solver == "minres" else self._project
        return -1, 0

    def _diagonal(self) -> Array:
        """A positive stand-in for the diagonal of H + diag(dx)."""
        if self.H is None:
            own = np.zeros(self.n)
        elif hasattr(self.H, "diagonal"):
            own = np.asarray(self.H.diagonal(), dtype=np.float64)
        else:  # the mean of the diagonal, from products with random signs
            signs = np.random.default_rng(0).choice((-1.0, 1.0), size=(2, self.n))
            own = np.full(self.n, np.mean([np.mean(s * (self.H @ s)) for s in signs]))
        whole = np.abs(own + self.dx)
        return np.asarray(np.maximum(whole, max(1e-8 * float(np.median(whole)), 1e-20)))

    def _project(self, r: Array) -> Array:
        z = self._middle.solve(r, 1e-12)
        return z if z is not None else np.zeros_like(r)

    def _blocks(self, diagonal: Array) -> Callable[[Array], Array]:
        def apply(r: Array) -> Array:
            lower = self._project(np.concatenate([np.zeros(self.n), r[self.n :]]))
            return np.concatenate([r[: self.n] / diagonal, -lower[self.n :]])

        return apply

    def matvec(self, z: Array) -> Array:
        """K z."""
        self.products += 1
        x, y = z[: self.n], z[self.n :]
        return np.concatenate([self._curved(x) + self._Jt @ y, self.J @ x - self.dc * y])

    def _curved(self, p: Array) -> Array:
        own = self.dx * p
        return own if self.H is None else own + self.H @ p

    def solve(self, rhs: Array, rtol: float) -> Array | None:
        """``K z = rhs`` until the residual is at most rtol of rhs; None without positive curvature, or on failure."""
        size = float(np.linalg.norm(rhs))
        z, r, best = np.zeros(len(rhs)), rhs, np.inf
        for _ in range(6):
            before = self.steps
            step = self._minres(r, rtol * size) if self.solver == "minres" else self._projected(r, rtol * size)
            if step is None:
                return None
            left = rhs - self.matvec(z + step)
            norm = float(np.linalg.norm(left))
            if not norm < best:
                break
            gain, z, r, best = norm / best, z + step, left, norm
            # without a step of its own the method has found an inverse: to refine takes less than Newton's next step
            enough = rtol if self.steps > before else min(rtol, REFINED)
            if norm <= enough * size or gain > 0.5:
                break
        return z if best <= max(rtol, GOOD) * size and self._convex(z) else None

    def _convex(self, z: Array) -> bool:
        p, y = z[: self.n], z[self.n :]
        return float(p @ self._curved(p)) + max(float(y @ (self.J @ p)), 0.0) >= FLAT * float(p @ p)

    def _minres(self, r: Array, target: float) -> Array:
        """SciPy's, whose test is relative to its own estimates: the caller goes on from what it returns."""
        N = self.n + self.m
        K = LinearOperator((N, N), matvec=self.matvec, dtype=np.float64)
        M = LinearOperator((N, N), matvec=self._approximate, dtype=np.float64)

        def count(_: Array) -> None:
            self.steps += 1

        share = min(0.1, max(0.1 * target / float(np.linalg.norm(r)), 1e-14)) if r.any() else 0.1
        z, _ = minres(K, r, M=M, maxiter=self.max_iter, callback=count, **relative(minres, share))
        return np.asarray(z)

    def _projected(self, r: Array, target: float) -> Array | None:
        """Conjugate gradients in the vectors (p, y) with ``J p = dc y``, from the preconditioner's own solution."""
        z = self._approximate(r)
        r = r - self.matvec(z)
        r[self.n :] = 0  # what is left there is rounding: the caller's next round takes it
        if float(np.linalg.norm(r)) <= 0.1 * target:
            return z
        g = self._approximate(r)
        d, rg = g, float(r @ g)
        for _ in range(self.max_iter):
            if float(np.linalg.norm(r)) <= 0.1 * target or rg <= 0:
                break
            p, w = d[: self.n], d[self.n :]
            Hp = self._curved(p)
            curvature = float(p @ Hp) + float(w @ (self.dc * w))  # d'K d, with J p = dc w put in
            if curvature <= FLAT * float(p @ p):
                return None
            self.steps += 1
            self.products += 1
            alpha = rg / curvature
            z = z + alpha * d
            r[: self.n] -= alpha * (Hp + self._Jt @ w)
            g = self._approximate(r)
            rg, before = float(r @ g), rg
            d = g + rg / before * d
        return z


def _is_factory(precond: Precondition) -> bool:
    """A function, not an operator or a matrix."""
    return callable(precond) and not hasattr(precond, "shape")


def _operator(given: Any, order: int) -> LinearOperator:
    try:
        operator = aslinearoperator(given)
    except TypeError:
        raise TypeError(f"precond must be, or return, an operator or a matrix, not {given!r:.60}") from None
    if operator.shape != (order, order):
        raise ValueError(f"precond must have shape {(order, order)}, not {operator.shape}")
    return operator


class KrylovNLP(Scaled):
    """A backend by Krylov methods: for Hessians that are operators, and matrices whose factors would be too large.

    The user's preconditioner is one for the user's own functions, whatever scales the method has chosen: a function is
    called with the Hessian of ``f + y'c``, with the Jacobian and with dx and dc in those units.
    """

    def __init__(self, program: Program, solver: str = "projected-cg", precond: Precondition = None) -> None:
        super().__init__(program)
        self._given = precond
        # not a method of self, which would keep self, its matrices and states until the cycles are looked for
        own = weakref.proxy(self)
        scaled = None if precond is None else lambda H, J, dx, dc: own._in_our_units(H, J, dx, dc)
        self._kkt = KrylovKKT(self.n, self.m, solver, scaled)
        self._plain = SparseKKT(self.n, self.m)
        #: Steps when each Hessian was made.
        self._begun: list[int] = []

    def linearise(self, x: Array) -> None:
        self._x = x
        super().linearise(x)

    def _in_our_units(self, H: Any, J: Any, dx: Array, dc: Array) -> LinearOperator:
        """K is f_scale S K_user S, with S = diag(1, c_scale / f_scale)."""
        ratio = self.c_scale / self.f_scale
        given = self._given
        if _is_factory(given):
            theirs = self._at(self._x, "J", self.program.jacobian)
            given = given(H * (1 / self.f_scale), theirs, dx / self.f_scale, dc / (self.f_scale * ratio**2))
        apply = _operator(given, self.n + self.m).matvec
        s, f_scale = np.concatenate([np.ones(self.n), 1 / ratio]), self.f_scale
        return LinearOperator(
            (self.n + self.m,) * 2, matvec=lambda r: s * apply(s * r.ravel()) / f_scale, dtype=np.float64
        )

    def factor(self, with_hessian: bool, dx: Array, dc: Array) -> tuple[int, int] | None:
        if self._given is not None and not with_hessian:
            if not _is_factory(self._given):
                return None  # it is made for another matrix
            self._last: KrylovKKT | SparseKKT = self._kkt
            return self._kkt.factor(sp.csr_array((self.n, self.n)), self.J, dx, dc)
        self._last = self._kkt if with_hessian else self._plain
        return self._last.factor(self.H if with_hessian else None, self.J, dx, dc)

    def solve(self, rhs: Array, rtol: float) -> Array | None:
        return self._last.solve(rhs, rtol)

    def curvature(self, x: Array, sigma: float, y: Array) -> bool:
        self._begun.append(self._kkt.steps)
        return super().curvature(x, sigma, y)

    @property
    def counts(self) -> dict[str, Any]:
        """Steps of the Krylov method with each Hessian, and products with K in all."""
        return {"inner_steps": np.diff([*self._begun, self._kkt.steps]), "products": self._kkt.products}
