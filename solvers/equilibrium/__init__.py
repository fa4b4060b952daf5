"""Monotone inclusions and saddle points: variational inequalities, matrix games, linear programs, fixed points."""

from __future__ import annotations

from . import _eg as _eg
from . import _interior as _interior
from . import _lp_pdhg as _lp_pdhg
from . import _ogda as _ogda
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
    "EquilibriumResult",
    "L1Ball",
    "L2Ball",
    "LinearProgram",
    "LinprogResult",
    "LpResult",
    "NonNegative",
    "Simplex",
    "linprog",
    "lp",
    "read_mps",
    "solve",
]
