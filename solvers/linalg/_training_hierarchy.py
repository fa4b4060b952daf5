"""The training of the learned corrections of the multilevel method; needs torch.

The hierarchy of `multilevel_coarsen.c` and its cycle are here once more in torch, in float64 and for grids whose axes
are all halved on all levels, so that gradients go through the set-up. The loss is what a few steps of conjugate
gradients leave: the mean logarithm of the error in the norm of A, and of the residual, in turns.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..testing import grid_problem
from ._corrections import SHAPES, Corrections
from ._grid import GridOperator
from ._multilevel import Multilevel, multilevel
from ._training import steps_in
from ._training_corrections import Cells, Heads, added, moved_share, pooled, shifted

Array = npt.NDArray[Any]

#: As in multilevel_interfaces.h and multilevel_setup.c.
LEAST_SHARE, LARGEST_SHARE, LEAST_WEIGHT = 1e-6, 0.99, 0.2
#: In place of 0, which has no gradient as a divisor.
NO_COUPLING = 1e-300
#: As in multilevel_plan.c: cells of the last level, at most; and of its shortest axis.
MOST_LAST, SHORTEST = 256, 4

#: Family -> its part of the training; one without an entry is not trained on.
MIX = {
    2: {"jumps": 0.25, "lognormal": 0.25, "dirichlet": 0.15, "neumann": 0.15, "anisotropic": 0.2},
    3: {"jumps": 0.2, "lognormal": 0.25, "dirichlet": 0.15, "neumann": 0.15, "smoke": 0.1, "anisotropic": 0.15},
}
#: Seeds of problems: of the training from here on, of the validation; tests and tables use those below.
TRAINING_SEEDS, VALIDATION_SEEDS = 1_000_000, 500_000

LARGEST_RATE, LEAST_RATE = 2e-3, 5e-5
#: Validation problems a family and size.
VALIDATED = 3
#: A net is not kept where one of the validation's problems takes this many times the iterations.
WORST = 1.1


@dataclass(frozen=True)
class Training:
    """What a training is made of; its hash is kept with the weights."""

    #: Cells a side in the plane; in space a quarter of that.
    size: int
    steps: int
    seed: int
    batch: int = 8
    #: Steps of conjugate gradients that the loss looks at.
    unrolled: int = 5
    #: Problems that are made in advance, a size.
    problems: int = 320
    #: Part of the steps that takes boxes of half the size in the plane.
    early: float = 0.67
    #: One step in so many is in space.
    space: int = 4
    validations: int = 10


# ---- the hierarchy -----------------------------------------------------------------------------


@dataclass
class Level:
    """Fields of shape (batch, *grid)."""

    couplings: list[torch.Tensor]
    wall: torch.Tensor
    mass: torch.Tensor
    active: torch.Tensor
    shares: list[torch.Tensor]
    #: Whether the couplings of the operator vary, of shape (batch, 1, ...).
    varies: torch.Tensor
    scale: torch.Tensor | None = None

    def __post_init__(self) -> None:
        diagonal = added(self.couplings) + self.wall + self.mass
        for a, c in enumerate(self.couplings):
            diagonal = diagonal + shifted(c, 1 + a, 1, False)
        self.diagonal = torch.where(self.active, diagonal, 1.0)
        self.part = self.active.double()
        index = np.indices(tuple(self.wall.shape[1:])).sum(axis=0) % 2 == 0
        self.red = torch.from_numpy(index).double()

    def around(self, x: torch.Tensor) -> torch.Tensor:
        """Couplings times the neighbours' values."""
        total = torch.zeros_like(x)
        for a, c in enumerate(self.couplings):
            total = total + c * shifted(x, 1 + a, -1, False) + shifted(c * x, 1 + a, 1, False)
        return total

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self.part * (self.diagonal * x - self.around(x))


def halved(fine: Level) -> Level:
    """The next level as it is made by hand; the fine one gets its shares."""
    through = [_conducted(fine, a) for a in range(len(fine.couplings))]
    coarse = [_summed(fine, a, g) for a, g in enumerate(through)]
    wall, mass, active = 0.5 * fine.wall * fine.part, fine.mass * fine.part, fine.part
    for a in range(len(fine.couplings)):
        wall, mass, active = (added(pooled(x, 1 + a)) for x in (wall, mass, active))
    return Level(coarse, wall, mass, active > 0, [], fine.varies)


