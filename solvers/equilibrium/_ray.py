"""Rays that prove a verdict, of iterates that nearly do.

Multipliers of a proof by Farkas must not lean on infinite bounds, and a direction of descent must not run into sides.
What an iteration leaves of that is removed by small changes of the entries, each in proportion to its size, so that
zeros stay and all keep their signs. Whether the result proves anything, the check of rays tells.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse
import scipy.sparse.linalg

from .._base.sparse import diagonal_matrix
from ._program import Array, LinearProgram

#: Changes of an entry, in parts of it, at most; passes, as what was mended may make others miss; and steps of each.
MOST, PASSES, STEPS = 0.5, 3, 100
#: Entries below this share of the largest are taken for what an iteration has left of zeros.
LEAST = 1e-9


def mended_multipliers(program: LinearProgram, y: Array) -> Array:
    """y changed so that A'y has no components against infinite bounds."""

    def missed(product: Array) -> Array:
        return np.asarray(np.isinf(np.where(product < 0, program.lb, program.ub)) & (product != 0))

    return _mended(program.A.T.tocsr(), np.where(np.isfinite(np.where(y > 0, program.l, program.u)), y, 0.0), missed)


def mended_direction(program: LinearProgram, x: Array) -> Array:
    """x changed so that A x does not run into sides."""

    def missed(product: Array) -> Array:
        return np.asarray(np.isfinite(np.where(product > 0, program.u, program.l)) & (product != 0))

    return _mended(program.A, np.where(np.isinf(np.where(x > 0, program.ub, program.lb)), x, 0.0), missed)


def _mended(matrix: Any, ray: Array, missed: Callable[[Array], Array]) -> Array:
    """The ray changed so that the components of its product that are `missed` vanish, with those of earlier passes."""
    ray = np.where(np.abs(ray) > LEAST * np.abs(ray).max(initial=0.0), ray, 0.0)
    held = np.zeros(matrix.shape[0], dtype=bool)
    for _ in range(PASSES):
        product = matrix @ ray
        held |= missed(product)
        if not product[held].any():
            break
        part = matrix[held] @ diagonal_matrix(np.abs(ray))
        sizes = np.sqrt(part.power(2).sum(axis=1))
        scale = np.divide(1.0, sizes, out=np.zeros_like(sizes), where=sizes > 0)
        scaled = diagonal_matrix(scale) @ part
        shares = scipy.sparse.linalg.lsqr(scaled, -scale * product[held], atol=1e-15, btol=1e-15, iter_lim=STEPS)[0]
        ray = ray + np.abs(ray) * np.clip(shares, -MOST, MOST)
    return ray
