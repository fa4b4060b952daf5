"""Files in LIBSVM's format: plain or compressed, by path or by the name of a known data set."""

from __future__ import annotations

import bz2
import gzip
import importlib
import lzma
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt
import scipy.sparse

from . import _kernels

#: How a compressed file is opened, by the end of its name.
OPENERS: dict[str, Callable[..., Any]] = {".xz": lzma.open, ".bz2": bz2.open, ".gz": gzip.open}

#: Bytes of text worked on at a time: they, and what they become, stay in the cache.
BLOCK = 1 << 20

#: enum sv_libsvm_fault in words.
FAULTS = {
    1: "a line must begin with its label, a number",
    2: "several labels in a line are not supported; scikit-learn's load_svmlight_file(multilabel=True) reads them",
    3: "expected index:value, the index a whole number from 0 on",
    4: "the value after index: is not a number",
    5: "the indices of a line must rise",
    6: "an index must be at most 2147483646",
}


def load_libsvm(
    name_or_path: str | os.PathLike[str] | BinaryIO,
    *,
    n_features: int | None = None,
    dtype: npt.DTypeLike = np.float64,
    zero_based: bool | str = "auto",
    query_id: bool = False,
) -> tuple[Any, ...]:
    """Read a data set in LIBSVM's format, which is svmlight's: ``label [qid:number] index:value ... # comment``.

    Parameters
    ----------
    name_or_path : str, path or binary file
        A file; where its name ends in ``.xz``, ``.bz2`` or ``.gz`` it is decompressed. Or the name of a data set
        ("a9a"), which is looked for, with each of these endings, in the folder that the environment variable
        ``SOLVERS_DATA`` names and in its folder ``libsvm``, and then fetched through the package `libsvmdata`, if that
        is installed.
    n_features : int, optional
        Columns of X. By default as many as the largest index needs: give it where two files must agree.
    dtype : float64 or float32, default float64
        Of X. Numbers are rounded to nearest float64 first.
    zero_based : bool or "auto", default "auto"
        Whether indices begin at 0; "auto" means so where one of them is 0, else from 1.
    query_id : bool, default False
        Whether to return the numbers after ``qid:`` too, -1 for rows without one.

    Returns
    -------
    X : csr_matrix, shape (n, d)
    y : ndarray of float64, shape (n,)
        The labels as they stand.
    query : ndarray of int64, shape (n,)
        With ``query_id=True`` only.

    Raises
    ------
    FileNotFoundError
        Neither a file nor a data set that is known; says where it was looked for.
    ValueError
        A line that is not in the format (its number is told), or an index beyond `n_features`.

    Notes
    -----
    The file is read in blocks, so that it is never in memory as a whole; the result takes 12 bytes an entry, and as
    much again while its parts are put together. A byte takes a few cycles, less than xz needs to unpack it.

    Examples
    --------
    >>> import io
    >>> from solvers.datasets import load_libsvm
    >>> X, y = load_libsvm(io.BytesIO(b"+1 1:0.5 3:2 # the first\\n-1 2:1e-3\\n"))
    >>> X.toarray().tolist(), y.tolist()
    ([[0.5, 0.0, 2.0], [0.0, 0.001, 0.0]], [1.0, -1.0])
    """
    if np.dtype(dtype) not in (np.float64, np.float32):
        raise TypeError(f"dtype must be float64 or float32, not {np.dtype(dtype)}")
    if zero_based not in (True, False, "auto"):
        raise ValueError(f"zero_based must be True, False or 'auto', not {zero_based!r}")
    if n_features is not None and (not isinstance(n_features, int | np.integer) or n_features < 0):
        raise ValueError(f"n_features must be a whole number from 0 on, not {n_features!r}")
    kind = np.dtype(dtype)
    if hasattr(name_or_path, "read"):
        stream = cast(BinaryIO, name_or_path)
        parts = _parts(stream, str(getattr(stream, "name", "the file")), kind)
    elif (path := _found(os.fspath(name_or_path))) is not None:
        with OPENERS.get(path.suffix, open)(path, "rb") as stream:
            parts = _parts(stream, str(path), kind)
    else:
        X, y = _fetched(os.fspath(name_or_path))
        parts = [_as_part(X, y, kind)]
        zero_based = True
    X, y, query = _joined(parts, n_features, zero_based, kind)
    return (X, y, query) if query_id else (X, y)


