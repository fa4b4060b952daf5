"""Monotone inclusions 0 in F(z) + G(z): the checked problem, its measures, the certificate, and the result.

For a step z+ = J_e(z - e F(z)) with the resolvent J_e of e G the vector v = (z - z+) / e - F(z) + F(z+) is in
F(z+) + G(z+): how far z+ is from a solution, by its own certificate. The natural residual |z - J_1(z - F(z))| is that
of z itself. Where G = 0 both are |F(z)|.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.reducer import SERIAL, Reducer
from .._base.result import SolveResult
from ._operators import Affine, Bilinear, Operator
from ._sets import NAMED, ConvexSet, Product, Prox, length

Array = npt.NDArray[Any]
Criterion = str | Callable[[Array], float]

#: Names of the measures that a solve can be asked to bring down to tol.
CRITERIA = ("natural", "operator", "gap")
#: Below this share of |z| rounding may have taken what is left of a natural residual.
FINE = 1e-12


@dataclass(frozen=True, eq=False)
class Certificate:
    """An element of the inclusion at a point.

    Attributes
    ----------
    point : ndarray, shape (d,)
        Where: the result's x if G = 0, else the forward-backward step from there.
    v : ndarray, shape (d,)
        An element of ``F(point) + G(point)``; the point is a solution where this is 0.
    norm, largest : float
        Its Euclidean norm, and its largest entry in absolute value.
    step : float
        The step e that led to the point.
    """

    point: Array
    v: Array
    norm: float
    largest: float
    step: float


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class EquilibriumResult(SolveResult):
    """Result of a monotone inclusion, a saddle point or a fixed point: a `SolveResult` with the following.

    Attributes
    ----------
    x : ndarray, shape (d,)
        The point with the least measure among the iterates.
    residual : float
        The natural residual at x (of a fixed point: ``|x - T(x)|``), recomputed.
    residual_kind : str
        What `measure` is: "natural", "operator", "gap", "fixed-point", or "callable" for the user's own.
    gap : float
        ``max <F(x), x - u>`` over the set, an upper bound of the duality gap of a saddle point; NaN where it has none.
    certificate : Certificate or None
        An element of the inclusion and its norms; None for fixed points.
    nfev : int
        Full evaluations of F (or T), those of this certificate with them.
    ncomp : int
        Evaluations of single components.
    epochs : float
        ``nfev + ncomp / n`` for a sum of n components.
    """

    residual: float
    residual_kind: str
    gap: float
    certificate: Certificate | None
    nfev: int
    ncomp: int
    epochs: float


@dataclass(eq=False, repr=False)
class Inclusion:
    """A checked inclusion. The counts of evaluations grow as it is solved; all else stays as it is."""

    operator: Operator
    prox: Prox | None
    z0: Array
    tol: float
    criterion: Criterion = "natural"
    L: float | None = None
    #: False: known not to be monotone (no warning then); cocoercive: None where nobody said.
    monotone: bool = True
    cocoercive: bool | None = None
    #: The parts of F where it is a finite sum, with their number as `n`; their evaluations are counted here.
    components: Any = None
    max_epochs: float = math.inf
    seed: Any = None
    threads: int = 1
    copies: int = 0
    ncomp: int = 0
    #: Sizes of the blocks that z0 was given in.
    sizes: tuple[int, ...] = ()
    #: The ranks that share the components; all else is the same on each.
    across: Reducer = SERIAL
    _scratch: dict[str, Array] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<{self.title}>"

    @property
    def title(self) -> str:
        """For logs."""
        return f"inclusion of dimension {len(self.z0)}"

    @property
    def kinds(self) -> tuple[str, ...]:
        """The capabilities that each serve this problem, the most special first."""
        found = ["inclusion"]
        if self.components is not None:
            found[:0] = ["finite-sum", "cocoercive-sum"]
        return (*self.operator_kinds, *found)

    @property
    def operator_kinds(self) -> tuple[str, ...]:
        """What the structure of F and G allows."""
        function = self.operator.function
        if isinstance(function, Bilinear) and (self.prox is None or self.sizes == (function.n, function.m)):
            return ("affine", "bilinear") if self.prox is None else ("bilinear",)
        return ("affine",) if isinstance(function, Affine) and self.prox is None else ()

    @property
    def needs(self) -> frozenset[str]:
        """The capability that every method of this problem has."""
        return frozenset({"inclusion"})

    @property
    def stats(self) -> dict[str, Any]:
        ranks = {"ranks": self.across.size} if self.across is not SERIAL else {}
        return {"copies": self.copies, "threads": self.threads, **ranks}

    def answer(self, state: Any) -> Array:
        """The best point of a state."""
        return state.best  # type: ignore[no-any-return]

    # ---- the parts -------------------------------------------------------------------------------

    def scratch(self, name: str) -> Array:
        """A vector of the problem's size that is overwritten at will."""
        if name not in self._scratch:
            self._scratch[name] = np.empty_like(self.z0)
        return self._scratch[name]

    def evaluate(self, z: Array) -> Array:
        """F(z), as a new array."""
        out = np.empty_like(z)
        self.operator(z, out)
        return out

    def resolvent(self, z: Array, step: float, out: Array) -> None:
        """Write the resolvent J_step(z) of G to out, which may be z."""
        if self.prox is None:
            if out is not z:
                np.copyto(out, z)
            return
        returned = self.prox(z, step, out)
        if returned is not None and returned is not out:
            if np.shape(returned) != out.shape:
                raise ValueError(f"prox must return nothing or shape {out.shape}, not {np.shape(returned)}")
            out[:] = returned

    def factors(self, n: int) -> tuple[Prox, Prox]:
        """The proximal operators of the first n coordinates and of the others."""
        if isinstance(self.prox, Product) and len(self.prox.factors) == 2:
            return self.prox.factors[0], self.prox.factors[1]
        return NAMED["free"], NAMED["free"]

    # ---- how far a point is ----------------------------------------------------------------------

    @property
    def sums(self) -> Any:
        """What the methods for finite sums draw from."""
        return self.components

    @property
    def epochs(self) -> float:
        """Full evaluations of F, those of components in such units with them."""
        return self.operator.nfev + (self.ncomp / self.components.n if self.ncomp else 0.0)

    def natural(self, z: Array, Fz: Array) -> float:
        """The natural residual, given F(z)."""
        if self.prox is None:
            return length(Fz)
        found = length(self.displacement(z, Fz, self.scratch("natural")))
        if found > FINE * length(z):
            return found
        ahead, point = z - Fz, np.empty_like(z)
        self.resolvent(ahead.copy(), 1.0, point)
        return length(np.where(point == ahead, Fz, z - point))  # where nothing holds a coordinate, z - (z - F) is F

    def displacement(self, z: Array, Fz: Array, out: Array) -> Array:
        """z - J_1(z - F(z)), whose norm is the natural residual, in out; F(z) itself where there is no G."""
        if self.prox is None:
            return Fz
        np.subtract(z, Fz, out=out)
        self.resolvent(out, 1.0, out)
        np.subtract(z, out, out=out)
        return out

    def gap(self, z: Array, Fz: Array) -> float:
        """max <F(z), z - u> over u in the set; NaN where G is none, infinite where the set has directions upwards."""
        prox = self.prox
        if isinstance(prox, ConvexSet) or (isinstance(prox, Product) and prox.is_set):
            return max(float(Fz @ z) - prox.lowest(Fz), 0.0)
        return math.nan

    def measure(self, z: Array, Fz: Array, step: float, natural: float | None = None) -> float:
        """What the tolerance is for, at z, whose natural residual may be known."""
        if self.criterion == "natural" or (self.criterion == "operator" and self.prox is None):
            return self.natural(z, Fz) if natural is None else natural
        if self.criterion == "gap":
            return self.gap(z, Fz)
        if self.criterion == "operator":
            return self.certificate(z, Fz, step).norm
        return float(self.criterion(z))  # type: ignore[operator]

    def certificate(self, z: Array, Fz: Array, step: float) -> Certificate:
        """The element of the inclusion that a forward-backward step from z gives."""
        if self.prox is None:
            v, point = Fz, z
        else:
            # (ahead - point) / step is in G(point) whatever rounding made of ahead: z again, where the step is tiny
            ahead, point = z - step * Fz, np.empty_like(z)
            self.resolvent(ahead.copy(), step, point)
            v = (ahead - point) / step + self.evaluate(point)
        return Certificate(point, v, length(v), float(np.abs(v).max(initial=0.0)), step)

    def result(self, z: Array, step: float, stats: dict[str, Any]) -> EquilibriumResult:
        """The result with z as the answer, everything about it recomputed; `run` fills in how it came about."""
        Fz = self.evaluate(z)
        certificate = self.certificate(z, Fz, step)
        if self.criterion == "operator" and self.prox is not None:
            # The certificate is that of the point after the step, so that point is the answer.
            z, Fz = certificate.point, self.evaluate(certificate.point)
        residual = self.natural(z, Fz)
        measure = certificate.norm if self.criterion == "operator" else self.measure(z, Fz, step, residual)
        kind = self.criterion if isinstance(self.criterion, str) else "callable"
        return EquilibriumResult(
            x=z.copy(), success=False, status=None, message="", nit=0, measure=measure, stats=stats,  # type: ignore[arg-type]
            residual=residual, residual_kind=kind, gap=self.gap(z, Fz), certificate=certificate,
            nfev=self.operator.nfev, ncomp=self.ncomp, epochs=self.epochs,
        )  # fmt: skip
