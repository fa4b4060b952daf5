"""The comparison on CUTEst problems: its lists, its compiled functions, its processes, its profiles."""

import math

import numpy as np
import pytest

from solvers.optimize import minimize
from solvers.optimize._nlp import Program
from solvers.testing import cutest, kkt

from ..optimize.test_merit import newton, residual


def test_the_lists(bench):
    sets = bench("cutest_sets")
    assert [len(names()) for names in sets.SETS.values()] == [41, 17, 221]
    for names in (sets.PAPER, sets.HARDER):
        for name in names:
            problem = cutest(name)
            assert (problem.row_lower == problem.row_upper).all()
            assert not np.isfinite(np.append(problem.lower, problem.upper)).any()


def equations(name):
    """A problem of equations alone as the merit function takes it."""
    given = cutest(name)
    zero, free = np.zeros(given.m), np.full(given.n, np.inf)
    return Program(
        x0=given.x0, lower=-free, upper=free, row_lower=zero, row_upper=zero, linear=np.zeros(given.m, bool),
        fun=given.fun, gradient=given.gradient, jacobian=given.jacobian, hessian=given.hessian,
        constraints=lambda x: given.constraints(x) - given.row_lower,
    )  # fmt: skip


@pytest.mark.cutest
@pytest.mark.parametrize(("name", "eta1", "eta2"), [("PAPER", 100, 1e-3), ("HARDER", 1e6, 1e-4)])
def test_penalties_stay_bounded_on_the_lists(bench, name, eta1, eta2):
    """By the exact augmented Lagrangian alone."""
    for problem in getattr(bench("cutest_sets"), name):
        if problem == "MSS1":
            continue  # no row has a gradient at its start: the search alone has no step there
        points, steps = newton(equations(problem))
        assert residual(points[-1]) <= 1e-8, problem
        assert max(step["eta1"] for step in steps) <= eta1, problem
        assert min(step["eta2"] for step in steps) >= eta2, problem


@pytest.mark.cutest
def test_all_equations_are_solved(bench):
    """58 of them, by the judge; rounding decides whether the last digits of MSS1 are reached (docs/minimize.md)."""
    sets, iterations = bench("cutest_sets"), []
    for name in sets.PAPER + sets.HARDER:
        found = minimize(**cutest(name).arguments())
        iterations.append(found.nit)
        assert kkt(found.x, cutest(name)).solved(1e-8 if name != "MSS1" else 1e-5), name
        assert found.success or name == "MSS1", name
    assert len(iterations) == 58
    assert np.median(iterations) <= 6


