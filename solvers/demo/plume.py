"""A small simulation: smoke that rises past a disc in a closed box with an open top, one pressure system a step.

Stam's stable fluids (1999) on a staggered grid: velocities at faces are traced back along themselves, buoyancy lifts
what smoke there is, and the pressure's gradient makes the flow free of divergence:

    -div(grad p) = -div(u),    u <- u - grad p,

no flux through walls and the disc, p = 0 at the top. Rows of the arrays are heights, from the floor up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from solvers.linalg import GridOperator

Array = npt.NDArray[np.float64]

#: From the divergence of each cell to the pressure.
Pressure = Callable[[GridOperator, Array], Array]


@dataclass
class Plume:
    """The state: smoke at the cells, velocities at the faces below (v) and to the left (u) of each, and at the ends."""

    n: int = 96
    dt: float = 0.5
    buoyancy: float = 0.3
    height: int = field(init=False)
    mask: npt.NDArray[np.bool_] = field(init=False)
    operator: GridOperator = field(init=False)
    smoke: Array = field(init=False)
    v: Array = field(init=False)
    u: Array = field(init=False)

    def __post_init__(self) -> None:
        self.height = 3 * self.n // 2
        y, x = np.indices((self.height, self.n)) + 0.5
        self.mask = (y - 0.45 * self.height) ** 2 + (x - 0.46 * self.n) ** 2 > (0.12 * self.n) ** 2
        self.operator = GridOperator(
            (self.height, self.n), bc=[("neumann", "dirichlet"), "neumann"], mask=self.mask, unknowns="cells"
        )
        self.smoke = np.zeros((self.height, self.n))
        self.v = np.zeros((self.height + 1, self.n))
        self.u = np.zeros((self.height, self.n + 1))

    def step(self, solve: Pressure) -> Array:
        """One step; returns the divergence that the solver was given, flat."""
        source = np.s_[1 : 2 + self.n // 12, int(0.42 * self.n) : int(0.58 * self.n)]
        self.smoke[source] = 1.0
        self._advect()
        self.v[1:-1] += self.dt * self.buoyancy * (self.smoke[1:] + self.smoke[:-1]) / 2
        self._close_walls()
        divergence = self.divergence()
        pressure = solve(self.operator, -divergence.ravel()).reshape(self.mask.shape)
        self.v[1:-1] -= np.diff(pressure, axis=0)
        self.v[-1] += 2 * pressure[-1]  # zero half a cell above
        self.u[:, 1:-1] -= np.diff(pressure, axis=1)
        self._close_walls()
        return divergence.ravel()

    def divergence(self) -> Array:
        """What flows out of each cell of fluid."""
        return np.where(self.mask, np.diff(self.v, axis=0) + np.diff(self.u, axis=1), 0.0)

    def _close_walls(self) -> None:
        """No flow through the floor, the sides and the disc."""
        self.v[0] = 0
        self.u[:, [0, -1]] = 0
        self.v[1:-1] *= self.mask[1:] & self.mask[:-1]
        self.v[-1] *= self.mask[-1]
        self.u[:, 1:-1] *= self.mask[:, 1:] & self.mask[:, :-1]

    def _advect(self) -> None:
        """Smoke and velocities as they were where the flow comes from."""
        moved = [
            _traced(values, self.v, self.u, offset, self.dt)
            for values, offset in ((self.smoke, (0.5, 0.5)), (self.v, (0.0, 0.5)), (self.u, (0.5, 0.0)))
        ]
        self.smoke, self.v, self.u = moved[0] * self.mask, moved[1], moved[2]


def _traced(values: Array, v: Array, u: Array, offset: tuple[float, float], dt: float) -> Array:
    """Values, whose first lies at `offset`, taken at the places that the flow left a step ago."""
    y, x = np.indices(values.shape) + np.reshape(offset, (2, 1, 1))
    rise, drift = _at(v, y, x - 0.5), _at(u, y - 0.5, x)
    return _at(values, y - dt * rise - offset[0], x - dt * drift - offset[1])


def _at(values: Array, y: Array, x: Array) -> Array:
    """Bilinear interpolation, the nearest value outside."""
    y, x = np.clip(y, 0, values.shape[0] - 1), np.clip(x, 0, values.shape[1] - 1)
    j = np.minimum(y.astype(int), values.shape[0] - 2)
    i = np.minimum(x.astype(int), values.shape[1] - 2)
    y, x = y - j, x - i
    low = (1 - x) * values[j, i] + x * values[j, i + 1]
    high = (1 - x) * values[j + 1, i] + x * values[j + 1, i + 1]
    return np.asarray((1 - y) * low + y * high)
