"""The entry for quadratics: from the user's data to a checked problem to a method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from .._base import threads as _threads
from .._base.blocks import BlockProblem, BlockResult
from .._base.blocks.partition import grouping
from .._base.blocks.penalty import make, start
from .._base.blocks.problem import kkt
from .._base.iterate import Callback, Control
from .._base.method import lookup
from .._base.result import Status
from .._base.rng import RNG, seed_of
from .._base.validate import flag, positive
from ._quadratic import quadratic_of
from ._solve import solved

Array = npt.NDArray[Any]


def quadratic(
    Q: Any,
    c: npt.ArrayLike,
    *,
    penalty: Any = None,
    bounds: Any = None,
    blocks: Sequence[npt.ArrayLike] | int | None = None,
    x0: npt.ArrayLike | None = None,
    tol: float = 1e-8,
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
) -> BlockResult:
    """Minimise ``x'Q x / 2 - c'x + P(x)`` for a symmetric positive semidefinite Q, by block coordinate descent.

    Parameters
    ----------
    Q : array_like or sparse matrix, shape (d, d)
        Symmetric, to 1e-12 of its largest entry, and positive semidefinite.
    c : array_like, shape (d,)
        Linear term.
    penalty : mapping or prox, optional
        ``{"l1": weight or weights}``, ``{"nonneg": True}``, both, or ``{"group_l2": weight or weights}`` (the groups
        are the blocks). Weights may be 0 and infinite. Or the user's own: ``prox(v, step, block)``, which returns
        ``argmin_u norm(u - v)^2 / (2 step) + P(u)``; an object with methods ``prox`` and ``value`` tells P, too.
    bounds : sequence of pairs or scipy.optimize.Bounds, optional
        Limits of each coordinate; None in a pair is no limit.
    blocks : list of arrays, or int, optional
        The blocks, each coordinate in one of them, or how many coordinates a block has.
    x0 : array_like, shape (d,), optional
        Where to start, moved within the bounds; zero where not given.
    tol : float, default 1e-8
        The solve succeeds where `kkt` is at most tol times what it is at zero.
    method : str, optional
        "bcd".
    options : mapping, optional
        The rules: "partition", "selection", "update", "block_size", "accel" and more; ``python -m solvers methods``
        lists them, `docs/blocks.md` tells which to take.
    check_finite : bool, default True
        Whether Q and c are looked through for NaN and infinity, and Q for symmetry.
    max_iter : int, default 100000
        Block updates (with ``accel="cg"`` iterations) at most.
    time_limit : float, optional
        Seconds at most.
    callback : callable, optional
        Called after each update with a `SolveResult` whose `x` is the current point; returning True, or raising
        StopIteration, stops the solve.
    verbose : {0, 1, 2}, default 0
        1 prints a table with at most ten rows a second, 2 every update.
    resume : optional
        The ``state`` of an earlier result on the same problem: goes on from there, to the same bits.
    rng : None, int, Generator or SeedSequence, default 0
        What random rules draw from.
    threads : int, optional
        Accepted like everywhere in the library; this method runs on one.

    Returns
    -------
    BlockResult
        With `x`, `fun`, `jac`, `kkt`, `support`, `nit`, `status`, `success` and more. ``success`` means that the
        recomputed `kkt` meets the tolerance.

    Raises
    ------
    ValueError
        NaN or infinity, shapes that do not fit, a Q that is not symmetric, blocks that overlap or leave something out,
        weights below 0, rules that do not go together.
    numpy.linalg.LinAlgError
        A block that is a forest and singular.
    TypeError
        Data that is not real.
    MethodError, OptionError
        An unknown method or option, or an option out of range.

    Notes
    -----
    Where negative curvature shows the status is NOT_SPD, where there is no lower bound DIVERGED; x is then the last
    point before. One update costs the entries of Q in its columns, and O(d) with a greedy rule.

    References
    ----------
    Nutini, Laradji, Schmidt (2022), Let's make block coordinate descent converge faster, JMLR 23(131).

    Examples
    --------
    >>> import solvers
    >>> result = solvers.learning.quadratic([[2.0, 1.0], [1.0, 2.0]], [3.0, -1.0], penalty={"nonneg": True})
    >>> result.success, result.x.round(6).tolist()
    (True, [1.5, 0.0])
    """
    smooth, copies = quadratic_of(Q, c, flag(check_finite, "check_finite"))
    control = Control(max_iter, time_limit, callback, verbose, resume)
    count = smooth.size
    if count == 0:
        return _nothing(method)
    fixed, size = grouping(blocks, count)
    P = make(penalty, bounds, count, fixed)
    x = start(x0, count, P)
    zero = start(None, count, P)
    scale = kkt(smooth, P, zero, smooth.start(zero)[1], {})
    problem = BlockProblem(
        smooth, P, x, tol=positive(tol, "tol"), scale=scale or 1.0, blocks=fixed, size=size,
        seed=seed_of(rng), max_iter=int(max_iter), every=callback is not None or verbose == 2,
        threads=_threads.resolve(threads), capability="sparse-quadratic" if smooth.sparse else "quadratic",
        copies=copies,
    )  # fmt: skip
    return cast(BlockResult, solved(problem, method, "bcd", "the method for quadratics", control, options))


def _nothing(method: str | None) -> BlockResult:
    """The minimum over no coordinates."""
    status, name = Status.CONVERGED, lookup("learning", "bcd" if method is None else method).name
    empty = np.zeros(0)
    return BlockResult(
        x=empty, success=True, status=status, message=status.sentence, nit=0, measure=0.0, method=name, fun=0.0,
        jac=empty, kkt=0.0, support=np.zeros(0, np.intp),
    )  # fmt: skip
