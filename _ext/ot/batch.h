/* Many small transport problems of one shape: what the driver, the kernels of a level and the binding share. */
#ifndef SOLVERS_OT_BATCH_H
#define SOLVERS_OT_BATCH_H

#include "batch_front.h"
#include "ot.h"

enum sv_ot_norm { SV_NORM_L1, SV_NORM_L2, SV_NORM_LINF };

/* What is counted for each problem; SV_BATCH_STATUS is a number of solvers.Status. */
enum { SV_BATCH_STATUS, SV_BATCH_SINKHORN, SV_BATCH_NEWTON, SV_BATCH_CG, SV_BATCH_COUNTS };

/* What is computed of a returned plan: the marginal error, <C, P>, and <C, P> + reg KL(P | a b'). Where C is not finite
 * neither is <C, P>. */
enum { SV_CLAIM_ERROR, SV_CLAIM_LINEAR, SV_CLAIM_VALUE, SV_BATCH_CLAIMS };

/* Strides count entries from one problem to the next; 0 where all share the data. */
struct sv_ot_batch {
    size_t problems;
    struct sv_ot_cost cost; /* of the first problem; a stored matrix */
    ptrdiff_t cost_stride, a_stride, b_stride, scale_stride;
    const double *a, *b, *scale;
    double tol;
    enum sv_ot_norm norm;
    int max_iter;
    /* Out, contiguous, a row for each problem: potentials in base 2 (-inf at zero weights) and row offsets of the plan
     * 2^(u_i + v_j - scale (C_ij - offset_i)), claims (enum above), counts. */
    double *u, *v, *offset, *claims;
    int *counts;
    double *plans; /* (problems, n, m), or NULL */
};

/* Solves all problems, in parallel over them; the bits depend on the data alone. work: sv_ot_batch_worksize doubles. */
SV_BINDING size_t sv_ot_batch_worksize(const struct sv_ot_batch *batch, int threads);
SV_BINDING void sv_ot_batch_solve(const struct sv_ot_batch *batch, double *work, int threads);

/* The mass of each row of weights, (problems, size); returns the least weight. What is no number shows in the masses. */
SV_BINDING double sv_ot_batch_masses(const double *weights, size_t problems, size_t size, double *masses);

/* The plans of solved problems, (problems, n, m), from u, v and offset; -inf potentials give zeros. */
SV_BINDING void sv_ot_batch_plans(const struct sv_ot_batch *batch, double *plans, int threads);

/* sums = M' (weight * (M x)), and sums = (M * M)' weight. */
struct ot_float_kernel {
    void (*normal)(const float *matrix, size_t rows, size_t ld, const float *x, const float *weight, float *row,
                   float *sums);
    void (*squares)(const float *matrix, size_t rows, size_t ld, const float *weight, float *sums);
};

/* The sums of a plan, sum_ij (C_ij - offset_i) P_ij (returned), and the plan, (n, m), unless NULL; past_cache: whether rows
 * of whole vectors at aligned places leave past the cache. */
struct ot_sums_kernel {
    double (*sums)(const struct sv_ot_cost *cost, double scale, const double *u, const double *v, double *row_sums,
                   double *column_sums, double *plan, int past_cache);
};

/* What a solve calls of other tables. */
struct ot_tools {
    const struct ot_sums_kernel *certificate;
    const struct ot_float_kernel *in_float;
    const struct ot_front_kernel *front;
};

/* Problem `index`, with its certificate. work: ot_batch_room doubles, at a multiple of 64 bytes. */
struct ot_batch_kernel {
    void (*solve)(const struct sv_ot_batch *batch, size_t index, const struct ot_tools *tools, double *work);
};

/* Plans of more bytes than this in all leave the cache before they are read. */
enum { PAST_CACHE_BYTES = 8 << 20 };
static inline int ot_batch_past_cache(const struct sv_ot_batch *batch)
{
    return batch->problems * batch->cost.n * batch->cost.m > PAST_CACHE_BYTES / sizeof(double);
}

/* The cost of a problem, its offsets included. */
static inline struct sv_ot_cost ot_batch_cost(const struct sv_ot_batch *batch, size_t index)
{
    struct sv_ot_cost cost = batch->cost;
    const ptrdiff_t first = (ptrdiff_t)index * batch->cost_stride;
    cost.matrix = cost.kind == SV_COST_FLOAT64 ? (const void *)((const double *)cost.matrix + first)
                                               : (const void *)((const float *)cost.matrix + first);
    cost.offset = batch->offset + index * cost.n;
    return cost;
}

/* Rows of the kernel start at a cache line and end at a whole number of vectors of either width. */
enum { BATCH_ROW_MULTIPLE = 16, BATCH_COLUMN_VECTORS = 17, BATCH_ROW_VECTORS = 7 };
static inline size_t ot_batch_ld(size_t m) { return (m + BATCH_ROW_MULTIPLE - 1) / BATCH_ROW_MULTIPLE * BATCH_ROW_MULTIPLE; }
static inline size_t ot_batch_room(size_t n, size_t m)
{
    const size_t rows = ot_batch_ld(n), ld = ot_batch_ld(m);
    return rows * ld + rows * ld / 2 + BATCH_COLUMN_VECTORS * ld + BATCH_ROW_VECTORS * rows;
}

#endif
