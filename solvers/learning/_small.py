"""Plain fits of small data in one call of the kernels.

Such a fit takes some microseconds; to check its arguments, and to make records of the problem and the method, takes
several times as long. Here are the arguments that come most often: an array or CSC matrix in double precision, one
strength for all columns, nobody who looks at the steps. What is not plainly so, or not plainly right, is not taken, and
goes the way of all fits, which says what is wrong; that way the answer has the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.iterate import verified
from .._base.result import Status
from .._base.threads import build_info, resolve
from . import _kernels
from ._coordinate_descent import METHOD, DescentState, counts_of, state_of
from ._design import is_slim, is_small, may_be_flat
from ._losses import LOSSES
from ._penalty import SHARES
from ._problem import GlmResult

Array = npt.NDArray[Any]

#: The options of the method, none of which was given.
OPTIONS = {option.name: option.default for option in METHOD.options}


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class SmallResult(GlmResult):
    """The same; what few look at, and takes as long as a small fit, is made when it is asked for."""

    @cached_property  # type: ignore[misc]
    def support(self) -> Array:
        """Features with a coefficient that is not zero."""
        return self.state.w[: len(self.coef)].nonzero()[0]

    @cached_property  # type: ignore[misc]
    def state(self) -> DescentState:
        """Where the fit ended."""
        arrays, numbers, _, _ = _kernels.plain_state(self.__dict__["_rest"])
        return state_of(arrays, numbers)

    @cached_property  # type: ignore[misc]
    def history(self) -> dict[str, Array]:
        """Measures and seconds, step by step."""
        rows = [*_kernels.plain_state(self.__dict__["_rest"])[3], (self.state.measure, self.__dict__["_seconds"])]
        measures, seconds = np.array(rows).T.copy()
        return {"nit": np.arange(len(rows)), "measure": measures, "seconds": seconds}

    @cached_property  # type: ignore[misc]
    def stats(self) -> dict[str, Any]:
        """What was done."""
        counts = counts_of(self.state, *_kernels.plain_state(self.__dict__["_rest"])[2])
        threads, seconds = self.__dict__["_threads"], self.__dict__["_seconds"]
        return {"copies": 0, "threads": threads, **counts, "isa": build_info()["isa"], "seconds": seconds}

    @cached_property  # type: ignore[misc]
    def options(self) -> dict[str, Any]:
        """Those of the method."""
        return OPTIONS.copy()


@cache
def _ended(number: int) -> Status:
    """The status of the kernels' number; those that would go on have come to the last step allowed."""
    return Status.MAX_ITER if number < 0 else Status(number)  # type: ignore[call-arg]


@cache
def _message(status: Status, why: str) -> str:
    return f"{status.sentence} Chose {METHOD.name}, {why}."


def _status(ended: int, measure: float, tol: float) -> Status:
    """Where the measure does not meet the tolerance."""
    return verified(_ended(ended), measure, tol)


#: A fit by positional arguments of `glm`: X, y, loss, penalty, lam, l1_ratio, bounds, fit_intercept, tol, max_iter,
#: threads, and what the message says of the method. The result; None where the arguments need a closer look.
fitted = _kernels.PlainFits(
    losses={name: (loss.kind, loss.attained, loss.quadratic) for name, loss in LOSSES.items()}, shares=SHARES,
    small=is_small, slim=is_slim, flat=may_be_flat, threads=resolve, result=SmallResult, name=METHOD.name,
    converged=Status.CONVERGED, status=_status, message=_message,
).fit  # fmt: skip
