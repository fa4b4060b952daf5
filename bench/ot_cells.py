"""The cells that solvers of entropic transport are compared on: a problem, the strength of the entropy, an accuracy.

All costs are at most 1, so that reg is in units of the largest cost.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial

import numpy as np

from .problems import Transport, assignment, cloud, colour_cloud, digits, random_fields

#: The accuracy of a cell where it names no other: l1 error of both marginals.
LEVEL = 1e-9


@dataclass(frozen=True)
class Cell:
    """One problem to solve; `make` builds its data anew at every call."""

    group: str
    #: The problem's name in short, without spaces.
    problem: str
    make: Callable[[], Transport]
    #: 1 / reg.
    sharpness: int
    level: float = LEVEL

    @property
    def reg(self) -> float:
        return 1.0 / self.sharpness

    @property
    def name(self) -> str:
        level = "" if self.level == LEVEL else f"@{self.level:g}"
        return f"{self.group}:{self.problem}/{self.sharpness}{level}"


def cells() -> list[Cell]:
    """All of B1 (random assignment), B2 (images) and B3 (point clouds, as dense matrices)."""
    return [*_random(), *_images(), *_clouds()]


def quick() -> list[Cell]:
    """A tiny cell of each kind, for trying the code."""
    return [
        Cell("B1", "random-n60-s0", partial(assignment, 60, 0), 20),
        Cell("B2", "digits-3,7-l2-10", partial(digits, "l2", (3, 7), 10), 100),
        Cell("B3", "cloud-n60-d3", partial(cloud, 60, 3), 20, 1e-6),
    ]


def chosen(patterns: Sequence[str]) -> list[Cell]:
    """The cells whose names fit one of the patterns; "all" and "quick" are what they say.

    A pattern with an asterisk must fit the whole name (`B1*/1200`), one without must be among its parts (`n500`,
    `digits-3,7`, `/1200`).
    """
    found = [cell for cell in cells() if any(_fits(cell.name, pattern) for pattern in patterns)]
    if "quick" in patterns:
        found += quick()
    if not found:
        raise ValueError(f"no cell fits {patterns}; there are {', '.join(cell.name for cell in cells())}")
    return found


def colours(n: int = 3000) -> list[Cell]:
    """B6: the colours of n pixels of one photograph to those of another; easy first."""
    return [Cell("B6", f"colour-n{n}", partial(colour_cloud, n), sharpness) for sharpness in (100, 1200)]


def path(points: int = 20) -> list[Cell]:
    """B5: one problem at strengths of the entropy from 1/10 to 1/10000."""
    sharpness = np.geomspace(10, 10_000, points).round().astype(int).tolist()
    return [Cell("B5", "random-n1000-s0", partial(assignment, 1000, 0), k) for k in sharpness]


def named(name: str) -> Cell:
    """The cell of that name."""
    return next(cell for cell in [*cells(), *quick(), *colours(), *colours(30), *path()] if cell.name == name)


def _fits(name: str, pattern: str) -> bool:
    if "*" in pattern:
        return fnmatchcase(name, pattern)
    return pattern == "all" or re.search(rf"(^|\b){re.escape(pattern)}(\b|$)", name) is not None


def _random() -> Iterator[Cell]:
    for n, seeds in ((500, (0, 1, 2)), (1000, (0, 3)), (2000, (0,)), (4000, (4,))):
        for seed in seeds:
            # the first seed of a size over the whole range, the others where Newton's methods are at home
            for sharpness in (20, 100, 1200, 10_000) if seed == 0 else (1200, 10_000):
                make = partial(assignment, n, seed)
                yield Cell("B1", f"random-n{n}-s{seed}", make, sharpness, 1e-9)
    for n, level in ((500, 1e-6), (500, 1e-13), (1000, 1e-6), (1000, 1e-13)):
        yield Cell("B1", f"random-n{n}-s0", partial(assignment, n, 0), 1200, level)


def _images() -> Iterator[Cell]:
    whole, upper = (20, 100, 1200, 10_000), (100, 1200)
    for metric, pair, side, range_ in (
        ("l2", (3, 7), 28, whole), ("l2", (0, 1), 28, (1200, 10_000)), ("l2", (10, 25), 28, upper),
        ("l2", (100, 200), 32, (1200,)), ("l2", (500, 900), 32, upper),
        ("l1", (3, 7), 28, whole), ("l1", (0, 1), 28, (1200,)), ("l1", (10, 25), 28, upper),
        ("l1", (100, 200), 32, (1200,)), ("l1", (500, 900), 32, upper),
    ):  # fmt: skip
        for sharpness in range_:
            make = partial(digits, metric, pair, side)
            yield Cell("B2", f"digits-{pair[0]},{pair[1]}-{metric}-{side}", make, sharpness)
    for metric, decay, range_ in (("l2", 1.5, upper), ("l2", 2.5, (100, 1200, 10_000)), ("l1", 1.5, upper)):
        for sharpness in range_:
            yield Cell("B2", f"field-{decay:g}-{metric}-64", partial(random_fields, metric, decay), sharpness)
    for metric in ("l2", "l1"):
        for level in (1e-6, 1e-13):
            make = partial(digits, metric, (3, 7), 28)
            yield Cell("B2", f"digits-3,7-{metric}-28", make, 1200, level)


def _clouds() -> Iterator[Cell]:
    for n, dim, range_ in (
        (1000, 2, (20, 100, 1200, 10_000)), (1000, 3, (20, 100, 1200, 10_000)), (1000, 10, (100, 1200, 10_000)),
        (5000, 2, (100, 1200)), (5000, 3, (20, 100, 1200)), (5000, 10, (100, 1200)),
    ):  # fmt: skip
        for sharpness in range_:
            yield Cell("B3", f"cloud-n{n}-d{dim}", partial(cloud, n, dim), sharpness)
    yield Cell("B3", "cloud-n1000-d3", partial(cloud, 1000, 3), 1200, 1e-6)
    yield Cell("B3", "cloud-n5000-d3", partial(cloud, 5000, 3), 100, 1e-6)
