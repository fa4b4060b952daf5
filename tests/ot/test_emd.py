"""Exact transport against POT and SciPy, on degenerate data too; every answer is judged from the data alone."""

import numpy as np
import ot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment, linprog
from scipy.sparse import kron, vstack
from scipy.spatial.distance import cdist

from solvers import Status
from solvers.ot import _column_generation, _matrix_simplex, emd, emd_sample


def weights(rng, size):
    w = rng.random(size)
    return w / w.sum()


def uniform(size):
    return np.full(size, 1 / size)


def check(result, C, a, b):
    """The optimality conditions, up to rounding in the size of costs and weights."""
    C, size, mass = np.asarray(C, float), max(np.abs(C).max(), 1e-300), a.sum()
    plan = result.plan.toarray()
    slack = C - result.f[:, None] - result.g
    assert result.success
    assert plan.min() >= 0
    assert result.plan.nnz <= len(a) + len(b) - 1
    np.testing.assert_allclose(plan.sum(1), a, rtol=1e-13, atol=1e-15 * mass)
    np.testing.assert_allclose(plan.sum(0), b, rtol=1e-13, atol=1e-15 * mass)
    assert slack.min() >= -1e-14 * size
    assert (plan * slack).sum() <= 1e-12 * size * mass  # the gap that is a success
    assert result.value == pytest.approx((plan * C).sum(), rel=1e-13, abs=1e-15 * size * mass)
    assert result.gap == pytest.approx(result.value - a @ result.f - b @ result.g, abs=1e-14 * size * mass)
    assert abs(b @ result.g) <= 1e-14 * size * mass
    return plan


def grid_image(rng, side):
    image = np.exp(rng.normal(size=(side, side)).cumsum(0).cumsum(1) / side)
    return (image / image.sum()).ravel()


def grid_points(side):
    return np.stack(np.meshgrid(*[np.arange(side) / (side - 1)] * 2, indexing="ij"), -1).reshape(-1, 2)


# ---- against other solvers -------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "m"), [(300, 300), (130, 311), (311, 40), (2, 500)])
def test_random_costs_against_pot(seed, n, m):
    rng = np.random.default_rng(seed)
    C, a, b = rng.random((n, m)), weights(rng, n), weights(rng, m)
    result = emd(C, a, b)
    check(result, C, a, b)
    assert result.value == pytest.approx(ot.emd2(a, b, C), rel=1e-12)


@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean", "cityblock"])
@pytest.mark.parametrize("d", [1, 2, 5])
def test_points_against_pot(metric, d):
    rng = np.random.default_rng(19)
    X, Y, a, b = rng.random((220, d)), rng.normal(0.5, 0.3, (150, d)), weights(rng, 220), weights(rng, 150)
    C = cdist(X, Y, metric)
    result = emd_sample(X, Y, a, b, metric=metric)
    check(result, C, a, b)
    assert result.value == pytest.approx(ot.emd2(a, b, C), rel=1e-12)
    assert result.value == pytest.approx(emd(C, a, b).value, rel=1e-13)


@pytest.mark.parametrize("metric", ["sqeuclidean", "cityblock"])
def test_images_with_ties_against_pot(seed, metric):
    rng = np.random.default_rng(seed)
    pixels = grid_points(16)
    C, a, b = cdist(pixels, pixels, metric), grid_image(rng, 16), grid_image(rng, 16)
    result = emd(C, a, b)
    check(result, C, a, b)
    assert result.value == pytest.approx(ot.emd2(a, b, C), rel=1e-12)


def test_assignment(seed):
    rng = np.random.default_rng(seed)
    C = rng.random((400, 400))
    result = emd(C)
    plan = check(result, C, uniform(400), uniform(400))
    rows, columns = linear_sum_assignment(C)
    assert result.plan.nnz == 400
    np.testing.assert_array_equal(plan.argmax(1)[rows], columns)
    assert result.value == pytest.approx(C[rows, columns].mean(), rel=1e-13)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_small_integer_problems(data):
    """Many ties and degenerate bases; few candidates, so that the rounds have work."""
    n, m = data.draw(st.integers(1, 7)), data.draw(st.integers(1, 7))
    C = np.array(data.draw(st.lists(st.integers(-2, 3), min_size=n * m, max_size=n * m)), float).reshape(n, m)
    a = np.array(data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)), float)
    b = np.array(data.draw(st.lists(st.integers(0, 3), min_size=m, max_size=m)), float)
    a[0] += 1 + max(0, b.sum() - a.sum() - 1)
    b[-1] += a.sum() - b.sum()
    counts = {name: data.draw(st.integers(1, 3)) for name in ("candidates", "additions")}
    result = emd(C, a, b, options=counts)
    check(result, C, a, b)
    incidence = vstack([kron(np.eye(n), np.ones((1, m))), kron(np.ones((1, n)), np.eye(m))])
    reference = linprog(C.ravel(), A_eq=incidence, b_eq=np.concatenate([a, b]))
    assert result.value == pytest.approx(reference.fun, abs=1e-9)
    assert result.value == pytest.approx(round(result.value), abs=1e-13 * a.sum() * max(1, np.abs(C).max()))


