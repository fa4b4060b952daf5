"""Many problems in one call: each must be what a solve of its own gives, and say honestly how it ended."""

import numpy as np
import ot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import solvers
from solvers import Status
from solvers.ot import solve, solve_batch


def _l1(plan, a, b):
    """Recomputed in extended precision."""
    plan = plan.astype(np.longdouble)
    return float(np.abs(plan.sum(1) - a).sum() + np.abs(plan.sum(0) - b).sum())


def _problems(rng, k, n, m, zeros=False):
    A, B = rng.dirichlet(np.ones(n), size=k), rng.dirichlet(np.ones(m), size=k)
    if zeros:
        A[:, 1:] *= rng.random((k, n - 1)) < 0.7
        B[:, 1:] *= rng.random((k, m - 1)) < 0.7
    return rng.random((k, n, m)), A / A.sum(1)[:, None], B / B.sum(1)[:, None]


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("reg", [1.0, 0.05, 0.01])
def test_as_single_solves(seed, reg, zeros):
    rng = np.random.default_rng(seed)
    C, A, B = _problems(rng, 6, 21, 34, zeros)
    result = solve_batch(C, A, B, reg=reg, tol=1e-12)
    assert result.all_success
    assert len(result) == len(result.plan) == 6
    for k in range(6):
        single = solve(C[k], A[k], B[k], reg=reg, tol=1e-12, max_iter=100_000)
        plan = result.plan[k].dense()
        assert _l1(plan, A[k], B[k]) <= 1.01e-12
        np.testing.assert_allclose(plan, single.plan.dense(), atol=1e-10)
        for name in ("f", "g"):
            np.testing.assert_allclose(result[k][name], single[name], rtol=1e-8, atol=1e-8)
        assert result.value[k] == pytest.approx(single.value, rel=1e-10)
        assert result.value_linear[k] == pytest.approx(single.value_linear, rel=1e-9)
        assert result[k].success
        assert result[k].marginal_error == result.marginal_error[k]
        assert (plan[A[k] == 0] == 0).all()
        assert (plan[:, B[k] == 0] == 0).all()


def test_against_pot(seed):
    rng = np.random.default_rng(seed)
    C, A, B = _problems(rng, 5, 30, 20)
    result = solve_batch(C, A, B, reg=0.05, tol=1e-12)
    for k in range(5):
        theirs = ot.sinkhorn(A[k], B[k], C[k], 0.05, stopThr=1e-14, numItermax=100_000)
        np.testing.assert_allclose(result.plan[k].dense(), theirs, atol=1e-12)
        value = ot.solve(C[k], A[k], B[k], reg=0.05, reg_type="KL", max_iter=100_000, tol=1e-14).value
        assert result.value[k] == pytest.approx(value, rel=1e-10)


@pytest.mark.parametrize("n", [1, 2, 5, 16, 65])
def test_every_tail_of_a_row(n, seed):
    rng = np.random.default_rng(seed)
    for m in [*range(1, 18), 33]:
        C, A, B = _problems(rng, 2, n, m)
        result = solve_batch(C, A, B, reg=0.05, tol=1e-11)
        assert result.all_success
        for k in range(2):
            assert _l1(result.plan[k].dense(), A[k], B[k]) <= 1.01e-11


@pytest.mark.parametrize("reg", [1e-2, 1e-3, 1e-4, 1e-6])
@pytest.mark.parametrize("kind", ["random", "points", "ties", "far", "one size"])
def test_small_reg_ends_right_or_says_so(kind, reg, seed):
    rng = np.random.default_rng(seed)
    C, A, B = _problems(rng, 4, 40, 31)
    if kind == "points":
        C = ((rng.random((4, 40, 1, 2)) - rng.random((4, 1, 31, 2))) ** 2).sum(-1)
    elif kind == "ties":
        C = np.abs(rng.integers(0, 9, (4, 40, 1)) - rng.integers(0, 9, (4, 1, 31))) / 8
    elif kind == "far":
        C = C + 2.0**20
    elif kind == "one size":
        C = np.full((4, 40, 31), 3.0)
    result = solve_batch(C, A, B, reg=reg)
    for k in range(4):
        error = _l1(result.plan[k].dense(), A[k], B[k])
        assert error == pytest.approx(result.marginal_error[k], rel=1e-3, abs=1e-13)
        assert result.success[k] == (result.status[k] == Status.CONVERGED) == (result.marginal_error[k] <= 1e-9)
    if reg >= 1e-4:
        assert result.all_success


