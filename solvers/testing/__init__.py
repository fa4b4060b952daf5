"""Checkers that judge a result from the user's data alone, by NumPy: nothing of the solvers is used.

* `solvers.testing.check_transport`, `check_transport_batch`  results of `solvers.ot`
* `solvers.testing.check_linear`                             results of `solvers.linalg.solve`
* `solvers.testing.check_minimum`, `kkt`                     results of `solvers.minimize`, points of programs
* `solvers.testing.verify`                                   results of `solvers.equilibrium`
* `solvers.testing.cutest`, `cutest_table`                   nonlinear programs of the CUTEst collection
* `solvers.testing.grid_problem`                             grid operators by family and seed
"""

from .cutest_problems import CutestProblem, cutest, cutest_table
from .equilibrium import CertificateReport, verify
from .grids import GRID_FAMILIES, GridProblem, grid_problem
from .linear import LinearReport, check_linear
from .programs import KKTReport, MinimumReport, NonlinearProgram, check_minimum, kkt
from .transport import TransportReport, check_transport, check_transport_batch

__all__ = [
    "GRID_FAMILIES",
    "CertificateReport",
    "CutestProblem",
    "GridProblem",
    "KKTReport",
    "LinearReport",
    "MinimumReport",
    "NonlinearProgram",
    "TransportReport",
    "check_linear",
    "check_minimum",
    "check_transport",
    "check_transport_batch",
    "cutest",
    "cutest_table",
    "grid_problem",
    "kkt",
    "verify",
]
