"""Group lasso by Newton's method on its secular equations, for more columns than samples.

    minimise  1/2 |R w - r|^2 + sum_k norm_k |w_k|_2

Each norm is the least of ``|w_k|^2 / (2 s_k) + norm_k^2 s_k / 2`` over s_k >= 0, met at s_k = |w_k| / norm_k. For given
scales s the minimiser is linear algebra: with D = diag(s), v = (I + R D R')^-1 r and u = R'v it is w = D u. The rest,

    h(s) = 1/2 r'v + 1/2 sum_k norm_k^2 s_k,    dh/ds_k = (norm_k^2 - |u_k|^2) / 2,

is smooth and convex over s >= 0, where the group lasso has a kink at each zero group: many come and go in a step.
As in the exact step on one group, the equations |u_k| = norm_k are solved as 1 / |u_k| = 1 / norm_k, which are nearly
linear in s. A Levenberg-Marquardt term and the decrease of h keep the steps safe: h bounds the objective from above and
equals it at the start, so that the objective does not rise.

A step forms and factors I + R D R': m^2 p + m^3 / 3 operations for m rows and p columns in groups that are not zero;
or, where these are fewer than the rows, I + D^1/2 R'R D^1/2 of p^3 / 3 operations, from a Gram matrix that grows by the
groups that join. Once no group joins and the scales change little, the last factor preconditions conjugate gradients
for v, of 4 m p + 2 m^2 operations each, and the Newton matrix made with it serves too (the chord method): as long as
each step leaves little of the violation.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import blas, lapack

Array = npt.NDArray[np.float64]

STEPS, TRIALS, DROPS = 100, 12, 6
#: Rounding of the equations |u_k| = norm_k, relatively.
ROUNDING = 1e-13
FIRST_DAMPING, LEAST_DAMPING = 1e-2, 1e-13
SUFFICIENT = 1e-4
#: Rounding of h, relatively.
NOISE = 1e-15
TINY = 1e-300
#: Steps in a row that bring the equations no nearer.
IDLE = 2
#: The Gram matrix serves where there are fewer columns in use than this share of the rows.
FEWER = 0.8
#: So many rows are factored in single precision at first, as long as what that leaves of v is gone after so many
#: products.
SINGLE_ROWS, SINGLE_PRODUCTS = 500, 8
#: An old factor serves where no scale is another by more than this share, and so many products leave a share `SOLVED`
#: of the residual of v, or its rounding; an old Newton matrix where the last step left a share `LEFT` of the violation.
NEAR, PRODUCTS, SOLVED, EPSILON, LEFT = 0.3, 20, 1e-4, 1e-15, 0.1


class Samples:
    """R, r, where each group's columns begin, and the norms; and the Gram matrix of the columns used so far."""

    def __init__(self, R: Array, r: Array, start: npt.NDArray[np.intp], norm: Array) -> None:
        self.R, self.r, self.start, self.norm = R, r, start, norm
        #: Where each column stands in the Gram matrix, -1: not there.
        self._place = np.full(R.shape[1], -1)
        self._columns = np.empty(0, np.intp)
        self._H = np.empty((0, 0))
        #: Whether factors are in single precision.
        self.single = len(R) >= SINGLE_ROWS

    def gram(self, used: npt.NDArray[np.intp]) -> Array | None:
        """R'R of these columns; None where rows serve better."""
        most, new = FEWER * len(self.R), used[self._place[used] < 0]
        if len(used) > most:
            return None
        if len(self._columns) + len(new) > most:  # many came and went: anew
            self._place[:], self._columns, self._H, new = -1, self._columns[:0], self._H[:0, :0], used
        both = np.concatenate([self._columns, new])
        if len(new):
            old, H = len(self._columns), np.empty((len(both), len(both)))
            H[:old, :old] = self._H
            H[:, old:] = self.R[:, both].T @ self.R[:, new]
            H[old:, :old] = H[:old, old:].T
            self._place[new] = np.arange(old, len(both))
            self._columns, self._H = both, H
        places = self._place[used]
        return np.asarray(self._H[np.ix_(places, places)])


