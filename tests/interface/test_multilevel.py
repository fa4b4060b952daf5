"""The multilevel preconditioner in the C interface against `multilevel` and "multilevel-cg" in Python: to the bit."""

import ctypes
import threading

import numpy as np
import pytest
from library import CALLBACK, DOUBLES, LIBRARY, Control, Report, doubles, last_error

from solvers.linalg import GridOperator, multilevel, solve

INVALID, NO_MEMORY, STRUCT_SIZE, BUSY = -1, -2, -3, -4
HANDLE = ctypes.c_void_p
ENDS = {"dirichlet": 0, "neumann": 1, "periodic": 2}
NULLSPACES = {None: 0, "constant": 1, "components": 2}


class Grid(ctypes.Structure):
    """sv_grid."""

    _fields_ = (
        ("struct_size", ctypes.c_size_t), ("axes", ctypes.c_int), ("shape", ctypes.c_size_t * 3),
        ("spacing", ctypes.c_double * 3), ("ends", (ctypes.c_int * 2) * 3), ("unknowns", ctypes.c_int),
        ("obstacle", ctypes.c_int), ("coefficient", ctypes.c_double), ("cells", DOUBLES), ("faces", DOUBLES * 3),
        ("mass", ctypes.c_double), ("masses", DOUBLES), ("mask", ctypes.POINTER(ctypes.c_uint8)),
    )  # fmt: skip


class Options(ctypes.Structure):
    """sv_multilevel_options."""

    _fields_ = (
        ("struct_size", ctypes.c_size_t), ("nullspace", ctypes.c_int), ("cycle", ctypes.c_int), ("line", ctypes.c_int),
        ("double_precision", ctypes.c_int), ("threads", ctypes.c_int),
    )  # fmt: skip


def function(name, *kinds, result=ctypes.c_int):
    found = getattr(LIBRARY, f"sv_multilevel_{name}")
    found.argtypes, found.restype = kinds, result
    return found


create = function("create", ctypes.POINTER(HANDLE), ctypes.c_void_p, ctypes.c_void_p)
destroy = function("destroy", HANDLE, result=None)
update = function("update", HANDLE, ctypes.c_void_p)
apply = function("apply", HANDLE, DOUBLES, DOUBLES)
solve_in_c = function(
    "solve", HANDLE, DOUBLES, DOUBLES, ctypes.c_double, ctypes.c_double, ctypes.c_void_p, ctypes.c_void_p
)
shape_of = function("shape", HANDLE, ctypes.c_int, ctypes.POINTER(ctypes.c_size_t))
size = function("size", HANDLE, result=ctypes.c_size_t)
levels = function("levels", HANDLE)
components = function("components", HANDLE, result=ctypes.c_size_t)


def described(shape, coeff=1.0, mass=0.0, spacing=1.0, bc="dirichlet", mask=None, obstacle="neumann", unknowns="nodes"):
    """The sv_grid of a GridOperator's arguments, and the arrays that it points to."""
    axes, kept = len(shape), []

    def address(values):
        kept.append(np.ascontiguousarray(values, np.float64))
        return doubles(kept[-1])

    grid = Grid(ctypes.sizeof(Grid), axes, (1, 1, 1), (1.0, 1.0, 1.0))
    grid.shape[:axes] = shape
    grid.spacing[:axes] = np.broadcast_to(spacing, axes)
    for axis, ends in enumerate([bc] * axes if isinstance(bc, str) else bc):
        grid.ends[axis][:] = [ENDS[end] for end in ([ends, ends] if isinstance(ends, str) else ends)]
    grid.unknowns, grid.obstacle = {"nodes": 0, "cells": 1}[unknowns], ENDS[obstacle]
    if isinstance(coeff, tuple):
        for axis, values in enumerate(coeff):
            grid.faces[axis] = address(values)
    elif np.ndim(coeff):
        grid.cells = address(coeff)
    grid.coefficient = coeff if isinstance(coeff, float) else 0.0
    if np.ndim(mass):
        grid.masses = address(mass)
    else:
        grid.mass = mass
    if mask is not None:
        kept.append(np.ascontiguousarray(mask, np.uint8))
        grid.mask = kept[-1].ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
    return grid, kept


