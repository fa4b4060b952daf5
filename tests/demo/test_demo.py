"""The demo: its rows are found, its table is honest, its page is whole, its checker is no fool."""

import base64
import subprocess
import sys
from dataclasses import replace
from html import escape
from pathlib import Path

import numpy as np
import pytest

import solvers
from solvers import __main__ as command_line
from solvers import demo
from solvers.demo import check, report, run, table, transport
from solvers.demo.pictures import png_of_array
from solvers.demo.progress import Progress
from solvers.demo.row import Curve, Picture, Row
from solvers.demo.rows import colours, digits


@pytest.fixture
def row():
    """Twice as fast as its peer, and as accurate."""
    return Row(
        name="fake",
        title="A fake <problem>",
        problem="fake & small",
        size="2 x 3",
        method="ot.fake",
        seconds=0.5,
        peer="Peer 1.0",
        peer_seconds=1.0,
        accuracy_label="error of nothing",
        accuracy=1e-9,
        peer_accuracy=1e-9,
        status="ok",
        text=("First.", "Second."),
        pictures=(
            Picture("one", "the first", png_of_array(np.zeros((2, 3, 3)))),
            Picture("two", "the second", png_of_array(np.full((2, 3, 3), 2.0)), wide=True),
        ),
        curves=(Curve("ours", np.array([0.0, 1.0]), np.array([1.0, 0.1])),),
        curves_caption="how it went",
    )


@pytest.fixture
def case():
    """Two small clouds, as the demo's rows have them."""
    rng = np.random.default_rng(7)
    X, Y, a = rng.random((30, 2)), rng.random((40, 2)), rng.random(30) + 0.1
    b = np.full(40, 1 / 40)
    return transport.Case(X, Y, a / a.sum(), b, 0.05, "sinkhorn", 1e-8, 2000, repeats=2)


# ---- rows ---------------------------------------------------------------------------------------


def test_every_file_in_rows_is_a_row_in_order():
    modules = run.discover()
    files = {path.stem for path in Path(run.rows_package.__file__).parent.glob("*.py")} - {"__init__"}
    assert {module.__name__.rpartition(".")[2] for module in modules} == files
    assert [module.ORDER for module in modules] == sorted(module.ORDER for module in modules)
    assert all(module.TITLE and callable(module.run) for module in modules)


def test_rows_are_run_one_after_the_other(monkeypatch, capfd, row):
    class Module:
        TITLE = row.title
        run = staticmethod(lambda progress, threads: replace(row, size=str(threads)))

    monkeypatch.setattr(run, "discover", lambda: [Module, Module])
    assert [found.size for found in run.run_rows(3)] == ["3", "3"]
    assert "[2/2] A fake <problem>" in capfd.readouterr().err


# ---- the verdict and the table ------------------------------------------------------------------


def test_a_win_is_a_win(row):
    assert (row.verdict, row.won) == ("2.0x faster", True)


def test_a_loss_is_shown_as_a_loss(row):
    loss = replace(row, seconds=3.0)
    assert (loss.verdict, loss.won) == ("3.0x slower", False)
    assert "3.0x slower" in table.as_text([row, loss])


@pytest.mark.parametrize("accuracy", [2e-9, np.inf, np.nan])
def test_a_less_accurate_answer_is_no_win(row, accuracy):
    worse = replace(row, accuracy=accuracy)
    assert not worse.won
    assert "2.0x faster, less accurate" in table.as_text([worse])


def test_a_wrong_answer_is_no_win(row):
    wrong = replace(row, status="the plans differ")
    assert not wrong.won
    assert "the plans differ" in table.as_text([wrong])


def test_the_columns_line_up_and_the_accuracy_is_explained(row):
    text = table.as_text([row, replace(row, problem="a much longer name of a problem")])
    head, rule, *lines = text.strip().splitlines()[:4]
    start = head.index("size")
    assert all(line[start - 1] == " " and line[start] != " " for line in (rule, *lines))
    assert text.count("error of nothing") == 1


# ---- the report ---------------------------------------------------------------------------------


