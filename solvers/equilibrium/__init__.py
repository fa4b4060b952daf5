"""Monotone inclusions and saddle points: variational inequalities, matrix games, linear programs, fixed points."""

from __future__ import annotations

from . import _game_pdhg as _game_pdhg
from ._game import GameResult
from ._matrix_game import matrix_game

__all__ = ["GameResult", "matrix_game"]
