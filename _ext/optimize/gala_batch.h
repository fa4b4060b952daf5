/* Many programs of one shape by the loop of gala.h, functions compiled (compiled.h): one call, nothing of Python's.
 *
 * Programs differ in their start, in their sides, and in what their functions are told: row k of `data` is the user_data of
 * every function of program k. They are solved one after the other, each on one thread, so that an answer is the same to the
 * bit whatever the number of threads, and the same as that of the program alone. Not across the lanes of vectors: after some
 * steps each program has factorisations, trials and steps of its own, and the user's functions take one point.
 *
 * Costs what the solves do; memory of one program a thread. The functions are called from several threads at once.
 */
#ifndef SOLVERS_OPTIMIZE_GALA_BATCH_H
#define SOLVERS_OPTIMIZE_GALA_BATCH_H

#include "compiled.h"
#include "dense_nlp.h"
#include "gala.h"

/* What is counted of each program, and the numbers of its answer. */
enum { SV_PROGRAM_STATUS, SV_PROGRAM_NIT, SV_PROGRAM_NFEV, SV_PROGRAM_NJEV, SV_PROGRAM_NHEV, SV_PROGRAM_COUNTS };
enum { SV_PROGRAM_F, SV_PROGRAM_OPTIMALITY, SV_PROGRAM_VIOLATION, SV_PROGRAM_COMPLEMENTARITY, SV_PROGRAM_NUMBERS };

/* An array with a row for each program, or with one for all: then `stride` is 0. */
struct sv_each {
    const double *rows;
    int64_t stride;
};

struct sv_gala_batch {
    int64_t programs, m, max_iter;
    const sv_compiled *functions;
    int quasi; /* which approximation (quasi.h) stands for the Hessian, if any */
    struct sv_each data; /* rows NULL: the functions' own user_data */
    struct sv_each x0, lower, upper, row_lower, row_upper;
    struct sv_gala_options options;
    sv_sytrf sytrf;
    sv_sytrs sytrs;
    /* Answers, a row for each program: x, z, grad f (n), y (m), the numbers and counts of the enumerations above. */
    double *x, *z, *g, *y, *numbers;
    int64_t *counts;
};

/* Doubles of work for each thread. */
SV_BINDING int64_t sv_gala_batch_work(const struct sv_gala_batch *batch);

/* Solves program `from` and those after it, until `seconds` are over or none is left; returns how many are done in all.
 * A program that is not finite at its start has the status SV_GALA_NONFINITE, and is returned there. */
SV_BINDING int64_t sv_gala_batch_solve(const struct sv_gala_batch *batch, int64_t from, double seconds, double *work, int threads);

#endif
