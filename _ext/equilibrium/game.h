/* First-order methods on a matrix game: min over x in a simplex of n, max over y in one of m, of
 * y'A x + linear_x'x + linear_y'y. With H = A x + linear_y + linear_x'x and G = A'y + linear_x + linear_y'y the gap of a
 * pair is max H - min G >= 0. */
#ifndef SOLVERS_EQUILIBRIUM_GAME_H
#define SOLVERS_EQUILIBRIUM_GAME_H

#include <stddef.h>
#include <stdint.h>

#include "runtime.h"

/* Half of a sparse matrix: its rows, or its columns. */
struct sv_game_sparse {
    const int32_t *starts, *index;
    const double *value;
};

/* A by rows and by columns, both in one of three forms; the others are NULL. */
struct sv_game {
    size_t m, n;
    const float *rows32, *columns32;
    const double *rows64, *columns64;
    struct sv_game_sparse rows, columns;
    const double *linear_x, *linear_y; /* NULL: none */
};

/* Vectors of n and of m entries in one block, x or G first. */
struct sv_game_pdhg {
    double *pair, *products, *anchor, *anchor_products; /* products: [G | H] of the pair */
    double *next, *next_products;                       /* the last T(pair) */
    double *best;                                       /* the feasible pair of the least gap so far */
    double norm, weight, threshold_x, threshold_y;
    double gap, best_gap;
    double residual, first_residual; /* of the last step, and of the first from the anchor */
    int64_t count, raises;           /* steps since the anchor, and how often the norm was too small */
    double reads;                    /* entries of A read, in its dense form */
    double *work;                    /* 4 max(m, n) */
    int32_t *list;                   /* max(m, n) */
};

/* Steps of restarted reflected Halpern PDHG, and the restart, to the last T(pair). */
void sv_game_pdhg_run(const struct sv_game *game, struct sv_game_pdhg *s, int64_t steps);
void sv_game_pdhg_restart(const struct sv_game *game, struct sv_game_pdhg *s, double moves[2]);

/* What the driver of these steps keeps beside them; 0, infinity, 0, 0 at first. */
struct sv_game_course {
    double summed, last; /* of the weight's errors; the residual at the last look */
    int64_t nit, restarts;
};

/* How many steps it is to the next look, or 1 where each is to be seen; at most as many as are left. */
SV_BINDING int64_t sv_game_steps(int64_t nit, int64_t max_iter, int every);
/* So many steps, and, where they end at a look, perhaps a restart. Whether they do. */
SV_BINDING int sv_game_pdhg_advance(const struct sv_game *game, struct sv_game_pdhg *s, struct sv_game_course *course,
                                    int64_t steps);
/* Whether a gap of the scaled game leaves no more to gain: from where entries stored as floats might be seen, or at
 * rounding. */
SV_BINDING int sv_game_spent(double gap, int narrow);
/* Goes on from the best pair on another storage of the same game. */
SV_BINDING void sv_game_pdhg_resume(const struct sv_game *game, struct sv_game_pdhg *s, struct sv_game_course *course);

/* A lower estimate of the norm of A centred by rows and columns, by power steps; 1 where it is 0. start: n doubles of
 * work; work: 2 max(m, n); list: max(m, n). */
SV_BINDING double sv_game_norm(const struct sv_game *game, int steps, double *start, double *work, int32_t *list);

/* Regret matching+ and what it needs; pairs and products as above. */
struct sv_game_regret {
    double *regrets, *pair, *products; /* products of the last losses met */
    double *average, *average_products, *best;
    double weights, best_gap;
    int64_t count;
    double reads;
    int predictive;
    double *work;
    int32_t *list;
};

SV_BINDING void sv_game_regret_run(const struct sv_game *game, struct sv_game_regret *s, int64_t steps);

/* [G | H] of a pair. work: max(m, n). */
SV_BINDING void sv_game_products(const struct sv_game *game, const double *pair, double *products, double *work,
                                 int32_t *list);

/* (A - shift) / scale of a dense A, by rows and by columns, as floats or doubles; scale is a power of two. Strides
 * count entries. */
SV_BINDING void sv_game_copy(const void *A, int is_float, size_t m, size_t n, ptrdiff_t row_stride,
                             ptrdiff_t column_stride, double shift, double scale, int as_float, void *rows,
                             void *columns);

struct sv_game_sums {
    double square, cross, image, image_square;
};

struct game_kernels {
    /* out = sum_k factor[k] row list[k], rows of `length` entries. */
    void (*combine_float)(const float *rows, size_t length, size_t count, const int32_t *list, const double *factor,
                          double *out);
    void (*combine)(const double *rows, size_t length, size_t count, const int32_t *list, const double *factor,
                    double *out);
    /* out = z + a u + b v */
    void (*ahead)(size_t n, const double *z, double a, const double *u, double b, const double *v, double *out);
    /* z = share (2 next - z) + (1 - share) anchor */
    void (*reflect)(size_t n, double share, const double *next, const double *anchor, double *z);
    /* Of d = p - q and e = u - v: d'd, d'e, sum e, e'e. */
    struct sv_game_sums (*differences)(size_t n, const double *p, const double *q, const double *u, const double *v);
    double (*largest)(size_t n, double sign, const double *v);
    double (*dot)(size_t n, const double *u, const double *v);
};

#endif
