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


def smooth_start(size: int) -> Array:
    """Nearly constant, like the eigenvectors that matter for discretised differential operators, and a little noise."""
    return 1 + 0.1 * np.random.default_rng(0).standard_normal(size)


def range_start(operand: _kernels.Operand, residual: Array) -> Array:
    """D^-1 times the residual of a consistent system and a little noise in A's range.

    No part of it is in the null space of a singular A, so that zero is not taken for an eigenvalue that matters.
    """
    noise = operand.pack(np.random.default_rng(0).standard_normal(len(residual)) * np.linalg.norm(residual))
    product = np.zeros(operand.size)
    operand.multiply(noise / operand.diagonal, product)
    norm = float(np.linalg.norm(product)) or 1.0
    product *= 0.1 * float(np.linalg.norm(residual)) / norm
    return operand.unpack((operand.pack(residual) + product) / operand.diagonal)


def spectrum(operand: _kernels.Operand, start: Array, steps: int = 20) -> Spectrum:
    """The extreme Ritz values of D^-1/2 A D^-1/2 from D^1/2 times the start; A symmetric with a positive diagonal."""
    scale, size = 1 / np.sqrt(operand.diagonal), len(start)
    v = operand.pack(start) / scale
    basis, along, between = [v / np.linalg.norm(v)], [], []
    for _ in range(min(steps, size)):
        w = np.zeros(operand.size)
        operand.multiply(scale * basis[-1], w)
        w *= scale
        along.append(float(w @ basis[-1]))
        if not np.isfinite(along[-1]):
            break
        known = np.array(basis)
        for _ in range(2):  # orthogonal to rounding
            w -= known.T @ (known @ w)
        between.append(float(np.linalg.norm(w)))
        if between[-1] <= 1e-12 * abs(along[0]):
            break
        basis.append(w / between[-1])
    if not np.isfinite(along + between).all():
        return Spectrum(np.nan, np.nan, np.nan, np.nan, len(along))
    values, vectors = scipy.linalg.eigh_tridiagonal(along, between[: len(along) - 1])
    errors = between[len(along) - 1] * np.abs(vectors[-1])
    return Spectrum(float(values[0]), float(values[-1]), float(errors[0]), float(errors[-1]), len(along))


def young(mu: float) -> float:
    """The omega that is best for SOR where the Jacobi iteration has the spectral radius mu (Young, 1954)."""
    mu = min(max(mu, 0.0), 1 - 1e-12)
    return float(2 / (1 + np.sqrt(1 - mu * mu)))
