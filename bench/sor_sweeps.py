"""Single sweeps, products and triangular solves on stencils, beside the memory's own triad."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from . import check, controls, harness, linear_problems, sor_peers
from .harness import Timing, ratio
from .report import Panels, Report, Row, Target, speed
from .sor_kernels import (
    BLOCKS,
    MULTICOLOR,
    RED_BLACK,
    TILED,
    WAVEFRONT,
    Case,
    Data,
    Kernel,
    in_blocks,
    kernels,
    make,
    shape_name,
)
from .sor_peers import OMEGA, PYAMG_SOR, PYAMG_SWEEPS, SCIPY_TRIANGULAR, Peers

Array = npt.NDArray[Any]

SHAPES = ((256,) * 2, (1024,) * 2, (2048,) * 2, (64,) * 3, (128,) * 3, (192,) * 3)
QUICK = ((16,) * 2, (8,) * 3)

#: Sizes in the middle, of which constant coefficients in float64 tell enough.
MIDDLE = (SHAPES[1], SHAPES[4])

ROUNDS, BUDGET = 7, 2.5

#: Sweeps after which the iterates are compared.
COMPARED = 4

THREADS = 2

PARALLEL = (WAVEFRONT, f"{WAVEFRONT}, triangular solve", MULTICOLOR, BLOCKS, RED_BLACK, TILED)

#: A gain by two threads that is aimed at where the triad has it too.
GAIN = 1.7


# ---- one size --------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """What was measured of a case, a sweep each."""

    case: Case
    times: dict[str, Timing]
    kernels: dict[str, Kernel]
    distances: dict[str, float]
    #: On one thread and on two.
    threaded: dict[str, tuple[Timing, Timing]] = field(default_factory=dict)

    @property
    def triad(self) -> float | None:
        """Bytes a second."""
        found = self.times.get(controls.TRIAD)
        return None if found is None else controls.TRIAD_BYTES * self.case.rows / found.median

    def share(self, name: str) -> float | None:
        """Of the triad's byte rate."""
        if name not in self.kernels or self.triad is None:
            return None
        return self.kernels[name].bytes * self.case.rows / self.times[name].median / self.triad

    def peer(self, name: str) -> tuple[str, Timing] | None:
        """The fastest call of a peer that does the same work."""
        triangle = self.kernels[name].order == "triangle"
        rivals = (SCIPY_TRIANGULAR,) if triangle else PYAMG_SWEEPS
        return min(
            ((rival, self.times[rival]) for rival in rivals if rival in self.times),
            key=lambda pair: pair[1].median,
            default=None,
        )


def measure(data: Data, peers: Peers, quick: bool) -> Outcome:
    """Ours compared with the peer's iterates, then all in turns."""
    rows, rounds = data.case.rows, 2 if quick else ROUNDS
    mine = kernels(data)
    distances = _compare(mine, data, peers)
    count = 2 if quick else 8 if rows < 3e6 else 4
    few = count if rows < 3e5 else 1
    calls: dict[str, Callable[[], Any]] = {name: partial(kernel.run, count, 1) for name, kernel in mine.items()}
    a, b, c = _spare(rows)
    memory = controls.triads(a, b, c) | controls.update(a, b)
    calls |= {name: partial(_times, count, call) for name, call in memory.items()}
    per_call = dict.fromkeys(calls, count)
    theirs = sor_peers.sweeps(peers, data.A, data.reordered, data.b, data.x, few)
    once = sor_peers.triangular_solves(peers, data.A, data.b)
    per_call |= dict.fromkeys(theirs, few) | dict.fromkeys(once, 1)
    times = harness.interleave(calls | theirs | once, rounds, BUDGET)
    threaded = _two_threads(mine, data, count, rounds)
    return Outcome(data.case, _each(times, per_call), {k: _told(v) for k, v in mine.items()}, distances, threaded)


def _told(kernel: Kernel) -> Kernel:
    """What is told of a kernel, without its matrices: all sizes together do not fit memory."""
    return Kernel(lambda count, threads: None, kernel.order, kernel.bytes, tolerance=kernel.tolerance)


def _each(times: dict[str, Timing], per_call: dict[str, int]) -> dict[str, Timing]:
    return {name: time / per_call[name] for name, time in times.items()}


