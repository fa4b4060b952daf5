"""What is particular to SSNS."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.sparse import csr_array

from solvers.ot import solve, solve_sample
from solvers.ot._cost import Cost
from solvers.ot._plan import Plan
from solvers.ot._ssns import _leaving, _solved, _solved_densely, _thinned

QUADRATIC_RATE = 20.0


@pytest.fixture(scope="module")
def assignment():
    """The paper's random assignment of 500 at reg = 1 / 1200, whose value two other solvers agree on."""
    C = np.random.default_rng(0).random((500, 500))
    return C, solve(C, reg=1 / 1200, method="ssns", tol=1e-11)


def test_iterations_of_the_paper(assignment):
    _, result = assignment
    assert result.success
    assert result.nit <= 30
    assert abs(result.value_linear - 0.0034504128667) < 1e-12
    assert result.stats["kept"] < 0.05 * 500**2


def test_ends_quadratically(assignment):
    """In the last steps the error is at most a constant times the square of the one before, on the scale of 1 / n."""
    measure = np.array(assignment[1].history["measure"])
    last = measure[(measure < 1e-2) & (measure > 1e-13)]
    assert len(last) >= 3
    assert (last[1:] <= QUADRATIC_RATE * 500 * last[:-1] ** 2).all()
    assert measure[-1] < 1e-3 * measure[-2]


def test_agrees_with_newton(assignment):
    C, result = assignment
    other = solve(C, reg=1 / 1200, method="newton", tol=1e-12)
    np.testing.assert_allclose(result.plan.dense(), other.plan.dense(), rtol=0, atol=1e-9)
    np.testing.assert_allclose([result.value, result.value_dual], [other.value, other.value_dual], rtol=1e-9)


@pytest.mark.parametrize("shape", [(80, 30), (30, 80), (1, 7), (7, 1), (1, 1), (2, 2)])
def test_any_shape_and_weights(shape, seed):
    rng = np.random.default_rng(seed)
    C, a, b = rng.random(shape), rng.dirichlet(np.ones(shape[0])), rng.dirichlet(np.ones(shape[1]))
    result, other = (solve(C, a, b, reg=1 / 300, method=method, tol=1e-11) for method in ("ssns", "newton"))
    assert result.success
    np.testing.assert_allclose(result.plan.dense(), other.plan.dense(), rtol=0, atol=1e-9)


def test_every_accepted_step_ascends_the_dual(seed):
    rng = np.random.default_rng(seed)
    C, reg = rng.random((80, 60)), 1 / 500
    a, b = rng.dirichlet(np.ones(80)), rng.dirichlet(np.ones(60))
    duals = []

    def dual(result):
        u, v = result.x.u / result.x.scale, result.x.v / result.x.scale
        duals.append(a @ (u + C.min(axis=1)) + b @ v - reg * np.asarray(result.x).sum())

    result = solve(C, a, b, reg=reg, method="ssns", tol=1e-12, callback=dual)
    assert result.success
    assert result.nit == result.stats["newton"] + result.stats["refused"]
    assert (np.diff(duals) >= -1e-13).all()


@pytest.mark.parametrize("options", [{"thinning": 0.0}, {"thinning": 1.0}, {"damping": 1e-3}, {"damping": 1e6}])
def test_any_options_converge(options, seed):
    C = np.random.default_rng(seed).random((60, 50))
    assert solve(C, reg=0.01, method="ssns", options=options, tol=1e-11).success


def test_units_do_not_matter(seed):
    """Costs and reg times a power of two, or masses times one, give the same steps up to rounding."""
    rng = np.random.default_rng(seed)
    C, a, b = rng.random((50, 40)), rng.dirichlet(np.ones(50)), rng.dirichlet(np.ones(40))
    plan, nit = None, None
    for cost, mass in ((1.0, 1.0), (2.0**40, 1.0), (1.0, 2.0**-500), (2.0**-30, 2.0**300)):
        result = solve(C * cost, a * mass, b * mass, reg=cost / 256, method="ssns", tol=1e-10 * mass)
        assert result.success
        plan, nit = (result.plan.dense() / mass, result.nit) if plan is None else (plan, nit)
        np.testing.assert_allclose(result.plan.dense() / mass, plan, rtol=0, atol=1e-12)
        assert abs(result.nit - nit) <= 1


def test_hard_costs_do_not_break_it():
    """Grid costs with many ties and small reg."""
    x = np.arange(64) / 63
    a, b = np.exp(-((x - 0.2) ** 2) * 40) + 0.01, np.exp(-((x - 0.8) ** 2) * 40) + 0.01
    C = np.abs(x[:, None] - x)
    assert solve(C, a / a.sum(), b / b.sum(), reg=1 / 800, method="ssns", max_iter=1000).success


