"""PETSc's solvers and preconditioners of ours: relaxation with a tuned omega, multilevel cycles, learned directions.

    -pc_type python -pc_python_type solvers.integrations.petsc.Ssor -pc_solvers_omega tuned
    -ksp_type python -ksp_python_type solvers.integrations.petsc.SsorCg -ksp_solvers_omega 1.6

or, in Python,

    ksp.getPC().setType("python")
    ksp.getPC().setPythonContext(Multilevel())

Importing this needs petsc4py, built for real numbers in double precision. A rank works on the rows and columns that it
owns, read in PETSc's own memory; what crosses ranks goes through PETSc. Whatever an omega is tuned by is reduced over
all ranks, so that all of them use the same one.

| preconditioner | on each rank | across ranks |
|---|---|---|
| `Sor`, `Ssor` | sweeps of its own rows | nothing: block Jacobi |
| `Multilevel` | a multilevel cycle of its box of a DMDA | coarse grids, the last one held whole by every rank |
| `LearnedDirection` | a convolutional net on its box | nothing |

| solver | exchanged in an iteration |
|---|---|
| `SorIteration` | a product with the matrix, one reduction |
| `SsorCg` | a product with the matrix, two reductions |
| `ConjugateDirections` | a product with the matrix, two reductions, and what its preconditioner exchanges |

Options, with the prefix of the solver or preconditioner before: `-pc_solvers_omega` (a number, "auto", "young" or
"tuned"), `-pc_solvers_seed`, `-pc_solvers_sweeps`, `-pc_solvers_direction`, `-pc_solvers_gather`,
`-pc_solvers_dtype`; `-ksp_solvers_omega`, `-ksp_solvers_seed`, `-ksp_solvers_directions`.
"""

from .directions import ConjugateDirections, LearnedDirection
from .iterations import SorIteration, SsorCg
from .multilevel import Multilevel
from .omega import Relaxation
from .ranks import DisagreementError, end_together
from .relaxation import Sor, Ssor

__all__ = [
    "ConjugateDirections",
    "DisagreementError",
    "LearnedDirection",
    "Multilevel",
    "Relaxation",
    "Sor",
    "SorIteration",
    "Ssor",
    "SsorCg",
    "end_together",
]
