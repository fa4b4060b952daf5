"""[mpiexec -n N] python facts.py FILE: what the tests look at, found on N ranks, as JSON."""

import json
import sys

import numpy as np
from petsc4py import PETSc
from ranked import matrix, natural, right_side, solved, solver

from solvers.integrations import petsc
from solvers.integrations.petsc.memory import rows as rows_of
from solvers.integrations.petsc.ranks import agreed, together
from solvers.linalg import OmegaTuner

COMM = PETSc.COMM_WORLD

SOLVERS = {
    "cg, multilevel": lambda: ("cg", petsc.Multilevel()),
    "cg, multilevel in three levels": lambda: ("cg", petsc.Multilevel(gather=60)),
    "cg, ssor": lambda: ("cg", petsc.Ssor(1.5)),
    "cg, ssor by young": lambda: ("cg", petsc.Ssor("young")),
    "gmres, ssor": lambda: ("gmres", petsc.Ssor("auto", sweeps=2)),
    "gmres, sor": lambda: ("gmres", petsc.Sor(1.3)),
    "cg, symmetric sor": lambda: ("cg", petsc.Sor(1.3, direction="symmetric")),
    "ssor-cg": lambda: (petsc.SsorCg(), "none"),
    "sor": lambda: (petsc.SorIteration(), "none"),
    "directions, gamg": lambda: (petsc.ConjugateDirections(), "gamg"),
    "directions, multilevel in float32": lambda: (petsc.ConjugateDirections(), petsc.Multilevel(dtype="float32")),
    "directions, jacobi": lambda: (petsc.ConjugateDirections(3), "jacobi"),
}

FAMILIES = ("uniform", "dirichlet", "neumann", "lognormal", "jumps", "anisotropic", "strongly-anisotropic")
GRIDS = ((64, 64), (100, 75), (24, 20, 22))


def solutions():
    A, rows = matrix("lognormal", (26, 31))
    b = right_side(A, rows)
    found = {}
    for name, made in SOLVERS.items():
        x, count, reason = solved(A, b, *made())
        found[name] = {"x": natural(x, rows, A.size[0]).tolist(), "count": count, "reason": int(reason)}
    return found


def counts():
    found = {}
    for family, grid in [(family, grid) for grid in GRIDS for family in FAMILIES] + [("jumps", (256, 256))]:
        A, rows = matrix(family, grid)
        _, count, reason = solved(A, right_side(A, rows), "cg", petsc.Multilevel(), rtol=1e-6)
        found[f"{family} {grid}"] = count if reason > 0 else -int(reason) * 1000
    return found


def special_grids():
    """Periodic, singular, one-dimensional, thin, and obstacles beside the ends of boxes."""
    found = {}
    walls = np.ones((30, 30), bool)
    walls[14:16, 2:28] = walls[3:25, 15] = False
    for name, arguments in {
        "periodic": ("uniform", (24, 30), {"bc": ["periodic", "dirichlet"]}),
        "periodic, odd": ("uniform", (25, 27), {"bc": ["periodic", "periodic"], "mass": 0.01}),
        "line": ("uniform", (200,), {}),
        "thin": ("uniform", (4, 90), {}),
        "walls": ("uniform", (30, 30), {"mask": walls}),
    }.items():
        A, rows = matrix(arguments[0], arguments[1], **arguments[2])
        b = right_side(A, rows)
        x, count, reason = solved(A, b, "cg", petsc.Multilevel(gather=200), rtol=1e-10)
        found[name] = {"x": x.norm(), "count": count, "reason": int(reason)}
    A, rows = matrix("uniform", (24, 30), bc="neumann")
    A.setNullSpace(PETSc.NullSpace().create(constant=True))
    b = right_side(A, rows)
    b.shift(-b.sum() / b.getSize())
    x, count, reason = solved(A, b, "cg", petsc.Multilevel(gather=200), rtol=1e-10)
    x.shift(-x.sum() / x.getSize())
    found["neumann"] = {"x": x.norm(), "count": count, "reason": int(reason)}
    return found


def tuned():
    """The omegas of a sequence of solves, by a preconditioner and by a solver; what each rank played."""
    A, rows = matrix("lognormal", (26, 31))
    b = right_side(A, rows)
    found = {}
    for name, kind, pc in (
        ("pc", "cg", petsc.Ssor("tuned", seed=5)),
        ("ksp", petsc.SsorCg("tuned", seed=5), "none"),
        ("given", petsc.SorIteration(tuner=OmegaTuner([1.2, 1.5, 1.8], rng=8)), "none"),
    ):
        ksp = solver(A, kind, pc, rtol=1e-4)
        relaxation = (pc if name == "pc" else kind).relaxation
        x, played = b.duplicate(), []
        for _ in range(12):
            ksp.solve(b, x)
            played.append([relaxation.value, ksp.getIterationNumber()])
        told = [sum(relaxation.tuner.value_counts().values()), len(relaxation.tuner.pending())]
        found[name] = {"played": played, "told": told}
    return found


def disagreement():
    """Seeds that differ are seen, on all ranks, at the first question whose answers differ."""
    A, rows = matrix("uniform", (12, 12))
    ksp = solver(A, petsc.SsorCg("tuned", seed=COMM.rank), "none")
    b = right_side(A, rows)
    x = b.duplicate()
    try:
        for _ in range(20):
            ksp.solve(b, x)
    except petsc.DisagreementError as error:
        return str(error)
    return ""


