"""Constrained logistic regression: min mean log(1 + exp(-y a'x)) with A x = b (10 rows) and |x|^2 = 1, from x = 1.

A and b are standard normal, drawn by numpy's default_rng(2023), A first; data are LIBSVM's, or made by a formula. The
shape is that of Hong, Na, Mahoney, Kolar (2023); their own draws differ.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse
from scipy.optimize import LinearConstraint, NonlinearConstraint

Array = npt.NDArray[Any]

ROWS = 10


class Logistic:
    """The problem, its functions timed: `seconds` are those spent in them. Products with X are CSR's both ways."""

    def __init__(self, name: str, X: Any, y: Array) -> None:
        self.name, self.X = name, scipy.sparse.csr_array(X).multiply(y[:, None]).tocsr()
        self.Xt = self.X.T.tocsr()
        self.samples, self.n = self.X.shape
        # few columns: X'D X of a dense copy by BLAS; else products of sparse matrices
        self.dense = self.X.toarray() if self.X.nnz > 0.2 * self.X.shape[0] * self.n else None
        rng = np.random.default_rng(2023)
        self.A, self.b = rng.standard_normal((ROWS, self.n)), rng.standard_normal(ROWS)
        self.x0 = np.ones(self.n)
        self.reset()

    def reset(self) -> None:
        self.seconds, self.calls, self._last = 0.0, dict.fromkeys(("fun", "gradient", "hessian"), 0), (b"", np.zeros(0))

    def _margins(self, x: Array) -> Array:
        key = x.tobytes()
        if self._last[0] != key:
            self._last = key, self.X @ x
        return self._last[1]

    def _timed(self, name: str, function: Callable[[Array], Any], x: Any) -> Any:
        start = time.process_time()
        self.calls[name] += 1
        value = function(np.asarray(x, np.float64))
        self.seconds += time.process_time() - start
        return value

    def fun(self, x: Any) -> float:
        return float(self._timed("fun", lambda x: np.logaddexp(0.0, -self._margins(x)).mean(), x))

    def gradient(self, x: Any) -> Array:
        return np.asarray(self._timed("gradient", lambda x: -(self.Xt @ self._chance(x)) / self.samples, x))

    def _chance(self, x: Array) -> Array:
        """Of the other label."""
        return np.asarray(1 / (1 + np.exp(self._margins(x))))

    def weights(self, x: Any) -> Array:
        """D / N of the Hessian X'D X / N."""
        p = self._chance(np.asarray(x, np.float64))
        return np.asarray(p * (1 - p) / self.samples)

    def hessian(self, x: Any) -> Array:
        return np.asarray(self._timed("hessian", self._hessian, x))

    def _hessian(self, x: Array) -> Array:
        roots = np.sqrt(self.weights(x))
        if self.dense is not None:
            W = self.dense * roots[:, None]
            return np.asarray(W.T @ W)
        W = self.X.multiply(roots[:, None]).tocsr()
        return np.asarray((W.T @ W).toarray())

    def constraints(self) -> list[Any]:
        n = self.n
        sphere = NonlinearConstraint(
            lambda x: x @ x, 1, 1, jac=lambda x: 2 * x[None], hess=lambda x, v: 2 * v[0] * np.eye(n)
        )
        return [LinearConstraint(self.A, self.b, self.b), sphere]

    def rows(self, x: Array) -> Array:
        """The left sides of all rows less the right."""
        return np.concatenate([self.A @ x - self.b, [x @ x - 1]])

    def measure(self, x: Array) -> float:
        """The larger of the violation and the gradient's part along the constraints, by least squares."""
        J = np.vstack([self.A, 2 * x])
        g = -(self.Xt @ self._chance(x)) / self.samples
        y = np.linalg.lstsq(J.T, -g, rcond=None)[0]
        return float(max(np.abs(g + J.T @ y).max(), np.abs(self.rows(x)).max()))


#: Sets of the paper that LIBSVM has; sonar is made.
NAMES = ("ionosphere", "mushrooms", "phishing", "splice", "a9a", "w8a")


def problem(name: str, as_filed: bool = False) -> Logistic:
    """A data set of LIBSVM's from the folder that SOLVERS_DATA names; its labels are -1 and 1, or those of the file."""
    from solvers.datasets import load_libsvm

    X, y = load_libsvm(name)
    return Logistic(name, X, y if as_filed else np.where(y == y.max(), 1.0, -1.0))


def available() -> list[str]:
    """Those of `NAMES` that are there."""
    from pathlib import Path

    folder = os.environ.get("SOLVERS_DATA")
    return [name for name in NAMES if folder and any(Path(folder).glob(f"**/{name}.*"))]


def made(samples: int, n: int, density: float, seed: int = 7) -> Logistic:
    """Sparse normal data of a linear model with noise."""
    rng = np.random.default_rng(seed)
    each = max(1, round(density * n))
    columns = np.sort(rng.integers(0, n, (samples, each)), axis=1)
    X = scipy.sparse.csr_array(
        (
            rng.standard_normal(samples * each),
            columns.ravel().astype(np.int32),
            np.arange(0, samples * each + 1, each, dtype=np.int32),
        ),
        shape=(samples, n),
    )
    X.sum_duplicates()
    w = rng.standard_normal(n) / np.sqrt(n)
    y = np.sign(X @ w + 0.5 * rng.standard_normal(samples))
    return Logistic(f"{samples} x {n}", X, np.where(y < 0, -1.0, 1.0))
