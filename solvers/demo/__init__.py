"""The demo: real problems beside the package that one would use today, as a table and a page with pictures.

A row of the table is one file in `rows/`; nothing else knows of it.
"""

from __future__ import annotations

import os
from pathlib import Path

#: From this load a core on, other programs distort the times.
BUSY = 0.5


def demo(output: str = "build/demo", threads: int | None = None) -> None:
    """Run every row, print the table, write the report and the pictures to `output`."""
    from .._base.threads import resolve

    note, count = load_note(), resolve(threads)
    try:
        from .report import write_report
        from .run import run_rows
        from .table import as_text

        rows = run_rows(count)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "solvers"):
            raise
        raise SystemExit(f"the demo needs {package}: pip install 'solvers-toolkit[demo]'") from None
    page = write_report(rows, Path(output), count, note)
    print("\n".join([as_text(rows), *[note] * bool(note), f"\nreport: {page}"]))


def load_note() -> str:
    """What to say of a machine that is not idle; nothing where it is, or where that cannot be known."""
    if not hasattr(os, "getloadavg"):
        return ""
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    if load < BUSY * cores:
        return ""
    return f"the load was {load:.1f} on {cores} cores before the start: other programs may have distorted the times"
