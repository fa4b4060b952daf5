"""Minimisation of functions."""

from . import _adasketch, _bcd, _gala, _precondition, _sketch  # noqa: F401  (they register their methods)
from ._kkt import KKTResult, kkt_solve
from ._sketch_solve import sketch_solve
from ._solve import minimize

__all__ = ["KKTResult", "kkt_solve", "minimize", "sketch_solve"]
