"""The checked linear system, the state that the methods share, the result of a solve."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from .._base.iterate import Row
from .._base.result import SolveResult, Status
from .._base.state import made, replace
from . import _kernels
from ._matrix import planned

Array = npt.NDArray[Any]

#: Multiply-adds that one step of a method may take, so that Ctrl-C, limits and the log are served between steps.
STEP_WORK = 50_000_000

#: The part of norm(b) below which rounding leaves nothing of a residual that a recurrence tells.
ROUNDING = _kernels.ROUNDING

#: Orders in which the unknowns can be swept; "auto" is the fastest with the result of "natural".
ORDERINGS = ("natural", "wavefront", "multicolor", "redblack", "blocks", "auto")

#: What the kernels say of an iteration (enum sv_outcome); 0 is to go on, 1 that the goal was reached.
OUTCOMES = {2: Status.DIVERGED, 3: Status.STAGNATION, 4: Status.NOT_SPD, 5: Status.NONFINITE}
REACHED, NOT_FINITE = 1, 5


class Matrix(Protocol):
    """What the methods ask of a matrix: `Plan` and `GridOperator` have it."""

    @property
    def size(self) -> int: ...
    @property
    def entries(self) -> int: ...
    @property
    def copies(self) -> int: ...
    @property
    def capability(self) -> str: ...
    def operand(self, ordering: str) -> _kernels.Operand: ...
    def residual(self, b: Array, x: Array) -> Array: ...


def fastest(ordering: str, A: Matrix) -> str:
    """The ordering, or for "auto" the fastest with the result of the natural one."""
    if ordering != "auto":
        return ordering
    return "wavefront" if A.capability == "sparse-matrix" else "natural"


def for_ssor_cg(ordering: str, A: Matrix) -> str:
    """The same, in the layout that SSOR-CG has for it."""
    ordering = fastest(ordering, A)
    return "slanted" if ordering == "natural" and getattr(A, "slants", False) else ordering


def a_step(A: Matrix) -> int:
    """Iterations that a step may make where nobody looks at them one by one."""
    return max(1, STEP_WORK // (A.entries + 8 * A.size))


def norm(vector: Array) -> float:
    """The 2-norm of a contiguous vector of float64."""
    return _kernels.norm(vector)


def prepared(A: Any, check_finite: bool = True) -> Matrix:
    """What the methods work on: A itself where it is a plan or a grid operator, else its plan; real."""
    if callable(getattr(A, "operand", None)):
        return A  # type: ignore[no-any-return]
    return planned(A, check_finite)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class LinearResult(SolveResult):
    """Result of a linear solve: a `SolveResult` with the following.

    Attributes
    ----------
    x : ndarray, shape (n,) or (n, k)
        The solution.
    residual_norm : float
        ``norm(b - A @ x)``, recomputed in float64 from the returned x; equal to `measure`. For several right-hand sides
        the largest.
    columns : tuple of LinearResult
        For several right-hand sides, the result of each.
    """

    residual_norm: float
    columns: tuple[LinearResult, ...] = ()


@dataclass(frozen=True, eq=False)
class IterationState:
    """What every method of the family carries from step to step. Vectors are in the user's order."""

    x: Array
    #: An earlier x, with a residual at most ten times the least seen: may be returned where the iteration fails.
    kept: Array
    #: Numbers of the compiled loop; the first five are those of `sv_monitor`.
    numbers: Array
    outcome: int
    nit: int
    measure: float

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """A vector of a last state, in the user's order once it is looked at: see `following`."""
            operand, vectors = self.__dict__.get("_packed", (None, {}))
            if name not in vectors:
                raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
            found = self.__dict__[name] = operand.unpacked(vectors[name])
            return found

    def __getstate__(self) -> dict[str, Any]:
        """All vectors in the user's order: an operand is not to be saved."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


State = TypeVar("State", bound=IterationState)


@dataclass(eq=False, repr=False)
class LinearProblem:
    """A linear system, ready for the methods."""

    A: Matrix
    b: Array
    x0: Array
    #: What the residual's 2-norm must come down to.
    tol: float
    max_iter: int
    #: Whether every iteration is a step of its own.
    every: bool
    threads: int
    #: The preconditioner as the user gave it.
    M: Any = None
    assume_symmetric: bool = False
    #: What to do on components of a grid without a sink.
    nullspace: str | None = None
    #: The norm of b, where it is known.
    size_of_b: float | None = None
    #: What vectors are counted in, in the user's numbers: see `_units`.
    unit: float = 1.0
    #: Of a column that was solved together with others: `x`, the `measure` of it, and `nit`.
    known: Any = None
    #: The states before and after a first step that was made already, where one was.
    begun: Any = None
    _memory: dict[str, Any] = field(default_factory=dict)
    _operands: dict[str, _kernels.Operand] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<{self.title}>"

    @property
    def remembered(self) -> frozenset[str]:
        """The names under which something is remembered."""
        return frozenset(self._memory)

    @property
    def needs(self) -> frozenset[str]:
        """The capabilities that a method must have."""
        if self.M is None:
            return frozenset((self.A.capability,))
        return frozenset((self.A.capability, getattr(self.M, "capability", "preconditioner")))

    @property
    def stats(self) -> dict[str, Any]:
        return {"copies": self.A.copies, "threads": self.threads}

    @property
    def title(self) -> str:
        return f"{self.A.size} unknowns, {self.A.entries} entries, tol {self.tol:g}"

    @property
    def floor(self) -> float:
        """The norm of a residual by recurrence that is nothing but rounding."""
        return ROUNDING * (norm(self.b) if self.size_of_b is None else self.size_of_b)

    def most(self, nit: int) -> int:
        """Iterations that the next step may make."""
        return min(1 if self.every else a_step(self.A), self.max_iter - nit)

    def operand(self, ordering: str) -> _kernels.Operand:
        """The matrix as the kernels take it."""
        operand = self._operands.get(ordering)
        if operand is None:
            operand = self._operands[ordering] = self.A.operand(fastest(ordering, self.A))
            operand.threads = self.threads
        return operand

    def packed_b(self, operand: _kernels.Operand) -> Array:
        """b in the operand's order; not to be changed."""
        name = f"b {id(operand)}"
        packed: Array | None = self._memory.get(name)
        if packed is None:
            packed = self._memory[name] = operand.packed(self.b)
        return packed

    def packed(self, state: IterationState) -> dict[str, Array] | None:
        """The vectors that `keep_packed` was given last, if that was for this state; to be changed in place."""
        last, vectors = self._memory.pop("last", (None, None))
        return vectors if last is state else None

    def keep_packed(self, state: IterationState, vectors: dict[str, Array]) -> None:
        """What `packed` returns for this state: saves the next step a pass over each vector."""
        self._memory["last"] = state, vectors

    def remember(self, name: str, make: Callable[[], Any]) -> Any:
        """What `make` returned when it was first called under this name."""
        if name not in self._memory:
            self._memory[name] = make()
        return self._memory[name]

    def forget(self, name: str) -> None:
        """Lets go of what was remembered under this name."""
        self._memory.pop(name, None)

    def start(self, numbers: int, at_start: float | None = None) -> IterationState:
        """The state at x0, with room for so many numbers; at_start: the norm of its residual, where that is known."""
        at_start = self._norm(self.x0) if at_start is None else at_start
        memory = np.zeros(numbers)
        memory[0] = memory[1] = memory[3] = at_start  # first, best, kept
        return IterationState(self.x0, self.x0, memory, 0, 0, at_start)

    def answer(self, state: Any) -> Array:
        """The iterate of a state."""
        x: Array = state.x.view()
        x.flags.writeable = False
        return x

    def _norm(self, x: Array) -> float:
        operand = self.operand("natural")
        return operand.residual_norm(self.packed_b(operand), x)

    def done(self, state: IterationState) -> Status | None:
        """What the state's measure and outcome say."""
        if state.measure <= self.tol:
            return Status.CONVERGED
        return OUTCOMES.get(state.outcome)

    def certify(self, state: IterationState, stats: dict[str, Any], formed: bool = False) -> LinearResult:
        """The result of a state, its residual recomputed; of an iteration that failed, the best point kept.

        formed: where the loop says that it reached the goal it has just formed b - A x from the last x: `measure` is
        the norm of that.
        """
        x = state.x
        left = state.measure if formed and state.outcome == REACHED else self._norm(x)
        if left > self.tol and (state.outcome in OUTCOMES or not left <= state.numbers[0]):
            # the one kept may be no good either, where the residual was told by a recurrence that had drifted
            for other in (state.kept, self.x0):
                x, left = (x, left) if left <= self._norm(other) else (other, self._norm(other))
        return LinearResult.of(
            x=x, measure=left, residual_norm=left, stats=stats,
            # the loop fills these in
            success=False, status=Status.MAX_ITER, message="", nit=state.nit,
        )  # fmt: skip


