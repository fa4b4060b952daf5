from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]

# Nonlinear programs.

class NLP: ...

class PythonNLP(NLP):
    def __init__(self, backend: Any) -> None: ...
