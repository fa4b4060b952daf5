"""A screening test that may miss few tumours: a fit whose constraint is a loss of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy
import scipy.optimize
from matplotlib.figure import Figure
from scipy.special import expit
from sklearn.datasets import load_breast_cancer

import solvers

from ..pictures import OURS, PEER, png_of_figure
from ..progress import Progress
from ..row import Curve, Picture, Row

Array = npt.NDArray[Any]

TITLE = "A screening test that may miss few tumours"
ORDER = 55

#: The bounds on the mean loss of the tumours, in the order in which they are solved, each from the answer before.
BOUNDS = np.geomspace(0.3, 0.01, 16)
#: The weight of |w|^2 / 2, the intercept left out.
RIDGE = 1e-2
#: Both must leave no more of the optimality conditions than this; what SciPy's methods are asked for, their tightest.
GOAL = 1e-7
PEERS = {
    "SLSQP": {"ftol": 1e-15, "maxiter": 1000},
    "trust-constr": {"gtol": 1e-9, "xtol": 1e-14, "barrier_tol": 1e-9, "maxiter": 1000},
}
REPEATS = 3
LEAST = 1e-16


@dataclass(frozen=True, eq=False)
class Loss:
    """The mean logistic loss of rows that should be on one side of 0, and its derivatives."""

    rows: Array
    side: float

    def value(self, w: Array) -> float:
        return float(np.logaddexp(0.0, -self.side * (self.rows @ w)).mean())

    def gradient(self, w: Array) -> Array:
        return np.asarray(-self.side * (expit(-self.side * (self.rows @ w)) @ self.rows) / len(self.rows))

    def hessian(self, w: Array) -> Array:
        p = expit(self.rows @ w)
        return np.asarray((self.rows.T * (p * (1 - p))) @ self.rows / len(self.rows))


@dataclass(frozen=True, eq=False)
class Screening:
    """Few false alarms among the healthy, as long as the loss of the tumours stays below a bound."""

    tumours: Loss
    healthy: Loss

    @property
    def shrunk(self) -> Array:
        return np.append(np.full(self.healthy.rows.shape[1] - 1, RIDGE), 0.0)

    def fun(self, w: Array) -> float:
        return self.healthy.value(w) + 0.5 * float(w @ (self.shrunk * w))

    def jac(self, w: Array) -> Array:
        return np.asarray(self.healthy.gradient(w) + self.shrunk * w)

    def hess(self, w: Array) -> Array:
        return np.asarray(self.healthy.hessian(w) + np.diag(self.shrunk))

    def constraint(self, bound: float) -> scipy.optimize.NonlinearConstraint:
        tumours = self.tumours
        return scipy.optimize.NonlinearConstraint(
            tumours.value, -np.inf, bound, jac=tumours.gradient, hess=lambda w, v: v[0] * tumours.hessian(w)
        )

    def left(self, w: Array, bound: float) -> float:
        """What w leaves of the optimality conditions: the best multiplier's residual, or the violation."""
        g, a = self.jac(w), self.tumours.gradient(w)
        excess = self.tumours.value(w) - bound
        price = max(-float(g @ a) / float(a @ a), 0.0) if excess > -1e-6 else 0.0
        return max(float(np.abs(g + price * a).max()), excess)


Solve = Callable[..., Array]


@dataclass(eq=False)
class Side:
    """A solver, its answers for all bounds, and its times."""

    name: str
    solve: Solve
    answers: list[Array] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def play(self, problem: Screening) -> None:
        w, answers = np.zeros(problem.healthy.rows.shape[1]), []
        start = time.perf_counter()
        for bound in BOUNDS:
            w = self.solve(problem, bound, w)
            answers.append(w)
        self.times.append(time.perf_counter() - start)
        self.answers = answers

    def left(self, problem: Screening) -> float:
        return max(problem.left(w, bound) for w, bound in zip(self.answers, BOUNDS, strict=True))

    @property
    def seconds(self) -> float:
        return float(np.median(self.times))


def run(progress: Progress, threads: int) -> Row:
    """All bounds by both in turns, what the tests miss, and what the bound costs."""
    with progress.stage("reading measurements of tumours"):
        problem, held_out = problems()
    ours = Side("ours", partial(solve_ours, threads=threads))
    peers = [Side(f"SciPy {name}", partial(solve_peer, method=name)) for name in PEERS]
    with progress.stage("SciPy's methods, once each"):
        for side in peers:
            side.play(problem)
        arrived = [side for side in peers if side.left(problem) <= GOAL] or peers
        peer = min(arrived, key=lambda side: side.seconds)
    with progress.stage(f"all bounds by both, {REPEATS} times in turns") as stage:
        for turn in range(REPEATS):
            for side in (ours, peer) if turn % 2 else (peer, ours):
                side.play(problem)
            stage.at((turn + 1) / REPEATS)
    left = ours.left(problem), peer.left(problem)
    with progress.stage("the optimality conditions against time"):
        curves = tuple(curve(side, problem) for side in (ours, *peers))
    return Row(
        name="screening",
        title=TITLE,
        problem="a test that misses few tumours",
        size=f"{len(BOUNDS)} fits of {problem.healthy.rows.shape[1]} weights",
        method="minimize, gala",
        seconds=ours.seconds,
        peer=f"SciPy {scipy.__version__}, {peer.name.split()[1]}",
        peer_seconds=peer.seconds,
        accuracy_label="largest entry left of the optimality conditions, computed by the demo",
        accuracy=max(left[0], GOAL),
        peer_accuracy=max(left[1], GOAL),
        status="ok" if left[0] <= GOAL else "the optimality conditions do not hold",
        text=_text(problem, held_out, ours.answers, left),
        pictures=(
            Picture("errors", "What each test gets wrong.", png_of_figure(_errors(problem, held_out, ours.answers))),
            Picture("price", "What the bound costs the healthy.", png_of_figure(_price(problem, ours.answers))),
        ),
        curves=curves,
        curves_label="left of the conditions",
        curves_caption="One fit, at the bound in the middle, from zero.",
    )


