"""[mpiexec -n N] python raising.py outside|inside: the last rank raises, the others wait for it in a reduction."""

import sys

from petsc4py import PETSc
from ranked import matrix, right_side, solved

from solvers.integrations import petsc

petsc.end_together()
LAST = PETSc.COMM_WORLD.rank == PETSc.COMM_WORLD.size - 1


class Raising(petsc.Ssor):
    """Fails in the third application."""

    count = 0

    def apply(self, pc, r, z):
        self.count += 1
        if self.count == 3 and LAST:
            raise ValueError("not on this rank")
        super().apply(pc, r, z)


A, rows = matrix("uniform", (16, 16))
b = right_side(A, rows)
if sys.argv[1] == "outside" and LAST:
    raise ValueError("not on this rank")
solved(A, b, "cg", Raising())
print("went on")
