"""A start far from few rows that curve: gala goes to them first, which calls nothing of the objective's."""

import numpy as np
import pytest
from scipy import LowLevelCallable
from scipy.optimize import LinearConstraint, NonlinearConstraint

import solvers
from solvers.testing import NonlinearProgram, check_minimum

from .test_compiled import CURVATURE, FUN, ROWS, VECTOR

N = 60
SLOPE = np.cos(np.arange(N))
FAR = 3 + np.sin(np.arange(N))
ROWS_OF_A = np.sin(np.arange(2 * N)).reshape(2, N)


class Objective:
    """``sum(x^4) / 4 + SLOPE'x``, and where it and its derivatives were called."""

    def __init__(self, broken=None):
        self.points = {"fun": [], "jac": [], "hess": []}
        self.broken = broken  # the function whose second value is NaN

    def _value(self, x, name, value):
        self.points[name].append(x.copy())
        return value * np.nan if name == self.broken and len(self.points[name]) == 2 else value

    def fun(self, x):
        return self._value(x, "fun", (x**4).sum() / 4 + SLOPE @ x)

    def jac(self, x):
        return self._value(x, "jac", x**3 + SLOPE)

    def hess(self, x):
        return self._value(x, "hess", np.diag(3 * x**2))


SPHERE = NonlinearConstraint(
    lambda x: x @ x, 1, 1, jac=lambda x: 2 * x[None], hess=lambda x, v: 2 * v[0] * np.eye(len(x))
)
PLANES = LinearConstraint(ROWS_OF_A, 0.1, 0.1)
PROGRAM = NonlinearProgram(
    Objective().fun, Objective().jac, lambda x: np.concatenate([ROWS_OF_A @ x, [x @ x]]),
    lambda x: np.vstack([ROWS_OF_A, 2 * x]), row_lower=[0.1, 0.1, 1.0], row_upper=[0.1, 0.1, 1.0],
)  # fmt: skip


def solved(objective, x0, **more):
    return solvers.minimize(
        objective.fun, x0, jac=objective.jac, hess=objective.hess, constraints=[PLANES, SPHERE], **more
    )


def test_the_objective_waits_for_the_rows():
    objective = Objective()
    result = solved(objective, FAR)
    assert result.success
    check_minimum(result, PROGRAM)
    assert result.nfev == len(objective.points["fun"])
    assert result.stats["constr_nfev"][1] >= result.nfev + 4  # the first is linear, and never called
    # between the start and the neighbourhood of the rows there is no call
    sizes = [np.linalg.norm(x) for x in objective.points["fun"]]
    assert sizes[0] > 20
    assert max(sizes[1:]) < sizes[0] / 5


@pytest.mark.parametrize("start", [FAR, np.linspace(-2, 3, N)])
def test_hessians_are_called_once_a_point(start):
    objective = Objective()
    assert solved(objective, start).success
    points = {x.tobytes() for x in objective.points["hess"]}
    assert len(points) == len(objective.points["hess"])


@pytest.mark.parametrize("name", ["fun", "jac"])
def test_where_nothing_is_finite_on_the_rows_x0_counts(name):
    objective = Objective(broken=name)
    result = solved(objective, FAR)
    assert result.success
    check_minimum(result, PROGRAM)
    refused, first = objective.points[name][1], objective.points["hess"][0]
    assert np.linalg.norm(refused) < np.linalg.norm(FAR) / 5  # the point on the way to the rows
    np.testing.assert_array_equal(first, FAR)


def test_few_variables_or_a_start_on_the_rows_need_no_approach():
    for n, x0 in ((10, np.full(10, 30.0)), (N, np.eye(N)[0])):
        objective = solvers.minimize(
            lambda x: (x**4).sum() / 4 + x[1], x0, jac=lambda x: x**3 + np.eye(len(x))[1],
            hess=lambda x: np.diag(3 * x**2), constraints=SPHERE,
        )  # fmt: skip
        assert objective.success
        assert objective.stats["constr_nfev"][0] <= objective.nfev + 1, n


@FUN
def quartic(n, x, data):
    return sum(x[i] ** 4 / 4 + SLOPE[i] * x[i] for i in range(n))


@VECTOR
def quartic_jac(n, x, g, data):
    for i in range(n):
        g[i] = x[i] ** 3 + SLOPE[i]


@VECTOR
def quartic_hess(n, x, H, data):
    for i in range(n):
        H[i * n + i] = 3 * x[i] ** 2


@ROWS
def sphere(n, m, x, c, data):
    c[0] = sum(x[i] ** 2 for i in range(n))


@ROWS
def sphere_jac(n, m, x, J, data):
    for i in range(n):
        J[i] = 2 * x[i]


@CURVATURE
def sphere_hess(n, m, x, y, H, data):
    for i in range(n):
        H[i * n + i] = 2 * y[0]


@pytest.mark.parametrize("options", [None, {"window": 5}])
def test_compiled_functions_are_counted_apart(options):
    """By the short way and by the long one, which options ask for."""
    rows = NonlinearConstraint(
        LowLevelCallable(sphere), 1, 1, jac=LowLevelCallable(sphere_jac), hess=LowLevelCallable(sphere_hess)
    )
    result = solvers.minimize(
        LowLevelCallable(quartic), FAR, jac=LowLevelCallable(quartic_jac),
        hess=LowLevelCallable(quartic_hess), constraints=rows, options=options,
    )  # fmt: skip
    objective = Objective()
    expected = solvers.minimize(objective.fun, FAR, jac=objective.jac, hess=objective.hess, constraints=SPHERE)
    assert result.success
    assert (result.nit, result.nfev, result.njev) == (expected.nit, expected.nfev, expected.njev)
    for name in ("nfev", "njev"):
        own, others = result.stats[f"constr_{name}"][0], expected.stats[f"constr_{name}"][0]
        assert result[name] < own
        assert own <= others <= own + 1  # Python's rows are counted at x0 to learn how many there are
