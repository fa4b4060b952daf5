"""The constants of blocks: bounds of their Hessians, the largest eigenvalues of those, factors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg

from .smooth import Smooth, spectral_bound

Array = npt.NDArray[Any]

#: Eigenvalues below this part of the largest are rounding.
RANK = 1e-12
#: Coordinates of a block beyond which its largest eigenvalue is bounded by row sums.
LARGE = 512


class NegativeCurvatureError(Exception):
    """A block of the Hessian has a negative eigenvalue: the function is not convex there."""


@dataclass(frozen=True, eq=False)
class Factor:
    """A symmetric positive semidefinite H, ready for solves."""

    cholesky: Any = None
    vectors: Array | None = None
    values: Array | None = None

    def solve(self, g: Array) -> Array:
        """H^+ g."""
        if self.cholesky is not None:
            return np.asarray(scipy.linalg.cho_solve(self.cholesky, g, check_finite=False))
        assert self.vectors is not None
        assert self.values is not None
        kept = self.values > 0
        V = self.vectors[:, kept]
        return np.asarray(V @ ((V.T @ g) / self.values[kept]))

    def outside(self, g: Array) -> Array | None:
        """The part of g that H does not reach; None where that is rounding."""
        if self.cholesky is not None:
            return None
        assert self.vectors is not None
        assert self.values is not None
        V = self.vectors[:, self.values == 0]
        left = np.asarray(V @ (V.T @ g))
        return left if np.linalg.norm(left) > 1e-6 * np.linalg.norm(g) else None


def factored(H: Array) -> Factor:
    """Cholesky's factor where there is a sound one, else eigenvalues clipped at zero."""
    diagonal = H.diagonal()
    if (diagonal > 0).all():
        try:
            found = scipy.linalg.cho_factor(H, lower=True, check_finite=False)
            pivots = found[0].diagonal() ** 2
            if (pivots > RANK * diagonal).all():
                return Factor(cholesky=found)
        except scipy.linalg.LinAlgError:
            pass
    values, vectors = np.linalg.eigh(H)
    largest = float(np.abs(values).max(initial=0.0))
    if values.min(initial=0.0) < -1e-8 * largest:
        raise NegativeCurvatureError
    return Factor(vectors=vectors, values=np.where(values > RANK * largest, values, 0.0))


@dataclass(eq=False)
class Curvature:
    """The constants of a function over fixed blocks (or none), each found once."""

    smooth: Smooth
    blocks: list[Array] | None
    #: "size": D_i = L_i times the block's size. "rows": sums over whole rows, tighter where the matrix is sparse.
    separable: str = "size"
    _memory: dict[Any, Any] = field(default_factory=dict)

    def _once(self, key: Any, make: Any) -> Any:
        if key not in self._memory:
            self._memory[key] = make()
        return self._memory[key]

    @property
    def coordinates(self) -> Array:
        """L_i > 0 of each coordinate; one that has none takes long steps."""

        def make() -> Array:
            known = self.smooth.constants()
            if known is None:
                raise ValueError("this rule needs bounds of the curvature: pass bound=")
            largest = float(known.max(initial=0.0))
            return np.asarray(np.maximum(known, 1e-15 * largest if largest > 0 else 1.0))

        return self._once("coordinates", make)  # type: ignore[no-any-return]

    def diagonal(self, size: int) -> Array:
        """D_i with diag(D_b) >= H_b for blocks of so many."""

        def make() -> Array:
            if self.separable == "rows":
                return np.maximum(self.smooth.row_sums(), self.coordinates)
            return self.coordinates * size

        return self._once(("diagonal", size), make)  # type: ignore[no-any-return]

    def matrix(self, b: Array, k: int = -1) -> Array:
        """The bound of block b, kept where that is the fixed block k."""
        if k < 0:
            return self.smooth.bound(b)
        return self._once(("matrix", k), lambda: self.smooth.bound(b))  # type: ignore[no-any-return]

    def factor(self, b: Array, k: int = -1) -> Factor:
        """The factor of the bound of block b."""
        if k < 0:
            return factored(self.smooth.bound(b))
        return self._once(("factor", k), lambda: factored(self.matrix(b, k)))  # type: ignore[no-any-return]

    def largest(self, b: Array, k: int = -1) -> float:
        """L_b, the largest eigenvalue of the bound of block b."""
        if len(b) == 1:
            return float(self.coordinates[b[0]])
        if len(b) > LARGE:  # a bound by the sums of whole rows costs no matrix
            rows = self._once("rows", self.smooth.row_sums)
            return float(max(rows[b].max(), self.coordinates.max() * 1e-15))
        if k < 0:
            return self._largest(self.matrix(b))
        return self._once(("largest", k), lambda: self._largest(self.matrix(b, k)))  # type: ignore[no-any-return]

    def _largest(self, H: Array) -> float:
        floor = float(self.coordinates.max()) * 1e-15
        return max(float(np.linalg.eigvalsh(H)[-1]), floor)

    @property
    def block_constants(self) -> Array:
        """L_b of every fixed block."""
        assert self.blocks is not None
        blocks = self.blocks
        return self._once(  # type: ignore[no-any-return]
            "blocks", lambda: np.array([self.largest(b, k) for k, b in enumerate(blocks)])
        )

    @property
    def whole(self) -> float:
        """The largest eigenvalue of the whole bound."""
        return self._once("whole", lambda: spectral_bound(self.smooth))  # type: ignore[no-any-return]

    def inverses(self) -> list[tuple[Array, Array, Array]]:
        """(numbers of the blocks, their coordinates in rows, inverse bounds) of each size of fixed blocks."""

        def make() -> list[tuple[Array, Array, Array]]:
            assert self.blocks is not None
            sizes = np.array([len(b) for b in self.blocks])
            found = []
            for size in np.unique(sizes):
                numbers = np.flatnonzero(sizes == size)
                stack = np.array([self.factor(self.blocks[k], k).solve(np.eye(size)) for k in numbers.tolist()])
                found.append((numbers, np.array([self.blocks[k] for k in numbers]), stack))
            return found

        return self._once("inverses", make)  # type: ignore[no-any-return]
