"""These tests need PETSc, which `make test-petsc` provides; elsewhere they are not collected."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
RANKS = (1, 2, 4)

if importlib.util.find_spec("petsc4py") is None:
    collect_ignore_glob = ["test_*.py"]

OPEN_MPI = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_mpi_yield_when_idle": "1",
    "OMP_NUM_THREADS": "1",
    # This process has built the package; ranks just look whether it has, since builds at once spoil each other.
    "MESONPY_EDITABLE_VERBOSE": "1",
}  # fmt: skip


def of_debian(program):
    """A program of the MPI that PETSc was compiled with: an environment of Python may have one of its own."""
    found = shutil.which(program, path="/usr/bin")
    assert found is not None, program
    return found


def under_mpi(ranks, *command, limit=120.0):
    """A program's end under mpiexec; whoever hangs is stopped, and fails the test."""
    mpiexec = of_debian("mpiexec")
    return subprocess.run(
        [mpiexec, "--oversubscribe", "-n", str(ranks), *map(str, command)],
        env={**os.environ, **OPEN_MPI}, capture_output=True, text=True, timeout=limit,
    )  # fmt: skip


@pytest.fixture(scope="session")
def run_ranks():
    return under_mpi


@pytest.fixture(scope="session")
def facts(tmp_path_factory):
    """What facts.py finds, by the number of ranks: a list of what each rank found."""
    folder = tmp_path_factory.mktemp("facts")
    found = {}
    for ranks in RANKS:
        ended = under_mpi(ranks, sys.executable, HERE / "facts.py", folder / f"of{ranks}")
        assert ended.returncode == 0, ended.stderr[-4000:]
        found[ranks] = [json.loads((folder / f"of{ranks}.{rank}").read_text()) for rank in range(ranks)]
    found["folder"] = folder
    return found
