"""Files of trained weights: what is checked of each before its own parts are looked at."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np


def read(path: str | os.PathLike[str], architecture: str, version: int, parts: Iterable[str]) -> dict[str, Any]:
    """The arrays of a file by name; ValueError where it is of another kind or version, lacks a part, or is damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            held = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ValueError(f"{path} is no file of weights: {error}") from error
    if held.get("architecture", "") != architecture or "format" not in held:
        raise ValueError(f"{path} is no file of weights of the architecture {architecture!r}")
    if int(held["format"]) != version:
        raise ValueError(f"{path} has format {int(held['format'])}; this version of the package reads {version}")
    missing = sorted({"training", "fingerprint", *parts} - set(held))
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}")
    return held
