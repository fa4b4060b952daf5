"""The entry of randomised linear algebra: from a system to a method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from .._base import threads as _threads
from .._base.iterate import Callback, Control, run
from .._base.method import lookup
from .._base.options import as_mapping
from .._base.rng import RNG, seed_of
from .._base.validate import check_finite, positive, vector
from ._systems import System, SystemResult, checked, in_range

Array = npt.NDArray[Any]

#: Rows for each unknown from which a system is taken for one of least squares.
TALL = 4


def sketch_solve(
    A: Any,
    b: npt.ArrayLike,
    *,
    x0: npt.ArrayLike | None = None,
    sketch: str | None = None,
    tol: float = 1e-6,
    method: str | None = None,
    options: Mapping[str, Any] | None = None,
    max_iter: int = 100_000,
    time_limit: float | None = None,
    callback: Callback | None = None,
    verbose: int = 0,
    resume: Any = None,
    rng: RNG = 0,
    threads: int | None = None,
) -> SystemResult:
    """Solve a consistent system ``A x = b``, or tall least squares ``min |A x - b|``, by random sketches.

    Parameters
    ----------
    A : array_like or sparse array, shape (m, n)
        Of any rank. Copied only where it is not C-contiguous float64, or CSR with 32-bit indices.
    b : array_like, shape (m,)
        The right-hand side.
    x0 : array_like, shape (n,), optional
        Where to start (default: zeros). Projections converge to the solution nearest to it.
    sketch : {"block", "rk", "gaussian", "countsketch", "sparse-sign", "srht"}, optional
        What is projected onto: blocks of rows, single rows (Kaczmarz), combinations of all rows with normal numbers or
        random signs, or blocks of rows that a Hadamard transform has mixed. The same as ``options={"sketch": ...}``.
    tol : float, default 1e-6
        The solve succeeds where ``norm(b - A @ x) <= tol * norm(b)``; of least squares also where
        ``norm(A.T @ r) <= tol * norm(A, "fro") * norm(r)`` for the residual r.
    method : {"sketch-project", "sketch-precond"}, optional
        Projections, for consistent systems; or LSQR with a sketched preconditioner, for least squares and consistent
        systems alike. Where neither this nor `sketch` is given: "sketch-precond" where A has four rows an unknown or
        more, else "sketch-project".
    options : mapping, optional
        Options of the method; ``python -m solvers methods`` lists them: sizes of sketches, how rows are drawn,
        relaxation, momentum, equilibration.
    max_iter : int, default 100000
        Iterations at most: as many projections as touch min(m, n) rows, or one iteration of LSQR.
    time_limit : float, optional
        Seconds at most.
    callback : callable, optional
        Called after each iteration with a `SolveResult`; returning True, or raising StopIteration, stops the solve.
    verbose : {0, 1, 2}, default 0
        1 prints a table with at most ten rows a second, 2 every iteration.
    resume : optional
        The ``state`` of an earlier result on the same problem with the same rng: goes on from there, to the same bits.
    rng : None, int, Generator or SeedSequence, default 0
        Seeds the draws, which are functions of it and of the number of the projection. None is 0.
    threads : int, optional
        Checked like everywhere; these methods run on one thread, and dense products on those of BLAS.

    Returns
    -------
    SystemResult
        With `x`, `residual_norm`, `normal_residual`, `nit`, `status`, `success` and more. ``success`` means that the
        measure, recomputed at x, meets the tolerance. A system without a solution ends projections with the status
        STAGNATION and the best point that was met.

    Raises
    ------
    ValueError
        NaN or infinity, shapes that do not fit, no rows or columns.
    TypeError
        Data that is not real, a LinearOperator.
    MethodError, OptionError
        An unknown method or option, or an option out of range.

    Notes
    -----
    Projections converge at a rate that the smallest singular value sets: they are for study, for matrices of which rows
    alone can be read, and for well-conditioned ones; a factorisation or a Krylov method is faster in nearly all other
    cases. One projection onto a row costs 4 flops an entry of it; onto a block of q rows the same for each row, and
    once ``q**2 n`` for its factor. "sketch-precond" costs ``16 m n + 6 n**3`` flops to set up and ``4 m n + 4 n**2``
    each of its about thirty iterations, whatever the condition number.

    References
    ----------
    Gower, Richtarik (2015), Randomized iterative methods for linear systems, SIAM J. Matrix Anal. Appl. 36(4); Avron,
    Maymounkov, Toledo (2010), Blendenpik: supercharging LAPACK's least-squares solver, SIAM J. Sci. Comput. 32(3).

    Examples
    --------
    >>> import numpy as np, solvers
    >>> A = np.array([[3.0, 1.0], [1.0, 2.0]])
    >>> result = solvers.optimize.sketch_solve(A, [5.0, 5.0], sketch="rk")
    >>> result.success, result.x.round(4).tolist()
    (True, [1.0, 2.0])
    """
    matrix, copies = checked(A)
    rows, cols = matrix.shape
    if not rows or not cols:
        raise ValueError(f"A must have a row and a column at least, not shape {matrix.shape}")
    right = _vector(b, "b", rows, "rows")
    start = np.zeros(cols) if x0 is None else _vector(x0, "x0", cols, "columns")
    control = Control(max_iter, time_limit, callback, verbose, resume)
    why = ""
    if method is None:
        tall = rows >= TALL * cols and sketch is None
        method = "sketch-precond" if tall else "sketch-project"
        reason = f"A has {rows} rows for {cols} unknowns" if tall or sketch is None else "sketch was given"
        why = f"Chose {method}: {reason}."
    matrix, right, start, units = in_range(matrix, right, start)
    problem = System(
        matrix, right, start, units, tol=positive(tol, "tol"), squares=method == "sketch-precond",
        every=callback is not None or verbose == 2, seed=seed_of(0 if rng is None else rng),
        max_iter=int(max_iter), threads=_threads.resolve(threads), copies=copies,
    )  # fmt: skip
    record = lookup("optimize", method, problem.needs)
    given = {**as_mapping(options), **({} if sketch is None else {"sketch": sketch})}
    return cast(SystemResult, run(record, problem, control, given, why))


def _vector(value: npt.ArrayLike, name: str, size: int, of: str) -> Array:
    checked = vector(value, name, size, f"the number of {of} of A")
    check_finite(checked, name)
    return checked