class Secular:
    """h at some scales: its value, u, and the factor from which Newton's matrix comes."""

    def __init__(self, samples: Samples, scales: Array) -> None:
        self.samples, self.scales, self.norm = samples, scales, samples.norm
        #: The groups of the Newton matrix that was made here, and that matrix.
        self.newton: tuple[npt.NDArray[np.intp], Array] | None = None
        R = samples.R
        self.each = each = np.repeat(scales, np.diff(samples.start))
        self.used = used = np.flatnonzero(each)
        roots = np.sqrt(each[used])
        columns, H = np.take(R.T, used, axis=0), samples.gram(used)  # a third of the time of R[:, used] * roots
        columns *= roots[:, None]
        self.panel = columns.T
        self.by_rows = H is None
        v = self._by_single() if self.by_rows and samples.single else None
        samples.single &= v is not None or not self.by_rows
        self.defined = v is not None or self._factored((roots[:, None] * H * roots).T if H is not None else None)
        if self.defined:
            self._follow(self._solved(samples.r) if v is None else v, each, 0.0)

    def _factored(self, S: Array | None) -> bool:
        """Whether there is a factor; S: the products of the columns where these are less than the rows."""
        self.single = False
        S = blas.dsyrk(1.0, self.panel, lower=1) if S is None else S
        S[np.diag_indices_from(S)] += 1
        self.factor, info = lapack.dpotrf(S, lower=1, overwrite_a=1)
        return bool(info == 0)

    def _by_single(self) -> Array | None:
        """v by a factor in single precision, half the time of a double one; None where its rounding is in the way."""
        self.single = True
        with np.errstate(over="ignore", invalid="ignore"):  # then there is no factor, or one that serves for nothing
            S = blas.ssyrk(1.0, self.panel.astype(np.float32), lower=1)
            S[np.diag_indices_from(S)] += 1
        self.factor, info = lapack.spotrf(S, lower=1, overwrite_a=1)
        if info != 0:
            return None
        r = self.samples.r
        found = self.conjugate(np.ones(self.panel.shape[1]), np.zeros_like(r), EPSILON, SINGLE_PRODUCTS)
        return None if found is None else found[0]

    def conjugate(self, shares: Array, v: Array, share: float, most: int) -> tuple[Array, Array] | None:
        """(I + R D R')^-1 r by conjugate gradients from v on, and what they leave; None where they take too long.

        D is that of the factor times `shares`; to a share of the residual.
        """
        r, panel = self.samples.r, self.panel
        rest = r - v - panel @ (shares * (panel.T @ v))
        goal = max(share * float(np.linalg.norm(rest)), EPSILON * float(np.linalg.norm(r)))
        p, before = np.zeros_like(rest), np.inf
        for _ in range(most):
            if np.linalg.norm(rest) <= goal:
                return v, rest
            y = self._solved(rest)
            product = float(rest @ y)
            p = y + (product / before) * p
            q = p + panel @ (shares * (panel.T @ p))
            step = product / float(p @ q)
            v, rest, before = v + step * p, rest - step * q, product
        return None

    def _follow(self, v: Array, each: Array, lacks: float) -> None:
        """All that v tells, with the scale of each column; `lacks`: v times the residual of its equation.

        With that, h is wrong by no more than half the square of the residual.
        """
        self.v, self.u = v, self.samples.R.T @ v
        self.lengths = np.sqrt(np.add.reduceat(self.u * self.u, self.samples.start[:-1]))
        self.value = 0.5 * (float(self.samples.r @ v) + lacks + float(self.norm**2 @ self.scales))
        self.w = each * self.u

    def _solved(self, r: Array) -> Array:
        """(I + R D R')^-1 r, as exactly as the factor is."""
        if self.single:
            size = float(np.abs(r).max()) or 1.0
            y = lapack.spotrs(self.factor, (r / size).astype(np.float32), lower=1)[0]
            return np.asarray(size * y.astype(np.float64))
        if self.by_rows:
            return lapack.dpotrs(self.factor, r, lower=1)[0]  # type: ignore[no-any-return]
        if not self.panel.shape[1]:
            return r
        return np.asarray(r - self.panel @ lapack.dpotrs(self.factor, self.panel.T @ r, lower=1)[0])

    @property
    def gradient(self) -> Array:
        return np.asarray(0.5 * (self.norm**2 - self.lengths**2))

    @property
    def violation(self) -> float:
        """How far |u_k| is from norm_k where the scale is positive, and above it where it is zero."""
        excess = self.lengths - self.norm
        return float(np.where(self.scales > 0, np.abs(excess), np.maximum(excess, 0)).max())

    @property
    def gap(self) -> float:
        """The duality gap at w, whose residual is v: of the multiple of v that exceeds no norm."""
        square, cross = float(self.v @ self.v), float(self.samples.r @ self.v)
        share = 1 / max(1.0, float((self.lengths / self.norm).max()))
        primal = 0.5 * square + float((self.norm * self.scales) @ self.lengths)
        return primal - share * (cross - 0.5 * share * square)

    def hessian(self, groups: npt.NDArray[np.intp]) -> Array:
        """Q' (I + R D R')^-1 Q with the columns R_k u_k."""
        H = self._hessian(groups)
        self.newton = groups, H
        return H

    def _hessian(self, groups: npt.NDArray[np.intp]) -> Array:
        R, start = self.samples.R, self.samples.start
        Q = np.empty((len(R), len(groups)), order="F")
        for column, k in enumerate(groups.tolist()):
            of_group = slice(start[k], start[k + 1])
            np.dot(R[:, of_group], self.u[of_group], out=Q[:, column])
        if self.single:  # Newton's matrix need not be exact
            size = float(np.abs(Q).max()) or 1.0
            Z = lapack.strtrs(self.factor, (Q / size).astype(np.float32, order="F"), lower=1, overwrite_b=1)[0]
            return np.asarray(size**2 * (Z.T @ Z).astype(np.float64))
        if self.by_rows:
            Z = lapack.dtrtrs(self.factor, Q, lower=1, overwrite_b=1)[0]
            return Z.T @ Z  # type: ignore[no-any-return]
        if not self.panel.shape[1]:
            return np.asarray(Q.T @ Q)
        Z = lapack.dtrtrs(self.factor, self.panel.T @ Q, lower=1)[0]
        return np.asarray(Q.T @ Q - Z.T @ Z)


