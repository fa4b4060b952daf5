"""Linear solvers for FiPy: ``equation.solve(var=phi, solver=LinearSolver(tolerance=1e-10))``.

FiPy must run on its SciPy matrices (``FIPY_SOLVERS=scipy``), in one process.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from fipy.solvers.scipy.scipyKrylovSolver import ScipyKrylovSolver

from .. import linalg
from .._base.result import Status

__all__ = ["LinearSolver"]

#: What FiPy's convergence report makes of a status: 0 converged, 1 too many iterations, -1 the solver gave up.
CODES = {Status.CONVERGED: 0, Status.MAX_ITER: 1}


class LinearSolver(ScipyKrylovSolver):  # type: ignore[misc]
    """Solve FiPy's linear systems by `solvers.linalg.solve`.

    Parameters
    ----------
    method : str, optional
        Of `solvers.linalg.solve`; by default as that chooses: "ssor-cg" for symmetric positive definite matrices, "cg"
        with a FiPy preconditioner, else "gauss-seidel". A matrix whose diagonal is negative throughout, as FiPy builds
        them of diffusion terms alone, is solved with both signs turned.
    options : mapping, optional
        Of the method.
    **keywords
        FiPy's own: `tolerance`, `absolute_tolerance`, `criterion`, `iterations`, `precon`.

    Attributes
    ----------
    result : LinearResult or None
        Of the last solve.

    Warns
    -----
    DivergenceWarning
        FiPy's own: the tolerance was not met.

    Notes
    -----
    The tolerance is relative to the right-hand side, or what FiPy's `criterion` names, and is judged on the residual of
    the solution that is returned.
    """

    def __init__(self, method: str | None = None, options: Mapping[str, Any] | None = None, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.method, self.method_options = method, options
        self.result: linalg.LinearResult | None = None

    def _canSolveAsymmetric(self) -> bool:  # noqa: N802  FiPy's name
        return self.method in (None, "gauss-seidel", "sor", "jacobi")

    def _doSolve(  # noqa: N802  FiPy's name; what SciPy's Krylov solvers take and return
        self,
        L: Any,
        b: npt.NDArray[Any],
        x: npt.NDArray[Any],
        *,
        atol: float,
        maxiter: int,
        M: Any,
        callback: Any,
        rtol: float,
    ) -> tuple[npt.NDArray[Any], int]:
        turned = -1.0 if (L.diagonal() < 0).all() else 1.0
        self.result = linalg.solve(
            turned * L, turned * b, x0=x, M=M, rtol=rtol, atol=atol, max_iter=maxiter, method=self.method,
            options=self.method_options,
        )  # fmt: skip
        self.actualIterations = self.result.nit
        return np.asarray(self.result.x), CODES.get(self.result.status, -1)
