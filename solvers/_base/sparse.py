"""Sparse arguments, as most methods read them. Beside `validate`, since not every family needs scipy.sparse."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse


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
