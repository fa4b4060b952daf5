"""Transport between unequal masses: closed forms, POT, the limits, and what a result claims."""

import warnings

import numpy as np
import ot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

import solvers
from solvers import MethodError, Status
from solvers.ot import (
    UnbalancedNewton,
    UnbalancedSinkhorn,
    solve,
    solve_unbalanced,
    solve_unbalanced_sample,
)

INF = np.inf
METHODS = ("unbalanced-sinkhorn", "unbalanced-newton")
RHOS = (1e-6, 1e-3, 0.1, 1.0, 100.0, 1e6, (INF, 1.0), (0.3, INF), (1e6, 1e-6), (INF, 1e-6))


@pytest.fixture
def data(seed):
    return _data(seed)


def _data(seed):
    rng = np.random.default_rng(seed)
    n, m = 60, 45
    return rng.random((n, m)), rng.dirichlet(np.ones(n)) * 0.8, rng.dirichlet(np.ones(m)) * 1.7


def kl(p, q):
    return float((np.where(p > 0, p * np.log(np.where(p > 0, p, 1) / q), 0) - p + q).sum())


def objective(plan, C, a, b, reg, rho):
    rho1, rho2 = np.broadcast_to(rho, 2)
    value = (C * plan).sum() + reg * kl(plan, np.outer(a, b))
    value += 0 if rho1 == INF else rho1 * kl(plan.sum(1), a)
    return value + (0 if rho2 == INF else rho2 * kl(plan.sum(0), b))


def conditions(result, C, a, b, reg, rho):
    """The optimality conditions, from the dense plan and the potentials, relative to the mass."""
    rho1, rho2 = np.broadcast_to(rho, 2)
    plan = result.plan.dense()
    rounding = 1e-12 + 4e-15 * (np.abs(result.f).max() + np.abs(result.g).max()) / reg
    formula = np.outer(a, b) * np.exp((result.f[:, None] + result.g - C) / reg)
    np.testing.assert_allclose(plan, formula, rtol=rounding, atol=1e-300)
    rows, columns = plan.sum(1) - a * np.exp(-result.f / rho1), plan.sum(0) - b * np.exp(-result.g / rho2)
    return (np.abs(rows).sum() + np.abs(columns).sum()) / plan.sum()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rho", RHOS, ids=str)
