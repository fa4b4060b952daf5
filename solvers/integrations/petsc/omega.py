"""The omega of a relaxation, the same on all ranks: a number, a rule, or one that is tuned from solve to solve."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from petsc4py import PETSc

from ...linalg import OmegaTuner
from .ranks import agreed

#: Rules that an omega may be given by.
RULES = ("auto", "young", "tuned")

#: Bounds of the omega of the rule "auto", as of the method "ssor-cg".
LEAST, LARGEST = 1.0, 1.95

#: Steps of conjugate gradients for Young's omega.
STEPS = 20


class Relaxation:
    """An omega, or how it is found.

    Parameters
    ----------
    omega : float or {"auto", "young", "tuned"}, default "auto"
        "auto": from the row sums, as of the method "ssor-cg"; "young": Young's, from an estimate of the spectrum;
        "tuned": a tuner chooses before each solve, and is told its iterations.
    tuner : OmegaTuner, optional
        For "tuned". It must be the same on all ranks: made with the same arguments and the same seed.
    seed : int, default 0
        Of the tuner, where none is given.

    Raises
    ------
    ValueError
        An omega outside of (0, 2), an unknown rule.
    """

    def __init__(self, omega: float | str = "auto", *, tuner: Any = None, seed: int = 0) -> None:
        self.rule = "tuned" if tuner is not None else _checked(omega)
        self.tuner: Any = tuner
        self._seed = seed
        #: The omega in use.
        self.value = 1.0 if isinstance(self.rule, str) else self.rule
        self._question: Any = None

    def read(self, prefix: str | None, kind: str) -> None:
        """Take what PETSc's options say: `<prefix><kind>_solvers_omega` and `..._seed`."""
        options = PETSc.Options(prefix)
        self._seed = options.getInt(f"{kind}_solvers_seed", self._seed)
        if options.hasName(f"{kind}_solvers_omega"):
            self.rule = _checked(options.getString(f"{kind}_solvers_omega"))
            self.value = self.value if isinstance(self.rule, str) else self.rule

    def look(self, mat: Any) -> None:
        """Find the omega of a rule for this matrix; two reductions, or those of some steps of conjugate gradients."""
        if self.rule == "auto":
            self.value = by_row_sums(mat)
        elif self.rule == "young":
            self.value = by_spectrum(mat)
        elif self.rule == "tuned" and self.tuner is None:
            self.tuner = OmegaTuner(rng=self._seed)

    def begin(self, comm: Any) -> float:
        """The omega of the next solve."""
        if self.rule == "tuned":
            self._question = self.tuner.ask()
            self.value = float(self._question.value)
            if __debug__:
                agreed(comm, self.value, "the omega of their tuners")
        return self.value

    def end(self, ksp: Any) -> None:
        """Tell the tuner what the solve took; a solve that failed counts twice its limit."""
        if self._question is None:
            return
        cost = ksp.getIterationNumber() if ksp.getConvergedReason() > 0 else 2 * ksp.getTolerances()[3]
        question, self._question = self._question, None
        self.tuner.tell(question, float(cost))


def _checked(omega: Any) -> float | str:
    try:
        value = float(omega)
    except (TypeError, ValueError):
        if omega not in RULES:
            raise ValueError(f"omega must be a number or one of {', '.join(RULES)}, not {omega!r}") from None
        return str(omega)
    if not 0 < value < 2:
        raise ValueError(f"omega must lie between 0 and 2, not {value!r}")
    return value


def by_row_sums(mat: Any) -> float:
    """2 / (1 + sqrt(2 t)) for the Rayleigh quotient t of the constant vector, between 1 and 1.95."""
    ones, product = mat.createVecs()
    ones.set(1.0)
    mat.mult(ones, product)
    total = product.sum()
    mat.getDiagonal(product)
    return min(max(2 / (1 + math.sqrt(2 * max(total / product.sum(), 0.0))), LEAST), LARGEST)


def by_spectrum(mat: Any) -> float:
    """Young's omega for the spectral radius of Jacobi's iteration, from some steps of conjugate gradients."""
    x, b = mat.createVecs()
    ksp = PETSc.KSP().create(mat.comm)
    ksp.setOperators(mat)
    ksp.setType("cg")
    ksp.setNormType(PETSc.KSP.NormType.NATURAL)
    ksp.getPC().setType("jacobi")
    ksp.setTolerances(rtol=1e-14, max_it=STEPS)
    ksp.setComputeEigenvalues(True)
    # D times what is nearly the eigenvector that matters for a discretised differential operator
    mat.getDiagonal(b)
    b.pointwiseMult(b, _rough(b))
    x.zeroEntries()
    ksp.solve(b, x)
    values = ksp.computeEigenvalues().real
    ksp.destroy()
    radius = min(max(1 - float(values.min()), 0.0), 1 - 1e-12) if len(values) else 0.0
    return 2 / (1 + math.sqrt(1 - radius * radius))


def _rough(like: Any) -> Any:
    """1 and a little more or less, the same however many ranks there are."""
    first, last = like.getOwnershipRange()
    vector = like.duplicate()
    vector.setArray(1 + 0.1 * np.cos(np.arange(first, last, dtype=np.float64) ** 2))
    return vector
