"""The training of the learned corrections, at a size of seconds: its hierarchy in torch is the compiled one."""

from functools import partial

import numpy as np
import pytest
import torch

from solvers.linalg import GridOperator, multilevel, train
from solvers.linalg import _training_hierarchy as training
from solvers.linalg._corrections import Corrections
from solvers.testing import grid_problem

pytestmark = pytest.mark.usefixtures("one_torch_thread")


@pytest.mark.parametrize("heads", [0.0, 0.5])
@pytest.mark.parametrize(("family", "shape"), [("jumps", (32, 32)), ("neumann", (48, 32)), ("lognormal", (16, 16, 16))])
def test_the_cycle_is_the_compiled_one(family, shape, heads, seed):
    grid, weights = GridOperator(**grid_problem(family, shape, 3).arguments), Corrections.random(seed, heads)
    M = multilevel(grid, weights=weights, gate=False, dtype="float64")
    parameters = {name: torch.from_numpy(values) for name, values in weights.parameters.items()}
    again = training.Hierarchy(training.finest_level([grid]), parameters)
    r = np.random.default_rng(seed).normal(size=shape) * (True if grid.mask is None else grid.mask)
    z = again(torch.from_numpy(r)[None]).numpy().ravel() / grid.diagonal().max()
    np.testing.assert_allclose(M @ r.ravel(), z, atol=1e-6 * np.abs(z).max())


def test_gradients():
    """Of the loss with respect to a parameter of each array: by a difference."""
    grid = GridOperator(**grid_problem("lognormal", (8, 8), 3).arguments)
    start = Corrections.random(5, heads=0.2).parameters

    def loss(parameters):
        M = training.Hierarchy(training.finest_level([grid]), parameters)
        return training.loss_of(M, torch.Generator().manual_seed(1), 3, True)

    parameters = {name: torch.from_numpy(values.copy()).requires_grad_() for name, values in start.items()}
    # one level alone, which the dense inverse takes: force two
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "MOST_LAST", 16)
        loss(parameters).backward()
        for name, values in start.items():
            at, step = np.unravel_index(np.argmax(np.abs(parameters[name].grad.numpy())), values.shape), 1e-5
            ends = []
            for sign in (1, -1):
                moved = {n: torch.from_numpy(v.copy()) for n, v in start.items()}
                moved[name][at] += sign * step
                ends.append(float(loss(moved)))
            assert np.isclose((ends[0] - ends[1]) / (2 * step), parameters[name].grad[at], rtol=1e-3), name


def test_learns():
    made = training.Trainer(training.Training(16, 100, 3, problems=16, space=1000, unrolled=2, batch=4))
    gains = [made.step(0.1) for _ in range(30)]
    assert np.mean(gains[-10:]) < -0.02


def test_repeatable(tmp_path, capsys, monkeypatch):
    """Same seed, same threads: the same weights, to the bit; another seed, others."""
    small = partial(training.Training, problems=8, validations=1, unrolled=2, batch=2)
    monkeypatch.setattr(training, "Training", small)
    monkeypatch.setattr(training, "VALIDATED", 1)
    monkeypatch.setattr(training, "WORST", 10.0)
    monkeypatch.setattr(training, "MIX", {axes: {"jumps": 1.0} for axes in (2, 3)})
    files = {}
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        files[name] = tmp_path / f"{name}.npz"
        call = ["--arch", "multilevel", "--size", 24, "--steps", 2, "--seed", seed, "--out", files[name]]
        assert train.main([str(word) for word in call]) == 0
    a, b, c = (Corrections.load(path) for path in files.values())
    np.testing.assert_array_equal(a.flat, b.flat)
    assert (a.flat != c.flat).any()
    assert a.fingerprint == b.fingerprint != c.fingerprint
    assert f"training {a.fingerprint}" in capsys.readouterr().out