def _found(name: str) -> Path | None:
    """The file of that path, or of the data set of that name; None where there is none."""
    path = Path(name)
    for folder in _folders(name):
        for ending in ("", *OPENERS):
            if (folder / (name + ending)).is_file():
                return folder / (name + ending)
    return path if path.is_file() else None


def _folders(name: str) -> list[Path]:
    """Where a data set of that name is looked for; a path is no name."""
    home = os.environ.get("SOLVERS_DATA")
    if not home or Path(name).name != name or Path(name).is_file():
        return []
    return [Path(home), Path(home, "libsvm")]


def _fetched(name: str) -> tuple[Any, Any]:
    """A data set of the package libsvmdata, which downloads it once."""
    where = ", ".join(map(str, _folders(name))) or "the folder SOLVERS_DATA, which is not set"
    missing = f"{name!r} is neither a file nor a data set in {where}"
    try:
        package = importlib.import_module("libsvmdata")
    except ImportError:
        raise FileNotFoundError(f"{missing}; to fetch it by name, install the package libsvmdata") from None
    try:
        X, y = package.fetch_dataset(name)
    except ValueError:
        raise FileNotFoundError(f"{missing}, nor one that the package libsvmdata knows") from None
    return scipy.sparse.csr_matrix(X), np.asarray(y, np.float64)


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    """The text in blocks of whole lines; the last line may lack its end."""
    rest = b""
    while block := stream.read(BLOCK):
        if isinstance(block, str):
            raise TypeError("the file must be open in binary mode")
        cut = block.rfind(b"\n") + 1
        if cut == 0:
            rest += block
            continue
        yield rest + block[:cut]
        rest = block[cut:]
    if rest:
        yield rest


def _parts(stream: BinaryIO, name: str, kind: np.dtype[Any]) -> list[tuple[Any, ...]]:
    """What each block holds: labels, queries, row ends, columns, values, the range of columns."""
    parts: list[tuple[Any, ...]] = []
    lines = 0
    for block in _blocks(stream):
        labels, queries, ends, columns, values, limits, (fault, read, place) = _kernels.read_lines(block)
        if fault:
            shown = block[place : place + 30].split(b"\n")[0].decode(errors="replace")
            raise ValueError(f"{name}, line {lines + read + 1}: {FAULTS[fault]}; it reads {shown!r}")
        parts.append((labels, queries, ends, columns, values.astype(kind, copy=False), limits))
        lines += read
    return parts


def _as_part(X: Any, y: Any, kind: np.dtype[Any]) -> tuple[Any, ...]:
    """A matrix as one block of a file whose indices begin at 0; its width counts as an index."""
    ends = X.indptr[1:].astype(np.int64)
    return y, np.full(len(y), -1), ends, X.indices, X.data.astype(kind), (0, X.shape[1] - 1)


def _joined(
    parts: list[tuple[Any, ...]], n_features: int | None, zero_based: bool | str, kind: np.dtype[Any]
) -> tuple[Any, Any, Any]:
    """The matrix, the labels and the queries of all parts."""
    if not parts:
        return scipy.sparse.csr_matrix((0, n_features or 0), dtype=kind), np.empty(0), np.empty(0, np.int64)
    labels, queries, ends, columns, values, ranges = zip(*parts, strict=True)
    least, greatest = min(low for low, _ in ranges), max(high for _, high in ranges)
    first = (0 if least == 0 else 1) if zero_based == "auto" else int(not zero_based)
    if least < first:
        raise ValueError("an index is 0: zero_based=False means that they begin at 1")
    width = max(greatest + 1 - first, 0)
    if n_features is not None and width > n_features:
        raise ValueError(f"n_features is {n_features}, but the file has an index of column {width - 1} (from 0)")
    entries = sum(map(len, values))
    integer = np.int32 if entries < 2**31 else np.int64
    indptr = np.zeros(sum(map(len, ends)) + 1, integer)
    row = entry = 0
    for part in ends:
        indptr[row + 1 : row + 1 + len(part)] = part + entry
        row += len(part)
        entry = int(indptr[row])
    indices = np.subtract(np.concatenate(columns), first, dtype=integer)
    shape = (len(indptr) - 1, width if n_features is None else int(n_features))
    X = scipy.sparse.csr_matrix((np.concatenate(values), indices, indptr), shape=shape)
    X.has_sorted_indices = True
    return X, np.concatenate(labels), np.concatenate(queries)
