"""What POT's entropic calls have in common: arguments and results in POT's array types and in NumPy's."""

from __future__ import annotations

import contextlib
import functools
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from ot.backend import get_backend
from ot.utils import list_to_array

from .. import ot as transport

Array = npt.NDArray[Any]
Result = transport.TransportResult

#: Masses of a and b may differ by this much, relatively: what sums of float32 weights do.
MASS_TOLERANCE = 1e-5

NOT_CONVERGED = (
    "Sinkhorn did not converge. You might want to increase the number of iterations `numItermax` or the "
    "regularization parameter `reg`."
)


@dataclass(frozen=True)
class Convention:
    """What a method name of POT implies."""

    #: The norm of the violations that stopThr bounds, and the power of it.
    norm: str = "l2"
    power: int = 1
    #: Whether warmstart holds potentials in units of the cost, or those divided by reg.
    potentials: bool = False
    #: The log's keys.
    keys: tuple[str, ...] = ("err", "niter", "u", "v")


STABILIZED = ("alpha", "beta", "warmstart")
METHODS = {
    "sinkhorn": Convention(),
    "sinkhorn_log": Convention(keys=("err", "niter", "log_u", "log_v", "u", "v")),
    "greenkhorn": Convention(norm="linf", keys=("n_iter", "u", "v")),
    "sinkhorn_stabilized": Convention(potentials=True, keys=("err", "n_iter", "logu", "logv", *STABILIZED)),
    "sinkhorn_epsilon_scaling": Convention(power=2, potentials=True, keys=("err", "niter", *STABILIZED)),
}


@contextlib.contextmanager
def named(**names: str) -> Iterator[None]:
    """Errors about our arguments speak of POT's: `named(C="M")`."""
    try:
        yield
    except (TypeError, ValueError) as error:
        ours = rf"\b({'|'.join(names)})\b"
        raise type(error)(re.sub(ours, lambda found: names[found[0]], str(error))) from None


