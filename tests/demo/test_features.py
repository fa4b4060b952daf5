"""The demo's sparse logistic fits: their judge, and the row."""

import numpy as np
import pytest

from solvers.demo.progress import Progress
from solvers.demo.rows import features


@pytest.fixture
def fit():
    rng = np.random.default_rng(7)
    X = np.asfortranarray(rng.normal(size=(60, 9)))
    return features.Fit(X, np.where(X[:, 0] + rng.normal(size=60) > 0, 1.0, -1.0))


def test_the_objective_and_its_bound(fit):
    w = np.arange(9.0)
    terms = [np.log(1 + np.exp(-y * (x @ w))) for x, y in zip(fit.X, fit.y, strict=True)]
    assert fit.objective(w) == pytest.approx(sum(terms) + fit.lam * 36, rel=1e-14)
    assert fit.objective(0 * w) == pytest.approx(fit.at_zero, rel=1e-14)
    best = features.solve_ours(fit, 1e-14, 1)
    assert 0 <= fit.gap(best) + 1e-13 <= 1e-11
    for step in np.random.default_rng(3).normal(size=(20, 9)):
        assert fit.gap(best + step) >= fit.objective(best + step) - fit.objective(best) > 0
    # scikit-learn's C and ours mean the same problem
    assert fit.objective(features.solve_peer(fit, 1e-9)) == pytest.approx(fit.objective(best), rel=1e-9)


def test_a_tolerance_is_as_loose_as_it_may_be(fit):
    least = fit.objective(features.solve_ours(fit, 1e-14, 1))
    side = features.Side("peer", features.solve_peer)
    side.choose([fit], [least])
    (chosen,) = side.chosen
    assert side.errors[0] <= features.GOAL
    looser = fit.objective(features.solve_peer(fit, 10 * chosen))
    assert (looser - least) / fit.at_zero > features.GOAL
    curve = side.curve(fit, least)
    assert curve.errors[-1] <= features.GOAL < curve.errors[:-1].min()


@pytest.mark.parametrize("spoilt", ["", "ours", "peer"])
def test_the_row(monkeypatch, fit, spoilt):
    monkeypatch.setattr(features, "REPEATS", 1)
    monkeypatch.setattr(features, "TOLERANCES", (1e-4, 1e-8))
    if spoilt:
        solver = getattr(features, f"solve_{spoilt}")
        monkeypatch.setattr(features, f"solve_{spoilt}", lambda *given: 1.001 * solver(*given))
    made = features.run(Progress(1), 1)
    assert (made.status == "ok") == (not spoilt)
    if not spoilt:
        assert (made.accuracy, made.peer_accuracy) == (features.GOAL, features.GOAL)
    assert [picture.name for picture in made.pictures] == ["pixels", "tumour"]
    assert made.size == "11 fits"
