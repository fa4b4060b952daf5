"""Entropic optimal transport between weighted sets, from a cost matrix or from points."""

from ._batch import TransportBatchResult, solve_batch
from ._path import solve_path
from ._plan import Plan
from ._problem import TransportResult
from ._sinkhorn import Sinkhorn
from ._sns import SinkhornNewtonSparse
from ._solve import solve, solve_sample

__all__ = [
    "Plan",
    "Sinkhorn",
    "SinkhornNewtonSparse",
    "TransportBatchResult",
    "TransportResult",
    "solve",
    "solve_batch",
    "solve_path",
    "solve_sample",
]
