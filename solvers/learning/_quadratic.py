"""The checked quadratic problem."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from .._base.blocks.smooth import Quadratic
from .._base.validate import check_finite, real_array

Array = npt.NDArray[Any]

#: How far Q may be from symmetric, relative to its largest entry.
SYMMETRY = 1e-12


def quadratic_of(Q: Any, c: npt.ArrayLike, check: bool) -> tuple[Quadratic, int]:
    """1/2 x'Q x - c'x from the user's data, and how often that was copied."""
    copies = 0
    if scipy.sparse.issparse(Q):
        if Q.dtype.kind not in "biuf":
            raise TypeError(f"Q must be real numbers, not {Q.dtype}")
        matrix = scipy.sparse.csr_array(Q)
        if matrix.dtype != np.float64 or not matrix.has_canonical_format:
            matrix = matrix.astype(np.float64)
            matrix.sum_duplicates()
            copies += 1
        values = matrix.data
    else:
        matrix = np.ascontiguousarray(real_array(Q, "Q", ndim=2))
        copies += int(isinstance(Q, np.ndarray) and not np.shares_memory(matrix, Q))
        values = matrix
    if matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"Q must be square, not of shape {matrix.shape}")
    right = np.ascontiguousarray(real_array(c, "c", ndim=1))
    if len(right) != matrix.shape[0]:
        raise ValueError(f"c must have length {matrix.shape[0]}, that of Q's rows, not {len(right)}")
    if check:
        check_finite(np.asarray(values), "Q")
        check_finite(right, "c")
        _check_symmetric(matrix)
    return Quadratic(matrix, right), copies


def _check_symmetric(Q: Any) -> None:
    if Q.shape[0] == 0:
        return
    difference, size = abs(Q - Q.T).max(), abs(Q).max()
    if difference > SYMMETRY * size:
        raise ValueError(f"Q must be symmetric; it differs from its transpose by {difference:.3g}")
