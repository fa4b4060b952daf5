"""Solvers of penalised models in processes of their own (bench/bcd_serve.py): a run that takes too long is killed."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from . import bcd_data
from .bcd_cells import Cell
from .bcd_peers import PEERS
from .process import Process, one_thread


@dataclass(frozen=True)
class Run:
    """One call of a solver. Seconds are processor time, which other work on the machine disturbs least."""

    method: str = ""
    tolerance: float = 0.0
    seconds: float = float("inf")
    wall: float = float("inf")
    #: The judge's objective of the answer; of a path, that of each point. And F(0), and a bound of the distance.
    objectives: list[float] = field(default_factory=list)
    zero: float = float("nan")
    gap: float = float("nan")
    #: Seconds for what had to be loaded and compiled before: nothing but at the first problem of a form.
    compiled: float = 0.0
    #: "killed", or the exception; empty where an answer came back.
    failure: str = ""

    def error(self, least: list[float]) -> float:
        """(F(w) - least) / F(0), the largest of a path's; infinite where there is no answer, or no minimum known."""
        if not self.objectives or not least:
            return float("inf")
        return max(mine - best for mine, best in zip(self.objectives, least, strict=True)) / self.zero


class Worker(Process):
    """A peer's process."""

    def __init__(self, peer: str) -> None:
        super().__init__("bcd_serve.py", peer, environment=one_thread())
        self.peer = peer
        self.grace = PEERS[peer].grace
        #: Seconds for what was compiled, in the present process and in those before it.
        self.compiled = 0.0

    def run(self, cell: Cell, path: Path, method: str, tolerance: float, seconds: float, warm: bool = False) -> Run:
        """One call; after that much processor time it is killed."""
        request = {
            "data": str(path), "kind": cell.kind, "share": cell.share, "steps": cell.steps, "method": method,
            "tolerance": tolerance, "warm": warm,
        }  # fmt: skip
        answer = self.ask(request, seconds)
        run = Run(method, tolerance, **({"failure": "killed"} if answer is None else answer))
        self.compiled += run.compiled
        return run


class Shelf:
    """A folder with the sets of data that the processes read; gone at the end of a `with`."""

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.made: dict[str, Path | str] = {}

    def __enter__(self) -> Shelf:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self.folder.cleanup()

    def path(self, source: bcd_data.Source) -> Path | str:
        """The file of a set; or why there is none."""
        if source.name not in self.made:
            path = Path(self.folder.name, f"{len(self.made)}.npz")
            try:
                source.make().save(path)
                self.made[source.name] = path
            except (OSError, ImportError) as error:
                self.made[source.name] = f"{type(error).__name__}: {error}"
        return self.made[source.name]
