"""Linear systems of the benchmarks, each by a formula and a seed: stencils, and heat equations in time.

Unknowns sit on the interior points of a box, the last axis running fastest; outside is zero (Dirichlet).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.fft
import scipy.sparse
import scipy.sparse.linalg

Array = npt.NDArray[Any]
Shape = tuple[int, ...]

#: Waves of a random field, and how far its logarithm spreads: its largest value is about 100 times its least.
WAVES, SPREAD = 24, 1.0


# ---- stencils --------------------------------------------------------------------------------------


def constant_faces(shape: Shape) -> list[Array]:
    """Coefficient 1 on every face, those of the boundary included: for each axis, one face more than points."""
    return [np.ones(_faces(shape, axis)) for axis in range(len(shape))]


def variable_faces(shape: Shape, seed: int = 5) -> list[Array]:
    """The random field at the middle of every face of the unit box."""
    return [random_field(_face_points(shape, axis), seed) for axis in range(len(shape))]


def random_field(points: list[Array], seed: int) -> Array:
    """a(x) = exp(SPREAD g(x)) on a box of points, g a sum of WAVES cosines of unit variance.

    Their wave numbers are normal with deviation 2, their phases uniform, drawn in that order from default_rng(seed).
    """
    rng = np.random.default_rng(seed)
    numbers = 2 * rng.standard_normal((WAVES, len(points)))
    phases = 2 * np.pi * rng.random(WAVES)
    # cos(sum of angles) is the real part of a product over the axes: exponentials on lines alone
    waves = [np.exp(2j * np.pi * np.outer(numbers[:, k], x)) for k, x in enumerate(points)]
    waves[0] *= np.exp(1j * phases)[:, None]
    letters = "abc"[: len(points)]
    field = np.einsum(",".join("w" + letter for letter in letters) + "->" + letters, *waves, optimize=True)
    return np.asarray(np.exp(SPREAD * np.sqrt(2 / WAVES) * field.real))


def _faces(shape: Shape, axis: int) -> Shape:
    return (*shape[:axis], shape[axis] + 1, *shape[axis + 1 :])


def _face_points(shape: Shape, axis: int) -> list[Array]:
    """Coordinates of the faces across one axis, on each axis."""
    inner = [np.arange(1, n + 1) / (n + 1) for n in shape]
    inner[axis] = (np.arange(shape[axis] + 1) + 0.5) / (shape[axis] + 1)
    return inner


def diagonal_of(faces: list[Array]) -> Array:
    """The sum of each point's faces."""
    total = np.zeros([faces[0].shape[0] - 1, *faces[0].shape[1:]])
    for axis, face in enumerate(faces):
        total += np.delete(face, 0, axis) + np.delete(face, -1, axis)
    return total


def stencil_matrix(faces: list[Array], dtype: Any = np.float64) -> scipy.sparse.csr_array:
    """-div(a grad) times the square of the spacing: 5 points a row in two dimensions, 7 in three.

    Diagonal: the sum of the faces; beside it: minus the face between.
    """
    diagonal = diagonal_of(faces)
    shape = diagonal.shape
    n, stride, beside, offsets = diagonal.size, 1, [], []
    for axis in reversed(range(len(shape))):
        face = -np.delete(faces[axis], 0, axis)  # the face after each point; that behind the last one couples nothing
        face[(slice(None),) * axis + (-1,)] = 0
        beside.append(face.astype(dtype).ravel())
        offsets.append(stride)
        stride *= shape[axis]
    upper = [(line[: n - k], k) for line, k in zip(beside, offsets, strict=True)]
    parts = [(line, -k) for line, k in reversed(upper)] + [(diagonal.astype(dtype).ravel(), 0), *upper]
    matrix = scipy.sparse.diags_array([p[0] for p in parts], offsets=[p[1] for p in parts], shape=(n, n), dtype=dtype)
    found = scipy.sparse.csr_array(matrix.tocsr())  # without the zeros
    found.sort_indices()
    return found


def red_black(shape: Shape) -> Array:
    """The points of even coordinate sum in their order, then those of odd."""
    parity = functools.reduce(np.add, np.ix_(*[np.arange(n) for n in shape])).ravel() % 2
    return np.argsort(parity, kind="stable")


# ---- heat equations in time ------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, repr=False)
class System:
    """One system of a sequence: A x = b, from the guess x0."""

    step: int
    A: scipy.sparse.csr_array
    b: Array
    x0: Array
    #: The factor of the Laplacian: A = I + factor K.
    factor: float
    #: What is known before the solve: kappa at the step's start.
    context: float


