"""Arms of a `SequenceSolver`: whole solvers, each with a preparation that may serve several matrices.

An arm of the user's own is any object with

* ``name``, a string;
* ``prepare(A, previous)``: what it needs for this matrix; `previous` is what it returned before for a matrix of the
  same pattern, or None;
* ``solve(prepared, b, x0, tolerance)``: x, or ``(x, iterations)``, with ``norm(b - A @ x) <= tolerance`` if it can;
* optionally ``reuse``, for how many matrices in a row a preparation may serve (1 where it is not given), and
  ``estimate(A)``, a guess of (seconds to prepare, seconds to solve) a matrix of this pattern.

What it returns is checked; what it raises is caught and counted as a failure.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from .._base.errors import OptionError
from .._base.method import _registry
from .._base.result import Status
from .._base.sparse import relative, short_indices
from . import _kernels
from ._precondition import ic0
from ._problem import Matrix, fastest, for_ssor_cg, norm
from ._system import System
from ._tuner import OmegaTuner

Array = npt.NDArray[Any]

#: Seconds that a multiply-add takes, and a call of a solver or a step of a loop in Python: first estimates, no more.
MULTIPLY_ADD, CALL, STEP = 1e-9, 1e-4, 4e-5

#: The first in our own iterations, as long as the matrix has no more entries: it then stays in the caches.
CACHED, CACHED_ENTRIES = 2.5e-10, 1_500_000

#: Iterations of an arm of the user's that tells how long it takes, and the least that it is believed.
USUAL, LEAST = 50.0, 1e-9

#: The range of the context by which omega is learned.
LOG_CONDITIONS = (0.0, 8.0)

#: The arm that learns it; it is played where it is asked for by name, as eight omegas are arms of their own.
LEARNED = "ssor-cg(learned)"


class Outcome(NamedTuple):
    """What an arm made of a system."""

    x: Array | None
    nit: int
    status: Status
    #: The norm of the residual of x where this library's own `solve` has just formed it; else it is formed anew.
    norm: float | None = None


class Estimate(NamedTuple):
    """What an arm should cost on matrices of a pattern, crudely.

    It makes (some + per_digit * digits) * max(least + slope * condition, 1) ** power iterations, at least one, where
    digits is the natural logarithm of the factor by which the residual must fall.
    """

    #: Seconds of a preparation, of a solve without its iterations, and of an iteration.
    setup: float
    fixed: float
    each: float = 0.0
    some: float = 1.0
    per_digit: float = 0.0
    least: float = 1.0
    slope: float = 0.0
    power: float = 0.5

    @classmethod
    def krylov(cls, setup: float, fixed: float, each: float, least: float, slope: float) -> Estimate:
        """Conjugate gradients and the like; the condition that they see is least + slope * condition."""
        return cls(setup, CALL + fixed, each, 0.35, 0.5, least, slope)


class Expected(NamedTuple):
    """Seconds of a preparation and of a solve, and its iterations; numbers, or arrays over the arms."""

    setup: Any
    solve: Any
    nit: Any


class Estimates:
    """Those of all arms, None for one that does not serve: infinite."""

    def __init__(self, each: list[Estimate | None]):
        none = Estimate(np.inf, np.inf)
        rows = [none if e is None or not math.isfinite(sum(e)) else e for e in each]
        #: Whether one serves.
        self.any = any(row is not none for row in rows)
        self._columns = np.array(rows, dtype=np.float64).reshape(-1, len(none)).T.copy()

    def at(self, condition: float, digits: float) -> Expected:
        """What a solve should cost."""
        return Expected(*_kernels.estimates(self._columns, condition, digits))


class Task(NamedTuple):
    """One system, as the arms get it."""

    system: System
    b: Array
    x0: Array
    tolerance: float
    #: Seconds after which to give up.
    limit: float
    #: The same for iterations.
    iterations: int
    threads: int | None


@dataclass(frozen=True)
class Arm(ABC):
    """A solver in the portfolio; the subclasses say how."""

    name: str
    #: Arms of a family have costs that are related, the more the nearer they are.
    family: str
    place: float = 0.0
    #: For how many matrices in a row a preparation may serve.
    reuse: int = 1
    #: How many times as long the first preparation of a pattern takes.
    first: ClassVar[float] = 1.0
    #: Whether its time depends on where it starts.
    iterates: ClassVar[bool] = True
    #: Whether the matrix must be symmetric positive definite; False: must not be; None: either.
    definite: bool | None = True

    def serves(self, system: System) -> bool:
        """Whether it can take this matrix."""
        return self.definite is None or system.definite == self.definite

    @abstractmethod
    def estimate(self, system: System) -> Estimate:
        """What matrices of this pattern should cost."""

    def load(self) -> None:  # noqa: B027 (most import nothing)
        """Import what it needs; the time for that is no part of what is learned."""

    def analyse(self, system: System) -> None:  # noqa: B027 (most need nothing)
        """Work out what all matrices of this pattern share."""

    def prepare(self, system: System, previous: Any) -> Any:
        return None

    @abstractmethod
    def solve(self, prepared: Any, task: Task) -> Outcome:
        """Solve one system with what `prepare` made."""


def multiply_add(system: System) -> float:
    """Seconds, in our own iterations."""
    return CACHED if system.entries <= CACHED_ENTRIES else MULTIPLY_ADD


@dataclass(frozen=True)
class Method(Arm):
    """A method of `solve`."""

    method: str = ""
    options: tuple[tuple[str, Any], ...] = ()
    #: The order of the unknowns that it sweeps in.
    ordering: ClassVar[str] = "natural"

    def load(self) -> None:
        importlib.import_module("._solve", __package__)

    def analyse(self, system: System) -> None:
        system.operator.operand(self.order_of(system.operator))

    def order_of(self, A: Matrix) -> str:
        """That of the operand that serves."""
        return fastest(self.ordering, A)

    def serves(self, system: System) -> bool:
        record = _registry.get(("linalg", self.method))
        return super().serves(system) and record is not None and system.capability in record.capabilities

    def solve(self, prepared: Any, task: Task) -> Outcome:
        symmetric = {"assume_symmetric": True} if self.definite else {}
        return by_method(task, self.method, dict(self.options), **symmetric)


def by_method(task: Task, method: str, options: dict[str, Any], **keywords: Any) -> Outcome:
    """`solve` with this method."""
    from ._solve import solve

    limited = math.isfinite(task.limit)
    result = solve(
        task.system.operator, task.b, x0=task.x0, rtol=0.0, atol=task.tolerance, method=method, options=options,
        time_limit=task.limit if limited else None, max_iter=task.iterations, check_finite=False, threads=task.threads,
        **keywords,
    )  # fmt: skip
    # the loop looks at the clock now and then only: a trial may end by its count
    late = limited and result.status is Status.MAX_ITER
    return Outcome(result.x, result.nit, Status.TIME_LIMIT if late else result.status, result.residual_norm)


@dataclass(frozen=True)
class ConjugateGradients(Method):
    def estimate(self, system: System) -> Estimate:
        return Estimate.krylov(0.0, 0.0, multiply_add(system) * (system.entries + 6 * system.size), 0.0, 1.0)


@dataclass(frozen=True)
class SsorCg(Method):
    ordering: ClassVar[str] = "auto"

    def order_of(self, A: Matrix) -> str:
        return for_ssor_cg(self.ordering, A)

    @property
    def omega(self) -> float:
        return float(dict(self.options)["omega"])

    def estimate(self, system: System) -> Estimate:
        # Axelsson's bound of the condition, its last term 0 as for Poisson's equation
        narrow, each = 2 - self.omega, multiply_add(system) * (system.entries + 6 * system.size)
        return Estimate.krylov(0.0, 0.0, each, 1 / narrow, narrow / (8 * self.omega))


@dataclass(frozen=True)
class LearnedSsorCg(SsorCg):
    """SSOR-CG whose omega a tuner chooses, by the condition of the matrix; what it prepares is the tuner."""

    reuse: int = 1 << 30

    @property
    def omega(self) -> float:
        return 1.5

    def prepare(self, system: System, previous: Any) -> Any:
        return OmegaTuner(context=LOG_CONDITIONS, rng=0) if previous is None else previous

    def solve(self, prepared: Any, task: Task) -> Outcome:
        low, high = LOG_CONDITIONS
        context = min(max(math.log10(task.system.condition), low), high)
        return by_method(task, self.method, {"omega": prepared.at(context)}, assume_symmetric=True)


@dataclass(frozen=True)
class Chebyshev(Method):
    ordering: ClassVar[str] = "auto"

    def estimate(self, system: System) -> Estimate:
        work = system.entries + 4 * system.size
        bounds = _kernels.LANCZOS * MULTIPLY_ADD * work
        return Estimate.krylov(0.0, bounds, multiply_add(system) * work, 0.0, 1.3)


@dataclass(frozen=True)
class Sor(Method):
    def estimate(self, system: System) -> Estimate:
        return Estimate(0.0, CALL, 1.5 * MULTIPLY_ADD * system.entries, 0.0, 1.0, 0.0, 0.25, 1.0)


@dataclass(frozen=True)
class Ic0Cg(Method):
    """Conjugate gradients with an incomplete Cholesky factorisation, of this matrix or an earlier one."""

    def serves(self, system: System) -> bool:
        return super().serves(system) and system.matrix is not None

    def estimate(self, system: System) -> Estimate:
        each = multiply_add(system) * (3 * system.entries + 8 * system.size)
        return Estimate.krylov(2e-4 + 2e-8 * system.entries, 0.0, each, 1.0, 1 / 9)

    def prepare(self, system: System, previous: Any) -> Any:
        return ic0(system.operator)

    def solve(self, prepared: Any, task: Task) -> Outcome:
        return by_method(task, "cg", {}, M=prepared, assume_symmetric=True)


# ---- what runs under SciPy's iterations ---------------------------------------------------------------


class _OverError(Exception):
    """The time is over."""


def by_scipy(task: Task, name: str, M: Any, iterations: int, **keywords: Any) -> Outcome:
    """One of SciPy's Krylov methods with a preconditioner (a function of r)."""
    import scipy.sparse.linalg as scipy_linalg

    system, count, last = task.system, 0, task.x0
    end = time.perf_counter() + task.limit

    def precondition(r: Array) -> Array:
        if time.perf_counter() > end:
            raise _OverError
        return np.asarray(M(r))

    def follow(x: Any) -> None:
        nonlocal count, last
        count += 1
        if not keywords:
            last = x

    # What SciPy follows is a residual by recursion, which may be a little off the true one.
    goal = 0.9 * task.tolerance
    method = getattr(scipy_linalg, name)
    operator = scipy_linalg.LinearOperator((system.size,) * 2, precondition, dtype=np.float64)
    try:
        x, code = method(
            system.csr(), task.b, x0=task.x0, atol=goal, M=operator, maxiter=iterations, callback=follow,
            **relative(method, 0.0), **keywords,
        )  # fmt: skip
    except _OverError:
        return Outcome(np.array(last), count, Status.TIME_LIMIT)
    return Outcome(x, count, Status.CONVERGED if code == 0 else Status.MAX_ITER if code > 0 else Status.BREAKDOWN)


