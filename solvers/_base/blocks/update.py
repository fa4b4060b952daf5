"""The step on a block: by bounds of the curvature, by its matrix, by the Hessian with a line search, or exact."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg
import scipy.sparse

from ..sparse import identity
from . import _kernels
from .curvature import NegativeCurvatureError
from .penalty import Penalty, Separable

Array = npt.NDArray[Any]
#: F at a step's end, P included.
Objective = Callable[[Array], float]

SUFFICIENT = 1e-4
TRIALS = 40
#: Rounds of sweeps and Newton steps within a block.
ROUNDS = 200


# ---- with constants ------------------------------------------------------------------------------


def proximal(g: Array, x: Array, L: Any, penalty: Penalty, b: Array) -> Array:
    """The prox-gradient step with curvature L, a number or one for each coordinate."""
    return penalty.prox(x - g / L, L, b) - x


def backtracked(
    g: Array, x: Array, L: float, penalty: Penalty, b: Array, f: float, smooth_at: Objective
) -> tuple[Array, float]:
    """The prox-gradient step with the first of L, 2 L, 4 L, ... whose model lies above f."""
    slack = 4 * np.finfo(float).eps * abs(f)
    for _ in range(200):
        s = proximal(g, x, L, penalty, b)
        if not s.any() or smooth_at(s) <= f + float(s @ (g + L / 2 * s)) + slack:
            return s, L
        L *= 2
    return np.zeros_like(x), L


# ---- Newton --------------------------------------------------------------------------------------


def searched(s: Array, slope: float, F: float, at: Objective, arc: Callable[[float], Array] | None = None) -> Array:
    """The step along s (or along the arc) that decreases F enough, by interpolation; 0 where none does."""
    t, t_before, F_before = 1.0, 0.0, F
    slack = 4 * np.finfo(float).eps * abs(F)  # at the end all differences of F are rounding
    for trial in range(TRIALS):
        step = t * s if arc is None else arc(t)
        reached = at(step)
        if reached <= F + SUFFICIENT * t * slope + slack:
            return step
        following = _interpolated(t, reached, t_before, F_before, F, slope, trial)
        t_before, F_before, t = t, reached, following
    return np.zeros_like(s)


def _interpolated(t: float, reached: float, t0: float, F0: float, F: float, slope: float, trial: int) -> float:
    """The minimiser of a parabola, later a cubic, through what is known, within [0.1, 0.5] t."""
    low, high = 0.1 * t, 0.5 * t
    if not np.isfinite(reached):
        return high
    excess = reached - F - slope * t
    guess = -slope * t * t / (2 * excess) if excess > 0 else high
    if trial and np.isfinite(F0):
        earlier = F0 - F - slope * t0
        a = (excess / t**2 - earlier / t0**2) / (t - t0)
        c = (-t0 * excess / t**2 + t * earlier / t0**2) / (t - t0)
        inside = c * c - 3 * a * slope
        if a != 0 and inside >= 0:
            guess = (-c + np.sqrt(inside)) / (3 * a)
    return float(min(max(guess, low), high)) if np.isfinite(guess) else high


def newton_direction(H: Any, g: Array) -> Array:
    """-H^-1 g, with H shifted until it is positive definite; functions that are not convex go downhill, too.

    H: dense, or sparse; then a graph that is a forest is eliminated in linear time.
    """
    solve = _by_forest if scipy.sparse.issparse(H) else _by_factor
    shift, scale = 0.0, float(np.abs(H.diagonal()).max(initial=0.0)) or 1.0
    for _ in range(60):
        try:
            return -solve(H, shift, g)
        except np.linalg.LinAlgError:
            shift = max(10 * shift, 1e-12 * scale)
    return -g / scale


def _by_factor(H: Array, shift: float, g: Array) -> Array:
    factor = scipy.linalg.cho_factor(H + shift * np.eye(len(H)), lower=True, check_finite=False)
    return np.asarray(scipy.linalg.cho_solve(factor, g, check_finite=False))


def _by_forest(H: Any, shift: float, g: Array) -> Array:
    shifted = scipy.sparse.csr_array(H + shift * identity(len(g)))
    shifted.sum_duplicates()
    try:
        forests = _kernels.Forests(_kernels.Rows(shifted), np.zeros(len(g), np.int32), 1)
    except ValueError:  # there is a cycle
        return _by_factor(H.toarray(), shift, g)
    y = g[forests.nodes]
    forests.solve(0, y)
    s = np.empty_like(g)
    s[forests.nodes] = y
    return s


def two_metric(H: Array, g: Array, x: Array, penalty: Separable, b: Array, F: float, at: Objective) -> Array:
    """Newton on the coordinates that are free, a scaled gradient step on those that their limits or l1 hold."""
    l1, low, high, g = _folded(penalty, b, g)
    zero = (l1 > 0) & (x == 0)
    q = np.where(zero, np.sign(g) * np.maximum(np.abs(g) - l1, 0), g + l1 * np.sign(x))
    near = min(1e-4, float(np.linalg.norm(x - np.clip(x - q, low, high))))
    held = ((x <= low + near) & (q > 0)) | ((x >= high - near) & (q < 0)) | (zero & (q == 0))
    free = ~held
    diagonal = np.maximum(H.diagonal(), np.finfo(float).tiny)
    d = np.zeros_like(x)
    d[held] = -q[held] / max(float(diagonal[held].sum()), np.finfo(float).tiny)
    if free.any():
        d[free] = newton_direction(H[np.ix_(free, free)], q[free])
    side = np.where(x != 0, np.sign(x), -np.sign(q))  # the orthant that the step stays in

    def arc(t: float) -> Array:
        u = np.clip(x + t * d, low, high)
        return np.where((l1 > 0) & (u * side < 0), 0.0, u) - x

    slope = float(q @ np.where(free, d, 0.0)) + float(q @ np.where(held, arc(1.0), 0.0))
    if not slope < 0:
        return np.zeros_like(x)
    return searched(d, slope, F, at, arc)


def _folded(penalty: Separable, b: Array, g: Array) -> tuple[Array, Array, Array, Array]:
    """l1, limits and gradient, with l1 in the gradient where a sign is given: there it is linear."""
    l1, low, high = penalty.l1[b], penalty.lower[b], penalty.upper[b]
    up, down = low >= 0, high <= 0
    return np.where(up | down, 0.0, l1), low, high, g + np.where(up, l1, 0.0) - np.where(down & ~up, l1, 0.0)


# ---- exact on quadratics -------------------------------------------------------------------------


def minimise_block(H: Array, g: Array, x: Array, penalty: Separable, b: Array) -> Array:
    """The step s that minimises g's + 1/2 s'H s + P(x + s): sweeps find the signs, Newton steps the digits.

    A Newton step stops where the first coordinate changes its sign or meets a limit, and goes on without it.
    """
    l1, low, high, r = _folded(penalty, b, g)
    u, r = x.copy(), np.ascontiguousarray(r)
    fixed = np.isinf(l1)
    l1 = np.where(fixed, 0.0, l1)
    low, high = np.where(fixed, 0.0, low), np.where(fixed, 0.0, high)
    scale = float(np.abs(r).max(initial=0.0) + l1.max(initial=0.0) + np.abs(H.diagonal() * x).max(initial=0.0))
    if H.diagonal().min(initial=0.0) < 0:
        raise NegativeCurvatureError
    for _ in range(ROUNDS):
        left = _kernels.block_sweeps(H, l1, low, high, 2, u, r)
        if left <= 1e-15 * scale:
            break
        for _ in range(4):
            if _newton_on_support(H, r, u, l1, low, high):
                break
    return u - x


def _newton_on_support(H: Array, r: Array, u: Array, l1: Array, low: Array, high: Array) -> bool:
    """One step on the coordinates that are free, in place; whether it was a full one, or there is none."""
    free = np.flatnonzero((u > low) & (u < high) & ((u != 0) | (l1 == 0)))
    if not len(free):
        return True
    signs = np.sign(u[free]) * (l1[free] > 0)
    block = H[np.ix_(free, free)]
    try:
        factor = scipy.linalg.cho_factor(block, lower=True, check_finite=False)
    except scipy.linalg.LinAlgError:
        return True
    d = -np.asarray(scipy.linalg.cho_solve(factor, r[free] + l1[free] * signs, check_finite=False))
    if not np.abs(d).max() < 1e8 * (1 + np.abs(u).max()):
        return True
    toward = np.where(d > 0, high[free], low[free])
    toward = np.where(signs * d < 0, np.where(d > 0, np.minimum(toward, 0.0), np.maximum(toward, 0.0)), toward)
    with np.errstate(divide="ignore", invalid="ignore"):
        lengths = np.where(d != 0, (toward - u[free]) / d, np.inf)
    length = min(1.0, float(lengths.min()))
    moved = np.where(lengths <= length, toward, u[free] + length * d)
    r += H[:, free] @ (moved - u[free])
    u[free] = moved
    return length == 1.0


def group_step(values: Array, vectors: Array, g: Array, x: Array, weight: float) -> Array:
    """The step that minimises g's + 1/2 s'G s + weight norm(x + s), for G = vectors diag(values) vectors'.

    With v = V'(G x - g) the new norm rho is the root of sum(v^2 / (e rho + weight)^2) = 1.
    """
    e = np.maximum(values, 0.0)
    v = e * (vectors.T @ x) - vectors.T @ g
    size = float(np.linalg.norm(v))
    if size <= weight:
        return -x
    if weight == 0:
        kept = e > 1e-14 * e.max()
        return np.asarray(vectors[:, kept] @ (v[kept] / e[kept])) - x
    rho = _kernels.group_norm(e, v, weight)
    return np.asarray(vectors @ (rho * v / (e * rho + weight))) - x
