"""Systems on a DMDA, and a solver for them: for programs that run under mpiexec."""

import numpy as np
import scipy.sparse
from petsc4py import PETSc

from solvers.linalg import GridOperator
from solvers.testing import grid_problem


def matrix(family, shape, seed=3, **more):
    """A matrix of a family of grid problems, and the natural numbers of this rank's rows."""
    op = GridOperator(**{**grid_problem(family, shape, seed).arguments, **more})
    kinds = [ends[0] == "periodic" for ends in op.bc]
    da = PETSc.DMDA().create(
        shape[::-1], dof=1, stencil_width=1, boundary_type=["periodic" if wraps else "none" for wraps in kinds[::-1]]
    )
    return on_grid(op.to_csr(), da)


def on_grid(whole, da):
    """A matrix in natural order as PETSc's of a DMDA."""
    order = da.getAO()
    first, last = da.createGlobalVec().getOwnershipRange()
    rows = order.petsc2app(np.arange(first, last, dtype=PETSc.IntType))
    part = whole[rows].tocoo()
    columns = order.app2petsc(part.coords[1].astype(PETSc.IntType))
    part = scipy.sparse.csr_array((part.data, (part.coords[0], columns)), shape=part.shape)
    part.sort_indices()
    own = last - first
    A = PETSc.Mat().createAIJ(
        size=((own, PETSc.DECIDE), (own, PETSc.DECIDE)),
        csr=(part.indptr.astype(PETSc.IntType), part.indices.astype(PETSc.IntType), part.data),
    )
    A.setDM(da)
    A.assemble()
    return A, rows


def right_side(A, rows):
    """The same numbers on every number of ranks."""
    b = A.createVecLeft()
    b.setArray(np.sin(1.0 + rows.astype(float) ** 2))
    return b


def solver(A, kind="cg", pc="none", rtol=1e-12, most=3000, **options):
    """A KSP that tests the residual's own norm; kind and pc are PETSc's names or contexts."""
    ksp = PETSc.KSP().create(A.comm)
    ksp.setOperators(A)
    for what, given in ((ksp, kind), (ksp.getPC(), pc)):
        what.setType(given if isinstance(given, str) else "python")
        if not isinstance(given, str):
            what.setPythonContext(given)
    if kind == "gmres":
        ksp.setPCSide(PETSc.PC.Side.RIGHT)
    ksp.setNormType(PETSc.KSP.NormType.UNPRECONDITIONED)
    ksp.setTolerances(rtol=rtol, atol=0, max_it=most)
    ksp.setFromOptions()
    return ksp


def solved(A, b, *arguments, **keywords):
    """(x, iterations, PETSc's reason) of a solve."""
    ksp = solver(A, *arguments, **keywords)
    x = b.duplicate()
    ksp.solve(b, x)
    return x, ksp.getIterationNumber(), ksp.getConvergedReason()


def natural(x, rows, size):
    """A vector in natural order, whole, on every rank."""
    numbers = x.duplicate()
    numbers.setArray(rows.astype(float))
    whole = []
    for vector in (numbers, x):
        scatter, all_of_it = PETSc.Scatter.toAll(vector)
        scatter.scatter(vector, all_of_it)
        whole.append(all_of_it.getArray().copy())
    out = np.empty(size)
    out[whole[0].astype(int)] = whole[1]
    return out
