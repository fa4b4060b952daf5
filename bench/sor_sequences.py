"""`SequenceSolver(arms="auto")` against each of its arms alone, in hindsight, over whole sequences of systems.

Every policy simulates for itself, each from its own solutions, and all go through the steps side by side, in turns, so
that a slow minute of the machine falls on all alike. The order of a step is drawn: in a fixed one the transform would
always come soon after "auto", and find what it needs in the caches. A time is a whole call: analysis, guesses, choice,
set-ups and solve. An arm that has taken five times as long as the quickest one, the transform aside, is left out from
there on; after twelve steps, one that has taken twice as long, after forty one and a half times. Its total is then the
least that it can have been, marked >=. Each x is judged by its residual, computed here.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

import solvers
from solvers.demo.heat import Plate
from solvers.linalg import SequenceSolver

from . import harness
from .report import Lines, Report, Target

Array = npt.NDArray[Any]

STEPS = 200
#: An arm is left out when it has taken so many times the time of the quickest, after so many steps; the safe one, which
#: tells when learning has paid, not before the target for that is passed.
HOPELESS = ((3, 5.0), (12, 2.0), (40, 1.5))
PAID = 50
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


@dataclass
class Policy:
    """One way to solve a sequence, and how it goes."""

    name: str
    solver: SequenceSolver
    u: Array
    seconds: list[float] = field(default_factory=list)
    #: What the learner took of each.
    choices: list[float] = field(default_factory=list)
    worst: float = 0.0
    left_out: bool = False

    @property
    def total(self) -> float:
        return sum(self.seconds)

    def play(self, sequence: Sequence, number: int) -> None:
        A, b = sequence.step(number, self.u)
        start = time.perf_counter()
        result = self.solver.solve(A, b, self.u)
        self.seconds.append(time.perf_counter() - start)
        self.choices.append(result.stats["choice_seconds"])
        self.worst = max(self.worst, float(np.linalg.norm(b - A @ result.x) / np.linalg.norm(b)))
        self.u = result.x


def race(sequence: Sequence, arms: list[str], policies: dict[str, Any]) -> list[Policy]:
    """All policies and each arm alone, step by step in turns."""
    makers = {**policies, **{arm: {"arms": [arm]} for arm in arms}}
    racers = [Policy(n, SequenceSolver(rtol=RTOL, threads=1, **how), sequence.start()) for n, how in makers.items()]
    turns = np.random.default_rng(0)
    gc.disable()
    for number in range(sequence.steps):
        running = [racer for racer in racers if not racer.left_out]
        for turn in turns.permutation(len(running)):
            running[turn].play(sequence, number)
        least = min(racer.total for racer in running if racer.name in arms and racer.name != "transform")
        for racer in running:
            needed = racer.name in policies or (racer.name == SAFE and number <= PAID)
            far = any(number >= after and racer.total > times * least for after, times in HOPELESS)
            racer.left_out = far and not needed
        gc.collect(0)
    gc.enable()
    return racers


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
    table = result.table(f"{sequence.name}: {sequence.steps} solves, {len(sequence.start())} unknowns")
    singles = [racer for racer in racers if racer.name in arms]
    best = {
        "auto": min(singles, key=_whole),
        "auto, no transform": min((r for r in singles if r.name in rest), key=_whole),
    }
    for racer in sorted(racers, key=_whole):
        at_least = ">= " if racer.left_out else ""
        table.rows.append({
            "policy": racer.name, "seconds": f"{at_least}{racer.total:.3g}",
            "over the best arm": f"{at_least}{racer.total / best['auto'].total:.3g}",
            "ms a solve, median": 1e3 * float(np.median(racer.seconds)),
            "us a choice, median": 1e6 * float(np.median(racer.choices)), "worst residual": f"{racer.worst:.1e}",
        })  # fmt: skip
    safe = next(racer for racer in racers if racer.name == SAFE)
    for racer in racers:
        if racer.name not in policies:
            continue
        against = best[racer.name]
        result.targets.append(
            Target(f"{sequence.name}: {racer.name} over {against.name}", "<=", 1.1, racer.total / against.total)
        )
        result.targets.append(
            Target(f"{sequence.name}: {racer.name}, quicker than {SAFE} from solve", "<=", PAID, _even(racer, safe), "")
        )
        choice = 1e6 * float(np.median(racer.choices))
        result.targets.append(Target(f"{sequence.name}: {racer.name}, microseconds of a choice", "<=", 100, choice, ""))
        mine, its = np.cumsum(racer.seconds), np.cumsum(against.seconds)
        for k in range(0, sequence.steps, 5):
            curves.add(racer.name, sequence.name, k + 1, float(mine[k] / its[k]))


def _whole(racer: Policy) -> float:
    return np.inf if racer.left_out else racer.total


def _even(racer: Policy, safe: Policy) -> float:
    """The number of solves from which on the total is below that of the safe arm; the steps where it never is.

    Steps at which the safe arm was left out, twice behind the best, count as they would have stayed.
    """
    played = len(safe.seconds)
    behind = np.flatnonzero(np.cumsum(racer.seconds[:played]) > np.cumsum(safe.seconds))
    return float(behind[-1] + 2 if len(behind) else 1)
