"""POT's `solve_sample` on `solvers.ot.solve_sample`, which makes no cost matrix."""

from __future__ import annotations

from typing import Any

import ot
from ot.bregman._empirical import get_sinkhorn_lazytensor
from ot.utils import OTResult

from .. import ot as transport
from ._pot_call import Call

#: Metrics that mean the same to both; those of the first three have derivatives in the points.
DIFFERENTIABLE = ("sqeuclidean", "euclidean", "cityblock")
METRICS = (*DIFFERENTIABLE, "cosine", "chebyshev", "minkowski")

#: Our names of arguments, and POT's.
NAMES = {"X": "X_a", "Y": "X_b", "warm_start": "potentials_init", "threads": "n_threads"}


def solve_sample(
    X_a: Any,
    X_b: Any,
    a: Any = None,
    b: Any = None,
    metric: str = "sqeuclidean",
    reg: float | None = None,
    c: Any = None,
    reg_type: Any = "KL",
    unbalanced: Any = None,
    unbalanced_type: str = "KL",
    lazy: bool = False,
    batch_size: Any = None,
    method: str | None = None,
    n_threads: int = 1,
    max_iter: int | None = None,
    plan_init: Any = None,
    *,
    potentials_init: Any = None,
    tol: float | None = None,
    verbose: bool = False,
    grad: str = "autodiff",
    **others: Any,
) -> OTResult:
    """Optimal transport between samples, as `ot.solve_sample`: balanced and entropic here, all else by POT itself.

    Here no cost matrix is made, and with ``lazy=True`` no plan either.

    Parameters
    ----------
    X_a, X_b : array_like, shapes (n, d) and (m, d)
        The samples; their array type, dtype and device are those of the results.
    a, b, reg, reg_type, max_iter, verbose
        As in `ot.solve_sample`.
    metric : str
        One of "sqeuclidean", "euclidean", "cityblock", "cosine", "chebyshev", "minkowski"; POT solves with others.
    lazy : bool
        Whether the result has `lazy_plan`, whose entries are made when they are asked for, in place of `plan`.
    batch_size
        Taken for POT's sake, and without effect.
    n_threads : int
        Threads of the solve.
    potentials_init : (log_u, log_v), optional
        Where to start: `potentials` of an earlier result.
    tol : float, optional
        Bound on the l2 norm of the marginal violations, 1e-9 by default.
    grad : str
        "envelope" for a `value` that is differentiable in samples and weights, "detach" for none.
    c, unbalanced, unbalanced_type, method, plan_init, **others
        For POT's own solvers, as are ``grad="last_step"`` and "envelope" with a metric without derivatives here.

    Returns
    -------
    ot.utils.OTResult
        As from `solve`.

    Raises
    ------
    ValueError
        What `solvers.ot.solve_sample` refuses.
    NotImplementedError
        A tensor requires a gradient and `grad` is "autodiff".

    Examples
    --------
    >>> import numpy as np
    >>> from solvers.integrations.pot import solve_sample
    >>> X = np.arange(6.0)[:, None]
    >>> result = solve_sample(X, X + 1, reg=0.5, lazy=True)
    >>> bool(result.value > 1), result.lazy_plan[0].shape
    (True, (1, 6))
    """
    entropic = isinstance(reg_type, str) and reg_type.lower() in ("kl", "entropy")
    plain = all(x is None for x in (unbalanced, method, c, plan_init)) and not others
    known = metric in (DIFFERENTIABLE if grad == "envelope" else METRICS)
    if not (reg and entropic and plain and known) or grad == "last_step":
        return ot.solve_sample(
            X_a, X_b, a, b, metric=metric, reg=reg, c=c, reg_type=reg_type, unbalanced=unbalanced,
            unbalanced_type=unbalanced_type, lazy=lazy, batch_size=batch_size, method=method, n_threads=n_threads,
            max_iter=max_iter, plan_init=plan_init, potentials_init=potentials_init, tol=tol, verbose=verbose,
            grad=grad, **others,
        )  # fmt: skip
    call = Call(transport.solve_sample, (X_a, X_b), a, b, reg, NAMES, grad=grad, metric=metric)
    if call.targets:
        raise ValueError(f"b must have 1 dimension, not shape {tuple(call.b.shape)}")
    max_iter, tol = 1000 if max_iter is None else max_iter, 1e-9 if tol is None else tol
    (result,) = call.run(max_iter, tol, verbose, True, potentials_init, n_threads)

    def slopes() -> tuple[Any, Any]:
        found = transport.gradients(result)
        return call.given_back(found.X), call.given_back(found.Y)

    log_u, log_v = call.potentials(result)
    return OTResult(
        potentials=(log_u, log_v), value=call.value(result, reg_type, slopes if grad == "envelope" else None),
        value_linear=call.linear([result]), plan=None if lazy else call.plan(result),
        lazy_plan=get_sinkhorn_lazytensor(*call.costs, log_u, log_v, metric, reg, call.nx) if lazy else None,
        backend=call.nx, status="Converged" if result.success else result.message, log={"result": result},
    )  # fmt: skip
