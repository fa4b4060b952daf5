"""The multilevel cycle: adjoint, symmetric, linear, exact on constants, the same bits for any threads."""

import numpy as np
import pytest
import scipy.linalg
import scipy.ndimage
import scipy.sparse.linalg

import solvers
from solvers._base import _runtime, threads
from solvers.linalg import GridOperator, _kernels, multilevel
from solvers.testing import grid_problem

SHAPES = [(37,), (24, 24), (13, 29), (90, 3), (9, 11, 10), (16, 4, 7)]


def random_grid(shape, seed, constant=False, **more):
    """A mask, coefficients and reaction, all random; periodic where the axis is even."""
    rng = np.random.default_rng(seed)
    kinds = ["dirichlet", "neumann", ("neumann", "dirichlet")]
    bc = ["periodic" if n % 4 == 0 and rng.random() < 0.5 else kinds[rng.integers(3)] for n in shape]
    mask = rng.random(shape) < 0.85
    mass = 0.01 if constant else 0.05 * (rng.random(shape) < 0.5) + 1e-3
    coeff = 2.0 if constant else np.exp(rng.normal(size=shape))
    return GridOperator(shape, coeff, mass, rng.uniform(0.7, 1.4, len(shape)), bc, mask=mask, unknowns="cells", **more)


def dense(operator):
    return operator @ np.eye(operator.shape[0])


@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("obstacle", ["neumann", "dirichlet"])
@pytest.mark.parametrize("shape", SHAPES)
def test_restriction_is_the_adjoint(shape, obstacle, constant, seed):
    """The second level's right-hand side is P' times the red residual of a sweep, by P's own columns."""
    grid = random_grid(shape, seed, constant, obstacle=obstacle)
    M = multilevel(grid, dtype="float64", nullspace="components")
    kernel, coarse = M.kernel, int(np.prod(M.levels[1][0]))
    P = np.stack([kernel.interpolated(unit).ravel() for unit in np.eye(coarse)], axis=1)
    matrix = grid.to_csr().toarray() * kernel.scale
    matrix[~grid.mask.ravel()] = 0
    active = kernel.field("inverse", 0).ravel() > 0
    inverse = np.where(active, 1 / np.where(active, np.diag(matrix), 1), 0)
    red = (np.indices(grid.grid_shape).sum(axis=0) % 2 == 0).ravel()
    r = np.random.default_rng(seed).normal(size=grid.size)
    u = np.where(red, inverse * r, 0)
    u = u + np.where(red, 0, inverse * (r - matrix @ u))
    expected = P.T @ np.where(red, r - matrix @ u, 0)
    np.testing.assert_allclose(kernel.restricted(r).ravel(), expected, rtol=1e-11, atol=1e-13 * np.abs(r).max())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_apply_writes_into_what_is_at_hand(dtype):
    grid = GridOperator((23, 31), unknowns="cells")
    M, r = multilevel(grid, dtype=dtype), np.random.default_rng(4).standard_normal(23 * 31)
    expected, out = M @ r, np.full(r.shape, np.nan)
    assert expected.dtype == np.float64
    assert M.apply(r, out=out) is out
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(M.apply(2 * r) / 2, expected)  # nothing is left of the call before
    np.testing.assert_array_equal(M.apply(out := r.copy(), out=out), expected)  # r itself
    assert not M.apply([0] * r.size).any()


@pytest.mark.parametrize("size", [2.0**-400, 1e-45, 1e-20, 1e20, 1e45, 2.0**400])
def test_apply_serves_vectors_of_any_length(size, seed):
    """float32 holds neither 1e-45 nor 1e45 with all its digits."""
    M = multilevel(random_grid((23, 31), seed))
    r = np.random.default_rng(seed).standard_normal(23 * 31)
    np.testing.assert_allclose((M @ (size * r)) / size, M @ r, rtol=1e-5, atol=1e-6)


def test_apply_refuses_what_it_cannot_fill():
    grid = GridOperator((5, 6))
    M, r = multilevel(grid), np.ones(30)
    read_only = np.zeros(30)
    read_only.flags.writeable = False
    for out in (np.zeros(29), np.zeros(30, np.float32), np.zeros((5, 6)), np.zeros(60)[::2], read_only, [0.0] * 30):
        with pytest.raises(ValueError, match="out must be"):
            M.apply(r, out=out)
    with pytest.raises(ValueError, match="r must have shape"):
        M.apply(np.ones(29))
    with pytest.raises(TypeError, match="real"):
        M.apply(r + 1j)


