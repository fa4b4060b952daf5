"""Sketch and project: a consistent system by projections onto small random combinations of its equations.

With W = S'A for a random S of few columns the step is x -= omega W'(W W')^+ (W x - S'b): for omega = 1 to the nearest
point that meets S'A x = S'b. S = e_i is Kaczmarz' method.

Differs from the published methods in:
1. No residual is kept: W x - S'b comes from x. A Gaussian step is one pass over A, not two.
2. Rows are equilibrated by weights inside the sketch; the matrix is not copied. Projections onto single rows and blocks
   do not depend on the scale of rows, their factors do.
3. "srht" mixes the rows once by a Hadamard transform with random signs, then projects onto blocks of the mixture: a
   fresh transform for each sketch would cost a pass over A and log2(rows) additions an entry.
4. The running measure is an estimate from the rows that were met, and recomputed where it falls to twice the tolerance
   and every 32 iterations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from .._base.method import Method, register
from .._base.options import option
from .._base.result import Status
from . import _kernels
from ._systems import DIVERGED, OUTCOMES, STAGNATED, System, SystemResult, parts

Array = npt.NDArray[Any]

#: Codes of sketch.h.
KINDS = {"rk": 0, "block": 1, "gaussian": 2, "countsketch": 3, "sparse-sign": 4, "srht": 1}
RULES = {"uniform": 0, "norm-squared": 1, "cyclic": 2, "max-residual": 3}
TURNS = 4

#: Iterations between looks at the true residual, and passes over the rows without a decrease by 1 % that end a solve.
LOOK, PATIENCE = 32, 50

#: Entries that one step works through at most.
STEP_WORK = 20_000_000


@dataclass(frozen=True, eq=False)
class SketchState:
    """What is carried from iteration to iteration."""

    x: Array
    #: The velocity, or Nesterov's second sequence, in the variables of the kernel.
    v: Array
    #: The point with the least recomputed measure, and that measure.
    best: Array
    least: float
    #: The measure that counted as a decrease last, and when.
    mark: float
    marked: int
    outcome: int
    nit: int
    measure: float


@dataclass(frozen=True)
class SketchAndProject:
    """Projections onto sketches of the system; one iteration touches about as many rows as there are unknowns."""

    sketch: str = option(
        "block",
        "What rows are combined into",
        choices=("rk", "block", "gaussian", "countsketch", "sparse-sign", "srht"),
    )
    size: int | None = option(None, "Rows of a sketch (None: 1 for rk, else half of the unknowns, 8 to 256)", low=1)
    sampling: str = option(
        "uniform", "Which row rk takes", choices=("uniform", "norm-squared", "cyclic", "max-residual")
    )
    tries: int = option(8, "Rows of which max-residual takes the best", low=1, high=10_000)
    blocks: str = option(
        "partition", "Blocks of rows: a fixed random partition, or fresh subsets", choices=("partition", "subset")
    )
    nonzeros: int = option(8, "Sums that each row goes into (sparse-sign)", low=1, high=1000)
    omega: float = option(1.0, "Relaxation of the projections", low=0, high=2, open=True)
    momentum: float = option(0.0, "Heavy-ball momentum", low=0, high=0.999)
    acceleration: float = option(
        0.0, "Nesterov's, by a lower bound of the expected projection's least eigenvalue; 0: off", low=0, high=1
    )
    scaling: str = option(
        "auto", "Equilibration: of rows; or (Ruiz) of rows and columns where A is symmetric with zeros on its diagonal",
        choices=("auto", "rows", "ruiz", "none"),
    )  # fmt: skip
    projections: int | None = option(
        None, "Projections an iteration (None: as many as touch min(A.shape) rows)", low=1, high=10_000_000
    )

    def init(self, problem: System) -> SketchState:
        x, measure = problem.x0, problem.measure(*problem.norms(problem.x0))
        v = self._run(problem).inside(x) if self.acceleration else np.zeros(problem.cols)
        return SketchState(x, v, x, measure, measure, 0, 0, 0, measure)

    def step(self, problem: System, state: SketchState) -> SketchState:
        """As many iterations as make a piece of work."""
        run = self._run(problem)
        most = 1 if problem.every else min(run.together, problem.max_iter - state.nit)
        for _ in range(most):
            state = self._iterated(problem, run, state)
            if self.done(problem, state) is not None:
                break
        return state

    def _iterated(self, problem: System, run: Run, state: SketchState) -> SketchState:
        kernel, nit, outcome = run.kernel, state.nit + 1, 0
        kernel.x[:], kernel.v[:] = run.inside(state.x), state.v
        measure = kernel.run(state.nit * run.count, run.count) / problem.size_of_b
        x, best, least, mark, marked = run.outside(kernel.x), state.best, state.least, state.mark, state.marked
        if not run.own or not measure > 2 * problem.tol or nit % LOOK == 0:
            measure = run.residual(problem, x) / problem.size_of_b
            if measure < least:
                best, least = x, measure
            if least < 0.99 * mark:
                mark, marked = least, nit
            elif nit - marked >= run.patience:
                outcome = STAGNATED
        if not measure < 1e8 * max(least, 1.0):
            outcome = DIVERGED
        if outcome:
            x, measure = best, least
        return SketchState(x, kernel.v.copy(), best, least, mark, marked, outcome, nit, measure)

    def done(self, problem: System, state: SketchState) -> Status | None:
        if state.measure <= problem.tol:
            return Status.CONVERGED
        return OUTCOMES[state.outcome] if state.outcome else None

    def finish(self, problem: System, state: SketchState) -> SystemResult:
        run = self._run(problem)
        projections = state.nit * run.count
        return problem.certify(state.x, state.nit, {"projections": projections, "rows": projections * run.size})

    def _run(self, problem: System) -> Run:
        run: Run = problem.remember("run", lambda: Run(self, problem))
        return run


class Run:
    """A system in the form that the kernel works on."""

    def __init__(self, solver: SketchAndProject, problem: System) -> None:
        A, b = problem.A, problem.b
        ruiz = solver.scaling == "ruiz" or (solver.scaling == "auto" and looks_like_kkt(A))
        if solver.scaling == "ruiz" and A.shape[0] != A.shape[1]:
            raise ValueError("scaling 'ruiz' is for square systems: use 'rows'")
        #: Of the columns; None for ones.
        self.columns = ruiz_scale(A) if ruiz else None
        self.own = solver.sketch != "srht" and not ruiz  # whether the kernel's rows are the user's
        if self.columns is not None:
            A, b = scaled(A, self.columns, self.columns), self.columns * b
        if solver.sketch == "srht":
            A, b = mixed(A, b, problem.seed, solver.scaling != "none")
        rows, cols = A.shape
        self.size = min(rows, solver.size or max(8, min(256, cols // 2))) if solver.sketch != "rk" else 1
        self.count = solver.projections or max(1, -(-min(rows, cols) // self.size))
        rule = RULES[solver.sampling]
        if KINDS[solver.sketch] == KINDS["block"]:
            rule = TURNS if solver.blocks == "partition" else RULES["uniform"]
        self.kernel = _kernels.Sketch(
            *parts(A), b, KINDS[solver.sketch], rule,
            2 if solver.acceleration else 1 if solver.momentum else 0, self.size, solver.tries,
            min(solver.nonzeros, self.size), solver.scaling != "none", solver.omega, solver.momentum,
            nesterov(solver.acceleration, rows / self.size), problem.seed,
        )  # fmt: skip
        self.patience = PATIENCE * -(-rows // (self.count * self.size))
        # a sketch that combines rows reads them all
        read = problem.entries if KINDS[solver.sketch] > 1 else self.size * max(1, problem.entries // rows)
        self.together = max(1, STEP_WORK // (self.count * read + 8 * cols + 1))

    def residual(self, problem: System, x: Array) -> float:
        """norm(A @ x - b) of the user's system."""
        if self.own:
            return self.kernel.residual()
        return float(np.linalg.norm(problem.b - problem.A @ x))

    def inside(self, x: Array) -> Array:
        return x if self.columns is None else x / self.columns

    def outside(self, x: Array) -> Array:
        return x.copy() if self.columns is None else x * self.columns


