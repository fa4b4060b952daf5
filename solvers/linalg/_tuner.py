"""Tuners: which omega, or which solver, to use for the next of a sequence of systems, learned from costs alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .._base.options import build
from .._base.rng import RNG, as_generator
from .._base.validate import integer
from ._kernels import Learner as CompiledLearner
from ._kernels import Question, omega_places, omega_values
from ._learner import Arms, Learner, lookup

Array = npt.NDArray[Any]

#: Of what `state_dict` returns.
VERSION = 1

#: Questions of one key that may be pending; asking on, the oldest are dropped.
MOST_PENDING = 1024


def omega_grid(count: int = 20, *, low: float = 1.0, high: float = 1.98) -> Array:
    """Values of omega between two ends, equally spaced in ``log(2 - omega)``, over which costs vary smoothly.

    Parameters
    ----------
    count : int, default 20
        How many.
    low, high : float, default 1 and 1.98
        The ends: ``0 < low < high < 2``.

    Returns
    -------
    ndarray, shape (count,)
        Increasing.

    Examples
    --------
    >>> import solvers
    >>> solvers.linalg.omega_grid(4, high=1.875).tolist()
    [1.0, 1.5, 1.75, 1.875]
    """
    if not (0 < low < high < 2):
        raise ValueError(f"0 < low < high < 2 must hold, not low = {low!r}, high = {high!r}")
    if count < 1:
        raise ValueError(f"count must be >= 1, not {count!r}")
    return omega_values(count, low, high)


class ArmTuner:
    """Chooses among named arms before each solve, and learns from the costs it is told.

    Parameters
    ----------
    names : sequence of str
        The arms, each once.
    learner : str, optional
        Which learner; ``python -m solvers methods`` lists them. Without it: ``"tsallis-dr"``, with a context
        ``"binned"``.
    context : (float, float), optional
        The ends of a number that is known before each solve and that the costs depend on. Contexts beyond them count as
        the nearer end.
    drift : {None, "auto", "discount", "window", "reset"}
        What to do about costs that change over time: nothing; forget slowly if that proves better; forget slowly;
        forget all but the last steps; forget all when a change is seen. Not every learner knows every one. Without it,
        an arm that was bad for long and became good is found late, or never.
    options : mapping, optional
        Options of the learner.
    cost_floor : float, default 0
        What no solve costs less than: costs count from there.
    rng : None, int, Generator or SeedSequence
        Seeds the tuner's own generator.

    Raises
    ------
    ValueError
        Names that repeat, a context that is no range.
    MethodError, OptionError
        A learner that does not exist or does not serve this; an option it does not have.

    Notes
    -----
    A question and its answer take 1 to 2 microseconds for 20 arms, 4 by ChebCB and 7 by the Gaussian process with a
    context. Nothing grows with the number of questions. The same seed and the same costs give the same questions, to
    the bit.

    Examples
    --------
    >>> from solvers.linalg import ArmTuner
    >>> tuner = ArmTuner(["slow", "fast"], rng=0)
    >>> for _ in range(200):
    ...     question = tuner.ask()
    ...     tuner.tell(question, cost={"slow": 9.0, "fast": 1.0}[question.value])
    >>> tuner.best()
    'fast'
    """

    def __init__(
        self,
        names: Sequence[Any],
        *,
        learner: str | None = None,
        context: tuple[float, float] | None = None,
        drift: str | None = None,
        options: Mapping[str, Any] | None = None,
        cost_floor: float = 0.0,
        rng: RNG = None,
    ) -> None:
        values = list(names)
        if isinstance(names, str) or not values or not all(isinstance(name, str) for name in values):
            raise ValueError("names must be a sequence of at least one str")
        self._begin(values, None, learner, "binned", context, drift, options, cost_floor, rng)

    def _begin(
        self, values: list[Any], places: Array | None, learner: str | None, contextual: str, context: Any,
        drift: str | None, options: Mapping[str, Any] | None, cost_floor: float, rng: RNG,
    ) -> None:  # fmt: skip
        if len(set(values)) != len(values):
            raise ValueError("the arms must differ from one another")
        if not 0 <= cost_floor < np.inf:
            raise ValueError(f"cost_floor must be >= 0 and finite, not {cost_floor!r}")
        self.values = values
        self._arms = Arms(len(values), places, _range(context), drift)
        self._learner: Learner = lookup(learner or ("tsallis-dr" if context is None else contextual), self._arms)
        self._settings = build(self._learner.settings, self._learner.name, options)
        self._core = self._settings.core(self._arms)
        self._floor = float(cost_floor) if self._learner.floor else 0.0
        self._seed = [int(word) for word in as_generator(rng).integers(0, 2**32, 4)]
        self._learners: dict[str, CompiledLearner] = {}

    def __repr__(self) -> str:
        asked = sum(learner.asked for learner in self._learners.values())
        return f"<{type(self).__name__} of {len(self.values)} arms by {self._learner.name}, {asked} questions asked>"

    # ---- asking and telling --------------------------------------------------------------------

    def ask(self, context: float | None = None, *, key: str = "") -> Question:
        """What to use for the next solve.

        Parameters
        ----------
        context : float, optional
            Where the tuner has a context: its value for this solve.
        key : str, default ""
            For sequences that are learned apart, such as the fields of a simulation: their name.

        Returns
        -------
        Question
            With ``value`` (the omega, or the arm's name), ``arm`` (its place) and ``token`` (its number).
            At most 1024 of a key stay open; beyond that the oldest is dropped.

        Raises
        ------
        ValueError
            A context that is missing, not asked for, or not finite.
        """
        learner = self._learners.get(key)
        if learner is None:
            learner = self._new(key)
        if (context is None) is not (self._arms.context is None):
            raise ValueError("context must be given where the tuner has one, and only there")
        value = 0.0 if context is None else float(context)
        if not math.isfinite(value):
            raise ValueError(f"context must be finite, not {context!r}")
        return learner.ask(value, MOST_PENDING)

    def at(self, context: float | None = None, *, key: str = "") -> BoundTuner:
        """This tuner with its next context and key given: what `solve` takes as its option ``omega``."""
        return BoundTuner(self, context, key)

    def tell(self, question: Question, cost: float) -> None:
        """What the solve of a question cost.

        Parameters
        ----------
        question : Question
            As `ask` returned it, or as `pending` lists it. In any order, each once.
        cost : float
            Iterations, seconds, or anything else of which less is better; at least 0.

        Raises
        ------
        ValueError
            A cost that is negative or not finite; a question that is not pending. Nothing changes then.
        """
        learner = self._learners.get(question.key)
        if learner is None:
            raise ValueError(f"question {question.token} is another tuner's")
        learner.tell(question, cost)

    def pending(self, key: str = "") -> list[Question]:
        """The questions that have not been answered, oldest first."""
        return list(self._learners[key].pending.values()) if key in self._learners else []

    # ---- what was learned ----------------------------------------------------------------------

    def probabilities(self, context: float | None = None, *, key: str = "") -> Array:
        """With which the arms would be chosen next, shape (arms,)."""
        learner = self._learners.get(key) or self._made(key)
        return learner.probabilities(0.0 if context is None else float(context))

    def best(self, context: float | None = None, *, key: str = "") -> Any:
        """The arm that would be chosen most probably next."""
        return self.values[int(np.argmax(self.probabilities(context, key=key)))]

    def value_counts(self, key: str = "") -> dict[Any, int]:
        """How often each arm's cost was told."""
        counts = self._learners[key].counts if key in self._learners else np.zeros(len(self.values), int)
        return dict(zip(self.values, counts.tolist(), strict=True))

    def report(self, key: str = "") -> dict[str, Any]:
        """What was asked and learned so far.

        Returns
        -------
        dict
            ``learner``, ``asked``, ``told``, ``pending``, ``total_cost``; and for each arm, in order: ``values``,
            ``counts``, ``mean_costs`` (NaN where never played). Without a context also ``probabilities`` and ``best``.
        """
        learner = self._learners.get(key) or self._made(key)
        with np.errstate(invalid="ignore"):
            means = learner.costs / learner.counts
        told = {
            "learner": self._learner.name, "asked": learner.asked, "told": int(learner.counts.sum()),
            "pending": len(learner.pending), "total_cost": float(learner.costs.sum()), "values": list(self.values),
            "counts": learner.counts.tolist(), "mean_costs": means.tolist(),
        }  # fmt: skip
        if self._arms.context is None:
            told |= {"probabilities": self.probabilities(key=key).tolist(), "best": self.best(key=key)}
        return told

    # ---- saving and loading --------------------------------------------------------------------

    def _identity(self) -> dict[str, Any]:
        """What a state must agree with to be loaded."""
        context = None if self._arms.context is None else list(self._arms.context)
        return {
            "version": VERSION, "learner": self._learner.name, "values": self.values, "context": context,
            "drift": self._arms.drift, "settings": self._core.settings.tolist(), "floor": self._floor,
        }  # fmt: skip

    def state_dict(self) -> dict[str, Any]:
        """All that the tuner knows, as what JSON has: numbers, strings, lists. Open questions are part of it."""
        kept = {
            key: {
                "asked": one.asked, "words": [f"{word:016x}" for word in one.words], "state": one.state.tolist(),
                "counts": one.counts.tolist(), "costs": one.costs.tolist(),
                "pending": [question.record() for question in one.pending.values()],
            }
            for key, one in self._learners.items()
        }  # fmt: skip
        return {**self._identity(), "seed": list(self._seed), "keys": kept}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned, to the same bits; open questions are those of `pending`.

        Raises
        ------
        ValueError
            A state of another version, learner, arms, context or settings, or a damaged one. Nothing changes then.
        """
        for name, mine in self._identity().items():
            if name not in state or state[name] != mine:
                raise ValueError(f"the state does not fit this tuner: its {name} is {state.get(name)!r}, not {mine!r}")
        try:
            seed = [int(word) for word in state["seed"]]
            if len(seed) != 4 or not all(0 <= word < 2**32 for word in seed):
                raise ValueError("seed")
            found = {str(key): self._loaded(str(key), saved, seed) for key, saved in state["keys"].items()}
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ValueError(f"the state is damaged: {error}") from error
        self._seed, self._learners = seed, found

    def __getstate__(self) -> dict[str, Any]:
        plain = {name: value for name, value in vars(self).items() if name != "_learners"}
        return {"plain": plain, "state": self.state_dict()}

    def __setstate__(self, kept: dict[str, Any]) -> None:
        vars(self).update(kept["plain"], _learners={})
        self.load_state_dict(kept["state"])

    def _made(self, key: str, seed: Sequence[int] | None = None) -> CompiledLearner:
        """A learner that knows nothing; its random numbers depend on the seed and the key alone."""
        words = np.random.SeedSequence([*(seed or self._seed), *key.encode()]).generate_state(4, np.uint64)
        core = self._core
        return CompiledLearner(core.kind, self.values, core.settings, core.tables, words.tolist(), key, self._floor)

    def _new(self, key: str) -> CompiledLearner:
        if not isinstance(key, str):
            raise TypeError(f"key must be a str, not {type(key).__name__}")
        self._learners[key] = learner = self._made(key)
        return learner

    def _loaded(self, key: str, saved: Mapping[str, Any], seed: Sequence[int]) -> CompiledLearner:
        """A learner from its part of a state, every number of it checked."""
        learner = self._made(key, seed)
        for name in ("state", "counts", "costs"):
            mine = getattr(learner, name)
            values = np.array(saved[name], mine.dtype)
            if values.shape != mine.shape or not np.isfinite(values).all():
                raise ValueError(name)
            mine[:] = values
        words = [int(word, 16) for word in saved["words"]]
        if len(words) != 4 or not any(words):
            raise ValueError("words")
        learner.words = words
        learner.asked = integer(saved["asked"], "asked")
        for token, arm, *numbers in saved["pending"]:
            known = 0 <= integer(arm, "pending") < len(self.values) and integer(token, "pending") < learner.asked
            if not known or len(numbers) != 5 or not np.isfinite(numbers).all() or not 0 < numbers[1] <= 1 + 1e-9:
                raise ValueError("pending")
        learner.restore(saved["pending"])
        return learner


@dataclass(frozen=True)
class BoundTuner:
    """A tuner together with the context and the key of the next question."""

    tuner: ArmTuner
    context: float | None
    key: str

    def ask(self) -> Question:
        """The question for the context and the key."""
        return self.tuner.ask(self.context, key=self.key)

    def tell(self, question: Question, cost: float) -> None:
        """What the solve of a question cost."""
        self.tuner.tell(question, cost)


class OmegaTuner(ArmTuner):
    """Chooses omega before each solve of a sequence, and learns from the iteration counts it is told.

    Parameters
    ----------
    omegas : "auto", "paper" or array_like of float
        The values to choose from: ``"auto"`` is ``omega_grid()``, 20 values from 1 to 1.98; ``"paper"`` is
        ``linspace(1, 1.95, 20)``. All in (0, 2).
    learner : str, optional
        Which learner; ``python -m solvers methods`` lists them. Without it: ``"tsallis-dr"``, with a context ``"gp"``.
    context, drift, options, rng
        As those of `ArmTuner`.
    cost_floor : float, default 1
        A solve takes an iteration at least.

    Raises
    ------
    ValueError
        A value outside (0, 2), NaN, or that repeats.

    Examples
    --------
    >>> from solvers.linalg import OmegaTuner
    >>> tuner = OmegaTuner([1.0, 1.5, 1.9], rng=0)
    >>> for _ in range(200):
    ...     question = tuner.ask()
    ...     tuner.tell(question, cost=20 + 100 * abs(question.value - 1.5))  # in place of a solve's iterations
    >>> tuner.best()
    1.5
    """

    def __init__(
        self,
        omegas: str | npt.ArrayLike = "auto",
        *,
        learner: str | None = None,
        context: tuple[float, float] | None = None,
        drift: str | None = None,
        options: Mapping[str, Any] | None = None,
        cost_floor: float = 1.0,
        rng: RNG = None,
    ) -> None:
        values = _omegas(omegas)
        self._begin(values, omega_places(np.array(values)), learner, "gp", context, drift, options, cost_floor, rng)


def _omegas(omegas: str | npt.ArrayLike) -> list[float]:
    if isinstance(omegas, str):
        if omegas not in ("auto", "paper"):
            raise ValueError(f'omegas must be "auto", "paper" or numbers, not {omegas!r}')
        grid = omega_grid() if omegas == "auto" else np.linspace(1, 1.95, 20)
    else:
        grid = np.asarray(omegas, np.float64)
    if grid.ndim != 1 or not grid.size:
        raise ValueError(f"omegas must be one-dimensional and not empty, not of shape {grid.shape}")
    wrong = grid[~((grid > 0) & (grid < 2))]
    if wrong.size:
        raise ValueError(f"omega must lie between 0 and 2, not {wrong[0]!r}")
    values: list[float] = grid.tolist()
    return values


def _range(context: Any) -> tuple[float, float] | None:
    if context is None:
        return None
    try:
        low, high = (float(end) for end in context)
    except (TypeError, ValueError):
        raise ValueError(f"context must be (low, high), not {context!r}") from None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"context must be (low, high) with low < high, both finite, not {context!r}")
    return low, high
