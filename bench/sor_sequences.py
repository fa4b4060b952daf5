"""`SequenceSolver(arms="auto")` against each of its arms alone, in hindsight, over whole sequences of systems.

First all go through the steps side by side, in turns whose order is drawn, which finds the arms that matter: one that
has taken five times as long as the quickest one, the transform aside, is left out from there on; after twelve steps,
one that has taken twice as long, after forty one and a half times. Then each policy, and each arm that came within 15 %
of the best, simulates for itself from beginning to end as a program would, a new solver each time, in rounds whose
order is drawn; a policy's figure is the median over the rounds of its total over that of the best arm in the same
round, and the best arm is the one of least median total. A time is a whole call: analysis, guesses, choice, set-ups
and solve. Each x is judged by its residual, computed here.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

import solvers
from solvers.demo.heat import Plate
from solvers.linalg import ArmTuner, SequenceSolver

from . import harness
from .report import Lines, Report, Target

Array = npt.NDArray[Any]

STEPS = 200
#: An arm is left out when it has taken so many times the time of the quickest, after so many steps; the safe one, which
#: tells when learning has paid, not before the target for that is passed.
HOPELESS = ((3, 5.0), (12, 2.0), (40, 1.5))
PAID = 50
#: Rounds, as many as begin within so many seconds but at least the first and at most the second number; and how near to
#: the best an arm must have come to take part.
SECONDS, ROUNDS, NEAR = 40.0, (3, 11), 1.15
RTOL = 1e-8
SAFE = "ssor-cg(1)"


@dataclass(frozen=True)
class Sequence:
    """A start, and the system of each step from the solution of the one before."""

    name: str
    start: Callable[[], Array]
    step: Callable[[int, Array], tuple[Any, Array]]
    steps: int = STEPS
    #: Whether the operator is a constant stencil on a box, which a transform solves outright.
    separable: bool = False


def plate(nx: int, dt: float, begin: float, steps: int = STEPS) -> Sequence:
    """The heat equation of `solvers.demo.heat` from a time on."""
    heat = Plate(nx, dt)

    def step(number: int, u: Array) -> tuple[Any, Array]:
        system = heat.step(u, begin + number * dt)
        return system.A, system.b

    return Sequence(f"heat {nx}^2, dt {dt:g}, from t = {begin:g}", heat.start, step, steps, separable=True)


def brick(m: int, dt: float, steps: int = STEPS) -> Sequence:
    """Heat in m^3 points whose conductivity varies from place to place by a factor of 100, and swings in time."""
    rng = np.random.default_rng(7)
    faces = []
    for axis in range(3):
        shape = [m, m, m]
        shape[axis] += 1
        faces.append(10.0 ** rng.uniform(-1, 1, shape))
    matrix = solvers.linalg.GridOperator((m, m, m), coeff=faces, mass=1e-9, spacing=1 / (m + 1)).to_csr()
    rows = np.repeat(np.arange(m**3), np.diff(matrix.indptr))
    identity = (rows == matrix.indices).astype(float)
    source = np.zeros(m**3)
    source[m**3 // 2 + m // 3] = 100.0

    def step(number: int, u: Array) -> tuple[Any, Array]:
        half = dt / 2 * (1.05 + np.sin(0.05 * number))
        A = scipy.sparse.csr_array((identity + half * matrix.data, matrix.indices, matrix.indptr), matrix.shape)
        return A, u - half * (matrix @ u) + dt * source * np.cos(0.1 * number)

    return Sequence(f"3-D heat {m}^3, coefficients 0.1 to 10, dt {dt:g}", lambda: np.ones(m**3), step, steps)


class Policy:
    """One way to solve a sequence, and how it goes."""

    def __init__(self, name: str, how: dict[str, Any], sequence: Sequence):
        self.name, self.how, self.sequence = name, how, sequence
        #: Whether it was left out of the first race, and whether it took part in the rounds.
        self.left_out, self.close = False, False
        #: Seconds of each step in the first race, until it was left out.
        self.beside = np.zeros(0)
        #: Of each round: the seconds of each step, of these what the learner took, and the steps that were trials.
        self.rounds: list[Array] = []
        self.choices: list[Array] = []
        self.trials: list[int] = []
        self.worst = 0.0
        self.begin()

    def begin(self) -> None:
        """From the start, with a new solver."""
        self._solver = SequenceSolver(rtol=RTOL, threads=1, **self.how)
        self._u = self.sequence.start()
        self._seconds: list[float] = []
        self._choices: list[float] = []
        self._trials = 0

    def play(self) -> None:
        """The next step."""
        A, b = self.sequence.step(len(self._seconds), self._u)
        start = time.perf_counter()
        result = self._solver.solve(A, b, self._u)
        self._seconds.append(time.perf_counter() - start)
        self._choices.append(result.stats["choice_seconds"])
        self._trials += result.stats["trial"]
        self.worst = max(self.worst, float(np.linalg.norm(b - A @ result.x) / np.linalg.norm(b)))
        self._u = result.x

    def end(self) -> None:
        """What was played is a round."""
        self.rounds.append(np.array(self._seconds))
        self.choices.append(np.array(self._choices))
        self.trials.append(self._trials)

    @property
    def so_far(self) -> float:
        return sum(self._seconds)

    @property
    def totals(self) -> Array:
        """Seconds of each round."""
        return np.array([seconds.sum() for seconds in self.rounds])

    @property
    def total(self) -> float:
        """That of a usual round; infinite for an arm that never played all steps."""
        return np.inf if self.left_out else float(np.median(self.totals))


def race(sequence: Sequence, arms: list[str], policies: dict[str, Any]) -> list[Policy]:
    """All policies and each arm alone: side by side, then those that matter one after another, again and again."""
    makers = {**policies, **{arm: {"arms": [arm]} for arm in arms}}
    racers = [Policy(name, how, sequence) for name, how in makers.items()]
    turns = np.random.default_rng(0)
    gc.disable()
    _side_by_side(racers, sequence.steps, policies, turns)
    for racer in racers:
        racer.end()
        racer.beside = racer.rounds[0]
    running = [racer for racer in racers if not racer.left_out]
    rest = min(racer.total for racer in running if racer.name in arms and racer.name != "transform")
    least = min(racer.total for racer in running if racer.name in arms)
    close = [r for r in running if r.name in policies or r.total <= NEAR * (least if r.name == "transform" else rest)]
    safe, counted = next(racer for racer in racers if racer.name == SAFE), min(PAID, sequence.steps)
    early = [racer.rounds[0][:counted].sum() for racer in (safe, *(r for r in running if r.name in arms))]
    if safe not in close and early[0] <= 2 * min(early):  # else whoever learns has paid by then
        close.append(safe)
    for racer in close:
        racer.rounds, racer.choices, racer.trials, racer.left_out, racer.close = [], [], [], False, True
    begin = time.perf_counter()
    for number in range(ROUNDS[1]):
        if number >= ROUNDS[0] and time.perf_counter() - begin > SECONDS:
            break
        for turn in turns.permutation(len(close)):
            racer = close[turn]
            racer.begin()
            gc.collect()
            for _ in range(sequence.steps):
                racer.play()
            racer.end()
    gc.enable()
    return racers


def _side_by_side(racers: list[Policy], steps: int, policies: dict[str, Any], turns: np.random.Generator) -> None:
    """One step of all after another; the hopeless are left out."""
    for number in range(steps):
        running = [racer for racer in racers if not racer.left_out]
        for turn in turns.permutation(len(running)):
            running[turn].play()
        least = min(racer.so_far for racer in running if racer.name not in (*policies, "transform"))
        for racer in running:
            needed = racer.name in policies or (racer.name == SAFE and number <= PAID)
            far = any(number >= after and racer.so_far > times * least for after, times in HOPELESS)
            racer.left_out = far and not needed
        gc.collect(0)


def arms_for(sequence: Sequence) -> list[str]:
    """The arms that serve the first matrix."""
    solver = SequenceSolver()
    A, _ = sequence.step(0, sequence.start())
    solver._system.update(A)
    return [arm.name for arm in solver._arms if arm.serves(solver._system)]


def report(quick: bool = False) -> Report:
    """Every arm on every sequence."""
    result = Report("sor-sequences", 'SequenceSolver(arms="auto") against each arm alone in hindsight, one thread')
    curves = Lines("cost", "time so far over that of the best arm alone", ("solves", "ratio"))
    for module in ("pyamg", "sksparse"):
        harness.peer(module)
    with harness.threads(1):
        for sequence in sequences(quick):
            _add(result, curves, sequence)
    result.header = harness.versions("pyamg", "sksparse")
    result.curves.append(curves)
    result.notes.append(" ".join((__doc__ or "").split("\n\n")[1].split()))
    result.notes.append(
        '"auto, no transform" has all arms but the transform, which is in a class of its own where it serves; it is '
        "held against the best of the same arms."
    )
    return result


def sequences(quick: bool) -> list[Sequence]:
    if quick:
        return [plate(20, 1e-3, 0.6, 12), brick(8, 1e-2, 12)]
    return [
        plate(100, 1e-3, 0.0), plate(100, 1e-3, 0.4), plate(100, 1e-3, 0.6), plate(200, 1e-3, 0.6),
        plate(300, 1e-3, 0.65, 100), plate(400, 1e-3, 0.6, 60), plate(400, 1e-2, 0.55, 50), brick(20, 1e-2),
        brick(32, 1e-3),
    ]  # fmt: skip


def _add(result: Report, curves: Lines, sequence: Sequence) -> None:
    arms = arms_for(sequence)
    rest = [arm for arm in arms if arm != "transform"]
    policies = {"auto": {}}
    if sequence.separable:
        policies["auto, no transform"] = {"arms": rest}
    racers = race(sequence, arms, policies)
    singles = [racer for racer in racers if racer.name in arms and racer.close]
    best = {
        "auto": min(singles, key=lambda racer: racer.total),
        "auto, no transform": min((r for r in singles if r.name in rest), key=lambda racer: racer.total),
    }
    safe = next(racer for racer in racers if racer.name == SAFE)
    _table(result, sequence, racers, best["auto"], safe)
    for racer in racers:
        if racer.name not in policies:
            continue
        against, label = best[racer.name], f"{sequence.name}: {racer.name}"
        result.targets.append(Target(f"{label} over {against.name}", "<=", 1.1, over(racer, against)))
        paid = even(racer, safe)
        result.targets.append(Target(f"{label}, quicker than {SAFE} from solve", "<=", PAID, paid, ""))
        choice = 1e6 * float(np.mean(racer.choices))
        result.targets.append(Target(f"{label}, microseconds of a choice, mean", "<=", 100, choice, ""))
        mine, its = (np.cumsum(usual(one)) for one in (racer, against))
        for k in range(0, sequence.steps, 5):
            curves.add(racer.name, sequence.name, k + 1, float(mine[k] / its[k]))


def _table(result: Report, sequence: Sequence, racers: list[Policy], best: Policy, safe: Policy) -> None:
    rounds, name = len(best.rounds), f"first {min(PAID, sequence.steps)} over {SAFE}"
    table = result.table(
        f"{sequence.name}: {sequence.steps} solves, {len(sequence.start())} unknowns, median of {rounds} rounds"
    )
    for racer in sorted(racers, key=lambda racer: racer.total):
        row = {"policy": racer.name, "seconds": "left out"}
        if not racer.left_out:
            each = np.sort(racer.totals / best.totals) if racer.close else racer.totals / best.total
            row = {
                "policy": racer.name, "seconds": f"{racer.total:.3g}", "over the best arm": f"{np.median(each):.3f}",
                "least to most": f"{each[0]:.3f} to {each[-1]:.3f}",
                "ms a solve, median": 1e3 * float(np.median(racer.rounds)), "trials": float(np.mean(racer.trials)),
                "us a choice, mean": 1e6 * float(np.mean(racer.choices)),
                name: soon(usual(racer), safe) if racer.close else "",
            }  # fmt: skip
        table.rows.append({**row, "worst residual": f"{racer.worst:.1e}"})
    arms = [usual(racer) for racer in racers if racer.close and racer.how.get("arms") == [racer.name]]
    table.rows.append({"policy": "the quickest arm of each step", name: soon(np.min(arms, axis=0), safe)})
    others = [racer for racer in racers if racer.how.get("arms") == [racer.name] and racer.name != "transform"]
    replayed = f"{halving(others):.3f}"
    table.rows.append({"policy": "halving, then Tsallis-INF, no transform", "over the best arm": replayed})


def halving(arms: list[Policy], seeds: int = 10) -> float:
    """The published way to choose, on the times of the first race, over the best arm's: a mean over seeds.

    Successive halving, each arm once and then the better half again, over the first 40 steps or two an arm, then
    Tsallis-INF with reduced variance among those left. What an arm that was left out would have taken: as many times
    the quickest arm's as before.
    """
    steps = max(len(arm.beside) for arm in arms)
    quickest = np.min([arm.beside for arm in arms if len(arm.beside) == steps], axis=0)
    columns = []
    for arm in arms:
        played = len(arm.beside)
        columns.append(np.r_[arm.beside, np.median(arm.beside / quickest[:played]) * quickest[played:]])
    times = np.column_stack(columns)
    return float(np.mean([_halved(times, seed) for seed in range(seeds)]) / times.sum(axis=0).min())


def _halved(times: Array, seed: int) -> float:
    count = times.shape[1]
    first, alive, queue = min(2 * count, 40, len(times)), list(range(count)), list(range(count))
    spent, played = np.zeros(count), np.zeros(count)
    for row in times[:first]:
        if not queue:
            alive.sort(key=lambda arm: spent[arm] / played[arm])
            alive = alive[: (len(alive) + 1) // 2]
            queue = list(alive)
        arm = queue.pop(0)
        spent[arm] += row[arm]
        played[arm] += 1
    tuner = ArmTuner([str(arm) for arm in alive], learner="tsallis-rv", cost_floor=0.0, rng=seed)
    for row in times[first:]:
        question = tuner.ask()
        cost = row[int(question.value)]
        tuner.tell(question, cost)
        spent[int(question.value)] += cost
    return float(spent.sum())


def usual(racer: Policy) -> Array:
    """Seconds of each step, medians over the rounds."""
    return np.asarray(np.median(racer.rounds, axis=0))


def soon(steps: Array, safe: Policy) -> float:
    """The time of the first solves over that of the safe arm, by which learning should have paid."""
    counted = min(PAID, len(steps))
    return float(steps[:counted].sum() / usual(safe)[:counted].sum())


def over(racer: Policy, against: Policy) -> float:
    """The total over that of the other, in a usual round."""
    return float(np.median(racer.totals / against.totals))


def even(racer: Policy, safe: Policy) -> float:
    """The number of solves from which on the total is below that of the safe arm; the steps where it never is.

    Medians of the rounds, step by step. Steps that the safe arm did not play, far behind by then, count as they would
    have stayed.
    """
    played = len(safe.rounds[0])
    mine, its = (np.cumsum(usual(one)[:played]) for one in (racer, safe))
    behind = np.flatnonzero(mine > its)
    return float(behind[-1] + 2 if len(behind) else 1)
