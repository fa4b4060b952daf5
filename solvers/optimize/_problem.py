"""A nonlinear program with what is asked of its solve, as the methods for it are given one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

from ._kernels import NLP
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
    #: Whether each iteration is asked for, by a callback or a log.
    every: bool = False
    #: The linear algebra that serves it and its name, by the option that chose it.
    served: dict[str, tuple[NLP, str]] = field(default_factory=dict)

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
