/* Poisson's equation on a square of n x n cells across ranks, solved some times with PETSc's options:
 *
 *     mpicc -o poisson poisson.c $(pkg-config --cflags --libs PETSc)
 *     mpiexec -n 4 ./poisson -n 128 -solves 20 -dll_append ./libsolvers_petsc.so -pc_type solvers -pc_solvers_tuned
 *
 * Prints the norm of the last solution, its relative residual, and the iterations of each solve.
 */
#include <petscdmda.h>
#include <petscksp.h>

static PetscErrorCode Fill(DM da, Mat A, Vec b, PetscInt n)
{
    PetscInt x0, y0, nx, ny;
    PetscScalar **right;

    PetscFunctionBeginUser;
    PetscCall(DMDAGetCorners(da, &x0, &y0, NULL, &nx, &ny, NULL));
    PetscCall(DMDAVecGetArray(da, b, &right));
    for (PetscInt j = y0; j < y0 + ny; j++)
        for (PetscInt i = x0; i < x0 + nx; i++) {
            MatStencil row = {.i = i, .j = j}, columns[5];
            PetscScalar values[5];
            PetscInt count = 0;
            PetscInt beside[4][2] = {{i, j - 1}, {i - 1, j}, {i + 1, j}, {i, j + 1}};
            for (int k = 0; k < 4; k++)
                if (beside[k][0] >= 0 && beside[k][0] < n && beside[k][1] >= 0 && beside[k][1] < n) {
                    columns[count] = (MatStencil){.i = beside[k][0], .j = beside[k][1]};
                    values[count++] = -1;
                }
            columns[count] = row;
            values[count++] = 4;
            PetscCall(MatSetValuesStencil(A, 1, &row, count, columns, values, INSERT_VALUES));
            right[j][i] = PetscSinReal(1.0 + (i * n + j) % 1009);
        }
    PetscCall(DMDAVecRestoreArray(da, b, &right));
    PetscCall(MatAssemblyBegin(A, MAT_FINAL_ASSEMBLY));
    PetscCall(MatAssemblyEnd(A, MAT_FINAL_ASSEMBLY));
    PetscFunctionReturn(0);
}

int main(int argc, char **argv)
{
    DM da;
    Mat A;
    Vec b, x, r;
    KSP ksp;
    PetscInt n = 64, solves = 1, iterations;
    PetscReal size, left, right;

    PetscFunctionBeginUser;
    PetscCall(PetscInitialize(&argc, &argv, NULL, NULL));
    PetscCall(PetscOptionsGetInt(NULL, NULL, "-n", &n, NULL));
    PetscCall(PetscOptionsGetInt(NULL, NULL, "-solves", &solves, NULL));
    PetscCall(DMDACreate2d(PETSC_COMM_WORLD, DM_BOUNDARY_NONE, DM_BOUNDARY_NONE, DMDA_STENCIL_STAR, n, n, PETSC_DECIDE,
                           PETSC_DECIDE, 1, 1, NULL, NULL, &da));
    PetscCall(DMSetUp(da));
    PetscCall(DMCreateMatrix(da, &A));
    PetscCall(DMCreateGlobalVector(da, &b));
    PetscCall(VecDuplicate(b, &x));
    PetscCall(VecDuplicate(b, &r));
    PetscCall(Fill(da, A, b, n));

    PetscCall(KSPCreate(PETSC_COMM_WORLD, &ksp));
    PetscCall(KSPSetOperators(ksp, A, A));
    PetscCall(KSPSetType(ksp, KSPCG));
    PetscCall(KSPSetNormType(ksp, KSP_NORM_UNPRECONDITIONED));
    PetscCall(KSPSetTolerances(ksp, 1e-12, 0, PETSC_DEFAULT, 5000));
    PetscCall(KSPSetFromOptions(ksp));
    for (PetscInt k = 0; k < solves; k++) {
        PetscCall(KSPSolve(ksp, b, x));
        PetscCall(KSPGetIterationNumber(ksp, &iterations));
        PetscCall(PetscPrintf(PETSC_COMM_WORLD, "iterations %d\n", (int)iterations));
    }
    PetscCall(MatMult(A, x, r));
    PetscCall(VecAYPX(r, -1, b));
    PetscCall(VecNorm(x, NORM_2, &size));
    PetscCall(VecNorm(r, NORM_2, &left));
    PetscCall(VecNorm(b, NORM_2, &right));
    PetscCall(PetscPrintf(PETSC_COMM_WORLD, "norm %.15e\nresidual %.3e\n", (double)size, (double)(left / right)));

    PetscCall(KSPDestroy(&ksp));
    PetscCall(VecDestroy(&r));
    PetscCall(VecDestroy(&x));
    PetscCall(VecDestroy(&b));
    PetscCall(MatDestroy(&A));
    PetscCall(DMDestroy(&da));
    PetscCall(PetscFinalize());
    return 0;
}
