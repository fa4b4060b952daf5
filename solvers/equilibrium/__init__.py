"""Monotone inclusions and saddle points: variational inequalities, matrix games, linear programs, fixed points."""

from __future__ import annotations

from . import _eg as _eg
from . import _interior as _interior
from . import _ogda as _ogda
from . import _sqp as _sqp
from . import _vr_eg as _vr_eg
from . import _vr_halpern as _vr_halpern
from . import _vr_halpern_coco as _vr_halpern_coco
from ._dro_problem import GroupDroResult
from ._finite_sum import Components, GameComponents
from ._group_dro import group_dro
from ._linprog import LinprogResult, linprog
from ._lp import lp
from ._lp_problem import LpResult
from ._mps import read_mps
from ._operators import Affine, Bilinear
from ._problem import Certificate, EquilibriumResult
from ._program import LinearProgram
from ._sets import Box, L1Ball, L2Ball, NonNegative, Simplex
from ._solve import solve

__all__ = [
    "Affine",
    "Bilinear",
    "Box",
    "Certificate",
    "Components",
    "EquilibriumResult",
    "GameComponents",
    "GroupDroResult",
    "L1Ball",
    "L2Ball",
    "LinearProgram",
    "LinprogResult",
    "LpResult",
    "NonNegative",
    "Simplex",
    "group_dro",
    "linprog",
    "lp",
    "read_mps",
    "solve",
]
