"""Monotone inclusions and saddle points: variational inequalities, matrix games, linear programs, fixed points."""

from . import _interior as _interior
from ._linprog import LinprogResult, linprog
from ._lp import lp
from ._lp_problem import LpResult
from ._mps import read_mps
from ._program import LinearProgram

__all__ = ["LinearProgram", "LinprogResult", "LpResult", "linprog", "lp", "read_mps"]
