"""The exact augmented Lagrangian by itself: its gradient, descent directions, and Newton's method with its search."""

import numpy as np
import pytest

from solvers.optimize._kernels import Merit, PythonNLP

from .programs import EQUALITIES, equalities, log, program
from .twin import DenseTwin


def merit_at(problem, x, y, **options):
    """A merit function at (x, y), whose J and H are current."""
    backend = DenseTwin(problem)
    merit = Merit(PythonNLP(backend), x, y, np.zeros(problem.m), **options)
    backend.curvature(x, 1.0, y)
    return backend, merit


@pytest.mark.parametrize("projected", [False, True])
@pytest.mark.parametrize("name", EQUALITIES)
def test_gradient(name, projected):
    problem = equalities(name)
    n = problem.n
    rng = np.random.default_rng(5)
    z = np.r_[problem.x0 + 0.1 * rng.standard_normal(n), rng.standard_normal(problem.m)]

    def value(z):
        merit.move(z[:n], z[n:])
        return merit.gradient()[0]

    backend, merit = merit_at(problem, z[:n], z[n:], projected=projected)
    merit.penalties = 3.0, 0.7
    gradient = merit.gradient()[1]
    differences = np.empty_like(z)
    for i, h in enumerate(1e-4 * np.maximum(1, np.abs(z))):
        e = h * np.eye(len(z))[i]
        # Of fourth order: the rounding of M, which is large here, allows no short steps.
        differences[i] = (8 * (value(z + e) - value(z - e)) - (value(z + 2 * e) - value(z - 2 * e))) / (12 * h)
    np.testing.assert_allclose(gradient, differences, rtol=0, atol=1e-6 * np.abs(gradient).max())
    # H is that of the Lagrangian still, whatever the gradient asked for in between.
    merit.move(z[:n], z[n:])
    merit.gradient()
    np.testing.assert_array_equal(backend.H, problem.hessian(z[:n], 1.0, z[n:]))


def newton(problem, *, window=1, tol=1e-9, most=150, projected=False):
    """Newton's method with the search, by the twin: the points, and what the search said of each step."""
    n, m = problem.n, problem.m
    backend = DenseTwin(problem)
    g = backend.slopes(problem.x0)
    y = -np.linalg.lstsq(backend.J.T, g, rcond=None)[0]
    merit = Merit(PythonNLP(backend), problem.x0, y, np.zeros(m), window=window, projected=projected)
    points, steps, last = [merit.point], [], 0.0
    for _ in range(most):
        x, y, _, gl, c = merit.point
        if np.abs(np.r_[gl, c]).max() <= tol:
            break
        backend.curvature(x, 1.0, y)
        backend.slopes(x)
        dw = dc = 0.0
        while True:
            right = backend.factor(True, np.full(n, dw), np.full(m, dc)) == (m, 0)
            step, descent = merit.direction(dc) if right else (None, False)
            if descent:
                break
            if dc == 0:
                dc = 1e-8
            else:
                dw = 8 * dw if dw else max(1e-4, last / 3)
            assert dw < 1e20
        last = dw
        gradient = merit.gradient()[1]
        before = (
            merit.gradient()[0],
            merit.penalties,
            gradient @ step,
            merit.penalties[1] / 2 * np.sum(np.r_[gl, c] ** 2),
        )
        assert merit.search()
        points.append(merit.point)
        steps.append(dict(merit.stats, before=before, shifted=dw > 0))
    return points, steps


def residual(point):
    return np.linalg.norm(np.r_[point[3], point[4]])


@pytest.fixture(scope="module", params=EQUALITIES)
def run(request):
    return request.param, *newton(equalities(request.param))


def test_solved(run):
    name, points, _ = run
    assert residual(points[-1]) <= 1e-8
    np.testing.assert_allclose(points[-1][2], EQUALITIES[name][3], rtol=1e-6, atol=1e-8)


def test_directions_descend(run):
    for step in run[2]:
        _, penalties, slope, least = step["before"]
        assert slope <= -least * (1 - 1e-6)
        assert slope == pytest.approx(step["slope"], rel=1e-6)
        assert (step["eta1"], step["eta2"]) == penalties


def test_merit_falls(run):
    for step in run[2]:
        value = step["before"][0]
        assert step["value"] <= value + 1e-14 * max(1, abs(value))


def test_penalties_stay_bounded(run):
    for step in run[2]:
        assert 1 <= step["eta1"] <= 1e8
        assert 1e-8 <= step["eta2"] <= 0.1


@pytest.mark.parametrize("name", ["HS77", "HS79", "BT12"])
def test_quadratic_convergence(name):
    points, steps = newton(equalities(name), tol=1e-11)
    R = np.array([residual(point) for point in points])
    assert (R[1:][-3:] <= 10 * R[:-1][-3:] ** 2 + 1e-13).all()
    assert [step["step"] for step in steps[-3:]] == [1, 1, 1]


def test_no_maratos_effect():
    """Where the objective and the violation both rise along Newton's steps, however near the solution."""
    steps = newton(equalities("MARATOS"))[1]
    assert [(step["step"], step["corrected"]) for step in steps[-3:]] == [(1, 0)] * 3


def test_lagged_values():
    """A window of past values lets the merit rise for a while, and the same points come out."""
    for name in ("HS7", "HS42", "BT2"):
        monotone, lagged = (newton(equalities(name), window=window)[0][-1] for window in (1, 5))
        np.testing.assert_allclose(monotone[0], lagged[0], atol=1e-6)


def test_what_is_not_finite_is_rejected():
    def f(x):
        return -1 * log(x[0]) + x[0] if x[0].value > 0 else x[0] * np.nan

    points, steps = newton(program([8.0, 0.0], f, [lambda x: x[1]]))
    np.testing.assert_allclose(points[-1][0], [1, 0], atol=1e-8)
    assert steps[0]["step"] < 1


def test_projected_form_solves():
    for name in ("HS6", "HS77", "BT2"):
        points, _ = newton(equalities(name), projected=True)
        assert residual(points[-1]) <= 1e-8
