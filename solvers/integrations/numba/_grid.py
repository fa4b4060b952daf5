"""A `GridOperator` as the C interface takes it."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import numpy.typing as npt

from ...linalg import GridOperator

DOUBLES = ctypes.POINTER(ctypes.c_double)

#: As solvers.h numbers them.
ENDS = {"dirichlet": 0, "neumann": 1, "periodic": 2}
UNKNOWNS = {"nodes": 0, "cells": 1}


class Grid(ctypes.Structure):
    """sv_grid."""

    _fields_ = (
        ("struct_size", ctypes.c_size_t), ("axes", ctypes.c_int), ("shape", ctypes.c_size_t * 3),
        ("spacing", ctypes.c_double * 3), ("ends", (ctypes.c_int * 2) * 3), ("unknowns", ctypes.c_int),
        ("obstacle", ctypes.c_int), ("coefficient", ctypes.c_double), ("cells", DOUBLES), ("faces", DOUBLES * 3),
        ("mass", ctypes.c_double), ("masses", DOUBLES), ("mask", ctypes.POINTER(ctypes.c_uint8)),
    )  # fmt: skip


def described(op: GridOperator) -> tuple[Grid, list[npt.NDArray[Any]]]:
    """The description, and the arrays that it points to."""
    axes, kept = len(op.grid_shape), []

    def address(values: Any) -> Any:
        kept.append(np.ascontiguousarray(values, np.float64))
        return kept[-1].ctypes.data_as(DOUBLES)

    grid = Grid(ctypes.sizeof(Grid), axes, (1, 1, 1), (1.0, 1.0, 1.0))
    grid.shape[:axes], grid.spacing[:axes] = op.grid_shape, op.spacing
    for axis, ends in enumerate(op.bc):
        grid.ends[axis][:] = [ENDS[end] for end in ends]
    grid.unknowns, grid.obstacle = UNKNOWNS[op.unknowns], ENDS[op.obstacle]
    if isinstance(op.coeff, float):
        grid.coefficient = op.coeff
    elif op._cells is not None:
        grid.cells = address(op._cells)
    else:
        for axis, values in enumerate(op.coeff):
            grid.faces[axis] = address(values)
    if isinstance(op.mass, float):
        grid.mass = op.mass
    else:
        grid.masses = address(op.mass)
    if op.mask is not None:
        kept.append(np.ascontiguousarray(op.mask, np.uint8))
        grid.mask = kept[-1].ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
    return grid, kept
