"""What SciPy's users write in their own way: names of options, and callbacks."""

from __future__ import annotations

import dataclasses
import inspect
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.iterate import Callback
from .._base.options import as_mapping
from .._base.result import SolveResult

#: Options of SciPy's methods, and the keyword of `minimize` that each is here.
KEYWORDS = {
    "maxiter": "max_iter",
    "maxtime": "time_limit",
    "disp": "verbose",
    "verbose": "verbose",
    "tol": "tol",
    "gtol": "tol",
    "finite_diff_rel_step": "finite_diff_rel_step",
    "eps": "eps",
    "check_derivatives": "check_derivatives",
}
#: Options of SciPy's methods without a counterpart here.
FOREIGN = frozenset({
    "xtol", "ftol", "barrier_tol", "sparse_jacobian", "initial_constr_penalty", "initial_tr_radius",
    "initial_barrier_parameter", "initial_barrier_tolerance", "factorization_method", "workers", "iprint", "return_all",
    "maxfun", "maxfev", "maxcor", "maxls", "norm", "xrtol", "c1", "c2", "hess_inv0", "rhobeg", "catol", "f_target",
    "feasibility_tol", "final_tr_radius", "scale", "xatol", "fatol", "adaptive", "initial_simplex", "direc",
    "max_trust_radius", "eta", "stepmx", "accuracy", "minfev", "rescale", "maxCGit", "offset", "subproblem_maxiter",
})  # fmt: skip


def translated(options: Mapping[str, Any] | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """The method's own options, and the keywords that stand for SciPy's; a warning for those that mean nothing here."""
    own, keywords = {}, {}
    for name, value in as_mapping(options).items():
        if name in KEYWORDS:
            keywords[KEYWORDS[name]] = _converted(name, value)
        elif name in FOREIGN:
            _warn(f"option {name!r} is one of SciPy's own methods and means nothing here: ignored")
        else:
            own[name] = value
    return own, keywords


def _converted(name: str, value: Any) -> Any:
    if name in ("disp", "verbose"):
        return min(int(value), 2) if isinstance(value, bool | int | np.bool_ | np.integer) else value
    return value


def _warn(text: str) -> None:
    from scipy.optimize import OptimizeWarning

    warnings.warn(text, OptimizeWarning, stacklevel=4)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class IntermediateResult(SolveResult):
    """What a callback gets: a `SolveResult` with `fun`, the objective at its x."""

    fun: float


def callback_of(callback: Any, value: Callable[[npt.NDArray[Any]], float]) -> Callback | None:
    """The callback as the loop calls it, with one result.

    By its parameters: named `x` or `xk`, the point alone; two of them, the point and the result; any other, the result,
    which has SciPy's `intermediate_result` as its name where the parameter has.
    """
    if callback is None or not callable(callback):
        return callback  # type: ignore[no-any-return]
    try:
        parameters = list(inspect.signature(callback).parameters.values())
    except (TypeError, ValueError):  # a builtin, which does not tell
        parameters = []
    needed = [
        p.name for p in parameters if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]

    def result(state: SolveResult) -> IntermediateResult:
        shared = {f.name: getattr(state, f.name) for f in dataclasses.fields(SolveResult)}
        return IntermediateResult(**shared, fun=value(state.x))

    if [p.name for p in parameters] == ["intermediate_result"]:
        return lambda state: callback(intermediate_result=result(state))
    if len(needed) == 2:
        return lambda state: callback(state.x.copy(), result(state))
    if needed in (["x"], ["xk"]):
        return lambda state: callback(state.x.copy())
    return lambda state: callback(result(state))
