"""The benchmarks' own honesty: ratios, losses in the tables, a judge that is not fooled; and a smoke of each.

No speed is asserted anywhere.
"""

import csv
import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

import solvers

# ---- timing and reports ------------------------------------------------------------------------


def test_ratio_is_above_one_where_we_are_faster(bench):
    harness = bench("harness")
    ours, peer = harness.Timing((1.0, 2.0, 9.0)), harness.Timing((4.0, 4.0, 4.0))
    assert harness.ratio(peer, ours) == 2.0
    assert harness.ratio(ours, peer) == 0.5


def test_each_round_calls_all_in_another_order(bench):
    order = []
    seen = {}
    calls = {name: lambda name=name: order.append(name) or name for name in "abc"}
    times = bench("harness").interleave(calls, rounds=20, inspect=seen.__setitem__)
    rounds = ["".join(order[k : k + 3]) for k in range(0, len(order), 3)]
    assert rounds[0] == "abc"
    assert len(rounds) == 21
    assert len(set(rounds[1:])) == 6  # all orders of three
    assert seen == {"a": "a", "b": "b", "c": "c"}
    assert {timing.rounds for timing in times.values()} == {20}


def test_a_long_call_is_timed_once(bench):
    order = []
    calls = {"long": lambda: order.append("long"), "short": lambda: order.append("short")}
    times = bench("harness").interleave(calls, rounds=2, budget=5.0, known={"long": 60.0})
    assert order == ["short", "short", "short"]
    assert times["long"].seconds == (60.0,)
    assert times["short"].rounds == 2
    assert "(1x)" in str(times["long"])


def test_threads_are_forced_equal(bench):
    with bench("harness").threads(1):
        assert solvers.show_config()["threads"] == 1


