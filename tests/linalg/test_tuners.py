"""Tuners: probabilities against their definition, states against replay, learners against dense formulas, regret."""

import json
import pickle
import sys

import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
from hypothesis import given
from hypothesis import strategies as st

from solvers.linalg import ArmTuner, OmegaTuner, _kernels, learners, omega_grid
from solvers.linalg._kernels import gaussian_tables

PLAIN = [learner.name for learner in learners() if not learner.contextual]
CONTEXTUAL = [learner.name for learner in learners() if learner.contextual]
#: Every learner with every drift that it knows.
TUNERS = [(one.name, drift) for one in learners() for drift in (None, *sorted(one.drifts))]


def tuner(learner, drift=None, *, omegas="paper", rng=0, **keywords):
    context = (-1.0, 1.0) if learner in CONTEXTUAL else None
    return OmegaTuner(omegas, learner=learner, drift=drift, context=context, rng=rng, **keywords)


def context_of(learner, step):
    return float(np.sin(0.7 * step)) if learner in CONTEXTUAL else None


def cost_of(omega, step, context):
    """Smooth in omega and context, with what looks like noise."""
    return 20 + 200 * (omega - 1.5 - 0.3 * (context or 0)) ** 2 + (7 * step) % 5


def play(one, learner, start, stop):
    asked = []
    for step in range(start, stop):
        question = one.ask(context_of(learner, step))
        asked.append((question.arm, question.probability))
        one.tell(question, cost_of(question.value, step, question.context))
    return asked


# ---- Tsallis-INF's probabilities -----------------------------------------------------------------


@given(st.lists(st.floats(0, 1e150, allow_subnormal=False), min_size=1, max_size=40), st.floats(1e-3, 4), st.booleans())
def test_the_weights_sum_to_one_before_they_are_divided(losses, eta, small):
    losses = np.array(losses) * (1e-140 if small else 1)
    p = _kernels.tsallis_weights(losses, eta)
    assert abs(p.sum() - 1) <= 1e-12
    assert (p >= 0).all()
    order = np.argsort(losses, kind="stable")
    assert (np.diff(p[order]) <= 0).all()  # the reverse of the losses'


def test_the_weights_solve_their_equation(seed):
    rng = np.random.default_rng(seed)
    losses, eta = rng.exponential(10, 20), 4 / np.sqrt(1 + seed)
    losses -= losses.min()

    def excess(y):
        return np.sum(4 / (eta * (losses + y)) ** 2) - 1

    y = scipy.optimize.brentq(excess, 2 / eta, 2 * np.sqrt(20) / eta, xtol=1e-14, rtol=1e-14)
    np.testing.assert_allclose(_kernels.tsallis_weights(losses, eta), 4 / (eta * (losses + y)) ** 2, rtol=1e-11)


def test_one_arm_and_equal_losses():
    np.testing.assert_allclose(_kernels.tsallis_weights(np.array([3.0]), 0.3), [1], rtol=1e-14)
    np.testing.assert_allclose(_kernels.tsallis_weights(np.full(7, 1e10), 0.3), np.full(7, 1 / 7), rtol=1e-13)


# ---- every learner -------------------------------------------------------------------------------


@pytest.mark.parametrize(("learner", "drift"), TUNERS)
def test_probabilities_are_those_asked_with(learner, drift):
    one = tuner(learner, drift)
    for step in range(100):
        context = context_of(learner, step)
        p = one.probabilities(context)
        assert p.sum() == pytest.approx(1, abs=1e-12)
        assert (p >= 0).all()
        question = one.ask(context)
        assert question.probability == pytest.approx(p[question.arm], rel=1e-12)
        assert question.value == one.values[question.arm]
        one.tell(question, cost_of(question.value, step, context))


@pytest.mark.parametrize(("learner", "drift"), TUNERS)
@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e300])
def test_losses_of_any_size(learner, drift, scale):
    """All scales learn the same where no floor is taken off, and mixed ones stay finite."""
    one, rng = tuner(learner, drift, cost_floor=0.0, rng=3), np.random.default_rng(5)
    for step in range(200):
        question = one.ask(context_of(learner, step))
        one.tell(question, scale * rng.uniform(0.1, 1))
    assert np.isfinite(one.probabilities(context_of(learner, 1))).all()
    for cost in (0.0, 1e-300, 1e300, 1.0):
        one.tell(one.ask(context_of(learner, 2)), cost)
    p = one.probabilities(context_of(learner, 3))
    assert np.isfinite(p).all()
    assert p.sum() == pytest.approx(1, abs=1e-12)
    json.dumps(one.state_dict(), allow_nan=False)


