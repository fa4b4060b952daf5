/* When to sweep, and when to follow conjugate gradients: see sweeps.h.
 *
 * Sweeps find which coordinates are free. Where these and their signs stay, the rest is linear: conjugate gradients,
 * preconditioned by the curvatures, take the free coordinates towards the solution, up to the first one that would
 * change sign or pass a bound; it stays there, and sweeps go on. Without kinks and bounds there is nothing to be found
 * by sweeps. Both only ever lower the objective. The gradient of
 * the conjugate gradients is computed from q, so that its rounding does not add up.
 */
#include "sweeps.h"

#include <math.h>
#include <string.h>

SV_DISPATCH(struct sweep_kernels, kernel_table, sweep_kernels_f64)

enum { SETTLING = 8, MOST_PRODUCTS = 200 };

/* A face is swept until its violation is this share of that of all coordinates; and solved to this share of it. */
#define SETTLED 0.1
#define SOLVED 0.03

/* A direction whose curvature is less than this share of that of its coordinates one by one is flat to rounding: the
 * step's rounding in q would be that of r over the share. */
#define FLAT 1e-11

void sv_sweeps_curvatures(struct sv_sweeps *s) { kernel_table()->curvatures(s); }

void sv_sweeps_combine(const struct sv_sweeps *s, size_t count, const double *p, double *t)
{
    kernel_table()->combine(s, count, p, t);
}

void sv_sweeps_dots(const struct sv_sweeps *s, size_t count, double *r) { kernel_table()->dots(s, count, r); }

/* The coordinates that can move both ways with a linear gradient; returns how many. */
static size_t find_face(struct sv_sweeps *s)
{
    size_t count = 0;
    for (size_t j = 0; j < s->p; j++) {
        double w = s->w[j];
        if ((s->l1[j] == 0 || w != 0) && w > s->low[j] && w < s->high[j] && s->curvature[j] > 0)
            s->face[count++] = (int32_t)j;
    }
    return count;
}

/* Where coordinate j ends in the direction of `way`: a bound, or the kink at zero. */
static double end_of(const struct sv_sweeps *s, size_t j, double way)
{
    double end = way < 0 ? s->low[j] : s->high[j];
    if (s->l1[j] > 0 && (s->w[j] > 0) == (way < 0))
        end = way < 0 ? fmax(end, 0) : fmin(end, 0);
    return end;
}

/* How far along p the face can go, up to `share`; *blocking: the place in it of the one that ends there, or count. */
static double reach(const struct sv_sweeps *s, size_t count, const double *p, double share, size_t *blocking)
{
    *blocking = count;
    for (size_t k = 0; k < count; k++) {
        size_t j = (size_t)s->face[k];
        double part = p[k] == 0 ? INFINITY : (end_of(s, j, p[k]) - s->w[j]) / p[k];
        if (part < share) {
            share = part;
            *blocking = k;
        }
    }
    return share;
}

/* Takes the face by share p, the blocking coordinate to its end, none beyond. */
static void advance(struct sv_sweeps *s, size_t count, const double *p, double share, size_t blocking)
{
    for (size_t k = 0; k < count; k++) {
        size_t j = (size_t)s->face[k];
        double end = end_of(s, j, p[k]), to = s->w[j] + share * p[k];
        s->w[j] = k == blocking || (p[k] < 0 ? to < end : p[k] > 0 && to > end) ? end : to;
    }
}

/* Entries of the face's columns. */
static double entries_of_face(const struct sv_sweeps *s, size_t count)
{
    double entries = 0;
    for (size_t k = 0; k < count; k++)
        entries += (double)sv_sweeps_entries(s, (size_t)s->face[k]);
    return entries;
}

/* r = minus the gradient on the face, y = r over the curvatures; *largest: the largest of |r|. Returns r'y. */
static double residual(const struct sv_sweeps *s, size_t count, double *r, double *y, double *largest)
{
    double product = 0;
    *largest = 0;
    kernel_table()->dots(s, count, r);
    for (size_t k = 0; k < count; k++) {
        size_t j = (size_t)s->face[k];
        double w = s->w[j];
        r[k] = -(r[k] + s->l2[j] * w + (w > 0 ? s->l1[j] : -s->l1[j]));
        y[k] = r[k] / s->curvature[j];
        product += r[k] * y[k];
        *largest = fmax(*largest, fabs(r[k]));
    }
    return product;
}

/* Conjugate gradients on the face until no equation there is violated by more than `goal`, or one comes to its end.
 * Returns the violation that was last computed. */
static double solve_face(struct sv_sweeps *s, size_t count, double goal, double most)
{
    const struct sweep_kernels *kernels = kernel_table();
    const double entries = 2 * entries_of_face(s, count);
    double *r = s->work, *p = r + s->p, *y = p + s->p, *t = y + s->p, before = INFINITY, largest = INFINITY;
    memset(p, 0, count * sizeof *p);
    for (int it = 0; it < MOST_PRODUCTS && s->entries < most; it++) {
        double product = residual(s, count, r, y, &largest), down = 0, bend = 0, apart = 0;
        s->entries += entries;
        if (!(largest > goal))
            return largest;
        for (size_t k = 0; k < count; k++) {
            p[k] = y[k] + product / before * p[k];
            down += r[k] * p[k];
            bend += s->l2[s->face[k]] * p[k] * p[k];
            apart += s->curvature[s->face[k]] * p[k] * p[k];
        }
        before = product;
        kernels->combine(s, count, p, t);
        bend += kernels->bend(s, t);
        s->products++;
        if (!(down > 0 && bend > FLAT * apart && isfinite(apart)))
            return largest;
        size_t blocking;
        double share = reach(s, count, p, down / bend, &blocking);
        advance(s, count, p, share, blocking);
        kernels->follow(s, share, t);
        if (blocking < count)
            return largest;
    }
    return largest;
}

int sv_sweeps_smooth(const struct sv_sweeps *s)
{
    for (size_t j = 0; j < s->p; j++)
        if (s->l1[j] > 0 || s->low[j] > -INFINITY || s->high[j] < INFINITY)
            return 0;
    return 1;
}

double sv_sweeps_minimise(struct sv_sweeps *s, double tol, double most)
{
    const struct sweep_kernels *kernels = kernel_table();
    most += s->entries;
    if (sv_sweeps_smooth(s)) {
        double largest = solve_face(s, find_face(s), tol, most);
        if (largest <= tol || s->entries >= most)
            return largest;
        sv_sweeps_curvatures(s); /* steps on single coordinates need more than estimates */
    }
    for (;;) {
        size_t changes = 0;
        double violation = kernels->sweep(s, s->p, NULL, &changes), here = violation;
        if (!(violation > tol) || s->entries >= most)
            return violation;
        size_t count = find_face(s);
        double goal = fmax(SETTLED * violation, 0.5 * tol);
        for (int k = 0; k < SETTLING && here > goal && changes > 0 && s->entries < most; k++) {
            changes = 0;
            here = kernels->sweep(s, count, s->face, &changes);
        }
        if (here > goal) {
            count = find_face(s);
            solve_face(s, count, fmax(SOLVED * violation, 0.3 * tol), most);
        }
    }
}
