"""The paper's problems, and what its figures claim, on smaller instances."""

import numpy as np
import pytest
import scipy.sparse.linalg

SMALL = {"n": 200, "d": 2000}
SEEDS = (0, 23)


@pytest.fixture
def after(bench):
    """after(f, rules, ...): the objective after so many updates."""
    paper = bench("bcd_paper")

    def call(f, updates=150, **settings):
        size, blocks, penalty = (settings.pop(name, None) for name in ("size", "blocks", "penalty"))
        curve = paper.Curve("", "", "", f, settings, size, blocks, penalty)
        return np.array(paper.run(curve, updates))

    return call


def test_the_problems_are_as_defined(bench):
    problems = bench("bcd_problems")
    f = problems.least_squares(seed=3, **SMALL)
    rng = np.random.default_rng(3)
    X = rng.standard_normal((200, 2000)) + 1
    X *= 10 * rng.standard_normal(2000)
    X *= rng.random((200, 2000)) < 10 * np.log(200) / 200
    np.testing.assert_array_equal(f.X.toarray(), X)
    graph = problems.lattice(6, 5, 2.0, seed=3)
    assert graph.Q.shape == (31, 31)
    assert sorted(np.concatenate(graph.partitions["comb"])) == list(range(31))
    x = scipy.sparse.linalg.spsolve(graph.Q.tocsc(), graph.c)
    # each value is the mean of its neighbours: none lies beyond the labels
    rng = np.random.default_rng(3)
    rng.permutation(36)
    labels = 10 * rng.standard_normal(5)
    assert labels.min() <= x.min() <= x.max() <= labels.max()
    moons = problems.moons(200, 10)
    assert moons.Q.shape == (190, 190)
    assert np.linalg.eigvalsh(moons.Q.toarray())[0] > 0
    assert abs(moons.Q - moons.Q.T).max() == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_greedy_rules_beat_those_that_are_drawn(bench, after, seed):
    f = bench("bcd_problems").least_squares(seed=seed, **SMALL)
    ends = {rule: after(f, 200, partition="sort", selection=rule, update="lb", size=5)[-1]
            for rule in ("random", "cyclic", "perm", "gs", "gsl")}  # fmt: skip
    assert max(ends["gs"], ends["gsl"]) < min(ends["random"], ends["cyclic"], ends["perm"])
    assert ends["gsl"] < ends["gs"]


@pytest.mark.parametrize("seed", SEEDS)
def test_variable_blocks_beat_fixed_ones_and_matrices_beat_bounds(bench, after, seed):
    f = bench("bcd_problems").least_squares(seed=seed, **SMALL)
    gaps = []
    for size in (5, 25):
        ends = {(p, u): after(f, 60, partition=p, selection="gsd", update=u, size=size)[-1]
                for p in ("sort", "variable") for u in ("lb", "matrix")}  # fmt: skip
        assert ends["variable", "lb"] < ends["sort", "lb"]
        assert ends["variable", "matrix"] < ends["sort", "matrix"]
        assert ends["variable", "matrix"] < ends["variable", "lb"]
        assert ends["sort", "matrix"] < ends["sort", "lb"]
        gaps.append(ends["variable", "lb"] / ends["variable", "matrix"])
    assert gaps[1] > gaps[0]


@pytest.mark.parametrize("seed", SEEDS)
def test_sorted_blocks_are_the_best_of_the_fixed_ones(bench, after, seed):
    f = bench("bcd_problems").least_squares(seed=seed, **SMALL)
    for rule in ("gs", "gsl"):
        ends = [after(f, 150, partition=p, selection=rule, update="lb", size=5)[-1] for p in ("sort", "avg", "order")]
        assert ends[0] < min(ends[1:])


@pytest.mark.parametrize("seed", SEEDS)
def test_exact_scores_are_no_worse_and_matrices_gain_with_the_block(bench, after, seed):
    f = bench("bcd_problems").least_squares(seed=seed, **SMALL)
    ends = {rule: after(f, 60, partition="sort", selection=rule, update="matrix", size=10)[-1]
            for rule in ("gsq", "gsd", "gsl", "gs", "random")}  # fmt: skip
    assert ends["gsq"] <= 1.5 * min(ends["gsd"], ends["gsl"])
    assert max(ends["gsq"], ends["gsl"], ends["gsd"]) < ends["gs"] < ends["random"]


@pytest.mark.parametrize("seed", SEEDS)
def test_forests_beat_colours_on_moons(bench, seed):
    problems, paper = bench("bcd_problems"), bench("bcd_paper")
    ends = {curve.name: paper.run(curve, 40)[-1] - curve.least
            for curve in paper._trees("E", problems.moons(600, 30, seed=seed))}  # fmt: skip
    assert ends["greedy forest"] < ends["forest by constants"] < ends["red-black"] < ends["general"]


@pytest.mark.parametrize("seed", SEEDS)
def test_forests_beat_colours(bench, after, seed):
    problems, paper = bench("bcd_problems"), bench("bcd_paper")
    graph = problems.lattice(24, 24, seed=seed)
    ends = {}
    for curve in paper._trees("D", graph):
        ends[curve.name] = paper.run(curve, 60)[-1] - curve.least
    assert ends["greedy forest"] <= ends["comb"] < ends["random forest"] < ends["red-black"] < ends["general"]


@pytest.mark.parametrize("seed", SEEDS)
def test_two_metric_and_exact_steps_end_at_rounding(bench, after, seed):
    """With l1 and w >= 0, once the support has settled; steps by bounds do not."""
    f = bench("bcd_problems").least_squares(seed=seed, **SMALL)
    penalty = {"l1": 1e4, "nonneg": True}
    ends = {update: after(f, 400, partition="variable", selection="gsd", update=update, size=50, penalty=penalty)
            for update in ("exact", "two_metric", "lb")}  # fmt: skip
    least = min(values[-1] for values in ends.values())
    for update in ("exact", "two_metric"):
        assert ends[update][-1] - least <= 1e-13 * abs(least)
    assert ends["lb"][-1] - least > 1e-9 * abs(least)


@pytest.mark.parametrize("problem", ["logistic", "multinomial"])
def test_newton_steps_descend_on_models(bench, after, problem):
    problems = bench("bcd_problems")
    f = problems.logistic(seed=5, **SMALL) if problem == "logistic" else problems.multinomial(80, 40, 5, seed=5)
    greedy = after(f, 60, partition="variable", selection="gsd", update="newton", size=10)
    drawn = after(f, 60, partition="sort", selection="random", update="newton", size=10)
    bounded = after(f, 60, partition="variable", selection="gsd", update="lb", size=10)
    assert (np.diff(greedy) <= 1e-12 * greedy[0]).all()
    assert greedy[-1] < drawn[-1]
    assert greedy[-1] < bounded[-1]


def test_the_report_runs(command, tmp_path):
    assert command.main(["bcd-paper", "--quick", "--out", str(tmp_path)]) == 0
    text = (tmp_path / "bcd-paper.md").read_text()
    assert "QUICK RUN" in text
    assert {f"bcd-paper-figure-{k}.png" for k in ("4-8", "5-11", "6", "7-13", "9", "10", "12")} <= {
        path.name for path in tmp_path.iterdir()
    }


def test_the_report_of_label_propagation_runs(command, tmp_path):
    assert command.main(["bcd-lattice", "--quick", "--out", str(tmp_path)]) == 0
    text = (tmp_path / "bcd-lattice.md").read_text()
    for name in ("ours, comb", "pyamg", "SciPy spsolve", "scikit-learn"):
        assert name in text
