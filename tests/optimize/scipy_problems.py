"""The constrained problems that SciPy tests its own methods on, as data: functions, start, known solution."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse
from scipy.optimize import Bounds, LinearConstraint, NonlinearConstraint, rosen, rosen_der, rosen_hess


@dataclass
class Problem:
    """min fun(x) with constraints and bounds."""

    name: str
    fun: Any
    x0: Any
    #: The solution, or None where it is not unique: then its value.
    x: Any = None
    value: float | None = None
    jac: Any = None
    hess: Any = None
    bounds: Any = None
    #: constraints(**changes) with the derivatives of the nonlinear one changed.
    constraints: Any = field(default=lambda **changes: ())
    nonlinear: bool = False


def nonlinear(fun, lb, ub, jac, hess):
    def make(**changes):
        return NonlinearConstraint(fun, lb, ub, **{"jac": jac, "hess": hess, **changes})

    return make


MARATOS = Problem(
    "maratos",
    lambda x: 2 * (x[0] ** 2 + x[1] ** 2 - 1) - x[0],
    [0.5, np.sqrt(0.75)],
    [1, 0],
    jac=lambda x: np.array([4 * x[0] - 1, 4 * x[1]]),
    hess=lambda x: 4 * np.eye(2),
    constraints=nonlinear(
        lambda x: x[0] ** 2 + x[1] ** 2, 1, 1, lambda x: [[2 * x[0], 2 * x[1]]], lambda x, v: 2 * v[0] * np.eye(2)
    ),
    nonlinear=True,
)

HYPERBOLIC = Problem(
    "hyperbolic",
    lambda x: ((x[0] - 2) ** 2 + (x[1] - 0.5) ** 2) / 2,
    [0, 0],
    [1.952823, 0.088659],
    jac=lambda x: [x[0] - 2, x[1] - 0.5],
    hess=lambda x: np.eye(2),
    bounds=Bounds(0, np.inf),
    constraints=nonlinear(
        lambda x: 1 / (x[0] + 1) - x[1],
        0.25,
        np.inf,
        lambda x: [[-1 / (x[0] + 1) ** 2, -1]],
        lambda x, v: 2 * v[0] * np.array([[1 / (x[0] + 1) ** 3, 0], [0, 0]]),
    ),
    nonlinear=True,
)


def _rosenbrock(name, x0, x, constraints=(), bounds=None, value=None):
    return Problem(
        name, rosen, x0, x, value, rosen_der, rosen_hess, bounds=bounds, constraints=lambda **changes: constraints
    )


def _electrons(count):
    """Charges on a sphere, as far from one another as they can (COPS 3.0, problem 2); the first start of SciPy's."""
    rng = np.random.RandomState(0)
    phi, theta = rng.uniform(0, 2 * np.pi, count), rng.uniform(-np.pi, np.pi, count)
    x0 = np.hstack((np.cos(theta) * np.cos(phi), np.cos(theta) * np.sin(phi), np.sin(theta)))

    def distances(x):
        P = x.reshape(3, count)
        D = P[:, :, None] - P[:, None, :]
        r = np.sqrt((D**2).sum(0))
        np.fill_diagonal(r, np.inf)
        return D, r

    def fun(x):
        return (1 / distances(x)[1]).sum() / 2

    def jac(x):
        D, r = distances(x)
        return -(D / r**3).sum(2).ravel()

    def hess(x):
        D, r = distances(x)
        H = np.zeros((3, count, 3, count))
        for a in range(3):
            for b in range(3):
                block = (a == b) / r**3 - 3 * D[a] * D[b] / r**5
                H[a, :, b, :] = block - np.diag(block.sum(1))
        return H.reshape(3 * count, 3 * count)

    def norms(x):
        return (x.reshape(3, count) ** 2).sum(0) - 1

    def slopes(x):
        return scipy.sparse.hstack([scipy.sparse.diags_array(2 * part) for part in x.reshape(3, count)], format="csc")

    def curvature(x, v):
        return np.diag(np.tile(2 * v, 3))

    return Problem(
        f"electrons{count}", fun, x0, None, {2: 0.5, 4: 6 / np.sqrt(8 / 3)}[count], jac, hess,
        constraints=nonlinear(norms, -np.inf, 0, slopes, curvature), nonlinear=True,
    )  # fmt: skip


def _quadratic(name, constraints, x, bounds=((0, None), (0, None)), value=None):
    return Problem(
        name,
        lambda x: (x[0] - 1) ** 2 + (x[1] - 2.5) ** 2,
        (2, 0),
        x,
        value,
        bounds=bounds,
        constraints=lambda **changes: constraints,
    )


def _points(name, constraints):
    """The other objective of SciPy's conversions of constraints; its answers come from SciPy."""
    return Problem(
        name,
        lambda x: (x[0] - 1) ** 2 + (x[1] - 2.5) ** 2 + (x[2] - 0.75) ** 2,
        [2, 0, 1],
        constraints=lambda **changes: constraints,
    )


