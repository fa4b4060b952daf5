"""Classifiers for scikit-learn's pipelines and searches, over `glm`."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.utils.class_weight import compute_class_weight
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
except ImportError as error:  # pragma: no cover
    raise ImportError("the estimators of solvers.learning need scikit-learn: pip install scikit-learn") from error

from .._base.validate import flag, word
from . import _kernels
from ._glm import PENALTIES, glm

Array = npt.NDArray[Any]

SPARSE = ("csr", "csc")

#: Types of X that are kept; many classes convert it.
FLOATS = (np.float64, np.float32)


class LogisticRegression(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Logistic regression of two classes, multinomial of more: ``C sum_i s_i loss_i + penalty(W)``.

    Parameters
    ----------
    penalty : {"l2", "l1", "elastic-net", "none"}, default "l2"
        1/2 sum w^2; sum |w|; `l1_ratio` times the latter and ``1 - l1_ratio`` times the former; or nothing. The
        intercepts have none.
    C : float, default 1.0
        Inverse strength of the penalty, as in scikit-learn; without effect on the penalty "none".
    l1_ratio : float, default 0.5
        Of the elastic net, between 0 and 1.
    fit_intercept : bool, default True
        Whether to fit intercepts.
    class_weight : dict, "balanced" or None, default None
        Factors of the samples' weights by class, as in scikit-learn.
    tol : float, default 1e-8
        The gap that is a success, in units of the objective of zero coefficients: of `GlmResult`.
        Labels that a plane separates have no best coefficients without a penalty: a `ConvergenceWarning` tells.
    max_iter : int, default 200
        Passes over the data at most. A `ConvergenceWarning` tells where they did not reach the tolerance.
    warm_start : bool, default False
        Whether a fit starts from the last one.

    Attributes
    ----------
    classes_ : ndarray, shape (K,)
        The labels, sorted.
    coef_ : ndarray, shape (1, d) for two classes, else (K, d)
    intercept_ : ndarray, shape (1,) or (K,)
    dual_gap_ : float
        A bound of how far the objective is from its least value, recomputed from the coefficients.
    n_iter_ : ndarray of int, shape (1,)
    n_features_in_ : int

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from solvers.learning import LogisticRegression
    >>> X, y = load_iris(return_X_y=True)
    >>> round(LogisticRegression().fit(X, y).score(X, y), 3)
    0.973
    """

    def __init__(
        self, penalty: str = "l2", *, C: float = 1.0, l1_ratio: float = 0.5, fit_intercept: bool = True,
        class_weight: Any = None, tol: float = 1e-8, max_iter: int = 200, warm_start: bool = False,
    ) -> None:  # fmt: skip
        self.penalty = penalty
        self.C = C
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> LogisticRegression:
        """Fit to X, shape (n, d), and labels y, shape (n,)."""
        X, y = validate_data(self, X, y, accept_sparse=SPARSE, dtype=FLOATS)
        check_classification_targets(y)
        if sample_weight is not None:  # samples without weight are none
            sample_weight = _check_sample_weight(sample_weight, X, dtype=np.float64)
            keep = np.flatnonzero(sample_weight)
            X, y, sample_weight = X[keep], y[keep], sample_weight[keep]
        classes, numbers = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(f"y must hold at least two classes with weight, not one class alone: {classes!r}")
        if not isinstance(self.C, int | float | np.number) or not self.C > 0:
            raise ValueError(f"C must be positive, not {self.C!r}")
        penalty = word(self.penalty, "penalty", PENALTIES)
        s = _check_sample_weight(sample_weight, X, dtype=np.float64, copy=True)
        s *= compute_class_weight(self.class_weight, classes=classes, y=y)[numbers]
        shape = (1 if len(classes) == 2 else len(classes), X.shape[1])
        result = glm(
            X, numbers, loss="logistic" if len(classes) == 2 else "multinomial", penalty=penalty,
            lam=0.0 if penalty == "none" else 1 / self.C, l1_ratio=self.l1_ratio, sample_weight=s,
            fit_intercept=self.fit_intercept, tol=self.tol, max_iter=self.max_iter, x0=self._start(shape, classes),
        )  # fmt: skip
        if not result.success:
            warnings.warn(result.message, ConvergenceWarning, stacklevel=2)
        self.classes_ = classes
        self.coef_ = result.coef.reshape(shape)
        self.intercept_ = np.atleast_1d(np.asarray(result.intercept, dtype=np.float64))
        self.dual_gap_, self.n_iter_ = result.gap, np.array([max(result.nit, 1)], dtype=np.int32)
        return self

    def _start(self, shape: tuple[int, int], classes: Array) -> Array | None:
        """The last fit, where it is asked for, of that shape and for these classes."""
        fitted = flag(self.warm_start, "warm_start") and hasattr(self, "coef_")
        if not (fitted and self.coef_.shape == shape and np.array_equal(self.classes_, classes)):
            return None
        start = np.column_stack([self.coef_, self.intercept_]) if self.fit_intercept else self.coef_
        return start[0] if shape[0] == 1 else start

    def decision_function(self, X: Any) -> Array:
        """The predictors: shape (n,) for two classes, positive for the second of `classes_`, else (n, K)."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=SPARSE, dtype=FLOATS, reset=False)
        z = np.asarray(X @ self.coef_.T + self.intercept_)
        return z[:, 0] if len(self.classes_) == 2 else z

    def predict_proba(self, X: Any) -> Array:
        """Probabilities of the classes, shape (n, K)."""
        z = self.decision_function(X)
        return _kernels.softmax(np.column_stack([np.zeros(len(z)), z]) if z.ndim == 1 else np.ascontiguousarray(z))

    def predict_log_proba(self, X: Any) -> Array:
        """Their logarithms, without loss of digits where a probability is nearly 1."""
        z = self.decision_function(X)
        return _kernels.log_softmax(np.column_stack([np.zeros(len(z)), z]) if z.ndim == 1 else np.ascontiguousarray(z))

    def predict(self, X: Any) -> Array:
        """The most likely labels, shape (n,)."""
        z = self.decision_function(X)
        return self.classes_[(z > 0).astype(np.intp) if z.ndim == 1 else z.argmax(axis=1)]  # type: ignore[no-any-return]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
