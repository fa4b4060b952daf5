"""Random numbers: no global state, one argument `rng` everywhere."""

from __future__ import annotations

import numpy as np

RNG = None | int | np.random.Generator | np.random.SeedSequence


def check_rng(rng: RNG) -> None:
    """TypeError or ValueError for what `as_generator` does not take."""
    if isinstance(rng, int | np.integer) and rng < 0:
        raise ValueError(f"rng must not be negative, not {rng}")
    if rng is None or type(rng) is int:
        return
    if isinstance(rng, np.random.RandomState):
        raise TypeError("rng: RandomState is not taken; pass numpy.random.default_rng(seed)")
    if isinstance(rng, bool) or not isinstance(rng, int | np.integer | np.random.Generator | np.random.SeedSequence):
        raise TypeError(f"rng must be None, an integer, a Generator or a SeedSequence, not {type(rng).__name__}")


def as_generator(rng: RNG) -> np.random.Generator:
    """A Generator from None (fresh entropy), an integer seed, a SeedSequence, or a Generator (returned as it is)."""
    check_rng(rng)
    return np.random.default_rng(rng)


def seed_of(rng: RNG) -> int:
    """The seed of all draws of a solve whose loop is compiled."""
    return int(as_generator(rng).integers(2**63))