class Iterative(ABC):
    """What the solvers that step by compiled iterations have in common."""

    @abstractmethod
    def init(self, problem: LinearProblem) -> Any: ...

    @abstractmethod
    def step(self, problem: LinearProblem, state: Any) -> Any: ...

    def done(self, problem: LinearProblem, state: Any) -> Status | None:
        return problem.done(state)

    def all_steps(self, problem: LinearProblem, max_iter: int, start: float) -> tuple[Any, list[Row]]:
        """See `solvers._base.iterate.AllSteps`: a small solve takes less time than the loop's other work."""
        state, rows = self.init(problem), []
        while self.done(problem, state) is None and state.nit < max_iter:
            rows.append((state.nit, state.measure, time.perf_counter() - start))
            state = self.step(problem, state)
        return state, rows


def widened(base: IterationState, kind: type[State], **more: Any) -> State:
    """The state as one of a kind with more fields."""
    state = object.__new__(kind)  # as in `replace`
    state.__dict__.update(base.__dict__, **more)
    return state


def following(
    state: State, operand: _kernels.Operand, done: int, measure: float, outcome: int, **vectors: Array
) -> State:
    """The state after an iteration in the operand's order; the old vectors where that left the finite numbers."""
    changed: dict[str, Any] = {"nit": state.nit + done, "measure": measure, "outcome": outcome}
    if outcome == NOT_FINITE:
        return replace(state, **changed)
    changed["numbers"] = vectors.pop("numbers")
    changed["x"] = operand.unpack(vectors.pop("x"))
    if outcome:
        known = {name: value for name, value in state.__dict__.items() if name not in vectors}
        return made(type(state), **{**known, **changed, **at_rest(operand, vectors)})
    return replace(state, **changed, **{name: operand.unpacked(vector) for name, vector in vectors.items()})


def at_rest(operand: _kernels.Operand, vectors: dict[str, Array]) -> dict[str, Any]:
    """What a last state has of vectors in the operand's order.

    Those of a grid stay as they are until somebody looks at them: few solves go on from there. (A sparse matrix's
    operand, several vectors long, is not kept for that.)
    """
    if isinstance(operand, _kernels.Grid):
        return {"_packed": (operand, vectors)}
    return {name: operand.unpacked(vector) for name, vector in vectors.items()}
