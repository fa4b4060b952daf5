"""When an anchored iteration starts anew, and the weight between its primal and its dual steps.

Halpern's iteration is pulled towards its anchor; on problems that are sharp (games, linear programs) it converges
linearly when the anchor moves to the current point each time the residual has fallen enough. The rules follow Lu and
Yang (2024, arXiv 2407.16144) and the controller of the weight Lu et al. (2025, arXiv 2507.14051).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

#: The residual has fallen so far below that at the anchor: a restart at once; or so far, and it rises.
SUFFICIENT, NECESSARY = 0.2, 0.5
#: A restart in any case after this share of all iterations so far.
ARTIFICIAL = 0.36

#: Gains of the controller in log w, and what of the earlier errors' sum each restart keeps.
PROPORTIONAL, INTEGRAL, KEPT = 0.99, 0.01, 0.3
#: Moves below this, and ratios of the relative residuals outside of 1 / BALANCE..BALANCE, tell nothing.
LEAST_MOVE, BALANCE = 1e-16, 1e8


def wanted(residual: float, last: float, anchor: float, count: int, total: int) -> bool:
    """Whether to restart.

    Parameters
    ----------
    residual, last, anchor : float
        The fixed-point residual now, at the last look, and at the first step from the anchor.
    count, total : int
        Iterations since the anchor, and in all.
    """
    return count >= max(ARTIFICIAL * total, 1) or fallen(residual, last, anchor)


def fallen(
    residual: float, last: float, anchor: float, sufficient: float = SUFFICIENT, necessary: float = NECESSARY
) -> bool:
    """Whether the residual is below that share of the anchor's, or below the other one and rising."""
    return residual <= sufficient * anchor or (residual <= necessary * anchor and residual > last)


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
        known = balance > 0 and math.isfinite(balance)
        distance = abs(math.log(balance)) if known else math.inf
        best, nearest = (self.value, distance) if distance < self.distance else (self.best, self.distance)
        lost = min(move_x, move_y) < LEAST_MOVE or not 1 / BALANCE < balance < BALANCE
        if lost or not (math.isfinite(move_x) and math.isfinite(move_y)):
            value = best if math.isfinite(best) else self.value
            return Weight(value, self.low, self.high, 0.0, best, nearest)
        error = math.log(move_y / move_x) - math.log(self.value)
        summed = KEPT * self.summed + error
        value = self.value * math.exp(PROPORTIONAL * error + INTEGRAL * summed)
        return Weight(min(max(value, self.low), self.high), self.low, self.high, summed, best, nearest)
