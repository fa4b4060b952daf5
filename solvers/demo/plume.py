"""A small simulation: smoke that rises past a ball in a closed box with an open top, one pressure system a step.

Stam's stable fluids (1999) on a staggered grid, in the plane or in space: velocities at faces are traced back along
themselves, buoyancy lifts what smoke there is, and the pressure's gradient makes the flow free of divergence:

    -div(grad p) = -div(u),    u <- u - grad p,

no flux through walls and the ball, p = 0 at the top. The first axis of the arrays is the height, from the floor up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import scipy.ndimage

from solvers.linalg import GridOperator

Array = npt.NDArray[np.float64]

#: From the divergence of each cell to the pressure.
Pressure = Callable[[GridOperator, Array], Array]


@dataclass
class Plume:
    """The state: smoke at the cells, and along each axis velocities at the faces before the cells and at the end."""

    n: int = 96
    axes: int = 2
    dt: float = 0.5
    buoyancy: float = 0.3
    height: int = field(init=False)
    mask: npt.NDArray[np.bool_] = field(init=False)
    operator: GridOperator = field(init=False)
    smoke: Array = field(init=False)
    flow: list[Array] = field(init=False)

    def __post_init__(self) -> None:
        self.height = 3 * self.n // 2
        shape = (self.height,) + (self.n,) * (self.axes - 1)
        places = np.indices(shape) + 0.5
        centre = (0.45 * self.height, 0.46 * self.n, 0.5 * self.n)
        away = sum((place - middle) ** 2 for place, middle in zip(places, centre, strict=False))
        self.mask = np.asarray(away > (0.12 * self.n) ** 2)
        bc = [("neumann", "dirichlet"), *["neumann"] * (self.axes - 1)]
        self.operator = GridOperator(shape, bc=bc, mask=self.mask, unknowns="cells")
        self.smoke = np.zeros(shape)
        self.flow = [np.zeros([n + (k == axis) for k, n in enumerate(shape)]) for axis in range(self.axes)]

    def step(self, solve: Pressure) -> Array:
        """One step; returns the divergence that the solver was given, flat."""
        across = slice(int(0.42 * self.n), int(0.58 * self.n))
        self.smoke[(slice(1, 2 + self.n // 12), *[across] * (self.axes - 1))] = 1.0
        self._advect()
        self.flow[0][1:-1] += self.dt * self.buoyancy * (self.smoke[1:] + self.smoke[:-1]) / 2
        self._close_walls()
        divergence = self.divergence()
        pressure = solve(self.operator, -divergence.ravel()).reshape(self.mask.shape)
        for axis, faces in enumerate(self.flow):
            np.moveaxis(faces, axis, 0)[1:-1] -= np.diff(np.moveaxis(pressure, axis, 0), axis=0)
        self.flow[0][-1] += 2 * pressure[-1]  # zero half a cell above
        self._close_walls()
        return divergence.ravel()

    def divergence(self) -> Array:
        """What flows out of each cell of fluid."""
        out = sum(np.diff(faces, axis=axis) for axis, faces in enumerate(self.flow))
        return np.where(self.mask, out, 0.0)

    def _close_walls(self) -> None:
        """No flow through the floor, the sides and the ball."""
        for axis, faces in enumerate(self.flow):
            along, mask = np.moveaxis(faces, axis, 0), np.moveaxis(self.mask, axis, 0)
            along[1:-1] *= mask[1:] & mask[:-1]
            along[0] = 0
            along[-1] *= mask[-1] if axis == 0 else 0  # the top is open

    def _advect(self) -> None:
        """Smoke and velocities as they were where the flow comes from."""
        moved = [traced(values, self.flow, self.dt) for values in (self.smoke, *self.flow)]
        self.smoke, self.flow = moved[0] * self.mask, moved[1:]


def traced(values: Array, flow: list[Array], dt: float) -> Array:
    """Values at cells, or at the faces along an axis, taken at the places that the flow left a step ago."""
    cells = [min(faces.shape[k] for faces in flow) for k in range(len(flow))]
    offset = [0.0 if n > m else 0.5 for n, m in zip(values.shape, cells, strict=True)]
    places = np.indices(values.shape) + np.reshape(offset, (-1,) + (1,) * len(flow))
    back = [
        place - dt * _at(faces, [x - 0.5 * (k != axis) for k, x in enumerate(places)])
        for axis, (place, faces) in enumerate(zip(places, flow, strict=True))
    ]
    return _at(values, [x - first for x, first in zip(back, offset, strict=True)])


def _at(values: Array, places: list[Array]) -> Array:
    """Linear interpolation along each axis, the nearest value outside."""
    return np.asarray(scipy.ndimage.map_coordinates(values, np.stack(places), order=1, mode="nearest"))
