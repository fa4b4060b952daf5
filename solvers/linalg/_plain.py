"""Solves by SSOR-CG that ask for nothing unusual, with little around the loop: on a small grid they take 0.1 ms.

What is checked, done and returned is what the long way makes of the same arguments (`_solve.py` and the loop of
`_base/iterate.py`), which goes on from here wherever the first run of the compiled loop does not reach the tolerance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from time import perf_counter
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from .._base import threads as _threads
from .._base._runtime import columns
from .._base.iterate import Control, run
from .._base.options import build
from .._base.result import Status
from .._base.state import made
from . import _kernels
from ._cg import RESTARTS, CgState, begun
from ._nullspace import explained
from ._problem import REACHED, LinearProblem, LinearResult, Matrix, a_step, at_rest, following
from ._ssor_cg import METHOD, SsorCg, row_sum_omega
from ._symmetry import objection

Array = npt.NDArray[Any]

FLOAT64 = np.dtype(np.float64)


def plain(
    A: Matrix,
    b: Any,
    x0: Any,
    rtol: Any,
    atol: Any,
    reference: str,
    options: Any,
    assume_symmetric: bool,
    max_iter: Any,
    time_limit: Any,
    threads: int | None,
) -> LinearResult | None:
    """The result; None where the arguments are of another kind, or wrong, or the start good enough."""
    start = perf_counter()
    limits = _tolerance(rtol) and _tolerance(atol) and rtol + atol > 0 and type(max_iter) is int and max_iter > 0
    limits = limits and (time_limit is None or (type(time_limit) in (float, int) and time_limit > 0))
    if not (
        limits and reference == "b" and _vector(b, A.size) and (x0 is None or _vector(x0, A.size)) and _numbers(options)
    ):
        return None
    count = _threads.resolve(threads)
    solver = build(SsorCg, METHOD.name, options)
    operand = A.operand(solver.order_of(A))
    operand.threads = count
    if objection(A, assume_symmetric):
        return None
    omega = row_sum_omega(operand, A.size) if solver.omega == "auto" else float(solver.omega)
    elapsed = perf_counter() - start
    if time_limit is not None and elapsed >= time_limit:
        return None
    found = _kernels.ssor_cg(operand, omega, b, x0, rtol, atol, min(a_step(A), max_iter))
    if found is None:
        return None
    at_start, size, nit, measure, outcome, vectors, numbers = found
    if outcome != REACHED:
        first = begun(np.zeros(A.size) if x0 is None else x0, at_start)
        state = following(first, operand, nit, measure, outcome, **vectors, numbers=numbers)
        problem = LinearProblem(
            A, b, first.x, max(rtol * size, atol), max_iter, False, count, assume_symmetric=assume_symmetric,
            size_of_b=size, begun=(first, state),
        )  # fmt: skip
        control = Control(max_iter, time_limit, resume=None if time_limit is None else state)
        result = cast(LinearResult, run(METHOD, problem, control, options, start=start))
        if time_limit is not None:  # it went on from the state, which the clock must not take away
            result = result.changed(history=_with_first(result.history, at_start, elapsed))
        return explained(result, problem)
    x = operand.unpack(vectors.pop("x"))
    state = made(CgState, x=x, numbers=numbers, outcome=outcome, nit=nit, measure=measure, **at_rest(operand, vectors))
    history = columns([(0, at_start, elapsed), (nit, measure, perf_counter() - start)])
    return LinearResult.made({
        "x": x, "success": True, "status": Status.CONVERGED, "message": Status.CONVERGED.sentence, "nit": nit,
        "measure": measure, "method": METHOD.name, "options": {"omega": solver.omega, "ordering": solver.ordering},
        "stats": {
            "copies": A.copies, "threads": count, "omega": omega, "restarts": int(numbers[RESTARTS]),
            "isa": _threads.build_info()["isa"], "seconds": perf_counter() - start,
        },
        "history": dict(zip(("nit", "measure", "seconds"), history, strict=True)), "state": state,
        "residual_norm": measure, "columns": (),
    })  # fmt: skip


def _with_first(history: Mapping[str, Array], at_start: float, elapsed: float) -> dict[str, Array]:
    """The history with the row of the start."""
    rows = zip((0, at_start, elapsed), history.values(), strict=True)
    return {name: np.concatenate(([first], column)) for name, (first, column) in zip(history, rows, strict=True)}


def _tolerance(value: Any) -> bool:
    return type(value) in (float, int) and 0 <= value < math.inf


def _vector(value: Any, size: int) -> bool:
    """Whether it is a vector that the kernels read where it is."""
    return (
        type(value) is np.ndarray
        and value.dtype == FLOAT64
        and value.shape == (size,)
        and value.flags.c_contiguous
        and size > 0
    )


def _numbers(options: Any) -> bool:
    """Whether no omega is a tuner."""
    return options is None or (type(options) is dict and type(options.get("omega", "")) in (float, int, str))
