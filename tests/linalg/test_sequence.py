"""`SequenceSolver`: a converged x or an honest status, whatever the arms do; and it learns."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

import solvers
from solvers.linalg import GridOperator, SequenceSolver, _arms, _forecast, _sequence, _system


def laplacian(m):
    line = scipy.sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(m, m))
    one = scipy.sparse.eye_array(m)
    return scipy.sparse.csr_array(scipy.sparse.kron(line, one) + scipy.sparse.kron(one, line))


def variable(m, rng, mass=1.0):
    """A symmetric positive definite matrix with the Laplacian's pattern and no constant stencil."""
    A = scipy.sparse.csr_array(scipy.sparse.triu(laplacian(m), 1))
    A.data = -rng.uniform(0.5, 2.0, A.nnz)
    A = A + A.T
    return scipy.sparse.csr_array(scipy.sparse.diags_array(mass - A.sum(axis=1)) + A)


def upwind(m, speed=20.0):
    """Diffusion with a wind along the fast axis: not symmetric."""
    A = laplacian(m).tolil()
    for k in range(m * m):
        if k % m:
            A[k, k] += speed / m
            A[k, k - 1] -= speed / m
    return scipy.sparse.csr_array(A)


def right(A, result, b, rtol=1e-8):
    """Judged from outside."""
    residual = np.linalg.norm(b - A @ result.x)
    assert result.residual_norm == pytest.approx(residual, rel=1e-6, abs=1e-14)
    assert result.success == (residual <= rtol * np.linalg.norm(b) * (1 + 1e-12))
    return result.success


class Own:
    """An arm of a user, good unless told otherwise."""

    name, reuse = "own", 1

    def __init__(self):
        self.prepared = []

    def prepare(self, A, previous):
        self.prepared.append(previous)
        return A.toarray()

    def solve(self, prepared, b, x0, tolerance):
        return np.linalg.solve(prepared, b)


class Liar(Own):
    name = "liar"

    def solve(self, prepared, b, x0, tolerance):
        return x0 + 1.0, 3


class Raiser(Own):
    name = "raiser"

    def solve(self, prepared, b, x0, tolerance):
        raise RuntimeError("no luck")


class Unprepared(Own):
    name = "unprepared"

    def prepare(self, A, previous):
        raise MemoryError("too large")


class Nan(Own):
    name = "nan"

    def solve(self, prepared, b, x0, tolerance):
        return np.full_like(b, np.nan)


class Shapeless(Own):
    name = "shapeless"

    def solve(self, prepared, b, x0, tolerance):
        return b[:-1]


class Vandal(Own):
    name = "vandal"

    def solve(self, prepared, b, x0, tolerance):
        b[:] = 0.0
        return np.zeros_like(b)


# ---- arms that fail -----------------------------------------------------------------------------------


@pytest.mark.parametrize("arm", [Liar, Raiser, Unprepared, Nan, Shapeless, Vandal])
def test_an_arm_that_fails_is_rescued(arm):
    rng = np.random.default_rng(7)
    sequence = SequenceSolver(arms=[arm()])
    for _ in range(3):
        A, b = variable(9, rng), rng.normal(size=81)
        kept = b.copy()
        result = sequence.solve(A, b)
        assert right(A, result, kept)
        np.testing.assert_array_equal(b, kept)
        assert result.arm != arm.name
        assert result.stats["attempts"][0] == arm.name
        assert arm.name in result.stats["failures"]
        assert result.stats["wasted_seconds"] > 0
        assert arm.name in result.message
    [row] = [row for row in sequence.report().rows if row["arm"] == result.arm]
    assert row["failures"] == 3


def test_a_failing_arm_is_left_for_a_good_one():
    rng = np.random.default_rng(11)
    sequence = SequenceSolver(arms=[Raiser(), Liar(), Own()], cost="iterations")
    arms = []
    for _ in range(40):
        A, b = variable(9, rng), rng.normal(size=81)
        result = sequence.solve(A, b)
        assert right(A, result, b)
        arms.append(result.stats["attempts"][0])
    assert arms[-20:].count("own") >= 18


