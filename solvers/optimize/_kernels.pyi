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
