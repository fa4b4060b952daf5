"""The README's examples and the docstrings' run."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import solvers

README = (Path(__file__).parents[2] / "README.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_readme_example(example, capsys):
    exec(compile(example, "README.md", "exec"), {})
    assert "False" not in capsys.readouterr().out


def test_every_public_call_has_a_readme_example():
    ot = ("solve", "solve_sample", "solve_batch", "solve_path", "solve_unbalanced", "gradients", "emd", "emd_sample")
    calls = ["softmax", "log_softmax", "logsumexp", *(f"ot.{name}" for name in ot), "ot.sinkhorn_divergence"]
    for call in [*calls, "testing.check_transport", "show_config", "methods"]:
        assert any(f"{call}(" in example for example in EXAMPLES), call


#: The demo and the command; and what needs PETSc, which has tests of its own.
ELSEWHERE = ("solvers.demo", "solvers.__main__", "solvers.integrations.petsc")


#: Whose examples compile functions.
COMPILES = ("solvers.optimize._batch",)


def _modules():
    for module in pkgutil.walk_packages(solvers.__path__, "solvers."):
        if not module.name.startswith(ELSEWHERE) and "_kernels" not in module.name:
            yield pytest.param(module.name, marks=[pytest.mark.numba] * (module.name in COMPILES))


@pytest.mark.parametrize("name", list(_modules()))
def test_docstring_examples(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0
