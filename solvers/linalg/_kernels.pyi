from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

SWEEPS: dict[str, int]

class Operand:
    @property
    def size(self) -> int: ...
    threads: int
    @property
    def diagonal(self) -> Array: ...
    @property
    def least_diagonal(self) -> float: ...
    def zeros(self) -> Array: ...
    def pack(self, values: Array) -> Array: ...
    def unpack(self, values: Array) -> Array: ...
    def multiply(self, x: Array, out: Array) -> float: ...
    def residual(self, b: Array, x: Array, r: Array) -> float: ...
    def sweep(self, omega: float, backward: bool, b: Array, x: Array) -> None: ...
    def measured_sweep(self, omega: float, backward: bool, b: Array, x: Array, d: Array) -> float: ...
    def jacobi(self, omega: float, momentum: float, b: Array, x: Array, out: Array) -> float: ...
    def triangular_solve(self, omega: float, upper: bool, rhs: Array, out: Array) -> None: ...
    def eisenstat(self, omega: float, v: Array, t: Array, q: Array) -> float: ...
    def lower_product(self, omega: float, r: Array, out: Array) -> float: ...

class Csr(Operand):
    def __init__(
        self,
        row_starts: Array,
        columns: Array,
        values: Array,
        diagonal_at: Array,
        diagonal: Array,
        inverse_diagonal: Array,
        threads: int = 1,
    ) -> None: ...
    def update(self, values: Array, diagonal: Array, inverse_diagonal: Array) -> None: ...
    def sweep_columns(self, omega: float, backward: bool, b: Array, x: Array) -> None: ...

SOR_NUMBERS: int
JACOBI_NUMBERS: int
CG_NUMBERS: int

def sor(
    A: Operand,
    kind: str,
    goal: float,
    check_every: int,
    adaptive: bool,
    measure_last: bool,
    b: Array,
    x: Array,
    kept: Array,
    numbers: Array,
    nit: int,
    most: int,
) -> tuple[int, float, int]: ...
def jacobi(
    A: Operand,
    goal: float,
    measure_last: bool,
    b: Array,
    x: Array,
    back: Array | None,
    kept: Array,
    numbers: Array,
    nit: int,
    most: int,
) -> tuple[int, float, int]: ...
def ic0(
    row_starts: Array, columns: Array, diagonal_at: Array, values: Array, shift: float, least: float, out: Array
) -> int: ...

class Preconditioner:
    def apply(self, r: Array, z: Array) -> None: ...

class Diagonal(Preconditioner):
    def __init__(self, operand: Operand, weights: Array) -> None: ...

class Ssor(Preconditioner):
    def __init__(self, operand: Operand, omega: float, sweeps: int = 1) -> None: ...

class Called(Preconditioner):
    def __init__(self, operand: Operand, function: Callable[[Array], Array]) -> None: ...

class ConjugateGradients:
    def __init__(
        self,
        A: Operand,
        M: Preconditioner | None,
        b: Array,
        x: Array,
        r: Array,
        v: Array,
        kept: Array,
        numbers: Array,
    ) -> None: ...
    def start(self, omega: float = 0) -> None: ...
    def iterate(
        self, goal: float, floor: float, residual: float, nit: int, most: int, omega: float = 0
    ) -> tuple[int, float, int]: ...

class Sell(Operand):
    groups: int
    stored: int
    gathered: float
    def __init__(self, row_starts: Array, columns: Array, group: Array, groups: int, threads: int = 1) -> None: ...
    def update(self, values: Array, diagonal: Array, inverse_diagonal: Array) -> None: ...

def diagonal_places(row_starts: Array, columns: Array) -> tuple[Array, str | None, int]: ...
def symmetric_pattern(row_starts: Array, columns: Array) -> bool: ...
def levels(row_starts: Array, columns: Array) -> tuple[Array, int]: ...
def colors(row_starts: Array, columns: Array, two: bool) -> tuple[Array, int]: ...
def sweep_nodes(
    row_starts: Array, columns: Array, values: Array, inverse: Array, omega: float, backward: bool, b: Array, x: Array
) -> None: ...

class Grid(Operand):
    def __init__(
        self,
        shape: Sequence[int],
        periodic: Sequence[bool],
        redblack: bool,
        dtype: npt.DTypeLike = ...,
        threads: int = 1,
    ) -> None: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    def set_constant(self, couplings: Sequence[float], rows: Array) -> None: ...
    def set_variable(self, faces: Sequence[Array], diagonal: Array) -> None: ...
    def pack(self, values: npt.ArrayLike) -> Array: ...
    def unpack(self, values: Array, out: Array | None = None) -> Array: ...
    def sweeps(
        self, omega: float, backward: bool, b: Array, x: Array, count: int, depth: int = 0, threads: int = 1
    ) -> None: ...

