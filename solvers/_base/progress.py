"""A progress bar, where tqdm is at hand."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")


def with_bar(steps: list[T], progress: bool, title: str, unit: str) -> Iterable[T]:
    """The steps, with a bar on the way where that was asked for and there is tqdm."""
    if not progress:
        return steps
    try:
        tqdm = importlib.import_module("tqdm")
    except ImportError:
        return steps
    bar: Iterable[T] = tqdm.tqdm(steps, desc=title, unit=unit)
    return bar
