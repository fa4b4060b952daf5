"""Losses of linear models as smooth functions with blocks: what `solvers.minimize(method="bcd")` takes for `fun`.

The objective is the sum over the samples, without a mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse
import scipy.special

from .._base.blocks.smooth import LinearModel
from .._base.validate import check_finite, real_array
from . import _losses as losses

Array = npt.NDArray[Any]


@dataclass(eq=False)
class _Multinomial:
    #: The class of each sample, from 0 on.
    y: Array
    classes: int

    @property
    def curvature(self) -> float:
        """The largest second derivative in one predictor."""
        return (1 - 1 / self.classes) / 2

    def value(self, z: Array) -> float:
        Z = z.reshape(-1, self.classes)
        return float((scipy.special.logsumexp(Z, axis=1) - Z[np.arange(len(Z)), self.y]).sum())

    def derivative(self, z: Array) -> Array:
        P = scipy.special.softmax(z.reshape(-1, self.classes), axis=1)
        P[np.arange(len(P)), self.y] -= 1
        return np.asarray(P.ravel())

    def second(self, z: Array) -> Array:
        """The probabilities: the Hessian of a sample is diag(p) - p p'."""
        return np.asarray(scipy.special.softmax(z.reshape(-1, self.classes), axis=1).ravel())

    def mixed(self, classes: Array) -> Array:
        """What bounds the second derivatives between the classes."""
        return np.asarray(((classes[:, None] == classes) - 1 / self.classes) / 2)


class LeastSquares(LinearModel):
    """``sum((X w - y)^2) / 2`` as a function of w.

    Parameters
    ----------
    X : array_like or sparse matrix, shape (n, d)
        The samples in rows.
    y : array_like, shape (n,)
        The targets.

    Raises
    ------
    ValueError
        NaN or infinity, shapes that do not fit, no samples.
    TypeError
        Data that is not real.

    Examples
    --------
    >>> import numpy as np, solvers
    >>> f = solvers.learning.LeastSquares([[1.0, 0.0], [0.0, 2.0]], [3.0, 4.0])
    >>> solvers.minimize(f, np.zeros(2), method="bcd", penalty={"l1": 1.0}).x.round(6).tolist()
    [2.0, 1.75]
    """

    def __init__(self, X: Any, y: npt.ArrayLike) -> None:
        X = _samples(X)
        super().__init__(X, losses.Squared(_targets(y, X), np.ones(X.shape[0])), constant=True)


class Logistic(LinearModel):
    """``sum(log(1 + exp(-y x'w)))`` as a function of w, for labels of two kinds: the greater one stands for y = 1.

    Parameters
    ----------
    X : array_like or sparse matrix, shape (n, d)
        The samples in rows.
    y : array_like, shape (n,)
        The labels.

    Raises
    ------
    ValueError
        NaN or infinity, shapes that do not fit, no samples, labels that are not of two kinds.
    TypeError
        Data that is not real.

    Examples
    --------
    >>> import numpy as np, solvers
    >>> f = solvers.learning.Logistic([[1.0], [2.0], [-1.0]], [0, 1, 1])
    >>> solvers.minimize(f, np.zeros(1), method="bcd", tol=1e-9).success
    True
    """

    def __init__(self, X: Any, y: npt.ArrayLike) -> None:
        X = _samples(X)
        labels, number = np.unique(_targets(y, X), return_inverse=True)
        if len(labels) != 2:
            raise ValueError(f"y must hold labels of two kinds, not of {len(labels)}")
        super().__init__(X, losses.Logistic(np.where(number, 1.0, -1.0), np.ones(X.shape[0])))


class Multinomial(LinearModel):
    """``sum(logsumexp(x'W) - (x'W)_y)`` as a function of W, row by row: w[j * classes + k] weighs column j for class k.

    Parameters
    ----------
    X : array_like or sparse matrix, shape (n, d)
        The samples in rows.
    y : array_like, shape (n,)
        The labels; `labels` has them in the order of the classes.

    Raises
    ------
    ValueError
        NaN or infinity, shapes that do not fit, no samples, labels all alike.
    TypeError
        Data that is not real.

    Examples
    --------
    >>> import numpy as np, solvers
    >>> f = solvers.learning.Multinomial(np.eye(3), [0, 1, 2])
    >>> round(float(f.start(np.zeros(9))[0]), 6)  # 3 log(3)
    3.295837
    """

    def __init__(self, X: Any, y: npt.ArrayLike) -> None:
        X = _samples(X)
        self.labels, number = np.unique(_targets(y, X), return_inverse=True)
        if len(self.labels) < 2:
            raise ValueError("y must hold labels of two kinds at least")
        super().__init__(X, _Multinomial(number, len(self.labels)), outputs=len(self.labels))


def _samples(X: Any) -> Any:
    if scipy.sparse.issparse(X):
        if X.dtype.kind not in "biuf":
            raise TypeError(f"X must be real numbers, not {X.dtype}")
        found = scipy.sparse.csr_array(X).astype(np.float64, copy=False)
        check_finite(found.data, "X")
    else:
        found = real_array(X, "X", ndim=2)
        check_finite(found, "X")
    if found.shape[0] == 0:
        raise ValueError("X must hold at least one sample")
    return found


def _targets(y: npt.ArrayLike, X: Any) -> Array:
    targets = np.ascontiguousarray(real_array(y, "y", ndim=1))
    if len(targets) != X.shape[0]:
        raise ValueError(f"y must have length {X.shape[0]}, that of X's rows, not {len(targets)}")
    check_finite(targets, "y")
    return targets
