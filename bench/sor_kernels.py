"""Our sweeps, products and triangular solves on stencils, in compressed rows and without a matrix."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from solvers import linalg

from . import linear_problems
from .sor_peers import OMEGA

Array = npt.NDArray[Any]

NATURAL, WAVEFRONT = "ours CSR natural", "ours CSR wavefront"
MULTICOLOR, BLOCKS = "ours CSR multicolor", "ours CSR blocks"
LEXICOGRAPHIC, RED_BLACK, TILED = (
    "ours stencil lexicographic",
    "ours stencil red-black",
    "ours stencil red-black, tiled",
)
PACKING = f"{TILED}, packing included"

#: Ours on compressed rows -> the plan's ordering, and the order of the points that this is on a stencil.
ORDERINGS = {
    NATURAL: ("natural", "natural"), WAVEFRONT: ("wavefront", "natural"), MULTICOLOR: ("multicolor", "red-black"),
    BLOCKS: ("blocks", "blocks"),
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One matrix."""

    shape: linear_problems.Shape
    variable: bool
    dtype: str

    @property
    def name(self) -> str:
        return f"{shape_name(self.shape)} {self.coefficients} {self.dtype}"

    @property
    def coefficients(self) -> str:
        return "variable" if self.variable else "constant"

    @property
    def rows(self) -> int:
        return int(np.prod(self.shape))


def shape_name(shape: linear_problems.Shape) -> str:
    return f"{2 * len(shape) + 1}-point {shape[0]}^{len(shape)}"


@dataclass(frozen=True)
class Data:
    """A case, made."""

    case: Case
    faces: list[Array]
    A: scipy.sparse.csr_array
    #: The points in red-black order, and the matrix in that order.
    order: Array
    reordered: scipy.sparse.csr_array
    b: Array
    x: Array


@dataclass(frozen=True)
class Kernel:
    """One of ours: `run` does some sweeps on some threads, `reset` begins again, `iterate` gives the user's vector."""

    run: Callable[[int, int], Any]
    #: The order in which the points are relaxed ("natural", "red-black", "blocks"), or "triangle" of what is no sweep.
    order: str
    #: Bytes a row and sweep that must come from memory or go there, by the model of the kernel.
    bytes: float
    reset: Callable[[], None] = lambda: None
    iterate: Callable[[], Array] | None = None
    #: How far its iterate may be from pyamg's in float64 after COMPARED sweeps.
    tolerance: float = 1e-12


def cases(shape: linear_problems.Shape) -> list[Case]:
    return [Case(shape, variable, dtype) for variable in (False, True) for dtype in ("float64", "float32")]


def make(shape: linear_problems.Shape, plain: bool = False) -> Iterator[Data]:
    """The four cases of a size, one after another, or the plain one alone: constant, in float64.

    b and x are normal, from default_rng(1).
    """
    rng = np.random.default_rng(1)
    b, x = rng.standard_normal((2, int(np.prod(shape))))
    order = linear_problems.red_black(shape)
    for variable in (False,) if plain else (False, True):
        faces = linear_problems.variable_faces(shape) if variable else linear_problems.constant_faces(shape)
        wide = linear_problems.stencil_matrix(faces)
        reordered = scipy.sparse.csr_array(wide[order][:, order])
        reordered.sort_indices()
        for dtype in ("float64",) if plain else ("float64", "float32"):
            case = Case(shape, variable, dtype)
            yield Data(case, faces, _as(wide, dtype), order, _as(reordered, dtype), b, x)


def in_blocks(A: scipy.sparse.csr_array) -> tuple[Array, scipy.sparse.csr_array]:
    """The points in the order of the plan's blocks, and the matrix in that order."""
    operand = linalg.plan(A).operand("blocks")
    order = np.argsort(operand.unpack(np.arange(operand.size, dtype=np.float64)))
    reordered = scipy.sparse.csr_array(A[order][:, order])
    reordered.sort_indices()
    return order, reordered


def _as(matrix: scipy.sparse.csr_array, dtype: str) -> scipy.sparse.csr_array:
    return matrix if matrix.dtype == dtype else matrix.astype(dtype)


# ---- the kernels ------------------------------------------------------------------------------------------


def kernels(data: Data) -> dict[str, Kernel]:
    """All that can be had for a case."""
    return _on_matrix(data) | _on_grid(data)


def _on_matrix(data: Data) -> dict[str, Kernel]:
    plan = linalg.plan(data.A)
    value = np.dtype(data.case.dtype).itemsize
    model = (value + data.A.indices.itemsize) * data.A.nnz / data.case.rows + 4 + 32
    found: dict[str, Kernel] = {}
    for name, (ordering, order) in ORDERINGS.items():
        operand = plan.operand(ordering)
        found[name] = _one_by_one(operand, data, order, model)
        if order == "natural":
            found[f"{name}, triangular solve"] = _triangular(operand, data, model / 2)
    return found


def _on_grid(data: Data) -> dict[str, Kernel]:
    grid = linalg.GridOperator(data.case.shape, tuple(data.faces) if data.case.variable else 1.0)
    dtype = np.dtype(data.case.dtype)
    # x read and written, b; the faces of each axis and the inverse of the diagonal where they vary
    model = float(dtype.itemsize * (3 + (len(data.case.shape) + 1 if data.case.variable else 0)))
    operand = grid.operand("redblack", dtype=dtype)
    found = {RED_BLACK: _together(operand, data, model, 1), TILED: _together(operand, data, model, 0)}
    b, x = data.b.astype(dtype), data.x.astype(dtype)
    found[PACKING] = Kernel(
        lambda count, threads: grid.sweep(x, b, omega=OMEGA, sweeps=count, threads=threads), "red-black", model,
        lambda: np.copyto(x, data.x, casting="same_kind"), lambda: x, found[TILED].tolerance,
    )  # fmt: skip
    if dtype == np.float64:
        found[LEXICOGRAPHIC] = _one_by_one(grid.operand("natural"), data, "natural", model)
    return found


def _one_by_one(operand: Any, data: Data, order: str, model: float) -> Kernel:
    b, x = operand.pack(data.b), operand.pack(data.x)
    start = x.copy()

    def run(count: int, threads: int) -> None:
        operand.threads = threads
        for _ in range(count):
            operand.sweep(OMEGA, False, b, x)

    return Kernel(run, order, model, lambda: np.copyto(x, start), lambda: operand.unpack(x))


def _together(operand: Any, data: Data, model: float, depth: int) -> Kernel:
    """Red-black sweeps, `depth` a pass over memory (0: as many as pay)."""
    b, x = operand.pack(data.b), operand.pack(data.x)
    start = x.copy()
    return Kernel(
        lambda count, threads: operand.sweeps(OMEGA, False, b, x, count, depth, threads), "red-black", model,
        lambda: np.copyto(x, start), lambda: operand.unpack(x), 1e-12 if x.dtype == np.float64 else 1e-5,
    )  # fmt: skip


def _triangular(operand: Any, data: Data, model: float) -> Kernel:
    b = operand.pack(data.b)
    out = np.zeros_like(b)

    def run(count: int, threads: int) -> None:
        operand.threads = threads
        for _ in range(count):
            operand.triangular_solve(1.0, False, b, out)

    return Kernel(run, "triangle", model)
