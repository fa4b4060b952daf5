"""The entry for the worst mixture of groups."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy.typing as npt

from .._base import threads as _threads
from .._base.iterate import Control
from .._base.rng import RNG, seed_of
from .._base.validate import positive
from ._dro_problem import GroupDro, GroupDroResult, group_dro_problem
from ._solve import solved

#: Up to here the quadratic programs of `sqp` cost less than what it saves in passes.
MOST_FEATURES, MOST_GROUPS = 1000, 200


def group_dro(
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    groups: npt.ArrayLike,
    *,
    loss: str = "logistic",
    l2: float = 1e-3,
    x0: Any = None,
    criterion: str = "natural",
    tol: float = 1e-6,
    method: str | None = None,
    options: Mapping[str, Any] | None = None,
    check_finite: bool = True,
    max_iter: int = 100_000,
    max_epochs: float | None = None,
    time_limit: float | None = None,
    callback: Callable[[Any], Any] | None = None,
    verbose: int = 0,
    resume: Any = None,
    rng: RNG = 0,
    threads: int | None = None,
) -> GroupDroResult:
    """Fit a linear model whose worst group fares best: distributionally robust optimisation over groups.

    Solves ``min_w max_q sum_g q_g f_g(w) + l2/2 |w|^2``, q in the simplex, ``f_g`` the mean loss over group g's rows.

    Parameters
    ----------
    X : array_like, shape (n, d)
        Rows of features. Not copied where it is C-contiguous float64.
    y : array_like, shape (n,)
        Targets; for "logistic" and "squared_hinge" labels -1 and 1, or 0 and 1; for "poisson" counts.
    groups : array_like, shape (n,)
        The group of each row: integers, strings or anything that can be sorted.
    loss : {"logistic", "squared", "huber", "squared_hinge", "poisson"}
        Of a row's ``X[i] @ w`` and ``y[i]``; `solvers.learning.glm` has the same.
    l2 : float, default 1e-3
        Weight of the penalty, >= 0. With 0 the value has no lower bound.
    x0 : array_like, optional
        Where to start: w, or ``(w, q)``, also as one vector; zero and equal weights where not given.
    criterion : {"natural", "gap"}
        What tol is for: the natural residual ``|z - P(z - F(z))|``, z = (w, q), F the gradient in w and minus that in
        q, or the distance of the bounds of the value.
    tol : float, default 1e-6
        The solve succeeds where the criterion, recomputed over all rows, is at most this.
    method : str, optional
        "sqp" (the default for up to 1000 features and 200 groups), "vr-eg" (the default beyond), or any method for
        inclusions: "eg", "ogda" and others.
    options : mapping, optional
        Options of the method; ``python -m solvers methods`` lists them.
    check_finite : bool, default True
        Whether X and y are looked through for NaN and infinity.
    max_iter : int, default 100000
        Steps at most.
    max_epochs : float, optional
        Passes over the rows at most.
    time_limit : float, optional
        Seconds at most.
    callback : callable, optional
        Called after each step with a `SolveResult` whose `x` is the current point; returning True, or raising
        StopIteration, stops the solve.
    verbose : {0, 1, 2}, default 0
        1 prints a table with at most ten rows a second, 2 every step.
    resume : optional
        The ``state`` of an earlier result on the same problem: goes on from there, to the same bits.
    rng : None, int, Generator or SeedSequence, default 0
        What samples of rows are drawn from; None is 0.
    threads : int, optional
        For passes over the rows; the answer's bits do not depend on it.

    Returns
    -------
    GroupDroResult
        With `coef`, `weights`, `group_losses`, `value`, `value_bounds`, `gap` and more.

    Raises
    ------
    ValueError
        NaN or infinity, shapes that do not fit, no rows, labels that are none, l2 < 0.
    TypeError
        Data that is not real, or sparse.
    MethodError, OptionError
        An unknown method or option, or an option out of range.

    Notes
    -----
    A pass reads X once. "sqp" takes some 6 to 12 of them from a cold start, whatever the tolerance; "eg" and "ogda" a
    hundred and more to a residual of 1e-5.

    References
    ----------
    Sagawa, Koh, Hashimoto, Liang (2020), Distributionally robust neural networks for group shifts, arXiv 1911.08731.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers.equilibrium import group_dro
    >>> X = np.array([[1.0, 0.2], [0.9, -1.0], [-1.0, 0.3], [-0.8, -0.9], [0.1, 1.0], [-0.2, -1.0]])
    >>> result = group_dro(X, [1, 1, -1, -1, 1, -1], ["a", "a", "a", "a", "b", "b"], l2=0.1)
    >>> result.success, result.weights.round(3).tolist()
    (True, [0.497, 0.503])
    """
    problem = group_dro_problem(
        X, y, groups, loss, l2, check_finite, x0, tol=positive(tol, "tol"), criterion=_criterion(criterion),
        max_epochs=math.inf if max_epochs is None else positive(max_epochs, "max_epochs"),
        seed=seed_of(0 if rng is None else rng), threads=_threads.resolve(threads),
    )  # fmt: skip
    control = Control(max_iter, time_limit, callback, verbose, resume)
    name, why = (method, "") if method else _usual(problem)
    return cast(GroupDroResult, solved(problem, name, control, options, why))


def _usual(problem: GroupDro) -> tuple[str, str]:
    d, groups = problem.X.shape[1], len(problem.labels)
    if d <= MOST_FEATURES and groups <= MOST_GROUPS:
        return "sqp", f"Chose sqp, since with {d} features and {groups} groups second derivatives are cheap."
    return "vr-eg", f"Chose vr-eg, since with {d} features and {groups} groups second derivatives are dear."


def _criterion(value: str) -> str:
    if value not in ("natural", "gap"):
        raise ValueError(f"criterion must be 'natural' or 'gap', not {value!r}")
    return value
