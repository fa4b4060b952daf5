"""The five problems of Nutini, Laradji, Schmidt (2022), by a formula and a seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse
import scipy.spatial

from solvers.learning import LeastSquares, Logistic, Multinomial, comb

Array = npt.NDArray[Any]


@dataclass
class Graph:
    """Label propagation: x'Q x / 2 - c'x over the nodes without a label."""

    Q: scipy.sparse.csr_array
    c: Array
    #: Partitions that only a lattice has.
    partitions: dict[str, list[Array]]


def features(rng: np.random.Generator, n: int, d: int) -> scipy.sparse.csr_array:
    """N(0, 1) + 1, each column times 10 N(0, 1), an entry kept with probability 10 log(n) / n."""
    X = rng.standard_normal((n, d)) + 1
    X *= 10 * rng.standard_normal(d)
    X[rng.random((n, d)) >= 10 * np.log(n) / n] = 0
    return scipy.sparse.csr_array(X)


def sparse_weights(rng: np.random.Generator, d: int) -> Array:
    """N(0, 1), kept with probability 0.1."""
    w = rng.standard_normal(d)
    return np.where(rng.random(d) < 0.1, w, 0.0)


def least_squares(n: int = 1000, d: int = 10_000, seed: int = 0) -> LeastSquares:
    """Problem A."""
    rng = np.random.default_rng(seed)
    X, w = features(rng, n, d), sparse_weights(rng, d)
    return LeastSquares(X, X @ w + rng.standard_normal(n))


def logistic(n: int = 1000, d: int = 10_000, seed: int = 0) -> Logistic:
    """Problem B: labels by the sign of X w, one in ten flipped."""
    rng = np.random.default_rng(seed)
    X, w = features(rng, n, d), sparse_weights(rng, d)
    y = np.where(X @ w > 0, 1, -1)
    return Logistic(X, np.where(rng.random(n) < 0.1, -y, y))


def multinomial(n: int = 1000, d: int = 1000, classes: int = 50, seed: int = 0) -> Multinomial:
    """Problem C."""
    rng = np.random.default_rng(seed)
    X = features(rng, n, d)
    Z = X @ rng.standard_normal((d, classes)) + rng.standard_normal((n, classes))
    return Multinomial(X, Z.argmax(axis=1))


def labels_on(W: scipy.sparse.csr_array, labelled: Array, values: Array) -> tuple[scipy.sparse.csr_array, Array, Array]:
    """Q = L_uu, c = W_ul y and the mask of the nodes without a label."""
    free = np.ones(W.shape[0], bool)
    free[labelled] = False
    W = scipy.sparse.csr_array(W)
    L = scipy.sparse.csr_array(scipy.sparse.diags_array(np.asarray(W.sum(axis=1)).ravel()) - W)
    return scipy.sparse.csr_array(L[free][:, free]), np.asarray(W[free][:, labelled] @ values), free


def lattice_weights(side: int, weight: float) -> scipy.sparse.csr_array:
    """A square lattice, its nodes numbered row by row."""
    line = scipy.sparse.diags_array([weight, weight], offsets=[-1, 1], shape=(side, side))
    identity = scipy.sparse.eye_array(side)
    return scipy.sparse.csr_array(scipy.sparse.kron(line, identity) + scipy.sparse.kron(identity, line))


def lattice(side: int = 50, labelled: int = 100, weight: float = 1e5, seed: int = 0) -> Graph:
    """Problem D."""
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(side * side)[:labelled]
    Q, c, free = labels_on(lattice_weights(side, weight), chosen, 10 * rng.standard_normal(labelled))
    column = (np.arange(side * side) % side)[free]
    columns = [np.flatnonzero(column % 2 == 0), np.flatnonzero(column % 2 == 1)]
    return Graph(Q, c, {"comb": comb((side, side), free), "columns": columns})


def moons(points: int = 2000, labelled: int = 100, neighbours: int = 5, seed: int = 0) -> Graph:
    """Problem E: two half circles with noise of variance 0.04, and the graph of nearest neighbours, symmetrised."""
    rng = np.random.default_rng(seed)
    half = points // 2
    angle = np.pi * rng.random(points)
    upper = np.arange(points) < half
    place = np.column_stack([
        np.where(upper, np.cos(angle), 1 - np.cos(angle)), np.where(upper, np.sin(angle), 0.5 - np.sin(angle)),
    ])  # fmt: skip
    place += 0.2 * rng.standard_normal((points, 2))
    W = nearest(place, neighbours)
    chosen = rng.permutation(points)[:labelled]
    Q, c, _ = labels_on(W, chosen, np.where(upper[chosen], 1.0, 2.0))
    return Graph(Q, c, {})


def nearest(place: Array, neighbours: int) -> scipy.sparse.csr_array:
    """Edges of weight 1 wherever one of two points is among the other's nearest."""
    points = len(place)
    near = scipy.spatial.cKDTree(place).query(place, neighbours + 1)[1][:, 1:]
    rows = np.repeat(np.arange(points), neighbours)
    W = scipy.sparse.csr_array((np.ones(near.size), (rows, near.ravel())), shape=(points, points))
    return scipy.sparse.csr_array(W.maximum(W.T))


def cloud(points: int, neighbours: int, dimension: int, seed: int = 0) -> Graph:
    """Normal points, 4 % of them labelled by N(0, 1), and the graph of nearest neighbours."""
    rng = np.random.default_rng(seed)
    W = nearest(rng.standard_normal((points, dimension)), neighbours)
    chosen = rng.permutation(points)[: points // 25]
    return Graph(*labels_on(W, chosen, rng.standard_normal(len(chosen)))[:2], {})
