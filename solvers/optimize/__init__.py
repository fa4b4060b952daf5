"""Minimisation of functions."""

from . import _bcd  # noqa: F401  (it registers its method)
from ._solve import minimize

__all__ = ["minimize"]
