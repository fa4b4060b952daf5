"""Solvers of entropic transport, ours and the peers', behind one call: a tolerance and a limit in, a plan out.

Each peer runs as its users would run it, on one thread and in float64, on data in the form it likes best (handed over
before the clock starts). What it is told is a tolerance in its own measure, since they measure differently; which one
it needs for an accuracy is found by `bench/ot_match.py`. A peer is loaded only in the process that runs it.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .problems import Array, Transport
from .process import one_thread

#: Environment of a process with one thread, whatever it loads.
ONE_THREAD = one_thread(
    NPROC="1", XLA_FLAGS="--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1", JAX_PLATFORMS="cpu",
    JAX_ENABLE_X64="1", POT_BACKEND_DISABLE_PYTORCH="1", POT_BACKEND_DISABLE_JAX="1",
)  # fmt: skip

UNLIMITED = 10**7


@dataclass
class Answer:
    """What a solver returned."""

    plan: Array
    iterations: int
    #: The solver's own error after each iteration, where it tells; the first is that of the start.
    history: list[float] = field(default_factory=list)
    #: Processor time that does not count: compilation.
    aside: float = 0.0
    #: What else is worth showing.
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Method:
    """A method of a peer."""

    name: str
    #: The tolerance to try first for an accuracy, given the number of rows and columns.
    start: Callable[[float, int], float]
    #: Iterations cost alike, so that a limit on them keeps the time.
    paced: bool = False
    #: Tried only where none before it has arrived: slower otherwise.
    fallback: bool = False


class Peer:
    """A package and its methods."""

    #: What is imported, and the name under which it is installed.
    package: str
    distribution: str

    methods: tuple[Method, ...]

    #: Processor seconds beyond its cap that its process may live, rather than load everything again.
    grace = 0.5

    @classmethod
    def ordered(cls, reg: float) -> list[Method]:
        """The methods, the most promising first."""
        return list(cls.methods)

    def prepared(self, problem: Transport) -> Any:
        """The problem in the form the package likes best, which is loaded then at the latest."""
        raise NotImplementedError

    def solve(self, data: Any, reg: float, method: str, tolerance: float, limit: int) -> Answer:
        raise NotImplementedError


def _l2(level: float, size: int) -> float:
    """The l2 norm of an error spread evenly over both marginals, whose l1 norm is `level`."""
    return level / np.sqrt(size)


# ---- ours ------------------------------------------------------------------------------------------


class Ours(Peer):
    """solvers.ot.solve with its own choice of the method."""

    package, distribution = "solvers", "solvers-toolkit"
    methods = (Method("", lambda level, size: level),)

    #: Seconds after which our own solve gives up.
    time_limit = 30.0

    def prepared(self, problem: Transport) -> Transport:
        import solvers

        solvers.ot.solve(problem.cost[:8, :8], reg=1.0)  # loads what is loaded on first use
        return problem

    def solve(self, data: Transport, reg: float, method: str, tolerance: float, limit: int) -> Answer:
        import solvers

        result = solvers.ot.solve(
            data.cost, data.a, data.b, reg=reg, method=method or None, tol=tolerance, max_iter=limit,
            time_limit=self.time_limit, threads=1,
        )  # fmt: skip
        counts = {name: result.stats[name] for name in ("passes", "newton", "cg") if name in result.stats}
        details = {"method": result.method, "success": result.success, "status": result.status.name, **counts}
        return Answer(result.plan.dense(), result.nit, details=details)


# ---- POT -------------------------------------------------------------------------------------------


class Pot(Peer):
    """POT's Sinkhorn methods. They stop on the l2 norm of one marginal's error, seen every 10 or 20 iterations."""

    package, distribution = "ot", "POT"
    methods = (
        Method("sinkhorn", _l2, paced=True), Method("sinkhorn_stabilized", _l2, paced=True),
        Method("sinkhorn_epsilon_scaling", lambda *at: _l2(*at) ** 2),
        Method("sinkhorn_log", _l2, paced=True, fallback=True),  # the same iterates at many times the price
    )  # fmt: skip

    #: Where epsilon scaling starts, in units of the largest cost; POT's own 1e4 only wastes outer iterations.
    first_epsilon = 1.0

    def prepared(self, problem: Transport) -> Transport:
        os.environ.setdefault("POT_BACKEND_DISABLE_PYTORCH", "1")  # it would load it, and nothing here uses it
        import ot as pot

        pot.sinkhorn([], [], problem.cost[:8, :8], 1.0)
        return problem

    def solve(self, data: Transport, reg: float, method: str, tolerance: float, limit: int) -> Answer:
        import ot as pot

        options: dict[str, Any] = {"numItermax": limit, "stopThr": tolerance, "log": True, "warn": False}
        if method == "sinkhorn_epsilon_scaling":
            options |= {"epsilon0": max(self.first_epsilon, reg), "numInnerItermax": 100}
        plan, log = pot.sinkhorn(data.a, data.b, data.cost, reg, method=method, **options)
        return Answer(plan, int(log["niter"] if "niter" in log else log["n_iter"]) + 1)


# ---- regot -----------------------------------------------------------------------------------------


class Regot(Peer):
    """regot's entropic solvers, in C++: Newton's methods, SSNS and SPLR by their authors, and the classics.

    They stop on the l2 norm of the gradient, and report it of every iteration.
    """

    package, distribution = "regot", "regot"
    methods = (
        *(Method(name, lambda level, size: level) for name in ("ssns", "newton", "bcd", "splr")),
        *(Method(name, lambda level, size: level, fallback=True) for name in ("lbfgs_dual", "sparse_newton", "apdagd")),
    )
    grace = 0.05

    @classmethod
    def ordered(cls, reg: float) -> list[Method]:
        easy, sharp = ("bcd", "newton"), ("ssns", "newton")
        first = easy if reg >= 0.01 else sharp
        return sorted(cls.methods, key=lambda method: first.index(method.name) if method.name in first else len(first))

    def prepared(self, problem: Transport) -> Transport:
        import regot  # noqa: F401

        return Transport(problem.name, np.asfortranarray(problem.cost), problem.a, problem.b)

    def solve(self, data: Transport, reg: float, method: str, tolerance: float, limit: int) -> Answer:
        import regot

        call = getattr(regot, f"sinkhorn_{method}")
        result = call(data.cost, data.a, data.b, reg, tol=tolerance, max_iter=limit)
        return Answer(np.asarray(result.plan), int(result.niter), [float(error) for error in result.mar_errs])


# ---- ott -------------------------------------------------------------------------------------------


class Ott(Peer):
    """ott-jax: Sinkhorn compiled by XLA, plain and over-relaxed. It stops on the l1 norm, seen every 10 iterations."""

    package, distribution = "ott", "ott-jax"
    methods = tuple(Method(name, lambda level, size: level, paced=True) for name in ("kernel", "lse", "momentum"))
    grace = 4.0

    def __init__(self) -> None:
        self.compiled: dict[tuple[str, int, tuple[int, ...]], Any] = {}

    def prepared(self, problem: Transport) -> tuple[Any, ...]:
        import jax

        return tuple(jax.numpy.asarray(part) for part in (problem.cost, problem.a, problem.b))

    def solve(self, data: tuple[Any, ...], reg: float, method: str, tolerance: float, limit: int) -> Answer:
        key = method, self.rounded(limit), data[0].shape
        start = time.process_time()
        if key not in self.compiled:
            self.compiled[key] = self._function(*key[:2]).lower(*data, reg, tolerance).compile()
        aside = time.process_time() - start
        plan, count = self.compiled[key](*data, reg, tolerance)
        return Answer(np.asarray(plan), int(count), aside=aside, details={"compiled in": aside})

    @staticmethod
    def rounded(limit: int) -> int:
        """The limit near this one that is compiled for, since each takes a second: 20, 80, 320, ..."""
        return int(20 * 4 ** round(np.log(max(limit, 20) / 20) / np.log(4)))

    def _function(self, method: str, limit: int) -> Any:
        import jax
        from ott.geometry import geometry
        from ott.problems.linear import linear_problem
        from ott.solvers.linear import acceleration, sinkhorn

        options: dict[str, Any] = {"lse_mode": method != "kernel"}
        if method == "momentum":  # the weight from the rate that the first iterations show
            options["momentum"] = acceleration.Momentum(start=50, inner_iterations=10)

        def run(cost: Any, a: Any, b: Any, epsilon: Any, threshold: Any) -> tuple[Any, Any]:
            problem = linear_problem.LinearProblem(geometry.Geometry(cost_matrix=cost, epsilon=epsilon), a=a, b=b)
            solver = sinkhorn.Sinkhorn(threshold=threshold, max_iterations=limit, implicit_diff=None, **options)
            out = solver(problem)
            return out.matrix, out.n_iters

        return jax.jit(run)


# ---- mdot-tnt --------------------------------------------------------------------------------------


class Mdot(Peer):
    """mdot-tnt: truncated Newton with annealing, on PyTorch.

    Its front end stops at H / gamma^1.5 (H: the smaller entropy), far above the levels here. The exponent, an argument
    of its core `mdot.mdot`, is what the tolerance sets; the plan is then formed as the front end forms it.
    """

    package, distribution = "mdot_tnt", "mdot-tnt"
    methods = (Method("mdot", lambda level, size: level),)

    def prepared(self, problem: Transport) -> tuple[Any, ...]:
        import mdot_tnt  # noqa: F401
        import torch

        torch.set_num_threads(1)
        return tuple(torch.from_numpy(np.ascontiguousarray(part)) for part in (problem.a, problem.b, problem.cost))

    def solve(self, data: tuple[Any, ...], reg: float, method: str, tolerance: float, limit: int) -> Answer:
        from mdot_tnt.mdot import mdot

        a, b, cost = data
        entropy = min(float(-(w * (w + 1e-30).log()).sum()) for w in (a, b))
        exponent = float(np.log(entropy / tolerance) * -1 / np.log(reg))
        f, g, gamma, total, _ = mdot(a, b, cost, 1 / reg, p=exponent)
        plan = (f.unsqueeze(-1) + g.unsqueeze(-2) - gamma * cost).exp()
        return Answer(plan.numpy(), int(total), details={"gamma": float(gamma)})


#: The name in tables -> the class. Ours comes first.
PEERS: dict[str, type[Peer]] = {"ours": Ours, "regot": Regot, "POT": Pot, "ott": Ott, "mdot": Mdot}


def installed(peer: type[Peer]) -> bool:
    """Whether a peer's package can be imported."""
    return importlib.util.find_spec(peer.package) is not None


def versions() -> list[str]:
    """The packages' names and versions."""
    named = [peer.distribution for peer in PEERS.values() if installed(peer)]
    return [f"{name} {importlib.metadata.version(name)}" for name in named]


def solve(peer: Peer, data: Any, reg: float, method: str, tolerance: float, limit: int) -> Answer:
    """`peer.solve` without warnings: the judge sees the result."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return peer.solve(data, reg, method, tolerance, limit)
