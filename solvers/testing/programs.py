"""Judge points of nonlinear programs, and results of `solvers.minimize`, from the user's functions alone.

Nothing of the solvers is used, only NumPy: not even the multipliers that a solver returns, unless they are what is
judged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .claims import holds
from .least_squares import signed_least_squares

Array = npt.NDArray[Any]

#: What a reported number may differ by from the recomputed one, in parts of the terms that cancel in it.
ROUNDING = 2.0**-40
#: How far large multipliers loosen what the tolerance is compared with, at most.
LARGEST_SCALE = 1000.0


@dataclass(frozen=True, eq=False)
class NonlinearProgram:
    """``min f(x)`` with ``lower <= x <= upper`` and ``row_lower <= c(x) <= row_upper``, by functions.

    Attributes
    ----------
    fun : callable
        ``f(x)``.
    gradient : callable
        Of f, (n,).
    constraints, jacobian : callable or None
        ``c(x)``, (m,), and its Jacobian, (m, n), dense or sparse; None where there are no constraints.
    lower, upper : float or (n,) array_like
        Bounds of x; infinite where there is none.
    row_lower, row_upper : float or (m,) array_like
        Sides of c(x); equal for an equation.
    """

    fun: Callable[[Array], float]
    gradient: Callable[[Array], Any]
    constraints: Callable[[Array], Any] | None = None
    jacobian: Callable[[Array], Any] | None = None
    lower: Any = -np.inf
    upper: Any = np.inf
    row_lower: Any = 0.0
    row_upper: Any = 0.0


@dataclass(frozen=True, eq=False)
class KKTReport:
    """How near a point is to the first-order conditions of a program.

    Attributes
    ----------
    stationarity : float
        ``|grad f + J'y + z|_inf`` with the best multipliers of the active rows and bounds.
    violation : float
        The largest violation of a row or a bound.
    fun : float
    multipliers : (m,) ndarray
        y: positive at an upper side, negative at a lower one, 0 at rows that are not active.
    bound_multipliers : (n,) ndarray
        z, likewise.
    active : int
        How many rows and bounds were taken for active.
    """

    stationarity: float
    violation: float
    fun: float
    multipliers: Array
    bound_multipliers: Array
    active: int

    def solved(self, tol: float) -> bool:
        """Whether both numbers are at most `tol`."""
        return np.isfinite(self.stationarity) and self.stationarity <= tol and self.violation <= tol


def kkt(x: Any, program: Any, *, active: float = 1e-5) -> KKTReport:
    """Judge a point by the first-order conditions, whatever a solver says of it.

    A side counts as active where its slack is at most ``active * max(1, |side|)``, or it is violated. The multipliers
    are those of least ``|grad f + J'y + z|_2`` with the signs that active sides allow.

    Parameters
    ----------
    x : (n,) array_like
    program : object
        Anything with the attributes of `NonlinearProgram`; for instance one, or what `cutest` returns.
    active : float, default 1e-5

    Returns
    -------
    KKTReport
        With infinite numbers where x, f, c or a derivative is not finite.

    Raises
    ------
    ValueError
        If x is not a vector, or a function returns another shape than its first one fixes.

    Notes
    -----
    Costs one evaluation of each function and O((n + a)^3) work, a the number of active sides.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers.testing import NonlinearProgram, kkt
    >>> circle = NonlinearProgram(
    ...     lambda x: x.sum(), np.ones_like, lambda x: np.array([x @ x]), lambda x: 2 * x[None], row_upper=2.0
    ... )
    >>> report = kkt([-1.0, -1.0], circle)
    >>> report.solved(1e-12), report.multipliers
    (True, array([0.5]))
    """
    at = _Point.of(x, program)
    if not at.finite:
        return KKTReport(np.inf, np.inf, at.f, np.full(at.m, np.nan), np.full(at.n, np.nan), 0)
    low, high = at.slack_below <= active * _sizes(at.low), at.slack_above <= active * _sizes(at.high)
    chosen = np.flatnonzero(low | high)
    columns = np.concatenate([at.J, np.eye(at.n)])[chosen].T
    sign = (high.astype(int) - low.astype(int))[chosen]
    multipliers = np.zeros(at.m + at.n)
    multipliers[chosen] = signed_least_squares(columns, -at.g, sign)
    y, z = multipliers[: at.m], multipliers[at.m :]
    return KKTReport(_largest(at.g + at.J.T @ y + z), at.violation, at.f, y, z, len(chosen))


@dataclass(frozen=True)
class MinimumReport:
    """What a result of `solvers.minimize` is worth.

    Attributes
    ----------
    measure : float
        The largest of the next three, the first and the third of them divided by `scale`: what the tolerance is
        compared with.
    optimality, constr_violation, complementarity : float
        ``|grad f + J'y + z|_inf`` with the multipliers that were returned; the largest violation; the largest product
        of a multiplier and the slack of its side, or 1 where that side is infinite. Equations have no slack.
    scale : float
        ``mean |multipliers| / 100`` within [1, 1000], the mean over y and z together. Multipliers without end, as
        dependent sides let them grow, must not make up for what they leave.
    kkt : KKTReport
        The same point judged without the multipliers that were returned.
    """

    measure: float
    optimality: float
    constr_violation: float
    complementarity: float
    scale: float
    kkt: KKTReport


def check_minimum(result: Any, program: Any, *, tol: float = 1e-8) -> MinimumReport:
    """Recompute the certificate of a result of `solvers.minimize`, and raise where it claims what is not so.

    Parameters
    ----------
    result : MinimizeResult
        Or anything with ``x, fun, success, measure, multipliers, bound_multipliers``.
    program : object
        As in `kkt`: the user's own functions.
    tol : float, default 1e-8
        As the solve was asked.

    Returns
    -------
    MinimumReport

    Raises
    ------
    AssertionError
        Where the result says success and the recomputed measure is above the tolerance, or is so without the
        multipliers of infinite sides, or x is not finite; where its measure or its objective is not the recomputed one.

    Examples
    --------
    >>> import numpy as np, types
    >>> from solvers.testing import NonlinearProgram, check_minimum
    >>> square = NonlinearProgram(lambda x: x @ x, lambda x: 2 * x, lower=1.0)
    >>> x, z = np.ones(2), np.full(2, -2.0)
    >>> result = types.SimpleNamespace(
    ...     x=x, fun=2.0, success=True, measure=0.0, multipliers=np.zeros(0), bound_multipliers=z
    ... )
    >>> check_minimum(result, square).measure
    0.0
    """
    at = _Point.of(result.x, program)
    holds(not (result.success and not at.finite), "success is claimed where x or a function is not finite")
    multipliers = np.concatenate([
        _vector(result.multipliers, at.m, "multipliers"), _vector(result.bound_multipliers, at.n, "bound_multipliers"),
    ])  # fmt: skip
    scale = min(max(1.0, float(abs(multipliers).mean()) / 100 if len(multipliers) else 1.0), LARGEST_SCALE)
    y, z = multipliers[: at.m], multipliers[at.m :]
    optimality = _largest(at.g + at.J.T @ y + z)
    complementarity = _product(multipliers, at)
    measure = max(optimality / scale, at.violation, complementarity / scale)
    terms = max(_largest(at.g), _largest(abs(at.J).T @ abs(y)))
    slack = ROUNDING * (1 + max(terms, _largest(at.c)))
    if result.success:
        holds(measure <= tol + slack, f"success is claimed at a measure of {measure:.3g}")
        sided = np.where(np.isinf(np.where(multipliers > 0, at.high, at.low)), 0.0, multipliers)
        left = _largest(at.g + at.J.T @ sided[: at.m] + sided[at.m :]) / scale
        holds(left <= tol + ROUNDING * (1 + terms), f"multipliers of infinite sides claim success: {left:.3g} is left")
    if at.finite and np.isfinite(result.measure):
        reported = float(result.measure)
        holds(abs(reported - measure) <= slack + 1e-6 * measure, f"measure is {reported:.17g}, not {measure:.17g}")
        holds(abs(float(result.fun) - at.f) <= ROUNDING * (1 + abs(at.f)), f"fun is {result.fun!r}, not {at.f!r}")
    return MinimumReport(measure, optimality, at.violation, complementarity, scale, kkt(result.x, program))


# ---- a program at a point ------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Point:
    """All functions at one point; sides of rows and then of variables."""

    x: Array
    f: float
    g: Array
    c: Array
    J: Array
    low: Array
    high: Array

    @classmethod
    def of(cls, x: Any, program: Any) -> _Point:
        point = np.array(x, np.float64)
        if point.ndim != 1:
            raise ValueError(f"x has {point.ndim} dimensions, not 1")
        n = len(point)
        f = float(program.fun(point.copy()))
        g = _vector(program.gradient(point.copy()), n, "gradient")
        c, J = np.zeros(0), np.zeros((0, n))
        if program.constraints is not None:
            c = np.array(program.constraints(point.copy()), np.float64).ravel()
        if len(c):
            J = program.jacobian(point.copy())
            J = np.asarray(J.toarray() if hasattr(J, "toarray") else J, np.float64)
            if J.shape != (len(c), n):
                raise ValueError(f"jacobian has shape {J.shape}, not {(len(c), n)}")
        sides = [
            np.concatenate([np.broadcast_to(np.asarray(rows, float), c.shape), np.broadcast_to(np.asarray(own), n)])
            for rows, own in ((program.row_lower, program.lower), (program.row_upper, program.upper))
        ]
        return cls(point, f, g, c, J, *sides)

    @property
    def n(self) -> int:
        return len(self.x)

    @property
    def m(self) -> int:
        return len(self.c)

    @property
    def finite(self) -> bool:
        return all(bool(np.isfinite(part).all()) for part in (self.x, self.f, self.g, self.c, self.J))

    @property
    def slack_below(self) -> Array:
        return np.asarray(np.concatenate([self.c, self.x]) - self.low)

    @property
    def slack_above(self) -> Array:
        return np.asarray(self.high - np.concatenate([self.c, self.x]))

    @property
    def violation(self) -> float:
        with np.errstate(invalid="ignore"):
            return float(max(-self.slack_below.min(initial=0.0), -self.slack_above.min(initial=0.0)))


def _vector(values: Any, size: int, name: str) -> Array:
    vector = np.array(values, np.float64)
    if vector.shape != (size,):
        raise ValueError(f"{name} has shape {vector.shape}, not {(size,)}")
    return vector


def _sizes(sides: Array) -> Array:
    return np.asarray(np.maximum(1.0, abs(np.where(np.isfinite(sides), sides, 1.0))))


def _product(multipliers: Array, at: _Point) -> float:
    """The largest |multiplier| times the distance from the side that its sign belongs to, 1 where there is none."""
    distance = abs(np.where(multipliers > 0, at.slack_above, at.slack_below))
    product = abs(multipliers) * np.where(np.isinf(distance), 1.0, distance)
    return float(np.where((at.low == at.high) | (multipliers == 0), 0.0, product).max(initial=0.0))


def _largest(vector: Array) -> float:
    return float(abs(vector).max(initial=0.0))
