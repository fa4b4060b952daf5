/* Kernels of entropic optimal transport, in base 2.
 *
 * With the potentials f, g of the problem, u = (f - offset)/(reg ln2) and v = g/(reg ln2):
 *
 *     P_ij = 2^(u_i + v_j - scale * (C_ij - offset_i)),      scale = 1/(reg ln2)
 *
 * offset (row minima, or NULL) keeps a large common part of C out of the exponents. Where column_offset is given too
 * (what the columns then have in common), read C_ij - offset_i - column_offset_j for C_ij - offset_i everywhere, and
 * (g - column_offset)/(reg ln2) for v.
 */
#ifndef SOLVERS_OT_H
#define SOLVERS_OT_H

#include <stddef.h>

#include "runtime.h"

enum sv_ot_cost_kind {
    SV_COST_FLOAT64,
    SV_COST_FLOAT32,
    SV_COST_SQEUCLIDEAN,
    SV_COST_EUCLIDEAN,
    SV_COST_CITYBLOCK,
    SV_COST_CHEBYSHEV,
    SV_COST_MINKOWSKI,
};

/* A cost matrix, stored or made on the fly from points. */
struct sv_ot_cost {
    enum sv_ot_cost_kind kind;
    size_t n, m;          /* rows, columns */
    const void *matrix;   /* stored: rows of m contiguous entries, `stride` entries apart */
    ptrdiff_t stride;
    const double *x, *y;  /* points: x is (n, d), y is (d, m), both contiguous */
    size_t d;
    double p;             /* exponent of SV_COST_MINKOWSKI, > 0 */
    const double *offset; /* (n,), or NULL where the exponents scale * C_ij stay far below 2^46 */
    const double *column_offset; /* (m,), or NULL; only beside offset */
};

/* Doubles of work space that the calls below need. */
SV_BINDING size_t sv_ot_worksize(size_t n, size_t m);

/* Rows whose column sums are added up together (blocks.c): ranks that share rows cut them between such leaves. */
enum { OT_LEAF_ROWS = 32 };

/* One Sinkhorn iteration in one read of C: u becomes the best potential against v (each row of the
 * plan then sums to a_i), and column_sums those of the plan at the new u. `rest`, here and below, becomes what
 * rounding took off the column sums, (m,); NULL where it is not asked for. */
SV_BINDING void sv_ot_sweep(const struct sv_ot_cost *cost, double scale, const double *a, double *u, const double *v,
                            double *column_sums, double *rest, double *work, int threads);

/* The large entries of a plan, in compressed rows: what a Newton step keeps of it. */
struct ot_thinning {
    double share; /* keep P_ij >= share * a_i, share > 0, */
    size_t most;  /* and of a row with more than so many a larger share, the smallest of share * 4^k that leaves fewer */
    double *values;
    int *columns;
    ptrdiff_t *counts; /* of each row */
};

/* Entries that `values` and `columns` need room for in the next call. */
SV_BINDING size_t sv_ot_thinned_room(size_t n, size_t m, size_t most);

/* A sweep that also keeps the large entries of the plan at the new u. They end one row after another. */
SV_BINDING void sv_ot_sweep_thinned(const struct sv_ot_cost *cost, double scale, const double *a, double *u,
                                    const double *v, double *column_sums, double *rest,
                                    const struct ot_thinning *thinning, double *work, int threads);

/* Where a plan goes, and what its rows are to be multiplied by. */
struct ot_storing {
    double *plan; /* rows `stride` entries apart */
    size_t stride;
    double *x; /* (n,) */
};

/* The plan at (u, v) stored, x_i = a_i over its row sum, and the column sums of diag(x) P: a sweep that leaves u, but for
 * rows whose sum is out of range there: these are stored at minus their largest exponent. */
SV_BINDING void sv_ot_store(const struct sv_ot_cost *cost, double scale, const double *a, double *u, const double *v,
                            const struct ot_storing *storing, double *column_sums, double *rest, double *work,
                            int threads);

/* The same where a row answers only in part: with q_i the base-2 logarithm of sum_j 2^(v_j - scale (C_ij - offset_i)),
 * u_i becomes base_i - damping * q_i; base = log2 a and damping = 1 would be the sweep above. q is handed out. */
