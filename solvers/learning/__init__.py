"""Penalised regression and classification: `glm`, and estimators for scikit-learn over it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from . import _working_set as _working_set
from ._problem import GlmResult
from ._solve import glm

if TYPE_CHECKING:
    from ._estimators import NNLS, ElasticNet, Lasso

#: What needs scikit-learn, which is imported when one of them is first used.
_ESTIMATORS = ("ElasticNet", "Lasso", "NNLS")

__all__ = ["NNLS", "ElasticNet", "GlmResult", "Lasso", "glm"]


def __getattr__(name: str) -> Any:
    if name in _ESTIMATORS:
        return getattr(importlib.import_module("._estimators", __name__), name)
    raise AttributeError(f"module 'solvers.learning' has no attribute {name!r}")