# powers, an outer function, an arcus tangent, elements in other variables; bounds and inequalities
@pytest.mark.parametrize("name", ["HS77", "HS6", "HELIXNE", "HS71", "HS118"])
def test_compiled_functions_are_the_same(bench, tmp_path, monkeypatch, name):
    compiled = bench("cutest_compiled")
    monkeypatch.setattr(compiled, "KEPT", tmp_path)
    mine, theirs = compiled.CompiledProblem(name), cutest(name)
    rng = np.random.default_rng(3)
    for _ in range(3):
        x, y = theirs.x0 + 0.1 * rng.normal(size=theirs.n), rng.normal(size=theirs.m)
        assert mine.fun(x) == pytest.approx(theirs.fun(x), rel=1e-13)
        for kind in ("gradient", "constraints", "jacobian"):
            np.testing.assert_allclose(getattr(mine, kind)(x), getattr(theirs, kind)(x), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(mine.hessian(x, 0.7, y), theirs.hessian(x, 0.7, y), rtol=1e-12, atol=1e-12)
    mine.count(True)
    for point in (x, x, x + 1):
        mine.fun(point)
    assert (mine.calls["fun"], mine.asked["fun"]) == (2, 3)
    mine.count(False)
    peers = bench("cutest_peers").PEERS
    for peer in ("ours", "SLSQP", "trust-constr"):
        assert kkt(peers[peer].solve(mine).x, theirs).solved(1e-5), peer
    assert min(mine.cost().values()) > 0


def test_formulas_that_are_not_to_be_had(bench, tmp_path, monkeypatch):
    compiled, formulas = bench("cutest_compiled"), bench("cutest_formulas")
    monkeypatch.setattr(compiled, "KEPT", tmp_path)
    written = formulas.as_c

    def branch(name):
        raise TypeError("cannot determine truth value of Relational")

    monkeypatch.setattr(formulas, "as_c", branch)
    for _ in range(2):  # the second time it is known
        with pytest.raises(compiled.NoFormulaError, match="truth value"):
            compiled.CompiledProblem("HS6")
    monkeypatch.setattr(formulas, "as_c", lambda name: written(name).replace("out[0] =", "out[0] = 1 +"))
    with pytest.raises(compiled.NoFormulaError, match="the compiled gradient"):
        compiled.CompiledProblem("HS10")


def test_profiles(bench):
    report, match = bench("cutest"), bench("cutest_match")

    def run(evaluations, seconds, error=0.0, f=0.0):
        return match.Run(error, error, f, True, 3, (seconds,), 0.0, (evaluations, 0, 1, 0, 0))

    runs = {"ours": {"A": run(4, 1.0), "B": run(9, 2.0, 1e-6)}, "peer": {"A": run(2, 3.0), "B": run(3, 20.0, f=1.0)}}
    assert not runs["peer"]["B"].solved(1e-4)  # too late
    assert report._ratios(runs, "evaluations", 1e-4) == {"ours": [2.0, 1.0], "peer": [1.0, math.inf]}
    assert report._ratios(runs, "time", 1e-8) == {"ours": [1.0, math.inf], "peer": [3.0, math.inf]}
    assert report._profile([1.0, 2.0, math.inf, 5.0], 2.0) == 0.5
    assert [report._fewest(runs, "ours", name) for name in "AB"] == [False, True]
    assert [report._reaches(runs, "peer", name) for name in "AB"] == [True, False]
    assert report.cutest_small.ratios(runs["ours"], runs["peer"], 1e-8) == [3.0]
    assert report.cutest_small.geometric_mean([1.0, 4.0]) == pytest.approx(2.0)


def test_runs_of_peers_are_kept(bench, tmp_path, monkeypatch):
    match = bench("cutest_match")
    monkeypatch.setattr(match, "KEPT", tmp_path)
    asked = []

    def runs(name, problems, rounds):
        asked.extend((name, problem) for problem in problems)
        return [(problem, match.Run(1e-9, 0.0, 2.0, True, 3, (0.1,), 0.2, (1, 2, 3, 4, 5))) for problem in problems]

    monkeypatch.setattr(match, "_runs", runs)
    for _ in range(2):
        found = match.run(["ours", "SLSQP"], ["HS71"])
    match.run(["SLSQP"], ["HS71", "HS10"])
    assert asked == [("ours", "HS71"), ("SLSQP", "HS71"), ("ours", "HS71"), ("SLSQP", "HS10")]
    assert found["SLSQP"]["HS71"].evaluations == 3
    assert match.run(["SLSQP"], ["HS71"], fresh=True)["SLSQP"]["HS71"].solved(1e-8)
    assert len(asked) == 5


def test_the_report(bench, tmp_path, monkeypatch):
    match = bench("cutest_match")
    monkeypatch.setattr(match, "KEPT", tmp_path / "kept")
    made = bench("cutest").report(quick=True, problems=("HS77", "HS10"), solvers=("ours", "SLSQP"))
    made.write(tmp_path)
    tables = {table.title: table.rows for table in made.tables}
    general = tables["Inequalities and bounds: the general set"]
    assert [(row["solver"], row["problems"]) for row in general] == [("ours", 1), ("SLSQP", 1)]
    assert all(row["solved at 1e-04"] == 1 for row in general)
    assert sum(len(rows) for title, rows in tables.items() if "every problem" in title) == 2
    assert {path.name for path in tmp_path.glob("*.png")} == {
        "cutest.png", "cutest-profile-evaluations.png", "cutest-profile-time.png", "cutest-data-profile.png"
    }  # fmt: skip
