"""Potentials at places of zero weight: what a first speck of mass there would be charged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ._problem import TransportProblem

Array = npt.NDArray[Any]


class Potentials(Protocol):
    """Of the places of positive weight, as `_unbalanced` has them."""

    @property
    def u(self) -> Array: ...
    @property
    def v(self) -> Array: ...
    @property
    def phi(self) -> Array: ...
    @property
    def psi(self) -> Array: ...
    @property
    def gauge(self) -> float: ...


def potentials_elsewhere(problem: TransportProblem, at: Potentials, kappa: tuple[float, float]) -> tuple[Array, Array]:
    """phi (n,) and psi (m,) in base 2, those of the places of zero weight added to those of the others.

    There the potential is that of the best answer to the other side, whatever the weight:
    (1 + kappa) phi_i = kappa gauge - log2 sum_j 2^(v_j - scale C_ij). Reads the costs of those places once.
    """
    n, m = problem.shape
    phi, psi = at.phi, at.psi
    rows, columns = _complement(problem.kept_rows, n), _complement(problem.kept_columns, m)
    if len(rows):
        kept = np.arange(m) if problem.kept_columns is None else problem.kept_columns
        part = problem.whole.restricted(rows, kept)
        offset = part.row_minima()
        cost = replace(part, offset=offset, column_offset=problem.cost.column_offset)
        answers, sums = np.zeros(len(rows)), np.empty(len(kept))
        cost.kernel.sweep(problem.scale, np.ones(len(rows)), answers, at.v, sums, problem.threads)
        phi = _joined(
            n, problem.kept_rows, phi, rows, (offset * problem.scale + answers + kappa[0] * at.gauge) / (1 + kappa[0])
        )
    if len(columns):
        kept = np.arange(n) if problem.kept_rows is None else problem.kept_rows
        cost = replace(problem.whole.restricted(kept, columns), offset=problem.cost.offset)
        top, sums, ignored = np.empty(len(columns)), np.empty(len(columns)), np.empty(len(kept))
        cost.kernel.column_max(problem.scale, at.u, top, problem.threads)
        cost.kernel.marginals(problem.scale, at.u, -top, ignored, sums, problem.threads)
        sums = np.clip(sums, 1, len(kept))  # so it is but for rounding, which is large where all arcs are forbidden
        psi = _joined(
            m, problem.kept_columns, psi, columns, -(top + np.log2(sums) + kappa[1] * at.gauge) / (1 + kappa[1])
        )
    return phi, psi


def _complement(kept: Array | None, size: int) -> Array:
    return np.empty(0, np.intp) if kept is None else np.setdiff1d(np.arange(size), kept)


def _joined(size: int, kept: Array | None, values: Array, others: Array, values_there: Array) -> Array:
    joined = np.empty(size)
    joined[kept], joined[others] = values, values_there
    return joined
