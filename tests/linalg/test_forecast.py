"""The learner of a sequence: it finds the cheapest arm soon, at a small price, and follows what changes."""

import json

import numpy as np
import pytest

from solvers.linalg._forecast import Forecast, Outlook


def outlook(costs, setup=0.0, features=(1.0, 0.0)):
    """All estimates alike: the arms' costs are to be found out."""
    count = len(costs)
    return Outlook(
        np.full(count, setup), np.ones(count), np.zeros(count), np.ones(count), np.array(features, dtype=np.float64)
    )


def play(rule, costs, rounds, rng, features=lambda k: (1.0, 0.0)):
    """Total cost, with 5 % of noise, and the arms played; a trial is broken off at its limit."""
    total, arms = 0.0, []
    for k in range(rounds):
        now = costs(k)
        question = rule.ask(outlook(now, features=features(k)))
        cost = now[question.arm] * np.exp(0.05 * rng.normal())
        broken = cost > question.limit
        paid = min(cost, question.limit)
        rule.tell(question, None, paid, broken_off=broken)
        # a trial that is broken off is followed by the incumbent's solve
        total += paid + (now[question.best] if broken else 0.0)
        arms.append(question.arm)
    return total, np.array(arms)


def test_finds_the_best_of_many_at_a_small_price():
    """Twelve arms of which nothing is known: 1.09 of the best one's cost on average."""
    prices = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        costs = np.exp(rng.normal(0.0, 0.5, 12))
        rule = Forecast([(f"family {k}", 0.0) for k in range(12)], 2, 0.03)
        total, arms = play(rule, lambda k, costs=costs: costs, 300, rng)
        prices.append(total / (300 * costs.min()))
        assert costs[np.bincount(arms[-50:]).argmax()] <= 1.15 * costs.min()
    assert np.mean(prices) <= 1.12


def test_what_a_trial_takes_beside_its_solve_counts(seed):
    """Arms that are nearly alike: trials look free, but for the turn."""
    counts = []
    for turn in (0.0, 0.25):
        rng = np.random.default_rng(seed)
        costs = np.exp(rng.normal(0.0, 0.02, 12))
        rule = Forecast([(f"family {k}", 0.0) for k in range(12)], 2, 0.03, turn)
        trials = 0
        for _ in range(200):
            question = rule.ask(outlook(costs))
            trials += question.trial
            rule.tell(question, None, costs[question.arm] * np.exp(0.05 * rng.normal()))
        counts.append(trials)
    assert counts[1] * 0.25 <= 0.03 * rule.spent + 4 * 1.1
    assert counts[1] < counts[0]


def test_an_arm_is_not_held_to_what_cold_caches_took():
    """What a trial takes beside its arm's own cost is no news of the arm."""
    rules = [Forecast([("a", 0.0), ("b", 0.0)], 2, 0.03, turn) for turn in (0.2, 0.0)]
    for rule in rules:
        rule.tell(rule.ask(outlook(np.ones(2))), None, 1.0)
        question = rule.ask(outlook(np.ones(2)))
        assert question.trial
        rule.tell(question, None, 1.0 + min(rule.turn, question.incumbent / 4))
    np.testing.assert_allclose(rules[0].mean, rules[1].mean, rtol=1e-12)


def test_a_trial_that_is_broken_off_is_charged_with_what_came_after():
    rule = Forecast([("a", 0.0), ("b", 0.0)], 2, 0.03)
    rule.tell(rule.ask(outlook(np.ones(2))), None, 1.0)
    question = rule.ask(outlook(np.ones(2)))
    assert question.trial
    rule.tell(question, None, question.limit, broken_off=True, rescue=0.9)
    assert rule.excess == pytest.approx(question.limit + 0.9 - question.incumbent)
    assert rule.spent == pytest.approx(1.0 + question.limit + 0.9)


@pytest.mark.parametrize(("estimate", "tried"), [(1.4, True), (1.6, False)])
def test_what_would_be_broken_off_must_be_worth_all_of_it(estimate, tried):
    """The solve that is broken off at 1.5 is in vain; one that goes through costs what it takes longer."""
    rule = Forecast([("a", 0.0), ("b", 0.0)], 2, 0.03)
    known = outlook(np.ones(2))
    known.solve[1] = np.inf
    rule.tell(rule.ask(known), None, 1.0)
    known.solve[1] = estimate
    rule.mean[:] = 0.0
    rule.excess = 0.8  # there is 0.7 left, or a little more
    assert rule.ask(known).trial == tried