def _two_threads(mine: dict[str, Kernel], data: Data, count: int, rounds: int) -> dict[str, tuple[Timing, Timing]]:
    """Those of ours that use threads, and the triad: a sweep's time on one thread, and on two."""
    if data.case.dtype != "float64":
        return {}
    calls: dict[str, Callable[[], Any]] = {}
    for threads in (1, THREADS):
        calls |= {f"{threads} {name}": partial(mine[name].run, count, threads) for name in PARALLEL if name in mine}
        triads = controls.triads(*_spare(data.case.rows), threads)
        calls |= {f"{threads} {name}": partial(_times, count, triad) for name, triad in triads.items()}
    with harness.threads(THREADS):
        times = _each(harness.interleave(calls, rounds, BUDGET), dict.fromkeys(calls, count))
    return {name[2:]: (time, times[f"{THREADS} {name[2:]}"]) for name, time in times.items() if name.startswith("1 ")}


def _times(count: int, call: Callable[[], Any]) -> None:
    for _ in range(count):
        call()


def _spare(rows: int) -> tuple[Array, ...]:
    """Three vectors, written (untouched zeros would all be one page) and at different offsets in their pages."""
    whole = np.ones((3, rows + 520))
    return tuple(vector[:rows] for vector in whole)


def _compare(mine: dict[str, Kernel], data: Data, peers: Peers) -> dict[str, float]:
    """How far our iterates are from pyamg's on the same numbers in float64."""
    if peers.pyamg is None:
        return {}
    references = {}
    for order in {kernel.order for kernel in mine.values()} - {"triangle"}:
        if order == "natural":
            references[order] = sor_peers.reference_sweeps(peers.pyamg, data.A.astype("d"), data.b, data.x, COMPARED)
        else:
            at, matrix = (data.order, data.reordered) if order == "red-black" else in_blocks(data.A)
            matrix, swept = matrix.astype("d"), np.empty_like(data.x)
            swept[at] = sor_peers.reference_sweeps(peers.pyamg, matrix, data.b[at], data.x[at], COMPARED)
            references[order] = swept
    distances = {}
    for name, kernel in mine.items():
        if kernel.iterate is not None:
            kernel.reset()
            kernel.run(COMPARED, 1)
            distances[name] = check.distance(kernel.iterate(), references[kernel.order])
    return distances


# ---- what is told ----------------------------------------------------------------------------------


def add(result: Report, peers: Peers, quick: bool) -> None:
    """A table a size, the picture, the targets."""
    outcomes: list[Outcome] = []
    picture = Panels("sweeps", "Share of the triad's byte rate, one thread", "model bytes a second / triad's", line=1.0)
    for shape in harness.progress(QUICK if quick else SHAPES, "sor, sweeps"):
        table = result.table(f"Sweeps: {shape_name(shape)}, one thread")
        for data in make(shape, plain=shape in MIDDLE):
            outcome = measure(data, peers, quick)
            outcomes.append(outcome)
            table.rows += [_row(outcome, name) for name in outcome.times]
            result.timings += [_record(outcome, name, time) for name, time in outcome.times.items()]
            if data.case.dtype == "float64":
                for name in outcome.kernels:
                    share = outcome.share(name)
                    if share is not None:
                        picture.add(outcome.case.name, name, share)
    if picture.panels:
        result.panels.append(picture)
    _threads_table(result, outcomes)
    _targets(result, outcomes)
    result.notes += _notes(outcomes)


def _row(outcome: Outcome, name: str) -> Row:
    case, time = outcome.case, outcome.times[name]
    row: Row = {
        "coefficients": case.coefficients, "type": case.dtype, "kernel": name, "time": time,
        "Mrow/s": case.rows / time.median / 1e6, "bytes/row": None, "share of triad": outcome.share(name),
        "pyamg sor / this": None, "best peer": None, "best peer / this": None, "distance": None,
    }  # fmt: skip
    if name in outcome.kernels:
        row["bytes/row"] = outcome.kernels[name].bytes
        if PYAMG_SOR in outcome.times and outcome.kernels[name].order != "triangle":
            row["pyamg sor / this"] = speed(ratio(outcome.times[PYAMG_SOR], time))
        peer = outcome.peer(name)
        if peer is not None:
            row |= {"best peer": peer[0], "best peer / this": speed(ratio(peer[1], time))}
        if name in outcome.distances:
            found = outcome.distances[name]
            row["distance"] = f"{found:.0e}" + ("" if found <= outcome.kernels[name].tolerance else " NOT THE SAME")
    return row


def _threads_table(result: Report, outcomes: list[Outcome]) -> None:
    table = result.table(f"Sweeps: {THREADS} threads against one, float64")
    gains = []
    for outcome in outcomes:
        triad = outcome.threaded.get(controls.TRIAD)
        memory = ratio(*triad) if triad else None
        for name, (one, two) in outcome.threaded.items():
            gain = ratio(one, two)
            table.rows.append({
                "case": outcome.case.name, "kernel": name, "1 thread": one, f"{THREADS} threads": two,
                "gain": speed(gain), "triad's gain": memory,
                # where a host takes a core away now and then, the medians tell of the host
                "least over least": speed(one.minimum / two.minimum),
            })  # fmt: skip
            result.timings.append(_record(outcome, name, two, THREADS))
            if name in outcome.kernels and memory is not None and memory >= GAIN:
                gains.append((gain, f"{name}, {outcome.case.name}"))
    least, where = min(gains, default=(None, "-"))
    figure = f"sweeps, {THREADS} threads where the triad gains {GAIN:g}x: least gain ({where})"
    result.targets.append(Target(figure, ">=", GAIN, least))


