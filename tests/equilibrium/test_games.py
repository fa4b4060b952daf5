"""Matrix games: closed forms, invariances, SciPy's values, and the compiled steps against their twins."""

import games
import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linprog

from solvers import Status
from solvers.equilibrium import _game_exact, _game_pdhg, _regret, matrix_game
from solvers.equilibrium._game import GameProblem
from solvers.equilibrium._kernels import Tableau, game_copies

METHODS = ("game-pdhg", "game-simplex", "rm-plus", "prm-plus")


def value_by_highs(A):
    """The least v with A x <= v."""
    m, n = A.shape
    by = linprog(
        np.r_[np.zeros(n), 1], np.c_[A, -np.ones(m)], np.zeros(m), np.r_[np.ones(n), 0][None], [1],
        bounds=[(0, None)] * n + [(None, None)], method="highs-ds",
    )  # fmt: skip
    return by.fun


def check(A, result, tol):
    """The strategies are such, and the bounds what they guarantee, by own arithmetic."""
    A = A.toarray() if scipy.sparse.issparse(A) else np.asarray(A)
    m, n = A.shape
    assert result.success, result.message
    assert (result.x.shape, result.y.shape) == ((n,), (m,))
    for strategy in (result.x, result.y):
        assert strategy.min() >= 0
        assert abs(strategy.sum() - 1) <= 4 * len(strategy) * 2.3e-16
    low, high = (A.T.astype(np.longdouble) @ result.y).min(), (A.astype(np.longdouble) @ result.x).max()
    rounding = 1e-15 * max(1, np.abs(A).max())
    assert -rounding <= high - low <= tol + rounding
    assert result.value_bounds == pytest.approx((float(low), float(high)), abs=rounding)
    assert result.value_bounds[0] <= result.value <= result.value_bounds[1]
    assert result.gap == result.measure


# ---- values that are known -----------------------------------------------------------------------


def diagonal(seed):
    return np.random.default_rng(seed).random(70) + 0.1


KNOWN = {
    "rock-paper-scissors": (np.array([[0.0, 1, -1], [-1, 0, 1], [1, -1, 0]]), 0.0),
    "diagonal": (np.diag(diagonal(5)), 1 / (1 / diagonal(5)).sum()),
    "nem1": (games.nemirovski1(150), 150 / 299),
    "nem1 squared": (games.nemirovski1(150, 2.0), (150 / 299) ** 2),
    "nem2": (games.nemirovski2(150), 151 / (2 * 299)),
    "hilbert": (games.hilbert(80), 1 / 80),
    "policeman of 5": (games.policeman(5), 0.629708409076966),
    "policeman of 1000": (games.policeman(1000), 2.63722410470285),
    "policeman by columns": (games.policeman(200, scaled="columns"), 0.01266459891890),
    "uniform of 300": (np.random.default_rng(5).random((300, 300)) * 2 - 1, 0.00233428177935558),
}  # fmt: skip


@pytest.mark.parametrize("name", KNOWN)
def test_known_values(name):
    A, value = KNOWN[name]
    result = matrix_game(A, tol=1e-11)
    check(A, result, 1e-11)
    assert result.value == pytest.approx(value, abs=1e-11)


@pytest.mark.parametrize("method", METHODS)
def test_strategies_of_a_diagonal_game(method):
    d = diagonal(3)
    result = matrix_game(np.diag(d), tol=1e-12, method=method)
    np.testing.assert_allclose(result.x, (1 / d) / (1 / d).sum(), rtol=1e-9)
    np.testing.assert_allclose(result.y, result.x, rtol=1e-9)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["uniform", "gaussian", "bernoulli"])
@pytest.mark.parametrize("shape", [(90, 90), (75, 400), (300, 70)])
def test_random_games(method, kind, shape):
    A = games.random_game(kind, *shape, seed=2)
    result = matrix_game(A, tol=1e-12, method=method)
    check(A, result, 1e-12)
    assert result.value == pytest.approx(value_by_highs(A), abs=1e-9)


few = st.integers(-2, 2).map(float)


@settings(max_examples=60)
@given(arrays(float, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=few), st.sampled_from(METHODS))
def test_degenerate_games(A, method):
    """Few values: many best strategies, dependent rows, saddle points."""
    result = matrix_game(A, tol=1e-10, method=method)
    check(A, result, 1e-10)
    assert result.value == pytest.approx(value_by_highs(A), abs=1e-9)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("method", METHODS)
def test_games_of_low_rank(method, rank, seed):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((100, rank)) @ rng.standard_normal((rank, 80))
    check(A, matrix_game(A, tol=1e-10, method=method), 1e-10)


