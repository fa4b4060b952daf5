"""The families of grid problems: by seed, as described, and reachable from a Dirichlet side."""

import numpy as np
import pytest
import scipy.ndimage

from solvers.linalg import GridOperator
from solvers.testing import GRID_FAMILIES, grid_problem


@pytest.mark.parametrize("family", GRID_FAMILIES)
@pytest.mark.parametrize("shape", [(24, 31), (12, 9, 10)])
def test_a_family(family, shape, seed):
    problem, again, other = (grid_problem(family, shape, s) for s in (seed, seed, seed + 1))
    grid = GridOperator(**problem.arguments)
    np.testing.assert_array_equal(grid.to_csr().toarray(), GridOperator(**again.arguments).to_csr().toarray())
    if family not in ("uniform", "strongly-anisotropic"):
        assert (grid.to_csr() != GridOperator(**other.arguments).to_csr()).nnz > 0
    np.linalg.cholesky(grid.to_csr().toarray())  # not singular
    for kind in ("white", "smooth"):
        b = problem.right(kind)
        assert np.isfinite(b).all()
        assert problem.mask is None or not b[~problem.mask.ravel()].any()


def test_only_what_is_reached_takes_part():
    for seed in range(30):
        problem = grid_problem("neumann", (40, 40), seed)
        labels, count = scipy.ndimage.label(problem.mask)
        walls = GridOperator(**problem.arguments).walls()
        assert set(range(1, count + 1)) == set(np.unique(labels[walls > 0]))


def test_an_unknown_family():
    with pytest.raises(ValueError, match="family must be one of uniform"):
        grid_problem("unifrom", 8)
