"""Shared by all tests: what the run was asked to be must be what runs."""

import os
import zlib

# NumPy's linear algebra waits busily for its threads: with a test process on every core a factorisation of a few
# hundred rows takes a hundred times as long. It reads this when it is loaded, hence here.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
from hypothesis import HealthCheck, settings

import solvers

SEEDS = (3, 7, 11, 23, 91)
# A run at another level, or under a sanitizer, repeats what has passed with all of them: each takes one, its own.
OWN = {"baseline": 7, "avx2": 23, "avx512": 11, "address": 91}
REPEATED = os.environ.get("SOLVERS_EXPECT_SANITIZER", os.environ.get("SOLVERS_EXPECT_ISA"))

# How long it takes to draw an example depends on what else the machine does.
settings.register_profile("loaded", suppress_health_check=[HealthCheck.too_slow], deadline=None)
settings.register_profile("repeated", settings.get_profile("loaded"), max_examples=25)
settings.load_profile("repeated" if REPEATED else "loaded")


def pytest_report_header():
    config = solvers.show_config()
    return "solvers: " + ", ".join(f"{name} {config[name]}" for name in ("version", "isa", "threads", "sanitizer"))


@pytest.fixture(scope="session", autouse=True)
def _runs_as_asked():
    """A run at a forced level, or under a sanitizer, is none if another build or level was loaded."""
    config = solvers.show_config()
    assert config["isa"] == os.environ.get("SOLVERS_EXPECT_ISA", config["isa"])
    assert config["sanitizer"] == os.environ.get("SOLVERS_EXPECT_SANITIZER", "none")


@pytest.fixture(params=[OWN[REPEATED]] if REPEATED else SEEDS)
def seed(request):
    return request.param


def pytest_collection_modifyitems(config, items):
    for item in items:
        if "one_torch_thread" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.torch)
    if share := os.environ.get("SOLVERS_TEST_SHARE"):  # "0/2": the first half of all tests, mixed by their names
        part, parts = map(int, share.split("/"))
        others = [item for item in items if zlib.crc32(item.nodeid.encode()) % parts != part]
        items[:] = [item for item in items if zlib.crc32(item.nodeid.encode()) % parts == part]
        config.hook.pytest_deselected(items=others)


@pytest.fixture
def one_torch_thread():
    """torch: its threads wait busily, and on a busy machine long."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield torch
    torch.set_num_threads(before)
