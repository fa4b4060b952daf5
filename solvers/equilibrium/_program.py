"""Linear programs: the user's data, and what x and y are worth on them.

    minimise  c'x + offset   subject to   l <= A x <= u,   lb <= x <= ub

With y >= 0 on rows at l, y <= 0 on rows at u, and the reduced costs z = c - A'y = z+ - z-, the dual is

    maximise  l'y+ - u'y- + lb'z+ - ub'z- + offset,

where a product with an infinite bound must have a factor zero. All measures here are of float64 and of the user's data.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from .._base.sparse import canonical_csr
from .._base.validate import check_finite, real_array
from ._kernels import INFINITE, CompiledProgram

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False, repr=False)
class LinearProgram:
    """A linear program ``min (or max) c @ x + offset``, ``l <= A @ x <= u``, ``lb <= x <= ub``.

    Parameters
    ----------
    c : array_like, shape (n,)
        The objective.
    A : array_like or sparse matrix, shape (m, n)
        The rows; kept as a CSR array of float64 without duplicates.
    l, u : array_like, shape (m,), or float
        Sides of the rows, infinite where there are none; 1e20 and more stands for infinity, in bounds too.
    lb, ub : array_like, shape (n,), or float
        Bounds of the variables.
    offset : float, default 0
        Added to the objective.
    maximize : bool, default False
        Whether the objective is to be as large as possible.
    integrality : ndarray of bool, shape (n,), optional
        Variables that a file declares integer. Programs are solved without that demand.
    name : str
    row_names, column_names : tuple of str
        As in the file that it was read from; empty where there is none.

    Raises
    ------
    ValueError
        Shapes that do not fit, NaN, an infinite number in c or A; names the argument.

    Examples
    --------
    >>> from solvers.equilibrium import LinearProgram, lp
    >>> program = LinearProgram([1, 2], [[1, 1]], l=1, u=float("inf"), lb=0, ub=float("inf"))
    >>> lp(program).x.round(6) + 0.0
    array([1., 0.])
    """

    c: Array
    A: Any
    l: Array
    u: Array
    lb: Array
    ub: Array
    offset: float = 0.0
    maximize: bool = False
    integrality: Array | None = None
    name: str = ""
    row_names: tuple[str, ...] = field(default=())
    column_names: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        c = real_array(self.c, "c", ndim=1)
        if c.size == 0:
            raise ValueError("c must not be empty")
        check_finite(c, "c")
        n = len(c)
        A = _rows(self.A, n)
        m = A.shape[0]
        sides = {name: _limits(getattr(self, name), name, m) for name in ("l", "u")}
        bounds = {name: _limits(getattr(self, name), name, n) for name in ("lb", "ub")}
        offset = float(self.offset)
        if not np.isfinite(offset):
            raise ValueError(f"offset must be finite, not {offset}")
        for name, value in {"c": c, "A": A, **sides, **bounds, "offset": offset}.items():
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        goal = "maximise" if self.maximize else "minimise"
        m, n = self.A.shape
        return f"<LinearProgram {self.name!r}: {goal}, {m} rows, {n} columns, {self.A.nnz} nonzeros>"

    def scipy_form(self) -> dict[str, Any]:
        """The arguments of `scipy.optimize.linprog`: rows with two sides become two, the objective is minimised.

        Examples
        --------
        >>> from solvers.equilibrium import LinearProgram, linprog
        >>> program = LinearProgram([1, 2], [[1, 1]], l=1, u=3, lb=0, ub=2)
        >>> round(linprog(**program.scipy_form()).fun, 6)
        1.0
        """
        equal = self.l == self.u
        below, above = np.isfinite(self.u) & ~equal, np.isfinite(self.l) & ~equal
        rows = scipy.sparse.vstack([self.A[below], -self.A[above]], format="csr")
        return {
            "c": -self.c if self.maximize else self.c,
            "A_ub": rows, "b_ub": np.concatenate([self.u[below], -self.l[above]]),
            "A_eq": self.A[equal], "b_eq": self.l[equal], "bounds": np.column_stack([self.lb, self.ub]),
        }  # fmt: skip

    @property
    def cost(self) -> Array:
        """The objective that is minimised."""
        return -self.c if self.maximize else self.c

    @cached_property
    def compiled(self) -> CompiledProgram:
        """For the compiled code, with the objective that is minimised."""
        A = self.A
        if max(A.nnz, *A.shape) > np.iinfo(np.int32).max:
            raise ValueError(f"A has {A.nnz} entries; at most {np.iinfo(np.int32).max} are supported")
        starts, index = (np.ascontiguousarray(part, dtype=np.int32) for part in (A.indptr, A.indices))
        numbers = (np.ascontiguousarray(part) for part in (A.data, self.cost, self.l, self.u, self.lb, self.ub))
        return CompiledProgram(starts, index, *numbers)


def _rows(A: Any, n: int) -> Any:
    if A is None:
        return scipy.sparse.csr_array((0, n))
    if scipy.sparse.issparse(A):
        matrix = canonical_csr(A, "A")
        if np.shares_memory(matrix.data, getattr(A, "data", np.empty(0))) and not np.all(matrix.data):
            matrix = matrix.copy()
    else:
        matrix = scipy.sparse.csr_array(np.atleast_2d(real_array(A, "A")))
    if matrix.ndim != 2 or matrix.shape[1] != n:
        raise ValueError(f"A must have {n} columns, one for each entry of c, not shape {matrix.shape}")
    check_finite(matrix.data, "the entries of A")
    if not np.all(matrix.data):
        matrix.eliminate_zeros()
    return matrix


def _limits(value: Any, name: str, length: int) -> Array:
    array = real_array(value, name)
    if array.ndim == 0:
        array = np.full(length, float(array))
    if array.shape != (length,):
        raise ValueError(f"{name} must have shape ({length},), not {array.shape}")
    if np.isnan(array).any():
        raise ValueError(f"{name} must not hold NaN; {name}[{int(np.flatnonzero(np.isnan(array))[0])}] does")
    return np.where(np.abs(array) >= INFINITE, np.copysign(np.inf, array), array)


@dataclass(frozen=True, eq=False)
class Kkt:
    """A pair (x, y) within bounds and signs, and how far it is from optimal; the objective is minimised."""

    x: Array
    y: Array
    #: c - A'y, and the part of it that a finite bound takes.
    reduced: Array
    z: Array
    activity: Array
    fun: float
    dual_fun: float
    #: 2-norms of what violates the rows, and of what no bound takes of the reduced costs.
    primal: float
    dual: float
    #: The larger of both, relative to 1 + the norm of the sides of rows with entries, of c, and of the relative gap.
    measure: float

    @property
    def gap(self) -> float:
        return abs(self.fun - self.dual_fun)


def kkt(program: LinearProgram, x: Array, y: Array) -> Kkt:
    """The measure of (x, y), once x is within its bounds and y has the signs of its rows."""
    x, y, reduced, z, activity, fun, dual_fun, primal, dual, measure = program.compiled.judge(x, y)
    offset = -program.offset if program.maximize else program.offset
    return Kkt(x, y, reduced, z, activity, fun + offset, dual_fun + offset, primal, dual, measure)


def infeasibility_ray(program: LinearProgram, y: Array) -> Array | None:
    """y with largest entry 1, where it proves that no x satisfies rows and bounds; else None."""
    return program.compiled.infeasible(y)


def unboundedness_ray(program: LinearProgram, x: Array) -> Array | None:
    """x with largest entry 1, where the objective falls along it and rows and bounds hold; else None."""
    return program.compiled.unbounded(x)
