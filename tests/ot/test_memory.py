"""A point cloud needs no matrix."""

import subprocess
import sys

import pytest

SCRIPT = """
import resource
import numpy as np
import solvers.ot
rng = np.random.default_rng(17)
X, Y = rng.random((20_000, 3)), rng.random((20_000, 3))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
{call}
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


#: Calls with some steps of each kind that the method has, and the megabytes that they may take: the matrix has 3200.
CALLS = {
    "sinkhorn": ("solve_sample(X, Y, reg=0.05, max_iter=1, method='sinkhorn', threads=2)", 60),
    "newton": ("solve_sample(X, Y, reg=0.05, max_iter=2, threads=2)", 180),  # thinned plans have a room of one size
    "sns": ("solve_sample(X, Y, reg=0.05, max_iter=2, method='sns', options={'warmup': 1}, threads=2)", 80),
    "unbalanced-sinkhorn": ("solve_unbalanced_sample(X, Y, reg=0.05, reg_m=0.5, max_iter=1, threads=2)", 60),
    "unbalanced-newton": (
        "solve_unbalanced_sample(X, Y, reg=0.05, reg_m=0.5, max_iter=2, method='unbalanced-newton',"
        " options={'warmup': 1}, threads=2)", 80
    ),
}  # fmt: skip


@pytest.mark.memory
@pytest.mark.parametrize("method", CALLS)
def test_clouds_of_20000_points_need_no_matrix(method):
    call, megabytes = CALLS[method]
    script = SCRIPT.format(call=f"assert solvers.ot.{call}.nit > 0")
    run = subprocess.run([sys.executable, "-P", "-c", script], check=True, capture_output=True, text=True)
    assert float(run.stdout) < megabytes