def _record(outcome: Outcome, name: str, time: Timing, threads: int = 1) -> Row:
    case = outcome.case
    low, high = time.quartiles
    return {
        "benchmark": "sweeps", "case": case.name, "shape": "x".join(map(str, case.shape)), "threads": threads,
        "coefficients": case.coefficients, "dtype": case.dtype, "kernel": name, "median_ms": 1e3 * time.median,
        "q1_ms": 1e3 * low, "q3_ms": 1e3 * high, "rounds": time.rounds, "Mrow/s": case.rows / time.median / 1e6,
        "share_of_triad": outcome.share(name) if threads == 1 else None, "distance": outcome.distances.get(name),
    }  # fmt: skip


def _targets(result: Report, outcomes: list[Outcome]) -> None:
    """Of the constant float64 cases."""
    plain = {o.case.shape: o for o in outcomes if o.case.dtype == "float64" and not o.case.variable}

    def least(name: str, shapes: list[linear_problems.Shape], peer: str = PYAMG_SOR) -> float | None:
        found = [plain[shape].times for shape in shapes if shape in plain]
        ratios = [ratio(times[peer], times[name]) for times in found if peer in times and name in times]
        return min(ratios) if len(ratios) == len(shapes) else None

    def share(name: str, shapes: list[linear_problems.Shape]) -> float | None:
        found = [plain[shape].share(name) for shape in shapes if shape in plain]
        shares = [value for value in found if value is not None]
        return min(shares) if len(shares) == len(shapes) else None

    flat, solid = list(SHAPES[:3]), list(SHAPES[3:])
    wide = [SHAPES[0], SHAPES[2]]
    result.targets += [
        Target("sweeps, 256^2 and 2048^2: pyamg sor / stencil red-black", ">=", 25.0, least(RED_BLACK, wide)),
        Target("sweeps, 192^3: pyamg sor / stencil red-black", ">=", 12.0, least(RED_BLACK, SHAPES[5:])),
        Target("sweeps, 2-D: stencil red-black, share of the triad", ">=", 1.0, share(RED_BLACK, flat)),
        Target("sweeps, 2-D: stencil red-black, tiled, share of the triad", ">=", 1.6, share(TILED, flat)),
        Target("sweeps, 2-D: pyamg sor / CSR wavefront", ">=", 3.0, least(WAVEFRONT, flat)),
        Target("sweeps, 3-D: pyamg sor / CSR wavefront", ">=", 2.3, least(WAVEFRONT, solid)),
        Target("sweeps, 256^2: pyamg sor / CSR multicolor", ">=", 5.0, least(MULTICOLOR, flat[:1])),
        Target("sweeps, 1024^2: pyamg sor / CSR multicolor", ">=", 3.0, least(MULTICOLOR, flat[1:2])),
        Target(
            "triangular solve, all sizes: scipy spsolve_triangular / CSR wavefront", ">=", 15.0,
            least(f"{WAVEFRONT}, triangular solve", flat + solid, SCIPY_TRIANGULAR),
        ),
    ]  # fmt: skip


def _notes(outcomes: list[Outcome]) -> list[str]:
    compared = [(d, o.kernels[name].tolerance) for o in outcomes for name, d in o.distances.items()]
    right = sum(distance <= tolerance for distance, tolerance in compared)
    return [
        f"Sweeps: omega = {OMEGA}, normal b and x. 'distance' is the largest difference of our iterate after "
        f"{COMPARED} sweeps from pyamg's in float64 on the same entries, in the same order of the points, over its "
        f"largest entry: {right} of {len(compared)} are at most 1e-12, or 1e-5 where the vectors are float32.",
        "'share of triad' is the bytes of the kernel's model (bytes/row) a second over what STREAM's triad counts "
        "(24 bytes an element, ordinary stores) on vectors of as many doubles, in the same rounds. A sweep over "
        "compressed rows moves 12 bytes an entry (8 in float32) and 36 a row; a constant stencil 24 a row, a variable "
        "one 8 more a coefficient that is kept.",
        "Ours are timed from packed vectors, as inside a solve, which packs once. Peers sweep in place, or as their "
        f"interface has it. A call that would take longer than {BUDGET:g} s in all rounds has fewer.",
    ]
