"""Method gala on small problems of Hock and Schittkowski, by the twin of the dense linear algebra."""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.optimize import Bounds, LinearConstraint, NonlinearConstraint

from solvers import minimize
from solvers._base.iterate import Control, run
from solvers._base.result import Status
from solvers.optimize import _elsewhere, _gala
from solvers.optimize._kernels import PythonNLP
from solvers.optimize._nlp import Program
from solvers.optimize._problem import NonlinearProblem
from tests.optimize.twin import DenseTwin

INF = np.inf


@dataclass
class Known:
    """Values, derivatives and the optimal value of a problem."""

    x0: list
    best: float
    fun: object
    gradient: object
    constraints: object
    jacobian: object
    hessian: object
    rows: tuple = ((), ())
    bounds: tuple = (-INF, INF)

    def problem(self, tol=1e-8, max_iter=200, every=False):
        n, m = len(self.x0), len(self.rows[0])
        lower, upper = (np.broadcast_to(np.asarray(side, float), n).copy() for side in self.bounds)
        program = Program(
            x0=np.array(self.x0, float), lower=lower, upper=upper, linear=np.zeros(m, bool),
            row_lower=np.array(self.rows[0], float), row_upper=np.array(self.rows[1], float), fun=self.fun,
            gradient=lambda x: np.array(self.gradient(x), float),
            constraints=lambda x: np.array(self.constraints(x), float),
            jacobian=lambda x: np.array(self.jacobian(x), float).reshape(m, n),
            hessian=lambda x, sigma, y: np.array(self.hessian(x, sigma, y), float),
        )  # fmt: skip
        problem = NonlinearProblem(program, tol, max_iter, every=every)
        problem.served["auto"] = PythonNLP(DenseTwin(program)), "twin"
        return problem


