"""Shared by the benchmarks' tests: how they are reached."""

import importlib
import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def command():
    """bench/run.py, which makes the package `bench` importable."""
    spec = importlib.util.spec_from_file_location("bench_command", ROOT / "bench" / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.load_package()
    return module


@pytest.fixture
def bench(command):
    """A module of `bench` by name."""
    return lambda name: importlib.import_module(f"bench.{name}")
