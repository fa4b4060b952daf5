from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]

# Nonlinear programs.

class NLP: ...

class PythonNLP(NLP):
    def __init__(self, backend: Any) -> None: ...

# The loop of method gala.

def gala_init(
    nlp: NLP, x0: Array, lower: Array, upper: Array, row_lower: Array, row_upper: Array, options: dict[str, Any]
) -> Array | None: ...
def gala_run(nlp: NLP, state: Array, iterations: int, seconds: float) -> tuple[Array, int, int, float]: ...
def gala_answer(nlp: NLP, state: Array) -> tuple[Array, Array, Array]: ...

class Compiled:
    m: int
    has_fun: bool
    has_gradient: bool
    has_constraints: bool
    has_jacobian: bool
    has_hessian: bool
    def __init__(
        self, n: int, fun: Any = None, jac: Any = None, hess: Any = None, constraints: Sequence[Any] = ()
    ) -> None: ...
    def fun(self, x: Array) -> float: ...
    def gradient(self, x: Array) -> Array: ...
    def constraints(self, x: Array) -> Array: ...
    def jacobian(self, x: Array) -> Array: ...
    def hessian(self, x: Array, sigma: float, y: Array) -> Array: ...