@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_cycle_is_symmetric_positive_definite(shape, constant, seed):
    rng = np.random.default_rng(seed)
    grid = random_grid(shape, seed, constant)
    for dtype, slack in (("float64", 1e-12), ("float32", 1e-5)):
        M = multilevel(grid, dtype=dtype)
        a, b = rng.normal(size=(2, grid.size))
        scale = np.linalg.norm(a) * np.linalg.norm(M @ b)
        assert abs((M @ a) @ b - a @ (M @ b)) <= slack * scale
        np.testing.assert_allclose(M @ (a + 2 * b), M @ a + 2 * (M @ b), atol=slack * scale)
        for _ in range(20):
            a = np.where(grid.mask.ravel(), rng.normal(size=grid.size), 0)
            assert a @ (M @ a) > 0
        assert not (M @ np.where(grid.mask.ravel(), 0, 1.0)).any()


#: Of M A by Lanczos' iteration at 64 x 64, as measured when this was written: smallest, largest eigenvalue.
SPECTRA = {
    "uniform": (0.629, 1.000), "dirichlet": (0.633, 1.311), "neumann": (0.531, 1.000), "lognormal": (0.605, 1.000),
    "jumps": (0.473, 1.315), "anisotropic": (0.566, 1.368), "strongly-anisotropic": (0.608, 1.000),
}  # fmt: skip


@pytest.mark.parametrize("family", SPECTRA)
def test_the_spectrum_by_lanczos(family):
    """The extreme eigenvalues of M A in the inner product of A, at 64 x 64."""
    problem = grid_problem(family, 64, 3)
    grid, rng = GridOperator(**problem.arguments), np.random.default_rng(0)
    M = multilevel(grid, dtype="float64")
    v = np.where(True if problem.mask is None else problem.mask, rng.normal(size=(64, 64)), 0).ravel()
    basis, alpha, beta = [], [], []
    v = v / np.sqrt(v @ (grid @ v))
    for _ in range(30):
        basis.append(v)
        w = M @ (product := grid @ v)
        alpha.append(w @ product)
        for u in basis * 2:
            w = w - (w @ (grid @ u)) * u
        beta.append(np.sqrt(w @ (grid @ w)))
        v = w / beta[-1]
    values = scipy.linalg.eigvalsh_tridiagonal(alpha, beta[:-1])
    np.testing.assert_allclose(values[[0, -1]], SPECTRA[family], rtol=0.01)


def test_the_condition_number_of_the_preconditioned_matrix():
    """As measured when this was written: the eigenvalues of M A lie in a small interval, whatever the size."""
    for family, shape, most in (
        ("uniform", (12, 12), 1.6), ("uniform", (24, 24), 1.7), ("uniform", (8, 8, 8), 1.9),
        ("dirichlet", (24, 24), 2.3), ("neumann", (24, 24), 2.3), ("smoke", (10, 10, 10), 2.5),
    ):  # fmt: skip
        problem = grid_problem(family, shape, 3)
        grid = GridOperator(**problem.arguments)
        there = np.ones(grid.size, bool) if problem.mask is None else problem.mask.ravel()
        A = grid.to_csr().toarray()[np.ix_(there, there)]
        M = dense(multilevel(grid, dtype="float64"))[np.ix_(there, there)]
        values = scipy.linalg.eigh(A, np.linalg.inv(M), eigvals_only=True)
        assert values[0] > 0
        assert values[-1] / values[0] < most, (family, shape, values[[0, -1]])


def test_coarse_couplings_of_the_uniform_grid():
    for shape, coupling in (((16, 16), 1.0), ((16, 16, 16), 2.0)):
        grid = GridOperator(shape, unknowns="cells")
        M = multilevel(grid, dtype="float64")
        for axis in (0, 2):
            inner = M.kernel.field("face", 1, axis) / M.kernel.scale
            assert set(np.unique(inner)) == {0.0, coupling}
        np.testing.assert_array_equal(np.unique(M.kernel.field("share", 0, 0)), [0, 0.25])


def test_a_block_half_in_an_obstacle_keeps_its_link():
    """Its resistance is that of the coupling across: no coarse cell floats."""
    mask = np.ones((12, 12), bool)
    mask[5::2, 3:9] = False
    grid = GridOperator((12, 12), mask=mask, unknowns="cells")
    M = multilevel(grid, dtype="float64")
    active = M.kernel.field("inverse", 1) > 0
    couplings = M.kernel.field("face", 1, 0) + M.kernel.field("face", 1, 2)
    assert active.all()
    assert (couplings[1:, 1:] > 0).all()


