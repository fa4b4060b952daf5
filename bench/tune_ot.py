"""Our solver alone over the benchmark's cells: for tuning a method, in minutes.

    python -P bench/tune_ot.py [--cells all|quick|PATTERN ...] [--method M] [--options k=v ...] [--json FILE]
        [--against FILE] [--beside PEER ...]

One line a cell: processor time (the smallest of some runs, one thread), passes over the costs, steps, CG iterations,
and the error of the plan as bench/check.py finds it. Patterns are parts of the names that --list prints, or fit the
whole: `--cells B1 n5000 "B2:digits*/1200"`. --json keeps the figures, and --against compares with such a file.
--beside POT regot runs these cells instead as `make bench-ot` does, in turns with each peer's best method.
Called as a file, as bench/run.py is.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent

#: Counts that methods report in `result.stats`, shown where they are there.
COUNTS = ("passes", "sinkhorn", "newton", "cg")


def measure(cell: Any, problem: Any, args: argparse.Namespace) -> dict[str, Any]:
    """The figures of one cell."""
    from bench.check import plan_error
    from solvers import ot

    seconds: list[float] = []
    while len(seconds) < args.repeat and (not seconds or sum(seconds) < args.limit / 3):
        start = time.process_time()
        result = ot.solve(
            problem.cost, problem.a, problem.b, reg=cell.reg, tol=cell.level, method=args.method, options=args.options,
            max_iter=args.max_iter, time_limit=args.limit, threads=1,
        )  # fmt: skip
        seconds.append(time.process_time() - start)
    error = plan_error(result.plan.dense(), problem, cell.reg)
    counts = {name: result.stats.get(name) for name in COUNTS}
    return {
        "cell": cell.name, "method": result.method, "seconds": min(seconds), "nit": result.nit, **counts,
        "error": error, "reached": error <= cell.level, "success": result.success, "status": result.status.name,
    }  # fmt: skip


def line(row: dict[str, Any], before: dict[str, Any] | None) -> str:
    """One row of the table, with the earlier run's time over this one's."""
    counts = " ".join(f"{'-' if row[name] is None else row[name]:>8}" for name in COUNTS)
    text = f"{row['cell']:34} {row['method']:9} {row['seconds']:9.4f} s {row['nit']:6} {counts} {row['error']:9.1e}"
    if before is not None:
        text += f"  {before['seconds'] / row['seconds']:6.2f}x"
    if not row["reached"]:
        text += f"  NOT REACHED ({row['status']})"
    if row["reached"] != row["success"]:
        text += f"  success={row['success']}, THE JUDGE DIFFERS"
    return text


def totals(rows: list[dict[str, Any]], earlier: dict[str, dict[str, Any]]) -> list[str]:
    """The last lines: sums, and geometric means of the time and of what it was before."""
    import numpy as np

    seconds = np.array([row["seconds"] for row in rows])
    missed = [row["cell"] for row in rows if not row["reached"]]
    sums = " ".join(f"{sum(row[name] or 0 for row in rows):>8}" for name in COUNTS)
    lines = [f"{f'total of {len(rows)}':34} {'':9} {seconds.sum():9.3f} s {sum(row['nit'] for row in rows):6} {sums}"]
    lines.append(f"geometric mean {np.exp(np.log(seconds).mean()):.4f} s; not reached: {', '.join(missed) or 'none'}")
    gains = {row["cell"]: earlier[row["cell"]]["seconds"] / row["seconds"] for row in rows if row["cell"] in earlier}
    if gains:
        worst = min(gains, key=lambda name: gains[name])
        mean = np.exp(np.log(list(gains.values())).mean())
        lines.append(f"before / now: geometric mean {mean:.3f}x, worst {gains[worst]:.3f}x at {worst}")
    return lines


def beside(cells: list[Any], peers: list[str]) -> None:
    """Each peer's time over ours, cell by cell."""
    from bench import ot_solves

    for outcome in ot_solves.run(cells, ot_solves.FULL, "beside peers", peers):
        ours = outcome.ours
        print(f"{outcome.cell.name:34} {ours.timing.median:9.4f} s {ours.match.run.error:9.1e}", end="")
        for name, entry in outcome.peers.items():
            sign = "" if entry.reached else ">= "
            print(f"   {name} {entry.match.method} {sign}{outcome.ratio(name):.2f}", end="")
        print(flush=True)


def options(pairs: list[str]) -> dict[str, Any]:
    """`k=v` as options: numbers, true, false and null as JSON has them, all else as text."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        try:
            found[name] = json.loads(value)
        except json.JSONDecodeError:
            found[name] = value
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench/tune_ot.py", description="Our solver over the benchmark's cells.")
    parser.add_argument("--cells", nargs="+", default=["all"], help="all, quick, or patterns of names")
    parser.add_argument("--list", action="store_true", help="print the names of the cells and stop")
    parser.add_argument("--method", help="method of solvers.ot.solve; its own choice where not given")
    parser.add_argument("--options", nargs="*", default=[], metavar="k=v", help="options of the method")
    parser.add_argument("--repeat", type=int, default=3, help="runs of a cell at most; slow cells get fewer")
    parser.add_argument("--limit", type=float, default=20.0, help="seconds of one solve at most")
    parser.add_argument("--max-iter", type=int, default=10**7)
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--against", type=Path, help="figures of an earlier run to compare with")
    parser.add_argument("--beside", nargs="+", metavar="PEER", help="names of bench/peers_ot.py, as POT or regot")
    args = parser.parse_args(arguments)
    args.options = options(args.options)

    from bench import harness, ot_cells

    cells = ot_cells.chosen(args.cells)
    if args.list:
        print("\n".join(cell.name for cell in cells))
        return 0
    if args.beside:
        beside(cells, args.beside)
        return 0
    earlier = {row["cell"]: row for row in json.loads(args.against.read_text())} if args.against else {}
    heads = " ".join(f"{name:>8}" for name in COUNTS)
    print(f"{'cell':34} {'method':9} {'time':>11} {'nit':>6} {heads} {'error':>9}")
    rows: list[dict[str, Any]] = []
    problem, made = None, None
    with harness.threads(1):
        for cell in cells:
            if made != (cell.group, cell.problem):
                problem, made = cell.make(), (cell.group, cell.problem)
            rows.append(measure(cell, problem, args))
            print(line(rows[-1], earlier.get(cell.name)), flush=True)
    print("\n".join(totals(rows, earlier)))
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(rows, indent=1))
    return 0 if all(row["reached"] for row in rows) else 1


if __name__ == "__main__":
    # neither this folder (whose `ot` hides POT) nor the repository's root may stay on the path
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != HERE]
    sys.path.insert(0, str(HERE))
    from run import load_package

    del sys.path[0]
    load_package()
    raise SystemExit(main())