def adjoint():
    """|(y, B x) - (B' y, x)| of unsymmetric and symmetric preconditioners, on an unsymmetric matrix."""
    A, rows = matrix("lognormal", (14, 17))
    A.setOption(PETSc.Mat.Option.SYMMETRIC, False)
    first, last = A.getOwnershipRange()
    scale = A.createVecLeft()
    scale.setArray(1 + 0.3 * np.cos(np.arange(first, last)))
    A.diagonalScale(scale, None)
    x, y = right_side(A, rows), right_side(A, rows + 5)
    found = {}
    for name, pc in (("sor", petsc.Sor(1.4, sweeps=2)), ("backward", petsc.Sor(0.8, direction="backward")),
                     ("ssor", petsc.Ssor(1.2))):  # fmt: skip
        ksp = solver(A, "gmres", pc)
        ksp.setUp()
        forward, back = x.duplicate(), x.duplicate()
        ksp.getPC().apply(x, forward)
        ksp.getPC().applyTranspose(y, back)
        found[name] = abs(y.dot(forward) - back.dot(x)) / abs(y.dot(forward))
    return found


def in_place():
    """Whether a rank's matrix is read where PETSc has it, also after its values change, and no pattern is analysed."""
    A, rows = matrix("lognormal", (14, 17))
    context = petsc.Ssor(1.2)
    ksp = solver(A, "cg", context)
    b = right_side(A, rows)
    x = b.duplicate()
    ksp.solve(b, x)
    plan, shared = context.own.plan, bool(np.shares_memory(context.own.plan.matrix.data, rows_of(A).own.data))
    before = x.copy()
    A.scale(2.0)
    ksp.setOperators(A)
    ksp.solve(b, x)
    x.scale(2.0)
    x.axpy(-1.0, before)
    starts, columns, values = A.getValuesCSR()
    own = rows_of(A)
    first, last = A.getOwnershipRange()
    kept = (columns >= first) & (columns < last)
    same = np.array_equal(own.own.data, values[kept]) and np.array_equal(own.own.indices, columns[kept] - first)
    return {
        "shared": shared, "same plan": context.own.plan is plan, "copies": context.own.rows.copies + plan.copies,
        "again": x.norm() / before.norm(), "entries": bool(same and own.own.indptr[-1] == kept.sum()),
        "couplings": float(own.couplings().sum() - abs(values[~kept]).sum()), "rows": len(starts) - 1 == last - first,
    }  # fmt: skip


def options():
    """Types by their names in PETSc's options, with a prefix."""
    A, rows = matrix("uniform", (20, 20))
    settings = PETSc.Options()
    here = "solvers.integrations.petsc."
    for name, value in {
        "a_ksp_type": "cg", "a_pc_type": "python", "a_pc_python_type": here + "Sor", "a_pc_solvers_omega": "young",
        "a_pc_solvers_direction": "symmetric", "a_pc_solvers_sweeps": 2,
        "b_ksp_type": "python", "b_ksp_python_type": here + "SsorCg", "b_ksp_solvers_omega": "1.6",
        "c_ksp_type": "python", "c_ksp_python_type": here + "ConjugateDirections", "c_ksp_solvers_directions": 3,
        "c_pc_type": "python", "c_pc_python_type": here + "LearnedDirection",
        "d_ksp_type": "fcg", "d_pc_type": "python", "d_pc_python_type": here + "Multilevel",
        "d_pc_solvers_dtype": "float32", "d_pc_solvers_gather": 30,
    }.items():  # fmt: skip
        settings[name] = value
    b, found = right_side(A, rows), {}
    for prefix in "abcd":
        ksp = PETSc.KSP().create()
        ksp.setOptionsPrefix(prefix + "_")
        ksp.setOperators(A)
        ksp.setTolerances(rtol=1e-8)
        ksp.setFromOptions()
        x = b.duplicate()
        ksp.solve(b, x)
        viewer = PETSc.Viewer().createASCII(f"{sys.argv[1]}.{prefix}")
        ksp.view(viewer)
        viewer.destroy()
        left = A * x - b
        found[prefix] = left.norm() / b.norm()
    return found


def refusals():
    """What is refused, with which words, on this rank."""
    found = {}
    A, rows = matrix("uniform", (12, 12))
    b = right_side(A, rows)

    def refused(name, *arguments):
        try:
            solved(*arguments)
        except Exception as error:
            found[name] = f"{type(error).__name__}: {error}"
        else:
            found[name] = ""

    last = A.copy()
    if COMM.rank == COMM.size - 1:
        last.setValue(last.getOwnershipRange()[1] - 1, last.getOwnershipRange()[1] - 1, 0.0)
    last.assemble()
    refused("zero", last, b, "cg", petsc.Ssor())
    last.setDM(A.getDM())
    refused("zero, multilevel", last, b, "cg", petsc.Multilevel())
    free = PETSc.Mat().createAIJ(10, nnz=1)
    for row in range(*free.getOwnershipRange()):
        free.setValue(row, row, 2.0)
    free.assemble()
    refused("no grid", free, free.createVecLeft(), "cg", petsc.Multilevel())
    settings = PETSc.Options()
    for name, value in (("omega", "2.5"), ("omega", "optimal"), ("sweeps", "0")):
        settings[f"pc_solvers_{name}"] = value
        refused(f"{name} {value}", A, b, "cg", petsc.Ssor())
        settings.delValue(f"pc_solvers_{name}")
    for name, part in (("agreed", lambda: agreed(COMM, COMM.rank, "their number")), ("together", fails)):
        try:
            part()
            found[name] = ""
        except Exception as error:
            found[name] = f"{type(error).__name__}: {error}"
    return found


def fails():
    with together(COMM):
        if COMM.rank == COMM.size - 1:
            raise ValueError("as it must")


def main(path):
    petsc.end_together()
    parts = (solutions, counts, special_grids, tuned, disagreement, adjoint, in_place, options, refusals)
    found = {part.__name__: part() for part in parts}
    with open(f"{path}.{COMM.rank}", "w") as file:
        json.dump(found, file)


main(sys.argv[1])
