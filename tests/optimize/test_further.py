"""What gala does where its first routes fail, or succeed by their own measure alone."""

import ctypes

import numpy as np
import pytest
from scipy import LowLevelCallable
from scipy.optimize import NonlinearConstraint

from solvers import Status
from solvers.optimize import _gala, minimize, minimize_batch
from solvers.testing import cutest, kkt

DOUBLES = ctypes.POINTER(ctypes.c_double)


@pytest.mark.cutest
def test_what_the_size_of_multipliers_alone_solves_goes_on_from_its_best_point():
    """AVION2 has sides that depend on one another: their multipliers grow to 1e7, and hide what is left."""
    found = minimize(**cutest("AVION2").arguments())
    assert found.success
    assert found.state.route == _gala.LAST_ROUTE
    assert kkt(found.x, cutest("AVION2")).solved(1e-4)


@pytest.mark.cutest
def test_active_sets_after_a_route_that_failed_begin_with_a_larger_mu():
    """CRESC50 has a valley without end beside its minimum, into which the interior point goes with the first mu."""
    found = minimize(**cutest("CRESC50").arguments(), max_iter=500)
    assert found.success
    assert found.state.route == 1
    assert kkt(found.x, cutest("CRESC50")).solved(1e-8)


@pytest.mark.parametrize("inequality", ["auto", "interior", "active-set"])
@pytest.mark.parametrize("power", [2, 4])
def test_no_multiplier_of_an_infinite_side_balances_a_slope_without_end(power, inequality):
    """The least -x with x^2 or x^4 at least 6: far out a multiplier of 1e-17 would do, of the sign that no side has."""
    result = minimize(
        lambda x: -x[0], [3.0], jac=lambda x: -np.ones(1), hess=lambda x: np.zeros((1, 1)),
        constraints=NonlinearConstraint(
            lambda x: x**power, 6, np.inf, jac=lambda x: power * x[:, None] ** (power - 1),
            hess=lambda x, v: power * (power - 1) * v[0] * x[:, None] ** (power - 2),
        ),
        options={"inequality": inequality},
    )  # fmt: skip
    assert not result.success


@pytest.mark.cutest
def test_the_loop_goes_on_to_where_it_is_known_which_sides_hold():
    """DISCS meets the tolerance by small slacks times small multipliers, far from 1e-8 by the best ones."""
    found = minimize(**cutest("DISCS").arguments())
    assert found.success
    assert kkt(found.x, cutest("DISCS")).solved(1e-8)


@ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_int, DOUBLES, ctypes.c_void_p)
def kinked(n, x, data):
    """A kink in each variable, beside a parabola."""
    return sum(abs(x[i] - 0.3) + 1e-3 * (x[i] - i) ** 2 for i in range(n))


@ctypes.CFUNCTYPE(None, ctypes.c_int, DOUBLES, DOUBLES, ctypes.c_void_p)
def kinked_jac(n, x, g, data):
    for i in range(n):
        g[i] = (1 if x[i] > 0.3 else -1) + 2e-3 * (x[i] - i)


@ctypes.CFUNCTYPE(None, ctypes.c_int, DOUBLES, DOUBLES, ctypes.c_void_p)
def kinked_hess(n, x, H, data):
    for i in range(n):
        H[i * n + i] = 2e-3


def test_batches_take_the_same_routes():
    """No point of a kink is stationary: all routes are taken, and fail."""
    functions = {"jac": LowLevelCallable(kinked_jac), "hess": LowLevelCallable(kinked_hess), "bounds": [(-9, 9)] * 2}
    starts = np.array([[2.0, -1.0], [0.0, 4.0]])
    found = minimize_batch(LowLevelCallable(kinked), starts, **functions)
    for k, x0 in enumerate(starts):
        alone = minimize(LowLevelCallable(kinked), x0, **functions)
        assert alone.state.route == _gala.LAST_ROUTE
        assert not alone.success
        assert found.x[k].tobytes() == alone.x.tobytes()
        assert (found.nit[k], found.nfev[k], found.status[k]) == (alone.nit, alone.nfev, alone.status)
        part = minimize(LowLevelCallable(kinked), x0, **functions, max_iter=alone.nit - 5)
        rest = minimize(LowLevelCallable(kinked), x0, **functions, resume=part.state)
        assert (rest.nit, rest.x.tobytes()) == (alone.nit, alone.x.tobytes())


def test_equations_that_end_at_a_stuck_point_are_tried_by_the_filter():
    """24 equations of three decaying exponentials that fit exactly: the first route ends where no step helps."""
    times = np.arange(24) / 20
    data = sum(a * np.exp(-b * times) for a, b in ((0.0951, 1), (0.8607, 3), (1.5576, 5)))

    def curves(p):
        return np.exp(np.minimum(50, -np.outer(times, p[1::2])))

    def jac(p):
        J = np.empty((24, 6))
        J[:, ::2], J[:, 1::2] = curves(p), -times[:, None] * p[::2] * curves(p)
        return J

    def hess(p, v):
        H = np.zeros((6, 6))
        moments = np.stack([times, times**2]) * v @ curves(p)
        H[range(0, 6, 2), range(1, 6, 2)] = H[range(1, 6, 2), range(0, 6, 2)] = -moments[0]
        H[range(1, 6, 2), range(1, 6, 2)] = p[::2] * moments[1]
        return H

    found = minimize(
        lambda p: 0.0, [1.2, 0.3, 5.6, 5.5, 6.5, 7.6], jac=lambda p: np.zeros(6), hess=lambda p: np.zeros((6, 6)),
        constraints=NonlinearConstraint(lambda p: curves(p) @ p[::2], data, data, jac=jac, hess=hess),
        method="gala",
    )  # fmt: skip
    assert found.success
    np.testing.assert_allclose(curves(found.x) @ found.x[::2], data, atol=1e-8)


def test_equations_that_end_near_the_tolerance_are_tried_by_the_filter():
    """A gradient with noise, which nothing can mend: but that is known when both have tried, each from x0."""
    x0, starts = np.array([0.3, 2.0]), []

    def fun(x):
        starts.append(bool(np.array_equal(x, x0)))
        return x @ x

    row = NonlinearConstraint(lambda x: x.sum(), 1, 1, jac=np.ones_like, hess=lambda x, v: np.zeros((2, 2)))
    found = minimize(
        fun, x0, jac=lambda x: 2 * x + 3e-7 * np.sin(1e9 * x), hess=lambda x: 2 * np.eye(2), constraints=row
    )
    assert found.status is Status.STAGNATION
    assert found.measure <= 1e-6
    assert sum(starts) == 2
