"""What descent asks of a smooth function, and two of its kinds: quadratics and linear models."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import scipy.sparse

from . import _kernels

Array = npt.NDArray[Any]


class Smooth(Protocol):
    """A function f whose value and gradient are kept up to date as blocks of x move.

    `aux` is an array that goes along with x, whatever the function keeps: the gradient of a quadratic, X w of a linear
    model, nothing of a callable.
    """

    size: int
    #: Whether the Hessian is the same everywhere, and `bound` is that.
    constant: bool

    def start(self, x: Array) -> tuple[float, Array]:
        """f(x) and aux."""

    def move(self, x: Array, aux: Array, f: float, b: Array, s: Array) -> tuple[float, Array]:
        """f and aux at x with s added to block b; x, aux and f belong together."""

    def gradient(self, x: Array, aux: Array) -> Array: ...
    def block_gradient(self, x: Array, aux: Array, b: Array) -> Array: ...
    def constants(self) -> Array | None:
        """An upper bound of each diagonal entry of the Hessian; None where none is known."""

    def bound(self, b: Array) -> Array:
        """A matrix H with f(x + s) <= f(x) + g_b's + 1/2 s'H s for all s in block b."""

    def hessian(self, x: Array, aux: Array, b: Array) -> Array: ...
    def product(self, b: Array, s: Array) -> Array:
        """The bound's columns b, times s: a vector of all coordinates."""

    def row_sums(self) -> Array:
        """The sums of the absolute values in each row of the bound."""

    def overlap(self, blocks: list[Array]) -> int:
        """An m such that steps of all blocks, each of which alone decreases f, do so together when divided by m."""

    @property
    def counts(self) -> dict[str, int]:
        """Calls of the user's functions."""


@dataclass(eq=False)
class Quadratic:
    """1/2 x'Q x - c'x with a symmetric Q, dense or in rows (CSR). aux: the gradient Q x - c."""

    Q: Any
    c: Array
    rows: _kernels.Rows | None = None
    constant = True

    def __post_init__(self) -> None:
        self.size = len(self.c)
        self.sparse = scipy.sparse.issparse(self.Q)
        if self.sparse:
            self.rows = _kernels.Rows(self.Q)

    @property
    def counts(self) -> dict[str, int]:
        return {}

    def start(self, x: Array) -> tuple[float, Array]:
        product = self.Q @ x if x.any() else np.zeros(self.size)
        return float(x @ (product / 2 - self.c)), np.asarray(product - self.c)

    def move(self, x: Array, aux: Array, f: float, b: Array, s: Array) -> tuple[float, Array]:
        g = aux.copy()
        if self.rows is not None:
            self.rows.add_columns(b, s, g)
        else:
            g += s @ self.Q[b]
        return f + float(s @ (aux[b] + g[b])) / 2, g

    def gradient(self, x: Array, aux: Array) -> Array:
        return aux

    def block_gradient(self, x: Array, aux: Array, b: Array) -> Array:
        return np.asarray(aux[b])

    def constants(self) -> Array:
        return np.asarray(self.Q.diagonal(), np.float64).copy()

    def bound(self, b: Array) -> Array:
        if self.rows is not None:
            return self.rows.block(np.asarray(b, np.int64))
        return np.ascontiguousarray(self.Q[np.ix_(b, b)])

    def hessian(self, x: Array, aux: Array, b: Array) -> Array:
        return self.bound(b)

    def product(self, b: Array, s: Array) -> Array:
        out = np.zeros(self.size)
        if self.rows is not None:
            self.rows.add_columns(b, s, out)
        else:
            out += s @ self.Q[b]
        return out

    def row_sums(self) -> Array:
        return np.asarray(abs(self.Q).sum(axis=1)).ravel()

    def overlap(self, blocks: list[Array]) -> int:
        """How many blocks one is linked to at most, itself among them: Q <= m times its diagonal blocks."""
        return _most_met(_members(blocks, self.size).T @ (abs(self.Q) > 0), blocks)


