"""The process of a solver, driven by bench/ot_worker.py through lines of JSON.

    python -P bench/ot_serve.py PEER

It reads `{"cell", "method", "tolerance", "limit", "judge"}` and answers with `{}` when the problem is made and again
when the solver is done, and then with the run's figures.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def serve(name: str) -> None:
    """What the process does."""
    from bench import harness, peers_ot
    from bench.ot_cells import named

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what peers print is no answer

    def say(answer: dict[str, Any]) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    harness.keep_freed_memory()
    peer = peers_ot.PEERS[name]()
    say({})
    made, cell, problem, data = "", None, None, None
    for line in sys.stdin:
        request = json.loads(line)
        if request["cell"] != made:
            problem = data = None
            made, cell = request["cell"], named(request["cell"])
            problem = cell.make()
            data = peer.prepared(problem)
        say({})
        say(_run(peer, cell, problem, data, request, say))


def _run(peer: Any, cell: Any, problem: Any, data: Any, request: dict[str, Any], say: Any) -> dict[str, Any]:
    from bench import peers_ot
    from bench.check import plan_error

    gc.collect()
    gc.disable()
    clock, own = time.perf_counter(), time.process_time()
    try:
        answer = peers_ot.solve(peer, data, cell.reg, request["method"], request["tolerance"], request["limit"])
        seconds, wall = time.process_time() - own - answer.aside, time.perf_counter() - clock - answer.aside
    except Exception as problem_found:
        return {"failure": f"{type(problem_found).__name__}: {problem_found}"[:120]}
    finally:
        gc.enable()
    say({})
    error = plan_error(answer.plan, problem, cell.reg) if request["judge"] else float("nan")
    return {
        "seconds": seconds, "wall": wall, "error": error, "iterations": answer.iterations, "history": answer.history,
        "details": answer.details,
    }  # fmt: skip


if __name__ == "__main__":
    # neither this folder (whose `ot` hides POT) nor the repository's root may stay on the path
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != HERE]
    sys.path.insert(0, str(HERE))
    from run import load_package

    del sys.path[0]
    load_package()
    serve(sys.argv[1])
