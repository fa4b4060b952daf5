/* The direction of a Newton step on the thinned plan, and the memory of the factor that may be needed for it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "elimination.h"
#include "newton_parts.h"
#include "sums.h"

/* Powers of two by which a direction may move an exponent. */
static const double LARGEST_MOVE = 40;
/* Conjugate gradients with the diagonal before the factor is made. */
enum { PATIENT_CG = 60 };
/* And with the factor of an earlier step, before a new one is. */
enum { REUSED_CG = 20 };
/* The residual that is asked for, over the error of the columns, which it is bound by. */
static const double LEAST_GOAL = 1e-6, LARGEST_GOAL = 0.1;
/* Column sums are at least this where they divide. */
static const double TINY = 1e-300;

/* The Newton system in units of the mass. */
struct scaled {
    double *a, *b, *c, *diagonal, *wanted, *x;
    double *values; /* those kept, or a copy of them */
    struct sv_ot_thinned system;
};

/* The nearest power of two below: a factor that rounds nothing. */
static double power_of_two(double x) { return ldexp(1, (int)floor(log2(x))); }

static void scale(const double *x, double unit, double *out, size_t size)
{
    for (size_t k = 0; k < size; k++)
        out[k] = x[k] * unit;
}

/* Solves the system for x: with its diagonal as preconditioner while that suffices, else with a factor. */
static int solve(struct sv_ot_newton *s, const struct scaled *q, double goal)
{
    struct sv_ot_newton_state *state = &s->state;
    const struct sv_ot_thinned *system = &q->system;
    double residual = INFINITY, *work = malloc(sv_ot_schur_cg_worksize(system->n, system->m) * sizeof(double));
    if (!work)
        return OT_NO_MEMORY;
    memset(q->x, 0, system->m * sizeof(double));
    if (!state->hard) {
        state->cg += sv_ot_schur_cg(system, q->wanted, q->x, goal, PATIENT_CG, NULL, &residual, work);
        state->hard = residual > goal;
    }
    int status = OT_DONE;
    struct sv_ot_factor own = {0}, *factor = s->factor ? s->factor : &own;
    if (factor->size)
        state->cg += sv_ot_schur_cg(system, q->wanted, q->x, goal, REUSED_CG, factor, &residual, work);
    if (state->hard && residual > goal) {
        sv_ot_factor_free(factor);
        const int made = sv_ot_factor_make(system, factor);
        if (made > 0)
            state->cg += sv_ot_schur_cg(system, q->wanted, q->x, goal, OT_MOST_CG, factor, &residual, work);
        status = made < 0 ? OT_NO_MEMORY : OT_DONE;
    }
    sv_ot_factor_free(&own);
    free(work);
    return status;
}

/* Where a column has too little, the change of its logarithm is the better model. */
static void set_wanted(const struct scaled *q, size_t m)
{
    for (size_t j = 0; j < m; j++) {
        const double b = q->b[j], c = q->c[j];
        q->wanted[j] = c < b ? c * log(b / fmax(c, TINY)) : b - c;
    }
}

/* The system at the state, its products of tiny masses kept from underflow by a power of two. */
static int scaled_system(const struct sv_ot_newton *s, struct scaled *q, double *error)
{
    const struct ot_problem *p = s->problem;
    const struct sv_ot_newton_state *state = &s->state;
    const struct ot_kept *kept = &state->at.kept;
    const double unit = power_of_two(1 / p->mass_a);
    const size_t n = p->n, m = p->m, entries = (size_t)kept->row_starts[n];
    double *place = s->room;
    q->a = place, q->b = q->a + n, q->c = q->b + m, q->diagonal = q->c + m, q->wanted = q->diagonal + m,
    q->x = q->wanted + m;
    scale(p->a, unit, q->a, n);
    scale(p->b, unit, q->b, m);
    scale(state->at.column_sums, unit, q->c, m);
    const double distance = sv_ot_distance_l1(q->b, q->c, m);
    *error = distance < 1 ? distance : 1;
    for (size_t j = 0; j < m; j++)
        q->diagonal[j] = q->c[j] + state->damping * *error * q->b[j];
    q->values = NULL;
    if (unit != 1) {
        q->values = malloc((entries ? entries : 1) * sizeof(double));
        if (!q->values)
            return OT_NO_MEMORY;
        scale(kept->values, unit, q->values, entries);
    }
    q->system = (struct sv_ot_thinned){.n = n, .m = m, .row_starts = kept->row_starts, .columns = kept->columns,
                                       .values = q->values ? q->values : kept->values, .a = q->a,
                                       .diagonal = q->diagonal};
    set_wanted(q, m);
    return OT_DONE;
}

int sv_ot_newton_direction(struct sv_ot_newton *s, int *clipped)
{
    const struct ot_problem *p = s->problem;
    const size_t m = p->m;
    struct scaled q;
    double error, largest = 0;
    int status = scaled_system(s, &q, &error);
    if (!status) {
        const double share = fmin(fmax(error, LEAST_GOAL), LARGEST_GOAL);
        const double enough = sv_ot_enough(s) * power_of_two(1 / p->mass_a);
        status = solve(s, &q, fmax(share * sqrt(sv_ot_distance_squared(q.wanted, NULL, 1, m)), enough));
    }
    free(q.values);
    if (status)
        return status;
    sv_ot_without_mean(p, q.x, s->direction, OT_LN2);
    /* Weights of 1e-40 and less may take x out of the numbers. */
    if (!(sv_ot_dot_change(s->direction, q.b, q.c, m) > 0)) {
        for (size_t j = 0; j < m; j++)
            q.x[j] = log2(q.b[j] / fmax(q.c[j], TINY));
        sv_ot_without_mean(p, q.x, s->direction, 1);
    }
    largest = sv_ot_distance_linf(s->direction, NULL, m);
    *clipped = largest > LARGEST_MOVE;
    if (*clipped)
        sv_ot_clip(s, q.b, q.c, LARGEST_MOVE / largest, LARGEST_MOVE);
    return OT_DONE;
}
