"""The entry of the family: from the user's data to a checked problem to a method."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, repeat
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
import numpy.typing as npt

from .._base import threads as _threads
from .._base.iterate import Callback, Control, run
from .._base.method import lookup
from .._base.options import as_mapping
from .._base.result import Status
from .._base.rng import RNG, as_generator
from .._base.validate import check_finite as _check_finite
from .._base.validate import nonnegative, real_array, vector
from ._columns import answers, check_starts, each, gathered, of_columns
from ._complex import ComplexPlan, ComplexProblem, in_parts
from ._multilevel_cg import needed_nullspace, serves
from ._multilevel_many import Known, together
from ._nullspace import centred, explained, without_constants
from ._plain import plain
from ._plan import plan
from ._problem import LinearProblem, LinearResult, Matrix, norm
from ._symmetry import objection
from ._units import callback_in, out_of, start_in, unit_of

Array = npt.NDArray[Any]

#: What `rtol` may be relative to.
REFERENCES = ("b", "r0")


@runtime_checkable
class Tuner(Protocol):
    """What may stand for omega: it is asked before the solve and told the count of iterations after."""

    def ask(self) -> Any: ...
    def tell(self, question: Any, cost: float) -> None: ...


def solve(
    A: Any,
    b: npt.ArrayLike,
    *,
    x0: npt.ArrayLike | None = None,
    M: Any = None,
    rtol: float = 1e-8,
    atol: float = 0.0,
    reference: str = "b",
    method: str | None = None,
    options: Mapping[str, Any] | None = None,
    assume_symmetric: bool = False,
    nullspace: str | None = None,
    check_finite: bool = True,
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
    A : sparse matrix, array_like, Plan or GridOperator, shape (n, n)
        The matrix, or what `plan` made of it: then nothing is analysed again. A complex matrix is for the methods
        "gauss-seidel", which is then the default, "sor" and "jacobi"; x is then complex.
    b : array_like, shape (n,) or (n, k)
        Right-hand side, or k of them in columns.
    x0 : array_like, of the shape of b, optional
        Where to start; zero where not given.
    M : str, array_like or LinearOperator, optional
        Preconditioner of the method "cg", an approximate inverse of A as in SciPy: "jacobi", "ssor", "ic0", a diagonal
        (n,), or an operator, symmetric positive definite; of "multilevel-cg" what `multilevel` made of A; of the method
        "dcdm" any map of the residual: a function, a torch module, "learned" or "identity" too.
    rtol, atol : float, default 1e-8 and 0
        The solve succeeds where ``norm(b - A @ x) <= max(rtol * norm(b), atol)``, in 2-norms.
    reference : {"b", "r0"}, default "b"
        What rtol is relative to: the norm of b, or that of ``b - A @ x0``.
    method : str, optional
        "multilevel-cg", "ssor-cg", "cg", "chebyshev", "sor", "gauss-seidel" or "jacobi". Where not given:
        "multilevel-cg" for a GridOperator, with nullspace="components" where it is singular and b in its range; else
        "ssor-cg" ("cg" with an M) where A looks symmetric positive definite, else "gauss-seidel", which may not
        converge.
    options : mapping, optional
        Options of the method; ``python -m solvers methods`` lists them. "omega" may also be a tuner (an object with
        ``ask`` and ``tell``): it is asked before the solve, and told the iterations after it (twice `max_iter` where it
        failed). Of k right-hand sides each asks and tells. A tuner with a context is given as ``tuner.at(context)``.
    assume_symmetric : bool, default False
        Whether A is taken for symmetric where a method needs that, without a look at its entries. The sign of the
        diagonal is looked at in any case.
    nullspace : {None, "constant", "components"}, optional
        "constant", for a symmetric A with ``A @ ones = 0``: b is taken without its mean, which no x can give, and x
        gets the mean zero. The residual is then that of b without its mean: x is the least-squares solution of least
        norm, and the message tells of what was left out. "components", for a GridOperator and "multilevel-cg": the same
        in each part of the grid without a sink.
    check_finite : bool, default True
        Whether NaN and infinity are looked for in A, b and x0.
    max_iter : int, default 10000
        Iterations at most.
    time_limit : float, optional
        Seconds at most, for each right-hand side.
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
        recomputed from the returned x, meets the tolerance. A solve that fails returns the best x that it kept and
        says why in `status`; it does not raise (``result.raise_for_status()`` does). For b of shape (n, k) `x` has that
        shape, `columns` the results of each column, and the rest is that of the worst.

    Raises
    ------
    ValueError
        NaN or infinity, shapes that do not fit, a zero on the diagonal, a tolerance below zero (or both zero), omega
        outside of (0, 2), a matrix that is not symmetric or has a negative diagonal entry where the method needs
        symmetric positive definite ones; without a method, a singular GridOperator whose range does not hold b.
    TypeError
        Data that is not real.
    MethodError, OptionError
        An unknown method or option, or an option out of range.

    Notes
    -----
    A singular system is solved where it is consistent and A symmetric positive semidefinite (a pure Neumann problem): x
    is then one of its solutions. Where b is not in the range of A the status is STAGNATION or DIVERGED, and the message
    says so where the constants are the reason; see `nullspace`.

    References
    ----------
    Young (1954), Iterative methods for solving partial difference equations of elliptic type; Eisenstat (1981),
    Efficient implementation of a class of preconditioned conjugate gradient methods.

    Examples
    --------
    >>> import scipy.sparse, solvers
    >>> A = scipy.sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(4, 4))
    >>> result = solvers.linalg.solve(A, [1.0, 0.0, 0.0, 1.0], method="sor", options={"omega": 1.2})
    >>> result.success, result.x.round(6).tolist()
    (True, [1.0, 1.0, 1.0, 1.0])
    """
    matrix = A if callable(getattr(A, "operand", None)) else plan(A, check_finite=check_finite)
    usual = not verbose and M is None and nullspace is None and rng is None and resume is None and callback is None
    if isinstance(matrix, ComplexPlan):
        b, x0 = in_parts(b, "b", matrix, check_finite), x0 if x0 is None else in_parts(x0, "x0", matrix, check_finite)
        matrix = matrix.parts
    elif getattr(getattr(b, "dtype", None), "kind", "") == "c":
        raise TypeError("b must be real numbers, not complex: A is real, so give two columns, b.real and b.imag")
    elif method == "ssor-cg" and usual:
        found = plain(matrix, b, x0, rtol, atol, reference, options, assume_symmetric, max_iter, time_limit, threads)
        if found is not None:
            return found
    control = Control(max_iter, time_limit, callback, verbose, resume)
    if rng is not None:
        as_generator(rng)
    _check_tolerances(rtol, atol, reference)
    given = Given(
        matrix, control, M=M, rtol=rtol, atol=atol, reference=reference, method=method, options=options,
        assume_symmetric=bool(assume_symmetric), nullspace=nullspace, check_finite=check_finite,
        threads=_threads.resolve(threads),
    )  # fmt: skip
    return _of_rights(given, b, x0)


