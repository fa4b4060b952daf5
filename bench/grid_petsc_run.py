"""Conjugate gradients with PETSc's preconditioners on a stored system: a program for a Python that has petsc4py.

    [mpiexec -n 2] python grid_petsc_run.py system.npz answers.npz rounds

Only NumPy and petsc4py are used, of whatever age. The system is `indptr, indices, data, b` and `rtol`; `b` has a
right-hand side a row, `names` are those of the preconditioners. Each round sets up anew and solves all of them, the
matrix assembled before; times are those of the slowest process, answers those to the last right-hand side, iterations
the most.
"""

import sys

import numpy as np
import petsc4py

petsc4py.init([])

from petsc4py import PETSc  # noqa: E402

#: Name -> PETSc's options. Those of BoomerAMG are what its authors advise for three dimensions.
SOLVERS = {
    "PETSc hypre BoomerAMG + cg": {
        "pc_type": "hypre", "pc_hypre_type": "boomeramg", "pc_hypre_boomeramg_coarsen_type": "HMIS",
        "pc_hypre_boomeramg_interp_type": "ext+i", "pc_hypre_boomeramg_P_max": 4,
        "pc_hypre_boomeramg_strong_threshold": 0.5, "pc_hypre_boomeramg_relax_type_all": "symmetric-SOR/Jacobi",
    },
    "PETSc GAMG + cg": {"pc_type": "gamg"},
    "PETSc ICC + cg": {"pc_type": "bjacobi", "sub_pc_type": "icc"},
}  # fmt: skip


def main(system: str, answers: str, rounds: int) -> None:
    stored = np.load(system)
    rights = stored["b"]
    size = rights.shape[1]
    communicator = PETSc.COMM_WORLD
    x = PETSc.Vec().createMPI(size, comm=communicator)
    first, last = x.getOwnershipRange()
    starts = stored["indptr"].astype(PETSc.IntType)
    part = slice(starts[first], starts[last])
    own = last - first
    A = PETSc.Mat().createAIJ(
        size=((own, size), (own, size)), comm=communicator,
        csr=(starts[first : last + 1] - starts[first], stored["indices"][part].astype(PETSc.IntType),
             stored["data"][part]),
    )  # fmt: skip
    A.setOption(PETSc.Mat.Option.SPD, True)
    A.assemble()
    b = x.duplicate()
    found = {}
    for name in map(str, stored["names"]):
        for number in range(rounds):
            seconds, count = solved(A, rights[:, first:last], b, x, name, float(stored["rtol"]), number)
            found.setdefault("seconds " + name, []).append(seconds)
        scatter, whole = PETSc.Scatter.toZero(x)
        scatter.scatter(x, whole)
        found["x " + name], found["count " + name] = whole.getArray().copy(), count
    if communicator.getRank() == 0:
        found["version"] = "PETSc {}.{}.{}, {} processes".format(*PETSc.Sys.getVersion(), communicator.getSize())
        np.savez(answers, **found)


def solved(A, rights, b, x, name, rtol, number):  # type: ignore[no-untyped-def]
    """Seconds of set-up and solves, and the most iterations."""
    prefix = "".join(c for c in name if c.isalpha()) + str(number) + "_"
    settings = PETSc.Options()
    for key, value in SOLVERS[name].items():
        settings[prefix + key] = value
    A.getComm().barrier()
    start = PETSc.Log.getTime()
    solver = PETSc.KSP().create(A.getComm())
    solver.setOptionsPrefix(prefix)
    solver.setType("cg")
    solver.setNormType(PETSc.KSP.NormType.UNPRECONDITIONED)
    solver.setTolerances(rtol=rtol, atol=0, max_it=2000)
    solver.setOperators(A)
    solver.setFromOptions()
    count = 0
    for right in rights:
        b.setArray(right)
        solver.solve(b, x)
        count = max(count, solver.getIterationNumber())
    A.getComm().barrier()
    seconds = PETSc.Log.getTime() - start
    solver.destroy()
    return seconds, count


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