@pytest.mark.parametrize("reg", [0.5, 0.005])
def test_optimal(data, rho, reg, method):
    C, a, b = data
    result = solve_unbalanced(C, a, b, reg=reg, reg_m=rho, method=method, tol=1e-10)
    assert result.success, result.message
    assert conditions(result, C, a, b, reg, rho) <= 2e-10
    assert result.marginal_error == result.measure <= 1e-10
    plan = result.plan.dense()
    assert result.mass == pytest.approx(plan.sum(), rel=1e-12)
    assert result.value_linear == pytest.approx((C * plan).sum(), rel=1e-12)
    assert result.value == pytest.approx(objective(plan, C, a, b, reg, rho), rel=1e-8)
    assert result.value_dual == pytest.approx(result.value, rel=1e-8)
    largest = max(r for r in (1e-3, *np.broadcast_to(rho, 2)) if r < INF)
    assert 0 <= result.gap <= 1e-10 * largest


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("reg", "rho"), [(1.0, 0.1), (0.1, 1.0), (0.1, (INF, 0.5)), (0.02, 0.1), (0.02, (2.0, 0.3))])
def test_plans_of_pot(data, reg, rho, method):
    """Reference measure ab': POT's reg_type "kl". Reference 1, its "entropy": the cost C + reg log(ab')."""
    C, a, b = data
    shifted = C + reg * np.log(np.outer(a, b))
    for reg_type, cost in (("kl", C), ("entropy", shifted)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = ot.unbalanced.sinkhorn_unbalanced(
                a, b, C, reg, rho, reg_type=reg_type, numItermax=100_000, stopThr=1e-15
            )
        result = solve_unbalanced(cost, a, b, reg=reg, reg_m=rho, tol=1e-12, method=method)
        np.testing.assert_allclose(result.plan.dense(), theirs, atol=1e-11)


def test_small_reg_is_near_the_unsmoothed_optimum():
    """POT's majorisation-minimisation solves the problem without entropy, whose value is approached from above."""
    C, a, b = _data(13)
    theirs = ot.unbalanced.mm_unbalanced(a, b, C, 0.5, div="kl", numItermax=20_000, stopThr=1e-12)
    exact = objective(theirs, C, a, b, 0.0, 0.5)
    for reg, near in ((1e-2, 0.1), (1e-3, 0.01), (1e-4, 0.001)):
        plan = solve_unbalanced(C, a, b, reg=reg, reg_m=0.5).plan.dense()
        assert -1e-6 <= objective(plan, C, a, b, 0.0, 0.5) - exact <= near


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rho", [0.1, 1e-6, 1e6, (2.0, 0.5), (INF, 0.7), (0.7, INF)], ids=str)
def test_one_by_one(rho, method):
    c, a, b, reg = 0.7, 0.6, 2.0, 0.3
    rho1, rho2 = np.broadcast_to(rho, 2)
    if rho1 == INF:
        mass = a
    elif rho2 == INF:
        mass = b
    else:
        mass = np.exp((-c + (reg + rho1) * np.log(a) + (reg + rho2) * np.log(b)) / (reg + rho1 + rho2))
    result = solve_unbalanced([[c]], [a], [b], reg=reg, reg_m=rho, method=method, tol=1e-13)
    assert result.plan.dense()[0, 0] == pytest.approx(mass, rel=1e-12)
    assert result.nit <= 1  # the shift alone solves it


@pytest.mark.parametrize("method", METHODS)
def test_both_sides_hard_is_the_balanced_problem(data, method):
    C, a, b = data
    a, b = a / a.sum(), b / b.sum()
    for reg in (0.1, 0.01):
        ours = solve_unbalanced(C, a, b, reg=reg, reg_m=INF, method=method, tol=1e-12)
        balanced = solve(C, a, b, reg=reg, tol=1e-12, max_iter=100_000)
        np.testing.assert_allclose(ours.plan.dense(), balanced.plan.dense(), atol=1e-12)
        assert ours.value == pytest.approx(balanced.value, rel=1e-10)
        shift = (balanced.f - reg * np.log(a) - ours.f).mean()
        np.testing.assert_allclose(ours.f, balanced.f - reg * np.log(a) - shift, atol=1e-9)
        assert abs(b @ ours.g) < 1e-12
        assert ours.gap == INF
    with pytest.raises(ValueError, match="same mass"):
        solve_unbalanced(C, a, 2 * b, reg=1, reg_m=INF)


def test_large_penalties_approach_the_balanced_plan(data):
    C, a, b = data
    a, b = a / a.sum(), b / b.sum()
    balanced = solve(C, a, b, reg=0.05, tol=1e-12).plan.dense()
    off = [
        np.abs(solve_unbalanced(C, a, b, reg=0.05, reg_m=rho, tol=1e-11).plan.dense() - balanced).sum()
        for rho in (1e2, 1e4, 1e6)
    ]
    assert off[0] < 0.02
    assert off[1] < off[0] / 50
    assert off[2] < off[1] / 50


def test_tiny_penalties_leave_the_kernel(data):
    C, a, b = data
    plan = solve_unbalanced(C, a, b, reg=0.1, reg_m=1e-9, tol=1e-12).plan.dense()
    np.testing.assert_allclose(plan, np.outer(a, b) * np.exp(-C / 0.1), rtol=1e-6)


@pytest.mark.parametrize(
    ("metric", "p"),
    [("sqeuclidean", None), ("euclidean", None), ("cityblock", None), ("minkowski", None), ("minkowski", 3.5)],
)
def test_points(metric, p, seed):
    rng = np.random.default_rng(seed)
    X, Y = rng.random((40, 3)), rng.random((33, 3)) + 0.2
    b = rng.random(33)
    C = cdist(X, Y, metric, **({} if p is None else {"p": p}))
    plans = [
        solve_unbalanced_sample(
            X, Y, None, b, reg=0.01, reg_m=0.5, metric=metric, p=p, tol=1e-11, method=method
        ).plan.dense()
        for method in METHODS
    ]
    expected = solve_unbalanced(C, None, b, reg=0.01, reg_m=0.5, tol=1e-11).plan.dense()
    for plan in plans:
        np.testing.assert_allclose(plan, expected, atol=1e-10)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rho", [0.3, (INF, 0.3), (0.3, INF)], ids=str)
def test_zero_weights(data, rho, method):
    """They change nothing for the others, and their potentials are the limits of those of specks of mass."""
    C, a, b = data
    a0, b0 = a.copy(), b.copy()
    a0[[3, 17]] = b0[[0, 44]] = 0
    result = solve_unbalanced(C, a0, b0, reg=0.05, reg_m=rho, tol=1e-13, method=method)
    plan = result.plan.dense()
    rows, columns = a0 > 0, b0 > 0
    without = solve_unbalanced(C[np.ix_(rows, columns)], a0[rows], b0[columns], reg=0.05, reg_m=rho, tol=1e-13)
    np.testing.assert_allclose(plan[np.ix_(rows, columns)], without.plan.dense(), atol=1e-13)
    assert plan.sum() == pytest.approx(without.mass, rel=1e-12)
    specks = solve_unbalanced(C, a0 + 1e-12 * ~rows, b0 + 1e-12 * ~columns, reg=0.05, reg_m=rho, tol=1e-13)
    np.testing.assert_allclose(result.f, specks.f, atol=1e-9)
    np.testing.assert_allclose(result.g, specks.g, atol=1e-9)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**32 - 1), st.sampled_from(METHODS),
    st.sampled_from([1e-6, 0.01, 1.0, 1e6, (INF, 0.1), (0.1, INF)]), st.sampled_from([1.0, 0.1, 0.01]),
)  # fmt: skip
def test_invariants(n, m, seed, method, rho, reg):
    rng = np.random.default_rng(seed)
    C, a, b = rng.normal(size=(n, m)), rng.random(n) + 1e-3, rng.random(m) * 3 + 1e-3
    pair = tuple(np.broadcast_to(rho, 2))

    def plan(C, a, b, rho):
        result = solve_unbalanced(C, a, b, reg=reg, reg_m=rho, method=method, tol=1e-11, max_iter=100_000)
        assert result.success, result.message
        assert (result.plan.dense() >= 0).all()
        assert result.gap >= 0
        return result.plan.dense()

    expected = plan(C, a, b, pair)
    bound = {"rtol": 1e-6, "atol": 1e-9 * expected.max()}
    np.testing.assert_allclose(plan(C.T, b, a, pair[::-1]).T, expected, **bound)
    rows, columns = rng.permutation(n), rng.permutation(m)
    permuted = plan(C[np.ix_(rows, columns)], a[rows], b[columns], pair)
    np.testing.assert_allclose(permuted, expected[np.ix_(rows, columns)], **bound)
    halves = plan(np.vstack([C[:1], C]), np.concatenate([a[:1] / 2, a[:1] / 2, a[1:]]), b, pair)
    np.testing.assert_allclose(halves[0] + halves[1], expected[0], **bound)


