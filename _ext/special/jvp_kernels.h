/* The table of the kernels of softmax's derivative that each instruction-set level fills in. */
#ifndef SOLVERS_JVP_KERNELS_H
#define SOLVERS_JVP_KERNELS_H

#include <stddef.h>

/* hi + lo, hi being the sum rounded. */
struct two_words {
    double hi, lo;
};

#define SV_JVP_TABLE(name, real)                                                                  \
    struct name {                                                                                 \
        /* sum_i y_i v_i */                                                                       \
        struct two_words (*dot)(const real *y, const real *v, size_t n);                          \
        /* out_i = y_i (v_i - dot); out may be y or v */                                          \
        void (*update)(const real *y, const real *v, real *out, size_t n, struct two_words dot);  \
    }

SV_JVP_TABLE(jvp_kernels_f32, float);
SV_JVP_TABLE(jvp_kernels_f64, double);

#endif
