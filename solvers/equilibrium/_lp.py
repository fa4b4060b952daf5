"""`lp`: linear programs with rows of two sides."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import scipy.sparse

from .._base import threads as _threads
from .._base.iterate import Callback, Control
from .._base.method import lookup
from .._base.result import Status
from .._base.rng import RNG, check_rng
from .._base.validate import check_finite, positive, real_array
from . import _solve
from ._lp_problem import LpProblem, LpResult
from ._normal import ORDERED
from ._program import Array, LinearProgram

#: What the choice of a method reckons with: steps of interior points, iterations of the first-order method, and seconds
#: that one of these takes for an entry of the matrix or of a vector.
STEPS, ITERATIONS, SECONDS = 30, 30_000, 1.5e-9
#: Seconds that are well spent on the digits that interior points give beyond the tolerance.
NOTHING = 0.2
FEASIBILITY_TOL = 1e-6
#: Blocks of the first-order method, at most, where interior points stood still.
AFTERWARDS = 1000


def lp(
    c: npt.ArrayLike | LinearProgram,
    A: Any = None,
    l: npt.ArrayLike | None = None,
    u: npt.ArrayLike | None = None,
    lb: npt.ArrayLike | None = None,
    ub: npt.ArrayLike | None = None,
    *,
    x0: npt.ArrayLike | None = None,
    y0: npt.ArrayLike | None = None,
    tol: float = 1e-6,
    method: str | None = None,
    options: Mapping[str, Any] | None = None,
    max_iter: int = 100_000,
    time_limit: float | None = None,
    callback: Callback | None = None,
    verbose: int = 0,
    resume: Any = None,
    rng: RNG = None,
    threads: int | None = None,
) -> LpResult:
    """Solve a linear program ``min c @ x`` subject to ``l <= A @ x <= u``, ``lb <= x <= ub``.

    Parameters
    ----------
    c : array_like, shape (n,), or LinearProgram
        The objective; or a whole program, such as `read_mps` returns, and then nothing of the following.
    A : array_like or sparse matrix, shape (m, n), optional
        The rows. Canonical CSR arrays of float64 are read in place.
    l, u : array_like, shape (m,), or float, optional
        Sides of the rows; by default -inf and inf. 1e20 and more stands for infinity, in bounds too.
    lb, ub : array_like, shape (n,), or float, optional
        Bounds; by default 0 and inf.
    x0, y0 : array_like, shapes (n,) and (m,), optional
        A first guess of the point and of the multipliers. Interior points start there only to see whether it is
        optimal already.
    tol : float, default 1e-6
        What the largest of three numbers must come down to: the 2-norm of what violates the rows over 1 + that of the
        sides of rows with entries; the 2-norm of the reduced costs that no finite bound takes over 1 + that of c; and
        the gap of the objectives over 1 + the sum of their sizes.
    method : {"lp-ipm", "lp-pdhg"}, optional
        By default the former where its factorisations are cheap, else the latter, and the other one where that stands
        still; the message tells.
    options, max_iter, time_limit, callback, verbose, resume
        As in all solves; a step is a factorisation, or some forty iterations of the first-order method.
    rng : None, int, Generator or SeedSequence
        Checked like everywhere in the library; nothing is drawn.
    threads : int, optional
        Threads of this call.

    Returns
    -------
    LpResult
        With `x`, `y`, `reduced_costs`, `fun`, `gap`, the residuals and `ray`. ``success`` means that the number under
        `tol`, recomputed from x and y and the data as they were given, meets it. The statuses INFEASIBLE and UNBOUNDED
        come with a ray that proves them, checked in the same way.

    Raises
    ------
    ValueError
        NaN, infinite entries of c or A, shapes that do not fit; names the argument.
    MethodError, OptionError
        An unknown method or option, or an option out of range.

    Notes
    -----
    A step of "lp-ipm" is a sparse factorisation, and some 15 to 50 of them are an answer; one of "lp-pdhg" reads the
    matrix forty times, and hundreds to hundreds of thousands of readings are an answer.

    References
    ----------
    Lu & Yang (2024), "Restarted Halpern PDHG for linear programming", arXiv 2407.16144; Andersen & Andersen (2000),
    "The MOSEK interior point optimizer".

    Examples
    --------
    >>> from solvers.equilibrium import lp
    >>> result = lp([-1.0, -2.0], [[1.0, 1.0]], u=4.0, ub=3.0)
    >>> result.x.round(4), round(result.fun, 4), result.y.round(4)
    (array([1., 3.]), -7.0, array([-1.]))
    """
    program, copies = _program(c, A, l, u, lb, ub)
    return solve_program(
        program, copies, x0, y0, tol, method, options, Control(max_iter, time_limit, callback, verbose, resume), rng,
        threads,
    )  # fmt: skip


def solve_program(
    program: LinearProgram, copies: int, x0: Any, y0: Any, tol: float, method: str | None,
    options: Mapping[str, Any] | None, control: Control, rng: RNG, threads: int | None,
) -> LpResult:  # fmt: skip
    """A program solved, and what a ray alone does not tell found out."""
    check_rng(rng)
    m = program.A.shape[0]
    start_x, start_y = _origin(program), np.zeros(m)
    if x0 is not None:
        start_x = _start(x0, "x0", len(start_x))
    if y0 is not None:
        start_y = _start(y0, "y0", m)
    if program.maximize:
        start_y = -start_y
    problem = LpProblem(program, start_x, start_y, positive(tol, "tol"), copies, _threads.resolve(threads))
    return _solved(problem, method, options, control)


def _origin(program: LinearProgram) -> Array:
    """The point of the bounds nearest to 0."""
    return np.clip(np.zeros(len(program.c)), program.lb, np.maximum(program.lb, program.ub))


def _solved(problem: LpProblem, method: str | None, options: Mapping[str, Any] | None, control: Control) -> LpResult:
    chosen, why = (method, "") if method else _choice(problem)
    record = lookup("equilibrium", chosen, problem.needs)
    at_once = _obvious(problem)
    if at_once is not None:
        return dataclasses.replace(at_once, method=chosen)
    result = cast(LpResult, _solve.run(record, problem, control, options, why))
    if method is None and control.resume is None and result.status is Status.STAGNATION:
        result = _otherwise(problem, result, control)
    if result.status is not Status.UNBOUNDED:
        return result
    return _unbounded(problem, result, control.time_limit)


def _choice(problem: LpProblem) -> tuple[str, str]:
    """The method where none is named, and why."""
    m, n = problem.reduced.program.A.shape
    if m <= ORDERED:
        work = problem.reduced.program.A.nnz + 3 * (m + n)
        if problem.normal.takes_less(max(ITERATIONS * SECONDS * work, NOTHING) / STEPS):
            return "lp-ipm", "Chose lp-ipm, whose factorisations are cheap here."
    return "lp-pdhg", "Chose lp-pdhg, whose iterations are cheaper here than factorisations."


def _otherwise(problem: LpProblem, stood: LpResult, control: Control) -> LpResult:
    """The other method, where the one that was chosen stands still; the better answer of both."""
    other = "lp-pdhg" if stood.method == "lp-ipm" else "lp-ipm"
    if other == "lp-ipm" and problem.reduced.program.A.shape[0] > ORDERED:
        return stood
    left = None if control.time_limit is None else max(control.time_limit - stood.stats["seconds"], 0.0)
    steps = min(control.max_iter, AFTERWARDS) if other == "lp-pdhg" else control.max_iter
    again = Control(steps, left, control.callback, control.verbose)
    record = lookup("equilibrium", other, problem.needs)
    why = f"Chose {other} after {stood.method} stood still."
    result = cast(LpResult, _solve.run(record, problem, again, None, why))
    if result.success or result.ray is not None or result.measure < stood.measure:
        return result
    return dataclasses.replace(stood, message=f"{stood.message} Neither did {other} get further.")


def _obvious(problem: LpProblem) -> LpResult | None:
    """The verdict on a program whose bounds, or whose rows or columns without entries, decide it."""
    program = problem.program
    for low, high, what in (
        (program.lb, program.ub, "bounds lb, ub of column"),
        (program.l, program.u, "sides l, u of row"),
    ):
        wrong = np.flatnonzero((low > high) | (low == np.inf) | (high == -np.inf))
        if len(wrong):
            k = int(wrong[0])
            return _verdict(problem, Status.INFEASIBLE, f"The {what} {k} are {low[k]:g}, {high[k]:g}.", None)
    empty = np.flatnonzero(np.diff(program.A.indptr) == 0)
    wrong = empty[(program.l[empty] > 0) | (program.u[empty] < 0)]
    if len(wrong):
        ray = np.zeros(len(program.l))
        ray[wrong[0]] = 1.0 if program.l[wrong[0]] > 0 else -1.0
        text = f"Row {int(wrong[0])} has no entries, and its sides exclude 0."
        return _verdict(problem, Status.INFEASIBLE, text, ray)
    return None


def _verdict(problem: LpProblem, status: Status, text: str, ray: Array | None) -> LpResult:
    program = problem.program
    x = np.where(np.isfinite(program.lb), program.lb, np.where(np.isfinite(program.ub), program.ub, 0.0))
    told = {"success": False, "status": status, "message": f"{status.sentence} {text}", "nit": 0}
    return problem.result(x, problem.y0, ray, stats=dict(problem.stats), **told)


def _unbounded(problem: LpProblem, result: LpResult, time_limit: float | None) -> LpResult:
    """A ray of descent proves that there is no optimum; whether there is a feasible point, its own solve tells."""
    program = problem.program
    point = dataclasses.replace(program, c=np.zeros_like(program.c), offset=0.0, maximize=False)
    tol = min(problem.tol, FEASIBILITY_TOL)
    search = LpProblem(point, _origin(point), np.zeros_like(problem.y0), tol, 0, problem.threads)
    for way in (result.method, None):
        found = _solved(search, way, None, Control(100_000, time_limit))
        if found.success or found.status is Status.INFEASIBLE:
            break
    if found.status is Status.INFEASIBLE:
        return dataclasses.replace(result, status=Status.INFEASIBLE, ray=found.ray, message=found.message)
    if found.success:
        return problem.result(
            found.x, problem.y0, result.ray, stats=result.stats, nit=result.nit, success=False, status=result.status,
            message=result.message, method=result.method, options=result.options, history=result.history,
            state=result.state,
        )  # fmt: skip

    text = "Whether there is a feasible point was not found out: the program may be infeasible instead."
    return dataclasses.replace(result, message=f"{result.message} {text}")


def _program(c: Any, A: Any, l: Any, u: Any, lb: Any, ub: Any) -> tuple[LinearProgram, int]:
    """The program, and how many copies of the data were made."""
    if isinstance(c, LinearProgram):
        if any(part is not None for part in (A, l, u, lb, ub)):
            raise ValueError("A, l, u, lb and ub must not be given beside a LinearProgram")
        return c, 0
    made = LinearProgram(
        cast(Any, c), A, cast(Any, -np.inf if l is None else l), cast(Any, np.inf if u is None else u),
        cast(Any, 0.0 if lb is None else lb), cast(Any, np.inf if ub is None else ub),
    )  # fmt: skip
    copies = isinstance(c, np.ndarray) and not np.shares_memory(made.c, c)
    entries = getattr(A, "data", None) if scipy.sparse.issparse(A) else None
    return made, int(copies) + int(entries is not None and not np.shares_memory(made.A.data, entries))


def _start(value: Any, name: str, length: int) -> Array:
    array = real_array(value, name, ndim=1)
    if len(array) != length:
        raise ValueError(f"{name} must have shape ({length},), not {array.shape}")
    check_finite(array, name)
    return array
