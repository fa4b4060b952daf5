"""The comparison of games and linear programs: its problems, its judge, its ladders, its report."""

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse

import solvers

INF = float("inf")


def test_problems_have_the_optima_that_were_drawn(bench):
    problems = bench("halpern_problems")
    for program in (
        problems.random_sparse(30, 40, 4, 3), problems.transport(5, 7, 3), problems.pagerank(40, 3),
    ):  # fmt: skip
        found = scipy.optimize.linprog(
            program.c, *_inequalities(program), bounds=np.column_stack([program.lower, program.upper])
        )
        assert found.status == 0
    A = problems.policeman(5, 1)
    assert (A.diagonal() == 0).all()
    np.testing.assert_allclose(problems.policeman(6, 1, "columns"), problems.policeman(6, 1).T)


def test_poker_has_the_values_of_the_literature(bench):
    poker = bench("halpern_poker")
    for program, value in ((poker.kuhn(), -1 / 18), (poker.leduc(), -0.0856064)):
        result = solvers.equilibrium.lp(
            program.c, program.A, program.low, program.high, program.lower, program.upper, tol=1e-8
        )
        assert result.success
        assert result.fun == pytest.approx(value, abs=1e-7)
        plan = result.y[: len(program.low) - int((program.low == program.high).sum())]
        assert plan.min() >= -1e-8
        assert plan[0] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("name", ["ranking", "policy"])
def test_affine_sums_are_means_of_their_parts(bench, name):
    problem = getattr(bench("halpern_affine"), name)(300)
    z = np.random.default_rng(11).normal(size=problem.size)
    np.testing.assert_allclose(problem.whole(z), problem.parts(np.arange(300), z).mean(axis=0), atol=1e-12)
    M, q = problem.matrix()
    np.testing.assert_allclose(M @ z + q, problem.whole(z), atol=1e-11)
    assert np.linalg.eigvalsh(M + M.T).min() >= -1e-12  # monotone


def _inequalities(program):
    equal = program.low == program.high
    above, below = ~equal & np.isfinite(program.high), ~equal & np.isfinite(program.low)
    rows = scipy.sparse.vstack([program.A[above], -program.A[below]])
    return rows, np.concatenate([program.high[above], -program.low[below]]), program.A[equal], program.high[equal]


def test_the_judge_is_not_fooled(bench):
    judge, problems = bench("halpern_judge"), bench("halpern_problems")
    A = np.array([[0.0, 1, -1], [-1, 0, 1], [1, -1, 0]])
    assert judge.game_gap(A, np.ones(3), np.ones(3)) == pytest.approx(0, abs=1e-15)
    assert judge.game_gap(A, [1, 0, 0], [1, 0, 0]) == 2
    for bad in ([1, np.nan, 0], [0, 0, 0], [1, 0]):
        assert judge.game_gap(A, bad, np.ones(3)) == INF
    # min -x, x <= 1 by a row, 0 <= x <= 3
    program = problems.Program(
        np.array([-1.0]), scipy.sparse.csr_array([[1.0]]), np.array([-INF]), np.ones(1), np.zeros(1), np.full(1, 3.0)
    )
    assert judge.program_error(program, [1.0], [-1.0]) == 0
    assert judge.program_error(program, [1.5], [-1.0]) >= 0.2  # it leaves the row
    assert judge.program_error(program, [1.0], [0.0]) >= 0.2  # nothing proves it
    assert judge.program_error(program, [1.0], [1.0]) >= 0.2  # a multiplier on an infinite side
    assert judge.program_error(program, [np.nan], [-1.0]) == INF


