"""Few measurements that tell a tumour, few pixels that tell a digit: logistic regression with an l1 penalty."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import sklearn
from matplotlib.figure import Figure
from scipy.special import entr, expit
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import scale

import solvers

from ..pictures import OURS, PEER, png_of_figure
from ..progress import Progress
from ..row import Curve, Picture, Row

Array = npt.NDArray[Any]

TITLE = "Few measurements that tell a tumour, few pixels that tell a digit"
ORDER = 50

#: Strength of the penalty over that from which on all coefficients are zero; what is asked of both, over F(0).
SHARE, GOAL = 0.01, 1e-10
REPEATS = 5
TOLERANCES = tuple(10.0**-digits for digits in range(1, 13))
TIGHTEST = 1e-14


@dataclass(frozen=True, eq=False)
class Fit:
    """F(w) = sum log(1 + exp(-y x'w)) + lam |w|_1, labels y of -1 and 1."""

    X: Array
    y: Array

    @property
    def lam(self) -> float:
        return SHARE * float(np.abs(self.X.T @ self.y).max()) / 2

    @property
    def at_zero(self) -> float:
        return len(self.y) * float(np.log(2))

    def objective(self, w: Array) -> float:
        return float(np.logaddexp(0, -self.y * (self.X @ w)).sum() + self.lam * np.abs(w).sum())

    def gap(self, w: Array) -> float:
        """What the objective can be above its minimum at most, by duality."""
        u = expit(-self.y * (self.X @ w))
        u *= min(1.0, self.lam / float(np.abs(self.X.T @ (self.y * u)).max()))
        return float(self.objective(w) - (entr(u) + entr(1 - u)).sum())


@dataclass(eq=False)
class Side:
    """A solver, and for each fit the loosest tolerance that suffices."""

    name: str
    solve: Callable[[Fit, float], Array]
    chosen: list[float] = field(default_factory=list)
    #: (F - min F) / F(0) at those.
    errors: list[float] = field(default_factory=list)
    #: Seconds of all fits.
    totals: list[float] = field(default_factory=list)

    def choose(self, fits: list[Fit], least: list[float]) -> None:
        """Tighter and tighter tolerances."""
        for fit, best in zip(fits, least, strict=True):
            for tolerance in TOLERANCES:
                error = (fit.objective(self.solve(fit, tolerance)) - best) / fit.at_zero
                if error <= GOAL:
                    break
            self.chosen.append(tolerance)
            self.errors.append(error)

    def play(self, fits: list[Fit]) -> None:
        """All fits, timed."""
        start = time.perf_counter()
        for fit, tolerance in zip(fits, self.chosen, strict=True):
            self.solve(fit, tolerance)
        self.totals.append(time.perf_counter() - start)

    def curve(self, fit: Fit, least: float) -> Curve:
        """The error of one fit against its seconds, tolerance by tolerance."""
        seconds: list[float] = []
        errors = [1.0]
        while errors[-1] > GOAL and len(seconds) < len(TOLERANCES):
            taken = []
            for _ in range(REPEATS):
                start = time.perf_counter()
                answer = self.solve(fit, TOLERANCES[len(seconds)])
                taken.append(time.perf_counter() - start)
            seconds.append(min(taken))
            errors.append((fit.objective(answer) - least) / fit.at_zero)
        return Curve(self.name, np.array(seconds), np.array(errors[1:]))


def run(progress: Progress, threads: int) -> Row:
    """One fit of tumours and ten of digits, each against the others."""
    with progress.stage("reading tumours and digits"):
        names, fits = list(load_breast_cancer().feature_names), list(problems())
    ours = Side("ours", lambda fit, tolerance: solve_ours(fit, tolerance, threads))
    peer = Side("scikit-learn, liblinear", solve_peer)
    with progress.stage("finding the tolerances that suffice"):
        answers = [ours.solve(fit, TIGHTEST) for fit in fits]
        least = [fit.objective(w) for fit, w in zip(fits, answers, strict=True)]
        proven = max(fit.gap(w) / fit.at_zero for fit, w in zip(fits, answers, strict=True))
        for side in (ours, peer):
            side.choose(fits, least)
    with progress.stage(f"{len(fits)} fits by both, {REPEATS} times in turns") as stage:
        for turn in range(REPEATS):
            for side in (ours, peer) if turn % 2 else (peer, ours):
                side.play(fits)
            stage.at((turn + 1) / REPEATS)
    with progress.stage("drawing the coefficients"):
        pictures = (
            Picture("pixels", _PIXELS, png_of_figure(_pixels(answers[1:])), wide=True),
            Picture("tumour", "The measurements that tell a benign tumour.", png_of_figure(_bars(answers[0], names))),
        )
    return Row(
        name="features",
        title=TITLE,
        problem="tumours and digits, l1-logistic",
        size=f"{len(fits)} fits",
        method="learning.glm, logistic",
        seconds=float(np.median(ours.totals)),
        peer=f"scikit-learn {sklearn.__version__}, liblinear",
        peer_seconds=float(np.median(peer.totals)),
        accuracy_label="largest (F - min F) / F(0) of all fits, computed by the demo",
        accuracy=max(*ours.errors, GOAL),
        peer_accuracy=max(*peer.errors, GOAL),
        status="ok" if max(*ours.errors, *peer.errors, proven) <= GOAL else "a fit is off",
        text=_text(fits, answers, proven),
        pictures=pictures,
        curves=tuple(side.curve(fits[0], least[0]) for side in (ours, peer)),
        curves_label="(F - min F) / F(0)",
        curves_caption="The error of the fit of tumours against its seconds, a point a tolerance.",
    )


def problems() -> Iterator[Fit]:
    """Tumours, measurements centred and scaled; then each digit against all others, ink from 0 to 1."""
    tumours = load_breast_cancer()
    yield Fit(np.asfortranarray(scale(tumours.data)), 2.0 * tumours.target - 1)
    digits = load_digits()
    pixels = np.asfortranarray(digits.data / 16)
    for digit in range(10):
        yield Fit(pixels, np.where(digits.target == digit, 1.0, -1.0))


def solve_ours(fit: Fit, tolerance: float, threads: int) -> Array:
    """Ours is told the bound of the gap over F(0)."""
    result = solvers.learning.glm(fit.X, fit.y, lam=fit.lam, loss="logistic", tol=tolerance, threads=threads)
    return np.asarray(result.coef)


def solve_peer(fit: Fit, tolerance: float) -> Array:
    """Coordinate descent with Newton steps, scikit-learn's best for this penalty."""
    model = LogisticRegression(
        C=1 / fit.lam,
        l1_ratio=1.0,
        solver="liblinear",
        fit_intercept=False,
        tol=tolerance,
        max_iter=10_000,
        random_state=7,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(model.fit(fit.X, fit.y).coef_[0])


_PIXELS = (
    "The pixels that tell each digit from all others: ink there speaks for it (blue) or against it (red). White ones "
    "have a coefficient of exactly zero."
)


def _text(fits: list[Fit], answers: list[Array], proven: float) -> tuple[str, ...]:
    counts = [np.count_nonzero(w) for w in answers]
    return (
        f"Logistic regression with an l1 penalty, without an intercept, lam at {SHARE:g} of the strength from which on "
        f"all coefficients are zero. One fit tells benign tumours from others by {fits[0].X.shape[1]} measurements "
        f"({counts[0]} are used), ten tell a digit from all others by 64 pixels ({min(counts[1:])} to "
        f"{max(counts[1:])} are used).",
        f"Both run at tolerances, found fit by fit beforehand, that bring them within {GOAL:g} F(0) of the minimum: "
        f"the objective of ours at {TIGHTEST:g}, by the demo's own duality gap within {proven:.0e} F(0) of the true "
        f"one. The times are medians of {REPEATS} runs of all fits, in turns.",
    )


def _pixels(coefficients: list[Array]) -> Figure:
    figure = Figure(figsize=(11, 4.4))
    for digit, (axes, w) in enumerate(zip(figure.subplots(2, 5).flat, coefficients, strict=True)):
        size = np.abs(w).max()
        axes.imshow(w.reshape(8, 8), cmap="RdBu", vmin=-size, vmax=size)
        axes.set_title(str(digit), fontsize=10)
        axes.set_xticks([])
        axes.set_yticks([])
    figure.subplots_adjust(wspace=0.05, hspace=0.2)
    return figure


def _bars(w: Array, names: list[str]) -> Figure:
    used = [k for k in np.argsort(-np.abs(w)) if w[k] != 0]
    figure = Figure(figsize=(5.5, 0.6 + 0.24 * len(used)))
    axes = figure.subplots()
    axes.barh(range(len(used)), w[used], color=[OURS if w[k] > 0 else PEER for k in used])
    axes.set_yticks(range(len(used)), [names[k] for k in used], fontsize=8)
    axes.invert_yaxis()
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlabel("coefficient of the scaled measurement")
    axes.spines[["top", "right"]].set_visible(False)
    return figure
