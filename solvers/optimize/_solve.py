"""The entry of the family: from the user's functions to a checked problem to a method."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from .._base.blocks import BlockResult
from .._base.iterate import Callback, Control, run
from .._base.method import lookup
from .._base.rng import RNG, check_rng, seed_of
from . import _adasketch
from ._bcd import block_problem, is_smooth, nothing
from ._forms import MAX_ITER, nonlinear_problem
from ._plain import plain
from ._result import MinimizeResult
from ._scipy_names import callback_of, translated

Array = npt.NDArray[Any]

#: What gala's option "preset" stands for where it is "paper".
PAPER = _adasketch.METHOD.name
CHOSE_GALA = "Chose gala, the method for smooth functions with bounds and constraints."
#: The method's own options and the keywords that stand for SciPy's, where there are none.
NO_OPTIONS: tuple[dict[str, Any], dict[str, Any]] = {}, {}


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
    hess_sparsity: Any = None,
    multipliers: Sequence[npt.ArrayLike] | None = None,
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
    """Minimise a function, with bounds and constraints: all problem forms of `scipy.optimize.minimize`.

    Parameters
    ----------
    fun : callable
        ``fun(x, *args)``, a number; with ``jac=True`` a pair, the number and the gradient. Also a
        `scipy.LowLevelCallable` or numba's ``cfunc`` with the signature ``double (int n, double *x, void *user_data)``,
        or a function of `solvers.learning` (LeastSquares, ...), which brings its derivatives along and is served by
        "bcd".
    x0 : array_like, shape (n,)
        Where to start, moved within the bounds.
    args : tuple
        Further arguments of fun, jac, hess and hessp (and of "bcd"'s block_grad and block_hess).
    method : str, optional
        "gala" (bounds, constraints, any smooth function), "bcd" (blocks of coordinates, penalties) or
        "adasketch-newton" (equalities, by random sketches, for study; the same as "gala" with the option
        ``preset="paper"``). Without it: bcd where one of its own keywords below or a function of `solvers.learning` is
        given, else gala. The message tells.
    jac : callable, bool or str, optional
        The gradient ``jac(x, *args)``; compiled: ``void (int n, double *x, double *g, void *user_data)``. True: fun
        returns it, too, and is called once a point. "2-point", "3-point" (the default) and "cs" are differences, within
        the bounds: by a variable that these fix there is none, and 0 is returned, also for its multiplier.
    hess : callable, str or HessianUpdateStrategy, optional
        ``hess(x, *args)``, a dense or sparse matrix or a LinearOperator; or differences of jac; or SciPy's `BFGS`,
        `SR1`; or "gauss-newton", which makes ``|fun(x)|^2 / 2`` the objective: fun returns residuals, jac their
        Jacobian (dense or sparse), and J'J stands for the Hessian. Whatever part of the Lagrangian's Hessian is not
        given is approximated from gradients; but beside a hess, constraints without one that have a jac are
        differentiated, up to 50 variables. "bfgs" (damped), "sr1" and "lbfgs" approximate the whole Lagrangian's.
        Compiled: ``void (int n, double *x, double *H, void *user_data)``,
        the lower triangle of a matrix of zeros.
    hessp : callable, optional
        ``hessp(x, p, *args)``, the Hessian times p, where there is no hess.
    bounds : Bounds or sequence of pairs, optional
        SciPy's `Bounds`, or ``(low, high)`` for each variable, None for no bound. They hold at every call of a
        function.
    constraints : constraint or sequence of them
        SciPy's `LinearConstraint` (A dense or sparse), `NonlinearConstraint` (all of its arguments), and dicts with
        "type" ("eq": fun = 0, "ineq": fun >= 0), "fun", "jac" and "args", mixed at will. With `keep_feasible` rows that
        hold at x0 hold wherever fun is called. A `NonlinearConstraint`'s functions may be compiled, its sides then tell
        the number m of rows: fun and jac ``void (int n, int m, double *x, double *out, void *user_data)``, hess
        ``void (int n, int m, double *x, double *v, double *H, void *user_data)``, row by row into zeros.
    tol : float, optional
        The solve succeeds where `measure` is at most this: for gala the largest of stationarity, violation and
        complementarity (see Returns); by default 1e-8, with differences 1e-7 ("3-point") or 1e-5 ("2-point"). For
        adasketch-newton ``|(grad L, c)|`` of 1e-4 ends the solve, as published. For bcd the largest
        entry of the gradient (with a penalty: of ``L (x - prox(x - g / L))``), by default 1e-6.
    callback : callable, optional
        Called after each iteration with the result so far, which has `x`, `fun`, `nit`, `measure`. A parameter named
        `x` or `xk` gets the point, two parameters get the point and the result. It stops the solve by returning True or
        by raising StopIteration.
    options : mapping, optional
        The method's own (``python -m solvers methods`` lists them). SciPy's `maxiter`, `disp`, `gtol`, `eps`,
        `finite_diff_rel_step` stand for the keywords here; others of SciPy's warn and are ignored.
    max_iter : int, optional
        Iterations at most, by default 3000; for adasketch-newton 10000; for bcd block updates, 100000.
    time_limit : float, optional
        Seconds at most.
    check_derivatives : bool, default False
        Compare every derivative that is given with differences at x0, and name the worst entry where they differ.
    finite_diff_rel_step : float or array_like, optional
        Steps of differences relative to ``|x|``.
    hess_sparsity : array_like or sparse array, shape (n, n), optional
        Where the Hessian of the Lagrangian may have entries. Differences of gradients then move many variables at once,
        and are taken of whatever has a jac and no hess.
    multipliers : sequence of array_like, optional
        gala: those of x0, one array a constraint and one of the bounds, as in `v` of an earlier result. A start that
        solves the problem is then known as one.
    block_grad : callable, optional
        bcd: ``block_grad(x, b, *args)``: the gradient's entries b. Rules that are not greedy then need no whole
        gradient but at the end of an epoch. Without any derivative forward differences take its place.
    block_hess : callable, optional
        bcd: ``block_hess(x, b, *args)`` for the updates "newton" and "two_metric"; else differences of the gradient.
    block_min : callable, optional
        bcd: ``block_min(x, b)`` returns the best x[b] (alternating minimisation); its decrease is checked.
    bound : array_like of shape (n,) or callable, optional
        bcd: upper bounds of the second derivatives of the coordinates, or ``bound(b)``: a number or a matrix H with
        ``f(x + s) <= f(x) + g's + s'H s / 2`` for all s in block b. Without it constants are estimated.
    penalty, blocks
        bcd: as for `solvers.learning.quadratic`.
    verbose, resume, rng, threads
        As for `solvers.learning.quadratic`. gala draws nothing at random; adasketch-newton does.

    Returns
    -------
    MinimizeResult or BlockResult
        With `x`, `fun`, `jac`, `nfev`, `njev`, `nhev`, `nit`, `status`, `success` and more; of gala also `multipliers`,
        `bound_multipliers`, `v` (a list, as SciPy's trust-constr returns it), `optimality`, `constr_violation` and
        `complementarity`. ``success`` means that the measure, recomputed at x, meets the tolerance.

    Raises
    ------
    ValueError
        A fun that is not finite at x0, an x0 without entries, shapes that do not fit, sides of bounds or rows that
        cross, a Hessian that is not symmetric, derivatives that `check_derivatives` finds wrong, what a method cannot
        serve.
    TypeError
        Data that is not real, a fun that cannot be called.
    MethodError, OptionError
        An unknown method or option, or an option out of range.

    Warns
    -----
    OptimizeWarning
        An option of another method of SciPy's.
    UserWarning
        An x0 outside of bounds that are to be kept feasible.

    Notes
    -----
    Multipliers have the sign of ``grad f + J'v + z = 0``: positive where an upper side holds x back, negative at a
    lower one. For functions that are not convex the answer is a local minimum, or a stationary point. The user's
    functions are called once a point; `nfev`, `njev`, `nhev` count the calls of the objective's, with those that
    differences make, and ``stats["constr_nfev"]`` and its like those of each constraint. Up to 200 variables and rows
    matrices are kept dense, and a Hessian known by products is written out. Nothing that is passed in is changed.

    References
    ----------
    Hong, Na, Mahoney, Kolar (2023), Constrained optimization via exact augmented Lagrangian and randomized iterative
    sketching, ICML, arXiv 2305.18379. Nutini, Laradji, Schmidt (2022), Let's make block coordinate descent converge
    faster, JMLR 23(131).

    Examples
    --------
    The point of a disc that is best for a linear function, and its price:

    >>> import numpy as np, solvers
    >>> from scipy.optimize import NonlinearConstraint
    >>> disc = NonlinearConstraint(
    ...     lambda x: x @ x, -np.inf, 2, jac=lambda x: 2 * x, hess=lambda x, v: 2 * v[0] * np.eye(2)
    ... )
    >>> result = solvers.minimize(lambda x: x.sum(), [0.5, 0], jac=np.ones_like, hess=lambda x: np.zeros((2, 2)),
    ...                           constraints=disc)
    >>> result.success, result.x.round(6).tolist(), result.v[0].round(6).tolist()
    (True, [-1.0, -1.0], [0.5])
    """
    if (
        options is None and callback is None and hessp is None and time_limit is None and resume is None
        and multipliers is None and finite_diff_rel_step is None and hess_sparsity is None and block_grad is None
        and block_hess is None and block_min is None and bound is None and penalty is None and blocks is None
        and (method is None or method == "gala") and type(rng) is int and verbose == 0 and not check_derivatives
        and type(args) is tuple and not args
    ):  # fmt: skip
        why = CHOSE_GALA if method is None else ""
        result = plain((fun, jac, hess), x0, bounds, constraints, tol, max_iter, threads, why)
        if result is not None:
            return result
    own, keywords = NO_OPTIONS if options is None else translated(options)
    if keywords:
        tol, max_iter = _first(tol, keywords.get("tol")), _first(max_iter, keywords.get("max_iter"))
        time_limit, verbose = _first(time_limit, keywords.get("time_limit")), verbose or keywords.get("verbose", 0)
        finite_diff_rel_step = _first(finite_diff_rel_step, keywords.get("finite_diff_rel_step"))
        check_derivatives = check_derivatives or bool(keywords.get("check_derivatives"))
    every = callback is not None or verbose == 2
    asked = (
        block_grad is not None or block_hess is not None or block_min is not None
        or bound is not None or penalty is not None or blocks is not None
    )  # fmt: skip
    why = ""
    if method is None or method == "bcd" or asked:
        blockwise = {"block_grad": block_grad, "block_hess": block_hess, "block_min": block_min, "bound": bound,
                     "penalty": penalty, "blocks": blocks}  # fmt: skip
        names = [name for name, value in blockwise.items() if value is not None]
        if method is None:
            method, why = _chosen(fun, names)
        if method == "bcd":
            _no_constraints(constraints, hess, hessp)
            control = Control(_first(max_iter, 100_000), time_limit, callback, verbose, resume)
            blocked = block_problem(
                fun, x0, args, jac, bounds, **blockwise, tol=_first(tol, 1e-6), max_iter=control.max_iter, every=every,
                rng=rng, threads=threads,
            )  # fmt: skip
            record = lookup("optimize", method, blocked.needs)
            if blocked.smooth.size == 0:
                return nothing(blocked, record.name)
            return cast(BlockResult, run(record, blocked, control, own, why))
    if own and method == "gala" and own.get("preset") == "paper":
        method, own = PAPER, {name: value for name, value in own.items() if name != "preset"}
    record = lookup("optimize", method)
    if asked:
        raise ValueError(f"{', '.join(names)}: only method 'bcd' takes this, not {method!r}")
    check_rng(rng)
    if method == PAPER:
        tol, max_iter = _first(tol, _adasketch.TOL), _first(max_iter, _adasketch.MAX_ITER)
    control = Control(MAX_ITER if max_iter is None else max_iter, time_limit, callback, verbose, resume)
    problem = nonlinear_problem(
        fun, x0, args, jac, hess, hessp, bounds, constraints, tol=tol, max_iter=control.max_iter, every=every,
        threads=threads, relative=finite_diff_rel_step, absolute=keywords.get("eps"), hess_sparsity=hess_sparsity,
        multipliers=multipliers, check=check_derivatives,
    )  # fmt: skip
    if not record.capabilities >= problem.needs:
        lookup("optimize", method, problem.needs)  # which says what is missing
    if method == PAPER:
        problem = replace(problem, seed=seed_of(0 if rng is None else rng))
    if callback is not None:
        control = Control(control.max_iter, time_limit, callback_of(callback, problem.program.fun), verbose, resume)
    return cast(MinimizeResult, run(record, problem, control, own, why))


def _first(*values: Any) -> Any:
    """The first that is not None."""
    for value in values:
        if value is not None:
            return value
    return None


def _chosen(fun: Any, asked: list[str]) -> tuple[str, str]:
    """The method where none is asked for, and why."""
    if is_smooth(fun):
        return "bcd", "Chose bcd, the method for functions of solvers.learning."
    if asked:
        return "bcd", f"Chose bcd, the method that takes {', '.join(asked)}."
    return "gala", CHOSE_GALA


def _no_constraints(constraints: Any, hess: Any, hessp: Any) -> None:
    if constraints is not None and np.size(constraints):
        raise ValueError("constraints: method 'bcd' takes bounds alone; use 'gala'")
    for given, name in ((hess, "hess"), (hessp, "hessp")):
        if given is not None:
            raise ValueError(f"{name}: method 'bcd' takes block_hess in its place; use 'gala' with {name}")