class Near(Secular):
    """The same at scales that differ little from those of another one, whose factor serves here."""

    def __init__(self, base: Secular, scales: Array, v: Array) -> None:
        """`v`: that of scales close by."""
        self.base, self.samples, self.scales, self.norm = base, base.samples, scales, base.norm
        #: The share of the violation that the step which led here has left.
        self.left = 0.0
        each = np.repeat(scales, np.diff(base.samples.start))
        self.defined = np.array_equal(each > 0, base.each > 0)
        if not self.defined:
            return
        shares = each[base.used] / base.each[base.used]
        self.defined = bool((np.abs(shares - 1) <= NEAR).all())
        found = base.conjugate(shares, v, SOLVED, PRODUCTS) if self.defined else None
        self.defined = found is not None
        if found is not None:
            self._follow(found[0], each, float(found[0] @ found[1]))

    def hessian(self, groups: npt.NDArray[np.intp]) -> Array:
        """That of the other one."""
        assert self.base.newton is not None
        return self.base.newton[1]

    def serves(self, groups: npt.NDArray[np.intp]) -> bool:
        """Whether the Newton matrix of the other one does, for steps of these groups."""
        newton = self.base.newton
        return newton is not None and self.left <= LEFT and np.array_equal(newton[0], groups)


def minimise(R: Array, r: Array, start: Any, norm: Array, w: Array, tol: float, goal: float = 0.0) -> Array:
    """The minimiser, from w on, to `tol` in units of the gradient or to a gap of `goal`, or as near as rounding allows.

    `start`: where each group's columns begin, and their number; norm > 0.
    """
    if len(norm) == 0:
        return w
    first = np.sqrt(np.add.reduceat(w * w, start[:-1])) / norm
    here = Secular(Samples(R, r, np.asarray(start, np.intp), norm), first)
    if not here.defined:
        return w
    damping, idle, least = FIRST_DAMPING, 0, here
    tol = max(tol, ROUNDING * float(norm.max()))
    for _ in range(STEPS):
        if least.violation <= tol or idle == IDLE or (goal > 0 and least.gap <= goal):
            break
        there, damping = _step(here, damping)
        if there is None:
            break
        idle = 0 if there.violation < 0.9 * least.violation or there.value < here.value else idle + 1
        here = there
        least = here if here.violation <= least.violation or here.value < least.value else least
    return np.asarray(least.w)


def _step(here: Secular, damping: float) -> tuple[Secular | None, float]:
    """Where a damped step leads, None where h does not fall any more; and the damping of the next one."""
    free = _free(here)
    if isinstance(here, Near) and not here.serves(free):
        here = Secular(here.samples, here.scales)
        if not here.defined:
            return None, damping
        free = _free(here)
    gradient, H = here.gradient, here.hessian(free)
    lengths = here.lengths[free]
    wanted = lengths**2 * (lengths / here.norm[free] - 1)
    for _ in range(TRIALS):
        scales = here.scales.copy()
        scales[free] = _moved(H + (damping + LEAST_DAMPING) * np.diag(H.diagonal()), wanted, here.scales[free])
        hoped = float(gradient @ (scales - here.scales))
        near = Near(here.base if isinstance(here, Near) else here, scales, here.v)
        if near.defined and _falls(here, near, hoped):
            near.left = near.violation / max(here.violation, TINY)
            return near, 0.1 * damping
        there = Secular(here.samples, scales)
        if there.defined and _falls(here, there, hoped):
            return there, 0.1 * damping
        if abs(hoped) <= NOISE * abs(here.value):
            break
        damping = max(damping, 1e-6) * 10
    return None, damping


def _free(here: Secular) -> npt.NDArray[np.intp]:
    """The groups that a step moves."""
    return np.flatnonzero((here.scales > 0) | (here.lengths > here.norm))


def _falls(here: Secular, there: Secular, hoped: float) -> bool:
    """Whether h falls enough on the way there; the equations tell of progress where the values cannot any more."""
    rise = there.value - here.value
    falls = rise <= SUFFICIENT * min(hoped, 0.0) + NOISE * abs(here.value)
    return falls or (rise <= 10 * NOISE * abs(here.value) and there.violation <= 0.5 * here.violation)


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
