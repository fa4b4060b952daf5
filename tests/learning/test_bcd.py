"""Block descent on quadratics and models: each rule does what it promises, against NumPy and closed forms."""

import itertools

import numpy as np
import pytest
import scipy.optimize
from problems import quadratic

import solvers
from solvers._base.blocks import BlockCoordinateDescent, BlockProblem
from solvers._base.blocks.penalty import make
from solvers._base.blocks.problem import kkt
from solvers._base.blocks.smooth import Quadratic

SEEDS = (3, 17, 91)
FIXED = ("order", "sort", "avg")
RULES = ("cyclic", "perm", "random", "lipschitz", "gs", "gsl", "gsd", "gsq")


def start(f, size=5, penalty=None, blocks=None, seed=1, **rules):
    """(solver, problem, state) of a descent that never stops."""
    problem = BlockProblem(
        f, make(penalty, None, f.size, blocks), np.zeros(f.size), tol=1e-300, scale=1.0, blocks=blocks, size=size,
        seed=seed, max_iter=10**6, every=True, threads=1, capability="quadratic",
    )  # fmt: skip
    solver = BlockCoordinateDescent(**{"accel": "none", **rules})
    return solver, problem, solver.init(problem)


def states(count, f, **settings):
    solver, problem, state = start(f, **settings)
    yield state
    for _ in range(count):
        state = solver.step(problem, state)
        yield state


