"""Masses near the ends of the numbers: an answer is as good as at mass 1, and is judged as it is there."""

import numpy as np
import pytest

from solvers.ot import solve, solve_batch, solve_path, solve_unbalanced
from solvers.testing import check_transport

MASSES = (1e-290, 1e-160, 1e-100, 1e100, 1e290)
NORMS = ("l1", "l2", "linf")


def _data(seed, mass):
    rng = np.random.default_rng(seed)
    C, a, b = rng.random((20, 30)), rng.dirichlet(np.ones(20)) * mass, rng.dirichlet(np.ones(30)) * mass
    return C, a, b * (a.sum() / b.sum())


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("mass", MASSES)
@pytest.mark.parametrize("method", [None, "sinkhorn", "sns", "ssns", "batch"])
def test_error_is_seen(method, mass, norm, seed):
    """Squares of small gaps underflow, those of large ones overflow: neither may hide or invent an error."""
    C, a, b = _data(seed, mass)
    demands = {"reg": 0.05, "tol": 1e-9 * mass, "norm": norm}
    result = solve_batch(C, a, b, **demands)[0] if method == "batch" else solve(C, a, b, method=method, **demands)
    assert result.success, result.message
    units = result.plan.dense() / mass, a / mass, b / mass
    gaps = np.concatenate([units[0].sum(axis=1) - units[1], units[0].sum(axis=0) - units[2]])
    error = np.linalg.norm(gaps, {"l1": 1, "l2": 2, "linf": np.inf}[norm])
    assert error <= 1.001e-9
    assert result.marginal_error / mass == pytest.approx(error, rel=1e-6, abs=1e-15)
    check_transport(result, C, a, b, **demands, dtype=np.longdouble)


@pytest.mark.parametrize("norm", NORMS)
def test_batch_takes_the_same_steps_at_any_mass(norm, seed):
    C, a, b = _data(seed, 1.0)
    for mass in (2.0**-900, 2.0**-300, 2.0**300):
        ours = solve_batch(C, a * mass, b * mass, reg=1e-3, tol=1e-9 * mass, norm=norm)
        plain = solve_batch(C, a, b, reg=1e-3, tol=1e-9, norm=norm)
        assert ours.nit == plain.nit
        assert ours.all_success
        np.testing.assert_allclose(ours.plan.dense() / mass, plain.plan.dense(), rtol=1e-9, atol=1e-30)


@pytest.mark.parametrize("norm", NORMS)
def test_error_of_a_mass_that_is_hardly_there(norm, seed):
    """Costs of hundreds of rho leave next to no mass; the error is relative to it."""
    C, a, b = _data(seed, 1.0)
    result = solve_unbalanced(C + 1000, a, b, reg=0.01, reg_m=(0.02, 2.1), norm=norm, tol=1e-9)
    plan = result.plan.dense() / result.mass
    targets = [w * np.exp(-p / rho) / result.mass for w, p, rho in ((a, result.f, 0.02), (b, result.g, 2.1))]
    gaps = np.concatenate([plan.sum(axis=1) - targets[0], plan.sum(axis=0) - targets[1]])
    error = np.linalg.norm(gaps, {"l1": 1, "l2": 2, "linf": np.inf}[norm])
    assert 0 < result.mass < 1e-200
    assert result.success, result.message
    assert error <= 1e-8  # exp(-f / rho1) with f / rho1 in the hundreds has lost three digits


@pytest.mark.parametrize("call", ["solve", "path", "batch"])
def test_potentials_do_not_overflow_where_the_value_does(call):
    """Costs of 1e300, a mass of 1e9: <C, P> is beyond the numbers, the potentials are not."""
    C, a, b = _data(3, 1e9)
    regs = [2e299, 5e298]
    if call == "path":
        result = solve_path(C * 1e300, a, b, regs, tol=1.0)[1]
    else:
        result = (solve if call == "solve" else solve_batch)(C * 1e300, a, b, reg=regs[1], tol=1.0)
        result = result[0] if call == "batch" else result
    assert result.success
    assert np.isfinite(result.f).all()
    assert np.isfinite(result.g).all()


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5, 6])
def test_a_speck_does_not_hold_up_an_easy_problem(seed):
    """A column of next to no weight asks for steps that the others must not be shortened by."""
    rng = np.random.default_rng(seed)
    C, a, b = rng.random((50, 9)), rng.dirichlet(np.full(50, 5.0)), rng.dirichlet(np.full(9, 0.5))
    b[rng.integers(9)] = 1e-27
    result = solve(C, a, b * (a.sum() / b.sum()), reg=1 / 390, tol=1e-10, max_iter=60)
    assert result.success