def test_a_loss_is_shown(bench, tmp_path):
    report, harness = bench("report"), bench("harness")
    ours, peer = harness.Timing((2.0, 2.0)), harness.Timing((1.0, 1.0))
    result = report.Report("name", "Title", ["header"])
    result.table("Cells").rows.append({"ours": ours, "ratio": report.speed(harness.ratio(peer, ours))})
    result.targets += [report.Target("speed", ">=", 1.5, 0.5), report.Target("other", "<=", 2.0, None)]
    result.write(tmp_path)
    text = (tmp_path / "name.md").read_text(encoding="utf-8")
    assert "0.5x SLOWER" in text
    assert "MISSED" in text
    assert "not measured" in text
    assert "header" in text
    with open(tmp_path / "name.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["table"] for row in rows] == ["Cells", "Targets", "Targets"]
    assert float(rows[0]["ours median s"]) == 2.0


def test_a_curve_has_one_colour_and_one_line_of_the_legend(bench):
    pyplot, report = pytest.importorskip("matplotlib.pyplot"), bench("report")
    lines = report.Lines("times", "Seconds", ("size", "seconds"))
    for panel, curves in (("one", ("ours", "special", "peer")), ("two", ("ours", "peer"))):
        for curve in curves:
            lines.add(panel, curve, 1.0, 2.0)
    figure = report._lines(pyplot, lines)
    first, second = ({line.get_label(): line.get_color() for line in axes.lines} for axes in figure.axes)
    assert second == {curve: first[curve] for curve in ("ours", "peer")}
    assert [text.get_text() for text in figure.axes[-1].get_legend().get_texts()] == ["ours", "special", "peer"]
    pyplot.close(figure)


def test_targets_are_judged_on_the_right_side(bench):
    target = bench("report").Target
    assert target("a", ">=", 1.5, 1.5).met
    assert not target("a", ">=", 1.5, 1.4).met
    assert target("a", "<=", 1.5, 1.4).met
    assert not target("a", "<=", 1.5, 1.6).met
    assert not target("a", "<=", 1.5, None).met


# ---- the judge ---------------------------------------------------------------------------------


@pytest.fixture
def solved(bench):
    problem, reg = bench("problems").assignment(50, seed=23), 1 / 50
    plan = solvers.ot.solve(problem.cost, problem.a, problem.b, reg=reg, tol=1e-12).plan.dense()
    return problem, reg, plan


def test_the_judge_passes_the_plan(bench, solved):
    problem, reg, plan = solved
    assert bench("check").plan_error(plan, problem, reg) <= 1e-12


def test_the_judge_sees_wrong_marginals(bench, solved):
    problem, reg, plan = solved
    assert bench("check").plan_error(1.001 * plan, problem, reg) == pytest.approx(2e-3, rel=1e-9)


@pytest.mark.parametrize("wrong", ["independent", "other reg", "negative", "nan", "sparse", "shape"])
def test_the_judge_refuses_what_is_no_entropic_plan(bench, solved, wrong):
    problem, reg, plan = solved
    plan = {
        "independent": lambda: np.outer(problem.a, problem.b),  # perfect marginals
        "other reg": lambda: solvers.ot.solve(problem.cost, reg=2 * reg, tol=1e-12).plan.dense(),
        "negative": lambda: plan - 1e-3 * plan.max(),
        "nan": lambda: np.where(plan == plan.max(), np.nan, plan),
        "sparse": lambda: np.eye(problem.size) / problem.size,
        "shape": lambda: plan[:-1],
    }[wrong]()
    assert bench("check").plan_error(plan, problem, reg) == np.inf


def test_the_judge_weighs_sparse_plans_by_their_cycles(bench):
    check, problem, reg = bench("check"), bench("problems").assignment(100, seed=23), 1 / 10_000
    plan = solvers.ot.solve(problem.cost, reg=reg, tol=1e-6).plan.dense()
    assert check.form_error(plan, problem.cost, reg) == np.inf  # no quadruple left
    assert check.cycle_error(plan, problem.cost, reg) < 1e-9
    wrong = np.array(plan)
    wrong[plan > 1e-3 / problem.size] *= 1.001
    assert check.cycle_error(wrong, problem.cost, reg) > 1e-4
    plan[3] = 0  # a row that a solver lost is for the marginals to tell
    assert check.cycle_error(plan, problem.cost, reg) < 1e-9
    assert check.plan_error(plan, problem, reg) > 0.5 / problem.size


def test_ulp_counts_spacings(bench):
    check = bench("check")
    x = np.array([[0.0, -1.0, -700.0, 3.0]])
    exact = check.exact_rows(x)
    right = np.array([[float(value) for value in exact["softmax"][0]]])
    assert check.ulp_exact(right, exact["softmax"]) <= 0.5
    wrong = right.copy()
    wrong[0, 1] += 3 * np.spacing(wrong[0, 1])
    assert 2.5 <= check.ulp_exact(wrong, exact["softmax"]) <= 3.5
    assert check.ulp_exact(np.full((1, 4), np.nan), exact["softmax"]) == np.inf


def test_the_long_reference_agrees_with_mpmath(bench):
    check = bench("check")
    x = bench("problems").exponents("normal*10", (50,), "float32")
    exact, places = check.exact_rows(x[None]), np.arange(50)
    for function in ("softmax", "log_softmax", "logsumexp"):
        mine = check.LongReference(x).exact(function, places)
        np.testing.assert_allclose(
            mine.astype(float), [float(value) for value in exact[function][0]], rtol=1e-14, atol=1e-17
        )


# ---- the peers ---------------------------------------------------------------------------------


@pytest.fixture
def pot(bench):
    """POT in a process of its own."""
    worker = bench("ot_worker").Worker("POT")
    yield worker
    worker.stop()


def test_a_peer_is_stopped_at_the_level_and_not_long_after(bench, pot):
    match, cell = bench("ot_match"), bench("ot_cells").named("B3:cloud-n60-d3/20@1e-06")
    found = match.all_methods(pot, cell, 120, cap=5.0)
    best = match.best(found)
    assert best.reached
    assert best.run.error <= cell.level
    assert pot.run(cell.name, "sinkhorn", 0.0, 11, 10.0).error > cell.level  # one check of POT's before
    assert {m.method for m in found} == {m.name for m in bench("peers_ot").Pot.methods if not m.fallback}


def test_a_peer_that_does_not_arrive_is_marked(bench, pot):
    match, cell = bench("ot_match"), bench("ot_cells").named("B2:digits-3,7-l2-10/100")
    (method,) = (m for m in bench("peers_ot").Pot.methods if m.name == "sinkhorn_log")
    late = match.one_method(pot, cell, method, 200, cap=1e-6)
    assert not late.reached
    assert late.verdict == "> 1e-06 s"
    short = match.Match("POT", method.name, pot.run(cell.name, method.name, 0.0, 21, 30.0), False, cap=30.0)
    assert short.run.error > cell.level
    assert short.verdict.startswith("NOT REACHED")


def test_a_run_that_takes_too_long_is_killed_and_the_next_one_runs(bench, pot):
    name = "B2:digits-3,7-l2-10/100"
    assert pot.run(name, "sinkhorn", 0.0, 10**7, 0.05).failure == "killed"
    assert pot.run(name, "sinkhorn", 0.0, 21, 10.0).iterations == 21


def test_what_a_peer_raises_is_a_failure(bench, pot):
    assert "ValueError" in pot.run("B1:random-n60-s0/20", "no such method", 0.0, 21, 10.0).failure


def test_the_first_iteration_that_suffices_is_found(bench):
    match, worker, cell = bench("ot_match"), bench("ot_worker"), bench("ot_cells").quick()[0]
    errors = [10.0**-k for k in range(20)]  # the judge sees ten times what the peer reports

    class Peer:
        grace = 0.0

        def run(self, cell, method, tolerance, limit, seconds):
            return worker.Run(1.0, 1.0, 10 * errors[limit], limit, errors[: limit + 1])

    found = match.Match("peer", "method", Peer().run(cell.name, "method", 0.0, 14, 9.0), True)
    assert match.first_iteration(Peer(), cell, found).run.iterations == 10


def test_petsc_runs_under_the_mpiexec_beside_its_python(bench, tmp_path, monkeypatch):
    """Another Open MPI may come first on the path: its processes would not find one another."""
    petsc = bench("grid_petsc")
    for folder in ("first", "system"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mpiexec").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "first"))
    ran = []

    def failing(command, **_):
        ran.append(command)
        raise subprocess.CalledProcessError(1, command, stderr=b"no")

    monkeypatch.setattr(petsc.subprocess, "run", failing)
    for folder, expected in (("system", "system"), ("nowhere", "first")):
        monkeypatch.setattr(petsc, "interpreter", lambda folder=folder: (str(tmp_path / folder / "python3"), ""))
        answers, note = petsc.solve(scipy.sparse.eye_array(3, format="csr"), np.ones(3), 1e-6, 1, 2)
        assert not answers
        assert note == "PETSc failed: no"
        assert ran[-1][:4] == [str(tmp_path / expected / "mpiexec"), "-n", "2", str(tmp_path / folder / "python3")]


# ---- every command, tiny -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["softmax", "ot", "ot-paper", "ot-exact", "sor-learning", "grid-learned", "dcdm", "library"]
)
def test_smoke(command, bench, name, tmp_path, monkeypatch, capsys):
    harness = bench("harness")
    monkeypatch.setattr(harness, "peer", lambda _: None)  # as where torch is not installed
    peers = bench("peers_ot")
    absent = {key: type(key, (kind,), {"package": "no_such_package_here"}) for key, kind in peers.PEERS.items()}
    for key in ("ours", "POT"):
        del absent[key]
    for key, kind in absent.items():
        monkeypatch.setitem(peers.PEERS, key, kind)
    assert command.main([name, "--quick", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "QUICK RUN" in printed
    assert "### Targets" in printed
    text = (tmp_path / f"{name}.md").read_text(encoding="utf-8")
    assert text == printed.removesuffix("\n")
    with open(tmp_path / f"{name}.csv", newline="", encoding="utf-8") as file:
        assert {"table", "figure", "target", "verdict"} <= set(next(csv.DictReader(file)))
    if name == "ot":
        assert "regot is not installed" in text
        assert (tmp_path / "ot-profile.png").exists()
    if name == "softmax":
        for peer in ("torch", "onnxruntime", "jax"):
            assert f"{peer} is not installed" in text
        assert "not measured" in text
        with open(tmp_path / "softmax-timings.csv", newline="", encoding="utf-8") as file:
            timed = list(csv.DictReader(file))
        assert {row["benchmark"] for row in timed} == {"methods", "cells", "lengths", "calls", "threads"}
        assert all(float(row["min_ns"]) <= float(row["median_ns"]) for row in timed)


def test_problems_are_balanced_and_scaled(bench):
    problems = bench("problems")
    fields = problems.random_fields("l1", 1.5, side=8)
    np.testing.assert_allclose(fields.cost[0, -1], 1.0)  # from corner to corner
    for problem in (fields, problems.digits("l2", side=8), problems.colour_cloud(20)):
        assert problem.cost.min() >= 0
        assert problem.cost.max() == pytest.approx(1.0)
        assert problem.a.min() > 0
        assert problem.a.sum() == pytest.approx(1.0)
        assert problem.b.sum() == pytest.approx(1.0)
    smooth, rough = (problems.random_fields("l2", decay, side=16).a.reshape(16, 16) for decay in (2.5, 0.5))
    assert np.abs(np.diff(np.log(smooth), axis=0)).mean() < np.abs(np.diff(np.log(rough), axis=0)).mean()


def test_cells_are_chosen_by_parts_of_their_names(bench):
    cells = bench("ot_cells")
    everything = cells.cells()
    assert len({cell.name for cell in everything}) == len(everything) >= 60
    assert {cell.problem.split("-")[1] for cell in cells.chosen(["n500"])} == {"n500"}
    assert {cell.group for cell in cells.chosen(["B1*/1200", "B3:cloud-n1000-d2*"])} == {"B1", "B3"}
    with pytest.raises(ValueError, match="no cell fits"):
        cells.chosen(["n501"])


def test_tuning_compares_with_an_earlier_run(bench, tmp_path, capsys):
    tune, figures = bench("tune_ot").main, tmp_path / "figures.json"
    assert tune(["--cells", "quick", "--repeat", "1", "--json", str(figures)]) == 0
    assert "not reached: none" in capsys.readouterr().out
    assert tune(["--cells", "quick", "--method", "sns", "--options", "warmup=5", "--against", str(figures)]) == 0
    assert "before / now" in capsys.readouterr().out


def test_the_gain_of_threads_is_a_number_where_there_is_a_compiler(bench, monkeypatch):
    controls = bench("controls")
    assert 0 < controls.gain(2, rounds=3) < np.inf
    monkeypatch.setattr(controls, "library", lambda: None)
    assert controls.gain() is None


def test_the_controls_copy_and_read(bench):
    controls = bench("controls")
    for size in (0, 1, 7, 63, 64, 65, 1000, 5003):
        x = np.arange(size, dtype=np.int64)
        for name in (controls.STREAM, controls.MEMCPY, controls.COPY):
            y = np.full(size, -1, np.int64)
            controls.calls(x, y)[name]()
            np.testing.assert_array_equal(y, x, err_msg=name)
        assert controls.calls(x, x)[controls.READ]() == x.sum()


def test_every_level_runs_as_asked(bench):
    levels = bench("levels")
    for level in levels.available():
        (found,) = levels.measure("softmax_methods", level, [256], 2, 0.01)
        assert set(found) == set(bench("softmax_methods").METHODS)
        assert all(ns > 0 for samples in found.values() for ns in samples)


def test_a_crossing_must_last(bench):
    crossing = bench("tune_softmax").crossing
    sizes, old = [1, 2, 4, 8, 16], [2.0] * 5
    assert crossing(sizes, old, [3, 3, 1, 1, 1]) == 4
    assert crossing(sizes, old, [1, 3, 1, 1, 1]) == 4  # a lone win before counts for nothing
    assert crossing(sizes, old, [3, 3, 3, 1, 1]) is None
    assert crossing(sizes, old, [1, 1, 1, 1, 3]) is None


def test_slow_calls_keep_their_fewest_rounds(bench):
    times = bench("harness").interleave({"a": lambda: None}, 9, 0.5, known={"a": 1.0}, fewest=4)
    assert times["a"].rounds == 4


def test_missing_peers_are_told(bench, capsys):
    assert bench("harness").peer("no_such_package_here") is None
    assert "no_such_package_here is not installed" in capsys.readouterr().err
    assert bench("harness").peer("json") is json


def test_the_pages_name_commands_that_there_are(bench):
    root = Path(__file__).parents[2]
    targets = re.findall(r"^([a-z][a-z-]*):", (root / "Makefile").read_text(), re.MULTILINE)
    known = {*targets, *(f"bench-{name}" for name in bench("run").BENCHMARKS)}
    for page in [*root.glob("*.md"), *(root / "docs").glob("*.md")]:
        named = re.findall(r"`make ([a-z][a-z-]*)", page.read_text(encoding="utf-8"))
        assert set(named) <= known, page.name
