"""The entry of the family: from the user's function to a checked problem to a method."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from .._base import threads as _threads
from .._base.blocks import BlockProblem, BlockResult
from .._base.blocks.partition import checked
from .._base.blocks.penalty import make, start, weights
from .._base.blocks.problem import block_size, seed_of
from .._base.blocks.smooth import Smooth
from .._base.iterate import Callback, Control, run
from .._base.method import lookup
from .._base.result import Status
from .._base.rng import RNG
from .._base.validate import positive, real_array
from ._function import Function, gradient_function, value_function

Array = npt.NDArray[Any]


def minimize(
    fun: Any,
    x0: npt.ArrayLike,
    args: tuple[Any, ...] = (),
    *,
    jac: Any = None,
    block_grad: Callable[..., Any] | None = None,
    block_hess: Callable[..., Any] | None = None,
    block_min: Callable[[Array, Array], npt.ArrayLike] | None = None,
    bound: Any = None,
    penalty: Any = None,
    bounds: Any = None,
    blocks: Sequence[npt.ArrayLike] | int | None = None,
    tol: float = 1e-6,
    method: str | None = None,
    options: Mapping[str, Any] | None = None,
    max_iter: int = 100_000,
    time_limit: float | None = None,
    callback: Callback | None = None,
    verbose: int = 0,
    resume: Any = None,
    rng: RNG = 0,
    threads: int | None = None,
) -> BlockResult:
    """Minimise ``fun(x) + P(x)`` for a smooth fun, by block coordinate descent.

    Parameters
    ----------
    fun : callable
        ``fun(x, *args)``, a number. Also a `scipy.LowLevelCallable` or numba's ``cfunc`` with the signature
        ``double (int n, double *x, void *user_data)``, or a function of `solvers.learning` (LeastSquares, ...), which
        brings its derivatives and bounds along.
    x0 : array_like, shape (d,)
        Where to start, moved within the bounds.
    args : tuple
        Further arguments of fun, jac, block_grad and block_hess.
    jac : callable, optional
        The gradient ``jac(x, *args)``; compiled: ``void (int n, double *x, double *g, void *user_data)``.
    block_grad : callable, optional
        ``block_grad(x, b, *args)``: the gradient's entries b. Rules that are not greedy then need no whole gradient but
        at the end of an epoch. Without any derivative forward differences take its place.
    block_hess : callable, optional
        ``block_hess(x, b, *args)`` for the updates "newton" and "two_metric"; else differences of the gradient.
    block_min : callable, optional
        ``block_min(x, b)`` returns the best x[b] (alternating minimisation); its decrease is checked.
    bound : array_like of shape (d,) or callable, optional
        Upper bounds of the second derivatives of the coordinates, or ``bound(b)``: a number or a matrix H with
        ``f(x + s) <= f(x) + g's + s'H s / 2`` for all s in block b. Without it constants are estimated.
    penalty, bounds, blocks
        As for `solvers.learning.quadratic`.
    tol : float, default 1e-6
        The solve succeeds where the largest entry of the gradient (with a penalty: of ``L (x - prox(x - g / L))``) is
        at most this.
    method : str, optional
        "bcd".
    options : mapping, optional
        The rules; ``python -m solvers methods`` lists them.
    max_iter : int, default 100000
        Block updates at most.
    time_limit, callback, verbose, resume, rng, threads
        As for `solvers.learning.quadratic`.

    Returns
    -------
    BlockResult
        With `x`, `fun`, `jac`, `nfev`, `njev`, `nhev`, `nit`, `status`, `success` and more. ``success`` means that the
        measure, recomputed at x, meets the tolerance.

    Raises
    ------
    ValueError
        A fun that is not finite at x0, shapes that do not fit, rules that need what is not given.
    TypeError
        Data that is not real, a fun that cannot be called.
    MethodError, OptionError
        An unknown method or option, or an option out of range.

    Notes
    -----
    For functions that are not convex a decrease in each step is promised, and a gradient that goes to zero, but no
    global minimum. Differences limit what tol can be reached to about 1e-6 of the function's scale.

    References
    ----------
    Nutini, Laradji, Schmidt (2022), Let's make block coordinate descent converge faster, JMLR 23(131).

    Examples
    --------
    >>> import numpy as np, solvers
    >>> def fun(x):
    ...     return (x[0] - 1) ** 2 + 2 * (x[1] + 0.5) ** 2
    >>> result = solvers.minimize(fun, np.zeros(2), jac=lambda x: np.array([2 * (x[0] - 1), 4 * (x[1] + 0.5)]))
    >>> result.success, result.x.round(5).tolist()
    (True, [1.0, -0.5])
    """
    point = real_array(x0, "x0", ndim=1)
    count = len(point)
    smooth = _smooth(fun, count, args, jac, block_grad, block_hess, bound)
    control = Control(max_iter, time_limit, callback, verbose, resume)
    fixed = None if blocks is None or isinstance(blocks, int) else checked(blocks, count)
    P = make(penalty, bounds, count, fixed)
    problem = BlockProblem(
        smooth, P, start(point, count, P), tol=positive(tol, "tol"), scale=1.0, blocks=fixed, size=block_size(blocks),
        seed=seed_of(rng), max_iter=int(max_iter), every=callback is not None or verbose == 2,
        threads=_threads.resolve(threads), capability="function", block_min=block_min,
    )  # fmt: skip
    record = lookup("optimize", method or "bcd", problem.needs)
    if count == 0:
        return _nothing(smooth, record.name)
    why = "" if method else "Chose bcd, the method for functions."
    return cast(BlockResult, run(record, problem, control, options, why))


def _smooth(fun: Any, count: int, args: Any, jac: Any, block_grad: Any, block_hess: Any, bound: Any) -> Smooth:
    if callable(getattr(fun, "move", None)):  # it is one already
        if fun.size != count:
            raise ValueError(f"x0 must have length {fun.size}, not {count}")
        if args or any(given is not None for given in (jac, block_grad, block_hess, bound)):
            raise ValueError(
                "a function of solvers.learning has its own derivatives: args, jac and bound are not for it"
            )
        return cast(Smooth, fun)
    for given, name in ((block_grad, "block_grad"), (block_hess, "block_hess")):
        if given is not None and not callable(given):
            raise TypeError(f"{name} must be callable, not {type(given).__name__}")
    limits = bound if bound is None or callable(bound) else weights(bound, count, "bound")
    return Function(
        count, value_function(fun), args if isinstance(args, tuple) else (args,),
        None if jac is None else gradient_function(jac), block_grad, block_hess, limits,
    )  # fmt: skip


def _nothing(smooth: Smooth, name: str) -> BlockResult:
    """The minimum over no coordinates."""
    status, empty = Status.CONVERGED, np.zeros(0)
    return BlockResult(
        x=empty, success=True, status=status, message=status.sentence, nit=0, measure=0.0, method=name,
        fun=smooth.start(empty)[0], jac=empty, kkt=0.0, support=np.zeros(0, np.intp),
    )  # fmt: skip
