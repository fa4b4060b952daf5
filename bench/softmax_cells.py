"""Long rows and batches: every cell beside its peers and beside the memory's own time, in the same rounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import solvers
from solvers import special

from . import check, controls, harness, softmax_peers
from .harness import Timing, ratio
from .problems import Array, exponents
from .report import Report, Row, Target, speed
from .softmax_peers import CALLS, FUNCTIONS, Calls, Peers

LONG = {"float32": (2**24, 2**25, 2**26), "float64": (2**24, 2**25)}
BATCHES = ((4096, 1000), (65536, 64), (128, 32000), (512, 50257), (1048576, 10))
BOTH_AXES = (1024, 3072)

#: Slices (rows, or columns on axis 0) of a timed result, and entries of a long one, that the judge looks at.
JUDGED_SLICES, JUDGED_ENTRIES = 4, 4096

THREE_PASS = "ours three-pass"
OTHER_AXIS = "ours axis 1"

ROUNDS, FEWEST, BUDGET = 20, 7, 1.0


@dataclass(frozen=True)
class Case:
    """One timed cell."""

    function: str
    dtype: str
    shape: tuple[int, ...]
    axis: int

    @property
    def name(self) -> str:
        return f"{self.function} {self.dtype} {shape_name(self.shape)} axis {self.axis}"

    @property
    def long(self) -> bool:
        return len(self.shape) == 1

    @property
    def columns(self) -> bool:
        """Whether the sums run down the columns of a matrix."""
        return len(self.shape) == 2 and self.axis == 0

    @property
    def result_shape(self) -> tuple[int, ...]:
        reduced = tuple(n for k, n in enumerate(self.shape) if k != self.axis)
        return reduced if self.function == "logsumexp" else self.shape


Cells = dict[Case, dict[str, Timing]]


def shape_name(shape: tuple[int, ...]) -> str:
    """2^k for one long row, n x m for a matrix."""
    return f"2^{shape[0].bit_length() - 1}" if len(shape) == 1 else "x".join(str(n) for n in shape)


def cases(quick: bool) -> Iterator[Case]:
    """softmax everywhere; its kin on a part, which keeps the whole within minutes."""
    long = {"float32": (2**12,), "float64": (2**11,)} if quick else LONG
    batches, both = (((40, 100), (30, 10)), (20, 30)) if quick else (BATCHES, BOTH_AXES)
    for dtype, lengths in long.items():
        for length in lengths:
            yield Case("softmax", dtype, (length,), 0)
    for dtype in long:
        for shape in batches:
            yield Case("softmax", dtype, shape, 1)
        for axis in (0, 1):
            yield Case("softmax", dtype, both, axis)
    for function in FUNCTIONS[1:]:
        yield Case(function, "float32", (long["float32"][len(long["float32"]) // 2],), 0)
        for shape in batches[:2] if quick else (batches[0], batches[1], batches[3]):
            yield Case(function, "float32", shape, 1)
        yield Case(function, "float64", batches[0], 1)
        yield Case(function, "float32", both, 0)


def add(result: Report, peers: Peers, quick: bool) -> None:
    """The two tables and their targets."""
    table = result.table("Cells: one thread, standard normal input")
    limits = result.table("Cells beside the memory's time")
    cells: Cells = {}
    for case in harness.progress(list(cases(quick)), "softmax, cells"):
        times, errors = _time(case, peers, quick)
        cells[case] = times
        table.rows.append(_row(case, times, errors))
        if limit_of(case, times) is not None:
            limits.rows.append(_beside_memory(case, times))
        result.timings += _records(case, times, errors)
        result.picture.add(case.name, _like_for_like(times))  # type: ignore[union-attr]
    losses = sum("SLOWER" in " ".join(str(cell) for cell in row.values()) for row in table.rows)
    result.notes.append(f"Cells where some peer is faster than we: {losses} of {len(table.rows)}.")
    _targets(result, cells)


# ---- one cell --------------------------------------------------------------------------------------


def _time(case: Case, peers: Peers, quick: bool) -> tuple[dict[str, Timing], dict[str, float]]:
    x = exponents("normal", case.shape, case.dtype)
    y = np.full(x.shape, 1.0, x.dtype)  # touched; one target for all, so that all have the same alignment
    target = None if case.function == "logsumexp" else y
    calls: Calls = softmax_peers.calls(case.function, x, case.axis, target, peers)
    if case.function == "softmax" and case.long:
        calls[THREE_PASS] = lambda: special.softmax(x, 0, out=y, threads=1, method="three-pass-recompute")
    if case.function == "softmax" and case.columns:
        calls[OTHER_AXIS] = lambda: special.softmax(x, 1, out=y, threads=1)
    errors: dict[str, float] = {}
    judge = Judge(case, x)

    def inspect(name: str, got: Any) -> None:
        if name != OTHER_AXIS and not name.startswith("control"):
            errors[name] = judge.ulp(np.asarray(got))

    calls |= controls.calls(x, y) | controls.arithmetic()
    if case.columns and x.strides[0] % controls.LINE == 0:
        calls |= controls.panels(x, y)
    rounds = 3 if quick else ROUNDS
    return harness.interleave(calls, rounds, BUDGET, inspect, fewest=1 if quick else FEWEST), errors


class Judge:
    """The ULP error of a result on a sample, the reference values being made once."""

    def __init__(self, case: Case, x: Array) -> None:
        self.case = case
        rng = np.random.default_rng(13)
        across = 1 if case.long else case.shape[1 - case.axis]
        self.slices = rng.choice(across, min(JUDGED_SLICES, across), replace=False)
        length = case.shape[case.axis]
        self.places = rng.choice(length, min(JUDGED_ENTRIES, length), replace=False)
        references = [check.LongReference(_slice(x, case.axis, k)) for k in self.slices]
        self.exact = [reference.exact(case.function, self.places) for reference in references]

    def ulp(self, got: Array) -> float:
        """The largest error over the sample."""
        errors = []
        for k, exact in zip(self.slices, self.exact, strict=True):
            if self.case.function == "logsumexp":
                values = np.atleast_1d(got)[[k]]
            else:
                values = _slice(got, self.case.axis, k)[self.places]
            errors.append(check.ulp(values, exact))
        return max(errors)


def _slice(x: Array, axis: int, k: int) -> Array:
    return x if x.ndim == 1 else x.take(k, axis=1 - axis)


# ---- what is told of it ----------------------------------------------------------------------------


def best(times: dict[str, Timing]) -> Timing:
    """Ours, into an array given where the function has that."""
    return times.get("ours out", times["ours fresh"])


def _row(case: Case, times: dict[str, Timing], errors: dict[str, float]) -> Row:
    row: Row = {
        "function": case.function, "dtype": case.dtype, "shape": shape_name(case.shape), "axis": case.axis,
        **{name: times.get(name) for name in ("ours out", "ours fresh", *CALLS)},
    }  # fmt: skip
    for name in CALLS:
        mine = f"ours {name.split()[1]}"
        if name in times and mine in times:
            row[f"{name} / {mine}"] = speed(ratio(times[name], times[mine]))
    for package in ("ours", *dict.fromkeys(name.split()[0] for name in CALLS)):
        found = [error for call, error in errors.items() if call in (f"{package} out", f"{package} fresh")]
        row[f"ULP {package}"] = max(found) if found else None
    return row


def _like_for_like(times: dict[str, Timing]) -> float:
    """The smallest ratio of a peer's time to ours over the calls that do the same."""
    pairs = [(name, f"ours {name.split()[1]}") for name in CALLS]
    return min(ratio(times[theirs], times[mine]) for theirs, mine in pairs if theirs in times and mine in times)