def problems() -> tuple[Screening, Screening]:
    """Two thirds of the patients to fit, one third to see what the fit is worth."""
    X, y = load_breast_cancer(return_X_y=True)
    held = np.arange(len(y)) % 3 == 2
    X = (X - X[~held].mean(axis=0)) / X[~held].std(axis=0)
    rows = np.column_stack([X, np.ones(len(X))])
    fitted, seen = (
        Screening(Loss(rows[part & (y == 0)], 1.0), Loss(rows[part & (y == 1)], -1.0)) for part in (~held, held)
    )
    return fitted, seen


def solve_ours(problem: Screening, bound: float, start: Array, threads: int, **keywords: Any) -> Array:
    result = solvers.minimize(
        problem.fun, start, jac=problem.jac, hess=problem.hess, constraints=problem.constraint(bound), method="gala",
        tol=1e-9, threads=threads, **keywords,
    )  # fmt: skip
    return np.asarray(result.x)


def solve_peer(problem: Screening, bound: float, start: Array, method: str, **keywords: Any) -> Array:
    if method == "SLSQP":  # it takes no Hessians
        tumours = problem.tumours
        given: dict[str, Any] = {
            "constraints": {
                "type": "ineq", "fun": lambda w: bound - tumours.value(w), "jac": lambda w: -tumours.gradient(w),
            }
        }  # fmt: skip
    else:
        given = {"constraints": problem.constraint(bound), "hess": problem.hess}
    result = scipy.optimize.minimize(
        problem.fun, start, jac=problem.jac, method=method, options=PEERS[method], **given, **keywords
    )
    return np.asarray(result.x)


def curve(side: Side, problem: Screening) -> Curve:
    """What is left of the conditions after each iteration, of one fit."""
    bound, seen, began = float(BOUNDS[len(BOUNDS) // 2]), [], time.perf_counter()

    def callback(intermediate_result: Any) -> None:
        seen.append((time.perf_counter() - began, np.array(intermediate_result.x)))

    side.solve(problem, bound, np.zeros(problem.healthy.rows.shape[1]), callback=callback)
    left = [max(problem.left(w, bound), LEAST) for _, w in seen]
    return Curve(side.name, np.array([seconds for seconds, _ in seen]), np.array(left))


def wrong(problem: Screening, w: Array) -> tuple[float, float]:
    """The shares, in %, of tumours that are missed and of the healthy who are alarmed."""
    return (
        100 * float((problem.tumours.rows @ w < 0).mean()),
        100 * float((problem.healthy.rows @ w > 0).mean()),
    )


def _text(problem: Screening, held_out: Screening, answers: list[Array], left: tuple[float, float]) -> tuple[str, ...]:
    first, last = (wrong(held_out, w) for w in (answers[0], answers[-1]))
    patients = [len(loss.rows) for part in (problem, held_out) for loss in (part.tumours, part.healthy)]
    return (
        f"A test of {problem.healthy.rows.shape[1] - 1} measurements shall raise few false alarms, but the mean "
        f"logistic loss of the tumours must stay below a bound. {len(BOUNDS)} bounds from {BOUNDS[0]:g} to "
        f"{BOUNDS[-1]:g} are fitted on {patients[0] + patients[1]} patients; of the {patients[2]} tumours and "
        f"{patients[3]} healthy that were held out the loosest test misses {first[0]:.1f}% and alarms "
        f"{first[1]:.1f}%, the tightest {last[0]:.1f}% and {last[1]:.1f}%.",
        "The multiplier of the constraint is the price of the bound: how much the objective grows when the bound is "
        f"tightened. Both sides start each fit from the one before. Our answers leave at most {left[0]:.0e} of the "
        f"optimality conditions, SciPy's {left[1]:.0e}; SciPy's method is the faster of "
        f"{' and '.join(PEERS)}, each asked for its tightest tolerance. Medians of {REPEATS} runs in turns.",
    )


def _errors(problem: Screening, held_out: Screening, answers: list[Array]) -> Figure:
    figure = Figure(figsize=(4.6, 3.4))
    axes = figure.subplots()
    for data, label, colour in ((held_out, "patients held out", OURS), (problem, "patients fitted", PEER)):
        missed, alarmed = np.array([wrong(data, w) for w in answers]).T
        axes.plot(alarmed, missed, "o-", color=colour, label=label, markersize=4, linewidth=1.4)
    axes.set_xlabel("false alarms, % of the healthy")
    axes.set_ylabel("missed, % of the tumours")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure


def _price(problem: Screening, answers: list[Array]) -> Figure:
    """The optimal values, and at each the slope that the multiplier says."""
    figure = Figure(figsize=(4.6, 3.4))
    axes = figure.subplots()
    values = np.array([problem.fun(w) for w in answers])
    axes.plot(BOUNDS, values, "o", color=OURS, markersize=4, label="optimum")
    for bound, value, w in zip(BOUNDS, values, answers, strict=True):
        a = problem.tumours.gradient(w)
        price = max(-float(problem.jac(w) @ a) / float(a @ a), 0.0)
        reach = np.array([0.8, 1.25]) * bound
        axes.plot(reach, value - price * (reach - bound), color=PEER, linewidth=1.2)
    axes.set_xscale("log")
    axes.set_xlabel("bound on the tumours' mean loss")
    axes.set_ylabel("loss of the healthy")
    axes.plot([], [], color=PEER, linewidth=1.2, label="slope: minus the multiplier")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure
