"""Many small transport problems in one compiled call."""

from __future__ import annotations

import dataclasses
import math
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, NoReturn, overload

import numpy as np
import numpy.typing as npt

from .._base import threads as _threads
from .._base.result import Status
from .._base.validate import check_finite, integer, positive, real_array
from . import _kernels
from ._cost import Cost
from ._plan import Plan
from ._problem import LN2, MASS_SILENT, MASS_WARNED, NORMS, TransportProblem, TransportResult

Array = npt.NDArray[Any]

#: A compiled call takes problems with about this many entries in all, so that Ctrl-C is heard between calls.
CALL_ENTRIES = 1 << 25

#: Numbers in a cache line.
LINE = 8

#: The columns of what is counted for each problem.
STATUS, SINKHORN, NEWTON, CG = range(4)
#: And of what is recomputed from the answer: the marginal error, <C, P>, <C, P> + reg KL(P | a b').
ERROR, LINEAR, VALUE = range(3)


class Answer(NamedTuple):
    """Potentials in base 2, as a state has them."""

    u: Array
    v: Array
    nit: int


@dataclass(frozen=True, eq=False, repr=False)
class TransportBatchResult(Sequence[TransportResult]):
    """Results of a batch: arrays with an entry or a row for each problem; ``result[k]`` is problem k's own result.

    Attributes
    ----------
    f, g : ndarray, shapes (k, n) and (k, m)
        Potentials: ``P_ij = exp((f_i + g_j - C_ij) / reg)``, shifted so that ``sum(b * g) = 0``; -inf at zero weights.
    value, value_linear : ndarray, shape (k,)
        ``<C, P> + reg * KL(P | a b')`` and ``<C, P>``.
    marginal_error : ndarray, shape (k,)
        The norm of both marginal violations, recomputed in float64 from the returned potentials.
    success : ndarray of bool, shape (k,)
        Whether that error is at most `tol`.
    status : ndarray of int, shape (k,)
        Numbers of `solvers.Status`; ``solvers.Status(result.status[k]).sentence`` says what happened.
    nit : ndarray of int, shape (k,)
        Sinkhorn iterations and Newton steps.
    plan : Plans
        A sequence: ``plan[k]`` is the plan of problem k, made on demand; ``plan.dense()`` all of them, (k, n, m), in
        one compiled call, or without one those of a solve with ``dense=True``.
    all_success : bool
        Whether every problem succeeded.
    stats : dict
        ``sinkhorn_iterations, newton_steps, cg_iterations`` (arrays over problems), seconds, threads, isa, copies.
    """

    value: Array
    value_linear: Array
    marginal_error: Array
    success: Array
    status: Array
    nit: Array
    tol: float
    norm: str
    stats: dict[str, Any]
    #: The problems, and the answers in base 2.
    batch: Batch
    u: Array
    v: Array
    offset: Array
    #: The plans, where they were asked for.
    plans: Array | None

    @cached_property
    def _potentials(self) -> tuple[Array, Array]:
        """f and g, made when they are asked for."""
        scale, b = self.batch.scale, self.batch.b
        f, g = self.u / scale, self.v / scale
        shift = _weighted(b / b.sum(axis=1, keepdims=True), g)
        f += shift[:, None] + self.offset
        g -= shift[:, None]
        return f, g

    @property
    def f(self) -> Array:
        """Potentials of the sources."""
        return self._potentials[0]

    @property
    def g(self) -> Array:
        """Potentials of the targets."""
        return self._potentials[1]

    @property
    def all_success(self) -> bool:
        """Whether every problem succeeded."""
        return bool(self.success.all())

    @property
    def plan(self) -> Plans:
        """The plans, each made on demand."""
        return Plans(self)

    def __len__(self) -> int:
        return len(self.status)

    @overload
    def __getitem__(self, index: int) -> TransportResult: ...
    @overload
    def __getitem__(self, index: slice) -> list[TransportResult]: ...
    def __getitem__(self, index: int | slice) -> TransportResult | list[TransportResult]:
        if isinstance(index, slice):
            return [self._result(k) for k in range(len(self))[index]]
        return self._result(range(len(self))[index])

    def __repr__(self) -> str:
        _, n, m = self.batch.shape
        return f"<{len(self)} transport problems of shape ({n}, {m}), {int(self.success.sum())} solved>"

    def _result(self, k: int) -> TransportResult:
        status = Status(int(self.status[k]))  # type: ignore[call-arg]
        problem = self._problem(k)
        return dataclasses.replace(
            problem.certify(Answer(problem.u0, problem.v0, int(self.nit[k])), {}),
            success=bool(self.success[k]), status=status, message=status.sentence,
            measure=float(self.marginal_error[k]), marginal_error=float(self.marginal_error[k]), method="batch",
            stats={name: value[k] if isinstance(value, np.ndarray) else value for name, value in self.stats.items()},
            f=self.f[k], g=self.g[k], value=float(self.value[k]), value_linear=float(self.value_linear[k]),
        )  # fmt: skip

    def _plan(self, k: int) -> Plan:
        problem = self._problem(k)
        return problem.answer(Answer(problem.u0, problem.v0, 0))

    def _problem(self, k: int) -> TransportProblem:
        """The problem, started at its answer."""
        batch, u, v, offset = self.batch, self.u[k], self.v[k], self.offset[k]
        a, b = (weights[k % len(weights)] for weights in (batch.a, batch.b))
        matrix = whole = batch.costs[k % len(batch.costs)]
        rows, columns = (None if np.isfinite(p).all() else np.flatnonzero(np.isfinite(p)) for p in (u, v))
        if rows is not None or columns is not None:
            i = np.arange(len(u)) if rows is None else rows
            j = np.arange(len(v)) if columns is None else columns
            matrix, u, v, offset, a, b = matrix[np.ix_(i, j)], u[i], v[j], offset[i], a[i], b[j]
        return TransportProblem(
            cost=Cost(matrix=matrix, offset=offset), whole=Cost(matrix=whole), a=a, b=b,
            reg=float(batch.regs[k % len(batch.regs)]), tol=self.tol, norm=self.norm,
            threads=int(self.stats["threads"]), u0=u, v0=v, kept_rows=rows, kept_columns=columns,
            shape=batch.shape[1:], copies=0,
        )  # fmt: skip