@dataclass(frozen=True)
class AmgCg(Arm):
    """Conjugate gradients with a V-cycle of pyamg's smoothed aggregation."""

    def serves(self, system: System) -> bool:
        return super().serves(system) and system.size >= 200 and available("pyamg")

    def estimate(self, system: System) -> Estimate:
        cycle = 10 * system.entries * MULTIPLY_ADD + 5e-4
        return Estimate(8e-3 + 400e-9 * system.entries, CALL, cycle, 1.0, 0.7)

    def load(self) -> None:
        importlib.import_module("pyamg")

    def prepare(self, system: System, previous: Any) -> Any:
        import pyamg
        import scipy.sparse

        A = system.csr()
        # pyamg takes the older kind of sparse matrix, with indices of 32 bits, which this constructor makes
        matrix = scipy.sparse.csr_matrix((A.data, A.indices, A.indptr), A.shape)
        return pyamg.smoothed_aggregation_solver(matrix).aspreconditioner()

    def solve(self, prepared: Any, task: Task) -> Outcome:
        return by_scipy(task, "cg", prepared.matvec, 500)


class Factors(NamedTuple):
    """A factorisation, and what a later one of the same pattern may reuse of it."""

    solve: Callable[[Array], Array]
    symbolic: Any = None


def factorise(system: System, definite: bool, previous: Factors | None) -> Factors:
    """Cholesky by CHOLMOD where it is installed and fits, with an analysis made once a pattern; else LU by SciPy."""
    import scipy.sparse
    import scipy.sparse.linalg as scipy_linalg

    matrix = short_indices(scipy.sparse.csc_matrix(system.csr().T if definite else system.csr()))
    if definite and cholmod() is not None:
        symbolic = cholmod().analyze(matrix) if previous is None else previous.symbolic
        factor = symbolic.cholesky(matrix)
        return Factors(factor, symbolic)
    mode = {"SymmetricMode": True} if definite else {}
    return Factors(scipy_linalg.splu(matrix, permc_spec="MMD_AT_PLUS_A" if definite else "COLAMD", options=mode).solve)