@dataclass(kw_only=True, eq=False)
class Given:
    """What all right-hand sides of a call share."""

    matrix: Matrix = field(kw_only=False)
    control: Control = field(kw_only=False)
    M: Any
    rtol: float
    atol: float
    reference: str
    method: str | None
    options: Mapping[str, Any] | None
    assume_symmetric: bool
    nullspace: str | None
    check_finite: bool
    threads: int


def _of_rights(given: Given, b: npt.ArrayLike, x0: npt.ArrayLike | None) -> LinearResult:
    """The result for all right-hand sides."""
    matrix, control, method = given.matrix, given.control, given.method
    if matrix.size == 0:
        return _nothing(matrix, b, method)
    if np.ndim(b) != 2:
        return _solved(given, b, x0, None)
    if control.resume is not None:
        raise ValueError("resume is for a solve with one right-hand side: b has two dimensions")
    rights = real_array(b, "b")
    starts = check_starts(matrix, rights, x0)
    alone = method not in (None, "multilevel-cg") or given.reference != "b" or control.callback is not None
    if alone or control.verbose or control.time_limit is not None:
        known = []
    else:
        known = together(matrix, rights, starts, M=given.M, rtol=given.rtol, atol=given.atol, nullspace=given.nullspace,
                         max_iter=control.max_iter, threads=given.threads)  # fmt: skip
        if any(unit_of(rights[:, k], what.size) != 1 for k, what in enumerate(known)):
            known = []  # one by one: each in its own unit
    return of_columns(matrix, rights, list(_each_solved(given, rights, starts, known)))


def _each_solved(given: Given, b: Array, x0: Array | None, known: list[Known]) -> Iterator[LinearResult]:
    """The results of the columns of b, of which the first ones are known."""
    x = known[0].x.base if known and len(known) == b.shape[1] else None
    x = answers(given.matrix, b.shape) if x is None else x
    left = slice(len(known), None)
    starts = repeat(None) if x0 is None else each(x0[:, left])
    found = (_solved(given, b[:, k], None, what) for k, what in enumerate(known))
    others = (_solved(given, column, start, None) for column, start in zip(each(b[:, left]), starts, strict=False))
    return gathered(x, chain(found, others))


