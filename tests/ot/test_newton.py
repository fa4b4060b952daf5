"""What is particular to the default method."""

import dataclasses
import itertools

import numpy as np
import pytest
import scipy.sparse

import solvers.ot._newton as newton
from solvers.ot import _kernels, solve, solve_sample
from solvers.ot._cost import Cost


def images(side, seed):
    """Costs on a grid with many ties, and two smooth images: the hardest of the everyday problems."""
    rng = np.random.default_rng(seed)
    k = np.arange(side) / (side - 1)
    points = np.stack(np.meshgrid(k, k, indexing="ij"), -1).reshape(-1, 2)
    C = np.abs(points[:, None] - points).sum(-1) / 2
    a, b = (np.exp(-((points - rng.random(2)) ** 2).sum(1) * 20) + 0.01 for _ in range(2))
    return C, a / a.sum(), b / b.sum()


@pytest.mark.parametrize("ratio", [5, 50, 350, 450, 2000, 20_000])
def test_agrees_with_sinkhorn_or_is_certified(ratio, seed):
    rng = np.random.default_rng(seed)
    C, a, b = rng.random((90, 70)), rng.dirichlet(np.ones(90)), rng.dirichlet(np.ones(70))
    ours = solve(C, a, b, reg=1 / ratio, tol=1e-11)
    assert ours.success
    assert ours.gap <= 1e-9
    if ratio <= 450:
        theirs = solve(C, a, b, reg=1 / ratio, tol=1e-12, method="sinkhorn", max_iter=200_000)
        np.testing.assert_allclose(ours.plan.dense(), theirs.plan.dense(), atol=1e-10)


def test_the_paper_instance(seed):
    """A random assignment of 500, to machine accuracy: the published method takes 20 + 9 steps."""
    C = np.random.default_rng(seed).random((500, 500))
    result = solve(C, reg=1 / 1200, tol=1e-13)
    assert result.success
    assert result.nit <= 29


def test_known_values():
    """The costs <C, P> of uniform random assignments that two other solvers agree on."""
    for n, ratio, value in ((500, 1200, 0.0034504128667), (1000, 1200, 0.00195095544), (1000, 100, 0.0105627138126)):
        C = np.random.default_rng(0).random((n, n))
        assert solve(C, reg=1 / ratio, tol=1e-12).value_linear == pytest.approx(value, rel=1e-8)


@pytest.mark.parametrize("ratio", [200, 1200, 10_000])
def test_images_with_ties(ratio, seed):
    C, a, b = images(16, seed)
    result = solve(C, a, b, reg=1 / ratio)
    assert result.success
    assert result.nit < 300


@pytest.mark.parametrize("ratio", [5, 350, 2000])
@pytest.mark.parametrize("most", [0, 2, 10**30])
def test_a_solve_that_nobody_watches_is_one_call_with_the_same_bits(ratio, most, seed, monkeypatch):
    C = np.random.default_rng(seed).random((50, 60))
    watched = solve(C, reg=1 / ratio, max_iter=most, callback=lambda _: None)
    monkeypatch.setattr(newton.Newton, "step", None)
    alone = solve(C, reg=1 / ratio, max_iter=most)
    assert (alone.nit, alone.status, alone.marginal_error) == (watched.nit, watched.status, watched.marginal_error)
    np.testing.assert_array_equal(alone.f, watched.f)
    for what in ("nit", "measure"):
        np.testing.assert_array_equal(alone.history[what], watched.history[what])
    assert (np.diff(alone.history["seconds"]) >= 0).all()


def test_every_newton_step_ascends_the_dual_of_its_stage(seed):
    C, a, b = images(12, seed)
    reg, states = 1 / 3000, []
    result = solve(C, a, b, reg=reg, tol=1e-10)
    problem, solver = result.problem, newton.Newton()
    state = solver.init(problem)
    while solver.done(problem, state) is None:
        states.append(state)
        state = solver.step(problem, state)
    for old, new in itertools.pairwise(states):
        if old.stage == new.stage:
            gain = a @ (new.u - old.u) + b @ (new.v - old.v)
            assert gain >= -1e-12 * (np.abs(old.u).max() + np.abs(old.v).max())
    assert {state.stage for state in states} > {1.0}


