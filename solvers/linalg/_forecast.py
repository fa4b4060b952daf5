"""Which arm next: forecasts of the costs of all arms, and the value of trying one.

A solver's time on a matrix is nearly the same each time, and the costs of the arms are related: one machine runs them
all, neighbouring omegas behave alike, and how a cost grows with the condition of the matrix is roughly known. So the
logarithm of a measured cost over a crude estimate is modelled as a linear function of a few features (1, the
estimated condition, the user's context), its coefficients as one Gaussian vector over all arms, which a Kalman filter
follows: one solve tells of all arms, and what has not been played grows uncertain again.

The incumbent is the arm of least forecast cost. Another arm is tried where what it may save over the solves to come
(the knowledge gradient, Frazier and Powell 2008) is more than what trying it is likely to cost, and as long as the cost
of such trials stays below a share of the whole. Bandit algorithms for arbitrary costs, as Tsallis-INF, go on playing
each arm; where costs repeat themselves that should not be needed (the two have not been compared).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

Array = npt.NDArray[Any]

#: Standard deviations of the logarithm of cost / estimate: what all costs share (the machine's speed), what the arms of
#: a family share, what an arm has alone; then of the coefficients of the other features, and of a measurement.
SHARED, FAMILY, ALONE = 1.0, 0.4, 0.35
SLOPE = 0.25
NOISE, FIRST_NOISE = 0.08, 0.25
#: Growth a solve, of the variance of every coefficient of the first feature.
DRIFT = 0.012**2
#: Distance in log(2 - omega) over which the arms of a family are related.
RELATED = 0.6
#: Solves over which an improvement is taken to last, at least: else as many as there have been.
HORIZON = 50
#: Trials may cost this many solves of the incumbent before their share is counted.
FREE_TRIALS = 4.0
#: Solves after which trials are weighed again, at most.
LONGEST_REST = 5
#: A trial is broken off at this multiple of the incumbent's forecast cost.
PATIENCE = 2.0


@dataclass(frozen=True)
class Outlook:
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


@dataclass(frozen=True)
class Question:
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

    def __init__(self, families: list[tuple[str, float]], features: int, explore_overhead: float):
        """families: for each arm its family and its place there."""
        self.count, self.features, self.explore_overhead = len(families), features, explore_overhead
        size = 2 * self.count
        self.mean = np.zeros((size, features))
        self.covariance = _prior(families, features)
        self._bias = np.arange(size) * features  # where the coefficients of the first feature are
        self.told = np.zeros(self.count, dtype=np.int64)
        self.failing = np.zeros(self.count, dtype=bool)  # in the last solve
        self.solves, self.spent, self.excess = 0, 0.0, 0.0
        self._rest, self._idle, self._last = 0, 0, -1
        self._pending: int | None = None
        self._asked = 0

    # ---- the four verbs ---------------------------------------------------------------------------

    def ask(self, outlook: Outlook) -> Question:
        """The arm to play."""
        z = outlook.features
        with np.errstate(divide="ignore"):
            setup, solve = np.log(outlook.setup), np.log(outlook.solve)
        means = self.mean @ z
        log_setup, log_solve = setup + means[0::2], solve + means[1::2]
        run, once = np.exp(np.minimum(log_solve, 300.0)), np.exp(np.minimum(log_setup, 300.0))
        long_run = run + once / outlook.lifetime
        now = run + once * outlook.due
        horizon = max(HORIZON, self.solves)
        steady = long_run + np.maximum(now - long_run, 0.0) / horizon
        # The best of those that were played and did not fail; else of those not yet played; else of all.
        serves = np.isfinite(outlook.solve)
        known = serves & (self.told > 0) & ~self.failing
        fresh = serves & (self.told == 0)
        among = known if known.any() else fresh if fresh.any() else serves
        # at first nobody knows whether there will be a second solve
        incumbent = int(np.argmin(np.where(among, steady if self.solves else now, np.inf)))
        best = float(long_run[incumbent])
        chosen = incumbent
        self._rest -= 1
        if known.any() and self.explore_overhead > 0 and (self._rest < 0 or incumbent != self._last):
            gain = self._improvement(long_run, run, z, incumbent)
            # What a trial costs beyond the incumbent's solve: a solve is broken off in time, a set-up is not.
            price = once * outlook.due + np.minimum(run, PATIENCE * best) - best
            worth = horizon * gain - np.maximum(price, 0.0)
            allowed = self.explore_overhead * self.spent + FREE_TRIALS * best - self.excess
            worth[(price > 0) & ~(price <= allowed)] = -np.inf
            worth[incumbent] = 0.0
            chosen = int(np.argmax(worth))
            # where no trial was worth it there is no hurry to look again
            self._idle = min(self._idle + 1, LONGEST_REST) if chosen == incumbent else 0
            self._rest, self._last = self._idle, incumbent
        self._asked += 1
        self._pending = self._asked
        return Question(
            chosen,
            z,
            float(setup[chosen]) + float(np.log(max(outlook.due[chosen], 1.0))),
            float(solve[chosen]),
            chosen != incumbent,
            best,
            incumbent,
            float(run[chosen]),
            self._asked,
        )

    def tell(
        self, question: Question, setup: float | None, solve: float, *, broken_off: bool = False, failed: bool = False
    ) -> None:
        """What the solve cost, and its set-up where there was one; `broken_off`: the solve would have cost more."""
        if question.number != self._pending:
            raise ValueError("tell without its ask: each question is answered once, and only the last one")
        if not (0 <= solve < np.inf and (setup is None or 0 <= setup < np.inf)):
            raise ValueError(f"costs must be finite and >= 0, not {setup!r} and {solve!r}")
        self._pending = None
        arm = question.arm
        noise = (NOISE if self.told[arm] else FIRST_NOISE) ** 2
        if setup is not None and setup > 0 and np.isfinite(question.setup):
            self._update(2 * arm, question.features, np.log(setup) - question.setup, noise)
        if solve > 0:
            seen = np.log(solve) - question.solve
            if broken_off:
                seen = max(seen + 0.3, float(self.mean[2 * arm + 1] @ question.features))
            self._update(2 * arm + 1, question.features, seen, noise)
        self.covariance.reshape(-1)[self._bias * (len(self.covariance) + 1)] += DRIFT
        self.told[arm] += 1
        self.failing[arm] = failed
        self.solves += 1
        self.spent += (setup or 0.0) + solve
        if question.trial:
            # where the machine was held up for a moment the trial is not to blame
            once = min(solve, 2 * PATIENCE * question.incumbent)
            self.excess += max(0.0, (setup or 0.0) + once - question.incumbent)

    def state_dict(self) -> dict[str, Any]:
        return {
            "mean": self.mean.tolist(), "covariance": self.covariance.tolist(), "told": self.told.tolist(),
            "failing": self.failing.tolist(),
            "solves": self.solves, "spent": self.spent, "excess": self.excess, "asked": self._asked,
            "rest": [self._rest, self._idle, self._last],
        }  # fmt: skip

    def load_state_dict(self, state: dict[str, Any]) -> None:
        mean, covariance = np.array(state["mean"], dtype=np.float64), np.array(state["covariance"], dtype=np.float64)
        if mean.shape != (2 * self.count, mean.shape[-1]) or covariance.shape != (mean.size, mean.size):
            raise ValueError("the state is of other arms or features")
        self.mean, self.covariance, self.features = mean, covariance, mean.shape[1]
        self._bias = np.arange(len(mean)) * self.features
        self.told = np.array(state["told"], dtype=np.int64)
        self.failing = np.array(state["failing"], dtype=bool)
        self.solves, self._asked = int(state["solves"]), int(state["asked"])
        self._rest, self._idle, self._last = (int(k) for k in state["rest"])
        self.spent, self.excess, self._pending = float(state["spent"]), float(state["excess"]), None

    # ---- what it knows ----------------------------------------------------------------------------

    def variances(self, z: Array) -> Array:
        """Variances of the logarithms, set-up and solve of each arm in turn."""
        m, size = self.features, len(self.mean)
        blocks = self.covariance.reshape(size, m, size, m)[np.arange(size), :, np.arange(size), :]
        return np.asarray(np.einsum("qij,i,j->q", blocks, z, z))

    def _improvement(self, long_run: Array, run: Array, z: Array, incumbent: int) -> Array:
        """How much less a solve may be expected to cost once each arm was tried, and taken if it is better."""
        m, size = self.features, len(self.mean)
        at = 2 * incumbent + 1
        both = self.covariance.reshape(size, m, size, m)[:, :, at, :] @ z @ z
        own = self.variances(z)
        # How far a trial may move the forecast of the arm relative to the incumbent's: what they share tells nothing,
        # and what is known well of the arm is not learned again.
        noise = np.repeat(np.where(self.told > 0, NOISE, FIRST_NOISE), 2) ** 2
        moved = (own - both) ** 2 / (own + noise)
        share = run / long_run
        deviation = np.sqrt(share**2 * moved[1::2] + (1 - share) ** 2 * moved[0::2] + 1e-12)
        best = long_run[incumbent]
        distance = np.log(best / long_run) / deviation
        mean = long_run * np.exp(np.minimum(deviation**2 / 2, 50.0))
        return np.asarray(best * ndtr(distance) - mean * ndtr(distance - deviation))

    def _update(self, quantity: int, z: Array, seen: float, noise: float) -> None:
        m = self.features
        columns = slice(quantity * m, (quantity + 1) * m)
        cross = self.covariance[:, columns] @ z
        variance = float(cross[columns] @ z) + noise
        gain = cross / variance
        surprise = seen - float(self.mean[quantity] @ z)
        self.mean += (gain * surprise).reshape(self.mean.shape)
        self.covariance -= gain[:, None] * cross


def _prior(families: list[tuple[str, float]], features: int) -> Array:
    """The covariance before anything is known: a quantity is the set-up (even) or the solve (odd) of an arm."""
    names = [f"{name} set-up" if k == 0 else name for name, _ in families for k in (0, 1)]
    places = np.repeat([place for _, place in families], 2)
    same = np.array([[a == b for b in names] for a in names])
    related = same * np.exp(-0.5 * ((places[:, None] - places) / RELATED) ** 2)
    own = np.eye(len(names))
    covariance = np.zeros((len(names), features, len(names), features))
    covariance[:, 0, :, 0] = SHARED**2 + FAMILY**2 * related + ALONE**2 * own
    for k in range(1, features):
        covariance[:, k, :, k] = SLOPE**2 * (0.5 + 0.4 * related + 0.1 * own)
    return covariance.reshape(len(names) * features, -1)
