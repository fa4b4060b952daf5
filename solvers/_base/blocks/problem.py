"""The problem of block descent, its state and its result, the same for quadratics and for functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..result import SolveResult, Status
from .penalty import Penalty, Separable
from .smooth import Smooth

Array = npt.NDArray[Any]

#: What a step may find (0: go on).
OUTCOMES = {
    1: Status.NOT_SPD, 2: Status.DIVERGED, 3: Status.NONFINITE, 4: Status.STAGNATION, 5: Status.BREAKDOWN,
}  # fmt: skip
INDEFINITE, UNBOUNDED, NOT_FINITE, QUIET, WORSE = OUTCOMES


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class BlockResult(SolveResult):
    """Result of block coordinate descent: a `SolveResult` with the following.

    Attributes
    ----------
    x : ndarray, shape (d,)
        The answer.
    fun : float
        The objective at x, penalty included.
    jac : ndarray, shape (d,)
        Gradient of the smooth part.
    kkt : float
        Largest entry of ``L (x - prox(x - jac / L))``, the gradient's counterpart with a penalty; L are the bounds of
        the curvature, or 1 where there are none. `measure` is this, scaled as the entry's `tol` says.
    support : ndarray
        The coordinates of x that are not 0.
    nfev, njev, nhev : int
        Calls of the user's functions; 0 where there are none.
    """

    fun: float
    jac: Array
    kkt: float
    support: Array
    nfev: int = 0
    njev: int = 0
    nhev: int = 0


@dataclass(frozen=True, eq=False)
class BlockState:
    """What block descent carries from update to update."""

    x: Array
    #: What the function keeps along with x.
    aux: Array
    #: The gradient of the smooth part, of the last time that all of it was needed.
    g: Array
    f: float
    fun: float
    #: Curvatures that the rule "la" has found.
    estimates: Array
    #: Directions of conjugate gradients, where those run.
    vectors: Array
    rho: float
    #: Their stage: x at its beginning, the measure there (0: none has begun), and nit.
    base: Array
    stage: float
    began: int
    #: Updates since the measure went down by a tenth, and what it was then.
    quiet: int
    best: float
    #: The objective then.
    low: float
    outcome: int
    nit: int
    measure: float


@dataclass(frozen=True, eq=False, repr=False)
class BlockProblem:
    """A smooth function plus a penalty, ready for block descent."""

    smooth: Smooth
    penalty: Penalty
    x0: Array
    tol: float
    #: What the KKT residual is divided by for the measure.
    scale: float
    blocks: list[Array] | None
    size: int | None
    seed: int
    max_iter: int
    every: bool
    threads: int
    capability: str
    copies: int = 0
    #: The user's own minimiser of a block: x_b = block_min(x, b).
    block_min: Callable[[Array, Array], npt.ArrayLike] | None = None
    _memory: dict[Any, Any] = field(default_factory=dict)

    @property
    def needs(self) -> frozenset[str]:
        """The capabilities that a method must have."""
        return frozenset({self.capability})

    @property
    def stats(self) -> Mapping[str, Any]:
        return {"copies": self.copies, "threads": self.threads}

    @property
    def title(self) -> str:
        return f"{self.smooth.size} unknowns, tol {self.tol:g}"

    def remember(self, key: Any, make: Callable[[], Any]) -> Any:
        """What `make` returned when it was first called for this key."""
        if key not in self._memory:
            self._memory[key] = make()
        return self._memory[key]

    def answer(self, state: BlockState) -> Array:
        """The point of a state."""
        x = state.x.view()
        x.flags.writeable = False
        return x

    def kkt(self, x: Array, g: Array) -> float:
        """The largest entry of L (x - prox(x - g / L))."""
        return kkt(self.smooth, self.penalty, x, g, self._memory)

    def begin(self) -> BlockState:
        """The state at x0."""
        f, aux = self.smooth.start(self.x0)
        if not np.isfinite(f):
            raise ValueError(f"fun must be finite at x0, not {f!r}")
        g = self.smooth.gradient(self.x0, aux)
        measure = self.kkt(self.x0, g) / self.scale
        nothing, fun = np.zeros((0, 0)), f + self.penalty.value(self.x0)
        return BlockState(
            x=self.x0, aux=aux, g=g, f=f, fun=fun, estimates=np.ones(self.smooth.size), vectors=nothing, rho=0.0,
            base=nothing, stage=0.0, began=0, quiet=0, best=measure, low=fun, outcome=0, nit=0, measure=measure,
        )  # fmt: skip

    def certify(self, state: BlockState, stats: dict[str, Any]) -> BlockResult:
        """The result of a state, all recomputed from its x."""
        x = state.x.copy()
        f, aux = self.smooth.start(x)
        g = np.array(self.smooth.gradient(x, aux), np.float64)
        left = self.kkt(x, g)
        counts: dict[str, Any] = {**self.smooth.counts}
        return BlockResult(
            x=x, fun=f + self.penalty.value(x), jac=g, kkt=left, support=np.flatnonzero(x), measure=left / self.scale,
            stats=stats, **counts,
            # the loop fills these in
            success=False, status=Status.MAX_ITER, message="", nit=state.nit,
        )  # fmt: skip


def kkt(smooth: Smooth, penalty: Penalty, x: Array, g: Array, memory: dict[Any, Any]) -> float:
    """The largest entry of L (x - prox(x - g / L)), |g| where there is no penalty."""
    if penalty.none:
        return float(np.abs(g).max(initial=0.0))
    if "kkt" not in memory:
        known = smooth.constants()
        largest = 1.0 if known is None else float(known.max(initial=0.0))
        memory["kkt"] = np.ones(len(x)) if known is None else np.maximum(known, 1e-15 * largest if largest else 1.0)
    L = penalty.common(memory["kkt"])
    if isinstance(penalty, Separable):
        # without the rounding of x - (x - g / L), which matters at the last digits
        free = (penalty.l1 == 0) & np.isinf(penalty.lower) & np.isinf(penalty.upper)
        left = L * (x - penalty.prox(x - g / L, L))
        inside = _stays_inside(penalty, x, g, L)
        left = np.where(free, g, np.where(inside, g + penalty.l1 * np.sign(x), left))
        return float(np.abs(left).max(initial=0.0))
    return float(np.abs(L * (x - penalty.prox(x - g / L, L))).max(initial=0.0))


def _stays_inside(penalty: Separable, x: Array, g: Array, L: Array) -> Array:
    """Where the prox step keeps the sign of x and meets no limit: there it is a plain gradient step."""
    u = x - (g + np.where(np.isinf(penalty.l1), 0.0, penalty.l1) * np.sign(x)) / L
    kept = (u * x > 0) | ((penalty.l1 == 0) & (u == u))
    return np.asarray(kept & np.isfinite(penalty.l1) & (u > penalty.lower) & (u < penalty.upper))
