"""The published algorithm: what its theory promises of each step."""

import numpy as np
import pytest
from scipy.optimize import LinearConstraint, NonlinearConstraint

import solvers
from solvers import MethodError, Status
from solvers._base.options import build
from solvers.optimize._adasketch import AdaSketchNewton, evaluated
from solvers.optimize._forms import nonlinear_problem
from solvers.optimize._nlp import Scaled

SKETCHES = [
    {"sketch": "rk"}, {"sketch": "gaussian"}, {"sketch": "block", "size": 3}, {"sketch": "countsketch", "size": 3},
]  # fmt: skip
NAMES = [options["sketch"] for options in SKETCHES]


def equality(c, J, H, count):
    return NonlinearConstraint(c, 0, 0, jac=J, hess=lambda x, v: sum(v[k] * H(x)[k] for k in range(count)))


#: name -> (fun, jac, hess, constraint, x0, least value); HS numbers of Hock and Schittkowski (1981).
PROBLEMS = {
    "hs7": (
        lambda x: np.log1p(x[0] ** 2) - x[1],
        lambda x: np.array([2 * x[0] / (1 + x[0] ** 2), -1]),
        lambda x: np.diag([2 * (1 - x[0] ** 2) / (1 + x[0] ** 2) ** 2, 0]),
        equality(
            lambda x: (1 + x[0] ** 2) ** 2 + x[1] ** 2 - 4,
            lambda x: np.array([4 * x[0] * (1 + x[0] ** 2), 2 * x[1]]),
            lambda x: [np.diag([4 + 12 * x[0] ** 2, 2])], 1,
        ),
        [2.0, 2.0], -np.sqrt(3),
    ),
    "maratos": (
        lambda x: 2 * (x @ x - 1) - x[0], lambda x: 4 * x - np.array([1, 0]), lambda x: 4 * np.eye(2),
        equality(lambda x: x @ x - 1, lambda x: 2 * x, lambda x: [2 * np.eye(2)], 1),
        [1.1, 0.1], -1.0,
    ),
    "hs48": (
        lambda x: (x[0] - 1) ** 2 + (x[1] - x[2]) ** 2 + (x[3] - x[4]) ** 2,
        lambda x: 2 * np.array([x[0] - 1, x[1] - x[2], x[2] - x[1], x[3] - x[4], x[4] - x[3]]),
        lambda x: 2 * (np.eye(5) - np.eye(5)[[0, 2, 1, 4, 3]] * (np.arange(5) > 0)),
        LinearConstraint([[1, 1, 1, 1, 1], [0, 0, 1, -2, -2]], [5, -3], [5, -3]),
        [3.0, 5.0, -3.0, 2.0, -2.0], 0.0,
    ),
}  # fmt: skip


def problem_of(name):
    fun, jac, hess, constraint, x0, _ = PROBLEMS[name]
    return nonlinear_problem(
        fun, x0, (), jac, hess, None, None, constraint, tol=1e-8, max_iter=200, every=True, threads=1
    )


def solve(name, **keywords):
    fun, jac, hess, constraint, x0, _ = PROBLEMS[name]
    return solvers.minimize(fun, x0, jac=jac, hess=hess, constraints=constraint, **keywords)


@pytest.mark.parametrize("options", SKETCHES, ids=NAMES)
@pytest.mark.parametrize("name", list(PROBLEMS))
def test_converges(name, options):
    result = solve(name, options={"preset": "paper", **options}, tol=1e-6, rng=3)
    assert result.success
    assert result.method == "adasketch-newton"
    assert result.nit <= 20
    assert result.fun == pytest.approx(PROBLEMS[name][-1], abs=1e-6)
    assert result.inner == f"sketch: {options['sketch']}"
    assert result.stats["projections"] > 0


def test_the_tolerance_is_the_published_one():
    """Of the residual's 2-norm, where no other is given; the preset's other numbers are its options' defaults."""
    result = solve("hs7", options={"preset": "paper"})
    measures = result.history["measure"]
    assert result.success
    assert measures[-2] > 1e-4 >= measures[-1]
    assert solve("hs7", options={"preset": "paper"}, tol=1e-9).measure <= 1e-9


@pytest.mark.parametrize("options", SKETCHES, ids=NAMES)
@pytest.mark.parametrize("name", list(PROBLEMS))
def test_every_step_is_one_of_descent(name, options):
    """grad M'z <= -eta2/2 R^2 after each inner solve; M of the penalties in use falls by the Armijo part of it."""
    problem, solver = problem_of(name), build(AdaSketchNewton, "adasketch-newton", options)
    functions = Scaled(problem.program)
    state = solver.init(problem)
    while solver.done(problem, state) is None:
        new = solver.step(problem, state)
        assert new.slope <= -new.eta2 / 2 * state.measure**2
        before, after = (evaluated(functions, s.x, s.y).merit(new.eta1, new.eta2) for s in (state, new))
        assert after <= before + 0.1 * new.alpha * new.slope + 1e-14 * max(1, abs(before))
        assert (new.eta1, -new.eta2, -new.delta) >= (state.eta1, -state.eta2, -state.delta)
        state = new
    assert state.alpha == 1
    assert state.measure <= problem.tol


def test_the_gradient_of_the_merit_function(seed):
    """By differences: the Hessian in it is the Lagrangian's."""
    rng = np.random.default_rng(seed)
    for name in PROBLEMS:
        functions = Scaled(problem_of(name).program)
        n, m = functions.n, functions.m
        z, (eta1, eta2) = rng.standard_normal(n + m), rng.random(2) + 0.1
        functions.curvature(z[:n], 1.0, z[n:])
        slope = evaluated(functions, z[:n], z[n:]).gradient(functions.H, eta1, eta2)
        along = rng.standard_normal(n + m)
        low, high = (evaluated(functions, w[:n], w[n:]).merit(eta1, eta2) for w in (z - 1e-5 * along, z + 1e-5 * along))
        assert (high - low) / 2e-5 == pytest.approx(slope @ along, rel=1e-6, abs=1e-6)


def test_superlinear_accuracy():
    """The residual of a step is at most a multiple of the square of the one before."""
    problem = problem_of("hs7")
    solver = AdaSketchNewton(theta="superlinear")
    measures = [solver.init(problem).measure]
    state = solver.init(problem)
    while solver.done(problem, state) is None:
        state = solver.step(problem, state)
        measures.append(state.measure)
    assert measures[-1] <= 10 * measures[-2] ** 2
    assert measures[-2] <= 10 * measures[-3] ** 2


def test_dependent_constraints_end_it():
    result = solvers.minimize(
        lambda x: x @ x, [1.0, 2.0], jac=lambda x: 2 * x, hess=lambda x: 2 * np.eye(2), method="adasketch-newton",
        constraints=LinearConstraint([[1, 1], [2, 2]], [1, 2], [1, 2]),
    )  # fmt: skip
    assert (result.status, result.success, result.nit) == (Status.BREAKDOWN, False, 1)


def test_what_it_refuses():
    for keywords in ({"bounds": [(0, 1)] * 2}, {"constraints": LinearConstraint([[1, 1]], 0, 1)}):
        with pytest.raises(MethodError, match="nonlinear-program"):
            solvers.minimize(lambda x: x @ x, [1.0, 2.0], method="adasketch-newton", **keywords)
    with pytest.raises(ValueError, match="cannot start"):
        solvers.minimize(lambda x: np.nan, [1.0], jac=lambda x: x, hess=lambda x: np.eye(1), method="adasketch-newton")