def _solved(given: Given, b: npt.ArrayLike, x0: npt.ArrayLike | None, known: Known | None) -> LinearResult:
    """The result for one right-hand side."""
    matrix, method, nullspace = given.matrix, given.method, given.nullspace
    if known is not None:
        right, start, scale = np.asarray(b), known.x, known.size
    else:
        right = _vector(b, "b", matrix.size, False)
        start = np.zeros(matrix.size) if x0 is None else _vector(x0, "x0", matrix.size, given.check_finite)
        scale = norm(right)
        if given.check_finite and not math.isfinite(scale):
            _check_finite(right, "b")
    unit = unit_of(right, scale)
    if unit != 1:
        right = right / unit
        start, scale = start_in(unit, start, matrix, right), norm(right)
    size_of_b = scale
    if scale == 0:  # needs no search
        start = np.zeros(matrix.size)
    if method is None and nullspace is None and given.M is None:
        nullspace = needed_nullspace(matrix, right)
    # multilevel-cg projects by the components of its grid
    projects = nullspace is not None and method != "multilevel-cg"
    projects = projects and bool(method or serves(matrix, given.M, nullspace))
    if projects:
        whole, right = right, without_constants(matrix, right, nullspace)
    if given.reference == "r0" and scale > 0:
        scale = norm(matrix.residual(right, start))
    # what is not finite meets no tolerance
    tol = max(given.rtol * scale, given.atol / unit) if math.isfinite(scale) else 0.0
    control = given.control
    if unit != 1 and control.callback is not None:
        control = replace(control, callback=callback_in(unit, control.callback))
    problem = (ComplexProblem if matrix.capability == "complex-matrix" else LinearProblem)(
        matrix, right, start, tol=tol, max_iter=int(control.max_iter),
        every=control.callback is not None or control.verbose == 2, threads=given.threads, M=given.M,
        assume_symmetric=given.assume_symmetric, nullspace=nullspace, size_of_b=size_of_b, known=known,
        unit=unit,
    )  # fmt: skip
    why = ""
    if method is None:
        method, why = _choose(problem)
    record = lookup("linalg", method, problem.needs)
    options = as_mapping(given.options)
    tuner = options.get("omega")
    if tuner is not None and not isinstance(tuner, float | str) and isinstance(tuner, Tuner):
        result = _tuned(tuner, dict(options), lambda fixed: run(record, problem, control, fixed, why), problem)
    else:
        result = cast(LinearResult, run(record, problem, control, options, why))
    result = explained(centred(result, problem, whole) if projects else result, problem)
    return result if unit == 1 else out_of(unit, result, matrix, tol)


def _nothing(matrix: Matrix, b: npt.ArrayLike, method: str | None) -> LinearResult:
    """The solution of no equations."""
    if len(np.asarray(b)) != 0:
        raise ValueError(f"b must have length 0, that of A's rows, not shape {np.shape(b)}")
    status, name = Status.CONVERGED, lookup("linalg", method or "ssor-cg").name
    return LinearResult(
        x=answers(matrix, np.shape(b)), success=True, status=status, message=status.sentence, nit=0, measure=0.0,
        residual_norm=0.0, method=name,
    )  # fmt: skip


def _choose(problem: LinearProblem) -> tuple[str, str]:
    """The method for ``method=None``, and why."""
    if not serves(problem.A, problem.M, problem.nullspace):
        sinks = " with a sink in every component" if problem.nullspace is None else ", and its null space is taken off"
        return "multilevel-cg", f"Chose multilevel-cg: A is a GridOperator{sinks}."
    against = objection(problem.A, problem.assume_symmetric)
    looks = "A is taken for symmetric" if problem.assume_symmetric else "A looks symmetric"
    if against is None and problem.M is not None:
        return "cg", f"Chose cg, which takes a preconditioner: {looks}, and its diagonal is positive."
    if against is None:
        return "ssor-cg", f"Chose ssor-cg: {looks}, and its diagonal is positive."
    if problem.M is not None:
        raise ValueError(f"M= is for conjugate gradients, which this matrix does not admit: {against}")
    return "gauss-seidel", f"Chose gauss-seidel, which may not converge: {against}."


def _tuned(tuner: Tuner, options: dict[str, Any], solve_with: Any, problem: LinearProblem) -> LinearResult:
    """The solve with the tuner's omega; the tuner learns what it cost."""
    question = tuner.ask()
    result: LinearResult = solve_with({**options, "omega": float(question.value)})
    if result.success:
        tuner.tell(question, float(max(result.nit, 1)))
    elif result.status not in (Status.CALLBACK_STOP, Status.TIME_LIMIT):
        tuner.tell(question, 2.0 * max(problem.max_iter, 1))
    return replace(result, stats={**result.stats, "arm": question.arm})


def _check_tolerances(rtol: float, atol: float, reference: str) -> None:
    for value, name in ((rtol, "rtol"), (atol, "atol")):
        nonnegative(value, name)
    if rtol == atol == 0:
        raise ValueError("rtol and atol must not both be 0")
    if reference not in REFERENCES:
        raise ValueError(f"reference must be one of {', '.join(REFERENCES)}, not {reference!r}")


def _vector(value: npt.ArrayLike, name: str, size: int, check_finite: bool) -> Array:
    checked = vector(value, name, size, "that of A's rows")
    # a norm is the cheapest look
    if check_finite and not math.isfinite(norm(checked)):
        _check_finite(checked, name)
    return checked
