"""Reading text in LIBSVM's format: `load_libsvm` beside scikit-learn's `load_svmlight_file`, both from memory."""

from __future__ import annotations

import io
import lzma
import os
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.datasets import dump_svmlight_file, load_digits, load_svmlight_file

from solvers.datasets import load_libsvm

from . import harness
from .harness import ratio
from .report import Bars, Report, Target

GOAL = 5.0


def report(quick: bool = False) -> Report:
    """A row a file; the goal is for each."""
    result = Report("reading", "Reading LIBSVM's format", picture=Bars("times as fast as scikit-learn"))
    table = result.table("Uncompressed text, from memory")
    texts = list(_texts())[: 3 if quick else None]
    ratios = []
    for name, text in harness.progress(texts, "reading"):
        ours, theirs = load_libsvm(io.BytesIO(text)), load_svmlight_file(io.BytesIO(text))
        same = (ours[0] != theirs[0]).nnz == 0 and np.array_equal(ours[1], theirs[1])
        readers = {
            "ours": partial(_read, load_libsvm, text),
            "scikit-learn": partial(_read, load_svmlight_file, text),
        }
        times = harness.interleave(readers, rounds=3 if quick else 9)
        ratios.append(ratio(times["scikit-learn"], times["ours"]))
        table.rows.append({
            "file": name, "MB": f"{len(text) / 1e6:.2f}", **times, "ratio": f"{ratios[-1]:.1f}x",
            "MB/s": f"{len(text) / 1e6 / times['ours'].median:.0f}", "same matrix": "yes" if same else "NO",
        })  # fmt: skip
        result.picture.add(name, ratios[-1])  # type: ignore[union-attr]
    result.targets.append(Target("load_svmlight_file / load_libsvm, worst file", ">=", GOAL, min(ratios)))
    result.header = harness.versions("scikit-learn")
    return result


def _read(reader, text: bytes) -> None:  # type: ignore[no-untyped-def]
    reader(io.BytesIO(text))


def _texts():  # type: ignore[no-untyped-def]
    """Texts of published sets where SOLVERS_DATA has them, and one of scikit-learn's digits with 17 digits a number."""
    stream, (X, y) = io.BytesIO(), load_digits(return_X_y=True)
    dump_svmlight_file(X / 7.0, y, stream)
    yield "digits / 7", stream.getvalue()
    folder = os.environ.get("SOLVERS_DATA")
    for path in sorted(Path(folder, "libsvm").glob("*.xz")) if folder else ():
        with lzma.open(path) as file:
            yield path.stem, file.read()