def limit_of(case: Case, times: dict[str, Timing]) -> float | None:
    """The least time that the memory allows: a read, a copy past the cache, or both.

    The sums of columns are known only when all rows were read: then either x is read again, or its columns come by
    panels that wait in the second cache, whichever takes less time.
    """
    if controls.READ not in times:
        return None
    read, copy = times[controls.READ].median, times[controls.STREAM].median
    if case.function == "logsumexp":
        return read
    if case.columns:
        return min(read + copy, times[controls.PANELS].median if controls.PANELS in times else np.inf)
    return read + copy if case.long else copy


def named_limit(case: Case) -> str:
    """What `limit_of` is made of."""
    if case.function == "logsumexp":
        return "read"
    return "read + NT copy or panels" if case.columns else "read + NT copy" if case.long else "NT copy"


def _beside_memory(case: Case, times: dict[str, Timing]) -> Row:
    limit = limit_of(case, times)
    assert limit is not None
    size = int(np.prod(case.shape)) * np.dtype(case.dtype).itemsize
    row: Row = {
        "function": case.function, "dtype": case.dtype, "shape": shape_name(case.shape), "axis": case.axis,
        **{name.removeprefix("control "): times[name] for name in times if name in (*controls.MEMORY, controls.PANELS)},
        "vector multiply-adds a ns": 1e-9 * controls.MULTIPLY_ADDS / times[controls.ARITHMETIC].median,
        "GB/s of read": size / times[controls.READ].median / 1e9, "ours": best(times), "limit": named_limit(case),
        "efficiency (limit / ours)": limit / best(times).median,
        **{f"{name} / limit": f"{times[name].median / limit:.3g}" for name in CALLS if name in times},
    }  # fmt: skip
    if THREE_PASS in times:
        row["three-pass-recompute / ours"] = speed(ratio(times[THREE_PASS], best(times)))
    if OTHER_AXIS in times:
        row["axis 1 / ours on axis 0"] = speed(ratio(times[OTHER_AXIS], best(times)))
    return row


