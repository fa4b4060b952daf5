"""Linear solvers for scikit-fem: ``skfem.solve(A, b, solver=Solver(rtol=1e-10))``.

scikit-fem hands over the condensed matrix and right-hand side, and takes the solution back.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .. import linalg

__all__ = ["Solver"]


class Solver:
    """Solve the linear systems of scikit-fem by `solvers.linalg.solve`.

    Parameters
    ----------
    **keywords
        Those of `solvers.linalg.solve`: `method`, `options`, `rtol`, `M`, ... Keywords of a single ``skfem.solve`` win.

    Attributes
    ----------
    result : LinearResult or None
        Of the last solve: `nit`, `status`, `residual_norm`, ...

    Raises
    ------
    SolveError
        The tolerance was not met, and scikit-fem has no other way to hear of it. With ``throw=False`` the best x is
        returned instead.

    Notes
    -----
    Where neither method nor preconditioner is named, symmetric positive definite matrices get "ssor-cg", others
    "gauss-seidel", as `solvers.linalg.solve` chooses. Matrices of convection need ``method="sor"`` with a small omega,
    or a direct solver.

    Examples
    --------
    >>> import numpy as np, scipy.sparse
    >>> from solvers.integrations.skfem import Solver
    >>> A = scipy.sparse.csr_matrix(scipy.sparse.diags([-1.0, 2.0, -1.0], [-1, 0, 1], shape=(4, 4)))
    >>> solver = Solver(rtol=1e-12)
    >>> solver(A, np.array([1.0, 0.0, 0.0, 1.0])).round(9).tolist(), solver.result.method
    ([1.0, 1.0, 1.0, 1.0], 'ssor-cg')
    """

    def __init__(self, *, throw: bool = True, **keywords: Any) -> None:
        self.throw, self.keywords = throw, keywords
        self.result: linalg.LinearResult | None = None

    def __call__(self, A: Any, b: npt.NDArray[Any], **keywords: Any) -> npt.NDArray[Any]:
        """The solution x of A x = b."""
        keywords = {**self.keywords, **keywords}
        throw = keywords.pop("throw", self.throw)
        self.result = linalg.solve(A, b, **keywords)
        if throw:
            self.result.raise_for_status()
        return np.asarray(self.result.x)