def test_the_report_holds_the_table_and_every_picture(row, tmp_path):
    page = report.write_report(
        [row, replace(row, name="other", seconds=3.0)], tmp_path / "deep", 2, "a note"
    ).read_text()
    assert all(page.count(base64.b64encode(picture.png).decode()) == 2 for picture in row.pictures)
    assert all(escape(cell) in page for cell in table.cells(row))
    assert 'class="won">2.0x faster' in page
    assert 'class="lost">3.0x slower' in page
    assert "A fake &lt;problem&gt;" in page
    assert "<problem>" not in page
    assert "how it went" in page
    assert "Note: a note." in page
    assert solvers.__version__ in page
    names = {f"{name}-{kind}.png" for name in ("fake", "other") for kind in ("one", "two", "convergence")}
    assert {path.name for path in (tmp_path / "deep").glob("*.png")} == names


def test_the_report_needs_nothing_from_elsewhere(row, tmp_path):
    page = report.write_report([row], tmp_path, 1).read_text()
    assert "http" not in page
    assert page.count("src=") == page.count('src="data:image/png;base64,') == 3
    assert "Note:" not in page


# ---- the checker --------------------------------------------------------------------------------


def judged(case, plan):
    return check.judge(plan, case.X, case.Y, case.a, case.b, case.reg)


@pytest.fixture
def plan(case):
    return solvers.ot.solve_sample(case.X, case.Y, case.a, case.b, reg=case.reg, tol=1e-12).plan.dense()


def test_the_checker_agrees_with_the_definition(case, plan):
    cost = ((case.X[:, None] - case.Y[None]) ** 2).sum(axis=-1)
    objective = (plan * cost).sum() + case.reg * (plan * np.log(plan / np.outer(case.a, case.b))).sum()
    found = judged(case, plan)
    assert found.marginal_error <= 1e-11
    assert found.objective == pytest.approx(objective, rel=1e-12)


def test_the_checker_works_in_blocks(case, plan, monkeypatch):
    whole = judged(case, plan)
    monkeypatch.setattr(check, "BLOCK", 3 * len(case.b))
    assert judged(case, plan).objective == pytest.approx(whole.objective, rel=1e-13)


def test_the_checker_sees_mass_that_is_missing(case, plan):
    spoilt = plan.copy()
    spoilt[3, 5] += 1e-4
    assert judged(case, spoilt).marginal_error == pytest.approx(2e-4, rel=1e-6)


def test_the_checker_sees_a_plan_that_is_not_the_best(case, plan):
    product = np.outer(case.a, case.b)  # its marginals are exact
    assert judged(case, product).marginal_error < 1e-14
    assert not check.agree(judged(case, plan), judged(case, product))
    assert check.agree(judged(case, plan), judged(case, plan))


@pytest.mark.parametrize("spoil", [lambda p: p[:-1], lambda p: p * np.nan, lambda p: p - 1e-3, lambda p: p + np.inf])
def test_the_checker_rejects_what_is_no_plan(case, plan, spoil):
    assert judged(case, spoil(plan)).marginal_error == np.inf


# ---- both sides ---------------------------------------------------------------------------------


def test_ours_is_at_least_as_accurate_as_the_peer(case, monkeypatch):
    monkeypatch.setattr(transport, "REST", 0.0)
    outcome = transport.compare(case, Progress(1), 1)
    assert outcome.status == "ok"
    assert 0 < outcome.judged.marginal_error <= outcome.peer_judged.marginal_error < 1e-6
    assert min(outcome.seconds, outcome.peer_seconds) > 0
    ours, peers = outcome.curves
    assert ours.errors[-1] <= peers.errors[-1]
    own = transport.to_row(case, outcome, name="x", title="X", problem="x", text=(), pictures=())
    assert own.accuracy == outcome.judged.marginal_error
    assert (own.size, own.peer) == ("30 x 40", f"{transport.PEER}, sinkhorn")


