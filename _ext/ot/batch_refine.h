/* A small problem begun in float32 and ended in float64, as iterative refinement goes: the column sums in float64, those
 * of the first kernel to begin with, say what a Newton step in float32 must make good; the sums of the plan of the
 * potentials given out, from the costs as given, are its certificate, or else say what the next step must. */
#ifndef SOLVERS_OT_BATCH_REFINE_H
#define SOLVERS_OT_BATCH_REFINE_H

#include "batch_claim.h"
#include "batch_first.h"

#define LIGHT 0x1p-40       /* weights below this part of the mass are not for float32 */
#define FRONT_TARGET 2e-6   /* l1 error that float32 reaches, relative to the mass */
#define GAIN 0.1            /* of a step: what the error falls to at least */
enum { CERTIFICATES = 4, FRONT_ITERATIONS = 16 /* of both kinds, at most */ };

static int all_heavy(const double *weights, size_t size, double least)
{
    int heavy = 1;
    for (size_t k = 0; k < size; k++)
        heavy &= (weights[k] >= least) | (weights[k] == 0);
    return heavy;
}

static void to_floats(float *out, const double *p, size_t size)
{
    for (size_t k = 0; k < size; k++)
        out[k] = (float)p[k];
}

/* The float32 vectors lie where a solve in float64 has its own. */
static struct ot_front lay_out_front(struct solve *s)
{
    struct ot_front f = {.rows = s->rows, .ld = s->ld, .K = s->K_float, .ahead = s->ahead, .ahead_end = s->ahead_end};
    float **columns[FRONT_COLUMN_VECTORS] = {&f.b,        &f.x,         &f.c,     &f.left,   &f.diagonal, &f.precondition,
                                             &f.residual, &f.direction, &f.image, &f.scaled, &f.step};
    float *room = (float *)s->step;
    for (size_t k = 0; k < FRONT_COLUMN_VECTORS; k++, room += s->ld)
        *columns[k] = room;
    f.a = (float *)s->weight, f.y = f.a + ot_batch_ld(s->n);
    f.weight = s->float_weight, f.row = s->float_row;
    to_floats(f.a, s->a, s->rows);
    to_floats(f.b, s->b, s->ld);
    for (size_t j = 0; j < s->ld; j++)
        f.x[j] = f.b[j] > 0 ? 1 : 0;
    return f;
}

/* What the sums of the plan lack: of each column, and of each row relative to it. Returns the l1 norm of both. */
static double find_gaps(const struct solve *s, struct ot_front *f, const double *row_sums, const double *column_sums)
{
    vreal l1 = v_set1(0);
    for (size_t i = 0; i < s->rows; i += SV_W) {
        const size_t left = s->rows - i;
        const vreal a = v_load_some(s->a + i, left, 1), sum = v_load_some(row_sums + i, left, 1);
        v_store_float(f->row + i, v_sub(v_div(a, sum), v_set1(1)));
        l1 = v_add(l1, v_abs(v_sub(a, sum)));
    }
    for (size_t j = 0; j < s->ld; j += SV_W) {
        const vreal sum = j < s->m ? v_load_some(column_sums + j, s->m - j, 0) : v_set1(0);
        const vreal gap = v_sub(v_load(s->b + j), sum);
        v_store_float(f->residual + j, gap);
        l1 = v_add(l1, v_abs(gap));
    }
    return v_sum_lanes(l1);
}

/* A Newton step that makes good what the sums lack; returns 0 where there is none. */
static int make_good(struct solve *s, const struct ot_tools *tools, struct ot_front *f, const double *row_sums,
                     const double *column_sums)
{
    const double l1 = find_gaps(s, f, row_sums, column_sums);
    if (!tools->front->correct(f, (float)fmin(0.1, fmax(0.3 * s->tol / l1, 1e-5)), row_sums == s->a))
        return 0;
    for (size_t i = 0; i < s->rows; i++) /* rows meet their weights, but for rounding */
        s->y[i] *= s->a[i] / (row_sums[i] + (double)f->row[i]);
    for (size_t j = 0; j < s->ld; j++)
        s->v[j] += LOG2_E_DOUBLE * (double)f->step[j];
    return 1;
}

/* The sums of a certificate, those of the rows that are kept, in units of the weights. */
static void in_units(const struct solve *s, double *row_sums, double *column_sums)
{
    const double unit = ldexp(1, -s->exponent);
    for (size_t i = 0; i < s->rows; i++)
        row_sums[i] = unit * row_sums[s->kept[i]];
    for (size_t j = 0; j < s->m; j++)
        column_sums[j] *= unit;
}

/* From the scalings of float32 to potentials whose plan passes; returns 0 where steps do not bring that quickly. */
static int refine(struct solve *s, const struct ot_tools *tools, size_t index, struct ot_front *f, double target)
{
    const struct sv_ot_batch *batch = s->batch;
    double *row_sums = s->row, *column_sums = s->c, error = 2 * target * batch->tol / s->tol;
    for (size_t j = 0; j < s->ld; j++)
        s->v[j] = 0, s->x[j] = f->x[j];
    add_log2(s->v, s->x, s->m);
    s->ahead = f->ahead;
    evaluate(s);
    f->ahead = s->ahead;
    to_floats(f->y, s->y, s->rows);
    to_floats(f->c, s->c, s->ld);
    if (!(s->error <= 0.9 * s->tol) && !make_good(s, tools, f, s->a, s->c))
        return 0;
    for (int k = 0; k < CERTIFICATES; k++) {
        const double before = error;
        memset(s->u, 0, s->rows * sizeof(double));
        add_log2(s->u, s->y, s->rows);
        put_potentials(s, batch->u + index * s->n, batch->v + index * s->m);
        error = certify(s, index, tools, row_sums, column_sums);
        if (error <= batch->tol)
            return 1;
        if (k + 1 == CERTIFICATES || !(error < GAIN * before))
            return 0;
        in_units(s, row_sums, column_sums);
        if (!make_good(s, tools, f, row_sums, column_sums))
            return 0;
    }
    return 0;
}

/* Returns 0 where the problem is to be solved in float64. */
static int solve_refined(struct solve *s, const struct ot_tools *tools, size_t index, double easy_span)
{
    int *counts = s->batch->counts + SV_BATCH_COUNTS * index;
    if (s->batch->max_iter < FRONT_ITERATIONS || !all_heavy(s->a, s->rows, LIGHT) || !all_heavy(s->b, s->m, LIGHT) ||
        !first_kernel(s, easy_span))
        return 0;
    struct ot_front f = lay_out_front(s);
    const double target = s->tol > 1e-5 ? 0.5 * s->tol : fmax(FRONT_TARGET, fmin(5e-5, sqrt(0.3 * s->tol)));
    if (!tools->front->begin(&f, (float)target) || !refine(s, tools, index, &f, target))
        return 0;
    counts[SV_BATCH_STATUS] = STATUS_CONVERGED;
    counts[SV_BATCH_SINKHORN] = f.sinkhorn;
    counts[SV_BATCH_NEWTON] = f.newton;
    counts[SV_BATCH_CG] = f.cg;
    return 1;
}

#endif
