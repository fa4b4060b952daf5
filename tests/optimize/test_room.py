"""A program whose sides leave no room between them: at last equations may be missed by a part of the tolerance."""

import numpy as np
import pytest
from scipy.optimize import Bounds, NonlinearConstraint

from solvers import minimize
from solvers._base.result import Status
from solvers.optimize import _room
from solvers.testing import NonlinearProgram, check_minimum, cutest, kkt

LEAST, PHASES = 1e-12, (slice(0, 3), slice(3, 5), slice(5, 10))


def equilibrium(**more):
    """Least free energy of three phases. Two rows hold five amounts at their bounds, but for 3e-12."""
    rng = np.random.default_rng(1)
    c = rng.normal(0, 8, 10)
    A = np.zeros((5, 10))
    A[0, :3], A[1, [0, 3, 4]] = 1, (-4, 1, 1)
    A[2:] = rng.integers(0, 2, (3, 10))
    sums = np.r_[0, 0, A[2:, 5:].sum(axis=1) * rng.uniform(0.3, 1, 3)]

    def potentials(x):
        return np.concatenate([c[phase] + np.log(x[phase] / x[phase].sum()) for phase in PHASES])

    def curvature(x):
        H = np.diag(1 / x)
        for phase in PHASES:
            H[phase, phase] -= 1 / x[phase].sum()
        return H

    program = NonlinearProgram(
        lambda x: x @ potentials(x), potentials, lambda x: A @ x, lambda x: A, LEAST, np.inf, sums, sums
    )
    rows = NonlinearConstraint(program.constraints, sums, sums, program.jacobian, lambda x, v: np.zeros((10, 10)))
    found = minimize(
        program.fun, np.full(10, 0.1), jac=potentials, hess=curvature, bounds=Bounds(LEAST, np.inf), constraints=rows,
        **more,
    )  # fmt: skip
    return found, program


def test_what_has_no_inside_is_solved(monkeypatch):
    found, program = equilibrium()
    assert found.success
    assert check_minimum(found, program).kkt.solved(1e-8)
    assert found.constr_violation <= 1.1 * _room.PART * 1e-8
    monkeypatch.setattr(_room, "worthwhile", lambda problem: False)
    before, _ = equilibrium()
    assert before.status is Status.STAGNATION  # what it is good for
    assert before.nit < found.nit < before.nit + 100


@pytest.mark.parametrize("more", [{"verbose": 0, "time_limit": 100}, {"callback": lambda x: False}])
def test_the_same_by_every_loop(more):
    plain, others = equilibrium()[0], equilibrium(**more)[0]
    assert others.success
    assert others.x.tobytes() == plain.x.tobytes()
    assert others.nit == plain.nit


def test_the_limit_of_iterations_holds_there_too():
    whole = equilibrium()[0].nit
    for most in (whole - 20, whole - 1):
        found, program = equilibrium(max_iter=most)
        assert found.nit <= most
        assert not found.success
        check_minimum(found, program)
    assert equilibrium(max_iter=whole)[0].success


def test_what_room_does_not_help_keeps_its_verdict(monkeypatch):
    def kinked():  # |x0| + |x1|, as functions that say they are smooth
        rows = NonlinearConstraint(
            lambda x: [x[0] + x[1] + x[2]], 0.5, 0.5, lambda x: [[1.0, 1, 1]], lambda x, v: np.zeros((3, 3))
        )
        return minimize(
            lambda x: abs(x[0] - 0.3) + 2 * abs(x[1] - 0.1) + 3 * abs(x[2]), [2.0, -1.0, 1.0],
            jac=lambda x: np.array([1, 2, 3]) * np.sign(x - [0.3, 0.1, 0]), hess=lambda x: np.zeros((3, 3)),
            bounds=Bounds(-5, 5), constraints=rows,
        )  # fmt: skip

    found = kinked()
    monkeypatch.setattr(_room, "worthwhile", lambda problem: False)
    before = kinked()
    assert found.status is before.status
    assert found.x.tobytes() == before.x.tobytes()
    assert not found.success


@pytest.mark.cutest
def test_himmelbj():
    found = minimize(**cutest("HIMMELBJ").arguments())
    assert found.success
    assert kkt(found.x, cutest("HIMMELBJ")).solved(1e-8)
