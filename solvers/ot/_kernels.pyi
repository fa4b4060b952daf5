from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]

METRICS: dict[str, int]

class Cost:
    def __init__(
        self,
        matrix: Array | None = None,
        x: Array | None = None,
        y: Array | None = None,
        metric: str | None = None,
        offset: Array | None = None,
    ) -> None: ...
    @property
    def shape(self) -> tuple[int, int]: ...
    def sweep(self, scale: float, a: Array, u: Array, v: Array, column_sums: Array, threads: int) -> None: ...
    def marginals(
        self, scale: float, u: Array, v: Array, row_sums: Array, column_sums: Array, threads: int
    ) -> float: ...
    def plan_rows(self, scale: float, u: Array, v: Array, first: int, last: int, plan: Array, threads: int) -> None: ...
    def large_entries(
        self,
        scale: float,
        u: Array,
        v: Array,
        first: int,
        last: int,
        threshold: float,
        values: Array,
        columns: Array,
        counts: Array,
        threads: int,
    ) -> None: ...
    def column_max(self, scale: float, u: Array, out: Array, threads: int) -> None: ...

def newton_cg(
    row_starts: Array,
    columns: Array,
    values: Array,
    row_sums: Array,
    column_sums: Array,
    p: Array,
    q: Array,
    x: Array,
    y: Array,
    rtol: float,
    max_iter: int,
) -> int: ...
def solve_batch(
    costs: Array,
    problems: int,
    a: Array,
    b: Array,
    scale: Array,
    tol: float,
    norm: str,
    max_iter: int,
    u: Array,
    v: Array,
    offset: Array,
    row_sums: Array,
    column_sums: Array,
    paid: Array,
    counts: Array,
    threads: int,
) -> None: ...
