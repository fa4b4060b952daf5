"""Whether a matrix can be symmetric positive definite: what can be seen without solving."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import _kernels

if TYPE_CHECKING:
    from ._problem import Matrix

Array = npt.NDArray[Any]

#: Pairs of mirrored entries that are compared at most, where the entries have been looked at whole before.
PROBED = 2048


def objection(A: Matrix, assume_symmetric: bool = False) -> str | None:
    """Why A is not symmetric positive definite, in words; None where nothing speaks against it.

    The diagonal is looked at whole; of the entries see `Symmetry`.
    """
    if A.size == 0:
        return None
    if A.capability == "complex-matrix":
        return "A is complex"
    # that of a grid operator that slants is one number, which it has checked
    natural = None if getattr(A, "slants", False) else A.operand("natural")
    if natural is not None and not natural.least_diagonal > 0:
        row = int(np.argmin(natural.unpack(natural.diagonal)))
        return f"A is not positive definite: its diagonal entry in row {row} is negative"
    if assume_symmetric or is_symmetric(A):
        return None
    return "A is not symmetric (assume_symmetric=True skips this check)"


def is_symmetric(A: Matrix) -> bool:
    """Whether A equals its transpose wherever that is looked at."""
    return bool(getattr(A, "symmetric", True))


class Symmetry:
    """Whether the values of a pattern are symmetric.

    Two entries that mirror one another, zero where there is none, agree to rounding of their sizes, or of the diagonal:
    in a positive definite matrix an entry is at most sqrt(a_ii a_jj). The first values of a pattern are looked at
    whole; of later ones 2048 random pairs suffice, where these agree and the last ones looked at whole were symmetric.
    """

    def __init__(self, starts: Array, columns: Array) -> None:
        self._rows = starts, columns
        self._looks, self._held = 0, False
        self._pairs: tuple[Array, Array] | None = None

    def holds(self, values: Array, diagonal: Array) -> bool:
        """Whether these are."""
        self._looks += 1
        slack = 1e-5 if values.dtype == np.float32 else 1e-10
        if self._looks == 2:
            self._pairs = mirrored_pairs(*self._rows)
        if self._held and self._pairs is not None:
            here, there = values[self._pairs[0]], values[self._pairs[1]]
            if (np.abs(here - there) <= slack * (np.abs(here) + np.abs(there))).all():
                return True
        self._held = _kernels.symmetric(*self._rows, values, diagonal, slack)
        return self._held


def mirrored_pairs(starts: Array, columns: Array) -> tuple[Array, Array] | None:
    """The places of some entries off the diagonal, and of their mirror images; None in a lopsided pattern."""
    images = _kernels.images(starts, columns)
    if images is None:
        return None
    places = np.flatnonzero(np.arange(len(images)) < images)
    if len(places) > PROBED:
        places = np.random.default_rng(0).choice(places, PROBED, replace=False)
    return places, images[places]