# ---- degenerate data -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "C",
    [
        np.full((60, 60), 2.5),
        np.zeros((60, 60)),
        1.0 - np.eye(60)[::-1],
        np.add.outer(np.arange(60.0), np.sin(np.arange(60))),
        np.abs(np.subtract.outer(np.arange(60.0), np.arange(60.0))),
        np.random.default_rng(7).integers(0, 2, (60, 60)).astype(float),
        np.random.default_rng(7).random((60, 60)) + 1e8,
        np.random.default_rng(7).random((60, 60)) - 1e8,
        np.random.default_rng(7).random((60, 60)) * 1e-200,
        np.random.default_rng(7).random((60, 60)) * 1e200,
    ],
    ids=["constant", "zero", "permutation", "sums", "line", "bits", "offset", "negative", "tiny", "huge"],
)
def test_degenerate_costs(C):
    for options in (None, {}):
        check(emd(C, options=options), C, uniform(60), uniform(60))
    wide = np.tile(C, 2)[:, :97]
    check(emd(wide, options={"candidates": 1, "additions": 1}), wide, uniform(60), uniform(97))


@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 9), (9, 1)])
def test_one_source_or_one_target(n, m):
    rng = np.random.default_rng(23)
    C, a, b = rng.normal(size=(n, m)), weights(rng, n), weights(rng, m)
    np.testing.assert_allclose(check(emd(C, a, b), C, a, b), np.outer(a, b), rtol=1e-14)


def test_same_points_stay():
    X = np.random.default_rng(11).normal(size=(150, 3))
    result = emd_sample(X, X)
    assert result.success
    assert (result.value, result.gap) == (0, pytest.approx(0, abs=1e-15))
    np.testing.assert_array_equal(result.plan.toarray(), np.eye(150) / 150)


def test_zero_weights(seed):
    rng = np.random.default_rng(seed)
    C, a, b = rng.random((40, 50)), weights(rng, 40), weights(rng, 50)
    a[rng.random(40) < 0.4] = b[rng.random(50) < 0.4] = 0
    b *= a.sum() / b.sum()
    result = emd(C, a, b)
    plan = check(result, C, a, b)
    assert not plan[a == 0].any()
    assert not plan[:, b == 0].any()
    points = emd_sample(C[:, :3], C[:30, 3:6], a, b[:30] * (a.sum() / b[:30].sum()))
    check(points, cdist(C[:, :3], C[:30, 3:6], "sqeuclidean"), a, b[:30] * (a.sum() / b[:30].sum()))


def test_weights_of_all_sizes(seed):
    rng = np.random.default_rng(seed)
    C, a, b = rng.random((60, 70)), 10 ** rng.uniform(-14, 0, 60), 10 ** rng.uniform(-14, 0, 70)
    b *= a.sum() / b.sum()
    result = emd(C, a, b)
    assert result.success
    assert result.marginal_error <= 1e-15 * a.sum()
    assert result.value == pytest.approx(ot.emd2(a / a.sum(), b / a.sum(), C) * a.sum(), rel=1e-12)


def test_mass_scales_the_answer():
    rng = np.random.default_rng(3)
    C, a, b = rng.random((30, 20)), weights(rng, 30), weights(rng, 20)
    one, many = emd(C, a, b), emd(C, a * 2.0**40, b * 2.0**40)
    np.testing.assert_array_equal(one.plan.toarray() * 2.0**40, many.plan.toarray())
    assert many.value == one.value * 2.0**40


# ---- the interface ---------------------------------------------------------------------------------


def test_layouts_and_types():
    rng = np.random.default_rng(91)
    C = rng.integers(0, 30, (23, 31))
    expected = emd(C.astype(float)).value
    frozen = C.astype(float)
    frozen.flags.writeable = False
    for same in (C, C.astype(np.float32), np.asfortranarray(C), frozen, np.repeat(C, 2, 1)[:, ::2], C.tolist()):
        assert emd(same).value == expected


