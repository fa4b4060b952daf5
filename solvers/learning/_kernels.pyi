from typing import Any

import numpy as np
import numpy.typing as npt

_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int32]

class Quadratic:
    def __init__(self, H: _Floats, weight: _Floats, low: _Floats, high: _Floats, w: _Floats, g: _Floats) -> None: ...
    def minimise(self, tol: float, max_phases: int) -> float: ...
    @property
    def counts(self) -> dict[str, int]: ...

def csr_gram(
    starts: Any, columns: Any, values: Any, where: Any, H: _Floats, p: int, weights: _Floats | None = None
) -> None: ...
def minimise_groups(
    H: _Floats, start: _Ints, norm: _Floats, l1: _Floats, low: _Floats, high: _Floats, values: _Floats,
    vectors: _Floats, w: _Floats, g: _Floats, tol: float, max_phases: int,
) -> tuple[float, bool]: ...  # fmt: skip
def softmax(z: _Floats) -> _Floats: ...
def log_softmax(z: _Floats) -> _Floats: ...
