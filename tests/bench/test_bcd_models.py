"""The benchmark of penalised models: its judge, its ladders, what it says where we lose or a peer is missing."""

import csv
import math
import warnings

import numpy as np
import pytest
import scipy.sparse

from solvers import learning

KINDS = ("lasso", "elastic net", "nnls", "group lasso", "l1-logistic", "l2-logistic", "multinomial")
SEEDS = (3, 23, 91)


@pytest.fixture
def model(bench):
    """model(kind, seed, share): a small problem."""
    judge = bench("bcd_judge")

    def make(kind, seed=7, share=0.1, sparse=False):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(30, 23))
        z = X[:, :3].sum(axis=1) + rng.normal(size=30)
        y = np.sign(z) if "logistic" in kind else np.digitize(z, [-1, 1]).astype(float) if kind == "multinomial" else z
        return judge.Model(kind, scipy.sparse.csc_matrix(X) if sparse else X, y, share)

    return make


def by_hand(kind, X, y, lam, w):
    """The objective, a sample at a time."""
    loss = 0.0
    for x, target in zip(X, y, strict=True):
        if kind == "multinomial":
            scores = [sum(x * column) for column in w.T]
            loss += math.log(sum(math.exp(score) for score in scores)) - scores[int(target)]
        elif "logistic" in kind:
            loss += math.log(1 + math.exp(-target * sum(x * w)))
        else:
            loss += (target - sum(x * w)) ** 2 / 2
    if kind == "group lasso":
        return loss + lam * sum(math.sqrt(sum(w[k : k + 10] ** 2)) for k in range(0, len(w), 10))
    l1, l2 = np.abs(w).sum(), (w**2).sum() / 2
    share = {"elastic net": (0.5, 0.5), "l2-logistic": (0, 1), "multinomial": (0, 1), "nnls": (0, 0)}.get(kind, (1, 0))
    return loss + lam * (share[0] * l1 + share[1] * l2)


# ---- the judge -----------------------------------------------------------------------------------


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_objective_is_its_formula(model, kind, sparse, bench):
    problem, rng = model(kind, sparse=sparse), np.random.default_rng(5)
    w = np.abs(rng.normal(size=(23, 3) if kind == "multinomial" else 23))
    dense = problem.X.toarray() if sparse else problem.X
    expected = by_hand(kind, dense, problem.y, problem.lam, w)
    assert problem.objectives(w) == [pytest.approx(expected, rel=1e-13)]
    assert problem.at_zero() == pytest.approx(by_hand(kind, dense, problem.y, problem.lam, 0 * w), rel=1e-13)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["lasso", "elastic net", "group lasso", "l1-logistic"])
def test_zero_is_best_from_the_largest_strength_on(model, kind, seed):
    rng = np.random.default_rng(seed)
    above, below = model(kind, seed, 1.0), model(kind, seed, 0.99)
    for step in 1e-4 * rng.normal(size=(50, 23)):
        assert above.objectives(step)[0] >= above.at_zero()
    r = below.residual(np.zeros(23))
    g = below.X.T @ r
    along = np.where(np.abs(g) == np.abs(g).max(), 1e-5 * np.sign(g), 0.0)
    if kind == "group lasso":
        best = np.argmax([np.linalg.norm(g[k : k + 10]) for k in range(0, 23, 10)])
        along = np.where(np.arange(23) // 10 == best, 1e-5 * g / np.linalg.norm(g), 0.0)
    assert below.objectives(along)[0] < below.at_zero()


def test_what_is_no_answer_is_infinitely_far(model):
    for kind in KINDS:
        shape = (23, 3) if kind == "multinomial" else (23,)
        for wrong in (np.full(shape, np.nan), np.zeros(22), np.zeros((*shape, 1))):
            assert model(kind).objectives(wrong) == [np.inf]
    assert model("nnls").objectives(np.full(23, -1e-300)) == [np.inf]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["lasso", "group lasso", "l1-logistic", "l2-logistic", "multinomial"])