@pytest.mark.parametrize("reg", [0.001, 1.0])
def test_a_singular_matrix_is_a_refused_step(reg, monkeypatch):
    C = np.random.default_rng(5).random((20, 20))
    monkeypatch.setattr("scipy.sparse.linalg.splu", _raising(RuntimeError("Factor is exactly singular")))
    monkeypatch.setattr("numpy.linalg.solve", _raising(np.linalg.LinAlgError("Singular matrix")))
    result = solve(C, reg=reg, method="ssns", max_iter=40)
    assert not result.success
    assert result.stats["refused"] == result.nit == 40


def _raising(error):
    def function(*args, **keywords):
        raise error

    return function


def test_points_and_threads(seed):
    rng = np.random.default_rng(seed)
    X, Y = rng.random((70, 2)), rng.random((90, 2))
    C = ((X[:, None] - Y) ** 2).sum(2)
    one, two = (solve_sample(X, Y, reg=0.002, method="ssns", tol=1e-11, threads=threads) for threads in (1, 2))
    np.testing.assert_array_equal(one.f, two.f)
    np.testing.assert_allclose(one.plan.dense(), solve(C, reg=0.002, tol=1e-11).plan.dense(), rtol=0, atol=1e-10)


@pytest.mark.parametrize("shape", [(7, 5), (5, 7), (6, 6), (4, 0), (0, 4)])
def test_both_ways_to_solve(shape, seed):
    rng = np.random.default_rng(seed)
    block = csr_array(rng.random(shape) * (rng.random(shape) < 0.6))
    diagonal = rng.uniform(1, 2, sum(shape)) + np.concatenate([block.sum(1), block.sum(0)])
    wanted = rng.normal(size=sum(shape))
    dense, matrix = block.toarray(), np.diag(diagonal)
    matrix[: shape[0], shape[0] :], matrix[shape[0] :, : shape[0]] = dense, dense.T
    expected = np.linalg.solve(matrix, wanted)
    for solved in (_solved, _solved_densely):
        np.testing.assert_allclose(solved(block, diagonal, wanted), expected, rtol=1e-12, atol=1e-14)


# ---- the thinned plan ------------------------------------------------------------------------------


@pytest.mark.parametrize("thinning", [1e-3, 0.01, 0.3])
@pytest.mark.parametrize("shape", [(30, 40), (200, 9), (9, 200)])
def test_thinned_by_the_rule(thinning, shape, seed, monkeypatch):
    """Against the rule said in loops, on the whole plan."""
    monkeypatch.setattr("solvers.ot._plan.BLOCK_BYTES", 8 * 40 * 7)
    rng = np.random.default_rng(seed)
    n, m = shape
    plan = Plan(Cost(matrix=rng.random(shape)), 30.0, 3 * rng.normal(size=n), rng.normal(size=m), None, None, shape, 1)
    P = plan.dense()
    a, b = P.sum(1) * rng.uniform(0.9, 1.1, n), P.sum(0) * rng.uniform(0.9, 1.1, m)
    problem = SimpleNamespace(a=a, b=b, cost=plan.cost, answer=lambda state: plan)
    entries = _thinned(problem, SimpleNamespace(row_sums=P.sum(1), column_sums=P.sum(0)), thinning)

    delta = thinning * np.linalg.norm(np.concatenate([P.sum(1) - a, (P.sum(0) - b)[:-1]]))
    stays = np.ones(shape, bool)
    for j in range(m):
        order = P[:, j].argsort()
        stays[order[P[order, j].cumsum() <= delta], j] = False
    for i in range(n):
        gone = np.flatnonzero(~stays[i])
        gone = gone[P[i, gone].argsort()]
        stays[i, gone[P[i, gone].cumsum() > 2 * delta]] = True
    stays[:, -1] = False

    kept = np.zeros(shape)
    kept[np.repeat(np.arange(n), np.diff(entries.row_starts)), entries.columns] = entries.values
    np.testing.assert_array_equal(kept, np.where(stays, P, 0.0))


def test_what_has_been_lost_counts():
    values = np.array([0.3, 0.1, 0.2, 0.1, 0.5])
    groups = np.array([0, 0, 0, 1, 1])
    assert _leaving(groups, values, np.array([0.0, 0.0]), 0.35).tolist() == [False, True, True, True, False]
    assert _leaving(groups, values, np.array([0.1, 0.3]), 0.35).tolist() == [False, True, False, False, False]
    assert _leaving(groups[:0], values[:0], np.zeros(2), 0.35).tolist() == []
