"""The error in ULP on inputs of every kind, judged outside all packages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mpmath
import numpy as np

from . import check, harness, softmax_peers
from .problems import Array, exponents
from .report import Report, Row, Target
from .softmax_peers import FUNCTIONS, Peers

#: Entries of a row too long for mpmath that the judge looks at.
JUDGED = 20_000

RANGES = (
    "normal",
    "normal*10",
    "uniform(-80,0)",
    "uniform(900,1000)",
    "uniform(-100000,-99920)",
    "uniform(-1000,1000)",
)


def data_sets(length: int, dtype: str) -> Iterator[tuple[str, Array]]:
    """Inputs by name: easy, shifted, wide, with a closed form, masked, steep, and with subnormal results."""
    kind = np.dtype(dtype)
    for name in RANGES:
        yield name, exponents(name, (length,), dtype, seed=1)
    j = np.arange(length)
    yield "log j", np.log(j + 1.0).astype(kind)
    yield "-j log 2", (-j * np.log(2.0)).astype(kind)
    for constant in (0.0, 88.8, -1e30, float(np.finfo(kind).max)):
        yield f"constant {constant:.3g}", np.full(length, constant, kind)
    yield "0 and -16 else", np.where(j == 0, 0.0, -16.0).astype(kind)
    normal, half = exponents("normal", (length,), dtype), np.random.default_rng(1).random(length) < 0.5
    for mask in (-np.inf, -1e9, float(np.finfo(kind).min)):
        yield f"half masked by {mask:.3g}", np.where(half, kind.type(mask), normal)
    yield "last masked by -inf", np.where(j == length - 1, kind.type(-np.inf), normal)
    for name, steep in (("ramp up", 3.0 * j), ("ramp down", -3.0 * j), ("alternating", 3.0 * j * (-1.0) ** j)):
        yield name, steep.astype(kind)
    for place in (0, length // 2, length - 1):
        yield f"spike of 300 at {place}", np.where(j == place, kind.type(300), normal)
    low = [0, -87.5, -90, -100] if dtype == "float32" else [0, -708.5, -720, -740]
    yield "subnormal results", np.array(low, kind)


def add(result: Report, peers: Peers, quick: bool) -> None:
    """softmax on all sets, its kin on those of the first kinds; the entry whose probability is nearly 1."""
    length, long, longest = (32, 64, 128) if quick else (4096, 2**20, 2**24)
    table = result.table(f"Error in ULP, rows of {length} against mpmath, longer ones against long double on a sample")
    cells = [(dtype, name, x) for dtype in ("float32", "float64") for name, x in data_sets(length, dtype)]
    for dtype, name, x in harness.progress(cells, "softmax, ULP"):
        exact = check.exact_rows(x[None])
        for function in FUNCTIONS if name in RANGES else FUNCTIONS[:1]:
            got = {who: check.errors_exact(y, exact[function]) for who, y in _answers(function, x, peers).items()}
            table.rows.append(_row(function, dtype, name, x, got, _counted(exact[function], dtype)))
    for dtype in ("float32", "float64"):
        for name in RANGES:
            table.rows.append(_long_row(dtype, name, exponents(name, (long,), dtype, seed=1), peers))
        table.rows.append(_long_row(dtype, "normal*10", exponents("normal*10", (longest,), dtype, seed=0), peers))
    table.rows.sort(key=lambda row: (FUNCTIONS.index(row["function"]), row["dtype"], row["length"]))
    for dtype in ("float32", "float64"):
        rows = [row for row in table.rows if row["function"] == "softmax" and row["dtype"] == dtype]
        for what, bound in (("max", 2.0), ("mean", 0.6)):
            worst = max(row[f"ours {what}"] for row in rows)
            result.targets.append(Target(f"softmax {dtype}: {what} error, worst set", "<=", bound, worst, "ULP"))
    _nearly_one(result, peers)


def _answers(function: str, x: Array, peers: Peers) -> dict[str, Array]:
    return {who: np.atleast_1d(y) for who, y in softmax_peers.answers(function, x, 0, peers).items()}


def _counted(exact: list[list[Any]], dtype: str) -> Array:
    """Where the mean is taken: results that are normal numbers, since exact zeros would only dilute it."""
    return np.array([abs(value) >= float(np.finfo(dtype).tiny) for value in exact[0]])


def _row(function: str, dtype: str, name: str, x: Array, got: dict[str, Array], counted: Array) -> Row:
    row: Row = {"function": function, "dtype": dtype, "length": len(x), "input": name}
    for who, errors in got.items():
        row[f"{who} max"] = float(errors.max())
        row[f"{who} mean"] = float(errors[counted].mean()) if counted.any() else None
    return row


def _long_row(dtype: str, name: str, x: Array, peers: Peers) -> Row:
    """softmax of a long row; the largest entries are in the sample, the others at random."""
    rng = np.random.default_rng(13)
    top = np.argsort(x)[-JUDGED // 2 :]
    places = np.union1d(top, rng.integers(len(x), size=JUDGED // 2))
    exact = check.LongReference(x).exact("softmax", places)
    got = {who: check.errors(y[places], exact) for who, y in _answers("softmax", x, peers).items()}
    return _row("softmax", dtype, name, x, got, exact >= np.finfo(dtype).tiny)


def _nearly_one(result: Report, peers: Peers) -> None:
    """log_softmax where the probability is nearly 1, and a difference of x and logsumexp would lose all digits."""
    table = result.table("log_softmax of the entry whose probability is nearly 1: relative error in units of roundoff")
    worst = 0.0
    for dtype in ("float32", "float64"):
        unit = float(np.finfo(dtype).eps) / 2
        for name, values in (
            ("20, 0, 0", [20.0, 0.0, 0.0]), ("40, 0", [40.0, 0.0]), ("10, 0 x 100", [10.0] + 100 * [0.0]),
            ("1000, 985, 970", [1000.0, 985.0, 970.0]), ("0, -80 x 5000", [0.0] + 5000 * [-80.0]),
        ):  # fmt: skip
            x = np.array(values, dtype)
            exact = check.exact_rows(x[None])["log_softmax"][0][0]
            row: Row = {"dtype": dtype, "input": name, "exact": mpmath.nstr(exact, 6)}
            for who, y in _answers("log_softmax", x, peers).items():
                row[who] = float(abs((mpmath.mpf(float(y[0])) - exact) / exact)) / unit
            worst = max(worst, row["ours"])
            table.rows.append(row)
    result.targets.append(Target("log_softmax, probability nearly 1: relative error", "<=", 4.0, worst, "u"))
