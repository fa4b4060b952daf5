"""softmax, log_softmax and logsumexp against torch and SciPy: speed on one thread, and error in ULP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import scipy.special

from solvers import special

from . import check, harness
from .harness import Timing, ratio
from .problems import DISTRIBUTIONS, Array, exponents
from .report import Bars, Report, Row, Target, speed

FUNCTIONS = ("softmax", "log_softmax", "logsumexp")

#: Slices (rows, or columns on axis 0) of a timed result, and entries of a long one, that the judge looks at.
JUDGED_SLICES, JUDGED_ENTRIES = 4, 4096


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


def shape_name(shape: tuple[int, ...]) -> str:
    """2^k for one long row, n x m for a matrix."""
    return f"2^{shape[0].bit_length() - 1}" if len(shape) == 1 else "x".join(str(n) for n in shape)


def report(quick: bool = False) -> Report:
    """Both tables."""
    torch = harness.peer("torch")
    result = Report("special", "solvers.special against torch and SciPy, one thread", picture=Bars(
        "fastest peer's time / ours, out= and fresh each against its like, the smaller ratio (log scale)"
    ))  # fmt: skip
    kept = not quick and harness.keep_freed_memory()
    with harness.threads(1):
        _speed(result, torch, quick)
        _accuracy(result, torch, quick)
    result.header = harness.versions("torch", "mpmath")
    result.notes += [
        "'out' is written to an array given (and touched before), 'fresh' to a new one, which is what users call. "
        "SciPy has no out=. Input: standard normal.",
        "ULP columns: largest error of the timed results on a sample of slices or entries, against long double.",
        f"malloc keeps freed blocks below 32 MB: {kept}. Larger fresh results cost page faults on either side.",
        "Controls: 'read' is numpy's x.max(), 'copy' is numpy.copyto(out, x), in the same rounds.",
    ]
    if torch is None:
        result.notes.append("torch is not installed: its columns are missing, and its targets are not measured.")
    return result


def _cases(quick: bool) -> Iterator[Case]:
    rows = {"float32": 2**12, "float64": 2**11} if quick else {"float32": 2**25, "float64": 2**24}
    for dtype, length in rows.items():
        for function in FUNCTIONS:
            yield Case(function, dtype, (length,), 0)
    for shape in ((40, 10),) if quick else ((4096, 1000), (65536, 64), (1024, 3072)):
        for axis in (0, 1):
            for dtype in ("float32", "float64"):
                for function in FUNCTIONS:
                    yield Case(function, dtype, shape, axis)


# ---- speed -----------------------------------------------------------------------------------------


def _speed(result: Report, torch: ModuleType | None, quick: bool) -> None:
    table, controls = result.table("Speed: every cell"), result.table("Speed: long rows beside the memory's")
    for case in harness.progress(list(_cases(quick)), "special"):
        x = exponents("normal", case.shape, case.dtype)
        calls = _calls(case, x, torch)
        errors: dict[str, float] = {}
        judge = Judge(case, x)

        def inspect(name: str, got: Any, judge: Judge = judge, errors: dict[str, float] = errors) -> None:
            if not name.startswith("control"):
                errors[name] = judge.ulp(np.asarray(got))

        times = harness.interleave(calls, rounds=3 if quick else harness.ROUNDS, inspect=inspect)
        table.rows.append(_row(case, times, errors))
        result.picture.add(case.name, _like_for_like(times))  # type: ignore[union-attr]
        if len(case.shape) == 1:
            controls.rows.append(_against_memory(case, x.nbytes, times))
        if len(case.shape) == 1 and case.function == "softmax":
            _targets(result, case, times)
    losses = sum("SLOWER" in " ".join(str(cell) for cell in row.values()) for row in table.rows)
    result.notes.append(f"Cells where some peer is faster than we: {losses} of {len(table.rows)}.")


def _calls(case: Case, x: Array, torch: ModuleType | None) -> dict[str, Callable[[], Any]]:
    ours, theirs = getattr(special, case.function), getattr(scipy.special, case.function)
    axis = case.axis
    reduced = tuple(n for k, n in enumerate(case.shape) if k != axis)
    shape = reduced if case.function == "logsumexp" else case.shape
    calls: dict[str, Callable[[], Any]] = {"ours fresh": lambda: ours(x, axis, threads=1)}
    if case.function != "logsumexp":
        mine = np.zeros(shape, x.dtype)
        calls["ours out"] = lambda: ours(x, axis, out=mine, threads=1)
    if torch is not None:
        tensor = torch.from_numpy(x)
        target = torch.zeros(shape, dtype=tensor.dtype)
        function = getattr(torch, case.function)
        calls["torch fresh"] = lambda: function(tensor, axis)
        calls["torch out"] = lambda: function(tensor, axis, out=target)
    calls["scipy fresh"] = lambda: theirs(x, axis)
    if len(case.shape) == 1:
        copied = np.zeros_like(x)
        calls["control read"] = lambda: x.max()
        calls["control copy"] = lambda: np.copyto(copied, x)
    return calls


class Judge:
    """The ULP error of a result on a sample, the reference values being made once."""

    def __init__(self, case: Case, x: Array) -> None:
        self.case = case
        rng = np.random.default_rng(13)
        across = 1 if len(case.shape) == 1 else case.shape[1 - case.axis]
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


def _row(case: Case, times: dict[str, Timing], errors: dict[str, float]) -> Row:
    row: Row = {
        "function": case.function, "dtype": case.dtype, "shape": shape_name(case.shape), "axis": case.axis,
        **{name: times.get(name) for name in ("ours out", "torch out", "ours fresh", "torch fresh", "scipy fresh")},
    }  # fmt: skip
    if "ours out" in times and "torch out" in times:
        row["torch out / ours out"] = speed(ratio(times["torch out"], times["ours out"]))
    for name in ("torch", "scipy"):
        if f"{name} fresh" in times:
            row[f"{name} fresh / ours fresh"] = speed(ratio(times[f"{name} fresh"], times["ours fresh"]))
    for name in ("ours", "torch", "scipy"):
        found = [error for call, error in errors.items() if call.startswith(name)]
        row[f"ULP {name}"] = max(found) if found else None
    return row


def _like_for_like(times: dict[str, Timing]) -> float:
    """The smallest ratio of a peer's time to ours over the calls that do the same."""
    pairs = [("ours fresh", "torch fresh"), ("ours fresh", "scipy fresh"), ("ours out", "torch out")]
    return min(ratio(times[theirs], times[mine]) for mine, theirs in pairs if mine in times and theirs in times)


