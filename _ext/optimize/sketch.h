/* Sketch and project: A x = b by projections onto the solutions of small random combinations S'A x = S'b of its rows.
 *
 *     W = S'A,  t = W x - S'b,  (W W') u = t,  x -= omega W'u
 *
 * t comes from x itself, so that no residual is kept or updated: one pass over what S touches, not two. Kinds:
 *
 *   row        S = e_i: Kaczmarz; 2 passes over one row, the second from cache: 8 bytes an entry (12 of CSR), 4 flops
 *   block      S = q columns of I: a fixed random partition whose factors of W W' are kept, or a fresh subset each time
 *   gaussian   S of normal numbers: a pass over A by BLAS, 2 q flops an entry
 *   count      each row of A goes with a random sign into one of q sums: 2 flops an entry
 *   sign       into one of each of `nonzeros` groups of the sums
 *
 * Draws are functions of (seed, number of the projection): a run can be cut anywhere and resumed to the same bits.
 */
#ifndef SOLVERS_OPTIMIZE_SKETCH_H
#define SOLVERS_OPTIMIZE_SKETCH_H

#include <stddef.h>
#include <stdint.h>

#include "sampling.h"
#include "columns.h"
#include "sparse.h"
#include "runtime.h"

enum sv_sketch_kind { SV_SKETCH_ROW, SV_SKETCH_BLOCK, SV_SKETCH_GAUSSIAN, SV_SKETCH_COUNT, SV_SKETCH_SIGN };
/* Which row, or which rows of a block: for blocks `turns` goes through a partition, `uniform` draws a subset. */
enum sv_sketch_rule { SV_PICK_UNIFORM, SV_PICK_NORMS, SV_PICK_CYCLIC, SV_PICK_LARGEST, SV_PICK_TURNS };
/* What is carried from one projection to the next: nothing, a velocity, or Nesterov's two sequences. */
enum sv_sketch_carry { SV_CARRY_NOTHING, SV_CARRY_MOMENTUM, SV_CARRY_NESTEROV };

/* BLAS's and LAPACK's, as Fortran has them: handed in, since the library links none. */
struct sv_sketch_lapack {
    void (*gemm)(char *, char *, int *, int *, int *, double *, double *, int *, double *, int *, double *, double *,
                 int *);
    void (*potrf)(char *, int *, double *, int *, int *);
    void (*pstrf)(char *, int *, double *, int *, int *, int *, double *, double *, int *);
    void (*trsv)(char *, char *, char *, int *, double *, int *, double *, int *);
};

struct sv_sketch {
    size_t rows, cols;
    const double *dense; /* rows one after the other; or NULL, and then the rows of `sparse` */
    struct sv_compressed sparse;
    const double *b;
    const double *inverse; /* 1 / |row|^2; 0 for rows of zeros */
    const double *weight;  /* what rows are multiplied by before they are combined */
    int kind, rule, carry;
    size_t q;        /* rows of W */
    size_t tries;    /* rows of which the one with the largest residual is taken */
    size_t nonzeros; /* sums that each row goes into */
    double omega, momentum;
    double mix, pull, memory; /* Nesterov: y = mix v + (1 - mix) x, v = memory v + (1 - memory) y - pull (the step) */
    uint64_t seed;
    struct sv_alias table; /* of |row|^2 */
    double total;          /* sum of |row|^2 */
    double *x, *v, *y;     /* cols each; v where something is carried, y for Nesterov */
    double *W, *S;         /* q x cols; q x rows (one row for q = 1): gaussian, count, sign */
    double *step, *t;      /* cols; q */
    double *gram, *work;   /* q x q; sv_sketch_work(q) */
    int32_t *order;        /* rows: the partition, or a subset */
    int64_t *turn;         /* blocks of the partition; rows for a subset: 0, 1, ... */
    double *factors;       /* a q x q factor for each block */
    int32_t *pivots;       /* q for each block */
    int32_t *rank;         /* of each block; -1: not factored yet */
    struct sv_sketch_lapack lapack;
};

SV_BINDING size_t sv_sketch_work(size_t q);

/* Projections number `from`, from + 1, ..., count of them. Returns an estimate of |A x - b|^2 from the rows that were met,
 * -1 where the sketch gives none. */
SV_BINDING double sv_sketch_run(struct sv_sketch *p, uint64_t from, size_t count);

/* r = A x - b; returns |r|^2. */
SV_BINDING double sv_sketch_residual(const struct sv_sketch *p, double *r);

/* At most `most` projections, until |A x - b| <= target, which is looked at after each `every` of them; r: rows numbers of
 * work. Returns how many were made; *reached is |A x - b|. */
SV_BINDING uint64_t sv_sketch_until(struct sv_sketch *p, uint64_t from, uint64_t most, size_t every, double target,
                                    double *r, double *reached);

/* W = S'A and t = S'b for the sketch of projection number k. */
SV_BINDING void sv_sketch_form(struct sv_sketch *p, uint64_t k);

/* The Walsh-Hadamard transform of the columns of X (rows a power of 2, times cols), unnormalised. */
SV_BINDING void sv_sketch_hadamard(double *X, size_t rows, size_t cols);

enum { SV_STREAM_PICK, SV_STREAM_PARTITION, SV_STREAM_TURN, SV_STREAM_ENTRIES };

/* The group k of the sums into which row i goes in projection t: its sum, and 1 or -1. */
static inline size_t sv_sketch_bucket(size_t q, size_t nonzeros, uint64_t bits, size_t k, double *sign)
{
    size_t from = k * q / nonzeros, to = (k + 1) * q / nonzeros;
    *sign = bits & 1 ? 1 : -1;
    return from + (size_t)(((bits >> 32) * (uint64_t)(to - from)) >> 32);
}

struct sketch_kernels {
    double (*rows)(struct sv_sketch *p, uint64_t from, size_t count);
    void (*add)(size_t n, double a, const double *x, double *y);
    void (*advance)(struct sv_sketch *p, const double *step, double factor);
    void (*hadamard)(double *X, size_t rows, size_t cols);
};

#endif
