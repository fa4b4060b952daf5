/* The preconditioner "solvers" for PETSc: SSOR of the rows that a rank owns, block Jacobi across ranks, in C.
 *
 *     mpicc -shared -fPIC -o libsolvers_petsc.so solvers_petsc.c \
 *         $(pkg-config --cflags PETSc) $(python -m solvers config --cflags --libs)
 *     mpiexec -n 4 ./program -dll_append ./libsolvers_petsc.so -pc_type solvers -pc_solvers_omega 1.6
 *
 * A program that knows of it may call PetscDLLibraryRegister_solvers_petsc() instead. Options:
 *     -pc_solvers_omega    relaxation, between 0 and 2; 1
 *     -pc_solvers_sweeps   symmetric sweeps; 1
 *     -pc_solvers_tuned    a tuner chooses omega before each solve and is told its iterations
 *     -pc_solvers_seed     of the tuner; 0
 * The tuner is asked on every rank with the same seed and told the iterations, which are the same on all ranks since
 * PETSc's convergence tests look at reduced norms: so all ranks use the same omega.
 *
 * The rank's rows are copied once when their pattern is new, and their values when those change; vectors are not.
 */
#include <petsc/private/pcimpl.h>
#include <petscksp.h>
#include <solvers.h>

typedef struct {
    sv_linear *rows;
    sv_omega_tuner *tuner;
    PetscObjectState pattern; /* of the rows */
    PetscReal omega;
    PetscInt sweeps, seed;
    PetscBool tuned;
    int64_t question;
} Own;

/* What the library refused, in its words. */
#define PetscCallSolvers(pc, call) \
    do { \
        int status_ = (call); \
        PetscCheck(status_ >= 0, PetscObjectComm((PetscObject)(pc)), PETSC_ERR_LIB, "solvers: %s", sv_last_error()); \
    } while (0)

static PetscErrorCode Reset(PC pc)
{
    Own *own = (Own *)pc->data;
    PetscFunctionBegin;
    sv_linear_destroy(own->rows);
    own->rows = NULL;
    PetscFunctionReturn(0);
}

static PetscErrorCode Destroy(PC pc)
{
    Own *own = (Own *)pc->data;
    PetscFunctionBegin;
    PetscCall(Reset(pc));
    sv_omega_tuner_destroy(own->tuner);
    PetscCall(PetscFree(pc->data));
    PetscFunctionReturn(0);
}

static PetscErrorCode SetUp(PC pc)
{
    Own *own = (Own *)pc->data;
    Mat block;
    PetscBool stored;
    PetscInt n;
    const PetscInt *starts, *columns;
    PetscScalar *values;
    PetscMemType where;
    PetscObjectState pattern;

    PetscFunctionBegin;
    PetscCall(MatGetDiagonalBlock(pc->pmat, &block));
    PetscCall(PetscObjectTypeCompare((PetscObject)block, MATSEQAIJ, &stored));
    PetscCheck(stored, PetscObjectComm((PetscObject)pc), PETSC_ERR_SUP, "PC solvers needs a MATAIJ");
    PetscCall(MatGetLocalSize(block, &n, NULL));
    PetscCall(MatGetNonzeroState(block, &pattern));
    PetscCall(MatSeqAIJGetCSRAndMemType(block, &starts, &columns, &values, &where));
    if (own->rows && pattern == own->pattern && sv_linear_size(own->rows) == (size_t)n) {
        PetscCallSolvers(pc, sv_linear_update(own->rows, values));
    } else {
        PetscCall(Reset(pc));
#if defined(PETSC_USE_64BIT_INDICES)
        PetscCallSolvers(pc, sv_linear_from_csr_i64((size_t)n, (size_t)starts[n], starts, columns, values, &own->rows));
#else
        PetscCallSolvers(pc, sv_linear_from_csr_i32((size_t)n, (size_t)starts[n], starts, columns, values, &own->rows));
#endif
        own->pattern = pattern;
    }
    PetscFunctionReturn(0);
}

