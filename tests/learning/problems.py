"""Problems of the block descent tests, by seed."""

import numpy as np


def quadratic(seed, d=30, n=60):
    """A dense positive definite Q, and c."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((n, d)) * np.exp(rng.standard_normal(d))
    return A.T @ A, A.T @ rng.standard_normal(n) * 3
