/* The loop for MANY right-hand sides: see multilevel_many.h; multilevel_cg.c has the same for one.
 *
 * A right-hand side whose residual by recurrence has come to its goal stands still from then on. In the end b - A x is
 * formed for all; who is not there yet (rounding, a matrix that is not definite) must go on alone.
 */
#include "multilevel_many.h"

#include <math.h>
#include <string.h>

SV_DISPATCH(struct many_cycle_kernels, cycle_table, many_cycle_f32)
SV_DISPATCH(struct many_outer_kernels, outer_table, many_outer_f64)

/* What the recurrence may fall short of the truth. */
#define MARGIN 0.999

struct group {
    const struct sv_many *many;
    struct many_level level[MULTILEVEL_MOST];
    struct many_vectors v;
    ptrdiff_t first;
    int count;
    double goal[MANY], residual[MANY], curvature[MANY], alpha[MANY], beta[MANY], scale[MANY];
    int stands[MANY];
};

static size_t row_of_zeros(const struct sv_level *g) { return (size_t)(MANY * (g->n[0] + 2)); }

size_t sv_many_work(const struct sv_multilevel *M)
{
    const struct sv_level *finest = &M->level[0];
    size_t bytes = (4 * many_size(finest) + row_of_zeros(finest)) * sizeof(double);
    for (int l = 0; l < M->levels; l++)
        bytes += (2 * many_size(&M->level[l]) + row_of_zeros(&M->level[l])) * sizeof(float);
    return bytes;
}

/* Gives the group its memory; what lies beside the rows stays zero from then on. */
static void lay_out(struct group *group, char *work)
{
    const struct sv_multilevel *M = group->many->M;
    size_t size = many_size(&M->level[0]);
    double **const vectors[] = {&group->v.x, &group->v.r, &group->v.p, &group->v.q};
    for (int n = 0; n < 4; n++, work += size * sizeof(double))
        *vectors[n] = (double *)work;
    group->v.zeros = (double *)work;
    work += row_of_zeros(&M->level[0]) * sizeof(double);
    for (int l = 0; l < M->levels; l++) {
        const struct sv_level *g = &M->level[l];
        struct many_level *level = &group->level[l];
        level->g = g;
        level->right = (float *)work;
        level->x = level->right + many_size(g);
        level->zeros = level->x + many_size(g);
        work = (char *)(level->zeros + row_of_zeros(g));
    }
}

static size_t cell_at(const struct sv_level *g, ptrdiff_t row, ptrdiff_t i)
{
    return (size_t)(MANY * (row * (g->n[0] + 2) + 1 + i));
}

/* The group's columns of x, and back. */
static void columns(struct group *group, int back)
{
    const struct sv_many *many = group->many;
    const struct sv_level *g = many->A;
    size_t bytes = (size_t)group->count * sizeof(double);
    for (ptrdiff_t row = 0; row < g->n[1] * g->n[2]; row++) {
        double *theirs = many->x + row * g->n[0] * many->count + group->first;
        for (ptrdiff_t i = 0; i < g->n[0]; i++, theirs += many->count) {
            double *ours = group->v.x + cell_at(g, row, i);
            if (back)
                memcpy(theirs, ours, bytes);
            else
                memcpy(ours, theirs, bytes);
        }
        if (!back && g->periodic[0]) {
            memcpy(group->v.x + cell_at(g, row, -1), group->v.x + cell_at(g, row, g->n[0] - 1), MANY * sizeof(double));
            memcpy(group->v.x + cell_at(g, row, g->n[0]), group->v.x + cell_at(g, row, 0), MANY * sizeof(double));
        }
    }
}

/* x = last right, of the last level. */
static void solve_last(const struct group *group)
{
    const struct sv_multilevel *M = group->many->M;
    const struct many_level *level = &group->level[M->levels - 1];
    const struct sv_level *g = level->g;
    ptrdiff_t cells = g->n[0] * g->n[1] * g->n[2];
    for (ptrdiff_t i = 0; i < cells; i++) {
        double sum[MANY] = {0};
        for (ptrdiff_t j = 0; j < cells; j++) {
            const float *right = level->right + cell_at(g, j / g->n[0], j % g->n[0]);
            for (int l = 0; l < MANY; l++)
                sum[l] += M->last[j * cells + i] * (double)right[l];
        }
        float *x = level->x + cell_at(g, i / g->n[0], i % g->n[0]);
        for (int l = 0; l < MANY; l++)
            x[l] = (float)sum[l];
    }
    for (ptrdiff_t row = 0; row < g->n[1] * g->n[2] && g->periodic[0]; row++) {
        memcpy(level->x + cell_at(g, row, -1), level->x + cell_at(g, row, g->n[0] - 1), MANY * sizeof(float));
        memcpy(level->x + cell_at(g, row, g->n[0]), level->x + cell_at(g, row, 0), MANY * sizeof(float));
    }
}

