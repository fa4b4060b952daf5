"""Tsallis-INF, for costs about which nothing is assumed: in the paper's two forms and in one of ours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._base.options import option
from ._learner import Arms, Core, Learner, no_tables, register

#: As `_ext/linalg/tuner_tsallis.h` numbers them.
PLAIN, HALF, DOUBLY_ROBUST, SHIFTED = range(4)


def tsallis_settings(form: int, discount: float = 1.0, window: int = 0, change: float = 0.0) -> list[float]:
    """In the order in which the C code reads them."""
    return [float(form), discount, float(window), change]


@dataclass(frozen=True)
class Tsallis:
    """Losses over probabilities."""

    def core(self, arms: Arms) -> Core:
        return Core("tsallis", np.array(tsallis_settings(PLAIN)), no_tables())


@dataclass(frozen=True)
class Shifted:
    """Arms that are played often gain a part of a mean loss, from which their losses then count."""

    paper: bool = option(False, "the follow-up's numbers: half a mean loss, for arms with t p >= 16")

    def core(self, arms: Arms) -> Core:
        return Core("tsallis", np.array(tsallis_settings(HALF if self.paper else SHIFTED)), no_tables())


@dataclass(frozen=True)
class DoublyRobust:
    """Every arm gains the mean of its own losses, and only what differs from it is divided by a probability."""

    discount: float = option(0.998, "with drift 'discount' or 'auto': what a step leaves of what is known", low=0.5,
                             high=1.0)  # fmt: skip
    window: int = option(1000, "with drift 'window': steps that count", low=10, high=1_000_000, unit="steps")
    change: float = option(25.0, "with drift 'reset': how sure a change must be", low=1.0, unit="standard deviations")

    def core(self, arms: Arms) -> Core:
        still, fading = (tsallis_settings(DOUBLY_ROBUST, discount) for discount in (1.0, self.discount))
        settings = {
            None: still,
            "discount": fading,
            "window": tsallis_settings(DOUBLY_ROBUST, window=self.window),
            "reset": tsallis_settings(DOUBLY_ROBUST, change=self.change),
            "auto": [*still, *fading, self.discount],
        }[arms.drift]
        return Core("experts" if arms.drift == "auto" else "tsallis", np.array(settings), no_tables())


PAPER = register(
    Learner(
        name="tsallis",
        summary="Tsallis-INF with plain importance weights",
        reference="Khodak et al. (2024), Learning to Relax, arXiv 2310.02246; "
        "Zimmert and Seldin (2021), arXiv 1807.07623",
        settings=Tsallis,
    )
)

REDUCED = register(
    Learner(
        name="tsallis-rv",
        summary="Tsallis-INF with the reduced-variance weights of the follow-up, its two numbers chosen anew",
        reference="PCGBandit (2025), arXiv 2509.08765; Zimmert and Seldin (2021), arXiv 1807.07623",
        settings=Shifted,
    )
)

LEARNER = register(
    Learner(
        name="tsallis-dr",
        summary="Tsallis-INF with doubly robust estimates: the default without a context",
        reference="after Khodak et al. (2024), arXiv 2310.02246, with control variates and "
        "Neu (2015), arXiv 1506.03271",
        settings=DoublyRobust,
        drifts=frozenset({"auto", "discount", "window", "reset"}),
    )
)
