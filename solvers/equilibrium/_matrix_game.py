"""The entry for matrix games: from the user's matrix to a checked problem to a method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import scipy.sparse

from .._base import threads as _threads
from .._base.iterate import Callback, Control
from .._base.method import lookup
from .._base.rng import RNG, check_rng
from .._base.sparse import canonical_csr
from .._base.validate import check_finite as _check_finite
from .._base.validate import positive, real_array
from . import _solve
from ._game import Array, GameProblem, GameResult
from ._kernels import game_strategy
from ._operators import vector_of

#: With so few strategies of one player all of them are at hand, and the simplex method alone is the faster.
FEW = 60
#: How far from 1 the sum of a start may be.
SUM = 1e-6


def matrix_game(
    A: Any,
    *,
    linear_x: npt.ArrayLike | None = None,
    linear_y: npt.ArrayLike | None = None,
    x0: npt.ArrayLike | None = None,
    y0: npt.ArrayLike | None = None,
    tol: float = 1e-6,
    polish: bool = True,
    method: str | None = None,
    options: Mapping[str, Any] | None = None,
    check_finite: bool = True,
    max_iter: int = 100_000,
    time_limit: float | None = None,
    callback: Callback | None = None,
    verbose: int = 0,
    resume: Any = None,
    rng: RNG = 0,
    threads: int | None = None,
) -> GameResult:
    """Equilibrium of a two-player zero-sum game: ``min over x, max over y of y'A x``, both in simplices.

    Parameters
    ----------
    A : array_like or sparse matrix, shape (m, n)
        What the column player, who plays x, pays to the row player, who plays y. float32 is kept, with sums in
        float64; a sparse matrix is read as CSR of float64.
    linear_x, linear_y : array_like, shapes (n,) and (m,), optional
        Adds ``linear_x @ x + linear_y @ y`` to the payment.
    x0, y0 : array_like, shapes (n,) and (m,), optional
        Strategies to start at, both or none: entries >= 0 whose sum is 1.
    tol : float, default 1e-6
        The solve succeeds where the gap is at most this, in the units of A.
    polish : bool, default True
        Whether a first-order method hands its supports over to a simplex method. That ends at rounding, some 1e-15 of
        the size of A; without it the gap falls step by step, and no dense system is formed.
    method : str, optional
        "game-pdhg", "game-simplex", "rm-plus" or "prm-plus". By default "game-simplex" where one player has at most 60
        strategies, else "game-pdhg".
    options : mapping, optional
        Options of the method; ``python -m solvers methods`` lists them.
    check_finite : bool, default True
        Whether A and the linear terms are looked through for NaN and infinity.
    max_iter : int, default 100000
        Iterations at most; rounds of pricing for "game-simplex".
    time_limit : float, optional
        Seconds at most; looked at between blocks of iterations.
    callback : callable, optional
        Called after each iteration with a `SolveResult` whose `x` is the best pair (x, y) so far; returning True, or
        raising StopIteration, stops the solve.
    verbose : {0, 1, 2}, default 0
        1 prints a table with at most ten rows a second, 2 every iteration.
    resume : optional
        The ``state`` of an earlier result on the same game: goes on from there, to the same bits.
    rng : None, int, Generator or SeedSequence, default 0
        Accepted like everywhere in the library; the methods draw nothing from it.
    threads : int, optional
        Accepted like everywhere in the library; the methods run on one.

    Returns
    -------
    GameResult
        With `x`, `y`, `value`, `value_bounds`, `gap`, `nit`, `status`, `success` and more. ``success`` means that the
        gap ``max(A @ x) - min(A.T @ y)``, recomputed from what is returned, meets the tolerance.

    Raises
    ------
    ValueError
        NaN or infinity, no strategies, shapes that do not fit, a start outside the simplex.
    TypeError
        Data that is not real, or masked.
    MethodError, OptionError
        An unknown method or option, or an option out of range.

    Notes
    -----
    An iteration reads the rows and columns of A that are played: 4 bytes an entry of a dense matrix, of which two
    copies in float32 are made. The exact end takes some k^3 operations and (1.5 k)^2 doubles, k strategies being played
    in equilibrium.

    References
    ----------
    Lu, Yang (2024), Restarted Halpern PDHG for linear programming, arXiv 2407.16144.
    Farina, Kroer, Sandholm (2021), Faster game solving via predictive Blackwell approachability, AAAI.

    Examples
    --------
    Rock, paper, scissors:

    >>> import solvers
    >>> result = solvers.equilibrium.matrix_game([[0, 1, -1], [-1, 0, 1], [1, -1, 0]])
    >>> result.success, abs(result.value) < 1e-12, result.x.round(6).tolist()
    (True, True, [0.333333, 0.333333, 0.333333])
    """
    matrix, copies = _matrix(A, check_finite)
    m, n = matrix.shape
    linear = None
    if linear_x is not None or linear_y is not None:
        linear = vector_of(linear_x, n, "linear_x", check_finite), vector_of(linear_y, m, "linear_y", check_finite)
    check_rng(rng)
    control = Control(max_iter, time_limit, callback, verbose, resume)
    problem = GameProblem(
        matrix, linear, _start(x0, y0, m, n), positive(tol, "tol"), max_iter=int(max_iter),
        every=callback is not None or verbose == 2, polish=bool(polish), threads=_threads.resolve(threads),
        copies=copies,
    )  # fmt: skip
    few = min(m, n) <= FEW
    usual = "game-simplex" if few and polish else "game-pdhg"
    reason = f"as one player has {min(m, n)} strategies" if few and polish else "the method for games of this size"
    record = lookup("equilibrium", method or usual, problem.needs)
    why = "" if method else f"Chose {usual}, {reason}."
    return cast(GameResult, _solve.run(record, problem, control, options, why))


def _matrix(A: Any, check: bool) -> tuple[Any, int]:
    """A as the methods take it, and how often it was copied."""
    copies = 0
    if scipy.sparse.issparse(A):
        matrix = canonical_csr(A, "A")
        copies += int(A.format != "csr" or not np.shares_memory(matrix.data, A.data))
        if matrix.indices.dtype != np.int32:
            if matrix.nnz > np.iinfo(np.int32).max:
                raise ValueError(f"A has {matrix.nnz} entries; at most {np.iinfo(np.int32).max} are supported")
            index = (part.astype(np.int32) for part in (matrix.indices, matrix.indptr))
            matrix = scipy.sparse.csr_array((matrix.data, *index), shape=matrix.shape)
        values = matrix.data
    else:
        matrix = real_array(A, "A", ndim=2, keep_float32=True)
        copies += int(isinstance(A, np.ndarray) and not np.shares_memory(matrix, A))
        values = matrix
    if 0 in matrix.shape:
        raise ValueError(f"A must have rows and columns, not shape {matrix.shape}")
    if check:
        _check_finite(values, "A")
    return matrix, copies


def _start(x0: Any, y0: Any, m: int, n: int) -> Array | None:
    """[x0 | y0], normalised."""
    if x0 is None and y0 is None:
        return None
    if x0 is None or y0 is None:
        raise ValueError("x0 and y0 must be given together")
    parts = []
    for value, size, name in ((x0, n, "x0"), (y0, m, "y0")):
        strategy = vector_of(value, size, name)
        total = float(strategy.sum())
        if strategy.min() < 0 or abs(total - 1) > SUM:
            raise ValueError(f"{name} must be a strategy: entries >= 0 whose sum is 1, not {total:g}")
        parts.append(game_strategy(strategy))
    return np.concatenate(parts)
