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
result = solvers.ot.solve_sample(X, Y, reg=0.05, max_iter=1, method="sinkhorn", threads=2)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.memory
def test_cloud_of_20000_points_fits_60_megabytes():
    run = subprocess.run([sys.executable, "-P", "-c", SCRIPT], check=True, capture_output=True, text=True)
    assert float(run.stdout) < 60
