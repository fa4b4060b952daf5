"""The problem of the row on optimal control: derivatives, and the pictures."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from solvers.demo.control import Control
from solvers.demo.rows import control as row


@pytest.mark.parametrize("semilinear", [False, True])
def test_derivatives(semilinear, seed):
    problem, rng = Control(3, semilinear=semilinear), np.random.default_rng(seed)
    x, y = rng.standard_normal(18), rng.standard_normal(9)
    np.testing.assert_allclose(problem.jac(x), approx_fprime(x, problem.fun), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        problem.equation_jac(x).toarray(), approx_fprime(x, problem.equation), rtol=1e-4, atol=1e-5
    )
    curved = approx_fprime(x, lambda x: problem.jac(x) + problem.equation_jac(x).T @ y)
    np.testing.assert_allclose((problem.hess(x) + problem.equation_hess(x, y)).toarray(), curved, rtol=1e-4, atol=1e-4)


def test_a_measure_for_each_iteration():
    found, measures = row._ours(Control(6, semilinear=True, low=-30.0, high=30.0), 1)
    assert len(measures) == found.nit
    assert measures[-1] == found.measure


def test_the_row(monkeypatch):
    class Silent:
        def stage(self, name):
            return self

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

    monkeypatch.setattr(row, "LARGE", 12)
    monkeypatch.setattr(row, "SMALL", 6)
    monkeypatch.setattr(row, "LIMIT", 30.0)
    found = row.run(Silent(), 1)
    assert found.status == "ok"
    assert found.as_accurate
    assert [picture.png[:4] for picture in found.pictures] == [b"\x89PNG"] * 2
