"""Systems on a grid through the C interface: the bits of GridOperator's."""

import ctypes

import numpy as np
import pytest
from library import LIBRARY, Control, last_error
from linear import Linear, address
from test_systems import assert_same, in_python

from solvers.linalg import GridOperator, ssor

VOID, SIZE, INT, DOUBLE = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_double
ENDS = ("dirichlet", "neumann", "periodic")

LIBRARY.sv_linear_from_grid.argtypes = LIBRARY.sv_linear_update_grid.argtypes = [VOID, VOID]


class Grid(ctypes.Structure):
    """sv_grid, from the arguments of GridOperator."""

    _fields_ = (
        ("struct_size", SIZE), ("axes", INT), ("shape", SIZE * 3), ("spacing", DOUBLE * 3), ("ends", INT * 2 * 3),
        ("unknowns", INT), ("obstacle", INT), ("coefficient", DOUBLE), ("cells", VOID), ("faces", VOID * 3),
        ("mass", DOUBLE), ("masses", VOID), ("mask", VOID),
    )  # fmt: skip

    def __init__(self, shape, coeff=1.0, mass=0.0, spacing=1.0, bc="dirichlet", mask=None, unknowns="nodes"):
        super().__init__(ctypes.sizeof(Grid), len(shape))
        self.kept = [coeff, mass, mask]
        for axis, n in enumerate(shape):
            self.shape[axis], self.spacing[axis] = n, spacing if np.isscalar(spacing) else spacing[axis]
            end = bc if isinstance(bc, str) else bc[axis]
            for high in range(2):
                self.ends[axis][high] = ENDS.index(end if isinstance(end, str) else end[high])
        self.unknowns, self.obstacle = ("nodes", "cells").index(unknowns), 1
        if isinstance(coeff, list):
            self.faces[: len(shape)] = [array.ctypes.data for array in coeff]
        elif np.ndim(coeff):
            self.cells = address(coeff)
        else:
            self.coefficient = coeff
        if np.ndim(mass):
            self.masses = address(mass)
        else:
            self.mass = mass
        self.mask = None if mask is None else address(mask)


class OnGrid(Linear):
    """A handle of that grid."""

    def __init__(self, **arguments):
        self.grid, self.handle = Grid(**arguments), VOID()
        self.status = LIBRARY.sv_linear_from_grid(ctypes.addressof(self.grid), ctypes.byref(self.handle))


RNG = np.random.default_rng(17)
HOLES = RNG.random((12, 14)) > 0.2
GRIDS = {
    "line": {"shape": (37,), "spacing": 0.3},
    "plane": {"shape": (17, 22), "coeff": 2.5, "mass": 0.3, "spacing": (0.5, 0.7)},
    "box": {"shape": (6, 7, 10), "bc": (("dirichlet", "neumann"), "neumann", "periodic"), "unknowns": "cells"},
    "flat": {"shape": (9, 1, 8), "bc": ("periodic", "periodic", "dirichlet"), "mass": 0.2},
    "cells": {"shape": (12, 14), "coeff": RNG.lognormal(size=(12, 14)), "bc": ("periodic", "dirichlet")},
    "faces": {"shape": (5, 8), "coeff": [RNG.random((6, 8)), RNG.random((5, 9))], "mass": RNG.random((5, 8))},
    "holes": {"shape": (12, 14), "mask": HOLES, "mass": 0.1, "bc": "neumann"},
}
METHODS = (
    {}, {"method": "sor", "omega": 1.5, "ordering": "redblack", "check_every": 5}, {"method": "sor", "omega": "young"},
    {"method": "cg", "M": "jacobi"}, {"method": "cg", "M": "ssor"}, {"method": "chebyshev"}, {"method": "jacobi"},
    {"ordering": "redblack", "omega": 1.0},
)  # fmt: skip


