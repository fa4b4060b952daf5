"""ChebCB: a Chebyshev regression of each arm's cost over the context."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .._base.options import option
from ._learner import Arms, Core, Learner, no_tables, register


@dataclass(frozen=True)
class ChebCB:
    """Arms by the inverse of their predicted gaps."""

    terms: int = option(6, "polynomials of the regression: degrees 0 to terms - 1", low=2, high=12)
    paper: bool = option(False, "the greed of the published program, which counts the last fit's residual alone")

    def core(self, arms: Arms) -> Core:
        assert arms.context is not None
        return Core("chebcb", np.array([*arms.context, float(self.terms), float(self.paper)]), no_tables())


LEARNER = register(
    Learner(
        name="chebcb",
        summary="a Chebyshev regression of each arm's cost over the context, arms drawn by their predicted gaps",
        reference="Khodak et al. (2024), Learning to Relax, arXiv 2310.02246; "
        "Foster and Rakhlin (2020), arXiv 2002.04926",
        settings=ChebCB,
        contextual=True,
    )
)
