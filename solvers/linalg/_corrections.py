"""Learned corrections of a multilevel hierarchy: a small net that looks at couplings, in the set-up alone.

The net says of every cell, axis and level by what factors shares of the interpolation, coarse couplings, coarse sinks
and the scale of rows should differ from the hand-made ones of `multilevel_setup.c`; the cycle and its theory stay as
they are. What is built in, whatever the weights:

1. All inputs are deviations from a uniform grid, and all layers pass deviations on: where the neighbourhood is uniform,
   and where the weights of the heads are zero, the hand-made hierarchy comes out to the bit.
2. Away from sinks constants are interpolated exactly: rows are normalised after their shares have changed, and the
   scale of a row changes in proportion to its sink.
3. Couplings and sinks change by positive factors that are the same seen from either side, so every level stays an
   M-matrix, and the cycle symmetric positive definite.
4. A flip or an exchange of axes goes through: a cell sees its neighbours as "out" (across the interface of its block)
   and "in" (inside it), and the kernels of all axes are one, with the mean over the axes beside. So the same weights
   serve two and three dimensions.

Arrays are (batch, *grid) with channels last; couplings are those with the cell before along an axis. The functions take
NumPy's arrays and, for the training, torch's: `xp` is the module.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _kernels

Array = npt.NDArray[Any]

#: The version of the files; 1 is the first.
FORMAT = 1
ARCHITECTURE = "multilevel"
HIDDEN = 8
#: Of a cell along an axis: couplings out and in over the mean of the diagonal's. Of a cell: its sink over the diagonal,
#: how its diagonal compares with those around, whether it takes part. Here for a place outside of the grid.
OUTSIDE = (-1.0, -1.0, 0.0, 0.0, -1.0)
#: The inputs of the first layer: own, mean over the axes, of the cell; of the cell's neighbour out and in.
FEATURES = ("own out/in", "mean out/in", "sink/diagonal", "contrast", "part", "neighbour out: 5", "neighbour in: 5")
INPUTS = 17
#: Less of a deviation is rounding.
DEAD = 1e-4

#: Name -> shape of the parameters.
SHAPES = {
    "first": (INPUTS, HIDDEN), "first_shift": (HIDDEN,), "second": (4 * HIDDEN, HIDDEN), "second_shift": (HIDDEN,),
    "share": (HIDDEN,), "scale": (HIDDEN,), "link": (2 * HIDDEN,), "sinks": (HIDDEN, 2),
}  # fmt: skip

#: How far each head may go: of a logit, or of a logarithm.
MOST_SHARE, MOST_SCALE, MOST_LINK, MOST_SINK = 2.0, 1.0, 0.7, 1.0


@dataclass(frozen=True, eq=False)
class Corrections:
    """The parameters of the net; see SHAPES.

    Parameters
    ----------
    parameters : mapping of str to ndarray
    training : mapping
        What the net was trained with.
    """

    parameters: Mapping[str, Array]
    training: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, shape in SHAPES.items():
            values = self.parameters[name]
            if values.shape != shape:
                raise ValueError(f"{name} must have shape {shape}, not {values.shape}")
            if not np.isfinite(values).all():
                raise ValueError(f"{name} contains NaN or infinity")

    @classmethod
    def random(cls, seed: int, heads: float = 0.0) -> Corrections:
        """Random layers; `heads` is the size of the heads' weights: with 0 they change nothing."""
        rng = np.random.default_rng(seed)
        made: dict[str, Array] = {}
        for name, shape in SHAPES.items():
            if name in ("first", "second"):
                made[name] = rng.normal(size=shape) * (2 / shape[0]) ** 0.5
            elif name.endswith("shift"):
                made[name] = rng.uniform(0, 0.5, shape)
            else:
                made[name] = heads * rng.normal(size=shape)
        return cls(made)

    @property
    def fingerprint(self) -> str:
        """The hash of the training's configuration."""
        text = json.dumps(dict(self.training), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a file that `load` reads."""
        arrays: dict[str, Any] = {name: values.astype(np.float32) for name, values in self.parameters.items()}
        np.savez_compressed(
            path, format=FORMAT, architecture=ARCHITECTURE, features=json.dumps(FEATURES), fingerprint=self.fingerprint,
            training=json.dumps(dict(self.training)), **arrays,
        )  # fmt: skip

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Corrections:
        """Read what `save` wrote; ValueError where the file is of another kind or version, or damaged."""
        try:
            with np.load(path, allow_pickle=False) as file:
                held = {name: file[name] for name in file.files}
        except (OSError, ValueError, EOFError) as error:
            if isinstance(error, FileNotFoundError):
                raise
            raise ValueError(f"{path} is no file of weights: {error}") from error
        if held.get("architecture", "") != ARCHITECTURE or "format" not in held:
            raise ValueError(f"{path} is no file of weights of the architecture {ARCHITECTURE!r}")
        if int(held["format"]) != FORMAT:
            raise ValueError(f"{path} has format {int(held['format'])}; this version of the package reads {FORMAT}")
        missing = sorted({"features", "training", "fingerprint", *SHAPES} - set(held))
        if missing:
            raise ValueError(f"{path} lacks {', '.join(missing)}")
        if json.loads(str(held["features"])) != list(FEATURES):
            raise ValueError(f"{path} is for other features than {', '.join(FEATURES)}")
        made = cls({name: held[name].astype(np.float64) for name in SHAPES}, json.loads(str(held["training"])))
        if made.fingerprint != str(held["fingerprint"]):
            raise ValueError(f"{path} is damaged: the hash of its training's configuration does not fit")
        return made

    def __call__(self, kernel: _kernels.Multilevel, level: int) -> Array | None:
        """Correct what `level` + 1 was made to be; returns the factor for the scale of the rows of `level`."""
        n, halved, periodic = kernel.layout(level)
        axes = [axis for axis in (2, 1, 0) if n[axis] > 1]  # as (z, y, x)
        if not axes or not all(halved[axis] for axis in axes):
            return None
        grid, coarse = tuple(n[axis] for axis in axes), tuple((n[axis] + 1) // 2 for axis in axes)

        def fine(name: str, axis: int | None = None) -> Array:
            return kernel.field(name, level, axis).reshape(1, *grid)

        couplings = [fine("face", axis) for axis in axes]
        sink, active = fine("wall") + fine("mass"), fine("inverse") > 0
        wraps = [bool(periodic[axis]) for axis in axes]
        cells = Cells.of(np, couplings, sink, active, wraps)
        heads = Heads.of(np, {name: np.asarray(v) for name, v in self.parameters.items()}, cells)
        for place, axis in enumerate(axes):
            shares = fine("share", axis)
            kernel.set_field("share", level, moved_share(np, shares, heads.share[place]), axis)
            links = kernel.field("face", level + 1, axis).reshape(1, *coarse)
            kernel.set_field("face", level + 1, links * np.exp(heads.link[place]), axis)
        for place, name in enumerate(("wall", "mass")):
            sinks = kernel.field(name, level + 1).reshape(1, *coarse)
            kernel.set_field(name, level + 1, sinks * np.exp(heads.sinks[..., place]))
        kernel.invert(level + 1)
        factor: Array = np.exp(heads.scale).reshape(kernel.field("scale", level).shape)
        return factor


def moved_share(xp: Any, share: Any, logit: Any) -> Any:
    """The share with its logit moved; the same share, to the bit, where that is 0."""
    grown = xp.expm1(logit)
    return share + share * (1 - share) * grown / (1 + share * grown)


# ---- places ------------------------------------------------------------------------------------


def shifted(xp: Any, x: Any, axis: int, step: int, wrap: bool, outside: Any = 0.0) -> Any:
    """What stands at the cell before (step -1) or after (+1) along an axis; `outside` where there is none."""
    ahead = (slice(None),) * axis
    first, last = x[(*ahead, slice(0, 1))], x[(*ahead, slice(-1, None))]
    if not wrap:
        first = last = xp.zeros_like(first) + outside
    if step < 0:
        return xp.concatenate([last, x[(*ahead, slice(None, -1))]], axis)
    return xp.concatenate([x[(*ahead, slice(1, None))], first], axis)


def _left(x: Any, axis: int, ndim: int) -> Array:
    """Whether a cell is the first of its block along an axis, in a shape that goes with arrays of ndim axes."""
    n = x.shape[axis]
    return (np.arange(n) % 2 == 0).reshape([n if k == axis else 1 for k in range(ndim)])


def out_and_in(xp: Any, x: Any, axis: int, wrap: bool, outside: Any = 0.0) -> tuple[Any, Any]:
    """What stands across the interface of the cell's block, and at the other cell of the block."""
    left = _left(x, axis, x.ndim)
    if xp is not np:
        left = xp.from_numpy(left)
    before, after = (shifted(xp, x, axis, step, wrap, outside) for step in (-1, 1))
    return xp.where(left, before, after), xp.where(left, after, before)


def pooled(xp: Any, x: Any, axis: int) -> tuple[Any, Any]:
    """The first and the second cells of the blocks along an axis; zeros where a block has no second."""
    ahead = (slice(None),) * axis
    first, second = x[(*ahead, slice(0, None, 2))], x[(*ahead, slice(1, None, 2))]
    if second.shape[axis] < first.shape[axis]:
        second = xp.concatenate([second, xp.zeros_like(first[(*ahead, slice(-1, None))])], axis)
    return first, second


# ---- what the net sees, and says ---------------------------------------------------------------


@dataclass
class Cells:
    """Of each cell (batch, *grid, features): along each axis, and whatever the axis; and for the scale of its row the
    part s / (s + c / 2) of its sink s, c the mean of its couplings."""

    along: list[Any]
    own: Any
    sink_part: Any
    wraps: Sequence[bool]

    @classmethod
    def of(cls, xp: Any, couplings: Sequence[Any], sink: Any, active: Any, wraps: Sequence[bool]) -> Cells:
        axes = len(couplings)
        before = list(couplings)
        after = [shifted(xp, c, 1 + a, 1, wraps[a]) for a, c in enumerate(couplings)]
        total, count = sum(before) + sum(after), sum((c > 0) * 1.0 for c in before + after)
        diagonal = xp.where(active, total + sink, xp.ones_like(total))
        part, inverse = active * 1.0, xp.where(active, 1 / diagonal, xp.zeros_like(total))
        around, there = active * diagonal, active * 1.0
        for a in range(axes):
            for step in (-1, 1):
                around = around + shifted(xp, active * diagonal, 1 + a, step, wraps[a])
                there = there + shifted(xp, part, 1 + a, step, wraps[a])
        square = (diagonal * there / xp.where(active, around, xp.ones_like(total))) ** 2
        contrast = xp.where(active, (square - 1) / (square + 1), xp.zeros_like(total))
        along = []
        for a in range(axes):
            left = _left(total, 1 + a, total.ndim)
            left = left if xp is np else xp.from_numpy(left)
            outer, inner = xp.where(left, before[a], after[a]), xp.where(left, after[a], before[a])
            along.append(_without_rounding(xp, xp.stack([2 * axes * inverse * c - 1 for c in (outer, inner)], -1)))
        own = _without_rounding(xp, xp.stack([sink * inverse, contrast, part - 1], -1))
        mean = total / xp.where(count > 0, count, xp.ones_like(total))
        bottom = sink + 0.5 * mean
        sink_part = xp.where(bottom > 0, sink / xp.where(bottom > 0, bottom, xp.ones_like(total)), 0 * sink)
        return cls(along, own, sink_part, wraps)


def _without_rounding(xp: Any, x: Any) -> Any:
    return xp.where(abs(x) < DEAD, xp.zeros_like(x), x)


@dataclass
class Heads:
    """Shifts: of the shares' logits and of the coarse couplings' logarithms along each axis, of the logarithms of the
    rows' scale and of the coarse sinks (of walls, and of reaction)."""

    share: list[Any]
    link: list[Any]
    scale: Any
    sinks: Any

    @classmethod
    def of(cls, xp: Any, parameters: Mapping[str, Any], cells: Cells) -> Heads:
        axes, wraps = len(cells.along), cells.wraps
        outside = np.array(OUTSIDE)
        outside = outside if xp is np else xp.from_numpy(outside)
        mean = sum(cells.along) / axes
        seen = []
        for a, along in enumerate(cells.along):
            beside = out_and_in(xp, xp.concatenate([along, cells.own], -1), 1 + a, wraps[a], outside)
            seen.append(xp.concatenate([along, mean, cells.own, *beside], -1))
        hidden = [_layer(parameters["first"], parameters["first_shift"], x) for x in seen]
        mean = sum(hidden) / axes
        wide = [
            xp.concatenate([h, mean, *out_and_in(xp, h, 1 + a, wraps[a])], -1) for a, h in enumerate(hidden)
        ]  # fmt: skip
        last = [_layer(parameters["second"], parameters["second_shift"], x) for x in wide]
        of_block = sum(last) / axes
        for a in range(axes):
            of_block = sum(pooled(xp, of_block, 1 + a)) / 2
        links = []
        for a, z in enumerate(last):
            for other in range(axes):
                if other != a:
                    z = sum(pooled(xp, z, 1 + other)) / 2
            first, second = pooled(xp, z, 1 + a)
            block = (first + second) / 2
            near = (first + shifted(xp, second, 1 + a, -1, wraps[a])) / 2
            far = (block + shifted(xp, block, 1 + a, -1, wraps[a])) / 2
            links.append(MOST_LINK * xp.tanh(xp.concatenate([far, near], -1) @ parameters["link"]))
        return cls(
            share=[MOST_SHARE * xp.tanh(z @ parameters["share"]) for z in last],
            link=links,
            scale=MOST_SCALE * xp.tanh(sum(last) / axes @ parameters["scale"]) * cells.sink_part,
            sinks=MOST_SINK * xp.tanh(of_block @ parameters["sinks"]),
        )


def _layer(weight: Any, shift: Any, x: Any) -> Any:
    """relu(x W + b) - relu(b): 0, to the bit, where x is."""
    return (x @ weight + shift).clip(0) - shift.clip(0)
