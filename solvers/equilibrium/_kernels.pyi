from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]

# Matrix games.

def project_simplex(v: Array, mass: float, out: Array, guess: float = ...) -> float: ...