def test_follows_a_change_of_which_is_best(seed):
    rng = np.random.default_rng(seed)
    rule = Forecast([("a", 0.0), ("b", 0.0)], 2, 0.05)
    _, arms = play(rule, lambda k: np.array([1.0, 1.2] if k < 100 else [1.5, 1.2]), 400, rng)
    assert np.mean(arms[50:100] == 0) > 0.8
    assert np.mean(arms[-100:] == 1) > 0.8


def test_learns_what_a_feature_does(seed):
    """The first arm is best where the feature is small, the second where it is large."""
    rng = np.random.default_rng(seed)
    rule = Forecast([("a", 0.0), ("b", 0.0)], 2, 0.05)
    feature = [float(np.sin(k / 9)) for k in range(400)]
    total, _ = play(rule, lambda k: np.exp([feature[k], -feature[k]]), 400, rng, features=lambda k: (1.0, feature[k]))
    best = np.exp(-np.abs(feature)).sum()
    assert total <= 1.1 * best


def test_trials_stay_in_their_budget(seed):
    rng = np.random.default_rng(seed)
    rule = Forecast([(f"family {k}", 0.0) for k in range(20)], 2, 0.03)
    costs = np.r_[1.0, np.full(19, 4.0)]
    play(rule, lambda k: costs, 500, rng)
    assert rule.excess <= 0.03 * rule.spent + 4 * 4.0 + 12.0
    still = Forecast([("a", 0.0), ("b", 0.0)], 2, 0.0)
    _, arms = play(still, lambda k: np.array([1.0, 0.5]), 50, rng)
    assert len(set(arms)) == 1


def test_set_ups_are_spread_over_their_life():
    """A set-up of 10 for a gain of 0.5 a solve pays where it lasts 100 solves, not where it lasts 10."""
    for lifetime, expected in ((100.0, 1), (10.0, 0)):
        rule, age = Forecast([("a", 0.0), ("b", 0.0)], 2, 0.05), np.inf
        counts = np.zeros(2, dtype=int)
        for _ in range(600):
            due = np.array([0.0, float(age >= lifetime)])
            known = Outlook(
                np.array([0.0, 10.0]), np.array([1.0, 0.5]), due, np.array([1.0, lifetime]), np.array([1.0, 0.0])
            )
            question = rule.ask(known)
            counts[question.arm] += 1
            if question.arm:
                age = 1 if due[1] else age + 1
                rule.tell(question, 10.0 if due[1] else None, 0.5)
            else:
                rule.tell(question, None, 1.0)
        assert counts.argmax() == expected


def test_an_arm_that_does_not_serve_is_never_played():
    rule = Forecast([("a", 0.0), ("a", 1.0), ("b", 0.0)], 2, 1.0)
    for _ in range(100):
        known = outlook(np.ones(3))
        known.setup[1] = known.solve[1] = np.inf
        question = rule.ask(known)
        assert question.arm != 1
        rule.tell(question, None, 1.0)


def test_goes_on_from_its_state_to_the_same_choices(seed):
    rng = np.random.default_rng(seed)
    families = [("a", 0.3 * k) for k in range(6)]
    costs = np.exp(rng.normal(size=6))
    one, other = Forecast(families, 2, 0.03), Forecast(families, 2, 0.03)
    play(one, lambda k: costs, 37, rng)
    other.load_state_dict(json.loads(json.dumps(one.state_dict())))
    first = play(one, lambda k: costs, 60, np.random.default_rng(1))
    second = play(other, lambda k: costs, 60, np.random.default_rng(1))
    assert first[0] == second[0]
    np.testing.assert_array_equal(first[1], second[1])
    with pytest.raises(ValueError, match="other arms"):
        Forecast([("a", 0.0)], 2, 0.03).load_state_dict(one.state_dict())


def test_what_cannot_be_told():
    rule = Forecast([("a", 0.0), ("b", 0.0)], 2, 0.03)
    question = rule.ask(outlook(np.ones(2)))
    for cost in (np.nan, np.inf, -1.0):
        with pytest.raises(ValueError, match="finite"):
            rule.tell(question, None, cost)
    rule.tell(question, None, 1.0)
    with pytest.raises(ValueError, match="once"):
        rule.tell(question, None, 1.0)
    dropped = rule.ask(outlook(np.ones(2)))
    rule.ask(outlook(np.ones(2)))
    with pytest.raises(ValueError, match="last"):
        rule.tell(dropped, None, 1.0)
    assert np.isfinite(rule.mean).all()


def test_extreme_costs_stay_finite():
    rule = Forecast([("a", 0.0), ("b", 0.0)], 2, 0.03)
    for k in range(200):
        question = rule.ask(outlook(np.ones(2)))
        rule.tell(question, None, 10.0 ** (-300 + 3 * k))
        assert np.isfinite(rule.mean).all()
        assert (np.diag(rule.covariance) > 0).all()