class Plans(Sequence[Plan]):
    """The plans of a batch: a sequence whose entries are made when they are asked for, or all of them at once."""

    def __init__(self, result: TransportBatchResult) -> None:
        self._result = result

    def __len__(self) -> int:
        return len(self._result)

    @overload
    def __getitem__(self, index: int) -> Plan: ...
    @overload
    def __getitem__(self, index: slice) -> list[Plan]: ...
    def __getitem__(self, index: int | slice) -> Plan | list[Plan]:
        if isinstance(index, slice):
            return [self._result._plan(k) for k in range(len(self))[index]]
        return self._result._plan(range(len(self))[index])

    def dense(self) -> Array:
        """All plans, float64 of shape (k, n, m), in parallel over the problems; to the bits of each plan's `dense`.

        A solve with ``dense=True`` has made them: they are the same array at every call.
        """
        result, batch = self._result, self._result.batch
        if result.plans is not None:
            return result.plans
        plans = _at_a_line(batch.shape)
        for some in _calls(batch):
            part = batch.part(some)
            _kernels.batch_plans(
                part.costs, part.problems, part.scale, result.u[some], result.v[some], result.offset[some],
                plans[some], int(result.stats["threads"]),
            )  # fmt: skip
        return plans

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:
        made = self._result.plans is not None
        if copy is False and not (made and np.dtype(dtype or np.float64) == np.float64):
            raise ValueError("the plans are made on demand: they cannot be viewed without a copy")
        return self.dense().astype(dtype or np.float64, copy=made and bool(copy))


