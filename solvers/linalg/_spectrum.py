"""Estimates of the eigenvalues of D^-1 A from a few steps of Lanczos' iteration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg

from . import _kernels

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Spectrum:
    """Extreme eigenvalues of D^-1/2 A D^-1/2 as seen by Lanczos' iteration, and how far these may be off."""

    low: float
    high: float
    #: Norms of the residuals of both Ritz pairs: an eigenvalue lies within.
    low_error: float
    high_error: float
    #: Products with A that it took.
    products: int


def spectrum(operand: _kernels.Operand, size: int, steps: int = 20) -> Spectrum:
    """The extreme Ritz values of D^-1/2 A D^-1/2; A symmetric with a positive diagonal, `size` unknowns of the user's.

    The start is nearly the smooth vector D^1/2 1, close to the eigenvectors that matter for discretised differential
    operators; a little noise reaches the others.
    """
    scale = 1 / np.sqrt(operand.diagonal)
    noise = 1 + 0.1 * np.random.default_rng(0).standard_normal(size)
    v = operand.pack(noise) / scale
    basis, along, between = [v / np.linalg.norm(v)], [], []
    for _ in range(min(steps, size)):
        w = np.empty(operand.size)
        operand.multiply(scale * basis[-1], w)
        w *= scale
        along.append(float(w @ basis[-1]))
        known = np.array(basis)
        for _ in range(2):  # orthogonal to rounding
            w -= known.T @ (known @ w)
        between.append(float(np.linalg.norm(w)))
        if between[-1] <= 1e-12 * abs(along[0]):
            break
        basis.append(w / between[-1])
    values, vectors = scipy.linalg.eigh_tridiagonal(along, between[: len(along) - 1])
    errors = between[len(along) - 1] * np.abs(vectors[-1])
    return Spectrum(float(values[0]), float(values[-1]), float(errors[0]), float(errors[-1]), len(along))


def young(mu: float) -> float:
    """The omega that is best for SOR where the Jacobi iteration has the spectral radius mu (Young, 1954)."""
    mu = min(max(mu, 0.0), 1 - 1e-12)
    return float(2 / (1 + np.sqrt(1 - mu * mu)))
