"""The training of the learned direction of `dcdm`; needs torch, and runs once, before the package is built.

Follows Kaneda, Akar, Chen, Kala, Hyde and Teran (2023), arXiv 2205.10763. Differs from the paper in:

1. m, the steps of Lanczos' iteration, is scaled to the size: min(n / 4, 800) for n cells instead of 10,000 for 262,144
   and more; the "lower half and 500 more" of its Ritz pairs is the lower half and m / 20 more. Right-hand sides are
   drawn anew for each batch, not once 20,000.
2. The input has unit root mean square, not unit length: at one size that is a constant factor, and between sizes it
   leaves the values of a cell what they were.
3. Beyond a side that is a wall the convolutions see the last cells again, not zeros: the sides are told to the net. The
   paper's net, zeros all round, takes more than half of CG's iterations where sides are walls.
4. The net starts as a two-level cycle for the empty box and small random numbers, not as random numbers alone.
5. A part of each batch (`replay`) are residuals that earlier directions of the same net left, conjugated as the solver
   does it: what the net meets in use is its own leavings. 0 is the paper's training.
6. Some boxes have obstacles (`obstacles`), that hold the value 0 or are walls, and some sides are walls; the right-hand
   sides are still those of the empty box. 0 is the paper's training.
7. The loss is the mean of the logarithm of the paper's, so that it counts iterations.
8. The first steps are on boxes of half the size, the rate of Adam falls from 3e-4 to 1e-5, and the gradient's length is
   cut at 1: two CPU cores have minutes, not the days of a GPU at a rate of 1e-4.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg
import scipy.sparse
import scipy.sparse.linalg
import torch
from torch.nn import functional

from .._base.sparse import identity
from ._network import BLOCKS, CHANNELS, Weights

Array = npt.NDArray[Any]

LARGEST_RATE, LEAST_RATE = 3e-4, 1e-5
#: What is added to a ratio before its logarithm, so that no single sample leads the rest.
LEAST_RATIO = 1e-3
#: Random weights at the start, in parts of the usual ones.
NOISE = 0.02
STEPS_OF_LANCZOS = 800
#: The amplitude of the lower part of the spectrum.
LOW = 9.0
#: A sample is replaced by a fresh one with this probability, once it has been through a step.
RENEWAL = 0.08


@dataclass(frozen=True)
class Training:
    """What a training is made of; its hash is kept with the weights."""

    dim: int
    size: int
    steps: int
    seed: int
    batch: int = 16
    replay: float = 0.5
    #: Part of the samples with obstacles in the box, and walls around it.
    obstacles: float = 0.7
    #: Part of the steps on boxes of half the size.
    early: float = 0.5
    validations: int = 20


def chebyshev_pairs(low: float, high: float, degree: int) -> list[tuple[float, float]]:
    """(a, b) of each factor 1 - a t - b t^2 of Chebyshev's polynomial of an even degree on [low, high], 1 at t = 0."""
    angles = np.pi * (2 * np.arange(degree) + 1) / (2 * degree)
    roots = (high + low) / 2 + (high - low) / 2 * np.cos(angles)
    # the largest with the least, so that no factor grows large
    return [(1 / s + 1 / t, -1 / (s * t)) for s, t in zip(roots[: degree // 2], roots[::-1], strict=False)]


def two_level_cycle(dim: int) -> tuple[Array, list[Array], Array]:
    """Weights (first, middle, last) with which the net is a two-level cycle for the empty box.

    A number v that may have either sign is kept as a pair of channels with v = x[2 j] - x[2 j + 1]: a pair of ReLUs
    passes it on as it is. The numbers of a cell: U the approximate solution, R the right-hand side, S the residual that
    is pooled, E the correction of the half resolution. Each pair of convolutions forms h = R - A U and adds
    (a + b A) h to U: two steps of Chebyshev's iteration. What upsampling would repeat of R and U is taken back by the
    first pair at half the resolution.
    """
    U, R, S, E = range(4)
    H, HU, HR = range(3)
    one = np.zeros((3,) * dim)
    one[(1,) * dim] = 1
    stencil_ = 2 * dim * one
    for axis in range(dim):
        for side in (0, 2):
            stencil_[tuple(side if k == axis else 1 for k in range(dim))] = -1
    high = 4.0 * dim

    def kernel(parts: dict[tuple[int, int], Array]) -> Array:
        """(out, in) numbers -> weights between their channels."""
        weight = np.zeros((CHANNELS, CHANNELS) + (3,) * dim, np.float32)
        for (out, into), values in parts.items():
            for i in range(2):
                for j in range(2):
                    weight[2 * out + i, 2 * into + j] = values if i == j else -values
        return weight

    (a, b), (a2, _) = chebyshev_pairs(high / 6, high, 2)[0], (1.5 / high, 0)
    first = np.zeros((CHANNELS, 1) + (3,) * dim, np.float32)
    first[2 * R, 0], first[2 * R + 1, 0] = one / 2, -one / 2
    middle = [
        kernel({(H, R): one, (H, U): -stencil_}), kernel({(U, H): a * one + b * stencil_}),
        kernel({(H, R): one, (H, U): -stencil_}), kernel({(U, H): a2 * one, (S, H): one - a2 * stencil_}),
    ]  # fmt: skip
    for number, (c, d) in enumerate(chebyshev_pairs(0.1, high, 2 * BLOCKS[1])):
        hidden, out = {(H, S): 4 * one, (H, E): -stencil_}, {(E, H): c * one + d * stencil_}
        if number == 0:
            hidden, out = {**hidden, (HU, U): one, (HR, R): one}, {**out, (U, HU): -one, (R, HR): -one}
        middle += [kernel(hidden), kernel(out)]
    for _ in range(BLOCKS[2]):
        middle += [
            kernel({(H, R): one, (H, U): -stencil_, (H, E): -stencil_}), kernel({(U, H): a * one + b * stencil_}),
        ]  # fmt: skip
    last = np.zeros((1, CHANNELS) + (1,) * dim, np.float32)
    last[0, [2 * U, 2 * E]], last[0, [2 * U + 1, 2 * E + 1]] = 1, -1
    return first, middle, last


def border(shape: Any, walls: torch.Tensor | None, count: int) -> torch.Tensor:
    """1 in the cells and beyond walls, 0 beyond other sides: (count, 1, *shape) with one more cell at each end."""
    mask = torch.ones(count, 1, *[1] * len(shape))
    for axis, n in enumerate(shape):
        line = torch.ones(count, n + 2)
        for end in (0, -1):
            line[:, end] = 0 if walls is None else walls[:, axis, end].float()
        mask = mask * line.reshape(count, 1, *[n + 2 if k == axis else 1 for k in range(len(shape))])
    return mask


class Network(torch.nn.Module):
    """The published net: 5 convolutions, 6 at half the resolution, 4 after, in residual pairs, and a weighted sum."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
        make = torch.nn.Conv2d if dim == 2 else torch.nn.Conv3d
        self.first = make(1, CHANNELS, 3)
        self.middle = torch.nn.ModuleList(make(CHANNELS, CHANNELS, 3) for _ in range(2 * sum(BLOCKS)))
        self.last = make(CHANNELS, 1, 1)
        self._start()

    def _start(self) -> None:
        """A two-level cycle, and small random numbers."""
        with torch.no_grad():
            for convolution in (self.first, *self.middle, self.last):
                torch.nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
                convolution.weight *= NOISE
                convolution.bias.zero_()
            first, middle, last = two_level_cycle(self.dim)
            for convolution, weight in zip((self.first, *self.middle, self.last), (first, *middle, last), strict=True):
                convolution.weight.add_(torch.from_numpy(weight))

    def forward(self, r: torch.Tensor, walls: torch.Tensor | None = None) -> torch.Tensor:
        """Directions of shape (batch, 1, *grid) for residuals of that shape and any size; walls (batch, axis, end):
        beyond which sides the last cells are seen again, not zeros."""
        pool = functional.avg_pool2d if self.dim == 2 else functional.avg_pool3d
        scale = r.square().mean(tuple(range(1, r.ndim)), keepdim=True).rsqrt()
        convolutions: Iterator[Any] = iter(self.middle)
        fine_border = border(r.shape[2:], walls, len(r))
        coarse_border = border(tuple((n + 1) // 2 for n in r.shape[2:]), walls, len(r))

        def wide(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            return functional.pad(x, (1,) * (2 * self.dim), mode="replicate") * mask

        def pairs(x: torch.Tensor, count: int, mask: torch.Tensor) -> torch.Tensor:
            for _ in range(count):
                inner, outer = next(convolutions), next(convolutions)
                hidden = functional.relu(inner(wide(x, mask)))
                x = functional.relu(outer(wide(hidden, mask))) + x
            return x

        fine = pairs(self.first(wide(r * scale, fine_border)), BLOCKS[0], fine_border)
        up = pairs(pool(fine, 2, ceil_mode=True, count_include_pad=False), BLOCKS[1], coarse_border)
        for axis in range(2, r.ndim):
            up = up.repeat_interleave(2, axis).narrow(axis, 0, r.shape[axis])
        out: torch.Tensor = self.last(pairs(fine + up, BLOCKS[2], fine_border))
        return out

    def weights(self, training: Training, kept: int) -> Weights:
        """The parameters after `kept` steps, as the compiled inference takes them."""
        arrays = {name: value.detach().numpy().copy() for name, value in self.state_dict().items()}
        middle = range(len(self.middle))
        return Weights(
            dim=self.dim,
            first=arrays["first.weight"],
            middle=np.stack([arrays[f"middle.{k}.weight"] for k in middle]),
            biases=np.stack([arrays["first.bias"], *(arrays[f"middle.{k}.bias"] for k in middle)]),
            last=arrays["last.weight"].reshape(CHANNELS),
            shift=float(arrays["last.bias"][0]),
            training={**asdict(training), "kept": kept},
        )


@dataclass
class Boxes:
    """A batch of Laplacians of boxes with zeros all round, times minus the spacing squared, some with obstacles.

    free: 1 where a cell is in use, (batch, 1, *grid); walls (batch, axis, end). joined: for each axis, 1 where a cell
    exchanges with the one before it; one more than cells, the sides at both ends. An obstacle is a wall (no exchange)
    or holds the value 0.
    """

    free: torch.Tensor
    walls: torch.Tensor
    joined: list[torch.Tensor]

    @classmethod
    def of(cls, free: Array, insulated: Array, walls: Array | None = None) -> Boxes:
        """free (batch, *grid); insulated (batch,), whether a box's obstacles are walls; walls (batch, axis, end): which
        of its sides are."""
        joined = []
        walls = np.zeros((len(free), free.ndim - 1, 2), bool) if walls is None else walls
        for axis in range(1, free.ndim):
            low, high = (
                free[(slice(None),) * axis + (slice(None, -1),)],
                free[(slice(None),) * axis + (slice(1, None),)],
            )
            inner = (low & high) | ~insulated.reshape(-1, *[1] * (free.ndim - 1))
            wide = np.pad(inner, [(int(k == axis),) * 2 for k in range(free.ndim)], constant_values=True)
            for end in (0, -1):
                np.moveaxis(wide, axis, 0)[end] = ~walls[:, axis - 1, end].reshape(-1, *[1] * (free.ndim - 2))
            joined.append(torch.from_numpy(wide)[:, None].float())
        return cls(torch.from_numpy(free)[:, None].float(), torch.from_numpy(walls), joined)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """The products with vectors that are zero in obstacles."""
        out = torch.zeros_like(x)
        for axis, faces in enumerate(self.joined, start=2):
            n = x.shape[axis]
            zero = torch.zeros_like(x.narrow(axis, 0, 1))
            wide = torch.cat([zero, x, zero], axis)
            flux = faces * (wide.narrow(axis, 1, n + 1) - wide.narrow(axis, 0, n + 1))
            out = out + flux.narrow(axis, 0, n) - flux.narrow(axis, 1, n)
        return self.free * out

    def replaced(self, rows: torch.Tensor, others: Boxes) -> Boxes:
        """With `others` where `rows` says. New arrays: the gradient still needs the old ones."""
        old, new = [self.free, self.walls, *self.joined], [others.free, others.walls, *others.joined]
        free, walls, *joined = (mine.index_put((rows,), theirs) for mine, theirs in zip(old, new, strict=True))
        return Boxes(free, walls, joined)


def box(shape: tuple[int, ...]) -> scipy.sparse.csr_array:
    """The same as a matrix."""
    matrix = scipy.sparse.csr_array((math.prod(shape),) * 2)
    for axis, n in enumerate(shape):
        line = scipy.sparse.diags([-1.0, 2.0, -1.0], [-1, 0, 1], shape=(n, n))
        before, after = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
        term = scipy.sparse.kron(scipy.sparse.kron(identity(before), line), identity(after))
        matrix = matrix + scipy.sparse.csr_array(term)
    return matrix


def ritz_vectors(A: Any, steps: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """(values ascending, vectors in columns, float32) of Lanczos' iteration with full reorthogonalisation."""
    n = A.shape[0]
    basis = np.zeros((steps, n))
    alpha, beta = np.zeros(steps), np.zeros(steps)
    v = rng.standard_normal(n)
    v /= np.linalg.norm(v)
    for k in range(steps):
        basis[k] = v
        w = A @ v
        alpha[k] = v @ w
        for _ in range(2):
            w -= (basis[: k + 1] @ w) @ basis[: k + 1]
        beta[k] = np.linalg.norm(w)
        if beta[k] < 1e-10:
            steps = k + 1
            break
        v = w / beta[k]
    values, vectors = scipy.linalg.eigh_tridiagonal(alpha[:steps], beta[: steps - 1])
    kept = values >= 1e-8
    return values[kept], (basis[:steps].T @ vectors[:, kept]).astype(np.float32)


class RightHandSides:
    """Random combinations of Ritz vectors of the empty box, low ones nine times as strong."""

    def __init__(self, shape: tuple[int, ...], rng: np.random.Generator) -> None:
        n = math.prod(shape)
        steps = min(n // 4, STEPS_OF_LANCZOS)
        values, vectors = ritz_vectors(box(shape), steps, rng)
        self.shape = shape
        self._vectors = torch.from_numpy(vectors)
        lower = len(values) // 2 + len(values) // 20
        self._amplitude = torch.where(torch.arange(len(values)) < lower, LOW, 1.0)[:, None]

    def draw(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """`count` right-hand sides of unit length, (count, 1, *grid)."""
        factors = torch.randn((self._vectors.shape[1], count), generator=generator) * self._amplitude
        b = (self._vectors @ factors).T.reshape(count, 1, *self.shape)
        return b / norms(b)


def norms(x: torch.Tensor) -> torch.Tensor:
    """2-norm of each sample, to be broadcast."""
    return x.square().sum(tuple(range(1, x.ndim)), keepdim=True).sqrt()


def dots(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Inner product of each pair of samples, to be broadcast."""
    return (x * y).sum(tuple(range(1, x.ndim)), keepdim=True)


class Pool:
    """The batch: fresh right-hand sides, and in the replayed part what directions so far have left of them."""

    def __init__(self, data: RightHandSides, training: Training, generator: torch.Generator, rng: Any) -> None:
        self._data, self._training, self._generator, self._rng = data, training, generator, rng
        self._replayed = round(training.replay * training.batch)
        self.r, self.boxes = self._drawn(training.batch)
        self.p, self.q = torch.zeros_like(self.r), torch.zeros_like(self.r)

    def _drawn(self, count: int) -> tuple[torch.Tensor, Boxes]:
        """Right-hand sides of unit length, and the boxes."""
        grid, rng = self._data.shape, self._rng
        free, walls = np.ones((count, *grid), bool), np.zeros((count, len(grid), 2), bool)
        for k in np.flatnonzero(rng.random(count) < self._training.obstacles):
            free[k], walls[k] = with_obstacles(grid, rng), some_walls(len(grid), rng)
        boxes = Boxes.of(free, rng.random(count) < 0.5, walls)
        r = self._data.draw(count, self._generator) * boxes.free
        return r / norms(r), boxes

    def loss(self, net: Network) -> torch.Tensor:
        """Mean of log(|r - alpha A d|^2 / |r|^2) over the batch, for the conjugated direction d and the alpha that is
        best in the norm of A; the batch moves on."""
        direction = net(self.r, self.boxes.walls) * self.boxes.free
        p, q = self.p, self.q
        d = direction - dots(direction, q) / dots(p, q).clamp_min(1e-30) * p
        product = self.boxes(d)
        alpha = dots(self.r, d) / dots(d, product).clamp_min(1e-30)
        left = self.r - alpha * product
        ratio = dots(left, left) / dots(self.r, self.r)
        self._move_on(left.detach(), d.detach(), product.detach())
        return (ratio + LEAST_RATIO).log().mean()

    def _move_on(self, left: torch.Tensor, d: torch.Tensor, product: torch.Tensor) -> None:
        length = norms(left).clamp_min(1e-30)
        size = norms(d).clamp_min(1e-30)
        self.r, self.p, self.q = left / length, d / size, product / size
        fresh = torch.rand(len(left), generator=self._generator) < RENEWAL
        fresh[self._replayed :] = True
        fresh |= ~torch.isfinite(self.r).flatten(1).all(1)
        self.r[fresh], boxes = self._drawn(int(fresh.sum()))
        self.boxes = self.boxes.replaced(fresh, boxes)
        self.p[fresh] = 0
        self.q[fresh] = 0


def with_obstacles(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Cells that are in use: a box less a few balls."""
    free = np.ones(shape, bool)
    for _ in range(int(rng.integers(1, 6))):
        square = np.zeros(shape)
        radius = rng.uniform(0.03, 0.15)
        for axis, n in enumerate(shape):
            place = (np.arange(n) + 0.5) / n - rng.uniform(0.1, 0.9)
            square = square + (place**2).reshape([-1 if k == axis else 1 for k in range(len(shape))])
        free &= square > radius**2
    return free


def some_walls(axes: int, rng: np.random.Generator) -> Array:
    """Which sides of a box are walls, (axis, end); all but the last at most."""
    walls: Array = rng.random((axes, 2)) < rng.choice([0.0, 0.5, 1.0])
    walls[-1, -1] &= not walls.all()
    return walls


def iterations(net: Network, boxes: Boxes, seed: int, limit: int = 200) -> int:
    """What the solver would take to 1e-4 for a random right-hand side, in float32 and with k = 2."""
    r = torch.randn(boxes.free.shape, generator=torch.Generator().manual_seed(seed)) * boxes.free
    ring: list[tuple[torch.Tensor, ...]] = []
    goal = 1e-4 * float(norms(r))
    for count in range(limit):
        if float(norms(r)) <= goal:
            return count
        with torch.no_grad():
            d = net(r, boxes.walls) * boxes.free
        for p, q, pq in ring:
            d = d - dots(d, q) / pq * p
        q = boxes(d)
        r = r - dots(r, d) / dots(d, q) * q
        ring = [*ring, (d, q, dots(d, q))][-2:]
    return limit


class Validation:
    """The geometric mean of iteration counts on boxes and obstacles that the training does not see, at two sizes."""

    def __init__(self, training: Training) -> None:
        self._boxes = []
        for size in (training.size, 2 * training.size) if training.dim == 2 else (training.size,):
            shape = (size,) * training.dim
            for insulated in (False, True):
                free = with_obstacles(shape, np.random.default_rng([size, insulated, 10_000]))
                walls = np.zeros((1, training.dim, 2), bool)
                if insulated:
                    walls[:, 0] = walls[:, 1, 0] = True
                self._boxes.append(Boxes.of(free[None], np.array([insulated]), walls))
        empty = np.ones((1, *(training.size,) * training.dim), bool)
        self._boxes.append(Boxes.of(empty, np.array([False])))

    def __call__(self, net: Network) -> tuple[float, list[int]]:
        counts = [iterations(net, boxes, seed) for seed, boxes in enumerate(self._boxes)]
        return math.exp(sum(math.log(max(count, 1)) for count in counts) / len(counts)), counts


class Trainer:
    """The net and what its steps need; the same seed and number of threads give the same net."""

    def __init__(self, training: Training) -> None:
        torch.manual_seed(training.seed)
        generator, rng = torch.Generator().manual_seed(training.seed), np.random.default_rng(training.seed)
        self.training, self.net = training, Network(training.dim)
        sizes = (training.size // 2, training.size)
        data = [RightHandSides((size,) * training.dim, rng) for size in sizes]
        self.pools = [Pool(each, training, generator, rng) for each in data]
        self._optimizer = torch.optim.Adam(self.net.parameters(), lr=LARGEST_RATE)

    def step(self, part: float) -> float:
        """One step of Adam, `part` of all steps after the first; the loss before it."""
        for group in self._optimizer.param_groups:
            group["lr"] = LEAST_RATE + (LARGEST_RATE - LEAST_RATE) * 0.5 * (1 + math.cos(math.pi * part))
        loss = self.pools[int(part >= self.training.early)].loss(self.net)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self._optimizer.step()
        return loss.item()


def lasting(seconds: float, training: Training) -> Training:
    """The training with about as many steps as fit."""
    trainer, validate = Trainer(training), Validation(training)
    steps = steps_in(seconds, training, trainer.step, lambda: validate(trainer.net))
    return replace(training, steps=steps)


def steps_in(seconds: float, training: Any, step: Callable[[float], Any], validate: Callable[[], Any]) -> int:
    """About how many steps fit, by the time that a few of either size and a validation take."""

    def least_time(work: Callable[[], Any], repeats: int) -> float:
        times = []
        for _ in range(repeats):
            begun = time.monotonic()
            work()
            times.append(time.monotonic() - begun)
        return min(times)

    left = seconds - training.validations * least_time(validate, 1)
    early, late = (least_time(functools.partial(step, part), 5) for part in (0.0, 1.0))
    return max(1, int(left / (training.early * early + (1 - training.early) * late)))


def train(training: Training, report: Callable[[str], None], keep: Callable[[Weights], None]) -> Weights:
    """The net that did best in validation. `report` gets a line a step, `keep` every net that is the best so far."""
    trainer, validate = Trainer(training), Validation(training)
    best, best_mean, average = trainer.net.weights(training, 0), math.inf, math.nan
    every = max(1, training.steps // training.validations)
    said = ""
    for step in range(training.steps + 1):
        if step % every == 0 or step == training.steps:
            mean, counts = validate(trainer.net)
            said = f"iterations {mean:.1f} {counts}"
            if mean < best_mean:
                best, best_mean = trainer.net.weights(training, step), mean
                keep(best)
            said += f", best {best_mean:.1f}"
        if step < training.steps:
            loss = trainer.step(step / training.steps)
            average = loss if step == 0 else 0.98 * average + 0.02 * loss
        report(f"step {step}, loss {average:.4f}, {said}")
    return best
