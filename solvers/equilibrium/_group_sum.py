"""The rows of groups as the components of variance-reduced steps: snapshots with the rows' terms, the loop in C.

A component is a row; its losses' derivatives at the snapshot are kept, so a correction reads its rows once. Every step
takes equally many rows of each group: an estimate of each group's mean. Rows of small groups are thus drawn more often,
which is what the bound on the steps asks for: the variance that moves q is that of its noisiest group.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import _kernels
from ._finite_sum import Plan

if TYPE_CHECKING:
    from ._dro_problem import GroupDro

Array = npt.NDArray[Any]

#: Rows a step, at least so many of each group, one in FEWEST at most; rows of steps for a row of snapshots.
BATCH, LEAST, FEWEST, EPOCHS = 256, 16, 30, 0.3
#: The step over the bound that theory gives, and the ratio of the steps in w and q to it and from it: measured.
LONGER, BALANCE = 2.5, 2.0


class Samples:
    """Some or all of the rows: means over each group of the loss and its derivatives."""

    def __init__(self, X: Array, y: Array, group: Array, kind: int, threads: int):
        self.rows = _kernels.GroupRows(X, y, group, kind)
        self.n, self.d = X.shape
        self.counts: Array = self.rows.counts
        self.threads = threads

    def losses(self, w: Array, q: Array | None = None, terms: Array | None = None) -> tuple[Array, Array, Array | None]:
        """The mean losses, their gradients in rows and, where q is given, the hessian of their mixture by q."""
        groups = len(self.counts)
        f, J = np.empty(groups), np.empty((groups, self.d))
        H = np.empty((self.d, self.d)) if q is not None else None
        share = q / self.counts if q is not None else None
        self.rows.sums(w, f, J, share, H, terms, self.threads)
        f /= self.counts
        J /= self.counts[:, None]
        if H is not None:
            H += np.tril(H, -1).T
        return f, J, H


class GroupSum:
    """Rows sorted by group, and what is known of them at the last snapshot."""

    def __init__(self, problem: GroupDro):
        group = problem.group
        X, y = problem.X, problem.y
        if (np.diff(group) < 0).any():
            order = np.argsort(group, kind="stable")
            X, y, group = X[order], y[order], group[order]
        self.n = len(y)
        self.samples = Samples(X, y, group, problem.kind, problem.threads)
        self.start = np.concatenate([[0], np.cumsum(self.samples.counts)]).astype(np.int64)
        self.terms = np.empty((2, self.n))
        self.point: Array | None = None
        self.F: Array = np.empty(0)
        some = X[:: max(1, self.n // 4096)]
        self.squares = float((some**2).sum() / len(some))

    def batches(self, batch: int | None) -> Array:
        """Rows a step of each group."""
        groups = len(self.samples.counts)
        if batch is None:  # of few rows less, so that a snapshot serves some steps
            each = max(min(max(LEAST, BATCH // groups), self.n // (FEWEST * groups)), 1)
        else:
            each = -(-batch // groups)
        return np.minimum(each, self.samples.counts).astype(np.int32)

    def plan(
        self, problem: GroupDro, batch: int | None, epochs: float | None, z: Array | None = None, F: Array | None = None
    ) -> Plan:
        """Rows a step, steps a snapshot and, at a given point, the step."""
        own = self.batches(batch)
        b = int(own.sum())
        steps = max(1, round((epochs or EPOCHS) * self.n / b))
        if z is None:
            return Plan(b, steps, math.nan, own)
        self.at(problem, z)
        noise = self.squares * float((self.terms[1] ** 2).mean()) / own.min()  # of the mean loss of a group, moving w
        return Plan(b, steps, LONGER / math.sqrt(max(steps * noise, 1e-300)), own)

    def at(self, problem: GroupDro, z: Array) -> Array:
        """F(z), and the terms of all rows there."""
        if self.point is None or not np.array_equal(self.point, z):
            w, q = problem.split(z)
            problem.operator.nfev += 1
            f, J, _ = self.samples.losses(np.ascontiguousarray(w), terms=self.terms)
            self.point, self.F = z.copy(), problem.operator_of(w, q, f, J)
        return self.F

    def steps(
        self, problem: GroupDro, plan: Plan, w: Array, F: Array, step: float, first: int
    ) -> tuple[Array, Array, int, float]:
        """The steps of a snapshot: the last point, the sum of the extrapolated ones, the next draw, and no constant."""
        F, z, total = self.at(problem, w), w.copy(), np.zeros_like(w)
        problem.ncomp += plan.batch * plan.steps
        first = self.samples.rows.loop(
            self.start, plan.each, problem.l2, 1 - 1 / plan.steps, step * BALANCE, step / BALANCE, w, F,
            self.terms, z, total, problem.seed, first, plan.steps,
        )  # fmt: skip
        return z, total, first, math.nan
