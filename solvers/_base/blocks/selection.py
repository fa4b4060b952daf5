"""Which block comes next: in an order drawn for each epoch, or the one that promises most.

The greedy rules compare what a block could gain at most: max over s of -(g's + 1/2 s'Hs + P(x + s) - P(x)), with H the
largest constant of all (gs), the block's or coordinate's own (gsl), a diagonal bound (gsd) or the bound's whole matrix
(gsq). Without a penalty that is the published rule; with one, |g| alone would pick coordinates that cannot move.
Ties go to the lowest index.

Nutini, Laradji, Schmidt (2022), Let's make block coordinate descent converge faster, JMLR 23(131).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from .curvature import Curvature, factored
from .penalty import Penalty, Separable
from .update import minimise_block

Array = npt.NDArray[Any]

DRAWN = ("cyclic", "perm", "random", "lipschitz")
GREEDY = ("gs", "gsl", "gsd", "gsq", "mi")

#: Most blocks that mi tries in a step.
EXHAUSTIVE = 5000
HARD_THRESHOLDS = 10


def drawn(rule: str, count: int, epoch: int, seed: int, constants: Callable[[], Array]) -> Array:
    """The blocks (or coordinates) of one epoch; they depend on the seed and the epoch alone."""
    if rule == "cyclic":
        return np.arange(count)
    rng = np.random.default_rng((seed, epoch))
    if rule == "perm":
        return rng.permutation(count)
    if rule == "random":
        return rng.integers(count, size=count)
    weights = constants()
    return rng.choice(count, size=count, p=weights / weights.sum())


def largest(scores: Array, count: int) -> Array:
    """The indices of the so many largest, ascending; O(n), by introselect."""
    if count >= len(scores):
        return np.arange(len(scores))
    least = np.partition(scores, len(scores) - count)[len(scores) - count]
    above = np.flatnonzero(scores > least)
    equal = np.flatnonzero(scores == least)[: count - len(above)]
    return np.sort(np.concatenate([above, equal]))


def coordinate_scores(rule: str, size: int, penalty: Penalty, curvature: Curvature, x: Array, g: Array) -> Array:
    """What each coordinate could gain, for variable blocks of `size`."""
    if rule == "gs" and penalty.none:  # no constant matters
        return np.asarray(g * g)
    L = curvature.coordinates
    if rule == "gs":
        L = np.full_like(L, L.max())
    elif rule != "gsl":
        L = curvature.diagonal(size)
    return progress(penalty, x, g, L)


def progress(penalty: Penalty, x: Array, g: Array, L: Array) -> Array:
    """The coordinates' gains; where there is no penalty, without its rounding."""
    return g * g / (2 * L) if penalty.none else penalty.progress(x, g, L)


def block_scores(rule: str, penalty: Penalty, curvature: Curvature, x: Array, g: Array) -> Array:
    """What each fixed block could gain."""
    blocks = curvature.blocks
    assert blocks is not None
    if rule == "gsq":
        return _quadratic_scores(penalty, curvature, x, g)
    of_block = curvature._once("of_block", lambda: _numbers(blocks, len(x)))
    if rule == "gs" and penalty.none:
        return np.bincount(of_block, g * g, minlength=len(blocks))
    if rule == "gsd":
        L = curvature._once("gsd", lambda: _at_blocks([curvature.diagonal(len(b))[b] for b in blocks], blocks, len(x)))
    else:
        constants = curvature.block_constants
        L = np.full(len(x), constants.max()) if rule == "gs" else constants[of_block]
    return np.bincount(of_block, progress(penalty, x, g, L), minlength=len(blocks))


def _numbers(blocks: list[Array], count: int) -> Array:
    of_block = np.empty(count, np.intp)
    for k, block in enumerate(blocks):
        of_block[block] = k
    return of_block


def _at_blocks(values: list[Array], blocks: list[Array], count: int) -> Array:
    out = np.empty(count)
    for value, block in zip(values, blocks, strict=True):
        out[block] = value
    return out


def _quadratic_scores(penalty: Penalty, curvature: Curvature, x: Array, g: Array) -> Array:
    """g'H^-1 g / 2 of each block, or the best of its model with the penalty."""
    assert curvature.blocks is not None
    scores = np.empty(len(curvature.blocks))
    if penalty.none:
        for numbers, coordinates, inverses in curvature.inverses():
            at = g[coordinates]
            scores[numbers] = np.einsum("mi,mij,mj->m", at, inverses, at) / 2
        return scores
    assert isinstance(penalty, Separable)
    for k, b in enumerate(curvature.blocks):
        H = curvature.matrix(b, k)
        s = minimise_block(H, g[b], x[b], penalty, b)
        scores[k] = -penalty.model(x[b], g[b], H @ s / 2, s, b).sum()
    return scores


def thresholded(size: int, curvature: Curvature, g: Array) -> Array:
    """The block of `size` of the best model value, by hard thresholding from the exact step on the gsd pick."""
    smooth, L = curvature.smooth, curvature.whole
    if size >= len(g):
        return np.arange(len(g))
    support = largest(g * g / curvature.diagonal(size), size)
    s = np.zeros(len(g))
    s[support] = -factored(smooth.bound(support)).solve(g[support])
    for _ in range(HARD_THRESHOLDS):
        moved = s - (g + smooth.product(support, s[support])) / L
        support = largest(np.abs(moved), size)
        following = np.zeros(len(g))
        following[support] = moved[support]
        change = float(np.abs(following - s).max())
        s = following
        if change < 1e-10:
            break
    return support


def all_blocks(blocks: list[Array] | None, count: int, size: int) -> list[Array]:
    """The blocks that mi tries."""
    if blocks is not None:
        return blocks
    if math.comb(count, size) > EXHAUSTIVE:
        raise ValueError(f"selection 'mi' with variable blocks tries all of them: more than {EXHAUSTIVE}")
    return [np.array(chosen) for chosen in itertools.combinations(range(count), size)]
