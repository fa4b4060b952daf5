"""Method gala by each linear algebra of its systems, on the control of elliptic equations (solvers/demo/control.py)."""

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import LinearConstraint
from scipy.sparse.linalg import LinearOperator

import solvers
from solvers.demo.control import Control

# By SLSQP and by IPOPT.
KNOWN = {8: 74.09302233, 12: 169.1240033, 16: 301.8003650}
ROUTES = ("dense", "sparse", "minres", "projected-cg")


def solved(problem, **options):
    return solvers.minimize(problem.fun, problem.x0, **problem.arguments(), method="gala", tol=1e-8, options=options)


@pytest.mark.parametrize("N", sorted(KNOWN))
@pytest.mark.parametrize("inner", ROUTES)
def test_the_linear_problem_takes_few_steps(N, inner):
    problem = Control(N)
    result = solved(problem, inner=inner)
    assert result.success
    assert result.inner == inner
    if inner == "sparse":
        assert result.stats["factorisations"] >= 1
    elif inner != "dense":
        steps = result.stats["inner_steps"]
        assert len(steps) >= result.nit
        assert steps.all() == (inner == "minres")  # the other's preconditioner is exact here
        assert result.stats["products"] > steps.sum()
    assert result.fun == pytest.approx(KNOWN[N], rel=1e-9)
    assert result.nit <= (1 if inner in ("dense", "sparse") else 3)
    assert max(problem.judged(result.x)) < 1e-7


@pytest.mark.parametrize("inner", ["auto", "projected-cg"])
def test_a_users_preconditioner_serves_the_users_units(inner):
    """The exact inverse of the matrix in the user's units: the method's scales do not spoil it."""
    problem = Control(17)
    given = {"inner": inner, "precond": problem.fast_poisson}
    if inner == "auto":  # MINRES wants one that is positive definite
        n = problem.size
        given["precond"] = lambda H, J, dx, dc: blocks(problem, H.diagonal() + dx, n)
    result = solved(problem, **given)
    assert result.success
    assert result.nit <= 2
    assert result.inner == ("minres" if inner == "auto" else inner)
    assert result.fun == pytest.approx(solved(problem, inner="sparse").fun, rel=1e-10)


def blocks(problem, diagonal, n):
    L = problem.linear[:, :n].toarray()
    inverse = np.linalg.inv(L @ np.diag(1 / diagonal[:n]) @ L.T + np.diag(1 / diagonal[n:]))
    return LinearOperator(
        (3 * n, 3 * n), matvec=lambda r: np.concatenate([r[: 2 * n] / diagonal, inverse @ r[2 * n :]]), dtype=float
    )


@pytest.mark.parametrize("limit", [np.inf, 60.0])
def test_routes_agree_on_the_semilinear_problem(limit):
    problem = Control(12, semilinear=True, low=-limit, high=limit)
    results = {inner: solved(problem, inner=inner) for inner in ("dense", "sparse", "projected-cg")}
    for result in results.values():
        assert result.success
        assert result.fun == pytest.approx(results["dense"].fun, rel=1e-7)
        assert np.abs(result.x[problem.size :]).max() <= limit
        assert max(problem.judged(result.x)) < 1e-3
    assert solved(problem).inner == "sparse"


def test_a_hessian_known_by_products():
    """hessp: projected conjugate gradients, and the same answer."""
    problem = Control(9)
    arguments = problem.arguments() | {"hessp": lambda x, p: problem.weights * p}
    del arguments["hess"]
    arguments["constraints"] = LinearConstraint(problem.linear, 0, 0)
    result = solvers.minimize(problem.fun, problem.x0, **arguments, method="gala", tol=1e-8)
    assert result.success
    assert result.inner == "projected-cg"
    assert result.fun == pytest.approx(solved(problem).fun, rel=1e-9)


@pytest.mark.parametrize("inner", ["sparse", "minres", "projected-cg"])
def test_negative_curvature_is_shifted(inner):
    """Saddles: a concave quartic's start between two minima, with a constraint and bounds, and 40 of them."""
    n = 40
    pattern = sp.csr_array(np.ones((1, n)))
    result = solvers.minimize(
        lambda x: float(np.sum(x**4 / 4 - x**2 / 2)), 0.05 + 0.001 * np.arange(n), jac=lambda x: x**3 - x,
        hess=lambda x: sp.diags_array(3 * x**2 - 1).tocsr(), bounds=[(-2, 2)] * n,
        constraints=LinearConstraint(pattern, 10, n), method="gala", tol=1e-8, options={"inner": inner},
    )  # fmt: skip
    assert result.success
    at_minima = np.abs(np.abs(result.x) - 1) < 1e-5
    # MINRES sees the curvature of its steps alone: it may end at a saddle in some of the variables
    assert at_minima.all() or (inner == "minres" and at_minima.sum() > n / 2)


def test_the_adjoint_judges_what_is_off():
    problem = Control(10, semilinear=True, low=-60, high=60)
    x = solved(problem).x
    worse = x.copy()
    worse[problem.size + 44] += 0.1
    assert problem.judged(worse)[1] > 0.05
    assert problem.judged(problem.x0)[0] > 1e-3
