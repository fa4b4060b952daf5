"""The linear benchmark's own honesty: its problems, its judge, what it says of peers that are missing; and a smoke."""

import csv
import dataclasses

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg

# ---- problems ------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(4, 7), (3, 4, 5)])
def test_the_constant_stencil_is_the_laplacian(bench, shape):
    problems = bench("linear_problems")
    lines = [scipy.sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n)) for n in shape]
    expected = np.zeros((1, 1))
    for line in lines:  # the Kronecker sum, axis by axis
        n, m = expected.shape[0], line.shape[0]
        expected = np.kron(expected, np.eye(m)) + np.kron(np.eye(n), line.toarray())
    found = problems.stencil_matrix(problems.constant_faces(shape))
    assert found.has_canonical_format
    np.testing.assert_array_equal(found.toarray(), expected)


@pytest.mark.parametrize("shape", [(4, 7), (3, 4, 5)])
def test_the_variable_stencil_takes_each_face_once_a_side(bench, shape):
    problems = bench("linear_problems")
    faces = problems.variable_faces(shape)
    A = problems.stencil_matrix(faces).toarray()
    np.testing.assert_array_equal(A, A.T)
    assert np.linalg.eigvalsh(A)[0] > 0
    point = tuple(n // 2 for n in shape)
    row, outside = A[np.ravel_multi_index(point, shape)].reshape(shape), 0.0
    for axis in range(len(shape)):
        for side in (0, 1):
            beside = list(point)
            beside[axis] += 2 * side - 1
            face = list(point)
            face[axis] += side
            value = faces[axis][tuple(face)]
            assert row[tuple(beside)] == -value if beside[axis] < shape[axis] else True
            outside += value
    assert row[point] == pytest.approx(outside, rel=1e-15)


def test_the_field_is_its_sum_of_cosines(bench):
    problems = bench("linear_problems")
    points = [np.array([0.1, 0.4, 0.9]), np.array([0.25, 0.5])]
    rng = np.random.default_rng(5)
    numbers = 2 * rng.standard_normal((problems.WAVES, 2))
    phases = 2 * np.pi * rng.random(problems.WAVES)
    for i, x in enumerate(points[0]):
        for j, y in enumerate(points[1]):
            waves = np.cos(2 * np.pi * (numbers @ [x, y]) + phases)
            expected = np.exp(problems.SPREAD * np.sqrt(2 / problems.WAVES) * waves.sum())
            assert problems.random_field(points, 5)[i, j] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("dimensions", "seed"), [(2, None), (2, 5), (3, 5)])
