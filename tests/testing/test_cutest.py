"""Problems of the CUTEst collection: what the packages call them, leave out and print is not seen."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import scipy.optimize

from solvers.testing import cutest, cutest_table, kkt

INF = np.inf

#: name, arguments, n, m, f(x0): curved groups, bounds, ranges, systems, no rows at all, a name with a digit.
PROBLEMS = (
    ("HS71", (), 4, 2, 16.0),
    ("HS10", (), 2, 1, -20.0),
    ("HS118", (), 15, 17, 942.7162499999998),
    ("ALSOTAME", (), 2, 1, 1.0),
    ("BT12", (), 5, 3, 4.99975442),
    ("BOOTH", (), 2, 2, 0.0),
    ("DEGENLPA", (), 20, 15, 533.369),
    ("10FOLDTR", (6,), 6, 6, 0.0),
    ("ROSENBR", (), 2, 0, 24.2),
)


def differences(function, x, step=1e-6):
    return np.column_stack([(function(x + h) - function(x - h)) / (2 * step) for h in step * np.eye(len(x))])


@pytest.mark.parametrize(("name", "arguments", "n", "m", "f"), PROBLEMS, ids=[row[0] for row in PROBLEMS])
def test_functions_agree_with_their_derivatives(seed, name, arguments, n, m, f, capsys):
    problem = cutest(name, *arguments)
    assert (problem.n, problem.m) == (n, m)
    assert problem.fun(problem.x0) == pytest.approx(f, rel=1e-6)
    rng = np.random.default_rng(seed)
    x = problem.x0 + 0.01 * rng.normal(size=n)
    y, v = rng.normal(size=m), rng.normal(size=n)
    J = problem.jacobian(x)
    assert J.shape == (m, n)
    np.testing.assert_allclose(
        problem.gradient(x) @ v, differences(lambda t: problem.fun(x + t * v), np.zeros(1)).sum(), rtol=1e-5, atol=1e-5
    )
    along = differences(lambda t: problem.constraints(x + t * v), np.zeros(1))[:, 0] if m else np.zeros(0)
    np.testing.assert_allclose(J @ v, along, rtol=1e-5, atol=1e-5)
    for sigma in (1.0, 0.5, 0.0):
        H = problem.hessian(x, sigma, y)
        assert H.shape == (n, n)
        slope = differences(
            lambda t, s=sigma: s * problem.gradient(x + t * v) + problem.jacobian(x + t * v).T @ y, np.zeros(1)
        )
        np.testing.assert_allclose(H @ v, slope[:, 0], rtol=1e-4, atol=1e-4)
    assert problem.linear.shape == (m,)
    if problem.linear.any():
        moved = problem.jacobian(x + 1.0)
        np.testing.assert_allclose(moved[problem.linear], J[problem.linear])
    sparse = cutest(name, *arguments, sparse=True)
    np.testing.assert_allclose(sparse.jacobian(x).toarray(), J)
    np.testing.assert_allclose(sparse.hessian(x, 1.0, y).toarray(), problem.hessian(x, 1.0, y))
    assert capsys.readouterr().out == ""


def test_infinite_sides_and_what_is_linear():
    problem = cutest("HS118")
    assert problem.linear.all()
    assert np.isinf(cutest("HS10").lower).all()
    assert not cutest("ALSOTAME").linear.any()  # S2MPJ lists sin(.) = 0 as linear
    assert np.isnan(cutest("WATER").gradient(np.full(31, -1.0))).all()  # outside its domain: no error
    assert cutest("BA-L1SP").n == 57


def test_what_it_costs_is_counted():
    problem = cutest("HS71")
    x = problem.x0
    for point in (x, x, x + 1, x):
        problem.fun(point)
    problem.hessian(x, 1.0, np.ones(2))
    problem.hessian(x, 1.0, np.zeros(2))
    assert problem.calls == {"fun": 3, "gradient": 0, "constraints": 0, "jacobian": 0, "hessian": 2}
    assert problem.seconds > 0
    problem.gradient(x)[:] = 7.0
    assert problem.gradient(x)[0] != 7.0  # what is returned is the caller's
    problem.reset()
    assert (problem.calls["fun"], problem.seconds) == (0, 0.0)


@pytest.mark.parametrize("name", ["HS71", "HS10", "HS21", "BT12"])
@pytest.mark.parametrize("form", ["objects", "dicts"])
def test_scipy_takes_the_arguments(name, form):
    problem = cutest(name)
    method = {"objects": "trust-constr", "dicts": "SLSQP"}[form]
    barrier = {"initial_barrier_parameter": 1e-8, "initial_barrier_tolerance": 1e-8}
    options = {"gtol": 1e-9, "xtol": 1e-12, **barrier} if form == "objects" else {"ftol": 1e-12}
    found = scipy.optimize.minimize(**problem.arguments(form), method=method, options=options)
    assert kkt(found.x, problem).solved(1e-5)


def test_bad_names():
    with pytest.raises(KeyError, match="no problem NOSUCH"):
        cutest("NOSUCH")
    with pytest.raises(ValueError, match="source must be"):
        cutest("HS71", source="sif")


def test_the_table():
    table = {row["problem_name"]: row for row in cutest_table()}
    assert len(table) > 1000
    assert (table["HS71"]["dim"], table["HS71"]["mcon"]) == ("4", "2")


def test_pycutest(monkeypatch):
    """Its form, by a stand-in: f = x1 x2, c = x1^2 + x2^2 <= 2."""

    def import_problem(name, sifParams=None):
        if name != "TINY":
            raise RuntimeError("no such file")
        return SimpleNamespace(
            n=2, m=1, x0=np.ones(2), bl=np.full(2, -1e20), bu=np.array([1e20, 3.0]), cl=np.array([-1e20]),
            cu=np.array([2.0]), is_linear_cons=np.array([False]),
            obj=lambda x, gradient=False: (x[0] * x[1], x[::-1].copy()) if gradient else x[0] * x[1],
            cons=lambda x, gradient=False: (np.array([x @ x]), 2 * x[None]) if gradient else np.array([x @ x]),
            hess=lambda x, v=(0.0,): np.array([[0, 1.0], [1, 0]]) + v[0] * 2 * np.eye(2),
        )  # fmt: skip

    module = ModuleType("pycutest")
    module.import_problem = import_problem
    monkeypatch.setitem(sys.modules, "pycutest", module)
    problem = cutest("TINY", source="pycutest")
    assert (problem.lower[0], problem.upper[1], problem.row_lower[0], problem.row_upper[0]) == (-INF, 3, -INF, 2)
    assert kkt([1.0, -1.0], problem).solved(1e-14)
    for sigma in (0.0, 2.0):
        expected = np.array([[6.0, sigma], [sigma, 6]])
        np.testing.assert_allclose(problem.hessian(problem.x0, sigma, [3.0]), expected)
    with pytest.raises(KeyError, match="pycutest has no problem"):
        cutest("NOSUCH", source="pycutest")
