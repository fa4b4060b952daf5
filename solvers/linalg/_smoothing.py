"""Sweeps of SOR by themselves, on one or many right-hand sides, of single unknowns or of nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from .._base.validate import integer, real_array
from . import _kernels

if TYPE_CHECKING:
    from ._matrix import Analysed, Plan

Array = npt.NDArray[Any]

#: The halves of a sweep: whether each runs backward.
HALVES = {"forward": (False,), "backward": (True,), "symmetric": (False, True)}


class Nodes:
    """A matrix in square blocks, those on the diagonal inverted by LAPACK."""

    def __init__(self, matrix: scipy.sparse.csr_array, block_size: int) -> None:
        blocks = scipy.sparse.bsr_array(matrix, blocksize=(block_size, block_size))
        blocks.sort_indices()
        rows = np.repeat(np.arange(len(blocks.indptr) - 1), np.diff(blocks.indptr))
        on_diagonal = blocks.data[rows == blocks.indices].astype(np.float64, copy=False)
        self.starts, self.columns, self.data = blocks.indptr, blocks.indices, np.ascontiguousarray(blocks.data)
        try:
            self.inverse = np.linalg.inv(on_diagonal)
        except np.linalg.LinAlgError:
            node = int(np.argmin(np.linalg.matrix_rank(on_diagonal)))
            rows_of = f"rows {node * block_size} to {(node + 1) * block_size - 1}"
            raise ValueError(f"A must have regular blocks on its diagonal; that of {rows_of} is singular") from None

    def sweep(self, omega: float, backward: bool, b: Array, x: Array) -> None:
        """One sweep of x, of shape (n, k), in place."""
        _kernels.sweep_nodes(self.starts, self.columns, self.data, self.inverse, omega, backward, b, x)


def sweep(
    plan: Plan,
    x: npt.ArrayLike,
    b: npt.ArrayLike,
    omega: float,
    direction: str,
    ordering: str,
    sweeps: int,
    block_size: int,
    threads: int,
) -> Array:
    """See `Plan.sweep`."""
    check_options(plan, omega, direction, ordering, sweeps, block_size)
    iterate, right = real_array(x, "x"), np.ascontiguousarray(real_array(b, "b"))
    if not (iterate.flags.c_contiguous and iterate.flags.writeable):
        iterate = np.array(iterate, order="C")
    if iterate.ndim not in (1, 2) or len(iterate) != plan.size:
        raise ValueError(f"x must have shape ({plan.size},) or ({plan.size}, k), not {iterate.shape}")
    if right.shape != iterate.shape:
        raise ValueError(f"b must have the shape of x, {iterate.shape}, not {right.shape}")
    if np.may_share_memory(iterate, right):
        right = right.copy()
    halves = HALVES[direction] * sweeps
    columns, rights = iterate.reshape(plan.size, -1), right.reshape(plan.size, -1)
    if block_size > 1:
        nodes = plan.nodes(block_size)
        for backward in halves:
            nodes.sweep(omega, backward, rights, columns)
        return iterate
    operand = plan.operand(ordering)
    operand.threads = threads
    if isinstance(operand, _kernels.Csr):
        for backward in halves:
            operand.sweep_columns(omega, backward, rights, columns)
        return iterate
    for k in range(columns.shape[1]):
        packed, packed_right = operand.pack(columns[:, k]), operand.pack(rights[:, k])
        for backward in halves:
            operand.sweep(omega, backward, packed_right, packed)
        columns[:, k] = operand.unpack(packed)
    return iterate


def check_options(plan: Analysed, omega: float, direction: str, ordering: str, sweeps: int, block_size: int) -> None:
    if not 0 < omega < 2:
        raise ValueError(f"omega must lie between 0 and 2, not {omega!r}")
    if direction not in HALVES:
        raise ValueError(f"direction must be one of {', '.join(map(repr, HALVES))}, not {direction!r}")
    integer(sweeps, "sweeps")
    if integer(block_size, "block_size", 1) > 8:
        raise ValueError(f"block_size must be at most 8, not {block_size!r}")
    if block_size > 1 and ordering != "natural":
        raise ValueError(f"block_size {block_size} takes ordering 'natural', not {ordering!r}")
    if plan.size % block_size:
        raise ValueError(f"block_size must divide the {plan.size} rows of A; {block_size} does not")