def test_heat_steps_are_crank_and_nicolsons(bench, dimensions, seed):
    heat = bench("linear_problems").Heat(6, 1e-2, dimensions, seed)
    K = heat.K.toarray()
    first, second = heat.systems(55, 2, start=53)
    assert heat.kappa(0.75) == pytest.approx(10)
    assert heat.kappa(0.25) == pytest.approx(0.1)
    factor = 0.5e-2 * heat.kappa(0.555)
    np.testing.assert_allclose(first.A.toarray(), np.eye(heat.size) + factor * K, rtol=1e-13, atol=1e-13)
    expected = (np.eye(heat.size) - factor * K) @ first.x0 + 1e-2 * heat.source(0.555)
    np.testing.assert_allclose(first.b, expected, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(second.x0, np.linalg.solve(first.A.toarray(), first.b), rtol=1e-9, atol=1e-12)
    assert second.context == heat.kappa(0.56)
    assert np.shares_memory(first.A.indices, heat.K.indices)


def test_the_bump_has_its_centre_and_edge(bench):
    values = bench("linear_problems").Heat(8, 1e-3).bump([0.5, 0.5], 0.25).reshape(7, 7)
    assert values[3, 3] == 1
    assert values[3, 4] == pytest.approx(np.exp(1 - 1 / (1 - 0.25)))
    assert values[3, 5] == 0


def test_red_black_points_touch_the_other_colour_alone(bench):
    problems = bench("linear_problems")
    shape = (5, 4)
    order = problems.red_black(shape)
    assert order[0] == 0
    A = problems.stencil_matrix(problems.constant_faces(shape))[order][:, order].toarray()
    red = (A.shape[0] + 1) // 2
    for block in (A[:red, :red], A[red:, red:]):
        np.testing.assert_array_equal(block, 4 * np.eye(len(block)))


# ---- the judge -----------------------------------------------------------------------------------


def test_the_judge_recomputes_the_residual(bench, seed):
    check, rng = bench("check"), np.random.default_rng(seed)
    A = scipy.sparse.random_array((40, 40), density=0.1, rng=rng, format="csr")
    A.data[: A.indptr[1]] = 0
    A = scipy.sparse.csr_array(A)
    A.eliminate_zeros()  # the first row is empty
    x, b = rng.normal(size=(2, 40))
    expected = np.linalg.norm(b - A.toarray() @ x) / np.linalg.norm(b)
    assert check.residual(A, b, x) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("wrong", ["nan", "shape", "integers", "none"])
def test_the_judge_refuses_what_is_no_solution(bench, wrong):
    A, b = scipy.sparse.eye_array(3, format="csr"), np.ones(3)
    x = {"nan": np.array([1, np.nan, 1]), "shape": np.ones((3, 1)), "integers": np.ones(3, int), "none": None}[wrong]
    assert bench("check").residual(A, b, x) == np.inf


def test_a_method_that_stops_early_has_no_ratio(bench):
    solves, methods = bench("sor_solves"), bench("sor_methods")
    problem = solves.QUICK[0]
    right = methods.Method(
        "right", "scipy", lambda *_: lambda s, _: methods.Answer(scipy.sparse.linalg.spsolve(s.A, s.b))
    )
    lazy = methods.Method("lazy", "solvers", lambda *_: lambda s, _: methods.Answer(s.x0))
    nearly = methods.Method(
        "nearly", "solvers",
        lambda *_: lambda s, _: methods.Answer(scipy.sparse.linalg.cg(s.A, s.b, rtol=1e-7)[0], 3),
    )  # fmt: skip
    entries = {e.method.name: e for e in solves.measure(problem, [right, lazy, nearly], quick=True)}
    assert [entries[name].reached for name in ("right", "lazy", "nearly")] == [True, False, False]
    row = solves._row(entries["lazy"], [])
    assert "NOT REACHED" in row["residual"]
    assert row["this / ours best"] is None


def test_a_wrong_sweep_is_marked(bench, monkeypatch):
    sweeps, ours, peers = bench("sor_sweeps"), bench("sor_kernels"), bench("sor_peers").load()
    data = next(ours.make((6, 5)))
    mine = ours.kernels(data)
    assert all(found <= mine[name].tolerance for name, found in sweeps._compare(mine, data, peers).items())
    right = mine[ours.NATURAL].iterate
    wrong = {ours.NATURAL: dataclasses.replace(mine[ours.NATURAL], iterate=lambda: right() * (1 + 1e-9))}
    distances = sweeps._compare(wrong, data, peers)
    time = bench("harness").Timing((1.0,))
    outcome = sweeps.Outcome(data.case, {ours.NATURAL: time}, wrong, distances)
    assert "NOT THE SAME" in sweeps._row(outcome, ours.NATURAL)["distance"]


def test_the_triads_add(bench):
    controls = bench("controls")
    for size in (1, 7, 8, 9, 64, 1001):
        for threads in (1, 2):
            whole = np.zeros((3, size + 3))
            a, b, c = (line[1 : size + 1] for line in whole)
            b[:], c[:] = np.arange(size), 0.5
            for name, call in controls.triads(a, b, c, threads).items():
                a[:] = -1
                call()
                np.testing.assert_array_equal(a, b + 1.5, err_msg=name)
            assert not whole[:, 0].any()
            assert not whole[:, size + 1 :].any()


def test_the_update_in_place(bench):
    a, b = np.random.default_rng(0).standard_normal((2, 1001))
    for call in bench("controls").update(a, b).values():
        expected = b + a / 3
        call()
        assert np.allclose(a, expected)


# ---- the command, tiny ---------------------------------------------------------------------------


def test_smoke(command, bench, tmp_path, capsys):
    assert command.main(["sor", "--quick", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "QUICK RUN" in printed
    assert "NOT REACHED" not in printed
    assert "NOT THE SAME" not in printed
    for name in ("sor-sweeps.png", "sor-solves.png", "sor.csv"):
        assert (tmp_path / name).exists()
    with open(tmp_path / "sor-timings.csv", newline="", encoding="utf-8") as file:
        timed = list(csv.DictReader(file))
    assert {row["benchmark"] for row in timed} >= {"sweeps", "solves"}
    assert all(float(row["median_ms"]) > 0 for row in timed)


def test_missing_peers_are_told(command, bench, tmp_path, monkeypatch, capsys):
    harness = bench("harness")
    monkeypatch.setattr(harness, "peer", lambda _: None)
    assert command.main(["sor", "--quick", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    for peer in ("pyamg", "scikit-sparse", "ilupp"):
        assert f"{peer} is not installed" in printed
    assert "not measured" in printed
    with open(tmp_path / "sor-timings.csv", newline="", encoding="utf-8") as file:
        kernels = {row["kernel"].split()[0] for row in csv.DictReader(file)}
    assert kernels <= {"ours", "scipy", "scipy.fft", "control"}


def test_when_learning_has_paid(bench):
    """By the medians of the rounds, step by step; what the safe arm did not play stays as it was."""
    module = bench("sor_sequences")

    class Racer:
        def __init__(self, *rounds):
            self.rounds = [np.array(seconds) for seconds in rounds]
            self.totals = np.array([seconds.sum() for seconds in self.rounds])

    safe = Racer([2.0, 2.0, 2.0, 2.0], [2.0, 2.0, 9.0, 2.0], [2.0, 2.0, 2.0, 2.0])
    learner = Racer([5.0, 1.5, 1.0, 0.5], [5.0, 1.0, 1.0, 0.5], [5.0, 1.0, 1.0, 9.0])
    assert module.even(learner, safe) == 4
    assert module.even(safe, safe) == 1
    assert module.even(learner, Racer([2.0, 2.0])) == 3
    assert module.even(Racer([3.0] * 4), safe) == 5
    assert module.soon(module.usual(learner), safe) == pytest.approx(7.5 / 8)
    assert module.over(learner, safe) == pytest.approx(8.0 / 8)


def test_halving_plays_each_arm_once_and_then_the_better_half(bench):
    module = bench("sor_sequences")

    class Racer:
        def __init__(self, *beside):
            self.beside = np.array(beside)

    # four arms of 1, 2, 3 and 4 for eight steps: each once, the better two twice, the best of these once and again
    arms = [Racer(*[float(k)] * 8) for k in (3, 1, 4, 2)]
    assert module.halving(arms) == pytest.approx((10 + 3 + 1 + 1) / 8)
    arms[2].beside = arms[2].beside[:3]  # left out
    assert module.halving(arms) == pytest.approx((10 + 3 + 1 + 1) / 8)


def test_smoke_of_sequences(command, tmp_path, capsys):
    assert command.main(["sor-sequences", "--quick", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "over the best arm" in printed
    assert "### Targets" in printed
    with open(tmp_path / "sor-sequences.csv", newline="", encoding="utf-8") as file:
        residuals = [float(row["worst residual"]) for row in csv.DictReader(file) if row.get("worst residual")]
    assert residuals
    assert max(residuals) <= 1e-8
