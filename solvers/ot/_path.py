"""Solves of one problem at many regularisations, each started from its neighbour's answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.iterate import Control
from .._base.progress import with_bar
from .._base.validate import check_finite, real_array
from ._problem import TransportResult
from ._solve import checked_by_reg, choose, matrix_cost, run_method

Array = npt.NDArray[Any]


def solve_path(
    C: npt.ArrayLike,
    a: npt.ArrayLike | None = None,
    b: npt.ArrayLike | None = None,
    regs: npt.ArrayLike = (),
    *,
    method: str | None = None,
    options: Mapping[str, Any] | None = None,
    tol: float = 1e-9,
    norm: str = "l1",
    warm_start: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    certify: bool = True,
    max_iter: int = 10_000,
    threads: int | None = None,
    progress: bool = False,
) -> list[TransportResult]:
    """Entropic optimal transport at several strengths of the entropy, each solve started from those before.

    The solves run from the largest `reg` to the smallest, whatever the order they are given in. Each starts from the
    straight line, in reg, through the potentials of the last two.

    Parameters
    ----------
    C, a, b
        As in `solve`.
    regs : array_like, shape (k,)
        Strengths of the entropy, > 0, in units of the cost; at least one.
    method, options, tol, norm, certify, max_iter, threads
        As in `solve`, for each reg. With ``method=None`` each reg has the method that suits it.
    warm_start : (f, g), optional
        Potentials to start the largest reg from.
    progress : bool, default False
        Show a progress bar, if tqdm can be imported.

    Returns
    -------
    list of TransportResult
        In the order of `regs`. A solve that did not succeed says so in its own `status`; the next one starts from what
        it had reached.

    Raises
    ------
    ValueError, TypeError, MethodError, OptionError
        As from `solve`; also where `regs` is empty or not one-dimensional.

    Notes
    -----
    The potentials change little from one reg to the next where the ratio of neighbours is moderate, so a path of 20
    costs much less than 20 solves from nothing. Between neighbours further apart than a factor of 10 little is gained.

    References
    ----------
    Schmitzer (2019), arXiv 1610.06519, on scaling by eps.

    Examples
    --------
    >>> import numpy as np, solvers
    >>> C = np.random.default_rng(7).random((30, 40))
    >>> results = solvers.ot.solve_path(C, regs=[0.02, 0.05, 0.1])
    >>> [result.success for result in results], results[0].value_linear < results[2].value_linear
    ([True, True, True], True)
    """
    cost, copies = matrix_cost(C)  # once: its check and its extremes are as much work as three iterations
    strengths = real_array(regs, "regs", ndim=1)
    check_finite(strengths, "regs")
    if strengths.size == 0:
        raise ValueError("regs is empty")
    if strengths.min() <= 0:
        index = int(strengths.argmin())
        raise ValueError(f"regs must be positive; regs[{index}] is {strengths[index]}")
    problem_at = checked_by_reg(cost, a, b, tol, norm, certify, copies, threads)
    results: dict[int, TransportResult] = {}
    earlier: list[tuple[float, TransportResult]] = []
    for k in with_bar(np.argsort(-strengths, kind="stable").tolist(), progress, "solve_path", "reg"):
        warm_start = _predict(earlier, float(strengths[k])) or warm_start
        problem = problem_at(float(strengths[k]), warm_start)
        results[k] = run_method(problem, method, choose, options, Control(max_iter, None, None, 0, None))
        earlier = [*earlier[-1:], (float(strengths[k]), results[k])]
    return [results[k] for k in range(len(strengths))]


def _predict(earlier: list[tuple[float, TransportResult]], reg: float) -> tuple[Array, Array] | None:
    """Potentials at reg from the last two results: on the straight line through them where both succeeded."""
    if not earlier:
        return None
    last_reg, last = earlier[-1]
    if len(earlier) < 2 or not (last.success and earlier[0][1].success) or last_reg == earlier[0][0]:
        return last.f, last.g
    weight = (reg - last_reg) / (last_reg - earlier[0][0])
    pairs = ((last.f, earlier[0][1].f), (last.g, earlier[0][1].g))
    with np.errstate(invalid="ignore"):  # -inf at zero weights
        f, g = (np.where(np.isfinite(p), p + weight * (p - q), p) for p, q in pairs)
    return f, g
