"""A linear program as the methods get it, and the result that they return."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .._base.result import SolveResult, Status
from ._kernels import PreparedProgram
from ._normal import Normal
from ._presolve import Reduced, presolve
from ._program import Array, LinearProgram, kkt
from ._scaling import Scaled, scale
from ._standard import Standard, standard

#: What the loop fills in.
UNJUDGED: dict[str, Any] = {"success": False, "status": Status.MAX_ITER, "message": "", "nit": 0}


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class LpResult(SolveResult):
    """Result of a linear program: a `SolveResult` with the following.

    Attributes
    ----------
    x : ndarray, shape (n,)
        The point, within its bounds.
    y : ndarray, shape (m,)
        Multipliers of the rows: the change of `fun` for a unit more of the side that the row is at.
    reduced_costs : ndarray, shape (n,)
        ``c - A.T @ y``: the same of the bounds.
    activity : ndarray, shape (m,)
        ``A @ x``.
    fun, dual_fun : float
        The objective, and its bound by y.
    gap : float
        ``abs(fun - dual_fun)``.
    primal_residual, dual_residual : float
        2-norms of what violates the rows' sides, and of the reduced costs that no finite bound takes.
    ray : ndarray or None
        Status INFEASIBLE: multipliers, shape (m,), that prove it by Farkas' lemma. Status UNBOUNDED: a direction, shape
        (n,), along which the objective improves without end. Both checked on the user's data.
    """

    y: Array
    reduced_costs: Array
    activity: Array
    fun: float
    dual_fun: float
    gap: float
    primal_residual: float
    dual_residual: float
    ray: Array | None = None


@dataclass(frozen=True, eq=False, repr=False)
class LpProblem:
    """A linear program, ready for the methods."""

    program: LinearProgram
    x0: Array
    y0: Array
    tol: float
    copies: int
    threads: int

    @property
    def title(self) -> str:
        """For logs."""
        m, n = self.program.A.shape
        return f"linear program, {m} rows x {n} columns, {self.program.A.nnz} nonzeros"

    @property
    def needs(self) -> frozenset[str]:
        """The capabilities that a method must have."""
        return frozenset({"linear-program"})

    @property
    def stats(self) -> dict[str, Any]:
        m, n = self.reduced.program.A.shape
        return {"copies": self.copies, "threads": self.threads, "rows": m, "columns": n}

    def answer(self, state: Any) -> Array:
        """The best x of a state."""
        return state.best_x  # type: ignore[no-any-return]

    @cached_property
    def reduced(self) -> Reduced:
        """Without what decides nothing."""
        return presolve(self.program)

    @cached_property
    def balanced(self) -> Scaled:
        """The reduced program, scaled for factorisations."""
        return scale(self.reduced.program)

    @cached_property
    def standard(self) -> Standard:
        """That in standard form."""
        return standard(self.balanced.program)

    @cached_property
    def normal(self) -> Normal:
        """Its linear systems."""
        return Normal(self.standard)

    @cached_property
    def prepared(self) -> PreparedProgram:
        """The reduced program, scaled for first-order steps, and these."""
        return PreparedProgram(self.reduced.kernel)

    def whole(self, x: Array, y: Array) -> tuple[Array, Array]:
        """The user's pair of a balanced one."""
        kernel, scaled = self.reduced.kernel, self.balanced
        return kernel.point(scaled.x(x)), kernel.multipliers(scaled.y(y))

    def whole_ray_x(self, x: Array) -> Array:
        """The user's direction of a balanced one."""
        return self.reduced.kernel.point(self.balanced.x(x), fixed=False)

    def whole_ray_y(self, y: Array) -> Array:
        """The user's multipliers of balanced ones, without an objective."""
        return self.reduced.kernel.multipliers(self.balanced.y(y), costs=False)

    def result(self, x: Array, y: Array, ray: Array | None, stats: dict[str, Any], **common: Any) -> LpResult:
        """The result at (x, y), all of it computed from the pair and the user's data."""
        pair, sign = kkt(self.program, x, y), -1.0 if self.program.maximize else 1.0
        return LpResult(
            x=pair.x, y=sign * pair.y, reduced_costs=sign * pair.reduced, activity=pair.activity, fun=sign * pair.fun,
            dual_fun=sign * pair.dual_fun, gap=pair.gap, primal_residual=pair.primal, dual_residual=pair.dual, ray=ray,
            measure=pair.measure, stats=stats, **common,
        )  # fmt: skip
