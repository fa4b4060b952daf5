"""The page: the table, the pictures, the convergence curves, and what it all ran on."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from solvers import show_config

from .pictures import convergence
from .row import Picture, Row
from .table import HEAD, cells


def write_report(rows: Sequence[Row], output: Path, threads: int, note: str = "") -> Path:
    """Write report.html and every picture into `output`; the page carries its pictures inside.

    `note` stands below the table: what a reader must know of this run.
    """
    output.mkdir(parents=True, exist_ok=True)
    sections = []
    for row in rows:
        curves = _curves(row)
        for picture in (*row.pictures, *curves):
            (output / f"{row.name}-{picture.name}.png").write_bytes(picture.png)
        sections.append({"row": row, "cells": cells(row), "pictures": row.pictures, "curves": curves})
    page = output / "report.html"
    page.write_text(_render(sections, threads, note), encoding="utf-8")
    return page


def _curves(row: Row) -> tuple[Picture, ...]:
    if not row.curves:
        return ()
    return (Picture("convergence", row.curves_caption, convergence(row.curves, row.curves_label), wide=True),)


def _render(sections: Sequence[dict[str, object]], threads: int, note: str) -> str:
    # The file's ending is not .html, so that autoescape must be asked for.
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["embedded"] = lambda png: f"data:image/png;base64,{base64.b64encode(png).decode()}"
    template = resources.files(__package__).joinpath("report.html.j2").read_text(encoding="utf-8")
    facts = {**show_config(), "threads": threads, "cores": os.cpu_count()}
    return environment.from_string(template).render(head=HEAD, sections=sections, facts=facts, note=note)
