"""Linear systems by iterative methods: over a compiled core, once or over a sequence of systems."""

from . import _binned, _chebcb, _gaussian, _tsallis  # noqa: F401  (they register their learners)
from ._cg import ConjugateGradients
from ._learner import Learner, learners
from ._matrix import Plan, plan
from ._problem import LinearResult
from ._solve import solve
from ._sor import Sor
from ._tuner import ArmTuner, OmegaTuner, omega_grid

__all__ = [
    "ArmTuner",
    "ConjugateGradients",
    "Learner",
    "LinearResult",
    "OmegaTuner",
    "Plan",
    "Sor",
    "learners",
    "omega_grid",
    "plan",
    "solve",
]
