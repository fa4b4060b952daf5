"""Operators that are means of components: the user's, compiled or not, the draws, and games as such sums.

F = (1/n) sum_i F_i. A difference F(z) - F(w) is estimated by (1/b) sum over b draws of (F_i(z) - F_i(w)) / (n p_i), i
drawn with probability p_i.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._base.compiled import address_of
from .._base.validate import check_finite, integer, real_array
from . import _kernels
from ._sets import length

Array = npt.NDArray[Any]

#: Components looked at to estimate the constant, and the factor on what is found.
LOOKED_AT, MARGIN = 64, 1.2


class Components:
    """Components of a finite sum from a function, for the argument `components` of `solve`.

    Parameters
    ----------
    function : callable, LowLevelCallable or numba.cfunc
        ``function(i, z, out)`` writes ``F_i(z)`` for each index in the int64 array i to the row of out. Compiled:
        ``void function(int64_t i, int size, const double *z, double *out, void *data)``, called for one component
        after the other without the interpreter lock.
    n : int
        How many there are.
    diff : callable, optional
        ``diff(i, z, w, out)`` writes ``F_i(z) - F_i(w)`` to the rows of out, where that is cheaper.
    lipschitz : array_like, shape (n,), optional
        Lipschitz constants of the components, > 0: the draws are then in proportion to them.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers.equilibrium import Components, solve
    >>> rng = np.random.default_rng(0)
    >>> B = rng.standard_normal((200, 3, 3)) + 4 * np.eye(3)
    >>> def function(i, z, out):
    ...     out[:] = B[i] @ z - 1
    >>> result = solve(None, np.zeros(3), components=Components(function, 200), tol=1e-8)
    >>> bool(np.allclose(B.mean(0) @ result.x, 1))
    True
    """

    def __init__(self, function: Any, n: int, *, diff: Any = None, lipschitz: npt.ArrayLike | None = None):
        self.function = function
        self.n = n
        self.lipschitz = lipschitz
        if diff is not None:
            self.diff = diff
        self._address = address_of(function)
        if self._address is None and not callable(function):
            raise TypeError(
                f"components must be callable, a LowLevelCallable or a cfunc, not {type(function).__name__}"
            )

    def __call__(self, i: Array, z: Array, out: Array) -> None:
        if self._address is None:
            self.function(i, z, out)
        else:
            _kernels.components(self._address[0], self._address[1] or 0, i, z, out)


class GameComponents:
    """A matrix game ``min_x max_y y'A x`` over simplices as a finite sum over its rows and columns.

    It is an operator and its components at once: ``solve(None, (x, y), prox=("simplex", "simplex"),
    components=GameComponents(A))``. The sums are of the matrix without its row and column means, whose part of the
    operator does not change (steps within simplices do not see multiples of the vector of ones): what is left of the
    norm is what the steps are made for.

    Parameters
    ----------
    A : array_like, shape (m, n)
        Payoffs to the player of the rows.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers.equilibrium import GameComponents, solve
    >>> start = np.array([1.0, 0, 0])
    >>> game = GameComponents([[0, 1, -1], [-1, 0, 1], [1, -1, 0]])
    >>> result = solve(None, (start, start), prox=("simplex", "simplex"), components=game, tol=1e-9)
    >>> result.x.round(6).tolist()[:3]
    [0.333333, 0.333333, 0.333333]
    """

    def __init__(self, A: npt.ArrayLike):
        A = np.ascontiguousarray(real_array(A, "A", ndim=2))
        check_finite(A, "A")
        if 0 in A.shape:
            raise ValueError(f"A is empty: shape {A.shape}")
        rows, columns, mean = A.mean(1), A.mean(0), A.mean()
        #: By rows and by columns: what a component reads is contiguous.
        self.A = A - rows[:, None] - columns + mean
        self.At = np.ascontiguousarray(self.A.T)
        self.constant = np.concatenate([columns, -rows])
        self.shape = A.shape
        self.n = sum(A.shape)
        self.size = self.n
        squares = np.concatenate([(self.A**2).sum(1), (self.At**2).sum(1)])
        largest = float(squares.max())
        # Draws by the squares of the norms have the least variance; none is left out.
        self.lipschitz = np.maximum(squares, 1e-6 * largest) if largest > 0 else np.ones(self.n)

    @property
    def average(self) -> float:
        """The root of the mean square of F_i(u) - F_i(v) over |u - v|, at most, over the draws."""
        share = self.lipschitz / self.lipschitz.sum()
        m = self.shape[0]
        row = float(((self.A**2).sum(1) / share[:m]).max())
        column = float(((self.At**2).sum(1) / share[m:]).max())
        return math.sqrt(max(row, column)) or 1.0

    def whole(self, z: Array) -> Array:
        """F(z), but for multiples of the vector of ones in x and in y."""
        n = self.shape[1]
        value = self.constant.copy()
        value[:n] += self.At @ z[n:]
        value[n:] -= self.A @ z[:n]
        return value

    def __call__(self, i: Array, z: Array, out: Array) -> None:
        self.diff(i, z, None, out)
        out += self.constant

    def diff(self, i: Array, z: Array, w: Array | None, out: Array) -> None:
        """F_i(z) - F_i(w), of rows i < m and of columns."""
        m, n = self.shape
        change = z if w is None else z - w
        rows = i < m
        row, column = i[rows], i[~rows] - m
        out[:] = 0.0
        out[rows, :n] = self.n * change[n:][row][:, None] * self.A[row]
        out[~rows, n:] = -self.n * change[:n][column][:, None] * self.At[column]

    def difference(self, i: Array, weights: Array, z: Array, w: Array, out: Array) -> None:
        """The sum of ``weights[k] (F_i(z) - F_i(w))`` over the draws, without the rows of each."""
        m, n = self.shape
        change = z - w
        rows = i < m
        row, column = i[rows], i[~rows] - m
        np.matmul(self.n * weights[rows] * change[n:][row], self.A[row], out=out[:n])
        np.matmul(-self.n * weights[~rows] * change[:n][column], self.At[column], out=out[n:])


class Plan(NamedTuple):
    """Of variance-reduced steps: components a step, steps a snapshot, the step size; components of each group."""

    batch: int
    steps: int
    step: float
    each: Any = None


class FiniteSum:
    """Checked components with their sampling: what the methods for finite sums draw from and count with."""

    def __init__(self, given: Any, size: int):
        n = integer(getattr(given, "n", None), "components.n", 1)
        if not callable(given):
            raise TypeError(f"components must be callable, not {type(given).__name__}")
        own = getattr(given, "size", size)
        if own != size:
            raise ValueError(f"z0 has {size} entries, but the components take {own}")
        self.given, self.n, self.size = given, n, size
        self.lipschitz = self._constants(getattr(given, "lipschitz", None))
        self.table = None if self.lipschitz is None else _kernels.AliasTable(self.lipschitz)
        self._order = np.arange(self.n) if self.table is None else None

    def _constants(self, given: Any) -> Array | None:
        if given is None:
            return None
        constants = np.ascontiguousarray(real_array(given, "components.lipschitz", ndim=1))
        check_finite(constants, "components.lipschitz")
        if len(constants) != self.n or not (constants > 0).all():
            raise ValueError(f"components.lipschitz must be {self.n} numbers > 0")
        return constants

    def draw(self, seed: int, first: int, count: int) -> tuple[Array, Array]:
        """Indices and the weight 1 / (count n p_i) of each: uniform ones without replacement."""
        if self.table is None:
            count = min(count, self.n)
            return _kernels.distinct_indices(self._order, seed, 0, first, count), np.full(count, 1 / count)  # type: ignore[arg-type]
        i = self.table.draw(seed, 0, first, count)
        return i, 1 / (count * self.n * self.table.probability[i])

    def difference(self, problem: Any, i: Array, weights: Array, z: Array, w: Array) -> Array:
        """The weighted sum of F_i(z) - F_i(w)."""
        problem.ncomp += 2 * len(i)
        return self._difference(i, weights, z, w)

    def _difference(self, i: Array, weights: Array, z: Array, w: Array) -> Array:
        if hasattr(self.given, "difference"):
            total = np.empty(self.size)
            self.given.difference(i, weights, z, w, total)
            return total
        rows = np.empty((len(i), self.size))
        if hasattr(self.given, "diff"):
            self.given.diff(i, z, w, rows)
            return np.asarray(weights @ rows)
        self.given(i, z, rows)
        before = np.empty_like(rows)
        self.given(i, w, before)
        rows -= before
        return np.asarray(weights @ rows)

    def whole(self, z: Array) -> Array:
        """F(z): by the components' own function, else as the mean of all."""
        return np.asarray(self.given.whole(z)) if hasattr(self.given, "whole") else self._total(z, self.n) / self.n

    def _total(self, z: Array, n: int) -> Array:
        """The sum of n components."""
        total, each = np.zeros(self.size), max(1, 2**20 // max(self.size, 1))
        for first in range(0, n, each):
            i = np.arange(first, min(first + each, n))
            rows = np.empty((len(i), self.size))
            self.given(i, z, rows)
            total += rows.sum(0)
        return total

    def constant(self, problem: Any, z: Array, F: Array) -> float:
        """L with E|F_i(u) - F_i(v)|^2 / (n p_i)^2 <= L^2 |u - v|^2: known, or estimated near z."""
        if problem.L is not None:
            return float(problem.L)
        if hasattr(self.given, "average"):
            return float(self.given.average)
        if self.lipschitz is not None:
            return float(self.lipschitz.mean())
        scale = 1e-3 * (1 + length(z))
        direction = F if F.any() else np.ones_like(z)
        i, _ = self.draw(problem.seed, 0, LOOKED_AT)
        largest = 0.0
        for _ in range(3):
            near = z + scale / length(direction) * direction
            problem.ncomp += 2 * len(i)
            # towards what the components agree on most, by a step of the power method
            square, direction = self._looked_at(i, near, z, direction)
            largest = max(largest, math.sqrt(square / len(i)) / scale)
            if not 0 < length(direction) < math.inf:
                break
        return MARGIN * largest if 1e-12 < largest < math.inf else 1.0

    def _looked_at(self, i: Array, near: Array, z: Array, direction: Array) -> tuple[float, Array]:
        """The sum of |F_i(near) - F_i(z)|^2, and J'J times the direction, J having these differences as rows."""
        rows, before = np.empty((2, len(i), self.size))
        self.given(i, near, rows)
        self.given(i, z, before)
        rows -= before
        return float((rows**2).sum()), rows.T @ (rows @ direction)

    # ---- extragradient steps ---------------------------------------------------------------------

    def plan(
        self, problem: Any, batch: int | None, epochs: float | None, z: Array | None = None, F: Array | None = None
    ) -> Plan:
        """Batch, steps a snapshot and, at a given point, the step."""
        b = min(batch or math.ceil(math.sqrt(self.n / 2)), self.n)
        if b == self.n:
            steps, gain = 1, 1.0
        else:
            steps = max(1, round((epochs or 1.0) * self.n / (2 * b)))
            gain = min(1.0, math.sqrt(b / steps))
        step = math.nan if z is None or F is None else 0.99 * gain / self.constant(problem, z, F)
        return Plan(b, steps, step)

    def at(self, problem: Any, z: Array) -> Array:
        """F(z) at a snapshot."""
        return np.asarray(problem.evaluate(z))

    def steps(
        self, problem: Any, plan: Plan, w: Array, F: Array, step: float, first: int
    ) -> tuple[Array, Array, int, float]:
        """The steps of a snapshot: the last point, the sum of the extrapolated ones, the next draw, and L as it showed.

        That is the root mean square of what the batches made of the differences, over that of |zh - w|.
        """
        changes = moves = 0.0
        keep = 1 - 1 / plan.steps
        z, total, fixed = w, np.zeros_like(w), (1 - keep) * w - step * F
        for _ in range(plan.steps):
            base = keep * z
            base += fixed
            half = base.copy()
            problem.resolvent(half, step, half)
            total += half
            if plan.batch == self.n:
                correction = problem.evaluate(half) - F
            else:
                i, weights = self.draw(problem.seed, first, plan.batch)
                first += plan.batch
                correction = self.difference(problem, i, weights, half, w)
            changes += float(correction @ correction)
            half -= w
            moves += float(half @ half)
            correction *= step
            z = np.subtract(base, correction, out=base)
            problem.resolvent(z, step, z)
        return z, total, first, math.sqrt(changes / moves) if moves > 0 else math.nan