static void cycle(const struct group *group)
{
    int last = group->many->M->levels - 1;
    for (int l = 0; l < last; l++)
        cycle_table()->restricted(&group->level[l], &group->level[l + 1]);
    solve_last(group);
    for (int l = last - 1; l >= 0; l--)
        cycle_table()->prolonged(&group->level[l], &group->level[l + 1]);
}

/* r = b - A x, p = 0, and who need not move. */
static void start(struct group *group)
{
    const struct sv_many *many = group->many;
    const struct sv_level *g = many->A;
    double sums[MANY];
    memset(group->v.x, 0, many_size(g) * sizeof(double));
    memset(group->v.p, 0, many_size(g) * sizeof(double));
    memset(group->v.r, 0, many_size(g) * sizeof(double));
    columns(group, 0);
    outer_table()->residual(g, many->diagonal, &group->v, many->b + group->first, many->count, group->count, sums);
    for (int l = 0; l < MANY; l++) {
        group->goal[l] = l < group->count ? MARGIN * many->goals[group->first + l] : 0;
        group->residual[l] = sqrt(sums[l]);
        group->stands[l] = !(group->residual[l] > group->goal[l]) || !isfinite(group->residual[l]);
        group->scale[l] = group->stands[l] ? 0 : 1 / group->residual[l];
        group->curvature[l] = 0;
        group->alpha[l] = -1; /* r = 0 + q by the step that also makes the cycle's copy */
    }
    memset(group->v.p, 0, many_size(g) * sizeof(double));
    outer_table()->advance(g, group->alpha, group->scale, &group->v, group->level[0].right, sums);
}

/* One iteration; returns how many right-hand sides still move. */
static int iterate(struct group *group)
{
    const struct many_outer_kernels *outer = outer_table();
    const struct sv_many *many = group->many;
    const struct sv_level *g = many->A;
    const float *z = group->level[0].x;
    double with_q[MANY], along[MANY], curvature[MANY], square[MANY];
    int moving = 0;
    cycle(group);
    outer->dot(g, z, group->v.q, with_q);
    for (int l = 0; l < MANY; l++)
        group->beta[l] = group->curvature[l] > 0 && !group->stands[l] ? -with_q[l] / group->curvature[l] : 0;
    outer->direction(g, z, group->beta, &group->v, along);
    outer->product(g, many->diagonal, &group->v, curvature);
    for (int l = 0; l < MANY; l++) {
        int moves = !group->stands[l] && isfinite(along[l]) && along[l] != 0 && curvature[l] > 0;
        group->stands[l] = !moves;
        group->alpha[l] = moves ? along[l] / curvature[l] : 0;
        group->scale[l] = moves ? 1 / group->residual[l] : 0;
        group->curvature[l] = moves ? curvature[l] : 0;
    }
    outer->advance(g, group->alpha, group->scale, &group->v, group->level[0].right, square);
    for (int l = 0; l < group->count; l++) {
        if (group->stands[l])
            continue;
        many->iterations[group->first + l]++;
        group->residual[l] = sqrt(square[l]);
        group->stands[l] = !(group->residual[l] > group->goal[l]) || !isfinite(group->residual[l]);
        moving += !group->stands[l];
    }
    return moving;
}

static void solve_group(struct group *group)
{
    const struct sv_many *many = group->many;
    double sums[MANY];
    int moving = 0;
    start(group);
    for (int l = 0; l < group->count; l++)
        moving += !group->stands[l];
    for (int64_t nit = 0; nit < many->most && moving; nit++)
        moving = iterate(group);
    outer_table()->residual(many->A, many->diagonal, &group->v, many->b + group->first, many->count, group->count, sums);
    for (int l = 0; l < group->count; l++)
        many->residuals[group->first + l] = sqrt(sums[l]);
    columns(group, 1);
}

struct share {
    const struct sv_many *many;
    char *work;
    int workers;
};

/* Every `workers`-th group, one after the other in one piece of work. */
static void solve_share(void *context, size_t index)
{
    const struct share *share = context;
    const struct sv_many *many = share->many;
    struct group group = {.many = many};
    lay_out(&group, share->work + index * sv_many_work(many->M));
    for (ptrdiff_t first = (ptrdiff_t)index * MANY; first < many->count; first += (ptrdiff_t)share->workers * MANY) {
        group.first = first;
        group.count = (int)(many->count - first < MANY ? many->count - first : MANY);
        solve_group(&group);
    }
}

void sv_many_solve(const struct sv_many *many, void *work)
{
    struct share share = {many, work, many->threads > 1 ? many->threads : 1};
    memset(many->iterations, 0, (size_t)many->count * sizeof *many->iterations);
    sv_parallel_for(share.workers, (size_t)share.workers, solve_share, &share);
}