static PetscErrorCode Apply(PC pc, Vec r, Vec z)
{
    Own *own = (Own *)pc->data;
    const PetscScalar *from;
    PetscScalar *to;

    PetscFunctionBegin;
    PetscCall(VecGetArrayRead(r, &from));
    PetscCall(VecGetArrayWrite(z, &to));
    PetscCallSolvers(pc, sv_linear_precondition(own->rows, SV_ORDERING_NATURAL, own->omega, (int)own->sweeps, from, to, 1));
    PetscCall(VecRestoreArrayWrite(z, &to));
    PetscCall(VecRestoreArrayRead(r, &from));
    PetscFunctionReturn(0);
}

static PetscErrorCode PreSolve(PC pc, KSP ksp, Vec b, Vec x)
{
    Own *own = (Own *)pc->data;
    sv_omega_options options = SV_OMEGA_OPTIONS_INIT;
    double omega;

    PetscFunctionBegin;
    if (own->tuned) {
        options.seed = (uint64_t)own->seed;
        if (!own->tuner) PetscCallSolvers(pc, sv_omega_tuner_create(&own->tuner, &options));
        PetscCallSolvers(pc, sv_omega_tuner_ask(own->tuner, 0, &omega, &own->question));
        own->omega = omega;
        if (PetscDefined(USE_DEBUG)) PetscValidLogicalCollectiveReal(pc, own->omega, 1);
    }
    PetscFunctionReturn(0);
}

static PetscErrorCode PostSolve(PC pc, KSP ksp, Vec b, Vec x)
{
    Own *own = (Own *)pc->data;
    KSPConvergedReason reason;
    PetscInt iterations, most;

    PetscFunctionBegin;
    if (own->tuned && own->question >= 0) {
        PetscCall(KSPGetConvergedReason(ksp, &reason));
        PetscCall(KSPGetIterationNumber(ksp, &iterations));
        PetscCall(KSPGetTolerances(ksp, NULL, NULL, NULL, &most));
        PetscCallSolvers(pc, sv_omega_tuner_tell(own->tuner, own->question, reason > 0 ? iterations : 2.0 * most));
        own->question = -1;
    }
    PetscFunctionReturn(0);
}

static PetscErrorCode SetFromOptions(PC pc, PetscOptionItems *PetscOptionsObject)
{
    Own *own = (Own *)pc->data;
    PetscFunctionBegin;
    PetscOptionsHeadBegin(PetscOptionsObject, "SSOR of solvers");
    PetscCall(PetscOptionsReal("-pc_solvers_omega", "relaxation", "", own->omega, &own->omega, NULL));
    PetscCall(PetscOptionsInt("-pc_solvers_sweeps", "symmetric sweeps", "", own->sweeps, &own->sweeps, NULL));
    PetscCall(PetscOptionsInt("-pc_solvers_seed", "seed of the tuner", "", own->seed, &own->seed, NULL));
    PetscCall(PetscOptionsBool("-pc_solvers_tuned", "a tuner chooses omega", "", own->tuned, &own->tuned, NULL));
    PetscOptionsHeadEnd();
    PetscFunctionReturn(0);
}

static PetscErrorCode View(PC pc, PetscViewer viewer)
{
    Own *own = (Own *)pc->data;
    PetscFunctionBegin;
    PetscCall(PetscViewerASCIIPrintf(viewer, "  solvers %s: SSOR of each rank's rows, omega %g%s, %d sweeps\n",
                                     sv_version_string(), (double)own->omega, own->tuned ? " (tuned)" : "",
                                     (int)own->sweeps));
    PetscFunctionReturn(0);
}

static PetscErrorCode Create(PC pc)
{
    Own *own;
    PetscFunctionBegin;
    PetscCall(PetscNew(&own));
    own->omega = 1;
    own->sweeps = 1;
    own->question = -1;
    pc->data = own;
    pc->ops->setup = SetUp;
    pc->ops->apply = Apply;
    pc->ops->presolve = PreSolve;
    pc->ops->postsolve = PostSolve;
    pc->ops->setfromoptions = SetFromOptions;
    pc->ops->view = View;
    pc->ops->reset = Reset;
    pc->ops->destroy = Destroy;
    PetscFunctionReturn(0);
}

PETSC_EXTERN PetscErrorCode PetscDLLibraryRegister_solvers_petsc(void)
{
    PetscFunctionBegin;
    PetscCall(PCRegister("solvers", Create));
    PetscFunctionReturn(0);
}
