"""Solves with shared rows under mpiexec: ranks.py has what each rank checks. Every run has a time limit."""

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

HERE = Path(__file__).parent
#: The launcher of the wheel, not another MPI's.
MPIEXEC = Path(sysconfig.get_path("scripts")) / "mpiexec"
LIMIT = 300

#: One rank after the other: an import of an editable install looks whether it must be built.
IMPORTED = """
from mpi4py import MPI

for turn in range(2):
    if turn == MPI.COMM_WORLD.rank:
        import solvers
    MPI.COMM_WORLD.Barrier()
"""

FAILING = """
import sys
import numpy as np
from solvers.integrations.mpi import ends_all
from solvers.ot import solve_sample

comm = MPI.COMM_WORLD
points = np.random.default_rng(comm.rank).random((40, 2))

def fails(intermediate):
    raise RuntimeError("the callback of one rank is broken")

if sys.argv[1] == "outside":
    with ends_all(comm):
        if comm.rank == 1:
            raise RuntimeError("no data for this rank")
        solve_sample(points, np.zeros((3, 2)) + np.eye(3, 2), reg=0.1, comm=comm)
else:
    Y = np.random.default_rng(9).random((30, 2))
    solve_sample(points, Y, reg=1e-3, comm=comm, callback=fails if comm.rank == 1 else None)
"""


TOGETHER = """
import numpy as np
from solvers._base.reducer import SHORT, as_reducer
from solvers.ot import solve_sample

comm = MPI.COMM_WORLD
across = as_reducer(comm)
first = across.sum(np.full(SHORT, comm.rank + 1.0))  # long enough to go by parts
across.sum(np.zeros(SHORT))
assert (first == 3).all(), "a sum has changed the one before"
points = np.random.default_rng(comm.rank).random((40, 2))
solve_sample(points, np.random.default_rng(9).random((30, 2)), reg=0.1, method="newton", comm=comm, verbose=1)
"""


def launched(ranks, *command):
    """A program on so many ranks, with one thread each; killed when it takes too long."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "SOLVERS_NUM_THREADS"), "1")
    # as root in a container; more ranks than cores, which are to wait without work
    mpi = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_mpi_yield_when_idle": "1"}
    return subprocess.run(
        [MPIEXEC, "--oversubscribe", "-n", str(ranks), sys.executable, "-P", *command],
        env={**os.environ, **threads, **mpi}, capture_output=True, text=True, timeout=LIMIT, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("ranks", [1, 2, 3])  # of three, one has neighbours on both sides
def test_shared_rows(ranks):
    run = launched(ranks, HERE / "ranks.py")
    assert run.returncode == 0, run.stderr
    assert "all is well" in run.stdout


def test_sums_are_kept_and_one_rank_has_the_log():
    run = launched(2, "-c", IMPORTED + TOGETHER)
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("newton: ") == run.stdout.count("CONVERGED") == 1


def test_the_program_of_the_page():
    page = (HERE.parents[1] / "docs" / "distributed.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    run = launched(2, "-c", IMPORTED + program)
    assert run.returncode == 0, run.stderr
    told = sorted(line.split() for line in run.stdout.splitlines())
    assert [words[:2] for words in told] == [["0", "True"], ["1", "True"]]
    assert told[0][2] == told[1][2]


@pytest.mark.parametrize(
    ("where", "words"), [("outside", "no data for this rank"), ("inside", "the callback of one rank is broken")]
)
def test_a_rank_that_raises_ends_all(where, words):
    run = launched(2, "-c", IMPORTED + FAILING, where)
    assert run.returncode != 0
    assert words in run.stderr
    assert "rank 1 of 2 ends all" in run.stderr
