"""What a solve returns: `Status` and `SolveResult`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from enum import IntEnum
from typing import Any, Self

import numpy as np

from .errors import SolveError


class Status(IntEnum):
    """How a solve ended. The numbers are stable; each member's `sentence` says what happened and what to try."""

    sentence: str

    def __new__(cls, number: int, sentence: str) -> Status:
        member = int.__new__(cls, number)
        member._value_ = number
        member.sentence = sentence
        return member

    CONVERGED = 0, "The recomputed measure of the answer meets the tolerance."
    CALLBACK_STOP = 2, "The callback asked to stop."
    MAX_ITER = 10, "max_iter steps did not reach the tolerance; raise max_iter, or start from this result's state."
    MAX_EVAL = 11, "The evaluations that were allowed did not reach the tolerance; allow more, or start from here."
    TIME_LIMIT = 12, "The time limit came before the tolerance; raise time_limit, or start from this result's state."
    STAGNATION = (
        13,
        ("No step gains anything more, most often by rounding; ask for a looser tol, or scale the problem better."),
    )
    DIVERGED = (
        14,
        (
            "The iteration diverges; the best point that was kept is returned. If there is a solution, another method, "
            "another start or shorter steps (a smaller omega) may find it."
        ),
    )
    NOT_SPD = 20, "The matrix is not symmetric positive definite; use a method for general matrices."
    BREAKDOWN = 21, "The iteration broke down before the tolerance; start from this result's x, or try another method."
    NONFINITE = 22, "The iteration left the finite numbers; the last finite state is returned. Check the data's scale."
    INFEASIBLE = 23, "No point satisfies the constraints; relax those that the message names."
    UNBOUNDED = 24, "The objective improves without end along a direction that the constraints allow; see the ray."
    NOT_CERTIFIED = 26, "The operator is not monotone, and the tolerance is not met: nothing is known of this point."
    LOCALLY_INFEASIBLE = (
        27,
        ("No point near this one violates the constraints less, and they are violated; try another x0, or relax them."),
    )


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class SolveResult(Mapping[str, Any]):
    """The result of a solve: attributes, and a mapping like SciPy's OptimizeResult.

    Attributes
    ----------
    x : object
        The answer.
    success : bool
        Whether a full float64 measure, recomputed from the returned answer, meets the tolerance.
    status : Status
        How the solve ended.
    message : str
        The status in words, and which method was chosen and why.
    nit : int
        Steps taken.
    measure : float
        The recomputed number that was compared with the tolerance.
    method : str
        Name of the method that ran.
    options : dict
        The method's options as used.
    stats : dict
        Named numbers: seconds, threads, isa, copies of the input that were made, counts of the method.
    history : dict of ndarray
        ``nit``, ``measure`` (the running one) and ``seconds`` after each step.
    state : object
        The solver's last state: arrays and scalars. Pass it as ``resume=`` to go on, to the same bits.
    """

    x: Any
    success: bool
    status: Status
    message: str
    nit: int
    measure: float
    method: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    stats: dict[str, Any] = field(default_factory=dict)
    history: dict[str, np.ndarray] = field(default_factory=dict)
    state: Any = None

    @classmethod
    def of(cls, **values: Any) -> Self:
        """A result of these values, all that have no default among them; `__init__` takes as long as a small solve."""
        made = object.__new__(cls)
        # the whole at once: to set one after the other is forbidden, and takes longer
        object.__setattr__(made, "__dict__", {"options": {}, "stats": {}, "history": {}, **values})
        return made

    @classmethod
    def made(cls, values: dict[str, Any]) -> Self:
        """As `of`, of all values that the class names, in a dict that becomes the result's own."""
        result = object.__new__(cls)
        object.__setattr__(result, "__dict__", values)
        return result

    def changed(self, **changes: Any) -> Self:
        """A copy with other values of some fields; `dataclasses.replace` would take as long as a small solve."""
        copy = object.__new__(type(self))
        object.__setattr__(copy, "__dict__", {**self.__dict__, **changes})
        return copy

    def raise_for_status(self) -> None:
        """Raise `SolveError` unless the solve succeeded."""
        if not self.success:
            raise SolveError(self)

    def __getitem__(self, key: str) -> Any:
        if key not in tuple(self):
            raise KeyError(key)
        return getattr(self, key)

    def __iter__(self) -> Iterator[str]:
        return (f.name for f in fields(self))

    def __len__(self) -> int:
        return len(fields(self))

    def __repr__(self) -> str:
        width = max(len(name) for name in self)
        return "\n".join(f"{name:>{width}}: {_brief(self[name])}" for name in self)


def _brief(value: Any) -> str:
    if isinstance(value, Status):
        return f"{int(value)} ({value.name})"
    if isinstance(value, np.ndarray) and value.size > 6:
        return f"array of shape {value.shape}, {value.dtype}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {_brief(v)}" for k, v in value.items()) + "}"
    text = repr(value)
    return text if len(text) <= 120 else text[:117] + "..."