@pytest.mark.parametrize("options", [None, {}])
def test_threads_do_not_change_the_bits(options):
    rng = np.random.default_rng(7)
    X, Y = rng.random((500, 2)), rng.random((400, 2))
    one, two = emd_sample(X, Y, threads=1, options=options), emd_sample(X, Y, threads=2, options=options)
    np.testing.assert_array_equal(one.plan.toarray(), two.plan.toarray())
    np.testing.assert_array_equal(one.f, two.f)


def interruptible():
    rng = np.random.default_rng(7)
    few = {"candidates": 2, "additions": 1}
    return rng.random((200, 2)), rng.normal(size=(180, 2)), few


def test_interrupted_plans_are_feasible_and_resume_to_the_same_bits():
    X, Y, few = interruptible()
    whole = emd_sample(X, Y, options=few)
    assert whole.success
    assert whole.nit >= 3
    C = cdist(X, Y, "sqeuclidean")
    for part in (emd_sample(X, Y, options=few, max_iter=2), emd_sample(X, Y, options=few, time_limit=0)):
        assert not part.success
        assert part.marginal_error < 1e-14
        assert part.value >= whole.value
        assert part.value - part.gap <= whole.value * (1 + 1e-14)
        assert (C - part.f[:, None] - part.g).min() >= -1e-14 * C.max()
        resumed = emd_sample(X, Y, options=few, resume=part.state)
        np.testing.assert_array_equal(resumed.plan.toarray(), whole.plan.toarray())
        assert resumed.nit == whole.nit


def test_small_matrices_take_all_arcs_at_once(monkeypatch):
    rng = np.random.default_rng(7)
    C, a, b = rng.random((60, 50)), rng.dirichlet(np.ones(60)), rng.dirichlet(np.ones(50))
    whole = emd(C, a, b)
    assert (whole.method, whole.nit) == ("network-simplex", 1)
    few = emd(C, a, b, options={"candidates": 3})
    assert few.method == "column-generation"
    assert few.value == pytest.approx(whole.value, rel=1e-13)
    X, Y = rng.normal(size=(60, 3)), rng.normal(size=(50, 3))
    for metric in ("sqeuclidean", "euclidean", "cityblock"):
        stored, made = emd_sample(X, Y, a, b, metric=metric), emd_sample(X, Y, a, b, metric=metric, options={})
        assert (stored.method, made.method) == ("network-simplex", "column-generation")
        assert stored.value == pytest.approx(made.value, rel=1e-13)
    monkeypatch.setattr(_matrix_simplex, "MOST_ROWS", 59)
    assert emd(C, a, b).method == "column-generation"
    assert emd(C.T, b, a).method == "network-simplex"
    monkeypatch.setattr(_matrix_simplex, "MOST_COLUMNS", 59)
    assert emd(C.T, b, a).method == "column-generation"
    monkeypatch.setattr(_matrix_simplex, "MOST_COLUMNS", 60)
    assert emd(C.T, b, a).method == "network-simplex"
    monkeypatch.setattr(_matrix_simplex, "MOST_ENTRIES", 2999)
    assert emd(C.T, b, a).method == "column-generation"


def test_pivots_on_all_arcs_stop_and_go_on_to_the_same_bits(monkeypatch):
    monkeypatch.setattr(_matrix_simplex, "PIVOTS", 1)
    rng = np.random.default_rng(7)
    C, a, b = rng.random((90, 80)), rng.dirichlet(np.ones(90)), rng.dirichlet(np.ones(80))
    seen = []
    whole = emd(C, a, b, callback=lambda r: seen.append(r.x))
    check(whole, C, a, b)
    assert whole.nit == len(seen) >= 3
    assert (np.diff(whole.history["measure"]) < 0).all()
    for plan in seen:
        np.testing.assert_allclose(plan.sum(1), a, rtol=1e-13, atol=1e-16)
    for part in (emd(C, a, b, max_iter=2), emd(C, a, b, time_limit=0)):
        assert not part.success
        assert part.value - part.gap <= whole.value * (1 + 1e-14)
        resumed = emd(C, a, b, resume=part.state)
        np.testing.assert_array_equal(resumed.plan.toarray(), whole.plan.toarray())
        assert resumed.nit == whole.nit


def test_ties_end_where_the_first_potentials_are_all_zero():
    """Rounding alone then tells arcs apart, and must not make pivots."""
    pixels = grid_points(16)
    C, rng = cdist(pixels, pixels, "cityblock"), np.random.default_rng(5)
    result = emd(C, grid_image(rng, 16), grid_image(rng, 16))
    assert result.success
    assert result.stats["pivots"] < 10 * 512


