"""The net's evaluation against torch: the same weights, the same residuals."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from solvers.linalg import LearnedDirection
from solvers.linalg._network import BLOCKS, CHANNELS, Weights

from . import controls, harness
from .harness import ratio
from .report import Report, Row, Target

SHAPES = ((64, 64), (128, 128), (256, 256), (32, 32, 32), (48, 48, 48), (64, 64, 64))
QUICK = ((12, 12), (6, 6, 6))
#: Turns, and seconds of calls in each.
TURNS, STRETCH = 9, 0.1
#: Seconds before a turn: torch's threads spin for milliseconds after a call, and take a core from what follows.
PAUSE = 0.03
#: What float32 may make of the largest value.
CLOSE = 3e-5


def add(report: Report, quick: bool, threads: int) -> None:
    """A row a shape; the peer is torch at its best. On one thread also the share of the core's multiply-adds."""
    torch = harness.peer("torch")
    if torch is None:
        return
    table = report.table(
        f"One direction of the net, float32, threads: {threads}; torch eager, channels last, and frozen for inference "
        "(oneDNN)"
    )
    least = np.inf
    for shape in harness.progress(QUICK if quick else SHAPES, "dcdm net"):
        direction = LearnedDirection(shape, threads=threads)
        r = np.random.default_rng(1).standard_normal(int(np.prod(shape)))
        expected = direction(r)
        calls: dict[str, Any] = {"ours": lambda direction=direction, r=r: direction(r)}
        for name, module, x in _peers(torch, direction.weights, r.reshape(1, 1, *shape)):
            calls[name] = lambda module=module, x=x: _run(torch, module, x)
            error = abs(calls[name]().ravel() - expected).max() / abs(expected).max()
            assert error <= CLOSE, f"{name} differs by {error:.2g}"
        if threads == 1:
            calls |= controls.arithmetic()
        timings = _timings(calls, 2 if quick else TURNS)
        control = timings.pop(controls.ARITHMETIC, None)
        best = min((timing for name, timing in timings.items() if name != "ours"), key=lambda timing: timing.median)
        least = min(least, ratio(best, timings["ours"]))
        row: Row = {"cells": " x ".join(map(str, shape)), **timings, "ratio": ratio(best, timings["ours"])}
        if control is not None:
            plain = _multiply_adds(shape) / controls.multiply_adds() * control.minimum  # seconds of them at the peak
            row |= {"torch, of the peak": plain / best.minimum, "ours, as plain sums": plain / timings["ours"].minimum}
        table.rows.append(row)
    report.targets.append(Target(f"torch's best over ours, threads: {threads}, worst row", ">=", 3.0, float(least)))


def _multiply_adds(shape: tuple[int, ...]) -> float:
    """Of one direction by the definition of its convolutions."""
    fine, coarse = 2 * (BLOCKS[0] + BLOCKS[2]), 2 * BLOCKS[1] / 2 ** len(shape)
    return float(np.prod(shape)) * CHANNELS * (3 ** len(shape) * (CHANNELS * (fine + coarse) + 1) + 1)


def _timings(calls: dict[str, Any], turns: int) -> dict[str, harness.Timing]:
    """The mean call of a stretch of them, in turns, without the first of a stretch, which finds cold caches."""
    means: dict[str, list[float]] = {name: [] for name in calls}
    names = list(calls)
    for turn in range(turns):
        for k in range(len(names)):
            name = names[(turn + k) % len(names)]
            time.sleep(PAUSE)
            calls[name]()
            count, start = 0, time.perf_counter()
            while not count or time.perf_counter() - start < STRETCH:
                calls[name]()
                count += 1
            means[name].append((time.perf_counter() - start) / count)
    return {name: harness.Timing(tuple(seconds)) for name, seconds in means.items()}


def _run(torch: Any, module: Any, x: Any) -> Any:
    with torch.inference_mode():
        return module(x).numpy()


def _peers(torch: Any, weights: Weights, r: Any) -> Any:
    """(name, module, input) of each way to run the net in torch."""
    x = torch.from_numpy(r / np.sqrt(np.mean(r**2))).float()
    last = torch.channels_last if weights.dim == 2 else torch.channels_last_3d
    yield "torch", _module(torch, weights), x
    yield "torch, channels last", _module(torch, weights).to(memory_format=last), x.to(memory_format=last)
    with torch.inference_mode():
        frozen = torch.jit.freeze(torch.jit.trace(_module(torch, weights), x))
        yield "torch, frozen", torch.jit.optimize_for_inference(frozen), x


def _module(torch: Any, weights: Weights) -> Any:
    """The net with zeros all round, as in the paper: its padding is that of torch's convolutions."""
    convolution = torch.nn.Conv2d if weights.dim == 2 else torch.nn.Conv3d
    pool = torch.nn.functional.avg_pool2d if weights.dim == 2 else torch.nn.functional.avg_pool3d

    def layer(weight: Any, bias: Any) -> Any:
        made = convolution(weight.shape[1], CHANNELS, 3, padding=1)
        made.weight.data, made.bias.data = torch.from_numpy(weight.copy()), torch.from_numpy(bias.copy())
        return made

    class Module(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            given = [weights.first, *weights.middle]
            self.layers = torch.nn.ModuleList(map(layer, given, weights.biases))
            self.last = convolution(CHANNELS, 1, 1)
            self.last.weight.data = torch.from_numpy(weights.last.reshape(self.last.weight.shape).copy())
            self.last.bias.data = torch.tensor([weights.shift])

        def pairs(self, x: Any, first: int, count: int) -> Any:
            for k in range(first, first + 2 * count, 2):
                x = torch.relu(self.layers[k + 1](torch.relu(self.layers[k](x)))) + x
            return x

        def forward(self, x: Any) -> Any:
            fine = self.pairs(self.layers[0](x), 1, BLOCKS[0])
            coarse = self.pairs(pool(fine, 2), 1 + 2 * BLOCKS[0], BLOCKS[1])
            up = torch.nn.functional.interpolate(coarse, scale_factor=2, mode="nearest")
            return self.last(self.pairs(fine + up, 1 + 2 * BLOCKS[0] + 2 * BLOCKS[1], BLOCKS[2]))

    return Module().eval()