def _two(x):
    return [x[0] - x[1], x[1] - x[2]]


LINES = [
    {"type": "ineq", "fun": lambda x: x[0] - 2 * x[1] + 2},
    {"type": "ineq", "fun": lambda x: -x[0] - 2 * x[1] + 6},
    {"type": "ineq", "fun": lambda x: -x[0] + 2 * x[1] + 2},
]
SCALED = {
    "type": "eq",
    "fun": lambda x, p1, p2: p1 * x[0] - p2 * x[1],
    "args": (1, 1.1),
    "jac": lambda x, p1, p2: np.array([[p1, -p2]]),
}


def _slsqp(name, constraints, x, x0=(-1.0, 1.0), bounds=None):
    """Chapra and Canale's example 14.4, the one of SciPy's tests of SLSQP."""
    return Problem(
        name,
        lambda d: -(2 * d[0] * d[1] + 2 * d[0] - d[0] ** 2 - 2 * d[1] ** 2),
        x0,
        x,
        jac=lambda d: -np.array([-2 * d[0] + 2 * d[1] + 2, 2 * d[0] - 4 * d[1]]),
        bounds=bounds,
        constraints=lambda **changes: constraints,
    )


EQUAL = {"type": "eq", "fun": lambda x, sign: np.array([x[0] - x[1]]), "args": (-1.0,)}


def _cobyla(name, constraints, x, bounds=None, weight=1.0, value=None):
    return Problem(
        name,
        lambda x: x[0] ** 2 + weight * abs(x[1]) ** 3,
        [4.95, 0.66],
        x,
        value,
        bounds=bounds,
        constraints=lambda **changes: constraints,
    )


def _circle(x):
    return x[0] ** 2 + x[1] ** 2 - 25


def _on_circle(weight):
    return [np.sqrt(25 - (2 / 3 / weight) ** 2), 2 / 3 / weight]


def _value_on_circle(weight):
    """Of both solutions, which differ in a sign."""
    x = _on_circle(weight)
    return x[0] ** 2 + weight * x[1] ** 3


#: With derivatives that the tests change.
VARIED = [
    MARATOS,
    HYPERBOLIC,
    _rosenbrock("rosenbrock", [0.09762701, 0.43037873], [1, 1]),
    _rosenbrock("rosenbrock-ineq", [-1, -0.5], [0.5022, 0.2489], LinearConstraint([[1, 2]], -np.inf, 1)),
    _rosenbrock(
        "rosenbrock-eq-ineq",
        [-1, -0.5],
        [0.41494, 0.17011],
        (LinearConstraint([[1, 2]], -np.inf, 1), LinearConstraint([[2, 1]], 1, 1)),
    ),
    _rosenbrock("rosenbrock-bounds", [-0.2, 0.2], [0, 0], bounds=Bounds([-2, 0], [0, 2])),
    _electrons(2),
]