def _conducted(fine: Level, a: int) -> torch.Tensor:
    """Conductances across the interfaces along an axis; the shares along it are added to the level's."""
    across, inside = pooled(fine.couplings[a], 1 + a)
    least = [_half_block(fine, a, inside, side) for side in (0, 1)]
    before = _where_none(shifted(inside, 1 + a, -1, False), shifted(least[1], 1 + a, -1, False),
                         across, shifted(across, 1 + a, -1, False))  # fmt: skip
    after = _where_none(inside, least[0], across, shifted(across, 1 + a, 1, False))
    there = across > 0
    through = torch.where(there, 1 / (before + 1 / torch.where(there, across, 1.0) + after), 0.0)
    of_first, of_second = (
        torch.where(there, (half * through).clamp(LEAST_SHARE, LARGEST_SHARE), 0.0) for half in (after, before)
    )
    second = shifted(of_second, 1 + a, 1, False)
    fine.shares.append(torch.stack([of_first, second], 2 + a).flatten(1 + a, 2 + a))
    return through


def _half_block(fine: Level, a: int, inside: torch.Tensor, side: int) -> torch.Tensor:
    """Resistances from the first or second cell of each block to its middle, over a cell beside where that is less."""
    own = 0.5 / torch.where(inside > 0, inside, NO_COUPLING)
    least = own
    for t, c in enumerate(fine.couplings):
        if t != a:
            joins = pooled(pooled(c, 1 + a)[side], 1 + t)[1].repeat_interleave(2, 1 + t)
            beside = torch.stack(pooled(own, 1 + t)[::-1], 2 + t).flatten(1 + t, 2 + t)
            around = 1 / torch.where(joins > 0, joins, NO_COUPLING) + beside
            least = torch.where(fine.varies, torch.minimum(least, around), least)
    return least


def _where_none(inside: torch.Tensor, least: torch.Tensor, across: torch.Tensor, beyond: torch.Tensor) -> torch.Tensor:
    """The resistance of half a block, by couplings across its interfaces where it has none inside."""
    c = torch.maximum(across, beyond)
    return torch.where(inside > 0, least, 0.5 / torch.where(c > 0, c, 1.0))


def _summed(fine: Level, a: int, through: torch.Tensor) -> torch.Tensor:
    """Coarse couplings: sums over the rows of an interface, of which each gives to the block beside what it takes
    from there in the interpolation."""
    others = [t for t in range(len(fine.couplings)) if t != a]
    plain, means = through, {}
    for t in others:
        plain = added(pooled(plain, 1 + t))
        after, second = pooled(fine.shares[t], 1 + a)
        before = shifted(second, 1 + a, -1, False)
        means[t] = torch.where((after > 0) & (before > 0), 0.5 * (after + before), 0.0)
    for k, t in enumerate(others):
        later = others[k + 1 :]
        share = means[t]
        given = {u: _given(through * means[u], share, 1 + t) for u in later}
        through = _given(through, share, 1 + t)
        for u in later:
            means[u] = torch.where(through > 0, given[u] / torch.where(through > 0, through, 1.0), 0.0)
    return torch.where(fine.varies, through, plain)


def _given(values: torch.Tensor, share: torch.Tensor, axis: int) -> torch.Tensor:
    """Sums over the blocks of rows along an axis, a share of each row to the block beside."""
    first, second = pooled(values * share, axis)
    own = added(pooled(values * (1 - share), axis))
    return own + shifted(first, axis, 1, False) + shifted(second, axis, -1, False)


def corrected(fine: Level, coarse: Level, parameters: dict[str, torch.Tensor]) -> tuple[Level, torch.Tensor]:
    """The next level after the corrections, and the factor of the fine rows' scale; the fine shares are moved."""
    wraps = [False] * len(fine.couplings)
    cells = Cells.of(fine.couplings, fine.wall + fine.mass, fine.active, wraps)
    heads = Heads.of(parameters, cells)
    fine.shares = [moved_share(s, logit) for s, logit in zip(fine.shares, heads.share, strict=True)]
    links = [c * shift.exp() for c, shift in zip(coarse.couplings, heads.link, strict=True)]
    sinks = heads.sinks.exp()
    moved = Level(links, coarse.wall * sinks[..., 0], coarse.mass * sinks[..., 1], coarse.active, [], fine.varies)
    return moved, heads.scale.exp()