def _factor_seconds(system: System, definite: bool) -> tuple[float, float]:
    """Of a factorisation by nested dissection or minimum degree, and of a solve with it."""
    n, slower = system.size, 1.0 if definite and available("sksparse") else 2.5
    if system.dimension == 1:
        return 3e-7 * n * slower, 5e-8 * n
    if system.dimension == 2:
        return (2e-4 + n * (300 + 9 * math.sqrt(n)) * 1e-9) * slower, CALL + 8e-9 * n * math.log2(n + 1)
    return (2e-4 + 1e-6 * n + 0.6e-9 * n**2) * slower, CALL + 30e-9 * n ** (4 / 3)


def _fits_memory(system: System) -> bool:
    """Whether the factors stay well below a gigabyte or two."""
    n = system.size
    return (20 * n ** (4 / 3) if system.dimension == 3 else 10 * n * math.log2(n + 1)) < 1.5e8


@dataclass(frozen=True)
class Direct(Arm):
    """A sparse factorisation; its only matrix is the one that it was made of."""

    #: The analysis, in set-ups; SuperLU analyses each time.
    first: ClassVar[float] = 5.0
    iterates: ClassVar[bool] = False

    def serves(self, system: System) -> bool:
        return super().serves(system) and _fits_memory(system)

    def load(self) -> None:
        importlib.import_module("scipy.sparse.linalg")
        cholmod()

    def estimate(self, system: System) -> Estimate:
        return Estimate(*_factor_seconds(system, bool(self.definite)))

    def prepare(self, system: System, previous: Any) -> Any:
        return factorise(system, bool(self.definite), previous)

    def solve(self, prepared: Any, task: Task) -> Outcome:
        x = np.asarray(prepared.solve(task.b))
        # one step of refinement where the factors are not good enough; the caller sees whether the next is
        left = task.system.measure(task.b, x)
        if left > task.tolerance:
            return Outcome(x + prepared.solve(task.system.residual(task.b, x)), 2, Status.CONVERGED)
        return Outcome(x, 1, Status.CONVERGED, left)


