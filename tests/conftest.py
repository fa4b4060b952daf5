"""Shared by all tests: what the run was asked to be must be what runs."""

import os

import pytest

import solvers

SEEDS = (3, 7, 11, 23, 91)
# A run at another level, or under a sanitizer, repeats what has passed with all of them.
REPEATED = any(name in os.environ for name in ("SOLVERS_EXPECT_ISA", "SOLVERS_EXPECT_SANITIZER"))


def pytest_report_header():
    config = solvers.show_config()
    return "solvers: " + ", ".join(f"{name} {config[name]}" for name in ("version", "isa", "threads", "sanitizer"))


@pytest.fixture(scope="session", autouse=True)
def _runs_as_asked():
    """A run at a forced level, or under a sanitizer, is none if another build or level was loaded."""
    config = solvers.show_config()
    assert config["isa"] == os.environ.get("SOLVERS_EXPECT_ISA", config["isa"])
    assert config["sanitizer"] == os.environ.get("SOLVERS_EXPECT_SANITIZER", "none")


@pytest.fixture(params=SEEDS[1::3] if REPEATED else SEEDS)
def seed(request):
    return request.param
