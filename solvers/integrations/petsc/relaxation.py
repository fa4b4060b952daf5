"""SOR and SSOR of the rows that a rank owns: block Jacobi across ranks."""

from __future__ import annotations

from typing import Any

import numpy as np
from petsc4py import PETSc

from ...linalg import Plan, SsorPreconditioner, ssor
from .memory import Array, Rows, rows
from .omega import Relaxation
from .ranks import together

DIRECTIONS = ("forward", "backward", "symmetric")
BACK = {"forward": "backward", "backward": "forward", "symmetric": "symmetric"}


class OwnRows:
    """The plan of the rows and columns that the rank owns, made again or updated where PETSc says that they changed.

    Attributes
    ----------
    plan : Plan
        It reads PETSc's own values; `rows` tells how often they were copied before.
    rows : Rows
    """

    def __init__(self) -> None:
        self.plan: Plan | None = None
        self.rows: Rows | None = None

    def take(self, mat: Any, raised: bool = False) -> None:
        """The rows of a matrix. raised: the diagonal by the couplings with other ranks, in a copy where there are any.

        Raises
        ------
        ValueError
            On all ranks where the diagonal of one is zero or missing, or an entry not finite.
        """
        found = rows(mat)
        with together(mat.comm):
            values = self._values(found, raised)
            if self.rows is not None and self.rows.key == found.key and self.plan is not None:
                self.plan.update(values)
            else:
                own = found.own.copy() if values is not found.own.data else found.own
                own.data = values
                self.plan = Plan(own) if own.shape[0] else None
        self.rows = found

    def _values(self, found: Rows, raised: bool) -> Array:
        couplings = found.couplings() if raised else None
        if couplings is None or not couplings.any():
            return np.asarray(found.own.data)
        own = found.own.copy()
        own.setdiag(own.diagonal() + couplings)
        return np.asarray(own.data)

    def forget(self) -> None:
        """Let go of PETSc's memory."""
        self.plan = self.rows = None


class Preconditioner:
    """What the preconditioners of a rank's own rows share: PETSc's calls."""

    def __init__(self, omega: float | str = 1.0, *, sweeps: int = 1, tuner: Any = None, seed: int = 0) -> None:
        self.relaxation = Relaxation(omega, tuner=tuner, seed=seed)
        self.sweeps = sweeps
        self.own = OwnRows()

    def setFromOptions(self, pc: Any) -> None:  # noqa: N802
        prefix = pc.getOptionsPrefix()
        self.relaxation.read(prefix, "pc")
        self.sweeps = PETSc.Options(prefix).getInt("pc_solvers_sweeps", self.sweeps)
        if self.sweeps < 1:
            raise ValueError(f"pc_solvers_sweeps must be >= 1, not {self.sweeps}")

    def setUp(self, pc: Any) -> None:
        _, mat = pc.getOperators()
        self.own.take(mat)
        self.relaxation.look(mat)
        self.changed()

    def preSolve(self, pc: Any, ksp: Any, b: Any, x: Any) -> None:  # noqa: N802
        if self.relaxation.rule == "tuned":
            self.relaxation.begin(pc.comm)
            self.changed()

    def postSolve(self, pc: Any, ksp: Any, b: Any, x: Any) -> None:  # noqa: N802
        self.relaxation.end(ksp)

    def reset(self, pc: Any) -> None:
        self.own.forget()
        self.changed()

    def view(self, pc: Any, viewer: Any) -> None:
        viewer.printfASCII(
            f"  {type(self).__name__} of solvers: omega {self.relaxation.value:g} ({self.relaxation.rule}), "
            f"{self.sweeps} sweeps of each rank's own rows\n"
        )

    def changed(self) -> None:
        """The matrix or omega is another."""