@dataclass(frozen=True)
class FactoredCg(Direct):
    """Conjugate gradients (BiCGSTAB where it is not symmetric) with the factors of an earlier matrix."""

    iterates: ClassVar[bool] = True

    def estimate(self, system: System) -> Estimate:
        setup, once = _factor_seconds(system, bool(self.definite))
        return Estimate(setup, CALL, once + STEP, 1.0, 0.2)

    def solve(self, prepared: Any, task: Task) -> Outcome:
        return by_scipy(task, "cg" if self.definite else "bicgstab", prepared.solve, 200)


@dataclass(frozen=True)
class Transform(Arm):
    """Fast sine, cosine and Hartley transforms, for a constant stencil on a box."""

    iterates: ClassVar[bool] = False

    def serves(self, system: System) -> bool:
        return system.box is not None

    def estimate(self, system: System) -> Estimate:
        return Estimate(0.0, 6e-5 + 1.1e-9 * system.size * math.log2(system.size + 1))

    def solve(self, prepared: Any, task: Task) -> Outcome:
        box = task.system.box
        assert box is not None
        system, x = task.system, box.solve(task.b)
        left = system.measure(task.b, x)
        if left > task.tolerance and left < 1e-6 * norm(task.b):
            x += box.solve(system.residual(task.b, x))
            return Outcome(x, 2, Status.CONVERGED)
        if left > task.tolerance:
            system.no_box()
        return Outcome(x, 1, Status.CONVERGED, left)


# ---- for matrices that are not symmetric positive definite ------------------------------------------------


