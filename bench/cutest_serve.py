"""The process of a solver of nonlinear programs, driven by bench/cutest_match.py.

    python -P bench/cutest_serve.py PEER

Requests are `{"problem", "count"}`: a name of the CUTEst collection, and whether calls are counted. Seconds are those
outside the problem's functions, which are compiled ones where their formulas can be had; then what a call costs times
the calls of the run that counted is taken off, and nothing of ours, which calls them in C.
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

        self.peer, self.inside = cutest_peers.PEERS[name], name == "ours"
        self.problem: Any = None
        self.make({"problem": "HS71", "count": True})
        self.peer.solve(self.problem)  # what it imports and sets up at its first call

    def make(self, request: Request) -> None:
        """The problem; its judge evaluates one of its own."""
        from bench.cutest_compiled import CompiledProblem, NoFormulaError
        from solvers.testing import cutest

        name = request["problem"]
        if self.problem is None or self.problem.name != name:
            try:
                self.problem = CompiledProblem(name)
                self.cost = self.problem.cost()
            except NoFormulaError:
                self.problem = cutest(name, sparse=self.peer.sparse)
            self.judged, self.calls, self.functions = cutest(name), None, 0.0
        self.problem.reset()
        if not self.timed:
            self.problem.count(request["count"])

    @property
    def timed(self) -> bool:
        return getattr(self.problem, "timed", True)

    def solve(self, made: None, request: Request) -> Any:
        """Timed."""
        return self.peer.solve(self.problem)

    def aside(self, answer: Any) -> float:
        """Seconds of the functions."""
        if self.timed:
            return float(self.problem.seconds)
        if self.calls is None:
            self.calls = answer.calls if self.inside else dict(self.problem.calls)
            asked = {} if self.inside else self.problem.asked
            self.functions = sum(count * self.cost[kind] for kind, count in asked.items())
        return self.functions

    def judge(self, made: None, request: Request, answer: Any) -> dict[str, Any]:
        """What the answer is worth, and what it took."""
        from solvers.testing import kkt

        report = kkt(answer.x, self.judged)
        return {
            "stationarity": report.stationarity, "violation": report.violation, "value": report.fun,
            "success": answer.success, "nit": answer.nit, "functions": self.aside(answer), "compiled": not self.timed,
            "x": [float(entry) for entry in answer.x], **(self.calls or self.problem.calls),
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
    serve(Solver(desk.make, desk.solve, desk.judge, desk.aside))
