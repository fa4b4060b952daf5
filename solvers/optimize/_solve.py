"""The entry of the family: from the user's functions to a checked problem to a method."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from .._base.blocks import BlockResult
from .._base.iterate import Callback, Control, run
from .._base.method import lookup
from .._base.rng import RNG, check_rng
from ._bcd import block_problem, is_smooth, nothing
from ._forms import nonlinear_problem
from ._result import MinimizeResult
from ._scipy_names import callback_of, translated

Array = npt.NDArray[Any]


def minimize(
    fun: Any,
    x0: npt.ArrayLike,
    args: Any = (),
    method: str | None = None,
    jac: Any = None,
    hess: Any = None,
    hessp: Callable[..., Any] | None = None,
    bounds: Any = None,
    constraints: Any = (),
    tol: float | None = None,
    callback: Callback | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    max_iter: int | None = None,
    time_limit: float | None = None,
    check_derivatives: bool = False,
    finite_diff_rel_step: npt.ArrayLike | None = None,
    block_grad: Callable[..., Any] | None = None,
    block_hess: Callable[..., Any] | None = None,
    block_min: Callable[[Array, Array], npt.ArrayLike] | None = None,
    bound: Any = None,
    penalty: Any = None,
    blocks: Sequence[npt.ArrayLike] | int | None = None,
    verbose: int = 0,
    resume: Any = None,
    rng: RNG = 0,
    threads: int | None = None,
) -> MinimizeResult | BlockResult:
    """DOC"""
    own, keywords = translated(options)
    tol, max_iter = _first(tol, keywords.get("tol")), _first(max_iter, keywords.get("max_iter"))
    verbose = verbose or keywords.get("verbose", 0)
    limit = _first(time_limit, keywords.get("time_limit"))
    every = callback is not None or verbose == 2
    blockwise = {"block_grad": block_grad, "block_hess": block_hess, "block_min": block_min, "bound": bound,
                 "penalty": penalty, "blocks": blocks}  # fmt: skip
    asked = [name for name, value in blockwise.items() if value is not None]
    if method is None:
        method, why = _chosen(fun, asked)
    else:
        why = ""
    if method == "bcd":
        _no_constraints(constraints, hess, hessp)
        control = Control(_first(max_iter, 100_000), limit, callback, verbose, resume)
        blocked = block_problem(
            fun, x0, args, jac, bounds, **blockwise, tol=_first(tol, 1e-6), max_iter=control.max_iter, every=every, rng=rng,
            threads=threads,
        )  # fmt: skip
        record = lookup("optimize", method, blocked.needs)
        if blocked.smooth.size == 0:
            return nothing(blocked, record.name)
        return cast(BlockResult, run(record, blocked, control, own, why))
    record = lookup("optimize", method)
    if asked:
        raise ValueError(f"{', '.join(asked)}: only method 'bcd' takes this, not {method!r}")
    check_rng(rng)
    control = Control(_first(max_iter, 3000), limit, callback, verbose, resume)
    problem = nonlinear_problem(
        fun, x0, args, jac, hess, hessp, bounds, constraints, tol=tol, max_iter=control.max_iter, every=every,
        threads=threads, relative=_first(finite_diff_rel_step, keywords.get("finite_diff_rel_step")),
        absolute=keywords.get("eps"), check=check_derivatives or bool(keywords.get("check_derivatives")),
    )  # fmt: skip
    lookup("optimize", method, problem.needs)
    if callback is not None:
        control = Control(control.max_iter, limit, callback_of(callback, problem.program.fun), verbose, resume)
    return cast(MinimizeResult, run(record, problem, control, own, why))


def _first(*values: Any) -> Any:
    """The first that is not None."""
    return next((value for value in values if value is not None), None)


def _chosen(fun: Any, asked: list[str]) -> tuple[str, str]:
    """The method where none is asked for, and why."""
    if is_smooth(fun):
        return "bcd", "Chose bcd, the method for functions of solvers.learning."
    if asked:
        return "bcd", f"Chose bcd, the method that takes {', '.join(asked)}."
    return "gala", "Chose gala, the method for smooth functions with bounds and constraints."


def _no_constraints(constraints: Any, hess: Any, hessp: Any) -> None:
    if constraints is not None and np.size(constraints):
        raise ValueError("constraints: method 'bcd' takes bounds alone; use 'gala'")
    for given, name in ((hess, "hess"), (hessp, "hessp")):
        if given is not None:
            raise ValueError(f"{name}: method 'bcd' takes block_hess in its place; use 'gala' with {name}")
