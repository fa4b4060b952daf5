from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]

METRICS: dict[str, int]
PRODUCT_MAX: int

class Cost:
    def __init__(
        self,
        matrix: Array | None = None,
        x: Array | None = None,
        y: Array | None = None,
        metric: str | None = None,
        offset: Array | None = None,
        column_offset: Array | None = None,
        p: float = 2.0,
    ) -> None: ...
    @property
    def shape(self) -> tuple[int, int]: ...
    def sweep(self, scale: float, a: Array, u: Array, v: Array, column_sums: Array, threads: int) -> None: ...
    def damped_sweep(
        self,
        scale: float,
        base: Array,
        damping: float,
        u: Array,
        v: Array,
        q: Array,
        column_sums: Array,
        threads: int,
    ) -> None: ...
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
    def apply(self, scale: float, u: Array, v: Array, x: Array, out: Array, threads: int) -> None: ...
    def apply_transposed(self, scale: float, u: Array, v: Array, x: Array, out: Array, threads: int) -> None: ...
    def row_max(self, scale: float, v: Array, w: Array, out: Array, product: Array, threads: int) -> None: ...
    def scale_below(
        self,
        scale: float,
        a: Array,
        u: Array,
        v: Array,
        y: Array,
        x: Array,
        row_sums: Array,
        column_sums: Array,
        threads: int,
    ) -> float: ...

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
