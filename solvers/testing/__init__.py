"""Checkers that judge a result from the user's data alone, by NumPy: nothing of the solvers is used.

* `solvers.testing.check_transport`, `check_transport_batch`  results of `solvers.ot`
* `solvers.testing.check_linear`                             results of `solvers.linalg.solve`

`solvers.testing.grid_family` makes random systems on grids.
"""

from .grids import grid_family
from .linear import LinearReport, check_linear
from .transport import TransportReport, check_transport, check_transport_batch

__all__ = ["LinearReport", "TransportReport", "check_linear", "check_transport", "check_transport_batch", "grid_family"]
