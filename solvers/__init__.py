"""Numerical solvers under a SciPy-like API over compiled AVX2 and AVX-512 kernels.

Sub-packages are loaded when they are first used:

* `solvers.special`  softmax, log_softmax, logsumexp, softmax_jvp, LogSumExpAccumulator
* `solvers.ot`       entropic optimal transport
* `solvers.linalg`   linear systems by iterative methods
* `solvers.learning` generalised linear models, quadratics by block coordinate descent
* `solvers.optimize` constrained minimisation, randomised linear algebra, functions by blocks of coordinates
* `solvers.equilibrium` monotone inclusions, matrix games, linear programs, fixed points
* `solvers.datasets` readers of the files that benchmarks come in
* `solvers.testing`  checkers that judge a result from the user's data, by NumPy alone
* `solvers.integrations` adapters to other packages: SciPy, POT, PETSc, ...
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from . import _base as _base  # tells what to do where the compiled part is missing

if TYPE_CHECKING:
    from . import datasets, equilibrium, integrations, learning, linalg, optimize, ot, special, testing
    from ._base.config import get_include, get_library_dir, show_config
    from ._base.errors import CopyWarning, MethodError, OptionError, SolveError, SolversError
    from ._base.method import Method, methods, register
    from ._base.result import SolveResult, Status
    from .linalg import solve as linsolve
    from .optimize import minimize

_LAZY = {
    "CopyWarning": "_base.errors",
    "Method": "_base.method",
    "MethodError": "_base.errors",
    "OptionError": "_base.errors",
    "SolveError": "_base.errors",
    "SolveResult": "_base.result",
    "SolversError": "_base.errors",
    "Status": "_base.result",
    "datasets": "",
    "equilibrium": "",
    "get_include": "_base.config",
    "get_library_dir": "_base.config",
    "integrations": "",
    "learning": "",
    "linalg": "",
    "linsolve": "linalg",
    "methods": "_base.method",
    "minimize": "optimize",
    "optimize": "",
    "ot": "",
    "register": "_base.method",
    "show_config": "_base.config",
    "special": "",
    "testing": "",
}

#: Names that a sub-package has under another one.
_RENAMED = {"linsolve": "solve"}

__all__ = [
    "CopyWarning", "Method", "MethodError", "OptionError", "SolveError", "SolveResult", "SolversError", "Status",
    "datasets", "equilibrium", "get_include", "get_library_dir", "integrations", "learning", "linalg", "linsolve",
    "methods", "minimize", "optimize", "ot", "register", "show_config", "special", "testing",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("solvers-toolkit")
    if name not in _LAZY:
        raise AttributeError(f"module 'solvers' has no attribute {name!r}")
    if not _LAZY[name]:
        return importlib.import_module(f".{name}", __name__)
    found = getattr(importlib.import_module(f".{_LAZY[name]}", __name__), _RENAMED.get(name, name))
    globals()[name] = found  # the next access does not come here
    return found


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
