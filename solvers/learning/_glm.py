"""The entry for generalised linear models: from the user's data to a checked problem to a method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import scipy.sparse

from .._base import threads as _threads
from .._base.iterate import Callback, Control
from .._base.rng import RNG, check_rng
from .._base.validate import check_finite, positive, real_array
from ._design import Design, design
from ._losses import LOSSES, TWO_CLASSES, Loss
from ._penalty import Separable
from ._problem import GlmProblem, GlmResult
from ._solve import solved

Array = npt.NDArray[Any]

PENALTIES = ("l1", "l2", "elastic-net", "none")


def glm(
    X: Any,
    y: npt.ArrayLike,
    *,
    lam: float,
    loss: str = "squared",
    penalty: str = "l1",
    l1_ratio: float = 0.5,
    weights: npt.ArrayLike | None = None,
    bounds: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    sample_weight: npt.ArrayLike | None = None,
    fit_intercept: bool = False,
    x0: npt.ArrayLike | None = None,
    tol: float = 1e-6,
    method: str | None = None,
    options: Mapping[str, Any] | None = None,
    max_iter: int = 200,
    time_limit: float | None = None,
    callback: Callback | None = None,
    verbose: int = 0,
    resume: Any = None,
    rng: RNG = None,
    threads: int | None = None,
) -> GlmResult:
    """Fit a penalised generalised linear model: ``sum_i s_i loss(x_i @ w + b, y_i) + lam * penalty(w)``.

    Parameters
    ----------
    X : array_like or sparse matrix, shape (n, d)
        Samples in rows. Float64 arrays of either order, CSC and CSR matrices are read in place (columns that have more
        than a fifth of their entries, as dense copies); Fortran order and CSC are the fastest. Other types are
        converted once, float32 too.
    y : array_like, shape (n,)
        Targets. For "logistic" and "squared_hinge" labels of two classes, of which the larger counts as +1; for
        "poisson" numbers >= 0.
    lam : float
        Strength of the penalty, >= 0. The sums are not divided by n: scikit-learn's `alpha` is lam / n for its Lasso,
        and 1 / lam is the `C` of its LogisticRegression.
    loss : {"squared", "logistic", "huber", "squared_hinge", "poisson"}, default "squared"
        1/2 (z - y)^2; log(1 + exp(-y z)); the former up to a distance of 1 and linear beyond; 1/2 max(0, 1 - y z)^2;
        exp(z) - y z.
    penalty : {"l1", "l2", "elastic-net", "none"}, default "l1"
        sum |w|; 1/2 sum w^2; ``l1_ratio`` times the first and ``1 - l1_ratio`` times the second; or nothing, in which
        case lam must be 0.
    l1_ratio : float, default 0.5
        Of the elastic net, between 0 and 1.
    weights : array_like, shape (d,), optional
        Factors of the penalty of each coefficient; 0 leaves it free, infinity keeps it at 0.
    bounds : (low, high), optional
        Numbers or arrays of shape (d,), low <= 0 <= high: ``bounds=(0, np.inf)`` for coefficients >= 0.
    sample_weight : array_like, shape (n,), optional
        Weights s >= 0 of the samples.
    fit_intercept : bool, default False
        Whether to fit b, which has no penalty.
    x0 : array_like, shape (d,) or (d + 1,), optional
        Where to start: coefficients, and the intercept where there is one.
    tol : float, default 1e-6
        The fit succeeds where ``gap <= tol * F(0)``, F(0) the objective of zero coefficients. Where coefficients have
        neither penalty nor bounds there is no gap, and the violation of the optimality conditions is compared with
        that at zero.
    method : str, optional
        "working-set" is the only one.
    options, max_iter, time_limit, callback, verbose, resume
        As in all solves; an iteration is a pass over the data and one to three Newton steps.
    rng : None, int, Generator or SeedSequence
        Checked like everywhere in the library; nothing is drawn.
    threads : int, optional
        Threads of this call.

    Returns
    -------
    GlmResult
        With `coef`, `intercept`, `fun`, `gap`, `kkt`, `support`, `status` and more. ``success`` means that the gap,
        recomputed from the returned coefficients, meets the tolerance.

    Raises
    ------
    ValueError
        NaN or infinity, shapes that do not fit, labels that are not two classes, negative numbers where none may be,
        bounds that exclude 0; names the argument.
    TypeError
        Data that is not real.
    MethodError, OptionError
        An unknown method or option, or an option out of range.

    Notes
    -----
    An iteration reads X once, and forms the Gram matrix of the working set: n p^2 operations for p dense columns, the
    sum of the squares of the rows' entries over 2 for sparse ones. Least squares forms it once, other losses at each
    Newton step where the curvatures of the samples have changed.

    References
    ----------
    Nutini, Laradji, Schmidt (2022), "Let's Make Block Coordinate Descent Converge Faster", arXiv 1712.08859.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers.learning import glm
    >>> rng = np.random.default_rng(7)
    >>> X = rng.normal(size=(50, 200))
    >>> result = glm(X, X[:, 3] - 2 * X[:, 8], lam=10.0, tol=1e-12)
    >>> result.success, result.support.tolist()
    (True, [3, 8])
    """
    check_rng(rng)
    control = Control(max_iter, time_limit, callback, verbose, resume)
    data = checked_data(X, y, loss, sample_weight, fit_intercept)
    terms = penalty_terms(lam, penalty, l1_ratio, weights, bounds, data.design.d, fit_intercept)
    problem = GlmProblem(
        data.design,
        data.loss,
        terms,
        _start(x0, data.design, terms),
        positive(tol, "tol"),
        max_iter,
        data.copies,
        _threads.resolve(threads),
    )
    why = "which serves all losses and penalties"
    return cast(GlmResult, solved(problem, method, "working-set", why, control, options))


class Data(NamedTuple):
    """Checked samples."""

    design: Design
    loss: Loss
    #: How many copies of X were made.
    copies: int


def checked_data(X: Any, y: Any, loss: str, sample_weight: Any, fit_intercept: bool) -> Data:
    """The samples of weight > 0, and their loss."""
    matrix, copies = _matrix(X, fit_intercept)
    targets = _targets(y, matrix.n, loss)
    if sample_weight is None:
        return Data(matrix, LOSSES[loss](targets, np.ones(matrix.n)), copies)
    s = _nonnegative(sample_weight, "sample_weight", matrix.n)
    if np.any(s == 0):  # such samples are none
        keep = s > 0
        matrix = design(matrix.X[keep], fit_intercept)
        targets, s = targets[keep], s[keep]
    return Data(matrix, LOSSES[loss](targets, s), copies)


def _matrix(X: Any, ones: bool) -> tuple[Design, int]:
    """The checked matrix, and how many copies of it were made."""
    if scipy.sparse.issparse(X):
        if X.dtype.kind not in "biuf":
            raise TypeError(f"X must be real numbers, not {X.dtype}")
        checked: Any = X.astype(np.float64, copy=False)
        check_finite(checked.data, "X")
    else:
        checked = real_array(X, "X", ndim=2)
        check_finite(checked, "X")
    if checked.shape[0] == 0:
        raise ValueError("X has no samples")
    made = design(checked, ones)
    return made, int(made.X is not X)


def _targets(y: Any, n: int, loss: str) -> Array:
    if loss not in LOSSES:
        raise ValueError(f"loss must be one of {', '.join(map(repr, LOSSES))}, not {loss!r}")
    targets = real_array(y, "y", ndim=1)
    if len(targets) != n:
        raise ValueError(f"y has length {len(targets)}, but X has {n} rows")
    check_finite(targets, "y")
    if loss in TWO_CLASSES:
        classes = np.unique(targets)
        if len(classes) != 2:
            raise ValueError(f"y must hold labels of two classes for the loss {loss!r}, not of {len(classes)}")
        return np.where(targets == classes[1], 1.0, -1.0)
    if loss == "poisson" and np.any(targets < 0):
        raise ValueError("y must be >= 0 for the loss 'poisson'")
    return targets


def _nonnegative(values: Any, name: str, length: int, infinite: bool = False) -> Array:
    array = real_array(values, name)
    array = np.broadcast_to(array, (length,)) if array.ndim == 0 else array
    if array.shape != (length,):
        raise ValueError(f"{name} must have shape ({length},), not {array.shape}")
    if not infinite:
        check_finite(array, name)
    if not np.all(array >= 0):
        raise ValueError(f"{name} must be >= 0")
    return np.ascontiguousarray(array)


def _number(value: Any, name: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number, not {value!r}") from None
    if not (np.isfinite(number) and number >= 0):
        raise ValueError(f"{name} must be finite and >= 0, not {value!r}")
    return number


def penalty_terms(lam: Any, penalty: str, l1_ratio: Any, weights: Any, bounds: Any, d: int, ones: bool) -> Separable:
    """The penalty of each coordinate, none for the intercept."""
    if penalty not in PENALTIES:
        raise ValueError(f"penalty must be one of {', '.join(map(repr, PENALTIES))}, not {penalty!r}")
    strength, share = _number(lam, "lam"), _number(l1_ratio, "l1_ratio")
    if penalty == "none" and strength > 0:
        raise ValueError(f"lam must be 0 with the penalty 'none', not {lam!r}")
    if share > 1:
        raise ValueError(f"l1_ratio must be between 0 and 1, not {l1_ratio!r}")
    share = {"l1": 1.0, "l2": 0.0, "none": 0.0}.get(penalty, share)
    width = d + ones
    l1, l2, low, high = (
        np.full(width, share * strength),
        np.full(width, (1 - share) * strength),
        *_bounds(bounds, d, width),
    )
    if weights is not None:
        factors = _nonnegative(weights, "weights", d, infinite=True)
        out = np.isinf(factors)
        low[:d][out] = high[:d][out] = 0
        sizes = np.where(out, 0.0, factors)
        l1[:d] *= sizes
        l2[:d] *= sizes
    if ones:
        l1[d], l2[d], low[d], high[d] = 0, 0, -np.inf, np.inf
    return Separable(l1, l2, low, high)


def _bounds(bounds: Any, d: int, width: int) -> tuple[Array, Array]:
    """Arrays of length `width`, with the bounds in the first d."""
    low, high = np.full(width, -np.inf), np.full(width, np.inf)
    if bounds is None:
        return low, high
    try:
        ends = tuple(bounds)
        named = dict(zip(("low", "high"), ends, strict=True))
    except (TypeError, ValueError):
        raise ValueError("bounds must be a pair (low, high)") from None
    for (name, values), into in zip(named.items(), (low, high), strict=True):
        array = real_array(values, f"the {name} end of bounds")
        if array.shape not in ((), (d,)) or np.isnan(array).any():
            raise ValueError(f"the {name} end of bounds must be a number or of shape ({d},), without NaN")
        into[:d] = array
    if np.any(low > 0) or np.any(high < 0):
        raise ValueError("bounds must include 0: low <= 0 <= high")
    return low, high


def _start(x0: Any, matrix: Design, terms: Separable) -> Array:
    if x0 is None:
        return np.zeros(matrix.width)
    start = real_array(x0, "x0", ndim=1)
    if len(start) not in (matrix.d, matrix.width):
        raise ValueError(f"x0 must have length {matrix.d}{f' or {matrix.width}' * matrix.ones}, not {len(start)}")
    check_finite(start, "x0")
    full = np.zeros(matrix.width)
    full[: len(start)] = start
    return np.clip(full, terms.low, terms.high)