def test_the_gap_bounds_the_distance(model, kind, seed):
    """Of any coefficients: from an upper bound of the minimum, the least of many."""
    problem, rng = model(kind, seed), np.random.default_rng(seed)
    shape = (23, 3) if kind == "multinomial" else 23
    points = [scale * rng.normal(size=shape) for scale in (0, 1e-3, 1e-2, 0.1, 1) for _ in range(10)]
    w = np.zeros(shape)
    for _ in range(3000):  # proximal gradient steps
        step = 0.5 / np.linalg.norm(problem.X, 2) ** 2
        w = prox(kind, w + step * (problem.X.T @ problem.residual(w)), step * problem.lam)
    least = min(problem.objectives(v)[0] for v in [*points, w])
    assert problem.objectives(w)[0] == least
    assert problem.gap(w) < 1e-3 * problem.at_zero()
    for point in points:
        assert problem.gap(point) >= problem.objectives(point)[0] - least


@pytest.mark.parametrize("seed", SEEDS)
def test_long_columns_leave_the_gap_small(bench, seed):
    """Of rounded coefficients a multiple of the residual would tell several times as much."""
    rng = np.random.default_rng(seed)
    X = np.asfortranarray(rng.normal(size=(120, 40)) + 1000.0)
    y = np.sign(X[:, 0] - X[:, 1] + rng.normal(size=120))
    problem = bench("bcd_judge").Model("l1-logistic", X, y, 1e-3)
    w = learning.glm(X, y, loss="logistic", lam=problem.lam, tol=1e-15).coef
    plain = problem.objectives(w)[0] - problem._logistic_dual(problem.residual(w))
    assert problem.gap(w) <= 1e-12 * problem.at_zero()
    assert problem.gap(w) <= 0.3 * plain
    away = w * (1 + 1e-7 * rng.normal(size=40))
    assert problem.gap(away) >= problem.objectives(away)[0] - problem.objectives(w)[0]


def prox(kind, v, t):
    if kind in ("l2-logistic", "multinomial"):
        return v / (1 + t)
    if kind == "group lasso":
        for k in range(0, len(v), 10):
            v[k : k + 10] *= max(0.0, 1 - t / np.linalg.norm(v[k : k + 10]))
        return v
    return np.sign(v) * np.maximum(np.abs(v) - t, 0)


def test_a_path_is_judged_at_each_point(bench, model):
    lasso, judge = model("lasso"), bench("bcd_judge")
    path = judge.Model("path", lasso.X, lasso.y, 0.01, steps=5)
    W = np.random.default_rng(5).normal(size=(5, 23))
    singles = [judge.Model("lasso", lasso.X, lasso.y, 0.01 ** (k / 4)).objectives(W[k])[0] for k in range(5)]
    np.testing.assert_allclose(path.objectives(W), singles, rtol=1e-13)
    run = bench("bcd_worker").Run(objectives=[1.0, 5.0], zero=10.0)
    assert run.error([1.0, 4.0]) == 0.1
    assert bench("bcd_worker").Run(failure="killed").error([1.0]) == np.inf


# ---- solvers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_all_solvers_mean_the_same_problem(bench, model, kind, sparse):
    """Those that are installed, at a tight tolerance."""
    peers, problem = bench("bcd_peers"), model(kind, sparse=sparse)
    found = {}
    for name, made in peers.PEERS.items():
        if not peers.installed(made):
            continue
        peer = made()
        for method in peer.tries(problem):
            with warnings.catch_warnings(), np.errstate():
                peers.hush()
                coef = peer.solve(problem, peer.prepared(problem), method, 1e-9)
            found[name, method] = problem.objectives(coef)[0]
    assert ("ours", "") in found
    least = min(found.values())
    assert {key: value for key, value in found.items() if value > least + 1e-6 * problem.at_zero()} == {}


# ---- ladders -------------------------------------------------------------------------------------


class Solver:
    """In place of a process: its answers are this far from `least` times the tolerance, and take this long."""

    grace = 0.0

    def __init__(self, bench, factor=1.0, floor=0.0, least=0.0, seconds=lambda tolerance: 1e-3, failure=""):
        self.Run = bench("bcd_worker").Run
        self.factor, self.floor, self.least, self.seconds, self.failure = factor, floor, least, seconds, failure
        self.asked = []

    def run(self, cell, path, method, tolerance, seconds, warm=False):
        self.asked.append(tolerance)
        took = self.seconds(tolerance)
        if self.failure or took > seconds:
            return self.Run(method, tolerance, failure=self.failure or "killed")
        error = max(self.factor * tolerance, self.floor)
        return self.Run(method, tolerance, took, took, [self.least + error], 1.0)


@pytest.fixture
def ladder(bench):
    cell = bench("bcd_cells").cells(["lasso"], ["tiny"], quick=True)[0]
    return lambda solver, cap=1.0: bench("bcd_match").Ladder(solver, cell, None, "cd", cap)


