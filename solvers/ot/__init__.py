"""Entropic optimal transport between weighted sets, from a cost matrix or from points."""

from ._newton import Newton
from ._plan import Plan
from ._problem import TransportResult
from ._rounding import RoundedPlan
from ._sinkhorn import Sinkhorn
from ._sns import SinkhornNewtonSparse
from ._solve import solve, solve_sample

__all__ = [
    "Newton",
    "Plan",
    "RoundedPlan",
    "Sinkhorn",
    "SinkhornNewtonSparse",
    "TransportResult",
    "solve",
    "solve_sample",
]
