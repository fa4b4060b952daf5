"""POT's solvers with POT's own calls, computed by `solvers.ot`: change the import and keep the code.

    from solvers.integrations.pot import emd, emd2, sinkhorn, sinkhorn2, solve, solve_sample

Arguments, results, log keys and array types are POT's (numpy arrays, lists, torch tensors and the other arrays that
POT knows). Where this departs from POT:

1. Every method name of POT that is known here gives the same plan, found by the method that `solvers.ot` chooses; the
   name decides on the log's keys and on what `stopThr` and `warmstart` mean. Arguments of single methods (`tau`,
   `print_period`, `epsilon0`, `numInnerItermax`) are taken and have no effect; any other raises TypeError.
2. `stopThr` bounds the recomputed norm of both marginal violations, where POT looks at the columns every tenth
   iteration. `niter` and `err` count and list the steps of the method that ran.
3. Weights whose masses differ by more than 1e-5 relatively raise ValueError; POT iterates without end there.
4. Derivatives: `solve` and `solve_sample` with `grad="envelope"` and `grad="detach"` as in POT. The plan is not made of
   differentiable steps, so tensors that require gradients are refused elsewhere instead of losing them silently.
5. No numerical errors at small reg: u and v overflow where they must, the plan and the log's potentials do not. An
   infinite cost forbids its arc, and the linear cost does not turn to NaN for it.
6. `emd` and `emd2` are `solvers.ot.emd`: another optimal plan where there are several, `numItermax` counts rounds of
   the simplex, `numThreads` counts, and potentials at zero weights are feasible without being POT's. Sparse
   costs go to POT itself.
7. Costs of integers are computed on and answered in float64.
8. `solve` and `solve_sample` start from `potentials_init`, of which POT's balanced solves make nothing, and have a
   `value` with `lazy=True` too.
"""

from __future__ import annotations

from typing import Any

import ot
from ot.utils import OTResult

from .. import ot as transport
from ._pot_call import Call
from ._pot_exact import emd, emd2
from ._pot_sample import solve_sample

__all__ = ["emd", "emd2", "sinkhorn", "sinkhorn2", "solve", "solve_sample"]

#: Arguments of single methods of POT that change no answer here.
WITHOUT_EFFECT = {"tau", "print_period", "epsilon0", "numInnerItermax"}

#: Our names of arguments, and POT's.
NAMES = {"C": "M", "tol": "stopThr", "max_iter": "numItermax", "warm_start": "warmstart"}
SOLVE_NAMES = {"C": "M", "warm_start": "potentials_init", "threads": "n_threads"}


def sinkhorn(
    a: Any,
    b: Any,
    M: Any,
    reg: float,
    method: str = "sinkhorn",
    numItermax: int = 1000,
    stopThr: float = 1e-9,
    verbose: bool = False,
    log: bool = False,
    warn: bool = True,
    warmstart: Any = None,
    **kwargs: Any,
) -> Any:
    """Entropic optimal transport plan, as `ot.sinkhorn`.

    Parameters
    ----------
    a, b : array_like, shapes (n,) and (m,) or (m, k)
        Weights; uniform where empty. Columns of b are k targets of their own.
    M : array_like, shape (n, m)
        Cost; its array type, dtype and device are those of the results.
    reg : float
        Strength of the entropy, > 0.
    method : {"sinkhorn", "sinkhorn_log", "greenkhorn", "sinkhorn_stabilized", "sinkhorn_epsilon_scaling"}
        Decides on the log's keys and the meaning of `stopThr` and `warmstart`; the answer is the same.
    numItermax : int
        Steps at most.
    stopThr : float
        Bound on the l2 norm of the marginal violations (greenkhorn: the largest; epsilon scaling: the squared norm).
    verbose, log, warn, warmstart
        As in POT.

    Returns
    -------
    array_like, shape (n, m), or (k,) for b of shape (m, k)
        The plan, or the linear costs of k plans.
    dict
        The log, where `log` is true.

    Raises
    ------
    ValueError
        An unknown method; what `solvers.ot.solve` refuses.
    TypeError
        An argument that no method of POT has.
    NotImplementedError
        A tensor requires a gradient.

    Warns
    -----
    UserWarning
        Where the tolerance was not met and `warn` is true.

    Examples
    --------
    >>> from solvers.integrations.pot import sinkhorn
    >>> sinkhorn([0.5, 0.5], [0.5, 0.5], [[0.0, 1.0], [1.0, 0.0]], 1).round(4)
    array([[0.3655, 0.1345],
           [0.1345, 0.3655]])
    """
    call = _call(a, b, M, reg, method, kwargs)
    results = call.run(numItermax, stopThr, verbose, warn, warmstart)
    answer = call.linear(results) if call.targets else call.plan(results[0])
    return (answer, call.log(results)) if log else answer