@dataclass(frozen=True, eq=False, repr=False)
class Heat:
    """u' = kappa(t) div(a grad u) + f(t) on the unit box with u = 0 outside, by Crank and Nicolson's rule.

    kappa(t) = max(0.1 sin(2 pi t), -10 sin(2 pi t)). With h = t + dt/2 and K = -div(a grad),

        (I + dt/2 kappa(h) K) u(t + dt) = (I - dt/2 kappa(h) K) u(t) + dt f(h),

    f = 32 bump(x; (1/2 + cos(16 pi h)/4, 1/2 + sin(16 pi h)/4), 1/8), u(0) = bump(x; (1/2, 1/2), 1/4), and
    bump(x; c, R) = exp(1 - 1 / (1 - |x - c|^2 / R^2)) inside the ball, 0 outside it. In three dimensions the
    centres' last coordinate is 1/2. a is 1, or the random field of a seed.
    """

    #: Intervals on an axis: (nx - 1)^dimensions unknowns.
    nx: int
    dt: float
    dimensions: int = 2
    seed: int | None = None

    @property
    def shape(self) -> Shape:
        return (self.nx - 1,) * self.dimensions

    @property
    def size(self) -> int:
        return (self.nx - 1) ** self.dimensions

    @functools.cached_property
    def faces(self) -> list[Array]:
        """a on the faces, over the square of the spacing."""
        faces = constant_faces(self.shape) if self.seed is None else variable_faces(self.shape, self.seed)
        return [self.nx**2 * face for face in faces]

    @functools.cached_property
    def K(self) -> scipy.sparse.csr_array:  # noqa: N802
        return stencil_matrix(self.faces)

    @functools.cached_property
    def _diagonal_at(self) -> Array:
        rows = np.repeat(np.arange(self.size), np.diff(self.K.indptr))
        return np.flatnonzero(rows == self.K.indices)

    def kappa(self, t: float) -> float:
        wave = float(np.sin(2 * np.pi * t))
        return max(0.1 * wave, -10 * wave)

    def factor(self, step: int) -> float:
        """What K is multiplied by in a step's matrix."""
        return self.dt / 2 * self.kappa((step + 0.5) * self.dt)

    def matrix(self, step: int) -> scipy.sparse.csr_array:
        """I + factor K, with the arrays of K's pattern."""
        data = self.factor(step) * self.K.data
        data[self._diagonal_at] += 1
        return scipy.sparse.csr_array((data, self.K.indices, self.K.indptr), shape=self.K.shape)

    def source(self, t: float) -> Array:
        """f at a time."""
        centre = [0.5 + np.cos(16 * np.pi * t) / 4, 0.5 + np.sin(16 * np.pi * t) / 4, 0.5]
        return 32 * self.bump(centre[: self.dimensions], 0.125)

    def bump(self, centre: list[float], radius: float) -> Array:
        line = np.arange(1, self.nx) / self.nx
        square = functools.reduce(np.add, np.ix_(*[(line - c) ** 2 for c in centre])).ravel() / radius**2
        inside = square < 1
        values = np.zeros(self.size)
        values[inside] = np.exp(1 - 1 / (1 - square[inside]))
        return values

    def right(self, step: int, u: Array) -> Array:
        """The right-hand side, from the solution before."""
        return np.asarray(u - self.factor(step) * (self.K @ u) + self.dt * self.source((step + 0.5) * self.dt))

    def eigenvalues(self) -> Array:
        """Of K, under the sine transform; a must be 1."""
        line = 4 * self.nx**2 * np.sin(np.pi * np.arange(1, self.nx) / (2 * self.nx)) ** 2
        return np.asarray(functools.reduce(np.add, np.ix_(*[line] * self.dimensions)))

    def transform_solve(self, factor: float, b: Array, eigenvalues: Array | None = None) -> Array:
        """(I + factor K)^-1 b by sine transforms; a must be 1."""
        values = self.eigenvalues() if eigenvalues is None else eigenvalues
        spectrum = scipy.fft.dstn(b.reshape(self.shape), type=1)
        spectrum /= 1 + factor * values
        return np.asarray(scipy.fft.idstn(spectrum, type=1, overwrite_x=True).ravel())

    def systems(self, first: int, count: int, start: int = 0) -> Iterator[System]:
        """The systems of `count` steps from the step `first` on, each with the exact solution of the one before.

        The simulation begins with u(0) at the step `start` (0 in the definition).
        """
        u = self.bump([0.5] * self.dimensions, 0.25)
        for step in range(start, first + count):
            b = self.right(step, u)
            if step >= first:
                t = step * self.dt
                yield System(step, self.matrix(step), b, u, self.factor(step), self.kappa(t))
            u = self._solve(step, b, u)

    def _solve(self, step: int, b: Array, u: Array) -> Array:
        if self.seed is None:
            return self.transform_solve(self.factor(step), b)
        A = self.matrix(step)
        jacobi = scipy.sparse.diags_array(1 / A.diagonal())
        x, failed = scipy.sparse.linalg.cg(A, b, x0=u, rtol=1e-12, M=jacobi)
        assert not failed
        return np.asarray(x)