@dataclass(frozen=True)
class IluKrylov(Arm):
    """GMRES(m) or BiCGSTAB with an incomplete LU factorisation (SuperLU's, with threshold)."""

    definite: bool | None = False
    restart: int = 0

    def estimate(self, system: System) -> Estimate:
        work = 12 * system.entries + (self.restart + 6) * system.size
        return Estimate.krylov(1e-3 + 400e-9 * system.entries, 0.0, MULTIPLY_ADD * work + STEP, 1.0, 0.01)

    def prepare(self, system: System, previous: Any) -> Any:
        import scipy.sparse
        import scipy.sparse.linalg as scipy_linalg

        return scipy_linalg.spilu(short_indices(scipy.sparse.csc_matrix(system.csr())), drop_tol=1e-3, fill_factor=5)

    def solve(self, prepared: Any, task: Task) -> Outcome:
        if not self.restart:
            return by_scipy(task, "bicgstab", prepared.solve, 1000)
        cycles = max(1, 2000 // self.restart)
        return by_scipy(task, "gmres", prepared.solve, cycles, restart=self.restart, callback_type="pr_norm")


@dataclass(frozen=True)
class Foreign(Arm):
    """An arm of the user's."""

    definite: bool | None = None
    own: Any = None

    def estimate(self, system: System) -> Estimate:
        if hasattr(self.own, "estimate"):
            setup, solve = self.own.estimate(system.given)
            return Estimate(max(float(setup), 0.0), 0.0, max(float(solve), LEAST) / USUAL, USUAL)
        each = MULTIPLY_ADD * (2 * system.entries + 6 * system.size) + STEP
        return Estimate.krylov(20 * MULTIPLY_ADD * system.entries, 0.0, each, 1.0, 1 / 8)

    def prepare(self, system: System, previous: Any) -> Any:
        return self.own.prepare(system.given, previous)

    def solve(self, prepared: Any, task: Task) -> Outcome:
        answer = self.own.solve(prepared, task.b, task.x0.copy(), task.tolerance)
        x, nit = answer if isinstance(answer, tuple) else (answer, 1)
        x = np.array(x, dtype=np.float64)
        if x.shape != task.b.shape:
            raise ValueError(f"arm {self.name!r} returned x of shape {x.shape}, not {task.b.shape}")
        return Outcome(x, int(nit), Status.CONVERGED)


# ---- optional packages ----------------------------------------------------------------------------------


@cache
def available(package: str) -> bool:
    """Whether an optional package is installed; it is imported by the arm that plays first with it."""
    return importlib.util.find_spec(package) is not None


@cache
def cholmod() -> Any:
    """scikit-sparse's binding of CHOLMOD, or None."""
    try:
        module = importlib.import_module("sksparse.cholmod")
    except ImportError:
        return None
    return module if hasattr(module, "analyze") else None


# ---- the portfolio --------------------------------------------------------------------------------------

#: Evenly spaced in log(2 - omega), from 1 to 1.97.
OMEGAS = tuple(round(2 - 0.03 ** (k / 7), 3) for k in range(8))


def ssor_cg(omega: float) -> SsorCg:
    if not 0 < omega < 2:
        raise OptionError(f"omega must lie between 0 and 2, not {omega!r}")
    return SsorCg(f"ssor-cg({omega:g})", "ssor-cg", np.log(2 - omega), method="ssor-cg", options=(("omega", omega),))


@cache
def portfolio() -> dict[str, Arm]:
    """All built-in arms by name."""
    arms: list[Arm] = [
        Transform("transform", "transform", definite=None),
        *(ssor_cg(omega) for omega in OMEGAS),
        LearnedSsorCg(LEARNED, "ssor-cg(learned)", method="ssor-cg"),
        ConjugateGradients("cg", "cg", method="cg"),
        Chebyshev("chebyshev", "cg", method="chebyshev"),
        Ic0Cg("ic0-cg", "ic0-cg", method="cg"),
        Ic0Cg("ic0-cg/10", "ic0-cg", 0.4, reuse=10, method="cg"),
        AmgCg("amg-cg", "amg-cg"),
        AmgCg("amg-cg/20", "amg-cg", 0.6, reuse=20),
        Direct("cholesky", "cholesky"),
        FactoredCg("cholesky-cg/20", "cholesky", 1.0, reuse=20),
        *(IluKrylov(f"ilu-gmres({m})", "ilu-krylov", 0.2 * k, restart=m) for k, m in enumerate((10, 30, 60))),
        IluKrylov("ilu-bicgstab", "ilu-krylov", 0.6),
        IluKrylov("ilu-bicgstab/10", "ilu-krylov", 0.8, reuse=10),
        Direct("lu", "lu", definite=False),
        FactoredCg("lu-bicgstab/20", "lu", 1.0, reuse=20, definite=False),
        Sor("gauss-seidel", "gauss-seidel", definite=False, method="gauss-seidel"),
    ]
    return {arm.name: arm for arm in arms}
