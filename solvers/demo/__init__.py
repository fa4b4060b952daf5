"""The demo: real problems beside the package that one would use today, as a table and a page with pictures.

A row of the table is one file in `rows/`; nothing else knows of it.
"""

from __future__ import annotations

from pathlib import Path


def demo(output: str = "build/demo", threads: int | None = None) -> None:
    """Run every row, print the table, write the report and the pictures to `output`."""
    from .._base.threads import resolve

    try:
        from .report import write_report
        from .run import run_rows
        from .table import as_text

        rows = run_rows(resolve(threads))
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "solvers":
            raise
        raise SystemExit(f"the demo needs {error.name}: pip install 'solvers-toolkit[demo]'") from None
    print(as_text(rows))
    print(f"\nreport: {write_report(rows, Path(output), resolve(threads))}")
