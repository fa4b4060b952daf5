"""The checker of transport results passes what is right and refuses every kind of false claim."""

import dataclasses

import numpy as np
import ot
import pytest

import solvers
from solvers.testing import check_transport, check_transport_batch


@pytest.fixture
def data(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.dirichlet(np.ones(15)), rng.dirichlet(np.ones(11))
    a[3] = b[5] = 0
    return rng.random((15, 11)), a / a.sum(), b / b.sum()


@pytest.fixture
def result(data):
    return solvers.ot.solve(*data, reg=0.05, method="sinkhorn")


@pytest.mark.parametrize("dtype", [np.float64, np.longdouble])
@pytest.mark.parametrize("method", ["newton", "sinkhorn", "sns"])
def test_report(data, method, dtype):
    C, a, b = data
    result = solvers.ot.solve(C, a, b, reg=0.05, method=method)
    report = check_transport(result, C, a, b, reg=0.05, dtype=dtype)
    plan = result.plan.dense()
    assert report.marginal_error == pytest.approx(result.marginal_error, rel=1e-6)
    assert report.potential_error == pytest.approx(result.marginal_error, rel=1e-3, abs=1e-13)
    assert report.value == pytest.approx(result.value, rel=1e-12)
    assert report.value_linear == pytest.approx((C * plan).sum(), rel=1e-12)
    assert report.value_dual == pytest.approx(report.value, abs=1e-8)
    assert -1e-13 < report.gap < 1e-8
    exact = ot.emd2(a, b, C)
    assert report.lp_bounds[0] <= exact + 1e-12
    assert exact - 1e-12 <= report.lp_bounds[1] <= report.value_linear + 1e-8
    assert "marginal_error" in str(report)


def test_gap_of_an_unfinished_solve(data):
    """The gap bounds how far the rounded plan is from the optimum, however early the solve was stopped."""
    C, a, b = data
    best = solvers.ot.solve(C, a, b, reg=0.02, tol=1e-12, max_iter=100_000).value
    gaps = []
    for max_iter in (1, 10, 100, 3000):
        result = solvers.ot.solve(C, a, b, reg=0.02, method="sinkhorn", max_iter=max_iter)
        report = check_transport(result, C, a, b, reg=0.02)
        assert report.value_dual <= best + 1e-12
        gaps.append(report.gap)
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[0] > 1e-4 > gaps[-1]


@pytest.mark.parametrize("norm", ["l1", "l2", "linf"])
def test_norms_and_defaults(norm, seed):
    C = np.random.default_rng(seed).random((9, 12)).astype(np.float32)
    result = solvers.ot.solve(C, reg=0.1, norm=norm, tol=1e-6)
    assert check_transport(result, C, reg=0.1, norm=norm, tol=1e-6).marginal_error <= 1e-6


@pytest.mark.parametrize("norm", ["l1", "l2", "linf"])
def test_masses_near_the_end_of_the_numbers(norm, seed):
    """The squares of the gaps underflow; the error does not."""
    rng = np.random.default_rng(seed)
    C, a, b = rng.random((9, 12)), rng.dirichlet(np.ones(9)) * 1e-200, rng.dirichlet(np.ones(12)) * 1e-200
    result = solvers.ot.solve(C, a, b, reg=0.1, norm=norm, tol=1e-3 * 1e-200, max_iter=0)
    error = check_transport(result, C, a, b, reg=0.1, norm=norm, tol=1e-203).marginal_error
    assert error == pytest.approx(result.marginal_error, rel=1e-9)
    assert error > 1e-203


def test_weights_that_are_too_small_to_count(data):
    """Their potentials are -inf, and nothing is NaN for it."""
    C, a, b = np.ones((3, 2)), np.array([0.5, 1e-310, 0.5]), None
    result = solvers.ot.solve(C, a, b, reg=0.1)
    assert result.f[1] == -np.inf
    report = check_transport(result, C, a, b, reg=0.1)
    assert report.rounding < 1e-12


def test_batches(seed):
    rng = np.random.default_rng(seed)
    C, A, B = rng.random((4, 8, 9)), rng.dirichlet(np.ones(8), size=4), rng.dirichlet(np.ones(9), size=4)
    regs = [0.1, 0.2, 0.3, 0.01]
    result = solvers.ot.solve_batch(C, A, B, reg=regs)
    reports = check_transport_batch(result, C, A, B, reg=regs, dtype=np.longdouble)
    np.testing.assert_allclose([report.value for report in reports], result.value, rtol=1e-12)
    with pytest.raises(AssertionError, match="problem 0: "):
        check_transport_batch(result, C, A, B[::-1], reg=regs)


class Dense:
    """A plan that is what one says."""

    def __init__(self, matrix):
        self.matrix = matrix

    def dense(self):
        return self.matrix


def _moved(plan):
    """The same mass, some of it elsewhere: the marginals are no longer met."""
    moved = plan.copy()
    moved[0, 0] += 1e-6
    moved[1, 1] -= 1e-6 if moved[1, 1] > 1e-6 else 0
    return moved


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda r: {"f": r.f + 1e-6}, "marginal error of the returned potentials"),
        (lambda r: {"g": np.where(np.arange(11) == 2, r.g + 1e-5, r.g)}, "marginal error of the returned potentials"),
        (lambda r: {"x": Dense(_moved(r.plan.dense()))}, "marginal error of the returned plan"),
        (lambda r: {"x": Dense(r.plan.dense() * (1 + 1e-8))}, "marginal error of the returned plan"),
        (lambda r: {"x": Dense(r.plan.dense() - 1e-12)}, "negative entry"),
        (lambda r: {"x": Dense(r.plan.dense() * np.nan)}, "not finite"),
        (lambda r: {"x": Dense(r.plan.dense() + 1e-14)}, "zero weight"),
        (lambda r: {"x": Dense(r.plan.dense()[:, :-1])}, "has shape"),
        (lambda r: {"marginal_error": 1e-6}, "above the tolerance"),
        (lambda r: {"marginal_error": r.marginal_error / 2}, "is stated as"),
        (lambda r: {"value": r.value * (1 + 1e-9)}, "value is stated as"),
        (lambda r: {"value_linear": r.value}, "value_linear is stated as"),
    ],
)
def test_false_claims(data, result, change, match):
    with pytest.raises(AssertionError, match=match):
        check_transport(dataclasses.replace(result, **change(result)), *data, reg=0.05)


