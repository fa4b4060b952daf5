"""Estimators for scikit-learn's pipelines and searches, over `glm`. They need scikit-learn, and say so."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

try:
    from sklearn.base import BaseEstimator, RegressorMixin
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import check_cv
    from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
except ImportError as error:  # pragma: no cover
    raise ImportError("the estimators of solvers.learning need scikit-learn: pip install scikit-learn") from error

from .._base.validate import flag, nonnegative
from ._glm import glm
from ._path import glm_path
from ._problem import GlmResult

Array = npt.NDArray[Any]

SPARSE = ("csr", "csc", "coo")

#: Types of X that are kept.
FLOATS = (np.float64, np.float32)


class _LinearModel(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """What the regressors share: checked data, a fit by `glm`, predictions."""

    def _fitted(self, X: Any, y: Any, sample_weight: Any, alpha: float, **keywords: Any) -> GlmResult:
        """The fit of ``sum_i s_i loss_i / sum_i s_i + alpha penalty``."""
        alpha = nonnegative(alpha, "alpha")
        X, y = validate_data(self, X, y, accept_sparse=SPARSE, dtype=FLOATS, y_numeric=True)
        s = None if sample_weight is None else _check_sample_weight(sample_weight, X, dtype=np.float64)
        total = len(y) if s is None else float(s.sum())
        result = glm(
            X, y, lam=alpha * total, sample_weight=s, fit_intercept=self.fit_intercept, tol=self.tol,
            max_iter=self.max_iter, x0=self._start(X.shape[1]), **keywords,
        )  # fmt: skip
        if not result.success:
            warnings.warn(result.message, ConvergenceWarning, stacklevel=3)
        self.coef_, self.intercept_ = result.coef, result.intercept
        self.dual_gap_, self.n_iter_ = result.gap / total, max(result.nit, 1)
        return result

    def _start(self, d: int) -> Array | None:
        """The last fit, where it is asked for and of that width."""
        if not flag(getattr(self, "warm_start", False), "warm_start") or getattr(self, "coef_", np.empty(0)).shape != (
            d,
        ):
            return None
        return np.append(self.coef_, self.intercept_) if self.fit_intercept else self.coef_

    def _bounds(self) -> tuple[float, float] | None:
        """Those of the coefficients."""
        return (0, np.inf) if flag(self.positive, "positive") else None

    def predict(self, X: Any) -> Array:
        """The linear predictor, shape (n,)."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=SPARSE, dtype=FLOATS, reset=False)
        return np.asarray(X @ self.coef_ + self.intercept_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class ElasticNet(_LinearModel):
    """Least squares with l1 and l2 penalties: ``|y - Xw - b|^2 / (2n) + alpha (r |w|_1 + (1 - r) / 2 |w|_2^2)``.

    Parameters
    ----------
    alpha : float, default 1.0
        Strength of the penalty, as in scikit-learn.
    l1_ratio : float, default 0.5
        r, between 0 and 1.
    fit_intercept : bool, default True
        Whether to fit b.
    positive : bool, default False
        Whether coefficients must be >= 0.
    weights : array_like, shape (d,), optional
        Factors of the penalty of each coefficient; 0 leaves it free, infinity keeps it at 0.
    tol : float, default 1e-6
        The duality gap that is a success, in units of the objective of zero coefficients.
    max_iter : int, default 200
        Passes over the data at most. A `ConvergenceWarning` tells where they did not reach the tolerance.
    warm_start : bool, default False
        Whether a fit starts from the last one.

    Attributes
    ----------
    coef_ : ndarray, shape (d,)
    intercept_ : float
    dual_gap_ : float
        A bound of how far the objective is from its least value, recomputed from the coefficients.
    n_iter_ : int
    n_features_in_ : int

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from solvers.learning import ElasticNet
    >>> X, y = load_diabetes(return_X_y=True)
    >>> round(ElasticNet(alpha=0.01, l1_ratio=0.9).fit(X, y).score(X, y), 3)
    0.491
    """

    def __init__(
        self, alpha: float = 1.0, *, l1_ratio: float = 0.5, fit_intercept: bool = True, positive: bool = False,
        weights: Any = None, tol: float = 1e-6, max_iter: int = 200, warm_start: bool = False,
    ) -> None:  # fmt: skip
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.positive = positive
        self.weights = weights
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> ElasticNet:
        """Fit to X, shape (n, d), and y, shape (n,); weights of samples act as in scikit-learn."""
        self._fitted(
            X, y, sample_weight, self.alpha, penalty="elastic-net", l1_ratio=self.l1_ratio, weights=self.weights,
            bounds=self._bounds(),
        )  # fmt: skip
        return self


class Lasso(ElasticNet):
    """Least squares with an l1 penalty: ``|y - Xw - b|^2 / (2n) + alpha |w|_1``.

    Parameters, attributes and warnings as of `ElasticNet`, without `l1_ratio`.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from solvers.learning import Lasso
    >>> X, y = load_diabetes(return_X_y=True)
    >>> int((Lasso(alpha=1.0).fit(X, y).coef_ != 0).sum())
    3
    """

    def __init__(
        self, alpha: float = 1.0, *, fit_intercept: bool = True, positive: bool = False, weights: Any = None,
        tol: float = 1e-6, max_iter: int = 200, warm_start: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(
            alpha, l1_ratio=1.0, fit_intercept=fit_intercept, positive=positive, weights=weights, tol=tol,
            max_iter=max_iter, warm_start=warm_start,
        )  # fmt: skip


class LassoCV(_LinearModel):
    """The `Lasso` whose `alpha` has the least mean squared error in cross-validation.

    Parameters
    ----------
    alphas : int or array_like, default 100
        Strengths of the penalty, or how many of them in geometric progression from the least one that leaves all
        coefficients at zero.
    eps : float, default 1e-3
        The last of these over the first.
    cv : int, splitter or iterable, optional
        As in scikit-learn; None: five folds.
    fit_intercept, positive, weights, tol, max_iter
        As of `ElasticNet`.

    Attributes
    ----------
    alpha_ : float
    alphas_ : ndarray, shape (k,)
        From the largest to the smallest.
    mse_path_ : ndarray, shape (k, folds)
    coef_, intercept_, dual_gap_, n_iter_, n_features_in_
        As of `ElasticNet`, of the fit to all samples.

    Notes
    -----
    A fold's fit is `glm_path` on X with weights of 0 for the samples left out.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from solvers.learning import LassoCV
    >>> X, y = load_diabetes(return_X_y=True)
    >>> round(LassoCV(alphas=20).fit(X, y).alpha_, 4)
    0.0031
    """

    def __init__(
        self, *, alphas: Any = 100, eps: float = 1e-3, cv: Any = None, fit_intercept: bool = True,
        positive: bool = False, weights: Any = None, tol: float = 1e-6, max_iter: int = 200,
    ) -> None:  # fmt: skip
        self.alphas = alphas
        self.eps = eps
        self.cv = cv
        self.fit_intercept = fit_intercept
        self.positive = positive
        self.weights = weights
        self.tol = tol
        self.max_iter = max_iter

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> LassoCV:
        """Fit to X, shape (n, d), and y, shape (n,); weights of samples act on the fits and on the errors."""
        X, y = validate_data(self, X, y, accept_sparse=SPARSE[:2], dtype=FLOATS, y_numeric=True)
        s = _check_sample_weight(sample_weight, X, dtype=np.float64)
        keywords = {
            "weights": self.weights, "bounds": self._bounds(), "tol": self.tol,
            "fit_intercept": self.fit_intercept, "max_iter": self.max_iter,
        }  # fmt: skip
        grid = self.alphas
        if isinstance(grid, int | np.integer):
            # The path to one strength tells the largest.
            path = glm_path(X, y, sample_weight=s, n_lams=1, **keywords)
            grid = path.lams[0] / s.sum() * np.geomspace(1, self.eps, int(grid))
        self.alphas_ = np.sort(np.asarray(grid, dtype=float))[::-1]
        folds = list(check_cv(self.cv).split(X, y))
        errors = np.empty((len(self.alphas_), len(folds)))
        for k, (train, test) in enumerate(folds):
            kept = np.zeros(len(y))
            kept[train] = s[train]
            path = glm_path(X, y, lams=self.alphas_ * kept.sum(), sample_weight=kept, **keywords)
            if not path.success:
                failed = next(result for result in path.results if not result.success)
                warnings.warn(f"In fold {k}: {failed.message}", ConvergenceWarning, stacklevel=2)
            misses = y[test] - (path.coefs @ X[test].T + path.intercepts[:, None])
            errors[:, k] = np.average(misses**2, axis=1, weights=s[test])
        self.mse_path_ = errors
        self.alpha_ = float(self.alphas_[errors.mean(axis=1).argmin()])
        keywords = {name: keywords[name] for name in ("weights", "bounds")}
        self._fitted(X, y, s, self.alpha_, **keywords)
        return self


class GroupLasso(_LinearModel):
    """Least squares with a penalty on groups: ``|y - Xw - b|^2 / (2n) + alpha sum_k p_k |w_k|_2``.

    Parameters
    ----------
    alpha : float, default 1.0
        Strength of the penalty, as in celer and skglm.
    groups : list of index arrays, ndarray of labels of shape (d,), or int, default 1
        The groups of features; a number stands for runs of so many.
    l1_ratio : float, default 0.0
        r of the sparse group lasso ``alpha (r |w|_1 + (1 - r) sum_k p_k |w_k|_2)``, between 0 and 1.
    weights : array_like, one a group, optional
        p; 0 leaves a group free, infinity keeps it at 0. By default 1; the square root of its size is a common choice.
    fit_intercept : bool, default True
        Whether to fit b.
    positive : bool, default False
        Whether coefficients must be >= 0.
    tol : float, default 1e-6
        The duality gap that is a success, in units of the objective of zero coefficients.
    max_iter : int, default 200
        Passes over the data at most. A `ConvergenceWarning` tells where they did not reach the tolerance.
    warm_start : bool, default False
        Whether a fit starts from the last one.

    Attributes
    ----------
    coef_, intercept_, dual_gap_, n_iter_, n_features_in_
        As of `ElasticNet`.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from solvers.learning import GroupLasso
    >>> X, y = load_diabetes(return_X_y=True)
    >>> GroupLasso(alpha=1.0, groups=5).fit(X, y).coef_.reshape(2, 5).any(axis=1).tolist()
    [True, True]
    """

    def __init__(
        self, alpha: float = 1.0, *, groups: Any = 1, l1_ratio: float = 0.0, weights: Any = None,
        fit_intercept: bool = True, positive: bool = False, tol: float = 1e-6, max_iter: int = 200,
        warm_start: bool = False,
    ) -> None:  # fmt: skip
        self.alpha = alpha
        self.groups = groups
        self.l1_ratio = l1_ratio
        self.weights = weights
        self.fit_intercept = fit_intercept
        self.positive = positive
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> GroupLasso:
        """Fit to X, shape (n, d), and y, shape (n,); weights of samples act as in scikit-learn."""
        self._fitted(
            X, y, sample_weight, self.alpha, penalty="sparse-group", l1_ratio=self.l1_ratio, groups=self.groups,
            weights=self.weights, bounds=self._bounds(),
        )  # fmt: skip
        return self


class NNLS(_LinearModel):
    """Least squares with coefficients >= 0: ``|y - Xw - b|^2`` over w >= 0.

    Parameters
    ----------
    fit_intercept : bool, default False
        Whether to fit b, of any sign.
    tol : float, default 1e-10
        The gap that is a success, in units of the objective of zero coefficients: of `GlmResult`.
    max_iter : int, default 200
    warm_start : bool, default False

    Examples
    --------
    >>> from solvers.learning import NNLS
    >>> NNLS().fit([[1.0, 0.0], [0.0, 1.0]], [2.0, -1.0]).coef_.tolist()
    [2.0, 0.0]
    """

    def __init__(
        self, *, fit_intercept: bool = False, tol: float = 1e-10, max_iter: int = 200, warm_start: bool = False
    ) -> None:
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> NNLS:
        """Fit to X, shape (n, d), and y, shape (n,)."""
        self._fitted(X, y, sample_weight, 0.0, penalty="none", bounds=(0, np.inf))
        return self