@dataclass(frozen=True, eq=False)
class Batch:
    """Checked problems. Where a first dimension is 1 all problems share the data."""

    #: (k or 1, n, m), rows contiguous; (k or 1, n); (k or 1, m); (k or 1, 1).
    costs: Array
    a: Array
    b: Array
    scale: Array
    #: (k or 1,)
    regs: Array
    copies: int
    problems: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """(problems, n, m)."""
        return self.problems, self.costs.shape[1], self.costs.shape[2]

    def part(self, which: slice) -> Batch:
        """Some of the problems."""
        count = len(range(self.problems)[which])
        fields = (self.costs, self.a, self.b, self.scale, self.regs)
        costs, a, b, scale, regs = (x if len(x) == 1 else x[which] for x in fields)
        return Batch(costs, a, b, scale, regs, self.copies, count)


def solve_batch(
    C: npt.ArrayLike,
    A: npt.ArrayLike | None = None,
    B: npt.ArrayLike | None = None,
    *,
    reg: npt.ArrayLike,
    tol: float = 1e-9,
    norm: str = "l1",
    max_iter: int = 1000,
    dense: bool = False,
    threads: int | None = None,
) -> TransportBatchResult:
    """Entropic optimal transport for many small problems of one shape, in one compiled call, parallel over problems.

    Each problem is ``min <C_k, P> + reg_k * KL(P | a_k b_k')`` as in `solve`, and is solved whole in the first caches.

    Parameters
    ----------
    C : array_like, shape (k, n, m) or (n, m)
        Costs, of any finite sign; one matrix is shared by all problems. float64 and float32 with contiguous rows are
        read in place.
    A, B : array_like, shapes (k, n) or (n,) and (k, m) or (m,), optional
        Weights >= 0, of equal mass in each problem; uniform with mass 1 where not given. Zero weights are allowed.
    reg : float or array_like, shape (k,)
        Strength of the entropy, > 0, in units of the cost.
    tol : float, default 1e-9
        Bound on the marginal error of each returned plan.
    norm : {"l1", "l2", "linf"}, default "l1"
        Norm of the marginal error ``(P 1 - a, P' 1 - b)``.
    max_iter : int, default 1000
        Sinkhorn iterations and Newton steps a problem at most.
    dense : bool, default False
        Write all plans, (k, n, m), beside their certificates, while the costs are in cache: for those who want them all
        it spares ``result.plan.dense()`` a pass over the costs and an exponential an entry.
    threads : int, optional
        Threads for this call. The bits do not depend on it.

    Returns
    -------
    TransportBatchResult
        Arrays over the problems; ``result.success[k]`` means that the marginal error, recomputed from the returned
        potentials, is at most `tol`. ``result[k]`` is a `TransportResult`, ``result.plan[k]`` a `Plan`.

    Raises
    ------
    ValueError
        NaN or infinity, negative weights, shapes or numbers of problems that do not fit, masses that differ by more
        than 1e-6, reg <= 0, no problem at all.
    TypeError
        Data that is not real.

    Notes
    -----
    Where the costs span at most 64 reg a problem is first solved in float32: its kernel, a few Sinkhorn iterations, and
    Newton steps in the semi-dual by conjugate gradients. Then follow, in float64 and from the costs, the sums of that
    plan, one more Newton step, and the certificate. Problems for which that does not suffice, and those that span more,
    one level of `reg` for each factor 4, are solved in float64. Memory: 12 n m bytes a thread and 8 (2 n + m) bytes a
    problem, and as many for the potentials f and g where they are asked for; 8 n m bytes a problem if `dense`.

    References
    ----------
    Cuturi (2013), arXiv 1306.0895; Schmitzer (2019), arXiv 1610.06519; Tang et al. (2024), arXiv 2401.12253.

    Examples
    --------
    >>> import numpy as np, solvers
    >>> C = np.random.default_rng(7).random((100, 20, 30))
    >>> result = solvers.ot.solve_batch(C, reg=0.02)
    >>> result.all_success, result.value.shape, result.plan[3].dense().shape
    (True, (100,), (20, 30))
    """
    return run_batch(checked_batch(C, A, B, reg), tol, norm, max_iter, threads, dense)


