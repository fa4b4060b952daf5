"""The checker of nonlinear programs believes nothing."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse

from solvers.testing import NonlinearProgram, check_minimum, kkt
from solvers.testing.least_squares import signed_least_squares

INF = np.inf


@pytest.mark.parametrize(("m", "n", "rank"), [(6, 4, 4), (5, 8, 5), (12, 9, 4), (4, 1, 1), (3, 0, 0), (20, 20, 19)])
def test_least_squares_with_signs(seed, m, n, rank):
    rng = np.random.default_rng(seed)
    for _ in range(10):
        A = rng.normal(size=(m, rank)) @ rng.normal(size=(rank, n)) * 10.0 ** rng.uniform(-3, 3, n)
        b, sign = rng.normal(size=m), rng.integers(-1, 2, n)
        y = signed_least_squares(A, b, sign)
        assert (sign * y >= 0).all()
        if n:
            best = scipy.optimize.lsq_linear(
                A, b, (np.where(sign > 0, 0, -INF), np.where(sign < 0, 0, INF)), method="bvls", tol=1e-14
            )
            assert np.linalg.norm(A @ y - b) <= np.sqrt(2 * best.cost) * (1 + 1e-9) + 1e-12


def test_columns_of_zeros_and_duplicates():
    A = np.array([[1.0, 1, 0, -1], [0, 0, 0, 0]])
    y = signed_least_squares(A, np.array([2.0, 5]), np.array([1, 1, 0, 1]))
    assert (y >= 0).all()
    assert A @ y == pytest.approx([2, 0])
    assert y[2] == 0


@pytest.mark.parametrize("d", [3e-5, 5.4e-5, 1e-4, -7e-5])
def test_large_multipliers_that_cancel_leave_no_rounding_of_their_own(d):
    """HS13 near its minimum, which has no multipliers: the row's and the bound's are 2 / (3 d^2)."""
    program = NonlinearProgram(
        lambda x: (x[0] - 2) ** 2 + x[1] ** 2, lambda x: np.array([2 * (x[0] - 2), 2 * x[1]]),
        lambda x: np.array([(1 - x[0]) ** 3 - x[1]]), lambda x: np.array([[-3 * (1 - x[0]) ** 2, -1.0]]),
        lower=[0.0, 0.0], row_lower=0.0, row_upper=INF,
    )  # fmt: skip
    report = kkt([1 + d, 0.0], program)
    assert abs(report.multipliers[0]) > 6e7
    assert report.stationarity < 1e-14


def disc(sign=1.0, sparse=False):
    """min sum x in the disc of radius sqrt 2, with 0.5 <= x1 at the right end: every kind of side."""
    wrap = scipy.sparse.csr_array if sparse else np.array
    return NonlinearProgram(
        lambda x: sign * x.sum(), lambda x: sign * np.ones(2), lambda x: np.array([x @ x, x[0] - x[1]]),
        lambda x: wrap([2 * x, [1.0, -1.0]]), lower=[-INF, -3.0], upper=[0.5, INF], row_lower=[-INF, -5.0],
        row_upper=[2.0, 5.0],
    )  # fmt: skip


@pytest.mark.parametrize("sparse", [False, True])
def test_a_point(sparse):
    best = kkt([-1.0, -1.0], disc(sparse=sparse))
    assert best.solved(1e-14)
    assert best.multipliers == pytest.approx([0.5, 0])
    assert best.bound_multipliers == pytest.approx([0, 0])
    assert (best.active, best.fun) == (1, -2.0)
    corner = kkt([0.5, np.sqrt(1.75)], disc(-1.0))
    assert corner.solved(1e-12)
    assert corner.bound_multipliers[0] == pytest.approx(1 - 0.5 / np.sqrt(1.75))  # positive at an upper bound
    assert kkt([1.0, 1.0], disc()).stationarity == pytest.approx(1.0)  # a maximum: the sign is wrong
    off = kkt([-1.0, -1.001], disc())
    assert off.violation == pytest.approx(0.002001)
    assert off.stationarity < 1e-3  # a violated side is an active one
    assert kkt([-0.9, -0.9], disc()).stationarity == 1.0


def test_points_outside_the_domain():
    logarithm = NonlinearProgram(lambda x: np.nan, lambda x: np.full(2, np.nan))
    assert not kkt([1.0, 2.0], logarithm).solved(INF)
    assert not kkt([np.nan, 2.0], disc()).solved(1e300)
    with pytest.raises(ValueError, match="gradient has shape"):
        kkt([1.0], logarithm)
    with pytest.raises(ValueError, match="jacobian has shape"):
        kkt([1.0, 2.0], replace(disc(), jacobian=lambda x: np.ones((3, 2))))
    with pytest.raises(ValueError, match="dimensions"):
        kkt([[1.0, 2.0]], disc())


def claim(**more):
    honest = {
        "x": np.array([-1.0, -1.0]), "fun": -2.0, "success": True, "measure": 0.0, "multipliers": np.array([0.5, 0]),
        "bound_multipliers": np.zeros(2),
    }  # fmt: skip
    return SimpleNamespace(**honest | more)


def test_results():
    report = check_minimum(claim(), disc())
    assert (report.measure, report.scale) == (0, 1)
    shifted = np.array([-1.0, -0.999])
    for wrong, word in (
        (claim(x=shifted, fun=-1.999), "success is claimed"),
        (claim(multipliers=np.array([0.5, 1e-3])), "success is claimed"),  # slack times multiplier
        (claim(multipliers=np.array([-0.5, 0])), "success is claimed"),  # leans on an infinite side
        (claim(bound_multipliers=np.array([0, 1e-3])), "success is claimed"),  # likewise
        (claim(x=np.array([np.nan, 0])), "not finite"),
        (claim(fun=-2.1), "fun is"),
        (claim(success=False, measure=1e-3), "measure is"),
    ):
        with pytest.raises(AssertionError, match=word):
            check_minimum(wrong, disc())
    honest = check_minimum(claim(x=shifted, fun=-1.999, success=False, measure=INF), disc())
    assert honest.optimality == pytest.approx(1e-3)
    assert honest.complementarity == pytest.approx(0.5 * (2 - shifted @ shifted))
    assert honest.measure == max(honest.optimality, honest.complementarity)


def test_multipliers_of_infinite_sides_solve_nothing():
    """The least -x with x^2 >= 6 falls without end; far out a multiplier of 5e-17 would balance it."""
    far = 1e16
    endless = NonlinearProgram(
        lambda x: -x[0], lambda x: -np.ones(1), lambda x: x**2, lambda x: np.diag(2 * x), row_lower=6.0,
        row_upper=INF,
    )  # fmt: skip
    leaning = claim(
        x=np.array([far]), fun=-far, multipliers=np.array([0.5 / far]), bound_multipliers=np.zeros(1), measure=0.5 / far
    )
    with pytest.raises(AssertionError, match="infinite sides claim success: 1 is left"):
        check_minimum(leaning, endless)


def test_large_multipliers_are_scaled():
    for size, scale in ((1e4, 1e4 / 8 / 100), (1e7, 1000.0), (10.0, 1.0)):
        steep = replace(disc(), fun=lambda x, a=size: a * x.sum(), gradient=lambda x, a=size: np.full(2, a))
        y = np.array([size / 2 + 1e-4, 0])
        report = check_minimum(claim(fun=-2 * size, multipliers=y, measure=2e-4 / scale), steep, tol=1e-3)
        assert report.scale == pytest.approx(scale, rel=1e-6)
        assert report.optimality == pytest.approx(2e-4, rel=1e-3)
        assert report.measure == pytest.approx(2e-4 / scale, rel=1e-3)