@pytest.mark.parametrize("method", [None, *METHODS])
@pytest.mark.parametrize(
    "A", [np.full((7, 90), 3.5), np.arange(70.0)[None], np.arange(70.0)[:, None], np.zeros((1, 1))]
)
def test_solved_at_once(A, method):
    result = matrix_game(A, method=method)
    check(A, result, 0)
    assert (result.nit, result.gap) == (0, 0)


# ---- invariances ---------------------------------------------------------------------------------


def coarse(seed, m=90, n=110):
    """Multiples of 2^-10 in [-1, 1], so that shifts round nothing."""
    return np.random.default_rng(seed).integers(-1024, 1025, (m, n)) / 1024


@pytest.mark.parametrize("polish", [True, False])
def test_shift(seed, polish):
    A = coarse(seed)
    plain, shifted = (matrix_game(B, tol=1e-6, method="game-pdhg", polish=polish) for B in (A, A + 1e6))
    assert plain.nit == shifted.nit
    assert plain.success
    assert shifted.success
    assert shifted.value - 1e6 == pytest.approx(plain.value, abs=2e-6)
    np.testing.assert_allclose(shifted.x, plain.x, atol=1e-8)


def test_power_of_two_scale(seed):
    A = coarse(seed)
    plain, scaled = matrix_game(A, tol=1e-9), matrix_game(1024 * A, tol=1024e-9)
    assert plain.nit == scaled.nit
    np.testing.assert_array_equal(plain.x, scaled.x)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("power", [-1060, -900, 900, 1020])
def test_extreme_scales(method, power):
    A = np.ldexp(coarse(3), power)
    result = matrix_game(A, tol=max(1e-10 * np.ldexp(1.0, power), 1e-315), method=method, max_iter=500)
    reference = matrix_game(coarse(3), tol=1e-10)
    if power > -1000:  # else entries have few bits
        assert result.success
        np.testing.assert_allclose(result.x, reference.x, atol=1e-9)
    assert np.isfinite(result.gap)


