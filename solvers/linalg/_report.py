"""What a `SequenceSolver` did and learned, as a table and a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np


class Record(NamedTuple):
    """One solve."""

    arm: str
    seconds: float
    setup: float
    nit: int
    trial: bool
    failed: bool
    condition: float


@dataclass(frozen=True, eq=False, repr=False)
class SequenceReport:
    """Numbers by arm; ``print(report)`` shows a table, ``report.figure()`` a picture.

    Attributes
    ----------
    solves : int
    seconds : float
        Of all solves.
    rows : list of dict
        For each arm that was played or could be: ``arm, solves, trials, failures, seconds, setup_seconds, iterations,
        forecast`` (the cost expected of a solve like the last one) and ``factor`` (how far it may be off, one standard
        deviation).
    records : list
        The solves one by one.
    """

    solves: int
    seconds: float
    rows: list[dict[str, Any]]
    records: list[Record]
    cost: str

    @classmethod
    def of(
        cls, records: list[Record], arms: list[str], forecasts: dict[str, tuple[float, float]], cost: str
    ) -> SequenceReport:
        rows: list[dict[str, Any]] = []
        for arm in dict.fromkeys([*arms, *(record.arm for record in records)]):
            mine = [record for record in records if record.arm == arm]
            if not mine and arm not in forecasts:
                continue
            forecast, factor = forecasts.get(arm, (np.nan, np.nan))
            rows.append(
                {
                    "arm": arm, "solves": len(mine), "trials": sum(r.trial for r in mine),
                    "failures": sum(r.failed for r in mine), "seconds": sum(r.seconds for r in mine),
                    "setup_seconds": sum(r.setup for r in mine), "iterations": sum(r.nit for r in mine),
                    "forecast": forecast, "factor": factor,
                }
            )  # fmt: skip
        rows.sort(key=lambda row: (-row["solves"], row["forecast"]))
        return cls(len(records), sum(r.seconds for r in records), rows, records, cost)

    def __repr__(self) -> str:
        unit = "iterations" if self.cost == "iterations" else "ms"
        scale = 1.0 if self.cost == "iterations" else 1e3
        lines = [f"{'arm':<18} {'solves':>6} {'trials':>6} {'failed':>6} {'seconds':>9} {'of setup':>9} {unit:>12}"]
        for row in self.rows:
            forecast = f"{scale * row['forecast']:.3g} x/{row['factor']:.2f}" if row["forecast"] > 0 else "-"
            lines.append(
                f"{row['arm']:<18} {row['solves']:>6} {row['trials']:>6} {row['failures']:>6} {row['seconds']:>9.3g} "
                f"{row['setup_seconds']:>9.3g} {forecast:>12}"
            )
        lines.append(f"{self.solves} solves, {self.seconds:.3g} s; the last column: what the next solve would cost")
        return "\n".join(lines)

    def figure(self) -> Any:
        """A matplotlib figure: the time of each solve by arm, and the costs expected now."""
        import importlib

        Figure = importlib.import_module("matplotlib.figure").Figure
        figure = Figure(figsize=(9.0, 4.2), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(2, 1))
        played = [row["arm"] for row in self.rows if row["solves"]]
        for arm in played:
            points = [(k, 1e3 * r.seconds) for k, r in enumerate(self.records) if r.arm == arm]
            left.semilogy(*zip(*points, strict=True), ".", markersize=4, label=arm)
        left.set_xlabel("solve")
        left.set_ylabel("milliseconds")
        if played:
            left.legend(fontsize=7, frameon=False)
        known = [row for row in self.rows if row["forecast"] > 0]
        known.sort(key=lambda row: row["forecast"])
        values = np.array([row["forecast"] for row in known]) * (1.0 if self.cost == "iterations" else 1e3)
        factors = np.array([row["factor"] for row in known])
        errors = np.stack([values - values / factors, values * factors - values]) if known else None
        right.errorbar(values, range(len(known)), xerr=errors, fmt="o", markersize=4, linewidth=1)
        right.set_yticks(range(len(known)), [row["arm"] for row in known], fontsize=7)
        right.set_xscale("log")
        right.invert_yaxis()
        right.set_xlabel("iterations expected now" if self.cost == "iterations" else "milliseconds expected now")
        for axis in (left.yaxis, right.xaxis):
            axis.set_major_formatter(_round_number)
            axis.set_minor_formatter(_round_number)
        for axes in (left, right):
            axes.spines[["top", "right"]].set_visible(False)
        return figure


def _round_number(value: float, place: int) -> str:
    """The label of a mark on a logarithmic axis: 1, 2 and 5 times a power of ten have one."""
    if not value > 0:
        return ""
    digit = round(value / 10.0 ** np.floor(np.log10(value) + 1e-9))
    return f"{value:g}" if digit in (1, 2, 5) else ""
