"""Learned corrections of the hierarchy: nothing where they must say nothing, and the theory kept whatever they say."""

import numpy as np
import pytest

from solvers.linalg import GridOperator, multilevel, solve
from solvers.linalg._corrections import SHAPES, SHIPPED, Corrections, shipped
from solvers.testing import check_linear, grid_problem

ROUGH = [("jumps", (40, 36)), ("lognormal", (33, 50)), ("neumann", (37, 44)), ("lognormal", (13, 14, 18))]


def operator(family, shape, seed=3, **more):
    return GridOperator(**grid_problem(family, shape, seed).arguments, **more)


def loud(seed):
    """Corrections as large as they can be."""
    return Corrections.random(seed, heads=3.0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("family", "shape"), ROUGH)
def test_zero_heads_are_the_hand_made_hierarchy(family, shape, dtype, seed):
    """To the bit; and others change it."""
    grid = operator(family, shape)
    r = np.random.default_rng(seed).normal(size=grid.size)
    by_hand = multilevel(grid, dtype=dtype) @ r
    silent = multilevel(grid, weights=Corrections.random(seed), gate=False, dtype=dtype)
    np.testing.assert_array_equal(silent @ r, by_hand)
    assert (multilevel(grid, weights=loud(seed), gate=False, dtype=dtype) @ r != by_hand).any()


@pytest.mark.parametrize("spacing", [1.0, 0.7])
def test_a_uniform_interior_is_the_hand_made_one(spacing, seed):
    """Corrections reach from a wall no further than the two layers see."""
    grid = GridOperator((48, 48), 1.3, spacing=spacing, unknowns="cells")
    plain, learned = multilevel(grid), multilevel(grid, weights=loud(seed), gate=False)
    for axis in (0, 2):
        for name, level, reach in (("share", 0, 4), ("face", 1, 4)):
            found, kept = (M.kernel.field(name, level, axis)[:, 0] for M in (learned, plain))
            inner = slice(reach, -reach)
            np.testing.assert_array_equal(found[inner, inner], kept[inner, inner])
            assert (found != kept).any()
    periodic = GridOperator((32, 32), bc="periodic", mass=0.0)
    r = np.random.default_rng(seed).normal(size=1024)
    plain, learned = (multilevel(periodic, nullspace="constant", weights=w, gate=False) for w in (None, loud(seed)))
    np.testing.assert_array_equal(learned @ r, plain @ r)


@pytest.mark.parametrize(("family", "shape"), ROUGH)
def test_symmetric_positive_definite_whatever_the_net_says(family, shape, seed):
    grid, rng = operator(family, shape), np.random.default_rng(seed)
    M = multilevel(grid, weights=loud(seed), gate=False, dtype="float64")
    there = np.ones(grid.size) if grid.mask is None else grid.mask.ravel()
    a, b = rng.normal(size=(2, grid.size)) * there
    assert abs((M @ a) @ b - a @ (M @ b)) <= 1e-12 * np.linalg.norm(a) * np.linalg.norm(M @ b)
    assert all(v @ (M @ v) > 0 for v in rng.normal(size=(20, grid.size)) * there)


def test_constants_stay_exact(seed):
    """Away from sinks P 1 = 1: rows are normalised after their shares have moved."""
    rng = np.random.default_rng(seed)
    for shape in ((40, 36), (12, 15, 14)):
        body = grid_problem("neumann", shape, seed).mask
        grid = GridOperator(shape, np.exp(2 * rng.normal(size=shape)), bc="neumann", mask=body)
        M = multilevel(grid, dtype="float64", nullspace="components", weights=loud(seed), gate=False)
        ones = M.kernel.interpolated(M.kernel.field("inverse", 1) > 0).reshape(shape)
        joined = np.diff(grid.to_csr().indptr).reshape(shape) > 1
        np.testing.assert_allclose(ones[joined & body], 1, rtol=1e-14)


