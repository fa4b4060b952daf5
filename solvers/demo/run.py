"""Finds the rows and runs them: every module in `rows/` with a function `run`, by its constant ORDER."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from . import rows as rows_package
from .progress import Progress
from .row import Row


def discover() -> list[ModuleType]:
    """The modules of `rows/`, in the order of the table. Each has TITLE, ORDER and run(progress, threads) -> Row."""
    names = [f"{rows_package.__name__}.{found.name}" for found in pkgutil.iter_modules(rows_package.__path__)]
    return sorted((importlib.import_module(name) for name in names), key=lambda module: (module.ORDER, module.__name__))


def run_rows(threads: int) -> list[Row]:
    """Every row, one after the other."""
    modules = discover()
    progress = Progress(len(modules))
    rows = []
    for module in modules:
        progress.row(module.TITLE)
        rows.append(module.run(progress, threads))
    return rows
