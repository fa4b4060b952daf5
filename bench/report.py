"""Tables, targets, and how they are written: Markdown, CSV and a picture."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .harness import Timing

Row = dict[str, Any]

READING = (
    "Times are medians of interleaved rounds ± half the interquartile range; a ratio is a peer's time over ours, above "
    "1 we are faster."
)


@dataclass
class Table:
    """Rows of named cells. A cell may be a `Timing`: Markdown shows it in short, CSV in numbers."""

    title: str
    rows: list[Row] = field(default_factory=list)

    def columns(self) -> list[str]:
        """All names, in the order of their first appearance."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def markdown(self) -> str:
        columns = self.columns()
        cells = [[_text(row.get(name)) for name in columns] for row in self.rows]
        widths = [max(len(column[k]) for column in [columns, *cells]) for k in range(len(columns))]
        lines = [columns, ["-" * width for width in widths], *cells]
        body = ("| " + " | ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)) + " |" for line in lines)
        return f"### {self.title}\n\n" + "\n".join(body)


@dataclass(frozen=True)
class Target:
    """A figure that was promised, and what came of it."""

    figure: str
    #: ">=" or "<=", and the number.
    relation: str
    bound: float
    measured: float | None
    unit: str = "x"

    @property
    def met(self) -> bool:
        if self.measured is None:
            return False
        return self.measured >= self.bound if self.relation == ">=" else self.measured <= self.bound

    def row(self) -> Row:
        verdict = "not measured" if self.measured is None else "met" if self.met else "MISSED"
        measured = None if self.measured is None else f"{self.measured:.3g} {self.unit}"
        return {
            "figure": self.figure, "target": f"{self.relation} {self.bound:g} {self.unit}", "measured": measured,
            "verdict": verdict,
        }  # fmt: skip


@dataclass
class Bars:
    """A picture of ratios: bars to the right of 1 are in our favour."""

    axis: str
    labels: list[str] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def add(self, label: str, value: float) -> None:
        self.labels.append(label)
        self.values.append(value)


@dataclass
class Lines:
    """A picture of curves over sizes, side by side; both scales are logarithmic, or one of them alone."""

    name: str
    title: str
    axes: tuple[str, str]
    #: The vertical scale is not logarithmic.
    linear: bool = False
    #: The horizontal scale is not; the points have no marks.
    even: bool = False
    #: Panel -> curve -> its points.
    panels: dict[str, dict[str, list[tuple[float, float]]]] = field(default_factory=dict)

    def add(self, panel: str, curve: str, x: float, y: float) -> None:
        self.panels.setdefault(panel, {}).setdefault(curve, []).append((x, y))


@dataclass
class Panels:
    """A picture of bars in panels, those whose label begins with "ours" in another colour."""

    name: str
    title: str
    axis: str
    #: Where a line is drawn across the bars.
    line: float | None = None
    log: bool = False
    #: Panel -> label -> value.
    panels: dict[str, dict[str, float]] = field(default_factory=dict)

    def add(self, panel: str, label: str, value: float) -> None:
        self.panels.setdefault(panel, {})[label] = value


@dataclass
class Report:
    """What one command leaves behind: <name>.md, <name>.csv and <name>.png.

    With curves or panels also <name>-<their name>.png, with timings <name>-timings.csv.
    """

    name: str
    title: str
    header: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    picture: Bars | None = None
    curves: list[Lines] = field(default_factory=list)
    panels: list[Panels] = field(default_factory=list)
    #: One timed call a row, for other programs to read.
    timings: list[Row] = field(default_factory=list)

    def table(self, title: str) -> Table:
        """A new table at the end."""
        self.tables.append(Table(title))
        return self.tables[-1]

    def all_tables(self) -> list[Table]:
        """The tables, that of the targets last."""
        return self.tables + ([Table("Targets", [t.row() for t in self.targets])] if self.targets else [])

    def markdown(self) -> str:
        head = [f"## {self.title}\n", *("- " + line for line in [*self.header, READING])]
        notes = [f"{k}. {note}" for k, note in enumerate(self.notes, 1)]
        parts = ["\n".join(head), *(table.markdown() for table in self.all_tables()), "\n".join(notes)]
        return "\n\n".join(part for part in parts if part) + "\n"

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{self.name}.md").write_text(self.markdown(), encoding="utf-8")
        rows = [{"table": t.title, **_numbers(row)} for t in self.all_tables() for row in t.rows]
        _write_csv(folder / f"{self.name}.csv", rows)
        if self.timings:
            _write_csv(folder / f"{self.name}-timings.csv", self.timings)
        if self.picture is not None and self.picture.values:
            _draw(folder / f"{self.name}.png", lambda pyplot: _bars(pyplot, self.picture, self.title))
        for lines in self.curves:
            _draw(folder / f"{self.name}-{lines.name}.png", lambda pyplot, lines=lines: _lines(pyplot, lines))
        for panels in self.panels:
            _draw(folder / f"{self.name}-{panels.name}.png", lambda pyplot, panels=panels: _panels(pyplot, panels))


def speed(value: float, at_least: bool = False) -> str:
    """A ratio in words that cannot be misread: above 1 we are faster; `at_least` where it is only a lower bound."""
    return f"{'>= ' if at_least else ''}{value:.3g}x" + (" SLOWER" if value < 1 and not at_least else "")


def _text(cell: Any) -> str:
    if cell is None:
        return "-"
    return f"{cell:.3g}" if isinstance(cell, float) else str(cell)


def _numbers(row: Row) -> Row:
    """The row with each timing as numbers in columns of its own."""
    flat: Row = {}
    for name, cell in row.items():
        if isinstance(cell, Timing):
            low, high = cell.quartiles
            flat |= {f"{name} median s": cell.median, f"{name} q1 s": low, f"{name} q3 s": high}
            flat[f"{name} rounds"] = cell.rounds
        else:
            flat[name] = cell
    return flat


def _write_csv(path: Path, rows: list[Row]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows(rows)


def _draw(path: Path, make: Callable[[Any], Any]) -> None:
    """Save the figure that `make` returns."""
    try:
        import matplotlib as mpl
    except ImportError:
        print(f"matplotlib is not installed: no {os.fspath(path.name)}")
        return
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure = make(plt)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _bars(pyplot: Any, bars: Bars, title: str) -> Any:
    count = len(bars.values)
    figure, axes = pyplot.subplots(figsize=(9, 1.6 + 0.24 * count), layout="constrained")
    colours = ["#2a78b5" if value >= 1 else "#c8442c" for value in bars.values]
    drawn = axes.barh(range(count), [value - 1 for value in bars.values], left=1, color=colours, height=0.7)
    axes.bar_label(drawn, [f"{value:.3g}" for value in bars.values], padding=3, fontsize=7)
    axes.set_xscale("log")
    axes.margins(x=0.15, y=0.01)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_yticks(range(count), bars.labels, fontsize=7)
    axes.invert_yaxis()
    axes.set_xlabel(bars.axis)
    axes.set_title(title, fontsize=10)
    return figure


def _lines(pyplot: Any, lines: Lines) -> Any:
    count = len(lines.panels)
    figure, panels = pyplot.subplots(
        1, count, figsize=(6 * count, 4.5), sharey=True, squeeze=False, layout="constrained"
    )
    # a curve has one colour in all panels, whichever others are beside it, and one line of the legend
    numbers = {curve: k for k, curve in enumerate(dict.fromkeys(c for curves in lines.panels.values() for c in curves))}
    drawn: dict[str, Any] = {}
    for axes, (panel, curves) in zip(panels[0], lines.panels.items(), strict=True):
        for curve, points in curves.items():
            number, mark = numbers[curve], None if lines.even else "o"
            look = {"color": f"C{number}", "linestyle": "-" if number < 10 else "--"}  # there are ten colours
            (drawn[curve],) = axes.plot(
                *zip(*points, strict=True), marker=mark, markersize=3, linewidth=1.2, label=curve, **look
            )
        if not lines.even:
            axes.set_xscale("log", base=2)
        axes.set_yscale("linear" if lines.linear else "log")
        axes.grid(alpha=0.3, which="both")
        axes.set_xlabel(lines.axes[0])
        axes.set_title(panel, fontsize=10)
    panels[0, 0].set_ylabel(lines.axes[1])
    panels[0, -1].legend(handles=[drawn[curve] for curve in numbers], fontsize=8)
    figure.suptitle(lines.title, fontsize=11)
    return figure


def _panels(pyplot: Any, panels: Panels) -> Any:
    across = min(3, len(panels.panels))
    down = -(-len(panels.panels) // across)
    most = max(len(bars) for bars in panels.panels.values())
    figure, grid = pyplot.subplots(
        down, across, figsize=(5.5 * across, down * (1.1 + 0.2 * most)), squeeze=False, layout="constrained"
    )
    for axes in list(grid.flat)[len(panels.panels) :]:
        axes.axis("off")
    for axes, (panel, bars) in zip(grid.flat, panels.panels.items(), strict=False):
        colours = ["#2a78b5" if label.startswith("ours") else "#9a9a9a" for label in bars]
        drawn = axes.barh(range(len(bars)), list(bars.values()), color=colours, height=0.7)
        axes.bar_label(drawn, [f"{value:.3g}" for value in bars.values()], padding=2, fontsize=7)
        axes.set_yticks(range(len(bars)), list(bars), fontsize=7)
        axes.invert_yaxis()
        axes.set_xscale("log" if panels.log else "linear")
        axes.margins(x=0.15, y=0.01)
        if panels.line is not None:
            axes.axvline(panels.line, color="black", linewidth=0.8)
        axes.set_xlabel(panels.axis, fontsize=8)
        axes.set_title(panel, fontsize=9)
    figure.suptitle(panels.title, fontsize=11)
    return figure
