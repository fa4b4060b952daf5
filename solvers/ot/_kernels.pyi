from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]

METRICS: dict[str, int]
PRODUCT_MAX: int
LEAF_ROWS: int
PRICE_MOST: int

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
    def sweep(
        self, scale: float, a: Array, u: Array, v: Array, column_sums: Array, threads: int, rest: Array | None = None
    ) -> None: ...
    def sweep_thinned(
        self,
        scale: float,
        a: Array,
        u: Array,
        v: Array,
        column_sums: Array,
        share: float,
        most: int,
        values: Array,
        columns: Array,
        counts: Array,
        threads: int,
        rest: Array | None = None,
    ) -> None: ...
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
        self,
        scale: float,
        u: Array,
        v: Array,
        row_sums: Array,
        column_sums: Array,
        threads: int,
        rest: Array | None = None,
    ) -> float: ...
    def plan_rows(self, scale: float, u: Array, v: Array, first: int, last: int, plan: Array, threads: int) -> None: ...
    def store(
        self,
        scale: float,
        a: Array,
        u: Array,
        v: Array,
        plan: Array,
        x: Array,
        column_sums: Array,
        threads: int,
        rest: Array | None = None,
    ) -> None: ...
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
    def row_range(self) -> tuple[Array, Array, bool]: ...
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
def thinned_room(n: int, m: int, most: int) -> int: ...

EASY_SPAN: float
MOST_STORED: int
ABSORBED: float

def total(x: Array) -> float: ...
def cloud_span(cost: Cost) -> float: ...
def directions(points: Array) -> tuple[Array, int]: ...

class Problem:
    #: kernel: a Cost, or what has its methods.
    def __init__(
        self,
        kernel: Any,
        a: Array,
        b: Array,
        offset: Array | None,
        column_offset: Array | None,
        *,
        reg: float,
        scale: float,
        span: float,
        tol: float,
        norm: str,
        forbidden: bool,
        threads: int,
    ) -> None: ...
    @property
    def roundoff(self) -> float: ...
    @property
    def aim(self) -> float: ...
    def error(self, row_sums: Array | None, column_sums: Array) -> float: ...
    def drift(self, v: Array) -> float: ...
    def stop(self, measure: float, steps_without_progress: int) -> int: ...
    def done(self, stage: float, measure: float, steps_without_progress: int) -> int: ...
    def best_v(self, u: Array, v: Array, column_sums: Array, stage: float) -> Array: ...
    def potentials(self, u: Array, v: Array) -> tuple[Array, Array]: ...
    def certify(
        self, u: Array, v: Array, certified: bool, column_sums: Array | None = None
    ) -> tuple[dict[str, Any], Array, Array, tuple[Array, Array, Array, Array] | None]: ...

class Newton:
    def __init__(
        self,
        problem: Problem,
        *,
        decay: float,
        stage_tol: float,
        stage_sweeps: int,
        most_stored: int,
        absorbed: float,
        gentle: bool,
        least: Array | None = None,
    ) -> None: ...
    def start(self, u0: Array, v0: Array) -> dict[str, Any]: ...
    def step(self, state: Any) -> dict[str, Any]: ...
    def advance(
        self, u0: Array, v0: Array, most: int, start: float
    ) -> tuple[dict[str, Any], list[tuple[int, float, float]]]: ...

FLOW_UNIT: float

class Network:
    def __init__(
        self, n: int, m: int, rows: Array | None, columns: Array | None, costs: Array, base: Array
    ) -> None: ...
    def fill(self, a: Array, b: Array, g: Array, parent: Array, arc: Array, flow: Array, height: Array) -> None: ...
    def ship(self, order: Array, a: Array, b: Array, shipped: Array) -> None: ...
    def start(self, shipped: Array, parent: Array, arc: Array, flow: Array, height: Array) -> None: ...
    def simplex(
        self, parent: Array, arc: Array, flow: Array, height: Array, tolerance: float, max_pivots: int
    ) -> int: ...
    def flows(self, parent: Array, arc: Array, a: Array, b: Array, flow: Array) -> None: ...
    def gap(
        self, arc: Array, flow: Array, a: Array, b: Array, f: Array, g: Array
    ) -> tuple[float, float, float, float]: ...

def row_least(cost: Cost, g: Array, least: Array, threads: int) -> None: ...
def price(
    cost: Cost, g: Array, limit: Array, least: Array, counts: Array, columns: Array, costs: Array, threads: int
) -> None: ...
def batch_masses(weights: Array, masses: Array) -> float: ...
def batch_plans(
    costs: Array, problems: int, scale: Array, u: Array, v: Array, offset: Array, plans: Array, threads: int
) -> None: ...
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
    claims: Array,
    counts: Array,
    plans: Array | None,
    threads: int,
) -> None: ...
