"""Systems on grids by formula and seed: obstacles, jumps, rough and anisotropic coefficients.

Only NumPy is used. Each is a `GridProblem`: what `solvers.linalg.GridOperator` takes, on the unit square or cube, with
the equations multiplied by the squared spacing (all spacings are 1).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

Sides = tuple[tuple[str, str], ...]


@dataclass(frozen=True, eq=False)
class GridProblem:
    """Arguments of a `GridOperator` whose unknowns are the middles of cells.

    Attributes
    ----------
    name : str
        The family.
    shape : tuple of int
    coeff : float or ndarray
        At the cells.
    mask : ndarray of bool or None
    obstacle : str
        What a masked neighbour is: "neumann" or "dirichlet".
    bc : tuple of pairs
    spacing : tuple of float
    """

    name: str
    shape: tuple[int, ...]
    coeff: Any = 1.0
    mask: Array | None = None
    obstacle: str = "neumann"
    bc: Sides = ()
    spacing: tuple[float, ...] = ()

    @property
    def arguments(self) -> dict[str, Any]:
        """Keywords of a `GridOperator`."""
        return {
            "shape": self.shape, "coeff": self.coeff, "mask": self.mask, "obstacle": self.obstacle,
            "bc": self.bc or "dirichlet", "spacing": self.spacing or 1.0, "unknowns": "cells",
        }  # fmt: skip

    def right(self, kind: str = "white", seed: int = 1) -> Array:
        """A right-hand side, flat, 0 outside of the mask: "white" noise, or a "smooth" product of sines."""
        if kind == "white":
            b = np.random.default_rng(seed).normal(size=self.shape)
        else:
            b = np.ones(self.shape)
            for axis, x in enumerate(_points(self.shape)):
                b = b * np.sin((axis + 1) * np.pi * x)
        return (b if self.mask is None else np.where(self.mask, b, 0.0)).ravel()


def grid_problem(family: str, shape: int | tuple[int, ...], seed: int = 0) -> GridProblem:
    """A problem of a family.

    Parameters
    ----------
    family : str
        One of `GRID_FAMILIES`: "uniform"; "dirichlet" and "neumann" (2 to 8 discs or boxes); "lognormal"; "jumps"
        (discs of 1e-3 to 1e3); "anisotropic" (couplings along the axes differ by up to 10), "strongly-anisotropic"
        (1e4); "smoke" (3 balls, closed walls, one open face).
    shape : int or tuple of int
        Cells along each axis; an int is a square's.
    seed : int, default 0

    Examples
    --------
    >>> from solvers.linalg import GridOperator
    >>> from solvers.testing import grid_problem
    >>> GridOperator(**grid_problem("smoke", (16, 16, 16)).arguments)
    <GridOperator of 16 x 16 x 16 cells, variable coefficients>
    """
    if family not in GRID_FAMILIES:
        raise ValueError(f"family must be one of {', '.join(GRID_FAMILIES)}, not {family!r}")
    sizes = (int(shape),) * 2 if isinstance(shape, int | np.integer) else tuple(int(n) for n in shape)
    return GRID_FAMILIES[family](sizes, np.random.default_rng(seed))


def _points(shape: tuple[int, ...]) -> list[Array]:
    """Coordinates of the cells in the unit box."""
    return list(np.meshgrid(*((np.arange(n) + 0.5) / n for n in shape), indexing="ij", sparse=True))


def _ball(shape: tuple[int, ...], centre: Array, radius: float) -> Array:
    points = _points(shape)
    return np.asarray(sum((x - c) ** 2 for x, c in zip(points, centre, strict=True)) < radius**2)


def _box(shape: tuple[int, ...], centre: Array, radius: float) -> Array:
    inside = np.ones(shape, bool)
    for x, c in zip(_points(shape), centre, strict=True):
        inside = inside & (np.abs(x - c) < radius)
    return inside


def _reached(mask: Array, bc: Sides) -> Array:
    """The active cells that are joined to a Dirichlet side: whole runs of cells at a time along each axis."""
    reach = np.zeros_like(mask)
    for axis, ends in enumerate(bc):
        for end, kind in zip((0, -1), ends, strict=True):
            if kind == "dirichlet":
                np.moveaxis(reach, axis, 0)[end] = np.moveaxis(mask, axis, 0)[end]
    while True:
        before = int(reach.sum())
        for axis in range(mask.ndim):
            rows, hit = np.moveaxis(mask, axis, -1), np.moveaxis(reach, axis, -1)
            starts = ~rows
            starts[..., 0] = True
            runs = np.cumsum(starts.ravel()).reshape(rows.shape)
            found = np.zeros(int(runs.max()) + 1, bool)
            found[runs[hit]] = True
            hit |= found[runs] & rows
        if int(reach.sum()) == before:
            return reach


def _uniform(shape: tuple[int, ...], rng: np.random.Generator) -> GridProblem:
    return GridProblem("uniform", shape)


def _obstacles(obstacle: str) -> Callable[[tuple[int, ...], np.random.Generator], GridProblem]:
    def make(shape: tuple[int, ...], rng: np.random.Generator) -> GridProblem:
        mask = np.ones(shape, bool)
        for _ in range(rng.integers(2, 9)):
            body = _ball if rng.random() < 0.5 else _box
            mask &= ~body(shape, rng.uniform(0, 1, len(shape)), rng.uniform(0.03, 0.15))
        kinds = np.where(rng.random((len(shape), 2)) < 0.6, "dirichlet", "neumann")
        if not (kinds == "dirichlet").any():
            kinds[0, 0] = "dirichlet"
        bc = tuple((str(low), str(high)) for low, high in kinds)
        if obstacle == "neumann":
            mask = _reached(mask, bc)
        return GridProblem(obstacle, shape, 1.0, mask, obstacle, bc)

    return make


def _lognormal(shape: tuple[int, ...], rng: np.random.Generator) -> GridProblem:
    """exp(sigma g), g noise that is smoothed over a twentieth of the box."""
    sigma = rng.uniform(0.5, 2.5)
    waves = np.fft.rfftn(rng.normal(size=shape))
    for axis, n in enumerate(shape):
        frequency = np.fft.rfftfreq(n) if axis == len(shape) - 1 else np.fft.fftfreq(n)
        decay = np.exp(-2 * (np.pi * frequency * n / 20) ** 2)
        waves *= decay.reshape([-1 if k == axis else 1 for k in range(len(shape))])
    field = np.fft.irfftn(waves, s=shape, axes=range(len(shape)))
    return GridProblem("lognormal", shape, np.exp(sigma * field / field.std()))


def _jumps(shape: tuple[int, ...], rng: np.random.Generator) -> GridProblem:
    coeff = np.ones(shape)
    for _ in range(4):
        value = 10 ** rng.uniform(-3, 3)
        for _ in range(2):
            coeff[_ball(shape, rng.uniform(0, 1, len(shape)), rng.uniform(0.03, 0.15))] = value
    return GridProblem("jumps", shape, coeff)


def _anisotropic(shape: tuple[int, ...], rng: np.random.Generator) -> GridProblem:
    weak = 10 ** rng.uniform(-1, 0)
    return GridProblem("anisotropic", shape, spacing=(1.0,) * (len(shape) - 1) + (weak**-0.5,))


def _strongly_anisotropic(shape: tuple[int, ...], rng: np.random.Generator) -> GridProblem:
    return GridProblem("strongly-anisotropic", shape, spacing=(1.0,) * (len(shape) - 1) + (100.0,))


def _smoke(shape: tuple[int, ...], rng: np.random.Generator) -> GridProblem:
    mask = np.ones(shape, bool)
    for _ in range(3):
        mask &= ~_ball(shape, rng.uniform(0.25, 0.75, len(shape)), rng.uniform(0.08, 0.2))
    bc = (("neumann", "dirichlet"),) + (("neumann", "neumann"),) * (len(shape) - 1)
    return GridProblem("smoke", shape, 1.0, _reached(mask, bc), "neumann", bc)


#: Name -> what makes it.
GRID_FAMILIES: dict[str, Callable[[tuple[int, ...], np.random.Generator], GridProblem]] = {
    "uniform": _uniform,
    "dirichlet": _obstacles("dirichlet"),
    "neumann": _obstacles("neumann"),
    "lognormal": _lognormal,
    "jumps": _jumps,
    "anisotropic": _anisotropic,
    "strongly-anisotropic": _strongly_anisotropic,
    "smoke": _smoke,
}
