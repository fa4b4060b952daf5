"""Optimal transport as a differentiable function of PyTorch tensors.

The solve runs in the compiled kernels on the CPU; the backward pass is `solvers.ot.gradients`, which differentiates
at the solution and not through the iterations.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from .. import ot


def sinkhorn_value(
    cost: torch.Tensor | tuple[torch.Tensor, torch.Tensor],
    a: torch.Tensor | None = None,
    b: torch.Tensor | None = None,
    *,
    reg: float,
    reg_m: float | tuple[float, float] | None = None,
    metric: str = "sqeuclidean",
    **keywords: Any,
) -> torch.Tensor:
    """The value of an entropic transport problem, differentiable in costs or points and in weights.

    Parameters
    ----------
    cost : Tensor of shape (n, m), or (X, Y) of shapes (n, d) and (m, d)
        The cost matrix, or the points whose costs are made on the fly.
    a, b : Tensor of shapes (n,) and (m,), optional
        Weights; uniform with mass 1 where not given. Of float32 weights whose masses differ by the rounding of
        their type, b is rescaled.
    reg : float
        Strength of the entropy.
    reg_m : float or (float, float), optional
        Penalties of `solvers.ot.solve_unbalanced`; without them the marginals are met.
    metric : str, default "sqeuclidean"
        For points: as in `solvers.ot.solve_sample`.
    **keywords
        For the solve: `method`, `options`, `tol`, `norm`, `max_iter`, `time_limit`, `threads` and others.

    Returns
    -------
    Tensor, 0-dimensional
        ``result.value`` of the solve, in the type and on the device of the costs or of X.

    Raises
    ------
    SolveError
        The solve did not succeed: there would be no honest gradient. Its `result` is the solve's.
    ValueError, TypeError, MethodError, OptionError
        As from the solve.

    Notes
    -----
    The gradients are those of `solvers.ot.gradients`. In the weights of a balanced problem they are centred, as
    parameters on the simplex (a softmax, say) need them. The gradient in a cost matrix is the dense plan; in points
    it takes O(n + m) memory. Second derivatives are not provided.

    Examples
    --------
    >>> import torch
    >>> X = torch.tensor([[0.0], [1.0]], requires_grad=True)
    >>> Y = torch.tensor([[0.5], [2.0]])
    >>> sinkhorn_value((X, Y), reg=0.5).backward()
    >>> X.grad.shape
    torch.Size([2, 1])
    """
    data = (cost,) if isinstance(cost, torch.Tensor) else tuple(cost)
    if len(data) == 2:
        keywords["metric"] = metric
    keywords |= {"reg": reg} if reg_m is None else {"reg": reg, "reg_m": reg_m}
    value: torch.Tensor = _Value.apply(keywords, a, b, *data)  # type: ignore[no-untyped-call, unused-ignore]
    return value


class _Value(torch.autograd.Function):  # type: ignore[misc, unused-ignore]
    @staticmethod
    def forward(
        ctx: Any, keywords: dict[str, Any], a: torch.Tensor | None, b: torch.Tensor | None, *data: torch.Tensor
    ) -> torch.Tensor:
        weights = _array(a), _array(b)
        if "reg_m" not in keywords:
            weights = _same_mass(*weights)
        solve = _SOLVES["reg_m" in keywords, len(data)]
        result = solve(*(_array(x) for x in data), *weights, **keywords)
        result.raise_for_status()
        ctx.result, ctx.like = result, [None if x is None else (x.dtype, x.device) for x in (a, b, *data)]
        return torch.as_tensor(result.value, dtype=data[0].dtype, device=data[0].device)

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator, unused-ignore]
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        gradients, factor = ot.gradients(ctx.result), float(grad)
        names = ("a", "b", "C") if len(ctx.like) == 3 else ("a", "b", "X", "Y")
        slopes: list[torch.Tensor | None] = []
        for name, like, wanted in zip(names, ctx.like, ctx.needs_input_grad[1:], strict=True):
            slope = factor * np.asarray(getattr(gradients, name)) if wanted else None
            slopes.append(None if slope is None else torch.as_tensor(slope, dtype=like[0], device=like[1]))
        return None, *slopes


#: By whether it is unbalanced, and whether of a matrix (1 array) or of points (2).
_SOLVES: dict[tuple[bool, int], Any] = {
    (False, 1): ot.solve,
    (False, 2): ot.solve_sample,
    (True, 1): ot.solve_unbalanced,
    (True, 2): ot.solve_unbalanced_sample,
}


def _array(tensor: torch.Tensor | None) -> Any:
    """The tensor's numbers on the CPU, its own memory where they are there."""
    return None if tensor is None else tensor.detach().cpu().numpy()


def _same_mass(a: Any, b: Any) -> tuple[Any, Any]:
    """b rescaled to the mass of a where their difference is the rounding of a type shorter than float64."""
    short = [x.dtype for x in (a, b) if x is not None and x.dtype.kind == "f" and x.dtype.itemsize < 8]
    if not short:
        return a, b
    mass_a, mass_b = (1.0 if x is None else float(x.sum(dtype=np.float64)) for x in (a, b))
    size = max(len(x) for x in (a, b) if x is not None)
    if not abs(mass_a - mass_b) <= size * max(np.finfo(dtype).eps for dtype in short) * mass_a or mass_b == 0:
        return a, b
    if b is None:
        return a.astype(np.float64) * (mass_b / mass_a), b
    return a, b.astype(np.float64) * (mass_a / mass_b)
