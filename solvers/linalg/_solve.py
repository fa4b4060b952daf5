"""The entry of the family: from the user's data to a checked problem to a method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base import threads as _threads
from .._base.iterate import Callback, Control, run
from .._base.method import lookup
from .._base.rng import RNG, as_generator
from .._base.validate import check_finite, real_array
from ._matrix import plan
from ._problem import LinearProblem, LinearResult

Array = npt.NDArray[Any]


def solve(
    A: Any,
    b: npt.ArrayLike,
    *,
    x0: npt.ArrayLike | None = None,
    rtol: float = 1e-8,
    atol: float = 0.0,
    method: str | None = None,
    options: Mapping[str, Any] | None = None,
    max_iter: int = 10_000,
    time_limit: float | None = None,
    callback: Callback | None = None,
    verbose: int = 0,
    resume: Any = None,
    rng: RNG = None,
    threads: int | None = None,
) -> LinearResult:
    """Solve the linear system ``A x = b`` by an iterative method.

    Parameters
    ----------
    A : sparse matrix, array_like or Plan, shape (n, n)
        The matrix, or what `plan` made of it: then nothing is analysed again.
    b : array_like, shape (n,)
        Right-hand side.
    x0 : array_like, shape (n,), optional
        Where to start; zero where not given.
    rtol, atol : float, default 1e-8 and 0
        The solve succeeds where ``norm(b - A @ x) <= max(rtol * norm(b), atol)``, in 2-norms.
    method : str, optional
        ``"cg"`` (the default) or ``"sor"``.
    options : mapping, optional
        Options of the method; ``python -m solvers methods`` lists them.
    max_iter : int, default 10000
        Iterations at most.
    time_limit : float, optional
        Seconds at most.
    callback : callable, optional
        Called after each iteration with a `SolveResult` whose `x` is the current iterate; returning True, or raising
        StopIteration, stops the solve.
    verbose : {0, 1, 2}, default 0
        1 prints a table with at most ten rows a second, 2 every iteration.
    resume : optional
        The ``state`` of an earlier result on the same problem: goes on from there, to the same bits.
    rng : None, int, Generator or SeedSequence
        Checked like everywhere in the library; the methods of this family draw no random numbers.
    threads : int, optional
        Threads for this call. The bits do not depend on it.

    Returns
    -------
    LinearResult
        With `x`, `residual_norm`, `nit`, `status`, `success` and more. ``success`` means that the residual's norm,
        recomputed from the returned x, meets the tolerance.

    Raises
    ------
    ValueError
        NaN or infinity, shapes that do not fit, a zero on the diagonal, a tolerance below zero.
    TypeError
        Data that is not real.
    MethodError, OptionError
        An unknown method or option, or an option out of range.

    Examples
    --------
    >>> import scipy.sparse, solvers
    >>> A = scipy.sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(4, 4))
    >>> result = solvers.linalg.solve(A, [1.0, 0.0, 0.0, 1.0], method="sor", options={"omega": 1.2})
    >>> result.success, result.x.round(6).tolist()
    (True, [1.0, 1.0, 1.0, 1.0])
    """
    matrix = plan(A)
    right = _vector(b, "b", matrix.size)
    start = np.zeros(matrix.size) if x0 is None else _vector(x0, "x0", matrix.size)
    for value, name in ((rtol, "rtol"), (atol, "atol")):
        if not 0 <= value < np.inf:
            raise ValueError(f"{name} must be >= 0 and finite, not {value!r}")
    control = Control(max_iter, time_limit, callback, verbose, resume)
    as_generator(rng)
    problem = LinearProblem(
        matrix, right, start, tol=max(rtol * float(np.linalg.norm(right)), atol), max_iter=int(max_iter),
        every=callback is not None or verbose == 2, threads=_threads.resolve(threads),
    )  # fmt: skip
    chosen = lookup("linalg", method or "cg", problem.needs)
    why = "" if method else "cg was chosen: the matrix was taken to be symmetric positive definite."
    result = run(chosen, problem, control, options, why)
    assert isinstance(result, LinearResult)
    return result


def _vector(value: npt.ArrayLike, name: str, size: int) -> Array:
    vector = np.ascontiguousarray(real_array(value, name, ndim=1))
    if len(vector) != size:
        raise ValueError(f"{name} must have length {size}, that of A's rows, not {len(vector)}")
    check_finite(vector, name)
    return vector