class Made:
    """A handle for a GridOperator's arguments."""

    def __init__(self, grid, nullspace=None, cycle="V", line=-1, dtype="float32", threads=1):
        description, kept = described(**grid)
        double = int(dtype == "float64")
        options = Options(ctypes.sizeof(Options), NULLSPACES[nullspace], "VW".index(cycle), line, double, threads)
        self.handle = HANDLE()
        self.status = create(self.handle, ctypes.byref(description), ctypes.byref(options))
        del kept  # the arrays are not needed any more

    def __del__(self):
        destroy(self.handle)

    def __matmul__(self, r):
        z = np.full(r.shape, np.nan)
        assert apply(self.handle, doubles(r), doubles(z)) == 0
        return z

    def solve(self, b, x=None, rtol=1e-8, atol=0.0, report=None, **control):
        x = np.zeros(b.shape) if x is None else x.copy()
        report = Report() if report is None else report
        status = solve_in_c(
            self.handle, doubles(b), doubles(x), rtol, atol, ctypes.byref(Control(**control)), ctypes.byref(report)
        )
        return status, x, report

    def shapes(self):
        found = (ctypes.c_size_t * 3)()
        every = []
        for level in range(levels(self.handle)):
            assert shape_of(self.handle, level, found) == 0
            every.append(tuple(found))
        return every


def ball(shape, radius=0.3):
    at = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    return sum(x**2 for x in at) > radius**2


def rough(shape, seed=3, size=2.0):
    return np.exp(size * np.random.default_rng(seed).normal(size=shape))


def faces_of(shape, seed=4, periodic=()):
    rng, faces = np.random.default_rng(seed), []
    for axis in range(len(shape)):
        values = np.moveaxis(rng.uniform(0.1, 10, [n + (k == axis) for k, n in enumerate(shape)]), axis, 0).copy()
        if axis in periodic:
            values[-1] = values[0]
        faces.append(np.ascontiguousarray(np.moveaxis(values, 0, axis)))
    return tuple(faces)


