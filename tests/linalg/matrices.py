"""Sparse matrices that the tests of this folder share, by formula and by seed."""

import numpy as np
import scipy.sparse


def laplacian(*shape):
    """The 5-point (7-point, ...) Laplacian of a box, times a little noise that keeps its pattern."""
    size = int(np.prod(shape))
    A = scipy.sparse.csr_array((size, size))
    for axis, m in enumerate(shape):
        term = scipy.sparse.eye_array(1)
        for other, k in enumerate(shape):
            line = scipy.sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(m, m))
            term = scipy.sparse.kron(term, line if other == axis else scipy.sparse.eye_array(k))
        A = A + term
    return sorted_csr(A)


def random(n, per_row, seed, symmetric=False):
    """About `per_row` entries off the diagonal of each row, some rows with none; diagonally dominant."""
    rng = np.random.default_rng(seed)
    A = scipy.sparse.random_array((n, n), density=min(1.0, per_row / n), rng=rng, data_sampler=rng.standard_normal)
    A = A + A.T if symmetric else A
    return sorted_csr(A + scipy.sparse.diags_array(np.abs(A).sum(axis=1) + rng.uniform(0.5, 1.5, n)))


def arrow(n, end):
    """A dense row and column, first or last."""
    A = scipy.sparse.lil_array((n, n))
    A.setdiag(np.arange(n) + 2.0 * n)
    at = 0 if end == "first" else n - 1
    A[at, :] = -1.0
    A[:, at] = 1.0
    A[at, at] = 2.0 * n
    return sorted_csr(A)


def one_sided(n):
    """Row i reads i + 1 and i + 3, none of which reads it: what must wait is told by the other triangle alone."""
    return sorted_csr(scipy.sparse.diags_array([3.0, -1.0, -1.0], offsets=[0, 1, 3], shape=(n, n)))


def sorted_csr(A):
    A = scipy.sparse.csr_array(A)
    A.sum_duplicates()
    A.eliminate_zeros()
    return A


#: Name, matrix.
STRUCTURED = {
    "one": scipy.sparse.csr_array(np.array([[2.0]])),
    "two": scipy.sparse.csr_array(np.array([[2.0, 1.0], [0.5, 3.0]])),
    "three": scipy.sparse.csr_array(np.array([[2.0, 0.0, 1.0], [0.0, 3.0, 0.0], [1.0, 0.0, 4.0]])),
    "line of 17": laplacian(17),
    "diagonal": sorted_csr(scipy.sparse.diags_array(np.arange(1.0, 20.0))),
    "5 points": laplacian(13, 11),
    "7 points": laplacian(5, 4, 7),
    "arrow first": arrow(21, "first"),
    "arrow last": arrow(40, "last"),
    "dense": sorted_csr(np.random.default_rng(5).normal(size=(19, 19)) + 20 * np.eye(19)),
    "one-sided": one_sided(45),
    "irregular": random(140, 2, 1),
    "irregular and symmetric": random(160, 5, 2, symmetric=True),
}
