"""What the library costs beside its arithmetic: the call of a kernel, its import, the rebuild check."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from timeit import Timer
from typing import Any

import numpy as np
import scipy.special

from solvers import special
from solvers.special import _kernels

from . import harness
from .harness import Timing, ratio
from .report import Bars, Report, Target

#: Run in fresh processes. find_spec makes an editable install check its build, and nothing else.
_CHILD = """
import importlib.util, json, sys, time
marks = [time.perf_counter()]
def mark():
    marks.append(time.perf_counter())
import numpy; mark()
importlib.util.find_spec("solvers"); mark()
import solvers; mark()
import solvers.special; mark()
import solvers.ot; mark()
print(json.dumps([b - a for a, b in zip(marks, marks[1:])]))
"""

STAGES = ("import numpy", "no-change rebuild check", "import solvers", "import solvers.special", "import solvers.ot")


def report(quick: bool = False) -> Report:
    """The two tables."""
    result = Report("library", "Overheads of the library", picture=Bars(
        "bound / measured (log scale)"))  # fmt: skip
    with harness.threads(1):
        _calls(result, quick)
    _imports(result, 2 if quick else 11)
    for target in result.targets:
        assert result.picture is not None
        assert target.measured is not None
        result.picture.add(target.figure, target.bound / target.measured)
    result.header = harness.versions()
    return result


def _calls(result: Report, quick: bool) -> None:
    """The time of one call on 8 numbers."""
    loops = 200 if quick else 20_000
    table = result.table("One call on two float64 arrays of 8 numbers")
    x, y = np.linspace(0.0, 1.0, 8), np.empty(8)
    calls: dict[str, Any] = {
        "numpy.dot(x, y)": lambda: np.dot(x, y),
        "solvers.special._kernels.softmax(x, y)": lambda: _kernels.softmax(x, y),
        "solvers.special.softmax(x, out=y)": lambda: special.softmax(x, out=y),
        "scipy.special.softmax(x)": lambda: scipy.special.softmax(x),
    }
    timers = {name: partial(Timer(call).timeit, loops) for name, call in calls.items()}
    times = harness.interleave(timers, rounds=3 if quick else 9)
    dot = times["numpy.dot(x, y)"]
    for name, timing in times.items():
        table.rows.append({"call": name, "time": timing / loops, "over numpy.dot": f"{ratio(timing, dot):.2f}x"})
    kernel = times["solvers.special._kernels.softmax(x, y)"]
    result.targets.append(Target("call of a two-array kernel at n=8 / numpy.dot", "<=", 1.5, ratio(kernel, dot)))
    result.notes.append("Each call is made inside the same kind of lambda, whose own cost is in every row.")


def _imports(result: Report, processes: int) -> None:
    """Where the time of importing goes, each stage the median over fresh processes."""
    runs = [_fresh() for _ in harness.progress(range(processes), "library, imports")]
    stages = {name: Timing(values) for name, values in zip(STAGES, zip(*runs, strict=True), strict=True)}
    table = result.table(f"Import, {processes} fresh processes of python -P")
    table.rows += [{"stage": name, "time": timing} for name, timing in stages.items()]
    check = stages["no-change rebuild check"].median
    alone = Timing(tuple(sum(run[1:3]) for run in runs)).median
    whole = Timing(tuple(sum(run[1:4]) for run in runs)).median
    result.targets += [
        Target("import solvers beyond import numpy, with the rebuild check", "<=", 60.0, alone * 1e3, "ms"),
        Target(
            "import solvers.special beyond import numpy, with the no-change rebuild check",
            "<=",
            300.0,
            whole * 1e3,
            "ms",
        ),
    ]
    editable = any("esonpy" in type(finder).__name__ for finder in sys.meta_path)
    result.notes += [
        f"The install is {'editable' if editable else 'not editable'}; its rebuild check took {check * 1e3:.3g} ms. "
        "An installed wheel has none.",
        "`import solvers` loads sub-packages only when they are used: the stages below it are what using them adds.",
    ]


def _fresh() -> tuple[float, ...]:
    run = subprocess.run([sys.executable, "-P", "-c", _CHILD], capture_output=True, text=True, check=True)
    return tuple(json.loads(run.stdout))