# ---- scalings and mixtures -----------------------------------------------------------------------


def looks_like_kkt(A: Any) -> bool:
    """Symmetric, with zeros on its diagonal."""
    if A.shape[0] != A.shape[1] or A.shape[0] < 2:
        return False
    diagonal = A.diagonal()
    if np.all(diagonal != 0) or not np.any(diagonal):
        return False
    difference = abs(A - A.T)
    return bool(difference.max() <= 1e-12 * abs(A).max())


def ruiz_scale(A: Any, passes: int = 8) -> Array:
    """Powers of 2, d, so that the largest entries of the rows of ``diag(d) A diag(d)`` are near 1 (Ruiz 2001)."""
    magnitudes = abs(A)
    d = np.ones(A.shape[0])
    for _ in range(passes):
        largest = scaled(magnitudes, d, d).max(axis=1)
        largest = largest.toarray().ravel() if scipy.sparse.issparse(largest) else largest
        d /= np.sqrt(np.where(largest > 0, largest, 1.0))
    return np.exp2(np.rint(np.log2(d)))


def scaled(A: Any, left: Array, right: Array) -> Any:
    """diag(left) A diag(right)."""
    if not scipy.sparse.issparse(A):
        return left[:, None] * A * right
    row = np.repeat(np.arange(A.shape[0]), np.diff(A.indptr))
    return scipy.sparse.csr_array((left[row] * A.data * right[A.indices], A.indices, A.indptr), A.shape)


def mixed(A: Any, b: Array, seed: int, equilibrated: bool) -> tuple[Array, Array]:
    """(H D A, H D b): random signs, then Hadamard's transform over the rows, which are padded to a power of 2."""
    rows, cols = A.shape
    padded = np.zeros((1 << max(0, math.ceil(math.log2(rows))), cols + 1))
    padded[:rows, :cols] = A.toarray() if scipy.sparse.issparse(A) else A
    padded[:rows, cols] = b
    factors = np.random.default_rng([seed, rows]).choice([-1.0, 1.0], rows)
    if equilibrated:
        norms = np.linalg.norm(padded[:rows, :cols], axis=1)
        factors = factors / np.where(norms > 0, norms, 1.0)
    padded[:rows] *= factors[:, None]
    _kernels.hadamard(padded)
    return np.ascontiguousarray(padded[:, :cols]), np.ascontiguousarray(padded[:, cols])


def nesterov(mu: float, nu: float) -> tuple[float, float, float]:
    """The weights of the sequences for an expected projection with eigenvalues >= mu (Gower et al. 2018)."""
    if not mu:
        return 0.0, 0.0, 0.0
    nu = min(max(nu, 1.0), 1 / mu)
    pull = math.sqrt(1 / (mu * nu))
    return 1 / (1 + pull * nu), pull, 1 - math.sqrt(mu / nu)


METHOD = register(
    Method(
        name="sketch-project",
        family="optimize",
        summary="projections onto random combinations of the equations, for consistent systems",
        reference="Gower, Richtarik (2015), Randomized iterative methods for linear systems, "
        "SIAM J. Matrix Anal. Appl. 36(4), arXiv 1506.03296",
        solver=SketchAndProject,
        capabilities=frozenset({"linear-system"}),
    )
)