PROBLEMS = {
    "hs6": Known(
        [-1.2, 1], 0.0, lambda x: (1 - x[0]) ** 2, lambda x: [-2 * (1 - x[0]), 0],
        lambda x: [10 * (x[1] - x[0] ** 2)], lambda x: [-20 * x[0], 10],
        lambda x, s, y: [[2 * s - 20 * y[0], 0], [0, 0]], ([0], [0]),
    ),
    "hs7": Known(
        [2, 2], -np.sqrt(3), lambda x: np.log1p(x[0] ** 2) - x[1], lambda x: [2 * x[0] / (1 + x[0] ** 2), -1],
        lambda x: [(1 + x[0] ** 2) ** 2 + x[1] ** 2 - 4], lambda x: [4 * x[0] * (1 + x[0] ** 2), 2 * x[1]],
        lambda x, s, y: [
            [s * (2 - 2 * x[0] ** 2) / (1 + x[0] ** 2) ** 2 + y[0] * (4 + 12 * x[0] ** 2), 0],
            [0, 2 * y[0]],
        ],
        ([0], [0]),
    ),
    "hs10": Known(
        [-10, 10], -1.0, lambda x: x[0] - x[1], lambda x: [1, -1],
        lambda x: [-3 * x[0] ** 2 + 2 * x[0] * x[1] - x[1] ** 2 + 1],
        lambda x: [-6 * x[0] + 2 * x[1], 2 * x[0] - 2 * x[1]],
        lambda x, s, y: [[-6 * y[0], 2 * y[0]], [2 * y[0], -2 * y[0]]], ([0], [INF]),
    ),
    "hs14": Known(
        [2, 2], 9 - 2.875 * np.sqrt(7), lambda x: (x[0] - 2) ** 2 + (x[1] - 1) ** 2,
        lambda x: [2 * (x[0] - 2), 2 * (x[1] - 1)],
        lambda x: [1 - x[0] ** 2 / 4 - x[1] ** 2, x[0] - 2 * x[1] + 1], lambda x: [[-x[0] / 2, -2 * x[1]], [1, -2]],
        lambda x, s, y: [[2 * s - y[0] / 2, 0], [0, 2 * s - 2 * y[0]]], ([0, 0], [INF, 0]),
    ),
    "hs15": Known(
        [-2, 1], 306.5, lambda x: 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2,
        lambda x: [-400 * x[0] * (x[1] - x[0] ** 2) - 2 * (1 - x[0]), 200 * (x[1] - x[0] ** 2)],
        lambda x: [x[0] * x[1], x[0] + x[1] ** 2], lambda x: [[x[1], x[0]], [1, 2 * x[1]]],
        lambda x, s, y: [
            [s * (1200 * x[0] ** 2 - 400 * x[1] + 2), -400 * s * x[0] + y[0]],
            [-400 * s * x[0] + y[0], 200 * s + 2 * y[1]],
        ],
        ([1, 0], [INF, INF]), (-INF, [0.5, INF]),
    ),
    "hs21": Known(
        [-1, -1], -99.96, lambda x: 0.01 * x[0] ** 2 + x[1] ** 2 - 100, lambda x: [0.02 * x[0], 2 * x[1]],
        lambda x: [10 * x[0] - x[1]], lambda x: [10, -1], lambda x, s, y: [[0.02 * s, 0], [0, 2 * s]],
        ([10], [INF]), ([2, -50], [50, 50]),
    ),
    "hs35": Known(
        [0.5, 0.5, 0.5], 1 / 9,
        lambda x: 9 - 8 * x[0] - 6 * x[1] - 4 * x[2] + 2 * x[0] ** 2 + 2 * x[1] ** 2 + x[2] ** 2
        + 2 * x[0] * x[1] + 2 * x[0] * x[2],
        lambda x: [-8 + 4 * x[0] + 2 * x[1] + 2 * x[2], -6 + 4 * x[1] + 2 * x[0], -4 + 2 * x[2] + 2 * x[0]],
        lambda x: [3 - x[0] - x[1] - 2 * x[2]], lambda x: [-1, -1, -2],
        lambda x, s, y: s * np.array([[4, 2, 2], [2, 4, 0], [2, 0, 2]]), ([0], [INF]), (0, INF),
    ),
    "hs71": Known(
        [1, 5, 5, 1], 17.0140172891563, lambda x: x[0] * x[3] * (x[0] + x[1] + x[2]) + x[2],
        lambda x: [x[3] * (2 * x[0] + x[1] + x[2]), x[0] * x[3], x[0] * x[3] + 1, x[0] * (x[0] + x[1] + x[2])],
        lambda x: [np.prod(x), x @ x],
        lambda x: [[x[1] * x[2] * x[3], x[0] * x[2] * x[3], x[0] * x[1] * x[3], x[0] * x[1] * x[2]], 2 * x],
        lambda x, s, y: s * np.array([
            [2 * x[3], x[3], x[3], 2 * x[0] + x[1] + x[2]], [x[3], 0, 0, x[0]], [x[3], 0, 0, x[0]],
            [2 * x[0] + x[1] + x[2], x[0], x[0], 0],
        ]) + 2 * y[1] * np.eye(4) + y[0] * np.array([
            [0, x[2] * x[3], x[1] * x[3], x[1] * x[2]], [x[2] * x[3], 0, x[0] * x[3], x[0] * x[2]],
            [x[1] * x[3], x[0] * x[3], 0, x[0] * x[1]], [x[1] * x[2], x[0] * x[2], x[0] * x[1], 0],
        ]),
        ([25, 40], [INF, 40]), (1, 5),
    ),
    "maratos": Known(
        [np.sqrt(0.5), np.sqrt(0.5)], -1.0, lambda x: 2 * (x @ x - 1) - x[0], lambda x: [4 * x[0] - 1, 4 * x[1]],
        lambda x: [x @ x - 1], lambda x: 2 * x, lambda x, s, y: (4 * s + 2 * y[0]) * np.eye(2), ([0], [0]),
    ),
    "rosenbrock": Known(
        [-1.2, 1], 0.0, lambda x: 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2,
        lambda x: [-400 * x[0] * (x[1] - x[0] ** 2) - 2 * (1 - x[0]), 200 * (x[1] - x[0] ** 2)],
        lambda x: [], lambda x: [],
        lambda x, s, y: s * np.array([[1200 * x[0] ** 2 - 400 * x[1] + 2, -400 * x[0]], [-400 * x[0], 200]]),
    ),
    "two sides": Known(
        [0, 0], 0.5, lambda x: x @ x, lambda x: 2 * x, lambda x: [x[0] + x[1], x[0]], lambda x: [[1, 1], [1, 0]],
        lambda x, s, y: 2 * s * np.eye(2), ([1, -INF], [2, INF]),
    ),
    "fixed variable": Known(
        [3, 3, 1], 4.0, lambda x: x @ x, lambda x: 2 * x, lambda x: [x[0] + x[1]], lambda x: [1, 1, 0],
        lambda x, s, y: 2 * s * np.eye(3), ([-5], [5]), ([-INF, -INF, 2], [INF, INF, 2]),
    ),
}  # fmt: skip