def test_forbidden_arcs(data):
    C, a, b = data
    C[np.add.outer(np.arange(15), np.arange(11)) % 4 == 0] = np.inf
    result = solvers.ot.solve(C, a, b, reg=0.05, allow_inf=True)
    assert result.success
    report = check_transport(result, C, a, b, reg=0.05)
    assert report.value == pytest.approx(result.value, rel=1e-12)
    with pytest.raises(AssertionError, match="value is stated as"):
        check_transport(dataclasses.replace(result, value=result.value * (1 + 1e-9)), C, a, b, reg=0.05)
    with pytest.raises(AssertionError, match="forbidden arc"):
        check_transport(dataclasses.replace(result, x=Dense(np.outer(a, b))), C, a, b, reg=0.05)


def test_other_questions(data, result):
    """The right answer to another question is not right."""
    C, a, b = data
    for asked in ((C, a, b, 0.06, 1e-9), (C + C[::-1], a, b, 0.05, 1e-9), (C, a[::-1], b, 0.05, 1e-9)):
        with pytest.raises(AssertionError):
            check_transport(result, *asked[:3], reg=asked[3], tol=asked[4])
    with pytest.raises(AssertionError, match="above the tolerance"):
        check_transport(result, C, a, b, reg=0.05, tol=1e-13)


def test_a_plan_that_is_not_of_the_potentials(data, result):
    """Feasible, but not the exponential form: the product of the marginals."""
    C, a, b = data
    with pytest.raises(AssertionError, match="not the one of the potentials"):
        check_transport(dataclasses.replace(result, x=Dense(np.outer(a, b)), marginal_error=0.0), C, a, b, reg=0.05)


def test_a_stated_error_must_be_the_recomputed_one_to_nine_digits(data):
    C, a, b = data
    result = solvers.ot.solve(C, a, b, reg=0.02, method="sinkhorn", max_iter=3)
    assert result.marginal_error > 1e-3
    for factor in (1 - 1e-6, 1 + 1e-6):
        with pytest.raises(AssertionError, match="is stated as"):
            check_transport(result.changed(marginal_error=factor * result.marginal_error), C, a, b, reg=0.02)
