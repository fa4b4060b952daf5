"""Matrices with a constant stencil on a box: found in a sparse matrix, and solved by fast transforms.

Along each axis such a matrix couples neighbours by one constant, and the diagonal differs from that of the interior at
the ends alone. A sine, cosine or Hartley transform a axis turns it into a diagonal of sums of cosines (Buzbee, Golub,
Nielson 1970), so that a solve takes O(n log n) operations and no iteration.

At each end of an axis with the coupling c (negative for a Laplacian) the diagonal may have

* nothing more (``"dirichlet"``): the value one whole step outside is 0;
* ``-c`` more (``"half"``): the value half a step outside is 0, as for cells;
* ``c`` more (``"neumann"``): no flow through the face half a step outside;

or the axis closes on itself (``"periodic"``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import combinations, pairwise, product
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.fft

from . import _kernels

Array = npt.NDArray[Any]

Ends = tuple[str, str]

#: What an end adds to the diagonal, in units of the axis's coupling.
EXTRA = {"dirichlet": 0, "neumann": 1, "half": -1}

#: What entries of one kind may differ by, in parts of the largest.
SLACK = 1e-12

#: Ends that SciPy has a transform for -> the transform, its type, the angles' offset and the length of their half turn.
_FAST = {
    ("dirichlet", "dirichlet"): ("dst", 1, 1.0, 1),
    ("half", "half"): ("dst", 2, 1.0, 0),
    ("neumann", "neumann"): ("dct", 2, 0.0, 0),
    ("half", "neumann"): ("dst", 4, 0.5, 0),
    ("neumann", "half"): ("dct", 4, 0.5, 0),
}

#: The other ends take a product with the axis's eigenvectors; a longer axis would take more than iterations do.
LONGEST_DENSE_AXIS = 1500


@dataclass(frozen=True)
class Box:
    """A constant stencil: `diagonal` in the interior, `coupling` between neighbours along each axis."""

    shape: tuple[int, ...]
    diagonal: float
    coupling: tuple[float, ...]
    ends: tuple[Ends, ...]

    def eigenvalues(self) -> Array:
        """All eigenvalues, of the box's shape."""
        total: Any = self.diagonal
        for axis, (count, coupling, ends) in enumerate(zip(self.shape, self.coupling, self.ends, strict=True)):
            cosines = _cosines(count, ends).reshape([-1 if k == axis else 1 for k in range(len(self.shape))])
            total = total + coupling * cosines
        return np.asarray(total)

    def solve(self, b: Array) -> Array:
        """The x of A x = b, (n,), or of least norm where A is singular and b lies in its range."""
        values = self.eigenvalues()
        largest = max(-float(values.min()), float(values.max()))
        if values.min() <= 1e-14 * largest:
            values[np.abs(values) <= 1e-14 * largest] = np.inf
        x = b.reshape(self.shape)
        for axis, ends in enumerate(self.ends):
            x = _transform(self.shape[axis], ends, False)(x, axis)
        x = x / values
        for axis, ends in enumerate(self.ends):
            x = _transform(self.shape[axis], ends, True)(x, axis)
        return np.ascontiguousarray(x).reshape(-1)


@cache
def _cosines(count: int, ends: Ends) -> Array:
    """Eigenvalues of the axis's matrix with coupling 1."""
    if ends[0] == "periodic":
        return np.asarray(2 * np.cos(2 * np.pi * np.arange(count) / count))
    if ends in _FAST:
        _, _, offset, longer = _FAST[ends]
        return np.asarray(2 * np.cos(np.pi * (np.arange(count) + offset) / (count + longer)))
    return _dense(count, ends)[0]


@cache
def _dense(count: int, ends: Ends) -> tuple[Array, Array]:
    from scipy.linalg import eigh_tridiagonal

    diagonal = np.zeros(count)
    diagonal[0] += EXTRA[ends[0]]
    diagonal[-1] += EXTRA[ends[1]]
    values, vectors = eigh_tridiagonal(diagonal, np.ones(count - 1))
    return values, vectors


@cache
def _transform(count: int, ends: Ends, inverse: bool) -> Callable[[Array, int], Array]:
    """The orthonormal transform of an axis to its eigenvectors, or back."""
    if ends[0] == "periodic":
        return _hartley
    if ends in _FAST:
        name, kind, _, _ = _FAST[ends]
        function = getattr(scipy.fft, "i" + name if inverse else name)
        return lambda x, axis: np.asarray(function(x, type=kind, axis=axis, norm="ortho"))
    vectors = _dense(count, ends)[1]
    matrix = vectors if inverse else vectors.T
    return lambda x, axis: np.moveaxis(np.tensordot(matrix, x, axes=(1, axis)), 0, axis)


def _hartley(x: Array, axis: int) -> Array:
    """Its own inverse: real, and as good as Fourier's for matrices that are symmetric."""
    waves = scipy.fft.fft(x, axis=axis, norm="ortho")
    return np.asarray(waves.real - waves.imag)


