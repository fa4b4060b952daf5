"""The process of a solver of nonlinear programs, driven by bench/cutest_match.py.

    python -P bench/cutest_serve.py PEER

Requests are `{"problem"}`: a name of the CUTEst collection. Seconds are those outside the problem's functions.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

Request = dict[str, Any]

HERE = Path(__file__).resolve().parent


class Desk:
    """What the process keeps between requests: one problem."""

    def __init__(self, name: str) -> None:
        from bench import cutest_peers

        self.peer = cutest_peers.PEERS[name]
        self.problem: Any = None
        self.make({"problem": "HS71"})
        self.peer.solve(self.problem)  # what it imports and sets up at its first call

    def make(self, request: Request) -> None:
        """The problem; its judge evaluates one of its own."""
        from solvers.testing import cutest

        name = request["problem"]
        if self.problem is None or self.problem.name != name:
            self.problem, self.judged = cutest(name, sparse=self.peer.sparse), cutest(name)
        self.problem.reset()

    def solve(self, made: None, request: Request) -> Any:
        """Timed."""
        return self.peer.solve(self.problem)

    def judge(self, made: None, request: Request, answer: Any) -> dict[str, Any]:
        """What the answer is worth, and what it took."""
        from solvers.testing import kkt

        report = kkt(answer.x, self.judged)
        return {
            "stationarity": report.stationarity, "violation": report.violation, "value": report.fun,
            "success": answer.success, "nit": answer.nit, "functions": self.problem.seconds,
            "x": [float(entry) for entry in answer.x], **self.problem.calls,
        }  # fmt: skip


if __name__ == "__main__":
    # neither this folder nor the repository's root may stay on the path
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != HERE]
    sys.path.insert(0, str(HERE))
    from run import load_package

    del sys.path[0]
    load_package()
    from bench.serving import Solver, serve

    desk = Desk(sys.argv[1])
    serve(Solver(desk.make, desk.solve, desk.judge, aside=lambda answer: desk.problem.seconds))
