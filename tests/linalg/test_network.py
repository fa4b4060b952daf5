"""The learned direction: its compiled evaluation against NumPy and torch, its files, its worth in the solver."""

import copy
import dataclasses
import itertools
import os
import pickle

import numpy as np
import pytest

import solvers
from solvers.linalg import GridOperator, LearnedDirection, _network, solve
from solvers.linalg._network import BLOCKS, CHANNELS, Weights, shipped
from solvers.testing import grid_problem


def random_weights(dim, seed):
    rng = np.random.default_rng(seed)
    kernel, count = (3,) * dim, 2 * sum(BLOCKS)

    def normal(*shape, width):
        return (rng.standard_normal(shape) * width).astype(np.float32)

    return Weights(
        dim, normal(CHANNELS, 1, *kernel, width=0.3),
        normal(count, CHANNELS, CHANNELS, *kernel, width=(2 / (16 * 3**dim)) ** 0.5),
        normal(count + 1, CHANNELS, width=0.2), normal(CHANNELS, width=1.0), 0.25, {"seed": seed},
    )  # fmt: skip


def bordered(x, bc):
    """One more cell at each end: zeros, the last one again, that of the other end."""
    for axis, (low, high) in enumerate(bc, 1):
        first, last = x.take([0], axis), x.take([-1], axis)
        beyond = {"dirichlet": (0 * first, 0 * last), "neumann": (first, last), "periodic": (last, first)}
        x = np.concatenate([beyond[low][0], x, beyond[high][1]], axis)
    return x


def convolved(x, weight, bias, bc):
    """x (in, *grid), weight (out, in, 3, 3[, 3]); float64."""
    padded = bordered(x, bc)
    out = np.zeros((len(weight), *x.shape[1:])) + bias.reshape(-1, *[1] * (x.ndim - 1))
    for tap in itertools.product(range(3), repeat=x.ndim - 1):
        part = padded[(slice(None), *(slice(t, t + n) for t, n in zip(tap, x.shape[1:], strict=True)))]
        out += np.tensordot(weight[(slice(None), slice(None), *tap)].astype(float), part, 1)
    return out


