"""Penalised regression and classification."""

from . import _working_set as _working_set
from ._problem import GlmResult
from ._solve import glm

__all__ = ["GlmResult", "glm"]