def run_batch(
    batch: Batch, tol: float, norm: str, max_iter: int, threads: int | None, dense: bool = False
) -> TransportBatchResult:
    """Solve checked problems and certify the answers."""
    start = time.perf_counter()
    tol, threads = positive(tol, "tol"), _threads.resolve(threads)
    if norm not in NORMS:
        raise ValueError(f"norm must be one of {', '.join(NORMS)}, not {norm!r}")
    max_iter = integer(max_iter, "max_iter")
    k, n, m = batch.shape
    u, v, offset = (np.empty((k, size)) for size in (n, m, n))
    claims, counts = np.empty((k, 3)), np.empty((k, 4), np.intc)
    plans = _at_a_line(batch.shape) if dense else None
    for some in _calls(batch):
        part = batch.part(some)
        _kernels.solve_batch(
            part.costs, part.problems, part.a, part.b, part.scale, tol, str(norm), max_iter, u[some], v[some],
            offset[some], claims[some], counts[some], None if plans is None else plans[some], threads,
        )  # fmt: skip
    error, linear, value = claims[:, ERROR].copy(), claims[:, LINEAR].copy(), claims[:, VALUE].copy()
    if not np.isfinite(linear).all():
        check_finite(batch.costs, "C")  # what is not finite in C shows here, and is looked for only then
    status = np.where(error <= tol, Status.CONVERGED, counts[:, STATUS])
    status[(error > tol) & (status == Status.CONVERGED)] = Status.STAGNATION
    status[~np.isfinite(error)] = Status.NONFINITE
    stats = {
        "sinkhorn_iterations": counts[:, SINKHORN], "newton_steps": counts[:, NEWTON], "cg_iterations": counts[:, CG],
        "seconds": time.perf_counter() - start, "threads": threads, "isa": _threads.build_info()["isa"],
        "copies": batch.copies,
    }  # fmt: skip
    return TransportBatchResult(
        value, linear, error, status == Status.CONVERGED, status, counts[:, SINKHORN] + counts[:, NEWTON], tol,
        norm, stats, batch, u, v, offset, plans,
    )  # fmt: skip


