"""Red-black sweeps, several a pass over memory and over several threads, and GridOperator.sweep."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers.linalg import GridOperator

ENDS = ("dirichlet", "neumann", "periodic", ("dirichlet", "neumann"))


def redblack_reference(grid, omega, b, x, count, backward=False):
    """Half sweeps with the sparse matrix."""
    A, d = grid.to_csr(), grid.diagonal()
    red = np.indices(grid.grid_shape).sum(0).ravel() % 2 == 0
    for _ in range(count):
        for half in (~red, red) if backward else (red, ~red):
            x = np.where(half, x + omega * (b - A @ x) / d, x)
    return x


def random_grid(rng, shape, bc, variable):
    if not variable:
        return GridOperator(shape, 1.5, 0.2, 0.7, bc)
    return GridOperator(shape, rng.uniform(0.1, 10, shape), 0.2, 0.7, bc)


@settings(max_examples=40, deadline=None)
@given(
    shape=st.lists(st.integers(1, 24), min_size=1, max_size=3),
    ends=st.tuples(*[st.sampled_from(ENDS)] * 3),
    variable=st.booleans(),
    backward=st.booleans(),
    count=st.integers(1, 9),
    depth=st.integers(0, 5),
    seed=st.integers(0, 2**32),
)
def test_any_depth_equals_single_half_sweeps(shape, ends, variable, backward, count, depth, seed):
    shape = [n + (n > 1 and n % 2 and end == "periodic") for n, end in zip(shape, ends, strict=False)]
    rng = np.random.default_rng(seed)
    grid = random_grid(rng, shape, ends[: len(shape)], variable)
    b, x = rng.normal(size=(2, grid.size))
    operand = grid.operand("redblack")
    packed, single, right = operand.pack(x), operand.pack(x), operand.pack(b)
    operand.sweeps(1.4, backward, right, packed, count, depth, 3)
    for _ in range(count):
        operand.sweeps(1.4, backward, right, single, 1, 1)
    assert np.array_equal(packed, single)
    expected = redblack_reference(grid, 1.4, b, x, count, backward)
    np.testing.assert_allclose(operand.unpack(packed), expected, rtol=1e-12, atol=1e-13 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("shape", "bc"), [((300, 130), "dirichlet"), ((250, 256), "periodic"), ((50, 40, 41), "neumann")]
)
@pytest.mark.parametrize("variable", [False, True])
def test_threads_do_not_change_the_bits(shape, bc, variable):
    rng = np.random.default_rng(7)
    grid = random_grid(rng, shape, bc, variable)
    operand = grid.operand("redblack")
    right, start = operand.pack(rng.normal(size=grid.size)), operand.pack(rng.normal(size=grid.size))
    results = []
    for threads, depth in ((1, 1), (1, 0), (2, 1), (2, 2), (4, 4), (3, 0)):
        operand.sweeps(1.4, False, right, x := start.copy(), 6, depth, threads)
        results.append(x)
    for x in results[1:]:
        assert np.array_equal(x, results[0])
    for ordering in ("natural", "redblack"):
        kernels = grid.operand(ordering)
        b, x = kernels.pack(rng.normal(size=grid.size)), kernels.pack(rng.normal(size=grid.size))
        sums = []
        for kernels.threads in (1, 2, 5):
            sums.append((kernels.multiply(x, np.empty_like(x)), kernels.residual(b, x, np.empty_like(x))))
        assert sums[0] == sums[1] == sums[2]


@pytest.mark.parametrize("shape", [(40,), (33, 70), (9, 12, 35)])
@pytest.mark.parametrize("variable", [False, True])
def test_float32(shape, variable, seed):
    rng = np.random.default_rng(seed)
    grid = random_grid(rng, shape, "dirichlet", variable)
    b, x = rng.normal(size=(2, *shape))
    expected = redblack_reference(grid, 1.2, b.ravel(), x.ravel(), 5).reshape(shape)
    single = x.astype(np.float32)
    grid.sweep(single, b, omega=1.2, sweeps=5)
    np.testing.assert_allclose(single, expected, atol=1e-5 * np.abs(expected).max())
    grid.sweep(x, b, omega=1.2, sweeps=5)
    np.testing.assert_allclose(x, expected, rtol=1e-12, atol=1e-12)


def test_natural_sweeps(seed):
    rng = np.random.default_rng(seed)
    grid = random_grid(rng, (7, 19), ["neumann", "periodic"], True)
    A, b, x = grid.to_csr().toarray(), *rng.normal(size=(2, grid.size))
    forward = np.tril(A, -1) + np.diag(np.diag(A)) / 1.3
    expected = x + np.linalg.solve(forward, b - A @ x)
    grid.sweep(x, b, ordering="natural", omega=1.3)
    np.testing.assert_allclose(x, expected, rtol=1e-12, atol=1e-13)
    expected = x + np.linalg.solve(forward.T - np.tril(A, -1).T + np.triu(A, 1), b - A @ x)
    grid.sweep(x, b, ordering="natural", omega=1.3, backward=True)
    np.testing.assert_allclose(x, expected, rtol=1e-12, atol=1e-13)


def test_bad_sweeps():
    grid, x, b = GridOperator((4, 5)), np.zeros((4, 5)), np.ones(20)
    for omega in (0.0, 2.0, -1.0, np.nan):
        with pytest.raises(ValueError, match="omega must lie between 0 and 2"):
            grid.sweep(x, b, omega=omega)
    with pytest.raises(TypeError, match="x must be an array of float64 or float32"):
        grid.sweep(np.zeros(20, int), b)
    with pytest.raises(ValueError, match="x must be contiguous, writeable and of 20 elements"):
        grid.sweep(np.zeros((5, 4)).T, b)
    with pytest.raises(ValueError, match="b must have 20 elements, not 19"):
        grid.sweep(x, b[1:])
    with pytest.raises(ValueError, match="sweeps must be an integer"):
        grid.sweep(x, b, sweeps=-1)
    with pytest.raises(ValueError, match="ordering must be one of"):
        grid.sweep(x, b, ordering="wavefront")
    with pytest.raises(ValueError, match="periodic along axis 1 with 5 cells, an odd number"):
        GridOperator((4, 5), mass=1, bc="periodic").sweep(x, b)
    assert np.array_equal(x, np.zeros((4, 5)))


@pytest.mark.parametrize("shape", [(21, 2500), (9, 70, 400)])
@pytest.mark.parametrize("variable", [False, True])
def test_layers_of_several_strips(shape, variable):
    rng = np.random.default_rng(11)
    grid = random_grid(rng, shape, ["neumann"] + ["periodic"] * (len(shape) - 1), variable)
    b, x = rng.normal(size=(2, grid.size))
    expected = redblack_reference(grid, 1.4, b, x, 3)
    operand = grid.operand("redblack")
    for depth in (1, 3):
        operand.sweeps(1.4, False, operand.pack(b), packed := operand.pack(x), 3, depth)
        np.testing.assert_allclose(operand.unpack(packed), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("ends", ["neumann", ["periodic", "dirichlet", "neumann"]])
@pytest.mark.parametrize("shape", [(34, 62, 130), (6, 9, 1500), (6, 210, 700)])
@pytest.mark.parametrize("variable", [False, True])
def test_slanted_strips(shape, ends, variable):
    """Planes too large for the cache: strips of rows, cut along layers for threads, and a strip as wide as a plane."""
    rng = np.random.default_rng(12)
    grid = random_grid(rng, shape, ends, variable)
    b, x = rng.normal(size=(2, grid.size))
    expected = redblack_reference(grid, 1.4, b, x, 3)
    operand = grid.operand("redblack")
    for depth, threads in ((1, 1), (0, 1), (2, 2), (3, 1)):
        operand.sweeps(1.4, False, operand.pack(b), packed := operand.pack(x), 3, depth, threads)
        np.testing.assert_allclose(operand.unpack(packed), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("bc", ENDS)
@pytest.mark.parametrize("shape", [(1, 70), (2, 64), (70, 66), (40, 1090), (3, 3, 64), (9, 8, 70), (2, 20, 36)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_pairs_of_half_sweeps(shape, bc, dtype):
    """Rows amid the grid go through two half sweeps at once, those at its ends alone; whole vectors and rows' ends."""
    if bc == "periodic":
        shape = tuple(n + n % 2 for n in shape)
    rng = np.random.default_rng(13)
    grid = GridOperator(shape, 1.5, 0.2, 0.7, [bc] * len(shape))
    operand = grid.operand("redblack", dtype=np.dtype(dtype))
    b, x = rng.normal(size=(2, grid.size))
    expected = redblack_reference(grid, 1.3, b, x, 4)
    results = []
    for depth, threads in ((1, 1), (2, 1), (0, 1), (3, 2)):
        operand.sweeps(1.3, False, operand.pack(b), packed := operand.pack(x), 4, depth, threads)
        results.append(operand.unpack(packed))
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(results[0], expected, rtol=tolerance, atol=tolerance * np.abs(expected).max())
    for result in results[1:]:
        assert np.array_equal(result, results[0])


@pytest.mark.parametrize(
    ("shape", "dtype"), [((66, 16500), np.float64), ((20, 240, 241), np.float64), ((70, 32080), np.float32)]
)
def test_vectors_beyond_the_caches(shape, dtype):
    """More than 8 MB each: rows are asked for ahead, and whole lines paced."""
    rng = np.random.default_rng(14)
    grid = GridOperator(shape, 1.5, 0.2, 0.7, ["neumann"] + ["dirichlet"] * (len(shape) - 1))
    operand = grid.operand("redblack", dtype=np.dtype(dtype))
    b, x = rng.normal(size=(2, grid.size))
    expected = redblack_reference(grid, 1.3, b, x, 2)
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    for depth, threads in ((1, 1), (0, 2)):
        operand.sweeps(1.3, False, operand.pack(b), packed := operand.pack(x), 2, depth, threads)
        assert packed.nbytes > 8 << 20
        np.testing.assert_allclose(operand.unpack(packed), expected, rtol=0, atol=tolerance * np.abs(expected).max())
