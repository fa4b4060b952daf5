"""A solver for a sequence of linear systems that learns which of many solvers is the fastest for them."""

from __future__ import annotations

import math
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .._base import threads as _threads
from .._base.errors import OptionError, nearest
from .._base.result import Status
from .._base.rng import RNG, as_generator
from . import _arms
from ._arms import Arm, Estimates, Expected, Foreign, Outcome, Task
from ._forecast import Forecast, Outlook, Question
from ._guess import GUESSES, Guesses
from ._problem import LinearResult, norm
from ._report import Record, SequenceReport
from ._solve import _vector
from ._system import System
from ._units import out_of, start_in, unit_of

Array = npt.NDArray[Any]

COSTS = ("time", "iterations", "model")
#: The format of `state_dict`.
VERSION = 1
#: Solves that the report remembers one by one.
REMEMBERED = 100_000
#: Seconds that a trial takes beside those of its solve: it finds the caches cold, and leaves them so.
TURN = 1e-4
#: After so many solves that went as expected an arm is chosen for two solves at once, after twice as many for three,
#: and so on up to the second number: the choice takes time too.
SETTLED, LONGEST_RUN = 4, 16
#: A trial that took no more than so many times what the best arm takes is made once more: with the caches warm.
NEAR = 1.5
#: The factor up to which a solve's time is as expected.
EXPECTED = 1.4
#: Iterations that an arm may make.
MAX_ITER = 10_000
#: What takes over where an arm fails, in this order, as far as they serve the matrix.
SAFEST = ("ssor-cg(1)", "cg", "cholesky", "ilu-gmres(30)", "lu", "ilu-bicgstab", "gauss-seidel")


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class SequenceResult(LinearResult):
    """Result of a solve of a sequence: a `LinearResult` with the following.

    Attributes
    ----------
    arm : str
        The arm whose x this is; "none" where the start met the tolerance already.
    stats : dict
        ``seconds`` of the call, of these ``setup_seconds`` (preparations), ``solve_seconds``, ``choice_seconds`` (what
        the learner took) and ``wasted_seconds`` (arms that failed or were broken off); ``guess``, where the solve
        started; ``trial``, whether the arm was played to learn of it; ``attempts``, the arms in the order played;
        ``failures``, what was wrong with those that failed.
    """

    arm: str


class _Play(NamedTuple):
    """One arm's go at a system."""

    arm: Arm
    x: Array
    norm: float
    nit: int
    status: Status
    setup: float | None
    solve: float
    failure: str


class _Choice(NamedTuple):
    """A choice that holds for more solves: for a matrix of which pattern, and whether the learner is told of them."""

    question: Question
    expected: Expected
    pattern: int
    told: bool = False


class _Prepared:
    """What an arm prepared, and whether it is worth its keep."""

    def __init__(self, value: Any, system: System, seconds: float):
        self.value, self.seconds = value, seconds
        self.pattern, self.values = system.pattern, system.values
        self.first: float | None = None
        self.excess = 0.0

    def due(self, system: System, reuse: int) -> bool:
        """Whether it must be made anew: after so many matrices, or when its age has cost as much as a new one."""
        if self.pattern != system.pattern:
            return True
        if self.values == system.values:
            return False
        return system.values - self.values >= reuse or self.excess > self.seconds

    def used(self, cost: float) -> None:
        self.first = cost if self.first is None else min(cost, self.first)
        self.excess += cost - self.first


