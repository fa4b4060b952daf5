"""Least squares with signs of the unknowns prescribed: what multipliers of a point are judged by."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def signed_least_squares(A: Array, b: Array, sign: Array) -> Array:
    """Minimise ``|A y - b|_2`` over ``sign * y >= 0``, by the active-set method of Lawson and Hanson.

    Parameters
    ----------
    A : (m, n) ndarray
        It may be rank-deficient; then some minimiser is returned.
    b : (m,) ndarray
    sign : (n,) ndarray
        1 for ``y >= 0``, -1 for ``y <= 0``, 0 for a free unknown.

    Returns
    -------
    (n,) ndarray

    Notes
    -----
    Lawson, Hanson, Solving Least Squares Problems, 1974, chapter 23, begun from the plain least-squares solution where
    its signs are right, which is the usual case. Each step is one least-squares solve by SVD, O(m n^2), and there are
    seldom more than n of them. The last one is refined twice with residuals in extended precision: what is left must
    not be the rounding of large unknowns that cancel.

    Examples
    --------
    >>> import numpy as np
    >>> A, b = np.eye(3), np.array([1.0, -2.0, 3.0])
    >>> signed_least_squares(A, b, np.array([1, 1, -1]))
    array([1., 0., 0.])
    """
    n = A.shape[1]
    sizes = np.sqrt((A * A).sum(axis=0))
    turn = np.where(sign < 0, -1.0, 1.0) / np.where(sizes > 0, sizes, 1.0)
    A = A * turn  # unit columns, and y >= 0 or free
    limited = np.asarray(sign) != 0
    usable = sizes > 0
    y = _solve(A, b, usable)
    if (y[limited] >= 0).all():
        return _refined(A, b, y, usable, limited) * turn + 0.0
    passive = usable & ~limited
    y = _solve(A, b, passive)
    refused = np.zeros(n, bool)
    for _ in range(10 * (n + 1)):
        slope = A.T @ (b - A @ y)
        slope[passive | refused | ~usable] = 0.0
        entering = int(np.argmax(slope))
        if slope[entering] <= 4 * n * 2.0**-52 * float(np.linalg.norm(b)):
            break
        passive[entering] = True
        trial = _solve(A, b, passive)
        if trial[entering] <= 0:  # a column in the span of the others: rounding alone let it in
            passive[entering], refused[entering] = False, True
            continue
        refused[:] = False
        while (leaving := passive & limited & (trial <= 0)).any():
            y += min(1.0, float((y[leaving] / (y[leaving] - trial[leaving])).min())) * (trial - y)
            passive &= ~(leaving & (y <= 1e-15 * abs(y).max()))
            y[~passive] = 0.0
            trial = _solve(A, b, passive)
        y = trial
    return _refined(A, b, y, passive, limited) * turn + 0.0


def _solve(A: Array, b: Array, columns: Array) -> Array:
    y = np.zeros(A.shape[1])
    if columns.any():
        y[columns] = np.linalg.lstsq(A[:, columns], b, rcond=None)[0]
    return y


def _refined(A: Array, b: Array, y: Array, columns: Array, limited: Array) -> Array:
    wide, sides = A.astype(np.longdouble), b.astype(np.longdouble)
    for _ in range(2):
        y = y + _solve(A, np.asarray(sides - wide @ y, float), columns)
    return np.where(limited, np.maximum(y, 0.0), y)
