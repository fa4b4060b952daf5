"""When an anchored iteration starts anew, and the weight between its primal and its dual steps.

Halpern's iteration is pulled towards its anchor; on problems that are sharp (games, linear programs) it converges
linearly when the anchor moves to the current point each time the residual has fallen enough. The rules follow Lu and
Yang (2024, arXiv 2407.16144) and the controller of the weight Lu et al. (2025, arXiv 2507.14051); they are compiled.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ._kernels import restart_fallen as fallen
from ._kernels import restart_wanted as wanted
from ._kernels import restart_weight

__all__ = ["Weight", "fallen", "wanted"]


@dataclass(frozen=True)
class Weight:
    """The primal weight w, tau = eta / w and sigma = eta w, within low..high: a controller in log w.

    Where the iteration has moved much in y and little in x since its anchor, w grows. Without bounds it may run away on
    degenerate problems, whose iterates then stop moving on one side.
    """

    value: float
    low: float
    high: float
    summed: float = 0.0
    #: The w whose relative residuals were nearest to one another so far, and how near: |log ratio|.
    best: float = math.nan
    distance: float = math.inf

    def after(self, move_x: float, move_y: float, balance: float = 1.0) -> Weight:
        """The weight for the next anchor.

        Parameters
        ----------
        move_x, move_y : float
            Norms of what x and y have moved from the anchor.
        balance : float
            Relative primal residual over relative dual residual, where there are such: 1 tells nothing.
        """
        value, summed, best, distance = restart_weight(
            self.value, self.low, self.high, self.summed, self.best, self.distance, move_x, move_y, balance
        )
        return Weight(value, self.low, self.high, summed, best, distance)
