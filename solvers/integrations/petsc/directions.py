"""Conjugate directions out of any map of the residual, and the map of the shipped net on a rank's box."""

from __future__ import annotations

from typing import Any

import numpy as np
from petsc4py import PETSc

from ... import linalg
from .box import ends_of, grid_of
from .iterations import Iteration, Reason, goes_on
from .ranks import together

#: Beyond this part of the lengths a curvature or an angle is nothing but rounding.
ROUNDING = 2.0**-46


class ConjugateDirections(Iteration):
    """`KSPPYTHON`: the method "dcdm", whose map of the residual is the solver's preconditioner, any of PETSc's.

    The map's direction is made orthogonal, in the product of A, to the last k ones; the step along it is the best in
    the norm of A. So the preconditioner may be nonlinear or unsymmetric, may change, and the error's norm never grows;
    with one that is symmetric and linear the iterates are those of conjugate gradients. Where the direction is of no
    use the residual takes its place.

    Parameters
    ----------
    directions : int, default 2
        How many of the last are kept; option `-ksp_solvers_directions`.

    Notes
    -----
    Two reductions an iteration, of k and of three sums, beside those of the preconditioner; one more where the residual
    takes a direction's place. 2 k + 4 vectors.

    References
    ----------
    Kaneda, Akar, Chen, Kala, Hyde and Teran (2023), A deep conjugate direction method for iteratively solving linear
    systems, arXiv 2205.10763.
    """

    def __init__(self, directions: int = 2) -> None:
        super().__init__(1.0)
        self.directions = directions
        #: Steps along the residual in the last solve, where the map's direction was of no use.
        self.fallbacks = 0

    def setFromOptions(self, ksp: Any) -> None:  # noqa: N802
        options = PETSc.Options(ksp.getOptionsPrefix())
        self.directions = options.getInt("ksp_solvers_directions", self.directions)
        if self.directions < 1:
            raise ValueError(f"ksp_solvers_directions must be >= 1, not {self.directions}")

    def view(self, ksp: Any, viewer: Any) -> None:
        viewer.printfASCII(f"  ConjugateDirections of solvers: the last {self.directions} are kept\n")

    def iterate(self, ksp: Any, b: Any, x: Any) -> None:
        mat, _ = ksp.getOperators()
        pc = ksp.getPC()
        r, *kept = self.vectors(b, 3 + 2 * self.directions)
        pairs = list(zip(kept[::2], kept[1::2], strict=True))
        # each with its curvature; the last pair is that in which the next is made
        last: list[tuple[Any, Any, float]] = []
        d, q = pairs.pop()
        mat.mult(x, r)
        r.aypx(-1.0, b)
        nit, norm, self.fallbacks = 0, r.norm(), 0
        while goes_on(ksp, nit, norm):
            pc.apply(r, d)
            slope, curvature = self._stepped(mat, last, r, d, q, norm)
            if not curvature > 0:
                self.fallbacks += 1
                r.copy(d)
                slope, curvature = self._stepped(mat, [], r, d, q, norm)
            if not curvature > 0:
                ksp.setConvergedReason(Reason.DIVERGED_INDEFINITE_MAT)
                return
            x.axpy(slope / curvature, d)
            r.axpy(-slope / curvature, q)
            last.append((d, q, curvature))
            d, q = last.pop(0)[:2] if len(last) > self.directions else pairs.pop()
            nit, norm = nit + 1, r.norm()

    def _stepped(
        self, mat: Any, last: list[tuple[Any, Any, float]], r: Any, d: Any, q: Any, norm: float
    ) -> tuple[float, float]:
        """d made orthogonal, q = A d; (d'r, d'q), the latter 0 where it is no direction to go along."""
        if last:
            sums = dots(d, [product for _, product, _ in last])
            d.maxpy([-s / c for s, (_, _, c) in zip(sums, last, strict=True)], [one for one, _, _ in last])
        mat.mult(d, q)
        slope, curvature, squared = dots(d, [r, q, d])
        length = float(np.sqrt(squared)) if squared > 0 else 0.0
        sound = np.isfinite([slope, curvature, squared]).all() and length > 0 and curvature > 0
        if not sound or (last and abs(slope) <= ROUNDING * length * norm):
            return 0.0, 0.0
        return slope, curvature


def dots(vector: Any, others: list[Any]) -> list[float]:
    """Dot products with several vectors, in one reduction."""
    for other in others:
        vector.dotBegin(other)
    return [float(vector.dotEnd(other)) for other in others]


class LearnedDirection:
    """`PCPYTHON`: the shipped convolutional net on each rank's box of a DMDA, for `ConjugateDirections`.

    It is not linear: PETSc's own Krylov methods do not take it. The matrix is made by a DMDA of two or three dimensions
    and one unknown a cell. Beyond a box's end at another rank the net sees zeros.
    """

    def __init__(self) -> None:
        self._net: Any = None

    def setUp(self, pc: Any) -> None:
        _, mat = pc.getOperators()
        da, shape = grid_of(pc, mat)
        with together(mat.comm):
            self._net = linalg.LearnedDirection(shape, bc=ends_of(da))

    def apply(self, pc: Any, r: Any, z: Any) -> None:
        values = r.getArray(readonly=True)
        # the net gives a direction of unit size: each box's part counts as its residual does
        z.getArray()[:] = float(np.linalg.norm(values)) * self._net.matvec(values)

    def view(self, pc: Any, viewer: Any) -> None:
        viewer.printfASCII("  LearnedDirection of solvers: the shipped net on each rank's box\n")
