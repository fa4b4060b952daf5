"""Restarted, reflected Halpern iteration of the primal-dual hybrid gradient map, for bilinear saddle points.

    min_x max_y  c'x + y'K x - b'y + g1(x) - g2(y);   eta = 0.998 / |K|_2, a weight w, tau = eta / w, sigma = eta w

    T(x, y):  xp = prox_{tau g1}(x - tau (c + K'y)),  yp = prox_{sigma g2}(y + sigma (K (2 xp - x) - b))
    u+ = a (2 T(u) - u) + (1 - a) u_anchor,  a = (k + 1) / (k + 2)

The residual is the norm of u - T(u) in the metric w |dx|^2 + |dy|^2 / w - 2 eta dy'K dx, in which T is nonexpansive.

Differs from the papers in: 1. what is measured and returned are the points T(u), which are in the domain of G: with
K xp and K' yp, the only products, F is known there. Those with u follow by its own recursion, exact again at each
restart. 2. The norm of K is a low estimate by a few power steps. Each iteration tells for free whether it was too low,
by the displacements at hand; then it is raised, the step made again, and the anchor moves to the best point.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._base.method import Method, register
from .._base.options import option
from . import _restart
from ._guard import Iterate, Walk
from ._operators import Bilinear
from ._problem import Inclusion
from ._sets import Simplex, length

Array = npt.NDArray[Any]

#: Power steps of the estimate of |K|, what it is raised by then, and what an observed larger ratio is raised by.
POWER_STEPS, RAISED, CORRECTED = 12, 1.05, 1.02
#: The largest weight between two simplices: on degenerate games it drifts away without, and the iterates stand still.
GAME_RANGE = 4.0


@dataclass(frozen=True, eq=False)
class Reflected(Iterate):
    """The state: z = T(u), u itself with F(u), the anchor with F there, and the weight."""

    u: Array = None  # type: ignore[assignment]
    Fu: Array = None  # type: ignore[assignment]
    anchor: Array = None  # type: ignore[assignment]
    F_anchor: Array = None  # type: ignore[assignment]
    k: int = 0
    #: The residual at the first step from the anchor, and the last.
    at_anchor: float = math.inf
    last: float = math.inf
    weight: float = 1.0
    #: The controller of the weight.
    summed: float = 0.0
    best_weight: float = math.nan
    distance: float = math.inf
    restarts: int = 0


class Image(NamedTuple):
    """T(u), F there, and the residual of u."""

    z: Array
    F: Array
    residual: float
    #: |K dx| / |dx| or |K'dy| / |dy|, whichever is larger: a lower bound of |K|.
    norm: float


@dataclass(frozen=True)
class PrimalDual(Walk):
    """Restarted reflected Halpern PDHG."""

    reflection: float = option(1.0, "how far beyond T(u) the step goes", low=0.0, high=1.0)
    weight_range: float = option(1e4, "the primal weight stays within this factor of the first", low=1.0)

    State = Reflected
    share = 0.998

    def lipschitz(self, problem: Inclusion, z: Array, F: Array) -> float:
        """A low estimate of |K|_2, which the iteration corrects."""
        game = _game(problem)
        v = np.random.default_rng(0).standard_normal(game.n)
        norm = 0.0
        for _ in range(POWER_STEPS):
            if not (size := length(v)) > 0.0:
                break
            v /= size
            Kv = game.K @ v
            norm = length(Kv)
            v = game.Kt @ Kv
            problem.operator.nfev += 1
        return RAISED * norm if norm > 0.0 else 1.0

    def begin(self, problem: Inclusion, z: Array, F: Array, step: float) -> dict[str, Any]:
        """The anchor at z, the first weight from the sizes of c and b."""
        return {"weight": _first_weight(_game(problem)), **_anchored_at(z, F)}

    def move(self, problem: Inclusion, state: Reflected) -> tuple[Array, Array, dict[str, Any]]:
        """One iteration, with a restart where that is due."""
        step = state.step
        image = self._image(problem, state, state.u, state.Fu, step)
        if image.norm * step > 1.0:
            return self._corrected(problem, state, image.norm)
        k, at = state.k, state.at_anchor
        if k == 0:
            at = image.residual
        changes: dict[str, Any] = {"k": k + 1, "at_anchor": at, "last": image.residual, "step": step}
        if k > 0 and _restart.wanted(image.residual, state.last, at, k, state.nit + 1):
            weight = self._weight(problem, state, image.z)
            moved = {"weight": weight.value, "summed": weight.summed, "best_weight": weight.best}
            changes |= {**_anchored_at(image.z, image.F), **moved, "distance": weight.distance}
            return image.z, image.F, {**changes, "restarts": state.restarts + 1}
        kept, beyond = (k + 1) / (k + 2), self.reflection
        u = kept * ((1 + beyond) * image.z - beyond * state.u) + (1 - kept) * state.anchor
        Fu = kept * ((1 + beyond) * image.F - beyond * state.Fu) + (1 - kept) * state.F_anchor
        return image.z, image.F, {**changes, "u": u, "Fu": Fu}

    def _image(self, problem: Inclusion, state: Reflected, u: Array, Fu: Array, step: float) -> Image:
        """T(u). F(u) = (c + K'y, b - K x) gives the products with u."""
        game = _game(problem)
        n, w = game.n, state.weight
        prox_x, prox_y = problem.factors(n)
        z, F = np.empty_like(u), np.empty_like(u)
        x, y, xp, yp = u[:n], u[n:], z[:n], z[n:]
        np.subtract(x, (step / w) * Fu[:n], out=xp)
        prox_x(xp, step / w, xp)
        np.subtract(game.b, game.K @ xp, out=F[n:])
        # K (2 xp - x) - b = -(2 (b - K xp) - (b - K x))
        np.subtract(y, (step * w) * (2 * F[n:] - Fu[n:]), out=yp)
        prox_y(yp, step * w, yp)
        np.add(game.Kt @ yp, game.c, out=F[:n])
        problem.operator.nfev += 1
        dx, dy, Kdx = xp - x, yp - y, Fu[n:] - F[n:]
        size_x, size_y = length(dx), length(dy)
        square = w * size_x**2 + size_y**2 / w - 2 * step * float(dy @ Kdx)
        # Where a move is nearly nothing its product is rounding.
        seen = length(Kdx) / size_x if size_x > 1e-7 * length(x) else 0.0
        there = length(F[:n] - Fu[:n]) / size_y if size_y > 1e-7 * length(y) else 0.0
        return Image(z, F, math.sqrt(max(square, 0.0)), max(seen, there))

    def _corrected(self, problem: Inclusion, state: Reflected, norm: float) -> tuple[Array, Array, dict[str, Any]]:
        """The estimate of |K| raised to what was seen, and the first step from the best point with it."""
        step = self.share / (CORRECTED * norm)
        anchor, F = state.best, problem.evaluate(state.best)
        image = self._image(problem, state, anchor, F, step)
        u = 0.5 * ((1 + self.reflection) * image.z - self.reflection * anchor) + 0.5 * anchor
        Fu = 0.5 * ((1 + self.reflection) * image.F - self.reflection * F) + 0.5 * F
        changes = {**_anchored_at(anchor, F), "u": u, "Fu": Fu, "k": 1, "step": step}
        return image.z, image.F, {**changes, "at_anchor": image.residual, "last": image.residual}

    def _weight(self, problem: Inclusion, state: Reflected, z: Array) -> _restart.Weight:
        game, first = _game(problem), _first_weight(_game(problem))
        is_game = all(isinstance(factor, Simplex) for factor in problem.factors(game.n))
        span = min(self.weight_range, GAME_RANGE) if is_game else self.weight_range
        weight = _restart.Weight(
            state.weight, first / span, first * span, state.summed, state.best_weight, state.distance
        )
        move = z - state.anchor
        return weight.after(length(move[: game.n]), length(move[game.n :]))


def _anchored_at(z: Array, F: Array) -> dict[str, Any]:
    return {"u": z, "Fu": F, "anchor": z, "F_anchor": F, "k": 0, "at_anchor": math.inf, "last": math.inf}


def _game(problem: Inclusion) -> Bilinear:
    return problem.operator.function  # type: ignore[no-any-return]


def _first_weight(game: Bilinear) -> float:
    """|c| / |b|, which makes the step free of the units of x and y; 1 where one of them is zero."""
    c, b = length(game.c), length(game.b)
    return c / b if c > 0.0 and b > 0.0 else 1.0


METHOD = register(
    Method(
        name="pdhg",
        family="equilibrium",
        summary="restarted reflected Halpern PDHG for bilinear saddle points, K a matrix or a LinearOperator",
        reference="Lu, Yang (2024), Restarted Halpern PDHG for linear programming, arXiv 2407.16144; Lu et al. (2025), "
        "cuPDLPx, arXiv 2507.14051",
        solver=PrimalDual,
        capabilities=frozenset({"bilinear"}),
    )
)
