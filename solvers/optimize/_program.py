"""A `Program` from its pieces: what kind of matrices it has, and how the pieces' become one."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from .._base.compiled import address_of
from ._curvature import canonical, is_operator, is_sparse
from ._kernels import Compiled
from ._nlp import Program
from ._pieces import LinearRows, Objective, Rows
from ._quasi_newton import Damped, LimitedMemory, Secant, SymmetricRankOne

Array = npt.NDArray[Any]

#: Up to so many variables and rows matrices are dense, whatever the user's are; Hessians known by products are written
#: out, which takes fewer products than solving with them.
SMALL = 200
#: Sparse matrices with more than this share of entries are dense ones, up to LARGE variables and rows.
DENSE_SHARE, LARGE = 0.25, 3000


def program(objective: Objective, rows: list[Rows], x0: Array, lower: Array, upper: Array) -> Program:
    """The pieces as one program."""
    assembly = Assembly(objective, rows, x0)
    compiled = assembly.compiled()

    def joined(name: str) -> Array:
        several: list[Array] = [getattr(r, name) for r in rows]
        return several[0] if len(several) == 1 else np.concatenate([np.zeros(0), *several])

    return Program(
        x0=x0, lower=lower, upper=upper, row_lower=joined("lower"), row_upper=joined("upper"),
        linear=np.repeat([r.linear for r in rows], [r.m for r in rows]) if rows else np.zeros(0, bool),
        fun=assembly.fun(), gradient=objective.derivative, constraints=assembly.constraints(),
        jacobian=assembly.jacobian(), hessian=assembly.second(), kind=assembly.kind,
        compiled=compiled, calls=objective.calls,
        row_calls=() if compiled is None else [r.calls for r in rows if not r.linear],
    )  # fmt: skip


class Assembly:
    """How pieces are put together."""

    def __init__(self, objective: Objective, rows: list[Rows], x0: Array) -> None:
        self.objective, self.rows, self.n = objective, rows, len(x0)
        ends = [0, *itertools.accumulate(r.m for r in rows)]
        self.parts = [slice(a, b) for a, b in itertools.pairwise(ends)]
        self.m = ends[-1]
        #: The objective's Hessian, where it was asked for last: the bytes of the point, its weight, the matrix.
        self.last: tuple[bytes, float, Any] | None = None
        self.kind = self._kind(x0)
        for r in rows:
            r.take(self.kind != "dense")
        self.secant = self._secant()
        self.sum = SparseSum(self.n) if self.kind == "sparse" else None

    def compiled(self) -> Compiled | None:
        """Those of the functions that need no interpreter; linear rows are such, where there are no others."""
        pieces = [self.objective.raw, *(r.raw for r in self.rows)]
        any_of_them = any(address_of(f) is not None for raw in pieces for f in raw)
        if self.kind != "dense" or not (any_of_them or (self.rows and all(r.linear for r in self.rows))):
            return None
        fun, jac, hess = self.objective.raw
        blocks = [
            r.A if isinstance(r, LinearRows) else (r.m, *(r.raw if r.places is None else (None, None, None)))
            for r in self.rows
        ]
        return Compiled(self.n, None if any(r.keep.any() for r in self.rows) else fun, jac, hess, blocks)

    # ---- values and first derivatives ------------------------------------------------------------

    def fun(self) -> Callable[[Array], float]:
        """f; infinite where rows are violated that must stay feasible."""
        value, strict = self.objective.value, [r for r in self.rows if r.keep.any()]
        if not strict:
            return value
        return lambda x: value(x) if all(r.feasible(x) for r in strict) else np.inf

    def constraints(self) -> Callable[[Array], Array]:
        if len(self.rows) == 1:
            return self.rows[0].value
        values = [r.value for r in self.rows]
        return lambda x: np.concatenate([value(x) for value in values]) if values else np.zeros(0)

    def jacobian(self) -> Callable[[Array], Any]:
        if len(self.rows) == 1:
            return self.rows[0].derivative
        derivatives = [r.derivative for r in self.rows]
        if not derivatives:
            empty = np.zeros((0, self.n))
            return lambda x: empty
        if self.kind == "dense":
            return lambda x: np.concatenate([derivative(x) for derivative in derivatives])
        return lambda x: scipy.sparse.vstack([derivative(x) for derivative in derivatives], format="csr")

    # ---- second derivatives ----------------------------------------------------------------------

    def second(self) -> Any:
        """The Hessian's function, or the name of what the linear algebra keeps in its place where no part is known."""
        return self.objective.updates if self._all_unknown() else self.hessian

    def _all_unknown(self) -> bool:
        known = self.objective.curvature is not None or any(r.curvature is not None for r in self.rows)
        return self.kind == "dense" and not known

    def hessian(self, x: Array, sigma: float, y: Array) -> Any:
        """The Hessian of ``sigma f + y'c``, as the kind of the program has it."""
        terms: list[Any] = []
        if self.objective.curvature is not None:
            terms.append((0, self._of_objective(x, sigma) if sigma else None))
        for k, (r, part) in enumerate(zip(self.rows, self.parts, strict=True), 1):
            if r.curvature is not None:
                terms.append((k, r.curvature(x, y[part]) if y[part].any() else None))
        if self.secant is not None:
            terms.append((-1, self._approximated(x, sigma, y)))
        if self.sum is not None:
            return self.sum(terms)
        matrices = [H for _, H in terms if H is not None]
        if self.kind == "operator":
            return Sum(self.n, matrices)
        if len(matrices) == 1:
            return self._dense(matrices[0])
        total = np.zeros((self.n, self.n))
        for H in matrices:
            total += self._dense(H)
        return total

    def _of_objective(self, x: Array, sigma: float) -> Any:
        """sigma times its Hessian, called once at a point."""
        assert self.objective.curvature is not None
        point = x.tobytes()
        if self.last is None or self.last[:2] != (point, sigma):
            if self.last is not None and self.last[:2] == (point, 1.0):
                H = self.last[2]
                H = Sum(self.n, [H], sigma) if is_operator(H) else H * sigma
            else:
                H = self.objective.curvature(x, sigma)
            self.last = point, sigma, H
        return self.last[2]

    def _dense(self, H: Any) -> Array:
        if is_sparse(H):
            return np.asarray(H.toarray())
        if is_operator(H):
            columns = np.eye(self.n)
            return np.array([np.asarray(H @ column, np.float64).ravel() for column in columns]).T
        return np.asarray(H)

    def _unknown(self) -> tuple[bool, list[int]]:
        """Whether the objective, and which rows, have no Hessian."""
        rows = [k for k, r in enumerate(self.rows) if r.curvature is None and not r.linear]
        return self.objective.curvature is None, rows

    def _secant(self) -> Secant | None:
        objective, rows = self._unknown()
        if self._all_unknown() or not (objective or rows):
            return None
        if self.kind != "dense":
            return Secant(LimitedMemory(self.n))
        return Secant(Damped(self.n) if objective else SymmetricRankOne(self.n))

    def _approximated(self, x: Array, sigma: float, y: Array) -> Any:
        objective, rows = self._unknown()
        assert self.secant is not None
        weights = ([sigma] if objective else []) + [y[self.parts[k]] for k in rows]
        pieces: list[Any] = ([self.objective] if objective else []) + [self.rows[k] for k in rows]

        def pull(derivatives: list[Any]) -> Array:
            slope = np.zeros(self.n)
            for piece, derivative, w in zip(pieces, derivatives, weights, strict=True):
                slope += piece.pull(derivative, w)
            return slope

        return self.secant(x, sigma, [piece.derivative(x) for piece in pieces], pull)

    # ---- the kind --------------------------------------------------------------------------------

    def _kind(self, x0: Array) -> str:
        """The kind of the program, by its size and by what the functions return at x0."""
        if self.n + self.m <= SMALL:
            return "dense"
        matrices = [r.derivative(x0) for r in self.rows if r.m]
        matrices += [H for H in (self._look(k, x0) for k in range(len(self.rows) + 1)) if H is not None]
        if any(is_operator(M) for M in matrices):
            return "operator"
        unknown, rows = self._unknown()
        N = self.n + self.m
        share = sum(M.nnz if is_sparse(M) else M.size for M in matrices) / (N * N)
        if not any(is_sparse(M) for M in matrices) or (share > DENSE_SHARE and N <= LARGE):
            return "dense" if N <= LARGE or not (unknown or rows) else "operator"
        return "operator" if unknown or rows else "sparse"

    def _look(self, k: int, x0: Array) -> Any:
        """The Hessian of a piece (0: of the objective) at x0, or one of its kind; None where it has none."""
        piece: Any = self.rows[k - 1] if k else self.objective
        own = piece.curvature
        if own is None:
            return None
        if own.differs and own.given.pattern is not None:
            return own.given.pattern
        if own.differs or own.updates:
            return np.broadcast_to(0.0, (self.n, self.n))
        if k:
            return own(x0, np.zeros(piece.m))
        self.last = x0.tobytes(), 1.0, own(x0, 1.0)
        return self.last[2]


