"""What `M=` may be for the method "dcdm": any map from a residual to a direction."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from .._base.validate import check_finite, real_array
from ._network import LearnedDirection
from ._precondition import ic0, ssor
from ._problem import LinearProblem

Array = npt.NDArray[Any]
Direction = Callable[[Array], Array]

#: Names that `M=` may have.
NAMES = ("identity", "jacobi", "ssor", "ic0", "learned")


def direction(problem: LinearProblem) -> tuple[str, Direction]:
    """(name, map) of the problem's M: made once a problem. The map returns float64 vectors of the right length."""
    return problem.remember("direction", lambda: _made(problem))  # type: ignore[no-any-return]


def _made(problem: LinearProblem) -> tuple[str, Direction]:
    M, A = problem.M, problem.A
    if M is None:
        M = _default(A)
    if isinstance(M, str):
        return M, _named(M, problem)
    if _is_torch_module(M):
        return type(M).__name__, _checked(_of_module(M, A), A.size)
    if not isinstance(M, LinearOperator) and not scipy.sparse.issparse(M):
        if callable(M):
            return getattr(M, "__name__", type(M).__name__), _checked(M, A.size)
        if np.ndim(M) == 1:
            diagonal = real_array(M, "M", ndim=1)
            check_finite(diagonal, "M")
            if len(diagonal) != A.size:
                raise ValueError(f"M as an array is a diagonal, of {A.size} numbers, not {len(diagonal)}")
            return "diagonal", lambda r: diagonal * r
    if isinstance(M, LearnedDirection) and M.shape == (A.size, A.size):
        return "learned", _in_grid(M, A)
    linear = aslinearoperator(M)
    if linear.shape != (A.size, A.size):
        raise ValueError(f"M must have the shape of A, {(A.size, A.size)}, not {linear.shape}")
    return type(M).__name__, _checked(linear.matvec, A.size)


def _default(A: Any) -> str:
    """The shipped net where the matrix is a grid that it serves, else incomplete Cholesky."""
    return "learned" if len(getattr(A, "grid_shape", ())) in (2, 3) else "ic0"


def _named(name: str, problem: LinearProblem) -> Direction:
    A = problem.A
    if name == "identity":
        return lambda r: r
    if name == "jacobi":
        operand = problem.operand("natural")
        inverse = 1 / operand.unpack(operand.diagonal)
        return lambda r: inverse * r
    if name in ("ssor", "ic0"):
        return (ssor(A) if name == "ssor" else ic0(A)).matvec  # type: ignore[no-any-return]
    if name == "learned":
        grid: Any = A
        if not hasattr(grid, "grid_shape"):
            raise ValueError('M="learned" needs to know the grid: take a GridOperator, or M=LearnedDirection(shape)')
        return _in_grid(LearnedDirection(grid.grid_shape, bc=grid.bc, threads=problem.threads), grid)
    raise ValueError(f"M must be one of {', '.join(NAMES)}, an array, an operator or a function, not {name!r}")


def _in_grid(net: LearnedDirection, A: Any) -> Direction:
    """The net's direction, but for the cells of obstacles: rows joined to none, which the net takes for part of the
    grid. Theirs is the residual over the diagonal."""
    if getattr(A, "grid_shape", net.grid_shape) != net.grid_shape:
        raise ValueError(f"M is for a grid of shape {net.grid_shape}, not {A.grid_shape}")
    matrix = A.matrix if hasattr(A, "matrix") else A.to_csr()
    alone = np.flatnonzero(np.diff(matrix.indptr) == 1)
    if not len(alone):
        return net.matvec  # type: ignore[no-any-return]
    inverse = 1 / matrix.diagonal()[alone]

    def apply(r: Array) -> Array:
        z: Array = net.matvec(r)
        z[alone] = inverse * r[alone]
        return z

    return apply


def _is_torch_module(M: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(M, torch.nn.Module)


def _of_module(module: Any, A: Any) -> Direction:
    """A torch module: it gets (1, 1, *grid) in its own type, or (1, 1, n) where the matrix knows no grid."""
    torch = sys.modules["torch"]
    shape = (1, 1, *getattr(A, "grid_shape", (A.size,)))
    dtype = next((p.dtype for p in module.parameters()), torch.float32)

    def apply(r: Array) -> Array:
        with torch.inference_mode():
            out = module(torch.from_numpy(r).to(dtype).reshape(shape))
        return np.asarray(out.detach().cpu().double().numpy()).ravel()

    return apply


def _checked(f: Callable[[Array], Any], size: int) -> Direction:
    def apply(r: Array) -> Array:
        z = real_array(f(r), "the direction that M returned")
        if z.size != size:
            raise ValueError(f"M returned a direction of {z.size} elements, not {size}")
        return np.ascontiguousarray(z).reshape(size)

    return apply