def test_what_nobody_can_solve_is_said_so():
    # singular, and the right-hand side is not in its range
    A = laplacian(5).toarray()
    A -= np.diag(A.sum(axis=1))
    A = scipy.sparse.csr_array(A)
    b = np.ones(25)
    with np.errstate(all="ignore"):
        result = SequenceSolver().solve(A, b)
    assert not right(A, result, b)
    assert np.isfinite(result.x).all()
    assert result.status is not solvers.Status.CONVERGED
    assert len(result.stats["attempts"]) > 1
    with pytest.raises(solvers.SolveError):
        result.raise_for_status()


def test_a_symmetric_matrix_that_is_not_definite():
    A = scipy.sparse.csr_array(laplacian(8) - 1.1 * scipy.sparse.eye_array(64))
    assert np.linalg.eigvalsh(A.toarray()).min() < 0
    sequence = SequenceSolver(arms=["cg"])
    b = np.random.default_rng(3).normal(size=64)
    assert right(A, sequence.solve(A, b), b)


# ---- sequences ----------------------------------------------------------------------------------------


def test_every_arm_alone(seed):
    rng = np.random.default_rng(seed)
    for name in SequenceSolver.known_arms():
        arm = _arms.portfolio()[name]
        sequence = SequenceSolver(arms=[name], rtol=1e-9)
        for k in range(4):
            if name == "transform":
                A = scipy.sparse.csr_array(laplacian(15) + k * scipy.sparse.eye_array(225))
            else:
                A = variable(15, rng, mass=0.1) if arm.definite is not False else upwind(15, 20 + k)
            b = rng.normal(size=225)
            result = sequence.solve(A, b)
            assert right(A, result, b, rtol=1e-9)
            served = arm.serves(sequence._system)
            assert (result.arm == name) == served
            assert not result.stats["failures"]


@pytest.mark.parametrize(("values", "indices"), [(np.float32, np.int32), (np.float64, np.int64), (np.int32, np.int32)])
def test_every_arm_takes_every_type_of_numbers(values, indices):
    rng = np.random.default_rng(7)
    for name in SequenceSolver.known_arms():
        sequence, definite = SequenceSolver(arms=[name]), _arms.portfolio()[name].definite is not False
        for scale in (40, 80):
            A = laplacian(15) if name == "transform" else variable(15, rng, 0.1) if definite else upwind(15)
            A = scipy.sparse.csr_array((scale * A).astype(values))
            A.indices, A.indptr = A.indices.astype(indices), A.indptr.astype(indices)
            A = A if values is not np.int32 or not definite else scipy.sparse.csr_array(A + A.T)
            b = rng.normal(size=225)
            result = sequence.solve(A, b)
            assert right(A.astype(np.float64), result, b)
            assert not result.stats["failures"]
            assert (result.arm == name) == _arms.portfolio()[name].serves(sequence._system)


def test_sizes_and_patterns_may_change(seed):
    rng = np.random.default_rng(seed)
    sequence = SequenceSolver()
    for k, m in enumerate([5, 5, 9, 9, 4, 12, 12, 12, 9]):
        A = upwind(m) if k % 4 == 3 else laplacian(m) if k % 4 == 1 else variable(m, rng)
        b = rng.normal(size=m * m)
        assert right(A, sequence.solve(A, b), b)
    assert sequence.report().solves == 9


def test_values_written_into_the_same_array_are_noticed():
    A, b = variable(8, np.random.default_rng(3)), np.ones(64)
    sequence = SequenceSolver(arms=["cholesky"])
    for scale in (1.0, 3.0, 0.5):
        A.data *= scale
        result = sequence.solve(A, b)
        assert right(A, result, b)
        assert result.stats["setup_seconds"] > 0
    assert sequence.solve(A, 2 * b).stats["setup_seconds"] == 0


