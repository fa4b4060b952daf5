"""Monotone inclusions and saddle points: variational inequalities, matrix games, linear programs, fixed points."""

from __future__ import annotations

from . import _eg as _eg
from . import _ogda as _ogda
from ._operators import Affine, Bilinear
from ._problem import Certificate, EquilibriumResult
from ._sets import Box, L1Ball, L2Ball, NonNegative, Simplex
from ._solve import solve

__all__ = [
    "Affine",
    "Bilinear",
    "Box",
    "Certificate",
    "EquilibriumResult",
    "L1Ball",
    "L2Ball",
    "NonNegative",
    "Simplex",
    "solve",
]