def test_callback_and_log(capsys):
    X, Y, few = interruptible()
    seen = []
    result = emd_sample(X, Y, options=few, callback=lambda r: seen.append((r.nit, r.x.sum())), verbose=2)
    assert [nit for nit, _ in seen] == list(range(1, result.nit + 1))
    np.testing.assert_allclose([mass for _, mass in seen], 1)
    assert "column-generation: 200 x 180 exact transport (points)" in capsys.readouterr().out


def test_a_loose_tolerance_stops_early():
    X, Y, few = interruptible()
    loose = emd_sample(X, Y, options=few, tol=0.5)
    assert loose.success
    assert loose.nit < emd_sample(X, Y, options=few).nit
    assert 0 <= loose.gap <= 0.5 * loose.value


@pytest.mark.parametrize("options", [None, {}])
def test_warm_start_at_the_answer(options):
    X, Y, _ = interruptible()
    result = emd_sample(X, Y, options=options)
    again = emd_sample(X, Y, warm_start=(result.f, result.g), options=options)
    assert again.success
    assert again.stats["pivots"] < result.stats["pivots"]
    assert again.value == pytest.approx(result.value, rel=1e-13)


def test_candidates_are_dropped_where_there_is_no_room(monkeypatch):
    X, Y, few = interruptible()
    expected = emd_sample(X, Y).value
    monkeypatch.setattr(_column_generation, "ROOM", 3)
    result = emd_sample(X, Y, options=few)
    assert result.stats["arcs"] <= 3 * 380
    assert result.success
    assert result.value == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("unit", [1e-310, 1e-305, 1e-290, 1e296, 1e307])
@pytest.mark.parametrize("shape", [(32, 32), (40, 7)])
def test_costs_near_the_ends_of_the_numbers(unit, shape, seed):
    rng = np.random.default_rng(seed)
    C, a, b = rng.random(shape), rng.dirichlet(np.ones(shape[0])), rng.dirichlet(np.ones(shape[1]))
    result = emd(unit * C, a, b)
    assert result.success
    np.testing.assert_allclose(result.value / unit, emd(C, a, b).value, rtol=1e-12 if unit > 1e-307 else 1e-8)


def test_costs_times_masses_beyond_the_numbers_are_no_success(seed):
    rng = np.random.default_rng(seed)
    with np.errstate(all="ignore"):
        result = emd(1e303 * rng.random((9, 9)), np.full(9, 1e9), np.full(9, 1e9))
    assert not result.success
    assert result.status == Status.NONFINITE


def test_bad_input():
    C = np.arange(12.0).reshape(3, 4)
    for bad in (np.nan, np.inf):
        matrix = C.copy()
        matrix[1, 2] = bad
        with pytest.raises(ValueError, match=r"C must be finite; C\[\(1, 2\)\]"):
            emd(matrix)
        with pytest.raises(ValueError, match=r"X must be finite; X\[\(0, 1\)\]"):
            emd_sample([[0, bad]], [[0, 1]])
    with pytest.raises(ValueError, match=r"b must be >= 0; b\[2\] is -1"):
        emd(C, None, [1, 1, -1, 0])
    with pytest.raises(ValueError, match=r"a sums to 1.5, b to 1.0"):
        emd(C, [0.5, 0.5, 0.5])
    with pytest.raises(ValueError, match="C is empty"):
        emd(np.empty((0, 4)))
    with pytest.raises(ValueError, match="costs overflow"):
        emd([[1e308, -1e308]])
    with pytest.raises(ValueError, match="metric must be one of"):
        emd_sample(C, C, metric="cosine")
    with pytest.raises(ValueError, match="tol must be positive"):
        emd(C, tol=0)
    with pytest.raises(TypeError, match="candidates"):
        emd(C, options={"candidate": 3})
    with pytest.raises(ValueError, match="candidates"):
        emd(C, options={"candidates": 0})
    with pytest.raises(ValueError, match="resume"):
        emd(C, resume=3)
    with pytest.warns(RuntimeWarning, match="b is rescaled"):
        assert emd(C, uniform(3), uniform(4) * (1 + 1e-8)).success


def test_steps_in_one_call_are_those_of_the_loop(seed):
    rng = np.random.default_rng(seed)
    C, a, b = rng.random((30, 40)), rng.dirichlet(np.ones(30)), rng.dirichlet(np.ones(40))
    result, watched = emd(C, a, b), emd(C, a, b, callback=lambda state: None)
    assert result.success
    assert (result.plan != watched.plan).nnz == 0
    np.testing.assert_array_equal(result.g, watched.g)
    for name in ("nit", "measure"):
        np.testing.assert_array_equal(result.history[name], watched.history[name])