def test_weights_far_apart():
    """Masses of very different size, down to where a column's mass is not seen beside the others."""
    A = np.array([[1.0, 1e-30, 1e-200, 1e-9], [0.25, 0.25, 0.25, 0.25]])
    B = np.array([[1e-12, 1.0, 1e-100], [1 / 3, 1e-300, 2 / 3]])
    C = np.array([[0.0, 9.0, 50.0], [9.0, 0.0, 50.0], [3.0, 3.0, 0.0], [1.0, 2.0, 3.0]])
    result = solve_batch(C, A / A.sum(1)[:, None], B / B.sum(1)[:, None], reg=0.01, tol=1e-12)
    assert result.all_success
    np.testing.assert_allclose(result.plan[0].dense().sum(0), B[0], rtol=1e-6)


def test_value_of_a_mass_near_the_end_of_the_numbers(seed):
    """Sums of the plan times potentials overflow there, while the value does not."""
    C = np.random.default_rng(seed).random((2, 5, 5))
    weights, mass, reg = np.full(5, 0.2), 1e308, 1e-3
    plain = solve_batch(C, weights, weights, reg=reg)
    heavy = solve_batch(C, weights * mass, weights * mass, reg=reg, tol=1e299)
    assert heavy.all_success
    np.testing.assert_allclose(heavy.value / mass, plain.value - reg * np.log(mass), rtol=1e-7)
    np.testing.assert_allclose(heavy.value_linear / mass, plain.value_linear, rtol=1e-7)


def test_bits_do_not_depend_on_threads_nor_on_neighbours(seed):
    rng = np.random.default_rng(seed)
    C, A, B = _problems(rng, 40, 23, 17)
    one = solve_batch(C, A, B, reg=0.01, threads=1)
    for threads in (2, 5):
        np.testing.assert_array_equal(solve_batch(C, A, B, reg=0.01, threads=threads).f, one.f)
    np.testing.assert_array_equal(solve_batch(C[7:9], A[7:9], B[7:9], reg=0.01).g, one.g[7:9])


def test_shared_data_are_those_of_each(seed):
    rng = np.random.default_rng(seed)
    C, A, B = _problems(rng, 5, 12, 14)
    regs = rng.uniform(0.02, 1, 5)
    for data in (
        (C[0], A, B, 0.1),
        (C, A[0], B, 0.1),
        (C, A, B[0], 0.1),
        (C[0], A[0], B[0], regs),
        (C, None, None, regs),
    ):
        result = solve_batch(data[0], data[1], data[2], reg=data[3])
        shapes = (np.ndim(data[0]) == 3, np.ndim(data[1]) == 2, np.ndim(data[2]) == 2, np.ndim(data[3]) == 1)
        for k in range(5):
            own = [x[k] if each else x for x, each in zip(data, shapes, strict=True)]
            single = solve_batch(own[0], own[1], own[2], reg=own[3])
            np.testing.assert_array_equal(result.f[k], single.f[0])
            assert result.value[k] == single.value[0]
            np.testing.assert_array_equal(result.plan[k].dense(), single.plan[0].dense())
    assert len(solve_batch(C[0], reg=0.1)) == 1


def test_layouts(seed):
    """float32 and strided costs are read in place, others copied once; nothing is written to."""
    rng = np.random.default_rng(seed)
    big = rng.random((6, 20, 30))
    for C, copies in (
        (big[::2, ::3, :17], 0),
        (big.astype(np.float32)[:, :, 3:9], 0),
        (np.asfortranarray(big), 1),
        (big[:, :, ::2], 1),
        ((big * 9).astype(int), 1),
    ):
        C.flags.writeable = False
        before = C.copy()
        result = solve_batch(C, reg=0.1 * float(C.max()))
        assert result.stats["copies"] == copies
        assert result.all_success
        expected = solve_batch(np.array(C, np.float64, order="C"), reg=0.1 * float(C.max()))
        np.testing.assert_allclose(result.f, expected.f, rtol=1e-12, atol=1e-12)
        np.testing.assert_array_equal(C, before)


