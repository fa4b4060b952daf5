"""Checkers that judge a result from the user's data alone, by NumPy: nothing of the solvers is used.

* `solvers.testing.check_transport`, `check_transport_batch`  results of `solvers.ot`
"""

from .transport import TransportReport, check_transport, check_transport_batch

__all__ = ["TransportReport", "check_transport", "check_transport_batch"]
