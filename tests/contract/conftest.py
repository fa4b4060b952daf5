import sys
from pathlib import Path

import pytest

import solvers

sys.path.insert(0, str(Path(__file__).parent))
from cases import cases, make


def pytest_generate_tests(metafunc):
    if "method" not in metafunc.fixturenames:
        return
    if "capability" not in metafunc.fixturenames:
        metafunc.parametrize("method", solvers.methods(), ids=lambda m: f"{m.family}.{m.name}")
    else:
        pairs = list(cases())
        metafunc.parametrize(("method", "capability"), pairs, ids=[f"{m.family}.{m.name}-{c}" for m, c in pairs])


@pytest.fixture
def case(method, capability):
    return make(method, capability)


@pytest.fixture
def solve(case, method):
    """solve(**keywords): the method on the case's inputs."""

    def call(inputs=None, **keywords):
        return case.solve(case.inputs if inputs is None else inputs, method=method.name, **keywords)

    return call
