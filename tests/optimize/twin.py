"""The NumPy twin of the dense linear algebra of KKT systems: by eigenvalues, whatever they cost."""

import numpy as np

from solvers.optimize._nlp import Scaled


class DenseTwin(Scaled):
    """A backend by `numpy.linalg.eigh` of K."""

    def factor(self, with_hessian, dx, dc):
        H = self.H if with_hessian else np.zeros((self.n, self.n))
        self.K = np.block([[H + np.diag(dx), self.J.T], [self.J, -np.diag(dc)]])
        self.values_of_K, self.vectors = np.linalg.eigh(self.K)
        zero = np.abs(self.values_of_K) <= 1e-14 * np.abs(self.values_of_K).max(initial=0.0)
        return int((self.values_of_K[~zero] < 0).sum()), int(zero.sum())

    def solve(self, rhs, rtol):
        try:
            z = np.linalg.solve(self.K, rhs)
        except np.linalg.LinAlgError:
            return None
        return z + np.linalg.solve(self.K, rhs - self.K @ z)
