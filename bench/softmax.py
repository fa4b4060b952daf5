"""softmax, log_softmax and logsumexp against torch, onnxruntime, jax and SciPy: speed, what memory allows, error.

Each part adds its tables and targets; a further part is a function and a line in `report`.
"""

from __future__ import annotations

import numpy as np

from . import (
    harness,
    softmax_accuracy,
    softmax_calls,
    softmax_cells,
    softmax_lengths,
    softmax_methods,
    softmax_peers,
    softmax_transport,
)
from .problems import exponents
from .report import Bars, Report
from .softmax_peers import Peers


def report(quick: bool = False) -> Report:
    """All parts."""
    result = Report("softmax", "solvers.special against torch, onnxruntime, jax and SciPy", picture=Bars(
        "fastest peer's time / ours, out= and fresh each against its like, the smaller ratio (log scale)"
    ))  # fmt: skip
    softmax_methods.add(result, quick)  # first: the peers' idle threads could disturb its processes
    peers = softmax_peers.load()
    kept = not quick and harness.keep_freed_memory()
    with harness.threads(1):
        result.notes.append(_processors(peers, quick))
        softmax_cells.add(result, peers, quick)
        softmax_lengths.add(result, peers, quick)
        softmax_calls.add_overhead(result, peers, quick)
        softmax_transport.add(result, peers, quick)
        softmax_accuracy.add(result, peers, quick)
    softmax_calls.add_threads(result, quick)
    result.header = harness.versions("torch", "onnxruntime", "jax", "mpmath")
    result.notes += [
        "'out' is written to an array given (and touched before; the same for all), 'fresh' to a new one, which is "
        "what users call. SciPy and jax have no out=; onnxruntime writes to an array bound to its output.",
        "ULP columns of the cells: largest error of the timed results on a sample, against long double.",
        f"malloc keeps freed blocks below 32 MB: {kept}. Larger fresh results cost page faults on either side.",
        "Controls (bench/controls.c) run in the same rounds: a read, a copy by streaming stores (NT copy), by memcpy, "
        "and by ordinary stores. The limit of a long row is read + NT copy, of a batch NT copy, of logsumexp read; "
        "where the arrays fit the cache, a limit made for memory can be beaten.",
        f"Cells have {softmax_cells.ROUNDS} rounds, slow calls fewer, {softmax_cells.FEWEST} at least.",
    ]
    result.notes += [
        f"{name} is not installed: its columns are missing, and its targets are not measured." for name in peers.missing
    ]
    return result


def _processors(peers: Peers, quick: bool) -> str:
    """Evidence that all run on one thread: the processor time that each uses."""
    x = exponents("normal", (40, 100) if quick else (4096, 1000), "float32")
    calls = softmax_peers.calls("softmax", x, 1, np.zeros_like(x), peers)
    seconds = 0.01 if quick else 0.2
    used = {name: f"{harness.processors_used(call, seconds):.2f}" for name, call in calls.items()}
    return "Processors kept busy by each call: " + ", ".join(f"{name} {number}" for name, number in used.items()) + "."
