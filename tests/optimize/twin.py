"""The NumPy twin of the dense linear algebra of KKT systems: by eigenvalues, whatever they cost."""

import numpy as np

from solvers.optimize._nlp import Scaled


class DenseTwin(Scaled):
    """A backend by `numpy.linalg.eigh` of K."""

    def factor(self, with_hessian, dx, dc):
        H = self.H if with_hessian else np.zeros((self.n, self.n))
        # A congruence, which keeps the signs, takes huge diagonals (1e20: a variable or a row out of the way) to 1.
        self.size = 1 / np.sqrt(np.maximum(1.0, np.r_[dx, dc]))
        K = np.block([[H + np.diag(dx), self.J.T], [self.J, -np.diag(dc)]])
        self.K = self.size[:, None] * K * self.size
        values = np.linalg.eigvalsh(self.K)
        zero = np.abs(values) <= 1e-14 * np.abs(values).max(initial=0.0)
        return int((values[~zero] < 0).sum()), int(zero.sum())

    def solve(self, rhs, rtol):
        try:
            z = np.linalg.solve(self.K, self.size * rhs)
        except np.linalg.LinAlgError:
            return None
        return self.size * (z + np.linalg.solve(self.K, self.size * rhs - self.K @ z))