def test_the_matrix_of_this_call_is_solved_whatever_a_plan_reads_by_now():
    rng = np.random.default_rng(3)
    A, b = variable(6, rng), rng.normal(size=36)
    sequence, plan = SequenceSolver(arms=["cg", "cholesky"]), solvers.linalg.plan(A.copy())
    assert right(A, sequence.solve(plan, b), b)
    plan.update(3 * A.data)
    assert right(A, sequence.solve(A, b, np.zeros(36)), b)
    assert right(3 * A, sequence.solve(plan, b, np.zeros(36)), b)
    given = A.copy()
    assert right(A, sequence.solve(given, b), b)
    given.data *= 2  # read in place, and not seen before the next call
    assert right(A, sequence.solve(A, b, np.zeros(36)), b)


def test_rounding_in_an_assembly_is_no_asymmetry():
    rng = np.random.default_rng(5)
    A = variable(8, rng).tolil()
    A[0, 30], A[30, 0], A[5, 40] = 1e-17, -1e-17, 1e-17
    A = scipy.sparse.csr_array(A)
    A.data *= 1 + 1e-14 * rng.uniform(-1, 1, A.nnz)
    sequence = SequenceSolver(arms=["cg"])
    for k in range(3):
        assert sequence.solve(scipy.sparse.csr_array((1 + k) * A), rng.normal(size=64)).arm == "cg"


def test_asymmetry_is_not_forgotten_where_a_few_entries_show_none():
    rng = np.random.default_rng(5)
    for _ in range(4):
        A = variable(60, rng)
        at = rng.choice(np.flatnonzero(A.data < 0))
        A.data[at] *= 1.5
        sequence, plan = SequenceSolver(), solvers.linalg.plan(A)
        for k in range(1, 4):
            scaled = scipy.sparse.csr_array(k * A)
            plan.update(scaled.data)
            assert not plan.symmetric
            sequence._system.update(scaled)
            assert not sequence._system.definite


def test_grids_of_other_cells_are_other_matrices():
    rng = np.random.default_rng(3)
    masks = np.ones((2, 9, 9), bool)
    masks[0, 2:4, 3:5] = masks[1, 5:8, 6] = False
    grids = [GridOperator((9, 9), mask=mask) for mask in masks] + [GridOperator((9, 9), unknowns="cells")]
    sequence = SequenceSolver(arms=["cholesky", "amg-cg"])
    for k in range(6):
        grid = grids[k % 3]
        b = rng.normal(size=81) * (1 if grid.mask is None else grid.mask.ravel())
        result = sequence.solve(grid, b)
        assert right(grid.to_csr(), result, b)
        assert not result.stats["failures"]


def test_a_preparation_serves_as_long_as_it_says():
    rng = np.random.default_rng(23)
    own = Own()
    own.reuse = 3
    own.solve = lambda prepared, b, x0, tolerance: solvers.linalg.solve(now, b, rtol=1e-9).x
    sequence = SequenceSolver(arms=[own], cost="iterations")
    first = variable(6, rng)
    for _ in range(3):
        now = first
        assert sequence.solve(first, rng.normal(size=36)).success
    assert len(own.prepared) == 1
    for _ in range(6):
        now = variable(6, rng)
        assert sequence.solve(now, rng.normal(size=36)).success
    assert 3 <= len(own.prepared) <= 7
    assert own.prepared[0] is None
    assert all(previous is not None for previous in own.prepared[1:])
    now = variable(5, rng)
    sequence.solve(now, np.ones(25))
    assert own.prepared[-1] is None


@pytest.mark.parametrize("guess", ["auto", "zero", "previous", "linear", "quadratic", "projection"])
def test_guesses(guess):
    A = variable(12, np.random.default_rng(7))
    sequence = SequenceSolver(arms=["cg"], guess=guess)
    counts = []
    start, way = np.random.default_rng(3).normal(size=(2, 144))
    for k in range(12):
        b = start + 0.01 * k * way  # the solutions lie on a line
        result = sequence.solve(A, b)
        assert right(A, result, b)
        counts.append(result.nit)
    if guess in ("auto", "linear", "quadratic", "projection"):
        assert sum(counts[4:]) < 0.3 * 8 * counts[0]


