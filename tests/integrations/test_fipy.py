"""FiPy's systems by our solvers. FiPy chooses its matrices when it is first imported: a process of its own."""

import os
import subprocess
import sys

SCRIPT = """
import warnings
import numpy as np
import fipy
from fipy.solvers.scipy import LinearLUSolver
from fipy.solvers.convergence import DivergenceWarning
from solvers.integrations.fipy import LinearSolver

def poisson(solver):
    mesh = fipy.Grid2D(nx=40, ny=30, dx=1 / 40, dy=1 / 30)
    phi = fipy.CellVariable(mesh=mesh, value=0.0)
    phi.constrain(0.0, mesh.exteriorFaces)
    (fipy.DiffusionTerm(coeff=1.0) + 1.0).solve(var=phi, solver=solver)
    return phi.value

def heat(solver):
    mesh = fipy.Grid2D(nx=20, ny=20, dx=0.05, dy=0.05)
    phi = fipy.CellVariable(mesh=mesh, value=0.0)
    phi.constrain(1.0, mesh.facesLeft)
    equation = fipy.TransientTerm() == fipy.DiffusionTerm(coeff=0.1)
    for _ in range(5):
        equation.solve(var=phi, dt=0.05, solver=solver)
    return phi.value

def transport(solver):
    mesh = fipy.Grid1D(nx=50, dx=0.02)
    phi = fipy.CellVariable(mesh=mesh, value=0.0)
    phi.constrain(1.0, mesh.facesLeft)
    phi.constrain(0.0, mesh.facesRight)
    (fipy.DiffusionTerm(coeff=1.0) - fipy.UpwindConvectionTerm(coeff=(5.0,))).solve(var=phi, solver=solver)
    return phi.value

warnings.simplefilter("error", DivergenceWarning)
for problem in (poisson, heat, transport):
    expected = problem(LinearLUSolver())
    for method in (None, "ssor-cg", "sor") if problem is not transport else (None, "sor"):
        solver = LinearSolver(method=method, tolerance=1e-12, iterations=20000)
        error = np.abs(problem(solver) - expected).max() / np.abs(expected).max()
        assert solver.result.success and error < 1e-8, (problem.__name__, method, error, solver.result)
warnings.simplefilter("always")
with warnings.catch_warnings(record=True) as seen:
    poisson(LinearSolver(tolerance=1e-12, iterations=3))
assert [w.category for w in seen] == [DivergenceWarning] and "SCIPY_MAXIT" in str(seen[0].message), seen
print("agreed")
"""


def test_fipy():
    run = subprocess.run(
        [sys.executable, "-P", "-c", SCRIPT], env={**os.environ, "FIPY_SOLVERS": "scipy"}, capture_output=True,
        text=True, timeout=120,
    )  # fmt: skip
    assert run.stdout.strip().endswith("agreed"), run.stderr
