from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]

# Nonlinear programs.

class NLP: ...

class PythonNLP(NLP):
    def __init__(self, backend: Any) -> None: ...

# Sketches.

def sketched(dense: Any, sparse: Any, b: Array, q: int, nonzeros: int, seed: int) -> tuple[Array, Array]: ...
def hadamard(X: Array) -> None: ...

class Sketch:
    x: Array
    v: Array
    def __init__(
        self, dense: Any, sparse: Any, b: Array, kind: int, rule: int, carry: int, q: int, tries: int, nonzeros: int,
        equilibrated: bool, omega: float, momentum: float, nesterov: tuple[float, float, float], seed: int,
    ) -> None: ...  # fmt: skip
    def run(self, first: int, count: int) -> float: ...
    def residual(self) -> float: ...
    def until(self, first: int, most: int, every: int, target: float) -> tuple[int, float]: ...
    def formed(self, k: int) -> tuple[Array, Array]: ...
