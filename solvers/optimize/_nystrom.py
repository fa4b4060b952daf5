"""Randomised preconditioners of Hessians, and of KKT systems with them.

Differs from Frangella, Tropp, Udell (2023) in: the rank doubles, with the products so far kept, until the least
eigenvalue that was found is below a multiple of the shift; no error norm is estimated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg
import scipy.sparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from .._base.rng import RNG, as_generator
from .._base.sparse import diagonal_matrix
from .._base.validate import check_finite, integer, real_array
from . import _kernels
from ._systems import unit_of

Array = npt.NDArray[Any]

#: The rank that an adaptive approximation begins with.
FIRST_RANK = 16


class NystromInverse(LinearOperator):  # type: ignore[misc]  # SciPy is not typed
    """An approximate inverse of ``H + shift I``, from `nystrom`.

    Attributes
    ----------
    eigenvalues : ndarray, shape (rank,)
        Approximate eigenvalues of H, the largest first.
    vectors : ndarray, shape (n, rank)
        Orthonormal approximate eigenvectors.
    shift : float
    """

    def __init__(self, eigenvalues: Array, vectors: Array, shift: float) -> None:
        super().__init__(np.dtype(np.float64), (len(vectors),) * 2)
        self.eigenvalues, self.vectors, self.shift = eigenvalues, vectors, shift
        rest = (eigenvalues[-1] if len(eigenvalues) else 0.0) + shift
        self._rest = 1 / rest if rest > 0 else 1.0
        found = eigenvalues + shift
        self._inner = np.where(found > 0, 1 / np.where(found > 0, found, 1.0), self._rest) - self._rest

    def _matmat(self, v: Array) -> Array:
        return np.asarray(self.vectors @ (self._inner[:, None] * (self.vectors.T @ v)) + self._rest * v)

    def _matvec(self, v: Array) -> Array:
        return self._matmat(v.reshape(-1, 1)).ravel()

    def _adjoint(self) -> NystromInverse:
        return self


def nystrom(
    H: Any, *, shift: float = 0.0, rank: int | None = None, factor: float = 10.0, max_rank: int | None = None,
    rng: RNG = 0,
) -> NystromInverse:  # fmt: skip
    """An approximate inverse of ``H + shift I``, H symmetric positive semidefinite with a decaying spectrum.

    A preconditioner for conjugate gradients. It pays where few eigenvalues of H are above the shift.

    Parameters
    ----------
    H : matrix, sparse array, LinearOperator, or anything with ``shape`` and ``@``, shape (n, n)
        Symmetric positive semidefinite; known by its products.
    shift : float, default 0
        At least 0.
    rank : int, optional
        Of the approximation. Without it 16, doubled until the least eigenvalue found is at most `factor` times the
        shift.
    factor : float, default 10
    max_rank : int, optional
        Where doubling ends, by default a quarter of n.
    rng : None, int, Generator or SeedSequence, default 0
        Of the test vectors.

    Returns
    -------
    NystromInverse
        A symmetric positive definite `LinearOperator`; 4 n rank flops an application.

    Raises
    ------
    ValueError
        An H that is not square, a negative shift, a rank below 1 or above n.

    Notes
    -----
    Costs `rank` products with H and about ``6 n rank**2`` flops.

    References
    ----------
    Frangella, Tropp, Udell (2023), Randomized Nystrom preconditioning, SIAM J. Matrix Anal. Appl. 44(2), arXiv
    2110.02820.

    Examples
    --------
    >>> import numpy as np, solvers
    >>> H = np.diag([1e4, 1e3, 1e2] + [1e-3] * 40)
    >>> M = solvers.optimize.nystrom(H, shift=1.0)
    >>> len(M.eigenvalues), M.eigenvalues[:3].round().tolist()
    (16, [10000.0, 1000.0, 100.0])
    """
    H = H if hasattr(H, "shape") else real_array(H, "H", ndim=2)
    n = int(H.shape[0])
    if H.shape != (n, n):
        raise ValueError(f"H must be square, not of shape {H.shape}")
    if not 0 <= shift < np.inf:
        raise ValueError(f"shift must be >= 0 and finite, not {shift!r}")
    if rank is not None and not 1 <= integer(rank, "rank") <= n:
        raise ValueError(f"rank must be from 1 to {n}, not {rank!r}")
    generator = as_generator(0 if rng is None else rng)
    most = rank or min(n, max_rank or max(FIRST_RANK, n // 4))
    tests, products = np.zeros((n, 0)), np.zeros((n, 0))
    size = rank or min(FIRST_RANK, most)
    while True:
        fresh = np.linalg.qr(_apart(generator.standard_normal((n, size - tests.shape[1])), tests))[0]
        tests, products = np.hstack([tests, fresh]), np.hstack([products, _products(H, fresh)])
        eigenvalues, vectors = _approximated(tests, products)
        if size >= most or eigenvalues[-1] <= factor * shift:
            return NystromInverse(eigenvalues, vectors, float(shift))
        size = min(2 * size, most)


def _apart(vectors: Array, from_these: Array) -> Array:
    """Without their part in the span of orthonormal vectors; twice, for rounding's sake."""
    for _ in range(2):
        vectors = vectors - from_these @ (from_these.T @ vectors)
    return vectors


