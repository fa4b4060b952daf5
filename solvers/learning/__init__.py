"""Penalised regression and classification."""

from . import _working_set as _working_set
from ._glm import glm
from ._problem import GlmResult

__all__ = ["GlmResult", "glm"]
