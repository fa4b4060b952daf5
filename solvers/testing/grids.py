"""Families of random systems on a grid, by formula and seed: what to build a `GridOperator` of."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

FAMILIES = ("uni", "dir", "neu", "dir3", "neu3")


def grid_family(name: str, shape: tuple[int, ...], seed: int) -> tuple[dict[str, Any], Array]:
    """A grid with random obstacles.

    The cells of obstacles are joined to none and have the row of the identity: where b is 0 in them the system is that
    of the others.

    Parameters
    ----------
    name : {"uni", "dir", "neu", "dir3", "neu3"}
        "uni" is the empty box. "dir" and "neu" have 2 to 8 discs or boxes of radius 0.03 to 0.15 of the side, which
        hold 0 ("dir") or let nothing through ("neu"); a side of the domain holds 0 with probability 0.6, and at least
        one does. "dir3" and "neu3" have three balls of radius 0.08 to 0.2, and no flux through the sides but the last
        one. Cells that nothing joins to a value are obstacles, too.
    shape : tuple of 2 or 3 ints
    seed : int

    Returns
    -------
    keywords : dict
        What `solvers.linalg.GridOperator` takes beside the shape: coeff (faces, by axis), mass, bc.
    free : ndarray of bool
        The cells outside of obstacles.

    Examples
    --------
    >>> import solvers
    >>> keywords, free = solvers.testing.grid_family("neu", (40, 50), 3)
    >>> grid = solvers.linalg.GridOperator((40, 50), **keywords)
    >>> bool((grid.to_csr().sum(axis=1) > -1e-12).all())
    True
    """
    if name not in FAMILIES:
        raise ValueError(f"name must be one of {', '.join(FAMILIES)}, not {name!r}")
    rng = np.random.default_rng(seed)
    free = np.ones(shape, bool)
    ends = [["dirichlet", "dirichlet"] for _ in shape]
    if name in ("dir", "neu"):
        for _ in range(int(rng.integers(2, 9))):
            free &= _outside(shape, rng, (0.1, 0.9), (0.03, 0.15), box=rng.random() < 0.5)
        open_ends = rng.random((len(shape), 2)) < 0.6
        open_ends[0, 0] |= not open_ends.any()
        ends = [["dirichlet" if holds else "neumann" for holds in pair] for pair in open_ends]
    elif name != "uni":
        for _ in range(3):
            free &= _outside(shape, rng, (0.25, 0.75), (0.08, 0.2), box=False)
        ends = [["neumann", "neumann"] for _ in shape]
        ends[-1][1] = "dirichlet"
    return _grid(free, tuple((low, high) for low, high in ends), insulated=name in ("neu", "neu3"))


def _outside(shape: tuple[int, ...], rng: np.random.Generator, centres: Any, radii: Any, box: bool) -> Array:
    """The cells outside of a random ball or cube."""
    radius = rng.uniform(*radii)
    far = np.zeros(shape)
    for axis, n in enumerate(shape):
        along = abs((np.arange(n) + 0.5) / n - rng.uniform(*centres)) / radius
        along = along.reshape([-1 if k == axis else 1 for k in range(len(shape))])
        far = np.maximum(far, along) if box else far + along**2
    return far > 1


def _grid(free: Array, bc: Any, insulated: bool) -> tuple[dict[str, Any], Array]:
    free = _reached(free, bc, insulated)
    coeff, mass = [], np.where(free, 0.0, 1.0)
    for axis in range(free.ndim):
        cells, held = np.moveaxis(free, axis, 0), np.moveaxis(mass, axis, 0)
        faces = np.zeros((len(cells) + 1, *cells.shape[1:]))
        faces[1:-1] = cells[:-1] & cells[1:]
        faces[0], faces[-1] = cells[0], cells[-1]
        if not insulated:
            held[1:] += cells[1:] & ~cells[:-1]
            held[:-1] += cells[:-1] & ~cells[1:]
        coeff.append(np.moveaxis(faces, 0, axis))
    return {"coeff": tuple(coeff), "mass": mass, "bc": bc}, free


def _reached(free: Array, bc: Any, insulated: bool) -> Array:
    """The free cells that are joined, over others, to a side or an obstacle that holds a value."""
    reached = np.zeros(free.shape, bool)
    for axis, pair in enumerate(bc):
        along = np.moveaxis(reached, axis, 0)
        along[0] |= pair[0] == "dirichlet"
        along[-1] |= pair[1] == "dirichlet"
    reached = free & (reached | (False if insulated else _beside(~free)))
    while True:
        wider = free & (reached | _beside(reached))
        if (wider == reached).all():
            return reached
        reached = wider


def _beside(cells: Array) -> Array:
    """The cells with a neighbour among these."""
    out = np.zeros(cells.shape, bool)
    for axis in range(cells.ndim):
        along, target = np.moveaxis(cells, axis, 0), np.moveaxis(out, axis, 0)
        target[1:] |= along[:-1]
        target[:-1] |= along[1:]
    return out
