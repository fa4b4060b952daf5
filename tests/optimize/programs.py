"""Small programs with exact derivatives: a function written with `Jet` gives value, gradient and Hessian at once."""

import numpy as np

from solvers.optimize._nlp import Program


class Jet:
    """A number with its gradient and Hessian (Taylor arithmetic of order two)."""

    __array_ufunc__ = None

    def __init__(self, value, gradient, hessian):
        self.value, self.gradient, self.hessian = value, gradient, hessian

    def through(self, value, first, second):
        """A function of one variable of it, from that function's value and derivatives."""
        return Jet(value, first * self.gradient, first * self.hessian + second * np.outer(self.gradient, self.gradient))

    def __add__(self, other):
        if not isinstance(other, Jet):
            return Jet(self.value + other, self.gradient, self.hessian)
        return Jet(self.value + other.value, self.gradient + other.gradient, self.hessian + other.hessian)

    def __mul__(self, other):
        if not isinstance(other, Jet):
            return Jet(self.value * other, self.gradient * other, self.hessian * other)
        cross = np.outer(self.gradient, other.gradient)
        return Jet(
            self.value * other.value,
            self.value * other.gradient + other.value * self.gradient,
            self.value * other.hessian + other.value * self.hessian + cross + cross.T,
        )

    def __pow__(self, k):
        v = self.value
        return self.through(v**k, k * v ** (k - 1), k * (k - 1) * v ** (k - 2) if k > 1 else 0.0)

    def __neg__(self):
        return self * -1.0

    def __sub__(self, other):
        return self + -other

    def __rsub__(self, other):
        return -self + other

    def __truediv__(self, other):
        return self * (1.0 / other)

    __radd__, __rmul__ = __add__, __mul__


def sin(u):
    return u.through(np.sin(u.value), np.cos(u.value), -np.sin(u.value))


def exp(u):
    return u.through(np.exp(u.value), np.exp(u.value), np.exp(u.value))


def log(u):
    return u.through(np.log(u.value), 1 / u.value, -1 / u.value**2)


def jets(x):
    return [Jet(float(v), row, np.zeros((len(x), len(x)))) for v, row in zip(x, np.eye(len(x)), strict=True)]


def program(x0, objective, rows=(), *, lower=None, upper=None, row_lower=0.0, row_upper=0.0):
    """The `Program` of functions of lists of `Jet`; the rows are equalities to 0 unless told."""
    n, m = len(x0), len(rows)

    def at(function, x):
        out = function(jets(x))
        return out if isinstance(out, Jet) else Jet(float(out), np.zeros(n), np.zeros((n, n)))

    def hessian(x, sigma, y):
        return sum(
            (weight * at(row, x).hessian for weight, row in zip(y, rows, strict=True)), sigma * at(objective, x).hessian
        )

    return Program(
        x0=np.array(x0, float),
        lower=np.full(n, -np.inf) if lower is None else np.array(lower, float),
        upper=np.full(n, np.inf) if upper is None else np.array(upper, float),
        row_lower=np.broadcast_to(np.asarray(row_lower, float), m).copy(),
        row_upper=np.broadcast_to(np.asarray(row_upper, float), m).copy(),
        linear=np.zeros(m, bool),
        fun=lambda x: at(objective, x).value,
        gradient=lambda x: at(objective, x).gradient,
        constraints=lambda x: np.array([at(row, x).value for row in rows]),
        jacobian=lambda x: np.array([at(row, x).gradient for row in rows]).reshape(m, n),
        hessian=hessian,
    )


