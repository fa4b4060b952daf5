"""Data of the benchmark of penalised models: published sets, sets made of them, and random ones by formula and seed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.signal
import scipy.sparse

from solvers.datasets import load_libsvm

Array = npt.NDArray[Any]

#: Sets in LIBSVM's format with at least this share of entries are dense here.
DENSE_ENOUGH = 0.5


@dataclass(frozen=True)
class Data:
    """Samples in rows, dense in Fortran's order or CSC, and their targets: numbers, or labels -1 and 1, or classes."""

    X: Any
    y: Array

    @property
    def sparse(self) -> bool:
        return bool(scipy.sparse.issparse(self.X))

    def save(self, path: Path) -> None:
        arrays = {"y": self.y}
        if self.sparse:
            arrays |= {"data": self.X.data, "indices": self.X.indices, "indptr": self.X.indptr, "shape": self.X.shape}
        else:
            arrays |= {"X": self.X}
        np.savez(path, **arrays)


def load(path: Path | str) -> Data:
    """What `save` wrote."""
    with np.load(path) as arrays:
        if "X" in arrays:
            return Data(arrays["X"], arrays["y"])
        parts = (arrays["data"], arrays["indices"], arrays["indptr"])
        return Data(scipy.sparse.csc_matrix(parts, shape=tuple(arrays["shape"])), arrays["y"])


@dataclass(frozen=True)
class Source:
    """A set by name."""

    name: str
    make: Callable[[], Data]
    #: "numbers", "labels" (two) or "classes" (three or more) as targets.
    targets: str = "numbers"
    dense: bool = True
    #: "small", "large", or "more": large and much like another one, so that it is left out unless asked for.
    size: str = "small"


def _columns(X: Any) -> scipy.sparse.csc_matrix:
    """As the peers want it: some know no matrices but these, and no indices of 64 bits."""
    X = scipy.sparse.csc_matrix(X)
    X.indices, X.indptr = X.indices.astype(np.int32), X.indptr.astype(np.int32)
    return X


# ---- published ---------------------------------------------------------------------------------------


def _published(name: str) -> Data:
    X, y = load_libsvm(name)
    labels = np.unique(y)
    if len(labels) == 2:
        y = np.where(y == labels[1], 1.0, -1.0)
    enough = X.nnz >= DENSE_ENOUGH * X.shape[0] * X.shape[1]
    return Data(np.asfortranarray(X.toarray()) if enough else _columns(X), y)


def _shipped(name: str) -> Data:
    """Of scikit-learn, its columns centred and scaled."""
    from sklearn import datasets
    from sklearn.preprocessing import scale

    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    y = y.astype(float)
    return Data(np.asfortranarray(scale(X)), 2 * y - 1 if len(np.unique(y)) == 2 else y)


def _pairs(name: str) -> Data:
    """All columns and the products of two, those that are not empty."""
    data = _published(name)
    X = scipy.sparse.csc_array(data.X)
    parts = [X]
    for i in range(X.shape[1] - 1):
        parts.append(scipy.sparse.csc_array(scipy.sparse.diags_array(X[:, [i]].toarray().ravel()) @ X[:, i + 1 :]))
        parts[-1].eliminate_zeros()
    whole = scipy.sparse.hstack(parts, format="csc")
    kept = np.flatnonzero(np.diff(whole.indptr))
    return Data(_columns(whole[:, kept]), data.y)


def _monomials(name: str, degree: int) -> Data:
    """All monomials up to a degree, the constant included."""
    from sklearn.preprocessing import PolynomialFeatures

    data = _published(name)
    return Data(np.asfortranarray(PolynomialFeatures(degree).fit_transform(data.X)), data.y)


# ---- random ------------------------------------------------------------------------------------------


