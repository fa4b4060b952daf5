"""Linear systems by iterative methods: over a compiled core, once or over a sequence of systems."""

from ._cg import ConjugateGradients
from ._chebyshev import Chebyshev
from ._grid import GridOperator
from ._jacobi import Jacobi
from ._matrix import Plan, plan
from ._precondition import Ic0Preconditioner, SsorPreconditioner, ic0, ssor
from ._problem import LinearResult
from ._solve import solve
from ._sor import GaussSeidel, Sor
from ._ssor_cg import SsorCg
from ._surrogates import surrogate_sor, surrogate_ssor

__all__ = [
    "Chebyshev",
    "ConjugateGradients",
    "GaussSeidel",
    "GridOperator",
    "Ic0Preconditioner",
    "Jacobi",
    "LinearResult",
    "Plan",
    "Sor",
    "SsorCg",
    "SsorPreconditioner",
    "ic0",
    "plan",
    "solve",
    "ssor",
    "surrogate_sor",
    "surrogate_ssor",
]