def _records(case: Case, times: dict[str, Timing], errors: dict[str, float]) -> Iterator[Row]:
    itemsize = np.dtype(case.dtype).itemsize
    moved = itemsize * (int(np.prod(case.shape)) + int(np.prod(case.result_shape)))
    limit = limit_of(case, times)
    for name, timing in times.items():
        yield {
            "benchmark": "cells", "function": case.function, "dtype": case.dtype,
            "shape": "x".join(str(n) for n in case.shape), "axis": case.axis, "threads": 1,
            "isa": solvers.show_config()["isa"], "method": name, "median_ns": 1e9 * timing.median,
            "min_ns": 1e9 * timing.minimum, "GB/s": moved / timing.median / 1e9,
            "ratio_to_limit": None if limit is None else timing.median / limit,
            **{f"ratio to {peer}": ratio(times[peer], timing) for peer in CALLS if peer in times},
            "max_ulp": errors.get(name),
        }  # fmt: skip


# ---- targets ---------------------------------------------------------------------------------------


def _targets(result: Report, cells: Cells) -> None:
    softmax = {case: times for case, times in cells.items() if case.function == "softmax"}
    for dtype, efficiency, torch in (("float32", 0.92, 2.3), ("float64", 0.85, 2.5)):
        rows = {case: times for case, times in softmax.items() if case.long and case.dtype == dtype}
        worst = _Judgement(result, f"softmax {dtype}, smallest over the long rows", rows, min)
        worst.efficiency(efficiency)
        worst.ratio("torch out", "ours out", torch)
        worst.ratio("scipy fresh", "ours out", 8.0)
        if dtype == "float32":
            worst.ratio(THREE_PASS, "ours out", 1.5)
    batches = {
        case: times for case, times in softmax.items()
        if not case.long and case.axis == 1 and case.shape != BOTH_AXES and case.dtype == "float32"
        and case.shape[1] >= 64
    }  # fmt: skip
    mean = _Judgement(result, "softmax float32 batches, geometric mean", batches, _geometric_mean)
    for peer, bound in (("torch out", 2.8), ("onnxruntime out", 1.6), ("scipy fresh", 10.0)):
        mean.ratio(peer, "ours out", bound)
        mean.greatest(peer)
    for case, times in batches.items():
        if case.shape[1] <= 4096:
            _Judgement(result, case.name, {case: times}, max).ratio("ours out", controls.STREAM, 1.15, "<=")
    columns = {case: times for case, times in softmax.items() if case.columns and case.dtype == "float32"}
    down = _Judgement(result, "softmax float32 on axis 0", columns, min)
    down.ratio("ours out", OTHER_AXIS, 1.5, "<=")
    down.ratio("torch out", "ours out", 10.0)
    down.greatest("torch out")
    sums = {case: times for case, times in cells.items() if case.function == "logsumexp" and not case.columns}
    rows = _Judgement(result, "logsumexp rows, smallest", sums, min)
    rows.ratio("scipy fresh", "ours fresh", 25.0)
    rows.ratio("torch fresh", "ours fresh", 8.0)


def _geometric_mean(values: list[float]) -> float:
    return float(np.exp(np.mean(np.log(values))))


@dataclass
class _Judgement:
    """Targets over several cells, brought to one number."""

    result: Report
    name: str
    cells: Cells
    bring: Callable[[list[float]], float]

    def ratio(self, above: str, below: str, bound: float, relation: str = ">=") -> None:
        values = [ratio(t[above], t[below]) for t in self.cells.values() if above in t and below in t]
        self._judge(f"{above} / {below}", values, bound, relation)

    def efficiency(self, bound: float) -> None:
        limits = [(limit_of(case, times), times) for case, times in self.cells.items()]
        values = [limit / best(times).median for limit, times in limits if limit is not None]
        self._judge("(read + NT copy) / ours out", values, bound, ">=")

    def greatest(self, peer: str) -> None:
        """A note: the ratio that a program at the memory's own speed would have."""
        limits = [(limit_of(case, times), times) for case, times in self.cells.items() if peer in times]
        values = [times[peer].median / limit for limit, times in limits if limit is not None]
        if values:
            most = f"{self.bring(values):.3g}"
            self.result.notes.append(f"{self.name}: {peer} / limit is {most}: no program exceeds that.")

    def _judge(self, what: str, values: list[float], bound: float, relation: str) -> None:
        measured = self.bring(values) if values else None
        self.result.targets.append(Target(f"{self.name}: {what}", relation, bound, measured))