def _run(problem, options=None, **control):
    return run(_gala.METHOD, problem, Control(problem.max_iter, **control), options)


@pytest.mark.parametrize("name", PROBLEMS)
def test_solves(name):
    known = PROBLEMS[name]
    result = _run(known.problem())
    assert result.success
    assert result.measure <= 1e-8
    assert result.fun == pytest.approx(known.best, rel=1e-6, abs=1e-7)
    assert result.nit <= 40
    assert result.nfev <= 80


def test_multipliers_have_the_signs_of_their_sides():
    result = _run(PROBLEMS["hs71"].problem())
    # those of the literature, for grad f + J'y + z = 0
    assert result.multipliers == pytest.approx([-0.55229366, 0.16146857], abs=1e-6)
    assert result.bound_multipliers == pytest.approx([-1.08787121, 0, 0, 0], abs=1e-6)
    assert result.jac.shape == (4,)
    assert result.inner == "twin"


def test_steps_of_any_length_give_the_same_bits():
    known = PROBLEMS["hs71"]
    whole, single = _run(known.problem()), _run(known.problem(every=True))
    assert whole.x.tobytes() == single.x.tobytes()
    assert whole.nit == single.nit
    assert len(single.history["nit"]) == single.nit + 1
    part = _run(known.problem(max_iter=3))
    rest = run(_gala.METHOD, known.problem(), Control(200, resume=part.state), None)
    assert rest.x.tobytes() == whole.x.tobytes()


def test_the_second_route_can_be_resumed(monkeypatch):
    """The active-set route begins where the interior point found nothing feasible: |x|^2 + x_0 + 1 <= 0."""
    disc = NonlinearConstraint(
        lambda x: x @ x + x[0] + 1, -INF, 0, jac=lambda x: 2 * x + [1, 0], hess=lambda x, v: 2 * v[0] * np.eye(2)
    )

    def solve(**more):
        return minimize(
            lambda x: x @ x, [1.0, 2.0], jac=lambda x: 2 * x, hess=lambda x: 2 * np.eye(2), constraints=disc, **more
        )

    monkeypatch.setattr(_elsewhere, "worthwhile", lambda problem: False)
    whole = solve()
    part = solve(max_iter=whole.state.spent + 3)
    assert whole.status is Status.LOCALLY_INFEASIBLE
    assert part.status is Status.MAX_ITER
    assert len(part.state.before)
    rest = solve(resume=part.state)
    assert (rest.nit, rest.status, rest.x.tobytes()) == (whole.nit, whole.status, whole.x.tobytes())