@pytest.mark.parametrize("shape", [(32, 32), (48, 20), (16, 16, 16)])
def test_flips_and_exchanged_axes_go_through(shape, seed):
    """The map of a flipped problem is the flipped map."""
    rng = np.random.default_rng(seed)
    coeff, r = np.exp(rng.normal(size=shape)), rng.normal(size=shape)
    weights = Corrections.random(seed, heads=0.3)

    def image(change):
        grid = GridOperator(change(coeff).shape, change(coeff), unknowns="cells")
        M = multilevel(grid, weights=weights, gate=False, dtype="float64")
        # red and black are exchanged by a flip: the smoother's order is not the net's, so compare what it made
        return [M.kernel.field("face", level, axis) for level in (1, 2) for axis in (0, 2)], M @ change(r).ravel()

    faces, _ = image(lambda x: x)
    swapped, _ = image(lambda x: np.swapaxes(x, 0, -1))
    for level in (0, 1):
        np.testing.assert_allclose(np.swapaxes(swapped[2 * level + 1], 0, 2), faces[2 * level], rtol=1e-12)
    flipped, _ = image(lambda x: np.flip(x, -1))
    for level in (0, 1):  # the coupling with the cell before becomes that with the cell after
        np.testing.assert_allclose(np.flip(flipped[2 * level], -1)[..., :-1], faces[2 * level][..., 1:], rtol=1e-12)
        np.testing.assert_allclose(np.flip(flipped[2 * level + 1], -1), faces[2 * level + 1], rtol=1e-12)


def test_threads_give_the_same_bits(seed):
    for family, shape in (("lognormal", (300, 200)), ("jumps", (40, 33, 44))):
        grid = operator(family, shape)
        r = np.random.default_rng(seed).normal(size=grid.size)
        results = [multilevel(grid, weights=loud(seed), gate=False, threads=threads) @ r for threads in (1, 2, 5)]
        np.testing.assert_array_equal(results[0], results[1])
        np.testing.assert_array_equal(results[0], results[2])


def test_the_gate_keeps_the_better():
    grid = operator("jumps", (64, 64), 5)
    b = np.random.default_rng(2).normal(size=grid.size)
    plain = solve(grid, b, M=multilevel(grid), rtol=1e-6)
    spoilt = multilevel(grid, weights=loud(1))
    assert not spoilt.used_correction
    assert solve(grid, b, M=spoilt, rtol=1e-6).nit == plain.nit
    assert solve(grid, b, M=multilevel(grid, weights=loud(1), gate=False), rtol=1e-6).nit > plain.nit
    M = multilevel(grid, weights="shipped")
    result = solve(grid, b, M=M, rtol=1e-6)
    check_linear(grid, b, result, rtol=1e-6)
    assert result.stats["used_correction"]
    assert M.used_correction
    M.update(coeff=1.0)  # set up anew, tried anew
    assert solve(grid, b, M=M).success


def test_the_shipped_weights_take_fewer_iterations():
    """On problems that the training has not seen, in the mean of each family; the bound is loose."""
    for family, shape in (("jumps", 96), ("lognormal", 96), ("dirichlet", 96), ("smoke", (24, 24, 24))):
        before = after = 0
        for seed in range(4):
            grid, b = operator(family, shape, seed), grid_problem(family, shape, seed).right()
            for weights in (None, "shipped"):
                M = multilevel(grid, weights=weights, gate=False)
                nit = solve(grid, b, M=M, rtol=1e-8).nit
                before, after = (before + nit, after) if weights is None else (before, after + nit)
        assert after <= before, family


def test_files(tmp_path):
    made = Corrections.random(4, heads=0.1)
    made.save(tmp_path / "w.npz")
    read = Corrections.load(tmp_path / "w.npz")
    for name in SHAPES:
        np.testing.assert_array_equal(read.parameters[name], made.parameters[name].astype(np.float32))
    assert SHIPPED.stat().st_size < 65536
    assert shipped().training["kept"] > 0
    grid = GridOperator((20, 20), mass=0.1)
    with pytest.raises(FileNotFoundError):
        multilevel(grid, weights=tmp_path / "none.npz")
    for change, match in (
        ({"format": 2}, "format 2"), ({"architecture": "dcdm"}, "architecture"), ({"features": '["a"]'}, "features"),
        ({"fingerprint": "0"}, "damaged"), ({"link": np.zeros(3)}, "link must have shape"),
        ({"share": np.full(8, np.nan)}, "NaN"), ({"second_shift": np.full(8, -1e11)}, "more than"),
    ):  # fmt: skip
        with np.load(tmp_path / "w.npz") as file:
            held = {name: file[name] for name in file.files}
        np.savez(tmp_path / "bad.npz", **(held | change))
        with pytest.raises(ValueError, match=match):
            multilevel(grid, weights=str(tmp_path / "bad.npz"))
    (tmp_path / "text.npz").write_text("no weights")
    with pytest.raises(ValueError, match="no file of weights"):
        Corrections.load(tmp_path / "text.npz")
