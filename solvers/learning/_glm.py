"""The entry for generalised linear models: from the user's data to a checked problem to a method."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import scipy.sparse

from .._base import threads as _threads
from .._base.iterate import Callback, Control
from .._base.reducer import SERIAL, Reducer, agreed, as_reducer
from .._base.rng import RNG, check_rng
from .._base.state import made
from .._base.validate import check_finite, flag, nonnegative, positive, real_array, word
from ._design import Design, design, is_small
from ._groups import Grouped, group_labels, grouped
from ._losses import LOSSES, TWO_CLASSES, Loss
from ._multinomial import ByClass, Multinomial, MultinomialProblem, flat_start
from ._penalty import SHARES, Separable
from ._problem import GlmProblem, GlmResult
from ._small import fitted
from ._solve import solved

Array = npt.NDArray[Any]

#: The share of the l1 terms that each penalty is made of; None where the user gives it.
PENALTIES: dict[str, float | None] = {**SHARES, "group": 0.0, "sparse-group": None}
MODELS: dict[str, type[Loss]] = {**LOSSES, "multinomial": Multinomial}
ON_GROUPS = ("group", "sparse-group")

#: Of sparse matrices, which the kernels index by 32 bits.
LARGEST_INDEX = 2**31 - 1

#: For each kind of problem its usual method, and why it is that.
USUAL = {
    "glm": ("working-set", "which serves all losses and penalties"),
    "small": ("coordinate-descent", "which takes the least time on data as small as these"),
    "groups": ("group-working-set", "which serves penalties on groups"),
    "multinomial": ("working-set", "which serves penalties with kinks"),
    "smooth-multinomial": ("newton-cg", "which serves smooth objectives of many classes"),
    "sharded": ("newton-gram", "whose passes over the samples take one reduction each"),
}


def glm(
    X: Any,
    y: npt.ArrayLike,
    *,
    lam: float,
    loss: str = "squared",
    penalty: str = "l1",
    l1_ratio: float = 0.5,
    groups: Any = None,
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
    comm: Any = None,
) -> GlmResult:
    """Fit a penalised generalised linear model: ``sum_i s_i loss(x_i @ w + b, y_i) + lam * penalty(w)``.

    Parameters
    ----------
    X : array_like or sparse matrix, shape (n, d)
        Samples in rows. Float64 and float32 arrays of either order, CSC and CSR matrices are read in place (columns
        that have more than a fifth of their entries, as dense copies); Fortran order and CSC are the fastest. Other
        types are converted once, float32 too where X is small or the loss "multinomial". All arithmetic is in float64.
    y : array_like, shape (n,)
        Targets. For "logistic" and "squared_hinge" labels of two classes, of which the larger counts as +1; for
        "poisson" numbers >= 0; for "multinomial" labels of K >= 2 classes.
    lam : float
        Strength of the penalty, >= 0. The sums are not divided by n: scikit-learn's `alpha` is lam / n for its Lasso,
        and 1 / lam is the `C` of its LogisticRegression.
    loss : {"squared", "logistic", "huber", "squared_hinge", "poisson", "multinomial"}, default "squared"
        1/2 (z - y)^2; log(1 + exp(-y z)); the former up to a distance of 1 and linear beyond; 1/2 max(0, 1 - y z)^2;
        exp(z) - y z; log(sum_k exp(z_k)) - z_y with a predictor z_k and a row of coefficients for each class, in the
        order of ``numpy.unique(y)`` over samples of positive weight.
    penalty : {"l1", "l2", "elastic-net", "none", "group", "sparse-group"}, default "l1"
        sum |w|; 1/2 sum w^2; ``l1_ratio`` times the first and ``1 - l1_ratio`` times the second; nothing, in which
        case lam must be 0; the sum of the 2-norms of the groups' coefficients; or ``l1_ratio`` times the first and
        ``1 - l1_ratio`` times the latter.
    l1_ratio : float, default 0.5
        Of the elastic net and the sparse group lasso, between 0 and 1.
    groups : list of index arrays, ndarray of labels of shape (d,), or int, optional
        The groups of features, each feature in one of them; a number stands for runs of so many. With the loss
        "multinomial" a group has the coefficients of all classes, and by default each feature is a group.
    weights : array_like, shape (d,), optional
        Factors of the penalty of each coefficient; 0 leaves it free, infinity keeps it at 0. With groups one factor for
        each group's norm, in the order of the list or of the sorted labels; the l1 terms have none.
    bounds : (low, high), optional
        Numbers or arrays of shape (d,), low <= 0 <= high: ``bounds=(0, np.inf)`` for coefficients >= 0. With groups
        each must be 0 or infinite.
    sample_weight : array_like, shape (n,), optional
        Weights s >= 0 of the samples.
    fit_intercept : bool, default False
        Whether to fit b, which has no penalty.
    x0 : array_like, shape (d,) or (d + 1,), of classes (K, d) or (K, d + 1), optional
        Where to start: coefficients, and the intercept where there is one.
    tol : float, default 1e-6
        The fit succeeds where ``gap <= tol * F(0)``, F(0) the objective of zero coefficients. Where coefficients have
        neither penalty nor two bounds the gap is one from the best coefficients that are up to 10^4 times as large
        (see `GlmResult`). Labels that a plane separates have no best coefficients then, and end as `Status.DIVERGED`.
    method : str, optional
        "working-set", "group-working-set" for groups, "newton-cg" for the loss "multinomial" without kinks,
        "newton-gram", which also serves `comm`, or "coordinate-descent", which is wholly in C and the same as in the C
        interface; by default the one that serves the problem, "coordinate-descent" for small ones.
    options, max_iter, time_limit, callback, verbose, resume
        As in all solves; an iteration is a pass over the data and one to three Newton steps.
    rng : None, int, Generator or SeedSequence
        Checked like everywhere in the library; nothing is drawn.
    threads : int, optional
        Threads of this call.
    comm : optional
        The ranks that share the samples: an MPI communicator of mpi4py, or any `Reducer`. Each rank gives its own rows
        of X with their y (and `sample_weight`), and all give the same for everything else; the result is that of all
        samples, the same on all ranks. For losses of one predictor a sample and penalties without groups.

    Returns
    -------
    GlmResult
        With `coef`, `intercept`, `fun`, `gap`, `kkt`, `support`, `status` and more. ``success`` means that the gap,
        recomputed from the returned coefficients, meets the tolerance.

    Raises
    ------
    ValueError
        NaN or infinity, shapes that do not fit, labels that are not two classes, negative numbers where none may be,
        bounds that exclude 0, groups that overlap or leave a feature out; names the argument.
    TypeError
        Data that is not real.
    MethodError, OptionError
        An unknown method or option, or an option out of range.

    Notes
    -----
    An iteration reads X once, and forms the Gram matrix of the working set: n p^2 operations for p dense columns, the
    sum of the squares of the rows' entries over 2 for sparse ones. Least squares forms it once, other losses at each
    Newton step where the curvatures of the samples have changed. The group lasso with more columns than samples forms
    an n x n matrix instead, some ten times. docs/learning.md has all methods' costs.

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
    nobody_looks = callback is None and time_limit is None and resume is None and verbose == 0
    as_usual = method is None and options is None and x0 is None and comm is None and rng is None
    if nobody_looks and as_usual and weights is None and sample_weight is None and groups is None:
        result = fitted(
            X, y, loss, penalty, lam, l1_ratio, bounds, fit_intercept, tol, max_iter, threads, USUAL["small"][1]
        )
        if result is not None:
            return result
    check_rng(rng)
    across = as_reducer(comm)
    with agreed(across) as same:
        control = Control(max_iter, time_limit, callback, verbose, resume)
        fit_intercept = flag(fit_intercept, "fit_intercept")
        samples = checked_samples(X, y, loss, sample_weight, fit_intercept, across is SERIAL)
        d = samples.design.d
        tol = positive(tol, "tol")
        if across is not SERIAL:
            given = {"lam": lam, "loss": loss, "penalty": penalty, "l1_ratio": l1_ratio, "fit_intercept": fit_intercept}
            other = {"method": method, "options": options, "max_iter": max_iter, "resume": resume is None}
            same |= {**given, **other, "groups": groups, "tol": tol, "the number of columns of X": d}
            low, high = _bounds(bounds, d)
            same |= {"weights": _bits(weights), "bounds": np.append(low, high), "x0": _bits(x0)}
    data = labelled(samples, loss, across)
    kind: type[GlmProblem] = GlmProblem
    if loss == "multinomial":
        kind, x0 = MultinomialProblem, flat_start(x0, data.classes, d, fit_intercept)
    terms = penalty_terms(lam, penalty, l1_ratio, weights, bounds, d, fit_intercept, groups, data.classes)
    problem = made(
        kind, design=data.design, loss=data.loss, penalty=terms, w0=_start(x0, data.design, terms), tol=tol,
        max_iter=max_iter, copies=data.copies, threads=_threads.resolve(threads), across=across, _memory={},
    )  # fmt: skip
    return cast(GlmResult, solved(problem, method, *_usual(problem), control, options))