@pytest.mark.parametrize("method", METHODS)
def test_threads_do_not_change_the_bits(method):
    rng = np.random.default_rng(5)
    C, b = rng.random((300, 280)), rng.random(280)
    one, two = (
        solve_unbalanced(C, None, b, reg=0.005, reg_m=1.0, method=method, threads=threads) for threads in (1, 2)
    )
    np.testing.assert_array_equal(one.f, two.f)
    np.testing.assert_array_equal(one.g, two.g)


@pytest.mark.parametrize("method", METHODS)
def test_a_common_offset_of_a_hard_side_costs_no_digit(method, seed):
    rng = np.random.default_rng(seed)
    C, b = rng.integers(0, 1000, (50, 40)) / 1024, rng.random(40)
    plans = [
        solve_unbalanced(C + offset, None, b, reg=0.01, reg_m=(INF, 1.0), method=method, tol=1e-11).plan.dense()
        for offset in (0, 2.0**27)
    ]
    np.testing.assert_allclose(*plans, atol=1e-9)


@pytest.mark.parametrize("rho", [1.0, 1e6, (INF, 0.5), 1e-3], ids=str)
def test_every_step_raises_the_dual(data, rho):
    C, a, b = data
    problem = solve_unbalanced(C, a, b, reg=0.01, reg_m=rho, max_iter=0).problem
    for solver in (UnbalancedSinkhorn(), UnbalancedSinkhorn(memory=0), UnbalancedNewton(warmup=2)):
        state = solver.init(problem)
        for _ in range(15):
            if state.measure < 1e-13:
                break
            following = solver.step(problem, state)
            gain = problem.gain(state, following)
            assert gain >= 0 or following.measure < state.measure
            if rho == 1.0:  # the dual itself is as good as its gain
                rise = problem.certify(following, {}).value_dual - problem.certify(state, {}).value_dual
                assert gain * 0.01 * np.log(2) == pytest.approx(rise, rel=1e-6, abs=1e-14)
            state = following


