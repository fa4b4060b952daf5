"""Our kernels inside of functions that Numba compiles: called without the interpreter.

Numba finds this package by its entry point: `softmax`, `log_softmax` and `logsumexp` of `solvers.special` work in
compiled functions without more ado. What compiled loops sweep with is made outside of them and handed in::

    from solvers.integrations.numba import Multilevel, System

    system = System(A)

    @numba.njit
    def smoothed(system, b, x, rounds):
        for _ in range(rounds):
            system.sweep(b, x, 1.5)
        return x
"""

from ._handles import BACKWARD, FORWARD, SYMMETRIC, Multilevel, System
from ._softmax import overloads

__all__ = ["BACKWARD", "FORWARD", "SYMMETRIC", "Multilevel", "System", "init"]


def init() -> None:
    """What Numba calls before it compiles, or loads from disk, its first function."""
    overloads()
