"""The training of the learned direction, at a size of seconds."""

import numpy as np
import pytest
import scipy.linalg
import torch

from solvers.linalg import GridOperator, LearnedDirection, solve, train
from solvers.linalg import _training as training
from solvers.linalg._network import Weights

pytestmark = pytest.mark.usefixtures("one_torch_thread")


@pytest.mark.parametrize("dim", [2, 3])
def test_repeatable(dim, tmp_path, capsys):
    """Same seed, same threads: the same weights, to the bit; another seed, others."""
    files = {}
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        files[name] = tmp_path / f"{name}.npz"
        call = ["--dim", dim, "--size", 8, "--steps", 2, "--seed", seed, "--out", files[name]]
        assert train.main([str(word) for word in call]) == 0
    a, b, c = (Weights.load(path) for path in files.values())
    assert a.training["steps"] == 2
    np.testing.assert_array_equal(a.middle, b.middle)
    assert (a.middle != c.middle).any()
    assert a.fingerprint == b.fingerprint != c.fingerprint
    assert f"training {a.fingerprint}" in capsys.readouterr().out


def test_learns():
    """A few steps lower the loss on the data of the training: the residual is half of what it was, squared."""
    made = training.Trainer(training.Training(2, 16, 100, 3, obstacles=0.0, replay=0.0))
    losses = [made.step(0.1) for _ in range(30)]
    assert np.mean(losses[-5:]) < np.mean(losses[:3]) - 0.7  # of a logarithm


def test_minutes_become_steps():
    asked = training.Training(2, 8, 1, 3, validations=1)
    assert training.lasting(5.0, asked).steps > training.lasting(0.5, asked).steps >= 1


@pytest.mark.parametrize(
    "words",
    [
        ["--dim", "4"],
        ["--size", "3"],
        ["--seed", "-1"],
        ["--arch", "other"],
        ["--out", "w"],
        ["--out", "no/w.npz"],
        [],
        ["--seed", str(2**63)],
        ["--arch", "multilevel", "--dim", "3"],
        ["--arch", "multilevel", "--size", "16"],
        ["--arch", "multilevel", "--size", "28"],
    ],
)
def test_bad_words(words, tmp_path, capsys):
    with pytest.raises(SystemExit):
        train.main(["--out", str(tmp_path / "w.npz"), *(["--steps", "1", *words] if words else [])])
    assert "error" in capsys.readouterr().err


# ---- the pieces --------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(7, 9), (4, 5, 6)])
def test_products(shape):
    """Those of the grid operator: the empty box, walls, and cells that hold 0."""
    rng = np.random.default_rng(1)
    free = rng.random((3, *shape)) < 0.8
    free[0] = True
    insulated = np.array([False, True, False])
    x = rng.standard_normal((3, *shape)) * free
    got = training.Boxes.of(free, insulated)(torch.from_numpy(x)[:, None].float()).numpy()[:, 0]
    box = GridOperator(shape)
    assert abs(got[0].ravel() - box @ x[0].ravel()).max() < 1e-5
    assert abs(got[2].ravel() - free[2].ravel() * (box @ x[2].ravel())).max() < 1e-5
    walls = [np.ones([n + (k == axis) for k, n in enumerate(shape)]) for axis in range(len(shape))]
    for axis, faces in enumerate(walls):
        inner, cells = np.moveaxis(faces, axis, 0)[1:-1], np.moveaxis(free[1], axis, 0)
        inner[:] = cells[1:] & cells[:-1]
    held = GridOperator(shape, coeff=walls, mass=np.where(free[1], 0.0, 1.0))
    assert abs(got[1].ravel() - free[1].ravel() * (held @ x[1].ravel())).max() < 1e-5


def test_ritz_vectors():
    """As many steps as unknowns: the eigenvectors."""
    A = training.box((5, 7))
    values, vectors = training.ritz_vectors(A, 35, np.random.default_rng(2))
    exact = scipy.linalg.eigvalsh(A.toarray())
    assert all(np.isclose(exact, value, rtol=1e-8).any() for value in values)
    np.testing.assert_allclose(A @ vectors, vectors * values, atol=1e-5)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(len(values)), atol=1e-5)


@pytest.mark.parametrize("dim", [2, 3])
def test_starts_as_a_two_level_cycle(dim):
    """Without the random numbers the net is linear and odd, and a good direction for the box."""
    first, middle, last = training.two_level_cycle(dim)
    weights = Weights(dim, first, np.stack(middle), np.zeros((15, 16), np.float32), last[0].reshape(16), 0.0, {})
    shape = (24,) * dim
    direction, rng = LearnedDirection(shape, weights), np.random.default_rng(3)
    r, s = rng.standard_normal((2, 24**dim))
    assert abs(direction(r) + direction(-r)).max() <= 1e-5 * abs(direction(r)).max()
    lengths = [np.linalg.norm(v) for v in (r, s, r + s)]
    parts = [direction(v) * length for v, length in zip((r, s, r + s), lengths, strict=True)]
    assert abs(parts[2] - parts[0] - parts[1]).max() <= 1e-4 * abs(parts[2]).max()
    assert solve(GridOperator(shape), r, method="dcdm", M=direction, rtol=1e-4).nit < 13
