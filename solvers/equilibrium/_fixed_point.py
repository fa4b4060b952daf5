"""Fixed points x = T(x): as the inclusion 0 = F(x) with F(x) = x - T(x), whose forward step of length 1 is T itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base import threads as _threads
from .._base.compiled import address_of
from .._base.iterate import Control
from .._base.rng import RNG, check_rng
from .._base.validate import check_finite, positive, real_array
from ._operators import Operator
from ._problem import EquilibriumResult, Inclusion
from ._sets import length
from ._solve import solved

Array = npt.NDArray[Any]

#: Applications of T that tell whether it is a contraction: the residual falls below this share with each.
PROBES, CONTRACTION = 4, 0.9


class Displacement(Operator):
    """x - T(x), for T of arrays of the user's shape."""

    def __init__(self, T: Any, x0: Array, args: tuple[Any, ...]):
        self.T, self.shape, self.args = T, x0.shape, args
        if address_of(T) is None and not callable(T):
            raise TypeError(f"T must be callable, a LowLevelCallable or a cfunc, not {type(T).__name__}")
        super().__init__(T, x0.size)

    def _value(self, x: Array) -> Array:
        value = np.asarray(self.T(x.reshape(self.shape) if self.shape else float(x[0]), *self.args))
        if value.size != self.size or (self.shape and value.shape != self.shape):
            raise ValueError(f"T must return shape {self.shape}, not {value.shape}")
        return value.reshape(-1)

    def __call__(self, z: Array, out: Array) -> None:
        """Write z - T(z) to out."""
        super().__call__(z, out)
        np.subtract(z, out, out=out)


@dataclass(eq=False, repr=False)
class FixedPoint(Inclusion):
    """A checked fixed-point problem."""

    shape: tuple[int, ...] = ()

    @property
    def title(self) -> str:
        """For logs."""
        return f"fixed point in dimension {len(self.z0)}"

    @property
    def kinds(self) -> tuple[str, ...]:
        return ("fixed-point",)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"fixed-point"})

    def answer(self, state: Any) -> Any:
        """The best point of a state, in the user's shape."""
        return state.best.reshape(self.shape) if self.shape else float(state.best[0])

    def result(self, z: Array, step: float, stats: dict[str, Any]) -> EquilibriumResult:
        """The result with z as the answer and its residual recomputed."""
        residual = length(self.evaluate(z))
        return EquilibriumResult(
            x=z.reshape(self.shape).copy() if self.shape else float(z[0]), success=False, status=None,  # type: ignore[arg-type]
            message="", nit=0, measure=residual, stats=stats, residual=residual, residual_kind="fixed-point",
            gap=float("nan"), certificate=None, nfev=self.operator.nfev, ncomp=0, epochs=self.epochs,
        )  # fmt: skip


def fixed_point(
    T: Any,
    x0: npt.ArrayLike,
    args: tuple[Any, ...] = (),
    *,
    tol: float = 1e-8,
    method: str | None = None,
    options: Mapping[str, Any] | None = None,
    max_iter: int = 10_000,
    time_limit: float | None = None,
    callback: Callable[[Any], Any] | None = None,
    verbose: int = 0,
    resume: Any = None,
    rng: RNG = 0,
    threads: int | None = None,
) -> EquilibriumResult:
    """Find x with ``x = T(x)``.

    Parameters
    ----------
    T : callable
        ``T(x, *args)`` returns an array of the shape of x0, or a number for a number. Also a `scipy.LowLevelCallable`
        or numba's ``cfunc`` with the signature ``void (int n, double *x, double *out, void *user_data)``.
    x0 : array_like or number
        Where to start; of any shape.
    args : tuple
        Further arguments of T.
    tol : float, default 1e-8
        The solve succeeds where ``|x - T(x)|_2`` is at most this.
    method : str, optional
        "anderson" (for contractions), "halpern" (for nonexpansive maps: never further away from one another than their
        arguments), "krasnoselskii" or "picard". By default four applications of T decide: where each makes the residual
        fall by a tenth T is taken for a contraction.
    options : mapping, optional
        Those of the method; ``python -m solvers methods`` lists them.
    max_iter : int, default 10000
    time_limit, callback, verbose, resume, rng, threads
        As for `solvers.equilibrium.solve`; rng and threads change nothing.

    Returns
    -------
    EquilibriumResult
        `x` has the shape of x0 (a float for a number); `residual` is ``|x - T(x)|_2``, recomputed; `nfev` counts T.

    Raises
    ------
    ValueError
        An x0 that is empty or not finite, a T that is not finite there or returns another shape.
    TypeError
        Data that is not real, a T that cannot be called.
    MethodError, OptionError
        An unknown method or option, or an option out of range.

    Notes
    -----
    Without restarts (``options={"restart": "never"}``) method "halpern" has after k steps a residual of at most
    ``2 |x0 - x*| / (k + 1)`` for every nonexpansive T, on maps, too, where ``x = T(x)`` repeated never converges.

    References
    ----------
    Lieder (2021), On the convergence rate of the Halpern-iteration, Optim. Lett. 15; Walker, Ni (2011), Anderson
    acceleration for fixed-point iterations, SIAM J. Numer. Anal. 49.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers.equilibrium import fixed_point
    >>> round(fixed_point(np.cos, 1.0).x, 8)
    0.73908513
    >>> turn = np.array([[0.0, -1.0], [1.0, 0.0]])  # a rotation, whose powers go round for ever
    >>> result = fixed_point(lambda x: turn @ x, np.ones(2), method="halpern")
    >>> result.success, bool(np.abs(result.x).max() < 1e-8)
    (True, True)
    """
    start = real_array(x0, "x0")
    if start.size == 0:
        raise ValueError("x0 is empty")
    check_finite(start, "x0")
    check_rng(rng)
    problem = FixedPoint(
        Displacement(T, start, args if isinstance(args, tuple) else (args,)), None, start.reshape(-1).copy(),
        positive(tol, "tol"), L=1.0, cocoercive=True, monotone=False, seed=rng, threads=_threads.resolve(threads),
        shape=start.shape,
    )  # fmt: skip
    control = Control(max_iter, time_limit, callback, verbose, resume)
    name, why = (method, "") if method else _chosen(problem)
    return solved(problem, name, control, options, why)


def _chosen(problem: FixedPoint) -> tuple[str, str]:
    """The method and why; the start moves along where T is a contraction."""
    z, worst, last = problem.z0, 0.0, np.inf
    with np.errstate(all="ignore"):
        for _ in range(PROBES):
            F = problem.evaluate(z)
            residual = length(F)
            if residual <= problem.tol:
                worst = 0.0
                break
            worst, last = max(worst, residual / last), residual
            z = z - F
    if worst < CONTRACTION:
        problem.z0 = z
        return "anderson", "Chose anderson, since T looks like a contraction."
    if worst <= 1 + 1e-12:
        return "halpern", "Chose halpern, since T looks like no contraction, but nonexpansive."
    return "anderson", "Chose anderson, since T is not even nonexpansive: no other method has a chance."