def walled(shape):
    """Two rooms, of which the first has a hole in it."""
    mask = np.ones(shape, bool)
    mask[shape[0] // 2] = False
    mask[2:5, 2:6] = False
    return mask


OPEN, SHUT = [("neumann", "dirichlet"), "neumann"], "neumann"
GRIDS = {
    "uniform": {"shape": (64, 48)},
    "uniform-1d": {"shape": (700,), "spacing": 0.1, "mass": 0.01},
    "uniform-3d": {"shape": (20, 17, 23), "spacing": (0.3, 0.7, 1.1), "unknowns": "cells", "bc": [SHUT, *OPEN]},
    "one-cell": {"shape": (1, 1)},
    "few": {"shape": (4, 5), "coeff": 2.0, "bc": OPEN},
    "long": {"shape": (3, 300)},
    "flat": {"shape": (1, 40, 33), "coeff": rough((1, 40, 33))},
    "flat-y": {"shape": (20, 1, 33)},
    "flat-x": {"shape": (20, 33, 1), "bc": "neumann", "mass": 0.1},
    "smoke": {"shape": (24, 20, 28), "mask": ball((24, 20, 28)), "unknowns": "cells", "bc": [SHUT, *OPEN]},
    "obstacle": {
        "shape": (40, 33),
        "mask": ball((40, 33)),
        "obstacle": "dirichlet",
        "unknowns": "cells",
        "mass": 0.5,
        "coeff": 3.0,
    },
    "rough": {"shape": (40, 33), "coeff": rough((40, 33)), "spacing": (0.7, 0.3), "unknowns": "cells"},
    "rough-mask": {
        "shape": (18, 16, 15),
        "coeff": rough((18, 16, 15)),
        "mask": ball((18, 16, 15)),
        "obstacle": "dirichlet",
    },
    "masses": {"shape": (30, 31), "mass": rough((30, 31)), "bc": SHUT, "mask": ball((30, 31))},
    "faces": {"shape": (33, 40), "coeff": faces_of((33, 40)), "unknowns": "cells", "bc": OPEN},
    "faces-mask-3d": {
        "shape": (9, 16, 11),
        "coeff": faces_of((9, 16, 11)),
        "mask": ball((9, 16, 11)),
        "mass": 0.1,
        "spacing": 0.3,
    },
    "anisotropic": {"shape": (48, 48), "spacing": (1.0, 0.01)},
    "jumps": {"shape": (48, 40), "coeff": np.where(ball((48, 40)), 1e-3, 1e3)},
    "periodic": {"shape": (32, 48), "bc": ["periodic", "dirichlet"], "mass": 0.1},
    "periodic-odd": {"shape": (33, 40), "bc": ["periodic", ("dirichlet", "neumann")], "coeff": rough((33, 40))},
    "periodic-faces": {"shape": (32, 24), "bc": ["dirichlet", "periodic"], "coeff": faces_of((32, 24), periodic=(1,))},
    "closed": {"shape": (32, 40), "bc": SHUT, "unknowns": "cells", "nullspace": "constant"},
    "closed-3d": {"shape": (16, 12, 14), "bc": "periodic", "nullspace": "constant", "coeff": rough((16, 12, 14))},
    "closed-mask": {
        "shape": (32, 40),
        "bc": SHUT,
        "mask": ball((32, 40)),
        "unknowns": "cells",
        "nullspace": "constant",
    },
    "rooms": {"shape": (33, 40), "bc": SHUT, "mask": walled((33, 40)), "unknowns": "cells", "nullspace": "components"},
    "rooms-open": {
        "shape": (33, 40),
        "bc": OPEN,
        "mask": walled((33, 40)),
        "coeff": rough((33, 40)),
        "nullspace": "components",
    },
    "cut": {
        "shape": (20, 30),
        "bc": SHUT,
        "coeff": np.where(np.arange(30) == 15, 0.0, np.ones((20, 30))),
        "mass": np.where(np.arange(30) < 15, 1.0, np.where(np.arange(30) > 15, 0.0, 1.0) * np.ones((20, 30))),
        "nullspace": "components",
    },
    "w-cycle": {"shape": (40, 48), "coeff": rough((40, 48)), "cycle": "W"},
    "w-cycle-jumps": {
        "shape": (48, 40),
        "coeff": np.where(ball((48, 40)), 1e-3, 1e3),
        "cycle": "W",
        "mask": ball((48, 40), 0.1),
    },
    "lines": {"shape": (40, 32), "coeff": faces_of((40, 32)), "line": 0},
    "lines-3d": {"shape": (12, 16, 14), "line": 2, "mask": ball((12, 16, 14)), "unknowns": "cells"},
    "double": {"shape": (40, 33), "coeff": rough((40, 33)), "dtype": "float64"},
}
APART = ("nullspace", "cycle", "line", "dtype")


def both(name):
    """The operator, its hierarchy in Python, and that in C."""
    of_grid = {key: value for key, value in GRIDS[name].items() if key not in APART}
    given = {key: value for key, value in GRIDS[name].items() if key in APART}
    mine = Made(of_grid, **given)
    assert mine.status == 0, last_error()
    op = GridOperator(**{"obstacle": "neumann", **of_grid})
    in_python = {key: value for key, value in given.items() if key != "line"}
    M = multilevel(op, threads=1, smoother=f"line-{given['line']}" if "line" in given else "rb", **in_python)
    return op, M, mine


def right(op, seed=1):
    b = np.random.default_rng(seed).normal(size=op.size)
    return b if op.mask is None else np.where(op.mask.ravel(), b, 0.0)


@pytest.mark.parametrize("name", GRIDS)
def test_the_same_bits_as_python(name):
    op, M, mine = both(name)
    assert [s[: len(op.grid_shape)] for s in mine.shapes()] == M.shapes
    assert (size(mine.handle), components(mine.handle)) == (op.size, len(M.null))
    r = np.random.default_rng(5).normal(size=op.size)
    assert (mine @ r).tobytes() == np.asarray(M @ r, np.float64).tobytes()
    for b, x0 in ((right(op), None), (right(op, 2), right(op, 3)), (np.zeros(op.size), None)):
        nullspace, rtol = GRIDS[name].get("nullspace"), 1e-6 if "jumps" in name else 1e-9
        wanted = solve(op, b, x0=x0, M=M, method="multilevel-cg", nullspace=nullspace, rtol=rtol, threads=1)
        status, x, report = mine.solve(b, x0, rtol)
        assert (status, report.status, report.nit) == (wanted.status, wanted.status, wanted.nit)
        assert report.measure == wanted.measure
        assert x.tobytes() == wanted.x.tobytes()
        assert wanted.success


def any_grid(rng):
    """Arguments of a GridOperator, and of its hierarchy, that may make no sense together."""
    axes = int(rng.integers(1, 4))
    shape = tuple(int(n) for n in rng.integers(1, (60, 30, 12)[axes - 1], axes))
    ends = ["dirichlet", "neumann", "periodic", ("neumann", "dirichlet"), ("dirichlet", "neumann")]
    bc = [ends[int(k)] for k in rng.integers(5, size=axes)]
    wraps, seed = [axis for axis in range(axes) if bc[axis] == "periodic"], int(rng.integers(1000))
    holes = np.where(rng.uniform(size=shape) < 0.1, 0.0, 1.0)
    coeff = (1.0, rough(shape, seed), faces_of(shape, seed, wraps), holes)[int(rng.integers(4))]
    mass = (0.0, 1e-3, rng.uniform(size=shape) * (rng.uniform(size=shape) < 0.3))[int(rng.integers(3))]
    grid = {"shape": shape, "bc": bc, "coeff": coeff, "mass": mass, "spacing": tuple(rng.uniform(0.1, 3, axes))}
    grid |= {"unknowns": str(rng.choice(["nodes", "cells"])), "obstacle": str(rng.choice(["neumann", "dirichlet"]))}
    if rng.uniform() < 0.6:
        grid["mask"] = rng.uniform(size=shape) < rng.choice([0.0, 0.3, 0.8, 0.97])
    nullspace = [None, "constant", "components"][int(rng.integers(3))]
    return grid, {"nullspace": nullspace, "cycle": str(rng.choice(["V", "W"]))}


@pytest.mark.parametrize("seed", range(5))
def test_any_grid_is_solved_or_refused_as_in_python(seed):
    rng, solved = np.random.default_rng(700 + seed), 0
    for _ in range(10):
        grid, given = any_grid(rng)
        mine = Made(grid, **given)
        try:
            op = GridOperator(**grid)
            M = multilevel(op, threads=1, **given)
        except ValueError:
            assert mine.status == INVALID
            continue
        assert mine.status == 0, last_error()
        r, b = rng.normal(size=op.size), right(op)
        assert (mine @ r).tobytes() == np.asarray(M @ r, np.float64).tobytes()
        wanted = solve(
            op, b, M=M, method="multilevel-cg", nullspace=given["nullspace"], rtol=1e-6, max_iter=60, threads=1
        )
        status, x, report = mine.solve(b, rtol=1e-6, max_iter=60)
        assert (status, report.nit, report.measure) == (wanted.status, wanted.nit, wanted.measure)
        assert x.tobytes() == wanted.x.tobytes()
        solved += 1
    assert solved


def test_limits_as_in_python():
    op, M, mine = both("rough")
    b = right(op)
    for most in (0, 1, 4):
        wanted = solve(op, b, M=M, rtol=1e-9, max_iter=most, threads=1)
        status, x, report = mine.solve(b, rtol=1e-9, max_iter=most)
        assert (
            (status, report.nit, report.measure) == (wanted.status, most, wanted.measure) == (10, most, wanted.measure)
        )
        assert x.tobytes() == wanted.x.tobytes()
    status, x, report = mine.solve(b, time_limit=0.0)
    assert (status, report.nit) == (12, 0)
    # out of reach: the best that rounding allows, and the start where that is better
    for x0 in (None, wanted.x):
        wanted = solve(op, b, x0=x0, M=M, rtol=1e-30, threads=1)
        status, x, report = mine.solve(b, x0, 1e-30)
        assert (status, report.nit, report.measure) == (wanted.status, wanted.nit, wanted.measure)
        assert status == 13
        assert x.tobytes() == wanted.x.tobytes()


@pytest.mark.parametrize(("size", "words"), [(1e200, "too large"), (1e-170, "too small")])
def test_squares_beyond_a_double_are_refused(size, words):
    """Python counts in another unit there."""
    op, M, mine = both("rough")
    b = size * right(op)
    x = np.full(op.size, 7.0)
    assert solve_in_c(mine.handle, doubles(b), doubles(x), 1e-8, 0.0, None, None) == INVALID
    assert last_error().startswith("b[")
    assert words in last_error()
    assert (x == 7.0).all()
    assert solve(op, b, M=M, threads=1).success
    assert mine.solve(0 * b)[0] == 0


def test_callback():
    op, M, mine = both("smoke")
    seen, shown = [], []

    def watch(result):
        seen.append((result.nit, result.measure, result.x.copy()))
        return result.nit == 3

    def stop(_, progress):
        one = progress.contents
        shown.append((one.nit, one.measure, np.ctypeslib.as_array(one.x, (one.x_size,)).copy()))
        status, *_ = mine.solve(right(op))  # the handle is at work
        return 1 if one.nit == 3 or status != BUSY else 0

    wanted = solve(op, right(op), M=M, callback=watch, threads=1)
    status, x, report = mine.solve(right(op), callback=CALLBACK(stop))
    assert (status, report.nit, report.measure) == (2, 3, wanted.measure)
    assert x.tobytes() == wanted.x.tobytes()
    for mine_, theirs in zip(shown, seen, strict=True):
        assert mine_[:2] == theirs[:2]
        assert mine_[2].tobytes() == theirs[2].tobytes()


@pytest.mark.parametrize("name", ["uniform", "smoke", "rough-mask", "periodic-odd", "closed-3d"])
def test_threads_do_not_change_the_bits(name):
    op, _, mine = both(name)
    of_grid = {key: value for key, value in GRIDS[name].items() if key not in APART}
    given = {key: value for key, value in GRIDS[name].items() if key in APART}
    two = Made(of_grid, **given, threads=3)
    b = right(op)
    assert (two @ b).tobytes() == (mine @ b).tobytes()
    assert two.solve(b, threads=2)[1].tobytes() == mine.solve(b)[1].tobytes()


def test_update_equals_a_fresh_one():
    shape = (40, 33)
    grids = [
        {"shape": shape, "bc": OPEN},
        {"shape": shape, "mask": ball(shape), "bc": OPEN},
        {"shape": shape, "coeff": rough(shape)},
        {"shape": shape, "spacing": (1.0, 0.001)},
        {"shape": shape, "bc": ["periodic", "dirichlet"]},
    ]
    mine, b = Made(grids[0]), np.random.default_rng(6).normal(size=40 * 33)
    for grid in [*grids[1:], grids[0]]:
        description, kept = described(**grid)
        assert update(mine.handle, ctypes.byref(description)) == 0, last_error()
        del kept
        fresh = Made(grid)
        assert (mine @ b).tobytes() == (fresh @ b).tobytes()
        inside = b if "mask" not in grid else np.where(grid["mask"].ravel(), b, 0.0)
        assert mine.solve(inside)[1].tobytes() == fresh.solve(inside)[1].tobytes()
    before = mine @ b
    for wrong in ({"shape": (33, 40)}, {"shape": (40,)}, {"shape": shape, "bc": SHUT}, {"shape": shape, "mass": -0.1}):
        assert update(mine.handle, ctypes.byref(described(**wrong)[0])) == INVALID
        assert last_error().startswith("grid")
    assert (mine @ b).tobytes() == before.tobytes()


def test_z_may_be_r():
    op, M, mine = both("rough")
    r = right(op)
    wanted = np.asarray(M @ r, np.float64)
    assert apply(mine.handle, doubles(r), doubles(r)) == 0
    assert r.tobytes() == wanted.tobytes()


def broken(**changes):
    grid, kept = described((8, 9), coeff=changes.pop("coeff", 1.0), mass=changes.pop("mass", 0.0))
    for name, value in changes.items():
        setattr(grid, name, value)
    return grid, kept


NAN = float("nan")
BAD = np.ones((8, 9))
BAD[3, 4] = NAN
NEGATIVE = np.ones((8, 9))
NEGATIVE[0, 1] = -1.0


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"axes": 0}, INVALID, "grid->axes"),
        ({"axes": 4}, INVALID, "grid->axes"),
        ({"shape": (0, 9, 1)}, INVALID, "grid->shape[0]"),
        ({"shape": (2**40, 2**40, 1)}, NO_MEMORY, "grid->shape"),
        ({"shape": (2**64 - 1, 1, 1)}, NO_MEMORY, "grid->shape"),
        ({"spacing": (1.0, 0.0, 1.0)}, INVALID, "grid->spacing[1]"),
        ({"spacing": (NAN, 1.0, 1.0)}, INVALID, "grid->spacing[0]"),
        ({"unknowns": 2}, INVALID, "grid->unknowns"),
        ({"obstacle": 2}, INVALID, "grid->obstacle"),
        ({"coefficient": NAN}, INVALID, "grid->coefficient"),
        ({"coefficient": -1.0}, INVALID, "grid->coefficient"),
        ({"coefficient": 0.0}, INVALID, "grid->coefficient"),
        ({"mass": -1.0}, INVALID, "grid->mass"),
        ({"mass": NAN}, INVALID, "grid->mass"),
        ({"coeff": BAD}, INVALID, "grid->cells[31]"),
        ({"coeff": NEGATIVE}, INVALID, "grid->cells[1]"),
        ({"mass": BAD}, INVALID, "grid->masses[31]"),
        ({"mass": NEGATIVE}, INVALID, "grid->masses[1]"),
        ({"ends": ((ctypes.c_int * 2) * 3)((3, 0))}, INVALID, "grid->ends[0][0]"),
        ({"ends": ((ctypes.c_int * 2) * 3)((0, 2))}, INVALID, "grid->ends[0]"),
        ({"ends": ((ctypes.c_int * 2) * 3)((1, 1), (1, 1))}, INVALID, "grid"),
        ({"struct_size": 0}, STRUCT_SIZE, "grid->struct_size"),
        ({"struct_size": 4000}, STRUCT_SIZE, "grid->struct_size"),
    ],
)
def test_wrong_grids(changes, status, words):
    grid, _kept = broken(**changes)
    handle = HANDLE()
    assert create(handle, ctypes.byref(grid), None) == status
    assert last_error().startswith(words)
    assert not handle


