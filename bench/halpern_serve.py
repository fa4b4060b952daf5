"""The process of a solver of games and linear programs, driven by bench/halpern_match.py.

    python -P bench/halpern_serve.py PEER

Requests are `{"data", "method", "tolerance"}`: a file of bench/halpern_match.py, and what is asked of it.
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
        from bench import halpern_judge, halpern_match, halpern_peers

        self.peer, self.load, self.judged = halpern_peers.PEERS[name](), halpern_match.load, halpern_judge
        self.path, self.problem = "", None
        self.warm: set[tuple[str, bool]] = set()

    def make(self, request: Request) -> None:
        """The problem; what a method imports and sets up at its first call, on a tiny one."""
        if request["data"] != self.path:
            self.path, self.problem = request["data"], self.load(request["data"])
        form = request["method"], self.is_game
        if form not in self.warm:
            self.warm.add(form)
            from bench import halpern_problems

            tiny: Any = halpern_problems.policeman(5) if self.is_game else halpern_problems.random_sparse(8, 9, 3, 3)
            self._call(tiny, request["method"], 1e-4)

    @property
    def is_game(self) -> bool:
        return hasattr(self.problem, "ndim")

    def _call(self, problem: Any, method: str, tolerance: float) -> Any:
        return (self.peer.play if self.is_game else self.peer.solve)(problem, method, tolerance)

    def solve(self, made: None, request: Request) -> Any:
        """Timed."""
        return self._call(self.problem, request["method"], request["tolerance"])

    def judge(self, made: None, request: Request, answer: Any) -> dict[str, Any]:
        """What the answer is worth."""
        x, y = answer
        error = self.judged.game_gap if self.is_game else self.judged.program_error
        return {"error": float(error(self.problem, x, y))}


if __name__ == "__main__":
    # neither this folder nor the repository's root may stay on the path
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != HERE]
    sys.path.insert(0, str(HERE))
    from run import load_package

    del sys.path[0]
    load_package()
    from bench.serving import Solver, serve

    desk = Desk(sys.argv[1])
    serve(Solver(desk.make, desk.solve, desk.judge))
