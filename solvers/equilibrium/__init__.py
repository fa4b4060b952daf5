"""Monotone inclusions and saddle points: variational inequalities, matrix games, linear programs, fixed points."""

from __future__ import annotations

from . import _eg as _eg
from . import _ogda as _ogda
from . import _sqp as _sqp
from ._dro_problem import GroupDroResult
from ._group_dro import group_dro
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
    "GroupDroResult",
    "L1Ball",
    "L2Ball",
    "NonNegative",
    "Simplex",
    "group_dro",
    "solve",
]
