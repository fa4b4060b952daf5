"""The learned direction of `dcdm`: its weights as a file, and its compiled evaluation. Needs no torch."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse.linalg import LinearOperator

from .._base import threads as _threads
from .._base.validate import check_finite, real_array
from . import _kernels, _weights_file
from ._grid import _checked_ends, _checked_shape

Array = npt.NDArray[Any]

#: The version of the files; 1 is the first.
FORMAT = 1
ARCHITECTURE = "dcdm"
CHANNELS = 16
#: Pairs of convolutions before the pooling, at half the resolution, and after.
BLOCKS = (2, 3, 2)

#: From the three weights of a kernel along an axis to the six of Winograd's minimal filtering for four outputs, at the
#: points 0, +-A, +-B and infinity: see conv_tiles.c.
A, B = 0.625, 1.5
FILTER = np.array([
    [1 / (A * A * B * B), 0, 0],
    *(np.array([1, p, p * p]) / (2 * p * p * (p * p - q * q)) for p, q in ((A, B), (-A, B), (B, A), (-B, A))),
    [0, 0, 1],
])  # fmt: skip

#: Shorter residuals, and longer than its inverse, have squares that float64 cannot hold.
TINY = 2.0**-450

#: The largest number in float32.
LARGEST = float(np.finfo(np.float32).max)

#: What the convolutions see beyond an end (enum sv_end).
BEYOND = {"dirichlet": 0, "neumann": 1, "periodic": 2}

#: The nets that are shipped.
SHIPPED = Path(__file__).parent / "weights"


@dataclass(frozen=True, eq=False)
class Weights:
    """The parameters of a net, as torch lays them out: (out, in, kernel).

    Parameters
    ----------
    dim : {2, 3}
        Dimensions of the grids it serves.
    first : ndarray, shape (16, 1, 3, 3[, 3])
    middle : ndarray, shape (14, 16, 16, 3, 3[, 3])
        The convolutions in their order.
    biases : ndarray, shape (15, 16)
        Of `first` and of `middle`.
    last : ndarray, shape (16,)
        The weighted sum at the end, and `shift`, its constant.
    training : mapping
        What the net was trained with.
    """

    dim: int
    first: Array
    middle: Array
    biases: Array
    last: Array
    shift: float
    training: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        kernel, count = (3,) * self.dim, 2 * sum(BLOCKS)
        wanted = {
            "first": (CHANNELS, 1, *kernel), "middle": (count, CHANNELS, CHANNELS, *kernel),
            "biases": (1 + count, CHANNELS), "last": (CHANNELS,),
        }  # fmt: skip
        for name, shape in {**wanted, "shift": ()}.items():
            values = np.asarray(getattr(self, name))
            if values.shape != shape:
                raise ValueError(f"{name} of a net in {self.dim} dimensions has shape {shape}, not {values.shape}")
            if values.dtype.kind not in "fiu":
                raise TypeError(f"{name} must be real numbers, not {values.dtype}")
            if not (abs(values) <= LARGEST).all():
                raise ValueError(f"{name} contains NaN, or what float32 cannot hold")

    def __getstate__(self) -> dict[str, Any]:
        """Without what is compiled, which is made anew."""
        return {name: value for name, value in self.__dict__.items() if name != "kernel"}

    @property
    def fingerprint(self) -> str:
        """The hash of the training's configuration."""
        text = json.dumps(dict(self.training), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a file that `load` reads: kernels in bfloat16, the rest in float32.

        With more digits of the kernels the solver takes as many iterations.
        """
        np.savez_compressed(
            path, format=FORMAT, architecture=ARCHITECTURE, dim=self.dim, training=json.dumps(dict(self.training)),
            fingerprint=self.fingerprint, first=self.first.astype(np.float32), middle=_to_bytes(self.middle),
            biases=self.biases.astype(np.float32), last=self.last.astype(np.float32), shift=np.float32(self.shift),
        )  # fmt: skip

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Weights:
        """Read what `save` wrote; ValueError where the file is of another format or damaged."""
        held = _weights_file.read(path, ARCHITECTURE, FORMAT, ("dim", "first", "middle", "biases", "last", "shift"))
        held["middle"] = _from_bytes(held["middle"])
        arrays = {name: held[name].astype(np.float32) for name in ("first", "middle", "biases", "last")}
        if int(held["dim"]) not in (2, 3):
            raise ValueError(f"{path} is for {int(held['dim'])} dimensions; there are nets for 2 and 3")
        weights = cls(
            dim=int(held["dim"]), shift=float(held["shift"]), training=json.loads(str(held["training"])), **arrays
        )
        if weights.fingerprint != str(held["fingerprint"]):
            raise ValueError(f"{path} is damaged: the hash of its training's configuration does not fit")
        return weights

    @cached_property
    def kernel(self) -> _kernels.Net:
        """The net as the compiled core takes it: kernels by tap or point, in, out."""
        first: Array = self.first.reshape(CHANNELS, -1).T
        points: Array = self.middle.astype(np.float64)
        for _ in range(self.dim):  # the axis that is transformed comes last, and all have their turn
            points = np.moveaxis(points, 3, -1) @ FILTER.T
        if self.dim == 3:  # z goes fastest
            points = np.moveaxis(points, 3, -1)
        middle: Array = points.reshape(len(self.middle), CHANNELS, CHANNELS, -1).transpose(0, 3, 2, 1)
        given = (first, middle, self.biases, self.last)
        first, middle, biases, last = (np.ascontiguousarray(values, dtype=np.float32) for values in given)
        return _kernels.Net(self.dim, BLOCKS, first, middle, biases, last, self.shift)


def _to_bytes(numbers: Array) -> Array:
    """Numbers in bfloat16, to nearest, their low bytes before all high ones: these repeat, and so can be compressed."""
    bits = np.ascontiguousarray(numbers, np.float32).view(np.uint32)
    upper = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return np.stack([upper & 0xFF, upper >> 8]).astype(np.uint8)


def _from_bytes(parts: Array) -> Array:
    """The same back; no numbers where these are no such bytes."""
    if parts.dtype != np.uint8 or parts.shape[:1] != (2,):
        return np.empty(0)
    low, high = parts.astype(np.uint32)
    numbers: Array = (low << 16 | high << 24).view(np.float32)
    return numbers


@cache
def shipped(dim: int) -> Weights:
    """The weights that come with the package."""
    return Weights.load(SHIPPED / f"dcdm_{dim}d.npz")


class LearnedDirection(LinearOperator):  # type: ignore[misc]
    """The learned direction of the method "dcdm": a convolutional net that sees the residual alone.

    ``direction(r)`` approximates the solution of ``A d = r`` up to a factor. It is not linear, and serves `dcdm` only,
    as ``M=``; the class is SciPy's for the sake of its shape and calls.

    Parameters
    ----------
    shape : sequence of 2 or 3 ints
        The grid's shape; vectors are flat in C order.
    weights : path or Weights, optional
        A file that ``python -m solvers.linalg.train`` wrote, or what it holds; the shipped net where not given.
    bc : str or sequence, default "dirichlet"
        The grid's ends, as `GridOperator` takes them: zeros lie beyond one with a value, the last cells again beyond a
        wall, the cells of the other end beyond a periodic one.
    threads : int, optional
        Threads of an evaluation; the bits do not depend on it.

    Raises
    ------
    ValueError
        A shape that is not of two or three dimensions, a file of another dimension or version.

    Notes
    -----
    An evaluation takes 22,000 multiply-adds a cell in 2-D and 61,000 in 3-D, in float32: hundreds of times those of a
    product with A. It keeps two maps of 16 channels, and two of half the resolution: 160 and 144 bytes a cell.

    References
    ----------
    Kaneda, Akar, Chen, Kala, Hyde and Teran (2023), A deep conjugate direction method for iteratively solving linear
    systems, arXiv 2205.10763.

    Examples
    --------
    >>> import numpy as np, solvers
    >>> grid = solvers.linalg.GridOperator((24, 31))
    >>> direction = solvers.linalg.LearnedDirection((24, 31))
    >>> A = grid.to_csr()  # a matrix knows no grid: the direction does
    >>> solvers.linalg.solve(A, np.ones(744), method="dcdm", M=direction, rtol=1e-4).success
    True
    """

    def __init__(
        self,
        shape: Any,
        weights: Weights | str | os.PathLike[str] | None = None,
        *,
        bc: Any = "dirichlet",
        threads: int | None = None,
    ) -> None:
        grid = _checked_shape(shape)
        if len(grid) == 1:
            raise ValueError(f"shape must be 2 or 3 integers >= 1, not {shape!r}")
        if weights is None:
            weights = shipped(len(grid))
        elif not isinstance(weights, Weights):
            weights = Weights.load(weights)
        if weights.dim != len(grid):
            raise ValueError(f"these weights are for grids of {weights.dim} dimensions, not for shape {grid}")
        self.grid_shape, self.weights, self.threads = grid, weights, threads
        self.bc = _checked_ends(bc, len(grid))
        self._ends = [[BEYOND[kind] for kind in pair] for pair in self.bc]
        self._net = weights.kernel
        #: Workspaces that no call is using: calls from several threads have one each.
        self._free: list[Array] = []
        size = math.prod(grid)
        super().__init__(np.dtype(np.float64), (size, size))

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles share no workspace."""
        return _direction, (self.grid_shape, self.weights, self.bc, self.threads)

    def _matvec(self, r: Array) -> Array:
        r = np.ascontiguousarray(real_array(r, "r")).ravel()
        check_finite(r, "r")
        length, out = _kernels.norm(r), np.zeros(len(r))  # BLAS would leave a thread that spins
        if not TINY < length < 1 / TINY:
            largest = float(abs(r).max())
            if largest == 0:
                return out
            r = np.ldexp(r, -math.frexp(largest)[1])
            length = _kernels.norm(r)
        try:
            work = self._free.pop()
        except IndexError:
            work = self._net.work(self.grid_shape)
        scale = math.sqrt(len(r)) / length
        self._net.apply(self.grid_shape, self._ends, r, scale, out, work, _threads.resolve(self.threads))
        self._free.append(work)
        return out


def _direction(shape: Any, weights: Weights, bc: Any, threads: int | None) -> LearnedDirection:
    return LearnedDirection(shape, weights, bc=bc, threads=threads)
