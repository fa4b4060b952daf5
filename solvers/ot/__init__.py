"""Entropic and exact optimal transport between weighted sets, from a cost matrix or from points."""

from ._emd import emd, emd_sample
from ._exact import ExactTransportResult
from ._newton import Newton
from ._plan import Plan
from ._problem import TransportResult
from ._rounding import RoundedPlan
from ._sinkhorn import Sinkhorn
from ._sns import SinkhornNewtonSparse
from ._solve import solve, solve_sample

__all__ = [
    "ExactTransportResult",
    "Newton",
    "Plan",
    "RoundedPlan",
    "Sinkhorn",
    "SinkhornNewtonSparse",
    "TransportResult",
    "emd",
    "emd_sample",
    "solve",
    "solve_sample",
]
