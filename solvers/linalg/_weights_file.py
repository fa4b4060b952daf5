"""Files of trained weights: what is checked of each before its own parts are looked at."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np

#: The parts that are a number or a text.
SINGLE = {"format", "architecture", "training", "fingerprint", "features", "dim", "shift"}


def read(path: str | os.PathLike[str], architecture: str, version: int, parts: Iterable[str]) -> dict[str, Any]:
    """The arrays of a file by name; ValueError where it is of another kind or version, lacks a part, or is damaged."""
    path = os.fspath(path)  # a number would be a file descriptor, which is the caller's
    try:
        with open(path, "rb") as stream:  # which np.load does not close where it fails
            file = np.load(stream, allow_pickle=False)
            if isinstance(file, np.ndarray):
                raise ValueError("it holds a single array")
            held = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ValueError(f"{path} is no file of weights: {error}") from error
    if str(held.get("architecture", "")) != architecture or "format" not in held:
        raise ValueError(f"{path} is no file of weights of the architecture {architecture!r}")
    for name, values in held.items():
        if values.dtype.kind not in "fiuU" or (name in SINGLE and values.ndim):
            raise ValueError(f"{path} is no file of weights: {name} is of {values.dtype}, of shape {values.shape}")
    if int(held["format"]) != version:
        raise ValueError(f"{path} has format {int(held['format'])}; this version of the package reads {version}")
    missing = sorted({"training", "fingerprint", *parts} - set(held))
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}")
    return held
