"""Problems all of whose functions are compiled, read without a call of them: such a solve may take microseconds."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.compiled import address_of
from ._constraints import Box
from ._kernels import Compiled
from ._nlp import Calls, Program
from ._pieces import LinearRows, Rows, sides
from ._program import LARGE

Array = npt.NDArray[Any]


def direct(
    fun: Any, jac: Any, hess: Any, constraints: Any, x0: Array, limits: Box
) -> tuple[Program, list[Rows]] | None:
    """The program and its constraints; None where it needs Python for something, or is large."""
    if address_of(fun) is None:
        return None
    given = constraints if isinstance(constraints, (list, tuple)) else [constraints]
    rows, blocks, n, row_calls = [], [], len(x0), Calls()
    for k, one in enumerate(given):
        r, block = _rows(one, x0, f"constraints[{k}]" if given is constraints else "constraints")
        if r is None:
            return None
        if not r.linear:
            r.calls = row_calls  # all are called at the same points
        rows.append(r)
        blocks.append(block)
    f = Compiled(n, fun, jac, hess, blocks)
    if not (f.has_gradient and f.has_hessian and f.has_constraints and f.has_jacobian) or n + f.m > LARGE:
        return None
    if len(rows) == 1 and not rows[0].linear:  # most often, and joining takes as long as some iterations
        lower, upper, linear = rows[0].lower, rows[0].upper, np.zeros(rows[0].m, bool)
    else:
        lower, upper = (np.concatenate([np.zeros(0), *(getattr(r, s) for r in rows)]) for s in ("lower", "upper"))
        linear = np.concatenate([np.zeros(0, bool), *(np.full(r.m, r.linear) for r in rows)])
    program = Program(
        x0=x0, lower=limits.lower, upper=limits.upper, row_lower=lower, row_upper=upper, linear=linear,
        fun=f.fun, gradient=f.gradient, constraints=f.constraints, jacobian=f.jacobian, hessian=f.hessian, compiled=f,
        row_calls=[row_calls],
    )  # fmt: skip
    return program, rows


def _rows(given: Any, x0: Array, name: str) -> tuple[Rows | None, Any]:
    """A constraint, and its block of `Compiled`; None where Python is needed for it."""
    keep = getattr(given, "keep_feasible", True)  # which dicts do not have
    if keep is not False and np.any(keep):
        return None, None
    if hasattr(given, "A"):
        linear = LinearRows(given.A, len(x0), name)
        linear.limit(given.lb, given.ub, False, x0)
        linear.take(sparse=False)
        return linear, linear.A
    if not hasattr(given, "lb"):
        return None, None
    rows = CompiledRows(given, name)
    return (rows, (rows.m, given.fun, given.jac, given.hess)) if rows.all_held else (None, None)


def _count(side: Any) -> int:
    return side.size if type(side) is np.ndarray else int(np.size(side))


class CompiledRows(Rows):
    """Rows of compiled functions, as many as their sides tell."""

    def __init__(self, given: Any, name: str) -> None:
        self.name, self.places, self.linear = name, None, False
        self.total = self.m = max(_count(given.lb), _count(given.ub))
        #: Whether each has a finite side.
        self.lower, self.upper, self.all_held = sides(given.lb, given.ub, self.m, name)