def _noisy(rng: np.random.Generator, X: Any) -> Array:
    """X w and noise a third as long, one in a hundred of w's entries from N(0, 1)."""
    n, d = X.shape
    w = np.zeros(d)
    w[rng.permutation(d)[: max(1, d // 100)]] = rng.standard_normal(max(1, d // 100))
    z, noise = np.asarray(X @ w), rng.standard_normal(n)
    return z + noise * (np.linalg.norm(z) / (3 * np.linalg.norm(noise)))


def _correlated(n: int, d: int, seed: int = 0) -> Data:
    """Neighbouring columns correlate by 0.5."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((n, d)) * np.sqrt(0.75)
    noise[:, 0] /= np.sqrt(0.75)
    X = np.asfortranarray(scipy.signal.lfilter([1.0], [1.0, -0.5], noise, axis=1))
    return Data(X, _noisy(rng, X))


def _text(n: int, d: int, length: int, seed: int = 0) -> Data:
    """Rows of words, the j-th with a probability of 1 / (j + 10), weighted by tf-idf and of norm 1."""
    rng = np.random.default_rng(seed)
    lengths = rng.poisson(length, n) + 1
    chances = 1 / (np.arange(d) + 10)
    words = rng.choice(d, lengths.sum(), p=chances / chances.sum())
    rows = np.repeat(np.arange(n), lengths)
    counts = scipy.sparse.csr_array((np.ones(len(words)), (rows, words)), (n, d))
    counts.sum_duplicates()
    counts.data *= np.log(n / (1 + np.bincount(counts.indices, minlength=d)))[counts.indices]
    norms = np.sqrt(np.add.reduceat(counts.data**2, counts.indptr[:-1]))
    X = scipy.sparse.csr_array(scipy.sparse.diags_array(1 / norms) @ counts)
    return Data(_columns(X), _noisy(rng, X))


def _labelled(make: Callable[[], Data]) -> Data:
    """The same samples, labelled by the sign."""
    data = make()
    return Data(data.X, np.where(data.y > 0, 1.0, -1.0))


def _classed(n: int, d: int, classes: int, seed: int = 0) -> Data:
    """Classes by the largest of as many noisy linear functions."""
    X = _correlated(n, d, seed).X
    rng = np.random.default_rng(seed + 1)
    Z = X @ rng.standard_normal((d, classes)) + 3 * rng.standard_normal((n, classes))
    return Data(X, Z.argmax(axis=1).astype(float))


# ---- all of them -------------------------------------------------------------------------------------


def _sources() -> Iterable[Source]:
    for name in ("breast-cancer", "australian", "german.numer_scale", "ionosphere", "splice", "svmguide1"):
        yield Source(name, partial(_published, name), "labels")
    for name in ("madelon.t", "colon-cancer"):
        yield Source(name, partial(_published, name), "labels")
    for name in ("housing_scale", "abalone"):
        yield Source(name, partial(_published, name))
    for name in ("a1a", "mushrooms", "phishing"):
        yield Source(name, partial(_published, name), "labels", dense=False)
    for name in ("a9a", "w8a"):
        yield Source(name, partial(_published, name), "labels", dense=False, size="large")
    for name in ("a1a.t", "a7a", "a8a", "a9a.t", "w8a.t"):
        yield Source(name, partial(_published, name), "labels", dense=False, size="more")
    yield Source("breast_cancer", partial(_shipped, "breast_cancer"), "labels")
    yield Source("diabetes", partial(_shipped, "diabetes"))
    for name in ("digits", "wine", "iris"):
        yield Source(name, partial(_shipped, name), "classes")
    for name in ("a9a", "phishing", "w8a"):
        yield Source(f"{name}^2", partial(_pairs, name), "labels", dense=False, size="large")
    yield Source("housing^4", partial(_monomials, "housing_scale", 4), size="large")
    yield Source("abalone^5", partial(_monomials, "abalone", 5), size="large")
    for n, d in ((1000, 5000), (500, 20_000), (20_000, 500)):
        make = partial(_correlated, n, d)
        yield Source(f"random-{n}x{d}", make, size="large")
        yield Source(f"labels-{n}x{d}", partial(_labelled, make), "labels", size="large")
    yield Source("classes-5000x100", partial(_classed, 5000, 100, 10), "classes", size="large")
    make = partial(_text, 20_000, 50_000, 60)
    yield Source("text", make, dense=False, size="large")
    yield Source("text-labels", partial(_labelled, make), "labels", dense=False, size="large")


SOURCES = {source.name: source for source in _sources()}


def quick() -> dict[str, Source]:
    """A tiny set of each kind, for trying the code."""
    tiny, text = partial(_correlated, 40, 60), partial(_text, 60, 80, 10)
    sources = (
        Source("tiny", tiny), Source("tiny-labels", partial(_labelled, tiny), "labels"),
        Source("tiny-text", text, dense=False), Source("tiny-classes", partial(_classed, 60, 20, 3), "classes"),
        Source("tiny-text-labels", partial(_labelled, text), "labels", dense=False),
    )  # fmt: skip
    return {source.name: source for source in sources}


def tiny(kind: str, sparse: bool) -> Data:
    """Data for a kind of problem that take no time."""
    data = _text(60, 80, 10) if sparse else _correlated(40, 60)
    if kind == "multinomial":
        return Data(data.X, np.digitize(data.y, np.quantile(data.y, (0.3, 0.6))).astype(float))
    return Data(data.X, np.where(data.y > 0, 1.0, -1.0)) if "logistic" in kind else data