def test_extrapolation_saves_iterations(data):
    C, a, b = data
    plain, extrapolated = (
        solve_unbalanced(
            C, a, b, reg=0.005, reg_m=1.0, method=METHODS[0], tol=1e-10, options={"memory": memory}, max_iter=100_000
        )
        for memory in (0, 8)
    )
    assert plain.success
    assert extrapolated.success
    assert extrapolated.nit < plain.nit / 3
    np.testing.assert_allclose(extrapolated.plan.dense(), plain.plan.dense(), atol=1e-8)


def test_a_refused_extrapolation_is_a_plain_step(data, monkeypatch):
    C, a, b = data
    monkeypatch.setattr(
        "solvers.ot._unbalanced_sinkhorn.extrapolated",
        lambda answers, moves, weights: answers[0] + 30 * np.sin(np.arange(45)),
    )
    few = {"method": METHODS[0], "reg": 0.05, "reg_m": 1.0, "max_iter": 5}
    refused = solve_unbalanced(C, a, b, **few)
    assert refused.stats["refused"] == 5
    monkeypatch.undo()
    plain = solve_unbalanced(C, a, b, options={"memory": 0}, **few)
    np.testing.assert_allclose(refused.history["measure"], plain.history["measure"], rtol=1e-6)


@pytest.mark.parametrize(("kind", "reg"), [("random", 1e-6), ("ties", 1e-5), ("outliers", 1e-5)])
@pytest.mark.parametrize("rho", [(1e3, 10.0), (INF, 1.0)], ids=str)
def test_costs_of_up_to_a_million_reg(data, kind, rho, reg):
    C, a, b = data
    C = {"random": C, "ties": np.rint(2 * C) / 2, "outliers": C + 2000.0 * (np.arange(45) > 41)}[kind]
    result = solve_unbalanced(C, a, b, reg=reg, reg_m=rho, method="unbalanced-newton", max_iter=400, tol=1e-8)
    assert result.success, result.message
    assert conditions(result, C, a, b, reg, rho) <= 2e-8


def test_a_stage_that_is_cut_short(data):
    """Its potentials are those of the problem, and a later solve goes on from its state to the same bits."""
    C, a, b = data
    keywords = {"reg": 1e-5, "reg_m": (1.0, INF), "method": "unbalanced-newton", "max_iter": 400}
    whole = solve_unbalanced(C, a, b, **keywords)
    for steps in (0, 1, 7, 25, 60):
        part = solve_unbalanced(C, a, b, **{**keywords, "max_iter": steps})
        assert not part.success
        assert part.state.stage > 1 or steps > 25
        assert part.marginal_error == pytest.approx(conditions(part, C, a, b, 1e-5, (1.0, INF)), rel=1e-6)
        resumed = solve_unbalanced(C, a, b, **keywords, resume=part.state)
        assert resumed.nit == whole.nit
        np.testing.assert_array_equal(resumed.f, whole.f)


def test_a_good_start_needs_no_stages(data):
    C, a, b = data
    keywords = {"reg_m": 1.0, "method": "unbalanced-newton"}
    near = solve_unbalanced(C, a, b, reg=1.2e-5, **keywords)
    cold, warm = (solve_unbalanced(C, a, b, reg=1e-5, warm_start=w, **keywords) for w in (None, (near.f, near.g)))
    assert warm.success
    assert warm.nit < cold.nit / 2
    again = solve_unbalanced(C, a, b, reg=1e-5, warm_start=(cold.f, cold.g), **keywords)
    assert again.nit <= 2