def test_the_peer_may_take_fewer_threads(case, monkeypatch):
    monkeypatch.setattr(transport, "REST", 0.0)
    monkeypatch.setattr(transport, "_best_peer_threads", lambda case, threads: 1)
    assert transport.compare(case, Progress(1), 2).peer.endswith("one thread")


def test_a_status_that_is_not_ok(case, plan):
    result = solvers.ot.solve_sample(case.X, case.Y, case.a, case.b, reg=case.reg)
    good, product = judged(case, plan), judged(case, np.outer(case.a, case.b))
    nothing = judged(case, plan * np.nan)
    assert transport.Outcome("POT", 1.0, 1.0, product, good, result, ()).status == "the plans differ"
    assert transport.Outcome("POT", 1.0, 1.0, good, nothing, result, ()).status == "the peer has no plan"
    stopped = solvers.ot.solve_sample(case.X, case.Y, case.a, case.b, reg=case.reg, max_iter=1)
    assert transport.Outcome("POT", 1.0, 1.0, good, good, stopped, ()).status == "MAX_ITER"


# ---- what the rows make of their data -----------------------------------------------------------


def test_the_palette_keeps_every_pixel():
    picture = np.random.default_rng(7).random((20, 30, 3))
    found, weights, bins = colours.palette(picture)
    assert weights.sum() == pytest.approx(1)
    assert np.abs(found[bins] - picture).max() <= 2**-colours.BITS
    np.testing.assert_allclose(weights @ found, picture.mean(axis=(0, 1)))


def test_a_constant_displacement_stays_what_it_is():
    picture = np.random.default_rng(7).random((50, 60, 3))
    moved = colours.recoloured(picture, np.full(picture.shape, 0.25))
    np.testing.assert_allclose(moved, picture + 0.25, atol=1e-9)


def test_the_ends_of_the_interpolation_are_the_digits():
    grid = np.indices((digits.SIDE, digits.SIDE)).reshape(2, -1).T
    a, b = digits.digit(0), digits.digit(1)
    plan = np.outer(a, b)
    for share, weights in ((0.0, a), (1.0, b)):
        np.testing.assert_allclose(digits.between(plan, grid, share).ravel(), weights, atol=1e-9)
    assert digits.between(plan, grid, 0.3).sum() == pytest.approx(1)


# ---- the command --------------------------------------------------------------------------------


def test_the_command_takes_where_to_write_and_threads(monkeypatch):
    calls = []
    monkeypatch.setattr(demo, "demo", lambda output, threads: calls.append((output, threads)))
    for arguments in ([], ["--output", "there", "--threads", "1"]):
        monkeypatch.setattr(sys, "argv", ["solvers", "demo", *arguments])
        command_line.main()
    assert calls == [("build/demo", None), ("there", 1)]


def test_the_command_refuses_no_threads(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["solvers", "demo", "--threads", "0"])
    with pytest.raises(SystemExit, match="2"):
        command_line.main()
    assert "--threads" in capsys.readouterr().err


def test_the_whole_demo_with_a_row_of_its_own(monkeypatch, capsys, row, tmp_path):
    monkeypatch.setattr(run, "run_rows", lambda threads: [row])
    monkeypatch.setattr(demo, "load_note", lambda: "the load was 9")
    demo.demo(str(tmp_path), 1)
    printed = capsys.readouterr().out
    assert all(part in printed for part in ("2.0x faster", "the load was 9", str(tmp_path / "report.html")))


def test_a_busy_machine_is_told(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr("os.getloadavg", lambda: (0.3, 9.0, 9.0), raising=False)
    assert demo.load_note() == ""
    monkeypatch.setattr("os.getloadavg", lambda: (1.9, 0.0, 0.0), raising=False)
    assert "1.9 on 2 cores" in demo.load_note()


@pytest.mark.parametrize("package", ["jinja2", "ot", "sklearn"])
def test_a_missing_package_is_one_clear_line(package):
    script = f"import sys; sys.modules[{package!r}] = None; from solvers.demo import demo; demo()"
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.strip() == f"the demo needs {package}: pip install 'solvers-toolkit[demo]'"