@pytest.mark.parametrize("norm", ["l1", "l2", "linf"])
def test_norms(norm, seed):
    rng = np.random.default_rng(seed)
    C, A, B = _problems(rng, 3, 25, 25)
    order = {"l1": 1, "l2": 2, "linf": np.inf}[norm]
    result = solve_batch(C, A, B, reg=0.02, tol=1e-7, norm=norm)
    for k in range(3):
        plan = result.plan[k].dense()
        gaps = np.concatenate([plan.sum(1) - A[k], plan.sum(0) - B[k]])
        assert np.linalg.norm(gaps, order) == pytest.approx(result.marginal_error[k], rel=1e-6)
        assert result.marginal_error[k] <= 1e-7


def test_limits(seed):
    C, A, B = _problems(np.random.default_rng(seed), 3, 20, 20)
    none = solve_batch(C, A, B, reg=0.01, max_iter=0)
    assert (none.status == Status.MAX_ITER).all()
    assert not none.success.any()
    assert (none.nit == 0).all()
    few = solve_batch(C, A, B, reg=0.01, max_iter=5)
    assert (few.status == Status.MAX_ITER).all()
    assert np.isfinite(few.f).all()
    too_much = solve_batch(C, A, B, reg=0.01, tol=1e-30)
    assert (too_much.status == Status.STAGNATION).all()
    assert (too_much.marginal_error < 1e-12).all()
    with pytest.raises(solvers.SolveError):
        too_much[0].raise_for_status()


def test_reads_as_a_sequence(seed):
    C, A, B = _problems(np.random.default_rng(seed), 4, 6, 5)
    result = solve_batch(C, A, B, reg=0.1)
    assert [one.value for one in result] == list(result.value)
    assert [one.nit for one in result[1:3]] == list(result.nit[1:3])
    np.testing.assert_array_equal(result[-1].f, result.f[3])
    assert len(result.plan[1:]) == 3
    with pytest.raises(IndexError):
        result[4]
    assert repr(result) == "<4 transport problems of shape (6, 5), 4 solved>"


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("reg", [1.0, 0.02, 1e-4])
def test_all_plans_at_once_have_the_bits_of_each(dtype, shared, reg, seed, monkeypatch):
    C, A, B = _problems(np.random.default_rng(seed), 7, 19, 13, zeros=True)
    result = solve_batch((C[0] if shared else C).astype(dtype), A, B, reg=reg, max_iter=50)
    each = np.array([plan.dense() for plan in result.plan])
    np.testing.assert_array_equal(result.plan.dense(), each)
    np.testing.assert_array_equal(np.asarray(result.plan), each)
    monkeypatch.setattr("solvers.ot._batch.CALL_ENTRIES", 3 * 19 * 13)
    np.testing.assert_array_equal(result.plan.dense(), each)
    with pytest.raises(ValueError, match="without a copy"):
        result.plan.__array__(copy=False)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("tol", [1e-2, 1e-9, 1e-13])
@pytest.mark.parametrize(("n", "m"), [(64, 64), (33, 64), (19, 13)])
@pytest.mark.parametrize("reg", [0.02, 1e-4])
def test_plans_asked_for_with_the_solve_are_those_of_the_potentials(dtype, tol, n, m, reg, seed, monkeypatch):
    C, A, B = _problems(np.random.default_rng(seed), 5, n, m, zeros=True)
    result = solve_batch(C.astype(dtype), A, B, reg=reg, tol=tol, dense=True)
    plain = solve_batch(C.astype(dtype), A, B, reg=reg, tol=tol)
    np.testing.assert_array_equal(result.plan.dense(), plain.plan.dense())
    np.testing.assert_array_equal(result.plan.dense(), [plan.dense() for plan in result.plan])
    np.testing.assert_array_equal(result.marginal_error, plain.marginal_error)
    assert result.plan.dense() is result.plan.dense()
    assert np.shares_memory(np.asarray(result.plan), result.plan.dense())
    assert not np.shares_memory(np.array(result.plan, copy=True), result.plan.dense())
    assert np.asarray(result.plan, np.float32).dtype == np.float32
    monkeypatch.setattr("solvers.ot._batch.CALL_ENTRIES", 2 * n * m)
    parts = solve_batch(C.astype(dtype), A, B, reg=reg, tol=tol, dense=True)
    np.testing.assert_array_equal(parts.plan.dense(), plain.plan.dense())