def _products(H: Any, V: Array) -> Array:
    whole = isinstance(H, np.ndarray | LinearOperator) or scipy.sparse.issparse(H)
    products = real_array(H @ V if whole else np.column_stack([H @ v for v in V.T]), "H")
    check_finite(products, "H @ V")
    return products


def _approximated(tests: Array, products: Array) -> tuple[Array, Array]:
    """Eigenvalues and vectors of Y (T'Y)^-1 Y' for Y = H T, a little shifted so that the factor exists."""
    unit = unit_of(products)
    products = products / unit
    small = np.sqrt(len(tests)) * np.finfo(float).eps * float(np.linalg.norm(products))
    shifted = products + small * tests
    gram = tests.T @ shifted
    values, Q = np.linalg.eigh((gram + gram.T) / 2)
    kept = values > small * 1e-3
    if not kept.any():
        return np.zeros(tests.shape[1]), tests
    U, s, _ = np.linalg.svd(shifted @ (Q[:, kept] / np.sqrt(values[kept])), full_matrices=False)
    return unit * np.maximum(s**2 - small, 0.0), U


def sampled_inverse(
    X: Any, weights: npt.ArrayLike, *, shift: float = 0.0, rows: int | None = None, rng: RNG = 0
) -> LinearOperator:
    """An approximate inverse of ``X.T @ diag(weights) @ X + shift I`` from some rows of X alone.

    A preconditioner for the Hessians of regression with many more samples than unknowns.

    Parameters
    ----------
    X : ndarray or CSR array, shape (m, n)
    weights : array_like, shape (m,)
        At least 0.
    shift : float, default 0
        Where the sampled matrix with it is not positive definite, more is added.
    rows : int, optional
        How many, drawn without replacement; by default 20 n (all where there are no more).
    rng : None, int, Generator or SeedSequence, default 0

    Returns
    -------
    LinearOperator
        Its application costs ``2 n**2`` flops; making it ``rows`` times the square of a row's entries, and
        ``n**3 / 3``.

    Examples
    --------
    >>> import numpy as np, solvers
    >>> X = np.random.default_rng(0).standard_normal((4000, 5))
    >>> M = solvers.optimize.sampled_inverse(X, np.ones(4000), rows=400)
    >>> bool(np.linalg.cond(M @ (X.T @ X)) < 2)
    True
    """
    X = _real_matrix(X)
    m, n = X.shape
    w = real_array(weights, "weights", ndim=1)
    if len(w) != m or not m:
        raise ValueError(f"weights must be {max(m, 1)} numbers, not {len(w)}")
    if not -np.inf < shift < np.inf:
        raise ValueError(f"shift must be finite, not {shift!r}")
    if rows is not None and rows < 1:
        raise ValueError(f"rows must be at least 1, not {rows!r}")
    count = min(m, rows or 20 * n)
    generator = as_generator(0 if rng is None else rng)
    chosen = slice(None) if count == m else np.sort(generator.choice(m, count, replace=False))
    gram = weighted_gram(X[chosen], w[chosen] * (m / count))
    check_finite(gram, "X.T @ diag(weights) @ X")  # no shift would make it definite
    extra, scale = 0.0, float(np.abs(np.diag(gram)).max(initial=0.0)) or 1.0
    while True:
        try:
            factor = scipy.linalg.cho_factor(gram + (shift + extra) * np.eye(n), check_finite=False)
            break
        except np.linalg.LinAlgError:
            extra = max(8 * extra, 1e-10 * scale)

    def solve(v: Array) -> Array:
        return np.asarray(scipy.linalg.cho_solve(factor, v, check_finite=False))

    return LinearOperator((n, n), matvec=solve, matmat=solve, rmatvec=solve, dtype=np.float64)


