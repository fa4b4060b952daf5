"""Penalised regression and classification: `glm`, estimators for scikit-learn over it; quadratics by block coordinate
descent."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .._base.blocks import BlockCoordinateDescent, BlockResult
from .._base.blocks.partition import comb
from . import _bcd as _bcd
from . import _coordinate_descent as _coordinate_descent
from . import _group_working_set as _group_working_set
from . import _newton_cg as _newton_cg
from . import _newton_gram as _newton_gram
from . import _working_set as _working_set
from ._bcd_losses import LeastSquares, Logistic, Multinomial
from ._glm import glm
from ._path import GlmPath, glm_path
from ._problem import GlmResult
from ._quadratics import quadratic

if TYPE_CHECKING:
    from ._classifiers import LogisticRegression
    from ._estimators import NNLS, ElasticNet, GroupLasso, Lasso, LassoCV
    from ._propagation import LabelPropagation

#: What needs scikit-learn, which is imported when one of them is first used: name -> module.
_ESTIMATORS = {
    "ElasticNet": "._estimators", "GroupLasso": "._estimators", "Lasso": "._estimators", "LassoCV": "._estimators",
    "NNLS": "._estimators", "LabelPropagation": "._propagation", "LogisticRegression": "._classifiers",
}  # fmt: skip

__all__ = [
    "NNLS",
    "BlockCoordinateDescent",
    "BlockResult",
    "ElasticNet",
    "GlmPath",
    "GlmResult",
    "GroupLasso",
    "LabelPropagation",
    "Lasso",
    "LassoCV",
    "LeastSquares",
    "Logistic",
    "LogisticRegression",
    "Multinomial",
    "comb",
    "glm",
    "glm_path",
    "quadratic",
]


def __getattr__(name: str) -> Any:
    if name in _ESTIMATORS:
        return getattr(importlib.import_module(_ESTIMATORS[name], __name__), name)
    raise AttributeError(f"module 'solvers.learning' has no attribute {name!r}")
