"""Checkers that judge a result from the user's data alone, by NumPy: nothing of the solvers is used.

* `solvers.testing.check_transport`, `check_transport_batch`  results of `solvers.ot`
* `solvers.testing.check_linear`                             results of `solvers.linalg.solve`
* `solvers.testing.verify`                                   results of `solvers.equilibrium`
* `solvers.testing.grid_problem`                             grid operators by family and seed
"""

from .equilibrium import CertificateReport, verify
from .grids import GRID_FAMILIES, GridProblem, grid_problem
from .linear import LinearReport, check_linear
from .transport import TransportReport, check_transport, check_transport_batch

__all__ = [
    "GRID_FAMILIES",
    "CertificateReport",
    "GridProblem",
    "LinearReport",
    "TransportReport",
    "check_linear",
    "check_transport",
    "check_transport_batch",
    "grid_problem",
    "verify",
]