def test_the_start_may_be_the_solution():
    A = variable(6, np.random.default_rng(7))
    x = np.random.default_rng(3).normal(size=36)
    result = SequenceSolver().solve(A, A @ x, x)
    assert (result.arm, result.nit, result.success) == ("none", 0, True)
    assert result.message.endswith("The start met it already.")
    np.testing.assert_array_equal(result.x, x)
    zero = SequenceSolver().solve(A, np.zeros(36))
    assert zero.success
    assert not zero.x.any()


def test_nothing_on_the_right_hand_side():
    A, sequence = variable(6, np.random.default_rng(7)), SequenceSolver()
    for start in (None, np.ones(36), None):
        for _ in range(3):
            assert sequence.solve(A, np.random.default_rng(3).normal(size=36)).success
        result = sequence.solve(A, np.zeros(36), start)
        assert (result.success, result.residual_norm, result.stats["attempts"]) == (True, 0.0, [])
        assert not result.x.any()


def test_no_unknowns():
    result = SequenceSolver().solve(scipy.sparse.csr_array((0, 0)), np.empty(0))
    assert result.success
    assert result.x.shape == (0,)


@pytest.mark.parametrize("size", [1e170, 1e308])
def test_a_start_whose_residual_is_no_number(size):
    A, b = laplacian(8), np.ones(64)
    for start in (np.full(64, size), size * (-1.0) ** np.arange(64)):
        result = SequenceSolver().solve(A, b, start)
        assert right(A, result, b)
        assert result.stats["guess"] == "zero"


def test_a_transform_that_is_deceived_is_rescued():
    A = laplacian(40)
    change = next(k for k in range(700, 800) if 0 < A.indices[k] != np.searchsorted(A.indptr, k, "right") - 1)
    row, column = int(np.searchsorted(A.indptr, change, "right") - 1), int(A.indices[change])
    A[row, column] = A[column, row] = -0.5
    b = np.random.default_rng(7).normal(size=1600)
    sequence = SequenceSolver()
    for _ in range(3):
        assert right(A, sequence.solve(A, b), b)


@pytest.mark.parametrize("bc", ["dirichlet", "neumann", "periodic", (("dirichlet", "neumann"), "periodic")])
def test_operators_on_grids(bc):
    rng = np.random.default_rng(7)
    grid, sequence = GridOperator((9, 8), mass=0.5, bc=bc), SequenceSolver()
    for k in range(6):
        if k == 3:
            grid.update(coeff=rng.uniform(0.5, 2.0, (9, 8)))
        elif k:
            grid.update(mass=0.5 + 0.1 * k)
        b = rng.normal(size=72)
        result = sequence.solve(grid, b)
        assert right(grid.to_csr(), result, b)
        assert result.arm == "transform" or k
        assert result.arm != "transform" or k < 3
        assert not result.stats["failures"]


# ---- learning -----------------------------------------------------------------------------------------


def test_an_arm_that_learns_omega(seed):
    rng = np.random.default_rng(seed)
    A, name = variable(15, rng, 0.01), "ssor-cg(learned)"
    sequence = SequenceSolver(arms=[name], cost="iterations", guess="zero")
    assert name not in SequenceSolver().arms
    counts = []
    for step in range(40):
        scaled = scipy.sparse.csr_array((1 + 0.1 * (step % 3)) * A)
        result = sequence.solve(scaled, rng.normal(size=225))
        assert result.success
        assert result.arm == name
        counts.append(result.nit)
    tuner = sequence._prepared[name].value
    assert tuner.report()["told"] == 40
    assert np.mean(counts[20:]) <= np.mean(counts[:5]) + 1
    assert len(set(tuner.report()["counts"])) > 1


