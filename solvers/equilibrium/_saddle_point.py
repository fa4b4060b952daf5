"""Saddle points and variational inequalities, as inclusions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from ._operators import Bilinear, matrix_of, vector_of
from ._problem import EquilibriumResult
from ._solve import solve, start

Array = npt.NDArray[Any]
Gradient = Callable[[Array, Array], npt.ArrayLike] | npt.ArrayLike | None


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class SaddlePointResult(EquilibriumResult):
    """Result of `saddle_point`: an `EquilibriumResult` with the following.

    Attributes
    ----------
    x : ndarray, shape (n,)
    y : ndarray, shape (m,)
    """

    y: Array


def saddle_point(
    grad_x: Gradient,
    grad_y: Gradient,
    x0: npt.ArrayLike,
    y0: npt.ArrayLike,
    *,
    K: Any = None,
    prox_x: Any = None,
    prox_y: Any = None,
    **keywords: Any,
) -> SaddlePointResult:
    """Find ``min_x max_y f(x, y) + y'K x + g1(x) - g2(y)`` for f convex in x and concave in y.

    Parameters
    ----------
    grad_x, grad_y : callable, array_like or None
        ``grad_x(x, y)`` and ``grad_y(x, y)``, the gradients of f. An array is a constant one, of a linear f; None is 0.
        Where neither is a function the problem is bilinear, and method "pdhg" is for it.
    x0 : array_like, shape (n,)
    y0 : array_like, shape (m,)
        Where to start.
    K : array_like, sparse array or LinearOperator, shape (m, n), optional
        The coupling.
    prox_x, prox_y : optional
        The proximal operators of g1 and g2, as in `solve`: sets, their names, or ``prox(z, step, out)``.
    **keywords
        As for `solve`: tol, criterion, L, method, options, max_iter, callback and the others. A callback sees x and y
        as one vector.

    Returns
    -------
    SaddlePointResult
        With `x` and `y`; `gap` bounds the duality gap where both proximal operators are those of sets.

    Raises
    ------
    ValueError, TypeError, MethodError, OptionError
        As `solve`.

    References
    ----------
    Chambolle, Pock (2011), A first-order primal-dual algorithm for convex problems with applications to imaging; Lu,
    Yang (2024), arXiv 2407.16144.

    Examples
    --------
    ``|K x - b|_1 + |x|^2 / 2``, with the norm as the largest ``y'(K x - b)`` over ``|y_i| <= 1``:

    >>> import numpy as np
    >>> from solvers.equilibrium import Box, saddle_point
    >>> K, b = np.array([[1.0, 2.0], [3.0, 1.0], [0.0, 1.0]]), np.array([1.0, 2.0, 3.0])
    >>> result = saddle_point(lambda x, y: x, -b, np.zeros(2), np.zeros(3), K=K, prox_y=Box(-1, 1))
    >>> result.success, result.x.round(5).tolist()
    (True, [0.6, 0.2])
    """
    (x, y), (n, m) = (start(x0, "x0")[0], start(y0, "y0")[0]), (np.size(x0), np.size(y0))
    coupling = None if K is None else matrix_of(K, "K")
    if coupling is not None and coupling.shape != (m, n):
        raise ValueError(f"K must have shape {(m, n)}, as y0 and x0 say, not {coupling.shape}")
    in_x, in_y = _gradient(grad_x, n, "grad_x"), _gradient(grad_y, m, "grad_y")
    if coupling is None or callable(in_x) or callable(in_y):
        F: Any = _operator(coupling, in_x, in_y, n)
    else:
        F = Bilinear(coupling, in_x, -in_y)
    result = solve(F, (x, y), prox=None if prox_x is None and prox_y is None else (prox_x, prox_y), **keywords)
    known = {f.name: getattr(result, f.name) for f in fields(EquilibriumResult)}
    return SaddlePointResult(**{**known, "x": result.x[:n], "y": result.x[n:]})


def variational_inequality(
    F: Any, z0: Any, *, projection: Callable[[Array], npt.ArrayLike] | Any, **keywords: Any
) -> EquilibriumResult:
    """Find z in C with ``<F(z), u - z> >= 0`` for all u in C.

    Parameters
    ----------
    F, z0
        As for `solve`.
    projection : callable or set
        ``projection(z)`` returns the point of C nearest to z. Or a set, its name, or a tuple of those, as in `solve`.
    **keywords
        As for `solve`: tol, criterion, L, method, options, max_iter, callback and the others.

    Returns
    -------
    EquilibriumResult

    Raises
    ------
    ValueError, TypeError, MethodError, OptionError
        As `solve`.

    References
    ----------
    Facchinei, Pang (2003), Finite-dimensional variational inequalities and complementarity problems.

    Examples
    --------
    >>> import numpy as np
    >>> from solvers.equilibrium import variational_inequality
    >>> result = variational_inequality(lambda z: z - [2.0, 0.3], np.zeros(2), projection=lambda z: np.clip(z, 0, 1))
    >>> result.x.round(6).tolist()
    [1.0, 0.3]
    """
    if callable(projection) and not isinstance(projection, str | tuple) and not hasattr(projection, "lowest"):
        chosen = projection

        def prox(z: Array, step: float, out: Array) -> npt.ArrayLike:
            return chosen(z)

        return solve(F, z0, prox=prox, **keywords)
    return solve(F, z0, prox=projection, **keywords)


def _gradient(given: Gradient, size: int, name: str) -> Any:
    """A function, or a checked constant."""
    return given if callable(given) else vector_of(given, size, name)


def _operator(K: Any, grad_x: Any, grad_y: Any, n: int) -> Callable[[Array], Array]:
    """F(x, y) = (grad_x + K'y, -grad_y - K x)."""

    def part(given: Any, x: Array, y: Array, size: int, name: str) -> Any:
        value = given(x, y) if callable(given) else given
        if np.shape(value) != (size,):
            raise ValueError(f"{name} must return shape {(size,)}, not {np.shape(value)}")
        return value

    def F(z: Array) -> Array:  # noqa: N802
        x, y = z[:n], z[n:]
        out = np.empty_like(z)
        out[:n] = part(grad_x, x, y, n, "grad_x")
        np.negative(part(grad_y, x, y, len(y), "grad_y"), out=out[n:])
        if K is not None:
            out[:n] += K.T @ y
            out[n:] -= K @ x
        return out

    return F
