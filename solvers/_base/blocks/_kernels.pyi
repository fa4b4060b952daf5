from typing import Any

import numpy as np
import numpy.typing as npt

class Rows:
    def __init__(self, matrix: Any) -> None: ...
    def classes(self, order: npt.NDArray[np.int32], forests: bool) -> tuple[npt.NDArray[np.int32], int]: ...
    def add_columns(
        self, block: npt.NDArray[np.int64], s: npt.NDArray[np.float64], g: npt.NDArray[np.float64]
    ) -> None: ...
    def block(self, block: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]: ...

def block_sweeps(
    H: npt.NDArray[np.float64],
    l1: npt.NDArray[np.float64],
    lower: npt.NDArray[np.float64],
    upper: npt.NDArray[np.float64],
    sweeps: int,
    u: npt.NDArray[np.float64],
    g: npt.NDArray[np.float64],
) -> float: ...

class Forests:
    nodes: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int32]
    def __init__(self, matrix: Rows, class_of: npt.NDArray[np.int32], classes: int) -> None: ...
    def solve(self, b: int, y: npt.NDArray[np.float64]) -> None: ...

class Schur:
    single: bool
    first: int
    def __init__(self, matrix: Rows, class_of: npt.NDArray[np.int32], single: bool) -> None: ...
    #: Entries of the vectors.
    carried: int
    def begin(self, residual: npt.NDArray[np.float64], vectors: npt.NDArray[Any], unit: float) -> None: ...
    def iterate(
        self, vectors: npt.NDArray[Any], unit: float, rho: float, goal: float, most: int
    ) -> tuple[int, float, float, int]: ...
    def move(self, vectors: npt.NDArray[Any], unit: float, x: npt.NDArray[np.float64]) -> None: ...

def largest(scores: npt.NDArray[np.float64], count: int) -> npt.NDArray[np.int64]: ...

class Descent:
    #: Entries of an epoch's order, 0 for greedy rules.
    drawn: int
    def __init__(
        self,
        Q: Any,
        l1: npt.NDArray[np.float64],
        lower: npt.NDArray[np.float64],
        upper: npt.NDArray[np.float64],
        plain: bool,
        rule: int,
        update: int,
        blocks: list[npt.NDArray[Any]] | int,
        constants: npt.NDArray[np.float64],
        scored: npt.NDArray[np.float64] | None,
        stepped: npt.NDArray[np.float64] | None,
        whole: float,
        inverses: list[npt.NDArray[np.float64]] | None,
        factors: list[npt.NDArray[np.float64] | None] | None,
        scale: float,
        tol: float,
        patience: int,
    ) -> None: ...
    def advance(
        self,
        x: npt.NDArray[np.float64],
        g: npt.NDArray[np.float64],
        numbers: tuple[float, float, float, float, float],
        counts: tuple[int, int],
        order: npt.NDArray[np.int64],
        epoch: int,
        steps: int,
    ) -> tuple[tuple[float, float, float, float, float], tuple[int, int], int]: ...

def group_norm(values: npt.NDArray[np.float64], v: npt.NDArray[np.float64], weight: float) -> float: ...
