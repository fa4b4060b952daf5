"""Rows and columns of log-sum-exp as optimal transport needs them: LSE_j((g_j - C_ij) / eps).

Ours is the fused sweep of `solvers.ot`, which in one read of C finds the row values, the new row potentials and the
column sums: a whole Sinkhorn iteration. The row values of SciPy and torch alone are only its first half; an iteration
of POT, rows and columns, is the difference of a call with two and one with one, so its set-up and its plan do not
count. The sweep refers its exponents to the values of the sweep before, as in Sinkhorn's iteration; that one ran before
the clock did.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special

from solvers.ot._cost import Cost

from . import harness
from .harness import ratio
from .problems import Array
from .report import Report, Row, Target, speed
from .softmax_peers import Peers

LN2 = float(np.log(2.0))

#: One iteration of `ot.bregman.sinkhorn_log`, and two.
POT = ("POT, 1 iteration", "POT, 2 iterations")

#: Points a side of cells that are too slow for POT.
LARGE = 10_000


def add(result: Report, peers: Peers, quick: bool) -> None:
    """One table, and the smallest ratios over the stored float64 matrices of n = 1000 and 4000."""
    table = result.table("Row log-sum-exp of (g - C)/eps, n x n, one thread: ours with the column sums on top")
    gains: dict[str, list[float]] = {"scipy": [], "torch": []}
    cells = [(n, eps, dtype) for n in ((50,) if quick else (1000, 4000)) for eps in (0.1, 1e-2, 1e-3)
             for dtype in ("float64", "float32")]  # fmt: skip
    cells += [] if quick else [(LARGE, 1e-2, "float64"), (LARGE, 1e-2, "float32")]
    for n, eps, dtype in harness.progress(cells, "softmax, transport"):
        rng = np.random.default_rng(2)
        cost, g = rng.random((n, n)).astype(dtype), 0.1 * rng.standard_normal(n)
        calls = _calls(cost, g, eps, peers)
        errors: dict[str, float] = {}
        exact = scipy.special.logsumexp((g - cost.astype(np.float64)) / eps, axis=1)

        def inspect(name: str, got: Any, exact: Array = exact, errors: dict[str, float] = errors) -> None:
            if name not in POT:
                errors[name] = float(np.abs(np.asarray(got, np.float64) - exact).max())

        times = harness.interleave(calls, 3 if quick else 20, 2.0, inspect=inspect, fewest=3)
        row: Row = {"n": n, "eps": eps, "C": dtype, **times}
        for name in gains:
            if name in times:
                gain = ratio(times[name], times["ours"])
                row[f"{name} / ours"] = speed(gain)
                if dtype == "float64" and n < LARGE:
                    gains[name].append(gain)
        if POT[0] in times:
            iteration = times[POT[1]].median - times[POT[0]].median
            row["an iteration of POT / ours"] = speed(iteration / times["ours"].median)
        row["ours: GB/s of C"] = cost.nbytes / times["ours"].median / 1e9
        row |= {f"error {name}": f"{error:.1e}" for name, error in errors.items()}
        table.rows.append(row)
    for name, bound in (("scipy", 80.0), ("torch", 30.0)):
        measured = min(gains[name]) if gains[name] else None
        result.targets.append(
            Target(f"transport rows, float64: time of {name} / ours, smallest", ">=", bound, measured)
        )


def _calls(cost: Array, g: Array, eps: float, peers: Peers) -> dict[str, Callable[[], Any]]:
    n, m = cost.shape
    scale, kernel = 1 / (eps * LN2), Cost(matrix=cost).kernel
    u, v, ones, column_sums = np.zeros(n), g * scale, np.ones(n), np.empty(m)

    def ours() -> Array:
        kernel.sweep(scale, ones, u, v, column_sums, 1)
        return -u * LN2

    calls: dict[str, Callable[[], Any]] = {
        "ours": ours,
        "scipy": lambda: scipy.special.logsumexp((g - cost) / eps, axis=1),
    }
    if peers.torch is not None:
        torch, tensor, potential = peers.torch, peers.torch.from_numpy(cost), peers.torch.from_numpy(g)
        calls["torch"] = lambda: torch.logsumexp((potential - tensor) / eps, 1)
    pot = harness.peer("ot")
    if pot is not None and n < LARGE and cost.dtype == np.float64:
        mass = np.full(n, 1 / n)
        for count, name in enumerate(POT, 1):
            calls[name] = lambda count=count: pot.bregman.sinkhorn_log(
                mass, mass, cost, eps, numItermax=count, stopThr=0, warn=False
            )
    return calls