def test_a_ladder_ends_at_the_first_rung_that_suffices(bench, ladder):
    climbed = ladder(Solver(bench, factor=100.0))
    climbed.climb(1e-6, [0.0])
    assert climbed.runs[-1].tolerance == pytest.approx(1e-8)
    assert climbed.cheapest(1e-6, [0.0]) is climbed.runs[-1]
    climbed.climb(1e-10, [0.0])  # goes on where it was
    assert [round(-math.log10(run.tolerance)) for run in climbed.runs] == list(range(2, 13))
    assert climbed.cheapest(1e-3, [0.0]).tolerance == pytest.approx(1e-5)


@pytest.mark.parametrize("reason", ["stuck", "slow", "failure"])
def test_a_ladder_without_hope_is_left(bench, ladder, reason):
    made = {
        "stuck": {"floor": 1e-5}, "slow": {"seconds": lambda tolerance: 1e-7 / tolerance}, "failure": {"failure": "!"},
    }[reason]  # fmt: skip
    climbed = ladder(Solver(bench, **made))
    climbed.climb(1e-10, [0.0])
    assert climbed.over
    assert climbed.cheapest(1e-10, [0.0]) is None
    assert len(climbed.runs) < 10
    climbed.climb(1e-10, [0.0])
    assert len(climbed.worker.asked) == len(climbed.runs)


def test_a_lower_objective_of_a_peer_counts(bench, monkeypatch, tmp_path):
    """Ours stops a little above the minimum that the peer finds: it has not arrived."""
    match, cells, data = bench("bcd_match"), bench("bcd_cells"), bench("bcd_data")
    cell = cells.cells(["lasso"], ["tiny"], quick=True)[0]
    cell.source.make().save(tmp_path / "tiny.npz")
    assert not data.load(tmp_path / "tiny.npz").sparse
    ours, peer = Solver(bench, floor=1e-8), Solver(bench)
    outcomes = match.measure({"ours": ours, "celer": peer}, cell, tmp_path / "tiny.npz", match.QUICK)
    loose, tight = outcomes
    assert (loose.ours.reached, loose.peers["celer"].reached) == (True, True)
    assert (tight.ours.reached, tight.peers["celer"].reached) == (False, True)
    tables = bench("bcd_tables")
    assert tables._row(tight)["ours"] == "NOT REACHED"
    assert tables._row(tight)["over ours"] == "UNSOLVED BY US"
    assert tables.ratios(outcomes, "celer") == {"lasso:tiny/100@1e-06": pytest.approx(1.0)}
    unsolved = tables.targets(outcomes)[-1]
    assert (unsolved.measured, unsolved.met) == (1, False)


def test_losses_and_caps_are_told(bench, tmp_path):
    match, cells, tables = bench("bcd_match"), bench("bcd_cells"), bench("bcd_tables")
    cell = cells.cells(["lasso"], ["tiny"], quick=True)[0]
    cell.source.make().save(tmp_path / "tiny.npz")
    workers = {
        "ours": Solver(bench, seconds=lambda tolerance: 2e-3), "celer": Solver(bench),
        "skglm": Solver(bench, seconds=lambda tolerance: 1e9), "scikit-learn": Solver(bench, failure="TypeError: no"),
    }  # fmt: skip
    outcomes = match.measure(workers, cell, tmp_path / "tiny.npz", match.QUICK)
    row = tables._row(outcomes[1])
    assert row["over ours"] == "0.5x SLOWER"
    assert row["celer"].startswith("0.5x SLOWER")
    assert row["skglm"].startswith("> 50 ms")
    assert row["scikit-learn"] == "failed"
    found = tables.ratios(outcomes[1:], "skglm")
    assert found == {"lasso:tiny/100@1e-10": pytest.approx(0.05 / 2e-3)}
    means = tables._means(outcomes[1:], "skglm")
    assert (means["unsolved by it"], means["both solve"]) == (1, None)
    measured = {target.figure: target.measured for target in tables.targets(outcomes)}
    assert measured["lasso to 1e-10, celer / ours"] == pytest.approx(0.5)
    assert measured["lasso to 1e-6, best peer / ours"] == pytest.approx(0.5)
    assert measured["path of 100 points to 1e-8, celer / ours"] is None


# ---- data and the command ------------------------------------------------------------------------


