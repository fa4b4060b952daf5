/* Conjugate gradients with classes of forests.
 *
 * A symmetric sweep 1, 2, ..., k, ..., 2, 1 of exact block solves makes the residual of class 1 zero and keeps it so.
 * The iteration is then that on the Schur complement S = A_RR - A_R1 A_11^-1 A_1R of the rest R, with the sweep over R
 * alone as its preconditioner M: one solve of class 1 an iteration in place of two. With two classes M = A_RR, and the
 * recurrence of w = A_RR v spares the product: an iteration reads the entries between the classes twice, those inside
 * them never, beside one elimination on each class.
 */
#include <math.h>
#include <string.h>

#include "forest.h"

/* Row i of the entries between classes, times v. */
static double across(const struct sv_forest *f, int32_t i, const double *v)
{
    double sum = 0;
    for (int64_t k = f->cross_starts[i]; k < f->cross_starts[i + 1]; k++)
        sum += f->cross_values[k] * v[f->cross_columns[k]];
    return sum;
}

/* The same over columns in [from, to). */
static double across_some(const struct sv_forest *f, int32_t i, const double *v, int32_t from, int32_t to)
{
    double sum = 0;
    for (int64_t k = f->cross_starts[i]; k < f->cross_starts[i + 1]; k++) {
        int32_t j = f->cross_columns[k];
        if (j >= from && j < to)
            sum += f->cross_values[k] * v[j];
    }
    return sum;
}

/* out_b = (tree and diagonal of class b) v */
static void inside(const struct sv_forest *f, int32_t b, const double *v, double *out)
{
    for (int32_t i = f->starts[b]; i < f->starts[b + 1]; i++)
        out[i] = f->diagonal[i] * v[i];
    for (int32_t i = f->starts[b]; i < f->starts[b + 1]; i++)
        if (f->parent[i] >= 0) {
            out[i] += f->link[i] * v[f->parent[i]];
            out[f->parent[i]] += f->link[i] * v[i];
        }
}

/* z = M^-1 r on the classes from 1 on: a symmetric sweep. */
static void sweep(const struct sv_forest *f, const double *r, double *z)
{
    int32_t rest = f->starts[1], last = f->classes - 1;
    for (int32_t b = 1; b <= last; b++) {
        for (int32_t i = f->starts[b]; i < f->starts[b + 1]; i++)
            z[i] = b == 1 ? r[i] : r[i] - across_some(f, i, z, rest, f->starts[b]);
        sv_forest_solve(f, b, z);
    }
    for (int32_t b = last - 1; b >= 1; b--) {
        for (int32_t i = f->starts[b]; i < f->starts[b + 1]; i++)
            z[i] = r[i] - across_some(f, i, z, rest, f->n);
        sv_forest_solve(f, b, z);
    }
}

/* The first class's own unknowns, given those of the rest: A_11 x_1 = b_1 - A_1R x_R. */
static void first_class(const struct sv_forest *f, const double *b, double *x)
{
    for (int32_t i = 0; i < f->starts[1]; i++)
        x[i] = (b ? b[i] : 0) - across(f, i, x);
    sv_forest_solve(f, 0, x);
}

/* r_R = b_R - A_R x with class 1 solved for; returns its largest entry. */
static double residual_of(const struct sv_forest *f, const double *b, double *x, double *r)
{
    double largest = 0;
    first_class(f, b, x);
    for (int32_t c = 1; c < f->classes; c++)
        inside(f, c, x, r);
    for (int32_t i = f->starts[1]; i < f->n; i++) {
        r[i] = b[i] - r[i] - across(f, i, x);
        largest = fmax(largest, fabs(r[i]));
    }
    return largest;
}

/* q_R = S v, from w = A_RR v without the entries between the classes of R; v_1 becomes -A_11^-1 A_1R v. Returns v'q. */
static double schur_product(const struct sv_forest *f, double *v, const double *w, double *q)
{
    int32_t rest = f->starts[1];
    double product = 0;
    first_class(f, NULL, v);
    for (int32_t i = rest; i < f->n; i++) {
        q[i] = w[i] + across(f, i, v);
        product += v[i] * q[i];
    }
    return product;
}

/* The next direction: z = M^-1 r, v = z + beta v, w = A_RR v (but for the entries between the classes of R). */
static double turn(const struct sv_forest *f, const struct sv_forest_cg_vectors *at, double before)
{
    double rho = 0, *v = at->v, *w = at->w;
    sweep(f, at->r, at->z);
    for (int32_t i = f->starts[1]; i < f->n; i++)
        rho += at->r[i] * at->z[i];
    double beta = before > 0 ? rho / before : 0;
    for (int32_t i = f->starts[1]; i < f->n; i++) {
        v[i] = at->z[i] + beta * v[i];
        w[i] = at->r[i] + beta * w[i]; /* what two classes need */
    }
    if (f->classes > 2)
        for (int32_t c = 1; c < f->classes; c++)
            inside(f, c, v, w);
    return rho;
}

void sv_forest_cg_start(const struct sv_forest *f, const double *b, struct sv_forest_cg_vectors *at)
{
    memset(at->v, 0, f->n * sizeof(double));
    memset(at->w, 0, f->n * sizeof(double));
    at->rho = 0;
    at->residual = residual_of(f, b, at->x, at->r);
}

int sv_forest_cg(const struct sv_forest *f, const double *b, struct sv_forest_cg_vectors *at, double goal, int most)
{
    int done = 0;
    at->outcome = 0;
    while (done < most && at->residual > goal) {
        at->rho = turn(f, at, at->rho);
        double curvature = schur_product(f, at->v, at->w, at->q);
        if (!(curvature > 0)) {
            at->outcome = isfinite(curvature) ? 1 : 2;
            break;
        }
        double length = at->rho / curvature;
        at->residual = 0;
        for (int32_t i = f->starts[1]; i < f->n; i++) {
            at->x[i] += length * at->v[i];
            at->r[i] -= length * at->q[i];
            at->residual = fmax(at->residual, fabs(at->r[i]));
        }
        done++;
    }
    first_class(f, b, at->x);
    return done;
}
