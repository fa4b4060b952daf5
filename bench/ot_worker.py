"""Solvers in processes of their own, one a peer (bench/ot_serve.py): a run that takes too long is killed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .peers_ot import ONE_THREAD, PEERS
from .process import Process


@dataclass(frozen=True)
class Run:
    """One call of a solver. Seconds are processor time, which other work on the machine disturbs least."""

    seconds: float = float("inf")
    wall: float = float("inf")
    #: The judge's l1 error of the plan.
    error: float = float("inf")
    iterations: int = 0
    history: list[float] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    #: "killed", or the exception; empty where a plan came back.
    failure: str = ""


class Worker(Process):
    """A peer's process."""

    def __init__(self, peer: str) -> None:
        super().__init__("ot_serve.py", peer, environment=ONE_THREAD)
        self.peer = peer
        self.grace = PEERS[peer].grace

    def run(self, cell: str, method: str, tolerance: float, limit: int, seconds: float, judge: bool = True) -> Run:
        """One call; after that much processor time it is killed. Making the problem and judging the plan come extra."""
        answer = self.ask(
            {"cell": cell, "method": method, "tolerance": tolerance, "limit": limit, "judge": judge}, seconds
        )
        return Run(failure="killed") if answer is None else Run(**answer)
