"""The preconditioner in C and its example program, built with mpicc against PETSc and libsolvers."""

import glob
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import solvers

SOURCES = Path(__file__).parents[2] / "docs" / "embedding" / "petsc"
RANKS = (1, 2, 4)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """(program, plug-in)"""
    folder = tmp_path_factory.mktemp("plug in")
    where = glob.glob("/usr/lib/petscdir/*/*-real/lib/pkgconfig")
    asked = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "PETSc"],
        env={**os.environ, "PKG_CONFIG_PATH": ":".join(where)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    of_petsc, library = asked.stdout.split(), str(solvers.get_library_dir())
    ours = [f"-I{solvers.get_include()}", f"-L{library}", "-lsolvers", f"-Wl,-rpath,{library}"]
    # that of the MPI that PETSc was compiled with: an environment of Python may have one of its own
    compiler = shutil.which("mpicc", path="/usr/bin")
    program, plugin = folder / "poisson", folder / "libsolvers_petsc.so"
    for source, target, more in (
        ("poisson.c", program, ["-lm"]),
        ("solvers_petsc.c", plugin, ["-shared", "-fPIC", *ours]),
    ):
        made = subprocess.run(
            [compiler, "-O1", "-Wall", "-Werror", "-o", target, SOURCES / source, *of_petsc, *more],
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
    return program, plugin


def _told(ended):
    assert ended.returncode == 0, ended.stderr
    counts = [int(n) for n in re.findall(r"^iterations (\d+)$", ended.stdout, re.MULTILINE)]
    norm, left = (float(re.search(rf"^{what} (\S+)$", ended.stdout, re.MULTILINE)[1]) for what in ("norm", "residual"))
    return counts, norm, left


def test_the_plugin_on_1_2_and_4_ranks(built, run_ranks):
    program, plugin = built
    options = ["-n", 40, "-dll_append", plugin, "-pc_type", "solvers", "-pc_solvers_omega", 1.6]
    found = [_told(run_ranks(ranks, program, *options)) for ranks in RANKS]
    for counts, norm, left in found:
        assert left < 1e-11
        assert norm == pytest.approx(found[0][1], rel=1e-10)
        assert counts[0] < 2 * found[0][0][0]


def test_the_plugin_tunes_alike(built, run_ranks):
    program, plugin = built
    options = ["-n", 24, "-solves", 30, "-dll_append", plugin, "-pc_type", "solvers", "-pc_solvers_tuned"]
    counts, _, left = _told(run_ranks(2, program, *options))
    assert left < 1e-11
    assert len(counts) == 30
    assert len(set(counts)) > 1


def test_the_plugin_refuses(built, run_ranks):
    program, plugin = built
    ended = run_ranks(
        2, program, "-n", 8, "-dll_append", plugin, "-pc_type", "solvers", "-pc_solvers_omega", 2.5, limit=60.0
    )
    assert ended.returncode != 0
    assert "solvers: omega" in ended.stderr
