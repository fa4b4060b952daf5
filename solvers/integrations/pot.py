"""POT's solvers with POT's own calls, computed by `solvers.ot`: change the import and keep the code.

    from solvers.integrations.pot import emd, emd2, sinkhorn, sinkhorn2, solve

Arguments, results, log keys and array types are POT's (numpy arrays, lists, torch tensors and the other arrays that
POT knows). Where this departs from POT:

1. Every method name of POT that is known here gives the same plan, found by the method that `solvers.ot` chooses; the
   name decides on the log's keys and on what `stopThr` and `warmstart` mean. Arguments of single methods (`tau`,
   `print_period`, ...) are taken and have no effect.
2. `stopThr` bounds the recomputed norm of both marginal violations, where POT looks at the columns every tenth
   iteration. `niter` and `err` count and list the steps of the method that ran.
3. Weights whose masses differ by more than 1e-5 relatively raise ValueError; POT iterates without end there.
4. Derivatives: `solve(grad="envelope")` and `solve(grad="detach")` as in POT. The plan is not made of differentiable
   steps, so tensors that require gradients are refused elsewhere instead of losing them silently.
5. No numerical errors at small reg: u and v overflow where they must, the plan and the log's potentials do not.
6. `emd` and `emd2` are `solvers.ot.emd`: another optimal plan where there are several, `numItermax` counts rounds of
   column generation, `numThreads` counts, and potentials at zero weights are feasible without being POT's. Sparse
   costs go to POT itself.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import ot
from ot.backend import get_backend
from ot.utils import OTResult, list_to_array
from scipy.special import xlogy

from .. import ot as transport
from ._pot_exact import emd, emd2

Array = npt.NDArray[Any]
Result = transport.TransportResult

__all__ = ["emd", "emd2", "sinkhorn", "sinkhorn2", "solve"]

#: Masses of a and b may differ by this much, relatively: what sums of float32 weights do.
MASS_TOLERANCE = 1e-5

NOT_CONVERGED = (
    "Sinkhorn did not converge. You might want to increase the number of iterations `numItermax` or the "
    "regularization parameter `reg`."
)


@dataclass(frozen=True)
class Convention:
    """What a method name of POT implies."""

    #: The norm of the violations that stopThr bounds, and the power of it.
    norm: str = "l2"
    power: int = 1
    #: Whether warmstart holds potentials in units of the cost, or those divided by reg.
    potentials: bool = False
    #: The log's keys.
    keys: tuple[str, ...] = ("err", "niter", "u", "v")


STABILIZED = ("alpha", "beta", "warmstart")
METHODS = {
    "sinkhorn": Convention(),
    "sinkhorn_log": Convention(keys=("err", "niter", "log_u", "log_v", "u", "v")),
    "greenkhorn": Convention(norm="linf", keys=("n_iter", "u", "v")),
    "sinkhorn_stabilized": Convention(potentials=True, keys=("err", "n_iter", "logu", "logv", *STABILIZED)),
    "sinkhorn_epsilon_scaling": Convention(power=2, potentials=True, keys=("err", "niter", *STABILIZED)),
}


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
    call = _Call(a, b, M, reg, method)
    results = call.run(numItermax, stopThr, verbose, warn, warmstart)
    answer = call.costs(results) if call.targets else call.plan(results[0])
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
    ValueError, NotImplementedError
        As `sinkhorn`.

    Examples
    --------
    >>> from solvers.integrations.pot import sinkhorn2
    >>> round(float(sinkhorn2([0.5, 0.5], [0.5, 0.5], [[0.0, 1.0], [1.0, 0.0]], 1)), 4)
    0.2689
    """
    call = _Call(a, b, M, reg, method)
    results = call.run(numItermax, stopThr, verbose, warn, warmstart)
    answer = call.costs(results) if call.targets else call.nx.sum(call.M * call.plan(results[0]))
    return (answer, call.log(results)) if log else answer


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
    if not reg or unbalanced is not None or not entropic or method is not None or grad == "last_step":
        return ot.solve(
            M, a, b, reg=reg, c=c, reg_type=reg_type, unbalanced=unbalanced, unbalanced_type=unbalanced_type,
            method=method, n_threads=n_threads, max_iter=max_iter, plan_init=plan_init,
            potentials_init=potentials_init, tol=tol, verbose=verbose, grad=grad,
        )  # fmt: skip
    call = _Call([] if a is None else a, [] if b is None else b, M, reg, "sinkhorn_log", grad=grad)
    if call.targets:
        raise ValueError(f"b must have 1 dimension, not shape {tuple(call.b.shape)}")
    max_iter, tol = 1000 if max_iter is None else max_iter, 1e-9 if tol is None else tol
    (result,) = call.run(max_iter, tol, verbose, True, potentials_init, n_threads)
    nx, plan = call.nx, call.plan(result)
    log_u, log_v = (call.given_back(x) for x in call.scalings(result))
    linear = nx.sum(call.M * plan)
    value = _with_entropy(call, result, plan, linear, reg_type.lower(), grad)
    return OTResult(
        potentials=(log_u, log_v), value=value, value_linear=linear, plan=plan, backend=nx,
        status="Converged" if result.success else result.message, log={"result": result},
    )  # fmt: skip


