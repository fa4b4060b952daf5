/* The 2-D Poisson problem by conjugate gradients with SSOR; then steps of the heat equation, for which a tuner learns
 * the relaxation parameter omega from the iterations that each step took.
 *
 *     eval cc poisson.c -o poisson $(pkg-config --cflags --libs solvers)
 *     ./poisson [side of the Poisson problem [steps in time]]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <solvers.h>

enum { PLATE = 64 };

/* Ends the program where a call was refused. */
static int check(int status, const char *call)
{
    if (status < 0) {
        fprintf(stderr, "%s: %s %s\n", call, sv_status_string(status), sv_last_error());
        exit(1);
    }
    return status;
}

static void *room(size_t bytes)
{
    void *block = malloc(bytes);
    if (!block)
        exit(1);
    return block;
}

/* shift I + scale L on side^2 unknowns, L the five-point Laplacian with zeros around; columns rise in each row. */
static sv_linear *five_points(int side, double shift, double scale)
{
    const int n = side * side;
    int32_t *starts = room((n + 1) * sizeof *starts), *columns = room(5 * n * sizeof *columns), k = 0;
    double *values = room(5 * n * sizeof *values);
    sv_linear *A;

    for (int row = 0; row < n; row++) {
        const int i = row / side, j = row % side;
        const int beside[5] = {row - side, row - 1, row, row + 1, row + side};
        const int there[5] = {i > 0, j > 0, 1, j < side - 1, i < side - 1};
        starts[row] = k;
        for (int p = 0; p < 5; p++)
            if (there[p]) {
                columns[k] = beside[p];
                values[k++] = p == 2 ? shift + 4 * scale : -scale;
            }
    }
    starts[n] = k;
    check(sv_linear_from_csr_i32(n, k, starts, columns, values, &A), "sv_linear_from_csr_i32");
    free(starts), free(columns), free(values); /* the handle has copies */
    return A;
}

/* One number that differs where any bit of the answer does. */
static uint64_t digest(const double *x, int n)
{
    uint64_t all = 0;
    for (int i = 0; i < n; i++) {
        union {
            double number;
            uint64_t bits;
        } word = {x[i]};
        all = (all << 7 | all >> 57) ^ word.bits;
    }
    return all;
}

static void poisson(int side, const sv_control *control)
{
    const int n = side * side;
    double *b = room(n * sizeof *b), *x = room(n * sizeof *x);
    sv_linear *A = five_points(side, 0, 1);
    sv_report report = SV_REPORT_INIT;

    for (int i = 0; i < n; i++)
        b[i] = 1, x[i] = 0;
    check(sv_linear_solve(A, b, x, NULL, control, &report), "sv_linear_solve");
    printf("poisson: status %d after %d iterations, bits %016" PRIX64 "\n", report.status, (int)report.nit, digest(x, n));
    sv_linear_destroy(A);
    free(b), free(x);
}

/* Implicit Euler: (I + 16 L) u_new = u. */
static void heat(int steps, const sv_control *control)
{
    const int n = PLATE * PLATE;
    double *u = room(n * sizeof *u), *b = room(n * sizeof *b);
    sv_linear *A = five_points(PLATE, 1, 16);
    sv_linear_options options = SV_LINEAR_OPTIONS_INIT;
    sv_report report = SV_REPORT_INIT;
    sv_omega_tuner *tuner;
    int64_t question, iterations = 0;

    for (int i = 0; i < n; i++) {
        const int y = i / PLATE + 1, x = i % PLATE + 1;
        u[i] = (double)(y * (PLATE + 1 - y) * x * (PLATE + 1 - x)) / (1 << 20);
    }
    check(sv_omega_tuner_create(&tuner, NULL), "sv_omega_tuner_create");
    for (int step = 0; step < steps; step++) {
        for (int i = 0; i < n; i++)
            b[i] = u[i];
        check(sv_omega_tuner_ask(tuner, 0, &options.omega, &question), "sv_omega_tuner_ask");
        check(sv_linear_solve(A, b, u, &options, control, &report), "sv_linear_solve");
        check(sv_omega_tuner_tell(tuner, question, (double)report.nit), "sv_omega_tuner_tell");
        iterations += report.nit;
    }
    printf("heat: %d steps, %d iterations, bits %016" PRIX64 "\n", steps, (int)iterations, digest(u, n));
    sv_omega_tuner_destroy(tuner);
    sv_linear_destroy(A);
    free(u), free(b);
}

int main(int argc, char **argv)
{
    const int side = argc > 1 ? atoi(argv[1]) : 256, steps = argc > 2 ? atoi(argv[2]) : 40;
    sv_control control = SV_CONTROL_INIT;
    control.threads = 1;
    printf("solvers %s, level %s\n", sv_version_string(), sv_isa());
    poisson(side, &control);
    heat(steps, &control);
    return 0;
}