def pooled(x):
    """Means over the 2^d cells, or over those that are there at the end of an odd axis."""
    for axis in range(1, x.ndim):
        cells = np.moveaxis(x, axis, 0)
        pairs = (cells[: len(cells) // 2 * 2 : 2] + cells[1::2]) / 2
        x = np.moveaxis(np.concatenate([pairs, cells[-1:]]) if len(cells) % 2 else pairs, 0, axis)
    return x


def twin(weights, r, bc=None):
    """The net in NumPy, float64."""
    bc = bc or [("dirichlet", "dirichlet")] * r.ndim
    layers = zip(weights.middle, weights.biases[1:], strict=True)

    def pairs(x, count):
        for _ in range(count):
            hidden = np.maximum(convolved(x, *next(layers), bc), 0)
            x = x + np.maximum(convolved(hidden, *next(layers), bc), 0)
        return x

    scaled = r / np.sqrt(np.mean(r**2))
    fine = pairs(convolved(scaled[None], weights.first, weights.biases[0], bc), BLOCKS[0])
    up = pairs(pooled(fine), BLOCKS[1])
    for axis, n in enumerate(r.shape, 1):
        up = np.repeat(up, 2, axis).take(range(n), axis)
    return np.tensordot(weights.last.astype(float), pairs(fine + up, BLOCKS[2]), 1) + weights.shift


# ---- the evaluation ----------------------------------------------------------------------------

SHAPES = [
    (16, 16),
    (1, 1),
    (2, 1),
    (1, 9),
    (7, 33),
    (5, 47),
    (33, 31),
    (12, 14, 16),
    (1, 1, 1),
    (3, 5, 7),
    (9, 2, 35),
    (11, 10, 47),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_matches_numpy(shape, seed):
    weights = random_weights(len(shape), seed)
    r = np.random.default_rng(seed + 1).standard_normal(shape) * 1e-5
    expected = twin(weights, r)
    got = LearnedDirection(shape, weights)(r.ravel()).reshape(shape)
    assert abs(got - expected).max() <= 3e-5 * abs(expected).max()


SIDES = [
    ((9, 14), "neumann"), ((9, 14), "periodic"), ((37, 10), "periodic"), ((50, 70), "neumann"), ((1, 1), "neumann"),
    ((12, 7), ["periodic", ("neumann", "dirichlet")]),
    ((5, 6, 7), "neumann"), ((8, 6, 9), ["neumann", "periodic", ("dirichlet", "neumann")]), ((4, 5, 6), "periodic"),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "bc"), SIDES, ids=str)
def test_sides(shape, bc):
    weights = random_weights(len(shape), 8)
    r = np.random.default_rng(3).standard_normal(shape)
    direction = LearnedDirection(shape, weights, bc=bc)
    expected = twin(weights, r, direction.bc)
    for _ in range(2):  # the border of a workspace used before
        assert abs(direction(r.ravel()).reshape(shape) - expected).max() <= 3e-5 * abs(expected).max()


@pytest.mark.parametrize("shape", [(64, 50), (20, 17, 22)], ids=str)
@pytest.mark.parametrize("walls", [False, True])
def test_matches_torch(shape, walls, one_torch_thread):
    torch = one_torch_thread
    from solvers.linalg._training import Network, Training

    torch.manual_seed(3)
    net = Network(len(shape))
    with torch.no_grad():
        for values in net.parameters():
            values += 0.05 * torch.randn(values.shape)
    weights = net.weights(Training(len(shape), 32, 1, 0), 0)
    r = np.random.default_rng(5).standard_normal(shape)
    with torch.inference_mode():
        sides = torch.tensor([[[False, walls]] * len(shape)])
        expected = net(torch.from_numpy(r)[None, None].float(), sides).numpy().ravel()
    bc = [("dirichlet", "neumann" if walls else "dirichlet")] * len(shape)
    got = LearnedDirection(shape, weights, bc=bc)(r.ravel())
    assert abs(got - expected).max() <= 3e-5 * abs(expected).max()


@pytest.mark.parametrize("bc", ["dirichlet", "neumann", "periodic"])
@pytest.mark.parametrize("shape", [(45, 70), (130, 9), (5, 6), (14, 9, 20), (31, 6, 47)], ids=str)
def test_threads_give_the_same_bits(shape, bc):
    r = np.random.default_rng(5).standard_normal(np.prod(shape))
    alone = LearnedDirection(shape, bc=bc, threads=1)(r)
    for threads in (2, 3, 8):
        np.testing.assert_array_equal(LearnedDirection(shape, bc=bc, threads=threads)(r), alone)


def test_length_does_not_matter():
    direction = LearnedDirection((20, 30))
    r = np.random.default_rng(5).standard_normal(600)
    for power in (-900, -400, 400, 900):  # whose squares are out of range, some of them
        np.testing.assert_array_equal(direction(r * 2.0**power), direction(r))
    np.testing.assert_array_equal(direction(0 * r), 0 * r)


@pytest.mark.parametrize("again", [lambda x: pickle.loads(pickle.dumps(x)), copy.copy, copy.deepcopy])
def test_copies(again):
    """Of another process, say: with the same answers, and no workspace in common."""
    direction = LearnedDirection((9, 14), random_weights(2, 3), bc=["periodic", "neumann"], threads=1)
    r = np.random.default_rng(5).standard_normal(126)
    expected, other = direction(r), again(direction)
    np.testing.assert_array_equal(other(r), expected)
    assert (other.bc, other.threads) == (direction.bc, 1)
    assert not any(mine is theirs for mine in direction._free for theirs in other._free)


def test_no_blas_beside_the_threads(monkeypatch):
    """A threaded BLAS leaves a thread that spins for milliseconds: two threads of ours were as slow as one."""
    direction, r = LearnedDirection((20, 30)), np.random.default_rng(5).standard_normal(600)
    expected = direction(r)
    for name in ("norm", "dot", "vdot", "inner"):
        monkeypatch.setattr(np.linalg if name == "norm" else np, name, None)
    monkeypatch.setattr(_network, "check_finite", lambda *_: None)  # which calls it for few numbers, on one thread
    np.testing.assert_array_equal(direction._matvec(r), expected)


def test_one_direction_from_several_threads():
    from concurrent.futures import ThreadPoolExecutor

    direction, rng = LearnedDirection((40, 30), threads=1), np.random.default_rng(1)
    right = rng.standard_normal((8, 1200))
    alone = [direction(r) for r in right]
    with ThreadPoolExecutor(4) as pool:
        for got, expected in zip(pool.map(direction, [*right] * 4), alone * 4, strict=True):
            np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    ("shape", "says"),
    [((4,), "2 or 3"), ((4.7, 5), "integers"), ((4, 0), ">= 1"), ((2, 2, 2, 2), "2 or 3"), (7, "2 or 3")],
    ids=str,
)
def test_bad_shapes(shape, says):
    with pytest.raises(ValueError, match=says):
        LearnedDirection(shape)


# ---- files -------------------------------------------------------------------------------------


def test_saved_and_loaded(tmp_path):
    weights = random_weights(3, 4)
    weights.save(tmp_path / "w.npz")
    again = Weights.load(tmp_path / "w.npz")
    assert (again.dim, again.shift, again.training) == (3, 0.25, {"seed": 4})
    np.testing.assert_array_equal(again.first, weights.first)
    np.testing.assert_allclose(again.middle, weights.middle, rtol=2.0**-8)  # bfloat16, to nearest
    again.save(tmp_path / "w.npz")  # which changes nothing any more
    np.testing.assert_array_equal(Weights.load(tmp_path / "w.npz").middle, again.middle)
    r = np.random.default_rng(5).standard_normal(6 * 7 * 8)
    fine, rounded = (LearnedDirection((6, 7, 8), w)(r) for w in (weights, tmp_path / "w.npz"))
    assert 0 < np.linalg.norm(fine - rounded) <= 2e-2 * np.linalg.norm(fine)


def rewritten(path, **changes):
    random_weights(2, 1).save(path)
    with np.load(path) as file:
        held = {**{name: file[name] for name in file.files}, **changes}
    np.savez(path, **{name: value for name, value in held.items() if value is not None})
    return path


@pytest.mark.parametrize(
    ("changes", "says"),
    [({"format": 2}, "format 2"), ({"architecture": "lmg"}, "architecture"), ({"dim": 4}, "4 dimensions"),
     ({"dim": 3}, "first of a net in 3"), ({"last": None}, "lacks last"), ({"last": np.zeros(3)}, "last of a net"),
     ({"training": '{"seed": 2}'}, "damaged"), ({"middle": np.zeros((14, 16, 16, 3, 3))}, "middle of a net"),
     ({"last": np.full(16, np.nan)}, "last contains NaN"), ({"last": np.full(16, 1j)}, "last is of complex"),
     ({"format": [1, 1]}, "format is of"), ({"dim": np.zeros(0)}, "dim is of"), ({"shift": [1.0, 2.0]}, "shift is of"),
     ({"architecture": ["a", "b"]}, "architecture")],
)  # fmt: skip
def test_bad_files(tmp_path, changes, says):
    with pytest.raises(ValueError, match=says):
        LearnedDirection((8, 8), rewritten(tmp_path / "w.npz", **changes))


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [({"shift": np.nan}, ValueError, "shift contains NaN"), ({"shift": 1e39}, ValueError, "float32 cannot hold"),
     ({"biases": np.full((15, 16), 1e39)}, ValueError, "float32 cannot hold"),
     ({"last": np.full(16, 1j)}, TypeError, "last must be real"),
     ({"shift": [1.0, 2.0]}, ValueError, "shift of a net")],
)  # fmt: skip
def test_bad_weights(changes, error, says):
    with pytest.raises(error, match=says):
        dataclasses.replace(random_weights(2, 1), **changes)


