"""What ranks agree on, and how they end."""

import sys
from pathlib import Path

import pytest

RANKS = (1, 2, 4)


@pytest.mark.parametrize("ranks", RANKS)
def test_all_ranks_play_the_same_omegas(facts, ranks):
    for name in ("pc", "ksp", "given"):
        plays = [rank["tuned"][name]["played"] for rank in facts[ranks]]
        assert all(play == plays[0] for play in plays)
        assert facts[ranks][0]["tuned"][name]["told"] == [12, 0]
        assert len({omega for omega, _ in plays[0]}) > 1


def test_the_tuner_of_a_preconditioner_is_that_of_a_solver(facts):
    """Both are told the same counts, so they play the same."""
    for ranks in RANKS:
        tuned = facts[ranks][0]["tuned"]
        assert tuned["pc"]["played"] == tuned["ksp"]["played"]


@pytest.mark.parametrize("ranks", RANKS)
def test_tuners_that_differ_are_seen(facts, ranks):
    words = {rank["disagreement"] for rank in facts[ranks]}
    assert len(words) == 1
    assert words.pop().startswith("the ranks differ in the omega of their tuners" if ranks > 1 else "")


@pytest.mark.parametrize("ranks", RANKS)
def test_what_one_rank_refuses_all_refuse(facts, ranks):
    last = ranks - 1
    for rank, found in enumerate(each["refusals"] for each in facts[ranks]):
        other = "" if rank == last else f"RuntimeError: rank {last}: "
        assert found["zero"].startswith(other + "ValueError: A must have a nonzero"), found["zero"]
        assert found["zero, multilevel"].startswith(other + "ValueError: A must have a positive diagonal")
        assert found["together"] == other + "ValueError: as it must"
        assert found["no grid"].startswith("ValueError: a matrix made by a DMDA is needed")
        assert "omega must lie between 0 and 2, not 2.5" in found["omega 2.5"]
        assert "must be a number or one of auto, young, tuned" in found["omega optimal"]
        assert "pc_solvers_sweeps must be >= 1" in found["sweeps 0"]
        differ = f"DisagreementError: the ranks differ in their number: {[float(r) for r in range(ranks)]}"
        assert found["agreed"] == (differ if ranks > 1 else "")


@pytest.mark.parametrize(("ranks", "where"), [(1, "inside"), (2, "outside"), (2, "inside"), (4, "inside")])
def test_a_rank_that_raises_ends_all(run_ranks, ranks, where):
    ended = run_ranks(ranks, sys.executable, Path(__file__).with_name("raising.py"), where, limit=30.0)
    assert ended.returncode != 0
    assert "ValueError: not on this rank" in ended.stderr
    if ranks > 1:
        assert f"rank {ranks - 1} failed:" in ended.stderr
    assert "went on" not in ended.stdout