def interpolated_ones(grid):
    M = multilevel(grid, dtype="float64", nullspace="components")
    ones = M.kernel.interpolated(M.kernel.field("inverse", 1) > 0).reshape(grid.grid_shape)
    joined = np.diff(grid.to_csr().indptr).reshape(grid.grid_shape) > 1
    return ones[joined & grid.mask]


@pytest.mark.parametrize("shape", [(40, 36), (33, 50), (12, 15, 14)])
def test_constants_are_interpolated_exactly(shape, seed):
    """Away from sinks P 1 = 1, whatever the obstacles and coefficients."""
    rng = np.random.default_rng(seed)
    body = grid_problem("neumann", shape, seed).mask
    for coeff in (1.0, np.exp(2 * rng.normal(size=shape))):
        ones = interpolated_ones(GridOperator(shape, coeff, bc="neumann", mask=body))
        np.testing.assert_allclose(ones, 1, rtol=1e-14)
        # of scattered obstacles some cells have nearly all weight on coarse cells that take no part
        scattered = interpolated_ones(GridOperator(shape, coeff, bc="neumann", mask=rng.random(shape) < 0.9))
        assert (np.abs(scattered - 1) <= 1e-14).mean() > 0.98
        assert scattered.max() <= 1 + 1e-14


def test_threads_and_levels_of_instructions_agree(seed):
    grid = random_grid((40, 33, 29), seed)
    r = np.random.default_rng(seed).normal(size=grid.size)
    results = [multilevel(grid, threads=threads) @ r for threads in (1, 2, 5)]
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])
    reference = multilevel(grid, dtype="float64") @ r
    assert np.linalg.norm(results[0] - reference) <= 1e-5 * np.linalg.norm(reference)
    assert solvers.show_config()["isa"] in ("baseline", "avx2", "avx512")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("ends", ["neumann", "periodic"])
@pytest.mark.parametrize("shape", [(48, 48), (12, 10, 24), (7, 9, 35), (16, 16, 66)])
def test_what_an_earlier_call_left_does_not_matter(shape, ends, dtype):
    grid = GridOperator(shape, 1.0, 0.01, bc=ends, unknowns="cells")
    M, rng = multilevel(grid, dtype=dtype), np.random.default_rng(0)
    r = rng.normal(size=grid.size)
    first = M @ r
    for other in (1e3 * rng.normal(size=grid.size), np.full(grid.size, np.nan)):
        M @ other
        np.testing.assert_array_equal(M @ r, first)


def test_scipy_takes_it():
    problem = grid_problem("neumann", (48, 48), 5)
    grid = GridOperator(**problem.arguments)
    b, count = problem.right(), []
    x, info = scipy.sparse.linalg.cg(
        grid.to_csr(), b, rtol=1e-8, M=multilevel(grid, dtype="float64"), callback=count.append
    )
    assert info == 0
    assert len(count) <= 12
    np.testing.assert_allclose(x, scipy.sparse.linalg.spsolve(grid.to_csr().tocsc(), b), atol=1e-6)


def test_update_is_a_fresh_set_up(seed):
    rng = np.random.default_rng(seed)
    shape = (20, 17)
    grid = GridOperator(shape, 1.5, 0.1, unknowns="cells")
    M, r = multilevel(grid), rng.normal(size=grid.size)
    for change in (
        {"mask": rng.random(shape) < 0.8}, {"coeff": rng.uniform(0.5, 2, shape)}, {"mass": 0.5}, {"coeff": 2.0},
        {"mask": np.ones(shape, bool)},
    ):  # fmt: skip
        M.update(**change)
        fresh = GridOperator(shape, 1.5, 0.1, unknowns="cells")
        fresh.update(coeff=grid._cells if grid._cells is not None else grid.coeff, mass=grid.mass, mask=grid.mask)
        np.testing.assert_array_equal(M @ r, multilevel(fresh) @ r)


def test_an_update_that_fails_changes_nothing(seed):
    """No hierarchy for a closed box, or for a mass below 0: neither the operator nor the hierarchy is another."""
    mask = np.ones((20, 17), bool)
    grid = GridOperator((20, 17), mask=mask, bc=["neumann", ("neumann", "dirichlet")], unknowns="cells")
    M, r = multilevel(grid), np.random.default_rng(seed).normal(size=grid.size)
    before, product = M @ r, grid @ r
    closed = mask.copy()
    closed[:, 8] = False
    for change, says in (({"mask": closed}, "have no sink"), ({"mass": -1e-3}, "mass >= 0")):
        with pytest.raises(ValueError, match=says):
            M.update(**change)
        assert M.current
        np.testing.assert_array_equal(M @ r, before)
        np.testing.assert_array_equal(grid @ r, product)


