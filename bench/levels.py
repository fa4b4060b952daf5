"""A measurement at every instruction-set level, each in a process of its own: the level is fixed at import.

    python -P bench/levels.py MODULE LEVEL ARGUMENTS

is what such a process runs: `bench.MODULE.measure(*ARGUMENTS)`, with JSON going in and out.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent

LEVELS = ("avx2", "avx512")


def available() -> tuple[str, ...]:
    """Those of `LEVELS` that this machine has."""
    import solvers

    best = solvers.show_config()["isa_available"]
    return LEVELS[: LEVELS.index(best) + 1] if best in LEVELS else ()


def measure(module: str, level: str, *arguments: Any) -> Any:
    """What `bench.<module>.measure(*arguments)` returns at one level."""
    command = [sys.executable, "-P", str(HERE / "levels.py"), module, level, json.dumps(arguments)]
    run = subprocess.run(command, env={**os.environ, "SOLVERS_ISA": level}, stdout=subprocess.PIPE, check=True)
    return json.loads(run.stdout)


def main(module: str, level: str, arguments: str) -> None:
    import solvers

    ran = solvers.show_config()["isa"]
    assert ran == level, f"{ran} ran, not {level}"
    print(json.dumps(importlib.import_module(f"bench.{module}").measure(*json.loads(arguments))))


if __name__ == "__main__":
    sys.path.insert(0, str(HERE))
    from run import load_package

    del sys.path[0]
    load_package()
    main(*sys.argv[1:])