@pytest.mark.parametrize("method", METHODS)
def test_offsets_of_rows_and_columns(method, seed):
    """Of a hard side's places each may have its own, and the other side a common one."""
    rng = np.random.default_rng(seed)
    C, b = rng.integers(0, 1000, (50, 40)) / 1024, rng.random(40)
    rows = rng.integers(0, 2**12, (50, 1)) * 1.0
    keywords = {"reg": 0.01, "method": method, "tol": 1e-10}
    for rho, cost, shifted in (((INF, 1.0), C, C + rows), ((1.0, INF), C.T, C.T + rows[:, 0])):
        weights = (None, b) if rho[0] == INF else (b, None)
        plain, offset = (solve_unbalanced(c, *weights, reg_m=rho, **keywords) for c in (cost, shifted))
        assert offset.success
        np.testing.assert_allclose(plain.plan.dense(), offset.plan.dense(), atol=1e-8)


def test_costs_by_a_function(data):
    C, a, b = data
    rows, columns = np.arange(60.0)[:, None], np.arange(45.0)[:, None]

    def blocks(x, y):
        return C[np.ix_(x[:, 0].astype(int), y[:, 0].astype(int))]

    for method in METHODS:
        ours = solve_unbalanced_sample(
            rows, columns, a, b, reg=0.01, reg_m=1.0, metric=blocks, method=method, tol=1e-11
        )
        stored = solve_unbalanced(C, a, b, reg=0.01, reg_m=1.0, method=method, tol=1e-11)
        np.testing.assert_allclose(ours.plan.dense(), stored.plan.dense(), atol=1e-10)


def test_start_far_off(data):
    """Potentials that overflow with this rho are no start; the solve begins at 0 instead."""
    C, a, b = data
    result = solve_unbalanced(C, a, b, reg=0.1, reg_m=1e-6, warm_start=(-np.ones(60), -np.ones(45)))
    assert result.success


@pytest.mark.parametrize("method", METHODS)
def test_mass_that_underflows_is_no_success(method):
    """The plan would be exp(-5e5): there is no honest answer but zero, and no error to judge it by."""
    result = solve_unbalanced(np.full((3, 3), 1e3), reg=1e-3, reg_m=1e-3, method=method)
    assert not result.success
    assert result.status is Status.NONFINITE
    assert not np.isnan(result.plan.dense()).any()


def test_bad_input():
    C = np.ones((2, 3))
    for rho in (0, -1, np.nan, (1, 0)):
        with pytest.raises(ValueError, match="reg_m must be positive"):
            solve_unbalanced(C, reg=1, reg_m=rho)
    for rho in ("x", None, (1, 2, 3), (1, "y")):
        with pytest.raises(TypeError, match="reg_m must be a number or a pair"):
            solve_unbalanced(C, reg=1, reg_m=rho)
    with pytest.raises(ValueError, match="reg_m is too small"):
        solve_unbalanced(C, reg=1e10, reg_m=1e-300)
    with pytest.raises(ValueError, match="p belongs to the metric 'minkowski'"):
        solve_unbalanced_sample(C, C, reg=1, reg_m=1, p=3)
    with pytest.raises(ValueError, match="b must be >= 0"):
        solve_unbalanced(C, None, [1, -1, 1], reg=1, reg_m=1)
    with pytest.raises(MethodError, match="lacks unbalanced-cost; methods that have it: unbalanced"):
        solve_unbalanced(C, reg=1, reg_m=1, method="sinkhorn")
    with pytest.raises(MethodError, match="lacks dense-cost"):
        solve(C, reg=1, method="unbalanced-sinkhorn")


@pytest.mark.parametrize("method", METHODS)
def test_a_value_beyond_the_numbers_is_no_success(data, method):
    C, a, b = data
    size = 1e300 / C.max()
    fair = solve_unbalanced(size * C, a, b, reg=1e299, reg_m=1e300, method=method)
    assert fair.success
    assert np.isfinite([fair.value, fair.value_dual]).all()
    beyond = solve_unbalanced(size * C, 1e9 * a, 1e9 * b, reg=1e299, reg_m=1e300, method=method)
    assert beyond.status is Status.NONFINITE
    assert not beyond.success


def test_the_choice_is_said(data):
    C, a, b = data
    easy, hard = solve_unbalanced(C, a, b, reg=0.1, reg_m=1.0), solve_unbalanced(C, a, b, reg=1e-3, reg_m=1.0)
    assert (easy.method, hard.method) == METHODS
    assert "Chose unbalanced-newton: the costs span" in hard.message
    assert {"scaling", "newton", "cg"} <= set(hard.stats)
    assert solvers.ot.UnbalancedResult is type(hard)
