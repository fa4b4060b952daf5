from typing import Any

import numpy as np
import numpy.typing as npt

class Rows:
    def __init__(self, matrix: Any) -> None: ...
    def classes(self, order: npt.NDArray[np.int32], forests: bool) -> tuple[npt.NDArray[np.int32], int]: ...

class Forests:
    nodes: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int32]
    def __init__(self, matrix: Rows, class_of: npt.NDArray[np.int32], classes: int) -> None: ...
    def solve(self, b: int, y: npt.NDArray[np.float64]) -> None: ...
    def conjugate_gradients(
        self,
        b: npt.NDArray[np.float64],
        vectors: npt.NDArray[np.float64],
        rho: float,
        residual: float,
        goal: float,
        most: int,
    ) -> tuple[int, float, float, int]: ...