def test_a_number_is_no_file():
    """It would be a file descriptor, read and closed: True is that of the standard output."""
    reading, writing = os.pipe()
    for number in (reading, True):
        with pytest.raises(TypeError, match="PathLike"):
            LearnedDirection((8, 8), number)
    os.write(writing, b"x")
    assert os.read(reading, 1) == b"x"
    os.close(reading)
    os.close(writing)


def test_files_of_something_else(tmp_path):
    (tmp_path / "text.npz").write_text("no weights")
    with pytest.raises(ValueError, match="no file of weights"):
        LearnedDirection((8, 8), tmp_path / "text.npz")
    np.save(tmp_path / "array.npy", np.zeros(3))
    whole = rewritten(tmp_path / "w.npz").read_bytes()
    (tmp_path / "short.npz").write_bytes(whole[: len(whole) // 2])
    middle = len(whole) // 2
    (tmp_path / "spoilt.npz").write_bytes(whole[:middle] + bytes(64) + whole[middle + 64 :])
    for name in ("array.npy", "short.npz", "spoilt.npz"):
        with pytest.raises(ValueError, match="no file of weights"):
            LearnedDirection((8, 8), tmp_path / name)
    with pytest.raises(FileNotFoundError):
        LearnedDirection((8, 8), tmp_path / "none.npz")
    with pytest.raises(ValueError, match="2 dimensions, not for shape"):
        LearnedDirection((8, 8, 8), rewritten(tmp_path / "w.npz"))


@pytest.mark.parametrize("dim", [2, 3])
def test_shipped_weights(dim):
    """They were trained, and their configuration says how."""
    weights = shipped(dim)
    assert weights.dim == dim == weights.training["dim"]
    assert 0 < weights.training["kept"] <= weights.training["steps"]


# ---- in the solver -----------------------------------------------------------------------------

UNSEEN = [
    ("uniform", (64, 64)), ("dirichlet", (64, 64)), ("neumann", (64, 64)), ("dirichlet", (97, 101)),
    ("neumann", (128, 96)), ("neumann", (200, 256)), ("uniform", (32, 32, 32)), ("dirichlet", (32, 32, 32)),
    ("smoke", (32, 32, 32)), ("smoke", (37, 40, 29)),
]  # fmt: skip


@pytest.mark.parametrize(("family", "shape"), UNSEEN, ids=str)
def test_half_of_the_iterations_of_cg(family, shape):
    """The published claim, on obstacles that the training did not see: 1e-4 in at most half of CG's iterations."""
    problem = grid_problem(family, shape, seed=2029)
    grid, b = GridOperator(**problem.arguments), problem.right()
    result = solve(grid, b, method="dcdm", rtol=1e-4)
    assert result.success
    assert result.stats["direction"] == "learned"
    assert result.nit <= solve(grid, b, method="cg", rtol=1e-4).nit / 2
    solvers.testing.check_linear(grid.to_csr(), b, result, rtol=1e-4)


def test_a_matrix_with_the_grid_told():
    grid = GridOperator((31, 44))
    b = np.random.default_rng(1).standard_normal(grid.size)
    of_grid = solve(grid, b, method="dcdm", rtol=1e-4)
    of_matrix = solve(grid.to_csr(), b, method="dcdm", rtol=1e-4, M=LearnedDirection((31, 44)))
    assert of_matrix.success
    assert of_matrix.nit == of_grid.nit
    np.testing.assert_allclose(of_matrix.x, of_grid.x, rtol=1e-4, atol=1e-4 * abs(of_grid.x).max())


def test_another_grid_is_refused():
    with pytest.raises(ValueError, match=r"shape \(10, 12\), not \(12, 10\)"):
        solve(GridOperator((12, 10)), np.ones(120), method="dcdm", M=LearnedDirection((10, 12)))


def test_many_digits():
    """float32 directions in a float64 iteration: the true residual falls to 1e-11."""
    problem = grid_problem("neumann", 40, 5)
    grid, b = GridOperator(**problem.arguments), problem.right()
    result = solve(grid, b, method="dcdm", rtol=1e-11)
    assert result.success
    assert np.linalg.norm(b - grid.to_csr() @ result.x) <= 1e-11 * np.linalg.norm(b)
