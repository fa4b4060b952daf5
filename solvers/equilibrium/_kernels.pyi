from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]

# Matrix games.

def project_simplex(v: Array, mass: float, out: Array, guess: float = ...) -> float: ...

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