class Sor(Preconditioner):
    """`PCPYTHON`: sweeps of SOR from zero on the rank's own rows; forward ones are no symmetric preconditioner.

    Parameters
    ----------
    omega : float or {"auto", "young", "tuned"}, default 1.0
        As of `Relaxation`; option `-pc_solvers_omega`.
    sweeps : int, default 1
        Option `-pc_solvers_sweeps`.
    direction : {"forward", "backward", "symmetric"}
        Option `-pc_solvers_direction`.
    tuner, seed
        As of `Relaxation`.

    Notes
    -----
    Nothing is copied: the matrix is read in PETSc's memory, a sweep works in the array of the result. `applyTranspose`
    makes a transposed copy of the rows when it is first called.
    """

    def __init__(
        self, omega: float | str = 1.0, *, sweeps: int = 1, direction: str = "forward", tuner: Any = None, seed: int = 0
    ) -> None:
        super().__init__(omega, sweeps=sweeps, tuner=tuner, seed=seed)
        self.direction = _direction(direction)
        self._transposed: Plan | None = None

    def setFromOptions(self, pc: Any) -> None:  # noqa: N802
        super().setFromOptions(pc)
        name = PETSc.Options(pc.getOptionsPrefix()).getString("pc_solvers_direction", self.direction)
        self.direction = _direction(name)

    def setUp(self, pc: Any) -> None:
        self._transposed = None
        super().setUp(pc)

    def apply(self, pc: Any, r: Any, z: Any) -> None:
        self._swept(self.own.plan, self.direction, r, z)

    def applyTranspose(self, pc: Any, r: Any, z: Any) -> None:  # noqa: N802
        if self._transposed is None and self.own.plan is not None:
            self._transposed = Plan(self.own.plan.matrix.T.tocsr())
        self._swept(self._transposed, BACK[self.direction], r, z)

    def _swept(self, of: Plan | None, direction: str, r: Any, z: Any) -> None:
        z.zeroEntries()
        if of is None:
            return
        out = z.getArray()
        of.sweep(
            out, r.getArray(readonly=True), omega=self.relaxation.value, direction=direction, sweeps=self.sweeps,
            threads=1,
        )  # fmt: skip


class Ssor(Preconditioner):
    """`PCPYTHON`: SSOR of the rank's own rows: symmetric, and positive definite where the matrix is.

    Parameters
    ----------
    omega : float or {"auto", "young", "tuned"}, default 1.0
        As of `Relaxation`; option `-pc_solvers_omega`.
    sweeps : int, default 1
        Symmetric sweeps; option `-pc_solvers_sweeps`.
    tuner, seed
        As of `Relaxation`.

    Notes
    -----
    The matrix is read in PETSc's memory; each application copies its result once.
    """

    def __init__(self, omega: float | str = 1.0, *, sweeps: int = 1, tuner: Any = None, seed: int = 0) -> None:
        super().__init__(omega, sweeps=sweeps, tuner=tuner, seed=seed)
        self._map: SsorPreconditioner | None = None
        self._transposed: SsorPreconditioner | None = None

    def changed(self) -> None:
        self._transposed = None
        if self.own.plan is None:
            self._map = None
        elif self._map is None or self._map.plan is not self.own.plan:
            self._map = ssor(self.own.plan, self.relaxation.value, sweeps=self.sweeps)
        else:
            self._map.set_omega(self.relaxation.value)

    def apply(self, pc: Any, r: Any, z: Any) -> None:
        if self._map is not None:
            z.getArray()[:] = self._map.matvec(r.getArray(readonly=True))

    def applyTranspose(self, pc: Any, r: Any, z: Any) -> None:  # noqa: N802
        if self._map is not None and self._transposed is None:
            transposed = Plan(self._map.plan.matrix.T.tocsr())  # type: ignore[attr-defined]
            self._transposed = ssor(transposed, self.relaxation.value, sweeps=self.sweeps)
        if self._transposed is not None:
            z.getArray()[:] = self._transposed.matvec(r.getArray(readonly=True))


def _direction(name: str) -> str:
    if name not in DIRECTIONS:
        raise ValueError(f"direction must be one of {', '.join(DIRECTIONS)}, not {name!r}")
    return name


def step(own: OwnRows, omega: float, r: Any, d: Any) -> None:
    """d = (D / omega + L)^-1 r on the rank's own rows."""
    d.zeroEntries()
    if own.plan is not None:
        out = d.getArray()
        own.plan.sweep(out, r.getArray(readonly=True), omega=omega, threads=1)


def zeros_like(vector: Any) -> Array:
    """An array of the vector's length on this rank."""
    return np.zeros(vector.getLocalSize())
