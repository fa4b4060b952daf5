"""Judge results of games, linear programs and inclusions: recompute their certificates from the user's data, and refuse
what is claimed but not so.

Nothing of the solvers is used, only NumPy; products are summed in float64, or on request in extended precision.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .claims import holds

Array = npt.NDArray[Any]

#: What a reported number may differ by from the recomputed one, in parts of the terms that cancel in it.
ROUNDING = 2.0**-40
#: The same of a program's measure, whose terms may be far above what they are measured by: a row's products above the
#: norm of all sides, say. What a success has to meet is not loosened by more.
CANCELLED = 2.0**-46
#: What a ray may miss of the conditions that it must satisfy, in parts of what it proves: only points further away than
#: the bounds by the inverse could make up for it.
RAY = 1e-7


@dataclass(frozen=True)
class CertificateReport:
    """What a result is worth.

    Attributes
    ----------
    kind : str
        "game", "program", "infeasible program", "unbounded program" or "inclusion".
    measure : float
        The recomputed number that a tolerance is compared with: the gap of a game; the largest of the relative
        residuals and the relative gap of a program; the residual of an inclusion; of a ray, what it misses.
    numbers : dict of float
        What it is made of.
    """

    kind: str
    measure: float
    numbers: dict[str, float] = field(default_factory=dict)


def verify(result: Any, problem: Any, *, tol: float = 1e-6, extended: bool = False) -> CertificateReport:
    """Recompute the certificate of a result of `solvers.equilibrium`, and raise where it claims what is not so.

    Parameters
    ----------
    result : SolveResult
        From `matrix_game`, `lp`, `linprog`, `solve`, `variational_inequality`; or anything with the same attributes.
    problem : object
        What was solved. A game: its matrix, dense or sparse. A program: a `LinearProgram`, or anything with ``c, A, l,
        u, lb, ub``. An inclusion: the operator F, or (F, prox) where there is a proximal operator or a set's
        projection, ``prox(z, step, out)``.
    tol : float, default 1e-6
        As the solve was asked.
    extended : bool, default False
        Sum in `numpy.longdouble`. The operator of an inclusion is still evaluated as the user wrote it.

    Returns
    -------
    CertificateReport

    Raises
    ------
    AssertionError
        Where the result says success and the recomputed measure is above the tolerance; where the point is not in its
        set or not finite; where a reported measure, bound or value is not the recomputed one; where a verdict on the
        program comes without a ray that proves it.

    Examples
    --------
    >>> import numpy as np, solvers
    >>> A = np.random.default_rng(7).normal(size=(30, 40))
    >>> result = solvers.equilibrium.matrix_game(A, tol=1e-9)
    >>> solvers.testing.verify(result, A, tol=1e-9).measure <= 1e-9
    True
    """
    wide = np.longdouble if extended else np.float64
    if all(hasattr(problem, name) for name in ("c", "A", "l", "u", "lb", "ub")):
        return _program(result, problem, tol, wide)
    if callable(problem) or isinstance(problem, tuple):
        operator, prox = problem if isinstance(problem, tuple) else (problem, None)
        return _inclusion(result, operator, prox, tol, wide)
    return _game(result, problem, tol, wide)


def _claims(result: Any, measure: float, tol: float, slack: float) -> None:
    holds(not np.isnan(measure), "the measure is not a number")
    if result.success:
        holds(measure <= tol + slack, f"success is claimed at a measure of {measure:.3g}")


def _agrees(reported: Any, found: float, slack: float, name: str) -> None:
    holds(abs(float(reported) - found) <= slack, f"{name} is {float(reported):.17g}, not {found:.17g}")


# ---- games ---------------------------------------------------------------------------------------


def _game(result: Any, A: Any, tol: float, wide: Any) -> CertificateReport:
    rows = _rows(A, wide)
    x, y = (
        _point(getattr(result, name), size, name, wide) for name, size in (("x", rows.shape[1]), ("y", rows.shape[0]))
    )
    for name, point in (("x", x), ("y", y)):
        holds(point.min() >= 0, f"{name} has a negative entry")
        holds(abs(float(point.sum()) - 1) <= 4 * len(point) * 2.0**-52, f"{name} does not sum to 1")
    worst, best = float(rows.times(x).max()), float(rows.transposed_times(y).min())
    slack = ROUNDING * rows.largest
    low, high = result.value_bounds
    _agrees(low, best, slack, "the lower bound of the value")
    _agrees(high, worst, slack, "the upper bound of the value")
    _agrees(result.gap, max(worst - best, 0.0), 2 * slack, "gap")
    holds(low - slack <= result.value <= high + slack, "the value lies outside its bounds")
    _claims(result, worst - best, tol, slack)
    return CertificateReport("game", max(worst - best, 0.0), {"lower": best, "upper": worst})


# ---- linear programs -----------------------------------------------------------------------------


def _program(result: Any, program: Any, tol: float, wide: Any) -> CertificateReport:
    sign = -1.0 if getattr(program, "maximize", False) else 1.0
    rows = _rows(program.A, wide)
    sides = (np.asarray(side).astype(wide) for side in (program.l, program.u, program.lb, program.ub))
    data = _Data(sign * np.asarray(program.c).astype(wide), rows, *sides)
    verdict = str(getattr(result.status, "name", result.status))
    if verdict == "INFEASIBLE":
        return _infeasible(result, data, wide)
    if verdict == "UNBOUNDED":
        return _unbounded(result, data, wide)
    x = _point(result.x, rows.shape[1], "x", wide)
    y = sign * _point(result.y, rows.shape[0], "y", wide)
    holds(((data.lower <= x) & (x <= data.upper)).all(), "x leaves its bounds")
    numbers = data.residuals(x, y)
    measure, slack = max(numbers.values()), ROUNDING + CANCELLED * data.terms(x, y)
    _claims(result, measure, tol, slack)
    if np.isfinite(result.measure):
        _agrees(result.measure, measure, slack + 1e-6 * measure, "measure")
    objective = sign * float(data.c @ x) + float(getattr(program, "offset", 0.0))
    _agrees(result.fun, objective, ROUNDING * float(1 + abs(data.c) @ abs(x)), "fun")
    return CertificateReport("program", measure, {**numbers, "objective": objective})


@dataclass(frozen=True)
class _Data:
    """min c'x, low <= A x <= high, lower <= x <= upper."""

    c: Array
    A: Any
    low: Array
    high: Array
    lower: Array
    upper: Array

    @property
    def sides(self) -> Array:
        """The rows' sides, the larger of two; 0 of rows without entries, which no x changes."""
        sides = np.maximum(abs(_zero_where_infinite(self.low)), abs(_zero_where_infinite(self.high)))
        return np.where(self.A.absolute().times(np.ones(len(self.c))) > 0, sides, 0)

    def residuals(self, x: Array, y: Array) -> dict[str, float]:
        """Relative primal and dual residuals and gap, in 2-norms."""
        product = self.A.times(x)
        violation = np.maximum(_zero_where_infinite(self.low - product), 0)
        violation += np.maximum(_zero_where_infinite(product - self.high), 0)
        sides = self.sides
        reduced = self.c - self.A.transposed_times(y)
        free = np.concatenate([_unsupported(reduced, self.lower, self.upper), _unsupported(y, self.low, self.high)])
        primal, dual = float(self.c @ x), _support(y, self.low, self.high) + _support(reduced, self.lower, self.upper)
        return {
            "primal": _norm(violation) / (1 + _norm(sides)), "dual": _norm(free) / (1 + _norm(self.c)),
            "gap": abs(primal - dual) / (1 + abs(primal) + abs(dual)),
        }  # fmt: skip

    def terms(self, x: Array, y: Array) -> float:
        """The terms whose sums and differences the residuals are, in their units: what rounding is a part of."""
        sides = self.sides
        bounds = np.maximum(abs(_zero_where_infinite(self.lower)), abs(_zero_where_infinite(self.upper)))
        sizes = self.A.absolute()
        rows, columns = sizes.times(abs(x)) + sides, sizes.transposed_times(abs(y)) + abs(self.c)
        primal, worth = float(self.c @ x), float(abs(self.c) @ abs(x) + abs(y) @ sides + columns @ bounds)
        return max(
            _norm(rows) / (1 + _norm(sides)), _norm(columns) / (1 + _norm(self.c)), worth / (1 + 2 * abs(primal))
        )