def test_an_exception_leaves_with_the_iterate():
    known, calls = PROBLEMS["hs15"], []

    def fun(x):
        calls.append(x)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return known.fun(x)

    problem = known.problem()
    problem.program.fun = fun
    with pytest.raises(KeyboardInterrupt) as caught:
        _run(problem)
    assert caught.value.x.shape == (2,)
    assert np.isfinite(caught.value.x).all()


def test_a_start_that_is_not_finite_is_refused():
    problem = PROBLEMS["hs6"].problem()
    problem.program.fun = lambda x: np.nan
    with pytest.raises(ValueError, match="cannot start"):
        _run(problem)


def _plain(x0, fun, gradient, hessian, **more):
    return Known(
        x0, np.nan, fun, gradient, more.pop("constraints", lambda x: []), more.pop("jacobian", lambda x: []), hessian,
        **more,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["hs10", "hs15", "hs21", "hs35", "hs71", "two sides"])
def test_a_falling_barrier_parameter_finds_the_same(name):
    known = PROBLEMS[name]
    chosen, falling = _run(known.problem(every=True)), _run(known.problem(every=True), {"monotone": True})
    assert falling.success
    assert falling.x == pytest.approx(chosen.x, rel=1e-6, abs=1e-6)
    assert not np.array_equal(falling.history["measure"], chosen.history["measure"])


def test_a_violation_that_stays_is_told():
    # x^2 + 1 <= 0 has its least violation at 0
    known = _plain(
        [2.0], lambda x: x[0], lambda x: [1.0], lambda x, s, y: [[2 * y[0]]], constraints=lambda x: [x[0] ** 2 + 1],
        jacobian=lambda x: [2 * x[0]], rows=([-INF], [0]),
    )  # fmt: skip
    result = _run(known.problem(max_iter=1000))
    assert result.status is Status.LOCALLY_INFEASIBLE
    assert not result.success
    assert abs(result.x[0]) <= 1e-2
    assert result.constr_violation == pytest.approx(1.0, abs=1e-3)


def test_an_objective_without_end_diverges():
    known = _plain(
        [1.0], lambda x: -(x[0] ** 3), lambda x: -3 * x**2, lambda x, s, y: [[-6 * s * x[0]]], bounds=(0, INF)
    )
    result = _run(known.problem(max_iter=1000))
    assert not result.success
    assert result.status in (Status.DIVERGED, Status.STAGNATION)


def test_values_that_are_not_finite_shorten_the_step():
    # log x - log(1 - x) ends at both sides of its domain
    known = _plain(
        [0.9], lambda x: -np.log(x[0]) - 3 * np.log(1 - x[0]) if 0 < x[0] < 1 else np.nan,
        lambda x: [-1 / x[0] + 3 / (1 - x[0])], lambda x, s, y: [[s * (1 / x[0] ** 2 + 3 / (1 - x[0]) ** 2)]],
        bounds=(-5, 5),
    )  # fmt: skip
    result = _run(known.problem())
    assert result.success
    assert result.x[0] == pytest.approx(0.25, abs=1e-7)


def test_the_result_costs_no_evaluation():
    known, calls = PROBLEMS["hs71"], []
    problem = known.problem()
    problem.program.fun = lambda x: calls.append(x.tobytes()) or known.fun(x)
    _run(problem)
    assert len(calls) == len(set(calls))


def test_dependent_sides_are_polished():
    # three rows meet in one point of the plane
    known = _plain(
        [3.0, 1.0], lambda x: x[0] + x[1], lambda x: [1, 1], lambda x, s, y: np.zeros((2, 2)),
        constraints=lambda x: [x[0], x[1], x[0] + 2 * x[1]], jacobian=lambda x: [[1, 0], [0, 1], [1, 2]],
        rows=([1, 1, 3], [INF, INF, INF]),
    )  # fmt: skip
    result = _run(known.problem(tol=1e-12))
    assert result.success
    assert result.x == pytest.approx([1, 1], abs=1e-12)


