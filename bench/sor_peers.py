"""The other packages of the linear benchmark, and their sweeps over a matrix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse
import scipy.sparse.linalg

from . import harness

Array = npt.NDArray[Any]

#: Package -> the module that is imported of it.
MODULES = {"pyamg": "pyamg", "scikit-sparse": "sksparse.cholmod", "ilupp": "ilupp"}

OMEGA = 1.5

PYAMG_SOR = "pyamg sor"
#: Those that do a sweep's work on the whole matrix, in whatever order.
PYAMG_SWEEPS = (PYAMG_SOR, "pyamg gauss_seidel", "pyamg sor, red-black matrix")
SCIPY_TRIANGULAR = "scipy spsolve_triangular"


@dataclass(frozen=True)
class Peers:
    """The modules that are installed."""

    modules: Mapping[str, ModuleType | None]

    @property
    def pyamg(self) -> ModuleType | None:
        return self.modules["pyamg"]

    @property
    def cholmod(self) -> ModuleType | None:
        return self.modules["scikit-sparse"]

    @property
    def ilupp(self) -> ModuleType | None:
        return self.modules["ilupp"]

    @property
    def missing(self) -> list[str]:
        return [name for name, module in self.modules.items() if module is None]

    def versions(self) -> list[str]:
        """A line that names them."""
        return [", ".join(f"{name} {metadata.version(name)}" for name, module in self.modules.items() if module)]


def load() -> Peers:
    """All that are installed."""
    return Peers({name: harness.peer(module) for name, module in MODULES.items()})


def reference_sweeps(pyamg: ModuleType, A: scipy.sparse.csr_array, b: Array, x: Array, count: int) -> Array:
    """The iterate after some sweeps in the order of A's rows, in float64."""
    swept = x.copy()
    pyamg.relaxation.relaxation.sor(A, swept, b, OMEGA, iterations=count)
    return swept


def sweeps(
    peers: Peers, A: scipy.sparse.csr_array, reordered: scipy.sparse.csr_array, b: Array, x: Array, count: int
) -> dict[str, Callable[[], Any]]:
    """The peers' calls that do `count` sweeps, products or triangular solves, in A's dtype."""
    b, x = b.astype(A.dtype), x.astype(A.dtype)
    calls: dict[str, Callable[[], Any]] = {}
    if peers.pyamg is not None:
        relaxation = peers.pyamg.relaxation.relaxation
        own = {name: x.copy() for name in PYAMG_SWEEPS}
        sor, seidel, ordered = PYAMG_SWEEPS
        calls[sor] = lambda: relaxation.sor(A, own[sor], b, OMEGA, iterations=count)
        calls[seidel] = lambda: relaxation.gauss_seidel(A, own[seidel], b, iterations=count)
        calls[ordered] = lambda: relaxation.sor(reordered, own[ordered], b, OMEGA, iterations=count)
    calls["scipy A @ x"] = lambda: [A @ x for _ in range(count)]
    return calls


def triangular_solves(peers: Peers, A: scipy.sparse.csr_array, b: Array) -> dict[str, Callable[[], Any]]:
    """Solves with A's lower triangle; ilupp's is half of its IC(0) preconditioner's, which has both triangles."""
    lower = scipy.sparse.csr_array(scipy.sparse.tril(A, format="csr"))
    right = b.astype(A.dtype)
    calls: dict[str, Callable[[], Any]] = {
        SCIPY_TRIANGULAR: lambda: scipy.sparse.linalg.spsolve_triangular(lower, right, lower=True)
    }
    if peers.ilupp is not None and A.dtype == np.float64:
        factor = peers.ilupp.IChol0Preconditioner(scipy.sparse.csr_matrix(A))
        calls["ilupp IC(0), both triangles"] = lambda: factor @ right
    return calls