SV_BINDING void sv_ot_damped_sweep(const struct sv_ot_cost *cost, double scale, const double *base, double damping,
                                   double *u, const double *v, double *q, double *column_sums, double *work,
                                   int threads);

/* Row sums and column sums of the plan, and sum_ij (C_ij - offset_i) P_ij (returned). */
SV_BINDING double sv_ot_marginals(const struct sv_ot_cost *cost, double scale, const double *u, const double *v,
                                  double *row_sums, double *column_sums, double *rest, double *work, int threads);

/* Rows [first, last) of the plan, `stride` entries apart. */
SV_BINDING void sv_ot_plan_rows(const struct sv_ot_cost *cost, double scale, const double *u, const double *v,
                                size_t first, size_t last, double *plan, size_t stride, int threads);

/* The entries >= threshold of the rows [first, last) of the plan, in row order: their values, their columns
 * and how many there are in each row. values and columns have room for all (last - first) m entries. */
SV_BINDING void sv_ot_large_entries(const struct sv_ot_cost *cost, double scale, const double *u, const double *v,
                                    size_t first, size_t last, double threshold, double *values, int *columns,
                                    ptrdiff_t *counts, int threads);

/* column_max_j = max_i u_i - scale * (C_ij - offset_i). */
SV_BINDING void sv_ot_column_max(const struct sv_ot_cost *cost, double scale, const double *u, double *column_max,
                                 double *work, int threads);

/* The least and the largest entry of each row of a stored cost, without offsets; returns whether all are finite (else the
 * others mean nothing). */
SV_BINDING int sv_ot_row_range(const struct sv_ot_cost *cost, double *least, double *largest);

/* A plan thinned to its large entries, in compressed rows (an entry of row i and column `columns[k]`
 * at row_starts[i] <= k < row_starts[i + 1]), with the full plan's row and column sums. */
struct sv_ot_sparse_hessian {
    size_t n, m;
    const ptrdiff_t *row_starts;
    const int *columns;
    const double *values, *row_sums, *column_sums;
};

/* Solves [diag(row_sums) P; P' diag(column_sums)] (x; y) = (p; q) by conjugate gradients with the
 * diagonal as preconditioner, from 0, until the residual's 2-norm is at most rtol times that of the
 * right-hand side. Returns the iterations taken. work: 4 (n + m) doubles. */
SV_BINDING int sv_ot_newton_cg(const struct sv_ot_sparse_hessian *hessian, const double *p, const double *q, double *x,
                               double *y, double rtol, int max_iter, double *work);

/* A transportation problem on few arcs (network_simplex.c). Nodes: n sources, m sinks, a root. */
struct sv_ot_network {
    size_t n, m, arcs;
    const int *rows, *columns; /* of the arcs; NULL: all arcs of a matrix, e from row e / m to column e % m */
    const double *costs;
    const double *base; /* (n,): costs of the artificial arcs to the root */
};

/* A spanning tree with its flows; n + m + 1 entries each. */
struct sv_ot_tree {
    int *parent;    /* -1 for the root */
    int *arc;       /* the arc between the node and its parent; -1 for an artificial one */
    double *flow;   /* on that arc: whole numbers */
    double *height; /* f of a source, -g of a sink */
};

/* Ints of work space that the calls below need. */
SV_BINDING size_t sv_ot_network_worksize(size_t n, size_t m);

/* Along `count` arcs, in the given order, what their ends have left: shipped_e = min(a_i, b_j), less in a and b. */
SV_BINDING void sv_ot_network_ship(const struct sv_ot_network *net, const ptrdiff_t *order, size_t count, double *a,
                                   double *b, double *shipped);

/* The first tree, from what sv_ot_network_ship shipped until nothing was left. */
SV_BINDING void sv_ot_network_start(const struct sv_ot_network *net, const double *shipped, struct sv_ot_tree *tree,
                                    int *work);

/* The first tree where all arcs of a matrix are there: each row goes by its cheapest arcs, against the column prices g, to
 * where there is room. a and b, whole numbers of equal sum, are spent. work: that many doubles. */
SV_BINDING size_t sv_ot_network_fill_worksize(size_t n, size_t m);
SV_BINDING void sv_ot_network_fill(const struct sv_ot_network *net, double *a, double *b, const double *g,
                                   struct sv_ot_tree *tree, double *work);