def models(seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((40, 12)) * (rng.random((40, 12)) < 0.6)
    score = X @ rng.standard_normal(12) + rng.standard_normal(40)
    yield solvers.learning.LeastSquares(X, score)
    yield solvers.learning.Logistic(scipy.sparse.csr_array(X), score > 0)
    yield solvers.learning.Multinomial(X, np.digitize(score, [-1, 1]))


# ---- the objective ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("penalty", [None, {"l1": 4.0}, {"nonneg": True}, {"l1": 2.0, "nonneg": True}])
def test_it_never_rises(seed, penalty):
    f = Quadratic(*quadratic(seed))
    updates = ("lb", "la", "diag", "two_metric", "exact") + (("matrix", "newton") if penalty is None else ())
    for update, rule in itertools.product(updates, ("perm", "gs", "gsl", "gsd")):
        for partition in ("sort", "variable"):
            settings = {"partition": partition, "selection": rule, "update": update, "penalty": penalty}
            values = np.array([state.fun for state in states(25, f, **settings)])
            assert (np.diff(values) <= 4 * np.finfo(float).eps * np.abs(values).max()).all(), settings


@pytest.mark.parametrize("seed", SEEDS)
def test_it_never_rises_on_models(seed):
    for f in models(seed):
        for update in ("lb", "la", "newton"):
            values = np.array([s.fun for s in states(25, f, partition="sort", selection="gsl", update=update, size=4)])
            assert (np.diff(values) <= 4 * np.finfo(float).eps * np.abs(values).max()).all()
            assert values[-1] < values[0]


@pytest.mark.parametrize("seed", SEEDS)
def test_derivatives_are_those_of_differences(seed):
    rng = np.random.default_rng(seed)
    for f in [*models(seed), Quadratic(*quadratic(seed, 12))]:
        x, b = rng.standard_normal(f.size) / 3, np.arange(1, f.size, 3)
        value, aux = f.start(x)
        g = f.gradient(x, aux)
        np.testing.assert_allclose(f.block_gradient(x, aux, b), g[b], rtol=1e-12, atol=1e-12)
        step = 1e-6 * np.eye(f.size)
        slopes = [(f.start(x + s)[0] - f.start(x - s)[0]) / 2e-6 for s in step]
        np.testing.assert_allclose(g, slopes, rtol=1e-6, atol=1e-6)
        ahead, behind = ([f.gradient(y, f.start(y)[1])[b] for y in (x + sign * step)[b]] for sign in (1, -1))
        bends = (np.array(ahead) - behind) / 2e-6
        H = f.hessian(x, aux, b)
        np.testing.assert_allclose(H, bends, rtol=1e-5, atol=1e-6)
        assert np.linalg.eigvalsh(f.bound(b) - H)[0] >= -1e-9 * np.abs(H).max()
        assert (f.constants()[b] >= H.diagonal() - 1e-9).all()
        s = rng.standard_normal(len(b))
        moved = x.copy()
        moved[b] += s
        reached, ahead = f.move(x, aux, value, b, s)
        assert reached == pytest.approx(f.start(moved)[0], rel=1e-10)
        np.testing.assert_allclose(f.gradient(moved, ahead), f.gradient(moved, f.start(moved)[1]), atol=1e-9)


# ---- rules -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("partition", FIXED)
def test_progress_is_at_least_what_the_rule_promises(seed, partition):
    Q, c = quadratic(seed)
    f = Quadratic(Q, c)
    for rule, update in itertools.product(("gs", "gsl", "gsd", "gsq"), ("lb", "matrix")):
        solver, problem, state = start(f, partition=partition, selection=rule, update=update)
        plan = solver.plan(problem)
        largest = [np.linalg.eigvalsh(Q[np.ix_(b, b)])[-1] for b in plan.blocks]
        for _ in range(12):
            g = Q @ state.x - c
            _, k = plan.next_block(state, state.g)
            promised = {
                "gs": [g[b] @ g[b] / (2 * max(largest)) for b in plan.blocks],
                "gsl": [g[b] @ g[b] / (2 * L) for b, L in zip(plan.blocks, largest, strict=True)],
                "gsd": [(g[b] ** 2 / (len(b) * Q.diagonal()[b])).sum() / 2 for b in plan.blocks],
                "gsq": [g[b] @ np.linalg.solve(Q[np.ix_(b, b)], g[b]) / 2 for b in plan.blocks],
            }
            assert promised[rule][k] == pytest.approx(max(promised[rule]), rel=1e-9)
            assert max(promised["gsq"]) >= max(promised["gsd"]) * (1 - 1e-9)
            assert max(promised["gsq"]) >= max(promised["gsl"]) * (1 - 1e-9)
            before, state = state, solver.step(problem, state)
            gain = before.fun - state.fun
            if rule != "gsq" or update == "matrix":
                kept = promised[rule][k] if update == "matrix" or rule != "gsd" else 0.0
                assert gain >= kept * (1 - 1e-6) - 1e-9
            if update == "matrix":
                assert gain == pytest.approx(promised["gsq"][k], rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("penalty", [None, {"l1": 5.0}])
def test_mi_takes_the_best_of_all(seed, penalty):
    f = Quadratic(*quadratic(seed, 9))
    for partition in ("sort", "variable"):
        solver, problem, state = start(f, size=2, partition=partition, selection="mi", update="exact", penalty=penalty)
        for _ in range(6):
            gains = {}
            for rule in ("gs", "gsl", "gsd", "cyclic"):
                other, its, _ = start(f, size=2, partition=partition, selection=rule, update="exact", penalty=penalty)
                gains[rule] = state.fun - other.step(its, state).fun
            following = solver.step(problem, state)
            assert state.fun - following.fun >= max(gains.values()) - 1e-9
            state = following


def test_penalised_scores_are_not_those_of_the_gradient():
    """At 0 a gradient below the weight promises nothing, however large it is."""
    Q, c = np.diag([1.0, 1.0, 1.0]), np.array([10.0, 3.0, 2.0])
    f = Quadratic(Q, c)
    for rule in ("gs", "gsl", "gsd"):
        for partition in ("order", "variable"):
            solver, problem, state = start(f, size=1, partition=partition, selection=rule, update="exact",
                                           penalty={"l1": [9.9, 1.0, 1.5]})  # fmt: skip
            b, _ = solver.plan(problem).next_block(state, state.g)
            assert b.tolist() == [1]


@pytest.mark.parametrize("rule", ["gs", "gsl", "gsd"])
def test_ties_go_to_the_lowest_index(rule):
    f = Quadratic(np.eye(7), np.array([1.0, 2.0, 1.0, 2.0, 2.0, 0.0, 1.0]))
    solver, problem, state = start(f, size=2, partition="variable", selection=rule, update="matrix")
    assert solver.plan(problem).next_block(state, state.g)[0].tolist() == [1, 3]
    solver, problem, state = start(f, size=1, partition="order", selection=rule, update="matrix")
    assert solver.plan(problem).next_block(state, state.g)[0].tolist() == [1]


@pytest.mark.parametrize("seed", SEEDS)
def test_one_block_of_all_is_newtons_method(seed):
    Q, c = quadratic(seed)
    x = np.linalg.solve(Q, c)
    for partition, rule in [("order", "cyclic"), ("variable", "gsq"), ("variable", "gsd"), ("sort", "gsq")]:
        *_, state = states(1, Quadratic(Q, c), size=100, partition=partition, selection=rule, update="matrix")
        np.testing.assert_allclose(state.x, x, rtol=1e-9, atol=1e-12 * np.abs(x).max() * np.linalg.cond(Q))


def test_greedy_gains_more_than_random_on_average():
    """The factor of a step, mu_B / mu >= 1 / blocks: over many instances the first steps show it."""
    gains = []
    for seed in range(20):
        f = Quadratic(*quadratic(seed))
        ends = [[s.fun for s in states(4, f, partition="order", selection=rule, update="lb", seed=seed)]
                for rule in ("gs", "random")]  # fmt: skip
        gains.append([values[0] - values[-1] for values in ends])
    greedy, drawn = np.mean(gains, axis=0)
    assert greedy > drawn


@pytest.mark.parametrize("rule", ["perm", "random", "lipschitz"])
@pytest.mark.parametrize("partition", ["sort", "variable"])
def test_seeded_rules_repeat(rule, partition):
    Q, c = quadratic(5)
    runs = [solvers.learning.quadratic(Q, c, blocks=4, rng=seed, max_iter=40, options={
        "partition": partition, "selection": rule, "update": "matrix"}).x for seed in (7, 7, 8)]  # fmt: skip
    np.testing.assert_array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


def test_the_measure_has_the_last_digits():
    """x - (x - g) would be 0, or the spacing of x."""
    x, g = np.full(2, 1e8), np.array([1e-9, -3e-9])
    smooth = Quadratic(np.eye(2), np.zeros(2))
    for penalty, l1 in ((None, 0.0), ({"l1": 1e-9}, 1e-9)):
        P = make(penalty, [(-1e9, 1e9)] * 2, 2, None)
        assert kkt(smooth, P, x, g, {}) == pytest.approx(np.abs(g + l1).max(), rel=1e-12)


def test_a_size_may_be_a_number_of_numpys():
    Q, c = quadratic(5)
    one, other = (solvers.learning.quadratic(Q, c, blocks=size, max_iter=20) for size in (4, np.int64(4)))
    np.testing.assert_array_equal(one.x, other.x)


@pytest.mark.parametrize("size", [1, 2, 7, 29, 30, 1000])
def test_any_size_will_do(size):
    Q, c = quadratic(11)
    for partition, rule in [("order", "perm"), ("sort", "gsl"), ("avg", "gsq"), ("variable", "gsd")]:
        result = solvers.learning.quadratic(Q, c, blocks=size, tol=1e-9, options={
            "partition": partition, "selection": rule, "update": "matrix"})  # fmt: skip
        assert result.success
        np.testing.assert_allclose(Q @ result.x, c, atol=1e-8 * np.abs(c).max())


# ---- answers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("update", ["lb", "la", "diag", "two_metric", "exact"])
def test_bounds_against_scipy(seed, update):
    Q, c = quadratic(seed, 12)
    lower, upper = -0.1 * np.ones(12), np.where(np.arange(12) % 3, 0.2, np.inf)
    root = np.linalg.cholesky(Q).T
    expected = scipy.optimize.lsq_linear(root, np.linalg.solve(root.T, c), (lower, upper), tol=1e-14).x
    result = solvers.learning.quadratic(
        Q, c, bounds=scipy.optimize.Bounds(lower, upper), tol=1e-10, blocks=4, max_iter=10**6,
        options={"update": update, "partition": "sort", "selection": "gsl"},
    )  # fmt: skip
    assert result.success
    assert (result.x >= lower).all()
    assert (result.x <= upper).all()
    assert result.fun <= expected @ (Q @ expected / 2 - c) + 1e-9
    np.testing.assert_allclose(result.x, expected, atol=1e-5)


@pytest.mark.parametrize("seed", SEEDS)
def test_lasso_against_scikit_learn(seed):
    linear = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((50, 80))
    y = X[:, :4].sum(1) + rng.standard_normal(50) / 10
    weight = np.abs(X.T @ y).max() / 20
    theirs = linear.Lasso(weight / 50, fit_intercept=False, tol=1e-14, max_iter=10**6).fit(X, y).coef_
    f = solvers.learning.LeastSquares(X, y)
    result = solvers.minimize(f, np.zeros(80), penalty={"l1": weight}, tol=1e-9 * weight)
    assert result.success
    reached = ((X @ theirs - y) ** 2).sum() / 2 + weight * np.abs(theirs).sum()
    assert result.fun <= reached * (1 + 1e-10)
    assert set(np.flatnonzero(np.abs(theirs) > 1e-7)) == set(np.flatnonzero(np.abs(result.x) > 1e-7))
    zero = solvers.minimize(f, np.zeros(80), penalty={"l1": np.abs(X.T @ y).max() * (1 + 1e-12)})
    assert zero.nit == 0
    assert zero.support.size == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_group_steps_are_stationary(seed):
    """For each group: G w - c + weight w / |w| = 0, or a gradient of at most the weight."""
    Q, c = quadratic(seed)
    groups = [np.arange(k, 30, 6) for k in range(6)]
    weights = np.array([0.0, 5.0, 20.0, 40.0, 60.0, np.inf])
    for Q_seen in (Q, Q * np.equal.outer(np.arange(30) % 6, np.arange(30) % 6)):
        for rule in ("perm", "gsl"):
            result = solvers.learning.quadratic(
                Q_seen, c, penalty={"group_l2": weights}, blocks=groups, tol=1e-10, options={"selection": rule}
            )
            assert result.success
            for weight, group in zip(weights, groups, strict=True):
                w, g = result.x[group], (Q_seen @ result.x - c)[group]
                if w.any():
                    np.testing.assert_allclose(g, -weight * w / np.linalg.norm(w), atol=1e-8 * np.abs(c).max())
                else:
                    assert np.linalg.norm(g) <= weight * (1 + 1e-9)
    assert not result.x[groups[5]].any()


@pytest.mark.parametrize("singular", [False, True])
def test_group_step_with_a_singular_gram_matrix(singular):
    rng = np.random.default_rng(4)
    for seed in range(50):
        A = rng.standard_normal((3 if singular else 8, 5)) * np.exp(3 * rng.standard_normal(5))
        Q, c = A.T @ A, A.T @ rng.standard_normal(len(A))
        weight = np.linalg.norm(c) * 10 ** rng.uniform(-6, 0.1)
        result = solvers.learning.quadratic(
            Q, c, penalty={"group_l2": weight}, blocks=[np.arange(5)], max_iter=30, tol=1e-8
        )
        assert result.success, seed
        if np.linalg.norm(c) <= weight:
            assert not result.x.any()


@pytest.mark.parametrize("update", ["exact", "two_metric"])
def test_it_ends_in_finitely_many_steps(update):
    """Once the signs are right, a block that holds the support is solved in one step."""
    Q, c = quadratic(23)
    penalty = {"l1": np.abs(c).max() / 5}
    result = solvers.learning.quadratic(Q, c, penalty=penalty, tol=1e-13, blocks=30, options={"update": update})
    assert result.success
    assert result.nit <= (2 if update == "exact" else 30)


def test_scaling_changes_nothing():
    Q, c = quadratic(31)
    one = solvers.learning.quadratic(Q, c, penalty={"l1": 3.0}, tol=1e-12)
    other = solvers.learning.quadratic(16 * Q, 16 * c, penalty={"l1": 48.0}, tol=1e-12)
    np.testing.assert_array_equal(one.x, other.x)
    D = 2.0 ** np.random.default_rng(5).integers(-3, 4, 30)
    columns = solvers.learning.quadratic(Q * np.outer(D, D), D * c, penalty={"l1": 3.0 * D}, tol=1e-12)
    np.testing.assert_allclose(columns.x * D, one.x, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("seed", SEEDS)
def test_duplicate_and_empty_columns(seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((20, 8))
    X = np.column_stack([X, X[:, :3], np.zeros((20, 2))])
    y = rng.standard_normal(20)
    for penalty in (None, {"l1": 1.0}, {"nonneg": True}):
        for size in (1, 4, 13):
            result = solvers.minimize(solvers.learning.LeastSquares(X, y), np.zeros(13), penalty=penalty, blocks=size,
                                      tol=1e-9)  # fmt: skip
            assert result.success
            assert not result.x[11:].any()
    least = ((X @ np.linalg.lstsq(X, y)[0] - y) ** 2).sum() / 2
    plain = solvers.minimize(solvers.learning.LeastSquares(X, y), np.zeros(13), tol=1e-9)
    assert plain.fun == pytest.approx(least, rel=1e-10)


# ---- all blocks at once ------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("penalty", [None, {"l1": 2.0}, {"nonneg": True}])
def test_damped_steps_of_all_blocks_never_rise(seed, penalty):
    update = "matrix" if penalty is None else "exact"
    Q, c = quadratic(seed, 24)
    banded = np.where(np.abs(np.subtract.outer(np.arange(24), np.arange(24))) <= 4, Q, 0)
    banded += np.diag(np.abs(banded).sum(axis=1))
    for f, least in ((Quadratic(Q, c), 8), (Quadratic(scipy.sparse.csr_array(banded), c), 5)):
        values = np.array([s.fun for s in states(40, f, size=3, penalty=penalty, update=update, selection="cyclic",
                                                 partition="order", parallel="jacobi")])  # fmt: skip
        assert (np.diff(values) <= 4 * np.finfo(float).eps * np.abs(values).max()).all()
        result = solvers.learning.quadratic(f.Q, c, penalty=penalty, blocks=3, tol=1e-9, options={"parallel": "jacobi"})
        assert result.success
        assert result.stats["overlap"] == least
        expected = solvers.learning.quadratic(f.Q, c, penalty=penalty, tol=1e-11)
        np.testing.assert_allclose(result.x, expected.x, atol=1e-6 * np.abs(expected.x).max())


@pytest.mark.parametrize("seed", SEEDS)
def test_damped_steps_on_models(seed):
    for f in models(seed):
        values = np.array([s.fun for s in states(30, f, size=2, update="lb", partition="sort", selection="cyclic",
                                                 parallel="jacobi")])  # fmt: skip
        assert (np.diff(values) <= 4 * np.finfo(float).eps * np.abs(values).max()).all()
        assert values[-1] < values[0]
    X = np.kron(np.eye(5), np.ones((3, 2)))  # no sample meets two blocks of two: nothing is damped
    separate = solvers.learning.LeastSquares(scipy.sparse.csr_array(X + 0.1 * (X > 0) * np.arange(10)), np.arange(15.0))
    result = solvers.minimize(separate, np.zeros(10), blocks=2, options={"parallel": "jacobi"}, max_iter=1, tol=1e-9)
    assert result.stats["overlap"] == 1
    assert result.options["update"] == "auto"


def test_what_does_not_go_with_all_blocks_at_once():
    Q, c = quadratic(3, 12)
    for options in ({"partition": "variable"}, {"selection": "gs"}):
        with pytest.raises(ValueError, match="jacobi"):
            solvers.learning.quadratic(Q, c, options={"parallel": "jacobi", **options})


# ---- what is no convex problem -----------------------------------------------------------------------


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("update", ["auto", "matrix", "exact", "lb"])
def test_negative_curvature(sparse, update):
    Q, c = quadratic(13, 12)
    Q[5] *= -1
    Q[:, 5] *= -1
    Q[5, 5] = -abs(Q[5, 5])
    matrix = scipy.sparse.csr_array(Q) if sparse else Q
    result = solvers.learning.quadratic(matrix, c, blocks=3, options={"update": update})
    assert result.status is solvers.Status.NOT_SPD
    assert np.isfinite(result.x).all()
    assert result.fun <= 0


def test_no_lower_bound():
    Q = np.diag([1.0, 2.0, 0.0])
    for blocks in (1, 3):
        result = solvers.learning.quadratic(Q, np.ones(3), blocks=blocks)
        assert result.status is solvers.Status.DIVERGED
        assert not result.success
    assert solvers.learning.quadratic(Q, [1.0, 1.0, 0.0]).success
