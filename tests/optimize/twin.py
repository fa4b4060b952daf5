"""The NumPy twin of the dense linear algebra of KKT systems: by eigenvalues, whatever they cost."""

import numpy as np

from solvers.optimize._nlp import Scaled


class DenseTwin(Scaled):
    """A backend by `numpy.linalg.eigh` of K."""

    def factor(self, with_hessian, dx, dc):
        H = self.H if with_hessian else np.zeros((self.n, self.n))
        self.K = np.block([[H + np.diag(dx), self.J.T], [self.J, -np.diag(dc)]])
        # a diagonal may be huge: scaled so that it is 1 at the most, which keeps the signs
        scale = 1 / np.sqrt(np.maximum(1, np.abs(np.diag(self.K))))
        values = np.linalg.eigvalsh(self.K * scale * scale[:, None])
        zero = np.abs(values) <= 1e-14 * np.abs(values).max(initial=0.0)
        return int((values[~zero] < 0).sum()), int(zero.sum())

    def solve(self, rhs, rtol):
        try:
            z = np.linalg.solve(self.K, rhs)
        except np.linalg.LinAlgError:
            return None
        return z + np.linalg.solve(self.K, rhs - self.K @ z)