class SequenceSolver:
    """Solves a sequence of linear systems, and learns from the costs which of many solvers to take.

    Parameters
    ----------
    arms : "auto" or list
        The solvers to choose from: names (`SequenceSolver.known_arms` lists them; ``"ssor-cg(w)"`` takes any w between
        0 and 2), or objects of your own with ``name``, ``prepare(A, previous)`` and
        ``solve(prepared, b, x0, tolerance)``. "auto" takes all that serve the matrix.
    cost : {"time", "iterations", "model"}
        What is to be small: seconds, set-up counted; iterations; or seconds by a formula from iterations and sizes. The
        last two make runs that can be repeated exactly.
    context : callable, optional
        ``context(A, b)`` returns numbers, of order one, that costs may depend on; used where `solve` is given none. An
        estimate of the matrix's condition is a context always.
    rtol, atol : float, default 1e-8 and 0
        A solve succeeds where ``norm(b - A @ x) <= max(rtol * norm(b), atol)``.
    guess : {"auto", "zero", "previous", "linear", "quadratic", "projection"}
        Where to start: the last solution (or `x0`), an extrapolation of the last two or three, or their combination of
        least residual. "auto" weighs what each saves against the products with the matrix that it takes.
    explore_overhead : float, default 0.02
        The share of all cost that may be spent on trying other arms than the best known one.
    rng : None, int, Generator or SeedSequence
        Checked like everywhere in the library; the forecasts draw no random numbers.
    threads : int, optional
        Threads of the arms of this library.

    Raises
    ------
    OptionError
        An unknown arm, cost or guess, or a number out of range.

    Notes
    -----
    A solve takes the arm of least forecast cost, now and then another one to learn of it (see `_forecast`); a trial
    that takes half as long again as the best is expected to is broken off. Where times go as forecast, no context is
    given and the pattern stays, a choice holds for several solves, in the end for sixteen; a trial that came near is
    made twice. Whatever an arm returns, the residual is recomputed; where it is too large, or the arm raised, the
    best x so far goes to another arm, in the end to the safest ones, and all of it counts. The arms' set-ups are
    reused as far as each arm says, and until its age has cost as much as a new one.

    Examples
    --------
    A heat equation whose conductivity changes in time:

    >>> import numpy as np, scipy.sparse, solvers
    >>> line = scipy.sparse.diags_array([1.0, -2.0, 1.0], offsets=[-1, 0, 1], shape=(30, 30))
    >>> one = scipy.sparse.eye_array(30)
    >>> laplacian = scipy.sparse.kron(line, one) + scipy.sparse.kron(one, line)
    >>> sequence = solvers.linalg.SequenceSolver(cost="iterations")
    >>> u = np.ones(900)
    >>> for step in range(20):
    ...     A = scipy.sparse.csr_array(scipy.sparse.eye_array(900) - (1 + step) * laplacian)
    ...     result = sequence.solve(A, u, x0=u)
    ...     u = result.x
    >>> result.success
    True
    """

    def __init__(
        self,
        arms: str | Iterable[Any] = "auto",
        cost: str = "time",
        context: Callable[[Any, Array], Any] | None = None,
        *,
        rtol: float = 1e-8,
        atol: float = 0.0,
        guess: str = "auto",
        explore_overhead: float = 0.02,
        rng: RNG = None,
        threads: int | None = None,
    ) -> None:
        if cost not in COSTS:
            raise OptionError(f"cost must be one of {', '.join(COSTS)}, not {cost!r}")
        if guess != "auto" and guess not in GUESSES:
            raise OptionError(f"guess must be one of auto, {', '.join(GUESSES)}, not {guess!r}")
        if context is not None and not callable(context):
            raise OptionError(f"context must be a function of A and b, not {context!r}")
        for value, name in ((rtol, "rtol"), (atol, "atol"), (explore_overhead, "explore_overhead")):
            if not 0 <= value < np.inf:
                raise OptionError(f"{name} must be >= 0 and finite, not {value!r}")
        if rtol == atol == 0:
            raise OptionError("rtol and atol must not both be 0")
        as_generator(rng)
        _threads.resolve(threads)
        self.cost, self.context, self.rtol, self.atol, self.threads = cost, context, rtol, atol, threads
        self._arms = _resolve(arms, cost)
        self._transforms = {k for k, arm in enumerate(self._arms) if isinstance(arm, _arms.Transform)}
        self._reuse = np.array([arm.reuse for arm in self._arms], dtype=np.float64)
        self._first = np.array([arm.first for arm in self._arms], dtype=np.float64)
        self._places = {arm.name: k for k, arm in enumerate(self._arms)}
        self._explore_overhead = explore_overhead
        self._guesses = Guesses(guess)
        self._system = System()
        self._rule: Forecast | None = None
        self._prepared: dict[str, _Prepared] = {}
        #: Of matrices of this pattern that the same arms serve; and what they say of the last solve, in units of cost.
        self._estimates = Estimates([])
        self._costs = Expected(np.empty(0), np.empty(0), np.empty(0))
        self._loaded: set[str] = set()
        self._patterns: set[tuple[str, int]] = set()  # what each family has analysed
        self._served: Any = None
        self._reference, self._scale = 0.0, np.zeros(0)
        self._per_digit = 2.0
        #: The last choice; for how many more solves it holds; solves without a surprise, which halves them.
        self._last: _Choice | None = None
        self._left, self._calm = 0, 0
        self._log: deque[Record] = deque(maxlen=REMEMBERED)

    @staticmethod
    def known_arms() -> list[str]:
        """The names of the built-in arms."""
        return list(_arms.portfolio())

    @property
    def arms(self) -> list[str]:
        """The names of the arms of this solver."""
        return [arm.name for arm in self._arms]

    # ---- a solve ----------------------------------------------------------------------------------

    def solve(
        self, A: Any, b: npt.ArrayLike, x0: npt.ArrayLike | None = None, *, context: Any = None
    ) -> SequenceResult:
        """Solve the next system.

        Parameters
        ----------
        A : sparse matrix, array_like, Plan or GridOperator, shape (n, n)
            The matrix. Analyses are reused as long as the pattern stays, factors as long as the entries do.
        b : array_like, shape (n,)
            Right-hand side.
        x0 : array_like, shape (n,), optional
            A start; takes the place of the last solution among the guesses.
        context : float or array_like, optional
            Numbers of order one, as many each time, that the costs may depend on.

        Returns
        -------
        SequenceResult
            With `x`, `arm`, `residual_norm`, `success`, `stats`. ``success`` means that the residual's norm, recomputed
            from the returned x, meets the tolerance.

        Raises
        ------
        ValueError
            NaN or infinity, or shapes that do not fit.
        TypeError
            Data that is not real.
        """
        start = time.perf_counter()
        self._system.update(A)
        right = _vector(b, "b", self._system.size, True)
        given = None if x0 is None else _vector(x0, "x0", self._system.size, True)
        size = norm(right)
        unit = unit_of(right, size)
        if unit == 1:
            return self._solve(start, right.view(), given, max(self.rtol * size, self.atol), context)
        self._guesses.forget()  # they count in another unit
        right = right / unit
        given = None if given is None else start_in(unit, given, self._system.operator, right)
        tolerance = max(self.rtol * norm(right), self.atol / unit)
        result = self._solve(start, right, given, tolerance, context)
        self._guesses.forget()
        return out_of(unit, result, self._system.operator, tolerance)

    def _solve(self, start: float, right: Array, given: Array | None, tolerance: float, context: Any) -> SequenceResult:
        """Solve with the system's matrix; start: of the clock."""
        system = self._system
        right.flags.writeable = False  # an arm of the user's may try
        guess, left, guessed = self._guesses.start(system, right, given, self._per_digit)
        if left <= tolerance and guessed == "projection":
            left = system.measure(right, guess)  # it was a sum of products
        if left <= tolerance:
            return self._finish(start, [], guess, left, "none", 0, Status.CONVERGED, guessed, False, 0.0)
        digits = float(np.log(left / tolerance)) if tolerance > 0 else 36.0
        task = Task(system, right, guess, tolerance, np.inf, MAX_ITER, self.threads)
        before = time.perf_counter()
        question, expected = self._again(context) or self._ask(digits, right, context)
        choice = time.perf_counter() - before
        limited = self._limited(task, question, expected)
        plays = self._attempt(task, limited, question, left)
        before = time.perf_counter()
        if question is not None and self._rule is not None:
            self._learn(question, plays, expected)
        last = plays[-1] if plays[-1].norm <= tolerance else min(plays, key=lambda play: play.norm)
        if last.status is Status.CONVERGED and plays[0].norm <= tolerance:
            self._count_digits(last, digits)
        choice += time.perf_counter() - before
        trial = question is not None and question.trial
        nit = sum(play.nit for play in plays)
        return self._finish(start, plays, last.x, last.norm, last.arm.name, nit, last.status, guessed, trial, choice)

    def _limited(self, task: Task, question: Question | None, expected: Expected) -> Task:
        """The task with the limits of a trial."""
        if self.cost != "time" or question is None or not question.trial:
            return task
        # the forecast may be wrong in the count, in the speed, or in both
        most = 1.5 * expected.nit * max(question.limit / question.forecast, question.limit / expected.solve)
        return task._replace(limit=question.limit, iterations=int(np.clip(most, 5, MAX_ITER)))

    def _attempt(self, task: Task, limited: Task, question: Question | None, norm: float) -> list[_Play]:
        """Play the arm, and where it fails others, until the tolerance is met."""
        plays: list[_Play] = []
        for arm in self._order(question):
            now = task if plays else limited
            play = self._play(arm, now._replace(x0=task.x0), norm)
            plays.append(play)
            if play.norm <= task.tolerance:
                return plays
            if play.status is Status.NOT_SPD:
                task.system.indefinite = True
            if play.norm < norm:
                norm, task = play.norm, task._replace(x0=play.x)
        return plays

    def _order(self, question: Question | None) -> Iterator[Arm]:
        """The arm asked for, the incumbent, then the safest ones that serve the matrix."""
        seen = set()
        known = _arms.portfolio()
        first: list[Arm] = []
        if question is not None:
            first.append(self._arms[question.arm])
            if question.trial and question.best is not None:
                first.append(self._arms[question.best])
        for arm in first:
            seen.add(arm.name)
            yield arm
        for _ in range(2):  # what serves may change when a matrix turns out not to be definite
            for name in SAFEST:
                if name not in seen and known[name].serves(self._system):
                    seen.add(name)
                    yield known[name]

    def _play(self, arm: Arm, task: Task, norm: float) -> _Play:
        """One arm's go; its answer is judged by the residual, whatever it says."""
        system, setup, failure = task.system, None, ""
        if arm.name not in self._loaded:
            arm.load()
            self._loaded.add(arm.name)
        shared = self._analysed(arm, system)
        before = time.perf_counter()
        outcome = Outcome(None, 0, Status.BREAKDOWN)
        try:
            prepared = self._prepared.get(arm.name)
            if prepared is None or prepared.due(system, arm.reuse):
                previous = prepared.value if prepared is not None and prepared.pattern == system.pattern else None
                value = arm.prepare(system, previous)
                setup = time.perf_counter() - before
                prepared = self._prepared[arm.name] = _Prepared(value, system, setup)
            outcome = arm.solve(prepared.value, task)
        except Exception as error:
            # an arm may raise anything, and the caller must get an answer all the same
            failure = f"{type(error).__name__}: {error}"
            self._prepared.pop(arm.name, None)
        x, status = outcome.x, outcome.status
        found = np.inf if x is None else system.measure(task.b, x) if outcome.norm is None else outcome.norm
        if not np.isfinite(found):
            x, found, status = task.x0, norm, status if failure else Status.NONFINITE
        assert x is not None
        if found > task.tolerance and not failure:
            failure = (
                "" if status is Status.TIME_LIMIT else f"residual {found:.2e} where {task.tolerance:.2e} was asked"
            )
            status = Status.STAGNATION if status is Status.CONVERGED else status
        solve = time.perf_counter() - before - (setup or 0.0) + shared
        if not failure and found <= task.tolerance:
            status = Status.CONVERGED
            self._prepared[arm.name].used(solve)
        return _Play(arm, x, found, outcome.nit, status, setup, solve, failure)

    def _analysed(self, arm: Arm, system: System) -> float:
        """Let the arm analyse the pattern; returns the share of this solve in the time.

        Patterns of the sequence so far tell for how many solves one lasts: the first, for good. Charged to one solve it
        would make the arm that came first look several times as dear as its neighbours, which find the work done.
        """
        key = arm.family, system.pattern
        if key in self._patterns:
            return 0.0
        self._patterns = {kept for kept in self._patterns if kept[1] == system.pattern} | {key}
        before = time.perf_counter()
        try:
            arm.analyse(system)
        except Exception:
            return 0.0  # its solve will raise it again
        return (time.perf_counter() - before) * (system.pattern - 1) / system.solves

    # ---- the learner ------------------------------------------------------------------------------

    def _again(self, context: Any) -> tuple[Question, Expected] | None:
        """The last choice once more, where it was made for several solves and nothing speaks against it."""
        last = self._last
        if last is None or self._left == 0 or context is not None or last.pattern != self._system.pattern:
            return None
        if not self._arms[last.question.arm].serves(self._system):
            return None
        assert self._rule is not None
        self._left -= 1
        self._rule.ask_again(last.question)
        return last.question, last.expected

    def _learn(self, question: Question, plays: list[_Play], expected: Expected) -> None:
        """Tell the learner what the arm cost, and see for how many solves the choice holds."""
        assert self._rule is not None
        first, again = plays[0], self._last is not None and self._last.question is question
        calm = not first.failure and first.solve <= EXPECTED * question.forecast <= EXPECTED**2 * first.solve
        if again and not first.failure and self._last is not None and not self._last.told:
            self._rule.pass_over(sum(_money((first.setup, first.solve))))
        else:
            self._tell(question, plays, expected, warm=again)
        self._calm = self._calm + 1 if calm or question.trial else self._calm // 2
        if again and calm:
            return
        lasts = calm and not question.trial and self.cost == "time" and self.context is None
        self._left = min(self._calm // SETTLED, LONGEST_RUN - 1) if lasts else 0
        near = question.trial and not again and not first.failure and first.solve <= NEAR * question.incumbent
        if near and self.cost == "time":
            self._left = 1
        self._last = _Choice(question, expected, self._system.pattern, near) if self._left else None

    def _ask(self, digits: float, b: Array, context: Any) -> tuple[Question | None, Expected]:
        features = self._features(b, context)
        if self._rule is None:
            self._rule = self._new_rule(len(features))
        question, expected = self._question(digits, features)
        leads = question is not None and not self._transforms.isdisjoint((question.arm, question.best))
        # that the stencil is constant was taken for granted: to look takes longer than all else of a choice
        if leads and self._system.box is None:
            return self._question(digits, features)
        return question, expected

    def _question(self, digits: float, features: Array) -> tuple[Question | None, Expected]:
        """What the rule plays by the estimates as they are now, and that of its arm; None where no arm serves."""
        system, rule = self._system, self._rule
        costs = self._costs = self._estimate(digits)
        if rule is None or not self._estimates.any:
            return None, costs
        due = self._first.copy()
        for name, kept in self._prepared.items():
            place = self._places.get(name)  # none of an arm that took over
            if place is not None and kept.pattern == system.pattern:
                due[place] = kept.due(system, self._arms[place].reuse)
        question = rule.ask(Outlook(costs.setup, costs.solve, due, self._reuse * system.run, features))
        return question, Expected(*(float(numbers[question.arm]) for numbers in costs))

    def _new_rule(self, features: int) -> Forecast:
        families = [(arm.family, arm.place) for arm in self._arms]
        return Forecast(families, features, self._explore_overhead, TURN if self.cost == "time" else 0.0)

    def _estimate(self, digits: float) -> Expected:
        """Estimates of set-up and solve of all arms, in units of the cost; infinite where an arm does not serve."""
        system = self._system
        served = system.pattern, system.definite, bool(self._transforms) and system.boxed
        if self._served != served:
            found = [arm.estimate(system) if arm.serves(system) else None for arm in self._arms]
            if self.cost == "iterations":
                found = [e and e._replace(setup=0.0, fixed=0.0, each=1.0) for e in found]
            self._estimates = Estimates(found)
            self._served = *served[:2], bool(self._transforms) and system.boxed  # by now it has been looked at
        return self._estimates.at(system.condition, digits)

    def _features(self, b: Array, context: Any) -> Array:
        """1, the logarithm of the condition relative to the first one's, the context over its largest size so far."""
        if context is None and self.context is not None:
            context = self.context(self._system.given, b)
        condition = math.log(self._system.condition)
        if context is None:
            own = np.zeros(0 if self._rule is None else len(self._scale))
        else:
            own = np.atleast_1d(np.asarray(context, dtype=np.float64)).ravel()
        if not np.isfinite(own).all():
            raise ValueError(f"context must be finite, not {context!r}")
        if self._rule is None:
            self._reference, self._scale = condition, np.zeros(len(own))
        if len(own) == 0 == len(self._scale):  # most often
            return np.array([1.0, condition - self._reference])
        if len(own) != len(self._scale):
            raise ValueError(f"context must have {len(self._scale)} numbers, as before, not {len(own)}")
        self._scale = np.maximum(self._scale, np.abs(own))
        scaled = own / np.where(self._scale > 0, self._scale, 1.0)
        return np.concatenate([[1.0, condition - self._reference], scaled])

    def _tell(self, question: Question, plays: list[_Play], expected: Expected, warm: bool) -> None:
        first = plays[0]
        assert self._rule is not None
        setup, cost = self._cost(first, expected)
        late = first.status is Status.TIME_LIMIT
        rescue = sum(sum(_money(self._cost(play, expected))) for play in plays[1:])
        if first.failure:
            # it costs what it wasted and what the rescue took, and once more for the risk
            cost, rescue = 2 * (cost + rescue), 0.0
        self._rule.tell(question, setup, cost, broken_off=late, failed=bool(first.failure), warm=warm, rescue=rescue)

    def _cost(self, play: _Play, expected: Expected) -> tuple[float | None, float]:
        """Set-up and solve in units of the cost."""
        if self.cost == "time":
            return play.setup, play.solve
        if self.cost == "iterations":
            return None, float(max(play.nit, 1))
        setup = expected.setup if play.setup is not None else None
        return setup, expected.solve / expected.nit * max(play.nit, 1)

    def _count_digits(self, play: _Play, digits: float) -> None:
        """What a digit costs, in products with the matrix: the guesses are weighed by it."""
        product = 1e-4 + 4 * _arms.MULTIPLY_ADD * self._system.entries  # with what is made around it
        products = 0.0 if not play.arm.iterates else play.solve / product if self.cost == "time" else 1.3 * play.nit
        self._per_digit += 0.3 * (products / max(digits, 1.0) - self._per_digit)

    # ---- the result, the report, the state --------------------------------------------------------

    def _finish(
        self, start: float, plays: list[_Play], x: Array, norm: float, arm: str, nit: int, status: Status, guess: str,
        trial: bool, choice: float,
    ) -> SequenceResult:  # fmt: skip
        if status is Status.CONVERGED:
            self._guesses.remember(x)
        setup = sum(play.setup or 0.0 for play in plays)
        wasted = sum((play.setup or 0.0) + play.solve for play in plays if play.arm.name != arm)
        seconds = time.perf_counter() - start
        failures = {play.arm.name: play.failure for play in plays if play.failure}
        stats = {
            "seconds": seconds, "setup_seconds": setup, "solve_seconds": sum(play.solve for play in plays),
            "choice_seconds": choice, "wasted_seconds": wasted, "guess": guess, "trial": trial,
            "attempts": [play.arm.name for play in plays], "failures": failures,
        }  # fmt: skip
        self._log.append(Record(arm, seconds, setup, nit, trial, bool(failures), self._condition()))
        took = f"{arm} was played" + (", to learn of it." if trial else ".") if plays else "The start met it already."
        rescue = f" It took over from {', '.join(failures)}." if failures and arm not in failures else ""
        return SequenceResult(
            x=x.copy(), success=status is Status.CONVERGED, status=status, message=f"{status.sentence} {took}{rescue}",
            nit=nit, measure=norm, residual_norm=norm, method="sequence", stats=stats, arm=arm,
        )  # fmt: skip

    def _condition(self) -> float:
        return self._system.condition

    def report(self) -> SequenceReport:
        """What was played, what it cost, and what is expected of each arm now."""
        return SequenceReport.of(list(self._log), self.arms, self._forecasts(), self.cost)

    def _forecasts(self) -> dict[str, tuple[float, float]]:
        """For each arm that serves, what a solve like the last is expected to cost, and the factor of 1 s.d."""
        if self._rule is None or not self._costs.solve.size:
            return {}
        z = np.zeros(self._rule.features)
        z[0], z[1] = 1.0, math.log(self._system.condition) - self._reference
        with np.errstate(divide="ignore"):
            logs = np.log(self._costs.solve) + (self._rule.mean @ z)[1::2]
        deviations = np.sqrt(np.maximum(self._rule.variances(z)[1::2], 0.0))
        return {
            arm.name: (float(np.exp(log)), float(np.exp(deviation)))
            for k, (arm, log, deviation) in enumerate(zip(self._arms, logs, deviations, strict=True))
            if np.isfinite(log) and (k not in self._transforms or arm.serves(self._system))
        }

    def state_dict(self) -> dict[str, Any]:
        """What was learned, as numbers, lists and strings (JSON). Preparations and solutions are not in it."""
        return {
            "version": VERSION, "arms": self.arms, "cost": self.cost, "reference": self._reference,
            "scale": self._scale.tolist(), "per_digit": self._per_digit, "guesses": self._guesses.state_dict(),
            "rule": None if self._rule is None else self._rule.state_dict(),
        }  # fmt: skip

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned.

        Raises
        ------
        ValueError
            A state of other arms, another cost or another version, or a damaged one; nothing is loaded then.
        """
        for name, mine in (("version", VERSION), ("arms", self.arms), ("cost", self.cost)):
            if state.get(name) != mine:
                raise ValueError(f"the state has {name} {state.get(name)!r}, this solver {mine!r}")
        try:
            scale, rule, guesses = np.array(state["scale"], np.float64), None, Guesses(self._guesses.kind)
            if state["rule"] is not None:
                rule = self._new_rule(2 + len(scale))
                rule.load_state_dict(state["rule"])
            guesses.load_state_dict(state["guesses"])
            reference, per_digit = float(state["reference"]), float(state["per_digit"])
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
            raise ValueError(f"the state is damaged: {error!r}") from error
        self._rule, self._scale, self._guesses, self._last = rule, scale, guesses, None
        self._reference, self._per_digit = reference, per_digit


def _money(cost: tuple[float | None, float]) -> tuple[float, float]:
    return cost[0] or 0.0, cost[1]


def _resolve(arms: str | Iterable[Any], cost: str) -> list[Arm]:
    """The arms that were asked for."""
    known = _arms.portfolio()
    if isinstance(arms, str):
        if arms != "auto":
            raise OptionError(f'arms must be "auto" or a list, not {arms!r}')
        counted = {"ssor-cg", "cg", "ilu-krylov"}  # iterations of other arms are no measure of their work
        usual = [a for a in known.values() if a.name != _arms.LEARNED]
        return [a for a in usual if cost != "iterations" or a.family in counted]
    chosen = [_arm(arm, known) for arm in arms]
    if not chosen:
        raise OptionError("arms must not be empty")
    names = [arm.name for arm in chosen]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise OptionError(f"arms must have names of their own; twice: {', '.join(twice)}")
    return chosen


def _arm(given: Any, known: dict[str, Arm]) -> Arm:
    if isinstance(given, Arm):
        return given
    if isinstance(given, str):
        found = re.fullmatch(r"ssor-cg\(([-+.\deE]+)\)", given)
        if found:
            return replace(_arms.ssor_cg(float(found[1])), name=given)
        if given not in known:
            raise OptionError(f"there is no arm {given!r}{nearest(given, known)}")
        return known[given]
    if not isinstance(getattr(given, "name", None), str) or not all(
        callable(getattr(given, part, None)) for part in ("prepare", "solve")
    ):
        raise OptionError(f"an arm has name, prepare(A, previous) and solve(prepared, b, x0, tolerance); not {given!r}")
    return Foreign(given.name, f"own {given.name}", reuse=int(getattr(given, "reuse", 1)), own=given)
