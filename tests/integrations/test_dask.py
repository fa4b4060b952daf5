"""Solves of dask arrays on a cluster of two processes, in a process of its own with a time limit."""

import os
import subprocess
import sys

PROGRAM = """
import os
import signal
import threading

import numpy as np

import solvers
from solvers.integrations import dask as together


def main():
    import dask.array
    from distributed import Client, LocalCluster

    rng = np.random.default_rng(7)
    X, Y = rng.standard_normal((300, 5)), rng.standard_normal((40, 5))
    y = X[:, 0] - X[:, 1] + rng.standard_normal(300)
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        rows = dask.array.from_array(X, chunks=(60, 5))
        targets = dask.array.from_array(y, chunks=100)
        alone = solvers.learning.glm(X, y, lam=2.0, method="newton-gram", tol=1e-9)
        shared = together.glm(rows, targets, lam=2.0, tol=1e-9)
        assert shared.success and shared.stats["ranks"] == 2, shared
        assert np.abs(shared.coef - alone.coef).max() <= 1e-12 * np.abs(alone.coef).max()

        shared = together.solve_sample(rows, Y, reg=1.0)
        alone = solvers.ot.solve_sample(X, Y, reg=1.0)
        assert shared.success and shared.nit == alone.nit, shared
        assert np.abs(shared.f - alone.f).max() <= 1e-12 * np.abs(alone.f).max()
        assert abs(shared.value - alone.value) <= 1e-12 * abs(alone.value)

        try:
            broken = X.copy()
            broken[250, 3] = np.nan
            together.glm(dask.array.from_array(broken, chunks=(60, 5)), targets, lam=2.0)
        except ValueError as error:
            assert "must be finite" in str(error), error
        else:
            raise AssertionError("NaN was taken")

        pids = sorted(client.run(os.getpid).values())
        threading.Timer(5.0, os.kill, (pids[0], signal.SIGKILL)).start()
        try:  # for minutes, were it not for the lost worker
            together.solve_sample(rows, Y, reg=1e-5, method="sinkhorn", max_iter=10**7)
        except RuntimeError as error:
            assert "is lost" in str(error), error
        else:
            raise AssertionError("the lost worker was not missed")
    print("all is well")


if __name__ == "__main__":
    main()
"""


def test_on_a_local_cluster(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "SOLVERS_NUM_THREADS"), "1")
    run = subprocess.run(
        [sys.executable, "-P", program], env={**os.environ, **threads}, cwd=tmp_path, capture_output=True, text=True,
        timeout=240, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "all is well" in run.stdout
