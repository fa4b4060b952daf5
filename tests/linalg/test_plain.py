"""Solves by SSOR-CG with little around the loop: they are the long way's, to the last bit."""

import dataclasses
import time

import numpy as np
import pytest
import scipy.sparse

from solvers import OptionError, Status
from solvers.linalg import GridOperator, OmegaTuner, _kernels, _plain, _problem, plan, solve

from .matrices import laplacian

HEAT = GridOperator((23, 31), 0.4, 1.0)


def systems():
    rng = np.random.default_rng(7)
    varying = np.exp(rng.normal(size=(19, 33)))
    return {
        "uniform": HEAT,
        "a line": GridOperator(41, 2.0, 1.0),
        "a box": GridOperator((5, 7, 18), mass=0.3),
        "constant": GridOperator((12, 17), mass=1.0, bc=["neumann", "dirichlet"]),
        "periodic": GridOperator((16, 9), mass=1.0, bc="periodic"),
        "periodic layers": GridOperator((4, 6, 17), 0.7, 0.2, bc=["periodic", "dirichlet", "periodic"]),
        "varying": GridOperator((19, 33), varying, 0.1, bc=["neumann", "periodic"]),
        "with an obstacle": GridOperator((19, 33), varying, 0.1, mask=rng.random((19, 33)) > 0.1),
        "several blocks of sums": GridOperator((150, 260), 1.0, 2.0),
        "CSR": HEAT.to_csr(),
        "float32": HEAT.to_csr().astype(np.float32),
    }


SYSTEMS = systems()


def both(A, b, **keywords):
    """As it comes, and the long way: a generator is checked."""
    return (solve(A, b, method="ssor-cg", rng=rng, **keywords) for rng in (None, 0))


def same(one, other):
    for name in ("nit", "measure", "residual_norm", "status", "success", "message", "options", "method", "columns"):
        assert getattr(one, name) == getattr(other, name), name
    np.testing.assert_array_equal(one.x, other.x)
    assert one.stats.keys() == other.stats.keys()
    for name in one.stats.keys() - {"seconds"}:
        assert one.stats[name] == other.stats[name], name
    for name in ("nit", "measure"):
        np.testing.assert_array_equal(one.history[name], other.history[name])
    for field in dataclasses.fields(other.state):
        np.testing.assert_array_equal(getattr(one.state, field.name), getattr(other.state, field.name), field.name)


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize(
    "more",
    [{}, {"options": {"omega": 1.6}, "x0": True}, {"options": {"ordering": "natural"}, "rtol": 1e-3, "atol": 2},
     {"max_iter": 3, "x0": True}, {"rtol": 1e-17}, {"threads": 2, "assume_symmetric": True},
     {"time_limit": 1e6}, {"time_limit": 1e6, "max_iter": 3}, {"time_limit": 1000, "rtol": 1e-17}],
)  # fmt: skip
def test_it_is_the_long_way(name, more, seed):
    A, rng = SYSTEMS[name], np.random.default_rng(seed)
    b, x0 = rng.normal(size=(2, A.shape[0]))
    one, other = both(A, b, **{**more, **({"x0": x0} if "x0" in more else {})})
    same(one, other)
    left = np.linalg.norm(b - A @ one.x)
    assert one.measure == pytest.approx(left, rel=1e-3, abs=1e-13 * np.linalg.norm(b))


@pytest.mark.parametrize("limit", [None, 1e6])
def test_it_goes_on_where_the_first_run_ends(monkeypatch, limit):
    for module in (_plain, _problem):
        monkeypatch.setattr(module, "a_step", lambda A: 4)
    one, other = both(HEAT, np.ones(HEAT.size), time_limit=limit, rtol=1e-12)
    same(one, other)
    assert one.success
    np.testing.assert_array_equal(one.history["nit"][:3], [0, 4, 8])


def test_a_limit_that_is_not_reached_is_no_long_way(monkeypatch):
    monkeypatch.setattr(_plain, "run", None)
    assert solve(HEAT, np.ones(HEAT.size), method="ssor-cg", time_limit=60).success


def test_what_the_first_run_made_is_kept_when_the_time_is_over(monkeypatch):
    monkeypatch.setattr(_plain, "a_step", lambda A: 4)
    monkeypatch.setattr(_plain, "perf_counter", lambda: time.perf_counter() - 100)
    b = np.ones(HEAT.size)
    result, four = (solve(HEAT, b, method="ssor-cg", **more) for more in ({"time_limit": 10.0}, {"max_iter": 4}))
    assert (result.status, result.nit) == (Status.TIME_LIMIT, 4)
    np.testing.assert_array_equal(result.x, four.x)
    np.testing.assert_array_equal(result.history["nit"], [0, 4])
    np.testing.assert_array_equal(result.history["measure"], four.history["measure"])
    assert result.residual_norm < np.linalg.norm(b)


@pytest.mark.parametrize("limit", [0, 1e-9])
def test_no_time_is_no_iteration(limit):
    result = solve(HEAT, np.ones(HEAT.size), method="ssor-cg", time_limit=limit)
    assert (result.status, result.nit) == (Status.TIME_LIMIT, 0)