@pytest.mark.parametrize(("learner", "drift"), TUNERS)
def test_a_saved_tuner_goes_on_to_the_same_bits(learner, drift):
    seed = 23
    first = tuner(learner, drift, rng=seed)
    play(first, learner, 0, 150)
    open_ones = [first.ask(context_of(learner, step)) for step in (1, 2, 3)]
    text = json.dumps(first.state_dict(), allow_nan=False)
    second = tuner(learner, drift, rng=seed + 1)
    second.load_state_dict(json.loads(text))
    third = pickle.loads(pickle.dumps(first))
    for one in (second, third):
        assert one.state_dict() == json.loads(text)
        assert [q.record() for q in one.pending()] == [q.record() for q in open_ones]
    runs = []
    for one in (first, second, third):
        for question in reversed(one.pending()):  # the last asked is told first
            one.tell(question, cost_of(question.value, question.token, question.context))
        runs.append((play(one, learner, 200, 350), one.state_dict()))
    assert runs[0] == runs[1] == runs[2]


@pytest.mark.parametrize(("learner", "drift"), TUNERS)
def test_wrong_answers_change_nothing(learner, drift):
    one = tuner(learner, drift)
    play(one, learner, 0, 40)
    other = tuner(learner, drift)
    question, foreign = one.ask(context_of(learner, 1)), other.ask(context_of(learner, 1))
    before = one.state_dict()
    for cost in (np.nan, np.inf, -np.inf, -1.0):
        with pytest.raises(ValueError, match="cost must be"):
            one.tell(question, cost)
    with pytest.raises(ValueError, match="not pending"):
        one.tell(foreign, 1.0)
    assert one.state_dict() == before
    one.tell(question, 30.0)
    before = one.state_dict()
    with pytest.raises(ValueError, match="not pending"):
        one.tell(question, 30.0)
    assert one.state_dict() == before


@pytest.mark.parametrize(("learner", "drift"), TUNERS)
def test_damaged_states_are_refused_whole(learner, drift):
    one = tuner(learner, drift)
    play(one, learner, 0, 60)
    one.ask(context_of(learner, 0))
    good = one.state_dict()

    def damaged(change):
        state = json.loads(json.dumps(good))
        change(state)
        return state

    def within(**parts):
        return lambda state: state["keys"][""].update(parts)

    record = good["keys"][""]["pending"][0]
    wrong = [
        lambda s: s.update(version=2), lambda s: s.update(values=s["values"][:-1]), lambda s: s.update(learner="other"),
        lambda s: s.pop("keys"), lambda s: s.pop("drift"), lambda s: s.update(seed=[1, 2, 3]), within(state=[1.0]),
        within(state=[np.nan] * len(good["keys"][""]["state"])), within(words=["0"] * 4), within(words=["x"] * 4),
        within(asked=-1), within(asked="3"), within(counts=None), within(pending=[[0, 99, *record[2:]]]),
        within(pending=[record[:-1]]), within(pending=[[good["keys"][""]["asked"], *record[1:]]]),
        within(pending=[[*record[:3], 0.0, *record[4:]]]), lambda s: s.update(settings=[9.0]),
    ]  # fmt: skip
    for change in wrong:
        with pytest.raises(ValueError, match="the state"):
            one.load_state_dict(damaged(change))
    assert one.state_dict() == good
    one.load_state_dict(good)
    assert one.state_dict() == good


@pytest.mark.parametrize(("learner", "drift"), TUNERS)
def test_the_best_arm_is_found(learner, drift, seed):
    one = tuner(learner, drift, omegas=np.linspace(1.1, 1.9, 9), rng=seed)
    play(one, learner, 0, 1000)
    context = 0.0 if learner in CONTEXTUAL else None
    assert one.best(context) in (1.4, 1.5, 1.6) or abs(one.best(context) - 1.5) < 0.11


@pytest.mark.parametrize("learner", [name for name in PLAIN if name != "gp-forgetting"])  # which explores for ever
def test_regret_of_two_arms(learner):
    """Costs 10 and 20, noise of 5: less than 10.8 on average over the last 500 of 3000, for every seed."""
    for seed in range(20):
        one, rng = ArmTuner(["good", "bad"], learner=learner, rng=seed), np.random.default_rng(seed)
        costs = []
        for noise in rng.uniform(-5, 5, 3000):
            question = one.ask()
            costs.append((10 if question.value == "good" else 20) + noise)
            one.tell(question, costs[-1])
        assert np.mean(costs[-500:]) < 10.8


