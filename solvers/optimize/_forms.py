"""A nonlinear problem from the arguments of `minimize`, in all forms that SciPy's users know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from .._base import threads as _threads
from .._base.compiled import address_of
from .._base.errors import nearest
from .._base.validate import check_finite, positive, real_array
from ._constraints import DEFAULT_SCHEME, Steps, box, curvature, read
from ._curvature import Curvature, is_operator, is_sparse, real
from ._differences import STEPS, Differences, coloured, is_scheme
from ._direct import direct
from ._function import gradient_function, hessian_function, value_function
from ._kernels import QUASI
from ._nlp import Calls
from ._pieces import Objective, Rows, vector
from ._problem import NonlinearProblem
from ._program import Sum, program
from ._squares import GAUSS_NEWTON, squares

Array = npt.NDArray[Any]

#: Up to so many variables constraints without a Hessian are differentiated, beside an objective that has one.
DIFFERENTIATED = 50
#: The tolerance where none is given, by the least accurate derivative: what its errors allow to reach. Those of
#: constraints are multiplied by multipliers, but of numbers near 0.
EXACT = 1e-8
#: Iterations where no number of them is given.
MAX_ITER = 3000
OBJECTIVE, CONSTRAINT = {"2-point": 1e-5, "3-point": 1e-7}, {"2-point": 1e-6, "3-point": 1e-7}


def nonlinear_problem(
    fun: Any,
    x0: npt.ArrayLike,
    args: Any,
    jac: Any,
    hess: Any,
    hessp: Any,
    bounds: Any,
    constraints: Any,
    *,
    tol: float | None,
    max_iter: int,
    every: bool,
    threads: int | None,
    relative: Any = None,
    absolute: Any = None,
    hess_sparsity: Any = None,
    multipliers: Any = None,
    check: bool = False,
) -> NonlinearProblem:
    """The checked problem of minimize's arguments; functions are called at x0 alone."""
    point = real_array(x0, "x0")
    if point.ndim > 1:
        raise ValueError(f"x0 must have 1 dimension, not shape {point.shape}")
    point = point.reshape(-1)
    n = len(point)
    if n == 0:
        raise ValueError("x0 must have at least one entry")
    check_finite(point, "x0")
    limits = box(bounds, n)
    start = limits.start(point)
    plain = hessp is None and hess_sparsity is None and not check and isinstance(args, tuple) and not args
    found = direct(fun, jac, hess, () if _none(constraints) else constraints, start, limits) if plain else None
    wanted = EXACT
    if found is None:
        steps = Steps(limits, relative, absolute, _pattern(hess_sparsity, n))
        f, rows = _pieces(fun, args, jac, hess, hessp, constraints, start, steps)
        wanted = _default_tol(f, rows)
        if check:
            from ._check import check_derivatives

            check_derivatives(f, rows, start, steps)
        found = program(f, rows, start, limits.lower, limits.upper), rows
    return NonlinearProblem(
        found[0], wanted if tol is None else positive(tol, "tol"), int(max_iter), threads=_threads.resolve(threads),
        every=every, rows=tuple(found[1]), bounded=bounds is not None,
        multipliers=_multipliers(multipliers, found[1], n),
    )  # fmt: skip


def _pieces(
    fun: Any, args: Any, jac: Any, hess: Any, hessp: Any, constraints: Any, start: Array, steps: Steps
) -> tuple[Objective, list[Rows]]:
    """The objective and the constraints."""
    n = len(start)
    if steps.hessians and hess is None and hessp is None:
        hess = "2-point"
    updates = hess if isinstance(hess, str) and hess in QUASI else None
    if updates:  # of the whole Lagrangian, whatever is known of it
        hess = hessp = None
    f = _objective(fun, args, jac, hess, hessp, n, steps)
    rows = [] if _none(constraints) else read(constraints, start, steps, _scheme(jac))
    if f.curvature is not None and (n <= DIFFERENTIATED or steps.hessians):
        for r in rows:
            if r.curvature is None and callable(r.jac) and not isinstance(r.jac, Differences):
                # Newton's method is worth some calls of a Jacobian: updates would be the slower part
                r.curvature = Curvature(steps.twice("2-point"), r, f"{r.name}.hess")
    if updates:
        f.updates = updates
        for r in rows:
            r.curvature = None
    return f, rows


def _pattern(given: Any, n: int) -> tuple[scipy.sparse.csr_array, Array] | None:
    """The pattern of symmetric matrices, and the colours of its columns."""
    if given is None:
        return None
    pattern, _ = coloured(given, (n, n), "hess_sparsity")
    return coloured(pattern + pattern.T, (n, n), "hess_sparsity")


