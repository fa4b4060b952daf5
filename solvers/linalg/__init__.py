"""Linear systems by iterative methods: over a compiled core, once or over a sequence of systems."""

from . import _binned, _chebcb, _gaussian, _tsallis  # noqa: F401  (they register their learners)
from ._cg import ConjugateGradients
from ._chebyshev import Chebyshev
from ._complex import ComplexPlan, ComplexSsorPreconditioner
from ._dcdm import DeepConjugateDirections
from ._grid import GridOperator
from ._jacobi import Jacobi
from ._learner import Learner, learners
from ._matrix import Plan
from ._multilevel import Multilevel, multilevel
from ._multilevel_cg import MultilevelCg
from ._network import LearnedDirection
from ._plan import plan
from ._precondition import Ic0Preconditioner, SsorPreconditioner, ic0, ssor
from ._problem import LinearResult
from ._sequence import SequenceResult, SequenceSolver
from ._solve import solve
from ._sor import GaussSeidel, Sor
from ._ssor_cg import SsorCg
from ._surrogates import surrogate_sor, surrogate_ssor
from ._tuner import ArmTuner, OmegaTuner, omega_grid

__all__ = [
    "ArmTuner",
    "Chebyshev",
    "ComplexPlan",
    "ComplexSsorPreconditioner",
    "ConjugateGradients",
    "DeepConjugateDirections",
    "GaussSeidel",
    "GridOperator",
    "Ic0Preconditioner",
    "Jacobi",
    "LearnedDirection",
    "Learner",
    "LinearResult",
    "Multilevel",
    "MultilevelCg",
    "OmegaTuner",
    "Plan",
    "SequenceResult",
    "SequenceSolver",
    "Sor",
    "SsorCg",
    "SsorPreconditioner",
    "ic0",
    "learners",
    "multilevel",
    "omega_grid",
    "plan",
    "solve",
    "ssor",
    "surrogate_sor",
    "surrogate_ssor",
]
