"""A path of regularisations: the answers of single solves, in the order asked for, at less work."""

import sys

import numpy as np
import pytest

from solvers.ot import solve, solve_path
from solvers.ot._cost import Cost
from solvers.testing import check_transport

REGS = [0.03, 0.3, 0.1, 0.01, 0.1]


@pytest.fixture
def data(seed):
    rng = np.random.default_rng(seed)
    return rng.random((40, 30)), rng.dirichlet(np.ones(40)), rng.dirichlet(np.ones(30))


@pytest.mark.parametrize("method", [None, "sinkhorn", "sns"])
def test_as_single_solves(data, method):
    results = solve_path(*data, REGS, method=method, tol=1e-11, max_iter=100_000)
    for reg, result in zip(REGS, results, strict=True):
        single = solve(*data, reg=reg, method=method, tol=1e-11, max_iter=100_000)
        assert result.success
        np.testing.assert_allclose(result.plan.dense(), single.plan.dense(), atol=1e-9)
        assert result.value == pytest.approx(single.value, rel=1e-9)
        plan = result.plan.dense()
        assert np.abs(plan.sum(1) - data[1]).sum() + np.abs(plan.sum(0) - data[2]).sum() <= 1.01e-11


def test_starts_from_the_neighbour(data):
    """Beside a close neighbour less is left to do than from nothing."""
    alone = solve(*data, reg=0.02, method="sinkhorn", max_iter=100_000)
    path = solve_path(*data, [0.0205, 0.02], method="sinkhorn", max_iter=100_000)
    assert path[1].nit < alone.nit
    again = solve_path(*data, [0.02], method="sinkhorn", warm_start=(alone.f, alone.g))
    assert again[0].nit <= 1


def test_newton_goes_on_from_a_good_start_without_sweeps(seed):
    """Small reg: a handful of passes beside a close neighbour, against dozens from nothing."""
    C = np.random.default_rng(seed).random((60, 70))
    path = solve_path(C, regs=np.geomspace(0.01, 1e-4, 12))
    assert all(result.success for result in path)
    assert path[-1].stats["sinkhorn"] < solve(C, reg=1e-4).stats["sinkhorn"]
    assert sum(result.stats["passes"] for result in path[1:]) < 11 * solve(C, reg=1e-4).stats["passes"] / 2


@pytest.mark.parametrize("seed", [4, 21, 26, 27, 34])
def test_a_speck_of_mass_does_not_hold_up_the_others(seed):
    """A column of next to no mass, and strengths so small that its part of the plan has to travel far."""
    rng = np.random.default_rng(seed)
    C, a, b = rng.random((17, 5)), rng.dirichlet(np.ones(17)), rng.dirichlet(np.ones(5))
    b[1] = 1e-13
    path = solve_path(C, a, b / b.sum(), [7e-5, 3e-5, 1e-5], max_iter=200)
    assert all(result.success for result in path)


def test_certificates_are_left_out_where_not_wanted(data):
    for certify in (True, False):
        results = solve_path(*data, REGS, certify=certify)
        assert all((result.rounded is not None) is certify for result in results)


def test_copies_are_counted_once_for_all(data):
    C, a, b = data
    assert [result.stats["copies"] for result in solve_path(C.T.copy().T, a, b, REGS)] == [1] * len(REGS)
    assert [result.stats["copies"] for result in solve_path(C, a, b, REGS)] == [0] * len(REGS)


def test_zero_weights_and_points_of_failure(seed):
    rng = np.random.default_rng(seed)
    C, a = rng.random((12, 9)), np.concatenate([np.zeros(4), np.full(8, 1 / 8)])
    results = solve_path(C, a, None, [1.0, 0.1, 0.01])
    assert all(result.success for result in results)
    assert all((result.plan.dense()[:4] == 0).all() for result in results)
    results = solve_path(C, a, None, [1.0, 0.01], max_iter=2, method="sinkhorn")
    assert not results[1].success