class Call:
    """A call in POT's array type and in NumPy's, and the way back.

    `costs` are what POT's user gave, (M,) or (X_a, X_b), and `solve`, with these keywords, is what solves with them;
    `names` as in `named`.
    """

    def __init__(
        self,
        solve: Callable[..., Any],
        costs: tuple[Any, ...],
        a: Any,
        b: Any,
        reg: float,
        names: dict[str, str],
        method: str = "sinkhorn_log",
        grad: str = "autodiff",
        **keywords: Any,
    ) -> None:
        if method.lower() not in METHODS:
            raise ValueError(f"Unknown method '{method}'.")
        self.convention = METHODS[method.lower()]
        self.solve = functools.partial(solve, reg=reg, norm=self.convention.norm, **keywords)
        self.method, self.reg, self.names = method.lower(), reg, names
        *self.costs, a, b = list_to_array(*(_floating(x) for x in (*costs, a, b)))
        self.nx = nx = get_backend(*self.costs, a, b)
        if grad == "autodiff" and any(getattr(x, "requires_grad", False) for x in (*self.costs, a, b)):
            raise NotImplementedError(
                "the plan is not made of differentiable steps: detach the tensors, or use solve(grad='envelope')"
            )
        n, m = (len(x) for x in self.costs) if len(self.costs) == 2 else shape_of(*self.costs)
        self.a = a if len(a) else nx.full((n,), 1.0 / n, type_as=self.costs[0])
        self.b = b if len(b) else nx.full((m,), 1.0 / m, type_as=self.costs[0])
        #: The number of targets; 0 where b has one dimension.
        self.targets = self.b.shape[1] if self.b.ndim == 2 else 0

    def run(
        self, max_iter: int, stop: float, verbose: bool, warn: bool, warmstart: Any, threads: int | None = None
    ) -> list[Result]:
        """A result for each target."""
        *costs, a, b = (self.nx.to_numpy(x) for x in (*self.costs, self.a, self.b))
        power = self.convention.power
        keywords: dict[str, Any] = {
            "tol": stop if power == 1 else max(stop, 0) ** (1 / power), "max_iter": max_iter,
            "verbose": int(bool(verbose)), "threads": threads,
        }  # fmt: skip
        b = _equal_mass(a, b)
        starts = self.starts(warmstart)
        with named(**self.names):
            if not self.targets:
                results = [self.solve(*costs, a, b, warm_start=starts[0], **keywords)]
            elif warmstart is None:
                results = list(self.solve(*costs, a, b, **keywords))
            else:
                columns = zip(b.T, starts, strict=True)
                results = [self.solve(*costs, a, part.copy(), warm_start=start, **keywords) for part, start in columns]
        missed = [result for result in results if not result.success]
        if warn and missed:
            warnings.warn(f"{NOT_CONVERGED} {missed[0].message}", stacklevel=3)
        return results

    def starts(self, warmstart: Any) -> list[Any]:
        """For each target a pair (f, g) to start from, or None."""
        count = max(self.targets, 1)
        if warmstart is None:
            return [None] * count
        if self.targets and self.method == "sinkhorn_log":
            pairs = [[np.asarray(self.nx.to_numpy(x)) for x in pair] for pair in warmstart]
        else:
            first, second = (np.asarray(self.nx.to_numpy(x)) for x in warmstart)
            first, second = (x if x.ndim == 2 else np.repeat(x[:, None], count, axis=1) for x in (first, second))
            pairs = [[first[:, k], second[:, k]] for k in range(count)]
        factor = 1.0 if self.convention.potentials else self.reg
        return [(pair[0].astype(np.float64) * factor, pair[1].astype(np.float64) * factor) for pair in pairs]

    def scalings(self, result: Result) -> tuple[Array, Array]:
        """log u and log v, shifted so that the largest of each are equal: neither overflows before it must."""
        f, g = result.f / self.reg, result.g / self.reg
        shift = (g.max() - f.max()) / 2 if np.isfinite([f.max(), g.max()]).all() else 0.0
        return f + shift, g - shift

    def potentials(self, result: Result) -> tuple[Any, Any]:
        """log u and log v in the user's kind of array."""
        log_u, log_v = (self.given_back(x) for x in self.scalings(result))
        return log_u, log_v

    def given_back(self, x: Array) -> Any:
        """A NumPy array as the user's kind of array."""
        return self.nx.from_numpy(x, type_as=self.costs[0])

    def number(self, x: float) -> Any:
        """A number as a sum over the user's kind of array would be."""
        if self.nx.__name__ == "numpy":
            return self.costs[0].dtype.type(x)
        return self.given_back(np.asarray(x))

    def plan(self, result: Result) -> Any:
        """The plan."""
        return self.given_back(result.plan.dense())

    def linear(self, results: list[Result]) -> Any:
        """<M, P>: of each target, or the number where b has one dimension."""
        found = [result.value_linear for result in results]
        return self.given_back(np.array(found)) if self.targets else self.number(found[0])

    def value(self, result: Result, reg_type: str, slopes: Callable[[], tuple[Any, ...]] | None) -> Any:
        """The regularised value; differentiable where the slopes in the costs are given."""
        value = self.number(result.value if reg_type.lower() == "kl" else result.value_entropy)
        if slopes is None:
            return value
        f, g = (self.given_back(x - x[np.isfinite(x)].mean()) for x in (result.f, result.g))
        return self.nx.set_gradients(value, (*self.costs, self.a, self.b), (*slopes(), f, g))

    def log(self, results: list[Result]) -> dict[str, Any]:
        """The log dictionary of POT for this method."""
        pairs = [self.scalings(result) for result in results]
        log_u, log_v = (np.stack([pair[side] for pair in pairs], axis=1) for side in (0, 1))
        if not self.targets:
            log_u, log_v = log_u[:, 0], log_v[:, 0]
        with np.errstate(over="ignore"):
            arrays = {"u": np.exp(log_u), "v": np.exp(log_v)}
        arrays |= {"log_u": log_u, "log_v": log_v, "logu": log_u, "logv": log_v}
        arrays |= {"alpha": self.reg * log_u, "beta": self.reg * log_v}
        steps = max(result.nit for result in results)
        made: dict[str, Any] = {"err": _errors(results), "niter": steps, "n_iter": steps}
        keys = self.convention.keys
        if self.targets and self.method == "sinkhorn_log":
            keys = tuple(key for key in keys if key in arrays)
        made |= {key: self.given_back(arrays[key]) for key in keys if key in arrays}
        if "warmstart" in keys:
            made["warmstart"] = made["alpha"], made["beta"]
        return {key: made[key] for key in keys}


def shape_of(M: Any) -> tuple[int, int]:
    """(n, m) of a cost matrix."""
    shape = tuple(M.shape)
    if len(shape) != 2:
        raise ValueError(f"M must have 2 dimensions, not shape {shape}")
    return shape


def _floating(x: Any) -> Any:
    """Integers as floats: a plan of their type would be rounded to nothing. An empty list for None."""
    if x is None or isinstance(x, list):
        return x or []
    nx = get_backend(x)
    values = nx.to_numpy(x)
    return nx.from_numpy(values.astype(np.float64)) if values.dtype.kind in "biu" else x


def _errors(results: list[Result]) -> list[float]:
    """The running error of the slowest solve, and the recomputed one at the end."""
    slowest = max(results, key=lambda result: result.nit)
    return [*(float(x) for x in slowest.history.get("measure", ())), slowest.marginal_error]


def _equal_mass(a: Array, b: Array) -> Array:
    """b with the mass of a where they differ by what rounding does to sums of weights."""
    mass_a, mass_b = float(a.sum(dtype=np.float64)), b.sum(axis=0, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        near = np.abs(mass_b - mass_a) <= MASS_TOLERANCE * max(mass_a, 0.0)
        scale = np.where(near, mass_a / mass_b, 1.0)
    scaled: Array = b.astype(np.float64) * scale
    return scaled
