"""The simulation of docs/distributed on several ranks."""

import re
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "docs" / "distributed" / "heat_petsc.py"
MULTILEVEL = ("-ksp_type", "cg", "-pc_type", "python", "-pc_python_type", "solvers.integrations.petsc.Multilevel")


def test_heat_is_the_same_on_all_ranks(run_ranks):
    heats = []
    for ranks, more in ((1, ()), (4, ()), (2, MULTILEVEL)):
        ended = run_ranks(ranks, sys.executable, PROGRAM, "-n", 20, "-steps", 5, *more)
        assert ended.returncode == 0, ended.stderr
        heats.append(float(re.search(r"^heat (\S+)$", ended.stdout, re.MULTILINE)[1]))
        counts = re.search(r"^iterations \[(.*)\]$", ended.stdout, re.MULTILINE)[1].split(", ")
        assert len(counts) == 5
    assert heats == pytest.approx([heats[0]] * 3, rel=1e-8)
    assert 0 < heats[0] < 1