def _usual(problem: GlmProblem) -> tuple[str, str]:
    """The method for a problem, and why it is that."""
    if problem.across is not SERIAL:
        return USUAL["sharded"]
    (kind,) = problem.needs
    design, loss = problem.design, problem.loss
    small = design.small or (problem.selects and design.is_slim(problem.has_dual))
    flat = problem.selects and loss.quadratic and loss.uniform
    return USUAL["small" if kind == "glm" and (small or (flat and design.is_flat())) else kind]


def _bits(values: Any) -> Any:
    """What ranks compare of an argument."""
    return None if values is None else np.asarray(values)


class Samples(NamedTuple):
    """Checked samples of one rank, their targets as they are given."""

    design: Design
    y: Array
    s: Array
    #: How many copies of X were made.
    copies: int
    #: Distinct targets, those of samples without weight too, where they are labels of two classes.
    labels: Array
    #: Whether no weights were given: all are 1.
    unweighted: bool


class Data(NamedTuple):
    """Checked samples."""

    design: Design
    loss: Loss
    #: How many copies of X were made.
    copies: int
    #: Columns of X; predictors of a sample.
    features: int
    classes: int


def checked_data(X: Any, y: Any, loss: str, sample_weight: Any, fit_intercept: bool) -> Data:
    """The samples of weight > 0, and their loss."""
    return labelled(checked_samples(X, y, loss, sample_weight, fit_intercept, True), loss)


