"""The entries for inclusions: from the user's operator and sets to a checked problem to a method."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from .._base import threads as _threads
from .._base.iterate import Control
from .._base.iterate import run as run
from .._base.method import Method, lookup
from .._base.reducer import SERIAL, Reducer, agreed, as_reducer, guarded
from .._base.result import Status
from .._base.rng import RNG, seed_of
from .._base.state import replace
from .._base.validate import check_finite, positive, real_array
from ._finite_sum import FiniteSum
from ._guard import estimate
from ._operators import Bilinear, Operator
from ._problem import CRITERIA, Criterion, EquilibriumResult, Inclusion
from ._sets import as_prox
from ._shared_sum import SharedSum

Array = npt.NDArray[Any]


#: Of finite sums: entries of all components from which on an evaluation is long, and the gain that lets parts be drawn.
LARGE, WORTHWHILE = 1_000_000, 2.0


def solve(
    F: Any,
    z0: Any,
    *,
    prox: Any = None,
    components: Any = None,
    L: float | None = None,
    monotone: bool = True,
    cocoercive: bool | None = None,
    criterion: Criterion = "natural",
    tol: float = 1e-6,
    method: str | None = None,
    options: Mapping[str, Any] | None = None,
    max_iter: int = 100_000,
    max_epochs: float | None = None,
    time_limit: float | None = None,
    callback: Callable[[Any], Any] | None = None,
    verbose: int = 0,
    resume: Any = None,
    rng: RNG = 0,
    threads: int | None = None,
    comm: Any = None,
) -> EquilibriumResult:
    """Find z with ``0 in F(z) + G(z)`` for monotone F and G.

    With the set C of `prox` that is the variational inequality ``<F(z), u - z> >= 0`` for all u in C; with ``F(x, y) =
    (grad_x f, -grad_y f)`` the saddle point ``min_x max_y f(x, y)``; without `prox` the equation ``F(z) = 0``.

    Parameters
    ----------
    F : callable, Affine or Bilinear
        ``F(z)`` returns an array of shape (d,) and leaves z alone. Also a `scipy.LowLevelCallable` or numba's ``cfunc``
        with the signature ``void (int n, double *z, double *out, void *user_data)``. `Affine` and `Bilinear` tell of
        structure that faster methods use.
    z0 : array_like, shape (d,), or tuple of those
        Where to start, moved into the domain of G. A tuple is the blocks of z, one after the other.
    prox : optional
        The resolvent of G: a set (`Simplex`, `Box`, `NonNegative`, `L2Ball`, `L1Ball`), the name of one with its
        default parameters ("simplex", "box", "nonneg", "l2ball", "l1ball", "free"), or ``prox(z, step, out)``, which
        writes ``argmin_u step g(u) + |u - z|^2 / 2`` to out. A tuple has one for each block of z0.
    components : optional
        The parts of ``F = (F_1 + ... + F_n) / n``, for methods that sample them: `Components`, `GameComponents`, or any
        object with their `n` and call. F may then be None: it is the components' mean.
    L : float, optional
        A Lipschitz constant of F; of `components` one on average, ``mean |F_i(u) - F_i(v)|^2 <= L^2 |u - v|^2``.
        Without it the steps are found by a search.
    monotone : bool, default True
        False says that F is known not to be monotone: then nobody warns of it.
    cocoercive : bool, optional
        Whether ``<F(u) - F(v), u - v> >= |F(u) - F(v)|^2 / L``. Methods that need that refuse False.
    criterion : {"natural", "operator", "gap"} or callable, default "natural"
        What tol is for. "natural": ``|z - J(z - F(z))|`` with the resolvent J of G, which is ``|F(z)|`` where there is
        no G. "operator": the norm of an element of ``F(z) + G(z)``. "gap": ``max <F(z), z - u>`` over the set, which
        for bilinear saddle points is the duality gap. Or ``criterion(z)``.
    tol : float, default 1e-6
    method : str, optional
        "feg", "eag", "eg", "ogda", "halpern", "pdhg" (`Bilinear`), "krylov" (`Affine`, no prox), "vr-eg", "vr-halpern"
        and "vr-halpern-coco" (`components`). By default the structure decides, in that order: a large sum whose parts
        are alike goes to "vr-eg", an affine F without G to "krylov" (then to "feg" where that comes to a stand), a
        bilinear saddle point to "pdhg", all else to "feg". The message says so.
    options : mapping, optional
        Those of the method; ``python -m solvers methods`` lists them.
    max_iter : int, default 100000
    max_epochs : float, optional
        Evaluations of F at most, those of n components counted as one; about, since a step is not broken off.
    time_limit : float, optional
        Seconds.
    callback : callable, optional
        Called after each step with a result whose `x` is the best point so far; True or StopIteration ends the solve.
    verbose : {0, 1, 2}
    resume : object, optional
        The `state` of an earlier result of the same method.
    rng, threads
        For methods that draw components.
    comm : optional
        The ranks that share the components: an MPI communicator of mpi4py, or any `Reducer`. Each rank gives its own
        part of `components`, numbered from 0, with F None, and all give the same for everything else. F is the mean of
        all ranks' components, and the result is the same on all of them.

    Returns
    -------
    EquilibriumResult
        ``success`` means that the measure, recomputed at x, is at most tol. `certificate` has an element of the
        inclusion.

    Raises
    ------
    ValueError
        Data that is not finite or does not fit, an F that is not finite at z0 or returns another shape.
    TypeError
        Data that is not real, an F or prox that cannot be called.
    MethodError, OptionError
        An unknown method or option, a method that cannot serve the problem, an option out of range.

    Warns
    -----
    RuntimeWarning
        Where two iterates show that F is not monotone. The status is then NOT_CERTIFIED unless the tolerance is met.

    Notes
    -----
    "feg" and "eg" take two evaluations a step, "ogda" one. Where a step shows to be too long, by a residual a thousand
    times that at the start, it is halved, twenty times at most.

    References
    ----------
    Lee, Kim (2021), arXiv 2106.02326; Diakonikolas (2020), Halpern iteration for near-optimal and parameter-free
    monotone inclusion, arXiv 2002.08872.

    Examples
    --------
    A strongly monotone operator over the simplex:

    >>> import numpy as np
    >>> from solvers.equilibrium import solve
    >>> M = np.array([[2.0, 1.0, 0.0], [-1.0, 2.0, 1.0], [0.0, -1.0, 2.0]])
    >>> result = solve(lambda z: M @ z, np.ones(3), prox="simplex", tol=1e-9)
    >>> result.success, result.x.round(6).tolist()
    (True, [0.25, 0.25, 0.5])
    """
    if comm is not None:
        return _solved_together(
            as_reducer(comm), F, z0, prox=prox, components=components, L=L, monotone=monotone, cocoercive=cocoercive,
            criterion=criterion, tol=tol, method=method, options=options, max_iter=max_iter, max_epochs=max_epochs,
            time_limit=time_limit, callback=callback, verbose=verbose, resume=resume, rng=rng, threads=threads,
        )  # fmt: skip
    problem, control = _checked(
        F, z0, prox, components, L, monotone, cocoercive, criterion, tol, max_iter, max_epochs, time_limit, callback,
        verbose, resume, rng, threads,
    )  # fmt: skip
    return _run(problem, method, options, control)


def _checked(
    F: Any, z0: Any, prox: Any, components: Any, L: float | None, monotone: bool, cocoercive: bool | None,
    criterion: Criterion, tol: float, max_iter: int, max_epochs: float | None, time_limit: float | None,
    callback: Callable[[Any], Any] | None, verbose: int, resume: Any, rng: RNG, threads: int | None,
) -> tuple[Inclusion, Control]:  # fmt: skip
    """The problem and the limits of a call."""
    point, sizes = start(z0)
    sums = None if components is None else FiniteSum(components, len(point))
    function = sums.whole if F is None and sums is not None else F
    if isinstance(F, Bilinear) and isinstance(prox, tuple) and len(prox) == 2 and len(sizes) == 1:
        sizes = (F.n, len(point) - F.n)
    problem = Inclusion(
        _operator(function, len(point)), as_prox(prox, sizes), point, positive(tol, "tol"),
        criterion=_criterion(criterion), L=None if L is None else positive(L, "L"), monotone=bool(monotone),
        cocoercive=None if cocoercive is None else bool(cocoercive), components=sums,
        max_epochs=math.inf if max_epochs is None else positive(max_epochs, "max_epochs"),
        seed=seed_of(0 if rng is None else rng), threads=_threads.resolve(threads), sizes=sizes,
    )  # fmt: skip
    if criterion == "gap" and not all(math.isfinite(problem.gap(point, g)) for g in (point * 0 + 1, point * 0 - 1)):
        raise ValueError("criterion 'gap' needs prox to be a bounded set, or a tuple of those")
    return problem, Control(max_iter, time_limit, callback, verbose, resume)


def _run(
    problem: Inclusion, method: str | None, options: Mapping[str, Any] | None, control: Control
) -> EquilibriumResult:
    """The problem solved by the method of that name, or by the usual one."""
    with guarded(problem.across):
        name, why = (method, "") if method else usual(problem)
    result = solved(problem, name, control, options, why)
    if not method and name == "krylov" and result.status is Status.BREAKDOWN and not result.state.least_squares:
        problem.z0 = result.x
        why = "Chose feg, since krylov came to a stand, and M offers no products with its transpose for LSMR."
        return solved(problem, "feg", control, options, why)
    return result


def _solved_together(
    across: Reducer, F: Any, z0: Any, *, components: Any, rng: RNG, method: str | None, options: Any, **keywords: Any
) -> EquilibriumResult:
    """The sum over all ranks' components."""
    with agreed(across) as same:
        if F is not None or components is None:
            raise ValueError("F must be None with comm, and components given: F is the mean of all ranks' components")
        problem, control = _checked(F, z0, components=components, rng=rng, **keywords)
        if hasattr(components, "average"):
            raise ValueError("components that know a whole matrix, like GameComponents, cannot be shared by ranks")
        same |= {
            "z0": problem.z0,
            "rng": problem.seed,
            "method": method,
            "options": options,
            "resume": control.resume is None,
        }
        same |= {name: keywords[name] for name in ("L", "monotone", "cocoercive", "tol", "max_iter", "max_epochs")}
        same["whether components have constants"] = problem.components.lipschitz is None
    sums = SharedSum(components, len(problem.z0), across)
    problem = replace(problem, across=across, components=sums, operator=_operator(sums.whole, len(problem.z0)))
    return _run(problem, method, options, control)


