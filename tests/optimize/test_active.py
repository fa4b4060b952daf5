"""The active-set route of gala: warm starts, cold ones, and where the interior point takes over."""

import numpy as np
import pytest

from solvers.optimize import _gala

from .programs import program
from .test_equalities import solved

# Hock and Schittkowski's by their numbers: start, objective, rows, sides of the rows, of the variables, optimal value.
INEQUALITIES = {
    "HS10": (
        (-10, 10),
        lambda x: x[0] - x[1],
        [lambda x: -3 * x[0] ** 2 + 2 * x[0] * x[1] - x[1] ** 2 + 1],
        ([0], [np.inf]),
        (-np.inf, np.inf),
        -1,
    ),
    "HS21": (
        (-1, -1),
        lambda x: 0.01 * x[0] ** 2 + x[1] ** 2 - 100,
        [lambda x: 10 * x[0] - x[1] - 10],
        ([0], [np.inf]),
        ([2, -50], 50),
        -99.96,
    ),
    "HS35": (
        (0.5, 0.5, 0.5),
        lambda x: (
            9
            - 8 * x[0]
            - 6 * x[1]
            - 4 * x[2]
            + 2 * x[0] ** 2
            + 2 * x[1] ** 2
            + x[2] ** 2
            + 2 * x[0] * x[1]
            + 2 * x[0] * x[2]
        ),
        [lambda x: x[0] + x[1] + 2 * x[2]],
        ([-np.inf], [3]),
        (0, np.inf),
        1 / 9,
    ),
    "HS43": (
        (0, 0, 0, 0),
        lambda x: x[0] ** 2 + x[1] ** 2 + 2 * x[2] ** 2 + x[3] ** 2 - 5 * x[0] - 5 * x[1] - 21 * x[2] + 7 * x[3],
        [
            lambda x: x[0] ** 2 + x[1] ** 2 + x[2] ** 2 + x[3] ** 2 + x[0] - x[1] + x[2] - x[3],
            lambda x: x[0] ** 2 + 2 * x[1] ** 2 + x[2] ** 2 + 2 * x[3] ** 2 - x[0] - x[3],
            lambda x: 2 * x[0] ** 2 + x[1] ** 2 + x[2] ** 2 + 2 * x[0] - x[1] - x[3],
        ],
        ([-np.inf] * 3, [8, 10, 5]),
        (-np.inf, np.inf),
        -44,
    ),
    "HS71": (
        (1, 5, 5, 1),
        lambda x: x[0] * x[3] * (x[0] + x[1] + x[2]) + x[2],
        [lambda x: x[0] * x[1] * x[2] * x[3], lambda x: x[0] ** 2 + x[1] ** 2 + x[2] ** 2 + x[3] ** 2],
        ([25, 40], [np.inf, 40]),
        (1, 5),
        17.0140173,
    ),
}
ACTIVE = {"inequality": "active-set"}


def inequalities(name, x0=None):
    start, f, rows, sides, bounds, _ = INEQUALITIES[name]
    lower, upper = (np.broadcast_to(np.asarray(bound, float), len(start)) for bound in bounds)
    return program(
        start if x0 is None else x0, f, rows, lower=lower, upper=upper, row_lower=sides[0], row_upper=sides[1]
    )


@pytest.mark.parametrize("name", INEQUALITIES)
def test_cold_and_warm(name, seed):
    interior, cold = solved(inequalities(name)), solved(inequalities(name), **ACTIVE)
    assert cold.success
    assert cold.fun == pytest.approx(INEQUALITIES[name][-1], rel=1e-6)
    np.testing.assert_allclose(cold.x, interior.x, atol=1e-5)
    np.testing.assert_allclose(cold.multipliers, interior.multipliers, atol=1e-4)
    near = interior.x + 1e-5 * np.random.default_rng(seed).standard_normal(len(interior.x))
    warm = solved(inequalities(name, near), **ACTIVE)
    assert warm.success
    assert warm.nit <= 4
    np.testing.assert_allclose(warm.x, interior.x, atol=1e-5)
    bounds = inequalities(name)
    assert (warm.x >= bounds.lower).all()
    assert (warm.x <= bounds.upper).all()


def test_functions_are_called_within_the_bounds():
    problem = inequalities("HS71")
    fun, seen = problem.fun, []
    problem.fun = lambda x: (seen.append(x), fun(x))[1]
    assert solved(problem, **ACTIVE).success
    assert all(((x >= 1) & (x <= 5)).all() for x in seen)


def test_the_interior_point_takes_over():
    """A start where the sides that hold say nothing of those of the answer."""
    problem = program(
        [9.0, -7.0],
        lambda x: (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2,
        [lambda x: x[0] ** 3 - x[1], lambda x: x[0] * x[1]],
        lower=[-8, -8],
        upper=[9, 9],
        row_lower=[-1, -1],
        row_upper=[30, 4],
    )
    result = solved(problem, **ACTIVE)
    assert result.success
    c = problem.constraints(result.x)
    assert (c >= problem.row_lower - 1e-8).all()
    assert (c <= problem.row_upper + 1e-8).all()


def test_active_sets_where_the_interior_point_gives_up(monkeypatch):
    monkeypatch.setattr(_gala, "FIRST", 2)
    monkeypatch.setattr(_gala.Gala, "_sequential", lambda self, nlp: False)
    for name in INEQUALITIES:
        result = solved(inequalities(name))
        assert result.success
        assert result.nit > 2
        assert len(result.state.before)
        assert result.state.spent == 2
        assert result.fun == pytest.approx(INEQUALITIES[name][-1], rel=1e-6)
        assert not len(solved(inequalities(name), inequality="interior").state.before)
        single = solved(inequalities(name), every=True)
        assert single.x.tobytes() == result.x.tobytes()
        assert single.nit == result.nit


def test_nothing_is_feasible():
    problem = program([1.0, 1.0], lambda x: x[0], [lambda x: x[0] ** 2 + x[1] ** 2], row_lower=-2, row_upper=-1)
    result = solved(problem, **ACTIVE)
    assert not result.success


def test_steps_of_any_length_give_the_same_bits():
    whole, single = solved(inequalities("HS43"), **ACTIVE), solved(inequalities("HS43"), every=True, **ACTIVE)
    assert whole.x.tobytes() == single.x.tobytes()
    assert whole.nit == single.nit