def checked_samples(X: Any, y: Any, loss: str, sample_weight: Any, fit_intercept: bool, later: bool = False) -> Samples:
    """The samples of weight > 0; `later`: `labelled` may check entries of X."""
    word(loss, "loss", MODELS)
    later &= sample_weight is None and loss != "multinomial"
    matrix, copies = _matrix(X, fit_intercept, loss != "multinomial", later, y if loss == "squared" else None)
    targets, s = _targets(y, matrix.n, loss), filled(matrix.n, 1.0)
    labels = np.unique(targets) if loss in TWO_CLASSES else np.empty(0)
    if sample_weight is not None:
        s = _nonnegative(sample_weight, "sample_weight", matrix.n)
        if np.any(s == 0):  # such samples are none
            keep = s > 0
            if not keep.any():
                raise ValueError("sample_weight is 0 for every sample")
            matrix = design(matrix.X[keep], fit_intercept)
            targets, s = targets[keep], s[keep]
    return Samples(matrix, targets, s, copies, labels, sample_weight is None)


def labelled(samples: Samples, loss: str, across: Reducer = SERIAL) -> Data:
    """The samples with their loss, whose labels may lie on other ranks too."""
    matrix, targets, classes = samples.design, samples.y, 1
    if loss in TWO_CLASSES:
        targets = _signs(targets, samples.labels, loss, across)
    elif loss == "multinomial":
        targets, classes = _numbered(targets)
        matrix = ByClass(matrix, classes)
    model = _model(samples, loss, targets)
    if loss != "multinomial" and samples.design.begins:  # with the gradient at zero, which is where most fits start
        samples.design.begin(model.derivative(np.zeros(samples.design.n)))
        _check_entries(samples.design)
    return Data(matrix, model, samples.copies, samples.design.d, classes)


