"""Block coordinate descent for functions; the rules are in `solvers._base.blocks`, which `solvers.learning` shares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from .._base import threads as _threads
from .._base.blocks import BlockCoordinateDescent, BlockProblem, BlockResult
from .._base.blocks.partition import checked
from .._base.blocks.penalty import make, start, weights
from .._base.blocks.smooth import Smooth
from .._base.method import Method, register
from .._base.result import Status
from .._base.rng import RNG, seed_of
from .._base.validate import positive, real_array
from ._differences import is_scheme
from ._function import Function, gradient_function, value_function

Array = npt.NDArray[Any]


def block_problem(
    fun: Any,
    x0: npt.ArrayLike,
    args: Any,
    jac: Any,
    bounds: Any,
    *,
    block_grad: Callable[..., Any] | None,
    block_hess: Callable[..., Any] | None,
    block_min: Callable[[Array, Array], npt.ArrayLike] | None,
    bound: Any,
    penalty: Any,
    blocks: Sequence[npt.ArrayLike] | int | None,
    tol: float,
    max_iter: int,
    every: bool,
    rng: RNG,
    threads: int | None,
) -> BlockProblem:
    """The checked problem of minimize's arguments."""
    point = real_array(x0, "x0", ndim=1)
    count = len(point)
    smooth = _smooth(fun, count, args, jac, block_grad, block_hess, bound)
    fixed, size = checked(blocks, count)
    P = make(penalty, _pairs(bounds, count), count, fixed)
    return BlockProblem(
        smooth, P, start(point, count, P), tol=positive(tol, "tol"), scale=1.0, blocks=fixed, size=size,
        seed=seed_of(rng), max_iter=int(max_iter), every=every, threads=_threads.resolve(threads),
        capability="function", block_min=block_min,
    )  # fmt: skip


def _pairs(bounds: Any, count: int) -> Any:
    """SciPy's Bounds as pairs."""
    if not (hasattr(bounds, "lb") and hasattr(bounds, "ub")):
        return bounds
    return list(zip(*(np.broadcast_to(side, count) for side in (bounds.lb, bounds.ub)), strict=True))


def _smooth(fun: Any, count: int, args: Any, jac: Any, block_grad: Any, block_hess: Any, bound: Any) -> Smooth:
    if is_smooth(fun):
        if fun.size != count:
            raise ValueError(f"x0 must have length {fun.size}, not {count}")
        if args or any(given is not None for given in (jac, block_grad, block_hess, bound)):
            raise ValueError(
                "a function of solvers.learning has its own derivatives: args, jac and bound are not for it"
            )
        return cast(Smooth, fun)
    for given, name in ((block_grad, "block_grad"), (block_hess, "block_hess")):
        if given is not None and not callable(given):
            raise TypeError(f"{name} must be callable, not {type(given).__name__}")
    slope = None if jac is None or jac is False or is_scheme(jac) else gradient_function(jac)
    limits = bound if bound is None or callable(bound) else weights(bound, count, "bound")
    return Function(
        count, value_function(fun), args if isinstance(args, tuple) else (args,), slope, block_grad, block_hess, limits,
    )  # fmt: skip


def is_smooth(fun: Any) -> bool:
    """Whether this is a function of `solvers.learning`, with its own derivatives."""
    return callable(getattr(fun, "move", None))


def nothing(problem: BlockProblem, name: str) -> BlockResult:
    """The minimum over no coordinates."""
    status, empty = Status.CONVERGED, np.zeros(0)
    return BlockResult(
        x=empty, success=True, status=status, message=status.sentence, nit=0, measure=0.0, method=name,
        fun=problem.smooth.start(empty)[0], jac=empty, kkt=0.0, support=np.zeros(0, np.intp),
    )  # fmt: skip


METHOD = register(
    Method(
        name="bcd",
        family="optimize",
        summary="block coordinate descent on functions, smooth plus a penalty with a proximal operator",
        reference="Nutini, Laradji, Schmidt (2022), Let's make block coordinate descent converge faster, JMLR 23(131), "
        "arXiv 1712.08859",
        solver=BlockCoordinateDescent,
        capabilities=frozenset({"function"}),
    )
)