class Hierarchy:
    """The levels of a batch of problems, and the cycle."""

    def __init__(self, finest: Level, parameters: dict[str, torch.Tensor] | None) -> None:
        self.levels = [finest]
        while not (finest.wall[0].numel() <= MOST_LAST and min(finest.wall.shape[1:]) <= SHORTEST):
            coarse = halved(finest)
            factor = torch.ones(())
            if parameters is not None:
                coarse, factor = corrected(finest, coarse, parameters)
            finest.scale = torch.ones(())
            weight = self._interpolated(finest, coarse.part).clamp_min(LEAST_WEIGHT)
            finest.scale = _scale(finest, weight) * factor
            self.levels.append(coarse)
            finest = coarse
        self._last = torch.linalg.inv(_dense(finest))

    @staticmethod
    def _interpolated(fine: Level, e: torch.Tensor) -> torch.Tensor:
        values = [e]
        for a in range(len(fine.shares)):
            values = [each for v in values for each in _spread(v, 1 + a)]
        for share in reversed(fine.shares):
            values = [own + share * (other - own) for own, other in zip(values[::2], values[1::2], strict=True)]
        assert fine.scale is not None
        return fine.scale * values[0]

    @staticmethod
    def _restricted(fine: Level, r: torch.Tensor) -> torch.Tensor:
        assert fine.scale is not None
        values = [fine.scale * r]
        for share in fine.shares:
            values = [each for v in values for each in (v - share * v, share * v)]
        for a in reversed(range(len(fine.shares))):
            values = [_gathered(own, other, 1 + a) for own, other in zip(values[::2], values[1::2], strict=True)]
        return values[0]

    def __call__(self, r: torch.Tensor, level: int = 0) -> torch.Tensor:
        """M r."""
        g = self.levels[level]
        if level == len(self.levels) - 1:
            solved: torch.Tensor = (self._last @ r.flatten(1)[..., None]).reshape(r.shape)
            return solved
        red, black, inverse = g.red, 1 - g.red, g.part / g.diagonal
        u = red * inverse * r
        u = u + black * inverse * (r + g.around(u))
        e = self(self._restricted(g, red * g.part * g.around(black * u)), level + 1)
        u = red * (inverse * r + self._interpolated(g, e))
        u = u + black * inverse * (r + g.around(u))
        return black * u + red * inverse * (r + g.around(black * u))


def _spread(e: torch.Tensor, axis: int) -> tuple[torch.Tensor, torch.Tensor]:
    """At both cells of each block the block's value, and that of the block beside the cell."""
    before, after = (shifted(e, axis, step, False) for step in (-1, 1))
    own = torch.stack([e, e], axis + 1).flatten(axis, axis + 1)
    return own, torch.stack([before, after], axis + 1).flatten(axis, axis + 1)


def _gathered(own: torch.Tensor, other: torch.Tensor, axis: int) -> torch.Tensor:
    """The adjoint of `_spread`."""
    first, second = pooled(other, axis)
    total = added(pooled(own, axis)) + shifted(first, axis, 1, False)
    return total + shifted(second, axis, -1, False)


def _scale(g: Level, weight: torch.Tensor) -> torch.Tensor:
    every = g.couplings + [shifted(c, 1 + a, 1, False) for a, c in enumerate(g.couplings)]
    total = added(every)
    count = added([(c > 0).double() for c in every])
    bottom = weight * (total + 0.5 * (g.wall + g.mass) * count)
    used = g.active & (total > 0)
    return torch.where(used, total / torch.where(used, bottom, 1.0), 0.0)


def _dense(g: Level) -> torch.Tensor:
    """The matrix of a level, that of the identity outside of the cells that take part."""
    cells = g.wall[0].numel()
    unit = torch.eye(cells, dtype=torch.float64).reshape(cells, 1, *g.wall.shape[1:])
    return torch.stack([(g(e) + (1 - g.part) * e).flatten(1) for e in unit], 2)


# ---- problems ----------------------------------------------------------------------------------