# Hock and Schittkowski's and Boggs and Tolle's problems by their numbers, and others of the CUTEst collection:
# start, objective, equations, optimal value.
ROOT = np.sqrt(2)
EQUALITIES = {
    "HS6": ((-1.2, 1), lambda x: (1 - x[0]) ** 2, [lambda x: 10 * (x[1] - x[0] ** 2)], 0),
    "HS7": (
        (2, 2),
        lambda x: log(1 + x[0] ** 2) - x[1],
        [lambda x: (1 + x[0] ** 2) ** 2 + x[1] ** 2 - 4],
        -np.sqrt(3),
    ),
    "HS26": (
        (-2.6, 2, 2),
        lambda x: (x[0] - x[1]) ** 2 + (x[1] - x[2]) ** 4,
        [lambda x: (1 + x[1] ** 2) * x[0] + x[2] ** 4 - 3],
        0,
    ),
    "HS27": (
        (2, 2, 2),
        lambda x: 0.01 * (x[0] - 1) ** 2 + (x[1] - x[0] ** 2) ** 2,
        [lambda x: x[0] + x[2] ** 2 + 1],
        0.04,
    ),
    "HS39": (
        (2, 2, 2, 2),
        lambda x: -x[0],
        [lambda x: x[1] - x[0] ** 3 - x[2] ** 2, lambda x: x[0] ** 2 - x[1] - x[3] ** 2],
        -1,
    ),
    "HS40": (
        (0.8,) * 4,
        lambda x: -x[0] * x[1] * x[2] * x[3],
        [lambda x: x[0] ** 3 + x[1] ** 2 - 1, lambda x: x[0] ** 2 * x[3] - x[2], lambda x: x[3] ** 2 - x[1]],
        -0.25,
    ),
    "HS42": (
        (1,) * 4,
        lambda x: (x[0] - 1) ** 2 + (x[1] - 2) ** 2 + (x[2] - 3) ** 2 + (x[3] - 4) ** 2,
        [lambda x: x[0] - 2, lambda x: x[2] ** 2 + x[3] ** 2 - 2],
        28 - 10 * ROOT,
    ),
    "HS61": (
        (0, 0, 0),
        lambda x: 4 * x[0] ** 2 + 2 * x[1] ** 2 + 2 * x[2] ** 2 - 33 * x[0] + 16 * x[1] - 24 * x[2],
        [lambda x: 3 * x[0] - 2 * x[1] ** 2 - 7, lambda x: 4 * x[0] - x[2] ** 2 - 11],
        -143.6461422,
    ),
    "HS77": (
        (2,) * 5,
        lambda x: (x[0] - 1) ** 2 + (x[0] - x[1]) ** 2 + (x[2] - 1) ** 2 + (x[3] - 1) ** 4 + (x[4] - 1) ** 6,
        [
            lambda x: x[0] ** 2 * x[3] + sin(x[3] - x[4]) - 2 * ROOT,
            lambda x: x[1] + x[2] ** 4 * x[3] ** 2 - 8 - ROOT,
        ],
        0.2415051288,
    ),
    "HS78": (
        (-2, 1.5, 2, -1, -1),
        lambda x: x[0] * x[1] * x[2] * x[3] * x[4],
        [
            lambda x: x[0] ** 2 + x[1] ** 2 + x[2] ** 2 + x[3] ** 2 + x[4] ** 2 - 10,
            lambda x: x[1] * x[2] - 5 * x[3] * x[4],
            lambda x: x[0] ** 3 + x[1] ** 3 + 1,
        ],
        -2.919700409,
    ),
    "HS79": (
        (2,) * 5,
        lambda x: (x[0] - 1) ** 2 + (x[0] - x[1]) ** 2 + (x[1] - x[2]) ** 2 + (x[2] - x[3]) ** 4 + (x[3] - x[4]) ** 4,
        [
            lambda x: x[0] + x[1] ** 2 + x[2] ** 3 - 2 - 3 * ROOT,
            lambda x: x[1] - x[2] ** 2 + x[3] + 2 - 2 * ROOT,
            lambda x: x[0] * x[4] - 2,
        ],
        0.07877682087,
    ),
    "HS100LNP": (
        (1, 2, 0, 4, 0, 1, 1),
        lambda x: (
            (x[0] - 10) ** 2
            + 5 * (x[1] - 12) ** 2
            + x[2] ** 4
            + 3 * (x[3] - 11) ** 2
            + 10 * x[4] ** 6
            + 7 * x[5] ** 2
            + x[6] ** 4
            - 4 * x[5] * x[6]
            - 10 * x[5]
            - 8 * x[6]
        ),
        [
            lambda x: 2 * x[0] ** 2 + 3 * x[1] ** 4 + x[2] + 4 * x[3] ** 2 + 5 * x[4] - 127,
            lambda x: -4 * x[0] ** 2 - x[1] ** 2 + 3 * x[0] * x[1] - 2 * x[2] ** 2 - 5 * x[5] + 11 * x[6],
        ],
        680.6300574,
    ),
    "BT1": (
        (0.08, 0.06),
        lambda x: 100 * (x[0] ** 2 + x[1] ** 2) - x[0] - 100,
        [lambda x: x[0] ** 2 + x[1] ** 2 - 1],
        -1,
    ),
    "BT2": (
        (10, 10, 10),
        lambda x: (x[0] - 1) ** 2 + (x[0] - x[1]) ** 2 + (x[1] - x[2]) ** 4,
        [lambda x: x[0] * (1 + x[1] ** 2) + x[2] ** 4 - 8.2426407],
        0.03256820039,
    ),
    "BT8": (
        (1, 1, 1, 0, 0),
        lambda x: x[0] ** 2 + x[1] ** 2 + x[2] ** 2,
        [lambda x: x[0] - 1 - x[3] ** 2 + x[1] ** 2, lambda x: x[0] ** 2 + x[1] ** 2 - 1 - x[4] ** 2],
        1,
    ),
    "BT12": (
        (15.811, 1.5811, 0, 15.083, 3.7164),
        lambda x: 0.01 * x[0] ** 2 + x[1] ** 2,
        [
            lambda x: x[0] + x[1] - x[2] ** 2 - 25,
            lambda x: x[0] ** 2 + x[1] ** 2 - x[3] ** 2 - 25,
            lambda x: x[0] - x[4] ** 2 - 2,
        ],
        6.188118812,
    ),
    "BYRDSPHR": (
        (5, 0.0001, -0.0001),
        lambda x: -x[0] - x[1] - x[2],
        [lambda x: x[0] ** 2 + x[1] ** 2 + x[2] ** 2 - 9, lambda x: (x[0] - 1) ** 2 + x[1] ** 2 + x[2] ** 2 - 9],
        -4.683300133,
    ),
    "FLT": ((1, 0), lambda x: (x[1] - 1) ** 2, [lambda x: x[0] ** 2, lambda x: x[0] ** 3], 0),
    "MARATOS": (
        (1.1, 0.1),
        lambda x: -x[0] + 1e-6 * (x[0] ** 2 + x[1] ** 2 - 1),
        [lambda x: x[0] ** 2 + x[1] ** 2 - 1],
        -1,
    ),
    "S316-322": (
        (0, 0),
        lambda x: (x[0] - 20) ** 2 + (x[1] + 20) ** 2,
        [lambda x: (x[0] ** 2 + x[1] ** 2) / 100 - 1],
        334.3145751,
    ),
}


def equalities(name):
    x0, objective, rows, _ = EQUALITIES[name]
    return program(x0, objective, rows)