@pytest.mark.parametrize("name", GRIDS)
def test_the_bits_of_python(name):
    handle, grid = OnGrid(**GRIDS[name]), GridOperator(**GRIDS[name])
    assert handle.status == 0, last_error()
    b = np.random.default_rng(2).normal(size=grid.size)
    for case in METHODS:
        if name == "flat" and case.get("ordering") == "redblack":  # odd, and periodic
            assert handle.solve(b, **case)[0] == -1
            continue
        found = handle.solve(b, **case)
        assert_same(found, in_python(grid, b, **case))
        assert_same(handle.solve(b, control=Control(threads=2), **case), in_python(grid, b, **case))
        assert found[0] == 0
    x, r, norm = np.ones(grid.size), np.empty(grid.size), DOUBLE()
    call = LIBRARY.sv_linear_residual
    assert call(handle.handle, address(b), address(x), address(r), ctypes.addressof(norm), 1) == 0
    np.testing.assert_array_equal(r, grid.residual(b, x))
    assert np.isclose(norm.value, np.linalg.norm(r))
    assert LIBRARY.sv_linear_multiply(handle.handle, address(b), address(r), 1) == 0
    np.testing.assert_array_equal(r, grid @ b)
    for ordering in (1, 4):
        if name == "flat" and ordering == 4:
            continue
        y = x.copy()
        grid.sweep(y, b, ordering=("natural", "redblack")[ordering == 4], omega=1.3, sweeps=3)
        z = x.copy()
        assert LIBRARY.sv_linear_sweep(handle.handle, ordering, 0, 1.3, 3, address(b), address(z), 1) == 0
        np.testing.assert_array_equal(z, y)
    assert LIBRARY.sv_linear_precondition(handle.handle, 1, 1.3, 1, address(b), address(r), 1) == 0
    np.testing.assert_array_equal(r, ssor(grid, 1.3) @ b)


def test_other_numbers_on_the_same_grid():
    handle = OnGrid(**GRIDS["plane"])
    b = np.random.default_rng(2).normal(size=17 * 22)
    handle.solve(b)
    given = GRIDS["plane"] | {"coeff": RNG.lognormal(size=(17, 22)), "bc": "neumann"}
    new = Grid(**given)
    assert LIBRARY.sv_linear_update_grid(handle.handle, ctypes.addressof(new)) == 0
    expected = in_python(GridOperator(**given), b)
    assert_same(handle.solve(b), expected)
    for bad in (GRIDS["plane"] | {"shape": (22, 17)}, GRIDS["plane"] | {"mass": -1e9}, GRIDS["line"]):
        refused = Grid(**bad)
        assert LIBRARY.sv_linear_update_grid(handle.handle, ctypes.addressof(refused)) == -1
        assert last_error().startswith("grid")
    assert_same(handle.solve(b), expected)


def test_grids_that_are_refused():
    for bad in (
        {"shape": (0, 3)}, {"shape": (3, 3), "coeff": -1.0}, {"shape": (3, 3), "mass": np.nan},
        {"shape": (3, 3), "bc": "neumann", "coeff": 0.0}, {"shape": (3, 3), "bc": (("periodic", "neumann"), "neumann")},
        {"shape": (3,), "bc": "neumann", "mask": np.array([True, False, True])},
    ):  # fmt: skip
        handle = OnGrid(**bad)
        assert handle.status == -1
        assert not handle.handle
        assert last_error().startswith("grid")
    assert OnGrid(shape=(2**31, 2**31, 2**31)).status == -2
    assert OnGrid(shape=(2**30, 2**32)).status == -2
    handle, made = OnGrid(shape=(3, 3)), VOID()
    assert LIBRARY.sv_linear_from_grid(None, ctypes.byref(made)) == -1
    assert LIBRARY.sv_linear_from_grid(ctypes.addressof(handle.grid), None) == -1
    b = np.ones(9)
    assert LIBRARY.sv_linear_update(handle.handle, address(b)) == -1
    for case in (
        {"ordering": "multicolor"},
        {"ordering": "blocks"},
        {"ordering": "wavefront"},
        {"method": "cg", "M": "ic0"},
    ):
        assert handle.solve(b, **case)[0] == -1
    sparse = Linear(np.eye(9))
    assert LIBRARY.sv_linear_update_grid(sparse.handle, ctypes.addressof(handle.grid)) == -1