/* Pivots until no arc has a reduced cost below -tolerance, or max_pivots; returns the pivots made, or -1 where the
 * parents make no tree. */
SV_BINDING ptrdiff_t sv_ot_network_simplex(const struct sv_ot_network *net, struct sv_ot_tree *tree, double tolerance,
                                           ptrdiff_t max_pivots, int *work);

/* The flows of a tree for any weights: flow (n + m + 1,), on the arc between each node and its parent. Returns 0 where
 * the parents make no tree. */
SV_BINDING int sv_ot_network_flows(const struct sv_ot_network *net, const struct sv_ot_tree *tree, const double *a,
                                    const double *b, double *flow, int *work);

/* Of a tree's plan and potentials f and g, where a and b are the weights in SV_FLOW_UNIT, as flows are, times that: the
 * plan's cost, <a, f> + <b, g>, <a, |f|> + <b, |g|>, and the same of what they differ from their means. */
#define SV_FLOW_UNIT 0x1p-52
struct sv_ot_gap {
    double value, dual, size, spread;
};
SV_BINDING struct sv_ot_gap sv_ot_network_gap(const struct sv_ot_network *net, const int *arc, const double *flow,
                                              const double *a, const double *b, const double *f, const double *g);

enum { SV_PRICE_MOST = 64 };

/* The cheapest arcs of each row against the column prices g (pricing.c). For each row i: least_i = min_j C_ij - g_j
 * and, of the arcs with C_ij - g_j < limit_i, the `most` (1 to SV_PRICE_MOST) with the least: how many, their columns
 * and their C_ij, at row i's own place. */
SV_BINDING void sv_ot_price(const struct sv_ot_cost *cost, const double *g, const double *limit, double *least,
                            int most, int *counts, int *columns, double *costs, int threads);

/* What is below 2^-OT_LOST of a row's weight may be left out of a sweep (live.h). */
#define OT_LOST 112

/* Doubles for the terms of one row, with room to choose where within a page they begin. */
#define OT_PAGE_BYTES 4096
static inline size_t ot_row_room(size_t m) { return m + OT_PAGE_BYTES / sizeof(double); }

/* What a level provides: the same calls for the rows [first, last), sums being added to. `room`: that of two rows. */
struct ot_kernels {
    /* thinning: NULL, or where the entries of these rows go, and the counts of all rows. storing: NULL, or of all rows. */
    void (*sweep)(const struct sv_ot_cost *cost, double scale, const double *a, double *u, const double *v,
                  double *column_sums, double *room, const struct ot_thinning *thinning,
                  const struct ot_storing *storing, size_t first, size_t last);
    double (*marginals)(const struct sv_ot_cost *cost, double scale, const double *u, const double *v,
                        double *row_sums, double *column_sums, size_t first, size_t last);
    /* past_cache: whether rows of whole vectors at aligned places leave past the cache. */
    void (*plan_rows)(const struct sv_ot_cost *cost, double scale, const double *u, const double *v, double *plan,
                      size_t stride, size_t first, size_t last, int past_cache);
    void (*large_entries)(const struct sv_ot_cost *cost, double scale, const double *u, const double *v,
                          double threshold, double *values, int *columns, ptrdiff_t *counts, size_t first,
                          size_t last);
    void (*column_max)(const struct sv_ot_cost *cost, double scale, const double *u, double *column_max, size_t first,
                       size_t last);
    int (*row_range)(const struct sv_ot_cost *cost, double *least, double *largest, size_t first, size_t last);
    /* sums += x; what that loses is added to `lost`. */
    void (*add_sums)(double *sums, double *lost, const double *x, size_t m);
};

struct ot_price_kernels {
    void (*price)(const struct sv_ot_cost *cost, const double *g, const double *limit, double *least, int most,
                  int *counts, int *columns, double *costs, size_t first, size_t last);
    /* *least = min_j costs_j + heights_j; returns its place where it is below the bound, else -1. */
    ptrdiff_t (*below)(const double *costs, const double *heights, size_t m, double bound, double *least);
};

/* How the rows answer in a damped sweep. */
struct ot_response {
    const double *base;
    double damping;
    double *q;
};

struct ot_damped_kernels {
    void (*sweep)(const struct sv_ot_cost *cost, double scale, const struct ot_response *response, double *u,
                  const double *v, double *column_sums, double *room, size_t first, size_t last);
};

#endif