@pytest.mark.parametrize(
    ("family", "shape"),
    [("smoke", (40, 37, 50)), ("dirichlet", (90, 77)), ("neumann", (70, 83)), ("uniform", (20, 21, 35))],
)
def test_a_number_for_the_coefficient_makes_the_levels_of_an_array(family, shape):
    """The first is filled from the mask alone, many cells at once away from obstacles."""
    arguments = grid_problem(family, shape, 4).arguments
    number, array = GridOperator(**arguments), GridOperator(**{**arguments, "coeff": np.ones(shape)})
    levels = [multilevel(grid).kernel for grid in (number, array)]
    for level in range(levels[0].levels - 1):
        for name, axis in [("inverse", None), ("scale", None), *(("share", axis) for axis in range(3))]:
            mine, other = (
                kernel.field(name, level, axis) * (kernel.scale if name == "inverse" else 1) for kernel in levels
            )
            np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-7, err_msg=f"{name} {level} {axis}")
    r = np.random.default_rng(4).normal(size=number.size)
    np.testing.assert_allclose(number @ r, array @ r, rtol=1e-12, atol=1e-12)


def test_parts_that_come_to_a_wall(seed):
    rng = np.random.default_rng(seed)
    found = set()
    for _ in range(300):
        shape = tuple(rng.integers(1, 9, rng.integers(1, 4)))
        mask = rng.random(shape) < rng.choice([0.0, 0.4, 0.6, 0.9, 1.0])
        walls = rng.random((len(shape), 2)) < 0.7
        labels, count = scipy.ndimage.label(mask)
        at_walls = [np.take(labels, -high, axis) for axis, ends in enumerate(walls) for high in (0, 1) if ends[high]]
        expected = set(range(1, count + 1)) <= {label for some in at_walls for label in np.unique(some)}
        assert _kernels.drained(mask, walls.tolist()) == expected, (mask, walls)
        found.add(expected)
    assert found == {True, False}


def test_strong_anisotropy_is_coarsened_along_one_axis():
    grid = GridOperator((64, 64), spacing=(1.0, 100.0), unknowns="cells")
    assert multilevel(grid).shapes[:3] == [(64, 64), (32, 64), (16, 64)]


def test_bad_arguments():
    grid = GridOperator((8, 8))
    with pytest.raises(TypeError, match="GridOperator"):
        multilevel(np.eye(3))
    with pytest.raises(ValueError, match="nullspace"):
        multilevel(grid, nullspace="all")
    with pytest.raises(ValueError, match="dtype"):
        multilevel(grid, dtype="float16")
    for smoother in ("line-2", "plane"):
        with pytest.raises(ValueError, match=f"smoother must be one of rb, line-0, line-1, not '{smoother}'"):
            multilevel(grid, smoother=smoother)
    with pytest.raises(ValueError, match="axis 1 is periodic"):
        multilevel(GridOperator((8, 8), bc=["neumann", "periodic"], mass=1.0), smoother="line-1")
    with pytest.raises(ValueError, match="cycle must be one of V, W"):
        multilevel(grid, cycle="K")
    with pytest.raises(ValueError, match="mass >= 0"):
        multilevel(GridOperator((8, 7), mass=-0.1))


