"""Learned corrections of a multilevel hierarchy: a small net that looks at couplings, in the set-up alone.

The net says of every cell, axis and level by what factors shares of the interpolation, coarse couplings, coarse sinks
and the scale of rows should differ from the hand-made ones of `multilevel_coarsen.c`; the cycle and its theory stay as
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

Here are the parameters and their files. The net itself is in `multilevel_net.c`, and for the training in
`_training_corrections.py`, which reads more easily.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _weights_file

Array = npt.NDArray[Any]

#: The weights that are shipped.
SHIPPED = Path(__file__).parent / "weights" / "multilevel.npz"

#: The version of the files; 1 is the first.
FORMAT = 1
ARCHITECTURE = "multilevel"
HIDDEN = 8
#: Three layers of larger parameters might overflow.
LARGEST = 1e10
#: The inputs of the first layer: own, mean over the axes, of the cell; of the cell's neighbour out and in.
FEATURES = ("own out/in", "mean out/in", "sink/diagonal", "contrast", "part", "neighbour out: 5", "neighbour in: 5")
INPUTS = 17
#: Name -> shape of the parameters.
SHAPES = {
    "first": (INPUTS, HIDDEN), "first_shift": (HIDDEN,), "second": (4 * HIDDEN, HIDDEN), "second_shift": (HIDDEN,),
    "share": (HIDDEN,), "scale": (HIDDEN,), "link": (2 * HIDDEN,), "sinks": (HIDDEN, 2),
}  # fmt: skip


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
            if values.dtype.kind not in "fiu":
                raise TypeError(f"{name} must be real numbers, not {values.dtype}")
            if not (abs(values) <= LARGEST).all():
                raise ValueError(f"{name} contains NaN, or more than {LARGEST:g}")

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
        held = _weights_file.read(path, ARCHITECTURE, FORMAT, ("features", *SHAPES))
        if json.loads(str(held["features"])) != list(FEATURES):
            raise ValueError(f"{path} is for other features than {', '.join(FEATURES)}")
        made = cls({name: held[name].astype(np.float64) for name in SHAPES}, json.loads(str(held["training"])))
        if made.fingerprint != str(held["fingerprint"]):
            raise ValueError(f"{path} is damaged: the hash of its training's configuration does not fit")
        return made

    @cached_property
    def flat(self) -> Array:
        """All parameters in one array, in the order of SHAPES, as the compiled set-up takes them."""
        return np.concatenate([np.asarray(self.parameters[name], np.float64).ravel() for name in SHAPES])


@cache
def shipped() -> Corrections:
    """The weights that come with the package."""
    return Corrections.load(SHIPPED)
