"""The net of the learned corrections in torch, for its training: the definition that `multilevel_net.c` follows.

Arrays are (batch, *grid) with channels last; couplings are those with the cell before along an axis. Grids may be odd,
and wrap around.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch

#: Of a cell along an axis: couplings out and in over the mean of the diagonal's. Of a cell: its sink over the diagonal,
#: how its diagonal compares with those around, whether it takes part. Here for a place outside of the grid.
OUTSIDE = (-1.0, -1.0, 0.0, 0.0, -1.0)
#: Less of a deviation is rounding.
DEAD = 1e-4

#: How far each head may go: of a logit, or of a logarithm.
MOST_SHARE, MOST_SCALE, MOST_LINK, MOST_SINK = 2.0, 1.0, 0.7, 1.0


def added(terms: Iterable[torch.Tensor]) -> torch.Tensor:
    """Their sum."""
    return torch.stack(list(terms)).sum(0)


def moved_share(share: torch.Tensor, logit: torch.Tensor) -> torch.Tensor:
    """The share with its logit moved; the same share, to the bit, where that is 0."""
    grown = torch.expm1(logit)
    return share + share * (1 - share) * grown / (1 + share * grown)


# ---- places ------------------------------------------------------------------------------------


def shifted(x: torch.Tensor, axis: int, step: int, wrap: bool, outside: torch.Tensor | float = 0.0) -> torch.Tensor:
    """What stands at the cell before (step -1) or after (+1) along an axis; `outside` where there is none."""
    ahead = (slice(None),) * axis
    first, last = x[(*ahead, slice(0, 1))], x[(*ahead, slice(-1, None))]
    if not wrap:
        first = last = torch.zeros_like(first) + outside
    if step < 0:
        return torch.concatenate([last, x[(*ahead, slice(None, -1))]], axis)
    return torch.concatenate([x[(*ahead, slice(1, None))], first], axis)


def _left(x: torch.Tensor, axis: int, ndim: int) -> torch.Tensor:
    """Whether a cell is the first of its block along an axis, in a shape that goes with arrays of ndim axes."""
    n = x.shape[axis]
    return (torch.arange(n) % 2 == 0).reshape([n if k == axis else 1 for k in range(ndim)])


def out_and_in(
    x: torch.Tensor, axis: int, wrap: bool, outside: torch.Tensor | float = 0.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """What stands across the interface of the cell's block, and at the other cell of the block."""
    left = _left(x, axis, x.ndim)
    before, after = (shifted(x, axis, step, wrap, outside) for step in (-1, 1))
    return torch.where(left, before, after), torch.where(left, after, before)