def test_wrong_faces():
    faces = faces_of((8, 9))
    grid, _ = described((8, 9), coeff=faces)
    grid.faces[1] = DOUBLES()
    handle = HANDLE()
    assert create(handle, ctypes.byref(grid), None) == INVALID
    assert last_error().startswith("grid->faces[1] is NULL")
    faces[1][2, 3] = NAN
    grid, _ = described((8, 9), coeff=faces)
    assert create(handle, ctypes.byref(grid), None) == INVALID
    assert last_error().startswith("grid->faces[1][23]")
    grid, _kept = described((8, 9), coeff=faces_of((8, 9)), bc=["periodic", "dirichlet"])
    assert create(handle, ctypes.byref(grid), None) == INVALID
    assert "periodic" in last_error()
    grid.cells = grid.faces[0]
    assert create(handle, ctypes.byref(grid), None) == INVALID
    assert last_error().startswith("grid->cells and grid->faces")
    assert not handle


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"nullspace": 3}, "options->nullspace"), ({"cycle": 2}, "options->cycle"), ({"line": 2}, "options->line"),
        ({"line": -2}, "options->line"), ({"double_precision": 7}, "options->double_precision"),
    ],
)  # fmt: skip
def test_wrong_options(given, words):
    grid, _ = described((8, 9))
    options = Options(ctypes.sizeof(Options), 0, 0, -1, 0, 1)
    for name, value in given.items():
        setattr(options, name, value)
    handle = HANDLE()
    assert create(handle, ctypes.byref(grid), ctypes.byref(options)) == INVALID
    assert last_error().startswith(words)
    assert not handle


