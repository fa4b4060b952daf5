"""scikit-fem's systems by our solvers."""

import numpy as np
import pytest
import skfem
from skfem.models.poisson import laplace, mass, unit_load

import solvers
from solvers.integrations.skfem import Solver


@pytest.fixture(scope="module")
def poisson():
    """-Laplace(u) = 1 on the unit square, u = 0 on its boundary, by linear triangles."""
    basis = skfem.Basis(skfem.MeshTri().refined(5), skfem.ElementTriP1())
    return laplace.assemble(basis), unit_load.assemble(basis), basis


@pytest.mark.parametrize("keywords", [{}, {"method": "ssor-cg"}, {"method": "sor", "options": {"omega": "young"}},
                                      {"method": "cg", "M": "ic0"}])  # fmt: skip
def test_poisson_as_by_elimination(poisson, keywords):
    A, b, basis = poisson
    system = skfem.condense(A, b, D=basis.get_dofs())
    solver = Solver(rtol=1e-11, **keywords)
    x = skfem.solve(*system, solver=solver)
    np.testing.assert_allclose(x, skfem.solve(*system), atol=1e-8 * np.abs(x).max())
    assert solver.result.success
    assert x.max() == pytest.approx(0.07367, rel=2e-3)  # the series solution at the centre


def test_heat_steps(poisson):
    """Backward Euler: every step's system by our solver, the last answer as the next start."""
    A, _, basis = poisson
    M, dt, inner = mass.assemble(basis), 1e-3, basis.complement_dofs(basis.get_dofs())
    K = (M + dt * A)[inner][:, inner]
    start = np.sin(np.pi * basis.doflocs).prod(axis=0)[inner]
    ours, theirs, solver = start, start, Solver(rtol=1e-12)
    for _ in range(5):
        ours = skfem.solve(K, M[inner][:, inner] @ ours, solver=solver, x0=ours)
        theirs = skfem.solve(K, M[inner][:, inner] @ theirs)
    np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-12)
    assert ours.max() == pytest.approx(np.exp(-2 * np.pi**2 * 5e-3), rel=0.01)


def test_failure_is_no_answer(poisson):
    A, b, basis = poisson
    system = skfem.condense(A, b, D=basis.get_dofs())
    with pytest.raises(solvers.SolveError, match="max_iter"):
        skfem.solve(*system, solver=Solver(max_iter=2))
    solver = Solver(max_iter=2, throw=False)
    skfem.solve(*system, solver=solver)
    assert solver.result.status is solvers.Status.MAX_ITER
    with pytest.raises(TypeError, match="no_such"):
        skfem.solve(*system, solver=Solver(no_such=1))