def finest_level(operators: list[GridOperator]) -> Level:
    """A batch of operators of one shape; their diagonals are at most 1."""
    fields: dict[str, list[Array]] = {"wall": [], "mass": [], "active": []}
    faces: list[list[Array]] = [[] for _ in operators[0].grid_shape]
    for op in operators:
        largest = float(op.diagonal().max())
        mask = np.ones(op.grid_shape, bool) if op.mask is None else op.mask
        fields["active"].append(mask)
        fields["wall"].append(op.walls() / largest * mask)
        fields["mass"].append(np.broadcast_to(op.mass, op.grid_shape) / largest * mask)
        for a, c in enumerate(op.couplings()):
            faces[a].append(c.reshape(op.grid_shape) / largest)
    wall, mass, active = (torch.from_numpy(np.stack(fields[name])) for name in ("wall", "mass", "active"))
    varies = torch.tensor([any(np.ptp(c[c > 0]) > 0 for c in op.couplings() if c.any()) for op in operators])
    return Level([torch.from_numpy(np.stack(each)) for each in faces], wall, mass, active, [],
                 varies.reshape(-1, *(1,) * len(faces)))  # fmt: skip


def usable(M: Multilevel) -> bool:
    """Whether all axes are halved on all levels."""
    return all(sum(map(bool, halves)) == len(M.operator.grid_shape) for _, halves in M.levels[:-1])


class Problems:
    """Operators of one size in the training's mixture, and batches of them."""

    def __init__(self, training: Training, axes: int, size: int) -> None:
        families = MIX[axes]
        rng = np.random.default_rng([training.seed, axes, size])
        names = rng.choice(list(families), training.problems, p=list(families.values()))
        made = []
        for k, name in enumerate(names):
            seed = TRAINING_SEEDS + 10_000 * training.seed + k
            op = GridOperator(**grid_problem(str(name), (size,) * axes, seed).arguments)
            if usable(multilevel(op)):
                made.append(op)
        self._all = finest_level(made)
        self._count = len(made)

    def drawn(self, count: int, generator: torch.Generator) -> Level:
        """A batch of them."""
        some = torch.randperm(self._count, generator=generator)[:count]
        g = self._all
        return Level([c[some] for c in g.couplings], g.wall[some], g.mass[some], g.active[some], [], g.varies[some])


def loss_of(M: Hierarchy, generator: torch.Generator, steps: int, of_error: bool) -> torch.Tensor:
    """Mean logarithm of what so many steps of conjugate gradients leave, of the error in the norm of A or of the
    residual, squared."""
    A = M.levels[0]
    noise = A.part * torch.randn(A.part.shape, generator=generator, dtype=torch.float64)
    exact = noise if of_error else torch.zeros_like(noise)
    r = A(noise) if of_error else noise
    x, p, q = torch.zeros_like(r), None, None
    begin = _dot(exact, r) if of_error else _dot(r, r)
    for _ in range(steps):
        z = M(r)
        p = z if p is None or q is None else z - _dot(z, q) / _dot(p, q) * p
        q = A(p)
        alpha = _dot(p, r) / _dot(p, q)
        x, r = x + alpha * p, r - alpha * q
    end = _dot(exact - x, r) if of_error else _dot(r, r)
    return ((end / begin).clamp_min(1e-30)).log().mean()


