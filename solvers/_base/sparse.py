"""Sparse arguments, as most methods read them, and what the oldest SciPy that is supported (1.11) does not give.

Beside `validate`, since not every family needs scipy.sparse.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse
import scipy.sparse.csgraph


def canonical_csr(value: Any, name: str) -> scipy.sparse.csr_array:
    """A real sparse matrix as float64 CSR of rising columns, each once. What fits shares the caller's arrays."""
    if value.dtype.kind not in "biuf":
        raise TypeError(f"{name} must be real numbers, not {value.dtype}")
    if value.ndim != 2:
        raise ValueError(f"{name} must have 2 dimensions, not shape {value.shape}")
    matrix = scipy.sparse.csr_array(value)
    if not matrix.has_canonical_format:  # summed in place, and what comes of a CSR matrix shares its arrays
        matrix = matrix.copy()
        matrix.sum_duplicates()
    return matrix.astype(np.float64, copy=False)


def diagonal_matrix(values: npt.NDArray[np.float64]) -> scipy.sparse.dia_array:
    """The diagonal matrix of these values."""
    return scipy.sparse.dia_array((values[None, :], [0]), shape=(len(values),) * 2)


def identity(n: int) -> scipy.sparse.dia_array:
    """The identity of n rows."""
    return diagonal_matrix(np.ones(n))


def short_indices(matrix: Any) -> Any:
    """A CSR or CSC matrix with indices of 32 bits where they fit: SuperLU and graphs of SciPy 1.11 take no others."""
    if matrix.nnz > np.iinfo(np.int32).max:
        return matrix
    indices, indptr = (part.astype(np.int32, copy=False) for part in (matrix.indices, matrix.indptr))
    return type(matrix)((matrix.data, indices, indptr), shape=matrix.shape)


def relative(method: Callable[..., Any], tolerance: float) -> dict[str, float]:
    """The keyword of a relative tolerance of a Krylov method of SciPy, which old versions call `tol`."""
    return {"rtol" if "rtol" in inspect.signature(method).parameters else "tol": tolerance}


def components(graph: Any) -> tuple[int, npt.NDArray[np.int32]]:
    """How many parts an undirected graph falls into, and the part of each node, from 0 on."""
    rows = short_indices(scipy.sparse.csr_array(graph))
    count, part = scipy.sparse.csgraph.connected_components(rows, directed=False)
    return int(count), part