def _infeasible(result: Any, data: _Data, wide: Any) -> CertificateReport:
    """Farkas: y'A x is at least the rows' share and at most the bounds'; together they leave no x."""
    if (data.lower > data.upper).any() or (data.low > data.high).any():
        return CertificateReport("infeasible program", 0.0)
    y = _point(result.ray, len(data.low), "ray", wide)
    reduced = -data.A.transposed_times(y)
    holds(not _unsupported(y, data.low, data.high).any(), "the ray has multipliers of sides that are infinite")
    missed = float(abs(_unsupported(reduced, data.lower, data.upper)).sum())
    proven = _support(y, data.low, data.high) + _support(reduced, data.lower, data.upper)
    holds(proven > 0, f"the ray proves nothing: {proven:.3g}")
    reach = 1 + max(float(abs(_zero_where_infinite(bound)).max(initial=0)) for bound in (data.lower, data.upper))
    holds(missed * reach <= RAY * proven, f"the ray leans on infinite bounds by {missed:.3g}")
    return CertificateReport("infeasible program", missed * reach / proven, {"proven": proven})


def _unbounded(result: Any, data: _Data, wide: Any) -> CertificateReport:
    """A direction along which the objective falls and no row or bound is ever met."""
    d = _point(result.ray, len(data.c), "ray", wide)
    off, terms = _hits(data.A.times(d), data.low, data.high), data.A.absolute().times(abs(d))
    missed = float((abs(off) / np.where(terms > 0, terms, 1)).max(initial=0))
    descent, sizes = -float(data.c @ d), float(abs(data.c) @ abs(d))
    holds(descent > 0, f"the objective does not fall along the ray: {-descent:.3g}")
    holds(not _hits(d, data.lower, data.upper).any(), "the ray leaves the bounds")
    holds(missed * sizes <= RAY * descent, f"the ray leaves the feasible directions by {missed:.3g}")
    return CertificateReport("unbounded program", missed * sizes / descent, {"descent": descent})


