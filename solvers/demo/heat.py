"""A small simulation: the heat equation in a plate whose conductivity swings with time, one linear system a step.

The unit square with cold edges, nx intervals a side, Crank and Nicolson's rule with the step dt:

    (I - dt/2 kappa L) u_next = (I + dt/2 kappa L) u + dt f,    kappa(t) = max(0.1 sin 2 pi t, -10 sin 2 pi t),

L the 5-point Laplacian, kappa and the heating f at the middle of the step. The heating is a spot that runs along a
Lissajous line. Half of the time the plate hardly conducts and the systems are easy, half of the time they are stiff:
the experiment of Khodak, Chow, Balcan and Talwalkar, "Learning to Relax" (ICLR 2024, arXiv 2310.02246).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse

Array = npt.NDArray[Any]


class System(NamedTuple):
    """One step: A u_next = b, from u."""

    time: float
    conductivity: float
    A: scipy.sparse.csr_array
    b: Array
    u: Array


@dataclass(frozen=True)
class Plate:
    """The plate and its clock."""

    nx: int = 100
    dt: float = 1e-3

    @property
    def size(self) -> int:
        """Unknowns."""
        return (self.nx - 1) ** 2

    @cached_property
    def points(self) -> tuple[Array, Array]:
        """Coordinates of the unknowns."""
        inner = np.arange(1, self.nx) / self.nx
        x, y = np.meshgrid(inner, inner, indexing="ij")
        return x.ravel(), y.ravel()

    @cached_property
    def laplacian(self) -> scipy.sparse.csr_array:
        m = self.nx - 1
        line = scipy.sparse.diags_array([1.0, -2.0, 1.0], offsets=[-1, 0, 1], shape=(m, m)) * self.nx**2
        one = scipy.sparse.eye_array(m)
        return scipy.sparse.csr_array(scipy.sparse.kron(line, one) + scipy.sparse.kron(one, line))

    @cached_property
    def identity(self) -> Array:
        """The identity's entries in the pattern of the Laplacian."""
        matrix = self.laplacian
        rows = np.repeat(np.arange(self.size), np.diff(matrix.indptr))
        return np.asarray(rows == matrix.indices, dtype=np.float64)

    def bump(self, centre: tuple[float, float], radius: float) -> Array:
        """A smooth spot of height 1, zero outside its radius."""
        x, y = self.points
        distance = np.minimum(1.0, ((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / radius**2)
        inside = distance < 1
        values = np.zeros(self.size)
        values[inside] = np.exp(1 - 1 / (1 - distance[inside]))
        return values

    def start(self) -> Array:
        """A warm spot in the middle."""
        return self.bump((0.5, 0.5), 0.25)

    def conductivity(self, time: float) -> float:
        wave = float(np.sin(2 * np.pi * time))
        return max(0.1 * wave, -10 * wave)

    def step(self, u: Array, time: float) -> System:
        """The system of the step that begins at this time."""
        middle = time + self.dt / 2
        half = self.dt / 2 * self.conductivity(middle)
        matrix = self.laplacian
        A = scipy.sparse.csr_array((self.identity - half * matrix.data, matrix.indices, matrix.indptr), matrix.shape)
        angle = 16 * np.pi * middle
        heating = 32 * self.bump((0.5 + np.cos(angle) / 4, 0.5 + np.sin(angle) / 4), 0.125)
        return System(time, self.conductivity(time), A, u + half * (matrix @ u) + self.dt * heating, u)

    def run(self, solve: Callable[[System], Array], steps: int, begin: float = 0.0) -> Iterator[System]:
        """The simulation: `solve` returns the next u. Yields the system of each step before it is solved."""
        u = self.start()
        for number in range(steps):
            system = self.step(u, begin + number * self.dt)
            yield system
            u = solve(system)
