"""Which arm next: forecasts of the costs of all arms, and the value of trying one.

A solver's time on a matrix is nearly the same each time, and the costs of the arms are related: one machine runs them
all, neighbouring omegas behave alike, and how a cost grows with the condition of the matrix is roughly known. So the
logarithm of a measured cost over a crude estimate is modelled as a linear function of a few features (1, the
estimated condition, the user's context), its coefficients as one Gaussian vector over all arms, which a Kalman filter
follows: one solve tells of all arms, and what has not been played grows uncertain again.

The incumbent is the arm of least forecast cost. Another arm is tried where what it may save over the solves to come
(the knowledge gradient, Frazier and Powell 2008) is more than what trying it is likely to cost, and as long as the cost
of such trials stays below a share of the whole. Bandit algorithms for arbitrary costs, as Tsallis-INF, go on playing
each arm; where costs repeat themselves that is not needed (bench/sor_sequences.py replays the two).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from . import _kernels

Array = npt.NDArray[Any]

#: Standard deviations of the logarithm of cost / estimate: what all costs share (the machine's speed), what the arms of
#: a family share, what an arm has alone; then of the coefficients of the other features, and of a measurement: any, an
#: arm's first, the first of all, when memory and caches are still cold.
SHARED, FAMILY, ALONE = 1.0, 0.4, 0.35
SLOPE = 0.15
NOISE, FIRST_NOISE, COLD_NOISE = 0.08, 0.25, 0.6
#: The same of a trial where time is measured.
TRIAL_NOISE = 0.16
#: Growth a solve, of the variance of every coefficient of the first feature.
DRIFT = 0.012**2
#: Distance in log(2 - omega) over which the arms of a family are related.
RELATED = 0.6
#: Solves over which an improvement is taken to last, at least: else as many as there have been.
HORIZON = 50
#: Trials may cost this many solves of the incumbent before their share is counted: at first, in the end, and how many
#: more a solve in between.
FREE_TRIALS, MOST_FREE_TRIALS, FREE_TRIALS_A_SOLVE = 1.5, 3.0, 0.01
#: A trial is broken off at this multiple of the incumbent's forecast cost.
PATIENCE = 1.5


class Outlook(NamedTuple):
    """What is known of all arms before a solve; arrays over the arms."""

    #: Estimates of the cost of a set-up and of a solve; infinite where the arm does not serve.
    setup: Array
    solve: Array
    #: How many set-ups the arm would make now (0, 1, or more where the first of a pattern takes longer), and over how
    #: many solves one lasts.
    due: Array
    lifetime: Array
    #: The features of this solve; the first is 1.
    features: Array


class Question(NamedTuple):
    """The choice before a solve; `tell` takes it back with what it cost."""

    arm: int
    features: Array
    #: Logarithms of the estimates for that arm.
    setup: float
    solve: float
    #: Whether it is a trial, and what the incumbent costs in the long run.
    trial: bool
    incumbent: float
    #: The incumbent.
    best: int
    #: What the solve is forecast to cost.
    forecast: float
    number: int

    @property
    def limit(self) -> float:
        """The cost at which to break off; infinite for the incumbent."""
        return PATIENCE * self.incumbent if self.trial else np.inf


class Forecast:
    """Ask which arm, tell what it cost."""

    def __init__(self, families: list[tuple[str, float]], features: int, explore_overhead: float, turn: float = 0.0):
        """families: for each arm its family and its place there; turn: see sv_outlook."""
        self.arms, self.explore_overhead, self.turn = len(families), explore_overhead, turn
        self.solves, self.spent, self.excess = 0, 0.0, 0.0
        self._pending: int | None = None
        self._asked = 0
        arms = len(families)
        self._take(
            np.zeros((2 * arms, features)), _prior(families, features), np.zeros(arms, np.int64), np.zeros(arms, bool)
        )

    def _take(self, mean: Array, covariance: Array, told: Array, failing: Array) -> None:
        """These arrays from now on; told: costs of each arm; failing: whether it failed in its last solve."""
        self.mean, self.covariance, self.told, self.failing = mean, covariance, told, failing
        self.features = mean.shape[1]
        self._arrays = _kernels.ForecastArrays(mean, covariance, told, failing, NOISE**2, FIRST_NOISE**2)
        # a view: the variances of the first feature's coefficients
        self._variances = covariance.reshape(-1)[:: self.features * (len(covariance) + 1)]

    # ---- the verbs ---------------------------------------------------------------------------

    def ask(self, outlook: Outlook) -> Question:
        """The arm to play."""
        horizon = float(max(HORIZON, self.solves)) if self.solves else 0.0
        budget = self.explore_overhead * self.spent - self.excess if self.explore_overhead > 0 else math.nan
        free = min(FREE_TRIALS + FREE_TRIALS_A_SOLVE * self.solves, MOST_FREE_TRIALS)
        arm, incumbent, best, forecast = self._arrays.ask(
            outlook.setup, outlook.solve, outlook.due, outlook.lifetime, outlook.features, horizon, PATIENCE, budget,
            free, self.turn,
        )  # fmt: skip
        self._pending = self._asked = self._asked + 1
        made = outlook.setup[arm] * max(outlook.due[arm], 1.0)
        return Question(
            arm=arm, features=outlook.features, setup=math.log(made) if made > 0 else -math.inf,
            solve=math.log(outlook.solve[arm]), trial=arm != incumbent, incumbent=best, best=incumbent,
            forecast=forecast, number=self._asked,
        )  # fmt: skip

    def tell(
        self, question: Question, setup: float | None, solve: float, *, broken_off: bool = False, failed: bool = False,
        warm: bool = False, rescue: float = 0.0,
    ) -> None:  # fmt: skip
        """What the solve cost, and its set-up where there was one.

        broken_off: the solve would have cost more. warm: the solve before was the same arm's. rescue: what others took
        to end what it left.
        """
        if question.number != self._pending:
            raise ValueError("tell without its ask: each question is answered once, and only the last one")
        if not (0 <= solve < np.inf and (setup is None or 0 <= setup < np.inf)):
            raise ValueError(f"costs must be finite and >= 0, not {setup!r} and {solve!r}")
        self._pending = None
        arm = question.arm
        cold = question.trial and self.turn > 0 and not warm
        usual = TRIAL_NOISE if cold else NOISE
        noise = (usual if self.told[arm] else FIRST_NOISE if self.solves else COLD_NOISE) ** 2
        if setup is not None and setup > 0 and math.isfinite(question.setup):
            self._arrays.update(2 * arm, question.features, math.log(setup) - question.setup, noise)
        turn = min(self.turn, question.incumbent / 4) if cold else 0.0
        if solve > 0:
            # a trial found the caches cold, which its arm would not go on to do: too dear it would never be tried again
            seen = math.log(max(solve - turn, solve / 2)) - question.solve
            if broken_off:
                seen = max(seen + 0.3, float(self.mean[2 * arm + 1] @ question.features))
            self._arrays.update(2 * arm + 1, question.features, seen, noise)
        self._variances += DRIFT
        self.told[arm] += 1
        self.failing[arm] = failed
        self.solves += 1
        self.spent += (setup or 0.0) + solve + rescue
        if question.trial:
            # where the machine was held up for a moment the trial is not to blame
            once = min(solve, 2 * PATIENCE * question.incumbent) + min(rescue, PATIENCE * question.incumbent)
            self.excess += max(0.0, (setup or 0.0) + once - question.incumbent) + turn

    def ask_again(self, question: Question) -> None:
        """The same arm for one more solve; no other is looked at. Tell what it costs, or pass it over."""
        self._pending = question.number

    def pass_over(self, cost: float) -> None:
        """Of a solve that was no question of its own nothing is learned but that there was one."""
        self._pending = None
        self.solves += 1
        self.spent += cost
        self._variances += DRIFT

    def state_dict(self) -> dict[str, Any]:
        return {
            "mean": self.mean.tolist(), "covariance": self.covariance.tolist(), "told": self.told.tolist(),
            "failing": self.failing.tolist(),
            "solves": self.solves, "spent": self.spent, "excess": self.excess, "asked": self._asked,
        }  # fmt: skip

    def load_state_dict(self, state: dict[str, Any]) -> None:
        mean, covariance = np.array(state["mean"], dtype=np.float64), np.array(state["covariance"], dtype=np.float64)
        if mean.shape != (2 * self.arms, self.features) or covariance.shape != (mean.size, mean.size):
            raise ValueError("the state is of other arms or features")
        if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
            raise ValueError("the state has numbers that are not finite")
        self._take(mean, covariance, np.array(state["told"], np.int64), np.array(state["failing"], bool))
        self.solves, self._asked = int(state["solves"]), int(state["asked"])
        self.spent, self.excess, self._pending = float(state["spent"]), float(state["excess"]), None

    def variances(self, features: Array) -> Array:
        """Variances of the logarithms, set-up and solve of each arm in turn."""
        return np.asarray(self._arrays.variances(features))


def _prior(families: list[tuple[str, float]], features: int) -> Array:
    """The covariance before anything is known: a quantity is the set-up (even) or the solve (odd) of an arm."""
    names = [f"{name} set-up" if k == 0 else name for name, _ in families for k in (0, 1)]
    places = np.repeat([place for _, place in families], 2)
    numbers = {name: k for k, name in enumerate(names)}
    kinds = np.array([numbers[name] for name in names])
    same = kinds[:, None] == kinds
    related = same * np.exp(-0.5 * ((places[:, None] - places) / RELATED) ** 2)
    own = np.eye(len(names))
    covariance = np.zeros((len(names), features, len(names), features))
    covariance[:, 0, :, 0] = SHARED**2 + FAMILY**2 * related + ALONE**2 * own
    for k in range(1, features):
        covariance[:, k, :, k] = SLOPE**2 * (0.5 + 0.4 * related + 0.1 * own)
    return covariance.reshape(len(names) * features, -1)
