from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]

# Matrix games.

def project_simplex(v: Array, mass: float, out: Array, guess: float = ...) -> float: ...

# Linear programs.

class LinearProgramSteps:
    def __init__(
        self, starts: Array, index: Array, value: Array, c: Array, l: Array, u: Array, lb: Array, ub: Array
    ) -> None: ...
    def run(
        self,
        x: Array,
        y: Array,
        kty: Array,
        anchor_x: Array,
        anchor_y: Array,
        tau: float,
        sigma: float,
        after: int,
        count: int,
        tx: Array,
        ty: Array,
        dx: Array,
        dy: Array,
    ) -> None: ...
    def product(self, x: Array, out: Array) -> None: ...
    def transposed(self, y: Array, out: Array) -> None: ...

def elimination(starts: Array, index: Array, most: float) -> tuple[Array, float]: ...