@pytest.mark.parametrize(("learner", "drift"), TUNERS)
def test_one_arm(learner, drift):
    one = tuner(learner, drift, omegas=[1.3])
    for _ in range(20):
        question = one.ask(context_of(learner, 0))
        assert (question.value, question.arm) == (1.3, 0)
        assert question.probability == pytest.approx(1, abs=1e-12)
        one.tell(question, 17)


@pytest.mark.memory
def test_memory_does_not_grow():
    """The blocks that Python holds are the same after many questions, and the state has one size."""
    one = tuner("tsallis-dr")
    blocks, sizes = [], set()
    for _ in range(4):
        for _ in range(50_000):
            one.tell(one.ask(), 3.0)
        blocks.append(sys.getallocatedblocks())
        sizes.add(len(one.state_dict()["keys"][""]["state"]))
    assert abs(blocks[-1] - blocks[0]) < 1000  # of 150,000 answers; others in the process hold some
    assert len(sizes) == 1


def test_open_questions_are_dropped_beyond_a_limit():
    one = tuner("tsallis-dr")
    first = one.ask()
    for _ in range(3000):
        one.ask()
    assert len(one.pending()) == 1024
    assert one.pending()[-1].token - one.pending()[0].token == 1023
    with pytest.raises(ValueError, match="not pending"):
        one.tell(first, 1.0)


def test_the_same_seed_asks_the_same():
    runs = [play(tuner("tsallis-dr", rng=rng), "tsallis-dr", 0, 300) for rng in (5, 5, np.random.SeedSequence(5), 6)]
    assert runs[0] == runs[1] == runs[2] != runs[3]


def test_keys_learn_apart():
    one = OmegaTuner([1.0, 1.5, 1.9], rng=0)
    for _ in range(300):
        for key, good in (("velocity", 1.0), ("pressure", 1.9)):
            question = one.ask(key=key)
            assert question.key == key
            one.tell(question, 10 + 100 * abs(question.value - good))
    assert (one.best(key="velocity"), one.best(key="pressure")) == (1.0, 1.9)
    assert one.report("velocity")["told"] == 300
    again = OmegaTuner([1.0, 1.5, 1.9])
    again.load_state_dict(json.loads(json.dumps(one.state_dict())))
    assert again.ask(key="pressure").record() == one.ask(key="pressure").record()
    assert again.ask(key="new").record() == one.ask(key="new").record()  # seeded by the tuner's seed and the name


def test_a_report_adds_up():
    one = ArmTuner(["a", "b", "c"], rng=0)
    costs = {"a": 3.0, "b": 1.0, "c": 9.0}
    for _ in range(100):
        question = one.ask()
        one.tell(question, costs[question.value])
    one.ask()
    report = one.report()
    assert (report["asked"], report["told"], report["pending"]) == (101, 100, 1)
    assert report["mean_costs"] == pytest.approx(list(costs.values()))
    assert report["total_cost"] == pytest.approx(sum(one.value_counts()[name] * cost for name, cost in costs.items()))
    assert report["best"] == "b"
    assert "101 questions" in repr(one)


# ---- change over time ----------------------------------------------------------------------------


@pytest.mark.parametrize("drift", ["auto", "discount", "window", "reset"])
def test_a_change_is_followed(drift, seed):
    """The good arm becomes the bad one after 3000 steps: still costly for one that forgets nothing."""
    last = {}
    for kind in (None, drift):
        one = ArmTuner(["a", "b"], drift=kind, rng=seed)
        costs = []
        for step in range(6000):
            question = one.ask()
            costs.append(10.0 if (question.value == "a") == (step < 3000) else 20.0)
            one.tell(question, costs[-1])
        last[kind] = np.mean(costs[3000:4500])
    assert last[drift] < 16.5 < last[None]


def test_a_window_forgets_all_that_left_it():
    one = ArmTuner(["a", "b"], drift="window", options={"window": 50}, rng=1)
    for step in range(500):
        one.tell(one.ask(), 7.0 if step < 450 else 3.0)
    told, total, *_ = one.state_dict()["keys"][""]["state"][1:]
    unit = one.state_dict()["keys"][""]["state"][0]
    assert told == 50
    assert total * unit == pytest.approx(150)


# ---- ChebCB and the Gaussian process against dense formulas ------------------------------------------


