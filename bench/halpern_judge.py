"""The judge of games and linear programs, outside all solvers: it knows the data and the answer alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .halpern_problems import Program

Array = npt.NDArray[Any]


def mixed(weights: Any, count: int) -> Array | None:
    """What a solver returned as a mixed strategy, clipped and scaled; None if it is none."""
    point = np.maximum(np.asarray(weights, float).ravel(), 0.0)
    if len(point) != count or not np.isfinite(point).all() or point.sum() <= 0:
        return None
    return np.asarray(point / point.sum())


def game_gap(A: Array, x: Any, y: Any) -> float:
    """max (A x) - min (A'y) of the strategies made exact: how far each is from its best answer, together."""
    x, y = mixed(x, A.shape[1]), mixed(y, A.shape[0])
    if x is None or y is None:
        return float("inf")
    return float((A @ x).max() - (A.T @ y).min())


def program_error(program: Program, x: Any, y: Any) -> float:
    """The largest of the relative primal and dual residuals and of the relative gap, in 2-norms.

    y are multipliers of the rows; reduced costs are c - A'y, and what of them has no bound to lean on is a residual.
    """
    c, A, low, high, lower, upper, _ = program
    x, y = np.asarray(x, float), np.asarray(y, float)
    if x.shape != c.shape or y.shape != low.shape or not (np.isfinite(x).all() and np.isfinite(y).all()):
        return float("inf")
    x = np.clip(x, lower, upper)
    product = A @ x
    violation = np.maximum(low - product, 0) + np.maximum(product - high, 0)
    sizes = np.maximum(np.abs(_kept(low)), np.abs(_kept(high)))
    reduced = c - A.T @ y
    loose = _leaning(reduced, lower, upper)
    off = np.linalg.norm(np.concatenate([loose, _leaning(y, low, high)]))
    dual = _bound(y, low, high) + _bound(reduced, lower, upper)
    primal = float(c @ x)
    return float(max(
        np.linalg.norm(violation) / (1 + np.linalg.norm(sizes)), off / (1 + np.linalg.norm(c)),
        abs(primal - dual) / (1 + abs(primal) + abs(dual)),
    ))  # fmt: skip


def _leaning(multiplier: Array, low: Array, high: Array) -> Array:
    """The part of each multiplier whose bound is infinite."""
    return np.where(
        multiplier > 0, np.where(np.isfinite(low), 0, multiplier), np.where(np.isfinite(high), 0, multiplier)
    )


def _bound(multiplier: Array, low: Array, high: Array) -> float:
    """The multipliers times the finite bounds that they lean on."""
    return float(np.where(multiplier > 0, multiplier * _kept(low), multiplier * _kept(high)).sum())


def _kept(bound: Array) -> Array:
    return np.where(np.isfinite(bound), bound, 0.0)
