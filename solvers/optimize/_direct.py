"""Problems all of whose functions are compiled, read without a call of them: such a solve may take microseconds."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.compiled import address_of
from ._constraints import Box
from ._kernels import Compiled
from ._nlp import Program
from ._pieces import LinearRows, Rows, sides
from ._program import LARGE

Array = npt.NDArray[Any]


def direct(
    fun: Any, jac: Any, hess: Any, constraints: Any, x0: Array, limits: Box
) -> tuple[Program, list[Rows]] | None:
    """The program and its constraints; None where it needs Python for something, or is large."""
    if address_of(fun) is None or address_of(jac) is None or address_of(hess) is None:
        return None
    given = constraints if isinstance(constraints, list | tuple) else [constraints]
    rows, blocks, n = [], [], len(x0)
    for k, one in enumerate(given):
        r, block = _rows(one, x0, f"constraints[{k}]" if given is constraints else "constraints")
        if r is None:
            return None
        rows.append(r)
        blocks.append(block)
    functions = Compiled(n, fun, jac, hess, blocks)
    if n + functions.m > LARGE:
        return None
    lower, upper, linear = (
        np.concatenate([np.zeros(0, dtype), *parts])
        for dtype, parts in (
            (np.float64, [r.lower for r in rows]),
            (np.float64, [r.upper for r in rows]),
            (np.bool_, [np.full(r.m, r.linear) for r in rows]),
        )
    )
    program = Program(
        x0=x0, lower=limits.lower, upper=limits.upper, row_lower=lower, row_upper=upper, linear=linear,
        fun=functions.fun, gradient=functions.gradient, constraints=functions.constraints,
        jacobian=functions.jacobian, hessian=functions.hessian, compiled=functions,
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
    functions: list[Any] = [getattr(given, name, None) for name in ("fun", "jac", "hess")]
    if any(address_of(function) is None for function in functions):
        return None, None
    rows = Rows(functions[0], functions[1], len(x0), name)
    rows.total = rows.m = max(np.size(given.lb), np.size(given.ub))
    rows.lower, rows.upper = sides(given.lb, given.ub, rows.m, name)
    rows.keep = np.zeros(rows.m, bool)
    held = (rows.lower > -np.inf) | (rows.upper < np.inf)
    return (rows, (rows.m, *functions)) if held.all() else (None, None)