@pytest.mark.parametrize("n_m", [(1, 1), (1, 30), (30, 1), (2, 3), (200, 7)])
@pytest.mark.parametrize("ratio", [30, 3000])
def test_shapes(n_m, ratio, seed):
    C = np.random.default_rng(seed).random(n_m)
    assert solve(C, reg=1 / ratio, tol=1e-10).success


@pytest.mark.parametrize("reg", [1.0, 1e-3])
def test_constant_costs_give_the_product(reg, seed):
    rng = np.random.default_rng(seed)
    a, b = rng.dirichlet(np.ones(20)), rng.dirichlet(np.ones(30))
    result = solve(np.full((20, 30), 1e8), a, b, reg=reg, tol=1e-12)
    np.testing.assert_allclose(result.plan.dense(), np.outer(a, b), rtol=1e-9)


@pytest.mark.parametrize("ratio", [100, 3000])
def test_threads_give_the_same_bits(ratio, seed):
    rng = np.random.default_rng(seed)
    X, Y = rng.random((600, 2)), rng.random((500, 2))
    one, two = (solve_sample(X, Y, reg=2 / ratio, threads=threads) for threads in (1, 2))
    assert one.success
    np.testing.assert_array_equal(one.g, two.g)


def test_large_problems_are_not_stored(monkeypatch, seed):
    """Beyond the bound, an easy problem goes on in the log domain to the same plan."""
    C = np.random.default_rng(seed).random((60, 50))
    stored = solve(C, reg=1 / 100, tol=1e-11)
    monkeypatch.setattr(newton, "MOST_STORED", 100)
    passes = solve(C, reg=1 / 100, tol=1e-11)
    assert (stored.stats["scalings"] > 0, passes.stats["scalings"]) == (True, 0)
    np.testing.assert_allclose(passes.plan.dense(), stored.plan.dense(), atol=1e-10)


def test_no_method_says_which_route(monkeypatch):
    C = np.random.default_rng(7).random((60, 50))
    assert "on a stored plan" in solve(C, reg=1 / 100).message
    assert "annealed" in solve(C, reg=1 / 1000).message
    monkeypatch.setattr("solvers.ot._solve.MOST_STORED", 100)
    large = solve(C, reg=1 / 100)
    assert (large.success, large.method) == (True, "sinkhorn")
    assert large.nit < solve(C, reg=1 / 100, method="sinkhorn").nit
    assert solve(C, reg=1 / 100, options={"memory": 0}).options["memory"] == 0


def test_large_scalings_are_absorbed(monkeypatch, seed):
    rng = np.random.default_rng(seed)
    C, a, b = rng.random((80, 60)), rng.dirichlet(np.full(80, 0.2)), rng.dirichlet(np.full(60, 0.2))
    monkeypatch.setattr(newton, "ABSORBED", 0.25)
    assert solve(C, a, b, reg=1 / 350, tol=1e-10).success


def test_a_warm_start_near_the_answer_skips_the_stages(seed):
    C = np.random.default_rng(seed).random((150, 150))
    cold = solve(C, reg=1 / 2000)
    warm = solve(C, reg=1 / 2200, warm_start=(cold.f, cold.g))
    assert warm.success
    assert warm.stats["passes"] < cold.stats["passes"]


def test_a_useless_warm_start_does_no_harm(seed):
    rng = np.random.default_rng(seed)
    C = rng.random((100, 120))
    assert solve(C, reg=1 / 3000, warm_start=(rng.normal(size=100), rng.normal(size=120))).success


def test_stopped_on_the_way_the_rows_are_met(seed):
    """A solve that ends before its last stage still returns a plan of the regularisation asked for."""
    C, a, b = images(10, seed)
    result = solve(C, a, b, reg=1 / 5000, max_iter=2)
    assert not result.success
    np.testing.assert_allclose(result.plan.marginals()[0], a, rtol=1e-11)


# ---- the compiled parts ----------------------------------------------------------------------------


def swept(seed, n=40, m=30, share=1e-3):
    """A plan, its large entries as a sweep keeps them, and its sums."""
    rng = np.random.default_rng(seed)
    C, a = rng.random((n, m)), rng.dirichlet(np.ones(n))
    u, v, c = np.zeros(n), rng.normal(size=m), np.empty(m)
    room = _kernels.thinned_room(n, m, m)
    values, columns, counts = np.empty(room), np.empty(room, np.intc), np.empty(n, np.intp)
    Cost(matrix=C).kernel.sweep_thinned(20.0, a, u, v, c, share, m, values, columns, counts, 1)
    starts = np.concatenate([[0], np.cumsum(counts)])
    plan = np.exp2(u[:, None] + v - 20.0 * C)
    kept = scipy.sparse.csr_array((values[: starts[-1]], columns[: starts[-1]], starts), shape=(n, m))
    return plan, kept, a, c


