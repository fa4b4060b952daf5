"""Label propagation for scikit-learn: the harmonic function on a graph, by `quadratic`. Needs scikit-learn."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.metrics.pairwise import rbf_kernel
    from sklearn.neighbors import NearestNeighbors
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:  # pragma: no cover
    raise ImportError("the estimators of solvers.learning need scikit-learn: pip install scikit-learn") from error

from .._base.sparse import components, diagonal_matrix, identity
from ._quadratics import quadratic

Array = npt.NDArray[Any]

KERNELS = ("knn", "rbf", "precomputed")
SPARSE = ("csr", "csc", "coo")
#: Weights below this part of what their nodes have in all are rounding, and join nothing.
WEAK = 1e-14
#: Unknowns of a dense graph in one block: a Cholesky factor each.
DENSE_BLOCK = 2048


class LabelPropagation(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Labels for samples without one: each gets the weighted mean of its neighbours' class probabilities.

    That is the harmonic function: the least ``sum_ij W_ij |f_i - f_j|^2`` with f given at the labelled samples. It is
    solved for, not iterated to by sweeps of averaging, so that a large graph costs some dozens of passes over it.

    Parameters
    ----------
    kernel : {"knn", "rbf", "precomputed"}, default "knn"
        The graph: an edge of weight 1 wherever one of two samples is among the other's nearest; weights
        ``exp(-gamma |x - x'|^2)`` between all; or X is the graph: its weights, symmetric and >= 0, shape (n, n), dense
        or sparse, and those to the n samples of `fit`, shape (m, n), in `predict`.
    n_neighbors : int, default 7
        Of "knn".
    gamma : float, default 20
        Of "rbf".
    tol : float, default 1e-8
        Residual that is a success, relative to that of the start.
    max_iter : int, default 10000
        Iterations for a class at most. A `ConvergenceWarning` tells where they did not reach the tolerance.

    Attributes
    ----------
    classes_ : ndarray, shape (k,)
    label_distributions_ : ndarray, shape (n, k)
        Probabilities of the samples of `fit`; all classes alike where no labelled sample can be reached.
    transduction_ : ndarray, shape (n,)
        The class of each sample of `fit`.
    n_iter_ : int
        The iterations of the class that took most.
    n_features_in_ : int

    Notes
    -----
    "knn" costs the search for neighbours and, for each class but one, conjugate gradients over the graph's forests:
    O(edges) an iteration. "rbf" takes n^2 numbers, and a Cholesky factor of the samples without a label.

    References
    ----------
    Zhu, Ghahramani, Lafferty (2003), Semi-supervised learning using Gaussian fields and harmonic functions, ICML.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from solvers.learning import LabelPropagation
    >>> X, y = load_iris(return_X_y=True)
    >>> some = y.copy()
    >>> some[::2] = -1  # no label
    >>> round(float((LabelPropagation().fit(X, some).transduction_ == y).mean()), 2)
    0.99
    """

    def __init__(
        self, kernel: str = "knn", *, n_neighbors: int = 7, gamma: float = 20.0, tol: float = 1e-8,
        max_iter: int = 10_000,
    ) -> None:  # fmt: skip
        self.kernel = kernel
        self.n_neighbors = n_neighbors
        self.gamma = gamma
        self.tol = tol
        self.max_iter = max_iter

    def fit(self, X: Any, y: Any) -> LabelPropagation:
        """Fit to X, shape (n, d), and y, shape (n,): labels, and -1 where there is none."""
        if self.kernel not in KERNELS:
            raise ValueError(f"kernel must be one of {', '.join(KERNELS)}, not {self.kernel!r}")
        X, y = validate_data(self, X, y, accept_sparse=SPARSE, dtype=np.float64)
        known = np.asarray(y != -1) if y.dtype.kind in "iufO" else np.ones(len(y), bool)
        if not known.any():
            raise ValueError("y must hold a label: all of them are -1")
        check_classification_targets(y[known])
        self.classes_, number = np.unique(y[known], return_inverse=True)
        self.X_ = X
        W = self._graph(X)
        self.label_distributions_ = np.full((len(y), len(self.classes_)), 1 / len(self.classes_))
        self.label_distributions_[known] = np.eye(len(self.classes_))[number]
        self.n_iter_ = 1
        self._propagate(W, known)
        self.transduction_ = self.classes_[self.label_distributions_.argmax(axis=1)]
        return self

    def predict(self, X: Any) -> Array:
        """The likeliest class of each sample, shape (m,)."""
        check_is_fitted(self)
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])

    def predict_proba(self, X: Any) -> Array:
        """Mean probabilities of the samples of `fit` around each sample, weighted as in the graph, shape (m, k)."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=SPARSE, dtype=np.float64, reset=False)
        if self.kernel == "knn":
            near = self._neighbours().kneighbors(X, return_distance=False)
            return np.asarray(self.label_distributions_[near].mean(axis=1))
        W = rbf_kernel(X, self.X_, gamma=self.gamma) if self.kernel == "rbf" else X
        total = np.asarray(W.sum(axis=1)).reshape(-1, 1)
        mean = np.asarray(W @ self.label_distributions_) / np.where(total > 0, total, 1.0)
        return np.asarray(np.where(total > 0, mean, 1 / len(self.classes_)))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.pairwise = self.kernel == "precomputed"
        tags.input_tags.positive_only = self.kernel == "precomputed"
        return tags

    # ---- the graph -------------------------------------------------------------------------------

    def _neighbours(self) -> NearestNeighbors:
        return NearestNeighbors(n_neighbors=min(self.n_neighbors, self.X_.shape[0])).fit(self.X_)

    def _graph(self, X: Any) -> Any:
        """The weights between the samples of `fit`, without a diagonal."""
        if self.kernel == "rbf":
            W = rbf_kernel(X, gamma=self.gamma)
        elif self.kernel == "knn":  # each sample's nearest is itself
            count = min(self.n_neighbors + 1, X.shape[0])
            one_way = NearestNeighbors(n_neighbors=count).fit(X).kneighbors_graph(X)
            one_way.check_format()  # given fewer threads than it counts on, scikit-learn leaves neighbours unset
            W = scipy.sparse.csr_array(one_way.maximum(one_way.T))
        else:
            W = X.copy()
            values = W.data if scipy.sparse.issparse(W) else W
            square = W.shape[0] == W.shape[1]
            if not square or (len(values) and values.min() < 0) or abs(W - W.T).max() > 1e-10 * abs(W).max():
                raise ValueError("X must be a square matrix of weights, symmetric and >= 0, where kernel='precomputed'")
        if scipy.sparse.issparse(W):
            W = scipy.sparse.csr_array(W)
            return W - diagonal_matrix(W.diagonal()).tocsr()
        np.fill_diagonal(W, 0.0)
        return W

    # ---- the harmonic function -------------------------------------------------------------------

    def _propagate(self, W: Any, known: Array) -> None:
        """Fills in the distributions of the samples without a label that a label reaches."""
        degree = np.asarray(W.sum(axis=1)).ravel()
        scale = 1 / np.sqrt(np.where(degree > 0, degree, 1.0))
        # scaled to a diagonal of ones: what a node's weights are matters, not how large they are
        if scipy.sparse.issparse(W):
            W = scipy.sparse.csr_array(W.multiply(scale).multiply(scale[:, None]))
            W.data[W.data < WEAK] = 0.0
            W.eliminate_zeros()
            W = (W + W.T) / 2
        else:
            W = W * scale * scale[:, None]
            W[W < WEAK] = 0.0
            W = (W + W.T) / 2
        free = ~known & _reached(W, known)
        if not free.any():
            return
        left = self.label_distributions_[known] / scale[known, None]
        inside, across = W[free][:, free], W[free][:, known]
        one = identity(inside.shape[0]) if scipy.sparse.issparse(W) else np.eye(len(inside))
        Q, C = one - inside, np.asarray(across @ left)
        columns = [self._solved(Q, C[:, k]) for k in range(len(self.classes_) - 1)]
        found = np.clip(np.column_stack([*columns, np.zeros(len(C))]) * scale[free, None], 0.0, 1.0)
        found[:, -1] = np.maximum(1 - found.sum(axis=1), 0.0)
        self.label_distributions_[free] = found / found.sum(axis=1, keepdims=True)

    def _solved(self, Q: Any, c: Array) -> Array:
        if scipy.sparse.issparse(Q):
            options: dict[str, Any] = {"accel": "cg"}
        else:
            options = {"partition": "order", "selection": "cyclic", "block_size": DENSE_BLOCK, "update": "matrix"}
        result = quadratic(Q, c, tol=self.tol, max_iter=self.max_iter, options=options)
        if not result.success:
            warnings.warn(result.message, ConvergenceWarning, stacklevel=4)
        self.n_iter_ = max(self.n_iter_, result.nit)
        return np.asarray(result.x)


def _reached(W: Any, known: Array) -> Array:
    """The nodes that are linked to a known one."""
    count, part = components(W)
    return np.asarray(np.isin(part, part[known], kind="table" if count < len(part) else None))