def test_iterations_as_the_cost_are_repeatable(seed):
    def run(sequence, steps, rng, out):
        for k in steps:
            A = variable(10, rng, mass=0.02 + 0.2 * (k % 7))
            result = sequence.solve(A, rng.normal(size=100), context=k % 7)
            out.append((result.arm, result.nit))

    def whole():
        out = []
        run(SequenceSolver(cost="iterations", guess="zero", rng=3), range(30), np.random.default_rng(seed), out)
        return out

    once = whole()
    assert once == whole()
    # and so are they after a state was saved and loaded
    rng, halves, first = np.random.default_rng(seed), [], SequenceSolver(cost="iterations", guess="zero")
    run(first, range(15), rng, halves)
    second = SequenceSolver(cost="iterations", guess="zero")
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    run(second, range(15, 30), rng, halves)
    assert halves == once


def test_a_model_of_the_cost_is_repeatable():
    def run():
        sequence, rng = SequenceSolver(cost="model"), np.random.default_rng(11)
        return [sequence.solve(variable(10, rng), rng.normal(size=100)).arm for _ in range(20)]

    assert run() == run()


def test_the_best_arm_is_played_most():
    class Slow(Own):
        name = "slow"

        def solve(self, prepared, b, x0, tolerance):
            return np.linalg.solve(prepared, b), 50

    class Fast(Slow):
        name = "fast"

        def solve(self, prepared, b, x0, tolerance):
            return np.linalg.solve(prepared, b), 5

    sequence, rng = SequenceSolver(arms=[Slow(), Fast()], cost="iterations", guess="zero"), np.random.default_rng(3)
    arms = [sequence.solve(variable(5, rng), rng.normal(size=25)).arm for _ in range(40)]
    assert arms[5:].count("fast") >= 33
    rows = {row["arm"]: row for row in sequence.report().rows}
    assert rows["fast"]["forecast"] == pytest.approx(5, rel=0.3)


class Counted(Own):
    """Fails where it is told to."""

    fails = False

    def solve(self, prepared, b, x0, tolerance):
        if self.fails:
            raise RuntimeError("no luck")
        return super().solve(prepared, b, x0, tolerance)


def test_estimates_are_their_formula():
    rng = np.random.default_rng(7)
    each = [_arms.Estimate(*rng.uniform(0.1, 2.0, 8)) for _ in range(5)]
    each[1], each[3] = None, each[3]._replace(setup=np.inf)
    for condition, digits in ((1.0, 0.5), (300.0, 18.0)):
        found = _arms.Estimates(each).at(condition, digits)
        assert np.isinf(found.solve).tolist() == [False, True, False, True, False]
        for k in (0, 2, 4):
            e = each[k]
            nit = max((e.some + e.per_digit * digits) * max(e.least + e.slope * condition, 1) ** e.power, 1)
            wanted = e.setup, e.fixed + e.each * nit, nit
            np.testing.assert_allclose([numbers[k] for numbers in found], wanted, rtol=1e-14)


def test_what_an_arm_says_of_its_time(seed):
    """The dearest is left alone, one that cannot tell is not played, one that talks nonsense may be."""

    class Told(Own):
        def __init__(self, name, said):
            super().__init__()
            self.name, self.said = name, said

        def estimate(self, A):
            return 0.0, self.said

    def counts(*said):
        arms = [Told(str(number), number) for number in said]
        sequence, rng = SequenceSolver(arms=arms, cost="model", guess="zero"), np.random.default_rng(seed)
        played = [sequence.solve(variable(5, rng), rng.normal(size=25)).arm for _ in range(30)]
        return [played.count(arm.name) for arm in arms]

    assert counts(1.0, 5.0) == [30, 0]
    assert counts(np.inf, 1.0, np.nan) == [0, 30, 0]
    assert sum(counts(0.0, -1.0)) == 30