@dataclass(eq=False)
class LinearModel:
    """sum over samples of loss(x_i'w, y_i), for w of length d or d x K. aux: X w.

    A loss gives `value(z)`, `derivative(z)`, `second(z)` and the largest second derivative, `curvature`. For K > 1 z
    holds the predictors of each sample in turn, `second` the probabilities p, whose diag(p) - p p' is the Hessian of a
    sample, and `mixed(classes)` a bound of that.
    """

    X: Any
    loss: Any
    outputs: int = 1
    constant: bool = False
    _columns: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        sparse = scipy.sparse.issparse(self.X)
        self._columns = self.X.tocsc() if sparse else np.asfortranarray(self.X)
        if sparse:
            self._columns.sum_duplicates()
        self._transposed = self.X.T.tocsr() if sparse else self.X.T
        self._sparse = sparse
        self.features = self.X.shape[1]
        self.size = self.features * self.outputs

    @property
    def counts(self) -> dict[str, int]:
        return {}

    def _panel(self, features: Array) -> Array:
        """The columns of X, dense."""
        X = self._columns
        if not self._sparse:
            return np.asarray(X[:, features])
        panel = np.zeros((X.shape[0], len(features)), order="F")
        for k, j in enumerate(features.tolist()):  # SciPy's own indexing takes a hundred times as long
            entries = slice(X.indptr[j], X.indptr[j + 1])
            panel[X.indices[entries], k] = X.data[entries]
        return panel

    def _split(self, b: Array) -> tuple[Array, Array]:
        return np.divmod(b, self.outputs)

    def _step(self, b: Array, s: Array) -> Array:
        """X times the step, as aux is laid out."""
        if self.outputs == 1:
            return self._panel(b) @ s
        features, classes = self._split(b)
        own, where = np.unique(features, return_inverse=True)
        W = np.zeros((len(own), self.outputs))
        W[where, classes] = s
        return np.asarray(self._panel(own) @ W).ravel()

    def start(self, x: Array) -> tuple[float, Array]:
        z = np.asarray(self.X @ (x if self.outputs == 1 else x.reshape(-1, self.outputs))).ravel()
        return float(self.loss.value(z)), z

    def move(self, x: Array, aux: Array, f: float, b: Array, s: Array) -> tuple[float, Array]:
        z = aux + self._step(b, s)
        return float(self.loss.value(z)), z

    def gradient(self, x: Array, aux: Array) -> Array:
        slope = self.loss.derivative(aux)
        return np.asarray(self._transposed @ (slope if self.outputs == 1 else slope.reshape(-1, self.outputs))).ravel()

    def block_gradient(self, x: Array, aux: Array, b: Array) -> Array:
        slope = self.loss.derivative(aux)
        if self.outputs == 1:
            return np.asarray(slope @ self._panel(b))
        features, classes = self._split(b)
        return np.asarray(np.einsum("nb,nb->b", self._panel(features), slope.reshape(-1, self.outputs)[:, classes]))

    def constants(self) -> Array:
        squares = self._columns.multiply(self._columns).sum(axis=0) if self._sparse else (self._columns**2).sum(axis=0)
        return np.repeat(np.asarray(squares).ravel() * self.loss.curvature, self.outputs)

    def bound(self, b: Array) -> Array:
        features, classes = self._split(b)
        panel = self._panel(features)
        gram = panel.T @ panel
        return np.ascontiguousarray(gram * (self.loss.curvature if self.outputs == 1 else self.loss.mixed(classes)))

    def hessian(self, x: Array, aux: Array, b: Array) -> Array:
        features, classes = self._split(b)
        panel = self._panel(features)
        curvature = self.loss.second(aux)
        if self.outputs == 1:
            return np.ascontiguousarray(panel.T @ (curvature[:, None] * panel))
        P = curvature.reshape(-1, self.outputs)[:, classes]
        between = (panel * P).T @ (panel * P)
        own = (panel.T @ (panel * P)) * (classes[:, None] == classes)
        return np.ascontiguousarray(own - between)

    def product(self, b: Array, s: Array) -> Array:
        if self.outputs > 1:
            raise ValueError("this rule is for one output")
        return np.asarray(self._transposed @ self._step(b, s) * self.loss.curvature)

    def row_sums(self) -> Array:
        if self.outputs > 1:
            raise ValueError("bound 'rows' is for one output")
        X = abs(self._columns) if self._sparse else np.abs(self._columns)
        return np.asarray(X.T @ np.asarray(X.sum(axis=1)).ravel() * self.loss.curvature).ravel()

    def overlap(self, blocks: list[Array]) -> int:
        """How many blocks a sample depends on at most: the loss is a sum over the samples."""
        present = (
            scipy.sparse.csr_array(self.X != 0) if self._sparse else scipy.sparse.csr_array(np.asarray(self.X) != 0)
        )
        if self.outputs > 1:
            present = scipy.sparse.kron(present, np.ones((1, self.outputs)), format="csr")
        return _most_met(present.astype(np.float64), blocks)


def _members(blocks: list[Array], count: int) -> scipy.sparse.csr_array:
    """Which coordinate (row) is in which block."""
    number = np.empty(count, np.intp)
    for k, block in enumerate(blocks):
        number[block] = k
    return scipy.sparse.csr_array((np.ones(count), (np.arange(count), number)), shape=(count, len(blocks)))


def _most_met(rows: Any, blocks: list[Array]) -> int:
    """The blocks that a row has entries in, at most."""
    met = scipy.sparse.csr_array(rows) @ _members(blocks, rows.shape[1])
    return max(int(np.diff(scipy.sparse.csr_array(met).indptr).max(initial=1)), 1)


def spectral_bound(smooth: Smooth) -> float:
    """An upper bound, to 1 %, of the largest eigenvalue of the bound's whole matrix."""
    every = np.arange(smooth.size)
    v = np.random.default_rng(0).standard_normal(smooth.size)
    value = 0.0
    for _ in range(50):
        v /= np.linalg.norm(v)
        v = smooth.product(every, v)
        value = float(np.linalg.norm(v))
        if value == 0:
            return 0.0
    return 1.01 * value