def pooled(x: torch.Tensor, axis: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The first and the second cells of the blocks along an axis; zeros where a block has no second."""
    ahead = (slice(None),) * axis
    first, second = x[(*ahead, slice(0, None, 2))], x[(*ahead, slice(1, None, 2))]
    if second.shape[axis] < first.shape[axis]:
        second = torch.concatenate([second, torch.zeros_like(first[(*ahead, slice(-1, None))])], axis)
    return first, second


# ---- what the net sees, and says ---------------------------------------------------------------


@dataclass
class Cells:
    """Of each cell (batch, *grid, features): along each axis, and whatever the axis; and for the scale of its row the
    part s / (s + c / 2) of its sink s, c the mean of its couplings."""

    along: list[torch.Tensor]
    own: torch.Tensor
    sink_part: torch.Tensor
    wraps: Sequence[bool]

    @classmethod
    def of(
        cls, couplings: Sequence[torch.Tensor], sink: torch.Tensor, active: torch.Tensor, wraps: Sequence[bool]
    ) -> Cells:
        axes = len(couplings)
        before = list(couplings)
        after = [shifted(c, 1 + a, 1, wraps[a]) for a, c in enumerate(couplings)]
        total, count = added(before + after), added((c > 0) * 1.0 for c in before + after)
        diagonal = torch.where(active, total + sink, torch.ones_like(total))
        part, inverse = active * 1.0, torch.where(active, 1 / diagonal, torch.zeros_like(total))
        around, there = active * diagonal, active * 1.0
        for a in range(axes):
            for step in (-1, 1):
                around = around + shifted(active * diagonal, 1 + a, step, wraps[a])
                there = there + shifted(part, 1 + a, step, wraps[a])
        square = (diagonal * there / torch.where(active, around, torch.ones_like(total))) ** 2
        contrast = torch.where(active, (square - 1) / (square + 1), torch.zeros_like(total))
        along = []
        for a in range(axes):
            left = _left(total, 1 + a, total.ndim)
            outer, inner = torch.where(left, before[a], after[a]), torch.where(left, after[a], before[a])
            along.append(_without_rounding(torch.stack([2 * axes * inverse * c - 1 for c in (outer, inner)], -1)))
        own = _without_rounding(torch.stack([sink * inverse, contrast, part - 1], -1))
        mean = total / torch.where(count > 0, count, torch.ones_like(total))
        bottom = sink + 0.5 * mean
        sink_part = torch.where(bottom > 0, sink / torch.where(bottom > 0, bottom, torch.ones_like(total)), 0 * sink)
        return cls(along, own, sink_part, wraps)


def _without_rounding(x: torch.Tensor) -> torch.Tensor:
    return torch.where(abs(x) < DEAD, torch.zeros_like(x), x)


@dataclass
class Heads:
    """Shifts: of the shares' logits and of the coarse couplings' logarithms along each axis, of the logarithms of the
    rows' scale and of the coarse sinks (of walls, and of reaction)."""

    share: list[torch.Tensor]
    link: list[torch.Tensor]
    scale: torch.Tensor
    sinks: torch.Tensor

    @classmethod
    def of(cls, parameters: Mapping[str, torch.Tensor], cells: Cells) -> Heads:
        axes, wraps = len(cells.along), cells.wraps
        outside = torch.tensor(OUTSIDE, dtype=cells.own.dtype)
        mean = added(cells.along) / axes
        seen = []
        for a, along in enumerate(cells.along):
            beside = out_and_in(torch.concatenate([along, cells.own], -1), 1 + a, wraps[a], outside)
            seen.append(torch.concatenate([along, mean, cells.own, *beside], -1))
        hidden = [_layer(parameters["first"], parameters["first_shift"], x) for x in seen]
        mean = added(hidden) / axes
        wide = [
            torch.concatenate([h, mean, *out_and_in(h, 1 + a, wraps[a])], -1) for a, h in enumerate(hidden)
        ]  # fmt: skip
        last = [_layer(parameters["second"], parameters["second_shift"], x) for x in wide]
        of_block = added(last) / axes
        for a in range(axes):
            of_block = added(pooled(of_block, 1 + a)) / 2
        links = []
        for a, z in enumerate(last):
            for other in range(axes):
                if other != a:
                    z = added(pooled(z, 1 + other)) / 2
            first, second = pooled(z, 1 + a)
            block = (first + second) / 2
            near = (first + shifted(second, 1 + a, -1, wraps[a])) / 2
            far = (block + shifted(block, 1 + a, -1, wraps[a])) / 2
            links.append(MOST_LINK * torch.tanh(torch.concatenate([far, near], -1) @ parameters["link"]))
        return cls(
            share=[MOST_SHARE * torch.tanh(z @ parameters["share"]) for z in last],
            link=links,
            scale=MOST_SCALE * torch.tanh((added(last) / axes) @ parameters["scale"]) * cells.sink_part,
            sinks=MOST_SINK * torch.tanh(of_block @ parameters["sinks"]),
        )


def _layer(weight: torch.Tensor, shift: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """relu(x W + b) - relu(b): 0, to the bit, where x is."""
    return (x @ weight + shift).clip(0) - shift.clip(0)