class Layout:
    """What a pattern of nonzeros tells: on which box its entries may be a constant stencil.

    Only some rows are looked at, those at corners and edges among them, which costs the same for every size. A matrix
    that differs elsewhere passes for a box: who solves with it must look at the residual.
    """

    def __init__(self, shape: tuple[int, ...], periodic: tuple[bool, ...], at: Array, kinds: Array):
        #: Places in the matrix's data, and the part that each has in the stencil: the axis of a coupling, or at which
        #: ends of the box a diagonal entry is. Equal kinds must have equal values.
        self.shape, self.periodic, self._at, self._kinds = shape, periodic, at, kinds
        self._first = np.full(len(shape) + 3 ** len(shape), -1)
        self._first[kinds[::-1]] = at[::-1]
        #: Those diagonal entries that there are.
        self._there = self._first[len(shape) :] >= 0
        #: The ends of the last box: those of the next matrix are most often the same.
        self._ends: tuple[Ends, ...] | None = None

    def box(self, data: Array) -> Box | None:
        """The stencil, where the values, of float64, are constant in this sense."""
        table = _kernels.values_of_kinds(data, self._at, self._kinds, self._first, 1e-13)
        if table is None:
            return None
        if self._ends is None or not self._has(self._ends, table):
            ends = self._ends_of(table.tolist(), SLACK * float(np.abs(table).max()))
            self._ends = ends if ends is not None and self._has(ends, table) else None
        if self._ends is None:
            return None
        axes = len(self.shape)
        return Box(self.shape, float(table[axes + 3**axes // 2]), tuple(table[:axes].tolist()), self._ends)

    def _ends_of(self, numbers: list[float], error: float) -> tuple[Ends, ...] | None:
        """What the diagonal has at each end, amid the other axes; None where that is no kind of end."""
        axes, ends = len(self.shape), []
        amid = axes + 3**axes // 2
        for axis in range(axes):
            if self.periodic[axis]:
                ends.append(("periodic", "periodic"))
                continue
            step = 3 ** (axes - 1 - axis)
            low, high = (_end(numbers[amid + way * step] - numbers[amid], numbers[axis], error) for way in (-1, 1))
            if not low or not high:
                return None
            ends.append((low, high))
            if ends[-1] not in _FAST and self.shape[axis] > LONGEST_DENSE_AXIS:
                return None
        return tuple(ends)

    def _has(self, ends: tuple[Ends, ...], table: Array) -> bool:
        """Whether each diagonal entry has what these ends add, at several at once the sum."""
        return _kernels.ends_agree(table, _extras(ends), self._there, SLACK)


@cache
def _extras(ends: tuple[Ends, ...]) -> Array:
    """What is added at each place of the box, in units of the axes' couplings; places as in `_diagonal_kind`."""
    return np.array(list(product(*((EXTRA.get(low, 0), 0, EXTRA.get(high, 0)) for low, high in ends))), np.float64)


def _end(extra: float, coupling: float, error: float) -> str:
    """The kind of end that adds so much to the diagonal; empty where none does."""
    for name, factor in EXTRA.items():
        if abs(extra - factor * coupling) <= error:
            return name
    return ""


def _diagonal_kind(places: Any) -> Any:
    """places, a axis: 0 at the lower end, 1 between, 2 at the upper end."""
    kind: Any = 0
    for place in places:
        kind = 3 * kind + place
    return len(places) + kind


#: Rows that are looked at beside the corners and edges.
SAMPLE = 200


def layout(indptr: Array, indices: Array) -> Layout | None:
    """The box whose stencil has this pattern of nonzeros (CSR, sorted), if there is one; axes of 3 points at least."""
    n = len(indptr) - 1
    if n < 3 or not 0 < len(indices) <= 7 * n:
        return None
    some = np.unique(np.r_[0, n - 1, np.linspace(0, n - 1, SAMPLE).astype(np.int64)])
    steps = np.unique(_entries(indptr, indices, some)[2])
    positive = [int(s) for s in steps if s > 0]
    if not 0 < len(positive) <= 6:
        return None
    for axes in (1, 2, 3):
        for strides in combinations(positive, axes):
            whole = (*strides, n)
            counts = [b // a for a, b in pairwise(whole)]
            if strides[0] == 1 and all(b % a == 0 and b // a >= 3 for a, b in pairwise(whole)):
                # adjacent unknowns are neighbours along the last axis
                found = _fit(indptr, indices, tuple(counts[::-1]), strides[::-1], set(positive), some)
                if found is not None:
                    return found
    return None


def _entries(indptr: Array, indices: Array, rows: Array) -> tuple[Array, Array, Array]:
    """Of some rows: where their entries are in the data, the row of each (as its place in `rows`), its offset."""
    counts = (indptr[rows + 1] - indptr[rows]).astype(np.int64)
    owner = np.repeat(np.arange(len(rows)), counts)
    at = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + indptr[rows][owner]
    return at, owner, indices[at].astype(np.int64) - rows[owner]


def _fit(
    indptr: Array, indices: Array, shape: tuple[int, ...], strides: tuple[int, ...], steps: set[int], some: Array
) -> Layout | None:
    """The layout of one shape, if the rows looked at store each neighbour once and nothing else."""
    corners = np.ravel_multi_index(
        np.meshgrid(*((0, 1, count // 2, count - 2, count - 1) for count in shape), indexing="ij"), shape
    )
    rows = np.unique(np.r_[some, corners.ravel()])
    at, owner, offsets = _entries(indptr, indices, rows)
    kinds, expected = np.full(len(at), -1), np.ones(len(rows), dtype=np.int64)
    places, periodic = [], []
    for axis, (count, stride) in enumerate(zip(shape, strides, strict=True)):
        place = rows // stride % count
        around = stride * (count - 1)
        periodic.append(around in steps)
        for sign, edge in ((1, place == count - 1), (-1, place == 0)):
            kinds[(offsets == sign * stride) & ~edge[owner]] = axis
            if periodic[-1]:
                kinds[(offsets == -sign * around) & edge[owner]] = axis
            expected += 1 if periodic[-1] else ~edge
        places.append(np.ones_like(place) if periodic[-1] else (place > 0) * 1 + (place == count - 1))
    centre = offsets == 0
    kinds[centre] = np.asarray(_diagonal_kind(places))[owner[centre]]
    if (kinds < 0).any() or not np.array_equal(np.bincount(owner, minlength=len(rows)), expected):
        return None
    return Layout(shape, tuple(periodic), at, kinds)
