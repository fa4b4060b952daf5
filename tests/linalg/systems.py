"""Matrices that several tests use."""

import numpy as np
import scipy.sparse


def laplacian(m):
    """The 5-point Laplacian on m x m interior points, diagonal 4."""
    line = scipy.sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(m, m))
    one = scipy.sparse.eye_array(m)
    return scipy.sparse.csr_array(scipy.sparse.kron(line, one) + scipy.sparse.kron(one, line))


def neumann(m):
    """The same with no flux through the boundary: singular, constants are its null space."""
    flux = scipy.sparse.diags_array([-1.0, 1.0], offsets=[0, 1], shape=(m - 1, m))
    line, one = flux.T @ flux, scipy.sparse.eye_array(m)
    return scipy.sparse.csr_array(scipy.sparse.kron(line, one) + scipy.sparse.kron(one, line))


def random_spd(n, seed):
    """A random pattern and entries of both signs, diagonally dominant, on a scale that varies by rows."""
    rng = np.random.default_rng(seed)
    half = scipy.sparse.random_array((n, n), density=3 / n, rng=rng, data_sampler=rng.normal)
    off = scipy.sparse.lil_array(half + half.T)
    off.setdiag(0)
    off = scipy.sparse.csr_array(off)
    off.eliminate_zeros()
    scale = scipy.sparse.diags_array(rng.uniform(0.3, 3, n))
    return scipy.sparse.csr_array(scale @ (off + scipy.sparse.diags_array(abs(off).sum(axis=1) + 0.2)) @ scale)