def _model(samples: Samples, loss: str, targets: Array) -> Loss:
    """The loss, which need not look at weights that were not given."""
    model = MODELS[loss](targets, samples.s)
    if samples.unweighted:
        model.__dict__["uniform"] = True
    return model


def _matrix(X: Any, ones: bool, keep_float32: bool, later: bool = False, y: Any = None) -> tuple[Design, int]:
    """The checked matrix, and how many copies of it were made; large ones in single precision are read in place.

    `later`: entries of one that `begins` are checked with its norms. With y, not yet checked, the pass over X may make
    its product with y too.
    """
    if scipy.sparse.issparse(X):
        if X.dtype.kind not in "biuf":
            raise TypeError(f"X must be real numbers, not {X.dtype}")
        if X.ndim != 2:
            raise ValueError(f"X must have 2 dimensions, not shape {X.shape}")
        if max(X.nnz, *X.shape) > LARGEST_INDEX:
            raise ValueError(f"X may have 2^31 - 1 rows, columns and entries; its shape is {X.shape}, of {X.nnz}")
        single = keep_float32 and X.dtype == np.float32 and not is_small(X.nnz, X.shape[1] + ones)
        checked: Any = X.astype(np.float32 if single else np.float64, copy=False)
    else:
        checked = real_array(X, "X", ndim=2, keep_float32=keep_float32)
        if checked.dtype == np.float32 and is_small(checked.size, checked.shape[1] + ones):
            checked = checked.astype(np.float64)
    if checked.shape[0] == 0:
        raise ValueError("X has no samples")
    fits = type(y) is np.ndarray and y.dtype == np.float64 and y.shape == checked.shape[:1] and y.flags.c_contiguous
    matrix = design(checked, ones, y if fits else None)
    if not matrix.begins or not later:
        _check_entries(matrix)
    return matrix, int(matrix.X is not X)


def _check_entries(matrix: Design) -> None:
    """That the entries of X are finite; where norms are and will be wanted, these spare a pass of their own."""
    if not (matrix.by_columns and math.isfinite(matrix.norms.sum())):
        check_finite(matrix.X.data if scipy.sparse.issparse(matrix.X) else matrix.X, "X")


def _targets(y: Any, n: int, loss: str) -> Array:
    targets = real_array(y, "y", ndim=1)
    if len(targets) != n:
        raise ValueError(f"y has length {len(targets)}, but X has {n} rows")
    check_finite(targets, "y")
    if loss == "poisson" and np.any(targets < 0):
        raise ValueError("y must be >= 0 for the loss 'poisson'")
    return np.ascontiguousarray(targets)


def _signs(targets: Array, labels: Array, loss: str, across: Reducer) -> Array:
    """+1 for the larger one of two labels, -1 for the other; `labels` are those on this rank."""
    # of many distinct numbers on a rank a few tell that they are no labels of two classes
    classes = np.unique(np.concatenate(across.gather(labels if across.size == 1 else labels[:9])))
    if len(classes) != 2:
        raise ValueError(f"y must hold labels of two classes for the loss {loss!r}, not of {len(classes)}")
    return np.where(targets == classes[1], 1.0, -1.0)


