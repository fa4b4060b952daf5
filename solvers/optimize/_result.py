"""What a solve of a nonlinear program returns, with its measure recomputed on the user's functions."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf, isfinite
from typing import Any

import numpy.typing as npt

from .._base.result import SolveResult, Status
from ._kernels import kkt_numbers
from ._problem import NonlinearProblem

Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class MinimizeResult(SolveResult):
    """Result of a constrained minimisation: a `SolveResult` with the following.

    ``success`` means that `measure`, the largest of `optimality`, `constr_violation` and `complementarity`, recomputed
    at the returned x and multipliers on the user's own functions, is at most the tolerance.

    Attributes
    ----------
    x : ndarray, shape (n,)
        The answer.
    fun : float
        The objective at x.
    jac : ndarray, shape (n,)
        Its gradient.
    multipliers : ndarray, shape (m,)
        Of all rows of the constraints, with the sign of ``grad f + J'y + z = 0``: at most 0 at a lower side.
    bound_multipliers : ndarray, shape (n,)
        z, of the bounds, with the same sign.
    v : list of ndarray
        The multipliers of each constraint object, in their order; after them those of the bounds, where there are any.
    optimality : float
        ``|grad f + J'y + z|_inf / s``, with ``s = mean |multipliers| / 100`` within [1, 1000].
    constr_violation : float
        How far x is outside its bounds, or a row outside its sides, at most.
    complementarity : float
        The largest product of a multiplier and the slack to the side that its sign belongs to, over s.
    nfev, njev, nhev : int
        Calls of the functions, of their derivatives, of their Hessians.
    inner : str
        The linear algebra that served. What it did is in `stats`: of sparse factors `factorisations`, of Krylov methods
        `inner_steps`, an array of the steps with each Hessian, and `products` with KKT matrices in all.
    """

    fun: float
    jac: Array
    multipliers: Array
    bound_multipliers: Array
    v: list[Array] = field(default_factory=list)
    optimality: float
    constr_violation: float
    complementarity: float
    nfev: int = 0
    njev: int = 0
    nhev: int = 0
    inner: str = ""


def measured(
    problem: NonlinearProblem, point: tuple[Array, Array, Array], values: tuple[float, Array, Array, Array], inner: str
) -> MinimizeResult:
    """A result at a point x, y, z, from what the user's functions are there: f, grad f, c, J'y."""
    (x, y, z), (fun, g, c, product) = point, values
    return of_numbers(problem, point, (fun, g), kkt_numbers(x, g, z, c, y, product, problem.program.sides), inner)


def measure_of(fun: float, numbers: tuple[float, float, float]) -> float:
    """The largest of stationarity, violation and complementarity; infinite where one of them or f is not finite."""
    # the sum carries NaN, which max() may lose
    return max(numbers) if isfinite(sum(numbers) + fun) else inf


def of_numbers(
    problem: NonlinearProblem,
    point: tuple[Array, Array, Array],
    values: tuple[float, Array],
    numbers: tuple[float, float, float],
    inner: str,
) -> MinimizeResult:
    """A result at a point x, y, z, with f, grad f and the three numbers that make its measure."""
    (x, y, z), (fun, g), (optimality, violation, complementarity) = point, values, numbers
    calls = problem.program.calls
    measure = measure_of(fun, numbers)
    return MinimizeResult.of(
        x=x, success=False, status=Status.MAX_ITER, message="", nit=0, measure=measure, fun=fun, jac=g,
        multipliers=y, bound_multipliers=z, v=problem.shared(y, z),
        nfev=calls.nfev, njev=calls.njev, nhev=calls.nhev, optimality=optimality,
        constr_violation=violation, complementarity=complementarity, inner=inner,
    )  # fmt: skip
