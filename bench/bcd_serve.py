"""The process of a solver of penalised models, driven by bench/bcd_worker.py.

    python -P bench/bcd_serve.py PEER

Requests are `{"data", "kind", "share", "steps", "method", "tolerance", "warm"}`: a file of bench/bcd_data.py, what is
asked of it, and whether to solve it once before the clock starts.
"""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path
from typing import Any

Request = dict[str, Any]

HERE = Path(__file__).resolve().parent

#: A share and a tolerance at which a tiny problem takes no time: what is left is compiling.
EASY, LOOSE = 0.5, 1e-2


class Desk:
    """What the process keeps between requests: one set of data, in the form that the peer likes for one kind."""

    def __init__(self, name: str) -> None:
        from bench import bcd_data, bcd_judge, bcd_peers

        self.peer, self.hush, self.Model = bcd_peers.PEERS[name](), bcd_peers.hush, bcd_judge.Model
        self.sets = bcd_data
        self.path, self.data = "", None
        self.kind, self.X = "", None
        self.model: Any = None
        #: Kind, method, whether sparse: what was met.
        self.met: set[tuple[str, str, bool]] = set()
        self.compiled = 0.0

    def make(self, request: Request) -> None:
        """The problem; whatever must be compiled for such ones."""
        if request["data"] != self.path:
            self.kind, self.X = "", None
            self.path, self.data = request["data"], self.sets.load(request["data"])
        data = self.data
        self.model = self.Model(request["kind"], data.X, data.y, request["share"], request["steps"])
        assert self.model.lam_max > 0  # computed before the clock starts
        if request["kind"] != self.kind:
            self.kind, self.X = request["kind"], self.peer.prepared(self.model)
        self.hush()
        self.compiled = self._compile(request)
        self.hush()  # what was loaded may have its own filters
        if request["warm"]:
            self.solve(None, request)

    def _compile(self, request: Request) -> float:
        """Seconds of a tiny problem of this form, when it is met for the first time."""
        form = request["kind"], request["method"], self.data.sparse
        if form in self.met:
            return 0.0
        self.met.add(form)
        start = time.process_time()
        tiny = self.sets.tiny(request["kind"], self.data.sparse)
        model = self.Model(request["kind"], tiny.X, tiny.y, EASY, request["steps"])
        with contextlib.suppress(Exception):  # it will be told where the clock runs
            self.peer.solve(model, self.peer.prepared(model), request["method"], LOOSE)
        return time.process_time() - start

    def solve(self, made: None, request: Request) -> Any:
        """Timed."""
        return self.peer.solve(self.model, self.X, request["method"], request["tolerance"])

    def judge(self, made: None, request: Request, coef: Any) -> dict[str, Any]:
        """What the answer is worth."""
        objectives = self.model.objectives(coef)
        whole = request["steps"] == 1 and objectives[0] < float("inf")
        return {
            "objectives": objectives, "zero": self.model.at_zero(), "compiled": self.compiled,
            "gap": self.model.gap(coef) if whole else float("nan"),
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
    serve(Solver(desk.make, desk.solve, desk.judge))
