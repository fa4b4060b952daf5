"""Methods of ours for `scipy.optimize.minimize`: ``minimize(..., method=solvers.integrations.scipy.gala)``."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import OptimizeResult, OptimizeWarning

from .. import optimize
from .._base.method import lookup
from ..optimize._scipy_names import KEYWORDS

#: What results there and here have under the same name.
SHARED = ("x", "fun", "jac", "success", "message", "nit", "nfev", "njev", "nhev", "constr_violation", "optimality",
          "complementarity", "v", "inner")  # fmt: skip


def gala(
    fun: Callable[..., Any],
    x0: npt.ArrayLike,
    args: tuple[Any, ...] = (),
    *,
    jac: Any = None,
    hess: Any = None,
    hessp: Callable[..., Any] | None = None,
    bounds: Any = None,
    constraints: Any = (),
    callback: Callable[..., Any] | None = None,
    **options: Any,
) -> OptimizeResult:
    """Minimise by `solvers.minimize` with method "gala", as a custom method of `scipy.optimize.minimize`.

    Parameters
    ----------
    fun, x0, args, jac, hess, hessp, bounds, constraints
        As SciPy hands them on; it replaces the names of differences ("2-point", ...) by None, which is "3-point" here.
    callback : callable, optional
        In SciPy's signatures: ``callback(intermediate_result)`` with an `OptimizeResult` that has `x` and `fun`, where
        the parameter has this name, else ``callback(xk)``.
    **options
        Of the method (``python -m solvers methods`` lists them), and `tol`, `maxiter`, `maxtime`, `disp`,
        `check_derivatives`, `finite_diff_rel_step`.

    Returns
    -------
    OptimizeResult
        `x, fun, jac, success, status, message, nit, nfev, njev, nhev, maxcv, constr_violation, optimality,
        complementarity, v, inner`. `status` is a number of `solvers.Status`, `inner` the linear algebra that served.

    Raises
    ------
    ValueError, TypeError
        As `solvers.minimize`.

    Warns
    -----
    OptimizeWarning
        An option that gala does not have, as SciPy's own methods do.

    Examples
    --------
    >>> from scipy.optimize import minimize, rosen, rosen_der, rosen_hess
    >>> result = minimize(rosen, [0.0, 0.0], jac=rosen_der, hess=rosen_hess, method=gala)
    >>> result.success, result.x.round(6).tolist()
    (True, [1.0, 1.0])
    """
    result = optimize.minimize(
        fun, x0, args, "gala", jac, hess, hessp, bounds, constraints, None, _callback(callback), _known(options)
    )
    shared = {name: result[name] for name in SHARED}
    return OptimizeResult(**shared, status=int(result.status), maxcv=shared["constr_violation"])


def _known(options: dict[str, Any]) -> dict[str, Any]:
    """The options that mean something; a warning for others, where `solvers.minimize` would raise."""
    own = {o.name for o in lookup("optimize", "gala").options}
    foreign = sorted(name for name in options if name not in own and name not in KEYWORDS)
    if foreign:
        warnings.warn(f"Unknown solver options: {', '.join(foreign)}", OptimizeWarning, stacklevel=4)
    return {name: value for name, value in options.items() if name not in foreign}


def _callback(callback: Callable[..., Any] | None) -> Callable[..., Any] | None:
    """The callback by SciPy's rule for its parameter."""
    if callback is None:
        return None
    try:
        named = set(inspect.signature(callback).parameters) == {"intermediate_result"}
    except (TypeError, ValueError):
        named = False

    def call(result: Any) -> Any:
        if named:
            return callback(intermediate_result=OptimizeResult(x=np.copy(result.x), fun=result.fun, nit=result.nit))
        return callback(np.copy(result.x))

    return call