def _hits(direction: Array, low: Array, high: Array) -> Array:
    """The part of a direction that runs into a finite bound."""
    return np.where(np.isfinite(np.where(direction > 0, high, low)), direction, 0)


def _zero_where_infinite(values: Array) -> Array:
    return np.where(np.isfinite(values), values, 0)


def _unsupported(multiplier: Array, low: Array, high: Array) -> Array:
    """The part of each multiplier whose bound is infinite."""
    return np.where(np.isfinite(np.where(multiplier > 0, low, high)), 0, multiplier)


def _support(multiplier: Array, low: Array, high: Array) -> float:
    """The multipliers times the finite bounds that they lean on."""
    return float((multiplier * _zero_where_infinite(np.where(multiplier > 0, low, high))).sum())


# ---- inclusions ----------------------------------------------------------------------------------


def _inclusion(result: Any, operator: Callable[..., Any], prox: Any, tol: float, wide: Any) -> CertificateReport:
    """|F(x)|, or |x - prox(x - F(x))| with a step of 1."""
    x = np.asarray(result.x, np.float64)
    holds(np.isfinite(x).all(), "x is not finite")
    value = np.array(operator(x.copy()), np.float64).reshape(x.shape)
    if prox is None:
        residual = value.astype(wide)
    else:
        moved = np.empty_like(x)
        given = prox(x - value, 1.0, moved)
        residual = x.astype(wide) - (moved if given is None else np.asarray(given)).astype(wide)
    measure = _norm(residual)
    slack = ROUNDING * (_norm(x) + _norm(value))
    _agrees(result.residual, measure, slack, "residual")
    _claims(result, measure, tol, slack)
    return CertificateReport("inclusion", measure, {"operator": _norm(value)})


# ---- arithmetic ----------------------------------------------------------------------------------


def _point(value: Any, size: int, name: str, wide: Any) -> Array:
    point = np.asarray(value).astype(wide)
    holds(point.shape == (size,), f"{name} has shape {point.shape}, not {(size,)}")
    holds(np.isfinite(point).all(), f"{name} is not finite")
    return point


def _norm(vector: Array) -> float:
    return float(np.sqrt((vector**2).sum()))


@dataclass(frozen=True)
class _Dense:
    """A matrix as it is."""

    array: Array

    @property
    def shape(self) -> tuple[int, int]:
        return self.array.shape[0], self.array.shape[1]

    @property
    def largest(self) -> float:
        return float(abs(self.array).max(initial=0))

    def absolute(self) -> _Dense:
        return _Dense(abs(self.array))

    def times(self, x: Array) -> Array:
        return np.asarray(self.array @ x)

    def transposed_times(self, y: Array) -> Array:
        return np.asarray(self.array.T @ y)


@dataclass(frozen=True)
class _Entries:
    """A sparse matrix by its entries."""

    rows: Array
    columns: Array
    values: Array
    shape: tuple[int, int]

    @property
    def largest(self) -> float:
        return float(abs(self.values).max(initial=0))

    def absolute(self) -> _Entries:
        return _Entries(self.rows, self.columns, abs(self.values), self.shape)

    def times(self, x: Array) -> Array:
        return self._summed(self.rows, self.values * x[self.columns], self.shape[0])

    def transposed_times(self, y: Array) -> Array:
        return self._summed(self.columns, self.values * y[self.rows], self.shape[1])

    def _summed(self, places: Array, terms: Array, size: int) -> Array:
        out = np.zeros(size, terms.dtype)
        np.add.at(out, places, terms)
        return out


def _rows(A: Any, wide: Any) -> _Dense | _Entries:
    if hasattr(A, "tocoo"):
        coo = A.tocoo()
        return _Entries(coo.row, coo.col, coo.data.astype(wide), coo.shape)
    return _Dense(np.asarray(A).astype(wide))
