"""Many right-hand sides on one grid: what a group gives is what each alone would, and is judged like it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers import Status
from solvers._base import _runtime
from solvers.linalg import GridOperator, _multilevel_many, multilevel, solve
from solvers.testing import grid_problem

GRIDS = [
    GridOperator((97,), 1.3, 0.01),
    GridOperator((24, 24), unknowns="cells"),
    GridOperator((16, 24), 1.3, 0.01, bc="periodic"),
    GridOperator((16, 9, 32), 1.3, 0.01, bc=["periodic", "neumann", "periodic"]),
    GridOperator(**grid_problem("neumann", (48, 41), 3).arguments),
    GridOperator(**grid_problem("dirichlet", (37, 40), 5).arguments),
    GridOperator(**grid_problem("jumps", (48, 40), 7).arguments),
    GridOperator(**grid_problem("strongly-anisotropic", (40, 33), 11).arguments),
    GridOperator(**grid_problem("smoke", (21, 17, 24), 3).arguments),
    GridOperator(**grid_problem("lognormal", (14, 20, 17), 3).arguments),
]


def rights(grid, count, seed):
    b = np.random.default_rng(seed).normal(size=(grid.size, count))
    if grid.mask is not None:
        b[~grid.mask.ravel()] = 0
    return b


@pytest.mark.parametrize("count", [9, 16, 27, 35])
@pytest.mark.parametrize("grid", GRIDS, ids=lambda grid: "x".join(map(str, grid.grid_shape)))
def test_each_column_is_solved(grid, count, seed):
    b = rights(grid, count, seed)
    result = solve(grid, b, rtol=1e-7)
    assert result.success
    assert result.method == "multilevel-cg"
    left = np.linalg.norm(b - grid.to_csr() @ result.x, axis=0)
    assert (left <= 1e-7 * np.linalg.norm(b, axis=0)).all()
    np.testing.assert_allclose([column.residual_norm for column in result.columns], left, rtol=1e-6)
    together = [column.stats["together"] for column in result.columns]
    assert together == [k < count - (count % 16 if count % 16 < 9 else 0) for k in range(count)]
    for k in (0, count - 1):
        alone = solve(grid, b[:, k], rtol=1e-7)
        assert abs(alone.nit - result.columns[k].nit) <= 1
        assert result.columns[k].x.tobytes() == np.ascontiguousarray(result.x[:, k]).tobytes()


def test_threads_and_earlier_memory_do_not_change_the_bits(seed):
    grid = GRIDS[seed % len(GRIDS)]
    b = rights(grid, 48, seed)
    first = solve(grid, b, threads=1).x.tobytes()
    for threads in (1, 2, 3):
        for block in [np.frombuffer(_runtime.Scratch(9 << 20), np.float32) for _ in range(4)]:
            block.fill(np.nan)
        assert solve(grid, b, threads=threads).x.tobytes() == first


def test_starts_and_columns_of_zeros(seed):
    grid = GRIDS[4]
    b = rights(grid, 12, seed)
    b[:, 3] = 0
    known = solve(grid, b, rtol=1e-10)
    again = solve(grid, b, x0=known.x, rtol=1e-9)
    assert (known.success, again.success, again.nit) == (True, True, 0)
    assert not known.x[:, 3].any()
    near = solve(grid, b, x0=known.x + 1e-6 * known.x, rtol=1e-9)
    assert near.success
    assert 0 < near.nit < known.nit


def test_who_is_not_there_goes_on_alone():
    """In ten iterations nobody is, and nobody may be said to be."""
    grid = GRIDS[6]
    b = rights(grid, 16, 3)
    few = solve(grid, b, rtol=1e-10, max_iter=5)
    assert not few.success
    assert {column.status for column in few.columns} == {Status.MAX_ITER}
    assert {column.nit for column in few.columns} == {5}
    # a tolerance below rounding: the recurrence gets there, the truth does not
    deep = solve(grid, b, rtol=1e-17, max_iter=100)
    left = np.linalg.norm(b - grid.to_csr() @ deep.x, axis=0)
    assert not deep.success
    assert (left <= 1e-12 * np.linalg.norm(b, axis=0)).all()


def test_a_converged_column_goes_on_to_a_smaller_tolerance():
    grid, b = GRIDS[4], rights(GRIDS[4], 9, 3)
    first = solve(grid, b[:, 0], rtol=1e-4)
    second = solve(grid, b[:, 0], rtol=1e-9, resume=first.state)
    assert second.success
    assert second.nit > first.nit
    assert np.linalg.norm(b[:, 0] - grid.to_csr() @ second.x) <= 1e-9 * np.linalg.norm(b[:, 0])


def test_what_is_solved_one_by_one():
    grid = GRIDS[1]
    b = rights(grid, 16, 3)
    plain = {"together": False}
    for more in ({"callback": lambda _: None}, {"time_limit": 60.0}, {"reference": "r0"}):
        assert solve(grid, b, **more).stats["together"] is plain["together"]
    assert not solve(grid, b[:, :8]).stats["together"]
    assert not solve(grid, b, M=multilevel(grid, dtype="float64")).stats["together"]
    closed = GridOperator((24, 24), bc="neumann")
    assert not solve(closed, b, nullspace="constant").stats["together"]
    assert solve(grid, b, M=multilevel(grid)).stats["together"]
    large = GridOperator((144, 144), unknowns="cells")
    assert not solve(large, rights(large, 16, 3)).stats["together"]


@pytest.mark.parametrize("count", [3, 16, 19])
def test_answers_are_columns_of_one_array(count):
    """Those that were solved together, alone, or partly so; what a state holds of them is no second copy."""
    grid = GRIDS[4]
    result = solve(grid, rights(grid, count, 3), rtol=1e-8)
    for k, column in enumerate(result.columns):
        assert column.x.base is result.x
        np.testing.assert_array_equal(column.x, result.x[:, k])
        assert column.state.x is column.x


def test_bad_columns():
    grid = GRIDS[4]
    b = rights(grid, 16, 3)
    b[5, 7] = np.nan
    with pytest.raises(ValueError, match="b"):
        solve(grid, b)
    b = rights(grid, 16, 3)
    b[np.flatnonzero(~grid.mask.ravel())[0], 2] = 1
    with pytest.raises(ValueError, match="outside of the mask"):
        solve(grid, b)
    assert solve(grid, b, method="multilevel-cg", options={"outside": "ignore"}).success
    with pytest.raises(ValueError, match="x0 must have the shape of b"):
        solve(grid, rights(grid, 16, 3), x0=np.zeros((grid.size, 3)))


@given(
    shape=st.one_of(st.tuples(*[st.integers(3, 40)] * 2), st.tuples(*[st.integers(3, 14)] * 3)),
    seed=st.integers(0, 2**16),
    constant=st.booleans(),
)
@settings(max_examples=30, deadline=None)
def test_any_grid(shape, seed, constant):
    rng = np.random.default_rng(seed)
    kinds = ["dirichlet", "neumann", ("neumann", "dirichlet")]
    bc = ["periodic" if n % 2 == 0 and rng.random() < 0.4 else kinds[rng.integers(3)] for n in shape]
    coeff = 2.0 if constant else np.exp(rng.normal(size=shape))
    mask = rng.random(shape) < 0.85
    mask.flat[0] = True
    grid = GridOperator(shape, coeff, 0.01, rng.uniform(0.7, 1.4, len(shape)), bc, mask=mask, unknowns="cells")
    if _multilevel_many.serves(grid, None, None):
        return
    b = rights(grid, 11, seed)
    result = solve(grid, b, method="multilevel-cg", rtol=1e-8, max_iter=500)
    left = np.linalg.norm(b - grid.to_csr() @ result.x, axis=0)
    assert all(column.success for column in result.columns)
    assert (left <= 1e-8 * (1 + 1e-6) * np.linalg.norm(b, axis=0)).all()
