"""The checked quadratic problem."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from .._base.blocks.smooth import Quadratic
from .._base.sparse import canonical_csr
from .._base.validate import check_finite, real_array, vector

Array = npt.NDArray[Any]

#: How far Q may be from symmetric, relative to its largest entry.
SYMMETRY = 1e-12


def quadratic_of(Q: Any, c: npt.ArrayLike, check: bool) -> tuple[Quadratic, int]:
    """1/2 x'Q x - c'x from the user's data, and how often that was copied."""
    copies = 0
    if scipy.sparse.issparse(Q):
        matrix = canonical_csr(Q, "Q")
        copies += int(Q.format != "csr" or not np.shares_memory(matrix.data, Q.data))
        values = matrix.data
    else:
        matrix = np.ascontiguousarray(real_array(Q, "Q", ndim=2))
        copies += int(isinstance(Q, np.ndarray) and not np.shares_memory(matrix, Q))
        values = matrix
    if matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"Q must be square, not of shape {matrix.shape}")
    right = vector(c, "c", matrix.shape[0], "that of Q's rows")
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