class Question:
    token: int
    key: str
    value: Any
    @property
    def arm(self) -> int: ...
    @property
    def context(self) -> float: ...
    @property
    def probability(self) -> float: ...
    def record(self) -> list[Any]: ...

class Learner:
    state: Array
    counts: Array
    costs: Array
    pending: dict[int, Question]
    key: str
    asked: int
    words: list[int]
    def __init__(
        self, kind: str, values: list[Any], settings: Array, tables: Array, words: list[int], key: str, floor: float
    ) -> None: ...
    def ask(self, context: float, most: int) -> Question: ...
    def tell(self, question: Question, cost: float) -> None: ...
    def restore(self, pending: list[Any]) -> None: ...
    def probabilities(self, context: float) -> Array: ...

def tsallis_weights(losses: Array, eta: float) -> Array: ...
def omega_values(count: int, low: float, high: float) -> Array: ...
def omega_places(omegas: Array) -> Array: ...
def gaussian_tables(places: Array, arm_length: float, context_length: float) -> tuple[Array, Array]: ...

MULTILEVEL_MANY: int
MULTILEVEL_NUMBERS: int

class Stencil:
    threads: int
    @property
    def cells(self) -> int: ...
    def __init__(self, n: Sequence[int], periodic: Sequence[bool], threads: int = 1) -> None: ...
    def set_constant(
        self,
        couplings: Sequence[float],
        sides: Sequence[Any],
        obstacles: Sequence[float],
        mass: float,
        mask: Array | None,
    ) -> None: ...
    def set_variable(self, faces: Sequence[Array | None], diagonal: Array) -> None: ...
    def unpack(self, packed: Array) -> Array: ...

class Multilevel:
    threads: int
    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def scale(self) -> float: ...
    @property
    def cells(self) -> int: ...
    @property
    def levels(self) -> int: ...
    @property
    def general(self) -> bool: ...
    @property
    def visits(self) -> list[int]: ...
    def __init__(
        self,
        levels: Sequence[Any],
        periodic: Sequence[bool],
        single: bool,
        threads: int = 1,
        general: bool = False,
        line: int = -1,
        visits: int = 1,
    ) -> None: ...
    def set_constant(
        self,
        couplings: Sequence[float],
        sides: Sequence[Any],
        obstacles: Sequence[float],
        mass: float,
        mask: Array | None,
        scale: float,
        learned: Array | None = None,
    ) -> None: ...
    def set_variable(
        self,
        faces: Sequence[Array | None],
        wall: Array,
        mass: Array,
        mask: Array | None,
        scale: float,
        learned: Array | None = None,
    ) -> None: ...
    def field(self, name: str, level: int, axis: int | None = None) -> Array: ...
    def set_last(self, inverse: Array) -> None: ...
    def cycle(self, r: Array) -> Array: ...
    def restricted(self, r: Array) -> Array: ...
    def interpolated(self, e: Array) -> Array: ...

class MultilevelCg:
    def __init__(self, A: Stencil, M: Multilevel) -> None: ...
    def take(self, b: Array) -> None: ...
    def vector(self, name: str) -> Array: ...
    def load(self, x: Array, r: Array, p: Array) -> None: ...
    def start(self, x: Array, numbers: Array) -> float: ...
    def measured(self, x: Array) -> float: ...
    def iterate(
        self, numbers: Array, goal: float, floor: float, residual: float, nit: int, most: int
    ) -> tuple[int, float, int]: ...

def solve_many(
    A: Stencil, M: Multilevel, b: Array, x: Array, goals: Array, most: int, threads: int
) -> tuple[Array, Array]: ...

class Net:
    dim: int
    def __init__(
        self,
        dim: int,
        pairs: Sequence[int],
        first: Array,
        middle: Array,
        biases: Array,
        last: Array,
        shift: float,
    ) -> None: ...
    def work(self, shape: Sequence[int]) -> Array: ...
    def apply(
        self,
        shape: Sequence[int],
        ends: Sequence[Sequence[int]],
        r: Array,
        scale: float,
        out: Array,
        work: Array,
        threads: int,
    ) -> None: ...