def _against_memory(case: Case, size: int, times: dict[str, Timing]) -> Row:
    read, copy = times["control read"], times["control copy"]
    best = times.get("ours out", times["ours fresh"])
    # what the arithmetic must move: softmax reads x twice and writes once, logsumexp reads it once
    floor = {"softmax": read.median + copy.median, "log_softmax": 2 * read.median + copy.median}
    return {
        "function": case.function, "dtype": case.dtype, "shape": shape_name(case.shape),
        "read (x.max())": read, "copy": copy, "ours": best, "GB/s of read": size / read.median / 1e9,
        "ours / (reads + copy it needs)": ratio(best, floor.get(case.function, read.median)),
    }  # fmt: skip


def _targets(result: Report, case: Case, times: dict[str, Timing]) -> None:
    if case.dtype != "float32":
        return
    name = f"softmax float32 {shape_name(case.shape)}: "
    for theirs, mine, bound in (
        ("torch out", "ours out", 1.5),
        ("scipy fresh", "ours out", 4.0),
        ("scipy fresh", "ours fresh", 4.0),  # like for like
    ):
        measured = ratio(times[theirs], times[mine]) if theirs in times else None
        result.targets.append(Target(f"{name}time of {theirs} / {mine}", ">=", bound, measured))


# ---- accuracy --------------------------------------------------------------------------------------


def _accuracy(result: Report, torch: ModuleType | None, quick: bool) -> None:
    shape = (4, 16) if quick else (64, 64)
    table = result.table(f"Largest error in ULP against mpmath, {shape[0]} rows of {shape[1]}")
    worst: dict[str, float] = {}
    cells = [(d, t) for d in DISTRIBUTIONS for t in ("float32", "float64")]
    for distribution, dtype in harness.progress(cells, "special, ULP"):
        x = exponents(distribution, shape, dtype, seed=23)
        exact = check.exact_rows(x)
        for function in FUNCTIONS:
            row: Row = {"function": function, "dtype": dtype, "input": distribution}
            for name, got in _answers(function, x, torch).items():
                row[name] = check.ulp_exact(got, exact[function])
            table.rows.append(row)
            key = f"{function} {dtype}"
            worst[key] = max(worst.get(key, 0.0), row["ours"])
    table.rows.sort(key=lambda row: (FUNCTIONS.index(row["function"]), row["dtype"]))
    for dtype in ("float32", "float64"):
        error = worst[f"softmax {dtype}"]
        result.targets.append(Target(f"softmax {dtype}: largest error of ours", "<=", 2.0, error, "ULP"))


def _answers(function: str, x: Array, torch: ModuleType | None) -> dict[str, Array]:
    with np.errstate(all="ignore"):
        answers = {
            "ours": getattr(special, function)(x, 1),
            "scipy": np.asarray(getattr(scipy.special, function)(x, axis=1), x.dtype),
        }
    if torch is not None:
        answers["torch"] = getattr(torch, function)(torch.from_numpy(x), 1).numpy()
    return answers