@pytest.mark.parametrize("m", [64, 61])
def test_many_plans_asked_for_with_the_solve(m):
    """Whole lines of them are written past the cache, to the same bits."""
    C = np.random.default_rng(17).random((300, 64, m))
    result = solve_batch(C, reg=0.02, dense=True)
    np.testing.assert_array_equal(result.plan.dense(), solve_batch(C, reg=0.02).plan.dense())


EXAMPLES = settings(max_examples=50, deadline=None, derandomize=True)


@EXAMPLES
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1), st.sampled_from([1e-3, 0.02, 0.3]))
def test_transpose_and_shifts(n, m, seed, reg):
    rng = np.random.default_rng(seed)
    C, A, B = _problems(rng, 2, n, m)
    result = solve_batch(C, A, B, reg=reg, tol=1e-12)
    turned = solve_batch(C.transpose(0, 2, 1), B, A, reg=reg, tol=1e-12)
    shifted = solve_batch(C + rng.normal(size=(2, n, 1)) + rng.normal(size=(2, 1, m)), A, B, reg=reg, tol=1e-11)
    for k in range(2):
        plan = result.plan[k].dense()
        np.testing.assert_allclose(turned.plan[k].dense().T, plan, atol=1e-9)
        np.testing.assert_allclose(shifted.plan[k].dense(), plan, atol=1e-9)
        assert abs(B[k] @ result.g[k]) < 1e-9


def test_scaling_by_a_power_of_two_changes_nothing(seed):
    C, A, B = _problems(np.random.default_rng(seed), 3, 9, 8)
    plain, scaled = solve_batch(C, A, B, reg=0.01), solve_batch(C * 2.0**100, A, B, reg=0.01 * 2.0**100)
    np.testing.assert_array_equal(scaled.f, plain.f * 2.0**100)


@pytest.mark.parametrize(
    ("arguments", "reg", "match"),
    [
        ((np.ones(3),), 1.0, "C must have shape"),
        ((np.ones((2, 0, 3)),), 1.0, "empty"),
        ((np.full((2, 2, 2), np.nan),), 1.0, r"C\[\(0, 0, 0\)\] is nan"),
        (([[[0, 1], [1, np.inf]]],), 1.0, r"C\[\(0, 1, 1\)\] is inf"),
        (([[[0, 1], [1, -np.inf]]],), 1.0, r"C\[\(0, 1, 1\)\] is -inf"),
        (([[0, np.inf], [1, 2]], [1, 0], [1, 0]), 1.0, r"C\[\(0, 0, 1\)\] is inf"),
        ((np.ones((2, 3, 4)), np.ones((2, 4))), 1.0, "A has shape"),
        ((np.ones((2, 3, 4)), None, np.ones((3, 4)) / 4), 1.0, "numbers of problems differ"),
        ((np.ones((3, 4)), np.ones((2, 3)) / 3, np.ones((5, 4)) / 4), 1.0, "numbers of problems differ"),
        ((np.ones((2, 3, 4)),), [1.0, 1.0, 1.0], "numbers of problems differ"),
        ((np.ones((1, 2, 2)), [[0.5, -0.5]]), 1.0, r"A\[0, 1\] is -0.5"),
        ((np.ones((2, 2)), [0.0, 0.0]), 1.0, "no mass in problem 0"),
        ((np.ones((2, 2)), [1e308, 1e308]), 1.0, "infinite mass in problem 0"),
        ((np.ones((2, 2)), [0.5, 0.5], [1.0, 1.0]), 1.0, "same mass"),
        ((np.ones((2, 2)),), 0.0, "reg must be positive"),
        ((np.ones((2, 2, 2)),), [1.0, -1.0], r"reg\[1\] is -1.0"),
        ((np.ones((2, 2)),), 1e-320, "reg is too small"),
    ],
)
def test_bad_input(arguments, reg, match):
    with pytest.raises(ValueError, match=match):
        solve_batch(*arguments, reg=reg)


