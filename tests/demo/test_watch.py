"""The demo's game of a guard and a thief: its matrix, its judge, and the row."""

import numpy as np
import pytest

from solvers.demo.progress import Progress
from solvers.demo.rows import watch


def test_the_game():
    wealth = np.array([[1.0, 2.0], [3.0, 4.0]])
    A = watch.game(wealth)
    assert A[0, 0] == A[3, 3] == 0
    assert A[3, 0] == pytest.approx(4 * (1 - np.exp(-watch.REACH * np.sqrt(2))))
    assert A[1, 0] == pytest.approx(2 * (1 - np.exp(-watch.REACH)))
    light = np.zeros((watch.DOWN * 3, watch.ACROSS * 2, 3))
    light[:3, 2:4] = 0.5
    assert watch.squares(light)[0, 1] == pytest.approx(0.25)
    assert watch.squares(light).sum() == pytest.approx(0.25)


def test_the_judge_and_both_solvers():
    A = watch.game(np.random.default_rng(7).random((5, 6)))
    even = np.ones(30)
    assert watch.gap(A, even, even) == pytest.approx((A.mean(axis=1)).max() - (A.mean(axis=0)).min())
    for x, y in (watch.solve_ours(A, 1e-9, 1), watch.solve_peer(A, "highs-ds")):
        assert -1e-12 <= watch.gap(A, x, y) <= 1e-9


@pytest.mark.parametrize("spoilt", ["", "ours", "peer"])
def test_the_row(monkeypatch, spoilt):
    monkeypatch.setattr(watch, "DOWN", 6)
    monkeypatch.setattr(watch, "ACROSS", 9)
    monkeypatch.setattr(watch, "REPEATS", 1)
    if spoilt:
        solver = getattr(watch, f"solve_{spoilt}")

        def off(A, **given):
            x, y = solver(A, **given)
            return x + 1e-3, y

        monkeypatch.setattr(watch, f"solve_{spoilt}", off)
    made = watch.run(Progress(1), 1)
    assert (made.status == "ok") == (not spoilt)
    assert made.size == "54 x 54"
    assert [picture.name for picture in made.pictures] == ["town", "guard", "thief"]
    assert len(made.curves) == 3
    if not spoilt:
        assert (made.accuracy, made.peer_accuracy) == (watch.GOAL, watch.GOAL)