def cheb_state(one, terms):
    """The compiled learner's unit, largest and least loss, and its arms' coefficients."""
    state = np.array(one.state_dict()["keys"][""]["state"])
    arms = state[6:].reshape(len(one.values), 2 + 2 * terms + terms**2)
    return state[0], state[2], state[3], arms[:, 2 : 2 + terms]


@pytest.mark.parametrize("smooth", [True, False])
def test_chebcb_against_a_refit_of_all_data(smooth, seed):
    terms, rng = 6, np.random.default_rng(seed)
    one = OmegaTuner([1.0, 1.5, 1.9], learner="chebcb", context=(2.0, 5.0), rng=seed)
    seen, bound_hits = {0: [], 1: [], 2: []}, 0
    for _ in range(400):
        context = rng.uniform(1.9, 5.2)
        question = one.ask(context)
        cost = 20 + 10 * question.arm + (5 * np.cos(context) if smooth else 30 * rng.uniform() ** 8)
        one.tell(question, cost)
        seen[question.arm].append((context, cost - 1))
    unit, largest, least, theta = cheb_state(one, terms)
    scale = 2 * largest + 4 * (largest - least) * (1 + np.log(terms))
    bound = np.array([largest, *(2 * (largest - least) / np.arange(1, terms))]) / scale
    for arm, data in seen.items():
        contexts, losses = np.array(data).T
        z = np.clip(2 * (contexts - 2) / 3 - 1, -1, 1)
        F, y = np.polynomial.chebyshev.chebvander(z, terms - 1), losses / unit / scale
        if len(data) < 12:
            continue
        free = np.linalg.lstsq(F, y)[0]
        bound_hits += (np.abs(free) > bound).any()
        wanted = free
        if (np.abs(free) > bound).any():
            wanted = scipy.optimize.lsq_linear(F, y, (-bound, bound), method="bvls", tol=1e-14).x
        np.testing.assert_allclose(theta[arm], wanted, rtol=1e-6, atol=1e-9)


def test_chebcb_within_bounds_that_bind(seed):
    """Few data, ill-conditioned: the minimiser's value is what is compared, since it may not be the only one."""
    terms, rng = 6, np.random.default_rng(seed)
    one = OmegaTuner([1.0, 1.9], learner="chebcb", context=(0.0, 1.0), rng=seed)
    seen, bound_hits = {0: [], 1: []}, 0
    for _ in range(60):
        context = 0.3 + 0.1 * rng.uniform()
        question = one.ask(context)
        cost = rng.uniform(10, 20)
        one.tell(question, cost)
        seen[question.arm].append((context, cost - 1))
        unit, largest, least, theta = cheb_state(one, terms)
        scale = 2 * largest + 4 * (largest - least) * (1 + np.log(terms))
        bound = np.array([largest, *(2 * (largest - least) / np.arange(1, terms))]) / scale + 1e-300
        contexts, losses = np.array(seen[question.arm]).T
        F, y = np.polynomial.chebyshev.chebvander(2 * contexts - 1, terms - 1), losses / unit / scale
        mine = theta[question.arm]
        assert (np.abs(mine) <= bound * (1 + 1e-12)).all() or largest == least
        bound_hits += np.isclose(np.abs(mine), bound).any()
        wanted = scipy.optimize.lsq_linear(F, y, (-bound, bound), method="bvls", tol=1e-14).x
        assert np.sum((F @ mine - y) ** 2) <= np.sum((F @ wanted - y) ** 2) * (1 + 1e-6) + 1e-9 * np.sum(y**2)
    assert bound_hits > 10


#: How far the sines over the context reach.
DOMAIN = 1.25


