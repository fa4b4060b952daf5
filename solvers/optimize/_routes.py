"""Which linear algebra serves a nonlinear program."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ._kernels import NLP, PythonNLP
from ._nlp import Program, Scaled

Array = npt.NDArray[np.float64]


class Dense(Scaled):
    """Dense matrices by NumPy: inertia from eigenvalues of the system scaled to a diagonal of at most 1."""

    K: Array

    def factor(self, with_hessian: bool, dx: Array, dc: Array) -> tuple[int, int] | None:
        H = self.H if with_hessian else np.zeros((self.n, self.n))
        self.K = np.block([[H + np.diag(dx), self.J.T], [self.J, -np.diag(dc)]])
        if not np.isfinite(self.K).all():
            return None
        scale = 1 / np.sqrt(np.maximum(1, np.abs(np.diag(self.K))))
        values = np.linalg.eigvalsh(self.K * scale * scale[:, None])
        zero = np.abs(values) <= 1e-15 * np.abs(values).max(initial=0.0)
        return int((values[~zero] < 0).sum()), int(zero.sum())

    def solve(self, rhs: Array, rtol: float) -> Array | None:
        try:
            z = np.linalg.solve(self.K, rhs)
            return z + np.linalg.solve(self.K, rhs - self.K @ z)
        except np.linalg.LinAlgError:
            return None


def route(program: Program, inner: str) -> tuple[NLP, str]:
    """The program with its linear algebra, and the name of what was chosen."""
    return PythonNLP(Dense(program)), "dense"
