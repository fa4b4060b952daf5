"""A nonlinear program with what is asked of its solve, as the methods for it are given one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ._kernels import NLP
from ._nlp import Program
from ._pieces import Rows

Array = npt.NDArray[Any]

EQUALITIES, GENERAL = frozenset({"equality-program"}), frozenset({"nonlinear-program"})


@dataclass(eq=False, repr=False)  # not frozen, which takes as long to make as some iterations of the loop
class NonlinearProblem:
    """A checked program; the states of its methods have an x of shape (n,)."""

    program: Program
    tol: float
    max_iter: int
    threads: int = 1
    copies: int = 0
    #: Whether each iteration is asked for, by a callback or a log.
    every: bool = False
    #: The user's constraints, in their order, and whether bounds were given.
    rows: tuple[Rows, ...] = ()
    bounded: bool = False
    #: Those of a start that has some: of all rows, and of the bounds.
    multipliers: tuple[Array, Array] | None = None
    #: The linear algebra that serves it and its name, by the option that chose it.
    served: dict[str, tuple[NLP, str]] = field(default_factory=dict)
    #: The measure of the start and a state, where the solve has begun before the loop.
    begun: tuple[float, Any] | None = None
    #: Of the draws of a randomised method, and what such a method keeps between steps.
    seed: int = 0
    scratch: dict[str, Any] = field(default_factory=dict)

    @property
    def needs(self) -> frozenset[str]:
        """The capabilities that a method must have."""
        return EQUALITIES if self.program.equalities else GENERAL

    @property
    def stats(self) -> Mapping[str, Any]:
        named: dict[str, Any] = {"copies": self.copies, "threads": self.threads}
        if self.rows:
            calls = [(r.calls.nfev, r.calls.njev, r.calls.nhev) for r in self.rows]
            named["constr_nfev"], named["constr_njev"], named["constr_nhev"] = map(list, zip(*calls, strict=True))
        return named

    @property
    def title(self) -> str:
        return f"{self.program.n} variables, {self.program.m} constraints, tol {self.tol:g}"

    def answer(self, state: Any) -> Array:
        """The point of a state."""
        x: Array = state.x.view()
        x.flags.writeable = False
        return x

    def shared(self, y: Array, z: Array) -> list[Array]:
        """The multipliers of each of the user's constraints, 0 for rows without a side; after them the bounds', if any.

        They have SciPy's sign: ``grad f + sum J'v = 0``, positive where an upper side holds x back.
        """
        out, begin = [], 0
        for r in self.rows:
            own = y[begin : begin + r.m]
            begin += r.m
            if r.places is not None:
                v = np.zeros(r.total)
                v[r.places] = own
                own = v
            out.append(own)
        return [*out, z] if self.bounded else out