OTHERS = [
    _electrons(4),
    _quadratic("lines", LINES, [1.4, 1.7]),
    _quadratic("args", SCALED, [1.7918552, 1.62895927]),
    _quadratic("mixed", [LINES[0], NonlinearConstraint(lambda x: x[0] - x[1], 0, 0)], [1.75, 1.75]),
    _quadratic(
        "vectors",
        [
            {"type": "ineq", "fun": lambda x: np.array([[1, -2], [-1, -2], [-1, 2]]) @ x + [2, 6, 2]},
            {"type": "ineq", "fun": lambda x: x},
        ],
        [1.4, 1.7],
        None,
    ),
    _slsqp("slsqp", (), [2, 1]),
    _slsqp("slsqp-bounds", (), [2.5, 0.5], bounds=((2.5, None), (None, 0.5))),
    _slsqp("slsqp-eq", EQUAL, [1, 1]),
    _slsqp("slsqp-eq-row", {**EQUAL, "jac": lambda x, sign: [1, -1]}, [1, 1]),
    _slsqp("slsqp-ineq", {"type": "ineq", "fun": lambda x: np.array([x[0] - x[1] - 1.0])}, [2, 1]),
    _slsqp("slsqp-vector", {"type": "ineq", "fun": np.asarray, "jac": lambda x: np.identity(2)}, [2, 1]),
    _slsqp("slsqp-eq-bounds", EQUAL, [0.8, 0.8], bounds=[(-0.8, 1), (-1, 0.8)]),
    _cobyla(
        "cobyla",
        (NonlinearConstraint(_circle, 0, np.inf), {"type": "ineq", "fun": lambda x: -_circle(x)}),
        _on_circle(1),
    ),
    _cobyla("cobyla-linear", LinearConstraint([1.0, 1.0], 1.0, 1.0), [(4 - np.sqrt(7)) / 3, (np.sqrt(7) - 1) / 3]),
    _cobyla("cobyqa", NonlinearConstraint(_circle, 0, 0), None, weight=2.0, value=_value_on_circle(2)),
    _cobyla("cobyqa-bounds", NonlinearConstraint(_circle, 0, 0), _on_circle(1), Bounds([4.5, 0.6], [5.0, 0.7])),
    Problem("five-bounds", lambda x: np.sum(x**2), [1, 2, 3, 4, 5], [-0.5, -0.5, 1, 0, -0.5],
            bounds=list(zip([-1, None, 1, None, -0.5], [-0.5, -0.5, None, None, -0.5], strict=True))),
    Problem("two-cubics", lambda x: np.sqrt(x[1]), [8, 0.25], [1 / 3, 8 / 27], bounds=[(-0.5, 1), (0, 8)],
            constraints=lambda **changes: [{"type": "eq", "fun": lambda x: x[1] - (2 * x[0]) ** 3},
                                           {"type": "eq", "fun": lambda x: x[1] - (1 - x[0]) ** 3}]),
    Problem("inconsistent-linearisation", lambda x: x[0] ** 2 + x[1] ** 2, [0, 1], [1, 1],
            bounds=((0, None), (0, None)),
            constraints=lambda **changes: ({"type": "eq", "fun": lambda x: x[0] + x[1] - 2},
                                           {"type": "ineq", "fun": lambda x: x[0] ** 2 - 1})),
    Problem("more-rows-than-columns", rosen, np.ones(2), [-1, 1],
            constraints=lambda **changes: NonlinearConstraint(lambda x: np.arange(6).reshape(3, 2) @ x, np.ones(3),
                                                              np.ones(3))),
    Problem("empty-working-set", lambda x: x[0] ** 2 + x[1] ** 2, [1.0, 2.0], None, 1.0,
            bounds=Bounds([-np.inf, -np.inf], [np.inf, np.inf]),
            constraints=lambda **changes: NonlinearConstraint(lambda x: [x[0] ** 2 - x[1] ** 2], 1, np.inf)),
]  # fmt: skip

#: Their answers are what SciPy's SLSQP finds.
CONVERTED = [
    *(_points(f"scalar{k}", NonlinearConstraint(lambda x: x[0] - x[1], lb, ub))
      for k, (lb, ub) in enumerate([(1, 1), ([1.21], [1.21]), (1.21, np.array([1.21])), (1.21, np.inf),
                                    (-np.inf, -3)])),
    *(_points(f"two{k}", NonlinearConstraint(_two, lb, ub))
      for k, (lb, ub) in enumerate([(1.21, 1.21), ([1.21, 1.4], [1.21, 1.4]), ([1.21, -np.inf], [1.21, np.inf]),
                                    (1.21, np.inf), ([1.21, -np.inf], [1.21, 1.4]), ([1.1, 0.8], [1.2, 1.4]),
                                    ([-1.2, -1.4], [-1.1, -0.8])])),
    *(_points(f"linear{k}", LinearConstraint([[1, -1, 0], [0, 1, -1]], lb, ub))
      for k, (lb, ub) in enumerate([(1.21, 1.21), ([1.21, -np.inf], [1.21, 1.4])])),
    _points("row", LinearConstraint([1, -1, 0], 1.21, 1.21)),
    _points("mixed-lists", [{"type": "ineq", "fun": lambda x: x[0] - 2 * x[1] + 2},
                            NonlinearConstraint(lambda x: x[0] - x[1], -1, 1)]),
]  # fmt: skip

#: No point satisfies these.
INFEASIBLE = [
    Problem("apart", lambda x: -x[0] + 4 * x[1], (1, 5), bounds=((-5, 5), (-5, 5)),
            constraints=lambda **changes: [{"type": "ineq", "fun": lambda x: x[1] - x[0] - 1},
                                           {"type": "ineq", "fun": lambda x: x[0] - x[1]}]),
    Problem("beyond", lambda x: x[0] ** 2 + x[1] ** 2, [1, 2], bounds=((0, None), (0, None)),
            constraints=lambda **changes: [{"type": "eq", "fun": lambda x: x[0] + x[1] - 1},
                                           {"type": "ineq", "fun": lambda x: x[0] - 2}]),
    Problem("two-sides", lambda x: 1, [-1.9, -0.64, -0.8], bounds=((-2, 2), (-2, 2), (-2, 2)),
            constraints=lambda **changes: [{"type": "ineq", "fun": lambda x: -x[0] - x[1] - 3},
                                           {"type": "ineq", "fun": lambda x: x[1] + x[2] - 2}]),
    Problem("too-far", lambda x: x[0] ** 2 + abs(x[1]) ** 3, [4.95, 0.66], bounds=Bounds([5.0, 0.6], [5.5, 0.65]),
            constraints=lambda **changes: NonlinearConstraint(_circle, 0, 0)),
]  # fmt: skip
