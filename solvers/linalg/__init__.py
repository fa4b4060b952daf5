"""Linear systems by iterative methods: over a compiled core, once or over a sequence of systems."""

from ._cg import ConjugateGradients
from ._grid import GridOperator
from ._matrix import Plan, plan
from ._problem import LinearResult
from ._solve import solve
from ._sor import Sor

__all__ = ["ConjugateGradients", "GridOperator", "LinearResult", "Plan", "Sor", "plan", "solve"]