@pytest.mark.parametrize("limit", [-1.0, "soon", np.nan])
def test_a_limit_that_is_none_is_refused(limit):
    with pytest.raises(OptionError, match="time_limit"):
        solve(HEAT, np.ones(HEAT.size), method="ssor-cg", time_limit=limit)


def test_it_goes_on_from_its_state(seed):
    b = np.random.default_rng(seed).normal(size=HEAT.size)
    coarse, fine = solve(HEAT, b, method="ssor-cg", rtol=1e-3), solve(HEAT, b, method="ssor-cg", rtol=1e-9)
    on = solve(HEAT, b, method="ssor-cg", rtol=1e-9, resume=coarse.state)
    assert coarse.nit < on.nit == fine.nit
    assert on.success


@pytest.mark.parametrize("scale", [0.0, 1e-200, 1e200, np.nan])
def test_other_sizes_go_the_long_way(scale):
    b = np.full(HEAT.size, scale)
    if not np.isfinite(scale):
        with pytest.raises(ValueError, match="b must be finite"):
            solve(HEAT, b, method="ssor-cg")
        return
    one, other = both(HEAT, b)
    same(one, other)
    assert one.success


@pytest.mark.parametrize(
    "more",
    [{"rtol": -1.0}, {"rtol": 0.0}, {"max_iter": -1}, {"x0": np.full(HEAT.size, np.nan)}, {"x0": np.ones(3)},
     {"reference": "A"}, {"options": {"omega": 2.0}}, {"options": {"omga": 1.0}}, {"options": {"ordering": "blocks"}},
     {"threads": 0}, {"options": 3}],
)  # fmt: skip
def test_what_is_wrong_is_refused_in_the_same_words(more):
    said = []
    for limit in (None, 1e6):
        with pytest.raises((ValueError, TypeError)) as info:
            solve(HEAT, np.ones(HEAT.size), method="ssor-cg", time_limit=limit, **more)
        said.append((info.type, str(info.value)))
    assert said[0] == said[1]


def test_vectors_of_other_kinds_are_read():
    b = np.arange(HEAT.size) % 7
    expected = solve(HEAT, b.astype(float), method="ssor-cg").x
    for given in (b, b.tolist(), b.astype(np.float32), np.repeat(b.astype(float), 2)[::2], b.astype(">f8")):
        np.testing.assert_array_equal(solve(HEAT, given, method="ssor-cg").x, expected)
    with pytest.raises(TypeError, match="masked"):
        solve(HEAT, np.ma.masked_array(b.astype(float), b == 3), method="ssor-cg")


def test_neither_b_nor_x0_is_changed_or_returned(seed):
    b, x0 = np.random.default_rng(seed).normal(size=(2, HEAT.size))
    for A in (HEAT, HEAT.to_csr()):
        kept = b.copy(), x0.copy()
        x = solve(A, b, x0=x0, method="ssor-cg").x
        x[:] = np.nan
        np.testing.assert_array_equal((b, x0), kept)


def test_a_tuner_is_asked_and_told():
    tuner = OmegaTuner(rng=0)
    for _ in range(3):
        assert solve(HEAT, np.ones(HEAT.size), method="ssor-cg", options={"omega": tuner}).success
    assert tuner.state_dict() != OmegaTuner(rng=0).state_dict()


def test_an_indefinite_matrix_is_told():
    A = scipy.sparse.csr_array(laplacian(8, 8) - 3.9 * scipy.sparse.eye_array(64))
    A.setdiag(np.abs(A.diagonal()) + 0.1)
    one, other = both(plan(A), np.random.default_rng(1).normal(size=64))
    assert not one.success
    assert (one.status, one.message, one.nit) == (other.status, other.message, other.nit)


@pytest.mark.parametrize("name", [name for name in SYSTEMS if "CSR" not in name and name != "float32"])
def test_what_comes_before_the_first_iteration(name, seed):
    """In one pass: r = (K + L)^-1 (b - A x), v = D r; the norm has the bits of the product's own."""
    grid, rng = SYSTEMS[name], np.random.default_rng(seed)
    operand, omega = grid.operand("natural"), 1.4
    b, x = (operand.pack(rng.normal(size=grid.size)) for _ in range(2))
    r, v, kept, left, solved = (operand.room() for _ in range(5))
    numbers = np.zeros(_kernels.CG_NUMBERS)
    loop = _kernels.ConjugateGradients(operand, None, b, x, r, v, kept, numbers)
    loop.start(0.0, omega)
    norm = np.sqrt(operand.residual(b, x, left))
    operand.triangular_solve(omega, False, left, solved)
    size = np.abs(solved).max()
    np.testing.assert_allclose(r, solved, rtol=0, atol=1e-14 * size)
    cells = operand.pack(np.ones(grid.size))
    np.testing.assert_allclose(v, cells * operand.diagonal * r, rtol=1e-15)
    assert numbers[5] == pytest.approx(float(v @ r), rel=1e-13)
    assert numbers[7] == norm / np.sqrt(numbers[5])
