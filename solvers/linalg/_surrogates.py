"""Bounds of iteration counts as functions of omega, from dense eigenvalues: for teaching and for tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg

from ._problem import prepared
from ._symmetry import objection

Array = npt.NDArray[Any]

#: Powers of SOR's iteration matrix that are looked at: 1, 2, 4, ...
MOST_DOUBLINGS = 40


def surrogate_sor(A: Any, omegas: npt.ArrayLike, eps: float = 1e-8) -> Array:
    """Upper bounds of the sweeps that SOR takes to reduce the residual by eps.

    ``1 + ln(eps) / ln(rho + tau (1 - rho))``, with rho the spectral radius of the iteration on residuals,
    ``C = I - A (D / omega + L)^-1``, and tau in [0, 1) a measure of how far C is from normal: the least for which
    ``norm(C^k)^(1/k) <= rho + tau (1 - rho)``, k the last power of two where ``norm(C^k) > eps``.

    Parameters
    ----------
    A : sparse matrix, array_like or Plan, shape (n, n)
        Symmetric positive definite matrix.
    omegas : array_like, shape (k,)
        Relaxations, between 0 and 2.
    eps : float, default 1e-8
        The reduction, between 0 and 1.

    Returns
    -------
    ndarray, shape (k,)

    Raises
    ------
    ValueError
        A that is not symmetric positive definite, omegas or eps out of range.

    Notes
    -----
    Dense: some 100 n^3 operations for each omega.

    References
    ----------
    Khodak, Chow, Balcan, Talwalkar (2024), Learning to Relax, arXiv 2310.02246.

    Examples
    --------
    >>> import numpy as np, scipy.sparse, solvers
    >>> A = scipy.sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(20, 20))
    >>> bounds = solvers.linalg.surrogate_sor(A, [1.0, 1.7])
    >>> counts = [solvers.linalg.solve(A, np.ones(20), method="sor", options={"omega": w}).nit for w in (1.0, 1.7)]
    >>> bool((counts <= bounds).all())
    True
    """
    dense, values = _checked(A, omegas, eps)
    D, L = np.diag(np.diag(dense)), np.tril(dense, -1)
    bounds = []
    for omega in values:
        C = np.eye(len(dense)) - dense @ np.linalg.inv(D / omega + L)
        rho = float(np.abs(np.linalg.eigvals(C)).max())
        bounds.append(1 + np.log(eps) / np.log(_root_of_powers(C, rho, eps)))
    return np.array(bounds)


def _root_of_powers(C: Array, rho: float, eps: float) -> float:
    """norm(C^k)^(1/k) at the last power of two where the norm is above eps; rho where it never is."""
    power, root = C, rho
    for doublings in range(MOST_DOUBLINGS):
        norm = float(np.linalg.norm(power, 2))
        if norm <= eps:
            break
        root = max(rho, norm ** (0.5**doublings))
        power = power @ power
    return min(root, 1 - 1e-15)


def surrogate_ssor(A: Any, omegas: npt.ArrayLike, eps: float = 1e-8) -> Array:
    """Upper bounds of the iterations of SSOR-CG to reduce the residual by eps.

    By Axelsson's bound the preconditioned matrix has the condition number 1 / c at most, with
    ``c = (2 - omega) / (1 + (2 - omega)^2 alpha / (4 omega) + beta omega)``, alpha the largest eigenvalue of ``D A^-1``
    and beta that of ``(L D^-1 L' - D / 4) A^-1``. CG on a matrix of condition number kappa takes at most
    ``1 + ln(sqrt(k) / eps + sqrt(k / eps^2 - 1)) / -ln(1 - 2 / (1 + sqrt(kappa)))``, k = cond(A).

    Parameters
    ----------
    A, omegas, eps
        As for `surrogate_sor`.

    Returns
    -------
    ndarray, shape (k,)

    Raises
    ------
    ValueError
        As `surrogate_sor`.

    Notes
    -----
    Dense: some n^3 operations in all.

    References
    ----------
    Axelsson (1994), Iterative solution methods, section 7; Khodak et al. (2024), arXiv 2310.02246.

    Examples
    --------
    >>> import numpy as np, scipy.sparse, solvers
    >>> A = scipy.sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(40, 40))
    >>> bound = solvers.linalg.surrogate_ssor(A, [1.5])[0]
    >>> bool(solvers.linalg.solve(A, np.ones(40), method="ssor-cg", options={"omega": 1.5}).nit <= bound)
    True
    """
    dense, omega = _checked(A, omegas, eps)
    D, L = np.diag(np.diag(dense)), np.tril(dense, -1)
    alpha = _largest(D, dense)
    beta = _largest(L @ np.diag(1 / np.diag(dense)) @ L.T - D / 4, dense)
    condition = np.maximum(1, (1 + (2 - omega) ** 2 * alpha / (4 * omega) + beta * omega) / (2 - omega))
    k = np.linalg.cond(dense)
    start = np.log(np.sqrt(k) / eps + np.sqrt(k / eps**2 - 1))
    return np.asarray(1 + start / -np.log(np.maximum(1 - 2 / (1 + np.sqrt(condition)), 1e-300)))


def _largest(B: Array, A: Array) -> float:
    """The largest eigenvalue of B A^-1, B symmetric."""
    return float(scipy.linalg.eigh(B, A, eigvals_only=True)[-1])


def _checked(A: Any, omegas: npt.ArrayLike, eps: float) -> tuple[Array, Array]:
    matrix = prepared(A)
    why = objection(matrix)
    if why:
        raise ValueError(why)
    omega = np.asarray(omegas, dtype=np.float64)
    if omega.ndim != 1 or not ((omega > 0) & (omega < 2)).all():
        raise ValueError("omegas must be an array of numbers between 0 and 2")
    if not 0 < eps < 1:
        raise ValueError(f"eps must lie between 0 and 1, not {eps!r}")
    dense = np.array([-matrix.residual(np.zeros(matrix.size), column) for column in np.eye(matrix.size)]).T
    if not np.linalg.eigvalsh(dense)[0] > 0:
        raise ValueError("A is not positive definite")
    return dense, omega
