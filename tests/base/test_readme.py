"""The README's examples and the docstrings' run."""

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import solvers

ROOT = Path(__file__).parents[2]
DOCS = [page for page in sorted((ROOT / "docs").glob("*.md")) if "```python" in page.read_text(encoding="utf-8")]
BLOCKS = re.compile(r"```python\n(.*?)```", re.DOTALL)
EXAMPLES = BLOCKS.findall((ROOT / "README.md").read_text(encoding="utf-8"))
#: Examples that are run by tests of their own: a long simulation, a program for several ranks.
OWN_TESTS = ("linalg-sequences", "distributed")
#: What an example takes for granted.
GIVEN = {"linalg-learning": {"simulate_one_step": lambda omega: 9}}


@pytest.mark.parametrize("example", EXAMPLES)
def test_readme_example(example, capsys):
    exec(compile(example, "README.md", "exec"), {})
    assert "False" not in capsys.readouterr().out


def test_every_public_call_has_a_readme_example():
    ot = ("solve", "solve_sample", "solve_batch", "solve_path", "solve_unbalanced", "gradients", "emd", "emd_sample")
    calls = ["softmax", "log_softmax", "logsumexp", *(f"ot.{name}" for name in ot), "ot.sinkhorn_divergence"]
    calls += ["linalg.solve", "GridOperator", "learning.glm", "minimize", "matrix_game", "linprog", "group_dro"]
    for call in [*calls, "testing.check_transport", "show_config", "methods"]:
        assert any(f"{call}(" in example for example in EXAMPLES), call


@pytest.mark.parametrize("page", [page for page in DOCS if page.stem not in OWN_TESTS], ids=lambda page: page.stem)
def test_page_examples(page):
    """The blocks of a page one after the other, as a reader would run them."""
    names = dict(GIVEN.get(page.stem, {}))
    for example in BLOCKS.findall(page.read_text(encoding="utf-8")):
        exec(compile(example, page.name, "exec"), names)


def _prose(page):
    """The text of a page without its blocks of code."""
    return re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def _anchors(page):
    """The anchors of a page's headings, as GitHub makes them."""
    counts = {}
    for heading in re.findall(r"^#+ (.*)", _prose(page), re.MULTILINE):
        word = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        counts[word] = counts.get(word, -1) + 1
        yield f"{word}-{counts[word]}" if counts[word] else word


@pytest.mark.parametrize("page", [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")], ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", _prose(page)):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in _anchors(target), link


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