def _calls(batch: Batch) -> Iterator[slice]:
    """The problems of each compiled call."""
    k, n, m = batch.shape
    at_once = max(1, CALL_ENTRIES // (n * m))
    return (slice(first, first + at_once) for first in range(0, k, at_once))


def _at_a_line(shape: tuple[int, ...]) -> Array:
    """An array that starts at a cache line, so that whole lines of it can be written past the cache."""
    size = math.prod(shape)
    room = np.empty(size + LINE)
    start = -(room.ctypes.data // room.itemsize) % LINE
    return room[start : start + size].reshape(shape)


def _weighted(weights: Array, values: Array) -> Array:
    """sum_i weights_i values_i of each problem, with 0 times -inf as 0."""
    if not np.isfinite(values).all():
        values = np.where(np.isfinite(values), values, 0.0)
    return np.asarray(np.einsum("ki,ki->k", np.broadcast_to(weights, values.shape), values))


def checked_batch(
    C: npt.ArrayLike,
    A: npt.ArrayLike | None,
    B: npt.ArrayLike | None,
    reg: npt.ArrayLike,
    names: tuple[str, str] = ("A", "B"),
) -> Batch:
    """The problems of `solve_batch`, checked; `names` are what the user calls the weights."""
    costs = real_array(C, "C", keep_float32=True)
    if costs.ndim not in (2, 3):
        raise ValueError(f"C must have shape (k, n, m) or (n, m), not {costs.shape}")
    if 0 in costs.shape:
        raise ValueError(f"C is empty: shape {costs.shape}")
    copied = costs is not C
    costs = costs if costs.ndim == 3 else costs[None]
    in_rows = costs.strides[2] == costs.itemsize and not any(stride % costs.itemsize for stride in costs.strides)
    if not (in_rows and costs.flags.aligned):
        costs, copied = costs.copy("C"), True
    n, m = costs.shape[1:]
    a, mass_a = _weights_of_each(A, names[0], n, costs.shape)
    b, mass_b = _weights_of_each(B, names[1], m, costs.shape)
    regs = _regs(reg)
    given = {"C": (costs, C, 3), "A": (a, A, 2), "B": (b, B, 2), "reg": (regs, reg, 1)}
    sizes = {name: len(x) for name, (x, raw, ndim) in given.items() if raw is not None and np.ndim(raw) == ndim}
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{name} has {size}" for name, size in sizes.items())
        raise ValueError(f"the numbers of problems differ: {listed}")
    problems = next(iter(sizes.values()), 1)
    b = _equal_masses(mass_a, b, mass_b, names)
    return Batch(costs, a, b, 1.0 / (regs[:, None] * LN2), regs, int(copied), problems)


def _regs(reg: npt.ArrayLike) -> Array:
    regs = real_array(reg, "reg")
    if regs.ndim > 1 or regs.size == 0:
        raise ValueError(f"reg must be a number or have shape (k,), not {regs.shape}")
    regs = regs.reshape(-1)
    bad = ~(np.isfinite(regs) & (regs > 0))
    if bad.any():
        place = f"reg[{int(bad.argmax())}]" if np.ndim(reg) else "reg"
        raise ValueError(f"reg must be positive and finite; {place} is {regs[bad.argmax()]}")
    with np.errstate(over="ignore"):
        if not np.isfinite(1.0 / (regs * LN2)).all():
            raise ValueError(f"reg is too small: 1 / reg overflows; the least is {regs.min()}")
    return regs


def _weights_of_each(
    weights: npt.ArrayLike | None, name: str, size: int, shape: tuple[int, ...]
) -> tuple[Array, Array]:
    """Weights of shape (k or 1, size), and their masses."""
    if weights is None:
        array = np.full((1, size), 1.0 / size)
    else:
        array = np.require(real_array(weights, name), requirements=["C", "ALIGNED"])
    if array.ndim not in (1, 2) or array.shape[-1] != size or array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}, which does not fit the costs' shape {shape}")
    rows = array.reshape(-1, size)
    masses = np.empty(len(rows))
    least = _kernels.batch_masses(rows, masses)
    if not (least >= 0 and 0 < masses.min() <= masses.max() < math.inf):
        _refuse(array, name, masses)
    return rows, masses


def _refuse(array: Array, name: str, masses: Array) -> NoReturn:
    """Say what is wrong with weights."""
    check_finite(array, name)
    if array.min() < 0:
        place = tuple(int(x) for x in np.unravel_index(array.argmin(), array.shape))
        raise ValueError(f"{name} must be >= 0; {name}{list(place)} is {array[place]}")
    if not masses.min() > 0:
        raise ValueError(f"{name} has no mass in problem {int(masses.argmin())}")
    raise ValueError(f"{name} has infinite mass in problem {int(masses.argmax())}")


def _equal_masses(mass_a: Array, b: Array, mass_b: Array, names: tuple[str, str]) -> Array:
    """b, rescaled to the masses of a where they differ slightly."""
    if len(mass_a) > 1 and len(b) > 1 and len(mass_a) != len(b):
        return b  # refused by the caller, who knows the shapes as given
    difference = np.abs(mass_a - mass_b) / np.maximum(mass_a, mass_b)
    worst = int(difference.argmax())
    own_a, own_b = float(mass_a[worst % len(mass_a)]), float(mass_b[worst % len(b)])
    masses = f"{names[0]} sums to {own_a!r}, {names[1]} to {own_b!r} in problem {worst}"
    if difference[worst] > MASS_WARNED:
        raise ValueError(f"the weights of a problem must have the same mass: {masses}")
    if difference[worst] > MASS_SILENT:
        warnings.warn(f"{names[1]} is rescaled: {masses}", RuntimeWarning, stacklevel=4)
    return b if difference[worst] == 0 else np.ascontiguousarray(b * (mass_a / mass_b)[:, None])
