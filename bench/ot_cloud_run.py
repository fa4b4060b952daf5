"""One solve between two point clouds in a process of its own: `python -P bench/ot_cloud_run.py JSON` prints JSON."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent

#: Rows, and columns, by which the error of large plans is estimated.
SAMPLE = 2000

UNLIMITED = 10**6


def main(run: dict[str, Any]) -> dict[str, Any]:
    """Prepare, solve, weigh the answer."""
    from bench.problems import points

    x, y = points(run["n"], run["dim"])
    scale = np.sqrt(_largest(x, y))
    x, y, reg = x / scale, y / scale, 1 / run["sharpness"]
    solve = {"ours": _ours, "POT lazy": _pot, "POT lazy, batch 1000": _pot, "ott PointCloud": _ott}[run["solver"]]
    warm = {**run, "steps": 1, "method": None, "options": "{}"}
    solve(x[:64], y[:64], reg, warm)  # what is loaded or compiled on first use
    memory, own = _memory(), time.process_time()
    f, g, iterations, method = solve(x, y, reg, run)
    seconds, peak = time.process_time() - own, memory()
    return {
        "seconds": seconds, "iterations": iterations, "memory": peak, "method": method,
        "error": _error(x, y, f, g, reg),
    }  # fmt: skip


def _ours(x: Any, y: Any, reg: float, run: dict[str, Any]) -> tuple[Any, Any, int, str]:
    import solvers

    result = solvers.ot.solve_sample(
        x, y, reg=reg, tol=run["level"], max_iter=run["steps"] or UNLIMITED, method=run["method"],
        options=json.loads(run["options"]), threads=1,
    )  # fmt: skip
    return result.f, result.g, result.nit, result.method


def _pot(x: Any, y: Any, reg: float, run: dict[str, Any]) -> tuple[Any, Any, int, str]:
    import ot as pot

    # its rule is the l1 norm of one marginal, the other being exact, every 10 iterations
    threshold = run["level"] if run["steps"] is None else 0.0
    batch = 1000 if "1000" in run["solver"] else 100
    _, _, log = pot.bregman.empirical_sinkhorn(
        x, y, reg, numIterMax=run["steps"] or UNLIMITED, stopThr=threshold, isLazy=True, batchSize=batch, log=True,
        warn=False,
    )  # fmt: skip
    f, g = reg * np.asarray(log["u"]), reg * np.asarray(log["v"])
    iterations = run["steps"] or int(log["niter"]) + 1
    return f, g, iterations, f"empirical_sinkhorn(isLazy=True, batchSize={batch})"


def _ott(x: Any, y: Any, reg: float, run: dict[str, Any]) -> tuple[Any, Any, int, str]:
    import jax
    from ott.geometry import pointcloud
    from ott.problems.linear import linear_problem
    from ott.solvers.linear import sinkhorn

    jax.config.update("jax_enable_x64", True)
    threshold = run["level"] if run["steps"] is None else 0.0
    geometry = pointcloud.PointCloud(jax.numpy.asarray(x), jax.numpy.asarray(y), epsilon=reg)
    solver = sinkhorn.Sinkhorn(threshold=threshold, max_iterations=run["steps"] or 2000)
    out = jax.jit(solver)(linear_problem.LinearProblem(geometry))
    return np.asarray(out.f), np.asarray(out.g), int(out.n_iters), "PointCloud"


def _largest(x: Any, y: Any) -> float:
    """The largest squared distance."""
    blocks = (x[k : k + 500] for k in range(0, len(x), 500))
    return max(float(_squared(block, y).max()) for block in blocks)


def _squared(x: Any, y: Any) -> Any:
    return np.maximum((x**2).sum(1)[:, None] - 2 * x @ y.T + (y**2).sum(1), 0)


def _error(x: Any, y: Any, f: Any, g: Any, reg: float) -> float:
    """The l1 error of both marginals of exp((f + g - C) / reg), whatever constants a package puts into f and g.

    For the estimate the rows and columns of a sample are summed whole.
    """
    n = len(x)
    rng = np.random.default_rng(5)
    total = 0.0
    for here, there, p, q in ((x, y, f, g), (y, x, g, f)):
        chosen = np.arange(n) if n <= 5000 else rng.choice(n, SAMPLE, replace=False)
        sums = [
            np.exp((p[k, None] + q - _squared(here[k], there)) / reg).sum(1)
            for k in np.array_split(chosen, max(1, len(chosen) // 250))
        ]
        total += float(np.abs(np.concatenate(sums) - 1 / n).sum()) * n / len(chosen)
    return total


def _memory() -> Any:
    """A function that tells the peak of resident memory since now beyond what is resident now, in bytes.

    VmHWM where /proc has it, since getrusage's peak is inherited from a larger parent.
    """

    def status(name: str) -> int:
        with open("/proc/self/status") as lines:
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))

    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # forget the peak so far
        before = status("VmRSS")
        return lambda: status("VmHWM") - before
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        return lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit - start


if __name__ == "__main__":
    # neither this folder (whose `ot` hides POT) nor the repository's root may stay on the path
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != HERE]
    sys.path.insert(0, str(HERE))
    from run import load_package

    del sys.path[0]
    load_package()
    print(json.dumps(main(json.loads(sys.argv[1]))))
