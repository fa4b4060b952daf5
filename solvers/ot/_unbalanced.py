"""The checked unbalanced problem, its result, and the certificate of an answer.

    minimise  <C, P> + reg KL(P | a b') + rho1 KL(P 1 | a) + rho2 KL(P' 1 | b)   over  P >= 0,

KL(p | q) = sum p log(p / q) - p + q. The solution is P_ij = a_i b_j exp((f_i + g_j - C_ij) / reg), with the sums
P 1 = a exp(-f / rho1) and P' 1 = b exp(-g / rho2). The methods work in base 2, with kappa = reg / rho (0 for a
side that is hard, rho = inf) and

    f = reg ln2 (phi - gauge),          u = phi + log2 a - scale offset,
    g = reg ln2 (psi + gauge),          v = psi + log2 b - scale column_offset.

The plan does not see the gauge. Where rho is far above reg it may be large, and phi and psi are without it, so that
the exponents keep their digits; where rho is far below reg, phi and psi are small, and have digits that u and v
have not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from .._base.result import SolveResult, Status
from ._elsewhere import potentials_elsewhere
from ._plan import Plan
from ._problem import LN2, UNDERFLOW, TransportProblem

Array = npt.NDArray[Any]

#: A change of the plan's mass by more than two to this is not left to a factor.
FAR = 100.0


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class UnbalancedResult(SolveResult):
    """Result of an unbalanced entropic transport solve: a `SolveResult` with the following.

    Attributes
    ----------
    x, plan : Plan
        The transport plan, made on demand: ``plan.dense()``, ``plan.matvec(x)``, ``plan.barycentric(Y)``.
    f, g : ndarray, shapes (n,) and (m,)
        Potentials: ``P_ij = a_i b_j exp((f_i + g_j - C_ij) / reg)``, and at the optimum the plan's sums are
        ``a * exp(-f / rho1)`` and ``b * exp(-g / rho2)``. In units of the cost, finite also at zero weights, and so
        large that those sums are 0 where all arcs are forbidden. Those of `solve` have the weights in them: its f is
        this f + reg * log(a). Where both sides are hard they are shifted so that ``sum(b * g) = 0``.
    value : float
        ``<C, P> + reg * KL(P | a b') + rho1 * KL(P 1 | a) + rho2 * KL(P' 1 | b)``, a side with rho = inf left out.
    value_linear : float
        ``<C, P>``.
    value_dual : float
        The dual value at (f, g): a lower bound of the least value of all plans.
    gap : float
        Primal minus dual value, >= 0: by so much at most the plan's value is above the least of all plans. Where one
        side is hard it is that of the plan rescaled to meet this side; where both are, it is inf.
    mass : float
        The total mass of the plan.
    marginal_error : float
        The norm of ``(P 1 - a exp(-f / rho1), P' 1 - b exp(-g / rho2))`` divided by `mass`, recomputed; equal to
        `measure`. It is the gradient of the dual; for a hard side, the violation of its marginal.
    rho : (float, float)
        The two penalties as used.
    """

    f: Array
    g: Array
    value: float
    value_linear: float
    value_dual: float
    gap: float
    mass: float
    marginal_error: float
    rho: tuple[float, float]
    #: What was solved, as the methods see it; `gradients` and `derivative` read it.
    problem: UnbalancedProblem

    @property
    def plan(self) -> Plan:
        """The transport plan; the same object as `x`."""
        plan: Plan = self.x
        return plan


@dataclass(frozen=True, eq=False)
class UnbalancedState:
    """Potentials with the rows at their targets, the column sums there, and counts."""

    u: Array
    v: Array
    phi: Array
    psi: Array
    gauge: float
    column_sums: Array
    nit: int = 0
    measure: float = np.inf
    #: The smallest measure so far, and the step that had it.
    best: float = np.inf
    best_nit: int = 0


S = TypeVar("S", bound=UnbalancedState)


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class UnbalancedProblem(TransportProblem):
    """An unbalanced problem with positive weights, ready for the methods; a and b may differ in mass."""

    rho: tuple[float, float]
    #: The masses of sources and targets that no allowed arc serves, left out like those of zero weight.
    unserved: tuple[float, float] = (0.0, 0.0)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"unbalanced-points" if self.cost.matrix is None else "unbalanced-cost"})

    @property
    def title(self) -> str:
        return f"unbalanced {super().title}, rho {self.rho[0]:g} and {self.rho[1]:g}"

    @cached_property
    def kappa(self) -> tuple[float, float]:
        """reg / rho of both sides."""
        return self.reg / self.rho[0], self.reg / self.rho[1]

    @property
    def masses(self) -> tuple[float, float]:
        """Of both sides, with what is left out."""
        return float(self.a.sum()) + self.unserved[0], float(self.b.sum()) + self.unserved[1]

    @cached_property
    def log_weights(self) -> tuple[Array, Array]:
        """log2 a and log2 b."""
        return np.log2(self.a), np.log2(self.b)

    @property
    def roundoff(self) -> float:
        return 2.0**-52 * (4 + self.scale * self.cost.span)

    def targets(self, state: UnbalancedState) -> tuple[Array, Array]:
        """What the rows and columns of the plan are to sum to."""
        (k1, k2), (log_a, log_b) = self.kappa, self.log_weights
        with np.errstate(over="ignore", under="ignore"):
            return np.exp2(log_a - k1 * (state.phi - state.gauge)), np.exp2(log_b - k2 * (state.psi + state.gauge))

    def start(self) -> UnbalancedState:
        """The rows' answer to the potentials to start from, or to 0 where those are of no use."""
        log_a, log_b = self.log_weights
        gauge = float(self.b @ self.v0) / float(self.b.sum())
        u, v = self.u0 + gauge + log_a, self.v0 - gauge + log_b
        given = self.respond(UnbalancedState(u, v, u, self.v0 - gauge + self.lifted[1], gauge, v))
        if np.isfinite(given.measure):
            return given
        return self.respond(UnbalancedState(log_a, log_b - self.lifted[1], u, np.zeros_like(v), 0.0, v))

    def respond(self, state: S, again: bool = True) -> S:
        """The state with the rows' best answer to v, and the best shift of v with it.

        For a change t of the gauge the rows answer with phi + t kappa1 / (1 + kappa1), and the plan grows by 2 to that
        power. The best t makes the targets of both sides equal in mass. This maximises the dual over the potentials
        that differ from psi by a constant (Sejourne, Vialard and Peyre 2022), for nothing: without it, that constant
        converges at the rate 1 / ((1 + kappa1) (1 + kappa2)), slowly where rho is large.
        """
        (k1, k2), (log_a, log_b), lifted = self.kappa, self.log_weights, self.lifted[0]
        u, q, column_sums = state.u.copy(), np.empty_like(state.u), np.empty_like(state.v)
        share = k1 / (1 + k1)
        base = log_a + (state.gauge - lifted) * share
        self.cost.kernel.damped_sweep(self.scale, base, 1 / (1 + k1), u, state.v, q, column_sums, self.threads)
        phi = (lifted - q + k1 * state.gauge) / (1 + k1)
        with np.errstate(all="ignore"):
            row_mass = _log2_sum(log_a - k1 * (phi - state.gauge))
            column_mass = _log2_sum(log_b - k2 * (state.psi + state.gauge))
            shift = (column_mass - row_mass) / (share + k2) if share + k2 > 0 else 0.0
            if again and FAR < abs(shift) * share < np.inf:  # the column sums may have under- or overflowed
                return self.respond(replace(state, gauge=state.gauge + shift), again=False)
            moved = replace(
                state, u=u + shift * share, phi=phi + shift * share, gauge=state.gauge + shift,
                column_sums=column_sums * np.exp2(shift * share),
            )  # fmt: skip
            column_targets = self.targets(moved)[1]
            measure = float(self.size([moved.column_sums - column_targets]) / column_targets.sum())
        return replace(moved, measure=measure if measure >= 0 else np.inf)  # NaN: there is no mass left

    def scaling_step(self, state: S) -> S:
        """The columns' best answer to u, then the rows'."""
        return self.moved(state, self.column_answer(state))

    def column_place(self, state: UnbalancedState) -> Array:
        """v - log2 b, (m,), with the digits of psi where there is no offset between them."""
        return state.psi if self.cost.column_offset is None else state.v - self.log_weights[1]

    def column_answer(self, state: UnbalancedState) -> Array:
        """The place of the columns' best answer to u, (m,)."""
        k2 = self.kappa[1]
        return -(self.column_logs(state) + k2 * (state.gauge + self.lifted[1])) / (1 + k2)

    def moved(self, state: S, place: Array) -> S:
        """The state with the columns at that place, and the rows' answer."""
        return self.respond(replace(state, v=place + self.log_weights[1], psi=place + self.lifted[1]))

    def gain(self, old: UnbalancedState, new: UnbalancedState) -> float:
        """How much the dual rises, in units of reg ln2.

        With the gauge at its best both sides' targets and the plan have the same mass M, and the dual depends on phi
        and psi alone: log2 M falls by h (rise1 + rise2), 1/h = 1/kappa1 + 1/kappa2, where a side's rise is that of its
        mean potential in the sense of -log2 sum w 2^(-kappa dphi) / kappa. Formed so from differences: the dual
        would drown it in rounding.
        """
        targets = self.targets(old)
        mass, rise = float(targets[1].sum()), 0.0
        sides = zip(self.kappa, targets, (new.phi - old.phi, new.psi - old.psi), strict=True)
        with np.errstate(all="ignore"):
            for kappa, weights, change in sides:
                mean = float(weights @ damped(kappa, change)) / mass
                rise += float(-np.log1p(-kappa * LN2 * mean)) / (kappa * LN2) if kappa > 0 else mean
            h = 1 / (1 / self.kappa[0] + 1 / self.kappa[1]) if min(self.kappa) > 0 else 0.0
            return mass * (1 + h) * float(damped(h, np.array(rise)))

    def column_logs(self, state: UnbalancedState) -> Array:
        """log2 sum_i 2^(u_i - scale (C_ij - offset_i)), (m,)."""
        if state.column_sums.min() > UNDERFLOW:
            return np.log2(state.column_sums) - state.v
        top = np.empty_like(state.v)
        self.cost.kernel.column_max(self.scale, state.u, top, self.threads)
        return top + np.log2(self.sums(state.u, -top)[1])

    def advance(self, state: S, following: S) -> S:
        """The following state as the next step's, or the old one, with the blame, where it has left the numbers."""
        nit = state.nit + 1
        if not np.isfinite(following.measure):
            return replace(state, nit=nit, measure=np.inf)
        if following.measure < state.best:
            return replace(following, nit=nit, best=following.measure, best_nit=nit)
        return replace(following, nit=nit)

    def stop(self, measure: float, steps_without_progress: int) -> Status | None:
        # The recomputed error has the rounding of the rows in it too: where it might be above tol go on.
        if self.tol - self.roundoff < measure <= self.tol and steps_without_progress < 3:
            return None
        return super().stop(measure, steps_without_progress)

    def certify(self, state: UnbalancedState, stats: dict[str, Any]) -> UnbalancedResult:  # type: ignore[override]
        """The result of a state, its error, values and gap recomputed from the plan that is returned."""
        plan = self.answer(state)
        row_sums, column_sums, paid = plan.sums()
        targets = self.targets(state)
        mass = float(row_sums.sum())
        with np.errstate(all="ignore"):
            error = float(self.size([row_sums - targets[0], column_sums - targets[1]]) / np.float64(mass))
            value, dual = self._value(state, row_sums, column_sums), self._dual(state, mass)
        error = error if error >= 0 else np.inf
        # a plan whose value is beyond the numbers is no answer
        measure = error if np.isfinite([value, dual]).all() else np.inf
        linear = paid + self.cost.offset_part(row_sums, column_sums)
        f, g = self._own_potentials(state)
        return UnbalancedResult(
            x=plan, f=f, g=g, measure=measure, marginal_error=error, stats=stats,
            value=value, value_linear=linear, value_dual=dual,
            gap=self._gap(state, row_sums, column_sums, targets), mass=mass, rho=self.rho,
            problem=self,
            # the loop fills these in
            success=False, status=Status.MAX_ITER, message="", nit=state.nit,
        )  # fmt: skip

    @property
    def _apart(self) -> float:
        """What the penalties charge for the unserved."""
        return sum(rho * mass for rho, mass in zip(self.rho, self.unserved, strict=True) if mass > 0)

    def infeasible(self, method: str) -> UnbalancedResult:  # type: ignore[override]
        """The result where a hard side cannot be met: the zero plan, and who cannot be served."""
        inf = float("inf")
        return UnbalancedResult(
            measure=inf, marginal_error=inf, value=inf, value_linear=inf, value_dual=inf, gap=inf, mass=0.0,
            rho=self.rho, problem=self, **self._of_nothing(method),
        )  # fmt: skip

    def _value(self, state: UnbalancedState, row_sums: Array, column_sums: Array) -> float:
        # <C, P> + reg sum P log(P / ab') = <f, P 1> + <g, P' 1>, in which the gauge cancels
        total = LN2 * self.reg * float(state.phi @ row_sums + state.psi @ column_sums)
        total += self._apart + self.reg * (math.prod(self.masses) - float(row_sums.sum()))
        for rho, sums, weights in zip(self.rho, (row_sums, column_sums), (self.a, self.b), strict=True):
            total += 0.0 if rho == np.inf else rho * divergence(sums, weights)
        return total

    def _dual(self, state: UnbalancedState, mass: float) -> float:
        total = self._apart + self.reg * (math.prod(self.masses) - mass)
        for kappa, potential, weights in zip(
            self.kappa, (state.phi - state.gauge, state.psi + state.gauge), (self.a, self.b), strict=True
        ):
            total += LN2 * self.reg * float(weights @ damped(kappa, potential))
        return total

    def _gap(self, state: UnbalancedState, row_sums: Array, column_sums: Array, targets: tuple[Array, Array]) -> float:
        """Primal minus dual value, formed from divergences: their difference would drown it in rounding.

        For any plan Q that meets the hard side the gap to the dual value of the state, whose plan is P, is
        reg KL(Q | P) + rho1 KL(Q 1 | target) + rho2 KL(Q' 1 | target), without the term of a hard side.
        """
        hard = [rho == np.inf for rho in self.rho]
        with np.errstate(all="ignore"):
            if hard == [False, False]:
                gap = self.rho[0] * divergence(row_sums, targets[0]) + self.rho[1] * divergence(column_sums, targets[1])
            elif hard == [True, False]:
                rescaled = self.sums(state.u + np.log2(self.a / row_sums), state.v)[1]
                gap = self.reg * divergence(self.a, row_sums) + self.rho[1] * divergence(rescaled, targets[1])
            elif hard == [False, True]:
                rescaled = self.sums(state.u, state.v + np.log2(self.b / column_sums))[0]
                gap = self.reg * divergence(self.b, column_sums) + self.rho[0] * divergence(rescaled, targets[0])
            else:
                gap = np.inf
        return gap if gap >= 0 else np.inf

    def _own_potentials(self, state: UnbalancedState) -> tuple[Array, Array]:
        """f and g in units of the cost, also where the weights are zero."""
        f, g = potentials_elsewhere(self, state, self.kappa)
        f, g = LN2 * self.reg * (f - state.gauge), LN2 * self.reg * (g + state.gauge)
        if self.rho == (np.inf, np.inf):
            kept = slice(None) if self.kept_columns is None else self.kept_columns
            shift = float((self.b / self.b.sum()) @ g[kept])
            f, g = f + shift, g - shift
        return f, g


def damped(kappa: float, potential: Array) -> Array:
    """(1 - 2^(-kappa phi)) / (kappa ln2), the dual's term of a weight 1; phi where kappa is 0."""
    with np.errstate(over="ignore"):
        return -np.expm1(-kappa * LN2 * potential) / (kappa * LN2) if kappa > 0 else potential


def divergence(p: Array, q: Array) -> float:
    """KL(p | q) = sum p log(p / q) - p + q for q > 0, to full relative precision also where p is close to q."""
    t = (p - q) / q
    near = np.abs(t) < 0.02
    small = np.where(near, t, 0.0)
    # (1 + t) log(1 + t) - t = t^2/2 - t^3/6 + t^4/12 - ...
    series = small * small * sum((-small) ** k / ((k + 1) * (k + 2)) for k in range(8))
    with np.errstate(divide="ignore", invalid="ignore"):
        exact = np.where(p > 0, p * np.log(p / q), 0.0) - p + q
    return float(np.where(near, q * series, exact).sum())


def _log2_sum(exponents: Array) -> float:
    """log2 of the sum of 2^x."""
    top = float(exponents.max())
    return top + float(np.log2(np.exp2(exponents - top).sum()))