def test_products_of_columns(bench, monkeypatch):
    data, rng = bench("bcd_data"), np.random.default_rng(3)
    X = scipy.sparse.random_array((12, 5), density=0.4, rng=rng, format="csc").toarray()
    monkeypatch.setattr(data, "_published", lambda name: data.Data(scipy.sparse.csc_matrix(X), np.ones(12)))
    columns = [X[:, i] for i in range(5)] + [X[:, i] * X[:, j] for i in range(5) for j in range(i + 1, 5)]
    expected = np.column_stack([column for column in columns if column.any()])
    np.testing.assert_allclose(data._pairs("").X.toarray(), expected, rtol=1e-15)


def test_random_sets_are_as_defined(bench):
    data = bench("bcd_data")
    X = data._correlated(4000, 6).X
    np.testing.assert_allclose(np.corrcoef(X.T)[0], 0.5 ** np.arange(6), atol=0.06)
    np.testing.assert_allclose(X.std(axis=0), 1, atol=0.06)
    text = data._text(300, 200, 20)
    assert text.sparse
    assert text.X.indices.dtype == np.int32
    np.testing.assert_allclose(scipy.sparse.linalg.norm(text.X, axis=1), 1, rtol=1e-12)
    common, rare = np.diff(text.X.indptr)[[3, 190]]
    assert common > rare
    for kind in KINDS:
        for sparse in (False, True):
            assert data.tiny(kind, sparse).sparse == sparse


@pytest.mark.parametrize("name", ["tiny", "tiny-text"])
def test_sets_survive_their_file(bench, name, tmp_path):
    data = bench("bcd_data")
    made = data.quick()[name].make()
    made.save(tmp_path / "set.npz")
    read = data.load(tmp_path / "set.npz")
    assert (read.X != made.X).sum() == 0
    np.testing.assert_array_equal(read.y, made.y)
    assert read.sparse or np.isfortran(read.X)


def test_cells_are_chosen_by_name(bench):
    cells = bench("bcd_cells")
    names = {cell.name for cell in cells.cells(["lasso", "nnls"], ["iris"])}
    assert names == {"lasso:iris/10", "lasso:iris/100", "lasso:iris/1000", "nnls:iris"}
    assert {cell.source.name for cell in cells.cells(["l1-logistic"], ["sparse"])} >= {"a9a", "text-labels"}
    assert "a7a" not in {cell.source.name for cell in cells.cells()}
    assert "a7a" in {cell.source.name for cell in cells.cells(data=["all"])}
    with pytest.raises(ValueError, match="there is no lassoo"):
        cells.cells(["lassoo"])


def test_a_set_that_cannot_be_read_is_named(bench, monkeypatch):
    bcd, data = bench("bcd"), bench("bcd_data")

    def missing():
        raise FileNotFoundError("no such file")

    cell = bench("bcd_cells").Cell("lasso", data.Source("gone", missing), 0.1)
    monkeypatch.setattr(bench("bcd_peers"), "PEERS", {})
    assert bcd._run([cell], bench("bcd_match").QUICK)[2] == {"gone": "FileNotFoundError: no such file"}


def test_smoke(command, bench, tmp_path, capsys, monkeypatch):
    peers = bench("bcd_peers")
    named = {name: peers.PEERS[name] for name in ("ours", "celer", "scikit-learn")}
    monkeypatch.setattr(peers, "PEERS", named)
    missing = type("Missing", (peers.Celer,), {"package": "no_such_package"})
    monkeypatch.setitem(named, "celer", missing)
    chosen = ["--problems", "lasso", "l2-logistic", "--data", "tiny", "tiny-text-labels"]
    assert command.main(["bcd", "--quick", "--out", str(tmp_path), *chosen]) == 0
    printed = capsys.readouterr().out
    for told in ("QUICK RUN", "celer is not installed", "not measured", "### Targets", "best peer"):
        assert told in printed
    assert {"bcd.csv", "bcd-means.png", "bcd-profile.png", "bcd-timings.csv"} <= {p.name for p in tmp_path.iterdir()}
    with open(tmp_path / "bcd-timings.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["problem"] for row in rows} == {"lasso", "l2-logistic"}
    ours = [row for row in rows if row["solver"] == "ours"]
    assert all(float(row["error"]) <= float(row["target"]) for row in ours)
    with pytest.raises(SystemExit):
        command.main(["sor", "--quick", "--data", "tiny"])
