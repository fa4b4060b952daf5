"""Plain fits of small data in one call of the kernels.

Such a fit takes some microseconds; to check its arguments, and to make records of the problem and the method, takes
several times as long. Here are the arguments that come most often: an array or CSC matrix in double precision, one
strength for all columns, nobody who looks at the steps. What is not plainly so, or not plainly right, is not taken, and
goes the way of all fits, which says what is wrong; that way the answer has the same bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, cached_property
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse
from numpy import ndarray

from .._base.iterate import verified
from .._base.result import Status
from .._base.threads import build_info, resolve
from .._base.validate import FLOAT64
from . import _kernels
from ._coordinate_descent import METHOD, DescentState, counts_of, state_of
from ._design import is_slim, is_small, may_be_flat
from ._losses import LOSSES
from ._penalty import SHARES
from ._problem import GlmResult

Array = npt.NDArray[Any]

#: The options of the method, none of which was given.
OPTIONS = {option.name: option.default for option in METHOD.options}

#: As names of this module: to look them up elsewhere takes longer.
NAME, CONVERGED = METHOD.name, Status.CONVERGED


def fitted(
    X: Any, y: Any, loss: str, penalty: str, lam: Any, l1_ratio: Any, bounds: Any, ones: Any, tol: Any, max_iter: Any,
    threads: int | None, why: str,
) -> GlmResult | None:  # fmt: skip
    """The result; None where the arguments need a closer look. `why`: what the message says of the method."""
    start = perf_counter()
    dense = type(X) is ndarray
    if not (dense or (scipy.sparse.issparse(X) and X.format == "csc")):
        return None
    terms = _kernels.plain_terms(SHARES, penalty, lam, l1_ratio, bounds, ones, tol, max_iter)
    model = LOSSES.get(loss) if type(loss) is str else None
    if terms is None or model is None:
        return None
    shape = X.shape
    if not (X.dtype is FLOAT64 and len(shape) == 2 and type(y) is ndarray):
        return None
    n, d = shape
    if not (n > 0 < d and y.dtype.kind in "if" and y.shape == (n,)):
        return None
    flat = False
    if not is_small(X.size, d + ones):
        flat = not dense and model.quadratic and may_be_flat(X.size, d)
        if not (_selects(*terms) and (flat or (dense and is_slim(shape, _is_coercive(*terms))))):
            return None
    if not (model.attained or _is_coercive(*terms)):  # it takes more to tell whether there is a minimum
        return None
    count = threads if type(threads) is int and threads > 0 else resolve(threads)
    targets = y if y.dtype is FLOAT64 and y.flags.c_contiguous else np.ascontiguousarray(y, np.float64)
    columns = (
        X
        if dense
        else _kernels.Compressed(
            X.indptr.astype(np.int32, copy=False), X.indices.astype(np.int32, copy=False), X.data, n
        )
    )
    fit = _kernels.plain_fit(columns, targets, model.kind, terms, ones, tol, max_iter, count, start, flat)
    return None if fit is None else _result(fit, tol, start, count, why)


def _selects(l1: float, l2: float, low: float, high: float) -> bool:
    """Whether coefficients are held at zero."""
    return l1 > 0 or low == 0 or high == 0


def _is_coercive(l1: float, l2: float, low: float, high: float) -> bool:
    """Whether no coefficient can grow at no cost."""
    return l1 > 0 or l2 > 0 or (math.isfinite(low) and math.isfinite(high))


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


def _result(fit: tuple[Any, ...], tol: float, start: float, threads: int, why: str) -> GlmResult:
    """The fit, and what is told of it."""
    coef, intercept, primal, dual, kkt, measure, nit, ended, rest = fit
    status = CONVERGED if measure <= tol else verified(_ended(ended), measure, tol)
    result = object.__new__(SmallResult)
    told = {
        "x": coef, "coef": coef, "intercept": intercept, "fun": primal, "gap": max(primal - dual, 0.0), "kkt": kkt,
        "measure": measure, "success": status is CONVERGED, "status": status, "message": _message(status, why),
        "nit": nit, "method": NAME, "_rest": rest, "_threads": threads, "_seconds": perf_counter() - start,
    }  # fmt: skip
    object.__setattr__(result, "__dict__", told)
    return result


@cache
def _ended(number: int) -> Status:
    """The status of the kernels' number; those that would go on have come to the last step allowed."""
    return Status.MAX_ITER if number < 0 else Status(number)  # type: ignore[call-arg]


@cache
def _message(status: Status, why: str) -> str:
    return f"{status.sentence} Chose {METHOD.name}, {why}."
