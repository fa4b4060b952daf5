"""Anderson's extrapolation (1965) of a fixed-point map from its last steps.

A step goes from a place x to the map's answer G(x); its move is G(x) - x. The steps lie in a ring of rows, the newest
first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

#: Directions in which the last steps hardly differ count as none.
SMALLEST_SINGULAR_VALUE = 1e-10


def remembered(answers: Array, moves: Array, answer: Array, move: Array) -> tuple[Array, Array]:
    """Both rings with one more step in place of the oldest."""
    answers, moves = (np.roll(known, 1, axis=0) for known in (answers, moves))
    answers[0], moves[0] = answer, move
    return answers, moves


def extrapolated(answers: Array, moves: Array, weights: Array) -> Array:
    """The combination of the answers, with coefficients of sum 1, whose combined move is smallest.

    In the norm sum(weights * move^2); answers and moves have shape (steps, m).
    """
    newest: Array = answers[0]
    if len(moves) < 2:
        return newest
    turns = np.diff(moves, axis=0)
    scale = np.sqrt(weights)
    coefficients = np.linalg.lstsq((turns * scale).T, -moves[0] * scale, rcond=SMALLEST_SINGULAR_VALUE)[0]
    combined: Array = newest + coefficients @ np.diff(answers, axis=0)
    return combined
