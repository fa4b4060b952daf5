"""Entropic and exact optimal transport between weighted sets, from a cost matrix or from points."""

from ._batch import TransportBatchResult, solve_batch
from ._derivative import Derivative, derivative
from ._divergence import DivergenceResult, sinkhorn_divergence, sinkhorn_divergence_from_costs
from ._emd import emd, emd_sample
from ._exact import ExactTransportResult
from ._gradients import Gradients, gradients
from ._newton import Newton
from ._path import solve_path
from ._plan import Plan
from ._problem import TransportResult
from ._rounding import RoundedPlan
from ._sinkhorn import Sinkhorn
from ._sns import SinkhornNewtonSparse
from ._solve import solve, solve_sample
from ._solve_unbalanced import solve_unbalanced, solve_unbalanced_sample
from ._ssns import SafeSparseNewton
from ._unbalanced import UnbalancedResult
from ._unbalanced_newton import UnbalancedNewton
from ._unbalanced_sinkhorn import UnbalancedSinkhorn

__all__ = [
    "Derivative",
    "DivergenceResult",
    "ExactTransportResult",
    "Gradients",
    "Newton",
    "Plan",
    "RoundedPlan",
    "SafeSparseNewton",
    "Sinkhorn",
    "SinkhornNewtonSparse",
    "TransportBatchResult",
    "TransportResult",
    "UnbalancedNewton",
    "UnbalancedResult",
    "UnbalancedSinkhorn",
    "derivative",
    "emd",
    "emd_sample",
    "gradients",
    "sinkhorn_divergence",
    "sinkhorn_divergence_from_costs",
    "solve",
    "solve_batch",
    "solve_path",
    "solve_sample",
    "solve_unbalanced",
    "solve_unbalanced_sample",
]