def _numbered(targets: Array) -> tuple[Array, int]:
    """Numbers of the classes from 0 on, and how many there are."""
    classes, numbers = np.unique(targets, return_inverse=True)
    if len(classes) < 2:
        raise ValueError("y must hold labels of two classes at least for the loss 'multinomial'")
    return numbers.astype(np.float64), len(classes)


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


def penalty_terms(
    lam: Any,
    penalty: str,
    l1_ratio: Any,
    weights: Any,
    bounds: Any,
    d: int,
    ones: bool,
    groups: Any = None,
    classes: int = 1,
) -> Separable | Grouped:
    """The penalty of the coefficients of every class, none for the intercepts."""
    word(penalty, "penalty", PENALTIES)
    strength, given = nonnegative(lam, "lam"), nonnegative(l1_ratio, "l1_ratio")
    if penalty == "none" and strength > 0:
        raise ValueError(f"lam must be 0 with the penalty 'none', not {lam!r}")
    if given > 1:
        raise ValueError(f"l1_ratio must be between 0 and 1, not {l1_ratio!r}")
    own = PENALTIES[penalty]
    share = given if own is None else own
    low, high = _bounds(bounds, d)
    if penalty in ON_GROUPS:
        return _on_groups(penalty, strength, share, groups, weights, (low, high), classes, ones)
    if groups is not None:
        raise ValueError(f"groups go with the penalties {' and '.join(map(repr, ON_GROUPS))}, not with {penalty!r}")
    l1, l2 = filled(d, share * strength), filled(d, (1 - share) * strength)
    if weights is not None:
        factors = _nonnegative(weights, "weights", d, infinite=True)
        out = np.isinf(factors)
        low[out] = high[out] = 0
        sizes = np.where(out, 0.0, factors)
        l1 *= sizes
        l2 *= sizes
    if classes == 1 and not ones:
        return Separable(l1, l2, low, high)
    free = np.full(classes * ones, np.inf)
    ends = 0 * np.ones_like(free), 0 * np.ones_like(free), -free, free
    return Separable(
        *(np.concatenate([np.tile(part, classes), end]) for part, end in zip((l1, l2, low, high), ends, strict=True))
    )


def _on_groups(
    penalty: str, strength: float, share: float, groups: Any, weights: Any, signs: Any, classes: int, ones: bool
) -> Grouped:
    """The same for a penalty on groups, which many classes have a share in each."""
    d = len(signs[0])
    if not all(((side == 0) | np.isinf(side)).all() for side in signs):
        raise ValueError(f"bounds must be 0 or infinite with the penalty {penalty!r}")
    labels = np.arange(d) if groups is None and classes > 1 else group_labels(groups, d)
    count = int(labels.max(initial=-1)) + 1
    factors = np.ones(count) if weights is None else _nonnegative(weights, "weights", count, infinite=True)
    low, high = (np.tile(side, classes) for side in signs)
    return grouped(np.tile(labels, classes), strength, share, factors, (low, high), classes * ones)


def filled(length: int, value: float) -> Array:
    """`numpy.full`, which takes some microseconds more."""
    array = np.empty(length)
    array.fill(value)
    return array


def _bounds(bounds: Any, d: int) -> tuple[Array, Array]:
    """Arrays of length d."""
    low, high = filled(d, -np.inf), filled(d, np.inf)
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
        into[:] = array
    if np.any(low > 0) or np.any(high < 0):
        raise ValueError("bounds must include 0: low <= 0 <= high")
    return low, high


def _start(x0: Any, matrix: Design, terms: Separable | Grouped) -> Array:
    if x0 is None:
        return np.zeros(matrix.width)
    start = real_array(x0, "x0", ndim=1)
    if len(start) not in (matrix.d, matrix.width):
        raise ValueError(f"x0 must have length {matrix.d}{f' or {matrix.width}' * matrix.ones}, not {len(start)}")
    check_finite(start, "x0")
    full = np.zeros(matrix.width)
    full[: len(start)] = start
    return np.clip(full, terms.low, terms.high)
