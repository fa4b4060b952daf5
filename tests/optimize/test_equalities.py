"""Method gala where all is equalities, or nothing: the exact augmented Lagrangian as its line search."""

import itertools

import numpy as np
import pytest
import scipy.optimize

import solvers
from solvers import Status
from solvers._base.iterate import Control, run
from solvers.optimize import _gala
from solvers.optimize._problem import NonlinearProblem

from .programs import EQUALITIES, equalities, exp, program

PLAIN = {"merit": "eal"}


def solved(problem, *, tol=1e-8, max_iter=200, every=False, **options):
    return run(_gala.METHOD, NonlinearProblem(problem, tol, max_iter, every=every), Control(max_iter), options or None)


@pytest.mark.parametrize("form", ["gradient", "projected"])
@pytest.mark.parametrize("name", EQUALITIES)
def test_solves(name, form):
    result = solved(equalities(name), merit_form=form)
    assert result.success
    assert result.measure <= 1e-8
    assert result.fun == pytest.approx(EQUALITIES[name][3], rel=1e-6, abs=1e-8)
    problem = equalities(name)
    gl = problem.gradient(result.x) + problem.jacobian(result.x).T @ result.multipliers
    assert np.abs(gl).max() <= 1e-8 * max(1, np.abs(result.multipliers).mean() / 100)


def test_few_iterations():
    counts = {name: solved(equalities(name)).nit for name in EQUALITIES}
    assert np.median(list(counts.values())) <= 8
    assert counts["MARATOS"] <= 5
    assert counts["S316-322"] <= 10


@pytest.mark.parametrize("scales", [(1e6, 1.0), (1.0, 1e-6), (1e6, 1e-6)])
@pytest.mark.parametrize("name", ["HS6", "HS7", "HS42", "HS77", "HS79", "BT2"])
def test_scales_change_nothing(name, scales):
    """Not with HS78: small rows are not scaled up, and far away the order of sums decides where it ends."""
    x0, f, rows, _ = EQUALITIES[name]
    scaled = program(x0, lambda x: scales[0] * f(x), [lambda x, row=row: scales[1] * row(x) for row in rows])
    # the tolerance is one of the user's units
    tol = min(1.0, scales[1])
    x = solved(scaled, tol=max(1e-14, 1e-9 * tol)).x
    np.testing.assert_allclose(x, solved(equalities(name), tol=1e-10).x, atol=1e-6)


@pytest.mark.parametrize("seed", [3, 11])
@pytest.mark.parametrize("name", ["HS6", "HS7", "HS42", "HS77", "HS79", "BT2"])
def test_rotations_change_nothing(name, seed):
    x0, f, rows, _ = EQUALITIES[name]
    Q = np.linalg.qr(np.random.default_rng(seed).normal(size=(len(x0), len(x0))))[0]

    def turned(function):
        return lambda x: function([sum((q * e for q, e in zip(row, x, strict=True)), 0.0) for row in Q])

    rotated = program(Q.T @ np.array(x0), turned(f), [turned(row) for row in rows])
    np.testing.assert_allclose(Q @ solved(rotated, tol=1e-10).x, solved(equalities(name), tol=1e-10).x, atol=1e-6)


@pytest.mark.parametrize(
    "rows",
    [
        [lambda x: x[0] ** 2 + x[1] ** 2 + 1],
        [lambda x: (x[0] - 2) ** 2 + x[1] ** 2 - 1, lambda x: (x[0] + 2) ** 2 + x[1] ** 2 - 1],
        [lambda x: x[0] + x[1] - 1, lambda x: x[0] + x[1] - 2, lambda x: x[0] - x[1]],
    ],
)
def test_no_point_is_feasible(rows):
    problem = program([0.3, 2.0], lambda x: x[0] ** 2 + x[1], rows)
    result = solved(problem)
    assert not result.success
    assert result.status == Status.LOCALLY_INFEASIBLE
    v = problem.constraints(result.x)
    assert np.abs(problem.jacobian(result.x).T @ v).max() <= 1e-5 * np.linalg.norm(v)


def test_rows_that_say_the_same():
    rows = [lambda x: x[0] + x[1] + x[2] - 1, lambda x: 2 * x[0] + 2 * x[1] + 2 * x[2] - 2]
    result = solved(program([3, -1, 2], lambda x: exp(x[0]) + x[1] ** 2 + x[2] ** 2, rows))
    assert result.success


def test_more_rows_than_variables():
    rows = [lambda x: x[0] - 1, lambda x: x[1] - 2, lambda x: x[0] * x[1] - 2]
    result = solved(program([0.0, 0.0], lambda x: x[0] ** 2, rows))
    assert result.success
    np.testing.assert_allclose(result.x, [1, 2], atol=1e-8)


def test_without_constraints():
    def rosenbrock(x):
        return sum((100 * (b - a**2) ** 2 + (1 - a) ** 2 for a, b in itertools.pairwise(x)), 0.0)

    result = solved(program([-1.2, 1.0, -1.2, 1.0], rosenbrock))
    assert result.success
    assert result.nit <= 60
    assert result.fun <= 4  # it has a second minimiser


def test_steps_of_any_length_give_the_same_bits():
    whole, single = solved(equalities("HS61")), solved(equalities("HS61"), every=True)
    assert whole.x.tobytes() == single.x.tobytes()
    assert whole.nit == single.nit


def test_unbounded():
    result = solved(program([1.0, 1.0], lambda x: -1 * x[0] ** 3, [lambda x: x[1] - x[0]]))
    assert not result.success


def test_equations_that_are_to_be_kept_feasible_are_not():
    """As in SciPy: no point would do to start from."""
    circle = scipy.optimize.NonlinearConstraint(lambda x: x @ x, 2, 2, jac=lambda x: 2 * x, keep_feasible=True)
    result = solvers.minimize(lambda x: x.sum(), [0.5, 0.3], jac=np.ones_like, constraints=circle)
    assert result.success
    np.testing.assert_allclose(result.x, [-1, -1], atol=1e-6)
