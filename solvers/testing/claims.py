"""How a checker refuses a claim."""

from __future__ import annotations


def holds(claim: object, words: str) -> None:
    """AssertionError with these words where a claim is false; ``python -O`` drops assert statements, not this."""
    if not claim:
        raise AssertionError(words)