@pytest.mark.parametrize(
    ("shape", "constant", "seed"),
    [((1101, 1003), False, 3), ((1101, 1003), True, 7), ((110, 98, 110), False, 23), ((110, 98, 110), True, 91)],
)
def test_what_earlier_solves_left_in_memory_changes_nothing(shape, constant, seed):
    """Long vectors lie in blocks that are used again: whatever is in them, the bits are the same."""
    _runtime.scratch_release()
    grid = random_grid(shape, seed, constant)
    b = np.where(grid.mask, np.random.default_rng(seed).normal(size=shape), 0).ravel()
    first = solvers.linsolve(grid, b, method="multilevel-cg", max_iter=6)
    assert np.isfinite(first.residual_norm)
    pitch = 16 + -(-shape[-1] // 16) * 16
    cells = pitch * grid.size // shape[-1] + 32
    del grid.hierarchies[None]  # whose blocks go to rest
    dirty = [np.frombuffer(_runtime.Scratch(width * cells), np.float32) for width in [4] * 12 + [8] * 12]
    for block in dirty:
        block.fill(np.nan)
    del block, dirty
    again = solvers.linsolve(grid, b, method="multilevel-cg", max_iter=6)
    assert again.x.tobytes() == first.x.tobytes()


def test_blocks_come_from_those_that_rest():
    _runtime.scratch_release()
    grid, b = GridOperator((1001, 1100), unknowns="cells"), np.ones(1_101_100)
    solvers.linsolve(grid, b)
    del grid.hierarchies[None]
    resting = _runtime.scratch_resting()
    if threads.build_info()["sanitizer"] == "none":
        assert resting > 40e6
    solvers.linsolve(grid, b)
    assert _runtime.scratch_resting() < resting or resting == 0


@pytest.mark.parametrize("shape", [(1, 40, 33), (40, 1, 33), (40, 33, 1), (1, 1, 400), (1, 300)])
def test_axes_of_one_cell(shape, seed):
    """The hierarchy is that of the grid without them: there, a Dirichlet wall at both sides is a mass."""
    thick = GridOperator(shape, bc=["neumann" if n == 1 else "dirichlet" for n in shape])
    thin = GridOperator([n for n in shape if n > 1])
    r = np.random.default_rng(seed).normal(size=thick.size)
    np.testing.assert_allclose(multilevel(thick) @ r, multilevel(thin) @ r, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("link", [1.0, 1e-6, 1e-18, 0.0])
@pytest.mark.parametrize("sinks", ["none", "left", "both"])
def test_the_last_level_alone_is_an_inverse(link, sinks, seed):
    """Of one level, two rooms that hang together by couplings of any size: exact but for what no sink holds."""
    rng = np.random.default_rng(seed)
    shape, along = (4, 12), rng.uniform(0.5, 2, (4, 13))
    along[:, 6] *= link
    mass = np.zeros(shape)
    mass[:, :6] += 0.1 * (sinks != "none")
    mass[:, 6:] += 0.1 * (sinks == "both")
    op = GridOperator(shape, [rng.uniform(0.5, 2, (5, 12)), along], mass, bc="neumann")
    M = multilevel(op, nullspace="components", dtype="float64")
    assert len(M.shapes) == 1
    r = rng.normal(size=shape)
    for room, held in ((r[:, :6], sinks != "none"), (r[:, 6:], sinks == "both")):
        if not held and link < 1:
            room -= room.mean()
    r -= 0 if sinks != "none" else r.mean()
    np.testing.assert_allclose(op @ (M @ r.ravel()), r.ravel(), atol=1e-8)
    inverse = np.column_stack([M @ column for column in np.eye(op.size)])
    np.testing.assert_allclose(inverse, inverse.T, rtol=1e-12, atol=1e-12 * np.abs(inverse).max())
    assert np.linalg.eigvalsh(inverse).min() >= -1e-9 * np.abs(inverse).max()


@pytest.mark.parametrize("bc", ["neumann", "periodic", ("neumann", "dirichlet"), "dirichlet"])
@pytest.mark.parametrize("shape", [(300,), (12, 140), (34, 18), (6, 8, 150), (4, 1, 40), (8, 8, 17)])
@pytest.mark.parametrize("obstacle", ["neumann", "dirichlet"])
def test_a_constant_coefficient_is_one_that_is_the_same_everywhere(shape, bc, obstacle, seed):
    """Open space, rows at walls, obstacles, and rows that are longer than what is worked on at a time."""
    rng = np.random.default_rng(seed)
    mask = np.ones(shape, bool)
    for _ in range(3):
        low = [rng.integers(0, n) for n in shape]
        mask[tuple(slice(i, i + 1 + n // 5) for i, n in zip(low, shape, strict=True))] = False
    ends = [bc] * len(shape)
    for of_mask in (None, mask):
        same = {"mass": 0.25, "bc": ends, "mask": of_mask, "obstacle": obstacle, "unknowns": "cells"}
        constant = multilevel(GridOperator(shape, 2.0, **same), dtype="float64")
        variable = multilevel(GridOperator(shape, np.full(shape, 2.0), **same), dtype="float64")
        assert constant.shapes == variable.shapes
        for level in range(len(constant.shapes)):
            fields = [("inverse", None), ("scale", None), *(("share", axis) for axis in range(3))]
            for name, axis in fields:
                ours, theirs = (
                    M.kernel.field(name, level, axis) * (M.kernel.scale if name == "inverse" else 1)
                    for M in (constant, variable)
                )
                np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)
