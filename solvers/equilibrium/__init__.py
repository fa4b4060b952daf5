"""Monotone inclusions and saddle points: variational inequalities, matrix games, linear programs, fixed points."""

from __future__ import annotations

from . import _anderson as _anderson
from . import _eag as _eag
from . import _eg as _eg
from . import _feg as _feg
from . import _halpern as _halpern
from . import _ogda as _ogda
from . import _picard as _picard
from ._fixed_point import fixed_point
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
    "fixed_point",
    "solve",
]