def quartic(rng, n, scale=1.0):
    """A strictly convex function with a unique minimum under linear rows, and its gradient."""
    A, b = rng.normal(size=(n, n)), rng.normal(size=n)
    Q = A @ A.T
    return (
        lambda x: scale * (x @ Q @ x / 2 + b @ x + (x**4).sum()),
        lambda x: scale * (Q @ x + b + 4 * x**3),
    )


@pytest.mark.parametrize("n", [1, 2, 5])
def test_a_start_far_away_blurs_no_side_that_holds(seed, n):
    """The slope there is 1e10 times that at the answer, and scales the objective, multipliers included."""
    rng = np.random.default_rng(seed)
    fun, jac = quartic(rng, n)
    row = rng.normal(size=n)
    held = LinearConstraint(row, -np.inf, row @ rng.normal(size=n) - 1)
    result = minimize(fun, rng.choice([-1e3, 1e3], n), jac=jac, constraints=held)
    assert result.success, result.message
    near = minimize(fun, np.zeros(n), jac=jac, constraints=held)
    np.testing.assert_allclose(result.x, near.x, atol=1e-6)


def test_updates_go_on_below_the_tolerance_that_would_do(seed):
    """A flat objective is within a hundredfold of the tolerance from the start on: no sign that rounding was met."""
    rng = np.random.default_rng(seed)
    fun, jac = quartic(rng, 8, 1e-6)
    result = minimize(fun, 10 * rng.normal(size=8), jac=jac)
    assert result.success, result.message


def test_an_answer_is_within_its_bounds(seed):
    """To the bit, though the barrier's own sides are a hair wider; also where the solve ends early."""
    rng = np.random.default_rng(seed)
    fun, jac = quartic(rng, 6, 1e6)
    low = rng.normal(size=6)
    for steps in range(1, 12):
        result = minimize(fun, 1e3 * rng.normal(size=6), jac=jac, bounds=Bounds(low, low + 1e-3), max_iter=steps)
        assert np.all((low <= result.x) & (result.x <= low + 1e-3))
        assert result.fun == fun(result.x)


@pytest.mark.parametrize("n", [2, 60])
@pytest.mark.parametrize("options", [{}, {"inequality": "interior"}, {"inequality": "active-set"}, {"merit": "filter"}])
def test_a_row_of_a_fixed_variable_alone_is_infeasible(options, n):
    """Others may move, and bring nothing."""
    row = LinearConstraint(np.eye(n)[:1], 2, np.inf)
    result = minimize(
        lambda x: x @ x, np.full(n, 0.5), jac=lambda x: 2 * x, hess=lambda x: 2 * np.eye(n), constraints=row,
        bounds=[(1, 1)] + [(None, None)] * (n - 1), options=options,
    )  # fmt: skip
    assert result.status == Status.LOCALLY_INFEASIBLE
    assert result.constr_violation == pytest.approx(1)


@pytest.mark.parametrize("more", [{"hess": lambda x: 2 * np.eye(2)}, {}])
@pytest.mark.parametrize(("lower", "upper"), [(5.0, 5.0), (5.0, 9.0), (0.0, 1.0)])
def test_where_all_variables_are_fixed_violated_rows_are_infeasible(lower, upper, more):
    """There is no other point, which is no matter of rounding."""
    for row in (
        LinearConstraint([[1, 1]], lower, upper),
        NonlinearConstraint(lambda x: x @ x, lower, upper, jac=lambda x: 2 * x, hess=lambda x, v: 2 * v[0] * np.eye(2)),
    ):
        result = minimize(lambda x: x @ x, [2.0, 3], jac=lambda x: 2 * x, bounds=[(1, 1)] * 2, constraints=row, **more)
        assert result.status is Status.LOCALLY_INFEASIBLE
        assert result.constr_violation == max(lower - 2, 2 - upper)
        assert result.x.tolist() == [1, 1]
