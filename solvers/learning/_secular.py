"""Group lasso by Newton's method on its secular equations, for more columns than samples.

    minimise  1/2 |R w - r|^2 + sum_k norm_k |w_k|_2

Each norm is the least of ``|w_k|^2 / (2 s_k) + norm_k^2 s_k / 2`` over s_k >= 0, met at s_k = |w_k| / norm_k. For given
scales s the minimiser is linear algebra: with D = diag(s), v = (I + R D R')^-1 r and u = R'v it is w = D u. The rest,

    h(s) = 1/2 r'v + 1/2 sum_k norm_k^2 s_k,    dh/ds_k = (norm_k^2 - |u_k|^2) / 2,

is smooth and convex over s >= 0, where the group lasso has a kink at each zero group: many come and go in a step.
As in the exact step on one group, the equations |u_k| = norm_k are solved as 1 / |u_k| = 1 / norm_k, which are nearly
linear in s. A Levenberg-Marquardt term and the decrease of h keep the steps safe: h bounds the objective from above and
equals it at the start, so that the objective does not rise.

A step forms and factors I + R D R': m^2 p + m^3 / 3 operations for m rows and p columns in groups that are not zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg
from scipy.linalg import blas, lapack

Array = npt.NDArray[np.float64]

STEPS, TRIALS, DROPS = 100, 12, 6
#: Rounding of the equations |u_k| = norm_k, relatively.
ROUNDING = 1e-13
FIRST_DAMPING, LEAST_DAMPING = 1e-2, 1e-13
SUFFICIENT = 1e-4
#: Steps in a row that bring the equations no nearer.
IDLE = 2


class Secular:
    """h at some scales: its value, u, and the factor from which Newton's matrix comes."""

    def __init__(self, R: Array, r: Array, start: npt.NDArray[np.intp], norm: Array, scales: Array) -> None:
        self.R, self.start, self.norm, self.scales = R, start, norm, scales
        each = np.repeat(scales, np.diff(start))
        used = np.flatnonzero(each)
        panel = R[:, used] * np.sqrt(each[used])
        S = blas.dsyrk(1.0, panel, lower=1) if len(used) else np.zeros((len(r), len(r)), order="F")
        S[np.diag_indices_from(S)] += 1
        self.factor, info = lapack.dpotrf(S, lower=1, overwrite_a=1)
        self.defined = info == 0
        if not self.defined:
            return
        v = scipy.linalg.cho_solve((self.factor, True), r, check_finite=False)
        self.u = R.T @ v
        self.lengths = np.sqrt(np.add.reduceat(self.u * self.u, start[:-1]))
        self.value = 0.5 * float(r @ v) + 0.5 * float(norm**2 @ scales)
        self.w = each * self.u

    @property
    def gradient(self) -> Array:
        return np.asarray(0.5 * (self.norm**2 - self.lengths**2))

    @property
    def violation(self) -> float:
        """How far |u_k| is from norm_k where the scale is positive, and above it where it is zero."""
        excess = self.lengths - self.norm
        return float(np.where(self.scales > 0, np.abs(excess), np.maximum(excess, 0)).max())

    def hessian(self, groups: npt.NDArray[np.intp]) -> Array:
        """Q' (I + R D R')^-1 Q with the columns R_k u_k."""
        Q = np.empty((len(self.factor), len(groups)), order="F")
        for column, k in enumerate(groups.tolist()):
            of_group = slice(self.start[k], self.start[k + 1])
            np.dot(self.R[:, of_group], self.u[of_group], out=Q[:, column])
        Z = lapack.dtrtrs(self.factor, Q, lower=1, overwrite_b=1)[0]
        return Z.T @ Z  # type: ignore[no-any-return]


def minimise(R: Array, r: Array, start: Any, norm: Array, w: Array, tol: float) -> Array:
    """The minimiser, from w on, to `tol` in units of the gradient, or as near as rounding allows.

    `start`: where each group's columns begin, and their number; norm > 0.
    """
    first = np.sqrt(np.add.reduceat(w * w, start[:-1])) / norm
    here = Secular(R, r, np.asarray(start, np.intp), norm, first)
    if not here.defined:
        return w
    damping, idle, least = FIRST_DAMPING, 0, here
    tol = max(tol, ROUNDING * float(norm.max()))
    for _ in range(STEPS):
        if least.violation <= tol or idle == IDLE:
            break
        there, damping = _step(here, r, damping)
        if there is None:
            break
        idle = 0 if there.violation < 0.9 * least.violation or there.value < here.value else idle + 1
        here = there
        least = here if here.violation <= least.violation or here.value < least.value else least
    return np.asarray(least.w)


def _step(here: Secular, r: Array, damping: float) -> tuple[Secular | None, float]:
    """Where a damped step leads, None where h does not fall any more; and the damping of the next one."""
    gradient, free = here.gradient, np.flatnonzero((here.scales > 0) | (here.lengths > here.norm))
    H = here.hessian(free)
    lengths = here.lengths[free]
    wanted = lengths**2 * (lengths / here.norm[free] - 1)
    for _ in range(TRIALS):
        scales = here.scales.copy()
        scales[free] = _moved(H + (damping + LEAST_DAMPING) * np.diag(H.diagonal()), wanted, here.scales[free])
        there = Secular(here.R, r, here.start, here.norm, scales)
        expected = SUFFICIENT * float(gradient @ (scales - here.scales))
        if there.defined and there.value <= here.value + min(expected, 0.0) + 1e-15 * abs(here.value):
            return there, 0.1 * damping
        damping = max(damping, 1e-6) * 10
    return None, damping


def _moved(H: Array, wanted: Array, scales: Array) -> Array:
    """scales + H^-1 wanted, those that would become negative at zero and the others solved for again."""
    step = np.zeros_like(scales)
    moves = np.ones(len(scales), bool)
    for _ in range(DROPS):
        step[~moves] = -scales[~moves]
        rest = wanted[moves] - H[np.ix_(moves, ~moves)] @ step[~moves]
        step[moves] = lapack.dposv(H[np.ix_(moves, moves)], rest)[1] if moves.any() else 0.0
        negative = moves & (scales + step < 0)
        if not negative.any():
            break
        moves &= ~negative
    return np.maximum(scales + step, 0.0)