@pytest.fixture
def asked(monkeypatch):
    """The solves before each question to the learner; all times are as expected."""
    monkeypatch.setattr(_sequence, "EXPECTED", np.inf)
    before, ask = [], _forecast.Forecast.ask
    monkeypatch.setattr(_forecast.Forecast, "ask", lambda rule, *a: before.append(rule.solves) or ask(rule, *a))
    return before


def test_a_choice_holds_for_more_solves_the_longer_all_is_as_expected(asked):
    rng = np.random.default_rng(3)
    sequence = SequenceSolver(arms=[Counted()])
    for _ in range(90):
        A, b = variable(5, rng), rng.normal(size=25)
        assert right(A, sequence.solve(A, b), b)
    steps = np.diff(asked)
    assert asked[:4] == list(range(4))
    assert (steps[3:] > 1).all()
    assert (np.diff(steps[:-1]) >= 0).all()
    assert steps.max() == _sequence.LONGEST_RUN
    assert sequence._rule.solves == 90


@pytest.mark.parametrize("what", ["failure", "pattern", "context", "asymmetry"])
def test_a_choice_is_made_anew_at_once_where_something_changes(asked, what):
    rng = np.random.default_rng(3)
    arm = Counted()
    sequence = SequenceSolver(arms=["ssor-cg(1)", "ilu-gmres(30)"] if what == "asymmetry" else [arm])
    n = 5
    for _ in range(80):
        A = variable(n, rng)
        sequence.solve(A, rng.normal(size=n * n))
    while sequence._left < 3:
        sequence.solve(variable(n, rng), rng.normal(size=n * n))
    arm.fails, context = what == "failure", 1.0 if what == "context" else None
    if what == "context":
        with pytest.raises(ValueError, match="0 numbers"):
            sequence.solve(variable(n, rng), rng.normal(size=n * n), context=context)
        return
    n = 6 if what == "pattern" else n
    A, b = upwind(n) if what == "asymmetry" else variable(n, rng), rng.normal(size=n * n)
    result = sequence.solve(A, b)
    assert right(A, result, b)
    assert result.stats["attempts"][0] == ("ilu-gmres(30)" if what == "asymmetry" else "own")
    solves = sequence._rule.solves
    assert (asked[-1] == solves - 1) == (what != "failure")
    if what == "failure":
        assert sequence._rule.failing[0]
        sequence.solve(variable(n, rng), rng.normal(size=n * n))
        assert asked[-1] == solves


def test_a_trial_that_comes_near_is_made_once_more_with_warm_caches(monkeypatch):
    monkeypatch.setattr(_sequence, "NEAR", np.inf)
    told, tell = [], _forecast.Forecast.tell
    monkeypatch.setattr(
        _forecast.Forecast, "tell",
        lambda rule, question, *a, **k: told.append((question, k["warm"])) or tell(rule, question, *a, **k),
    )  # fmt: skip
    rng = np.random.default_rng(3)
    sequence, found = SequenceSolver(arms=["ssor-cg(1)", "ssor-cg(1.5)", "cg"]), []
    for _ in range(12):
        A, b = variable(9, rng), rng.normal(size=81)
        found.append(sequence.solve(A, b))
        assert right(A, found[-1], b)
    again = [k for k, (_, warm) in enumerate(told) if warm]
    assert again
    for k in again:
        assert told[k][0] is told[k - 1][0]
        assert told[k][0].trial
        assert not told[k - 1][1]
    assert [r.stats["trial"] for r in found[:12]].count(True) == sum(question.trial for question, _ in told)