def test_what_is_singular_is_refused_by_name():
    of_grid = {key: value for key, value in GRIDS["rooms"].items() if key not in APART}
    for nullspace in (None, "constant"):
        assert Made(of_grid, nullspace).status == INVALID
        assert last_error().startswith("grid")
        assert "component" in last_error()
    periodic = {"shape": (8, 8), "bc": ["periodic", "dirichlet"]}
    assert Made(periodic, line=0).status == INVALID
    assert "periodic" in last_error()


def test_wrong_calls_change_nothing():
    op, _, mine = both("smoke")
    b, x = right(op), np.full(op.size, 7.0)
    nothing = DOUBLES()
    for status in (
        solve_in_c(None, doubles(b), doubles(x), 1e-8, 0.0, None, None),
        solve_in_c(mine.handle, nothing, doubles(x), 1e-8, 0.0, None, None),
        solve_in_c(mine.handle, doubles(b), nothing, 1e-8, 0.0, None, None),
        solve_in_c(mine.handle, doubles(b), doubles(x), NAN, 0.0, None, None),
        solve_in_c(mine.handle, doubles(b), doubles(x), 0.0, 0.0, None, None),
        solve_in_c(mine.handle, doubles(b), doubles(x), 1e-8, -1.0, None, None),
        apply(mine.handle, nothing, doubles(x)), apply(None, doubles(b), doubles(x)), update(None, None),
        update(mine.handle, None), create(None, None, None), create(HANDLE(), None, None),
        shape_of(mine.handle, 99, (ctypes.c_size_t * 3)()), shape_of(None, 0, None),
    ):  # fmt: skip
        assert status == INVALID
    for wrong, words in ((np.where(np.arange(op.size) == 4, NAN, b), "b[4]"), (b + 1, "b[")):
        assert solve_in_c(mine.handle, doubles(wrong), doubles(x), 1e-8, 0.0, None, None) == INVALID
        assert last_error().startswith(words)
    assert (x == 7.0).all()
    x[3] = NAN
    assert solve_in_c(mine.handle, doubles(b), doubles(x), 1e-8, 0.0, None, None) == INVALID
    assert last_error().startswith("x[3]")
    assert solve_in_c(mine.handle, doubles(b), doubles(np.zeros(op.size)), 1e-8, 0.0, None, None) == 0
    assert (size(None), levels(None), components(None)) == (0, 0, 0)


def test_threads_with_handles_of_their_own():
    op, _, _ = both("smoke")
    found, b = {}, right(op)

    def work(k):
        _, _, mine = both("smoke")
        found[k] = mine.solve(b)[1].tobytes(), (mine @ b).tobytes()

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found.values())) == 1
    assert len(found) == 4


def test_as_the_preconditioner_of_a_hosts_own_iteration():
    """Conjugate gradients that the host writes, with its own matrix and nothing of ours but M."""
    op, _, mine = both("smoke")
    A, b = op.to_csr(), right(op)
    x, r = np.zeros(op.size), b.copy()
    z = mine @ r
    p, old = z.copy(), r @ z
    steps = 0
    while np.linalg.norm(r) > 1e-8 * np.linalg.norm(b) and steps < 30:
        steps += 1
        q = A @ p
        alpha = old / (p @ q)
        x, r = x + alpha * p, r - alpha * q
        z = mine @ r
        new = r @ z
        p, old = z + new / old * p, new
    assert steps < 15
    assert np.linalg.norm(b - A @ x) <= 1.1e-8 * np.linalg.norm(b)
