"""The entries of exact transport: from the user's data to a checked problem to the simplex that suits it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base import threads as _threads
from .._base.iterate import Callback, Control, run
from .._base.rng import RNG, check_rng
from .._base.validate import positive
from . import _column_generation, _matrix_simplex
from ._cost import Cost
from ._exact import METRICS, ExactProblem, ExactTransportResult
from ._solve import _start, _weights, equal_mass, matrix_cost, points_cost

Array = npt.NDArray[Any]


def emd(
    C: npt.ArrayLike,
    a: npt.ArrayLike | None = None,
    b: npt.ArrayLike | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    tol: float = 1e-12,
    warm_start: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    max_iter: int = 1000,
    time_limit: float | None = None,
    callback: Callback | None = None,
    verbose: int = 0,
    resume: Any = None,
    rng: RNG = None,
    threads: int | None = None,
) -> ExactTransportResult:
    """Exact optimal transport between two weighted sets, given the cost matrix.

    Solves ``min <C, P>`` over plans P >= 0 with row sums a and column sums b, to the optimum.

    Parameters
    ----------
    C : array_like, shape (n, m)
        Cost, of any finite sign. float64 and float32 with contiguous rows are read in place (float32 is
        computed on in float64); everything else is converted once, and ``result.stats["copies"]`` counts it.
    a, b : array_like, shapes (n,) and (m,), optional
        Weights >= 0 of equal total mass; uniform with mass 1 where not given. Zero weights are allowed.
    options : mapping, optional
        ``candidates`` (default 24) and ``additions`` (default 24): arcs of each row that the restricted problem
        starts with, and that a round adds at most. Where `options` are given there are rounds, however small C is.
    tol : float, default 1e-12
        Bound on the relative gap between the plan's cost and the dual value.
    warm_start : (f, g), optional
        Potentials to start from, as a result has them: instead of the entropic ones. Only g is used.
    max_iter : int, default 1000
        Rounds at most.
    time_limit : float, optional
        Seconds at most; looked at between rounds. The plan of an interrupted solve is feasible, and its gap is known.
    callback : callable, optional
        Called after each round with a `SolveResult` whose `x` is the current plan; returning True, or raising
        StopIteration, stops the solve.
    verbose : {0, 1, 2}, default 0
        1 prints a table with at most ten rows a second, 2 every round.
    resume : optional
        The ``state`` of an earlier result on the same problem: goes on from there, to the same bits.
    rng : None, int, Generator or SeedSequence
        Checked like everywhere in the library; the result does not depend on it.
    threads : int, optional
        Threads of the passes over all arcs (the simplex uses one). The bits do not depend on it.

    Returns
    -------
    ExactTransportResult
        With `plan` (sparse, at most n + m - 1 entries), `f`, `g`, `value`, `gap`, `marginal_error`, `status`,
        `success` and more. ``success`` means that the relative gap between the returned plan and the returned
        potentials, which are feasible for all n * m arcs up to rounding, is at most `tol`, and so is the relative
        marginal error.

    Raises
    ------
    ValueError
        NaN or infinity, negative weights, shapes that do not fit, masses that differ by more than 1e-6
        (below that b is rescaled, above 1e-12 with a warning), costs that overflow, an empty problem.
    TypeError
        Data that is not real.
    OptionError
        An unknown option, or an option out of range.

    Notes
    -----
    Up to 2^20 entries, 1500 rows and 3000 columns: a network simplex on all arcs (``result.method`` is
    "network-simplex"), some 3 to 10 pivots a node, at 0.2 to 0.7 microseconds each.

    Beyond ("column-generation"): a network simplex on about 20 arcs a row, chosen by the reduced costs against nearly
    optimal potentials, and then rounds of pricing all arcs and adding those that are too cheap. Time: about 15 passes
    of Sinkhorn, one pass a round (usually 1 to 20), and some 10 pivots a node. Memory: O(n + m) beyond the matrix.

    References
    ----------
    Cunningham (1976), A network simplex method; Schmitzer (2016), arXiv 1510.05466.

    Examples
    --------
    >>> import solvers
    >>> result = solvers.ot.emd([[1.0, 3.0], [2.0, 1.0]], [0.5, 0.5], [0.25, 0.75])
    >>> result.success, result.value
    (True, 1.5)
    >>> result.plan.toarray()
    array([[0.25, 0.25],
           [0.  , 0.5 ]])
    """
    cost, copies = matrix_cost(C)
    check_rng(rng)
    problem = _exact_problem(cost, a, b, tol, warm_start, copies, threads)
    return _run(problem, options, Control(max_iter, time_limit, callback, verbose, resume))


def emd_sample(
    X: npt.ArrayLike,
    Y: npt.ArrayLike,
    a: npt.ArrayLike | None = None,
    b: npt.ArrayLike | None = None,
    *,
    metric: str = "sqeuclidean",
    options: Mapping[str, Any] | None = None,
    tol: float = 1e-12,
    warm_start: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    max_iter: int = 1000,
    time_limit: float | None = None,
    callback: Callback | None = None,
    verbose: int = 0,
    resume: Any = None,
    rng: RNG = None,
    threads: int | None = None,
) -> ExactTransportResult:
    """Exact optimal transport between two point clouds, the cost made on the fly: O(n + m) memory beyond 2^18 pairs.

    Parameters
    ----------
    X, Y : array_like, shapes (n, d) and (m, d)
        The points; computed on in float64.
    metric : {"sqeuclidean", "euclidean", "cityblock"}, default "sqeuclidean"
        The cost between two points.
    a, b, options, tol, warm_start, max_iter, time_limit, callback, verbose, resume, rng, threads
        As in `emd`.

    Returns
    -------
    ExactTransportResult
        As from `emd`.

    Raises
    ------
    ValueError, TypeError, OptionError
        As in `emd`; also where X and Y differ in dimension, or the metric is unknown.

    Notes
    -----
    Up to 2^18 pairs, 1500 points in X and 3000 in Y the costs are stored, and solved as `emd` does. Beyond, a pass over
    all arcs costs about n * m * d multiply-adds and reads next to no memory; it takes some 3 kB a point.

    Examples
    --------
    >>> import numpy as np, solvers
    >>> X = np.arange(5.0)[:, None]
    >>> result = solvers.ot.emd_sample(X, X + 1, metric="euclidean")
    >>> result.success, result.value
    (True, 1.0)
    """
    if metric not in METRICS:
        raise ValueError(f"metric must be one of {', '.join(METRICS)}, not {metric!r}")
    cost = points_cost(X, Y, metric)
    check_rng(rng)
    problem = _exact_problem(cost, a, b, tol, warm_start, 0, threads)
    return _run(problem, options, Control(max_iter, time_limit, callback, verbose, resume))


def _run(problem: ExactProblem, options: Mapping[str, Any] | None, control: Control) -> ExactTransportResult:
    every_arc = options is None and _matrix_simplex.suits(problem)
    result = run((_matrix_simplex if every_arc else _column_generation).METHOD, problem, control, options)
    assert isinstance(result, ExactTransportResult)
    return result


def _exact_problem(
    cost: Cost,
    a: npt.ArrayLike | None,
    b: npt.ArrayLike | None,
    tol: float,
    warm_start: tuple[npt.ArrayLike, npt.ArrayLike] | None,
    copies: int,
    threads: int | None,
) -> ExactProblem:
    n, m = cost.shape
    tol = positive(tol, "tol")
    weights_a, weights_b = _weights(a, "a", n, cost.shape), _weights(b, "b", m, cost.shape)
    weights_b = equal_mass(weights_a, weights_b)
    if not np.isfinite(cost.span):
        raise ValueError("the costs overflow: the difference of two of them is infinite")
    g = None if warm_start is None else _start(warm_start, n, m)[1]
    rows, columns = np.flatnonzero(weights_a), np.flatnonzero(weights_b)
    kept = cost
    if len(rows) < n or len(columns) < m:
        kept, copies = cost.restricted(rows, columns), copies + 1
    return ExactProblem(
        cost=kept, a=weights_a[rows], b=weights_b[columns], tol=tol, threads=_threads.resolve(threads),
        g0=None if g is None else g[columns], kept_rows=rows, kept_columns=columns, whole=cost, copies=copies,
    )  # fmt: skip