def sinkhorn2(
    a: Any,
    b: Any,
    M: Any,
    reg: float,
    method: str = "sinkhorn",
    numItermax: int = 1000,
    stopThr: float = 1e-9,
    verbose: bool = False,
    log: bool = False,
    warn: bool = False,
    warmstart: Any = None,
    **kwargs: Any,
) -> Any:
    """Linear cost ``<M, P>`` of the entropic optimal plan, as `ot.sinkhorn2`.

    Parameters
    ----------
    a, b, M, reg, method, numItermax, stopThr, verbose, log, warn, warmstart
        As in `sinkhorn`.

    Returns
    -------
    scalar, or array_like of shape (k,) for b of shape (m, k)
        The linear cost, without the entropy.
    dict
        The log, where `log` is true.

    Raises
    ------
    ValueError, TypeError, NotImplementedError
        As `sinkhorn`.

    Examples
    --------
    >>> from solvers.integrations.pot import sinkhorn2
    >>> round(float(sinkhorn2([0.5, 0.5], [0.5, 0.5], [[0.0, 1.0], [1.0, 0.0]], 1)), 4)
    0.2689
    """
    call = _call(a, b, M, reg, method, kwargs)
    results = call.run(numItermax, stopThr, verbose, warn, warmstart)
    answer = call.linear(results)
    return (answer, call.log(results)) if log else answer


def _call(a: Any, b: Any, M: Any, reg: float, method: str, others: dict[str, Any]) -> Call:
    unknown = sorted(others.keys() - WITHOUT_EFFECT)
    if unknown:
        raise TypeError(f"unexpected keyword argument {unknown[0]!r}: no Sinkhorn method of POT has it")
    return Call(transport.solve, (M,), a, b, reg, NAMES, method, allow_inf=True)


def solve(
    M: Any,
    a: Any = None,
    b: Any = None,
    reg: float | None = None,
    c: Any = None,
    reg_type: Any = "KL",
    unbalanced: Any = None,
    unbalanced_type: str = "KL",
    method: str | None = None,
    n_threads: int = 1,
    max_iter: int | None = None,
    plan_init: Any = None,
    potentials_init: Any = None,
    tol: float | None = None,
    verbose: bool = False,
    grad: str = "autodiff",
) -> OTResult:
    """Optimal transport, as `ot.solve`: balanced with reg_type "KL" or "entropy" here, all else by POT itself.

    ``grad="last_step"`` is POT's own too.

    Parameters
    ----------
    M, a, b, reg, reg_type, max_iter, tol, verbose, grad
        As in `ot.solve`. `tol` bounds the l2 norm of the marginal violations.
    potentials_init : (log_u, log_v), optional
        Where to start: `potentials` of an earlier result.
    n_threads : int
        Threads of the solve.
    c, unbalanced, unbalanced_type, method, plan_init
        For POT's own solvers.

    Returns
    -------
    ot.utils.OTResult
        `plan`, `value`, `value_linear`, `potentials` (those of the cost divided by reg), marginals; `status` says how
        the solve ended and ``log["result"]`` is the `solvers.ot.TransportResult`.

    Raises
    ------
    ValueError
        What `solvers.ot.solve` refuses.
    NotImplementedError
        A tensor requires a gradient and `grad` is "autodiff".

    Examples
    --------
    >>> from solvers.integrations.pot import solve
    >>> round(float(solve([[0.0, 1.0], [1.0, 0.0]], reg=1.0).value_linear), 4)
    0.2689
    """
    entropic = isinstance(reg_type, str) and reg_type.lower() in ("kl", "entropy")
    plain = all(x is None for x in (unbalanced, method, c, plan_init))
    if not (reg and entropic and plain) or grad == "last_step":
        return ot.solve(
            M, a, b, reg=reg, c=c, reg_type=reg_type, unbalanced=unbalanced, unbalanced_type=unbalanced_type,
            method=method, n_threads=n_threads, max_iter=max_iter, plan_init=plan_init,
            potentials_init=potentials_init, tol=tol, verbose=verbose, grad=grad,
        )  # fmt: skip
    call = Call(transport.solve, (M,), a, b, reg, SOLVE_NAMES, grad=grad, allow_inf=True)
    if call.targets:
        raise ValueError(f"b must have 1 dimension, not shape {tuple(call.b.shape)}")
    max_iter, tol = 1000 if max_iter is None else max_iter, 1e-9 if tol is None else tol
    (result,) = call.run(max_iter, tol, verbose, True, potentials_init, n_threads)
    plan = call.plan(result)
    value = call.value(result, reg_type, (lambda: (plan,)) if grad == "envelope" else None)
    return OTResult(
        potentials=call.potentials(result), value=value, value_linear=call.linear([result]), plan=plan,
        backend=call.nx, status="Converged" if result.success else result.message, log={"result": result},
    )  # fmt: skip
