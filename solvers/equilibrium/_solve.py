"""The entries for inclusions: from the user's operator and sets to a checked problem to a method."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from .._base import threads as _threads
from .._base.iterate import Control
from .._base.iterate import run as run
from .._base.method import Method, lookup
from .._base.result import Status
from .._base.rng import RNG, as_generator
from .._base.state import replace
from .._base.validate import check_finite, positive, real_array
from ._finite_sum import FiniteSum
from ._operators import Operator
from ._problem import CRITERIA, Criterion, EquilibriumResult, Inclusion
from ._sets import as_prox

Array = npt.NDArray[Any]


def solve(
    F: Any,
    z0: Any,
    *,
    prox: Any = None,
    components: Any = None,
    L: float | None = None,
    monotone: bool = True,
    cocoercive: bool | None = None,
    criterion: Criterion = "natural",
    tol: float = 1e-6,
    method: str | None = None,
    options: Mapping[str, Any] | None = None,
    max_iter: int = 100_000,
    max_epochs: float | None = None,
    time_limit: float | None = None,
    callback: Callable[[Any], Any] | None = None,
    verbose: int = 0,
    resume: Any = None,
    rng: RNG = 0,
    threads: int | None = None,
) -> EquilibriumResult:
    point, sizes = start(z0)
    sums = None if components is None else FiniteSum(components, len(point))
    function = sums.whole if F is None and sums is not None else F
    problem = Inclusion(
        _operator(function, len(point)), as_prox(prox, sizes), point, positive(tol, "tol"),
        criterion=_criterion(criterion), L=None if L is None else positive(L, "L"), monotone=bool(monotone),
        cocoercive=None if cocoercive is None else bool(cocoercive), components=sums,
        max_epochs=math.inf if max_epochs is None else positive(max_epochs, "max_epochs"),
        seed=seed_of(rng), threads=_threads.resolve(threads), sizes=sizes,
    )  # fmt: skip
    control = Control(max_iter, time_limit, callback, verbose, resume)
    return solved(problem, method, control, options)


def solved(
    problem: Inclusion, method: str | None, control: Control, options: Mapping[str, Any] | None
) -> EquilibriumResult:
    """The problem solved by the method that was named, or by the one that its structure asks for."""
    name, why = (method, "") if method else usual(problem)
    _project_start(problem)
    result = cast(EquilibriumResult, run(_able(name, problem), problem, control, options, why))
    tried = result.status in (Status.MAX_ITER, Status.MAX_EVAL, Status.TIME_LIMIT, Status.STAGNATION)
    if tried and not getattr(result.state, "monotone", True):
        status = Status.NOT_CERTIFIED
        return replace(result, status=status, message=f"{status.sentence} {why}".strip())
    return result


def usual(problem: Inclusion) -> tuple[str, str]:
    """The method for a problem, and why."""
    return "eg", "Chose eg, the fallback."


def _able(name: str, problem: Inclusion) -> Method:
    """The method, if it serves this kind of problem."""
    record = lookup("equilibrium", name)
    return record if record.capabilities & set(problem.kinds) else lookup("equilibrium", name, problem.needs)


def seed_of(rng: RNG) -> int:
    """The seed of all draws of a solve; None is 0, so that the same call always has the same answer."""
    return int(as_generator(0 if rng is None else rng).integers(2**63))


def start(z0: Any) -> tuple[Array, tuple[int, ...]]:
    """The start as one vector of its own, and the sizes of the blocks that it came in."""
    blocks = [real_array(b, f"z0[{i}]", ndim=1) for i, b in enumerate(z0)] if isinstance(z0, tuple) else []
    point = np.concatenate(blocks) if blocks else np.array(real_array(z0, "z0", ndim=1))
    if not len(point):
        raise ValueError("z0 is empty")
    check_finite(point, "z0")
    return point, tuple(len(b) for b in blocks) or (len(point),)


def _project_start(problem: Inclusion) -> None:
    """Move the start into the domain of G, and see that the resolvent answers with finite numbers."""
    if problem.prox is None:
        return
    point = problem.z0.copy()
    problem.resolvent(problem.z0, 1.0, point)
    if not np.isfinite(point).all():
        raise ValueError("prox must return finite numbers; at z0 it does not")
    problem.z0 = point


def _operator(F: Any, size: int) -> Operator:
    own = getattr(F, "size", None)
    if isinstance(own, int) and own != size:
        raise ValueError(f"z0 has {size} entries, but F takes {own}")
    return Operator(F, size)


def _criterion(value: Criterion) -> Criterion:
    if not callable(value) and value not in CRITERIA:
        raise ValueError(f"criterion must be one of {', '.join(CRITERIA)} or a callable, not {value!r}")
    return value
