"""The heat equation on a square whose conductivity changes in time, stepped across ranks with a tuned omega.

    mpiexec -n 4 python heat_petsc.py -n 256 -steps 40
    mpiexec -n 4 python heat_petsc.py -n 256 -steps 40 -pc_type python \
        -pc_python_type solvers.integrations.petsc.Multilevel -ksp_type cg

Each implicit step solves (1 + dt A) u' = u. The default is SSOR-CG, whose omega is tuned from step to step by the
iterations that it took; options of PETSc choose anything else. Prints the iterations of all steps, the omegas that the
last ten played, and the heat that is left.
"""

import sys

import numpy as np
import petsc4py

petsc4py.init(sys.argv)

from petsc4py import PETSc  # noqa: E402

from solvers.integrations import petsc  # noqa: E402

petsc.end_together()


def conductivity(x, y, time):
    """A warm spot that goes around in a poor conductor."""
    return 1.0 + 20.0 * np.exp(-40.0 * ((x - 0.5 - 0.25 * np.cos(time)) ** 2 + (y - 0.5 - 0.25 * np.sin(time)) ** 2))


def fill(A, n, dt, time):
    """1 + dt A, walls at zero, for the rows of this rank: entries in PETSc's global numbers of natural order."""
    da = A.getDM()
    (x0, x1), (y0, y1) = da.getRanges()
    j, i = np.mgrid[y0:y1, x0:x1]
    h = 1.0 / n
    k = conductivity((i + 0.5) * h, (j + 0.5) * h, time)
    diagonal = np.ones(k.shape)
    order = da.getAO()
    rows = order.app2petsc((j * n + i).ravel().astype(PETSc.IntType)).reshape(k.shape)
    for dj, di in ((-1, 0), (0, -1), (0, 1), (1, 0)):
        beside = conductivity((i + di + 0.5) * h, (j + dj + 0.5) * h, time)
        inside = (i + di >= 0) & (i + di < n) & (j + dj >= 0) & (j + dj < n)
        across = dt / h**2 * np.where(inside, 2 * k * beside / (k + beside), 2 * k)
        diagonal += across
        columns = order.app2petsc((((j + dj) * n + i + di)[inside]).astype(PETSc.IntType))
        for row, column, value in zip(rows[inside], columns, across[inside], strict=True):
            A.setValue(row, column, -value)
    for row, value in zip(rows.ravel(), diagonal.ravel(), strict=True):
        A.setValue(row, row, value)
    A.assemble()


def main():
    options = PETSc.Options()
    n, steps = options.getInt("n", 64), options.getInt("steps", 20)
    da = PETSc.DMDA().create([n, n], dof=1, stencil_width=1, stencil_type=PETSc.DMDA.StencilType.STAR)
    A = da.createMatrix()
    u = da.createGlobalVec()
    u.set(1.0)
    b = u.duplicate()

    ksp = PETSc.KSP().create()
    ksp.setOperators(A)
    iteration = petsc.SsorCg("tuned")
    if not options.hasName("ksp_type"):
        ksp.setType("python")
        ksp.setPythonContext(iteration)
        ksp.getPC().setType("none")
    ksp.setTolerances(rtol=1e-10)
    ksp.setInitialGuessNonzero(True)
    ksp.setFromOptions()

    counts, omegas = [], []
    for step in range(steps):
        fill(A, n, 2e-3, 0.1 * step)
        u.copy(b)
        ksp.solve(b, u)
        counts.append(ksp.getIterationNumber())
        omegas.append(round(iteration.relaxation.value, 3))
        if ksp.getConvergedReason() <= 0:
            raise RuntimeError(f"step {step}: PETSc's reason {ksp.getConvergedReason()}")
    total = u.sum() / n**2
    PETSc.Sys.Print(f"iterations {counts}\nomegas {omegas[-10:]}\nheat {total:.12f}")


main()
