"""The process of a solver of transport, driven by bench/ot_worker.py.

    python -P bench/ot_serve.py PEER

Requests are `{"cell", "method", "tolerance", "limit", "judge"}`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def serve(name: str) -> None:
    """What the process does."""
    from bench import peers_ot, serving
    from bench.check import plan_error
    from bench.ot_cells import named

    peer = peers_ot.PEERS[name]()
    last: dict[str, Any] = {}

    def make(request: serving.Request) -> Any:
        if request["cell"] not in last:
            last.clear()  # one problem in memory at a time
            cell = named(request["cell"])
            problem = cell.make()
            last[request["cell"]] = cell, problem, peer.prepared(problem)
        return last[request["cell"]]

    def solve(made: Any, request: serving.Request) -> Any:
        return peers_ot.solve(peer, made[2], made[0].reg, request["method"], request["tolerance"], request["limit"])

    def judge(made: Any, request: serving.Request, answer: Any) -> dict[str, Any]:
        cell, problem, _ = made
        error = plan_error(answer.plan, problem, cell.reg) if request["judge"] else float("nan")
        return {
            "error": error, "iterations": answer.iterations, "history": answer.history, "details": answer.details,
        }  # fmt: skip

    serving.serve(serving.Solver(make, solve, judge, aside=lambda answer: float(answer.aside)))


if __name__ == "__main__":
    # neither this folder (whose `ot` hides POT) nor the repository's root may stay on the path
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != HERE]
    sys.path.insert(0, str(HERE))
    from run import load_package

    del sys.path[0]
    load_package()
    serve(sys.argv[1])