def solved(
    problem: Inclusion, name: str, control: Control, options: Mapping[str, Any] | None, why: str = ""
) -> EquilibriumResult:
    """The problem solved by that method, if it serves it; `why` it was chosen goes into the message."""
    _project_start(problem)
    result = cast(EquilibriumResult, run(_able(name, problem), problem, control, options, why))
    tried = result.status in (Status.MAX_ITER, Status.MAX_EVAL, Status.TIME_LIMIT, Status.STAGNATION)
    if tried and not getattr(result.state, "monotone", True):
        status = Status.NOT_CERTIFIED
        return replace(result, status=status, message=f"{status.sentence} {why}".strip())
    return result


def usual(problem: Inclusion) -> tuple[str, str]:
    """The method for a problem, and why."""
    kinds = problem.kinds
    if problem.components is not None and (gain := variance_reduction_gain(problem)) >= WORTHWHILE:
        return "vr-eg", f"Chose vr-eg, since batches of components promise {gain:.1f} times the progress of an epoch."
    if "affine" in kinds:
        return "krylov", "Chose krylov, since F is affine and there is no G."
    if "bilinear" in kinds:
        return "pdhg", "Chose pdhg, since this is a bilinear saddle point."
    return "feg", "Chose feg, which serves every monotone operator."


