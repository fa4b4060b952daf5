from typing import Any

import numpy as np
import numpy.typing as npt

_Ints = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float64]

def read_lines(
    text: Any,
) -> tuple[_Floats, _Ints, _Ints, npt.NDArray[np.int32], _Floats, tuple[int, int], tuple[int, int, int]]: ...
