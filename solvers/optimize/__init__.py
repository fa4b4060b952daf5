"""Minimisation of functions."""

from . import _adasketch, _bcd, _gala, _precondition, _sketch  # noqa: F401  (they register their methods)
from ._batch import MinimizeBatchResult, minimize_batch
from ._kkt import KKTResult, kkt_solve
from ._nystrom import kkt_preconditioner, nystrom, sampled_inverse, weighted_gram
from ._result import MinimizeResult
from ._sketch_solve import sketch_solve
from ._solve import minimize

__all__ = [
    "KKTResult",
    "MinimizeBatchResult",
    "MinimizeResult",
    "kkt_preconditioner",
    "kkt_solve",
    "minimize",
    "minimize_batch",
    "nystrom",
    "sampled_inverse",
    "sketch_solve",
    "weighted_gram",
]
