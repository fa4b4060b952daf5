"""Restoration of feasibility, and the polish of a KKT point, by themselves."""

import numpy as np
import pytest

from solvers.optimize._kernels import PythonNLP, Sides, polish, restore

from .programs import equalities, program
from .twin import DenseTwin


def table(problem):
    backend = DenseTwin(problem)
    return PythonNLP(backend), Sides(problem.lower, problem.upper, problem.row_lower, problem.row_upper)


def violation(problem, x):
    c = problem.constraints(x)
    return np.abs(c - np.clip(c, problem.row_lower, problem.row_upper)).max(initial=0.0)


def restored(problem, *, curved=True, x=None, target=1e-10, most=100):
    x, outcome, numbers = restore(*table(problem), problem.x0 if x is None else x, target, 1e-9, most, curved=curved)
    assert (x >= problem.lower).all()
    assert (x <= problem.upper).all()
    assert numbers["violation"] == violation(problem, x)
    return x, outcome, numbers


@pytest.mark.parametrize("curved", [False, True])
@pytest.mark.parametrize("name", ["HS6", "HS7", "HS40", "HS61", "HS77", "HS78", "BT12", "BYRDSPHR"])
def test_equations(name, curved):
    _, outcome, numbers = restored(equalities(name), curved=curved)
    assert outcome == "restored"
    assert numbers["steps"] <= 25


@pytest.mark.parametrize("curved", [False, True])
def test_no_point_is_feasible(curved):
    """The nearest that two circles apart come to one another."""
    problem = program(
        [0.3, 2.0],
        lambda x: x[0],
        [lambda x: (x[0] - 2) ** 2 + x[1] ** 2 - 1, lambda x: (x[0] + 2) ** 2 + x[1] ** 2 - 1],
    )
    x, outcome, numbers = restored(problem, curved=curved)
    assert outcome == "infeasible"
    v, J = problem.constraints(x), problem.jacobian(x)
    assert np.abs(J.T @ v).max() <= 1e-8 * np.linalg.norm(v)
    np.testing.assert_allclose(x, 0, atol=1e-6)
    assert numbers["steps"] <= (20 if curved else 100)


def test_stationary_points_that_are_no_minimisers_are_left():
    for curved in (False, True):
        assert restored(equalities("S316-322"), curved=curved)[1] == "restored"


def test_bounds_and_inequalities(seed):
    """A point of a polyhedron and a ball, within a box."""
    rng = np.random.default_rng(seed)
    n, m = 6, 5
    A, inside = rng.standard_normal((m, n)), rng.uniform(-0.5, 0.5, n)
    rows = [lambda x, a=a: sum((float(w) * v for w, v in zip(a, x, strict=True)), 0.0) for a in A]
    rows.append(lambda x: sum((v * v for v in x), 0.0))
    problem = program(
        rng.uniform(-0.5, 0.5, n),
        lambda x: x[0],
        rows,
        lower=np.full(n, -0.5),
        upper=np.full(n, 0.5),
        row_lower=np.r_[A @ inside, -np.inf],
        row_upper=np.r_[A[:2] @ inside, np.full(m - 2, np.inf), inside @ inside],
    )
    assert restored(problem)[1] == "restored"


def test_a_bound_in_the_way():
    """The row pulls x out of its box: the corner is the nearest point."""
    problem = program(
        [0.5, 0.5], lambda x: x[0], [lambda x: x[0] * x[0] + x[1] - 9], lower=np.zeros(2), upper=np.ones(2)
    )
    x, outcome, _ = restored(problem)
    assert outcome == "infeasible"
    np.testing.assert_array_equal(x, 1)


def test_feasible_from_the_start():
    problem = program([1.0, 2.0], lambda x: x[0], [lambda x: x[0] + x[1] - 3])
    x, outcome, numbers = restored(problem)
    assert (outcome, numbers["steps"]) == ("restored", 0)
    np.testing.assert_array_equal(x, problem.x0)


def test_an_exception_ends_it():
    problem = equalities("HS7")
    calls = []

    def constraints(x):
        calls.append(x)
        if len(calls) > 2:
            raise ZeroDivisionError("in the user's function")
        return np.array([x[0] ** 2 + 1])

    problem.constraints = constraints
    with pytest.raises(ZeroDivisionError, match="in the user's function"):
        restore(*table(problem), problem.x0, 1e-9, 1e-9, 50)


