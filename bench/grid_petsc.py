"""PETSc's solvers beside ours, in processes of their own: in this Python, or in the system's, where Debian has it."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .harness import Timing

Array = npt.NDArray[Any]

#: Where Debian's packages of petsc4py lie, for the system's own Python.
DEBIAN = "/usr/lib/petscdir/*/*-real/lib/python3/dist-packages"

#: Seconds for all of a system's rounds.
LIMIT = 240.0

HYPRE = "PETSc hypre BoomerAMG + cg"
#: What grid_petsc_run.py knows.
SOLVERS = (HYPRE, "PETSc GAMG + cg", "PETSc ICC + cg")

OPEN_MPI = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}


@dataclass(frozen=True)
class Answer:
    """What a solver found for the last right-hand side, in how many iterations at most, and the seconds of a round."""

    x: Array
    count: int
    timing: Timing


@cache
def interpreter() -> tuple[str, str] | None:
    """A Python that has petsc4py, and the path that it needs for it; None where there is none."""
    system = shutil.which("python3", path="/usr/bin")
    for python, path in [(sys.executable, ""), *((system, path) for path in glob.glob(DEBIAN) if system)]:
        found = subprocess.run(
            [python, "-c", "from petsc4py import PETSc"], env=_environment(path), capture_output=True, timeout=60
        )
        if found.returncode == 0:
            return python, path
    return None


def _environment(path: str) -> dict[str, str]:
    given = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**given, **OPEN_MPI, **({"PYTHONPATH": path} if path else {}), "OMP_NUM_THREADS": "1"}


def solve(
    A: Any, b: Array, rtol: float, rounds: int, processes: int, names: tuple[str, ...] = SOLVERS
) -> tuple[dict[str, Answer], str]:
    """The answers by name, and PETSc's version; nothing and why where it could not be run.

    `b` is one right-hand side, or has one a row: a round sets up once and solves them one after another.
    """
    if (found := interpreter()) is None:
        return {}, "petsc4py is not installed"
    python, path = found
    beside = shutil.which("mpiexec", path=str(Path(python).parent))  # its PETSc knows this one: there may be two
    mpi = beside or shutil.which("mpiexec")
    command = [mpi, "-n", str(processes), python] if mpi and processes > 1 else [python]
    with tempfile.TemporaryDirectory() as folder:
        system, answers = Path(folder, "system.npz"), Path(folder, "answers.npz")
        np.savez(system, indptr=A.indptr, indices=A.indices, data=A.data, b=np.atleast_2d(b), rtol=rtol, names=names)
        program = Path(__file__).with_name("grid_petsc_run.py")
        try:
            subprocess.run(
                [*command, str(program), str(system), str(answers), str(rounds)],
                env=_environment(path), check=True, capture_output=True, timeout=LIMIT,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return {}, f"PETSc was stopped after {LIMIT:g} s"
        except subprocess.CalledProcessError as error:
            return {}, f"PETSc failed: {error.stderr.decode(errors='replace')[-200:]}"
        stored = np.load(answers)
        names = [name.removeprefix("x ") for name in stored.files if name.startswith("x ")]
        return {
            name: Answer(stored[f"x {name}"], int(stored[f"count {name}"]), Timing(tuple(stored[f"seconds {name}"])))
            for name in names
        }, str(stored["version"])
