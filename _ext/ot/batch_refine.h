/* A small problem begun in float32 and ended in float64, as iterative refinement goes: the sums of the plan of the present
 * potentials, from the costs as given, are its certificate, or else say what a Newton step in float32 must make good. */
#ifndef SOLVERS_OT_BATCH_REFINE_H
#define SOLVERS_OT_BATCH_REFINE_H

#include "batch_claim.h"
#include "batch_glance.h"

#define LIGHT 0x1p-40       /* weights below this part of the mass are not for float32 */
#define FRONT_TARGET 2e-6   /* l1 error that float32 reaches, relative to the mass */
#define GAIN 0.1            /* of a step: what the error falls to at least */
enum { STEPS_MAX = 4, FRONT_ITERATIONS = 16 /* of both kinds, at most */ };

/* The least entry of each of some rows. */
INLINE void least_of_rows(const double *const *lines, size_t count, size_t ld, double *least)
{
#ifdef V_HAS_TRANSPOSE /* the lanes of all rows together */
    vreal low[SV_W];
    if (count == SV_W) {
        for (int k = 0; k < SV_W; k++) {
            low[k] = v_load(lines[k]);
            for (size_t j = SV_W; j < ld; j += SV_W)
                low[k] = v_min(v_load(lines[k] + j), low[k]);
        }
        v_store(least, v_fold(low, v_min));
        return;
    }
#endif
    for (size_t k = 0; k < count; k++)
        least[k] = least_of(lines[k], ld);
}

/* Row minima as offsets, and scale (offset_i - C_ij) into K_float; returns whether no row spans more than `most`. */
static int find_exponents(struct solve *s, double most)
{
    const size_t together = s->in_place ? ROWS_TOGETHER : 1, ld = s->ld; /* rows that are copied share one line */
    const vreal minus = v_set1(-s->scale), infinite = v_set1(INFINITY), zero = v_set1(0);
    vreal span = zero;
    for (size_t first = 0; first < s->rows; first += together) {
        const size_t count = first + together < s->rows ? together : s->rows - first;
        const double *lines[ROWS_TOGETHER];
        double least[ROWS_TOGETHER];
        for (size_t k = 0; k < count; k++)
            lines[k] = cost_row(s, (size_t)s->kept[first + k]);
        least_of_rows(lines, count, ld, least);
        for (size_t k = 0; k < count; k++) {
            const double *line = lines[k];
            const vreal offset = v_set1(least[k]);
            float *out = s->K_float + (first + k) * ld;
            s->offset[s->kept[first + k]] = least[k];
            for (size_t j = 0; j < ld; j += SV_W) {
                const vreal c = v_sub(v_load(line + j), offset);
                span = v_max(s->in_place ? c : v_if_equal(c, infinite, zero, c), span);
                v_store_float(out + j, v_mul(minus, c));
            }
        }
    }
    return v_max_lanes(span) <= most;
}

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

/* The float32 vectors lie where the kernel in float64 would be. */
static struct ot_front lay_out_front(struct solve *s)
{
    struct ot_front f = {.rows = s->rows, .ld = s->ld, .K = s->K_float, .ahead = s->ahead, .ahead_end = s->ahead_end};
    const size_t rows = ot_batch_ld(s->n);
    float *room = (float *)s->K;
    float **columns[FRONT_COLUMN_VECTORS] = {&f.b,        &f.x,         &f.c,     &f.left,   &f.diagonal, &f.precondition,
                                             &f.residual, &f.direction, &f.image, &f.scaled, &f.step};
    for (size_t k = 0; k < FRONT_COLUMN_VECTORS; k++, room += s->ld)
        *columns[k] = room;
    float **row_vectors[FRONT_ROW_VECTORS] = {&f.a, &f.y, &f.weight, &f.row};
    for (size_t k = 0; k < FRONT_ROW_VECTORS; k++, room += rows)
        *row_vectors[k] = room;
    to_floats(f.a, s->a, s->rows);
    to_floats(f.b, s->b, s->ld);
    for (size_t j = 0; j < s->ld; j++)
        f.x[j] = f.b[j] > 0 ? 1 : 0;
    return f;
}

/* What the sums of the plan lack: of each column, and of each row relative to it. Returns the l1 norm of both. */
static double find_gaps(const struct solve *s, struct ot_front *f, const double *row_sums, const double *column_sums)
{
    double l1 = 0;
    for (size_t i = 0; i < s->rows; i++) {
        f->row[i] = (float)(s->a[i] / row_sums[i] - 1);
        l1 += fabs(s->a[i] - row_sums[i]);
    }
    for (size_t j = 0; j < s->ld; j++) {
        const double gap = j < s->m ? s->b[j] - column_sums[j] : 0;
        f->residual[j] = (float)gap;
        l1 += fabs(gap);
    }
    return l1;
}

/* The step, taken: rows meet their weights, but for rounding. */
static void take_step(struct solve *s, const struct ot_front *f, const double *row_sums)
{
    for (size_t i = 0; i < s->rows; i++)
        s->y[i] *= s->a[i] / (row_sums[i] + (double)f->row[i]);
    for (size_t j = 0; j < s->ld; j++)
        s->v[j] += LOG2_E_DOUBLE * (double)f->step[j];
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
    double *row_sums = s->row, *column_sums = s->c, error = 2 * target * s->batch->tol / s->tol;
    for (size_t i = 0; i < s->rows; i++)
        s->y[i] = f->y[i];
    for (size_t j = 0; j < s->ld; j++)
        s->v[j] = 0, s->x[j] = f->x[j];
    add_log2(s->v, s->x, s->m);
    for (int k = 0; k <= STEPS_MAX; k++) {
        if (k == 0 && target > s->tol)
            glance(s, row_sums, column_sums);
        else {
            const double before = error;
            memset(s->u, 0, s->rows * sizeof(double));
            add_log2(s->u, s->y, s->rows);
            put_potentials(s, batch->u + index * s->n, batch->v + index * s->m);
            error = certify(batch, index, tools, row_sums, column_sums);
            if (error <= batch->tol)
                return 1;
            if (k == STEPS_MAX || !(error < GAIN * before))
                return 0;
            in_units(s, row_sums, column_sums);
        }
        const double l1 = find_gaps(s, f, row_sums, column_sums);
        if (!tools->front->correct(f, (float)fmin(0.1, fmax(0.3 * s->tol / l1, 1e-5))))
            return 0;
        take_step(s, f, row_sums);
    }
    return 0;
}

/* Returns 0 where the problem is to be solved in float64. */
static int solve_refined(struct solve *s, const struct ot_tools *tools, size_t index, double easy_span)
{
    int *counts = s->batch->counts + SV_BATCH_COUNTS * index;
    if (s->batch->max_iter < FRONT_ITERATIONS || !all_heavy(s->a, s->rows, LIGHT) || !all_heavy(s->b, s->m, LIGHT) ||
        !find_exponents(s, easy_span))
        return 0;
    struct ot_front f = lay_out_front(s);
    const double target = s->tol > 1e-5 ? 0.5 * s->tol : fmax(FRONT_TARGET, fmin(5e-5, sqrt(0.3 * s->tol)));
    tools->front->powers(f.K, f.rows * f.ld);
    if (!tools->front->begin(&f, (float)target) || !refine(s, tools, index, &f, target))
        return 0;
    counts[SV_BATCH_STATUS] = STATUS_CONVERGED;
    counts[SV_BATCH_SINKHORN] = f.sinkhorn;
    counts[SV_BATCH_NEWTON] = f.newton;
    counts[SV_BATCH_CG] = f.cg;
    return 1;
}

#endif