def variance_reduction_gain(problem: Inclusion) -> float:
    """What "vr-eg" promises over "ogda" in step lengths an epoch: by the constants of F and, on average, its parts.

    Nothing where an evaluation of F is so small that the single steps would take longer.
    """
    sums = problem.components
    if sums.n * sums.size < LARGE:
        return 0.0
    F = problem.evaluate(problem.z0)
    plan = sums.plan(problem, None, None, problem.z0, F)
    each = plan.step * plan.steps / (1 + 2 * plan.batch * plan.steps / sums.n)
    return float(2 * each * estimate(problem, problem.z0, F))


def _able(name: str, problem: Inclusion) -> Method:
    """The method, if it serves this kind of problem."""
    record = lookup("equilibrium", name, () if problem.across is SERIAL else ("sharded",))
    return record if record.capabilities & set(problem.kinds) else lookup("equilibrium", name, problem.needs)


def start(z0: Any, name: str = "z0") -> tuple[Array, tuple[int, ...]]:
    """The start as one vector of its own, and the sizes of the blocks that it came in."""
    parts = z0 if isinstance(z0, tuple) and z0 and not np.isscalar(z0[0]) else ()
    blocks = [real_array(b, f"{name}[{i}]", ndim=1) for i, b in enumerate(parts)]
    point = np.concatenate(blocks) if blocks else np.array(real_array(z0, name, ndim=1))
    if not len(point):
        raise ValueError(f"{name} is empty")
    check_finite(point, name)
    return point, tuple(len(b) for b in blocks) or (len(point),)


def _project_start(problem: Inclusion) -> None:
    """Move the start into the domain of G, and see that the resolvent answers with finite numbers."""
    if problem.prox is None:
        return
    point = problem.z0.copy()
    problem.resolvent(problem.z0, 1.0, point)
    if not np.isfinite(point).all():
        raise ValueError("prox must return finite numbers; at z0 it does not")
    problem.z0 = point


def _operator(F: Any, size: int) -> Operator:
    own = getattr(F, "size", None)
    if isinstance(own, int) and own != size:
        raise ValueError(f"z0 has {size} entries, but F takes {own}")
    return Operator(F, size)


def _criterion(value: Criterion) -> Criterion:
    if not callable(value) and value not in CRITERIA:
        raise ValueError(f"criterion must be one of {', '.join(CRITERIA)} or a callable, not {value!r}")
    return value