def _with_entropy(call: _Call, result: Result, plan: Any, linear: Any, reg_type: str, grad: str) -> Any:
    """The regularised value, with the derivatives that were asked for."""
    nx, reg = call.nx, call.reg
    dense = result.plan.dense()
    number = result.value if reg_type == "kl" else result.value_linear + reg * xlogy(dense, dense).sum()
    value = call.given_back(np.asarray(number)) if nx.__name__ != "numpy" else linear.dtype.type(number)
    if grad == "envelope":
        f, g = (call.given_back(x - x[np.isfinite(x)].mean()) for x in (result.f, result.g))
        value = nx.set_gradients(value, (call.M, call.a, call.b), (plan, f, g))
    return value


class _Call:
    """The arguments of a call in POT's array type and in NumPy's, and the way back."""

    def __init__(self, a: Any, b: Any, M: Any, reg: float, method: str, grad: str = "autodiff") -> None:
        if method.lower() not in METHODS:
            raise ValueError(f"Unknown method '{method}'.")
        self.convention = METHODS[method.lower()]
        self.method, self.reg = method.lower(), reg
        M, a, b = list_to_array(M, a, b)
        self.nx = nx = get_backend(M, a, b)
        if grad == "autodiff" and any(getattr(x, "requires_grad", False) for x in (M, a, b)):
            raise NotImplementedError(
                "the plan is not made of differentiable steps: detach the tensors, or use solve(grad='envelope')"
            )
        self.M = M
        self.a = a if len(a) else nx.full((M.shape[0],), 1.0 / M.shape[0], type_as=M)
        self.b = b if len(b) else nx.full((M.shape[1],), 1.0 / M.shape[1], type_as=M)
        #: The number of targets; 0 where b has one dimension.
        self.targets = self.b.shape[1] if self.b.ndim == 2 else 0

    def run(
        self, max_iter: int, stop: float, verbose: bool, warn: bool, warmstart: Any, threads: int | None = None
    ) -> list[Result]:
        """A result for each target."""
        C, a, b = (np.asarray(self.nx.to_numpy(x)) for x in (self.M, self.a, self.b))
        keywords: dict[str, Any] = {
            "reg": self.reg, "tol": stop ** (1 / self.convention.power), "norm": self.convention.norm,
            "max_iter": max_iter, "verbose": int(verbose), "threads": threads,
        }  # fmt: skip
        b = _equal_mass(a, b)
        starts = self.starts(warmstart)
        if not self.targets:
            results = [transport.solve(C, a, b, warm_start=starts[0], **keywords)]
        elif warmstart is None:
            of_each: Any = transport.solve(C, a, b, **keywords)
            results = list(of_each)
        else:
            columns = zip(b.T, starts, strict=True)
            results = [transport.solve(C, a, column.copy(), warm_start=start, **keywords) for column, start in columns]
        if warn and not all(result.success for result in results):
            warnings.warn(NOT_CONVERGED, stacklevel=3)
        return results

    def starts(self, warmstart: Any) -> list[Any]:
        """For each target a pair (f, g) to start from, or None."""
        count = max(self.targets, 1)
        if warmstart is None:
            return [None] * count
        if self.targets and self.method == "sinkhorn_log":
            pairs = [[np.asarray(self.nx.to_numpy(x)) for x in pair] for pair in warmstart]
        else:
            first, second = (np.asarray(self.nx.to_numpy(x)) for x in warmstart)
            first, second = (x if x.ndim == 2 else np.repeat(x[:, None], count, axis=1) for x in (first, second))
            pairs = [[first[:, k], second[:, k]] for k in range(count)]
        factor = 1.0 if self.convention.potentials else self.reg
        return [(pair[0].astype(np.float64) * factor, pair[1].astype(np.float64) * factor) for pair in pairs]

    def scalings(self, result: Result) -> tuple[Array, Array]:
        """log u and log v, shifted so that the largest of each are equal: neither overflows before it must."""
        f, g = result.f / self.reg, result.g / self.reg
        shift = (g.max() - f.max()) / 2
        return f + shift, g - shift

    def given_back(self, x: Array) -> Any:
        """A NumPy array as the user's kind of array."""
        return self.nx.from_numpy(x, type_as=self.M)

    def plan(self, result: Result) -> Any:
        """The plan."""
        return self.given_back(result.plan.dense())

    def costs(self, results: list[Result]) -> Any:
        """<M, P> of each result."""
        return self.given_back(np.array([result.value_linear for result in results]))

    def log(self, results: list[Result]) -> dict[str, Any]:
        """The log dictionary of POT for this method."""
        pairs = [self.scalings(result) for result in results]
        log_u, log_v = (np.stack([pair[side] for pair in pairs], axis=1) for side in (0, 1))
        if not self.targets:
            log_u, log_v = log_u[:, 0], log_v[:, 0]
        with np.errstate(over="ignore"):
            arrays = {"u": np.exp(log_u), "v": np.exp(log_v)}
        arrays |= {"log_u": log_u, "log_v": log_v, "logu": log_u, "logv": log_v}
        arrays |= {"alpha": self.reg * log_u, "beta": self.reg * log_v}
        steps = max(result.nit for result in results)
        made: dict[str, Any] = {"err": _errors(results), "niter": steps, "n_iter": steps}
        keys = self.convention.keys
        if self.targets and self.method == "sinkhorn_log":
            keys = tuple(key for key in keys if key in arrays)
        made |= {key: self.given_back(arrays[key]) for key in keys if key in arrays}
        if "warmstart" in keys:
            made["warmstart"] = made["alpha"], made["beta"]
        return {key: made[key] for key in keys}


def _errors(results: list[Result]) -> list[float]:
    """The running error of the slowest solve, and the recomputed one at the end."""
    slowest = max(results, key=lambda result: result.nit)
    return [*(float(x) for x in slowest.history.get("measure", ())), slowest.marginal_error]


def _equal_mass(a: Array, b: Array) -> Array:
    """b with the mass of a where they differ by what rounding does to sums of weights."""
    mass_a, mass_b = float(a.sum(dtype=np.float64)), b.sum(axis=0, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        near = np.abs(mass_b - mass_a) <= MASS_TOLERANCE * max(mass_a, 0.0)
        scale = np.where(near, mass_a / mass_b, 1.0)
    return np.asarray(b.astype(np.float64) * scale)
