"""POT's `emd` and `emd2` on `solvers.ot.emd`; the top of pot.py lists where they depart from POT's."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import ot
from ot.backend import get_backend
from ot.utils import check_number_threads

from .. import ot as transport
from ._pot_call import named, shape_of

Array = npt.NDArray[Any]

#: POT's numbers for how a solve ended.
OPTIMAL, MAX_ITER_REACHED = 1, 3

#: Masses may differ by this much, as in POT.
MASS_DIFFERENCE = 1.5e-6

#: Our names of arguments, and POT's.
NAMES = {"C": "M", "max_iter": "numItermax", "warm_start": "potentials_init"}

INTEGERS = (
    "Input histogram consists of integer. The transport plan will be casted accordingly, possibly resulting in a loss "
    "of precision. If this behaviour is unwanted, please make sure your input histogram consists of floating point "
    "elements."
)


def emd(
    a: Any,
    b: Any,
    M: Any,
    numItermax: int = 100000,
    log: bool = False,
    center_dual: bool = True,
    numThreads: int | str = 1,
    check_marginals: bool = True,
    potentials_init: Any = None,
) -> Any:
    """Exact optimal transport plan, as `ot.emd`.

    Parameters
    ----------
    a, b : array_like, shapes (n,) and (m,)
        Weights; uniform where empty or None. The plan has the array type and dtype of the first that is not empty.
    M : array_like, shape (n, m)
        Cost. Sparse costs are left to POT itself.
    numItermax : int
        Rounds at most; a problem of some hundred points takes one.
    log : bool
        Whether to return the log too.
    center_dual : bool
        Whether u and v are shifted so that ``a @ u == b @ v``.
    numThreads : int or "max"
        Threads of the passes over all arcs.
    check_marginals : bool
        Whether masses that differ are refused; b gets the mass of a in any case.
    potentials_init : (u, v), optional
        Where to start: potentials of an earlier solve.

    Returns
    -------
    array_like, shape (n, m)
        The plan.
    dict
        ``cost, u, v, warning, result_code``, where `log` is true.

    Raises
    ------
    AssertionError
        Masses that differ, or shapes that do not fit.
    ValueError
        What `solvers.ot.emd` refuses.

    Warns
    -----
    UserWarning
        Where optimality was not reached, or integer weights round the plan.

    Examples
    --------
    >>> from solvers.integrations.pot import emd
    >>> emd([0.5, 0.5], [0.5, 0.5], [[0.0, 1.0], [1.0, 0.0]])
    array([[0.5, 0. ],
           [0. , 0.5]])
    """
    call = _ExactCall(a, b, M)
    if call.sparse:
        return ot.emd(a, b, M, numItermax=numItermax, log=log, center_dual=center_dual, check_marginals=check_marginals)
    call.check(check_marginals)
    result = call.run(call.b, numItermax, numThreads, potentials_init)
    plan = call.plan(result)
    return (plan, call.log(result, call.b, float(result.value), center_dual)) if log else plan


def emd2(
    a: Any,
    b: Any,
    M: Any,
    processes: int = 1,
    numItermax: int = 100000,
    log: bool = False,
    return_matrix: bool = False,
    center_dual: bool = True,
    numThreads: int | str = 1,
    check_marginals: bool = True,
    potentials_init: Any = None,
) -> Any:
    """Least cost of transport, as `ot.emd2`; differentiable by the envelope theorem where the arrays are tensors.

    Parameters
    ----------
    a, M, numItermax, log, center_dual, numThreads, check_marginals, potentials_init
        As in `emd`.
    b : array_like, shape (m,) or (m, k)
        Weights, or k targets in columns.
    processes : int
        Taken for POT's sake, and without effect.
    return_matrix : bool
        Whether the log has the plan too, as ``log["G"]``; then the log is returned.

    Returns
    -------
    scalar, or a list of k of what one target gives
        The cost; ``[cost, log]`` where `log` or `return_matrix` is true.

    Raises
    ------
    AssertionError, ValueError
        As `emd`.

    Warns
    -----
    UserWarning
        As `emd`.

    Examples
    --------
    >>> from solvers.integrations.pot import emd2
    >>> emd2([0.5, 0.5], [0.25, 0.75], [[0.0, 1.0], [1.0, 0.0]])
    0.25
    """
    call = _ExactCall(a, b, M)
    if call.sparse:
        return ot.emd2(
            a, b, M, numItermax=numItermax, log=log, return_matrix=return_matrix, center_dual=center_dual,
            check_marginals=check_marginals,
        )  # fmt: skip
    call.check(check_marginals)

    def one(weights: Array) -> Any:
        result = call.run(weights, numItermax, numThreads, potentials_init)
        plan = call.plan(result)
        u, v = call.potentials(result, weights, center_dual)
        slopes = (call.given_back(u - u.mean()), call.given_back(v - v.mean()), plan)
        cost = call.nx.set_gradients(call.given_back(float(result.value)), call.given, slopes)
        if not (log or return_matrix):
            return cost
        made = call.log(result, weights, cost, center_dual)
        return [cost, {**made, "G": plan} if return_matrix else made]

    return one(call.b) if call.b.ndim == 1 else [one(column.copy()) for column in call.b.T]


def _arrays(*given: Any) -> list[Any]:
    """Lists as arrays like the others, but never as integers, to which POT itself would round them."""
    arrays = [x for x in given if not isinstance(x, list)]
    nx = get_backend(*arrays or [np.zeros(0)])
    like = next((x for x in arrays if nx.is_floating_point(x)), None)
    return [nx.from_numpy(np.array(x, np.float64), type_as=like) if isinstance(x, list) else x for x in given]


class _ExactCall:
    """The arguments of a call in POT's array type and in NumPy's, and the way back."""

    def __init__(self, a: Any, b: Any, M: Any) -> None:
        a, b, M = _arrays([] if a is None else a, [] if b is None else b, M)
        self.nx = nx = get_backend(a, b, M)
        self.sparse = bool(nx.issparse(M))
        if self.sparse:
            return
        #: Whose array type and dtype the results have.
        self.like = b if len(b) and not len(a) else a
        n, m = shape_of(M)
        a = a if len(a) else nx.ones((n,), type_as=self.like) / n
        b = b if len(b) else nx.ones((m,), type_as=self.like) / m
        #: As given, for the derivatives.
        self.given = a, b, M
        self.M = np.asanyarray(nx.to_numpy(M), np.float64)  # a mask is to be refused
        self.a, self.b = (np.asarray(nx.to_numpy(x), np.float64) for x in (a, b))

    def check(self, marginals: bool) -> None:
        """Refuse what POT refuses, in its way; b gets the mass of a."""
        n, m = self.M.shape
        if self.a.shape[0] != n or self.b.shape[0] != m:
            raise AssertionError(f"Dimension mismatch: a and b have {len(self.a)} and {len(self.b)} weights, M {n, m}")
        mass_a, mass_b = self.a.sum(), self.b.sum(axis=0)
        if marginals and not (np.abs(mass_a - mass_b) < MASS_DIFFERENCE).all():
            raise AssertionError(f"a and b vector must have the same sum, not {mass_a} and {mass_b}")
        self.b = self.b * (mass_a / mass_b)

    def run(self, b: Array, rounds: int, threads: int | str, start: Any) -> transport.ExactTransportResult:
        """The result for the weights b, with a warning where it is not optimal."""
        if start is not None:
            start = tuple(np.asarray(self.nx.to_numpy(x)) for x in start)
        number = check_number_threads(threads)  # -1 for "max"
        with named(**NAMES):
            result = transport.emd(
                self.M, self.a, b, max_iter=rounds, warm_start=start, threads=None if number < 0 else number
            )
        if not result.success:
            warnings.warn(result.message, stacklevel=4)
        return result

    def given_back(self, x: Any) -> Any:
        """A NumPy array or a number as the user's kind of array."""
        return self.nx.from_numpy(x, type_as=self.like)

    def plan(self, result: transport.ExactTransportResult) -> Any:
        """The plan, dense."""
        if not self.nx.is_floating_point(self.like):
            warnings.warn(INTEGERS, stacklevel=3)
        return self.given_back(result.plan.toarray())

    def potentials(self, result: transport.ExactTransportResult, b: Array, centered: bool) -> tuple[Array, Array]:
        """u and v; centred with a @ u == b @ v."""
        shift = float(b @ result.g - self.a @ result.f) / (2 * float(self.a.sum())) if centered else 0.0
        return result.f + shift, result.g - shift

    def log(self, result: transport.ExactTransportResult, b: Array, cost: Any, centered: bool) -> dict[str, Any]:
        """The log dictionary of POT."""
        u, v = self.potentials(result, b, centered)
        return {
            "cost": cost, "u": self.given_back(u), "v": self.given_back(v),
            "warning": None if result.success else result.message,
            "result_code": OPTIMAL if result.success else MAX_ITER_REACHED,
        }  # fmt: skip
