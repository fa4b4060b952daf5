"""A nonlinear program with what is asked of its solve, as the methods for it are given one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from ._nlp import Program

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False, repr=False)
class NonlinearProblem:
    """A checked program; the states of its methods have an x of shape (n,)."""

    program: Program
    tol: float
    max_iter: int
    threads: int = 1
    copies: int = 0
    #: The rows of each of the user's constraints, in their order.
    parts: tuple[slice, ...] = ()

    @property
    def needs(self) -> frozenset[str]:
        """The capabilities that a method must have."""
        return frozenset({"nonlinear-program"})

    @property
    def stats(self) -> Mapping[str, Any]:
        return {"copies": self.copies, "threads": self.threads}

    @property
    def title(self) -> str:
        return f"{self.program.n} variables, {self.program.m} constraints, tol {self.tol:g}"

    def answer(self, state: Any) -> Array:
        """The point of a state."""
        x: Array = state.x.view()
        x.flags.writeable = False
        return x