@pytest.mark.parametrize("context", [(-1.0, 3.0), None])
def test_the_gaussian_process_against_dense_formulas(context, seed):
    """The posterior of all data at once, by a Cholesky factor of the kernel's matrix."""
    rng, noise, caution = np.random.default_rng(seed), 0.2, 1.5
    options = {"noise": noise, "caution": caution, "epsilon": 0.5, "forget": 1.0}
    name = "gp" if context else "gp-forgetting"
    one = OmegaTuner(omega_grid(9), learner=name, context=context, options=options, rng=seed)
    scales, by_arm = gaussian_tables(np.linspace(0, 1, 9), 0.3, 0.15 if context else 0.0)

    def feature(arm, value):
        z = np.clip((value + 1) / 4, 0, 1) + (DOMAIN - 1) / 2
        by_context = np.r_[1, scales * np.sin(np.pi / DOMAIN * np.arange(1, scales.size + 1) * z)]
        return np.kron(by_arm[arm], by_context)

    rows, values = [], []
    for step in range(80):
        value = rng.uniform(-1.2, 3.2)
        if step % 10 == 0:
            p = one.probabilities(value if context else None)
            new = np.array([feature(arm, value) for arm in range(9)])
            mean, spread = np.zeros(9), np.sum(new**2, axis=1)
            if rows:
                F = np.array(rows)
                factor = scipy.linalg.cho_factor(F @ F.T + noise**2 * np.eye(len(F)))
                mean = new @ F.T @ scipy.linalg.cho_solve(factor, np.array(values) - values[0])
                spread -= np.sum((new @ F.T) * scipy.linalg.cho_solve(factor, F @ new.T).T, axis=1)
            score = mean - caution * np.sqrt(spread)
            close = np.sort(score)[1] - score.min() < 1e-9
            assert close or p[np.argmin(score)] == pytest.approx(0.5 + 0.5 / 9)
        question = one.ask(value if context else None)
        cost = np.exp(0.3 * question.arm + (value if context else 0) + 0.1 * rng.standard_normal())
        one.tell(question, cost)
        rows.append(feature(question.arm, value))
        values.append(np.log(cost))


def test_the_features_are_the_kernel():
    places, contexts = np.linspace(0, 1, 20), np.linspace(0, 1, 50)
    scales, features = gaussian_tables(places, 0.3, 0.15)
    wanted = 1 + np.exp(-0.5 * ((places[:, None] - places) / 0.3) ** 2)
    np.testing.assert_allclose(features @ features.T, wanted, atol=2e-5)
    angles = np.pi / DOMAIN * np.outer(contexts + (DOMAIN - 1) / 2, np.arange(1, scales.size + 1))
    sines = scales * np.sin(angles)
    wanted = np.exp(-0.5 * ((contexts[:, None] - contexts) / 0.15) ** 2)
    inside = (contexts > 0.2) & (contexts < 0.8)  # at the ends the domain's edge is near
    np.testing.assert_allclose((sines @ sines.T)[np.ix_(inside, inside)], wanted[np.ix_(inside, inside)], atol=2e-3)


# ---- what is asked for -----------------------------------------------------------------------------


@pytest.mark.parametrize("omegas", [[0.0, 1.0], [1.0, 2.0], [np.nan], [-1.0], [], [[1.0]], [1.0, 1.0], "best"])
def test_wrong_omegas(omegas):
    with pytest.raises(ValueError):
        OmegaTuner(omegas)


@pytest.mark.parametrize(
    "keywords",
    [
        {"learner": "sallis"}, {"learner": "chebcb"}, {"learner": "tsallis", "context": (0, 1)}, {"drift": "maybe"},
        {"learner": "tsallis", "drift": "auto"}, {"context": (1, 1)}, {"context": (0, np.inf)}, {"cost_floor": -1.0},
        {"options": {"widow": 10}}, {"options": {"discount": 2.0}}, {"context": (0, 1), "drift": "auto"},
    ],
)  # fmt: skip
def test_wrong_settings(keywords):
    with pytest.raises(ValueError):
        OmegaTuner(**keywords)


def test_wrong_arms():
    for names in ("ab", [], [1, 2], ["a", "a"]):
        with pytest.raises(ValueError):
            ArmTuner(names)
    with pytest.raises(ValueError, match="scale"):
        ArmTuner(["a", "b"], learner="gp", context=(0, 1))


def test_contexts_are_given_where_there_is_one():
    with pytest.raises(ValueError, match="context"):
        OmegaTuner().ask(0.5)
    one = OmegaTuner(context=(0, 1))
    with pytest.raises(ValueError, match="context"):
        one.ask()
    with pytest.raises(ValueError, match="finite"):
        one.ask(np.nan)
    with pytest.raises(TypeError):
        one.ask(0.5, key=3)


def test_the_default_grids():
    grid = np.array(OmegaTuner().values)
    assert (grid[0], grid[-1]) == (1, pytest.approx(1.98))
    np.testing.assert_allclose(np.diff(np.log(2 - grid)), np.log(0.02) / 19)
    np.testing.assert_array_equal(OmegaTuner("paper").values, np.linspace(1, 1.95, 20))
    for wrong in ({"low": 0.0}, {"high": 2.0}, {"low": 1.5, "high": 1.5}, {"count": 0}):
        with pytest.raises(ValueError):
            omega_grid(**wrong)


def test_every_learner_is_described():
    for learner in learners():
        assert learner.summary
        assert "arXiv" in learner.reference
        assert all(option.text for option in learner.options)