def weighted_gram(X: Any, weights: npt.ArrayLike) -> Array:
    """``X.T @ diag(weights) @ X``, dense: the Hessian of a regression in its linear predictor's coefficients.

    Parameters
    ----------
    X : ndarray or CSR array, shape (m, n)
    weights : array_like, shape (m,)
        At least 0.

    Returns
    -------
    ndarray, shape (n, n)
        Half the square of a row's entries, summed over the rows, in multiply-adds at scattered places; for dense X one
        product by BLAS.

    Examples
    --------
    >>> import scipy.sparse, solvers
    >>> solvers.optimize.weighted_gram(scipy.sparse.csr_array([[1.0, 2.0], [0.0, 1.0]]), [1.0, 3.0]).tolist()
    [[1.0, 2.0], [2.0, 7.0]]
    """
    X, w = _real_matrix(X), real_array(weights, "weights", ndim=1)
    if len(w) != X.shape[0] or not np.all((w >= 0) & (w < np.inf)):
        raise ValueError(f"weights must be {X.shape[0]} numbers >= 0")
    if not scipy.sparse.issparse(X):
        scaled = X * np.sqrt(w)[:, None]
        return np.asarray(scaled.T @ scaled)
    # the same object remembers that its columns rise
    rows = X if isinstance(X, scipy.sparse.csr_array | scipy.sparse.csr_matrix) else scipy.sparse.csr_array(X)
    if not rows.has_canonical_format:
        rows = rows.copy()
        rows.sum_duplicates()
    parts = (
        rows.indptr.astype(np.int32, copy=False), rows.indices.astype(np.int32, copy=False),
        rows.data.astype(np.float64, copy=False),
    )  # fmt: skip
    return np.asarray(_kernels.gram(*parts, rows.shape[1], np.ascontiguousarray(w)))


def _real_matrix(X: Any) -> Any:
    if not scipy.sparse.issparse(X):
        return real_array(X, "X", ndim=2)
    if X.dtype.kind not in "biuf":
        raise TypeError(f"X must be real numbers, not {X.dtype}")
    if max(X.nnz, *X.shape) > np.iinfo(np.int32).max:
        raise ValueError("X is too large: 2**31 - 1 entries, rows and columns at most")
    return X


def kkt_preconditioner(
    inverse: Callable[[Any, Array], Any] | None = None,
) -> Callable[[Any, Any, Array, Array], LinearOperator]:
    """A constraint preconditioner of KKT systems from an approximate inverse of their Hessians.

    For the option "precond" of ``minimize(..., method="gala")`` with ``inner="projected-cg"``.

    Parameters
    ----------
    inverse : callable, optional
        ``inverse(H, dx)``, an operator near ``(H + diag(dx))^-1``, symmetric positive definite. By default `nystrom`
        with the least entry of dx as its shift.

    Returns
    -------
    callable
        ``f(H, J, dx, dc)``: solves with ``[[M^-1, J'], [J, -diag(dc)]]`` for M the approximate inverse, by a Schur
        complement of the rows: m applications of M to make, one and ``4 m n + 2 m**2`` flops to apply.

    Examples
    --------
    >>> import numpy as np, solvers
    >>> from solvers.optimize import kkt_preconditioner, sampled_inverse
    >>> X, w = np.random.default_rng(0).standard_normal((400, 6)), np.ones(400)
    >>> f = kkt_preconditioner(lambda H, dx: sampled_inverse(X, w, rows=200, shift=dx.min()))
    >>> J = np.ones((1, 6))
    >>> z = f(X.T @ X, J, np.zeros(6), np.zeros(1)) @ np.ones(7)
    >>> abs((J @ z[:6] - 1).item()) < 1e-9
    True
    """
    chosen = _by_nystrom if inverse is None else inverse

    def make(H: Any, J: Any, dx: Array, dc: Array) -> LinearOperator:
        n, m = len(dx), len(dc)
        nothing = scipy.sparse.issparse(H) and H.nnz == 0 and bool(np.all(dx > 0))  # of multipliers by least squares
        M = aslinearoperator(diagonal_matrix(1 / dx) if nothing else chosen(H, dx))
        rows = J.toarray() if scipy.sparse.issparse(J) else np.asarray(J)
        applied = M @ np.ascontiguousarray(rows.T) if m else np.zeros((n, 0))
        schur = scipy.linalg.lu_factor(rows @ applied + np.diag(dc)) if m else None

        def apply(r: Array) -> Array:
            r = r.ravel()
            p = M.matvec(r[:n])
            if schur is None:
                return np.asarray(p)
            y = scipy.linalg.lu_solve(schur, rows @ p - r[n:])
            return np.asarray(np.concatenate([p - applied @ y, y]))

        return LinearOperator((n + m, n + m), matvec=apply, dtype=np.float64)

    return make


def _by_nystrom(H: Any, dx: Array) -> LinearOperator:
    return nystrom(_Shifted(H, dx - dx.min()), shift=float(max(dx.min(), 0.0)))


class _Shifted:
    """H + diag(d), by products."""

    def __init__(self, H: Any, d: Array) -> None:
        self.H, self.d, self.shape = H, d, (len(d), len(d))

    def __matmul__(self, v: Array) -> Array:
        return np.asarray(np.asarray(self.H @ v).ravel() + self.d * v)
