"""Where to start: the last solutions of a sequence tell much of the next one."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

#: Guess -> what it needs: solutions in store, and in products with the matrix its own work and that for its residual.
GUESSES = {"zero": (0, 0.0), "previous": (1, 1.0), "linear": (2, 1.3), "quadratic": (3, 1.6), "projection": (3, 5.0)}
#: All guesses are looked at in the first solves, and then again after so many.
AGAIN = 20
#: Products a digit below which the start hardly matters.
WORTH_A_LOOK = 0.15
#: The weight of the newest in the running means.
NEW = 0.2


class Guesses:
    """The last solutions, and how small a residual each way to go on from them leaves.

    With ``kind="auto"`` the way that is expected to save the most is taken: an iterative solve takes time in proportion
    to the digits that are missing, and a product with the matrix buys some of them.
    """

    def __init__(self, kind: str):
        self.kind = kind
        self._solutions: list[Array] = []
        self._worth = dict.fromkeys(GUESSES, 0.0)  # log(residual / the right-hand side), running mean
        self._seen = dict.fromkeys(GUESSES, 0)
        self._solves = 0

    def start(self, system: Any, b: Array, x0: Array | None, per_digit: float) -> tuple[Array, float, str]:
        """The start, the norm of its residual, and its name.

        x0: the user's own, which takes the place of the last solution. per_digit: products with the matrix that a
        factor e in the residual costs.
        """
        size, scale = len(b), float(np.linalg.norm(b))
        if scale == 0:
            return np.zeros_like(b), 0.0, "zero"
        store = [s for s in self._solutions if len(s) == size]
        if x0 is not None:
            store = [x0, *store[1:]] if store else [x0]
        usable = [name for name, (need, _) in GUESSES.items() if need <= len(store)]
        if self.kind != "auto":
            usable = [self.kind if self.kind in usable else "previous" if store else "zero"]
        elif x0 is not None:
            usable.remove("zero")
        self._solves += 1
        unknown = [name for name in usable if self._seen[name] < 2]
        if len(usable) == 1 or (per_digit > WORTH_A_LOOK and (unknown or self._solves % AGAIN == 0)):
            tried = usable
        else:
            tried = [min(usable, key=lambda name: per_digit * self._worth[name] + GUESSES[name][1])]
        best: tuple[Array, float, str] | None = None
        for name in tried:
            x, norm = self._residual(name, system, b, store, scale)
            if np.isfinite(norm):
                worth = max(np.log(max(norm, 1e-300) / scale), -40.0)
                weight = NEW if self._seen[name] else 1.0
                self._worth[name] += weight * (worth - self._worth[name])
                self._seen[name] += 1
            if best is None or not norm >= best[1]:
                best = x, norm, name
        assert best is not None
        return best if np.isfinite(best[1]) else (np.zeros_like(b), scale, "zero")

    def remember(self, x: Array) -> None:
        """Put a solution in store."""
        self._solutions = [x, *(s for s in self._solutions if len(s) == len(x))][:3]

    def forget(self) -> None:
        self._solutions = []

    def _residual(self, name: str, system: Any, b: Array, store: list[Array], scale: float) -> tuple[Array, float]:
        if name == "zero":
            return np.zeros_like(b), scale
        if name == "projection":
            return _projected(system, b, store)
        weights = {"previous": (1.0,), "linear": (2.0, -1.0), "quadratic": (3.0, -3.0, 1.0)}[name]
        x = weights[0] * store[0]
        for weight, earlier in zip(weights[1:], store[1:], strict=False):
            x += weight * earlier
        return x, system.measure(b, x)

    def state_dict(self) -> dict[str, Any]:
        return {"worth": dict(self._worth), "seen": dict(self._seen), "solves": self._solves}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._solves = int(state["solves"])
        self._worth = {name: float(state["worth"][name]) for name in GUESSES}
        self._seen = {name: int(state["seen"][name]) for name in GUESSES}
        self.forget()


def _projected(system: Any, b: Array, store: list[Array]) -> tuple[Array, float]:
    """The last solution and its first and second difference, with the coefficients of least residual (Fischer 1998)."""
    first = store[0] - store[1]
    basis = np.stack([store[0], first, first - (store[1] - store[2])])
    images = np.stack([b - system.residual(b, v) for v in basis])
    lengths = np.linalg.norm(images, axis=1)
    unit = images / np.where(lengths > 0, lengths, 1.0)[:, None]
    # The differences are no copies of one another, and any coefficients are right: a Gram matrix is precise enough.
    coefficients = np.linalg.lstsq(unit @ unit.T, unit @ b, rcond=1e-14)[0] / np.where(lengths > 0, lengths, 1.0)
    x = coefficients @ basis
    return x, float(np.linalg.norm(b - coefficients @ images))