def test_thinned_sweep(seed):
    plan, kept, a, c = swept(seed)
    np.testing.assert_allclose(plan.sum(1), a, rtol=1e-13)
    np.testing.assert_allclose(plan.sum(0), c, rtol=1e-13)
    np.testing.assert_allclose(kept.toarray(), np.where(plan >= 1e-3 * a[:, None], plan, 0), rtol=1e-12)


def test_thinned_sweep_keeps_few(seed):
    rng = np.random.default_rng(seed)
    n, m, most = 33, 50, 5
    C, a, u, v, c = rng.random((n, m)), np.full(n, 1 / n), np.zeros(n), np.zeros(m), np.empty(m)
    room = _kernels.thinned_room(n, m, most)
    values, columns, counts = np.empty(room), np.empty(room, np.intc), np.empty(n, np.intp)
    Cost(matrix=C).kernel.sweep_thinned(5.0, a, u, v, c, 1e-9, most, values, columns, counts, 1)
    plan, place = np.exp2(u[:, None] + v - 5.0 * C), 0
    for i, count in enumerate(counts):
        assert 1 <= count <= most or (counts[i] == 0 and plan[i].max() < 4 * plan[i].mean() * m)
        least = values[place : place + count].min(initial=np.inf)
        assert (plan[i] > least * (1 + 1e-12)).sum() <= count
        place += count


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"kept_starts": lambda starts: starts[::-1].copy()}, "row_starts does not fit the entries"),
        ({"kept_starts": lambda starts: starts + np.arange(len(starts))}, "row_starts does not fit the entries"),
        ({"kept_starts": lambda starts: starts[:-1]}, "row_starts does not fit the entries"),
        ({"kept_starts": lambda starts: np.r_[0, starts[2], starts[1], starts[3:]]}, "row_starts decreases"),
        ({"kept_columns": lambda columns: np.r_[columns[:-1], [99]].astype(np.intc)}, "a column index is out of range"),
    ],
)
def test_a_state_whose_entries_lie_out_of_bounds_is_refused(change, match, seed):
    C = np.random.default_rng(seed).random((40, 30))
    near = solve(C, reg=1 / 1900)
    state = solve(C, reg=1 / 2000, warm_start=(near.f, near.g), max_iter=0).state
    assert len(state.kept_starts) == 41
    assert solve(C, reg=1 / 2000, resume=state).success
    changed = {name: function(getattr(state, name)) for name, function in change.items()}
    with pytest.raises(ValueError, match=match):
        solve(C, reg=1 / 2000, resume=dataclasses.replace(state, **changed))


@pytest.mark.parametrize("ratio", [1e-6, 1, 30, 137, 139])
@pytest.mark.parametrize("shift", [0.0, -3.0, 1e5])
def test_storing_before_any_sweep_changes_nothing(ratio, shift, seed):
    """Up to GENTLE_SPAN the first iteration is one on exp(-C / reg) itself; weights may be far apart all the same."""
    rng = np.random.default_rng(seed)
    X, Y = rng.random((40, 2)), rng.random((30, 2)) + 0.2
    a, b = rng.dirichlet(np.full(40, 0.05)), rng.dirichlet(np.full(30, 0.05))
    C = ((X[:, None] - Y) ** 2).sum(-1)
    reg = np.ptp(C) / ratio
    theirs = solve(C, a, b, reg=reg, tol=1e-12, method="sinkhorn", max_iter=200_000)
    ours = solve(C + shift, a, b, reg=reg, tol=1e-12), solve_sample(X, Y, a, b, reg=reg, tol=1e-12)
    single = solve(C.astype(np.float32), a, b, reg=reg, tol=1e-12)
    assert single.success
    for result in ours:
        assert result.success
        np.testing.assert_allclose(result.plan.dense(), theirs.plan.dense(), atol=1e-11 + 1e-15 * abs(shift) / reg)
