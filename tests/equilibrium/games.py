"""Matrix games by name: those of the literature, random ones, and some whose value has a closed form. NumPy alone.

In all of them the column player, who plays x, pays y'A x to the row player.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def _places(m: int, n: int) -> tuple[Array, Array]:
    """Row and column numbers, from 1."""
    return np.arange(1.0, m + 1)[:, None], np.arange(1.0, n + 1)


def policeman(n: int, seed: int = 1, theta: float = 0.8, scaled: str = "rows") -> Array:
    """The policeman and the burglar of Nemirovski: houses of worth w_i = |N(0, 1)|, ``w_i (1 - exp(-theta |i - j|))``.

    With ``scaled="rows"`` the burglar, who maximises, chooses the house i, and the policeman at j is far or near. With
    "columns" w_j stands in place of w_i: a degenerate game whose value is nearly the least w.
    """
    w = np.abs(np.random.RandomState(seed).randn(n))
    i, j = _places(n, n)
    near = 1 - np.exp(-theta * np.abs(i - j))
    return np.asarray(w[:, None] * near if scaled == "rows" else near * w)


def nemirovski1(n: int, alpha: float = 1.0) -> Array:
    """``((i + j - 1) / (2 n - 1))^alpha``: a saddle point in pure strategies, of value ``(n / (2 n - 1))^alpha``."""
    i, j = _places(n, n)
    return np.asarray(((i + j - 1) / (2 * n - 1)) ** alpha)


def nemirovski2(n: int, alpha: float = 1.0) -> Array:
    """``((|i - j| + 1) / (2 n - 1))^alpha``; for alpha = 1 the value is ``(n + 1) / (2 (2 n - 1))``."""
    i, j = _places(n, n)
    return np.asarray(((np.abs(i - j) + 1) / (2 * n - 1)) ** alpha)


def hilbert(n: int) -> Array:
    """``1 / (i + j - 1)``, of value 1 / n."""
    i, j = _places(n, n)
    return np.asarray(1 / (i + j - 1))


def random_game(kind: str, m: int, n: int, seed: int = 0) -> Array:
    """Entries "uniform" in [-1, 1], "gaussian", or "bernoulli": 1 with probability 0.2, else 0."""
    rng = np.random.default_rng(seed)
    draws: dict[str, Callable[[], Array]] = {
        "uniform": lambda: rng.random((m, n)) * 2 - 1,
        "gaussian": lambda: rng.standard_normal((m, n)),
        "bernoulli": lambda: (rng.random((m, n)) < 0.2).astype(np.float64),
    }
    if kind not in draws:
        raise ValueError(f"kind must be one of {', '.join(draws)}, not {kind!r}")
    return draws[kind]()