# The corner x = (1, 2) of a curved triangle with f rising away from it: one row and one bound hold.
def corner():
    return program(
        [0.9, 2.1, 0.0],
        lambda x: (x[0] - 4) ** 2 + (x[1] - 3) ** 2 + (x[2] - 1) ** 4,
        [lambda x: x[0] * x[0] + x[1], lambda x: x[0] - x[1]],
        lower=[-np.inf, -np.inf, -5],
        upper=[1, np.inf, 0.5],
        row_lower=[-np.inf, -10],
        row_upper=[3, 10],
    )


def test_polish(seed):
    problem = corner()
    rng = np.random.default_rng(seed)
    nlp, sides = table(problem)
    exact = np.array([1, 2, 0.5]), np.array([2.0, 0.0]), np.array([2.0, 0, 0.5])
    near = [part + 1e-6 * rng.standard_normal(part.shape) for part in exact]
    near[0] = np.clip(near[0], problem.lower, problem.upper)
    x, y, z, before, after = polish(nlp, sides, 1.0, np.ones(2), *near)
    assert before > 1e-7
    assert after <= 1e-14
    np.testing.assert_allclose(x, exact[0], atol=1e-14)
    np.testing.assert_allclose(y, exact[1], atol=1e-12)
    np.testing.assert_allclose(problem.gradient(x) + problem.jacobian(x).T @ y + z, 0, atol=1e-13)


def test_polish_measures_in_the_users_units():
    problem = corner()
    backend = DenseTwin(problem)
    f_scale, rows = 1e-3, np.array([0.01, 10.0])
    backend.scale(f_scale, rows)
    sides = Sides(problem.lower, problem.upper, rows * problem.row_lower, rows * problem.row_upper)
    y, z = np.array([1.9, 0.0]), np.array([1.9, 0, 0.4])
    point = np.array([0.9999, 2.0001, 0.4999])
    plain = polish(*table(problem), 1.0, np.ones(2), point, y, z)
    scaled = polish(PythonNLP(backend), sides, f_scale, rows, point, y * f_scale / rows, z * f_scale)
    assert scaled[3] == pytest.approx(plain[3], rel=1e-12)
    assert max(scaled[4], plain[4]) < 1e-6
    gl = problem.gradient(point) + problem.jacobian(point).T @ y + z
    c = problem.constraints(point)
    assert plain[3] == pytest.approx(max(np.abs(gl).max(), 1.9 * abs(3 - c[0]), 1.9 * 1e-4, c[0] - 3))


def test_polish_leaves_what_it_cannot_improve():
    problem = corner()
    nlp, sides = table(problem)
    given = np.array([0.0, 0.0, 0.0]), np.zeros(2), np.zeros(3)
    *_, before, after = polish(nlp, sides, 1.0, np.ones(2), *given, steps=0)
    assert after == before
    exact = np.array([1, 2, 0.5]), np.array([2.0, 0.0]), np.array([2.0, 0, 0.5])
    x, y, z, before, after = polish(nlp, sides, 1.0, np.ones(2), *exact)
    assert after == before == 0
    for part, same in zip((x, y, z), exact, strict=True):
        np.testing.assert_array_equal(part, same)


def test_polish_of_variables_that_are_held_where_they_are():
    """Slacks and multipliers of a path, all of product 1e-9: which of them are to vanish cannot be told by their sizes.

    The first row has variables alone that are held; its multiplier is left as it is.
    """
    mu, held = 1e-9, np.array([2e-10, 3e-10])
    problem = program(
        [0.0] * 4, lambda x: x[0] ** 2 / 2 - x[0] + 1e4 * (x[1] - 2e-5) ** 2 + 5 * x[2] + 3 * x[3],
        [lambda x: x[2] + x[3], lambda x: x[0] + x[1] + x[3]], lower=[0.0] * 4, row_lower=[0, 0.9], row_upper=[0, 0.9],
    )  # fmt: skip
    x = np.r_[0.9 - 2.2e-5 - held[1], 2.2e-5, held]
    y = np.r_[-1.0, 0.1]
    z = -mu / x
    near = polish(*table(problem), 1.0, np.ones(2), x, y, z, 3, mu, 0)
    x, y, z, before, after = polish(*table(problem), 1.0, np.ones(2), x, y, z, 3, mu, 2)
    assert near[4] > 1e-3 < before  # the sides alone do not serve
    np.testing.assert_array_equal(x[2:], held)
    assert y[0] == -1
    assert abs(problem.gradient(x) + problem.jacobian(x).T @ y + z).max() < 1e-13
    np.testing.assert_array_equal(z[:2], 0)
    assert after == pytest.approx(held[1] * 3, rel=2)