@pytest.mark.parametrize("peer", ["ours", "scipy"])
def test_solvers_mean_the_same_problems(bench, peer):
    peers, problems, judge = bench("halpern_peers"), bench("halpern_problems"), bench("halpern_judge")
    solver = peers.PEERS[peer]()
    A = problems.policeman(9, 3)
    for method in solver.methods:
        assert judge.game_gap(A, *solver.play(A, method, 1e-9)) <= 1e-8
        for program in (problems.random_sparse(20, 30, 4, 5), problems.transport(4, 6, 5), problems.pagerank(30, 5)):
            assert judge.program_error(program, *solver.solve(program, method, 1e-9)) <= 1e-7


def test_files_survive(bench, tmp_path):
    match, problems = bench("halpern_match"), bench("halpern_problems")
    program = problems.random_sparse(6, 8, 3, 3)
    match.save(program, tmp_path / "a.npz")
    again = match.load(str(tmp_path / "a.npz"))
    assert (again.A != program.A).nnz == 0
    np.testing.assert_array_equal(again.high, program.high)
    match.save(np.eye(3), tmp_path / "b.npz")
    np.testing.assert_array_equal(match.load(str(tmp_path / "b.npz")), np.eye(3))


def test_who_does_not_arrive_counts_with_the_time_given(bench):
    match = bench("halpern_match")
    ours = match.Entry("ours", "", error=1e-9, seconds=[2.0])
    good, lost = match.Entry("a", "x", error=1e-8, seconds=[5.0]), match.Entry("b", "y", error=1e-3, seconds=[0.1])
    outcome = match.Outcome("p", (3, 3), 1e-7, ours, [good, lost], 9.0)
    assert outcome.best is good
    assert (outcome.ratio(good), outcome.ratio(lost)) == (2.5, 4.5)
    never = match.Outcome("p", (3, 3), 1e-7, match.Entry("ours", ""), [good], 9.0)
    assert never.ratio(good) == 0


def test_the_report(bench, monkeypatch, tmp_path):
    peers, halpern, problems = bench("halpern_peers"), bench("halpern"), bench("halpern_problems")
    monkeypatch.setattr(peers, "PEERS", {name: peers.PEERS[name] for name in ("ours", "scipy")})
    monkeypatch.setattr(problems, "games", lambda sizes, wide: [problems.Source("game", lambda: problems.policeman(7))])
    monkeypatch.setattr(problems, "netlib", lambda: [])
    result = halpern.report(quick=True)
    result.write(tmp_path)
    text = (tmp_path / "halpern.md").read_text(encoding="utf-8")
    assert "scipy highs-ds" in text
    assert "transport 8 x 9" in text
    (games,) = [table for table in result.tables if table.title.startswith("Games")]
    assert games.rows[0]["goal"] == "1e-12"


def test_the_worst_mixture(bench):
    sums = bench("halpern_sums")
    assert sums.projected(np.array([0.3, 1.2, -4.0])) == pytest.approx([0.05, 0.95, 0.0])
    given = sums.data(400)
    run = sums._ours(given, "sqp", (3,))
    assert np.isfinite(run.seconds[1e-5])
    even = np.full(sums.GROUPS, 1 / sums.GROUPS)
    assert given.residual(np.zeros(sums.FEATURES), even) > 1e-2


def test_the_papers_quadratic(bench):
    """Its norm, least singular value and solution, as published; its components' mean is the operator."""
    sum_of_rows = bench("halpern_paper").quadratic(200)
    q = sum_of_rows.whole(np.zeros(400))
    M = np.column_stack([sum_of_rows.whole(e) - q for e in np.eye(400)])
    singular = np.linalg.svd(M, compute_uv=False)
    assert (singular[0], singular[-1]) == (pytest.approx(0.80898, abs=1e-5), pytest.approx(1.9548e-3, abs=1e-7))
    assert np.linalg.norm(np.linalg.solve(M, q)) == pytest.approx(1639.13, abs=0.01)
    z, out = np.random.default_rng(3).normal(size=400), np.empty((200, 400))
    sum_of_rows(np.arange(200), z, out)
    np.testing.assert_allclose(out.mean(axis=0), sum_of_rows.whole(z), atol=1e-12)