def test_what_does_not_depend_on_reg_is_looked_at_once(data, monkeypatch):
    C, a, b = data
    a[:5] = 0
    taken = []
    monkeypatch.setattr(Cost, "restricted", lambda cost, *at, take=Cost.restricted: taken.append(1) or take(cost, *at))
    with pytest.warns(RuntimeWarning, match="b is rescaled") as warned:
        results = solve_path(C, a, b * a.sum() * (1 + 1e-8), REGS)
    assert len(taken) == len(warned) == 1
    assert warned[0].filename == __file__
    assert all(result.success for result in results)
    monkeypatch.undo()
    for reg, result in zip(REGS, results, strict=True):
        np.testing.assert_allclose(result.plan.dense(), solve(C, a, b * a.sum(), reg=reg).plan.dense(), atol=1e-8)


def test_progress_bar(data, capsys, monkeypatch):
    results = solve_path(*data, REGS, progress=True)
    assert "solve_path: 100%" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "tqdm", None)  # as if it were not installed
    for one, other in zip(solve_path(*data, REGS, progress=True), results, strict=True):
        np.testing.assert_array_equal(one.f, other.f)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("regs", "match"),
    [
        ([], "regs is empty"),
        ([1.0, 0.0], r"regs\[1\] is 0.0"),
        ([1.0, np.nan], r"regs\[1\] is nan"),
        (1.0, "dimension"),
    ],
)
def test_bad_regs(regs, match):
    with pytest.raises(ValueError, match=match):
        solve_path(np.ones((2, 2)), regs=regs)


def test_an_easy_start_is_stored_at_once_where_it_is_near(seed):
    rng = np.random.default_rng(seed)
    C = rng.random((40, 30))
    first = solve(C, reg=0.05)
    again = solve(C, reg=0.05, warm_start=(first.f, first.g))
    assert again.success
    assert (again.stats["passes"], again.stats["scalings"]) == (1, 0)
    # far away it begins anew, and no start is trusted
    for f, g in ((first.f + 40 * rng.normal(size=40), first.g), (first.f, first.g + 40 * rng.normal(size=30))):
        result = solve(C, reg=0.05, warm_start=(f, g))
        assert result.success
        np.testing.assert_allclose(result.plan.dense(), first.plan.dense(), rtol=0, atol=1e-8)


@pytest.mark.parametrize("norm", ["l1", "l2", "linf"])
def test_small_strengths_take_one_pass_beside_a_neighbour(seed, norm):
    """The large entries, known from the first look, lead to the answer; the certificate looks at all."""
    C = np.random.default_rng(seed).random((120, 110))
    regs = np.geomspace(2e-3, 2e-4, 8)
    path = solve_path(C, regs=regs, norm=norm, tol=1e-10)
    for reg, result in list(zip(regs, path, strict=True))[2:]:
        assert result.stats["passes"] == 1
        report = check_transport(result, C, reg=reg, norm=norm, tol=1e-10, dtype=np.longdouble)
        assert report.marginal_error <= 1e-10


@pytest.mark.parametrize("far", [2.0, 5.0, 12.0])
def test_what_the_large_entries_do_not_show_is_looked_at(seed, far):
    """From a start so far off that entries which were left out come to count."""
    rng = np.random.default_rng(seed)
    C, reg = rng.random((60, 50)), 1e-3
    answer = solve(C, reg=reg, tol=1e-11)
    start = answer.f + far * reg * rng.normal(size=60), answer.g + far * reg * rng.normal(size=50)
    result = solve(C, reg=reg, tol=1e-11, warm_start=start)
    assert result.success
    check_transport(result, C, reg=reg, tol=1e-11, dtype=np.longdouble)
    np.testing.assert_allclose(result.plan.dense(), answer.plan.dense(), rtol=0, atol=1e-11)


def test_sweeps_of_a_stored_plan_are_extrapolated(seed):
    """Fewer iterations than Sinkhorn's own steps take."""
    C = np.random.default_rng(seed).random((200, 200))
    start = solve(C, reg=0.035, tol=1e-11)
    warm = {"reg": 0.03, "tol": 1e-11, "warm_start": (start.f, start.g)}
    result, plain = solve(C, **warm), solve(C, method="sinkhorn", **warm)
    assert result.success
    assert result.stats["newton"] == 0
    assert result.stats["sinkhorn"] <= 0.8 * plain.nit
