"""Adapters to other packages, a file each; importing one needs its host."""

from __future__ import annotations

import importlib
from types import ModuleType

#: Loaded when they are first used.
ADAPTERS = ["cvxpy", "dask", "fipy", "mpi", "numba", "petsc", "pot", "scipy", "skfem", "torch"]


def __getattr__(name: str) -> ModuleType:
    if name not in ADAPTERS:
        raise AttributeError(f"module 'solvers.integrations' has no attribute {name!r}")
    return importlib.import_module(f".{name}", __name__)


def __dir__() -> list[str]:
    return ADAPTERS
