"""A Tsallis-INF for each bin of the context."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._base.options import option
from ._learner import Arms, Core, Learner, no_tables, register
from ._tsallis import DOUBLY_ROBUST, HALF, tsallis_settings


@dataclass(frozen=True)
class Binned:
    """The context's range in equal bins, each on its own."""

    bins: int = option(6, "bins of the context", low=1, high=1000)
    paper: bool = option(False, "the reduced-variance weights of the follow-up in place of doubly robust ones")

    def core(self, arms: Arms) -> Core:
        assert arms.context is not None
        settings = [*tsallis_settings(HALF if self.paper else DOUBLY_ROBUST), *arms.context, float(self.bins)]
        return Core("binned", np.array(settings), no_tables())


LEARNER = register(
    Learner(
        name="binned",
        summary="a Tsallis-INF for each of a few equal bins of the context",
        reference="Khodak et al. (2024), Learning to Relax, arXiv 2310.02246",
        settings=Binned,
        contextual=True,
    )
)