@pytest.mark.parametrize("method", METHODS)
def test_permutations_and_exchange_of_the_players(method, seed):
    A, rng = coarse(seed), np.random.default_rng(seed)
    rows, columns = rng.permutation(90), rng.permutation(110)
    plain = matrix_game(A, tol=1e-11, method=method)
    permuted = matrix_game(A[np.ix_(rows, columns)], tol=1e-11, method=method)
    np.testing.assert_allclose(permuted.x, plain.x[columns], atol=1e-9)
    np.testing.assert_allclose(permuted.y, plain.y[rows], atol=1e-9)
    exchanged = matrix_game(-A.T, tol=1e-11, method=method)
    assert exchanged.value == pytest.approx(-plain.value, abs=1e-11)
    np.testing.assert_allclose(exchanged.x, plain.y, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("form", ["dense", "float32", "csr", "csc"])
def test_linear_terms_and_forms(method, form, seed):
    rng = np.random.default_rng(seed)
    A = coarse(seed, 100, 80) * (rng.random((100, 80)) < 0.3)
    c, d = rng.integers(-9, 9, 80) / 16, rng.integers(-9, 9, 100) / 16
    stored = {
        "dense": lambda: np.asfortranarray(A), "float32": lambda: A.astype(np.float32),
        "csr": lambda: scipy.sparse.csr_array(A), "csc": lambda: scipy.sparse.csc_matrix(A),
    }[form]()  # fmt: skip
    plain = matrix_game(stored, tol=1e-11, method=method)
    check(A, plain, 1e-11)
    whole = A + c + d[:, None]
    result = matrix_game(stored, linear_x=c, linear_y=d, tol=1e-11, method=method)
    check(whole, result, 1e-11)
    assert result.value == pytest.approx(value_by_highs(whole), abs=1e-9)
    one = matrix_game(stored, linear_y=d, tol=1e-11, method=method)
    check(A + d[:, None], one, 1e-11)


def test_sparse_with_duplicates_is_summed_and_left_alone():
    rows, columns, data = [0, 0, 1, 1], [0, 0, 1, 0], [1.0, 2.0, 4.0, 1.0]
    A = scipy.sparse.coo_array((data, (rows, columns)), shape=(2, 2))
    compressed = scipy.sparse.csr_array((np.array(data), np.array([0, 0, 1, 0]), np.array([0, 2, 4])), shape=(2, 2))
    for matrix in (A, compressed):
        check(A, matrix_game(matrix, tol=1e-12), 1e-12)
    np.testing.assert_array_equal(compressed.indices, [0, 0, 1, 0])


# ---- without an exact end ------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "tol"), [("game-pdhg", 1e-10), ("rm-plus", 2e-3), ("prm-plus", 1e-4)])
def test_first_order_alone(method, tol):
    A = games.policeman(100)
    result = matrix_game(A, tol=tol, method=method, polish=False)
    check(A, result, tol)
    assert result.stats["pivots"] == 0


def test_first_order_ends_at_rounding():
    result = matrix_game(games.policeman(70), tol=1e-18, polish=False)
    assert result.gap < 1e-13
    assert result.success or result.status is Status.STAGNATION


def first_order(A, solver, steps, **keywords):
    problem = GameProblem(A, None, None, 1e-300, polish=False, **keywords)
    state = solver.init(problem)
    while state.nit < steps:
        state = solver.step(problem, state)
    return problem, state


@pytest.mark.parametrize("sparse", [False, True])
def test_products_follow_the_pair(sparse, seed):
    """The recursion of the products stays near the products."""
    A = coarse(seed, 60, 70)
    problem, state = first_order(scipy.sparse.csr_array(A) if sparse else A, _game_pdhg.GamePdhg(4), 20_000)
    pair, products = state.vectors[:2]
    exact = problem.game(state.narrow).products(pair)
    assert np.abs(products - exact).max() < 1e-10 * np.abs(exact).max()


@pytest.mark.parametrize("share", [1e-3, 0.5, 0.9])
def test_an_underestimated_norm_is_raised(share, monkeypatch, seed):
    A = coarse(seed, 70, 90)
    problem = GameProblem(A, None, None, 1e-5, polish=False)
    game = problem.game(True)
    true = np.linalg.norm(A - A.mean(0) - A.mean(1, keepdims=True) + A.mean(), 2)
    assert 0.8 * true <= game.norm(4) * problem.scale <= true * (1 + 1e-6)
    solver = _game_pdhg.GamePdhg(4)
    state = solver.init(problem)
    numbers = state.numbers.copy()
    numbers[0] = share * true / problem.scale
    state = _game_pdhg.replace(state, numbers=numbers)
    while solver.done(problem, state) is None:
        state = solver.step(problem, state)
        assert state.nit < 20_000
        assert np.isfinite(state.vectors).all()
    assert solver.done(problem, state) is Status.CONVERGED
    assert state.numbers[0] * problem.scale <= 1.021 * true
    assert share == 0.9 or state.numbers[8] > 0


# ---- compiled steps and their twins --------------------------------------------------------------


def projected(v):
    falling = np.sort(v)[::-1]
    t = (np.cumsum(falling) - 1) / np.arange(1, len(v) + 1)
    return np.maximum(v - t[np.flatnonzero(falling > t)[-1]], 0)


@pytest.mark.parametrize("shape", [(3, 5), (17, 40), (130, 66)])
def test_pdhg_is_that_of_the_paper(shape, seed):
    A = np.random.default_rng(seed).random(shape)
    m, n = shape
    problem, state = first_order(A, _game_pdhg.GamePdhg(4), 10, max_iter=10)
    S = (A.astype(float) - problem.shift) / problem.scale
    rows, _ = game_copies(A, problem.shift, problem.scale, True)
    eta = 0.998 / state.numbers[0]
    x, y = np.full(n, 1 / n), np.full(m, 1 / m)
    anchor, K, reads = (x, y), rows.astype(float), 0
    np.testing.assert_allclose(K, S, atol=6e-8)
    for k in range(10):
        x1 = projected(x - eta * (K.T @ y))
        y1 = projected(y + eta * (K @ (2 * x1 - x)))
        reads += m * np.count_nonzero(x1) + n * np.count_nonzero(y1)
        a = (k + 1) / (k + 2)
        x, y = (a * (2 * z1 - z) + (1 - a) * z0 for z1, z, z0 in zip((x1, y1), (x, y), anchor, strict=True))
    if state.numbers[8] == 0:
        np.testing.assert_allclose(state.vectors[0], np.concatenate((x, y)), atol=1e-12)
        assert problem.epochs(state.numbers[9]) == reads / (2 * m * n)
    assert np.isfinite(state.vectors).all()


@pytest.mark.parametrize("predictive", [False, True])
def test_regret_matching_is_that_of_the_papers(predictive, seed):
    A = np.random.default_rng(seed).random((13, 21)) * 2 - 1
    solver = (_regret.PredictiveRegretMatching if predictive else _regret.RegretMatching)(0.05)
    problem, state = first_order(A, solver, 16)
    S = problem.block(np.arange(13), np.arange(21))
    x, y = np.full(21, 1 / 21), np.full(13, 1 / 13)
    by_x, by_y, G = np.zeros(21), np.zeros(13), None
    averages, weights = [np.zeros(21), np.zeros(13)], 0.0

    def play(regrets, loss, strategy):
        theta = np.maximum(regrets + (loss @ strategy - loss if predictive else 0), 0)
        return theta / theta.sum() if theta.sum() > 0 else np.full(len(theta), 1 / len(theta))

    for t in range(1, 17):
        x = x if G is None else play(by_x, G, x)
        H = S @ x
        by_y = np.maximum(by_y + H - H @ y, 0)
        y = play(by_y, -H, y)
        G = S.T @ y
        by_x = np.maximum(by_x + G @ x - G, 0)
        weight = t**2 if predictive else t
        weights += weight
        averages = [a + weight / weights * (z - a) for a, z in zip(averages, (x, y), strict=True)]
    np.testing.assert_allclose(state.vectors[1], np.concatenate((x, y)), atol=1e-12)
    np.testing.assert_allclose(state.vectors[3], np.concatenate(averages), atol=1e-12)


def test_game_copies_of_any_strides(seed):
    whole = np.random.default_rng(seed).random((70, 90))
    for A in (whole, whole.T, whole[::-2, 1::3], whole.astype(np.float32)):
        for narrow in (False, True):
            rows, columns = game_copies(A, 0.25, 2.0, narrow)
            np.testing.assert_array_equal(rows, ((A.astype(float) - 0.25) / 2).astype(rows.dtype))
            np.testing.assert_array_equal(columns, rows.T)


@pytest.mark.parametrize("size", [1, 2, 9, 40])
def test_dictionary_of_a_basis(size, seed):
    """Whatever the values that are not basic, the others solve A x + s = v, sum x = 1; and pivots keep that."""
    rng = np.random.default_rng(seed)
    block = rng.standard_normal((60, 50))
    sy, sx = np.sort(rng.choice(60, size, replace=False)), np.sort(rng.choice(50, size, replace=False))

    def holds(D, b, c, row_label, column_label):
        values = rng.random(50)
        x, s = np.zeros(50), np.zeros(60)
        for labels, part in ((row_label, b + D @ values), (column_label, values)):
            x[labels[labels >= 0]] = part[labels >= 0]
            s[~labels[labels < 0]] = part[labels < 0]
        assert x.sum() == pytest.approx(1, abs=1e-9)
        v = block @ x + s
        np.testing.assert_allclose(v, v[0], atol=1e-9 * np.abs(x).max())

    parts = _game_exact.dictionary(block, sy, sx)
    assert parts is not None
    holds(*parts)
    D, b, c, row_label, column_label = parts
    b, c = np.stack((b, np.ones(60))), np.stack((c, np.ones(50)))
    end, pivots = Tableau(D, b, c, row_label, column_label).minimise(1e-13, 1000)
    assert end == 0
    assert b[0].min() >= -1e-9
    assert c[0].min() >= -1e-9
    assert pivots > 0
    holds(D, b[0], c[0], row_label, column_label)


def test_no_bits_depend_on_the_way_there(seed):
    """Seen step by step, or in blocks."""
    A = coarse(seed, 70, 70)
    for solver in (_game_pdhg.GamePdhg(4), _regret.RegretMatching(0.05)):
        _, blocks = first_order(A, solver, 48)
        _, single = first_order(A, solver, 48, every=True)
        np.testing.assert_array_equal(blocks.vectors, single.vectors)
        assert blocks.measure == single.measure


# ---- input ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("A", "keywords", "error", "match"),
    [
        ([[1, np.nan]], {}, ValueError, r"A must be finite; A\[\(0, 1\)\] is nan"),
        (scipy.sparse.csr_array([[1, np.inf]]), {}, ValueError, "A must be finite"),
        (np.zeros((0, 3)), {}, ValueError, "rows and columns"),
        (np.zeros((3, 0)), {}, ValueError, "rows and columns"),
        (np.zeros(3), {}, ValueError, "A must have 2 dimensions"),
        (np.eye(2) * 1j, {}, TypeError, "A must be real"),
        (scipy.sparse.csr_array(np.eye(2) * 1j), {}, TypeError, "A must be real"),
        (np.ma.masked_array(np.eye(2)), {}, TypeError, "A is a masked array"),
        (np.eye(2), {"linear_x": [1, 2, 3]}, ValueError, "linear_x must have length 2, not 3"),
        (np.eye(2), {"linear_y": [1, np.inf]}, ValueError, "linear_y must be finite"),
        (np.eye(2), {"x0": [1, 0]}, ValueError, "x0 and y0 must be given together"),
        (np.eye(2), {"x0": [1, 0], "y0": [2, -1]}, ValueError, "y0 must be a strategy"),
        (np.eye(2), {"x0": [0.3, 0.3], "y0": [1, 0]}, ValueError, "x0 must be a strategy"),
        (np.eye(2), {"tol": -1}, ValueError, "tol"),
    ],
)
def test_bad_input(A, keywords, error, match):
    with pytest.raises(error, match=match):
        matrix_game(A, **keywords)


def test_which_method_and_why():
    assert "Chose game-simplex, as one player has 30 strategies." in matrix_game(games.hilbert(30) - 1).message
    assert "Chose game-pdhg" in matrix_game(games.policeman(70)).message
    assert "Chose game-pdhg" in matrix_game(games.policeman(30), polish=False).message
