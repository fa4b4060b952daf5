"""What a row of the demo hands to the table and the report."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

#: An answer counts as less accurate than the peer's from this factor on.
LESS_ACCURATE = 1.05


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture of the report; it is written as `<row>-<name>.png` too."""

    name: str
    caption: str
    png: bytes
    #: Whether it takes the whole width of the page.
    wide: bool = False


@dataclass(frozen=True, eq=False)
class Curve:
    """One line of a row's convergence plot: an error after each of some seconds."""

    label: str
    seconds: Array
    errors: Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Row:
    """One problem, solved by this library and by a peer."""

    #: One word in small letters, for names of files.
    name: str
    title: str
    #: The title in a few words, for the table.
    problem: str
    size: str
    #: Ours: the call and its method.
    method: str
    seconds: float
    #: Package, version and method.
    peer: str
    peer_seconds: float
    #: What the two accuracies are; smaller is better, and neither solver's own number.
    accuracy_label: str
    accuracy: float
    peer_accuracy: float
    #: "ok", or what is wrong.
    status: str
    #: What the problem is and how it was timed, paragraph by paragraph.
    text: tuple[str, ...]
    pictures: tuple[Picture, ...] = ()
    curves: tuple[Curve, ...] = ()
    #: What the curves show, for the axis, and how they came about.
    curves_label: str = "error"
    curves_caption: str = ""

    @property
    def ratio(self) -> float:
        """The peer's time over ours: above 1 we are faster."""
        return self.peer_seconds / self.seconds

    @property
    def as_accurate(self) -> bool:
        """Whether our answer is at least about as accurate as the peer's. NaN is not."""
        return self.accuracy <= LESS_ACCURATE * self.peer_accuracy

    @property
    def won(self) -> bool:
        """A faster answer that is less accurate, or wrong, is no win."""
        return self.ratio > 1 and self.as_accurate and self.status == "ok"

    @property
    def verdict(self) -> str:
        """The ratio in words, with its sign."""
        speed = f"{self.ratio:.1f}x faster" if self.ratio > 1 else f"{1 / self.ratio:.1f}x slower"
        return speed if self.as_accurate else f"{speed}, less accurate"
