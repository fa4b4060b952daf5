"""The one command: runs a benchmark, prints it, and writes it under build/bench.

    python -P bench/run.py [NAME] [--quick] [--out FOLDER] [--problems KIND ...] [--data SET ...]
                           [--solvers NAME ...] [--fresh]

NAME is one of `BENCHMARKS`, or "all" (the default). The others choose among the cells of "bcd", "halpern" and "cutest".

Called as a file so that neither this folder (whose `ot` would hide POT) nor the repository's root (whose
`solvers` has no compiled modules) comes onto the path: what is timed is the installed package.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import importlib.util
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent

#: Name on the command line -> module.
BENCHMARKS = {
    "softmax": "softmax", "ot": "ot", "ot-paper": "ot_paper", "ot-exact": "ot_exact", "sor": "sor",
    "sor-learning": "sor_learning", "sor-sequences": "sor_sequences", "grid": "grid",
    "grid-learned": "grid_learned", "dcdm": "dcdm",
    "bcd-paper": "bcd_paper", "bcd-lattice": "bcd_lattice", "bcd": "bcd",
    "halpern": "halpern", "halpern-paper": "halpern_paper", "halpern-sums": "halpern_sums",
    "cutest": "cutest",
    "gala-paper": "gala_paper", "sketches": "sketches", "logistic": "logistic_constrained",
    "pde": "pde_control", "reading": "reading", "library": "library",
    "ranks": "ranks", "embedding": "embedding",
}  # fmt: skip

#: What chooses among the cells of a benchmark.
CELLS = {"bcd": ("problems", "data"), "halpern": ("problems",), "cutest": ("problems", "solvers", "fresh")}

QUICK = "QUICK RUN: sizes and rounds are too small for these figures to mean anything."


def load_package() -> None:
    """Make this folder importable as `bench`, whatever the path."""
    if "bench" in sys.modules:
        return
    spec = importlib.util.spec_from_file_location("bench", HERE / "__init__.py", submodule_search_locations=[str(HERE)])
    assert spec is not None
    assert spec.loader is not None
    sys.modules["bench"] = package = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench/run.py", description="Figures against named peers.")
    parser.add_argument("name", nargs="?", default="all", choices=["all", *BENCHMARKS])
    parser.add_argument("--quick", action="store_true", help="tiny sizes, few rounds: only tries the code")
    parser.add_argument("--out", type=Path, default=HERE.parent / "build" / "bench", help="where the reports go")
    parser.add_argument("--problems", nargs="+", help="lasso, ..., uniform, ..., HS71, ..., paper, harder, ...")
    parser.add_argument("--data", nargs="+", help="of bcd: names of sets, small, large, dense, sparse or all")
    parser.add_argument("--solvers", nargs="+", help="of cutest: ours, IPOPT, ... (bench/cutest_peers.py)")
    parser.add_argument("--fresh", action="store_true", help="of cutest: run peers again whose results are kept")
    chosen = parser.parse_args(arguments)
    cells = {name: value for name in ("problems", "data", "solvers", "fresh") if (value := getattr(chosen, name))}
    if not cells.keys() <= set(CELLS.get(chosen.name, ())):
        parser.error(f"{chosen.name} has no such cells")
    load_package()
    if chosen.name == "all":
        return everything(chosen.quick, chosen.out)
    return one(chosen.name, chosen.quick, chosen.out, **cells)


def one(name: str, quick: bool, out: Path, **cells: Any) -> int:
    """Run, write and print one report."""
    from bench import controls

    start = time.perf_counter()
    before = controls.gain()
    report = importlib.import_module(f"bench.{BENCHMARKS[name]}").report(quick=quick, **cells)
    report.notes.append(f"This report took {time.perf_counter() - start:.0f} s.")
    if before and (after := controls.gain()):
        report.notes.append(
            f"Two threads did {before:.2f} times the arithmetic of one at its start and {after:.2f} times at its end: "
            "2 where each has a core to itself."
        )
    if quick:
        report.notes.insert(0, QUICK)
    report.write(out)
    print(report.markdown())
    return 0


def everything(quick: bool, out: Path) -> int:
    """All reports, each in a process of its own so that none feels what the others did; then their targets."""
    from bench.harness import versions
    from bench.report import Report, Table

    start = time.perf_counter()
    table = Table("Targets")
    for name in BENCHMARKS:
        command = [sys.executable, "-P", str(HERE / "run.py"), name, "--out", str(out), *(["--quick"] if quick else [])]
        subprocess.run(command, check=True)
        with open(out / f"{name}.csv", newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row["table"] == "Targets"]
        table.rows += [{key: row[key] for key in ("figure", "target", "measured", "verdict")} for row in rows]
    summary = Report("summary", "All figures with a target", versions(), [table], notes=[QUICK] if quick else [])
    summary.notes.append(f"All reports took {time.perf_counter() - start:.0f} s.")
    summary.write(out)
    print(summary.markdown())
    return 0


if __name__ == "__main__":
    if sys.path[0] == str(HERE):  # started without -P
        del sys.path[0]
    raise SystemExit(main())
