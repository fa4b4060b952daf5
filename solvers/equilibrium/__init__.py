"""Monotone inclusions and saddle points: variational inequalities, matrix games, linear programs, fixed points."""

from __future__ import annotations

from . import _anderson as _anderson
from . import _eag as _eag
from . import _eg as _eg
from . import _feg as _feg
from . import _game_pdhg as _game_pdhg
from . import _game_simplex as _game_simplex
from . import _halpern as _halpern
from . import _interior as _interior
from . import _krylov as _krylov
from . import _lp_pdhg as _lp_pdhg
from . import _ogda as _ogda
from . import _pdhg as _pdhg
from . import _picard as _picard
from . import _regret as _regret
from . import _sqp as _sqp
from . import _vr_eg as _vr_eg
from . import _vr_halpern as _vr_halpern
from . import _vr_halpern_coco as _vr_halpern_coco
from ._dro_problem import GroupDroResult
from ._finite_sum import Components, GameComponents
from ._fixed_point import fixed_point
from ._game import GameResult
from ._group_dro import group_dro
from ._linprog import LinprogResult, linprog
from ._lp import lp
from ._lp_problem import LpResult
from ._matrix_game import matrix_game
from ._mps import read_mps
from ._operators import Affine, Bilinear
from ._problem import Certificate, EquilibriumResult
from ._program import LinearProgram
from ._saddle_point import SaddlePointResult, saddle_point, variational_inequality
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
    "GameResult",
    "GroupDroResult",
    "L1Ball",
    "L2Ball",
    "LinearProgram",
    "LinprogResult",
    "LpResult",
    "NonNegative",
    "SaddlePointResult",
    "Simplex",
    "fixed_point",
    "group_dro",
    "linprog",
    "lp",
    "matrix_game",
    "read_mps",
    "saddle_point",
    "solve",
    "variational_inequality",
]