def test_a_stencil_is_looked_for_only_where_its_transform_may_be_taken(asked, monkeypatch):
    looks, box = [], _system.Layout.box
    monkeypatch.setattr(_system.Layout, "box", lambda layout, data: looks.append(1) or box(layout, data))
    rng = np.random.default_rng(5)
    sequence = SequenceSolver(arms=["transform", "cg", "ssor-cg(1)"], cost="iterations")
    sequence._rule = sequence._new_rule(2)
    played = []
    for k in range(80):
        # while it is forecast to be the dearest, nobody looks
        sequence._rule.mean[1, 0] = 20.0 if k < 40 else -20.0
        A, b = (variable(9, rng) if k in (30, 31, 60, 61) else laplacian(9) * (1 + k)), rng.normal(size=81)
        before = len(looks)
        result = sequence.solve(A, b)
        assert right(A, result, b)
        assert result.stats["failures"] == {}
        assert (len(looks) > before) == (k == 0 or k >= 40)
        played.append(result.arm)
        if k in (60, 61):
            assert "transform" not in [row["arm"] for row in sequence.report().rows if row["forecast"] > 0]
    assert len(asked) >= 80
    assert "transform" not in played[:40]
    assert [k for k in range(40, 80) if played[k] != "transform"] == [60, 61]


def test_a_transform_forms_its_residual_once(monkeypatch):
    A, b = laplacian(12), np.random.default_rng(1).normal(size=144)
    sequence = SequenceSolver(arms=["transform"], guess="zero")
    sequence.solve(A, b)
    seen, measure = [], _system.System.measure
    monkeypatch.setattr(_system.System, "measure", lambda *a: seen.append(1) or measure(*a))
    assert right(A, sequence.solve(A, b), b)
    assert len(seen) == 1


def test_states_that_do_not_fit():
    rng = np.random.default_rng(3)
    sequence = SequenceSolver(arms=["cg", "cholesky"])
    for _ in range(3):
        sequence.solve(variable(5, rng), np.ones(25))
    state = sequence.state_dict()
    other = SequenceSolver(arms=["cholesky", "cg"])
    with pytest.raises(ValueError, match="arms"):
        other.load_state_dict(state)
    same = SequenceSolver(arms=["cg", "cholesky"])
    for name, value in (("version", 99), ("cost", "iterations")):
        with pytest.raises(ValueError, match=name):
            same.load_state_dict({**state, name: value})
    for name in state:
        with pytest.raises(ValueError, match=f"{name}|damaged"):
            same.load_state_dict({key: value for key, value in state.items() if key != name})
    wrong = {**state["rule"], "mean": np.full_like(state["rule"]["mean"], np.nan).tolist()}
    for name, value in (("rule", wrong), ("rule", 3), ("guesses", {"worth": {}}), ("scale", "wide"), ("per_digit", [])):
        with pytest.raises(ValueError, match="damaged"):
            same.load_state_dict({**state, name: value})
    rule = {**state["rule"], "covariance": [[1.0]]}
    with pytest.raises(ValueError, match="other arms"):
        same.load_state_dict({**state, "rule": rule})
    assert same.state_dict() == SequenceSolver(arms=["cg", "cholesky"]).state_dict()
    same.load_state_dict(state)
    assert same.state_dict() == state


def test_the_report():
    rng = np.random.default_rng(3)
    sequence = SequenceSolver()
    assert "0 solves" in str(sequence.report())
    assert len(sequence.report().figure().axes) == 2
    for _ in range(5):
        sequence.solve(variable(8, rng), rng.normal(size=64))
    report = sequence.report()
    assert report.solves == sum(row["solves"] for row in report.rows) == 5
    assert report.seconds == pytest.approx(sum(row["seconds"] for row in report.rows))
    assert all(row["arm"] in str(report) for row in report.rows)
    figure = report.figure()
    assert len(figure.axes) == 2
    figure.canvas.draw()
    left, right = figure.axes
    assert right.get_xlabel() == "milliseconds expected now"
    expected = min(row["forecast"] for row in report.rows if row["forecast"] > 0)
    assert min(right.lines[0].get_xdata()) == pytest.approx(1e3 * expected)
    labels = [label.get_text() for label in left.yaxis.get_majorticklabels()]
    assert all(float(label) > 0 for label in labels if label)


# ---- what may be missing, and bad input -----------------------------------------------------------------