def _none(constraints: Any) -> bool:
    return constraints is None or (isinstance(constraints, (list, tuple, dict)) and not constraints)


def _scheme(jac: Any) -> str:
    return jac if is_scheme(jac) else DEFAULT_SCHEME


def _default_tol(f: Objective, rows: list[Rows]) -> float:
    limits = [OBJECTIVE.get(f.jac.scheme, EXACT)] if isinstance(f.jac, Differences) else []
    limits += [CONSTRAINT.get(r.jac.scheme, EXACT) for r in rows if isinstance(r.jac, Differences)]
    return max(limits, default=EXACT)


def _multipliers(given: Any, rows: list[Rows], n: int) -> tuple[Array, Array] | None:
    """Those of all rows and of the bounds, from a list like a result's `v`."""
    if given is None:
        return None
    try:
        parts = list(given)
    except TypeError:
        raise TypeError(f"multipliers must be a list of arrays, like a result's v, not {given!r:.60}") from None
    if len(parts) not in (len(rows), len(rows) + 1):
        raise ValueError(f"multipliers must have an entry for each of {len(rows)} constraints, and one for the bounds")
    sizes = [(r.total, f"constraints {k}") for k, r in enumerate(rows)] + [(n, "the bounds")]
    checked = [real_array(part, "multipliers").reshape(-1) for part in parts]
    for v, (size, name) in zip(checked, sizes, strict=False):
        if len(v) != size:
            raise ValueError(f"multipliers of {name} must have {size} entries, not {len(v)}")
        check_finite(v, "multipliers")
    own = [v if r.places is None else v[r.places] for v, r in zip(checked, rows, strict=False)]
    return np.concatenate([np.zeros(0), *own]), checked[-1] if len(checked) > len(rows) else np.zeros(n)


# ---- the objective -------------------------------------------------------------------------------


def _objective(fun: Any, args: Any, jac: Any, hess: Any, hessp: Any, n: int, steps: Steps) -> Objective:
    args = args if isinstance(args, tuple) else (args,)
    if isinstance(hess, str) and hess == GAUSS_NEWTON:
        if hessp is not None:
            raise ValueError(f"hessp: hess={hess!r} takes its place")
        residual = squares(fun, args, _gradient(jac, steps), n)
        residual.within = steps.box.within
        return residual
    f = Objective(value_function(fun), args, _gradient(jac, steps), n)
    f.raw, f.within = (fun, jac, hess), steps.box.within
    if args and any(address_of(given) is not None for given in f.raw):
        raise ValueError("args: compiled functions take none; use their user_data")
    if hess is None and hessp is not None:
        if not callable(hessp):
            raise TypeError(f"hessp must be callable, not {type(hessp).__name__}")
        given, calls = _with(hessp, args), f.calls
        f.curvature = curvature(hessp, f, steps, "hessp", lambda x, w: Products(given, calls, x, w))
    else:
        own = hessian_function(hess)
        f.curvature = curvature(own, f, steps, "hess", _hessian(f, own))
    return f


def _gradient(jac: Any, steps: Steps) -> Any:
    if jac is None or jac is False or is_scheme(jac):
        return steps.by(_scheme(jac))
    if jac is True:
        return True
    if isinstance(jac, str):
        raise ValueError(f"jac must be callable, True or a scheme of differences, not {jac!r}{nearest(jac, STEPS)}")
    return gradient_function(jac)


def _hessian(f: Objective, hess: Any) -> Callable[[Array, float], Any]:
    """The user's Hessian, times a weight."""
    calls, args, n = f.calls, f.args, f.n  # but not f, which will hold this function

    def call(x: Array, w: float) -> Any:
        calls.nhev += 1
        H = real(hess(x.copy(), *args), "hess")
        if is_operator(H):
            return Sum(n, [H], w)
        H = H if is_sparse(H) else np.array(H, np.float64, ndmin=2)
        return H if w == 1.0 else w * H

    return call


def _with(hessp: Callable[..., Any], args: tuple[Any, ...]) -> Callable[[Array, Array], Any]:
    return hessp if not args else lambda x, p: hessp(x, p, *args)


class Products:
    """The objective's Hessian at a point, times a weight, by the user's `hessp`."""

    def __init__(self, hessp: Callable[[Array, Array], Any], calls: Calls, x: Array, w: float) -> None:
        self.hessp, self.calls, self.x, self.w, self.shape = hessp, calls, x.copy(), w, (len(x), len(x))

    def __matmul__(self, v: Array) -> Array:
        self.calls.nhev += 1
        return self.w * vector(self.hessp(self.x.copy(), np.array(v)), len(v), "hessp")