def _dot(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (x * y).sum(tuple(range(1, x.ndim)), keepdim=True)


# ---- the training ------------------------------------------------------------------------------


class Validation:
    """Iterations to 1e-6 on problems that the training does not see, with the net over those without it."""

    def __init__(self, training: Training) -> None:
        space = training.size // 4
        self._problems = []
        for axes, sizes in ((2, (training.size, 2 * training.size, 4 * training.size)), (3, (space, 2 * space))):
            for size, family, k in itertools.product(sizes, MIX[axes], range(VALIDATED)):
                problem = grid_problem(family, (size,) * axes, VALIDATION_SEEDS + k)
                op = GridOperator(**problem.arguments)
                before = iterations(op, problem.right(), None)
                self._problems.append((f"{family} {axes}-D", op, problem.right(), before))

    def __call__(self, corrections: Corrections) -> tuple[float, float, dict[str, float]]:
        """The geometric mean of the ratios, the largest, and the means of the families."""
        ratios: dict[str, list[float]] = {}
        for family, op, b, before in self._problems:
            ratios.setdefault(family, []).append(iterations(op, b, corrections) / before)
        every = [ratio for found in ratios.values() for ratio in found]
        return mean_of(every), max(every), {family: mean_of(found) for family, found in ratios.items()}


def iterations(op: GridOperator, b: Array, corrections: Corrections | None, rtol: float = 1e-6) -> float:
    """Iterations to a tolerance, a fraction of the last one by what it gained: whole ones hide what a net does."""
    M = multilevel(op, weights=corrections, gate=False)
    before = goal = 1.0
    for count, left in enumerate(M.residuals(b, 200)):
        if count == 0:
            before, goal = left, rtol * left
        elif left <= goal:
            return count - 1 + math.log(goal / before) / math.log(left / before)
        before = left
    return 200.0


def mean_of(ratios: list[float]) -> float:
    """The geometric mean."""
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


class Trainer:
    """The net and what its steps need; the same seed and number of threads give the same net."""

    def __init__(self, training: Training) -> None:
        self.training = training
        self.generator = torch.Generator().manual_seed(training.seed)
        start = Corrections.random(training.seed).parameters
        self.parameters = {name: torch.from_numpy(start[name].copy()).requires_grad_() for name in SHAPES}
        kinds = ((2, training.size // 2), (2, training.size), (3, training.size // 4))
        self.problems = [Problems(training, *kind) for kind in kinds]
        self._optimizer = torch.optim.Adam(list(self.parameters.values()), lr=LARGEST_RATE)
        self._count = 0

    def step(self, part: float) -> float:
        """One step of Adam, `part` of all steps after the first; the loss, less that of the hand-made hierarchy."""
        for group in self._optimizer.param_groups:
            group["lr"] = LEAST_RATE + (LARGEST_RATE - LEAST_RATE) * 0.5 * (1 + math.cos(math.pi * part))
        training = self.training
        kind = 2 if self._count % training.space == training.space - 1 else int(part >= training.early)
        A = self.problems[kind].drawn(training.batch, self.generator)
        state, of_error = self.generator.get_state(), bool(torch.rand((), generator=self.generator) < 0.5)
        loss = loss_of(Hierarchy(A, self.parameters), self.generator, training.unrolled, of_error)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(list(self.parameters.values()), 1.0)
        self._optimizer.step()
        self.generator.set_state(state)
        with torch.no_grad():
            A = replace(A, shares=[], scale=None)
            by_hand = loss_of(Hierarchy(A, None), self.generator, training.unrolled, of_error)
        self._count += 1
        return loss.item() - by_hand.item()

    def corrections(self, kept: int) -> Corrections:
        """The parameters after `kept` steps, in the precision of the files."""
        arrays = {n: p.detach().numpy().astype(np.float32).astype(np.float64) for n, p in self.parameters.items()}
        return Corrections(arrays, {**asdict(self.training), "kept": kept})


def lasting(seconds: float, training: Training) -> Training:
    """The training with about as many steps as fit."""
    trainer, validate = Trainer(training), Validation(training)
    steps = steps_in(seconds, training, trainer.step, lambda: validate(trainer.corrections(0)))
    return replace(training, steps=steps)


def train(training: Training, report: Callable[[str], None], keep: Callable[[Corrections], None]) -> Corrections:
    """The corrections that did best in validation; those of the start, which change nothing, if none did better.
    `report` gets a line a step, `keep` what is the best so far."""
    trainer, validate = Trainer(training), Validation(training)
    best, best_mean, average = trainer.corrections(0), 1.0, 0.0
    every = max(1, training.steps // training.validations)
    said = ""
    for step in range(training.steps + 1):
        if (step and step % every == 0) or step == training.steps:
            mean, worst, families = validate(trainer.corrections(step))
            if mean < best_mean and worst <= WORST:
                best, best_mean = trainer.corrections(step), mean
                keep(best)
            by_family = ", ".join(f"{name} {ratio:.3f}" for name, ratio in families.items())
            said = f"iterations {mean:.3f} (worst {worst:.2f}; {by_family}), best {best_mean:.3f}"
        if step < training.steps:
            loss = trainer.step(step / training.steps)
            average = loss if step == 0 else 0.98 * average + 0.02 * loss
        report(f"step {step}, loss {average:+.4f}, {said}")
    return best
