"""The table of the demo as text."""

from __future__ import annotations

from collections.abc import Iterable

from .row import Row

HEAD = ("problem", "size", "solvers", "time", "peer", "time", "solvers is", "accuracy", "peer's", "status")


def cells(row: Row) -> tuple[str, ...]:
    """A row's cells, for text and for the report."""
    return (
        row.problem, row.size, row.method, duration(row.seconds), row.peer, duration(row.peer_seconds), row.verdict,
        f"{row.accuracy:.1e}", f"{row.peer_accuracy:.1e}", row.status,
    )  # fmt: skip


def duration(seconds: float) -> str:
    """Three digits with a unit."""
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1e3 * seconds:.3g} ms"


def as_text(rows: Iterable[Row]) -> str:
    """A table with aligned columns, and below it what the accuracies are."""
    rows = list(rows)
    lines = [HEAD, *(cells(row) for row in rows)]
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    text.insert(1, "  ".join("-" * width for width in widths))
    labels = dict.fromkeys(row.accuracy_label for row in rows)
    notes = [f"accuracy: {label}; smaller is better" for label in labels]
    return "\n".join(["", *text, "", *notes])