def test_bad_options():
    C = np.ones((2, 3, 3))
    for keywords in ({"norm": "l3"}, {"tol": 0}, {"max_iter": -1}, {"max_iter": 1.5}, {"threads": 0}):
        with pytest.raises(ValueError, match=next(iter(keywords))):
            solve_batch(C, reg=1.0, **keywords)
    with pytest.raises(TypeError, match="C must be real"):
        solve_batch(C * 1j, reg=1.0)
    with pytest.warns(RuntimeWarning, match="B is rescaled"):
        solve_batch(np.ones((2, 2)), [0.5, 0.5], [0.5, 0.5 + 1e-9], reg=1.0)


def test_binding_refuses_what_does_not_fit():
    """A wrong shape would read or write foreign memory."""
    k, n, m = 2, 3, 4
    good = {
        "costs": np.ones((k, n, m)), "problems": k, "a": np.full((1, n), 1 / n), "b": np.full((k, m), 1 / m),
        "scale": np.ones((1, 1)), "tol": 1e-9, "norm": "l1", "max_iter": 9, "u": np.empty((k, n)),
        "v": np.empty((k, m)), "offset": np.empty((k, n)),
        "claims": np.empty((k, 3)), "counts": np.empty((k, 4), np.intc), "plans": None, "threads": 1,
    }  # fmt: skip
    solve_kernel = solvers.ot._kernels.solve_batch
    solve_kernel(**good)
    for name in ("a", "b", "scale", "u", "v", "offset", "claims"):
        with pytest.raises(ValueError, match=name):
            solve_kernel(**{**good, name: np.ones((k, 7))})
        with pytest.raises(ValueError, match=name):
            solve_kernel(**{**good, name: np.ones((5, good[name].shape[1]))})
    with pytest.raises(ValueError, match="counts"):
        solve_kernel(**{**good, "counts": np.empty((k, 3), np.intc)})
    solve_kernel(**{**good, "plans": np.empty((k, n, m))})
    for shape in ((k, m, n), (1, n, m), (k, n, 7)):
        with pytest.raises(ValueError, match="plans has shape"):
            solve_kernel(**{**good, "plans": np.empty(shape)})
    with pytest.raises(ValueError, match="there are 2 costs for 3"):
        solve_kernel(**{**good, "problems": 3})
    for costs, match in (
        (np.ones((n, m)), "three dimensions"),
        (np.ones((k, n, m), int), "float32 or float64"),
        (np.ones((k, n, 2 * m))[:, :, ::2], "not contiguous"),
        (np.ones((k, 0, m)), "empty"),
    ):
        with pytest.raises(ValueError, match=match):
            solve_kernel(**{**good, "costs": costs})
    names = ("costs", "problems", "scale", "u", "v", "offset", "threads")
    plans_kernel, rest = solvers.ot._kernels.batch_plans, {name: good[name] for name in names}
    plans_kernel(**rest, plans=np.empty((k, n, m)))
    for shape in ((k, m, n), (1, n, m), (k, n, 7)):
        with pytest.raises(ValueError, match="plans has shape"):
            plans_kernel(**rest, plans=np.empty(shape))
    with pytest.raises(ValueError, match="offset"):
        plans_kernel(**{**rest, "offset": np.empty((k, 7))}, plans=np.empty((k, n, m)))


@pytest.mark.parametrize("m", [64, 61])
def test_plans_of_more_than_the_cache_holds(m):
    """Whole lines of them are written past it, to the same bits."""
    count, n = 300, 64
    C = np.random.default_rng(17).random((count, n, m))
    result = solve_batch(C, reg=0.1)
    plans = result.plan.dense()
    assert plans.nbytes > 8 << 20
    assert plans.flags.c_contiguous
    for k in (0, 1, 150, 299):
        np.testing.assert_array_equal(plans[k], result.plan[k].dense())


def test_unaligned_costs_are_copied(seed):
    C = np.random.default_rng(seed).random((3, 5, 4))
    raw = np.frombuffer(b"..." + C.tobytes(), np.uint8)[3:].view(C.dtype).reshape(C.shape)
    result = solve_batch(raw, reg=0.1)
    assert result.stats["copies"] == 1
    np.testing.assert_array_equal(result.plan.dense(), solve_batch(C, reg=0.1).plan.dense())
