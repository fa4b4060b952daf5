from collections.abc import Callable
from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]

# Matrix games.

def project_simplex(v: Array, mass: float, out: Array, guess: float = ...) -> float: ...
def game_copies(A: Array, shift: float, scale: float, narrow: bool) -> tuple[Array, Array]: ...

class Game:
    def __init__(self, m: int, n: int, linear_x: Array | None = ..., linear_y: Array | None = ...) -> None: ...
    def dense(self, rows: Array, columns: Array) -> Game: ...
    def sparse(self, rows: Any, columns: Any) -> Game: ...
    def norm(self, steps: int, start: Array) -> float: ...
    def products(self, pair: Array) -> Array: ...
    def pdhg(
        self, vectors: Array, numbers: Array, steps: int, restart: Callable[[float, float, int], bool]
    ) -> tuple[Array, Array, tuple[float, float] | None]: ...
    def regret(self, vectors: Array, numbers: Array, steps: int, predictive: bool) -> None: ...

class Tableau:
    def __init__(self, D: Array, b: Array, c: Array, row_label: Array, column_label: Array) -> None: ...
    def minimise(self, tol: float, most_pivots: int) -> tuple[int, int]: ...
    def enter(self, rows: Array, columns: Array, least: float) -> None: ...

# Finite sums.

def random_bits(seed: int, stream: int, block: int) -> tuple[int, int]: ...

class AliasTable:
    probability: Array
    def __init__(self, weight: Array) -> None: ...
    def draw(self, seed: int, stream: int, first: int, count: int) -> Array: ...

def uniform_indices(n: int, seed: int, stream: int, first: int, count: int) -> Array: ...
def distinct_indices(order: Array, seed: int, stream: int, first: int, count: int) -> Array: ...
def components(function: int, data: int, index: Array, z: Array, out: Array) -> None: ...
def uniform_numbers(seed: int, stream: int, first: int, count: int) -> Array: ...

class GroupRows:
    counts: Array
    def __init__(self, X: Array, y: Array, group: Array, kind: int) -> None: ...
    def sums(
        self,
        w: Array,
        loss: Array,
        gradient: Array,
        share: Array | None = None,
        hessian: Array | None = None,
        terms: Array | None = None,
        threads: int = 1,
    ) -> None: ...
    def loop(
        self,
        start: Array,
        batch: Array,
        l2: float,
        keep: float,
        step_w: float,
        step_q: float,
        snapshot: Array,
        F: Array,
        terms: Array,
        z: Array,
        sum: Array,
        seed: int,
        first: int,
        steps: int,
    ) -> int: ...

# Linear programs.

class LinearProgramSteps:
    def __init__(
        self, starts: Array, index: Array, value: Array, c: Array, l: Array, u: Array, lb: Array, ub: Array
    ) -> None: ...
    def run(
        self,
        x: Array,
        y: Array,
        kty: Array,
        anchor_x: Array,
        anchor_y: Array,
        tau: float,
        sigma: float,
        after: int,
        count: int,
        tx: Array,
        ty: Array,
        dx: Array,
        dy: Array,
    ) -> None: ...
    def product(self, x: Array, out: Array) -> None: ...
    def transposed(self, y: Array, out: Array) -> None: ...

def elimination(starts: Array, index: Array, most: float) -> tuple[Array, float]: ...