def test_without_the_optional_packages(monkeypatch):
    rng = np.random.default_rng(7)
    for name in ("pyamg", "sksparse", "sksparse.cholmod"):
        monkeypatch.setitem(sys.modules, name, None)
    _arms.available.cache_clear()
    _arms.cholmod.cache_clear()
    try:
        for arms in ("auto", ["amg-cg"], ["cholesky"]):
            sequence = SequenceSolver(arms=arms)
            for _ in range(3):
                A, b = variable(16, rng), rng.normal(size=256)
                result = sequence.solve(A, b)
                assert right(A, result, b)
                assert not result.stats["failures"]
                assert "amg" not in result.arm
    finally:
        _arms.available.cache_clear()
        _arms.cholmod.cache_clear()


def test_importing_loads_no_optional_package():
    import subprocess

    names = "pyamg", "sksparse", "matplotlib"
    script = f"import sys, solvers; solvers.linalg.SequenceSolver(); print([m for m in {names} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"arms": "all"}, "arms"),
        ({"arms": []}, "empty"),
        ({"arms": ["chollesky"]}, "did you mean 'cholesky'"),
        ({"arms": ["ssor-cg(2.5)"]}, "omega"),
        ({"arms": ["cg", "cg"]}, "twice: cg"),
        ({"arms": [object()]}, "prepare"),
        ({"cost": "money"}, "cost"),
        ({"guess": "lucky"}, "guess"),
        ({"context": 3}, "context"),
        ({"rtol": -1.0}, "rtol"),
        ({"atol": np.nan}, "atol"),
        ({"rtol": 0.0}, "both"),
        ({"explore_overhead": -0.1}, "explore_overhead"),
    ],
)
def test_bad_arguments(arguments, match):
    with pytest.raises(solvers.OptionError, match=match):
        SequenceSolver(**arguments)


def test_bad_systems():
    A, b = variable(4, np.random.default_rng(3)), np.ones(16)
    sequence = SequenceSolver()
    for matrix, rhs, x0, match in (
        (A[:3], b, None, "square"),
        (A, b[:-1], None, "b must"),
        (A, b * np.nan, None, "b must"),
        (A * np.nan, b, None, "A "),
        (A, b, b[:3], "x0"),
    ):
        with pytest.raises(ValueError, match=match):
            sequence.solve(matrix, rhs, x0)
    assert sequence.solve(A, b).success
    with pytest.raises(ValueError, match="context"):
        sequence.solve(A, 2 * b, context=[1.0, 2.0])
    with pytest.raises(ValueError, match="context"):
        SequenceSolver().solve(A, b, context=np.nan)


def test_the_tutorial_runs_as_written(capsys):
    """Every block of the page, in one program, with fewer steps."""
    page = (Path(__file__).parents[2] / "docs" / "linalg-sequences.md").read_text(encoding="utf-8")
    program = "\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
    assert "nx, dt, steps, begin = 60, 1e-3, 300, 0.4" in program
    program = program.replace("60, 1e-3, 300, 0.4", "12, 1e-3, 20, 0.6")
    exec(compile(program, "linalg-sequences.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "transform" in printed
    assert "learning" in printed


def test_a_pattern_is_analysed_once_for_all_arms_of_a_family(monkeypatch):
    """Beside the clock: else the arm that comes first would look dearer than its neighbours."""
    seen = []
    monkeypatch.setattr(_arms.Method, "analyse", lambda arm, system: seen.append((arm.family, system.pattern)))
    sequence = SequenceSolver(arms=["ssor-cg(1)", "ssor-cg(1.5)", "cg"], cost="iterations", explore_overhead=10.0)
    for m in (6, 6, 6, 6, 9, 9, 9, 9):
        A = laplacian(m)
        assert sequence.solve(A, np.random.default_rng(len(seen)).normal(size=m * m)).success
    assert len(set(seen)) == len(seen)
    assert {("ssor-cg", 1), ("ssor-cg", 2)} <= set(seen)
