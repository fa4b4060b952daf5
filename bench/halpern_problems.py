"""Matrix games and linear programs by formula and seed, and those of SOLVERS_DATA: what bench/halpern.py solves.

A game is a matrix A, `min over x, max over y, of y'Ax` on simplices. A program is `min c'x, low <= A x <= high,
lower <= x <= upper`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse

import solvers

Array = npt.NDArray[Any]


class Program(NamedTuple):
    """A linear program in its two-sided form."""

    c: Array
    A: scipy.sparse.csr_array
    low: Array
    high: Array
    lower: Array
    upper: Array
    constant: float = 0.0


@dataclass(frozen=True)
class Source:
    """A named problem and how it is made."""

    name: str
    make: Callable[[], Any]


# ---- games ---------------------------------------------------------------------------------------


def policeman(n: int, seed: int = 1, orientation: str = "rows") -> Array:
    """A burglar picks a house, a policeman a post; what is stolen is worth |randn| times 1 - exp(-0.8 distance).

    The wealth scales the rows; the experiment of the paper scales the columns, which makes a game whose minimiser has
    one best house whatever the policeman does.
    """
    wealth = np.abs(np.random.RandomState(seed).randn(n))  # the published instance
    place = np.arange(n)
    away = 1 - np.exp(-0.8 * np.abs(place[:, None] - place))
    return away * (wealth[:, None] if orientation == "rows" else wealth)


def _toeplitz(n: int, power: int, sums: bool) -> Array:
    i = np.arange(1, n + 1)
    base = i[:, None] + i - 1 if sums else np.abs(i[:, None] - i) + 1
    return np.asarray((base / (2 * n - 1)) ** power)


def games(sizes: tuple[int, ...], wide: bool) -> list[Source]:
    """The games of the comparison."""
    found = []
    for n in sizes:
        found += [
            Source(f"uniform {n}", lambda n=n: np.random.default_rng(n).random((n, n)) * 2 - 1),
            Source(f"Gaussian {n}", lambda n=n: np.random.default_rng(n).normal(size=(n, n))),
            Source(f"Bernoulli 0.2, {n}", lambda n=n: (np.random.default_rng(n).random((n, n)) < 0.2).astype(float)),
            Source(f"policeman, rows {n}", lambda n=n: policeman(n)),
            Source(f"policeman, columns {n}", lambda n=n: policeman(n, orientation="columns")),
        ]
        for power in (1, 2):
            found += [
                Source(f"nem1 power {power}, {n}", lambda n=n, p=power: _toeplitz(n, p, True)),
                Source(f"nem2 power {power}, {n}", lambda n=n, p=power: _toeplitz(n, p, False)),
            ]
    if wide:
        rng = np.random.default_rng(200)
        found.append(Source("uniform 200 x 20000", lambda: rng.random((200, 20_000)) * 2 - 1))
    return found


# ---- linear programs -----------------------------------------------------------------------------


def random_sparse(rows: int, columns: int, each: int, seed: int) -> Program:
    """`each` entries a row; half the rows are equations. A point and multipliers are drawn first, so an optimum is."""
    rng = np.random.default_rng(seed)
    index = np.concatenate([rng.choice(columns, each, replace=False) for _ in range(rows)])
    A = scipy.sparse.csr_array((rng.normal(size=rows * each), index, np.arange(rows + 1) * each), shape=(rows, columns))
    x = np.where(rng.random(columns) < 0.5, rng.random(columns), 0.0)
    y = np.where(np.arange(rows) < rows // 2, rng.normal(size=rows), rng.random(rows) * (rng.random(rows) < 0.5))
    reduced = np.where(x > 0, 0.0, rng.random(columns))
    product = A @ x
    low = product - np.where((np.arange(rows) < rows // 2) | (y > 0), 0.0, rng.random(rows))
    high = np.where(np.arange(rows) < rows // 2, product, np.inf)
    return Program(A.T @ y + reduced, A, low, high, np.zeros(columns), np.full(columns, np.inf))


def transport(sources: int, sinks: int, seed: int) -> Program:
    """Random costs and masses between two sets of points in the plane."""
    rng = np.random.default_rng(seed)
    a, b = rng.random(sources) + 0.1, rng.random(sinks) + 0.1
    masses = np.concatenate([a / a.sum(), b / b.sum()])
    X, Y = rng.random((sources, 2)), rng.random((sinks, 2))
    cost = np.sqrt(((X[:, None] - Y) ** 2).sum(2)).ravel()
    left = scipy.sparse.kron(scipy.sparse.eye_array(sources), np.ones((1, sinks)))
    right = scipy.sparse.kron(np.ones((1, sources)), scipy.sparse.eye_array(sinks))
    A = scipy.sparse.csr_array(scipy.sparse.vstack([left, right]))
    return Program(cost, A, masses, masses, np.zeros(len(cost)), np.full(len(cost), np.inf))


def pagerank(nodes: int, seed: int, damping: float = 0.99) -> Program:
    """A stationary distribution as a program: x >= damping P x + (1 - damping) / n, sum x = 1, on a graph that grows by
    preferential attachment (three links a node)."""
    rng = np.random.default_rng(seed)
    ends = np.empty(6 * nodes, np.int64)
    ends[:6] = [0, 1, 1, 2, 2, 0]
    used = 6
    for node in range(3, nodes):
        for target in ends[rng.integers(used, size=3)]:
            ends[used : used + 2] = node, target
            used += 2
    pairs = ends[:used].reshape(-1, 2)
    both = np.concatenate([pairs, pairs[:, ::-1]])
    adjacency = scipy.sparse.csr_array((np.ones(len(both)), (both[:, 0], both[:, 1])), shape=(nodes, nodes))
    adjacency.data[:] = 1.0
    P = adjacency.T @ scipy.sparse.diags_array(1 / adjacency.sum(axis=1))
    body = scipy.sparse.eye_array(nodes) - damping * P
    A = scipy.sparse.csr_array(scipy.sparse.vstack([body, np.ones((1, nodes))]))
    low = np.append(np.full(nodes, (1 - damping) / nodes), 1.0)
    high = np.append(np.full(nodes, np.inf), 1.0)
    return Program(np.zeros(nodes), A, low, high, np.zeros(nodes), np.full(nodes, np.inf))


def programs(quick: bool) -> list[Source]:
    """The generated programs of the comparison."""
    if quick:
        return [
            Source("random sparse 40 x 60", lambda: random_sparse(40, 60, 4, 3)),
            Source("transport 8 x 9", lambda: transport(8, 9, 3)),
        ]
    return [
        Source("random sparse 4000 x 6000", lambda: random_sparse(4000, 6000, 8, 3)),
        Source("transport 200 x 300", lambda: transport(200, 300, 3)),
        Source("transport 500 x 500", lambda: transport(500, 500, 7)),
        Source("PageRank 20000", lambda: pagerank(20_000, 3)),
        Source("PageRank 100000", lambda: pagerank(100_000, 3)),
    ]


def read_program(path: Path) -> Program:
    """A file as a program."""
    found = solvers.equilibrium.read_mps(path)
    return Program(found.c, found.A, found.l, found.u, found.lb, found.ub, found.offset)


def netlib() -> list[Source]:
    """The files of SOLVERS_DATA, smallest first; empty where it is not set."""
    folder = Path(os.environ.get("SOLVERS_DATA", ""), "lp")
    files = (
        sorted(folder.glob("*.mps.xz"), key=lambda path: path.stat().st_size) if os.environ.get("SOLVERS_DATA") else []
    )
    return [Source(path.name.split(".")[0], lambda path=path: read_program(path)) for path in files]