class Sum:
    """Hessians that are known by their products, and matrices beside them."""

    def __init__(self, n: int, terms: list[Any], factor: float = 1.0) -> None:
        self.shape, self.terms, self.factor = (n, n), terms, factor

    def __matmul__(self, v: Array) -> Array:
        out = np.zeros(len(v))
        for H in self.terms:
            out += np.asarray(H @ v).ravel()
        return out if self.factor == 1.0 else self.factor * out

    def __mul__(self, weight: float) -> Sum:
        return Sum(self.shape[0], self.terms, self.factor * weight)


class SparseSum:
    """Sums of sparse matrices in one pattern, which grows where a piece has an entry that it has not had before."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.codes = np.zeros(0, np.int64)
        self.indices, self.indptr = np.zeros(0, np.int32), np.zeros(n + 1, np.int32)
        #: Of each piece: its own pattern when it was met last, and where its entries go.
        self.places: dict[int, tuple[Array, Array, Array]] = {}

    def __call__(self, terms: list[tuple[int, Any]]) -> scipy.sparse.csr_array:
        matrices = {k: canonical(H) for k, H in terms if H is not None}
        for k, H in matrices.items():
            known = self.places.get(k)
            if known is None or not (np.array_equal(known[0], H.indptr) and np.array_equal(known[1], H.indices)):
                self._place(k, H)
        data = np.zeros(len(self.codes))
        for k, H in matrices.items():
            data[self.places[k][2]] += H.data
        return scipy.sparse.csr_array((data, self.indices, self.indptr), shape=(self.n, self.n))

    def _codes(self, indptr: Array, indices: Array) -> Array:
        return np.repeat(np.arange(self.n, dtype=np.int64), np.diff(indptr)) * self.n + indices

    def _place(self, k: int, H: scipy.sparse.csr_array) -> None:
        codes = self._codes(H.indptr, H.indices)
        if not self.places:  # the sum's pattern is that of the first
            self.codes, self.indices, self.indptr = codes, H.indices.astype(np.int32), H.indptr.astype(np.int32)
            self.places[k] = H.indptr.copy(), H.indices.copy(), np.arange(len(codes))
            return
        # both are ascending: merging their runs takes a tenth of the time of np.union1d
        union = np.sort(np.concatenate([self.codes, codes]), kind="stable")
        union = union[np.diff(union, prepend=-1) > 0]
        if len(union) > len(self.codes):
            self.codes = union
            self.indices = (union % self.n).astype(np.int32)
            self.indptr = np.searchsorted(union, np.arange(self.n + 1, dtype=np.int64) * self.n).astype(np.int32)
            for other, (indptr, indices, _) in self.places.items():
                where = np.searchsorted(union, self._codes(indptr, indices))
                self.places[other] = indptr, indices, where
        self.places[k] = H.indptr.copy(), H.indices.copy(), np.searchsorted(union, codes)
