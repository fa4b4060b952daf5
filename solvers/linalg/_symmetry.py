"""Whether a matrix can be symmetric positive definite: what can be seen without solving."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from ._problem import Matrix

Array = npt.NDArray[Any]

#: Pairs of mirrored entries that are compared, at most.
PROBED = 2048

#: For each matrix seen its column indices, and the places of such pairs in its values; None where the pattern itself is
#: not symmetric.
_pairs: weakref.WeakKeyDictionary[Any, tuple[Array, tuple[Array, Array] | None]] = weakref.WeakKeyDictionary()

#: The last values of each, and what was found.
_verdicts: weakref.WeakKeyDictionary[Any, tuple[scipy.sparse.csr_array, bool]] = weakref.WeakKeyDictionary()


def objection(A: Matrix, assume_symmetric: bool = False) -> str | None:
    """Why A is not symmetric positive definite, in words; None where nothing speaks against it.

    The diagonal is looked at whole, values at up to 2048 random pairs of entries and the pattern (once a matrix) whole.
    """
    if A.size == 0:
        return None
    if not A.operand("natural").least_diagonal > 0:
        row = int(np.argmin(A.operand("natural").unpack(A.operand("natural").diagonal)))
        return f"A is not positive definite: its diagonal entry in row {row} is negative"
    if assume_symmetric:
        return None
    return None if is_symmetric(A) else "A is not symmetric (assume_symmetric=True skips this check)"


def is_symmetric(A: Matrix) -> bool:
    """Whether A equals its transpose wherever that is looked at."""
    matrix = getattr(A, "matrix", None)
    if matrix is None:
        return bool(getattr(A, "symmetric", True))
    last, verdict = _verdicts.get(A, (None, False))
    if last is not matrix:  # new values make a new matrix of the plan
        verdict = _looks_symmetric(A, matrix)
        _verdicts[A] = matrix, verdict
    return verdict


def _looks_symmetric(A: Matrix, matrix: scipy.sparse.csr_array) -> bool:
    pattern, pairs = _pairs.get(A, (None, None))
    if pattern is not matrix.indices:  # a plan may have been given another pattern
        pairs = mirrored_pairs(matrix)
        _pairs[A] = matrix.indices, pairs
    if pairs is None:
        return _equal(matrix, scipy.sparse.csr_array(matrix.T))
    return _close(matrix.data[pairs[0]], matrix.data[pairs[1]])


def mirror(matrix: scipy.sparse.csr_array) -> Array | None:
    """Where each entry's mirror image lies in the values; None where the pattern is not symmetric."""
    places = scipy.sparse.csr_array(
        (np.arange(matrix.nnz), matrix.indices, matrix.indptr), shape=matrix.shape
    ).T.tocsr()
    same = np.array_equal(places.indptr, matrix.indptr) and np.array_equal(places.indices, matrix.indices)
    return places.data if same else None


def mirrored_pairs(matrix: scipy.sparse.csr_array) -> tuple[Array, Array] | None:
    """The places of some entries off the diagonal, and of their mirror images."""
    images = mirror(matrix)
    if images is None:
        return None
    places = np.flatnonzero(np.arange(matrix.nnz) < images)
    if len(places) > PROBED:
        places = np.random.default_rng(0).choice(places, PROBED, replace=False)
    return places, images[places]


def _equal(matrix: scipy.sparse.csr_array, transposed: scipy.sparse.csr_array) -> bool:
    difference = abs(matrix - transposed)
    size = abs(matrix) + abs(transposed)
    return bool((difference.data <= _slack(matrix.dtype) * size.max()).all()) if difference.nnz else True


def _close(values: Array, images: Array) -> bool:
    return bool((np.abs(values - images) <= _slack(values.dtype) * (np.abs(values) + np.abs(images))).all())


def _slack(dtype: npt.DTypeLike) -> float:
    """What entries may differ by for the rounding of whoever assembled them."""
    return 1e-5 if dtype == np.float32 else 1e-10
